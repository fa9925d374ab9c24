"""What the package shows: names, examples in docstrings, and every bound function by keyword."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from wrackline import _core

PACKAGE = Path(wl.__file__).parent
MODULES = sorted(
    one.name for one in pkgutil.walk_packages([str(PACKAGE)], "wrackline.") if one.name != "wrackline._core"
)


def test_all_is_what_can_be_imported() -> None:
    public = {name for name, value in vars(wl).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert set(wl.__all__) == public
    assert list(wl.__all__) == sorted(wl.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_all_of_each_module_exists(name: str) -> None:
    module = importlib.import_module(name)
    for one in module.__all__:
        assert hasattr(module, one), one


@pytest.mark.parametrize("name", ["wrackline", *MODULES])
def test_examples_in_docstrings(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_things_have_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for one in module.__all__:
        value = getattr(module, one)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{one}"


def test_errors_are_one_tree_as_drawn() -> None:
    from wrackline import errors

    assert errors.__doc__
    drawn = set(re.findall(r"\b\w+Error\b", errors.__doc__)) - {"ValueError", "LookupError", "NotImplementedError"}
    assert drawn == {*errors.__all__}
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), wl.WracklineError)


def test_importing_needs_no_extra() -> None:
    """Polars, pyarrow and pandas are extras; importing the package imports none of them."""
    script = "import sys, wrackline; print({'polars', 'pyarrow', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    result = wl.Job("j").read(wl.from_records([{"ts": 1}]), time="ts").collect()
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"pip install 'wrackline\[polars\]'"):
        result.to_polars()


def test_the_readme_says_what_works() -> None:
    """Its blocks, one after the other, as somebody types them."""
    import polars as pl

    blocks = re.findall(r"^```python\n(.*?)^```", (Path(__file__).parents[2] / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 6
    speeds = [60.0 + i for i in range(30)]
    rows = [{"truck_id": "t-1", "speed": v, "ts": 1_700_000_000_000 + i * 60_000} for i, v in enumerate(speeds)]
    Path("readings").mkdir()
    pl.DataFrame(rows).write_parquet("readings/one.parquet")
    names: dict[str, Any] = {"__name__": "__main__", "frame": pl.DataFrame(rows)}
    for block in blocks:
        exec(block, names)
    with wl.Log("local:fleet-data", read_only=True) as log:
        assert len(log.read("truck-speeds")) == 99
    assert names["fast"].collect().to_polars()["mps"].to_list() == pytest.approx([v / 3.6 for v in speeds if v > 80])
    sold = names["sold"].collect().to_polars()
    assert sold.select("shop", "total", "many", "last").rows() == [("a", 7.0, 1, 0)]


# ---- bindings ----


def stub() -> dict[str, set[str]]:
    """Names of the stub: of the module and of each class."""
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    found: dict[str, set[str]] = {"": set()}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found[""].add(node.name)
            found[node.name] = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found[""].add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[""].add(node.target.id)
    return found


def test_the_stub_has_the_names_of_the_module() -> None:
    names = stub()
    assert {name for name in vars(_core) if not name.startswith("_")} == names.pop("")
    for class_name, members in names.items():
        bound = vars(getattr(_core, class_name))
        ours = {name for name in bound if not name.startswith("_") or name in members}
        assert ours == members, class_name


def test_every_bound_function_by_keyword(tmp_path: Path) -> None:
    assert _core.parse_duration(text="5m") == 300_000
    assert _core.format_duration(ms=300_000) == "5m"
    assert _core.parse_time(text="1970-01-01T00:00:01Z") == 1_000
    assert _core.parse_time(text="soon") is None
    assert _core.format_time(ms=0) == "1970-01-01T00:00:00.000Z"
    assert _core.nearest(wanted="sped", known=["speed"]) == "speed"
    assert _core.partition_of(key=b"x", partitions=3) in range(3)
    _core.pass_on_log_lines()
    fields = [("k", "string", False), ("ts", "int64", False)]
    table = _core.table_from_rows(rows=[{"k": "a", "ts": 1}, {"k": "a", "ts": 2}], schema=fields, paths=["k", "ts"])
    assert table.rows(times_as_datetime=False, begin=1, end=2) == [{"k": "a", "ts": 2}]
    assert len(table.last_of(columns=["k"], unless="k", withdrawn="b")) == 1
    assert len(table.last_of(columns=["k"], unless="k", withdrawn="a")) == 0
    assert table.conform(schema=fields).schema == fields
    assert len(_core.import_arrow(frame=table)) == 2
    assert table.__arrow_c_stream__(requested_schema=None) is not None
    assert table.__arrow_c_schema__() is not None

    log = _core.Log(uri="memory:", read_only=False)
    log.create_topic(name="t", partitions=1)
    assert log.topic(name="t")[:2] == ("t", 1)
    assert log.id
    log.append(topic="t", partition=0, values=[b'{"k":"a","ts":1700000000000}'], keys=[b"a"], timestamps=[7])
    log.append_frame(topic="t", table=table, key=["k"], partition=None, timestamps=None)
    records = log.read(topic="t", partition=0, offset=0, max_bytes=1 << 20, committed=True)
    assert len(records.values()) == len(records.keys()) == len(records.headers()) == len(records.offsets()) == 3
    assert records.timestamps()[0] == 7
    assert records.lines().count(b"\n") == 3
    assert records.head(count=2).next_offset == 2
    assert len(_core.decode(records=records.head(count=1), schema=fields)) == 1
    assert log.start_offset(topic="t", partition=0) == 0
    assert log.end_offset(topic="t", partition=0, committed=True) == records.next_offset
    log.trim(topic="t", partition=0, offset=1)
    assert log.committed(group="j") == []

    plan = _core.Plan(job="j")
    source = plan.read(
        topic="t", schema=fields, paths=["k", "ts"], time="ts", unit="ms", not_before=0, not_after=None,
        max_future=60_000, log_timestamp="", watermark="bounded", out_of_orderness=0, watermark_column="",
        watermark_function=None, watermark_text="",
        idle_after=None, idle_close=False, warn_late=1, partitioned_by=["k"], max_record_bytes=100,
    )  # fmt: skip
    kept = plan.filter(input=source, column="ts", compare=">", value=0, is_time=False, name="f")
    once = plan.dedup(
        input=kept, columns=["k", "ts"], within=5, allowed_lateness=0, null_key_group=False, key=["k"], name="d"
    )
    windows = plan.window(
        input=once, key=["k"], kind="tumbling", settings={"size": 10, "slide": 10, "offset": 0}, allowed_lateness=0,
        emit="accumulate", early=None, early_rows=None, emit_late_each=False,
        late_windows_rows=False, null_key_group=False, aggregates=[("n", "count", [], {})], name="w",
    )  # fmt: skip
    sink = plan.write(
        streams=[windows], topic="out", iso_times=True, nan_as_string=True, dead_letters=False, internal=False
    )
    copy = plan.copy()
    copy.finish()
    assert copy.sinks()[sink] == ("out", [windows])
    assert plan.schema_of(stream=windows)[0] == ("k", "string", False)
    assert plan.step_name(node=windows[0]) == "w"
    assert plan.ports_of(node=once[0]) == ["main", "late", "duplicates"]
    assert plan.input_of(node=once[0]) == kept
    assert plan.late_streams() == [(once[0], "late"), (windows[0], "late")]
    assert plan.node_count() == 5
    assert plan.describe()
    assert plan.hash() != copy.hash()
    assert plan.job == "j"

    options = _core.Options(
        commit_interval=100, commit_rows=0, checkpoint_interval=1_000, state_dir=str(tmp_path), memory_limit=0,
        max_poll_records=10, fresh=False, replay_accept=False, resume_append=False, reset_steps=[], until_now=True,
        close=True, max_rows=0,
    )  # fmt: skip
    run = _core.Run(plan=copy, options=options, log=log, rows=[], tap=None)
    run.loop(progress=None, every_ms=10, seconds=10.0)
    run.request_stop()
    assert run.stats()["rows_taken"] == 2
    assert dict(run.ledger()[0])["read"]["in"] == 2
    run.close()
    assert _core.read_ledger(log=log, job="j") == _core.read_ledger(log=log, job="j")

    rows = _core.Rows(schema=fields)
    rows.append(table=table)
    rows.append_tombstone()
    assert len(rows) == 3
    tap = _core.Tap()
    bounded = _core.Plan(job="b")
    source = bounded.read(topic="", schema=fields, paths=["k", "ts"], time="ts", watermark="all")
    watched = bounded.write(streams=[source], topic="seen")
    tap.watch(sink=watched)
    bounded.finish()
    driver = _core.Driver(plan=bounded, rows=[rows], tap=tap, clock=5)
    assert driver.step() in ("worked", "idle")
    driver.settle()
    driver.commit()
    driver.idle()
    driver.advance(ms=1)
    assert driver.now == 6
    rows.close()
    driver.stop()
    assert driver.done
    assert driver.stats()["rows_taken"] == 3
    assert driver.ledger()[0]
    assert len(tap.take(sink=watched, schema=fields)) == 2
    assert driver.watermark
    topic = _core.Plan(job="t")
    topic.read(topic="in", schema=fields, paths=["k", "ts"], time="ts", out_of_orderness=0)
    topic.finish()
    _core.Driver(plan=topic, tap=_core.Tap()).append(topic="in", value=b"{}", key=None, timestamp=1)
    log.close()


# ---- repr ----


def test_reprs_help() -> None:
    job = wl.Job("fleet", log="local:data")
    readings = job.read("readings", {"id": str, "k": str, "v": float, "ts": int}, time="ts", out_of_orderness="30s")
    fast = readings.filter("v", ">=", 0).dedup("id", within="24h").key_by("k")
    speeds = fast.window(wl.hopping("1h", "5m"), allowed_lateness="10m").agg(n=wl.count(), m=wl.mean("v"))
    speeds.write("speeds")
    job.late.write("late")
    text = repr(job)
    assert text.splitlines()[0] == "Job(\"fleet\", log='local:data')"
    assert "filter  v >= 0  <- read" in text
    assert "dedup(id) within 1d  <- filter" in text
    assert 'by (k) in hopping("1h", "5m"), allowed_lateness=10m: n=count(), m=mean("v")  <- dedup' in text
    assert "write speeds  <- window" in text
    assert "write late  <- dedup.late, window.late" in text
    assert repr(speeds).startswith("window(k: str, window_start: datetime, window_end: datetime, revision: int")
    assert "late_by_ms: int" in repr(speeds.late)
    assert repr(fast).endswith("by (k)")
    things: list[Any] = [
        wl.tumbling("1h30m", offset="-5s"),
        wl.sum("v", wide=True),
        wl.punctuated("wm"),
        wl.monotonic(),
    ]
    assert [repr(one) for one in things] == [
        'tumbling("1h30m", offset="-5s")',
        'sum("v", wide=True)',
        'punctuated("wm")',
        "monotonic()",
    ]


def test_results_show_their_first_rows() -> None:
    rows = [{"k": f"k{i}", "v": i / 3, "ts": i} for i in range(12)]
    text = repr(wl.Job("j").read(wl.from_records(rows), time="ts").collect())
    assert text.startswith("12 rows\nk   v")
    assert "0.333333" in text
    assert text.endswith("... 2 more")
    empty = wl.Job("j").read(wl.from_records([], {"ts": int}), time="ts").collect()
    assert repr(empty) == "0 rows (ts)"

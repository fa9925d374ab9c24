"""Files and functions: what they are given is what topics have, once, whatever happens in between."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

import wrackline as wl

START = 1_700_000_000_000


class Everything(wl.Schema):
    k: str
    text: str | None
    whole: int | None
    number: float | None
    flag: bool | None
    raw: bytes | None
    at: datetime | None
    numbers: list[float] | None
    texts: list[str] | None
    times: list[datetime] | None
    blobs: list[bytes] | None
    any: dict[str, Any] | None
    ts: int


EVERYTHING: list[dict[str, Any]] = [
    {
        "k": "a",
        "text": 'quote " backslash \\ newline \n é 𝄞 \u0000',
        "whole": 2**63 - 1,
        "number": 0.1,
        "flag": True,
        "raw": b"\x00\xff\n",
        "at": "2024-02-29T12:34:56.789Z",
        "numbers": [0.1, None, -0.0],
        "texts": ["a", None, '"'],
        "times": ["2024-01-01T00:00:00Z", None],
        "blobs": [b"\x00", None],
        "any": {"a": [1, {"b": None}], "n": 1e300},
        "ts": START,
    },
    {
        "k": "b",
        "whole": -(2**63),
        "number": 1.7976931348623157e308,
        "flag": False,
        "any": [2**70, "x"],
        "ts": START + 1,
    },
    {"k": "a", "whole": 2**53 + 1, "number": 5e-324, "text": "", "raw": b"", "numbers": [], "ts": START + 2},
    {"k": "a", "ts": START + 3},
]


def everything(log: str | wl.Log = "memory:") -> tuple[wl.Job, wl.Stream]:
    """Numbers that JSON does not have come from an expression."""
    job = wl.Job("all", log=log)
    read = job.read(wl.from_records(EVERYTHING, Everything), time="ts")
    return job, read.with_columns(
        nan=pl.lit(float("nan")) * pl.col("ts"),
        infinite=pl.when(pl.col("k") == "a").then(float("inf")).otherwise(float("-inf")),
        dotted=pl.col("whole"),
    ).rename({"dotted": "any.whole"})


def parts(directory: str | Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.startswith("part-"))


def parquet(directory: str | Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(Path(directory) / name) for name in parts(directory))


def lines(directory: str | Path) -> list[dict[str, Any]]:
    texts = ((Path(directory) / name).read_text() for name in parts(directory))
    return [json.loads(line) for text in texts for line in text.splitlines()]


# ---- what is in them ----


def test_parquet_has_the_rows_of_collect_in_every_type() -> None:
    job, stream = everything()
    stream.write_parquet("out")
    job.run()
    wanted = stream.collect().to_polars()
    found = parquet("out")
    assert found.schema == wanted.schema
    assert found.equals(wanted)
    assert math.copysign(1, found["numbers"][0][2]) == -1
    assert found["whole"].to_list() == [2**63 - 1, -(2**63), 2**53 + 1, None]
    assert found["infinite"].to_list() == [math.inf, -math.inf, math.inf, math.inf]
    assert found["nan"].is_nan().all()
    assert found["at"][0] == datetime(2024, 2, 29, 12, 34, 56, 789_000, tzinfo=UTC)
    assert found["raw"].to_list() == [b"\x00\xff\n", None, b"", None]
    assert json.loads(found["any"][0]) == EVERYTHING[0]["any"]
    found_by_duckdb: Any = duckdb.sql("select whole, text from 'out/*.parquet' order by ts")
    assert found_by_duckdb.fetchall() == [(row.get("whole"), row.get("text")) for row in EVERYTHING]


def test_parquet_by_pyarrow_has_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from wrackline import deliveries
    from wrackline.frames_pyarrow import PyarrowEngine

    job, stream = everything()
    stream.write_parquet("by-polars", name="one")
    job.run()
    job, stream = everything()
    stream.write_parquet("by-pyarrow")
    monkeypatch.setattr(deliveries, "engine", lambda call: PyarrowEngine())
    job.run()
    [name] = parts("by-pyarrow")
    assert pq.read_metadata(f"by-pyarrow/{name}").created_by.startswith("parquet-cpp")
    assert parquet("by-pyarrow").equals(parquet("by-polars"))


def test_lines_are_those_of_a_topic() -> None:
    job, stream = everything()
    stream.write("topic", time_format="iso", nan="string")
    stream.write_ndjson("out", time_format="iso", nan="string")
    job.run()
    [name] = parts("out")
    values = [record.value for record in job.log.read("topic")]
    assert Path("out", name).read_bytes() == b"".join(value + b"\n" for value in values if value is not None)
    assert lines("out")[1]["infinite"] == "-Infinity"


def test_sums_beyond_int64_and_edges_beyond_datetime() -> None:
    top = 2**63 - 1
    rows = wl.from_records([{"k": "a", "v": top, "ts": START}, {"k": "a", "v": top, "ts": START + 1}])
    job = wl.Job("wide")
    windows = job.read(rows, time="ts").key_by("k").window(wl.tumbling("1000000d"))
    made = windows.agg(total=wl.sum("v", wide=True), values=wl.collect("v"))
    made.write_parquet("out")
    job.run()
    assert parquet("out").equals(made.collect().to_polars())
    assert int(parquet("out")["total"][0]) == 2 * top
    assert parquet("out")["values"][0].to_list() == [top, top]


def test_every_stream_has_them(tmp_path: Path) -> None:
    """Late rows, duplicates, dead letters, and all late rows of steps with other columns."""
    log = wl.Log(f"local:{tmp_path / 'log'}")
    log.create("readings")
    read_rows = [{"id": i, "v": i / 2, "ts": START + i * 1_000} for i in range(100)]
    log.append("readings", [*read_rows, read_rows[99], read_rows[3], {**read_rows[3], "id": 555}, "{broken", None])
    job = wl.Job("fleet", log=log)
    read = job.read("readings", {"id": int, "v": float, "ts": int}, time="ts", out_of_orderness="1s")
    once = read.dedup("id", within="2s", allowed_lateness="0s")
    counts = once.select("id", "ts").key_by().window(wl.tumbling("10s")).agg(n=wl.count())
    streams = {
        "main": counts,
        "late": job.late,
        "dedup.late": once.late,
        "window.late": counts.late,
        "duplicates": once.duplicates,
        "dead": job.dead_letters,
        "some": job.dead_letters.filter("reason", "==", "decode"),
    }
    for name, stream in streams.items():
        stream.write_parquet(name, name=name)
    got: list[dict[str, Any]] = []
    job.late.write(lambda rows: got.extend(rows.rows()))
    result = job.run(until="now", close=True)
    assert result.ledger.balances
    for name, stream in streams.items():
        wanted = stream.collect(close=True)
        if not len(wanted):
            assert parts(name) == []
        else:
            assert parquet(name).equals(wanted.to_polars()), name
    assert [row["id"] for row in got] == parquet("late")["id"].to_list() == [3, 555]
    assert parquet("dead")["value"].to_list() == [b"{broken"]
    assert "fleet.dead" not in [topic.name for topic in log.topics()], "they are written"
    log.close()


def test_dead_letters_that_are_filtered_leave_the_others_their_topic() -> None:
    job = wl.Job("fleet")
    read = job.read(wl.from_records([{"ts": "noon"}, {"ts": "2024-03-05T12:00Z"}]), time="ts")
    job.dead_letters.filter("reason", "==", "decode").write_ndjson("broken")
    read.write_ndjson("out")
    job.run()
    assert parts("broken") == []
    assert len(job.log.read("fleet.dead")) == 1


def test_late_rows_of_a_job_without_steps_that_make_some() -> None:
    job = wl.Job("fleet")
    job.read(wl.from_records([{"ts": START}]), time="ts").write("out")
    job.late.write("late")
    job.late.write_parquet("late", name="files")
    job.late.write(lambda rows: None)
    assert job.run().rows == 1
    assert len(job.log.read("late")) == 0


def test_late_rows_of_steps_with_other_columns() -> None:
    rows = wl.from_records([{"v": 2**53 + 1, "ts": START + 100_000}, {"v": 7, "ts": START}])

    def job(kind: Any) -> wl.Job:
        made = wl.Job("late")
        read = made.read(rows, time="ts", out_of_orderness="0s")
        read.key_by().window(wl.tumbling("1s")).agg(n=wl.count())
        read.cast({"v": kind}).with_columns(twice=pl.col("ts") * 2).key_by().window(wl.tumbling("2s")).agg(n=wl.count())
        made.late.write_parquet("out")
        return made

    numbers = job(pl.Float64)
    numbers.run()
    assert parquet("out").equals(numbers.late.collect().to_polars())
    assert parquet("out")["v"].to_list() == [7.0, 7.0]
    assert sorted(parquet("out")["twice"].to_list(), key=str) == [2 * START, None]
    with pytest.raises(wl.InvalidJobError, match="column 'v' is int64 in one of its streams and string in another"):
        job(pl.String).run()


def test_a_slow_function_does_not_keep_files_from_being_written(log: wl.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sink comes on in each round, however long another one takes."""
    from wrackline import deliveries

    monkeypatch.setattr(deliveries, "_TICK_SECONDS", 0.0)
    written = threading.Event()
    job, read = job_on(log)
    read.write(lambda rows: None)
    read.write_parquet("out", every="1ms")
    with job.start(rows=100, progress=lambda _: written.set() if values() else None) as running:
        append(log, 0, 50)
        assert written.wait(60)
        append(log, 50, 50)
        running.wait(60)
    assert values() == list(range(100))


# ---- how they are cut ----


@pytest.fixture
def log(tmp_path: Path) -> Iterator[wl.Log]:
    with wl.Log(f"local:{tmp_path / 'log'}") as made:
        made.create("readings", partitions=2)
        yield made


SCHEMA = {"k": str, "v": int, "ts": int}


def append(log: wl.Log, first: int, count: int) -> None:
    log.append("readings", [{"k": f"k{i % 5}", "v": i, "ts": START + i} for i in range(first, first + count)], key="k")


def job_on(log: wl.Log | str, **options: Any) -> tuple[wl.Job, wl.Stream]:
    job = wl.Job("fleet", log=log, **options)
    return job, job.read("readings", SCHEMA, time="ts", out_of_orderness="1s", partitioned_by="k")


def files_job(log: wl.Log | str, **options: Any) -> wl.Job:
    job, read = job_on(log)
    read.write_parquet("out", **options)
    return job


def values(directory: str | Path = "out") -> list[int]:
    return sorted(parquet(directory)["v"].to_list()) if parts(directory) else []


def test_a_part_has_at_most_so_many_rows_and_says_where_they_lie(log: wl.Log) -> None:
    append(log, 0, 1_000)
    job, read = job_on(log)
    read.write("topic")
    read.write_ndjson("out", max_rows=70)
    job.run(until="now")
    where = {}
    for record in log.read("topic"):
        where[json.loads(record.value or b"")["v"]] = (record.partition, record.offset)
    for name in parts("out"):
        partition, first, end = (int(one) for one in name.removesuffix(".ndjson").split("-")[1:])
        rows = [json.loads(line)["v"] for line in Path("out", name).read_text().splitlines()]
        assert 0 < len(rows) <= 70
        assert all(where[v][0] == partition and first <= where[v][1] < end for v in rows)
    assert sorted(row["v"] for row in lines("out")) == list(range(1_000))
    assert len(parts("out")) == sum(math.ceil(len(log.read("topic", partition=one)) / 70) for one in (0, 1))


def test_what_is_in_parts_is_no_longer_in_the_log(log: wl.Log) -> None:
    append(log, 0, 100)
    files_job(log).run(until="now")
    assert len(log.read("fleet.read.parquet")) == 0
    assert values() == list(range(100))


def test_parts_come_while_the_job_runs(log: wl.Log) -> None:
    """`every` has passed, so the rows of the first records are there before the run ends."""
    seen = threading.Event()
    job = files_job(log, every="1ms")
    with job.start(rows=200, progress=lambda stats: seen.set() if values() == list(range(100)) else None) as running:
        append(log, 0, 100)
        assert seen.wait(60)
        before = parts("out")
        append(log, 100, 100)
        running.wait(60)
    assert values() == list(range(200))
    assert set(before) <= set(parts("out"))


def test_nothing_is_written_before_it_is_due(log: wl.Log) -> None:
    ticks = threading.Semaphore(0)
    job = files_job(log, every="1d")
    with job.start(progress=lambda _: ticks.release() if len(log.read("fleet.read.parquet")) == 100 else None):
        append(log, 0, 100)
        assert all(ticks.acquire(timeout=60) for _ in range(3))
        assert parts("out") == []
    assert values() == list(range(100))


def test_collect_delivers_nothing(log: wl.Log) -> None:
    append(log, 0, 10)
    _, read = job_on(log)
    read.write_parquet("out")
    called: list[wl.Result] = []
    read.write(called.append)
    assert len(read.collect()) == 10
    assert not Path("out").exists()
    assert called == []


# ---- going on ----


def test_each_run_goes_on_where_the_last_one_ended(log: wl.Log) -> None:
    for number in range(3):
        append(log, number * 10, 10)
        files_job(log).run(until="now")
        assert values() == list(range((number + 1) * 10))
    assert files_job(log).run(until="now").rows == 0
    assert values() == list(range(30))


def test_parts_that_were_moved_away_are_not_written_again(log: wl.Log, tmp_path: Path) -> None:
    append(log, 0, 10)
    files_job(log).run(until="now")
    shutil.copytree("out", tmp_path / "moved")
    for name in parts("out"):
        Path("out", name).unlink()
    append(log, 10, 10)
    files_job(log).run(until="now")
    assert values() == list(range(10, 20))
    assert values(tmp_path / "moved") == list(range(10))


def test_fresh_replaces_the_parts(log: wl.Log) -> None:
    append(log, 0, 10)
    files_job(log).run(until="now")
    Path("out", "notes.txt").write_text("mine")
    before = parts("out")
    files_job(log).run(until="now", fresh=True)
    assert values() == list(range(10))
    assert not set(before) & set(parts("out"))
    assert Path("out", "notes.txt").exists()
    append(log, 10, 5)
    files_job(log).run(until="now")
    assert values() == list(range(15))


def test_fresh_that_was_interrupted_is_to_be_repeated(log: wl.Log) -> None:
    append(log, 0, 10)
    files_job(log).run(until="now")
    with pytest.raises(wl.InvalidArgumentError):
        files_job(log).run(until="now", fresh=True, rows=-1)
    assert values() == list(range(10)), "a call that is wrong replaces nothing"

    job, read = job_on(log)
    read.write_parquet("out")
    read.map(lambda v: 1 // 0, returns={"x": int}, on_error="fail").write("never")
    with pytest.raises(wl.JobFailedError):
        job.run(until="now", fresh=True)
    assert values() == list(range(10)), "it has committed nothing"
    with pytest.raises(wl.InvalidJobError, match=r"run\(fresh=True\) was to replace the parts .* repeat it"):
        files_job(log).run(until="now")
    files_job(log).run(until="now", fresh=True)
    assert values() == list(range(10))
    files_job(log).run(until="now")


def test_another_log_is_told_and_replaced_by_fresh(tmp_path: Path) -> None:
    def run(**options: Any) -> None:
        job = wl.Job("fleet")
        job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts").write_parquet("out")
        job.run(**options)

    run()
    with pytest.raises(wl.InvalidJobError, match=r"another log .*give the sink another directory, or .*fresh=True"):
        run()
    assert values() == [1]
    run(fresh=True)
    assert values() == [1]


def test_a_directory_is_of_one_job_and_sink(log: wl.Log) -> None:
    append(log, 0, 10)
    files_job(log).run(until="now")
    before = parts("out")
    job, read = job_on(log)
    read.filter("v", ">", 3).write_parquet("out")
    for fresh in (False, True):
        with pytest.raises(wl.InvalidJobError, match="belongs to job 'fleet', topic 'fleet"):
            job.run(until="now", fresh=fresh)
    other = wl.Job("other", log=log)
    other.read("readings", SCHEMA, time="ts", out_of_orderness="1s").write_parquet("out")
    with pytest.raises(wl.InvalidJobError, match="belongs to job 'fleet'"):
        other.run(until="now", fresh=True)
    assert parts("out") == before


def test_parts_of_unknown_origin_are_left_alone(log: wl.Log) -> None:
    append(log, 0, 10)
    files_job(log).run(until="now")
    before = parts("out")
    state = Path("out", "_wrackline.json")
    said = state.read_text()
    state.unlink()
    with pytest.raises(wl.InvalidJobError, match=r"no _wrackline\.json that says whose"):
        files_job(log).run(until="now", fresh=True)
    state.write_text(json.dumps({**json.loads(said), "next": {}}))
    with pytest.raises(wl.InvalidJobError, match="does not know of"):
        files_job(log).run(until="now")
    state.write_text("{")
    with pytest.raises(wl.CorruptionError, match=r"_wrackline\.json is not what was written"):
        files_job(log).run(until="now")
    assert parts("out") == before


def test_what_a_crash_left_is_mended(log: wl.Log) -> None:
    """A part that is counted gets its name; one that is not is made again."""
    append(log, 0, 10)
    files_job(log).run(until="now")
    name = parts("out")[0]
    Path("out", name).rename(Path("out", f".{name}.tmp"))
    Path("out", ".part-0-00000000000000009000-9999.parquet.tmp").write_bytes(b"half")
    assert values() != list(range(10))
    files_job(log).run(until="now")
    assert values() == list(range(10))
    assert [one for one in os.listdir("out") if one.startswith(".")] == []


def test_one_run_writes_to_a_directory_at_a_time(log: wl.Log, tmp_path: Path) -> None:
    append(log, 0, 10)
    with files_job(log).start():
        other = wl.Job("other")
        other.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts").write_parquet("out")
        with pytest.raises(wl.UnavailableError, match="another run writes there"):
            other.run()


def test_a_file_is_no_directory(log: wl.Log) -> None:
    Path("out").write_text("mine")
    with pytest.raises(wl.InvalidArgumentError, match="it is a file, not a directory"):
        files_job(log).run(until="now")


def test_a_directory_that_goes_ends_the_run_and_loses_nothing(log: wl.Log) -> None:
    append(log, 0, 10)
    job, read = job_on(log)
    read.write(lambda rows: shutil.rmtree("out", ignore_errors=True), name="remove")
    read.write_parquet("out")
    with pytest.raises(wl.UnavailableError, match="nothing is lost: run again") as error:
        job.run(until="now")
    assert isinstance(error.value.__cause__, OSError)
    files_job(log).run(until="now")
    assert values() == list(range(10))


def test_the_default_log_and_bounded_rows() -> None:
    rows = pl.DataFrame({"v": range(200_000), "ts": range(START, START + 200_000)})
    job = wl.Job("fleet")
    read = job.read(wl.from_arrow(rows), time="ts")
    read.write_parquet("out", max_rows=60_000)
    sizes: list[int] = []
    read.write(lambda batch: sizes.append(len(batch)))
    job.run()
    assert parquet("out").equals(rows)
    assert len(parts("out")) == 4
    assert sum(sizes) == 200_000
    assert max(sizes) <= 65_536


# ---- functions ----


def test_a_function_is_given_every_row(log: wl.Log) -> None:
    append(log, 0, 1_000)
    frames: list[pl.DataFrame] = []
    job, read = job_on(log)
    read.write(lambda rows: frames.append(rows.to_polars()))
    job.run(until="now")
    assert sorted(pl.concat(frames)["v"].to_list()) == list(range(1_000))
    append(log, 1_000, 10)
    frames.clear()
    job.run(until="now")
    assert sorted(pl.concat(frames)["v"].to_list()) == list(range(1_000, 1_010))


def test_what_a_function_raises_ends_the_run_and_its_rows_come_again(log: wl.Log) -> None:
    append(log, 0, 100)
    trouble = ValueError("the database is away")
    got: list[tuple[str, list[int]]] = []

    def store(rows: wl.Result, batch: str) -> None:
        got.append((batch, rows.to_polars()["v"].to_list()))
        if len(got) == 2:
            raise trouble

    job, read = job_on(log)
    read.write(store)
    with pytest.raises(ValueError, match="the database is away") as error:
        job.run(until="now")
    assert error.value is trouble
    assert any("come again in the next run" in note for note in error.value.__notes__)
    append(log, 100, 10)
    job.run(until="now")
    assert got[1] == got[2], "the same rows, by the same id"
    seen: dict[str, list[int]] = dict(got)
    assert sorted(v for rows in seen.values() for v in rows) == list(range(110))
    ends: dict[str, int] = {}
    for batch in seen:
        topic, partition, first, end = batch.rsplit("-", 3)
        assert topic == "fleet.read.function"
        assert int(first) >= ends.get(partition, 0)
        ends[partition] = int(end)


def test_fresh_forgets_what_a_function_has_not_had(log: wl.Log) -> None:
    append(log, 0, 10)
    fails = True
    got: list[int] = []

    def store(rows: wl.Result) -> None:
        if fails:
            raise OSError("no")
        got.extend(rows.to_polars()["v"].to_list())

    job, read = job_on(log)
    read.write(store)
    with pytest.raises(OSError, match="no"):
        job.run(until="now")
    fails = False
    job.run(until="now", fresh=True)
    assert sorted(got) == list(range(10))


def test_functions_of_several_forms() -> None:
    calls: list[Any] = []

    class Keeps:
        def __call__(self, rows: wl.Result) -> None:
            calls.append("object")

    def with_default(rows: wl.Result, mode: str = "append") -> None:
        calls.append(mode)

    def with_id(rows: wl.Result, batch: str, /) -> None:
        calls.append(batch)

    functions: list[Callable[..., object]] = [
        Keeps(),
        with_default,
        with_id,
        calls.append,
        lambda *rows: calls.append(len(rows)),
    ]
    job = wl.Job("forms")
    read = job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts")
    for number, function in enumerate(functions):
        read.write(function, name=f"f{number}")
    job.run()
    assert calls[:2] == ["object", "append"]
    assert calls[2].startswith("forms.f2.function-0-0-")
    assert isinstance(calls[3], wl.Result)
    assert calls[4:] == [1]


def test_a_function_is_called_while_the_job_runs_in_the_background(log: wl.Log) -> None:
    got: list[int] = []
    threads = set()
    all_there = threading.Event()

    def store(rows: wl.Result) -> None:
        threads.add(threading.current_thread())
        got.extend(rows.to_polars()["v"].to_list())
        if len(got) == 100:
            all_there.set()

    job, read = job_on(log)
    read.write(store)
    with job.start(rows=150) as running:
        append(log, 0, 100)
        assert all_there.wait(60)
        append(log, 100, 50)
        running.wait(60)
    assert sorted(got) == list(range(150))
    assert len(threads) == 1
    assert threading.main_thread() not in threads


def test_what_a_function_raises_in_the_background_is_told_to_who_waits(log: wl.Log) -> None:
    append(log, 0, 10)

    def store(rows: wl.Result) -> None:
        raise LookupError("gone")

    job, read = job_on(log)
    read.write(store)
    running = job.start(until="now")
    with pytest.raises(LookupError, match="gone"):
        running.wait(60)


def test_a_topic_that_cannot_be_trimmed_is_a_warning(
    log: wl.Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from wrackline import deliveries

    class Stubborn:
        def __init__(self, core: Any) -> None:
            self._core = core

        def trim(self, topic: str, partition: int, offset: int) -> None:
            raise wl.UnavailableError("not now")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._core, name)

    made = deliveries._Topic
    monkeypatch.setattr(deliveries, "_Topic", lambda core, *rest: made(Stubborn(core), *rest))
    append(log, 0, 10)
    with caplog.at_level(logging.WARNING):
        files_job(log).run(until="now")
        append(log, 10, 10)
        files_job(log).run(until="now")
    assert values() == list(range(20))
    assert "could not be deleted: not now" in caplog.text


# ---- how they are described ----


def test_a_job_shows_them() -> None:
    job = wl.Job("shown")
    read = job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts")
    read.write_parquet("out")

    def store(rows: wl.Result) -> None: ...

    read.write(store)
    assert 'write_parquet("out")  <- read' in repr(job)
    assert "write(store)  <- read" in repr(job)

"""What users see of windows and aggregates that cannot be, and of records that are bad, huge or at the edge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl

START = 1_700_000_000_000
FIRST, BEHIND = -62_135_596_800_000, 253_402_300_800_000  # 0001-01-01 and 10000-01-01
SCHEMA = {"k": str, "v": float, "n": int, "s": str, "zone": str, "ts": int, "b": bool}
KINDS = [
    wl.tumbling("1m"),
    wl.hopping("2m", "1m"),
    wl.session("1m"),
    wl.rolling("1m"),
    wl.count_window(2),
    wl.calendar("day", tz="Europe/Berlin"),
    wl.global_window(),
]


def read(**options: Any) -> wl.Stream:
    return wl.Job("bad").read("in", SCHEMA, **{"time": "ts", "out_of_orderness": "30s", **options})


def agg(window: Any, **options: Any) -> wl.Stream:
    return read().key_by("k").window(window, **options).agg(n=wl.count())


def made(**aggregates: wl.Aggregate) -> wl.Stream:
    return read().key_by("k").window(wl.tumbling("1m")).agg(**aggregates)


BUILD_ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    # size, slide, gap, n, within, early, idle_after <= 0
    "size": (lambda: wl.tumbling(0), "tumbling: size must be > 0, not 0"),
    "negative size": (lambda: wl.hopping("-5m", "1m"), "hopping: size must be > 0, not '-5m'"),
    "slide": (lambda: wl.hopping("1m", 0), "hopping: slide must be > 0, not 0"),
    "gap": (lambda: wl.session("0s"), "session: gap must be > 0, not '0s'"),
    "rolling size": (lambda: wl.rolling("-1s"), "rolling: size must be > 0"),
    "n": (lambda: wl.count_window(0), "count_window: n must be a whole number > 0, not 0"),
    "within": (lambda: read().dedup("k", within=0), "dedup: within must be > 0, not 0"),
    "early": (lambda: agg(wl.tumbling("1m"), early=0), "window: early must be > 0"),
    "idle_after": (lambda: read(idle_after="-1s"), "read: idle_after must be > 0"),
    # lateness or out_of_orderness negative or infinite
    "lateness": (lambda: agg(wl.tumbling("1m"), allowed_lateness="-1s"), "allowed_lateness must not be negative"),
    "infinite lateness": (lambda: agg(wl.tumbling("1m"), allowed_lateness=math.inf), "allowed_lateness: must be fin"),
    "dedup lateness": (lambda: read().dedup("k", within="1h", allowed_lateness=-1), "must not be negative, not -1"),
    "bound": (lambda: read(out_of_orderness="-1s"), "read: out_of_orderness must not be negative, not '-1s'"),
    "infinite bound": (lambda: read(out_of_orderness=math.inf), "read: out_of_orderness: must be finite"),
    # offsets, slides, slices, lengths
    "offset": (lambda: wl.tumbling("1m", offset="1m"), 'offset "1m" must be shorter than the size "1m"'),
    "negative offset": (lambda: wl.hopping("5m", "1m", offset="-1m"), 'must be shorter than the slide "1m"'),
    "long slide": (lambda: wl.hopping("1m", "2m"), 'slide "2m" is longer than size "1m": records between two windows'),
    "slices": (
        lambda: agg(wl.hopping(100_001, 1)),
        '100,001 slices a window, and 100,000 are the most; the next slide that divides the size is "11ms"',
    ),
    "slices of no divisor": (lambda: agg(wl.hopping("1d", "7ms")), 'the next slide that divides the size is "864ms"'),
    "long": (lambda: wl.tumbling(10**15 + 1), "tumbling: size: 1000000000000001 is longer than 10^15 ms"),
    "long gap": (lambda: wl.session(timedelta(days=10**8)), "session: gap: .* is longer than 10\\^15 ms"),
    "long lateness": (lambda: agg(wl.tumbling(1), allowed_lateness=10**16), "allowed_lateness: .* is longer than"),
    "long bound": (lambda: read(out_of_orderness=10**16), "read: out_of_orderness: .* is longer than"),
    # triggers
    "early_rows": (lambda: agg(wl.tumbling("1m"), early_rows=0), "early_rows must be a whole number > 0, not 0"),
    "early_rows hopping": (lambda: agg(wl.hopping("2m", "1m"), early_rows=2), "early_rows is not for hopping windows"),
    "early rolling": (lambda: agg(wl.rolling("1m"), early="1s"), "rolling has no panes: no early, emit or allowed"),
    "emit counted": (lambda: agg(wl.count_window(2), emit="delta"), "count_window has no panes: no early, emit or"),
    "late rolling": (lambda: agg(wl.rolling("1m"), allowed_lateness="1s"), "rolling has no panes"),
    "late global": (lambda: agg(wl.global_window(), early_rows=1, allowed_lateness="1s"), "nothing is late for a glob"),
    "global topic": (lambda: agg(wl.global_window()), "a global window over a topic never ends: it needs early_rows"),
    "early final": (lambda: agg(wl.tumbling("1m"), emit="final_only", early="1s"), 'contradict emit="final_only"'),
    "starts_at of hours": (lambda: wl.calendar("hour", starts_at="06:00"), "hours start at the full hour"),
    "starts_at": (lambda: wl.calendar("day", starts_at="6:00"), 'starts_at="6:00" is no time of day, such as "06:00"'),
    "chain": (
        lambda: agg(wl.tumbling("1m"), allowed_lateness="1m").key_by("k").window(wl.tumbling("5m")),
        "below 'window', which can emit a window more than once",
    ),
    # unknown names, with the nearest
    "unit": (lambda: wl.calendar("days"), "calendar: unit='days'; did you mean 'day'?"),
    "zone": (lambda: wl.calendar("day", tz="Europe/Berln"), "zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
    "city": (
        lambda: wl.calendar("day", tz="new york"),
        "unknown time zone 'new york'; did you mean 'America/New_York'?",
    ),
    "abbreviation": (lambda: wl.calendar("day", tz="CEST"), "an abbreviation is no zone: name a place"),
    "weekday": (lambda: wl.calendar("week", week_starts="Sundy"), "did you mean 'sunday'?"),
    "short weekday": (lambda: wl.calendar("week", week_starts="mon"), "did you mean 'monday'?"),
    "column": (lambda: made(x=wl.sum("vv")), "there is no column 'vv'; did you mean 'v'?"),
    "key column": (lambda: read().key_by("kk"), "there is no column 'kk'; did you mean 'k'?"),
    "zone column": (
        lambda: agg(wl.calendar("day", tz_column="zon")),
        "'zon', which is not a column; did you mean 'zone'",
    ),
    "zone numbers": (lambda: agg(wl.calendar("day", tz_column="n")), "tz_column: 'n' is int64; zones are strings"),
    "mode": (lambda: agg(wl.tumbling("1m"), emit="acumulate"), "not 'acumulate'; did you mean 'accumulate'?"),
    "interpolation": (lambda: wl.quantile("v", 0.5, interpolation="nearst"), "did you mean 'nearest'?"),  # type: ignore[arg-type]
    "calendar words": (lambda: wl.tumbling("1mo"), 'mo is a calendar word; use calendar("month"), or days'),
    "week": (lambda: wl.session("1w"), 'w is a calendar word; use calendar("week"), or days ("7d")'),
    "tz of tumbling": (lambda: wl.tumbling("1d", tz="Asia/Tokyo"), "are wl.calendar(\"day\", tz='Asia/Tokyo')"),  # type: ignore[arg-type]
    "tz of hopping": (lambda: wl.hopping("2d", "1d", tz="Asia/Tokyo"), 'windows of a time zone are wl.calendar("day"'),  # type: ignore[arg-type]
    "auto bounds": (lambda: read(unit="auto", not_before="1970-01-10"), "are too far apart; name the unit"),
    # aggregates on wrong types name the column and what it has
    "sum of texts": (lambda: made(x=wl.sum("s")), "sum needs numbers, and column 's' is str; cast it before"),
    "quantile of texts": (lambda: made(x=wl.quantile("s", 0.5)), "quantile needs numbers, and column 's' is str"),
    "bools of numbers": (lambda: made(x=wl.bool_and("v")), "needs a bool, and column 'v' is float; give a predicate"),
    "wide floats": (lambda: made(x=wl.sum("v", wide=True)), "wide is for sums of integers"),
    "q": (lambda: wl.quantile("v", 1.5), "quantile: q must lie between 0 and 1, not 1.5"),
    "k": (lambda: wl.top_k("v", 10**9), "top_k: k is a whole number from 1 to 10,000"),
    # a window without a key
    "no key": (
        lambda: read().window(wl.tumbling("1m")),
        'a window needs a key: .key_by("column").window(...), .key_by().window(...) for the whole stream, or '
        ".window(..., per_partition=True)",
    ),
}


@pytest.mark.parametrize("name", BUILD_ERRORS)
def test_what_cannot_be_is_said_when_the_job_is_built(name: str) -> None:
    build, said = BUILD_ERRORS[name]
    with pytest.raises(wl.InvalidJobError) as caught:
        build()
    parts = said.split(".*") if ".*" in said else [said]
    for part in parts:
        assert part.replace("\\", "") in str(caught.value)


def test_what_lies_just_within_the_bounds_is_built() -> None:
    agg(wl.hopping(100_000, 1))
    agg(wl.tumbling("1m", offset="-59s"))
    agg(wl.tumbling(10**15), allowed_lateness=10**15)
    agg(wl.calendar("day", tz_column="zone"))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("avg", "mean"), ("count_distinct", "n_unique"), ("quantil", "quantile"), ("tumblig", "tumbling")],
)
def test_an_unknown_aggregate_names_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean wl.{meant}\\?"):
        getattr(wl, name)
    assert not hasattr(wl, "__path_of_nothing__")


def panes(rows: Any, window: wl.Window, key: str = "k", **aggregates: wl.Aggregate) -> tuple[list[Any], list[Any]]:
    """All result rows, and the dead letters."""
    job = wl.Job("bad")
    source = wl.from_records(rows) if isinstance(rows, list) else wl.from_arrow(rows)
    keyed = job.read(source, time="ts", not_after=BEHIND).key_by(key)
    stream = keyed.window(window).agg(**aggregates)
    return stream.collect(revisions="all").rows(times="ms"), job.dead_letters.collect().rows()


@pytest.mark.parametrize("window", KINDS, ids=repr)
def test_a_key_of_a_megabyte(window: wl.Window) -> None:
    keys = ["x" * (1 << 20), "x" * ((1 << 20) - 1) + "y"]
    rows = [{"k": key, "n": 2**62, "ts": START} for key in keys for _ in range(2)]
    got, dead = panes(rows, window, count=wl.count())
    assert {row["k"] for row in got} == set(keys)
    assert not dead
    got, dead = panes(rows, window, total=wl.sum("n"))
    assert not got
    assert dead
    assert all(one["reason"] == "overflow" and len(one["message"]) < 500 for one in dead)
    assert all("does not fit int64: k='xxx" in one["message"] and "(1048576 bytes)" in one["message"] for one in dead)


@pytest.mark.parametrize("window", KINDS, ids=repr)
@pytest.mark.parametrize("values", [[2**63 - 1], [-(2**63)], [2**62, 2**62], [-(2**63), -1], [2**63 - 1, -(2**63)]])
def test_integers_at_the_limit(window: wl.Window, values: list[int]) -> None:
    rows = [{"k": "a", "n": value, "ts": START} for value in values]
    fits = -(2**63) <= sum(values) < 2**63
    got, dead = panes(rows, window, total=wl.sum("n"))
    assert (bool(got), bool(dead)) == (fits, not fits) or (window == wl.count_window(2) and len(values) == 1)
    assert {row["total"] for row in got} <= {sum(values)}
    assert all("'total' does not fit int64: k='a'" in one["message"] for one in dead)
    assert all("sum(..., wide=True) holds it" in one["message"] for one in dead)
    got, dead = panes(rows, window, total=wl.sum("n", wide=True), low=wl.min("n"), high=wl.max("n"), m=wl.mean("n"))
    assert not dead
    assert {int(row["total"]) for row in got} == {sum(values)}
    assert {(row["low"], row["high"]) for row in got} == {(min(values), max(values))}
    assert {row["m"] for row in got} == {sum(values) / len(values)}


def holds(window: wl.Window, t: int, row: dict[str, Any]) -> bool:
    if window.kind == "rolling":
        return bool(row["ts"] == t)
    return window.kind == "global_window" or row["window_start"] <= t < row["window_end"]


EDGE_KINDS = [
    *KINDS,
    wl.tumbling(10**15),
    wl.tumbling(10**15, offset=-(10**15) + 1),
    wl.session(10**15),
    wl.rolling(10**15),
    *(wl.calendar(unit, tz=zone) for unit in ("hour", "year") for zone in ("Pacific/Kiritimati", "America/New_York")),
]


@pytest.mark.parametrize("window", EDGE_KINDS, ids=repr)
def test_times_at_the_edges_of_the_range(window: wl.Window) -> None:
    for t in (FIRST, BEHIND - 1):
        got, dead = panes([{"k": "a", "ts": t}], window, n=wl.count())
        assert not dead
        assert len(got) == (2 if window.kind == "hopping" else 1)
        assert all(row["n"] == 1 and holds(window, t, row) for row in got)
    got, dead = panes([{"k": "a", "ts": FIRST - 1}, {"k": "a", "ts": BEHIND}], window, n=wl.count())
    assert not got
    assert [one["reason"] for one in dead] == ["timestamp", "timestamp"]


def test_rows_of_times_behind_what_python_has_are_numbers() -> None:
    keyed = wl.Job("bad").read(wl.from_records([{"k": "a", "ts": BEHIND - 1}]), time="ts", not_after=BEHIND).key_by("k")
    result = keyed.window(wl.tumbling("1m")).agg(n=wl.count()).collect()
    assert result.rows()[0]["window_end"] == BEHIND
    assert str(BEHIND) in str(result)


floats = st.sampled_from([math.nan, -math.nan, 0.0, -0.0, math.inf, -math.inf, 1.5, None])


@pytest.mark.parametrize("window", KINDS, ids=repr)
@settings(max_examples=15, deadline=None)
@given(keys=st.lists(floats, min_size=1, max_size=12))
def test_odd_floats_as_keys(window: wl.Window, keys: list[float | None]) -> None:
    """All NaN are one key, -0.0 is 0.0, null is none."""

    def name(key: float | None) -> str:
        return "nan" if key is not None and math.isnan(key) else repr(0.0 if key == 0 else key)

    frame = pl.DataFrame({"k": keys, "ts": [START] * len(keys)}, schema={"k": pl.Float64, "ts": pl.Int64})
    got, dead = panes(frame, window, n=wl.count())
    wanted = Counter(name(key) for key in keys if key is not None)
    counted: dict[str, int] = {}
    for row in got:
        if window.kind == "count_window":
            counted[name(row["k"])] = counted.get(name(row["k"]), 0) + row["n"]
        else:
            counted[name(row["k"])] = row["n"]
    assert counted == wanted
    assert [one["reason"] for one in dead] == ["null_key"] * keys.count(None)


@pytest.mark.parametrize("window", [one for one in KINDS if one.kind not in ("count_window", "rolling")], ids=repr)
@settings(max_examples=15, deadline=None)
@given(values=st.lists(floats, min_size=1, max_size=12))
def test_odd_floats_as_values_answer_as_polars(window: wl.Window, values: list[float | None]) -> None:
    frame = pl.DataFrame(
        {"k": ["a"] * len(values), "v": values, "ts": [START] * len(values)}, schema_overrides={"v": pl.Float64}
    )
    got, dead = panes(
        frame, window, s=wl.sum("v"), m=wl.mean("v"), lo=wl.min("v"), hi=wl.max("v"), n=wl.count("v"), d=wl.std("v")
    )
    assert not dead
    v = pl.col("v")
    (wanted,) = frame.select(v.sum(), m=v.mean(), lo=v.min(), hi=v.max(), n=v.count(), d=v.std()).rows()
    for row in got:
        for mine, polars in zip((row[one] for one in ("s", "m", "lo", "hi", "n", "d")), wanted, strict=True):
            both_nan = mine is not None and polars is not None and math.isnan(mine) and math.isnan(polars)
            assert both_nan or mine == pytest.approx(polars, abs=1e-9), (row, wanted)


@pytest.mark.parametrize("window", KINDS, ids=repr)
def test_odd_floats_as_times(window: wl.Window) -> None:
    times = [math.nan, math.inf, -math.inf, None, float(START), 1e300, -0.0]
    got, dead = panes(pl.DataFrame({"k": ["a"] * 7, "ts": times}), window, n=wl.count())
    assert [one["reason"] for one in dead] == ["timestamp"] * 5
    assert "ts = nan is no time" in dead[0]["message"]
    assert {row["n"] for row in got} <= {1, 2}


def test_a_million_sessions_of_one_key() -> None:
    count = 1_000_000
    frame = pl.DataFrame({"k": ["a"] * count, "ts": [START + i * 10 for i in range(count)]})
    backwards = frame.reverse()
    for given_rows in (frame, backwards):
        read = wl.Job("sessions").read(wl.from_arrow(given_rows), time="ts")
        got = read.key_by("k").window(wl.session(5)).agg(n=wl.count()).collect().to_polars()
        assert len(got) == count
        assert got["n"].sum() == got["n"].len()
        assert got["window_start"].n_unique() == count


VALUES = {
    "collect": (wl.collect("ts"), "for all: 16 bytes a value"),
    "collect texts": (wl.collect("s"), "for all: 16 bytes a value and its text"),
    "quantile": (wl.quantile("ts", 0.5), "for all: 8 bytes a value"),
    "n_unique": (wl.n_unique("ts"), "for all: about 22 bytes a different value"),
    "collect_set": (wl.collect_set("s"), "for all: about 30 bytes a different value and its text"),
}


@pytest.mark.parametrize("name", VALUES)
def test_more_values_than_memory_end_the_run_and_say_what_to_do(name: str) -> None:
    aggregate, keeps = VALUES[name]
    count = 200_000
    frame = pl.DataFrame({"ts": [START + i for i in range(count)], "s": [f"text {i}" for i in range(count)]})
    with wl.Log("memory:") as log:
        job = wl.Job("values", log=log, memory_limit=1 << 20)
        read = job.read(wl.from_arrow(frame), time="ts")
        read.key_by().window(wl.tumbling("1h")).agg(all=aggregate).write("out")
        with pytest.raises(wl.UnavailableError) as caught:
            job.run()
        said = str(caught.value)
        assert "more than memory_limit=1048576; most of it is step 'window' with" in said
        assert f"({keeps})" in said
        assert "Raise memory_limit, or make its windows" in said
        assert "approx_quantile" in said
        # With more memory the next run goes on.
        again = wl.Job("values", log=log, memory_limit=1 << 30)
        read = again.read(wl.from_arrow(frame), time="ts")
        read.key_by().window(wl.tumbling("1h")).agg(all=aggregate).write("out")
        again.run()
        assert len(log.read("out")) == 1


def test_sketches_and_top_k_stay_small() -> None:
    count = 200_000
    frame = pl.DataFrame({"ts": [START + i for i in range(count)], "s": [f"text {i}" for i in range(count)]})
    read = wl.Job("values", memory_limit=1 << 20).read(wl.from_arrow(frame), time="ts")
    windows = read.key_by().window(wl.tumbling("1h"))
    (row,) = (
        windows.agg(
            d=wl.approx_n_unique("s"),
            q=wl.approx_quantile("ts", 0.5),
            t=wl.top_k("ts", 3),
            f=wl.approx_most_common("s", 3),
        )
        .collect()
        .rows()
    )
    assert row["t"] == [START + count - 1, START + count - 2, START + count - 3]


def test_the_limit_is_of_all_partitions_together() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=4)
        for partition in range(4):
            rows = [{"k": f"{partition}-{i}", "ts": START} for i in range(40_000)]
            log.append("in", rows, partition=partition)

        def run(limit: int) -> None:
            job = wl.Job("sum", log=log, memory_limit=limit)
            read = job.read("in", {"k": str, "ts": int}, time="ts", out_of_orderness="1m", partitioned_by="k")
            read.key_by("k").window(wl.tumbling("1h")).agg(n=wl.count()).write("out")
            job.run(until="now", fresh=True)
            held = sum(task["steps"]["window"]["state_bytes"] for task in job._last_status.tasks)  # type: ignore[union-attr]
            sizes.append(held)

        sizes: list[int] = []
        run(1 << 30)
        one = sizes[0] // 4
        with pytest.raises(wl.UnavailableError, match="more than memory_limit"):
            run(one * 2)


def test_a_result_larger_than_memory_says_to_iterate() -> None:
    frame = pl.DataFrame({"ts": range(300_000)}).with_columns(pl.col("ts") + START)
    stream = wl.Job("large").read(wl.from_arrow(frame), time="ts")
    with pytest.raises(wl.UnavailableError) as caught:
        stream.collect(memory_limit=1 << 20)
    said = str(caught.value)
    assert "the rows take more than memory_limit=1048576 bytes" in said
    assert "for batch in stream.batches(): ..." in said
    assert sum(len(batch) for batch in stream.batches()) == 300_000
    assert len(stream.collect(memory_limit=1 << 24)) == 300_000
    assert len(stream.collect()) == 300_000
    for wrong in (0, -1, True, "1G"):
        with pytest.raises(wl.InvalidArgumentError, match="collect: memory_limit is a number of bytes > 0"):
            stream.collect(memory_limit=wrong)  # type: ignore[arg-type]

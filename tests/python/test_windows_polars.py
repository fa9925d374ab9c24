"""Windows answer as Polars does, on random streams; and whatever comes in is accounted for."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.testing import Driver

AGGREGATES = {
    "n": wl.count(),
    "values": wl.count("v"),
    "total": wl.sum("v"),
    "average": wl.mean("v"),
    "low": wl.min("v"),
    "high": wl.max("v"),
    "spread": wl.std("v"),
    "variance": wl.var("v"),
    "ints": wl.sum("i"),
    "distinct": wl.n_unique("i"),
}

rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.sampled_from(["a", "b", "c", "ä"]),
            "ts": st.integers(-2_000, 2_000),
            "v": st.none() | st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False),
            "i": st.integers(-(2**40), 2**40),
        }
    ),
    min_size=1,
    max_size=60,
)
SCHEMA = {"k": str, "ts": int, "v": float | None, "i": int}


def close(expected: Any, got: Any) -> bool:
    if isinstance(expected, float) and isinstance(got, float):
        # A difference of large sums: what is left may be nothing but their rounding.
        return math.isclose(expected, got, rel_tol=1e-6, abs_tol=1e-3)
    return bool(expected == got)


def by_polars(rows: list[dict[str, Any]], size: int, slide: int, offset: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Each row in each of its windows, then a plain group-by."""
    spread = []
    for row in rows:
        start = (row["ts"] - offset) // slide * slide + offset
        while start > row["ts"] - size:
            spread.append({**row, "start": start})
            start -= slide
    types = {"k": pl.String, "ts": pl.Int64, "v": pl.Float64, "i": pl.Int64, "start": pl.Int64}
    grouped = (
        pl.DataFrame(spread, schema=types)
        .group_by("k", "start")
        .agg(
            n=pl.len(),
            values=pl.col("v").count(),
            total=pl.col("v").sum(),
            average=pl.col("v").mean(),
            low=pl.col("v").min(),
            high=pl.col("v").max(),
            spread=pl.col("v").std(),
            variance=pl.col("v").var(),
            ints=pl.col("i").sum(),
            distinct=pl.col("i").n_unique(),
        )
    )
    return {(row["k"], row["start"]): row for row in grouped.to_dicts()}


# rule: 5.1 7.1 7.2 7.3 7.12
@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=rows_of, size=st.integers(1, 500), data=st.data())
def test_windows_equal_polars(rows: list[dict[str, Any]], size: int, data: st.DataObject) -> None:
    slide = data.draw(st.integers(max(1, size // 7), size), label="slide")
    offset = data.draw(st.integers(-slide + 1, slide - 1), label="offset")
    job = wl.Job("windows")
    window = wl.hopping(size, slide, offset=offset) if slide < size else wl.tumbling(size, offset=offset)
    source = job.read(wl.from_records(rows, SCHEMA), time="ts")
    result = source.key_by("k").window(window).agg(**AGGREGATES).collect()
    expected = by_polars(rows, size, slide, offset)
    got = {(row["k"], row["window_start"]): row for row in result.rows(times="ms")}
    assert got.keys() == expected.keys()
    for name, row in expected.items():
        for column in AGGREGATES:
            assert close(row[column], got[name][column]), (name, column, row[column], got[name][column])


# rule: 2.1 2.2 3.1 3.6
@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=rows_of, bound=st.integers(0, 800), lateness=st.integers(0, 400), size=st.integers(1, 400), data=st.data())
def test_cuts_commits_and_lateness_against_a_brute_force_oracle(
    rows: list[dict[str, Any]], bound: int, lateness: int, size: int, data: st.DataObject
) -> None:
    """What is accepted and what is late follows from the records alone, however they are cut into batches."""
    watermark, accepted, late = -math.inf, defaultdict(list), []
    for row in rows:
        start = row["ts"] // size * size
        if start + size + lateness <= watermark:
            late.append((row["k"], row["ts"], int(watermark - (start + size + lateness) + 1)))
        else:
            accepted[row["k"], start].append(row["i"])
        watermark = max(watermark, row["ts"] - bound)

    job = wl.Job("late")
    source = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=bound)
    windows = source.key_by("k").window(wl.tumbling(size), allowed_lateness=lateness)
    windows.agg(n=wl.count(), total=wl.sum("i"), all=wl.collect("i"))
    driver = Driver(job)
    left = list(rows)
    while left:
        count = data.draw(st.integers(1, len(left)), label="rows in a batch")
        driver.feed(left[:count])
        left = left[count:]
        if data.draw(st.booleans(), label="commit"):
            driver.commit()
            assert driver.ledger.balances
    driver.end()
    last = {(row["k"], row["window_start"]): row for row in driver.results(times="ms")}
    assert {name: sorted(row["all"]) for name, row in last.items()} == {n: sorted(v) for n, v in accepted.items()}
    assert {name: (row["n"], row["total"]) for name, row in last.items()} == {
        name: (len(values), sum(values)) for name, values in accepted.items()
    }
    assert sorted((row["k"], row["ts"], row["late_by_ms"]) for row in driver.late) == sorted(late)
    counts = driver.ledger["window"]
    assert driver.ledger.balances
    assert (counts.in_, counts.late, counts.held) == (len(rows), len(late), 0)


# rule: 2.2 3.5 6.2 6.3
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    ids=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 300)), min_size=1, max_size=60),
    within=st.integers(1, 200),
    bound=st.integers(0, 100),
)
def test_dedup_against_a_brute_force_oracle(ids: list[tuple[int, int]], within: int, bound: int) -> None:
    passed: list[tuple[int, int]] = []
    duplicates, late, watermark = [], [], -math.inf
    for one, ts in ids:
        if ts < watermark:
            late.append((one, ts))
        elif any(other == one and abs(ts - t) < within for other, t in passed):
            duplicates.append((one, ts))
        else:
            passed.append((one, ts))
        watermark = max(watermark, ts - bound)
    job = wl.Job("dedup")
    source = job.read(wl.from_records([], {"id": int, "ts": int}), time="ts", out_of_orderness=bound)
    source.dedup("id", within=within, allowed_lateness=0)
    driver = Driver(job)
    driver.feed([{"id": one, "ts": ts} for one, ts in ids])
    driver.end()
    assert [(row["id"], row["ts"]) for row in driver.results()] == passed
    assert [(row["id"], row["ts"]) for row in driver.duplicates] == duplicates
    assert [(row["id"], row["ts"]) for row in driver.late] == late
    assert driver.ledger.balances


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_does_not_know_pass_through(value: float) -> None:
    rows = [{"k": "a", "ts": 1, "v": 1.0}, {"k": "a", "ts": 2, "v": value}]
    job = wl.Job("floats")
    stream = job.read(wl.from_records(rows), time="ts").key_by("k").window(wl.tumbling(10))
    result = stream.agg(s=wl.sum("v"), low=wl.min("v"), high=wl.max("v")).collect().rows()[0]
    frame = pl.DataFrame({"v": [1.0, value]})
    expected: Any
    for name, expected in [("s", frame["v"].sum()), ("low", frame["v"].min()), ("high", frame["v"].max())]:
        assert result[name] == expected or (math.isnan(result[name]) and math.isnan(expected))


def test_withdrawn_sessions_are_not_among_the_last_revisions() -> None:
    """Records at 0 and 20 are two sessions until 10 joins them."""
    rows = [{"k": "a", "ts": ts} for ts in (0, 20, 100, 10)]
    job = wl.Job("joined")
    read = job.read(wl.from_records(rows), time="ts", out_of_orderness=0)
    sessions = read.key_by("k").window(wl.session("10ms"), allowed_lateness="1s").agg(n=wl.count())
    last = sessions.collect().to_polars().select("window_start", "n", "pane").rows()
    assert [(start.microsecond // 1000, n) for start, n, _ in last] == [(100, 1), (0, 3)] or [
        (start.microsecond // 1000, n) for start, n, _ in last
    ] == [(0, 3), (100, 1)]
    every = sessions.collect(revisions="all").to_polars()
    assert every.filter(pl.col("pane") == "merged").height == 2
    assert sessions.filter(pl.col("pane") == "merged").collect().rows() == []


def test_the_last_revisions_need_no_column_that_says_which_pane() -> None:
    rows = [{"k": "a", "ts": ts} for ts in (0, 20, 3, 4)]
    read = wl.Job("late").read(wl.from_records(rows), time="ts", out_of_orderness=0)
    counts = read.key_by("k").window(wl.tumbling("10ms"), allowed_lateness="1s").agg(n=wl.count())
    for stream in (counts.select("k", "window_start", "window_end", "n"), counts.rename({"pane": "why"})):
        assert sorted(row["n"] for row in stream.collect().rows()) == [1, 3]

"""Windows against Polars' own: group_by_dynamic, rolling, sessions by differences; random rows in random batches."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.testing import Driver

SCHEMA = {"k": str, "i": int, "v": int | None, "ts": int}
TYPES = {"k": pl.String, "i": pl.Int64, "v": pl.Int64, "ts": pl.Int64}
HOUR = 3_600_000


def rows_between(first: int, last: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.tuples(st.sampled_from("abc"), st.none() | st.integers(-9, 9), st.integers(first, last))
    return st.lists(one, min_size=1, max_size=60).map(
        lambda rows: [{"k": k, "i": i, "v": v, "ts": ts} for i, (k, v, ts) in enumerate(rows)]
    )


def frame_of(rows: list[dict[str, Any]], zone: str = "UTC") -> pl.DataFrame:
    """In the order of time, equal ones as they came."""
    frame = pl.DataFrame(rows, schema=TYPES)
    at = pl.from_epoch("ts", "ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return frame.with_columns(at=at).sort("at", maintain_order=True)


def driven(window: wl.Window, rows: list[dict[str, Any]], data: st.DataObject) -> list[dict[str, Any]]:
    """Nothing is late: the bound is as wide as the rows lie. Each batch ends anywhere, with a commit or without."""
    bound = max(row["ts"] for row in rows) - min(row["ts"] for row in rows)
    job = wl.Job("windows")
    stream = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=bound).key_by("k").window(window)
    stream.agg(
        n=wl.count(), total=wl.sum("v"), low=wl.min("v"), high=wl.max("v"), first=wl.first("i"), last=wl.last("i")
    )
    driver = Driver(job)
    left = list(rows)
    while left:
        count = data.draw(st.integers(1, len(left)), label="rows in a batch")
        driver.feed(left[:count])
        left = left[count:]
        if data.draw(st.booleans(), label="commit"):
            driver.commit()
    driver.end()
    assert driver.late == []
    assert driver.ledger.balances
    return driver.results(times="ms")


def aggregates() -> list[pl.Expr]:
    v, i = pl.col("v"), pl.col("i")
    return [
        pl.len().cast(pl.Int64).alias("n"),
        v.sum().alias("total"),
        v.min().alias("low"),
        v.max().alias("high"),
        i.first().alias("first"),
        i.last().alias("last"),
    ]


NAMES = ["n", "total", "low", "high", "first", "last"]


def in_windows(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    found = {tuple(row[key] for key in keys): tuple(row[name] for name in NAMES) for row in rows}
    assert len(found) == len(rows), "a window twice"
    return found


# rule: 5.1 7.1
@settings(max_examples=80, derandomize=True)
@given(rows_between(-2_000, 2_000), st.integers(1, 400), st.integers(1, 6), st.data())
def test_tumbling_and_hopping_are_group_by_dynamic(
    rows: list[dict[str, Any]], slide: int, most: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(slide, slide * most), label="size")
    offset = data.draw(st.integers(1 - slide, slide - 1), label="offset")
    window = wl.hopping(size, slide, offset=offset) if slide < size else wl.tumbling(size, offset=offset)
    got = in_windows(driven(window, rows, data), "k", "window_start", "window_end")
    times = {"every": f"{slide}ms", "period": f"{size}ms", "offset": f"{offset}ms", "closed": "left"}
    # Polars has no window that starts before a key's first row: a row of each key long before lets them in.
    before = min(row["ts"] for row in rows) - 3 * size
    early = [{"k": k, "i": -1, "v": None, "ts": before} for k in sorted({row["k"] for row in rows})]
    grouped = frame_of(early + rows).group_by_dynamic("at", group_by="k", include_boundaries=True, **times)  # type: ignore[arg-type]
    starts = [
        pl.col("_lower_boundary").dt.epoch("ms").alias("start"),
        pl.col("_upper_boundary").dt.epoch("ms").alias("end"),
    ]
    wanted = grouped.agg(aggregates()).with_columns(starts).filter(pl.col("first") >= 0).to_dicts()
    assert got == in_windows(wanted, "k", "start", "end")


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
]
UNITS = {"day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}
YEAR = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp() * 1000)


# rule: 5.6 5.8
@settings(max_examples=80, derandomize=True)
@given(rows_between(YEAR, YEAR + 366 * 24 * HOUR), st.sampled_from(ZONES), st.sampled_from(sorted(UNITS)), st.data())
def test_calendar_windows_are_group_by_dynamic(
    rows: list[dict[str, Any]], zone: str, unit: Any, data: st.DataObject
) -> None:
    got = in_windows(driven(wl.calendar(unit, tz=zone), rows, data), "k", "window_start", "window_end")
    grouped = frame_of(rows, zone).group_by_dynamic("at", every=UNITS[unit], group_by="k", include_boundaries=True)
    starts = [
        pl.col("_lower_boundary").dt.epoch("ms").alias("start"),
        pl.col("_upper_boundary").dt.epoch("ms").alias("end"),
    ]
    assert got == in_windows(grouped.agg(aggregates()).with_columns(starts).to_dicts(), "k", "start", "end")


# rule: 5.12 7.1
@settings(max_examples=80, derandomize=True)
@given(rows_between(0, 100), st.integers(1, 30), st.data())
def test_rolling_is_rolling(rows: list[dict[str, Any]], size: int, data: st.DataObject) -> None:
    got = driven(wl.rolling(size), rows, data)
    frame = frame_of(rows).sort("k", maintain_order=True)
    rolled = frame.rolling("at", period=f"{size}ms", closed="right", group_by="k").agg(aggregates())
    wanted = rolled.with_columns(frame["i"]).to_dicts()
    assert in_windows(got, "k", "i") == in_windows(wanted, "k", "i")
    for key in "abc":
        of_key = [(row["ts"], row["i"]) for row in got if row["k"] == key]
        assert of_key == sorted(of_key)


# rule: 5.3 5.4
@settings(max_examples=80, derandomize=True)
@given(rows_between(0, 60), st.integers(1, 12), st.data())
def test_sessions_end_where_the_next_record_is_more_than_a_gap_away(
    rows: list[dict[str, Any]], gap: int, data: st.DataObject
) -> None:
    got = in_windows(driven(wl.session(gap), rows, data), "k", "window_start", "window_end")
    apart = pl.col("ts").diff().over("k") > gap
    numbered = frame_of(rows).with_columns(number=apart.fill_null(value=False).cum_sum().over("k"))
    bounds = [pl.col("ts").min().alias("start"), (pl.col("ts").max() + gap).alias("end")]
    wanted = numbered.group_by("k", "number", maintain_order=True).agg(*aggregates(), *bounds).to_dicts()
    assert got == in_windows(wanted, "k", "start", "end")

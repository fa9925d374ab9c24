"""Windows in memory, on one worker, from ready columns to rows: against DuckDB on one thread, and against each other.

    python benchmarks/windows.py [PAIRS]

DuckDB groups all rows at once by key and window; both give the same rows, or there is no figure. Days in twenty zones,
a zone a row, are against days of 24 hours of UTC over the same rows. One JSON line per figure; rates are rows a second.
"""

from __future__ import annotations

import sys

import duckdb
import numpy as np
import polars as pl
from python_surface import compare

import wrackline as wl

ROWS, KEYS, ROWS_PER_MS = 4_000_000, 100_000, 500
START = 1_700_000_000_000
DAY = 86_400_000
ZONES = [
    "Africa/Cairo",
    "Africa/Johannesburg",
    "America/Chicago",
    "America/Denver",
    "America/Lima",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Seoul",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Lisbon",
    "Europe/London",
    "Pacific/Auckland",
]

AGGREGATES = {"n": wl.count(), "sum": wl.sum("value"), "low": wl.min("value"), "high": wl.max("value")}


def against_duckdb(pairs: int) -> None:
    random = np.random.default_rng(42)
    keys = pl.Series([f"truck-{number:010}" for number in range(KEYS)])
    frame = pl.DataFrame(
        {
            "key": keys.gather(random.integers(0, KEYS, ROWS)),
            "value": random.integers(0, 100_000, ROWS) / 4,  # sums are exact
            "time": START + np.arange(ROWS) // ROWS_PER_MS,
        }
    )
    source = wl.from_arrow(frame)
    database = duckdb.connect(config={"threads": 1})
    database.execute("create table rows as select * from frame")

    def ours() -> pl.DataFrame:
        stream = wl.Job("windows").read(source, time="time", out_of_orderness=0)
        return stream.key_by("key").window(wl.tumbling("2s")).agg(**AGGREGATES).collect().to_polars()

    def limit() -> pl.DataFrame:
        rows: pl.DataFrame = database.sql(
            "select key, time // 2000 * 2000 starts, count(*) n, sum(value) sum, min(value) low, max(value) high"
            " from rows group by key, starts"
        ).pl()
        return rows

    starts = pl.col("window_start").dt.epoch("ms").alias("starts")
    mine = ours().select("key", starts, *AGGREGATES).sort("key", "starts")
    theirs = limit().with_columns(pl.col("n").cast(pl.Int64)).sort("key", "starts")
    assert mine.equals(theirs), f"{mine} {theirs}"
    compare("tumbling, 100 K string keys, against DuckDB's group-by", pairs, ours, limit, items=ROWS)


def zones_by_row(pairs: int) -> None:
    """Thirty days over a change of the clocks, a thousand shops."""
    random = np.random.default_rng(42)
    shops = random.integers(0, 1_000, ROWS)
    frame = pl.DataFrame(
        {
            "shop": shops,
            "zone": pl.Series(ZONES).gather(shops % len(ZONES)),
            "value": random.integers(0, 100_000, ROWS) / 4,
            "time": 1_773_000_000_000 + np.arange(ROWS) * (30 * DAY) // ROWS,
        }
    )
    source = wl.from_arrow(frame)

    def days(window: wl.Window) -> int:
        stream = wl.Job("days").read(source, time="time", out_of_orderness=0)
        return len(stream.key_by("shop").window(window).agg(**AGGREGATES).collect())

    def ours() -> int:
        return days(wl.calendar("day", tz_column="zone"))

    def limit() -> int:
        return days(wl.tumbling("1d"))

    assert ours() > 30_000
    compare("days in 20 zones by row, against tumbling('1d')", pairs, ours, limit, items=ROWS)


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for part in (against_duckdb, zones_by_row):
        part(rounds)

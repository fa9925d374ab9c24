"""What examples/earthquakes.py has to find, computed by Polars over the whole feed at once.

Nothing here streams: the watermark before each record is a shifted running maximum, a late record a comparison of two
columns. It is the rules of docs/semantics.md in other words, and shares no code with the engine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl
from earthquake_feed import HOUR_MS, Line

OUT_OF_ORDERNESS_MS = 6 * HOUR_MS
ALLOWED_LATENESS_MS = 24 * HOUR_MS
WINDOW_MS = 6 * HOUR_MS
NOT_BEFORE_MS = 1_514_764_800_000  # 2018-01-01
NOT_AFTER_MS = 4_102_444_800_000  # 2100-01-01
MAX_FUTURE_MS = 60_000


@dataclass
class Expected:
    results: pl.DataFrame  # net, window_start, quakes, mean_mag, max_mag
    late: pl.DataFrame  # id, window_start, late_by_ms, watermark
    repeated: pl.DataFrame  # id
    refused: list[bytes]


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _read(line: Line) -> dict[str, Any] | None:
    """The columns of a good line; None: a dead letter."""
    try:
        quake = json.loads(line.value, parse_constant=_no_constant)
    except ValueError:
        return None
    row = {name: quake.get(name) for name in ("id", "net", "event_ms", "published_ms", "mag")}
    good = (
        all(isinstance(row[name], kind) for name, kind in (("id", str), ("net", str), ("event_ms", int)))
        and (row["mag"] is None or isinstance(row["mag"], int | float))
        and NOT_BEFORE_MS <= row["event_ms"] < NOT_AFTER_MS
        and row["event_ms"] <= line.arrival_ms + MAX_FUTURE_MS
    )
    return row if good else None


def expected(feed: list[Line]) -> Expected:
    read = [(line, _read(line)) for line in feed]
    quakes = pl.DataFrame([row for _, row in read if row is not None]).with_columns(
        pl.col("mag").cast(pl.Float64),
        watermark=pl.col("event_ms").cum_max().shift(1) - OUT_OF_ORDERNESS_MS,
        window_start=pl.col("event_ms") // WINDOW_MS * WINDOW_MS,
    )
    quakes = quakes.with_columns(
        first=pl.col("id").is_first_distinct(),
        late_by_ms=pl.col("watermark") - (pl.col("window_start") + WINDOW_MS + ALLOWED_LATENESS_MS) + 1,
    )
    late = pl.col("late_by_ms").fill_null(0) > 0
    once = quakes.filter("first")
    results = (
        once.filter(~late)
        .group_by("net", "window_start")
        .agg(quakes=pl.len().cast(pl.Int64), mean_mag=pl.col("mag").mean(), max_mag=pl.col("mag").max())
    )
    return Expected(
        results=results.sort("net", "window_start"),
        late=once.filter(late).select("id", "window_start", "late_by_ms", "watermark").sort("id"),
        repeated=quakes.filter(~pl.col("first")).select("id").sort("id"),
        refused=sorted(line.value for line, row in read if row is None),
    )


def same_results(found: pl.DataFrame, wanted: pl.DataFrame) -> bool:
    """Whether the last rows of all windows are these. Means may differ in their last bits, nothing else may."""
    last = found.unique(["net", "window_start"], keep="last", maintain_order=True).sort("net", "window_start")
    exact = ["net", "window_start", "quakes", "max_mag"]
    difference = (last["mean_mag"] - wanted["mean_mag"]).abs() if len(last) == len(wanted) else pl.Series([1.0])
    return last.select(exact).equals(wanted.select(exact)) and bool((difference < 1e-12).all())

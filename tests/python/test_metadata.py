"""What the log says of a record, as columns of expressions, functions, keys and aggregates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import wrackline as wl


class Event(wl.Schema):
    v: int
    ts: datetime


@pytest.fixture
def events() -> Any:
    log = wl.Log("memory:")
    log.create("in", partitions=2)
    for i in range(6):
        row = {"v": i, "ts": i, "k": f"k{i % 2}"}
        key = None if i == 5 else "k"
        log.append("in", [row], key=key, partition=i % 2, timestamps=[1_700_000_000_000 + i])
    job = wl.Job("meta", log=log)
    return job.read("in", Event, time="ts", out_of_orderness="1s", not_before=0, partitioned_by="v")


def test_all_of_them_can_be_selected(events: Any) -> None:
    names = ["_key", "_timestamp", "_topic", "_partition", "_offset", "_headers"]
    rows = sorted(events.select("v", *names).collect().rows(), key=lambda row: row["v"])
    assert [row["_key"] for row in rows] == ["k0", "k1", "k0", "k1", "k0", None]
    assert [row["_partition"] for row in rows] == [0, 1, 0, 1, 0, 1]
    assert [row["_offset"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert {row["_topic"] for row in rows} == {"in"}
    assert rows[3]["_timestamp"] == datetime.fromtimestamp(1_700_000_000_003 / 1000, UTC)
    assert rows[2]["_headers"] == {}


def test_they_are_no_columns_until_they_are_named(events: Any) -> None:
    assert events.collect().columns == ["v", "ts"]
    assert events.filter(pl.col("_offset") == 0).collect().columns == ["v", "ts"]
    assert events.with_columns(pl.col("_offset").alias("offset")).schema.names == ["v", "ts", "offset"]


def test_filters_functions_keys_and_aggregates_use_them(events: Any) -> None:
    assert {row["v"] for row in events.filter(pl.col("_partition") == 1).collect()} == {1, 3, 5}
    assert {row["v"] for row in events.filter("_offset", ">=", 1).collect()} == {2, 3, 4, 5}
    doubled = events.map(lambda v, _offset: v * 10 + _offset, returns={"x": int})
    assert {row["x"] for row in doubled.collect()} == {0, 10, 21, 31, 42, 52}
    per_key = events.key_by("v", "_key").window(wl.tumbling("1s"), null_key="group").agg(last=wl.max("_offset"))
    found = {(row["v"], row["_key"]): row["last"] for row in per_key.collect(close=True)}
    assert found == {(0, "k0"): 0, (1, "k1"): 0, (2, "k0"): 1, (3, "k1"): 1, (4, "k0"): 2, (5, None): 2}
    assert events.dedup("_key", within="1h").collect().to_polars()["v"].sort().to_list() == [0, 1]


def test_late_rows_have_them_too(events: Any) -> None:
    late = events.key_by("v").window(wl.tumbling("1ms")).agg(n=wl.count()).late.select("v", "_offset")
    assert late.schema.names == ["v", "_offset"]


def test_bounded_rows_have_a_number() -> None:
    rows = wl.from_records([{"v": i, "ts": i} for i in range(100)])
    read = wl.Job("bounded").read(rows, time="ts")
    made = (
        read.filter(pl.col("v") % 7 == 0).select("v", "_offset", "_partition", "_key", "_topic", "_headers").collect()
    )
    frame = made.to_polars()
    assert frame["_offset"].to_list() == frame["v"].to_list()
    assert frame["_partition"].unique().to_list() == [0]
    assert frame["_key"].null_count() == len(frame) == frame["_topic"].null_count() == frame["_headers"].null_count()


def test_results_of_windows_have_no_record(events: Any) -> None:
    counts = events.key_by("v").window(wl.tumbling("1s")).agg(n=wl.count())
    with pytest.raises(wl.InvalidJobError, match="there is no '_offset': results of windows"):
        counts.filter(pl.col("_offset") > 0)
    with pytest.raises(wl.InvalidJobError, match="did you mean '_offset'"):
        events.select("_ofset")

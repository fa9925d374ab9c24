"""Bounded inputs: what rows become, and what is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import wrackline as wl


def collected(source: wl.BoundedRows, time: str = "ts") -> list[dict[str, Any]]:
    return wl.Job("rows").read(source, time=time).collect().rows()


def test_types_are_inferred_from_all_rows() -> None:
    rows = wl.from_records(
        [
            {"ts": 1, "b": True, "i": None, "f": 1, "s": "ä", "x": b"\x00", "t": datetime(2024, 1, 1)},
            {"ts": 2, "i": 2**63 - 1, "f": 2.5, "n": {"a": 1}, "t": datetime(1969, 12, 31, 23, 59, 59, 999_999)},
        ]
    )
    assert repr(rows.schema) == (
        "Schema(ts: int, b: bool | None, i: int | None, f: float, s: str | None, x: bytes | None, t: datetime, "
        "n.a: int | None)"
    )
    first, second = collected(rows)
    assert first["t"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert second["t"] == datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)  # floored, also before 1970
    assert (first["b"], first["i"], first["f"], first["s"], first["x"], first["n.a"]) == (
        True,
        None,
        1.0,
        "ä",
        b"\0",
        None,
    )
    assert (second["b"], second["i"], second["f"], second["n.a"]) == (None, 2**63 - 1, 2.5, 1)


def test_times_in_other_zones_are_the_same_instant() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    (row,) = collected(wl.from_records([{"ts": datetime(2024, 1, 1, 5, 30, tzinfo=zone)}]))
    assert row["ts"] == datetime(2024, 1, 1, tzinfo=UTC)


def test_numpy_scalars_are_numbers() -> None:
    (row,) = collected(wl.from_records([{"ts": np.int64(5), "f": np.float64(1.5)}]))
    assert row == {"ts": 5, "f": 1.5}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"v": 1}, {"v": "x"}], 'row 1, column "v": a str, but row 0 has a int'),
        ([{"v": True}, {"v": 1}], 'row 1, column "v": a int, but row 0 has a bool'),
        ([{"v": {1}}], "a set cannot be a column value"),
        ([{"v": [1]}, {"v": 1}], 'row 1, column "v": a int, but row 0 has a list'),
        ([{"v": 2**63}], "9223372036854775808 does not fit int64"),
        ([{1: 2}], "a column name is a int"),
        ([1], "row 0 is a int, not a dict"),
    ],
)
def test_rows_that_are_no_columns(rows: list[Any], said: str) -> None:
    with pytest.raises(wl.InvalidArgumentError) as caught:
        wl.from_records(rows)
    assert said in str(caught.value)
    assert str(caught.value).startswith("from_records: ")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"v": 1.5}, "a float, but the column is int64"),
        ({"v": "1"}, "a str, but the column is int64"),
        ({"v": True}, "a bool, but the column is int64"),
        ({"v": None}, "no value, but the schema requires one"),
        ({}, "no value, but the schema requires one"),
    ],
)
def test_rows_against_a_schema(row: dict[str, Any], said: str) -> None:
    with pytest.raises(wl.InvalidArgumentError) as caught:
        wl.from_records([{"v": 1}, row], {"v": int})
    assert "row 1" in str(caught.value)
    assert said in str(caught.value)


FRAME: dict[str, Any] = {"k": ["a", "b", None], "v": [1.5, math.inf, None], "ts": [1, 2, 3]}
EXPECTED: list[dict[str, Any]] = [
    {"k": "a", "v": 1.5, "ts": 1},
    {"k": "b", "v": math.inf, "ts": 2},
    {"k": None, "v": None, "ts": 3},
]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame(FRAME),
        pl.DataFrame(FRAME).with_columns(pl.col("k").cast(pl.Categorical)),
        pa.table(FRAME),
        pa.record_batch(FRAME),
        pa.concat_tables([pa.table(FRAME).slice(0, 1), pa.table(FRAME).slice(1)]),
        pd.DataFrame(FRAME).astype({"k": "string"}),
    ],
    ids=["polars", "categorical", "pyarrow", "record batch", "chunks", "pandas"],
)
def test_frames_of_every_kind(frame: Any) -> None:
    rows = collected(wl.from_arrow(frame))
    if isinstance(frame, pd.DataFrame):  # NaN is its null
        assert [(row["k"], row["ts"]) for row in rows] == [(row["k"], row["ts"]) for row in EXPECTED]
    else:
        assert rows == EXPECTED


def test_results_go_to_every_kind_of_frame() -> None:
    result = wl.Job("rows").read(wl.from_arrow(pl.DataFrame(FRAME)), time="ts").collect()
    assert result.to_polars().to_dicts() == EXPECTED
    assert result.to_arrow().to_pylist() == EXPECTED
    assert result.to_pandas()["k"].tolist()[:2] == ["a", "b"]
    assert pl.DataFrame(result).height == len(result) == 3
    connection = duckdb.connect()
    assert connection.execute("select sum(ts) from result").fetchall() == [(6,)]
    assert connection.execute("select max(k) from result").fetchall() == [("b",)]  # a second stream of the same rows
    assert pa.schema(result).names == ["k", "v", "ts"]


def test_frames_against_a_schema() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None], "ts": [1, 2]})
    rows = wl.from_arrow(frame, {"ts": int, "a": float, "missing": str | None})
    assert collected(rows)[1] == {"ts": 2, "a": 2.0, "missing": None}
    with pytest.raises(wl.InvalidArgumentError, match='column "a" is int64, but the schema says string'):
        wl.from_arrow(frame, {"ts": int, "a": str})
    with pytest.raises(wl.InvalidArgumentError, match='row 1: column "b" is null'):
        wl.from_arrow(frame, {"ts": int, "b": str})
    with pytest.raises(wl.InvalidArgumentError, match='no column "c"'):
        wl.from_arrow(frame, {"ts": int, "c": str})
    with pytest.raises(wl.InvalidArgumentError, match="no Arrow interface"):
        wl.from_arrow([1, 2])


def test_decimals_of_wide_sums_arrive_as_integers() -> None:
    rows = [{"ts": 1, "v": 2**63 - 1}, {"ts": 2, "v": 2**63 - 1}]
    stream = wl.Job("wide").read(wl.from_records(rows), time="ts").key_by().window(wl.tumbling(10))
    result = stream.agg(total=wl.sum("v", wide=True)).collect()
    assert result.rows()[0]["total"] == 2 * (2**63 - 1)
    assert result.to_polars()["total"].to_list() == [2 * (2**63 - 1)]


# rule: 2.21
def test_the_second_run_over_the_same_rows_is_an_error() -> None:
    with wl.Log("memory:") as lg:
        job = wl.Job("twice", log=lg)
        job.read(wl.from_records([{"ts": 1}]), time="ts").write("out")
        assert job.run().rows == 1
        with pytest.raises(wl.InvalidJobError, match="fresh"):
            job.run()
        assert len(lg.read("out")) == 1
        job.run(fresh=True)
        assert len(lg.read("out")) == 2

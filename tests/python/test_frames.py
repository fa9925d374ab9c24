"""`from_arrow` over every kind of frame: what comes out is what the library itself would say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import wrackline as wl


def rows_of(source: wl.BoundedRows) -> list[dict[str, Any]]:
    return pl.DataFrame(source).to_dicts()


FLAT = pl.DataFrame(
    {
        "k": ["a", None, "a longer text than twelve bytes"] * 40,
        "n": list(range(120)),
        "x": [1.5, None, -0.0] * 40,
        "at": [datetime(2024, 2, 29, 12, tzinfo=UTC) + timedelta(milliseconds=i) for i in range(120)],
    },
    schema_overrides={"at": pl.Datetime("ms", "UTC")},
)
NESTED = pl.DataFrame(
    {
        "k": ["a", "b", "c"],
        "gps": [{"speed": 88.5, "at": {"lat": 1.5, "lon": None}}, None, {"speed": None, "at": None}],
        "ok": [True, None, False],
    }
)
NESTED_ROWS: list[dict[str, Any]] = [
    {"k": "a", "gps.speed": 88.5, "gps.at.lat": 1.5, "gps.at.lon": None, "ok": True},
    {"k": "b", "gps.speed": None, "gps.at.lat": None, "gps.at.lon": None, "ok": None},
    {"k": "c", "gps.speed": None, "gps.at.lat": None, "gps.at.lon": None, "ok": False},
]


def relation(frame: pl.DataFrame) -> Any:
    table = frame.to_arrow()
    return duckdb.connect().from_arrow(table)


SENDERS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "polars slice": lambda frame: pl.concat([frame, frame, frame]).slice(frame.height, frame.height),
    "polars chunks": lambda frame: pl.concat([frame.head(1), frame.slice(1)], rechunk=False),
    "pyarrow table": lambda frame: frame.to_arrow(),
    "pyarrow slice": lambda frame: pl.concat([frame.head(2), frame]).to_arrow().slice(2),
    "pyarrow batch": lambda frame: frame.rechunk().to_arrow().combine_chunks().to_batches()[0],
    "pyarrow reader": lambda frame: frame.to_arrow().to_reader(max_chunksize=7),
    "duckdb relation": relation,
    "wrackline": wl.from_arrow,
}


@pytest.mark.parametrize("sender", SENDERS)
def test_frames_of_every_kind(sender: str) -> None:
    assert rows_of(wl.from_arrow(SENDERS[sender](FLAT))) == FLAT.to_dicts()


@pytest.mark.parametrize("sender", SENDERS)
def test_nested_columns_become_dotted_ones(sender: str) -> None:
    assert rows_of(wl.from_arrow(SENDERS[sender](NESTED))) == NESTED_ROWS


def test_nested_columns_without_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wrackline.frames_polars", None)
    assert rows_of(wl.from_arrow(relation(NESTED))) == NESTED_ROWS
    rows = wl.from_arrow(relation(NESTED), {"k": str, "gps.at.lat": float | None})
    assert rows_of(rows) == [{"k": row["k"], "gps.at.lat": row["gps.at.lat"]} for row in NESTED_ROWS]


def test_pandas_frames() -> None:
    frame = pd.DataFrame(
        {
            "k": pd.Categorical(["a", None, "a"]),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "at": pd.to_datetime(["2024-01-01", None, "2024-01-03"], utc=True),
            "gps": [{"speed": 1.5}, None, {"speed": 2.5}],
        }
    )
    assert rows_of(wl.from_arrow(frame)) == [
        {"k": "a", "n": 1, "at": datetime(2024, 1, 1, tzinfo=UTC), "gps.speed": 1.5},
        {"k": None, "n": None, "at": None, "gps.speed": None},
        {"k": "a", "n": 3, "at": datetime(2024, 1, 3, tzinfo=UTC), "gps.speed": 2.5},
    ]


def test_categories_are_strings() -> None:
    values = ["b", None, "a", "b"] * 100
    for dtype in (pl.Categorical(), pl.Enum(["a", "b"])):
        frame = pl.DataFrame({"c": pl.Series(values, dtype=dtype)})
        rows = wl.from_arrow(frame.slice(3))
        assert [row["c"] for row in rows_of(rows)] == values[3:]
        assert repr(rows.schema) == "Schema(c: str | None)"
    assert rows_of(wl.from_arrow(pa.table({"c": pa.array(values).dictionary_encode()}))) == [{"c": v} for v in values]


def test_frames_without_rows_or_columns() -> None:
    assert repr(wl.from_arrow(FLAT.clear())) == (
        "0 rows of Schema(k: str | None, n: int | None, x: float | None, at: datetime | None)"
    )
    assert wl.from_arrow(NESTED.clear()).schema.names == ["k", "gps.speed", "gps.at.lat", "gps.at.lon", "ok"]
    for frame in (pl.DataFrame(), pa.table({}), pd.DataFrame()):
        empty = wl.from_arrow(frame)
        assert (len(empty), empty.schema.names) == (0, [])
        with pytest.raises(wl.InvalidJobError, match="read: these rows have no columns"):
            wl.Job("none").read(empty, time="ts")
    assert len(wl.Job("none").read(wl.from_arrow(FLAT.clear()), time="at").collect()) == 0


def test_two_thousand_columns() -> None:
    frame = pl.DataFrame({f"c{i}": [i, -i, None] for i in range(2_000)})
    source = wl.from_arrow(frame)
    assert source.schema.names == frame.columns
    got = wl.Job("wide").read(source, time="c1").collect()
    assert got.to_polars().equals(frame.head(2))  # the third has no time


def test_a_frame_in_parts_with_offsets() -> None:
    parts = [FLAT.slice(i * 17, 17).to_arrow().slice(3, 9) for i in range(6)]
    expected = [row for i in range(6) for row in FLAT.slice(i * 17 + 3, 9).to_dicts()]
    assert rows_of(wl.from_arrow(pa.concat_tables(parts))) == expected


def test_a_producer_that_fails_half_way_says_why() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1]})
        raise RuntimeError("the disk is on fire")

    schema = pa.schema({"n": pa.int64()})
    with pytest.raises(wl.InvalidArgumentError, match="the disk is on fire"):
        wl.from_arrow(pa.RecordBatchReader.from_batches(schema, batches()))

    class Broken:
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            raise RuntimeError("nothing to give")

    with pytest.raises(wl.InvalidArgumentError, match="the Broken gave no Arrow data: nothing to give") as caught:
        wl.from_arrow(Broken())
    assert isinstance(caught.value.__cause__, RuntimeError)
    failing = duckdb.connect().sql(
        "select case when i < 5000 then i else error('row 5000 is bad') end n from range(9000) t(i)"
    )
    with pytest.raises(Exception, match="row 5000 is bad"):
        wl.from_arrow(failing)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"price": [Decimal("1.50")]}), r"column 'price'.*cast it to float64 or string"),
        (pa.table({"price": pa.array([Decimal("1.50")])}), r"column 'price'.*cast it to float64 or string"),
        (pl.DataFrame({"took": [timedelta(seconds=1)]}), r"column 'took'.*cast it"),
        (pl.DataFrame({"clock": [time(12)]}), r"column 'clock'.*cast it"),
        (pl.DataFrame({"trips": [[{"x": timedelta(1)}]]}), r"column 'trips' has a timedelta in a list"),
        (pl.DataFrame({"a": [{"x": 1}], "a.x": [2]}), r"two columns are named 'a\.x'"),
        (pa.table({"a": pa.array([{"x": 1}]), "a.x": pa.array([2])}), r"two columns are named 'a\.x'"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns are named 'a'"),
        (pl.LazyFrame({"a": [1]}), r"give frame\.collect\(\)"),
        (pl.Series("a", [1]), "a table is needed"),
        (pl.DataFrame({"n": pl.Series([2**63], dtype=pl.UInt64)}), "9223372036854775808 is beyond int64"),
        ({"a": [1]}, "a dict has no Arrow interface"),
    ],
)
def test_what_is_refused_says_what_to_do(frame: Any, said: str) -> None:
    with pytest.raises(wl.InvalidArgumentError, match=said) as caught:
        wl.from_arrow(frame)
    assert str(caught.value).startswith("from_arrow: ")


def test_decimals_of_duckdb_are_cast_in_its_query() -> None:
    connection = duckdb.connect()
    with pytest.raises(wl.InvalidArgumentError, match=r"column 'price'.*cast it to float64 or string"):
        wl.from_arrow(connection.sql("select 1.5 as price"))
    assert rows_of(wl.from_arrow(connection.sql("select 1.5::double as price"))) == [{"price": 1.5}]


def test_a_path_of_the_schema_finds_the_nested_column() -> None:
    class Reading(wl.Schema):
        k: str
        speed: float | None = wl.field(path="gps.speed")

    for frame in (NESTED, NESTED.to_arrow()):
        rows = wl.from_arrow(frame, Reading)
        assert rows_of(rows) == [{"k": row["k"], "speed": row["gps.speed"]} for row in NESTED_ROWS]
    assert rows_of(wl.from_arrow(pl.DataFrame({"k": ["a"], "speed": [1.5]}), Reading)) == [{"k": "a", "speed": 1.5}]

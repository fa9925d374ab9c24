"""Schemas in all the forms that users write them in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Optional

import polars as pl
import pyarrow as pa
import pytest

import wrackline as wl
from wrackline.schema import Columns, to_columns


class Everything(wl.Schema):
    text: str
    whole: int
    real: float
    flag: bool
    raw: bytes
    at: datetime
    maybe: str | None
    perhaps: Optional[int]  # noqa: UP045


class More(Everything):
    real: float | None  # type: ignore[assignment]
    extra: float = wl.field(path="deep.er.value")


def types(columns: Columns) -> dict[str, tuple[str, bool]]:
    return {one.name: (one.type, one.nullable) for one in columns.fields}


EXPECTED = {
    "text": ("string", False),
    "whole": ("int64", False),
    "real": ("float64", False),
    "flag": ("bool", False),
    "raw": ("bytes", False),
    "at": ("timestamp", False),
    "maybe": ("string", True),
    "perhaps": ("int64", True),
}


def test_annotations_are_the_schema() -> None:
    assert types(to_columns(Everything)) == EXPECTED


def test_a_subclass_adds_columns_and_may_change_them() -> None:
    changed = {**EXPECTED, "real": ("float64", True), "extra": ("float64", False)}
    assert types(to_columns(More)) == changed
    assert to_columns(More).paths()[-1] == "deep.er.value"


def test_a_dict_says_the_same() -> None:
    given = {
        "text": str,
        "whole": int,
        "real": float,
        "flag": bool,
        "raw": bytes,
        "at": datetime,
        "maybe": str | None,
        "perhaps": int | None,
    }
    assert types(to_columns(given)) == EXPECTED


def test_polars_schemas_are_nullable() -> None:
    given: dict[str, Any] = {
        "text": pl.String,
        "whole": pl.Int32,
        "real": pl.Float32,
        "flag": pl.Boolean,
        "raw": pl.Binary,
        "at": pl.Datetime("us", "UTC"),
    }
    expected = {name: (kind, True) for name, (kind, _) in EXPECTED.items() if name in given}
    assert types(to_columns(pl.Schema(given))) == expected
    assert types(to_columns(given)) == expected


def test_pyarrow_schemas_keep_what_is_nullable() -> None:
    fields = [
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("whole", pa.int16(), nullable=False),
        pa.field("real", pa.float64(), nullable=False),
        pa.field("flag", pa.bool_(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
        pa.field("at", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("maybe", pa.string()),
        pa.field("perhaps", pa.int64()),
    ]
    assert types(to_columns(pa.schema(fields))) == EXPECTED


def test_a_schema_of_a_function_may_use_its_names() -> None:
    from decimal import Decimal as Money  # known only in here

    with pytest.raises(wl.InvalidJobError, match="Decimal is no column type"):

        class Payment(wl.Schema):
            amount: Money


def test_types_that_are_no_column_types() -> None:
    with pytest.raises(wl.InvalidJobError, match="column 'tags': list"):
        to_columns({"tags": list[set[int]]})
    with pytest.raises(wl.InvalidJobError, match="column 'tags': List"):
        to_columns(pl.Schema({"tags": pl.List(pl.Duration)}))
    with pytest.raises(wl.InvalidJobError, match="column 'both'"):
        to_columns({"both": int | str})
    with pytest.raises(wl.InvalidJobError, match="no columns"):
        to_columns({})
    with pytest.raises(wl.InvalidJobError, match="a schema is a subclass of"):
        to_columns(42)
    with pytest.raises(TypeError, match="describes columns"):
        Everything()


def test_repr_shows_names_types_and_paths() -> None:
    assert repr(Everything).startswith("Everything(text: str, whole: int, real: float, flag: bool, raw: bytes")
    assert "maybe: str | None" in repr(Everything)
    assert "extra: float = deep.er.value" in repr(More)


def test_nested_json_by_path_and_under_another_name() -> None:
    class Reading(wl.Schema):
        truck: str = wl.field(path="truck.id")
        speed: float | None = wl.field(path="gps.speed")
        ts: int

    with wl.Log("memory:") as lg:
        lg.create("readings")
        rows = [
            {"truck": {"id": "a"}, "gps": {"speed": 1.5}, "ts": 1_700_000_000_000},
            {"truck": {"id": "b"}, "gps": {}, "ts": 1_700_000_000_001},
            {"truck": {}, "gps": {"speed": 2.5}, "ts": 1_700_000_000_002},
        ]
        lg.append("readings", rows)
        job = wl.Job("paths", log=lg)
        stream = job.read("readings", Reading, time="ts", out_of_orderness=0)
        assert stream.collect().rows() == [
            {"truck": "a", "speed": 1.5, "ts": 1_700_000_000_000},
            {"truck": "b", "speed": None, "ts": 1_700_000_000_001},
        ]
        (letter,) = job.dead_letters.collect().rows()
        assert letter["reason"] == "schema"
        assert "truck.id" in letter["message"]
        # Columns that nobody needs are checked, and not stored.
        stream.key_by("truck").window(wl.tumbling(10)).agg(n=wl.count()).write("counts")
        assert job.run(until="now", close=True).ledger["read"].dead_lettered == 1
        assert [row["truck"] for row in lg.read("counts").rows()] == ["a", "b"]


def test_from_records_with_paths() -> None:
    schema = {"gps.speed": float, "ts": int}
    rows = wl.from_records([{"gps": {"speed": 3}, "ts": 1}, {"gps.speed": 4.5, "ts": 2}], schema)
    assert wl.Job("j").read(rows, time="ts").collect().rows() == [
        {"gps.speed": 3.0, "ts": 1},
        {"gps.speed": 4.5, "ts": 2},
    ]

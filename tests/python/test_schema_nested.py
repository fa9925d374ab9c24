"""Schemas with nested objects, and pydantic models as schemas."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import polars as pl
import pyarrow as pa
import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PastDate,
    PositiveFloat,
    RootModel,
    StrictInt,
    create_model,
    v1,
)

import wrackline as wl
from wrackline.schema import to_columns

NOW = 1_700_000_000_000


class Gps(wl.Schema):
    lat: float
    lon: float | None = wl.field(path="longitude")


class Position(wl.Schema):
    truck: str
    gps: Gps | None
    home: Gps = wl.field(path="depot.at")
    ts: datetime


class GpsModel(BaseModel):
    lat: float
    lon: float | None = Field(alias="longitude")


class PositionModel(BaseModel):
    truck: str
    gps: GpsModel | None
    home: GpsModel = Field(validation_alias=AliasPath("depot", "at"))
    ts: datetime


EITHER: list[Any] = [
    Position,
    PositionModel,
    {"truck": str, "gps": Gps | None, "home": Gps, "ts": datetime},
]
RECORDS: list[dict[str, Any]] = [
    {"truck": "a", "gps": {"lat": 1.5, "longitude": 2}, "depot": {"at": {"lat": 9}}, "ts": NOW},
    {"truck": "b", "gps": None, "depot": {"at": {"lat": 9, "longitude": 8.5}}, "ts": NOW},
    {"truck": "c", "depot": {"at": {"lat": 9}}, "ts": NOW},
]
ROWS = [
    {"truck": "a", "gps.lat": 1.5, "gps.lon": 2.0, "home.lat": 9.0, "home.lon": None, "ts": NOW},
    {"truck": "b", "gps.lat": None, "gps.lon": None, "home.lat": 9.0, "home.lon": 8.5, "ts": NOW},
    {"truck": "c", "gps.lat": None, "gps.lon": None, "home.lat": 9.0, "home.lon": None, "ts": NOW},
]


def types(schema: Any) -> list[tuple[str, str, bool, str]]:
    columns = to_columns(schema)
    return [(one.name, one.type, one.nullable, one.path) for one in columns.fields]


@pytest.mark.parametrize("schema", EITHER[:2])
def test_a_schema_as_a_type_is_a_nested_object(schema: Any) -> None:
    assert types(schema) == [
        ("truck", "string", False, "truck"),
        ("gps.lat", "float64", True, "gps.lat"),
        ("gps.lon", "float64", True, "gps.longitude"),
        ("home.lat", "float64", False, "depot.at.lat"),
        ("home.lon", "float64", True, "depot.at.longitude"),
        ("ts", "timestamp", False, "ts"),
    ]


@pytest.mark.parametrize("schema", EITHER[:2])
def test_nested_columns_from_everywhere(schema: Any, tmp_path: Path) -> None:
    def rows(read: wl.Stream) -> list[dict[str, Any]]:
        return read.collect().rows(times="ms")

    assert rows(wl.Job("j").read(wl.from_records(RECORDS, schema), time="ts")) == ROWS
    path = tmp_path / "positions.ndjson"
    pl.DataFrame(RECORDS).write_ndjson(path)
    assert rows(wl.Job("j").read(wl.read_ndjson(path, schema), time="ts")) == ROWS
    frame = pl.DataFrame(RECORDS).with_columns(pl.col("ts").cast(pl.Datetime("ms")))
    assert rows(wl.Job("j").read(wl.from_arrow(frame, schema), time="ts")) == ROWS
    assert rows(wl.Job("j").read(wl.from_arrow(frame.to_arrow(), schema), time="ts")) == ROWS
    with wl.Log("memory:") as log:
        log.create("positions")
        log.append("positions", RECORDS)
        job = wl.Job("j", log=log)
        read = job.read("positions", schema, time="ts", out_of_orderness=0)
        assert rows(read) == ROWS
        assert [row["truck"] for row in read.filter("gps.lat", ">", 1).collect().rows()] == ["a"]
        assert [row["truck"] for row in read.filter(pl.col("home.lon") > 1).collect().rows()] == ["b"]


@pytest.mark.parametrize("schema", EITHER[:2])
def test_what_a_nested_object_requires(schema: Any) -> None:
    broken = [
        {"truck": "a", "depot": {"at": {}}, "ts": NOW},
        {"truck": "b", "depot": None, "ts": NOW},
        {"truck": "c", "gps": "here", "depot": {"at": {"lat": 9}}, "ts": NOW},
    ]
    with wl.Log("memory:") as log:
        log.create("positions")
        log.append("positions", [*broken, *RECORDS])
        job = wl.Job("j", log=log)
        assert len(job.read("positions", schema, time="ts", out_of_orderness=0).collect()) == 3
        assert [row["message"] for row in job.dead_letters.collect().rows()] == [
            'field "depot.at.lat" is missing',
            'field "depot.at.lat" is missing',
            'field "gps": expected an object, found "here"',
        ]


def test_nested_in_a_dict_and_in_one_another() -> None:
    class Outer(wl.Schema):
        position: Position

    assert [name for name, *_ in types(Outer)][:3] == ["position.truck", "position.gps.lat", "position.gps.lon"]
    assert types({"gps": {"lat": float, "at": {"ts": int | None}}}) == [
        ("gps.lat", "float64", False, "gps.lat"),
        ("gps.at.ts", "int64", True, "gps.at.ts"),
    ]


def test_a_subclass_may_change_what_is_nested() -> None:
    class Later(Position):
        gps: str | None  # type: ignore[assignment]
        speed: float

    assert [name for name, *_ in types(Later)] == ["truck", "gps", "home.lat", "home.lon", "ts", "speed"]


def test_nested_structs_of_polars_and_pyarrow() -> None:
    struct = pl.Struct({"lat": pl.Float64, "at": pl.Struct({"ts": pl.Int32})})
    assert types(pl.Schema({"gps": struct})) == [
        ("gps.lat", "float64", True, "gps.lat"),
        ("gps.at.ts", "int64", True, "gps.at.ts"),
    ]
    at = pa.struct([pa.field("ts", pa.int32(), nullable=False)])
    gps = pa.struct([pa.field("lat", pa.float64(), nullable=False), pa.field("at", at)])
    assert types(pa.schema([pa.field("gps", gps, nullable=False)])) == [
        ("gps.lat", "float64", False, "gps.lat"),
        ("gps.at.ts", "int64", True, "gps.at.ts"),
    ]


def test_types_that_narrow_a_column_type() -> None:
    class Kind(StrEnum):
        CAR = "car"

    TruckId = NewType("TruckId", str)

    class Narrow(wl.Schema):
        kind: Kind
        truck: TruckId | None
        side: Literal["left", "right"]
        speed: Annotated[float, "km/h"]
        day: date

    assert [(kind, nullable) for _, kind, nullable, _ in types(Narrow)] == [
        ("string", False),
        ("string", True),
        ("string", False),
        ("float64", False),
        ("timestamp", False),
    ]


def test_what_a_pydantic_model_may_say() -> None:
    class Reading(BaseModel):
        model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

        event_id: Annotated[str, Field(min_length=1)]
        speed: PositiveFloat | None
        count: StrictInt = 1
        note: str | None = None
        at: AwareDatetime
        day: PastDate | None = None
        deep: int = Field(validation_alias=AliasPath("a", "b"))

    assert types(Reading) == [
        ("event_id", "string", False, "event-id"),
        ("speed", "float64", True, "speed"),
        ("count", "int64", True, "count"),
        ("note", "string", True, "note"),
        ("at", "timestamp", False, "at"),
        ("day", "timestamp", True, "day"),
        ("deep", "int64", False, "a.b"),
    ]
    assert to_columns(Reading).name == "Reading"


def test_a_pydantic_model_reads_what_it_would_validate() -> None:
    record: dict[str, Any] = {"truck": "a", "gps": {"lat": 1.5, "longitude": 2.0}, "ts": NOW}
    record |= {"depot": {"at": {"lat": 9, "longitude": None}}}
    model = PositionModel.model_validate(record)
    (row,) = wl.Job("j").read(wl.from_records([record], PositionModel), time="ts").collect().rows()
    assert model.gps is not None
    assert (row["truck"], row["gps.lat"], row["home.lat"]) == (model.truck, model.gps.lat, model.home.lat)
    assert row["ts"] == model.ts == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_model_as_what_a_function_returns() -> None:
    class Made(BaseModel):
        twice: float

    rows = wl.from_records([{"price": 2.0, "ts": 0}])
    made = wl.Job("j").read(rows, time="ts").map(lambda price: price * 2, returns=Made)
    assert made.collect().rows(times="ms")[0]["twice"] == 4.0


class Tree(BaseModel):
    child: Tree | None = None


class OfPydantic1(v1.BaseModel):
    speed: float


class Colour(Enum):
    RED = 1


class Either(BaseModel):
    x: Literal[1, "a"]


ANY_OF = AliasChoices("a", "b")
MISTAKES: list[tuple[Any, str]] = [
    (Tree, "schema Tree, column 'child': Tree is nested in itself"),
    (OfPydantic1, "schema OfPydantic1: models of pydantic 2 are schemas, this is one of pydantic 1"),
    (Tree(), "a schema is the class Tree itself, not one of its objects"),
    (create_model("Empty"), "schema Empty has no fields: annotate them, such as `speed: float`"),
    (RootModel[int], "schema RootModel[int] is a RootModel, without names for columns; take a BaseModel"),
    (create_model("M", x=(list[list[int]], ...)), "schema M, column 'x': list[list] is no column type; items are str"),
    (create_model("M", x=(Decimal, ...)), "schema M, column 'x': Decimal is no column type; take float, or str"),
    (create_model("M", x=(timedelta, ...)), "schema M, column 'x': timedelta is no column type; take int"),
    (create_model("M", x=(UUID | None, None)), "schema M, column 'x': UUID is no column type; take str"),
    (create_model("M", x=(Colour, ...)), "schema M, column 'x': Colour is no column type; there are str, int"),
    (create_model("M", x=(int | str, ...)), "schema M, column 'x': int | str is no column type; there are str"),
    (Either, "schema Either, column 'x': typing.Literal[1, 'a'] is no column type"),
    (create_model("M", x=(int, Field(validation_alias=ANY_OF))), "column 'x': a column is in one place of a record"),
    (create_model("M", x=(int, Field(validation_alias=AliasPath("a", 0)))), "leads into a list; a path has names"),
    (create_model("M", x=(create_model("N", y=(set[int], ...)), ...)), "schema N, column 'y': set[int] is no column"),
]


@pytest.mark.parametrize(("schema", "said"), MISTAKES, ids=[said[:40] for _, said in MISTAKES])
def test_models_that_are_no_schemas(schema: Any, said: str) -> None:
    with pytest.raises(wl.InvalidJobError) as caught:
        to_columns(schema)
    assert said in str(caught.value)


def test_a_model_whose_types_are_not_known_yet_says_so() -> None:
    late = "class Late(BaseModel):\n    other: 'Other'"
    names: dict[str, Any] = {"BaseModel": BaseModel}
    exec(late, names)
    with pytest.raises(wl.InvalidJobError, match="schema Late: name 'Other' is not defined"):
        to_columns(names["Late"])


def test_a_default_is_not_forgotten_silently() -> None:
    with pytest.raises(wl.InvalidJobError, match=r"records get no default.*fill_null\(0\.0\)"):

        class Reading(wl.Schema):
            speed: float = 0.0

    class Fine(wl.Schema):
        speed: float | None = None

    assert types(Fine) == [("speed", "float64", True, "speed")]


def test_pydantic_is_not_imported_for_other_schemas() -> None:
    script = (
        "import sys, wrackline as wl; wl.from_records([{'a': 1}], {'a': int}); "
        "print([name for name in sys.modules if name.startswith('pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lists_and_json_in_a_model() -> None:
    class Item(BaseModel):
        n: int

    class Order(BaseModel):
        tags: list[str]
        items: list[Item]
        extra: dict[str, Any] | None

    columns = to_columns(Order)
    assert [(one.name, one.written, one.nullable) for one in columns.fields] == [
        ("tags", "list[str]", False),
        ("items", "list[Item]", False),
        ("extra", "JSON", True),
    ]

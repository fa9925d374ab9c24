"""Lists and objects in records: a row for each item, columns by paths; judged by Polars and by json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wrackline as wl


class Reading(wl.Schema):
    sensor: str
    value: float | None
    tags: list[str] | None


class Message(wl.Schema):
    id: int
    readings: list[Reading] | None
    ts: datetime


def on_log(rows: Sequence[dict[str, Any] | bytes], schema: Any, name: str) -> tuple[wl.Job, Any]:
    log = wl.Log(f"memory:{name}")
    log.create("in", partitions=1)
    values = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    log.append("in", values)
    job = wl.Job("nested", log=log)
    return job, job.read("in", schema, time="ts", out_of_orderness="0s", not_before=0)


def message_of(record: wl.Record) -> str:
    return dict(record.headers)["__streams.errors.message"].decode()


MESSAGES: list[dict[str, Any]] = [
    {"id": 1, "readings": [{"sensor": "a", "value": 1.5, "tags": ["x", "y,]"]}, {"sensor": "b"}], "ts": 1},
    {"id": 2, "readings": [], "ts": 2},
    {"id": 3, "readings": None, "ts": 3},
    {"id": 4, "readings": [{"sensor": 'quote " and } ]', "value": None, "tags": []}], "ts": 4},
]
EXPLODED = [
    {"id": 1, "ts": 1, "readings.sensor": "a", "readings.value": 1.5, "readings.tags": ["x", "y,]"]},
    {"id": 1, "ts": 1, "readings.sensor": "b", "readings.value": None, "readings.tags": None},
    {"id": 4, "ts": 4, "readings.sensor": 'quote " and } ]', "readings.value": None, "readings.tags": []},
]


@pytest.mark.parametrize("where", ["log", "records"])
def test_explode_makes_a_row_of_each_object(where: str) -> None:
    if where == "log":
        job, messages = on_log(MESSAGES, Message, "explode")
    else:
        job = wl.Job("nested")
        messages = job.read(wl.from_records(MESSAGES, Message), time="ts")
    assert messages.explode("readings").collect().rows(times="ms") == EXPLODED
    assert messages.explode("readings").unnest("readings").collect().rows(times="ms") == [
        {name.removeprefix("readings."): value for name, value in row.items()} for row in EXPLODED
    ]


def test_records_without_items_count_as_filtered() -> None:
    job, messages = on_log(MESSAGES, Message, "counts")
    messages.explode("readings").write("out")
    result = job.run(until="now")
    step = result.ledger["explode"]
    assert (step.in_, step.out, step.filtered) == (4, 2, 2)


def test_an_item_that_does_not_fit_makes_its_record_a_dead_letter() -> None:
    bad = {"id": 9, "readings": [{"sensor": "a"}, {"sensor": 7}], "ts": 5}
    no_list = {"id": 10, "readings": {"sensor": "a"}, "ts": 6}
    job, messages = on_log([*MESSAGES, bad, no_list], Message, "bad")
    messages.explode("readings").write("out")
    job.run(until="now")
    dead = list(wl.Log("memory:bad").read("nested.dead"))
    assert [json.loads(one.value or b"")["id"] for one in dead] == [9, 10]
    messages_of_dead = [message_of(one) for one in dead]
    assert "item 1" in messages_of_dead[0]
    assert '"sensor"' in messages_of_dead[0]
    assert "expected a list" in messages_of_dead[1]


def test_what_is_late_keeps_its_json_as_it_was() -> None:
    class Event(wl.Schema):
        key: str
        payload: dict[str, Any]
        ts: datetime

    payload = {"deep": [1, {"a": None}], "text": 'with "quotes" and é'}
    rows = [
        {"key": "a", "payload": {}, "ts": 10_000},
        {"key": "a", "payload": payload, "ts": 0},
    ]
    job, events = on_log(rows, Event, "late-json")
    events.key_by("key").window(wl.tumbling("1s")).agg(n=wl.count()).write("out")
    job.late.write("late")
    job.run(until="now")
    (late,) = wl.Log("memory:late-json").read("late")
    assert json.loads(late.value or b"")["payload"] == payload
    assert events.collect().rows()[1]["payload"] == payload
    kept = events.select("payload", "ts").filter(pl.col("payload").str.contains("deep"))
    assert [row["payload"] for row in kept.collect()] == [payload]
    kept.write("kept")
    job.run(until="now", fresh=True)
    (one,) = wl.Log("memory:late-json").read("kept")
    assert json.loads(one.value or b"")["payload"] == payload


ITEMS = {
    "int": (int, st.integers(-(2**63), 2**63 - 1)),
    "float": (float, st.floats(allow_nan=False, allow_infinity=False)),
    "str": (str, st.text()),
    "bool": (bool, st.booleans()),
}


@st.composite
def lists_of(draw: st.DrawFn) -> tuple[str, list[Any]]:
    kind = draw(st.sampled_from(sorted(ITEMS)))
    return kind, draw(st.lists(st.none() | st.lists(st.none() | ITEMS[kind][1], max_size=4), min_size=1, max_size=10))


@given(given_lists=lists_of())
def test_any_lists_of_values_are_read_as_json_has_them(given_lists: tuple[str, list[Any]]) -> None:
    kind, lists = given_lists
    python = ITEMS[kind][0]
    rows = [{"i": i, "items": one, "ts": i} for i, one in enumerate(lists)]
    schema = {"i": int, "items": list[python] | None, "ts": datetime}  # type: ignore[valid-type]
    log = wl.Log("memory:")
    log.create("in", partitions=1)
    log.append("in", [json.dumps(row).encode() for row in rows])
    job = wl.Job("lists", log=log)
    read = job.read("in", schema, time="ts", out_of_orderness="0s", not_before=0)
    assert [row["items"] for row in read.collect()] == lists
    frame = pl.DataFrame(
        {"i": range(len(lists)), "items": lists}, schema={"i": pl.Int64, "items": pl.List(DTYPES[kind])}
    )
    expected = frame.filter(pl.col("items").list.len() > 0).explode("items")
    assert [row["items"] for row in read.explode("items").collect()] == expected["items"].to_list()
    bounded = wl.Job("lists").read(wl.from_records(rows, schema), time="ts")
    assert bounded.explode("items").collect().rows() == read.explode("items").collect().rows()
    assert bounded.with_columns(n=pl.col("items").list.len()).collect().to_polars()["n"].to_list() == [
        None if one is None else len(one) for one in lists
    ]


DTYPES: dict[str, Any] = {"int": pl.Int64, "float": pl.Float64, "str": pl.String, "bool": pl.Boolean}


def test_a_bad_item_is_named_and_leaves_nothing_behind() -> None:
    rows: list[dict[str, Any] | bytes] = [
        {"v": [1, 2], "ts": 0},
        {"v": [3, "4"], "ts": 1},
        {"v": [5], "ts": 2},
        b'{"v": [6, ], "ts": 3}',
        {"v": [[7]], "ts": 4},
        {"v": [8, None], "ts": 5},
    ]
    job, read = on_log(rows, {"v": list[int], "ts": datetime}, "items")
    assert [row["v"] for row in read.collect()] == [[1, 2], [5], [8, None]]
    read.write("out")
    job.run(until="now")
    reasons = [message_of(one) for one in wl.Log("memory:items").read("nested.dead")]
    assert 'item 1: expected int64, found "4"' in reasons[0]
    assert "not JSON" in reasons[1]
    assert "item 0: expected int64, found [7]" in reasons[2]


def test_lists_are_inferred_from_records() -> None:
    rows = wl.from_records(
        [{"a": [1, 2.5], "b": [{"x": 1}], "c": [], "ts": 0}, {"a": None, "b": [], "c": ["z"], "ts": 1}]
    )
    assert repr(rows) == "2 rows of Schema(a: list[float] | None, b: JSON, c: list[str], ts: int)"
    job = wl.Job("inferred")
    read = job.read(rows, time="ts")
    assert read.explode("a").collect().rows()[0]["a"] == 1.0
    assert read.explode("b", returns={"x": int}).collect().rows()[0]["b.x"] == 1
    assert read.map(lambda b: len(b), returns={"n": int}).collect().to_polars()["n"].to_list() == [1, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.explode("reading"), "explode: there is no column 'reading'; did you mean 'readings'?"),
        (lambda s: s.explode("id"), "explode: column id: int is no list; declare it as one: id: list[Item]"),
        (
            lambda s: s.explode("payload"),
            "explode: say what the items of 'payload' are: .explode(\"payload\", returns=Item) with a schema Item, or "
            "returns=float",
        ),
        (lambda s: s.unnest("gp"), "unnest: there are no columns in 'gp'; did you mean 'gps'?"),
        (lambda s: s.unnest(), "unnest: there are no columns in ''; there are: gps"),
    ],
)
def test_mistakes_name_the_column(call: Any, message: str) -> None:
    schema = {"id": int, "readings": list[Reading], "payload": dict, "gps.lat": float, "ts": datetime}
    _, stream = on_log([], schema, "mistakes")
    with pytest.raises(wl.InvalidJobError) as caught:
        call(stream)
    assert str(caught.value) == message


def test_a_field_within_one_that_is_read_as_a_whole_is_refused() -> None:
    with pytest.raises(wl.InvalidJobError, match=r'field "gps\.lat" lies within field "gps"'):
        on_log([], {"gps": dict, "gps.lat": float, "ts": datetime}, "within")


FRAME = pl.DataFrame(MESSAGES).with_columns(pl.col("ts").cast(pl.Datetime("ms")))


def as_file(tmp_path: Path, kind: str) -> Any:
    path = tmp_path / f"messages.{kind}"
    if kind == "parquet":
        FRAME.write_parquet(path)
        return wl.read_parquet(path, Message)
    path.write_text("".join(json.dumps(one) + "\n" for one in MESSAGES))
    return wl.read_ndjson(path, Message)


@pytest.mark.parametrize("source", ["polars", "pyarrow", "capsule", "parquet", "ndjson"])
def test_the_same_from_frames_and_files(source: str, tmp_path: Path) -> None:
    class Capsule:
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            return FRAME.__arrow_c_stream__(requested_schema)

    frames: dict[str, Any] = {"polars": FRAME, "pyarrow": FRAME.to_arrow(), "capsule": Capsule()}
    rows = wl.from_arrow(frames[source], Message) if source in frames else as_file(tmp_path, source)
    read = wl.Job("nested").read(rows, time="ts")
    assert read.explode("readings").collect().rows(times="ms") == EXPLODED


@pytest.mark.parametrize("source", ["polars", "pyarrow", "parquet", "ndjson"])
def test_lists_of_objects_are_inferred_as_json(source: str, tmp_path: Path) -> None:
    frame = FRAME.drop("ts").with_columns(ts=pl.int_range(pl.len()), v=pl.Series([[1, 2], [], None, [3]]))
    if source == "parquet":
        frame.write_parquet(tmp_path / "a.parquet")
        rows = wl.read_parquet(tmp_path / "a.parquet")
    elif source == "ndjson":
        frame.write_ndjson(tmp_path / "a.ndjson")
        rows = wl.read_ndjson(tmp_path / "a.ndjson")
    else:
        rows = wl.from_arrow(frame if source == "polars" else frame.to_arrow())
    columns = rows.schema
    assert [(one.name, one.type) for one in columns.fields if one.name in ("readings", "v")] == [
        ("readings", "json"),
        ("v", "list[int64]"),
    ]
    read = wl.Job("nested").read(rows, time="ts")
    made = read.explode("readings", returns=Reading).select("readings.sensor").collect().to_polars()
    assert made["readings.sensor"].to_list() == [row["readings.sensor"] for row in EXPLODED]
    assert read.explode("v").collect().to_polars()["v"].to_list() == [1, 2, 3]


def test_a_value_that_json_has_not_is_refused() -> None:
    with pytest.raises(wl.InvalidArgumentError, match="column 'x' has NaN or infinity in a list"):
        wl.from_arrow(pl.DataFrame({"x": [[{"v": float("nan")}]]}))
    with pytest.raises(wl.InvalidArgumentError, match="column 'x' has a bytes in a list"):
        wl.from_arrow(pl.DataFrame({"x": [[{"v": b"raw"}]]}))


@pytest.mark.parametrize("text", ["abc", "[1", '"open', '1,"w":2', '1},{"v":2', "", " ", "[1] ", '{"a":1,}', "nulls"])
def test_text_that_is_no_json_does_not_become_it(text: str) -> None:
    frame = pl.DataFrame({"payload": ["[1]", None, "null", text], "ts": [0, 1, 2, 3]})
    with pytest.raises(wl.InvalidArgumentError) as caught:
        wl.from_arrow(frame, {"payload": dict[str, Any] | None, "ts": int | None})
    assert str(caught.value) == f'from_arrow: row 3: column "payload" is no JSON: {text}'


@given(values=st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), max_size=20))
def test_any_json_is_json(values: list[Any]) -> None:
    frame = pl.DataFrame({"payload": [json.dumps(one) for one in values]}, schema={"payload": pl.String})
    rows = wl.from_arrow(frame.with_row_index("ts"), {"payload": dict[str, Any] | None, "ts": int | None})
    assert [row["payload"] for row in wl.Job("any").read(rows, time="ts").collect()] == values

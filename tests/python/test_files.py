"""Files as bounded inputs: what comes out of them, and what is said of a file that is not as it should be."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import wrackline as wl
from wrackline.frames import engine


@pytest.fixture(params=["polars", "pyarrow"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads the files."""
    if request.param == "pyarrow":
        monkeypatch.setitem(sys.modules, "polars", None)
    assert request.param in type(engine()).__module__
    return str(request.param)


def rows_of(source: wl.BoundedRows) -> list[dict[str, Any]]:
    return pl.DataFrame(source).to_dicts()


def write_lines(path: str, *lines: object) -> str:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    Path(path).write_text(text + "\n", encoding="utf-8")
    return path


READINGS: list[dict[str, Any]] = [
    {"k": f"k{i % 3}", "v": i if i % 2 else i / 4, "ts": i * 1_000, "ok": i % 5 == 0, "gps": {"speed": i / 8}}
    for i in range(2_500)
]


def flat(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "gps"}, "gps.speed": row["gps"]["speed"]}


# ---- what comes out ----


def test_json_lines_come_as_they_were_written(library: str) -> None:
    path = write_lines("readings.ndjson", *READINGS)
    rows = wl.read_ndjson(path)
    assert rows_of(rows) == [flat(row) for row in READINGS]
    assert repr(rows.schema) == (
        "Schema(k: str | None, v: float | None, ts: int | None, ok: bool | None, gps.speed: float | None)"
    )


def test_a_job_reads_a_file(library: str) -> None:
    path = write_lines("readings.ndjson", *READINGS)
    windows = wl.Job("f").read(wl.read_ndjson(path), time="ts").key_by("k").window(wl.tumbling("1m"))
    got = windows.agg(n=wl.count(), top=wl.max("gps.speed")).collect().rows(times="ms")
    frame = pl.DataFrame([flat(row) for row in READINGS]).with_columns(window=pl.col("ts") // 60_000 * 60_000)
    expected = frame.group_by("k", "window").agg(n=pl.len(), top=pl.col("gps.speed").max())
    assert {(row["k"], row["window_start"], row["n"], row["top"]) for row in got} == set(expected.iter_rows())


def test_csv_comes_as_the_csv_module_wrote_it(library: str) -> None:
    rows: list[dict[str, Any]] = [
        {"k": 'a "quoted", name', "v": 1.5, "n": 7, "ok": True},
        {"k": "two\nlines", "v": None, "n": -3, "ok": False},
    ]
    with open("rows.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["k", "v", "n", "ok"])
        writer.writeheader()
        writer.writerows({**row, "ok": str(row["ok"]).lower()} for row in rows)
    assert rows_of(wl.read_csv("rows.csv")) == rows


def test_parquet_comes_as_polars_wrote_it(library: str) -> None:
    frame = pl.DataFrame(READINGS).with_columns(at=pl.from_epoch("ts", time_unit="ms").dt.replace_time_zone("UTC"))
    frame.write_parquet("readings.parquet")
    assert rows_of(wl.read_parquet("readings.parquet")) == frame.unnest("gps", separator=".").to_dicts()
    assert rows_of(wl.read_parquet("readings.parquet", columns=["k", "gps"])) == [
        {"k": row["k"], "gps.speed": row["gps"]["speed"]} for row in READINGS
    ]


class Reading(wl.Schema):
    k: str
    speed: float | None = wl.field(path="gps.speed")
    at: datetime
    raw: bytes | None
    more: int | None


def test_json_against_a_schema(library: str) -> None:
    path = write_lines(
        "r.ndjson",
        {"k": "a", "gps": {"speed": 88, "dir": "n"}, "at": "2024-02-29T12:00:00+01:00", "raw": "/w==", "x": [1]},
        {"k": "b", "gps": None, "at": "2024-02-29", "more": 7},
        "",
        {"k": "c", "gps.speed": 5, "at": "1969-12-31T23:59:59.9999Z"},
    )
    assert rows_of(wl.read_ndjson(path, Reading)) == [
        {"k": "a", "speed": 88.0, "at": datetime(2024, 2, 29, 11, tzinfo=UTC), "raw": b"\xff", "more": None},
        {"k": "b", "speed": None, "at": datetime(2024, 2, 29, tzinfo=UTC), "raw": None, "more": 7},
        {"k": "c", "speed": 5.0, "at": datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), "raw": None, "more": None},
    ]
    numbers = write_lines("n.ndjson", {"at": 1_700_000_000_123}, {"at": -1})
    assert [row["at"].timestamp() for row in rows_of(wl.read_ndjson(numbers, {"at": datetime}))] == [
        1_700_000_000.123,
        -0.001,
    ]


def test_csv_against_a_schema(library: str) -> None:
    path = write_lines("r.csv", "k,gps.speed,at,raw,x", "007,88,2024-02-29T12:00:00Z,/w==,1", "b,,1709208000000,,2")
    assert rows_of(wl.read_csv(path, Reading)) == [
        {"k": "007", "speed": 88.0, "at": datetime(2024, 2, 29, 12, tzinfo=UTC), "raw": b"\xff", "more": None},
        {"k": "b", "speed": None, "at": datetime(2024, 2, 29, 12, tzinfo=UTC), "raw": None, "more": None},
    ]


def test_parquet_against_a_schema(library: str) -> None:
    pl.DataFrame({"gps": [{"speed": 1.5}], "k": ["a"], "at": [datetime(2024, 1, 1)], "no": ["x"]}).write_parquet("p")
    assert rows_of(wl.read_parquet("p", Reading)) == [
        {"k": "a", "speed": 1.5, "at": datetime(2024, 1, 1, tzinfo=UTC), "raw": None, "more": None}
    ]
    with pytest.raises(wl.InvalidArgumentError, match='column "k" is string, but the schema says int64'):
        wl.read_parquet("p", {"k": int})


def test_patterns_and_lists_are_one_input(library: str) -> None:
    Path("a[1]").mkdir()
    for number in (3, 1, 2):
        write_lines(f"part-{number}.ndjson", *({"n": number * 10 + i} for i in range(3)))
        write_lines(f"part-{number}.csv", "n,v", *(f"{number * 10 + i},{i if number < 3 else i / 2}" for i in range(3)))
        pl.DataFrame({"n": [number * 10 + i for i in range(3)]}).write_parquet(f"part-{number}.parquet")
    write_lines("a[1]/x.ndjson", {"n": 99})
    Path("empty.ndjson").touch()
    expected = [10, 11, 12, 20, 21, 22, 30, 31, 32]
    readers: list[tuple[Any, str]] = [(wl.read_ndjson, "ndjson"), (wl.read_csv, "csv"), (wl.read_parquet, "parquet")]
    for read, ending in readers:
        assert [row["n"] for row in rows_of(read(f"part-*.{ending}"))] == expected
        both = [Path(f"part-3.{ending}"), f"part-1.{ending}"]
        assert [row["n"] for row in rows_of(read(both))] == expected[6:] + expected[:3]
    assert [row["v"] for row in rows_of(wl.read_csv("part-*.csv"))] == [0, 1, 2, 0, 1, 2, 0, 0.5, 1]
    assert rows_of(wl.read_ndjson(["empty.ndjson", "a[1]/x.ndjson"])) == [{"n": 99}]


def test_gzipped_files(library: str) -> None:
    Path("x.ndjson.gz").write_bytes(gzip.compress(b'{"n": 1}\n{"n": 2}\n'))
    Path("x.csv.gz").write_bytes(gzip.compress(b"n\n1\n2\n"))
    assert rows_of(wl.read_ndjson("x.ndjson.gz")) == rows_of(wl.read_csv("x.csv.gz")) == [{"n": 1}, {"n": 2}]


def test_inferred_types_are_shown(library: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="wrackline"):
        wl.read_ndjson(write_lines("x.ndjson", {"n": 1}))
        wl.read_ndjson("x.ndjson", {"n": int})
        pl.DataFrame({"n": [1]}).write_parquet("x.parquet")
        wl.read_parquet("x.parquet")  # has its types
    assert caplog.messages == ["x.ndjson: Schema(n: int | None), as the first 1,000 rows have it"]


def test_options_of_polars_go_to_polars() -> None:
    path = write_lines("x.csv", "# a comment", "a;b", "NA;1,5")
    rows = wl.read_csv(path, separator=";", comment_prefix="#", null_values="NA", decimal_comma=True)
    assert rows_of(rows) == [{"a": None, "b": 1.5}]
    without = wl.read_csv(write_lines("y.csv", "a,1", "b,2"), {"column_1": int}, has_header=False)
    assert rows_of(without) == [{"column_1": 1}, {"column_1": 2}]
    with pytest.raises(TypeError, match="sep"):
        wl.read_csv(path, sep=";")


def test_without_a_library_files_say_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines("x.csv", "a;b", "1;2")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"separator= is an option of Polars: pip install 'wrackline\[polars\]'"):
        wl.read_csv("x.csv", separator=";")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    readers: list[Any] = [wl.read_ndjson, wl.read_csv, wl.read_parquet]
    for read in readers:
        with pytest.raises(ImportError, match=r"pip install 'wrackline\[polars\]'"):
            read("x.csv")


# ---- what is refused ----


def refused(read: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(wl.InvalidArgumentError) as caught:
        read(*args, **options)
    text = str(caught.value)
    assert text.startswith(f"{read.__name__}: ")
    assert "\n" not in text
    return text.removeprefix(f"{read.__name__}: ")


GOOD: list[object] = [{"v": i} for i in range(1_500)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"v":', """not a JSON object: Expecting value at character 6 of '{"v":'"""),
        ("nonsense", "not a JSON object: Expecting value at character 1"),
        ('{"v": 1} {"v": 2}', "not a JSON object: Extra data at character 10"),
        ('{"v": NaN}', "not a JSON object: NaN is not JSON"),
        ("[1, 2]", "a list, not a JSON object: '[1, 2]'"),
        ("null", "a NoneType, not a JSON object"),
    ],
)
@pytest.mark.parametrize("before", [2, 1_500])
def test_a_line_that_is_no_json_object(before: int, line: str, said: str) -> None:
    path = write_lines("x.ndjson", *GOOD[:before], line, {"v": 3})
    assert refused(wl.read_ndjson, path).startswith(f"x.ndjson, line {before + 1}: {said}")
    assert refused(wl.read_ndjson, path, {"v": int}).startswith(f"x.ndjson, line {before + 1}: {said}")


def test_a_line_that_is_no_text() -> None:
    Path("x.ndjson").write_bytes(b'{"v": 1}\n\n{"v": "\xff"}\n')
    assert refused(wl.read_ndjson, "x.ndjson") == "x.ndjson, line 3: byte 0xff is not UTF-8"
    Path("x.csv").write_bytes(b"a,b\n1,2\n3,\xe9\n")
    assert refused(wl.read_csv, "x.csv") == "x.csv, line 3: byte 0xe9 is not UTF-8"


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (1, "x", "a str, but x.ndjson, line 1 has a int"),
        ("x", 1, "a int, but x.ndjson, line 1 has a str"),
        (True, 1, "a int, but x.ndjson, line 1 has a bool"),
        ({"a": 1}, 1, "a int, but x.ndjson, line 1 has a object"),
        ([1], 1, "a int, but x.ndjson, line 1 has a list"),
        (1, 2**63, "9223372036854775808 does not fit int64"),
    ],
)
def test_a_column_of_two_types(library: str, first: object, then: object, said: str) -> None:
    path = write_lines("x.ndjson", {"v": first}, {"v": None}, {"v": then})
    assert refused(wl.read_ndjson, path) == f'x.ndjson, line 3: column "v": {said}'


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (1, 2.5, "a float (2.5), but the first 1,000 rows have int"),
        (1, "x", "a str ('x'), but the first 1,000 rows have int"),
        (1, 2**63, "9223372036854775808 does not fit int64"),
        (True, 1, "a int (1), but the first 1,000 rows have bool"),
        (None, 1, "a int (1), but the first 1,000 rows have null"),
    ],
)
def test_another_type_after_the_first_rows(library: str, first: object, then: object, said: str) -> None:
    path = write_lines("x.ndjson", *[{"v": first, "k": 1}] * 1_200, {"v": then, "k": 1})
    assert refused(wl.read_ndjson, path).startswith(f'x.ndjson, line 1201: column "v": {said}')


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"k": "a", "at": "soon"}, "column \"at\": 'soon', but the schema says datetime"),
        ({"k": "a", "at": True}, 'column "at": a bool (True), but the schema says datetime'),
        ({"k": "a", "at": 1, "raw": "%"}, "column \"raw\": '%', but the schema says bytes"),
        ({"k": "a", "at": 1, "gps": {"speed": "x"}}, "column \"gps.speed\": a str ('x'), but the schema says float"),
        ({"k": "a", "at": 1, "more": 1.5}, 'column "more": a float (1.5), but the schema says int'),
        ({"k": None, "at": 1}, 'column "k": no value, but the schema requires one'),
        ({"kk": "a", "at": 1}, "column \"k\": no value; did you mean 'kk'?"),
    ],
)
def test_json_that_breaks_the_schema(row: dict[str, Any], said: str) -> None:
    path = write_lines("x.ndjson", {"k": "a", "at": 1}, row)
    assert refused(wl.read_ndjson, path, Reading) == f"x.ndjson, line 2: {said}"


@pytest.mark.parametrize(
    ("line", "schema", "said"),
    [
        ("x,2", {"a": int}, "column \"a\": 'x', but the schema says int"),
        ("1.5,2", {"a": int}, "column \"a\": '1.5', but the schema says int"),
        ("9223372036854775808,2", {"a": int}, 'column "a": 9223372036854775808 does not fit int64'),
        ("x,2", {"a": float}, "column \"a\": 'x', but the schema says float"),
        ("x,2", {"a": bool | None}, "column \"a\": 'x', but the schema says bool"),
        ("soon,2", {"a": datetime | None}, "column \"a\": 'soon', but the schema says datetime"),
        (",2", {"a": str}, 'column "a": no value, but the schema requires one'),
        ("1,2,3", None, "3 fields, but the first line names 2"),
    ],
)
def test_csv_that_breaks_the_schema(library: str, line: str, schema: Any, said: str) -> None:
    good = {bool | None: "true,1", datetime | None: "2024-01-01,1"}.get(schema and schema["a"], "1,1")
    path = write_lines("x.csv", "a,b", good, line)
    assert refused(wl.read_csv, path, schema).startswith(f"x.csv, line 3: {said}")


def test_another_type_in_csv_after_the_first_rows() -> None:
    path = write_lines("x.csv", "a,b", '"two\nlines",1', *["x,1"] * 1_200, "x,2.5")
    said = "column \"b\": '2.5', but the first 1,000 rows have int"
    assert refused(wl.read_csv, path) == f"x.csv, line 1204: {said}"


def test_columns_that_are_not_there(library: str) -> None:
    write_lines("x.csv", "speed,k", "1,a")
    pl.DataFrame({"speed": [1], "k": ["a"]}).write_parquet("x.parquet")
    said = "there is no column 'sped', which the schema requires; did you mean 'speed'?"
    assert refused(wl.read_csv, "x.csv", {"sped": int}) == f"x.csv: {said}"
    assert refused(wl.read_parquet, "x.parquet", {"sped": int}) == f"x.parquet: {said}"
    said = "no column of the schema is there; there are: speed, k"
    assert refused(wl.read_csv, "x.csv", {"v": int | None}) == f"x.csv: {said}"
    said = "there is no column 'sped'; did you mean 'speed'?"
    assert refused(wl.read_parquet, "x.parquet", columns=["sped"]) == f"x.parquet: {said}"
    assert "a list of names" in refused(wl.read_parquet, "x.parquet", columns="speed")


def test_files_of_different_columns(library: str) -> None:
    write_lines("a.csv", "n,k", "1,a")
    write_lines("b.csv", "n,kk", "1,a")
    write_lines("c.csv", "n,k", "x,a")
    assert refused(wl.read_csv, ["a.csv", "b.csv"]) == "a.csv has a column 'k', which b.csv has not; give a schema"
    said = "column 'n' is string in c.csv, but int64 in a.csv; give a schema"
    assert refused(wl.read_csv, ["a.csv", "c.csv"]) == said


def test_empty_files(library: str) -> None:
    for name in ("x.ndjson", "x.csv", "x.parquet", "y.ndjson"):
        Path(name).touch()
    Path("y.ndjson").write_text("\n  \n")
    said = "is empty, so its columns are not known: give a schema"
    assert refused(wl.read_ndjson, "x.ndjson") == f"x.ndjson {said}"
    assert refused(wl.read_ndjson, "y.ndjson") == f"y.ndjson {said}"
    assert "all of 2 files are empty" in refused(wl.read_ndjson, "*.ndjson")
    assert len(wl.read_ndjson("*.ndjson", {"n": int})) == 0
    assert "x.csv: the file is empty" in refused(wl.read_csv, "x.csv")
    assert len(wl.read_csv(write_lines("header.csv", "n,k"), {"n": int})) == 0
    assert refused(wl.read_parquet, "x.parquet") == "x.parquet: this is no Parquet file"
    assert refused(wl.read_parquet, "header.csv") == "header.csv: this is no Parquet file"


def test_files_that_are_not_there() -> None:
    Path("data").mkdir()
    write_lines("data/trucks.ndjson", {"n": 1})
    for path, said in [
        ("data/truks.ndjson", "there is no file 'data/truks.ndjson'; did you mean 'data/trucks.ndjson'?"),
        ("dat/trucks.ndjson", "there is no file 'dat/trucks.ndjson', nor a folder 'dat'"),
        ("data/*.csv", "no file is like 'data/*.csv'"),
    ]:
        with pytest.raises(wl.NotFoundError) as caught:
            wl.read_ndjson(path)
        assert str(caught.value) == f"read_ndjson: {said}"
    assert refused(wl.read_ndjson, "data") == "data is a folder; its files: 'data/*'"
    assert refused(wl.read_ndjson, []) == "give a path, a pattern or a list of them, not []"
    assert refused(wl.read_ndjson, [5]) == "a path is a str or a Path, not 5"

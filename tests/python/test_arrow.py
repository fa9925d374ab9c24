"""Columns come from and go to Polars, pyarrow, pandas and DuckDB as they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from wrackline import _core

ROWS = 100
TIMES = [datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC) + timedelta(milliseconds=7 * i) for i in range(ROWS)]


def some(values: list[Any], every: int) -> list[Any]:
    """With a null at every so-manieth place."""
    return [None if i % every == 0 else value for i, value in enumerate(values)]


FRAME = pl.DataFrame(
    {
        "n": range(ROWS),
        "maybe": some([-i for i in range(ROWS)], 3),
        "x": some([i / 8 for i in range(ROWS)], 5),
        "flag": some([i % 2 == 0 for i in range(ROWS)], 7),
        "short": [f"s{i}" for i in range(ROWS)],
        "long": some([f"{i} is longer than twelve bytes" for i in range(ROWS)], 4),
        "raw": [bytes([i, 0, 255]) for i in range(ROWS)],
        "at": pl.Series(TIMES, dtype=pl.Datetime("ms", "UTC")),
    }
)


def from_duckdb(frame: pl.DataFrame) -> Any:
    arrow = frame.to_arrow()
    connection = duckdb.connect()
    connection.register("arrow", arrow)
    return connection.sql("select * from arrow").to_arrow_table()


SENDERS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "polars slice": lambda frame: pl.concat([frame.head(3), frame, frame.head(5)]).slice(3, len(frame)),
    "polars chunks": lambda frame: pl.concat([frame.slice(0, 30), frame.slice(30)], rechunk=False),
    "pyarrow": lambda frame: frame.to_arrow(compat_level=pl.CompatLevel.oldest()),
    "pyarrow views": lambda frame: frame.to_arrow(),
    "pyarrow slice": lambda frame: pl.concat([frame.head(3), frame]).to_arrow().slice(3),
    "pyarrow batches": lambda frame: pa.Table.from_batches(frame.to_arrow().to_batches(max_chunksize=17)),
    "duckdb": from_duckdb,
}


def back(table: Any) -> pl.DataFrame:
    return pl.DataFrame(table)


@pytest.mark.parametrize("sender", SENDERS)
def test_what_others_send_comes_back_as_it_was(sender: str) -> None:
    table = _core.import_arrow(SENDERS[sender](FRAME))
    assert back(table).equals(FRAME)


@pytest.mark.parametrize("sender", SENDERS)
def test_so_do_many_rows(sender: str) -> None:
    """They are cut into pieces; bits, texts and lists begin anew in each."""
    many = pl.concat([FRAME] * 131)[7:-3]
    assert back(_core.import_arrow(SENDERS[sender](many))).equals(many)


def test_many_lists_and_categories() -> None:
    count = 10_001
    lists = pl.DataFrame({"tags": [None if i % 7 == 0 else [f"t{n}" for n in range(i % 4)] for i in range(count)]})
    assert back(_core.import_arrow(lists[3:])).equals(lists[3:])
    categories = lists.select(c=pl.int_range(count).cast(pl.String).cast(pl.Categorical()))
    assert back(_core.import_arrow(categories))["c"].to_list() == [str(i) for i in range(count)]


def test_a_message_numbers_the_rows_of_the_frame() -> None:
    frame = pl.DataFrame({"big": pl.Series([*range(9_000), 2**63], dtype=pl.UInt64)})
    with pytest.raises(ValueError, match=r"column 'big'.*row 9000: 9223372036854775808"):
        _core.import_arrow(frame)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64])
def test_integers_of_any_width_become_int64(dtype: Any) -> None:
    frame = pl.DataFrame({"n": pl.Series([0, 1, None, 127], dtype=dtype)})
    assert back(_core.import_arrow(frame)).equals(frame.cast(pl.Int64))


def test_an_integer_beyond_int64_is_an_error_that_names_its_column() -> None:
    frame = pl.DataFrame({"big": pl.Series([2**63], dtype=pl.UInt64)})
    with pytest.raises(ValueError, match=r"column 'big'.*9223372036854775808"):
        _core.import_arrow(frame)


def test_categories_become_strings() -> None:
    for dtype in (pl.Categorical(), pl.Enum(["a", "b"])):
        frame = pl.DataFrame({"c": pl.Series(["b", None, "a", "b"], dtype=dtype)})
        assert back(_core.import_arrow(frame))["c"].to_list() == ["b", None, "a", "b"]
    dictionary = pa.table({"c": pa.array(["b", None, "a"]).dictionary_encode()})
    assert back(_core.import_arrow(dictionary))["c"].to_list() == ["b", None, "a"]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_times_of_any_unit_and_zone_are_floored_to_milliseconds(unit: Any, zone: str | None) -> None:
    per_ms = {"ms": 1, "us": 1_000, "ns": 1_000_000}[unit]
    ticks = [0, 1, -1, -per_ms, -per_ms - 1, 1_723_852_800_123 * per_ms + per_ms // 2]
    frame = pl.DataFrame({"at": pl.Series(ticks).cast(pl.Datetime(unit)).dt.replace_time_zone("UTC")})
    if zone is None:
        frame = frame.with_columns(pl.col("at").dt.replace_time_zone(None))
    else:
        frame = frame.with_columns(pl.col("at").dt.convert_time_zone(zone))
    got = back(_core.import_arrow(frame))["at"]
    assert got.dtype == pl.Datetime("ms", "UTC")
    assert got.dt.epoch("ms").to_list() == [tick // per_ms for tick in ticks]


def test_dates_are_midnights() -> None:
    got = back(_core.import_arrow(pl.DataFrame({"d": [date(1969, 12, 31), date(2024, 2, 29)]})))["d"]
    assert got.to_list() == [datetime(1969, 12, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)]


def test_pandas_frames_come_in() -> None:
    frame = pd.DataFrame({"s": ["a", None, "a longer string than twelve"], "n": [1, 2, 3], "x": [0.5, None, 2.0]})
    got = back(_core.import_arrow(frame))
    assert got["s"].to_list() == ["a", None, "a longer string than twelve"]
    assert got["n"].to_list() == [1, 2, 3]
    assert got["x"].to_list()[2] == 2.0


def test_lists_come_and_go() -> None:
    frame = pl.DataFrame({"tags": [["a", "b"], [], None, [None, "c"]], "hits": [[1], [2, 3], [], None]})
    assert back(_core.import_arrow(frame)).equals(frame)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"place": [{"lat": 1.0}]}), r"column 'place'.*nested"),
        (pl.DataFrame({"took": [timedelta(seconds=1)]}), r"column 'took'.*tDu"),
        (pl.DataFrame({"deep": [[[1]]]}), r"column 'deep'.*lists of lists"),
        (pa.table({"price": pa.array([1], pa.decimal128(10, 2))}), r"column 'price'.*d:10,2"),
    ],
)
def test_what_we_do_not_take_is_refused_with_its_column(frame: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _core.import_arrow(frame)


def test_everybody_reads_what_we_send() -> None:
    ours = _core.import_arrow(FRAME)
    assert pl.DataFrame(ours).equals(FRAME)
    arrow = pa.table(ours)
    arrow.validate(full=True)
    assert pl.DataFrame(arrow).equals(FRAME)
    assert pd.DataFrame.from_arrow(ours)["short"].tolist() == FRAME["short"].to_list()
    relation = duckdb.sql("select sum(n), count(maybe) from ours")
    assert relation is not None
    assert relation.fetchall() == [(4950, 66)]


def test_a_table_is_read_as_often_as_one_likes_and_a_column_outlives_it() -> None:
    table = _core.import_arrow(FRAME)
    first, second = pl.DataFrame(table), pl.DataFrame(table)
    column = pa.table(table).column("long")
    del table
    assert first.equals(second)
    assert column.to_pylist() == FRAME["long"].to_list()

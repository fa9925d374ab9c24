"""Bounded inputs: rows that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wrackline import _core
from wrackline.errors import InvalidArgumentError
from wrackline.frames import chosen, engine, engine_of
from wrackline.results import rows_html
from wrackline.schema import Columns, Field, to_columns

__all__ = ["BoundedRows", "from_arrow", "from_records"]


class BoundedRows:
    """Rows with their schema; what `job.read` takes in place of a topic. ``pl.DataFrame(rows)`` shows them."""

    def __init__(self, table: _core.Table, columns: Columns | None = None) -> None:
        self._table = table
        self._columns = columns or Columns(
            tuple(Field(name, kind, nullable, name) for name, kind, nullable in table.schema)
        )

    @property
    def schema(self) -> Columns:
        return self._columns

    def __len__(self) -> int:
        return len(self._table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"{len(self):,} {'row' if len(self) == 1 else 'rows'} of {self._columns!r}"

    def _repr_html_(self) -> str:
        return rows_html(self._table)


def from_records(rows: Iterable[Mapping[str, Any]], schema: Any = None) -> BoundedRows:
    """Rows as dicts. Without a schema types are inferred from all rows; a missing key is null.

    Values: bool, int (64 bits), float, str, bytes, datetime (without a zone: UTC), None, nested dicts (which become
    columns such as ``"gps.speed"``). Integers beside floats make a column of floats.

    >>> import wrackline as wl
    >>> wl.from_records([{"k": "a", "v": 1}, {"k": "b", "v": 2.5}])
    2 rows of Schema(k: str, v: float)
    """
    listed = list(rows)
    try:
        if schema is None:
            table = _core.table_from_rows(listed)
            return BoundedRows(table)
        columns = to_columns(schema)
        return BoundedRows(_core.table_from_rows(listed, columns.to_core(), columns.paths()), columns)
    except InvalidArgumentError as error:
        raise type(error)(f"from_records: {error}") from None


def from_arrow(frame: Any, schema: Any = None) -> BoundedRows:
    """Anything with an Arrow interface: Polars, pyarrow, pandas, DuckDB.

    Nested columns become columns such as ``"gps.speed"``. Decimals with digits after the point, durations and times of
    day are refused: cast them first.

    >>> import polars as pl
    >>> import wrackline as wl
    >>> wl.from_arrow(pl.DataFrame({"k": ["a", "b"], "v": [1, 2]}))
    2 rows of Schema(k: str | None, v: int | None)
    """
    try:
        table = _imported(frame)
        if schema is None:
            return BoundedRows(table)
        columns = to_columns(schema)
        return BoundedRows(_conformed(table, columns), columns)
    except InvalidArgumentError as error:
        raise type(error)(f"from_arrow: {error}") from None


def _imported(frame: Any) -> _core.Table:
    """Nested columns become columns of their own, with dots in their names."""
    if type(frame).__name__ == "LazyFrame":
        raise InvalidArgumentError("a LazyFrame has no rows yet: give frame.collect()")
    frames = engine_of(frame)
    if frames is not None:
        return _core.import_arrow(frames.flat(frame) if hasattr(frame, "schema") else frame)
    try:
        return _core.import_arrow(frame)
    except InvalidArgumentError as error:
        if not hasattr(frame, "__arrow_c_stream__"):
            raise
        refused = error
    try:
        frames = engine()
        flat = frames.flat(frames.united([_Stream(frame)]))
    except Exception:
        raise refused from None
    if len(flat) == 0:  # a stream that can be read once alone
        raise refused
    return _core.import_arrow(flat)


class _Stream:
    """A frame's stream and nothing else, so that no library sees what else it is."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _conformed(table: _core.Table, columns: Columns) -> _core.Table:
    known = [name for name, _, _ in table.schema]
    if any(one.path != one.name and one.path in known for one in columns.fields):
        frames = engine()
        table = _core.import_arrow(frames.select(frames.united([table]), chosen(columns, known)))
    return table.conform(columns.to_core())

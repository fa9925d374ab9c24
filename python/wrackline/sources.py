"""Bounded inputs: rows that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wrackline import _core
from wrackline.errors import InvalidArgumentError, WracklineError
from wrackline.frames import chosen, engine, engine_of, imported
from wrackline.results import rows_html
from wrackline.schema import Columns, Field, to_columns

__all__ = ["BoundedRows", "from_arrow", "from_records"]


class BoundedRows:
    """Rows with their schema; what `job.read` takes in place of a topic. ``pl.DataFrame(rows)`` shows them.

    >>> import polars as pl
    >>> import wrackline as wl
    >>> rows = wl.from_records([{"k": "a", "v": 1}])
    >>> rows.schema.names
    ['k', 'v']
    >>> pl.DataFrame(rows).rows()
    [('a', 1)]
    """

    def __init__(self, table: _core.Table, columns: Columns | None = None) -> None:
        self._table = table
        self._columns = columns or Columns(
            tuple(Field(name, kind, nullable, name) for name, kind, nullable in table.schema)
        )

    @property
    def schema(self) -> Columns:
        """The columns: their names, types, and where they were in nested rows."""
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
        # pyarrow adds the producer's traceback to its message.
        said = str(error).partition(". Detail: Python exception")[0]
        raise type(error)(f"from_arrow: {said}") from error.__cause__


def _imported(frame: Any) -> _core.Table:
    """Nested columns become columns of their own, with dots in their names."""
    if type(frame).__name__ == "LazyFrame":
        raise InvalidArgumentError("a LazyFrame has no rows yet: give frame.collect()")
    frames = engine_of(frame)
    if frames is not None:
        return imported(frames, frame) if hasattr(frame, "schema") else _core.import_arrow(frame)
    try:
        return _core.import_arrow(frame)
    except (WracklineError, ImportError) as error:
        if not isinstance(error, InvalidArgumentError):
            raise
        if not hasattr(frame, "__arrow_c_stream__"):
            raise
        refused = error
    except Exception as error:  # of the library that the frame is of
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidArgumentError(f"the {type(frame).__name__} gave no Arrow data: {said}") from error
    try:
        frames = engine()
        table = imported(frames, frames.united([_Stream(frame)]))
    except Exception:
        raise refused from None
    if len(table) == 0:  # a stream that can be read once alone
        raise refused
    return table


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
    try:
        return table.conform(columns.to_core())
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{error}{_cast_hint(table, columns)}") from None


_CASTS = {
    "string": "pl.String",
    "int64": "pl.Int64",
    "float64": "pl.Float64",
    "bool": "pl.Boolean",
    "bytes": "pl.Binary",
    "timestamp": 'pl.Datetime("ms")',
}


def _cast_hint(table: _core.Table, columns: Columns) -> str:
    """How the first column of another type than its schema's gets it."""
    kinds = {name: kind for name, kind, _ in table.schema}
    for one in columns.fields:
        kind = kinds.get(one.name, one.type)
        if kind != one.type and (kind, one.type) != ("int64", "float64") and one.type in _CASTS:
            if (kind, one.type) == ("string", "timestamp"):
                times = f'pl.col("{one.name}").str.to_datetime("%d/%m/%Y")'
                return f"; make times of it before: frame.with_columns({times})"
            return f'; cast it before: frame.with_columns(pl.col("{one.name}").cast({_CASTS[one.type]}))'
    return ""

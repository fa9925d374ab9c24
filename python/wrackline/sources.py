"""Bounded inputs: rows that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wrackline import _core
from wrackline.errors import InvalidArgumentError
from wrackline.schema import Columns, Field, to_columns

__all__ = ["BoundedRows", "from_arrow", "from_records"]


class BoundedRows:
    """Rows with their schema; what `job.read` takes in place of a topic."""

    def __init__(self, table: _core.Table, columns: Columns) -> None:
        self._table = table
        self._columns = columns

    @property
    def schema(self) -> Columns:
        return self._columns

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"{len(self):,} rows of {self._columns!r}"


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
            return BoundedRows(table, _columns_of(table))
        columns = to_columns(schema)
        return BoundedRows(_core.table_from_rows(listed, columns.to_core(), columns.paths()), columns)
    except InvalidArgumentError as error:
        raise type(error)(f"from_records: {error}") from None


def from_arrow(frame: Any, schema: Any = None) -> BoundedRows:
    """Anything with an Arrow interface: Polars, pyarrow, pandas, DuckDB.

    >>> import polars as pl
    >>> import wrackline as wl
    >>> wl.from_arrow(pl.DataFrame({"k": ["a", "b"], "v": [1, 2]}))
    2 rows of Schema(k: str | None, v: int | None)
    """
    try:
        table = _core.import_arrow(frame)
        if schema is None:
            return BoundedRows(table, _columns_of(table))
        columns = to_columns(schema)
        return BoundedRows(table.conform(columns.to_core()), columns)
    except InvalidArgumentError as error:
        raise type(error)(f"from_arrow: {error}") from None


def _columns_of(table: _core.Table) -> Columns:
    return Columns(tuple(Field(name, kind, nullable, name) for name, kind, nullable in table.schema))

"""Result: finished rows in columns, as `collect()` gives them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wrackline import _core, html
from wrackline.errors import InvalidArgumentError
from wrackline.schema import Field

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["Result", "need", "rows_html", "text_table"]

_SHOWN = 10
_NUMBERS = ("int64", "float64", "decimal")


_NAMES = {"polars": "Polars"}
_OLDEST = {"polars": (2, 0), "pyarrow": (20, 0), "pandas": (3, 0)}  # as in pyproject.toml


def need(module: str, extra: str, call: str = "this") -> Any:
    """Imports what is an extra, or says how to get it. `call`: what needs it."""
    name = _NAMES.get(module, module)
    try:
        found = __import__(module)
    except ImportError as error:
        raise ImportError(f"{call} needs {name}: pip install 'wrackline[{extra}]'") from error
    if _is_too_old(module, found.__version__):
        oldest = ".".join(map(str, _OLDEST[module]))
        raise ImportError(
            f"{call} needs {name} {oldest} or newer, and this is {found.__version__}: "
            f"pip install -U 'wrackline[{extra}]'"
        )
    return found


@functools.cache
def _is_too_old(module: str, version: str) -> bool:
    """By its first two numbers.

    >>> [_is_too_old("polars", version) for version in ("1.35.2", "2", "2.0.0rc1", "10.1")]
    [True, False, False, False]
    """
    numbers = [int(one) for one in re.findall(r"\d+", version)[:2]]
    return (*numbers, 0, 0)[:2] < _OLDEST.get(module, (0, 0))


class Result:
    """Rows in columns. Anything that speaks Arrow takes it as it is: ``pl.DataFrame(result)``, DuckDB by name.

    Times are UTC with milliseconds. `rows()` gives dicts, with datetimes (an edge of a window that datetime cannot
    hold stays milliseconds).

    >>> import wrackline as wl
    >>> result = wl.Job("all").read(wl.from_records([{"k": "a", "ts": 1}, {"k": "b", "ts": 2}]), time="ts").collect()
    >>> result
    2 rows
    k  ts
    a  1
    b  2
    >>> result.columns, result.schema
    (['k', 'ts'], [('k', 'string', False), ('ts', 'int64', False)])
    >>> result.rows()
    [{'k': 'a', 'ts': 1}, {'k': 'b', 'ts': 2}]
    >>> result.to_polars().rows() == list(result.to_pandas().itertuples(index=False, name=None)) == [("a", 1), ("b", 2)]
    True
    >>> result.to_arrow().column_names
    ['k', 'ts']
    """

    def __init__(self, table: _core.Table) -> None:
        self._table = table

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _, _ in self._table.schema]

    @property
    def schema(self) -> list[tuple[str, str, bool]]:
        """(name, type, nullable) of each column."""
        return self._table.schema

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())

    def rows(self, *, times: str = "datetime") -> list[dict[str, Any]]:
        """All rows as dicts. ``times="ms"`` gives times as milliseconds since the epoch."""
        return self._table.rows(times_as_datetime=times != "ms")

    def batches(self, rows: int = 65_536) -> Iterator[Result]:
        """The same in pieces of so many rows, for what is too large to convert at once. Needs Polars or pyarrow.

        >>> import wrackline as wl
        >>> result = wl.Job("all").read(wl.from_records([{"ts": i} for i in range(5)]), time="ts").collect()
        >>> [len(piece) for piece in result.batches(2)]
        [2, 2, 1]
        """
        from wrackline.frames import engine

        if isinstance(rows, bool) or not isinstance(rows, int) or rows <= 0:
            raise InvalidArgumentError(f"batches: rows must be a whole number > 0, not {rows!r}")
        frame = engine().united([self])
        return (
            Result(_core.import_arrow(frame.slice(begin, rows)).conform(self.schema))
            for begin in range(0, len(self), rows)
        )

    def to_polars(self) -> pl.DataFrame:
        """As a Polars frame. Raises ImportError where Polars is missing or too old."""
        frame: pl.DataFrame = need("polars", "polars", "to_polars").DataFrame(self)
        return frame

    def to_arrow(self) -> pa.Table:
        """As a pyarrow table. Raises ImportError where pyarrow is missing or too old."""
        return need("pyarrow", "pyarrow", "to_arrow").table(self)

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas frame, made by pyarrow. Raises ImportError where one of them is missing or too old."""
        need("pandas", "pandas", "to_pandas")
        return need("pyarrow", "pandas", "to_pandas").table(self).to_pandas()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._table.__arrow_c_schema__()

    def __repr__(self) -> str:
        shown = self._table.rows(times_as_datetime=True, begin=0, end=_SHOWN)
        more = len(self) - len(shown)
        title = f"{len(self):,} {'row' if len(self) == 1 else 'rows'}"
        if not shown:
            return f"{title} ({', '.join(self.columns)})"
        table = text_table(self.columns, [[_cell(row[name]) for name in self.columns] for row in shown])
        return f"{title}\n{table}" + (f"\n... {more:,} more" if more > 0 else "")

    def _repr_html_(self) -> str:
        return rows_html(self._table)


def rows_html(table: _core.Table) -> str:
    """The first rows for a notebook, with the types of the columns."""
    names = [name for name, _, _ in table.schema]
    kinds = [repr(Field(*one)).removeprefix(f"{one[0]}: ") for one in table.schema]
    rows = table.rows(times_as_datetime=True, begin=0, end=_SHOWN)
    right = {number for number, (_, kind, _) in enumerate(table.schema) if kind in _NUMBERS}
    more = len(table) - len(rows)
    return html.page(
        f"{len(table):,} {'row' if len(table) == 1 else 'rows'}",
        html.table(names, [[_cell(row[name]) for name in names] for row in rows], right=right, under=kinds),
        note=f"... {more:,} more" if more else "",
    )


def _cell(value: object) -> str:
    if value is None:
        return "null"
    if hasattr(value, "isoformat"):
        return str(value.isoformat().replace("+00:00", "Z"))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Columns padded to one width; those in `right` end on one line."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = []
    for line in [header, *rows]:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

"""Aggregates: one value from the accepted records of a window, as Polars would give it.

    >>> import wrackline as wl
    >>> wl.mean("speed")
    mean("speed")
    >>> wl.count()
    count()

Each takes a column, or a Polars expression of the record's own columns: ``wl.sum(pl.col("price") * pl.col("qty"))``.
`where`: a Polars predicate; only records for which it is true count.

Null is skipped. ``count()`` counts rows, ``count("c")`` values. ``min`` and ``max`` skip NaN unless there is
nothing else; ``sum``, ``mean``, ``var`` and ``std`` become NaN by it. ``first``, ``last`` and ``collect`` go by
event time, ties by the order in the partition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wrackline.errors import InvalidJobError, NotYetError
from wrackline.expressions import is_expression
from wrackline.results import need

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Aggregate",
    "collect",
    "count",
    "first",
    "last",
    "max",
    "mean",
    "min",
    "n_unique",
    "quantile",
    "std",
    "sum",
    "var",
]


@dataclass(frozen=True, repr=False)
class Aggregate:
    """A value; made by the functions of this module."""

    function: str
    column: str = ""
    wide: bool = False
    expression: Any = field(default=None, compare=False)  # what is aggregated instead of a column
    where: Any = field(default=None, compare=False)  # the predicate in it
    text: str = ""  # of both

    def __repr__(self) -> str:
        inside = self.text or (f'"{self.column}"' if self.column else "")
        return f"{self.function}({inside}{', wide=True' if self.wide else ''})"


def _of(function: str, column: Any, where: Any, wide: bool = False) -> Aggregate:
    if is_expression(column) and column.meta.is_column():
        column = column.meta.output_name()
    if not is_expression(column) and (not isinstance(column, str) or not column):
        raise InvalidJobError(
            f'{function}: give a column name, such as wl.{function}("speed"), or a Polars expression, not {column!r}'
        )
    if where is None and isinstance(column, str):
        return Aggregate(function, column, wide)
    pl = need("polars", "polars")
    shown = f'"{column}"' if isinstance(column, str) else str(column)
    expression = pl.col(column) if isinstance(column, str) else column
    if where is None:
        return Aggregate(function, "", wide, expression, None, shown)
    return Aggregate(function, "", wide, _only(function, expression, where), where, f"{shown}, where={where}")


def _only(function: str, expression: Any, where: Any) -> Any:
    """The expression where a predicate is true, else null, which every aggregate skips."""
    if not is_expression(where):
        raise InvalidJobError(f'{function}: where is a Polars predicate, such as pl.col("speed") > 50, not {where!r}')
    return need("polars", "polars").when(where).then(expression)


def count(column: str | pl.Expr | None = None, *, where: pl.Expr | None = None) -> Aggregate:
    """The number of records; of a column: of its values that are not null."""
    if column is not None:
        return _of("count", column, where)
    if where is None:
        return Aggregate("count")
    counted = _only("count", need("polars", "polars").lit(True), where)
    return Aggregate("count", "", False, counted, where, f"where={where}")


def sum(column: str | pl.Expr, *, where: pl.Expr | None = None, wide: bool = False) -> Aggregate:
    """The sum. Of integers it is exact: beyond int64 the pane is a dead letter, or with `wide` a decimal."""
    return _of("sum", column, where, bool(wide))


def mean(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The arithmetic mean."""
    return _of("mean", column, where)


def min(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The least value."""
    return _of("min", column, where)


def max(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The largest value."""
    return _of("max", column, where)


def var(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The sample variance (ddof=1); null over fewer than two values."""
    return _of("var", column, where)


def std(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The sample standard deviation (ddof=1)."""
    return _of("std", column, where)


def first(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value with the earliest event time."""
    return _of("first", column, where)


def last(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value with the latest event time."""
    return _of("last", column, where)


def n_unique(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """How many different values; NaN is one."""
    return _of("n_unique", column, where)


def collect(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """All values as a list, by event time."""
    return _of("collect", column, where)


def quantile(column: str | pl.Expr, q: float, *, interpolation: str = "nearest") -> Aggregate:
    """The value below which a share `q` lies. Comes with a later version."""
    _of("quantile", column, None)
    if not isinstance(q, (int, float)) or not 0 <= q <= 1:
        raise InvalidJobError(f"quantile: q must lie between 0 and 1, not {q!r}")
    raise NotYetError("wl.quantile comes with a later version")

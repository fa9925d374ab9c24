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
from wrackline.schema import Field

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Aggregate",
    "check_type",
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
    """A value; made by the functions of this module.

    >>> import wrackline as wl
    >>> wl.sum("price", wide=True)
    sum("price", wide=True)
    """

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


_OF_NUMBERS = ("sum", "mean", "var", "std")


def check_type(label: str, aggregate: Aggregate, field: Field | None) -> None:
    """Refuses what can be done with numbers alone for columns of text."""
    if aggregate.function in _OF_NUMBERS and field is not None and field.type in ("string", "bytes"):
        raise InvalidJobError(
            f"{label}: {aggregate.function} needs numbers, and column {field.name!r} is {field.written}; cast it "
            f'before, .cast({{"{field.name}": pl.Float64}}), or take its count, n_unique, min, max, first or last'
        )


def count(column: str | pl.Expr | None = None, *, where: pl.Expr | None = None) -> Aggregate:
    """The number of records; of a column: of its values that are not null.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(known=wl.count("v")).collect().to_polars()["known"].to_list()
    [2]
    """
    if column is not None:
        return _of("count", column, where)
    if where is None:
        return Aggregate("count")
    counted = _only("count", need("polars", "polars").lit(True), where)
    return Aggregate("count", "", False, counted, where, f"where={where}")


def sum(column: str | pl.Expr, *, where: pl.Expr | None = None, wide: bool = False) -> Aggregate:
    """The sum. Of integers it is exact: beyond int64 the pane is a dead letter, or with `wide` a decimal.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(total=wl.sum("v")).collect().to_polars()["total"].to_list()
    [4.0]
    """
    return _of("sum", column, where, bool(wide))


def mean(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The arithmetic mean.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(middle=wl.mean("v")).collect().to_polars()["middle"].to_list()
    [2.0]
    """
    return _of("mean", column, where)


def min(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The least value.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(least=wl.min("v")).collect().to_polars()["least"].to_list()
    [1.0]
    """
    return _of("min", column, where)


def max(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The largest value.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(most=wl.max("v")).collect().to_polars()["most"].to_list()
    [3.0]
    """
    return _of("max", column, where)


def var(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The sample variance (ddof=1); null over fewer than two values.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(spread=wl.var("v")).collect().to_polars()["spread"].to_list()
    [2.0]
    """
    return _of("var", column, where)


def std(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The sample standard deviation (ddof=1).

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(spread=wl.std("v")).collect().to_polars()["spread"].to_list()
    [1.4142135623730951]
    """
    return _of("std", column, where)


def first(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value with the earliest event time.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(before=wl.first("v")).collect().to_polars()["before"].to_list()
    [1.0]
    """
    return _of("first", column, where)


def last(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value with the latest event time.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(newest=wl.last("v")).collect().to_polars()["newest"].to_list()
    [3.0]
    """
    return _of("last", column, where)


def n_unique(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """How many different values; NaN is one.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(kinds=wl.n_unique("v")).collect().to_polars()["kinds"].to_list()
    [2]
    """
    return _of("n_unique", column, where)


def collect(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """All values as a list, by event time.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(values=wl.collect("v")).collect().to_polars()["values"].to_list()
    [[1.0, 3.0]]
    """
    return _of("collect", column, where)


def quantile(column: str | pl.Expr, q: float, *, interpolation: str = "nearest") -> Aggregate:
    """The value below which a share `q` lies. Comes with a later version.

    >>> import wrackline as wl
    >>> wl.quantile("v", 0.9)
    Traceback (most recent call last):
    wrackline.errors.NotYetError: wl.quantile comes with a later version
    """
    _of("quantile", column, None)
    if not isinstance(q, (int, float)) or not 0 <= q <= 1:
        raise InvalidJobError(f"quantile: q must lie between 0 and 1, not {q!r}")
    raise NotYetError("wl.quantile comes with a later version")

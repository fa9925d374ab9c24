"""Aggregates: one value from the accepted records of a window, as Polars would give it.

    >>> import wrackline as wl
    >>> wl.mean("speed")
    mean("speed")
    >>> wl.count()
    count()

Each takes a column, or a Polars expression of the record's own columns: ``wl.sum(pl.col("price") * pl.col("qty"))``.
`where`: a Polars predicate; only records for which it is true count.

Null is skipped. ``count()`` counts rows, ``count("c")`` values. ``min`` and ``max`` skip NaN unless there is
nothing else; ``sum``, ``mean``, ``var`` and ``std`` become NaN by it; for ``quantile``, ``median`` and ``top_k`` it is
the largest value. ``first``, ``last`` and ``collect`` go by event time, ties by the order in the partition.

``approx_`` in a name says that the answer has an error, which its description bounds. The same records always give
the same answer, however they were cut into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from wrackline.errors import InvalidJobError
from wrackline.expressions import is_expression
from wrackline.hints import shown
from wrackline.results import need
from wrackline.schema import Field, suggestion

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Aggregate",
    "approx_most_common",
    "approx_n_unique",
    "approx_quantile",
    "arg_max",
    "arg_min",
    "bool_and",
    "bool_or",
    "check_type",
    "collect",
    "collect_set",
    "count",
    "first",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "n_unique",
    "quantile",
    "std",
    "sum",
    "top_k",
    "var",
]

Interpolation = Literal["nearest", "lower", "higher", "midpoint", "linear", "equiprobable"]


@dataclass(frozen=True, repr=False)
class Aggregate:
    """A value; made by the functions of this module.

    >>> import wrackline as wl
    >>> wl.sum("price", wide=True)
    sum("price", wide=True)
    """

    function: str
    text: str  # of what is in the parentheses
    inputs: tuple[Any, ...] = field(default=(), compare=False)  # column names and expressions
    where: Any = field(default=None, compare=False)  # the predicate, which is in the inputs, too
    options: dict[str, Any] = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        return f"{self.function}({self.text})"


def _of(function: str, columns: Sequence[Any], where: Any, /, *shown_values: Any, **options: Any) -> Aggregate:
    """`shown_values` and those `options` that are not the usual ones are in its text."""
    inputs = [_input(function, column) for column in columns]
    text = [f'"{one}"' if isinstance(one, str) else str(one) for one in inputs]
    text += map(str, shown_values)
    text += [f"{name}={value!r}" for name, value in options.items() if value not in (False, "nearest")]
    if where is not None:
        # The last column decides whether a record is there: by the others a record is not chosen.
        inputs[-1] = _only(function, inputs[-1], where)
        text.append(f"where={where}")
    return Aggregate(function, ", ".join(text), tuple(inputs), where, options)


def _input(function: str, column: Any) -> Any:
    if is_expression(column) and column.meta.is_column():
        column = column.meta.output_name()
    if not is_expression(column) and (not isinstance(column, str) or not column):
        raise InvalidJobError(
            f'{function}: give a column name, such as wl.{function}("speed"), or a Polars expression, not {column!r}'
        )
    return column


def _only(function: str, column: Any, where: Any) -> Any:
    """The expression where a predicate is true, else null, which every aggregate skips."""
    if not is_expression(where):
        raise InvalidJobError(f'{function}: where is a Polars predicate, such as pl.col("speed") > 50, not {where!r}')
    pl = need("polars", "polars")
    return pl.when(where).then(pl.col(column) if isinstance(column, str) else column)


def _with(options: dict[str, Any], aggregate: Aggregate) -> Aggregate:
    return replace(aggregate, options={**aggregate.options, **options})


def _share(function: str, q: Any) -> float:
    if isinstance(q, bool) or not isinstance(q, (int, float)) or not 0 <= q <= 1:
        raise InvalidJobError(f"{function}: q must lie between 0 and 1, not {shown(q)}")
    return float(q)


def _how_many(function: str, k: Any) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= 10_000:
        raise InvalidJobError(f"{function}: k is a whole number from 1 to 10,000, not {shown(k)}")
    return k


_OF_NUMBERS = ("sum", "mean", "var", "std", "quantile", "median", "approx_quantile")


def check_type(label: str, aggregate: Aggregate, field: Field | None) -> None:
    """Refuses what can be done with numbers or bools alone for columns of something else."""
    if field is None:
        return
    if aggregate.function in _OF_NUMBERS and field.type in ("string", "bytes"):
        raise InvalidJobError(
            f"{label}: {aggregate.function} needs numbers, and column {field.name!r} is {field.written}; cast it "
            f'before, .cast({{"{field.name}": pl.Float64}}), or take its count, n_unique, min, max, first or last'
        )
    if aggregate.function in ("bool_and", "bool_or") and field.type != "bool":
        raise InvalidJobError(
            f"{label}: {aggregate.function} needs a bool, and column {field.name!r} is {field.written}; give a "
            f'predicate, such as wl.{aggregate.function}(pl.col("{field.name}") > 0)'
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
        return _of("count", [column], where)
    if where is None:
        return Aggregate("count", "")
    counted = _only("count", need("polars", "polars").lit(True), where)
    return Aggregate("count", f"where={where}", (counted,), where)


def sum(column: str | pl.Expr, *, where: pl.Expr | None = None, wide: bool = False) -> Aggregate:
    """The sum. Of integers it is exact: beyond int64 the pane is a dead letter, or with `wide` a decimal.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(total=wl.sum("v")).collect().to_polars()["total"].to_list()
    [4.0]
    """
    return _of("sum", [column], where, wide=bool(wide))


def mean(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The arithmetic mean.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(middle=wl.mean("v")).collect().to_polars()["middle"].to_list()
    [2.0]
    """
    return _of("mean", [column], where)


def min(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The least value.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(least=wl.min("v")).collect().to_polars()["least"].to_list()
    [1.0]
    """
    return _of("min", [column], where)


def max(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The largest value.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(most=wl.max("v")).collect().to_polars()["most"].to_list()
    [3.0]
    """
    return _of("max", [column], where)


def var(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The sample variance (ddof=1); null over fewer than two values.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(spread=wl.var("v")).collect().to_polars()["spread"].to_list()
    [2.0]
    """
    return _of("var", [column], where)


def std(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The sample standard deviation (ddof=1).

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(spread=wl.std("v")).collect().to_polars()["spread"].to_list()
    [1.4142135623730951]
    """
    return _of("std", [column], where)


def first(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value with the earliest event time.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(before=wl.first("v")).collect().to_polars()["before"].to_list()
    [1.0]
    """
    return _of("first", [column], where)


def last(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value with the latest event time.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(newest=wl.last("v")).collect().to_polars()["newest"].to_list()
    [3.0]
    """
    return _of("last", [column], where)


def n_unique(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """How many different values; NaN is one.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(kinds=wl.n_unique("v")).collect().to_polars()["kinds"].to_list()
    [2]
    """
    return _of("n_unique", [column], where)


def collect(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """All values as a list, by event time.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(values=wl.collect("v")).collect().to_polars()["values"].to_list()
    [[1.0, 3.0]]
    """
    return _of("collect", [column], where)


def collect_set(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The different values as a list, in ascending order: a set has no order of its own. NaN is one value, and last.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(kinds=wl.collect_set("v")).collect().to_polars()["kinds"].to_list()
    [[1.0, 3.0]]
    """
    return _of("collect_set", [column], where)


def quantile(
    column: str | pl.Expr, q: float, *, interpolation: Interpolation = "nearest", where: pl.Expr | None = None
) -> Aggregate:
    """The value below which a share `q` of the values lies, exact. Of times a time, else a float; NaN is the largest.

    `interpolation` is as in Polars. All values of a window are kept, 8 bytes each; `approx_quantile` needs a few KiB
    however many there are.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(low=wl.quantile("v", 0.25, interpolation="linear")).collect().to_polars()["low"].to_list()
    [1.5]
    """
    known = get_args(Interpolation)
    if interpolation not in known:
        raise InvalidJobError(
            f"quantile: interpolation is one of {', '.join(known)}, not {shown(interpolation)}"
            + (suggestion(interpolation, list(known)) if isinstance(interpolation, str) else "")
        )
    q = _share("quantile", q)
    return _with({"q": q}, _of("quantile", [column], where, q, interpolation=interpolation))


def median(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value in the middle; between two their mean. As `quantile(column, 0.5, interpolation="linear")`.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(middle=wl.median("v")).collect().to_polars()["middle"].to_list()
    [2.0]
    """
    return _of("median", [column], where)


def top_k(column: str | pl.Expr, k: int = 5, *, where: pl.Expr | None = None) -> Aggregate:
    """The `k` largest values as a list, the largest first, as Polars' `top_k` (not the most frequent ones).

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(best=wl.top_k("v", 2)).collect().to_polars()["best"].to_list()
    [[3.0, 1.0]]
    """
    k = _how_many("top_k", k)
    return _with({"k": k}, _of("top_k", [column], where, k))


def arg_min(column: str | pl.Expr, by: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value of `column` in the record where `by` is least, as Polars' `min_by`; of several the earliest.

    Records where `by` is null are skipped; NaN counts when there is nothing else. The value may be null.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 2.0, "who": "a", "ts": 1}, {"v": 1.0, "who": "b", "ts": 2}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(slowest=wl.arg_min("who", by="v")).collect().to_polars()["slowest"].to_list()
    ['b']
    """
    return _of("arg_min", [column, by], where)


def arg_max(column: str | pl.Expr, by: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """The value of `column` in the record where `by` is largest, as Polars' `max_by`; of several the earliest.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 2.0, "who": "a", "ts": 1}, {"v": 1.0, "who": "b", "ts": 2}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(fastest=wl.arg_max("who", by="v")).collect().to_polars()["fastest"].to_list()
    ['a']
    """
    return _of("arg_max", [column, by], where)


def bool_and(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """Whether every value is true; null over only nulls.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"ok": True, "ts": 1}, {"ok": None, "ts": 2}, {"ok": False, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(all_ok=wl.bool_and("ok")).collect().to_polars()["all_ok"].to_list()
    [False]
    """
    return _of("bool_and", [column], where)


def bool_or(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """Whether any value is true; null over only nulls.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"ok": True, "ts": 1}, {"ok": None, "ts": 2}, {"ok": False, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(any_ok=wl.bool_or("ok")).collect().to_polars()["any_ok"].to_list()
    [True]
    """
    return _of("bool_or", [column], where)


def approx_n_unique(column: str | pl.Expr, *, where: pl.Expr | None = None) -> Aggregate:
    """About how many different values, in at most 4 KiB a key and slice.

    HyperLogLog with 4096 registers and a fixed seed: the standard error is 1.63 %, so 99 of 100 answers are within
    4.2 %; up to 256 different values it is exact.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(kinds=wl.approx_n_unique("v")).collect().to_polars()["kinds"].to_list()
    [2]
    """
    return _of("approx_n_unique", [column], where)


def approx_quantile(column: str | pl.Expr, q: float, *, where: pl.Expr | None = None) -> Aggregate:
    """About the value below which a share `q` of the values lies, in about 5 KiB, at most 16, a key and slice.

    A KLL sketch (k = 200) without random numbers: 99 of 100 answers are values whose rank is within 1.65 % of the count
    of the one asked for; while fewer than 200 values came it is `quantile(column, q)`. Least and largest are exact.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1.0, "ts": 1}, {"v": None, "ts": 2}, {"v": 3.0, "ts": 3}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(most=wl.approx_quantile("v", 0.9)).collect().to_polars()["most"].to_list()
    [3.0]
    """
    q = _share("approx_quantile", q)
    return _with({"q": q}, _of("approx_quantile", [column], where, q))


def approx_most_common(column: str | pl.Expr, k: int = 5, *, where: pl.Expr | None = None) -> Aggregate:
    """About the `k` most frequent values as a list, the most frequent first, equally frequent ones in ascending order.

    Space-Saving in its mergeable form, with c = 8 k counters (at least 256): of N values, one that is left out came at
    most N / (c + 1) times more often than one that is there; with up to c different values it is exact.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"page": page, "ts": 1} for page in ("a", "b", "c", "b", "b", "c")])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(hot=wl.approx_most_common("page", 2)).collect().to_polars()["hot"].to_list()
    [['b', 'c']]
    """
    k = _how_many("approx_most_common", k)
    return _with({"k": k}, _of("approx_most_common", [column], where, k))

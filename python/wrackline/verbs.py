"""What can be done to the rows of any stream: of the main way, of late rows, duplicates and dead letters."""

from __future__ import annotations

import datetime as dt
import operator as op
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from wrackline import expressions, transforms
from wrackline.durations import to_time
from wrackline.errors import InvalidJobError
from wrackline.hints import no_attribute, shown
from wrackline.results import need
from wrackline.schema import METADATA, Columns, suggestion
from wrackline.transforms import Explode, Frame, OnError, Transform

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Verbs"]

# Makes the step of a plan behind a stream with these columns: (label, columns) -> what to call, or (column, op, value).
Build = Callable[[str, Columns], "Transform | Explode | Comparison"]


class Comparison:
    """A filter that the core does by itself: column, operator, value."""

    def __init__(self, column: str, op: str, value: Any) -> None:
        self.column, self.op, self.value = column, op, value

    def __str__(self) -> str:
        return f"{self.column} {self.op} {self.value!r}"


class Verbs:
    """The calls; `_add_step` adds one to the job's plan."""

    def _add_step(self, kind: str, build: Build, name: str, on_error: OnError) -> Self:
        raise NotImplementedError

    if not TYPE_CHECKING:  # with it every misspelling would have a type

        def __getattr__(self, name: str) -> Any:
            no_attribute(self, name)

    def filter(self, *condition: Any, name: str = "", on_error: OnError = "dead_letter") -> Self:
        """The rows for which a condition is true; null does not pass.

        A condition is a Polars expression, or several that are all to be true; or column, operator and value, which
        needs no Polars: ``.filter("speed", ">=", 0)``.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> rows = wl.from_records([{"id": 1, "speed": 50.0, "ts": 0}, {"id": 2, "speed": -1.0, "ts": 1}])
        >>> readings = wl.Job("example").read(rows, time="ts")
        >>> readings.filter(pl.col("speed") >= 0).collect().to_polars()["id"].to_list()
        [1]
        """
        if condition and all(map(expressions.is_expression, condition)):
            return self._add_step(
                "filter", lambda label, columns: expressions.make_predicate(label, columns, condition), name, on_error
            )
        return self._add_step("filter", lambda label, there: _comparison(label, there, condition), name, on_error)

    def with_columns(
        self,
        *exprs: str | pl.Expr | Sequence[str] | Sequence[pl.Expr],
        name: str = "",
        on_error: OnError = "dead_letter",
        **named: Any,
    ) -> Self:
        """Adds columns, or puts others in their place, by Polars expressions that look at their own row alone.

        A row keeps the event time it was read with, also if its column is replaced.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": 2.0, "qty": 3, "ts": 0}])
        >>> wl.Job("example").read(rows, time="ts").with_columns(total=pl.col("price") * pl.col("qty")).collect().rows(
        ...     times="ms"
        ... )
        [{'price': 2.0, 'qty': 3, 'ts': 0, 'total': 6.0}]
        """
        return self._columns("with_columns", exprs, named, name, on_error, passes=True)

    def select(
        self,
        *exprs: str | pl.Expr | Sequence[str | pl.Expr],
        name: str = "",
        on_error: OnError = "dead_letter",
        **named: Any,
    ) -> Self:
        """These columns alone: names, or Polars expressions.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": 2.0, "qty": 3, "ts": 0}])
        >>> readings = wl.Job("example").read(rows, time="ts")
        >>> readings.select("qty", total=pl.col("price") * pl.col("qty")).collect().rows()
        [{'qty': 3, 'total': 6.0}]
        """
        return self._columns("select", exprs, named, name, on_error, passes=False)

    def rename(self, mapping: Mapping[str, str], *, name: str = "") -> Self:
        """Other names for columns: ``.rename({"old": "new"})``.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": 2.0, "qty": 3, "ts": 0}])
        >>> wl.Job("example").read(rows, time="ts").rename({"qty": "pieces"}).collect().columns
        ['price', 'pieces', 'ts']
        """
        return self._add_step(
            "rename",
            lambda label, columns: expressions.make_columns(
                "rename", label, columns, transforms.renamed(columns, mapping, label), {}, passes=False
            ),
            name,
            "dead_letter",
        )

    def cast(self, dtypes: Mapping[str, Any], *, name: str = "", on_error: OnError = "dead_letter") -> Self:
        """Other types for columns, as Polars casts them. A value that cannot be cast makes its record a dead letter.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": "2.5", "ts": 0}])
        >>> wl.Job("example").read(rows, time="ts").cast({"price": pl.Float64}).collect().rows()
        [{'price': 2.5, 'ts': 0}]
        """

        def build(label: str, columns: Columns) -> Transform:
            pl = need("polars", "polars", label)
            if not isinstance(dtypes, Mapping):
                first = columns.names[0]
                raise InvalidJobError(f'{label}: say the type of each column: .cast({{"{first}": pl.String}})')
            _known(label, columns, dtypes)
            try:
                made = [pl.col(column).cast(dtype) for column, dtype in dtypes.items()]
            except TypeError as error:
                raise InvalidJobError(f"{label}: {error}; types are those of Polars, such as pl.Float64") from None
            return expressions.make_columns("cast", label, columns, made, {}, passes=True)

        return self._add_step("cast", build, name, on_error)

    def drop(self, *columns: str, name: str = "") -> Self:
        """All columns but these.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": 2.0, "qty": 3, "ts": 0}])
        >>> wl.Job("example").read(rows, time="ts").drop("qty").collect().columns
        ['price', 'ts']
        """

        def build(label: str, there: Columns) -> Transform:
            _known(label, there, columns)
            kept = [one for one in there.names if one not in columns]
            if not kept:
                raise InvalidJobError(f"{label}: no columns are left")
            return expressions.make_columns("drop", label, there, kept, {}, passes=False)

        return self._add_step("drop", build, name, "dead_letter")

    def map(
        self, function: Callable[..., Any], *, returns: Any = None, name: str = "", on_error: OnError = "dead_letter"
    ) -> Self:
        """Calls a Python function for each row; its parameters are columns, by their names.

        `returns` says which columns it makes, in any form of a schema. It gives a value (of one column), or a tuple or
        dict of several; the other columns go on beside them. A row for which it raises is a dead letter (`on_error`:
        ``"dead_letter"``, ``"skip"``, ``"fail"``). A single parameter that is no column gets the row as a dict.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": 2.0, "qty": 3, "ts": 0}])
        >>> readings = wl.Job("example").read(rows, time="ts")
        >>> readings.map(lambda price, qty: price * qty, returns={"total": float}).collect().rows(times="ms")
        [{'price': 2.0, 'qty': 3, 'ts': 0, 'total': 6.0}]
        """
        return self._rows("map", function, returns, name, on_error)

    def flat_map(
        self, function: Callable[..., Any], *, returns: Any = None, name: str = "", on_error: OnError = "dead_letter"
    ) -> Self:
        """As `map`, but the function gives any number of rows: an iterable of values, tuples or dicts.

        Each has the event time of the row it was made of. A row of which none is made counts as filtered.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"words": "high water", "ts": 0}])
        >>> split = wl.Job("example").read(rows, time="ts").flat_map(lambda words: words.split(), returns={"word": str})
        >>> split.select("word").collect().rows()
        [{'word': 'high'}, {'word': 'water'}]
        """
        return self._rows("flat_map", function, returns, name, on_error)

    def map_batches(
        self,
        function: Callable[[Any], Any],
        *,
        returns: Any = None,
        frame: Frame = "polars",
        name: str = "",
        on_error: OnError = "dead_letter",
    ) -> Self:
        """Calls a Python function with whole batches, cut anywhere: a `frame` in, anything with an Arrow interface out
        (``"numpy"``: a dict of arrays), as many rows as came.

        `returns`: the columns it gives; unless they are given the function is called once with a frame without rows. If
        it raises, the batch is halved until the rows are known that fail alone.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> rows = wl.from_records([{"price": 2.0, "qty": 3, "ts": 0}])
        >>> readings = wl.Job("example").read(rows, time="ts")
        >>> doubled = readings.map_batches(lambda frame: frame.with_columns(twice=pl.col("price") * 2))
        >>> doubled.select("twice").collect().rows()
        [{'twice': 4.0}]
        """
        return self._add_step(
            "map_batches",
            lambda label, columns: transforms.make_batch_function(label, columns, function, returns, frame),
            name,
            on_error,
        )

    def explode(self, column: str, *, returns: Any = None, name: str = "", on_error: OnError = "dead_letter") -> Self:
        """A row for each item of a list, beside the record's other columns.

        Items that are objects make columns such as ``"readings.value"``, those of their schema: the `Item` of a column
        ``list[Item]``, or `returns`. Each row has the record's event time. A record whose list is empty or null makes
        no row and counts as filtered (Polars makes one of nulls); one with an item that does not fit is a dead letter.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"id": 1, "speeds": [50.0, 60.0], "ts": 0}, {"id": 2, "speeds": [70.0], "ts": 1}])
        >>> wl.Job("example").read(rows, time="ts").explode("speeds").collect().to_polars()["speeds"].to_list()
        [50.0, 60.0, 70.0]
        """

        def build(label: str, columns: Columns) -> Explode:
            return transforms.make_explode(label, columns, column, returns)

        return self._add_step("explode", build, name, on_error)

    def unnest(self, *columns: str, name: str = "") -> Self:
        """Nested columns without what they lie in: after ``unnest("gps")`` ``"gps.speed"`` is ``"speed"``.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"gps": {"speed": 50.0}, "ts": 0}])
        >>> wl.Job("example").read(rows, time="ts").unnest("gps").collect().columns
        ['speed', 'ts']
        """
        return self._add_step(
            "unnest",
            lambda label, there: expressions.make_columns(
                "unnest", label, there, transforms.unnested(there, columns, label), {}, passes=False
            ),
            name,
            "dead_letter",
        )

    def enrich(self, frame: Any, *, on: str | Sequence[str], name: str = "") -> Self:
        """The columns of a small table, joined by key; null where the table has no such key.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> shops = pl.DataFrame({"shop": ["a"], "city": ["Aix"]})
        >>> rows = wl.from_records([{"shop": "a", "ts": 0}, {"shop": "b", "ts": 1}])
        >>> wl.Job("example").read(rows, time="ts").enrich(shops, on="shop").collect().to_polars()["city"].to_list()
        ['Aix', None]
        """
        return self._add_step(
            "enrich", lambda label, columns: transforms.make_enrich(label, columns, frame, on), name, "dead_letter"
        )

    def _rows(
        self,
        kind: Literal["map", "flat_map"],
        function: Callable[..., Any],
        returns: Any,
        name: str,
        on_error: OnError,
    ) -> Self:
        return self._add_step(
            kind,
            lambda label, columns: transforms.make_row_function(kind, label, columns, function, returns),
            name,
            on_error,
        )

    def _columns(
        self, kind: str, exprs: Sequence[Any], named: dict[str, Any], name: str, on_error: OnError, *, passes: bool
    ) -> Self:
        return self._add_step(
            kind,
            lambda label, columns: expressions.make_columns(kind, label, columns, exprs, named, passes=passes),
            name,
            on_error,
        )


_OPERATORS = {"==": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}


def _comparison(label: str, columns: Columns, condition: tuple[Any, ...]) -> Transform | Comparison:
    if not condition or not isinstance(condition[0], str):
        given = shown(condition[0]) if condition else "nothing"
        raise InvalidJobError(
            f'{label}: give an expression, .filter(pl.col("speed") >= 0), or .filter("speed", ">=", 0), not {given}'
        )
    if len(condition) != 3:
        written = re.fullmatch(r"\s*(\S+)\s*(==|!=|>=|<=|>|<)\s*(.+?)\s*", condition[0])
        column, sign, value = written.groups() if written else (condition[0], ">=", "value")
        raise InvalidJobError(f'{label}: give column, comparison and value: .filter("{column}", "{sign}", {value})')
    if condition[1] not in _OPERATORS:
        raise InvalidJobError(f"{label}: there is no comparison {condition[1]!r}; there are: {' '.join(_OPERATORS)}")
    column, operator, value = condition
    if column in METADATA and columns.get(column) is None:
        predicate = _OPERATORS[operator](need("polars", "polars").col(column), value)
        return expressions.make_predicate(label, columns, [predicate])
    return Comparison(column, operator, value)


def _known(label: str, columns: Columns, names: Any) -> None:
    for one in names:
        if columns.get(one) is None:
            raise InvalidJobError(f"{label}: there is no column {one!r}{suggestion(one, columns.names)}")


def filter_value(label: str, columns: Columns, comparison: Comparison) -> tuple[Any, bool]:
    """The value of a comparison as its column wants it, and whether it is a time (ms)."""
    field, value = columns.get(comparison.column), comparison.value
    if field is None:
        raise InvalidJobError(
            f"{label}: there is no column {comparison.column!r}{suggestion(comparison.column, columns.names)}"
        )
    if value is None:
        raise InvalidJobError(f"{label}: nothing compares with None; null never passes a filter")
    if field.type == "timestamp":
        return to_time(value, label), True
    if isinstance(value, dt.datetime):
        raise InvalidJobError(f"{label}: column {field.name!r} is {field.type}, not a time")
    if not isinstance(value, (bool, int, float, str, bytes)):
        raise InvalidJobError(f"{label}: a value is a bool, number, str, bytes or datetime, not {value!r}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidJobError(f"{label}: {value} does not fit int64")
    return value, False

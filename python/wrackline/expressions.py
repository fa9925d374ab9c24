"""Polars expressions on a stream: what they read and make, and whether they may.

An expression sees one batch after the other, cut anywhere; so only one that works on each row by itself gives the same
answer at any speed. Others are refused when the job is built.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wrackline.dtypes import core_type, polars_schema
from wrackline.errors import InvalidJobError
from wrackline.hints import shown
from wrackline.results import need
from wrackline.schema import METADATA, Columns, Field, suggestion
from wrackline.transforms import Function, Transform

if TYPE_CHECKING:
    import polars as pl

__all__ = ["is_expression", "make_columns", "make_predicate"]

_WINDOW = '.key_by("k").window(wl.tumbling("5m")).agg'
_NEIGHBOUR = f'the values of a window, in order, are {_WINDOW}(values=wl.collect("{{c}}"))'
# By a part of the method's name; the first that fits. {c} is the column.
_INSTEAD = {
    "shift": _NEIGHBOUR,
    "diff": _NEIGHBOUR,
    "pct_change": _NEIGHBOUR,
    "cum_": f'a running value needs state: {_WINDOW}(total=wl.sum("{{c}}"))',
    "over": f'a value of a group needs state: {_WINDOW}(m=wl.mean("{{c}}"))',
    "rolling": 'a rolling value needs state: .key_by("k").window(wl.hopping("1h", "5m")).agg(m=wl.mean("{c}"))',
    "ewm": 'a rolling value needs state: .key_by("k").window(wl.hopping("1h", "5m")).agg(m=wl.mean("{c}"))',
    "sort": "rows come in the order of the log; sort what .collect() gives",
    "reverse": "rows come in the order of the log; reverse what .collect() gives",
    "shuffle": "rows come in the order of the log; shuffle what .collect() gives",
    "n_unique": f'{_WINDOW}(n=wl.n_unique("{{c}}"))',
    "unique": 'the first of equal rows is .dedup("{c}", within="1h"), the others .dedup(...).duplicates',
    "is_duplicated": 'the first of equal rows is .dedup("{c}", within="1h"), the others .dedup(...).duplicates',
    "distinct": 'the first of equal rows is .dedup("{c}", within="1h"), the others .dedup(...).duplicates',
    "sample": 'a share is taken by values: .filter(pl.col("{c}").hash() % 100 < 5)',
    "strptime": 'give the format, since Polars would guess it of each batch: pl.col("{c}").str.to_datetime("%Y-%m-%d")',
    "fill_null_with_strategy": 'fill with a value of the row itself: pl.col("{c}").fill_null(0)',
    "interpolate": 'fill with a value of the row itself: pl.col("{c}").fill_null(0)',
    "drop_nulls": '.filter(pl.col("{c}").is_not_null()) of the stream',
    "drop_nans": '.filter(pl.col("{c}").is_not_nan()) of the stream',
    "filter": ".filter(...) of the stream takes the predicate",
    "explode": '.explode("{c}") of the stream makes a row of each item',
    "slice": ".collect(rows=...) and job.run(rows=...) end early",
    "top_k": f'the largest values of a window are {_WINDOW}(best=wl.top_k("{{c}}"))',
    "bottom_k": 'the least value of a window is .key_by("k").window(wl.tumbling("5m")).agg(m=wl.min("{c}"))',
    "rank": f'{_WINDOW}(values=wl.collect("{{c}}")), then pl.col("values").list.eval(pl.element().rank())',
    "median": f'{_WINDOW}(m=wl.median("{{c}}"))',
    "quantile": f'{_WINDOW}(q=wl.quantile("{{c}}", 0.9))',
    "qcut": 'give the edges: pl.col("{c}").cut([...])',
    "value_counts": '.key_by("{c}").window(wl.tumbling("5m")).agg(n=wl.count())',
    "implode": f'{_WINDOW}(values=wl.collect("{{c}}"))',
    "len": f"{_WINDOW}(n=wl.count())",
}
_AGGREGATES = ("mean", "sum", "min", "max", "count", "std", "var", "first", "last")


def _polars(label: str) -> Any:
    return need("polars", "polars", label)


def is_expression(value: object) -> bool:
    """Whether it is a Polars expression, without importing Polars."""
    return type(value).__module__.partition(".")[0] == "polars" and hasattr(value, "meta")


def make_predicate(label: str, columns: Columns, predicates: Sequence[Any]) -> Transform:
    """A filter: the rows for which all predicates are true; null does not pass."""
    pl = _polars(label)
    predicate = predicates[0]
    for more in predicates[1:]:
        predicate = predicate & more
    reads, fields = _check(label, columns, [predicate])
    if len(fields) != 1 or fields[0].type != "bool":
        kinds = ", ".join(f"{one.name}: {one.type}" for one in fields)
        raise InvalidJobError(f"{label}: a predicate is a bool for each row, not {kinds}: {predicate}")
    function = _Expressions([predicate.alias("keep")], ["keep"], broadcasts=_broadcasts(pl, [predicate]))
    return Transform("filter", "keep", function, reads, [], True, str(predicate))


def make_columns(
    kind: str, label: str, columns: Columns, expressions: Sequence[Any], named: dict[str, Any], *, passes: bool
) -> Transform:
    """`with_columns` (`passes`) or `select`."""
    pl = _polars(label)
    listed: list[Any] = []
    for one in expressions:
        listed += one if isinstance(one, (list, tuple)) else [one]
    made = [pl.col(one) if isinstance(one, str) else one for one in listed]
    made += [_value(pl, label, name, value).alias(name) for name, value in named.items()]
    if not made:
        raise InvalidJobError(f'{label}: give expressions, such as .{kind}(total=pl.col("price") * pl.col("qty"))')
    for one in made:
        if not is_expression(one):
            raise InvalidJobError(f"{label}: give Polars expressions or column names, not {shown(one)}")
    reads, fields = _check(label, columns, made)
    makes = [(one.name, one.type, one.nullable) for one in fields]
    text = ", ".join(map(str, made))
    if all(one.meta.undo_aliases().meta.is_column() for one in made):
        return Transform(kind, "columns", None, [_roots(one)[0] for one in made], makes, passes, text)
    names = [one.name for one in fields]
    function = _Expressions(made, names, broadcasts=_broadcasts(pl, made))
    return Transform(kind, "frame", function, reads, makes, passes, text)


def _value(pl: Any, label: str, name: str, value: Any) -> Any:
    """What Polars makes of an argument: a string is the name of a column."""
    if is_expression(value):
        return value
    if isinstance(value, str):
        return pl.col(value)
    try:
        return pl.lit(value)
    except TypeError:
        way = "; functions of rows go to .map(...)" if callable(value) else ""
        raise InvalidJobError(f"{label}: {name}= is a Polars expression or a value, not {shown(value)}{way}") from None


def _broadcasts(pl: Any, expressions: Sequence[Any]) -> bool:
    def scalar(one: Any) -> bool:
        try:
            return bool(one.meta.is_scalar())
        except pl.exceptions.PolarsError:
            return True

    return any(map(scalar, expressions))


class _Expressions(Function):
    """Evaluates on one thread: for batches of this size handing work to Polars' threads costs more than it gives."""

    def __init__(self, expressions: Sequence[pl.Expr], names: list[str], *, broadcasts: bool) -> None:
        self._expressions = list(expressions)
        self._names = names
        self._broadcasts = broadcasts

    def on_frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        if frame.height != 1:
            return self._evaluate(frame)
        # Polars divides one row by a constant, and multiplies several by its inverse: a row must not be alone. Frames
        # of one row twice are scalars to it again; series are not.
        twice = need("polars", "polars").DataFrame([one.clone().append(one).rechunk() for one in frame])
        return self._evaluate(twice).head(1)

    def _evaluate(self, frame: pl.DataFrame) -> pl.DataFrame:
        if not self._broadcasts:
            return frame.select_seq(self._expressions)
        return frame.with_columns_seq(self._expressions).select(self._names)

    def __call__(self, table: Any) -> Any:
        frame = need("polars", "polars").DataFrame(table)
        return self.checked(frame, self.on_frame)


def _check(label: str, columns: Columns, expressions: Sequence[Any]) -> tuple[list[str], list[Field]]:
    """The columns they read, and those they make."""
    pl = _polars(label)
    reads: list[str] = []
    fields: list[Field] = []
    there = columns
    for one in expressions:
        columns = _with_metadata(there, one)
        schema = polars_schema(columns)
        nothing = pl.DataFrame(schema=schema)
        empty = nothing.lazy()
        try:
            types = empty.select(one).collect_schema()
        except pl.exceptions.ColumnNotFoundError as error:
            missing = next((name for name in _roots(one) if name not in schema), "")
            known = [*columns.names, *(METADATA if missing.startswith("_") else ())]
            said = suggestion(missing, known) if missing else f": {error}"
            within = "" if one.meta.is_column() else f" (in {one.meta.undo_aliases()})"
            raise InvalidJobError(f"{label}: there is no column {missing!r}{said}{within}") from None
        except pl.exceptions.PolarsError as error:
            raise InvalidJobError(f"{label}: {one}: {str(error).splitlines()[0]}") from None
        opaque = _refuse(label, one)
        if not opaque:  # some mistakes are seen only when it is evaluated; here without rows
            try:
                nothing.select_seq(one)
            except pl.exceptions.PolarsError as error:
                raise InvalidJobError(f"{label}: {one}: {str(error).splitlines()[0]}") from None
        for name, dtype in types.items():
            kind = "json" if _is_json(columns, one, name) else core_type(label, name, dtype)
            fields.append(Field(name, kind, _nullable(columns, one), name))
        if one.meta.has_multiple_outputs():
            reads = columns.names
        reads += [name for name in _roots(one) if name not in reads]
        if opaque:
            _probe(label, schema, one)
    return (reads or columns.names[:1]), fields


def _with_metadata(columns: Columns, expression: Any) -> Columns:
    """With the columns of the log that the expression names."""
    more = [METADATA[name] for name in _roots(expression) if name in METADATA and columns.get(name) is None]
    return Columns((*columns.fields, *more), columns.name) if more else columns


def _is_json(columns: Columns, expression: Any, name: str) -> bool:
    """A column of JSON stays one, as long as it is not touched."""
    plain = expression.meta.undo_aliases()
    source = columns.get(plain.meta.output_name() if plain.meta.is_column() else name)
    untouched = plain.meta.is_column() or (expression.meta.has_multiple_outputs() and plain.meta.is_column_selection())
    return untouched and source is not None and source.type == "json"


def _roots(expression: Any) -> list[str]:
    return list(dict.fromkeys(expression.meta.root_names()))


def _nullable(columns: Columns, expression: Any) -> bool:
    plain = expression.meta.undo_aliases()
    if plain.meta.is_column():
        field = columns.get(plain.meta.output_name())
        return field is None or field.nullable
    return not (plain.meta.is_literal() and "null" not in str(plain))


def _refuse(label: str, expression: Any) -> bool:
    """Raises for an expression that looks at other rows. True: parts of it cannot be looked into."""
    pl = need("polars", "polars")
    try:
        fine = expression.meta.is_row_separable()
        if fine and not (expression.meta.is_length_preserving() or expression.meta.is_scalar()):
            fine = False
    except pl.exceptions.PolarsError:
        return True
    if not fine:
        text = str(expression.meta.undo_aliases())
        method = text.rpartition("(")[0].rpartition(".")[2] or text.partition("(")[0]
        instead = next((way for word, way in _INSTEAD.items() if word in method), "")
        if not instead and method in _AGGREGATES:
            instead = f'an aggregate needs a window: {_WINDOW}({method[0]}=wl.{method}("{{c}}"))'
        column = next(iter(_roots(expression)), "column")
        raise InvalidJobError(
            f"{label}: {text} looks at other rows than its own, and batches are cut anywhere"
            + (f". Instead: {instead.replace('{c}', column)}" if instead else "")
        )
    opaque = False
    for child in expression.meta.pop():
        if not child.meta.is_literal():
            opaque |= _refuse(label, child)
    return opaque


def _probe(label: str, schema: dict[str, Any], expression: Any) -> None:
    """Evaluates what cannot be looked into on some rows, whole and in two parts."""
    pl = need("polars", "polars")
    frame = _some_rows(schema)
    try:
        whole = frame.with_columns_seq(expression)
        parts = [frame[:5].with_columns_seq(expression), frame[5:].with_columns_seq(expression)]
    except Exception:  # of the user's function, on values that are not theirs: nothing is known
        return
    if not whole.equals(pl.concat(parts)):
        raise InvalidJobError(
            f"{label}: {expression} gives other rows when its batch is cut in two: only what works on each row by "
            "itself gives the same answer at any speed"
        )


def _some_rows(schema: dict[str, Any]) -> Any:
    pl = need("polars", "polars")
    values = random.Random(1)
    samples: dict[Any, Any] = {
        pl.Boolean: lambda: values.random() < 0.5,
        pl.Int64: lambda: values.randrange(1, 100),
        pl.Float64: lambda: values.random() * 100,
        pl.String: lambda: f"s{values.randrange(5)}",
        pl.Binary: lambda: b"b%d" % values.randrange(5),
        pl.Datetime: lambda: values.randrange(10**12),
    }

    def column(dtype: Any) -> Any:
        sample = samples.get(dtype.base_type() if hasattr(dtype, "base_type") else dtype)
        cells = [None] * 12 if sample is None else [sample() for _ in range(12)]
        return pl.Series(cells).cast(dtype) if sample is not None else pl.Series(cells, dtype=dtype)

    return pl.DataFrame({name: column(dtype) for name, dtype in schema.items()})

"""Functions on a stream: what they read, what they make, how the core calls them."""

from __future__ import annotations

import contextlib
import inspect
import random
import types
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from wrackline.dtypes import core_type, polars_schema
from wrackline.errors import InvalidJobError
from wrackline.hints import shown
from wrackline.results import need
from wrackline.schema import METADATA, Columns, Field, is_value_type, suggestion, to_columns

__all__ = [
    "Explode",
    "Function",
    "OnError",
    "Transform",
    "check_splits",
    "make_batch_function",
    "make_enrich",
    "make_explode",
    "make_row_function",
]

OnError = Literal["dead_letter", "skip", "fail"]
Frame = Literal["polars", "pyarrow", "pandas", "numpy"]
_LIBRARIES = {"polars": ["polars"], "pyarrow": ["pyarrow"], "pandas": ["pandas", "pyarrow"], "numpy": ["polars"]}


@dataclass(frozen=True)
class Transform:
    """A step of a plan that makes columns or keeps rows: the arguments of `_core.Plan.transform`."""

    kind: str
    calls: Literal["columns", "frame", "keep", "row", "rows"]
    function: Callable[..., Any] | None  # of "columns" none: they are those that it reads
    reads: list[str]
    makes: list[tuple[str, str, bool]]
    passes: bool
    text: str


@dataclass(frozen=True)
class Explode:
    """A step of a plan that makes a row of each item: the arguments of `_core.Plan.explode`."""

    column: str
    items: Columns  # of JSON: what an item makes


def make_explode(label: str, columns: Columns, column: Any, returns: Any) -> Explode:
    """`explode`: the column of lists, and what an item of it makes."""
    if not isinstance(column, str):
        raise InvalidJobError(f"{label}: give a column name, not {column!r}")
    field = columns.get(column)
    if field is None:
        raise InvalidJobError(f"{label}: there is no column {column!r}{suggestion(column, columns.names)}")
    if field.type.startswith("list["):
        return Explode(column, Columns(()))
    if field.type != "json":
        raise InvalidJobError(f"{label}: column {field!r} is no list; declare it as one: {column}: list[Item]")
    if returns is None and field.items is None:
        raise InvalidJobError(
            f'{label}: say what the items of {column!r} are: .explode("{column}", returns=Item) with a schema Item, or '
            "returns=float"
        )
    if isinstance(returns, type) and is_value_type(returns):
        items = to_columns({column: returns | None})
    else:
        given = field.items if returns is None else to_columns(returns)
        assert given is not None
        items = Columns(tuple(replace(one, name=f"{column}.{one.name}", path=one.path) for one in given.fields))
    return Explode(column, items)


class SplitError(BaseException):
    """A function gave other rows when its batch was cut in two. No row is to blame, so it is no `Exception`."""


class Function:
    """A function of whole batches. In tests each batch is also evaluated in two parts, cut at random."""

    split: ClassVar[random.Random | None] = None

    def checked(self, frame: Any, evaluate: Callable[[Any], Any]) -> Any:
        made = evaluate(frame)
        if Function.split is None or len(frame) < 2 or not hasattr(made, "equals"):
            return made
        pl = need("polars", "polars")
        at = Function.split.randrange(1, len(frame))
        parts = pl.concat([pl.DataFrame(evaluate(frame[:at])), pl.DataFrame(evaluate(frame[at:]))])
        if not pl.DataFrame(made).equals(parts):
            raise SplitError(
                f"{self}: {len(frame)} rows give other rows when they are cut at row {at}; only what works on each "
                "row by itself gives the same answer at any speed"
            )
        return made


@contextlib.contextmanager
def check_splits(cuts: random.Random) -> Iterator[None]:
    """Within it each batch is also evaluated in two parts, cut where `cuts` says."""
    before, Function.split = Function.split, cuts
    try:
        yield
    finally:
        Function.split = before


def function_name(function: Any) -> str:
    """By what a function is known to people."""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', '?')}.{name}"


def described(function: Any) -> str:
    """By what a function is known in a job's description: its name and its code, wherever that stands in the file."""
    code = getattr(function, "__code__", None)
    made = function_name(function)
    return made if code is None else f"{made}#{zlib.crc32(repr(_content(code)).encode()):08x}"


def _content(code: types.CodeType) -> tuple[Any, ...]:
    return (code.co_code, code.co_names, [_constant(one) for one in code.co_consts])


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _content(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value  # in an order that stays


class _BatchFunction(Function):
    def __init__(self, function: Callable[[Any], Any], frame: Frame) -> None:
        self._function = function
        self._frame = frame

    def __str__(self) -> str:
        return function_name(self._function)

    def __call__(self, table: Any) -> Any:
        if self._frame == "pyarrow":
            return self._function(need("pyarrow", "pyarrow").table(table))
        if self._frame == "pandas":
            return self._function(need("pyarrow", "pyarrow").table(table).to_pandas())
        pl = need("polars", "polars")
        frame = pl.DataFrame(table)
        if self._frame == "numpy":
            return pl.DataFrame(self._function({name: frame[name].to_numpy() for name in frame.columns}))
        return self.checked(frame, self._function)


def make_batch_function(
    label: str, columns: Columns, function: Callable[[Any], Any], returns: Any, frame: Frame
) -> Transform:
    """`map_batches`: all columns in, all columns out, as many rows."""
    if not callable(function):
        raise InvalidJobError(f"{label}: give a function of a batch, not {shown(function)}")
    if frame not in ("polars", "pyarrow", "pandas", "numpy"):
        raise InvalidJobError(f'{label}: frame is "polars", "pyarrow", "pandas" or "numpy", not {frame!r}')
    for library in _LIBRARIES[frame]:
        need(library, frame if frame != "numpy" else "polars", f'{label} with frame="{frame}"')
    called = _BatchFunction(function, frame)
    made = _returned(label, returns) if returns is not None else _columns_of_nothing(label, columns, called)
    return Transform("map_batches", "frame", called, columns.names, made.to_core(), False, described(function))


def _columns_of_nothing(label: str, columns: Columns, called: Callable[[Any], Any]) -> Columns:
    """What the function makes of a batch without rows."""
    pl = need("polars", "polars", f"{label} without returns=")
    try:
        made = called(pl.DataFrame(schema=polars_schema(columns)))
    except Exception as error:
        raise InvalidJobError(
            f"{label}: the function fails on a batch without rows ({type(error).__name__}: {_first_line(error)}); say "
            'which columns it returns: returns={"name": float, ...}'
        ) from error
    if not (hasattr(made, "__arrow_c_stream__") or hasattr(made, "__arrow_c_array__")):
        raise InvalidJobError(f"{label}: the function returns {shown(made)}; a frame is needed")
    frame = pl.DataFrame(made)
    fields = [
        Field(name, core_type(label, name, dtype), _stays_required(columns, name, dtype), name)
        for name, dtype in frame.schema.items()
    ]
    if not fields:
        raise InvalidJobError(f"{label}: the function returns no columns")
    return Columns(tuple(fields))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _returned(label: str, returns: Any) -> Columns:
    if isinstance(returns, type) and returns in (str, int, float, bool, bytes):
        raise InvalidJobError(f'{label}: returns= says name and type: returns={{"name": {returns.__name__}}}')
    try:
        return to_columns(returns)
    except InvalidJobError as error:
        raise InvalidJobError(f"{label}: returns=: {error}") from None


def _stays_required(columns: Columns, name: str, dtype: Any) -> bool:
    """Whether nulls may be in it: a required column of the same name and type stays one."""
    field = columns.get(name)
    return field is None or field.nullable or polars_schema(columns)[name] != dtype


def make_row_function(
    kind: Literal["map", "flat_map"], label: str, columns: Columns, function: Callable[..., Any], returns: Any
) -> Transform:
    """`map` and `flat_map`: the function's parameters are columns, by their names."""
    if not callable(function):
        raise InvalidJobError(f"{label}: give a function of a row, not {shown(function)}")
    if returns is None:
        raise InvalidJobError(f'{label}: say which columns the function makes: .{kind}(f, returns={{"total": float}})')
    made = _returned(label, returns)
    reads, called = _arguments(label, columns, function)
    calls: Literal["row", "rows"] = "row" if kind == "map" else "rows"
    text = f"{described(function)}({', '.join(reads)}) -> {made!r}"
    return Transform(kind, calls, called, reads, made.to_core(), True, text)


def _arguments(label: str, columns: Columns, function: Callable[..., Any]) -> tuple[list[str], Callable[..., Any]]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise InvalidJobError(
            f"{label}: {function!r} does not say its parameters; wrap it: lambda column: ..."
        ) from None
    taken = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    row = columns.names
    columns = Columns((*columns.fields, *(one for one in METADATA.values() if columns.get(one.name) is None)))
    given = [one for one in taken if columns.get(one.name) or one.default is one.empty]
    named = [one.name for one in given]
    if len(named) == 1 and columns.get(named[0]) is None:  # one parameter that is no column: the whole row
        return row, lambda *values: function(dict(zip(row, values, strict=True)))
    for name in named:
        if columns.get(name) is None:
            raise InvalidJobError(
                f"{label}: parameter {name!r} of {function_name(function)} is no column"
                f"{suggestion(name, columns.names)} "
                "(parameters are columns by their names; a single one of another name gets the row as a dict)"
            )
    if not named:
        raise InvalidJobError(f"{label}: {function_name(function)} has no parameters; they are columns by their names")
    if given != taken[: len(given)] or any(one.kind is one.KEYWORD_ONLY for one in given):
        return named, lambda *values: function(**dict(zip(named, values, strict=True)))
    return named, function


class _Enrich(Function):
    def __init__(self, right: Any, on: list[str], names: list[str]) -> None:
        self._right = right
        self._on = on
        self._names = names

    def __str__(self) -> str:
        return f"enrich on {', '.join(self._on)}"

    def __call__(self, table: Any) -> Any:
        frame = need("polars", "polars").DataFrame(table)
        joined = frame.join(self._right, on=self._on, how="left", maintain_order="left")
        return joined.select(self._names)


def make_enrich(label: str, columns: Columns, frame: Any, on: str | Sequence[str]) -> Transform:
    """The columns of a small table, by key; null where it has no such key."""
    pl = need("polars", "polars", label)
    keys = [on] if isinstance(on, str) else list(on)
    right = pl.DataFrame(frame)
    for key in keys:
        if columns.get(key) is None:
            raise InvalidJobError(f"{label}: on={key!r} is no column{suggestion(key, columns.names)}")
        if key not in right.columns:
            raise InvalidJobError(f"{label}: the table has no column {key!r}{suggestion(key, right.columns)}")
    types = polars_schema(columns)
    right = right.with_columns(pl.col(key).cast(types[key]) for key in keys)
    if right.select(keys).is_duplicated().any():
        twice = right.filter(pl.struct(keys).is_duplicated()).select(keys).row(0)
        raise InvalidJobError(f"{label}: the table has the key {twice} more than once, so rows would multiply")
    new = [name for name in right.columns if name not in keys]
    if not new:
        raise InvalidJobError(f"{label}: the table has no columns beside {', '.join(keys)}")
    right = right.rename({name: f"{name}_right" for name in new if columns.get(name) is not None})
    names = [name for name in right.columns if name not in keys]
    makes = [(name, core_type(label, name, right.schema[name]), True) for name in names]
    content = zlib.crc32(right.write_ndjson().encode())
    text = f"on {', '.join(keys)} with {len(right)} rows, {content:x}"
    return Transform("enrich", "frame", _Enrich(right, keys, names), keys, makes, True, text)


def renamed(columns: Columns, mapping: Mapping[str, str], label: str) -> list[Any]:
    """`rename` as the expressions of a select."""
    pl = need("polars", "polars", label)
    if not isinstance(mapping, Mapping):
        raise InvalidJobError(f'{label}: say old and new names: .rename({{"{columns.names[0]}": "new"}})')
    for name in mapping:
        if columns.get(name) is None:
            raise InvalidJobError(f"{label}: there is no column {name!r}{suggestion(name, columns.names)}")
    return [pl.col(name).alias(mapping.get(name, name)) for name in columns.names]


def unnested(columns: Columns, outer: Sequence[str], label: str) -> list[Any]:
    """`unnest` as the expressions of a select."""
    pl = need("polars", "polars")
    nested = list(dict.fromkeys(name.rpartition(".")[0] for name in columns.names if "." in name))
    for one in outer or [""]:
        if one not in nested:
            said = suggestion(one, nested) if nested else ": no column's name has a dot"
            raise InvalidJobError(f"{label}: there are no columns in {one!r}{said}")
    inner = {name: name[len(one) + 1 :] for name in columns.names for one in outer if name.startswith(f"{one}.")}
    return [pl.col(name).alias(inner.get(name, name)) for name in columns.names]

"""Schemas: which columns the records of an input have.

    >>> import wrackline as wl
    >>> from datetime import datetime
    >>> class Reading(wl.Schema):
    ...     truck_id: str
    ...     speed: float | None = wl.field(path="gps.speed")
    ...     ts: datetime
    >>> Reading
    Reading(truck_id: str, speed: float | None = gps.speed, ts: datetime)

``list[float]`` is a column of lists, ``list[Item]`` with a schema `Item` a list of objects, of which `explode` makes
rows; ``dict`` keeps any JSON.

A dict ``{"truck_id": str, "gps.speed": float}``, a ``pl.Schema``, a ``pa.schema`` and a pydantic model say the same.
Types: ``str int float bool bytes datetime date``; ``X | None`` is nullable, anything else is required: a record
without it is a dead letter. A name with dots is a path into nested JSON objects; ``wl.field(path=...)`` gives it a
shorter name. A schema as a type is a nested object:

    >>> class Gps(wl.Schema):
    ...     lat: float
    ...     lon: float
    >>> class Position(wl.Schema):
    ...     truck_id: str
    ...     gps: Gps | None
    >>> Position
    Position(truck_id: str, gps.lat: float | None, gps.lon: float | None)
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrackline import _core, pydantic_models
from wrackline.errors import InvalidJobError

__all__ = ["METADATA", "Columns", "Field", "Schema", "field", "is_value_type", "suggestion", "to_columns"]

_TYPES: dict[Any, str] = {
    str: "string",
    int: "int64",
    float: "float64",
    bool: "bool",
    bytes: "bytes",
    dt.datetime: "timestamp",
    dt.date: "timestamp",
}
_WRITTEN = {"string": "str", "int64": "int", "float64": "float", "timestamp": "datetime", "json": "JSON"}
_KNOWN = "str, int, float, bool, bytes, datetime, date, list[...] of them or a schema, dict, or one of these `| None`"
_SHOWN = 20  # names of columns in an error
_INSTEAD = {
    "Decimal": "take float, or str for the digits as they are",
    "timedelta": "take int, such as milliseconds",
    "time": "take str",
    "UUID": "take str",
}


@dataclass(frozen=True)
class Field:
    """One column: its name, its type as the core calls it, and where JSON has it."""

    name: str
    type: str
    nullable: bool = False
    path: str = ""
    items: Columns | None = None  # of a list of objects, which is kept as JSON

    def within(self, name: str, path: str, nullable: bool) -> Field:
        """The same as a column of an object that is nested in others."""
        return Field(f"{name}.{self.name}", self.type, self.nullable or nullable, f"{path}.{self.path or self.name}")

    def __repr__(self) -> str:
        nullable = " | None" if self.nullable else ""
        path = f" = {self.path}" if self.path not in ("", self.name) else ""
        return f"{self.name}: {self.written}{nullable}{path}"

    @property
    def written(self) -> str:
        """The type as it is annotated."""
        if self.items is not None:
            return f"list[{self.items.name}]"
        if self.type.startswith("list["):
            inner = self.type[5:-1]
            return f"list[{_WRITTEN.get(inner, inner)}]"
        return _WRITTEN.get(self.type, self.type)


@dataclass(frozen=True)
class Columns:
    """A schema, whatever it was written as."""

    fields: tuple[Field, ...]
    name: str = "Schema"

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.fields))})"

    def __len__(self) -> int:
        return len(self.fields)

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.fields]

    def get(self, name: str) -> Field | None:
        return next((one for one in self.fields if one.name == name), None)

    def to_core(self) -> list[tuple[str, str, bool]]:
        return [(one.name, one.type, one.nullable) for one in self.fields]

    def paths(self) -> list[str]:
        return [one.path or one.name for one in self.fields]


class _PathField:
    """What wl.field() leaves in a class until the class is made."""

    def __init__(self, path: str) -> None:
        self.path = path


def field(*, path: str) -> Any:
    """Where JSON has the column, when that is not its name: ``speed: float = wl.field(path="gps.speed")``.

    >>> import wrackline as wl
    >>> class Reading(wl.Schema):
    ...     truck_id: str
    ...     speed: float = wl.field(path="gps.speed")
    >>> wl.from_records([{"truck_id": "t1", "gps": {"speed": 88.5}}], Reading)
    1 row of Reading(truck_id: str, speed: float = gps.speed)
    """
    if not isinstance(path, str) or not path:
        raise InvalidJobError("wl.field: path is a name, with dots between nested objects")
    return _PathField(path)


class _SchemaType(type):
    __wl_columns__: Columns
    __wl_fields__: dict[str, list[Field]]  # the columns of each annotation

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _SchemaType:
        made = super().__new__(mcs, name, bases, namespace)
        paths = {key: value.path for key, value in namespace.items() if isinstance(value, _PathField)}
        # A class made inside a function may use names that are known only there.
        frame = sys._getframe(1)
        try:
            hints = typing.get_type_hints(made, localns={**frame.f_globals, **frame.f_locals})
        except NameError as error:
            raise InvalidJobError(f"schema {name}: {error}; its types must be known where the class is made") from None
        for key in hints.keys() & namespace.keys() - paths.keys():
            if namespace[key] is not None:
                raise InvalidJobError(
                    f"schema {name}, column {key!r}: records get no default; make it nullable, `{key}: ... | None`, "
                    f'and fill it: .with_columns(pl.col("{key}").fill_null({namespace[key]!r}))'
                )
        fields: dict[str, list[Field]] = {}
        for base in bases:
            fields |= getattr(base, "__wl_fields__", {})
        own = namespace.get("__annotations__", {})
        fields |= {key: _fields(name, key, hints[key], paths.get(key, key)) for key in own}
        made.__wl_fields__ = {key: fields[key] for key in hints}
        made.__wl_columns__ = Columns(tuple(one for several in made.__wl_fields__.values() for one in several), name)
        return made

    def __repr__(cls) -> str:
        return repr(cls.__wl_columns__)


class Schema(metaclass=_SchemaType):
    """Subclass it with annotations: they are the columns. It is never instantiated.

    >>> import wrackline as wl
    >>> class Reading(wl.Schema):
    ...     truck_id: str
    ...     speed: float | None
    >>> Reading
    Reading(truck_id: str, speed: float | None)
    """

    def __new__(cls) -> Schema:
        raise TypeError(f"{cls.__name__} describes columns; give the class itself to job.read()")


def _fields(schema: str, name: str, hint: Any, path: str, above: tuple[Any, ...] = ()) -> list[Field]:
    """The column of an annotation, or those of the schema that is nested there. `above`: models around it."""
    inner, nullable = _without_none(hint)
    if pydantic_models.is_model(inner):
        if any(inner is one for one in above):
            raise InvalidJobError(f"schema {schema}, column {name!r}: {inner.__name__} is nested in itself")
        return [one.within(name, path, nullable) for one in _from_model(inner, above)]
    if isinstance(inner, (_SchemaType, Mapping)):
        return [one.within(name, path, nullable) for one in to_columns(inner).fields]
    return [_from_annotation(schema, name, hint, path)]


def _from_model(model: Any, above: tuple[Any, ...] = ()) -> list[Field]:
    """The fields of a pydantic model."""
    found = []
    for name, hint, path in pydantic_models.fields_of(model):
        found += _fields(model.__name__, name, hint, path, (*above, model))
    return found


def _without_none(hint: Any) -> tuple[Any, bool]:
    """`X | None` is X, nullable."""
    hint = _plain(hint)
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    return (_plain(parts[0]) if len(parts) == 1 else hint), len(parts) < len(typing.get_args(hint))


def _plain(hint: Any) -> Any:
    """The type itself, without what narrows it: Annotated, NewType, Literal, a subclass such as StrEnum."""
    if typing.get_origin(hint) is typing.Annotated:
        return _plain(typing.get_args(hint)[0])
    if isinstance(hint, typing.NewType):
        return _plain(hint.__supertype__)
    if typing.get_origin(hint) is typing.Literal:
        kinds = {type(value) for value in typing.get_args(hint)}
        return kinds.pop() if len(kinds) == 1 else hint
    if isinstance(hint, type) and hint not in _TYPES:
        hint = pydantic_models.plain(hint)
        return next((base for base in _TYPES if issubclass(hint, base)), hint)
    return hint


def _from_annotation(schema: str, name: str, hint: Any, path: str) -> Field:
    hint, nullable = _without_none(hint)
    if typing.get_origin(hint) is list:
        return _list_field(schema, name, _plain(typing.get_args(hint)[0]), nullable, path)
    if hint is dict or hint is list or hint is Any or typing.get_origin(hint) is dict:
        return Field(name, "json", nullable or hint is Any, path)
    kind = _TYPES.get(hint) if isinstance(hint, type) else None
    if kind is None:
        whole = typing.get_origin(hint) or hint
        shown = (whole is hint and getattr(hint, "__name__", None)) or str(hint)
        instead = _INSTEAD.get(getattr(whole, "__name__", ""), f"there are {_KNOWN}")
        raise InvalidJobError(f"schema {schema}, column {name!r}: {shown} is no column type; {instead}")
    return Field(name, kind, nullable, path)


def is_value_type(kind: Any) -> bool:
    """Whether a column can be of this Python type, none of its rows an object or a list."""
    return kind in _TYPES


def _list_field(schema: str, name: str, item: Any, nullable: bool, path: str) -> Field:
    """Of values: a list; of objects: their JSON, and what `explode` makes of it."""
    if item in _TYPES:
        return Field(name, f"list[{_TYPES[item]}]", nullable, path)
    if isinstance(item, _SchemaType) or pydantic_models.is_model(item):
        return Field(name, "json", nullable, path, to_columns(item))
    if item in (dict, Any) or typing.get_origin(item) is dict:
        return Field(name, "json", nullable, path)
    shown = getattr(item, "__name__", None) or str(item)
    raise InvalidJobError(
        f"schema {schema}, column {name!r}: list[{shown}] is no column type; items are str, int, float, bool, bytes, "
        "datetime, dict or a schema"
    )


def _from_arrow(fields: Any) -> list[Field]:
    """The fields of a pyarrow schema, or of a struct in it."""
    found = []
    for one in fields:
        inner = getattr(one.type, "fields", None)
        if str(one.type).startswith("struct<") and inner is not None:
            found += [nested.within(one.name, one.name, bool(one.nullable)) for nested in _from_arrow(inner)]
        else:
            found.append(Field(one.name, _foreign_type(one.name, str(one.type)), bool(one.nullable), one.name))
    return found


def _from_polars(name: str, dtype: Any) -> list[Field]:
    """Columns of a frame are always nullable."""
    if str(dtype).startswith("Struct(") and hasattr(dtype, "to_schema"):
        inner = [one for key, kind in dtype.to_schema().items() for one in _from_polars(key, kind)]
        return [one.within(name, name, True) for one in inner]
    return [Field(name, _foreign_type(name, str(dtype)), True, name)]


def _foreign_type(name: str, kind: str) -> str:
    """The column type of a Polars or pyarrow type, by its name."""
    low = kind.lower()
    inner = re.fullmatch(r"(?:large_)?list(?:_view)?(?:<(?:item|element): (.*?)(?: not null)?>|\((.*)\))", low)
    if inner and not re.search("list|struct|decimal|duration", inner[1] or inner[2]):
        return f"list[{_foreign_type(name, inner[1] or inner[2])}]"
    if low.startswith(("int", "uint")):
        return "int64"
    if low.startswith(("float", "double", "halffloat")):
        return "float64"
    if low.startswith(("timestamp", "datetime", "date")):
        return "timestamp"
    if low.startswith(("string", "large_string", "utf8", "large_utf8", "str", "categorical", "enum", "dictionary")):
        return "string"
    if low.startswith(("binary", "large_binary", "fixed_size_binary")):
        return "bytes"
    if low.startswith("bool"):
        return "bool"
    raise InvalidJobError(f"schema, column {name!r}: {kind} is no column type; there are {_KNOWN}")


def to_columns(schema: Any) -> Columns:
    """A schema in any of the forms that users write it in."""
    if isinstance(schema, Columns):
        return schema
    if isinstance(schema, _SchemaType):
        if not schema.__wl_columns__.fields:
            raise InvalidJobError(f"schema {schema.__name__} has no columns: annotate them, such as `speed: float`")
        return schema.__wl_columns__
    if pydantic_models.is_model(schema):
        return Columns(tuple(_from_model(schema)), schema.__name__)
    if hasattr(schema, "types") and hasattr(schema, "names") and not isinstance(schema, Mapping):
        return Columns(tuple(_from_arrow(schema)))
    if isinstance(schema, Mapping):
        fields: list[Field] = []
        for name, kind in schema.items():
            if not isinstance(name, str):
                raise InvalidJobError(f"schema: a column name is a str, not {type(name).__name__} {name!r}")
            if type(kind).__module__.startswith("polars") or getattr(kind, "__module__", "").startswith("polars"):
                fields += _from_polars(name, kind)
            else:
                fields += _fields("given as dict", name, kind, name)
        if not fields:
            raise InvalidJobError("the schema has no columns")
        return Columns(tuple(fields))
    if pydantic_models.is_model(type(schema)):
        raise InvalidJobError(f"a schema is the class {type(schema).__name__} itself, not one of its objects")
    raise InvalidJobError(
        "a schema is a subclass of wl.Schema, a dict of name and type, a pl.Schema, a pa.schema or a pydantic model, "
        f"not {type(schema).__name__} {schema!r}"
    )


# What the log says of a record: columns that steps may name without having them.
METADATA = {name: Field(name, kind, nullable) for name, kind, nullable in _core.metadata_fields()}


def suggestion(wanted: str, known: list[str]) -> str:
    """'; did you mean "x"?', or the names there are."""
    near = _core.nearest(wanted, known)
    if not near and len(wanted) > 2:
        near = next((name for name in known if name.startswith(wanted) or wanted.startswith(name)), "")
    if near:
        return f"; did you mean {near!r}?"
    if not known:
        return "; there are none"
    more = f", ... {len(known) - _SHOWN:,} more" if len(known) > _SHOWN + 1 else ""
    return f"; there are: {', '.join(known[:_SHOWN] if more else known)}{more}"

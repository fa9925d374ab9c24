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

A dict ``{"truck_id": str, "gps.speed": float}``, a ``pl.Schema`` and a ``pa.schema`` say the same. Types: ``str int
float bool bytes datetime``; ``X | None`` is nullable, anything else is required: a record without it is a dead
letter. A name with dots is a path into nested JSON objects; ``wl.field(path=...)`` gives it a shorter name.
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

from wrackline import _core
from wrackline.errors import InvalidJobError

__all__ = ["METADATA", "Columns", "Field", "Schema", "field", "is_value_type", "suggestion", "to_columns"]

_TYPES: dict[Any, str] = {
    str: "string",
    int: "int64",
    float: "float64",
    bool: "bool",
    bytes: "bytes",
    dt.datetime: "timestamp",
}
_WRITTEN = {"string": "str", "int64": "int", "float64": "float", "timestamp": "datetime", "json": "JSON"}
_KNOWN = (
    "str, int, float, bool, bytes, datetime, list[...] of one of them or of a schema, dict, or any of these `| None`"
)


@dataclass(frozen=True)
class Field:
    """One column: its name, its type as the core calls it, and where JSON has it."""

    name: str
    type: str
    nullable: bool = False
    path: str = ""
    items: Columns | None = None  # of a list of objects, which is kept as JSON

    def __repr__(self) -> str:
        nullable = " | None" if self.nullable else ""
        path = f" = {self.path}" if self.path not in ("", self.name) else ""
        return f"{self.name}: {self._written()}{nullable}{path}"

    def _written(self) -> str:
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
    """Where JSON has the column, when that is not its name: ``speed: float = wl.field(path="gps.speed")``."""
    if not isinstance(path, str) or not path:
        raise InvalidJobError("wl.field: path is a name, with dots between nested objects")
    return _PathField(path)


class _SchemaType(type):
    __wl_columns__: Columns

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _SchemaType:
        made = super().__new__(mcs, name, bases, namespace)
        paths = {key: value.path for key, value in namespace.items() if isinstance(value, _PathField)}
        # A class made inside a function may use names that are known only there.
        frame = sys._getframe(1)
        try:
            hints = typing.get_type_hints(made, localns={**frame.f_globals, **frame.f_locals})
        except NameError as error:
            raise InvalidJobError(f"schema {name}: {error}; its types must be known where the class is made") from None
        inherited: dict[str, Field] = {}
        for base in bases:
            if isinstance(base, _SchemaType):
                inherited.update({one.name: one for one in base.__wl_columns__.fields})
        own = namespace.get("__annotations__", {})
        fields = [
            _from_annotation(name, key, hint, paths.get(key, key)) if key in own else inherited[key]
            for key, hint in hints.items()
        ]
        made.__wl_columns__ = Columns(tuple(fields), name)
        return made

    def __repr__(cls) -> str:
        return repr(cls.__wl_columns__)


class Schema(metaclass=_SchemaType):
    """Subclass it with annotations: they are the columns. It is never instantiated."""

    def __new__(cls) -> Schema:
        raise TypeError(f"{cls.__name__} describes columns; give the class itself to job.read()")


def _from_annotation(schema: str, name: str, hint: Any, path: str) -> Field:
    nullable = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        nullable = len(parts) < len(typing.get_args(hint))
        hint = parts[0] if len(parts) == 1 else hint
    if typing.get_origin(hint) is list:
        return _list_field(schema, name, typing.get_args(hint)[0], nullable, path)
    if hint is dict or hint is list or hint is Any or typing.get_origin(hint) is dict:
        return Field(name, "json", nullable or hint is Any, path)
    kind = _TYPES.get(hint) if isinstance(hint, type) else None
    if kind is None:
        shown = getattr(hint, "__name__", None) or str(hint)
        raise InvalidJobError(f"schema {schema}, column {name!r}: {shown} is no column type; there are {_KNOWN}")
    return Field(name, kind, nullable, path)


def is_value_type(kind: Any) -> bool:
    """Whether a column can be of this Python type, none of its rows an object or a list."""
    return kind in _TYPES


def _list_field(schema: str, name: str, item: Any, nullable: bool, path: str) -> Field:
    """Of values: a list; of objects: their JSON, and what `explode` makes of it."""
    if item in _TYPES:
        return Field(name, f"list[{_TYPES[item]}]", nullable, path)
    if isinstance(item, _SchemaType):
        return Field(name, "json", nullable, path, to_columns(item))
    if item in (dict, Any) or typing.get_origin(item) is dict:
        return Field(name, "json", nullable, path)
    shown = getattr(item, "__name__", None) or str(item)
    raise InvalidJobError(
        f"schema {schema}, column {name!r}: list[{shown}] is no column type; items are str, int, float, bool, bytes, "
        "datetime, dict or a schema"
    )


def _from_arrow(schema: Any) -> Columns:
    """Anything that exports __arrow_c_schema__ (pyarrow, nanoarrow): through an empty table."""
    names, kinds = list(schema.names), [str(one) for one in schema.types]
    fields = []
    for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        nullable = bool(schema.field(index).nullable)
        fields.append(Field(name, _foreign_type(name, kind), nullable, name))
    return Columns(tuple(fields))


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
    if hasattr(schema, "types") and hasattr(schema, "names") and not isinstance(schema, Mapping):
        return _from_arrow(schema)
    if isinstance(schema, Mapping):
        fields = []
        for name, kind in schema.items():
            if not isinstance(name, str):
                raise InvalidJobError(f"schema: a column name is a str, not {type(name).__name__} {name!r}")
            if type(kind).__module__.startswith("polars") or getattr(kind, "__module__", "").startswith("polars"):
                # Columns of a frame are always nullable.
                fields.append(Field(name, _foreign_type(name, str(kind)), True, name))
            else:
                fields.append(_from_annotation("given as dict", name, kind, name))
        if not fields:
            raise InvalidJobError("the schema has no columns")
        return Columns(tuple(fields))
    raise InvalidJobError(
        "a schema is a subclass of wl.Schema, a dict of name and type, a pl.Schema or a pa.schema, "
        f"not {type(schema).__name__} {schema!r}"
    )


# What the log says of a record: columns that steps may name without having them.
METADATA = {name: Field(name, kind, nullable) for name, kind, nullable in _core.metadata_fields()}


def suggestion(wanted: str, known: list[str]) -> str:
    """'; did you mean "x"?', or the names there are."""
    near = _core.nearest(wanted, known)
    if not near and len(wanted) > 2:
        near = next((name for name in known if name.startswith(wanted) or wanted.startswith(name)), "")
    return f"; did you mean {near!r}?" if near else f"; there are: {', '.join(known)}"

"""What is done with frames in Python: by Polars or, without it, by pyarrow."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from wrackline import _core
from wrackline.errors import InvalidArgumentError
from wrackline.results import need
from wrackline.schema import Columns, suggestion

__all__ = [
    "PARSED",
    "SCANNED",
    "Engine",
    "Kinds",
    "Pick",
    "as_json",
    "chosen",
    "engine",
    "engine_of",
    "imported",
    "parsed",
    "tree_of",
]

# Columns by their dotted name: a type of the core; "null" if nothing was seen; or what else the library calls it.
Kinds = dict[str, str]

SCANNED = 1_000  # rows that types are inferred from
PARSED = ("timestamp", "bytes")  # what is text in JSON and CSV


class Pick(NamedTuple):
    """A column to take: where it is, what it will be called, and the type it will have."""

    path: str
    name: str
    kind: str = ""


class Engine(Protocol):
    """What is needed of a library of frames. Frames and schemas are its own."""

    errors: tuple[type[Exception], ...]

    def kinds(self, schema: Any) -> Kinds:
        """The columns that `flat` would give."""
        ...

    def flat(self, frame: Any) -> Any:
        """Nested columns as columns of their own, with dots in their names; lists of objects or lists as JSON."""
        ...

    def select(self, frame: Any, picks: Iterable[Pick], *, parse: bool = False) -> Any:
        """A path is the name of a column, or leads into nested ones; the column goes before. `parse`: times and
        bytes are text still."""
        ...

    def united(self, frames: Iterable[Any]) -> Any:
        """Rows of one frame after those of the other; their columns are the same."""
        ...

    def infer_json(self, head: bytes) -> Any: ...
    def json_schema(self, columns: Columns) -> Any: ...
    def read_json(self, path: Path, schema: Any) -> Any: ...
    def csv_names(self, path: Path, options: Mapping[str, Any]) -> list[str]: ...
    def csv_kinds(self, path: Path, options: Mapping[str, Any]) -> Kinds: ...
    def read_csv(self, path: Path, types: Kinds | None, options: Mapping[str, Any]) -> Any: ...
    def parquet_schema(self, path: Path) -> Any: ...
    def parquet_names(self, path: Path) -> list[str]: ...
    def read_parquet(self, path: Path, columns: list[str] | None) -> Any: ...
    def write_parquet(self, frame: Any, file: BinaryIO) -> None: ...


_READING = "reading frames and files"


def engine(call: str = _READING) -> Engine:
    """Polars if it is there, else pyarrow; else an ImportError that says how to get it. `call`: what needs it."""
    try:
        return _polars(call)
    except ImportError as error:
        missing = error
    try:
        return _pyarrow(call)
    except ImportError:
        raise missing from None


def engine_of(frame: Any) -> Engine | None:
    """The library that a frame is of, if it is one of them."""
    library = type(frame).__module__.partition(".")[0]
    if library == "polars":
        return _polars()
    return _pyarrow() if library == "pyarrow" else None


def _polars(call: str = _READING) -> Engine:
    need("polars", "polars", call)
    from wrackline.frames_polars import PolarsEngine

    return PolarsEngine()


def _pyarrow(call: str = _READING) -> Engine:
    need("pyarrow", "pyarrow", call)
    from wrackline.frames_pyarrow import PyarrowEngine

    return PyarrowEngine()


def imported(frames: Engine, frame: Any) -> _core.Table:
    """A frame with nested columns as columns of their own, and lists of objects as JSON."""
    nested = {name for name, kind in frames.kinds(frame.schema).items() if kind == "json"}
    table = _core.import_arrow(frames.flat(frame))
    if not nested:
        return table
    return table.conform([(name, "json" if name in nested else kind, null) for name, kind, null in table.schema])


def as_json(name: str, values: Iterable[Any]) -> list[str | None]:
    """Each value as JSON text; times in it are ISO 8601."""

    def text(value: Any) -> str:
        if hasattr(value, "isoformat"):
            return str(value.isoformat())
        raise InvalidArgumentError(f"column {name!r} has a {type(value).__name__} in a list, which JSON has not")

    def no_numbers(value: Any) -> str | None:
        try:
            return None if value is None else json.dumps(value, default=text, allow_nan=False)
        except InvalidArgumentError:
            raise
        except ValueError:
            raise InvalidArgumentError(f"column {name!r} has NaN or infinity in a list, which JSON has not") from None

    return [no_numbers(value) for value in values]


def chosen(columns: Columns, known: list[str]) -> list[Pick]:
    """What a schema wants of the columns that there are. Nullable ones may be missing."""
    picks = []
    for one in columns.fields:
        path = one.path if one.path in known else one.name
        if path in known:
            picks.append(Pick(path, one.name, one.type))
        elif not one.nullable:
            path = one.path or one.name
            raise InvalidArgumentError(
                f"there is no column {path!r}, which the schema requires{suggestion(path, known)}"
            )
    if not picks:
        raise InvalidArgumentError(f"no column of the schema is there; there are: {', '.join(known)}")
    return picks


def tree_of(columns: Columns) -> dict[str, Any]:
    """The types that JSON must have: by name, and nested as the paths are.

    >>> from wrackline.schema import Columns, Field
    >>> tree_of(Columns((Field("k", "string"), Field("speed", "float64", path="gps.speed"))))
    {'k': 'string', 'gps': {'speed': 'float64'}, 'gps.speed': 'float64'}
    """
    tree: dict[str, Any] = {}
    for one in columns.fields:
        path = one.path or one.name
        *outer, last = path.split(".")
        node = tree
        for name in outer:
            found = node.setdefault(name, {})
            if not isinstance(found, dict):
                break  # a column itself, so nothing is nested in it
            node = found
        else:
            node.setdefault(last, one.type)
        tree[path] = one.type
    return tree


def parsed(values: Iterable[str | None], kind: str) -> list[Any]:
    """Text as JSON and CSV have it: base64 as bytes; ISO 8601 or a number of milliseconds as milliseconds."""
    convert = _millis if kind == "timestamp" else _bytes
    return [None if value is None else convert(value) for value in values]


def _millis(text: str) -> int:
    millis = _core.parse_time(text)
    if millis is not None:
        return millis
    try:
        number = int(text) if text.lstrip("-").isdigit() else math.floor(float(text))
    except (ValueError, OverflowError):
        raise InvalidArgumentError(f"{text!r} is no time: ISO 8601, or a number of milliseconds") from None
    if not -(2**63) <= number < 2**63:
        raise InvalidArgumentError(f"{text} does not fit a time in milliseconds")
    return number


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgumentError(f"{text!r} is no base64, which bytes are written in") from None

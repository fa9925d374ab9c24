"""The work on frames, by pyarrow."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from wrackline.errors import InvalidArgumentError
from wrackline.frames import PARSED, Kinds, Pick, as_json, parsed, tree_of
from wrackline.schema import Columns

__all__ = ["PyarrowEngine"]

_TYPES: dict[str, Any] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "bytes": pa.string(),  # parsed afterwards, and so are times
    "timestamp": pa.string(),
}
_IS_TIME = {b"wrackline": b"time"}


class PyarrowEngine:
    """See `wrackline.frames.Engine`."""

    errors: tuple[type[Exception], ...] = (pa.ArrowException,)

    def kinds(self, schema: Any) -> Kinds:
        found: Kinds = {}
        for one in schema:
            if pa.types.is_struct(one.type):
                found |= {f"{one.name}.{inner}": kind for inner, kind in self.kinds(one.type.fields).items()}
            else:
                found[one.name] = _kind(one.type)
        return found

    def flat(self, frame: Any) -> Any:
        if not any(pa.types.is_nested(kind) for kind in frame.schema.types):
            return frame
        table = pa.table(frame)
        while any(pa.types.is_struct(kind) for kind in table.schema.types):
            table = table.flatten()
        for number, one in enumerate(table.schema):
            if _is_deep(one.type):
                table = table.set_column(number, one.name, _json_column(table.column(number), one.name))
        return table

    def select(self, frame: Any, picks: Iterable[Pick], *, parse: bool = False) -> Any:
        columns = {}
        for one in picks:
            found = _reach(frame, one.path)
            column = found[0] if len(found) == 1 else pc.coalesce(*found)
            if one.kind == "json" and pa.types.is_nested(column.type):
                column = _json_column(column, one.name)
            columns[one.name] = _parsed(column, one.kind) if parse and one.kind in PARSED else column
        return pa.table(columns)

    def united(self, frames: Iterable[Any]) -> Any:
        return pa.concat_tables([pa.table(one) for one in frames])

    def infer_json(self, head: bytes) -> Any:
        schema = pa.json.read_json(io.BytesIO(head), read_options=pa.json.ReadOptions(block_size=1 << 30)).schema
        return pa.schema([pa.field(one.name, _read_as(one.type)) for one in schema])

    def json_schema(self, columns: Columns) -> Any:
        return pa.schema([_nested(name, node) for name, node in tree_of(columns).items()])

    def read_json(self, path: Path, schema: Any) -> Any:
        options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        if path.stat().st_size == 0:
            return schema.empty_table()
        try:
            return pa.json.read_json(path, parse_options=options)
        except pa.ArrowInvalid:
            numbers = pa.schema([_with_numbers(one) for one in schema])
            if numbers.equals(schema):
                raise
        options = pa.json.ParseOptions(explicit_schema=numbers, unexpected_field_behavior="ignore")
        return pa.json.read_json(path, parse_options=options)

    def csv_names(self, path: Path, options: Mapping[str, Any]) -> list[str]:
        return list(self.csv_kinds(path, options))

    def csv_kinds(self, path: Path, options: Mapping[str, Any]) -> Kinds:
        if options:
            raise ImportError(f"{next(iter(options))}= is an option of Polars: pip install 'wrackline[polars]'")
        with pa.csv.open_csv(path, convert_options=pa.csv.ConvertOptions(null_values=[""])) as reader:
            kinds = self.kinds(reader.schema)
        return {name: kind if kind in ("int64", "float64", "bool") else "string" for name, kind in kinds.items()}

    def read_csv(self, path: Path, types: Kinds | None, options: Mapping[str, Any]) -> Any:
        types = self.csv_kinds(path, options) if types is None else types
        convert = pa.csv.ConvertOptions(
            include_columns=list(types),
            column_types={name: _TYPES[kind] for name, kind in types.items()},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        parse = pa.csv.ParseOptions(newlines_in_values=True)
        return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)

    def parquet_schema(self, path: Path) -> Any:
        return pa.parquet.read_schema(path)

    def parquet_names(self, path: Path) -> list[str]:
        return list(self.parquet_schema(path).names)

    def read_parquet(self, path: Path, columns: list[str] | None) -> Any:
        return pa.parquet.read_table(path, columns=columns, partitioning=None)

    def write_parquet(self, frame: Any, file: BinaryIO) -> None:
        pa.parquet.write_table(frame, file)


def _is_deep(type_: Any) -> bool:
    """A list of what is no column's value."""
    lists = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    return bool(lists and pa.types.is_nested(type_.value_type))


def _json_column(column: Any, name: str) -> Any:
    return pa.array(as_json(name, column.to_pylist()), pa.string())


def _kind(type_: Any) -> str:
    if _is_deep(type_):
        return "json"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list[{_kind(type_.value_type)}]"
    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type)
    if pa.types.is_integer(type_):
        return "int64"
    if pa.types.is_floating(type_):
        return "float64"
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return "timestamp"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "string"
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return "bytes"
    return "bool" if pa.types.is_boolean(type_) else str(type_)


def _read_as(type_: Any) -> Any:
    """Strings that look like times stay strings, as with Polars."""
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(one.name, _read_as(one.type)) for one in type_.fields])
    return pa.string() if pa.types.is_timestamp(type_) else type_


def _nested(name: str, node: Any) -> Any:
    if isinstance(node, dict):
        return pa.field(name, pa.struct([_nested(*inner) for inner in node.items()]))
    if node == "json":
        raise InvalidArgumentError(f"column {name!r}: pyarrow wants a type for what is nested; with Polars it is JSON")
    if node.startswith("list["):
        return pa.field(name, pa.list_(_TYPES[node[5:-1]]))
    return pa.field(name, _TYPES[node], metadata=_IS_TIME if node == "timestamp" else None)


def _with_numbers(field: Any) -> Any:
    """Times as numbers: pyarrow wants to know which they are, for the whole file."""
    if pa.types.is_struct(field.type):
        return pa.field(field.name, pa.struct([_with_numbers(one) for one in field.type.fields]))
    return pa.field(field.name, pa.int64()) if field.metadata == _IS_TIME else field


def _reach(frame: Any, path: str) -> list[Any]:
    """The column of that name, and what the path leads to in nested ones."""
    names = frame.schema.names
    found = [frame.column(path)] if path in names else []
    first, *rest = path.split(".")
    if not rest or first not in names:
        return found
    column = frame.column(first)
    for name in rest:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(name) < 0:
            return found
        column = pc.struct_field(column, [name])
    return [*found, column]


def _parsed(column: Any, kind: str) -> Any:
    values = parsed((None if value is None else str(value) for value in column.to_pylist()), kind)
    if kind == "bytes":
        return pa.array(values, pa.binary())
    return pa.array(values, pa.int64()).cast(pa.timestamp("ms", "UTC"))

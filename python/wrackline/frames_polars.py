"""The work on frames, by Polars."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from wrackline.errors import InvalidArgumentError
from wrackline.frames import PARSED, SCANNED, Kinds, Pick, as_json, parsed, tree_of
from wrackline.schema import Columns

__all__ = ["PolarsEngine"]

_TYPES: dict[str, Any] = {
    "string": pl.String(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "bytes": pl.String(),  # parsed afterwards, and so are times
    "timestamp": pl.String(),
    "json": pl.String(),  # what is nested comes as text then
}


class PolarsEngine:
    """See `wrackline.frames.Engine`."""

    errors: tuple[type[Exception], ...] = (pl.exceptions.PolarsError,)

    def kinds(self, schema: Any) -> Kinds:
        found: Kinds = {}
        for name, dtype in schema.items():
            if isinstance(dtype, pl.Struct):
                found |= {f"{name}.{inner}": kind for inner, kind in self.kinds(dtype.to_schema()).items()}
            else:
                found[name] = _kind(dtype)
        return found

    def flat(self, frame: Any) -> Any:
        for name, dtype in frame.schema.items():
            if isinstance(dtype, pl.Object):  # as Arrow they would be addresses
                raise InvalidArgumentError(f"column {name!r} has Python objects; make numbers or strings of them")
        while nested := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
            try:
                frame = frame.unnest(nested, separator=".")
            except pl.exceptions.DuplicateError:
                inner = {f"{name}.{one}" for name in nested for one in frame.schema[name].to_schema()}
                twice = min(inner & set(frame.columns), default="with dots")
                raise InvalidArgumentError(f"two columns are named {twice!r}: one of them is nested") from None
        deep = [name for name, dtype in frame.schema.items() if _is_deep(dtype)]
        return frame.with_columns(_json_column(frame, name) for name in deep) if deep else frame

    def select(self, frame: Any, picks: Iterable[Pick], *, parse: bool = False) -> Any:
        picks = list(picks)
        chosen = [pl.coalesce(_reach(frame.schema, one.path)).alias(one.name) for one in picks]
        taken: pl.DataFrame = frame.select(chosen)
        for one in picks:
            if one.kind == "json" and taken.schema[one.name].is_nested():
                taken = taken.with_columns(_json_column(taken, one.name))
            if parse and one.kind in PARSED:
                values = parsed(taken[one.name].to_list(), one.kind)
                taken = taken.with_columns(_typed(one.name, values, one.kind))
        return taken

    def united(self, frames: Iterable[Any]) -> Any:
        return pl.concat([pl.DataFrame(one) for one in frames])

    def infer_json(self, head: bytes) -> Any:
        seen = pl.read_ndjson(io.BytesIO(head), infer_schema_length=None).schema
        return pl.Schema({name: _read_as(dtype) for name, dtype in seen.items()})

    def json_schema(self, columns: Columns) -> Any:
        return pl.Schema({name: _nested(node) for name, node in tree_of(columns).items()})

    def read_json(self, path: Path, schema: Any) -> Any:
        with path.open("rb") as file:  # a file, since Polars takes a name with brackets for a pattern
            return pl.read_ndjson(file, schema=schema)

    def csv_names(self, path: Path, options: Mapping[str, Any]) -> list[str]:
        return _read_csv(path, {**options, "n_rows": 0}).columns

    def csv_kinds(self, path: Path, options: Mapping[str, Any]) -> Kinds:
        return self.kinds(_read_csv(path, {**options, "n_rows": 0}).schema)

    def read_csv(self, path: Path, types: Kinds | None, options: Mapping[str, Any]) -> Any:
        if types is None:
            return _read_csv(path, options)
        overrides = {name: _TYPES[kind] for name, kind in types.items()}
        return _read_csv(path, {**options, "columns": list(types), "schema_overrides": overrides})

    def parquet_schema(self, path: Path) -> Any:
        with path.open("rb") as file:
            return pl.read_parquet_schema(file)

    def parquet_names(self, path: Path) -> list[str]:
        return list(self.parquet_schema(path))

    def read_parquet(self, path: Path, columns: list[str] | None) -> Any:
        with path.open("rb") as file:
            return pl.read_parquet(file, columns=columns)

    def write_parquet(self, frame: Any, file: BinaryIO) -> None:
        frame.write_parquet(file)


def _read_csv(path: Path, options: Mapping[str, Any]) -> pl.DataFrame:
    with path.open("rb") as file:
        return pl.read_csv(file, **{"infer_schema_length": SCANNED, **options})


def _is_deep(dtype: Any) -> bool:
    """A list of what is no column's value."""
    return isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_nested()


def _json_column(frame: Any, name: str) -> pl.Series:
    return pl.Series(name, as_json(name, frame[name].to_list()), dtype=pl.String)


def _kind(dtype: Any) -> str:
    if _is_deep(dtype):
        return "json"
    if isinstance(dtype, pl.List):
        return f"list[{_kind(dtype.inner)}]"
    if dtype.is_integer():
        return "int64"
    if dtype.is_float():
        return "float64"
    if isinstance(dtype, pl.Datetime | pl.Date):
        return "timestamp"
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return "string"
    if isinstance(dtype, pl.Binary):
        return "bytes"
    return "bool" if isinstance(dtype, pl.Boolean) else str(dtype).lower()


def _read_as(dtype: Any) -> Any:
    """Integers beyond int64 are then refused with their line."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({name: _read_as(inner) for name, inner in dtype.to_schema().items()})
    return pl.Int64() if dtype.is_integer() else dtype


def _nested(node: Any) -> Any:
    if isinstance(node, dict):
        return pl.Struct({name: _nested(inner) for name, inner in node.items()})
    if node.startswith("list["):
        return pl.List(_TYPES[node[5:-1]])
    return _TYPES[node]


def _reach(schema: pl.Schema, path: str) -> list[pl.Expr]:
    """The column of that name, and what the path leads to in nested ones."""
    found = [pl.col(path)] if path in schema else []
    first, *rest = path.split(".")
    dtype: Any = schema.get(first)
    expression = pl.col(first)
    for name in rest:
        inner = dtype.to_schema() if isinstance(dtype, pl.Struct) else {}
        if name not in inner:
            return found
        expression, dtype = expression.struct.field(name), inner[name]
    return [*found, expression] if rest and dtype is not None else found


def _typed(name: str, values: list[Any], kind: str) -> pl.Series:
    if kind == "bytes":
        return pl.Series(name, values, dtype=pl.Binary())
    return pl.Series(name, values, dtype=pl.Int64()).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")

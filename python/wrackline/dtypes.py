"""Column types as Polars has them, and back."""

from __future__ import annotations

from typing import Any

from wrackline.errors import InvalidJobError
from wrackline.results import need
from wrackline.schema import Columns

__all__ = ["core_type", "polars_schema"]


def polars_schema(columns: Columns) -> dict[str, Any]:
    """The columns as Polars has them."""
    return {one.name: _dtype(one.type) for one in columns.fields}


def _dtype(kind: str) -> Any:
    pl = need("polars", "polars")
    if kind.startswith("list["):
        return pl.List(_dtype(kind[5:-1]))
    known = {
        "bool": pl.Boolean,
        "int64": pl.Int64,
        "float64": pl.Float64,
        "string": pl.String,
        "json": pl.String,  # its text
        "bytes": pl.Binary,
        "timestamp": pl.Datetime("ms", "UTC"),
        "decimal": pl.Decimal(38, 0),
    }
    return known[kind]


def core_type(label: str, column: str, dtype: Any) -> str:
    """The column type of a Polars type."""
    pl = need("polars", "polars")
    if isinstance(dtype, pl.List):
        inner = core_type(label, column, dtype.inner)
        if not inner.startswith("list["):
            return f"list[{inner}]"
    if dtype.is_integer():
        return "int64"
    if dtype.is_float():
        return "float64"
    simple = {pl.Boolean: "bool", pl.String: "string", pl.Categorical: "string", pl.Enum: "string"}
    simple |= {pl.Binary: "bytes", pl.Date: "timestamp", pl.Datetime: "timestamp"}
    found = simple.get(dtype.base_type())
    if found is None and isinstance(dtype, pl.Decimal) and dtype.scale == 0:
        found = "decimal"
    if found is None:
        hint = {
            pl.Struct: "take its fields: .struct.field(...)",
            pl.List: "a list of numbers, strings, bools or times can be one",
            pl.Duration: "take a number: .dt.total_milliseconds()",
            pl.Time: "take a number: .dt.hour()",
            pl.Decimal: "take .cast(pl.Float64)",
            pl.Null: "say which type: pl.lit(None, dtype=pl.String)",
        }.get(dtype.base_type(), "cast it to a number or a string")
        raise InvalidJobError(f"{label}: column {column!r} would be {dtype}, which is no column type; {hint}")
    return found

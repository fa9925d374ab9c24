"""What `job.read` is given: the input, and how its watermark moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wrackline import _core
from wrackline.durations import to_millis
from wrackline.errors import InvalidJobError
from wrackline.hints import shown, shown_type
from wrackline.schema import Columns, suggestion, to_columns
from wrackline.sources import BoundedRows
from wrackline.watermarks import Watermark

__all__ = ["Input", "source_of", "watermark_of", "watermark_text"]

_HOW_TO_CHOOSE = (
    "out_of_orderness is how far behind the newest record another may come and still be expected: windows come out "
    'that much later. Choose what covers nearly all records, such as "30s" for devices on a network or "6h" for '
    'batches that are uploaded; what comes later still is a late row, never lost. "0s": event times never fall'
)


@dataclass(frozen=True)
class Input:
    """One source of a job."""

    name: str  # of its step
    topic: str  # "": bounded rows
    rows: BoundedRows | None
    schema: Columns
    watermark: str  # what W is, in words

    def to_core(self) -> Any:
        """The rows, for a run; None: they are in a topic."""
        if self.rows is None:
            return None
        rows = _core.Rows(self.schema.to_core())
        rows.append(self.rows._table)
        rows.close()
        return rows


def source_of(source: Any, schema: Any) -> tuple[BoundedRows | None, Columns, str]:
    """Bounded rows, or None; the columns; the topic, or ""."""
    if isinstance(source, BoundedRows):
        if schema is not None:
            raise InvalidJobError("read: give the schema to wl.from_records or wl.from_arrow, which check the rows")
        return source, source.schema, ""
    if not isinstance(source, str):
        if isinstance(source, type) and isinstance(schema, str):
            instead = f'; the topic goes first: job.read("{schema}", {source.__name__}, ...)'
        elif hasattr(source, "__arrow_c_stream__") or hasattr(source, "lazy"):
            instead = ": it is read as wl.from_arrow(frame)"
        elif isinstance(source, (list, tuple, Iterator)):
            instead = ": its rows are read as wl.from_records(rows)"
        else:
            instead = ""
        raise InvalidJobError(
            f"read: give a topic, wl.from_records(...), wl.from_arrow(...) or wl.read_parquet(...), "
            f"not {shown_type(source)}{instead}"
        )
    if not source:
        raise InvalidJobError("read: a topic needs a name")
    if schema is None:
        raise InvalidJobError(f'read: {source!r} is a topic, so it needs a schema: job.read("{source}", Schema, ...)')
    return None, to_columns(schema), source


def watermark_of(
    topic: str, columns: Columns, out_of_orderness: Any, watermark: Watermark | None
) -> tuple[str, int | None, str]:
    """The kind of watermark, its bound in milliseconds, its column."""
    if watermark is not None:
        if not isinstance(watermark, Watermark):
            raise InvalidJobError(
                "read: watermark is wl.monotonic(), wl.punctuated(...) or a function of a batch that gives one for "
                f"each row, not {shown(watermark)}"
            )
        if out_of_orderness is not None:
            raise InvalidJobError("read: watermark= takes the place of out_of_orderness=; give one of them")
        if watermark.column and columns.get(watermark.column) is None:
            raise InvalidJobError(
                f"read: {watermark!r}: there is no such column{suggestion(watermark.column, columns.names)}"
            )
        return watermark.kind, 0 if watermark.kind == "bounded" else None, watermark.column
    if out_of_orderness is None:
        if topic:
            raise InvalidJobError(f"read: topic {topic!r} needs out_of_orderness=. {_HOW_TO_CHOOSE}")
        return "all", None, ""
    if out_of_orderness == "all":
        if topic:
            raise InvalidJobError(f'read: out_of_orderness="all" is for inputs that end. {_HOW_TO_CHOOSE}')
        return "all", None, ""
    bound = to_millis(out_of_orderness, "read: out_of_orderness")
    if bound < 0:
        raise InvalidJobError(f"read: out_of_orderness must not be negative, not {out_of_orderness!r}")
    return "bounded", bound, ""


def watermark_text(kind: str, bound: Any, watermark: Watermark | None, idle_after: Any) -> str:
    """What W is, of each partition."""
    if kind == "all":
        return "W, the watermark, moves at the end of the input alone: nothing is late"
    of = f"W = the largest event time - {bound}" if watermark is None else f"W, the watermark, is {watermark!r}"
    idle = f"; without records for {idle_after} the partition is idle" if idle_after is not None else ""
    return f"{of}, of each partition by itself{idle}"

"""Where the watermark comes from, when it is not `out_of_orderness`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from wrackline.dtypes import polars_schema
from wrackline.errors import InvalidJobError
from wrackline.hints import shown
from wrackline.results import need
from wrackline.schema import Columns
from wrackline.transforms import Function, SplitError, described, function_name

__all__ = ["Watermark", "WatermarkFunction", "monotonic", "of_function", "punctuated", "punctuated_if"]


@dataclass(frozen=True, repr=False)
class Watermark:
    """A value; made by the functions of this module.

    >>> import wrackline as wl
    >>> wl.punctuated("mark")
    punctuated("mark")
    """

    kind: str
    column: str
    text: str
    function: WatermarkFunction | None = None

    def __repr__(self) -> str:
        return self.text


def monotonic() -> Watermark:
    """Event times never fall: the watermark is the largest one seen.

    >>> import wrackline as wl
    >>> schema = {"k": str, "ts": int, "mark": int, "is_mark": bool}
    >>> wl.Job("example").read("readings", schema, time="ts", watermark=wl.monotonic())
    read(k: str, ts: int, mark: int, is_mark: bool)
    """
    return Watermark("bounded", "", "monotonic()")


def punctuated(column: str) -> Watermark:
    """A column's value is the watermark; null keeps it, lower values are ignored.

    >>> import wrackline as wl
    >>> schema = {"k": str, "ts": int, "mark": int, "is_mark": bool}
    >>> wl.Job("example").read("readings", schema, time="ts", watermark=wl.punctuated("mark"))
    read(k: str, ts: int, mark: int, is_mark: bool)
    """
    return Watermark("punctuated", _column("punctuated", column), f'punctuated("{column}")')


def punctuated_if(column: str) -> Watermark:
    """Where a boolean column is true, the record's own time is the watermark.

    >>> import wrackline as wl
    >>> schema = {"k": str, "ts": int, "mark": int, "is_mark": bool}
    >>> wl.Job("example").read("readings", schema, time="ts", watermark=wl.punctuated_if("is_mark"))
    read(k: str, ts: int, mark: int, is_mark: bool)
    """
    return Watermark("punctuated_if", _column("punctuated_if", column), f'punctuated_if("{column}")')


class WatermarkFunction(Function):
    """A user's function of a batch: of each row what the watermark is behind it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.text = described(function)

    def __str__(self) -> str:
        return f"watermark={function_name(self._function)}"

    def __call__(self, table: Any) -> Any:
        """A frame of one column; or what is wrong, as a text."""
        pl = need("polars", "polars")
        frame = pl.DataFrame(table)
        made = self._marks(frame)
        if isinstance(made, str):
            return made
        if Function.split is not None and frame.height > 1:
            at = Function.split.randrange(1, frame.height)
            parts = [mark for part in (frame[:at], frame[at:]) for mark in self._marks(part)]
            if _reached(made) != _reached(parts):
                raise SplitError(
                    f"{self}: {frame.height} rows give other watermarks when they are cut at row {at}; only what looks "
                    "at no row behind its own gives the same answer at any speed"
                )
        return pl.DataFrame({"watermark": made})

    def _marks(self, rows: Any) -> Any:
        pl = need("polars", "polars")
        # Polars divides one row by a constant, and multiplies several by its inverse: a row must not be alone.
        given = rows if rows.height != 1 else pl.DataFrame([one.clone().append(one).rechunk() for one in rows])
        made = self._function(given)
        called = function_name(self._function)
        needed = "a watermark for each row is needed: a series of times, or of integers in the unit of the event time"
        if hasattr(made, "columns") and hasattr(made, "__arrow_c_stream__"):
            frame = pl.DataFrame(made)
            if frame.width != 1:
                return f"{called} returned {frame.width} columns; {needed}"
            made = frame.to_series()
        if isinstance(made, (str, bytes, dict)) or not hasattr(made, "__len__"):
            return f"{called} returned {shown(made)}; {needed}"
        try:
            marks = made if isinstance(made, pl.Series) else pl.Series(made)
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            return f"{called} returned {shown(made)}; {needed}"
        if marks.len() != given.height:
            return f"{called} returned {marks.len():,} values for {given.height:,} rows; {needed}"
        marks = marks[: rows.height]
        if marks.dtype.is_integer():
            return marks.cast(pl.Int64)
        if marks.dtype == pl.Null:
            return marks.cast(pl.Int64)
        if marks.dtype == pl.Date:
            return marks.cast(pl.Datetime("ms"))
        if marks.dtype == pl.Datetime:
            return marks
        return f"{called} returned a series of {marks.dtype}; {needed}"


def of_function(function: Callable[[Any], Any], columns: Columns) -> Watermark:
    """A function as the watermark of an input. What is wrong with what it gives is said now, where it can be seen."""
    pl = need("polars", "polars", "read: watermark= with a function")
    if function in (monotonic, punctuated, punctuated_if):
        raise InvalidJobError(f"read: watermark=wl.{shown(function).split()[-1]} is to be called: wl.monotonic()")
    made = WatermarkFunction(function)
    try:
        wrong = made(pl.DataFrame(schema=polars_schema(columns)))
    except Exception:  # of the user's function, for which there may have to be rows
        wrong = None
    if isinstance(wrong, str):
        raise InvalidJobError(f"read: watermark={wrong}")
    return Watermark("function", "", function_name(function), made)


def _reached(marks: Iterable[Any]) -> list[Any]:
    """The largest so far: a function may well look at the rows before, as cum_max does."""
    return list(itertools.accumulate(marks, lambda a, b: b if a is None else a if b is None else max(a, b)))


def _column(function: str, column: object) -> str:
    if not isinstance(column, str) or not column:
        raise InvalidJobError(f"{function}: give a column name, not {column!r}")
    return column

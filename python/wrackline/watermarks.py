"""Where the watermark comes from, when it is not `out_of_orderness`."""

from __future__ import annotations

from dataclasses import dataclass

from wrackline.errors import InvalidJobError

__all__ = ["Watermark", "monotonic", "punctuated", "punctuated_if"]


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


def _column(function: str, column: object) -> str:
    if not isinstance(column, str) or not column:
        raise InvalidJobError(f"{function}: give a column name, not {column!r}")
    return column

"""Durations and points in time, as users write them.

A duration is ``"5m"`` (units d, h, m, s, ms; combined as in ``"1h30m"``), a ``timedelta``, or a whole number of
milliseconds. A day is 24 hours; weeks, months, quarters and years are calendar words and are refused.
A point in time is a ``datetime`` (without a zone: UTC), an ISO 8601 string, or milliseconds since the epoch.
"""

from __future__ import annotations

import datetime as dt
import math

from wrackline import _core
from wrackline.errors import InvalidArgumentError, InvalidJobError
from wrackline.hints import written_duration

__all__ = ["Duration", "Time", "format_duration", "to_millis", "to_time"]

Duration = str | dt.timedelta | int
Time = dt.datetime | str | int

_MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NEGATIVE_INFINITY = -(2**63)
_POSITIVE_INFINITY = 2**63 - 1


def to_millis(value: object, name: str) -> int:
    """Milliseconds of a duration; `name` is the setting that an error names."""
    millis: int
    if isinstance(value, str):
        try:
            millis = _core.parse_duration(value)
        except InvalidArgumentError as error:
            written = written_duration(value)
            raise InvalidJobError(f"{name}: {error}" + (f'; write "{written}"' if written else "")) from None
    elif isinstance(value, dt.timedelta):
        millis, rest = divmod(value, _MILLISECOND)
        if rest:
            raise InvalidJobError(f"{name}: {value!r} is finer than a millisecond")
    elif isinstance(value, int) and not isinstance(value, bool):
        millis = value
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidJobError(f"{name}: must be finite")
        raise InvalidJobError(
            f'{name}: {value} is no whole number of milliseconds; {value} seconds are "{round(value * 1000)}ms"'
        )
    else:
        raise InvalidJobError(
            f'{name}: a duration is "5m", a timedelta or whole milliseconds, not {type(value).__name__} {value!r}'
        )
    if abs(millis) > _core.MAX_DURATION:
        raise InvalidJobError(f"{name}: {value!r} is longer than 10^15 ms (about 31,700 years)")
    return millis


def to_time(value: object, name: str) -> int:
    """Milliseconds since the epoch of a point in time, floored."""
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        return (aware - _EPOCH) // _MILLISECOND
    if isinstance(value, str):
        millis = _core.parse_time(value)
        if millis is None:
            raise InvalidJobError(f'{name}: {value!r} is no ISO 8601 time, such as "2024-02-29T12:00:00Z"')
        return millis
    if isinstance(value, int) and not isinstance(value, bool):
        if not _NEGATIVE_INFINITY < value < _POSITIVE_INFINITY:
            raise InvalidJobError(f"{name}: {value} ms is out of range")
        return value
    raise InvalidJobError(
        f"{name}: a time is a datetime, an ISO 8601 string or milliseconds, not {type(value).__name__} {value!r}"
    )


def format_duration(millis: int) -> str:
    """The text that to_millis reads back: "1h30m"."""
    return _core.format_duration(millis)


def format_watermark(millis: int) -> str:
    """For progress lines and reprs."""
    if millis <= _NEGATIVE_INFINITY:
        return "-inf"
    return "+inf" if millis >= _POSITIVE_INFINITY else _core.format_time(millis)

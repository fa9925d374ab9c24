"""Which windows there are, without a job: edges of a range, windows of a time. The core works them out, as for a job.

    >>> import wrackline as wl
    >>> days = wl.calendar("day", tz="Europe/Berlin")
    >>> for day in wl.windows_of("2026-10-25T12:00Z", days):
    ...     print(day)
    2026-10-25 00:00:00+02:00 to 2026-10-26 00:00:00+01:00 (25h)

Times are UTC; those of calendar windows have the offset that the zone's clock has at that moment.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from wrackline import _core
from wrackline.durations import Time, format_duration, to_time
from wrackline.errors import InvalidArgumentError
from wrackline.windows import Window, zone_name

__all__ = ["Span", "edges", "windows_of"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


class Span(NamedTuple):
    """From `start` to `end`: a pair of datetimes.

    Offsets are fixed ones, so that ``end - start`` is time that passed, also over a change of the clock.

    >>> import wrackline as wl
    >>> (day,) = wl.windows_of("2026-10-25T12:00Z", wl.calendar("day", tz="Europe/Berlin"))
    >>> day.start.isoformat(), day.end.isoformat()
    ('2026-10-25T00:00:00+02:00', '2026-10-26T00:00:00+01:00')
    >>> day.length, day.end - day.start
    (datetime.timedelta(days=1, seconds=3600), datetime.timedelta(days=1, seconds=3600))
    """

    start: dt.datetime
    end: dt.datetime

    @property
    def length(self) -> dt.timedelta:
        """How much time passes from `start` to `end`."""
        return self.end - self.start

    def __repr__(self) -> str:
        return f"Span({self})"

    def __str__(self) -> str:
        return f"{self.start} to {self.end} ({_length(self.length // _MILLISECOND)})"


def windows_of(t: Time, window: Window, *, tz: str | dt.tzinfo | None = None) -> list[Span]:
    """The windows that a record at `t` is in, in the order of their starts.

    All are half-open, ``start <= t < end``, but two: a session's is what a lone record covers, ``start <= t <= end``;
    a rolling one's is what the row of a record at `t` looks back on, ``start < t <= end``. A window of `tz_column`
    needs a zone here. Windows by number (`count_window`) depend on the other records, and `global_window` has no
    bounds: errors.

    >>> import wrackline as wl
    >>> [f"{start:%H:%M} to {end:%H:%M}" for start, end in wl.windows_of("2026-10-25T12:07Z", wl.hopping("15m", "5m"))]
    ['11:55 to 12:10', '12:00 to 12:15', '12:05 to 12:20']
    >>> print(*wl.windows_of("1969-12-31T23:59:59.999Z", wl.tumbling("1h")))
    1969-12-31 23:00:00+00:00 to 1970-01-01 00:00:00+00:00 (1h)
    """
    millis = to_time(t, "windows_of: t")
    settings, zone = _settings("windows_of", window, tz)
    if window.kind in ("count_window", "global_window"):
        why = "has no bounds" if window.kind == "global_window" else "depends on the records before it, not on a time"
        raise InvalidArgumentError(f"windows_of: {window} {why}")
    try:
        if window.kind == "session":
            bounds = [(millis, millis + settings["gap"])]
        elif window.kind == "rolling":
            bounds = [(millis - settings["size"], millis)]
        else:
            bounds = _core.windows_of(window.kind, settings, millis)
        return [Span(_local(start, zone), _local(end, zone)) for start, end in bounds]
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"windows_of: {error}") from None


def edges(window: Window, start: Time, end: Time, *, tz: str | dt.tzinfo | None = None) -> list[dt.datetime]:
    """The instants from `start` to `end`, both included, at which windows begin or end: at most a million.

    Between two of them lies one window, unless windows overlap (`hopping`). `start` and `end` are UTC where they do not
    say otherwise. Windows that depend on records have no edges: an error.

    >>> import wrackline as wl
    >>> days = wl.calendar("day", tz="Europe/Berlin")
    >>> [str(edge) for edge in wl.edges(days, "2026-10-24T00:00+02:00", "2026-10-26T00:00+01:00")]
    ['2026-10-24 00:00:00+02:00', '2026-10-25 00:00:00+02:00', '2026-10-26 00:00:00+01:00']
    >>> [f"{edge:%H:%M}" for edge in wl.edges(wl.hopping("15m", "10m"), "2026-10-25T12:00Z", "2026-10-25T12:30Z")]
    ['12:00', '12:05', '12:10', '12:15', '12:20', '12:25', '12:30']
    """
    first, last = to_time(start, "edges: start"), to_time(end, "edges: end")
    settings, zone = _settings("edges", window, tz)
    if window.kind not in ("tumbling", "hopping", "calendar"):
        raise InvalidArgumentError(f"edges: where windows of {window} begin and end depends on the records")
    try:
        return [_local(edge, zone) for edge in _core.edges(window.kind, settings, first, last)]
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"edges: {error}") from None


def _length(millis: int) -> str:
    """A day that a clock makes longer is 25h, not 1d1h."""
    hours, rest = divmod(millis, 3_600_000)
    if not 24 <= hours < 48:
        return format_duration(millis)
    return f"{hours}h" + (format_duration(rest) if rest else "")


def _settings(call: str, window: Window, tz: str | dt.tzinfo | None) -> tuple[dict[str, Any], str]:
    """The window's settings and the zone that its times are shown in."""
    if not isinstance(window, Window):
        raise InvalidArgumentError(f'{call}: a window is what wl.tumbling("5m") and others make, not {window!r}')
    settings = window.settings
    if window.kind != "calendar" or not settings["tz_column"]:
        if tz is not None:
            raise InvalidArgumentError(f"{call}: tz is for windows of tz_column; this is {window}")
        return settings, settings["tz"] if window.kind == "calendar" else "UTC"
    if tz is None:
        raise InvalidArgumentError(f'{call}: {window} takes its zone from each row; say which: tz="Europe/Berlin"')
    zone = zone_name(call, tz)
    return {**settings, "tz": zone, "tz_column": ""}, zone


def _local(millis: int, zone: str) -> dt.datetime:
    offset = _core.zone_offset(zone, millis)
    try:
        return (_EPOCH + millis * _MILLISECOND).astimezone(dt.timezone(offset * _MILLISECOND) if offset else dt.UTC)
    except OverflowError:
        raise InvalidArgumentError("a bound lies outside the years 0001 to 9999, which datetime cannot hold") from None

"""Windows: which stretches of event time are aggregated together. All are half-open, ``[start, end)``.

>>> import wrackline as wl
>>> wl.tumbling("5m")
tumbling("5m")
>>> wl.hopping("1h", "5m", offset="30s")
hopping("1h", "5m", offset="30s")
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from typing import Any

from wrackline import _core
from wrackline.durations import Duration, format_duration, to_millis
from wrackline.errors import InvalidArgumentError, InvalidJobError

__all__ = [
    "Window",
    "calendar",
    "check_slices",
    "count_window",
    "global_window",
    "hopping",
    "rolling",
    "session",
    "tumbling",
]


@dataclass(frozen=True, repr=False)
class Window:
    """A value; made by the functions of this module.

    >>> import wrackline as wl
    >>> wl.tumbling("90s")
    tumbling("1m30s")
    >>> wl.tumbling("90s") == wl.tumbling(90_000)
    True
    """

    kind: str
    text: str
    settings: dict[str, Any] = field(hash=False)  # as the core takes them: milliseconds, numbers of units

    @property
    def emits_panes(self) -> bool:
        """Whether a window comes out as a whole, so that it may come out again.

        >>> import wrackline as wl
        >>> wl.tumbling("5m").emits_panes, wl.rolling("5m").emits_panes
        (True, False)
        """
        return self.kind not in ("rolling", "count_window")

    @property
    def names(self) -> list[str]:
        """The columns of a result row that say which window of its key it is of.

        >>> import wrackline as wl
        >>> wl.count_window(100).names
        ['window_start', 'window_end', 'window_number']
        """
        if self.kind == "rolling":
            return []
        return ["window_start", "window_end", *(["window_number"] if self.kind == "count_window" else [])]

    def __repr__(self) -> str:
        return self.text


def tumbling(size: Duration, *, offset: Duration = 0, tz: None = None) -> Window:
    """Windows of one length, side by side: ``wl.tumbling("5m")``. In UTC; days that follow a zone are calendar()'s.

    >>> import wrackline as wl
    >>> wl.tumbling("1d", offset="6h")
    tumbling("1d", offset="6h")
    """
    _no_zone("tumbling", tz)
    length, shift = _positive(size, "tumbling: size"), to_millis(offset, "tumbling: offset")
    _check_offset("tumbling", shift, length)
    return Window("tumbling", f"tumbling({_quoted(length)}{_offset(shift)})", _fixed(length, length, shift))


def hopping(size: Duration, slide: Duration, *, offset: Duration = 0, tz: None = None) -> Window:
    """Windows of one length that start every `slide`, so that they overlap: ``wl.hopping("1h", "5m")``.

    >>> import wrackline as wl
    >>> wl.hopping("1h", "5m")
    hopping("1h", "5m")
    """
    _no_zone("hopping", tz)
    length, step = _positive(size, "hopping: size"), _positive(slide, "hopping: slide")
    shift = to_millis(offset, "hopping: offset")
    if step > length:
        raise InvalidJobError(
            f"hopping: slide {_quoted(step)} is longer than size {_quoted(length)}: "
            "records between two windows would be lost"
        )
    _check_offset("hopping", shift, step)
    return Window(
        "hopping", f"hopping({_quoted(length)}, {_quoted(step)}{_offset(shift)})", _fixed(length, step, shift)
    )


def session(gap: Duration) -> Window:
    """Records of a key that are at most `gap` apart: from the first of them to the last + gap.

    A session that comes out again with other bounds, since records came late or its panes are early, takes its row back
    first: a row with ``pane="merged"``, the old bounds and null aggregates.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"user": "a", "ts": minute * 60_000} for minute in (0, 20, 50, 90)])
    >>> clicks = wl.Job("example").read(rows, time="ts").key_by("user")
    >>> visits = clicks.window(wl.session("30m")).agg(clicks=wl.count())
    >>> [(f"{row['window_start']:%H:%M}-{row['window_end']:%H:%M}", row["clicks"]) for row in visits.collect().rows()]
    [('00:00-01:20', 3), ('01:30-02:00', 1)]
    """
    length = _positive(gap, "session: gap")
    return Window("session", f"session({_quoted(length)})", {"gap": length})


_CALENDAR_UNITS = ["hour", "day", "week", "month", "quarter", "year"]
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def calendar(
    unit: str,
    *,
    tz: str | dt.tzinfo = "UTC",
    starts_at: str | None = None,
    week_starts: str = "monday",
    tz_column: str | None = None,
) -> Window:
    """Hours, days, weeks, months, quarters or years as a zone's clock shows them: days of 23, 24 and 25 hours.

    `tz` is one zone for all rows, `tz_column` the column with each row's own (a null or unknown one is a dead letter).
    `starts_at`: the time of day at which days, and so weeks, months and the rest, begin (not for hours);
    `week_starts`: the first day of a week. Rules of the zones are those of the tz database in the package.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"shop": "a", "ts": "2026-03-29T00:30Z"}, {"shop": "a", "ts": "2026-03-29T21:30Z"}])
    >>> keyed = wl.Job("example").read(rows, time="ts").key_by("shop")
    >>> days = keyed.window(wl.calendar("day", tz="Europe/Berlin")).agg(n=wl.count())
    >>> [(str(row["window_end"] - row["window_start"]), row["n"]) for row in days.collect().rows()]
    [('23:00:00', 2)]
    """
    _one_of("calendar: unit", unit, _CALENDAR_UNITS)
    _one_of("calendar: week_starts", week_starts, _WEEKDAYS)
    if starts_at is not None:
        if unit == "hour":
            raise InvalidJobError('calendar: starts_at does not go with unit="hour"; hours start at the full hour')
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?", starts_at):
            raise InvalidJobError(f'calendar: starts_at="{starts_at}" is no time of day, such as "06:00"')
    zone = zone_name("calendar", tz)
    if tz_column is not None and zone != "UTC":
        raise InvalidJobError(f'calendar: tz="{zone}" and tz_column="{tz_column}" are one too many')
    settings = {
        "unit": _CALENDAR_UNITS.index(unit),
        "tz": "" if tz_column else zone,
        "tz_column": tz_column or "",
        "starts_at": _time_of_day(starts_at or "00:00"),
        "week_starts": _WEEKDAYS.index(week_starts),
    }
    where = f'tz_column="{tz_column}"' if tz_column else f'tz="{zone}"'
    where += f', starts_at="{starts_at}"' if starts_at else ""
    where += f', week_starts="{week_starts}"' if week_starts != "monday" else ""
    return Window("calendar", f'calendar("{unit}", {where})', settings)


def zone_name(call: str, tz: object) -> str:
    """Of the core's tz database. A ZoneInfo is taken by its name."""
    name = "UTC" if tz is dt.UTC else getattr(tz, "key", tz)
    if not isinstance(name, str):
        raise InvalidJobError(f'{call}: tz is the name of a zone, such as "Europe/Berlin", or a ZoneInfo, not {tz!r}')
    try:
        _core.check_zone(name)
    except InvalidArgumentError as error:
        raise InvalidJobError(f"{call}: {error}") from None
    return name


def _time_of_day(text: str) -> int:
    clock = dt.time.fromisoformat(text)
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1000 + clock.microsecond // 1000


def rolling(size: Duration) -> Window:
    """For each record its own columns, and aggregates over its key's records of the last `size`, itself included.

    A row comes out when the watermark has passed its record, so that all that its window holds is there.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"card": "a", "ts": minute * 60_000, "paid": 10} for minute in (0, 20, 59, 60)])
    >>> payments = wl.Job("example").read(rows, time="ts").key_by("card")
    >>> last_hour = payments.window(wl.rolling("1h")).agg(payments=wl.count(), total=wl.sum("paid"))
    >>> [(row["ts"] // 60_000, row["payments"], row["total"]) for row in last_hour.collect().rows()]
    [(0, 1, 10), (20, 2, 20), (59, 3, 30), (60, 3, 30)]
    """
    length = _positive(size, "rolling: size")
    return Window("rolling", f"rolling({_quoted(length)})", {"size": length})


def count_window(n: int) -> Window:
    """Each `n` records of a key, in the order in which its partition has them; nothing is late for it.

    Rows have the smallest event time as window_start, the largest + 1 ms as window_end, and a window_number. What is
    incomplete at the end of a bounded input comes out ``early``.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1, "ts": 1}, {"v": 2, "ts": 2}, {"v": 3, "ts": 3}])
    >>> pairs = wl.Job("example").read(rows, time="ts").key_by().window(wl.count_window(2)).agg(total=wl.sum("v"))
    >>> pairs.collect().to_polars().select("window_number", "pane", "total").rows()
    [(0, 'on_time', 3), (1, 'early', 3)]
    """
    if isinstance(n, bool) or not isinstance(n, int) or n <= 0:
        raise InvalidJobError(f"count_window: n must be a whole number > 0, not {n!r}")
    return Window("count_window", f"count_window({n})", {"n": n})


def global_window() -> Window:
    """One window without bounds: all records of a key. It comes out at the end of a bounded input, or early.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1, "ts": 1}, {"v": 2, "ts": 2}, {"v": 3, "ts": 3}])
    >>> keyed = wl.Job("example").read(rows, time="ts").key_by()
    >>> running = keyed.window(wl.global_window(), early_rows=2).agg(total=wl.sum("v"))
    >>> running.collect(revisions="all").to_polars().select("revision", "pane", "total").rows()
    [(0, 'early', 3), (1, 'on_time', 6)]
    """
    return Window("global_window", "global_window()", {})


def _fixed(size: int, slide: int, offset: int) -> dict[str, Any]:
    return {"size": size, "slide": slide, "offset": offset}


def _positive(value: Duration, name: str) -> int:
    millis = to_millis(value, name)
    if millis <= 0:
        raise InvalidJobError(f"{name} must be > 0, not {value!r}")
    return millis


def _check_offset(kind: str, offset: int, slide: int) -> None:
    if abs(offset) >= slide:
        what = "size" if kind == "tumbling" else "slide"
        raise InvalidJobError(f"{kind}: offset {_quoted(offset)} must be shorter than the {what} {_quoted(slide)}")


def check_slices(label: str, window: Window) -> None:
    """A window of a job is made of so many slices at most."""
    if window.kind != "hopping":
        return
    size, slide, most = window.settings["size"], window.settings["slide"], 100_000
    slices = size // math.gcd(size, slide)
    if slices <= most:
        return
    nearest = next(size // of for of in range(min(most, size // slide), 0, -1) if size % of == 0)
    raise InvalidJobError(
        f"{label}: size {_quoted(size)} and slide {_quoted(slide)} have a common divisor of only "
        f"{format_duration(math.gcd(size, slide))}: {slices:,} slices a window, and {most:,} are the most; the next "
        f"slide that divides the size is {_quoted(nearest)}"
    )


def _no_zone(kind: str, tz: object) -> None:
    if tz is not None:
        raise InvalidJobError(
            f'{kind}: fixed lengths are in UTC; windows of a time zone are wl.calendar("day", tz={tz!r})'
        )


def _one_of(name: str, value: str, known: list[str]) -> None:
    if value not in known:
        begun = [one for one in known if value and one.startswith(str(value).lower())]
        near = begun[0] if len(begun) == 1 else _core.nearest(str(value), known)
        raise InvalidJobError(
            f"{name}={value!r}; " + (f"did you mean {near!r}?" if near else f"one of {', '.join(known)}")
        )


def _quoted(millis: int) -> str:
    return f'"{format_duration(millis)}"'


def _offset(millis: int) -> str:
    return f", offset={_quoted(millis)}" if millis else ""

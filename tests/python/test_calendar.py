"""Calendar windows against Python's own reading of the same tz files: zoneinfo for the clock, a scan for the edges."""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import importlib.resources
import io
import itertools
import json
import os
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tzdata
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline import _core

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NAIVE = dt.datetime(1970, 1, 1)
MS = dt.timedelta(milliseconds=1)
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
# zoneinfo needs a day on each side.
FIRST = (dt.datetime(1, 1, 3, tzinfo=dt.UTC) - EPOCH) // MS
LAST = (dt.datetime(9999, 12, 29, tzinfo=dt.UTC) - EPOCH) // MS

ZONES = _core.zone_names()
VECTORS = Path(__file__).parents[1] / "vectors" / "calendar_edges.json"


@functools.cache
def oracle(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(_core.zone_file(name)), key=name)


def offset(zone: zoneinfo.ZoneInfo, t: int) -> int:
    moved = (EPOCH + t * MS).astimezone(zone).utcoffset()
    assert moved is not None
    return moved // MS


def jumps(zone: zoneinfo.ZoneInfo, first: int, last: int, step: int) -> Iterator[int]:
    """The instants at which the clock jumps, to the second: by halving what lies between two looks."""
    first = first // SECOND * SECOND
    before = offset(zone, first)
    for t in range(first + step, last + step, step):
        now = offset(zone, t)
        if now != before:
            low, high = t - step, t
            while high - low > SECOND:
                middle = (low + high) // 2 // SECOND * SECOND
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            yield high
        before = now


@functools.cache
def jumps_of(name: str) -> list[int]:
    """Those of 1840 to 2060, but for two within three days that undo one another."""
    first, last = ((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - EPOCH) // MS for year in (1840, 2060))
    return list(jumps(oracle(name), first, last, 3 * DAY))


# rule: 5.11
def test_the_files_are_those_of_the_pinned_package() -> None:
    assert tzdata.IANA_VERSION == _core.TZ_VERSION
    folder = importlib.resources.files("tzdata")
    assert sorted(folder.joinpath("zones").read_text().split()) == ZONES
    for name in ZONES:
        assert folder.joinpath("zoneinfo", *name.split("/")).read_bytes() == _core.zone_file(name)


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    wl.show_versions()
    assert f"tz database  {tzdata.IANA_VERSION} (built in)" in capsys.readouterr().out


# rule: 5.11
def test_no_tz_data_of_the_system_is_needed(tmp_path: Path) -> None:
    code = 'import wrackline as wl; print(*wl.windows_of("2026-10-25T12:00Z", wl.calendar("day", tz="Europe/Berlin")))'
    bare = {**os.environ, "TZDIR": str(tmp_path), "PYTHONTZPATH": str(tmp_path), "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-I", "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout == "2026-10-25 00:00:00+02:00 to 2026-10-26 00:00:00+01:00 (25h)\n"


@pytest.mark.parametrize("part", range(8))
def test_every_zone_has_the_offsets_of_zoneinfo_around_its_jumps_and_in_far_years(part: int) -> None:
    centuries = [
        (dt.datetime(year, month, 1, tzinfo=dt.UTC) - EPOCH) // MS
        for year in range(2, 9999, 97)
        for month in range(1, 13)
    ]
    for name in ZONES[part::8]:
        zone = oracle(name)
        looks = centuries + [jump + around for jump in jumps_of(name) for around in (-1, 0, 1)]
        assert [_core.zone_offset(name, t) for t in looks] == [offset(zone, t) for t in looks], name


@given(st.sampled_from(ZONES), st.integers(FIRST, LAST))
def test_offsets_of_any_time(name: str, t: int) -> None:
    assert _core.zone_offset(name, t) == offset(oracle(name), t)


@st.composite
def rules(
    draw: st.DrawFn, units: tuple[str, ...] = ("hour", "day", "week", "month", "quarter", "year")
) -> dict[str, Any]:
    unit = draw(st.sampled_from(units))
    rule: dict[str, Any] = {"unit": unit, "tz": draw(st.sampled_from(ZONES))}
    if unit != "hour" and draw(st.booleans()):
        # Also where clocks jump.
        minutes = draw(
            st.one_of(st.integers(0, 24 * 60 - 1), st.sampled_from([30, 60, 90, 120, 150, 180, 23 * 60 + 30]))
        )
        rule["starts_at"] = f"{minutes // 60:02}:{minutes % 60:02}"
    if unit == "week":
        rule["week_starts"] = draw(st.sampled_from(["monday", "thursday", "saturday", "sunday"]))
    return rule


@st.composite
def times(draw: st.DrawFn, zone: str) -> int:
    """Any, and those next to a jump of the clock."""
    known = jumps_of(zone)
    if not known or draw(st.integers(0, 3)) == 0:
        return draw(st.integers(FIRST + 800 * DAY, LAST - 800 * DAY))
    return draw(st.sampled_from(known)) + draw(st.one_of(st.sampled_from([-1, 0, 1]), st.integers(-2 * DAY, 2 * DAY)))


def begins(rule: dict[str, Any], local: dt.datetime) -> tuple[int, ...]:
    """A number of the unit that a local time is in: it grows with time."""
    hour, _, minute = rule.get("starts_at", "00:00").partition(":")
    day = local - dt.timedelta(hours=int(hour), minutes=int(minute))
    match rule["unit"]:
        case "day":
            return (day.toordinal(),)
        case "week":
            first = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"].index(
                rule.get("week_starts", "monday")
            )
            return ((day.toordinal() - 1 - first) // 7,)
        case "month":
            return (day.year, day.month)
        case "quarter":
            return (day.year, (day.month - 1) // 3)
        case _:
            return (day.year,)


def scanned(rule: dict[str, Any], first: int, last: int, step: int) -> list[int]:
    """The edges in (first, last], by looking at the clock every `step`: for days and longer, a new edge is where the
    clock shows a later unit than ever before; for hours, where it shows a full one."""
    zone = oracle(rule["tz"])
    found: list[int] = []
    latest: tuple[int, ...] | None = None
    for t in range(first, last + 1, step):
        local = NAIVE + (t + offset(zone, t)) * MS
        if rule["unit"] == "hour":
            if local.minute == local.second == 0 and t > first:
                found.append(t)
        elif latest is None or begins(rule, local) > latest:
            if latest is not None:
                found.append(t)
            latest = begins(rule, local)
    return found


def core_edges(rule: dict[str, Any], first: int, last: int) -> list[int]:
    return [(edge - EPOCH) // MS for edge in wl.edges(wl.calendar(**rule), first, last)]


# rule: 5.6 5.7 5.8
@settings(max_examples=100)
@given(st.data())
def test_edges_around_any_jump_are_what_the_clock_shows_minute_by_minute(data: st.DataObject) -> None:
    rule = data.draw(rules(("hour", "day")))
    zone = oracle(rule["tz"])
    t = data.draw(times(rule["tz"]))
    # Clocks before time zones are some seconds off from whole minutes.
    odd = any(offset(zone, t + around) % MINUTE for around in (-3 * DAY, 0, 3 * DAY))
    step, reach = (SECOND, 2 * HOUR) if odd else (MINUTE, 30 * HOUR)
    first = t // step * step - reach
    shown_before = 2 * DAY if rule["unit"] == "day" else 0
    expected = [edge for edge in scanned(rule, first - shown_before, t + reach, step) if edge > first]
    assert core_edges(rule, first + 1, t + reach) == expected


def by_halving(rule: dict[str, Any], t: int) -> tuple[int, int]:
    """The window of t, from the clock alone: in each stretch between two jumps the clock runs on, so that the first
    instant of a unit is found by halving; a unit counts once it is later than all that the clock has shown."""
    zone = oracle(rule["tz"])
    reach = {"day": 3, "week": 10, "month": 35, "quarter": 95, "year": 370}[rule["unit"]] * DAY
    first, last = t - reach, t + reach
    known = (
        jumps_of(rule["tz"])
        if t < (dt.datetime(2059, 1, 1, tzinfo=dt.UTC) - EPOCH) // MS
        else list(jumps(zone, first - DAY, last + DAY, 12 * HOUR))
    )
    cuts = [first, *known[bisect.bisect_right(known, first) : bisect.bisect_left(known, last)], last]

    def unit(at: int) -> tuple[int, ...]:
        return begins(rule, NAIVE + (at + offset(zone, at)) * MS)

    latest = unit(first)
    found: list[int] = []
    for begin, end in itertools.pairwise(cuts):
        at = begin
        while unit(end - 1) > latest:
            low, high = at - 1, end - 1  # the first in (low, high] whose unit is later than all before
            if unit(at) > latest:
                high = at
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if unit(middle) > latest else (middle, high)
            found.append(high)
            latest, at = unit(high), high
    where = bisect.bisect_right(found, t)
    return found[where - 1], found[where]


# rule: 5.6 5.8
@settings(max_examples=600)
@given(st.data())
def test_windows_of_days_and_longer_are_what_the_clock_shows(data: st.DataObject) -> None:
    rule = data.draw(rules(("day", "week", "month", "quarter", "year")))
    t = data.draw(times(rule["tz"]))
    (span,) = wl.windows_of(t, wl.calendar(**rule))
    assert ((span.start - EPOCH) // MS, (span.end - EPOCH) // MS) == by_halving(rule, t)


@settings(max_examples=300)
@given(st.data())
def test_windows_lie_side_by_side_and_hold_their_times(data: st.DataObject) -> None:
    rule = data.draw(rules())
    t = data.draw(times(rule["tz"]))
    window = wl.calendar(**rule)
    (span,) = wl.windows_of(t, window)
    assert span.start <= EPOCH + t * MS < span.end
    assert wl.windows_of(span.start, window) == wl.windows_of(span.end - MS, window) == [span]
    (after,) = wl.windows_of(span.end, window)
    assert after.start == span.end
    assert wl.edges(window, span.start, after.end) == [span.start, span.end, after.end]


# rule: 5.1
@given(st.integers(-(10**13), 10**13), st.integers(1, 10**8), st.data())
def test_windows_of_one_length_are_all_that_hold_a_time(t: int, slide: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(slide, slide * 20))
    shift = data.draw(st.integers(1 - slide, slide - 1))
    found = [
        ((span.start - EPOCH) // MS, (span.end - EPOCH) // MS)
        for span in wl.windows_of(t, wl.hopping(size, slide, offset=shift))
    ]
    around = range((t - shift - size) // slide - 2, (t - shift) // slide + 3)
    every = [(n * slide + shift, n * slide + shift + size) for n in around]
    assert found == [(start, end) for start, end in every if start <= t < end]
    edges = [(edge - EPOCH) // MS for edge in wl.edges(wl.hopping(size, slide, offset=shift), t - slide, t + slide)]
    wider = range((t - shift - size - slide) // slide - 2, (t - shift + slide) // slide + 3)
    bounds = {n * slide + shift + add for n in wider for add in (0, size)}
    assert edges == sorted(edge for edge in bounds if t - slide <= edge <= t + slide)


def test_a_polars_user_sees_the_days_that_polars_truncates_to() -> None:
    hours = pl.datetime_range(
        dt.datetime(2026, 3, 27), dt.datetime(2026, 4, 1), "1h", time_zone="Europe/Berlin", eager=True
    )
    days = wl.calendar("day", tz="Europe/Berlin")
    ours = [wl.windows_of(at, days)[0].start for at in hours]
    assert pl.Series(ours).to_list() == [at.astimezone(dt.UTC) for at in hours.dt.truncate("1d")]


def test_the_difference_of_local_times_is_time_that_passed() -> None:
    """zoneinfo's own datetimes would say 24 hours."""
    (day,) = wl.windows_of("2026-10-25T12:00Z", wl.calendar("day", tz="Europe/Berlin"))
    assert day.end - day.start == day.length == dt.timedelta(hours=25)
    assert (day.start.isoformat(), day.end.isoformat()) == ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")


def test_rows_of_a_job_are_in_the_windows_that_windows_of_names() -> None:
    rows = [{"ts": t} for t in (-1, 0, 1, 59_999, 60_000, 100_000)]
    for window in (wl.tumbling("1m"), wl.tumbling("1m", offset="7s"), wl.hopping("1m", "17s")):
        result = wl.Job("spans").read(wl.from_records(rows), time="ts").key_by().window(window).agg(n=wl.count())
        expected: dict[wl.Span, int] = {}
        for row in rows:
            for span in wl.windows_of(row["ts"], window):
                expected[span] = expected.get(span, 0) + 1
        assert {(row["window_start"], row["window_end"]): row["n"] for row in result.collect()} == expected


@pytest.mark.parametrize("case", json.loads(VECTORS.read_text()), ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    """The windows of each vector's rows, without a job."""
    (step,) = case["job"]["steps"]
    setting = {name: value for name, value in step["window"].items() if name != "type"}
    window = wl.calendar(**setting)
    rows = [item["row"] for item in case["inputs"] if item.get("row")]
    expected = {(row["window_start"], row["window_end"]) for row in case["expected"]["results"]}
    found = set()
    for row in rows:
        zone = row.get(setting["tz_column"]) if "tz_column" in setting else None
        if "tz_column" in setting and zone not in ZONES:
            continue
        (span,) = wl.windows_of(row["ts"], window, tz=zone)
        found.add(((span.start - EPOCH) // MS, (span.end - EPOCH) // MS))
    assert expected <= found
    # Rows that were late are the only ones without a window that comes out.
    late = {(row["window_start"], row["window_end"]) for row in case["expected"]["late"]}
    assert found <= expected | late

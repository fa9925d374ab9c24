"""What the jobs of kinds.py must answer: docs/semantics.md record by record, and their topics read back.

It keeps every accepted record; nothing in it knows of panes, batches, stages or restarts.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import wrackline as wl
from tests.python.crash.kinds import HOUR, Kind, Windows

NOT_BEFORE = 1_577_836_800_000  # 2020
Row = dict[str, Any]
Inputs = dict[str, list[list[bytes | None]]]


@dataclass
class Expected:
    # By window step: name of a window -> (count, total). Rolling rows are named by their own columns, count windows by
    # their number.
    windows: dict[str, dict[tuple[Any, ...], tuple[int, int]]] = field(default_factory=dict)
    late: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # step, id, late_by_ms, watermark, window_end
    dead: int = 0


def good(value: bytes) -> Row | None:
    """None: a dead letter."""
    try:
        row = json.loads(value)
    except ValueError:
        return None
    fits = isinstance(row["k"], str) and not isinstance(row["v"], str) and row["ts"] >= NOT_BEFORE
    return row if fits else None


def expected(kind: Kind, inputs: Inputs) -> Expected:
    found = Expected()
    accepted: dict[str, list[Row]] = {one.name: [] for one in kind.all_windows()}
    for values in [values for partitions in inputs.values() for values in partitions]:
        watermark = -math.inf
        for value in values:
            if value is None:
                continue
            row = good(value)
            if row is None:
                found.dead += 1
                continue
            if row["v"] is not None and row["v"] >= 0.0:
                for one in kind.windows:
                    if any(row[name] is None for name in one.keys) and one.options.get("null_key") != "group":
                        found.dead += 1
                        continue
                    late = list(_late(one, row, watermark))
                    found.late.update(late)
                    if not late or one.options.get("late") == "windows":
                        accepted[one.name].append({**row, "watermark": watermark})
            watermark = max(watermark, row["ts"] - kind.bound)
    for one in kind.windows:
        found.windows[one.name] = _windows(one, accepted[one.name])
        if one.then:
            found.windows[one.then.name] = _added_up(one, found.windows[one.name])
    return found


def _late(one: Windows, row: Row, watermark: float) -> Iterator[tuple[Any, ...]]:
    """Its rows in the late stream."""
    at, name = row["ts"], one.shape[0]
    if name in ("session", "rolling"):
        if at + one.lateness < watermark:
            yield one.name, row["id"], int(watermark) - at - one.lateness, int(watermark), None
    elif name not in ("count", "global"):
        ends = [end for _, end in bounds(one.shape, row)]
        missed = [end for end in ends if end + one.lateness <= watermark]
        if one.options.get("late") != "windows":
            missed = missed[:1] if len(missed) == len(ends) else []
        for end in missed if len(missed) < len(ends) else missed[:1]:
            yield one.name, row["id"], int(watermark) - end - one.lateness + 1, int(watermark), end


def bounds(shape: tuple[Any, ...], row: Row) -> list[tuple[int, int]]:
    """Of the windows that hold the row, the latest first."""
    at: int = row["ts"]
    match shape:
        case ("tumbling", size, offset):
            start = (at - offset) // size * size + offset
            return [(start, start + size)]
        case ("hopping", size, slide):
            return [(start, start + size) for start in range(at // slide * slide, at - size, -slide)]
    zone = ZoneInfo(shape[1] or row["z"])
    local = datetime.fromtimestamp(at / 1000, zone)
    if shape[0] == "hour":
        # All instants at which its clock shows a full hour: offsets are multiples of half an hour or 45 minutes.
        first = at // 900_000 * 900_000
        start = next(t for t in range(first, 0, -900_000) if _minute(t, zone) == 0)
        end = next(t for t in range(first + 900_000, first + 10 * HOUR, 900_000) if _minute(t, zone) == 0)
        return [(start, end)]
    day = local.date() - timedelta(days=local.weekday() if shape[0] == "week" else 0)
    length = timedelta(days=7 if shape[0] == "week" else 1)
    return [(_midnight(day, zone), _midnight(day + length, zone))]


def _minute(at: int, zone: ZoneInfo) -> int:
    return datetime.fromtimestamp(at / 1000, zone).minute


def _midnight(day: Any, zone: ZoneInfo) -> int:
    """None of the zones used has a clock change at midnight."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp()) * 1000


def _counts(rows: Iterable[Row]) -> tuple[int, int]:
    numbers = [row["n"] for row in rows]
    return len(numbers), sum(number for number in numbers if number is not None)


def _windows(one: Windows, accepted: list[Row]) -> dict[tuple[Any, ...], tuple[int, int]]:
    by_key: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in accepted:
        by_key[tuple(row[name] for name in one.keys)].append(row)
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for key, rows in by_key.items():
        match one.shape:
            case ("session", gap):
                start = end = None
                for row in sorted(rows, key=lambda row: row["ts"]):
                    if end is None or row["ts"] > end:
                        start, taken = row["ts"], []
                    end = row["ts"] + gap
                    taken.append(row)
                    groups.pop((*key, start, taken[-2]["ts"] + gap) if len(taken) > 1 else (), None)
                    groups[*key, start, end] = taken
            case ("rolling", size):
                for row in rows:
                    name = _numbered((*key, row["id"], row["ts"]), groups)
                    groups[name] = [other for other in rows if row["ts"] - size < other["ts"] <= row["ts"]]
            case ("count", length):
                for first in range(0, len(rows), length):
                    groups[*key, first // length] = rows[first : first + length]
            case ("global",):
                groups[key] = rows
            case _:
                for row in rows:
                    for start, end in bounds(one.shape, row):
                        if end + one.lateness > row["watermark"]:
                            groups[*key, start, end].append(row)
    return {name: _counts(rows) for name, rows in groups.items()}


def _numbered(name: tuple[Any, ...], taken: Container[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The first of its kind, the second: records that are equal have rows that are equal."""
    return next((*name, number) for number in itertools.count() if (*name, number) not in taken)


def _added_up(one: Windows, windows: dict[tuple[Any, ...], tuple[int, int]]) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Tumbling windows over the rows of tumbling windows, whose time is their end - 1."""
    assert one.then is not None
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    for name, (count, total) in windows.items():
        row = {**dict(zip(one.keys, name, strict=False)), "ts": name[-1] - 1}
        (window,) = bounds(one.then.shape, row)
        names = (*(row[key] for key in one.then.keys), *window)
        before = found.get(names, (0, 0))
        found[names] = before[0] + count, before[1] + total
    return found


def name_of(one: Windows, row: Row) -> tuple[Any, ...]:
    """Of the window that a row is of, as `Expected.windows` names it."""
    key = tuple(row[name] for name in one.keys)
    match one.shape[0]:
        case "rolling":
            return (*key, row["id"], row["ts"])
        case "count":
            return (*key, row["window_number"])
        case "global":
            return key
    return (*key, row["window_start"], row["window_end"])


def assert_expected(kind: Kind, log: wl.Log, wanted: Expected, prefix: str = "") -> None:
    """What the job wrote to topics that begin with `prefix`: all windows, each once, and what came late."""
    for one in kind.all_windows():
        rows = log.read(prefix + one.name).rows()
        revisions = Counter((name_of(one, row), row.get("revision")) for row in rows)
        if one.shape[0] != "rolling":
            assert max(revisions.values()) == 1, f"{one.name}: {revisions.most_common(1)} is put out twice"
        _assert_windows(one, rows, wanted.windows[one.name], kind.staged)
    late = Counter(
        (row["step"], row["id"], row["late_by_ms"], row["watermark"], row["window_end"])
        for row in log.read(prefix + "late").rows()
    )
    assert late == wanted.late, (late - wanted.late, wanted.late - late)
    assert len(log.read(prefix + "dead")) == wanted.dead


def _assert_windows(
    one: Windows, rows: list[Row], wanted: dict[tuple[Any, ...], tuple[int, int]], any_order: bool
) -> None:
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    for row in rows:
        name = name_of(one, row)
        count, total = row["count"], row["total"] or 0
        if one.shape[0] == "rolling":
            name = _numbered(name, found)
        if row.get("pane") == "merged":
            del found[name]
        elif one.delta:
            before = found.get(name, (0, 0))
            found[name] = before[0] + count, before[1] + total
        else:
            found[name] = count, total
    if one.shape[0] == "count" and any_order:
        assert _in_any_order(found) == _in_any_order(wanted), one.name
        return
    wrong = {name: (found.get(name), wanted.get(name)) for name in found.keys() | wanted.keys()}
    wrong = {name: both for name, both in wrong.items() if both[0] != both[1]}
    assert not wrong, (one.name, len(wrong), sorted(wrong.items(), key=repr)[:5])


def _in_any_order(counted: dict[tuple[Any, ...], tuple[int, int]]) -> dict[tuple[Any, ...], tuple[list[int], int]]:
    """Of count windows: the lengths, and the total over all of them."""
    found: dict[tuple[Any, ...], tuple[list[int], int]] = {}
    for (*key, _), (count, total) in sorted(counted.items(), key=repr):
        lengths, before = found.get(tuple(key), ([], 0))
        found[tuple(key)] = sorted([*lengths, count]), before + total
    return found

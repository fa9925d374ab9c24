"""Compares what a job gave with what a case expects, by the rules of README.md.

    differences(case, got) -> list of sentences; empty: the case passes.

`case` and `got` are decoded (see values.py). `places=False` leaves "@" and the watermarks after each item out: for
runs that were cut into batches.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]

# Of the equation: a counter that is not named is 0.
COUNTERS = ["in", "out", "filtered", "duplicate", "late", "dead_lettered", "skipped", "held", "windows_missed"]
FIRED_BY_MOVES = ("on_time", "final")


def differences(case: dict[str, Any], got: dict[str, Any], *, places: bool = True) -> list[str]:
    expected, job = case["expected"], case["job"]
    found: list[str] = []
    if "results" in expected:
        found += _results(job, expected["results"], got["results"], places)
    close = tolerances(job)
    if "late" in expected:
        found += _any_order("late", expected["late"], got["late"], close)
    if "dead" in expected:
        found += _any_order(
            "dead", [_named(row) for row in expected["dead"]], [_named(row) for row in got["dead"]], close
        )
    if "duplicates" in expected:
        short = [_identity(row) for row in expected["duplicates"]]
        found += _any_order("duplicates", short, got["duplicates"], close)
    for step, counts in expected.get("ledger", {}).items():
        have = got["ledger"].get(step)
        if have is None:
            found.append(f"ledger: no step {step}")
            continue
        for counter in COUNTERS:
            if have.get(counter, 0) != counts.get(counter, 0):
                found.append(f"ledger: {step}.{counter} is {have.get(counter, 0)}, expected {counts.get(counter, 0)}")
    if "watermark" in expected and got["watermark"] != expected["watermark"]:
        found.append(f"watermark: {got['watermark']}, expected {expected['watermark']}")
    if places and "watermarks" in expected and got["watermarks"] != expected["watermarks"]:
        found.append(f"watermarks: {got['watermarks']}, expected {expected['watermarks']}")
    return found


def tolerances(job: dict[str, Any]) -> dict[str, str]:
    """Which aggregate each output column is."""
    return {
        name: spec[0] for step in job["steps"] if step["op"] == "window" for name, spec in step.get("agg", {}).items()
    }


def _results(job: dict[str, Any], expected: list[Row], got: list[Row], places: bool) -> list[str]:
    close = tolerances(job)
    windows = [step for step in job["steps"] if step["op"] == "window"]
    found: list[str] = []
    if not windows:
        found += _in_order("results", expected, got, close, places)
        return found
    last = windows[-1]
    keys = list(last.get("key_by") or [])
    window = [*keys, "window_start", "window_end"]
    coalesced = any(
        step.get("allowed_lateness", 0) > 0 and step.get("emit_late") != "each" and step.get("emit") != "final_only"
        for step in windows
    )
    if coalesced:
        found += _subset(expected, got, close, window, places)
    else:
        found += _any_order("results", expected, got, close, places=places)
    for name, rows in _grouped(got, window).items():
        revisions = [row["revision"] for row in rows if "revision" in row]
        if any(b <= a for a, b in itertools.pairwise(revisions)):
            found.append(f"results: revisions of {name} are {revisions}")
    fired = [row for row in got if row.get("pane") in FIRED_BY_MOVES]
    wanted = _grouped([row for row in expected if row.get("pane") in FIRED_BY_MOVES], keys)
    for name, rows in _grouped(fired, keys).items():
        order = [(row["window_end"], row["window_start"]) for row in rows]
        right = [(row["window_end"], row["window_start"]) for row in wanted.get(name, [])]
        if order != right and sorted(order) == sorted(right):
            found.append(f"results: windows of key {name} came as {order}, expected {right}")
    return found


def _subset(expected: list[Row], got: list[Row], close: dict[str, str], window: list[str], places: bool) -> list[str]:
    """Late panes may be left out, but not a window's last row, and nothing else."""
    found = []
    left = list(expected)
    for row in got:
        skip_place = not places or row.get("pane") == "late"
        match = next((one for one in left if same_row(one, row, close, places=not skip_place)), None)
        if match is None:
            found.append(f"results: not expected: {row}")
        else:
            left.remove(match)
    ends = {id(rows[-1]) for rows in _grouped(expected, window).values()}
    for row in left:
        if row.get("pane") != "late":
            found.append(f"results: missing: {row}")
        elif id(row) in ends:
            found.append(f"results: missing the last row of a window: {row}")
    return found


def _any_order(
    what: str, expected: list[Row], got: list[Row], close: dict[str, str], *, places: bool = False
) -> list[str]:
    found = []
    left = list(got)
    for row in expected:
        match = next((one for one in left if same_row(row, one, close, places=places)), None)
        if match is None:
            found.append(f"{what}: missing: {row}")
        else:
            left.remove(match)
    return found + [f"{what}: not expected: {row}" for row in left]


def _in_order(what: str, expected: list[Row], got: list[Row], close: dict[str, str], places: bool) -> list[str]:
    found = []
    if len(expected) != len(got):
        found.append(f"{what}: {len(got)} rows, expected {len(expected)}")
    for i, (row, have) in enumerate(zip(expected, got, strict=False)):
        if not same_row(row, have, close, places=places):
            found.append(f"{what}[{i}]: {have}, expected {row}")
    return found


def same_row(expected: Row, got: Row, close: dict[str, str], *, places: bool) -> bool:
    for name, value in expected.items():
        if name == "@":
            if places and "@" in got and got["@"] != value:
                return False
        elif name not in got or not same_value(value, got[name], close.get(name, "")):
            return False
    return True


def same_value(expected: Any, got: Any, function: str = "") -> bool:
    if isinstance(expected, dict) and isinstance(got, dict):
        return all(name in got and same_value(value, got[name]) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same_value, expected, got))
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        if isinstance(expected, int) and isinstance(got, int):
            return expected == got
        return _same_float(float(expected), float(got), function)
    return type(expected) is type(got) and bool(expected == got)


def _same_float(expected: float, got: float, function: str) -> bool:
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    if expected == got:
        return True
    if math.isinf(expected) or math.isinf(got):
        return False
    if function in ("var", "std"):
        return math.isclose(expected, got, rel_tol=1e-9)
    ulps = {"sum": 1, "mean": 3}.get(function, 0)
    return abs(expected - got) <= ulps * math.ulp(max(abs(expected), abs(got)))


def _named(row: Row) -> Row:
    """A dead letter with its record named by `i`, if it has one."""
    return {**row, "row": _identity(row["row"])}


def _identity(row: Row) -> Row:
    return {"i": row["i"]} if "i" in row else row


def _grouped(rows: Iterable[Row], columns: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}

    def shown(value: Any) -> Any:
        return "nan" if isinstance(value, float) and math.isnan(value) else value

    for row in rows:
        groups.setdefault(tuple(shown(row.get(name)) for name in columns), []).append(row)
    return groups

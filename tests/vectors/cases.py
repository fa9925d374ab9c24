"""Builds a case as a job, through the public API, and drives it item by item."""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any

from values import watermark as written

import wrackline as wl
from wrackline.testing import Driver

# Columns that a case's steps name but none of its rows has.
USUAL_TYPES: dict[str, type] = {
    "ts": int,
    "wm": int,
    "beat": int,
    "v": int,
    "i": int,
    "id": int,
    "n": int,
    "log": int,
    "k": str,
    "src": str,
}


class UnsupportedError(Exception):
    """What the case is about is not part of this version."""


def build(case: dict[str, Any], *, as_topic: bool = False) -> wl.Job:
    """`as_topic`: bounded rows as JSON records of a topic instead, with the same settings.

    Raises wl.InvalidJobError where the job cannot be built, UnsupportedError or wl.NotYetError where not yet."""
    spec = case["job"]
    job = wl.Job("case")
    time = spec.get("time", {})
    options: dict[str, Any] = {
        name: time[name] for name in ("unit", "not_before", "not_after", "max_future", "log_timestamp") if name in time
    }
    options.update({name: spec[name] for name in ("idle_after", "idle_advance") if name in spec})
    if "watermark" in spec:
        options["watermark"] = _watermark(spec["watermark"])
    else:
        options["out_of_orderness"] = spec.get("out_of_orderness", 0)
    schema = _schema(case)
    if as_topic:  # what is another default for topics
        options.setdefault("not_before", "2000-01-01" if options.get("unit") == "auto" else "0001-01-01")
        options["max_future"] = 10**15
    streams = []
    for name in spec.get("inputs", ["read"]):
        topic = as_topic or spec.get("source") == "topic"
        source: Any = f"input-{name}" if topic else wl.from_records([], schema)
        streams.append(job.read(source, schema if topic else None, time=time.get("column", "ts"), name=name, **options))
    stream = streams[0] if len(streams) == 1 else wl.merge(*streams)
    for step in spec["steps"]:
        stream = _add(stream, step)
    return job


def _watermark(spec: Any) -> Any:
    if spec == "monotonic":
        return wl.monotonic()
    ((kind, column),) = spec.items()
    return wl.punctuated(column) if kind == "punctuated" else wl.punctuated_if(column)


def _schema(case: dict[str, Any]) -> dict[str, Any]:
    types: dict[str, type] = {}
    for item in case["inputs"]:
        for name, value in (item.get("row") or {}).items():
            kind = type(value)
            if value is None:
                types.setdefault(name, type(None))
            elif types.get(name, type(None)) is type(None) or {types[name], kind} == {int, float}:
                types[name] = float if {types.get(name), kind} == {int, float} else kind
    outputs = {name for step in case["job"]["steps"] for name in step.get("agg", {})}
    spec = case["job"]
    wanted = [
        "ts",
        *spec.get("time", {}).get("column", "ts").split(),
        *spec.get("time", {}).get("log_timestamp", "").split(),
    ]
    if isinstance(spec.get("watermark"), dict):
        wanted += spec["watermark"].values()
    for step in spec["steps"]:
        wanted += [*step.get("columns", []), *(step.get("key_by") or []), *step.get("column", "").split()]
        wanted += [agg[1] for agg in step.get("agg", {}).values() if len(agg) > 1 and agg[1] and agg[1] not in outputs]
    for name in wanted:
        types.setdefault(name, type(None))
    return {name: (USUAL_TYPES.get(name, int) if kind is type(None) else kind) | None for name, kind in types.items()}


def _add(stream: wl.Stream, step: dict[str, Any]) -> wl.Stream:
    name = step["name"]
    if step["op"] == "filter":
        return stream.filter(step["column"], step["compare"], step["value"], name=name)
    if step["op"] == "dedup":
        options: dict[str, Any] = {key: step[key] for key in ("allowed_lateness", "null_key") if key in step}
        return stream.dedup(*step["columns"], within=step["within"], name=name, **options)
    if step["op"] != "window":
        raise UnsupportedError(f"{step['op']} comes with a later version")
    spec = dict(step["window"])
    make = getattr(wl, spec.pop("type"))
    if "unit" in spec:  # positional in the API
        window = make(spec.pop("unit"), **spec)
    else:
        sizes = [spec.pop(key) for key in ("size", "slide", "gap", "n") if key in spec]
        window = make(*sizes, **spec)
    known: tuple[str, ...] = ("allowed_lateness", "emit", "emit_late", "early", "early_rows", "late", "null_key")
    options = {key: step[key] for key in known if key in step}
    if "key_by" not in step:
        windowed = stream.window(window, name=name, per_partition=bool(step.get("per_partition")), **options)
    else:
        windowed = stream.key_by(*step["key_by"]).window(window, name=name, **options)
    aggregates = {}
    for output, (function, *arguments) in step.get("agg", {}).items():
        keywords = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        aggregates[output] = getattr(wl, function)(*arguments, **keywords)
    return windowed.agg(**aggregates)


def fits_a_topic(case: dict[str, Any]) -> bool:
    """Whether a case says the same over a topic: no end, nothing that JSON cannot say."""
    if any(item.get("end") for item in case["inputs"]) or "log_timestamp" in case["job"].get("time", {}):
        return False
    values = [value for item in case["inputs"] for value in (item.get("row") or {}).values()]
    return all(not isinstance(value, float) or math.isfinite(value) for value in values)


def drive(case: dict[str, Any], cuts: random.Random | None = None, *, as_topic: bool = False) -> dict[str, Any]:
    """What the job gave. `cuts`: rows in random batches, with commits between them."""
    driver = Driver(build(case, as_topic=as_topic))
    counts: list[int] = []  # of results after each item
    watermarks: list[int | str] = []
    waiting: list[Any] = []

    into: str | None = None

    def flush() -> None:
        if waiting:
            driver.feed(list(waiting), input=into)
            waiting.clear()

    for item in case["inputs"]:
        if "row" in item:
            if item.get("in") != into:
                flush()
                into = item.get("in")
            waiting.append(item["row"])
            if cuts is None or cuts.random() < 0.3:
                flush()
            if cuts is not None and cuts.random() < 0.15:
                flush()
                driver.commit()
        else:
            flush()
            _act(driver, item)
        counts.append(len(driver.results(times="ms")))
        watermarks.append(written(driver.watermark))
    flush()
    if not driver.done:
        driver.commit()
    results = driver.results(times="ms")
    if cuts is None:
        for number, count in enumerate(counts):
            for row in results[counts[number - 1] if number else 0 : count]:
                row["@"] = number
    ended = next((i for i, item in enumerate(case["inputs"]) if item.get("end")), len(watermarks))
    return {
        "results": results,
        "late": driver.all_late(times="ms"),
        "dead": [_dead(letter, case["job"].get("inputs", [])) for letter in driver.dead],
        "duplicates": driver.all_duplicates(times="ms"),
        "ledger": _ledger(case, driver),
        "watermark": written(driver.last_watermark),
        "watermarks": watermarks[:ended],
    }


def _act(driver: Driver, item: dict[str, Any]) -> None:
    if item.get("end"):
        driver.end(item.get("in"))
    elif item.get("idle"):
        driver.idle(item.get("in"))
    elif item.get("commit"):
        driver.commit()
    elif "clock" in item:
        driver.advance(item["clock"] - driver.now)
    else:
        raise ValueError(f"an item that nobody knows: {item}")


def _ledger(case: dict[str, Any], driver: Driver) -> dict[str, Any]:
    """Per step; what reads the inputs is one step, `read`."""
    ledger = {step: counts.as_dict() for step, counts in driver.ledger.items()}
    readers = [ledger.pop(name) for name in case["job"].get("inputs", ["read"])]
    ledger["read"] = {name: sum(counts[name] for counts in readers) for name in readers[0]}
    return ledger


def _dead(letter: dict[str, Any], readers: list[str]) -> dict[str, Any]:
    made = {"step": "read" if letter["step"] in readers else letter["step"], "reason": letter["reason"]}
    if letter["value"] is not None:
        return {**made, "row": json.loads(letter["value"])}
    return {**made, "row": _pane_of(letter["message"])}


def _pane_of(message: str) -> dict[str, Any]:
    """A dead pane has no original record: its message names key, window, pane and revision."""
    row: dict[str, Any] = {}
    where = re.search(r"int64: (.*), window \[(-?\d+), (-?\d+)\), pane (\w+), revision (\d+)", message)
    if where is None:
        return {"message": message}
    for name, text, number in re.findall(r"(\w+)=(?:'([^']*)'|(-?[\d.]+))", where[1]):
        row[name] = text if not number else json.loads(number)
    row.update(window_start=int(where[2]), window_end=int(where[3]), pane=where[4], revision=int(where[5]))
    return row

"""Rules of docs/semantics.md that no other test states by itself, each against an answer computed here."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.testing import Driver

SCHEMA = {"k": str, "v": int, "ts": int}
START = 1_700_000_000_000


def row(ts: int, v: int = 1, k: str = "a") -> dict[str, Any]:
    return {"k": k, "v": v, "ts": ts}


def read(job: wl.Job, bound: Any = 0, **options: Any) -> wl.Stream:
    return job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=bound, **options)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


# ---- 1: event time ----


# rule: 1.1
def test_the_event_time_stays_what_was_read() -> None:
    rows = wl.Job("replaced").read(wl.from_records([row(7)]), time="ts").with_columns(ts=pl.lit(1_000))
    (one,) = rows.key_by("k").window(wl.tumbling(10)).agg(ts=wl.max("ts")).collect().rows(times="ms")
    assert (one["window_start"], one["ts"]) == (0, 1_000)


# rule: 1.13 1.14
def test_a_tombstone_is_skipped_and_moves_nothing() -> None:
    job = wl.Job("tombstones")
    job.read("t", SCHEMA, time="ts", out_of_orderness=5)
    driver = Driver(job, clock=START)
    driver.feed([row(START), None, None, row(START + 1)])
    assert driver.watermark == START - 4
    assert [one["ts"] for one in driver.results(times="ms")] == [START, START + 1]
    counts = driver.ledger["read"]
    assert (counts.in_, counts.out, counts.skipped, counts.dead_lettered) == (4, 2, 2, 0)
    assert driver.dead == []


# rule: 1.14
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=30))
def test_a_record_of_the_year_2603_makes_nothing_late(times: list[tuple[int, bool]]) -> None:
    job = wl.Job("far")
    read(job, 50).key_by().window(wl.tumbling(10)).agg(n=wl.count())
    driver = Driver(job)
    driver.feed([row(25), *(row(20_000_000_000_000 if far else ts) for ts, far in times)])
    good = [25, *(ts for ts, far in times if not far)]
    assert driver.watermark == max(good) - 50
    assert (len(driver.late), len(driver.dead)) == (0, 1 + len(times) - len(good))


# ---- 2: the watermark ----


# rule: 2.1 2.6
@given(st.lists(st.integers(-100, 100), min_size=1, max_size=30), st.integers(0, 40))
def test_w_is_the_largest_time_less_the_bound_and_never_falls(times: list[int], bound: int) -> None:
    for options, less in (({"out_of_orderness": bound}, bound), ({"watermark": wl.monotonic()}, 0)):
        job = wl.Job("w")
        job.read(wl.from_records([], SCHEMA), time="ts", **options)
        driver = Driver(job)
        for number, ts in enumerate(times):
            driver.feed(row(ts))
            assert driver.watermark == max(times[: number + 1]) - less
            assert driver.trace[-1]["watermark"] == (max(times[:number]) - less if number else None)


# rule: 2.4
@pytest.mark.parametrize("step", ["tumbling", "session", "rolling", "dedup"])
def test_records_of_one_time_are_never_behind_one_another(step: str) -> None:
    """Windows of 1 ms, whose end is the least that W can be beyond them."""
    job = wl.Job("equal")
    stream = read(job)
    if step == "dedup":
        stream.dedup("v", within=1, allowed_lateness=0)
    else:
        window = {"tumbling": wl.tumbling(1), "session": wl.session(1), "rolling": wl.rolling(1)}[step]
        stream.key_by("k").window(window).agg(all=wl.collect("v"))
    driver = Driver(job)
    driver.feed([row(7, v) for v in range(5)])
    driver.feed([row(7, v) for v in range(5, 10)])
    driver.end()
    assert driver.late == []
    results = driver.results()
    if step == "rolling":
        assert [(one["v"], one["all"]) for one in results] == [(v, list(range(10))) for v in range(10)]
    elif step == "dedup":
        assert [one["v"] for one in results] == list(range(10))
    else:
        assert [one["all"] for one in results] == [list(range(10))]


# rule: 2.5
def test_a_topic_needs_a_bound_and_has_no_end() -> None:
    job = wl.Job("bounds")
    with pytest.raises(wl.InvalidJobError, match="out_of_orderness"):
        job.read("t", SCHEMA, time="ts")
    with pytest.raises(wl.InvalidJobError, match="all"):
        job.read("t", SCHEMA, time="ts", out_of_orderness="all")
    rows = wl.Job("bounded").read(wl.from_records([row(1_000), row(1)]), time="ts")
    assert len(rows.key_by().window(wl.tumbling(10)).agg(n=wl.count()).late.collect()) == 0


# rule: 2.11
@pytest.mark.parametrize("after", [0, "-1s"])
def test_idle_after_nothing_is_refused(after: Any) -> None:
    with pytest.raises(wl.InvalidJobError, match="idle_after"):
        read(wl.Job("idle"), idle_after=after)


# rule: 2.11
def test_idleness_is_off_unless_asked_for_and_counts_from_the_last_record_or_the_start() -> None:
    for options, waits in (({}, None), ({"idle_after": "10s", "idle_advance": "close"}, 10_000)):
        job = wl.Job("idle")
        read(job, **options)
        driver = Driver(job, clock=START)
        driver.advance(9_000)
        driver.feed(row(100))
        driver.advance(9_999)
        assert driver.watermark == 100
        driver.advance(1)
        assert driver.watermark == (100 if waits is None else 100 + waits)


# rule: 2.12
def test_the_watermark_reaches_partitions_that_get_no_rows() -> None:
    """Of all keys a row comes at the start, of one key an hour later: by its W the windows of all others fire."""
    keys = [f"key-{number}" for number in range(40)]
    with wl.Log("memory:") as log:
        log.create("in", partitions=3)
        for part in range(3):
            log.append("in", [row(START, k=key) for key in keys], partition=part)
            log.append("in", [row(START + 3_600_000, k="key-0")], partition=part)
        job = wl.Job("marks", log=log)
        stream = job.read("in", SCHEMA, time="ts", out_of_orderness=0)
        stream.key_by("k").window(wl.tumbling("1m")).agg(n=wl.count()).write("out")
        job.run(until="now")
        rows = log.read("out").rows()
        assert sorted((one["k"], one["n"]) for one in rows) == sorted((key, 3) for key in keys)


# rule: 2.12 2.14
def test_idleness_behind_a_rekey_reaches_all_partitions() -> None:
    """One partition never has a record; without the decision W would be -infinity everywhere."""
    keys = [f"key-{number}" for number in range(20)]
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        log.append("in", [row(START, k=key) for key in keys] + [row(START + 3_600_000)], partition=0)
        job = wl.Job("quiet", log=log, commit_interval="10ms")
        stream = job.read("in", SCHEMA, time="ts", out_of_orderness=0, idle_after="50ms")
        stream.key_by("k").window(wl.tumbling("1m")).agg(n=wl.count()).write("out")
        with job.start():
            wait_until(lambda: any(one.name == "out" for one in log.topics()) and len(log.read("out")) >= len(keys))
        assert sorted(one["k"] for one in log.read("out").rows())[: len(keys)] == sorted(keys)


# rule: 2.18
def test_two_decisions_at_one_clock_reading_are_two_moves_in_the_order_of_inputs() -> None:
    job = wl.Job("both")
    options: dict[str, Any] = {"idle_after": "1m", "idle_advance": "close"}
    left = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=0, name="left", **options)
    right = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=0, name="right", **options)
    merged = wl.merge(left, right)
    merged.key_by().window(wl.tumbling(100), early=10).agg(n=wl.count())
    driver = Driver(job)
    driver.feed(row(5), input="left")
    driver.feed(row(12), input="right")
    driver.feed(row(13), input="right")
    seen = [(one["pane"], one["n"]) for one in driver.results()]
    driver.advance("1m")
    more = [(one["pane"], one["n"]) for one in driver.results()][len(seen) :]
    # left leaves: W is right's 13, beyond a multiple of 10; then right leaves: W closes the window.
    assert more == [("early", 3), ("on_time", 3)]


# ---- 4: firing ----


# rule: 4.4
@pytest.mark.parametrize(("emit", "pane"), [("accumulate", "on_time"), ("delta", "on_time"), ("final_only", "final")])
def test_a_move_over_the_end_and_the_freeing_is_one_pane(emit: Any, pane: str) -> None:
    job = wl.Job("once")
    read(job).key_by("k").window(wl.tumbling(10), allowed_lateness=5, emit=emit).agg(n=wl.count())
    driver = Driver(job)
    driver.feed([row(21), row(22), row(500)])
    assert [(one["window_start"], one["pane"], one["n"]) for one in driver.results(times="ms")] == [(20, pane, 2)]


# rule: 4.7
def test_a_run_starts_with_no_pane_pending() -> None:
    with wl.Log("memory:") as log:
        log.create("in")
        job = wl.Job("pending", log=log)
        stream = job.read("in", SCHEMA, time="ts", out_of_orderness=0)
        stream.key_by("k").window(wl.tumbling(10), allowed_lateness=1_000).agg(n=wl.count()).write("out")
        panes: list[tuple[str, int, int]] = []
        for ts, comes in ((0, []), (10, [("on_time", 0, 1)]), (1, [("late", 1, 2)]), (11, []), (2, [("late", 2, 3)])):
            log.append("in", [row(START + ts)])
            job.run(until="now")
            panes += comes
            rows = [one for one in log.read("out").rows() if one["window_start"] == START]
            assert [(one["pane"], one["revision"], one["n"]) for one in rows] == panes


# rule: 4.13 4.14
def test_the_record_of_a_row_has_key_start_and_end_as_its_key() -> None:
    """So that a compacted topic has the last revision of each window."""
    with wl.Log("memory:") as log:
        log.create("in")
        log.append("in", [row(START + ts, v, k) for ts, v, k in ((0, 1, "a"), (1, 2, "b"), (10, 4, "a"), (2, 8, "a"))])
        job = wl.Job("keys", log=log)
        stream = job.read("in", SCHEMA, time="ts", out_of_orderness=0)
        windows = stream.key_by("k").window(wl.tumbling(10), allowed_lateness=1_000)
        windows.agg(total=wl.sum("v")).write("out")
        job.run(until="now", close=True)
        compacted = {}
        for record in log.read("out"):
            assert record.key is not None
            value = json.loads(record.value or b"")
            assert json.loads(record.key) == [value["k"], value["window_start"], value["window_end"]] or (
                json.loads(record.key) == {name: value[name] for name in ("k", "window_start", "window_end")}
            )
            compacted[record.key] = value
        totals = {(one["k"], one["window_start"]): one["total"] for one in compacted.values()}
        assert totals == {("a", START): 9, ("b", START): 2, ("a", START + 10): 4}


# rule: 4.15
@settings(max_examples=80, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 100)), min_size=1, max_size=30),
    st.sampled_from(["hopping", "session", "calendar"]),
    st.integers(1, 30),
)
def test_panes_of_one_move_come_in_order_of_their_ends(rows: list[tuple[str, int]], kind: str, size: int) -> None:
    minute = 60_000
    window = {
        "hopping": wl.hopping(size, max(1, size // 3)),
        "session": wl.session(size),
        "calendar": wl.calendar("hour", tz="Australia/Lord_Howe"),
    }[kind]
    unit = minute * 10 if kind == "calendar" else 1
    job = wl.Job("order")
    read(job, 40 * unit).key_by("k").window(window, allowed_lateness=7 * unit).agg(n=wl.count())
    driver = Driver(job)
    seen = 0
    revisions: dict[tuple[str, int, int], int] = {}
    for key, ts in [*rows, ("z", 10_000)]:
        driver.feed(row(ts * unit, k=key))
        by_key: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for one in driver.results(times="ms")[seen:]:
            name = one["k"], one["window_start"], one["window_end"]
            assert revisions.get(name, -1) < one["revision"]
            revisions[name] = one["revision"]
            if one["pane"] in ("on_time", "early"):
                by_key[one["k"]].append((one["window_end"], one["window_start"]))
        seen = len(driver.results())
        for ends in by_key.values():
            assert ends == sorted(ends)


# rule: 4.16 4.17
@settings(max_examples=60, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 200)), min_size=1, max_size=40), st.integers(0, 30))
def test_windows_over_windows_are_the_larger_windows(rows: list[tuple[str, int]], lateness: int) -> None:
    """The row of [10, 20) is of time 19, so it belongs to [0, 20); and nothing is late on the way."""
    job = wl.Job("chain")
    tens = read(job, 200).key_by("k").window(wl.tumbling(10), allowed_lateness=lateness, emit="delta")
    twenties = tens.agg(n=wl.count()).key_by("k").window(wl.tumbling(20)).agg(n=wl.sum("n"))
    twenties.key_by().window(wl.tumbling(40)).agg(n=wl.sum("n"))
    driver = Driver(job)
    for key, ts in rows:
        driver.feed(row(ts, k=key))
    driver.end()
    wanted: dict[int, int] = defaultdict(int)
    for _, ts in rows:
        wanted[ts // 40 * 40] += 1
    assert {one["window_start"]: one["n"] for one in driver.results(times="ms")} == wanted
    assert driver.late == []


# rule: 4.16
def test_a_rolling_row_has_the_time_of_its_record() -> None:
    job = wl.Job("times")
    rolled = read(job).key_by("k").window(wl.rolling(100)).agg(n=wl.count())
    rolled.key_by("k").window(wl.tumbling(10)).agg(most=wl.max("n"))
    driver = Driver(job)
    driver.feed([row(ts) for ts in (3, 9, 10, 19, 20)])
    driver.end()
    assert [(one["window_start"], one["most"]) for one in driver.results(times="ms")] == [(0, 2), (10, 4), (20, 5)]


# ---- 5: windows ----


# rule: 5.2
def test_seven_days_start_on_a_thursday_and_calendar_words_name_calendar() -> None:
    rows = wl.Job("weeks").read(wl.from_records([row(START)]), time="ts").key_by("k")
    (one,) = rows.window(wl.tumbling("7d")).agg(n=wl.count()).collect().rows()
    assert one["window_start"].isoweekday() == 4
    for word in ("1w", "1mo", "1q", "1y"):
        with pytest.raises(wl.InvalidJobError, match="calendar"):
            wl.tumbling(word)
    with pytest.raises(wl.InvalidJobError, match="calendar"):
        wl.tumbling("1d", tz="Europe/Berlin")  # type: ignore[arg-type]


# rule: 5.9 5.10
def test_zones_by_row() -> None:
    schema = {"zone": str | None, "ts": str}
    noon = "2026-03-05T12:00:00Z"
    zones = ["Europe/Berlin", "Europe/Paris", "Asia/Tokyo", None, "Mars/Olympus", "CEST", "europe/berlin"]
    job = wl.Job("zones")
    stream = job.read(wl.from_records([], schema), time="ts")
    stream.key_by().window(wl.calendar("day", tz_column="zone")).agg(zones=wl.collect("zone"))
    driver = Driver(job)
    driver.feed([{"zone": zone, "ts": noon} for zone in zones])
    driver.end()
    assert [one["zones"] for one in driver.results()] == [["Asia/Tokyo"], ["Europe/Berlin", "Europe/Paris"]]
    assert [json.loads(letter["value"])["zone"] for letter in driver.dead] == zones[3:]
    assert {letter["reason"] for letter in driver.dead} == {"timezone"}


# rule: 5.13
def test_rolling_rows_have_no_pane_columns() -> None:
    rows = wl.Job("plain").read(wl.from_records([row(1)]), time="ts").key_by("k")
    (one,) = rows.window(wl.rolling(10)).agg(n=wl.count()).collect().rows()
    assert list(one) == ["k", "v", "ts", "n"]


REFUSED: dict[str, Callable[[], Any]] = {
    "size 0": lambda: wl.tumbling(0),
    "size negative": lambda: wl.tumbling(-1),
    "slide 0": lambda: wl.hopping(10, 0),
    "slide above size": lambda: wl.hopping(10, 11),
    "offset of a slide": lambda: wl.hopping(10, 5, offset=5),
    "offset of less than minus a slide": lambda: wl.tumbling(10, offset=-10),
    "100,001 slices": lambda: keyed().window(wl.hopping(100_001, 1)).agg(n=wl.count()),
    "a duration above the limit": lambda: wl.tumbling(10**15 + 1),
    "gap 0": lambda: wl.session(0),
    "n 0": lambda: wl.count_window(0),
    "rolling 0": lambda: wl.rolling(0),
    "within 0": lambda: read(wl.Job("j")).dedup("k", within=0),
    "lateness negative": lambda: keyed().window(wl.tumbling(10), allowed_lateness=-1).agg(n=wl.count()),
    "lateness above the limit": lambda: keyed().window(wl.tumbling(10), allowed_lateness=10**15 + 1).agg(n=wl.count()),
    "out_of_orderness negative": lambda: read(wl.Job("j"), -1),
    "early 0": lambda: keyed().window(wl.tumbling(10), early=0).agg(n=wl.count()),
    "early_rows 0": lambda: keyed().window(wl.tumbling(10), early_rows=0).agg(n=wl.count()),
    "early_rows on hopping": lambda: keyed().window(wl.hopping(10, 5), early_rows=1).agg(n=wl.count()),
    "early on rolling": lambda: keyed().window(wl.rolling(10), early=5).agg(n=wl.count()),
    "emit on a count window": lambda: keyed().window(wl.count_window(1), emit="delta").agg(n=wl.count()),
    "lateness on a global one": lambda: keyed().window(wl.global_window(), allowed_lateness=1).agg(n=wl.count()),
    "starts_at with hour": lambda: wl.calendar("hour", tz="UTC", starts_at="06:00"),
    "an unknown unit": lambda: wl.calendar("fortnight", tz="UTC"),
    "an unknown zone": lambda: keyed().window(wl.calendar("day", tz="Europe/Berln")).agg(n=wl.count()),
    "an unknown weekday": lambda: wl.calendar("week", tz="UTC", week_starts="moonday"),
    "an unknown aggregated column": lambda: keyed().window(wl.tumbling(10)).agg(n=wl.sum("w")),
    "an unknown key": lambda: read(wl.Job("j")).key_by("kk").window(wl.tumbling(10)).agg(n=wl.count()),
    "an unknown zone column": lambda: keyed().window(wl.calendar("day", tz_column="zone")).agg(n=wl.count()),
    "a zone column of numbers": lambda: keyed().window(wl.calendar("day", tz_column="v")).agg(n=wl.count()),
    "a window without a key": lambda: read(wl.Job("j")).window(wl.tumbling(10)).agg(n=wl.count()),
    "auto bounds too far apart": lambda: wl.Job("j").read(
        wl.from_records([], SCHEMA), time="ts", unit="auto", not_before="1970-01-02", not_after="2100-01-01"
    ),
}


def keyed() -> Any:
    return read(wl.Job("j")).key_by("k")


# rule: 5.18
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_when_the_job_is_built(what: str) -> None:
    with pytest.raises(wl.InvalidJobError):
        REFUSED[what]()


# rule: 5.18
def test_the_largest_that_can_be_is_built() -> None:
    for window in (
        wl.hopping(100_000, 1),
        wl.tumbling(10**15),
        wl.hopping(10, 5, offset=4),
        wl.tumbling(10, offset=-9),
    ):
        keyed().window(window, allowed_lateness=10**15).agg(n=wl.count())


# ---- 6: dedup ----


# rule: 6.8
def test_ids_that_lie_in_two_partitions_do_not_meet() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        for part in (0, 1, 1):
            log.append("in", [row(START)], partition=part)
        job = wl.Job("apart", log=log)
        job.read("in", SCHEMA, time="ts", out_of_orderness=0).dedup("v", within="1h").write("out")
        ledger = job.run(until="now", close=True).ledger
        assert (ledger["dedup"].out, ledger["dedup"].duplicate) == (2, 1)


# ---- 7: numbers ----


# rule: 7.6
@settings(max_examples=80, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.none() | st.integers(0, 9)), max_size=40),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_first_last_and_collect_are_by_event_time(
    rows: list[tuple[str, int, int | None]], slide: int, slides: int
) -> None:
    job = wl.Job("by-time")
    stream = job.read(wl.from_records([], {"k": str, "v": int | None, "ts": int}), time="ts", out_of_orderness=50)
    windows = stream.key_by("k").window(wl.hopping(slide * slides, slide))
    windows.agg(all=wl.collect("v"), first=wl.first("v"), last=wl.last("v"))
    driver = Driver(job)
    for key, ts, v in rows:
        driver.feed({"k": key, "ts": ts, "v": v})
    driver.end()
    for one in driver.results(times="ms"):
        start, end = one["window_start"], one["window_end"]
        inside = [(ts, n, v) for n, (key, ts, v) in enumerate(rows) if key == one["k"] and start <= ts < end]
        values = [v for _, _, v in sorted(inside, key=lambda item: item[:2]) if v is not None]
        assert one["all"] == values
        assert (one["first"], one["last"]) == ((values[0], values[-1]) if values else (None, None))


# rule: 7.9 7.10
@settings(max_examples=60, derandomize=True)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), st.integers(1, 5), st.randoms(use_true_random=False)
)
def test_float_sums_are_of_partition_order_in_a_slice_and_slices_in_time_order(
    values: list[float], slides: int, shuffle: random.Random
) -> None:
    """However the slices' records lie among one another, and however they are cut into batches: the same bits."""
    times = sorted(shuffle.randrange(60) for _ in values)
    rows: list[dict[str, Any]] = [{"k": "a", "x": value, "ts": ts} for value, ts in zip(values, times, strict=True)]
    by_slice = [list(group) for _, group in itertools.groupby(rows, key=lambda one: one["ts"] // 10)]
    mixed: list[dict[str, Any]] = []
    left = [list(group) for group in by_slice]
    while any(left):
        mixed.append(shuffle.choice([group for group in left if group]).pop(0))

    def bits(order: list[dict[str, Any]]) -> dict[int, bytes]:
        job = wl.Job("bits")
        stream = job.read(wl.from_records([], {"k": str, "x": float, "ts": int}), time="ts", out_of_orderness=100)
        stream.key_by("k").window(wl.hopping(10 * slides, 10)).agg(x=wl.sum("x"))
        driver = Driver(job)
        at = 0
        while at < len(order):
            size = shuffle.randint(1, len(order))
            driver.feed(order[at : at + size])
            at += size
        driver.end()
        return {one["window_start"]: struct.pack("d", one["x"]) for one in driver.results(times="ms")}

    found = bits(rows)
    assert bits(mixed) == found
    for start, packed in found.items():
        inside = [one["x"] for one in rows if start <= one["ts"] < start + 10 * slides]
        (got,) = struct.unpack("d", packed)
        exact, size = math.fsum(inside), math.fsum(abs(x) for x in inside)
        assert abs(got - exact) <= math.ulp(exact) + len(inside) * 2.0**-100 * size


# rule: 7.10
def test_a_partial_sum_that_overflows_stays_infinite() -> None:
    rows = [{"k": "a", "x": x, "ts": 1} for x in (1.7e308, 1.7e308, -1.7e308, -1.7e308)]
    stream = wl.Job("overflow").read(wl.from_records(rows), time="ts").key_by("k")
    (one,) = stream.window(wl.tumbling(10)).agg(x=wl.sum("x")).collect().rows()
    assert not math.isfinite(one["x"])


# ---- what a process leaves ----

MERGED = """
import sys, wrackline as wl
log, state = sys.argv[1:]
schema = {"k": str, "v": int, "ts": int}
job = wl.Job("order", log=log, state_dir=state, commit_rows=10, checkpoint_interval="1ms")
read = job.read(["left", "right"], schema, time="ts", out_of_orderness="1h")
read.key_by("k").window(wl.count_window(5)).agg(all=wl.collect("v")).write("out")
job.run(until="now")
"""


# rule: 2.23
@pytest.mark.parametrize("failpoint", ["record_taken@3", "sealed@3", "journal_row_sent@5", "committed@4", "any@20"])
def test_a_replay_takes_the_rows_of_several_inputs_in_the_order_in_which_they_were_taken(
    failpoint: str, tmp_path: Path
) -> None:
    """What a count window holds depends on that order alone: each record once, each input's own order kept."""
    uri, state = f"local:{tmp_path / 'log'}", str(tmp_path / "state")
    with wl.Log(uri) as log:
        for topic, first in (("left", 0), ("right", 1_000)):
            log.create(topic)
            log.append(topic, [row(START + v, first + v, "ab"[v % 2]) for v in range(60)])
    program = [sys.executable, "-c", MERGED, uri, state]
    environment = {**os.environ, "WRACKLINE_FAILPOINT": failpoint}
    killed = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    subprocess.run(program, capture_output=True, text=True, check=True)
    with wl.Log(uri, read_only=True) as log:
        rows = log.read("out").rows()
    for number, key in enumerate("ab"):
        of_key = [one for one in rows if one["k"] == key]
        assert [one["window_number"] for one in of_key] == list(range(12))
        taken = [v for one in of_key for v in one["all"]]
        for first in (0, 1_000):
            assert [v for v in taken if first <= v < first + 1_000] == [first + v for v in range(number, 60, 2)]

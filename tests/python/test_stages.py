"""Jobs of several stages: keys that are not where their windows need them, and several inputs."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl

SCHEMA = {"i": int, "k": str, "v": int, "ts": int}
START = 1_700_000_000_000
BOUND, SIZE, LATENESS = 3_000, 10_000, 2_000

# Of each partition: how much later its next record is, its key, its value; then in which order the partitions grow.
records = st.lists(st.tuples(st.integers(-8_000, 6_000), st.sampled_from("abc"), st.integers(-5, 5)), max_size=25)
partitions = st.lists(records, min_size=2, max_size=4)


def rows_of(given_rows: list[list[tuple[int, str, int]]]) -> list[list[dict[str, Any]]]:
    number, made = 0, []
    for part in given_rows:
        now, rows = START, []
        for step, key, value in part:
            now += step
            rows.append({"i": number, "k": key, "v": value, "ts": now})
            number += 1
        made.append(rows)
    return made


def wanted(parts: list[list[dict[str, Any]]]) -> tuple[dict[tuple[str, int], tuple[int, int]], dict[int, int]]:
    """Record by record: what each window holds in the end, and by how much which record is late."""
    windows: dict[tuple[str, int], list[int]] = defaultdict(list)
    late: dict[int, int] = {}
    for rows in parts:
        watermark: int | None = None
        for row in rows:
            start = row["ts"] // SIZE * SIZE
            if watermark is not None and start + SIZE + LATENESS <= watermark:
                late[row["i"]] = watermark - (start + SIZE + LATENESS) + 1
            else:
                windows[row["k"], start].append(row["v"])
            watermark = max(watermark if watermark is not None else row["ts"] - BOUND, row["ts"] - BOUND)
    return {name: (len(values), sum(values)) for name, values in windows.items()}, late


def counting(stream: wl.Stream) -> wl.Stream:
    windows = stream.key_by("k").window(wl.tumbling(SIZE), allowed_lateness=LATENESS)
    return windows.agg(n=wl.count(), total=wl.sum("v"))


def read(job: wl.Job, topic: Any) -> wl.Stream:
    return job.read(topic, SCHEMA, time="ts", out_of_orderness=BOUND)


def answer_of(log: wl.Log) -> tuple[dict[tuple[str, int], tuple[int, int]], dict[int, int]]:
    last: dict[tuple[str, int], dict[str, Any]] = {}
    for row in log.read("out").rows():
        name = row["k"], row["window_start"]
        assert name not in last or last[name]["revision"] < row["revision"]
        last[name] = row
    late = [(row["i"], row["late_by_ms"]) for row in log.read("late").rows()]
    assert len({i for i, _ in late}) == len(late), "a late row twice"
    return {name: (row["n"], row["total"]) for name, row in last.items()}, dict(late)


@settings(max_examples=25, deadline=None)
@given(partitions, st.randoms(use_true_random=False))
def test_lateness_behind_a_rekey_is_that_before_it(given_rows: Any, random: Any) -> None:
    """Whatever the order in which partitions are read, and however often the job is run anew meanwhile."""
    parts = rows_of(given_rows)
    with wl.Log("memory:") as log:
        log.create("in", partitions=len(parts))
        job = wl.Job("rekeyed", log=log, commit_rows=7)
        windows = counting(read(job, "in"))
        windows.write("out")
        job.late.write("late")
        left = [list(rows) for rows in parts]
        while any(left):
            part = random.choice([number for number, rows in enumerate(left) if rows])
            size = random.randint(1, len(left[part]))
            log.append("in", left[part][:size], partition=part)
            left[part] = left[part][size:]
            if random.random() < 0.3:
                job.run(until="now")
        job.run(until="now", close=True)
        assert answer_of(log) == wanted(parts)
        ledger = job.ledger()
        assert ledger.balances
        assert ledger["rekey-window"].in_ == ledger["read"].out == sum(map(len, parts))


@settings(max_examples=15, deadline=None)
@given(partitions)
def test_merged_topics_are_judged_each_by_itself(given_rows: Any) -> None:
    parts = rows_of(given_rows)
    with wl.Log("memory:") as log:
        topics = [f"in-{number}" for number in range(len(parts))]
        for topic, rows in zip(topics, parts, strict=True):
            log.create(topic)
            if rows:
                log.append(topic, rows)
        job = wl.Job("merged", log=log)
        windows = counting(read(job, topics))
        windows.write("out")
        job.late.write("late")
        job.run(until="now", close=True)
        assert answer_of(log) == wanted(parts)
        collected = windows.collect(until="now", close=True).rows(times="ms")
        assert {(row["k"], row["window_start"]): (row["n"], row["total"]) for row in collected} == wanted(parts)[0]


def test_the_whole_stream_is_one_key_over_all_partitions() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=3)
        for number in range(30):
            log.append("in", [{"i": number, "k": "a", "v": 1, "ts": START + number}], partition=number % 3)
        job = wl.Job("whole", log=log)
        counts = read(job, "in").key_by().window(wl.tumbling("1h")).agg(n=wl.count())
        assert [row["n"] for row in counts.collect(until="now", close=True).rows()] == [30]


def test_per_partition_windows_stay_where_their_records_are() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=3)
        for number in range(30):
            log.append("in", [{"i": number, "k": "a", "v": 1, "ts": START + number}], partition=min(number % 4, 2))
        job = wl.Job("apart", log=log)
        counts = read(job, "in").window(wl.tumbling("1h"), per_partition=True).agg(n=wl.count())
        rows = counts.collect(until="now", close=True).rows()
        assert sorted((row["_partition"], row["n"]) for row in rows) == [(0, 8), (1, 8), (2, 14)]


def test_starting_over_forgets_the_rows_between_the_stages() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        for part in range(2):
            log.append("in", [{"i": part, "k": "a", "v": 1, "ts": START + part}], partition=part)
        for _ in range(2):
            job = wl.Job("again", log=log)
            counts = read(job, "in").key_by("k").window(wl.tumbling("1h")).agg(n=wl.count())
            counts.write("out")
            job.run(until="now", close=True, fresh=True)
        assert [row["n"] for row in log.read("out").rows()] == [2, 2]


def test_a_job_that_was_stopped_goes_on_in_all_its_stages(tmp_path: Path) -> None:
    """Open windows lie in the second stage when the first run ends."""
    log = f"local:{tmp_path / 'log'}"
    with wl.Log(log) as lg:
        lg.create("in", partitions=3)
        for number in range(60):
            row = {"i": number, "k": "ab"[number % 2], "v": number, "ts": START + number * 1_000}
            lg.append("in", [row], partition=number % 3)
    for ends in (False, True):
        job = wl.Job("goes-on", log=log, state_dir=str(tmp_path / "state"))
        counting(read(job, "in")).write("out")
        job.run(until="now", close=ends)
    with wl.Log(log, read_only=True) as lg:
        rows = lg.read("out").rows()
    assert sum(row["n"] for row in rows) == 60
    assert sum(row["total"] for row in rows) == sum(range(60))


def test_what_cannot_be_merged_says_why() -> None:
    job = wl.Job("merging")
    left = job.read("a", SCHEMA, time="ts", out_of_orderness=0)
    right = job.read("b", {"k": str, "ts": int}, time="ts", out_of_orderness=0)
    with pytest.raises(wl.InvalidJobError, match="other columns"):
        wl.merge(left, right)
    with pytest.raises(wl.InvalidJobError, match="twice"):
        wl.merge(left, left)
    with pytest.raises(wl.InvalidJobError, match="at least two"):
        wl.merge(left)
    with pytest.raises(wl.InvalidJobError, match="two jobs"):
        wl.merge(left, wl.Job("other").read("a", SCHEMA, time="ts", out_of_orderness=0))
    with pytest.raises(wl.InvalidJobError, match="already reads"):
        job.read("a", SCHEMA, time="ts", out_of_orderness=0)


def test_a_key_may_be_an_expression() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        for number in range(8):
            log.append("in", [{"i": number, "k": "a", "v": 1, "ts": START}], partition=number % 2)
        parity = read(wl.Job("odd", log=log), "in").key_by((pl.col("i") % 3).alias("rest"), pl.col("k"))
        counts = parity.window(wl.tumbling("1h")).agg(n=wl.count())
        rows = counts.collect(until="now", close=True).rows()
        assert sorted((row["rest"], row["k"], row["n"]) for row in rows) == [(0, "a", 3), (1, "a", 3), (2, "a", 2)]


def test_state_that_would_be_in_the_wrong_stage_is_not_lost_in_silence() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        log.append("in", [{"i": 0, "k": "a", "v": 1, "ts": START}], partition=0)

        def run(fresh: bool = False, **options: Any) -> None:
            job = wl.Job("moved", log=log)
            counting(job.read("in", SCHEMA, time="ts", out_of_orderness=BOUND, **options)).write("out")
            job.run(until="now", fresh=fresh)

        run(partitioned_by="k")
        with pytest.raises(wl.InvalidJobError, match=r"step 'window'.*partitioned_by="):
            run()
        run(partitioned_by="k")
        run(fresh=True)

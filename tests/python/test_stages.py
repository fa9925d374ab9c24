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


# rule: 2.10
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


# rule: 2.9
@settings(max_examples=25, deadline=None)
@given(partitions, st.booleans())
def test_merged_topics_are_judged_each_by_itself(given_rows: Any, two_hops: bool) -> None:
    """Also when each window has an exchange of its own behind the merge."""
    parts = rows_of(given_rows)
    with wl.Log("memory:") as log:
        topics = [f"in-{number}" for number in range(len(parts))]
        for topic, rows in zip(topics, parts, strict=True):
            log.create(topic, partitions=2 if two_hops else 1)  # rows of one partition need no second hop
            if rows:
                log.append(topic, rows, partition=0)
        job = wl.Job("merged", log=log)
        stream = read(job, topics)
        if two_hops:
            stream.key_by("v").window(wl.tumbling("1h"), name="hours").agg(n=wl.count()).write("hours")
        windows = counting(stream)
        windows.write("out")
        windows.late.write("late")
        job.run(until="now", close=True)
        assert answer_of(log) == wanted(parts)
        collected = windows.collect(until="now", close=True).rows(times="ms")
        assert {(row["k"], row["window_start"]): (row["n"], row["total"]) for row in collected} == wanted(parts)[0]


def test_a_run_of_several_stages_says_what_is_open() -> None:
    """Its tasks have other steps each."""
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        log.append("in", [{"i": 0, "k": "a", "v": 1, "ts": START}], partition=0)
        job = wl.Job("open", log=log)
        job.read("in", SCHEMA, time="ts", out_of_orderness=0).filter("v", ">", 0).key_by("k").window(
            wl.tumbling("1h")
        ).agg(n=wl.count()).write("out")
        job.run(until="now")
        assert any("window: 1 window is open" in line for line in job.explain().why)


# rule: 5.16
def test_the_whole_stream_is_one_key_over_all_partitions() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=3)
        for number in range(30):
            log.append("in", [{"i": number, "k": "a", "v": 1, "ts": START + number}], partition=number % 3)
        job = wl.Job("whole", log=log)
        counts = read(job, "in").key_by().window(wl.tumbling("1h")).agg(n=wl.count())
        assert [row["n"] for row in counts.collect(until="now", close=True).rows()] == [30]


# rule: 5.16
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


@settings(max_examples=25, deadline=None)
@given(partitions, st.randoms(use_true_random=False))
def test_ids_that_lie_in_several_partitions_meet(given_rows: Any, random: Any) -> None:
    """Which of two records comes first depends on how partitions are read; what is late, and that no two of one id that
    are near each other pass, does not."""
    within, lateness = 5_000, 1_000
    parts = rows_of(given_rows)
    with wl.Log("memory:") as log:
        log.create("in", partitions=len(parts))
        job = wl.Job("once", log=log, commit_rows=7)
        once = read(job, "in").key_by("k").dedup(within=within, allowed_lateness=lateness)
        once.write("out")
        once.duplicates.write("duplicates")
        job.late.write("late")
        left = [list(rows) for rows in parts]
        while any(left):
            part = random.choice([number for number, rows in enumerate(left) if rows])
            size = random.randint(1, len(left[part]))
            log.append("in", left[part][:size], partition=part)
            left[part] = left[part][size:]
            if random.random() < 0.3:
                job.run(until="now")
        job.run(until="now")
        passed, duplicates, late = (log.read(topic).rows() for topic in ("out", "duplicates", "late"))
        assert job.ledger().balances
        late_wanted = {}
        for rows in parts:
            watermark = -(2**63)
            for row in rows:
                if row["ts"] + lateness < watermark:
                    late_wanted[row["i"]] = watermark - row["ts"] - lateness
                watermark = max(watermark, row["ts"] - BOUND)
        assert {row["i"]: row["late_by_ms"] for row in late} == late_wanted
        everything = sorted(row["i"] for rows in parts for row in rows)
        assert sorted(row["i"] for rows in (passed, duplicates, late) for row in rows) == everything

        def near(a: dict[str, Any], b: dict[str, Any]) -> bool:
            return bool(a["k"] == b["k"] and abs(a["ts"] - b["ts"]) < within)

        assert not any(near(a, b) for a in passed for b in passed if a["i"] < b["i"])
        assert all(any(near(one, other) for other in passed) for one in duplicates)


def test_a_window_of_the_same_key_behind_a_dedup_stays_in_its_stage() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=3)
        for partition in range(3):
            log.append("in", [{"i": partition, "k": "a", "v": 1, "ts": START}], partition=partition)
        job = wl.Job("once", log=log)
        once = read(job, "in").key_by("k").dedup("k", "v", within="1h", name="first")
        counting(once).write("out")
        job.run(until="now", close=True)
        assert [(row["n"], row["total"]) for row in log.read("out").rows()] == [(1, 1)]
        assert job.ledger()["first"].duplicate == 2
        assert [one["name"] for one in job._last_status.stages] == ["0", "rekey-first"]  # type: ignore[union-attr]
        assert len(once.collect()) == 1
        # In one partition, and where the input says so, nothing is moved.
        same = wl.Job("same", log=log)
        stream = same.read("in", SCHEMA, time="ts", out_of_orderness=BOUND, partitioned_by="k")
        stream.key_by("k").dedup(within="1h").write("same")
        assert [one.stage for one in same.explain().steps] == [0, 0]


def test_the_whole_stream_is_one_key_of_a_dedup() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=3)
        for partition in range(3):
            log.append("in", [{"i": partition, "k": "a", "v": 1, "ts": START}], partition=partition)
        assert len(read(wl.Job("all", log=log), "in").key_by().dedup("v", within="1h").collect()) == 1
        assert len(read(wl.Job("each", log=log), "in").dedup("v", within="1h").collect()) == 3


def test_a_key_of_a_dedup_is_part_of_its_id() -> None:
    keyed = wl.Job("wrong").read("in", SCHEMA, time="ts", out_of_orderness=BOUND).key_by("k")
    with pytest.raises(wl.InvalidJobError, match=r"dedup: the key 'k' is not among the columns of the id \(v\)"):
        keyed.dedup("v", within="1h")
    with pytest.raises(wl.InvalidJobError, match="name the columns of the id"):
        keyed.stream.key_by().dedup(within="1h")


def test_dead_letters_and_duplicates_behind_a_rekey_keep_all_columns() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        for partition in range(2):
            log.append("in", [{"k": None, "v": 7, "ts": START}, {"k": "a", "v": 8, "ts": START}], partition=partition)
        job = wl.Job("null", log=log)
        rows = job.read("in", {"k": str | None, "v": int, "ts": int}, time="ts", out_of_orderness=BOUND)
        once = rows.key_by("k").dedup(within="1h")
        assert once.duplicates.collect().rows() == [{"k": "a", "v": 8, "ts": START}]
        dead = job.dead_letters.collect().rows()
        assert [one["reason"] for one in dead] == ["null_key", "null_key"]
        assert all(b'"v":7' in one["value"] for one in dead)

"""`partitioned_by=` is believed, and checked: the same key in two partitions ends the run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl

START = 1_700_000_000_000
SCHEMA = {"k": str | None, "n": int, "ts": int}


def topic(log: wl.Log, *parts: list[str | None], first: int = 0) -> None:
    if "in" not in [one.name for one in log.topics()]:
        log.create("in", partitions=len(parts))
    for number, keys in enumerate(parts):
        if keys:
            log.append("in", [{"k": k, "n": 1, "ts": START + i} for i, k in enumerate(keys, first)], partition=number)


def job_on(log: wl.Log, by: Any = "k", **window: Any) -> tuple[wl.Job, wl.Stream]:
    job = wl.Job("counts", log=log)
    read = job.read("in", SCHEMA, time="ts", out_of_orderness="1s", partitioned_by=by)
    counts = read.key_by("k").window(wl.tumbling("1m"), **window).agg(n=wl.sum("n"))
    counts.write("out")
    return job, counts


def names(first: int, last: int) -> list[str | None]:
    return [f"key-{i}" for i in range(first, last)]


def test_a_key_in_two_partitions_is_named_with_both() -> None:
    said = r"partitioned_by='k' does not hold: k='key-\d+' is in partition 0 and in partition 1 of 'in'; without"
    with wl.Log("memory:") as log:
        topic(log, names(0, 1_000), names(500, 1_500))
        job, counts = job_on(log)
        with pytest.raises(wl.InvalidJobError, match=said):
            job.run(until="now")
        with pytest.raises(wl.InvalidJobError, match=said):
            counts.collect()
        # As the message says: the job brings them together itself.
        _, counts = job_on(log, by=())
        assert sum(row["n"] for row in counts.collect(close=True).rows()) == 2_000
        assert len(counts.collect(close=True)) == 1_500


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10**9), unique=True, max_size=300), st.integers(1, 4), st.booleans())
def test_no_key_that_is_in_one_partition_is_refused(keys: list[int], partitions: int, restart: bool) -> None:
    with wl.Log("memory:") as log:
        parts: list[list[str | None]] = [[] for _ in range(partitions)]
        for number, key in enumerate(keys):
            parts[number % partitions] += [str(key), str(key)]
        topic(log, *parts)
        job, counts = job_on(log)
        job.run(until="now")
        if restart:
            topic(log, *parts, first=2_000)
            job_on(log)[0].run(until="now")
        assert len(counts.collect(close=True)) == len(keys)


def test_a_run_that_goes_on_checks_what_it_reads() -> None:
    with wl.Log("memory:") as log:
        topic(log, names(0, 500), [])
        job_on(log)[0].run(until="now")
        topic(log, names(500, 1_500), names(1_000, 2_000), first=1_000)
        with pytest.raises(wl.InvalidJobError, match="partitioned_by='k' does not hold"):
            job_on(log)[0].run(until="now")


def test_records_without_a_key_lie_anywhere_unless_they_are_a_group() -> None:
    with wl.Log("memory:") as log:
        topic(log, [None, "a"], [None, "b"])
        job, _ = job_on(log)
        assert job.run(until="now").ledger["window"].dead_lettered == 2
        _, grouped = job_on(log, null_key="group")
        with pytest.raises(wl.InvalidJobError, match="k=null is in partition 0 and in partition 1 of 'in'"):
            grouped.collect()


def test_a_key_of_a_megabyte_is_not_all_in_the_message() -> None:
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        rows = [{"k": "é" * 300_000 + str(i), "n": 1, "ts": START} for i in range(200)]
        job = wl.Job("counts", log=log)
        read = job.read("in", SCHEMA, time="ts", out_of_orderness="1s", partitioned_by="k")
        read.key_by("k").window(wl.tumbling("1m")).agg(n=wl.sum("n")).write("out")
        for partition in (0, 1):
            log.append("in", rows, partition=partition)
        with pytest.raises(wl.InvalidJobError, match=r"k='é{100}\.\.\.' \(60000\d bytes\) is in partition 0") as caught:
            job.run(until="now")
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize("by", ["q", ["k", "q"]])
def test_its_columns_are_checked_when_the_job_is_built(by: Any) -> None:
    with pytest.raises(wl.InvalidJobError, match="partitioned_by names 'q', which is not a column"):
        wl.Job("counts").read("in", SCHEMA, time="ts", out_of_orderness="1s", partitioned_by=by)

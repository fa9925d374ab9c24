"""Nothing that crosses into the core stays there: memory after thousands of crossings is what it was.

The same under AddressSanitizer and LeakSanitizer, which see each byte: `make test-sanitized-python`.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import wrackline as wl

SANITIZED = "WRACKLINE_SANITIZED" in os.environ  # its allocator keeps what is freed for a while
ROWS = 2_000
FRAME = pl.DataFrame({"k": [f"key-{i % 7}" * 3 for i in range(ROWS)], "v": range(ROWS), "ts": range(ROWS)})
MIB = 1 << 20


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check(work: Callable[[], Any], times: int, each: float) -> None:
    """`each`: bytes that one call would leave if it leaked what it is given."""
    for _ in range(times // 5):
        work()
    gc.collect()
    before = resident()
    for _ in range(times):
        work()
    gc.collect()
    grown = resident() - before
    assert SANITIZED or grown < max(8 * MIB, times * each // 10), f"{grown / MIB:.1f} MiB more after {times} times"


def test_frames_that_are_taken_in() -> None:
    check(lambda: wl.from_arrow(FRAME), 2_000, FRAME.estimated_size())


def test_capsules_that_nobody_opens() -> None:
    rows = wl.from_arrow(FRAME)
    check(lambda: rows.__arrow_c_stream__(), 5_000, 1_000)
    check(lambda: FRAME.__arrow_c_stream__(None), 5_000, 1_000)


def test_streams_that_are_left_half_way() -> None:
    rows = wl.from_arrow(pa.Table.from_batches(FRAME.to_arrow().to_batches(max_chunksize=100)))

    def half() -> None:
        reader = pa.RecordBatchReader.from_stream(rows)
        reader.read_next_batch()

    check(half, 2_000, FRAME.estimated_size())


def test_producers_that_fail_half_way() -> None:
    batches = FRAME.to_arrow().to_batches(max_chunksize=500)

    def failing() -> Any:
        yield from batches[:2]
        raise RuntimeError("no more")

    def take() -> None:
        reader = pa.RecordBatchReader.from_batches(batches[0].schema, failing())
        with pytest.raises(wl.InvalidArgumentError, match="no more"):
            wl.from_arrow(reader)

    check(take, 1_000, FRAME.estimated_size() // 2)


def test_jobs_that_are_run() -> None:
    rows = wl.from_arrow(FRAME)

    def run() -> None:
        read = wl.Job("leaks").read(rows, time="ts").filter(pl.col("v") >= 0)
        mapped = read.map(lambda v: v if v % 500 else 1 / 0, returns={"x": float})
        counts = mapped.key_by("k").window(wl.tumbling("100ms")).agg(n=wl.count(), all=wl.collect("x"))
        assert len(counts.collect()) == 140

    check(run, 1_000, 2 * FRAME.estimated_size())


def test_loops_that_are_left() -> None:
    rows = wl.from_arrow(FRAME)

    def leave() -> None:
        for _ in wl.Job("left").read(rows, time="ts").batches():
            break

    check(leave, 500, FRAME.estimated_size())


def test_logs_that_are_written_and_closed() -> None:
    values = [f'{{"v": {i}, "ts": {1_700_000_000_000 + i}}}'.encode() for i in range(ROWS)]

    def write() -> None:
        with wl.Log("memory:") as log:
            log.create("in")
            log.append("in", values)
            job = wl.Job("written", log=log)
            job.read("in", {"v": int, "ts": int}, time="ts", out_of_orderness="0s").write("out")
            assert job.run(until="now").rows == ROWS
            assert len(log.read("out")) == ROWS

    check(write, 200, 200_000)

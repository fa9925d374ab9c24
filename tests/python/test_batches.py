"""Rows as they come, in a loop: all of them, in order, and nothing left behind however the loop is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import wrackline as wl

START = 1_700_000_000_000
SCHEMA = {"k": str, "v": int, "ts": int}


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"k": f"k{i % 3}", "v": i, "ts": START + i * 100} for i in range(first, first + count)]


@pytest.fixture
def lg(tmp_path: Path) -> Iterator[wl.Log]:
    with wl.Log(f"local:{tmp_path / 'log'}") as log:
        log.create("readings")
        yield log


@pytest.fixture(autouse=True)
def _nothing_stays(lg: wl.Log) -> Iterator[None]:
    before, topics = own_threads(), lg.topics()
    yield
    deadline = time.monotonic() + 10
    while own_threads() != before:  # that of an async loop ends soon after it
        assert time.monotonic() < deadline
    assert lg.topics() == topics


def own_threads() -> set[threading.Thread]:
    gc.collect()
    return {one for one in threading.enumerate() if one.name.startswith("wrackline")}


def stream_of(log: wl.Log) -> wl.Stream:
    return wl.Job("look", log=log).read("readings", SCHEMA, time="ts", out_of_orderness="1s")


def numbers(batches: list[wl.Result]) -> list[int]:
    return [row["v"] for batch in batches for row in batch]


def test_a_loop_sees_every_row_in_order(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 20_000))
    batches = list(stream_of(lg).batches(until="now"))
    assert all(len(batch) > 0 for batch in batches)
    assert numbers(batches) == list(range(20_000))
    assert numbers(list(stream_of(lg).batches(rows=1_234))) == list(range(1_234))
    assert wl.Job("sums", log=lg).name not in [topic.name for topic in lg.topics()]


def test_rows_come_while_the_loop_goes_on(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))
    got = []
    for batch in stream_of(lg).batches():
        got += numbers([batch])
        if len(got) == 30:
            break
        lg.append("readings", rows(len(got), 10))
    assert got == list(range(30))
    assert own_threads() == set()  # it has ended, not only been told to


def test_each_loop_is_a_run_of_its_own() -> None:
    batches = wl.Job("j").read(wl.from_records(rows(0, 100)), time="ts").batches()
    assert numbers(list(batches)) == numbers(list(batches)) == list(range(100))
    assert "for" in repr(batches)


def test_windows_come_with_all_their_revisions() -> None:
    given = [{"k": "a", "v": 1, "ts": 5}, {"k": "a", "v": 2, "ts": 25}, {"k": "a", "v": 4, "ts": 6}]
    stream = wl.Job("panes").read(wl.from_records(given), time="ts", out_of_orderness=0)
    totals = stream.key_by("k").window(wl.tumbling(10), allowed_lateness=100, emit_late="each").agg(n=wl.sum("v"))
    got = [(row["revision"], row["n"]) for batch in totals.batches() for row in batch]
    assert got == [(0, 1), (1, 5), (0, 2)]


def test_late_rows_and_dead_letters_in_a_loop(lg: wl.Log) -> None:
    lg.append("readings", [*rows(0, 100), b"{broken", *rows(0, 3)])
    job = wl.Job("late", log=lg)
    stream = job.read("readings", SCHEMA, time="ts", out_of_orderness="1s")
    stream.key_by("k").window(wl.tumbling("1s")).agg(n=wl.count())
    assert numbers(list(job.late.batches(until="now"))) == [0, 1, 2]
    assert [row["value"] for batch in job.dead_letters.batches(until="now") for row in batch] == [b"{broken"]


def test_async_for_sees_the_same(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 20_000))
    other_work = 0

    async def work() -> None:
        nonlocal other_work
        while True:
            other_work += 1
            await asyncio.sleep(0)

    async def collected() -> list[wl.Result]:
        beside = asyncio.create_task(work())
        got = [batch async for batch in stream_of(lg).batches(until="now")]
        beside.cancel()
        return got

    assert numbers(asyncio.run(collected())) == list(range(20_000))
    assert other_work > 10


def test_two_async_loops_and_one_that_is_left(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))
    stream = stream_of(lg)

    async def first(count: int) -> list[int]:
        got: list[int] = []
        async for batch in stream.batches():
            got += numbers([batch])
            if len(got) >= count:
                break
        return got

    async def both() -> list[list[int]]:
        tasks = [asyncio.create_task(first(20)), asyncio.create_task(first(10))]
        await tasks[1]
        lg.append("readings", rows(10, 10))
        return [await task for task in tasks]

    assert asyncio.run(both()) == [list(range(20)), list(range(10))]


def test_a_cancelled_loop_ends_its_run(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))

    async def follow(seen: asyncio.Event) -> None:
        async for _ in stream_of(lg).batches():
            seen.set()

    async def cancelled() -> None:
        seen = asyncio.Event()
        task = asyncio.create_task(follow(seen))
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_what_the_loop_raises_ends_the_run(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))

    def fail() -> None:
        for _ in stream_of(lg).batches():
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        fail()


def test_what_ends_the_run_is_raised_behind_the_rows_before_it(lg: wl.Log) -> None:
    def fails(v: int) -> int:
        if v == 12_345:
            raise RuntimeError("no such reading")
        return v

    stream = wl.Job("j").read(wl.from_records(rows(0, 20_000)), time="ts")
    failing = stream.map(fails, returns={"v": int}, on_error="fail")
    got: list[int] = []

    def loop() -> None:
        for batch in failing.batches():
            got.extend(numbers([batch]))

    with pytest.raises(wl.JobFailedError, match="no such reading"):
        loop()
    assert got == list(range(len(got)))
    assert 4_000 < len(got) <= 12_345
    with pytest.raises(wl.NotFoundError, match="missing"):
        list(wl.Job("m", log=lg).read("missing", SCHEMA, time="ts", out_of_orderness=0).batches())


def test_mistakes_are_said_by_the_call(lg: wl.Log) -> None:
    stream = stream_of(lg)
    for wrong in ({"until": "later"}, {"rows": 0}, {"seconds": -1}, {"close": True}):
        with pytest.raises(wl.InvalidArgumentError):
            stream.batches(**wrong)
    with pytest.raises(wl.InvalidJobError, match="batches: late has no rows"):
        wl.Job("j").late.batches()


def test_seconds_end_the_loop(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))
    assert numbers(list(stream_of(lg).batches(seconds=0.2))) == list(range(10))


def test_a_slow_loop_makes_the_run_wait() -> None:
    count = 3_000_000
    taken = 0

    def counted(ts: int) -> int:
        nonlocal taken
        taken += 1
        return ts

    frame = pl.DataFrame({"ts": pl.int_range(START, START + count, eager=True)})
    stream = wl.Job("fast").read(wl.from_arrow(frame), time="ts").map(counted, returns={"ts": int})
    loop = iter(stream.batches())
    got = len(next(loop))
    before, deadline = -1, time.monotonic() + 60
    while before < taken:  # until the run stands still
        assert time.monotonic() < deadline
        before = taken
        threading.Event().wait(0.3)
    assert taken < count
    assert got + sum(len(batch) for batch in loop) == count


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that a shell starts in the background ignore Ctrl-C from the start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_the_loop(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))
    got: list[int] = []

    def loop() -> None:
        for batch in stream_of(lg).batches():
            got.extend(numbers([batch]))
            threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert got == list(range(10))


def test_a_loop_that_was_never_left_does_not_hold_the_program(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import wrackline as wl
        lg = wl.Log("memory:")
        lg.create("t")
        lg.append("t", [{"ts": i} for i in range(10)])
        loop = iter(wl.Job("j", log=lg).read("t", {"ts": int}, time="ts", out_of_orderness=0, unit="s",
                                             not_before="1970-01-01").batches())
        print(len(next(loop)))
        """
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr


def test_a_generator_that_is_closed_early() -> None:
    loop: Any = iter(wl.Job("j").read(wl.from_records(rows(0, 10)), time="ts").batches())
    assert len(next(loop)) == 10
    loop.close()
    with pytest.raises(StopIteration):
        next(loop)

    async def closed() -> None:
        stream = wl.Job("j").read(wl.from_records(rows(0, 10)), time="ts")
        loop: AsyncIterator[wl.Result] = aiter(stream.batches())
        assert len(await anext(loop)) == 10
        await loop.aclose()  # type: ignore[attr-defined]
        assert own_threads() == set()

    asyncio.run(closed())


def test_a_piece_is_bounded_however_fast_rows_come() -> None:
    rows = wl.from_arrow(pl.DataFrame({"v": range(1_000_000), "ts": range(1_000_000)}))
    sizes = [len(piece) for piece in wl.Job("many").read(rows, time="ts").batches()]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 2 * 65_536

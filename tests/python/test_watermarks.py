"""A Python function as the watermark, against one that goes record by record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.testing import Driver
from wrackline.transforms import SplitError

START = 1_700_000_000_000
SIZE = 10_000
SCHEMA = {"i": int, "k": str, "lag": int | None, "ts": int}


def lagging(batch: pl.DataFrame) -> pl.Series:
    return batch["ts"] - batch["lag"]


def as_times(batch: pl.DataFrame) -> pl.Series:
    return (batch["ts"] - batch["lag"]).cast(pl.Datetime("ms"))


def as_zoned(batch: pl.DataFrame) -> pl.DataFrame:
    return batch.select(
        pl.from_epoch(pl.col("ts") - pl.col("lag"), "ms").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    )


def running(batch: pl.DataFrame) -> pl.Series:
    return (batch["ts"] - batch["lag"]).cum_max()


def as_list(batch: pl.DataFrame) -> list[datetime | None]:
    return [
        None if lag is None else datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ts - lag)
        for ts, lag in batch.select("ts", "lag").rows()
    ]


FUNCTIONS = [lagging, as_times, as_zoned, running, as_list, lambda batch: (batch["ts"] - batch["lag"]).to_numpy()]

# How much later the next record is, how far the watermark it gives is behind it, its key.
records = st.lists(
    st.tuples(st.integers(-8_000, 9_000), st.none() | st.integers(-2_000, 9_000), st.sampled_from("ab")), max_size=40
)


def rows_of(steps: list[tuple[int, int | None, str]], first: int = 0) -> list[dict[str, Any]]:
    now, rows = START, []
    for number, (step, lag, key) in enumerate(steps, first):
        now += step
        rows.append({"i": number, "k": key, "lag": lag, "ts": now})
    return rows


def wanted(parts: list[list[dict[str, Any]]]) -> tuple[dict[tuple[str, int], int], dict[int, int]]:
    """What windows hold in the end, and by how much which record is late."""
    windows: dict[tuple[str, int], int] = {}
    late: dict[int, int] = {}
    for rows in parts:
        watermark: int | None = None
        for row in rows:
            start = row["ts"] // SIZE * SIZE
            if watermark is not None and start + SIZE <= watermark:
                late[row["i"]] = watermark - (start + SIZE) + 1
            else:
                windows[row["k"], start] = windows.get((row["k"], start), 0) + 1
            if row["lag"] is not None:
                mark = row["ts"] - row["lag"]
                watermark = mark if watermark is None else max(watermark, mark)
    return windows, late


@settings(max_examples=40, deadline=None)
@given(records, st.sampled_from(FUNCTIONS[:5]), st.lists(st.integers(1, 7), min_size=1))
# rule: 2.8
def test_any_function_is_the_watermark_however_batches_are_cut(
    steps: list[tuple[int, int | None, str]], function: Any, sizes: list[int]
) -> None:
    rows = rows_of(steps)
    job = wl.Job("marks")
    read = job.read(wl.from_records([], SCHEMA), time="ts", watermark=function)
    read.key_by("k").window(wl.tumbling(SIZE)).agg(n=wl.count())
    driver = Driver(job)  # cuts each batch in two once more
    left, seen = list(rows), -float("inf")
    for size in [*sizes, len(rows) + 1]:
        driver.feed(left[:size])
        for row in left[:size]:
            seen = max(seen, -float("inf") if row["lag"] is None else row["ts"] - row["lag"])
        left = left[size:]
        assert driver.watermark == seen
    driver.end()
    windows, late = wanted([rows])
    assert {(row["k"], row["window_start"]): row["n"] for row in driver.results(times="ms")} == windows
    assert {row["i"]: row["late_by_ms"] for row in driver.late} == late


@settings(max_examples=15, deadline=None)
@given(records, records, st.randoms(use_true_random=False))
# rule: 2.8
def test_each_partition_of_a_topic_has_its_own(first: Any, second: Any, random: Any) -> None:
    """Also across runs, and behind a re-key."""
    parts = [rows_of(first), rows_of(second, 100)]
    with wl.Log("memory:") as log:
        log.create("in", partitions=2)
        job = wl.Job("marks", log=log, commit_rows=5)
        read = job.read("in", SCHEMA, time="ts", watermark=lagging)
        read.key_by("k").window(wl.tumbling(SIZE)).agg(n=wl.count()).write("out")
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
        windows, late = wanted(parts)
        assert {(row["k"], row["window_start"]): row["n"] for row in log.read("out").rows()} == windows
        assert {row["i"]: row["late_by_ms"] for row in log.read("late").rows()} == late


def test_it_is_asked_of_good_records_alone() -> None:
    asked: list[int] = []

    def watermark(batch: pl.DataFrame) -> pl.Series:
        asked.extend(batch["ts"].to_list())
        return batch["ts"] - 1_000

    job = wl.Job("marks")
    rows = [{"ts": START}, {"ts": 32_503_680_000_000}, {"ts": START + 5}]  # one of the year 3000
    read = job.read(wl.from_records(rows), time="ts", watermark=watermark)
    assert len(read.collect()) == 2
    assert set(asked) == {START, START + 5}


def test_integers_are_in_the_unit_of_the_event_time() -> None:
    job = wl.Job("marks")
    read = job.read(
        wl.from_records([], {"ts": int}), time="ts", unit="s", watermark=lambda batch: batch["ts"] - batch["ts"] % 60
    )
    assert read.name == "read"
    driver = Driver(job)
    driver.feed([{"ts": 1_700_000_030}])
    assert driver.watermark == 1_699_999_980_000


def test_a_row_alone_is_divided_as_in_company() -> None:
    tenths = [10**12 + i for i in range(500)]

    def marks(batch: pl.DataFrame) -> pl.Series:
        return (batch["ts"] / 10 * 10).cast(pl.Int64)

    whole = [int(one) for one in marks(pl.DataFrame({"ts": tenths}))]
    job = wl.Job("marks")
    job.read(wl.from_records([], {"ts": int}), time="ts", watermark=marks)
    driver = Driver(job)
    for ts, mark in zip(tenths, whole, strict=True):
        driver.feed([{"ts": ts}])
        assert driver.watermark >= mark


def run(function: Any) -> None:
    job = wl.Job("marks")
    job.read(wl.from_records(rows_of([(1, 2, "a"), (1, 2, "b")]), SCHEMA), time="ts", watermark=function).write("out")
    job.run()


def broken(batch: pl.DataFrame) -> pl.Series:
    if batch.height:
        raise ValueError("no such lag")
    return batch["ts"]


def test_a_function_that_raises_ends_the_run_and_says_where() -> None:
    with pytest.raises(
        wl.JobFailedError, match=r"watermark: ValueError: no such lag \(test_watermarks.py, line"
    ) as one:
        run(broken)
    assert isinstance(one.value.__cause__, ValueError)


def test_records_are_taken_again_when_the_function_is_mended() -> None:
    with wl.Log("memory:") as log:
        log.create("in")
        log.append("in", rows_of([(1, 2, "a"), (1, 2, "b")]))
        for function, fails in ((broken, True), (lagging, False)):
            job = wl.Job("marks", log=log)
            job.read("in", SCHEMA, time="ts", watermark=function).write("out")
            if fails:
                with pytest.raises(wl.JobFailedError):
                    job.run(until="now")
            else:
                job.run(until="now")
        assert [row["i"] for row in log.read("out").rows()] == [0, 1]


def test_what_is_no_watermark_for_each_row_ends_the_run() -> None:

    def of(answer: Any) -> Any:
        return lambda batch: answer if batch.height else batch["ts"]

    for answer, said in (
        ([1, 2, 3], r"returned 3 values for 2 rows; a watermark for each row is needed"),
        (pl.Series([0.5, 1.5]), "returned a series of Float64; a watermark for each row"),
        (["noon", "one"], "returned a series of String"),
        (5, "returned 5; a watermark for each row"),
        (None, "returned None"),
        (pl.DataFrame({"a": [1, 2], "b": [1, 2]}), "returned 2 columns"),
    ):
        with pytest.raises(wl.JobFailedError, match=said):
            run(of(answer))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda batch: 5, "read: watermark=.*returned 5; a watermark for each row is needed: a series of times"),
        (lambda batch: batch["ts"].max(), "returned None; a watermark"),
        (lambda batch: batch["k"], "returned a series of String"),
        (lambda batch: batch["ts"] / 2, "returned a series of Float64"),
        (lambda batch: batch, "returned 4 columns"),
        (wl.monotonic, r"read: watermark=wl.monotonic is to be called: wl.monotonic\(\)"),
        ("30s", "read: watermark is wl.monotonic"),
        (pl.col("ts"), "or a function of a batch that gives one for each row, not the Expr"),
    ],
)
def test_what_can_be_seen_when_the_job_is_built_is_said_then(function: Any, said: str) -> None:
    with pytest.raises(wl.InvalidJobError, match=said):
        run(function)
    with pytest.raises(wl.InvalidJobError, match="takes the place of out_of_orderness"):
        wl.Job("marks").read("in", SCHEMA, time="ts", watermark=lagging, out_of_orderness="1s")


def test_one_that_looks_at_rows_behind_its_own_is_found_by_the_driver() -> None:
    job = wl.Job("marks")
    job.read(wl.from_records([], SCHEMA), time="ts", watermark=lambda batch: [batch["ts"].max()] * batch.height)
    driver = Driver(job)
    with pytest.raises(SplitError, match="give other watermarks when they are cut at row"):
        driver.feed(rows_of([(1, 0, "a")] * 9))


def test_its_code_is_part_of_what_the_job_is() -> None:
    def described(function: Any) -> str:
        job = wl.Job("marks")
        job.read("in", SCHEMA, time="ts", watermark=function).write("out")
        return str(job._plan.describe())

    def one(batch: pl.DataFrame) -> Any:
        return batch["ts"] - 1

    def other(batch: pl.DataFrame) -> Any:
        return batch["ts"] - 2

    other.__qualname__ = one.__qualname__
    assert described(one) == described(one)
    assert described(one) != described(other)

"""wrackline.testing.Driver: a job by hand, under a clock that stands still."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

import wrackline as wl
from wrackline.testing import Driver

SCHEMA = {"k": str, "v": int, "ts": int}


def counting(**options: Any) -> wl.Job:
    job = wl.Job("counting")
    stream = job.read(wl.from_records([], SCHEMA), time="ts", **{"out_of_orderness": 0, **options})
    stream.filter("v", ">=", 0, name="good").key_by("k").window(wl.tumbling(10), allowed_lateness=20, name="tens").agg(
        n=wl.count()
    )
    return job


def row(ts: int, v: int = 1, k: str = "a") -> dict[str, Any]:
    return {"k": k, "v": v, "ts": ts}


def seen(driver: Driver) -> list[tuple[int, int, str, int]]:
    return [(one["window_start"], one["revision"], one["pane"], one["n"]) for one in driver.results(times="ms")]


def test_what_comes_out_belongs_to_what_was_fed() -> None:
    driver = Driver(counting())
    driver.feed([row(1), row(2, -1)])
    assert seen(driver) == []
    driver.feed(row(12))
    assert seen(driver) == [(0, 0, "on_time", 1)]
    assert [one["v"] for one in driver.results("good")] == [1, 1]
    assert driver.watermark == 12
    driver.feed(row(3))
    assert len(seen(driver)) == 1
    driver.commit()
    assert seen(driver)[-1] == (0, 1, "late", 2)
    driver.feed([row(100), row(4), None])
    (late,) = driver.late
    assert (late["late_by_ms"], late["step"], late["reason"]) == (100 - 30 + 1, "tens", "window")
    assert late["watermark"] == datetime(1970, 1, 1, 0, 0, 0, 100_000, tzinfo=UTC)
    ledger = driver.ledger
    assert ledger.balances
    assert (ledger["read"].in_, ledger["read"].skipped, ledger["good"].filtered) == (7, 1, 1)
    driver.end()
    assert driver.done
    assert driver.watermark == math.inf
    assert driver.last_watermark == 100
    assert seen(driver)[-1] == (100, 0, "on_time", 1)


# rule: 2.11 2.16
def test_the_clock_moves_only_by_hand() -> None:
    job = wl.Job("idle")
    stream = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=0, idle_after="1m", idle_advance="close")
    stream.key_by("k").window(wl.tumbling(10)).agg(n=wl.count())
    driver = Driver(job, clock=1_000)
    driver.feed(row(5))
    assert driver.now == 1_000
    driver.advance("59s")
    assert driver.results() == []
    driver.advance(1_000)
    assert driver.now == 61_000
    assert len(driver.results()) == 1
    assert driver.watermark == 5 + 60_000


def test_idleness_by_hand() -> None:
    job = wl.Job("idle")
    job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=10, idle_after="1m", idle_advance="close")
    driver = Driver(job)
    driver.feed(row(50))
    assert driver.watermark == 40
    driver.idle()
    assert driver.watermark >= 40


def test_dead_letters_and_duplicates() -> None:
    job = wl.Job("dead")
    stream = job.read(wl.from_records([], {"k": str | None, "ts": int | None}), time="ts")
    stream.dedup("k", within=10)
    driver = Driver(job)
    driver.feed([{"k": "a", "ts": 1}, {"k": "a", "ts": 2}, {"k": None, "ts": 3}, {"k": "b"}])
    assert [(one["step"], one["reason"]) for one in driver.dead] == [("read", "timestamp"), ("dedup", "null_key")]
    assert driver.dead[1]["value"] == b'{"k":null,"ts":3}'
    assert [one["ts"] for one in driver.duplicates] == [2]


# rule: 1.2
def test_a_topic_takes_lines_keys_and_timestamps() -> None:
    job = wl.Job("topic")
    job.read("t", {"v": int, "at": datetime}, time="_timestamp", out_of_orderness=0)
    driver = Driver(job, clock=1_700_000_000_000)
    driver.feed([{"v": 1, "at": datetime(2024, 1, 1)}, b"{broken", None])
    driver.feed('{"v": 2, "at": 5}', timestamp=1_700_000_005_000)
    assert [one["v"] for one in driver.results()] == [1, 2]
    assert driver.watermark == 1_700_000_005_000
    (letter,) = driver.dead
    assert (letter["reason"], letter["value"], letter["topic"], letter["offset"]) == ("decode", b"{broken", "t", 1)
    with pytest.raises(wl.InvalidArgumentError, match="a topic has no end"):
        driver.end()


def test_steps_are_taken_one_by_one() -> None:
    driver = Driver(counting())
    assert driver.step() == "idle"
    driver.feed([row(1)])
    assert driver.step() == "idle"
    driver.end()
    assert driver.step() == "done"


def test_mistakes() -> None:
    driver = Driver(counting())
    with pytest.raises(wl.InvalidArgumentError, match="no step 'ten'; did you mean 'tens'"):
        driver.results("ten")
    with pytest.raises(wl.InvalidArgumentError, match="row 0"):
        driver.feed({"k": "a", "v": "x", "ts": 1})
    with pytest.raises(wl.InvalidArgumentError, match="does not go back"):
        driver.advance(-1)
    driver.end()
    with pytest.raises(wl.WracklineError):
        driver.feed(row(1))


def test_the_job_is_untouched() -> None:
    job = counting()
    before = repr(job)
    driver = Driver(job)
    driver.feed([row(1)])
    assert repr(job) == before
    assert "1 rows" in repr(driver)


def test_rows_of_a_bounded_job_are_fed_by_hand() -> None:
    rows = wl.from_records([row(1), row(2)], SCHEMA)
    job = wl.Job("rows")
    job.read(rows, time="ts")
    driver = Driver(job)
    assert driver.results() == []
    driver.feed(rows)
    assert len(driver.results()) == 2

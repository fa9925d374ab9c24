"""Several workers and several processes share the partitions of a job: they come, go, sleep and are killed."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.python.kafka.harness import BidPlace, Feed, kills, members, stop, wait_for, was_stopped, watched

pytestmark = pytest.mark.slow

FOREVER: dict[str, Any] = {"run": {}, "progress": True}
KILLS = kills(20)
SHORT_SESSION: dict[str, Any] = {"session_timeout_ms": 2_000, "heartbeat_interval_ms": 300}

Process = subprocess.Popen[str]


@pytest.fixture
def bidding(broker: str, tmp_path: Path) -> BidPlace:
    settings = {
        "log": broker,
        "kafka": SHORT_SESSION,
        "commit_interval": "50ms",
        "checkpoint_interval": "300ms",
        "transaction_timeout": "4s",
    }
    return BidPlace(tmp_path / "place", settings, servers=broker)


@contextlib.contextmanager
def processes(place: BidPlace, **changes: Any) -> Iterator[list[Process]]:
    """Those that are added to the list do not outlive the block."""
    running: list[Process] = []
    try:
        yield running
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.communicate()


def test_two_workers(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    feed.more(4_000)
    with watched(bidding):
        ended = bidding.finish(workers=2)
    taken = [steps["read"]["in"] for steps in ended.said["ledger"].values()]
    assert len(taken) == 4
    assert sum(taken) == len(feed.sent)
    bidding.assert_exact(feed.sent)


def test_two_workers_are_killed_and_come_back(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    feed.more(4_000)
    with watched(bidding):
        for failpoint in ("end_txn_sent@3", "journal_row_sent@2", "old_blocks_dropped@1"):
            assert bidding.run(failpoint=failpoint, workers=2, commit_rows=200).killed
            feed.more(500)
        bidding.finish(workers=2)
    bidding.assert_exact(feed.sent)


def test_more_workers_than_partitions(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    feed.more(1_000)
    bidding.finish(workers=6)
    bidding.assert_exact(feed.sent)


@pytest.mark.parametrize("protocol", ["range", "cooperative-sticky", "consumer"])
def test_a_process_joins_and_leaves(bidding: BidPlace, protocol: str) -> None:
    bidding.settings["membership"] = "dynamic"
    if protocol == "consumer":
        bidding.settings["kafka"] = {"group_protocol": "consumer"}
    else:
        bidding.settings["kafka"] = {**SHORT_SESSION, "partition_assignment_strategy": protocol}
    feed = Feed(bidding)
    with watched(bidding), bidding.running(**FOREVER) as first:
        feed.send_and_wait(first)
        with bidding.running(**FOREVER) as second:
            wait_for("both are members", lambda: protocol == "consumer" or members(bidding) == 2)
            for _ in range(5):
                feed.send_and_wait(first, second, count=300)
            stop(second)
        for _ in range(5):
            feed.send_and_wait(first, count=300)
        stop(first)
    feed.finish()


def test_a_process_joins_and_is_killed(bidding: BidPlace) -> None:
    """It comes back once, at once, and gets what it had; then it stays away, and the other takes it."""
    feed = Feed(bidding)
    with watched(bidding), bidding.running(**FOREVER) as first:
        feed.send_and_wait(first)
        for _ in range(2):
            with bidding.running(**FOREVER) as second:
                wait_for("both are members", lambda: members(bidding) == 2)
                feed.send_and_wait(first, second, count=500)
                feed.more(500)
                second.send_signal(signal.SIGKILL)
                second.communicate()
            feed.more(200)
        feed.send_and_wait(first)
        stop(first)
    feed.finish()


def test_closing_while_a_stopped_member_holds_partitions(bidding: BidPlace) -> None:
    """The session of a static member outlives it; a run that is to close all windows waits until it has them all."""
    feed = Feed(bidding)
    with bidding.running(**FOREVER) as first, bidding.running(**FOREVER) as second:
        wait_for("both are members", lambda: members(bidding) == 2)
        feed.send_and_wait(first, second)
        for process in (first, second):
            stop(process)
    bidding.finish()
    bidding.assert_exact(feed.sent)


@pytest.mark.parametrize("stateless", [True, False], ids=["stateless", "stateful"])
def test_a_storm(bidding: BidPlace, stateless: bool) -> None:
    """Members come, are stopped, are killed and sleep in any order while records flow."""
    bidding.settings["stateless"] = stateless
    rng = random.Random(int(stateless))
    feed = Feed(bidding)
    with watched(bidding), processes(bidding) as running:
        running.append(bidding.start(**FOREVER))
        for _ in range(max(8, KILLS // 3)):
            feed.more(200)
            deed = rng.choice(["join", "join", "stop", "kill", "sleep"])
            if deed == "join" or len(running) < 2:
                if len(running) < 3:
                    running.append(bidding.start(**FOREVER))
            elif deed == "sleep":
                asleep = rng.choice(running)
                asleep.send_signal(signal.SIGSTOP)
                feed.more(100)
                _pass(rng.uniform(0.3, 3))
                asleep.send_signal(signal.SIGCONT)
            else:
                gone = running.pop(rng.randrange(len(running)))
                gone.send_signal(signal.SIGKILL if deed == "kill" else signal.SIGTERM)
                _, err = gone.communicate(timeout=60)
                assert gone.returncode == -signal.SIGKILL if deed == "kill" else was_stopped(gone, err), err
            _pass(rng.uniform(0, 1))
        feed.send_and_wait(*running)
        for process in running:
            stop(process)
    feed.finish()


def _pass(seconds: float) -> None:
    """Time that has to pass between two faults."""
    ends = time.monotonic() + seconds
    wait_for("time", lambda: time.monotonic() > ends)


@pytest.mark.timeout(3_600)
def test_two_processes_are_killed_at_random_times(bidding: BidPlace) -> None:
    """Each is started again at once, so that it gets its partitions and its state back."""
    rng = random.Random(2)
    feed = Feed(bidding)
    with watched(bidding), processes(bidding) as running:
        running += [bidding.start(**FOREVER), bidding.start(**FOREVER)]
        for _ in range(KILLS // 2):
            feed.more(300)
            _pass(rng.uniform(0.2, 2.0))
            number = rng.randrange(2)
            running[number].send_signal(signal.SIGKILL)
            running[number].communicate()
            running[number] = bidding.start(**FOREVER)
        feed.send_and_wait(*running)
        for process in running:
            stop(process)
    feed.finish()


def test_a_job_without_state_moves_freely(bidding: BidPlace, tmp_path: Path) -> None:
    """The second process has another state directory: another machine."""
    bidding.settings |= {"stateless": True, "membership": "dynamic"}
    elsewhere = BidPlace(tmp_path / "elsewhere", bidding.settings, servers=bidding.servers, prefix=bidding.prefix)
    feed = Feed(bidding)
    elsewhere.input = bidding.input
    with watched(bidding), bidding.running(**FOREVER) as first:
        feed.send_and_wait(first)
        with elsewhere.running(**FOREVER) as second:
            wait_for("both are members", lambda: members(bidding) == 2)
            feed.send_and_wait(first, second)
            stop(first)
            feed.send_and_wait(second)
            stop(second)
    ended = elsewhere.finish()
    assert ended.said["stats"]["rows_taken"] == 0
    bidding.assert_exact(feed.sent)


def test_a_job_with_state_elsewhere_says_so_and_disturbs_nobody(bidding: BidPlace, tmp_path: Path) -> None:
    elsewhere = BidPlace(tmp_path / "elsewhere", bidding.settings, servers=bidding.servers, prefix=bidding.prefix)
    feed = Feed(bidding)
    elsewhere.input = bidding.input
    with watched(bidding), bidding.running(**FOREVER) as first:
        tasks = bidding.state_dir / bidding.name / "tasks"

        def checkpoints() -> bool:
            feed.send_and_wait(first, count=100)
            return sum(any(file.is_file() for file in task.iterdir()) for task in tasks.iterdir()) == 4

        wait_for("a checkpoint of each task", checkpoints)
        for _ in range(10):  # and commits that name them
            feed.send_and_wait(first, count=100)
        joined = members(bidding)
        ended = elsewhere.run(**FOREVER)
        assert ended.code == 3, ended.err
        last = ended.err.splitlines()[-1]
        assert str(elsewhere.state_dir) in last, last
        assert "state" in last
        assert members(bidding) == joined
        feed.send_and_wait(first)
        assert first.poll() is None
        err = stop(first)
        assert "recovers" not in err, "the first was disturbed"
    feed.finish()

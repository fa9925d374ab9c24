"""SIGKILL of a real process on a real broker: at each step of the protocol, and at random times.

A reader of committed records runs beside all of it. WRACKLINE_KILLS says how many random kills (default 20; by hand
200, which also visits more hits of each step), WRACKLINE_SEED which.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import FAILPOINTS, Ended, Place, make_events, read_answer, write_events
from tests.python.kafka.harness import (
    PARTITIONS,
    BidPlace,
    Feed,
    KafkaPlace,
    assert_right,
    kills,
    open_in,
    own_name,
    plain,
    reading,
    watched,
)

Check = Callable[[KafkaPlace, dict[str, Any]], None]

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("WRACKLINE_SEED", "1"))
KILLS = kills(20)
OF_A_RECOVERY = {"during_restore", "during_replay"}
ONCE_PER_RUN = {"claim"}
HITS = [
    (name, nth)
    for name in FAILPOINTS
    if name not in OF_A_RECOVERY
    for nth in ([1] if name in ONCE_PER_RUN else [3] if KILLS < 100 else [1, 2, 3, 8])
]
RECOVERIES = [
    ("old_blocks_dropped@3", "1ms", "during_restore@1"),
    ("end_txn_sent@9", "10s", "during_replay@2"),
]
if KILLS >= 100:
    RECOVERIES += [
        ("old_blocks_dropped@1", "1ms", "during_restore@3"),
        ("naming_commit_sent@2", "1ms", "during_restore@2"),
        ("sealed@9", "10s", "during_replay@1"),
        ("pane_out@90", "10s", "during_replay@2"),
    ]


def crash(place: KafkaPlace, failpoint: str, **changes: Any) -> None:
    ended = place.run(failpoint=failpoint, **changes)
    assert ended.killed, f"{failpoint} was never reached: {ended.code}\n{ended.err}"


@pytest.mark.parametrize(("name", "nth"), HITS)
def test_killed_at_a_failpoint(place: KafkaPlace, check: Check, name: str, nth: int) -> None:
    with watched(place):
        crash(place, f"{name}@{nth}")
        ended = place.finish()
    check(place, ended.said)


@pytest.mark.parametrize(("before", "interval", "during"), RECOVERIES)
def test_killed_during_a_recovery(place: KafkaPlace, check: Check, before: str, interval: str, during: str) -> None:
    with watched(place):
        crash(place, before, checkpoint_interval=interval)
        for _ in range(2):
            crash(place, during)
        ended = place.finish()
    check(place, ended.said)


@pytest.mark.parametrize("name", FAILPOINTS[:-2] if KILLS >= 100 else ["answer_lost", "offsets_sent"])
def test_a_step_that_fails_is_mended_in_the_same_process(place: KafkaPlace, check: Check, name: str) -> None:
    with watched(place):
        ended = place.finish(failpoint=f"{name}@{1 if name in ONCE_PER_RUN else 2}=fail")
    assert ended.said["stats"]["recoveries"] == 1
    check(place, ended.said)


@pytest.mark.timeout(3_600)
def test_killed_at_random_times(broker: str, tmp_path: Path) -> None:
    events = make_events(20_000, seed=11, partitions=PARTITIONS)
    settings = {"commit_rows": 100, "commit_interval": "10ms", "checkpoint_interval": "50ms"}
    local = Place(tmp_path / "local", dict(settings))
    write_events(local.uri, events)
    report = local.finish().said
    with wl.Log(local.uri, read_only=True) as log:
        wanted = read_answer(log, report, plain=plain)
    topic = own_name() + "events"
    write_events(f"kafka://{broker}", events, topic)
    with reading(broker) as log:
        for number, values in enumerate(events):
            assert [record.value for record in log.read(topic, partition=number)] == values, "the input is not whole"

    rng = random.Random(SEED)
    left, rounds = KILLS, 0
    while left > 0:
        place = KafkaPlace(tmp_path / f"round-{rounds}", dict(settings), servers=broker, input=topic)
        with watched(place) as watcher:
            history: list[float] = []
            while (ended := _run_for(place, rng.uniform(0.3, 2.5) if left > 0 else 120.0, history)).killed:
                left -= 1
            assert ended.code == 0, (SEED, rounds, history, ended.code, ended.err)
            report = place.finish(run={"until": "now"}).said  # the ledger as of its last commit, whoever made it
        print(f"round {rounds}: killed after {history} s; the reader saw {watcher.count} records meanwhile")
        assert report["stats"]["rows_replayed"] == 0
        assert_right(place, report, wanted, None)
        rounds += 1


def _run_for(place: KafkaPlace, seconds: float, history: list[float]) -> Ended:
    """A run that is killed after so long, unless it ends before."""
    with place.running() as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            assert seconds < 120, "the job hangs"
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
            history.append(round(seconds, 4))
    return Ended(process.returncode, out, err)


def test_killed_from_inside_at_random_hits(place: KafkaPlace, check: Check) -> None:
    rng = random.Random(SEED)
    with watched(place):
        for _ in range(4 if KILLS < 100 else 20):
            ended = place.run(failpoint=f"any@{rng.randrange(1, 60)}")
            if ended.code == 0:
                break
            assert ended.killed, ended.err
        if ended.killed:
            ended = place.finish()
    check(place, ended.said)


def test_an_open_transaction_ends_with_the_next_start(broker: str, tmp_path: Path) -> None:
    """Readers wait for it until then: the next owner of the slot aborts it, long before it would expire."""
    place = BidPlace(tmp_path / "place", {"transaction_timeout": "60s", "commit_interval": "2s"}, servers=broker)
    feed = Feed(place, bidders=3_000, every_ms=5)

    with watched(place):
        with place.running(run={}, progress=True) as process:
            feed.send_and_wait(process)
            feed.until_open(5_000)
            process.kill()
        assert open_in(broker, place.windows)
        began = time.monotonic()
        place.finish()
        assert time.monotonic() - began < 30
    place.assert_exact(feed.sent)

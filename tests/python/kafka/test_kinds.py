"""The kinds of tests/python/crash/kinds.py on a real broker, killed in the middle: the answer of the same oracle.

WRACKLINE_SEED says where they are killed (default 1); WRACKLINE_KILLS (by hand, 200) kills more often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import FAILPOINTS, Ended, assert_balances
from tests.python.crash.kinds import KINDS, Kind, make_inputs
from tests.python.crash.kinds_oracle import Inputs, assert_expected, expected
from tests.python.kafka.harness import (
    KafkaPlace,
    assert_nothing_open,
    kills,
    members,
    own_name,
    reading,
    stop,
    wait_for,
    watched,
)

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("WRACKLINE_SEED", "1"))
MANY = kills(20) >= 100
COUNT = 1_000
FOREVER: dict[str, Any] = {"run": {}}
SETTINGS: dict[str, Any] = {
    "commit_rows": 100,
    "commit_interval": "50ms",
    "checkpoint_interval": "100ms",
    "transaction_timeout": "4s",
}


@dataclass
class KindPlace(KafkaPlace):
    """A job of a kind: its topics, and what was sent to them."""

    program: Path = Path(__file__).parents[1] / "crash" / "kinds_job.py"

    def __post_init__(self) -> None:
        self.kind: Kind = KINDS[self.settings["kind"]]
        self.inputs: Inputs = make_inputs(self.kind, COUNT)
        self.settings["inputs"] = {topic: self.prefix + topic for topic in self.kind.inputs}
        self._sent = 0.0
        with wl.Log(self.uri) as log:
            for topic, partitions in self.inputs.items():
                log.create(self.prefix + topic, partitions=len(partitions))

    def topics(self) -> list[str]:
        return [
            *(self.prefix + one.name for one in self.kind.all_windows()),
            self.prefix + "late",
            self.prefix + "dead",
        ]

    def send(self, share: float) -> None:
        """So much of the input in all."""
        with wl.Log(self.uri) as log:
            for topic, partitions in self.inputs.items():
                for number, values in enumerate(partitions):
                    part = values[round(self._sent * len(values)) : round(share * len(values))]
                    if part:
                        log.append(self.prefix + topic, part, partition=number)
        self._sent = share

    def through(self) -> bool:
        """All that was sent is committed by the first stage."""
        sent = sum(round(self._sent * len(values)) for values in self.inputs["events"])
        return sum(self.committed().values()) == sent

    def check(self, ended: Ended) -> None:
        assert_balances(ended.said)
        with reading(self.servers) as log:
            assert_expected(self.kind, log, expected(self.kind, self.inputs), self.prefix)
        assert_nothing_open(self.servers, self.topics())


def place_of(kind: str, broker: str, root: Path, **settings: Any) -> KindPlace:
    return KindPlace(root, {"kind": kind, **SETTINGS, **settings}, servers=broker)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_the_middle(kind: str, broker: str, tmp_path: Path) -> None:
    place = place_of(kind, broker, tmp_path)
    place.send(1)
    rng = random.Random(f"{SEED} {kind}")
    with watched(place):
        for _ in range(12 if MANY else 2):
            ended = place.run(failpoint=f"{rng.choice([*FAILPOINTS[:9], 'any'])}@{rng.randrange(1, 9)}")
            if not ended.killed:
                break
        ended = place.finish()
    place.check(ended)


def test_two_workers_of_each_stage_are_killed(broker: str, tmp_path: Path) -> None:
    place = place_of("rekeyed", broker, tmp_path, workers=2, kafka={"session_timeout_ms": 6_000})
    place.settings["log"] = broker
    place.send(1)
    with watched(place):
        for failpoint in ("end_txn_sent@3", "journal_row_sent@5"):
            assert place.run(failpoint=failpoint).killed
        ended = place.finish()
    place.check(ended)


def both_are_members(place: KindPlace, second: subprocess.Popen[str]) -> None:
    def joined() -> bool:
        if second.poll() is not None:
            raise AssertionError(f"ended with {second.returncode}: {second.communicate()[1][-3000:]}")
        return members(place) == 2

    wait_for("both are members", joined)


def test_processes_of_several_stages_come_and_go(broker: str, tmp_path: Path) -> None:
    """The topics grow meanwhile; one of two processes is stopped, and one is killed."""
    place = place_of("merged", broker, tmp_path, kafka={"session_timeout_ms": 2_000, "heartbeat_interval_ms": 300})
    place.settings["log"] = broker

    def send_and_wait(share: float) -> None:
        place.send(share)
        wait_for("all is committed", place.through)

    with watched(place), place.running(**FOREVER) as first:
        send_and_wait(0.2)
        with place.running(**FOREVER) as second:
            both_are_members(place, second)
            send_and_wait(0.4)
            stop(second)
        send_and_wait(0.5)
        with place.running(**FOREVER) as third:
            both_are_members(place, third)
            send_and_wait(0.7)
            place.send(0.8)
            third.send_signal(signal.SIGKILL)
            third.communicate()
        wait_for("the dead member is out", lambda: members(place) == 1)
        send_and_wait(1)
        stop(first)
    wait_for("no member is left", lambda: members(place) <= 1)
    place.check(place.finish())


def test_an_idle_partition_closes_windows_behind_a_rekey(broker: str, tmp_path: Path) -> None:
    """One partition has no record at all, the other has had its last: all windows come out while the job runs."""
    prefix, start = own_name(), 1_750_000_000_000
    with wl.Log(f"kafka://{broker}") as log:
        log.create(prefix + "in", partitions=2)
        rows = [{"k": f"k{number % 3}", "ts": start + number * 100} for number in range(100)]
        log.append(prefix + "in", rows, partition=0)
        job = wl.Job(prefix + "idle", log=log, state_dir=str(tmp_path), commit_interval="50ms")
        events = job.read(
            prefix + "in",
            {"k": str, "ts": int},
            time="ts",
            out_of_orderness="1s",
            idle_after="300ms",
            idle_advance="close",
        )
        events.key_by("k").window(wl.tumbling("5s")).agg(n=wl.count()).write(prefix + "out")
        with job.start(), reading(broker) as looking:

            def out() -> list[dict[str, Any]]:
                there = {topic.name for topic in looking.topics()}
                return list(looking.read(prefix + "out").rows()) if prefix + "out" in there else []

            wait_for("all windows", lambda: sum(row["n"] for row in out()) == 100)
            assert len(out()) == 6
            log.append(prefix + "in", [{"k": "k0", "ts": start + 60_000}], partition=1)
            wait_for("the window of the one that comes back", lambda: len(out()) == 7)

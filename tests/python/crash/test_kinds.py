"""Every window, trigger and aggregate with state, of one stage and of several, killed at every step of the protocol.

WRACKLINE_SEED says at which hits and in which order (default 1): each kind of job is killed at each failpoint.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import FAILPOINTS, FOLLOWS_THE_COMMITS, Place, assert_balances, write_events
from tests.python.crash.kinds import KINDS, Windows, make_inputs
from tests.python.crash.kinds_oracle import Expected, Inputs, assert_expected, expected, name_of

PROGRAM = Path(__file__).with_name("kinds_job.py")
SEED = int(os.environ.get("WRACKLINE_SEED", "1"))
COUNT = 1_200
SETTINGS = {"commit_rows": 40, "commit_interval": "20ms", "checkpoint_interval": "1ms"}
FRESH = {"until": "now", "close": True, "fresh": True}
OF_A_RECOVERY = {"during_restore", "during_replay"}

Row = dict[str, Any]


class Whole:
    """A kind's input, its answer by the oracle, and an uninterrupted run over it."""

    def __init__(self, name: str, root: Path) -> None:
        self.kind = KINDS[name]
        self.inputs: Inputs = make_inputs(self.kind, COUNT)
        self.expected: Expected = expected(self.kind, self.inputs)
        self.source = Place(root / "source", {"kind": name, **SETTINGS}, PROGRAM)
        for topic, values in self.inputs.items():
            write_events(self.source.uri, values, topic)
        whole = self.source.copy(root / "whole")
        began = time.monotonic()
        report = whole.finish().said
        self.seconds = time.monotonic() - began
        self.place, self.report = whole, report
        self.check_by_oracle(whole)

    def check_by_oracle(self, place: Place) -> None:
        with wl.Log(place.uri, read_only=True) as log:
            assert_expected(self.kind, log, self.expected)

    def check(self, place: Place, report: Row) -> None:
        """The answer is right by the oracle, and that of the uninterrupted run in all columns."""
        assert_balances(report)
        self.check_by_oracle(place)
        with wl.Log(place.uri, read_only=True) as found, wl.Log(self.place.uri, read_only=True) as wanted:
            for one in self.kind.all_windows():
                of_found, of_wanted = (rows_of(log, one, self.kind.staged) for log in (found, wanted))
                wrong = [name for name in of_wanted | of_found if of_found.get(name) != of_wanted.get(name)]
                assert not wrong, (one.name, wrong[0], of_found.get(wrong[0]), of_wanted.get(wrong[0]))
            for topic in ("late", "dead"):
                letters = [
                    Counter((one.key, one.value, one.headers, one.partition) for one in log.read(topic))
                    for log in (found, wanted)
                ]
                assert letters[0] == letters[1], topic
        assert counts_of(report) == counts_of(self.report)


def rows_of(log: wl.Log, one: Windows, staged: bool) -> dict[Any, Any]:
    """Of one stage: all rows of each key, in their order. Of several, where records come in any order: the last row of
    each window."""
    coalesced = one.lateness > 0 and one.emit == "accumulate" and "emit_late" not in one.options
    if not staged and (one.shape[0] == "session" or not coalesced):
        of_keys: defaultdict[Any, list[bytes | None]] = defaultdict(list)
        for record in log.read(one.name):
            assert record.value is not None
            row = json.loads(record.value)
            of_keys[tuple(row[name] for name in one.keys)].append(record.value)
        return of_keys
    if one.delta or one.shape[0] in ("count", "rolling"):
        return {}  # what they add up to is the oracle's
    last = {}
    for row in log.read(one.name).rows():
        free = {"revision": row.pop("revision"), "pane": row.pop("pane")}
        last[name_of(one, row)] = row
        if free["pane"] == "merged":
            del last[name_of(one, row)]
    return last


def counts_of(report: Row) -> Row:
    return {
        partition: {
            step: {name: count for name, count in counts.items() if name not in FOLLOWS_THE_COMMITS}
            for step, counts in steps.items()
        }
        for partition, steps in report["ledger"].items()
    }


@functools.cache
def whole_of(name: str, root: Path) -> Whole:
    return Whole(name, root / name)


@pytest.fixture
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    base = tmp_path_factory.getbasetemp() / "kinds"
    return whole_of(request.param, base)


each_kind = pytest.mark.parametrize("whole", KINDS, indirect=True)


@pytest.mark.slow
@each_kind
def test_killed_at_each_failpoint(whole: Whole, tmp_path: Path) -> None:
    """One after the other in one place: each run goes on from what the kill before it left."""
    rng = random.Random(f"{SEED} {whole.source.settings['kind']}")
    points = rng.sample(FAILPOINTS, len(FAILPOINTS))
    place, ended, places, kills = whole.source.copy(tmp_path / "0"), None, 1, 0
    for point in points:
        nth = rng.choice([1, 1, 2, 3, 6]) if point not in OF_A_RECOVERY | {"claim"} else 1
        ended = place.run(failpoint=f"{point}@{nth}")
        if ended.killed:
            kills += 1
            continue
        assert ended.code == 0, (SEED, point, nth, ended.err)
        whole.check(place, ended.said)
        place, places = whole.source.copy(tmp_path / str(places)), places + 1
    whole.check(place, place.finish().said)
    print(f"{kills} kills, {places} places")
    assert kills >= len(FAILPOINTS) - 4


@pytest.mark.slow
@each_kind
def test_killed_at_random(whole: Whole, tmp_path: Path) -> None:
    """From inside at any hit, and from outside at any time."""
    rng = random.Random(f"{SEED} {whole.source.settings['kind']}")
    place = whole.source.copy(tmp_path / "place")
    ended = place.run(failpoint=f"any@{rng.randrange(30, 400)}")
    assert ended.killed or ended.code == 0, ended.err
    with place.running() as process:
        try:
            process.communicate(timeout=rng.uniform(0.3, whole.seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)
    whole.check(place, place.finish().said)


@pytest.mark.slow
@pytest.mark.parametrize("whole", ["rekeyed", "merged"], indirect=True)
def test_starting_over_is_interrupted(whole: Whole, tmp_path: Path) -> None:
    """Each stage starts over by itself: two runs in one job are refused, and the second try is whole."""
    refusals = 0
    for number, point in enumerate(["claim@1", "sealed@1", "end_txn_sent@3"]):
        place = whole.place.copy(tmp_path / str(number))
        _forget_outputs(whole, place)
        assert place.run(failpoint=point, run=FRESH).killed
        ended = place.run()
        if ended.code == 3:
            assert "InvalidJobError" in ended.err
            assert "fresh=True" in ended.err
            refusals += 1
            _forget_outputs(whole, place)
            ended = place.finish(run=FRESH)
        assert ended.code == 0, ended.err
        whole.check(place, ended.said)
        assert place.finish().said["stats"]["rows_taken"] == 0
    assert refusals >= 1


def _forget_outputs(whole: Whole, place: Place) -> None:
    """What a run that starts over puts out is all that is there then."""
    with wl.Log(place.uri) as log:
        for topic in [*(one.name for one in whole.kind.all_windows()), "late", "dead"]:
            for partition in range(2):
                last = max((one.offset for one in log.read(topic, partition=partition)), default=-1)
                log.trim(topic, partition=partition, before=last + 1)

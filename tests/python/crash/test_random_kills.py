"""SIGKILL at random times. WRACKLINE_KILLS says how many (default 50), WRACKLINE_SEED which."""

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

from tests.python.crash.harness import Place, answer_of, assert_balances, assert_same, make_events, write_events

Check = Callable[[Place, dict[str, Any]], None]

KILLS = int(os.environ.get("WRACKLINE_KILLS", "50"))
SEED = int(os.environ.get("WRACKLINE_SEED", "1"))

# Small polls and commits, so that a run is long against the start of a process.
BUSY = {"commit_rows": 20, "commit_interval": "5ms", "checkpoint_interval": "20ms"}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("busy") / "source", dict(BUSY))
    write_events(place.uri, make_events(25_000, seed=11))
    return place


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_killed_at_random_times(busy: Place, tmp_path: Path) -> None:
    whole = busy.copy(tmp_path / "whole")
    began = time.monotonic()
    ended = whole.finish()
    length = time.monotonic() - began
    assert_balances(ended.said)
    wanted = answer_of(whole, ended.said)
    rng = random.Random(SEED)
    kills = rounds = 0
    while kills < KILLS:
        place = busy.copy(tmp_path / f"round-{rounds}")
        history = []
        while True:
            delay = rng.uniform(0.2 * length, length) if kills < KILLS else 1e9
            with place.running() as process:
                try:
                    _, err = process.communicate(timeout=min(delay, 120))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    _, err = process.communicate()
            if process.returncode == -signal.SIGKILL:
                kills += 1
                history.append(round(delay, 4))
                continue
            assert process.returncode == 0, (SEED, rounds, history, err)
            break
        report = place.finish(run={"until": "now"})  # the ledger as of its last commit, whoever made it
        print(f"round {rounds}: killed after {history} s of {length:.2f}")
        assert report.said["stats"]["rows_replayed"] == 0
        assert_same(answer_of(place, report.said), wanted)
        rounds += 1


@pytest.mark.slow
def test_killed_from_inside_at_random_hits(place: Place, check: Check) -> None:
    rng = random.Random(SEED)
    for _ in range(12):
        ended = place.run(failpoint=f"any@{rng.randrange(1, 60)}")
        if ended.code == 0:
            break
        assert ended.killed, ended.err
    check(place, place.finish().said if ended.killed else ended.said)

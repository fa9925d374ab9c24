"""SIGKILL of a real process at every step of the protocol, restart, and the same answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import FAILPOINTS, Place

Check = Callable[[Place, dict[str, Any]], None]

pytestmark = pytest.mark.slow

OF_A_RECOVERY = {"during_restore", "during_replay"}
OF_A_CHECKPOINT = {"frozen", "block_written", "manifest_synced", "naming_commit_sent", "old_blocks_dropped"}
ONCE_PER_RUN = {"claim"}
HITS = [
    (name, nth)
    for name in FAILPOINTS
    if name not in OF_A_RECOVERY
    for nth in ([1] if name in ONCE_PER_RUN else [1, 2, 4] if name in OF_A_CHECKPOINT else [1, 2, 9, 20])
]


def crash(place: Place, failpoint: str, **changes: Any) -> None:
    ended = place.run(failpoint=failpoint, **changes)
    assert ended.killed, f"{failpoint} was never reached: {ended.code}\n{ended.err}"


@pytest.mark.parametrize(("name", "nth"), HITS)
def test_killed_at_a_failpoint(place: Place, check: Check, name: str, nth: int) -> None:
    crash(place, f"{name}@{nth}")
    check(place, place.finish().said)


# First a crash that leaves a named checkpoint, or one that leaves commits to replay.
RECOVERIES = [
    ("old_blocks_dropped@1", "1ms", "during_restore@1"),
    ("old_blocks_dropped@3", "1ms", "during_restore@3"),
    ("naming_commit_sent@2", "1ms", "during_restore@2"),
    ("sealed@9", "10s", "during_replay@1"),
    ("end_txn_sent@20", "10s", "during_replay@2"),
    ("pane_out@90", "10s", "during_replay@7"),
]


@pytest.mark.parametrize(("before", "interval", "during"), RECOVERIES)
def test_killed_during_a_recovery(place: Place, check: Check, before: str, interval: str, during: str) -> None:
    crash(place, before, checkpoint_interval=interval)
    for _ in range(2):
        crash(place, during)
    check(place, place.finish().said)


@pytest.mark.parametrize("name", FAILPOINTS)
def test_killed_again_and_again(place: Place, check: Check, name: str) -> None:
    rng = random.Random(name)
    kills = 0
    for _ in range(6):
        point = rng.choice([name, rng.choice(FAILPOINTS)])
        ended = place.run(failpoint=f"{point}@{rng.randrange(1, 6)}")
        if ended.code == 0:
            break
        assert ended.killed, ended.err
        kills += 1
    report = ended.said if ended.code == 0 else place.finish().said
    print(f"{kills} kills")
    check(place, report)


@pytest.mark.parametrize("name", [name for name in FAILPOINTS if name not in OF_A_RECOVERY])
def test_a_step_that_fails_is_mended_in_the_same_process(place: Place, check: Check, name: str) -> None:
    ended = place.finish(failpoint=f"{name}@{1 if name in ONCE_PER_RUN else 2}=fail")
    assert ended.said["stats"]["recoveries"] == 1
    check(place, ended.said)


def test_nothing_is_replayed_after_an_orderly_end(place: Place, check: Check) -> None:
    # Windows stay open: the end of a run is not the end of the stream.
    place.finish(run={"until": "now"})
    ended = place.finish()
    assert ended.said["stats"]["rows_replayed"] == 0
    assert ended.said["stats"]["rows_taken"] == 0
    check(place, ended.said)


def test_a_replay_starts_at_the_checkpoint(place: Place, check: Check) -> None:
    crash(place, "old_blocks_dropped@2")
    with wl.Log(place.uri, read_only=True) as log:
        committed = sum(offset for _, _, offset in log._core.committed("crash"))
    ended = place.finish()
    assert 0 <= ended.said["stats"]["rows_replayed"] < committed
    check(place, ended.said)

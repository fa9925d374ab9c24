"""What a job refuses to start on: nothing is overwritten, and the error says what to do."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import Answer, Ended, Place, answer_of, contents, flip_a_bit

Check = Callable[[Place, dict[str, Any]], None]


def refused(ended: Ended, kind: str, *said: str) -> None:
    assert ended.code == 3, (ended.code, ended.out, ended.err)
    assert ended.err.startswith(f"{kind}: "), ended.err
    for text in said:
        assert re.search(text, ended.err), (text, ended.err)


def crashed(place: Place, failpoint: str = "old_blocks_dropped@2") -> Place:
    """Killed with a checkpoint that its last commit names, and commits behind it."""
    assert place.run(failpoint=failpoint).killed
    return place


def state_of_tasks(place: Place) -> dict[str, bytes]:
    return contents(place.state_dir / "crash" / "tasks")


def test_the_state_was_deleted(place: Place) -> None:
    crashed(place)
    shutil.rmtree(place.state_dir)
    refused(place.run(), "InvalidJobError", "checkpoint", re.escape(str(place.state_dir)), "fresh=True")
    ended = place.finish(run={"until": "now", "close": True, "fresh": True})
    assert ended.said["stats"]["rows_taken"] > 1_500


def test_the_state_is_of_another_log(place: Place, source: Place, tmp_path: Path, check: Check) -> None:
    crashed(place)
    other = source.copy(tmp_path / "other")
    shutil.rmtree(other.log_dir)
    with wl.Log(place.uri, read_only=True) as log:
        rows = log.read("events").records()
    with wl.Log(other.uri) as log:
        log.create("events", partitions=2)
        for partition in range(2):
            log.append("events", [one.value for one in rows if one.partition == partition], partition=partition)
    before = state_of_tasks(place)
    refused(other.run(state_dir=str(place.state_dir)), "InvalidJobError", "log", "fresh=True|state_dir")
    assert state_of_tasks(place) == before
    check(place, place.finish().said)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "emptied", "bit"])
def test_a_damaged_checkpoint(place: Place, tmp_path: Path, check: Check, damage: str) -> None:
    crashed(place, "naming_commit_sent@4")
    rng = random.Random(damage)
    refusals = 0
    for number, name in enumerate(state_of_tasks(place)):
        trial = place.copy(tmp_path / f"trial-{number}")
        file = trial.state_dir / "crash" / "tasks" / name
        good = file.read_bytes()
        if not good:  # the process died before it wrote to it
            continue
        if damage == "cut":
            file.write_bytes(good[: rng.randrange(len(good))])
        elif damage == "emptied":
            file.write_bytes(b"")
        else:
            flip_a_bit(file, rng)
        before = state_of_tasks(trial)
        ended = trial.run()
        if ended.code == 0:  # no block of it is needed
            check(trial, ended.said)
            continue
        refused(ended, "CorruptionError", "checkpoint")
        assert state_of_tasks(trial) == before
        refusals += 1
        file.write_bytes(good)
        check(trial, trial.finish().said)
    assert refusals >= 1


def test_a_directory_that_cannot_be_written(place: Place, check: Check) -> None:
    place.state_dir.write_text("this is a file")
    refused(place.run(), "UnavailableError", re.escape(str(place.state_dir)))
    assert place.state_dir.read_text() == "this is a file"
    place.state_dir.unlink()
    check(place, place.finish().said)


def test_a_log_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("this is a file")
    with pytest.raises(wl.WracklineError, match=re.escape(str(tmp_path / "log"))):
        wl.Log(f"local:{tmp_path / 'log'}")
    assert (tmp_path / "log").read_text() == "this is a file"


def test_an_unknown_topic_names_the_nearest(place: Place) -> None:
    refused(place.run(topic="event"), "NotFoundError", "event", "events")


def test_records_that_the_job_needs_were_deleted(place: Place) -> None:
    crashed(place)
    with wl.Log(place.uri) as log:
        last = max(record.offset for record in log.read("events", partition=0))
        log.trim("events", partition=0, before=last)
    refused(place.run(), "InvalidJobError", "events", "fresh=True")


def test_a_changed_job_is_refused_after_a_crash(place: Place, check: Check) -> None:
    crashed(place)
    refused(place.run(allowed_lateness="4s"), "InvalidJobError", "changed", "replay=|fresh=True")
    check(place, place.finish().said)


def test_a_changed_job_starts_after_an_orderly_end(place: Place, wanted: Answer) -> None:
    place.finish(run={"rows": 700})
    ended = place.finish(allowed_lateness="4s")
    assert ended.said["stats"]["rows_replayed"] == 0
    assert answer_of(place, ended.said).others["dead"] == wanted.others["dead"]


def test_state_that_does_not_fit_shows_both_fingerprints(place: Place) -> None:
    place.finish(run={"rows": 700})
    refused(place.run(window="10s"), "InvalidJobError", "tumbling", "before:.*5", "now:.*10", "reset=")
    ended = place.finish(window="10s", run={"until": "now", "close": True, "reset": ["tumbling"]})
    assert ended.said["stats"]["rows_taken"] > 0


def test_fresh_gives_the_whole_answer_again(place: Place, wanted: Answer) -> None:
    place.finish()
    again = place.finish(run={"until": "now", "close": True, "fresh": True})
    found = answer_of(place, again.said)
    assert found.last == wanted.last
    assert found.ledger == wanted.ledger
    assert set(found.revisions.values()) <= {1, 2}
    for topic, records in wanted.others.items():
        assert found.others[topic] == records + records

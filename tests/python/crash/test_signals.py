"""SIGTERM, SIGINT, SIGSTOP, and a second process that wants to write."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import Place, answer_of, assert_same, make_events, write_events

Check = Callable[[Place, dict[str, Any]], None]

FOREVER: dict[str, Any] = {"run": {}, "progress": True}


def wait_until_read(process: subprocess.Popen[str], rows: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("rows", 0) >= rows:
            return
    raise AssertionError("the job ended by itself")


def committed(place: Place) -> int:
    with wl.Log(place.uri, read_only=True) as log:
        return sum(offset for _, _, offset in log._core.committed("crash"))


def wait_until_committed(place: Place, process: subprocess.Popen[str], offset: int) -> None:
    """Looks at the log beside the job."""
    deadline = time.monotonic() + 60
    while committed(place) < offset and process.poll() is None:
        assert time.monotonic() < deadline, "no commit came"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_job_in_order(place: Place, check: Check, number: signal.Signals) -> None:
    with place.running(**FOREVER) as process:
        wait_until_read(process, 1)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out.strip().splitlines()[-1])["stats"]["checkpoints"] >= 1
    ended = place.finish()
    assert ended.said["stats"]["rows_replayed"] == 0
    check(place, ended.said)


@pytest.mark.slow
def test_a_signal_in_the_middle_of_the_input(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", {"commit_rows": 20, "commit_interval": "5ms"})
    write_events(place.uri, make_events(30_000, seed=3))
    whole = place.copy(tmp_path / "whole")
    wanted = answer_of(whole, whole.finish().said)
    for _ in range(3):
        goal = committed(place) + 500
        with place.running() as process:
            wait_until_committed(place, process, goal)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert json.loads(out.strip().splitlines()[-1])["stats"]["rows_replayed"] == 0
    ended = place.finish()
    assert_same(answer_of(place, ended.said), wanted)


@pytest.mark.slow
def test_a_stopped_process_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", {"commit_rows": 20, "commit_interval": "5ms", "checkpoint_interval": "20ms"})
    write_events(place.uri, make_events(12_000, seed=4))
    whole = place.copy(tmp_path / "whole")
    wanted = answer_of(whole, whole.finish().said)
    with place.running() as process:
        for _ in range(6):
            time.sleep(0.1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.15)
            process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert_same(answer_of(place, json.loads(out.strip().splitlines()[-1])), wanted)


def test_a_second_writer_is_told_who_writes(place: Place) -> None:
    with place.running(**FOREVER) as process:
        wait_until_read(process, 1)
        ended = place.run(run={"until": "now"})
        with pytest.raises(wl.UnavailableError, match=str(process.pid)) as error:
            wl.Log(place.uri)
        with wl.Log(place.uri, read_only=True) as log:
            assert len(log.read("events")) > 1_000
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert ended.code == 3
    assert "UnavailableError" in ended.err
    assert f"{process.pid}" in ended.err
    assert "Kafka" in str(error.value)
    assert process.returncode == 0
    place.finish()


def test_the_lock_goes_with_the_process(place: Place) -> None:
    with place.running(**FOREVER) as process:
        wait_until_read(process, 1)
    with wl.Log(place.uri) as log:
        assert len(log.read("events")) > 1_000

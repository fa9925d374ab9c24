"""A job in a process of its own: ended in order by SIGTERM, and killed with SIGKILL and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl

SCRIPT = textwrap.dedent(
    """
    import sys
    import wrackline as wl

    schema = {"event_id": str, "k": str, "v": int, "ts": int}
    job = wl.Job("sums", log="local:data", state_dir="state", commit_rows=500, checkpoint_interval="20ms")
    readings = job.read("readings", schema, time="ts", out_of_orderness="2s")
    clean = readings.filter("v", ">=", 0).dedup("event_id", within="1m")
    sums = clean.key_by("k").window(wl.tumbling("10s"), allowed_lateness="5s").agg(n=wl.count(), total=wl.sum("v"))
    sums.write("sums")
    job.late.write("late")
    clean.duplicates.write("duplicates")
    job.dead_letters.write("dead")
    until = "now" if sys.argv[1:] == ["now"] else None
    print(job.run(until=until).rows, flush=True)
    """
)
START = 1_700_000_000_000


def readings(count: int, seed: int) -> list[Any]:
    """Out of order, some too late, some twice, some damaged."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    rows: list[Any] = []
    for i in range(count):
        row = {"event_id": f"e{i}", "k": f"k{rng.randrange(20)}", "v": rng.randrange(-2, 100)}
        rows.append({**row, "ts": START + i * 5 - rng.choice([0, 100, 1_500, 3_000, 30_000])})
        if rng.random() < 0.02:
            rows.append(rows[-1])
        if rng.random() < 0.01:
            rows.append(rng.choice([b"{broken", b'{"event_id": "x"}', b'{"event_id":1,"k":"a","v":1,"ts":1}', None]))
    return rows


def prepare(folder: Path, rows: list[Any]) -> None:
    folder.mkdir()
    (folder / "job.py").write_text(SCRIPT)
    with wl.Log(f"local:{folder / 'data'}") as lg:
        lg.create("readings")
        lg.append("readings", rows)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "job.py", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(folder: Path) -> None:
    process = start(folder, "now")
    _output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind, in an order that does not depend on commits."""
    with wl.Log(f"local:{folder / 'data'}", read_only=True) as lg:
        sums = lg.read("sums").rows()
        last = {(row["k"], row["window_start"]): (row["n"], row["total"], row["revision"]) for row in sums}
        # No row comes twice: (key, window, revision) is unique.
        assert len({(row["k"], row["window_start"], row["revision"]) for row in sums}) == len(sums)
        ledger = wl.Job("sums", log=lg).ledger()
        assert ledger.balances
        counts = {step: {**ledger[step].as_dict(), "panes": 0, "rows_out": 0} for step in ledger}
        return {
            "last": last,
            "late": sorted(map(str, lg.read("late").rows())),
            "duplicates": sorted(map(str, lg.read("duplicates").rows())),
            "dead": [(one.value, one.header("wl.reason")) for one in lg.read("dead")],
            "ledger": counts,
        }


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], dict[str, Any]]:
    """What an uninterrupted run gives."""
    rows = readings(30_000, seed=7)
    folder = tmp_path_factory.mktemp("whole") / "run"
    prepare(folder, rows)
    finish(folder)
    whole = outcome(folder)
    assert whole["late"]
    assert whole["duplicates"]
    assert whole["dead"]
    return rows, whole


def wait_for_commit(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with wl.Log(f"local:{folder / 'data'}", read_only=True) as lg:
                if any(topic.name == "sums.journal-0" for topic in lg.topics()) and len(lg.read("sums.journal-0")):
                    return
        except wl.WracklineError:
            pass
        time.sleep(0.02)
    raise AssertionError("the job never committed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_in_order_with_0(
    tmp_path: Path, expected: tuple[list[Any], dict[str, Any]], number: signal.Signals
) -> None:
    rows, whole = expected
    folder = tmp_path / "run"
    prepare(folder, rows)
    process = start(folder)
    wait_for_commit(folder)
    process.send_signal(number)
    _output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    finish(folder)
    assert outcome(folder) == whole


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_and_started_again_loses_and_doubles_nothing(
    tmp_path: Path, expected: tuple[list[Any], dict[str, Any]], seed: int
) -> None:
    rows, whole = expected
    folder = tmp_path / "run"
    prepare(folder, rows)
    rng = random.Random(seed)
    for _ in range(2):
        process = start(folder)
        if rng.random() < 0.7:
            wait_for_commit(folder)
        time.sleep(rng.random() * 0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    finish(folder)
    assert outcome(folder) == whole


def killed_at(folder: Path, failpoint: str) -> bool:
    """Runs until it is killed there; False: it ended before."""
    environment = {**os.environ, "WRACKLINE_FAILPOINT": failpoint}
    done = subprocess.run(
        [sys.executable, "job.py", "now"], cwd=folder, env=environment, capture_output=True, timeout=60
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("seed", range(8))
def test_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, expected: tuple[list[Any], dict[str, Any]], seed: int
) -> None:
    rows, whole = expected
    folder = tmp_path / "run"
    prepare(folder, rows)
    rng = random.Random(seed)
    kills = sum(killed_at(folder, f"any@{rng.randrange(1, 250)}") for _ in range(4))
    assert kills > 0
    finish(folder)
    assert outcome(folder) == whole


@pytest.mark.parametrize("point", ["sealed", "journal_row_sent", "end_txn_sent", "answer_lost", "committed", "frozen"])
def test_killed_at_a_failpoint_and_started_again_loses_and_doubles_nothing(
    tmp_path: Path, expected: tuple[list[Any], dict[str, Any]], point: str
) -> None:
    rows, whole = expected
    folder = tmp_path / "run"
    prepare(folder, rows)
    assert killed_at(folder, f"{point}@2")
    finish(folder)
    assert outcome(folder) == whole

"""A job that cannot keep up takes no more memory for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import wrackline as wl

JOB = Path(__file__).with_name("slow_job.py")
BYTES_OF_A_ROW = 240
GROWTH_MIB = 96  # the log's buffers and cache fill up at first


@pytest.mark.slow
def test_memory_stays_flat_when_fed_twenty_times_too_fast(tmp_path: Path) -> None:
    log = f"local:{tmp_path / 'log'}"
    ended = subprocess.run(
        [sys.executable, str(JOB), log, str(tmp_path / "state"), "12"], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    print(said)
    assert said["fed"] > 20 * said["done"] > 0
    assert said["fed"] * BYTES_OF_A_ROW > 2 * GROWTH_MIB * 2**20, "too little to tell"
    assert max(said["mib"]) - said["mib"][0] < GROWTH_MIB
    with wl.Log(log, read_only=True) as written:
        assert written._core.end_offset("events", 0) >= said["fed"]

"""Disks that are full or damaged: the job stops and says so, nothing is lost, and it goes on when the cause is gone."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.python.crash.harness import Place, flip_a_bit

Check = Callable[[Place, dict[str, Any]], None]

pytestmark = pytest.mark.slow

DAMAGES = int(os.environ.get("WRACKLINE_DAMAGES", "12"))
MEANINGLESS = ("LOG", "OPTIONS", "IDENTITY", "owner")  # files of the log that say nothing about it


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[None]:
    """A file system of its own, for those who may mount one."""
    at.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(at)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


def fill(directory: Path, leave: int) -> Path:
    """Takes all of the disk but about so many bytes."""
    stat = os.statvfs(directory)
    filler = directory / "filler"
    filler.write_bytes(bytes(max(0, stat.f_bavail * stat.f_bsize - leave)))
    return filler


@pytest.mark.parametrize("leave", [0, 60_000, 200_000])
def test_the_disk_of_the_log_is_full(source: Place, tmp_path: Path, check: Check, leave: int) -> None:
    with small_disk(tmp_path / "disk", "24m"):
        place = source.copy(tmp_path / "disk" / "place")
        place.settings["state_dir"] = str(tmp_path / "state")
        filler = fill(tmp_path / "disk", leave)
        ended = place.run()
        assert ended.code == 3, (ended.out, ended.err)
        assert ended.err.startswith("UnavailableError: "), ended.err
        assert "space" in ended.err or "full" in ended.err, ended.err
        filler.unlink()
        check(place, place.finish().said)


@pytest.mark.parametrize("leave", [0, 12_000, 40_000])
def test_the_disk_of_the_state_is_full(source: Place, tmp_path: Path, check: Check, leave: int) -> None:
    with small_disk(tmp_path / "disk", "1m"):
        place = source.copy(tmp_path / "place")
        place.settings["state_dir"] = str(tmp_path / "disk" / "state")
        filler = fill(tmp_path / "disk", leave)
        ended = place.run(run={"rows": 2_000})
        # Checkpoints that fail are tried again; what cannot be done without one is an error.
        assert ended.code in (0, 3), ended.err
        if ended.code == 3:
            assert ended.err.startswith("UnavailableError: "), ended.err
            assert "space" in ended.err or "full" in ended.err, ended.err
        filler.unlink()
        check(place, place.finish().said)


def test_a_file_may_not_grow(place: Place, check: Check) -> None:
    ended = place.run(max_file_bytes=50_000)
    assert ended.code == 3, (ended.out, ended.err)
    assert ended.err.startswith("UnavailableError: "), ended.err
    check(place, place.finish().said)


@pytest.mark.parametrize("seed", range(DAMAGES))
def test_a_damaged_log_gives_no_other_answer(source: Place, tmp_path: Path, check: Check, seed: int) -> None:
    rng = random.Random(seed)
    place = source.copy(tmp_path / "place")
    assert place.run(failpoint=f"committed@{rng.randrange(5, 40)}").killed
    files = sorted(
        file
        for file in place.log_dir.rglob("*")
        if file.is_file() and file.stat().st_size > 0 and not file.name.startswith(MEANINGLESS)
    )
    trial = place.copy(tmp_path / "trial")
    file = trial.log_dir / rng.choice(files).relative_to(place.log_dir)
    if seed % 2:
        os.truncate(file, rng.randrange(file.stat().st_size))
    else:
        flip_a_bit(file, rng)
    ended = trial.run()
    print(f"{file.name}: {ended.code} {ended.err[:200]}")
    if ended.code == 0:
        check(trial, ended.said)
    else:
        assert ended.code == 3, ended.err
        assert ended.err.startswith(("CorruptionError: ", "UnavailableError: ")), ended.err
    check(place, place.finish().said)

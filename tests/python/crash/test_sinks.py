"""Files and functions of a job that is killed: every row in exactly one file, given to the function at least once."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

import wrackline as wl
from tests.python.crash.harness import Place, write_events
from tests.python.crash.test_disk import fill, small_disk

PROGRAM = Path(__file__).with_name("sinks_job.py")
KILLS = int(os.environ.get("WRACKLINE_KILLS", "20"))
SEED = int(os.environ.get("WRACKLINE_SEED", "1"))
START = 1_750_000_000_000


def events(first: int, count: int) -> list[list[bytes | None]]:
    made: list[list[bytes | None]] = [[], []]
    for number in range(first, first + count):
        row = {"id": number, "k": f"k{number % 7}", "ts": START + number * 10}
        made[number % 7 % 2].append(json.dumps(row).encode())
    return made


def new_place(root: Path, count: int, max_rows: int) -> Place:
    place = Place(root, {"out": str(root / "out"), "max_rows": max_rows}, PROGRAM)
    (root / "out").mkdir(parents=True)
    write_events(place.uri, events(0, count))
    return place


def visible_parts(directory: Path) -> list[Path]:
    if not directory.exists():
        return []
    return [directory / name for name in sorted(os.listdir(directory)) if name.startswith("part-")]


def raw_ids(place: Place) -> list[int]:
    found = visible_parts(place.root / "out" / "raw")
    return [json.loads(line)["id"] for part in found for line in part.read_text().splitlines()]


def windows(place: Place) -> pl.DataFrame:
    found = visible_parts(place.root / "out" / "windows")
    return pl.concat(pl.read_parquet(part) for part in found)


def look(place: Place, seen: dict[Path, bytes]) -> None:
    """Whatever is seen is whole, and stays as it is."""
    for part in [*visible_parts(place.root / "out" / "raw"), *visible_parts(place.root / "out" / "windows")]:
        content = part.read_bytes()
        assert seen.setdefault(part, content) == content, part
        if part.suffix == ".ndjson":
            assert content.endswith(b"}\n")
            assert all(json.loads(line) for line in content.splitlines())
        else:
            assert len(pl.read_parquet(part))


def check(place: Place, count: int) -> None:
    assert sorted(raw_ids(place)) == list(range(count))
    wanted = Counter((f"k{number % 7}", (START + number * 10) // 5_000 * 5_000) for number in range(count))
    found = windows(place)
    starts = found["window_start"].dt.epoch("ms")
    assert dict(zip(zip(found["k"], starts, strict=True), found["n"], strict=True)) == wanted
    assert len(found) == len(wanted)
    assert sorted(found["ids"].explode().to_list()) == list(range(count))
    ends: dict[str, int] = {}
    given: set[int] = set()
    again = 0
    for line in (place.root / "out" / "calls").read_text().splitlines():
        batch, ids = json.loads(line)
        _, partition, first, end = batch.rsplit("-", 3)
        # What was finished does not come again; what was under way when the process died may.
        assert int(first) >= ends.get(partition, 0) or given.issuperset(ids)
        again += len(given.intersection(ids))
        given.update(ids)
        ends[partition] = max(int(end), ends.get(partition, 0))
    assert given == set(range(count))


@pytest.mark.slow
def test_killed_before_each_step_of_making_parts(tmp_path: Path) -> None:
    """Of a run that goes on from another: the first one has left parts, and rows behind them."""
    count = 600
    whole = new_place(tmp_path / "whole", count, max_rows=100)
    ended = whole.finish()
    check(whole, count)
    steps = ended.said["steps"]
    assert steps > 50
    for kill_at in range(1, steps + 1, 4):
        place = new_place(tmp_path / f"at-{kill_at}", count, max_rows=100)
        killed = place.run(kill_at=kill_at)
        assert killed.killed, (kill_at, killed.err)
        look(place, {})
        again = place.run(kill_at=kill_at + 1)
        assert again.killed or again.code == 0, again.err
        place.finish()
        check(place, count)
        hidden = [one for one in (place.root / "out").rglob(".*") if one.is_file()]
        assert hidden == []


@pytest.mark.slow
def test_fresh_killed_before_each_step(tmp_path: Path) -> None:
    count = 300
    source = new_place(tmp_path / "source", count, max_rows=60)
    source.finish()
    (source.root / "out" / "calls").unlink()
    steps = 0
    for kill_at in range(1, 1_000, 5):
        root = tmp_path / f"at-{kill_at}"
        copied = source.copy(root)
        place = Place(root, {**source.settings, "out": str(root / "out")}, PROGRAM)
        assert copied.root == place.root
        killed = place.run(kill_at=kill_at, fresh=True)
        if killed.code == 0:
            break
        assert killed.killed, killed.err
        steps += 1
        place.finish(fresh=True)
        check(place, count)
        place.finish()
        check(place, count)
    assert steps > 10


@pytest.mark.slow
def test_killed_at_random_times(tmp_path: Path) -> None:
    count = 20_000
    whole = new_place(tmp_path / "whole", count, max_rows=500)
    began = time.monotonic()
    whole.finish()
    length = time.monotonic() - began
    check(whole, count)
    rng = random.Random(SEED)
    kills = rounds = 0
    while kills < KILLS:
        place = new_place(tmp_path / f"round-{rounds}", count, max_rows=500)
        seen: dict[Path, bytes] = {}
        while True:
            end = time.monotonic() + (rng.uniform(0.1 * length, length) if kills < KILLS else 1e9)
            with place.running() as process:
                while process.poll() is None and time.monotonic() < end:
                    look(place, seen)
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                _, err = process.communicate()
            look(place, seen)
            if process.returncode == -signal.SIGKILL:
                kills += 1
                continue
            assert process.returncode == 0, (SEED, rounds, err)
            break
        check(place, count)
        with wl.Log(place.uri, read_only=True) as log:
            assert len(log.read("sinks.read.ndjson")) == 0
        rounds += 1


@pytest.mark.slow
@pytest.mark.parametrize("leave", [0, 12_000, 40_000])
def test_the_disk_of_the_files_is_full(tmp_path: Path, leave: int) -> None:
    count = 2_000
    place = new_place(tmp_path / "place", count, max_rows=200)
    out = place.root / "out"
    out.rmdir()
    with small_disk(out, "2m"):
        (out / "calls").touch()
        filler = fill(out, leave)
        ended = place.run()
        assert ended.code == 1, ended.err
        assert "UnavailableError: write_" in ended.err
        assert "No space left on device; nothing is lost: run again" in ended.err
        look(place, {})
        filler.unlink()
        place.finish()
        check(place, count)

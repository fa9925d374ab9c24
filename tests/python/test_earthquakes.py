"""The earthquake feed, whole: the job against Polars, and the example as a user runs it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example() -> dict[str, dict[str, Any]]:
    """The modules of the example, by name."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return {
            name: runpy.run_path(str(EXAMPLES / f"{name}.py"))
            for name in ("earthquake_feed", "earthquakes", "earthquakes_in_polars")
        }
    finally:
        sys.path.remove(str(EXAMPLES))


def test_the_feed_gives_what_polars_gives(tmp_path: Path, example: dict[str, dict[str, Any]]) -> None:
    log, state = f"local:{tmp_path / 'log'}", str(tmp_path / "state")
    for _ in range(2):  # a second run finds nothing to do, and changes nothing
        subprocess.run(
            [sys.executable, str(EXAMPLES / "earthquakes.py"), log, "--state-dir", state],
            check=True,
            capture_output=True,
        )
    lines = example["earthquake_feed"]["lines"]()
    wanted = example["earthquakes_in_polars"]["expected"](lines)
    job = example["earthquakes"]
    with wl.Log(log, read_only=True) as written:
        results = written.read(job["RESULTS"]).to_polars()
        late = written.read(job["LATE"]).to_polars()
        repeated = sorted(row["id"] for row in written.read(job["REPEATED"]).rows())
        dead = written.read(job["DEAD"]).records()
    assert example["earthquakes_in_polars"]["same_results"](results, wanted.results)
    assert late.select("id", "window_start", "late_by_ms", "watermark").sort("id").equals(wanted.late)
    assert (late["late_by_ms"] >= 1).all()
    assert late["reason"].unique().to_list() == ["window"]
    assert repeated == wanted.repeated["id"].to_list()
    assert sorted(record.value for record in dead if record.value is not None) == wanted.refused
    assert {record.header("wl.reason") for record in dead} == {"decode", "schema", "timestamp"}

    ledger = job["build"](log, state).ledger()
    assert ledger.balances
    assert ledger["read"].in_ == len(lines)
    assert ledger["read"].dead_lettered == len(wanted.refused)
    assert ledger["dedup"].duplicate == len(wanted.repeated)
    assert ledger["window"].late == len(wanted.late)
    assert ledger["window"].out == wanted.results["quakes"].sum()


def test_the_undamaged_feed_has_256_late_quakes(example: dict[str, dict[str, Any]]) -> None:
    feed = example["earthquake_feed"]
    lines = [
        feed["Line"](line.arrival_ms, line.value) for line in feed["lines"]() if not line.damage and not line.repeated
    ]
    original = feed["FILE"].read_bytes().splitlines()
    assert len(lines) >= len(original) - 18
    log = wl.Log("memory:")
    log.create("earthquakes")
    log.append("earthquakes", original)
    job = wl.Job("whole", log=log)
    quakes = job.read(
        "earthquakes", example["earthquakes"]["Quake"], time="event_ms", not_before="2018-01-01", out_of_orderness="6h"
    )
    counts = quakes.key_by("net").window(wl.tumbling("6h"), allowed_lateness="24h").agg(n=wl.count())
    assert len(counts.late.collect(close=True)) == 256

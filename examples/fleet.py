"""Speeds of a fleet per truck and five minutes, each reading counted once.

python examples/fleet_generator.py local:DIR
python examples/fleet.py local:DIR
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import wrackline as wl

READINGS, RESULTS, LATE, DEAD = "truck-readings", "truck-speeds", "truck-speeds-late", "truck-readings-dead"


class Reading(wl.Schema):
    reading_id: int
    truck_id: str
    speed: float
    ts: datetime


def build(log: str, state_dir: str) -> wl.Job:
    job = wl.Job("fleet", log=log, state_dir=state_dir, checkpoint_interval="500ms")
    readings = job.read(READINGS, Reading, time="ts", unit="ms", out_of_orderness="30s", partitioned_by="truck_id")
    once = readings.dedup("reading_id", within="10m")
    speeds = (
        once.key_by("truck_id")
        .window(wl.tumbling("5m"), allowed_lateness="10m")
        .agg(n=wl.count(), total=wl.sum("speed"), slowest=wl.min("speed"), fastest=wl.max("speed"))
    )
    speeds.write(RESULTS)
    job.late.write(LATE)
    job.dead_letters.write(DEAD)
    return job


def progress_line() -> Callable[[wl.Stats], None]:
    """Rows, rate, watermark, late; in place on a terminal, else line by line."""
    began = time.monotonic()
    end = "\r" if sys.stdout.isatty() else "\n"

    def show(stats: wl.Stats) -> None:
        replayed = f", {stats.rows_replayed:,} replayed" if stats.rows_replayed else ""
        if stats.rows_total == 0 or not math.isfinite(stats.watermark):
            print(f"{stats.phase}{replayed}", end=end, flush=True)
            return
        rate = stats.rows_taken / (time.monotonic() - began)
        watermark = datetime.fromtimestamp(stats.watermark / 1000, tz=UTC)
        print(
            f"{stats.rows_taken:,} of {stats.rows_total:,} rows{replayed}, {rate:,.0f}/s, "
            f"watermark {watermark:%H:%M:%S}, {stats.late:,} late",
            end=end,
            flush=True,
        )

    return show


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("log", help="such as local:data")
    arguments.add_argument("--state-dir", default=".wrackline")
    options = arguments.parse_args()
    job = build(options.log, options.state_dir)
    print(job.run(until="now", close=True, progress=progress_line()))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

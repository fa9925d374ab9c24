"""A job that is fed faster than it can go, in a process of its own: python slow_job.py LOG STATE_DIR SECONDS

A thread appends without a pause for the job, whose own thread sleeps most of the time. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import polars as pl

import wrackline as wl

ROWS = 10_000  # of an append
FEED_SECONDS = 0.05  # between appends
NAP_SECONDS = 3.0  # of the job, again and again


class Event(wl.Schema):
    k: str
    v: int
    text: str
    ts: datetime


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def build(log: wl.Log, state_dir: str) -> wl.Job:
    job = wl.Job("slow", log=log, state_dir=state_dir, commit_rows=100)
    events = job.read("events", Event, time="ts", out_of_orderness="1s")
    events.filter("v", ">=", 0).key_by("k").window(wl.tumbling("1s")).agg(n=wl.count(), last=wl.last("text")).write(
        "out"
    )
    return job


def main() -> None:
    seconds = float(sys.argv[3])
    log = wl.Log(sys.argv[1])
    log.create("events")
    frame = pl.DataFrame({"k": [f"k{i % 100}" for i in range(ROWS)], "v": range(ROWS), "text": ["x" * 200] * ROWS})
    stop = threading.Event()
    fed = 0

    def feed() -> None:
        nonlocal fed
        while not stop.is_set():
            log.append("events", frame.with_columns(ts=1_750_000_000_000 + fed // 10 + pl.int_range(ROWS) // 10))
            fed += ROWS
            stop.wait(FEED_SECONDS)

    sizes: list[float] = []
    done = 0

    def crawl(stats: wl.Stats) -> None:
        nonlocal done
        done = stats.rows_taken
        sizes.append(resident_mib())
        time.sleep(NAP_SECONDS)
        sizes.append(resident_mib())

    feeder = threading.Thread(target=feed)
    job = build(log, sys.argv[2])
    feeder.start()
    try:
        job.run(seconds=seconds, progress=crawl)
    finally:
        stop.set()
        feeder.join()
    print(json.dumps({"fed": fed, "done": done, "mib": [round(size) for size in sizes]}))


if __name__ == "__main__":
    main()

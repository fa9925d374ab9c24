"""Readings of a fleet, appended to a local log: 8,000 trucks, one reading each every five seconds.

    python examples/fleet_generator.py local:DIR [--readings 5000000] [--seed 1] [--truth truth.npz]

A reading reaches the log some seconds after it was taken, one in 500 up to 40 minutes later (a truck in a tunnel),
one in 100 a second time, and one in 2,000 damaged. Deterministic by its seed. `--truth` writes what a job has to find:
computed here from the arrays, by other means than the job's.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import wrackline as wl

TOPIC = "truck-readings"
PARTITIONS = 4
TRUCKS = 8_000
EVERY_MS = 5_000
START_MS = 1_740_985_200_000  # 2025-03-03 07:00 UTC
CHUNK = 200_000  # readings appended at a time

# What examples/fleet.py is set to; the truth depends on them.
OUT_OF_ORDERNESS_MS = 30_000
DEDUP_WITHIN_MS = 600_000
ALLOWED_LATENESS_MS = 600_000
WINDOW_MS = 300_000

DAMAGED_LINES = [
    b'{"reading_id": 17, "truck_id": "truck-0017", "speed": 6',
    b'{"reading_id": 18, "truck_id": "truck-0018", "speed": "fast", "ts": 1740985200000}',
    b'{"reading_id": 19, "truck_id": null, "speed": 61.5, "ts": 1740985200000}',
    b'{"reading_id": 20, "truck_id": "truck-0020", "speed": 61.5, "ts": 20003785200000}',
    b"\xff\xfe\x00",
]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Readings:
    """All that is sent, in order of arrival."""

    number: Array  # the reading's id
    truck: Array
    ts: Array  # event time, ms
    speed: Array  # km/h in quarters, so that sums are exact
    damaged: Array

    def __len__(self) -> int:
        return len(self.number)


def make(count: int, seed: int) -> Readings:
    rng = np.random.default_rng(seed)
    number = np.arange(count, dtype=np.int64)
    truck = (number % TRUCKS).astype(np.int32)
    phase = rng.integers(0, EVERY_MS, TRUCKS)
    ts = START_MS + number // TRUCKS * EVERY_MS + phase[truck]
    cruising = rng.integers(120, 340, TRUCKS)
    speed = np.clip(cruising[truck] + rng.integers(-60, 61, count), 0, None) / 4

    delay = rng.exponential(2_000, count).clip(max=25_000)
    tunnel = rng.random(count) < 1 / 500
    delay[tunnel] = rng.uniform(30_000, 2_400_000, int(tunnel.sum()))
    arrival = ts + delay.astype(np.int64)

    again = np.flatnonzero(rng.random(count) < 1 / 100)
    arrival_again = arrival[again] + rng.integers(0, 300_000, len(again))
    order = np.argsort(np.concatenate([arrival, arrival_again]), kind="stable")
    sent = np.concatenate([number, again])[order]
    return Readings(sent, truck[sent], ts[sent], speed[sent], rng.random(len(sent)) < 1 / 2_000)


def truth(readings: Readings) -> tuple[dict[str, int], pl.DataFrame]:
    """What becomes of the readings by docs/semantics.md, partition by partition, in whole columns."""
    counts = {"sent": len(readings), "dead_lettered": int(readings.damaged.sum()), "duplicate": 0, "late": 0}
    kept = []
    for partition in range(PARTITIONS):
        mine = (readings.truck % PARTITIONS == partition) & ~readings.damaged
        number, ts = readings.number[mine], readings.ts[mine]
        watermark = np.maximum.accumulate(ts) - OUT_OF_ORDERNESS_MS
        before = np.concatenate([[np.iinfo(np.int64).min], watermark[:-1]])
        late = ts + ALLOWED_LATENESS_MS < before
        # A second one is a duplicate of the first, as both have the same event time, unless the first was refused.
        # (Where the first was late, so is the second.)
        first = np.zeros(len(number), dtype=bool)
        first[np.unique(number, return_index=True)[1]] = True
        window_end = ts // WINDOW_MS * WINDOW_MS + WINDOW_MS
        assert not (~late & (window_end + ALLOWED_LATENESS_MS <= before)).any()
        counts["late"] += int(late.sum())
        counts["duplicate"] += int((~late & ~first).sum())
        accepted = np.flatnonzero(mine)[~late & first]
        kept.append(
            pl.DataFrame(
                {
                    "truck_id": readings.truck[accepted],
                    "window_start": readings.ts[accepted] // WINDOW_MS * WINDOW_MS,
                    "speed": readings.speed[accepted],
                }
            )
        )
    accepted_rows = pl.concat(kept)
    counts["accepted"] = len(accepted_rows)
    windows = accepted_rows.group_by("truck_id", "window_start").agg(
        n=pl.len(), total=pl.col("speed").sum(), slowest=pl.col("speed").min(), fastest=pl.col("speed").max()
    )
    counts["windows"] = len(windows)
    names = pl.DataFrame(
        {"truck_id": np.arange(TRUCKS, dtype=np.int32), "name": [truck_name(i) for i in range(TRUCKS)]}
    )
    windows = windows.join(names, on="truck_id").select(
        pl.col("name").alias("truck_id"), "window_start", pl.col("n").cast(pl.Int64), "total", "slowest", "fastest"
    )
    return counts, windows.sort("truck_id", "window_start")


def truck_name(number: int) -> str:
    return f"truck-{number:04}"


def append(log: wl.Log, readings: Readings) -> None:
    log.create(TOPIC, partitions=PARTITIONS)
    names = pl.Series([truck_name(i) for i in range(TRUCKS)])
    for begin in range(0, len(readings), CHUNK):
        part = slice(begin, begin + CHUNK)
        good = ~readings.damaged[part]
        partition_of = readings.truck[part] % PARTITIONS
        frame = pl.DataFrame(
            {
                "reading_id": readings.number[part],
                "truck_id": names.gather(readings.truck[part]),
                "speed": readings.speed[part],
                "ts": readings.ts[part],
            }
        )
        for partition in range(PARTITIONS):
            here = partition_of == partition
            log.append(TOPIC, frame.filter(good & here), partition=partition)
            damaged = int((here & ~good).sum())
            if damaged:
                log.append(
                    TOPIC,
                    [DAMAGED_LINES[(begin + i) % len(DAMAGED_LINES)] for i in range(damaged)],
                    partition=partition,
                )
        if sys.stdout.isatty():
            print(f"  {min(begin + CHUNK, len(readings)):>9,} of {len(readings):,} readings ", end="\r", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("log", help="such as local:data")
    arguments.add_argument("--readings", type=int, default=5_000_000, help="before the second deliveries")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--truth", type=Path, help="where to write what the job has to find (.parquet)")
    options = arguments.parse_args()
    readings = make(options.readings, options.seed)
    with wl.Log(options.log) as log:
        append(log, readings)
    if options.truth is not None:
        counts, windows = truth(readings)
        windows.write_parquet(options.truth, metadata={name: str(count) for name, count in counts.items()})


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

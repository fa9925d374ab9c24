"""Earthquakes per network and six hours, from a feed that comes minutes to days late.

    python examples/earthquakes.py [local:DIR]

Event time is the quake, arrival is its publication. Kill it whenever you like and start it again: it goes on where its
last commit stands, and every record is accounted for.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

import earthquake_feed

import wrackline as wl

RESULTS, LATE, REPEATED, DEAD = "quakes-6h", "quakes-late", "quakes-repeated", "quakes-dead"


class Quake(wl.Schema):
    id: str
    net: str
    event_ms: datetime
    published_ms: datetime
    mag: float | None


def build(log: str, state_dir: str) -> wl.Job:
    job = wl.Job("earthquakes", log=log, state_dir=state_dir, commit_rows=100, commit_interval="10s")
    quakes = job.read(
        earthquake_feed.TOPIC,
        Quake,
        time="event_ms",
        unit="ms",
        not_before="2018-01-01",  # the default refuses whatever is older than 2020
        out_of_orderness="6h",
        warn_late="7d",
    )
    # Remembered for long, so that a late entry is judged by the window it missed and not here.
    once = quakes.dedup("id", within="7d", allowed_lateness="7d")
    per_network = (
        once.key_by("net")
        .window(wl.tumbling("6h"), allowed_lateness="24h")
        .agg(quakes=wl.count(), mean_mag=wl.mean("mag"), max_mag=wl.max("mag"))
    )
    per_network.write(RESULTS)
    job.late.write(LATE)
    once.duplicates.write(REPEATED)
    job.dead_letters.write(DEAD)
    return job


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("log", nargs="?", default="local:.wrackline/earthquakes-log")
    arguments.add_argument("--state-dir", default=".wrackline")
    options = arguments.parse_args()
    earthquake_feed.publish(options.log)
    job = build(options.log, options.state_dir)
    print(job.run(until="now", close=True))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

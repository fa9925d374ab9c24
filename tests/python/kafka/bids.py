"""A job over bids, in a process of its own: python tests/python/kafka/bids.py SETTINGS_AS_JSON

Counts and sums the bids of each bidder in windows of ten seconds; with "stateless" it only passes the good ones on.
Prints one line of JSON when it ends in order, with "progress" also before. An error of the package ends it with 3.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

import wrackline as wl

PROGRAM = Path(__file__)
WINDOW_MS = 10_000
DISORDER_MS = 500
START_MS = 1_750_000_000_000
_OPTIONS = (
    "commit_interval",
    "commit_rows",
    "checkpoint_interval",
    "guarantee",
    "membership",
    "transaction_timeout",
    "workers",
)


class Bid(wl.Schema):
    auction: int
    bidder: int
    price: int
    channel: str
    dateTime: datetime  # noqa: N815, as in the data


def make_bids(
    count: int, *, bidders: int = 40, seed: int = 1, first: int = 0, every_ms: int = 20
) -> list[dict[str, Any]]:
    """Bids `first` to `first + count`, out of order by less than the job waits for."""
    rng = random.Random(seed * 1_000_003 + first)
    return [
        {
            "auction": number,
            "bidder": rng.randrange(bidders),
            "price": rng.randrange(-5, 1_000),
            "channel": "apple",
            "dateTime": START_MS + number * every_ms - rng.randrange(DISORDER_MS),
        }
        for number in range(first, first + count)
    ]


def by_partition(bids: list[dict[str, Any]], partitions: int = 4) -> list[list[bytes | None]]:
    made: list[list[bytes | None]] = [[] for _ in range(partitions)]
    for bid in bids:
        made[bid["bidder"] % partitions].append(json.dumps(bid, separators=(",", ":")).encode())
    return made


def append(log: wl.Log, topic: str, bids: list[dict[str, Any]], partitions: int = 4) -> None:
    for number, values in enumerate(by_partition(bids, partitions)):
        if values:
            log.append(topic, values, partition=number)


def expected(bids: list[dict[str, Any]]) -> pl.DataFrame:
    """Each bidder's windows, by Polars."""
    return (
        pl.DataFrame(bids)
        .group_by("bidder", window_start=pl.col("dateTime") // WINDOW_MS * WINDOW_MS)
        .agg(
            n=pl.len().cast(pl.Int64),
            total=pl.col("price").sum(),
            low=pl.col("price").min(),
            high=pl.col("price").max(),
        )
        .sort("bidder", "window_start")
    )


def assert_windows(log: wl.Log, topic: str, bids: list[dict[str, Any]]) -> None:
    """Every window is there, once, and right."""
    wanted = expected(bids)
    found = log.read(topic).to_polars()
    if found.is_empty():
        raise AssertionError(f"no rows, {len(wanted)} wanted")
    found = found.select(wanted.columns).sort("bidder", "window_start")
    twice = len(found) - found.select("bidder", "window_start").n_unique()
    assert twice == 0, f"{twice} windows came twice"
    missing = wanted.join(found, on=["bidder", "window_start"], how="anti")
    assert missing.is_empty(), f"{len(missing)} of {len(wanted)} windows are missing"
    wrong = found.join(wanted, on=wanted.columns, how="anti")
    assert wrong.is_empty(), f"{len(wrong)} of {len(wanted)} windows are wrong: {wrong.head(3)}"


def assert_passed_on(log: wl.Log, topic: str, bids: list[dict[str, Any]]) -> None:
    """The stateless job: each good bid, once."""
    found = sorted(row["auction"] for row in log.read(topic).rows())
    assert found == [bid["auction"] for bid in bids if bid["price"] >= 0]


def build(settings: dict[str, Any]) -> wl.Job:
    log = wl.Kafka(settings["log"], **settings["kafka"]) if "kafka" in settings else settings["log"]
    options = {name: settings[name] for name in _OPTIONS if name in settings}
    prefix = settings["prefix"]
    job = wl.Job(settings["name"], log=log, state_dir=settings["state_dir"], **options)
    bids = job.read(
        settings["topic"],
        Bid,
        time="dateTime",
        out_of_orderness=settings.get("out_of_orderness", "1s"),
        partitioned_by="bidder",
        idle_after=settings.get("idle_after"),
        idle_advance="close" if settings.get("idle_after") else "hold",
    )
    if settings.get("stateless"):
        bids.filter("price", ">=", 0).write(prefix + "windows")
    else:
        bids.key_by("bidder").window(wl.tumbling("10s")).agg(
            n=wl.count(), total=wl.sum("price"), low=wl.min("price"), high=wl.max("price")
        ).write(prefix + "windows")
        job.late.write(prefix + "late")
    job.dead_letters.write(prefix + "dead")
    return job


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    settings = json.loads(sys.argv[1])

    def progress(stats: wl.Stats) -> None:
        if settings.get("progress"):
            print(json.dumps({"phase": stats.phase, "rows": stats.rows_taken, "commits": stats.commits}), flush=True)

    try:
        outcome = build(settings).run(progress=progress, **settings.get("run", {"until": "now", "close": True}))
    except wl.WracklineError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3
    ledger = {
        str(number): {step: counts.as_dict() for step, counts in steps.items()}
        for number, steps in outcome.ledger.partitions.items()
    }
    stats = {**asdict(outcome.stats), "watermark": repr(outcome.stats.watermark)}
    print(json.dumps({"stats": stats, "ledger": ledger}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

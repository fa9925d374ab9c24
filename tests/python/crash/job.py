"""The job of the crash tests, in a process of its own: python tests/python/crash/job.py SETTINGS_AS_JSON

Prints one line of JSON when it ends in order: {"stats": ..., "ledger": ...}. An error of the package ends it with 3 and
"<class>: <text>" on stderr.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

import polars as pl

import wrackline as wl


class Event(wl.Schema):
    id: str
    k: str
    v: float | None
    ts: datetime


class OwnSum(wl.Aggregator):
    """Sums each call's rows first, so that how rows are cut into calls shows in the last bits."""

    def init(self) -> Any:
        return {"total": 0.0}

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        more = rows.group_by(group, maintain_order=True).agg(pl.col("v").sum() / 3)
        return states.select(pl.col("total") + more["v"])

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        return states + later

    def finish(self, states: pl.DataFrame) -> pl.Series:
        return states["total"]


def new_job(settings: dict[str, Any]) -> wl.Job:
    """Without a plan yet."""
    options = {
        name: settings[name]
        for name in (
            "commit_interval",
            "commit_rows",
            "checkpoint_interval",
            "memory_limit",
            "guarantee",
            "membership",
            "transaction_timeout",
            "workers",
        )
        if name in settings
    }
    log = wl.Kafka(settings["log"], **settings["kafka"]) if "kafka" in settings else settings["log"]
    return wl.Job(settings.get("name", "crash"), log=log, state_dir=settings["state_dir"], **options)


def build(settings: dict[str, Any]) -> wl.Job:
    prefix = settings.get("prefix", "")  # of the topics, where others share the log
    job = new_job(settings)
    events = job.read(
        settings.get("topic", "events"),
        Event,
        time="ts",
        unit="ms",
        out_of_orderness=settings.get("out_of_orderness", "2s"),
        partitioned_by="k",
    )
    kept = events.filter("v", ">=", 0.0)
    once = kept.dedup("id", within="20s", allowed_lateness="10s")
    keyed = once.key_by("k")
    late_panes: Literal["each", "commit"] = "each" if settings.get("each") else "commit"
    tumbling = keyed.window(
        wl.tumbling(settings.get("window", "5s")),
        allowed_lateness=settings.get("allowed_lateness", "3s"),
        emit_late=late_panes,
        name="tumbling",
    ).agg(
        n=wl.count(),
        total=wl.sum("v"),
        mean=wl.mean("v"),
        low=wl.min("v"),
        high=wl.max("v"),
        half=wl.median("v"),
        top=wl.top_k("v", 2),
        best=wl.arg_max("id", by="v"),
        kinds=wl.approx_n_unique("id"),
        near=wl.approx_quantile("v", 0.9),
    )
    hopping = keyed.window(wl.hopping("6s", "2s"), allowed_lateness="1s", emit_late=late_panes, name="hopping").agg(
        n=wl.count(),
        first=wl.first("v"),
        last=wl.last("v"),
        ids=wl.n_unique("id"),
        set=wl.collect_set("id"),
        common=wl.approx_most_common("v", 3),
        own=wl.aggregate(OwnSum(), "v"),
    )
    tumbling.write(prefix + "tumbling")
    hopping.write(prefix + "hopping")
    job.late.write(prefix + "late")
    once.duplicates.write(prefix + "duplicates")
    job.dead_letters.write(prefix + "dead")
    return job


def main(build: Callable[[dict[str, Any]], wl.Job]) -> int:
    settings = json.loads(sys.argv[1])
    if "max_file_bytes" in settings:
        resource.setrlimit(resource.RLIMIT_FSIZE, (settings["max_file_bytes"], resource.RLIM_INFINITY))

    def progress(stats: wl.Stats) -> None:
        if settings.get("progress"):
            print(json.dumps({"phase": stats.phase, "rows": stats.rows_taken}), flush=True)

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
    sys.exit(main(build))

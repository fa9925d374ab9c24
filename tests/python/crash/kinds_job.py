"""A job of `kinds.KINDS`, in a process of its own: python tests/python/crash/kinds_job.py SETTINGS_AS_JSON"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import polars as pl

import wrackline as wl
from tests.python.crash.job import OwnSum, main, new_job
from tests.python.crash.kinds import KINDS, Windows


class Event(wl.Schema):
    id: str
    k: str
    g: str | None
    z: str
    n: int | None
    v: float | None
    ts: datetime


class OwnTotal(wl.Aggregator):
    """Of integers: does not follow the order of rows."""

    def init(self) -> Any:
        return {"total": 0}

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        more = rows.group_by(group, maintain_order=True).agg(pl.col("n").sum())
        return states.select(pl.col("total") + more["n"])

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        return states + later

    def finish(self, states: pl.DataFrame) -> pl.Series:
        return states["total"]


# What the oracle knows; what is the same in any order of the records; and what follows it.
COUNTED = {"count": wl.count(), "total": wl.sum("n")}
ANY_ORDER = {
    "low": wl.min("v"),
    "middle": wl.quantile("v", 0.3),
    "top": wl.top_k("v", 2),
    "different": wl.n_unique("id"),
    "kinds": wl.approx_n_unique("id"),
    "own": wl.aggregate(OwnTotal(), "n"),
}
IN_ORDER = {
    "sum": wl.sum("v"),
    "var": wl.var("v"),
    "last": wl.last("v"),
    "all": wl.collect("id"),
    "near": wl.approx_quantile("v", 0.9),
    "common": wl.approx_most_common("v", 3),
    "best": wl.arg_max("id", by="v"),
    "whose": wl.aggregate(OwnSum(), "v"),
}


def window_of(shape: tuple[Any, ...]) -> wl.Window:
    match shape:
        case ("tumbling", size, offset):
            return wl.tumbling(size, offset=offset)
        case ("hopping", size, slide):
            return wl.hopping(size, slide)
        case ("session", gap):
            return wl.session(gap)
        case ("rolling", size):
            return wl.rolling(size)
        case ("count", rows):
            return wl.count_window(rows)
        case ("global",):
            return wl.global_window()
        case (("hour" | "day" | "week") as unit, None):
            return wl.calendar(unit, tz_column="z")
        case (unit, zone):
            return wl.calendar(unit, tz=zone)
    raise AssertionError(shape)


def build(settings: dict[str, Any]) -> wl.Job:
    kind = KINDS[settings["kind"]]
    prefix = settings.get("prefix", "")
    job = new_job(settings)
    streams = []
    for topic in kind.inputs:
        events = job.read(
            settings.get("inputs", {}).get(topic, topic),
            Event,
            time="ts",
            unit="ms",
            out_of_orderness=kind.bound,
            partitioned_by=() if kind.staged else "k",
            name=topic,
        )
        streams.append(events.filter("v", ">=", 0.0))
    stream = wl.merge(streams[0], *streams[1:], name="both") if len(streams) > 1 else streams[0]

    def add(one: Windows, over: wl.Stream, aggregates: dict[str, Any]) -> wl.Stream:
        options = {**one.options, **({"allowed_lateness": one.lateness} if one.lateness else {})}
        if one.delta or one.emit == "final_only":
            options["emit"] = one.emit
        rows = over.key_by(*one.keys).window(window_of(one.shape), name=one.name, **options).agg(**aggregates)
        rows.write(prefix + one.name)
        return rows

    for one in kind.windows:
        aggregates = {**COUNTED, **ANY_ORDER, **({} if kind.staged else IN_ORDER)}
        rows = add(one, stream, COUNTED if one.then else aggregates)
        if one.then:
            add(one.then, rows, {"count": wl.sum("count"), "total": wl.sum("total"), "rows": wl.count()})
    job.late.write(prefix + "late")
    job.dead_letters.write(prefix + "dead")
    return job


if __name__ == "__main__":
    sys.exit(main(build))

"""What the crash job must answer: the rules of docs/semantics.md record by record, the aggregates by Polars."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

import wrackline as wl

BOUND = 2_000  # out_of_orderness
DEDUP_WITHIN, DEDUP_LATENESS = 20_000, 10_000
TUMBLING, TUMBLING_LATENESS = 5_000, 3_000
HOPPING, SLIDE, HOPPING_LATENESS = 6_000, 2_000, 1_000
NOT_BEFORE = 1_577_836_800_000  # 2020


@dataclass
class Expected:
    tumbling: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    hopping: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    late: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)  # id, step, late_by_ms, watermark
    duplicates: Counter[str] = field(default_factory=Counter)
    dead: Counter[bytes | None] = field(default_factory=Counter)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)  # of the first step, by partition


def expected(partitions: Sequence[Sequence[bytes | None]]) -> Expected:
    found = Expected()
    for number, values in enumerate(partitions):
        _walk(found, number, values)
    return found


def _decoded(value: bytes) -> dict[str, Any] | None:
    """None: a dead letter."""
    try:
        row = json.loads(value)
    except (ValueError, UnicodeDecodeError):
        return None
    good = (
        isinstance(row.get("id"), str)
        and isinstance(row.get("k"), str)
        and (row.get("v") is None or isinstance(row["v"], (int, float)))
        and isinstance(row.get("ts"), int)
        and row["ts"] >= NOT_BEFORE
    )
    return row if good else None


def _walk(found: Expected, number: int, values: Sequence[bytes | None]) -> None:
    watermark = -math.inf
    passed: defaultdict[str, list[int]] = defaultdict(list)
    in_tumbling: list[dict[str, Any]] = []
    in_hopping: list[dict[str, Any]] = []
    counts = found.counts[number] = {"in": len(values), "skipped": 0, "dead_lettered": 0}

    def judge(row: dict[str, Any]) -> None:
        at = row["ts"]
        if row["v"] is None or not row["v"] >= 0.0:
            return
        if at + DEDUP_LATENESS < watermark:
            found.late[row["id"], "dedup", int(watermark) - at - DEDUP_LATENESS, int(watermark)] += 1
            return
        if any(abs(at - earlier) < DEDUP_WITHIN for earlier in passed[row["id"]]):
            found.duplicates[row["id"]] += 1
            return
        passed[row["id"]].append(at)
        put("tumbling", row, TUMBLING, TUMBLING, TUMBLING_LATENESS, in_tumbling)
        put("hopping", row, HOPPING, SLIDE, HOPPING_LATENESS, in_hopping)

    def put(step: str, row: dict[str, Any], size: int, slide: int, lateness: int, into: list[dict[str, Any]]) -> None:
        newest = row["ts"] // slide * slide
        starts = range(newest, row["ts"] - size, -slide)
        kept = [start for start in starts if start + size + lateness > watermark]
        into.extend({**row, "start": start} for start in kept)
        if not kept:
            missed_by = int(watermark) - (newest + size + lateness) + 1
            found.late[row["id"], step, missed_by, int(watermark)] += 1

    for value in values:
        if value is None:
            counts["skipped"] += 1
            continue
        row = _decoded(value)
        if row is None:
            counts["dead_lettered"] += 1
            found.dead[value] += 1
            continue
        judge(row)
        watermark = max(watermark, row["ts"] - BOUND)

    types = {"id": pl.String, "k": pl.String, "v": pl.Float64, "ts": pl.Int64, "start": pl.Int64}
    v, by_time = pl.col("v"), pl.col("v").sort_by("ts", maintain_order=True)
    found.tumbling |= _grouped(
        pl.DataFrame(in_tumbling, schema=types), n=pl.len(), total=v.sum(), mean=v.mean(), low=v.min(), high=v.max()
    )
    found.hopping |= _grouped(
        pl.DataFrame(in_hopping, schema=types),
        n=pl.len(),
        first=by_time.first(),
        last=by_time.last(),
        ids=pl.col("id").n_unique(),
    )


def _grouped(rows: pl.DataFrame, **aggregates: pl.Expr) -> dict[tuple[str, int], dict[str, Any]]:
    grouped = rows.group_by("k", "start", maintain_order=True).agg(**aggregates)
    return {(row.pop("k"), row.pop("start")): row for row in grouped.to_dicts()}


def assert_expected(log: wl.Log, prefix: str, wanted: Expected) -> None:
    """What the job wrote to topics that begin with `prefix`."""
    for step in ("tumbling", "hopping"):
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for row in log.read(prefix + step).rows():  # of one key in one partition: the last revision is the last
            rows[row["k"], row["window_start"]] = row
        of_step: dict[tuple[str, int], dict[str, Any]] = getattr(wanted, step)
        assert rows.keys() == of_step.keys(), step
        for name, values in of_step.items():
            got = rows[name]
            for column, value in values.items():
                near = math.isclose(value, got[column], rel_tol=1e-12, abs_tol=1e-12)
                assert near, (step, name, column, value, got[column])
    late = log.read(prefix + "late").rows()
    assert Counter((row["id"], row["step"], row["late_by_ms"], row["watermark"]) for row in late) == wanted.late
    assert Counter(row["id"] for row in log.read(prefix + "duplicates").rows()) == wanted.duplicates
    assert Counter(record.value for record in log.read(prefix + "dead")) == wanted.dead

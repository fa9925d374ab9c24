"""Expressions and Python functions on Kafka: in the threads of two workers, and over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

import wrackline as wl
from tests.python.kafka.harness import own_name, reading

SCHEMA = {"id": int, "k": str, "v": float, "ts": int}
T0 = 1_700_000_000_000


def test_two_workers_call_the_same_functions(broker: str, tmp_path: Path) -> None:
    rows = [{"id": i, "k": f"k{i % 50}", "v": float(i % 97), "ts": T0 + i * 10} for i in range(8_000)]
    name = own_name() + "job"
    with wl.Log(f"kafka://{broker}") as log:
        log.create(name + "-in", partitions=4)

    def run(part: list[dict[str, Any]], **options: Any) -> None:
        with wl.Log(f"kafka://{broker}") as log:
            log.append(name + "-in", part, key="k")
        job = wl.Job(name, log=f"kafka://{broker}", state_dir=str(tmp_path / "state"), workers=2)
        read = job.read(name + "-in", SCHEMA, time="ts", out_of_orderness="1s", partitioned_by="k")
        made = read.filter(pl.col("v") > 10).with_columns(w=pl.col("v") * 2)
        called = made.map(lambda w, id: w + 1 / (id % 1_000), returns={"x": float})
        called.key_by("k").window(wl.tumbling("10s")).agg(x=wl.sum("x"), n=wl.count()).write(name + "-out")
        job.run(until="now", **options)

    run(rows[:3_000])
    run(rows[3_000:], close=True)
    frame = pl.DataFrame(rows).filter(pl.col("v") > 10, pl.col("id") % 1_000 != 0)
    wanted = (
        frame.with_columns(x=pl.col("v") * 2 + 1 / (pl.col("id") % 1_000))
        .group_by("k", window_start=pl.col("ts") // 10_000 * 10_000)
        .agg(pl.col("x").sum(), n=pl.len())
    )
    with reading(broker) as log:
        got = log.read(name + "-out").to_polars()
        dead = len(log.read(name + ".dead"))
    assert sorted(got.select("k", "window_start", "n").rows()) == sorted(wanted.select("k", "window_start", "n").rows())
    both = got.join(wanted, on=["k", "window_start"], suffix="_wanted")
    assert (both["x"] - both["x_wanted"]).abs().max() < 1e-6  # type: ignore[operator]
    assert dead == pl.DataFrame(rows).filter(pl.col("v") > 10, pl.col("id") % 1_000 == 0).height


def test_a_fresh_run_behind_more_workers_leaves_no_partition_out(broker: str, tmp_path: Path) -> None:
    name = own_name()
    uri = f"kafka://{broker}"

    def job(**options: Any) -> wl.Job:
        made = wl.Job(name, log=uri, state_dir=str(tmp_path / "state"), **options)
        read = made.read(f"{name}-in", {"k": str, "ts": int}, time="ts", out_of_orderness="1s", partitioned_by="k")
        read.write(f"{name}-out")
        return made

    with wl.Log(uri) as log:
        log.create(f"{name}-in", partitions=4)
        log.append(f"{name}-in", [{"k": f"k{i % 9}", "ts": 1_700_000_000_000 + i} for i in range(2_000)], key="k")
    assert job(workers=2).run(until="now").rows == 2_000
    # Static members keep their partitions for a while after an orderly end; what they committed is forgotten now.
    result = job().run(until="now", fresh=True)
    assert result.rows == 2_000
    assert result.ledger["read"].in_ == 2_000

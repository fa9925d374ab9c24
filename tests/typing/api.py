"""Checked by `mypy --strict`, never run: what the public API's types say, and what they refuse."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import polars as pl
import pyarrow as pa

import wrackline as wl
from wrackline.testing import Driver


class Reading(wl.Schema):
    event_id: str
    truck_id: str
    speed: float | None = wl.field(path="gps.speed")
    ts: datetime


job = wl.Job("fleet", log="local:data", commit_interval=timedelta(milliseconds=100), memory_limit=1 << 30)
readings = job.read("readings", Reading, time="ts", unit="ms", out_of_orderness="30s", partitioned_by="truck_id")
assert_type(readings, wl.Stream)
fresh = readings.filter("speed", ">=", 0).dedup("event_id", within="24h")
assert_type(fresh, wl.Stream)
assert_type(fresh.late, wl.SideStream)
assert_type(fresh.duplicates.filter("truck_id", "==", "t1"), wl.SideStream)
keyed = fresh.key_by("truck_id")
assert_type(keyed, wl.KeyedStream)
windowed = keyed.window(wl.tumbling("5m"), allowed_lateness="10m", emit_late="each")
assert_type(windowed, wl.WindowedStream)
speeds = windowed.agg(n=wl.count(), mean_speed=wl.mean("speed"), total=wl.sum("speed", wide=True))
assert_type(speeds, wl.Stream)
speeds.write(lambda rows: print(rows.columns))
speeds.write(lambda rows, batch: print(batch.upper(), rows.columns), name="two")
speeds.write_parquet("dir", every="1m", max_rows=10)
speeds.write_ndjson("dir", time_format="iso")
speeds.write("speeds", time_format="iso", nan="string")
job.late.write("late")
job.dead_letters.write("dead")

result = speeds.collect(until="now", revisions="all")
assert_type(result, wl.Result)
assert_type(result.rows(), list[dict[str, Any]])
assert_type(result.to_polars(), pl.DataFrame)
assert_type(len(result), int)
frame: pd.DataFrame = result.to_pandas()
table: pa.Table = result.to_arrow()

done = job.run(until="now", progress=True, reset=["window"])
assert_type(done, wl.RunResult)
assert_type(done.ledger["read"].balances, bool)
assert_type(done.stats.watermark, float)
with job.start(until="now") as running:
    assert_type(running, wl.RunningJob)
    assert_type(running.stats, wl.Stats)
assert_type(job.ledger(), wl.Ledger)
assert_type(job.running, wl.RunningJob | None)
for batch in speeds.batches(until="now", close=True):
    assert_type(batch, wl.Result)


async def follow() -> None:
    async for batch in job.late.batches(seconds=5.0):
        assert_type(batch, wl.Result)


assert_type(job.log, wl.Log)

with wl.Log("memory:") as lg:
    lg.create("t", partitions=4)
    assert_type(lg.append("t", [{"a": 1}], key="a", timestamps=[1]), int)
    records = lg.read("t", isolation="uncommitted")
    assert_type(records, wl.TopicRecords)
    assert_type([record.value for record in records], list[bytes | None])
    assert_type(lg.topics(), list[wl.Topic])

bounded = wl.Job("b").read(wl.from_records([{"ts": 1}]), time="ts", watermark=wl.punctuated("ts"))
assert_type(wl.from_arrow(result), wl.BoundedRows)
assert_type(wl.read_ndjson("*.ndjson", Reading), wl.BoundedRows)
assert_type(wl.read_csv([Path("a.csv"), "b.csv"], separator=";"), wl.BoundedRows)
assert_type(wl.read_parquet(Path("a.parquet"), columns=["truck_id"]), wl.BoundedRows)
assert_type(list(result.batches(1_000)), list[wl.Result])
wl.show_versions()
driver = Driver(job, clock=5)
driver.feed([{"event_id": "e"}, None, b"{}"])
assert_type(driver.results("window", times="ms"), list[dict[str, Any]])
assert_type(driver.ledger, wl.Ledger)

# What is refused. An ignore that is not needed is an error, so each of these lines must be one.
wl.Job(5)  # type: ignore[arg-type]
wl.Job("j", commit_interval=0.1)  # type: ignore[arg-type]
job.read("t", Reading)  # type: ignore[call-arg]
job.read("t", Reading, time="ts", unit="minutes")  # type: ignore[arg-type]
keyed.window("5m")  # type: ignore[arg-type]
keyed.window(wl.tumbling("5m"), emit_late="never")  # type: ignore[arg-type]
windowed.agg(n="count")  # type: ignore[arg-type]
windowed.agg(wl.count())  # type: ignore[arg-type]
fresh.dedup("event_id")  # type: ignore[call-arg]
speeds.write("t", time_format="rfc")  # type: ignore[call-overload]
speeds.write(lambda: None)  # type: ignore[arg-type]
speeds.write(print, time_format="iso")  # type: ignore[call-overload]
speeds.write_parquet("dir", every=1.5)  # type: ignore[arg-type]
wl.read_ndjson(5)  # type: ignore[arg-type]
speeds.collect(revisions="first")  # type: ignore[arg-type]
job.run(until="tomorrow")  # type: ignore[arg-type]
wl.tumbling(5.5)  # type: ignore[arg-type]

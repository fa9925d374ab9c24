"""Sensors that send every value until somebody says that it arrived: each once, and how often each was repeated."""

from typing import Any

import polars as pl

import wrackline as wl


def once(job: wl.Job, source: Any, schema: Any = None, **options: Any) -> wl.Stream:
    sent = job.read(source, schema, time="at", **options)
    values = sent.with_columns(id=pl.concat_str("sensor", pl.col("number").cast(pl.String), separator="/"))
    return values.dedup("id", within="10m").select("id", "value")


if __name__ == "__main__":
    rows = [{"sensor": f"s{i % 4}", "number": i // 12, "value": i / 8, "at": i * 500} for i in range(120)]
    job = wl.Job("sensors")
    values = once(job, wl.from_records(rows))
    print(values.collect())
    values.write("values")
    print(job.run().ledger)

"""Billing: kWh per meter and hour, from readings that come late, twice, or broken."""

from typing import Any

import polars as pl

import wrackline as wl


def bills(job: wl.Job, source: Any, schema: Any = None, **options: Any) -> wl.Stream:
    readings = job.read(source, schema, time="at", **options)
    good = readings.filter(pl.col("kwh") >= 0).dedup("reading_id", within="1d")
    hours = good.key_by("meter").window(wl.tumbling("1h")).agg(kwh=wl.sum("kwh"), readings=wl.count())
    return hours.with_columns(cents=(pl.col("kwh") * 31.5).round(2))


if __name__ == "__main__":
    rows = [
        {"reading_id": f"r{i % 90}", "meter": f"m{i % 3}", "kwh": 0.25 * (i % 7) - 0.25, "at": i * 60_000}
        for i in range(100)
    ]
    print(bills(wl.Job("billing"), wl.from_records(rows)).collect())

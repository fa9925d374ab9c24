"""Weather: the range and the mean of temperature per station and day, with the station's name from a table."""

from typing import Any

import polars as pl

import wrackline as wl

STATIONS = pl.DataFrame({"station": ["10384", "03772"], "name": ["Berlin", "London"]})


def days(job: wl.Job, source: Any, schema: Any = None, **options: Any) -> wl.Stream:
    measured = job.read(source, schema, time="at", **options).filter(pl.col("celsius").is_between(-90, 60))
    daily = measured.key_by("station").window(wl.tumbling("1d"))
    made = daily.agg(low=wl.min("celsius"), high=wl.max("celsius"), mean=wl.mean("celsius"))
    return made.enrich(STATIONS, on="station").with_columns(range=pl.col("high") - pl.col("low"))


if __name__ == "__main__":
    rows = [
        {
            "station": ["10384", "03772", "99999"][i % 3],
            "celsius": 999.0 if i % 50 == 0 else (i % 24) / 2,
            "at": i * 3_600_000,
        }
        for i in range(100)
    ]
    print(days(wl.Job("weather"), wl.from_records(rows)).collect())

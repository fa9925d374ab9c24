"""Hot auctions: bids and the best price per auction in the last minute, every ten seconds; those above a price."""

from typing import Any

import polars as pl

import wrackline as wl


def hot(job: wl.Job, source: Any, schema: Any = None, **options: Any) -> wl.Stream:
    bids = job.read(source, schema, time="at", **options)
    euros = bids.with_columns(euros=pl.when(pl.col("currency") == "USD").then(pl.col("price") * 0.9).otherwise("price"))
    minutes = euros.key_by("auction").window(wl.hopping("1m", "10s")).agg(bids=wl.count(), best=wl.max("euros"))
    return minutes.filter(pl.col("bids") >= 3, pl.col("best") > 50)


if __name__ == "__main__":
    rows = [
        {"auction": i % 7, "price": float(i % 101), "currency": ["EUR", "USD"][i % 2], "at": i * 700}
        for i in range(200)
    ]
    print(hot(wl.Job("hot-auctions"), wl.from_records(rows)).collect())

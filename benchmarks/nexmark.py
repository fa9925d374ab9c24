"""Nexmark queries in memory, on one worker, against DuckDB on one thread over the whole set at once.

    python benchmarks/nexmark.py [PAIRS]

The bids are ours, after the published generator: of 50 events one is a person, three are auctions and 46 are bids; half
of the bids go to the newest hot auction, three quarters come from a hot bidder; 10,000 events a second. Both sides read
ready columns and give the same rows, or there is no figure. One JSON line per figure; rates are bids a second and core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import duckdb
import numpy as np
import polars as pl
from python_surface import compare

import wrackline as wl

BIDS = 4_600_000
CYCLE, PEOPLE, AUCTIONS = 50, 1, 3  # events; the rest are bids
EVENTS_PER_MS = 10
HOT_AUCTION, HOT_BIDDER, HOT_CHANNEL = 2, 4, 2  # all but one in so many are hot
IN_FLIGHT, ACTIVE = 100, 1_000  # auctions that are open, people who bid
LEAD = 10  # of ids that do not exist yet
FIRST = 1_000
START = 1_700_000_000_000


def bids(count: int, seed: int = 42) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    each = CYCLE - PEOPLE - AUCTIONS
    n = np.arange(count)
    cycle = n // each
    event = cycle * CYCLE + PEOPLE + AUCTIONS + n % each
    last_auction, last_person = cycle * AUCTIONS + AUCTIONS - 1, cycle

    def chosen(ratio: int, hot: np.ndarray, cold: np.ndarray) -> np.ndarray:
        return np.where(random.integers(0, ratio, count) > 0, hot, cold)

    oldest = np.maximum(last_auction - IN_FLIGHT, 0)
    open_now = oldest + random.integers(0, last_auction - oldest + 1 + LEAD)
    auction = chosen(HOT_AUCTION, last_auction // 100 * 100, open_now)
    active = np.minimum(last_person + 1, ACTIVE)
    anybody = last_person + 1 - active + random.integers(0, active + LEAD)
    bidder = chosen(HOT_BIDDER, last_person // 100 * 100 + 1, anybody)
    hot_channels = np.array(["Google", "Facebook", "Baidu", "Apple"], dtype=object)
    channels = np.array([f"channel-{number}" for number in range(10_000)], dtype=object)
    channel = chosen(
        HOT_CHANNEL, hot_channels[random.integers(0, 4, count)], channels[random.integers(0, 10_000, count)]
    )
    return pl.DataFrame(
        {
            "n": n,
            "auction": auction + FIRST,
            "bidder": bidder + FIRST,
            "price": np.round(10 ** (random.random(count) * 6) * 100).astype(np.int64),
            "channel": channel.astype(str),
            "date_time": START + event // EVENTS_PER_MS,
        }
    )


Query = tuple[Callable[[wl.Stream], wl.Stream], str]

# name -> our job, and DuckDB's query. Where several bids are equal, both take the smaller auction or the earlier bid.
QUERIES: dict[str, Query] = {
    "q5, the hottest auction of 10 s each 2 s": (
        lambda bids: (
            bids.key_by("auction")
            .window(wl.hopping("10s", "2s"))
            .agg(num=wl.count())
            .key_by()
            .window(wl.tumbling("2s"))
            .agg(best=wl.max(pl.col("num") * 1_000_000 - pl.col("auction")))
            .select(ends="window_end", best="best")
        ),
        """
        with started as (select auction, date_time // 2000 * 2000 + 2000 first_end from bids),
        counts as (
            select auction, first_end + slide * 2000 ends, count(*) num
            from started, range(5) slides(slide) group by all
        )
        select ends, max(num * 1000000 - auction) best from counts group by ends
        """,
    ),
    "q7, the highest bid of 10 s": (
        lambda bids: (
            bids.key_by()
            .window(wl.tumbling("10s"))
            .agg(
                price=wl.max("price"),
                auction=wl.arg_max("auction", by="price"),
                bidder=wl.arg_max("bidder", by="price"),
            )
            .select("window_end", "price", "auction", "bidder")
        ),
        """
        select date_time // 10000 * 10000 + 10000 ends, max(price), arg_max(auction, price), arg_max(bidder, price)
        from bids group by ends
        """,
    ),
    "q11, sessions of 10 s of a bidder": (
        lambda bids: (
            bids.key_by("bidder")
            .window(wl.session("10s"))
            .agg(n=wl.count())
            .select("bidder", "window_start", "window_end", "n")
        ),
        """
        with begun as (
            select bidder, date_time,
                   date_time - lag(date_time) over (partition by bidder order by date_time) > 10000 is not false begins
            from bids
        ),
        numbered as (
            select bidder, date_time,
                   sum(begins::int) over (partition by bidder order by date_time rows unbounded preceding) number
            from begun
        )
        select bidder, min(date_time), max(date_time) + 10000, count(*) from numbered group by bidder, number
        """,
    ),
    "q12, bids of a bidder in 10 s": (
        lambda bids: (
            bids.key_by("bidder").window(wl.tumbling("10s")).agg(n=wl.count()).select("bidder", "window_start", "n")
        ),
        "select bidder, date_time // 10000 * 10000 starts, count(*) from bids group by all",
    ),
    "q18, the last bid of a bidder for an auction": (
        lambda bids: (
            bids.key_by("bidder", "auction")
            .window(wl.global_window())
            .agg(price=wl.last("price"), channel=wl.last("channel"), time=wl.last("date_time"))
            .select("bidder", "auction", "price", "channel", "time")
        ),
        """
        select bidder, auction, price, channel, date_time from bids
        qualify row_number() over (partition by bidder, auction order by date_time desc, n desc) = 1
        """,
    ),
}


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows in one order, times as milliseconds, columns without names."""
    times = frame.with_columns(pl.selectors.datetime().dt.epoch("ms"))
    named = times.rename({name: str(number) for number, name in enumerate(times.columns)})
    return named.with_columns(pl.selectors.integer().cast(pl.Int64)).sort(named.columns)


def main(pairs: int) -> None:
    frame = bids(BIDS)
    source = wl.from_arrow(frame)
    database = duckdb.connect(config={"threads": 1})
    database.execute("create table bids as select * from frame")
    for name, (query, sql) in QUERIES.items():

        def ours(query: Callable[[wl.Stream], wl.Stream] = query) -> pl.DataFrame:
            stream = wl.Job("nexmark").read(source, time="date_time", out_of_orderness=0)
            return query(stream).collect().to_polars()

        def limit(sql: str = sql) -> pl.DataFrame:
            rows: pl.DataFrame = database.sql(sql).pl()
            return rows

        mine, theirs = plain(ours()), plain(limit())
        assert mine.equals(theirs), f"{name}: {mine} {theirs}"
        compare(f"{name}, against DuckDB", pairs, ours, limit, items=BIDS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)

"""The Python surface: ratios of the same work done by the library that our users would use otherwise.

    python benchmarks/python_surface.py [PAIRS]

One JSON line per figure, as the other benchmarks print them: what, ratio (median), low, high; larger is better.
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import wrackline as wl

ROWS = 2_000_000
BATCH = 4_096  # of a poll
PARQUET_ROWS, KEYS = 5_000_000, 100_000
DIST = Path(__file__).parents[1] / "dist"


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare(name: str, pairs: int, ours: Callable[[], Any], limit: Callable[[], Any], items: float = 0) -> None:
    """In turn; a ratio of each pair. Shows seconds, or `items` a second."""
    ours(), limit()
    ratios, mine, theirs = [], [], []
    for _ in range(pairs):
        mine.append(seconds(ours))
        theirs.append(seconds(limit))
        ratios.append(theirs[-1] / mine[-1])
    shown = [items / statistics.median(taken) if items else statistics.median(taken) for taken in (mine, theirs)]
    show(name, ratios, ours=shown[0], limit=shown[1])


def show(name: str, ratios: list[float], **more: float) -> None:
    figures = {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios), **more}
    print(json.dumps({"name": name} | {key: round(value, 4) for key, value in figures.items()}), flush=True)


def bids(rows: int, keys: int = 1_000) -> pl.DataFrame:
    n = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "auction": n % 977,
            "bidder": ((n * 7_919) % keys).cast(pl.String) + "-bidder",
            "price": ((n * 104_729) % 10_000) / 100,
            "channel": (n % 4).cast(pl.String) + "-channel",
            "dateTime": 1_700_000_000_000 + n // 50,  # 5 M rows: 10 windows of 10 s
        }
    )


FILTER = pl.col("price") > 20
COLUMNS: dict[str, Any] = {"cents": (pl.col("price") * 100).round(0), "last": pl.col("bidder").str.slice(-3)}


def expressions(pairs: int) -> None:
    frame = bids(ROWS)
    ready = [frame.slice(at, BATCH).rechunk() for at in range(0, ROWS, BATCH)]
    source = wl.from_arrow(frame)

    def ours() -> None:
        stream = wl.Job("expressions").read(source, time="dateTime").filter(FILTER).with_columns(**COLUMNS)
        stream.filter("price", "<", 0).collect()  # nothing is left to collect

    def limit() -> None:
        for one in ready:
            one.filter(FILTER).with_columns(**COLUMNS)

    compare("filter and two columns by Polars, against ready frames", pairs, ours, limit)


def row_functions(pairs: int) -> None:
    frame = bids(ROWS // 4)
    source = wl.from_arrow(frame)
    tuples = frame.select("price", "auction").rows()

    def function(price: float, auction: int) -> float:
        return price * 1.2 + auction

    def ours() -> None:
        stream = wl.Job("rows").read(source, time="dateTime").map(function, returns={"x": float})
        stream.filter("x", "<", 0).collect()

    def limit() -> None:
        for one in tuples:
            function(*one)

    compare("map with a row-wise function, against a bare loop", pairs, ours, limit)


class OwnMean(wl.Aggregator):
    """`wl.mean` once more, with Polars."""

    def init(self) -> Any:
        return {"total": 0.0, "n": 0}

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        more = rows.group_by(group, maintain_order=True).agg(total=pl.col("price").sum(), n=pl.col("price").count())
        return states.select(pl.col("total") + more["total"], pl.col("n") + more["n"])

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        return states + later

    def finish(self, states: pl.DataFrame) -> pl.Series:
        return states["total"] / states["n"]


class NumpyMean(OwnMean):
    """The same with NumPy."""

    def add(self, states: Any, rows: Any, group: Any) -> Any:
        size = len(states["n"])
        more = np.bincount(group, weights=rows["price"], minlength=size)
        return {"total": states["total"] + more, "n": states["n"] + np.bincount(group, minlength=size)}

    def finish(self, states: Any) -> Any:
        return states["total"] / np.maximum(states["n"], 1)


def aggregators(pairs: int) -> None:
    for keys in (1_000, 100_000):
        source = wl.from_arrow(bids(ROWS, keys))

        def mean(aggregate: wl.Aggregate, source: Any = source) -> None:
            stream = wl.Job("means").read(source, time="dateTime", out_of_orderness=0)
            stream.key_by("bidder").window(wl.tumbling("10s")).agg(mean=aggregate).filter("mean", "<", 0).collect()

        for what, own in (
            ("Polars", wl.aggregate(OwnMean(), "price")),
            ("NumPy", wl.aggregate(NumpyMean(), "price", frame="numpy")),
        ):
            name = f"a mean in Python with {what} over {keys:,} keys, against the built-in one"
            compare(name, pairs, functools.partial(mean, own), functools.partial(mean, wl.mean("price")))


def collecting(pairs: int) -> None:
    frame = bids(1_000_000)
    result = wl.Job("collect").read(wl.from_arrow(frame), time="dateTime").collect()
    arrow, pandas = frame.to_arrow(), frame.to_pandas()
    compare("collect to Polars, against its own copy", pairs, result.to_polars, lambda: _copied(frame))
    compare("collect to pandas, against its own copy", pairs, result.to_pandas, lambda: pandas.copy(deep=True))
    compare("collect to pyarrow, against its own copy", pairs, result.to_arrow, lambda: _arrow_copy(arrow))


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    """Every byte anew: two halves put together."""
    half = len(frame) // 2
    return pl.concat([frame[:half], frame[half:]], rechunk=True)


def _arrow_copy(table: Any) -> Any:
    import pyarrow as pa

    half = table.num_rows // 2
    return pa.concat_tables([table[:half], table[half:]]).combine_chunks()


def parquet(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bids.parquet"
        bids(PARQUET_ROWS, KEYS).write_parquet(path)

        def ours() -> wl.Result:
            return (
                wl.Job("parquet")
                .read(wl.read_parquet(path), time="dateTime")
                .key_by("bidder")
                .window(wl.tumbling("10s"))
                .agg(n=wl.count(), total=wl.sum("price"))
                .collect()
            )

        def limit() -> pl.DataFrame:
            return (
                pl.read_parquet(path)
                .group_by("bidder", pl.col("dateTime") // 10_000)
                .agg(pl.len().alias("n"), pl.col("price").sum().alias("total"))
            )

        assert len(ours()) == len(limit())
        compare("a job over 5 M rows of Parquet, against Polars", max(3, pairs // 2), ours, limit)


def starting(pairs: int) -> None:
    program = "import time; t = time.perf_counter(); import wrackline; print(time.perf_counter() - t)"
    taken = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(pairs)
    ]
    show("import wrackline", [0.15 / one for one in taken], seconds=statistics.median(taken))
    source = wl.from_arrow(bids(10))

    def build() -> None:
        stream = wl.Job("ten").read(source, time="dateTime").filter(FILTER).with_columns(**COLUMNS)
        for i in range(4):
            stream = stream.with_columns(pl.col("price").alias(f"p{i}"))
        stream = stream.filter("price", ">", 0).dedup("auction", within="1h").select("bidder", "price", "dateTime")
        stream.key_by("bidder").window(wl.tumbling("10s")).agg(n=wl.count())

    taken = [seconds(build) for _ in range(pairs * 3)]
    show("building a job of ten steps", [0.02 / one for one in taken], seconds=statistics.median(taken))


def wheel(pairs: int) -> None:
    """Of `make wheel`; a wheel that was not made is not measured."""
    made = sorted(DIST.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not made:
        print("no wheel in dist/: `make wheel` makes one", file=sys.stderr)
        return
    megabytes = made[-1].stat().st_size / 1e6
    show("wheel size", [20 / megabytes], megabytes=megabytes)


def parts() -> Iterator[Callable[[int], None]]:
    yield from (expressions, row_functions, aggregators, collecting, parquet, starting, wheel)


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for part in parts():
        part(rounds)

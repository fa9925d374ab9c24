"""Jobs on a Kafka broker: rates against plain loops over the same client, latency, restarts.

    python benchmarks/kafka.py [PAIRS] [--bids N] [--only rates latency restart]

Starts a broker of its own (Java as in production) on this machine, so that broker and job share its cores. A rate
counts only if the rows that the job put out equal a Polars group-by of the bids as they lie in the topic.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

import wrackline as wl
from wrackline.testing.broker import Broker

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench" / "benchmarks"
PROGRAM = str(BUILD / "bench_kafka")
OPEN_LOOP = str(BUILD / "bench_open_loop")
WINDOW_MS = 10_000
SECONDS = 95  # of a load that does not wait: eight windows are measured


class WrongRowsError(RuntimeError):
    """A job's rows are not those of the group-by."""


def lines_of(command: list[str], environment: dict[str, str]) -> list[dict[str, object]]:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def values(topic: str, environment: dict[str, str]) -> pl.DataFrame:
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        subprocess.run([PROGRAM, "dump", topic, file.name], env=environment, check=True)
        return pl.read_ndjson(file.name)


def expected(bids: pl.DataFrame) -> pl.DataFrame:
    start = pl.col("dateTime") // WINDOW_MS * WINDOW_MS
    return bids.group_by("bidder", start.alias("window_start")).agg(
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("price").sum().alias("total"),
        pl.col("price").min().alias("low"),
        pl.col("price").max().alias("high"),
    )


def check(topic: str, wanted: pl.DataFrame, environment: dict[str, str]) -> None:
    rows = values(topic, environment).select(wanted.columns)
    by = ["bidder", "window_start"]
    if not rows.sort(by).equals(wanted.sort(by)):
        raise WrongRowsError(f"the rows of {topic} are not those of a group-by: {rows.height} of {wanted.height}")


def rates(pairs: int, bids: int, environment: dict[str, str]) -> list[dict[str, object]]:
    found = []
    for name, topic, bidders, with_rows in (("K1", "k1", 1_000, []), ("K2", "k2", 100_000, ["rows"])):
        subprocess.run([PROGRAM, "load", topic, str(bidders), str(bids)], env=environment, check=True)
        lines = lines_of([PROGRAM, "rates", name, topic, str(bids), str(pairs), *with_rows], environment)
        if name == "K1":
            lines += lines_of([PROGRAM, "workers", name, topic, str(bids), str(pairs)], environment)
        wanted = expected(values(topic, environment))
        if name == "K1":
            found.append(expressions(topic, bids, pairs, wanted, environment))
        for line in lines:
            if "output" in line:
                check(str(line["output"]), wanted, environment)
            else:
                found.append(line)
    return found


class Bid(wl.Schema):
    auction: int
    bidder: str
    price: int
    dateTime: int  # noqa: N815


def expressions(
    topic: str, bids: int, pairs: int, wanted: pl.DataFrame, environment: dict[str, str]
) -> dict[str, object]:
    """The K1 job with a Polars filter, which keeps all, and two new columns, against the same job without."""

    def seconds(number: int, *, plain: bool) -> float:
        name = f"k1-{'plain' if plain else 'expressions'}-{number}"
        with tempfile.TemporaryDirectory() as state:
            job = wl.Job(name, log=f"kafka://{environment['WRACKLINE_TEST_BROKER']}", state_dir=state)
            read = job.read(topic, Bid, time="dateTime", out_of_orderness="1s", partitioned_by="bidder")
            if not plain:
                read = read.filter(pl.col("price") >= 0).with_columns(
                    eur=pl.col("price") * 0.92, large=pl.col("price") > 1_000
                )
            panes = read.key_by("bidder").window(wl.tumbling(f"{WINDOW_MS}ms"))
            price = {"total": wl.sum("price"), "low": wl.min("price"), "high": wl.max("price")}
            panes.agg(n=wl.count(), **price).write(f"{name}-out")
            begin = time.perf_counter()
            result = job.run(until="now", close=True)
            took = time.perf_counter() - begin
        if result.rows != bids:
            raise WrongRowsError(f"{name} took {result.rows} of {bids} bids")
        check(f"{name}-out", wanted, environment)
        return took

    seconds(0, plain=True), seconds(0, plain=False)
    pair = [(seconds(i, plain=True), seconds(i, plain=False)) for i in range(1, pairs + 1)]
    ratios = [plain / ours for plain, ours in pair]
    return {
        "name": "K1 with a filter and two new columns, against without",
        "ratio": round(statistics.median(ratios), 4),
        "low": round(min(ratios), 4),
        "high": round(max(ratios), 4),
        "ours": round(statistics.median(ours for _, ours in pair), 4),
        "limit": round(statistics.median(plain for plain, _ in pair), 4),
    }


def latency(pairs: int, bids: int, environment: dict[str, str]) -> list[dict[str, object]]:
    found = []
    for name, kind, per_second, bound in (
        ("window end to row visible on Kafka, 20 K/s, p99", "kafka", 20_000, 200),
        ("window end to row visible on the local log, 200 K/s, p99", "local", 200_000, 150),
    ):
        command = [OPEN_LOOP, "latency", name, kind, str(per_second), str(SECONDS), str(bound)]
        found += lines_of(command, environment)
    return found


def restart(pairs: int, bids: int, environment: dict[str, str]) -> list[dict[str, object]]:
    return lines_of([sys.executable, str(HERE / "kafka_restart.py")], environment)


PARTS = {"rates": rates, "latency": latency, "restart": restart}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="?", type=int, default=5, help="rounds of each comparison (default 5)")
    parser.add_argument("--bids", type=int, default=5_000_000, help="in the backlog (default 5 million)")
    parser.add_argument("--only", choices=list(PARTS), nargs="*", default=list(PARTS))
    arguments = parser.parse_args()
    with Broker.start(flavour="bench") as broker:
        environment = {**os.environ, "WRACKLINE_TEST_BROKER": broker.address}
        for part in arguments.only:
            for line in PARTS[part](arguments.pairs, arguments.bids, environment):
                print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""SIGKILL of a job's process at random times, and how long until new output is visible again.

    python benchmarks/kafka_restart.py [KILLS] [--per-second N]

The job: bids of 1,000 bidders in 4 partitions; a window of 100 days per bidder and auction (900 K of them: the state),
and one of 100 ms per bidder (the output). A checkpoint each 2 s. The process is started again at once. Needs the
broker of WRACKLINE_TEST_BROKER.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

PROGRAM = str(Path(__file__).parent.parent / "build" / "bench" / "benchmarks" / "bench_open_loop")
AHEAD = 3_000_000  # enough to meet nearly every bidder and auction
BOUND, AIM = 2.5, 1.6  # seconds
TOPIC, OUTPUT = "restart-bids", "restart-output"


def child(log: str, state_dir: str) -> None:
    """The job's process; ends by being killed. Says when it could begin and when it had imported the package."""
    started = time.time()
    import wrackline as wl

    print(f"{started} {time.time()}", flush=True)
    job = wl.Job("restart", log=log, state_dir=state_dir, checkpoint_interval="2s")
    columns = {"auction": int, "bidder": str, "price": int, "channel": str, "dateTime": int}
    bids = job.read(TOPIC, columns, time="dateTime", unit="ms", out_of_orderness="0s", partitioned_by="bidder")
    sums = {"n": wl.count(), "total": wl.sum("price"), "low": wl.min("price"), "high": wl.max("price")}
    bids.key_by("bidder", "auction").window(wl.tumbling("100d")).agg(**sums).write("restart-state")
    bids.key_by("bidder").window(wl.tumbling("100ms")).agg(n=wl.count()).write(OUTPUT)
    job.run()


class Job:
    def __init__(self, log: str, state_dir: str) -> None:
        command = [sys.executable, __file__, "--child", log, state_dir]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def imported(self) -> tuple[float, float]:
        assert self._process.stdout is not None
        started, imported = self._process.stdout.readline().split()
        return float(started), float(imported)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def lines_into(lines: queue.Queue[tuple[float, float]], stream: IO[str]) -> None:
    for line in stream:
        now, newest = line.split()
        lines.put((int(now) / 1000, int(newest) / 1000))


def wait_for_output(lines: queue.Queue[tuple[float, float]], since: float) -> float:
    """When rows that were made after `since` became visible."""
    while True:
        now, newest = lines.get(timeout=120)
        if newest > since:
            return now


def measure(kills: int, per_second: int) -> dict[str, object]:
    sys.path.insert(0, str(Path(__file__).parent))
    import wrackline as wl

    address = os.environ["WRACKLINE_TEST_BROKER"]
    log = wl.Log(f"kafka://{address}")
    for topic in (TOPIC, OUTPUT):
        log.create(topic, partitions=4)
    lines: queue.Queue[tuple[float, float]] = queue.Queue()
    dice = random.Random(7)
    feed = subprocess.Popen([PROGRAM, "feed", TOPIC, str(per_second), str(AHEAD)])
    watch = subprocess.Popen([PROGRAM, "watch", OUTPUT], stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    threading.Thread(target=lines_into, args=(lines, watch.stdout), daemon=True).start()
    seconds, until_python, until_imported = [], [], []
    try:
        with tempfile.TemporaryDirectory() as state_dir:
            job = Job(log.uri, state_dir)
            job.imported()
            wait_for_output(lines, time.time() + 15)  # has caught up with what was ahead
            for _ in range(kills):
                time.sleep(dice.uniform(1.5, 4.0))
                killed = time.time()
                job.kill()
                job = Job(log.uri, state_dir)
                started, imported = job.imported()
                seconds.append(wait_for_output(lines, killed) - killed)
                until_python.append(started - killed)
                until_imported.append(imported - killed)
                print(
                    f"  {seconds[-1]:.2f} s, of which interpreter {until_python[-1]:.2f} s, "
                    f"import {imported - started:.2f} s",
                    file=sys.stderr,
                    flush=True,
                )
                wait_for_output(lines, time.time())
            job.kill()
    finally:
        feed.kill()
        watch.kill()
        feed.wait()
        watch.wait()
    median = statistics.median(seconds)
    return {
        "name": "SIGKILL to the first new output on Kafka",
        "ratio": round(BOUND / median, 3),
        "low": round(BOUND / max(seconds), 3),
        "high": round(BOUND / min(seconds), 3),
        "seconds": round(median, 2),
        "longest": round(max(seconds), 2),
        "interpreter and imports": round(statistics.median(until_imported), 2),
    }


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="?", type=int, default=20)
    parser.add_argument("--per-second", type=int, default=200_000, help="bids: a fifth of what one worker can do")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.kills, arguments.per_second)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

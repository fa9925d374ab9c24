"""A job on Kafka to kill: readings are fed, windows come out, and `check` compares them with what was fed.

python -m wrackline.testing.broker          # terminal 1: a development broker
python examples/kafka_fleet.py feed         # terminal 2: 2,000 readings a second, until Ctrl-C
python examples/kafka_fleet.py run          # terminal 3: kill -9 it and start it again, as often as you like
python examples/kafka_fleet.py check        # every closed window equals what was fed, each once
"""

import argparse
import os
import time
from collections import Counter, defaultdict
from datetime import datetime

import wrackline as wl

PARTITIONS, TRUCKS, PER_SECOND, WINDOW = 4, 200, 2_000, 10_000


class Reading(wl.Schema):
    truck_id: str
    speed: int
    ts: datetime


def fleet(log: str, state_dir: str) -> wl.Job:
    job = wl.Job("fleet", log=log, state_dir=state_dir, checkpoint_interval="2s")
    readings = job.read("readings", Reading, time="ts", unit="ms", out_of_orderness="1s", partitioned_by="truck_id")
    speeds = readings.key_by("truck_id").window(wl.tumbling("10s")).agg(n=wl.count(), total=wl.sum("speed"))
    speeds.write("speeds")
    return job


def feed(log: wl.Log, seconds: float) -> None:
    log.create("readings", partitions=PARTITIONS)
    start, fed = time.time(), 0
    while time.time() - start < seconds:
        now = int(time.time() * 1000)
        rows = [
            {"truck_id": f"t{number % TRUCKS}", "speed": number % 131, "ts": now - number % 500}
            for number in range(fed, fed + PER_SECOND // 10)
        ]
        fed += log.append("readings", rows, key="truck_id")
        print(f"\r{fed:,} readings fed", end="", flush=True)
        time.sleep(max(0.0, start + fed / PER_SECOND - time.time()))
    print()


def check(log: wl.Log) -> int:
    expected: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in log.read("readings").rows():
        window = expected[row["truck_id"], row["ts"] // WINDOW * WINDOW]
        window[0] += 1
        window[1] += row["speed"]
    results = log.read("speeds").rows()
    times = Counter((row["truck_id"], row["window_start"]) for row in results)
    doubled = sum(count > 1 for count in times.values())
    wrong = sum([row["n"], row["total"]] != expected[row["truck_id"], row["window_start"]] for row in results)
    last = max((row["window_start"] for row in results), default=0)
    missing = sum(window not in times for window in expected if window[1] < last)
    print(f"{len(results):,} windows: {wrong} wrong, {doubled} doubled, {missing} missing")
    return 1 if wrong or doubled or missing or not results else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["feed", "run", "check"])
    parser.add_argument("--log", default="kafka://localhost:9092")
    parser.add_argument("--state-dir", default=".wrackline")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    if given.what == "run":
        print(f"process {os.getpid()}: kill -9 {os.getpid()}")
        seconds = None if given.seconds == float("inf") else given.seconds
        fleet(given.log, given.state_dir).run(seconds=seconds, progress=True)
        return 0
    with wl.Log(given.log) as log:
        if given.what == "check":
            return check(log)
        feed(log, given.seconds)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        print()

"""Runs the benchmarks and prints one table: what, ratio (median, spread), bar, aim.

    python benchmarks/run.py [--only WORD] [--pairs N]

Every figure is a ratio taken within one run, ours and the limit in turn, so that it means the same on another machine;
larger is better. Sizes and latencies are bound divided by measured. Writes benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench" / "benchmarks"

# name -> (bar, aim), as docs/performance.md has them.
BARS: dict[str, tuple[float, float]] = {
    "window": (0.5, 0.7),
    "hopping, 6 slides, count and sum, rows in against tumbling": (0.8, 0.95),
    "hopping, 60 slides, count and sum, rows in against tumbling": (0.8, 0.95),
    "hopping, 600 slides, count and sum, rows in against tumbling": (0.8, 0.95),
    "hopping, 6 slides, min and max, rows in against tumbling": (0.6, 0.8),
    "hopping, 60 slides, min and max, rows in against tumbling": (0.6, 0.8),
    "hopping, 600 slides, min and max, rows in against tumbling": (0.6, 0.8),
    "hopping 60 s by 1 s, against records put into all windows": (10, 25),
    "a record beside a firing of 100 K keys waits, p99": (1.0, 2.0),  # 20 ms, 10 ms
    "sessions, in order, against tumbling": (0.4, 0.6),
    "sessions, 1 % behind, against tumbling": (0.4, 0.6),
    "rolling 5 min, in order, against two stacks": (0.4, 0.6),
    "rolling, 5 % out of order within 256, against in order": (0.4, 0.7),
    "decode": (0.6, 0.8),
    "whole way, local log": (0.4, 0.6),
    "checkpoints each 10 s, 1 M live pairs": (0.90, 0.95),
    "input stalled by a checkpoint of 1 M entries": (1.0, 2.5),  # 50 ms, 20 ms
    "kill -9 to the first new output": (1.0, 1.875),  # 1.5 s, 0.8 s
    "dedup bytes per id": (1.0, 40 / 24),
    "state bytes per live (key, slice)": (1.0, 64 / 40),
    "state bytes with the key table": (1.0, 128 / 96),
    "RSS of the fleet job": (1.0, 1.5),  # 300 MB, 200 MB
    "K1, at least once, against the plain loop": (0.60, 0.80),
    "K2, at least once, against the plain loop": (0.60, 0.80),
    "K1, exactly once against at least once": (0.93, 0.96),
    "K1 with a filter and two new columns, against without": (0.5, 0.7),
    "K2, exactly once against at least once": (0.85, 0.90),
    "K2, exactly once, CPU-seconds per million": (1.0, 1.5 / 0.8),
    "window end to row visible on Kafka, 20 K/s, p99": (1.0, 200 / 120),
    "window end to row visible on the local log, 200 K/s, p99": (1.0, 150 / 110),
    "SIGKILL to the first new output on Kafka": (1.0, 2.5 / 1.6),
    "filter and two columns by Polars, against ready frames": (0.5, 0.8),
    "map with a row-wise function, against a bare loop": (0.5, 0.8),
    "collect to Polars, against its own copy": (0.3, 0.8),
    "collect to pandas, against its own copy": (0.3, 0.8),
    "collect to pyarrow, against its own copy": (0.3, 0.8),
    "a job over 5 M rows of Parquet, against Polars": (0.5, 1.0),
    "tumbling, 100 K string keys, against DuckDB's group-by": (3.0, 5.0),
    "days in 20 zones by row, against tumbling('1d')": (0.7, 0.9),
    "q5, the hottest auction of 10 s each 2 s, against DuckDB": (3.0, 3.0),
    "q7, the highest bid of 10 s, against DuckDB": (3.0, 3.0),
    "import wrackline": (1.0, 2.5),  # 150 ms, 60 ms
    "building a job of ten steps": (1.0, 4.0),  # 20 ms, 5 ms
    "wheel size": (1.0, 20 / 12),  # 20 MB, 12 MB
}

PROGRAMS: list[list[str]] = [
    [str(BUILD / "bench_window")],
    [str(BUILD / "bench_hopping")],
    [str(BUILD / "bench_firing")],
    [str(BUILD / "bench_sessions")],
    [str(BUILD / "bench_rolling")],
    [str(BUILD / "bench_decode")],
    [str(BUILD / "bench_whole_way")],
    [str(BUILD / "bench_checkpoints")],
    [str(BUILD / "bench_recovery")],
    [sys.executable, str(HERE / "fleet_memory.py")],
    [sys.executable, str(HERE / "kafka.py")],
    [sys.executable, str(HERE / "python_surface.py")],
    [sys.executable, str(HERE / "windows.py")],
    [sys.executable, str(HERE / "nexmark.py")],
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="programs whose path holds this word")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs of each comparison (default 5)")
    arguments = parser.parse_args()

    results: list[dict[str, object]] = []
    for program in PROGRAMS:
        if arguments.only not in program[-1]:
            continue
        print(f"... {Path(program[-1]).name}", file=sys.stderr, flush=True)
        done = subprocess.run([*program, str(arguments.pairs)], stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            if not line.startswith("{"):
                continue
            result = json.loads(line)
            bar, aim = BARS.get(result["name"], (None, None))
            results.append({**result, "at_least": bar, "aim": aim})

    print(f"{'what':58} {'ratio':>7} {'low':>7} {'high':>7} {'bar':>6} {'aim':>6}")
    for result in results:
        bar, aim = BARS.get(str(result["name"]), (None, None))
        verdict = "" if bar is None else "below the bar" if float(str(result["ratio"])) < float(str(bar)) else ""
        shown = [f"{float(str(result[key])):7.2f}" for key in ("ratio", "low", "high")]
        limits = [f"{float(str(value)):6.2f}" if value is not None else "     -" for value in (bar, aim)]
        print(f"{result['name']!s:58} {' '.join(shown)} {' '.join(limits)} {verdict}")
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

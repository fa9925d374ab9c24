"""The demo of the command: that of the examples where they are, otherwise a small one on a log in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from wrackline.aggregates import count, max, mean
from wrackline.durations import format_duration
from wrackline.job import Job
from wrackline.log import Log
from wrackline.results import text_table
from wrackline.windows import tumbling

__all__ = ["readings", "run", "script", "small"]

_START = 1_704_110_400_000  # 2024-01-01T12:00:00Z
_MINUTE = 60_000


def script() -> Path | None:
    """What `make demo` runs, if this is the project's own tree or the working directory is."""
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        found = root / "examples" / "demo.py"
        if found.is_file() and (found.parent / "demo_earthquakes.py").is_file():
            return found
    return None


def run(path: Path) -> int:
    """Runs it in a process of its own, and returns how that ended."""
    return subprocess.run([sys.executable, str(path)], check=False).returncode


def readings() -> list[dict[str, Any]]:
    """Of three trucks over 20 minutes, in the order in which they arrive. Truck t2 was without a network: some of its
    readings come 8 minutes after their time, and some half an hour.

    >>> len(readings())
    120
    """
    rows: list[dict[str, Any]] = [
        {
            "truck": f"t{truck}",
            "speed": 60 + 10 * truck + step % 5,
            "ts": _START + step * _MINUTE // 2,
            "arrives": _START + step * _MINUTE // 2,
        }
        for step in range(40)
        for truck in (1, 2, 3)
    ]
    for row in rows:
        if row["truck"] == "t2":
            minute = (row["ts"] - _START) // _MINUTE
            row["arrives"] += {3: 8, 4: 8, 1: 30}.get(minute, 0) * _MINUTE
    return sorted(rows, key=lambda row: row["arrives"])


def small() -> None:
    """A window of five minutes for each truck, with readings that come late, and what became of each of them."""
    rows = [{name: value for name, value in row.items() if name != "arrives"} for row in readings()]
    with Log("memory:") as log:
        log.create("readings")
        log.append("readings", rows)
        job = Job("demo", log=log)
        schema = {"truck": str, "speed": float, "ts": int}
        source = job.read("readings", schema, time="ts", out_of_orderness="30s")
        windows = source.key_by("truck").window(tumbling("5m"), allowed_lateness="10m")
        windows.agg(n=count(), mean_speed=mean("speed"), top_speed=max("speed")).write("speeds")
        job.late.write("late")
        done = job.run(until="now", close=True)
        print(
            f"{len(rows)} readings of 3 trucks. A window closes 30 s after its end; for 10 minutes more it is mended."
        )
        _show("Windows; the last revision counts", log.read("speeds").rows(), _WINDOW)
        _show("Late rows: too late for their windows, but not lost", log.read("late").rows(), _LATE)
    print(f"\n{done}")


_WINDOW = ["truck", "window_start", "window_end", "revision", "n", "mean_speed", "top_speed"]
_LATE = ["truck", "ts", "speed", "window_start", "late_by_ms"]


def _show(title: str, rows: list[dict[str, Any]], names: list[str]) -> None:
    header = [name.removesuffix("_ms").replace("_", " ") for name in names]
    cells = [[_cell(name, row[name]) for name in names] for row in rows]
    print(f"\n{title}\n{text_table(header, cells, frozenset(range(1, len(names))))}")


def _cell(name: str, value: Any) -> str:
    if name == "late_by_ms":
        return format_duration(value)
    if name == "ts" or name.startswith("window_"):
        seconds = (value - _START) // 1_000
        return f"12:{seconds // 60:02}:{seconds % 60:02}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)

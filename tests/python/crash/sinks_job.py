"""A job that writes files and calls a function, in a process of its own: python sinks_job.py SETTINGS_AS_JSON

``"kill_at": N`` kills it with SIGKILL before its Nth step on the way of a part: syncing, renaming, removing a file.
Prints one line of JSON when it ends in order: {"rows": ..., "steps": ...}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import wrackline as wl

steps = 0


def count_steps(kill_at: int) -> None:
    def counted(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            global steps
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call

    os.fsync = counted(os.fsync)
    for name in ("replace", "unlink", "open"):
        setattr(Path, name, counted(getattr(Path, name)))


def build(settings: dict[str, Any]) -> wl.Job:
    out = Path(settings["out"])
    job = wl.Job("sinks", log=settings["log"], state_dir=settings["state_dir"], commit_rows=100, commit_interval="5ms")
    read = job.read(
        "events", {"id": int, "k": str, "ts": int}, time="ts", out_of_orderness="1s", partitioned_by="k", unit="ms"
    )
    read.write_ndjson(out / "raw", every="1ms", max_rows=settings["max_rows"])
    windows = read.key_by("k").window(wl.tumbling("5s")).agg(n=wl.count(), ids=wl.collect("id"))
    windows.write_parquet(out / "windows", every="1ms", max_rows=settings["max_rows"])

    def store(rows: wl.Result, batch: str) -> None:
        with (out / "calls").open("a") as file:
            file.write(json.dumps([batch, [row["id"] for row in rows.rows()]]) + "\n")

    read.write(store)
    return job


def main() -> None:
    settings = json.loads(sys.argv[1])
    count_steps(settings.get("kill_at", 0))
    result = build(settings).run(until="now", close=settings.get("close", True), fresh=settings.get("fresh", False))
    print(json.dumps({"rows": result.rows, "steps": steps}))


if __name__ == "__main__":
    main()

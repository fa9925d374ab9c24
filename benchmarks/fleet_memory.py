"""Resident memory of the fleet job after 5 million readings, in MB, against its bound.

The input is generated before, by another process. What counts is the process's peak, with Python in
it and with RocksDB's caches of the log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
BOUND_MB = 300


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        log = f"local:{folder}/log"
        subprocess.run(
            [sys.executable, str(EXAMPLES / "fleet_generator.py"), log], stdout=subprocess.DEVNULL, check=True
        )
        job = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "fleet.py"), log, "--state-dir", f"{folder}/state"],
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(job.pid, 0)
        if status != 0:
            return 1
    peak = used.ru_maxrss / 1024
    ratio = round(BOUND_MB / peak, 3)
    print(json.dumps({"name": "RSS of the fleet job", "ratio": ratio, "low": ratio, "high": ratio, "mb": round(peak)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Tries a wheel as a user gets it: its size, an empty environment, the README's first job, the command.

    python scripts/check_wheel.py WHEEL         # installs it into a new environment without anything else
    python scripts/check_wheel.py --installed   # in the environment of this Python, as cibuildwheel made it

Exits with 1 and a reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_MB, AIM_MB = 20, 12

# What the job of the README has to put out, worked out without it: windows that end before the watermark, 30 s behind
# the newest of 10,000 records.
ORACLE = """
from collections import Counter
import wrackline as wl

STEP, SIZE, START, RECORDS = 1_000, 300_000, 1_700_000_000_000, 10_000
watermark = START + (RECORDS - 1) * STEP - 30_000
expected = Counter()
for i in range(RECORDS):
    end = (START + i * STEP) // SIZE * SIZE + SIZE
    if end <= watermark:
        expected[f"t{i % 3}", end] += 1
with wl.Log("local:fleet-data") as log:
    rows = log.read("truck-speeds").rows()
found = {(row["truck_id"], int(row["window_end"])): row["n"] for row in rows}
assert len(rows) == len(found) and found == expected, (found, expected)
assert not any(name in __import__("sys").modules for name in ("polars", "pyarrow", "pandas", "numpy"))
print(f"{sum(found.values())} records in {len(found)} windows, as they should be")
"""


# A day of 25 hours, by the wheel's own tz data.
ZONES = """
import wrackline as wl
(day,) = wl.windows_of("2026-10-25T12:00Z", wl.calendar("day", tz="Europe/Berlin"))
assert day.length.total_seconds() == 25 * 3600, day
print(day)
"""


def fail(text: str) -> None:
    raise SystemExit(f"check_wheel: {text}")


def call(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(str(word) for word in command)[:200]} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def first_job() -> str:
    """The data and the job of the README; what follows them needs Polars."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return "\n".join(blocks[:2])


def check_size(wheel: Path) -> None:
    megabytes = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {megabytes:.2f} MB (at most {MAX_MB}, aim {AIM_MB})")
    if megabytes > MAX_MB:
        fail(f"larger than {MAX_MB} MB")


def check_installed(python: Path, scripts: Path, folder: Path) -> None:
    """-I: what is imported is installed, not lying about."""
    print(call(python, "-I", "-c", first_job(), folder=folder).strip().splitlines()[-1])
    print(call(python, "-I", "-c", ORACLE, folder=folder).strip())
    print(call(python, "-I", "-c", ZONES, folder=folder).strip())
    versions = call(scripts / "wrackline", "versions", folder=folder)
    print(versions.strip())
    if "wrackline" not in versions:
        fail("`wrackline versions` does not name wrackline")


def main() -> int:
    if len(sys.argv) != 2:
        fail("call it with a wheel or --installed")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if sys.argv[1] == "--installed":
            check_installed(Path(sys.executable), Path(sysconfig.get_path("scripts")), folder)
            return 0
        wheel = Path(sys.argv[1]).resolve()
        check_size(wheel)
        venv.create(folder / "venv", with_pip=True)
        scripts = folder / "venv" / "bin"
        python = scripts / "python"
        # --no-index: a wheel that needs anything does not install.
        call(python, "-m", "pip", "install", "--disable-pip-version-check", "--no-index", wheel, folder=folder)
        check_installed(python, scripts, folder)
    print("wheel: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())

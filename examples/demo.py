"""A job on real records, killed half-way with SIGKILL and started again; then the same at size.

    python examples/demo.py [--seed N] [--readings N] [--kills N] [--keep DIR] [--only earthquakes|fleet]

Every job runs in a process of its own; this one starts it, kills it, reads what it wrote and checks it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import demo_earthquakes
import demo_fleet
from demo_tools import DemoError, say


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--seed", type=int, help="of the kills; default: another one each time")
    arguments.add_argument("--readings", type=int, default=5_000_000, help="of the fleet")
    arguments.add_argument("--kills", type=int, default=3, help="of the fleet's job")
    arguments.add_argument("--keep", type=Path, help="a directory for logs and state, which are kept there")
    arguments.add_argument("--only", choices=["earthquakes", "fleet"], help="one of the two parts")
    options = arguments.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    work = options.keep or Path(tempfile.mkdtemp(prefix="wrackline-demo-"))
    work.mkdir(parents=True, exist_ok=True)
    if any(work.iterdir()):
        raise DemoError(f"{work} is not empty")
    say(f"The kills are drawn with seed {seed}; .venv/bin/python examples/demo.py --seed {seed} draws them again.")
    try:
        if options.only != "fleet":
            demo_earthquakes.play(work / "earthquakes", random.Random(seed))
        if options.only != "earthquakes":
            demo_fleet.play(work / "fleet", random.Random(seed), options.readings, options.kills)
    finally:
        if options.keep is None:
            shutil.rmtree(work, ignore_errors=True)
    say("")
    say("Every record is accounted for.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.stderr.flush()
        os._exit(130)

"""Runs cases of README.md's format through the public API.

    python tests/vectors/run.py FILE_OR_FOLDER [--out results.jsonl] [--cuts SEED]

Prints passed, failed and unsupported per file, and each difference; exits with 1 if a case failed. --out: per case one
line {"name", "got"} | {"name", "error"} | {"name", "unsupported"}, values written as in README.md. --cuts: rows go in
as random batches with commits between them, which must not show.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).parent))

import compare
from cases import UnsupportedError, drive
from values import decode, encode

import wrackline as wl

NOT_YET = {"interval_join"}


@dataclass
class Outcome:
    """One case: what came of it, as the line of --out, and what is wrong with it."""

    line: dict[str, Any]
    differences: list[str]

    @property
    def verdict(self) -> str:
        if "unsupported" in self.line:
            return "unsupported"
        return "failed" if self.differences else "passed"


def run_case(raw: dict[str, Any], cuts: random.Random | None = None, *, as_topic: bool = False) -> Outcome:
    case, name = decode(raw), raw["name"]
    wants_error = bool(case["expected"].get("error"))
    try:
        got = drive(case, cuts, as_topic=as_topic)
    except (UnsupportedError, wl.NotYetError) as why:
        return Outcome({"name": name, "unsupported": str(why)}, [])
    except wl.InvalidJobError as error:
        wrong = [] if wants_error else [f"cannot be built: {error}"]
        return Outcome({"name": name, "error": str(error)}, wrong)
    except Exception as error:  # one broken case must not hide the others
        return Outcome(
            {"name": name, "error": f"{type(error).__name__}: {error}"}, [f"{type(error).__name__}: {error}"]
        )
    if wants_error:
        return Outcome({"name": name, "got": encode(got)}, ["was built, but is an error"])
    return Outcome({"name": name, "got": encode(got)}, compare.differences(case, got, places=cuts is None))


def files_of(path: Path) -> list[Path]:
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def run_file(path: Path, cuts: int | None, out: TextIO | None) -> Counter[str]:
    verdicts: Counter[str] = Counter()
    for number, raw in enumerate(json.loads(path.read_text())):
        outcome = run_case(raw, None if cuts is None else random.Random(f"{cuts}-{number}"))
        verdicts[outcome.verdict] += 1
        if out is not None:
            out.write(json.dumps(outcome.line) + "\n")
        for difference in outcome.differences:
            print(f"FAILED {raw['name']}: {difference}")
    return verdicts


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("path", type=Path)
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--cuts", type=int, metavar="SEED")
    chosen = arguments.parse_args()
    logging.getLogger("wrackline").addHandler(logging.NullHandler())  # refused inputs are what cases are about
    out = chosen.out.open("w") if chosen.out else None
    total: Counter[str] = Counter()
    for path in files_of(chosen.path):
        verdicts = run_file(path, chosen.cuts, out)
        total += verdicts
        counts = ", ".join(f"{verdicts[one]} {one}" for one in ("passed", "failed", "unsupported"))
        print(f"{path.stem}: {counts}" + (" (comes with a later version)" if path.stem in NOT_YET else ""))
    if out is not None:
        out.close()
    print(f"all: {total['passed']} passed, {total['failed']} failed, {total['unsupported']} unsupported")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

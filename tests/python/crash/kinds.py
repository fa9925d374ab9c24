"""Jobs with every window, trigger and aggregate with state, of one stage and of several: what they are, as a table.

`kinds_job.py` runs them, `kinds_oracle.py` answers them record by record.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.python.crash.harness import START_MS, make_events

ZONES = ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Berlin"]
INPUTS = ("events", "others")


@dataclass(frozen=True)
class Windows:
    """One window step and the topic of its rows, which has its name."""

    name: str
    keys: tuple[str, ...]
    shape: tuple[Any, ...]  # ("hopping", size, slide) and so on, in ms
    lateness: int = 0
    emit: str = "accumulate"
    options: dict[str, Any] = field(default_factory=dict)
    then: Windows | None = None  # a window over its rows: adds up their "count" and "total"

    @property
    def delta(self) -> bool:
        return self.emit == "delta"


@dataclass(frozen=True)
class Kind:
    """A job: an input, or several that are merged, and windows over it."""

    windows: tuple[Windows, ...]
    inputs: tuple[str, ...] = INPUTS[:1]
    staged: bool = False  # keys are not where they are needed
    bound: int = 2_000  # out_of_orderness
    scale: int = 1  # a second of the input is so many

    def all_windows(self) -> list[Windows]:
        return [each for one in self.windows for each in (one, one.then) if each is not None]


EACH = {"emit_late": "each"}
K, G = ("k",), ("g",)
HOUR, DAY = 3_600_000, 86_400_000

KINDS = {
    "slices": Kind(
        (
            Windows("early", K, ("tumbling", 5_000, 0), 3_000, options={"early": "2s", **EACH}),
            Windows("delta", K, ("tumbling", 5_000, 1_000), 3_000, "delta", {"early_rows": 3, **EACH}),
            Windows("final", K, ("tumbling", 4_000, 0), 3_000, "final_only"),
            Windows(
                "hopping", K, ("hopping", 6_000, 2_000), 3_000, "delta", {"early": "1s", "late": "windows", **EACH}
            ),
            Windows("coalesced", K, ("hopping", 5_000, 2_000), 3_000),
        )
    ),
    "shapes": Kind(
        (
            Windows("session", K, ("session", 200), 3_000, options={"early_rows": 4}),
            Windows("session-early", K, ("session", 1_000), options={"early": "1s"}),
            Windows("session-final", K, ("session", 300), 2_000, "final_only"),
            Windows("rolling", K, ("rolling", 5_000)),
            Windows("counted", K, ("count", 7)),
            Windows("whole", K, ("global",), options={"early_rows": 5}),
        )
    ),
    "calendar": Kind(
        (
            Windows("day", ("k", "z"), ("day", None), 25 * HOUR, options={"early": "8h", **EACH}),
            Windows("hour", K, ("hour", "Australia/Lord_Howe"), 25 * HOUR, options=EACH),
            Windows("week", K, ("week", "America/New_York"), 25 * HOUR, "delta", {"early_rows": 9, **EACH}),
        ),
        bound=17 * HOUR,
        scale=30_000,
    ),
    "rekeyed": Kind(
        (
            Windows("tumbling", G, ("tumbling", 5_000, 0), 3_000, options={"early": "2s"}),
            Windows("delta", G, ("hopping", 6_000, 2_000), 3_000, "delta", {"late": "windows"}),
            Windows("session", G, ("session", 40), 3_000, options={"null_key": "group"}),
        ),
        staged=True,
    ),
    "rekeyed-too": Kind(
        (
            Windows("rolling", G, ("rolling", 5_000)),
            Windows("counted", G, ("count", 7)),
            Windows("whole", (), ("global",), options={"early_rows": 50}),
        ),
        staged=True,
    ),
    "merged": Kind(
        (
            Windows(
                *("small", ("g", "k"), ("tumbling", 2_000, 0), 3_000, "final_only"),
                then=Windows("large", G, ("tumbling", 10_000, 0)),
            ),
            Windows("days", ("g", "z"), ("hour", None), 3_000),
        ),
        inputs=INPUTS,
        staged=True,
    ),
}

# Until the ends of summer time of 2025 in Berlin (26 October) and New York (2 November).
_START_OF_DAYS = 1_760_918_400_000  # 20 October


def make_inputs(kind: Kind, count: int) -> dict[str, list[list[bytes | None]]]:
    return {topic: _with_columns(make_events(count, seed=7 + number), kind) for number, topic in enumerate(kind.inputs)}


def _with_columns(partitions: list[list[bytes | None]], kind: Kind) -> list[list[bytes | None]]:
    def add(value: bytes | None) -> bytes | None:
        try:
            row = json.loads(value or b"")
        except ValueError:
            return value
        rng = random.Random(row["id"])
        group = None if rng.random() < 0.02 else f"g{rng.randrange(5)}"
        number = None if rng.random() < 0.1 else rng.randrange(-50, 1_000)
        zone = ZONES[int(row["k"][1:]) % len(ZONES)] if row["k"] else "UTC"
        if kind.scale > 1 and row["ts"] > START_MS / 2:
            row["ts"] = (row["ts"] - START_MS) * kind.scale + _START_OF_DAYS
        return json.dumps({**row, "g": group, "n": number, "z": zone}).encode()

    return [[add(value) for value in values] for values in partitions]

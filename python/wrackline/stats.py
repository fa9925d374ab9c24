"""Stats: how a run stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from wrackline import html
from wrackline.durations import format_watermark

__all__ = ["Stats", "of_watermark", "to_watermark"]


@dataclass(frozen=True)
class Stats:
    """How a run stands. `rows_out` (of windows), late and dead letters count from the job's first run on, the rest is
    of this run.

    `watermark` is in milliseconds, or an infinity; `rows_total` is 0 where no end is known.

    >>> import wrackline as wl
    >>> job = wl.Job("example")
    >>> job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts").write("out")
    >>> stats = job.run().stats
    >>> stats.rows_taken, stats.late, stats.dead_letters
    (1, 0, 0)
    """

    rows_taken: int = 0
    rows_replayed: int = 0
    rows_out: int = 0
    late: int = 0
    dead_letters: int = 0
    commits: int = 0
    checkpoints: int = 0
    recoveries: int = 0
    state_bytes: int = 0
    longest_freeze_us: int = 0
    rows_total: int = 0
    watermark: float = -math.inf
    phase: str = "starting"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Stats:
        """From what the core counts.

        >>> import wrackline as wl
        >>> wl.Stats.of({"rows_taken": 3, "watermark": 1_000}).watermark
        1000
        """
        return cls(**{**values, "watermark": to_watermark(values["watermark"])})

    def _repr_html_(self) -> str:
        rows = []
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "watermark":
                text = format_watermark(of_watermark(value))
            else:
                text = f"{value:,}" if isinstance(value, int) else str(value)
            rows.append([one.name.replace("_", " "), text])
        return html.page("Stats", html.table([], rows, right={1}))


def to_watermark(millis: int) -> float:
    """Milliseconds, or an infinity."""
    if millis <= -(2**63):
        return -math.inf
    return math.inf if millis >= 2**63 - 1 else millis


def of_watermark(watermark: float) -> int:
    """Milliseconds, those of the core where it is an infinity."""
    if math.isfinite(watermark):
        return int(watermark)
    return -(2**63) if watermark < 0 else 2**63 - 1

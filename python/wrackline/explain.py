"""Explanations: what a job does with a record, what it holds, and why nothing comes out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wrackline import html
from wrackline.durations import format_duration, format_watermark
from wrackline.results import text_table

__all__ = ["Explanation", "Status", "why_nothing"]

_NEVER = -(2**63)
_END = 2**63 - 1
_QUIET_MS = 2_000  # without records for so long is said
_WIDTH = 80  # of a cell of text; a notebook wraps them


class Status(NamedTuple):
    """How the tasks of a run stood at a moment: `_core.Run.status()`."""

    tasks: list[dict[str, Any]]
    at: int  # ms since the epoch
    running: bool


def status_of(run: Any, *, running: bool) -> Status:
    """Of a core run."""
    return Status(run.status(), int(time.time() * 1000), running)


def why_no_more(status: Status, stats: dict[str, Any], ledger: dict[int, Any], until: str | None) -> tuple[str, ...]:
    """What a run that ended at the present end of its topic leaves to say."""
    if until != "now":
        return ()
    before = sum(steps[0][1]["in"] for steps in ledger.values() if steps)
    if stats["rows_taken"] == 0 and before:
        return (f"no new records: earlier runs have taken {before:,}; fresh=True starts over",)
    return tuple(line for line in why_nothing(status) if "open" in line)


class Explanation:
    """What `job.explain()` gives; printing it, or the last line of a cell, shows it. `why` says what it waits for.

    >>> import wrackline as wl
    >>> read = wl.Job("example").read(wl.from_records([{"v": 1, "ts": 1}]), time="ts")
    >>> counts = read.key_by("v").window(wl.tumbling("1m")).agg(n=wl.count())
    >>> print(read._job.explain().steps[1].state)
    38 bytes a key and window; fires when W reaches its end, which frees it
    """

    def __init__(self, title: str, watermark: str, steps: Sequence[StepText], status: Status | None) -> None:
        self._title = title
        self._status = status
        self.watermark = watermark
        self.steps = list(steps)
        self.why = [] if status is None else list(why_nothing(status))

    def _rows(self) -> list[list[str]]:
        return [[one.name, one.does, one.state, one.judged] for one in self.steps]

    def _now(self) -> str:
        if self._status is None:
            return "it has not run in this process"
        return "now" if self._status.running else f"when it ended, {_age(self._status.at)} ago"

    def _partitions(self) -> list[list[str]]:
        tasks = [] if self._status is None else self._status.tasks
        return [
            [
                str(one["partition"]),
                format_watermark(one["watermark"]),
                f"{one['offset']:,}",
                "none yet" if one["last_record"] == _NEVER else f"{_since(one['last_record'], self._at())} ago",
                _size(sum(step["state_bytes"] for step in one["steps"].values())),
            ]
            for one in tasks
        ]

    def _at(self) -> int:
        return int(time.time() * 1000) if self._status is None else self._status.at

    def __repr__(self) -> str:
        lines = [self._title, f"  {self.watermark}", ""]
        rows = [[one if len(one) <= _WIDTH else one[: _WIDTH - 3] + "..." for one in row] for row in self._rows()]
        table = text_table(_STEP_HEADER, rows)
        lines += [f"  {line}" for line in table.splitlines()]
        lines += ["", f"  {self._now()}:"]
        if self._partitions():
            table = text_table(_PARTITION_HEADER, self._partitions(), right=frozenset({2, 4}))
            lines += [f"    {line}" for line in table.splitlines()]
        lines += [f"    {line}" for line in self.why]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [html.table(_STEP_HEADER, self._rows())]
        if self._partitions():
            parts.append(html.table(_PARTITION_HEADER, self._partitions(), right={2, 4}))
        return html.page(self._title, *parts, note="; ".join([self.watermark, self._now(), *self.why]))


_STEP_HEADER = ["step", "does", "holds", "judged by"]
_PARTITION_HEADER = ["partition", "watermark", "next offset", "last record", "state"]


class StepText(NamedTuple):
    """A step in words: what it holds and what frees that, and whose watermark judges a record there."""

    name: str
    does: str
    state: str
    judged: str


def window_state(entry_bytes: int, allowed_lateness: int) -> str:
    freed = f"freed when W reaches it + {format_duration(allowed_lateness)}" if allowed_lateness else "which frees it"
    return f"{entry_bytes} bytes a key and window; fires when W reaches its end, {freed}"


def dedup_state(entry_bytes: int, within: int, allowed_lateness: int | None) -> str:
    # Two thirds of the slots are taken on average.
    kept = "within + allowed_lateness" if allowed_lateness is None else format_duration(within + allowed_lateness)
    return f"about {entry_bytes * 10 // 9} bytes an id; freed when W passes its time + {kept}"


def why_nothing(status: Status) -> Iterator[str]:
    """What has to happen before the next row comes out, step by step."""
    tasks = status.tasks
    if not tasks:
        yield "it has no partitions (yet): other processes of this job have them, or it is starting"
        return
    for one in tasks:
        if one["on_probation"] and one["offset"] > 0:
            yield (
                f"partition {one['partition']}: every record so far was refused (job.dead_letters.collect() says why); "
                "nothing of it is committed before one is accepted"
            )
    for step in tasks[0]["steps"]:
        waiting = [one for one in tasks if one["steps"][step]["open_windows"]]
        if not waiting:
            continue
        windows = sum(one["steps"][step]["open_windows"] for one in waiting)
        first = min(waiting, key=lambda one: one["steps"][step]["next_end"] - one["watermark"])
        end, watermark = first["steps"][step]["next_end"], first["watermark"]
        stands = "it has no watermark yet" if watermark == _NEVER else f"it stands at {format_watermark(watermark)}"
        verb = "window is" if windows == 1 else "windows are"
        line = (
            f"{step}: {windows:,} {verb} open; the next fires when the watermark of partition {first['partition']} "
            f"reaches {format_watermark(end)}; {stands}"
        )
        quiet = status.at - first["last_record"]
        if first["last_record"] == _NEVER:
            line += ", and no record has come in this run"
        elif quiet >= _QUIET_MS:
            line += f", no record for {format_duration(quiet // 1000 * 1000)}"
        yield line


def _since(then: int, now: int) -> str:
    return format_duration(max(0, now - then) // 1000 * 1000)


def _age(then: int) -> str:
    return _since(then, int(time.time() * 1000))


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"

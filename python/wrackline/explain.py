"""Explanations: what a job does with a record, what it holds, and why nothing comes out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wrackline import html
from wrackline.durations import format_duration, format_watermark
from wrackline.results import text_table

if TYPE_CHECKING:
    from wrackline.windows import Window

__all__ = ["Explanation", "Status", "why_nothing"]

_NEVER = -(2**63)
_END = 2**63 - 1
_QUIET_MS = 2_000  # without records for so long is said
_MOST = 5  # partitions that are named
_WIDTH = 100  # of what a step does, as text; a notebook wraps it


class Status(NamedTuple):
    """How the tasks of a run stood at a moment: `_core.Run.status()`."""

    tasks: list[dict[str, Any]]
    at: int  # ms since the epoch
    running: bool
    stages: list[dict[str, Any]]


def status_of(run: Any, *, running: bool) -> Status:
    """Of a core run."""
    return Status(run.status(), int(time.time() * 1000), running, run.stages())


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
    40 bytes a key and window; fires when W reaches its end, which frees it
    """

    def __init__(
        self,
        title: str,
        watermark: str,
        steps: Sequence[StepText],
        stages: Sequence[str],
        status: Status | None,
    ) -> None:
        self._title = title
        self._status = status
        self.stages = list(stages)
        self.watermark = watermark
        self.steps = list(steps)
        self.why = [] if status is None else list(why_nothing(status))

    def _rows(self, stage: int) -> list[list[str]]:
        return [[one.name, one.does, one.state, one.judged] for one in self.steps if one.stage == stage]

    def _now(self) -> str:
        if self._status is None:
            return "it has not run in this process"
        return "now" if self._status.running else f"when it ended, {_age(self._status.at)} ago"

    def _partitions(self) -> list[list[str]]:
        tasks = [] if self._status is None else self._status.tasks
        several = len(self.stages) > 1
        return [
            [
                *([_stage_name(self._status, one["stage"])] if several else []),
                str(one["partition"]),
                format_watermark(one["watermark"]),
                f"{one['offset']:,}",
                "none yet" if one["last_record"] == _NEVER else f"{_since(one['last_record'], self._at())} ago",
                _size(sum(step["state_bytes"] for step in one["steps"].values())),
            ]
            for one in tasks
        ]

    def _partition_header(self) -> list[str]:
        return [*(["stage"] if len(self.stages) > 1 else []), *_PARTITION_HEADER]

    def _held(self) -> list[list[str]]:
        """Of each step that remembers, over all partitions: entries, windows, bytes."""
        held: dict[str, list[int]] = {}
        for task in [] if self._status is None else self._status.tasks:
            for name, step in task["steps"].items():
                sums = held.setdefault(name, [0, 0, 0])
                for place, key in enumerate(("entries", "open_windows", "state_bytes")):
                    sums[place] += step[key]
        return [
            [name, f"{entries:,}", f"{windows:,}", _size(size)]
            for name, (entries, windows, size) in held.items()
            if entries or windows or size
        ]

    def _at(self) -> int:
        return int(time.time() * 1000) if self._status is None else self._status.at

    def __repr__(self) -> str:
        lines = [self._title, *(f"  {line}" for line in self.watermark.splitlines()), ""]
        for number, stage in enumerate(self.stages):
            if len(self.stages) > 1:
                lines += [*([""] if number else []), f"  {stage}"]
            here = [one for one in self.steps if one.stage == number]
            width = max((len(one.name) for one in here), default=0)
            for one in here:
                lines.append(
                    f"  {one.name:<{width}}  {one.does if len(one.does) <= _WIDTH else one.does[:_WIDTH] + '...'}"
                )
                lines += [f"  {'':<{width}}  {line}" for line in one.lines()]
        lines += ["", f"  {self._now()}" + ("" if self._status is None else ":")]
        if self._partitions():
            right = frozenset(len(self._partition_header()) - back for back in (3, 1))
            table = text_table(self._partition_header(), self._partitions(), right=right)
            lines += [f"    {line}" for line in table.splitlines()]
        if self._held():
            table = text_table(_HELD_HEADER, self._held(), right=frozenset({1, 2, 3}))
            lines += ["", *(f"    {line}" for line in table.splitlines())]
        lines += [f"    {line}" for line in self.why]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = []
        for number, stage in enumerate(self.stages):
            if len(self.stages) > 1:
                parts.append(html.text(stage))
            parts.append(html.table(_STEP_HEADER, self._rows(number)))
        if self._partitions():
            last = len(self._partition_header())
            parts.append(html.table(self._partition_header(), self._partitions(), right={last - 3, last - 1}))
        if self._held():
            parts.append(html.table(_HELD_HEADER, self._held(), right={1, 2, 3}))
        return html.page(self._title, *parts, note="; ".join([self.watermark, self._now(), *self.why]))


_STEP_HEADER = ["step", "does", "holds", "judged by"]
_PARTITION_HEADER = ["partition", "watermark", "next offset", "last record", "state"]
_HELD_HEADER = ["holds now", "entries", "open windows", "state"]


class StepText(NamedTuple):
    """A step in words: what it holds and what frees that, and whose watermark judges a record there."""

    name: str
    does: str
    state: str
    judged: str
    stage: int = 0

    def lines(self) -> list[str]:
        """What it holds and whose watermark judges a record, of a step that remembers."""
        return [f"holds {self.state}", f"judged by {self.judged}"] if self.judged else []


def window_state(window: Window, entry_bytes: int, grows: str, allowed_lateness: int, emit: str) -> str:
    """What a window's step keeps, by the kind of window, and what frees it."""
    late = f" + {format_duration(allowed_lateness)}" if allowed_lateness else ""
    freed = f"freed when W reaches it{late}" if late else "which frees it"
    fires = f"fires when W reaches its end{late}, which frees it" if emit == "final_only" else None
    fires = fires or f"fires when W reaches its end, {freed}"
    of, rest = "a key and window", fires
    if window.kind == "hopping":
        slice_ = math.gcd(window.settings["size"], window.settings["slide"])
        of, rest = f"a key and slice of {format_duration(slice_)}", f"a window {fires.partition(',')[0]}"
        rest += f", a slice is freed when W reaches the end of its last window{late}"
    elif window.kind == "session":
        of, rest = "a session", fires.replace("reaches", "passes")
    elif window.kind == "rolling":
        size = format_duration(window.settings["size"])
        of, rest = "a record", f"comes out when W passes its time, freed when W passes its time + {size}"
    elif window.kind == "count_window":
        of, rest = "a key", f"freed with its {window.settings['n']:,}th record, by no watermark"
    elif window.kind == "global_window":
        of, rest = "a key", "never freed"
    return f"{entry_bytes} bytes {of}" + (f", and for {grows}" if grows else "") + f"; {rest}"


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
                f"{_places([_place(status, one)])}: every record so far was refused (job.dead_letters.collect() says "
                "why); nothing of it is committed before one is accepted"
            )
    for number in range(len(status.stages)):
        here = [one for one in tasks if one["stage"] == number]
        for step in here[0]["steps"] if here else ():
            waiting = [one for one in here if one["steps"][step]["open_windows"]]
            if waiting:
                yield _why_open(status, step, waiting)


def _why_open(status: Status, step: str, waiting: list[dict[str, Any]]) -> str:
    windows = sum(one["steps"][step]["open_windows"] for one in waiting)
    line = f"{step}: {windows:,} {'window is' if windows == 1 else 'windows are'} open; "
    first = min(waiting, key=lambda one: one["steps"][step]["next_end"] - one["watermark"])
    end = first["steps"][step]["next_end"]
    if end == _END:
        return line + "no watermark makes them fire: more records do, or the end of the input"
    if not first["inputs"]:
        return line + f"the next fires when {_reaches(status, [first], end, first['watermark'])}"
    active = [one for one in first["inputs"] if not one["idle"] and not one["ended"]]
    if not active:
        return line + (
            f"the next fires when the watermark reaches {format_watermark(end)}; it stands at "
            f"{format_watermark(first['watermark'])}, and all inputs are idle: new records move it, or "
            'idle_advance="close"'
        )
    least = min(one["watermark"] for one in active)
    line += "the next fires when " + _upstream(status, first, [one for one in active if one["watermark"] == least], end)
    idle = [_input_place(status, first, one) for one in first["inputs"] if one["idle"]]
    return line + (f"; idle, and left out: {_places(idle)}" if idle else "")


def _upstream(status: Status, task: dict[str, Any], slowest: list[dict[str, Any]], end: int) -> str:
    """Which of the tasks that write a stage's input hold its watermark."""
    one = slowest[0]
    if one["partition"] < 0:
        stage = status.stages[status.stages[task["stage"]]["upstream"][one["source"]]]
        return f"the watermark reaches {format_watermark(end)}; nothing has come from {_topic(stage)} yet"
    writers = [_writer(status, task, one) for one in slowest]
    known = [one for one in writers if one is not None]
    deep = known[0] if known else None
    if deep is not None and deep["inputs"]:  # which waits itself
        stage = status.stages[deep["stage"]]["name"]
        said = f"the watermark behind stage {stage!r} reaches {format_watermark(end)}; "
        active = [one for one in deep["inputs"] if not one["idle"] and not one["ended"]]
        least = min((one["watermark"] for one in active), default=_NEVER)
        held = [_input_place(status, deep, one) for one in active if one["watermark"] == least]
        return said + (f"{_places(held)} held it at {format_watermark(least)}" if held else "its inputs are idle")
    if deep is None:  # read by another process
        names = _places([_input_place(status, task, one) for one in slowest])
        return f"the watermark of {names} reaches {format_watermark(end)}; {_stands(one['watermark'])}"
    return _reaches(status, known, end, one["watermark"])


def _reaches(status: Status, readers: list[dict[str, Any]], end: int, watermark: int) -> str:
    """`readers`: tasks that read a source, and stand at `watermark`."""
    names = _places([_place(status, one) for one in readers])
    line = f"the watermark of {names} reaches {format_watermark(end)}; {_stands(watermark)}"
    last = max(one["last_record"] for one in readers)
    quiet = status.at - last
    if last == _NEVER:
        line += ", and no record has come in this run"
    elif quiet >= _QUIET_MS:
        line += f", no record for {format_duration(quiet // 1000 * 1000)}"
    return line + (", and it is idle" if readers[0]["idle"] else "")


def _stands(watermark: int) -> str:
    return "it has no watermark yet" if watermark == _NEVER else f"it stands at {format_watermark(watermark)}"


def _writer(status: Status, task: dict[str, Any], one: dict[str, Any]) -> dict[str, Any] | None:
    stage = status.stages[task["stage"]]["upstream"][one["source"]]
    return next((t for t in status.tasks if t["stage"] == stage and t["partition"] == one["partition"]), None)


def _input_place(status: Status, task: dict[str, Any], one: dict[str, Any]) -> tuple[int, str]:
    stage = status.stages[status.stages[task["stage"]]["upstream"][one["source"]]]
    return one["partition"], _topic(stage)


def _place(status: Status, task: dict[str, Any]) -> tuple[int, str]:
    """A partition, and of which topic where there are several."""
    return task["partition"], "" if len(status.stages) == 1 else _topic(status.stages[task["stage"]])


def _places(places: list[tuple[int, str]]) -> str:
    """ "partitions 0 and 2 of 'readings', partition 1 of 'trips'"."""
    said = []
    for topic in dict.fromkeys(topic for _, topic in places):
        numbers = [str(number) for number, of in places if of == topic]
        listed = ", ".join(numbers[:-1]) + (" and " if len(numbers) > 1 else "") + numbers[-1]
        if len(numbers) > _MOST:
            listed = ", ".join(numbers[:_MOST]) + f" and {len(numbers) - _MOST:,} more"
        said.append(f"partition{'s' if len(numbers) > 1 else ''} {listed}" + (f" of {topic}" if topic else ""))
    return ", ".join(said)


def _topic(stage: dict[str, Any]) -> str:
    return repr(stage["input"]) if stage["input"] else f"the rows of {stage['reads']!r}"


def _stage_name(status: Status | None, number: int) -> str:
    return str(number) if status is None else str(status.stages[number]["name"])


def stage_texts(stages: list[dict[str, Any]], *, known: bool) -> list[str]:
    """Each stage in words. `known`: how many partitions there are; else they are taken for several."""
    if not known:
        stages = [{**one, "partitions": 0} for one in stages]
    texts = []
    for one in stages:
        count = one["partitions"]
        partitions = f" ({count} partition{'' if count == 1 else 's'})" if count and one["input"] else ""
        if one["source"] >= 0:
            texts.append(f"stage {one['name']} reads {_topic(one)}{partitions}")
            continue
        from_ = ", ".join(f"stage {stages[number]['name']}" for number in one["upstream"])
        texts.append(
            f"stage {one['name']} reads {_topic(one)}{partitions}, rows of {from_}: windows fire by W of the input "
            "that is farthest behind, of those that are neither idle nor at their end"
        )
    return texts


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

"""Jobs and streams as notebooks show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wrackline import html
from wrackline.ledger import Ledger
from wrackline.log import Log
from wrackline.schema import Columns, Field

if TYPE_CHECKING:
    from wrackline.job import Job
    from wrackline.stream import SideStream

__all__ = ["of_job", "of_stream"]

_ALWAYS = ("in", "out")  # of the counts; the others are shown where there are any
_LEFT_OUT = ("panes", "panes_dead", "windows_missed")
_SPACE = "\u00a0"  # where no line ends


def of_stream(stream: SideStream, behind: str = "", keys: Sequence[str] = ()) -> str:
    """The columns of a stream. `behind`: what follows its name; `keys` are said to be keys.

    >>> import wrackline as wl
    >>> "k0" in of_stream(wl.Job("example").read(wl.from_records([{"k0": 1, "ts": 1}]), time="ts"))
    True
    """
    columns: Columns = stream.schema
    rows = [
        [one.name, _type(one), "yes" if one.nullable else "no", *(["key" if one.name in keys else ""] if keys else [])]
        for one in columns.fields
    ]
    header = ["column", "type", "nullable", *([""] if keys else [])]
    return html.page(f"{stream._label}{behind}", html.table(header, rows), note=f"a stream of job {stream._job.name!r}")


def _type(one: Field) -> str:
    return repr(Field(one.name, one.type)).removeprefix(f"{one.name}: ")


def of_job(job: Job) -> str:
    """The plan as a tree, with what became of the records as far as this process knows.

    >>> import wrackline as wl
    >>> of_job(wl.Job("example")).count("reads nothing yet")
    1
    """
    log = job._log.uri if isinstance(job._log, Log) else job._log
    title = f"job {job.name!r} on {log!r}"
    if job._source is None:
        return html.page(title, note="reads nothing yet")
    running = job.running
    if running is not None:
        ledger, note = running.ledger, "runs"
    else:
        ledger = Ledger({} if job._last_run is None else job._last_run.ledger())
        note = "as of the last commit" if len(ledger) else ""
    names = _counted(ledger)
    rows = []
    for step, label, text in _tree(job):
        counts = ledger[step].as_dict() if step in ledger else {}
        rows.append([label, text, *(_count(counts, name) for name in names)])
    header = ["", "", *(name.replace("_", " ") for name in names)]
    return html.page(title, html.table(header if names else [], rows, right=range(2, len(header))), note=note)


def _count(counts: dict[str, int], name: str) -> str:
    """Without the zeros of what did not happen."""
    return f"{counts[name]:,}" if counts and (counts[name] or name in _ALWAYS) else ""


def _counted(ledger: Ledger) -> list[str]:
    every = [counts.as_dict() for counts in ledger.values()]
    known = [name for name in (every[0] if every else ()) if name not in _LEFT_OUT]
    return [name for name in known if name in _ALWAYS or any(one[name] for one in every)]


def _tree(job: Job) -> Iterator[tuple[str, str, str]]:
    """(step of the ledger or "", label, what it does): each step below the one that it reads."""
    below: dict[str, list[tuple[str, str, str]]] = {}  # of a step, first what is written: step or "", text, stream
    steps = {step for step, _, _ in job._lines}
    apart = []
    for topic, refs in job._complete_plan().sinks():
        streams = [job._label(ref) for ref in refs]
        of = streams[0].partition(".")[0]
        if len(streams) == 1 and of in steps:
            below.setdefault(of, []).append(("", topic, streams[0]))
        else:
            apart.append(("", f"→{_SPACE}{topic}", ", ".join(streams)))
    for step, text, stream in job._lines:
        below.setdefault(stream.partition(".")[0], []).append((step, text, stream))

    def walk(of: str, depth: int) -> Iterator[tuple[str, str, str]]:
        for step, text, stream in below.get(of, []):
            margin = 2 * _SPACE * (depth - 1)
            side = stream if "." in stream else ""
            if step:
                yield step, f"{margin}{f'└{_SPACE}' if depth else ''}{step}", f"{side}: {text}" if side else text
                yield from walk(step, depth + 1)
            else:
                yield "", f"{margin}→{_SPACE}{text}", side

    yield from walk("", 0)
    yield from apart

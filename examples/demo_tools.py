"""What both parts of the demo share: plain-text tables, children, and what lies in a log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import wrackline as wl

HERE = Path(__file__).parent
WIDTH = 118


class DemoError(Exception):
    """Something is not as it must be."""


def say(text: str) -> None:
    print(text, flush=True)


def title(text: str) -> None:
    say(f"\n{f'== {text} ':=<{WIDTH}}\n")


def heading(text: str) -> None:
    say(f"\n{text}\n{'-' * min(len(text), WIDTH)}")


def check(good: bool, what: str) -> None:
    if not good:
        raise DemoError(f"NOT TRUE: {what}")
    say(f"  [ok] {what}")


def table(header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1, more: int = 0) -> None:
    """The first `left` columns begin on one line, the others end on one; `more` rows are only counted."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for number, row in enumerate(cells):
        line = "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        say("  " + line.rstrip()[: WIDTH - 2])
        if number == 0:
            say("  " + "  ".join("-" * width for width in widths)[: WIDTH - 2])
    if more > 0:
        say(f"  ... and {more:,} more")


def clock(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, tz=UTC).strftime("%d %b %H:%M")


def span(millis: float) -> str:
    minutes = round(millis / 60_000)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    return f"{days} d {hours:02} h" if days else f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


@contextmanager
def child(
    script: str, *arguments: str, failpoint: str | None = None, out: int | IO[str] | None = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A script of this folder in a process of its own, which does not outlive the block."""
    environment = {key: value for key, value in os.environ.items() if key != "WRACKLINE_FAILPOINT"}
    if failpoint is not None:
        environment["WRACKLINE_FAILPOINT"] = failpoint
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        env=environment,
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with process:
            yield process
    except BaseException:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        raise


def finish(process: subprocess.Popen[str]) -> str:
    """Waits for an orderly end and returns what the process said."""
    said, _ = process.communicate()
    if process.returncode != 0:
        raise DemoError(f"{process.args!r} ended with {process.returncode}:\n{said}")
    return said or ""


def last_revisions(log: wl.Log, topic: str) -> dict[bytes | None, bytes | None]:
    """What a compacted topic would keep."""
    return {record.key: record.value for record in log.read(topic)}


def as_multiset(log: wl.Log, topic: str) -> Counter[tuple[object, ...]]:
    """Every record of the topic, with its headers."""
    return Counter((record.key, record.value, record.headers) for record in log.read(topic))

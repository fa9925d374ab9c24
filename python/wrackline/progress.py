"""How a run is watched: a table in a notebook or (with rich) on a terminal, else a line."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from typing import Any, Protocol, TextIO

from wrackline import html
from wrackline.durations import format_watermark
from wrackline.ledger import Ledger
from wrackline.stats import Stats, of_watermark

__all__ = ["Notebook", "ProgressLine", "TerminalTable", "View", "page_of", "view_for"]

_PLAIN_SECONDS = 5.0  # between lines when stderr is no terminal


class View(Protocol):
    """What is shown of a run. Made where the run is started; the rest is called by the run's thread."""

    def show(self, stats: Stats, ledger: Ledger) -> None: ...

    def end(self, stats: Stats, ledger: Ledger) -> None: ...


def view_for(job: str) -> View:
    """The view that this process can show."""
    shell = _notebook()
    if shell is not None:
        return Notebook(job)
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        return TerminalTable(job, sys.stderr)
    return ProgressLine(job)


def _notebook() -> Any:
    """The shell of a kernel; None elsewhere. Whoever is in one has imported IPython."""
    if "IPython" not in sys.modules:
        return None
    shell = getattr(sys.modules["IPython"], "get_ipython", lambda: None)()
    return None if type(shell).__name__ == "TerminalInteractiveShell" else shell


class _Pace:
    """Records a second: since the last look, and at the end of all of them."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._rows = 0

    @property
    def since(self) -> float:
        return time.monotonic() - self._last

    def now(self, stats: Stats) -> float:
        since, rows = self.since, stats.rows_taken - self._rows
        self._last, self._rows = self._last + since, stats.rows_taken
        return rows / since if since > 0 else 0.0

    def over_all(self, stats: Stats) -> float:
        elapsed = time.monotonic() - self._start
        return stats.rows_taken / elapsed if elapsed > 0 else 0.0


def _title(job: str, stats: Stats) -> str:
    return f"{job} {stats.phase}" if stats.phase in ("starting", "replaying", "failed") else job


def _facts(stats: Stats, rate: float | None) -> str:
    of = f" of {stats.rows_total:,}" if stats.rows_total else ""
    replayed = f" (replayed {stats.rows_replayed:,})" if stats.rows_replayed else ""
    watermark = format_watermark(of_watermark(stats.watermark))
    pace = "" if rate is None else f"{rate:,.0f}/s, "
    return (
        f"{stats.rows_taken:,}{of} rows{replayed}, {pace}"
        f"watermark {watermark}, {stats.late:,} late, {stats.dead_letters:,} dead"
    )


def page_of(title: str, stats: Stats, rate: float | None, ledger: Ledger) -> str:
    """A run for a notebook. The rate is left out where nobody has looked twice."""
    header, rows = ledger._cells()
    parts = [html.table(header, rows, right=range(1, len(header)))] if rows else []
    return html.page(title, *parts, note=_facts(stats, rate))


class ProgressLine:
    """One line: rows, rate, watermark, late. Rewritten in place on a terminal, else a line every few seconds."""

    def __init__(self, job: str, out: TextIO | None = None) -> None:
        self._job = job
        self._out = out or sys.stderr
        self._terminal = self._out.isatty()
        self._pace = _Pace()
        self._width = 0

    def show(self, stats: Stats, ledger: Ledger) -> None:
        if self._terminal or self._pace.since >= _PLAIN_SECONDS:
            self._write(stats, self._pace.now(stats))

    def end(self, stats: Stats, ledger: Ledger) -> None:
        self._write(stats, self._pace.over_all(stats))
        if self._terminal:
            self._out.write("\n")

    def _write(self, stats: Stats, rate: float) -> None:
        text = f"{_title(self._job, stats)}: {_facts(stats, rate)}"
        if self._terminal:
            text = text[: shutil.get_terminal_size().columns - 1]  # what is wrapped cannot be written over
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._out.write(text + "\n")
        self._out.flush()


class TerminalTable:
    """The line with a table of the steps below, kept in place by rich."""

    def __init__(self, job: str, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._job = job
        self._pace = _Pace()
        # Without a thread of its own: what it shows changes when `show` is called.
        self._live = Live(console=Console(file=out), auto_refresh=False)
        self._live.start()

    def show(self, stats: Stats, ledger: Ledger) -> None:
        self._draw(stats, self._pace.now(stats), ledger)

    def end(self, stats: Stats, ledger: Ledger) -> None:
        self._draw(stats, self._pace.over_all(stats), ledger)
        self._live.stop()

    def _draw(self, stats: Stats, rate: float, ledger: Ledger) -> None:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        header, rows = ledger._cells(brief=True)
        table = Table(box=box.SIMPLE_HEAD)
        for number, name in enumerate(header):
            table.add_column(Text(name), justify="right" if number else "left")
        for row in rows:
            table.add_row(*map(Text, row))  # as text: a step may be called [bold]
        line = Text(f"{_title(self._job, stats)}: {_facts(stats, rate)}")
        self._live.update(Group(line, table) if rows else line, refresh=True)


class Notebook:
    """A table below the cell that started the run, changed in place."""

    def __init__(self, job: str) -> None:
        from IPython import display

        show: Any = display.display
        self._job = job
        self._pace = _Pace()
        self._shown = _bundle(f"{job} starting", Stats(), None, Ledger({}))
        self._handle = show(self._shown, raw=True, display_id=True)

    def show(self, stats: Stats, ledger: Ledger) -> None:
        self._change(_bundle(_title(self._job, stats), stats, self._pace.now(stats), ledger))

    def end(self, stats: Stats, ledger: Ledger) -> None:
        title = f"{self._job} {'failed' if stats.phase == 'failed' else 'has ended'}"
        self._change(_bundle(title, stats, self._pace.over_all(stats), ledger))

    def _change(self, bundle: dict[str, str]) -> None:
        if bundle != self._shown:  # a page that is left open over night stays small
            self._shown = bundle
            self._handle.update(bundle, raw=True)


def _bundle(title: str, stats: Stats, rate: float | None, ledger: Ledger) -> dict[str, str]:
    return {"text/html": page_of(title, stats, rate, ledger), "text/plain": f"{title}: {_facts(stats, rate)}"}

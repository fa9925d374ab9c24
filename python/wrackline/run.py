"""Running: signals, the progress line, background threads, and what a run gives back."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from types import FrameType, TracebackType
from typing import Any, TextIO

from wrackline import forks, html
from wrackline.deliveries import Deliveries
from wrackline.durations import format_watermark
from wrackline.errors import UnavailableError
from wrackline.ledger import Ledger

__all__ = ["RunResult", "RunningJob", "Stats"]

_logger = logging.getLogger("wrackline")
_PROGRESS_MS = 250
_PLAIN_SECONDS = 5.0  # between lines when stderr is no terminal


@dataclass(frozen=True)
class Stats:
    """How a run stands. Rows out, late and dead letters count from the job's first run on, the rest is of this run.

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


@dataclass(frozen=True)
class RunResult:
    """What a run did, and the ledger as of its last commit.

    >>> import wrackline as wl
    >>> job = wl.Job("example")
    >>> job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts").write("out")
    >>> result = job.run()
    >>> result.rows, result.ledger.balances
    (1, True)
    """

    stats: Stats
    ledger: Ledger

    @property
    def rows(self) -> int:
        """Records taken in this run, replays not counted."""
        return self.stats.rows_taken

    def __repr__(self) -> str:
        return f"{self._title()}\n{self.ledger!r}"

    def _repr_html_(self) -> str:
        return html.page(self._title(), self.ledger._repr_html_())

    def _title(self) -> str:
        stats = self.stats
        replayed = f", {stats.rows_replayed:,} replayed" if stats.rows_replayed else ""
        return f"{stats.rows_taken:,} records in this run{replayed}, {stats.commits:,} commits"


_running: set[tuple[str, str]] = set()  # log and job
_starting = threading.Lock()
os.register_at_fork(after_in_child=_running.clear)


@contextlib.contextmanager
def only_run(log: Any, job: str) -> Iterator[None]:
    """While a job runs on an embedded log. A second run of it in this process would fence the first."""
    if log.uri.startswith("kafka:"):
        yield
        return
    one = (log.id, job)
    with _starting:
        if one in _running:
            raise UnavailableError(
                f"job {job!r} runs already, in this process and on this log: end that run first (running.stop()), or "
                "give this job a name of its own; several runs of one job share its work on Kafka alone"
            )
        _running.add(one)
    try:
        yield
    finally:
        _running.discard(one)


class ProgressLine:
    """One line: rows, rate, watermark, late. Rewritten in place on a terminal, else a line every few seconds."""

    def __init__(self, job: str, out: TextIO | None = None) -> None:
        self._job = job
        self._out = out or sys.stderr
        self._terminal = self._out.isatty()
        self._start = time.monotonic()
        self._last = 0.0
        self._rows = 0
        self._width = 0

    def __call__(self, stats: Stats) -> None:
        elapsed = time.monotonic() - self._start
        since = elapsed - self._last
        if not self._terminal and since < _PLAIN_SECONDS:
            return
        rate = (stats.rows_taken - self._rows) / since if since > 0 else 0.0
        self._rows, self._last = stats.rows_taken, elapsed
        self._write(self.text(stats, rate))

    def text(self, stats: Stats, rate: float) -> str:
        of = f" of {stats.rows_total:,}" if stats.rows_total else ""
        replayed = f" (replayed {stats.rows_replayed:,})" if stats.rows_replayed else ""
        phase = f" {stats.phase}" if stats.phase in ("starting", "replaying") else ""
        watermark = format_watermark(of_watermark(stats.watermark))
        return (
            f"{self._job}{phase}: {stats.rows_taken:,}{of} rows{replayed}, {rate:,.0f}/s, "
            f"watermark {watermark}, {stats.late:,} late, {stats.dead_letters:,} dead"
        )

    def end(self, stats: Stats) -> None:
        elapsed = time.monotonic() - self._start
        self._write(self.text(stats, stats.rows_taken / elapsed if elapsed > 0 else 0.0))
        if self._terminal:
            self._out.write("\n")

    def _write(self, text: str) -> None:
        if self._terminal:
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._out.write(text + "\n")
        self._out.flush()


@contextlib.contextmanager
def ending_in_order(run: Any, job: str) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C end the run in order; the second Ctrl-C raises KeyboardInterrupt.

    Only in the main thread, which is the one that Python gives signals to.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True
        _logger.info("job '%s': %s, ending in order", job, signal.Signals(number).name)
        run.request_stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def run_to_end(
    run: Any,
    job: str,
    progress: bool | Callable[[Stats], None] | None,
    seconds: float | None,
    deliveries: Deliveries | None = None,
) -> None:
    """Loops a core run in this thread."""
    line = ProgressLine(job) if progress is True else None
    call = line if line is not None else progress if callable(progress) else None

    def tick(values: dict[str, Any]) -> None:
        if deliveries:
            deliveries.tick(values)
        if call is not None:
            call(Stats.of(values))

    with ending_in_order(run, job):
        try:
            if deliveries:
                deliveries.before()
            ticks = tick if deliveries or call is not None else None
            run.loop(progress=ticks, every_ms=_PROGRESS_MS, seconds=seconds or 0.0)
            if deliveries:
                deliveries.after()
        finally:
            if line is not None:
                line.end(Stats.of(run.stats()))


class RunningJob:
    """A job in a background thread; a context manager whose end ends the run in order.

    >>> import wrackline as wl
    >>> log = wl.Log("memory:")
    >>> log.create("readings")
    >>> job = wl.Job("example", log=log)
    >>> job.read("readings", {"ts": int}, time="ts", out_of_orderness="30s").write("out")
    >>> with job.start(rows=2) as running:
    ...     log.append("readings", [{"ts": 1_700_000_000_000}, {"ts": 1_700_000_000_001}])
    ...     result = running.wait(timeout=60)
    2
    >>> result.rows, running.is_alive, running.stats.rows_taken, running.ledger["read"].out
    (2, False, 2, 2)
    >>> running.stop().rows
    2
    """

    def __init__(
        self,
        run: Any,
        job: str,
        progress: bool | Callable[[Stats], None] | None,
        seconds: float | None,
        ended: Callable[[], None],
        deliveries: Deliveries,
    ) -> None:
        self._run = run
        self._deliveries = deliveries
        self._job = job
        self._ended = ended
        self._error: BaseException | None = None
        self._progress = progress
        self._seconds = seconds
        forks.track(self, "_run")
        self._thread = threading.Thread(target=self._loop, name=f"wrackline-{job}")
        self._thread.start()

    def _loop(self) -> None:
        line = ProgressLine(self._job) if self._progress is True else None
        call = line if line is not None else self._progress if callable(self._progress) else None

        def tick(values: dict[str, Any]) -> None:
            if not threading.main_thread().is_alive():
                self._run.request_stop()  # the program ends: so does the run, in order
            self._deliveries.tick(values)
            if call is not None:
                call(Stats.of(values))

        try:
            self._deliveries.before()
            self._run.loop(progress=tick, every_ms=_PROGRESS_MS, seconds=self._seconds or 0.0)
            self._deliveries.after()
        except BaseException as error:  # handed to whoever waits
            self._error = error
        finally:
            if line is not None:
                line.end(Stats.of(self._run.stats()))
            self._final = (self._run.stats(), self._run.ledger())
            self._ended()

    @property
    def stats(self) -> Stats:
        """How the run stands now."""
        return Stats.of(self._run.stats())

    @property
    def ledger(self) -> Ledger:
        """As of the last commit."""
        return Ledger(self._run.ledger())

    @property
    def is_alive(self) -> bool:
        """Whether the run goes on."""
        return self._thread.is_alive()

    def stop(self) -> RunResult:
        """Ends the run in order: commit, checkpoint."""
        if self._thread.is_alive():
            self._run.request_stop()
        return self.wait()

    def wait(self, timeout: float | None = None) -> RunResult:
        """Waits until the run ends, and raises what ended it."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"job {self._job!r} still runs after {timeout} s")
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return RunResult(self.stats, self.ledger)

    def __enter__(self) -> RunningJob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            with contextlib.suppress(BaseException):
                self.stop()

    def __repr__(self) -> str:
        state = "runs" if self.is_alive else "has ended"
        return f"job {self._job!r} {state}: {self.stats.rows_taken:,} rows"

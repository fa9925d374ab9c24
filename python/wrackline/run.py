"""Running: signals, background threads, and what a run gives back."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from wrackline import forks, html
from wrackline.deliveries import Deliveries
from wrackline.errors import UnavailableError
from wrackline.ledger import Ledger
from wrackline.progress import page_of, view_for
from wrackline.stats import Stats

__all__ = ["Place", "Progress", "RunResult", "RunningJob", "ending_in_order", "run_to_end", "running_at", "seated"]

Progress = bool | Callable[[Stats], None] | None

Place = tuple[str, str]  # a log, and a job on it

_logger = logging.getLogger("wrackline")
_PROGRESS_MS = 250


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
    why: tuple[str, ...] = ()  # nothing more came out

    @property
    def rows(self) -> int:
        """Records taken in this run, replays not counted."""
        return self.stats.rows_taken

    def __repr__(self) -> str:
        return "\n".join([self._title(), repr(self.ledger), *self.why])

    def _repr_html_(self) -> str:
        return html.page(self._title(), self.ledger._repr_html_(), note="; ".join(self.why))

    def _title(self) -> str:
        stats = self.stats
        replayed = f", {stats.rows_replayed:,} replayed" if stats.rows_replayed else ""
        return f"{stats.rows_taken:,} records in this run{replayed}, {stats.commits:,} commits"


class _Seat:
    """Of a run, as long as it goes on."""

    running: RunningJob | None = None  # None: it is in the foreground of some thread


_seats: dict[Place, _Seat] = {}
_seats_lock = threading.Lock()
os.register_at_fork(after_in_child=_seats.clear)


def running_at(place: Place) -> RunningJob | None:
    """The run that a job's `start` began in this process, while it goes on."""
    seat = _seats.get(place)
    return None if seat is None else seat.running


@contextlib.contextmanager
def seated(place: Place, *, alone: bool) -> Iterator[_Seat]:
    """Takes the place of a run; refused, if it is `alone`, while another run is there."""
    seat = _Seat()
    with _seats_lock:
        there = _seats.get(place)
        if there is not None and alone:
            where = "job.running.stop()" if there.running is not None else "it is in another thread"
            raise UnavailableError(
                f"job {place[1]!r} runs already, in this process and on this log: end that run first ({where}), or "
                "give this job a name of its own; several runs of one job share its work on Kafka alone"
            )
        _seats[place] = seat
    try:
        yield seat
    finally:
        with _seats_lock:
            if _seats.get(place) is seat:
                del _seats[place]


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
        run.request_stop()
        _logger.info("job '%s': %s, ending in order", job, signal.Signals(number).name)
        if number == signal.SIGINT:
            with contextlib.suppress(RuntimeError):  # it came while this thread was writing there
                print(f"job '{job}' was interrupted and ends in order; once more: at once", file=sys.stderr)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def run_to_end(
    run: Any, job: str, progress: Progress, seconds: float | None, deliveries: Deliveries | None = None
) -> None:
    """Loops a core run in this thread."""
    with ending_in_order(run, job), _watched(run, job, progress) as tick:
        _loop(run, seconds, tick, deliveries)


def _loop(
    run: Any,
    seconds: float | None,
    tick: Callable[[dict[str, Any]], None] | None,
    deliveries: Deliveries | None,
) -> None:
    """What the run commits goes to files and functions meanwhile, and all of it behind its end."""
    if not deliveries:
        run.loop(progress=tick, every_ms=_PROGRESS_MS, seconds=seconds or 0.0)
        return
    chosen = deliveries

    def both(values: dict[str, Any]) -> None:
        chosen.tick(values)
        if tick is not None:
            tick(values)

    chosen.before()
    run.loop(progress=both, every_ms=_PROGRESS_MS, seconds=seconds or 0.0)
    chosen.after()


@contextlib.contextmanager
def _watched(run: Any, job: str, progress: Progress) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """What to call while the run loops."""
    if callable(progress):
        chosen = progress
        yield lambda values: chosen(Stats.of(values))
        return
    if not progress:
        yield None
        return
    view = view_for(job)
    try:
        yield lambda values: view.show(Stats.of(values), Ledger(run.ledger()))
    finally:
        view.end(Stats.of(run.stats()), Ledger(run.ledger()))


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
        progress: Progress,
        seconds: float | None,
        ended: Callable[[], None],
        deliveries: Deliveries,
    ) -> None:
        self._run = run
        self._job = job
        self._error: BaseException | None = None
        self._ended = threading.Event()  # a join() that Ctrl-C ends takes the thread for dead in Python 3.11
        self._closing = threading.Lock()
        self._is_closed = False

        def close() -> None:
            with self._closing:
                self._is_closed = True
            ended()

        with contextlib.ExitStack() as stack:
            stack.callback(close)
            call = stack.enter_context(_watched(run, job, progress))  # here: a notebook shows it below this cell
            watched = stack.pop_all()

        def tick(values: dict[str, Any]) -> None:
            if not threading.main_thread().is_alive():
                run.request_stop()  # the program ends: so does the run, in order
            if call is not None:
                call(values)

        def loop() -> None:
            try:
                with watched:
                    _loop(run, seconds, tick, deliveries)
            except BaseException as error:  # handed to whoever waits
                self._error = error
            finally:
                self._ended.set()

        forks.track(self, "_run")
        self._thread = threading.Thread(target=loop, name=f"wrackline-{job}")
        self._thread.start()

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
        return not self._ended.is_set()

    def stop(self) -> RunResult:
        """Ends the run in order: commit, checkpoint."""
        with self._closing:  # what is closed cannot be asked
            if not self._is_closed:
                self._run.request_stop()
        return self.wait()

    def wait(self, timeout: float | None = None) -> RunResult:
        """Waits until the run ends, and raises what ended it."""
        forks.here(self._run)
        if not self._ended.wait(timeout):
            raise TimeoutError(f"job {self._job!r} still runs after {timeout} s")
        self._thread.join()
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
        return f"{self._title()}: {self.stats.rows_taken:,} rows"

    def _repr_html_(self) -> str:
        return page_of(self._title(), self.stats, None, self.ledger)

    def _title(self) -> str:
        return f"job {self._job!r} {'runs' if self.is_alive else 'has ended'}"

"""Batches: the rows of a stream as they come, in a loop."""

from __future__ import annotations

import collections
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from wrackline import _core, forks
from wrackline.results import Result

__all__ = ["MAX_PIECE", "Batches", "Copy"]

MAX_PIECE = 65_536  # rows from which a piece is handed over at once; it has at most what one more step makes
_TICK_MS = 50
_LOOK_SECONDS = 0.25  # whether the program has ended
_QUEUED = 2  # pieces that wait for the loop; then the run waits


class Copy(NamedTuple):
    """A throw-away copy of a job: commits nothing, joins no group."""

    run: Any
    take: Callable[[], _core.Table]  # what came out since it was called last
    close: Callable[[], None]


class Batches:
    """What `stream.batches()` gives: ``for batch in batches`` or ``async for batch in batches``. Each loop is a run of
    its own, which ends with the loop.
    """

    def __init__(self, start: Callable[[], Copy], seconds: float | None, label: str) -> None:
        self._start = start
        self._seconds = seconds
        self._label = label

    def __iter__(self) -> Iterator[Result]:
        feed = _Feed(self._start, self._seconds)
        try:
            while (piece := feed.next()) is not None:
                yield piece
        finally:
            feed.end()

    def __aiter__(self) -> AsyncIterator[Result]:
        return _AsyncLoop(_Feed(self._start, self._seconds))

    def __repr__(self) -> str:
        return f"batches of {self._label}: loop over them with for or async for"


class _AsyncLoop(AsyncIterator[Result]):
    """No generator: an event loop that ends may leave those unfinished, and their run would go on."""

    def __init__(self, feed: _Feed) -> None:
        self._feed = feed

    async def __anext__(self) -> Result:
        piece = await self._feed.next_async()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Ends the run and waits until it has; without it the run ends by itself, soon after the loop."""
        import asyncio

        await asyncio.to_thread(self._feed.end)

    def __del__(self) -> None:
        self._feed.leave()


class _LeftError(Exception):
    """Nobody takes the rows any more."""


class _Feed:
    """A copy that runs in a thread, and what it has put out since the loop looked last."""

    def __init__(self, start: Callable[[], Copy], seconds: float | None) -> None:
        self._start = start
        self._seconds = seconds or 0.0
        self._run: Any = None
        self._process = os.getpid()
        self._changed = threading.Condition()
        # Guarded by _changed:
        self._pieces: collections.deque[Result] = collections.deque()
        self._runs = self._ended = self._left = False
        self._error: BaseException | None = None
        self._wake: Callable[[], object] | None = None  # of a loop that awaits
        forks.track(self, "_run")
        self._thread = threading.Thread(target=self._loop, name="wrackline-batches")
        self._thread.start()

    def next(self) -> Result | None:
        """The next piece; None at the end. Raises what ended the run."""
        forks.here(self._run)
        with self._changed:
            self._changed.wait_for(self._is_ready)
            return self._taken()

    async def next_async(self) -> Result | None:
        import asyncio  # a third of the time that importing this package takes

        forks.here(self._run)
        loop = asyncio.get_running_loop()
        while True:
            woken = asyncio.Event()
            with self._changed:
                if self._is_ready():
                    return self._taken()
                self._wake = partial(loop.call_soon_threadsafe, woken.set)
            await woken.wait()

    def leave(self) -> None:
        """The run ends where it stands, soon."""
        if os.getpid() != self._process:
            return
        with self._changed:
            if self._runs:
                self._run.request_stop()
            self._left, self._wake = True, None
            self._changed.notify_all()

    def end(self) -> None:
        """Ends the run where it stands, and waits until it has."""
        self.leave()
        if os.getpid() != self._process:  # its thread did not come along
            return
        with self._changed:
            self._changed.wait_for(lambda: self._ended)
        self._thread.join()

    def _is_ready(self) -> bool:
        return bool(self._pieces) or self._ended

    def _taken(self) -> Result | None:
        if self._pieces:
            self._changed.notify_all()
            return self._pieces.popleft()
        if self._error is not None:
            raise self._error
        return None

    def _loop(self) -> None:
        try:
            copy = self._start()
            try:
                self._follow(copy)
            finally:
                with self._changed:
                    self._runs = False  # what is closed cannot be asked to stop
                copy.close()
        except _LeftError:
            pass
        except BaseException as error:  # raised in the loop, behind the rows that came before it
            self._error = error
        with self._changed:
            self._ended = True
            self._tell()

    def _follow(self, copy: Copy) -> None:
        put = partial(self._put, copy)
        with self._changed:
            self._run, self._runs = copy.run, True
        try:
            copy.run.loop(progress=put, every_ms=_TICK_MS, seconds=self._seconds)
        finally:
            put()  # also what came before an error

    def _put(self, copy: Copy, _: dict[str, Any] | None = None) -> None:
        """Called by the run, which reads nothing meanwhile."""
        with self._changed:
            while not self._left and len(self._pieces) >= _QUEUED and threading.main_thread().is_alive():
                self._changed.wait(_LOOK_SECONDS)
            if self._left or not threading.main_thread().is_alive():
                raise _LeftError
            piece = Result(copy.take())
            if len(piece):
                self._pieces.append(piece)
                self._tell()

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._wake is not None:
            wake, self._wake = self._wake, None
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                wake()

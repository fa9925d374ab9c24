"""Deliveries: what a run brings from the internal topics of sinks into files, and to functions."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from wrackline import _core
from wrackline.errors import InvalidJobError, NotFoundError, UnavailableError, WracklineError
from wrackline.frames import engine
from wrackline.parts import Origin, Part, Parts, locked
from wrackline.results import Result
from wrackline.sinks import FileSink, FunctionSink, Sink

__all__ = ["Deliveries"]

_BATCH = 65_536  # rows that a function is called with, at most
_PIECE_BYTES = 8 << 20  # that are read at once
_TICK_SECONDS = 2.0  # between two pieces of work of the run; one call, or one part, may take longer
_logger = logging.getLogger("wrackline")

FieldTuple = tuple[str, str, bool]


class _Delivery(Protocol):
    """What brings the rows of one sink out of its topic."""

    def open(self) -> None:
        """Takes what there can be only one of, and sees what is there already."""

    def deliver(self, *, began: bool, all_of_it: bool, until: float) -> None:
        """Brings out what is committed. `began`: this run has committed. `all_of_it`: what need not be yet, too.
        `until`: then it stops, by the monotonic clock, when each partition has come on, and goes on the next time."""

    def close(self) -> None: ...


class Deliveries:
    """All that a run delivers. A context manager: while it is open no other run delivers the same."""

    def __init__(
        self, sinks: Sequence[Sink], plan: Any, log: Any, *, fresh: bool, state_dir: str, transaction_timeout: int
    ) -> None:
        self._tick_seconds = min(_TICK_SECONDS, transaction_timeout / 4_000)
        refs = dict(plan.sinks())
        self._is_away = False  # the log
        self._all: list[_Delivery] = []
        for sink in sinks:
            if not refs[sink.topic]:
                continue  # late rows of a job without steps that make some
            columns = _united([plan.schema_of(ref) for ref in refs[sink.topic]], str(sink))
            topic = _Topic(log, sink.topic, columns)
            if isinstance(sink, FileSink):
                self._all.append(_ToFiles(sink, topic, plan.job, fresh))
            else:
                self._all.append(_ToFunction(sink, topic, fresh, Path(state_dir) / plan.job / f"{sink.topic}.lock"))

    def __bool__(self) -> bool:
        return bool(self._all)

    def __enter__(self) -> Deliveries:
        with contextlib.ExitStack() as opened:
            for one in self._all:
                opened.callback(one.close)
                one.open()
            opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._all:
            one.close()

    def before(self) -> None:
        """What an earlier run has committed, and was killed before it delivered it."""
        for one in self._all:
            one.deliver(began=False, all_of_it=True, until=float("inf"))

    def tick(self, stats: dict[str, Any]) -> None:
        """What is committed by now, as far as it is due."""
        until = time.monotonic() + self._tick_seconds
        try:
            for one in self._all:
                one.deliver(began=stats["commits"] > 0, all_of_it=False, until=until)
            self._is_away = False
        except _LogAwayError as error:
            # The run waits for its log to come back, and so does what it delivers.
            if not self._is_away:
                _logger.warning("what the job delivers has to wait: %s", error)
            self._is_away = True

    def after(self) -> None:
        """The rest, when the run has ended in order."""
        for one in self._all:
            one.deliver(began=True, all_of_it=True, until=float("inf"))


class _LogAwayError(UnavailableError):
    """Nothing can be read now."""


@contextlib.contextmanager
def _asking_the_log() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        raise _LogAwayError(str(error)) from error


class _Topic:
    """The internal topic of a sink."""

    def __init__(self, log: Any, name: str, columns: list[FieldTuple]) -> None:
        self.log, self.name, self._columns = log, name, columns
        self._has_warned = False

    @property
    def on_kafka(self) -> bool:
        """Where several processes may run one job."""
        return str(self.log.uri).startswith("kafka:")

    def find(self) -> tuple[range, str | None]:
        """Its partitions and its id; none before it is made."""
        try:
            with _asking_the_log():
                _, partitions, made = self.log.topic(self.name)
            return range(partitions), made
        except NotFoundError:
            return range(0), None

    def start(self, partition: int) -> int:
        with _asking_the_log():
            return int(self.log.start_offset(self.name, partition))

    def end(self, partition: int, *, committed: bool = True) -> int:
        with _asking_the_log():
            return int(self.log.end_offset(self.name, partition, committed=committed))

    def read(self, partition: int, begin: int, rows: int, max_bytes: int = _PIECE_BYTES) -> _core.Records:
        """Some of the rows from an offset on, at most so many. It says where the next ones begin."""
        with _asking_the_log():
            return self.log.read(self.name, partition, begin, max_bytes=max_bytes).head(rows)  # type: ignore[no-any-return]

    def decode(self, piece: _core.Records) -> Result:
        return Result(_core.decode(piece, self._columns))

    def trim(self, partition: int, before: int) -> None:
        """What lies before is delivered. If it fails, it is trimmed with what comes later."""
        try:
            self.log.trim(self.name, partition, before)
        except WracklineError as error:
            if not self._has_warned:
                _logger.warning("topic '%s': what was delivered could not be deleted: %s", self.name, error)
            self._has_warned = True


class _ToFiles:
    def __init__(self, sink: FileSink, topic: _Topic, job: str, fresh: bool) -> None:
        self._sink, self._topic, self._job, self._starts_over = sink, topic, job, fresh
        self._parts = Parts(sink.directory, str(sink))
        self._is_open = False
        self._since = time.monotonic()
        self._read: dict[int, int] = {}  # partition -> offset: where there was nothing for a part
        self._written: dict[int, float] = {}  # when the last part was

    def open(self) -> None:
        _, made = self._topic.find()
        if not self._parts.lock():
            if not self._topic.on_kafka:
                raise UnavailableError(
                    f"{self._sink}: another run writes there: end it first, or give this sink another directory"
                )
            _logger.info("%s: another process of the job writes there", self._sink)
            self._starts_over = False
        elif self._starts_over:
            self._parts.check(self._origin(made))
        else:
            self._take_over(made)

    def close(self) -> None:
        self._parts.close()

    def deliver(self, *, began: bool, all_of_it: bool, until: float) -> None:
        partitions, made = self._topic.find()
        if not self._is_open:
            if not self._parts.lock():
                return
            if self._starts_over:  # no row of this run lies before the present end
                ends = {one: self._topic.end(one, committed=False) for one in partitions}
                self._parts.start_over(self._origin(made), ends)
                self._is_open = True
            else:  # from a process that has ended
                self._take_over(made)
        if made is None or (self._starts_over and not began):
            return
        self._parts.found(self._origin(made))
        if began and self._parts.began():
            for one in partitions:
                self._topic.trim(one, self._parts.next_offset(one))
        for partition in partitions:
            due = all_of_it or time.monotonic() >= self._written.get(partition, self._since) + self._sink.every / 1000
            end = self._topic.end(partition)
            begin = self._next(partition)
            while begin < end and (due or end - begin >= self._sink.max_rows):
                begin = self._make_part(partition, begin, end)
                if time.monotonic() >= until:
                    break

    def _take_over(self, made: str | None) -> None:
        self._parts.open(self._origin(made))
        self._is_open = True

    def _origin(self, made: str | None) -> Origin:
        return Origin(self._job, self._topic.name, self._sink.kind, self._topic.log.id, made)

    def _next(self, partition: int) -> int:
        known = max(self._read.get(partition, 0), self._parts.next_offset(partition))
        return max(known, self._topic.start(partition))

    def _make_part(self, partition: int, begin: int, end: int) -> int:
        """Writes a part of the rows from one offset to another, if there are any. Returns where the next begins."""
        at, rows = begin, 0
        pieces: list[Any] = []
        while at < end and rows < self._sink.max_rows:
            piece = self._topic.read(partition, at, self._sink.max_rows - rows)
            if piece.next_offset <= at:
                break
            if len(piece):
                pieces.append(piece.lines() if self._sink.kind == "ndjson" else self._topic.decode(piece))
            at, rows = piece.next_offset, rows + len(piece)
        self._read[partition] = at
        if rows:
            self._parts.write(Part(partition, begin, at, self._sink.kind), lambda path: self._fill(path, pieces))
            self._written[partition] = time.monotonic()
            self._topic.trim(partition, at)
        return at if at > begin else end

    def _fill(self, path: Path, pieces: list[Any]) -> None:
        if self._sink.kind == "ndjson":
            with path.open("wb") as file:
                file.writelines(pieces)
        else:
            frames = engine("write_parquet")
            content = io.BytesIO()  # what a file system refuses, each library tells otherwise
            frames.write_parquet(frames.united(pieces), content)
            path.write_bytes(content.getbuffer())


class _ToFunction:
    def __init__(self, sink: FunctionSink, topic: _Topic, fresh: bool, lock: Path) -> None:
        self._sink, self._topic, self._fresh = sink, topic, fresh
        self._lock_path = lock
        self._lock: int | None = None
        self._is_open = False
        self._next: dict[int, int] = {}
        self._forgotten: dict[int, int] = {}  # where rows of this run begin, if it forgets earlier ones

    def open(self) -> None:
        partitions, _ = self._topic.find()
        if self._fresh:
            self._forgotten = {one: self._topic.end(one, committed=False) for one in partitions}
        if not self._take():
            _logger.info("%s: another process of the job calls it", self._sink)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def deliver(self, *, began: bool, all_of_it: bool, until: float) -> None:
        if not self._take() or (self._fresh and not began):
            return
        partitions, _ = self._topic.find()
        for partition, offset in self._forgotten.items():
            self._topic.trim(partition, offset)
        self._next |= self._forgotten
        self._forgotten = {}
        for partition in partitions:
            begin = max(self._next.get(partition, 0), self._topic.start(partition))
            end = self._topic.end(partition)
            while begin < end:
                piece = self._topic.read(partition, begin, _BATCH)
                if piece.next_offset <= begin:
                    break
                if len(piece):
                    self._call(partition, begin, piece)
                    self._topic.trim(partition, piece.next_offset)
                begin = self._next[partition] = piece.next_offset
                if time.monotonic() >= until:
                    break

    def _take(self) -> bool:
        """Several processes may run one job on Kafka alone. Those of one state directory leave the calls to one."""
        if not self._topic.on_kafka or self._lock is not None:
            return True
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = locked(os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o644))
        return self._lock is not None

    def _call(self, partition: int, begin: int, piece: _core.Records) -> None:
        rows = self._topic.decode(piece)
        batch = f"{self._topic.name}-{partition}-{begin}-{piece.next_offset}"
        try:
            if self._sink.with_id:
                self._sink.function(rows, batch)
            else:
                self._sink.function(rows)
        except Exception as error:
            error.add_note(f"{self._sink}: its rows are not lost: they come again in the next run ({batch})")
            raise


def _united(schemas: list[list[FieldTuple]], named: str) -> list[FieldTuple]:
    """The columns of several streams together, as `collect` has them."""
    if len(schemas) == 1:
        return schemas[0]
    types: dict[str, str] = {}
    for name, kind, _ in (one for schema in schemas for one in schema):
        known = types.setdefault(name, kind)
        if {known, kind} == {"int64", "float64"}:
            types[name] = "float64"
        elif known != kind:
            raise InvalidJobError(
                f"{named}: column {name!r} is {known} in one of its streams and {kind} in another; "
                "write them one by one"
            )
    return [(name, kind, True) for name, kind in types.items()]

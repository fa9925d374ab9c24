"""The crash harness on a broker: places with names of their own, a reader beside the job, and what a broker must not be
left with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import wrackline as wl
from tests.python.crash.harness import Answer, Place, assert_balances, assert_same, read_answer
from tests.python.kafka import bids
from tests.python.kafka.wire import COORDINATOR_NOT_READY, BrokerRefusedError, Wire

PARTITIONS = 4
OUTPUTS = ("tumbling", "hopping", "late", "duplicates", "dead")
SECONDS = 60.0  # of any wait for what must come

_OWN_NAMES = re.compile(rb"t-[0-9a-f]{8}\.")


def own_name() -> str:
    """A prefix of topics and jobs that nobody else on the broker has."""
    return f"t-{uuid.uuid4().hex[:8]}."


def wait_for(what: str, condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Until it is true; returns what it gave."""
    ends = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def reading(servers: str) -> wl.Log:
    """To look at what is there. Waits for no more at the end of each partition."""
    return wl.Log(wl.Kafka(servers, fetch_wait_max_ms=1), read_only=True)


@dataclass
class KafkaPlace(Place):
    """Topics of one test on a broker, a state directory, and the settings of the job on them."""

    servers: str = ""
    prefix: str = field(default_factory=own_name)
    input: str = ""  # a topic that tests may share

    @property
    def uri(self) -> str:
        return f"kafka://{self.servers}"

    @property
    def name(self) -> str:
        return f"{self.prefix}crash"

    def text(self, **changes: Any) -> str:
        own = {"prefix": self.prefix, "name": self.name, "topic": self.input}
        return super().text(**{**own, **self.settings, **changes})

    def topics(self) -> list[str]:
        return [*(self.prefix + one for one in OUTPUTS), f"{self.name}.journal-0"]

    def committed(self) -> dict[int, int]:
        """The group's offsets by partition."""
        with reading(self.servers) as log:
            return {partition: offset for _, partition, offset in log._core.committed(self.name)}


@dataclass
class BidPlace(KafkaPlace):
    """The same for the job over bids."""

    program: Path = bids.PROGRAM

    def topics(self) -> list[str]:
        kinds = ("windows", "dead") if self.settings.get("stateless") else ("windows", "late", "dead")
        return [*(self.prefix + one for one in kinds), f"{self.name}.journal-0"]

    @property
    def windows(self) -> str:
        return f"{self.prefix}windows"

    def assert_exact(self, sent: list[dict[str, Any]]) -> None:
        """Every window of what was sent, once; nothing late, nothing dead; no transaction is left open."""
        with reading(self.servers) as log:
            if self.settings.get("stateless"):
                bids.assert_passed_on(log, self.windows, sent)
            else:
                bids.assert_windows(log, self.windows, sent)
                assert len(log.read(self.prefix + "late")) == 0
            assert len(log.read(self.prefix + "dead")) == 0
        assert_nothing_open(self.servers, self.topics())


def members(place: KafkaPlace) -> int:
    """Of the job's group."""

    def known() -> tuple[int] | None:
        with Wire(place.servers) as wire:
            try:
                return (len(wire.members(place.name)),)
            except BrokerRefusedError as error:
                if error.code not in COORDINATOR_NOT_READY:
                    raise
                return None

    (count,) = wait_for("the group's coordinator", known)
    return int(count)


class Feed:
    """The input of a place: a topic of its own, made here, and what was sent to it."""

    def __init__(self, place: BidPlace, *, bidders: int = 40, every_ms: int = 20, partitions: int = 4) -> None:
        self.place = place
        self.sent: list[dict[str, Any]] = []
        self._how = {"bidders": bidders, "every_ms": every_ms}
        self._partitions = partitions
        place.input = own_name() + "bids"
        with wl.Log(place.uri) as log:
            log.create(place.input, partitions=partitions)

    def more(self, count: int = 1_000) -> None:
        made = bids.make_bids(count, first=len(self.sent), **self._how)
        with wl.Log(self.place.uri) as log:
            bids.append(log, self.place.input, made, self._partitions)
        self.sent += made

    def wait(self, *processes: subprocess.Popen[str], seconds: float = SECONDS) -> None:
        """Until all of it is committed; none of the processes may end before."""

        def through() -> bool:
            for process in processes:
                if process.poll() is not None:
                    out, err = process.communicate()
                    raise AssertionError(f"ended with {process.returncode} too soon: {out[-500:]}{err[-3000:]}")
            return sum(self.place.committed().values()) == len(self.sent)

        try:
            wait_for(f"{len(self.sent)} records are committed", through, seconds)
        except AssertionError as late:
            said = [said_by(process)[-3000:] for process in processes]
            raise AssertionError(f"{late}, but {self.place.committed()}; the jobs said {said}") from None

    def send_and_wait(self, *processes: subprocess.Popen[str], count: int = 1_000, seconds: float = SECONDS) -> None:
        self.more(count)
        self.wait(*processes, seconds=seconds)

    def until_open(self, count: int = 1_000) -> None:
        """Sends on until there are rows in an open transaction."""

        def rows_are_open() -> bool:
            self.more(count)
            return bool(open_in(self.place.servers, self.place.windows))

        wait_for("rows in an open transaction", rows_are_open)

    def finish(self) -> None:
        """Closes all windows, and looks whether the answer is exact."""
        # Members that are gone keep their partitions until their session ends.
        wait_for("one member or none is left", lambda: members(self.place) <= 1)
        self.place.finish()
        self.place.assert_exact(self.sent)


def plain(text: bytes) -> bytes:
    return _OWN_NAMES.sub(b"", text)


def answer_on_kafka(place: KafkaPlace, report: dict[str, Any]) -> Answer:
    with reading(place.servers) as log:
        return read_answer(log, report, place.prefix, plain)


def open_in(servers: str, topic: str) -> list[int]:
    """Partitions with records that are not stable: a transaction is open there, or its end is under way."""
    with reading(servers) as log:
        _, partitions, _ = log._core.topic(topic)

        def unstable(number: int) -> bool:
            stable, written = (log._core.end_offset(topic, number, committed=only) for only in (True, False))
            return bool(stable < written)

        return [number for number in range(partitions) if unstable(number)]


def assert_nothing_open(servers: str, topics: Iterable[str]) -> None:
    """No transaction is left open. The ends of those that were stopped take a moment."""
    for topic in topics:
        wait_for(f"the end of a transaction in {topic}", partial(_nothing_open_in, servers, topic), 5)


def _nothing_open_in(servers: str, topic: str) -> bool:
    return not open_in(servers, topic)


class Watcher:
    """A reader of committed records beside the job, in a thread: nothing that it saw may change or be gone."""

    def __init__(self, servers: str, topics: Iterable[str]) -> None:
        self._servers = servers
        self._topics = list(topics)
        self._seen: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        log: wl.Log | None = None
        while True:
            last = self._stop.is_set()  # looks once more after the job has ended
            try:
                log = log or reading(self._servers)
                for topic in self._topics:
                    self._look(log, topic)
            except (wl.UnavailableError, wl.NotFoundError):
                pass  # a broker that is down is not our business, nor a topic that is still to come
            except BaseException as error:
                self._error = error
                break
            if last:
                break
            self._stop.wait(0.01)
        if log is not None:
            log.close()

    def _look(self, log: wl.Log, topic: str) -> None:
        _, partitions, _ = log._core.topic(topic)
        for number in range(partitions):
            at = self._positions.get((topic, number), 0)
            end = log._core.end_offset(topic, number, committed=True)
            assert end >= at, f"{topic}, partition {number}: what is stable went back from {at} to {end}"
            while at < end:
                chunk = log._core.read(topic, number, at, committed=True)
                self._seen.setdefault((topic, number), []).extend(_records(chunk))
                if chunk.next_offset <= at:
                    break
                at = chunk.next_offset
            self._positions[topic, number] = at

    @property
    def count(self) -> int:
        return sum(map(len, self._seen.values()))

    def finish(self) -> int:
        """Ends it, compares with what is there now, and returns how many records it saw."""
        self._stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the reader hangs"
        if self._error is not None:
            raise self._error
        with reading(self._servers) as log:
            for (topic, number), seen in self._seen.items():
                now = [
                    record
                    for chunks in [log.read(topic, partition=number)._partitions]
                    for _, parts in chunks
                    for chunk in parts
                    for record in _records(chunk)
                ]
                offsets = [offset for offset, *_ in seen]
                assert offsets == sorted(set(offsets)), f"{topic}, partition {number}: read twice, or out of order"
                # The journal is trimmed by the job.
                first = now[0][0] if now else self._positions[topic, number]
                kept = seen if "journal" not in topic else [one for one in seen if one[0] >= first]
                assert now[: len(kept)] == kept, f"{topic}, partition {number}: not what was seen before"
        return self.count


def _records(chunk: Any) -> Iterator[tuple[Any, ...]]:
    headers = [tuple(one) for one in chunk.headers()]
    yield from zip(chunk.offsets(), chunk.keys(), chunk.values(), headers, strict=True)


@contextmanager
def watched(place: KafkaPlace) -> Iterator[Watcher]:
    """A reader beside the block, which is compared at the end."""
    watcher = Watcher(place.servers, place.topics())
    try:
        yield watcher
    except BaseException:
        watcher._stop.set()
        raise
    watcher.finish()


def assert_right(place: KafkaPlace, report: dict[str, Any], wanted: Answer, every_pane: Answer | None) -> None:
    """The answer of an uninterrupted run; the ledger on the log is the one reported; nothing is left open."""
    assert_balances(report)
    assert_same(answer_on_kafka(place, report), wanted, every_pane)
    assert_nothing_open(place.servers, place.topics())


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> str:
    """Ends a job in order and returns what it said on stderr."""
    err = said_by(process, number, seconds)
    assert was_stopped(process, err), err
    return err


def was_stopped(process: subprocess.Popen[str], err: str) -> bool:
    """In order; or, on a busy machine, before its run had begun and there was anything to end."""
    return process.returncode == 0 or (process.returncode == -signal.SIGTERM and err == "")


def said_by(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> str:
    """The same, however it ends."""
    process.send_signal(number)
    _, err = process.communicate(timeout=seconds)
    return err


def kills(default: int) -> int:
    """How many random kills: WRACKLINE_KILLS."""
    return int(os.environ.get("WRACKLINE_KILLS", default))


def said(line: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(line)
    return report


def state_files(directory: Path) -> dict[str, bytes]:
    return {str(one.relative_to(directory)): one.read_bytes() for one in directory.rglob("*") if one.is_file()}

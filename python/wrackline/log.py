"""Log: topics of records: in memory or in a directory, without a broker, or of Kafka.

>>> import wrackline as wl
>>> lg = wl.Log("memory:")
>>> lg.create("readings")
>>> lg.append("readings", [{"truck_id": "t1", "speed": 88.5}, {"truck_id": "t2", "speed": 71.0}])
2
>>> lg.read("readings").rows()
[{'truck_id': 't1', 'speed': 88.5}, {'truck_id': 't2', 'speed': 71.0}]
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from wrackline import _core, forks
from wrackline.durations import to_time
from wrackline.errors import InvalidArgumentError
from wrackline.kafka import Kafka
from wrackline.results import need

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Log", "Record", "Topic", "TopicRecords"]

_CHUNK = 50_000  # rows of one append


@dataclass(frozen=True)
class Topic:
    """A topic of a log.

    >>> import wrackline as wl
    >>> with wl.Log("memory:") as log:
    ...     log.create("readings", partitions=2)
    ...     log.topics()
    [Topic(name='readings', partitions=2)]
    """

    name: str
    partitions: int


@dataclass(frozen=True)
class Record:
    """A record as it lies in the log. `value` is None for a tombstone; `timestamp` is in milliseconds.

    >>> import wrackline as wl
    >>> log = wl.Log("memory:")
    >>> log.create("readings")
    >>> log.append("readings", [{"k": "a"}], key="k", timestamps=[5])
    1
    >>> [record] = log.read("readings")
    >>> record.key, record.value, record.timestamp, record.partition, record.offset
    (b'a', b'{"k":"a"}', 5, 0, 0)
    >>> print(record.header("wl.reason"))
    None
    """

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int
    partition: int
    offset: int

    def header(self, name: str) -> str | None:
        """The text of a header, such as ``"wl.reason"``; None if there is none."""
        return next((value.decode() for key, value in self.headers if key == name), None)


def records_of(chunk: _core.Records, partition: int) -> Iterator[Record]:
    parts = zip(chunk.keys(), chunk.values(), chunk.headers(), chunk.timestamps(), chunk.offsets(), strict=True)
    for key, value, headers, timestamp, offset in parts:
        yield Record(key, value, tuple(headers), timestamp, partition, offset)


class TopicRecords:
    """What `Log.read` found: whole partitions, one after the other, each in offset order.

    >>> import wrackline as wl
    >>> log = wl.Log("memory:")
    >>> log.create("readings")
    >>> log.append("readings", [{"k": "a", "v": 1}, {"k": "b", "v": 2}])
    2
    >>> found = log.read("readings")
    >>> found
    2 records of 'readings'
    >>> found.rows()
    [{'k': 'a', 'v': 1}, {'k': 'b', 'v': 2}]
    >>> found.records()[1].offset
    1
    >>> found.to_polars(metadata=True)["_offset"].to_list()
    [0, 1]
    """

    def __init__(self, topic: str, partitions: list[tuple[int, list[_core.Records]]]) -> None:
        self._topic = topic
        self._partitions = partitions

    def __len__(self) -> int:
        return sum(len(chunk) for _, chunks in self._partitions for chunk in chunks)

    def __iter__(self) -> Iterator[Record]:
        for partition, chunks in self._partitions:
            for chunk in chunks:
                yield from records_of(chunk, partition)

    def records(self) -> list[Record]:
        """The records with key, headers, timestamp, partition and offset."""
        return list(self)

    def rows(self) -> list[Any]:
        """The values, decoded from JSON; tombstones are left out."""
        return [
            json.loads(value)
            for _, chunks in self._partitions
            for chunk in chunks
            for value in chunk.values()
            if value is not None
        ]

    def to_polars(self, *, metadata: bool = False) -> pl.DataFrame:
        """The JSON values as a frame; `metadata` adds ``_key _timestamp _partition _offset``."""
        polars: Any = need("polars", "polars", "to_polars")
        if metadata:
            rows = [
                {
                    **json.loads(record.value),
                    "_key": record.key,
                    "_timestamp": record.timestamp,
                    "_partition": record.partition,
                    "_offset": record.offset,
                }
                for record in self
                if record.value is not None
            ]
            frame: pl.DataFrame = polars.DataFrame(rows, infer_schema_length=None)
            return frame
        lines = b"".join(chunk.lines() for _, chunks in self._partitions for chunk in chunks)
        if not lines.strip():
            return polars.DataFrame()  # type: ignore[no-any-return]
        return polars.read_ndjson(lines, infer_schema_length=None)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        count = len(self._partitions)
        return f"{len(self):,} records of {self._topic!r}" + (f" in {count} partitions" if count > 1 else "")


class _Closed:
    """What is left of a log that was closed."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def close(self) -> None:
        """It is."""

    def __getattr__(self, name: str) -> Any:
        raise InvalidArgumentError(f'this log is closed; wl.Log("{self._uri}") opens it again')


class Log:
    """A log by its address: ``"memory:"``, ``"memory:NAME"`` (shared in the process), ``"local:DIR"``,
    ``"kafka://HOST:PORT"`` or a `wl.Kafka`.

    One process may write to a directory at a time; others open it with `read_only`. Use it as a context manager, or
    `close()` it. Raises `UnavailableError` if another process holds the directory, or no broker can be reached.

    >>> import wrackline as wl
    >>> with wl.Log("local:fleet-data") as log:
    ...     log.create("readings")
    ...     log.append("readings", [{"k": "a"}, {"k": "b"}, {"k": "c"}])
    ...     log.trim("readings", before=1)
    ...     log.read("readings").rows()
    3
    [{'k': 'b'}, {'k': 'c'}]
    >>> log
    Log("local:fleet-data", closed)
    >>> log = wl.Log("local:fleet-data", read_only=True)
    >>> log.topics(), log.uri
    ([Topic(name='readings', partitions=1)], 'local:fleet-data')
    >>> log.close()
    """

    def __init__(self, uri: str | Kafka, *, read_only: bool = False) -> None:
        address, settings = address_of(uri)
        self._core: Any = _core.Log(address, settings, read_only=read_only)
        self._uri = address
        self._round: dict[str, int] = {}
        self._closed = False
        forks.track(self, "_core")

    @classmethod
    def _of(cls, core: _core.Log) -> Log:
        log = cls.__new__(cls)
        log._core, log._uri, log._round, log._closed = core, core.uri, {}, False
        return log

    @property
    def uri(self) -> str:
        """Its address."""
        return self._uri

    def create(self, topic: str, *, partitions: int = 1) -> None:
        """Makes a topic; it is fine if it exists with as many partitions."""
        self._core.create_topic(topic, partitions)

    def topics(self) -> list[Topic]:
        """All topics, also those that jobs keep for themselves, such as ``<job>.journal-0``."""
        return [Topic(name, partitions) for name, partitions, _ in self._core.topics()]

    def append(
        self,
        topic: str,
        rows: Any,
        *,
        key: str | Sequence[str] | None = None,
        partition: int | None = None,
        timestamps: str | Sequence[int | dt.datetime | str] | None = None,
    ) -> int:
        """Appends records, visible at once, and returns how many.

        `rows`: dicts (written as JSON), lines as ``bytes`` or ``str`` (written as they are; None is a tombstone), or
        a frame (anything with an Arrow interface). `key` names the column or columns of the record key: records of
        one key go to one partition. `timestamps`: of the records, as a column or as a list; otherwise the clock.

        Raises `NotFoundError` for a topic that is not there, `InvalidArgumentError` for a row that is no JSON.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> log = wl.Log("memory:")
        >>> log.create("readings", partitions=2)
        >>> log.append("readings", pl.DataFrame({"k": ["a", "b"], "at": [7, 8]}), key="k", timestamps="at")
        2
        >>> log.append("readings", ['{"k": "c"}', None], partition=1)
        2
        """
        names = [key] if isinstance(key, str) else list(key or [])
        if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
            if timestamps is not None and not isinstance(timestamps, str):
                raise InvalidArgumentError("append: for a frame, timestamps is the name of a column")
            table = _core.import_arrow(rows)
            self._core.append_frame(topic, table, key=names, partition=partition, timestamps=timestamps)
            return len(table)
        if isinstance(rows, (dict, bytes, str)) or not isinstance(rows, Iterable):
            raise InvalidArgumentError("append: give a list of dicts or lines, or a frame")
        _, partitions, _ = self._core.topic(topic)
        if partition is not None and not 0 <= partition < partitions:
            raise InvalidArgumentError(f"append: topic {topic!r} has partitions 0 to {partitions - 1}, not {partition}")
        times = None if timestamps is None or isinstance(timestamps, str) else list(timestamps)
        if times is not None and isinstance(rows, Sized) and len(rows) != len(times):
            raise InvalidArgumentError(f"append: {len(rows)} rows but {len(times)} timestamps")
        count = 0
        chunk: list[Any] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == _CHUNK:
                count = self._append_chunk(topic, chunk, count, names, partition, partitions, timestamps, times)
                chunk = []
        count = self._append_chunk(topic, chunk, count, names, partition, partitions, timestamps, times)
        if times is not None and len(times) != count:
            raise InvalidArgumentError(f"append: {count} rows but {len(times)} timestamps")
        return count

    def _append_chunk(
        self,
        topic: str,
        rows: list[Any],
        first: int,
        key: list[str],
        partition: int | None,
        partitions: int,
        timestamps: str | Sequence[int | dt.datetime | str] | None,
        times: list[int | dt.datetime | str] | None,
    ) -> int:
        values: list[list[bytes | str | None]] = [[] for _ in range(partitions)]
        keys: list[list[bytes | str | None]] = [[] for _ in range(partitions)]
        stamps: list[list[int]] = [[] for _ in range(partitions)]
        for number, row in enumerate(rows, first):
            value, own_key = encode_value(row, number), _key_of(row, key, number)
            if partition is not None:
                to = partition
            elif own_key is not None and partitions > 1:
                to = _core.partition_of(own_key, partitions)
            else:
                to = self._round.get(topic, 0) % partitions
                self._round[topic] = to + 1
            values[to].append(value)
            keys[to].append(own_key)
            if isinstance(timestamps, str):
                if not isinstance(row, dict) or row.get(timestamps) is None:
                    raise InvalidArgumentError(f"append: row {number} has no {timestamps!r} for its timestamp")
                stamps[to].append(to_time(row[timestamps], f"append: row {number}, {timestamps!r}"))
            elif times is not None:
                if number >= len(times):
                    raise InvalidArgumentError(f"append: more rows than the {len(times)} timestamps")
                stamps[to].append(to_time(times[number], f"append: timestamp {number}"))
        for number in range(partitions):
            if values[number]:
                self._core.append(
                    topic, number, values[number], keys=keys[number] if key else None, timestamps=stamps[number] or None
                )
        return first + len(rows)

    def read(
        self,
        topic: str,
        *,
        partition: int | None = None,
        isolation: Literal["committed", "uncommitted"] = "committed",
    ) -> TopicRecords:
        """All that lies in a topic now; by default what is committed."""
        if isolation not in ("committed", "uncommitted"):
            raise InvalidArgumentError(f'read: isolation is "committed" or "uncommitted", not {isolation!r}')
        _, partitions, _ = self._core.topic(topic)
        wanted = range(partitions) if partition is None else [partition]
        committed = isolation == "committed"
        return TopicRecords(topic, [(number, list(self._chunks(topic, number, 0, committed))) for number in wanted])

    def _chunks(self, topic: str, partition: int, offset: int, committed: bool) -> Iterator[_core.Records]:
        """What lies in a partition now, from an offset on."""
        offset = max(offset, self._core.start_offset(topic, partition))
        end = self._core.end_offset(topic, partition, committed=committed)
        while offset < end:
            chunk = self._core.read(topic, partition, offset, committed=committed)
            if chunk.next_offset <= offset:
                break
            if len(chunk):
                yield chunk
            offset = chunk.next_offset

    def trim(self, topic: str, *, partition: int = 0, before: int) -> None:
        """Deletes the records below offset `before`."""
        self._core.trim(topic, partition, before)

    def close(self) -> None:
        """Lets go of the log. A job that still runs on it keeps it open."""
        if not self._closed:
            self._closed = True
            self._core.close()
            self._core = _Closed(self._uri)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f'Log("{self._uri}", closed)'
        topics = ", ".join(f"{one.name} ({one.partitions})" for one in self.topics())
        return f'Log("{self._uri}": {topics or "no topics"})'


def address_of(log: object) -> tuple[str, dict[str, str]]:
    """The address of a log and its settings, checked without looking at anything."""
    if isinstance(log, Kafka):
        return log.uri, log._settings
    if not isinstance(log, str) or not log.startswith(("memory:", "local:", "kafka:")) or log == "local:":
        meant = ""
        if isinstance(log, str) and log and ":" not in log:
            meant = f'; did you mean "local:{log}"?'
        elif isinstance(log, str) and re.fullmatch(r"[\w.-]+:\d+", log):
            meant = f'; did you mean "kafka://{log}"?'
        raise InvalidArgumentError(
            f'a log is "memory:", "memory:NAME", "local:DIR", "kafka://HOST:PORT" or wl.Kafka(...), not {log!r}{meant}'
        )
    _core.check_log(log, {})
    return log, {}


def encode_value(row: Any, number: int) -> bytes | str | None:
    """A row as the value of a record."""
    if row is None or isinstance(row, (bytes, str)):
        return row
    if not isinstance(row, dict):
        raise InvalidArgumentError(f"append: row {number} is a {type(row).__name__}, not a dict, bytes, str or None")
    try:
        return _ENCODER.encode(row)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"append: row {number} is no JSON: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _key_of(row: Any, key: list[str], number: int) -> bytes | None:
    if not key:
        return None
    if not isinstance(row, dict):
        raise InvalidArgumentError(f"append: row {number} is no dict, so key={key!r} names nothing in it")
    missing = [name for name in key if name not in row]
    if missing:
        raise InvalidArgumentError(f"append: row {number} has no {missing[0]!r} for its key")
    parts = [row[name] for name in key]
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0].encode()
    if len(parts) == 1 and parts[0] is None:
        return None
    return _ENCODER.encode(parts).encode()

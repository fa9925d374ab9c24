"""Streams: what flows between the steps of a job. Every call adds a step and gives the stream behind it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Never, overload

from wrackline import _core, sinks, views
from wrackline.aggregates import Aggregate, check_type
from wrackline.aggregator import check_window
from wrackline.durations import Duration, format_duration, to_millis
from wrackline.errors import InvalidJobError
from wrackline.explain import dedup_state, window_state
from wrackline.expressions import is_expression, make_columns, make_predicate
from wrackline.feed import Batches
from wrackline.hints import no_attribute, shown
from wrackline.results import Result, need
from wrackline.schema import METADATA, Columns, Field, suggestion
from wrackline.transforms import OnError
from wrackline.verbs import Build, Verbs
from wrackline.windows import Window, check_slices

if TYPE_CHECKING:
    import polars as pl

    from wrackline.job import Job

__all__ = ["KeyedStream", "SideStream", "Stream", "WindowedStream", "merge"]

Ref = tuple[int, str]  # node of the plan, port
AggregateTuple = tuple[str, str, list[str], dict[str, Any]]  # output, function, columns, options
NullKey = Literal["dead_letter", "group"]
_NEEDS_WINDOW = 'aggregates need a key and a window: .key_by("column").window(wl.tumbling("5m")).agg(n=wl.count())'


class SideStream(Verbs):
    """Rows that left the main way: late ones, duplicates, dead letters. They can be filtered, written and collected.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"id": 1, "ts": 1}, {"id": 1, "ts": 2}])
    >>> once = wl.Job("example").read(rows, time="ts").dedup("id", within="1h")
    >>> once.duplicates.select("id", "ts").collect().rows()
    [{'id': 1, 'ts': 2}]
    >>> once.duplicates.schema.names
    ['id', 'ts']
    """

    def __init__(self, job: Job, refs: tuple[Ref, ...], label: str) -> None:
        self._job = job
        self._given_refs = refs
        self._label = label

    @property
    def _refs(self) -> tuple[Ref, ...]:
        return self._given_refs

    @property
    def _revision_keys(self) -> list[str] | None:
        """The columns that name a window of a key; None: rows do not replace one another."""
        return None

    @property
    def schema(self) -> Columns:
        """The columns; of several streams together, all columns of all of them."""
        fields: dict[str, Field] = {}
        for ref in self._refs:
            for one in self._job._columns(self._job._plan, ref).fields:
                fields.setdefault(one.name, one)
        return Columns(tuple(fields.values()), self._label)

    def _add_step(self, kind: str, build: Build, name: str, on_error: OnError) -> Any:
        refs = self._refs
        if not refs:
            raise InvalidJobError(f"{kind}: {self._label} has no rows: no step of this job makes any")
        made = []
        for i, ref in enumerate(refs):
            made.append(
                self._job._add_step(ref, kind, build, name if i == 0 or not name else f"{name}_{i + 1}", on_error)
            )
        return self._behind(tuple(made), kind)

    def _behind(self, refs: tuple[Ref, ...], kind: str) -> Any:
        return SideStream(self._job, refs, self._label)

    @overload
    def write(
        self, topic: str, *, time_format: Literal["ms", "iso"] = "ms", nan: Literal["null", "string"] = "null"
    ) -> None: ...

    @overload
    def write(self, topic: Callable[[Result], object] | Callable[[Result, str], object], *, name: str = "") -> None: ...

    def write(
        self,
        topic: str | Callable[..., object],
        *,
        time_format: Literal["ms", "iso"] = "ms",
        nan: Literal["null", "string"] = "null",
        name: str = "",
    ) -> None:
        """Writes the rows to a topic as JSON, in the job's transaction. The topic is made when it is not there.

        Times are milliseconds, or ISO 8601; NaN and infinities are null, or strings.

        With a function in its place: calls it with rows that are committed, as a `Result` of at most 65,536. It gets
        each row *at least once*: rows whose call had not returned when the process died, or that it raised for, come
        again in the next run. A function with a second parameter is also given an id of the batch,
        ``"<topic>-<partition>-<first>-<end>"``. Batches of a partition come in order, so rows below an ``end`` that
        was reached before have been there; they may be cut otherwise the second time. It is called in the run's
        thread, which waits meanwhile; what it raises ends the run. `name`: of the internal topic that keeps the rows
        until then, ``<job>.<name>.function``; by default the step.

        >>> import wrackline as wl
        >>> job = wl.Job("example")
        >>> job.read(wl.from_records([{"v": 1.5, "ts": 5}]), time="ts").write("out")
        >>> job.run().rows
        1
        >>> job.log.read("out").rows()
        [{'v': 1.5, 'ts': 5}]
        >>> job = wl.Job("example")
        >>> job.read(wl.from_records([{"v": 1.5, "ts": 5}]), time="ts").write(lambda rows: print(rows.rows()))
        >>> job.run().rows
        [{'v': 1.5, 'ts': 5}]
        1
        """
        if callable(topic) and not isinstance(topic, type):
            for option, value, usual in (("time_format", time_format, "ms"), ("nan", nan, "null")):
                if value != usual:
                    raise InvalidJobError(f"write: {option}= is of topics; a function is given columns, not JSON")
            self._job._deliver(self, sinks.to_function(self._job.name, self._label, name, topic))
            return
        if isinstance(topic, os.PathLike):
            raise InvalidJobError(f"write: a topic is a str; files are written by .write_parquet({str(topic)!r})")
        if name:
            raise InvalidJobError("write: name= goes with a function; a topic has its own")
        self._job._add_sink(
            self,
            topic,
            _choice("write: time_format", time_format, ("ms", "iso")) == "iso",
            _choice("write: nan", nan, ("null", "string")) == "string",
        )

    def write_parquet(
        self, directory: str | os.PathLike[str], *, every: Duration = "10s", max_rows: int = 1_000_000, name: str = ""
    ) -> None:
        """Writes the rows to Parquet files in a directory, each row exactly once: ``pl.read_parquet("dir/*.parquet")``.

        A file ("part") is seen when it is whole and all its rows are committed. Each partition of the input has parts
        of its own: one when `every` has passed since the last one, or `max_rows` rows are there, and one at the end of
        the run. Parts may be moved away; ``_wrackline.json`` is to stay. A directory belongs to one sink of one log;
        ``run(fresh=True)`` replaces its parts. `name`: of the internal topic that keeps the rows until they are in a
        part, ``<job>.<name>.parquet``; by default the step.

        Needs Polars or pyarrow.

        >>> import polars as pl
        >>> import wrackline as wl
        >>> job = wl.Job("example")
        >>> job.read(wl.from_records([{"v": 1.5, "ts": 5}]), time="ts").write_parquet("readings")
        >>> job.run().rows
        1
        >>> pl.read_parquet("readings/*.parquet").rows()
        [(1.5, 5)]
        """
        sink = sinks.to_files(self._job.name, self._label, name, "parquet", directory, every, max_rows)
        self._job._deliver(self, sink)

    def write_ndjson(
        self,
        directory: str | os.PathLike[str],
        *,
        every: Duration = "10s",
        max_rows: int = 1_000_000,
        time_format: Literal["ms", "iso"] = "ms",
        nan: Literal["null", "string"] = "null",
        name: str = "",
    ) -> None:
        """As `write_parquet`, but lines of JSON, as `write` has them. Needs no other library.

        >>> import wrackline as wl
        >>> from pathlib import Path
        >>> job = wl.Job("example")
        >>> job.read(wl.from_records([{"v": 1.5, "ts": 5}]), time="ts").write_ndjson("lines")
        >>> job.run().rows
        1
        >>> [part.read_text() for part in Path("lines").glob("*.ndjson")]
        ['{"v":1.5,"ts":5}\\n']
        """
        self._job._deliver(
            self,
            sinks.to_files(self._job.name, self._label, name, "ndjson", directory, every, max_rows),
            iso_times=_choice("write_ndjson: time_format", time_format, ("ms", "iso")) == "iso",
            nan_as_string=_choice("write_ndjson: nan", nan, ("null", "string")) == "string",
        )

    def collect(
        self,
        *,
        until: Literal["now"] | None = "now",
        close: bool = False,
        rows: int | None = None,
        seconds: float | None = None,
        revisions: Literal["last", "all"] = "last",
        memory_limit: int | None = None,
    ) -> Result:
        """Runs a throw-away copy of the job up to here, and gives its rows: commits nothing, joins no group.

        Of a window that came out several times only the last revision is shown, unless ``revisions="all"``. At the
        present end of a topic windows stay open, unless `close`. Rows of more than `memory_limit` bytes (by default
        half of the machine's memory) are an error: `batches` gives them one after the other. Ctrl-C and the stop
        button of a notebook end `seconds` early; without `seconds` they raise KeyboardInterrupt.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"k": "a", "ts": 1}, {"k": "a", "ts": 2}])
        >>> read = wl.Job("example").read(rows, time="ts")
        >>> counts = read.key_by("k").window(wl.tumbling("1s")).agg(n=wl.count())
        >>> counts.collect().to_polars().select("k", "n").rows()
        [('a', 2)]
        """
        _choice("revisions", revisions, ("last", "all"))
        return self._job._collect(
            self,
            until=until,
            close=close,
            rows=rows,
            seconds=seconds,
            revisions=revisions,
            memory_limit=memory_limit,
        )

    def batches(
        self,
        *,
        until: Literal["now"] | None = None,
        close: bool = False,
        rows: int | None = None,
        seconds: float | None = None,
    ) -> Batches:
        """The rows as they come, in a loop: ``for batch in stream.batches(): ...``, or ``async for``.

        Each loop runs a throw-away copy of the job, which commits nothing and ends with the loop, wherever that is
        left. Each batch is a `Result`; windows come with all their revisions. A loop over a topic goes on for ever
        unless ``until="now"``, or for so many `rows` of the input or `seconds`. The copy waits for a slow loop.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"k": "a", "ts": i} for i in range(5)])
        >>> sum(len(batch) for batch in wl.Job("example").read(rows, time="ts").batches())
        5
        """
        return self._job._batches(self, until=until, close=close, rows=rows, seconds=seconds)

    def __repr__(self) -> str:
        return repr(self.schema)

    def _repr_html_(self) -> str:
        return views.of_stream(self)


class LateOfJob(SideStream):
    """All late rows of the job, also those of steps that are added later."""

    def __init__(self, job: Job, steps: tuple[tuple[str, Build, OnError], ...] = ()) -> None:
        super().__init__(job, (), "late")
        self._steps = steps

    @property
    def _refs(self) -> tuple[Ref, ...]:
        if self._steps:
            raise InvalidJobError("job.late: its steps are resolved when the job is complete")
        return tuple(self._job._plan.late_streams())

    def _add_step(self, kind: str, build: Build, name: str, on_error: OnError) -> Any:
        made = LateOfJob(self._job, (*self._steps, (kind, build, on_error)))
        self._job._late_refs(self._job._plan.copy(), made)  # what is wrong is said here
        return made

    @property
    def schema(self) -> Columns:
        return LateOfJob(self._job).schema if self._steps else super().schema


class DeadLetters(SideStream):
    """Records that became dead letters: original bytes, and why."""

    def __init__(self, job: Job, ref: Ref) -> None:
        super().__init__(job, (ref,), "dead_letters")

    def _behind(self, refs: tuple[Ref, ...], kind: str) -> Any:
        # With other columns they are rows like others: the original bytes are no longer what is written.
        return DeadLetters(self._job, refs[0]) if kind == "filter" else SideStream(self._job, refs, self._label)


class Stream(SideStream):
    """A stream with a watermark.

    >>> import wrackline as wl
    >>> read = wl.Job("example").read(wl.from_records([{"k": "a", "ts": 1}]), time="ts")
    >>> read.name, read.schema.names
    ('read', ['k', 'ts'])
    """

    def __init__(self, job: Job, ref: Ref, step: str, kind: str, revision_keys: list[str] | None = None) -> None:
        super().__init__(job, (ref,), step)
        self._step = step
        self._kind = kind
        self._keys = revision_keys

    @property
    def name(self) -> str:
        """The step that this stream comes out of, as the ledger has it."""
        return self._step

    @property
    def _revision_keys(self) -> list[str] | None:
        return self._keys

    def _behind(self, refs: tuple[Ref, ...], kind: str) -> Any:
        (ref,) = refs
        there = {name for name, _, _ in self._job._plan.schema_of(ref)}
        keys = self._keys if self._keys is not None and there.issuperset(self._keys) else None
        return Stream(self._job, ref, self._job._plan.step_name(ref[0]), kind, keys)

    def dedup(
        self,
        *columns: str,
        within: Duration,
        allowed_lateness: Duration | None = None,
        null_key: NullKey = "dead_letter",
        name: str = "",
    ) -> Stream:
        """The first record of each id; another of the same id nearer than `within` is a duplicate.

        `allowed_lateness`: how far behind the watermark a record may be; by default the largest allowed lateness
        below, at least `within` up to an hour. Ids are compared within each partition of the input: where those of one
        lie in several, ``.key_by("id").dedup(within=...)`` brings them together.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"id": 1, "ts": 1}, {"id": 1, "ts": 2}, {"id": 2, "ts": 3}])
        >>> once = wl.Job("example").read(rows, time="ts").dedup("id", within="1h")
        >>> once.collect().rows()
        [{'id': 1, 'ts': 1}, {'id': 2, 'ts': 3}]
        """
        label = name or "dedup"
        ids = _names(label, columns)
        if self._named_metadata(ids):
            made = self._with_metadata(ids)
            return made.dedup(*ids, within=within, allowed_lateness=allowed_lateness, null_key=null_key, name=name)
        return self._dedup(label, ids, None, within, allowed_lateness, null_key, name)

    def _dedup(
        self,
        label: str,
        ids: list[str],
        key: list[str] | None,
        within: Duration,
        allowed_lateness: Duration | None,
        null_key: NullKey,
        name: str,
    ) -> Stream:
        if not ids:
            raise InvalidJobError(f'{label}: name the columns of the id, such as .dedup("event_id", within="24h")')
        _check_columns(label, ids, self.schema.names)
        span = to_millis(within, f"{label}: within")
        if span <= 0:
            raise InvalidJobError(f"{label}: within must be > 0, not {within!r}")
        lateness = None if allowed_lateness is None else _lateness(label, allowed_lateness)
        ref = self._job._plan.dedup(
            self._refs[0],
            columns=ids,
            within=span,
            allowed_lateness=lateness,
            null_key_group=_choice(f"{label}: null_key", null_key, ("dead_letter", "group")) == "group",
            key=key,
            name=name,
        )
        by = "" if key is None else f"by ({', '.join(key)}) "
        self._job._note(ref, f"{by}dedup({', '.join(ids)}) within {format_duration(span)}", self._refs[0])
        self._job._holds[self._job._plan.step_name(ref[0])] = lambda size, grows: dedup_state(size, span, lateness)
        return Stream(self._job, ref, self._job._plan.step_name(ref[0]), "dedup", self._keys)

    def key_by(self, *columns: str | pl.Expr) -> KeyedStream:
        """By what the windows below are kept apart: columns, or Polars expressions; without any the whole stream is one
        key.

        Where records of one key lie in several partitions, they are brought together through a topic of the job's own,
        in the same transaction; each is still judged by the watermark of the partition that it came from.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"k": "a", "ts": 1}, {"k": "b", "ts": 2}, {"k": "b", "ts": 3}])
        >>> keyed = wl.Job("example").read(rows, time="ts").key_by("k")
        >>> counts = keyed.window(wl.tumbling("1s")).agg(n=wl.count())
        >>> sorted(counts.collect().to_polars().select("k", "n").rows())
        [('a', 1), ('b', 2)]
        """
        made: list[Any] = [one for one in columns if is_expression(one)]
        if made:
            given: list[Any] = list(columns)
            names = [one.meta.output_name() if is_expression(one) else one for one in given]
            new = [one for one in made if not one.meta.is_column()]
            return (self.with_columns(new) if new else self).key_by(*names)
        keys = _names("key_by", columns)
        if self._named_metadata(keys):
            return self._with_metadata(keys).key_by(*keys)
        _check_columns("key_by", keys, self.schema.names)
        return KeyedStream(self, keys)

    def _named_metadata(self, names: list[str]) -> list[str]:
        """Those of the names that are columns of the log, and none of the stream's yet."""
        return [name for name in names if name in METADATA and self.schema.get(name) is None]

    def _with_metadata(self, names: list[str]) -> Stream:
        made: Stream = self.with_columns(self._named_metadata(names))
        return made

    def agg(self, *unnamed: Any, **aggregates: Any) -> Stream:
        """Refused: aggregates need windows, which `.key_by(...).window(...)` makes."""
        raise InvalidJobError(f"agg: {_NEEDS_WINDOW}")

    def window(self, window: Window, *, per_partition: bool = False, **options: Any) -> WindowedStream:
        """Windows of each partition by itself, with `per_partition`: the column ``_partition`` is their key.

        Windows of keys are made by `.key_by(...).window(...)`, which has the same options.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"ts": 1_000}, {"ts": 61_000}])
        >>> read = wl.Job("example").read(rows, time="ts")
        >>> counts = read.window(wl.tumbling("1m"), per_partition=True).agg(n=wl.count())
        >>> counts.collect().to_polars().select("_partition", "n").rows()
        [(0, 1), (0, 1)]
        """
        if not per_partition:
            raise InvalidJobError(
                f'{options.get("name") or "window"}: a window needs a key: .key_by("column").window(...), '
                ".key_by().window(...) for the whole stream, or .window(..., per_partition=True)"
            )
        keyed = (
            self.key_by("_partition") if self.schema.get("_partition") is None else KeyedStream(self, ["_partition"])
        )
        return replace(keyed, per_partition=True).window(window, **options)

    @property
    def late(self) -> SideStream:
        """The rows that came too late for this step, and by how much.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"ts": 5_000}, {"ts": 1_000}])
        >>> read = wl.Job("example").read(rows, time="ts", out_of_orderness="1s")
        >>> counts = read.key_by().window(wl.tumbling("1s")).agg(n=wl.count())
        >>> counts.late.collect().to_polars().select("ts", "late_by_ms").rows()
        [(1000, 2001)]
        """
        if self._kind not in ("window", "dedup"):
            raise InvalidJobError(f"{self._step}: late rows come from windows and dedups; job.late is all of them")
        return SideStream(self._job, ((self._refs[0][0], "late"),), f"{self._step}.late")

    @property
    def duplicates(self) -> SideStream:
        """The rows that this dedup held back.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"id": 1, "ts": 1}, {"id": 1, "ts": 2}])
        >>> once = wl.Job("example").read(rows, time="ts").dedup("id", within="1h")
        >>> len(once.duplicates.collect())
        1
        """
        if self._kind != "dedup":
            raise InvalidJobError(f"{self._step}: duplicates come from .dedup(...)")
        return SideStream(self._job, ((self._refs[0][0], "duplicates"),), f"{self._step}.duplicates")


def merge(first: Stream, *others: Stream, name: str = "") -> Stream:
    """Streams of one job and of the same columns as one stream.

    Each record is judged by the watermark of its own input; windows come out when all inputs have passed their end. So
    what is late does not depend on which input is read faster.

    >>> import wrackline as wl
    >>> job = wl.Job("example")
    >>> north = job.read(wl.from_records([{"v": 1, "ts": 1}]), time="ts")
    >>> south = job.read(wl.from_records([{"v": 2, "ts": 2}]), time="ts")
    >>> wl.merge(north, south).key_by().window(wl.tumbling("1s")).agg(total=wl.sum("v")).collect().rows()[0]["total"]
    3
    """
    streams = [first, *others]
    for one in streams:
        if not isinstance(one, Stream):
            raise InvalidJobError(f"{name or 'merge'}: give streams, such as those of job.read(), not {shown(one)}")
        if one._job is not first._job:
            raise InvalidJobError(f"{name or 'merge'}: the streams are of two jobs; read both inputs in one")
    if not others:
        raise InvalidJobError(f"{name or 'merge'}: give at least two streams")
    job = first._job
    ref: Ref = job._plan.merge([one._refs[0] for one in streams], name=name)
    job._note(ref, f"of {', '.join(one.name for one in streams)}", first._refs[0])
    return Stream(job, ref, job._plan.step_name(ref[0]), "merge")


@dataclass(frozen=True)
class KeyedStream:
    """A stream and its key.

    >>> import wrackline as wl
    >>> wl.Job("example").read(wl.from_records([{"k": "a", "ts": 1}]), time="ts").key_by("k")
    read(k: str, ts: int) by (k)
    """

    stream: Stream
    keys: list[str]
    per_partition: bool = False

    def window(
        self,
        window: Window,
        *,
        allowed_lateness: Duration = 0,
        emit_late: Literal["commit", "each"] = "commit",
        emit: Literal["accumulate", "delta", "final_only"] = "accumulate",
        early: Duration | None = None,
        early_rows: int | None = None,
        late: Literal["rows", "windows"] = "rows",
        null_key: NullKey = "dead_letter",
        name: str = "",
    ) -> WindowedStream:
        """Cuts each key's records into windows of event time.

        `allowed_lateness`: how long a window is kept after it came out, for records that come later still; it then
        comes out again, as its next revision: at the next commit at the latest, or for ``each`` such record. What is
        later than that goes to `Stream.late` (``late="windows"``: also once for each hopping window that a record
        missed while it counts in another). `null_key`: records without a key are dead letters, or a group of their own.

        `emit`: a window comes out whole each time (``"accumulate"``), with what is new since its row before
        (``"delta"``), or once, when nothing can change it any more (``"final_only"``). `early`: also before its end,
        whenever the watermark passes a multiple of this duration and something is new; `early_rows`: after so many new
        records.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"k": "a", "ts": 1_000}, {"k": "a", "ts": 61_000}])
        >>> keyed = wl.Job("example").read(rows, time="ts").key_by("k")
        >>> counts = keyed.window(wl.tumbling("1m"), allowed_lateness="10m").agg(n=wl.count())
        >>> [(str(row["window_start"].time()), row["n"]) for row in counts.collect().rows()]
        [('00:00:00', 1), ('00:01:00', 1)]
        """
        label = name or "window"
        if not isinstance(window, Window):
            raise InvalidJobError(f'{label}: give a window, such as wl.tumbling("5m"), not {shown(window)}')
        check_slices(label, window)
        lateness = _lateness(label, allowed_lateness)
        _choice(f"{label}: emit_late", emit_late, ("commit", "each"))
        _choice(f"{label}: emit", emit, ("accumulate", "delta", "final_only"))
        _choice(f"{label}: late", late, ("rows", "windows"))
        _choice(f"{label}: null_key", null_key, ("dead_letter", "group"))
        every = None if early is None else to_millis(early, f"{label}: early")
        _check_triggers(label, window, lateness, emit, every, early_rows, self.stream._job._reads_topic)
        windowed = WindowedStream(
            self,
            window,
            lateness,
            emit,
            every,
            early_rows,
            emit_late == "each",
            late == "windows",
            null_key == "group",
            name,
        )
        windowed._add(self.stream._job._plan.copy(), [], {})  # what is wrong is said here, not at .agg()
        return windowed

    def dedup(
        self,
        *columns: str,
        within: Duration,
        allowed_lateness: Duration | None = None,
        null_key: NullKey = "dead_letter",
        name: str = "",
    ) -> Stream:
        """As `Stream.dedup`, by default of the key's columns; records of a key are brought together first.

        Further `columns` of the id are given with those of the key.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"id": 1, "ts": 1}, {"id": 1, "ts": 2}, {"id": 2, "ts": 3}])
        >>> once = wl.Job("example").read(rows, time="ts").key_by("id").dedup(within="1h")
        >>> once.collect().rows()
        [{'id': 1, 'ts': 1}, {'id': 2, 'ts': 3}]
        """
        label = name or "dedup"
        ids = _names(label, columns) or list(self.keys)
        if self.per_partition:
            return self.stream.dedup(
                *ids, within=within, allowed_lateness=allowed_lateness, null_key=null_key, name=name
            )
        return self.stream._dedup(label, ids, list(self.keys), within, allowed_lateness, null_key, name)

    def agg(self, *unnamed: Any, **aggregates: Any) -> Stream:
        """Refused: aggregates need windows, which `.key_by(...).window(...)` makes."""
        raise InvalidJobError(f"agg: {_NEEDS_WINDOW}")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            no_attribute(self, name)

    def __repr__(self) -> str:
        return f"{self.stream!r} by ({', '.join(self.keys)})"

    def _repr_html_(self) -> str:
        return views.of_stream(self.stream, f" by ({', '.join(self.keys)})", self.keys)


@dataclass(frozen=True)
class WindowedStream:
    """A keyed stream cut into windows; `agg` says what comes out of each.

    >>> import wrackline as wl
    >>> keyed = wl.Job("example").read(wl.from_records([{"k": "a", "ts": 1}]), time="ts").key_by("k")
    >>> keyed.window(wl.tumbling("5m"))
    read(k: str, ts: int) by (k) in tumbling("5m")
    """

    keyed: KeyedStream
    window: Window
    allowed_lateness: int
    emit: str
    early: int | None
    early_rows: int | None
    emit_late_each: bool
    late_windows: bool
    null_key_group: bool
    name: str

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            no_attribute(self, name)

    def agg(self, *unnamed: Never, **aggregates: Aggregate) -> Stream:
        """One output column per argument: ``.agg(n=wl.count(), mean_speed=wl.mean("speed"))``.

        Rows have the key columns, window_start, window_end, revision, pane, and these.

        >>> import wrackline as wl
        >>> rows = wl.from_records([{"k": "a", "v": 1, "ts": 1}, {"k": "a", "v": 4, "ts": 2}])
        >>> windows = wl.Job("example").read(rows, time="ts").key_by("k").window(wl.tumbling("1s"))
        >>> windows.agg(n=wl.count(), most=wl.max("v")).collect().to_polars().select("k", "n", "most").rows()
        [('a', 2, 4)]
        """
        label = self.name or "window"
        if unnamed:
            raise InvalidJobError(f"{label}: give each aggregate a name: .agg(n={shown(unnamed[0])})")
        keys = [*self.keyed.keys, *self.window.names]
        there = [*keys, "revision", "pane"]
        specs: list[AggregateTuple] = []
        inputs: dict[str, Any] = {}
        for output, aggregate in aggregates.items():
            if output in there:
                raise InvalidJobError(
                    f"{label}: {output}= is a column that is there anyway, as are {', '.join(there)}; take another name"
                )
            if not isinstance(aggregate, Aggregate):
                raise InvalidJobError(
                    f'{label}: {output}= is an aggregate, such as wl.mean("speed"), not {shown(aggregate)}'
                )
            named = f"{label}: {output}={aggregate!r}"
            if aggregate.where is not None:
                make_predicate(named, self.keyed.stream.schema, [aggregate.where])
            check_window(named, aggregate, self.window.kind)
            columns = [self._input(named, aggregate, one, inputs) for one in aggregate.inputs]
            specs.append((output, aggregate.function, columns, aggregate.options))
        job = self.keyed.stream._job
        ref = self._add(job._plan, specs, inputs)
        lateness = f", allowed_lateness={format_duration(self.allowed_lateness)}" if self.allowed_lateness else ""
        by, outputs = ", ".join(self.keyed.keys), ", ".join(f"{name}={one!r}" for name, one in aggregates.items())
        job._note(ref, f"by ({by}) in {self.window!r}{lateness}: {outputs}", self.keyed.stream._refs[0])
        job._holds[job._plan.step_name(ref[0])] = lambda size, grows: window_state(
            self.window, size, grows, self.allowed_lateness, self.emit
        )
        # Rolling rows do not replace one another; nor do those of windows that come out once.
        again = self.emit != "final_only" and (self.allowed_lateness or self.early or self.early_rows)
        replaces = keys if self.window.names and again else None
        return Stream(job, ref, job._plan.step_name(ref[0]), "window", replaces)

    def _input(self, named: str, aggregate: Aggregate, one: Any, inputs: dict[str, Any]) -> str:
        """The column that is aggregated; an expression becomes one of `inputs`."""
        stream = self.keyed.stream
        if isinstance(one, str):
            metadata = stream._named_metadata([one])
            _check_columns(named, [one], [*stream.schema.names, *metadata])
            check_type(named, aggregate, stream.schema.get(one))
            if not metadata:
                return one
            one = need("polars", "polars").col(one)
        column = _input_name(one, inputs)
        if column in inputs:
            return column
        inputs[column] = one.alias(column)
        make_columns("window_inputs", named, stream.schema, [inputs[column]], {}, passes=True)
        return column

    def _add(self, plan: Any, specs: list[AggregateTuple], inputs: dict[str, Any]) -> Ref:
        """`inputs`: expressions that are aggregated, as columns that go no farther than the window."""
        above = self.keyed.stream._refs[0]
        if inputs:
            made = make_columns(
                "window_inputs", "window_inputs", self.keyed.stream.schema, list(inputs.values()), {}, passes=True
            )
            name = f"{self.name}_inputs" if self.name else ""
            above = plan.transform(above, **vars(made), on_error="dead_letter", name=name)
        ref: Ref = plan.window(
            above,
            key=self.keyed.keys,
            kind=self.window.kind,
            settings=self.window.settings,
            allowed_lateness=self.allowed_lateness,
            emit=self.emit,
            early=self.early,
            early_rows=self.early_rows,
            emit_late_each=self.emit_late_each,
            late_windows_rows=self.late_windows,
            null_key_group=self.null_key_group,
            per_partition=self.keyed.per_partition,
            aggregates=specs,
            hidden=len(inputs),
            name=self.name,
        )
        return ref

    def __repr__(self) -> str:
        return f"{self.keyed!r} in {self.window!r}"

    def _repr_html_(self) -> str:
        behind = f" by ({', '.join(self.keyed.keys)}) in {self.window!r}"
        return views.of_stream(self.keyed.stream, behind, self.keyed.keys)


def _input_name(expression: Any, taken: dict[str, Any]) -> str:
    """What the column of an aggregated expression is called: in messages, and where jobs are compared."""
    name = str(expression)
    while name in taken and not taken[name].meta.eq(expression.alias(name)):  # two expressions may look the same
        name += "'"
    return name


def _check_triggers(
    label: str,
    window: Window,
    lateness: int,
    emit: str,
    early: int | None,
    early_rows: int | None,
    reads_topic: bool,
) -> None:
    """What semantics say of panes, for every kind of window."""
    if early is not None and early <= 0:
        raise InvalidJobError(f"{label}: early must be > 0, not {format_duration(early)!r}")
    if early_rows is not None and (isinstance(early_rows, bool) or not isinstance(early_rows, int) or early_rows <= 0):
        raise InvalidJobError(f"{label}: early_rows must be a whole number > 0, not {early_rows!r}")
    if early_rows is not None and window.kind == "hopping":
        raise InvalidJobError(f"{label}: early_rows is not for hopping windows: a record is in several of them")
    any_early = early is not None or early_rows is not None
    if any_early and emit == "final_only":
        raise InvalidJobError(f'{label}: early panes contradict emit="final_only"')
    if not window.emits_panes and (any_early or emit != "accumulate" or lateness > 0):
        raise InvalidJobError(f"{label}: {window.kind} has no panes: no early, emit or allowed_lateness")
    if window.kind == "global_window":
        if lateness > 0:
            raise InvalidJobError(f"{label}: nothing is late for a global window: no allowed_lateness")
        if reads_topic and early_rows is None:
            raise InvalidJobError(f"{label}: a global window over a topic never ends: it needs early_rows")


def _lateness(label: str, value: Duration) -> int:
    millis = to_millis(value, f"{label}: allowed_lateness")
    if millis < 0:
        raise InvalidJobError(f"{label}: allowed_lateness must not be negative, not {value!r}")
    return millis


def _choice(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        near = _core.nearest(str(value), list(known))
        raise InvalidJobError(
            f"{name} is one of {', '.join(map(repr, known))}, not {value!r}"
            + (f"; did you mean {near!r}?" if near else "")
        )
    return value


def _names(label: str, columns: tuple[Any, ...]) -> list[str]:
    for column in columns:
        if not isinstance(column, str):
            if type(column).__module__.startswith("polars"):
                raise InvalidJobError(
                    f"{label}: give column names; .with_columns(name={column}) makes a column of an expression"
                )
            if isinstance(column, (list, tuple)) and all(isinstance(one, str) for one in column):
                listed = ", ".join(f'"{one}"' for one in column)
                raise InvalidJobError(f"{label}: give the names one by one, not as a {type(column).__name__}: {listed}")
            raise InvalidJobError(f"{label}: columns are names, not {shown(column)}")
    return list(columns)


def _check_columns(label: str, columns: list[str], there: list[str]) -> None:
    for column in columns:
        if column not in there:
            raise InvalidJobError(f"{label}: there is no column {column!r}{suggestion(column, there)}")

"""Streams: what flows between the steps of a job. Every call adds a step and gives the stream behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wrackline import views
from wrackline.aggregates import Aggregate
from wrackline.durations import Duration, format_duration, to_millis
from wrackline.errors import InvalidJobError, NotYetError
from wrackline.feed import Batches
from wrackline.results import Result
from wrackline.schema import Columns, Field, suggestion
from wrackline.transforms import OnError
from wrackline.verbs import Build, Verbs
from wrackline.windows import Window

if TYPE_CHECKING:
    from wrackline.job import Job

__all__ = ["KeyedStream", "SideStream", "Stream", "WindowedStream"]

Ref = tuple[int, str]  # node of the plan, port
NullKey = Literal["dead_letter", "group"]


class SideStream(Verbs):
    """Rows that left the main way: late ones, duplicates, dead letters. They can be filtered, written and collected."""

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
            for name, kind, nullable in self._job._plan.schema_of(ref):
                fields.setdefault(name, Field(name, kind, nullable, name))
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

    def write(
        self, topic: str, *, time_format: Literal["ms", "iso"] = "ms", nan: Literal["null", "string"] = "null"
    ) -> None:
        """Writes the rows to a topic as JSON, in the job's transaction. The topic is made when it is not there."""
        self._job._add_sink(
            self,
            topic,
            _choice("time_format", time_format, ("ms", "iso")) == "iso",
            _choice("nan", nan, ("null", "string")) == "string",
        )

    def collect(
        self,
        *,
        until: Literal["now"] | None = "now",
        close: bool = False,
        rows: int | None = None,
        seconds: float | None = None,
        revisions: Literal["last", "all"] = "last",
    ) -> Result:
        """Runs a throw-away copy of the job up to here, and gives its rows: commits nothing, joins no group.

        Of a window that came out several times only the last revision is shown, unless ``revisions="all"``. At the
        present end of a topic windows stay open, unless `close`. Ctrl-C and the stop button of a notebook end
        `seconds` early; without `seconds` they raise KeyboardInterrupt.
        """
        _choice("revisions", revisions, ("last", "all"))
        return self._job._collect(self, until=until, close=close, rows=rows, seconds=seconds, revisions=revisions)

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
    """A stream with a watermark."""

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
        below, at least `within` up to an hour.
        """
        label = name or "dedup"
        ids = _names(label, columns)
        if not ids:
            raise InvalidJobError(f'{label}: name the columns of the id, such as .dedup("event_id", within="24h")')
        _check_columns(label, ids, self.schema)
        span = to_millis(within, f"{label}: within")
        if span <= 0:
            raise InvalidJobError(f"{label}: within must be > 0, not {within!r}")
        lateness = None if allowed_lateness is None else _lateness(label, allowed_lateness)
        ref = self._job._plan.dedup(
            self._refs[0],
            columns=ids,
            within=span,
            allowed_lateness=lateness,
            null_key_group=_choice("null_key", null_key, ("dead_letter", "group")) == "group",
            name=name,
        )
        self._job._note(ref, f"dedup({', '.join(ids)}) within {format_duration(span)}", self._refs[0])
        return Stream(self._job, ref, self._job._plan.step_name(ref[0]), "dedup", self._keys)

    def key_by(self, *columns: str) -> KeyedStream:
        """By what the windows below are kept apart; without columns the whole stream is one key."""
        keys = _names("key_by", columns)
        _check_columns("key_by", keys, self.schema)
        return KeyedStream(self, keys)

    def window(self, window: Window, **options: Any) -> WindowedStream:
        raise InvalidJobError(
            f'{options.get("name") or "window"}: a window needs a key: .key_by("column").window(...), '
            "or .key_by().window(...) for the whole stream"
        )

    @property
    def late(self) -> SideStream:
        """The rows that came too late for this step, and by how much."""
        if self._kind not in ("window", "dedup"):
            raise InvalidJobError(f"{self._step}: late rows come from windows and dedups; job.late is all of them")
        return SideStream(self._job, ((self._refs[0][0], "late"),), f"{self._step}.late")

    @property
    def duplicates(self) -> SideStream:
        """The rows that this dedup held back."""
        if self._kind != "dedup":
            raise InvalidJobError(f"{self._step}: duplicates come from .dedup(...)")
        return SideStream(self._job, ((self._refs[0][0], "duplicates"),), f"{self._step}.duplicates")


@dataclass(frozen=True)
class KeyedStream:
    """A stream and its key."""

    stream: Stream
    keys: list[str]

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
        later than that goes to `.late` (``late="windows"``: also once for each hopping window that a record missed
        while it counts in another). `null_key`: records without a key are dead letters, or a group of their own.
        """
        label = name or "window"
        if not isinstance(window, Window):
            raise InvalidJobError(f'{label}: give a window, such as wl.tumbling("5m"), not {window!r}')
        lateness = _lateness(label, allowed_lateness)
        _choice("emit_late", emit_late, ("commit", "each"))
        _choice("emit", emit, ("accumulate", "delta", "final_only"))
        _choice("late", late, ("rows", "windows"))
        _choice("null_key", null_key, ("dead_letter", "group"))
        every = None if early is None else to_millis(early, f"{label}: early")
        _check_triggers(label, window, lateness, emit, every, early_rows, self.stream._job._reads_topic)
        windowed = WindowedStream(
            self, window, lateness, emit_late == "each", late == "windows", null_key == "group", name
        )
        if not window.fixed:
            raise NotYetError(f"{label}: {window.kind} comes with a later version; there are tumbling and hopping")
        if emit != "accumulate":
            raise NotYetError(f'{label}: emit="{emit}" comes with a later version')
        if every is not None or early_rows is not None:
            raise NotYetError(f"{label}: early panes come with a later version")
        windowed._add(self.stream._job._plan.copy(), [])  # what is wrong is said here, not at .agg()
        return windowed

    def agg(self, **aggregates: Aggregate) -> Stream:
        raise InvalidJobError('agg: needs a window: .key_by(...).window(wl.tumbling("5m")).agg(...)')

    def __repr__(self) -> str:
        return f"{self.stream!r} by ({', '.join(self.keys)})"

    def _repr_html_(self) -> str:
        return views.of_stream(self.stream, f" by ({', '.join(self.keys)})", self.keys)


@dataclass(frozen=True)
class WindowedStream:
    """A keyed stream cut into windows; `agg` says what comes out of each."""

    keyed: KeyedStream
    window: Window
    allowed_lateness: int
    emit_late_each: bool
    late_windows: bool
    null_key_group: bool
    name: str

    def agg(self, **aggregates: Aggregate) -> Stream:
        """One output column per argument: ``.agg(n=wl.count(), mean_speed=wl.mean("speed"))``.

        Rows have the key columns, window_start, window_end, revision, pane, and these.
        """
        label = self.name or "window"
        specs = []
        for output, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                raise InvalidJobError(
                    f'{label}: {output}= is an aggregate, such as wl.mean("speed"), not {aggregate!r}'
                )
            if aggregate.column:
                _check_columns(f"{label}: {output}={aggregate!r}", [aggregate.column], self.keyed.stream.schema)
            specs.append((output, aggregate.function, aggregate.column, aggregate.wide))
        job = self.keyed.stream._job
        ref = self._add(job._plan, specs)
        lateness = f", allowed_lateness={format_duration(self.allowed_lateness)}" if self.allowed_lateness else ""
        by, outputs = ", ".join(self.keyed.keys), ", ".join(f"{name}={one!r}" for name, one in aggregates.items())
        job._note(ref, f"by ({by}) in {self.window!r}{lateness}: {outputs}", self.keyed.stream._refs[0])
        keys = [*self.keyed.keys, "window_start", "window_end"]
        return Stream(job, ref, job._plan.step_name(ref[0]), "window", keys)

    def _add(self, plan: Any, specs: list[tuple[str, str, str, bool]]) -> Ref:
        ref: Ref = plan.window(
            self.keyed.stream._refs[0],
            key=self.keyed.keys,
            size=self.window.size,
            slide=self.window.slide,
            offset=self.window.offset,
            allowed_lateness=self.allowed_lateness,
            emit_late_each=self.emit_late_each,
            late_windows_rows=self.late_windows,
            null_key_group=self.null_key_group,
            aggregates=specs,
            name=self.name,
        )
        return ref

    def __repr__(self) -> str:
        return f"{self.keyed!r} in {self.window!r}"

    def _repr_html_(self) -> str:
        behind = f" by ({', '.join(self.keyed.keys)}) in {self.window!r}"
        return views.of_stream(self.keyed.stream, behind, self.keyed.keys)


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
        raise InvalidJobError(f"{label}: early must be > 0")
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
        raise InvalidJobError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}")
    return value


def _names(label: str, columns: tuple[Any, ...]) -> list[str]:
    for column in columns:
        if not isinstance(column, str):
            if type(column).__module__.startswith("polars"):
                raise NotYetError(f"{label}: expressions come with a later version; give column names")
            raise InvalidJobError(f"{label}: columns are names, not {type(column).__name__} {column!r}")
    return list(columns)


def _check_columns(label: str, columns: list[str], schema: Columns) -> None:
    for column in columns:
        if schema.get(column) is None:
            raise InvalidJobError(f"{label}: there is no column {column!r}{suggestion(column, schema.names)}")

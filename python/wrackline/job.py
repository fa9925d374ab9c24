"""Job: reads, steps and writes, and the ways to run them. Building one does no I/O."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from wrackline import _core, copies, forks, views
from wrackline.deliveries import Deliveries
from wrackline.durations import Duration, Time, to_millis, to_time
from wrackline.errors import InvalidArgumentError, InvalidJobError, NotFoundError
from wrackline.explain import Explanation, Status, StepText, stage_texts, status_of, why_no_more
from wrackline.feed import Batches
from wrackline.hints import shown_type
from wrackline.kafka import Kafka
from wrackline.ledger import Ledger
from wrackline.log import Log, address_of
from wrackline.memory import memory_bound
from wrackline.reading import Input, source_of, watermark_of, watermark_text
from wrackline.results import Result
from wrackline.run import Place, Progress, RunningJob, RunResult, run_to_end, running_at, seated
from wrackline.schema import Columns, Field, suggestion
from wrackline.sinks import FileSink, Sink
from wrackline.sources import BoundedRows
from wrackline.stats import Stats
from wrackline.stream import DeadLetters, LateOfJob, Ref, SideStream, Stream, merge
from wrackline.transforms import Explode, OnError
from wrackline.verbs import Build, Comparison, filter_value
from wrackline.watermarks import Watermark, of_function

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Job"]

_UNITS = ("s", "ms", "us", "ns", "auto")
_logger = logging.getLogger("wrackline")


class Job:
    """A job by its name, which is also that of its state and of its topics.

    `log`: ``"memory:"``, ``"memory:NAME"``, ``"local:DIR"``, ``"kafka://HOST:PORT"``, a `wl.Kafka` or a `wl.Log`.
    `state_dir`: where checkpoints lie (of a memory log: in memory). Results become visible every `commit_interval`,
    or after `commit_rows` records if that is sooner, or after a quarter of the interval if windows have fired and there
    is nothing else to do; after a crash at most `checkpoint_interval` is replayed.
    `memory_limit`: bytes of state beyond which the run ends with an error that names the step; by default half of the
    machine's memory.

    `guarantee`: ``"at_least_once"`` does without transactions: after a crash rows may come twice. On Kafka `workers`
    threads share the partitions, and so do other processes that run the same job; `membership` is ``"dynamic"`` for
    processes that come and go, and do not come back to their state. `transaction_timeout`: what a dead process left
    open holds up readers for so long at most.
    `max_dead_letters`: ``"5%"`` of a minute's records (of 100 at least) or a number in a minute: beyond it the run ends
    with an error, before they are committed, so that a bad deploy does not drain the input into the dead letters.

    Raises `InvalidJobError`, as all calls that build a job do, for what cannot work; nothing is opened before it runs.

    >>> import wrackline as wl
    >>> job = wl.Job("example")
    >>> job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts").write("out")
    >>> job
    Job("example", log='memory:')
      read  1 row of Schema(v: int, ts: int), time="ts", out_of_orderness='all'
      write out  <- read
    >>> job.name
    'example'
    """

    def __init__(
        self,
        name: str,
        *,
        log: str | Kafka | Log = "memory:",
        state_dir: str = ".wrackline",
        commit_interval: Duration = "100ms",
        commit_rows: int | None = None,
        checkpoint_interval: Duration = "10s",
        memory_limit: int | None = None,
        guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once",
        workers: int = 1,
        membership: Literal["static", "dynamic"] = "static",
        transaction_timeout: Duration = "10s",
        max_dead_letters: str | int | None = None,
    ) -> None:
        if not isinstance(name, str):
            raise InvalidJobError(f"a job's name is a str, not {type(name).__name__} {name!r}")
        if not isinstance(log, Log):
            address_of(log)
        self._name = name
        self._log: str | Kafka | Log = log
        self._own_log: Log | None = None  # of a job on memory:, as long as the job lives
        self._plan = _core.Plan(name)
        self._source: Stream | None = None
        self._inputs: list[Input] = []
        self._items: dict[str, Columns] = {}  # of columns that are lists of objects
        self._late_sinks: list[tuple[LateOfJob, str, bool, bool, bool]] = []
        self._dead_sinks: list[tuple[Ref, str]] = []
        self._deliveries: dict[str, Sink] = {}  # by the internal topic that their rows go to first
        self._running: _core.Run | None = None
        self._last_run: _core.Run | None = None  # for what is shown of the job
        self._holds: dict[str, Callable[[int, str], str]] = {}  # of steps that remember: in words, of an entry's bytes
        self._last_status: Status | None = None
        self._lines: list[tuple[str, str, str]] = []  # for repr: step, what it does, of which stream
        self._options: dict[str, Any] = {
            "commit_interval": _positive("commit_interval", to_millis(commit_interval, "commit_interval")),
            "commit_rows": 0 if commit_rows is None else _positive("commit_rows", commit_rows),
            "checkpoint_interval": _positive(
                "checkpoint_interval", to_millis(checkpoint_interval, "checkpoint_interval")
            ),
            "state_dir": str(state_dir),
            "memory_limit": memory_bound() if memory_limit is None else _positive("memory_limit", memory_limit),
            "guarantee": _one_of("guarantee", guarantee, "exactly_once", "at_least_once"),
            "workers": _positive("workers", workers),
            "membership": _one_of("membership", membership, "static", "dynamic"),
            "transaction_timeout": _positive(
                "transaction_timeout", to_millis(transaction_timeout, "transaction_timeout")
            ),
            **_dead_letter_limit(max_dead_letters),
        }

    @property
    def name(self) -> str:
        """Its name, which is also that of its state and of its topics."""
        return self._name

    @property
    def _is_memory(self) -> bool:
        return isinstance(self._log, str) and self._log.startswith("memory:")

    @property
    def _is_embedded(self) -> bool:
        """Its log serves one run of a job at a time."""
        return not self._place()[0].startswith("kafka:")

    def _place(self) -> Place:
        uri = self._log.uri if isinstance(self._log, Log) else address_of(self._log)[0]
        if uri.startswith("local:"):
            uri = f"local:{os.path.realpath(uri.removeprefix('local:'))}"
        elif uri == "memory:":  # each is another
            uri = f"memory:{self.log._core.id}"
        return uri, self._name

    @property
    def _reads_topic(self) -> bool:
        return any(one.topic for one in self._inputs)

    # ---- building ----

    def read(
        self,
        source: str | BoundedRows | Sequence[str],
        schema: Any = None,
        *,
        time: str,
        unit: Literal["s", "ms", "us", "ns", "auto"] = "ms",
        out_of_orderness: Duration | Literal["all"] | None = None,
        watermark: Watermark | Callable[[pl.DataFrame], Any] | None = None,
        idle_after: Duration | None = None,
        idle_advance: Literal["hold", "close"] = "hold",
        partitioned_by: str | Sequence[str] = (),
        not_before: Time | None = None,
        not_after: Time | None = None,
        max_future: Duration = "60s",
        max_record_bytes: int = 1 << 20,
        log_timestamp: str = "",
        warn_late: Duration = "1h",
        name: str = "",
    ) -> Stream:
        """The input: a topic with a schema, or bounded rows (`wl.from_records`, `wl.from_arrow`, `wl.read_parquet`,
        `wl.read_csv`, `wl.read_ndjson`).

        `time` is the event-time column (``"_timestamp"``: the record's own), in `unit` if it is a number.
        `out_of_orderness` is required for a topic; bounded rows have ``"all"``: the watermark moves at their end
        alone, and nothing is late. `watermark` takes its place: `wl.monotonic()`, `wl.punctuated("column")`,
        `wl.punctuated_if("column")`, or a function that gets a batch of good records as a Polars frame and gives a
        watermark for each row: a time, an integer in `unit`, or null to keep it; lower ones are ignored.

        Event times before `not_before`, at `not_after` or beyond, or `max_future`
        ahead of the record's log timestamp are dead letters. `partitioned_by`: the columns that decide a record's
        partition, for a topic with several. `idle_after`: without records for so long the input no longer holds the
        watermark back. `log_timestamp`: the column that stands for the log timestamp of bounded rows.

        Several topics of the same columns, ``job.read(["a", "b"], ...)``, are read with the same settings and merged;
        a job may also read several times, and `wl.merge` the streams.

        >>> import wrackline as wl
        >>> job = wl.Job("example", log="local:fleet-data")
        >>> job.read("readings", {"truck_id": str, "ts": int}, time="ts", unit="s", out_of_orderness="30s")
        read(truck_id: str, ts: int)
        """
        if isinstance(source, (list, tuple)) and source and all(isinstance(one, str) for one in source):
            given = {key: value for key, value in locals().items() if key not in ("self", "source", "name")}
            if len(source) == 1:
                return self.read(source[0], name=name, **given)
            return merge(*(self.read(one, **given) for one in source), name=name)
        bounded, columns, topic = source_of(source, schema)
        if not isinstance(time, str) or not time:
            raise InvalidJobError("read: time= names the event-time column")
        if not columns.fields:
            raise InvalidJobError(
                "read: these rows have no columns; say which they would have by a schema, such as "
                f'wl.from_records([], {{"{time}": int}})'
            )
        if time != "_timestamp" and columns.get(time) is None:
            raise InvalidJobError(f'read: time="{time}" is no column{suggestion(time, columns.names)}')
        if log_timestamp and columns.get(log_timestamp) is None:
            raise InvalidJobError(
                f'read: log_timestamp="{log_timestamp}" is no column{suggestion(log_timestamp, columns.names)}'
            )
        if unit not in _UNITS:
            raise InvalidJobError(f"read: unit is one of {', '.join(map(repr, _UNITS))}, not {unit!r}")
        if callable(watermark):
            watermark = of_function(watermark, columns)
        kind, bound, column = watermark_of(topic, columns, out_of_orderness, watermark)
        if idle_advance not in ("hold", "close"):
            raise InvalidJobError(f'read: idle_advance is "hold" or "close", not {idle_advance!r}')
        ref = self._plan.read(
            topic=topic,
            schema=columns.to_core(),
            paths=columns.paths(),
            time=time,
            unit=unit,
            not_before=None if not_before is None else to_time(not_before, "read: not_before"),
            not_after=None if not_after is None else to_time(not_after, "read: not_after"),
            max_future=to_millis(max_future, "read: max_future"),
            log_timestamp=log_timestamp,
            watermark=kind,
            out_of_orderness=bound,
            watermark_column=column,
            watermark_function=None if watermark is None else watermark.function,
            watermark_text="" if watermark is None or watermark.function is None else watermark.function.text,
            idle_after=None
            if idle_after is None
            else _positive("read: idle_after", to_millis(idle_after, "read: idle_after")),
            idle_close=idle_advance == "close",
            warn_late=to_millis(warn_late, "read: warn_late"),
            partitioned_by=[partitioned_by] if isinstance(partitioned_by, str) else list(partitioned_by),
            max_record_bytes=max_record_bytes,
            name=name,
        )
        stream = Stream(self, ref, self._plan.step_name(ref[0]), "read")
        self._inputs.append(
            Input(stream.name, topic, bounded, columns, watermark_text(kind, out_of_orderness, watermark, idle_after))
        )
        self._items.update({one.name: one.items for one in columns.fields if one.items is not None})
        self._source = self._source or stream
        bound_text = repr(watermark) if watermark is not None else f"out_of_orderness={out_of_orderness or 'all'!r}"
        self._note(ref, f'{f"topic {topic!r}" if topic else repr(bounded)}, time="{time}", {bound_text}', None)
        return stream

    def _note(self, ref: Ref, text: str, of: Ref | None) -> None:
        """A line of repr."""
        self._lines.append((self._plan.step_name(ref[0]), text, "" if of is None else self._label(of)))

    def _label(self, ref: Ref) -> str:
        name = self._plan.step_name(ref[0])
        return name if ref[1] == "main" else f"{name}.{ref[1]}"

    @property
    def late(self) -> SideStream:
        """All late rows, of every step: own columns, and by how much, for which window, judged by which watermark.

        >>> import wrackline as wl
        >>> job = wl.Job("example")
        >>> rows = wl.from_records([{"ts": 5_000}, {"ts": 1_000}])
        >>> read = job.read(rows, time="ts", out_of_orderness="1s")
        >>> counts = read.key_by().window(wl.tumbling("1s")).agg(n=wl.count())
        >>> job.late.collect().to_polars().select("ts", "late_by_ms", "step").rows()
        [(1000, 2001, 'window')]
        """
        return LateOfJob(self)

    @property
    def dead_letters(self) -> SideStream:
        """Records that could not be used: original bytes, reason, message. Unless written they go to ``<job>.dead``.

        >>> import wrackline as wl
        >>> job = wl.Job("example")
        >>> read = job.read(wl.from_records([{"ts": "noon"}, {"ts": "2024-03-05T12:00Z"}]), time="ts")
        >>> job.dead_letters.collect().to_polars().select("reason", "message").rows()
        [('timestamp', 'ts = "noon" is no time')]
        """
        if self._source is None:
            raise InvalidJobError("dead_letters: this job reads nothing yet: call job.read() first")
        return DeadLetters(self, (1, "main"))

    def _columns(self, plan: Any, ref: Ref) -> Columns:
        """The columns of a stream, with what is known of the items of lists."""
        fields = []
        for name, kind, nullable in plan.schema_of(ref):
            fields.append(Field(name, kind, nullable, name, self._items.get(name) if kind == "json" else None))
        return Columns(tuple(fields))

    def _add_step(self, ref: Ref, kind: str, build: Build, name: str, on_error: OnError, plan: Any = None) -> Ref:
        """Adds what `build` makes behind a stream; to `plan`, if it is not the job's own."""
        label = name or kind
        to = plan or self._plan
        columns = self._columns(to, ref)
        made = build(label, columns)
        if isinstance(made, Comparison):
            given, is_time = filter_value(label, columns, made)
            at: Ref = to.filter(ref, column=made.column, compare=made.op, value=given, is_time=is_time, name=name)
            text = str(made)
        elif isinstance(made, Explode):
            at = to.explode(
                ref,
                column=made.column,
                items=made.items.to_core(),
                paths=made.items.paths(),
                on_error=on_error,
                name=name,
            )
            self._items.update({one.name: one.items for one in made.items.fields if one.items is not None})
            text = made.column
        else:
            at = to.transform(ref, **vars(made), on_error=on_error, name=name)
            text = made.text
        if plan is None:
            self._note(at, text, ref)
        return at

    def _deliver(self, stream: SideStream, sink: Sink, *, iso_times: bool = False, nan_as_string: bool = True) -> None:
        """Adds a sink that is no topic."""
        call = str(sink).partition("(")[0]
        if sink.topic in self._deliveries:
            raise InvalidJobError(
                f"{call}: this job has {self._deliveries[sink.topic]} of {stream._label} already: give one of them a "
                f'name: {call}(..., name="...")'
            )
        for other in self._deliveries.values():
            if isinstance(sink, FileSink) and isinstance(other, FileSink) and sink.directory == other.directory:
                raise InvalidJobError(f"{call}: this job writes to {sink.given!r} already: take another directory")
        self._add_sink(stream, sink.topic, iso_times, nan_as_string, internal=True)
        self._deliveries[sink.topic] = sink

    def _delivering(self, plan: Any, log: Any, fresh: bool) -> Deliveries:
        return Deliveries(
            list(self._deliveries.values()),
            plan,
            log,
            fresh=fresh,
            state_dir=self._options["state_dir"],
            transaction_timeout=self._options["transaction_timeout"],
        )

    def _add_sink(
        self, stream: SideStream, topic: Any, iso_times: bool, nan_as_string: bool, internal: bool = False
    ) -> None:
        if not isinstance(topic, str):
            raise InvalidJobError(f"write: a topic is a str, not {shown_type(topic)}")
        if self._source is None:
            raise InvalidJobError("write: this job reads nothing yet: call job.read() first")
        if isinstance(stream, LateOfJob):
            # Resolved when the job is complete; what is wrong with the topic is said now.
            self._complete_plan().write([], topic=topic)
            self._late_sinks.append((stream, topic, iso_times, nan_as_string, internal))
            return
        for late in self._late_sinks:
            if late[1] == topic:
                raise InvalidJobError(f"write: this job already writes to {topic!r}")
        dead = isinstance(stream, DeadLetters)
        self._plan.write(
            list(stream._refs),
            topic=topic,
            iso_times=iso_times,
            nan_as_string=nan_as_string,
            dead_letters=dead and not internal,
            internal=internal,
        )
        if dead:
            self._dead_sinks.append((stream._refs[0], topic))

    def _complete_plan(self, stream: SideStream | None = None) -> Any:
        """A copy with what is resolved late. `stream`: also a sink for it, the last one."""
        plan = self._plan.copy()
        for late, topic, iso_times, nan_as_string, internal in self._late_sinks:
            refs = self._late_refs(plan, late)
            plan.write(refs, topic=topic, iso_times=iso_times, nan_as_string=nan_as_string, internal=internal)
        # Dead letters that are written filtered leave the others without a topic.
        if self._dead_sinks and all(ref[0] != 1 for ref, _ in self._dead_sinks):
            plan.write([(1, "main")], topic=f"{self._name}.dead", dead_letters=True)
        return plan

    def _late_refs(self, plan: Any, late: LateOfJob) -> list[Ref]:
        refs: list[Ref] = list(plan.late_streams())
        for kind, build, on_error in late._steps:
            refs = [self._add_step(ref, kind, build, "", on_error, plan) for ref in refs]
        return refs

    # ---- running ----

    def run(
        self,
        *,
        until: Literal["now"] | None = None,
        close: bool = False,
        rows: int | None = None,
        seconds: float | None = None,
        progress: Progress = None,
        fresh: bool = False,
        replay: Literal["accept"] | None = None,
        resume: Literal["append"] | None = None,
        reset: Sequence[str] = (),
    ) -> RunResult:
        """Runs until SIGTERM or Ctrl-C, which end it in order; or ``until="now"`` (the present end of the topic;
        `close` also closes its windows), or for so many `rows` or `seconds`. Bounded rows end it by themselves.

        Killed at any moment, the next run goes on from the last commit. `progress`: a line on stderr (with rich on a
        terminal and in a notebook a table that moves), or a function that is called with `Stats`. `fresh` forgets
        earlier runs. ``replay="accept"``: go on although a replay gave other rows than the run before.
        ``resume="append"``: bounded rows that have grown. `reset`: steps that start with empty state.

        >>> import wrackline as wl
        >>> log = wl.Log("memory:")
        >>> log.create("readings")
        >>> log.append("readings", [{"v": 1, "ts": 1_700_000_000_000}])
        1
        >>> job = wl.Job("example", log=log)
        >>> job.read("readings", {"v": int, "ts": int}, time="ts", out_of_orderness="30s").write("out")
        >>> job.run(until="now").rows
        1
        >>> job.run(until="now").rows  # goes on where it was
        0
        """
        options = self._run_options(until, close, rows, seconds, fresh, replay, resume, reset)
        plan = self._finished_plan()
        with (
            seated(self._place(), alone=self._is_embedded),
            self._opened_log() as log,
            self._delivering(plan, log, fresh) as deliveries,
        ):
            run = _core.Run(plan, options=options, log=log, rows=self._rows())
            self._running = self._last_run = run
            try:
                run_to_end(run, self._name, progress, seconds, deliveries)
            finally:
                stats, ledger = run.stats(), run.ledger()
                status = self._last_status = status_of(run, running=False)
                self._running = None
                run.close()
        return RunResult(Stats.of(stats), Ledger(ledger), why_no_more(status, stats, ledger, until))

    def start(self, **options: Any) -> RunningJob:
        """`run` in a background thread: ``with job.start() as running: print(running.stats)``.

        Leaving the block ends the run in order; so does the end of the program. `running` has it until then.

        Its options are those of `run`.

        >>> import wrackline as wl
        >>> log = wl.Log("memory:")
        >>> log.create("readings")
        >>> job = wl.Job("example", log=log)
        >>> job.read("readings", {"ts": int}, time="ts", out_of_orderness="30s").write("out")
        >>> with job.start(rows=1) as running:
        ...     log.append("readings", [{"ts": 1_700_000_000_000}])
        ...     running.wait(timeout=60).rows
        1
        1
        """
        progress = options.pop("progress", None)
        seconds = options.pop("seconds", None)
        chosen = self._run_options(
            options.pop("until", None),
            options.pop("close", False),
            options.pop("rows", None),
            seconds,
            fresh := options.pop("fresh", False),
            options.pop("replay", None),
            options.pop("resume", None),
            options.pop("reset", ()),
        )
        if options:
            raise InvalidArgumentError(f"start: unknown option {next(iter(options))}=")
        stack = contextlib.ExitStack()
        with stack:
            seat = stack.enter_context(seated(self._place(), alone=self._is_embedded))
            log = stack.enter_context(self._opened_log())
            plan = self._finished_plan()
            deliveries = stack.enter_context(self._delivering(plan, log, fresh))
            run = _core.Run(plan, options=chosen, log=log, rows=self._rows())
            self._running = self._last_run = run
            kept = stack.pop_all()

        def ended() -> None:
            self._last_status = status_of(run, running=False)
            self._running = None
            run.close()
            kept.close()

        seat.running = RunningJob(run, self._name, progress, seconds, ended, deliveries)
        return seat.running

    @property
    def running(self) -> RunningJob | None:
        """What `start` gave, while it runs in this process: also if the variable is lost, or the job was built anew.

        >>> import wrackline as wl
        >>> log = wl.Log("memory:")
        >>> log.create("readings")
        >>> job = wl.Job("example", log=log)
        >>> job.read("readings", {"ts": int}, time="ts", out_of_orderness="30s").write("out")
        >>> with job.start():
        ...     job.running.is_alive
        True
        >>> job.running is None
        True
        """
        return running_at(self._place())

    def explain(self) -> Explanation:
        """What each step does and holds, whose watermark judges it, and, of a run in this process, what it waits for.

        >>> import wrackline as wl
        >>> log = wl.Log("memory:")
        >>> log.create("readings")
        >>> log.append("readings", [{"k": "a", "ts": 1_700_000_010_000}])
        1
        >>> job = wl.Job("example", log=log)
        >>> read = job.read("readings", {"k": str, "ts": int}, time="ts", out_of_orderness="30s")
        >>> read.key_by("k").window(wl.tumbling("1m")).agg(n=wl.count()).write("counts")
        >>> run = job.run(until="now")
        >>> job.explain().why[0].partition(";")[0]
        'window: 1 window is open'
        """
        if self._source is None:
            raise InvalidJobError("explain: this job reads nothing yet: call job.read() first")
        sizes = {name: (size, grows) for name, size, grows in self._plan.entry_bytes()}
        status = self._last_status if self._running is None else status_of(self._running, running=True)
        stages = self._finished_plan().stages() if status is None else status.stages
        where = {
            step: number for number, one in reversed([*enumerate(stages)]) for step in (one["reads"], *one["steps"])
        }
        steps = []
        for name, text, _ in self._lines:
            holds, stage = self._holds.get(name), where.get(name, 0)
            judged = "" if holds is None else "W of the record's partition, before it"
            if holds is not None and stages[stage]["upstream"]:
                judged = "W of the partition that the record was read from, before it"
            steps.append(StepText(name, text, holds(*sizes[name]) if holds else "nothing", judged, stage))
        log = self._log.uri if isinstance(self._log, Log) else self._log
        kinds = {one.watermark: one.name for one in self._inputs}
        watermark = "\n".join(text if len(kinds) == 1 else f"{name}: {text}" for text, name in kinds.items())
        texts = stage_texts(stages, known=status is not None)
        return Explanation(f"job {self._name!r} on {log!r}", watermark, steps, texts, status)

    def ledger(self) -> Ledger:
        """What became of every record: of the run that goes on in this process, else as of the last commit.

        Raises `NotFoundError` before the first commit.

        >>> import wrackline as wl
        >>> job = wl.Job("example")
        >>> read = job.read(wl.from_records([{"v": 1, "ts": 1}, {"v": -1, "ts": 2}]), time="ts")
        >>> read.filter("v", ">", 0).write("out")
        >>> run = job.run()
        >>> job.ledger()["filter"].filtered
        1
        """
        if self._running is not None:
            return Ledger(self._running.ledger())
        with self._opened_log(read_only=True) as log:
            try:
                return Ledger(_core.read_ledger(log, self._name))
            except NotFoundError:
                raise NotFoundError(f"job {self._name!r} has not committed anything on this log") from None

    @property
    def log(self) -> Log:
        """The log that this job works on, to look at what it wrote. The caller closes it, except for memory logs.

        >>> import wrackline as wl
        >>> job = wl.Job("example")
        >>> job.read(wl.from_records([{"v": 1, "ts": 5}]), time="ts").write("out")
        >>> run = job.run()
        >>> job.log.read("out").rows()
        [{'v': 1, 'ts': 5}]
        """
        if isinstance(self._log, Log):
            return self._log
        if self._is_memory:
            if self._own_log is None:
                self._own_log = Log(self._log)
            return self._own_log
        return Log(self._log, read_only=True)

    def _run_options(
        self,
        until: Any,
        close: bool,
        rows: int | None,
        seconds: float | None,
        fresh: bool,
        replay: Any,
        resume: Any,
        reset: Sequence[str],
    ) -> Any:
        if until not in (None, "now"):
            raise InvalidArgumentError(f'run: until is "now" or None, not {until!r}')
        if close and until != "now" and self._reads_topic:
            raise InvalidArgumentError('run: close=True closes windows at the end of until="now"; give both')
        if seconds is not None and not seconds > 0:
            raise InvalidArgumentError(f"run: seconds must be > 0, not {seconds!r}")
        if replay not in (None, "accept"):
            raise InvalidArgumentError(f'run: replay is "accept" or None, not {replay!r}')
        if resume not in (None, "append"):
            raise InvalidArgumentError(f'run: resume is "append" or None, not {resume!r}')
        return _core.Options(
            **self._options,
            fresh=fresh,
            replay_accept=replay == "accept",
            resume_append=resume == "append",
            reset_steps=[reset] if isinstance(reset, str) else list(reset),
            until_now=until == "now",
            close=close,
            max_rows=0 if rows is None else _positive("rows", rows),
        )

    def _finished_plan(self) -> Any:
        plan = self._complete_plan()
        plan.finish()
        return plan

    def _rows(self) -> Any:
        return [one.to_core() for one in self._inputs if one.rows is not None]

    @contextlib.contextmanager
    def _opened_log(self, *, read_only: bool = False) -> Iterator[Any]:
        if isinstance(self._log, Log) or self._is_memory:
            log = self.log
            if log._closed:
                raise InvalidArgumentError(
                    f"job {self._name!r}: its log was closed; open it again and build the job on that: "
                    f'wl.Job("{self._name}", log=wl.Log("{log.uri}"))'
                )
            yield forks.here(log._core)
            return
        opened = _core.Log(*address_of(self._log), read_only=read_only)
        try:
            yield opened
        finally:
            opened.close()

    def _collect(self, stream: SideStream, **options: Any) -> Result:
        return copies.collect(self, stream, **options)

    def _batches(self, stream: SideStream, **options: Any) -> Batches:
        return copies.batches(self, stream, **options)

    def _repr_html_(self) -> str:
        return views.of_job(self)

    def __repr__(self) -> str:
        if self._source is None:
            return f'Job("{self._name}", log={self._log!r}): reads nothing yet'
        lines = [f'Job("{self._name}", log={self._log!r})']
        width = max(len(step) for step, _, _ in self._lines)
        for step, text, of in self._lines:
            lines.append(f"  {step:<{width}}  {text}" + (f"  <- {of}" if of else ""))
        plan = self._complete_plan()
        for topic, refs in plan.sinks():
            sink = self._deliveries.get(topic, f"write {topic}")
            lines.append(f"  {sink}  <- {', '.join(map(self._label, refs))}")
        return "\n".join(lines)


def _dead_letter_limit(limit: str | int | None) -> dict[str, Any]:
    """As a share of the records, or as a number."""
    if limit is None:
        return {}
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return {"max_dead_count": limit}
    share = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", limit) if isinstance(limit, str) else None
    if share is None or not 0 < float(share[1]) < 100:
        raise InvalidJobError(f'max_dead_letters is a share of a minute\'s records, "5%", or a number, not {limit!r}')
    return {"max_dead_share": float(share[1]) / 100}


def _one_of(name: str, value: str, *known: str) -> str:
    if value not in known:
        raise InvalidJobError(f"{name} is {' or '.join(map(repr, known))}, not {value!r}")
    return value


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidJobError(f"{name} must be > 0, not {value!r}")
    return value

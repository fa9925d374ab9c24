"""A driver that steps a copy of a job.

The job itself is not touched: nothing is committed and nothing is written. A driver belongs to one thread. Functions of
batches are also called with each batch cut in two at random: a `SplitError` says which of them looks at other rows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from wrackline import _core
from wrackline.durations import Duration, to_millis
from wrackline.errors import InvalidArgumentError
from wrackline.job import Job
from wrackline.ledger import Ledger
from wrackline.log import encode_value
from wrackline.reading import Input
from wrackline.schema import suggestion
from wrackline.sources import BoundedRows
from wrackline.stats import Stats, to_watermark
from wrackline.transforms import check_splits

__all__ = ["Driver"]

Times = Literal["datetime", "ms"]


class _Kept:
    """The rows of one stream since the driver was made."""

    def __init__(self, tap: _core.Tap, sink: int, schema: list[tuple[str, str, bool]]) -> None:
        self._tap = tap
        self._sink = sink
        self._schema = schema
        self._tables: list[_core.Table] = []

    def look(self) -> int:
        """Takes what came out, and returns how many rows there are now."""
        table = self._tap.take(self._sink, self._schema)
        if len(table):
            self._tables.append(table)
        return sum(len(one) for one in self._tables)

    def rows(self, times: Times) -> list[dict[str, Any]]:
        self.look()
        return [row for table in self._tables for row in table.rows(times_as_datetime=times == "datetime")]


class _Fed:
    """An input, with the rows that it has been fed so far; None: it is a topic."""

    def __init__(self, of: Input) -> None:
        self.name, self.topic = of.name, of.topic
        self.columns = of.schema.to_core()
        self.paths = of.schema.paths()
        self.rows = None if of.topic else _core.Rows(self.columns)


class Driver:
    """Steps a copy of `job`. `clock` is what the clock shows at first, in milliseconds.

    The rows that a bounded job was built with are not fed by themselves: ``driver.feed(rows)``.

    >>> import wrackline as wl
    >>> job = wl.Job("test")
    >>> read = job.read(wl.from_records([], schema={"id": int, "ts": int}), time="ts", out_of_orderness=0)
    >>> counts = read.dedup("id", within="1s").key_by().window(wl.tumbling("10ms")).agg(n=wl.count())
    >>> driver = Driver(job, clock=100)
    >>> driver.feed([{"id": 1, "ts": 12}, {"id": 1, "ts": 13}, {"id": 2, "ts": 3}])
    >>> driver.watermark, driver.results()
    (13, [])
    >>> len(driver.duplicates), len(driver.late), len(driver.dead)
    (1, 1, 0)
    >>> driver.late_of("window") == driver.all_late(), driver.all_duplicates() == driver.duplicates
    (True, True)
    >>> driver.advance("5ms")
    >>> driver.now
    105
    >>> driver.commit()
    >>> driver.idle()
    >>> driver.step()
    'idle'
    >>> driver.end()
    >>> driver.done, driver.watermark, driver.last_watermark
    (True, inf, 13)
    >>> [row["n"] for row in driver.results()], driver.ledger["window"].late, driver.stats.rows_taken
    ([1], 1, 3)
    """

    def __init__(self, job: Job, *, clock: int = 0) -> None:
        plan = job._plan.copy()
        self._job = job
        tap = _core.Tap()
        self._cuts = random.Random(len(job.name))
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._steps: list[str] = []
        for node in range(plan.node_count()):
            name = plan.step_name(node)
            for port in plan.ports_of(node):
                schema = plan.schema_of((node, port))
                sink = plan.write([(node, port)], topic=f"driver-{node}-{port}")
                tap.watch(sink)
                self._kept[name, port] = _Kept(tap, sink, schema)
            if name != "dead_letters":
                self._steps.append(name)
        plan.finish()
        self._inputs = [_Fed(one) for one in job._inputs]
        rows = [one.rows for one in self._inputs if one.rows is not None]
        self._core = _core.Driver(plan, rows=rows, tap=tap, clock=clock)
        self._last_finite = self.watermark
        self._settle()

    def feed(
        self,
        rows: BoundedRows | Iterable[Mapping[str, Any] | bytes | str | None] | Mapping[str, Any] | None,
        *,
        key: str | None = None,
        timestamp: int | None = None,
        input: str | None = None,
    ) -> None:
        """Records, and steps until there is nothing left to do. None in place of a row is a tombstone.

        A job that reads a topic also takes lines as bytes or str, with their `key` and log `timestamp` (otherwise the
        clock). `input`: the name of the step that reads them, of a job that reads several; else the first.
        """
        into = self._input(input)
        if isinstance(rows, BoundedRows):
            self._append_table(into, rows._table)
        elif rows is None or isinstance(rows, (Mapping, bytes, str)):
            self._append(into, [rows], key, timestamp)
        else:
            self._append(into, list(rows), key, timestamp)
        self._settle()

    def step(self) -> str:
        """One bounded piece of work: "worked", "idle" (nothing to do now) or "done"."""
        with check_splits(self._cuts):
            done = self._core.step()
        self._note_watermark()
        return done

    def commit(self) -> None:
        """What a commit does for the answer: pending late panes come out."""
        self._core.commit()
        self._note_watermark()

    def advance(self, by: Duration) -> None:
        """Moves the clock on, and lets the job see it: idleness is decided by the clock."""
        self._core.advance(to_millis(by, "advance"))
        self._note_watermark()

    def idle(self, input: str | None = None) -> None:
        """Has the source find its input idle now, whatever the clock says. `input` as in `feed`."""
        self._core.idle(self._inputs.index(self._input(input)))
        self._note_watermark()

    @property
    def trace(self) -> list[dict[str, Any]]:
        """What became of each record fed so far, in order, and which watermark judged it.

        `partition`, `offset` (bounded rows: their number), `event_time`, `arrival` and `watermark` (before the record)
        in milliseconds or None, `set_by_offset` (the record that had moved the watermark there), `fate` (accepted,
        filtered, duplicate, late, dead_lettered, skipped) and the `step` that decided it.

            >>> import wrackline as wl
            >>> job = wl.Job("test")
            >>> rows = job.read(wl.from_records([], schema={"k": str, "ts": int}), time="ts", out_of_orderness=0)
            >>> counts = rows.key_by("k").window(wl.tumbling("10ms")).agg(n=wl.count())
            >>> driver = Driver(job)
            >>> driver.feed([{"k": "a", "ts": 12}, {"k": "a", "ts": 3}])
            >>> [(row["offset"], row["fate"], row["watermark"], row["set_by_offset"]) for row in driver.trace]
            [(0, 'accepted', None, None), (1, 'late', 12, 0)]
        """
        return self._core.trace()

    def end(self, input: str | None = None) -> None:
        """Ends a bounded input, or all of them: the watermark becomes +infinity, every window comes out."""
        for one in self._inputs if input is None else [self._input(input)]:
            if one.rows is None:
                raise InvalidArgumentError("end: a topic has no end; feed a record that moves the watermark")
            one.rows.close()
        self._settle()

    def results(self, step: str | None = None, *, times: Times = "datetime") -> list[dict[str, Any]]:
        """All rows that left a step so far; by default the last one."""
        name = self._steps[-1] if step is None else step
        return self._kept[self._known(name), "main"].rows(times)

    def late_of(self, step: str, *, times: Times = "datetime") -> list[dict[str, Any]]:
        """The late rows of one step."""
        return self._kept[self._known(step), "late"].rows(times) if (step, "late") in self._kept else []

    def all_late(self, *, times: Times = "datetime") -> list[dict[str, Any]]:
        """The late rows of all steps, with times as datetimes or milliseconds."""
        return [row for name in self._steps for row in self.late_of(name, times=times)]

    def all_duplicates(self, *, times: Times = "datetime") -> list[dict[str, Any]]:
        """The duplicates of all steps, with times as datetimes or milliseconds."""
        kept = [self._kept[name, "duplicates"] for name in self._steps if (name, "duplicates") in self._kept]
        return [row for one in kept for row in one.rows(times)]

    @property
    def late(self) -> list[dict[str, Any]]:
        """The late rows of all steps."""
        return self.all_late()

    @property
    def duplicates(self) -> list[dict[str, Any]]:
        """The duplicates of all steps."""
        return self.all_duplicates()

    @property
    def dead(self) -> list[dict[str, Any]]:
        """Dead letters: step, reason, message, the original value (rows: as JSON)."""
        return self._kept["dead_letters", "main"].rows("datetime")

    @property
    def ledger(self) -> Ledger:
        """What became of the records so far."""
        return Ledger(self._core.ledger())

    @property
    def stats(self) -> Stats:
        """How the job stands."""
        return Stats.of(self._core.stats())

    @property
    def watermark(self) -> float:
        """In milliseconds, or an infinity."""
        return to_watermark(self._core.watermark)

    @property
    def last_watermark(self) -> float:
        """The last one that was not +infinity."""
        return self._last_finite

    @property
    def now(self) -> int:
        """What the clock shows, in milliseconds."""
        return self._core.now

    @property
    def done(self) -> bool:
        """Whether a bounded input has ended, and all that follows has been done."""
        return self._core.done

    def _known(self, step: str) -> str:
        if step not in self._steps:
            raise InvalidArgumentError(f"there is no step {step!r}{suggestion(step, self._steps)}")
        return step

    def _input(self, name: str | None) -> _Fed:
        names = [one.name for one in self._inputs]
        if name is not None and name not in names:
            raise InvalidArgumentError(f"there is no input {name!r}{suggestion(name, names)}")
        return self._inputs[0 if name is None else names.index(name)]

    def _append(self, into: _Fed, rows: list[Any], key: str | None, timestamp: int | None) -> None:
        if into.rows is None:
            for number, row in enumerate(rows):
                value = encode_value(dict(row) if isinstance(row, Mapping) else row, number)
                raw = value.encode() if isinstance(value, str) else value
                self._core.append(into.topic, raw, key=None if key is None else key.encode(), timestamp=timestamp)
            return
        given = [dict(row) if isinstance(row, Mapping) else row for row in rows]
        while given:
            if given[0] is None:
                into.rows.append_tombstone()
                given = given[1:]
                continue
            count = next((i for i, row in enumerate(given) if row is None), len(given))
            self._append_table(into, _core.table_from_rows(given[:count], into.columns, into.paths))
            given = given[count:]

    def _append_table(self, into: _Fed, table: _core.Table) -> None:
        if into.rows is None:
            self._append(into, [json.loads(row) if isinstance(row, bytes) else row for row in table.rows()], None, None)
        else:
            into.rows.append(table.conform(into.columns))

    def _settle(self) -> None:
        with check_splits(self._cuts):
            self._core.settle()
        self._note_watermark()

    def _note_watermark(self) -> None:
        watermark = self.watermark
        if watermark != float("inf"):
            self._last_finite = watermark

    def __repr__(self) -> str:
        return f"Driver of {self._job.name}: watermark {self.watermark}, {self.stats.rows_taken} rows"

"""Throw-away copies of a job: what `collect` and `batches` run. They commit nothing and join no group."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from wrackline import _core
from wrackline.errors import InvalidArgumentError, InvalidJobError
from wrackline.explain import status_of, why_nothing
from wrackline.feed import MAX_PIECE, Batches, Copy
from wrackline.memory import memory_bound
from wrackline.results import Result
from wrackline.run import run_to_end
from wrackline.stream import DeadLetters, LateOfJob, SideStream, Stream

if TYPE_CHECKING:
    from wrackline.job import Job

__all__ = ["batches", "collect"]

_CLOSES = "; close=True closes what is open"
_logger = logging.getLogger("wrackline")


def collect(
    job: Job,
    stream: SideStream,
    *,
    until: Any,
    close: bool,
    rows: int | None,
    seconds: float | None,
    revisions: str,
    memory_limit: int | None,
) -> Result:
    """The rows that a stream has put out when the copy's run ends."""
    if until is None and rows is None and seconds is None and job._reads_topic:
        raise InvalidArgumentError('collect: a topic has no end: give until="now", rows= or seconds=')
    limit = memory_bound() if memory_limit is None else memory_limit
    if isinstance(limit, bool) or not isinstance(limit, int) or limit <= 0:
        raise InvalidArgumentError(f"collect: memory_limit is a number of bytes > 0, not {memory_limit!r}")
    copy = _copy(job, "collect", stream, until=until, close=close, rows=rows, seconds=seconds, max_bytes=limit)()
    try:
        if seconds is None:  # Ctrl-C raises: rows of a part of the input would look like those of all of it
            copy.run.loop()
        else:
            run_to_end(copy.run, job._name, None, seconds)
        dead, table = copy.run.stats()["dead_letters"], copy.take()
        status = status_of(copy.run, running=False) if not len(table) and isinstance(stream, Stream) else None
    finally:
        copy.close()
    if dead and not isinstance(stream, DeadLetters):
        _logger.warning(
            "job '%s': %s %s; job.dead_letters.collect() has what and why",
            job._name,
            f"{dead:,}",
            "record became a dead letter" if dead == 1 else "records became dead letters",
        )
    if status is not None:
        closes = _CLOSES if until == "now" and not close else ""
        for why in why_nothing(status):
            _logger.warning("job '%s': no rows: %s%s", job._name, why, closes)
    if revisions == "last" and stream._revision_keys is not None:
        table = table.last_of(stream._revision_keys, unless="pane", withdrawn="merged")
    return Result(table)


def batches(job: Job, stream: SideStream, *, until: Any, close: bool, rows: int | None, seconds: Any) -> Batches:
    """The same in pieces, as they come: each loop over them is a run of its own."""
    start = _copy(job, "batches", stream, until=until, close=close, rows=rows, seconds=seconds)
    return Batches(start, seconds, stream._label)


def _copy(
    job: Job,
    call: str,
    stream: SideStream,
    *,
    until: Any,
    close: bool,
    rows: int | None,
    seconds: Any,
    max_bytes: int = 0,
) -> Callable[[], Copy]:
    """Starts throw-away copies of the job up to `stream`. What is wrong is said here."""
    plan = job._plan.copy()
    refs = job._late_refs(plan, stream) if isinstance(stream, LateOfJob) else list(stream._refs)
    taken = {*(one.topic for one in job._inputs), *(topic for topic, _ in plan.sinks())}
    topic = next(name for name in (f"collect-{i}" for i in range(len(taken) + 1)) if name not in taken)
    if not refs:
        raise InvalidJobError(f"{call}: {stream._label} has no rows: no step of this job makes any")
    sink = plan.write(refs, topic=topic)
    schema = plan.schema_of(refs[0])
    plan.finish()
    plan.keep_sink(sink)
    options = job._run_options(until, close, rows, seconds, False, None, None, ())

    def start() -> Copy:
        tap = _core.Tap(max_rows=MAX_PIECE if call == "batches" else 0, max_bytes=max_bytes)
        tap.watch(sink)
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(_log_of(job))
            run = _core.Run(plan, options=options, log=log, rows=job._rows(), tap=tap)
            stack.callback(run.close)
            kept = stack.pop_all()
        return Copy(run, lambda: tap.take(sink, schema), kept.close)

    return start


@contextlib.contextmanager
def _log_of(job: Job) -> Iterator[Any]:
    if not job._reads_topic:
        yield None
    else:
        with job._opened_log(read_only=True) as log:
            yield log

"""A job that cannot work says so when it is built: step, column or setting, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

import wrackline as wl


class Reading(wl.Schema):
    event_id: str
    truck_id: str
    speed: float
    ts: datetime


def readings(**options: Any) -> wl.Stream:
    return wl.Job("fleet").read("readings", Reading, time="ts", **{"out_of_orderness": "30s", **options})


def bounded(**options: Any) -> wl.Stream:
    return wl.Job("fleet").read(wl.from_records([], Reading), time="ts", **options)


def window(**options: Any) -> wl.WindowedStream:
    return readings().key_by("truck_id").window(wl.tumbling("5m"), **options)


def write_twice() -> None:
    stream = readings()
    stream.write("x")
    stream.write("x")


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    # columns
    (lambda: readings().filter("sped", ">", 1), "filter: there is no column 'sped'; did you mean 'speed'?"),
    (lambda: readings().filter("x_y_z", ">", 1, name="fast"), "fast: there is no column 'x_y_z'; there are: event_id"),
    (lambda: readings().dedup("eventid", within="1h"), "dedup: there is no column 'eventid'; did you mean 'event_id'?"),
    (lambda: readings().key_by("truck"), "key_by: there is no column 'truck'; did you mean 'truck_id'?"),
    (lambda: window(name="five").agg(m=wl.mean("sped")), "five: m=mean(\"sped\"): there is no column 'sped'; did you"),
    (
        lambda: wl.Job("j").read("t", Reading, time="t", out_of_orderness=0),
        "time=\"t\" is no column; did you mean 'ts'?",
    ),
    (lambda: readings(partitioned_by="truckid"), "did you mean 'truck_id'?"),
    (lambda: readings(out_of_orderness=None, watermark=wl.punctuated("wm")), "punctuated"),
    # comparisons
    (lambda: readings().filter("speed", "=>", 1), ">="),
    (lambda: readings().filter("speed", ">", "fast"), "speed"),
    (lambda: readings().filter("truck_id", ">", 3), "truck_id"),
    (lambda: readings().filter("speed"), 'give a comparison and a value: .filter("speed", ">=", value)'),
    (lambda: readings().filter("speed", ">", None), "null never passes"),
    (lambda: readings().filter("ts", ">", "yesterday"), "no ISO 8601 time"),
    # durations
    (lambda: wl.tumbling("5x"), "tumbling: size"),
    (lambda: wl.tumbling("1w"), "tumbling: size"),
    (lambda: wl.tumbling("1mo"), "tumbling: size"),
    (lambda: wl.tumbling(0), "tumbling: size must be > 0"),
    (lambda: wl.tumbling(1.5), "tumbling: size"),  # type: ignore[arg-type]
    (lambda: wl.tumbling(timedelta(microseconds=1500)), "finer than a millisecond"),
    (lambda: wl.tumbling(10**15 + 1), "longer than 10^15 ms"),
    (lambda: wl.tumbling("1d", tz="Europe/Berlin"), "wl.calendar"),  # type: ignore[arg-type]
    (lambda: wl.tumbling("5m", offset="5m"), 'offset "5m" must be shorter than the size "5m"'),
    (lambda: wl.hopping("5m", "1m", offset="-1m"), 'offset "-1m" must be shorter than the slide "1m"'),
    (lambda: wl.hopping("5m", "6m"), 'slide "6m" is longer than size "5m"'),
    (lambda: readings().key_by("truck_id").window(wl.hopping("7d", "1ms")), "slices"),
    (lambda: wl.session("-1s"), "session: gap must be > 0"),
    (lambda: wl.rolling(0), "rolling: size must be > 0"),
    (lambda: wl.count_window(0), "count_window: n must be"),
    (lambda: wl.calendar("dya"), "did you mean 'day'?"),
    (lambda: wl.calendar("day", tz="Europe/Berlim"), "did you mean 'Europe/Berlin'?"),
    (lambda: wl.calendar("week", week_starts="mon"), "week_starts"),
    (lambda: wl.calendar("hour", starts_at="00:30"), "starts_at"),
    (lambda: window(allowed_lateness="-1s"), "allowed_lateness must not be negative"),
    (lambda: window(allowed_lateness=float("inf")), "must be finite"),
    (lambda: window(early=0), "early must be > 0"),
    (lambda: window(early_rows=0), "early_rows must be"),
    (lambda: window(emit="finally"), "emit is one of"),
    (lambda: window(late="all"), "late is one of"),
    (lambda: window(null_key="drop"), "null_key is one of"),
    (lambda: readings().dedup("event_id", within=0), "dedup: within must be > 0"),
    (lambda: readings().dedup(within="1h"), "dedup: name the columns of the id"),
    # the input
    (lambda: readings(out_of_orderness=None), "topic 'readings' needs out_of_orderness=. out_of_orderness is how far"),
    (lambda: readings(out_of_orderness="all"), "for inputs that end"),
    (lambda: readings(out_of_orderness="-1s"), "out_of_orderness must not be negative"),
    (lambda: readings(watermark=wl.monotonic()), "give one of them"),
    (lambda: readings(unit="sec"), "unit"),
    (lambda: readings(idle_after=0), "idle_after"),
    (lambda: readings(idle_advance="stay"), "idle_advance"),
    (lambda: readings(not_before="soon"), "no ISO 8601 time"),
    (lambda: readings(unit="auto", not_before=0), "auto"),
    (lambda: readings(max_record_bytes=0), "max_record_bytes must be > 0"),
    (lambda: wl.Job("j").read("t", time="ts", out_of_orderness=0), 'so it needs a schema: job.read("t", Schema'),
    (lambda: wl.Job("j").read(["t"], time="ts"), "give a topic, wl.from_records"),  # type: ignore[arg-type]
    # the shape
    (lambda: readings().window(wl.tumbling("5m")), 'a window needs a key: .key_by("column").window'),
    (lambda: readings().key_by("truck_id").agg(n=wl.count()), "needs a window"),
    (lambda: window().agg(n="count"), "wl.mean"),  # type: ignore[arg-type]
    (lambda: window().agg(truck_id=wl.count()), "truck_id"),
    (lambda: window().agg(m=wl.mean("truck_id")), "truck_id"),
    (lambda: window(allowed_lateness="1m").agg(n=wl.count()).key_by().window(wl.tumbling("1h")), "more than once"),
    (lambda: window(allowed_lateness="1m").agg(n=wl.count()).dedup("n", within="1h"), "more than once"),
    (lambda: readings().late, "late rows come from windows and dedups"),
    (lambda: readings().duplicates, "duplicates come from .dedup"),
    (lambda: readings().filter("speed", ">", 1, name="a").filter("speed", "<", 9, name="a"), "a step named 'a'"),
    (lambda: readings().filter("speed", ">", 1, name="a b"), "letters, digits"),
    # outputs
    (lambda: readings().write("readings"), "would feed the job its own output"),
    (lambda: readings().write("a b"), "'a b' is not a topic name"),
    (write_twice, "already writes to 'x'"),
    (lambda: readings().write("out", time_format="rfc"), "time_format is one of"),  # type: ignore[arg-type]
    (lambda: wl.Job("a/b").read("t", Reading, time="ts", out_of_orderness=0), "job name 'a/b'"),
    (lambda: wl.Job("j", commit_interval=0), "commit_interval must be > 0"),
    (lambda: wl.Job("j", commit_rows=0), "commit_rows must be > 0"),
]


@pytest.mark.parametrize(("mistake", "said"), MISTAKES, ids=[said[:40] for _, said in MISTAKES])
def test_a_mistake_is_an_error_of_the_call_that_makes_it(mistake: Callable[[], Any], said: str) -> None:
    with pytest.raises(wl.InvalidJobError) as caught:
        mistake()
    assert said in str(caught.value)


def test_job_errors_are_value_errors_too() -> None:
    with pytest.raises(ValueError, match="gap"):
        wl.session(0)


LATER: list[Callable[[], Any]] = [
    lambda: readings().key_by("truck_id").window(wl.session("5m")),
    lambda: readings().key_by("truck_id").window(wl.calendar("day", tz="Europe/Berlin", starts_at="06:00")),
    lambda: readings().key_by("truck_id").window(wl.rolling("5m")),
    lambda: readings().key_by("truck_id").window(wl.count_window(10)),
    lambda: bounded().key_by("truck_id").window(wl.global_window()),
    lambda: window(emit="delta"),
    lambda: window(early="10s"),
    lambda: wl.quantile("speed", 0.9),
]


@pytest.mark.parametrize("call", LATER)
def test_what_comes_later_says_so(call: Callable[[], Any]) -> None:
    with pytest.raises(wl.NotYetError, match="later version") as caught:
        call()
    assert isinstance(caught.value, NotImplementedError)
    assert not isinstance(caught.value, wl.InvalidJobError)


MISTAKES_IN_WHAT_COMES_LATER: list[Callable[[], Any]] = [
    lambda: readings().key_by("truck_id").window(wl.global_window()),  # over a topic, without early_rows
    lambda: bounded().key_by("truck_id").window(wl.global_window(), allowed_lateness="1s"),
    lambda: readings().key_by("truck_id").window(wl.rolling("5m"), allowed_lateness="1s"),
    lambda: readings().key_by("truck_id").window(wl.count_window(5), emit="delta"),
    lambda: readings().key_by("truck_id").window(wl.hopping("5m", "1m"), early_rows=5),
    lambda: window(early="1s", emit="final_only"),
]


@pytest.mark.parametrize("call", MISTAKES_IN_WHAT_COMES_LATER)
def test_mistakes_in_what_comes_later_are_mistakes(call: Callable[[], Any]) -> None:
    with pytest.raises(wl.InvalidJobError):
        call()


def test_a_failed_step_leaves_the_job_as_it_was() -> None:
    job = wl.Job("j")
    stream = job.read(wl.from_records([{"k": "a", "v": 1, "ts": 1}]), time="ts")
    before = repr(job)
    with pytest.raises(wl.InvalidJobError):
        stream.key_by("k").window(wl.tumbling(10)).agg(n=wl.count(), m=wl.mean("w"))
    assert repr(job) == before
    assert len(stream.key_by("k").window(wl.tumbling(10)).agg(n=wl.count()).collect()) == 1


def test_several_partitions_need_to_know_by_what() -> None:
    with wl.Log("memory:") as lg:
        lg.create("readings", partitions=3)
        job = wl.Job("fleet", log=lg)
        source = job.read("readings", Reading, time="ts", out_of_orderness="30s")
        source.key_by("truck_id").window(wl.tumbling("5m")).agg(n=wl.count()).write("counts")
        with pytest.raises(wl.InvalidJobError, match='partitioned_by="truck_id"'):
            job.run(until="now")


def test_an_unknown_topic_names_the_nearest() -> None:
    with wl.Log("memory:") as lg:
        lg.create("readings")
        job = wl.Job("fleet", log=lg)
        job.read("reading", Reading, time="ts", out_of_orderness="30s").write("out")
        with pytest.raises(wl.NotFoundError, match="readings"):
            job.run(until="now")


def test_a_first_thousand_of_refused_records_names_setting_and_values() -> None:
    with wl.Log("memory:") as lg:
        lg.create("old")
        lg.append("old", [{"event_id": "e", "truck_id": "t", "speed": 1.0, "ts": 1_000 + i} for i in range(1_500)])
        job = wl.Job("fleet", log=lg)
        job.read("old", Reading, time="ts", out_of_orderness="30s").write("out")
        with pytest.raises(wl.WracklineError, match="not_before") as caught:
            job.run(until="now")
        assert "1000" in str(caught.value)
        again = wl.Job("fleet", log=lg)
        source = again.read("old", Reading, time="ts", out_of_orderness="30s", not_before="1970-01-01")
        source.write("out")
        assert again.run(until="now").ledger["read"].out == 1_500

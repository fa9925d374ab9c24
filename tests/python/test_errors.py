"""A job that cannot work says so when it is built, by an error of the right class; messages.txt has the words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
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


def test_job_errors_are_value_errors_too() -> None:
    with pytest.raises(ValueError, match="gap"):
        wl.session(0)


MISTAKES: list[Callable[[], Any]] = [
    lambda: readings().key_by("truck_id").window(wl.global_window()),  # over a topic, without early_rows
    lambda: bounded().key_by("truck_id").window(wl.global_window(), allowed_lateness="1s"),
    lambda: readings().key_by("truck_id").window(wl.rolling("5m"), allowed_lateness="1s"),
    lambda: readings().key_by("truck_id").window(wl.count_window(5), emit="delta"),
    lambda: readings().key_by("truck_id").window(wl.hopping("5m", "1m"), early_rows=5),
    lambda: window(early="1s", emit="final_only"),
]


# rule: 4.11 4.12 5.13 5.18
@pytest.mark.parametrize("call", MISTAKES)
def test_mistakes_of_windows(call: Callable[[], Any]) -> None:
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


def test_an_unknown_topic_names_the_nearest() -> None:
    with wl.Log("memory:") as lg:
        lg.create("readings")
        job = wl.Job("fleet", log=lg)
        job.read("reading", Reading, time="ts", out_of_orderness="30s").write("out")
        with pytest.raises(wl.NotFoundError, match="readings"):
            job.run(until="now")


# rule: 1.9 1.10
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

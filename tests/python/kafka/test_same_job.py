"""A job of the embedded log runs on Kafka when one string is changed, and answers the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import Answer, assert_same, read_answer
from tests.python.crash.job import build
from tests.python.kafka.bids import Bid, append, make_bids
from tests.python.kafka.conftest import EVENTS, SETTINGS
from tests.python.kafka.harness import (
    KafkaPlace,
    answer_on_kafka,
    assert_nothing_open,
    own_name,
    plain,
    reading,
    wait_for,
)
from tests.python.kafka.oracle import assert_expected, expected

Check = Callable[[KafkaPlace, dict[str, Any]], None]


def test_the_answer_is_that_of_the_local_log_and_of_polars(place: KafkaPlace, check: Check) -> None:
    ended = place.finish()
    check(place, ended.said)
    wanted = expected(EVENTS)
    with reading(place.servers) as log:
        assert_expected(log, place.prefix, wanted)
    for number, counts in wanted.counts.items():
        read = ended.said["ledger"][str(number)]["read"]
        assert {name: read[name] for name in counts} == counts
    assert place.committed() == {number: len(values) for number, values in enumerate(EVENTS)}


def test_all_of_it_can_be_read_when_the_run_has_ended(broker: str, tmp_path: Path) -> None:
    """A broker answers a commit before its readers see it: a run waits for that."""
    bids = make_bids(200, bidders=200)
    topic = own_name() + "bids"
    with wl.Log(f"kafka://{broker}") as log:
        log.create(topic, partitions=4)
        append(log, topic, bids)
    for number in range(12):
        name = own_name() + "job"
        job = wl.Job(name, log=f"kafka://{broker}", state_dir=str(tmp_path / str(number)))
        job.read(topic, Bid, time="dateTime", out_of_orderness="1s").write(name + "-out")
        with reading(broker) as log:
            job.run(until="now")
            found = sum(len(log.read(name + "-out", partition=partition)) for partition in range(4))
        assert found == len(bids), number


def test_one_string_is_changed(broker: str, events_topic: str, tmp_path: Path, wanted: Answer) -> None:
    """The same function builds both jobs; here in this process, without a harness between."""
    for uri in (f"local:{tmp_path / 'log'}", f"kafka://{broker}"):
        prefix = own_name()
        if uri.startswith("local:"):
            with wl.Log(uri) as log:
                log.create(events_topic, partitions=len(EVENTS))
                for number, values in enumerate(EVENTS):
                    log.append(events_topic, values, partition=number)
        names = {"log": uri, "prefix": prefix, "name": prefix + "crash", "topic": events_topic}
        job = build({**SETTINGS, **names, "state_dir": str(tmp_path / "state" / uri[:5])})
        result = job.run(until="now", close=True)
        assert result.ledger.balances
        assert dict(job.ledger()) == dict(result.ledger)
        report = {
            "ledger": {
                str(number): {step: counts.as_dict() for step, counts in steps.items()}
                for number, steps in result.ledger.partitions.items()
            }
        }
        with reading(broker) if uri.startswith("kafka:") else job.log as log:
            assert_same(read_answer(log, report, prefix, plain), wanted)


def test_a_run_goes_on_where_the_one_before_stood(place: KafkaPlace, check: Check) -> None:
    first = place.finish(run={"rows": 1_000})
    assert 1_000 <= first.said["stats"]["rows_taken"] < 1_500
    second = place.finish()
    assert second.said["stats"]["rows_replayed"] == 0
    taken = first.said["stats"]["rows_taken"] + second.said["stats"]["rows_taken"]
    assert taken == sum(map(len, EVENTS))
    check(place, second.said)
    third = place.finish()
    assert third.said["stats"]["rows_taken"] == 0
    check(place, third.said)


def test_records_that_come_while_it_runs(broker: str, tmp_path: Path, wanted: Answer) -> None:
    topic, place = own_name() + "events", KafkaPlace(tmp_path, dict(SETTINGS), servers=broker)
    place.settings["commit_interval"] = "20ms"
    place.input = topic
    with wl.Log(place.uri) as log:
        log.create(topic, partitions=len(EVENTS))
        job = build(json.loads(place.text()))
        with job.start() as running:
            for first in range(0, max(map(len, EVENTS)), 100):
                for number, values in enumerate(EVENTS):
                    part = values[first : first + 100]
                    if part:
                        log.append(topic, part, partition=number)
            everything = {number: len(values) for number, values in enumerate(EVENTS)}
            wait_for("all records are committed", lambda: place.committed() == everything)
        assert running.stats.phase == "done"
    ended = place.finish()
    assert_same(answer_on_kafka(place, ended.said), wanted)
    assert_nothing_open(broker, place.topics())


def test_at_least_once_is_one_word(place: KafkaPlace, wanted: Answer) -> None:
    ended = place.finish(guarantee="at_least_once")
    assert_same(answer_on_kafka(place, ended.said), wanted)  # nothing failed, so nothing came twice


def test_collect_leaves_nothing_on_the_broker(place: KafkaPlace) -> None:
    job = build(json.loads(place.text()))
    rows = job.dead_letters.collect(until="now", close=True)
    assert len(rows) == sum(expected(EVENTS).dead.values())
    late = job.late.collect(until="now", close=True)
    assert len(late) == sum(expected(EVENTS).late.values())
    with reading(place.servers) as log:
        assert not [topic for topic in log.topics() if topic.name.startswith(place.prefix)]
    assert place.committed() == {}


def test_two_jobs_read_one_topic(place: KafkaPlace, tmp_path: Path, check: Check) -> None:
    """Each has its own group, and they may share a state directory."""
    other = KafkaPlace(place.root, dict(SETTINGS), servers=place.servers, input=place.input)
    with place.running() as one, other.running() as two:
        ended = [process.communicate(timeout=120) for process in (one, two)]
    for which, process, (out, err) in zip((place, other), (one, two), ended, strict=True):
        assert process.returncode == 0, err
        check(which, json.loads(out.strip().splitlines()[-1]))


def test_fresh_starts_over(place: KafkaPlace, wanted: Answer) -> None:
    place.finish(run={"rows": 1_000})
    ended = place.finish(run={"until": "now", "close": True, "fresh": True})
    assert ended.said["stats"]["rows_taken"] == sum(map(len, EVENTS))
    found = answer_on_kafka(place, ended.said)
    assert found.last == wanted.last
    assert found.ledger == wanted.ledger


def test_a_changed_job_starts_after_an_orderly_end(place: KafkaPlace) -> None:
    place.finish(run={"rows": 700})
    ended = place.finish(allowed_lateness="4s")
    assert ended.said["stats"]["rows_replayed"] == 0


@pytest.mark.parametrize("word", ["job", "log"])
def test_what_is_shown_of_it(place: KafkaPlace, word: str) -> None:
    job = build(json.loads(place.text()))
    if word == "job":
        assert place.servers in repr(job)
    else:
        with wl.Log(place.uri, read_only=True) as log:
            assert place.servers in repr(log)
            assert place.input in repr(log)

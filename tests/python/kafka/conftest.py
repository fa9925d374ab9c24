"""Inputs on the shared broker, written once, and the answers of uninterrupted runs over them on a local log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.crash.harness import Answer, Place, assert_balances, make_events, read_answer, write_events
from tests.python.kafka.harness import PARTITIONS, KafkaPlace, assert_right, own_name, plain

SETTINGS: dict[str, Any] = {
    "commit_rows": 200,
    "commit_interval": "5s",
    "checkpoint_interval": "1ms",
    "out_of_orderness": "2s",
}
EVENTS = make_events(3_000, seed=7, partitions=PARTITIONS)


@pytest.fixture(scope="session")
def events_topic(broker: str) -> str:
    """An input that several tests read."""
    topic = own_name() + "events"
    write_events(f"kafka://{broker}", EVENTS, topic)
    return topic


def _local_answer(root: Path, **changes: object) -> Answer:
    place = Place(root, dict(SETTINGS))
    write_events(place.uri, EVENTS)
    ended = place.finish(**changes)
    assert_balances(ended.said)
    with wl.Log(place.uri, read_only=True) as log:
        return read_answer(log, ended.said, plain=plain)


@pytest.fixture(scope="session")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Of an uninterrupted run on a local log."""
    return _local_answer(tmp_path_factory.mktemp("wanted") / "place")


@pytest.fixture(scope="session")
def every_pane(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Of one that puts out each late pane by itself."""
    return _local_answer(tmp_path_factory.mktemp("each") / "place", each=True)


@pytest.fixture
def place(broker: str, events_topic: str, tmp_path: Path) -> KafkaPlace:
    return KafkaPlace(tmp_path / "place", dict(SETTINGS), servers=broker, input=events_topic)


Check = Callable[[KafkaPlace, dict[str, Any]], None]


@pytest.fixture
def check(wanted: Answer, every_pane: Answer) -> Check:
    """That a place holds the answer of an uninterrupted run, and no transaction is left open."""
    return lambda place, report: assert_right(place, report, wanted, every_pane)

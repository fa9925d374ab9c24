"""wl.Log on Kafka: what is appended is there."""

from __future__ import annotations

import pytest

import wrackline as wl
from tests.python.kafka.harness import own_name, reading


@pytest.mark.slow
def test_what_is_appended_to_a_new_topic_is_there(broker: str) -> None:
    """A topic is known before its leaders serve it. The first of several requests on their way may be refused then, and
    the second be taken: librdkafka holds the first for delivered."""
    values: list[bytes | None] = [b"%d" % number for number in range(80)]
    for _ in range(60):
        topic = own_name() + "new"
        with wl.Log(f"kafka://{broker}") as log:
            log.create(topic, partitions=4)
            for number in range(4):
                log.append(topic, values, partition=number)
        with reading(broker) as log:
            for number in range(4):
                found = [record.value for record in log.read(topic, partition=number)]
                assert found == values, f"{len(values) - len(found)} of {len(values)} records are lost"

"""Records that cannot be used, on Kafka: one dead letter each, whatever its size, and its neighbours do not notice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.kafka import bids
from tests.python.kafka.harness import BidPlace, Feed, reading
from tests.python.kafka.wire import Wire

GOOD = bids.make_bids(400)
BAD: dict[str, bytes] = {
    "cut": b'{"auction": 1, "bidder": ',
    "no JSON": b"\xff\xfe\x00",
    "empty": b"",
    "wrong type": json.dumps({**GOOD[0], "price": "many"}).encode(),
    "missing": json.dumps({name: value for name, value in GOOD[0].items() if name != "bidder"}).encode(),
    "null": json.dumps({**GOOD[0], "bidder": None}).encode(),
    "an array": b"[1, 2, 3]",
    "seconds": json.dumps({**GOOD[0], "dateTime": 17}).encode(),
    "the year 2603": json.dumps({**GOOD[0], "dateTime": 20_000_000_000_000}).encode(),
}
LIMIT = 10_000


@pytest.fixture
def bidding(broker: str, tmp_path: Path) -> BidPlace:
    return BidPlace(tmp_path / "place", {"commit_interval": "50ms"}, servers=broker)


def headers(record: wl.Record) -> dict[str, str]:
    return {name: text.decode() for name, text in record.headers}


def test_every_kind_between_good_ones(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    feed.more(400)
    with wl.Log(bidding.uri) as log:
        log.append(bidding.input, [*BAD.values(), None, None], partition=2)
    feed.more(400)
    ended = bidding.finish()
    read = ended.said["ledger"]["2"]["read"]
    assert (read["dead_lettered"], read["skipped"]) == (len(BAD), 2)
    with reading(bidding.servers) as log:
        bids.assert_windows(log, bidding.windows, feed.sent)
        assert len(log.read(bidding.prefix + "late")) == 0
        dead = list(log.read(bidding.prefix + "dead"))
    assert [record.value for record in dead] == list(BAD.values())
    assert {record.partition for record in dead} == {2}
    first = len(bids.by_partition(feed.sent[:400])[2])
    for offset, record in enumerate(dead, first):
        said = headers(record)
        assert said["__streams.errors.topic"] == bidding.input
        assert said["__streams.errors.partition"] == "2"
        assert said["__streams.errors.offset"] == str(offset)
        assert said["wl.job"] == bidding.name
        assert said["wl.reason"] in ("decode", "schema", "timestamp")


def test_keys_of_dead_letters_are_kept(bidding: BidPlace) -> None:
    Feed(bidding)
    with wl.Log(bidding.uri) as log:
        log._core.append(bidding.input, 1, [b"{", b"}"], keys=[b"k\x00ey", None])
        bids.append(log, bidding.input, GOOD)
    bidding.finish()
    with reading(bidding.servers) as log:
        assert [record.key for record in log.read(bidding.prefix + "dead")] == [b"k\x00ey", None]


@pytest.mark.parametrize("size", ["5 times our limit", "2 MB"])
def test_a_dead_letter_that_is_too_large(bidding: BidPlace, size: str) -> None:
    """Input topics may take larger records than others do: the value is cut, and says so."""
    feed = Feed(bidding)
    limit, length = (LIMIT, 5 * LIMIT) if size != "2 MB" else (1_000_000, 2_000_000)
    bidding.input += "-large"
    huge = b'{"auction": ' + b"x" * length
    with Wire(bidding.servers) as wire:
        wire.create_topic(bidding.input, 4, {"max.message.bytes": "4000000"})
        if size != "2 MB":
            wire.create_topic(bidding.prefix + "dead", 4, {"max.message.bytes": str(limit)})
    feed.more(400)
    with wl.Log(wl.Kafka(bidding.servers, message_max_bytes=4_000_000, compression_type="none")) as log:
        log.append(bidding.input, [huge], partition=3)
    feed.more(400)
    kafka: dict[str, Any] = {"compression_type": "none"}
    if size != "2 MB":
        kafka["message_max_bytes"] = limit
    bidding.finish(kafka=kafka, log=bidding.servers)
    with reading(bidding.servers) as log:
        bids.assert_windows(log, bidding.windows, feed.sent)
        (dead,) = log.read(bidding.prefix + "dead")
    assert dead.value is not None
    assert 0 < len(dead.value) < limit
    assert huge.startswith(dead.value)
    said = headers(dead)
    assert said["wl.sha256"] == hashlib.sha256(huge).hexdigest()
    assert said["wl.truncated"] == str(len(huge))


def test_a_dead_letter_topic_that_takes_little(bidding: BidPlace) -> None:
    """Less than the client would send: the error names the topic and its setting."""
    Feed(bidding)
    with Wire(bidding.servers) as wire:
        wire.create_topic(bidding.prefix + "dead", 4, {"max.message.bytes": str(LIMIT)})
    with wl.Log(bidding.uri) as log:
        bids.append(log, bidding.input, GOOD)
        log.append(bidding.input, [b"{" + b"x" * (5 * LIMIT)], partition=3)
    ended = bidding.run(kafka={"compression_type": "none"}, log=bidding.servers)
    assert ended.code == 3, ended.err
    last = ended.err.splitlines()[-1]
    assert bidding.prefix + "dead" in last
    assert "max.message.bytes" in last


def test_a_row_that_is_too_large_for_its_topic_ends_the_run(bidding: BidPlace) -> None:
    bidding.settings["stateless"] = True
    Feed(bidding)
    with Wire(bidding.servers) as wire:
        wire.create_topic(bidding.windows, 4, {"max.message.bytes": str(LIMIT)})
    with wl.Log(bidding.uri) as log:
        log.append(bidding.input, [{**GOOD[0], "price": 1, "channel": "x" * (3 * LIMIT)}], partition=0)
    ended = bidding.run(kafka={"compression_type": "none"}, log=bidding.servers)
    assert ended.code == 3, ended.err
    last = ended.err.splitlines()[-1]
    assert bidding.windows in last, last
    assert "max.message.bytes" in last, last


def test_an_input_of_which_nothing_can_be_used(bidding: BidPlace) -> None:
    """Nothing of it is committed, so that the corrected job reads it again."""
    Feed(bidding)
    with wl.Log(bidding.uri) as log:
        wrong: list[Any] = [json.dumps({**bid, "dateTime": bid["dateTime"] // 1_000}).encode() for bid in GOOD] * 3
        log.append(bidding.input, wrong, partition=0)
    ended = bidding.run()
    assert ended.code == 3, ended.err
    assert "not_before" in ended.err.splitlines()[-1]
    assert bidding.committed().get(0, 0) == 0


def test_an_output_with_too_few_partitions(bidding: BidPlace) -> None:
    Feed(bidding)
    with wl.Log(bidding.uri) as log:
        log.create(bidding.prefix + "late", partitions=2)
    ended = bidding.run()
    assert ended.code == 3, ended.err
    last = ended.err.splitlines()[-1]
    assert bidding.prefix + "late" in last
    assert "2 partitions" in last


def test_a_journal_that_would_lose_rows_is_refused(bidding: BidPlace) -> None:
    Feed(bidding)
    with Wire(bidding.servers) as wire:
        wire.create_topic(f"{bidding.name}.journal-0", 4, {"cleanup.policy": "compact"})
    ended = bidding.run()
    assert ended.code == 3, ended.err
    last = ended.err.splitlines()[-1]
    assert f"{bidding.name}.journal-0" in last
    assert "cleanup.policy" in last

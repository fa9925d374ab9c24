"""What others get wrong on Kafka, without any fault of the broker: every window must be there, once and right."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.kafka import bids
from tests.python.kafka.harness import BidPlace, Feed, own_name, reading, stop, wait_for, watched

pytestmark = pytest.mark.slow

FOREVER: dict[str, Any] = {"run": {}, "progress": True}
BACKLOG = 40_000
BIDDERS = 4_000  # about two bids of each in a window


@pytest.fixture
def bidding(broker: str, tmp_path: Path) -> BidPlace:
    return BidPlace(tmp_path / "place", {"commit_interval": "50ms", "checkpoint_interval": "1s"}, servers=broker)


def backlog(place: BidPlace) -> Feed:
    return Feed(place, bidders=BIDDERS, every_ms=1)


def test_a_backlog_of_many_keys(bidding: BidPlace) -> None:
    feed = backlog(bidding)
    feed.more(BACKLOG)
    ended = bidding.finish()
    assert ended.said["stats"]["rows_taken"] == BACKLOG
    bidding.assert_exact(feed.sent)


def test_one_partition_is_read_far_ahead(bidding: BidPlace) -> None:
    """Each partition is judged by its own watermark: the largest event time of all makes nobody late."""
    feed = backlog(bidding)
    feed.sent = bids.make_bids(BACKLOG, bidders=BIDDERS, every_ms=1)
    parts = bids.by_partition(feed.sent)
    with wl.Log(bidding.uri) as log, watched(bidding), bidding.running(**FOREVER) as process:
        log.append(bidding.input, parts[0], partition=0)
        wait_for("all of one partition", lambda: bidding.committed().get(0) == len(parts[0]))
        for number in (1, 2, 3):
            log.append(bidding.input, parts[number], partition=number)
        feed.wait(process)
        stop(process)
    feed.finish()


def test_a_partition_without_records_holds_nobody_up(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    one = [bid for bid in bids.make_bids(6_000) if bid["bidder"] % 4 == 1]
    with bidding.running(**FOREVER) as process:
        with wl.Log(bidding.uri) as log:
            bids.append(log, bidding.input, one)
        feed.sent = one
        feed.wait(process)
        # All windows but the last two are complete, and out.
        due = {(row["bidder"], row["window_start"]) for row in bids.expected(one).to_dicts()}
        last = max(bid["dateTime"] for bid in one) - 1_000
        due = {key for key in due if key[1] + bids.WINDOW_MS <= last}

        def out() -> bool:
            with reading(bidding.servers) as log:
                return {(row["bidder"], row["window_start"]) for row in log.read(bidding.windows).rows()} >= due

        wait_for("the windows of the others", out)
        stop(process)


def test_an_input_that_falls_silent_is_finished(bidding: BidPlace) -> None:
    """Its windows come out by themselves, and no crash behind that makes them come again."""
    bidding.settings["idle_after"] = "1s"
    feed = Feed(bidding)
    wanted: set[tuple[int, int]] = set()

    def complete() -> bool:
        with reading(bidding.servers) as log:
            return {(row["bidder"], row["window_start"]) for row in log.read(bidding.windows).rows()} == wanted

    with watched(bidding):
        with bidding.running(**FOREVER) as process:
            feed.send_and_wait(process)
            wanted = {(row["bidder"], row["window_start"]) for row in bids.expected(feed.sent).to_dicts()}
            wait_for("all windows", complete, 30)
            process.send_signal(signal.SIGKILL)
        bidding.finish()
    bidding.assert_exact(feed.sent)


def test_a_pause_of_the_process(bidding: BidPlace) -> None:
    """The wall clock is in no watermark."""
    feed = Feed(bidding)
    with watched(bidding), bidding.running(**FOREVER) as process:
        feed.send_and_wait(process)
        feed.more(2_000)
        process.send_signal(signal.SIGSTOP)
        awake = time.monotonic() + 5
        feed.more(2_000)
        wait_for("the end of the pause", lambda: time.monotonic() > awake)
        process.send_signal(signal.SIGCONT)
        feed.send_and_wait(process)
        stop(process)
    feed.finish()


def test_catching_up_after_a_kill(bidding: BidPlace) -> None:
    """Much event time passes in little time: no window expires unseen."""
    feed = backlog(bidding)
    with watched(bidding):
        with bidding.running(**FOREVER) as process:
            feed.send_and_wait(process, count=5_000)
            feed.more(5_000)
            process.send_signal(signal.SIGKILL)
        feed.more(BACKLOG)
        with bidding.running(**FOREVER) as process:
            feed.wait(process)
            stop(process)
    feed.finish()


def test_a_restart_after_a_kill_does_not_wait_for_a_session_to_end(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    with bidding.running(**FOREVER) as process:
        feed.send_and_wait(process)
        process.send_signal(signal.SIGKILL)
    feed.more()
    began = time.monotonic()
    with bidding.running(**FOREVER) as process:
        feed.wait(process)
        took = time.monotonic() - began
        stop(process)
    print(f"records that came behind the kill are committed {took:.2f} s after the restart")
    assert took < 6  # the session would be 10 s
    feed.finish()


def test_an_input_with_aborted_records(bidding: BidPlace) -> None:
    """A job over the output of another that is killed: what it aborted lies in the topic, and nobody reads it."""
    feed = backlog(bidding)
    feed.more(20_000)
    upstream = BidPlace(bidding.root, dict(bidding.settings), servers=bidding.servers, input=bidding.input)
    upstream.settings["stateless"] = True
    upstream.prefix = own_name()
    for failpoint in ("offsets_sent@1", "journal_row_sent@2", "offsets_sent@3"):
        assert upstream.run(failpoint=failpoint, commit_rows=6_000).killed
    upstream.finish()
    with reading(bidding.servers) as log:
        parts = range(4)
        all_of_it = [log.read(upstream.windows, partition=number, isolation="uncommitted") for number in parts]
        assert sum(map(len, all_of_it)) > len(log.read(upstream.windows)), "nothing was aborted"
    bidding.input = upstream.windows
    for _ in range(2):
        assert bidding.run(failpoint="committed@2", commit_rows=3_000).killed
    bidding.finish()
    bidding.assert_exact([bid for bid in feed.sent if bid["price"] >= 0])

"""The two crashes that everybody asks about, step by step; and the request that comes too late."""

from __future__ import annotations

import contextlib
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.kafka import bids
from tests.python.kafka.harness import BidPlace, own_name, reading, stop, wait_for, watched
from tests.python.tcp_proxy import Api, TcpProxy
from wrackline.testing.broker import Broker

pytestmark = pytest.mark.slow

FOREVER: dict[str, Any] = {"run": {}, "progress": True}
INVALID_PRODUCER_EPOCH = 47
MANY = 10_000  # bids whose rows do not wait for the commit to be written: there are too many


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[tuple[TcpProxy, Broker]]:
    with TcpProxy() as proxy, Broker.start(advertise_proxy=proxy.port) as broker:
        proxy.target = broker.proxied_port
        yield proxy, broker


@pytest.fixture
def proxy(behind_a_proxy: tuple[TcpProxy, Broker]) -> TcpProxy:
    """A good network, until the test says otherwise."""
    behind_a_proxy[0].reset()
    behind_a_proxy[0].cut()
    return behind_a_proxy[0]


@pytest.fixture
def bidding(behind_a_proxy: tuple[TcpProxy, Broker], proxy: TcpProxy, tmp_path: Path) -> BidPlace:
    """A job whose connections go through the proxy; the test itself asks the broker directly."""
    place = BidPlace(tmp_path, servers=behind_a_proxy[1].address, input=own_name() + "bids")
    place.settings = {"log": f"kafka://{proxy.address}", "commit_interval": "100ms", "transaction_timeout": "6s"}
    with wl.Log(place.uri) as log:
        log.create(place.input, partitions=4)
    return place


def _rows(place: BidPlace, committed: bool) -> int:
    with reading(place.servers) as log:
        try:
            return sum(log._core.end_offset(place.windows, number, committed=committed) for number in range(4))
        except wl.NotFoundError:  # the job has yet to make it
            return 0


def visible(place: BidPlace) -> int:
    """Where readers of committed records stand in the results."""
    return _rows(place, committed=True)


def written(place: BidPlace) -> int:
    """What lies in the log, committed or not."""
    return _rows(place, committed=False)


def many(first: int = 0) -> list[dict[str, Any]]:
    return bids.make_bids(MANY, first=first, bidders=3_000, every_ms=5)


def send(place: BidPlace, what: list[dict[str, Any]]) -> int:
    """Returns how many records of the input there are now."""
    with wl.Log(place.uri) as log:
        bids.append(log, place.input, what)
        return sum(log._core.end_offset(place.input, number) for number in range(4))


def test_scenario_a(bidding: BidPlace) -> None:
    """The process dies when everything has been processed and written, but before the commit."""
    sent = many()
    with watched(bidding):
        # It reads, writes results, sends the offsets, and is killed instead of ending the transaction.
        with bidding.running(failpoint="offsets_sent@1", commit_interval="2s", **FOREVER) as process:
            send(bidding, sent)
            wait_for("rows in an open transaction", lambda: written(bidding) > 0)
            process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL

        # Its rows lie in the log, and nobody who reads committed records sees one. No offset was committed.
        assert written(bidding) > 0
        assert visible(bidding) == 0
        assert sum(bidding.committed().values()) == 0

        # The next start reads the same records again.
        ended = bidding.finish()
        assert ended.said["stats"]["rows_taken"] == len(sent)
    bidding.assert_exact(sent)


def test_scenario_b(bidding: BidPlace, proxy: TcpProxy) -> None:
    """The network breaks during a commit: the broker commits, its answer is lost, the commit is sent again."""
    sent = many()
    with watched(bidding), bidding.running(**FOREVER) as process:
        everything = send(bidding, sent)
        wait_for("a first commit", lambda: sum(bidding.committed().values()) == everything)

        commits = proxy.count(Api.END_TXN)
        proxy.drop(Api.END_TXN)  # the next answer, and the connection that it would come by
        more = many(MANY)
        everything = send(bidding, more)
        wait_for("the commit was sent again", lambda: proxy.count(Api.END_TXN) >= commits + 2)

        # The process asks what became of it and goes on, as if nothing had been.
        last = many(2 * MANY)
        everything = send(bidding, last)
        wait_for("the commits behind it", lambda: sum(bidding.committed().values()) == everything)
        stop(process)
    bidding.finish()
    bidding.assert_exact(sent + more + last)


def test_scenario_b_with_a_network_that_stays_away(bidding: BidPlace, proxy: TcpProxy) -> None:
    """The same, but nobody can be reached for longer than a transaction may live; then the network is back."""
    sent = many()
    with watched(bidding), bidding.running(**{**FOREVER, "transaction_timeout": "2s"}) as process:
        everything = send(bidding, sent)
        wait_for("a first commit", lambda: sum(bidding.committed().values()) == everything)
        commits = proxy.count(Api.END_TXN)
        proxy.drop(Api.END_TXN)
        more = many(MANY)
        everything = send(bidding, more)
        wait_for("a commit whose answer is lost", lambda: proxy.count(Api.END_TXN) > commits)
        proxy.refuse()
        proxy.cut()
        away_until = time.monotonic() + 5
        wait_for("the network to come back", lambda: time.monotonic() > away_until)
        assert process.poll() is None, "the job gave up"
        proxy.refuse(False)
        last = many(2 * MANY)
        everything = send(bidding, last)
        wait_for("the commits behind it", lambda: sum(bidding.committed().values()) == everything)
        stop(process)
    bidding.finish()
    bidding.assert_exact(sent + more + last)


@dataclass
class LateEnd:
    """What a request to end a transaction did that came when the next transaction was open."""

    sent: list[dict[str, Any]]
    error: int  # what the broker answered
    before: int  # records visible to readers of committed records
    after: int


def deliver_late_end(place: BidPlace, proxy: TcpProxy, **kafka: Any) -> LateEnd:
    first, second, third = (many(number * MANY) for number in range(3))
    third.pop()  # too few for a commit: it is still open when the request comes, however slow the machine
    settings = {"log": proxy.address, "kafka": kafka, "commit_interval": "1m", "commit_rows": MANY}
    with place.running(**FOREVER, **settings) as process:
        everything = send(place, first)
        wait_for("a first commit", lambda: sum(place.committed().values()) == everything)

        # The end of the second transaction is held by the network. The client gives up waiting for an answer, connects
        # again and repeats it: this commit is through, and the job goes on.
        proxy.hold(Api.END_TXN)
        everything = send(place, second)
        wait_for("the end of a transaction is held", lambda: proxy.held == 1)
        wait_for("the commit by another connection", lambda: sum(place.committed().values()) == everything)
        wait_for("its markers", lambda: visible(place) == written(place))
        before = visible(place)

        # The third is open, with rows in it, when the network delivers what it held.
        send(place, third)
        wait_for("rows of the third transaction", lambda: written(place) > before)
        process.send_signal(signal.SIGSTOP)
        assert visible(place) == before
        proxy.release()
        (answer,) = proxy.late(Api.END_TXN)
        with contextlib.suppress(AssertionError):  # markers are written a moment after the answer
            wait_for("more is visible", lambda: visible(place) > before, 1)
        after = visible(place)
        process.kill()
    return LateEnd(first + second + third, struct.unpack(">h", answer.body[4:6])[0], before, after)


def test_a_late_end_of_a_transaction_does_not_end_the_next(bidding: BidPlace, proxy: TcpProxy) -> None:
    """An end that had to be sent twice costs the producer: the late one is of an epoch that is over."""
    with watched(bidding):
        late = deliver_late_end(bidding, proxy)
        assert late.error == INVALID_PRODUCER_EPOCH
        assert late.after == late.before
        bidding.finish()
    bidding.assert_exact(late.sent)


def test_without_the_plug_it_would(bidding: BidPlace, proxy: TcpProxy) -> None:
    """Why the producer is given up: the broker takes the late request for the end of the transaction that is open."""
    late = deliver_late_end(bidding, proxy, recycle_late_ends=False)
    assert late.error == 0
    assert late.after > late.before, "half of an open transaction is visible"
    bidding.finish()
    with pytest.raises(AssertionError, match="windows came twice"):
        bidding.assert_exact(late.sent)

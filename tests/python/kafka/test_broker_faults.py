"""The broker and the way to it: restarts, connections that end or hang, what was deleted behind a job's back."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.kafka import bids
from tests.python.kafka.harness import (
    BidPlace,
    Feed,
    assert_nothing_open,
    own_name,
    reading,
    stop,
    wait_for,
    watched,
)
from tests.python.kafka.wire import BrokerRefusedError, Wire
from tests.python.tcp_proxy import TcpProxy
from wrackline.testing.broker import Broker, free_ports

pytestmark = pytest.mark.slow

FOREVER: dict[str, Any] = {"run": {}, "progress": True}
SETTINGS: dict[str, Any] = {"commit_interval": "50ms", "checkpoint_interval": "300ms", "transaction_timeout": "4s"}
# How soon a member that is silent loses its partitions to others.
SHORT_SESSION: dict[str, Any] = {"session_timeout_ms": 2_000, "heartbeat_interval_ms": 300}


@pytest.fixture
def bidding(broker: str, tmp_path: Path) -> BidPlace:
    return BidPlace(tmp_path / "place", dict(SETTINGS), servers=broker)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Broker]:
    """A broker that tests kill."""
    with Broker.start() as broker:
        yield broker


@pytest.fixture(scope="module")
def behind_a_proxy(mortal: Broker) -> Iterator[tuple[TcpProxy, Broker]]:
    with TcpProxy() as proxy, Broker.start(advertise_proxy=proxy.port) as broker:
        proxy.target = broker.proxied_port
        yield proxy, broker


@pytest.fixture
def proxy(behind_a_proxy: tuple[TcpProxy, Broker]) -> TcpProxy:
    behind_a_proxy[0].reset()
    behind_a_proxy[0].cut()
    return behind_a_proxy[0]


@pytest.fixture
def by_proxy(behind_a_proxy: tuple[TcpProxy, Broker], proxy: TcpProxy, tmp_path: Path) -> BidPlace:
    place = BidPlace(tmp_path / "place", dict(SETTINGS), servers=behind_a_proxy[1].address)
    place.settings["log"] = f"kafka://{proxy.address}"
    return place


@pytest.mark.parametrize("how", ["clean", "SIGKILL"])
def test_the_broker_restarts(mortal: Broker, tmp_path: Path, how: str) -> None:
    """In an open transaction. One whose end is under way may lose it: that is Kafka's (docs/kafka.md)."""
    settings = {**SETTINGS, "commit_interval": "5s", "transaction_timeout": "10s"}  # no commit while it goes
    place = BidPlace(tmp_path / "place", settings, servers=mortal.address)
    feed = Feed(place)
    with watched(place), place.running(**FOREVER) as process:
        feed.send_and_wait(process)
        feed.until_open()
        if how == "SIGKILL":
            mortal.kill()
        mortal.restart()
        feed.send_and_wait(process)
        stop(process)
    feed.finish()


def test_the_broker_is_away_for_a_while(mortal: Broker, tmp_path: Path) -> None:
    """For longer than a transaction may live."""
    place = BidPlace(tmp_path / "place", {**SETTINGS, "transaction_timeout": "2s"}, servers=mortal.address)
    feed = Feed(place)
    with watched(place), place.running(**FOREVER) as process:
        feed.send_and_wait(process)
        assert_nothing_open(mortal.address, place.topics())
        mortal.kill()
        back = time.monotonic() + 5
        wait_for("the time of an outage", lambda: time.monotonic() > back)
        assert process.poll() is None, process.communicate()[1]
        mortal.restart()
        feed.send_and_wait(process)
        stop(process)
    feed.finish()


@pytest.mark.parametrize(
    ("host", "cause"), [("127.0.0.1", "refused"), ("no-such-host.invalid", "resolve")], ids=["nobody", "no name"]
)
def test_no_broker_at_the_start(tmp_path: Path, host: str, cause: str) -> None:
    address = f"{host}:{free_ports(1)[0]}"
    settings = {"name": "j", "prefix": "j.", "topic": "t", "state_dir": str(tmp_path)}
    job = bids.build({**settings, "log": address, "kafka": {"connect_timeout": "1s"}})
    began = time.monotonic()
    with pytest.raises(wl.UnavailableError, match=cause) as error:
        job.run(until="now")
    assert time.monotonic() - began < 4
    assert address in str(error.value)
    assert "connect_timeout" in str(error.value)


def test_connections_are_cut_again_and_again(by_proxy: BidPlace, proxy: TcpProxy) -> None:
    feed = Feed(by_proxy)
    with watched(by_proxy), by_proxy.running(**FOREVER) as process:
        feed.send_and_wait(process)
        for _ in range(8):
            feed.more(300)
            proxy.cut()
        feed.send_and_wait(process)
        stop(process)
    feed.finish()


def test_connections_that_are_open_and_dead(by_proxy: BidPlace, proxy: TcpProxy) -> None:
    """Nothing is refused and nothing is answered: only time tells."""
    feed = Feed(by_proxy)
    with watched(by_proxy), by_proxy.running(**FOREVER) as process:
        feed.send_and_wait(process)
        proxy.blackhole()
        feed.more(1_000)
        back = time.monotonic() + 6
        wait_for("the time of an outage", lambda: time.monotonic() > back)
        assert process.poll() is None, process.communicate()[1]
        proxy.blackhole(False)
        proxy.cut()
        feed.send_and_wait(process)
        stop(process)
    feed.finish()


def test_a_transaction_that_expired(bidding: BidPlace) -> None:
    """The process slept with rows in an open transaction for longer than the broker allows."""
    bidding.settings |= {"commit_interval": "1500ms", "transaction_timeout": "2s"}
    feed = Feed(bidding, bidders=3_000, every_ms=5)
    with watched(bidding), bidding.running(**FOREVER) as process:
        feed.send_and_wait(process)
        before = written(bidding)
        feed.more(10_000)
        wait_for("rows in an open transaction", lambda: written(bidding) > before)
        process.send_signal(signal.SIGSTOP)
        wait_for("the broker aborts it", lambda: stable(bidding) == written(bidding), 20)
        process.send_signal(signal.SIGCONT)
        feed.send_and_wait(process)
        stop(process)
    feed.finish()


def written(place: BidPlace) -> int:
    with reading(place.servers) as log:
        return sum(log._core.end_offset(place.windows, number, committed=False) for number in range(4))


def stable(place: BidPlace) -> int:
    with reading(place.servers) as log:
        return sum(log._core.end_offset(place.windows, number, committed=True) for number in range(4))


def test_a_zombie(bidding: BidPlace) -> None:
    """It slept while another process took its partitions over, and wakes up in the belief that they are its own."""
    bidding.settings |= {"kafka": SHORT_SESSION, "log": bidding.servers}
    feed = Feed(bidding)
    with watched(bidding), bidding.running(**FOREVER) as first:
        feed.send_and_wait(first)
        feed.more(2_000)
        first.send_signal(signal.SIGSTOP)
        with bidding.running(**FOREVER) as second:
            feed.send_and_wait(second)  # all of it, alone
            first.send_signal(signal.SIGCONT)
            feed.send_and_wait(first, second)
            stop(second)
        feed.send_and_wait(first)
        stop(first)
    feed.finish()


def test_the_offsets_of_the_group_were_deleted(bidding: BidPlace) -> None:
    """The journal knows them, too."""
    bidding.settings |= {"kafka": SHORT_SESSION, "log": bidding.servers}
    feed = Feed(bidding)
    feed.more()
    bidding.finish(run={"until": "now"})
    with Wire(bidding.servers) as wire:

        def deleted() -> bool:
            try:
                wire.delete_group(bidding.name)
            except BrokerRefusedError:  # its member's session has not ended
                return False
            return True

        wait_for("the group is deleted", deleted)
    assert bidding.committed() == {}
    feed.more()
    ended = bidding.finish()
    assert "WARNING" in ended.err
    assert bidding.name in ended.err
    bidding.assert_exact(feed.sent)


def test_the_input_is_deleted_while_it_runs(bidding: BidPlace) -> None:
    feed = Feed(bidding)
    with bidding.running(**FOREVER) as process:
        feed.send_and_wait(process)
        with Wire(bidding.servers) as wire:
            wire.delete_topic(bidding.input)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 3, err
    assert bidding.input in err.splitlines()[-1]


def test_another_input_of_that_name(bidding: BidPlace) -> None:
    """Deleted and made again while the job did not run: other records, which the state knows nothing of."""
    feed = Feed(bidding)
    feed.more()
    bidding.finish(run={"until": "now"})
    with Wire(bidding.servers) as wire:
        wire.delete_topic(bidding.input)

    def made() -> bool:
        try:
            with wl.Log(bidding.uri) as log:
                log.create(bidding.input, partitions=4)
        except wl.WracklineError:
            return False
        return True

    wait_for("the topic again", made)
    ended = bidding.run()
    assert ended.code == 3, ended.err
    assert bidding.input in ended.err
    assert "fresh=True" in ended.err


def test_an_output_is_deleted_while_it_runs(bidding: BidPlace) -> None:
    """It is not made anew behind the user's back: the run ends and names it."""
    feed = Feed(bidding)
    with bidding.running(**FOREVER) as process:
        feed.send_and_wait(process)
        with Wire(bidding.servers) as wire:
            wire.delete_topic(bidding.windows)
        feed.more()
        _, err = process.communicate(timeout=90)
    assert process.returncode == 3, err
    assert bidding.windows in err.splitlines()[-1]


@pytest.mark.parametrize("state", ["stateless", "stateful"])
def test_two_processes_with_one_slot(bidding: BidPlace, tmp_path: Path, state: str) -> None:
    """A state directory was copied, so both have the same ids. They are not to fence one another for ever.

    Without state one of them goes on. Of a job with state it may be that neither can: each has written checkpoints
    that the other lacks. Whoever has the last one goes on then.
    """
    bidding.settings["stateless"] = state == "stateless"
    feed = Feed(bidding)
    feed.more()
    bidding.finish(run={"until": "now"})
    shutil.copytree(bidding.root, tmp_path / "copied")
    twin = BidPlace(
        tmp_path / "copied", bidding.settings, servers=bidding.servers, prefix=bidding.prefix, input=bidding.input
    )
    with watched(bidding), bidding.running(**FOREVER) as one, twin.running(**FOREVER) as two:
        left = {one: bidding, two: twin}

        def ended() -> list[Any]:
            feed.more(20)
            return [process for process in left if process.poll() is not None]

        for process in wait_for("one of them gives up", ended):
            assert _refusal(process).startswith(("FencedError", "InvalidJobError"))
            del left[process]
        quiet = time.monotonic() + 3
        wait_for("the other to go on", lambda: time.monotonic() > quiet)
        for process in [one for one in left if one.poll() is not None]:
            assert state == "stateful", "both gave up"
            assert _refusal(process).startswith("InvalidJobError")
            del left[process]
        if left:
            feed.send_and_wait(*left)
            (process,) = left
            stop(process)
        ways_on = [place.run() for place in (left.values() or (bidding, twin))]
        assert any(way.code == 0 for way in ways_on), [way.err for way in ways_on]
    bidding.assert_exact(feed.sent)


def _refusal(process: Any) -> str:
    err: str = process.communicate()[1]
    assert process.returncode == 3, err
    last = err.splitlines()[-1]
    assert "state directory" in last or "group.instance.id" in last, last
    return last


def test_records_are_deleted_that_a_recovery_needs(bidding: BidPlace, check_refused: Callable[..., None]) -> None:
    bidding.settings["checkpoint_interval"] = "60s"
    feed = Feed(bidding)
    feed.more(2_000)
    assert bidding.run(failpoint="committed@2", commit_rows=400).killed
    with wl.Log(bidding.uri) as log:
        for number in range(4):
            log.trim(bidding.input, partition=number, before=log._core.end_offset(bidding.input, number))
    check_refused(bidding.run(), bidding.input, "fresh=True")


@pytest.fixture
def check_refused() -> Callable[..., None]:
    def check(ended: Any, *said: str) -> None:
        assert ended.code == 3, (ended.code, ended.err)
        for text in said:
            assert text in ended.err.splitlines()[-1], ended.err

    return check


def test_an_unknown_topic_names_the_nearest(bidding: BidPlace, check_refused: Callable[..., None]) -> None:
    name = own_name() + "readings"
    with wl.Log(bidding.uri) as log:
        log.create(name)
    bidding.input = name[:-1]
    check_refused(bidding.run(), f"'{name[:-1]}'", f"'{name}'")


def test_fewer_partitions_than_before(bidding: BidPlace, check_refused: Callable[..., None]) -> None:
    feed = Feed(bidding)
    feed.more()
    bidding.finish(run={"until": "now"})
    bidding.input = own_name() + "bids"
    with wl.Log(bidding.uri) as log:
        log.create(bidding.input, partitions=2)
    ended = bidding.run()
    check_refused(ended, bidding.name, "partitions")

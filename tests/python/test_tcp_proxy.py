"""The proxy in front of a broker does to requests and connections what it says."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.python.tcp_proxy import Api, TcpProxy
from wrackline.testing.broker import Broker

SCRIPT = Path(__file__).with_name("tcp_proxy.py")
SHORT = 0.3  # seconds in which a working connection would have answered


class Client:
    """One connection, which asks by hand."""

    def __init__(self, port: int) -> None:
        self.channel = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.correlation = 0

    def send(self, key: int, body: bytes = b"", *, version: int = 0) -> int:
        self.correlation += 1
        request = struct.pack(">hhih", key, version, self.correlation, -1) + body
        self.channel.sendall(struct.pack(">i", len(request)) + request)
        return self.correlation

    def receive(self, seconds: float = 5) -> tuple[int, bytes]:
        self.channel.settimeout(seconds)
        (length,) = struct.unpack(">i", self._read(4))
        answer = self._read(length)
        return struct.unpack(">i", answer[:4])[0], answer[4:]

    def ask(self, key: int, body: bytes = b"") -> bytes:
        asked = self.send(key, body)
        answered, answer = self.receive()
        assert answered == asked
        return answer

    def versions(self) -> bytes:
        answer = self.ask(Api.API_VERSIONS)
        assert struct.unpack(">h", answer[:2]) == (0,)
        return answer

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.channel.recv(length - len(data))
            if not more:
                raise ConnectionResetError("closed")
            data += more
        return data


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[TcpProxy, Broker]]:
    with TcpProxy() as proxy, Broker.start(advertise_proxy=proxy.port) as broker:
        proxy.target = broker.proxied_port
        yield proxy, broker


@pytest.fixture
def proxy(behind: tuple[TcpProxy, Broker]) -> TcpProxy:
    behind[0].reset()
    behind[0].cut()
    return behind[0]


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[Callable[[], Client]]:
    made: list[Client] = []

    def connect() -> Client:
        made.append(Client(proxy.port))
        return made[-1]

    yield connect
    for one in made:
        one.channel.close()


Connect = Callable[[], Client]


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_requests_pass_and_are_counted_by_key(proxy: TcpProxy, client: Connect) -> None:
    one, other = client(), client()
    for _ in range(3):
        one.versions()
    other.versions()
    assert proxy.count(Api.API_VERSIONS) == 4
    assert proxy.count(Api.METADATA) == 0


def test_the_broker_sends_clients_to_the_proxy(
    behind: tuple[TcpProxy, Broker], proxy: TcpProxy, client: Connect
) -> None:
    metadata = client().ask(Api.METADATA, struct.pack(">i", 0))
    brokers, _, length = struct.unpack(">iih", metadata[:10])
    host = metadata[10 : 10 + length].decode()
    (port,) = struct.unpack(">i", metadata[10 + length : 14 + length])
    assert (brokers, host, port) == (1, "127.0.0.1", proxy.port)
    assert port != behind[1].port


def test_a_dropped_answer_closes_its_connection_only(proxy: TcpProxy, client: Connect) -> None:
    one, other = client(), client()
    proxy.drop(Api.API_VERSIONS)
    one.send(Api.API_VERSIONS)
    with pytest.raises(ConnectionResetError):
        one.receive()
    other.versions()
    client().versions()


def test_a_lost_request_closes_its_connection_and_never_arrives(
    behind: tuple[TcpProxy, Broker], proxy: TcpProxy, client: Connect
) -> None:
    one = client()
    proxy.lose(Api.CREATE_TOPICS)
    one.send(Api.CREATE_TOPICS, create_topic("lost"), version=2)
    with pytest.raises(ConnectionResetError):
        one.receive()
    one = client()
    proxy.drop(Api.CREATE_TOPICS)
    one.send(Api.CREATE_TOPICS, create_topic("unanswered"), version=2)
    with pytest.raises(ConnectionResetError):
        one.receive()
    wait_for(lambda: topics(behind[1]) == {"unanswered"})


def create_topic(name: str) -> bytes:
    """CreateTopics, version 2: the oldest that the broker knows."""
    topic = struct.pack(">h", len(name)) + name.encode() + struct.pack(">ihii", 1, 1, 0, 0)
    return struct.pack(">i", 1) + topic + struct.pack(">i?", 5000, False)


def topics(broker: Broker) -> set[str]:
    return {path.name.rpartition("-")[0] for path in (broker.data / "log").iterdir() if path.is_dir()} - {
        "__cluster_metadata"
    }


def test_a_held_request_arrives_late_while_others_pass(proxy: TcpProxy, client: Connect) -> None:
    one = client()
    proxy.hold(Api.API_VERSIONS)
    one.send(Api.API_VERSIONS)
    with pytest.raises(TimeoutError):
        one.receive(SHORT)
    assert proxy.held == 1
    wanted = client().versions()
    one.channel.close()  # it gave up
    assert proxy.late(Api.API_VERSIONS) == []
    assert proxy.release() == 1
    assert proxy.held == 0
    assert [(late.version, late.body) for late in proxy.late(Api.API_VERSIONS)] == [(0, wanted)]


def test_a_held_request_survives_its_connection(proxy: TcpProxy, client: Connect) -> None:
    one = client()
    proxy.hold(Api.API_VERSIONS)
    one.send(Api.API_VERSIONS)
    wait_for(lambda: proxy.held == 1)
    assert proxy.cut() == 1
    assert proxy.release() == 1
    assert len(proxy.late(Api.API_VERSIONS)) == 1


def test_a_client_that_waits_for_a_held_request_is_answered(proxy: TcpProxy, client: Connect) -> None:
    one = client()
    proxy.hold(Api.API_VERSIONS, seconds=SHORT)
    started = time.monotonic()
    one.send(Api.API_VERSIONS)
    one.send(Api.METADATA, struct.pack(">i", 0))  # stands behind it
    assert one.receive()[0] == 1
    assert time.monotonic() - started >= SHORT
    assert one.receive()[0] == 2


def test_connections_are_cut(proxy: TcpProxy, client: Connect) -> None:
    one, other = client(), client()
    one.versions()
    other.versions()
    assert proxy.cut() == 2
    for each in (one, other):
        with pytest.raises(ConnectionResetError):
            each.receive()
    client().versions()


def test_nothing_moves_through_a_black_hole_until_it_is_gone(proxy: TcpProxy, client: Connect) -> None:
    before = client()
    before.versions()
    proxy.blackhole()
    after = client()
    for one in (before, after):
        one.send(Api.API_VERSIONS)
        with pytest.raises(TimeoutError):
            one.receive(SHORT)
    proxy.blackhole(False)
    for one in (before, after):
        assert one.receive()[0] == one.correlation


def test_connections_are_refused_while_open_ones_go_on(proxy: TcpProxy, client: Connect) -> None:
    one = client()
    one.versions()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        client()
    one.versions()
    proxy.refuse(False)
    client().versions()


def test_a_broker_that_is_down_is_a_closed_connection(client: Connect, proxy: TcpProxy) -> None:
    port = proxy.target
    proxy.target = 1
    try:
        one = client()
        with pytest.raises(ConnectionResetError):
            one.receive()
    finally:
        proxy.target = port


def test_as_a_program_it_obeys_lines(behind: tuple[TcpProxy, Broker]) -> None:
    program = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--target", f"127.0.0.1:{behind[1].proxied_port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    stdin, stdout = program.stdin, program.stdout

    def say(line: str) -> str:
        stdin.write(line + "\n")
        return stdout.readline().strip()

    with stdin, stdout:
        ready, address = stdout.readline().split()
        assert ready == "ready"
        one = Client(int(address.rpartition(":")[2]))
        one.versions()
        assert say("count 18") == "1"
        assert say("late 18") == "-"
        assert say("hold api_versions 1") == "ok"
        one.send(Api.API_VERSIONS)
        ends = time.monotonic() + 5
        while say("held") != "1":
            assert time.monotonic() < ends
        assert say("release") == "1"
        assert one.receive()[0] == 2
        assert say("late 18").startswith("0000")
        assert say("count 18") == "2"
        assert say("drop 18 2") == "ok"
        assert say("blackhole on") == "ok"
        assert say("refuse on") == "ok"
        assert say("reset") == "ok"
        assert say("count 18") == "0"
        assert say("cut") == "1"
        assert say("hold it") == "error KeyError: 'IT'"
        assert say("dance") == "error ValueError: no such command"
        one.channel.close()
    assert program.wait(10) == 0

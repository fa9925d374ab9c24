"""The development broker: it answers, comes back, and never outlives its owner."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wrackline.testing import broker as module
from wrackline.testing.broker import Broker, BrokerError

SCRIPT = module.__file__


def ask(channel: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """One request by hand; what follows the correlation id of the answer."""
    request = struct.pack(">hhih", key, version, 7, -1) + body
    channel.sendall(struct.pack(">i", len(request)) + request)
    with channel.makefile("rb") as stream:
        (length,) = struct.unpack(">i", stream.read(4))
        answer = stream.read(length)
    assert struct.unpack(">i", answer[:4]) == (7,)
    return answer[4:]


def ask_versions(channel: socket.socket) -> list[int]:
    """The API keys that a broker knows (ApiVersions)."""
    answer = ask(channel, 18, 0, b"")
    error, count = struct.unpack(">hi", answer[:6])
    assert error == 0
    return [struct.unpack(">hhh", answer[at : at + 6])[0] for at in range(6, 6 + 6 * count, 6)]


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def connect(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def answers(address: str) -> bool:
    with connect(address) as channel:
        return 0 in ask_versions(channel)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int, seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < ends, f"process {pid} is still there after {seconds} s"
        time.sleep(0.02)


def pid_of(broker: Broker) -> int:
    assert broker.pid is not None
    return broker.pid


def test_the_shared_broker_answers(broker: str) -> None:
    assert answers(broker)


def test_a_broker_is_stopped_and_killed_and_comes_back_where_it_was(own_broker: Callable[..., Broker]) -> None:
    broker = own_broker()
    address, first = broker.address, pid_of(broker)
    for end in (broker.stop, broker.kill):
        end()
        assert broker.pid is None
        assert not is_running(first)
        with pytest.raises(ConnectionRefusedError):
            connect(address)
        broker.restart()
        assert (broker.address, answers(address)) == (address, True)
        assert pid_of(broker) != first
        first = pid_of(broker)
    broker.close()
    assert not is_running(first)
    assert not broker.data.exists()


def test_data_that_were_given_stay(own_broker: Callable[..., Broker], tmp_path: Path) -> None:
    given = tmp_path / "dätä"
    own_broker(data=given).close()
    assert (given / "log" / "meta.properties").exists()
    assert answers(own_broker(data=given).address)


def test_the_broker_dies_with_its_owner() -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(Path(SCRIPT).parent)!r}); import broker; "
        "b = broker.Broker.start(); print(b.pid, b._guard.pid, b.data, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as said:
        java, guard, data = said.readline().split()
    assert is_running(int(java))
    owner.kill()
    owner.wait()
    wait_until_gone(int(java))
    wait_until_gone(int(guard))
    assert not Path(data).exists()


def test_the_broker_dies_with_its_guard(own_broker: Callable[..., Broker]) -> None:
    broker = own_broker()
    pid = pid_of(broker)
    assert broker._guard is not None
    broker._guard.kill()
    wait_until_gone(pid)
    assert not broker.running


def test_the_broker_has_no_descriptor_of_its_owner(own_broker: Callable[..., Broker], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    with mine.open("w") as file:
        os.set_inheritable(file.fileno(), True)
        broker = own_broker()
    descriptors = Path(f"/proc/{broker.pid}/fd")
    assert str(mine) not in [os.readlink(one) for one in descriptors.iterdir() if one.exists()]
    assert os.getsid(pid_of(broker)) != os.getsid(0)


def test_all_listeners_are_on_the_loopback_interface(own_broker: Callable[..., Broker]) -> None:
    broker = own_broker(security=True, advertise_proxy=1)
    inodes = set()
    for one in Path(f"/proc/{broker.pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(one))
        except FileNotFoundError:
            continue
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{broker.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                addresses.append(fields[1].split(":")[0])
    assert len(addresses) == 6  # plaintext, controller, proxy, ssl, sasl_ssl, sasl_plaintext
    assert {one[-8:] for one in addresses} == {"0100007F"}


@pytest.fixture(scope="module")
def secure_broker() -> Iterator[Broker]:
    with Broker.start(security=True) as broker:
        yield broker


def test_tls_is_spoken_with_a_certificate_of_its_own_authority(secure_broker: Broker) -> None:
    broker = secure_broker
    context = ssl.create_default_context(cafile=str(broker.ca_path))
    for address in (broker.ssl_address, broker.sasl_ssl_address):
        assert address is not None
        with connect(address) as channel, context.wrap_socket(channel, server_hostname="127.0.0.1") as secure:
            assert 0 in ask_versions(secure)
    assert broker.sasl_address is not None
    assert answers(broker.sasl_address)


@pytest.mark.parametrize(
    ("user", "password", "signed_in", "errors"),
    [
        (module.USER, module.PASSWORD, 0, {0, 15}),  # 15: there is no coordinator yet
        (module.STRANGER, module.PASSWORD, 0, {30}),  # GROUP_AUTHORIZATION_FAILED
        (module.USER, "wrong", 58, set()),  # SASL_AUTHENTICATION_FAILED
    ],
)
def test_users_sign_in_and_a_stranger_may_do_nothing(
    secure_broker: Broker, user: str, password: str, signed_in: int, errors: set[int]
) -> None:
    assert secure_broker.sasl_address is not None
    with connect(secure_broker.sasl_address) as channel:
        assert ask(channel, 17, 1, text("PLAIN"))[:2] == b"\0\0"
        plain = f"\0{user}\0{password}".encode()
        answer = ask(channel, 36, 0, struct.pack(">i", len(plain)) + plain)
        assert struct.unpack(">h", answer[:2]) == (signed_in,)
        if not signed_in:
            (error,) = struct.unpack(">h", ask(channel, 10, 0, text("a group"))[:2])
            assert error in errors


def test_a_taken_port_is_said_at_once() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is taken"):
            Broker.start(port)


def test_a_bad_setting_is_shown_with_the_end_of_the_log() -> None:
    with pytest.raises(BrokerError, match=r"num\.network\.threads"):
        Broker.start(config={"num.network.threads": "many"})


@pytest.mark.parametrize(("missing", "package"), [("java", "openjdk-17-jre-headless"), ("mvn", "maven")])
def test_what_is_missing_is_said_with_its_package(
    missing: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "java").symlink_to("/bin/true")
    if missing == "java":
        (tmp_path / "java").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WRACKLINE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BrokerError, match=f"{missing} is not on the PATH.*apt-get install .*{package}"):
        Broker.start()


def test_run_gives_a_command_its_broker_and_takes_its_status() -> None:
    code = (
        "import os, socket, sys; host, port = os.environ['WRACKLINE_TEST_BROKER'].split(':'); "
        "socket.create_connection((host, int(port))); print(open(os.environ['WRACKLINE_TEST_BROKER_FILE']).read()); "
        "sys.exit(7)"
    )
    done = subprocess.run(
        [sys.executable, SCRIPT, "run", "--", sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    known = dict(line.split("=", 1) for line in done.stdout.split())
    assert not is_running(int(known["pid"]))
    assert not Path(known["log"]).exists()


def test_the_command_line_serves_until_it_is_told_to_end() -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "wrackline.testing.broker", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert serving.stdout is not None
    with serving.stdout as said:
        address = said.readline().strip()
        assert "development broker: one node, no replication, loopback only" in said.readline()
    assert answers(address.removeprefix("kafka://"))
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        connect(address.removeprefix("kafka://"))


def test_a_fixture_outlives_its_command_but_not_its_caller(tmp_path: Path) -> None:
    file = tmp_path / "broker.txt"
    start = [sys.executable, SCRIPT, "fixture", "start", str(file)]
    caller = subprocess.Popen(
        ["sh", "-c", '"$@" && cat "$0" && read wait', str(file), *start],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert caller.stdout is not None
    assert caller.stdin is not None
    said = {}
    for line in caller.stdout:
        name, _, value = line.strip().partition("=")
        said[name] = value
        if name == "guard":
            break
    assert answers(said["broker"])
    refused = subprocess.run(start, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "another run of these tests" in refused.stderr
    caller.kill()
    caller.wait()
    wait_until_gone(int(said["pid"]))
    wait_until_gone(int(said["guard"]))
    assert not file.exists()
    caller.stdin.close()
    caller.stdout.close()


def test_a_fixture_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "broker.txt"
    command = [sys.executable, SCRIPT, "fixture"]
    subprocess.run([*command, "start", str(file)], check=True)
    known = dict(line.split("=", 1) for line in file.read_text().splitlines())
    subprocess.run([*command, "stop", str(file)], check=True)
    assert not is_running(int(known["pid"]))
    assert not file.exists()
    assert (tmp_path / "broker.log").exists()

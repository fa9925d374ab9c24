"""A development broker: Apache Kafka as one process on this machine, for tests and for trying things out::

    python -m wrackline.testing.broker                            until Ctrl-C, on port 9092
    python -m wrackline.testing.broker run -- pytest -q           one for a command: WRACKLINE_TEST_BROKER=HOST:PORT

One node, no replication, loopback only. The first start fetches Kafka's jars with Maven into the cache
(WRACKLINE_CACHE, otherwise wrackline/ in XDG_CACHE_HOME or ~/.cache); it needs Java 17::

    with Broker.start() as broker:
        ...  # broker.address is "127.0.0.1:PORT"

A broker never outlives its owner, not even one that was SIGKILLed: a small process guards it. This file needs only the
standard library and also runs as a script, so that programs without Python packages can use it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

__all__ = ["PASSWORD", "STRANGER", "USER", "Broker", "BrokerError", "prepare"]

KAFKA = "4.3.1"  # 4.4.0 does not resolve
DEPENDENCIES = [("org.apache.kafka", "kafka_2.13", KAFKA), ("org.slf4j", "slf4j-simple", "1.7.36")]

USER = "wrackline"  # may do everything
STRANGER = "stranger"  # may do nothing without an ACL; the same password
PASSWORD = "secret"

Flavour = Literal["test", "bench"]

HOST = "127.0.0.1"
# Below the ports that the system gives to outgoing connections: one of those, made while a broker is down, would take
# its port (a client that tries to reach a port of its own machine can even end up connected to itself).
PORTS = range(10_000, 32_000)
PORT_ATTEMPTS = 5
START_SECONDS = 60.0
STOP_SECONDS = 30.0
FIXTURE_SECONDS = 2 * 3600  # no run of ctest takes longer
LOG_TAIL = 40  # lines in an error
CLUSTER = "d3JhY2tsaW5lLXRlc3QtMQ"
STARTED = "Kafka Server started"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": (
        "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT,"
        "SSL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"
    ),
    "auto.create.topics.enable": "false",
    # One node, and few partitions of its own topics: they are created at the first use.
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Nothing is waited for that a test does not ask for.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

JAVA_FLAVOURS: dict[str, list[str]] = {
    "test": ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],  # starts fast
    "bench": [],  # as it runs in production
}
JAVA_OPTIONS = [
    "-Xmx512m",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
]

_LOGIN = "org.apache.kafka.common.security"
_TOO_OLD = "UnsupportedClassVersionError"
_PORT_TAKEN = "Address already in use"


class BrokerError(RuntimeError):
    """The broker cannot be had, and why."""


# What is fetched and made once


def _cache() -> Path:
    given = os.environ.get("WRACKLINE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wrackline"


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BrokerError(
            f"{name} is not on the PATH; the development broker needs it: "
            f"apt-get install --no-install-recommends {package}"
        )
    return found


def _java() -> str:
    return _tool("java", "openjdk-17-jre-headless")


def _run(what: str, command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise BrokerError(f"{what} failed:\n{_tail(done.stdout)}")


def _tail(text: str) -> str:
    hint = "" if _TOO_OLD not in text else "\nThis java is too old: apt-get install openjdk-17-jre-headless"
    return "\n".join(text.splitlines()[-LOG_TAIL:]) + hint


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare() -> Path:
    """Kafka's jars and what else is made once, in the cache: instant when it is there. Returns their folder."""
    java = _java()
    cache = _cache()
    kafka = cache / f"kafka-{KAFKA}"
    archive = _archive_path(kafka, java)
    if archive.exists():  # is made last
        return kafka
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "kafka.lock"):
        if not (kafka / "libs").is_dir():
            work = Path(tempfile.mkdtemp(prefix="kafka-work-", dir=cache))
            try:
                _fetch(work)
                work.chmod(0o755)
                work.rename(kafka)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        if not (kafka / "formatted").is_dir():
            _format(kafka, java)
        if not archive.exists():
            _make_archive(kafka, java, archive)
    return kafka


def _fetch(work: Path) -> None:
    maven = _tool("mvn", "maven")
    print(f"broker: fetching Apache Kafka {KAFKA} once", file=sys.stderr, flush=True)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in DEPENDENCIES
    )
    pom = work / "pom.xml"
    pom.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>wrackline</groupId><artifactId>broker</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )
    command = [maven, "-q", "-B", "-ntp", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    _run("fetching Kafka's jars with Maven", [*command, f"-DoutputDirectory={work / 'libs'}"])
    if not any((work / "libs").glob("kafka_*.jar")):
        raise BrokerError(f"Maven ended well and fetched no jars into {work / 'libs'}")


def _format(kafka: Path, java: str) -> None:
    """An empty data directory, to be copied: Kafka takes a second to make one. The users of SCRAM lie in it."""
    work = Path(tempfile.mkdtemp(prefix="format-", dir=kafka))
    try:
        _write_properties(
            work / "server.properties",
            {
                **SETTINGS,
                "listeners": f"PLAINTEXT://{HOST}:1,CONTROLLER://{HOST}:2",
                "controller.quorum.voters": f"1@{HOST}:2",
                "log.dirs": str(work / "log"),
            },
        )
        command = [java, *JAVA_FLAVOURS["test"], "-cp", f"{kafka}/libs/*", "kafka.tools.StorageTool", "format"]
        command += ["-t", CLUSTER, "-c", str(work / "server.properties")]
        for user in (USER, STRANGER):
            command += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={PASSWORD}]"]
        _run("formatting a data directory", command)
        (work / "log").rename(kafka / "formatted")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _archive_path(kafka: Path, java: str) -> Path:
    runtime = Path(java).resolve()
    known = f"{runtime} {runtime.stat().st_mtime_ns} {runtime.stat().st_size} {kafka}"
    return kafka / f"classes-{hashlib.sha256(known.encode()).hexdigest()[:12]}.jsa"


def _make_archive(kafka: Path, java: str, archive: Path) -> None:
    """The classes of one start, as Java can map them: the next starts take half the time. An empty one says no."""
    made = archive.with_suffix(".part")
    made.unlink(missing_ok=True)
    with contextlib.suppress(BrokerError):
        broker = Broker(kafka, java, java_options=[f"-XX:ArchiveClassesAtExit={made}"])
        try:
            broker._begin()
            broker.stop()
        finally:
            broker.close()
    if not made.exists():
        made.touch()
    made.rename(archive)


# One broker


class Broker:
    """A running broker, or one that was stopped and can be restarted. Belongs to one thread; `start` makes one."""

    address: str
    """HOST:PORT, without encryption and without users."""
    port: int
    proxied_port: int | None
    """Behind this one, clients are told to connect to the port of `advertise_proxy`."""
    ssl_address: str | None
    sasl_ssl_address: str | None
    sasl_address: str | None
    """Users, without encryption."""
    ca_path: Path | None
    data: Path
    log_path: Path

    @classmethod
    def start(
        cls,
        port: int = 0,
        data: str | os.PathLike[str] | None = None,
        config: Mapping[str, str] | None = None,
        flavour: Flavour = "test",
        *,
        security: bool = False,
        advertise_proxy: int | None = None,
        deadline: float = START_SECONDS,
    ) -> Broker:
        """Starts a broker and waits until it answers; BrokerError says why not, with the end of its log.

        `port` 0 takes any that is free. Without `data` its data are in a temporary directory, removed at the end.
        `config` are settings of Kafka's own that override ours. "bench" is Java as in production, "test" starts faster.
        `security` adds listeners with TLS and with users (PLAIN and SCRAM-SHA-512), and ACLs: USER may do everything,
        STRANGER nothing that no ACL allows. `advertise_proxy` is the port of a proxy in front of `proxied_port`.
        """
        kafka = prepare()
        broker = cls(
            kafka,
            _java(),
            port=port,
            data=None if data is None else Path(data).absolute(),
            config=dict(config or {}),
            flavour=flavour,
            security=security,
            advertise_proxy=advertise_proxy,
            deadline=deadline,
        )
        try:
            broker._begin()
        except BaseException:
            broker.close()
            raise
        return broker

    def __init__(
        self,
        kafka: Path,
        java: str,
        *,
        port: int = 0,
        data: Path | None = None,
        config: Mapping[str, str] | None = None,
        flavour: Flavour = "test",
        security: bool = False,
        advertise_proxy: int | None = None,
        deadline: float = START_SECONDS,
        java_options: list[str] | None = None,
        owner: int | None = None,
        files: list[Path] | None = None,
        log: Path | None = None,
    ) -> None:
        """Users call `start`. With `owner`, a process id, that process is guarded instead of the caller."""
        self._kafka = kafka
        self._java = java
        self._given_port = port
        self._config = dict(config or {})
        self._security = security
        self._advertise_proxy = advertise_proxy
        self._deadline = deadline
        self._owner = owner
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._temporary = data is None
        self.data = Path(tempfile.mkdtemp(prefix="wrackline-broker-")) if data is None else data
        self.data.mkdir(parents=True, exist_ok=True)
        self.log_path = log or self.data / "broker.log"
        self._leavings = [*([self.data] if self._temporary else []), *(files or [])]
        # An owner of its own removes them by its guard.
        self._finalizer = weakref.finalize(self, _remove, self._leavings if owner is None else [])
        self._java_options = list(JAVA_FLAVOURS[flavour])
        archive = _archive_path(kafka, java)
        if flavour == "test" and archive.exists() and archive.stat().st_size:
            self._java_options.append(f"-XX:SharedArchiveFile={archive}")
        self._java_options += [*JAVA_OPTIONS, *(java_options or [])]

    def _begin(self) -> None:
        if not (self.data / "log" / "meta.properties").exists():
            shutil.copytree(self._kafka / "formatted", self.data / "log", dirs_exist_ok=True)
        if self._security:
            _make_certificate(self.data)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._choose_ports()
            try:
                self._launch()
                return
            except BrokerError as error:
                if _PORT_TAKEN not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
                if self._given_port and not _can_bind(self._given_port):
                    raise BrokerError(f"port {self._given_port} is taken by another program") from None

    def _choose_ports(self) -> None:
        if self._given_port and not _can_bind(self._given_port):
            raise BrokerError(f"port {self._given_port} is taken by another program")
        names = [] if self._given_port else ["PLAINTEXT"]
        names += ["CONTROLLER"]
        names += ["PROXY"] if self._advertise_proxy is not None else []
        names += ["SSL", "SASL_SSL", "SASL_PLAINTEXT"] if self._security else []
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        ports.setdefault("PLAINTEXT", self._given_port)

        def address(name: str) -> str | None:
            return f"{HOST}:{ports[name]}" if name in ports else None

        self.port = ports["PLAINTEXT"]
        self.address = f"{HOST}:{self.port}"
        self.proxied_port = ports.get("PROXY")
        self.ssl_address = address("SSL")
        self.sasl_ssl_address = address("SASL_SSL")
        self.sasl_address = address("SASL_PLAINTEXT")
        self.ca_path = self.data / "ca.pem" if self._security else None
        advertised = {**ports, **({} if self._advertise_proxy is None else {"PROXY": self._advertise_proxy})}
        del advertised["CONTROLLER"]
        settings = {
            **SETTINGS,
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items()),
            "advertised.listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in advertised.items()),
            "controller.quorum.voters": f"1@{HOST}:{ports['CONTROLLER']}",
            "log.dirs": str(self.data / "log"),
        }
        if self._security:
            settings |= _security_settings(self.data)
        _write_properties(self.data / "server.properties", {**settings, **self._config})

    def _launch(self) -> None:
        class_path = f"{self._kafka}/libs/*"
        properties = str(self.data / "server.properties")
        spec = {
            "command": [self._java, *self._java_options, "-cp", class_path, "kafka.Kafka", properties],
            "leavings": [str(one) for one in self._leavings],
            "owner": None if self._owner is None else [self._owner, _born(self._owner)],
        }
        with self.log_path.open("ab") as log:
            seen = log.tell()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, "_guard", json.dumps(spec)],
                stdin=subprocess.PIPE if self._owner is None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        assert self._guard.stdout is not None
        with self._guard.stdout as said:
            self._pid = int(said.readline() or 0) or None
        ends = time.monotonic() + self._deadline
        while True:
            ended = self._guard.poll() is not None
            said_now = _read_from(self.log_path, seen)
            if ended:
                self._forget()
                raise BrokerError(f"the broker ended before it answered; its log:\n{_tail(said_now)}")
            if STARTED in said_now and _answers(self.port):
                return
            if time.monotonic() > ends:
                self._end(b"k", STOP_SECONDS)
                raise BrokerError(
                    f"the broker did not answer within {self._deadline:g} s; the end of its log:\n{_tail(said_now)}"
                )
            time.sleep(0.02)

    @property
    def pid(self) -> int | None:
        """Of the Java process; None while there is none."""
        return self._pid if self.running else None

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone. Its data stay, for `restart`."""
        self._end(b"k", STOP_SECONDS)

    def stop(self) -> None:
        """Ends it as an operator would, and waits until it is gone. Its data stay, for `restart`."""
        self._end(b"t", STOP_SECONDS)

    def restart(self) -> None:
        """Starts it again, on the same ports and data; stops it first if it runs."""
        self.stop()
        self._launch()

    def close(self) -> None:
        """Ends it for good: temporary data are removed, other data are left as by `stop`."""
        self._end(b"k" if self._temporary else b"t", STOP_SECONDS)
        self._finalizer()

    def wait(self) -> None:
        """Until it ends by itself."""
        if self._guard is not None:
            self._guard.wait()

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        return _tail(_read_from(self.log_path, 0))

    def addresses(self) -> dict[str, str]:
        """Everything that a test in another language needs to know."""
        known: dict[str, Any] = {
            "broker": self.address,
            "ssl": self.ssl_address,
            "sasl_ssl": self.sasl_ssl_address,
            "sasl_plaintext": self.sasl_address,
            "ca": self.ca_path,
            "user": USER if self._security else None,
            "stranger": STRANGER if self._security else None,
            "password": PASSWORD if self._security else None,
            "proxied_port": self.proxied_port,
            "proxy_port": self._advertise_proxy,
            "pid": self.pid,
            "log": self.log_path,
        }
        return {name: str(value) for name, value in known.items() if value is not None}

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Broker at {self.address}, {'pid ' + str(self._pid) if self.running else 'stopped'}"

    def _end(self, how: bytes, seconds: float) -> None:
        if self._guard is None:
            return
        try:
            if self._owner is not None:
                self._guard.terminate()
            else:
                self._say(how)
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            self._say(b"k")
            self._guard.wait()
        self._forget()

    def _say(self, what: bytes) -> None:
        assert self._guard is not None
        if self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.write(what)
                self._guard.stdin.flush()

    def _forget(self) -> None:
        assert self._guard is not None
        if self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()
        self._guard.wait()
        self._guard = None
        self._pid = None


def _remove(leavings: list[Path]) -> None:
    for one in leavings:
        if one.is_dir():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now and that the system gives to nobody who does not ask for them."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            one = socket.socket()
            held.append(one)
            try:
                one.bind((HOST, random.choice(PORTS)))
            except OSError:
                held.pop().close()
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _can_bind(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: the last connections may linger
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _read_from(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def _write_properties(path: Path, settings: Mapping[str, str]) -> None:
    def escaped(value: str) -> str:  # Java reads them as Latin-1
        return value.encode("unicode_escape").decode("ascii").replace("\\x", "\\u00")

    path.write_text("".join(f"{name}={escaped(value)}\n" for name, value in settings.items()), encoding="ascii")


def _make_certificate(data: Path) -> None:
    """A certificate that signs itself: the broker's, and at once the authority to give to clients."""
    authority, key = data / "ca.pem", data / "key.pem"
    if authority.exists():
        return
    command = [_tool("openssl", "openssl"), "req", "-x509", "-nodes", "-days", "3650"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=wrackline broker"]
    command += ["-addext", f"subjectAltName=IP:{HOST},DNS:localhost", "-keyout", str(key), "-out", str(authority)]
    _run("making a certificate", command)
    (data / "broker.pem").write_text(key.read_text() + authority.read_text())


def _security_settings(data: Path) -> dict[str, str]:
    users = " ".join(f'user_{user}="{PASSWORD}"' for user in (USER, STRANGER))
    settings = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(data / "broker.pem"),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{USER}",
    }
    for listener in ("sasl_ssl", "sasl_plaintext"):
        prefix = f"listener.name.{listener}"
        settings[f"{prefix}.plain.sasl.jaas.config"] = f"{_LOGIN}.plain.PlainLoginModule required {users};"
        settings[f"{prefix}.scram-sha-512.sasl.jaas.config"] = f"{_LOGIN}.scram.ScramLoginModule required;"
    return settings


# The guard: a process between owner and broker that outlives neither


def _born(pid: int) -> str | None:
    """When a process started: its number alone may be given again. None once it is gone."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else rest[18]


def _guard(spec: dict[str, Any]) -> int:
    """Runs the broker until the owner says so, closes its end of our standard input, or is gone."""
    libc = ctypes.CDLL(None)
    guard = os.getpid()

    def die_with_guard() -> None:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != guard:
            os._exit(1)

    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(
        spec["command"], stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, preexec_fn=die_with_guard
    )
    print(child.pid, flush=True)
    os.dup2(2, 1)  # whoever reads it need not wait for our end
    owner = spec["owner"]
    ends = time.monotonic() + FIXTURE_SECONDS
    abandoned = False
    while child.poll() is None:
        watched = [woken] if owner else [woken, 0]
        ready, _, _ = select.select(watched, [], [], 0.5 if owner else None)
        signals = os.read(woken, 64) if woken in ready else b""
        asked = os.read(0, 64) if 0 in ready else None
        if asked is not None and b"t" in asked and b"k" not in asked:
            child.terminate()
        elif asked is not None and b"k" in asked:
            child.kill()
        gone = owner is not None and (_born(owner[0]) != owner[1] or time.monotonic() > ends)
        if asked == b"" or signal.SIGTERM in signals or gone:
            abandoned = True
            child.kill()
            child.wait()
    if abandoned or owner:
        _remove([Path(one) for one in spec["leavings"]])
    return 0


# The command line


def _write_addresses(path: Path, broker: Broker) -> None:
    part = path.with_name(path.name + ".part")
    known = {**broker.addresses(), "guard": str(broker._guard.pid if broker._guard else 0)}
    part.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
    part.rename(path)


def _read_addresses(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _serve(port: int, data: str | None, keep: bool, security: bool, flavour: Flavour) -> int:
    made = tempfile.mkdtemp(prefix="wrackline-broker-") if keep and data is None else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Broker.start(port, data or made, flavour=flavour, security=security) as broker:
            print(f"kafka://{broker.address}")
            print("A development broker: one node, no replication, loopback only. Ctrl-C ends it.")
            if broker.ca_path is not None:
                print(
                    f"TLS {broker.ssl_address}, TLS and users {broker.sasl_ssl_address}, users {broker.sasl_address}; "
                    f"authority {broker.ca_path}, user {USER}, password {PASSWORD}"
                )
            if data or made:
                print(f"Its data stay in {broker.data}.")
            sys.stdout.flush()
            broker.wait()
            raise BrokerError(f"the broker ended by itself; the end of its log:\n{broker.log_tail()}")
    except KeyboardInterrupt:
        return 0


def _run_command(command: list[str], security: bool, flavour: Flavour) -> int:
    proxy = free_ports(1)[0]
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker.start(flavour=flavour, security=security, advertise_proxy=proxy))
        file = broker.data / "addresses"
        _write_addresses(file, broker)
        environment = {
            **os.environ,
            "WRACKLINE_TEST_BROKER": broker.address,
            "WRACKLINE_TEST_BROKER_FILE": str(file),
        }
        try:
            child = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise BrokerError(f"{command[0]}: {error.strerror}") from None
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
        status = child.wait()
    return status if status >= 0 else 128 - status


def _fixture(action: str, file: Path) -> int:
    """For ctest: a broker that stays when this command ends, until `stop` or until the caller's process is gone."""
    known = _read_addresses(file)
    guard = int(known.get("guard", 0))
    alive = guard != 0 and _born(guard) is not None
    if action == "start":
        if alive:
            raise BrokerError(f"another run of these tests has its broker at {known['broker']} ({file})")
        file.parent.mkdir(parents=True, exist_ok=True)
        log = file.with_suffix(".log")
        log.unlink(missing_ok=True)
        broker = Broker(
            prepare(),
            _java(),
            security=True,
            advertise_proxy=free_ports(1)[0],
            owner=os.getppid(),
            files=[file],
            log=log,
        )
        try:
            broker._begin()
            _write_addresses(file, broker)
        except BaseException:
            broker._end(b"k", STOP_SECONDS)
            raise
        print(f"broker at {broker.address}, log in {log}")
        return 0
    if not alive:
        print(f"the broker is gone already; its log is {file.with_suffix('.log')}")
        return 1
    os.kill(guard, signal.SIGTERM)
    ends = time.monotonic() + STOP_SECONDS
    while _born(guard) is not None and time.monotonic() < ends:
        time.sleep(0.02)
    return 0 if _born(guard) is None else 1


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--flavour", choices=["test", "bench"], default="test", help="bench: Java as in production")
    parser.add_argument("--security", action="store_true", help="also listeners with TLS and users, and ACLs")


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if arguments[:1] == ["_guard"]:
        return _guard(json.loads(arguments[1]))
    script = "python -m wrackline.testing.broker"
    try:
        if arguments[:1] == ["run"]:
            parser = argparse.ArgumentParser(prog=f"{script} run", description="A broker for one command.")
            _options(parser)
            parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND...")
            given = parser.parse_args(arguments[1:])
            command = given.command[1:] if given.command[:1] == ["--"] else given.command
            if not command:
                parser.error("which command?")
            return _run_command(command, given.security, given.flavour)
        if arguments[:1] == ["fixture"]:
            parser = argparse.ArgumentParser(prog=f"{script} fixture", description="A broker for a run of ctest.")
            parser.add_argument("action", choices=["start", "stop"])
            parser.add_argument("file", type=Path)
            given = parser.parse_args(arguments[1:])
            return _fixture(given.action, given.file)
        parser = argparse.ArgumentParser(
            prog=script,
            description="A development broker: Apache Kafka, one node, no replication, loopback only.",
            epilog=f"{script} run -- COMMAND... starts one for a command.",
        )
        parser.add_argument("--port", type=int, default=9092, help="0: any that is free (default: %(default)s)")
        parser.add_argument("--data", metavar="DIR", help="where its data are and stay (default: temporary)")
        parser.add_argument("--keep", action="store_true", help="temporary data stay")
        _options(parser)
        given = parser.parse_args(arguments)
        return _serve(given.port, given.data, given.keep, given.security, given.flavour)
    except BrokerError as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

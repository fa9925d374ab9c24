"""What tests ask a broker by hand, in Kafka's own protocol: deletions, rights, and who is in a group.

Programs of users need none of it. The versions are the last ones without flexible fields, which brokers still speak.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from types import TracebackType

CREATE_TOPICS = (19, 4)  # key, version
DELETE_TOPICS = (20, 3)
CREATE_ACLS = (30, 1)
DELETE_GROUPS = (42, 1)
OFFSET_DELETE = (47, 0)
DESCRIBE_GROUPS = (15, 4)
LEAVE_GROUP = (13, 3)
FIND_COORDINATOR = (10, 2)


class Resource(IntEnum):
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Operation(IntEnum):
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8


COORDINATOR_NOT_READY = (14, 15, 16)  # loading, not available, not this one


class BrokerRefusedError(RuntimeError):
    """The broker answered with an error code."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what}: code {code}")
        self.code = code


class Wire:
    """One connection to a broker that is the only one. `address` is HOST:PORT."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._channel = socket.create_connection((host, int(port)), timeout=30)
        self._correlation = 0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        self._channel.close()

    def create_topic(self, name: str, partitions: int, settings: Mapping[str, str] | None = None) -> None:
        configs = _array(_text(key) + _text(value) for key, value in (settings or {}).items())
        topic = _text(name) + struct.pack(">ih", partitions, 1) + _array(()) + configs
        answer = self._ask(CREATE_TOPICS, _array([topic]) + struct.pack(">ib", 30_000, 0))
        answer.skip(4)  # throttle time
        for _ in range(answer.number()):
            answer.text()
            code, message = answer.short(), answer.text()
            _check(code, f"creating {name}: {message}")

    def delete_topic(self, *names: str) -> None:
        answer = self._ask(DELETE_TOPICS, _array(map(_text, names)) + struct.pack(">i", 30_000))
        answer.skip(4)
        for _ in range(answer.number()):
            name = answer.text()
            _check(answer.short(), f"deleting {name}")

    def delete_group(self, name: str) -> None:
        """All its offsets. It must have no member."""
        answer = self._ask(DELETE_GROUPS, _array([_text(name)]))
        answer.skip(4)
        for _ in range(answer.number()):
            answer.text()
            _check(answer.short(), f"deleting group {name}")

    def members(self, group: str) -> dict[str, str]:
        """Instance by member id."""
        answer = self._ask(DESCRIBE_GROUPS, _array([_text(group)]) + b"\0")
        answer.skip(4)
        found = {}
        for _ in range(answer.number()):
            _check(answer.short(), f"describing group {group}")
            for _ in range(4):  # group, state, kind of protocol, protocol
                answer.text()
            for _ in range(answer.number()):
                member, instance = answer.text(), answer.text()
                answer.text()  # client id
                answer.text()  # host
                answer.bytes()
                answer.bytes()
                found[member or ""] = instance or ""
            answer.skip(4)  # operations
        return found

    def allow(self, user: str, resource: Resource, name: str, *operations: Operation, prefix: bool = False) -> None:
        """An ACL. `prefix`: of all names that begin so."""
        rules = [
            struct.pack(">b", resource)
            + _text(name)
            + struct.pack(">b", 4 if prefix else 3)
            + _text(f"User:{user}")
            + _text("*")
            + struct.pack(">bb", operation, 3)
            for operation in operations
        ]
        answer = self._ask(CREATE_ACLS, _array(rules))
        answer.skip(4)
        for _ in range(answer.number()):
            code, message = answer.short(), answer.text()
            _check(code, f"allowing {user} {name}: {message}")

    def _ask(self, what: tuple[int, int], body: bytes) -> _Answer:
        self._correlation += 1
        request = struct.pack(">hhi", *what, self._correlation) + _text("test") + body
        self._channel.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", self._read(4))
        return _Answer(self._read(length)[4:])

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._channel.recv(length - len(data))
            if not more:
                raise ConnectionResetError("the broker closed the connection")
            data += more
        return data


class _Answer:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def skip(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def short(self) -> int:
        return int(struct.unpack(">h", self.skip(2))[0])

    def number(self) -> int:
        return int(struct.unpack(">i", self.skip(4))[0])

    def text(self) -> str | None:
        length = self.short()
        return None if length < 0 else self.skip(length).decode()

    def bytes(self) -> None:
        self.skip(max(0, self.number()))


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _array(items: Iterable[bytes]) -> bytes:
    made: Sequence[bytes] = list(items)
    return struct.pack(">i", len(made)) + b"".join(made)


def _check(code: int, what: str) -> None:
    if code != 0:
        raise BrokerRefusedError(what, code)

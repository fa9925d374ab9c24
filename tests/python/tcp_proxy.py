"""A TCP proxy in front of a Kafka broker that loses, holds and delays what a network may lose, hold and delay.

It reads Kafka's framing (requests by their API key, answers by their correlation id) and rewrites nothing, so the
broker has to tell clients the proxy's address:

    with TcpProxy() as proxy, Broker.start(advertise_proxy=proxy.port) as broker:
        proxy.target = broker.proxied_port
        ...                              # clients use proxy.address
        proxy.hold(Api.END_TXN)          # the next one stays here, and its connection with it
        ...                              # the client gives up and asks again on another connection
        proxy.release()                  # now it arrives, over a connection of its own

As a program, for tests in other languages; it ends with its standard input:

    tcp_proxy.py --target HOST:PORT [--port PORT]

It prints `ready HOST:PORT`, then one line for each line that it reads: `ok`, what was asked for, or `error WHY`.

    hold KEY [COUNT [SECONDS]]           drop KEY [COUNT]                 lose KEY [COUNT]
    release -> how many                  held -> how many                 late KEY -> the last late answer, in hex, or -
    count KEY -> how many                cut -> how many connections      reset
    blackhole on|off                     refuse on|off                    quit

KEY is a number or a name, as 26 or END_TXN.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

HOST = "127.0.0.1"
CALL_SECONDS = 30.0
PORT_SECONDS = 120.0  # how long the program waits for a port that another test has

T = TypeVar("T")


class Api(IntEnum):
    """API keys of the protocol that tests name."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28
    CONSUMER_GROUP_HEARTBEAT = 68


class LateAnswer(NamedTuple):
    """What the broker answered to a request that was held: `body` is what follows the correlation id."""

    key: int
    version: int
    body: bytes


@dataclass
class _Rule:
    left: int  # requests that it still applies to
    seconds: float | None = None


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    keys: dict[int, int] = field(default_factory=dict)  # of the requests under way, by correlation id
    task: asyncio.Task[None] | None = None


class TcpProxy:
    """Listens from the start; `target`, the broker's port, may be set later. Methods may be called from any thread."""

    def __init__(self, target: int | None = None, port: int = 0) -> None:
        self.target = target
        self._counts: Counter[int] = Counter()
        self._held = 0
        self._late: list[LateAnswer] = []
        self._holds: dict[int, _Rule] = {}
        self._drops: dict[int, _Rule] = {}
        self._losses: dict[int, _Rule] = {}
        self._connections: set[_Connection] = set()
        self._deliveries: set[asyncio.Task[bytes]] = set()
        self._server: asyncio.Server | None = None
        listener = self._listen(port)
        self.port: int = listener.getsockname()[1]
        self.address = f"{HOST}:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._thread.start()
        self._on_loop(self._start(listener))

    # What happens to requests

    def hold(self, key: int, count: int = 1, seconds: float | None = None) -> None:
        """The next `count` requests stay here, for `seconds` or until `release`; then they reach the broker over a
        fresh connection. Nothing behind one of them on its connection moves until then. A client that is still there
        gets the answer, and `late` has it in any case."""
        self._do(lambda: self._holds.__setitem__(key, _Rule(count, seconds)))

    def release(self) -> int:
        """Delivers what is held now, waits for the broker's answers, and ends `hold`. Returns how many there were."""
        return self._on_loop(self._release())

    def drop(self, key: int, count: int = 1) -> None:
        """The answers of the next `count` requests are lost, and their connections with them: the broker did it."""
        self._do(lambda: self._drops.__setitem__(key, _Rule(count)))

    def lose(self, key: int, count: int = 1) -> None:
        """The next `count` requests are lost, and their connections with them: the broker never sees them."""
        self._do(lambda: self._losses.__setitem__(key, _Rule(count)))

    # What happens to connections

    def cut(self) -> int:
        """Closes all connections. What is held stays held. Returns how many there were."""
        return self._on_loop(self._cut())

    def blackhole(self, on: bool = True) -> None:
        """Connections stay open, new ones are accepted, and nothing moves in either direction."""
        self._do(self._flowing.clear if on else self._flowing.set)

    def refuse(self, on: bool = True) -> None:
        """New connections are refused; those that are open go on."""
        self._on_loop(self._stop_listening() if on else self._start(None))

    def reset(self) -> None:
        """Back to a good network, with counts of 0. What is held is delivered."""
        for rules in (self._holds, self._drops, self._losses):
            self._do(rules.clear)
        self.blackhole(False)
        self.refuse(False)
        self.release()
        self._do(self._counts.clear)
        self._do(self._late.clear)

    # What happened

    def count(self, key: int) -> int:
        """Requests that reached the proxy, whatever became of them."""
        return self._counts[key]

    @property
    def held(self) -> int:
        """Requests that are held now."""
        return self._held

    def late(self, key: int) -> list[LateAnswer]:
        """What the broker answered to the requests that were held, oldest first."""
        return [answer for answer in self._late if answer.key == key]

    def close(self) -> None:
        """Closes everything. What is held is never delivered."""
        if not self._thread.is_alive():
            return
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # On the loop's thread

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def _do(self, what: Callable[[], object]) -> None:
        async def call() -> None:
            what()

        self._on_loop(call())

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            listener.close()
            raise
        return listener

    async def _start(self, listener: socket.socket | None) -> None:
        if listener is not None:  # the first time
            self._flowing = asyncio.Event()
            self._flowing.set()
            self._released = asyncio.Event()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=listener or self._listen(self.port))

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> int:
        open_now = list(self._connections)
        for one in open_now:
            if one.task is not None:
                one.task.cancel()
        await asyncio.gather(*(one.task for one in open_now if one.task is not None), return_exceptions=True)
        return len(open_now)

    async def _release(self) -> int:
        self._holds.clear()
        waiting = list(self._deliveries)
        self._released.set()
        self._released = asyncio.Event()
        await asyncio.gather(*waiting, return_exceptions=True)
        return len(waiting)

    async def _close(self) -> None:
        await self._stop_listening()
        for delivery in self._deliveries:
            delivery.cancel()
        await self._cut()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed just now is told so

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections.add(connection)

        def ended(_: asyncio.Task[None]) -> None:  # also of a task that was cancelled before it began
            self._connections.discard(connection)
            writer.close()

        connection.task = asyncio.ensure_future(self._serve(connection, reader))
        connection.task.add_done_callback(ended)

    async def _serve(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        upstream: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            # Cancelled by `cut`; a connection that breaks is what this is for.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._flowing.wait()
                answers, upstream = await asyncio.open_connection(HOST, self.target)
                pumps = [
                    asyncio.ensure_future(self._pump_requests(connection, reader, upstream)),
                    asyncio.ensure_future(self._pump_answers(connection, answers)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            if upstream is not None:
                upstream.close()

    async def _pump_requests(
        self, connection: _Connection, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter
    ) -> None:
        while True:
            frame = await _read_frame(reader)
            await self._flowing.wait()
            key, _, correlation = struct.unpack(">hhi", frame[:8])
            self._counts[key] += 1
            if _applies(self._losses, key):
                return
            hold = self._holds.get(key)
            if hold is not None and _applies(self._holds, key):
                delivery = asyncio.ensure_future(self._deliver_late(frame, hold.seconds))
                self._deliveries.add(delivery)
                delivery.add_done_callback(self._deliveries.discard)
                connection.client.write(await asyncio.shield(delivery))
                continue
            connection.keys[correlation] = key
            upstream.write(struct.pack(">i", len(frame)) + frame)
            await upstream.drain()

    async def _pump_answers(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        while True:
            frame = await _read_frame(reader)
            await self._flowing.wait()
            (correlation,) = struct.unpack(">i", frame[:4])
            key = connection.keys.pop(correlation, -1)
            if _applies(self._drops, key):
                return
            connection.client.write(struct.pack(">i", len(frame)) + frame)
            await connection.client.drain()

    async def _deliver_late(self, frame: bytes, seconds: float | None) -> bytes:
        """Waits, sends the request over a connection of its own, and returns the answer with its length."""
        self._held += 1
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._released.wait(), seconds)
        finally:
            self._held -= 1
        reader, writer = await asyncio.open_connection(HOST, self.target)
        try:
            writer.write(struct.pack(">i", len(frame)) + frame)
            answer = await _read_frame(reader)
        finally:
            writer.close()
        key, version = struct.unpack(">hh", frame[:4])
        self._late.append(LateAnswer(key, version, answer[4:]))
        return struct.pack(">i", len(answer)) + answer


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def _applies(rules: dict[int, _Rule], key: int) -> bool:
    rule = rules.get(key)
    if rule is None:
        return False
    rule.left -= 1
    if rule.left <= 0:
        del rules[key]
    return True


# As a program


def _key(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else Api[text.upper()]


def _on(text: str) -> bool:
    return {"on": True, "off": False}[text]


def obey(proxy: TcpProxy, line: str) -> str:
    """Does what one line says, and returns the answer."""
    verb, *given = line.split()
    match verb, given:
        case "hold", [key]:
            proxy.hold(_key(key))
        case "hold", [key, count]:
            proxy.hold(_key(key), int(count))
        case "hold", [key, count, seconds]:
            proxy.hold(_key(key), int(count), float(seconds))
        case "drop", [key, *count]:
            proxy.drop(_key(key), *map(int, count))
        case "lose", [key, *count]:
            proxy.lose(_key(key), *map(int, count))
        case "release", []:
            return str(proxy.release())
        case "held", []:
            return str(proxy.held)
        case "late", [key]:
            answers = proxy.late(_key(key))
            return answers[-1].body.hex() if answers else "-"
        case "count", [key]:
            return str(proxy.count(_key(key)))
        case "cut", []:
            return str(proxy.cut())
        case "reset", []:
            proxy.reset()
        case "blackhole", [on]:
            proxy.blackhole(_on(on))
        case "refuse", [on]:
            proxy.refuse(_on(on))
        case _:
            raise ValueError("no such command")
    return "ok"


def main() -> int:
    parser = argparse.ArgumentParser(description="A TCP proxy in front of a Kafka broker, driven by standard input.")
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the broker's listener for a proxy")
    parser.add_argument("--port", type=int, default=0, help="waited for when another test has it")
    given = parser.parse_args()
    ends = time.monotonic() + PORT_SECONDS
    while True:
        try:
            proxy = TcpProxy(int(given.target.rpartition(":")[2]), given.port)
            break
        except OSError as error:
            if time.monotonic() > ends:
                print(f"error {error}", flush=True)
                return 1
            time.sleep(0.05)
    with proxy:
        print(f"ready {proxy.address}", flush=True)
        for line in sys.stdin:
            if not line.strip():
                continue
            if line.strip() == "quit":
                print("ok", flush=True)
                break
            try:
                print(obey(proxy, line), flush=True)
            except Exception as error:
                print(f"error {type(error).__name__}: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

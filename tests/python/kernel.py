"""A Jupyter kernel of a test's own, cell by cell."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

_SECONDS = 60.0


@dataclass
class Output:
    """One message of a cell. `own`: it belongs to this cell and not to an earlier one."""

    kind: str
    content: Mapping[str, Any]
    own: bool
    at: float

    @property
    def text(self) -> str:
        return str(self.content.get("text") or self.content.get("data", {}).get("text/plain", ""))

    @property
    def display(self) -> str:
        return str(self.content.get("transient", {}).get("display_id", ""))


@dataclass
class Cell:
    """What a cell put out until the kernel was idle."""

    outputs: list[Output] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Output]:
        return [one for one in self.outputs if one.kind in kinds]

    @property
    def result(self) -> str:
        """The value of its last line, as text. Fails if the cell did."""
        errors = [f"{one.content['ename']}: {one.content['evalue']}" for one in self.of("error")]
        assert errors == []
        return "".join(one.text for one in self.of("execute_result"))

    @property
    def error(self) -> str:
        """What it raised."""
        (error,) = self.of("error")
        return f"{error.content['ename']}: {error.content['evalue']}"

    @property
    def stderr(self) -> str:
        return "".join(one.text for one in self.of("stream") if one.content["name"] == "stderr")


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client

    def run(self, code: str, *, interrupt_at: Callable[[Output], bool] | None = None) -> Cell:
        """Runs a cell to its end; presses the stop button once, at the first output that `interrupt_at` holds for."""
        cell, begin = Cell(), time.monotonic()
        message_id = self._client.execute(code)
        while True:
            assert time.monotonic() - begin < _SECONDS, "the cell did not end"
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            own = message["parent_header"].get("msg_id") == message_id
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and own and content["execution_state"] == "idle":
                return cell
            cell.outputs.append(Output(kind, content, own, time.monotonic() - begin))
            if interrupt_at is not None and interrupt_at(cell.outputs[-1]):
                self._manager.interrupt_kernel()
                interrupt_at = None


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Kernel]:
    """A kernel in `folder`, which also keeps what Jupyter wants to keep."""
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "connection.json"))
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=_SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.cleanup_resources()

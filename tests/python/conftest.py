"""Logs of a test are its own, and so is the directory for state. A Kafka broker is shared unless a test kills it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# How long an example takes on a busy machine is no property of the code.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

if TYPE_CHECKING:
    from wrackline.testing.broker import Broker


@pytest.fixture(autouse=True)
def _own_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jobs keep their state under the working directory unless told otherwise."""
    folder = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """HOST:PORT of a broker for all tests: that of WRACKLINE_TEST_BROKER, otherwise one that is started. Not to be
    killed; topics and groups of a test need names of their own."""
    given = os.environ.get("WRACKLINE_TEST_BROKER")
    if given:
        yield given
        return
    from wrackline.testing.broker import Broker

    with Broker.start() as started:
        yield started.address


@pytest.fixture
def own_broker() -> Iterator[Callable[..., Broker]]:
    """`Broker.start` for tests that kill theirs, or that need settings: gone when the test ends."""
    from wrackline.testing.broker import Broker

    with contextlib.ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Broker.start(*args, **kwargs))

"""The inputs of the crash tests, written once, and the answers of uninterrupted runs over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.python.crash.harness import Answer, Place, answer_of, assert_balances, make_events, write_events

SETTINGS = {"commit_rows": 50, "commit_interval": "5s", "checkpoint_interval": "1ms"}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A log with the input and nothing else; tests copy it."""
    place = Place(tmp_path_factory.mktemp("crash") / "source", dict(SETTINGS))
    write_events(place.uri, make_events(3_000, seed=7))
    return place


def _answer(source: Place, root: Path, **changes: object) -> Answer:
    place = source.copy(root)
    ended = place.finish(**changes)
    assert_balances(ended.said)
    return answer_of(place, ended.said)


@pytest.fixture(scope="session")
def wanted(source: Place, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Of an uninterrupted run, with everything in it that a crash could lose or double."""
    answer = _answer(source, tmp_path_factory.mktemp("wanted") / "place")
    assert all(answer.others.values())
    assert any(revision > 0 for _, _, revision in answer.revisions)
    return answer


@pytest.fixture(scope="session")
def every_pane(source: Place, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Of an uninterrupted run that puts out each late pane by itself."""
    return _answer(source, tmp_path_factory.mktemp("each") / "place", each=True)


@pytest.fixture
def place(source: Place, tmp_path: Path) -> Place:
    return source.copy(tmp_path / "place")


@pytest.fixture
def check(wanted: Answer, every_pane: Answer) -> Callable[[Place, dict[str, object]], None]:
    """That a place holds the answer of an uninterrupted run."""
    from tests.python.crash.harness import assert_same

    def same(place: Place, report: dict[str, object]) -> None:
        assert_balances(report)
        assert_same(answer_of(place, report), wanted, every_pane)

    return same

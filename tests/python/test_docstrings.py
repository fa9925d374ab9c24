"""Every public object has a docstring with an example; test_api.py runs the examples."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import wrackline as wl
from wrackline import testing
from wrackline.testing import broker

PUBLIC = {name: getattr(wl, name) for name in wl.__all__} | {name: getattr(testing, name) for name in testing.__all__}

# What only another process, a broken disk or a broker can show has its example as a block of code.
SHOWN_AS_CODE = {"FencedError", "CorruptionError"}


def examples(text: str | None) -> str:
    """The code of the examples in a docstring."""
    return "\n".join(one.source for one in doctest.DocTestParser().get_examples(text or ""))


def members() -> Iterator[tuple[str, type, str, Any]]:
    """Public methods and properties, with the class that is looked at: as it is written, without what is inherited
    from elsewhere."""
    for public, value in PUBLIC.items():
        if not inspect.isclass(value):
            continue
        for base in value.__mro__:
            if not base.__module__.startswith("wrackline"):
                continue
            for name, member in vars(base).items():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if not name.startswith("_") and inspect.isfunction(function):
                    yield f"{public}.{name}", value, name, function


MEMBERS = list(members())


def has_example(owner: type, name: str, function: Any) -> bool:
    """Its own, or its class's shows how it is used."""
    return bool(examples(function.__doc__)) or any(f".{name}" in examples(base.__doc__) for base in owner.__mro__)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_object_has_an_example(name: str) -> None:
    text = PUBLIC[name].__doc__
    assert examples(text) or (name in SHOWN_AS_CODE and "::\n" in text), name


@pytest.mark.parametrize(("name", "owner", "member", "function"), MEMBERS, ids=[one[0] for one in MEMBERS])
def test_a_public_member_has_a_docstring_and_an_example(name: str, owner: type, member: str, function: Any) -> None:
    assert function.__doc__, name
    assert has_example(owner, member, function) or function.__doc__.startswith("Refused: "), name


def test_a_missing_example_is_found() -> None:
    class Bare:
        """It does."""

        def work(self) -> None:
            """Works."""

        def shown(self) -> None:
            """Shown.

            >>> 1
            1
            """

    assert not has_example(Bare, "work", Bare.work)
    assert has_example(Bare, "shown", Bare.shown)


def test_the_development_broker_is_documented() -> None:
    """Its examples need Java, so they are blocks of code."""
    assert broker.__doc__
    for name in ("Broker", "prepare"):
        assert getattr(broker, name).__doc__
    for name, member in vars(broker.Broker).items():
        if not name.startswith("_") and callable(getattr(member, "__func__", member)):
            assert inspect.getdoc(member), name

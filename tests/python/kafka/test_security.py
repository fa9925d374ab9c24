"""Users, passwords, certificates, rights: what works, and what is said when it does not. Secrets are said nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.kafka import bids
from tests.python.kafka.harness import BidPlace, Feed
from tests.python.kafka.wire import Operation, Resource, Wire
from wrackline.testing.broker import PASSWORD, STRANGER, USER, Broker

pytestmark = pytest.mark.slow

WRONG = "wrong-8461"  # a password that would be noticed anywhere


@pytest.fixture(scope="module")
def secure() -> Iterator[Broker]:
    with Broker.start(security=True) as broker:
        yield broker


@pytest.fixture
def bidding(secure: Broker, tmp_path: Path) -> BidPlace:
    return BidPlace(tmp_path / "place", {"commit_interval": "50ms"}, servers=secure.address)


def as_user(user: str = USER, password: str = PASSWORD, mechanism: str = "PLAIN") -> dict[str, Any]:
    return {"sasl_mechanism": mechanism, "sasl_username": user, "sasl_password": password}


def ways(broker: Broker) -> dict[str, tuple[str | None, dict[str, Any]]]:
    """Where to connect, and how."""
    authority = {"ssl_ca_location": str(broker.ca_path)}
    scram = as_user(mechanism="SCRAM-SHA-512")
    return {
        "SSL": (broker.ssl_address, {"security_protocol": "SSL", **authority}),
        "SASL_PLAINTEXT": (broker.sasl_address, {"security_protocol": "SASL_PLAINTEXT", **as_user()}),
        "SASL_SSL": (broker.sasl_ssl_address, {"security_protocol": "SASL_SSL", **as_user(), **authority}),
        "SCRAM": (broker.sasl_ssl_address, {"security_protocol": "SASL_SSL", **scram, **authority}),
    }


@pytest.mark.parametrize("way", ["SSL", "SASL_PLAINTEXT", "SASL_SSL", "SCRAM"])
def test_a_job_runs(secure: Broker, bidding: BidPlace, way: str) -> None:
    feed = Feed(bidding)
    feed.more(2_000)
    address, options = ways(secure)[way]
    ended = bidding.finish(log=address, kafka=options)
    assert PASSWORD not in ended.err
    bidding.assert_exact(feed.sent)


def refused(bidding: BidPlace, address: str | None, options: dict[str, Any]) -> str:
    """What the error says."""
    settings = json.loads(bidding.text(log=address, kafka={"connect_timeout": "3s", **options}))
    with pytest.raises(wl.UnavailableError) as error:
        bids.build(settings).run(until="now")
    return str(error.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password(secure: Broker, bidding: BidPlace, mechanism: str, caplog: pytest.LogCaptureFixture) -> None:
    Feed(bidding)
    caplog.set_level(logging.DEBUG)
    how = {"security_protocol": "SASL_PLAINTEXT", **as_user(password=WRONG, mechanism=mechanism)}
    text = refused(bidding, secure.sasl_address, how)
    assert "uthentication" in text
    assert str(secure.sasl_address) in text
    assert WRONG not in text
    assert WRONG not in caplog.text


def test_an_unknown_authority(secure: Broker, bidding: BidPlace) -> None:
    Feed(bidding)
    text = refused(bidding, secure.ssl_address, {"security_protocol": "SSL"})
    assert "certificate" in text
    assert str(secure.ssl_address) in text


def test_without_encryption_where_it_is_asked_for(secure: Broker, bidding: BidPlace) -> None:
    Feed(bidding)
    assert str(secure.ssl_address) in refused(bidding, secure.ssl_address, {})


def test_secrets_are_shown_nowhere(secure: Broker, bidding: BidPlace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-7720"
    kafka = wl.Kafka(
        "localhost:1",
        connect_timeout="500ms",
        security_protocol="SASL_SSL",
        **as_user(password=secret),
        ssl_key_password=secret,
    )
    shown = [repr(kafka), str(kafka), kafka.uri]
    job = wl.Job("shown", log=kafka)
    shown.append(repr(job))
    with pytest.raises(wl.WracklineError) as error:
        wl.Log(kafka)
    shown += [str(error.value), caplog.text]
    with pytest.raises(wl.InvalidArgumentError) as error:
        wl.Kafka("localhost:1", sasl_pasword=secret)
    shown.append(str(error.value))
    with pytest.raises(wl.InvalidArgumentError) as error:
        wl.Kafka(f"user:{secret}@localhost:1")
    shown.append(str(error.value))
    for text in shown:
        assert secret not in text
    # And of a run that works, with everything that it logs.
    feed = Feed(bidding)
    feed.more(100)
    address, options = ways(secure)["SASL_PLAINTEXT"]
    settings = json.loads(bidding.text(log=address, kafka={**options, "debug": "security,conf"}))
    bids.build(settings).run(until="now")
    assert PASSWORD not in caplog.text.replace("sasl_password", "")


RIGHTS = [
    (Resource.TOPIC, "input", (Operation.READ, Operation.DESCRIBE)),
    (Resource.TOPIC, "outputs", (Operation.WRITE, Operation.DESCRIBE, Operation.CREATE)),
    (Resource.TOPIC, "own", (Operation.READ, Operation.WRITE, Operation.DESCRIBE, Operation.CREATE)),
    (Resource.GROUP, "group", (Operation.READ, Operation.DESCRIBE)),
    (Resource.TRANSACTIONAL_ID, "id", (Operation.WRITE, Operation.DESCRIBE)),
]


def grant(secure: Broker, place: BidPlace, without: str | None = None) -> dict[str, Any]:
    """What docs/kafka.md says that a job's user needs. Returns how the user connects."""
    names = {
        "input": place.input,
        "outputs": place.prefix,
        "own": f"{place.name}.",
        "group": place.name,
        "id": f"{place.name}-",
    }
    with Wire(secure.address) as wire:
        for resource, what, operations in RIGHTS:
            # The names of outputs and of the job's own topics begin alike here.
            if what != without and not (without == "outputs" and what == "own"):
                wire.allow(STRANGER, resource, names[what], *operations, prefix=what in ("outputs", "own", "id"))
    return {"security_protocol": "SASL_PLAINTEXT", **as_user(STRANGER)}


def test_the_rights_that_are_documented_are_enough(secure: Broker, bidding: BidPlace) -> None:
    feed = Feed(bidding)
    feed.more(1_000)
    how = grant(secure, bidding)
    bidding.finish(log=secure.sasl_address, kafka=how)
    bidding.assert_exact(feed.sent)


@pytest.mark.parametrize(
    ("without", "named"),
    [("input", "input"), ("outputs", "prefix"), ("group", "name"), ("id", "transactional")],
)
def test_a_right_is_missing(secure: Broker, bidding: BidPlace, without: str, named: str) -> None:
    Feed(bidding).more(100)
    how = grant(secure, bidding, without)
    text = refused(bidding, secure.sasl_address, how)
    assert getattr(bidding, named, named) in text
    assert "authorization" in text.lower() or "may not" in text or "needs" in text
    assert PASSWORD not in text.replace("sasl_password", "")

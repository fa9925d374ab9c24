"""What is said about brokers and options before anything is connected."""

import pytest

import wrackline as wl

SECRETS = {
    "sasl_password": "s3cret-1",
    "ssl_key_password": "s3cret-2",
    "ssl_keystore_password": "s3cret-3",
}


def test_building_a_job_on_kafka_connects_nothing() -> None:
    job = wl.Job("j", log=wl.Kafka("nowhere.invalid:9092", security_protocol="SASL_SSL", sasl_password="s3cret"))
    assert "nowhere.invalid:9092" in repr(job)
    assert "s3cret" not in repr(job)
    assert wl.Job("j", log="kafka://a:9092,b:9092")


def test_secrets_are_not_shown() -> None:
    shown = repr(wl.Kafka("h:1", **SECRETS))
    assert "s3cret" not in shown
    assert shown.count("***") == len(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_nor_in_errors(name: str) -> None:
    with pytest.raises(wl.InvalidArgumentError) as caught:
        wl.Kafka("h:1", **{name: "s3cret", "linger_ms": "soon"})
    assert "linger.ms" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sasl_usrname": "ann"}, "did you mean 'sasl.username'"),
        ({"linger_ms": "soon"}, "linger.ms"),
        ({"compression_type": "lz5"}, "compression.type"),
        ({"group_id": "mine"}, "the job's name"),
        ({"isolation_level": "read_uncommitted"}, "reads what is committed"),
        ({"transaction_timeout_ms": 5}, "transaction_timeout="),
        ({"enable_auto_commit": True}, "committed with the results"),
        ({"auto_offset_reset": "latest"}, "never a silent jump"),
        ({"connect_timeout": "0s"}, "connect.timeout"),
        ({"linger_ms": None}, "linger_ms is a str, a number or a bool"),
    ],
)
def test_wrong_options_say_what_is_right(options: dict[str, object], said: str) -> None:
    with pytest.raises(wl.InvalidArgumentError) as caught:
        wl.Kafka("h:1", **options)  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize("address", ["kafka://", "kafka://ann:pass@host:9092", "kafka://host:9092/topic"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(wl.InvalidArgumentError) as caught:
        wl.Job("j", log=address)
    assert "kafka://HOST:PORT" in str(caught.value)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"guarantee": "exactly-once"}, "guarantee is 'exactly_once' or 'at_least_once', not 'exactly-once'"),
        ({"membership": "cooperative"}, "membership is 'static' or 'dynamic'"),
        ({"workers": 0}, "workers must be > 0"),
        ({"transaction_timeout": "0s"}, "transaction_timeout must be > 0"),
    ],
)
def test_options_of_the_job(options: dict[str, object], said: str) -> None:
    with pytest.raises(wl.InvalidJobError) as caught:
        wl.Job("j", log="kafka://h:1", **options)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_no_broker_is_an_error_in_time_that_names_it() -> None:
    with pytest.raises(wl.UnavailableError) as caught:
        wl.Log(wl.Kafka("127.0.0.1:1", connect_timeout="500ms"))
    assert "127.0.0.1:1" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "connect_timeout" in str(caught.value)


def test_workers_need_kafka(tmp_path: object) -> None:
    class Row(wl.Schema):
        k: str
        ts: int

    with wl.Log(f"local:{tmp_path}/log") as log:
        log.create("t", partitions=2)
        log.append("t", [{"k": "a", "ts": 1_700_000_000_000}])
    job = wl.Job("j", log=f"local:{tmp_path}/log", state_dir=f"{tmp_path}/state", workers=2)
    job.read("t", Row, time="ts", out_of_orderness="1s").write("out")
    with pytest.raises(wl.InvalidJobError, match=r"workers: .* one member"):
        job.run(until="now")

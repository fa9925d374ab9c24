"""Files and functions of jobs on Kafka: with several workers, and several runs that share a job."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.kafka.harness import own_name, wait_for

pytestmark = pytest.mark.slow

START = 1_700_000_000_000
SCHEMA = {"k": str, "v": int, "ts": int}


def append(log: wl.Log, topic: str, first: int, count: int) -> None:
    rows = [{"k": f"k{i % 9}", "v": i, "ts": START + i} for i in range(first, first + count)]
    log.append(topic, rows, key="k")


def values(directory: Path) -> list[int]:
    names = os.listdir(directory) if directory.exists() else []
    parts = [directory / name for name in names if name.startswith("part-")]
    return sorted(json.loads(line)["v"] for part in parts for line in part.read_text().splitlines())


class Shared:
    """A job that several runs may share."""

    def __init__(self, broker: str, root: Path) -> None:
        self.uri, self.root = f"kafka://{broker}", root
        self.name = own_name() + "sinks"
        self.topic = self.name + "-in"
        self.called: list[int] = []

    def job(self, **options: Any) -> wl.Job:
        job = wl.Job(self.name, log=self.uri, state_dir=str(self.root / "state"), commit_interval="50ms", **options)
        read = job.read(self.topic, SCHEMA, time="ts", out_of_orderness="1s", partitioned_by="k")
        read.write_ndjson(self.root / "out", every="100ms")
        read.write(lambda rows: self.called.extend(row["v"] for row in rows.rows()))
        return job


@pytest.fixture
def shared(broker: str, tmp_path: Path) -> Shared:
    return Shared(broker, tmp_path)


def test_two_workers_and_a_run_behind_them(shared: Shared) -> None:
    with wl.Log(shared.uri) as log:
        log.create(shared.topic, partitions=4)
        append(log, shared.topic, 0, 2_000)
        shared.job(workers=2).run(until="now")
        assert values(shared.root / "out") == list(range(2_000))
        assert sorted(shared.called) == list(range(2_000))
        assert len(log.read(f"{shared.name}.read.ndjson")) == 0
        assert len(log.read(f"{shared.name}.read.function")) == 0
        append(log, shared.topic, 2_000, 500)
        shared.job(workers=2).run(until="now")
        assert values(shared.root / "out") == list(range(2_500))
        assert sorted(shared.called) == list(range(2_500))
        shared.called.clear()
        shared.job(workers=2).run(until="now", fresh=True)
        assert values(shared.root / "out") == list(range(2_500))
        assert sorted(shared.called) == list(range(2_500))


def test_one_of_several_runs_delivers_and_another_takes_over(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    with wl.Log(shared.uri) as log, caplog.at_level(logging.INFO):
        log.create(shared.topic, partitions=4)
        append(log, shared.topic, 0, 1_000)
        with shared.job().start() as first:
            wait_for("1,000 rows", lambda: values(shared.root / "out") == list(range(1_000)))
            with shared.job().start() as second:
                append(log, shared.topic, 1_000, 1_000)
                wait_for("2,000 rows", lambda: values(shared.root / "out") == list(range(2_000)))
                first.stop()
                append(log, shared.topic, 2_000, 1_000)
                wait_for("3,000 rows", lambda: values(shared.root / "out") == list(range(3_000)))
                second.stop()
        assert set(shared.called) == set(range(3_000))
        assert caplog.text.count("another process of the job writes there") == 1
        assert values(shared.root / "out") == list(range(3_000))


def test_a_topic_that_was_made_anew_is_told(shared: Shared, broker: str) -> None:
    """Another log has other topics; so has this one under another name."""
    with wl.Log(shared.uri) as log:
        log.create(shared.topic, partitions=4)
        append(log, shared.topic, 0, 100)
        shared.job().run(until="now")
        said = json.loads((shared.root / "out" / "_wrackline.json").read_text())
        said["origin"]["topic_id"] = "another"
        (shared.root / "out" / "_wrackline.json").write_text(json.dumps(said))
        with pytest.raises(wl.InvalidJobError, match=r"earlier topic .*fresh=True"):
            shared.job().run(until="now")


def test_a_dead_letter_that_the_log_would_not_take_as_a_row_is_cut(shared: Shared) -> None:
    """Its bytes are base64 there. It was nearly too large already."""
    value = b"x" * 990_000
    with wl.Log(shared.uri) as log:
        log.create(shared.topic)
        log.append(shared.topic, [value, b"short", {"k": "a", "v": 1, "ts": START}])
        job = wl.Job(shared.name, log=shared.uri, state_dir=str(shared.root / "state"))
        job.read(shared.topic, SCHEMA, time="ts", out_of_orderness="1s")
        got: list[dict[str, Any]] = []
        job.dead_letters.write(lambda rows: got.extend(rows.rows()))
        assert job.run(until="now").rows == 3
    large, small = got
    assert value.startswith(large["value"])
    assert len(large["value"]) > 700_000
    assert f"bytes of 990000, sha256 {hashlib.sha256(value).hexdigest()})" in large["message"]
    assert small["value"] == b"short"
    assert "sha256" not in small["message"]

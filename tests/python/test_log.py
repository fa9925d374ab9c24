"""The log as scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import wrackline as wl
from wrackline import _core


@pytest.fixture(params=["memory:", "local:"])
def lg(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    uri = request.param if request.param == "memory:" else f"local:{tmp_path / 'log'}"
    with wl.Log(uri) as log:
        yield log


def test_rows_come_back_as_they_went_in(lg: wl.Log) -> None:
    lg.create("t")
    rows = [{"a": 1, "b": "ä\n", "c": None, "d": [1, {"x": 2.5}]}, {"a": 2}]
    assert lg.append("t", rows) == 2
    assert lg.read("t").rows() == rows
    assert len(lg.read("t")) == 2
    assert [one.offset for one in lg.read("t")] == [0, 1]


def test_datetimes_and_bytes_become_json(lg: wl.Log) -> None:
    lg.create("t")
    lg.append("t", [{"at": datetime(2024, 2, 29, 12), "aware": datetime(2024, 2, 29, 12, tzinfo=UTC), "raw": b"\xff"}])
    assert lg.read("t").rows() == [{"at": "2024-02-29T12:00:00Z", "aware": "2024-02-29T12:00:00Z", "raw": "/w=="}]


def test_lines_and_tombstones_go_as_they_are(lg: wl.Log) -> None:
    lg.create("t")
    lg.append("t", [b"{broken", "text", None, b""])
    assert [one.value for one in lg.read("t")] == [b"{broken", b"text", None, b""]


def test_frames_become_json_rows(lg: wl.Log) -> None:
    lg.create("t")
    frame = pl.DataFrame({"k": ["a", "b"], "v": [1.5, None], "at": [datetime(2024, 1, 1, tzinfo=UTC)] * 2})
    assert lg.append("t", frame, key="k", timestamps="at") == 2
    assert lg.read("t").rows() == [
        {"k": "a", "v": 1.5, "at": 1704067200000},
        {"k": "b", "v": None, "at": 1704067200000},
    ]
    assert [(one.key, one.timestamp) for one in lg.read("t")] == [(b"a", 1704067200000), (b"b", 1704067200000)]


def test_keys_choose_the_partition_as_kafka_does(lg: wl.Log) -> None:
    lg.create("dicts", partitions=4)
    lg.create("frame", partitions=4)
    rows = [{"k": f"key-{i % 10}", "i": i} for i in range(100)]
    lg.append("dicts", rows, key="k")
    lg.append("frame", pl.DataFrame(rows), key="k")
    for topic in ("dicts", "frame"):
        placed = {(one.partition, one.key) for one in lg.read(topic)}
        assert len(placed) == 10  # each key in one partition
        assert all(partition == _core.partition_of(key, 4) for partition, key in placed if key is not None)
        for partition in range(4):
            own = lg.read(topic, partition=partition).rows()
            assert own == sorted(own, key=lambda row: row["i"])
    # murmur2 of Kafka's own test: "21" has hash -973932308.
    assert _core.partition_of(b"21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000


def test_several_columns_make_a_json_key(lg: wl.Log) -> None:
    lg.create("t")
    lg.append("t", [{"a": "x", "b": 1}], key=["a", "b"])
    lg.append("t", pl.DataFrame({"a": ["x"], "b": [1]}), key=["a", "b"])
    assert [one.key for one in lg.read("t")] == [b'["x",1]', b'["x",1]']


def test_without_a_key_records_go_round(lg: wl.Log) -> None:
    lg.create("t", partitions=3)
    for i in range(6):
        lg.append("t", [{"i": i}])
    assert [len(lg.read("t", partition=p)) for p in range(3)] == [2, 2, 2]


def test_timestamps_by_list_and_by_column(lg: wl.Log) -> None:
    lg.create("t")
    lg.append("t", [{"a": 1}, {"a": 2}], timestamps=[5, "1970-01-01T00:00:00.007Z"])
    lg.append("t", [{"a": 3, "at": "1970-01-01T00:00:01Z"}], timestamps="at")
    assert [one.timestamp for one in lg.read("t")] == [5, 7, 1000]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda lg: lg.append("t", {"a": 1}), "a list of dicts"),
        (lambda lg: lg.append("t", [{"a": float("nan")}]), "row 0 is no JSON"),
        (lambda lg: lg.append("t", [{"a": object()}]), "row 0 is no JSON"),
        (lambda lg: lg.append("t", [1]), "row 0 is a int"),
        (lambda lg: lg.append("t", [{"a": 1}], key="b"), "row 0 has no 'b' for its key"),
        (lambda lg: lg.append("t", [b"x"], key="b"), "row 0 is no dict"),
        (lambda lg: lg.append("t", [{"a": 1}], timestamps=[1, 2]), "1 rows but 2 timestamps"),
        (lambda lg: lg.append("t", [{"a": 1}], partition=1), "partitions 0 to 0"),
        (lambda lg: lg.append("t", pl.DataFrame({"a": [1]}), key="b"), 'key="b" is no column'),
        (lambda lg: lg.append("t", pl.DataFrame({"a": ["x"]}), timestamps="a"), "no integer or timestamp column"),
        (lambda lg: lg.read("t", isolation="dirty"), "isolation is"),
    ],
)
def test_mistakes_name_the_row_or_the_setting(lg: wl.Log, call: Any, said: str) -> None:
    lg.create("t")
    with pytest.raises(wl.InvalidArgumentError) as caught:
        call(lg)
    assert said in str(caught.value)
    assert len(lg.read("t")) == 0


def test_unknown_topics_and_other_partition_counts(lg: wl.Log) -> None:
    lg.create("readings")
    lg.create("readings")
    with pytest.raises(wl.AlreadyExistsError, match="readings"):
        lg.create("readings", partitions=2)
    with pytest.raises(wl.NotFoundError, match="readings"):
        lg.read("reading")
    with pytest.raises(LookupError):
        lg.append("nothing", [{"a": 1}])


def test_trim_drops_the_oldest(lg: wl.Log) -> None:
    lg.create("t")
    lg.append("t", [{"i": i} for i in range(5)])
    lg.trim("t", before=3)
    assert [row["i"] for row in lg.read("t").rows()] == [3, 4]


def test_to_polars_and_metadata(lg: wl.Log) -> None:
    lg.create("t")
    assert lg.read("t").to_polars().is_empty()
    lg.append("t", [{"a": i, "b": None if i < 200 else "x"} for i in range(300)])
    lg.append("t", [None])
    frame = lg.read("t").to_polars()
    assert frame.shape == (300, 2)
    assert frame["b"].to_list()[-1] == "x"
    assert lg.read("t").to_polars(metadata=True)["_offset"].to_list() == list(range(300))


def test_logs_with_a_name_are_shared_in_the_process() -> None:
    with wl.Log("memory:shared") as one, wl.Log("memory:shared") as two:
        one.create("t")
        assert [topic.name for topic in two.topics()] == ["t"]
    with wl.Log("memory:") as one, wl.Log("memory:") as two:
        one.create("t")
        assert two.topics() == []


@pytest.mark.parametrize("uri", ["", "file:x", "local:", "data"])
def test_addresses_that_are_none(uri: str) -> None:
    with pytest.raises(wl.InvalidArgumentError, match="memory:"):
        wl.Log(uri)


def test_a_closed_log_says_so() -> None:
    lg = wl.Log("memory:")
    lg.close()
    lg.close()
    assert "closed" in repr(lg)
    with pytest.raises(wl.InvalidArgumentError, match="closed"):
        lg.topics()


OTHER = """
import json, sys
import wrackline as wl
try:
    with wl.Log(sys.argv[1], read_only=sys.argv[2] == "read") as lg:
        print(json.dumps(lg.read("t").rows()))
        lg.append("t", [{"i": 2}])
except wl.UnavailableError as error:
    print(json.dumps(str(error)))
"""


def other(uri: str, how: str) -> list[Any]:
    done = subprocess.run([sys.executable, "-c", OTHER, uri, how], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_process_writes_and_others_read(tmp_path: Path) -> None:
    uri = f"local:{tmp_path / 'log'}"
    with wl.Log(uri) as lg:
        lg.create("t")
        lg.append("t", [{"i": 1}])
        rows, refused = other(uri, "read")
        assert rows == [{"i": 1}]
        assert "read" in refused
        (refused,) = other(uri, "write")
        assert str(os.getpid()) in refused  # which process holds it
    rows = other(uri, "write")[0]
    assert rows == [{"i": 1}]
    with wl.Log(uri) as lg:
        assert lg.read("t").rows() == [{"i": 1}, {"i": 2}]

"""What a job says of itself: what it holds, and why nothing comes out."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wrackline as wl

START = 1_700_000_100_000  # full five minutes


def fleet(log: wl.Log, **options: Any) -> tuple[wl.Job, Any]:
    job = wl.Job("fleet", log=log)
    schema = {"k": str, "id": str, "ts": int}
    read = job.read("in", schema, time="ts", out_of_orderness="30s", partitioned_by="k", **options)
    counts = read.dedup("id", within="24h").key_by("k").window(wl.tumbling("5m"), allowed_lateness="10m")
    made = counts.agg(n=wl.count())
    made.write("out")
    return job, made


@pytest.fixture
def log() -> wl.Log:
    made = wl.Log("memory:")
    made.create("in", partitions=2)
    made.append("in", [{"k": "a", "id": "x", "ts": START + 10_000}], partition=0)
    made.append("in", [{"k": "b", "id": "y", "ts": START + 210_000}], partition=1)
    return made


def test_it_says_what_steps_hold_and_what_frees_it(log: wl.Log) -> None:
    job, _ = fleet(log)
    said = job.explain()
    assert [one.name for one in said.steps] == ["read", "dedup", "window"]
    assert said.watermark == "W = the largest event time - 30s, of each partition by itself"
    assert "freed when W reaches it + 10m" in said.steps[2].state
    assert "an id; freed when W passes its time + " in said.steps[1].state
    assert "it has not run in this process" in repr(said)


def test_it_says_which_partition_holds_the_next_window_back(log: wl.Log) -> None:
    job, _ = fleet(log)
    result = job.run(until="now")
    end = datetime.fromtimestamp((START // 300_000 + 1) * 300, UTC)
    # Partition 1 is nearer to the end of its window.
    expected = (
        f"window: 2 windows are open; the next fires when the watermark of partition 1 reaches {end:%Y-%m-%dT%H:%M:%S}"
    )
    assert result.why[0].startswith(expected)
    assert result.why[0] in repr(result)
    assert job.explain().why[0].startswith(expected)
    assert job.run(until="now").why == ("no new records: earlier runs have taken 2; fresh=True starts over",)
    with job.start() as running:
        log.append("in", [{"k": "b", "id": "z", "ts": START + 900_000}], partition=1)
        while running.stats.rows_taken == 0:
            pass
        while "partition 0" not in job.explain().why[0]:
            pass
        assert "now:" in repr(job.explain())


def test_collect_without_rows_says_why(log: wl.Log, caplog: pytest.LogCaptureFixture) -> None:
    _, counts = fleet(log)
    with caplog.at_level(logging.WARNING, logger="wrackline"):
        assert len(counts.collect()) == 0
    (said,) = [one.getMessage() for one in caplog.records if "no rows" in one.getMessage()]
    assert "2 windows are open" in said
    assert said.endswith("close=True closes what is open")
    caplog.clear()
    assert len(counts.collect(close=True)) == 2
    assert not caplog.records


def test_partitions_whose_records_are_all_refused_are_named() -> None:
    log = wl.Log("memory:")
    log.create("in", partitions=1)
    log.append("in", [{"k": "a", "id": "x", "ts": 1}])  # before not_before
    job, _ = fleet(log)
    job.run(until="now")
    assert job.explain().why[0].startswith("partition 0: every record so far was refused")


@given(
    times=st.lists(st.integers(0, 500), min_size=1, max_size=30),
    slide=st.integers(1, 20),
    factor=st.integers(1, 5),
    more=st.integers(0, 19),
    bound=st.integers(0, 100),
)
def test_any_windows_that_are_open_are_counted(
    times: list[int], slide: int, factor: int, more: int, bound: int
) -> None:
    size = slide * factor + min(more, slide - 1)
    log = wl.Log("memory:")
    log.create("in", partitions=1)
    log.append("in", [{"ts": START + one} for one in times])
    job = wl.Job("windows", log=log)
    read = job.read("in", {"ts": int}, time="ts", out_of_orderness=f"{bound}ms" if bound else 0)
    read.key_by().window(wl.hopping(f"{size}ms", f"{slide}ms")).agg(n=wl.count()).write("out")
    job.run(until="now")
    watermark = -(2**63)
    ends = set()
    for one in times:
        t = START + one
        first = (t - size) // slide * slide + slide
        ends |= {start + size for start in range(first, t + 1, slide) if start + size > watermark}
        watermark = max(watermark, t - bound)
    still = sorted(end for end in ends if end > watermark)
    (task,) = job._last_status.tasks  # type: ignore[union-attr]
    step = task["steps"]["window"]
    assert step["open_windows"] == len(still)
    assert not still or step["next_end"] == still[0]


def test_in_a_notebook_it_is_a_table(log: wl.Log) -> None:
    class Text(HTMLParser):
        said = ""

        def handle_data(self, data: str) -> None:
            self.said += data + "\n"

    job, _ = fleet(log)
    job.run(until="now")
    text = Text()
    text.feed(job.explain()._repr_html_())
    assert "partition" in text.said
    assert "2 windows are open" in text.said


def bad_rows(good: int, bad: int) -> list[bytes]:
    rows = [b'{"v": 1, "ts": %d}' % (START + i) for i in range(good)]
    return [*rows, *([b"broken"] * bad)]


@pytest.mark.parametrize(("limit", "ends"), [("5%", True), ("60%", False), (10, True), (100, False), (None, False)])
def test_too_many_dead_letters_end_a_run_before_they_are_committed(limit: Any, ends: bool) -> None:
    log = wl.Log("memory:")
    log.create("in", partitions=1)
    log.append("in", bad_rows(100, 100))
    job = wl.Job("deploy", log=log, max_dead_letters=limit)
    job.read("in", {"v": int, "ts": int}, time="ts", out_of_orderness="0s").write("out")
    if not ends:
        assert job.run(until="now").ledger["read"].dead_lettered == 100
        return
    with pytest.raises(wl.JobFailedError) as caught:
        job.run(until="now")
    assert "100 of 200 records became dead letters within a minute, more than max_dead_letters allows" in str(
        caught.value
    )
    assert "step 'read', decode:" in str(caught.value)
    assert len(log.read("deploy.dead")) == 0
    again = wl.Job("deploy", log=log)
    again.read("in", {"v": int, "ts": int}, time="ts", out_of_orderness="0s").write("out")
    assert again.run(until="now").ledger["read"].in_ == 200


def test_few_records_are_no_share() -> None:
    log = wl.Log("memory:")
    log.create("in", partitions=1)
    log.append("in", bad_rows(1, 20))
    job = wl.Job("few", log=log, max_dead_letters="5%")
    job.read("in", {"v": int, "ts": int}, time="ts", out_of_orderness="0s").write("out")
    assert job.run(until="now").ledger["read"].dead_lettered == 20


@pytest.mark.parametrize("limit", ["5", "0%", "100%", 0, -1, True, 0.05, "five"])
def test_limits_that_are_none(limit: Any) -> None:
    with pytest.raises(wl.InvalidJobError, match="max_dead_letters is a share"):
        wl.Job("job", max_dead_letters=limit)

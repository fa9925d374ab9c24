"""What a job says of itself: what it holds, and why nothing comes out."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
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


def rekeyed(log: wl.Log, topics: Any = "wide", **options: Any) -> wl.Job:
    job = wl.Job("rekeyed", log=log)
    read = job.read(topics, {"k": str, "ts": int}, time="ts", out_of_orderness="10s", **options)
    read.key_by("k").window(wl.tumbling("1m")).agg(n=wl.count()).write("counts")
    return job


def at(*seconds: int) -> list[dict[str, Any]]:
    return [{"k": "a", "ts": START + second * 1_000} for second in seconds]


@given(st.lists(st.lists(st.integers(0, 200), max_size=4), min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_any_partition_that_is_named_is_the_one_to_wait_for(parts: list[list[int]]) -> None:
    """Behind a re-key: what the message asks for, record by record, makes rows come out, and 1 ms less does not."""
    with wl.Log("memory:") as log:
        log.create("wide", partitions=len(parts))
        for number, seconds in enumerate(parts):
            if seconds:
                log.append("wide", at(*seconds), partition=number)
        job = rekeyed(log)
        said = job.run(until="now").why
        rows = len(log.read("counts"))
        if not any(parts):
            assert said == ()
            return
        asked = 0
        while said:
            found = re.search(r"the watermark of (partitions? [\d, and]+) of 'wide' reaches (\S+);", said[0])
            assert found is not None, said
            wait_for = int(datetime.fromisoformat(found[2]).timestamp() * 1000) + 10_000
            named = [int(one) for one in re.findall(r"\d+", found[1])]
            before, rows = rows, len(log.read("counts"))
            if rows > before:
                break
            for number in named:
                log.append("wide", [{"k": "b", "ts": wait_for - 1}], partition=number)
            assert any("'wide' reaches" in line for line in job.run(until="now").why)
            assert len(log.read("counts")) == rows, "1 ms too early"
            for number in named:
                log.append("wide", [{"k": "b", "ts": wait_for}], partition=number)
            said = job.run(until="now").why
            asked += 1
            assert asked <= len(parts), "it names one partition after the other"
        assert asked <= len(parts)


def test_it_shows_the_stages_and_what_judges_and_frees_in_each() -> None:
    with wl.Log("memory:") as log:
        log.create("wide", partitions=3)
        job = rekeyed(log)
        assert job.explain().stages[0] == "stage 0 reads 'wide'"
        log.append("wide", at(0), partition=0)
        result = job.run(until="now")
        assert result.why == (
            "window: 1 window is open; the next fires when the watermark of partitions 1 and 2 of 'wide' "
            "reaches 2023-11-14T22:16:00.000Z; it has no watermark yet, and no record has come in this run",
        )
        said = job.explain()
        assert said.stages[0] == "stage 0 reads 'wide' (3 partitions)"
        assert said.stages[1].startswith(
            "stage rekey-window reads 'rekeyed.rekey-window' (3 partitions), rows of stage 0"
        )
        assert [(one.name, one.stage) for one in said.steps] == [("read", 0), ("window", 1)]
        assert said.steps[1].judged == "W of the partition that the record was read from, before it"
        text = repr(said)
        assert text.index("stage 0") < text.index("stage rekey-window") < text.index("judged by W of the partition")
        assert re.search(r"window +1 +1 ", text)


def test_of_merged_topics_it_names_the_one_that_is_behind() -> None:
    with wl.Log("memory:") as log:
        for topic in ("a", "b"):
            log.create(topic)
        log.append("a", at(0))
        job = rekeyed(log, ["a", "b"])
        assert job.run(until="now").why[0].endswith("; nothing has come from 'b' yet")
        log.append("b", at(-30))
        (why,) = job.run(until="now").why
        assert "when the watermark of partition 0 of 'b' reaches 2023-11-14T22:15:00.000Z; it stands at" in why
        assert "it stands at 2023-11-14T22:14:20.000Z" in why


def test_idle_inputs_are_left_out_and_named() -> None:
    with wl.Log("memory:") as log:
        log.create("wide", partitions=2)
        job = rekeyed(log, idle_after="400ms")
        log.append("wide", at(0), partition=0)
        log.append("wide", at(1), partition=1)
        with job.start():
            while "and all inputs are idle: new records move it" not in "".join(job.explain().why):
                pass
        with job.start() as running:
            second = 1
            while "; idle, and left out: partition 0 of 'wide'" not in (why := "".join(job.explain().why)):
                log.append("wide", at(second % 20), partition=1)
                second += 1
                while running.stats.rows_taken < second - 1:
                    pass
            assert "when the watermark of partition 1 of 'wide' reaches" in why


def test_a_window_over_another_stage_names_the_input_that_holds_both() -> None:
    with wl.Log("memory:") as log:
        log.create("wide", partitions=2)
        job = wl.Job("chain", log=log)
        read = job.read("wide", {"k": str, "j": str, "ts": int}, time="ts", out_of_orderness="10s")
        small = read.key_by("k", "j").window(wl.tumbling("1m")).agg(n=wl.count())
        small.key_by("k").window(wl.tumbling("5m")).agg(n=wl.sum("n")).write("out")
        rows = [{"k": str(i), "j": "j", "ts": START} for i in range(20)]
        log.append("wide", rows, partition=0)
        log.append("wide", [{**row, "ts": START + 250_000} for row in rows], partition=1)
        job.run(until="now")
        log.append("wide", [{**row, "ts": START + 130_000} for row in rows], partition=0)
        why = job.run(until="now").why
        assert "watermark of partition 0 of 'wide' reaches 2023-11-14T22:18:00.000Z" in why[0]
        assert why[1].startswith(
            "window_2: 2 windows are open; the next fires when the watermark behind stage 'rekey-window' "
        )
        assert why[1].endswith(
            "reaches 2023-11-14T22:20:00.000Z; partition 0 of 'wide' held it at 2023-11-14T22:17:00.000Z"
        )


WORDS: list[tuple[wl.Window, dict[str, Any], str]] = [
    (wl.tumbling("5m"), {}, "bytes a key and window; fires when W reaches its end, which frees it"),
    (wl.calendar("day"), {"allowed_lateness": "1h"}, "bytes a key and window; .*freed when W reaches it \\+ 1h"),
    (wl.tumbling("5m"), {"emit": "final_only", "allowed_lateness": "1h"}, "fires when W reaches its end \\+ 1h, which"),
    (
        wl.hopping("5m", "2m"),
        {},
        "a key and slice of 1m; a window fires .*a slice is freed when W reaches the end of its",
    ),
    (wl.session("5m"), {}, "bytes a session; fires when W passes its end, which frees it"),
    (wl.rolling("5m"), {}, "bytes a record; comes out when W passes its time, freed when W passes its time \\+ 5m"),
    (wl.count_window(1_000), {}, "bytes a key; freed with its 1,000th record, by no watermark"),
    (wl.global_window(), {"early_rows": 5}, "bytes a key; never freed"),
]


@pytest.mark.parametrize(("window", "options", "said"), WORDS, ids=repr)
def test_each_window_says_what_it_keeps_and_what_frees_it(window: wl.Window, options: Any, said: str) -> None:
    keyed = wl.Job("words").read(wl.from_records([{"k": "a", "v": 1, "ts": 1}]), time="ts").key_by("k")
    keyed.window(window, **options).agg(n=wl.count(), all=wl.collect("v"))
    (step,) = [one for one in keyed.stream._job.explain().steps if one.judged]
    assert re.search(said.replace("; ", ".*; ", 1), step.state)
    assert re.match(r"\d+ bytes a .*, and for all: 16 bytes a value;", step.state)


@pytest.mark.parametrize("window", [wl.tumbling("5m"), wl.hopping("5m", "1m"), wl.session("5m")], ids=repr)
@pytest.mark.parametrize("lists", [False, True])
def test_what_it_says_of_bytes_is_what_is_taken(window: wl.Window, lists: bool) -> None:
    keys, values = 20_000, 10
    log = wl.Log("memory:")
    log.create("in")
    rows = [{"k": key, "v": value, "ts": START} for value in range(values) for key in range(keys)]
    for begin in range(0, len(rows), 50_000):
        log.append("in", rows[begin : begin + 50_000])
    job = wl.Job("bytes", log=log)
    keyed = job.read("in", {"k": int, "v": int, "ts": int}, time="ts", out_of_orderness="1m").key_by("k")
    more: dict[str, Any] = {"all": wl.collect("v")} if lists else {}
    keyed.window(window).agg(n=wl.count(), total=wl.sum("v"), **more).write("out")
    job.run(until="now")
    (step,) = [one for one in job.explain().steps if one.judged]
    told = int(step.state.split(" ", 1)[0]) + (16 * values if lists else 0)
    (task,) = job._last_status.tasks  # type: ignore[union-attr]
    held = task["steps"]["window"]
    assert held["entries"] == keys
    # Tables grow by doubling; each list is an object of its own.
    assert 0.8 * told < held["state_bytes"] / keys < 2.5 * told + (100 if lists else 0)


def test_a_run_may_be_explained_from_within_itself() -> None:
    said: list[str] = []
    log = wl.Log("memory:")
    log.create("wide", partitions=2)
    job = rekeyed(log)
    job._plan.stages()
    log.append("wide", at(0, 300), partition=0)
    log.append("wide", at(0, 300), partition=1)
    job.run(until="now", progress=lambda stats: said.append(repr(job.explain())))
    job.explain()
    other = wl.Job("function", log=log)
    read = other.read("wide", {"k": str, "ts": int}, time="ts", out_of_orderness="10s")
    read.write(lambda rows: said.append(repr(other.explain())))
    other.run(until="now")
    assert "now:" in said[-1]

"""Runs: to the end, for a while, in the background; what they leave, and going on from it."""

from __future__ import annotations

import io
import logging
import math
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.progress import ProgressLine

START = 1_700_000_000_000
SCHEMA = {"k": str, "v": int, "ts": int}


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"k": f"k{i % 3}", "v": i, "ts": START + i * 100} for i in range(first, first + count)]


@pytest.fixture(params=["memory:", "local:"])
def lg(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    uri = request.param if request.param == "memory:" else f"local:{tmp_path / 'log'}"
    with wl.Log(uri) as log:
        log.create("readings")
        yield log


def sums(log: wl.Log, **options: Any) -> wl.Job:
    job = wl.Job("sums", log=log, **options)
    stream = job.read("readings", SCHEMA, time="ts", out_of_orderness="1s")
    stream.key_by("k").window(wl.tumbling("1s")).agg(n=wl.count(), total=wl.sum("v")).write("sums")
    job.late.write("late")
    return job


def test_runs_go_on_where_the_last_one_ended(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 100))
    first = sums(lg).run(until="now")
    assert first.rows == 100
    assert sums(lg).run(until="now").rows == 0
    lg.append("readings", rows(100, 100))
    second = sums(lg).run(until="now", close=True)
    assert second.rows == 100
    assert second.ledger["read"].in_ == 200
    assert second.ledger.balances
    assert second.ledger["window"].held == 0
    got = lg.read("sums").rows()
    assert sum(row["n"] for row in got) == 200
    assert sum(row["total"] for row in got) == sum(range(200))
    assert len({(row["k"], row["window_start"]) for row in got}) == len(got)


def test_rows_end_a_run_exactly_there(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 5_000))
    assert sums(lg).run(rows=1_234).rows == 1_234
    assert sums(lg).run(rows=10).rows == 10
    assert sums(lg).ledger()["read"].in_ == 1_244


def test_seconds_end_a_run(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))
    before = time.monotonic()
    result = sums(lg).run(seconds=0.2)
    assert 0.1 < time.monotonic() - before < 10
    assert result.rows == 10


def test_the_ledger_is_that_of_the_last_commit(lg: wl.Log) -> None:
    job = sums(lg)
    with pytest.raises(wl.NotFoundError, match="has not committed anything"):
        job.ledger()
    lg.append("readings", [*rows(0, 50), b"{broken", None])
    result = job.run(until="now")
    ledger = job.ledger()
    assert {step: counts.as_dict() for step, counts in ledger.items()} == {
        step: counts.as_dict() for step, counts in result.ledger.items()
    }
    assert (ledger["read"].in_, ledger["read"].dead_lettered, ledger["read"].skipped) == (52, 1, 1)
    assert ledger.balances
    assert "balances" in repr(ledger)
    frame = ledger.to_polars()
    assert frame["step"].to_list() == ["read", "window"]
    assert frame["in"].to_list() == [52, 50]


def test_dead_letters_keep_the_bytes_and_say_why(lg: wl.Log) -> None:
    lg.append("readings", [{"k": "a", "v": "x", "ts": START}, b"\xff{", {"k": "a", "v": 1, "ts": None}, *rows(0, 1)])
    sums(lg).run(until="now")
    letters = lg.read("sums.dead").records()
    assert [one.header("wl.reason") for one in letters] == ["schema", "decode", "timestamp"]
    assert letters[1].value == b"\xff{"
    assert {one.header("__streams.errors.topic") for one in letters} == {"readings"}
    assert [one.header("__streams.errors.offset") for one in letters] == ["0", "1", "2"]
    assert {one.header("wl.job") for one in letters} == {"sums"}


# rule: 3.7
def test_late_rows_that_nobody_writes_are_said(lg: wl.Log, caplog: pytest.LogCaptureFixture) -> None:
    lg.append("readings", [*rows(0, 100), *rows(0, 5)])
    job = wl.Job("quiet", log=lg)
    stream = job.read("readings", SCHEMA, time="ts", out_of_orderness="1s")
    counts = stream.key_by("k").window(wl.tumbling("1s")).agg(n=wl.count())
    counts.write("counts")
    with caplog.at_level(logging.WARNING, "wrackline"):
        job.run(until="now")
    assert "step 'window': 5 late rows were counted but not written" in caplog.text
    caplog.clear()
    counts.late.filter("late_by_ms", ">", 0).write("late-2")
    with caplog.at_level(logging.WARNING, "wrackline"):
        job.run(until="now", fresh=True)
    assert "not written" not in caplog.text
    assert len(lg.read("late-2")) == 5


# rule: 3.7
def test_job_late_is_of_all_steps_also_those_added_later(lg: wl.Log) -> None:
    lg.append("readings", [*rows(0, 600), *rows(0, 5), *rows(560, 20)])
    job = wl.Job("late", log=lg)
    stream = job.read("readings", SCHEMA, time="ts", out_of_orderness="1s")
    job.late.write("late")
    job.late.filter("reason", "==", "dedup").write("late-dedup")
    clean = stream.dedup("k", "v", within="1s", allowed_lateness="5s")
    clean.key_by("k").window(wl.tumbling("1s")).agg(n=wl.count()).write("counts")
    job.run(until="now")
    late = lg.read("late").rows()
    assert {row["reason"] for row in late} == {"dedup"}  # what dedup lets pass are duplicates, not late
    assert lg.read("late-dedup").rows() == late
    assert job.late.collect().rows(times="ms")[0]["late_by_ms"] == late[0]["late_by_ms"]


def test_start_runs_in_the_background(lg: wl.Log) -> None:
    job = sums(lg, commit_interval="10ms")
    with job.start() as running:
        lg.append("readings", rows(0, 100))
        wait_until(lambda: running.ledger.get("read") is not None and running.ledger["read"].in_ == 100)
        assert running.is_alive
        assert running.stats.rows_taken == 100
        assert job.ledger()["read"].in_ == 100
        assert "runs" in repr(running)
    assert not running.is_alive
    assert "ended" in repr(running)
    assert sums(lg).run(until="now").rows == 0


def test_what_ends_a_background_run_is_raised_by_wait(lg: wl.Log) -> None:
    job = wl.Job("nothing", log=lg)
    job.read("missing", SCHEMA, time="ts", out_of_orderness=0).write("out")
    with pytest.raises(wl.NotFoundError, match="missing"):
        job.start().wait()


def test_a_running_job_does_not_outlive_the_program(tmp_path: Path) -> None:
    import subprocess

    script = textwrap.dedent(
        """
        import wrackline as wl
        lg = wl.Log("memory:")
        lg.create("t")
        job = wl.Job("j", log=lg)
        job.read("t", {"ts": int}, time="ts", out_of_orderness=0).write("out")
        running = job.start()
        print("end")
        """
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_collect_commits_nothing_and_joins_nothing(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 100))
    job = sums(lg)
    stream = wl.Job("other", log=lg).read("readings", SCHEMA, time="ts", out_of_orderness=0)
    before = [topic.name for topic in lg.topics()]
    assert len(stream.collect()) == 100
    assert len(stream.filter("v", "<", 10).collect()) == 10
    assert len(stream.collect(rows=7)) == 7
    assert [topic.name for topic in lg.topics()] == before
    assert job.run(until="now").rows == 100


def test_collect_beside_the_process_that_writes(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 50))
    with sums(lg, commit_interval="10ms").start():
        other = wl.Job("look", log=lg.uri if lg.uri.startswith("local:") else lg)
        assert len(other.read("readings", SCHEMA, time="ts", out_of_orderness=0).collect()) == 50


def test_collect_shows_last_revisions_or_all() -> None:
    given = [{"k": "a", "v": 1, "ts": 5}, {"k": "a", "v": 2, "ts": 25}, {"k": "a", "v": 4, "ts": 6}]
    job = wl.Job("panes")
    stream = job.read(wl.from_records(given), time="ts", out_of_orderness=0)
    windows = stream.key_by("k").window(wl.tumbling(10), allowed_lateness=100, emit_late="each")
    totals = windows.agg(total=wl.sum("v"))
    wanted = [(0, 0, "on_time", 1), (0, 1, "late", 5), (20, 0, "on_time", 2)]
    every = totals.collect(revisions="all").rows(times="ms")
    assert [(row["window_start"], row["revision"], row["pane"], row["total"]) for row in every] == wanted
    last = totals.collect().rows(times="ms")
    assert [(row["window_start"], row["revision"], row["pane"], row["total"]) for row in last] == wanted[1:]
    kept = totals.filter("total", ">", 1).collect().rows(times="ms")
    assert [(row["window_start"], row["total"]) for row in kept] == [(0, 5), (20, 2)]


@settings(max_examples=60, derandomize=True)
@given(
    st.lists(
        st.tuples(st.none() | st.text(max_size=20), st.sampled_from([0.0, -0.0, math.nan, 1.5]), st.integers(0, 40)),
        max_size=40,
    )
)
def test_collect_shows_the_last_row_of_each_key_and_window_in_the_order_of_rows(rows: list[Any]) -> None:
    """Of any keys: of NaN there is one, and 0.0 is -0.0."""
    given_rows = [{"k": k, "x": x, "ts": ts} for k, x, ts in rows]
    source = wl.from_records(given_rows, {"k": str | None, "x": float, "ts": int})
    stream = wl.Job("any").read(source, time="ts", out_of_orderness=0).key_by("k", "x")
    panes = stream.window(wl.hopping(10, 5), allowed_lateness=50, emit_late="each", null_key="group").agg(n=wl.count())
    every = panes.collect(revisions="all").rows(times="ms")

    def name(row: dict[str, Any]) -> Any:
        return row["k"], repr(abs(row["x"])), row["window_start"]

    last = {name(row): at for at, row in enumerate(every)}
    wanted = [repr(row) for at, row in enumerate(every) if last[name(row)] == at]
    assert [repr(row) for row in panes.collect().rows(times="ms")] == wanted


def test_progress_gets_stats_and_its_errors_end_the_run(lg: wl.Log) -> None:
    seen: list[wl.Stats] = []
    lg.append("readings", rows(0, 10))
    sums(lg).run(seconds=0.7, progress=seen.append)
    assert seen
    assert seen[-1].rows_taken == 10
    assert seen[-1].phase == "running"

    def fail(stats: wl.Stats) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        sums(lg).run(progress=fail)
    assert sums(lg).run(until="now").rows == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 200])
def test_the_progress_line_is_rewritten_on_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()
    line = ProgressLine("fleet", out)
    stats = wl.Stats(rows_taken=1_234, rows_total=5_000, late=3, watermark=START, phase="running")
    line.show(stats, wl.Ledger({}))
    line.end(stats, wl.Ledger({}))
    text = out.getvalue()
    assert text.count("\r") == 2
    assert "fleet: 1,234 of 5,000 rows" in text
    assert ("watermark 2023-11-14T22:13:20.000Z, 3 late, 0 dead" in text) == (columns == 200)
    assert all(
        len(line) < columns for line in text.rstrip("\n").split("\r")
    )  # one that wraps could not be written over
    assert text.endswith("\n")


def test_elsewhere_it_is_a_line_now_and_then() -> None:
    out = io.StringIO()
    line = ProgressLine("fleet", out)
    for _ in range(100):
        line.show(wl.Stats(), wl.Ledger({}))
    assert out.getvalue() == ""
    line.end(wl.Stats(), wl.Ledger({}))
    assert out.getvalue().count("\n") == 1
    assert "watermark -inf" in out.getvalue()


def test_ctrl_c_ends_in_order_and_handlers_are_given_back(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))
    before = signal.getsignal(signal.SIGINT)
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    assert sums(lg).run().rows == 10
    assert signal.getsignal(signal.SIGINT) is before
    assert sums(lg).run(until="now").rows == 0


def test_the_second_ctrl_c_does_not_wait(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 10))

    def twice(stats: wl.Stats) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sums(lg).run(progress=twice)
    assert signal.getsignal(signal.SIGINT) is before
    sums(lg).run(until="now")
    assert sums(lg).ledger()["read"].in_ == 10


def test_options_that_contradict_each_other(lg: wl.Log) -> None:
    for options in (
        {"until": "tomorrow"},
        {"close": True},
        {"rows": 0},
        {"seconds": 0},
        {"replay": "yes"},
        {"resume": "yes"},
    ):
        with pytest.raises(wl.InvalidArgumentError):
            sums(lg).run(**options)
    with pytest.raises(wl.InvalidArgumentError, match="unknown option fresher="):
        sums(lg).start(fresher=True)
    with pytest.raises(wl.InvalidJobError, match="no step"):
        sums(lg).run(until="now", reset="windows")


def test_a_job_that_reads_nothing() -> None:
    job = wl.Job("empty")
    with pytest.raises(wl.InvalidJobError, match="reads nothing"):
        job.run()
    with pytest.raises(wl.InvalidJobError, match="reads nothing"):
        _ = job.dead_letters
    assert "reads nothing yet" in repr(job)


# rule: 2.11 2.16
def test_idle_input_closes_its_windows(lg: wl.Log) -> None:
    lg.append("readings", rows(0, 1))
    job = wl.Job("idle", log=lg, commit_interval="10ms")
    stream = job.read("readings", SCHEMA, time="ts", out_of_orderness=0, idle_after="50ms", idle_advance="close")
    stream.key_by("k").window(wl.tumbling(100)).agg(n=wl.count()).write("counts")
    with job.start():
        wait_until(lambda: any(topic.name == "counts" for topic in lg.topics()) and len(lg.read("counts")) == 1)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_run_of_a_job_does_not_disturb_the_first() -> None:
    with wl.Log("memory:") as log:
        log.create("readings")
        jobs = [wl.Job("fleet", log=log) for _ in range(2)]
        for job in jobs:
            job.read("readings", {"ts": int}, time="ts", out_of_orderness=0).write("out")
        with jobs[0].start(rows=1) as running:
            for call in (jobs[1].run, jobs[1].start):
                with pytest.raises(wl.UnavailableError, match="job 'fleet' runs already"):
                    call()
            log.append("readings", [{"ts": 1_700_000_000_000}])
            stats = running.wait(timeout=60).stats
        assert (stats.rows_taken, stats.recoveries) == (1, 0)
        assert jobs[1].run(until="now").rows == 0
        assert len(log.read("out")) == 1


def test_a_run_that_failed_leaves_its_name_free() -> None:
    job = wl.Job("fleet")
    rows = wl.from_records([{"v": 0, "ts": 1}])
    job.read(rows, time="ts").map(lambda v: 1 / v, returns={"x": float}, on_error="fail").write("out")
    for _ in range(2):
        with pytest.raises(wl.JobFailedError, match="ZeroDivisionError"):
            job.run()


def test_jobs_of_one_name_on_logs_of_their_own_run_at_once() -> None:
    logs = [wl.Log("memory:"), wl.Log("memory:other")]
    for log in logs:
        log.create("readings")
        log.append("readings", [{"ts": 1_700_000_000_000}])
    jobs = [wl.Job("fleet", log=log) for log in logs]
    for job in jobs:
        job.read("readings", {"ts": int}, time="ts", out_of_orderness=0).write("out")
    with jobs[0].start(), jobs[1].start(rows=1) as other:
        assert other.wait(timeout=60).rows == 1

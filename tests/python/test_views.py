"""What notebooks and terminals show of jobs, streams and runs."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest

import wrackline as wl
from tests.python.test_results import shown
from wrackline.progress import Notebook, ProgressLine, view_for

START = 1_700_000_000_000
NASTY = '<b>"&amp;'
SCHEMA = {NASTY: str, "v": float | None, "ts": int}


def rows(count: int) -> list[dict[str, Any]]:
    return [{NASTY: f"k{i % 3}", "v": float(i), "ts": START + i * 1000} for i in range(count)]


def job_of(log: wl.Log, name: str = "fleet") -> wl.Job:
    job = wl.Job(name, log=log)
    read = job.read("readings", SCHEMA, time="ts", out_of_orderness="1s")
    once = read.dedup(NASTY, "v", within="1h")
    once.duplicates.filter("v", ">", 1).write("again")
    windows = once.key_by(NASTY).window(wl.tumbling("10s")).agg(n=wl.count())
    windows.write("counts")
    job.late.write("late")
    return job


@pytest.fixture
def lg() -> wl.Log:
    log = wl.Log("memory:")
    log.create("readings")
    return log


def plain(cells: list[str]) -> list[str]:
    return [cell.replace("\u00a0", " ") for cell in cells]


def test_a_job_is_its_plan(lg: wl.Log) -> None:
    page = shown(job_of(lg))
    assert page.text[0] == "job 'fleet' on 'memory:'"
    assert [plain(row) for row in page.rows] == [
        ["read", "topic 'readings', time=\"ts\", out_of_orderness='1s'"],
        ["└ dedup", f"dedup({NASTY}, v) within 1h"],
        ["  └ filter", "dedup.duplicates: v > 1"],
        ["    → again", ""],
        ["  └ window", f'by ({NASTY}) in tumbling("10s"): n=count()'],
        ["    → counts", ""],
        ["→ late", "dedup.late, window.late"],
    ]
    assert shown(wl.Job("j")).text == ["job 'j' on 'memory:'", "reads nothing yet"]


def test_a_job_has_counts_when_it_has_run(lg: wl.Log) -> None:
    lg.append("readings", [*rows(60), *rows(30), b"{broken"])
    job = job_of(lg)
    job.run(until="now")
    header, *steps = shown(job).rows
    assert header == ["", "", "in", "out", "filtered", "duplicate", "dead lettered", "held", "rows out"]
    counts = {plain(row)[0].strip(" └"): row[2:] for row in steps}
    # 30 came again, of which v > 1 holds for 28; the watermark is at 58 s, so 5 windows of 3 keys are complete.
    assert counts["read"] == ["91", "90", "", "", "1", "", ""]
    assert counts["dedup"] == ["90", "60", "", "30", "", "", ""]
    assert counts["filter"] == ["30", "28", "2", "", "", "", ""]
    assert counts["window"] == ["60", "50", "", "", "", "10", "15"]
    assert counts["→ again"] == [""] * 7
    assert shown(job).text[-1] == "as of the last commit"
    assert len(shown(job_of(lg)).rows[0]) == 2  # another object knows nothing of that run


def test_a_job_has_counts_while_it_runs(lg: wl.Log) -> None:
    job, again = job_of(lg), job_of(lg)
    lg.append("readings", rows(60))
    with job.start(rows=60) as running:
        running.wait()
        assert "held" in shown(job).rows[0]
    with job.start() as running:
        assert again.running is running
        assert shown(again).text[-1] == "runs"
        deadline = time.monotonic() + 30
        while "held" not in shown(again).rows[0]:  # until it has recovered
            assert time.monotonic() < deadline


def test_streams_are_their_columns(lg: wl.Log) -> None:
    job = wl.Job("fleet", log=lg)
    read = job.read("readings", SCHEMA, time="ts", out_of_orderness="1s")
    columns = [[NASTY, "str", "no"], ["v", "float", "yes"], ["ts", "int", "no"]]
    page = shown(read)
    assert page.text[0] == "read"
    assert page.rows == [["column", "type", "nullable"], *columns]
    assert page.text[-1] == "a stream of job 'fleet'"
    keyed = read.key_by(NASTY)
    with_key = [[*columns[0], "key"], [*columns[1], ""], [*columns[2], ""]]
    assert shown(keyed).text[0] == f"read by ({NASTY})"
    assert shown(keyed).rows[1:] == with_key
    window = keyed.window(wl.tumbling("5m"))
    assert shown(window).text[0] == f'read by ({NASTY}) in tumbling("5m")'
    assert shown(window).rows[1:] == with_key
    counts = window.agg(n=wl.count())
    assert [row[0] for row in shown(counts).rows[1:]] == counts.schema.names
    assert ["late_by_ms", "int", "no"] in shown(counts.late).rows
    assert ["late_by_ms", "int", "no"] in shown(job.late).rows
    assert ["value", "bytes", "yes"] in shown(job.dead_letters).rows


def test_a_running_job_shows_how_it_stands(lg: wl.Log) -> None:
    lg.append("readings", rows(60))
    with job_of(lg).start(rows=60) as running:
        running.wait()
        page = shown(running)
    assert page.text[0] == "job 'fleet' has ended"
    assert "60 rows, watermark 2023-11-14T22:14:18.000Z, 0 late, 0 dead" in page.text
    assert page.rows == shown(running.ledger).rows
    with job_of(lg).start() as running:
        assert shown(running).text[0] == "job 'fleet' runs"


# ---- which view ----


class Shell:
    """Takes the place of a kernel's shell."""


class TerminalInteractiveShell(Shell):
    """IPython on a terminal."""


class Display:
    """IPython.display, as far as it is used."""

    def __init__(self) -> None:
        self.shown: list[tuple[dict[str, str], threading.Thread]] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Display:
        assert raw
        assert display_id
        return self.update(bundle, raw=True)

    def update(self, bundle: dict[str, str], *, raw: bool) -> Display:
        assert set(bundle) == {"text/html", "text/plain"}
        self.shown.append((bundle, threading.current_thread()))
        return self


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    ipython: Any = types.ModuleType("IPython")
    ipython.display = Display()
    ipython.get_ipython = Shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return ipython.display  # type: ignore[no-any-return]


def test_a_notebook_shows_a_table_that_moves(display: Display, lg: wl.Log) -> None:
    lg.append("readings", rows(60))
    result = job_of(lg).run(progress=True, seconds=1.5)
    texts = [bundle["text/plain"] for bundle, _ in display.shown]
    assert texts[0].startswith("fleet starting: 0 rows")
    assert "fleet: 60 rows" in texts[1]
    assert texts[-1].startswith("fleet has ended: 60 rows")
    assert len(texts) <= 2 + 1.5 * 4
    assert (
        result.ledger._repr_html_().partition("<table")[2].partition("</table>")[0] in display.shown[-1][0]["text/html"]
    )


def test_it_is_made_below_the_cell_and_changed_by_the_run(display: Display, lg: wl.Log) -> None:
    with job_of(lg).start(progress=True):
        assert display.shown[0][1] is threading.current_thread()
    assert display.shown[-1][1] is not threading.current_thread()
    assert display.shown[-1][0]["text/plain"].startswith("fleet has ended")


def test_what_fails_says_so(display: Display) -> None:
    job = wl.Job("j")
    job.read(wl.from_records(rows(60)), time="ts").map(lambda v: 1 / 0, returns={"x": int}, on_error="fail").write(
        "out"
    )
    with pytest.raises(wl.JobFailedError):
        job.run(progress=True)
    assert display.shown[-1][0]["text/plain"].startswith("j failed:")


def test_no_notebook(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(view_for("j"), Notebook)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", TerminalInteractiveShell)
    assert isinstance(view_for("j"), ProgressLine)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert isinstance(view_for("j"), ProgressLine)


PROGRAM = """
import sys
if "without rich" in sys.argv:
    sys.modules["rich"] = None
    sys.meta_path.insert(0, type("No", (), {"find_spec": staticmethod(
        lambda name, *_: (_ for _ in ()).throw(ImportError(name)) if name == "rich" else None)}))
import wrackline as wl
log = wl.Log("memory:")
log.create("t")
log.append("t", [{"k": "a", "ts": 1_700_000_000_000 + i} for i in range(1_000)])
job = wl.Job("fleet", log=log)
job.read("t", {"k": str, "ts": int}, time="ts", out_of_orderness=0).filter("k", "==", "b", name="few").write("out")
job.run(until="now", progress=True)
assert "IPython" not in sys.modules
print("done")
"""


def on_a_terminal(program: str, *arguments: str) -> str:
    """What a program writes on a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    done = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=theirs, stderr=theirs, stdin=theirs, env=environment
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert done.wait(timeout=60) == 0, said.decode()
    return said.decode()


def test_with_rich_a_terminal_shows_the_steps() -> None:
    said = on_a_terminal(PROGRAM)
    assert "fleet: 1,000 of 1,000 rows" in said
    assert "dead lettered" not in said  # there are none
    lines = [line for line in said.splitlines() if "few" in line]
    assert lines[-1].split()[:4] == ["few", "1,000", "0", "1,000"]
    assert said.rstrip().endswith("done")
    assert said.count("\x1b[?25h") == said.count("\x1b[?25l")  # the cursor is back


def test_without_rich_a_line() -> None:
    said = on_a_terminal(PROGRAM, "without rich")
    assert "\rfleet: 1,000 of 1,000 rows" in said
    assert "filtered" not in said
    assert said.rstrip().endswith("done")


# ---- the same job twice ----


@pytest.mark.parametrize("kind", ["memory:", "local:"])
def test_a_job_runs_once_at_a_time(kind: str, tmp_path: Path) -> None:
    uri = f"memory:{tmp_path.name}" if kind == "memory:" else f"local:{tmp_path / 'log'}"
    with wl.Log(uri) as log:
        log.create("readings")
        log.append("readings", rows(60))
        job = job_of(log)
        running = job.start()
        for again in (job, job_of(log)):
            for start in (again.start, again.run):
                with pytest.raises(wl.UnavailableError) as error:
                    start(until="now")
                assert str(error.value) == (
                    "job 'fleet' runs already, in this process and on this log: end that run first "
                    "(job.running.stop()), or give this job a name of its own; several runs of one job share "
                    "its work on Kafka alone"
                )
        with job_of(log, "another").start(until="now") as beside:
            assert beside.wait().rows == 60
        assert running.is_alive
        assert job_of(log).running is running
        assert running.stop().ledger.balances
        assert job.running is None
        assert job_of(log).run(until="now").ledger["read"].in_ == 60


def test_another_log_is_another_place(tmp_path: Path) -> None:
    logs = [wl.Log("memory:"), wl.Log("memory:")]
    for log in logs:
        log.create("readings")
    with job_of(logs[0]).start(), job_of(logs[1]).start() as second:
        assert job_of(logs[1]).running is second


def test_a_run_that_could_not_start_leaves_its_place(lg: wl.Log) -> None:
    job = job_of(lg)
    with pytest.raises(wl.InvalidJobError, match="no step"):
        job.start(reset="nothing")
    assert job.running is None
    assert job.run(until="now").rows == 0


def test_ctrl_c_in_a_wait_leaves_the_run_as_it_is(lg: wl.Log) -> None:
    import signal

    running = job_of(lg).start()
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        running.wait()
    assert running.is_alive
    lg.append("readings", rows(10))
    assert running.stop().ledger["read"].in_ <= 10
    assert not [one for one in threading.enumerate() if one.name == "wrackline-fleet"]

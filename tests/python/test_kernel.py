"""Jobs in a real Jupyter kernel: the live view, the stop button, cells that run again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.python.kernel import Kernel, Output, started

BEGIN = """
import os, tempfile, threading
import wrackline as wl

folder = tempfile.mkdtemp(dir=os.getcwd())
SCHEMA = {"k": str, "v": int, "ts": int}
lg = wl.Log(f"local:{folder}/log")
lg.create("readings")
lg.append("readings", [{"k": f"k{i % 3}", "v": i, "ts": 1_700_000_000_000 + i} for i in range(3_000)])

def build():
    job = wl.Job("fleet", log=f"local:{folder}/log", state_dir=f"{folder}/state", commit_interval="20ms")
    job.read("readings", SCHEMA, time="ts", out_of_orderness="1s").write("out")
    return job

def look():
    return wl.Job("look", log=lg).read("readings", SCHEMA, time="ts", out_of_orderness="1s")

def runs():
    return sorted(one.name for one in threading.enumerate() if one.name.startswith("wrackline"))

def open_files():
    "With locks, as long as they are held."
    files = []
    for number in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # closed meanwhile, by another thread
            pass
    return sorted(one.removeprefix(folder) for one in files if one.startswith(folder))

def slots():
    return [one for one in open_files() if "slot-" in one]
"""


@pytest.fixture(scope="module")
def running_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        with started(folder) as kernel:
            yield kernel


@pytest.fixture
def kernel(running_kernel: Kernel) -> Iterator[Kernel]:
    """With a log of 3,000 records, open for writing. A test leaves nothing behind but that."""
    assert running_kernel.run(BEGIN).result == ""
    assert running_kernel.run("runs(), slots()").result == "([], [])"
    yield running_kernel
    assert running_kernel.run("runs(), slots()").result == "([], [])"
    assert running_kernel.run("open_files() != []").result == "True"
    assert running_kernel.run("lg.close(); open_files()").result == "[]"


def has_read(output: Output) -> bool:
    return "fleet: 3,000 rows" in output.text


def test_the_stop_button_ends_a_run_in_order(kernel: Kernel) -> None:
    cell = kernel.run("build().run(progress=True)", interrupt_at=has_read)
    assert cell.result.startswith("3,000 records in this run")
    assert cell.stderr == "job 'fleet' was interrupted and ends in order; once more: at once\n"
    views = cell.of("display_data", "update_display_data")
    assert len({one.display for one in views}) == 1
    assert views[0].kind == "display_data"
    assert "fleet has ended: 3,000 rows" in views[-1].text
    assert "<table" in views[-1].content["data"]["text/html"]
    assert len(views) <= 2 + 4 * views[-1].at
    assert kernel.run("build().run(until='now').rows").result == "0"  # everything was committed
    assert kernel.run("build().ledger()['read'].in_").result == "3000"


def test_the_view_of_a_background_run_stays_below_its_cell(kernel: Kernel) -> None:
    first = kernel.run("job = build(); run = job.start(progress=True)")
    (view,) = first.of("display_data")
    second = kernel.run("import time\nwhile run.stats.rows_taken < 3_000: time.sleep(0.01)\nrun.stop()")
    changes = [one for one in first.outputs + second.outputs if one.kind == "update_display_data"]
    assert {one.display for one in changes} == {view.display}
    assert "fleet has ended: 3,000 rows" in changes[-1].text
    assert second.of("display_data") == []
    assert kernel.run("run").of("execute_result")[0].content["data"]["text/html"].startswith("<div><b>job")


def test_the_stop_button_in_collect_raises(kernel: Kernel) -> None:
    code = "look().map(lambda v: print(v) or threading.Event().wait(60) or v, returns={'v': int}).collect()"
    cell = kernel.run(code, interrupt_at=lambda output: output.text.startswith("0"))
    assert cell.error == "KeyboardInterrupt: "


def test_the_stop_button_ends_seconds_early(kernel: Kernel) -> None:
    code = (
        "look().filter('v', '<', 10).map(lambda v: print(v) or v, returns={'v': int}).collect(until=None, seconds=3600)"
    )
    cell = kernel.run(f"result = {code}", interrupt_at=lambda output: "9" in output.text)
    assert cell.result == ""
    assert "once more: at once" in cell.stderr
    assert ast.literal_eval(kernel.run("[row['v'] for row in result]").result) == list(range(10))


def test_the_stop_button_ends_a_loop_over_batches(kernel: Kernel) -> None:
    cell = kernel.run(
        "seen = []\nfor batch in look().batches():\n    seen += batch.rows()\n    print(len(seen))",
        interrupt_at=lambda output: "3000" in output.text,
    )
    assert cell.error == "KeyboardInterrupt: "
    assert kernel.run("runs(), len(seen)").result == "([], 3000)"
    awaited = kernel.run("async for batch in look().batches(until='now', rows=2_000):\n    print(len(batch))")
    assert sum(int(line) for one in awaited.of("stream") for line in one.text.split()) == 2_000


def test_the_stop_button_leaves_a_with_block(kernel: Kernel) -> None:
    code = "with build().start() as run:\n    print('in', flush=True)\n    threading.Event().wait(60)"
    cell = kernel.run(code, interrupt_at=lambda output: "in" in output.text)
    assert cell.error == "KeyboardInterrupt: "
    assert kernel.run("run.is_alive").result == "False"


def test_a_cell_that_starts_a_job_runs_again(kernel: Kernel) -> None:
    kernel.run("job = build()")
    start, one = "run = job.start()", "(['wrackline-fleet'], ['/state/fleet/slot-0'])"
    assert kernel.run(start).result == ""
    for again in (start, "job = build(); run = job.start()", "build().run()"):
        assert kernel.run(again).error == (
            "UnavailableError: job 'fleet' runs already, in this process and on this log: end that run first "
            "(job.running.stop()), or give this job a name of its own; several runs of one job share its work on "
            "Kafka alone"
        )
        assert kernel.run("runs(), slots()").result == one  # what was refused left nothing
    assert kernel.run("run.is_alive").result == "True"
    kernel.run("del run")
    for _ in range(3):  # now as often as one likes
        assert kernel.run("job.running.stop(); job = build(); run = job.start()").result == ""
        assert kernel.run("runs(), slots()").result == one
    assert kernel.run("run.stop().ledger['read'].balances").result == "True"


def test_a_cell_that_builds_and_runs_a_job_runs_again(kernel: Kernel) -> None:
    for _ in range(3):
        assert kernel.run("build().run(until='now').ledger['read'].in_").result == "3000"
        assert kernel.run("len(look().collect()), sum(map(len, look().batches(until='now')))").result == "(3000, 3000)"
        assert kernel.run("for _ in look().batches(): break").result == ""
        assert kernel.run("runs(), slots()").result == "([], [])"

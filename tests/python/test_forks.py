"""A fork while something is open: the child says so, and does not hang; the parent goes on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wrackline as wl


def in_child(work: Callable[[], object], seconds: int = 20) -> str:
    """What `work` raises in a forked child."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child == 0:
        import signal

        signal.alarm(seconds)
        try:
            work()
            said = "nothing"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the child hung or died"
    return said


def test_a_log_that_is_open_is_gone_in_the_child(tmp_path: Path) -> None:
    with wl.Log(f"local:{tmp_path / 'log'}") as log:
        log.create("t")
        log.append("t", [{"a": 1}])
        said = in_child(lambda: log.append("t", [{"a": 2}]))
        assert said.startswith("UnavailableError: this process was forked while a log or a job was open")
        assert "spawn" in said
        assert in_child(log.close) == "nothing"
        log.append("t", [{"a": 3}])
        assert [row["a"] for row in log.read("t").rows()] == [1, 3]


def test_a_job_that_runs_is_gone_in_the_child() -> None:
    log = wl.Log("memory:")
    log.create("t")
    job = wl.Job("forks", log=log)
    job.read("t", {"a": int, "ts": int}, time="ts", out_of_orderness=0).write("out")
    with job.start() as running:
        assert "forked" in in_child(lambda: running.stats)
        assert "forked" in in_child(lambda: job.run(until="now"))
        assert "forked" in in_child(running.wait)
        assert running.is_alive


def test_a_loop_over_batches_is_gone_in_the_child() -> None:
    log = wl.Log("memory:")
    log.create("t")
    log.append("t", [{"ts": 1_700_000_000_000}])
    loop: Any = iter(wl.Job("forks", log=log).read("t", {"ts": int}, time="ts", out_of_orderness=0).batches())
    assert len(next(loop)) == 1
    assert in_child(loop.close) == "nothing"
    assert "forked" in in_child(lambda: next(loop))
    log.append("t", [{"ts": 1_700_000_000_001}])
    assert len(next(loop)) == 1
    loop.close()


def test_what_is_opened_in_the_child_works(tmp_path: Path) -> None:
    def work() -> None:
        with wl.Log(f"local:{tmp_path / 'other'}") as log:
            log.create("t")
            assert log.append("t", [{"a": 1}]) == 1

    assert in_child(work) == "nothing"

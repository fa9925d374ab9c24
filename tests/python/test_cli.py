"""The command: what it prints, and how it ends."""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import wrackline as wl
from wrackline import demo
from wrackline.cli import main

LOG = "local:log"


class Said(str):
    """Standard output, with the exit code and standard error."""

    code: int
    error: str


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> Said:
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, error = capfd.readouterr()
        said = Said(out)
        said.code, said.error = code, error
        return said

    return call


@pytest.fixture
def filled() -> list[dict[str, Any]]:
    rows = [{"k": f"k{i % 3}", "v": i / 4, "name": "ä"} for i in range(20)]
    with wl.Log(LOG) as log:
        log.create("readings", partitions=3)
        log.append("readings", rows, key="k", timestamps=list(range(1_000, 1_020)))
        log.create("empty")
    return rows


SECONDS = 60


def process(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "wrackline", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_hear_interrupts,
        **options,
    )


def _hear_interrupts() -> None:
    """Whoever runs the tests in the background of a shell ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# ---- logs ----


def test_topics(command: Any, filled: list[dict[str, Any]]) -> None:
    said = command("topics", LOG)
    assert said.code == 0
    assert [line.split() for line in said.splitlines()] == [["topic", "partitions"], ["empty", "1"], ["readings", "3"]]


def test_read_prints_every_record_once(command: Any, filled: list[dict[str, Any]]) -> None:
    got = lines(command("read", LOG, "readings"))
    assert sorted((row["value"] for row in got), key=lambda row: row["v"]) == filled
    assert all(row["key"] == row["value"]["k"] for row in got)
    assert [row["timestamp"] for row in sorted(got, key=lambda row: row["value"]["v"])] == list(range(1_000, 1_020))
    by_partition = defaultdict(list)
    for row in got:
        by_partition[row["partition"]].append(row["offset"])
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())
    assert command("read", LOG, "empty") == ""


def test_read_some_of_them(command: Any, filled: list[dict[str, Any]]) -> None:
    everything = lines(command("read", LOG, "readings"))
    largest = max((row["partition"] for row in everything), key=[row["partition"] for row in everything].count)
    own = [row for row in everything if row["partition"] == largest]
    part = ("read", LOG, "readings", "--partition", str(largest))
    assert lines(command(*part)) == own
    assert lines(command(*part, "--offset", "2")) == own[2:]
    assert lines(command(*part, "--offset", "2", "--rows", "3")) == own[2:5]
    assert command(*part, "--offset", "999") == command(*part, "--rows", "0") == ""
    assert lines(command("read", LOG, "readings", "--rows", "4")) == everything[:4]
    values = command("read", LOG, "readings", "--values")
    assert lines(values) == [row["value"] for row in everything]


def test_read_what_is_no_json(command: Any) -> None:
    with wl.Log(LOG) as log:
        log.create("t")
        log.append("t", [b"plain", None, b"\xff\x00", b'"text"', b"[1]"])
    assert [row["value"] for row in lines(command("read", LOG, "t"))] == ["plain", None, "base64:/wA=", "text", [1]]


def test_read_dead_letters_with_their_reasons(command: Any) -> None:
    with wl.Log(LOG) as log:
        log.create("t")
        log.append("t", [b'{"ts": 1700000000000}', b"broken"])
    job = wl.Job("j", log=LOG)
    job.read("t", {"ts": int}, time="ts", out_of_orderness="1s").write("out")
    job.run(until="now")
    (row,) = lines(command("read", LOG, "j.dead"))
    assert (row["value"], row["headers"]["wl.reason"]) == ("broken", "decode")


def test_append_lines_of_a_file(command: Any) -> None:
    rows = [{"k": i} for i in range(3)]
    Path("rows.ndjson").write_text("\n".join(json.dumps(row) for row in rows) + "\n\nnot json\r\n", encoding="utf-8")
    said = command("append", LOG, "t", "rows.ndjson", "--create", "1")
    assert (said, said.code) == ("4 records\n", 0)
    assert command("append", LOG, "t", "rows.ndjson") == "4 records\n"
    assert command("read", LOG, "t", "--values").splitlines() == [*(json.dumps(row) for row in rows), "not json"] * 2
    with wl.Log(LOG, read_only=True) as log:
        assert log.topics() == [wl.Topic("t", 1)]


def test_append_goes_round_the_partitions_or_into_one(command: Any) -> None:
    Path("x").write_text("1\n2\n3\n4")
    command("append", LOG, "t", "x", "--create", "2")
    command("append", LOG, "t", "x", "--partition", "1")
    with wl.Log(LOG, read_only=True) as log:
        assert [log.read("t", partition=p).rows() for p in (0, 1)] == [[1, 3], [2, 4, 1, 2, 3, 4]]


def test_append_what_comes_in_as_it_comes() -> None:
    """A line is in the log before the next one is written, and half a line is not."""
    with wl.Log(LOG) as log:
        log.create("t")
    with process("append", LOG, "t") as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b'{"n": 0}\n{"half')
        running.stdin.flush()
        while rows_in("t") != [{"n": 0}]:
            assert running.poll() is None
        running.stdin.write(b'": 1}\n')
        running.stdin.flush()
        while rows_in("t") != [{"n": 0}, {"half": 1}]:
            assert running.poll() is None
        running.stdin.close()
        assert running.stdout.read() == b"2 records\n"
        assert running.wait() == 0


def rows_in(topic: str) -> list[Any]:
    with wl.Log(LOG, read_only=True) as log:
        return log.read(topic).rows()


def test_ledger(command: Any) -> None:
    rows = [{"k": "a", "ts": 1_700_000_000_000 + i} for i in range(7)]
    with wl.Log(LOG) as log:
        log.create("t")
        log.append("t", rows)
    job = wl.Job("sums", log=LOG)
    job.read("t", {"k": str, "ts": int}, time="ts", out_of_orderness="1s").filter("ts", ">", rows[2]["ts"]).write("out")
    job.run(until="now")
    said = command("ledger", LOG, "sums")
    assert said.startswith("Ledger: balances\n")
    steps = {line.split()[0]: line.split()[1:4] for line in said.splitlines()[2:]}
    assert steps["filter"] == ["7", "4", "3"]
    missing = command("ledger", LOG, "summs")
    assert (missing.code, missing.error) == (1, "wrackline: job 'summs' has not committed anything on this log\n")


# ---- errors ----


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read", LOG, "reading"], "readings"),
        (["read", LOG, "readings", "--partition", "7"], "7"),
        (["append", LOG, "reading", os.devnull], "readings"),
        (["append", LOG, "readings", "missing.ndjson"], "missing.ndjson"),
        (["append", LOG, "readings", os.devnull, "--create", "2"], "readings"),
        (["topics", "local:nothing"], "no log at"),
        (["append", "local:nothing", "t", os.devnull], "no log at"),
        (["run", "missing.py"], "there is no script 'missing.py'"),
    ],
)
def test_errors_are_one_line(command: Any, filled: Any, arguments: list[str], said: str) -> None:
    done = command(*arguments)
    assert done.code == 1
    assert done == ""
    assert re.fullmatch(rf"wrackline: [^\n]*{re.escape(said)}[^\n]*\n", done.error)
    assert not Path("nothing").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["raed", LOG], "invalid choice: 'raed'"),
        (["topics", "data"], 'a log is "memory:", "memory:NAME", "local:DIR"'),
        (["topics", "memory:x"], "a log in memory is gone with its process"),
        (["read", LOG, "t", "--rows", "-1"], "'-1' is no whole number"),
        (["read", LOG, "t", "--offset", "x"], "'x' is no whole number"),
    ],
)
def test_mistakes_in_the_call_end_with_two(command: Any, arguments: list[str], said: str) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert said in done.error
    assert done.error.startswith("usage: wrackline")


def test_a_reader_that_has_seen_enough_is_no_error(filled: Any) -> None:
    with wl.Log(LOG) as log:
        log.append("readings", [{"text": "x" * 1_000} for _ in range(2_000)])
    with process("read", LOG, "readings") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(b'{"partition":')
        running.stdout.close()
        running.stdout = None
        assert running.communicate(timeout=SECONDS)[1] == b""
        assert running.returncode == 0


def test_ctrl_c_ends_quietly(filled: Any) -> None:
    Path("wait.py").write_text("print('waiting', flush=True)\nimport threading\nthreading.Event().wait()\n")
    with process("run", "wait.py") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == b"waiting\n"
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=SECONDS) == (b"", b"")
        assert running.returncode == 130


# ---- scripts ----


def test_run_a_script_with_its_arguments(command: Any) -> None:
    Path("jobs").mkdir()
    Path("jobs/rows.py").write_text("ROWS = [{'k': 'a', 'ts': i} for i in range(5)]\n")
    Path("jobs/job.py").write_text(
        "import sys\nimport wrackline as wl\nfrom rows import ROWS\n"
        "job = wl.Job('j')\njob.read(wl.from_records(ROWS), time='ts').write('out')\n"
        "if __name__ == '__main__':\n    print(sys.argv[1:], job.run().rows)\n"
        "    sys.exit(int(sys.argv[2]))\n"
    )
    before = list(sys.argv), list(sys.path)
    done = command("run", "jobs/job.py", "--seed", "3")
    assert (done, done.code) == ("['--seed', '3'] 5\n", 3)
    assert (sys.argv, sys.path) == before
    sys.modules.pop("rows", None)


def test_an_error_in_a_job_names_the_line_of_the_script(command: Any) -> None:
    Path("job.py").write_text("import wrackline as wl\n\njob = wl.Job('j')\njob.read('t', {'ts': int}, time='tss')\n")
    done = command("run", "job.py")
    assert done.code == 1
    assert done.error == "wrackline: job.py, line 4: read: time=\"tss\" is no column; did you mean 'ts'?\n"


def test_other_errors_of_a_script_are_its_own() -> None:
    Path("job.py").write_text("1 / 0\n")
    with process("run", "job.py") as running:
        _, error = running.communicate()
    assert running.returncode == 1
    assert b"ZeroDivisionError" in error


# ---- versions and demo ----


def test_versions(command: Any) -> None:
    said = dict(line.split(maxsplit=1) for line in command("versions").splitlines())
    assert said["wrackline"] == wl.__version__
    assert said["python"].startswith(platform.python_version())
    assert said["polars"] == pl.__version__
    assert said["package"] == str(Path(wl.__file__).parent)


def test_the_small_demo_is_what_plain_python_counts(command: Any) -> None:
    said = command("demo", "--small")
    assert said.code == 0
    assert said.error == ""
    windows, late, ledger = (part.splitlines()[2:] for part in said.split("\n\n")[1:])
    shown = {tuple(line.split()[:2]): line.split()[3:] for line in windows}  # the last revision of each

    counted: dict[tuple[str, str], list[int]] = {}
    dropped, watermark = [], 0
    for row in demo.readings():
        watermark = max(watermark, row["ts"] - 30_001)
        start = row["ts"] // 300_000 * 300_000
        if watermark >= start + 300_000 + 600_000:
            dropped.append(row)
        else:
            minute = (start - demo.readings()[0]["ts"]) // 60_000
            counted.setdefault((row["truck"], f"12:{minute:02}:00"), []).append(row["speed"])
    assert dropped
    assert {key: [cells[1], cells[2], cells[3]] for key, cells in shown.items()} == {
        key: [str(len(speeds)), f"{sum(speeds) / len(speeds):.2f}", f"{max(speeds):.2f}"]
        for key, speeds in counted.items()
    }
    assert [line.split()[:1] + line.split()[2:3] for line in late] == [
        [row["truck"], f"{row['speed']:.2f}"] for row in dropped
    ]
    assert len(ledger) == 3


def test_the_demo_of_the_examples_is_found() -> None:
    root = Path(__file__).resolve().parents[2]
    assert demo.script() in (None, root / "examples" / "demo.py")
    folder = Path("examples")
    folder.mkdir()
    (folder / "demo.py").write_text("raise SystemExit(7)")
    (folder / "demo_earthquakes.py").touch()
    found = demo.script()
    assert found is not None
    if found.parent == folder.resolve():
        assert demo.run(found) == 7


def test_the_command_is_installed_under_its_name() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["wrackline"].partition(":")
    assert getattr(importlib.import_module(module), name) is main

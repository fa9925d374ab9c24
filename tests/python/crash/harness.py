"""Real processes that are killed: inputs, children, and the comparison with an uninterrupted run."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wrackline as wl

ROOT = Path(__file__).parents[3]  # that programs import the tests from
JOB = Path(__file__).with_name("job.py")
FAILPOINTS = [
    "record_taken",
    "pane_out",
    "sealed",
    "journal_row_sent",
    "offsets_sent",
    "end_txn_sent",
    "answer_lost",
    "committed",
    "frozen",
    "block_written",
    "manifest_synced",
    "naming_commit_sent",
    "old_blocks_dropped",
    "claim",
    "during_restore",
    "during_replay",
]
START_MS = 1_750_000_000_000
PARTITIONS = 2
KEYS = 12

# Not a function of the records: how often a window came out late follows the commits.
FOLLOWS_THE_COMMITS = {"panes", "rows_out"}


def make_events(count: int, seed: int, partitions: int = PARTITIONS) -> list[list[bytes | None]]:
    """Per partition: disorder, late ones, repeated ones, filtered ones, tombstones and dead letters."""
    rng = random.Random(seed)
    made: list[list[bytes | None]] = [[] for _ in range(partitions)]
    sent: list[tuple[int, dict[str, Any]]] = []
    for number in range(count):
        at = START_MS + number * 20
        key = rng.randrange(KEYS)
        delay = rng.choice([0, 0, 0, rng.randrange(2_000), rng.randrange(8_000), rng.randrange(40_000)])
        event = {"id": f"e{number}", "k": f"k{key}", "v": round(rng.uniform(-1, 9), 3), "ts": at - delay}
        if number < 5:
            event["ts"] = at
        partition = key % partitions
        made[partition].append(json.dumps(event).encode())
        sent.append((partition, event))
        if rng.random() < 0.05:
            again, earlier = rng.choice(sent[-300:])
            made[again].append(json.dumps(earlier).encode())
        if rng.random() < 0.02:
            bad: bytes | None = rng.choice(
                [
                    b'{"id": "cut", "k": ',
                    json.dumps({**event, "v": "many"}).encode(),
                    json.dumps({**event, "ts": 17}).encode(),
                    json.dumps({**event, "k": None}).encode(),
                    b"\xff\xfe",
                    None,
                ]
            )
            made[partition].append(bad)
    return made


def write_events(uri: str, events: list[list[bytes | None]], topic: str = "events") -> None:
    with wl.Log(uri) as log:
        log.create(topic, partitions=len(events))
        for partition, values in enumerate(events):
            log.append(topic, values, partition=partition)


@dataclass
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return report

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


@dataclass
class Place:
    """A log directory, a state directory, and the settings of the job on them."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)
    program: Path = JOB

    @property
    def log_dir(self) -> Path:
        return self.root / "log"

    @property
    def state_dir(self) -> Path:
        return self.root / "state"

    @property
    def uri(self) -> str:
        return f"local:{self.log_dir}"

    def text(self, **changes: Any) -> str:
        return json.dumps({"log": self.uri, "state_dir": str(self.state_dir), **self.settings, **changes})

    def copy(self, root: Path) -> Place:
        shutil.copytree(self.root, root)
        return Place(root, dict(self.settings), self.program)

    def start(self, *, failpoint: str | None = None, **changes: Any) -> subprocess.Popen[str]:
        environment = {key: value for key, value in os.environ.items() if key != "WRACKLINE_FAILPOINT"}
        environment["PYTHONPATH"] = str(ROOT)
        if failpoint:
            environment["WRACKLINE_FAILPOINT"] = failpoint
        return subprocess.Popen(
            [sys.executable, str(self.program), self.text(**changes)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, **changes: Any) -> Iterator[subprocess.Popen[str]]:
        """A process that does not outlive the block."""
        process = self.start(**changes)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self, *, failpoint: str | None = None, **changes: Any) -> Ended:
        with self.start(failpoint=failpoint, **changes) as process:
            out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def finish(self, **changes: Any) -> Ended:
        """A run that must end in order."""
        ended = self.run(**changes)
        assert ended.code == 0, (ended.code, ended.err)
        return ended


@dataclass
class Answer:
    """All that a job put out, as far as the rules say that it is a function of the records."""

    last: dict[tuple[str, bytes | None], bytes | None]
    revisions: Counter[tuple[str, bytes | None, int]]
    rows: set[tuple[str, bytes | None, bytes | None]]
    others: dict[str, Counter[tuple[Any, ...]]]
    ledger: dict[str, Any]


def answer_of(place: Place, report: dict[str, Any]) -> Answer:
    with wl.Log(place.uri, read_only=True) as log:
        return read_answer(log, report)


def read_answer(
    log: wl.Log, report: dict[str, Any], prefix: str = "", plain: Callable[[bytes], bytes] = bytes
) -> Answer:
    """What a job wrote whose topics begin with `prefix`. `plain`: a value without what is the test's own."""
    last: dict[tuple[str, bytes | None], bytes | None] = {}
    revisions: Counter[tuple[str, bytes | None, int]] = Counter()
    rows: set[tuple[str, bytes | None, bytes | None]] = set()
    others = {}
    for topic in ("tumbling", "hopping"):
        for record in log.read(prefix + topic):
            assert record.value is not None
            last[topic, record.key] = record.value
            revisions[topic, record.key, json.loads(record.value)["revision"]] += 1
            rows.add((topic, record.key, record.value))
    for topic in ("late", "duplicates", "dead"):
        others[topic] = Counter(
            (one.key, one.value, tuple((name, plain(text)) for name, text in one.headers), one.partition)
            for one in log.read(prefix + topic)
        )
    ledger = {
        partition: {
            step: {name: count for name, count in counts.items() if name not in FOLLOWS_THE_COMMITS}
            for step, counts in steps.items()
        }
        for partition, steps in report["ledger"].items()
    }
    return Answer(last, revisions, rows, others, ledger)


def assert_same(found: Answer, wanted: Answer, every_pane: Answer | None = None) -> None:
    """The same last rows, late rows, duplicates, dead letters and ledger, and nothing twice."""
    assert max(found.revisions.values()) == 1, "a revision was put out twice"
    wrong: list[str] = []  # all of it: one difference seldom comes alone
    wrong += [
        f"{key}: {found.last.get(key)!r}, not {wanted.last.get(key)!r}"
        for key in sorted(found.last.keys() | wanted.last.keys(), key=repr)
        if found.last.get(key) != wanted.last.get(key)
    ]
    for topic, records in wanted.others.items():
        wrong += [f"{topic}: not wanted {one}" for one in found.others[topic] - records]
        wrong += [f"{topic}: missing {one}" for one in records - found.others[topic]]
    for partition, steps in wanted.ledger.items():
        for step, counts in steps.items():
            got = found.ledger.get(partition, {}).get(step)
            if got != counts:
                wrong.append(f"ledger, partition {partition}, {step}: {got}, not {counts}")
    assert not wrong, "\n".join(wrong[:20])
    assert found.ledger == wanted.ledger
    if every_pane is not None:
        assert found.rows <= every_pane.rows, "a row that no run without coalescing puts out"


def assert_balances(report: dict[str, Any]) -> None:
    for steps in report["ledger"].values():
        for step, counts in steps.items():
            parts = ("out", "filtered", "duplicate", "late", "dead_lettered", "skipped", "held")
            assert counts["in"] == sum(counts[part] for part in parts), (step, counts)


def flip_a_bit(file: Path, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def contents(directory: Path, keep: Callable[[Path], bool] = lambda _: True) -> dict[str, bytes]:
    """Every file, to see that nothing was overwritten."""
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and keep(file)
    }

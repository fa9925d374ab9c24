"""The cases of tests/vectors: what is in scope passes, also when the rows come in other batches."""

from __future__ import annotations

import copy
import importlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))

# Modules beside the runner, which is a program.
compare: Any = importlib.import_module("compare")
run: Any = importlib.import_module("run")
fits_a_topic: Any = importlib.import_module("cases").fits_a_topic
decode: Any = importlib.import_module("values").decode

FILES = sorted(path.stem for path in VECTORS.glob("*.json"))
# How many cases this version covers; a number that falls says that something was lost.
COVERED = {
    "calendar_edges": 169,
    "count_rolling_global": 25,
    "dedup": 19,
    "errors_at_build": 40,
    "lateness_panes": 36,
    "multi_input": 15,
    "numbers": 14,
    "sessions": 50,
    "timestamps": 46,
    "watermarks_idle": 35,
    "windows_tumbling_hopping": 128,
}


def cases(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())
    return loaded


@pytest.mark.parametrize("name", FILES)
def test_cases(name: str) -> None:
    outcomes = [run.run_case(case) for case in cases(name)]
    failed = [(one.line["name"], one.differences) for one in outcomes if one.differences]
    assert failed == []
    assert sum(one.verdict == "passed" for one in outcomes) >= COVERED.get(name, 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(COVERED))
def test_batches_and_commits_do_not_show(name: str, seed: int) -> None:
    failed = []
    for number, case in enumerate(cases(name)):
        outcome = run.run_case(case, random.Random(f"{seed}-{number}"))
        if outcome.differences:
            failed.append((case["name"], outcome.differences))
    assert failed == []


# All of the others end their inputs.
@pytest.mark.parametrize("name", sorted(set(COVERED) - {"calendar_edges", "errors_at_build", "multi_input", "numbers"}))
def test_json_records_of_a_topic_answer_as_rows_do(name: str) -> None:
    failed, count = [], 0
    for case in cases(name):
        if not fits_a_topic(decode(case)):
            continue
        outcome = run.run_case(case, as_topic=True)
        count += outcome.verdict == "passed"
        if outcome.differences:
            failed.append((case["name"], outcome.differences))
    assert failed == []
    assert count > 0 or name == "timestamps"


def test_the_program_writes_a_line_per_case_and_exits_with_1_on_a_failure(tmp_path: Path) -> None:
    wrong = cases("numbers")[:3]
    wrong[1]["expected"]["watermark"] = 1
    (tmp_path / "some.json").write_text(json.dumps(wrong))
    out = tmp_path / "results.jsonl"
    command = [sys.executable, str(VECTORS / "run.py"), str(tmp_path / "some.json"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "some: 2 passed, 1 failed, 0 unsupported" in done.stdout
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["name"] for line in lines] == [case["name"] for case in wrong]
    assert set(lines[0]["got"]) >= {"results", "late", "dead", "duplicates", "ledger", "watermark"}


def one_that_passes(predicate: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    for name in COVERED:
        for raw in cases(name):
            outcome = run.run_case(raw)
            if outcome.verdict == "passed" and "got" in outcome.line and predicate(raw["expected"]):
                return decode(raw), decode(outcome.line["got"])
    raise AssertionError("no such case")


@pytest.mark.parametrize("what", ["results", "late", "dead", "duplicates"])
def test_the_comparison_notices_a_row_that_is_missing_or_too_many(what: str) -> None:
    case, got = one_that_passes(lambda expected: len(expected.get(what, [])) > 1)
    assert compare.differences(case, got) == []
    less = copy.deepcopy(got)
    less[what].pop()
    assert compare.differences(case, less)
    more = copy.deepcopy(got)
    more[what].append(more[what][0])
    assert compare.differences(case, more)


def test_the_comparison_notices_values_places_and_counters() -> None:
    case, got = one_that_passes(lambda expected: any("n" in row for row in expected.get("results", [])))
    for change in ("n", "@"):
        other = copy.deepcopy(got)
        other["results"][0][change] += 1
        assert compare.differences(case, other), change
    other = copy.deepcopy(got)
    next(iter(other["ledger"].values()))["late"] += 1
    assert compare.differences(case, other)
    assert compare.differences(case, {**got, "watermark": 12345})


def test_the_comparison_knows_ulps() -> None:
    assert compare.same_value(0.1, 0.1 + 2**-56, "sum")
    assert not compare.same_value(1.0, 1.0 + 2**-51, "sum")
    assert compare.same_value(1.0, 1.0 + 2**-51, "mean")
    assert not compare.same_value(1, True)
    assert not compare.same_value(None, 0)

"""Every rule of docs/semantics.md has a test that names it, and the check for that finds what it is there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "rules.py"

PAGE = """## 1. Times
- [1.1] A rule. [1.2] Another one,
  of two lines.

<!-- table of scripts/rules.py -->
<!-- end of the table -->
"""
TESTS = {
    "tests/python/test_a.py": "# rule: 1.1\n@mark(\n    [1],\n)\ndef test_one(x):\n    pass\n",
    "tests/cpp/a_test.cc": "// rule: 1.1 1.2\nTEST_F(A, Two) {\n",
}


def run(root: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, SCRIPT, *options, root], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    plant(tmp_path, "docs/semantics.md", PAGE)
    for path, text in TESTS.items():
        plant(tmp_path, path, text)
    assert run(tmp_path)[0] == 0
    return tmp_path


def test_every_rule_has_a_test() -> None:
    assert run(ROOT, "--check")[0] == 0, run(ROOT, "--check")[1]


def test_the_table_names_the_tests(tree: Path) -> None:
    page = (tree / "docs/semantics.md").read_text()
    assert "| 1.1 | `a_test.cc`: Two; `test_a.py`: test_one |\n| 1.2 | `a_test.cc`: Two |\n" in page
    assert run(tree, "--check")[0] == 0


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        ("docs/semantics.md", "Another one", "[1.3] Another one", "no test names rule 1.3"),
        ("docs/semantics.md", "[1.2]", "[1.1]", "rule 1.1 is there twice"),
        ("docs/semantics.md", "test_one |", "test_two |", "the table is not that of the marks"),
        ("tests/cpp/a_test.cc", "1.1 1.2", "1.1", "no test names rule 1.2"),
        ("tests/cpp/a_test.cc", "1.1 1.2", "1.2", "the table is not that of the marks"),
        ("tests/cpp/a_test.cc", "1.1 1.2", "1.2 1.9", "tests/cpp/a_test.cc:1: there is no rule 1.9"),
        ("tests/cpp/a_test.cc", "\nTEST_F", "\n\nTEST_F", "tests/cpp/a_test.cc:1: a mark above no test"),
        ("tests/python/test_a.py", "def test_one", "def help_one", "tests/python/test_a.py:1: a mark above no test"),
    ],
)
def test_a_planted_fault_is_found(tree: Path, path: str, old: str, new: str, said: str) -> None:
    text = (tree / path).read_text()
    assert old in text
    plant(tree, path, text.replace(old, new, 1))
    code, output = run(tree, "--check")
    assert code == 1
    assert said in output


def test_cases_name_rules_beside_sections(tree: Path) -> None:
    shutil.rmtree(tree / "tests" / "cpp")
    plant(tree, "tests/vectors/dedup.json", '[{"name": "dedup/seed-1", "rule": "1, 6 1.2"}]')
    assert run(tree)[0] == 0
    assert "| 1.2 | `vectors/dedup.json`: seed-1 |" in (tree / "docs/semantics.md").read_text()

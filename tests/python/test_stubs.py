"""The stub of the compiled module says what the module says, and a difference on either side is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "python" / "wrackline" / "_core.pyi"


def run_check(stub: Path) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "scripts" / "check_stubs.py"), str(stub)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_stub_and_the_module_agree() -> None:
    assert run_check(STUB) == (0, "stubs: ok\n")


@pytest.mark.parametrize(
    ("there", "planted", "said"),
    [
        ("def parse_duration(text: str) -> int: ...\n", "", "parse_duration: in the module, not in the stub"),
        ("MAX_DURATION: int\n", "MAX_DURATION: int\nMORE: int\n", "MORE: in the stub, not in the module"),
        ("class Tap:", "class Tip:", "Tap.watch: in the module, not in the stub"),
        ("    def copy(self)", "    def copies(self)", "Plan.copies: in the stub, not in the module"),
        (
            "    @property\n    def now(self)",
            "    def now(self)",
            "Driver.now: decorator is property in the module, nothing",
        ),
        ("ms: int) -> str", "millis: int) -> str", "format_duration: ms is not in the stub"),
        (
            "partitions: int = 1)",
            "partitions: int = 2)",
            "Log.create_topic: partitions is by default 1 in the module, 2",
        ),
        ("partitions: int = 1)", "partitions: int)", "partitions is by default 1 in the module, nothing in the stub"),
        ("sink: int, schema:", "sink: int, *, schema:", "Tap.take: schema is positional 2 in the module, keyword-only"),
        ("wanted: str, known: Sequence[str]", "known: Sequence[str], wanted: str", "nearest: known is positional 1"),
        ("until_now: bool", "until_now: int", "Options.__init__: until_now is of type bool in the module, int"),
        (
            "-> dict[str, Any]: ...\n    def ledger",
            "-> list[str]: ...\n    def ledger",
            "stats: return is of type dict",
        ),
        ("def done(self) -> bool", "def done(self) -> bool | None", "Driver.done: return is of type bool in the"),
    ],
)
def test_a_planted_difference_is_found(tmp_path: Path, there: str, planted: str, said: str) -> None:
    text = STUB.read_text()
    assert there in text
    (tmp_path / "_core.pyi").write_text(text.replace(there, planted))
    code, output = run_check(tmp_path / "_core.pyi")
    assert code == 1
    assert said in output

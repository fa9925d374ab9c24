"""The structure check finds what it is there for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "check_structure.py"


def run_check(root: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_the_tree_itself_is_clean() -> None:
    code, output = run_check(ROOT)
    assert code == 0, output


HEADER = "#pragma once\n"


@pytest.mark.parametrize(
    ("path", "text", "line", "said"),
    [
        ("cpp/wrackline/core/a.h", HEADER + '#include "wrackline/log/log.h"\n', 2, "core may not include log"),
        ("cpp/wrackline/dedup/a.cc", '#include "wrackline/window/w.h"\n', 1, "dedup may not include window"),
        ("cpp/wrackline/window/a.cc", "\n#include <rocksdb/db.h>\n", 2, "rocksdb/db.h may only be included"),
        ("cpp/wrackline/store/memory/a.cc", "#include <rocksdb/db.h>\n", 1, "rocksdb/db.h may only be included"),
        ("cpp/wrackline/core/a.cc", "#include <xxhash.h>\n", 1, "xxhash.h may only be included"),
        ("cpp/wrackline/job/a.cc", "#include <pybind11/pybind11.h>\n", 1, "pybind11/pybind11.h may only be"),
        ("cpp/wrackline/job/a.cc", "auto t = std::chrono::system_clock::now();\n", 1, "only core/clock.cc"),
        ("cpp/wrackline/window/a.cc", "auto t = std::chrono::steady_clock::now();\n", 1, "only core/clock.cc"),
        ("cpp/bindings/a.cc", "auto t = std::chrono::system_clock::now();\n", 1, "only core/clock.cc"),
        ("cpp/wrackline/elsewhere/a.cc", "", 1, "unknown station 'elsewhere'"),
        ("cpp/wrackline/core/a.h", "int f();\n", 1, "a header without #pragma once"),
        ("docs/a.md", "see\n\n" + "/".join(["", "work", "x"]) + "\n", 3, "names a path of one machine"),
        ("scripts/a.sh", "curl https://" + "crates" + ".io/x\n", 1, "names the host of a package registry"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, text: str, line: int, said: str) -> None:
    plant(tmp_path, path, text)
    code, output = run_check(tmp_path)
    assert code == 1
    assert f"{path}:{line}: {said}" in output


def test_what_is_allowed_is_not_reported(tmp_path: Path) -> None:
    plant(tmp_path, "cpp/wrackline/core/hash.cc", '#include "wrackline/core/hash.h"\n#include <xxhash.h>\n')
    plant(tmp_path, "cpp/wrackline/log/local/a.cc", '#include <rocksdb/db.h>\n#include "wrackline/core/types.h"\n')
    plant(tmp_path, "cpp/wrackline/dedup/a.cc", '#include "wrackline/store/store.h"\n#include "wrackline/time/t.h"\n')
    plant(tmp_path, "cpp/wrackline/job/a.cc", '#include "wrackline/window/w.h"\n#include "wrackline/dedup/d.h"\n')
    plant(tmp_path, "cpp/wrackline/log/a.cc", "wake.wait_until(lock, std::chrono::steady_clock::now() + timeout);\n")
    code, output = run_check(tmp_path)
    assert (code, output) == (0, "structure: ok\n")

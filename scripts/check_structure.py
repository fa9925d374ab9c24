"""Checks what no compiler checks: who may include whom, and that the tree speaks of itself alone.

    python scripts/check_structure.py [ROOT]

Prints `file:line: rule` for every finding and exits with 1 if there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

STEP = frozenset({"core", "store", "time"})
EVERYTHING = frozenset({"*"})

# Which stations a station may include, besides itself (docs/architecture.md).
MAY_INCLUDE: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "log": frozenset({"core"}),
    "store": frozenset({"core"}),
    "time": frozenset({"core"}),
    "codec": frozenset({"core", "time"}),
    "source": frozenset({"core", "log", "codec", "time"}),
    "sink": frozenset({"core", "log", "codec", "time"}),
    "transform": STEP | {"codec"},  # a column may hold JSON
    "dedup": STEP,
    "window": STEP,
    "join": STEP,
    "process": STEP,
    "job": EVERYTHING,
    "bindings": EVERYTHING,
}

# Where a library's headers may be included: prefix of the include, folders or file stems under cpp/.
LIBRARIES: list[tuple[str, tuple[str, ...]]] = [
    ("rocksdb/", ("wrackline/store/rocksdb/", "wrackline/log/local/")),
    ("librdkafka/", ("wrackline/log/kafka/",)),
    ("xxhash", ("wrackline/core/hash.",)),
    ("openssl/", ("wrackline/core/sha256.", "wrackline/log/kafka/")),
    ("simdjson", ("wrackline/codec/",)),
    ("pybind11/", ("bindings/",)),
    ("Python.h", ("bindings/",)),
]

INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')
SYSTEM_TIME = re.compile(
    r"\b(system_clock|steady_clock|high_resolution_clock)(?=::|;)|\b(gettimeofday|clock_gettime)\b"
)
CLOCK = "wrackline/core/clock.cc"
# Whoever blocks a thread has to say until when; that is no logic.
STEADY_TIME = "steady_clock"
MAY_WAIT = ("wrackline/log/", "bindings/")

# Put together here so that this file does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(?:" + "|".join(["work", "root", "tmp"]) + r")/")
REGISTRY_HOST = re.compile(
    "|".join(
        re.escape(name + "." + domain)
        for name, domain in [
            ("pypi", "org"),
            ("files.pythonhosted", "org"),
            ("crates", "io"),
            ("registry.npmjs", "org"),
            ("proxy.golang", "org"),
            ("deb.debian", "org"),
        ]
    )
)
TEXT_LIMIT = 2_000_000  # larger files are data


class Finding(NamedTuple):
    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


def files_of(root: Path) -> list[str]:
    """Everything that is, or could become, part of a commit."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout.decode()
        names = [name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(root)) for path in root.rglob("*")]
    return sorted(name for name in set(names) if (root / name).is_file() and not (root / name).is_symlink())


def station_of(inside: str) -> str | None:
    """`inside` is a path under cpp/."""
    parts = inside.split("/")
    if parts[0] == "bindings":
        return "bindings"
    return parts[1] if parts[0] == "wrackline" and len(parts) > 2 else None


def check_includes(path: str, text: str) -> Iterator[Finding]:
    inside = path.removeprefix("cpp/")
    station = station_of(inside)
    allowed = MAY_INCLUDE.get(station or "")
    if station is not None and allowed is None:
        yield Finding(path, 1, f"unknown station '{station}': add it to scripts/check_structure.py")
        return
    for number, line in enumerate(text.splitlines(), start=1):
        asked = {match[0] for match in SYSTEM_TIME.finditer(line.split("//")[0]) if inside != CLOCK}
        if asked and not (asked == {STEADY_TIME} and inside.startswith(MAY_WAIT)):
            yield Finding(path, number, "only core/clock.cc may ask the system for the time")
        match = INCLUDE.match(line)
        if match is None:
            continue
        included = match.group(1)
        for prefix, places in LIBRARIES:
            if included.startswith(prefix) and not inside.startswith(places):
                yield Finding(path, number, f"{included} may only be included under {' and '.join(places)}")
        if included.startswith("wrackline/") and station is not None and allowed is not None:
            other = station_of(included)
            if other not in {station, *allowed} and "*" not in allowed:
                names = ", ".join(sorted(allowed)) or "nothing of ours"
                yield Finding(path, number, f"{station} may not include {other} (it includes {names})")


def check_text(path: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        if MACHINE_PATH.search(line):
            yield Finding(path, number, "names a path of one machine")
        if REGISTRY_HOST.search(line):
            yield Finding(path, number, "names the host of a package registry")


def check(root: Path) -> list[Finding]:
    findings: list[Finding] = []
    for path in files_of(root):
        if (root / path).stat().st_size > TEXT_LIMIT:
            continue
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        findings += check_text(path, text)
        if path.endswith(".h") and "#pragma once" not in text:
            findings.append(Finding(path, 1, "a header without #pragma once"))
        if path.startswith("cpp/") and path.endswith((".h", ".cc")):
            findings += check_includes(path, text)
    return findings


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    findings = check(root)
    for finding in findings:
        print(finding)
    print(f"structure: {len(findings)} findings" if findings else "structure: ok")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""The table rule -> tests at the end of docs/semantics.md.

    python scripts/rules.py [--check] [ROOT]

A rule of sections 1 to 7 begins with its id, `[3.2]`. A test names the rules that it would fail without: a comment
`rule: 3.2 4.5` above it, with no empty line between, in Python and C++; in tests/vectors the field "rule" of a case.
--check exits with 1 for a rule without a test, a mark of a rule that does not exist, a mark above no test, or a table
that is not that of the marks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = "docs/semantics.md"
BEGIN, END = "<!-- table of scripts/rules.py -->\n", "<!-- end of the table -->\n"
MANY = 6  # cases of a file
RULE = re.compile(r"\[(\d\.\d+)\]")
MARK = re.compile(r"^\s*(?:#|//) rule: (.*)$")
TEST = re.compile(r"^\s*(?:def (test_\w+)|TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))")


class Mark(NamedTuple):
    rule: str
    place: str  # file:line
    file: str
    test: str  # empty: there is none


def marks_of_source(path: Path, name: str) -> Iterator[Mark]:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        found = MARK.match(line)
        if not found:
            continue
        test = ""
        for below in lines[number + 1 :]:
            if begins := TEST.match(below):
                test = begins[1] or begins[3]
                break
            if not below.strip():
                break
        for rule in found[1].replace(",", " ").split():
            yield Mark(rule, f"{name}:{number + 1}", path.name, test)


def marks_of_vectors(path: Path, name: str) -> Iterator[Mark]:
    for case in json.loads(path.read_text()):
        for rule in case["rule"].replace(",", " ").split():
            if "." in rule:  # others are sections
                yield Mark(rule, name, f"vectors/{path.name}", case["name"].partition("/")[2])


def marks(root: Path) -> Iterator[Mark]:
    for path in sorted((root / "tests").rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix in (".py", ".cc"):
            yield from marks_of_source(path, name)
        elif path.suffix == ".json" and path.parent.name == "vectors":
            yield from marks_of_vectors(path, name)


def table(rules: list[str], found: list[Mark]) -> str:
    tests: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for mark in found:
        if mark.test not in tests[mark.rule][mark.file]:
            tests[mark.rule][mark.file].append(mark.test)
    lines = ["| rule | tests |", "|---|---|"]
    for rule in rules:
        cells = [
            f"`{file}`: {', '.join(names) if len(names) < MANY else f'{len(names)} cases'}"
            for file, names in sorted(tests[rule].items())
        ]
        lines.append(f"| {rule} | {'; '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    page = arguments.root / PAGE
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rules = RULE.findall(before)
    found = list(marks(arguments.root))
    tested = {mark.rule for mark in found if mark.test}

    wrong = [f"{PAGE}: rule {rule} is there twice" for rule in sorted({r for r in rules if rules.count(r) > 1})]
    wrong += [f"{mark.place}: there is no rule {mark.rule}" for mark in found if mark.rule not in rules]
    wrong += [f"{mark.place}: a mark above no test" for mark in found if not mark.test]
    wrong += [f"{PAGE}: no test names rule {rule}" for rule in rules if rule not in tested]
    made = before + BEGIN + table(rules, found) + END + after
    if arguments.check and made != text:
        wrong.append(f"{PAGE}: the table is not that of the marks: python scripts/rules.py")
    if not arguments.check:
        page.write_text(made)
    print("\n".join(wrong) if wrong else f"rules: {len(rules)}, each with a test")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

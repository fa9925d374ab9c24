"""What newcomers type, and what they are told: every block of messages.txt, compared exactly.

A block is what is typed, as at Python's prompt, and below it what is shown: the value, an error by its class and text,
log lines as ``WARNING: ...``. Blocks do not see one another; the first section is typed before each of them. A section
called "Without ..." or "With Polars 1.9" is typed in a process of its own, where that library cannot be imported, or
is as old as that.

To renew what is shown, and look at the difference: ``WRACKLINE_RENEW_MESSAGES=1 pytest tests/python/test_messages.py``
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.abc
import importlib.machinery
import io
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).with_name("messages.txt")
RENEW = os.environ.get("WRACKLINE_RENEW_MESSAGES") == "1"


@dataclass(frozen=True)
class Block:
    """`number`: of the first line in the file."""

    section: str
    number: int
    code: str
    shown: str

    @property
    def is_elsewhere(self) -> bool:
        return self.section.startswith("With")


def blocks() -> list[Block]:
    found = []
    section = ""
    lines = FILE.read_text().split("\n")
    number = 0
    while number < len(lines):
        if title := re.fullmatch(r"== (.*) ==", lines[number]):
            section = title[1]
        if not lines[number].startswith(">>> "):
            number += 1
            continue
        begin = number
        while number < len(lines) and lines[number].startswith((">>> ", "... ", "...")):
            number += 1
        code = "\n".join(line[4:] for line in lines[begin:number])
        end = number
        while end < len(lines) and lines[end]:
            end += 1
        found.append(Block(section, begin, code, "\n".join(lines[number:end])))
        number = end
    return found


BLOCKS = blocks()
BEFORE = BLOCKS[0].code
CASES = BLOCKS[1:]


# ---- typing ----


def typed(code: str, before: str) -> str:
    """What is shown when somebody types this."""
    names: dict[str, Any] = {"__name__": "typed"}
    exec(compile(before, "<before>", "exec"), names)
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), said_in_log(printed):
        try:
            exec(compile(tree, "<typed>", "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<typed>", "eval"), names)
                if value is not None:
                    print(value if isinstance(value, str) else repr(value))
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    return "\n".join(line.rstrip() or "<BLANKLINE>" for line in printed.getvalue().rstrip().split("\n"))


@contextlib.contextmanager
def said_in_log(out: io.StringIO) -> Any:
    handler = logging.StreamHandler(out)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("wrackline")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Library(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Hides libraries; or shows one that has a version and nothing else."""

    def __init__(self, names: Sequence[str], version: str) -> None:
        self._names = names
        self._version = version

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self._names:
            return None
        if not self._version:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importlib.machinery.ModuleSpec(name, self)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__version__"] = self._version


def library_of(section: str) -> Library:
    """Without Polars and pyarrow; With Polars 1.9."""
    how, _, names = section.lower().partition(" ")
    if how == "without":
        return Library(names.split(" and "), "")
    name, _, version = names.partition(" ")
    return Library([name], version)


@functools.cache
def typed_elsewhere(section: str) -> dict[str, str]:
    """All blocks of a section, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, section], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown: dict[str, str] = json.loads(done.stdout)
    return shown


def main(section: str) -> None:
    sys.meta_path.insert(0, library_of(section))
    before = "\n".join(line for line in BEFORE.split("\n") if "polars" not in line and "pl." not in line)
    shown = {}
    for block in CASES:
        if block.section == section:
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                shown[block.code] = typed(block.code, before)
    print(json.dumps(shown))


# ---- tests ----


def renew(block: Block, shown: str) -> None:
    """Blocks have moved since if those above them were renewed, so the block is found by what is typed."""
    now = next(one for one in blocks() if (one.section, one.code) == (block.section, block.code))
    lines = FILE.read_text().split("\n")
    begin = now.number + len(now.code.split("\n"))
    end = begin + (len(now.shown.split("\n")) if now.shown else 0)
    FILE.write_text("\n".join([*lines[:begin], *shown.split("\n"), *lines[end:]]))


def name_of(block: Block) -> str:
    return f"{block.section}: {block.code.partition(chr(10))[0]}"[:100]


@pytest.mark.parametrize("block", CASES, ids=name_of)
def test_what_is_shown(block: Block) -> None:
    shown = typed_elsewhere(block.section)[block.code] if block.is_elsewhere else typed(block.code, BEFORE)
    if RENEW:
        renew(block, shown)
    else:
        assert block.shown == shown


def test_no_block_is_there_twice() -> None:
    typed_before: dict[tuple[str, str], Block] = {}
    for block in CASES:
        assert typed_before.setdefault((block.section, block.code), block) == block


def test_errors_show_no_address_and_no_internal_name() -> None:
    for block in CASES:
        assert " at 0x" not in block.shown.lower(), block
        assert "NoneType has no attribute" not in block.shown, block
        assert "_core" not in block.shown, block


if __name__ == "__main__":
    main(sys.argv[1])

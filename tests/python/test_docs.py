"""The API reference has every public name, once. That it builds without a warning is seen by `make docs`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import wrackline as wl
import wrackline.testing

PAGES = Path(__file__).resolve().parents[2] / "docs" / "api"
DIRECTIVE = re.compile(
    r"^\.\. (currentmodule|automodule|autoclass|autofunction|autoexception):: ([\w.]+)", re.MULTILINE
)


def documented() -> Counter[str]:
    found: Counter[str] = Counter()
    for page in sorted(PAGES.glob("*.rst")):
        module = ""
        for directive, name in DIRECTIVE.findall(page.read_text()):
            if directive.endswith("module"):
                module = name
            else:
                found[f"{module}.{name}"] += 1
    return found


def test_every_public_name_is_in_the_reference_once() -> None:
    public = {f"wrackline.{name}" for name in wl.__all__}
    public |= {f"wrackline.testing.{name}" for name in wrackline.testing.__all__}
    found = documented()
    assert {name for name in found if not name.startswith("wrackline.testing.broker.")} == public
    assert found == Counter(found.keys())


def test_every_page_is_in_the_table_of_the_first() -> None:
    index = (PAGES / "index.rst").read_text()
    pages = {page.stem for page in PAGES.glob("*.rst")} - {"index"}
    assert set(re.findall(r":doc:`(\w+)`", index)) == pages

"""docs/windows.md: its examples are typed as they stand, its pictures are what is drawn now."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import wrackline as wl

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "windows.md"
SVG = "{http://www.w3.org/2000/svg}"


def test_the_examples_of_the_page_say_what_comes_out() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("".join(blocks), {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 20
    said: list[str] = []
    failures = doctest.DocTestRunner(verbose=False).run(examples, out=said.append).failed
    assert failures == 0, "".join(said)


def test_the_pictures_are_what_is_drawn_now() -> None:
    script = ROOT / "scripts" / "draw_windows.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_page_has_every_picture_and_every_kind_of_window() -> None:
    text = PAGE.read_text()
    assert set(re.findall(r"pictures/(\w+\.svg)", text)) == {path.name for path in (PAGE.parent / "pictures").iterdir()}
    for make in (wl.tumbling, wl.hopping, wl.calendar, wl.session, wl.rolling, wl.count_window, wl.global_window):
        assert f"wl.{make.__name__}(" in text
    for word in ("early", "on_time", "late", "final", "merged", "accumulate", "delta", "final_only"):
        assert f"`{word}`" in text or f'"{word}"' in text, word


@pytest.mark.parametrize("name", ["tumbling", "hopping", "calendar", "session", "rolling", "count_and_global", "panes"])
def test_a_picture_is_read_in_light_and_dark_mode_and_by_a_screen_reader(name: str) -> None:
    picture = ElementTree.parse(PAGE.parent / "pictures" / f"{name}.svg").getroot()
    title, style = picture.find(f"{SVG}title"), picture.find(f"{SVG}style")
    assert title is not None
    assert title.text
    assert style is not None
    assert style.text is not None
    light, dark = re.findall(r"svg\{(--card.*?)(?:font|\})", style.text)
    assert "prefers-color-scheme:dark" in style.text
    assert (
        set(re.findall(r"--\w+(?=:)", light))
        == set(re.findall(r"--\w+(?=:)", dark))
        >= set(re.findall(r"(?<=var\()--\w+", style.text))
    )
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    for text in picture.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["x"]) < width
        assert 10 < float(text.attrib["y"]) < height - 6, text.text


def test_the_picture_of_panes_shows_what_a_job_puts_out() -> None:
    """The chips of its first window, against a count by hand."""
    picture = ElementTree.parse(PAGE.parent / "pictures" / "panes.svg").getroot()
    chips = [text.text for text in picture.iter(f"{SVG}text") if text.text and re.search(r", n=\d", text.text)]
    # In the order of arrival: W at 11:59:48, 12:01:24, 12:02:36 | 12:05:30 (both windows) | two late ones | ...
    assert chips == [
        "early, n=1", "early, n=2", "early, n=4", "on_time, n=5", "early, n=1", "late, n=6", "early, n=2", "late, n=7",
        "early, n=3", "on_time, n=3", "early, n=1",
    ]  # fmt: skip

"""The configuration of release wheels, as far as it can be read without a container."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def identifiers(project: Path, **environment: str) -> list[str]:
    """What cibuildwheel would build; it refuses a configuration that it cannot read."""
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", "linux", str(project)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def configuration() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_wheels_are_built_for_every_python_from_3_11_to_the_newest() -> None:
    known = identifiers(ROOT, CIBW_BUILD="cp*-manylinux_x86_64", CIBW_ARCHS="x86_64")
    with_gil = [one for one in known if re.match(r"cp\d+-", one)]
    assert with_gil[0] == "cp311-manylinux_x86_64"  # requires-python
    assert identifiers(ROOT) == with_gil


def test_a_wrong_option_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert "before-all" in text
    (tmp_path / "pyproject.toml").write_text(text.replace("before-all", "before-al"))
    with pytest.raises(AssertionError, match="before-al"):
        identifiers(tmp_path)


def test_scripts_of_the_configuration_are_there_and_can_be_run() -> None:
    options = configuration()["tool"]["cibuildwheel"]
    scripts = re.findall(r"scripts/\w+\.\w+", f"{options['before-all']} {options['test-command']}")
    assert len(scripts) == 2
    for script in scripts:
        assert (ROOT / script).is_file()
    assert os.access(ROOT / options["before-all"], os.X_OK)


def test_the_workflow_uses_the_cibuildwheel_that_is_tested_here() -> None:
    workflow = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()
    tools = (ROOT / "scripts" / "requirements-dev.txt").read_text()
    assert re.findall(r"cibuildwheel==([\d.]+)", workflow) == re.findall(r"cibuildwheel==([\d.]+)", tools) != []

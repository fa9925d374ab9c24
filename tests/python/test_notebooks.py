"""The notebooks, executed from top to bottom: their own assertions hold, against Polars over all rows at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

# Said of throw-away copies, too, whose late rows are looked at in the next cell.

# What a reader sees, besides what the notebooks assert themselves. 256: tests/python/test_earthquakes.py.
SHOWN = {
    "01_first_job": [
        "660 records in this run",
        "job &#x27;fleet&#x27; on &#x27;memory:&#x27;",
        "as of the last commit",
    ],
    "02_earthquakes_late": ["<td>256</td>", 'id="quakes"', "late_by"],
    "03_history_and_live": ["sensors has ended", "Ledger: balances"],
    "04_kill_it": ["&quot;committed&quot;", "&quot;open&quot;", "&quot;aborted&quot;", "Ledger: balances"],
}


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(SHOWN)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert any("assert " in cell.source for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()
    outputs: list[Any] = [one for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs]
    said = "".join(one.text for one in outputs if one.output_type == "stream")
    assert said.strip() == ""
    page = "".join(one.data.get("text/html", "") for one in outputs if "data" in one)
    for text in SHOWN[path.stem]:
        assert re.search(text, page), text

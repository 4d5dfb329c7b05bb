"""Running a notebook as JupyterLab would, and writing it the same way every time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_FLEETING_CELL_METADATA = ("execution", "ExecuteTime", "trusted", "collapsed", "scrolled")
_WIDGET = "application/vnd.jupyter.widget-view+json"  # of a kernel that is gone: a picture beside it says more
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def all_notebooks() -> list[Path]:
    """The repository's notebooks, in reading order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"), key=lambda path: int(path.stem.split("_")[0]))


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook; cells without an id get one that is the same every time, from their place."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(raw["cells"], start=1):
        cell.setdefault("id", f"cell-{number}")
    raw["nbformat_minor"] = max(raw["nbformat_minor"], 5)
    return nbformat.reads(json.dumps(raw), as_version=4)


def execute(
    notebook: nbformat.NotebookNode, folder: Path, environment: dict[str, str] | None = None
) -> nbformat.NotebookNode:
    """Run every cell with `folder` as the working directory. Returns the notebook, changed in place."""
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # a kernel warns of its own transport at every start
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})})
    return notebook


def text(notebook: nbformat.NotebookNode) -> str:
    """The notebook as it is written to its file: nothing in it tells when, where or by what it was run."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        for fleeting in _FLEETING_CELL_METADATA:
            cell.metadata.pop(fleeting, None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop(_WIDGET, None)
            if output.output_type == "error":
                output.traceback = [part for part in output.traceback if not _names_a_file(part)]
    return str(nbformat.writes(notebook, indent=1)).rstrip("\n") + "\n"


def _names_a_file(part: str) -> bool:
    """Is this part of a traceback a frame in some file of this machine, rather than in a cell?"""
    return _COLOUR.sub("", part).lstrip().startswith("File ")


def cells_that_fail(path: Path, environment: dict[str, str] | None = None) -> list[int]:
    """The code cells of a notebook, counted from 0, that strict nbval says are not as saved."""
    options = ["--nbval", "--nbval-current-env", "-c", os.devnull, "--rootdir", str(path.parent)]
    quiet = ["-p", "no:cacheprovider", "-q", "-rf", "--color=no", "--tb=no"]
    command = [sys.executable, "-m", "pytest", *options, *quiet, str(path)]
    variables = {**os.environ, **(environment or {})}
    run = subprocess.run(
        command, cwd=path.parent, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert re.search(r"\d+ (passed|failed)", run.stdout), run.stdout
    return [int(number) for number in re.findall(r"^FAILED .*::Cell (\d+)", run.stdout, re.MULTILINE)]

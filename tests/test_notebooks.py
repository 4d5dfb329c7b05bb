"""The notebooks are strict tests, and the gate bites. (nbval runs them itself: addopts in pyproject.toml.)"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from eventsourcing_kit.testing import check_notebook
from tests.notebooks import execution, pages, save

NOTEBOOKS = execution.all_notebooks()
CHART = "application/vnd.vegalite.v5+json"
FOREIGN_PATH = re.compile(r"/(?:home|root|Users|usr|opt)/|site-packages")


def test_there_are_notebooks() -> None:
    """Without any, everything below would pass and mean nothing."""
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_is_fit_to_be_a_test(path: Path) -> None:
    """The guard that authors have, over our own."""
    check_notebook(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_is_as_make_notebooks_saves_it(path: Path) -> None:
    """No time stamps, no settings of somebody's editor, no paths of somebody's machine."""
    saved = path.read_text(encoding="utf-8")
    assert saved == execution.text(execution.read(path)), "run `make notebooks`"
    assert not FOREIGN_PATH.search(saved)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_has_a_page_with_the_same_charts(path: Path) -> None:
    """Made by `make pages`."""
    page = (path.parent / "pages" / f"{path.stem}.html").read_text(encoding="utf-8")
    shown = [data[CHART] for _, data in _shown(execution.read(path)) if CHART in data]
    assert shown
    assert all(pages.chart(spec) in page for spec in shown), "run `make pages`"


def _change_frame(notebook: NotebookNode) -> int | None:
    """Change one value in the first frame shown; returns the code cell's number, as nbval counts."""
    for number, data in _shown(notebook):
        value = re.search(r"<td>[^<]*(\d)</td>", data.get("text/html", ""))
        if value and 'class="dataframe"' in data["text/html"]:
            html, place = data["text/html"], value.start(1)
            data["text/html"] = f"{html[:place]}{(int(html[place]) + 1) % 10}{html[place + 1 :]}"
            return number
    return None


def _change_chart(notebook: NotebookNode) -> int | None:
    """Change one number in the data of the first chart shown; returns the code cell's number."""
    for number, data in _shown(notebook):
        for row in _rows(data.get(CHART, {})):
            for field, value in row.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    row[field] = value + 1
                    return number
    return None


def _shown(notebook: NotebookNode) -> Iterator[tuple[int, dict[str, Any]]]:
    """The data of each output, with the number of its code cell."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ((number, output.get("data", {})) for number, cell in enumerate(code) for output in cell.outputs)


def _rows(chart: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a chart's data, wherever Altair put them."""
    tables = [chart.get("data", {}).get("values", []), *chart.get("datasets", {}).values()]
    return [row for table in tables for row in table]


@pytest.mark.processes
def test_the_gate_bites(tmp_path: Path) -> None:
    """A changed value in a frame and one in a chart of a copy, and nbval fails in these cells, and only there."""
    for path in NOTEBOOKS:
        notebook = execution.read(path)
        frame, chart = _change_frame(notebook), _change_chart(notebook)
        if frame is not None and chart is not None and frame != chart:
            assert _cells_that_fail(tmp_path, path, notebook) == sorted([frame, chart])
            return
    pytest.fail("no notebook shows such outputs")


def _cells_that_fail(folder: Path, original: Path, changed: NotebookNode) -> list[int]:
    """What strict nbval says of a changed copy that finds the same data beside it."""
    copy = folder / "notebooks" / original.name
    copy.parent.mkdir()
    nbformat.write(changed, copy)
    if (data := original.parent.parent / "data").exists():
        shutil.copytree(data, folder / "data")
    return execution.cells_that_fail(copy)


LESSON = {
    "stable": "1 + 1",
    "differs": "import random\nrandom.random()",
    "writes": "open('left-behind.txt', 'w').close()",
    "fails": "1 / 0",
    "is_local": "import datetime\ndatetime.datetime.fromtimestamp(0)",
}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("lesson", "said"),
    [
        ("stable", "lesson.ipynb: saved; both runs gave the same\n"),
        ("differs", "TWO RUNS DIFFER"),
        ("is_local", "TWO RUNS DIFFER"),
        ("writes", "left-behind.txt was written by a notebook"),
        ("fails", "ZeroDivisionError"),
    ],
)
def test_save_says_what_it_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str], lesson: str, said: str) -> None:
    """`make notebooks` saves what gives the same twice, and says so where it doesn't."""
    path = tmp_path / "lesson.ipynb"
    cell = nbformat.v4.new_code_cell(LESSON[lesson], id="only")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    before = path.read_bytes()
    assert save.main([str(path)]) == (lesson != "stable")
    assert said in capsys.readouterr().out
    assert (path.read_bytes() == before) == (lesson not in ("stable", "writes"))


@pytest.mark.processes
def test_saving_again_changes_nothing(tmp_path: Path) -> None:
    """Byte for byte, an error's traceback included; files of this machine are not named in it."""
    path = tmp_path / "lesson.ipynb"
    source = "import json\njson.loads('{')"
    cell = nbformat.v4.new_code_cell(source, id="only", metadata={"tags": ["raises-exception"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert save.main([str(path)]) == 0
    first = path.read_text(encoding="utf-8")
    assert save.main([str(path)]) == 0
    assert path.read_text(encoding="utf-8") == first
    assert "JSONDecodeError" in first
    assert "json/decoder.py" not in first

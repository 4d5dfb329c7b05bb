"""Is a notebook fit to be a strict test? The rules, and what to mend where one is broken.

nbval runs a notebook again and compares every output with the saved one. That only means something where
the outputs were saved in one run from top to bottom, nothing is skipped, and nothing in them changes from
run to run.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from eventsourcing_kit.errors import NotebookError
from eventsourcing_kit.lessons.cell_source import cells_problems

Cell = Mapping[str, Any]
Output = Mapping[str, Any]

WIDGET = "application/vnd.jupyter.widget-view+json"
VEGA = "application/vnd.vega"
_NO_NBFORMAT = "check_notebook needs nbformat, which is not installed: pip install nbformat"
_RUN_ALL = "restart the kernel, run all cells and save"

RAISING_MARKS = {"raises-exception", "nbval-raises-exception"}
ALLOWED_MARKS = {"nbval-check-output", *RAISING_MARKS}
_MARK = re.compile(r"nbval-|pytest-validate-|skip-execution$")
_MARK_IN_SOURCE = re.compile(r"^\s*#[# ]*((?:NBVAL|PYTEST_VALIDATE)_[A-Z_]+)\s*$", re.MULTILINE)

# What nbval cannot compare in outputs, each with what to do about it. (What the source tells is in cell_source.)
OUTPUT_PATTERNS = {
    r"\bat 0x[0-9a-fA-F]+|\b0x7f[0-9a-f]{6,}": "a memory address; give the object a repr, or don't show it",
    r"/tmp/|/var/tmp/|/var/folders/|\b[A-Z]:\\Users\\|(?<![\w.])/(?:home|Users)/\w+/": (
        "a temporary or personal path; don't show paths"
    ),
    r"\bdisplay_id=": "a display handle has a random id; assign it to _",
    r"\d%\|.*\| *\d+/\d+|\d(?:it|s)/(?:s|it)\]": "a progress bar shows times; turn it off",
    r"\bWall time: |\bper loop \(mean": "a timing differs every run; don't print it",
    r"\bid=\"T_[0-9a-f]{5}": "df.style writes random ids; show the plain frame",
    r"https?://[^\s\"']*(?:cdn|unpkg)|<script[^>]+src=.?https?:": (
        "code from the network (a CDN); let eventsourcing_kit's own renderer draw charts"
    ),
}

_RANDOM_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", re.IGNORECASE)


def check_notebook(path: str | PathLike[str]) -> None:
    """Raise `NotebookError`, listing everything to mend, unless the notebook is fit to be a strict test.

    Fit means: every code cell run, numbered 1, 2, 3 … in order; nothing on stderr; errors only in cells
    tagged `raises-exception`; no tag or comment that skips a cell or ignores its output; nothing in the
    outputs that differs from run to run (memory addresses, temporary paths, random ids and values, clocks, sets of
    texts, progress bars, timings, more than one live widget), or that nbval cannot compare (updates of a display, wiped
    outputs, widgets' outputs); and charts that draw offline.

    >>> import json, pathlib, tempfile
    >>> cell = {"cell_type": "code", "id": "sum", "source": "1 + 1", "metadata": {}, "outputs": []}
    >>> cell["execution_count"] = None
    >>> lesson = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "lesson.ipynb")
    ...     _ = path.write_text(json.dumps(lesson))
    ...     check_notebook(path)
    Traceback (most recent call last):
    ...
    eventsourcing_kit.errors.NotebookError: lesson.ipynb is not fit to be a strict test; to mend:
    - code cell 1 (id 'sum') was never run: restart the kernel, run all cells and save
    """
    if not isinstance(path, (str, PathLike)):
        raise NotebookError(f"{path!r} is no notebook's path; write the path of one")
    path = Path(path)
    problems = list(_problems(_read(path)))
    if problems:
        listed = "".join(f"\n- {problem}" for problem in problems)
        raise NotebookError(f"{path.name} is not fit to be a strict test; to mend:{listed}")


def _read(path: Path) -> dict[str, Any]:
    try:
        import nbformat
    except ImportError:
        raise NotebookError(_NO_NBFORMAT) from None
    if not path.is_file():
        raise NotebookError(f"there is no notebook {path.name} in that place; write the path of one")
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notebook, dict) or "nbformat" not in notebook:
            raise ValueError("it has no 'nbformat'")
        if notebook["nbformat"] != 4:
            raise ValueError("it is in an old notebook format; open it in JupyterLab and save it")
        with warnings.catch_warnings(action="ignore"):  # cells without an id: old, and harmless here
            nbformat.validate(_without_charts(notebook))
    except (ValueError, nbformat.ValidationError) as error:
        said = str(error).strip().partition("\n")[0]
        raise NotebookError(f"{path.name} is not a valid notebook: {said}") from error
    return notebook


def _without_charts(value: Any) -> Any:
    """The same JSON without charts: their own rule says more of them than the notebook format does."""
    if isinstance(value, list):
        return [_without_charts(part) for part in value]
    if isinstance(value, dict):
        return {key: _without_charts(part) for key, part in value.items() if not key.startswith(VEGA)}
    return value


def _problems(notebook: Mapping[str, Any]) -> Iterator[str]:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells = [cell for cell in code if _text(cell["source"]).strip()]  # a blank cell is never numbered
    if not cells:
        yield "it has no code cell, so it tests nothing: add one"
    written = "".join(_text(cell["source"]) for cell in cells)
    sources = cells_problems([_text(cell["source"]) for cell in cells], ["\n".join(_all_texts(cell)) for cell in cells])
    for number, (cell, of_source) in enumerate(zip(cells, sources, strict=True), start=1):
        name = f"code cell {number} (id {cell['id']!r})" if "id" in cell else f"code cell {number}"
        for rule in CELL_RULES:
            yield from (f"{name} {problem}" for problem in rule(number, cell))
        random_ids = list(_ids_are_fixed(cell, written))
        yield from (f"{name} {problem}" for problem in random_ids or of_source)
    widgets = sum(WIDGET in output.get("data", {}) for cell in cells for output in cell["outputs"])
    if widgets > 1:
        yield f"it shows {widgets} live widgets: keep one at most"


def _is_run_in_order(number: int, cell: Cell) -> Iterator[str]:
    count = cell["execution_count"]
    if count is None:
        yield f"was never run: {_RUN_ALL}"
    elif count != number:
        yield f"was run as [{count}], not as [{number}]: {_RUN_ALL}"


def _is_not_skipped(_number: int, cell: Cell) -> Iterator[str]:
    for mark in _marks(cell):
        if _MARK.match(mark) and mark not in ALLOWED_MARKS:
            yield f"is marked {mark!r}, which hides it from the test: remove that tag or comment"


def _marks(cell: Cell) -> list[str]:
    """The cell's tags, and the comments in its source that say the same (`# NBVAL_SKIP`)."""
    comments = _MARK_IN_SOURCE.findall(_text(cell["source"]))
    return [*cell["metadata"].get("tags", []), *(comment.lower().replace("_", "-") for comment in comments)]


def _is_quiet(_number: int, cell: Cell) -> Iterator[str]:
    """No error but where one is meant, and nothing on stderr."""
    for output in cell["outputs"]:
        if output["output_type"] == "error" and not RAISING_MARKS.intersection(_marks(cell)):
            yield (
                f"ended in {output['ename']}: {output['evalue']!r}: mend the cell, "
                "or tag it 'raises-exception' if the error is the lesson"
            )
        if output.get("name") == "stderr" and not any(_found(_text(output["text"]))):
            line = _text(output["text"]).strip().partition("\n")[0]
            yield f"wrote to stderr ({line!r}): mend what it warns of, or print it to stdout"


def _outputs_are_stable(_number: int, cell: Cell) -> Iterator[str]:
    yield from sorted({problem for text in _all_texts(cell) for problem in _found(text)})


def _ids_are_fixed(cell: Cell, written: str) -> Iterator[str]:
    """A UUID of version 4 is random, unless somebody wrote it down."""
    shown = {one for text in _all_texts(cell) for one in _RANDOM_ID.findall(text)}
    for one in sorted(shown):
        if one not in written:
            yield f"shows {one!r}: a random id; make it of a fixed one: uuid.UUID('{one}')"


def _all_texts(cell: Cell) -> Iterator[str]:
    return (text for output in cell["outputs"] for text in _texts(_shown(output)))


def _found(text: str) -> Iterator[str]:
    for pattern, cure in OUTPUT_PATTERNS.items():
        if match := re.search(pattern, text, re.IGNORECASE):
            yield f"shows {match.group().strip()!r}: {cure}"


def _shown(output: Output) -> object:
    """What of an output is compared. A traceback is not: only the error's name and text are."""
    return [output.get("text"), output.get("data"), output.get("evalue")]


def _charts_draw(_number: int, cell: Cell) -> Iterator[str]:
    for output in cell["outputs"]:
        for mime in output.get("data", {}):
            if mime.startswith(VEGA) and not mime.endswith(".v5+json"):
                yield (
                    f"holds a chart as {mime}, which JupyterLab cannot draw: "
                    "import eventsourcing_kit.charts, whose renderer writes application/vnd.vegalite.v5+json"
                )


CELL_RULES: list[Callable[[int, Cell], Iterator[str]]] = [
    _is_run_in_order,
    _is_not_skipped,
    _is_quiet,
    _outputs_are_stable,
    _charts_draw,
]


def _texts(value: object) -> Iterator[str]:
    """Every string in nested JSON; a list of strings is one text, as in the notebook format."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        yield "".join(value)
    elif isinstance(value, list | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)

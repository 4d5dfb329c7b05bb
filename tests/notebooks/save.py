"""Run all notebooks again and save them: `make notebooks`, or `python -m tests.notebooks.save [NOTEBOOK …]`.

Each is run twice, the second time in another time zone and with another hash seed. A notebook is saved where
both runs give the same file, byte for byte; where not, the difference is printed and the file left as it was.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbclient.exceptions import CellExecutionError

from eventsourcing_kit.errors import NotebookError
from eventsourcing_kit.lessons.notebook_check import check_notebook
from tests.notebooks import execution, pages

RUNS = [{"TZ": "UTC", "PYTHONHASHSEED": "1"}, {"TZ": "Asia/Kolkata", "PYTHONHASHSEED": "2"}]
LONGEST_DIFFERENCE = 60


def main(arguments: list[str]) -> int:
    """Save the notebooks named, or all. Returns how many could not be, or are not fit to be a test."""
    paths = [Path(argument).resolve() for argument in arguments] or execution.all_notebooks()
    before = _files_beside(paths)
    with ThreadPoolExecutor(max_workers=2) as pool:
        texts = list(pool.map(run_twice, paths))
    written = sorted(_files_beside(paths) ^ before)
    failures = 0
    for path, (text, problem) in zip(paths, texts, strict=True):
        problem = problem or _saved(path, text)
        failures += bool(problem)
        print(f"{path.name}: {problem or 'saved; both runs gave the same'}")
    if shown := [str(path) for path, (_, bad) in zip(paths, texts, strict=True) if not bad and _has_page(path)]:
        pages.main(shown)
    for name, _, _ in written:
        print(f"{name} was written by a notebook: write to memory or a temporary folder")
    return failures + len(written)


def _has_page(path: Path) -> bool:
    return path.parent == execution.NOTEBOOKS


def run_twice(path: Path) -> tuple[str, str]:
    """What to save, and "", or a text that says why not to."""
    texts = []
    for environment in RUNS:
        try:
            notebook = execution.execute(execution.read(path), path.parent, environment)
        except CellExecutionError as error:
            return "", f"not saved; a cell failed\n{error}"
        texts.append(execution.text(notebook))
    if texts[0] != texts[1]:
        return "", "not saved; TWO RUNS DIFFER\n" + "\n".join(_difference(*texts))
    return texts[0], ""


def _difference(first: str, second: str) -> Iterator[str]:
    lines = list(difflib.unified_diff(first.splitlines(), second.splitlines(), "run 1", "run 2", lineterm=""))
    yield from (line[:200] for line in lines[:LONGEST_DIFFERENCE])
    if len(lines) > LONGEST_DIFFERENCE:
        yield f"… and {len(lines) - LONGEST_DIFFERENCE} lines more"


def _saved(path: Path, text: str) -> str:
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    try:
        check_notebook(path)
    except NotebookError as error:
        return f"saved, but {error}"
    return ""


def _files_beside(paths: list[Path]) -> set[tuple[str, int, int]]:
    """Name, size and time of every file that a notebook could have written to in its folder or beside it."""
    folders = {folder for path in paths for folder in (path.parent, path.parent.parent / "data")}
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files}


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))

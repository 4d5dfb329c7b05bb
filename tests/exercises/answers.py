"""Putting answers into a notebook's exercises and reading the verdicts.

An exercise is a cell with a line `answer = ...` (any name), followed in that cell or the next ones by a
call of what `ek.testing.exercise` returned. Its solution and typical wrong answers stand, by cell id, in
`tests/exercises/NAME.py`:

    from tests.exercises.answers import Answers

    ANSWERS = {
        "exercise-balance": Answers(
            solution="answer = 70",
            wrong={"answer = 130": "added what was withdrawn"},  # an answer: a part of the hint that it gets
        ),
    }

An answer is code; it takes the place of the line `answer = ...`.
"""

from __future__ import annotations

import copy
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

FOLDER = Path(__file__).parent
UNANSWERED, RIGHT, NOT_YET = "not answered yet", "right: ", "not yet: "
_OPEN = re.compile(r"^\w+ *= *\.\.\.[ \t]*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Answers:
    """The answers to one exercise: the solution, and wrong answers with a part of the hint each must get."""

    solution: str
    wrong: Mapping[str, str]


def answers_of(path: Path) -> dict[str, Answers]:
    """The answers to a notebook's exercises, by cell id."""
    file = FOLDER / f"{path.stem}.py"
    answers: dict[str, Answers] = runpy.run_path(str(file))["ANSWERS"] if file.exists() else {}
    return answers


def exercises_in(notebook: NotebookNode) -> list[str]:
    """The ids of the cells that ask for an answer."""
    return [cell.id for cell in notebook.cells if cell.cell_type == "code" and _OPEN.search(cell.source)]


def answered(notebook: NotebookNode, code: Mapping[str, str]) -> NotebookNode:
    """A copy of the notebook with these answers (code by cell id) put in."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.id in code:
            before, after = _OPEN.split(cell.source, maxsplit=1)
            cell.source = before + code[cell.id] + after
    return notebook


def all_answered(notebook: NotebookNode, code: Mapping[str, list[str]]) -> NotebookNode:
    """A copy in which each exercise is answered several times, one after the other, each time followed by its check.

    The cells of an answer are named `id--0`, `id--1` …; the last answer is the one that the rest of the notebook sees.
    """
    notebook = copy.deepcopy(notebook)
    checks = {id_: _check_cell(notebook, id_) for id_ in code}
    cells = []
    for cell in notebook.cells:
        ids = [id_ for id_, check in checks.items() if check.id == cell.id]
        if cell.id not in code and not ids:
            cells.append(cell)
        for id_ in ids:
            for at, answer in enumerate(code[id_]):
                cells += _answer_and_check(notebook, id_, cell, answer, at)
    notebook.cells = cells
    return notebook


def _check_cell(notebook: NotebookNode, id_: str) -> NotebookNode:
    """The cell that shows an exercise's verdict: the first after its own, or its own, that has one."""
    at = next(i for i, cell in enumerate(notebook.cells) if cell.id == id_)
    return next(cell for cell in notebook.cells[at:] if _verdict_in(cell))


def _answer_and_check(
    notebook: NotebookNode, id_: str, check: NotebookNode, answer: str, at: int
) -> list[NotebookNode]:
    at_id = next(i for i, cell in enumerate(notebook.cells) if cell.id == id_)
    until = next(i for i, cell in enumerate(notebook.cells) if cell.id == check.id)
    made = copy.deepcopy(notebook.cells[at_id : until + 1])
    for cell in made:
        if cell.id == id_:
            before, after = _OPEN.split(cell.source, maxsplit=1)
            cell.source = before + answer + after
        cell.id = f"{cell.id}--{at}"[-64:]
    return made


def _verdict_in(cell: NotebookNode) -> str:
    shown = [str(output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", [])]
    return next((text for text in shown if text.startswith((UNANSWERED, RIGHT, NOT_YET))), "")


def verdicts(notebook: NotebookNode, exercises: list[str]) -> dict[str, str]:
    """By the id of the exercise's cell: the first verdict shown from there to the next exercise."""
    found = dict.fromkeys(exercises, "no verdict")
    current = None
    for cell in notebook.cells:
        current = cell.id if cell.id in found else current
        for output in cell.get("outputs", []):
            shown = str(output.get("data", {}).get("text/plain", ""))
            if current and found[current] == "no verdict" and shown.startswith((UNANSWERED, RIGHT, NOT_YET)):
                found[current] = shown
    return found

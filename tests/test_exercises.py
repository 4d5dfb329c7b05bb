"""The notebooks' exercises: open ones run, solutions are found right, typical mistakes get their hint."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.exercises import answers
from tests.exercises.answers import NOT_YET, RIGHT, UNANSWERED
from tests.notebooks import execution

NOTEBOOKS = execution.all_notebooks()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_has_a_solution_and_wrong_answers(path: Path) -> None:
    """Each notebook asks at least two things, and the answers' file knows exactly these."""
    exercises = answers.exercises_in(execution.read(path))
    expected = answers.answers_of(path)
    assert len(exercises) >= 2
    assert sorted(exercises) == sorted(expected)
    assert all(each.wrong for each in expected.values()), "each exercise needs a typical wrong answer"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_open_notebook_says_that_nothing_is_answered(path: Path) -> None:
    """What is saved (and compared by nbval) is the notebook as the learner meets it."""
    notebook = execution.read(path)
    exercises = answers.exercises_in(notebook)
    assert answers.verdicts(notebook, exercises) == dict.fromkeys(exercises, UNANSWERED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_that_hold_the_answers_are_folded(path: Path) -> None:
    """A check knows the right answer, and a learner would read it before thinking."""
    checks = [cell for cell in execution.read(path).cells if "ek.testing.exercise(" in cell.source]
    assert len(checks) >= 2
    for cell in checks:
        assert cell.metadata.get("jupyter", {}).get("source_hidden"), f"fold {cell.id}: View > Collapse Selected Code"


@pytest.mark.processes
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_wrong_answers_get_their_hint_and_solutions_are_right(path: Path) -> None:
    """The whole notebook runs with every typical mistake in turn, then with the solutions, and nothing warns."""
    expected = answers.answers_of(path)
    code = {id_: [*each.wrong, each.solution] for id_, each in expected.items()}
    notebook = answers.all_answered(execution.read(path), code)
    ids = [f"{id_}--{at}" for id_, several in code.items() for at in range(len(several))]
    execution.execute(notebook, path.parent)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    found = answers.verdicts(notebook, ids)
    left: dict[str, dict[str, str]] = {}
    for id_, each in expected.items():
        assert found[f"{id_}--{len(each.wrong)}"].startswith(RIGHT)
        said = [found[f"{id_}--{at}"] for at in range(len(each.wrong))]
        left[id_] = {
            wrong: hint
            for (wrong, hint), verdict in zip(each.wrong.items(), said, strict=True)
            if not verdict.startswith(NOT_YET) or hint not in verdict
        }
    while left := {id_: hints for id_, hints in left.items() if hints}:
        # what an earlier answer left behind may have changed these: one of each exercise in a new kernel
        tried = {id_: hints.popitem() for id_, hints in left.items()}
        answered = answers.answered(execution.read(path), {id_: wrong for id_, (wrong, _) in tried.items()})
        verdicts = answers.verdicts(execution.execute(answered, path.parent), list(tried))
        for id_, (_, hint) in tried.items():
            assert verdicts[id_].startswith(NOT_YET)
            assert hint in verdicts[id_]


LESSON = """
import eventsourcing_kit.testing as testing

check = testing.exercise((lambda answer: answer == 70, "subtract what went out"), right="yes")
---
# what is left?
answer = ...  # your answer
---
check(answer)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (None, "not answered yet"),
        ("answer = 70", "right: yes"),
        ("deposits = 100\nanswer = deposits + 30", "not yet: subtract what went out"),
    ],
)
def test_the_mechanism_sees_each_verdict(tmp_path: Path, code: str | None, verdict: str) -> None:
    """An answer takes the place of `answer = ...`, and the verdict is read from the cell after it."""
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in LESSON.split("---")]
    lesson = nbformat.v4.new_notebook(cells=cells)
    exercises = answers.exercises_in(lesson)
    assert exercises == [cells[1].id]
    lesson = answers.answered(lesson, dict.fromkeys(exercises, code) if code else {})
    assert answers.verdicts(execution.execute(lesson, tmp_path), exercises) == {exercises[0]: verdict}

"""The notebooks' exercises: open ones run, solutions are found right, typical mistakes get their hint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.exercises import answers
from tests.exercises.answers import NOT_YET, RIGHT, UNANSWERED, Answers
from tests.notebooks import execution

NOTEBOOKS = execution.all_notebooks()


def _rounds() -> Iterator[tuple[Path, int]]:
    """As many for each notebook as its exercise with the most wrong answers needs."""
    for path in NOTEBOOKS:
        most = max((len(each.wrong) for each in answers.answers_of(path).values()), default=0)
        yield from ((path, round_) for round_ in range(most))


def _wrong(each: Answers, round_: int) -> tuple[str, str]:
    """Code and expected hint; exercises with fewer wrong answers start over."""
    return list(each.wrong.items())[round_ % len(each.wrong)]


def _verdicts(path: Path, code: dict[str, str]) -> dict[str, str]:
    answered = answers.answered(execution.read(path), code)
    return answers.verdicts(execution.execute(answered, path.parent), list(code))


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
def test_solutions_are_right(path: Path) -> None:
    """With every solution put in, the whole notebook runs, and every verdict is "right"."""
    found = _verdicts(path, {id_: each.solution for id_, each in answers.answers_of(path).items()})
    assert {id_: verdict for id_, verdict in found.items() if not verdict.startswith(RIGHT)} == {}


@pytest.mark.parametrize(("path", "round_"), list(_rounds()), ids=lambda value: getattr(value, "stem", value))
def test_wrong_answers_get_their_hint(path: Path, round_: int) -> None:
    """With a typical mistake in every exercise, the whole notebook still runs and says what was mistaken."""
    wrong = {id_: _wrong(each, round_) for id_, each in answers.answers_of(path).items()}
    found = _verdicts(path, {id_: code for id_, (code, _) in wrong.items()})
    for id_, (_, hint) in wrong.items():
        assert found[id_].startswith(NOT_YET)
        assert hint in found[id_]


LESSON = """
import eventsourcing_kit.testing as testing

check = testing.exercise((lambda answer: answer == 70, "subtract what went out"), right="yes")
---
# what is left?
answer = ...  # your answer
---
check(answer)
"""


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

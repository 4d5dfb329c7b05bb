"""What authors of lessons and tests are given: the clock, the exercises, the guard over notebooks."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.errors import EventSourcingError, InputError, NotebookError
from eventsourcing_kit.testing import check_notebook, clock, exercise

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEST = timezone(timedelta(hours=-8))
NAIVE = datetime(2026, 1, 5)
ZERO = timedelta(0)


# clock


def test_first_call_is_the_start_and_each_call_one_step_on() -> None:
    """The contract's own line."""
    now = clock("2026-01-05T09:00:00Z", step="1min")
    assert [now(), now(), now()] == [START, START + timedelta(minutes=1), START + timedelta(minutes=2)]


@pytest.mark.parametrize(
    ("step", "length"),
    [
        ("1d", timedelta(days=1)),
        ("2h", timedelta(hours=2)),
        ("1min", timedelta(minutes=1)),
        ("5s", timedelta(seconds=5)),
        ("250ms", timedelta(milliseconds=250)),
        ("10us", timedelta(microseconds=10)),
        (timedelta(seconds=1.5), timedelta(seconds=1.5)),
        (pd.Timedelta("1min 1ns"), timedelta(minutes=1)),
    ],
)
def test_steps_are_text_or_timedelta(step: Any, length: timedelta) -> None:
    """Finer than a microsecond is floored, as everywhere in the kit."""
    now = clock(START, step=step)
    assert -(now() - now()) == length


@pytest.mark.parametrize(
    "start",
    ["2026-01-05T09:00:00Z", "2026-01-05T10:00:00+01:00", START, START.astimezone(WEST)],
)
def test_starts_with_any_offset_become_utc(start: Any) -> None:
    """The instant counts, not how it was written."""
    now = clock(start)
    assert repr(now) == "clock('2026-01-05T09:00:00Z', step='1min')"
    first = now()
    assert first == START
    assert first.tzinfo is UTC


def test_a_pandas_timestamp_starts_a_clock_of_plain_datetimes() -> None:
    """Nanoseconds are floored."""
    now = clock(pd.Timestamp("2026-01-05T09:00:00.000000999Z"))
    assert type(now()) is datetime
    assert now() == START + timedelta(minutes=1)


def test_a_start_without_an_offset_is_named_as_it_was_written() -> None:
    with pytest.raises(InputError, match=r"^a clock cannot start at '2026-01-05', which has no offset; write a time"):
        clock("2026-01-05")


@pytest.mark.parametrize(
    "start",
    ["2026-01-05T09:00:00", "2026-01-05", "soon", "", 5, None, NAIVE, pd.NaT, pd.Timestamp(NAIVE)],
)
def test_a_start_that_is_no_instant_is_refused(start: Any) -> None:
    """The error says what to write."""
    with pytest.raises(InputError, match="write a time with its offset, for example '2026-01-05T09:00:00Z'"):
        clock(start)


@pytest.mark.parametrize(
    "step",
    [
        "",
        "1",
        "min",
        "1 fortnight",
        "-1min",
        "0s",
        "1.5s",
        60,
        None,
        ZERO,
        timedelta(-1),
        pd.Timedelta("1ns"),
    ],
)
def test_a_step_that_does_not_move_time_on_is_refused(step: Any) -> None:
    """The error says what to write."""
    with pytest.raises(InputError, match="write a number and d, h, min, s, ms or us"):
        clock(START, step=step)


@given(st.integers(1, 10**12))
def test_the_repr_makes_the_same_clock(us: int) -> None:
    """What is shown can be typed; calls leave it as it was."""
    now = clock(START, step=timedelta(microseconds=us))
    shown = repr(now)
    again = eval(shown, {"clock": clock})
    assert [now(), now()] == [again(), again()]
    assert repr(now) == shown


def test_a_clock_ends_with_the_calendar() -> None:
    """An error of the kit, not Python's OverflowError."""
    now = clock("9999-12-31T23:59:59Z")
    now()
    with pytest.raises(InputError, match="past the year 9999"):
        now()


def test_threads_never_get_the_same_time() -> None:
    """One clock may serve several writers."""
    now = clock(START)
    times: list[datetime] = []
    threads = [threading.Thread(target=lambda: times.extend(now() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(times)) == 2000


# exercise


def test_verdicts_are_short_and_the_same_in_text_and_html() -> None:
    """The first missed requirement gives its hint; what is shown as HTML is escaped."""
    check = exercise(
        (lambda answer: answer != 130, "you added <all>"),
        (lambda answer: answer == 70, "subtract"),
        right="yes: 70 & no more",
    )
    assert [repr(check(answer)) for answer in (..., 130, 1, 70)] == [
        "not answered yet",
        "not yet: you added <all>",
        "not yet: subtract",
        "right: yes: 70 & no more",
    ]
    assert check(...)._repr_html_() == "<b>not answered yet</b>"
    assert check(130)._repr_html_() == "<b>not yet:</b> you added &lt;all&gt;"
    assert check(70)._repr_html_() == "<b>right:</b> yes: 70 &amp; no more"


@pytest.mark.parametrize("answer", [None, "70", [], pd.DataFrame({"a": [1, 2]})])
def test_an_answer_of_the_wrong_kind_is_told_what_cannot_be_done_with_it(answer: Any) -> None:
    """By the error, not by the hint of a mistake that the learner didn't make."""
    verdict = repr(exercise((lambda answer: answer + 1 == 71, "subtract"), right="yes")(answer))
    assert re.match(r"not yet: (Type|Value)Error: ", verdict)
    assert "subtract" not in verdict


def forgotten(state: int, event: dict[str, int]) -> None:
    """A handler whose author forgot to return something."""


def misspelt(state: int, event: dict[str, int]) -> int:
    return state + event["amont"]


def doubtful(state: int, event: dict[str, int]) -> int:
    assert state > 0, "who paid that?"
    return state + event["amount"]


@pytest.mark.parametrize(("handler", "said"), [(forgotten, "None"), (misspelt, "amont"), (doubtful, "who paid that?")])
def test_a_learner_sees_the_error_of_their_own_code(handler: Callable[..., Any], said: str) -> None:
    """Not the hint of another mistake, whoever runs the code: the store, a specification or the check itself."""
    fact = ek.NewEvent(type="Paid", data={"amount": 4})
    store = ek.EventStore()
    store.append("card-1", fact)
    total = ek.Projection("total", initial=lambda: 0)
    total.on("Paid")(handler)
    spending = ek.Decider(decide=lambda command, state: handler(state, command), evolve=handler, initial=lambda: 0)
    for answer, requirement in (
        (total, lambda one: store.replay(one) != {"card-1": 5}),
        (total, lambda one: ek.testing.given(one, fact).then(4)),
        (spending, lambda one: ek.testing.given(one, fact).when({"amount": 4}).then(fact)),
        (handler, lambda one: one(0, {"amount": 4}) + 1),
    ):
        verdict = repr(exercise((requirement, "leave it out"), right="yes")(answer))
        assert "leave it out" not in verdict
        assert said in verdict, (answer, verdict)


def test_a_specification_or_an_assertion_that_fails_is_a_requirement_that_is_missed() -> None:
    def is_four(answer: object) -> bool:
        assert answer == 4
        return True

    seen = ek.Projection("seen", initial=lambda: 0)
    seen.on("Paid")(lambda state, event: state + 1)
    paid = ek.NewEvent(type="Paid")
    specified = exercise((lambda one: ek.testing.given(one, paid, paid).then(3), "count to three"), right="yes")
    assert repr(specified(seen)) == "not yet: count to three"
    asserted = exercise((is_four, "four, please"), right="yes")
    assert [repr(asserted(answer)) for answer in (3, 4)] == ["not yet: four, please", "right: yes"]


def test_an_error_of_several_lines_keeps_them_in_html() -> None:
    def answer() -> None:
        raise ValueError("one <line>\nanother")

    verdict = exercise((lambda one: one(), "hint"), right="yes")(answer)
    assert verdict._repr_html_() == "<b>not yet:</b> ValueError: one &lt;line&gt;<br>another"


@pytest.mark.parametrize("steps", [(), ("hint",), ((lambda answer: True),), (("hint", lambda answer: True),)])
def test_an_exercise_is_made_of_requirements_and_hints(steps: Any) -> None:
    """An author's slip is found where it is made."""
    with pytest.raises(InputError, match=re.escape("write (requirement, hint): a function and a text")):
        exercise(*steps, right="yes")


# check_notebook

RANDOM_ID = "3f2b8c1e-8f4d-4c56-9d8f-0d4f5f5b0b3a"
Cell = dict[str, Any]
Notebook = dict[str, Any]


def _result(**data: object) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def _html(html: str) -> dict[str, Any]:
    return _result(**{"text/html": html})


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


ERROR = {
    "output_type": "error",
    "ename": "ValueError",
    "evalue": "no",
    "traceback": ["File /tmp/ipykernel_1/2.py, <object at 0x7f0000000000>"],
}
WIDGET = _result(**{"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Slider()"})


def _code(id_: str, count: int | None, source: str | list[str], *outputs: dict[str, Any]) -> Cell:
    cell = {"cell_type": "code", "id": id_, "metadata": {}, "source": source}
    return {**cell, "outputs": list(outputs), "execution_count": count}


def _notebook() -> Notebook:
    """A notebook that is fit: two cells, of which the second shows things."""
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# /tmp/ is a folder"},
        _code("first", 1, "1"),
        _code(
            "second",
            2,
            ["2\n", "# NBVAL_SKIP is a mark only where it stands alone"],
            _result(**{"application/vnd.vegalite.v5+json": {"data": {"values": [1, None]}}}),
            _stream("stdout", "100% | of 0x7 at 3/s"),
            WIDGET,
        ),
        _code("blank", None, " "),
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def _check(folder: Path, notebook: Notebook) -> None:
    path = folder / "lesson.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    check_notebook(path)
    check_notebook(str(path))


def _with(**changes: object) -> Callable[[Cell], None]:
    return lambda cell: cell.update(changes)


def _showing(*outputs: dict[str, Any]) -> Callable[[Cell], None]:
    return lambda cell: cell["outputs"].extend(outputs)


def test_a_fit_notebook_passes(tmp_path: Path) -> None:
    """Text around the code, one live widget, v5 charts, blank cells: all fine."""
    _check(tmp_path, _notebook())


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell.update(metadata={"tags": ["raises-exception"]}, outputs=[ERROR]),
        lambda cell: cell.update(metadata={"tags": ["nbval-raises-exception", "lesson"]}, outputs=[ERROR]),
        lambda cell: cell.update(source="# NBVAL_RAISES_EXCEPTION\nint('a')", outputs=[ERROR]),
        _with(source="# NBVAL_CHECK_OUTPUT\n2"),
        _with(source=f"UUID('{RANDOM_ID}')", outputs=[_stream("stdout", RANDOM_ID)]),
        _with(outputs=[_stream("stdout", "019b8d62-7a80-7000-8000-0001a5b0da61 of https://site/home/ada/")]),
        _with(source="# don't use NBVAL_SKIP"),
    ],
)
def test_meant_errors_and_harmless_marks_pass(tmp_path: Path, change: Callable[[Cell], None]) -> None:
    """An error is a lesson where the cell says so; tracebacks are not compared, so they may name files."""
    notebook = _notebook()
    change(notebook["cells"][2])
    _check(tmp_path, notebook)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with(execution_count=None), "was never run: restart the kernel, run all cells and save"),
        (_with(execution_count=7), "was run as [7], not as [2]: restart the kernel"),
        (_with(metadata={"tags": ["nbval-skip"]}), "is marked 'nbval-skip', which hides it from the test"),
        (_with(metadata={"tags": ["nbval-ignore-output"]}), "is marked 'nbval-ignore-output'"),
        (_with(metadata={"tags": ["skip-execution"]}), "is marked 'skip-execution'"),
        (_with(source="2\n# NBVAL_SKIP"), "is marked 'nbval-skip'"),
        (_with(source="  #NBVAL_IGNORE_OUTPUT\n2"), "is marked 'nbval-ignore-output'"),
        (_with(source="# PYTEST_VALIDATE_IGNORE_OUTPUT"), "is marked 'pytest-validate-ignore-output'"),
        (_with(source="display(2, display_id='x')"), "display_id= cannot be compared"),
        (_with(source="clear_output(wait=True)"), "clear_output() cannot be compared"),
        (_showing(ERROR), "ended in ValueError: 'no': mend the cell, or tag it 'raises-exception'"),
        (_showing(_stream("stderr", "Warning: old\nmore")), "wrote to stderr ('Warning: old')"),
        (_showing(_result(**{"text/plain": "<f at 0x10a2b3c4d>"})), "a memory address"),
        (_showing(_result(**{"text/plain": ["<f at ", "0x10a2b3c4d>"]})), "a memory address"),
        (_showing(_stream("stdout", "0x7f3a2b1c0d9e")), "a memory address"),
        (_showing(_stream("stdout", "/tmp/abc/bank")), "a temporary or personal path"),
        (_showing(_stream("stdout", "/private/var/folders/x")), "a temporary or personal path"),
        (_showing(_stream("stdout", r"C:\Users\ada\bank")), "a temporary or personal path"),
        (_showing(_stream("stdout", "in /home/ada/bank")), "a temporary or personal path"),
        (_showing(_stream("stdout", "f'/Users/ada/bank'")), "a temporary or personal path"),
        (_showing(_result(**{"text/html": f"<td>{RANDOM_ID}</td>"})), f"shows '{RANDOM_ID}': a random id"),
        (_showing(_result(**{"application/json": {"a": [{"b": "/tmp/x"}]}})), "a temporary or personal path"),
        (_showing(_result(**{"text/plain": "<DisplayHandle display_id=1a2b>"})), "a display handle"),
        (_showing(_stream("stderr", " 40%|████      | 4/10 [00:01<00:02, 3.1it/s]")), "a progress bar"),
        (_showing(_stream("stdout", "1.2 ms ± 3 µs per loop (mean ± std. dev.)")), "a timing differs"),
        (_showing(_html('<style></style><table id="T_1a2b3">')), "df.style writes random ids"),
        (_showing(_html('<script src="https://x.org/vega.js">')), "code from the network (a CDN)"),
        (_showing(_html('load("https://cdn.jsdelivr.net/npm/vega@6")')), "code from the network (a CDN)"),
        (
            _showing(_result(**{"application/vnd.vegalite.v6+json": {}})),
            "a chart as application/vnd.vegalite.v6+json, which JupyterLab cannot draw",
        ),
    ],
)
def test_each_broken_rule_says_what_to_mend(tmp_path: Path, change: Callable[[Cell], None], said: str) -> None:
    """One rule broken in the second code cell, one line of cure."""
    notebook = _notebook()
    change(notebook["cells"][2])
    with pytest.raises(NotebookError) as raised:
        _check(tmp_path, notebook)
    head, *problems = str(raised.value).split("\n- ")
    assert head == "lesson.ipynb is not fit to be a strict test; to mend:"
    assert len(problems) == 1
    assert problems[0].startswith("code cell 2 (id 'second') ")
    assert said in problems[0]


def test_more_than_one_live_widget_is_too_many(tmp_path: Path) -> None:
    """Counted over the notebook."""
    notebook = _notebook()
    notebook["cells"][1]["outputs"].append(WIDGET)
    with pytest.raises(NotebookError, match="shows 2 live widgets: keep one at most"):
        _check(tmp_path, notebook)


def test_a_notebook_without_code_tests_nothing(tmp_path: Path) -> None:
    """It would pass, and mean nothing."""
    notebook = _notebook()
    del notebook["cells"][1:]
    with pytest.raises(NotebookError, match="has no code cell"):
        _check(tmp_path, notebook)


def test_everything_to_mend_is_listed_at_once(tmp_path: Path) -> None:
    """Nobody mends, runs, mends, runs."""
    notebook = _notebook()
    first, second = notebook["cells"][1:3]
    first.update(execution_count=None, metadata={"tags": ["nbval-skip"]})
    second.update(outputs=[ERROR, _stream("stdout", "/tmp/x")])
    with pytest.raises(EventSourcingError) as raised:
        _check(tmp_path, notebook)
    assert str(raised.value).count("\n- ") == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not a valid notebook"),
        ("[]", "is not a valid notebook"),
        ('{"cells": 5}', "is not a valid notebook"),
        ('{"worksheets": [], "metadata": {}, "nbformat": 3}', "in an old notebook format"),
        ('{"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "is not a valid notebook"),
        (None, "there is no notebook lesson.ipynb"),
    ],
)
def test_what_is_no_notebook_is_said_to_be_none(tmp_path: Path, content: str | None, said: str) -> None:
    """Also then the error is the kit's own."""
    path = tmp_path / "lesson.ipynb"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(NotebookError, match=said):
        check_notebook(path)


def test_the_mime_type_that_altair_writes_is_refused(tmp_path: Path) -> None:
    """Altair's `mimetype` renderer writes what the notebook format forbids; the rule names it."""
    notebook = _notebook()
    notebook["cells"][2]["outputs"] = [_result(**{"application/vnd.vegalite.v6.json": {"mark": "bar"}})]
    with pytest.raises(NotebookError, match=re.escape("application/vnd.vegalite.v6.json")):
        _check(tmp_path, notebook)

"""For lessons and tests: a clock that repeats itself, exercises that answer back, a guard over notebooks.

Specifications (`given`), and what tells of a projection's nature (`sensitivity`, `checked`), have modules of their own.
"""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from html import escape
from typing import Any

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import time_text
from eventsourcing_kit.lessons.notebook_check import check_notebook
from eventsourcing_kit.lessons.purity import checked
from eventsourcing_kit.lessons.sensitivity import Sensitivity, sensitivity
from eventsourcing_kit.lessons.specification import given
from eventsourcing_kit.records.moment import aware_us, from_us

__all__ = [
    "Clock", "Exercise", "Sensitivity", "Verdict", "check_notebook", "checked", "clock", "exercise", "given",
    "sensitivity",
]  # fmt: skip

_MICROSECOND = timedelta(microseconds=1)
_UNITS_US = {"d": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_STEP = re.compile(rf"([0-9]+) ?({'|'.join(_UNITS_US)})")
_START_CURE = "write a time with its offset, for example '2026-01-05T09:00:00Z'"
_STEP_CURE = "write a number and d, h, min, s, ms or us, for example '1min', or a timedelta"


def __dir__() -> list[str]:
    return sorted(__all__)  # what Tab offers in a notebook


def clock(start: str | datetime, step: str | timedelta = "1min") -> Clock:
    """A clock for lessons and tests: the first call gives `start`, each further call one step more.

    Raises `InputError` for a start without an offset, and for a step that is none.

    >>> now = clock("2026-01-05T09:00:00Z", step="1min")
    >>> print(now(), now(), sep=" | ")
    2026-01-05 09:00:00+00:00 | 2026-01-05 09:01:00+00:00

    `step` is text ("1d", "1h", "1min", "5s", "250ms", "10us") or a timedelta, and above zero.
    """
    return Clock(_start_us(start), _step_us(step))


class Clock:
    """What `clock` returns: called, it gives an aware datetime in UTC. Threads may share one.

    >>> now = clock("2026-01-05T09:00:00Z", step="1h")
    >>> isinstance(now, Clock), now().hour, now().hour
    (True, 9, 10)
    """

    def __init__(self, start_us: int, step_us: int) -> None:
        self._start_us, self._step_us = start_us, step_us
        self._ticks = itertools.count(start_us, step_us)

    def __call__(self) -> datetime:
        """The next time."""
        try:
            return from_us(next(self._ticks))
        except OverflowError:
            raise InputError(f"{self!r} ran past the year 9999; take smaller steps") from None

    def __repr__(self) -> str:
        start = time_text(from_us(self._start_us))
        return f"clock({start!r}, step={_step_text(self._step_us)!r})"


def _start_us(start: object) -> int:
    if isinstance(start, str):
        try:
            time = datetime.fromisoformat(start)
        except ValueError:
            raise InputError(f"a clock cannot start at {start!r}; {_START_CURE}") from None
        if time.utcoffset() is None:
            raise InputError(f"a clock cannot start at {start!r}, which has no offset; {_START_CURE}")
        start = time
    try:
        return aware_us(start, "a clock's start")
    except InputError as error:
        raise InputError(f"{error}; {_START_CURE}") from None


def _step_us(step: object) -> int:
    if isinstance(step, timedelta):
        us = step // _MICROSECOND
    elif isinstance(step, str) and (match := _STEP.fullmatch(step)):
        us = int(match[1]) * _UNITS_US[match[2]]
    else:
        raise InputError(f"a clock cannot take steps of {step!r}; {_STEP_CURE}")
    if us <= 0:
        raise InputError(f"a clock's step must be at least one microsecond, not {step!r}; {_STEP_CURE}")
    return us


def _step_text(us: int) -> str:
    unit = next(unit for unit, length in _UNITS_US.items() if us % length == 0)
    return f"{us // _UNITS_US[unit]}{unit}"


def exercise(*steps: tuple[Callable[[Any], object], str], right: str) -> Exercise:
    """An exercise that answers back: a function from an answer to a `Verdict`.

    Each step is a requirement and the hint for an answer that misses it. They are tried in order, so put
    the particular mistake before the general one; `right` is said when all hold. A requirement is missed where it
    gives something false, or fails an assertion, as `given(…).then(…)` does. Where the answer's own code raises
    anything, or the requirement can do nothing with such an answer, the verdict shows that error and no hint. Raises
    `InputError` where a step is no pair of a function and a text.

    >>> check = exercise(
    ...     (lambda answer: answer != 130, "you added what was withdrawn"),
    ...     (lambda answer: answer == 70, "add what went in, subtract what went out"),
    ...     right="a balance is what its events add up to",
    ... )

    In a notebook the learner meets `answer = ...` and `check(answer)`, which runs as it is:

    >>> answer = ...
    >>> check(answer)
    not answered yet
    >>> check(130)
    not yet: you added what was withdrawn
    >>> check(70)
    right: a balance is what its events add up to
    >>> exercise((lambda total: total([1, 2]) == 3, "add them up"), right="yes")(lambda events: events + 1)
    not yet: TypeError: can only concatenate list (not "int") to list
    """
    if not steps:
        raise InputError("an exercise needs at least one step; write (requirement, hint): a function and a text")
    for step in steps:
        if not _is_step(step):
            raise InputError(f"{step!r} is no step; write (requirement, hint): a function and a text")
    return Exercise(steps, right)


def _is_step(step: object) -> bool:
    return isinstance(step, tuple) and len(step) == 2 and callable(step[0]) and isinstance(step[1], str)


class Exercise:
    """What `exercise` returns: call it with an answer, it gives a `Verdict`.

    >>> check = exercise((lambda answer: answer == 70, "add what went in"), right="yes")
    >>> isinstance(check, Exercise), check(70)
    (True, right: yes)
    """

    def __init__(self, steps: tuple[tuple[Callable[[Any], object], str], ...], right: str) -> None:
        self._steps, self._right = steps, right

    def __call__(self, answer: object) -> Verdict:
        """The verdict on an answer; `...` is none yet."""
        if answer is ...:
            return Verdict("not answered yet")
        for requirement, hint in self._steps:
            if missed := _missed(requirement, hint, answer):
                return Verdict(f"not yet: {missed}")
        return Verdict(f"right: {self._right}")

    def __repr__(self) -> str:
        return f"exercise({len(self._steps)} steps)"


def _missed(requirement: Callable[[Any], object], hint: str, answer: object) -> str:
    """What to say of an answer that misses the requirement; "" where it holds."""
    try:
        return "" if requirement(answer) else hint
    except Exception as error:
        own = _own_error(error, answer)
        return hint if own is None else f"{type(own).__name__}: {own}".removesuffix(": ")


def _own_error(error: Exception, answer: object) -> BaseException | None:
    """What the answer's own code raised; None where an assertion of the check itself has failed."""
    if not isinstance(error, AssertionError):
        return error
    called = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return error if getattr(answer, "__code__", None) in called else error.__cause__


class Verdict:
    """What an exercise says of an answer: "not answered yet", "right: …" or "not yet: …".

    >>> exercise((lambda answer: answer == 70, "add what went in"), right="yes")(60)
    not yet: add what went in
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        head, colon, rest = self._text.partition(":")
        return f"<b>{escape(head + colon)}</b>{escape(rest)}".replace("\n", "<br>")

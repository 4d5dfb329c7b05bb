"""Projections and deciders held to their word: handlers that change a state or an event in place are found."""

from __future__ import annotations

import copy
import functools
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

from eventsourcing_kit.errors import ProjectionError
from eventsourcing_kit.events import callables
from eventsourcing_kit.folding.projection import Projection
from eventsourcing_kit.writing.decider import Decider, projection_of

if TYPE_CHECKING:
    from collections.abc import Callable


@overload
def checked(subject: Projection) -> Projection: ...


@overload
def checked(subject: Decider) -> Decider: ...


def checked(subject: Projection | Decider) -> Projection | Decider:
    """The same projection or decider, whose functions fail where they change their state or event in place.

    It copies and compares every state, so it is slow: for tests, and to look for a mistake.

    Raises `InputError` for what is no projection or decider, and has the functions raise `ProjectionError`.

    >>> import eventsourcing_kit as ek
    >>> seen = ek.Projection("seen", initial=list)
    >>> @seen.on("PurityDoc.Noted")
    ... def note(state, event):
    ...     state.append(event["n"])
    ...     return state
    >>> store = ek.EventStore()
    >>> _ = store.append("a", ek.NewEvent(type="PurityDoc.Noted", data={"n": 1}))
    >>> store.replay(seen)
    {'a': [1]}
    >>> store.replay(ek.testing.checked(seen))
    Traceback (most recent call last):
    ...
    eventsourcing_kit.errors.ProjectionError: ... changed its state in place, from [] to [1]; return a new one; ...
    """
    if isinstance(subject, Decider):
        return Decider(
            decide=_unchanging(subject.decide, ("command", "state"), may_yield=True),
            evolve=_unchanging(subject.evolve, ("state", "event")),
            initial=subject.initial,
            name=subject.name,
            boundary=subject.boundary,
        )
    if projection_of(subject).declared is not None:
        return subject  # made of steps that are pure
    return projection_of(subject).changed(
        lambda one: replace(one, function=_unchanging(one.function, ("state", "event", "record")))
    )


def _unchanging(function: Callable[..., Any], names: tuple[str, ...], *, may_yield: bool = False) -> Callable[..., Any]:
    name_of = getattr(function, "__name__", callables.where(function))

    @functools.wraps(function)
    def held(*given: Any) -> Any:
        before = [_copied(one) for one in given]
        result = function(*given)
        if may_yield and inspect.isgenerator(result):
            result = list(result)
        for name, was, now in zip(names, before, given, strict=False):
            if was is not now and not _equal(was, now):
                raise ProjectionError(
                    f"{name_of} changed its {name} in place, from {was!r} to {now!r}; return a new one"
                )
        return result

    return held


def _copied(value: Any) -> Any:
    """A copy that stays as it is; the value itself where it cannot be copied, which then passes."""
    try:
        copied = copy.deepcopy(value)
    except Exception:
        return value
    return copied if _equal(copied, value) else value


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # arrays and the like have no plain equality
        return True

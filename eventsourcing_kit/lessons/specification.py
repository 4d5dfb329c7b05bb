"""Specifications: given these events, when this command comes, then that happens. No test framework is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, overload

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.event import Event, NewEvent
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.folding import difference
from eventsourcing_kit.folding.projection import Projection
from eventsourcing_kit.lessons.purity import checked
from eventsourcing_kit.records.moment import from_us
from eventsourcing_kit.store import EventStore
from eventsourcing_kit.writing.append import Append
from eventsourcing_kit.writing.checks import as_read, rows_of
from eventsourcing_kit.writing.decider import Decider, projection_of

if TYPE_CHECKING:
    from datetime import datetime

    from eventsourcing_kit.writing.handling import Handled

Given = Event | NewEvent | Append | tuple[str, Event | NewEvent]
_STREAM = "stream-1"
_START_US, _STEP_US = 1_767_603_600_000_000, 60_000_000  # 2026-01-05T09:00:00Z, and a minute a commit


@overload
def given(subject: Decider, *events: Given, stream: str = _STREAM) -> GivenEvents: ...


@overload
def given(subject: Projection, *events: Given, stream: str = _STREAM) -> GivenProjection: ...


def given(subject: Decider | Projection, *events: Any, stream: str = _STREAM) -> GivenEvents | GivenProjection:
    """Begin a specification of a decider or a projection: these events have happened, in `stream`.

    Raises `InputError` for what is no decider or projection, and for what are no events.

    >>> import eventsourcing_kit as ek
    >>> class Paid(ek.Event, type="SpecificationDoc.Paid"):
    ...     amount: int
    >>> def decide(command, state):
    ...     if command > 10 - state:
    ...         raise ValueError("the limit is 10")
    ...     return Paid(amount=command) if command else None
    >>> card = ek.Decider(decide=decide, evolve=lambda state, event: state + event.amount, initial=lambda: 0)
    >>> _ = ek.testing.given(card, Paid(amount=4)).when(5).then(Paid(amount=5))
    >>> _ = ek.testing.given(card, Paid(amount=4)).when(7).then_raises(ValueError, match="limit")
    >>> _ = ek.testing.given(card).when(0).then_nothing()
    >>> ek.testing.given(card).when(3).then(Paid(amount=2))
    Traceback (most recent call last):
    ...
    AssertionError: when 3: what happened is not what was expected
      event 1, SpecificationDoc.Paid: amount: expected 2, actual 3

    For a projection, `given(balance, …).then(state)`; its events may be given with their streams, as
    `("account-1", event)` or `ek.Append`, as may those of a decider with a boundary. Functions that change their state
    in place are found, too.
    """
    if isinstance(subject, Decider):
        alone = subject.boundary is None
        return GivenEvents(subject, _store([_in(stream, one, alone=alone) for one in events]), stream)
    projection_of(subject)
    return GivenProjection(subject, store_of(events, stream))


class GivenEvents:
    """A decider and what has happened in its stream: `when` a command comes, …"""

    def __init__(self, decider: Decider, store: EventStore, stream: str) -> None:
        self._decider, self._store, self._stream = decider, store, stream

    def when(self, command: Any) -> When:
        """Have the command decided."""
        return When(self._decider, self._store, self._stream, command)

    def __repr__(self) -> str:
        return f"<given {counted(self._store.position)} to {self._decider!r}>"


class When:
    """A command that has been decided: say what should have come of it."""

    def __init__(self, decider: Decider, store: EventStore, stream: str, command: Any) -> None:
        self._decider, self._store, self._stream, self._command = decider, store, stream, command
        self._error: Exception | None = None
        self._done: Handled | None = None
        try:
            self._done = store.handle(checked(decider), stream, command, retries=0)
        except Exception as error:
            self._error = error

    def then(self, *events: Event | NewEvent) -> GivenEvents:
        """These events happened, and no others; of a `NewEvent`, what it says of id, time and metadata counts."""
        if not events:
            raise InputError("then() takes the events that should have happened; where none should: then_nothing()")
        for one in events:
            if not isinstance(one, (Event, NewEvent)):
                raise InputError(f"{one!r} is no event; then() takes events, then_raises() an exception")
        handled = self._handled("events")
        expected = [
            (draft.type, as_read(draft, one))
            for draft, one in zip(rows_of(self._stream, list(events)).drafts(), events, strict=True)
        ]
        lines = difference.of_events(expected, [(one.type, one.data) for one in handled.events])
        self._check(lines or _about(events, handled))
        return self._next()

    def then_nothing(self) -> GivenEvents:
        """The command was accepted, and no event happened."""
        handled = self._handled("nothing")
        self._check(difference.of_events([], [(one.type, one.data) for one in handled.events]))
        return self._next()

    def then_raises(self, error: type[Exception], match: str | None = None) -> GivenEvents:
        """The command was rejected by this exception, whose text the pattern `match` is found in."""
        if not (isinstance(error, type) and issubclass(error, Exception)):
            raise InputError(f"{error!r} is no exception; then_raises() takes its class")
        try:
            re.compile(match or "")
        except (re.error, TypeError) as wrong:
            cure = f"; for the text itself give {re.escape(match)!r}" if isinstance(match, str) else ""
            raise InputError(f"match={match!r} is no pattern: {wrong}{cure}") from None
        if self._error is None:
            events = self._done.events if self._done is not None else []
            came = ", ".join(difference.named(one.type, one.data) for one in events) or "nothing"
            self._check([f"expected {error.__name__}, actual: it was accepted, and {came} happened"])
        if not isinstance(self._error, error):
            self._fail([f"expected {error.__name__}, actual {_raised(self._error)}"])
        if match is not None and not re.search(match, str(self._error)):
            self._fail([f"expected {error.__name__} with {match!r} in its text, actual {_raised(self._error)}"])
        return self._next()

    def when(self, command: Any) -> When:
        """The next command, where what this one did is not in question; raises what this one raised."""
        if self._error is not None:
            raise self._error
        return self._next().when(command)

    def _handled(self, what: str) -> Handled:
        if self._done is None:
            self._fail([f"expected {what}, actual {_raised(self._error)}"])
        assert self._done is not None
        return self._done

    def _next(self) -> GivenEvents:
        return GivenEvents(self._decider, self._store, self._stream)

    def _check(self, lines: list[str]) -> None:
        if lines:
            self._fail(lines)

    def _fail(self, lines: list[str]) -> None:
        head = f"when {difference.shown(self._command)}: what happened is not what was expected"
        raise AssertionError("\n  ".join([head, *lines])) from self._error

    def __repr__(self) -> str:
        outcome = repr(self._done) if self._error is None else _raised(self._error)
        return f"<when {difference.shown(self._command)}: {outcome}>"


class GivenProjection:
    """A projection and the events that it has seen: `then` this is its state."""

    def __init__(self, projection: Projection, store: EventStore) -> None:
        self._projection, self._store = projection, store

    def then(self, *state: Any, key: Any = ...) -> GivenProjection:
        """The projection's state is this: of its only key or of `key`, or `{key: state}` of all its keys."""
        if len(state) != 1:
            raise InputError("then() takes the state that is expected, or {key: state} for several keys")
        (expected,) = state
        projection = checked(self._projection)
        if key is not ... or self._projection.is_single:
            asked = {} if key is ... else {"key": key}
            self._compare(expected, self._store.replay(projection, **asked))
            return self
        states = self._store.replay(projection)
        if difference.same(expected, states):
            return self
        if len(states) > 1 or _looks_keyed(expected, states):
            if not isinstance(expected, Mapping):
                raise self._failed(
                    [f"expected {difference.shown(expected)}, actual {difference.shown(states)}: it has "
                     f"{len(states)} keys; give {{key: state}}, or then(state, key=…)"]
                )  # fmt: skip
            raise self._failed(difference.of_keyed(dict(expected), states))
        self._compare(expected, next(iter(states.values())) if states else self._projection.first_state())
        return self

    def _compare(self, expected: Any, actual: Any) -> None:
        if not difference.same(expected, actual):
            raise self._failed(difference.of_values(expected, actual))

    def _failed(self, lines: list[str]) -> AssertionError:
        head = f"the state of {self._projection.name!r} is not what was expected"
        return AssertionError("\n  ".join([head, *lines]))

    def __repr__(self) -> str:
        return f"<given {counted(self._store.position)} to {self._projection!r}>"


def _looks_keyed(expected: Any, states: dict[Any, Any]) -> bool:
    return isinstance(expected, Mapping) and bool(states) and expected.keys() == states.keys()


def _about(events: tuple[Event | NewEvent, ...], handled: Handled) -> list[str]:
    """What differs beside type and data, where an expected NewEvent says something of it."""
    lines = []
    for i, (one, came) in enumerate(zip(events, handled.events, strict=True), 1):
        for name in ("id", "occurred_at", "metadata"):
            said = getattr(one, name, None) if isinstance(one, NewEvent) else None
            actual = getattr(came, name)
            if said is not None and str(said) != str(actual) and not difference.same(said, actual):
                lines.append(f"event {i}, {name}: expected {said!r}, actual {actual!r}")
        if isinstance(one, NewEvent) and not set(one.tags or ()).issubset(came.tags):
            lines.append(f"event {i}, tags: expected {list(one.tags or ())!r}, actual {list(came.tags)!r}")
    return lines


def _raised(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}"


def _in(stream: str, one: Any, *, alone: bool = False) -> Append:
    """One given event with its stream."""
    if isinstance(one, (Event, NewEvent)):
        return Append(stream, one)
    if alone:
        raise InputError(f"{one!r} is no event; a decider sees the events of one stream: given(decider, *events)")
    if isinstance(one, Append):
        return one
    if isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str):
        return Append(*one)
    raise InputError(f"{one!r} is no event; give events, ('account-1', event) or ek.Append('account-1', events)")


def store_of(events: Iterable[Any], stream: str) -> EventStore:
    """A store that holds the given events, those without a stream in `stream`."""
    return _store([_in(stream, one) for one in events])


def _store(appends: list[Append]) -> EventStore:
    """A store of its own in which each of these has been appended, a minute after the other."""
    store = EventStore(clock=_clock(), seed=1)
    for one in appends:
        store.append_many([one])
    return store


def _clock() -> Callable[[], datetime]:
    ticks = iter(range(_START_US, 1 << 62, _STEP_US))
    return lambda: from_us(next(ticks))

"""Deciders: what guards a stream, written down as two pure functions and a first state."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from pydantic import BaseModel

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.event import Event, NewEvent
from eventsourcing_kit.folding.projection import STREAM, Handler, Policy, Projection


class Decider:
    """`decide(command, state)` says what happens, `evolve(state, event)` what that makes of the state.

    Both are pure. A command may be anything: a pydantic model, a dataclass, plain values. `decide` returns one event,
    several (a list, a tuple, a generator) or none (None, []); it rejects a command by raising the domain's own
    exception. `evolve` gets every event of the stream and returns the new state; an event without a class arrives as
    its dict. `initial` makes the first state. `name` stands in messages and frames; it is `decide`'s name by default.
    `snapshots` is as for a `Projection`.

    >>> import eventsourcing_kit as ek
    >>> class Deposited(ek.Event, type="DeciderDoc.Deposited"):
    ...     amount: int
    >>> def decide(command, state):
    ...     if command <= 0:
    ...         raise ValueError("deposit something")
    ...     return Deposited(amount=command)
    >>> account = ek.Decider(decide=decide, evolve=lambda state, event: state + event.amount, initial=lambda: 0)
    >>> store = ek.EventStore()
    >>> store.handle(account, "account-1", 30)
    <handled: 1 event to 'account-1', version 1, position 1>
    >>> store.state(account, "account-1")
    30
    """

    def __init__(
        self,
        *,
        decide: Callable[[Any, Any], Any],
        evolve: Callable[[Any, Any], Any],
        initial: Callable[[], Any],
        name: str | None = None,
        snapshots: Policy | None = None,
    ) -> None:
        self.decide = _taking_two(decide, "decide", "(command, state)")
        self.evolve = _taking_two(evolve, "evolve", "(state, event)")
        self.projection = _Evolving(_name(decide) if name is None else name, evolve, initial, snapshots)
        self.name, self.initial = self.projection.name, initial

    def events_for(self, command: Any, state: Any) -> list[Event | NewEvent]:
        """What `decide` returns for a command, as a list; its exceptions are its own."""
        decided = self.decide(command, state)
        if decided is None:
            return []
        if isinstance(decided, (Event, NewEvent)):
            return [decided]
        if isinstance(decided, (str, bytes, Mapping, type, BaseModel)) or not hasattr(decided, "__iter__"):
            raise InputError(f"{self._decide_name} returned {decided!r}; return an event, a list of events, or None")
        several = list(decided)
        for one in several:
            if not isinstance(one, (Event, NewEvent)):
                raise InputError(
                    f"{self._decide_name} returned {one!r} among its events; events are instances of a class "
                    "X(ek.Event), or NewEvent(type=…, data={…})"
                )
        return several

    @property
    def _decide_name(self) -> str:
        return Handler(self.decide, STREAM, takes_record=False).where

    def __repr__(self) -> str:
        return f"<decider {self.name}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class _EveryType(dict[str, list[Handler]]):
    """The handlers of a fold that takes the events of every type."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handlers = [handler]

    def __missing__(self, _type: str) -> list[Handler]:
        return self._handlers


class _Evolving(Projection):
    """A decider's `evolve` as a projection: one state a stream, by the events of every type."""

    def __init__(
        self,
        name: str,
        evolve: Callable[[Any, Any], Any],
        initial: Callable[[], Any],
        snapshots: Policy | None,
    ) -> None:
        super().__init__(name, initial=initial, snapshots=snapshots)
        self._handler = Handler(evolve, STREAM, takes_record=False)
        self._every_type = _EveryType(self._handler)

    @property
    def handlers(self) -> dict[str, list[Handler]]:
        """The one handler, whatever the type."""
        return self._every_type

    @property
    def types(self) -> frozenset[str] | None:
        """None: the events of every type."""
        return None

    @property
    def every_handler(self) -> list[Handler]:
        """The one handler."""
        return [self._handler]

    def changed(self, change: Callable[[Handler], Handler]) -> Projection:
        """The same fold with its handler changed."""
        return _Evolving(self.name, change(self._handler).function, self.initial, self.snapshots)

    def on(self, *_types: Any, **_key: Any) -> Any:
        """A decider has one handler already: its `evolve`."""
        raise InputError(f"{self.name!r} is a decider's; its evolve takes every event, so change that instead")

    def __repr__(self) -> str:
        return f"<projection {self.name}: every event, by evolve>"


def projection_of(given: object) -> Projection:
    """The projection itself, or a decider's; raises `InputError` for what is neither."""
    if isinstance(given, Projection):
        return given
    if isinstance(given, Decider):
        return given.projection
    raise InputError(f"{given!r} is no projection; make one with ek.Projection(name, initial=…)")


def check_decider(given: object) -> Decider:
    """`given`, if it is a decider."""
    if isinstance(given, Decider):
        return given
    raise InputError(f"{given!r} is no decider; make one with ek.Decider(decide=…, evolve=…, initial=…)")


def _name(decide: Callable[..., Any]) -> str:
    name = getattr(decide, "__name__", "")
    return name if name.isidentifier() else "decider"


def _taking_two(function: Callable[[Any, Any], Any], what: str, shape: str) -> Callable[[Any, Any], Any]:
    if not callable(function):
        raise InputError(f"{what} is {function!r}; give a function {shape}")
    if inspect.iscoroutinefunction(function):
        raise InputError(f"{what} is async; deciders are pure functions, so do what has to be awaited before handle()")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise InputError(f"{what} does not take two arguments; give a function {shape}") from None
    except ValueError:  # some built-in functions have no signature to look at
        pass
    return function

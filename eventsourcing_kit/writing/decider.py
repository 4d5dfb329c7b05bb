"""Deciders: what guards a stream, written down as two pure functions and a first state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from pydantic import BaseModel

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import callables
from eventsourcing_kit.events.event import Event, NewEvent
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.wanted import EVERY_TYPE
from eventsourcing_kit.folding.projection import GONE, STREAM, Handler, Key, Policy, Projection
from eventsourcing_kit.folding.replay import Fact, apply
from eventsourcing_kit.reading.query import Query


class Decider:
    """`decide(command, state)` says what happens, `evolve(state, event)` what that makes of the state.

    Both are pure. A command may be anything: a pydantic model, a dataclass, plain values. `decide` returns one event,
    several (a list, a tuple, a generator) or none (None, []); it rejects a command by raising the domain's own
    exception. `evolve` gets every event of the stream and returns the new state; an event without a class arrives as
    its dict. `initial` makes the first state. `name` stands in messages and frames; it is `decide`'s name by default.
    `snapshots` is as for a `Projection`.

    With `boundary`, a function that makes an `ek.Query` of the command, the state is that of all events which the query
    finds, whatever their streams, and what is decided is stored only if no more of them came meanwhile.

    With `log_commands` and a `name`, every command that `store.handle` decides is kept as an event of the type
    `NAME.command` in the stream `NAME.commands-STREAM`, accepted or rejected, before the events that it led to:
    `store.redecide` decides them anew. Kept commands are pydantic models or plain JSON.

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
        boundary: Callable[[Any], Query] | None = None,
        log_commands: bool = False,
    ) -> None:
        if boundary is not None:
            _check_boundary(boundary, snapshots)
        if log_commands and (not isinstance(name, str) or not name or "-" in name):
            raise InputError(
                f"log_commands needs a name without a dash, by which the commands are kept: name={name!r} is none"
            )
        self.boundary, self.log_commands = boundary, bool(log_commands)
        self.decide = _taking_two(decide, "decide", "(command, state)", may_yield=True)
        self.evolve = _taking_two(evolve, "evolve", "(state, event)")
        key = STREAM if boundary is None else None
        self.projection = _Evolving(_name(decide) if name is None else name, evolve, initial, snapshots, key)
        self.name, self.initial = self.projection.name, initial

    def query_for(self, command: Any) -> Query | None:
        """What a command's decision rests on, by `boundary`; None where that is its stream.

        Raises `InputError` where the function fails or returns no query.
        """
        if self.boundary is None:
            return None
        where = f"the boundary {callables.where(self.boundary)}"
        try:
            found: object = self.boundary(command)
        except Exception as error:
            raise InputError(
                f"{where} failed on {shown(command)}: {type(error).__name__}: {error}; it takes the command, and "
                "returns an ek.Query"
            ) from error
        if not isinstance(found, Query):
            callables.is_lazy(found)  # a coroutine is closed
            raise InputError(f"{where} returned {shown(found)} for {shown(command)}; return an ek.Query")
        return found

    def events_for(self, command: Any, state: Any) -> list[Event | NewEvent]:
        """What `decide` returns for a command, as a list; its exceptions are its own.

        Raises `InputError` where they are no events.
        """
        decided = self.decide(command, state)
        if decided is None:
            return []
        if isinstance(decided, (Event, NewEvent)):
            return [decided]
        if isinstance(decided, (str, bytes, Mapping, type, BaseModel)) or not hasattr(decided, "__iter__"):
            callables.is_lazy(decided)  # a coroutine is closed
            raise InputError(
                f"{callables.where(self.decide)} returned {decided!r}; return an event, a list of events, or None"
            )
        several: list[Any] = list(decided)
        for one in several:
            if not isinstance(one, (Event, NewEvent)):
                raise InputError(
                    f"{callables.where(self.decide)} returned {one!r} among its events; events are "
                    "instances of a class X(ek.Event), or NewEvent(type=…, data={…})"
                )
        return several

    def after(self, state: Any, type_: str, stream: str, data: Any) -> Any:
        """The state after an event that is not stored yet; raises `ProjectionError` where `evolve` cannot take it."""
        (handler,) = self.projection.every_handler
        after = apply(handler, Fact(0, 0, type_, stream, data, None), state)
        return self.projection.first_state() if after is GONE else after

    def __repr__(self) -> str:
        return f"<decider {self.name}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class _Evolving(Projection):
    """A decider's `evolve` as a projection: one state a stream, or one alone, by the events of every type."""

    def __init__(
        self,
        name: str,
        evolve: Callable[[Any, Any], Any],
        initial: Callable[[], Any],
        snapshots: Policy | None,
        key: Key,
    ) -> None:
        super().__init__(name, initial=initial, snapshots=snapshots, key=key)
        self._handlers = [(EVERY_TYPE, Handler(evolve, key, takes_record=False))]

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
        if given.boundary is not None:
            raise InputError(
                f"{given!r} decides within a boundary, and has a state a command: store.state(decider, command=…)"
            )
        return given.projection
    raise InputError(f"{given!r} is no projection; make one with ek.Projection(name, initial=…)")


def check_decider(given: object) -> Decider:
    """`given`, if it is a decider."""
    if isinstance(given, Decider):
        return given
    raise InputError(f"{given!r} is no decider; make one with ek.Decider(decide=…, evolve=…, initial=…)")


def check_of_streams(given: object) -> Decider:
    """`given`, if it is a decider whose states are of streams."""
    decider = check_decider(given)
    if decider.boundary is not None:
        raise InputError(
            f"{decider!r} decides within a boundary, and only what is decided on streams can be decided anew; give a "
            "decider without boundary="
        )
    return decider


def _check_boundary(boundary: object, snapshots: Policy | None) -> None:
    callables.check(boundary, "boundary", "the command that returns an ek.Query")
    if callables.misfit(boundary, 1):
        raise InputError("boundary does not take one argument; give a function of the command")
    if snapshots is not None:
        raise InputError("snapshots go with streams; states within a boundary are kept in memory: leave it out")


def _name(decide: Callable[..., Any]) -> str:
    name = getattr(decide, "__name__", "")
    return name if name.isidentifier() else "decider"


def _taking_two(
    function: Callable[[Any, Any], Any], what: str, shape: str, *, may_yield: bool = False
) -> Callable[[Any, Any], Any]:
    callables.check(function, what, shape, may_yield=may_yield)
    if callables.misfit(function, 2):
        raise InputError(f"{what} does not take two arguments; give a function of {shape}")
    return function

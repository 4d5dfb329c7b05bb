"""Projections: the recipe by which events become state, written down as pure functions."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from eventsourcing_kit.errors import InputError, ProjectionError
from eventsourcing_kit.events import renames
from eventsourcing_kit.events.event import Event, RecordedEvent, type_names

Handle = TypeVar("Handle", bound=Callable[..., Any])


class Ending(Enum):
    """What a handler returns to end a key."""

    GONE = "the key has ended"

    def __repr__(self) -> str:
        return self.name


class _ByStream(Enum):
    """The default key: an event's stream."""

    STREAM = "stream"

    def __repr__(self) -> str:
        return "the stream"


GONE = Ending.GONE
STREAM = _ByStream.STREAM
Key = str | Callable[[RecordedEvent], Hashable] | None | _ByStream
Policy = int | Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Handler:
    """One function of a projection, for one event type."""

    function: Callable[..., Any]
    key: Key
    takes_record: bool

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__qualname__", repr(self.function))

    @property
    def where(self) -> str:
        """The handler's name and line, as people look for it."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return f"{self.name} (line {code.co_firstlineno})" if code else self.name

    @property
    def needs_record(self) -> bool:
        """Whether the `RecordedEvent` must be built for it."""
        return self.takes_record or callable(self.key)

    def replaces(self, other: Handler) -> bool:
        """Whether this is `other`, defined again (a notebook cell that was run a second time)."""
        return self.name == other.name and _key_name(self.key) == _key_name(other.key)


def _key_name(key: object, within: tuple[object, ...] = ()) -> object:
    """What tells one key from another when a cell is run again: functions are new then, but their code is the same.

    What a function closes over counts too: `by("source")` and `by("target")` may have come from one piece of code. Of
    other callables (`operator.attrgetter("data.source")`) their text tells.
    """
    code = getattr(key, "__code__", None)
    if code is None or key in within:
        return repr(key)
    way = (*within, key)
    closed_over = [_key_name(_content(cell), way) for cell in getattr(key, "__closure__", None) or ()]
    defaults = [_key_name(value, way) for value in getattr(key, "__defaults__", None) or ()]
    return code.co_code, code.co_names, code.co_consts, defaults, closed_over


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


class Projection:
    """A pure fold from events to states, one state a key; by default a stream is a key.

    `initial` makes a key's first state. `key` is a field of the event, a function of the `RecordedEvent`, or None for
    one state over the whole log; a key function that returns None passes the event over. Handlers are pure: they
    return the new state, or `GONE` to end the key.

    `snapshots` says when states are saved, so that replays need not begin at the first event: every so many events (an
    int), or after the events for which a function of (state, event) is true. Answers are the same with and without.

    >>> import eventsourcing_kit as ek
    >>> shipped = ek.Projection("shipped", initial=lambda: 0)
    >>> @shipped.on("Shipped")
    ... def count(state, event):
    ...     return state + 1
    >>> shipped
    <projection shipped: Shipped>
    """

    def __init__(
        self, name: str, *, initial: Callable[[], Any], key: Key = STREAM, snapshots: Policy | None = None
    ) -> None:
        if not isinstance(name, str) or not name:
            raise InputError(f"a projection is named by text that is not empty, not by {name!r}")
        if not callable(initial):
            raise InputError(
                f"initial is {initial!r}; give a function that makes the first state: initial=lambda: {initial!r}"
            )
        self.name, self.initial, self.key = name, initial, _checked_key(key)
        self._handlers: dict[str, list[Handler]] = {}
        self.snapshots = _checked_policy(snapshots)

    def first_state(self) -> Any:
        """A key's state before its first event: what `initial` makes."""
        try:
            return self.initial()
        except Exception as error:
            raise ProjectionError(
                f"initial of {self.name!r} failed: {type(error).__name__}: {error}; it takes no arguments, and returns "
                "the first state"
            ) from error

    def on(self, *types: str | type[Event], key: Key = STREAM) -> Callable[[Handle], Handle]:
        """Decorate a handler `(state, event)` or `(state, event, recorded)` for one or several event types.

        `key` overrides the projection's for these events, so one event can touch several keys through several handlers.
        """
        names = type_names(types)
        if not names:
            raise InputError("on() takes the event types that the function handles, one or several")
        own_key = self.key if key is STREAM else _checked_key(key)

        def register(function: Handle) -> Handle:
            handler = Handler(function, own_key, _takes_record(function))
            for name in names:
                _add(self._handlers.setdefault(name, []), handler)
            return function

        return register

    @property
    def handlers(self) -> dict[str, list[Handler]]:
        """The handlers by event type, each under the type's name of today."""
        if all(renames.current(name) == name for name in self._handlers):
            return self._handlers
        found: dict[str, list[Handler]] = {}
        for name, handlers in self._handlers.items():
            for handler in handlers:
                _add(found.setdefault(renames.current(name), []), handler)
        return found

    def changed(self, change: Callable[[Handler], Handler]) -> Projection:
        """The same projection with every handler changed."""
        made = copy.copy(self)
        made._handlers = {name: [change(one) for one in handlers] for name, handlers in self._handlers.items()}
        return made

    @property
    def is_by_stream(self) -> bool:
        """Whether streams are the keys, of all handlers."""
        return all(handler.key is STREAM for handler in self.every_handler)

    @property
    def is_single(self) -> bool:
        """Whether there is one state over the whole log."""
        return self.key is None

    @property
    def types(self) -> frozenset[str] | None:
        """The event types that it handles; None would be every type."""
        return frozenset(self.handlers)

    @property
    def every_handler(self) -> list[Handler]:
        """The handlers of all event types."""
        return [handler for handlers in self.handlers.values() for handler in handlers]

    def __repr__(self) -> str:
        return f"<projection {self.name}: {', '.join(self.handlers) or 'no handlers yet'}>"


def _add(handlers: list[Handler], handler: Handler) -> None:
    at = next((i for i, other in enumerate(handlers) if handler.replaces(other)), len(handlers))
    handlers[at : at + 1] = [handler]


def _checked_policy(policy: Policy | None) -> Policy | None:
    is_count = isinstance(policy, int) and not isinstance(policy, bool) and policy > 0
    if policy is None or is_count or callable(policy):
        return policy
    raise InputError(
        f"snapshots is {policy!r}; give a number of events (100), or a function of (state, event) that is true where a "
        "snapshot is due"
    )


def _checked_key(key: Key) -> Key:
    if key is None or key is STREAM or callable(key) or (isinstance(key, str) and key):
        return key
    raise InputError(f"key is {key!r}; give a field's name, a function of the RecordedEvent, or None for one state")


def _takes_record(function: Callable[..., Any]) -> bool:
    if not callable(function):
        raise InputError(f"{function!r} is no function; a handler takes (state, event) and returns the new state")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise InputError(
            f"the handler {getattr(function, '__qualname__', function)!r} is async or yields, so it would return no "
            "state; write a plain function that returns the new state"
        )
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    declared = [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]
    required = [p for p in declared if p.default is inspect.Parameter.empty]
    if len(required) > 3 or len(declared) < 2:
        raise InputError(
            f"the handler {getattr(function, '__qualname__', function)!r} has the parameters "
            f"({', '.join(p.name for p in declared)}); it takes (state, event), or (state, event, recorded)"
        )
    return len(declared) >= 3

"""Projections: the recipe by which events become state, written down as pure functions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from eventsourcing_kit.errors import InputError, ProjectionError
from eventsourcing_kit.events import callables, renames, schema, sending, tags, wanted
from eventsourcing_kit.events.callables import Origin
from eventsourcing_kit.events.event import Event, RecordedEvent, Types
from eventsourcing_kit.folding.declared import Declared, Fields

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


@dataclass(frozen=True, slots=True)
class ByTags:
    """The key that is each tag of an event, or each of one kind; `TAGS("course")` makes the second."""

    kind: str | None = None

    def __call__(self, kind: str) -> ByTags:
        """Each tag of one kind; raises `InputError` for what is none."""
        if not isinstance(kind, str) or not kind or ":" in kind:
            raise InputError(f"{kind!r} is no kind of tags: that is what stands before the first ':', as 'course'")
        return ByTags(kind)

    def of(self, recorded: RecordedEvent) -> list[str]:
        """The keys of an event."""
        return self.among(recorded.tags)

    def among(self, given: Iterable[str]) -> list[str]:
        """Those of some tags that are of its kind."""
        return [tag for tag in given if self.kind is None or tags.kind(tag) == self.kind]

    def __repr__(self) -> str:
        return "TAGS" if self.kind is None else f"TAGS({self.kind!r})"


GONE = Ending.GONE
STREAM = _ByStream.STREAM
TAGS = ByTags()
Key = str | Callable[[RecordedEvent], Hashable] | None | _ByStream | ByTags
Policy = int | Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Handler:
    """One function of a projection, for one event type."""

    function: Callable[..., Any]
    key: Key
    takes_record: bool
    origin: Origin | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """The handler's name and line, as people look for it."""
        return callables.where(self.function)

    @property
    def needs_record(self) -> bool:
        """Whether the `RecordedEvent` must be built for it."""
        return self.takes_record or callable(self.key)


class _ByType(dict[str, list[Handler]]):
    """The handlers of each event type, in the order in which they were given; found when a type is first met."""

    def __init__(self, projection: Projection) -> None:
        super().__init__()
        self._projection = projection
        self._given = [(renames.current(name), handler) for name, handler in projection.registered]

    def __missing__(self, type_: str) -> list[Handler]:
        names = {wanted.EVERY_TYPE, *wanted.lineage(type_)}
        found = [handler for name, handler in self._given if name in names]
        declared = self._projection.declared
        if declared is not None and found:
            function = _end if declared.ends_with(type_) else declared.handler(type_)
            found = [Handler(function, self._projection.key, takes_record=False)]
        self[type_] = [one for i, one in enumerate(found) if one not in found[:i]]
        return self[type_]


def _end(_state: Any, _event: Any) -> Any:
    return GONE


def _no_handler(_state: Any, _event: Any) -> Any:
    """Stands where declared fields have a type; its handler is made when the type is met."""


class Projection:
    """A pure fold from events to states, one state a key; by default a stream is a key.

    `initial` makes a key's first state. `key` is a field of the event, a function of the `RecordedEvent`, `ek.TAGS` for
    each of its tags (`ek.TAGS("course")`: each of that kind), or None for one state over the whole log; a key function
    that returns None passes the event over. A key that is a list, set or frozenset stands for each of its members, a
    tuple is one key. Handlers are pure: they return the new state, or `GONE` to end the key.

    `snapshots` says when states are saved, so that replays need not begin at the first event: every so many events (an
    int), or after the events for which a function of (state, event) is true. Answers are the same with and without.
    Where fields or functions are the keys, all keys are saved together, and only as often as so many events have come.

    In place of `initial` and handlers, `fields` may say of what a state is made: a dict from names to the folds of
    `ek.fold`. A state is a dict with these names then, and an event of one of the types in `ends` ends its key. Such a
    projection is folded over columns, many times faster, with the same answers.

    It can be pickled: by pickle where its functions and classes can be imported, and from a notebook by cloudpickle. It
    takes the classes, upcasters and renames of its types along, and they are registered in the process where it is
    unpickled, unless that has defined a type of that name itself, of the same version or a newer one.

    Raises `InputError` where something of this makes no sense.

    >>> import eventsourcing_kit as ek
    >>> shipped = ek.Projection("shipped", initial=lambda: 0)
    >>> @shipped.on("Shipped")
    ... def count(state, event):
    ...     return state + 1
    >>> shipped
    <projection shipped: Shipped>
    """

    def __init__(
        self,
        name: str,
        *,
        initial: Callable[[], Any] | None = None,
        key: Key = STREAM,
        snapshots: Policy | None = None,
        fields: Mapping[str, Declared] | None = None,
        ends: Types | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise InputError(f"a projection is named by text that is not empty, not by {name!r}")
        self.declared = None if fields is None else Fields(fields, ends)
        if self.declared is None:
            if ends is not None:
                raise InputError("ends goes with fields; a handler ends a key by returning ek.GONE")
            callables.check(initial, "initial", f"no arguments that makes the first state: initial=lambda: {initial!r}")
        elif initial is not None:
            raise InputError("initial goes with handlers; fields have their first values by themselves")
        self.name, self.key = name, _checked_key(key)
        self.initial: Callable[[], Any] = self.declared.initial if self.declared else initial  # type: ignore[assignment]  # checked
        self._handlers: list[tuple[str, Handler]] = []  # under the names that were given
        if self.declared is not None:
            self._handlers = [
                (name, Handler(_no_handler, self.key, takes_record=False)) for name in self.declared.names
            ]
        self._by_type = -1, _ByType(self)
        self.snapshots = _checked_policy(snapshots)

    def first_state(self) -> Any:
        """A key's state before its first event, as people see it.

        Raises `ProjectionError` where `initial` fails or returns no state.
        """
        return self.shown(self.begun())

    @property
    def fields(self) -> Mapping[str, Declared] | None:
        """The folds that were declared, by the fields of its state; None where it has handlers."""
        return None if self.declared is None else self.declared.folds

    def shown(self, state: Any) -> Any:
        """A state as people see it, of one on its way through a fold."""
        return state if self.declared is None or state is GONE else self.declared.show(state)

    def all_shown(self, states: dict[Any, Any]) -> dict[Any, Any]:
        """The states of all keys as people see them."""
        return states if self.declared is None else {key: self.shown(state) for key, state in states.items()}

    def begun(self) -> Any:
        """The state with which a fold begins: what `initial` makes.

        Raises `ProjectionError` where it fails or returns no state.
        """
        try:
            state = self.initial()
        except Exception as error:
            raise ProjectionError(
                f"initial of {self.name!r} failed: {type(error).__name__}: {error}; it takes no arguments, and returns "
                "the first state"
            ) from error
        if callables.is_lazy(state):
            raise ProjectionError(f"initial of {self.name!r} returned {state!r}; return the first state itself")
        return state

    def on(self, *types: str | type[Event], key: Key = STREAM) -> Callable[[Handle], Handle]:
        """Decorate a handler `(state, event)` or `(state, event, recorded)` for one or several event types.

        A base class means the classes that derive from it, those of later cells too, a generic class its instances,
        and `"*"` every type. All the handlers that an event has run, in the order in which they were given. `key`
        overrides the projection's for these events, so one event can touch several keys through several handlers.

        A parameter with a default keeps it; where the third's is None, it is the record all the same. A cell that is
        run again replaces the handlers that it gave before: those of the same name and key that close over the same.
        Raises `InputError` for a function that would do nothing, because it is async or yields.
        """
        if self.declared is not None:
            raise InputError(
                f"{self.name!r} has declared fields, so it takes no handlers; add a field for what is missing"
            )
        names = wanted.names(types)
        if not names:
            raise InputError("on() takes the event types that the function handles, one or several")
        own_key = self.key if key is STREAM else _checked_key(key)

        def register(function: Handle) -> Handle:
            takes_record = _takes_record(function)
            origin = Origin.of(function, None if own_key is STREAM else callables.makeup(own_key))
            for name in names:
                self._add(name, Handler(function, own_key, takes_record, origin))
            return function

        return register

    def _add(self, name: str, handler: Handler) -> None:
        """Give a type one more handler, in place of the one that it is, defined again."""
        origin, at = handler.origin, len(self.registered)
        for i, (other_name, other) in enumerate(self.registered):
            if origin is None or other.origin is None or renames.current(name) != renames.current(other_name):
                continue
            if origin.is_again(other.origin):
                at = i
                break
            if origin.may_be(other.origin):
                raise InputError(
                    f"{self.name!r} has a handler {other.where} for {name!r}, and whether {handler.where} is to take "
                    "its place cannot be told; make the projection in the cell that adds its handlers, or give them "
                    "names of their own with def"
                )
        self._handlers[at : at + 1] = [(name, handler)]
        self._by_type = -1, _ByType(self)

    @property
    def handlers(self) -> dict[str, list[Handler]]:
        """The handlers by event type, each under the type's name of today; any type may be looked up."""
        if self._by_type[0] != schema.generation():
            self._by_type = schema.generation(), _ByType(self)
            for name in wanted.meant(frozenset(self.names)) if self.types is not None else ():
                _ = self._by_type[1][name]
        return self._by_type[1]

    @property
    def registered(self) -> list[tuple[str, Handler]]:
        """The handlers in the order in which they were given, each with the name of a type that it was given for."""
        return self._handlers

    @property
    def names(self) -> list[str]:
        """The types that were asked for, by their names of today."""
        return list(dict.fromkeys(renames.current(name) for name, _ in self.registered))

    def changed(self, change: Callable[[Handler], Handler]) -> Projection:
        """The same projection with every handler changed."""
        made, new = copy.copy(self), {id(one): change(one) for one in self.every_handler}
        made._handlers = [(name, new[id(one)]) for name, one in self.registered]
        made._by_type = -1, _ByType(made)
        return made

    def __copy__(self) -> Projection:
        made = object.__new__(type(self))
        vars(made).update(vars(self), _handlers=list(self.registered))
        made._by_type = -1, _ByType(made)
        return made

    def __deepcopy__(self, _memo: object) -> Projection:
        return copy.copy(self)  # functions are copied by no one

    def __getstate__(self) -> dict[str, Any]:
        """With all by which its events are read."""
        state = {name: value for name, value in vars(self).items() if name != "_by_type"}
        return {**state, "definitions": sending.definitions(self.types)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        sending.install(state.pop("definitions"))
        vars(self).update(state)
        self._by_type = -1, _ByType(self)

    @property
    def is_by_stream(self) -> bool:
        """Whether streams are the keys, of all handlers."""
        return all(handler.key is STREAM for handler in self.every_handler)

    @property
    def is_by_tags(self) -> bool:
        """Whether tags are the keys, of all handlers."""
        return all(isinstance(handler.key, ByTags) for handler in self.every_handler)

    @property
    def is_single(self) -> bool:
        """Whether there is one state over the whole log."""
        return self.key is None

    @property
    def types(self) -> frozenset[str] | None:
        """The event types that it handles, as far as they are defined; None for every type."""
        names = self.names
        return None if wanted.EVERY_TYPE in names else wanted.meant(frozenset(names))

    @property
    def every_handler(self) -> list[Handler]:
        """The handlers of all event types."""
        return [handler for _, handler in self.registered]

    def __repr__(self) -> str:
        return f"<projection {self.name}: {', '.join(self.names) or 'no handlers yet'}>"


def _checked_policy(policy: Policy | None) -> Policy | None:
    is_count = isinstance(policy, int) and not isinstance(policy, bool) and policy > 0
    if callable(policy):
        callables.check(policy, "snapshots", "(state, event)")
    if policy is None or is_count or callable(policy):
        return policy
    raise InputError(
        f"snapshots is {policy!r}; give a number of events (100), or a function of (state, event) that is true where a "
        "snapshot is due"
    )


def _checked_key(key: Key) -> Key:
    if isinstance(key, ByTags):
        return key
    if callable(key):
        callables.check(key, "key", "the RecordedEvent")
    if key is None or key is STREAM or callable(key) or (isinstance(key, str) and key):
        return key
    raise InputError(
        f"key is {key!r}; give a field's name, a function of the RecordedEvent, ek.TAGS, or None for one state"
    )


def _takes_record(function: Callable[..., Any]) -> bool:
    """Whether a handler's third parameter is the record: one without a default, or with None."""
    callables.check(function, "the handler", "(state, event) that returns the new state")
    if not callables.misfit(function, 2):
        return callables.default(function, 2) is None
    if not callables.misfit(function, 3):
        return True
    raise InputError(
        f"the handler {callables.where(function)} cannot be called so: it takes (state, event), or (state, event, "
        "recorded), and every other parameter has a default"
    )

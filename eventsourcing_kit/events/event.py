"""Events: the facts people write (`Event`, `NewEvent`) and the facts the store hands back (`RecordedEvent`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import renames, schema, sending, tags, upcasters, wanted
from eventsourcing_kit.events.texts import time_text

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence


Types: TypeAlias = "str | type[Event] | Sequence[str | type[Event]]"


class Event(BaseModel):
    """A domain event: an immutable fact in the past tense, a frozen pydantic model.

    The class's name is the event type and its schema version is 1, unless the class statement says otherwise. Unknown
    fields are refused. Defining a class of the same type again replaces the old one. `renamed_from` names the types
    (one or several) whose events this one takes over; its schema versions go on from theirs.

    >>> class MoneyDeposited(Event):
    ...     amount: int
    >>> class Opened(Event, type="AccountOpened", version=2):
    ...     owner: str
    >>> MoneyDeposited(amount=5)
    MoneyDeposited(amount=5)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
    __event_schema__: ClassVar[schema.Schema]

    def __init_subclass__(
        cls, type: str | None = None, version: int = 1, renamed_from: Types = (), **options: Any
    ) -> None:
        super().__init_subclass__(**options)

    @classmethod
    def __pydantic_init_subclass__(
        cls, type: str | None = None, version: int = 1, renamed_from: Types = (), **options: Any
    ) -> None:
        super().__pydantic_init_subclass__(**options)
        if not sending.is_being_made_anew():
            cls.__event_schema__ = _define(cls, cls.__name__ if type is None else type, version, renamed_from)

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


@dataclass(frozen=True, init=False)
class NewEvent:
    """An event on its way into the store: a fact with its own id, time, metadata or tags, or a fact without a class.

    `id` (a UUID or its text) makes the append safe to repeat; `occurred_at` is an aware datetime; `metadata` is
    plain JSON; `tags` say what the event is about, beside those that its class gives it.

    >>> NewEvent(type="Shipped", data={"to": "Oslo"})
    NewEvent(type='Shipped', data={'to': 'Oslo'})
    """

    event: Event | None
    type: str
    data: Mapping[str, Any]
    id: uuid.UUID | str | None
    occurred_at: datetime | str | None
    metadata: Mapping[str, Any] | None
    tags: Collection[str] | None

    def __init__(
        self,
        event: Event | None = None,
        /,
        *,
        type: str | None = None,
        data: Mapping[str, Any] | None = None,
        id: uuid.UUID | str | None = None,
        occurred_at: datetime | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Collection[str] | None = None,
    ) -> None:
        if event is not None and (type is not None or data is not None):
            raise InputError("a NewEvent takes either an event object, or type= and data=, not both")
        if event is None and type is None:
            raise InputError("a NewEvent takes an event object, or type='Shipped' and data={…}")
        if event is not None and (not isinstance(event, Event) or event.__class__ is Event):
            raise InputError(f"{event!r} is no event; a NewEvent takes an instance of a class X(ek.Event)")
        values = {"event": event, "id": id, "occurred_at": occurred_at, "metadata": metadata, "tags": tags}
        values["type"] = event.__event_schema__.name if event is not None else type
        values["data"] = {} if data is None else data
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        data = dict(self.data) if isinstance(self.data, Mapping) else self.data  # what it may be, the append tells
        shown = [f"type={self.type!r}", f"data={data!r}"] if self.event is None else [repr(self.event)]
        for name in ("id", "occurred_at", "metadata", "tags"):
            value = getattr(self, name)
            if value is not None:
                shown.append(f"{name}={str(value) if name == 'id' else value!r}")
        return f"NewEvent({', '.join(shown)})"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as the store holds it. `data` is the event object where its type is registered, else a dict.

    `version` is its place in its stream, `position` its place in the whole log, each from 1. `recorded_at` is when the
    store recorded it; `occurred_at`, where it was given, when it happened.

    `type` is the type's name today, also where the event was stored under a former name; `schema_version` is the one
    that it was stored with, while `data` was brought to the class's. `tags` are those that it was stored with.
    `store_id` is that of the store that recorded it.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z"))
    >>> (event,) = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"})).events
    >>> event
    RecordedEvent(1: order-7 v1 at 2026-01-05T09:00:00Z, {'to': 'Oslo'} as Shipped)
    """

    id: uuid.UUID
    stream: str
    version: int
    position: int
    type: str
    schema_version: int
    recorded_at: datetime
    occurred_at: datetime | None
    metadata: dict[str, Any] = field(hash=False)
    data: Any = field(hash=False)
    tags: tuple[str, ...] = ()
    store_id: uuid.UUID | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return (
            f"RecordedEvent({self.position}: {self.stream} v{self.version} at {_shown(self.recorded_at)}, "
            f"{self.data!r}" + ("" if isinstance(self.data, Event) else f" as {self.type}") + ")"
        )

    def _repr_html_(self) -> str:
        shown = (f.name for f in fields(self) if f.compare and (f.name != "tags" or self.tags))
        rows = ((name, ", ".join(self.tags) if name == "tags" else getattr(self, name)) for name in shown)
        return _table((name, str(value) if name == "id" else _shown(value)) for name, value in rows)


class _Unfrozen:
    """Makes a `RecordedEvent`: a frozen class sets its attributes seven times slower, so it becomes one at the end."""

    __slots__ = tuple(one.name for one in fields(RecordedEvent))

    def __init__(
        self,
        id: uuid.UUID,
        stream: str,
        version: int,
        position: int,
        type: str,
        schema_version: int,
        recorded_at: datetime,
        occurred_at: datetime | None,
        metadata: dict[str, Any],
        data: Any,
        tags: tuple[str, ...],
        store_id: uuid.UUID | None,
    ) -> None:
        self.store_id = store_id
        self.id = id
        self.stream = stream
        self.version = version
        self.position = position
        self.type = type
        self.schema_version = schema_version
        self.recorded_at = recorded_at
        self.occurred_at = occurred_at
        self.metadata = metadata
        self.data = data
        self.tags = tags
        self.__class__ = RecordedEvent  # type: ignore[assignment]  # the same slots


quick_recorded: Any = _Unfrozen  # `RecordedEvent(…)`, for those who make many


def _shown(value: Any) -> str:
    return time_text(value) if isinstance(value, datetime) else str(value)


def _table(rows: Any) -> str:
    cells = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{''.join(cells)}</table>"


def _define(cls: type[Event], name: str, version: int, renamed_from: Types) -> schema.Schema:
    """Register a class; nothing is changed where something about it is wrong."""
    schema.check_version(name, version)
    former = wanted.names(renamed_from)
    renames.check(name, former)
    upcasters.check_class(name, version)
    if cls.__pydantic_complete__:  # else its first event tells
        tags.fields_of(cls)
    defined = schema.register(cls, name, version)
    renames.define(name, former)
    if former:
        schema.changed()  # once more: other events are of this type now
    return defined

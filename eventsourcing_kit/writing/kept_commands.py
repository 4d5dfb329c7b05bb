"""Commands that are kept in the log beside what they led to: made events, and read back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values
from eventsourcing_kit.events.event import NewEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventsourcing_kit.events.event import Event

ACCEPTED, REJECTED = "accepted", "rejected"
_CAUSE = "causation_id"


@dataclass(frozen=True)
class Place:
    """Where a decider's commands for a stream are kept: events of this type, in this stream."""

    type: str
    stream: str

    @classmethod
    def of(cls, name: str, stream: str) -> Place:
        """That of a decider's commands for a stream."""
        return cls(f"{name}.command", f"{name}.commands-{stream}")


def as_event(
    place: Place, command: Any, event_id: uuid.UUID, error: Exception | None, metadata: Mapping[str, Any] | None
) -> NewEvent:
    """A command, and what became of it, as an event; raises `InputError` for one that is neither model nor JSON."""
    is_model = isinstance(command, BaseModel)
    plain = command.model_dump(mode="json") if is_model else json_values.plain_json(command, "a command that is kept")
    kind = type(command)
    data = {
        "command": plain,
        "class": f"{kind.__module__}:{kind.__qualname__}" if is_model else None,
        "version": getattr(kind, "__version__", 1) if is_model else None,
        "outcome": ACCEPTED if error is None else REJECTED,
        "error": None if error is None else told(error),
    }
    return NewEvent(type=place.type, data=data, id=event_id, metadata=metadata)


def told(error: Exception) -> str:
    """An error, for people."""
    return f"{type(error).__name__}: {error}"


def next_id(store_id: uuid.UUID | None, place: Place, version: int) -> uuid.UUID:
    """The id of a stream's next command: the same whenever a store of a seed gets the same commands."""
    return uuid.uuid5(store_id or uuid.NAMESPACE_URL, f"{place.stream}/{version + 1}")


def caused_by(
    event_id: uuid.UUID, events: Sequence[Event | NewEvent], metadata: Mapping[str, Any] | None
) -> tuple[list[Event | NewEvent], dict[str, Any] | None, dict[str, Any]]:
    """Events, the command's metadata and theirs: a cause that was given otherwise is the command's."""
    given = dict(metadata or {})
    own: list[Event | NewEvent] = []
    for event in events:
        if isinstance(event, NewEvent) and event.metadata and _CAUSE in event.metadata:
            said = dict(event.metadata)
            given.setdefault(_CAUSE, said.pop(_CAUSE))
            more: dict[str, Any] = {"id": event.id, "occurred_at": event.occurred_at, "tags": event.tags}
            event = (
                NewEvent(event.event, metadata=said, **more)
                if event.event is not None
                else NewEvent(type=event.type, data=event.data, metadata=said, **more)
            )
        own.append(event)
    return own, given or None, {**(metadata or {}), _CAUSE: str(event_id)}


def command_in(data: Mapping[str, Any]) -> Any:
    """The command that was kept; raises `InputError` where its class is not here, or refuses it."""
    if data["class"] is None:
        return data["command"]
    module, _, name = data["class"].partition(":")
    found = [one for one in _models(BaseModel) if one.__qualname__ == name]
    exact = [one for one in found if one.__module__ == module] or found
    if not exact:
        raise InputError(f"the class {name!r} of a kept command is not defined here; define or import it")
    try:
        return exact[-1].model_validate(data["command"])
    except ValueError as error:
        raise InputError(f"{name!r} refuses the command that was kept: {error}") from error


def _models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in kind.__subclasses__():
        yield one
        yield from _models(one)

"""An event's tree of causation: what led to it, and what it led to, by `causation_id` in the metadata."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import MomentError

if TYPE_CHECKING:
    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.store import EventStore


@dataclass
class Tree:
    """The events by their ids as text; what each caused, under the id of what did; `root` may be no event's."""

    root: str
    events: dict[str, RecordedEvent] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)


def tree(store: EventStore, asked: int | str) -> Tree:
    """The tree in which an event stands, from the first cause that can be found. Raises `MomentError` for no event."""
    event = _event(store, asked)
    root, first = str(event.id), event
    seen = {root}
    while (cause := first.metadata.get("causation_id")) and str(cause) not in seen:
        root = str(cause)
        seen.add(root)
        try:
            first = _event(store, root)
        except MomentError:  # a command's, or one of another store
            break
    found = Tree(root)
    after = first.position - 1 if str(first.id) == root else 0
    for one in store.read(after=after):
        id_, cause = str(one.id), one.metadata.get("causation_id")
        if id_ == root:
            found.events[id_] = one
        elif cause is not None and (str(cause) == root or str(cause) in found.events):
            found.events[id_] = one
            found.children.setdefault(str(cause), []).append(id_)
    return found


def _event(store: EventStore, asked: int | str) -> RecordedEvent:
    if isinstance(asked, str):
        try:
            uuid.UUID(asked)
        except ValueError:
            raise MomentError(f"{asked!r} is no event; give its id, or its position") from None
    found = list(store.read(as_of=asked, backwards=True, limit=1))
    if not found:
        raise MomentError("there is no event at position 0; positions begin with 1")
    return found[0]

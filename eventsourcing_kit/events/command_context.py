"""Why and for whom something is done: `with context(…)` puts it into the metadata of every event that follows."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values
from eventsourcing_kit.events.event import RecordedEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_current: ContextVar[dict[str, Any] | None] = ContextVar("eventsourcing_kit_context", default=None)


@contextmanager
def context(*, caused_by: RecordedEvent | None = None, **values: Any) -> Iterator[dict[str, Any]]:
    """Within it, the values are in the metadata of every event that is appended or decided; `load` is left alone.

    `caused_by` is the event that is being answered: `causation_id` becomes its id, and its `correlation_id`, where it
    has one, is taken over. What `append`, `handle` or the event itself say of metadata wins; an inner context adds to
    the outer one, and wins. Each thread and each asyncio task has its own. Values are plain JSON, else `InputError`.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> with ek.context(correlation_id="request-1", who="Ada"):
    ...     done = store.append("order-7", ek.NewEvent(type="ContextDoc.Placed"))
    >>> with ek.context(caused_by=done.events[0]):
    ...     answer = store.append("parcel-7", ek.NewEvent(type="ContextDoc.Sent"))
    >>> answer.events[0].metadata["correlation_id"]
    'request-1'
    >>> answer.events[0].metadata["causation_id"] == str(done.events[0].id)
    True
    """
    own = _cause(caused_by) | json_values.plain_json(values, "the context")
    token = _current.set({**(_current.get() or {}), **own})
    try:
        yield dict(own)
    finally:
        _current.reset(token)


def _cause(event: RecordedEvent | None) -> dict[str, Any]:
    if event is None:
        return {}
    if not isinstance(event, RecordedEvent):
        raise InputError(f"caused_by is {event!r}; give the RecordedEvent that is being answered")
    taken = {name: event.metadata[name] for name in ("correlation_id",) if name in event.metadata}
    return {**taken, "causation_id": str(event.id)}


around = _current.get  # what the context says; nothing where there is none


def within(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The metadata of an append, with what the context around it says; the append's own wins."""
    said = around()
    if not said:
        return metadata
    if metadata is None:
        return said
    # What is no mapping is left for the checks of the append, which say so.
    return {**said, **metadata} if hasattr(metadata, "keys") else metadata

"""From what people append to what the writer takes: every check that needs no log happens here."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import dumping, json_values, schema, stored_data, tags
from eventsourcing_kit.events.command_context import around, within
from eventsourcing_kit.events.event import Event, NewEvent
from eventsourcing_kit.reading.query import check as check_query
from eventsourcing_kit.records.moment import aware_us, from_us
from eventsourcing_kit.records.rows import Draft, Rows, Shape
from eventsourcing_kit.writing.append import Append, Batch, Events, Submission, check_expected

if TYPE_CHECKING:
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.writing.condition import Condition

_Data = tuple[int, dict[str, Any], tuple[str, ...]]


def submission(appends: Iterable[Append], condition: Callable[[Query, Moment | None], Condition]) -> Submission:
    """What was given to `append_many` as one commit to be; raises `InputError` naming event, field and value.

    `condition` makes one of an append's `unless` and `after`.
    """
    parts, batches = [], []
    for one in _appends(appends):
        part = rows_of(one.stream, one.events, within(one.metadata) if around() else one.metadata)
        batch = Batch(one.stream, len(part.stream_codes), check_expected(one.expected_version))
        if one.unless is not None:
            batch.condition = condition(check_query(one.unless), one.after)
        elif one.after is not None:
            raise InputError(f"after={one.after!r} without unless=: say which events must not have come since then")
        batches.append(batch)
        parts.append(part)
    rows = parts[0] if len(parts) == 1 else Rows.of([draft for part in parts for draft in part.drafts()])
    return Submission(rows, batches=batches)


def _appends(appends: Any) -> Iterable[Append]:
    if isinstance(appends, Append):
        return [appends]
    if not isinstance(appends, Iterable):
        raise InputError(f"{appends!r} is no list of appends; append_many takes [ek.Append(stream, events), …]")
    given = list(appends)
    for one in given:
        if not isinstance(one, Append):
            raise InputError(f"{one!r} is no append; append_many takes ek.Append(stream, events, …)")
    if not given:
        raise InputError("an empty append_many; give at least one ek.Append(stream, events)")
    return given


def rows_of(stream: str, events: Events, metadata: Mapping[str, Any] | None = None) -> Rows:
    """Events for one stream as columns, in their order; raises `InputError` naming event, field and value."""
    json_values.check_name(stream, "a stream")
    shared = None if metadata is None else _metadata(metadata, "the metadata") or None
    several = _several(events)
    if not several:
        raise InputError(f"an empty batch for stream {stream!r}; append at least one event")
    kind = _only_class(several)
    columns = None
    if kind is not None and (kind.newest_as_of == schema.generation() or stored_data.is_newest(kind)):
        columns = kind.plain_columns(several)
    if kind is None or columns is None:
        data = _data(several)
        return Rows.of([_draft(stream, event, row, shared) for event, row in zip(several, data, strict=True)])
    codes = [0] * len(several)
    extras = {} if shared is None else dict.fromkeys(range(len(several)), shared)
    rows = Rows([stream], codes, [Shape(kind.name, kind.version, kind.plain_names, columns)], codes, {}, {}, extras)
    if kind.tag_fields:
        tagged = ((i, kind.tags_of(event.__dict__)) for i, event in enumerate(several))
        rows.tags = {i: own for i, own in tagged if own}
    return rows


def as_read(draft: Draft, event: Event | NewEvent) -> Any:
    """The data of a draft as a reader will get it; `event` is what it was made of."""
    kind = schema.registered(draft.type)
    if kind is None:
        return json_values.copy_json(draft.data)  # not what is about to be stored: who gets it might change it
    given = event.event if isinstance(event, NewEvent) else event
    return given if type(given) is kind.cls else kind.from_rows([draft.data])[0]


def as_event(draft: Draft) -> NewEvent:
    """A draft as an event to be appended again."""
    occurred_at = None if draft.occurred_us is None else from_us(draft.occurred_us)
    kind = schema.registered(draft.type)
    if kind is not None:
        (event,) = kind.from_rows([draft.data])
        return NewEvent(event, id=draft.id, occurred_at=occurred_at, metadata=draft.metadata, tags=draft.tags or None)
    return NewEvent(
        type=draft.type, data=draft.data, id=draft.id, occurred_at=occurred_at, metadata=draft.metadata,
        tags=draft.tags or None,
    )  # fmt: skip


def _several(events: Any) -> list[Any]:
    if isinstance(events, (Event, NewEvent)):
        return [events]
    if isinstance(events, (str, bytes, Mapping, type)) or not hasattr(events, "__iter__"):
        raise _no_event(events)
    return list(events)


def _no_event(given: object) -> InputError:
    if isinstance(given, type) and issubclass(given, Event) and given is not Event:
        return InputError(f"{given.__name__} is no event but a class of them; append an instance: {given.__name__}(…)")
    return InputError(
        f"{given!r} is no event; append an instance of a class X(ek.Event), NewEvent(type=…, data={{…}}), or a list of "
        "them"
    )


def _only_class(events: list[Any]) -> schema.Schema | None:
    """The schema of event objects of one class, the usual batch; None for any other."""
    only, *others = set(map(type, events))
    return only.__event_schema__ if not others and issubclass(only, Event) and only is not Event else None


def _data(events: list[Any]) -> list[_Data]:
    """Schema version, plain JSON and class's tags of each event; those of one class together, which is faster."""
    found: list[_Data] = [(1, {}, ())] * len(events)
    by_class: defaultdict[schema.Schema, list[tuple[int, Event]]] = defaultdict(list)
    for i, event in enumerate(events):
        typed = event if isinstance(event, Event) and type(event) is not Event else _typed(event)
        if typed is not None:
            by_class[typed.__event_schema__].append((i, typed))
        elif isinstance(event, NewEvent):
            found[i] = (1, _untyped(event), ())
    for kind, members in by_class.items():
        rows = dumping.dump_all(kind, [event for _, event in members])
        stored_data.check_newest(kind, rows)
        for (i, event), row in zip(members, rows, strict=True):
            found[i] = (kind.version, row, kind.tags_of(event.__dict__))
    return found


def _typed(event: object) -> Event | None:
    """The event object; a type given by name is held to its class, where one is registered."""
    if not isinstance(event, NewEvent):
        raise _no_event(event)
    if event.event is not None:
        return event.event
    json_values.check_name(event.type, "an event type")
    kind = schema.registered(event.type)
    if kind is None:
        return None
    try:
        built = kind.cls.model_validate(_mapping(event))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "string_unicode":
            raise InputError(
                f"{event.type}.{field} is {json_values.shown(first['input'])}, which {json_values.SURROGATE}"
            ) from None
        value = "missing" if first["type"] == "missing" else json_values.shown(first["input"])
        raise InputError(
            f"{event.type}.{field} is {value}: {first['msg']}; {event.type} has a class, which its data must fit"
        ) from None
    return built if isinstance(built, Event) else None


def _mapping(event: NewEvent) -> dict[str, Any]:
    if not isinstance(event.data, Mapping):
        raise InputError(f"the data of {event.type} is {event.data!r}; give a dict of fields")
    return dict(event.data)


def _untyped(event: NewEvent) -> dict[str, Any]:
    plain: dict[str, Any] = json_values.plain_json(_mapping(event), event.type)
    return plain


def _draft(stream: str, event: Event | NewEvent, data: _Data, shared: dict[str, Any] | None) -> Draft:
    version, row, own_tags = data
    if isinstance(event, Event):
        return Draft(stream, event.__event_schema__.name, version, row, metadata=shared, tags=own_tags)
    own = _metadata(event.metadata, f"the metadata of {event.type}")
    metadata = {**(shared or {}), **own} or None
    if event.tags is not None:
        where = f"the tags of {event.type}"
        own_tags = tags.joined(own_tags, tags.given(event.tags, where), where)
    return Draft(stream, event.type, version, row, _id(event.id), _occurred(event), metadata, own_tags)


def _metadata(metadata: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InputError(f"{where} is {metadata!r}; give a dict")
    plain: dict[str, Any] = json_values.plain_json(dict(metadata), where)
    return plain


def _id(given: object) -> uuid.UUID | None:
    if given is None or isinstance(given, uuid.UUID):
        return given
    try:
        return uuid.UUID(given)  # type: ignore[arg-type]  # what is no text raises below
    except (ValueError, AttributeError, TypeError):
        raise InputError(f"the id {given!r} is no UUID; give a UUID or its text, or leave it out") from None


def _occurred(event: NewEvent) -> int | None:
    given = event.occurred_at
    if given is None:
        return None
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError:
            raise InputError(f"occurred_at of {event.type} is {given!r}, which is no ISO time") from None
    return aware_us(given, f"occurred_at of {event.type}")

"""CloudEvents 1.0 as JSON: one event, an array of them, or one a line.

What an event has beyond them goes in extension attributes, whose names are a-z and 0-9 and whose values are text:
`ekposition`, `ekversion`, `ekschemaversion`, and where there is such, `ekrecordedat` (then `time` is occurred_at),
`ekmetadata` and `ektags` (both JSON). The source is the store, the subject the stream.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.formats.format import ForeignLog, time_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventsourcing_kit.formats.file import File
    from eventsourcing_kit.formats.format import Events, Losses, Target

_REQUIRED = ("id", "source", "type")
_MAY_BE_NAMED = ("stream", "type", "recorded_at", "occurred_at")
_PLAIN = {"application/json", "text/json"}
_TAKEN = {
    "specversion", "id", "source", "subject", "type", "time", "data", "data_base64", "ekposition", "ekversion",
    "ekschemaversion", "ekrecordedat", "ekmetadata", "ektags",
}  # fmt: skip


# -- read -------------------------------------------------------------------------------------------------------------


def fits(file: File) -> bool:
    """Whether the first value says which version of CloudEvents it is."""
    return isinstance(file.first_json, dict) and "specversion" in file.first_json


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """A row an event; what the kit wrote comes back equal. Roles that are named are attributes, or fields of data."""
    found = file.json if isinstance(file.json, list) else [file.json]
    for number, event in enumerate(found):
        _check(file, number, event)
    is_own = all("ekposition" in event for event in found)
    named = {role: label for role, label in given.items() if role in _MAY_BE_NAMED}
    rows = [_own_row(event) if is_own else _row(file, i, event, named) for i, event in enumerate(found)]
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else None, dtype=object)
    roles = [role for role in frame.columns if role != "tags" or frame["tags"].notna().any()]
    columns: dict[str, Any] = {role: role for role in roles} | {"is_sparse": True, "is_raw": is_own}
    took = "" if is_own else _took(found, named)
    return ForeignLog(frame.drop(columns=frame.columns.difference(roles)), columns, took)


def _check(file: File, number: int, event: Any) -> None:
    if not isinstance(event, dict):
        raise InputError(f"{file.name}, event {number} is {shown(event)}; each is a JSON object of CloudEvents")
    if str(event.get("specversion")) != "1.0":
        version = event.get("specversion")
        raise InputError(f"{file.name}, event {number} has specversion {version!r}; version '1.0' is known here")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise InputError(
                f"{file.name}, event {number}: {name} is {event.get(name)!r}; CloudEvents need a text there"
            )


def _took(found: list[dict[str, Any]], named: Mapping[str, Any]) -> str:
    roles = {"stream": "subject", "type": "type", "recorded_at": "time"} | dict(named)
    without = 0 if "stream" in named else sum(not event.get("subject") for event in found)
    sources = f"; {counted(without)} without a subject in the stream of the source" if without else ""
    return "CloudEvents: " + ", ".join(f"{role}={label!r}" for role, label in roles.items()) + sources


def _row(file: File, number: int, event: dict[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Another's event: what has no place of its own stays in the metadata."""
    more = {name: value for name, value in event.items() if name not in _TAKEN and value is not None}
    if more.get("datacontenttype") in _PLAIN:
        del more["datacontenttype"]
    data = _data(event)
    row = {
        "id": _id(event),
        "stream": event.get("subject") or event["source"],
        "type": event["type"],
        "recorded_at": event.get("time"),
        "metadata": {"source": event["source"], **more},
        "data": data,
    }
    row |= {role: event.get(label, data.get(label)) for role, label in named.items()}
    if row["recorded_at"] is None:
        label = named.get("recorded_at", "time")
        raise InputError(
            f"{file.name}, event {number} has no {label}; name an attribute, or a field of its data, that says when it "
            f"happened: recorded_at=…, of {[*event, *data]}; or leave the event out"
        )
    return row


def _id(event: dict[str, Any]) -> str:
    """An id is unique within its source, unless it is one everywhere."""
    text: str = event["id"]
    try:
        uuid.UUID(text)
    except ValueError:
        return f"{event['source']} {text}"
    return text


def _data(event: dict[str, Any]) -> dict[str, Any]:
    """Data that is no object becomes one of one field."""
    if "data_base64" in event:
        return {"data_base64": event["data_base64"]}
    data = event.get("data", {})
    return data if isinstance(data, dict) else {"data": data}


def _own_row(event: dict[str, Any]) -> dict[str, Any]:
    recorded_at = event.get("ekrecordedat")
    return {
        "id": event["id"],
        "stream": event.get("subject"),
        "position": int(event["ekposition"]),
        "type": event["type"],
        "schema_version": int(event.get("ekschemaversion", 1)),
        "recorded_at": recorded_at or event.get("time"),
        "occurred_at": event.get("time") if recorded_at else None,
        "metadata": from_json(event["ekmetadata"]) if "ekmetadata" in event else {},
        "data": event.get("data", {}),
        "tags": from_json(event["ektags"]) if "ektags" in event else None,
    }


# -- written ----------------------------------------------------------------------------------------------------------


def write(events: Events, target: Target, losses: Losses) -> None:
    """One event a line. Nothing is lost."""
    source = f"urn:uuid:{events.store_id or uuid.UUID(int=0)}"
    with target.open() as file:
        for frame in events.frames():
            file.write(b"".join(to_json(event) + b"\n" for event in _events(frame, source)))


def _events(frame: pd.DataFrame, source: str) -> Iterator[dict[str, Any]]:
    names = ("id", "stream", "type", "position", "version", "schema_version", "metadata", "data")
    tags = frame["tags"] if "tags" in frame.columns else [()] * len(frame)
    columns = [frame[name].tolist() for name in names]
    recorded, occurred = time_texts(frame["recorded_at"]), time_texts(frame["occurred_at"])
    for id_, stream, type_, position, version, schema_version, metadata, data, at, when, tagged in zip(
        *columns, recorded, occurred, tags, strict=True
    ):
        event = {
            "specversion": "1.0",
            "id": id_,
            "source": source,
            "type": type_,
            "subject": stream,
            "time": when or at,
            "datacontenttype": "application/json",
            "ekposition": str(position),
            "ekversion": str(version),
            "ekschemaversion": str(schema_version),
        }
        if when:
            event["ekrecordedat"] = at
        if metadata:
            event["ekmetadata"] = to_json(metadata).decode()
        if tagged:
            event["ektags"] = to_json(list(tagged)).decode()
        yield event | {"data": data}

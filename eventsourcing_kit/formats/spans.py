"""OpenTelemetry's spans as OTLP JSON: a stream a trace, an event a span when it ended, caused by its parent."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.formats.format import ForeignLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventsourcing_kit.formats.file import File

_GROUPS = ("scopeSpans", "instrumentationLibrarySpans")  # the name of today, and the one before
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


def fits(file: File) -> bool:
    """Whether the first value holds spans."""
    return isinstance(file.first_json, dict) and "resourceSpans" in file.first_json


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """A row a span. Raises `InputError` for one that lacks its trace, name or times."""
    documents = file.json if isinstance(file.json, list) else [file.json]
    rows = [_row(file, number, *one) for number, one in enumerate(_spans(documents))]
    frame = pd.DataFrame(
        rows, columns=["id", "stream", "type", "recorded_at", "occurred_at", "metadata", "data"], dtype=object
    )
    for name in ("recorded_at", "occurred_at"):
        frame[name] = pd.to_datetime(frame[name].astype("int64"), unit="ns", utc=True)
    columns = {**{name: name for name in frame.columns}, **given}
    took = "OpenTelemetry's spans: stream='trace-' and the trace, type=the name, recorded_at=the end"
    return ForeignLog(frame, columns, took)


def _spans(documents: list[Any]) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Each span, with what made it."""
    for document in documents:
        for resource in document.get("resourceSpans") or []:
            made_by = _attributes((resource.get("resource") or {}).get("attributes"))
            for group in _GROUPS:
                for scope in resource.get(group) or []:
                    by = scope.get("scope") or scope.get("instrumentationLibrary") or {}
                    for span in scope.get("spans") or []:
                        yield span, made_by, by


def _row(file: File, number: int, span: Any, resource: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
    for name in ("traceId", "spanId", "name", "startTimeUnixNano", "endTimeUnixNano"):
        if not isinstance(span, dict) or not span.get(name):
            raise InputError(f"{file.name}, span {number} has no {name}; spans that have not ended are no events yet")
    trace, parent = str(span["traceId"]).lower(), str(span.get("parentSpanId") or "").lower()
    metadata: dict[str, Any] = {"correlation_id": trace}
    if parent:
        metadata["causation_id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{trace}-{parent}"))
    return {
        "id": f"{trace}-{str(span['spanId']).lower()}",
        "stream": f"trace-{trace}",
        "type": span["name"],
        "recorded_at": _nanoseconds(file, number, span, "endTimeUnixNano"),
        "occurred_at": _nanoseconds(file, number, span, "startTimeUnixNano"),
        "metadata": metadata,
        "data": _data(span, resource, scope),
    }


def _nanoseconds(file: File, number: int, span: dict[str, Any], name: str) -> int:
    try:
        return int(span[name])
    except (TypeError, ValueError):
        raise InputError(
            f"{file.name}, span {number}: {name} is {span[name]!r}; it counts nanoseconds since 1970"
        ) from None


def _data(span: dict[str, Any], resource: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
    """What the span says, as far as it says anything."""
    kind = span.get("kind")
    data = {
        "span": span["spanId"],
        "parent": span.get("parentSpanId"),
        "kind": (_KINDS[kind] if 0 <= kind < len(_KINDS) else kind) if isinstance(kind, int) else kind,
        "status": span.get("status"),
        "attributes": _attributes(span.get("attributes")),
        "events": [{**one, "attributes": _attributes(one.get("attributes"))} for one in span.get("events") or []],
        "links": [{**one, "attributes": _attributes(one.get("attributes"))} for one in span.get("links") or []],
        "resource": resource,
        "scope": scope,
    }
    return {name: value for name, value in data.items() if value}


def _attributes(pairs: Any) -> dict[str, Any]:
    return {one["key"]: _value(one.get("value") or {}) for one in pairs or [] if isinstance(one, dict) and "key" in one}


def _value(value: Any) -> Any:
    """A value out of the envelope that says its type."""
    for kind, inner in value.items() if isinstance(value, dict) else ():
        if kind == "intValue":
            return int(inner)
        if kind == "arrayValue":
            return [_value(one) for one in inner.get("values") or []]
        if kind == "kvlistValue":
            return _attributes(inner.get("values"))
        return inner
    return None

"""Rows of change data capture: `before`, `after` and `op`, bare or in Debezium's envelope, become events of the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic_core import from_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.formats.format import ForeignLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventsourcing_kit.formats.file import File

NAMES = {"before", "after", "op"}
_DONE = {
    "c": "Created", "r": "Created", "create": "Created", "insert": "Created", "i": "Created", "read": "Created",
    "u": "Changed", "update": "Changed", "d": "Deleted", "delete": "Deleted",
}  # fmt: skip
_OWN_TIMES = {"ts_us": 1, "ts_ms": 1_000}  # which Debezium writes, in microseconds


def fits(file: File) -> bool:
    """Whether the first value is a change."""
    first = file.first_json
    return isinstance(first, dict) and set(_payload(first)[0] or {}) >= NAMES


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """An event a change; a null, by which Debezium marks what was deleted before, is passed over."""
    return of(file.json if isinstance(file.json, list) else [file.json], given)


def are_in(frame: pd.DataFrame) -> bool:
    """Whether a frame's rows are changes."""
    return set(frame.columns) >= NAMES


def of(rows: Iterable[Any], given: Mapping[str, Any]) -> ForeignLog:
    """The changes as a log: types TABLECreated, TABLEChanged and TABLEDeleted in the streams TABLE-KEY.

    `type` names the field that holds the table, `stream` that of a row which is its key, `recorded_at` that of the
    change which holds its time; Debezium says the first and the last itself. Raises `InputError` naming the row.
    """
    found, passed = [], 0
    for i, row in enumerate(rows):
        payload, key = _payload(row)
        if payload is None:
            passed += 1
        else:
            found.append(_event(i, payload, key, given))
    frame = pd.DataFrame(found, columns=["stream", "type", "recorded_at", "occurred_at", "metadata", "data"])
    columns = {name: name for name in frame.columns} | {"is_sparse": True}
    took = f"changes of rows, created, changed and deleted{f'; {passed:,} nulls passed over' if passed else ''}"
    return ForeignLog(frame, columns, took)


def _payload(row: Any) -> tuple[dict[str, Any] | None, Any]:
    """The change itself out of its envelopes, and its key where the envelope has it."""
    key = None
    if isinstance(row, dict) and "value" in row and "key" in row:
        row, key = row["value"], row["key"]
        key = key.get("payload", key) if isinstance(key, dict) else key
    if isinstance(row, dict) and "payload" in row and not row.keys() >= NAMES:
        row = row["payload"]
    return row, key


def _event(i: int, change: Any, key: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(change, dict) or not change.keys() >= NAMES:
        raise InputError(f"row {i} is {shown(change)}; a change has before, after and op")
    done = _DONE.get(str(change["op"]).lower())
    if done is None:
        raise InputError(f"row {i}, op is {change['op']!r}; known are c (or r), u and d; leave such rows out")
    before, after = _row(i, change, "before"), _row(i, change, "after")
    image = before if done == "Deleted" else after
    source: dict[str, Any] = change["source"] if isinstance(change.get("source"), dict) else {}
    table = _table(i, change, source, given)
    recorded_at, occurred_at = _times(i, change, source, given)
    return {
        "stream": f"{table}-{_key(i, image or before or after, key, given)}",
        "type": f"{table}{done}",
        "recorded_at": recorded_at,
        "occurred_at": occurred_at,
        "metadata": {"source": source} if source else {},
        "data": image,
    }


def _row(i: int, change: Mapping[str, Any], name: str) -> dict[str, Any]:
    image = change[name]
    if isinstance(image, str):
        try:
            image = from_json(image)
        except ValueError:
            raise InputError(f"row {i}, {name} is {shown(image)}; give a dict, or an object as JSON") from None
    if image is None or image is pd.NA or (isinstance(image, float) and image != image):
        return {}
    if not isinstance(image, dict):
        raise InputError(f"row {i}, {name} is {shown(image)}; give a dict, or an object as JSON")
    return image


def _table(i: int, change: Mapping[str, Any], source: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    named = given.get("type")
    table = source.get("table") if named is None else change.get(named)
    if isinstance(table, str) and table:
        return table
    if named is None:
        raise InputError(f"row {i} does not say its table; name the field that does: type=…, of {list(change)}")
    raise InputError(f"row {i}, {named} is {table!r}; give the table's name there")


def _key(i: int, image: Mapping[str, Any], key: Any, given: Mapping[str, Any]) -> str:
    named = given.get("stream")
    if named is None and key is None:
        raise InputError(f"row {i} does not say its key; name the field that does: stream=…, of {list(image)}")
    value = key if named is None else image.get(named)
    if isinstance(value, dict):
        value = "-".join(map(str, value.values()))
    if value is None or value == "":
        raise InputError(f"row {i}, {named} is missing; every row needs its key there")
    return str(value)


def _times(i: int, change: Mapping[str, Any], source: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Any, Any]:
    """When the change was captured, and when it was made."""
    named = given.get("recorded_at")
    if named is not None and change.get(named) is None:
        raise InputError(f"row {i}, {named} is missing; every change needs a time there, so leave such rows out")
    if named is not None:
        return change[named], change.get(given.get("occurred_at", ""))
    recorded_at, made_at = _own_time(change), _own_time(source)
    if recorded_at is None and made_at is None:
        raise InputError(f"row {i} does not say when; name the field that does: recorded_at=…, of {list(change)}")
    return (made_at, None) if recorded_at is None else (recorded_at, made_at)


def _own_time(fields: Mapping[str, Any]) -> Any:
    for name, factor in _OWN_TIMES.items():
        if isinstance(fields.get(name), int) and fields[name]:
            return pd.Timestamp(fields[name] * factor, unit="us", tz="UTC")
    return None

"""Rows as JSON: an object a line (NDJSON), or an array of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.formats import conventions
from eventsourcing_kit.formats.format import OWN, RAW, ForeignLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.formats.file import File


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """A row an object. Fields that have no role are its data; null and absent stay apart in them."""
    rows = file.json if isinstance(file.json, list) else [file.json]
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InputError(f"{file.name}, row {number} is {shown(row)}; each is a JSON object, by its columns' names")
    if not rows:
        none = {"stream": "stream", "type": "type", "recorded_at": "recorded_at", **given}
        return ForeignLog(pd.DataFrame({label: [] for label in none.values()}), none)
    names = dict.fromkeys(name for row in rows for name in row)
    code = f"pd.read_json({file.name!r}, lines={file.has_lines})"
    if names.keys() >= OWN:
        frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})
        if "data" in names and all(isinstance(row.get("data"), dict) for row in rows):
            frame.attrs[RAW] = True
        return ForeignLog(frame, given, code=code)
    for role, label in given.items():
        if label not in names:
            raise InputError(f"{file.name}: {role}={label!r}: no object has that; there are {list(names)[:50]}")
    roles: dict[str, Any] = {**conventions.roles(names, given), **given}
    taken = set(roles.values())
    columns = {name: [row.get(name) for row in rows] for name in names if name in taken}
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    if "data" not in roles and {"stream", "type", "recorded_at"} <= roles.keys():
        fields = {name: conventions.fields(names).get(name, name) for name in names if name not in taken}
        label = next(name for name in ("data", "data_", "data__") if name not in taken)
        data = [{fields[name]: value for name, value in row.items() if name in fields} for row in rows]
        frame[label], roles = pd.Series(data, dtype=object), roles | {"data": label}
    else:
        frame = frame.assign(**{name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})
    return ForeignLog(frame, roles, code=code)

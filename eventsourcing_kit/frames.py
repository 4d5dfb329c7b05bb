"""From columns in the log to pandas DataFrames, without an object an event on the way where that is possible."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventsourcing_kit import ids, schema
from eventsourcing_kit.moment import aware_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.record import Commit, Shape

    Ints = npt.NDArray[np.int64]

TIME = "datetime64[us, UTC]"
ATTRIBUTES = (
    "id", "stream", "version", "position", "type", "schema_version", "recorded_at", "occurred_at", "metadata",
)  # fmt: skip
_NOTHING = {type(None), type(pd.NA)}
_EXACT_FLOAT = 1 << 53
_IDS_AT_ONCE = 50_000  # as text they take nine times their bytes for a moment
NO_TIME = np.iinfo(np.int64).min


# -- columns ----------------------------------------------------------------------------------------------------------


def column(values: Sequence[Any]) -> Any:
    """A pandas array of plain values, None for missing: Int64, Float64, boolean, string or times, else objects."""
    kinds = set(map(type, values))
    whole = kinds.isdisjoint(_NOTHING)
    kinds -= _NOTHING
    if kinds == {bool}:
        return pd.array(list(values), dtype="boolean")
    if kinds == {int} or kinds == {int, float} or kinds == {float}:
        return _numbers(values, kinds, whole)
    if kinds == {str}:
        return strings(objects(values if whole else [pd.NA if v is None else v for v in values]))
    if kinds and all(issubclass(kind, datetime) for kind in kinds):
        return _datetimes(values)
    return objects(values)


def objects(values: Sequence[Any]) -> Any:
    """A numpy array of the values as they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values) if len(values) else []
    return array


def _numbers(values: Sequence[Any], kinds: set[type], whole: bool) -> Any:
    missing, full = np.zeros(len(values), dtype=bool), list(values)
    if not whole:
        missing = np.fromiter((v is None or v is pd.NA for v in values), dtype=bool, count=len(values))
        full = [0 if gone else v for v, gone in zip(values, missing, strict=True)]
    if kinds == {int}:
        try:
            return pd.arrays.IntegerArray(np.array(full, dtype=np.int64), missing)
        except OverflowError:
            return objects(values)
    if int in kinds and any(type(v) is int and abs(v) > _EXACT_FLOAT for v in full):
        return objects(values)
    return pd.arrays.FloatingArray(np.array(full, dtype=np.float64), missing)


def _datetimes(values: Sequence[Any]) -> Any:
    if any(v is not None and v.utcoffset() is None for v in values):
        return objects(values)
    return times(np.array([NO_TIME if v is None else aware_us(v, "a time") for v in values], dtype=np.int64))


def times(us: Ints) -> Any:
    """Microseconds since 1970 UTC as `datetime64[us, UTC]`."""
    return pd.DatetimeIndex(us.view("datetime64[us]")).tz_localize("UTC").array


def strings(values: npt.NDArray[np.object_]) -> Any:
    """An object array of text (and NA) as pandas' nullable string."""
    return pd.array(values, dtype="string")


def integers(values: Ints) -> Any:
    """Whole numbers as pandas' nullable Int64."""
    return pd.arrays.IntegerArray(np.ascontiguousarray(values, dtype=np.int64), np.zeros(len(values), dtype=bool))


def nullable(values: Sequence[int | None]) -> Any:
    """Whole numbers, None for missing, as pandas' nullable Int64."""
    return pd.array(list(values), dtype="Int64")


def field_names(fields: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """A column name a field: letters, digits and `_` only (Altair reads dots and colons), and none of `taken`."""
    used, names = set(taken), {}
    for one in fields:
        name = re.sub(r"\W", "_", one) or "_"
        name = f"data_{name}" if name in taken else name
        while name in used:
            name += "_"
        used.add(name)
        names[one] = name
    return names


# -- events -----------------------------------------------------------------------------------------------------------


def of_events(chunks: Iterable[tuple[Commit, Ints]]) -> pd.DataFrame:
    """One row an event: the record's attributes, then the payload's fields in order of appearance."""
    found = _Columns()
    with schema.paused_gc():
        for commit, rows in chunks:
            found.add(commit, rows)
        return found.frame()


class _Columns:
    """Collects columns over many commits."""

    def __init__(self) -> None:
        self.count = 0
        self.attributes: dict[str, list[Any]] = {name: [] for name in ATTRIBUTES}
        self.fields: dict[str, list[tuple[Ints, list[Any]]]] = {}

    def add(self, commit: Commit, rows: Ints) -> None:
        self._add_attributes(commit, rows)
        where = np.full(commit.count, -1, dtype=np.int64)
        where[rows] = np.arange(self.count, self.count + len(rows))
        for shape in commit.shapes:
            at = where[shape.rows]
            if (at >= 0).any():
                for name, values in _payload(shape, np.flatnonzero(at >= 0), commit.first):
                    self.fields.setdefault(name, []).append((at[at >= 0], values))
        self.count += len(rows)

    def _add_attributes(self, commit: Commit, rows: Ints) -> None:
        shapes = commit.body["shapes"]
        metadata = commit.metadata
        occurred = np.full(commit.count, NO_TIME, dtype=np.int64)
        for row, us in commit.occurred_us.items():
            occurred[row] = us
        codes = commit.shape_codes[rows]
        added = {
            "id": (commit, rows),
            "stream": np.array(commit.streams, dtype=object)[commit.stream_codes[rows]],
            "version": commit.versions[rows],
            "position": commit.positions[rows],
            "type": np.array([shape[0] for shape in shapes], dtype=object)[codes],
            "schema_version": np.array([shape[1] for shape in shapes], dtype=np.int64)[codes],
            "recorded_at": commit.times[rows],
            "occurred_at": occurred[rows],
            "metadata": objects(
                [dict(metadata.get(row, ())) for row in rows.tolist()] if metadata else [{} for _ in range(len(rows))]
            ),
        }
        for name, values in added.items():
            self.attributes[name].append(values)

    def frame(self) -> pd.DataFrame:
        columns = {name: _attribute(name, parts) for name, parts in self.attributes.items()}
        names = field_names(self.fields, ATTRIBUTES)
        for name, parts in self.fields.items():
            columns[names[name]] = _field(self.count, parts)
        return pd.DataFrame(columns, copy=False)


def _attribute(name: str, parts: list[Any]) -> Any:
    if name == "id":
        return strings(objects(_id_texts(parts)))
    if name in ("stream", "type"):
        return strings(np.concatenate(parts) if parts else np.array([], dtype=object))
    if name in ("recorded_at", "occurred_at"):
        return times(np.concatenate(parts) if parts else np.array([], dtype=np.int64))
    if name == "metadata":
        return np.concatenate(parts) if parts else np.array([], dtype=object)
    return integers(np.concatenate(parts) if parts else np.array([], dtype=np.int64))


def _ids(parts: list[tuple[Commit, Ints]]) -> Any:
    """The ids of all rows, made at once: a call a commit would cost more than the ids."""
    if not parts:
        return np.empty((0, 16), dtype=np.uint8)
    keys = np.repeat(np.array([commit.key for commit, _ in parts], dtype=np.uint64), [len(rows) for _, rows in parts])
    positions = np.concatenate([commit.positions[rows] for commit, rows in parts])
    made = ids.id_bytes(keys, positions, np.concatenate([commit.times[rows] for commit, rows in parts]))
    at = 0
    for commit, rows in parts:
        if commit.has_supplied_ids:
            made[at : at + len(rows)] = commit.id_bytes[rows]
        at += len(rows)
    return made


def _id_texts(parts: list[Any]) -> list[str]:
    rows = _ids(parts)
    return [text for at in range(0, len(rows), _IDS_AT_ONCE) for text in ids.to_text(rows[at : at + _IDS_AT_ONCE])]


def _payload(shape: Shape, inside: Ints, first: int) -> Iterable[tuple[str, list[Any]]]:
    """Field by field the values of a shape's rows at `inside`, as the events' objects have them."""
    columns = shape.columns
    if len(inside) != len(shape.rows):
        picked = inside.tolist()
        columns = [[values[i] for i in picked] for values in columns]
    kind = schema.registered(shape.type)
    if kind is None:
        return zip(shape.fields, columns, strict=True)
    stored = dict(zip(shape.fields, columns, strict=True))
    if all(name in stored and kind.is_plain(name, stored[name]) for name in kind.fields):
        return [(name, stored[name]) for name in kind.fields]
    positions = (shape.rows[inside] + first).tolist()
    objects = schema.from_columns(shape.type, shape.fields, columns, positions)
    return [(name, [getattr(one, name) for one in objects]) for name in kind.fields]


def _field(count: int, parts: list[tuple[Ints, list[Any]]]) -> Any:
    at = np.concatenate([rows for rows, _ in parts])
    values = list(chain.from_iterable(part for _, part in parts))
    if len(at) == count and bool((np.diff(at) > 0).all()):
        return column(values)
    full = np.full(count, None, dtype=object)
    full[at] = objects(values)
    return column(full.tolist())

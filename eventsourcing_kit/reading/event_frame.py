"""The events of a read as one DataFrame, column by column over many commits, without an object an event on the way."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventsourcing_kit.events import json_values, renames, stored_data
from eventsourcing_kit.formats.format import RAW
from eventsourcing_kit.reading.frames import NO_TIME, JsonObject, column, field_names, integers, objects, strings, times
from eventsourcing_kit.records import ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]

ATTRIBUTES = (
    "id", "stream", "version", "position", "type", "schema_version", "recorded_at", "occurred_at", "metadata",
)  # fmt: skip
TAGS = "tags"  # a column only where the store has any
# What a frame notes of itself in its `attrs`, as `RAW`, so that it can be loaded again:
FIELDS, TAGGED = "fields", "tagged"
_MANY_SHAPES = 64  # in a commit
_IDS_AT_ONCE = 50_000  # as text they take nine times their bytes for a moment


def of_events(chunks: Iterable[tuple[Commit, Ints]], *, raw: bool = False, tagged: bool = False) -> pd.DataFrame:
    """One row an event: the record's attributes, then the payload's fields in order of appearance.

    Where it is `raw`, types, schema versions and data are as they were stored, the data in one column of dicts. Where
    it is `tagged`, tags are among the attributes.
    """
    found = Columns(raw, tagged)
    for commit, rows in chunks:
        with json_values.plain_objects_only():
            found.add(commit, rows)
    return found.frame()


class _Runs:
    """A column of whole numbers in parts: arrays, and runs of one value that are written out together at the end.

    Numpy takes a microsecond a call, so a call a commit would cost more than the events.
    """

    def __init__(self, *, rising: bool = False) -> None:
        self._rising = rising
        self._parts: list[Ints] = []
        self._values: list[int] = []
        self._lengths: list[int] = []

    def run(self, value: int, length: int) -> None:
        """`value` so many times; in a rising column `value`, `value + 1`, …"""
        self._values.append(value)
        self._lengths.append(length)

    def extend(self, values: Ints) -> None:
        self._write_out()
        self._parts.append(values)

    def _write_out(self) -> None:
        if not self._values:
            return
        lengths = np.array(self._lengths, dtype=np.int64)
        values = np.array(self._values, dtype=np.int64)
        if self._rising:
            values -= np.cumsum(lengths) - lengths
        written = np.repeat(values, lengths)
        self._parts.append(written + np.arange(len(written)) if self._rising else written)
        self._values, self._lengths = [], []

    def array(self) -> Ints:
        self._write_out()
        return np.concatenate(self._parts) if self._parts else np.array([], dtype=np.int64)


class _Names:
    """Distinct texts and the code of each."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    @property
    def names(self) -> Iterable[str]:
        return self._codes

    def code(self, name: str) -> int:
        return self._codes.setdefault(name, len(self._codes))

    def codes(self, names: Iterable[str]) -> Ints:
        return np.array([self.code(name) for name in names], dtype=np.int64)

    def texts(self, codes: Ints) -> Any:
        return strings(objects(list(self._codes))[codes])


class Columns:
    """Collects columns over many commits."""

    def __init__(self, raw: bool, tagged: bool) -> None:
        self.count = 0
        self._raw, self._name, self._tagged = raw, (str if raw else renames.current), tagged
        self.streams, self.stream_codes = _Names(), _Runs()
        self.types, self.type_codes = _Names(), _Runs()
        self.keys, self.schema_versions, self.times = _Runs(), _Runs(), _Runs()
        self.positions, self.versions = _Runs(rising=True), _Runs(rising=True)
        self.supplied: list[tuple[int, Any]] = []
        self.occurred: list[tuple[int, int]] = []
        self.metadata: list[tuple[int, dict[str, Any]]] = []
        self.tags: list[tuple[int, tuple[str, ...]]] = []
        self.appeared: dict[str, int] = {}  # once the frame is made: at which position each field's column begins
        self.payloads: dict[tuple[str | int, ...], Any] = {}  # in order of appearance, under () the loose ones
        self._loose = _Loose()

    def add(self, commit: Commit, rows: Ints) -> None:
        """The commit's events at `rows`."""
        whole = len(rows) == commit.count and bool(rows[0] == 0)
        if whole and commit.is_uniform:
            self._add_run(commit)
        else:
            self._add_rows(commit, rows)
        self.keys.run(commit.key, len(rows))
        if commit.has_extras:
            self._add_extras(commit, rows)
        self.count += len(rows)

    def _add_run(self, commit: Commit) -> None:
        count = commit.count
        (stream,), (version,) = commit.streams, commit.first_versions
        ((type_, schema_version, fields, columns),) = commit.shapes
        self.stream_codes.run(self.streams.code(stream), count)
        self.type_codes.run(self.types.code(self._name(type_)), count)
        self.schema_versions.run(schema_version, count)
        self.positions.run(commit.first, count)
        self.versions.run(version, count)
        self.times.run(commit.first_us, count)
        self._payload(type_, schema_version, fields).add_run(self.count, count, columns)

    def _add_rows(self, commit: Commit, rows: Ints) -> None:
        shapes, shape_codes = commit.shapes, commit.shape_codes[rows]
        self.stream_codes.extend(self.streams.codes(commit.streams)[commit.stream_codes[rows]])
        self.type_codes.extend(self.types.codes(self._name(shape.type) for shape in shapes)[shape_codes])
        self.schema_versions.extend(np.array([shape.schema_version for shape in shapes], dtype=np.int64)[shape_codes])
        self.positions.extend(commit.positions[rows])
        self.versions.extend(commit.versions[rows])
        self.times.extend(commit.times[rows])
        where = np.full(commit.count, -1, dtype=np.int64)
        where[rows] = np.arange(self.count, self.count + len(rows))
        are_many = len(shapes) > _MANY_SHAPES and not self._raw
        for shape, rows_of_shape in zip(shapes, commit.rows_of_shapes, strict=True):
            at = where[rows_of_shape]
            if are_many and stored_data.reader(shape.type, shape.schema_version) is None:
                self.payloads.setdefault((), self._loose)
                self._loose.add(at.tolist(), shape.fields, shape.columns)
            elif (at >= 0).any():
                self._payload(shape.type, shape.schema_version, shape.fields).add_rows(at, shape.columns)

    def _payload(self, type_: str, version: int, fields: list[str]) -> _Payload:
        found: _Payload = self.payloads.setdefault((type_, version, *fields), _Payload(type_, version, fields))
        return found

    def _add_extras(self, commit: Commit, rows: Ints) -> None:
        occurred, metadata, tags = commit.occurred_us, commit.metadata, commit.tags
        ids_of = commit.id_bytes if commit.has_supplied_ids else None
        for at, row in enumerate(rows.tolist(), self.count):
            if row in occurred:
                self.occurred.append((at, occurred[row]))
            if row in metadata:
                self.metadata.append((at, JsonObject(metadata[row])))
            if row in tags:
                self.tags.append((at, tags[row]))
            if ids_of is not None:
                self.supplied.append((at, ids_of[row]))

    def frame(self) -> pd.DataFrame:
        """All of it."""
        positions, us = self.positions.array(), self.times.array()
        columns = {
            "id": self._ids(positions, us),
            "stream": self.streams.texts(self.stream_codes.array()),
            "version": integers(self.versions.array()),
            "position": integers(positions),
            "type": self.types.texts(self.type_codes.array()),
            "schema_version": integers(self.schema_versions.array()),
            "recorded_at": times(us),
            "occurred_at": self._occurred_at(),
            "metadata": self._metadata(),
        }
        if self._tagged:
            columns[TAGS] = self._tags()
        fields = {"data": ("data", self._data())} if self._raw else self._fields(positions, columns)
        frame = pd.DataFrame(columns | {name: values for name, (_, values) in fields.items()}, copy=False)
        renamed = {name: field for name, (field, _) in fields.items() if name != field}
        if renamed:
            frame.attrs[FIELDS] = renamed
        if "data" in fields:
            frame.attrs[RAW] = self._raw
        if TAGS in frame.columns:
            frame.attrs[TAGGED] = self._tagged
        return frame

    def _ids(self, positions: Ints, us: Ints) -> Any:
        made = ids.id_bytes(self.keys.array().view(np.uint64), positions, us)
        for at, row in self.supplied:
            made[at] = row
        parts = (ids.to_text(made[at : at + _IDS_AT_ONCE]) for at in range(0, len(made), _IDS_AT_ONCE))
        return strings(objects(list(chain.from_iterable(parts))))

    def _occurred_at(self) -> Any:
        us = np.full(self.count, NO_TIME, dtype=np.int64)
        for at, when in self.occurred:
            us[at] = when
        return times(us)

    def _metadata(self) -> Any:
        with json_values.plain_objects_only():
            found = objects([JsonObject() for _ in range(self.count)])
        for at, one in self.metadata:
            found[at] = one
        return found

    def _tags(self) -> Any:
        found = objects([()] * self.count)
        for at, own in self.tags:
            found[at] = own
        return found

    def _data(self) -> Any:
        found = objects([None] * self.count)
        for payload in self.payloads.values():
            found[payload.at.array()] = objects(payload.data())
        return found

    def _fields(self, positions: Ints, attributes: Iterable[str]) -> dict[str, tuple[str, Any]]:
        """By the columns' names the fields and their values."""
        found: dict[str, list[tuple[Ints, list[Any]]]] = {}
        for payload in self.payloads.values():
            for name, at, values in payload.placed(positions):
                found.setdefault(name, []).append((at, values))
        names = field_names(found, attributes)
        self.appeared = {names[field]: min(int(positions[at[0]]) for at, _ in parts) for field, parts in found.items()}
        return {names[field]: (field, _field(self.count, parts)) for field, parts in found.items()}


class _Payload:
    """The payload of all events that look alike, and where in the frame they stand."""

    def __init__(self, type_: str, version: int, fields: list[str]) -> None:
        self.type, self.version, self.fields_stored = type_, version, fields
        self.at = _Runs(rising=True)
        self._columns: list[list[list[Any]]] = [[] for _ in fields]

    def add_run(self, start: int, count: int, columns: list[list[Any]]) -> None:
        """A commit's whole columns, which come to stand from row `start` on."""
        self.at.run(start, count)
        for parts, values in zip(self._columns, columns, strict=True):
            parts.append(values)

    def add_rows(self, where: Ints, columns: list[list[Any]]) -> None:
        """Columns whose values come to stand at the rows `where`; -1 for those that are left out."""
        inside = np.flatnonzero(where >= 0)
        if len(inside) < len(where):
            picked = inside.tolist()
            columns = [[values[i] for i in picked] for values in columns]
        self.at.extend(where[inside])
        for parts, values in zip(self._columns, columns, strict=True):
            parts.append(values)

    def stored(self) -> Iterable[tuple[str, list[Any]]]:
        """Field by field the values that were stored."""
        columns = (list(chain.from_iterable(parts)) for parts in self._columns)
        return zip(self.fields_stored, columns, strict=True)

    def data(self) -> Sequence[dict[str, Any]]:
        """Event by event what was stored."""
        columns = [chain.from_iterable(parts) for parts in self._columns]
        found = [JsonObject(zip(self.fields_stored, row, strict=True)) for row in zip(*columns, strict=True)]
        return found or [JsonObject() for _ in self.at.array()]

    def placed(self, positions: Ints) -> Iterable[tuple[str, Ints, list[Any]]]:
        """Field by field the rows of the frame, and the values there; `positions` are those of all its rows."""
        at = self.at.array()
        return [(name, at, values) for name, values in self.fields(positions[at])]

    def fields(self, positions: Ints) -> Iterable[tuple[str, list[Any]]]:
        """Field by field the values, as the events' objects have them."""
        columns = [list(chain.from_iterable(parts)) for parts in self._columns]
        kind = stored_data.reader(self.type, self.version)
        if kind is None:
            return zip(self.fields_stored, columns, strict=True)
        stored = dict(zip(self.fields_stored, columns, strict=True))
        if not stored_data.is_upcast(kind, self.version) and kind.is_plain(stored):
            return [(name, stored[name]) for name in kind.fields]
        objects = stored_data.from_columns(self.type, self.version, self.fields_stored, columns, positions.tolist())
        found = [(name, [getattr(one, name) for one in objects]) for name in kind.fields]
        if kind.cls.model_config.get("extra") != "allow":
            return found
        extras = [one.model_extra or {} for one in objects]
        return found + [(name, [one.get(name) for one in extras]) for name in dict.fromkeys(chain(*extras))]


class _Loose:
    """The payload of events of many shapes that no class reads: each field by itself, and where its values stand."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[list[int], list[Any]]] = {}

    def add(self, where: list[int], fields: list[str], columns: list[list[Any]]) -> None:
        """Columns whose values come to stand at the rows `where`; -1 for those that are left out."""
        for name, values in zip(fields, columns, strict=True):
            at, found = self._parts.setdefault(name, ([], []))
            at += where
            found += values

    def placed(self, _positions: Ints) -> Iterable[tuple[str, Ints, list[Any]]]:
        """Field by field the rows of the frame, and the values there."""
        for name, (at, values) in self._parts.items():
            rows = np.array(at, dtype=np.int64)
            inside = np.flatnonzero(rows >= 0)
            if len(inside):
                yield name, rows[inside], objects(values)[inside].tolist()


def _field(count: int, parts: list[tuple[Ints, list[Any]]]) -> Any:
    at = np.concatenate([rows for rows, _ in parts])
    values = list(chain.from_iterable(part for _, part in parts)) if len(parts) > 1 else parts[0][1]
    if len(at) == count and bool((np.diff(at) > 0).all()):
        return column(values)
    full = np.full(count, None, dtype=object)
    full[at] = objects(values)
    return column(full.tolist())

"""Commits as Arrow tables, one a bucket: what a mirror's files hold, column by column.

    position        int64: the place in the log
    stream          text
    version         int64: the place in the stream
    type            text: as stored
    schema_version  int32: as stored
    recorded_at     time in microseconds, UTC
    occurred_at     the same, or null
    id              a UUID
    metadata        JSON, or null for none
    tags            a list of texts, or null for none
    shape           int32: an index into the file's shapes, which say which fields an event has
    is_copy         whether the event stands in another bucket, too, and counts there; false but for several keys

and then the payload's fields (see `columns`), in names that SQL takes. The file's own metadata has `ek`: JSON with
`store`, `bucket`, `buckets`, `key`, `shapes` ([[type, schema version, [field, …]], …]) and `fields` (their columns).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import to_json

from eventsourcing_kit.events import json_values, stored_data
from eventsourcing_kit.folding.projection import ByTags
from eventsourcing_kit.mirroring import columns
from eventsourcing_kit.mirroring.arrow import pa
from eventsourcing_kit.mirroring.buckets import bucket, of_stream, several
from eventsourcing_kit.reading import event_frame
from eventsourcing_kit.reading.frames import field_names
from eventsourcing_kit.records import ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]

TIME = pa.timestamp("us", tz="UTC")
ATTRIBUTES = (
    "position", "stream", "version", "type", "schema_version", "recorded_at", "occurred_at", "id", "metadata", "tags",
    "shape", "is_copy",
)  # fmt: skip


class Shapes:
    """What the files that are being written have in common: the shapes of events, and the columns of their fields."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self.kinds = dict(kinds)  # of each field, so far
        self.numbers: dict[tuple[Any, ...], int] = {}
        self.types: dict[str, None] = {}
        self.has_copies, self.has_tags = False, False

    def number(self, type_: str, version: int, fields: list[str]) -> int:
        """A shape's."""
        self.types[type_] = None
        return self.numbers.setdefault((type_, version, *fields), len(self.numbers))

    def saw(self, field: str, kind: str) -> None:
        """A field has values of a kind."""
        self.kinds[field] = columns.joined(self.kinds.get(field, kind), kind)

    @property
    def names(self) -> dict[str, str]:
        """The column of each field."""
        return field_names(self.kinds, ATTRIBUTES, str.casefold)

    def described(self) -> dict[str, Any]:
        """For a file's own metadata."""
        shapes = [[type_, version, fields] for type_, version, *fields in self.numbers]
        return {"shapes": shapes, "fields": self.names}


class Batch:
    """The events of some commits, collected."""

    def __init__(self) -> None:
        self._found = event_frame.Columns(raw=True, tagged=True)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._found.count

    def add(self, commit: Commit, rows: Ints) -> None:
        """The commit's events at `rows`."""
        with json_values.plain_objects_only():
            self._found.add(commit, rows)

    def tables(self, key: str | ByTags | None, buckets: int, shapes: Shapes) -> dict[int, Any]:
        """One Arrow table for each bucket that has some of the events, in the log's order."""
        table = self._table(shapes)
        rows, codes, copies = self._buckets(key, buckets)
        if copies is not None:
            table = table.take(pa.array(rows))
            shapes.has_copies |= bool(copies.any())
            at = table.column_names.index("is_copy")
            table = table.set_column(at, "is_copy", pa.array(copies))
        order = np.argsort(codes, kind="stable")
        table = table.take(pa.array(order))
        found, starts = np.unique(codes[order], return_index=True)
        ends = np.append(starts[1:], len(codes))
        return {
            int(one): table.slice(int(start), int(end - start))
            for one, start, end in zip(found, starts, ends, strict=True)
        }

    def _table(self, shapes: Shapes) -> Any:
        found, count = self._found, self._found.count
        positions, us = found.positions.array(), found.times.array()
        id_rows = ids.id_bytes(found.keys.array().view(np.uint64), positions, us)
        for at, row in found.supplied:
            id_rows[at] = row
        shapes.has_tags |= bool(found.tags)
        codes = np.zeros(count, dtype=np.int32)
        fields: dict[str, list[tuple[Ints, list[Any]]]] = {}
        for payload in found.payloads.values():
            at = payload.at.array()
            codes[at] = shapes.number(payload.type, payload.version, payload.fields_stored)
            for name, values in payload.stored():
                shapes.saw(name, columns.kind_of(values))
                fields.setdefault(name, []).append((at, values))
        plain = {
            "position": pa.array(positions),
            "stream": _texts(found.streams, found.stream_codes.array()),
            "version": pa.array(found.versions.array()),
            "type": _texts(found.types, found.type_codes.array()),
            "schema_version": pa.array(found.schema_versions.array().astype(np.int32)),
            "recorded_at": pa.array(us).view(TIME),
            "occurred_at": _sparse(count, found.occurred, TIME),
            "id": pa.ExtensionArray.from_storage(
                pa.uuid(), pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(id_rows)])
            ),
            "metadata": pa.ExtensionArray.from_storage(
                pa.json_(), _sparse(count, ((at, to_json(one).decode()) for at, one in found.metadata), pa.string())
            ),
            "tags": _sparse(count, ((at, list(one)) for at, one in found.tags), pa.list_(pa.string())),
            "shape": pa.array(codes),
            "is_copy": pa.array(np.zeros(count, dtype=bool)),
        }
        for name, column in shapes.names.items():
            kind = shapes.kinds[name]
            values = columns.filled(count, fields[name]) if name in fields else [None] * count
            plain[column] = columns.array(values, kind)
        return pa.table(plain)

    def _buckets(self, key: str | ByTags | None, buckets: int) -> tuple[Ints, Ints, npt.NDArray[np.bool_] | None]:
        """Events by their rows, one for each bucket that an event is in, with the bucket, and whether it is a copy."""
        if key is None:
            of_streams = np.array([of_stream(name, buckets) for name in self._found.streams.names], dtype=np.int64)
            return np.arange(self.count), of_streams[self._found.stream_codes.array()], None
        keys: list[Any] = [None] * self.count
        positions = self._found.positions.array()
        if isinstance(key, ByTags):
            for row, tags in self._found.tags:
                keys[row] = key.among(tags)
        else:
            for payload in self._found.payloads.values():
                at = payload.at.array()
                of_rows = _keys(payload.type, payload.version, dict(payload.stored()), positions[at].tolist(), key)
                for row, one in zip(at.tolist(), of_rows, strict=True):
                    keys[row] = one
        rows: list[int] = []
        codes: list[int] = []
        copies: list[bool] = []
        for row, one in enumerate(keys):
            own = sorted({bucket(member, buckets) for member in several(one)}) or [bucket(None, buckets)]
            rows += [row] * len(own)
            codes += own
            copies += [number > 0 for number in range(len(own))]
        return np.array(rows, dtype=np.int64), np.array(codes, dtype=np.int64), np.array(copies, dtype=bool)


def _keys(type_: str, version: int, stored: dict[str, list[Any]], positions: list[int], key: str) -> Iterable[Any]:
    """A field of stored events of one shape, as their data has it; None where they have no such field."""
    kind = stored_data.reader(type_, version)
    if kind is not None and not hasattr(kind.cls, key) and key not in kind.fields:
        return [None] * len(positions)
    found = stored_data.values_of(type_, version, list(stored), list(stored.values()), positions, [key])
    return found.get(key, [None] * len(positions))


def _texts(names: Any, codes: Ints) -> Any:
    return pa.array(list(names.names), type=pa.string()).take(pa.array(codes))


def _sparse(count: int, given: Iterable[tuple[int, Any]], type_: Any) -> Any:
    """A column of which few rows have a value."""
    given = list(given)
    if not given:
        return pa.nulls(count, type_)
    found: list[Any] = [None] * count
    for at, value in given:
        found[at] = value
    return pa.array(found, type=type_)

"""The log as columns: what happened at each position, and the data of those events that are to be shown in full."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import SchemaError
from eventsourcing_kit.events import renames, stored_data
from eventsourcing_kit.folding.history import fields_of
from eventsourcing_kit.reading.read import data_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from eventsourcing_kit.exploring.values import House
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]


@dataclass
class Entries:
    """The events after position `start` up to `end`. Rows are counted from 0; `detail` holds the rows shown in full.

    `types` are pairs of a type's name today and the schema version as stored; `id_keys` are those of the ids (see
    `records.ids`), each with the row from which on it counts.
    """

    start: int
    end: int
    streams: list[str] = field(default_factory=list)
    types: list[tuple[str, int]] = field(default_factory=list)
    stream: Ints = field(default_factory=lambda: _none())
    type: Ints = field(default_factory=lambda: _none())
    us: Ints = field(default_factory=lambda: _none())
    id_keys: list[tuple[int, int]] = field(default_factory=list)
    supplied: dict[int, bytes] = field(default_factory=dict)
    occurred: dict[int, int] = field(default_factory=dict)
    tags: dict[int, tuple[str, ...]] = field(default_factory=dict)
    detail: Ints = field(default_factory=lambda: _none())
    data: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, None] = field(default_factory=dict)  # of payload and metadata, in order of appearance
    digest: str = ""
    has_stored_data: bool = False  # some data did not fit its class, and is as it was stored

    def __len__(self) -> int:
        return self.end - self.start


def _none() -> Ints:
    return np.array([], dtype=np.int64)


def read(log: Log, start: int, end: int, house: House, *, every: int | None) -> Entries:
    """Read the log; of every so manieth event, counted back from the last one, its data (None: of those with fields
    that may be shown)."""
    found = Entries(start, end, digest=digest_at(log, end))
    reading = _Reading(found, house, every)
    for commit in log.commits(start, end):
        first, last = max(start + 1, commit.first), min(end, commit.last)
        reading.add(commit, np.arange(first - commit.first, last - commit.first + 1))
    reading.end()
    return found


def digest_at(log: Log, position: int) -> str:
    """The digest of the commit that holds a position, as 64 hexadecimal digits."""
    if position == 0:
        return "0" * 64
    commit = log.commit_of(position)
    return (log.head.digest if commit.last == log.head.last else log.commit_of(commit.last + 1).previous).hex()


class _Reading:
    def __init__(self, found: Entries, house: House, every: int | None) -> None:
        self._found, self._house, self._every = found, house, every
        self._streams: dict[str, int] = {}
        self._types: dict[tuple[str, int], int] = {}
        self._parts: list[tuple[Ints, Ints, Ints]] = []
        self._details: list[Ints] = []

    def add(self, commit: Commit, rows: Ints) -> None:
        """Some rows of a commit."""
        found = self._found
        offset = commit.first - found.start - 1  # from rows of the commit to rows here
        streams = np.array([self._streams.setdefault(name, len(self._streams)) for name in commit.streams])
        names = [(renames.current(shape.type), shape.schema_version) for shape in commit.shapes]
        types = np.array([self._types.setdefault(name, len(self._types)) for name in names])
        self._parts.append((streams[commit.stream_codes[rows]], types[commit.shape_codes[rows]], commit.times[rows]))
        if not found.id_keys or found.id_keys[-1][1] != commit.key:
            found.id_keys.append((int(rows[0]) + offset, commit.key))
        if commit.has_extras:
            self._add_extras(commit, set(rows.tolist()), offset)
        self._add_data(commit, rows, offset)

    def _add_extras(self, commit: Commit, rows: set[int], offset: int) -> None:
        found = self._found
        found.supplied |= {row + offset: one.bytes for row, one in commit.supplied_ids.items() if row in rows}
        found.occurred |= {row + offset: us for row, us in commit.occurred_us.items() if row in rows}
        tags = getattr(commit, "tags", {})
        found.tags |= {row + offset: tuple(own) for row, own in tags.items() if row in rows}
        for row, own in commit.metadata.items():
            if row in rows:
                found.fields |= dict.fromkeys(own)

    def _add_data(self, commit: Commit, rows: Ints, offset: int) -> None:
        shown = [self._shows(shape) for shape in commit.shapes]
        if self._every is not None:
            wanted = rows[(self._found.end - 1 - commit.first - rows + 1) % self._every == 0]
        elif all(shown) or any(map(self._house.shows, _metadata_names(commit))):
            wanted = rows
        else:
            wanted = rows[np.array(shown)[commit.shape_codes[rows]]]
        if not len(wanted):
            return
        self._details.append(wanted + offset)
        for row, data in zip(wanted.tolist(), self._data(commit, wanted), strict=True):
            own = data if isinstance(data, dict) else fields_of(data)
            self._found.data.append({name: one for name, one in own.items() if self._house.shows(name)})
            more = commit.metadata.get(row, {}) if commit.has_extras else {}
            self._found.metadata.append({name: one for name, one in more.items() if self._house.shows(name)})

    def _shows(self, shape: Any) -> bool:
        """Whether an event of a shape has a field that may be shown; which ones there are is noted."""
        kind = stored_data.reader(shape.type, shape.schema_version)
        names = [*shape.fields, *(kind.fields if kind else [])]
        self._found.fields |= dict.fromkeys(names)
        return any(map(self._house.shows, names))

    def _data(self, commit: Commit, rows: Ints) -> list[Any]:
        try:
            return data_of(commit, rows)
        except SchemaError:
            self._found.has_stored_data = True
            places, codes = commit.places_in_shapes[rows].tolist(), commit.shape_codes[rows].tolist()
            shapes = commit.shapes
            return [
                {name: values[at] for name, values in zip(shapes[code].fields, shapes[code].columns, strict=True)}
                for at, code in zip(places, codes, strict=True)
            ]

    def end(self) -> None:
        """All was read."""
        found = self._found
        found.streams, found.types = list(self._streams), list(self._types)
        if self._parts:
            found.stream, found.type, found.us = map(np.concatenate, zip(*self._parts, strict=True))
        if self._details:
            found.detail = np.concatenate(self._details)


def _metadata_names(commit: Commit) -> dict[str, None]:
    if not commit.has_extras:
        return {}
    return {name: None for own in commit.metadata.values() for name in own}

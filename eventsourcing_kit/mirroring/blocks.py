"""Rows of a mirror's files, read as a commit is read: what folds and frames take is the same."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json

from eventsourcing_kit.mirroring import columns
from eventsourcing_kit.mirroring.columns import Stored
from eventsourcing_kit.records import ids
from eventsourcing_kit.records.record import Commit, StoredShape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


class Rows:
    """Some rows of a file: the `attributes` by their names, and the payload's `fields`, as Arrow arrays.

    `shapes` are those of the file: type, schema version and fields.
    """

    def __init__(self, attributes: dict[str, Any], fields: dict[str, Any], shapes: list[Any]) -> None:
        self.attributes, self.fields, self.shapes = attributes, fields, shapes

    def __len__(self) -> int:
        return len(self.attributes["position"])

    def take(self, rows: Any) -> Rows:
        """Some of them, by an Arrow array or slice."""

        def own(column: Any) -> Any:
            return column[rows] if isinstance(rows, slice) else column.take(rows)

        attributes = {name: own(column) for name, column in self.attributes.items()}
        return Rows(attributes, {name: own(column) for name, column in self.fields.items()}, self.shapes)


class Block(Commit):
    """As a commit, but for positions that have others between them. Its columns are looked at when they are needed."""

    def __init__(self, store: uuid.UUID | None, rows: Rows) -> None:
        assert store is not None  # an empty log has no events
        self.store, self.previous, self.key = store, b"", 0
        self._rows = rows
        self.count = len(rows)
        self.first, self.last = int(self.positions[0]), int(self.positions[-1])
        self.shapes = [self._shape(number, own) for number, own in zip(self._numbers, self.rows_of_shapes, strict=True)]

    def _ints(self, name: str) -> Ints:
        column = self._rows.attributes[name]
        return np.asarray(column.view("int64") if name == "recorded_at" else column).astype(np.int64, copy=False)

    def _shape(self, number: int, own: Ints) -> StoredShape:
        type_, version, fields = self._rows.shapes[number]
        found = [self._rows.fields[name] for name in fields]
        if len(own) < self.count:
            found = [column.take(own) for column in found]
        return StoredShape(type_, version, fields, [Stored(column) for column in found])  # type: ignore[misc]  # as lists

    @cached_property
    def _distinct(self) -> tuple[list[int], Ints]:
        numbers = self._ints("shape")
        if self.count and bool((numbers == numbers[0]).all()):
            return [int(numbers[0])], np.zeros(self.count, dtype=np.int64)
        found, codes = np.unique(numbers, return_inverse=True)
        return found.tolist(), codes

    @property
    def _numbers(self) -> list[int]:
        """The numbers of the file's shapes that occur here."""
        return self._distinct[0]

    def taken(self, rows: Ints) -> Block:
        """Of some of its rows."""
        return Block(self.store, self._rows.take(rows))

    def between(self, after: int, upto: int) -> tuple[int, int]:
        """The first of its rows above a position, and the one behind its last up to another."""
        start, stop = np.searchsorted(self.positions, [after + 1, upto + 1]).tolist()
        return start, stop

    @property
    def has_supplied_ids(self) -> bool:
        """All count as such: none is made of a key."""
        return True

    @property
    def is_uniform(self) -> bool:
        """Nothing is shared by all."""
        return False

    @property
    def is_small(self) -> bool:
        """It is not put together with others."""
        return False

    @property
    def has_extras(self) -> bool:
        """Ids, at least."""
        return True

    @cached_property
    def _streams(self) -> tuple[list[str], Ints]:
        column = self._rows.attributes["stream"]
        if not hasattr(column, "dictionary"):
            column = column.dictionary_encode()
        codes = np.asarray(column.indices).astype(np.int64)
        names = column.dictionary
        if len(names) <= self.count:
            return names.to_pylist(), codes
        used, codes = np.unique(codes, return_inverse=True)
        return names.take(used).to_pylist(), codes

    @cached_property
    def streams(self) -> list[str]:
        """The streams it touches, and perhaps others."""
        return self._streams[0]

    @cached_property
    def stream_codes(self) -> Ints:
        """One index into `streams` an event."""
        return self._streams[1]

    @cached_property
    def shape_codes(self) -> Ints:
        """One index into `shapes` an event."""
        return self._distinct[1]

    @cached_property
    def rows_of_shapes(self) -> list[Ints]:
        """For each of `shapes`, the rows of its events, rising."""
        if len(self._numbers) == 1:
            return [np.arange(self.count, dtype=np.int64)]
        order = np.argsort(self.shape_codes, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.shape_codes, minlength=len(self._numbers)))[:-1])

    @property
    def first_versions(self) -> list[int]:
        """The version of each stream's first event here, in the order of `streams`."""
        codes, first = np.unique(self.stream_codes, return_index=True)
        found = np.zeros(len(self.streams), dtype=np.int64)
        found[codes] = self.versions[first]
        return found.tolist()

    @property
    def first_us(self) -> int:
        """recorded_at of the first event, in microseconds."""
        return int(self.times[0])

    @property
    def last_us(self) -> int:
        """recorded_at of the last event, in microseconds."""
        return int(self.times[-1])

    @cached_property
    def positions(self) -> Ints:
        """One position an event, rising."""
        return self._ints("position")

    @cached_property
    def times(self) -> Ints:
        """recorded_at in microseconds, one an event."""
        return self._ints("recorded_at")

    @cached_property
    def versions(self) -> Ints:
        """One version an event."""
        return self._ints("version")

    @cached_property
    def is_copy(self) -> npt.NDArray[np.bool_]:
        """Which events stand in another bucket, and count there."""
        return np.asarray(self._rows.attributes["is_copy"].to_numpy(zero_copy_only=False))

    @cached_property
    def id_bytes(self) -> npt.NDArray[np.uint8]:
        """One row of 16 bytes an event."""
        storage = self._rows.attributes["id"].storage
        raw = np.frombuffer(storage.buffers()[1], dtype=np.uint8).reshape(-1, 16)
        return raw[storage.offset : storage.offset + self.count]

    @property
    def supplied_ids(self) -> dict[int, uuid.UUID]:
        """All ids, by row."""
        return dict(enumerate(ids.to_uuids(self.id_bytes)))

    @cached_property
    def occurred_us(self) -> dict[int, int]:
        """occurred_at by row, where it was given."""
        return self._sparse(self._rows.attributes["occurred_at"].view("int64"))

    @cached_property
    def metadata(self) -> dict[int, dict[str, Any]]:
        """Metadata by row, where there is any."""
        return {row: from_json(text) for row, text in self._sparse(self._rows.attributes["metadata"].storage).items()}

    @cached_property
    def tags(self) -> dict[int, tuple[str, ...]]:
        """Tags by row, where there are any."""
        return {row: tuple(own) for row, own in self._sparse(self._rows.attributes["tags"]).items()}

    def rows_with(self, tags: Sequence[str]) -> list[int]:
        """The rows of the events that have all of these tags, rising."""
        return [row for row, own in self.tags.items() if set(tags).issubset(own)]

    def _sparse(self, column: Any) -> dict[int, Any]:
        if column.null_count == self.count:
            return {}
        return {row: value for row, value in enumerate(column.to_pylist()) if value is not None}


def concatenated(parts: list[Rows]) -> Rows:
    """The rows of several files as those of one, in order; where a field is of several kinds, it is JSON."""
    from eventsourcing_kit.mirroring.arrow import pa

    numbers: dict[tuple[Any, ...], int] = {}
    kinds: dict[str, str] = {}
    attributes: dict[str, list[Any]] = {}
    for part in parts:
        for name, column in part.fields.items():
            kinds[name] = columns.joined(kinds.get(name, columns.NULL), columns.kind_in(column))
        own = [numbers.setdefault((type_, version, *fields), len(numbers)) for type_, version, fields in part.shapes]
        for name, column in part.attributes.items():
            if hasattr(column, "dictionary"):
                column = column.cast(pa.string())
            if name == "shape":
                column = pa.array(np.array(own, dtype=np.int32)[np.asarray(column)])
            attributes.setdefault(name, []).append(column)
    joined = {name: pa.concat_arrays(found) for name, found in attributes.items()}
    fields = {
        name: pa.concat_arrays(
            [
                columns.cast(part.fields[name], kind) if name in part.fields else columns.nothing(len(part), kind)
                for part in parts
            ]
        )
        for name, kind in kinds.items()
    }
    return Rows(joined, fields, [[type_, version, names] for type_, version, *names in numbers])

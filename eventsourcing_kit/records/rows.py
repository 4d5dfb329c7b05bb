"""Events that are checked and ready to be recorded: one by one as drafts, or many as columns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence


@dataclass(slots=True)
class Draft:
    """An event that is checked and ready to be recorded: its data is plain JSON."""

    stream: str
    type: str
    schema_version: int
    data: dict[str, Any]
    id: uuid.UUID | None = None
    occurred_us: int | None = None
    metadata: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()


class Shape(NamedTuple):
    """Events that look alike: their type, schema version and exact fields, and one list of values a field."""

    type: str
    schema_version: int
    fields: tuple[str, ...]
    columns: Sequence[Any]  # of lists or arrays of values


@dataclass(slots=True)
class Rows:
    """The events of one commit as columns. `stream_codes` and `shape_codes` say which stream and shape each event has.

    Of the events of one shape, the first has the first values of its columns, and so on.
    """

    streams: list[str]
    stream_codes: list[int]
    shapes: list[Shape]
    shape_codes: list[int]
    ids: dict[int, uuid.UUID] = field(default_factory=dict)
    occurred_us: dict[int, int] = field(default_factory=dict)
    metadata: dict[int, dict[str, Any]] = field(default_factory=dict)
    tags: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.stream_codes)

    def stream_sizes(self) -> dict[str, int]:
        """How many events each stream has."""
        return {self.streams[code]: count for code, count in Counter(self.stream_codes).items()}

    def drafts(self) -> list[Draft]:
        """The same events one by one."""
        values = [iter(zip(*shape.columns, strict=True)) for shape in self.shapes]
        found = []
        for row, (stream, code) in enumerate(zip(self.stream_codes, self.shape_codes, strict=True)):
            shape = self.shapes[code]
            data = dict(zip(shape.fields, next(values[code], ()), strict=True))
            extras = self.ids.get(row), self.occurred_us.get(row), self.metadata.get(row), self.tags.get(row, ())
            found.append(Draft(self.streams[stream], shape.type, shape.schema_version, data, *extras))
        return found

    @classmethod
    def of(cls, drafts: Sequence[Draft]) -> Rows:
        """Drafts as columns, in their order."""
        streams, stream_codes = coded([draft.stream for draft in drafts])
        kinds = [(draft.type, draft.schema_version) for draft in drafts]
        shapes, shape_codes = by_shape(kinds, [draft.data for draft in drafts])
        ids = {i: draft.id for i, draft in enumerate(drafts) if draft.id is not None}
        occurred = {i: draft.occurred_us for i, draft in enumerate(drafts) if draft.occurred_us is not None}
        metadata = {i: draft.metadata for i, draft in enumerate(drafts) if draft.metadata}
        tags = {i: draft.tags for i, draft in enumerate(drafts) if draft.tags}
        return cls(streams, stream_codes, shapes, shape_codes, ids, occurred, metadata, tags)


def by_shape(kinds: Sequence[tuple[str, int]], data: Sequence[dict[str, Any]]) -> tuple[list[Shape], list[int]]:
    """Events given by their types, schema versions and data: their shapes, and the index of each one's among them."""
    keys, codes = coded([(*kind, *one) for kind, one in zip(kinds, data, strict=True)])
    values: list[list[Any]] = [[] for _ in keys]
    for code, one in zip(codes, data, strict=True):
        values[code].append(one.values())
    return [
        Shape(key[0], key[1], key[2:], list(zip(*own, strict=True))) for key, own in zip(keys, values, strict=True)
    ], codes


def coded(values: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The distinct values in order of appearance, and each value's index among them."""
    index = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return list(index), [index[value] for value in values]


def shared_objects(objects: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
    """The distinct objects of plain JSON in order of appearance, and each one's index among them."""
    texts, codes = coded([to_json(one) for one in objects])
    return [from_json(text) for text in texts], codes

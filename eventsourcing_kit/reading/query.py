"""Queries: which events are asked for, by their types and tags."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import renames, tags, wanted

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from eventsourcing_kit.events.event import Types
    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]


class Part(NamedTuple):
    """One of the alternatives of a query: events of any of the types (None: of every type) with all of the tags."""

    types: frozenset[str] | None
    tags: tuple[str, ...]

    def __repr__(self) -> str:
        said = [] if self.types is None else [f"types={sorted(self.types)}"]
        said += [f"tags={list(self.tags)}"] if self.tags else []
        return f"Query({', '.join(said) or repr(wanted.EVERY_TYPE)})"


class Query:
    """Which events are meant: of any of the `types` and with all of the `tags`; queries joined by `|` mean either.

    `types` are classes or names, one or several: a base class means the classes that derive from it, "*" every type.
    Raises `InputError` for a query with nothing in it and for what are no types or tags.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("seat-1", ek.NewEvent(type="QueryDoc.Seat", tags=["student:s1", "course:c1"]))
    >>> _ = store.append("seat-2", ek.NewEvent(type="QueryDoc.Seat", tags=["student:s2", "course:c1"]))
    >>> query = ek.Query(types="QueryDoc.Seat", tags=["course:c1", "student:s2"]) | ek.Query(tags=["course:c2"])
    >>> [event.stream for event in store.read(query=query)]
    ['seat-2']
    """

    __slots__ = ("parts",)

    parts: tuple[Part, ...]

    def __init__(self, types: Types | None = None, tags: Collection[str] | None = None) -> None:
        if types is None and tags is None:
            raise InputError("a query with nothing in it; say types=, tags= or both, or types='*' for every event")
        self.parts = (Part(wanted.asked(types), _checked(tags)),)

    def __or__(self, other: Query) -> Query:
        """Events that either of the two means."""
        if not isinstance(other, Query):
            raise InputError(f"{other!r} is no query; join queries with queries: ek.Query(…) | ek.Query(…)")
        joined = Query.__new__(Query)
        joined.parts = tuple(dict.fromkeys(self.parts + other.parts))
        return joined

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and set(self.parts) == set(other.parts)

    def __hash__(self) -> int:
        return hash(frozenset(self.parts))

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.parts))

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def _checked(given: Collection[str] | None) -> tuple[str, ...]:
    found = tags.given(given, "the tags of a query")
    if given is not None and not found:
        raise InputError(f"tags={given!r} names no tag; leave it out to ask for events with any tags, or none")
    return found


def check(query: object) -> Query:
    """`query`, if it is one."""
    if isinstance(query, Query):
        return query
    raise InputError(f"{query!r} is no query; give ek.Query(types=[…], tags=[…])")


def types(query: Query) -> frozenset[str]:
    """All names of types in a query."""
    return frozenset().union(*(part.types for part in query.parts if part.types is not None))


def alternatives(query: Query) -> list[tuple[str, ...]] | None:
    """The tags of each part; None where one has none, so that no index of tags finds all events."""
    found = [part.tags for part in query.parts]
    return found if all(found) else None


def means(query: Query, type_: str, tags: Collection[str]) -> bool:
    """Whether a query means an event of this type with these tags."""
    name = renames.current(type_)
    return any(
        (part.types is None or name in wanted.meant(part.types)) and set(part.tags).issubset(tags)
        for part in query.parts
    )


def rows(query: Query, commit: Commit) -> Ints:
    """The rows of a commit's events that a query means, rising."""
    found: set[int] = set()
    names = [renames.current(shape.type) for shape in commit.shapes]
    for part in query.parts:
        meant = None if part.types is None else wanted.meant(part.types)
        passes = [meant is None or name in meant for name in names]
        if not any(passes):
            continue
        own = commit.rows_with(part.tags) if part.tags else range(commit.count)
        if all(passes):
            found.update(own)
        else:
            codes = commit.shape_codes
            found.update(row for row in own if passes[codes[row]])
    return np.array(sorted(found), dtype=np.int64)

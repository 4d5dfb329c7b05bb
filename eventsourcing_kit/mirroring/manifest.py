"""A mirror's manifest: which files make it up, and how far it goes. This docstring is its definition.

`manifest.json` is replaced in one step, and what it says is the whole truth about a mirror:

    format    1; others are refused
    store     the id of the mirrored store; null where that was never written to
    position  the last position that the mirror holds
    digest    that position's: SHA-256 of the record of the commit that holds it, as 64 hex digits; null for none
    time      recorded_at of that position's event, in microseconds since 1970 UTC
    buckets   their number
    key       null where streams are the keys, a field's name, or {"kind": …} of tags, null for those of every kind
    several   whether some events have several keys, so that they stand in several buckets
    tagged    whether some events have tags
    keep      for how many hours files stay that it no longer names
    types     the event types that the mirror holds, by the names that they were stored under
    fields    of which kind each payload field is, throughout: "bool", "int", "float", "text", "json" or "null"
    files     [{path, bucket, first, last, rows, bytes, crc32}, …], first and last being positions
    dropped   [{path, at}, …]: files that it no longer names, and since when, in seconds since 1970
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import StorageError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.folding.projection import ByTags

if TYPE_CHECKING:
    from eventsourcing_kit.mirroring.places import Place

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class File:
    """One file: `rows` events of a bucket, from position `first` to `last`."""

    path: str
    bucket: int
    first: int
    last: int
    rows: int
    bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that a mirror no longer needs."""

    path: str
    at: float


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says (see above)."""

    store: uuid.UUID | None
    buckets: int
    key: str | ByTags | None
    keep: float
    position: int = 0
    digest: str | None = None
    time: int = 0
    several: bool = False
    tagged: bool = False
    types: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    def of_bucket(self, bucket: int) -> list[File]:
        """A bucket's files, in the log's order."""
        return sorted((one for one in self.files if one.bucket == bucket), key=lambda one: one.first)

    @property
    def plain_key(self) -> Any:
        """The key as JSON."""
        return asdict(self.key) if isinstance(self.key, ByTags) else self.key

    @property
    def told(self) -> str:
        """How it stands, for people."""
        sizes: Counter[int] = Counter()
        for one in self.files:
            sizes[one.bucket] += one.rows
        key = "stream" if self.key is None else repr(self.key)
        largest = f", the largest of {counted(max(sizes.values()), 'event')}" if sizes else ""
        return f"position {self.position}, {counted(self.buckets, 'bucket')} by {key}{largest}"

    def save(self, place: Place) -> None:
        """Have this be what is true of a place."""
        store = None if self.store is None else str(self.store)
        text = json.dumps({"format": FORMAT, **asdict(self), "store": store}, ensure_ascii=False, indent=0)
        place.replace(NAME, text.encode())


def load(place: Place) -> Manifest | None:
    """What is true of a place; None where there is no mirror. Raises `StorageError` for what is none, or is newer."""
    raw = place.read(NAME)
    if raw is None:
        return None
    try:
        body: dict[str, Any] = json.loads(raw)
        number = body.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_manifest(place, error) from None
    if number != FORMAT:
        raise StorageError(
            f"the mirror at {str(place)!r} is of format {number!r}, and this version of the kit reads {FORMAT}; "
            "update the kit, or make a mirror at another place"
        )
    try:
        files = tuple(File(**one) for one in body.pop("files"))
        dropped = tuple(Dropped(**one) for one in body.pop("dropped"))
        store, types = body.pop("store"), tuple(body.pop("types"))
        store = None if store is None else uuid.UUID(store)
        body["key"] = ByTags(**body["key"]) if isinstance(body["key"], dict) else body["key"]
        found = Manifest(store=store, types=types, files=files, dropped=dropped, **body)
        if not all(type(one) is int for one in (found.buckets, found.position)) or found.buckets < 1:
            raise ValueError("its numbers are none")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_manifest(place, error) from None
    return found


def _no_manifest(place: Place, error: Exception) -> StorageError:
    return StorageError(
        f"{place.path(NAME)!r} is no manifest of a mirror ({type(error).__name__}: {error}); if a mirror is damaged "
        "there, remove what is at that place, and make it anew with store.mirror(…)"
    )

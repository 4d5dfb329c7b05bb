"""The store's rows, and which of them a commit has. Their keys compare bytewise, in the order that scans need.

    c | time of the first event | first position   ->  count, time of the last event, key of the ids, SHA-256
    i | id                                         ->  position, for supplied ids (others carry their position)
    j                                              ->  number of the last journal entry whose rows are here
    m                                              ->  the store's id; a branch's is longer (see `branch`)
    n | kind | name | number                       ->  a note beside the log: a checkpoint, a snapshot
    s | stream | last version in the commit        ->  the record, if small and of one stream, else first position
    t | tag | position                             ->  the record, if small, else the commit's first position
    z | first position                             ->  the record; last, so that a fork can cut the log off at a key

Numbers are big-endian. Names are UTF-8 with each NUL doubled by 0xFF and end in 00 01, so no name is a prefix of
another's key.
"""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import RecordError, StorageError
from eventsourcing_kit.records.record import Parent, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.records.record import Commit

    Row = tuple[bytes, bytes]

JOURNALLED = b"j"
META = b"m"
UNFINISHED = b"unfinished copy"  # in place of a store's id
COMMITS = (b"c", b"d")
IDS = (b"i", b"j")
NOTES = (b"n", b"o")
STREAMS = (b"s", b"t")
TAGS = (b"t", b"u")
LOG = (b"z", b"{")
SMALL_BYTES = 1024  # up to which a single stream's record stands under the stream's key and its tags', too
_FEW_TAGS = 8
_SIGN = 1 << 63
_BRANCH = b"\nb"
_COMMIT = struct.Struct(">IqQ32s")
_COMMIT_KEY = struct.Struct(">xQQ")
_U64 = struct.Struct(">Q")
u64 = _U64.pack  # 8 bytes, big-endian
_END = b"\x00\x01"


class CommitEntry(NamedTuple):
    """What the index says of a commit without its record."""

    first: int
    first_us: int
    last: int
    last_us: int
    id_key: int
    digest: bytes


def number(value: bytes) -> int:
    """The inverse of `u64`; raises `RecordError` for other bytes."""
    try:
        return int(_U64.unpack(value)[0])
    except struct.error:
        raise _damaged("a number", value) from None


def log(position: int) -> bytes:
    """The key of the record whose first position this is."""
    return b"z" + u64(position)


def commit(us: int, first: int = 0) -> bytes:
    """The key of a commit's index entry; without `first`, before all commits of that time."""
    return b"c" + u64(us + _SIGN) + u64(first)


def commit_value(entry: CommitEntry) -> bytes:
    """The value of a commit's index entry."""
    return _COMMIT.pack(entry.last - entry.first + 1, entry.last_us, entry.id_key, entry.digest)


def commit_entry(key: bytes, value: bytes) -> CommitEntry:
    """Key and value of a commit's index entry, read; raises `RecordError` for other bytes."""
    try:
        count, last_us, id_key, digest = _COMMIT.unpack(value)
        us, first = _COMMIT_KEY.unpack(key)
    except struct.error:
        raise _damaged("a commit's index entry", key) from None
    return CommitEntry(first, us - _SIGN, first + count - 1, last_us, id_key, digest)


def event_id(supplied: uuid.UUID) -> bytes:
    """The key of a supplied id."""
    return b"i" + supplied.bytes


def stream(name: str, version: int) -> bytes:
    """The key of a stream's commit that ends at `version`."""
    return b"s" + _text(name) + u64(version)


def note(kind: str, name: str, number: int = 0) -> bytes:
    """The key of a note: several of one kind and name are ordered by their number."""
    return b"n" + _text(kind) + _text(name) + u64(number)


def note_range(kind: str, name: str | None = None) -> tuple[bytes, bytes]:
    """The keys of all notes of a kind, or of those with one name."""
    start = b"n" + _text(kind) + (b"" if name is None else _text(name))
    return start, start[:-1] + b"\x02"


def note_of(key: bytes) -> tuple[str, str, int]:
    """Kind, name and number in a note's key; raises `RecordError` for other bytes."""
    kind, end, rest = key[1:-8].partition(_END)
    name, last, more = rest.partition(_END)
    if not end or not last or more:
        raise _damaged("a note's key", key)
    return _read(kind), _read(name), number(key[-8:])


def _text(text: str) -> bytes:
    return text.encode().replace(b"\x00", b"\x00\xff") + _END


def _read(text: bytes) -> str:
    try:
        return text.replace(b"\x00\xff", b"\x00").decode()
    except UnicodeDecodeError:
        raise _damaged("a name", text) from None


def stream_range(name: str, after: int = 0) -> tuple[bytes, bytes]:
    """The keys of a stream's commits that hold versions above `after`."""
    start = stream(name, after + 1)
    return start, start[:-8] + b"\xff" * 9


def stream_of(key: bytes) -> tuple[str, int]:
    """Name and last version in a stream's key; raises `RecordError` for other bytes."""
    if key[-10:-8] != _END:
        raise _damaged("a stream's key", key)
    return _read(key[1:-10]), number(key[-8:])


def tag(name: str, position: int) -> bytes:
    """The key of an event that has a tag."""
    return b"t" + _text(name) + u64(position)


def tag_of(key: bytes) -> tuple[str, int]:
    """The tag and the position in its key; raises `RecordError` for other bytes."""
    if key[-10:-8] != _END:
        raise _damaged("a tag's key", key)
    return _read(key[1:-10]), number(key[-8:])


def store_id(value: bytes) -> uuid.UUID:
    """The store's id; raises `StorageError` in a copy that was not finished, `RecordError` for other bytes."""
    if value == UNFINISHED:
        raise StorageError("a copy into this place was not finished: remove what is there, and copy again")
    if len(value) != 16 and value[16:18] != _BRANCH:
        raise _damaged("a store's id", value)
    return uuid.UUID(bytes=value[:16])


def branch(own: uuid.UUID, parent: Parent, location: str | None) -> bytes:
    """A branch's id, what it branches from, and where that lies (None: in memory).

    Longer than other stores' ids, so that a kit which knows no branches opens none of them.
    """
    return own.bytes + _BRANCH + to_json([parent.store.hex, parent.position, parent.digest.hex(), parent.us, location])


def branched(value: bytes) -> tuple[Parent, str | None] | None:
    """What a branch branches from, and where that lies; None of another store. Raises `RecordError` for other bytes."""
    if value[16:18] != _BRANCH:
        return None
    try:
        store, position, digest, us, location = from_json(value[18:])
        return Parent(uuid.UUID(hex=store), position, bytes.fromhex(digest), us), location
    except (ValueError, TypeError):
        raise _damaged("what a branch branches from", value) from None


# -- what is stored for a commit: the writer, a rescue, a copy and `verify` have it from here --------------------------


def commit_rows(
    entry: CommitEntry,
    record: bytes,
    versions: Mapping[str, int],
    supplied: Mapping[int, uuid.UUID],
    tags: Mapping[int, tuple[str, ...]],
) -> list[Row]:
    """The rows of one commit: its record first, its index entry, and one a stream, a supplied id and a tag of an event.

    `versions` are those of the streams after it; `supplied` has the supplied ids by row, `tags` the tags.
    """
    small = len(versions) == 1 and len(record) <= SMALL_BYTES
    pointer = record if small else u64(entry.first)
    rows = [(log(entry.first), record), (commit(entry.first_us, entry.first), commit_value(entry))]
    for name, version in versions.items():
        rows.append((stream(name, version), pointer))
    for row, one in supplied.items():
        rows.append((event_id(one), u64(entry.first + row)))
    if tags:
        tagged = [tag(name, entry.first + row) for row, own in tags.items() for name in own]
        named = record if small and len(tagged) <= _FEW_TAGS else u64(entry.first)
        rows.extend((key, named) for key in tagged)
    return rows


def entry_of(commit: Commit, record: bytes) -> CommitEntry:
    """What the index says of a commit that was decoded from `record`."""
    return CommitEntry(commit.first, commit.first_us, commit.last, commit.last_us, commit.key, digest(record))


def rows_of(commit: Commit, record: bytes) -> list[Row]:
    """The rows of a commit that was decoded from `record`."""
    return commit_rows(entry_of(commit, record), record, commit.last_versions, commit.supplied_ids, commit.tags)


def _damaged(what: str, found: bytes) -> RecordError:
    return RecordError(
        f"{len(found)} bytes that begin with {found[:16]!r} are not {what}: the store is damaged; "
        "open it with read_only=True, and verify() says from which position on"
    )

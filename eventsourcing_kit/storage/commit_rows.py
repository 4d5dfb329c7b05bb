"""What is stored for a commit: its record, its entry in the index of times, and a row a stream, a supplied id and a tag
of an event.

The writer, a rescue and `verify` all have it from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.records.record import digest
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from eventsourcing_kit.records.record import Commit

    Row = tuple[bytes, bytes]

SMALL_BYTES = 1024  # up to which a single stream's record stands under the stream's key and its tags', too
_FEW_TAGS = 8


def rows(
    entry: keys.CommitEntry,
    record: bytes,
    versions: Mapping[str, int],
    supplied: Mapping[int, uuid.UUID],
    tags: Mapping[int, tuple[str, ...]],
) -> list[Row]:
    """The rows of one commit, the record's first. `versions` of the streams after it; `supplied` ids, `tags` by row."""
    small = len(versions) == 1 and len(record) <= SMALL_BYTES
    pointer = record if small else keys.u64(entry.first)
    tagged = [keys.tag(tag, entry.first + row) for row, own in tags.items() for tag in own]
    named = record if small and len(tagged) <= _FEW_TAGS else keys.u64(entry.first)
    return [
        (keys.log(entry.first), record),
        (keys.commit(entry.first_us, entry.first), keys.commit_value(entry)),
        *((keys.stream(stream, version), pointer) for stream, version in versions.items()),
        *((keys.event_id(one), keys.u64(entry.first + row)) for row, one in supplied.items()),
        *((key, named) for key in tagged),
    ]


def entry_of(commit: Commit, record: bytes) -> keys.CommitEntry:
    """What the index says of a commit that was decoded from `record`."""
    return keys.CommitEntry(commit.first, commit.first_us, commit.last, commit.last_us, commit.key, digest(record))


def rows_of(commit: Commit, record: bytes) -> list[Row]:
    """The rows of a commit that was decoded from `record`."""
    return rows(entry_of(commit, record), record, commit.last_versions, commit.supplied_ids, commit.tags)

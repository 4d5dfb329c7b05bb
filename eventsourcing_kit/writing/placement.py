"""Where the next commit goes: positions, versions, times and ids, and the rows that hold it.

All four are assigned together, by one thread: whatever many threads append, no two of them see the same place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, RecordError, StorageError
from eventsourcing_kit.records import record
from eventsourcing_kit.records.moment import LAST_US, aware_us
from eventsourcing_kit.storage import commit_rows, keys
from eventsourcing_kit.writing.append import Batch, Stored, check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Place
    from eventsourcing_kit.writing.append import Submission

    Begin = Callable[[list[tuple[bytes, bytes]], float], None]

_MANY_STREAMS = 256


class Tip:
    """The end of the log, and the streams' versions there; a group of commits moves it before it is durable."""

    def __init__(self, last: int, us: int, digest: bytes) -> None:
        self.last, self.us, self.digest = last, us, digest
        self.versions: dict[str, int] = {}

    def branch(self) -> Tip:
        """The same end, to be moved on its own."""
        return Tip(self.last, self.us, self.digest)


@dataclass(frozen=True, slots=True)
class Placed:
    """A commit in its place: what is written for it, its index entry, and what its batches' writers learn."""

    place: Place
    rows: list[tuple[bytes, bytes]]
    entry: keys.CommitEntry
    record: bytes
    stored: list[Stored]


class Placement:
    """Places commits at the end of a log. `clock` gives the time of each; with a `seed`, ids are reproducible.

    `begin` stores the rows with which a store begins, or gives up after some seconds.
    """

    def __init__(self, log: Log, begin: Begin, *, clock: Callable[[], datetime], seed: int | None) -> None:
        self._log, self._clock, self._seed = log, clock, seed
        self._check_end()
        self._store_id = log.store_id or self._new_store(begin)
        self._key = self._id_key()
        self.tip = Tip(log.head.last, log.head.last_us, log.head.digest)
        self._versions_complete = log.head.last == 0
        self._has_supplied = log.table.one(*keys.IDS) is not None

    def _check_end(self) -> None:
        """Refuse to write behind an end that is damaged, or of a newer format: that would bury it."""
        row = self._log.table.one(*keys.LOG, descending=True)
        head, mark = self._log.head, None
        with contextlib.suppress(RecordError):  # a damaged mark is written anew
            mark = self._log.marked_end()
        if row is not None:
            record.check_format(row[1])
        end = (keys.log(head.first), head.digest) if head.last else None
        is_damaged = end != (None if row is None else (row[0], record.digest(row[1])))
        if mark is not None:
            is_damaged |= mark[0] > head.last or (mark[0] == head.last and mark[1] != head.digest.hex())
        if is_damaged or (head.last and not self._log.store_id):
            cure = "restore it from a copy"
            if self._log.folder is not None:
                cure += f", or save what can be, with ek.rescue({str(self._log.folder)!r}, into='a new folder')"
            raise StorageError(
                f"the store is damaged at its end: the last commit, at position {head.first if head.last else 0}, is "
                "not the one that the index and the note of its last closing name; open the store with read_only=True, "
                f"and verify() says what can be relied on; then {cure}"
            )
        self._log.mark_end()

    def _new_store(self, begin: Begin) -> uuid.UUID:
        made = uuid.uuid4() if self._seed is None else uuid.UUID(bytes=_hash("store", self._seed)[:16], version=4)
        begin([(keys.META, made.bytes)], self._log.patience)
        self._log.store_id = made
        return made

    def _id_key(self) -> int:
        raw = os.urandom(8) if self._seed is None else _hash("ids", self._seed, str(self._store_id))[:8]
        return int.from_bytes(raw, "big") >> 1

    def place(self, submission: Submission, tip: Tip) -> Placed:
        """The submission as a commit behind `tip`, which moves on; raises, and leaves `tip`, where it may not be."""
        rows = submission.rows
        before = self._versions(rows.streams, tip)
        now = _checked(submission.batches, before)
        if not submission.batches:
            now = {stream: before[stream] + count for stream, count in rows.stream_sizes().items()}
        times = self._times(submission.times, tip)
        place = record.Place(self._store_id, tip.digest, self._key, tip.last + 1, times, before)
        place = self._without_collision(place, submission)
        encoded = record.encode(place, rows)
        entry = _entry(place, len(rows), record.digest(encoded))
        written = commit_rows.rows(entry, encoded, now, rows.ids, rows.tags)
        commit = cache(partial(record.decode, encoded))
        stored = _stored(submission.batches, before, entry.first, commit)
        whole = Stored(range(entry.first, entry.last + 1), 0, commit)  # a load's, of many streams
        placed = Placed(place, written, entry, encoded, stored or [whole])
        versions = tip.versions | now
        self._has_supplied |= submission.has_ids
        tip.last, tip.us, tip.digest, tip.versions = entry.last, entry.last_us, entry.digest, versions
        return placed

    def advance(self, tip: Tip) -> None:
        """What was placed up to `tip` is stored."""
        self.tip.last, self.tip.us, self.tip.digest = tip.last, tip.us, tip.digest
        self.tip.versions.update(tip.versions)

    def known_version(self, stream: str) -> int | None:
        """A stream's version as the last stored commit left it; None where only the log could tell."""
        return self.tip.versions.get(stream, 0 if self._versions_complete else None)

    def _versions(self, streams: list[str], tip: Tip) -> dict[str, int]:
        known = self.tip.versions
        if not self._versions_complete and sum(stream not in known for stream in streams) > _MANY_STREAMS:
            known.update(self._log.last_versions() | known)
            self._versions_complete = True
        return {stream: self._version(stream, tip) for stream in streams}

    def _version(self, stream: str, tip: Tip) -> int:
        for versions in (tip.versions, self.tip.versions):
            if stream in versions:
                return versions[stream]
        if self._versions_complete:
            return 0
        found = self.tip.versions[stream] = self._log.last_version(stream)
        return found

    def _times(self, given: list[int] | None, tip: Tip) -> int | list[int]:
        if given is None:
            us = max(aware_us(self._clock(), "the clock's time"), tip.us + 1)
            if us > LAST_US:
                raise InputError("the store's time has come to the end of the year 9999; no later time can be recorded")
            return us
        if given[0] < tip.us:
            raise InputError("another append moved the store's time past the first row while it was being loaded")
        return given

    def _without_collision(self, place: Place, submission: Submission) -> Place:
        """With a seed, ids can be met before they are made: in events copied from a store of the same seed."""
        if self._seed is None or not (self._has_supplied or submission.has_ids):
            return place
        supplied = submission.rows.ids
        own = {one.bytes for one in supplied.values()}
        while True:
            made = [one.tobytes() for one in record.decode(record.encode(place, submission.rows)).id_bytes]
            clash = any(
                row not in supplied and (one in own or self._log.table.get(b"i" + one) is not None)
                for row, one in enumerate(made)
            )
            if not clash:
                return place
            place = replace(place, key=place.key + 1)


def _entry(place: Place, count: int, digest: bytes) -> keys.CommitEntry:
    times = place.times
    first_us, last_us = (times, times) if isinstance(times, int) else (times[0], times[-1])
    return keys.CommitEntry(place.first, first_us, place.first + count - 1, last_us, place.key, digest)


def _checked(batches: Sequence[Batch], before: dict[str, int]) -> dict[str, int]:
    """The streams' versions after the batches; a later batch's expectation sees the ones before it."""
    now = dict(before)
    for batch in batches:
        check_version(batch, now[batch.stream])
        now[batch.stream] += len(batch.drafts)
    return now


def _stored(
    batches: Sequence[Batch], before: dict[str, int], first: int, commit: Callable[[], record.Commit]
) -> list[Stored]:
    versions, stored = dict(before), []
    for batch in batches:
        count = len(batch.drafts)
        versions[batch.stream] += count
        stored.append(Stored(range(first, first + count), versions[batch.stream], commit))
        first += count
    return stored


def _hash(*parts: object) -> bytes:
    return hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()

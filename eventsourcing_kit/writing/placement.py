"""Where the next commit goes: positions, versions, times and ids, and the rows that hold it.

All four are assigned together, by one thread: whatever many threads append, no two of them see the same place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, RecordError, StorageError
from eventsourcing_kit.records.moment import LAST_US, aware_us
from eventsourcing_kit.records.record import Place, check_format, decode, digest, encode
from eventsourcing_kit.storage import keys
from eventsourcing_kit.writing.append import Stored, Written, check_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.writing.append import Submission

    Begin = Callable[[list[tuple[bytes, bytes]], float], None]

_MANY_STREAMS = 256
_NEWEST, _NEWEST_BYTES = 64, 1 << 16  # commits, and bytes of one, that conditions find at hand


@dataclass(slots=True)
class Tip:
    """The end of the log, and the streams' versions there; a group of commits moves one of its own."""

    last: int
    us: int
    digest: bytes
    versions: dict[str, int] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)  # the group's commits, oldest first


@dataclass(slots=True)
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
        if log.has_moved_base:
            begin([(keys.META, self._meta(self._store_id))], log.patience)
        self._key = self._id_key()
        self.tip = Tip(log.head.last, log.head.last_us, log.head.digest)
        self._versions_complete = log.head.last == 0
        self._has_supplied = log.table.one(*keys.IDS) is not None or (
            log.base is not None and log.base.has_supplied_ids
        )
        self._newest: deque[Written] = deque(maxlen=_NEWEST)  # one after another up to the log's end

    def _check_end(self) -> None:
        """Refuse to write behind an end that is damaged, or of a newer format: that would bury it."""
        row = self._log.table.one(*keys.LOG, descending=True)
        head, mark = self._log.head, None
        with contextlib.suppress(RecordError):  # a damaged mark is written anew
            mark = self._log.marked_end()
        if row is not None:
            check_format(row[1])
        end = (keys.log(head.first), head.digest) if head.last > self._log.fork else None
        is_damaged = end != (None if row is None else (row[0], digest(row[1])))
        if mark is not None:
            is_damaged |= mark[0] > head.last or (mark[0] == head.last and mark[1] != head.digest.hex())
        if is_damaged or (head.last > self._log.fork and not self._log.store_id):
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
        base = self._log.base
        parts = ("store",) if base is None else ("branch", base.store_id, base.limit, base.number)
        made = uuid.uuid4()
        if self._seed is not None:
            made = uuid.UUID(bytes=_hash(parts[0], self._seed, *parts[1:])[:16], version=4)
        begin([(keys.META, self._meta(made))], self._log.patience)
        self._log.store_id = made
        return made

    def _meta(self, store_id: uuid.UUID) -> bytes:
        base = self._log.base
        return store_id.bytes if base is None else keys.branch(store_id, base.parent(), base.place)

    def _id_key(self) -> int:
        raw = os.urandom(8) if self._seed is None else _hash("ids", self._seed, str(self._store_id))[:8]
        return int.from_bytes(raw, "big") >> 1

    def place(self, submission: Submission, tip: Tip) -> Placed:
        """The submission as a commit behind `tip`, which moves on; raises, and leaves `tip`, where it may not be."""
        rows, batches = submission.rows, submission.batches
        before = self._versions(rows.streams, tip)
        now, after = dict(before), []
        for batch in batches:  # each sees the ones before it
            check_version(batch, now[batch.stream])
            if batch.condition is not None:
                newest = chain(reversed(tip.written), reversed(self._newest))
                batch.condition.check(self._log, (one.commit for one in newest))
            now[batch.stream] += batch.count
            after.append(now[batch.stream])
        if not batches:
            now = {stream: before[stream] + count for stream, count in rows.stream_sizes().items()}
        place = Place(self._store_id, tip.digest, self._key, tip.last + 1, self._times(submission.times, tip), before)
        if self._log.base is not None and tip.last == self._log.fork:
            place.parent = self._log.base.parent()
        if self._seed is not None:
            place = self._without_collision(place, submission)
        written = Written(encode(place, rows))
        entry = _entry(place, len(rows.stream_codes), digest(written.record))
        stored, first = [], place.first
        for batch, version in zip(batches, after, strict=True):
            stored.append(Stored(range(first, first + batch.count), version, written))
            first += batch.count
        if not batches:  # a load's, of many streams
            stored.append(Stored(range(entry.first, entry.last + 1), 0, written))
        commit_rows = keys.commit_rows(entry, written.record, now, rows.ids, rows.tags)
        placed = Placed(place, commit_rows, entry, written.record, stored)
        self._has_supplied |= submission.has_ids
        tip.last, tip.us, tip.digest = entry.last, entry.last_us, entry.digest
        tip.versions.update(now)
        tip.written.append(written)
        return placed

    def advance(self, tip: Tip) -> None:
        """What was placed up to `tip` is stored."""
        self.tip.last, self.tip.us, self.tip.digest = tip.last, tip.us, tip.digest
        self.tip.versions.update(tip.versions)
        for one in tip.written:
            self._newest.append(one)
            if len(one.record) > _NEWEST_BYTES:
                self._newest.clear()  # so that they stay few bytes, and without a gap

    def known_version(self, stream: str) -> int | None:
        """A stream's version as the last stored commit left it; None where only the log could tell."""
        return self.tip.versions.get(stream, 0 if self._versions_complete else None)

    def _versions(self, streams: list[str], tip: Tip) -> dict[str, int]:
        known, found = self.tip.versions, {}
        if not self._versions_complete and len(set(streams).difference(known)) > _MANY_STREAMS:
            known.update(self._log.last_versions() | known)
            self._versions_complete = True
        for stream in streams:
            version = tip.versions.get(stream, known.get(stream))
            if version is None and not self._versions_complete:
                version = known[stream] = self._log.last_version(stream)
            found[stream] = version or 0
        return found

    def _times(self, given: list[int] | None, tip: Tip) -> int | list[int]:
        if given is None:
            us = max(aware_us(self._clock(), "the clock's time"), tip.us + 1)
            if us > LAST_US:
                raise InputError("the store's time has come to the end of the year 9999; no later time can be recorded")
            return us
        if given[0] < tip.us:
            raise InputError(
                "another append moved the store's time past that of the first event meanwhile; nothing was stored"
            )
        return given

    def _without_collision(self, place: Place, submission: Submission) -> Place:
        """With a seed, ids can be met before they are made: in events copied from a store of the same seed."""
        if not (self._has_supplied or submission.has_ids):
            return place
        supplied = submission.rows.ids
        own = {one.bytes for one in supplied.values()}
        while True:
            made = [one.tobytes() for one in decode(encode(place, submission.rows)).id_bytes]
            clash = any(
                row not in supplied and (one in own or self._log.is_supplied(uuid.UUID(bytes=one)))
                for row, one in enumerate(made)
            )
            if not clash:
                return place
            place = replace(place, key=place.key + 1)


def _entry(place: Place, count: int, digest: bytes) -> keys.CommitEntry:
    times = place.times
    first_us, last_us = (times, times) if isinstance(times, int) else (times[0], times[-1])
    return keys.CommitEntry(place.first, first_us, place.first + count - 1, last_us, place.key, digest)


def _hash(*parts: object) -> bytes:
    return hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()

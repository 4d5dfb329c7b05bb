"""The log, written: one thread that checks, places, encodes and stores commits.

Position, version, id and time are assigned together, inside the commit, by one thread: whatever many threads append,
no two of them see the same place. Appends that wait at the same moment share one flush.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import numbers
import os
import threading
import uuid
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from eventsourcing_kit import keys, record
from eventsourcing_kit.errors import (
    ConcurrencyError,
    DuplicateIdError,
    InputError,
    OutcomeUnknownError,
    StorageError,
    StoreClosedError,
    SupersededError,
)
from eventsourcing_kit.moment import LAST_US, aware_us

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from eventsourcing_kit.log import Log
    from eventsourcing_kit.record import Draft

_SMALL_RECORD = 1024  # bytes up to which a single stream's record stands under the stream's key too
_INTERRUPT_SECONDS = 2.0
_MANY_STREAMS = 256


class ExpectedVersion(Enum):
    """What a writer may expect of a stream besides a version."""

    ANY = "any version, or no stream"
    NO_STREAM = "no stream yet"
    STREAM_EXISTS = "some version from 1"

    def __repr__(self) -> str:
        return self.name


Expected = int | ExpectedVersion


@dataclass(frozen=True, slots=True)
class Batch:
    """Drafts for one stream, and the version at which its writer believes the stream to be."""

    stream: str
    drafts: list[Draft]
    expected: Expected = ExpectedVersion.ANY


@dataclass(frozen=True, slots=True)
class Stored:
    """Where one batch's events stand: their positions, and the stream's version after them.

    `record` is the commit's, where it was written just now.
    """

    positions: Sequence[int]
    version: int
    record: bytes | None

    @property
    def replayed(self) -> bool:
        """Whether the events were there already."""
        return self.record is None


def check_expected(expected: object) -> Expected:
    """`expected`, if it is an expected version."""
    if isinstance(expected, ExpectedVersion):
        return expected
    if isinstance(expected, numbers.Integral) and not isinstance(expected, bool) and int(expected) >= 0:
        return int(expected)  # a frame's are numpy's
    raise InputError(
        f"the expected version {expected!r} is neither a version (0, 1, 2, …) nor one of ANY, NO_STREAM, STREAM_EXISTS"
    )


class _Request:
    """One append on its way through the writer's thread."""

    def __init__(self, batches: list[Batch], times: list[int] | None) -> None:
        self.batches, self.times = batches, times
        self.done = threading.Event()
        self.result: list[Stored] = []
        self.error: BaseException | None = None
        self.place: record.Place | None = None
        self.started = self.cancelled = False

    def identified(self) -> list[Draft]:
        """The drafts with the ids under which they may have been stored."""
        drafts = self.drafts
        if self.place is None:
            return drafts
        made = record.decode(record.encode(self.place, drafts)).id_bytes
        return [replace(draft, id=uuid.UUID(bytes=row.tobytes())) for draft, row in zip(drafts, made, strict=True)]

    @property
    def drafts(self) -> list[Draft]:
        return [draft for batch in self.batches for draft in batch.drafts]

    @property
    def has_ids(self) -> bool:
        return any(draft.id for batch in self.batches for draft in batch.drafts)


class _Tip:
    """The end of the log, and the streams' versions there; a group of commits moves it before it is durable."""

    def __init__(self, last: int, us: int, digest: bytes) -> None:
        self.last, self.us, self.digest = last, us, digest
        self.versions: dict[str, int] = {}


class Writer:
    """Appends to a log. `clock` gives the time of each commit; `flush` and `sync` bring it to where it is durable."""

    def __init__(
        self, log: Log, *, clock: Callable[[], datetime], seed: int | None, flush: bool, sync: Callable[[], None] | None
    ) -> None:
        self._log, self._clock, self._seed, self._flush, self._sync = log, clock, seed, flush, sync
        self._store_id = log.store_id or self._new_store(seed)
        self._key = self._id_key()
        self._tip = _Tip(log.head.last, log.head.last_us, log.head.digest)
        self._versions_complete = log.head.last == 0
        self._has_supplied = log.table.one(*keys.IDS) is not None
        self._failed: str | None = None
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._held: _Request | None = None
        self._thread = threading.Thread(target=self._work, name="eventsourcing-kit-writer", daemon=True)
        self._thread.start()

    def _new_store(self, seed: int | None) -> uuid.UUID:
        made = uuid.uuid4() if seed is None else uuid.UUID(bytes=_hash("store", seed)[:16], version=4)
        self._log.table.write([(keys.META, made.bytes)], flush=self._flush)
        self._log.store_id = made
        return made

    def _id_key(self) -> int:
        raw = os.urandom(8) if self._seed is None else _hash("ids", self._seed, str(self._store_id))[:8]
        return int.from_bytes(raw, "big") >> 1

    # -- the callers' side -------------------------------------------------------------------------------------------

    def append(self, batches: list[Batch], times: list[int] | None = None) -> list[Stored]:
        """Store all batches as one commit, or none; returns when they are durable."""
        _refuse_twice(batches)
        self._check_usable()
        request = _Request(batches, times)
        self._queue.put(request)
        try:
            while not request.done.wait(1.0):
                if not self._thread.is_alive() and not request.done.is_set():
                    self._check_usable()
                    raise StoreClosedError("the store was closed before the append; open it again with EventStore(…)")
        except KeyboardInterrupt as interrupt:
            self._after_interrupt(request, interrupt)
            raise
        if request.error is not None:
            raise request.error
        return request.result

    def _after_interrupt(self, request: _Request, interrupt: KeyboardInterrupt) -> None:
        """Ctrl-C stops the waiting, not the commit: say how it ended, as far as that is known."""
        request.cancelled = not request.done.wait(_INTERRUPT_SECONDS)
        if request.cancelled and not request.started:
            interrupt.add_note("the append was not stored")
            return
        if not request.done.is_set():
            raise OutcomeUnknownError(
                "interrupted before the append was acknowledged: it may be stored or not; append .events again, "
                "which stores them at most once",
                request.identified(),
            ) from interrupt
        interrupt.add_note("the append was refused" if request.error else "the append had been stored")

    def end(self) -> None:
        """Let the thread end after what is queued."""
        self._queue.put(None)

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self.end()
        self._thread.join()

    # -- the writer's thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            first = self._held or self._queue.get()
            self._held = None
            if first is None:
                return
            group, ends = self._group(first)
            self._run(group)
            if ends:
                return

    def _group(self, first: _Request) -> tuple[list[_Request], bool]:
        """All requests that wait now. One with ids begins a group of its own: its ids may stand in the one before."""
        group = [first]
        with contextlib.suppress(Empty):
            while True:
                request = self._queue.get_nowait()
                if request is None:
                    return group, True
                if request.has_ids:
                    self._held = request
                    return group, False
                group.append(request)
        return group, False

    def _run(self, group: list[_Request]) -> None:
        rows: list[tuple[bytes, bytes]] = []
        tip = _Tip(self._tip.last, self._tip.us, self._tip.digest)
        entries: list[keys.CommitEntry] = []
        for request in group:
            try:
                self._place(request, tip, rows, entries)
            except BaseException as error:
                request.error = error
        try:
            if rows:
                self._store(rows)
        except BaseException as error:
            self._fail(group, error)
        else:
            self._advance(tip, entries)
        for request in group:
            request.done.set()

    def _store(self, rows: list[tuple[bytes, bytes]]) -> None:
        self._log.table.write(rows, flush=self._flush)
        if self._sync is not None:
            self._sync()

    def _advance(self, tip: _Tip, entries: list[keys.CommitEntry]) -> None:
        self._tip.last, self._tip.us, self._tip.digest = tip.last, tip.us, tip.digest
        self._tip.versions.update(tip.versions)
        if entries:
            self._log.head = entries[-1]

    def _fail(self, group: list[_Request], error: BaseException) -> None:
        known = isinstance(error, SupersededError)
        if known:
            self._log.superseded = True
        else:
            self._failed = f"an earlier append failed in the storage ({error})"
        for request in group:
            if request.error is None:
                request.error = error if known else OutcomeUnknownError(
                    f"{error}; the append may be stored or not: open the store again and append .events again, "
                    "which stores them at most once",
                    request.identified(),
                )  # fmt: skip

    # -- placing one commit ------------------------------------------------------------------------------------------

    def _place(
        self, request: _Request, tip: _Tip, rows: list[tuple[bytes, bytes]], entries: list[keys.CommitEntry]
    ) -> None:
        self._check_usable()
        request.started = True
        if request.cancelled:
            raise StoreClosedError("interrupted before it was stored")
        if request.has_ids:
            replayed = self._replayed(request.batches)
            if replayed is not None:
                request.result = replayed
                return
        drafts = request.drafts
        before = self._versions(request, tip)
        now = dict(before)
        for batch in request.batches:
            _check_version(batch, now[batch.stream])
            now[batch.stream] += len(batch.drafts)
        times = self._times(request, tip)
        place = record.Place(self._store_id, tip.digest, self._key, tip.last + 1, times, before)
        place = self._without_collision(place, drafts)
        request.place = place
        encoded = record.encode(place, drafts)
        entry = _entry(place, len(drafts), record.digest(encoded))
        rows.extend(_rows(entry, encoded, now, drafts))
        self._has_supplied = self._has_supplied or request.has_ids
        tip.last, tip.us, tip.digest = entry.last, entry.last_us, entry.digest
        tip.versions.update(now)
        entries.append(entry)
        request.result = _placed(request.batches, before, entry.first, encoded)

    def _check_usable(self) -> None:
        if self._log.superseded:
            raise SupersededError(
                "another writer opened the store, so this one writes no more; reading still works, "
                "and EventStore(…) makes this process the writer again"
            )
        if self._failed is not None:
            raise StorageError(f"{self._failed}; open the store again with EventStore(…)")
        if self._log.closed:
            raise StoreClosedError("the store is closed; open it again with EventStore(…)")

    def _versions(self, request: _Request, tip: _Tip) -> dict[str, int]:
        streams = dict.fromkeys(batch.stream for batch in request.batches)
        known = self._tip.versions
        if not self._versions_complete and sum(stream not in known for stream in streams) > _MANY_STREAMS:
            known.update(self._log.last_versions() | known)
            self._versions_complete = True
        return {stream: self._version(stream, tip) for stream in streams}

    def _version(self, stream: str, tip: _Tip) -> int:
        for versions in (tip.versions, self._tip.versions):
            if stream in versions:
                return versions[stream]
        if self._versions_complete:
            return 0
        found = self._tip.versions[stream] = self._log.last_version(stream)
        return found

    def _times(self, request: _Request, tip: _Tip) -> int | list[int]:
        if request.times is None:
            us = max(aware_us(self._clock(), "the clock's time"), tip.us + 1)
            if us > LAST_US:
                raise InputError("the store's time has come to the end of the year 9999; no later time can be recorded")
            return us
        if request.times[0] < tip.us:
            raise InputError("another append moved the store's time past the first row while it was being loaded")
        return request.times

    def _without_collision(self, place: record.Place, drafts: list[Draft]) -> record.Place:
        """With a seed, ids can be met before they are made: in events copied from a store of the same seed."""
        if self._seed is None or not (self._has_supplied or any(draft.id for draft in drafts)):
            return place
        own = {draft.id.bytes for draft in drafts if draft.id}
        while True:
            made = record.decode(record.encode(place, drafts)).id_bytes
            clash = any(
                draft.id is None and (row.tobytes() in own or self._log.table.get(b"i" + row.tobytes()) is not None)
                for draft, row in zip(drafts, made, strict=True)
            )
            if not clash:
                return place
            place = record.Place(place.store, place.previous, place.key + 1, place.first, place.times, place.versions)

    # -- appends that are there already ------------------------------------------------------------------------------

    def _replayed(self, batches: list[Batch]) -> list[Stored] | None:
        """The first receipts, if all events are there already; None if none is; else an error."""
        drafts = [draft for batch in batches for draft in batch.drafts]
        found = [self._log.position_of(draft.id) if draft.id else None for draft in drafts]
        if all(position is None for position in found):
            return None
        same = [p is not None and self._is_same(d, p) for d, p in zip(drafts, found, strict=True)]
        in_order = all(a is not None and b is not None and a < b for a, b in pairwise(found))
        if all(same) and in_order:
            return self._first_receipts(batches, [p for p in found if p is not None])
        at = next((i for i, ok in enumerate(same) if not ok and found[i] is not None), None)
        at = next(i for i, p in enumerate(found) if p is not None) if at is None else at
        raise DuplicateIdError(
            f"the id {drafts[at].id} is at position {found[at]} already, and this batch is not the one that was "
            "appended then (the same stream, order, types and data); give new events new ids, or leave the ids out"
        )

    def _is_same(self, draft: Draft, position: int) -> bool:
        commit = self._log.commit_of(position)
        row = position - commit.first
        shape = commit.shapes[int(commit.shape_codes[row])]
        at = int((shape.rows == row).nonzero()[0][0])
        data = {name: column[at] for name, column in zip(shape.fields, shape.columns, strict=True)}
        stream = commit.streams[int(commit.stream_codes[row])]
        return (stream, shape.type) == (draft.stream, draft.type) and _canonical(data) == _canonical(draft.data)

    def _first_receipts(self, batches: list[Batch], positions: list[int]) -> list[Stored]:
        receipts, at = [], 0
        for batch in batches:
            own = positions[at : at + len(batch.drafts)]
            at += len(own)
            commit = self._log.commit_of(own[-1])
            receipts.append(Stored(own, int(commit.versions[own[-1] - commit.first]), None))
        return receipts


def _refuse_twice(batches: list[Batch]) -> None:
    seen: set[uuid.UUID] = set()
    for batch in batches:
        for draft in batch.drafts:
            if draft.id in seen:
                raise DuplicateIdError(f"the id {draft.id} stands twice in this append; every event needs its own")
            if draft.id:
                seen.add(draft.id)


def _check_version(batch: Batch, actual: int) -> None:
    expected = batch.expected
    holds: dict[Expected, bool] = {
        ExpectedVersion.ANY: True,
        ExpectedVersion.NO_STREAM: actual == 0,
        ExpectedVersion.STREAM_EXISTS: actual > 0,
    }
    if not holds.get(expected, actual == expected):
        raise ConcurrencyError(batch.stream, expected, actual)


def _entry(place: record.Place, count: int, digest: bytes) -> keys.CommitEntry:
    times = place.times
    first_us, last_us = (times, times) if isinstance(times, int) else (times[0], times[-1])
    return keys.CommitEntry(place.first, first_us, place.first + count - 1, last_us, place.key, digest)


def _rows(
    entry: keys.CommitEntry, encoded: bytes, versions: dict[str, int], drafts: list[Draft]
) -> list[tuple[bytes, bytes]]:
    """The rows of one commit: record, index entry, one row a stream, one a supplied id."""
    small = len(versions) == 1 and len(encoded) <= _SMALL_RECORD
    pointer = encoded if small else keys.u64(entry.first)
    rows = [
        (keys.log(entry.first), encoded),
        (
            keys.commit(entry.first_us, entry.first),
            keys.commit_value(entry),
        ),
    ]
    rows.extend((keys.stream(stream, version), pointer) for stream, version in versions.items())
    rows.extend(
        (keys.event_id(draft.id), keys.u64(position))
        for position, draft in enumerate(drafts, entry.first)
        if draft.id is not None
    )
    return rows


def _placed(batches: list[Batch], before: dict[str, int], first: int, encoded: bytes) -> list[Stored]:
    versions, placed = dict(before), []
    for batch in batches:
        count = len(batch.drafts)
        versions[batch.stream] += count
        placed.append(Stored(range(first, first + count), versions[batch.stream], encoded))
        first += count
    return placed


def _canonical(data: Any) -> str:
    """JSON in which 1, 1.0 and true differ, and the order of keys does not matter."""
    return json.dumps(data, sort_keys=True)


def _hash(*parts: object) -> bytes:
    return hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()

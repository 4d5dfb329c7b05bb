"""The log, read: which commit holds a position, which position a moment is, and scans of commits."""

from __future__ import annotations

import os
import threading
import time
import uuid
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from eventsourcing_kit.errors import DamagedError, MomentError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.log import end_mark
from eventsourcing_kit.log.bell import Bells
from eventsourcing_kit.log.tail import Tail
from eventsourcing_kit.records import ids, moment
from eventsourcing_kit.records.record import NO_PREVIOUS, Commit, decode
from eventsourcing_kit.records.unknown import Policies
from eventsourcing_kit.storage import damage, diagnosis, keys, local_folder
from eventsourcing_kit.storage.slate.opening import Trouble, no_store
from eventsourcing_kit.storage.slate.table import PATIENCE_SECONDS, Table
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit.storage.journal import Journal
    from eventsourcing_kit.storage.location import Location

EMPTY = keys.CommitEntry(1, -(1 << 62), 0, -(1 << 62), 0, NO_PREVIOUS)
_CHECK_SECONDS = 10.0
_ROWS_A_FETCH = 16  # a record may take a megabyte; more rows at a time would cost memory and gain little
_ROWS_A_FETCH_OF_STREAM = 64
_LAG_SECONDS_OF_A_BUCKET = 1.0  # asking it costs a request; asking a folder costs microseconds


class Log:
    """What is stored at a location, as of `head`, the last commit that this reader knows.

    A reader's `head` is at most `lag` seconds old when a call begins. A folder's writer has its `journal`. Without
    `collects`, it removes no file.
    """

    def __init__(
        self,
        location: Location,
        *,
        read_only: bool,
        lag: float | None = None,
        patience: float | None = None,
        collects: bool = True,
        journal: Journal | None = None,
    ) -> None:
        self.location, self.folder, self.read_only = location, location.folder, read_only
        self.lag = (_LAG_SECONDS_OF_A_BUCKET if location.bucket else 0.0) if lag is None else lag
        self.patience = PATIENCE_SECONDS if patience is None else patience
        self._collects, self._journal = collects, journal
        self.policies = Policies()
        self._pid = os.getpid()
        self._moving = threading.RLock()  # table and head move on together, and never back
        self._seen = local_folder.NOTHING_SEEN
        self._seen_file: int | None = 0
        self._seen_at = 0.0
        self.closed = self.superseded = False
        self.bells = Bells()  # rung when the head moves on, and when it will not any more
        self._tail = Tail()
        self._supplied_ids = False, -1  # whether there are any, and where the log ended when that was looked up
        self._last_commit: Commit | None = None
        if read_only and self.folder is not None and not local_folder.is_store(self.folder):
            raise no_store(location)
        if self.folder is not None:
            self._seen = local_folder.newest(self.folder, self._seen)  # before the opening, which sees at least this
        self.table = self._open_table() if self.folder is None else self._open_checked(self.folder)
        try:
            self.head = self._last_entry()
            self.store_id = self._store_id()
            if read_only and self.store_id is None and location.bucket:
                raise no_store(location)
        except BaseException:
            self.table.close()
            raise

    # -- this handle -------------------------------------------------------------------------------------------------

    def _open_table(self) -> Table:
        self._seen_at = time.monotonic()
        return Table(
            self.location,
            read_only=self.read_only,
            patience=self.patience,
            why=self._why,
            collects=self._collects,
            own=self._journal,
        )

    def _open_checked(self, folder: Path) -> Table:
        """Open it where nothing is missing; the errors name the damaged files."""
        expected, table = damage.check(folder), None
        try:
            table = self.table = self._open_table()
            # In a thread of its own: SlateDB can wait for ever where a table is damaged.
            Worker("eventsourcing-kit-check").last(lambda: self._check(folder, expected)).outcome(_CHECK_SECONDS)
        except (StorageError, SupersededError, TimeoutError) as failure:
            if table is not None and not isinstance(failure, TimeoutError):
                table.close()
            if isinstance(failure, DamagedError):
                raise
            raise damage.explained(folder, failure) from failure
        return table

    def _check(self, folder: Path, expected: damage.Expected) -> None:
        damage.check_log(folder, expected, self._last_entry().last, self._ends_at)

    def _ends_at(self, position: int) -> bool:
        row = self.table.one(keys.LOG[0], keys.log(position + 1), descending=True)
        return row is not None and decode(row[1]).last == position

    def refresh(self) -> None:
        """Called at the start of every call: is the store usable, and has a writer beside it moved on?"""
        self.check_usable()
        if not self.read_only and (self.superseded or self._is_lost()):
            self.supersede()
        if self.read_only and not self.location.is_memory:
            with self._moving:  # else the slower of two threads would move the head back
                if not self.closed and time.monotonic() - self._seen_at >= self.lag:
                    self._follow()

    def _is_lost(self) -> bool:
        """Whether another writer has opened the store."""
        return (self._journal is not None and self._journal.is_lost) or self.table.is_fenced()

    def _follow(self) -> None:
        """Move on to what a writer beside has stored."""
        now = time.monotonic()
        more = None if self._has_moved() else self.table.follow()
        if more is None:
            table = self._open_table()
            row = table.one(*keys.COMMITS, descending=True)
            self.table = table  # the old one is not closed: an iteration may still read through it
            self._last_commit, self._supplied_ids = None, (False, -1)  # it may be another store by now
            self.head = EMPTY if row is None else keys.commit_entry(*row)
        elif more:
            self.head = self._last_entry()
        self._seen_at = now

    def _has_moved(self) -> bool:
        """Whether there may be more than the table shows."""
        if self.folder is not None:
            before, self._seen = self._seen, local_folder.newest(self.folder, self._seen)
            return self._seen.number != before.number
        newest = self.table.last_file(self._seen_file or 0)
        moved = newest is None or newest != self._seen_file
        self._seen_file = newest
        return moved

    def advance(self, stored: Iterable[tuple[keys.CommitEntry, bytes]]) -> None:
        """The writer has stored commits, with these records; whoever took over meanwhile may be further on already."""
        with self._moving:
            for head, record in stored:
                if head.last <= self.head.last:
                    continue
                if self.bells:
                    self._tail.add(head.first, head.last, record)
                else:
                    self._tail.clear()
                self.head = head
        self.bells.ring()

    def check_usable(self) -> None:
        """Raises where the store is closed, or another process's."""
        self.check_process()
        if self.closed:
            raise StoreClosedError("the store is closed; open it again with EventStore(…)")

    def check_process(self) -> None:
        """SlateDB's threads don't survive a fork; a call in the child would hang for ever."""
        if os.getpid() != self._pid:
            raise StoreClosedError(
                "this store was opened before the process forked, and does not survive that; start the child with "
                'multiprocessing.get_context("spawn") instead, and open the store in it'
            )

    def supersede(self) -> None:
        """Go on as a reader, because another writer opens the store, or has."""
        with self._moving:
            self.superseded = True
            if not self.read_only and not self.location.is_memory:
                if self.folder is not None:
                    self._seen = local_folder.newest(self.folder, self._seen)
                self.table.give_way()
                self.head = self._last_entry()
                self.read_only = True
                self._tail.clear()
        self.bells.ring()

    def close(self, *, answers: bool = True) -> None:
        """Safe to call twice. A storage that no longer `answers` is left alone."""
        with self._moving:
            if not self.closed and os.getpid() == self._pid and answers:
                self.mark_end()
                self.table.close()
            self.closed = True
        self.bells.ring()

    def marked_end(self) -> end_mark.Mark | None:
        """Where the log ended when the folder was last closed; None where that is not known."""
        return None if self.folder is None else end_mark.read(self.folder)

    def mark_end(self) -> None:
        """Note in a writer's folder where the log ends."""
        if self.folder is not None and not self.read_only and not self.superseded and self.head.last:
            end_mark.write(self.folder, end_mark.Mark(self.head.last, self.head.digest.hex()))

    def give_up(self) -> None:
        """Leave a storage that does not answer."""
        self.table.give_up()

    def trouble(self) -> str:
        """What may be wrong with a storage that does not answer, to be put into a sentence; empty if unknown."""
        return str(self._why())

    def _why(self) -> Trouble:
        if self.location.bucket:
            return diagnosis.of_bucket(self.location, self.patience)
        full = self.folder is not None and local_folder.is_full(self.folder)
        return Trouble(f"the disk of {str(self.folder)!r} is full" if full else "")

    def _last_entry(self) -> keys.CommitEntry:
        row = self.table.one(*keys.COMMITS, descending=True)
        return EMPTY if row is None else keys.commit_entry(*row)

    def settle(self) -> None:
        """Take over what was written into the table directly, and only read from here on."""
        self.read_only = True
        self.head, self.store_id = self._last_entry(), self._store_id()

    def _store_id(self) -> uuid.UUID | None:
        raw = self.table.get(keys.META)
        return None if raw is None else keys.store_id(raw)

    # -- moments -----------------------------------------------------------------------------------------------------

    def resolve(self, given: object) -> int:
        """The position that a moment names; raises `MomentError`."""
        parsed = moment.parse(given)
        if isinstance(parsed, uuid.UUID):
            found = self.position_of(parsed)
            if found is None:
                raise MomentError(
                    f"no event of this store has the id {parsed}; ids are in the column `id` of read().df()"
                )
            return found
        if isinstance(parsed, moment.TimePoint):
            return self.position_at(parsed)
        if not 0 <= parsed <= self.head.last:
            raise MomentError(
                f"there is no position {parsed}; the log goes from 0 (before the first event) to {self.head.last}"
            )
        self._check_own(given, parsed)
        return parsed

    def _check_own(self, given: object, position: int) -> None:
        """A position may be any; a RecordedEvent must be the one that stands there."""
        event_id = getattr(given, "id", None)
        if event_id is not None and self.position_of(uuid.UUID(str(event_id))) != position:
            raise MomentError(f"no event of this store has the id {event_id}; the event given is of another store")

    def position_at(self, us: int) -> int:
        """The last position recorded at or before a time; 0 before the first."""
        if us >= self.head.last_us:
            return self.head.last
        row = self.table.one(keys.COMMITS[0], keys.commit(us + 1), descending=True)
        if row is None:
            return 0
        entry = keys.commit_entry(*row)
        if entry.last_us <= us:
            return entry.last
        commit = self.commit_of(entry.first)
        return commit.first + int(np.searchsorted(commit.times, us, side="right")) - 1

    def time_of(self, position: int) -> int:
        """When the event at a position was recorded; before all times for position 0."""
        if position == 0:
            return EMPTY.last_us
        if position == self.head.last:
            return self.head.last_us
        commit = self.commit_of(position)
        return int(commit.times[position - commit.first])

    def position_of(self, event_id: uuid.UUID) -> int | None:
        """The position of the event with this id, or None."""
        raw = self.table.get(keys.event_id(event_id)) if self.has_supplied_ids else None
        if raw is not None:
            found = keys.number(raw)
            return found if found <= self.head.last else None
        position = ids.position_in(event_id)
        if event_id.version != 7 or not 1 <= position <= self.head.last:
            return None
        return position if self._has_made(event_id, position) else None

    @property
    def has_supplied_ids(self) -> bool:
        """Whether some events came with an id of their own; others carry their position in it."""
        found, looked_at = self._supplied_ids
        if not found and looked_at != self.head.last:
            found = self.table.one(*keys.IDS) is not None
            self._supplied_ids = found, self.head.last
        return found

    def _has_made(self, event_id: uuid.UUID, position: int) -> bool:
        """Whether the event at `position` has an id that was made, not supplied, and it is this one."""
        if self.has_supplied_ids:  # then only the record tells which ids were made
            commit = self.commit_of(position)
            return bool(commit.id_bytes[position - commit.first].tobytes() == event_id.bytes)
        ms = ids.ms_in(event_id)
        for row in self.table.scan(keys.COMMITS[0], keys.commit((ms + 1) * 1000), descending=True, ahead=1, rows=8):
            entry = keys.commit_entry(*row)
            if entry.first <= position:
                made = ids.id_bytes(entry.id_key, np.array([position]), np.array([ms * 1000]))
                return (
                    made.tobytes() == event_id.bytes and position <= entry.last and ms <= max(entry.last_us // 1000, 0)
                )
        return False

    # -- commits -----------------------------------------------------------------------------------------------------

    def commit_of(self, position: int) -> Commit:
        """The commit that holds a position; the last one is kept, for often another of its positions is asked for."""
        self.check_process()
        commit = self._last_commit
        if commit is None or not commit.first <= position <= commit.last:
            commit = self._last_commit = self._found(position)
        return commit

    def _found(self, position: int) -> Commit:
        """The commit that holds a position, decoded anew: who reads it may change what its events hold."""
        row = self.table.one(keys.LOG[0], keys.log(position + 1), descending=True)
        if row is None:
            raise StorageError(f"the log holds no commit with position {position}; it is damaged")
        commit = decode(row[1])
        if not commit.first <= position <= commit.last:
            raise StorageError(f"the log has a hole at position {position}; it is damaged")
        return commit

    def commits(self, after: int, upto: int, *, backwards: bool = False) -> Iterator[Commit]:
        """The commits that hold the positions above `after` up to `upto`; raises where one is missing."""
        if after >= upto:
            return
        at_hand = None if backwards else self._tail.between(after, upto)
        if at_hand is not None:
            yield from map(decode, at_hand)
            return
        begin = self._found(after + 1)
        end = begin.first if backwards else upto + 1
        bounds = keys.log(begin.last + 1), keys.log(upto + 1)
        rows = self.table.scan(*bounds, descending=backwards, rows=_ROWS_A_FETCH) if begin.last < upto else ()
        later = (decode(record) for _, record in rows)
        expected = None
        for commit in chain(later, [begin]) if backwards else chain([begin], later):
            at = commit.last + 1 if backwards else commit.first
            if expected is None and backwards and commit.last < upto:
                raise StorageError(f"the log has a hole at position {commit.last + 1}; it is damaged")
            if expected is not None and at != expected:
                raise StorageError(f"the log has a hole at position {min(at, expected)}; it is damaged")
            expected = commit.first if backwards else commit.last + 1
            yield commit
        if expected is None or (expected != end if backwards else expected < end):
            raise StorageError(f"the log has a hole at position {end if expected is None else expected}; it is damaged")

    def stream_commits(self, stream: str, upto: int, *, after: int = 0, backwards: bool = False) -> Iterator[Commit]:
        """The commits up to position `upto` that hold versions of a stream above `after`."""
        rows = self.table.scan(
            *keys.stream_range(stream, after), descending=backwards, rows=_ROWS_A_FETCH_OF_STREAM, ahead=1 << 14
        )
        expected = None if backwards or after else 1
        for key, value in rows:
            commit = self._pointed(value, upto)
            if commit is not None:
                first = commit.first_versions[commit.streams.index(stream)]
                last = keys.stream_of(key)[1]
                at = last + 1 if backwards else first
                if expected is not None and at != expected:
                    raise StorageError(f"stream {stream!r} has a hole at version {min(at, expected)}; it is damaged")
                expected = first if backwards else last + 1
                yield commit
            elif not backwards:
                return

    def _pointed(self, value: bytes, upto: int) -> Commit | None:
        """The commit that a stream's row stands for; None behind `upto`."""
        if len(value) > 8:
            commit = decode(value)
        else:
            first = keys.number(value)
            record = self.table.get(keys.log(first)) if first <= upto else None
            if record is None:
                return None
            commit = decode(record)
        return commit if commit.first <= upto else None

    def version(self, stream: str) -> int:
        """A stream's version as of the head."""
        for commit in self.stream_commits(stream, self.head.last, backwards=True):
            if stream in commit.last_versions:
                return commit.last_versions[stream]
            raise StorageError(
                f"the index of {stream!r} names a commit that holds none of its events: the store is damaged; verify() "
                "says what else is"
            )
        return 0

    def last_version(self, stream: str) -> int:
        """A stream's version in the table, the head aside: what the writer needs."""
        row = self.table.one(*keys.stream_range(stream), descending=True)
        return 0 if row is None else keys.stream_of(row[0])[1]

    def last_versions(self) -> dict[str, int]:
        """All streams' versions in the table."""
        return dict(keys.stream_of(key) for key, _ in self.table.scan(*keys.STREAMS))

    # -- notes -------------------------------------------------------------------------------------------------------

    def note(self, kind: str, name: str, number: int = 0) -> bytes | None:
        """One note beside the log, or None."""
        return self.table.get(keys.note(kind, name, number))

    def notes(self, kind: str, name: str | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Name, number and content of all notes of a kind, or of those with one name, in order."""
        for key, value in self.table.scan(*keys.note_range(kind, name)):
            _, own, number = keys.note_of(key)
            yield own, number, value

    def last_note(self, kind: str, name: str, upto: int) -> tuple[int, bytes] | None:
        """The note of a kind and name with the greatest number up to `upto`."""
        row = self.table.one(keys.note(kind, name), keys.note(kind, name, upto + 1), descending=True)
        return None if row is None else (keys.note_of(row[0])[2], row[1])

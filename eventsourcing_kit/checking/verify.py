"""The log, verified: is it whole, unchanged and in agreement with its index?

What a hash chain proves, and what not. Each commit's record carries the SHA-256 of the record before it, and the index
carries the record's own. So a byte that rots, or a commit that someone changes, removes or swaps, no longer fits what
stands after it. But no secret is involved: whoever can write the store can also write all of its end anew, with new
hashes, and can cut commits off its end. Such a log is whole in itself, and only a digest that was noted elsewhere, out
of that person's reach, tells it from the one that was there: `verify(expected=(position, digest))`. Nor does the chain
say that events were true when they were appended, or who appended them.

What is read comes through this handle. Blocks that it has read before may come from its memory, so to check what
stands on a disk, verify a store that was opened just now. Memory is bounded: it holds one number a stream.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eventsourcing_kit.checking.index_check import IndexCheck
from eventsourcing_kit.checking.misfits import check_payloads
from eventsourcing_kit.checking.report import MOST_OF_A_CHECK, Findings, Report
from eventsourcing_kit.errors import DamagedError, InputError, RecordError, StorageError, StoreClosedError
from eventsourcing_kit.records import ids, record
from eventsourcing_kit.records.record import NO_PREVIOUS, Commit
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.log.forked import Past
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.storage.slate.table import Table

_ROWS_A_FETCH = 16
_RESTORE = "restore the store from a copy; what stands before this position can be relied on"
_UNREADABLE = "restore the damaged files from a copy; what stands before this position can be read"
_WHOLE_STORE = 0


class _Noted(NamedTuple):
    """Where the log ended at another time."""

    position: int
    digest: str
    when: str
    is_proof: bool  # noted out of reach: then nothing up to there can be relied on where it does not fit


def verify(log: Log, expected: object, advance: Callable[[int], object]) -> Report:
    """Walk the whole log and its index; damage is reported, never raised. `advance` is told the events as they pass."""
    noted = _checked(expected)
    found = Findings()
    walk = _Walk(log, found, noted)
    try:
        walk.start()
        _walk_through(log.base, walk, advance)
        unsure = None if log.read_only else log.unsure_from
        for key, raw in _records(log.table, keys.LOG[0], keys.LOG[1] if unsure is None else keys.log(unsure)):
            advance(walk.take(key, raw))
        walk.end()
        walk.index.check(walk.next - 1, walk.version)
    except (StorageError, StoreClosedError) as error:
        if log.life.is_closed:
            raise
        found.is_complete = False
        found.damage("storage", walk.next, f"what stands from here on cannot be read: {error}", _UNREADABLE)
    return found.report(
        walk.next - 1, walk.digest.hex(), commits=walk.commits, events=walk.events, streams=walk.streams
    )


def _checked(expected: object) -> list[_Noted]:
    if expected is None:
        return []
    position, digest = expected if isinstance(expected, (tuple, list)) and len(expected) == 2 else (None, None)
    text = digest.hex() if isinstance(digest, bytes) else digest
    is_text = isinstance(text, str) and len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")
    if isinstance(position, bool) or not isinstance(position, int) or position < 0 or not is_text:
        raise InputError(f"expected is {expected!r}; give (report.position, report.digest) of an earlier verification")
    return [_Noted(position, str(text).lower(), "when its digest was noted", is_proof=True)]


def _walk_through(past: Past | None, walk: _Walk, advance: Callable[[int], object]) -> None:
    """Up to the fork, a branch's log is its base's: it is as sound as that. The base's index is not looked at."""
    if past is None:
        return
    _walk_through(past.base, walk, advance)
    for key, raw in _records(past.table, keys.log(past.fork + 1), keys.log(past.limit + 1)):
        advance(walk.take(key, raw, past))


def _records(table: Table, at: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The log's rows; one by one where a fetch of several fails, so that all that stands before the damage is seen."""
    try:
        for row in table.scan(at, end, rows=_ROWS_A_FETCH):
            at = row[0] + b"\x00"
            yield row
    except StorageError:
        yield from table.scan(at, end, rows=1, ahead=1)


class _Walk:
    """Takes the log's records in turn. What it knows of the records before: their end, digest, time and versions."""

    def __init__(self, log: Log, found: Findings, noted: list[_Noted]) -> None:
        self._log, self._found, self._noted = log, found, noted
        self.index = IndexCheck(log, found)
        self._store: uuid.UUID | None = None
        self.commits = self.events = 0
        self.next, self._is_next_known = 1, True
        self.digest = NO_PREVIOUS
        self._earlier: keys.CommitEntry | None = None  # the commit before this one, where nothing is amiss between them
        self._us: int | None = None
        self._foreign: list[tuple[int, uuid.UUID]] = []  # commits of another store: position and store
        self._versions: dict[str, int] = {}
        self._versions_before: dict[str, int] | None = None  # those that held before the log was found broken
        self._cached: Commit | None = None

    def start(self) -> None:
        """Bring the handle up to date, and read what is noted of the store as a whole."""
        try:
            mark = self._log.marked_end()  # before the log, which may grow meanwhile
            self._noted += [] if mark is None else [_Noted(*mark, "when the store was last closed", is_proof=False)]
        except RecordError as error:
            self._found.damage(
                "log", _WHOLE_STORE, str(error), "what the log itself says is below; closing a writer mends it"
            )
        try:
            self._log.refresh()
            self._log.check_journal()
        except DamagedError as error:
            self._found.damage("log", _WHOLE_STORE, str(error), "what is below is what this handle has read before")
        raw = self._log.table.get(keys.META)
        with contextlib.suppress(RecordError):
            self._store = None if raw is None else keys.store_id(raw)

    @property
    def streams(self) -> int:
        """The number of streams seen."""
        return len((self._versions_before or {}).keys() | self._versions.keys())

    def version(self, stream: str) -> int:
        """A stream's version as far as was seen."""
        return self._versions.get(stream) or (self._versions_before or {}).get(stream, 0)

    def take(self, key: bytes, raw: bytes, past: Past | None = None) -> int:
        """Check one record, of the base's `past` where it is not the store's own; returns its number of events."""
        self.commits += 1
        try:
            position = keys.number(key[1:])
            self._check_position(position)
            self.digest, earlier = record.digest(raw), self._earlier
            commit = record.decode(raw) if past is None else record.decode(raw).upto(past.limit)
        except RecordError as error:
            self._found.damage("log", self.next, str(error), _RESTORE)
            self._break()
            self._is_next_known = False
            self.index.excuse(raw)
            return 0
        if commit.first != position:
            self._damaged(position, f"the record at position {position} is that of position {commit.first}")
            self._break()
            self.next = position + commit.count
            return commit.count
        entry = keys.entry_of(commit, raw)
        if earlier is not None or self._versions_before is None:
            self._check_chain(commit, entry, earlier)
        self._check_commit(commit, entry, self._store if past is None else past.store_id)
        if past is None:
            self.index.expect(commit, raw)
        self._earlier, self.next = entry, commit.last + 1
        self.events += commit.count
        return commit.count

    def end(self) -> None:
        """Nothing follows: say what only the whole log tells."""
        if self._store is None or (self.commits > 1 and len(self._foreign) == min(self.commits, MOST_OF_A_CHECK + 1)):
            self._damaged(_WHOLE_STORE, f"the store's own id is {self._store}, which none of its commits has")
        else:
            for position, store in self._foreign:
                self._damaged(position, f"a commit of another store, {store}; this one's id is {self._store}")
        for position, digest, when, _ in self._noted:
            if position >= self.next:
                self._damaged(
                    self.next, f"the log ends at position {self.next - 1}, and at {position} {when}: the rest is gone"
                )
            elif position == 0 and digest != NO_PREVIOUS.hex():
                self._damaged(1, f"no log begins with what was its start {when}")

    # -- one commit and those before it ------------------------------------------------------------------------------

    def _check_position(self, position: int) -> None:
        if position > self.next and self._is_next_known:
            missing = f"position {self.next} is" if position == self.next + 1 else (
                f"positions {self.next} to {position - 1} are"
            )  # fmt: skip
            self._damaged(self.next, f"{missing} missing")
        elif position < self.next:
            self._damaged(position, f"a record at position {position} overlaps the commit before it")
        if position != self.next:
            self._break()
        self.next, self._is_next_known = position, True

    def _check_chain(self, commit: Commit, entry: keys.CommitEntry, earlier: keys.CommitEntry | None) -> None:
        if commit.previous == (NO_PREVIOUS if earlier is None else earlier.digest):
            return
        if earlier is None:
            self._damaged(commit.first, "the log's first commit names a commit before it")
        elif self.index.vouches_for(earlier) and not self.index.vouches_for(entry):
            self._damaged(commit.first, f"the commit at position {commit.first} does not follow the one before it")
        else:
            self._damaged(
                earlier.first,
                f"the commit at position {earlier.first} is not the one that the next, at position {commit.first}, "
                "was chained to",
            )

    def _check_commit(self, commit: Commit, entry: keys.CommitEntry, store: uuid.UUID | None) -> None:
        if commit.store != store and len(self._foreign) <= MOST_OF_A_CHECK:
            self._foreign.append((commit.first, commit.store))
        self._check_times(commit, entry)
        self._check_versions(commit)
        self._check_ids(commit)
        self._check_noted(commit)
        check_payloads(commit, self._found)

    def _check_times(self, commit: Commit, entry: keys.CommitEntry) -> None:
        if self._us is not None and entry.first_us < self._us:
            self._damaged(commit.first, "it was recorded before the event that stands before it")
        falls = np.diff(commit.times) < 0
        if falls.any():
            at = commit.first + int(np.argmax(falls)) + 1
            self._damaged(at, "it was recorded before the event that stands before it")
        self._us = entry.last_us

    def _check_versions(self, commit: Commit) -> None:
        sizes = np.bincount(commit.stream_codes, minlength=len(commit.streams)).tolist()
        touched = zip(commit.streams, commit.first_versions, sizes, strict=True)
        for code, (stream, version, size) in enumerate(touched):
            if not self._follows(stream, version):
                at = commit.first + int(np.argmax(commit.stream_codes == code))
                self._damaged(at, f"version {version} of stream {stream!r} follows version {self.version(stream)}")
            self._versions[stream] = version + size - 1

    def _follows(self, stream: str, version: int) -> bool:
        if stream in self._versions or self._versions_before is None:
            return version == self._versions.get(stream, 0) + 1
        return version > self._versions_before.get(stream, 0)  # commits are missing, so versions may be too

    def _check_ids(self, commit: Commit) -> None:
        """A supplied id may be one that was made for another event; two that are equal show in the index."""
        for row, supplied in commit.supplied_ids.items():
            at = ids.position_in(supplied)
            if supplied.version == 7 and 1 <= at <= self._log.head.last and self._is_made(supplied, at, commit):
                self._damaged(commit.first + row, f"it has the id of the event at position {at}, {supplied}")

    def _is_made(self, supplied: uuid.UUID, at: int, own: Commit) -> bool:
        commit = own if own.first <= at <= own.last else self._holding(at)
        if commit is None:
            return False
        row = at - commit.first
        return row not in commit.supplied_ids and commit.id_bytes[row].tobytes() == supplied.bytes

    def _holding(self, at: int) -> Commit | None:
        """The commit that holds a position; events copied from another store ask for one after the other."""
        if self._cached is None or not self._cached.first <= at <= self._cached.last:
            try:
                self._cached = self._log.commit_of(at)
            except StorageError:
                return None  # it is reported where it stands
        return self._cached

    def _check_noted(self, commit: Commit) -> None:
        for position, digest, when, is_proof in self._noted:
            if not commit.first <= position <= commit.last or (position, digest) == (commit.last, self.digest.hex()):
                continue
            wrong = f"up to position {position} the log is not what it was {when}: some or all of it was written anew"
            self._damaged(1 if is_proof else commit.first, wrong)

    def _damaged(self, position: int, wrong: str) -> None:
        self._found.damage("log", position, wrong, _RESTORE)

    def _break(self) -> None:
        """What follows cannot be compared with what stands before."""
        self._earlier = None
        self._versions_before = (self._versions_before or {}) | self._versions
        self._versions = {}

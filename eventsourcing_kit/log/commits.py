"""What a table holds, read: commits, the streams that they lead to, ids, times, and the notes beside the log."""

from __future__ import annotations

import uuid
from heapq import merge
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from eventsourcing_kit.errors import MomentError, StorageError
from eventsourcing_kit.log import tag_index
from eventsourcing_kit.records import ids, moment
from eventsourcing_kit.records.record import NO_PREVIOUS, Commit, decode, digest
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.storage.slate.table import Table

EMPTY = keys.CommitEntry(1, -(1 << 62), 0, -(1 << 62), 0, NO_PREVIOUS)
_ROWS_A_FETCH = 16  # a record may take a megabyte; more rows at a time would cost memory and gain little
_ROWS_A_FETCH_OF_STREAM = 64
_RECORDS_AT_HAND = 16
_BYTES_AT_HAND = 4 << 20
_ROWS_A_QUESTION = 50  # that a walk along an index gives in the time of one look at it

Tail = tuple[tuple[int, int, bytes], ...]  # the newest records, each with its first and last position, for followers


class Commits:
    """The commits in a `table` up to `head`, the entry of the last one that is known; which position an id, a time or
    another moment names; streams' versions; and notes.

    What is remembered of a table counts for that table only: another one may take its place meanwhile.
    """

    table: Table
    head: keys.CommitEntry
    store_id: uuid.UUID | None

    def __init__(self) -> None:
        self.tail: Tail = ()
        self._last_commit: tuple[Table, Commit] | None = None
        self._any: dict[tuple[bytes, bytes], tuple[Table | None, int, bool]] = {}  # see `_has_any`

    is_whole = True  # whether the table holds no commit behind `head`; else there may be later ones

    def _last_entry(self) -> keys.CommitEntry:
        row = self.table.one(*keys.COMMITS, descending=True)
        return EMPTY if row is None else keys.commit_entry(*row)

    def _store_id(self) -> uuid.UUID | None:
        raw = self.table.get(keys.META)
        return None if raw is None else keys.store_id(raw)

    @property
    def lineage(self) -> dict[uuid.UUID | None, int]:
        """The stores whose events these are, each with the position up to which they are."""
        return {self.store_id: self.head.last}

    # -- moments -----------------------------------------------------------------------------------------------------

    def resolve(self, given: object) -> int:
        """The position that a moment names; raises `MomentError`."""
        parsed = moment.parse(given)
        self.check_store(given)
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

    def check_store(self, given: object) -> None:
        """What was recorded (an event, a receipt) is a moment of the store that recorded it."""
        if getattr(given, "store_id", None) not in (None, self.store_id):
            id_ = getattr(given, "id", None)
            what = repr(given) if id_ is None else f"no event of this store has the id {id_}; the event given"
            raise MomentError(f"{what} is of another store; give a time, or a position of this store")

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

    def _entry_at(self, position: int) -> keys.CommitEntry:
        """What the index would say of the last commit, if the log ended at a position."""
        row = self.table.one(keys.LOG[0], keys.log(position + 1), descending=True)
        commit = None if row is None else decode(row[1])
        if row is None or commit is None or not commit.first <= position <= commit.last:
            raise StorageError(f"the log has a hole at position {position}; it is damaged")
        us = int(commit.times[position - commit.first])
        return keys.entry_of(commit, row[1])._replace(last=position, last_us=us)

    def entries(self) -> list[keys.CommitEntry]:
        """What the index says of all commits."""
        found = [keys.commit_entry(*row) for row in self.table.scan(*keys.COMMITS)]
        return [entry for entry in found if entry.last <= self.head.last]

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

    def positions_of(self, wanted: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
        """The positions of those of many ids that are here.

        The index of supplied ids is walked from the first wanted one on, as long as that is quicker than to ask it for
        each of those that are left.
        """
        keyed = {keys.event_id(one): one for one in wanted}
        asked = [one for one in keyed.values() if one.version == 7 and 1 <= ids.position_in(one) <= self.head.last]
        found: dict[uuid.UUID, int] = {}
        if keyed and self.has_supplied_ids:
            reached, most = keys.IDS[1], _ROWS_A_QUESTION * len(keyed)
            for seen, (key, value) in enumerate(self.table.scan(min(keyed), max(keyed) + b"\x00"), 1):
                if key in keyed:
                    found[keyed[key]] = keys.number(value)
                if seen == most:
                    reached = key
                    break
            asked += [one for key, one in keyed.items() if key > reached]
        for one in sorted(set(asked) - found.keys(), key=ids.position_in):  # in the order of commits
            position = self.position_of(one)
            if position is not None:
                found[one] = position
        return {one: position for one, position in found.items() if position <= self.head.last}

    @property
    def has_supplied_ids(self) -> bool:
        """Whether some events came with an id of their own; others carry their position in it."""
        return self._has_any(keys.IDS)

    @property
    def has_tags(self) -> bool:
        """Whether some events have tags."""
        return self._has_any(keys.TAGS)

    def _has_any(self, bounds: tuple[bytes, bytes]) -> bool:
        """Whether an index has any row; asked again when the log has moved on."""
        table, upto = self.table, self.head.last  # before the look: what is stored meanwhile lies behind that
        looked_in, looked_upto, found = self._any.get(bounds, (None, -1, False))
        if looked_in is not table or not (found or looked_upto == upto):
            found = table.one(*bounds) is not None
            self._any[bounds] = table, upto, found
        return found

    def is_supplied(self, event_id: uuid.UUID) -> bool:
        """Whether an event came with this id, as its own."""
        raw = self.table.get(keys.event_id(event_id))
        return raw is not None and (self.is_whole or keys.number(raw) <= self.head.last)

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
        table, kept = self.table, self._last_commit
        if kept is not None and kept[0] is table and kept[1].first <= position <= kept[1].last:
            return kept[1]
        commit = self._found(position)
        self._last_commit = table, commit
        return commit

    def record_of(self, position: int) -> bytes:
        """The record of the commit that holds a position."""
        row = self.table.one(keys.LOG[0], keys.log(position + 1), descending=True)
        if row is None:
            raise StorageError(f"the log holds no commit with position {position}; it is damaged")
        return row[1]

    def digest_at(self, position: int) -> bytes:
        """The digest of a position: that of the record of the commit that holds it."""
        return digest(self.record_of(position))

    def _found(self, position: int) -> Commit:
        """The commit that holds a position, decoded anew: who reads it may change what its events hold."""
        commit = decode(self.record_of(position))
        if not commit.first <= position <= commit.last:
            raise StorageError(f"the log has a hole at position {position}; it is damaged")
        return commit

    def commits(self, after: int, upto: int, *, backwards: bool = False) -> Iterator[Commit]:
        """The commits that hold the positions above `after` up to `upto`; raises where one is missing."""
        if after >= upto:
            return
        at_hand = None if backwards else _between(self.tail, after, upto)
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
        start, end = keys.stream_range(stream, after)
        if backwards and (upto < self.head.last or not self.is_whole):
            end = keys.stream(stream, self._last_version_before(stream, upto + 1) + 1)
            if start >= end:
                return
        rows = self.table.scan(start, end, descending=backwards, rows=_ROWS_A_FETCH_OF_STREAM, ahead=1 << 14)
        expected = None if backwards or after else 1
        for key, value in rows:
            commit = self._pointed(value, upto)
            if commit is not None:
                if stream not in commit.rows_of_streams:
                    raise StorageError(
                        f"the index of {stream!r} names a commit that holds none of its events: the store is damaged; "
                        "verify() says what else is"
                    )
                first, last = int(commit.versions[commit.rows_of_streams[stream][0]]), keys.stream_of(key)[1]
                at = last + 1 if backwards else first
                if expected is not None and at != expected:
                    raise StorageError(f"stream {stream!r} has a hole at version {min(at, expected)}; it is damaged")
                expected = first if backwards else last + 1
                yield commit
            elif not backwards:
                return

    def tagged_commits(
        self, alternatives: Iterable[Sequence[str]], after: int, upto: int, *, backwards: bool = False
    ) -> Iterator[Commit]:
        """The commits that hold events above `after` up to `upto` with all tags of one of several lists."""
        walks = [tag_index.with_all(self.table, tags, after, upto, backwards=backwards) for tags in alternatives]
        commit = None
        for tag, position, value in merge(*walks, key=itemgetter(1), reverse=backwards):
            if commit is not None and commit.first <= position <= commit.last:
                continue
            commit = self._pointed(value, upto)
            if commit is None or tag not in commit.tags.get(position - commit.first, ()):
                raise StorageError(
                    f"the index of the tag {tag!r} names an event that has it not, at position {position}: the store "
                    "is damaged; verify() says what else is"
                )
            yield commit

    def _pointed(self, value: bytes, upto: int) -> Commit | None:
        """The commit that a stream's row stands for; None behind `upto`."""
        if len(value) > 8:
            commit = decode(value)
            return commit if commit.first <= upto else None
        first, table, (kept_of, kept) = keys.number(value), self.table, self._last_commit or (None, None)
        if first > upto:
            return None
        if kept is not None and kept_of is table and kept.first == first and kept.is_flat:
            return kept
        record = table.get(keys.log(first))
        if record is None:
            return None
        commit = decode(record)
        self._last_commit = table, commit
        return commit

    def _last_version_before(self, stream: str, position: int) -> int:
        """The last version in those of a stream's commits that begin before a position, found by halving."""
        start, end = keys.stream_range(stream)
        row = self.table.one(start, end, descending=True)
        if row is None or _first_in(row[1]) < position:
            return 0 if row is None else keys.stream_of(row[0])[1]
        before, behind = 0, keys.stream_of(row[0])[1]
        while behind - before > 1:
            middle = (before + behind) // 2
            row = self.table.one(keys.stream(stream, middle), end)
            if row is not None and _first_in(row[1]) < position:
                before = keys.stream_of(row[0])[1]
            else:
                behind = middle
        return before

    def version(self, stream: str, upto: int | None = None) -> int:
        """A stream's version as of a position, which may lie within a commit; as of the head where none is given."""
        upto = self.head.last if upto is None else upto
        for commit in self.stream_commits(stream, upto, backwards=True):
            rows = commit.rows_of_streams[stream]
            count = int(np.searchsorted(rows, upto - commit.first, side="right"))
            if count:
                return int(commit.versions[rows[count - 1]])
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


def _first_in(value: bytes) -> int:
    """The first position of the commit that a stream's row stands for."""
    return decode(value).first if len(value) > 8 else keys.number(value)


def longer(tail: Tail, entry: keys.CommitEntry, record: bytes) -> Tail:
    """The records at hand with the next one, as many as are kept."""
    tail = (*tail, (entry.first, entry.last, record))[-_RECORDS_AT_HAND:]
    while sum(len(kept) for _, _, kept in tail) > _BYTES_AT_HAND:
        tail = tail[1:]
    return tail


def _between(tail: Tail, after: int, upto: int) -> list[bytes] | None:
    """The records that begin right after a position and hold those up to another; None where some are not at hand."""
    if not tail or tail[-1][1] < upto or all(first != after + 1 for first, _, _ in tail):
        return None
    return [record for first, _, record in tail if after < first <= upto]

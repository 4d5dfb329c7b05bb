"""Does the index agree with the log? Its rows are those that the log's commits ask for, no fewer and no more.

Index rows are sorted by time, by stream, by id and by tag, and the log by position. So that neither has to be held in
memory, what the log asks for and what is there are each summed up in one number that does not depend on the order. Only
where the two differ, row after row is looked up.
"""

from __future__ import annotations

import os
import uuid
from hashlib import blake2b
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import RecordError
from eventsourcing_kit.records import record
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.checking.report import Findings
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit

    Row = tuple[bytes, bytes]

_CURE = "the events are in the log: copy them into a new store, or restore the store from a copy"
_INDEXES = {
    b"c": ("times", keys.COMMITS),
    b"s": ("streams", keys.STREAMS),
    b"i": ("ids", keys.IDS),
    b"t": ("tags", keys.TAGS),
}
_SUM_BYTES = 16
_LAST = (1 << 63) - 1


class _Sum:
    """One number for a set of rows, whatever their order. The secret keeps anyone from making two sets agree."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.total = self.count = 0

    def add(self, key: bytes, value: bytes) -> None:
        text = b"%d:%b%b" % (len(key), key, value)
        self.total += int.from_bytes(blake2b(text, key=self._secret, digest_size=_SUM_BYTES).digest(), "big")
        self.count += 1


class IndexCheck:
    """Is told every commit of the log, then compares."""

    def __init__(self, log: Log, found: Findings) -> None:
        self._log, self._found = log, found
        self._secret = os.urandom(32)
        self._excused: set[bytes] = set()  # digests of records that cannot be read
        self._reported: set[bytes] = set()  # keys of rows that do not say what the log asks for
        self._expected = {kind: _Sum(self._secret) for kind in _INDEXES}

    def expect(self, commit: Commit, raw: bytes) -> None:
        """A commit of the log: its rows must be there."""
        for key, value in keys.rows_of(commit, raw)[1:]:
            self._expected[key[:1]].add(key, value)

    def excuse(self, raw: bytes) -> None:
        """A record that cannot be read: what a stream's row holds of it is reported already."""
        self._excused.add(record.digest(raw))

    def vouches_for(self, entry: keys.CommitEntry) -> bool:
        """Whether the index names this commit with this hash."""
        return self._log.table.get(keys.commit(entry.first_us, entry.first)) == keys.commit_value(entry)

    def check(self, last: int, version: Callable[[str], int]) -> None:
        """Compare, up to position `last`, where each stream had its `version`."""
        for kind, (name, bounds) in _INDEXES.items():
            there = _Sum(self._secret)
            for key, value in self._log.table.scan(*bounds):
                if _is_later(key, value, last, version):
                    self._check_row(name, key, value)
                else:
                    there.add(key, value)
            expected = self._expected[kind]
            if (there.total, there.count) != (expected.total, expected.count):
                self._check_each(kind, name, last)

    def _check_each(self, kind: bytes, name: str, last: int) -> None:
        """Row after row: what the log asks for, then what is there."""
        for _, raw in self._log.table.scan(keys.LOG[0], keys.log(last + 1), rows=16):
            for key, value in _wanted_if_sound(raw):
                if key[:1] == kind:
                    self._check_wanted(name, raw, key, value)
            if self._found.is_full(name):
                return
        for key, value in self._log.table.scan(*_INDEXES[kind][1]):
            self._check_row(name, key, value)
            if self._found.is_full(name):
                return

    def _check_wanted(self, name: str, raw: bytes, key: bytes, value: bytes) -> None:
        """Is a row there that a commit asks for?"""
        there = self._log.table.get(key)
        if there is not None and _same(key, there, value, raw):
            return
        self._reported.add(key)
        at = _event(key, value) or record.decode(raw).first
        if there is None:
            self._damaged(name, at, f"the index of {name} lacks {_shown(key)}")
        elif self._names(key, there) and key[:1] == b"i":
            both = sorted((at, keys.number(there)))
            self._damaged(name, both[1], f"the events at positions {both[0]} and {both[1]} have the same {_shown(key)}")
        else:
            self._damaged(name, at, f"the index of {name} says something else of {_shown(key)} than the log")

    def _check_row(self, name: str, key: bytes, value: bytes) -> None:
        """Does the commit that a row names ask for it?"""
        if key in self._reported or record.digest(value) in self._excused:
            return
        try:
            at = _position(key, value)
        except RecordError as error:
            self._damaged(name, 0, f"the index of {name} holds a damaged row: {error}")
            return
        if not self._names(key, value):
            self._damaged(name, at, f"the index of {name} has {_shown(key)} at position {at}, and the log has not")

    def _names(self, key: bytes, value: bytes) -> bool:
        """Whether the commit that a row names asks for it; True where that commit is damaged and may have."""
        at = min(_position(key, value), _LAST)
        holding = self._log.table.one(keys.LOG[0], keys.log(at + 1), descending=True)
        if holding is None:
            return False
        try:
            return any(key == own and _same(key, value, wanted, holding[1]) for own, wanted in _wanted(holding[1]))
        except RecordError:
            return True

    def _damaged(self, name: str, position: int, wrong: str) -> None:
        self._found.damage(name, position, wrong, _CURE)


def _wanted(raw: bytes) -> list[Row]:
    """The index rows that a record asks for."""
    return keys.rows_of(record.decode(raw), raw)[1:]


def _wanted_if_sound(raw: bytes) -> list[Row]:
    """The rows that a record asks for; none where it is damaged, which is reported elsewhere."""
    try:
        return _wanted(raw)
    except RecordError:
        return []


def _same(key: bytes, there: bytes, wanted: bytes, raw: bytes) -> bool:
    """A stream's or tag's row may hold the record or point at it: what counts as small may change between versions."""
    return there == wanted or (key[:1] in (b"s", b"t") and there in (raw, keys.u64(record.decode(raw).first)))


def _is_later(key: bytes, value: bytes, last: int, version: Callable[[str], int]) -> bool:
    """Whether a row is of a commit behind the last that was looked at: one that was appended meanwhile, or none."""
    try:
        if key[:1] == b"s":
            stream, at = keys.stream_of(key)
            return at > version(stream)
        return _position(key, value) > last
    except RecordError:
        return False


def _position(key: bytes, value: bytes) -> int:
    """The first position of the commit that an index row is of; for an id, the event's."""
    if key[:1] == b"c":
        return keys.commit_entry(key, value).first
    return keys.number(value) if len(value) <= 8 else record.decode(value).first


def _event(key: bytes, value: bytes) -> int | None:
    """The position of the event that an index row is of; None where it is of a commit."""
    if key[:1] == b"t":
        return keys.tag_of(key)[1]
    return keys.number(value) if key[:1] == b"i" else None


def _shown(key: bytes) -> str:
    """What an index row is about."""
    if key[:1] == b"c" and len(key) == 17:
        return f"the commit at position {keys.number(key[9:])}"
    if key[:1] == b"i" and len(key) == 17:
        return f"id {uuid.UUID(bytes=key[1:])}"
    try:
        if key[:1] == b"t":
            tag, position = keys.tag_of(key)
            return f"tag {tag!r} of the event at position {position}"
        stream, version = keys.stream_of(key)
    except RecordError:
        return f"a row {key[:32]!r}"
    return f"version {version} of stream {stream!r}"

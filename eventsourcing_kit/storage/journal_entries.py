"""The bytes of a journal.

    file     b"ekjrnl01" | key: 8 random bytes | digest of both | entries
    entry    b"\\xeeent" | bytes of the body | number | digest of key, bytes, number and body | body
    body     for each row: bytes of the key | bytes of the value (ffffffff: the row is removed) | key | value

Entries are numbered, and SlateDB holds the number of the last one whose rows it has (`keys.JOURNALLED`). So it does not
matter where a crash leaves the two: entries up to that number are done, those behind it follow without a gap, wherever
in the file they stand, and what else is there is what a power cut tore, or what a later entry was written over.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = tuple[bytes, bytes | None]

_MAGIC = b"ekjrnl01"
_MARK = b"\xeeent"
START = struct.Struct(">16s16s")
HEAD = struct.Struct(">4sIQ16s")
_ROW = struct.Struct(">II")
_REMOVED = 0xFFFFFFFF


class Entry(NamedTuple):
    """Rows that were stored as one, how many bytes their entry has, and where in the file it ends."""

    number: int
    rows: list[Row]
    size: int
    end: int


def encode(key: bytes, number: int, rows: Sequence[Row]) -> bytes:
    """An entry's bytes, in the file with this key."""
    parts = []
    for name, value in rows:
        parts += [_ROW.pack(len(name), _REMOVED if value is None else len(value)), name, value or b""]
    body = b"".join(parts)
    return HEAD.pack(_MARK, len(body), number, _digest(key, number, body)) + body


def _digest(key: bytes, number: int, body: bytes) -> bytes:
    return hashlib.blake2b(struct.pack(">IQ", len(body), number) + body, digest_size=16, key=key).digest()


def start_of(key: bytes) -> bytes:
    """What a file begins with."""
    return START.pack(_MAGIC + key, _plain_digest(_MAGIC + key))


def _plain_digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def key_of(content: bytes) -> bytes | None:
    """The key of a file; None where it does not begin as a journal does."""
    if len(content) < START.size:
        return None
    start, digest = START.unpack_from(content)
    is_start = start.startswith(_MAGIC) and digest == _plain_digest(start)
    return start.removeprefix(_MAGIC) if is_start else None


def _entry_at(content: bytes, at: int, key: bytes) -> Entry | None:
    """The entry that begins at a place; None where none does, or not all of it is there."""
    if at + HEAD.size > len(content):
        return None
    mark, size, number, digest = HEAD.unpack_from(content, at)
    end = at + HEAD.size + size
    if mark != _MARK or end > len(content):
        return None
    body = content[at + HEAD.size : end]
    return Entry(number, list(_rows(body)), end - at, end) if _digest(key, number, body) == digest else None


def _rows(body: bytes) -> Iterator[Row]:
    at = 0
    while at < len(body):
        key_size, size = _ROW.unpack_from(body, at)
        key_end = at + _ROW.size + key_size
        at = key_end if size == _REMOVED else key_end + size
        yield body[key_end - key_size : key_end], None if size == _REMOVED else body[key_end:at]


def follow(content: bytes, at: int, key: bytes) -> Iterator[Entry]:
    """The entries from a place on, as long as each follows the one before."""
    before: Entry | None = None
    while (entry := _entry_at(content, at, key)) is not None and (before is None or entry.number == before.number + 1):
        yield entry
        before, at = entry, entry.end


def number_at(content: bytes, at: int) -> int:
    """The number of the entry that seems to begin at a place; 0 where none does."""
    is_head = content.startswith(_MARK, at) and at + HEAD.size <= len(content)
    return int(HEAD.unpack_from(content, at)[2]) if is_head else 0


def _places(content: bytes, after: int) -> Iterator[tuple[int, int]]:
    """Numbers above `after`, and where their entries seem to begin."""
    at = content.find(_MARK)
    while at >= 0:
        if (number := number_at(content, at)) > after:
            yield number, at
        at = content.find(_MARK, at + 1)


def find(content: bytes, key: bytes, after: int = 0) -> list[Entry]:
    """The whole entries with numbers above `after`, wherever they stand, in the order of their numbers."""
    places = sorted(_places(content, after))
    return [entry for _, at in places if (entry := _entry_at(content, at, key)) is not None]


def newest(content: bytes, key: bytes | None) -> Entry | None:
    """The whole entry with the highest number."""
    places = [] if key is None else sorted(_places(content, 0), reverse=True)
    found = (_entry_at(content, at, key or b"") for _, at in places)
    return next((entry for entry in found if entry is not None), None)


def behind(content: bytes, done: int) -> list[Entry] | None:
    """The entries behind number `done`; None where one is missing that should be there."""
    if not content.strip(b"\0"):
        return []
    key = key_of(content)
    entries = [] if key is None else find(content, key, done)
    follow_on = all(entry.number == number for number, entry in enumerate(entries, done + 1))
    return entries if key is not None and follow_on else None

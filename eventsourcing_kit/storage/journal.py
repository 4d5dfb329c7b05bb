"""The journal of a store's folder: what was acknowledged, and SlateDB's own files do not hold yet.

SlateDB makes a new file of each flush, and bringing a file and its name onto the device takes several trips. The
journal is one file that is there already: an append to it takes one. When it is full, its rows are stored in SlateDB
in one go, and it begins again from its start; when the store is closed, it is gone.

    file     b"ekjrnl01" | key: 8 random bytes | digest of both | entries
    entry    b"\\xeeent" | bytes of the body | number | digest of key, bytes, number and body | body
    body     for each row: bytes of the key | bytes of the value (ffffffff: the row is removed) | key | value

Entries are numbered, and SlateDB holds the number of the last one whose rows it has (`keys.JOURNALLED`). So it does not
matter where a crash leaves the two: entries up to that number are done, those behind it follow without a gap, and
what stands behind them in the file is what a power cut tore, or is left from before it began again.

Whoever opens the store puts a copy in the file's place, under a lock that the owner takes for each append. The older
owner finds another file under the name then, and acknowledges nothing any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from eventsourcing_kit.errors import DamagedError, StorageError, SupersededError
from eventsourcing_kit.storage import device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Row = tuple[bytes, bytes | None]

NAME = "journal"
FULL_BYTES = 1 << 18
_MAGIC = b"ekjrnl01"
_MARK = b"\xeeent"
_START = struct.Struct(">16s16s")
_HEAD = struct.Struct(">4sIQ16s")
_ROW = struct.Struct(">II")
_REMOVED = 0xFFFFFFFF
_LOCK_SECONDS = 2.0  # an owner has it for a moment; one that is stopped meanwhile must not keep others out
_LOOKS = 10


class Entry(NamedTuple):
    """Rows that were stored as one, and where in the file their entry ends."""

    number: int
    rows: list[Row]
    end: int


def path(folder: Path) -> Path:
    """Where a folder's journal stands."""
    return folder / NAME


# -- bytes ------------------------------------------------------------------------------------------------------------


def _encode(key: bytes, number: int, rows: Sequence[Row]) -> bytes:
    parts = []
    for name, value in rows:
        parts += [_ROW.pack(len(name), _REMOVED if value is None else len(value)), name, value or b""]
    body = b"".join(parts)
    return _HEAD.pack(_MARK, len(body), number, _digest(key, number, body)) + body


def _digest(key: bytes, number: int, body: bytes) -> bytes:
    made = hashlib.blake2b(struct.pack(">IQ", len(body), number), digest_size=16, key=key)
    made.update(body)
    return made.digest()


def _start(key: bytes) -> bytes:
    return _START.pack(_MAGIC + key, _plain_digest(_MAGIC + key))


def _plain_digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _key_of(content: bytes) -> bytes | None:
    if len(content) < _START.size:
        return None
    start, digest = _START.unpack_from(content)
    is_start = start.startswith(_MAGIC) and digest == _plain_digest(start)
    return start.removeprefix(_MAGIC) if is_start else None


def _entry_at(content: bytes, at: int, key: bytes) -> Entry | None:
    """The entry that begins at a place; None where none does, or not all of it is there."""
    if at + _HEAD.size > len(content):
        return None
    mark, size, number, digest = _HEAD.unpack_from(content, at)
    end = at + _HEAD.size + size
    if mark != _MARK or end > len(content):
        return None
    body = content[at + _HEAD.size : end]
    return Entry(number, list(_rows(body)), end) if _digest(key, number, body) == digest else None


def _rows(body: bytes) -> Iterator[Row]:
    at = 0
    while at < len(body):
        key_size, size = _ROW.unpack_from(body, at)
        key_end = at + _ROW.size + key_size
        at = key_end if size == _REMOVED else key_end + size
        yield body[key_end - key_size : key_end], None if size == _REMOVED else body[key_end:at]


def _run(content: bytes, at: int, key: bytes) -> Iterator[Entry]:
    """The entries from a place on, as long as each follows the one before."""
    before: Entry | None = None
    while (entry := _entry_at(content, at, key)) is not None and (before is None or entry.number == before.number + 1):
        yield entry
        before, at = entry, entry.end


def _all(content: bytes, key: bytes) -> Iterator[Entry]:
    """Every whole entry, wherever it stands."""
    at = content.find(_MARK)
    while at >= 0:
        entry = _entry_at(content, at, key)
        if entry is not None:
            yield entry
        at = content.find(_MARK, at + 1 if entry is None else entry.end)


def _behind(content: bytes, done: int) -> list[Entry] | None:
    """The entries behind number `done`; None where one is missing that should be there."""
    if not content.strip(b"\0"):
        return []
    key = _key_of(content)
    if key is None:
        return None
    entries = [entry for entry in _run(content, _START.size, key) if entry.number > done]
    last = entries[-1].number if entries else done
    misses_first = bool(entries) and entries[0].number != done + 1
    return None if misses_first or any(entry.number > last for entry in _all(content, key)) else entries


def rows(folder: Path) -> list[Row]:
    """The rows of every entry that can be read, for a rescue."""
    content = _content(folder)
    key = _key_of(content)
    found = [] if key is None else sorted(_all(content, key))
    return [row for entry in found for row in entry.rows]


def _content(folder: Path) -> bytes:
    try:
        return path(folder).read_bytes()
    except FileNotFoundError:
        return b""


def damaged(folder: Path) -> DamagedError:
    """The error for a journal that lacks an entry."""
    return DamagedError(
        f"the store in {str(folder)!r} is damaged: {NAME} lacks commits that others follow. Bring the folder back from "
        f"a copy, or save every event before the damage with ek.rescue({str(folder)!r}, into='a new folder'); that "
        "changes nothing here",
        str(folder),
        [NAME],
    )


# -- the owner's ------------------------------------------------------------------------------------------------------


class Journal:
    """A folder's journal, as its owner has it. `durable`: an append returns when it is on the device."""

    def __init__(self, folder: Path, file: int, content: bytes, *, durable: bool) -> None:
        self.folder, self._path, self._file, self._durable = folder, path(folder), file, durable
        self._content: bytes | None = content
        self._key = _key_of(content) or b""
        self._at = _START.size
        self._allocated = False
        self.number = 0

    def pending(self, done: int) -> list[Entry]:
        """What is not yet in SlateDB, which has the entries up to number `done`; raises where something is missing."""
        content, self._content = self._content or b"", None
        entries = _behind(content, done)
        if entries is None:
            raise damaged(self.folder)
        self.number = entries[-1].number if entries else done
        self._at = entries[-1].end if entries else _START.size
        return entries

    @property
    def room(self) -> int:
        """How many more bytes it takes without a wait: none before its place on the disk is made."""
        return FULL_BYTES - self._at if self._allocated and self._file >= 0 else 0

    @contextlib.contextmanager
    def held_at_once(self) -> Iterator[bool]:
        """`held`, unless that would mean to wait; whether it is."""
        is_held = device.lock(self._file, 0)
        try:
            yield is_held and self.is_owned and self._takes_bytes()
        finally:
            device.unlock(self._file)

    def _takes_bytes(self) -> bool:
        """Whether writing works where the next entry begins; there may be a limit on files, or no room on the disk."""
        try:
            device.write_at(self._file, b"\0", self._at)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else becomes the owner meanwhile; raises `SupersededError` where somebody has."""
        device.lock(self._file)
        try:
            self.check_owned()
            yield
        finally:
            device.unlock(self._file)

    def check_owned(self) -> None:
        """Raise `SupersededError` where another process has become the owner."""
        if not self.is_owned:
            raise SupersededError()

    @property
    def is_owned(self) -> bool:
        """Whether no other process has become the owner."""
        return _is_at(self._path, self._file)

    def append(self, rows: Sequence[Row]) -> bool:
        """Store an entry; False where there is no room for it. Call it while `held`."""
        entry = _encode(self._key, self.number + 1, rows)
        if self._at + len(entry) > FULL_BYTES:
            return False
        if not self._allocated:
            self._allocate()
        device.when_there_is_room(lambda: device.write_at(self._file, entry, self._at))
        if self._durable:
            device.sync(self._file, names=False)
            self.check_owned()  # an owner who is stopped for long can lose the lock
        self.number += 1
        self._at += len(entry)
        return True

    def _allocate(self) -> None:
        """Make its place on the disk, else each sync would also write down that the file has grown."""
        device.when_there_is_room(lambda: device.write_at(self._file, bytes(FULL_BYTES - self._at), self._at))
        if self._durable:
            device.sync(self._file)
        self._allocated = True

    def begin_again(self, number: int) -> None:
        """SlateDB has the rows up to entry `number`, on the device where that is asked for."""
        self.number, self._at = number, _START.size

    def open_to_others(self) -> None:
        """The store is open: whoever opens it now takes it over from here."""
        self.check_owned()
        device.unlock(self._file)

    def remove(self) -> None:
        """SlateDB has it all. Call it while `held`."""
        self._path.unlink()

    def leave(self) -> None:
        """Have no more to do with it."""
        if self._file >= 0:
            _let_go(self._file)
            self._file = -1


def take_over(folder: Path, *, durable: bool) -> Journal:
    """Become the owner of a folder's journal, which is locked until it is `open_to_others`."""
    try:
        return _taken_over(folder, durable)
    except OSError as error:
        raise StorageError(
            f"the journal in {str(folder)!r} cannot be written: {error.strerror}; make room, or choose a folder you "
            "can write to"
        ) from error


def _taken_over(folder: Path, durable: bool) -> Journal:
    while True:
        old = os.open(path(folder), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            device.lock(old, _LOCK_SECONDS)
            if _is_at(path(folder), old):
                return _replaced(folder, old, durable)
        finally:
            _let_go(old)


def _replaced(folder: Path, old: int, durable: bool) -> Journal:
    found = _read(old)
    content = found or _start(os.urandom(8))
    syncs = durable or bool(found)  # what is there may have been acknowledged as durable
    new = folder / f"{NAME}#{os.getpid()}"
    file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        device.lock(file)
        device.write_at(file, content, 0)
        if syncs:
            device.sync(file)
        new.replace(path(folder))
        late = _read(old)
        if late != found:  # an owner whose lock was passed over acknowledged it before the name was another file's
            device.write_at(file, late, 0)
            device.sync(file)
            content = late
        if syncs:
            device.fsync(folder)
        return Journal(folder, file, content, durable=durable)
    except BaseException:
        _let_go(file)
        new.unlink(missing_ok=True)
        raise


def _let_go(file: int) -> None:
    device.unlock(file)  # a forked child may have the file too, and would keep the lock
    os.close(file)


def _read(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except OSError:
        return False


# -- a reader's -------------------------------------------------------------------------------------------------------


class Follower:
    """A folder's journal, read beside its owner."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key: bytes | None = None
        self.first = b""  # the head of the first entry, which is another's when the file has begun again
        self._number, self._at = 0, _START.size

    def pending(self, done: int) -> list[Entry] | None:
        """What SlateDB, which has the entries up to number `done`, does not have.

        None where an entry is missing: by now SlateDB has more, or, if that is so again, the file is damaged.
        """
        for _ in range(_LOOKS):
            content = _content(self._folder)
            entries = _behind(content, done)
            self._key, self.first = _key_of(content), content[_START.size : _START.size + _HEAD.size]
            if self._is_as_before():
                break
        else:
            return None
        if entries is not None:
            self._number = entries[-1].number if entries else done
            self._at = entries[-1].end if entries else _START.size
        return entries

    def more(self) -> list[Entry] | None:
        """What has come since; None where SlateDB must be looked at again."""
        try:
            with open(path(self._folder), "rb", buffering=0) as file:
                file.seek(self._at)
                content = file.read(FULL_BYTES)
                file.seek(0)
                start = file.read(_START.size + _HEAD.size)
        except FileNotFoundError:
            return [] if self._key is None else None
        if _key_of(start) != self._key:
            return None
        entries = [] if self._key is None else list(self._following(content))
        is_same = start[_START.size :] == self.first  # else it has begun again, or with the first of these entries
        self.first = start[_START.size :]
        return entries if entries or is_same else None

    def _following(self, content: bytes) -> Iterator[Entry]:
        assert self._key is not None
        start = self._at
        for entry in _run(content, 0, self._key):
            if entry.number != self._number + 1:
                return
            self._number, self._at = entry.number, start + entry.end
            yield entry

    def _is_as_before(self) -> bool:
        """Whether the file has not begun again while it was read."""
        try:
            with open(path(self._folder), "rb", buffering=0) as file:
                start = file.read(_START.size + _HEAD.size)
        except FileNotFoundError:
            return self._key is None
        return _key_of(start) == self._key and start[_START.size :] == self.first

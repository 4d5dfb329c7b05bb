"""The journal of a store's folder: what was acknowledged, and SlateDB's own files do not hold yet.

SlateDB makes a new file of each flush, and bringing a file and its name onto the device takes several trips. The
journal is one file that is there already: an append to it takes one. When it holds `FULL_BYTES` that SlateDB does not
have, they are stored there in one go; so they are when the store is closed.

The file is a ring. What SlateDB has stays in it until others are written there, some `LAPS` - 1 times `FULL_BYTES`
later; so whoever copies the folder file by file, and gets SlateDB's files as they were before and the journal as it is
afterwards, has it all (a folder cannot be copied in one moment; see `ek.rescue`).

Whoever opens the store puts a copy in the file's place, under a lock that the owner takes for each append. The older
owner finds another file under the name then, and acknowledges nothing any more. An owner that is stopped, or waits for
a slow device, can lose its lock; so what gives the name to another file, or takes it away, is done by one process at a
time, and until all of the older file is copied, that file keeps a name of its own.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import DamagedError, StorageError, SupersededError
from eventsourcing_kit.storage import device, marker
from eventsourcing_kit.storage.journal_entries import START, behind, encode, find, key_of, newest, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventsourcing_kit.storage.journal_entries import Entry, Row
    from eventsourcing_kit.storage.marker import Marker

NAME = "journal"
OLDER_NAME = f"{NAME}#older"  # of what whoever died in a takeover had not copied yet
FULL_BYTES = 1 << 18  # that SlateDB does not have …
LAPS = 4  # … of so many times as many
LOCK_SECONDS = 2.0  # an owner has it for a moment; one that is stopped meanwhile must not keep others out
NAMING_SECONDS = 10.0


def path(folder: Path) -> Path:
    """Where a folder's journal stands."""
    return folder / NAME


def damaged(folder: Path, what: str) -> DamagedError:
    """The error for a journal with which something is wrong."""
    cure = "Bring the folder back from a copy, or save every event before the damage with "
    cure += f"ek.rescue({str(folder)!r}, into='a new folder'); that changes nothing here"
    if what is FOREIGN:
        cure = f"Move {NAME} out of the folder, and open the store again"
    return DamagedError(f"the store in {str(folder)!r} is damaged: {NAME} {what}. {cure}", str(folder), [NAME])


_LACKS = "lacks commits that others follow"
FOREIGN = "is not this store's: it holds another store's commits, or older ones, and this store left none"


def wrong(content: bytes, noted: Marker) -> str | None:
    """What is wrong with a journal, by what the folder's marker says of it; None where nothing is."""
    if not noted.knows_journal:
        return None
    key = key_of(content)
    is_own = key is not None and key.hex() == noted.journal
    if not noted.journal_bytes:
        return FOREIGN if key is not None and not is_own and any(find(content, key)) else None
    if not content.strip(b"\0"):
        return "is missing, or empty, and it held commits"
    if key is not None and not is_own:
        return "is not the one that this store left: it is another store's, or an older one"
    if len(content) < noted.journal_bytes:
        return f"is cut short: it has {len(content)} of {noted.journal_bytes} bytes"
    return None


def outstanding(content: bytes, done: int, noted: Marker) -> list[Entry] | str:
    """A journal's entries behind number `done`, up to which SlateDB has them; or what is wrong with the journal."""
    trouble, entries = wrong(content, noted), behind(content, done)
    if trouble is not None:
        return trouble
    if entries is None:
        return _LACKS
    last = entries[-1].number if entries else done
    if noted.knows_journal and noted.journal_bytes and noted.count > last:
        return f"has lost its end: entry {noted.count} was acknowledged, and it ends with {last}"
    return entries


def goes_on(content: bytes, entries: list[Entry], done: int) -> tuple[int, int]:
    """The number of the last entry, by what SlateDB has and what is `outstanding`, and where the next one goes."""
    last = entries[-1] if entries else newest(content, key_of(content))
    return entries[-1].number if entries else done, START.size if last is None else last.end


class Journal:
    """A folder's journal, as its owner has it. `durable`: an append returns when it is on the device."""

    def __init__(self, folder: Path, file: int, content: bytes, noted: Marker, *, durable: bool) -> None:
        self.folder, self._file, self._durable = folder, file, durable
        self._path = str(path(folder))  # looked up twice an append, and a Path takes longer
        self._content: bytes | None = content
        self._noted = noted  # by the owner before
        self._key = key_of(content) or b""
        opened = os.fstat(file)
        self._identity = opened.st_dev, opened.st_ino
        self.key, self.bytes = self._key.hex(), opened.st_size
        self._at, self._made = START.size, len(content)  # where it goes on, and how far its place on the disk is made
        self._pending_bytes = 0
        self._is_left = False
        self.number = 0

    def pending(self, done: int) -> list[Entry]:
        """What is not yet in SlateDB, which has the entries up to number `done`; raises where something is missing."""
        content, self._content = self._content or b"", None
        entries = outstanding(content, done, self._noted)
        if isinstance(entries, str):
            raise damaged(self.folder, entries)
        self.number, self._at = goes_on(content, entries, done)
        self._pending_bytes = sum(entry.size for entry in entries)
        return entries

    @property
    def room(self) -> int:
        """How many more bytes it takes without a wait: none where their place on the disk is not made."""
        return min(FULL_BYTES - self._pending_bytes, self._made - self._at) if self._file >= 0 else 0

    def lock(self, *, at_once: bool = False) -> bool:
        """Let nobody else become the owner until `unlock`; raises `SupersededError` where somebody has.

        With `at_once` it waits for nobody: False where the lock is not to be had now, or is no use any more.
        """
        is_locked = device.lock(self._file, 0 if at_once else None)
        if self.is_owned and (is_locked or not at_once):
            return True
        device.unlock(self._file)
        if at_once:
            return False
        raise SupersededError()

    def unlock(self) -> None:
        """The end of `lock`."""
        device.unlock(self._file)

    def check_owned(self) -> None:
        """Raise `SupersededError` where another process has become the owner."""
        if not self.is_owned:
            raise SupersededError()

    @property
    def is_owned(self) -> bool:
        """Whether no other process has become the owner."""
        try:
            found = os.stat(self._path)
        except OSError:
            return False
        return self._file >= 0 and (found.st_dev, found.st_ino) == self._identity

    @property
    def is_lost(self) -> bool:
        """Whether another process has become the owner of what this one has not left."""
        return not self.is_owned and not self._is_left  # asked last: it may be left at this moment

    def append(self, rows: Sequence[Row], *, at_once: bool = False) -> bool:
        """Store an entry, while locked; False where there is no room for it, or `at_once` where it can't be written."""
        entry = encode(self._key, self.number + 1, rows)
        if self._pending_bytes + len(entry) > FULL_BYTES:
            return False
        at = self._at if self._at + len(entry) <= LAPS * FULL_BYTES else START.size
        self._allocate(at + len(entry))
        try:
            device.write_at(self._file, entry, at)
        except OSError:  # there may be a limit on files, or no room on the disk
            if at_once:
                return False
            device.when_there_is_room(lambda: device.write_at(self._file, entry, at))
        if self._durable:
            device.sync(self._file, names=False)
        if not self.is_owned:  # an owner who is stopped for long can lose the lock
            raise SupersededError()
        self.number += 1
        self._at = at + len(entry)
        self._pending_bytes += len(entry)
        return True

    def _allocate(self, upto: int) -> None:
        """Make its place on the disk, else each sync would also write down that the file has grown."""
        made = self._made
        if upto <= made:
            return
        more = -(-upto // FULL_BYTES) * FULL_BYTES - made
        device.when_there_is_room(lambda: device.write_at(self._file, bytes(more), made))
        if self._durable:
            device.sync(self._file)
        self._made += more

    def is_stored(self, number: int) -> None:
        """SlateDB has the rows up to entry `number`, on the device where that is asked for."""
        self.number, self._pending_bytes = number, 0

    def open_to_others(self) -> None:
        """The store is open: whoever opens it now takes it over from here."""
        self.check_owned()
        device.unlock(self._file)

    def shorten(self) -> None:
        """Take no more of the disk than what was written, now that SlateDB has it all. Call it locked."""
        written = len(read(self._file).rstrip(b"\0"))
        os.ftruncate(self._file, written)

    def leave(self) -> None:
        """Have no more to do with it."""
        self._is_left = True
        file, self._file = self._file, -1
        if file >= 0:
            _let_go(file)


def take_over(folder: Path, *, durable: bool) -> Journal:
    """Become the owner of a folder's journal, which is locked until it is `open_to_others`."""
    try:
        return _taken_over(folder, durable)
    except OSError as error:
        raise StorageError(
            f"the journal in {str(folder)!r} cannot be written: {error.strerror}; make room, or choose a folder you "
            "can write to"
        ) from error


def refuse(folder: Path) -> None:
    """Where files have no locks there is no owner; raise where another system has left a journal."""
    noted = marker.known(folder)
    if noted.journal_bytes if noted.knows_journal else path(folder).exists():
        raise StorageError(
            f"{NAME} in {str(folder)!r} holds what a process on another system stored and could not bring to its "
            "place, and here it cannot be taken over: open and close the store there once, or save its events with "
            f"ek.rescue({str(folder)!r}, into='a new folder')"
        )


def _taken_over(folder: Path, durable: bool) -> Journal:
    while True:
        old = os.open(path(folder), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            device.lock(old, LOCK_SECONDS)
            with naming(folder):
                _finish(folder)
                if device.is_at(path(folder), old):
                    return _replaced(folder, old, durable)
        finally:
            _let_go(old)


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Nobody else gives the journal's name to another file, or takes it away, meanwhile."""
    file = os.open(folder, os.O_RDONLY)
    try:
        if device.lock(file, NAMING_SECONDS) is False:
            raise StorageError(
                f"another process has been opening or closing the store in {str(folder)!r} for {NAMING_SECONDS:.0f} "
                "s; if it is stopped, let it go on, or end it"
            )
        yield
    finally:
        _let_go(file)


def _finish(folder: Path) -> None:
    """Whoever died before all of the older file was copied had not yet begun: the older file is the journal again."""
    older = folder / OLDER_NAME
    with contextlib.suppress(FileNotFoundError):
        older.replace(path(folder))
        older.unlink()  # it stays where both are names of one file
    for left in folder.glob(f"{NAME}#*"):
        left.unlink(missing_ok=True)


def _replaced(folder: Path, old: int, durable: bool) -> Journal:
    found, noted = read(old), marker.known(folder)
    trouble = wrong(found, noted)
    if trouble is not None:
        raise damaged(folder, trouble)
    content = found or start_of(os.urandom(8))
    is_needed = bool(found) and not (noted.knows_journal and not noted.journal_bytes)
    syncs = durable or is_needed  # what is there may have been acknowledged as durable
    new, older = folder / f"{NAME}#{os.getpid()}", folder / OLDER_NAME
    file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        device.lock(file)
        device.set_sync_flag(new, on=False)  # which it has from its folder: each write would be a trip of its own
        device.write_at(file, content, 0)
        os.ftruncate(file, max(len(content), FULL_BYTES))  # so that one that is cut off is too short
        if syncs:
            device.sync(file)
        if found:
            with contextlib.suppress(OSError):  # a filesystem without links
                os.link(path(folder), older)
        new.replace(path(folder))
        late = read(old)
        if late != found:  # an owner whose lock was passed over acknowledged it before the name was another file's
            device.write_at(file, late, 0)
            device.sync(file)
            content = late
        older.unlink(missing_ok=True)
        if syncs:
            device.fsync(folder)  # else it could be there again after a power cut
        return Journal(folder, file, content, noted, durable=durable)
    except BaseException:
        _let_go(file)
        new.unlink(missing_ok=True)
        raise


def _let_go(file: int) -> None:
    device.unlock(file)  # a forked child may have the file too, and would keep the lock
    os.close(file)


def read(file: int) -> bytes:
    """All that an open journal holds."""
    return os.pread(file, os.fstat(file).st_size, 0)

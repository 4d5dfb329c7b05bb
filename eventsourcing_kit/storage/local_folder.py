"""A store's folder on a local disk: made ready before it is opened, and synced before what is in it is relied on.

    log/          SlateDB's own: wal/, manifest/, compacted/, compactions/, gc/
    journal       commits that are not in there yet (`journal`), and for a while those that are
    end           where the log ended, how much is safe on the device, which journal there is (`marker`)
    set-aside/    what a power cut left half-written (`repair`)

"Relied on" means: before rows leave the journal (`keeping`). SlateDB never fsyncs local files. Syncing only its write-
ahead log makes a power cut worse, not better: each sync also commits the *names* of manifests and tables whose contents
are still in memory. So wherever the filesystem knows the sync flag (`chattr +S`: ext4, btrfs, xfs) everything but the
write-ahead log is written through. Elsewhere new files of the other folders are synced then too, a marker names the
newest manifest that is safe, and after a power cut those behind it are set aside (`repair`); nothing is collected there
but by the marker.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import weakref
from typing import TYPE_CHECKING, NamedTuple

from eventsourcing_kit.errors import StorageError, SupersededError
from eventsourcing_kit.storage import device, wal
from eventsourcing_kit.storage.slate import files
from eventsourcing_kit.storage.sweep import sweep
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventsourcing_kit.storage.marker import Owned

_ROOM_BYTES = 1 << 20
_PROBE_BYTES = 1 << 16
_SETTLED_NS = 50_000_000  # a folder's time of change is that coarse: a file made in the same moment does not move it
_SWEEP_SECONDS = 60.0
_PARTS = ("gc", "compacted", "compactions", "manifest")


def prepare(folder: Path) -> None:
    """Make the folder, and fail at once where it cannot be written: SlateDB would wait for ever."""
    try:
        device.make_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        if is_full(folder):
            raise StorageError(f"the disk of {str(folder)!r} is full; make room, and open the store again") from error
        raise StorageError(
            f"{str(folder)!r} cannot be a store's folder: {error.strerror}; choose a folder you can write to"
        ) from error


def is_store(folder: Path) -> bool:
    """Whether a store was ever opened in the folder."""
    return (folder / "log" / "manifest").is_dir()


def is_full(folder: Path) -> bool:
    """Whether the folder's disk has too little room for a commit."""
    try:
        return shutil.disk_usage(folder).free < _ROOM_BYTES
    except OSError:
        return False


class Place:
    """A store's folder as it was when the store was opened: its name may lead elsewhere by now, or nowhere."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._path = folder, str(folder / "log")
        self._file: int | None = None
        with contextlib.suppress(OSError):  # Windows opens no folder, and moves none that is in use
            self._file = os.open(self._path, os.O_RDONLY)  # held open, so that no other gets its number
            self._let_go = weakref.finalize(self, os.close, self._file)
            self._let_go.atexit = False

    def leave(self) -> None:
        """Hold it no longer: the store is closed."""
        if self._file is not None:
            self._file = None
            self._let_go()

    @property
    def is_there(self) -> bool:
        """Whether the name still leads to it."""
        return self._file is None or device.is_at(self._path, self._file)

    @property
    def trouble(self) -> str:
        """What to say where it doesn't."""
        return (
            f"the store's folder {str(self.folder)!r} was moved, deleted or replaced while the store was open, so "
            "nothing is stored or read there; bring it back, or open the store with EventStore(…) where it is now"
        )


class Seen(NamedTuple):
    """The number of the newest file of the write-ahead log, and when the log's folder was changed."""

    number: int
    changed_ns: int


NOTHING_SEEN = Seen(0, 0)


def newest(folder: Path, seen: Seen) -> Seen:
    """What there is to see now; another number than in `seen` after any commit of any process.

    Each flush makes the file of the next number, so looking for that one finds what a clock would miss: two commits
    within one tick of the filesystem's. Where it is missing and yet the folder has changed, old files were collected,
    or the folder is another one, and a listing tells.
    """
    try:
        changed_ns = os.stat(wal.folder(folder)).st_mtime_ns
    except OSError:
        return NOTHING_SEEN
    number = seen.number
    while number and wal.path(folder, number + 1).exists():
        number += 1
    if number == 0 or (number == seen.number and changed_ns != seen.changed_ns):
        number = max(wal.sizes(folder), default=0)
    return Seen(number, changed_ns)


def write_through(folder: Path) -> bool:
    """Have new files written through, contents before names; False where the filesystem knows no such flag."""
    parts = [folder, folder / "log", *(folder / "log" / part for part in _PARTS)]
    return all([device.set_sync_flag(part, on=True) for part in parts if part.exists()])


class Files:
    """The files of a store beside its write-ahead log: synced when they are new."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, folder / "log"
        self._stamps: dict[str, int] = {}
        self._synced: dict[str, dict[str, int]] = {}

    def sync(self) -> int | None:
        """Sync what is new, contents before names; the newest manifest that is safe now, or None: nothing is new.

        The manifests are listed first: what they refer to was there before them.
        """
        changed = {part: stamp for part in _PARTS if (stamp := self._stamp(part)) != self._stamps.get(part)}
        if not changed:
            return None
        newest = files.newest_manifest(self._folder)
        for part, stamp in changed.items():
            self._sync_folder(part)
            if stamp is not None and time.time_ns() - stamp > _SETTLED_NS:
                self._stamps[part] = stamp
        device.fsync(self._log)
        device.fsync(self._folder)
        return newest

    def _stamp(self, part: str) -> int | None:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self._log / part).st_mtime_ns
        return None

    def _sync_folder(self, part: str) -> None:
        before, now = self._synced.get(part, {}), {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._log / part):
                with contextlib.suppress(FileNotFoundError):
                    now[entry.name] = entry.stat().st_mtime_ns
                    if before.get(entry.name) != now[entry.name]:
                        device.fsync(self._log / part / entry.name)
            if now != before:
                device.fsync(self._log / part)
        self._synced[part] = now


def sync_all(folder: Path) -> None:
    """Sync every file of a store."""
    for number in sorted(wal.sizes(folder)):
        device.fsync(wal.path(folder, number))
    device.fsync(wal.folder(folder))
    Files(folder).sync()


class Sync:
    """Brings what a commit needs onto the device. Made after the store is opened; called after each flush.

    `noted` is the marker as it was written before the opening; `end` is where the log ends.
    """

    def __init__(self, folder: Path, noted: Owned, *, end: Callable[[], tuple[int, str]]) -> None:
        self._folder, self._wal, self._noted, self._end = folder, wal.folder(folder), noted, end
        safe = noted.now
        if safe.written_through:
            device.set_sync_flag(self._wal, on=False)  # these files are synced here, which is cheaper than the flag
        self._files = Files(folder)
        self._beside = Worker("eventsourcing-kit-sync")
        self._swept = time.monotonic()
        sizes = wal.sizes(folder)
        self._next = 1 + max(sizes, default=0)
        for number in sorted(sizes):
            if number > safe.wal:
                device.fsync(wal.path(folder, number))
        device.fsync(self._wal)
        newest = self._files.sync()
        if not self._mark(newest, fences=wal.fences(sizes)):
            raise SupersededError("another writer opened the store at the same time; open it again with EventStore(…)")

    def __call__(self) -> None:
        """Return when every file written so far is on the device."""
        names = self._beside.begin(lambda: device.fsync(self._wal))  # the device takes both in little more time
        try:
            while device.fsync(self._wal / wal.name(self._next)):
                self._next += 1
        finally:
            names.outcome()
        if not self._noted.now.written_through:
            newest = self._files.sync()
            if (
                newest is not None
                and newest != self._noted.now.manifest
                and device.when_there_is_room(lambda: self._mark(newest))
            ):
                self._sweep()

    def close(self, *, in_place: bool) -> None:
        """No more is to be synced; nor noted, where the folder is not `in_place` any more."""
        if in_place:
            with contextlib.suppress(OSError):  # the marker of the opening holds as well
                self._mark(self._files.sync())
        self._beside.end()

    def _mark(self, newest: int | None, fences: tuple[int, ...] | None = None) -> bool:
        """Note how far all is safe, unless another writer has taken the store over."""
        safe, end = self._noted.now, self._end()
        return self._noted.change(
            sync=True,
            manifest=safe.manifest if newest is None else newest,
            wal=self._next - 1,
            syncs=True,
            position=end[0],
            **({"end": end} if end[0] else {}),
            fences=safe.fences if fences is None else fences,
        )

    def _sweep(self) -> None:
        """SlateDB's own collector would go by a manifest that a power cut can still take away."""
        if time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._swept = time.monotonic()
            with contextlib.suppress(StorageError, OSError):
                sweep(self._folder, durable=self._noted.now.manifest)

"""A store's folder on a local disk: made ready before it is opened, and synced before an append is acknowledged.

SlateDB never fsyncs local files. Syncing only its write-ahead log makes a power cut worse, not better: each sync also
commits the *names* of manifests and tables whose contents are still in memory. So wherever the filesystem knows the
sync flag (`chattr +S`: ext4, btrfs, xfs) everything but the write-ahead log is written through, and elsewhere new files
of the other folders are synced before the acknowledgement too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

from eventsourcing_kit.errors import StorageError
from eventsourcing_kit.worker import Worker

try:
    import fcntl
except ImportError:  # Windows has neither the flag nor the module
    fcntl = None  # type: ignore[assignment]

_ROOM_BYTES = 1 << 20
_GET_FLAGS, _SET_FLAGS, _SYNC_FLAG = 0x80086601, 0x40086602, 8


def prepare(folder: Path) -> None:
    """Make the folder, and fail at once where it cannot be written: SlateDB would wait for ever."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
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
    wal = folder / "log" / "wal"
    try:
        changed_ns = os.stat(wal).st_mtime_ns
    except OSError:
        return NOTHING_SEEN
    number = seen.number
    while number and _wal_file(wal, number + 1).exists():
        number += 1
    if number == 0 or (number == seen.number and changed_ns != seen.changed_ns):
        number = last_wal_number(wal)
    return Seen(number, changed_ns)


def last_wal_number(wal: Path) -> int:
    """The number of the newest file of a write-ahead log; 0 where there is none."""
    return max((int(name[:20]) for name in os.listdir(wal) if name.endswith(".sst")), default=0)


def _wal_file(wal: Path, number: int) -> Path:
    return wal / f"{number:020d}.sst"


class Sync:
    """Brings what a commit needs onto the device. Made after the store is opened; called after each flush."""

    def __init__(self, folder: Path, *, written_through: bool) -> None:
        self._log = folder / "log"
        self._wal = self._log / "wal"
        self._written_through = written_through
        if written_through:
            set_sync_flag(self._wal, on=False)  # these files are synced here, which is cheaper than written through
        self._next = 1 + last_wal_number(self._wal)
        self._stamps: dict[Path, int] = {}
        self._beside = Worker("eventsourcing-kit-sync")
        self._sync_others()

    def __call__(self) -> None:
        """Return when every file written so far is on the device."""
        if not self._written_through:
            self._sync_others()
        names = self._beside.begin(lambda: _fsync(self._wal))  # the device takes both in little more than one's time
        try:
            while _fsync(_wal_file(self._wal, self._next)):
                self._next += 1
        finally:
            names.outcome()

    def close(self) -> None:
        """No more is to be synced."""
        self._beside.end()

    def _sync_others(self) -> None:
        """New files of the other folders, contents before names."""
        for part in ("gc", "compacted", "compactions", "manifest"):
            folder = self._log / part
            with contextlib.suppress(FileNotFoundError):
                stamp = os.stat(folder).st_mtime_ns
                if stamp != self._stamps.get(folder):
                    since = self._stamps.get(folder, 0)
                    for name in os.listdir(folder):
                        with contextlib.suppress(FileNotFoundError):  # another process' temporary file: gone by now
                            if os.stat(folder / name).st_mtime_ns >= since - 1_000_000_000:
                                _fsync(folder / name)
                    _fsync(folder)
                    self._stamps[folder] = stamp
        _fsync(self._log)
        _fsync(self._log.parent)


def _fsync(path: Path) -> bool:
    """Sync a file or a folder; False where there is none."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: os.fsync stops at the disk's cache
        if full is not None and fcntl is not None:
            fcntl.fcntl(file, full)
        else:
            os.fsync(file)
    finally:
        os.close(file)
    return True


def set_sync_flag(path: Path, *, on: bool) -> bool:
    """Set or clear the flag by which new files below `path` are written through; False where it is not known."""
    if fcntl is None or not hasattr(os, "O_DIRECTORY"):
        return False
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        buffer = bytearray(8)
        fcntl.ioctl(file, _GET_FLAGS, buffer)
        (flags,) = struct.unpack_from("=I", buffer)
        flags = flags | _SYNC_FLAG if on else flags & ~_SYNC_FLAG
        fcntl.ioctl(file, _SET_FLAGS, struct.pack("=Q", flags))
    except OSError:
        return False
    finally:
        os.close(file)
    return True

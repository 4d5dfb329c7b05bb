"""What reaches the device: files and folders synced, a flag by which they are written through, and this boot's name."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

try:
    import fcntl
except ImportError:  # Windows has neither the flag nor the module
    fcntl = None  # type: ignore[assignment]  # None says so to every use of it

GET_FLAGS, _SET_FLAGS, SYNC_FLAG = 0x80086601, 0x40086602, 8
AGAIN_SECONDS = 0.5
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOCK_LOOK_SECONDS = 0.002
T = TypeVar("T")
HAS_LOCKS = fcntl is not None
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def fsync(path: Path) -> bool:
    """Sync a file or a folder; False where there is none."""
    if os.name == "nt" and path.is_dir():
        return True  # Windows keeps names safe by itself, and opens no folder
    try:
        file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        sync(file)
    finally:
        os.close(file)
    return True


def sync(file: int, *, names: bool = True) -> None:
    """Sync an open file; without `names` only its content, which must not have grown."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: os.fsync stops at the disk's cache
    if full is not None and fcntl is not None:
        fcntl.fcntl(file, full)
    elif names:
        os.fsync(file)
    else:
        os.fdatasync(file)


def is_at(path: Path | str, file: int) -> bool:
    """Whether a path leads to an open file or folder."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except OSError:
        return False


def write_at(file: int, content: bytes, at: int) -> None:
    """Write all of it at a place of an open file."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file, rest, at)
        rest, at = rest[written:], at + written


def lock(file: int, seconds: float | None = None) -> bool | None:
    """Lock an open file or folder against all others who do, at most waiting so long.

    False where the lock is not to be had in time, None where the filesystem knows none. The system unlocks it when a
    process dies.
    """
    if fcntl is None:
        return None
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if end is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(_LOCK_LOOK_SECONDS)
        except (OSError, ValueError):  # the second where the file was closed meanwhile
            return None


def unlock(file: int) -> None:
    """Let others lock it."""
    if fcntl is not None:
        with contextlib.suppress(OSError, ValueError):
            fcntl.flock(file, fcntl.LOCK_UN)


def when_there_is_room(work: Callable[[], T]) -> T:
    """Do it, on a full disk again and again until there is room: as SlateDB's own writes do.

    Those who wait for it are told.
    """
    while True:
        try:
            return work()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            time.sleep(AGAIN_SECONDS)


def write(path: Path, content: bytes, *, sync: bool) -> None:
    """Replace a file's content at one stroke: a power cut leaves the old content or the new."""
    beside = path.with_name(f"{path.name}#{os.getpid()}")
    try:
        beside.write_bytes(content)
        if sync:
            fsync(beside)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    if sync:
        fsync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, their names synced."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        fsync(path.parent)


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
        fcntl.ioctl(file, GET_FLAGS, buffer)
        (flags,) = struct.unpack_from("=I", buffer)
        flags = flags | SYNC_FLAG if on else flags & ~SYNC_FLAG
        fcntl.ioctl(file, _SET_FLAGS, struct.pack("=Q", flags))
    except OSError:
        return False
    finally:
        os.close(file)
    return True


@cache
def boot_id() -> str | None:
    """A name that is another after each start of the machine; None where the system tells none."""
    if sys.platform == "darwin":
        size = ctypes.c_size_t(64)
        buffer = ctypes.create_string_buffer(size.value)
        failed = ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0)
        return None if failed else buffer.value.decode()
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None

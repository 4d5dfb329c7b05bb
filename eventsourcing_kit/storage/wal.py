"""The files of SlateDB's write-ahead log in a folder: numbered without a gap, one a flush, an empty one an opening.

SlateDB takes a file of up to ten bytes for the mark of an opening, whatever it held before a power cut, and passes
over it in silence; so files are looked at here before it sees them.
"""

from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING

from eventsourcing_kit.storage import keys
from eventsourcing_kit.storage.slate import files

if TYPE_CHECKING:
    from pathlib import Path

_ENDING = ".sst"
SMALLEST_BYTES = 11
_SECTOR_BYTES = 512
_FOOT = struct.Struct(">QH")  # where the table's description begins, and the version of its format


def folder(store: Path) -> Path:
    """The folder of a store's write-ahead files."""
    return store / "log" / "wal"


def name(number: int) -> str:
    """A file's name."""
    return f"{number:020d}{_ENDING}"


def path(store: Path, number: int) -> Path:
    """Where a file stands."""
    return folder(store) / name(number)


def sizes(store: Path) -> dict[int, int]:
    """Number and size in bytes of each file."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder(store)):
            stem = entry.name.removesuffix(_ENDING)
            if entry.name.endswith(_ENDING) and stem.isdigit():
                with contextlib.suppress(FileNotFoundError):  # collected meanwhile
                    found[int(stem)] = entry.stat().st_size
    return found


def fences(found: dict[int, int]) -> tuple[int, ...]:
    """The files that mark openings, once it is known that nothing is missing."""
    return tuple(sorted(number for number, size in found.items() if size == 0))


def is_cut_off(file: Path) -> bool:
    """Whether a table has no end: it was cut off, or its end is zeros. SlateDB may panic over such a file."""
    opened = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # a folder may have thousands of these
    try:
        size = os.fstat(opened).st_size
        if size <= _FOOT.size:
            return True
        os.lseek(opened, size - _FOOT.size, os.SEEK_SET)
        begins, version = _FOOT.unpack(os.read(opened, _FOOT.size))
    finally:
        os.close(opened)
    return version not in (1, 2) or not 0 < begins < size - _FOOT.size


def is_torn(file: Path) -> bool:
    """Whether a table looks as a power cut leaves it: cut off, or a sector of zeros. (A flipped byte does not.)"""
    content = file.read_bytes()
    sectors = (content[at : at + _SECTOR_BYTES] for at in range(0, len(content), _SECTOR_BYTES))
    return is_cut_off(file) or any(not any(sector) for sector in sectors)


def positions(store: Path, number: int) -> tuple[int, int] | None:
    """The first and the last position among a file's commits; None where it holds none. Raises where it is damaged."""
    entries = [
        keys.commit_entry(key, value)
        for key, value in files.wal_rows(store, number)
        if keys.COMMITS[0] <= key < keys.COMMITS[1]
    ]
    if not entries:
        return None
    return min(entry.first for entry in entries), max(entry.last for entry in entries)

"""The file `end` in a store's folder: where its log ended, how much is on the device, and which journal it left.

    20 digits, their CRC-32 in hexadecimal     the number of the last journal entry that was acknowledged
    JSON                                       a `Marker`
    the SHA-256 of the JSON in hexadecimal

The first line is written in place after each append and never synced: it tells exactly where a process was killed, and
after a power cut what had reached the device by then, which is no more than the journal holds. The rest is replaced at
one stroke, when a store is opened and closed, and where new files of SlateDB's must be relied on. Whoever opens the
store next compares it with what is there.

So a journal that is missing, emptied, shorter, older or another store's is seen, and so is one whose last entries are
gone, as long as the first line reached the device: always after a crash of the process; after a power cut but for
those of the last seconds, which then look as if they had never been acknowledged. Whoever removes this file, too,
leaves no trace.

Kits before this wrote `end` in another form, and `durable.json`; both are read. They take this file for a damaged one,
so none of them calls a log sound whose end only this file knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import zlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import RecordError
from eventsourcing_kit.storage import device

if TYPE_CHECKING:
    from pathlib import Path

NAME = "end"
OLD_NAME = "durable.json"
_OLD_END = re.compile(rb"(0|[1-9][0-9]*) ([0-9a-f]{64})\n")


@dataclass(frozen=True)
class Marker:
    """What is known of a folder.

    boot      the boot of the machine in which this was written
    writer    who wrote this, so that a writer that was superseded keeps its hands off
    manifest  the newest manifest that is on the device with all that it refers to; None where that is not known
    written_through  whether the filesystem itself brings what is newer onto the device in order
    wal       write-ahead files up to this one are on the device
    syncs     whether the store was open for appends that sync what comes after
    position  the log reached at least this position
    fences    write-ahead files that are empty because they mark an opening, not because something was lost
    end       the log's last position and the SHA-256 of its commit, when it was last closed or opened
    journal   the key of the journal that was last there, in hexadecimal; None where that is not known
    journal_bytes  the size of that journal's file; 0 where it was taken away, because SlateDB has it all
    count     the number of the last journal entry that was acknowledged
    """

    boot: str | None = None
    writer: str = ""
    manifest: int | None = None
    written_through: bool = False
    wal: int = 0
    syncs: bool = False
    position: int = 0
    fences: tuple[int, ...] = ()
    end: tuple[int, str] | None = None
    journal: str | None = None
    journal_bytes: int = 0
    count: int = 0

    @property
    def is_of_this_boot(self) -> bool:
        """Whether no power cut can have come since."""
        return self.boot is not None and self.boot == device.boot_id()

    @property
    def knows_journal(self) -> bool:
        """Whether what it says of the journal holds: a power cut may take what was not synced."""
        return self.journal is not None and (self.is_of_this_boot or self.syncs)


class Owned:
    """A folder's marker, as the folder's writer has it."""

    def __init__(self, folder: Path, marker: Marker, damage: RecordError | None = None) -> None:
        self._folder, self._file = folder, -1
        self.now = marker
        self.found_end, self.damage = marker.end, damage  # as the session before left it
        self._write(marker, sync=True)
        with contextlib.suppress(FileNotFoundError):
            (folder / OLD_NAME).unlink()

    def expect(self, **fields: Any) -> None:
        """Have this noted with the next change."""
        self.now = replace(self.now, **fields)

    def change(self, *, sync: bool, **fields: Any) -> bool:
        """Note what is new, unless another writer has taken the store over: then its marker counts, and it is False.

        An end is noted where it is a later one.
        """
        with contextlib.suppress(RecordError):
            if read(self._folder).writer not in ("", self.now.writer):
                return False
        if self.now.end is not None and "end" in fields and fields["end"][0] <= self.now.end[0]:
            del fields["end"]
        changed = replace(self.now, count=self._count, **fields)
        if changed != replace(self._written, count=self._count):
            self._write(changed, sync=sync)
        return True

    def count(self, number: int) -> None:
        """Note that the journal's entries up to a number are acknowledged; quiet where that fails: it only helps."""
        self._count = number
        with contextlib.suppress(OSError):
            if self._file < 0:
                self._file = os.open(self._folder / NAME, os.O_WRONLY)
            os.pwrite(self._file, _counted(number), 0)

    def _write(self, marker: Marker, *, sync: bool) -> None:
        write(self._folder, marker, sync=sync)
        if marker.written_through:
            device.set_sync_flag(self._folder / NAME, on=False)  # else each count would be a trip to the device
        self.now = self._written = marker
        self._count = marker.count
        self.close()

    def close(self) -> None:
        """Count no more."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def read(folder: Path) -> Marker:
    """The folder's marker, one that knows nothing where there is none; raises `RecordError` where it is damaged."""
    content, old = _content(folder / NAME), _old(folder)
    if content is None:
        return old or Marker()
    if found := _OLD_END.fullmatch(content):
        return replace(old or Marker(), end=(int(found[1]), found[2].decode()))
    marker = _parsed(content)
    return marker if old is None else replace(old, end=marker.end)  # an older kit was here since


def known(folder: Path) -> Marker:
    """The folder's marker; one that knows nothing where there is none, or it is damaged."""
    with contextlib.suppress(RecordError):
        return read(folder)
    return _old(folder) or Marker()


def write(folder: Path, marker: Marker, *, sync: bool) -> None:
    """Replace the folder's marker."""
    fields = asdict(marker)
    count = fields.pop("count")
    text = json.dumps(fields).encode()
    device.write(folder / NAME, _counted(count) + text + b"\n" + _digest(text) + b"\n", sync=sync)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _old(folder: Path) -> Marker | None:
    try:
        fields = json.loads(_content(folder / OLD_NAME) or b"")
        return Marker(**{**fields, "fences": tuple(fields["fences"])})
    except (ValueError, TypeError, KeyError):
        return None


def _parsed(content: bytes) -> Marker:
    counted, _, rest = content.partition(b"\n")
    text, _, digest = rest.partition(b"\n")
    if digest != _digest(text) + b"\n":
        raise RecordError(f"the file {NAME!r} in the store's folder, which tells where its log ended, is damaged")
    fields = json.loads(text)
    end = None if fields["end"] is None else tuple(fields["end"])
    number = int(counted[:20]) if counted[:20].isdigit() else 0
    is_torn = _counted(number) != counted + b"\n"  # which harms nothing else
    return Marker(**{**fields, "fences": tuple(fields["fences"]), "end": end, "count": 0 if is_torn else number})


def _counted(number: int) -> bytes:
    digits = b"%020d" % number
    return b"%s %08x\n" % (digits, zlib.crc32(digits))


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()

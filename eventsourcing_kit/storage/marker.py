"""The file `durable.json` in a store's folder: how far the store is known to be on the device.

It is written when a store is opened and when it is closed, and, where the filesystem does not write through, before
every acknowledgement that relies on a new manifest. Whoever opens the store next compares it with what is there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from eventsourcing_kit.storage import device

if TYPE_CHECKING:
    from pathlib import Path

NAME = "durable.json"


@dataclass(frozen=True)
class Marker:
    """What is on the device for certain.

    boot      the boot of the machine in which this was written
    writer    who wrote this, so that a writer that was superseded keeps its hands off
    manifest  the newest manifest, with all that it refers to; None where that is not known
    written_through  whether the filesystem itself brings what is newer onto the device in order
    wal       write-ahead files up to this one are on the device
    syncs     whether the store was open for appends that sync what comes after
    position  the log reached at least this position
    fences    write-ahead files that are empty because they mark an opening, not because something was lost
    """

    boot: str | None = None
    writer: str = ""
    manifest: int | None = None
    written_through: bool = False
    wal: int = 0
    syncs: bool = False
    position: int = 0
    fences: tuple[int, ...] = ()

    @property
    def is_of_this_boot(self) -> bool:
        """Whether no power cut can have come since."""
        return self.boot is not None and self.boot == device.boot_id()


def read(folder: Path) -> Marker | None:
    """The folder's marker, or None where there is none that can be read."""
    try:
        fields = json.loads((folder / NAME).read_bytes())
        return Marker(**{**fields, "fences": tuple(fields["fences"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(folder: Path, marker: Marker, *, sync: bool) -> None:
    """Replace the folder's marker."""
    device.write(folder / NAME, json.dumps(asdict(marker)).encode(), sync=sync)

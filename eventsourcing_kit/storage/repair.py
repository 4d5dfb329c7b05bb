"""What a power cut left half-written is set aside before a store is opened.

On the same boot nothing was lost, whoever died, and another process may be the writer: then nothing is touched.
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import RecordError, StorageError
from eventsourcing_kit.storage import device, local_folder, marker, wal
from eventsourcing_kit.storage.marker import Marker, Owned
from eventsourcing_kit.storage.slate import files

if TYPE_CHECKING:
    from pathlib import Path

_ASIDE = "set-aside"


def make_ready(folder: Path, *, fsync: bool) -> Owned:
    """Mend what a power cut left, and note how files are synced from here on."""
    try:
        damage = None
        try:
            safe = marker.read(folder)
        except RecordError as error:
            safe, damage = marker.known(folder), error
        if not safe.is_of_this_boot:
            _mend(folder, safe)
        written_through = fsync and local_folder.write_through(folder)
        begun = replace(
            safe,
            boot=device.boot_id(),
            writer=uuid.uuid4().hex,
            manifest=_safe_manifest(folder, safe, written_through) if fsync else None,
            written_through=written_through,
            wal=_safe_wal(folder, safe),
            syncs=fsync and safe.syncs,  # until all that other sessions left is synced too
            journal=safe.journal if safe.knows_journal else None,
            count=safe.count if safe.knows_journal else 0,
        )
        return Owned(folder, begun, damage)
    except OSError as error:
        raise StorageError(
            f"{str(folder)!r} cannot be made ready: {error.strerror}; make room, or choose a folder you can write to"
        ) from error


def note_fences(folder: Path, noted: Owned) -> None:
    """After an opening that does not sync: its empty files are known from now on."""
    noted.change(sync=False, fences=wal.fences(wal.sizes(folder)))


def _safe_manifest(folder: Path, safe: Marker, written_through: bool) -> int | None:
    if written_through or (safe.manifest is not None and not safe.written_through):
        return safe.manifest
    return local_folder.Files(folder).sync() or 0


def _safe_wal(folder: Path, safe: Marker) -> int:
    """A session that syncs leaves at most its last file unsynced."""
    held = [number for number, size in wal.sizes(folder).items() if size]
    return max(safe.wal, max(held, default=0) - 1) if safe.syncs else safe.wal


# -- after a power cut ------------------------------------------------------------------------------------------------


def _mend(folder: Path, safe: Marker) -> None:
    aside = folder / _ASIDE / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    if safe.manifest is not None and not safe.written_through:
        _set_manifests_aside(folder, safe.manifest, aside)
    _set_torn_tail_aside(folder, safe, aside)


def _set_manifests_aside(folder: Path, newest_safe: int, aside: Path) -> None:
    """Manifests that no acknowledgement relied on may be half-written, and so may what they refer to.

    Their commits stand in the write-ahead log as well, which is kept until a newer manifest is safe. The notes on
    compactions hold only what was going on.
    """
    log = folder / "log"
    if newest_safe == 0:  # nothing was ever acknowledged
        _move([log], aside)
        return
    numbers = files.numbered(folder, files.MANIFEST)
    newer = [files.path(folder, files.MANIFEST, number) for number in reversed(numbers) if number > newest_safe]
    notes = [*(log / "compactions").glob("*"), *(file for file in (log / "gc").glob("*") if not file.stat().st_size)]
    _move(newer, aside / "manifest")
    _move(notes, aside / "notes")


def _set_torn_tail_aside(folder: Path, safe: Marker, aside: Path) -> None:
    """A write-ahead file behind all that was acknowledged, half-written, would keep the store from opening.

    A session that syncs can leave one such file. An empty one takes its place, because numbers may not be missing.
    """
    for number, size in sorted(wal.sizes(folder).items(), reverse=True):
        file = wal.path(folder, number)
        if number <= safe.wal or (size and not wal.is_torn(file)):
            return
        if size:
            _move([file], aside / "wal")
            file.touch()
            device.fsync(file)
            device.fsync(file.parent)
            if safe.syncs:
                return


def _move(paths: list[Path], into: Path) -> None:
    if not paths:
        return
    device.make_folder(into)
    for path in paths:
        shutil.move(path, into / path.name)
    device.fsync(into)
    device.fsync(paths[0].parent)

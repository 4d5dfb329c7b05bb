"""Files that a store's folder needs no more, removed at each opening, so that the thousandth is as quick as the tenth.

Each opening leaves a write-ahead file, manifests and notes on compactions. SlateDB's own collector goes by age, and
openings that follow each other quickly outrun it. Here the newest manifests stay, with all that any of them needs: so
whoever opens the store beside, and has listed the files already, finds what was listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.storage import wal
from eventsourcing_kit.storage.slate import files

if TYPE_CHECKING:
    from collections.abc import Set
    from pathlib import Path

_MANIFESTS = 32  # of some ten openings
_NOTES = 16
_UNSETTLED = 8  # write-ahead files, of some four openings; whoever opens the store reads them
_UNMERGED = 4  # tables, which SlateDB merges then; with twice as many it makes no more
_SMALL_BYTES = 1 << 20


def tables(folder: Path) -> set[str]:
    """The names of the tables that are there."""
    return {file.stem for file in (folder / "log" / "compacted").glob("*.sst")}


def must_settle(folder: Path) -> bool:
    """Whether what stands in write-ahead files had better be in a table, because each opening reads so many of them."""
    newest = files.manifest(folder)
    return len(newest.unmerged) < 2 * _UNMERGED and sum(n > newest.replay_after for n in wal.sizes(folder)) > _UNSETTLED


def must_merge(folder: Path) -> bool:
    """Whether there are small tables to be merged: of openings too short for SlateDB to do it meanwhile."""
    if not files.newest_manifest(folder):
        return False
    unmerged = files.manifest(folder).unmerged
    paths = [folder / "log" / "compacted" / f"{name}.sst" for name in unmerged]
    return len(paths) >= _UNMERGED and sum(path.stat().st_size for path in paths) < _SMALL_BYTES


def sweep(folder: Path, *, durable: int | None = None, older: Set[str] = frozenset()) -> None:
    """Remove what the newest manifests don't need.

    A power cut may take away the manifests behind the `durable` one, if that is given; then it stays, too. Of the
    tables those go that are `older` than the opening of whoever is the writer now: what is newer may just be made.
    """
    merging = files.is_merging(folder)  # first: what it makes is in the newest manifest afterwards
    numbers = files.numbered(folder, files.MANIFEST)
    first = min(numbers[-_MANIFESTS:][0], numbers[-1] if durable is None else durable)
    kept = [number for number in numbers if number >= first]
    newest, oldest = files.manifest(folder), files.manifest(folder, kept[0])
    for number in set(numbers).difference(kept, newest.checkpoints):
        files.path(folder, files.MANIFEST, number).unlink(missing_ok=True)
    for number in files.numbered(folder, files.NOTES)[:-_NOTES]:
        files.path(folder, files.NOTES, number).unlink(missing_ok=True)
    for number in wal.sizes(folder):
        if number < oldest.replay_after:
            wal.path(folder, number).unlink(missing_ok=True)
    unneeded = set(older).difference(newest.tables)
    if unneeded and not merging:
        for name in unneeded.difference(*(files.manifest(folder, number).tables for number in kept)):
            (folder / "log" / "compacted" / f"{name}.sst").unlink(missing_ok=True)

"""The files of a store's folder, each read on its own, without the store that they make up."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from eventsourcing_kit.errors import StorageError
from eventsourcing_kit.storage.location import Location
from eventsourcing_kit.storage.slate.binding import FAILURES, drive, slate
from eventsourcing_kit.storage.slate.settings import DB, object_store, path_in
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

T = TypeVar("T")
_PATIENCE_SECONDS = 10.0
MANIFEST, NOTES = "manifest", "compactions"  # kinds of numbered files, by folder and ending


class Manifest(NamedTuple):
    """What a manifest says of the files that it needs."""

    replay_after: int  # the last write-ahead file whose rows are in the tables
    tables: list[str]
    unmerged: list[str]  # those that no compaction has merged yet
    checkpoints: list[int]  # older manifests that somebody holds on to


def manifest(folder: Path, number: int | None = None) -> Manifest:
    """A manifest, by default the newest; raises where it cannot be read."""
    found = _read_alone(lambda: slate.AdminBuilder(DB, object_store(Location(folder))).build().read_manifest(number))
    if found is None:
        raise StorageError("the storage failed: there is no manifest")
    trees = [found, *found.segments]
    views = [view for tree in trees for view in (*tree.l0, *(view for run in tree.compacted for view in run.sst_views))]
    held = [checkpoint.manifest_id for checkpoint in found.checkpoints]
    names, unmerged = ([view.sst.id.value for view in some] for some in (views, found.l0))
    return Manifest(found.replay_after_wal_id, names, unmerged, held)


def is_merging(folder: Path) -> bool:
    """Whether a compaction has begun that has not ended; raises where the newest notes on them cannot be read."""
    admin = slate.AdminBuilder(DB, object_store(Location(folder))).build
    found = _read_alone(lambda: admin().read_compactions(None))
    ended = (slate.CompactionStatus.COMPLETED, slate.CompactionStatus.FAILED)
    return found is not None and any(one.status not in ended for one in found.recent_compactions)


def numbered(folder: Path, kind: str) -> list[int]:
    """The numbers of a folder's files of a kind, in order."""
    with contextlib.suppress(FileNotFoundError):
        names = [name.removesuffix(f".{kind}") for name in os.listdir(folder / DB / kind) if name.endswith(f".{kind}")]
        return sorted(int(name) for name in names if name.isdigit())
    return []


def path(folder: Path, kind: str, number: int) -> Path:
    """Where a numbered file of a kind stands."""
    return folder / DB / kind / f"{number:020d}.{kind}"


def newest_manifest(folder: Path) -> int:
    """The number of the newest manifest; 0 where there is none."""
    return max(numbered(folder, MANIFEST), default=0)


def wal_rows(folder: Path, number: int) -> list[tuple[bytes, bytes]]:
    """The rows of one write-ahead file. An empty one has none; raises where the file is missing or damaged."""

    async def rows() -> Any:
        iterator = await slate.SlateDbWalReader(DB, object_store(Location(folder))).iterator(number)
        return await iterator.next()

    found = _read_alone(rows)
    return [(row.key, row.value) for row in found.rows if row.value is not None]


def remove_database(location: Location) -> None:
    """Remove all of a database."""
    _read_alone(lambda: slate.AdminBuilder(path_in(location), object_store(location)).build().delete_db(True))


def _read_alone(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        result: T = Worker("eventsourcing-kit-read").last(lambda: drive(make)).outcome(_PATIENCE_SECONDS)
    except FAILURES as error:
        raise StorageError(f"the storage failed: {error}") from error
    except TimeoutError:
        raise StorageError(f"the storage did not answer within {_PATIENCE_SECONDS:.0f} s") from None
    return result

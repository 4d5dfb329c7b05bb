"""Every event before the damage, out of a folder that cannot be opened; nothing in that folder changes.

The files are read one by one, without the store that they make up. The log begins at position 1 and each commit names
the one before by its hash, so what belongs to it, and where it ends, needs none of the files that are damaged.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import RecordError, StorageError, SupersededError
from eventsourcing_kit.records import record
from eventsourcing_kit.records.record import Commit, digest
from eventsourcing_kit.storage import damage, journal_reader, keys, local_folder, wal
from eventsourcing_kit.storage.location import Location
from eventsourcing_kit.storage.slate.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Row = tuple[bytes, bytes]
    Found = dict[int, list[bytes]]

PATIENCE_SECONDS = 5.0


def saved(folder: Path) -> Iterator[Row]:
    """The rows of the store that holds all commits before the damage; raises where there are none."""
    if not (folder / "log").is_dir():
        raise StorageError(f"{str(folder)!r} holds no event store; rescue takes a store's folder")
    commits = _chain(_records(folder))
    for number, (commit, encoded) in enumerate(commits):
        if number == 0:
            yield keys.META, commit.store.bytes
        yield from keys.rows_of(commit, encoded)


# -- the records ------------------------------------------------------------------------------------------------------


def _records(folder: Path) -> Found:
    """All records that can be read, by their first positions; two at one where a power cut took the first of them."""
    found: Found = {}
    for number in sorted(wal.sizes(folder)):
        _take(found, _rows_of(wal.path(folder, number)) or [])
    _take(found, [(key, value) for key, value in journal_reader.rows(folder) if value is not None])
    tables = [_rows_of(file) for file in sorted((folder / "log" / "compacted").glob("*.sst"))]
    for rows in tables:
        _take(found, rows or [])
    if None in tables:
        _take(found, _rows_before_the_damage(folder))
    return found


def _take(found: Found, rows: Iterable[Row]) -> None:
    for key, value in rows:
        if keys.LOG[0] <= key < keys.LOG[1]:
            records = found.setdefault(keys.number(key[1:]), [])
            if value not in records:
                records.append(value)


def _rows_of(file: Path) -> list[Row] | None:
    try:
        return damage.read_table(file) if file.stat().st_size >= wal.SMALLEST_BYTES else []
    except (StorageError, OSError):
        return None


def _rows_before_the_damage(folder: Path) -> Iterator[Row]:
    """What SlateDB reads until it meets the damage: in a damaged table the blocks before are whole."""
    if not local_folder.is_store(folder):
        return
    with suppress(StorageError, SupersededError):
        location = Location(folder)
        with closing(Table(location, read_only=True, with_wal=False, patience=PATIENCE_SECONDS)) as table:
            yield from table.scan(*keys.LOG, ahead=1, rows=1)


def _chain(found: Found) -> Iterator[tuple[Commit, bytes]]:
    """The commits from position 1 on, as long as each names the one before."""
    position, previous = 1, record.NO_PREVIOUS
    while True:
        fitting = list(_naming(previous, found.get(position, [])))
        if not fitting:
            break
        # Of two, the one counts that the log went on from.
        commit, encoded = max(fitting, key=lambda one: any(_naming(digest(one[1]), found.get(one[0].last + 1, []))))
        yield commit, encoded
        position, previous = commit.last + 1, digest(encoded)
    if position == 1:
        raise StorageError("no commit at the log's beginning can be read, so there is nothing to rescue")


def _naming(previous: bytes, records: list[bytes]) -> Iterator[tuple[Commit, bytes]]:
    """The whole records among some that name one before."""
    for encoded in records:
        with suppress(RecordError):
            commit = record.decode(encoded)
            if commit.previous == previous:
                yield commit, encoded

"""Every event before the damage, out of a folder that cannot be opened; nothing in that folder changes.

The files are read one by one, without the store that they make up. The log begins at position 1 and each commit names
the one before by its hash, so what belongs to it, and where it ends, needs none of the files that are damaged.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, RecordError, StorageError, SupersededError
from eventsourcing_kit.records import record
from eventsourcing_kit.records.record import Commit, digest
from eventsourcing_kit.storage import commit_rows, damage, journal_reader, keys, local_folder, wal
from eventsourcing_kit.storage.location import Location
from eventsourcing_kit.storage.slate.table import Table
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Row = tuple[bytes, bytes]
    Found = dict[int, list[bytes]]

_ROWS_A_WRITE = 2000
PATIENCE_SECONDS = 5.0


def saved(folder: Path) -> Iterator[Row]:
    """The rows of the store that holds all commits before the damage; raises where there are none."""
    if not (folder / "log").is_dir():
        raise StorageError(f"{str(folder)!r} holds no event store; rescue takes a store's folder")
    commits = _chain(_records(folder))
    for number, (commit, encoded) in enumerate(commits):
        if number == 0:
            yield keys.META, commit.store.bytes
        yield from commit_rows.rows_of(commit, encoded)


def fill(into: Path, rows: Iterator[Row]) -> None:
    """Make a store of the rows in a new folder."""
    first = next(rows)  # where nothing can be saved, nothing is made
    local_folder.prepare(into)
    table = Table(Location(into))
    try:
        write([first], table, flush=True)
        write(rows, table, flush=True)
    finally:
        table.close()


def write(rows: Iterable[Row], table: Table, *, flush: bool) -> None:
    """Store the rows in a table."""
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) >= _ROWS_A_WRITE:
            table.write(part, flush=flush)
            part = []
    if part:
        table.write(part, flush=flush)


def check_target(folder: Path, into: Path) -> None:
    """A rescue fills a folder of its own."""
    if into == folder or folder in into.parents:
        raise InputError(f"{str(into)!r} lies in the damaged folder, which is left as it is; give another folder")
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InputError(f"{str(into)!r} is there already; a rescue needs a new or empty folder")


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
    with suppress(StorageError, SupersededError, TimeoutError):
        table = Table(Location(folder), read_only=True, with_wal=False)
        rows = table.scan(*keys.LOG, ahead=1, rows=1)
        reading = Worker("eventsourcing-kit-rescue")  # a thread of its own: SlateDB can wait for ever there
        while (row := reading.begin(lambda: next(rows, None)).outcome(PATIENCE_SECONDS)) is not None:
            yield row
        table.close()


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

"""A store's rows written into a new place: by a copy of a store that is open, or by a rescue."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, StorageError
from eventsourcing_kit.records.record import decode
from eventsourcing_kit.storage import keys, local_folder
from eventsourcing_kit.storage.slate import files
from eventsourcing_kit.storage.slate.opening import no_store
from eventsourcing_kit.storage.slate.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.storage.location import Location

    Row = tuple[bytes, bytes]

_ROWS_A_WRITE = 2000
_BYTES_A_WRITE = 4 << 20
_RECORDS_A_FETCH = 16


def rows(log: Log) -> Iterator[Row]:
    """The rows of a store as of its end, without its id; the notes first, so that none speaks of what comes later."""
    yield from log.table.scan(*keys.NOTES)
    log.refresh()
    end, last = log.head.last, log.fork
    for _, record in log.table.scan(keys.LOG[0], keys.log(end + 1), rows=_RECORDS_A_FETCH):
        commit = decode(record)
        yield from keys.rows_of(commit, record)
        last = commit.last
    if last != end:
        raise StorageError(f"the log has a hole at position {last + 1}; verify() says what is damaged")


def check_target(into: Location, source: Path | None, patience: float | None = None) -> None:
    """Raise `InputError` where something is there already, or where the target lies in the source's folder."""
    folder = into.folder
    if folder is None:
        _check_bucket(into, patience)
    elif source is not None and (folder == source or source in folder.parents):
        raise InputError(f"{str(folder)!r} lies in the store's own folder; give another folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is there already; give a new or empty folder")


def _check_bucket(into: Location, patience: float | None) -> None:
    try:
        Table(into, read_only=True, patience=patience).close()
    except StorageError as failure:
        if str(failure) == str(no_store(into)):
            return
        raise
    raise InputError(f"{str(into)!r} holds a store already; give another prefix")


def fill(into: Location, store_id: bytes, rows: Iterable[Row], patience: float | None = None) -> None:
    """Make a store of the rows. Until they are all there, on the device, it has no id, and cannot be opened."""
    if into.folder is not None:
        local_folder.prepare(into.folder)
    with contextlib.closing(Table(into, patience=patience, merges=True)) as table:
        write([(keys.META, keys.UNFINISHED)], table, flush=True)
        write(rows, table, flush=True)
        if into.folder is not None:
            local_folder.sync_all(into.folder)
        write([(keys.META, store_id)], table, flush=True)


def write(rows: Iterable[Row], table: Table, *, flush: bool) -> None:
    """Store the rows in a table."""
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row[1])
        if len(part) >= _ROWS_A_WRITE or size >= _BYTES_A_WRITE:
            table.write(part, flush=flush)
            part, size = [], 0
    if part:
        table.write(part, flush=flush)


def remove(into: Location) -> None:
    """Take a copy away that is not whole, as far as that can be done."""
    with contextlib.suppress(StorageError):
        if into.folder is None:
            files.remove_database(into)
        for path in () if into.folder is None else list(into.folder.iterdir()):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

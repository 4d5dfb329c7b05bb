"""What is new in a log, added to its mirror: new files first, then the manifest that names them, in one step.

An update that is killed leaves files that no manifest names; the next one writes the same again, and once they are old
they are removed. Small files are merged, eight of about one size at a time, so that each event is written a few times
at most, and an update merges little, however long the log.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import StorageError
from eventsourcing_kit.mirroring import files
from eventsourcing_kit.mirroring.arrow import pa
from eventsourcing_kit.mirroring.manifest import NAME, Dropped, load
from eventsourcing_kit.mirroring.tables import Batch, Shapes
from eventsourcing_kit.records.record import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.mirroring.manifest import File, Manifest
    from eventsourcing_kit.mirroring.places import Place
    from eventsourcing_kit.records.record import Commit

_EVENTS_A_BATCH = 1 << 17
_WAITING_BYTES = 96 << 20  # of Arrow tables, before they are encoded
_WAITING_ROWS = 1 << 14  # a bucket, on average: what is encoded together takes fewer bytes
_ENCODED_BYTES = 96 << 20  # before files are written
_THREADS = 8  # that write files: a disk syncs, and a bucket answers, many at a time
_TOGETHER = 8  # files of about one size are merged
_MOST_ROWS = 1 << 18  # in a merged file
_MERGED_ROWS = 1 << 18  # about so many at most in one update, of
_MERGES = 16  # buckets at most
_OLD_SECONDS = 3600.0  # after which a file that no manifest names was left by a writer that was killed
_HOUR = 3600.0


def digest_at(log: Log, position: int) -> str | None:
    """The digest of a position: of the record of the commit that holds it; None for position 0."""
    if position == 0:
        return None
    return log.digest_at(position).hex()


def check_same(manifest: Manifest, log: Log, place: Place) -> None:
    """Refuse a log that is not the mirrored one, gone on."""
    if manifest.position == 0:
        return  # any log begins so
    if log.store_id != manifest.store:
        raise StorageError(
            f"the mirror at {str(place)!r} is of another store ({manifest.store}, not {log.store_id}); open that one, "
            "or make this store's mirror at another place"
        )
    if log.head.last < manifest.position:
        raise StorageError(
            f"the mirror at {str(place)!r} goes to position {manifest.position}, and the store to {log.head.last}: it "
            "has lost events, or was replaced by an older copy; make its mirror anew at another place"
        )
    if digest_at(log, manifest.position) != manifest.digest:
        raise StorageError(
            f"the mirror at {str(place)!r} and the store differ at position {manifest.position}: one of them goes on "
            "from another copy; make this store's mirror anew at another place"
        )


def update(place: Place, manifest: Manifest, log: Log, advance: Callable[[int], object] = lambda _: None) -> Manifest:
    """Add what the log has got since, up to its head; returns the manifest that is true now."""
    upto = log.head.last
    found = manifest
    if upto > manifest.position:
        with ThreadPoolExecutor(_THREADS) as pool:
            found = replace(manifest, store=log.store_id)
            written, shapes = _written(place, found, joined(log.commits(manifest.position, upto)), upto, pool, advance)
            types = tuple(dict.fromkeys([*manifest.types, *shapes.types]))
            found = replace(
                found,
                position=upto,
                digest=digest_at(log, upto),
                time=log.time_of(upto),
                types=types,
                fields=shapes.kinds,
                several=manifest.several or shapes.has_copies,
                tagged=manifest.tagged or shapes.has_tags,
                files=manifest.files + tuple(written),
            )
            found = _merged(place, found, pool)
            place.settle([one.path for one in found.files[-2 * manifest.buckets :]])
    found, removable = _collected(found)
    if found != manifest:
        found.save(place)
    for path in removable:
        place.remove(path)
    if removable:
        sweep(place, found)
    return found


# -- written ---------------------------------------------------------------------------------------------------------


def _written(
    place: Place,
    manifest: Manifest,
    commits: Iterable[Commit],
    upto: int,
    pool: ThreadPoolExecutor,
    advance: Callable[[int], object],
) -> tuple[list[File], Shapes]:
    writing = _Writing(place, manifest, pool)
    batch = Batch()
    for commit in commits:
        for rows in _parts(commit, manifest.position, upto):
            batch.add(commit, rows)
            advance(len(rows))
            if batch.count >= _EVENTS_A_BATCH:
                writing.add(batch)
                batch = Batch()
    if batch.count:
        writing.add(batch)
    return writing.end(), writing.shapes


def _parts(commit: Commit, after: int, upto: int) -> Iterator[Any]:
    start, stop = commit.between(after, upto)
    for at in range(start, stop, _EVENTS_A_BATCH):
        yield np.arange(at, min(at + _EVENTS_A_BATCH, stop), dtype=np.int64)


class _Writing:
    """The files of one update, each bucket's encoded beside the others' until they take enough bytes."""

    def __init__(self, place: Place, manifest: Manifest, pool: ThreadPoolExecutor) -> None:
        self._place, self._manifest, self._pool = place, manifest, pool
        self.shapes = Shapes(manifest.fields)
        self._waiting: dict[int, list[Any]] = {}
        self._schema: Any = None
        self._names: dict[str, str] = {}
        self._drafts: dict[int, files.Draft] = {}
        self._files: list[File] = []

    def add(self, batch: Batch) -> None:
        """Some more events."""
        tables = batch.tables(self._manifest.key, self._manifest.buckets, self.shapes)
        schema = next(iter(tables.values())).schema
        if self._schema is not None and schema != self._schema:
            self._write()  # with a new field, or one that is JSON from here on, new files begin
        self._schema, self._names = schema, self.shapes.names
        for bucket, table in tables.items():
            self._waiting.setdefault(bucket, []).append(table)
        rows = sum(len(table) for found in self._waiting.values() for table in found)
        size = rows * sum(_WIDTH.get(str(one.type), 8) for one in schema)
        if rows >= _WAITING_ROWS * self._manifest.buckets or size >= _WAITING_BYTES:
            self._encode()
            if sum(draft.size for draft in self._drafts.values()) >= _ENCODED_BYTES:
                self._write()

    def _encode(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for bucket in waiting:
            if bucket not in self._drafts:
                self._drafts[bucket] = files.Draft(self._schema)
        list(self._pool.map(lambda one: self._drafts[one[0]].add(pa.concat_tables(one[1])), waiting.items()))

    def _write(self) -> None:
        self._encode()
        drafts, self._drafts = self._drafts, {}
        described = {**self.shapes.described(), "fields": self._names}
        self._files += self._pool.map(
            lambda one: one[1].save(self._place, one[0], self._manifest, described), drafts.items()
        )

    def end(self) -> list[File]:
        """What is left; returns the entries of all files."""
        if self._waiting or self._drafts:
            self._write()
        return self._files


_WIDTH = {"string": 24, "extension<arrow.uuid>": 16, "extension<arrow.json>": 48}


# -- merged ----------------------------------------------------------------------------------------------------------


def _merged(place: Place, manifest: Manifest, pool: ThreadPoolExecutor) -> Manifest:
    """With some of the small files merged, where there are enough."""
    due: list[list[File]] = []
    rows = 0
    in_order = sorted(manifest.files, key=lambda one: (one.bucket, one.first))
    for _, own in groupby(in_order, key=lambda one: one.bucket):
        found = _due(list(own))
        fits = len(due) < _MERGES and rows + sum(one.rows for one in found) <= _MERGED_ROWS
        if found and (fits or not due):
            due.append(found)
            rows += sum(one.rows for one in found)
    if not due:
        return manifest
    made = list(pool.map(lambda one: files.merged(place, manifest, one), due))
    gone = dict.fromkeys(one.path for own in due for one in own)
    kept = tuple(one for one in manifest.files if one.path not in gone)
    now = time.time()
    return replace(
        manifest, files=kept + tuple(made), dropped=manifest.dropped + tuple(Dropped(path, now) for path in gone)
    )


def _due(own: list[File]) -> list[File]:
    """The last files of a bucket, where there are eight of about one size, or of a smaller one behind them."""
    level = 0
    for at in range(len(own) - 1, -1, -1):
        level = max(level, own[at].rows.bit_length() // 3)
        if level >= _MOST_ROWS.bit_length() // 3:
            break
        run = own[at:]
        if len(run) >= _TOGETHER and sum(one.rows.bit_length() // 3 == level for one in run) >= _TOGETHER:
            return run
    return []


# -- removed ---------------------------------------------------------------------------------------------------------


def _collected(manifest: Manifest) -> tuple[Manifest, list[str]]:
    """Without the files that were dropped long enough ago, which may be removed."""
    until = time.time() - manifest.keep * _HOUR
    over = [one for one in manifest.dropped if one.at <= until]
    left = tuple(one for one in manifest.dropped if one.at > until)
    return (replace(manifest, dropped=left), [one.path for one in over]) if over else (manifest, [])


def sweep(place: Place, manifest: Manifest) -> int:
    """Remove the files that no manifest ever named, left by a writer that was killed; returns how many."""
    named = {NAME, *(one.path for one in manifest.files), *(one.path for one in manifest.dropped)}
    old = max(manifest.keep * _HOUR, _OLD_SECONDS)
    left = [path for path, age in place.ages().items() if files.is_ours(path) and path not in named and age > old]
    for path in left:
        place.remove(path)
    return len(left)


def kept_for(place: Place, manifest: Manifest, hours: float) -> Manifest:
    """With another time for which files stay."""
    found = replace(manifest, keep=hours)
    found.save(place)
    return found


def opened(place: Place) -> Manifest:
    """What is true of a place; raises `StorageError` where there is no mirror."""
    found = load(place)
    if found is None:
        raise StorageError(f"there is no mirror at {str(place)!r}; make one with store.mirror({str(place)!r})")
    return found

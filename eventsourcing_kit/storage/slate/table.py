"""Rows of bytes, sorted by key, in SlateDB: all of it synchronous, and the rows of a folder's journal among them."""

from __future__ import annotations

import copy
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from eventsourcing_kit.errors import StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.storage import journal, keys
from eventsourcing_kit.storage.in_flight import in_flight
from eventsourcing_kit.storage.journal_reader import Follower
from eventsourcing_kit.storage.lifecycle import Lifecycle
from eventsourcing_kit.storage.overlay import Overlay, merged
from eventsourcing_kit.storage.slate.binding import (
    FAILURES,
    Answers,
    Cursor,
    Running,
    aside,
    drive,
    pairs,
    put_all,
    slate,
)
from eventsourcing_kit.storage.slate.opening import Opening, Trouble, open_db, shut, translated
from eventsourcing_kit.storage.slate.settings import object_store, path_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit.storage.journal_entries import Entry
    from eventsourcing_kit.storage.location import Location

    Row = tuple[bytes, bytes | None]

T = TypeVar("T")
SCAN_ROWS = 1000
PATIENCE_SECONDS = 10.0  # how long one call may go unanswered; SlateDB itself would wait for ever
_FETCH_BYTES = 1 << 17  # as many at a time are copied quickly and don't fill the memory
_LOOKS = 20


class Batch:
    """Rows to be stored as one; None as a value removes a row. Each takes its time, so a batch can be made ahead."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.made = slate.WriteBatch()
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """More of them; of two with one key the later counts."""
        put_all(self.made, rows)


class Table:
    """Rows of bytes, sorted by key, at a location. Writable, or a reader's fixed view.

    What reads goes on where its database is lost under it: a writer's, because another process became the writer, or a
    reader's, because the tables that it saw were compacted and collected. Then the newest view takes its place, which
    holds all that the lost one held, and a scan goes on behind the last row that it gave.

    A call raises `StorageError` where the storage answers nothing for `patience` seconds, with the reason that `why`
    finds. Only a write waits as long as it takes, unless it is given a limit.

    The rows of a folder's journal are rows of the table like all others: those of the writer's `own`, or those that a
    reader finds in the file.

    A `deferred` one is opened at its first write, and holds nothing till then but the rows that it begins with.

    Without `collects`, no file that is needed no more is removed. With `merges` it is open only to be filled, and takes
    no more memory for a large store than for a small one. A reader without `with_wal` reads the tables only.
    """

    def __init__(
        self,
        location: Location,
        *,
        read_only: bool = False,
        patience: float | None = None,
        why: Callable[[], Trouble] = Trouble,
        collects: bool = True,
        with_wal: bool = True,
        own: journal.Journal | None = None,
        life: Lifecycle | None = None,
        merges: bool = False,
        deferred: bool = False,
    ) -> None:
        self.location, self.read_only = location, read_only
        self.patience = PATIENCE_SECONDS if patience is None else patience
        self._why = why
        self._life = Lifecycle() if life is None else life
        self._replacing = threading.Lock()
        self._files: Any = None
        self._journal: Follower | None = None
        self.overlay = Overlay()
        self._db: Any = None
        self._answers = Answers() if location.bucket else None
        self._holders = [1]  # of what is in memory: it ends with the last one
        self._owns = True  # whether closing it ends what it reads through
        self._deferred = deferred
        if deferred:
            return
        if read_only and with_wal:
            self._open_view()
            return
        if own is not None:
            own.check_owned()  # who was stopped on the way here would fence who has taken over
        self._db = open_db(Opening(location, read_only, collects, with_wal, merges, self._answers), self.patience, why)
        if own is not None:
            self._take_in(own)

    def begin(self, rows: Iterable[Row], *, flush: bool, seconds: float | None = None) -> None:
        """As `write`, of the first rows of all; a deferred table is not opened for that."""
        if self._deferred:
            self.overlay.add(rows)
        else:
            self.write(rows, flush=flush, seconds=seconds)

    def _open_deferred(self) -> None:
        """Open it now that there is something to store."""
        db = open_db(Opening(self.location), self.patience, self._why)
        begun = Batch(self.overlay.rows()).made
        self._guarded(lambda: drive(lambda: db.write(begun)))
        self._db, self._deferred = db, False

    def beside(self) -> Table:
        """The same rows for another handle, which reads on where this one is closed or superseded."""
        made = copy.copy(self)
        made._life, made._replacing, made.read_only = Lifecycle(), threading.Lock(), True
        made._owns = self.location.is_memory
        self._holders[0] += 1
        return made

    def _take_in(self, own: journal.Journal) -> None:
        try:
            self.overlay = _rows_of(own.pending(self._journalled(self._db)))
        except BaseException:
            self.close()
            raise

    def _open_view(self) -> None:
        """Open the newest view: what is in SlateDB, and what the journal holds besides."""
        opening, folder = Opening(self.location, read_only=True, answers=self._answers), self.location.folder
        before: tuple[int, int] | None = None
        missing = ""
        for _ in range(_LOOKS):
            following = None if folder is None else Follower(folder)
            db = open_db(opening, self.patience, self._why)
            try:
                done = 0 if following is None else self._journalled(db)
                entries = [] if following is None else following.pending(done)
                missing = entries if isinstance(entries, str) else ""
            except BaseException:
                shut(db, self.location, read_only=True, seconds=self.patience, answers=self._answers)
                raise
            if not isinstance(entries, str):
                # The tables first: who reads meanwhile then finds a row in both, and never in neither.
                self._db, self.overlay, self._journal = db, _rows_of(entries), following
                return
            shut(db, self.location, read_only=True, seconds=self.patience, answers=self._answers)
            looked = None if following is None else (done, following.newest)
            if looked == before:
                break  # no writer has moved on in between
            before = looked
        assert folder is not None
        raise journal.damaged(folder, missing)

    def _journalled(self, db: Any) -> int:
        raw = self._guarded(lambda: drive(lambda: db.get(keys.JOURNALLED), self.patience, self._answers))
        return 0 if raw is None else keys.number(raw)

    def check_journal(self, folder: Path) -> None:
        """Raise `DamagedError` where the journal on the disk lacks what SlateDB does not have."""
        if self.read_only:  # what it sees of SlateDB is older
            return Table(self.location, read_only=True, patience=self.patience, why=self._why).close()
        missing = ""
        for _ in range(_LOOKS):
            entries = Follower(folder).pending(self._journalled(self._db))
            if not isinstance(entries, str):
                return None
            missing = entries  # or this writer has moved on in between
        raise journal.damaged(folder, missing)

    def follow(self) -> bool | None:
        """Take in what the journal has got meanwhile: whether there was any; None where a new view is needed."""
        entries = [] if self._journal is None else self._journal.more()
        if entries is None:
            return None
        for entry in entries:
            self.overlay.add(entry.rows)
        return bool(entries)

    def write(self, rows: Batch | Iterable[Row], *, flush: bool, seconds: float | None = None) -> None:
        """Store all rows or none; with `flush`, return when they are in the object store.

        SlateDB tries again for ever, so this waits as long as it takes, or `seconds`.
        """
        db, given_up = self._db, self._life.given_up
        if self.read_only:
            raise SupersededError()
        if self._deferred:
            self._open_deferred()
            db = self._db
        made = (rows if isinstance(rows, Batch) else Batch(rows)).made
        if flush:
            self._guarded(lambda: aside(lambda: _write_through(db, made, seconds, given_up)))
        else:
            self._guarded(lambda: drive(lambda: db.write(made)))

    def settle(self) -> None:
        """Bring what stands in the write-ahead log into a table, so that whoever opens it next need not read it there.

        A mark of openings alone makes no table; so a row is stored again as it is.
        """
        db = self._db
        self.write([(keys.JOURNALLED, keys.u64(self._journalled(db)))], flush=True, seconds=self.patience)
        options = slate.FlushOptions(flush_type=slate.FlushType.MEM_TABLE)
        self._guarded(lambda: drive(lambda: db.flush_with_options(options), self.patience, self._answers))

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`, or None."""
        is_recent, newest = self.overlay.get(key)
        if is_recent:
            self._life.check_open()
            return newest
        db = self._db
        if db is None:
            return None
        try:
            value: bytes | None = self._guarded(lambda: drive(lambda: db.get(key), self.patience, self._answers))
        except (StorageError, StoreClosedError) as error:
            if not self._replace(db, error):
                raise
            db = self._db
            value = self._guarded(lambda: drive(lambda: db.get(key), self.patience, self._answers))
        return value

    def scan(
        self, start: bytes, end: bytes, *, descending: bool = False, ahead: int = 1 << 20, rows: int = SCAN_ROWS
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows from `start` up to but excluding `end`, fetched `rows` at a time, or more where they are small."""
        overlay = self.overlay.between(start, end)  # first: what is not here any more is in the tables by now
        stored = self._stored(start, end, descending=descending, ahead=ahead, rows=rows)
        return merged(overlay, stored, descending=descending) if overlay else stored

    def _stored(
        self, start: bytes, end: bytes, *, descending: bool, ahead: int, rows: int
    ) -> Iterator[tuple[bytes, bytes]]:
        db, cursor, goes_on = self._db, None, True
        while start < end and db is not None:
            try:
                cursor, batch = self._next(db, cursor, (start, end), rows, _options(descending, ahead))
            except (StorageError, StoreClosedError) as error:
                if not goes_on or not self._replace(db, error):
                    raise
                db, cursor, goes_on = self._db, None, False
                continue
            yield from batch
            if len(batch) < rows:
                return
            start, end = (start, batch[-1][0]) if descending else (batch[-1][0] + b"\x00", end)
            if 1 < rows < SCAN_ROWS and sum(len(value) for _, value in batch) < _FETCH_BYTES:
                rows *= 2
            goes_on = True

    def _next(self, db: Any, cursor: Any, keys: tuple[bytes, bytes], rows: int, options: Any) -> tuple[Any, Any]:
        """The cursor, made if there is none yet, and its next rows."""

        def work() -> tuple[Any, Any]:
            found = cursor or Cursor(
                drive(lambda: db.scan_with_options(_range(*keys), options), self.patience, self._answers)
            )
            return found, pairs(drive(lambda: found.iterator.next_batch(rows), self.patience, self._answers))

        step: tuple[Any, Any] = self._guarded(work)
        return step

    def one(self, start: bytes, end: bytes, *, descending: bool = False) -> tuple[bytes, bytes] | None:
        """The first row of a scan, or None."""
        return next(self.scan(start, end, descending=descending, ahead=1, rows=1), None)

    def last_file(self, after: int) -> int | None:
        """The number of the newest write-ahead file, or `after` where there is none above; None where it is unknown."""
        self._life.check_open()
        self._files = self._files or slate.SlateDbWalReader(path_in(self.location), object_store(self.location))
        try:
            found: int = drive(lambda: self._files.last_wal_file_id(after), self.patience)
            return found
        except slate.Error:
            return None
        except TimeoutError:
            failure = self._unanswered()
        raise failure

    def is_fenced(self) -> bool:
        """Whether another writer has opened the table, as far as this one has noticed."""
        db = self._db
        return (
            db is not None and not self._life.is_closed and not self.read_only and db.status().close_reason is not None
        )

    def give_way(self) -> None:
        """Go on as a reader, because another writer opens the table."""
        with self._replacing:
            if not self._life.is_closed and not self.read_only:
                self._become_reader()

    def _replace(self, lost: Any, error: Exception) -> bool:
        """Put a new reader in the place of a database that failed; False where that would not help."""
        if self._life.is_inherited or self._life.is_closed:
            return False
        with self._replacing:
            if self._db is lost:
                if self.location.is_memory or not (self.read_only or isinstance(error, SupersededError)):
                    return False
                self._become_reader()
        return True

    def _become_reader(self) -> None:
        old, was_writer = self._db, not self.read_only
        self._open_view()
        self.read_only = self._owns = True
        if was_writer:  # a reader is left to what still reads through it
            shut(old, self.location, read_only=False, seconds=self.patience, answers=self._answers)

    def close(self, *, in_place: bool = True) -> None:
        """Close it; quiet where another writer has closed it already, or its folder is not `in_place` any more.

        Every write was flushed to the write-ahead log, so the tables are not written once more: that would double the
        bytes of a small store, and opening it from the write-ahead log takes tens of milliseconds. In a bucket each of
        its files would be a request, so there the tables are written.
        """
        with self._replacing:
            if not self._life.close():
                return
            self._holders[0] -= 1
            is_last = not self._holders[0] if self.location.is_memory else self._owns
            if is_last and in_place and self._db is not None:
                shut(self._db, self.location, read_only=self.read_only, seconds=self.patience, answers=self._answers)

    def _guarded(self, work: Callable[[], T]) -> T:
        self._life.check_open()
        failure: Exception
        try:
            return work()
        except FAILURES as error:
            failure = translated(error, self.location)
        except TimeoutError:
            failure = self._unanswered()
        raise failure  # out here, where what was caught, and may show secrets, is not kept as its context

    def _unanswered(self) -> StorageError:
        trouble = "" if self._life.given_up.is_set() else self._why()
        return StorageError(
            f"the storage has not answered for {self.patience:g} s{trouble}: it cannot be reached, or its files are "
            "gone or damaged; try again when it works"
        )


def _rows_of(entries: Iterable[Entry]) -> Overlay:
    return Overlay(row for entry in entries for row in entry.rows)


def _write_through(db: Any, batch: Any, seconds: float | None, given_up: threading.Event) -> None:
    """Ask for the flush while the write is on its way, which saves a round trip in four.

    The flush nearly always finds the write there; only the handle says for certain, so a flush that came too early is
    done again.
    """
    with in_flight:
        write, flush = Running(db.write(batch)), Running(db.flush())
        try:
            handle = write.result(seconds, given_up)
            flush.result(seconds, given_up)
        finally:
            flush.stop()
        durable = Running(handle.await_durable())
        if not durable.is_done:
            Running(db.flush()).result(seconds, given_up)
        durable.result(seconds, given_up)


def _range(start: bytes, end: bytes) -> Any:
    return slate.KeyRange(start=start, start_inclusive=True, end=end, end_inclusive=False)


@cache  # so that each is lowered once
def _options(descending: bool, ahead: int) -> Any:
    return slate.ScanOptions(
        durability_filter=slate.DurabilityLevel.MEMORY,
        dirty=False,
        read_ahead_bytes=ahead,
        cache_blocks=True,
        max_fetch_tasks=4 if ahead > 1 else 1,
        order=slate.IterationOrder.DESCENDING if descending else slate.IterationOrder.ASCENDING,
    )

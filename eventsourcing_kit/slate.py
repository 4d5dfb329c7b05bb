"""The only module that talks to SlateDB: sorted bytes in, sorted bytes out, all of it synchronous.

SlateDB's Python binding is asyncio only. A notebook already runs a loop and a hop through one costs more than the
write itself, so a call here drives the binding's coroutine by hand: it needs nothing of asyncio but a future.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

# One runtime thread instead of two saves a hand-over in every call: appends are half again as fast. It is read once,
# when the library is loaded, and whoever has set it already knows better.
os.environ.setdefault("SLATEDB_UNIFFI_RUNTIME_THREADS", "1")

import slatedb.uniffi as slate
from slatedb.uniffi._slatedb_uniffi import slatedb as binding

from eventsourcing_kit import journal, keys
from eventsourcing_kit.errors import EventSourcingError, InputError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.location import Location, unknown_option
from eventsourcing_kit.recent import Recent, merged
from eventsourcing_kit.underway import underway
from eventsourcing_kit.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from pathlib import Path

    from eventsourcing_kit.worker import Errand

T = TypeVar("T")
SCAN_ROWS = 1000
_FETCH_BYTES = 1 << 17  # as many at a time are copied quickly and don't fill the memory
PATIENCE_SECONDS = 10.0  # how long one call may go unanswered; SlateDB itself would wait for ever
_LOOK_SECONDS = 1.0  # after which an open that is not done looks for the reason
_SLICE_SECONDS = 0.5
_INTERRUPT_SECONDS = 2.0
_SUPERSEDED = (
    "another writer opened the store, so this one writes no more; reading still works, "
    "and EventStore(…) makes this process the writer again"
)
_DB = "log"
_NO_STORE = "failed to find latest transactional object"
_RACE = "version already exists"  # two processes opened the store in the same moment, and the other was first
_RACES = 5
_LOOKS = 20
_MEMTABLE_BYTES = 16 << 20  # what an open may have to read again from the write-ahead log: a fifth of a second
_FAILURES = (slate.Error, binding.InternalError)  # the second is a panic inside the library; damaged files cause some


# -- driving a coroutine of the binding without an event loop ---------------------------------------------------------


class _Future:
    """The little of an asyncio future that the binding uses."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.code: int | None = None

    def cancelled(self) -> bool:
        return False

    def set_result(self, code: int) -> None:
        self.code = code
        self.lock.release()

    def __await__(self) -> Iterator[_Future]:
        if self.code is None:
            yield self
        return self.code  # type: ignore[return-value]  # a generator's return value, which Iterator can't express


class _Loop:
    """The little of an asyncio loop that the binding uses."""

    create_future = staticmethod(_Future)

    @staticmethod
    def call_soon_threadsafe(fn: Callable[..., object], *args: object) -> None:
        fn(*args)


_driving = threading.local()
_asyncio_loop = binding._uniffi_get_event_loop


def _event_loop() -> object:
    return _Loop if getattr(_driving, "on", False) else _asyncio_loop()


binding._uniffi_get_event_loop = _event_loop


class _Running:
    """A coroutine of the binding, begun: the library works on it while the caller does something else."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._waits_for: _Future | None = None
        self._result: Any = None
        self._step()

    def _step(self) -> None:
        _driving.on = True
        try:
            self._waits_for = self._coroutine.send(None)
        except StopIteration as done:
            self._waits_for, self._result = None, done.value
        finally:
            _driving.on = False

    @property
    def is_done(self) -> bool:
        return self._waits_for is None

    def wait(self, seconds: float | None, given_up: threading.Event | None = None) -> bool:
        """Go on until it is done, at most so long; False where it isn't done then, or somebody has given it up.

        Time in which the whole process stood still doesn't count.
        """
        left = seconds
        while self._waits_for is not None:
            began = time.monotonic()
            if self._waits_for.lock.acquire(timeout=_SLICE_SECONDS if left is None else min(_SLICE_SECONDS, left)):
                self._step()
            elif given_up is not None and given_up.is_set():
                return False
            if left is not None:
                left -= min(time.monotonic() - began, _SLICE_SECONDS)
                if left <= 0:
                    return self.is_done
        return True

    def result(self, seconds: float | None = None, given_up: threading.Event | None = None) -> Any:
        """Its result; raises `TimeoutError`, and stops it, where that takes longer."""
        try:
            if not self.wait(seconds, given_up):
                raise TimeoutError
        finally:
            self.stop()
        return self._result

    def stop(self) -> None:
        """Have no more of it; what the library has begun to store it still stores."""
        self._coroutine.close()


def _drive(make: Callable[[], Coroutine[Any, Any, T]], seconds: float | None = None) -> T:
    with underway:
        result: T = _Running(make()).result(seconds)
    return result


_worker: Worker | None = None
_worker_lock = threading.Lock()


def _aside(work: Callable[[], T]) -> T:
    """Do it in a thread that is not the main one.

    Ctrl-C lands in the main thread; inside the binding's callback it would be swallowed and the call never end.
    """
    global _worker
    if threading.current_thread() is not threading.main_thread():
        return work()
    with _worker_lock:
        _worker = _worker or Worker("eventsourcing-kit-reads")
    result: T = _worker.begin(work).outcome()
    return result


# -- a known defect of the binding: it copies bytes one by one --------------------------------------------------------


def _copy_bytes_at_once() -> None:
    """Backport of uniffi 0.32 (mozilla/uniffi-rs #2824, #2956); does nothing once the binding ships it."""
    builder = binding._UniffiRustBufferBuilder
    fields = [name for name, _ in binding._UniffiRustBuffer._fields_]
    if "enumerate" not in builder.write.__code__.co_names or fields != ["capacity", "len", "data"]:
        return

    def write(self: Any, value: bytes) -> None:
        size = len(value)
        rbuf = self.rbuf
        if rbuf.len + size > rbuf.capacity:
            rbuf = self.rbuf = binding._UniffiRustBuffer.reserve(rbuf, size)
        ctypes.memmove(ctypes.addressof(rbuf.data.contents) + rbuf.len, bytes(value), size)
        rbuf.len += size

    def pack_into(self: Any, size: int, layout: str, value: object) -> None:
        write(self, struct.pack(layout, value))

    builder.write, builder._pack_into = write, pack_into
    slate.WriteBatch.put = _quick_put()


def _quick_put() -> Callable[[Any, bytes, bytes], None]:
    """`WriteBatch.put` without the binding's intermediate buffers: a commit may have ten thousand rows."""
    library = binding._UniffiLib
    to_buffer = library[
        "ffi_slatedb_uniffi_rustbuffer_from_bytes"
    ]  # by name: a function with argument types of its own
    to_buffer.argtypes = (_Foreign, ctypes.POINTER(binding._UniffiRustCallStatus))
    to_buffer.restype = binding._UniffiRustBuffer
    put_row = library.uniffi_slatedb_uniffi_fn_method_writebatch_put

    def put(self: Any, key: bytes, value: bytes) -> None:
        status = binding._UniffiRustCallStatus.default()
        by_reference = ctypes.byref(status)
        rows = []
        for part in (key, value):
            text = len(part).to_bytes(4, "big") + part
            rows.append(to_buffer(_Foreign(len(text), text), by_reference))
        put_row(self._uniffi_clone_handle(), *rows, by_reference)
        binding._uniffi_check_call_status(binding._UniffiFfiConverterTypeError, status)

    return put


class _Foreign(ctypes.Structure):
    """Bytes as the binding's library takes them."""

    _fields_: ClassVar = [("len", ctypes.c_int32), ("data", ctypes.c_char_p)]


_copy_bytes_at_once()


# -- the table --------------------------------------------------------------------------------------------------------


def _settings(collects: bool = True) -> Any:
    settings = slate.Settings.default()
    settings.set("flush_interval", "null")  # the log flushes each commit itself: nothing is flushed behind its back
    settings.set("l0_sst_size_bytes", str(_MEMTABLE_BYTES))
    if not collects:
        settings.set("garbage_collector_options", "null")
        return settings
    # Each WAL file takes a disk block until it is collected; SlateDB's own ten minutes would keep 60,000 of them.
    settings.set("garbage_collector_options.wal_options.interval", json.dumps("60s"))
    settings.set("garbage_collector_options.wal_options.min_age", json.dumps("60s"))
    return settings


def _object_store(location: Location) -> Any:
    if location.is_memory:
        return slate.ObjectStore.resolve("memory:///")
    if location.bucket:
        return _bucket_client(location)
    builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.LOCAL)
    builder.with_config("local_path", str(location.folder))
    return builder.build()


def _bucket_client(location: Location) -> Any:
    builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.S3)
    builder.with_config("bucket", location.bucket)
    for name, value in {"conditional_put": "etag", **location.settings}.items():
        if _is_option(name):
            builder.with_config(name, value)
        elif name in location.required:
            raise unknown_option(name)
    wrong = ""
    try:
        return builder.build()
    except slate.Error as error:
        wrong = location.scrubbed(error.message).rsplit("error: ", 1)[-1]
    raise InputError(f"the options for {str(location)!r} don't make an S3 client: {wrong}")


def _is_option(name: str) -> bool:
    """Whether the S3 client has such an option; asked of a builder of its own, for a wrong name spoils it."""
    try:
        slate.ObjectStoreBuilder(slate.ObjectStoreType.S3).with_config(name, "")
    except slate.Error:
        return False
    return True


def _path(location: Location) -> str:
    return f"{location.prefix}/{_DB}" if location.prefix else _DB


def _range(start: bytes, end: bytes) -> Any:
    return slate.KeyRange(start=start, start_inclusive=True, end=end, end_inclusive=False)


def _options(descending: bool, ahead: int) -> Any:
    return slate.ScanOptions(
        durability_filter=slate.DurabilityLevel.MEMORY,
        dirty=False,
        read_ahead_bytes=ahead,
        cache_blocks=True,
        max_fetch_tasks=4 if ahead > 1 else 1,
        order=slate.IterationOrder.DESCENDING if descending else slate.IterationOrder.ASCENDING,
    )


class Trouble(NamedTuple):
    """What is wrong with a storage, as far as that can be found out."""

    why: str = ""  # for people, without secrets
    lasts: bool = False  # whether waiting is vain

    def __str__(self) -> str:
        return f" ({self.why})" if self.why else ""


class Table:
    """Rows of bytes, sorted by key, at a location. Writable, or a reader's fixed view.

    What reads goes on where its database is lost under it: a writer's, because another process became the writer, or a
    reader's, because the tables that it saw were compacted and collected. Then the newest view takes its place, which
    holds all that the lost one held, and a scan goes on behind the last row that it gave.

    A call that the storage does not answer for `patience` seconds raises `StorageError`, with the reason that `why`
    finds. Only a write waits as long as it takes, unless it is given a limit.

    The rows of a folder's journal are rows of the table like all others: those of the writer's own `journal`, or those
    that a reader finds in the file.

    Without `collects`, no file that is needed no more is removed. A reader without `with_wal` reads the tables only.
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
    ) -> None:
        self.location, self.read_only = location, read_only
        self.patience = PATIENCE_SECONDS if patience is None else patience
        self._why = why
        self._open = True
        self._given_up = threading.Event()
        self._pid = os.getpid()
        self._replacing = threading.Lock()
        self._files: Any = None
        self._journal: journal.Follower | None = None
        self.recent = Recent()
        self._db: Any = None
        if read_only and with_wal:
            self._open_view()
            return
        self._db = _open(Opening(location, read_only, collects, with_wal), self.patience, why)
        if own is not None:
            self._take_in(own)

    def _take_in(self, own: journal.Journal) -> None:
        try:
            self.recent = _rows_of(own.pending(self._journalled(self._db)))
        except BaseException:
            self.close()
            raise

    def _open_view(self) -> None:
        """Open the newest view: what is in SlateDB, and what the journal holds besides."""
        opening, folder = Opening(self.location, read_only=True), self.location.folder
        before: tuple[int, bytes] | None = None
        for _ in range(_LOOKS):
            db = _open(opening, self.patience, self._why)
            following = None if folder is None else journal.Follower(folder)
            try:
                done = 0 if following is None else self._journalled(db)
                entries = [] if following is None else following.pending(done)
            except BaseException:
                _shut(db, self.location, read_only=True, seconds=self.patience)
                raise
            if entries is not None:
                self._journal, self.recent, self._db = following, _rows_of(entries), db
                return
            _shut(db, self.location, read_only=True, seconds=self.patience)
            looked = None if following is None else (done, following.first)
            if looked == before:
                break  # no writer has moved on in between
            before = looked
        assert folder is not None
        raise journal.damaged(folder)

    def _journalled(self, db: Any) -> int:
        raw = self._guarded(lambda: _drive(lambda: db.get(keys.JOURNALLED), self.patience))
        return 0 if raw is None else keys.number(raw)

    def follow(self) -> bool | None:
        """Take in what the journal has got meanwhile: whether there was any; None where a new view is needed."""
        entries = [] if self._journal is None else self._journal.more()
        if entries is None:
            return None
        for entry in entries:
            self.recent.add(entry.rows)
        return bool(entries)

    def write(self, rows: Sequence[tuple[bytes, bytes | None]], *, flush: bool, seconds: float | None = None) -> None:
        """Store all rows or none (None removes one); with `flush`, return when they are in the object store.

        SlateDB tries again for ever, so this waits as long as it takes, or `seconds`.
        """
        db, given_up = self._db, self._given_up
        if self.read_only:
            raise SupersededError(_SUPERSEDED)
        batch = slate.WriteBatch()
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if flush:
            self._guarded(lambda: _write_through(db, batch, seconds, given_up))
        else:
            self._guarded(lambda: _drive(lambda: db.write(batch)))

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`, or None."""
        is_recent, newest = self.recent.get(key)
        if is_recent:
            self._check_usable()
            return newest
        db = self._db
        try:
            value: bytes | None = self._guarded(lambda: _drive(lambda: db.get(key), self.patience))
        except (StorageError, StoreClosedError) as error:
            if not self._replace(db, error):
                raise
            db = self._db
            value = self._guarded(lambda: _drive(lambda: db.get(key), self.patience))
        return value

    def scan(
        self, start: bytes, end: bytes, *, descending: bool = False, ahead: int = 1 << 20, rows: int = SCAN_ROWS
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows from `start` up to but excluding `end`, fetched `rows` at a time, or more where they are small."""
        recent = self.recent.between(start, end)  # first: what is not here any more is in the tables by now
        stored = self._stored(start, end, descending=descending, ahead=ahead, rows=rows)
        return merged(recent, stored, descending=descending) if recent else stored

    def _stored(
        self, start: bytes, end: bytes, *, descending: bool, ahead: int, rows: int
    ) -> Iterator[tuple[bytes, bytes]]:
        db, cursor, goes_on = self._db, None, True
        while start < end:
            try:
                cursor, batch = self._next(db, cursor, (start, end), rows, _options(descending, ahead))
            except (StorageError, StoreClosedError) as error:
                if not goes_on or not self._replace(db, error):
                    raise
                db, cursor, goes_on = self._db, None, False
                continue
            for row in batch:
                yield row.key, row.value
            if len(batch) < rows:
                return
            start, end = (start, batch[-1].key) if descending else (batch[-1].key + b"\x00", end)
            if 1 < rows < SCAN_ROWS and sum(len(row.value) for row in batch) < _FETCH_BYTES:
                rows *= 2
            goes_on = True

    def _next(self, db: Any, cursor: Any, keys: tuple[bytes, bytes], rows: int, options: Any) -> tuple[Any, Any]:
        """The cursor, made if there is none yet, and its next rows: one errand, for another thread costs time."""

        def work() -> tuple[Any, Any]:
            found = cursor or _drive(lambda: db.scan_with_options(_range(*keys), options), self.patience)
            return found, _drive(lambda: found.next_batch(rows), self.patience)

        return self._guarded(work)

    def one(self, start: bytes, end: bytes, *, descending: bool = False) -> tuple[bytes, bytes] | None:
        """The first row of a scan, or None."""
        return next(self.scan(start, end, descending=descending, ahead=1, rows=1), None)

    def last_file(self, after: int) -> int | None:
        """The number of the newest write-ahead file, or `after` where there is none above; None where it is unknown."""
        self._check_usable()
        self._files = self._files or slate.SlateDbWalReader(_path(self.location), _object_store(self.location))
        try:
            found: int = _aside(lambda: _drive(lambda: self._files.last_wal_file_id(after), self.patience))
            return found
        except slate.Error:
            return None
        except TimeoutError:
            failure = self._unanswered()
        raise failure

    def is_fenced(self) -> bool:
        """Whether another writer has opened the table, as far as this one has noticed."""
        db = self._db
        return self._open and not self.read_only and db.status().close_reason is not None

    def give_way(self) -> None:
        """Go on as a reader, because another writer opens the table."""
        with self._replacing:
            if self._open and not self.read_only:
                self._become_reader()

    def _replace(self, lost: Any, error: Exception) -> bool:
        """Put a new reader in the place of a database that failed; False where that would not help."""
        if os.getpid() != self._pid or not self._open:
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
        self.read_only = True
        if was_writer:  # a reader is left to what still reads through it
            _shut(old, self.location, read_only=False, seconds=self.patience)

    def close(self) -> None:
        """Close it; quiet where another writer has closed it already.

        Every write was flushed to the write-ahead log, so the tables are not written once more: that would double the
        bytes of a small store, and opening it from the write-ahead log takes tens of milliseconds. In a bucket each of
        its files would be a request, so there the tables are written.
        """
        with self._replacing:
            if self._open:
                self._open = False
                _shut(self._db, self.location, read_only=self.read_only, seconds=self.patience)

    def give_up(self) -> None:
        """Leave a storage that does not answer: a write that still waits for it raises `StorageError`."""
        self._open = False
        self._given_up.set()

    def _guarded(self, work: Callable[[], T]) -> T:
        self._check_usable()
        failure: Exception
        try:
            return _aside(work)
        except _FAILURES as error:
            failure = _translated(error, self.location)
        except TimeoutError:
            failure = self._unanswered()
        raise failure  # out here, where what was caught, and may show secrets, is not kept as its context

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            underway.check_process()
        if not self._open:
            raise StoreClosedError("the store is closed; open it again with EventStore(…)")

    def _unanswered(self) -> StorageError:
        trouble = "" if self._given_up.is_set() else self._why()
        return StorageError(
            f"the storage has not answered for {self.patience:g} s{trouble}: it cannot be reached, or its files are "
            "gone or damaged; try again when it works"
        )


def _rows_of(entries: Iterable[journal.Entry]) -> Recent:
    return Recent(row for entry in entries for row in entry.rows)


def _write_through(db: Any, batch: Any, seconds: float | None, given_up: threading.Event) -> None:
    """Ask for the flush while the write is on its way, which saves a round trip in four.

    The flush nearly always finds the write there; only the handle says for certain, so a flush that came too early is
    done again.
    """
    with underway:
        write, flush = _Running(db.write(batch)), _Running(db.flush())
        try:
            handle = write.result(seconds, given_up)
            flush.result(seconds, given_up)
        finally:
            flush.stop()
        durable = _Running(handle.await_durable())
        if not durable.is_done:
            _Running(db.flush()).result(seconds, given_up)
        durable.result(seconds, given_up)


# -- opening and closing ----------------------------------------------------------------------------------------------


class Opening(NamedTuple):
    """What is opened, and how (see `Table`)."""

    location: Location
    read_only: bool = False
    collects: bool = True
    with_wal: bool = True


def _shut(db: Any, location: Location, *, read_only: bool, seconds: float | None = None) -> None:
    def shut() -> Coroutine[Any, Any, Any]:
        if read_only:
            return db.shutdown()  # type: ignore[no-any-return]  # untyped binding
        tables = slate.FlushType.MEM_TABLE if location.bucket else None
        return db.shutdown_with_options(slate.CloseOptions(flush_type=tables))  # type: ignore[no-any-return]  # untyped binding

    with contextlib.suppress(*_FAILURES, StoreClosedError, TimeoutError):
        _aside(lambda: _drive(shut, seconds))


def _open(opening: Opening, patience: float, why: Callable[[], Trouble], races: int = _RACES) -> Any:
    """A database: a writer's, which fences older ones, or a reader's.

    The storage may answer after the caller was interrupted. A writer that opened then would fence the one that was
    opened in its place, so it is closed as soon as it is open.
    """
    underway.check_process()
    location = opening.location
    # The builder too is made and dropped over there: Ctrl-C during a __del__ of the binding would be swallowed.
    errand = Worker("eventsourcing-kit-open").last(lambda: _opened(opening, patience, why))
    failure: Exception
    try:
        return errand.outcome()
    except _FAILURES as error:
        failure = no_store(location) if _NO_STORE in str(error) else _translated(error, location)
        lost_race = _RACE in str(error)
    except KeyboardInterrupt:
        with contextlib.suppress(slate.Error, TimeoutError, EventSourcingError):
            _abandon(errand, opening).outcome(_INTERRUPT_SECONDS)
        raise
    if lost_race and races:
        return _open(opening, patience, why, races - 1)
    raise failure


def _abandon(errand: Errand, opening: Opening) -> Errand:
    return Worker("eventsourcing-kit-open").last(
        lambda: _shut(errand.outcome(), opening.location, read_only=opening.read_only)
    )


def no_store(location: Location) -> StorageError:
    """The error for a reader of what isn't there."""
    return StorageError(f"{str(location)!r} holds no event store; read_only opens an existing one and never makes one")


def _opened(opening: Opening, patience: float, why: Callable[[], Trouble]) -> Any:
    location = opening.location
    with underway:
        running, end = _Running(_builder(opening).build()), time.monotonic() + patience
        if running.wait(min(_LOOK_SECONDS, patience / 4)):
            return running.result()
        trouble = why()
        if not trouble.lasts and running.wait(max(0.0, end - time.monotonic())):
            return running.result()
        running.stop()
    if trouble.lasts:
        raise StorageError(f"{str(location)!r} cannot be opened: {trouble.why}")
    raise StorageError(
        f"the storage did not answer within {patience:g} s{trouble}; check that {str(location)!r} can be written"
        + ("" if location.bucket else " and has space")
    )


def _builder(opening: Opening, retries: int | None = None) -> Any:
    store, path = _object_store(opening.location), _path(opening.location)
    if not opening.read_only:
        builder = slate.DbBuilder(path, store)
        builder.with_settings(_settings(opening.collects))
        return builder
    builder = slate.DbReaderBuilder(path, store)
    builder.with_reader_mode(slate.ReaderMode.FOLLOW_LATEST())
    builder.with_options(
        slate.ReaderOptions(
            manifest_poll_interval_ms=3_600_000, checkpoint_lifetime_ms=600_000, max_memtable_bytes=64 << 20,
            skip_wal_replay=retries is not None or not opening.with_wal, object_store_max_retries=retries,
        )
    )  # fmt: skip
    return builder


def first_failure(location: Location, seconds: float) -> str:
    """What fails when the storage is asked once, without trying again; empty where nothing does.

    Only reads: nobody is fenced by it. Raises `TimeoutError`; its text may hold secrets.
    """

    def ask() -> str:
        try:
            _drive(_builder(Opening(location, read_only=True), retries=0).build, seconds)
        except slate.Error as error:
            return str(error.message)
        return ""

    return _aside(ask)


def _translated(error: Any, location: Location) -> Exception:
    if isinstance(error, slate.Error.Closed):
        if getattr(error, "reason", None) == slate.CloseReason.FENCED:
            return SupersededError(_SUPERSEDED)
        return StoreClosedError(f"the store is closed ({error}); open it again with EventStore(…)")
    if _RACE in str(error):
        return SupersededError("other writers opened the store at the same time; open it again with EventStore(…)")
    if isinstance(error, (slate.Error.Data, binding.InternalError)):
        return StorageError(
            f"the storage holds damaged data ({location.scrubbed(str(error))}); what can still be read tells verify() "
            "of the store opened with read_only=True; restore the damaged files from a copy"
        )
    return StorageError(location.scrubbed(f"the storage failed: {error}"))


# -- a folder's files, each read on its own ---------------------------------------------------------------------------


class Manifest(NamedTuple):
    """What a manifest says of the files that it needs."""

    replay_after: int  # the last write-ahead file whose rows are in the tables
    tables: list[str]
    checkpoints: list[int]  # older manifests that somebody holds on to


def manifest(folder: Path, number: int | None = None) -> Manifest:
    """A manifest, by default the newest; raises where it cannot be read."""
    found = _read_alone(lambda: slate.AdminBuilder(_DB, _object_store(Location(folder))).build().read_manifest(number))
    if found is None:
        raise StorageError("the storage failed: there is no manifest")
    trees = [found, *found.segments]
    views = [view for tree in trees for view in (*tree.l0, *(view for run in tree.compacted for view in run.sst_views))]
    held = [checkpoint.manifest_id for checkpoint in found.checkpoints]
    return Manifest(found.replay_after_wal_id, [view.sst.id.value for view in views], held)


def check_compactions(folder: Path) -> None:
    """Raise where the newest notes on compactions cannot be read."""
    _read_alone(lambda: slate.AdminBuilder(_DB, _object_store(Location(folder))).build().read_compactions(None))


def wal_rows(folder: Path, number: int) -> list[tuple[bytes, bytes]]:
    """The rows of one write-ahead file. An empty one has none; raises where the file is missing or damaged."""

    async def rows() -> Any:
        iterator = await slate.SlateDbWalReader(_DB, _object_store(Location(folder))).iterator(number)
        return await iterator.next()

    found = _read_alone(rows)
    return [(row.key, row.value) for row in found.rows if row.value is not None]


def _read_alone(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        result: T = Worker("eventsourcing-kit-read").last(lambda: _drive(make)).outcome(PATIENCE_SECONDS)
    except _FAILURES as error:
        raise StorageError(f"the storage failed: {error}") from error
    except TimeoutError:
        raise StorageError(f"the storage did not answer within {PATIENCE_SECONDS:.0f} s") from None
    return result

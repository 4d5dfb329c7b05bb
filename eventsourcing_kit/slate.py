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
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

# One runtime thread instead of two saves a hand-over in every call: appends are half again as fast. It is read once,
# when the library is loaded, and whoever has set it already knows better.
os.environ.setdefault("SLATEDB_UNIFFI_RUNTIME_THREADS", "1")

import slatedb.uniffi as slate
from slatedb.uniffi._slatedb_uniffi import slatedb as binding

from eventsourcing_kit.errors import EventSourcingError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.underway import underway
from eventsourcing_kit.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from eventsourcing_kit.worker import Errand

T = TypeVar("T")
SCAN_ROWS = 1000
_OPEN_SECONDS = 10.0
READ_SECONDS = 30.0  # a single fetch; damaged metadata lets the library look for a file for ever
_INTERRUPT_SECONDS = 2.0
_SUPERSEDED = (
    "another writer opened the store, so this one writes no more; reading still works, "
    "and EventStore(…) makes this process the writer again"
)
_DB = "log"
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

    def result(self, seconds: float = -1) -> Any:
        """What it returned; raises `TimeoutError`, and drops it, where that takes longer."""
        try:
            while self._waits_for is not None:
                if not self._waits_for.lock.acquire(timeout=seconds):
                    raise TimeoutError
                self._step()
        finally:
            self._coroutine.close()
        return self._result


def _drive(make: Callable[[], Coroutine[Any, Any, T]], seconds: float = -1) -> T:
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


def _object_store(folder: str | None) -> Any:
    if folder is None:
        return slate.ObjectStore.resolve("memory:///")
    builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.LOCAL)
    builder.with_config("local_path", folder)
    return builder.build()


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


class Table:
    """Rows of bytes, sorted by key, in memory (`folder=None`) or in a folder. Writable, or a reader's fixed view.

    What reads goes on where its database is lost under it: a writer's, because another process became the writer, or a
    reader's, because the tables that it saw were compacted and collected. Then the newest view takes its place, which
    holds all that the lost one held, and a scan goes on behind the last row that it gave.

    Without `collects`, no file that is needed no more is removed. A reader without `with_wal` reads the tables only.
    """

    def __init__(
        self, folder: str | None, *, read_only: bool = False, collects: bool = True, with_wal: bool = True
    ) -> None:
        self.read_only = read_only
        self._folder = folder
        self._open = True
        self._pid = os.getpid()
        self._replacing = threading.Lock()
        self._db: Any = _open(folder, read_only, collects, with_wal)

    def write(self, rows: Sequence[tuple[bytes, bytes | None]], *, flush: bool) -> None:
        """Store all rows or none (None removes one); with `flush`, return when they are in the object store."""
        db = self._db
        if self.read_only:
            raise SupersededError(_SUPERSEDED)
        batch = slate.WriteBatch()
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if flush:
            self._guarded(lambda: _write_through(db, batch))
        else:
            self._guarded(lambda: _drive(lambda: db.write(batch)))

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`, or None."""
        db = self._db
        try:
            value: bytes | None = self._guarded(lambda: _drive(lambda: db.get(key), READ_SECONDS))
        except (StorageError, StoreClosedError) as error:
            if not self._replace(db, error):
                raise
            db = self._db
            value = self._guarded(lambda: _drive(lambda: db.get(key), READ_SECONDS))
        return value

    def scan(
        self, start: bytes, end: bytes, *, descending: bool = False, ahead: int = 1 << 20, rows: int = SCAN_ROWS
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows from `start` up to but excluding `end`, fetched `rows` at a time."""
        db, cursor, goes_on = self._db, None, True
        while start < end:
            try:
                cursor = cursor or self._cursor(db, start, end, _options(descending, ahead))
                batch = self._next(cursor, rows)
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
            goes_on = True

    def _cursor(self, db: Any, start: bytes, end: bytes, options: Any) -> Any:
        return self._guarded(lambda: _drive(lambda: db.scan_with_options(_range(start, end), options), READ_SECONDS))

    def _next(self, cursor: Any, rows: int) -> Any:
        return self._guarded(lambda: _drive(lambda: cursor.next_batch(rows), READ_SECONDS))

    def one(self, start: bytes, end: bytes, *, descending: bool = False) -> tuple[bytes, bytes] | None:
        """The first row of a scan, or None."""
        return next(self.scan(start, end, descending=descending, ahead=1, rows=1), None)

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
                if self._folder is None or not (self.read_only or isinstance(error, SupersededError)):
                    return False
                self._become_reader()
        return True

    def _become_reader(self) -> None:
        old, was_writer = self._db, not self.read_only
        new = _open(self._folder, read_only=True)
        self.read_only, self._db = True, new
        if was_writer:  # a reader is left to what still reads through it
            _shut(old, read_only=False)

    def close(self) -> None:
        """Close it; quiet where another writer has closed it already.

        Every write was flushed to the write-ahead log, so the tables are not written once more: that would double the
        bytes of a small store, and opening it from the write-ahead log takes tens of milliseconds.
        """
        with self._replacing:
            if self._open:
                self._open = False
                _shut(self._db, read_only=self.read_only)

    def _guarded(self, work: Callable[[], T]) -> T:
        if os.getpid() != self._pid:
            underway.check_process()
        if not self._open:
            raise StoreClosedError("the store is closed; open it again with EventStore(…)")
        try:
            return _aside(work)
        except _FAILURES as error:
            raise _translated(error) from error
        except TimeoutError:
            raise StorageError(
                f"the storage has not answered for {READ_SECONDS:.0f} s: it cannot be reached, or its files are gone "
                "or damaged; look after it, and open the store again"
            ) from None


def _write_through(db: Any, batch: Any) -> None:
    """Ask for the flush while the write is on its way, which saves a round trip in four.

    The flush nearly always finds the write there; only the handle says for certain, so a flush that came too early is
    done again.
    """
    with underway:
        write, flush = _Running(db.write(batch)), _Running(db.flush())
        try:
            handle = write.result()
        finally:
            flush.result()
        durable = _Running(handle.await_durable())
        if not durable.is_done:
            _Running(db.flush()).result()
        durable.result()


def _shut(db: Any, *, read_only: bool) -> None:
    def shut() -> Coroutine[Any, Any, Any]:
        if read_only:
            return db.shutdown()  # type: ignore[no-any-return]  # untyped binding
        return db.shutdown_with_options(slate.CloseOptions(flush_type=None))  # type: ignore[no-any-return]  # untyped binding

    with contextlib.suppress(*_FAILURES, StoreClosedError):
        _aside(lambda: _drive(shut))


def _open(folder: str | None, read_only: bool, collects: bool = True, with_wal: bool = True) -> Any:
    """A database: a writer's, which fences older ones, or a reader's.

    The storage may answer after the caller gave up, or was interrupted. A writer that opened then would fence the one
    that was opened in its place, so it is closed as soon as it is open.
    """
    underway.check_process()
    # The builder too is made and dropped over there: Ctrl-C during a __del__ of the binding would be swallowed.
    worker = Worker("eventsourcing-kit-open")
    errand = worker.last(lambda: _drive(_builder(folder, read_only, collects, with_wal).build))
    try:
        return errand.outcome(_OPEN_SECONDS)
    except _FAILURES as error:
        raise _translated(error) from error
    except TimeoutError:
        _abandon(errand, read_only)
        raise StorageError(
            f"the storage did not answer within {_OPEN_SECONDS:.0f} s; "
            f"check that {folder!r} can be written and has space"
        ) from None
    except KeyboardInterrupt:
        with contextlib.suppress(slate.Error, TimeoutError, EventSourcingError):
            _abandon(errand, read_only).outcome(_INTERRUPT_SECONDS)
        raise


def _abandon(opening: Errand, read_only: bool) -> Errand:
    return Worker("eventsourcing-kit-open").last(lambda: _shut(opening.outcome(), read_only=read_only))


def _builder(folder: str | None, read_only: bool, collects: bool, with_wal: bool) -> Any:
    store = _object_store(folder)
    if not read_only:
        builder = slate.DbBuilder(_DB, store)
        builder.with_settings(_settings(collects))
        return builder
    builder = slate.DbReaderBuilder(_DB, store)
    builder.with_reader_mode(slate.ReaderMode.FOLLOW_LATEST())
    builder.with_options(
        slate.ReaderOptions(
            manifest_poll_interval_ms=3_600_000, checkpoint_lifetime_ms=600_000, max_memtable_bytes=64 << 20,
            skip_wal_replay=not with_wal,
        )
    )  # fmt: skip
    return builder


def _translated(error: Any) -> Exception:
    if isinstance(error, slate.Error.Closed):
        if getattr(error, "reason", None) == slate.CloseReason.FENCED:
            return SupersededError(_SUPERSEDED)
        return StoreClosedError(f"the store is closed ({error}); open it again with EventStore(…)")
    if isinstance(error, (slate.Error.Data, binding.InternalError)):
        return StorageError(
            f"the storage holds damaged data ({error}); what can still be read tells verify() of the store opened with "
            "read_only=True; restore the damaged files from a copy"
        )
    return StorageError(f"the storage failed: {error}")


# -- a folder's files, each read on its own ---------------------------------------------------------------------------


class Manifest(NamedTuple):
    """What a manifest says of the files that it needs."""

    replay_after: int  # the last write-ahead file whose rows are in the tables
    tables: list[str]
    checkpoints: list[int]  # older manifests that somebody holds on to


def manifest(folder: str, number: int | None = None) -> Manifest:
    """A manifest, by default the newest; raises where it cannot be read."""
    found = _read_alone(lambda: slate.AdminBuilder(_DB, _object_store(folder)).build().read_manifest(number))
    if found is None:
        raise StorageError("the storage failed: there is no manifest")
    trees = [found, *found.segments]
    views = [view for tree in trees for view in (*tree.l0, *(view for run in tree.compacted for view in run.sst_views))]
    held = [checkpoint.manifest_id for checkpoint in found.checkpoints]
    return Manifest(found.replay_after_wal_id, [view.sst.id.value for view in views], held)


def check_compactions(folder: str) -> None:
    """Raise where the newest notes on compactions cannot be read."""
    _read_alone(lambda: slate.AdminBuilder(_DB, _object_store(folder)).build().read_compactions(None))


def wal_rows(folder: str, number: int) -> list[tuple[bytes, bytes]]:
    """The rows of one write-ahead file. An empty one has none; raises where the file is missing or damaged."""

    async def rows() -> Any:
        iterator = await slate.SlateDbWalReader(_DB, _object_store(folder)).iterator(number)
        return await iterator.next()

    found = _read_alone(rows)
    return [(row.key, row.value) for row in found.rows if row.value is not None]


def _read_alone(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        result: T = Worker("eventsourcing-kit-read").last(lambda: _drive(make)).outcome(_OPEN_SECONDS)
    except _FAILURES as error:
        raise StorageError(f"the storage failed: {error}") from error
    except TimeoutError:
        raise StorageError(f"the storage did not answer within {_OPEN_SECONDS:.0f} s") from None
    return result

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

from eventsourcing_kit.errors import InputError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.location import unknown_option
from eventsourcing_kit.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from eventsourcing_kit.location import Location

T = TypeVar("T")
SCAN_ROWS = 1000
PATIENCE_SECONDS = 10.0  # how long one call may go unanswered; SlateDB itself would wait for ever
_LOOK_SECONDS = 1.0  # after which an open that is not done looks for the reason
_SLICE_SECONDS = 0.5
_DB = "log"
_NO_STORE = "failed to find latest transactional object"


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


def _settings() -> Any:
    settings = slate.Settings.default()
    settings.set("flush_interval", "null")  # the log flushes each commit itself: nothing is flushed behind its back
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
    """Rows of bytes, sorted by key, at a location. Writable, or a reader's view of the moment it was opened.

    A call that the storage does not answer for `patience` seconds raises `StorageError`, with the reason that `why`
    finds. Only a write waits as long as it takes, unless it is given a limit.
    """

    def __init__(
        self,
        location: Location,
        *,
        read_only: bool = False,
        patience: float | None = None,
        why: Callable[[], Trouble] = Trouble,
    ) -> None:
        self.location, self.read_only = location, read_only
        self.patience = PATIENCE_SECONDS if patience is None else patience
        self._why = why
        self._open = True
        self._given_up = threading.Event()
        self._pid = os.getpid()
        self._db: Any = _open(location, read_only, self.patience, why)
        self._files: Any = None

    def write(self, rows: Sequence[tuple[bytes, bytes | None]], *, flush: bool, seconds: float | None = None) -> None:
        """Store all rows or none (None removes one); with `flush`, return when they are in the object store.

        SlateDB tries again for ever, so this waits as long as it takes, or `seconds`.
        """
        batch = slate.WriteBatch()
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if flush:
            self._guarded(lambda: self._write_through(batch, seconds))
        else:
            self._call(lambda: self._db.write(batch))

    def _write_through(self, batch: Any, seconds: float | None) -> None:
        """Ask for the flush while the write is on its way, which saves a round trip in four.

        The flush nearly always finds the write there; only the handle says for certain, so a flush that came too early
        is done again.
        """
        given_up = self._given_up
        write, flush = _Running(self._db.write(batch)), _Running(self._db.flush())
        try:
            handle = write.result(seconds, given_up)
            flush.result(seconds, given_up)
        finally:
            flush.stop()
        durable = _Running(handle.await_durable())
        if not durable.is_done:
            _Running(self._db.flush()).result(seconds, given_up)
        durable.result(seconds, given_up)

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`, or None."""
        value: bytes | None = self._call(lambda: self._db.get(key))
        return value

    def scan(
        self, start: bytes, end: bytes, *, descending: bool = False, ahead: int = 1 << 20, rows: int = SCAN_ROWS
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows from `start` up to but excluding `end`, fetched `rows` at a time."""
        if start >= end:
            return
        cursor = self._call(lambda: self._db.scan_with_options(_range(start, end), _options(descending, ahead)))
        while True:
            batch = self._call(lambda: cursor.next_batch(rows))
            for row in batch:
                yield row.key, row.value
            if len(batch) < rows:
                return

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
        return self._open and not self.read_only and self._db.status().close_reason is not None

    def close(self) -> None:
        """Close it; quiet where another writer has closed it already.

        Every write was flushed to the write-ahead log, so the tables are not written once more: that would double the
        bytes of a small store, and opening it from the write-ahead log takes tens of milliseconds. In a bucket each of
        its files would be a request, so there the tables are written.
        """
        if self._open:
            self._open = False
            with contextlib.suppress(slate.Error, TimeoutError):
                _aside(lambda: _drive(self._shutdown, self.patience))

    def give_up(self) -> None:
        """Leave a storage that does not answer: a write that still waits for it raises `StorageError`."""
        self._open = False
        self._given_up.set()

    def _shutdown(self) -> Coroutine[Any, Any, Any]:
        if self.read_only:
            return self._db.shutdown()  # type: ignore[no-any-return]  # untyped binding
        tables = slate.FlushType.MEM_TABLE if self.location.bucket else None
        return self._db.shutdown_with_options(slate.CloseOptions(flush_type=tables))  # type: ignore[no-any-return]  # untyped binding

    def _call(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._guarded(lambda: _drive(make, self.patience))

    def _guarded(self, work: Callable[[], T]) -> T:
        self._check_usable()
        failure: Exception
        try:
            return _aside(work)
        except slate.Error as error:
            failure = _translated(error, self.location)
        except TimeoutError:
            failure = self._unanswered()
        raise failure  # out here, where what was caught, and may show secrets, is not kept as its context

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise StoreClosedError("this store was opened before the process forked; open it in the child, or spawn")
        if not self._open:
            raise StoreClosedError("the store is closed; open it again with EventStore(…)")

    def _unanswered(self) -> StorageError:
        trouble = "" if self._given_up.is_set() else self._why()
        return StorageError(f"the storage has not answered for {self.patience:g} s{trouble}; try again when it works")


# -- opening ----------------------------------------------------------------------------------------------------------


def _open(location: Location, read_only: bool, patience: float, why: Callable[[], Trouble]) -> Any:
    builder = _builder(location, read_only)
    opening = Worker("eventsourcing-kit-open").last(lambda: _opened(builder, location, patience, why))
    failure: Exception
    try:
        return opening.outcome()
    except slate.Error as error:
        failure = no_store(location) if _NO_STORE in str(error) else _translated(error, location)
    raise failure


def no_store(location: Location) -> StorageError:
    """The error for a reader of what isn't there."""
    return StorageError(f"{str(location)!r} holds no event store; read_only opens an existing one and never makes one")


def _opened(builder: Any, location: Location, patience: float, why: Callable[[], Trouble]) -> Any:
    running, end = _Running(builder.build()), time.monotonic() + patience
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


def _builder(location: Location, read_only: bool, retries: int | None = None) -> Any:
    store = _object_store(location)
    if read_only:
        builder = slate.DbReaderBuilder(_path(location), store)
        builder.with_reader_mode(slate.ReaderMode.FOLLOW_LATEST())
        builder.with_options(
            slate.ReaderOptions(
                manifest_poll_interval_ms=3_600_000, checkpoint_lifetime_ms=600_000, max_memtable_bytes=64 << 20,
                skip_wal_replay=retries is not None, object_store_max_retries=retries,
            )
        )  # fmt: skip
    else:
        builder = slate.DbBuilder(_path(location), store)
        builder.with_settings(_settings())
    return builder


def first_failure(location: Location, seconds: float) -> str:
    """What fails when the storage is asked once, without trying again; empty where nothing does.

    Only reads: nobody is fenced by it. Raises `TimeoutError`; its text may hold secrets.
    """

    def ask() -> str:
        try:
            _drive(_builder(location, read_only=True, retries=0).build, seconds)
        except slate.Error as error:
            return str(error.message)
        return ""

    return _aside(ask)


def _translated(error: Any, location: Location) -> Exception:
    if isinstance(error, slate.Error.Closed):
        if getattr(error, "reason", None) == slate.CloseReason.FENCED:
            return SupersededError(
                "another writer opened the store, so this one writes no more; reading still works, "
                "and EventStore(…) makes this process the writer again"
            )
        return StoreClosedError(f"the store is closed ({error}); open it again with EventStore(…)")
    return StorageError(location.scrubbed(f"the storage failed: {error}"))

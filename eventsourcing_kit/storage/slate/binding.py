"""SlateDB's Python binding, driven without asyncio: a call here returns when the library has answered.

The binding is asyncio only. A notebook already runs a loop and a hop through one costs more than the write itself, so
its coroutines are driven by hand: they need nothing of asyncio but a future.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import threading
import time
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

# One runtime thread instead of two saves a hand-over in every call: appends are half again as fast. It is read once,
# when the library is loaded, and whoever has set it already knows better.
os.environ.setdefault("SLATEDB_UNIFFI_RUNTIME_THREADS", "1")

import slatedb.uniffi
from slatedb.uniffi._slatedb_uniffi import slatedb as bound

from eventsourcing_kit.storage import interrupts
from eventsourcing_kit.storage.in_flight import in_flight
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

T = TypeVar("T")
slate: Any = slatedb.uniffi  # generated code, whose types say things that are not so
binding: Any = bound
__all__ = ["FAILURES", "Answers", "Cursor", "Running", "aside", "binding", "drive", "pairs", "put_all", "slate"]
_SLICE_SECONDS = 0.5
_QUICK_SECONDS = 0.02
_LOOKS = 8  # at what a storage has answered, within the time that it may be silent
FAILURES = (slate.Error, binding.InternalError)  # the second is a panic inside the library; damaged files cause some


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


class Running:
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
        """Whether there is a result."""
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


class Answers:
    """What a storage answers to the databases that have its `recorder`: one call may need many requests."""

    def __init__(self) -> None:
        self.recorder = slate.DefaultMetricsRecorder()

    @property
    def count(self) -> int:
        """How many were what was asked for; 503, again and again, gets nobody on."""
        asked = self.recorder.metrics_by_name("slatedb.object_store.request_duration_seconds")
        failed = self.recorder.metrics_by_name("slatedb.object_store.error_count")
        return int(sum(one.value[0].count for one in asked) - sum(one.value[0] for one in failed))

    def wait(self, running: Running, seconds: float) -> bool:
        """Whether it is done, before the storage has answered nothing for so long."""
        silent, before = 0, self.count
        while silent < _LOOKS and not running.wait(seconds / _LOOKS):
            now = self.count
            silent, before = silent + 1 if now == before else 0, now
        return running.is_done


def drive(
    make: Callable[[], Coroutine[Any, Any, T]], seconds: float | None = None, answers: Answers | None = None
) -> T:
    """A call's result; raises `TimeoutError` where that takes longer, or where no `answers` have come for so long.

    Ctrl-C lands in the main thread; inside the binding's callback it would be swallowed and the call never end. There
    signals are put off for as long as most calls take, and another thread waits for the others.
    """
    if threading.current_thread() is not threading.main_thread():
        with in_flight:
            _free_iterators()
            return cast("T", _finished(Running(make()), seconds, answers))
    with interrupts.put_off(), in_flight:
        _free_iterators()
        running = Running(make())
        if running.wait(_QUICK_SECONDS):
            return cast("T", running.result())

    def finish() -> T:
        with in_flight:
            return cast("T", _finished(running, seconds, answers))

    return aside(finish)


def _finished(running: Running, seconds: float | None, answers: Answers | None) -> Any:
    if answers is not None and seconds is not None and not running.wait(seconds / _LOOKS):
        answers.wait(running, seconds)
        seconds = 0
    return running.result(seconds)


class Cursor:
    """A scan's iterator, for as long as somebody goes on with it.

    The binding frees it in a `__del__`, in which a Ctrl-C that comes just then is lost; so the next call frees it,
    when signals are put off; until then it waits in a place to which it is brought without a line of Python.
    """

    __slots__ = ("__weakref__", "iterator")

    def __init__(self, iterator: Any) -> None:
        self.iterator = iterator
        _iterators[weakref.ref(self, _left.append)] = iterator


_iterators: dict[Any, Any] = {}  # by a weak reference to their cursor
_left: deque[Any] = deque()


def _free_iterators() -> None:
    with contextlib.suppress(IndexError):  # where another thread was quicker
        while _left:
            _iterators.pop(_left.popleft(), None)


_worker: Worker | None = None
_worker_lock = threading.Lock()


def aside(work: Callable[[], T]) -> T:
    """Do in a thread that is not the main one what may take long, so that Ctrl-C ends the waiting for it."""
    global _worker
    if threading.current_thread() is not threading.main_thread():
        return work()
    with _worker_lock:
        worker = _worker = _worker or Worker("eventsourcing-kit-reads")
    try:
        result: T = worker.begin(work).outcome()
    except KeyboardInterrupt:  # it may go on waiting for a storage that is silent; the next read must not wait for it
        with _worker_lock:
            _worker = None if _worker is worker else _worker
        worker.end()
        raise
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


def _read_rows_at_once() -> None:
    """Rows of a scan as pairs of key and value, out of the buffer in which they come.

    The binding makes an object of five values a row, each read by calls of its own, which takes three times as long.
    """
    converter, size = binding._UniffiFfiConverterSequenceTypeKeyValue, struct.Struct(">i").unpack_from
    if binding.KeyValue.__init__.__code__.co_varnames != ("self", "key", "value", "seq", "create_ts", "expire_ts"):
        return

    def read(stream: Any) -> list[tuple[bytes, bytes]]:
        content: bytes = stream.data[stream.offset : stream.len]
        rows, at = [], 4
        for _ in range(size(content)[0]):
            key = at + 4
            value = key + size(content, at)[0] + 4
            end = value + size(content, value - 4)[0]
            rows.append((content[key : value - 4], content[value:end]))
            at = end + (25 if content[end + 16] else 17)  # its number, its time, and perhaps when it expires
        stream.offset += at
        return rows

    converter.read = staticmethod(read)


def pairs(batch: list[Any]) -> list[tuple[bytes, bytes]]:
    """The rows of a batch of a scan, key and value."""
    return batch if not batch or type(batch[0]) is tuple else [(row.key, row.value) for row in batch]


class _Foreign(ctypes.Structure):
    """Bytes as the binding's library takes them."""

    _fields_: ClassVar = [("len", ctypes.c_int32), ("data", ctypes.c_char_p)]


_library = ctypes.PyDLL(binding._UniffiLib._name)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    found = _library[name]
    found.restype, found.argtypes = result, (*arguments, ctypes.c_void_p)
    return found


_from_bytes = _function("ffi_slatedb_uniffi_rustbuffer_from_bytes", binding._UniffiRustBuffer, _Foreign)


def _to_buffer(content: bytes) -> Any:
    """Bytes in a buffer of the library's."""
    status = binding._UniffiRustCallStatus.default()
    return _from_bytes(_Foreign(len(content), content), ctypes.addressof(status))


def _quick_put() -> Callable[[Any, Iterable[tuple[bytes, bytes | None]]], None]:
    """Rows into a `WriteBatch` without the binding's intermediate buffers; None as a value removes a row.

    A commit may have ten thousand rows, and each takes four calls of the library. They only copy bytes, so they keep
    Python's lock: to give it up and get it back takes longer.
    """
    own, buffer, function = "uniffi_slatedb_uniffi_fn", binding._UniffiRustBuffer, _function
    clone = function(f"{own}_clone_writebatch", ctypes.c_uint64, ctypes.c_uint64)
    put = function(f"{own}_method_writebatch_put", None, ctypes.c_uint64, buffer, buffer)

    def put_all(batch: Any, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        status = binding._UniffiRustCallStatus.default()
        told, handle = ctypes.addressof(status), batch._handle
        for key, value in rows:
            if value is None:
                batch.delete(key)
                continue
            texts = len(key).to_bytes(4, "big") + key, len(value).to_bytes(4, "big") + value
            put(clone(handle, told), *[_from_bytes(_Foreign(len(text), text), told) for text in texts], told)
            if status.code:
                binding._uniffi_check_call_status(binding._UniffiFfiConverterTypeError, status)

    return put_all


class _Content(binding._UniffiRustBufferBuilder):  # type: ignore[misc]  # untyped binding
    """What a converter writes, as bytes."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, value: bytes) -> None:
        self.content += value

    def _pack_into(self, size: int, layout: str, value: object) -> None:
        self.content += struct.pack(layout, value)


def _lower_at_once() -> None:
    """What says where a scan goes, and how, in one piece: the binding lowers each of its fourteen values by itself."""
    for converter in (binding._UniffiFfiConverterTypeKeyRange, binding._UniffiFfiConverterTypeScanOptions):
        converter.lower = staticmethod(partial(_lowered, converter.write))


def _lowered(write: Callable[[Any, Any], None], value: Any) -> Any:
    content = getattr(value, "lowered", None)
    if content is None:
        builder = _Content()
        write(value, builder)
        content = value.lowered = builder.content
    return _to_buffer(content)


_copy_bytes_at_once()
_read_rows_at_once()
_lower_at_once()
put_all = _quick_put()

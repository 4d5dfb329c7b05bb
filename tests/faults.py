"""Faults by name and by schedule: what goes wrong, in which thread, and at which of its steps.

A step is a place in the package's code at which a thread calls something, or has just called it. A first run without a
fault notes which there are; then one run each has its error there, once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
import slatedb.uniffi as slate

import eventsourcing_kit as ek
from eventsourcing_kit import store as stores
from eventsourcing_kit.following import subscriber, subscription
from eventsourcing_kit.log import log, salvage
from eventsourcing_kit.log.log import Log
from eventsourcing_kit.records import record
from eventsourcing_kit.storage import device, journal
from eventsourcing_kit.storage.slate.binding import aside, drive
from eventsourcing_kit.storage.slate.table import Table
from eventsourcing_kit.writing import writer
from eventsourcing_kit.writing.writer import Writer

PACKAGE = str(Path(ek.__file__).parent)


def no_memory() -> Exception:
    """As where a list or a buffer cannot grow."""
    return MemoryError("once, here")


def device_fails() -> Exception:
    """As of a disk that cannot be read or written."""
    return OSError(errno.EIO, "Input/output error")


class Step(NamedTuple):
    """A place in the code, and what happens there: "call", "c_call" or "c_return"."""

    file: str
    line: int
    event: str


class Fault:
    """A context manager: the threads of a name that are begun inside fail once, at a step; without one, never.

    With the name of the thread that makes it, that one too. `steps` are those that were passed, each once.
    """

    def __init__(self, thread: str, step: Step | None = None, error: Callable[[], Exception] = no_memory) -> None:
        self._thread, self._step, self._error = thread, step, error
        self.steps: dict[Step, None] = {}
        self.is_done = False

    def _look(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_call", "c_return") or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        if threading.current_thread().name != self._thread:
            return
        step = Step(frame.f_code.co_filename[len(PACKAGE) + 1 :], frame.f_lineno, event)
        self.steps[step] = None
        if step == self._step and not self.is_done:
            self.is_done = True
            raise self._error()

    def __enter__(self) -> Fault:
        threading.setprofile(self._look)
        if threading.current_thread().name == self._thread:
            sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # which it takes


class Kills:
    """A context manager: what `kill -9` would leave of a folder before each change of a name or a size in it.

    `left` are copies of the folder, each with what `note` held at that moment.
    """

    _changes = ("os.rename", "os.remove", "os.link", "os.truncate", "open")
    _active: Kills | None = None
    _is_hooked = False

    def __init__(self, folder: Path, into: Path) -> None:
        self._folder, self._into = folder, into
        self.left: list[tuple[Path, int]] = []
        self.note = 0
        self._lock = threading.RLock()
        self._is_copying = False

    def copy(self) -> None:
        """One at this moment."""
        with self._lock:
            self._is_copying = True
            copy = self._into / f"{len(self.left)}"
            shutil.copytree(self._folder, copy, copy_function=_copied)
            self.left.append((copy, self.note))
            self._is_copying = False

    @classmethod
    def _look(cls, event: str, given: tuple[Any, ...]) -> None:
        kills = cls._active
        if kills is None or event not in cls._changes or kills._is_copying or not kills._folder.exists():
            return
        reads = event == "open" and not (given[2] & (os.O_CREAT | os.O_TRUNC))
        if not reads and isinstance(given[0], (str, Path)) and str(given[0]).startswith(str(kills._folder)):
            kills.copy()

    def __enter__(self) -> Kills:
        if not Kills._is_hooked:
            sys.addaudithook(Kills._look)  # which stays for good, and then does nothing
            Kills._is_hooked = True
        Kills._active = self
        return self

    def __exit__(self, *_: object) -> None:
        Kills._active = None


def _copied(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # SlateDB's own threads go on meanwhile
        shutil.copy2(source, target)


# -- the parts of an open store, for tests of what lies on its disk


def log_of(store: ek.EventStore) -> Log:
    """What a store reads from."""
    return store._log


def table_of(store: ek.EventStore) -> Table:
    """SlateDB's rows under a store: what another hand changes there is damage."""
    return log_of(store).table


def writer_of(store: ek.EventStore) -> Writer:
    """What a store writes with."""
    assert store._writer is not None
    return store._writer


def durability_of(store: ek.EventStore) -> Any:
    """What makes a store's appends durable."""
    return writer_of(store)._durability


def write_tables(store: ek.EventStore) -> None:
    """Have SlateDB write what it holds in memory into a table, as it does by itself after 64 MB or 4,096 commits."""
    options = slate.FlushOptions(flush_type=slate.FlushType.MEM_TABLE)
    aside(lambda: drive(lambda: table_of(store)._db.flush_with_options(options)))


def as_another_process(store: ek.EventStore) -> None:
    """From now on who opens its place knows of it no more than another process would: it is not asked to hand over."""
    stores._writers.pop(store._location.identity)


# -- faults by name


def storing(store: ek.EventStore, instead: Callable[[Callable[[Any], Any], Any], Any]) -> None:
    """From now on an append that is to be stored calls `instead` with what would store it, and the rows."""
    durability = durability_of(store)
    store_rows = durability.store

    def stored(rows: Any, **how: Any) -> bool:
        found = instead(partial(store_rows, **how), rows)
        return found is None or bool(found)  # whether it was stored is what else it would tell

    durability.store = stored  # type: ignore[method-assign]  # that is the fault


def once(patch: pytest.MonkeyPatch, owner: Any, name: str, instead: Callable[..., Any]) -> None:
    """The next call of a function of `owner` calls `instead` with that function, and with what it is called with."""
    plain = getattr(owner, name)

    def called(*given: Any, **how: Any) -> Any:
        patch.setattr(owner, name, plain)
        return instead(plain, *given, **how)

    patch.setattr(owner, name, called)


LIMITS = {
    "journal_bytes": (journal, "FULL_BYTES"),  # after which it moves on into SlateDB
    "lock_seconds": (journal, "LOCK_SECONDS"),  # for which one who opens waits for an owner that is stopped
    "naming_seconds": (journal, "NAMING_SECONDS"),  # … and for another who opens
    "device_seconds": (device, "AGAIN_SECONDS"),  # after which a full device is tried again
    "patience": (log, "PATIENCE_SECONDS"),
    "rescue_seconds": (salvage, "PATIENCE_SECONDS"),
    "checkpoint_seconds": (subscriber, "SAVE_SECONDS"),
    "stop_seconds": (subscription, "STOP_SECONDS"),
    "look_seconds": (writer, "_LOOK_SECONDS"),  # after which an append that waits looks whether anything is wrong
    "record_bytes": (record, "BODY_BYTES"),
    "record_events": (record, "MOST_EVENTS"),
}


def limit(patch: pytest.MonkeyPatch, **limits: float) -> None:
    """Make sizes small, and waits short, that would make a test long."""
    for name, value in limits.items():
        module, constant = LIMITS[name]
        patch.setattr(module, constant, value)


def on_device(patch: pytest.MonkeyPatch, **functions: Any) -> None:
    """Have the device, or the system, behave otherwise: functions of `storage/device.py`, by name."""
    for name, function in functions.items():
        patch.setattr(device, name, function)


def without_locks(patch: pytest.MonkeyPatch) -> None:
    """A system that has no locks for files, so each commit to a folder becomes a file of SlateDB's."""
    on_device(patch, HAS_LOCKS=False)


def without_sync_flag(patch: pytest.MonkeyPatch) -> None:
    """A filesystem on which a file cannot be told to write through."""
    on_device(patch, set_sync_flag=lambda path, on: False)


def after_another_boot(patch: pytest.MonkeyPatch) -> None:
    """The machine was started anew, as after a power cut."""
    on_device(patch, boot_id=lambda: "another boot")

"""Ctrl-C during an append, and stores that nobody closes."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.records.rows import Draft, Rows
from eventsourcing_kit.storage.lifecycle import Lifecycle
from eventsourcing_kit.storage.slate.binding import aside
from eventsourcing_kit.writing.append import Batch, Submission
from eventsourcing_kit.writing.durability import Flushed
from eventsourcing_kit.writing.writer import Writer
from tests.faults import log_of, storing

if TYPE_CHECKING:
    from pathlib import Path


def fact(i: int) -> ek.NewEvent:
    return ek.NewEvent(type="Counted", data={"i": i})


def test_an_interrupted_append_says_that_it_was_stored_and_it_was(tmp_path: Path) -> None:
    """Whatever is told as stored is in the log, once; nothing else is."""
    told, i = [], 0
    with ek.EventStore(tmp_path, fsync=False) as store:
        for round_ in range(10):
            try:
                threading.Timer(0.002 * (round_ + 1), os.kill, (os.getpid(), signal.SIGINT)).start()
                while True:
                    i += 1
                    store.append("counter-1", fact(i))
                    told.append(i)
            except KeyboardInterrupt as interrupt:
                if "the append had been stored" in getattr(interrupt, "__notes__", []):
                    told.append(i)
        assert [event.data["i"] for event in store.read()] == told


def test_an_append_whose_flush_fails_can_be_repeated_safely() -> None:
    """The outcome is unknown, so the error carries the events with the ids under which they may be stored."""
    store = ek.EventStore()

    def stored_but_reply_lost(store_rows: Callable[[Any], Any], rows: Any) -> None:
        store_rows(rows)
        raise ek.StorageError("the connection was lost")

    storing(store, stored_but_reply_lost)
    with pytest.raises(ek.OutcomeUnknownError) as unknown:
        store.append("counter-1", [fact(1), fact(2)])
    with pytest.raises(ek.StorageError, match="open the store again"):
        store.append("counter-1", fact(3))

    log = log_of(store)
    log.head, log.life = log._last_entry(), Lifecycle()  # as whoever opens it again has them
    again = Writer(log, Flushed(log.table, flush=False), clock=ek.testing.clock("2030-01-01T00:00:00Z"), seed=None)
    drafts = [Draft("counter-1", e.type, 1, dict(e.data), id=e.id) for e in unknown.value.events]
    assert again.append(Submission(Rows.of(drafts), batches=[Batch("counter-1", 2)]))[0].written is None
    assert [event.data["i"] for event in store.read()] == [1, 2]
    again.close()


def test_a_read_outlives_its_store() -> None:
    """A store that nobody holds any more ends its thread; what was read from it can still be read."""
    threads = threading.active_count()
    read = ek.EventStore().read()
    gc.collect()
    assert list(read) == []
    for thread in threading.enumerate():
        if thread.name == "eventsourcing-kit-writer" and threading.active_count() > threads:
            thread.join(1)
    assert threading.active_count() <= threads + 1  # the shared reading thread may have begun here


@pytest.mark.processes
def test_a_process_that_forgets_to_close_ends_well_and_keeps_its_events(tmp_path: Path) -> None:
    """Exit without close(): no abort, no hang, nothing lost."""
    code = (
        "import sys, eventsourcing_kit as ek\n"
        "store = ek.EventStore(sys.argv[1])\n"
        "[store.append('counter-1', ek.NewEvent(type='Counted', data={'i': i})) for i in range(20)]\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    with ek.EventStore(tmp_path, read_only=True) as store:
        assert store.position == 20


def test_a_read_that_was_interrupted_keeps_no_other_waiting() -> None:
    """What it waits for may stay silent for long."""
    answers = threading.Event()
    try:
        with ek.EventStore() as store:
            store.append("counter-1", fact(1))
            interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
            interrupt.start()
            with pytest.raises(KeyboardInterrupt):
                aside(answers.wait)
            assert [event.position for event in store.read()] == [1]
    finally:
        answers.set()


def test_what_the_binding_frees_in_python_it_frees_where_ctrl_c_waits(store: ek.EventStore) -> None:
    """A signal that came in a `__del__` would be lost: Python has no one to tell."""
    store.append("a-1", [fact(i) for i in range(5)])
    seen: list[bool] = []

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name == "__del__" and "slatedb" in frame.f_code.co_filename:
            seen.append(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)

    gc.collect()
    sys.setprofile(look)
    try:
        for _ in range(20):
            list(store.read("a-1", limit=2))
            store.read(after=1).df()
    finally:
        sys.setprofile(None)
    assert len(seen) > 20
    assert all(seen)

"""Calls into the storage's library that are under way: a process ends between them, and a forked child makes none.

The library answers from threads of its own. An answer that comes when Python is already taking itself apart aborts the
process, and in a forked child, where those threads are missing, it never comes.
"""

from __future__ import annotations

import atexit
import os
import threading
import time

from eventsourcing_kit.errors import StoreClosedError

FORKED = (
    "this process was forked from one in which a store was open, and the storage does not survive that; start it with "
    'multiprocessing.get_context("spawn") instead, and open the store in it'
)
_END_SECONDS = 5.0
_LAST_ANSWER_SECONDS = 0.02


class InFlight:
    """Counts calls: `with in_flight:` around each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._calls = 0
        self._ended = False
        self._pid: int | None = None

    def check_process(self) -> None:
        """Raise in a child that was forked after the first call."""
        if self._pid not in (None, os.getpid()):
            raise StoreClosedError(FORKED)

    def __enter__(self) -> None:
        self.check_process()
        with self._lock:
            if self._ended:
                raise StoreClosedError("the process is ending, so its stores are closed")
            self._pid = self._pid or os.getpid()
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._ended and not self._calls:
                self._idle.set()

    def end(self) -> None:
        """Let no call begin any more, and return when none is under way, or the storage doesn't answer."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._ended = True
            if not self._calls:
                self._idle.set()
        self._idle.wait(_END_SECONDS)
        time.sleep(_LAST_ANSWER_SECONDS)  # the library's thread is on its way out of the last answer


in_flight = InFlight()
atexit.register(in_flight.end)

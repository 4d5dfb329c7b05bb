"""Whether a store's handle is open, and whether it may still write: every step of that is taken here.

    open ─→ superseded (another writer) or failed (an outcome is unknown): it reads on ─→ closed

No step is ever taken back. Whoever changes what must agree with these (the table, the log's head) holds `lock`.
"""

from __future__ import annotations

import os
import threading

from eventsourcing_kit.errors import StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.storage.in_flight import FORKED

CLOSED = "the store is closed; open it again with EventStore(…)"


class Lifecycle:
    """The state of one handle, shared by all that belongs to it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_closed = self.is_superseded = False
        self.given_up = threading.Event()  # whoever waits for a storage that does not answer waits no more
        self._why: str | None = None
        self._failure: str | None = None
        self._pid = os.getpid()

    # -- checks ------------------------------------------------------------------------------------------------------

    @property
    def is_inherited(self) -> bool:
        """Whether it was opened before this process forked: a call of its storage would never return here."""
        return os.getpid() != self._pid

    @property
    def is_over(self) -> bool:
        """Whether it stores nothing any more because it was closed or superseded."""
        return self.is_closed or self.is_superseded

    def check_process(self) -> None:
        """Raise `StoreClosedError` in a forked child."""
        if self.is_inherited:
            raise StoreClosedError(FORKED)

    def check_open(self) -> None:
        """Raise `StoreClosedError` where it is closed, or another process's."""
        if os.getpid() != self._pid:
            raise StoreClosedError(FORKED)
        if self.is_closed:
            raise StoreClosedError(CLOSED)

    def check_writing(self) -> None:
        """Raise where nothing can be stored any more, and say why."""
        if self.is_superseded:
            raise SupersededError() if self._why is None else SupersededError(self._why)
        if self._failure is not None:
            raise StorageError(f"{self._failure}; open the store again with EventStore(…)")
        if self.is_closed or os.getpid() != self._pid:
            self.check_open()

    # -- steps -------------------------------------------------------------------------------------------------------

    def supersede(self, why: str | None = None) -> None:
        """It writes no more, because another writer has opened the store; or `why` else."""
        self.is_superseded, self._why = True, why or self._why

    def fail(self, why: str) -> None:
        """It writes no more, because nobody knows what the storage holds."""
        self._failure = self._failure or why

    def close(self) -> bool:
        """Whether this call is the one that closes it."""
        with self.lock:
            was_open, self.is_closed = not self.is_closed, True
        return was_open

    def give_up(self) -> None:
        """Close it, without what a storage that does not answer keeps waiting."""
        self.is_closed = True
        self.given_up.set()

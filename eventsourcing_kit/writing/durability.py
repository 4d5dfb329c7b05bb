"""How rows become durable: through a folder's journal, or with a flush of SlateDB for each commit."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from eventsourcing_kit.errors import SupersededError
from eventsourcing_kit.storage import keys, local_folder
from eventsourcing_kit.storage.slate.table import Batch
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventsourcing_kit.storage.journal import Journal
    from eventsourcing_kit.storage.local_folder import Sync
    from eventsourcing_kit.storage.marker import Owned
    from eventsourcing_kit.storage.slate.table import Table
    from eventsourcing_kit.storage.worker import Task

    Row = tuple[bytes, bytes | None]
    Rows = Sequence[Row]

_CROWD_SECONDS = 0.005
_MANY = 16  # commits; for fewer it is not worth waking a thread
_ROWS_FACTOR = 3  # a commit's rows take less than so many times the bytes of what it says, however badly compressed


class Durability(Protocol):
    """What brings a store's rows to where they are durable. One thread at a time calls it."""

    worth_waiting: float  # seconds that one trip for company would save

    def begin(self, rows: Rows, seconds: float) -> None:
        """Store the rows with which a store begins, in SlateDB itself; give up after so long."""

    def lock(self, size: int) -> bool:
        """Whether so many bytes can be stored `at_once`: with one trip to the device and no more. Then `unlock`."""
        ...

    def unlock(self) -> None:
        """The end of `lock`."""

    def store(self, rows: Rows, *, at_once: bool = False) -> bool:
        """Store all rows or none (None as a value removes one); return when they are durable.

        With `at_once`, while locked: False, and nothing is stored, where that would mean to wait after all.
        """
        ...

    def again(self) -> None:
        """Return when what is stored is durable, whoever stored it."""

    def close(self, *, in_place: bool) -> None:
        """Nothing more is to be stored; nor noted, where the folder is not `in_place` any more."""


class Flushed:
    """Each commit is flushed into SlateDB's write-ahead log: in a bucket, in memory (without `flush`: there is nothing
    that it would make safer), and in a folder of a system that has no locks for files.
    """

    def __init__(self, table: Table, *, flush: bool, sync: Sync | None = None) -> None:
        self._table, self._flush, self._sync = table, flush, sync
        self.worth_waiting = 0.0

    def begin(self, rows: Rows, seconds: float) -> None:
        """Store the rows with which a store begins; give up after so long."""
        self._table.begin(rows, flush=self._flush, seconds=seconds)
        self.again()

    def lock(self, size: int) -> bool:
        """False: how long SlateDB takes nobody knows."""
        return False

    def unlock(self) -> None:
        """Nothing was locked."""

    def store(self, rows: Rows, *, at_once: bool = False) -> bool:
        """Store all rows or none; return when they are durable."""
        since = time.monotonic()
        self._table.write(rows, flush=self._flush)
        if self._sync is not None:
            self._sync()
            self.worth_waiting = min((time.monotonic() - since) / 2, _CROWD_SECONDS)
        return True

    def again(self) -> None:
        """Return when what is stored is durable."""
        if self._sync is not None:
            self._sync()

    def close(self, *, in_place: bool) -> None:
        """Nothing more is to be stored; nor noted, where the folder is not `in_place` any more."""
        if self._sync is not None:
            self._sync.close(in_place=in_place)


class Journalled:
    """A commit is appended to the folder's journal. What does not fit there goes into SlateDB with all that is there.

    `sync` brings SlateDB's files onto the device; without it, they are left to the operating system. What SlateDB is to
    take is made ready in a thread beside, while appends wait for the device.
    """

    def __init__(self, table: Table, journal: Journal, noted: Owned, *, sync: Sync | None) -> None:
        self._table, self._journal, self._noted, self._sync = table, journal, noted, sync
        self.unlock = journal.unlock
        self._overlay = table.overlay  # which is a reader's when another writer takes over
        self._owes_sync = bool(self._overlay.rows())  # whoever appended these may have been promised more than we are
        self._ready = Batch()  # what SlateDB takes next …
        self._unready: deque[Rows] = deque([self._overlay.rows()])  # … and what is not in it yet
        self._making_ready = threading.Lock()
        self._begun: list[Task] = []  # what was to make it ready; none is left unlooked at
        self._beside = Worker("eventsourcing-kit-journal")
        self._is_sound = True
        self.worth_waiting = 0.0

    def begin(self, rows: Rows, seconds: float) -> None:
        """Store the rows with which a store begins, in SlateDB itself; give up after so long."""
        self._table.begin(rows, flush=True, seconds=seconds)
        self.again()

    def lock(self, size: int) -> bool:
        """Whether the journal has room for so many bytes, and is this process's until `unlock`."""
        return self._journal.room >= _ROWS_FACTOR * size and self._journal.lock(at_once=True)

    def store(self, rows: Rows, *, at_once: bool = False) -> bool:
        """Store all rows or none; return when they are durable. `at_once`: False where that needs a wait."""
        since = time.monotonic()
        self._is_sound = False  # until it is through
        if not at_once:
            self._journal.lock()
        try:
            if self._journal.append(rows, at_once=at_once):
                self._noted.count(self._journal.number)
                self._overlay.add(rows)
                self._unready.append(rows)
                if len(self._unready) == _MANY:
                    self._begun.append(self._beside.begin(self._make_ready))
                if self._sync is not None:
                    self.worth_waiting = min((time.monotonic() - since) / 2, _CROWD_SECONDS)
            elif at_once:
                self._is_sound = True
                return False
            else:
                self._move_on(self._journal.number + 1, rows)
        finally:
            if not at_once:
                self._journal.unlock()
        self._is_sound = True
        return True

    def _move_on(self, number: int, rows: Rows = ()) -> None:
        """Have SlateDB take over what the journal holds, and more rows with it."""
        self._table.write(self._batch([*rows, (keys.JOURNALLED, keys.u64(number))]), flush=True)
        self.again()
        self._journal.check_owned()  # who was stopped in between may have written where others have tidied up
        self._journal.is_stored(number)
        self._overlay.clear()

    def _batch(self, last: Rows) -> Batch:
        """All that SlateDB is to take; made anew where making it ready has failed, for some of it may be missing."""
        begun, self._begun = self._begun, []
        try:
            for task in begun:
                task.outcome()
            self._make_ready()
            batch, self._ready = self._ready, Batch()
        except Exception:
            self._unready.clear()
            batch, self._ready = Batch(self._overlay.rows()), Batch()
        batch.add(last)
        return batch

    def _make_ready(self) -> None:
        with self._making_ready:
            while self._unready:
                self._ready.add(self._unready[0])
                self._unready.popleft()  # now that nothing can go wrong with it

    def again(self) -> None:
        """Return when what SlateDB has is durable."""
        if self._sync is not None:
            self._sync()
        elif self._owes_sync:
            local_folder.sync_all(self._journal.folder)
        self._owes_sync = False

    def close(self, *, in_place: bool) -> None:
        """Leave nothing to do for whoever opens the folder next, where it is still this process's.

        After a failure it stays as it is: it may be all that holds what SlateDB was to take, and a reader beside may
        have seen an entry that was not acknowledged. Whoever opens the store next goes by what is there.
        """
        try:
            if self._is_sound and in_place:
                self._end_journal()
        finally:
            self._beside.end()
            self._journal.leave()
            if self._sync is not None:
                self._sync.close(in_place=in_place)
            self._noted.close()

    def _end_journal(self) -> None:
        with contextlib.suppress(SupersededError):
            self._journal.lock()
            try:
                if self._overlay.rows():
                    self._move_on(self._journal.number)
                if self._noted.change(sync=self._sync is not None, journal_bytes=0):  # first, else it would be missed
                    self._journal.shorten()
            finally:
                self._journal.unlock()

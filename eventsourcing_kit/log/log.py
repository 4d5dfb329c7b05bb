"""A store's log, opened: read beside its writer or behind it, superseded, and closed."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from eventsourcing_kit.errors import DamagedError, RecordError, StorageError, SupersededError
from eventsourcing_kit.log.commits import longer
from eventsourcing_kit.log.forked import Forked
from eventsourcing_kit.log.wakeup import Wakeups
from eventsourcing_kit.records.record import decode
from eventsourcing_kit.records.unknown import Policies
from eventsourcing_kit.storage import damage, diagnosis, journal, keys, local_folder, marker
from eventsourcing_kit.storage.lifecycle import Lifecycle
from eventsourcing_kit.storage.slate.opening import Trouble, no_store
from eventsourcing_kit.storage.slate.table import PATIENCE_SECONDS, Table
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from eventsourcing_kit.log.forked import Past
    from eventsourcing_kit.records.record import Parent
    from eventsourcing_kit.storage.journal import Journal
    from eventsourcing_kit.storage.location import Location

    Find = Callable[[Parent, str | None], Past]

_CHECK_SECONDS = 10.0
_LAG_SECONDS_OF_A_BUCKET = 1.0  # asking it costs a request; asking a folder costs microseconds


class NewCommit(Protocol):
    """A commit that was stored: what the index says of it, and its record."""

    entry: keys.CommitEntry
    record: bytes


class Log(Forked):
    """What is stored at a location, as of `head`, the last commit that this reader knows.

    A reader's `head` is at most `lag` seconds old when a call begins. A folder's writer has its `journal`. Without
    `collects`, it removes no file. A branch sees its `base` first: the one given, or what `find` finds where its table
    says that it is a branch. `life` says whether this handle is open; under its lock, table and head move on together,
    and never back.
    """

    def __init__(
        self,
        location: Location,
        *,
        read_only: bool,
        lag: float | None = None,
        patience: float | None = None,
        collects: bool = True,
        journal: Journal | None = None,
        noted: marker.Owned | None = None,
        base: Past | None = None,
        find: Find | None = None,
    ) -> None:
        super().__init__()
        self.location, self.folder, self.read_only = location, location.folder, read_only
        self.has_moved_base = False  # whether the table says something else of where the base lies
        self.base, self._find, self.place = base, find, None if location.is_memory else str(location)
        self.lag = (_LAG_SECONDS_OF_A_BUCKET if location.bucket else 0.0) if lag is None else lag
        self.patience = PATIENCE_SECONDS if patience is None else patience
        self._collects, self._journal, self._noted = collects, journal, noted
        self.policies = Policies()
        self.life = Lifecycle()
        self.unsure_from: int | None = None  # a writer's: the first position that is being stored, or may be or not
        self.wakeups = Wakeups()  # woken when the head moves on, and when it will not any more
        self._seen = local_folder.NOTHING_SEEN
        self._seen_at = 0.0
        self.types_seen: set[str] = set()  # the stored types of events that were read, of all up to that position
        self.types_seen_upto = 0
        if read_only and self.folder is not None and not local_folder.is_store(self.folder):
            raise no_store(location)
        if self.folder is not None:
            self._seen = local_folder.newest(self.folder, self._seen)  # before the opening, which sees at least this
        self.table = self._open_table() if self.folder is None else self._open_checked(self.folder)
        try:
            self._place = None if self.folder is None else local_folder.Place(self.folder)
            self._find_base()
            self.head = self._last_entry()
            self.store_id = self._store_id()
            if read_only and self.store_id is None and location.bucket:
                raise no_store(location)
        except BaseException:
            self.table.close()
            raise

    # -- opened ------------------------------------------------------------------------------------------------------

    def _open_table(self) -> Table:
        self._seen_at = time.monotonic()
        return Table(
            self.location,
            read_only=self.read_only,
            patience=self.patience,
            why=self._why,
            collects=self._collects,
            own=self._journal,
            life=self.life,
            deferred=self.location.is_memory and self.base is not None,
        )

    def _find_base(self) -> None:
        """Have what a branch branches from, where it was not given."""
        branched = self._branched() if self.base is None else None
        if branched is not None:
            assert self._find is not None  # whoever opens a place that may hold a branch can find its base
            self.base = self._find(*branched)
            self.has_moved_base = self.base.place != branched[1]

    def _branched(self) -> tuple[Parent, str | None] | None:
        """What a branch branches from, as its table says it."""
        raw = self.table.get(keys.META)
        return None if raw is None else keys.branched(raw)

    def _open_checked(self, folder: Path) -> Table:
        """Open it where nothing is missing; the errors name the damaged files."""
        expected, table = damage.check(folder), None
        try:
            table = self.table = self._open_table()
            # In a thread of its own: SlateDB can wait for ever where a table is damaged.
            Worker("eventsourcing-kit-check").last(lambda: self._check(folder, expected)).outcome(_CHECK_SECONDS)
        except (StorageError, SupersededError, TimeoutError) as failure:
            if table is not None and not isinstance(failure, TimeoutError):
                table.close()
            if isinstance(failure, DamagedError):
                raise
            if isinstance(failure, SupersededError) and self._journal is not None and self._journal.is_owned:
                raise damage.error(folder, [damage.OLDER_MANIFEST]) from failure
            raise damage.explained(folder, failure) from failure
        return table

    def _check(self, folder: Path, expected: damage.Expected) -> None:
        own = self._store_id()
        with contextlib.suppress(RecordError):  # which is told where the record is read
            for _, raw in self.table.overlay.between(*keys.LOG)[:1]:
                if raw is not None and own is not None and decode(raw).store != own:
                    raise journal.damaged(folder, journal.FOREIGN)
        branched = self._branched()
        fork = 0 if branched is None else branched[0].position
        last = self._last_entry().last or fork
        damage.check_log(folder, expected, last, lambda position: position == fork or self._ends_at(position))

    def _ends_at(self, position: int) -> bool:
        row = self.table.one(keys.LOG[0], keys.log(position + 1), descending=True)
        return row is not None and decode(row[1]).last == position

    def settle(self) -> None:
        """Take over what was written into the table directly, and only read from here on."""
        self.read_only = True
        self.head, self.store_id = self._last_entry(), self._store_id()

    # -- moved on ----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Called at the start of every call: is the store usable, and has a writer beside it moved on?"""
        self.life.check_open()
        self.check_place()
        if not self.read_only and (self.life.is_superseded or self._is_lost()):
            self.supersede()
        if self.read_only and not self.location.is_memory:
            with self.life.lock:  # else the slower of two threads would move the head back
                if not self.life.is_closed and time.monotonic() - self._seen_at >= self.lag:
                    try:
                        self._follow()
                    except OSError as error:
                        raise StorageError(
                            f"the store cannot be read: {error}; try again when that is mended"
                        ) from error

    @property
    def is_in_place(self) -> bool:
        """Whether a writer's folder is where it was; a reader goes on with whatever store is there."""
        if self._place is None:
            return True
        return self._place.is_there if not self.read_only else local_folder.is_store(self._place.folder)

    def check_place(self) -> None:
        """Raise `StorageError` where it is not."""
        if self._place is not None and not self.is_in_place:
            raise StorageError(self._place.trouble)

    def _is_lost(self) -> bool:
        """Whether another writer has opened the store."""
        return (self._journal is not None and self._journal.is_lost) or self.table.is_fenced()

    def _follow(self) -> None:
        """Move on to what a writer beside has stored."""
        now, seen = time.monotonic(), self._look()
        has_moved = seen.number != self._seen.number or seen == local_folder.NOTHING_SEEN
        more = None if has_moved else self.table.follow()
        if more is None:
            table = self._open_table()
            self.table = table  # the old one is not closed: an iteration may still read through it
            self.types_seen, self.types_seen_upto = set(), 0  # it may be another store by now
            self.head = self._last_entry()
        elif more:
            self.head = self._last_entry()
        self._seen, self._seen_at = seen, now  # last: what failed on the way is looked at again

    def _look(self) -> local_folder.Seen:
        """What there is to see now of what is stored; another number after any commit that no journal holds."""
        if self.folder is not None:
            return local_folder.newest(self.folder, self._seen)
        number = self.table.last_file(self._seen.number)
        return local_folder.NOTHING_SEEN if number is None else local_folder.Seen(number, 0)

    def advance(self, stored: Iterable[NewCommit]) -> None:
        """The writer has stored commits; whoever took over meanwhile may be further on already."""
        with self.life.lock:
            for one in stored:
                if one.entry.last > self.head.last:
                    self.tail = longer(self.tail, one.entry, one.record) if self.wakeups else ()
                    self.head = one.entry
        if self.wakeups:
            self.wakeups.wake()

    # -- given up ----------------------------------------------------------------------------------------------------

    def supersede(self, why: str | None = None) -> None:
        """Go on as a reader, because another writer opens the store, or has; or `why` else."""
        with self.life.lock:
            self.life.supersede(why)
            reads_on = not self.life.is_closed and not self.location.is_memory and self.is_in_place
            if reads_on and not self.read_only:
                if self.folder is not None:
                    self._seen = local_folder.newest(self.folder, self._seen)
                self.table.give_way()
                self.head = self._last_entry()
                self.read_only = True
                self.tail = ()
        self.wakeups.wake()

    def close(self, *, answers: bool = True) -> None:
        """Safe to call twice, and done when it returns. A storage that no longer `answers` is left alone."""
        if self.life.is_inherited:
            return
        with self.life.lock:
            if not self.life.is_closed and answers:
                self.mark_end()
                self.table.close(in_place=self.is_in_place)
            if not self.life.is_closed and self.base is not None:
                self.base.close()
            self.life.close()
            if self._place is not None:
                self._place.leave()
        self.wakeups.wake()

    def marked_end(self) -> tuple[int, str] | None:
        """Position and digest of the log's end when the folder was last closed; None where that is not known.

        Raises `RecordError` where the note of it is damaged.
        """
        if self.folder is None:
            return None
        if self.read_only or self._noted is None:
            return marker.read(self.folder).end
        if self._noted.damage is not None:
            raise self._noted.damage
        return self._noted.found_end

    def mark_end(self) -> None:
        """Note in a writer's folder where the log ends."""
        is_its_own = not self.read_only and not self.life.is_superseded and self.is_in_place
        if self._noted is not None and is_its_own and self.head.last:
            with contextlib.suppress(OSError):  # it is only a safeguard
                self._noted.change(sync=True, end=(self.head.last, self.head.digest.hex()))

    def check_journal(self) -> None:
        """Raise `DamagedError` where the folder's journal, as it stands on the disk now, is not as it should be."""
        if self.folder is not None:
            self.table.check_journal(self.folder)

    def trouble(self) -> str:
        """What may be wrong with a storage that does not answer, to be put into a sentence; empty if unknown."""
        return str(self._why())

    def _why(self) -> Trouble:
        if self.location.bucket:
            return diagnosis.of_bucket(self.location, self.patience)
        full = self.folder is not None and local_folder.is_full(self.folder)
        return Trouble(f"the disk of {str(self.folder)!r} is full" if full else "")

"""Opening a store's log: beside its writer, or as its writer, whom nobody joins and the next one supersedes."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, StorageError, SupersededError
from eventsourcing_kit.log.log import Log
from eventsourcing_kit.records.moment import LAST_US, from_us
from eventsourcing_kit.storage import device, local_folder, repair, sweep
from eventsourcing_kit.storage.journal import refuse, take_over
from eventsourcing_kit.storage.slate.opening import Opening, merge
from eventsourcing_kit.storage.worker import Worker
from eventsourcing_kit.writing.durability import Flushed, Journalled
from eventsourcing_kit.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventsourcing_kit.log.forked import Past
    from eventsourcing_kit.log.log import Find
    from eventsourcing_kit.storage.journal import Journal
    from eventsourcing_kit.storage.location import Location
    from eventsourcing_kit.storage.marker import Marker, Owned
    from eventsourcing_kit.writing.durability import Durability

_MERGE_SECONDS = 2.0


@dataclass(frozen=True)
class OpenOptions:
    """How a store is opened, in the words of `EventStore`."""

    read_only: bool
    clock: Callable[[], datetime] | None
    seed: int | None
    fsync: bool
    lag: float | None
    patience: float | None
    base: Past | None = None  # of a branch that is made
    find: Find | None = None  # the base of one that is opened again

    def check(self, location: Location) -> None:
        """Raise `InputError` where they make no sense at a location."""
        if self.read_only and location.is_memory:
            raise InputError("a store in memory begins empty, so read_only would never show anything; give a folder")
        if self.lag is not None and not self.read_only:
            raise InputError(
                "lag is how far a reader may be behind; a writer never is: leave it out, or add read_only=True"
            )
        _check_seconds("lag", self.lag, "from 0")
        _check_seconds("patience", self.patience, "above 0")
        if self.clock is not None and not callable(self.clock):
            raise InputError(f"clock is {self.clock!r}; give a function that returns an aware datetime")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise InputError(f"seed is {self.seed!r}; give a whole number")


def _check_seconds(name: str, value: object, least: str) -> None:
    if value is None:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and least == "above 0"):  # type: ignore[operator]  # it is a number
        raise InputError(f"{name} is {value!r}; give seconds, {least}")


def opened(location: Location, options: OpenOptions, hand_over: Callable[[], None] | None) -> tuple[Log, Writer | None]:
    """The log at a location, and its writer; `hand_over` makes an older writer of this process leave it quietly."""
    try:
        if options.read_only:
            return _log(location, options), None
        journal = _taken_over(location, options, hand_over)
        try:
            return _opened(location, options, journal)
        except BaseException:
            if journal is not None:
                journal.leave()
            raise
    except OSError as error:
        raise StorageError(f"{str(location)!r} cannot be opened: {error}; try again when that is mended") from error


def _taken_over(location: Location, options: OpenOptions, hand_over: Callable[[], None] | None) -> Journal | None:
    if location.folder is not None:
        local_folder.prepare(location.folder)
    if hand_over is not None:
        hand_over()
    return None if location.folder is None else _journal(location.folder, options.fsync)


def _journal(folder: Path, durable: bool) -> Journal | None:
    """Taken over in a thread of its own: Ctrl-C in the middle would leave locks behind that keep everybody out."""
    if not device.HAS_LOCKS:
        refuse(folder)
        return None
    task = Worker("eventsourcing-kit-open").last(lambda: take_over(folder, durable=durable))
    try:
        journal: Journal = task.outcome()
    except KeyboardInterrupt:
        Worker("eventsourcing-kit-open").last(lambda: task.outcome().leave())
        raise
    return journal


def _opened(location: Location, options: OpenOptions, journal: Journal | None) -> tuple[Log, Writer]:
    noted = None if location.folder is None else repair.make_ready(location.folder, fsync=options.fsync)
    ready = None if noted is None else noted.now
    older = set() if location.folder is None else _merged(location, location.folder, journal)
    log = _log(location, options, noted, journal)
    writer = None
    try:
        writer = Writer(log, _durability(log, options, noted, journal), clock=clock_of(log, options), seed=options.seed)
        if ready is not None:
            _tidy(log, ready, older)
        if journal is not None:
            journal.open_to_others()
    except BaseException:
        if writer is not None:
            writer.end()
        log.close()
        raise
    return log, writer


def _merged(location: Location, folder: Path, journal: Journal | None) -> set[str]:
    """The names of a folder's tables, after small ones are merged. Nothing depends on that."""
    with suppress(StorageError, SupersededError, OSError):
        if journal is not None and sweep.must_merge(folder):
            journal.check_owned()
            merge(Opening(location, collects=False), _MERGE_SECONDS, lambda: not sweep.must_merge(folder))
    return sweep.tables(folder)


def _tidy(log: Log, ready: Marker, older: set[str]) -> None:
    """Leave no more in the folder than the opening before, of what each leaves. Nothing depends on it."""
    folder = log.folder
    assert folder is not None
    with suppress(StorageError, OSError):
        if settles := sweep.must_settle(folder) and not local_folder.is_full(folder):
            log.table.settle()
        if settles and not ready.syncs:
            local_folder.Files(folder).sync()
        sweep.sweep(folder, durable=None if ready.written_through else ready.manifest, older=older)


def _log(location: Location, options: OpenOptions, noted: Owned | None = None, journal: Journal | None = None) -> Log:
    collects = noted is None or noted.now.manifest is None or noted.now.written_through
    return Log(
        location,
        read_only=options.read_only,
        lag=options.lag,
        patience=options.patience,
        collects=collects,
        journal=journal,
        noted=noted,
        base=options.base,
        find=options.find,
    )


def clock_of(log: Log, options: OpenOptions) -> Callable[[], datetime]:
    """What gives the time of each commit; a branch's goes on from its last event's, where none is given."""
    if options.clock is not None:
        return options.clock
    if log.base is None:
        return lambda: datetime.now(UTC)
    return lambda: from_us(min(log.head.last_us + 1, LAST_US) if log.head.last else 0)


def _durability(log: Log, options: OpenOptions, noted: Owned | None, journal: Journal | None) -> Durability:
    if journal is not None and noted is not None:
        noted.expect(journal=journal.key, journal_bytes=journal.bytes)  # now that it is known to be this store's
    sync = None if noted is None or log.folder is None else _sync(log, log.folder, options, noted)
    if journal is not None and noted is not None:
        return Journalled(log.table, journal, noted, sync=sync)
    return Flushed(log.table, flush=not log.location.is_memory, sync=sync)  # flushing memory makes nothing safer


def _sync(log: Log, folder: Path, options: OpenOptions, noted: Owned) -> local_folder.Sync | None:
    if options.fsync:
        return local_folder.Sync(folder, noted, end=lambda: (log.head.last, log.head.digest.hex()))
    repair.note_fences(folder, noted)
    return None

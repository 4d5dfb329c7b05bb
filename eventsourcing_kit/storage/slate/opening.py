"""Opening a database and shutting it: a writer's, which fences older ones, or a reader's; errors told for people."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit.errors import EventSourcingError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.storage.in_flight import in_flight
from eventsourcing_kit.storage.slate.binding import FAILURES, Answers, Running, aside, binding, drive, slate
from eventsourcing_kit.storage.slate.settings import object_store, path_in, settings
from eventsourcing_kit.storage.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from eventsourcing_kit.storage.location import Location
    from eventsourcing_kit.storage.worker import Task

_LOOK_SECONDS = 1.0  # after which an open that is not done looks for the reason
_INTERRUPT_SECONDS = 2.0
_MERGE_LOOK_SECONDS = 0.01
_NO_STORE = "failed to find latest transactional object"
_RACE = "version already exists"  # two processes opened the store in the same moment, and the other was first
_RACES = 5


class Trouble(NamedTuple):
    """What is wrong with a storage, as far as that can be found out."""

    why: str = ""  # for people, without secrets
    lasts: bool = False  # whether waiting is vain

    def __str__(self) -> str:
        return f" ({self.why})" if self.why else ""


class Opening(NamedTuple):
    """What is opened, and how (see `Table`); a bucket's `answers` are counted."""

    location: Location
    read_only: bool = False
    collects: bool = True
    with_wal: bool = True
    merges: bool = False
    answers: Answers | None = None


def shut(
    db: Any, location: Location, *, read_only: bool, seconds: float | None = None, answers: Answers | None = None
) -> None:
    """Shut a database; quiet where it is shut already, or does not answer."""

    def shut() -> Coroutine[Any, Any, Any]:
        if read_only:
            return db.shutdown()  # type: ignore[no-any-return]  # untyped binding
        tables = slate.FlushType.MEM_TABLE if location.bucket else None
        return db.shutdown_with_options(slate.CloseOptions(flush_type=tables))  # type: ignore[no-any-return]  # untyped binding

    with contextlib.suppress(*FAILURES, StoreClosedError, TimeoutError):
        aside(lambda: drive(shut, seconds, answers))


def open_db(opening: Opening, patience: float, why: Callable[[], Trouble], races: int = _RACES) -> Any:
    """A database: a writer's, which fences older ones, or a reader's.

    The storage may answer after the caller was interrupted. A writer that opened then would fence the one that was
    opened in its place, so it is closed as soon as it is open.
    """
    in_flight.check_process()
    location = opening.location
    # The builder too is made and dropped over there: Ctrl-C during a __del__ of the binding would be swallowed.
    task = Worker("eventsourcing-kit-open").last(lambda: _opened(opening, patience, why))
    failure: Exception
    try:
        return task.outcome()
    except FAILURES as error:
        failure = no_store(location) if _NO_STORE in str(error) else translated(error, location)
        lost_race = _RACE in str(error)
    except KeyboardInterrupt:
        with contextlib.suppress(slate.Error, TimeoutError, EventSourcingError):
            _abandon(task, opening).outcome(_INTERRUPT_SECONDS)
        raise
    if lost_race and races:
        return open_db(opening, patience, why, races - 1)
    raise failure


def merge(opening: Opening, patience: float, is_done: Callable[[], bool]) -> None:
    """Open a database until it has merged tables, or `patience` seconds have gone by, and shut it."""
    db, end = open_db(opening._replace(merges=True), patience, Trouble), time.monotonic() + patience
    try:
        while not is_done() and time.monotonic() < end:
            time.sleep(_MERGE_LOOK_SECONDS)
    finally:
        shut(db, opening.location, read_only=False, seconds=patience)


def _abandon(task: Task, opening: Opening) -> Task:
    return Worker("eventsourcing-kit-open").last(
        lambda: shut(task.outcome(), opening.location, read_only=opening.read_only)
    )


def no_store(location: Location) -> StorageError:
    """The error for a reader of what isn't there."""
    return StorageError(f"{str(location)!r} holds no event store; read_only opens an existing one and never makes one")


def _opened(opening: Opening, patience: float, why: Callable[[], Trouble]) -> Any:
    location, answers, builder = opening.location, opening.answers or Answers(), _builder(opening)
    if location.bucket:
        builder.with_metrics_recorder(answers.recorder)
    with in_flight:
        running = Running(builder.build())
        if running.wait(min(_LOOK_SECONDS, patience / 4)):
            return running.result()
        trouble = why()
        if not trouble.lasts and answers.wait(running, patience):
            return running.result()
        running.stop()
    if trouble.lasts:
        raise StorageError(f"{str(location)!r} cannot be opened: {trouble.why}")
    raise StorageError(
        f"the storage did not answer within {patience:g} s{trouble}; check that {str(location)!r} can be written"
        + ("" if location.bucket else " and has space")
    )


def _builder(opening: Opening, retries: int | None = None) -> Any:
    store, path = object_store(opening.location), path_in(opening.location)
    if not opening.read_only:
        builder = slate.DbBuilder(path, store)
        builder.with_settings(settings(opening.collects, opening.merges))
        return builder
    builder = slate.DbReaderBuilder(path, store)
    builder.with_reader_mode(slate.ReaderMode.FOLLOW_LATEST())
    builder.with_options(
        slate.ReaderOptions(
            manifest_poll_interval_ms=3_600_000, checkpoint_lifetime_ms=600_000, max_memtable_bytes=64 << 20,
            skip_wal_replay=retries is not None or not opening.with_wal, object_store_max_retries=retries,
        )
    )  # fmt: skip
    return builder


def first_failure(location: Location, seconds: float) -> str:
    """What fails when the storage is asked once, without trying again; empty where nothing does.

    Only reads: nobody is fenced by it. Raises `TimeoutError`; its text may hold secrets.
    """

    def ask() -> str:
        try:
            drive(_builder(Opening(location, read_only=True), retries=0).build, seconds)
        except slate.Error as error:
            return str(error.message)
        return ""

    return aside(ask)


def translated(error: Any, location: Location) -> Exception:
    """An error of the library as one of the kit's, without secrets."""
    if isinstance(error, slate.Error.Closed):
        if getattr(error, "reason", None) == slate.CloseReason.FENCED:
            return SupersededError()
        return StoreClosedError(f"the store is closed ({error}); open it again with EventStore(…)")
    if _RACE in str(error):
        return SupersededError("other writers opened the store at the same time; open it again with EventStore(…)")
    if isinstance(error, (slate.Error.Data, binding.InternalError)):
        return StorageError(
            f"the storage holds damaged data ({location.scrubbed(str(error))}); what can still be read tells verify() "
            "of the store opened with read_only=True; restore the damaged files from a copy"
        )
    return StorageError(location.scrubbed(f"the storage failed: {error}"))

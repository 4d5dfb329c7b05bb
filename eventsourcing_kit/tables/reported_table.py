"""One table of a reporting database: how far it is, what keeps it from going on, and one step of its way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import EventSourcingError, ProjectionError, SchemaError, StorageError, StoreClosedError
from eventsourcing_kit.tables import table_catalogue as catalogue
from eventsourcing_kit.tables.table_fold import batch_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.tables.duck import Duck
    from eventsourcing_kit.tables.table_release import Release, Source

STALE_CURE = "its projection has changed since it was built; db.rebuild({!r}, store) builds it again"


class ReportedTable:
    """A name, what it is made of, and its present release."""

    def __init__(self, name: str, source: Source, release: Release) -> None:
        self.name, self.source, self.release = name, source, release
        self.error: EventSourcingError | None = None
        self.is_rebuilding = False

    @property
    def position(self) -> int:
        """The position up to which the table holds the log."""
        return self.release.position

    def is_stale(self, log: Log) -> bool:
        """Whether its rows were made by other code than its projection's of today, or of events read otherwise."""
        return self.position > 0 and not self.release.is_as_today(log.policies)

    def state(self, log: Log) -> str:
        """In a word."""
        if self.is_stale(log):
            return "stale"
        if self.error is not None:
            return "failed"
        return "current" if self.position >= log.head.last else "behind"

    def trouble(self, log: Log) -> str | None:
        """What keeps it from going on."""
        if self.is_stale(log):
            return STALE_CURE.format(self.name)
        return None if self.error is None else str(self.error)

    def step(self, duck: Duck, log: Log) -> bool:
        """Go on by one batch, rows and checkpoint in one transaction; False where there is none or it fails."""
        if self.error is not None or self.position >= log.head.last or self.is_stale(log):
            return False
        try:
            advance(self.name, self.release, duck, log, visible=True)
        except StoreClosedError:
            raise
        except Exception as error:
            self.error = named(self.name, error)
            return False
        return True

    def replace(self, duck: Duck, built: Release) -> None:
        """Put a release that was built beside the present one in its place, at once and for all readers."""
        with duck.transaction():
            catalogue.keep(duck, self.name, built.kept())
            built.show(duck)
            self.release.drop(duck)
        self.release, self.error = built, None


def advance(name: str, release: Release, duck: Duck, log: Log, *, visible: bool) -> None:
    """Write one batch into a release; a `visible` one's checkpoint is kept in the same transaction."""
    upto, mark = batch_end(log, release.position)
    try:
        with duck.transaction():
            release.write(duck, log, upto, visible=visible)
            if visible:
                catalogue.keep(duck, name, replace(release.kept(), position=upto, mark=mark))
    except BaseException:
        release.undo()
        raise
    release.done(upto, mark)


def named(name: str, error: Exception) -> EventSourcingError:
    """The error with the table's name before it."""
    kinds: tuple[Callable[[str], EventSourcingError], ...] = (ProjectionError, SchemaError, StorageError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), ProjectionError)  # type: ignore[arg-type]  # all classes
    told = str(error) if isinstance(error, EventSourcingError) else f"{type(error).__name__}: {error}"
    made = kind(f"table {name!r}: {told}")
    made.__cause__ = error
    return made

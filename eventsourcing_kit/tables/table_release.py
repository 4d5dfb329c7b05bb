"""One release of a table, from its first row to the day a rebuild replaces it: rows and checkpoint move as one.

There are two kinds, with the same methods: of a projection, and of the raw log. `write` stands in a transaction; after
its commit comes `done`, after a failure `undo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from eventsourcing_kit.folding.snapshots import Basis
from eventsourcing_kit.tables.events_table import EventsTable
from eventsourcing_kit.tables.state_table import StateTable
from eventsourcing_kit.tables.table_columns import Columns, first_columns
from eventsourcing_kit.tables.table_fold import NOTHING_MADE, Fold, Made, skips_of

if TYPE_CHECKING:
    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.unknown import Policies
    from eventsourcing_kit.tables.duck import Duck


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database keeps of a release: its checkpoint (`position`, `mark`), what made it (`code`), its columns."""

    release: int
    position: int
    mark: str
    code: str
    temporal: bool
    columns: str


class Release(Protocol):
    """What a table needs of its release."""

    number: int
    position: int
    mark: str

    def is_as_today(self, policies: Policies) -> bool:
        """Whether today's code would make the same rows."""
        ...

    def create(self, duck: Duck) -> None:
        """Make the tables, empty."""

    def show(self, duck: Duck) -> None:
        """Let the name that people use stand for this release."""

    def drop(self, duck: Duck) -> None:
        """Remove the tables."""

    def kept(self) -> Kept:
        """What the database keeps of it."""
        ...

    def write(self, duck: Duck, log: Log, upto: int, *, visible: bool) -> None:
        """Write what the events up to a position change."""

    def done(self, upto: int, mark: str) -> None:
        """It was committed."""

    def undo(self) -> None:
        """It was rolled back."""


class Source(Protocol):
    """What a table is made of: where it takes a new release from, or goes on with one that is kept."""

    def begin(self, number: int) -> Release:
        """A new release."""
        ...

    def go_on(self, kept: Kept) -> Release:
        """The one that the database holds."""
        ...


class StateRelease:
    """A release of a projection's table."""

    def __init__(self, source: StateSource, table: StateTable, kept: Kept) -> None:
        self.number, self.position, self.mark = kept.release, kept.position, kept.mark
        self._source, self._table = source, table
        self._fold = Fold(source.projection)
        self._columns = table.columns
        self._made = self._now_made = Made.from_text(kept.code)

    def is_as_today(self, policies: Policies) -> bool:
        """Whether today's code would make the same rows."""
        return self._made.still_holds(self._source.fold, policies, self._source.basis)

    def create(self, duck: Duck) -> None:
        """Make the tables, empty."""
        self._table.create(duck)

    def show(self, duck: Duck) -> None:
        """Let the name that people use stand for this release."""
        self._table.show(duck)

    def drop(self, duck: Duck) -> None:
        """Remove the tables."""
        self._table.drop(duck)

    def kept(self) -> Kept:
        """What the database keeps of it."""
        code, columns = self._now_made.to_text(), self._columns.to_text()
        return Kept(self.number, self.position, self.mark, code, self._table.temporal, columns)

    def write(self, duck: Duck, log: Log, upto: int, *, visible: bool) -> None:
        """Write the states that changed."""
        basis = self._source.basis
        if self._made == NOTHING_MADE:
            self._now_made = Made(self._source.fold, skips_of(log.policies), {})
        self._fold.catch_up(log, self.position)
        steps, numbers = self._fold.advance(log, upto)
        self._now_made = self._now_made.and_of(steps.tally.types | steps.tally.skipped.keys(), basis)
        if numbers:
            self._columns = self._table.write(duck, steps, numbers, visible=visible)

    def done(self, upto: int, mark: str) -> None:
        """It was committed."""
        self.position, self.mark, self._table.columns, self._made = upto, mark, self._columns, self._now_made

    def undo(self) -> None:
        """It was rolled back: the states in memory are ahead of the table, and are folded anew when next needed."""
        self._fold = Fold(self._source.projection)
        self._columns, self._now_made = self._table.columns, self._made


class EventsRelease:
    """A release of the raw log's table."""

    def __init__(self, kept: Kept) -> None:
        self.number, self.position, self.mark = kept.release, kept.position, kept.mark
        self._table = EventsTable(kept.release)

    def is_as_today(self, policies: Policies) -> bool:
        """Always: no code of people's makes the rows, and nothing is left out."""
        return True

    def create(self, duck: Duck) -> None:
        """Make the table, empty."""
        self._table.create(duck)

    def show(self, duck: Duck) -> None:
        """Let `events` stand for this release."""
        self._table.show(duck)

    def drop(self, duck: Duck) -> None:
        """Remove the table."""
        self._table.drop(duck)

    def kept(self) -> Kept:
        """What the database keeps of it."""
        return Kept(self.number, self.position, self.mark, "", False, "")

    def write(self, duck: Duck, log: Log, upto: int, *, visible: bool) -> None:
        """Add the events."""
        self._table.write(duck, log, self.position, upto)

    def done(self, upto: int, mark: str) -> None:
        """It was committed."""
        self.position, self.mark = upto, mark

    def undo(self) -> None:
        """It was rolled back; nothing is in memory."""


class StateSource:
    """Releases of a projection's table."""

    def __init__(self, name: str, projection: Projection, *, temporal: bool) -> None:
        self._name, self.projection, self._temporal = name, projection, temporal
        self._basis: Basis | None = None

    @property
    def basis(self) -> Basis:
        """The projection's code, looked at anew where it may have changed."""
        if self._basis is None or not self._basis.still_holds():
            self._basis = Basis(self.projection)
        return self._basis

    @property
    def fold(self) -> str:
        """The fingerprint of the projection, and whether all rows are kept."""
        return self.basis.text + (" temporal" if self._temporal else "")

    def begin(self, number: int) -> StateRelease:
        """A new release, whose columns are judged by the initial state until there are others."""
        columns = first_columns(self.projection.first_state(), temporal=self._temporal)
        return self._release(Kept(number, 0, "", "", self._temporal, columns.to_text()))

    def go_on(self, kept: Kept) -> StateRelease:
        """The one that the database holds."""
        return self._release(kept)

    def _release(self, kept: Kept) -> StateRelease:
        columns = Columns.from_text(kept.columns, temporal=kept.temporal)
        table = StateTable(self._name, kept.release, temporal=kept.temporal, columns=columns)
        return StateRelease(self, table, kept)


class EventsSource:
    """Releases of the raw log's table."""

    def begin(self, number: int) -> EventsRelease:
        """A new release."""
        return self.go_on(Kept(number, 0, "", "", False, ""))

    def go_on(self, kept: Kept) -> EventsRelease:
        """The one that the database holds."""
        return EventsRelease(kept)

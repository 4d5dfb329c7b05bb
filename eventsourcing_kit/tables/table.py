"""What every table of a reporting database is: SQL tables behind one view, a checkpoint, and one step of its way.

A kind of table is a subclass of `Table`: `events_table` and `state_table`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import EventSourcingError, ProjectionError, SchemaError, StorageError, StoreClosedError
from eventsourcing_kit.tables import catalogue
from eventsourcing_kit.tables.catalogue import SCHEMA
from eventsourcing_kit.tables.duck import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.unknown import Policies
    from eventsourcing_kit.tables.catalogue import Kept
    from eventsourcing_kit.tables.duck import Duck


class Table(ABC):
    """One release of a table; a rebuild makes the next one beside it, which then takes its place.

    `kept` is what the database remembers of it, `error` why its last step failed. A kind of table gives the abstract
    methods, and writes its rows with `insert`.
    """

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.error: EventSourcingError | None = None
        self.is_rebuilding = False

    @property
    def name(self) -> str:
        """The name under which people ask for it."""
        return self.kept.name

    @property
    def position(self) -> int:
        """The position up to which the table holds the log."""
        return self.kept.position

    @property
    def events_a_step(self) -> int:
        """How many events a batch has, about: it ends where a commit does."""
        return 10_000

    # -- what a kind of table gives ----------------------------------------------------------------------------------

    @abstractmethod
    def new(self, release: int) -> Table:
        """A table of the same kind and name that holds nothing yet."""

    @abstractmethod
    def relations(self) -> dict[str, dict[str, str]]:
        """The SQL tables in which its rows stand: by their names (see `relation`) each column's SQL type."""

    @abstractmethod
    def view(self) -> str:
        """The SELECT statement over these tables that people see under the table's name."""

    @abstractmethod
    def write(self, duck: Duck, log: Log, upto: int, *, visible: bool) -> Kept:
        """Within a transaction, write what the events up to a position change; returns what is to be kept of it.

        A change of columns shows in the view only where the table is `visible`.
        """

    def undo(self) -> None:  # noqa: B027  # for kinds that remember something
        """Forget what the last `write` left in memory: its transaction was rolled back."""

    def is_as_today(self, policies: Policies) -> bool:
        """Whether today's code would make the same rows of the same events."""
        return True

    # -- what every table does ---------------------------------------------------------------------------------------

    def relation(self, suffix: str = "") -> str:
        """The name of one of its SQL tables, as SQL writes it."""
        return f"{SCHEMA}.{quoted(f'{self.name} {self.kept.release}{suffix}')}"

    def create(self, duck: Duck) -> None:
        """Make the SQL tables, empty."""
        for relation, columns in self.relations().items():
            listed = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
            duck.run(f"CREATE OR REPLACE TABLE {relation} ({listed})")

    def show(self, duck: Duck) -> None:
        """Make the view of that name show this release."""
        duck.run(f"CREATE OR REPLACE VIEW main.{quoted(self.name)} AS {self.view()}")

    def drop(self, duck: Duck) -> None:
        """Remove the SQL tables, not the view."""
        for relation in self.relations():
            duck.run(f"DROP TABLE IF EXISTS {relation}")

    def insert(self, duck: Duck, relation: str, columns: Mapping[str, tuple[Any, str]]) -> None:
        """Add rows: for each column an array of values, and the SQL expression that reads it, `{}` its name."""
        with duck.given({f"c{i}": array for i, (array, _) in enumerate(columns.values())}):
            taken = ", ".join(reading.format(f"c{i}") for i, (_, reading) in enumerate(columns.values()))
            duck.run(f"INSERT INTO {relation} ({', '.join(map(quoted, columns))}) SELECT {taken} FROM given")

    def step(self, duck: Duck, log: Log) -> bool:
        """Go on by one batch; False where there is nothing to do, or it fails, which `error` then tells."""
        if self.error is not None or self.position >= log.head.last or self.is_stale(log):
            return False
        try:
            self.advance(duck, log)
        except StoreClosedError:
            raise
        except Exception as error:
            self.error = named(self.name, error)
            return False
        return True

    def advance(self, duck: Duck, log: Log, *, visible: bool = True) -> None:
        """Write one batch, which ends where a commit does; a `visible` table's checkpoint in the same transaction."""
        commit = log.commit_of(min(self.position + self.events_a_step, log.head.last))
        try:
            with duck.transaction():
                written = self.write(duck, log, commit.last, visible=visible)
                kept = replace(written, position=commit.last, mark=catalogue.mark(commit, commit.last))
                if visible:
                    catalogue.keep(duck, kept)
        except BaseException:
            self.undo()
            raise
        self.kept = kept

    # -- how it is ---------------------------------------------------------------------------------------------------

    def is_stale(self, log: Log) -> bool:
        """Whether its rows were made by other code than its projection's of today, or of events read otherwise."""
        return self.position > 0 and not self.is_as_today(log.policies)

    def state(self, log: Log) -> tuple[str, str | None]:
        """A word for how it is (stale, failed, current, behind), and what keeps it from going on."""
        if self.is_stale(log):
            return "stale", (
                f"its projection has changed since it was built; db.rebuild({self.name!r}, store) builds it again"
            )
        if self.error is not None:
            return "failed", str(self.error)
        return "current" if self.position >= log.head.last else "behind", None


def named(name: str, error: Exception) -> EventSourcingError:
    """The error with the table's name before it."""
    kinds: tuple[Callable[[str], EventSourcingError], ...] = (ProjectionError, SchemaError, StorageError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), ProjectionError)  # type: ignore[arg-type]  # all classes
    told = str(error) if isinstance(error, EventSourcingError) else f"{type(error).__name__}: {error}"
    made = kind(f"table {name!r}: {told}")
    made.__cause__ = error
    return made

"""The condition of an append: that no event after a position is one that a query means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.errors import ConcurrencyError
from eventsourcing_kit.reading.query import rows
from eventsourcing_kit.reading.read import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.records.record import Commit


class Condition:
    """`unless` the log holds an event behind `after` that the query means.

    What was stored when it was made is looked at by whoever made it, so that the writer, for whom others wait, has only
    what came since.
    """

    def __init__(self, unless: Query, after: int) -> None:
        self.unless, self.after = unless, after
        self._looked_upto, self._match = after, 0  # the position of the last event up to there that it means

    def look(self, log: Log, upto: int) -> None:
        """Look at what the log holds up to a position, from where it was last looked at."""
        if upto > self._looked_upto:
            found = Selection(self._looked_upto, upto, query=self.unless).last_position(log)
            self._looked_upto, self._match = upto, found or self._match

    def check(self, log: Log, newest: Iterable[Commit]) -> None:
        """Raise `ConcurrencyError` where it does not hold. `newest` are the last commits, newest first."""
        upto = log.head.last
        for commit in newest:
            if commit.last <= self._looked_upto:
                break
            meant = rows(self.unless, commit)
            if len(meant) and commit.first + int(meant[-1]) > self._looked_upto:
                raise ConcurrencyError(None, self.after, commit.first + int(meant[-1]), unless=self.unless)
            upto = commit.first - 1
        self.look(log, upto)
        if self._match:
            raise ConcurrencyError(None, self.after, self._match, unless=self.unless)

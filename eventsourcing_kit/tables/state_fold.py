"""A projection's fold as a table goes on with it: the states so far, the numbers of their keys, and what made them.

The states are kept in memory. Where there are none yet (the database was opened again, or a batch failed) they are
folded anew from the log up to the table's position, so that they are exactly those that the next event meets.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eventsourcing_kit.folding.columnar import go_on
from eventsourcing_kit.folding.replay import Steps, fold
from eventsourcing_kit.folding.rows import Rows
from eventsourcing_kit.folding.running import Inexact
from eventsourcing_kit.reading.read import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.snapshots import FoldFingerprint
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.unknown import Policies

_WORTH_COLUMNS = 100  # events; fewer are folded more quickly one by one


class Fold:
    """The states of one projection as of `position`, and the `types` of the events that led there."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self.position = 0
        self.types: set[str] = set()
        self._states: dict[Any, Any] = {}
        self._numbers: dict[Any, int] = {}
        self._by_columns = projection.declared is not None

    def advance(self, log: Log, upto: int) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Fold up to a position: the states passed through, and for each the number of its key."""
        selection = Selection(self.position, upto, types=self._projection.types)
        rows = self._columns(log, selection)
        if rows is None:
            steps = Steps()
            fold(self._projection, log, selection, steps=steps, states=self._states)
            self.types |= steps.tally.types | steps.tally.skipped.keys()
            rows = Rows.of(steps)
        self.position = upto
        numbers = [self._numbers.setdefault(key, len(self._numbers)) for key in rows.keys]
        return rows, np.array(numbers, dtype=np.int64)[rows.codes]

    def _columns(self, log: Log, selection: Selection) -> Rows | None:
        """Declared folds over columns; None where they do not tell exactly, or there is little to fold."""
        if not self._by_columns or selection.upto - selection.after < _WORTH_COLUMNS:
            return None
        with contextlib.suppress(Inexact):
            return go_on(self._projection, log, selection, self._states, self.types)
        self._by_columns = False
        return None

    def catch_up(self, log: Log, position: int, events_a_step: int) -> None:
        """Fold up to a position that the table has already."""
        while self.position < position:
            self.advance(log, min(self.position + events_a_step, position))


class Made(NamedTuple):
    """By what a table's rows were made: where any of it changes, other rows would be made today.

    `fold` is the fingerprint of the projection; `skips`, which events the store left out: of unknown types, and of
    newer versions than their classes'; `readings`, by the types of the events so far, the fingerprint of how they were
    read.
    """

    fold: str
    skips: list[bool]
    readings: dict[str, str | None]

    def and_of(self, today: Made) -> Made:
        """The same, and how the types are read that only `today` knows."""
        return self._replace(readings=today.readings | self.readings)

    @classmethod
    def today(cls, fold: str, policies: Policies, types: Iterable[str], basis: FoldFingerprint) -> Made:
        """What would be made today of events of these types."""
        skips = [policies.unknown == "skip", policies.newer == "skip"]
        return cls(fold, skips, {name: basis.reading(name) for name in sorted(types)})

    def to_text(self) -> str:
        """As JSON, for the next time that the database is opened."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Made:
        """The inverse of `to_text`; one that is no such text never holds today."""
        return cls(*json.loads(text)) if text.startswith("[") else cls(text, [], {})

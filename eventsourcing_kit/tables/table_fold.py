"""A projection's fold as a table goes on with it: the states so far, the numbers of their keys, and what made them.

The states are kept in memory. Where there are none yet (the database was opened again, or a batch failed) they are
folded anew from the log up to the table's position, so that they are exactly those that the next event meets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit.folding.replay import Steps, fold
from eventsourcing_kit.reading.read import Selection

if TYPE_CHECKING:
    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.snapshots import Basis
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.unknown import Policies

EVENTS_A_BATCH = 10_000


def batch_end(log: Log, after: int) -> tuple[int, str]:
    """Where a batch of events behind a position ends, always at a commit's end, and the mark of that place."""
    commit = log.commit_of(min(after + EVENTS_A_BATCH, log.head.last))
    return commit.last, commit.previous.hex() + commit.id_bytes[-1].tobytes().hex()


def mark_of(log: Log, position: int) -> str:
    """What only this history has at a position: its last event's id, and the hash of all that came before."""
    commit = log.commit_of(position)
    mark: str = commit.previous.hex() + commit.id_bytes[position - commit.first].tobytes().hex()
    return mark


class Fold:
    """The states of one projection as of `position`."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.position = 0
        self._states: dict[Any, Any] = {}
        self._numbers: dict[Any, int] = {}

    def advance(self, log: Log, upto: int) -> tuple[Steps, list[int]]:
        """Fold up to a position; the states passed through, and their keys' numbers in order of appearance."""
        steps = Steps()
        selection = Selection(self.position, upto, types=self.projection.types)
        fold(self.projection, log, selection, steps=steps, states=self._states)
        self.position = upto
        known = self._numbers
        return steps, [known.setdefault(key, len(known)) for key in steps.keys]

    def catch_up(self, log: Log, position: int) -> None:
        """Fold up to a position that the table has already."""
        while self.position < position:
            self.advance(log, min(batch_end(log, self.position)[0], position))


class Made(NamedTuple):
    """By what a table's rows were made: where any of it changes, other rows would be made today.

    `fold` is the fingerprint of the projection; `skips`, which events that no class knows the store left out;
    `readings`, by the types of the events so far, the fingerprint of how they were read.
    """

    fold: str
    skips: list[bool]
    readings: dict[str, str | None]

    def and_of(self, types: set[str], basis: Basis) -> Made:
        """The same, and events of these types."""
        new = sorted(types - self.readings.keys())
        return self._replace(readings={**self.readings, **{name: basis.reading(name) for name in new}})

    def still_holds(self, fold: str, policies: Policies, basis: Basis) -> bool:
        """Whether the same rows would be made today."""
        same = self.fold == fold and self.skips == skips_of(policies)
        return same and all(basis.reading(name) == reading for name, reading in self.readings.items())

    def to_text(self) -> str:
        """As JSON, for the next time that the database is opened."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Made:
        """The inverse of `to_text`; an empty text says that nothing was made yet, and another one never holds today."""
        if not text.startswith("["):
            return cls(text, [], {})
        return cls(*json.loads(text))


NOTHING_MADE = Made("", [], {})


def skips_of(policies: Policies) -> list[bool]:
    """Which events a store leaves out: of unknown types, and of newer versions than their classes'."""
    return [policies.unknown == "skip", policies.newer == "skip"]

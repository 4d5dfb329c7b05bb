"""Two views that count events, each together with how far it has come: by a replay, and by a reporting database."""

from __future__ import annotations

from eventsourcing.persistence import Tracking
from eventsourcing.tests.projection import EventCountersView

import eventsourcing_kit as ek
from tests.conformance.recorders import TrackingRecorder

_counted = ek.Projection("counted", initial=lambda: 0)


@_counted.on("Counted")
def _one_more(count: int, _: object) -> int:
    return count + 1


class ReplayedCounters(TrackingRecorder, EventCountersView):
    """A counter is a stream, and its value a replay."""

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._count("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._count("subsequent", tracking)

    def get_created_event_counter(self) -> int:
        return self._value("created")

    def get_subsequent_event_counter(self) -> int:
        return self._value("subsequent")

    def _count(self, counter: str, tracking: Tracking) -> None:
        self.append_tracked(tracking, [ek.Append(counter, ek.NewEvent(type="Counted"))])

    def _value(self, counter: str) -> int:
        value: int = self.store.replay(_counted, key=counter)
        return value


class ReportedCounters(ReplayedCounters):
    """Values come out of a reporting database, which is updated before an append returns."""

    def __init__(self, store: ek.EventStore) -> None:
        super().__init__(store)
        self._database = ek.ReportingDatabase()
        self._database.add(_counted)
        self._database.follow(store, inline=True)

    def _value(self, counter: str) -> int:
        self._database.wait_until(self.store)  # another thread's append may not have returned yet
        found = self._database.sql("SELECT state FROM counted WHERE key = ?", [counter])
        return int(found["state"].iloc[0]) if len(found) else 0

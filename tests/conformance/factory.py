"""What an application of the other project finds behind `PERSISTENCE_MODULE=tests.conformance.factory`."""

from __future__ import annotations

from pathlib import Path

from eventsourcing import persistence, utils

import eventsourcing_kit as ek
from tests.conformance.recorders import AggregateRecorder, ApplicationRecorder, ProcessRecorder, TrackingRecorder

FOLDER = "STORES_FOLDER"  # the environment's name for where stores are made; without it they are in memory


_opened: list[ek.EventStore] = []


def close_all() -> None:
    """Close every store that a factory has opened."""
    while _opened:
        _opened.pop().close()


class Factory(persistence.InfrastructureFactory[TrackingRecorder]):
    """Makes recorders: those of one purpose share a store."""

    def __init__(self, env: utils.Environment | utils.EnvType | None) -> None:
        super().__init__(env)
        self._stores: dict[str, ek.EventStore] = {}

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        return AggregateRecorder(self._store(purpose))

    def application_recorder(self) -> ApplicationRecorder:
        return ApplicationRecorder(self._store("events"))

    def process_recorder(self) -> ProcessRecorder:
        return ProcessRecorder(self._store("events"))

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        kind = tracking_recorder_class or (utils.resolve_topic(topic) if topic else TrackingRecorder)
        recorder: TrackingRecorder = kind(self._store("tracking"))
        return recorder

    def close(self) -> None:
        for store in self._stores.values():
            store.close()

    def _store(self, purpose: str) -> ek.EventStore:
        folder = self.env.get(FOLDER)
        if purpose not in self._stores:
            where = Path(folder) / (self.env.name or "unnamed") / purpose if folder else None
            self._stores[purpose] = ek.EventStore(where)
            _opened.append(self._stores[purpose])
        return self._stores[purpose]

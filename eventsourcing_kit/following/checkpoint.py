"""How far a named subscription came, kept as a note beside the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from eventsourcing_kit.following import parked
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.following.parked import Parked
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.writing.writer import Writer

_KIND = "checkpoint"


class Checkpoint:
    """The last position that a named subscription handled, as it is stored; written by the store's one writer."""

    def __init__(self, log: Log, writer: Writer, name: str) -> None:
        self._writer, self._name = writer, name
        note = log.note(_KIND, name)
        self.position: int | None = None if note is None else int(from_json(note)["position"])

    def save(self, position: int, changed: Mapping[int, Parked | None]) -> None:
        """Store a position and, with it or not at all, what was set aside since (None: is so no more)."""
        rows: list[tuple[bytes, bytes | None]] = [
            (keys.note(parked.KIND, self._name, at), None if one is None else one.to_note())
            for at, one in changed.items()
        ]
        rows.append((keys.note(_KIND, self._name), to_json({"position": position})))
        self._writer.note(rows)
        self.position = position


def names(log: Log) -> list[str]:
    """The subscriptions that have kept a checkpoint."""
    return [name for name, _, _ in log.notes(_KIND)]

"""What an append did: the receipt that comes back."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.reading.read import events_at, recorded

if TYPE_CHECKING:
    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.writing.append import Stored


class Receipt:
    """What an append did: `stream`, its `version` and the log's `position` after it, `events`, and `replayed`.

    `replayed` is True where the same events were there already, and nothing was stored. A receipt is a moment: its last
    event's. `store_id` is that of its store.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> receipt = store.append("order-7", [ek.NewEvent(type="Packed"), ek.NewEvent(type="Shipped")])
    >>> receipt.version, receipt.position, receipt.replayed
    (2, 2, False)
    >>> [event.type for event in store.read(as_of=receipt)]
    ['Packed', 'Shipped']
    """

    def __init__(self, log: Log, stream: str, stored: Stored) -> None:
        self._stored = stored
        self._there_already = list(events_at(log, stored.positions)) if stored.replayed else []
        self.store_id = log.store_id
        self.stream, self.version, self.replayed = stream, stored.version, stored.replayed

    @property
    def position(self) -> int:
        """The position of the last event."""
        return int(self._stored.positions[-1])

    @cached_property
    def events(self) -> list[RecordedEvent]:
        """The events as they were recorded; also after the store was closed."""
        if self._stored.commit is None:
            return self._there_already
        commit = self._stored.commit()
        return list(recorded(commit, np.array(self._stored.positions) - commit.first))

    def __getstate__(self) -> dict[str, Any]:
        """With its events instead of the way to them, so that a receipt can be sent to another process."""
        return {**vars(self), "events": self.events, "_stored": replace(self._stored, commit=None)}

    def __repr__(self) -> str:
        replayed = ", replayed" if self.replayed else ""
        return (
            f"<receipt: {counted(len(self._stored.positions))} to {self.stream!r}, "
            f"version {self.version}, position {self.position}{replayed}>"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"

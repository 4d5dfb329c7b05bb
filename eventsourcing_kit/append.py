"""What goes into an append and what comes back: `Append` and `Receipt`."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.read import Read, Selection, event_at
from eventsourcing_kit.writer import Expected, ExpectedVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.draft import Events
    from eventsourcing_kit.event import RecordedEvent
    from eventsourcing_kit.log import Log
    from eventsourcing_kit.writer import Stored


@dataclass(frozen=True)
class Append:
    """One stream's part of `append_many`.

    >>> import eventsourcing_kit as ek
    >>> ek.Append("order-7", ek.NewEvent(type="Shipped"), expected_version=ek.NO_STREAM)
    Append('order-7', 1 event, expected_version=NO_STREAM)
    """

    stream: str
    events: Events
    expected_version: Expected = ExpectedVersion.ANY
    metadata: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        count = len(self.events) if isinstance(self.events, (list, tuple)) else 1
        return f"Append({self.stream!r}, {_events(count)}, expected_version={self.expected_version!r})"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class Receipt:
    """What an append did: `stream`, its `version` and the log's `position` after it, `events`, and `replayed`.

    `replayed` is True where the same events were there already, and nothing was stored.
    """

    def __init__(self, log: Log, stream: str, stored: Stored) -> None:
        self._log, self._positions = log, stored.positions
        self.stream, self.version, self.replayed = stream, stored.version, stored.replayed

    @property
    def position(self) -> int:
        """The position of the last event."""
        return int(self._positions[-1])

    @property
    def events(self) -> list[RecordedEvent]:
        """The events as they were recorded, read from the log."""
        first, last = self._positions[0], self._positions[-1]
        if last - first + 1 != len(self._positions):
            return [event_at(self._log, position) for position in self._positions]
        return list(Read(self._log, Selection(first - 1, last)))

    def __repr__(self) -> str:
        replayed = ", replayed" if self.replayed else ""
        return (
            f"<receipt: {_events(len(self._positions))} to {self.stream!r}, "
            f"version {self.version}, position {self.position}{replayed}>"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"

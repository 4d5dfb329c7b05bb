"""What goes into an append and what comes back: `Append` and `Receipt`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import schema
from eventsourcing_kit.events.command_context import within
from eventsourcing_kit.events.event import NewEvent
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.reading.read import events_at, recorded
from eventsourcing_kit.records.batch import Batch, Expected, ExpectedVersion, Submission, check_expected
from eventsourcing_kit.records.draft import drafts
from eventsourcing_kit.records.moment import from_us

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.batch import Stored
    from eventsourcing_kit.records.draft import Events
    from eventsourcing_kit.records.rows import Draft


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
        return f"Append({self.stream!r}, {counted(count)}, expected_version={self.expected_version!r})"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class Receipt:
    """What an append did: `stream`, its `version` and the log's `position` after it, `events`, and `replayed`.

    `replayed` is True where the same events were there already, and nothing was stored. A receipt is a moment: its last
    event's. `store_id` is that of its store.
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

    def __repr__(self) -> str:
        replayed = ", replayed" if self.replayed else ""
        return (
            f"<receipt: {counted(len(self._stored.positions))} to {self.stream!r}, "
            f"version {self.version}, position {self.position}{replayed}>"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def checked_appends(appends: Iterable[Append]) -> list[Append]:
    """What was given to `append_many`, if it is some appends; raises `InputError`."""
    if not isinstance(appends, Append | Iterable):
        raise InputError(f"{appends!r} is no list of appends; append_many takes [ek.Append(stream, events), …]")
    given: list[Append] = [appends] if isinstance(appends, Append) else [*appends]
    for one in given:
        if not isinstance(one, Append):
            raise InputError(f"{one!r} is no append; append_many takes ek.Append(stream, events, …)")
    if not given:
        raise InputError("an empty append_many; give at least one ek.Append(stream, events)")
    return given


def submission(appends: list[Append]) -> Submission:
    """The appends as one commit to be, every event checked."""
    return Submission.of(
        [
            Batch(
                one.stream, drafts(one.stream, one.events, within(one.metadata)), check_expected(one.expected_version)
            )
            for one in appends
        ]
    )


def as_event(draft: Draft) -> NewEvent:
    """A draft as an event to be appended again."""
    occurred_at = None if draft.occurred_us is None else from_us(draft.occurred_us)
    kind = schema.registered(draft.type)
    if kind is not None:
        (event,) = kind.from_rows([draft.data])
        return NewEvent(event, id=draft.id, occurred_at=occurred_at, metadata=draft.metadata)
    return NewEvent(type=draft.type, data=draft.data, id=draft.id, occurred_at=occurred_at, metadata=draft.metadata)

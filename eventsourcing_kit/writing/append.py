"""An append as people give it (`Append`), as the writer takes it (`Submission`), and what it did (`Receipt`)."""

from __future__ import annotations

import numbers
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import to_json

from eventsourcing_kit.errors import ConcurrencyError, DuplicateIdError, InputError
from eventsourcing_kit.events.event import Event, NewEvent
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.reading.read import events_at, recorded
from eventsourcing_kit.records.record import decode

if TYPE_CHECKING:
    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.records.rows import Rows
    from eventsourcing_kit.writing.condition import Condition

Events = Event | NewEvent | Sequence[Event | NewEvent]


class ExpectedVersion(Enum):
    """What a writer may expect of a stream besides a version."""

    ANY = "any version, or no stream"
    NO_STREAM = "no stream yet"
    STREAM_EXISTS = "some version from 1"

    def __repr__(self) -> str:
        return self.name


Expected = int | ExpectedVersion


@dataclass(frozen=True)
class Append:
    """One stream's part of `append_many`.

    `unless` is a query, and `after` a moment (None: the log's beginning): nothing is stored where an event behind that
    moment is one that the query means.

    >>> import eventsourcing_kit as ek
    >>> ek.Append("order-7", ek.NewEvent(type="Shipped"), expected_version=ek.NO_STREAM)
    Append('order-7', 1 event, expected_version=NO_STREAM)
    """

    stream: str
    events: Events
    expected_version: Expected = ExpectedVersion.ANY
    metadata: Mapping[str, Any] | None = None
    unless: Query | None = None
    after: Moment | None = None

    def __repr__(self) -> str:
        count = len(self.events) if isinstance(self.events, (list, tuple)) else 1
        condition = "" if self.unless is None else f", unless={self.unless!r}, after={self.after!r}"
        return f"Append({self.stream!r}, {counted(count)}, expected_version={self.expected_version!r}{condition})"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


@dataclass(slots=True)
class Batch:
    """So many events for one stream, the version at which their writer believes the stream to be, and a condition."""

    stream: str
    count: int
    expected: Expected = ExpectedVersion.ANY
    condition: Condition | None = None


class Submission:
    """Events that are to become one commit: recorded at `times`, or at the time when they are stored.

    `batches` say at which versions their writers believe the streams to be; a load has none, and expects nothing.
    `new_upto`: up to that position the log is known to hold none of the ids. `again`: how it is repeated where nobody
    knows whether it was stored.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        batches: Sequence[Batch] = (),
        times: list[int] | None = None,
        new_upto: int | None = None,
        again: str = "append .events again, which stores them at most once",
    ) -> None:
        self.rows, self.batches, self.times, self.new_upto, self.again = rows, batches, times, new_upto, again
        self.count = len(rows.stream_codes)  # of events
        self.is_stored = False
        self.has_ids = bool(rows.ids)  # whether some events came with an id of their own
        if self.has_ids and len(set(rows.ids.values())) < len(rows.ids):
            twice = next(one for one, count in Counter(rows.ids.values()).items() if count > 1)
            raise DuplicateIdError(f"the id {twice} stands twice in this append; every event needs its own")

    def size(self) -> int:
        """The bytes of all that it says, names of streams, types and fields included."""
        return len(
            to_json([self.rows.streams, self.rows.shapes, *self.rows.metadata.values(), *self.rows.tags.values()])
        )


@dataclass
class Written:
    """A commit that was written just now: its `record`, and what that says, read when it is first asked for."""

    record: bytes

    @cached_property
    def commit(self) -> Commit:
        """The record, read."""
        return decode(self.record)


@dataclass(slots=True)
class Stored:
    """Where one batch's events stand: their positions, and the stream's version after them.

    `written` is the commit that was written just now, one for all its batches; None where they were there already.
    """

    positions: Sequence[int]
    version: int
    written: Written | None


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
        self._there_already = list(events_at(log, stored.positions)) if stored.written is None else []
        self.store_id = log.store_id
        self.stream, self.version, self.replayed = stream, stored.version, stored.written is None

    @property
    def position(self) -> int:
        """The position of the last event."""
        return int(self._stored.positions[-1])

    @cached_property
    def events(self) -> list[RecordedEvent]:
        """The events as they were recorded; also after the store was closed."""
        if self._stored.written is None:
            return self._there_already
        commit = self._stored.written.commit
        return list(recorded(commit, np.array(self._stored.positions) - commit.first))

    def __getstate__(self) -> dict[str, Any]:
        """With its events instead of the way to them, so that a receipt can be sent to another process."""
        return {**vars(self), "events": self.events, "_stored": replace(self._stored, written=None)}

    def __repr__(self) -> str:
        replayed = ", replayed" if self.replayed else ""
        return (
            f"<receipt: {counted(len(self._stored.positions))} to {self.stream!r}, "
            f"version {self.version}, position {self.position}{replayed}>"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def check_expected(expected: object) -> Expected:
    """`expected`, if it is an expected version."""
    if isinstance(expected, ExpectedVersion):
        return expected
    if isinstance(expected, numbers.Integral) and not isinstance(expected, bool) and int(expected) >= 0:
        return int(expected)  # a frame's are numpy's
    raise InputError(
        f"the expected version {expected!r} is neither a version (0, 1, 2, …) nor one of ANY, NO_STREAM, STREAM_EXISTS"
    )


def check_version(batch: Batch, actual: int) -> None:
    """Raise `ConcurrencyError` where the stream is not as the batch expects."""
    expected = batch.expected
    if expected is ExpectedVersion.ANY:
        return
    if isinstance(expected, int):
        holds = actual == expected
    else:
        holds = (actual > 0) == (expected is ExpectedVersion.STREAM_EXISTS)
    if not holds:
        raise ConcurrencyError(batch.stream, expected, actual)

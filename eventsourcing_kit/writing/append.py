"""An append as people give it (`Append`), as the writer takes it (`Submission`), and where it was stored (`Stored`)."""

from __future__ import annotations

import numbers
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from eventsourcing_kit.errors import ConcurrencyError, DuplicateIdError, InputError
from eventsourcing_kit.events.event import Event, NewEvent
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.records.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.records.rows import Draft

Events = Event | NewEvent | Sequence[Event | NewEvent]
_FEW = 16  # events


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Drafts for one stream, and the version at which its writer believes the stream to be."""

    stream: str
    drafts: list[Draft]
    expected: Expected = ExpectedVersion.ANY


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
        if len(set(rows.ids.values())) < len(rows.ids):
            twice = next(one for one, count in Counter(rows.ids.values()).items() if count > 1)
            raise DuplicateIdError(f"the id {twice} stands twice in this append; every event needs its own")

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Submission:
        """The batches' drafts, in their order."""
        return cls(Rows.of([draft for batch in batches for draft in batch.drafts]), batches=batches)

    @property
    def has_ids(self) -> bool:
        """Whether some events came with an id of their own."""
        return bool(self.rows.ids)

    def is_small(self, most_bytes: int) -> bool:
        """Whether all that it says, names of streams, types and fields included, takes at most so many bytes."""
        if len(self.rows) > _FEW:
            return False
        shapes = [(shape.type, shape.fields, shape.columns) for shape in self.rows.shapes]
        return len(to_json([self.rows.streams, shapes, *self.rows.metadata.values()])) <= most_bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """Where one batch's events stand: their positions, and the stream's version after them.

    `commit` reads the commit that was written just now; all batches of one commit share what it reads.
    """

    positions: Sequence[int]
    version: int
    commit: Callable[[], Commit] | None

    @property
    def replayed(self) -> bool:
        """Whether the events were there already."""
        return self.commit is None


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
    if not _holds(batch.expected, actual):
        raise ConcurrencyError(batch.stream, batch.expected, actual)


def _holds(expected: Expected, actual: int) -> bool:
    if expected is ExpectedVersion.ANY:
        return True
    if isinstance(expected, int):
        return actual == expected
    return (actual > 0) == (expected is ExpectedVersion.STREAM_EXISTS)

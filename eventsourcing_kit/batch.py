"""What the writer takes and gives: batches of drafts for streams at expected versions, and where they were stored."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import ConcurrencyError, DuplicateIdError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from eventsourcing_kit.record import Draft


class ExpectedVersion(Enum):
    """What a writer may expect of a stream besides a version."""

    ANY = "any version, or no stream"
    NO_STREAM = "no stream yet"
    STREAM_EXISTS = "some version from 1"

    def __repr__(self) -> str:
        return self.name


Expected = int | ExpectedVersion


@dataclass(frozen=True, slots=True)
class Batch:
    """Drafts for one stream, and the version at which its writer believes the stream to be."""

    stream: str
    drafts: list[Draft]
    expected: Expected = ExpectedVersion.ANY


class Submission:
    """Batches that are to become one commit: recorded at `times`, or at the time when they are stored."""

    def __init__(self, batches: list[Batch], times: list[int] | None = None) -> None:
        self.batches, self.times = batches, times
        self.drafts = [draft for batch in batches for draft in batch.drafts]
        self.has_ids = any(draft.id is not None for draft in self.drafts)
        if self.has_ids:
            _refuse_twice(self.drafts)


def _refuse_twice(drafts: list[Draft]) -> None:
    seen: set[UUID] = set()
    for draft in drafts:
        if draft.id in seen:
            raise DuplicateIdError(f"the id {draft.id} stands twice in this append; every event needs its own")
        if draft.id:
            seen.add(draft.id)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where one batch's events stand: their positions, and the stream's version after them.

    `record` is the commit's, where it was written just now.
    """

    positions: Sequence[int]
    version: int
    record: bytes | None

    @property
    def replayed(self) -> bool:
        """Whether the events were there already."""
        return self.record is None


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

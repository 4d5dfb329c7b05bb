"""A log that goes on from another's: up to the fork the base's commits, behind it a table's own, read as one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import chain
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, MomentError
from eventsourcing_kit.events.texts import time_text
from eventsourcing_kit.log.commits import EMPTY, Commits
from eventsourcing_kit.records.moment import from_us
from eventsourcing_kit.records.record import Parent
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.storage.slate.table import Table

SHARED_NOTES = frozenset(("snapshot",))  # kinds of notes that speak of the log, and so of a branch's past, too


@dataclass(frozen=True)
class BranchPoint:
    """Where a branch parts from its base: `branch.base`. It is a moment, in the base and in the branch.

    `digest` is the SHA-256 of the commit that holds `position`, `recorded_at` that event's time (None at position 0),
    `location` where the base lies (None: in memory).

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z"))
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped"))
    >>> branch = store.branch()
    >>> branch.base
    <branch point: position 1, 2026-01-05T09:00:00Z, of a store in memory>
    >>> branch.read(after=branch.base).df().empty
    True
    """

    store_id: uuid.UUID
    position: int
    digest: str
    recorded_at: datetime | None
    location: str | None

    def __repr__(self) -> str:
        when = "" if self.recorded_at is None else f" {time_text(self.recorded_at)},"
        where = "a store in memory" if self.location is None else repr(self.location)
        return f"<branch point: position {self.position},{when} of {where}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class Forked(Commits):
    """Commits up to the `fork` are those of `base`, later ones are in the table; without a base all are."""

    base: Past | None = None
    place: str | None = None  # where it lies; None: in memory

    @property
    def fork(self) -> int:
        """The last position of the base's; 0 without a base."""
        return 0 if self.base is None else self.base.limit

    @property
    def lineage(self) -> dict[uuid.UUID | None, int]:
        """The stores whose events these are, each with the position up to which they are."""
        return {**({} if self.base is None else self.base.lineage), self.store_id: self.head.last}

    def close(self) -> None:
        """Close it."""
        raise NotImplementedError

    def past(self, position: int) -> Past:
        """The log up to a position, for a branch of it."""
        return Past(self, position)

    def _last_entry(self) -> keys.CommitEntry:
        own = super()._last_entry()
        return self.base.head if self.base is not None and not own.last else own

    # -- moments -----------------------------------------------------------------------------------------------------

    def check_store(self, given: object) -> None:
        """What was recorded is a moment of the store that recorded it, and of its branches up to the fork."""
        upto = self.lineage.get(getattr(given, "store_id", None)) if self.base is not None else None
        if upto is None:
            return super().check_store(given)
        position = int(given.position)  # type: ignore[attr-defined]  # it was recorded
        if position > upto and given.store_id != self.store_id:  # type: ignore[attr-defined]
            raise MomentError(
                f"{given!r} was recorded at position {position}, behind the fork at {upto}: this branch does not have "
                "it; give a time, or a position of this store"
            )
        return None

    def position_at(self, us: int) -> int:
        """The last position recorded at or before a time; 0 before the first."""
        found = super().position_at(us)
        return found if found or self.base is None else self.base.position_at(us)

    def position_of(self, event_id: uuid.UUID) -> int | None:
        """The position of the event with this id, or None."""
        found = super().position_of(event_id)
        return found if found is not None or self.base is None else self.base.position_of(event_id)

    def positions_of(self, wanted: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
        """The positions of those of many ids that are here."""
        if self.base is None:
            return super().positions_of(wanted)
        several = list(wanted)
        return self.base.positions_of(several) | super().positions_of(several)

    def is_supplied(self, event_id: uuid.UUID) -> bool:
        """Whether an event came with this id, as its own."""
        return super().is_supplied(event_id) or (self.base is not None and self.base.is_supplied(event_id))

    @property
    def has_tags(self) -> bool:
        """Whether some events have tags."""
        return super().has_tags or (self.base is not None and self.base.has_tags)

    # -- commits -----------------------------------------------------------------------------------------------------

    def entries(self) -> list[keys.CommitEntry]:
        """What the index says of all commits; of one that holds the fork, what it would say if it ended there."""
        return [*(() if self.base is None else self.base.entries()), *super().entries()]

    def digest_at(self, position: int) -> bytes:
        """The digest of a position: that of the record of the commit that holds it."""
        if self.base is not None and position <= self.fork:
            return self.base.digest_at(position)
        return super().digest_at(position)

    def commit_of(self, position: int) -> Commit:
        """The commit that holds a position, cut at the fork."""
        if self.base is not None and position <= self.fork:
            return self.base.commit_of(position)
        return super().commit_of(position)

    def commits(self, after: int, upto: int, *, backwards: bool = False) -> Iterator[Commit]:
        """The commits that hold the positions above `after` up to `upto`, cut at the fork."""
        if self.base is None or after >= self.fork:
            return super().commits(after, upto, backwards=backwards)
        before = self.base.commits(after, min(upto, self.fork), backwards=backwards)
        behind = super().commits(self.fork, upto, backwards=backwards)
        return chain(behind, before) if backwards else chain(before, behind)

    def stream_commits(self, stream: str, upto: int, *, after: int = 0, backwards: bool = False) -> Iterator[Commit]:
        """The commits up to position `upto` that hold versions of a stream above `after`, cut at the fork."""
        if self.base is None:
            return super().stream_commits(stream, upto, after=after, backwards=backwards)
        before = self.base.stream_commits(stream, min(upto, self.fork), after=after, backwards=backwards)
        if upto <= self.fork:
            return before
        if backwards:
            return chain(super().stream_commits(stream, upto, after=after, backwards=True), before)
        return self._goes_on(stream, upto, after, before)

    def _goes_on(self, stream: str, upto: int, after: int, before: Iterable[Commit]) -> Iterator[Commit]:
        for commit in before:
            after = commit.last_versions[stream]
            yield commit
        yield from super().stream_commits(stream, upto, after=after)

    def tagged_commits(
        self, alternatives: Iterable[Sequence[str]], after: int, upto: int, *, backwards: bool = False
    ) -> Iterator[Commit]:
        """The commits that hold events above `after` up to `upto` with all tags of one of several lists."""
        if self.base is None or after >= self.fork:
            return super().tagged_commits(alternatives, after, upto, backwards=backwards)
        several = list(alternatives)
        before = self.base.tagged_commits(several, after, min(upto, self.fork), backwards=backwards)
        behind = super().tagged_commits(several, self.fork, upto, backwards=backwards)
        return chain(behind, before) if backwards else chain(before, behind)

    def last_version(self, stream: str) -> int:
        """A stream's version, the head aside: what the writer needs."""
        return super().last_version(stream) or (0 if self.base is None else self.base.version(stream))

    def last_versions(self) -> dict[str, int]:
        """All streams' versions, the head aside."""
        return {**({} if self.base is None else self.base.last_versions()), **super().last_versions()}

    # -- notes -------------------------------------------------------------------------------------------------------

    def notes(self, kind: str, name: str | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Name, number and content of all notes of a kind, or of those with one name, in order."""
        own = super().notes(kind, name)
        if self.base is None or kind not in SHARED_NOTES:
            return own
        return iter(sorted(chain(self.base.notes(kind, name), own)))

    def last_note(self, kind: str, name: str, upto: int) -> tuple[int, bytes] | None:
        """The note of a kind and name with the greatest number up to `upto`."""
        own = super().last_note(kind, name, upto)
        if self.base is None or kind not in SHARED_NOTES:
            return own
        inherited = self.base.last_note(kind, name, min(upto, self.fork))
        return max((note for note in (own, inherited) if note is not None), key=lambda note: note[0], default=None)


class Past(Forked):
    """A log up to a position: what a branch sees of its base, whatever comes later, through a view of its own."""

    is_whole = False

    def __init__(self, log: Forked, limit: int) -> None:
        super().__init__()
        self.table: Table = log.table.beside()
        self.limit, self.store_id, self.place = limit, log.store_id, log.place
        self.base = None if log.base is None else log.base.past(min(limit, log.fork))
        self.opened: Forked | None = None  # what was opened only for this, and is closed with it
        self.number = 0  # how many branches the same handle made before
        self._cut: tuple[Commit, Commit] | None = None
        if limit == log.head.last:
            self.__dict__["head"] = log.head

    @cached_property
    def head(self) -> keys.CommitEntry:  # type: ignore[override]  # a commit of many events is read only where it must
        """The entry of the last commit, as if it ended here."""
        if self.limit == 0:
            return EMPTY
        if self.base is not None and self.limit <= self.fork:
            return self.base.head
        return self._entry_at(self.limit)

    @property
    def lineage(self) -> dict[uuid.UUID | None, int]:
        """The stores whose events these are, each with the position up to which they are."""
        return {**({} if self.base is None else self.base.lineage), self.store_id: self.limit}

    def parent(self) -> Parent:
        """What a branch notes of it; raises `InputError` where the base has no id, for nothing was ever written."""
        if self.store_id is None:
            raise InputError("the store was never written to, so there is nothing to branch; open it for writing first")
        head = self.head
        return Parent(self.store_id, head.last, head.digest, head.last_us if head.last else None)

    def point(self) -> BranchPoint:
        """What people see of it."""
        store, position, digest, us = self.parent()
        return BranchPoint(store, position, digest.hex(), None if us is None else from_us(us), self.place)

    def close(self) -> None:
        """Close the view."""
        self.table.close()
        if self.base is not None:
            self.base.close()
        if self.opened is not None:
            self.opened.close()

    # -- cut at the limit --------------------------------------------------------------------------------------------

    def _upto_limit(self, commit: Commit) -> Commit:
        if commit.last <= self.limit:
            return commit
        kept = self._cut
        if kept is None or kept[0] is not commit:
            kept = self._cut = commit, commit.upto(self.limit)
        return kept[1]

    def entries(self) -> list[keys.CommitEntry]:
        """What the index says of all commits; of the last one, what it would say if it ended here."""
        found = super().entries()
        return found if not self.limit or (found and found[-1].last == self.limit) else [*found, self.head]

    def commit_of(self, position: int) -> Commit:
        """The commit that holds a position, cut at the limit."""
        return self._upto_limit(super().commit_of(position))

    def commits(self, after: int, upto: int, *, backwards: bool = False) -> Iterator[Commit]:
        """The commits that hold the positions above `after` up to `upto`, cut at the limit."""
        return map(self._upto_limit, super().commits(after, upto, backwards=backwards))

    def stream_commits(self, stream: str, upto: int, *, after: int = 0, backwards: bool = False) -> Iterator[Commit]:
        """The commits up to position `upto` that hold versions of a stream above `after`, cut at the limit."""
        for commit in super().stream_commits(stream, min(upto, self.limit), after=after, backwards=backwards):
            cut = self._upto_limit(commit)
            if stream in cut.rows_of_streams:
                yield cut

    def tagged_commits(
        self, alternatives: Iterable[Sequence[str]], after: int, upto: int, *, backwards: bool = False
    ) -> Iterator[Commit]:
        """The commits that hold events with such tags, cut at the limit."""
        return map(self._upto_limit, super().tagged_commits(alternatives, after, upto, backwards=backwards))

    @property
    def has_tags(self) -> bool:
        """Whether some events up to the limit have tags."""
        own = any(keys.tag_of(key)[1] <= self.limit for key, _ in self.table.scan(*keys.TAGS))
        return own or (self.base is not None and self.base.has_tags)

    def last_version(self, stream: str) -> int:
        """A stream's version at the limit."""
        return self.version(stream, self.limit)

    def last_versions(self) -> dict[str, int]:
        """All streams' versions at the limit."""
        found = ((stream, self.version(stream, self.limit)) for stream in super().last_versions())
        return {stream: version for stream, version in found if version}

    def notes(self, kind: str, name: str | None = None) -> Iterator[tuple[str, int, bytes]]:
        """The notes that speak of positions up to the limit."""
        return (note for note in super().notes(kind, name) if note[1] <= self.limit)

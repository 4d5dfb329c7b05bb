"""Commands, handled: a stream's state is loaded, its decider decides, and what it decides is appended."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from eventsourcing_kit.errors import ConcurrencyError, DuplicateIdError, EventSourcingError, InputError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.folding.replay import Tally, fold
from eventsourcing_kit.folding.snapshots import Base, FoldFingerprint, Snapshots
from eventsourcing_kit.reading import known_types
from eventsourcing_kit.reading.query import means
from eventsourcing_kit.reading.read import Selection
from eventsourcing_kit.writing import kept_commands
from eventsourcing_kit.writing.append import Append, Receipt
from eventsourcing_kit.writing.checks import as_read, submission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from eventsourcing_kit.events.event import Event, NewEvent, RecordedEvent
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.records.rows import Draft
    from eventsourcing_kit.writing.append import Stored, Submission
    from eventsourcing_kit.writing.condition import Condition
    from eventsourcing_kit.writing.decider import Decider

    StateAt = Callable[[int], Any]
    Scope = str | Query  # whose events make a state: a stream's, or those that a query finds

RETRIES = 3
_STATES_KEPT = 1024


class Seen(NamedTuple):
    """A scope's state, the log's position at which it has it, a stream's version there, and the event types folded."""

    state: Any
    version: int
    position: int
    types: frozenset[str] = frozenset()


NOTHING = Seen(None, 0, 0)


class Handled:
    """What became of a command: `stream`, its `version`, the log's `position`, `events`, `attempts` and `state`.

    As a receipt, of a decision: without events (nothing happened) `version` and `position` are those at which it was
    decided. `attempts` is above 1 where other events came meanwhile and the decision was taken again. `state` is the
    stream's, or that of the boundary.

    >>> import eventsourcing_kit as ek
    >>> def decide(command, state):
    ...     return ek.NewEvent(type="HandledDoc.Paid", data={"amount": command})
    >>> account = ek.Decider(decide=decide, evolve=lambda state, event: state + event["amount"], initial=lambda: 0)
    >>> handled = ek.EventStore().handle(account, "account-1", 50)
    >>> handled.version, handled.state, handled.attempts
    (1, 50, 1)
    """

    def __init__(
        self, store_id: UUID | None, stream: str, seen: Seen, attempts: int, receipt: Receipt | None, state: StateAt
    ) -> None:
        self.store_id, self._receipt, self._state_at = store_id, receipt, state
        self.stream, self.attempts = stream, attempts
        self.version: int = seen.version if receipt is None else receipt.version
        self.position: int = seen.position if receipt is None else receipt.position
        self.replayed: bool = receipt is not None and receipt.replayed

    @property
    def events(self) -> list[RecordedEvent]:
        """The events that were decided, as they were recorded; [] where nothing happened."""
        return [] if self._receipt is None else self._receipt.events

    @cached_property
    def state(self) -> Any:
        """The state after the decision, replayed from the log when it is first asked for."""
        return self._state_at(self.position)

    def __getstate__(self) -> dict[str, Any]:
        """With its state instead of the way to it, so that it can be sent to another process."""
        return {**vars(self), "state": self.state, "_state_at": None}

    def __repr__(self) -> str:
        count = "nothing happened" if self._receipt is None else counted(len(self.events))
        replayed = ", replayed" if self.replayed else ""
        again = f", after {self.attempts} attempts" if self.attempts > 1 else ""
        return (
            f"<handled: {count} to {self.stream!r}, version {self.version}, position {self.position}{replayed}{again}>"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class Handling:
    """A store's commands. States are kept between them, by their scope: a stream, guarded by the expected version of
    each append, or a query, which is the condition of each.

    `version` gives a stream's version where the writer knows it; `condition` makes one of an append's `unless` and
    `after`; `submit` stores a submission.
    """

    def __init__(
        self,
        log: Log,
        snapshots: Snapshots,
        version: Callable[[str], int | None],
        condition: Callable[[Query, Moment | None], Condition],
        submit: Callable[[Submission], list[Stored]],
    ) -> None:
        self._log, self._snapshots, self._version = log, snapshots, version
        self._condition, self._submit = condition, submit
        self._kept: OrderedDict[tuple[Decider, Scope], tuple[FoldFingerprint, Seen]] = OrderedDict()
        self._bases: WeakKeyDictionary[Decider, FoldFingerprint] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def handle(
        self, decider: Decider, stream: str, command: Any, *, retries: int, metadata: Mapping[str, Any] | None
    ) -> Handled:
        """Decide and append; on a conflict read what came in between and decide again."""
        basis, query = self._basis(decider), decider.query_for(command)
        scope = stream if query is None else query
        seen = self._current(decider, scope, basis)
        for attempt in range(1, retries + 2):
            self._keep(decider, scope, basis, seen)
            events, is_intact = self._decided_and_kept(decider, stream, scope, command, seen.state, metadata)
            if not events:
                seen = seen if query is None else seen._replace(version=self._log.version(stream, seen.position))
                return self._handled(decider, stream, scope, seen, attempt, None)
            append = Append(stream, events, seen.version, metadata)
            if query is not None:
                append = Append(stream, events, metadata=metadata, unless=query, after=seen.position)
            appends = self._with_command(decider, command, append) if decider.log_commands else [append]
            decided = submission(appends, self._condition)
            drafts = [draft for draft in decided.rows.drafts() if draft.stream == stream]
            data = [as_read(draft, event) for draft, event in zip(drafts, events, strict=True)]
            before = seen.state if is_intact else self._load(decider, scope, NOTHING).state
            after = _evolved(decider, before, drafts, data, query)
            suspect = not is_intact or after is before  # perhaps changed in place, by an evolve that is not pure
            if suspect:
                self._forget(decider, scope)
            try:
                *_, stored = self._submit(decided)
            except (ConcurrencyError, DuplicateIdError) as failure:
                conflict = self._conflict(decider, stream, seen, failure)
                if attempt > retries:
                    conflict.give_up(attempt)
                    raise conflict from None
                seen = self._load(decider, scope, NOTHING if suspect else seen)  # the data of conflict.unseen
                continue
            if stored.written is not None:
                types = seen.types.union(draft.type for draft in drafts)
                now = Seen(after, stored.version, stored.positions[-1], types)
                self._keep(decider, scope, basis, now)
                if query is None:
                    base = Base(now.position, now.version, {stream: after}, types)
                    self._snapshots.after_command(decider.projection, stream, seen.version, base, data)
            return self._handled(decider, stream, scope, seen, attempt, Receipt(self._log, stream, stored))
        raise AssertionError("the last attempt returns or raises")

    def _decided(self, decider: Decider, scope: Scope, command: Any, state: Any) -> tuple[list[Event | NewEvent], bool]:
        """What `decide` returns, and whether it left the state as it was; else the state is not kept.

        No decider should change it. But what it changes must not stay for the next command, least of all where this one
        is rejected.
        """
        before, is_intact = _contents(state), False
        try:
            events = decider.events_for(command, state)
        finally:
            is_intact = _is_as_before(before, state)
            if not is_intact:
                self._forget(decider, scope)
        return events, is_intact

    def _conflict(
        self, decider: Decider, stream: str, seen: Seen, failure: ConcurrencyError | DuplicateIdError
    ) -> ConcurrencyError:
        """The conflict; also where another command was kept under the version and id that this one was to have."""
        kept_in = kept_commands.Place.of(decider.name, stream).stream
        if decider.log_commands and (isinstance(failure, DuplicateIdError) or failure.stream == kept_in):
            return ConcurrencyError(stream, seen.version, self._log.version(stream))
        if not isinstance(failure, ConcurrencyError):
            raise failure
        return failure

    def _decided_and_kept(
        self,
        decider: Decider,
        stream: str,
        scope: Scope,
        command: Any,
        state: Any,
        metadata: Mapping[str, Any] | None,
    ) -> tuple[list[Event | NewEvent], bool]:
        """As `_decided`; a command that leads to no events is kept alone, where commands are kept."""
        try:
            events, is_intact = self._decided(decider, scope, command, state)
        except Exception as rejection:
            if decider.log_commands and not isinstance(rejection, EventSourcingError):
                self._keep_alone(decider, stream, command, rejection, metadata)
            raise
        if decider.log_commands and not events:
            self._keep_alone(decider, stream, command, None, metadata)
        return events, is_intact

    def _with_command(self, decider: Decider, command: Any, append: Append) -> list[Append]:
        """An append with the command that led to it before it."""
        place, version, event_id = self._next_command(decider, append.stream)
        events: Any = append.events
        own, of_command, of_events = kept_commands.caused_by(event_id, events, append.metadata)
        kept = kept_commands.as_event(place, command, event_id, None, of_command)
        return [Append(place.stream, kept, version), replace(append, events=own, metadata=of_events)]

    def _keep_alone(
        self, decider: Decider, stream: str, command: Any, error: Exception | None, metadata: Mapping[str, Any] | None
    ) -> None:
        """Keep a command that led to no events."""
        while True:
            place, version, event_id = self._next_command(decider, stream)
            kept = kept_commands.as_event(place, command, event_id, error, metadata)
            try:
                self._submit(submission([Append(place.stream, kept, version)], self._condition))
            except (ConcurrencyError, DuplicateIdError):
                continue  # another one was kept meanwhile
            return

    def _next_command(self, decider: Decider, stream: str) -> tuple[kept_commands.Place, int, UUID]:
        """Where a stream's next command is kept, at which version, and its id."""
        place = kept_commands.Place.of(decider.name, stream)
        version = self._version(place.stream)
        if version is None:
            self._log.refresh()
            version = self._log.version(place.stream)
        return place, version, kept_commands.next_id(self._log.store_id, place, version)

    def _handled(
        self, decider: Decider, stream: str, scope: Scope, seen: Seen, attempt: int, receipt: Receipt | None
    ) -> Handled:
        def state(upto: int) -> Any:
            self._log.refresh()
            return state_of(decider, self._snapshots, self._log, scope, upto)

        return Handled(self._log.store_id, stream, seen, attempt, receipt, state)

    def _basis(self, decider: Decider) -> FoldFingerprint:
        """On what kept states rest: the same object for as long as code and event classes are the same."""
        with self._lock:
            basis = self._bases.get(decider)
            if basis is None or not basis.still_holds():
                basis = self._bases[decider] = FoldFingerprint(decider.projection)
            return basis

    def _current(self, decider: Decider, scope: Scope, basis: FoldFingerprint) -> Seen:
        """The scope's state now; of what is kept, only the events since then are read."""
        with self._lock:
            rests_on, kept = self._kept.get((decider, scope), (None, NOTHING))
        kept = kept if rests_on is basis else NOTHING
        if isinstance(scope, str):
            position, version = self._log.head.last, self._version(scope)
            if kept is NOTHING and version == 0:
                return Seen(decider.projection.first_state(), 0, position)
            if kept is not NOTHING and kept.version == version:
                return kept._replace(position=max(position, kept.position))
        elif kept is NOTHING:
            known_types.hint_untagged(self._log, scope)
        return self._load(decider, scope, kept)

    def _load(self, decider: Decider, scope: Scope, seen: Seen) -> Seen:
        """The scope's state as of the log's head; of what was seen, only the events since then are read."""
        projection, upto, tally = decider.projection, self._log.head.last, Tally()
        if not isinstance(scope, str):
            key, version = None, 0
            since = Selection(seen.position, upto, query=scope)
        else:
            key, version = scope, self._log.version(scope, upto)
            since = Selection(0, upto, stream=scope, after_version=seen.version)
        if seen is NOTHING and key is not None:
            base = self._snapshots.fold(projection, since)
            states, types = base.states, base.types
        else:
            states = {} if seen is NOTHING else {key: seen.state}
            states = fold(projection, self._log, since, states=states, tally=tally)
            types = seen.types | tally.types
        return Seen(states[key] if key in states else projection.first_state(), version, upto, types)

    def _keep(self, decider: Decider, scope: Scope, basis: FoldFingerprint, seen: Seen) -> None:
        with self._lock:
            self._kept[decider, scope] = basis, seen
            self._kept.move_to_end((decider, scope))
            while len(self._kept) > _STATES_KEPT:
                self._kept.popitem(last=False)

    def _forget(self, decider: Decider, scope: Scope) -> None:
        with self._lock:
            self._kept.pop((decider, scope), None)


def _contents(state: Any) -> Any:
    """What a state holds, where it is something that can be changed: copied, but not what it holds in turn."""
    if isinstance(state, (dict, list, set)):
        return copy.copy(state)
    held = getattr(state, "__dict__", None)
    return dict(held) if isinstance(held, dict) else None


def _is_as_before(before: Any, state: Any) -> bool:
    """Whether a state still holds what it held; attributes may have been added (a cached property is one)."""
    now = _contents(state)
    if isinstance(now, dict) and not isinstance(state, dict):
        now = {name: now[name] for name in before if name in now}
    try:
        return bool(before == now)
    except Exception:  # arrays have no plain equality; but what is the same object still is not compared
        return False


def check_retries(retries: object) -> int:
    """`retries`, if it is a number of retries."""
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InputError(f"retries is {retries!r}; give a whole number from 0")
    return retries


def state_of(decider: Decider, snapshots: Snapshots, log: Log, scope: Scope, upto: int) -> Any:
    """The scope's state as of a position; the initial one where there are no such events."""
    if isinstance(scope, str):
        key, states = scope, snapshots.fold(decider.projection, Selection(0, upto, stream=scope)).states
    else:
        key, states = None, fold(decider.projection, log, Selection(0, upto, query=scope))
    return states[key] if key in states else decider.projection.first_state()


def _evolved(decider: Decider, state: Any, drafts: list[Draft], data: list[Any], query: Query | None) -> Any:
    """The state after decided events, found before they are stored: none is that `evolve` cannot take.

    Within a boundary those of them count that its query means.
    """
    for draft, one in zip(drafts, data, strict=True):
        if query is None or means(query, draft.type, draft.tags):
            state = decider.after(state, draft.type, draft.stream, one)
    return state

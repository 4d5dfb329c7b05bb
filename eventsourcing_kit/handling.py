"""Commands, handled: a stream's state is loaded, its decider decides, and what it decides is appended."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit import schema
from eventsourcing_kit.append import Receipt, counted
from eventsourcing_kit.batch import Batch, Submission
from eventsourcing_kit.command_context import within
from eventsourcing_kit.draft import as_read, drafts
from eventsourcing_kit.errors import ConcurrencyError, InputError
from eventsourcing_kit.projection import GONE
from eventsourcing_kit.read import Selection
from eventsourcing_kit.replay import Fact, Tally, apply, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventsourcing_kit.batch import Stored
    from eventsourcing_kit.decider import Decider
    from eventsourcing_kit.event import Event, NewEvent, RecordedEvent
    from eventsourcing_kit.log import Log

RETRIES = 3
_STATES_KEPT = 1024


class Seen(NamedTuple):
    """A stream's state, the version at which it has it, and the log's position up to which that was read."""

    state: Any
    version: int
    position: int


class Handled:
    """What became of a command: `stream`, its `version`, the log's `position`, `events`, `attempts` and `state`.

    As a receipt, of a decision: without events (nothing happened) `version` and `position` are those at which it was
    decided. `attempts` is above 1 where the stream moved on meanwhile and the decision was taken again.
    """

    def __init__(self, log: Log, decider: Decider, stream: str, seen: Seen, attempts: int, receipt: Any) -> None:
        self._log, self._decider, self._receipt = log, decider, receipt
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
        """The stream's state after the decision, replayed from the log when it is first asked for."""
        self._log.refresh()
        return state_of(self._decider, self._log, self.stream, self.position)

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
    """A store's commands. States of streams are kept between them; the expected version of each append guards that.

    `version` gives a stream's version where the writer knows it; `submit` stores a submission.
    """

    def __init__(
        self, log: Log, version: Callable[[str], int | None], submit: Callable[[Submission], list[Stored]]
    ) -> None:
        self._log, self._version, self._submit = log, version, submit
        self._kept: OrderedDict[tuple[Decider, str], tuple[int, Seen]] = OrderedDict()
        self._lock = threading.Lock()

    def handle(
        self, decider: Decider, stream: str, command: Any, *, retries: int, metadata: Mapping[str, Any] | None
    ) -> Handled:
        """Decide and append; on a conflict read what came in between and decide again."""
        seen = self._current(decider, stream)
        for attempt in range(1, retries + 2):
            self._keep(decider, stream, seen)
            events = decider.events_for(command, seen.state)
            if not events:
                return Handled(self._log, decider, stream, seen, attempt, None)
            batch = Batch(stream, drafts(stream, events, within(metadata)), seen.version)
            after = _evolved(decider, seen.state, batch, events)
            if after is seen.state:  # perhaps changed in place, by an evolve that is not pure: never to be seen again
                self._forget(decider, stream)
                seen = seen._replace(version=0)
            try:
                (stored,) = self._submit(Submission.of([batch]))
            except ConcurrencyError as conflict:
                if attempt > retries:
                    conflict.give_up(attempt)
                    raise
                seen = load(decider, self._log, stream, seen)  # of conflict.unseen, the data alone
                continue
            if not stored.replayed:
                self._keep(decider, stream, Seen(after, stored.version, stored.positions[-1]))
            return Handled(self._log, decider, stream, seen, attempt, Receipt(self._log, stream, stored))
        raise AssertionError("the last attempt returns or raises")

    def _current(self, decider: Decider, stream: str) -> Seen:
        """The stream's state now; of what is kept, only the events since then are read."""
        with self._lock:
            generation, kept = self._kept.get((decider, stream), (-1, None))
        position, version = self._log.head.last, self._version(stream)
        if kept is None or generation != schema.generation():
            new = version == 0
            return Seen(decider.initial(), 0, position) if new else load(decider, self._log, stream)
        if kept.version == version:
            return kept._replace(position=max(position, kept.position))
        return load(decider, self._log, stream, kept)

    def _keep(self, decider: Decider, stream: str, seen: Seen) -> None:
        with self._lock:
            self._kept[decider, stream] = schema.generation(), seen
            self._kept.move_to_end((decider, stream))
            while len(self._kept) > _STATES_KEPT:
                self._kept.popitem(last=False)

    def _forget(self, decider: Decider, stream: str) -> None:
        with self._lock:
            self._kept.pop((decider, stream), None)


def check_retries(retries: object) -> int:
    """`retries`, if it is a number of retries."""
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InputError(f"retries is {retries!r}; give a whole number from 0")
    return retries


def load(decider: Decider, log: Log, stream: str, seen: Seen | None = None) -> Seen:
    """The stream's state as of the log's head; of what was seen, only the events since then are read."""
    upto, tally = log.head.last, Tally()
    states = {} if seen is None or seen.version == 0 else {stream: seen.state}
    version = 0 if seen is None else seen.version
    selection = Selection(0, upto, stream=stream, after_version=version)
    states = fold(decider.projection, log, selection, states=states, tally=tally)
    state = states[stream] if stream in states else decider.initial()
    return Seen(state, version + tally.events + tally.skipped.total(), upto)


def state_of(decider: Decider, log: Log, stream: str, upto: int) -> Any:
    """The stream's state as of a position; the initial one where there is no such stream."""
    states = fold(decider.projection, log, Selection(0, upto, stream=stream))
    return states[stream] if stream in states else decider.initial()


def _evolved(decider: Decider, state: Any, batch: Batch, events: list[Event | NewEvent]) -> Any:
    """The state after decided events, found before they are stored: none is that `evolve` cannot take."""
    (handler,) = decider.projection.every_handler
    for draft, event in zip(batch.drafts, events, strict=True):
        state = apply(handler, Fact(0, 0, draft.type, batch.stream, as_read(draft, event), None), state)
        if state is GONE:
            state = decider.initial()
    return state

"""Delivery: a handler is called with the events of a log, in order, each once; and what happens when it fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from sys import maxsize
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import InputError, SchemaError, StoreClosedError
from eventsourcing_kit.events.callables import is_lazy, where
from eventsourcing_kit.following.parked import STOP, Park, Parked, parked
from eventsourcing_kit.reading.read import event_at, recorded
from eventsourcing_kit.records.moment import aware_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.following.parked import OnError
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.log.wakeup import Wakeup
    from eventsourcing_kit.reading.read import Selection


class StoppedError(Exception):
    """The subscription was asked to stop before an event was handled."""


class HandlerFailedError(Exception):
    """The handler failed, and the policy says to stop there; the cause is its exception."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(position)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where an event would stand that doesn't fit its class."""

    position: int
    version: int
    stream: str
    type: str
    error: SchemaError


def events(log: Log, asked: Selection) -> Iterator[RecordedEvent | Unreadable]:
    """The events in question; one that doesn't fit its class doesn't keep those before and behind it."""
    for commit, rows in asked.chunks(log):
        try:
            yield from recorded(commit, rows)  # which fails before the first, or not at all
        except SchemaError:
            for row in rows.tolist():
                try:
                    yield next(recorded(commit, np.array([row])))
                except SchemaError as error:
                    stream = commit.streams[int(commit.stream_codes[row])]
                    type_ = commit.shapes[int(commit.shape_codes[row])].type
                    yield Unreadable(commit.first + row, int(commit.versions[row]), stream, type_, error)


class Delivery:
    """Calls `handler` with the events `asked` for. `position`: the last one handled, set aside or not asked for.

    `underway` is the one that the handler was called with last; `is_last` says that the handler closed the store at it.
    `parked` are the events that were set aside; `changed` tells what was added (or taken out: None) since it was
    emptied. All of it happens in one thread; others look at `position` and set `stop`.
    """

    def __init__(
        self,
        log: Log,
        handler: Callable[[RecordedEvent], object],
        asked: Selection,
        policy: OnError,
        parked: dict[int, Parked],
        clock: Callable[[], datetime],
    ) -> None:
        self._log, self._handler, self._asked, self._policy, self._clock = log, handler, asked, policy, clock
        self.underway, self.is_last = 0, False
        self.parked, self.changed = parked, dict[int, "Parked | None"]()
        self.position = asked.after
        self.stop = threading.Event()
        self._ahead: Iterator[RecordedEvent | Unreadable] | None = None
        self._upto = 0
        self._awaited: dict[Wakeup, int] = {}
        self._ring_at = maxsize
        self._lock = threading.Lock()

    def run(self, seconds: float) -> bool:
        """Deliver, for so long at most; return whether the end of the log, as it is known now, was reached."""
        if self._ahead is None:
            self._upto = self._log.head.last
            if self._upto <= self.position:
                return True
            self._asked = replace(self._asked, after=self.position, upto=self._upto)
            self._ahead = events(self._log, self._asked)
        version, until = self._asked.after_version, monotonic() + seconds
        handle, stop = self._handle, self.stop.is_set
        for event in self._ahead:
            if stop():
                return False  # it is not handled: who goes on from `position` meets it again
            try:
                handle(event)
            except Exception as error:
                self._go_on_after(event, error)
            version = event.version
            self.position = event.position
            if event.position >= self._ring_at:
                self._ring()
            if monotonic() >= until:
                return False
        if self._asked.stream is not None:
            self._asked = replace(self._asked, after_version=version)
        self._ahead, self.position = None, self._upto
        self._ring()
        return self._upto == self._log.head.last

    def _handle(self, event: Any) -> None:
        if event.__class__ is Unreadable:
            raise event.error
        self.underway = event.position
        result = self._handler(event)
        if result is not None and is_lazy(result):
            raise InputError(
                f"the handler {where(self._handler)} returned a coroutine or an iterator, which nobody runs, so it did "
                "nothing; give a plain function that does its work before it returns"
            )

    def _go_on_after(self, event: RecordedEvent | Unreadable, error: Exception) -> None:
        """Return when the event can be left behind: handled after all, or set aside. Raise when it can not."""
        attempts, retries, pause = 1, 0, 0.0
        if isinstance(self._policy, Park):
            retries, pause = self._policy.retries, self._policy.pause
        while attempts <= retries and not self._is_over:
            if self.stop.wait(pause):
                raise StoppedError from error
            try:
                return self._handle(event)
            except Exception as again:
                error, attempts = again, attempts + 1
        if self._is_over and not self.is_last:
            raise StoreClosedError("the store was closed under the handler") from error
        if self._policy is STOP or self.is_last:
            raise HandlerFailedError(event.position) from error
        self._park(event, error, attempts)

    @property
    def _is_over(self) -> bool:
        return self._log.life.is_over

    def _park(self, event: Any, error: Exception, attempts: int) -> None:
        """Set aside an event, or once more what was."""
        now_us = aware_us(self._clock(), "the clock's time")
        one = parked(event, error, attempts, self._policy, now_us)
        self.parked[one.position] = self.changed[one.position] = one

    def retry(self, positions: Sequence[int]) -> int:
        """Call the handler once more with events that were set aside, all or some; return how many are handled now."""
        handled, stopped = 0, self.stop.is_set()
        for position, one in self._chosen(positions):
            if self.stop.is_set() and not stopped:
                break
            try:
                self._handle(event_at(self._log, position))
            except Exception as error:
                if self._is_over:
                    raise
                self._park(one, error, one.attempts + 1)
            else:
                handled += 1
                self._forget(position)
        return handled

    def drop(self, positions: Sequence[int]) -> int:
        """Have events that were set aside, all or some, be so no more; return how many that were."""
        chosen = self._chosen(positions)
        for position, _ in chosen:
            self._forget(position)
        return len(chosen)

    def _chosen(self, positions: Sequence[int]) -> list[tuple[int, Parked]]:
        """What was set aside at these positions, at every one where none is given."""
        wrong = sorted(set(positions) - self.parked.keys())
        if wrong:
            there = ", ".join(map(str, sorted(self.parked))) or "none"
            raise InputError(f"no event is parked at position {wrong[0]}; those that are: {there}")
        return [(position, self.parked[position]) for position in sorted(set(positions) or self.parked)]

    def _forget(self, position: int) -> None:
        del self.parked[position]
        self.changed[position] = None

    # -- those who wait for a position -------------------------------------------------------------------------------

    def wake_when(self, position: int, wakeup: Wakeup) -> None:
        """Have a wakeup woken once `position` is handled."""
        with self._lock:
            self._awaited[wakeup] = position
            self._ring_at = min(self._ring_at, position)

    def wake_no_more(self, wakeup: Wakeup) -> None:
        """Take back `wake_when`."""
        with self._lock:
            self._awaited.pop(wakeup, None)

    def _ring(self) -> None:
        with self._lock:
            still = [position for position in self._awaited.values() if position > self.position]
            self._ring_at = min(still, default=maxsize)
            for wakeup, position in self._awaited.items():
                if position <= self.position:
                    wakeup.wake()

    def ring_all(self) -> None:
        """Wake everybody who waits, because nothing more will come."""
        with self._lock:
            for wakeup in self._awaited:
                wakeup.wake()

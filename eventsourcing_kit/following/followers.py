"""What follows one store's log: its subscriptions, and the iterator that goes on for ever."""

from __future__ import annotations

import threading
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, ReadOnlyError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.events import callables, json_values
from eventsourcing_kit.following import checkpoint, parked, subscription
from eventsourcing_kit.following.checkpoint import Checkpoint
from eventsourcing_kit.following.delivery import Delivery
from eventsourcing_kit.following.subscriber import POLL_SECONDS, Subscriber
from eventsourcing_kit.following.subscription import Subscription
from eventsourcing_kit.following.waiting import check_position, check_timeout, wait_until
from eventsourcing_kit.log.wakeup import Wakeup
from eventsourcing_kit.reading.read import recorded
from eventsourcing_kit.storage.lifecycle import CLOSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import pandas as pd

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.following.parked import Parked
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.read import Selection
    from eventsourcing_kit.writing.writer import Writer


class Following:
    """The subscriptions of one store."""

    def __init__(self, log: Log, writer: Writer | None, clock: Callable[[], datetime]) -> None:
        self._log, self._writer, self._clock = log, writer, clock
        self._all: list[tuple[Subscription, Subscriber]] = []
        self._lock = threading.Lock()
        self._is_over = False

    def subscribe(
        self,
        handler: Callable[[RecordedEvent], object],
        asked: Selection,
        *,
        name: str | None,
        on_error: object,
        owner: object,
    ) -> Subscription:
        """Begin to deliver what is `asked` for; a name's older subscription makes room."""
        policy = parked.check_policy(on_error)
        _check_handler(handler)
        if self._log.life.is_superseded:
            raise SupersededError("another writer opened the store; open it again, or read with store.follow(…)")
        aside: dict[int, Parked] = {}
        kept = None
        if name is not None:
            self._make_room(json_values.check_name(name, "a subscription"))
            kept = self._checkpoint(name, asked.after)
            asked = replace(asked, after=kept.position or 0)
            aside = {one.position: one for _, one in parked.stored(self._log, name)}
        delivery = Delivery(self._log, handler, asked, policy, aside, self._clock)
        with self._lock:
            self._check_free(name)
            subscriber = Subscriber(self._log, delivery, kept, label=_label(name, handler), owner=owner)
            made = Subscription(self._log, subscriber, name)
            self._all = [(s, t) for s, t in self._all if not (t.is_asked_to_stop and t.ended.is_set())]
            self._all.append((made, subscriber))
        return made

    def _make_room(self, name: str) -> None:
        """End the older subscription of a name, as a notebook's cell that is run again means it."""
        for made, older in list(self._all):
            if made.name == name:
                if older.is_own_thread:
                    raise InputError(f"the handler of {name!r} cannot subscribe its own name anew; return first")
                older.ask_to_stop("replaced by a newer one of its name")
                if not older.ended.wait(subscription.STOP_SECONDS):
                    raise InputError(
                        f"an older subscription named {name!r} is at position {made.position} and its handler has not "
                        f"returned for {subscription.STOP_SECONDS:g} s; wait until it has, or take another name"
                    )

    def _check_free(self, name: str | None) -> None:
        if self._is_over:
            raise StoreClosedError(CLOSED)
        if name is not None and any(made.name == name and not t.ended.is_set() for made, t in self._all):
            raise InputError(f"another thread has just subscribed as {name!r}; a name has one subscription at a time")

    def _checkpoint(self, name: str, after: int) -> Checkpoint:
        """A name's checkpoint; stored at once where it is new, so that the moment it begins at is fixed."""
        if self._writer is None:
            raise ReadOnlyError(
                f"the subscription {name!r} would keep its checkpoint in the store, and this store was opened with "
                "read_only=True; leave the name out and say with after= where to begin"
            )
        kept = Checkpoint(self._log, self._writer, name)
        if kept.position is None:
            kept.save(after, {})
        elif kept.position > self._log.head.last:
            raise StorageError(
                f"the checkpoint of {name!r} stands at position {kept.position}, behind the log's end at "
                f"{self._log.head.last}: events are missing, or the checkpoint is of another log; take another name"
            )
        return kept

    def subscriptions(self) -> list[Subscription]:
        """Those that run or have failed."""
        return [made for made, subscriber in list(self._all) if not subscriber.is_asked_to_stop]

    def stop(self, reason: str) -> None:
        """End all for good, within bounded time."""
        with self._lock:
            self._is_over = True
            ending = [subscriber for _, subscriber in self._all]
        for one in ending:
            one.ask_to_stop(reason, for_good=True)
        until = monotonic() + subscription.STOP_SECONDS
        for one in ending:
            if not one.is_own_thread:
                one.ended.wait(max(until - monotonic(), 0))

    def wait_until(self, position: object, timeout: object) -> None:
        """Return when the log and every subscription that runs or has failed have come to a position."""
        wanted = self._log.head.last if position is None else check_position(self._log, position)
        live = [subscriber for _, subscriber in list(self._all) if not subscriber.is_asked_to_stop]
        wait_until(self._log, live, wanted, check_timeout(timeout))

    def parked(self, name: str | None) -> pd.DataFrame:
        """The events that were set aside, of one subscription or of all."""
        live = {made.name: t for made, t in list(self._all) if made.name is not None and not t.is_asked_to_stop}
        known = {*live, *checkpoint.names(self._log)}
        if name is not None and name not in known:
            raise InputError(f"no subscription was ever named {name!r} here; known names: {sorted(map(str, known))}")
        found = [(owner, one) for owner, one in parked.stored(self._log, name) if owner not in live]
        for owner, subscriber in live.items():
            if name in (None, owner):
                found += [(str(owner), one) for _, one in sorted(subscriber.delivery.parked.copy().items())]
        return parked.frame(sorted(found, key=lambda row: (row[0], row[1].position)))


def follow(log: Log, asked: Selection, timeout: float | None, owner: object) -> Iterator[RecordedEvent]:
    """The events in question, those to come included; `owner` is kept alive meanwhile."""
    wakeup = Wakeup()
    log.wakeups.add(wakeup)
    at, until = asked.after, None
    try:
        while not log.life.is_closed:
            table = log.table
            try:
                log.refresh()
                upto = log.head.last
                for commit, rows in replace(asked, after=at, upto=upto).chunks(log):
                    for event in recorded(commit, rows):
                        at, until = event.position, None
                        yield event
                at = max(at, upto)
            except StoreClosedError:
                if not log.life.is_closed and log.table is table:
                    raise
                continue  # the store was closed, or another writer took over and the log was opened anew for reading
            until = until or monotonic() + (float("inf") if timeout is None else timeout)
            left = until - monotonic()
            if left <= 0:
                return
            pause = min(left, POLL_SECONDS if log.read_only else float("inf"))
            wakeup.wait(None if pause == float("inf") else pause)
    finally:
        log.wakeups.remove(wakeup)


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise InputError(f"{handler!r} is no handler; give a function that takes a RecordedEvent")
    callables.check(handler, "the handler", "a RecordedEvent")
    if trouble := callables.misfit(handler, 1):
        name = callables.where(handler)
        raise InputError(f"the handler {name} cannot be called with a RecordedEvent alone: {trouble}")


def _label(name: str | None, handler: object) -> str:
    if name is not None:
        return f"subscription {name!r}"
    return f"subscription of {getattr(handler, '__qualname__', type(handler).__qualname__)}"

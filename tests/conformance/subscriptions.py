"""The two ways in which the kit delivers a log that goes on, as the other project's subscriptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from eventsourcing import persistence
from eventsourcing.persistence import Notification

import eventsourcing_kit as ek

if TYPE_CHECKING:
    from tests.conformance.recorders import ApplicationRecorder

_LOOK_SECONDS = 0.05


class NotificationSubscription(persistence.Subscription["ApplicationRecorder"]):
    """An iterator of the notifications after a position, which another thread may stop."""

    def __init__(self, recorder: ApplicationRecorder, category: str, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._category = category


class ByHandler(NotificationSubscription):
    """`store.subscribe`, whose handler puts the events into a queue."""

    def __init__(self, recorder: ApplicationRecorder, category: str, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, category, gt, topics)
        self._arrived: SimpleQueue[ek.RecordedEvent | None] = SimpleQueue()
        self._subscription = recorder.store.subscribe(
            self._arrived.put, after=gt or 0, types=topics or None, category=category
        )

    def stop(self) -> None:
        super().stop()
        self._subscription.unsubscribe()
        self._arrived.put(None)

    def __next__(self) -> Notification:
        event = None if self._has_been_stopped else self._arrived.get()
        if event is None or self._has_been_stopped:
            raise StopIteration
        return self._recorder.notification(event)


class ByFollowing(NotificationSubscription):
    """`store.follow`, which ends when nothing has come for a while, and then goes on from there."""

    def __init__(self, recorder: ApplicationRecorder, category: str, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, category, gt, topics)
        self._after = gt or 0
        self._events = self._followed()

    def _followed(self) -> Iterator[ek.RecordedEvent]:
        return self._recorder.store.follow(
            after=self._after, types=self._topics or None, category=self._category, timeout=_LOOK_SECONDS
        )

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            for event in self._events:
                self._after = event.position
                return self._recorder.notification(event)
            self._events = self._followed()
        raise StopIteration

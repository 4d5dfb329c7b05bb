"""Recorders: an aggregate's events are a stream, and its notifications are the log.

The state of an event is bytes, which plain JSON has no place for, so it stands in the payload as base64. The version
that the other project gives an event may begin at 0 or 1, and stands in the metadata.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from itertools import dropwhile, groupby, islice, pairwise, takewhile
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from eventsourcing import persistence
from eventsourcing.persistence import IntegrityError, Notification, StoredEvent, Tracking

import eventsourcing_kit as ek
from tests.conformance.subscriptions import ByHandler, NotificationSubscription

_EVENT, _TRACKED = "event", "tracked"  # categories of streams


class AggregateRecorder(persistence.AggregateRecorder):
    """Guards each event by an id made of its aggregate and version.

    Expected versions would not do: snapshots are recorded here too, and their versions have gaps.
    """

    def __init__(self, store: ek.EventStore, id_type: type[UUID] | type[str] = UUID) -> None:
        self.store, self._id_type = store, id_type

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        if stored_events:
            receipts = _appended(self.store, [*self._appends(stored_events)])
            if any(receipt.replayed for receipt in receipts):  # to the kit a repeated append is no error
                raise IntegrityError(f"recorded already: {stored_events!r}")
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        newest_first = self._newest_first(f"{_EVENT}-{originator_id}")
        up_to = dropwhile(lambda event: lte is not None and _version(event) > lte, newest_first)
        wanted = takewhile(lambda event: gt is None or _version(event) > gt, up_to)
        in_order = wanted if desc else reversed([*wanted])
        return [StoredEvent(**self._fields(event)) for event in islice(in_order, limit)]

    def _newest_first(self, stream: str) -> Iterator[ek.RecordedEvent]:
        """A snapshot of an older version may have been taken last."""
        return iter(sorted(self.store.read(stream), key=_version, reverse=True))

    def _appends(self, stored_events: Sequence[StoredEvent]) -> Iterator[ek.Append]:
        for stream, events in groupby(stored_events, _stream):
            yield ek.Append(stream, [_new(one, uuid5(NAMESPACE_OID, f"{_version_of(one)}")) for one in events])

    def _fields(self, event: ek.RecordedEvent) -> dict[str, Any]:
        return {
            "originator_id": self._id_type(event.stream.removeprefix(f"{_EVENT}-")),
            "originator_version": _version(event),
            "topic": event.type,
            "state": b64decode(event.data["state"]),
        }


class ApplicationRecorder(AggregateRecorder, persistence.ApplicationRecorder):
    """Guards a stream by the expected version; a notification's id is the event's position."""

    subscription_class: type[NotificationSubscription] = ByHandler

    def __init__(self, store: ek.EventStore, id_type: type[UUID] | type[str] = UUID) -> None:
        super().__init__(store, id_type)
        self._first_versions: dict[str, int] = {}

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        receipts = _appended(self.store, [*self._appends(stored_events)]) if stored_events else []
        return _positions(receipts)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        end = self.store.position
        after = 0 if start is None else start - inclusive_of_start
        known = [topic for topic in topics if topic in set(self.store.types()["type"])]  # others the kit refuses
        if topics and not known:
            return []
        found = self.store.read(
            category=_EVENT,
            types=known or None,
            after=min(max(after, 0), end),  # beyond the log's end there is no moment yet
            as_of=end if stop is None else min(stop, end),
            limit=limit,
        )
        return [self.notification(event) for event in found]

    def max_notification_id(self) -> int | None:
        return next((event.position for event in self.store.read(category=_EVENT, backwards=True, limit=1)), None)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> NotificationSubscription:
        return self.subscription_class(self, _EVENT, gt, topics)

    def notification(self, event: ek.RecordedEvent) -> Notification:
        """An event of the log, as the other project sees it."""
        return Notification(id=event.position, **self._fields(event))

    def _newest_first(self, stream: str) -> Iterator[ek.RecordedEvent]:
        """Lazily: who has most of the events already asks for the last few only."""
        return iter(self.store.read(stream, backwards=True))

    def _appends(self, stored_events: Sequence[StoredEvent]) -> Iterator[ek.Append]:
        begun: dict[str, int] = {}
        for stream, group in groupby(stored_events, _stream):
            events = [*group]
            versions = [one.originator_version for one in events]
            first = self._first_version(stream)
            if first is None:
                first = begun.setdefault(stream, versions[0])
            if versions[0] < first or any(b != a + 1 for a, b in pairwise(versions)):
                raise IntegrityError(f"versions of {stream!r} that do not follow each other: {versions}")
            yield ek.Append(stream, [_new(one) for one in events], expected_version=versions[0] - first)

    def _first_version(self, stream: str) -> int | None:
        if stream not in self._first_versions:
            for event in self.store.read(stream, limit=1):
                self._first_versions[stream] = _version(event)
        return self._first_versions.get(stream)


class TrackingRecorder(persistence.TrackingRecorder):
    """How far each application's events were processed is a stream, guarded by a decider."""

    def __init__(self, store: ek.EventStore) -> None:
        self.store = store

    def insert_tracking(self, tracking: Tracking) -> None:
        self.store.handle(_tracks, f"{_TRACKED}-{tracking.application_name}", tracking, retries=1000)

    def max_tracking_id(self, application_name: str) -> int | None:
        return self._reached(application_name)[1]

    def append_tracked(self, tracking: Tracking, appends: Sequence[ek.Append]) -> list[ek.Receipt]:
        """Append together with what makes the tracking known, all or nothing.

        Who tracks the same application meanwhile moves its stream on; then it is decided again.
        """
        stream = f"{_TRACKED}-{tracking.application_name}"
        while True:
            version, reached = self._reached(tracking.application_name)
            tracked = _track(tracking, reached)
            try:
                return self.store.append_many([*appends, ek.Append(stream, tracked, expected_version=version)])
            except ek.ConcurrencyError as conflict:
                if conflict.stream != stream:
                    raise IntegrityError(str(conflict)) from conflict

    def _reached(self, application_name: str) -> tuple[int, int | None]:
        """The version of an application's stream, and how far its events were processed."""
        for last in self.store.read(f"{_TRACKED}-{application_name}", backwards=True, limit=1):
            return last.version, last.data["reached"]
        return 0, None


class ProcessRecorder(TrackingRecorder, ApplicationRecorder, persistence.ProcessRecorder):
    """Events and the tracking of what they follow from, in one commit."""

    def __init__(self, store: ek.EventStore, id_type: type[UUID] | type[str] = UUID) -> None:
        ApplicationRecorder.__init__(self, store, id_type)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is None:
            return super().insert_events(stored_events)
        return _positions(self.append_tracked(tracking, [*self._appends(stored_events)])[:-1])


def _track(tracking: Tracking, reached: int | None) -> list[ek.NewEvent]:
    if reached is not None and tracking.notification_id <= reached:
        raise IntegrityError(f"{tracking} comes after {reached}")
    return [ek.NewEvent(type="Tracked", data={"reached": tracking.notification_id})]


_tracks = ek.Decider(
    decide=_track, evolve=lambda _, event: event["reached"], initial=lambda: None, name="conformance tracking"
)


def _appended(store: ek.EventStore, appends: list[ek.Append]) -> list[ek.Receipt]:
    try:
        return store.append_many(appends)
    except (ek.ConcurrencyError, ek.DuplicateIdError) as conflict:
        raise IntegrityError(str(conflict)) from conflict


def _positions(receipts: Sequence[ek.Receipt]) -> list[int]:
    return [event.position for receipt in receipts for event in receipt.events]


def _new(one: StoredEvent, id: UUID | None = None) -> ek.NewEvent:
    data = {"state": b64encode(one.state).decode()}
    return ek.NewEvent(type=one.topic, data=data, metadata={"version": one.originator_version}, id=id)


def _version_of(one: StoredEvent) -> str:
    return f"{one.originator_id}/{one.originator_version}"


def _stream(one: StoredEvent) -> str:
    return f"{_EVENT}-{one.originator_id}"


def _version(event: ek.RecordedEvent) -> int:
    version: int = event.metadata["version"]
    return version

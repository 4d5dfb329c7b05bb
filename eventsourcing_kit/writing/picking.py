"""Picking: another log's events carried over to a branch, as they are, or left out, or changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import DuplicateIdError, InputError
from eventsourcing_kit.events import callables, json_values, schema
from eventsourcing_kit.events.event import Event, NewEvent, RecordedEvent
from eventsourcing_kit.events.texts import counted, time_text
from eventsourcing_kit.reading import frames
from eventsourcing_kit.reading.read import Read, recorded
from eventsourcing_kit.records import ids, moment
from eventsourcing_kit.records.moment import from_us, to_us
from eventsourcing_kit.records.rows import Draft, Rows, Shape, coded
from eventsourcing_kit.writing.append import Submission
from eventsourcing_kit.writing.checks import as_read, rows_of
from eventsourcing_kit.writing.decider import Decider, check_of_streams

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]
    Change = Callable[[RecordedEvent], Any]
    StateAt = Callable[[Decider, str], Any]

_Refused = tuple[int, str, str, str]  # position, stream, type, error


@dataclass(frozen=True)
class Picked:
    """What a pick did: `position`, the branch's last, and `refused`, a row for each event that the rules refused.

    Columns of `refused`: position (in the log that it was picked from), stream, type, error.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="PickDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> branch = store.branch(as_of=1)
    >>> branch.pick(store.read(after=branch.base))
    <picked: up to position 2, 0 events refused>
    """

    position: int
    refused: pd.DataFrame

    def __repr__(self) -> str:
        return f"<picked: up to position {self.position}, {counted(len(self.refused))} refused>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class Picking:
    """One pick: checked as a whole, before anything is stored."""

    def __init__(
        self, log: Log, read: object, without: object, change: Change | None, through: object, state_at: StateAt
    ) -> None:
        if not isinstance(read, Read):
            raise InputError(f"{json_values.shown(read)} is no read; pick takes store.read(after=branch.base)")
        if read.selection.backwards:
            raise InputError("events are picked in the log's order; read them without backwards=True")
        if change is not None:
            callables.check(change, "change", "a RecordedEvent that returns it, or other data of its type")
        self._log, self._read, self._source, self._change = log, read, read.log, change
        self._decider, self._command_of = _checked_through(through)
        self._state_at = state_at
        self._source.refresh()
        self._left_out = {self._position(one) for one in _several(without)}
        self._states: dict[str, Any] = {}
        self.refused: list[_Refused] = []

    def _position(self, given: object) -> int:
        if isinstance(moment.parse(given), moment.TimePoint):
            raise InputError(
                f"without has the time {given!r}; name events: RecordedEvents, ids or positions of the read"
            )
        return self._source.resolve(given)

    def submissions(self) -> list[Submission]:
        """A commit to be for each commit of the read's log; raises `InputError` and `DuplicateIdError`."""
        found, missing = [], set(self._left_out)
        for commit, rows in self._read.selection.chunks(self._source):
            positions = rows + commit.first
            if missing:
                missing.difference_update(positions.tolist())
            rows = rows[~np.isin(positions, list(self._left_out))] if self._left_out else rows
            plain = self._change is None and self._decider is None
            own, times = (
                (_columns(commit, rows), commit.times[rows].tolist()) if plain else self._one_by_one(commit, rows)
            )
            if times:
                found.append(Submission(own, times=times, new_upto=self._log.head.last, again="pick again"))
        if missing:
            raise InputError(f"without has position {min(missing)}, and the read has no such event; leave it out there")
        self._check(found)
        return found

    def _check(self, found: list[Submission]) -> None:
        if found and found[0].times is not None and found[0].times[0] < self._log.head.last_us:
            raise InputError(
                f"the first event to be picked was recorded at {time_text(from_us(found[0].times[0]))}, before the "
                f"branch's last event ({time_text(from_us(self._log.head.last_us))}), and a log's times never go back; "
                "put your own events in with recorded_at=branch.base.recorded_at, or pick first"
            )
        there = self._log.positions_of([one for submission in found for one in submission.rows.ids.values()])
        if there:
            event_id, position = next(iter(there.items()))
            raise DuplicateIdError(
                f"the branch has the event {event_id} already, at position {position}; pick what it lacks: "
                "store.read(after=…)"
            )

    # -- one by one --------------------------------------------------------------------------------------------------

    def _one_by_one(self, commit: Commit, rows: Ints) -> tuple[Rows, list[int]]:
        drafts, times = [], []
        for draft, event in zip(drafts_of(commit, rows), recorded(commit, rows), strict=True):
            kept = draft if self._change is None else self._changed(draft, event)
            if self._is_refused(kept, event):
                continue
            drafts.append(kept)
            times.append(to_us(event.recorded_at))
        return Rows.of(drafts), times

    def _changed(self, draft: Draft, event: RecordedEvent) -> Draft:
        assert self._change is not None
        try:
            made = self._change(event)
        except Exception as error:
            error.add_note(f"change failed at position {event.position}, so nothing was picked")
            raise
        where = f"change, at position {event.position}, returned"
        if made is None:
            raise InputError(f"{where} None; return the event or other data, and leave events out with without=")
        if isinstance(made, RecordedEvent):
            if made.id != event.id:
                raise InputError(f"{where} another event, {made.id}; return the one that it was given, or other data")
            made = made.data
        type_, data = _type_and_data(made, event)
        if type_ != event.type:
            raise InputError(f"{where} a {type_}, and the event is a {event.type}; return other data of the same type")
        if type(data) is type(event.data) and data == event.data:
            return draft
        return self._other(draft, event, data)

    def _other(self, draft: Draft, event: RecordedEvent, data: Any) -> Draft:
        kind = schema.registered(event.type)
        own = set() if kind is None or not isinstance(event.data, Event) else set(kind.tags_of(event.data.__dict__))
        more: dict[str, Any] = {
            "occurred_at": event.occurred_at,
            "metadata": {**event.metadata, "picked_from": str(event.id)},
            "tags": [tag for tag in event.tags if tag not in own] or None,
        }
        new = NewEvent(data, **more) if isinstance(data, Event) else NewEvent(type=event.type, data=data, **more)
        return rows_of(draft.stream, new).drafts()[0]

    def _is_refused(self, draft: Draft, event: RecordedEvent) -> bool:
        """Whether the rules refuse it; else the stream's state goes on behind it."""
        if self._decider is None:
            return False
        stream = draft.stream
        if stream not in self._states:
            self._states[stream] = self._state_at(self._decider, stream)
        data = event.data if draft.id == event.id else as_read(draft, NewEvent(type=draft.type, data=draft.data))
        command = self._command_of(replace(event, data=data))
        if command is not None:
            try:
                self._decider.events_for(command, self._states[stream])
            except Exception as error:
                self.refused.append((event.position, stream, event.type, f"{type(error).__name__}: {error}"))
                return True
        self._states[stream] = self._decider.after(self._states[stream], draft.type, stream, data)
        return False

    def refused_frame(self) -> pd.DataFrame:
        """The refused events as a frame."""
        import pandas as pd

        columns = list(zip(*self.refused, strict=True)) or [()] * 4
        texts = {
            name: frames.strings(frames.objects(list(values)))
            for name, values in zip(("stream", "type", "error"), columns[1:], strict=True)
        }
        return pd.DataFrame({"position": frames.integers(np.array(columns[0], dtype=np.int64)), **texts})


def _several(given: Any) -> list[Any]:
    is_one = isinstance(given, (str, bytes)) or not hasattr(given, "__iter__")
    return [given] if is_one else list(given)


def _checked_through(through: Any) -> tuple[Decider | None, Callable[[RecordedEvent], Any]]:
    if through is None:
        return None, lambda event: None
    pair = through if isinstance(through, (tuple, list)) else ()
    if len(pair) != 2 or not isinstance(pair[0], Decider) or not callable(pair[1]):
        raise InputError(f"through is {json_values.shown(through)}; give (decider, command_of)")
    if pair[0].boundary is not None:
        raise InputError(f"through takes a decider of streams, and {pair[0]!r} decides within a boundary")
    callables.check(pair[1], "command_of", "a RecordedEvent that returns the command that stands for it, or None")
    return check_of_streams(pair[0]), pair[1]


def _type_and_data(made: Any, event: RecordedEvent) -> tuple[str, Any]:
    if isinstance(made, Event):
        return type(made).__event_schema__.name, made
    if isinstance(made, NewEvent):
        return made.type, made.event if made.event is not None else dict(made.data)
    return event.type, made


def drafts_of(commit: Commit, rows: Ints) -> list[Draft]:
    """Events as they are stored, with their ids, ready to be stored elsewhere."""
    return _columns(commit, rows).drafts()


def _columns(commit: Commit, rows: Ints) -> Rows:
    """Events as they are stored, with their ids, as columns."""
    streams, stream_codes = coded([commit.streams[code] for code in commit.stream_codes[rows].tolist()])
    codes, shape_codes = coded(commit.shape_codes[rows].tolist())
    shapes = []
    for code in codes:
        shape = commit.shapes[code]
        places = commit.places_in_shapes[rows[commit.shape_codes[rows] == code]].tolist()
        columns = [[column[place] for place in places] for column in shape.columns]
        shapes.append(Shape(shape.type, shape.schema_version, tuple(shape.fields), columns))
    kept: Sequence[uuid.UUID] = list(ids.to_uuids(commit.id_bytes[rows]))
    at = list(enumerate(rows.tolist()))
    extras = commit.has_extras
    return Rows(
        streams,
        stream_codes,
        shapes,
        shape_codes,
        dict(enumerate(kept)),
        _of_rows(commit.occurred_us, at) if extras else {},
        _of_rows(commit.metadata, at) if extras else {},
        _of_rows(commit.tags, at) if extras else {},
    )


def _of_rows(values: dict[int, Any], at: Iterable[tuple[int, int]]) -> dict[int, Any]:
    return {place: values[row] for place, row in at if row in values}

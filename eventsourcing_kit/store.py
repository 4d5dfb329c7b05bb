"""The event store: what people type against."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from eventsourcing_kit import local_folder, location, schema
from eventsourcing_kit.append import Append, Receipt
from eventsourcing_kit.batch import Batch, Expected, ExpectedVersion, Submission, check_expected
from eventsourcing_kit.draft import Events, drafts
from eventsourcing_kit.errors import (
    ConcurrencyError,
    EventSourcingError,
    InputError,
    OutcomeUnknownError,
    ReadOnlyError,
    StorageError,
)
from eventsourcing_kit.event import Event, NewEvent, type_names
from eventsourcing_kit.log import Log
from eventsourcing_kit.moment import from_us
from eventsourcing_kit.projection import STREAM, Projection
from eventsourcing_kit.read import Read, Selection
from eventsourcing_kit.replay import EVERY, Steps, fold
from eventsourcing_kit.writer import Writer

if TYPE_CHECKING:
    import pandas as pd

    from eventsourcing_kit.history import History
    from eventsourcing_kit.moment import Moment
    from eventsourcing_kit.record import Draft

ANY = ExpectedVersion.ANY
NO_STREAM = ExpectedVersion.NO_STREAM
STREAM_EXISTS = ExpectedVersion.STREAM_EXISTS
_ROWS_A_COMMIT = 10_000
_ROWS_WORTH_A_BAR = 50_000

_writers: weakref.WeakValueDictionary[str, EventStore] = weakref.WeakValueDictionary()
_open: weakref.WeakSet[EventStore] = weakref.WeakSet()
_opening = threading.Lock()


class EventStore:
    """An append-only log of events: in memory (`EventStore()`), in a folder (`EventStore("some/folder")`), or in a
    bucket of an S3 object storage (`EventStore("s3://bucket/prefix")`).

    `clock` is a function that returns an aware datetime; `seed` makes ids reproducible. `fsync=False` acknowledges
    appends to a folder when the operating system has them, before they are on the device: faster, and a power cut may
    lose the newest. Opening a folder or a bucket makes this store its writer; an older one then reads on, but writes no
    more.

    `read_only` reads beside a writer and never makes a store. A call of such a reader sees everything that was
    acknowledged `lag` seconds before it began, or earlier, and perhaps more; by default 0 for a folder, 1 for a bucket,
    where each look costs requests.

    Where the storage does not answer, a call raises an error with the reason after `patience` seconds (10) and a few
    more to find the reason; an append that is then on its way goes on by itself when the storage answers again.

    What a bucket needs comes by keyword or from the environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, …): `endpoint` (the
    server's URL, where it is not AWS), `region`, `access_key_id`, `secret_access_key`, `session_token`, `allow_http`
    (by itself where the endpoint begins with http://), `timeout` (seconds a request may take, 30), and every other
    option that the object_store library has for S3, by its name there. None of them is ever shown in a message.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    <receipt: 1 event to 'order-7', version 1, position 1>
    >>> store.version("order-7"), store.position
    (1, 1)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        read_only: bool = False,
        clock: Callable[[], datetime] | None = None,
        seed: int | None = None,
        fsync: bool = True,
        lag: float | None = None,
        patience: float | None = None,
        **options: Any,
    ) -> None:
        self._location = location.parse(path, options)
        self._fsync, self._read_only = fsync, read_only
        _check_reader(self._location, read_only, lag)
        _check_seconds("lag", lag, "from 0")
        _check_seconds("patience", patience, "above 0")
        if clock is not None and not callable(clock):
            raise InputError(f"clock is {clock!r}; give a function that returns an aware datetime")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise InputError(f"seed is {seed!r}; give a whole number")
        with _opening:
            written_through = self._make_ready()
            self._log = Log(self._location, read_only=read_only, lag=lag, patience=patience)
            sync = self._sync(written_through)
            self._writer = None
            if not read_only:
                # In memory there is nothing that a flush would make safer.
                durable = not self._location.is_memory
                self._writer = self._make_writer(clock or _now, seed, durable, sync, patience)
                weakref.finalize(self, self._writer.end)  # the log stays: reads and histories may outlive the store
                if durable:
                    _writers[self._location.identity] = self
            _open.add(self)

    def _make_writer(
        self, clock: Callable[[], datetime], seed: int | None, flush: bool, sync: local_folder.Sync | None,
        patience: float | None,
    ) -> Writer:  # fmt: skip
        try:
            return Writer(self._log, clock=clock, seed=seed, flush=flush, sync=sync, patience=patience)
        except BaseException:
            self._log.close()
            raise

    def _make_ready(self) -> bool:
        """Make the folder, and hand over quietly from an older writer of this process."""
        if self._location.is_memory or self._read_only:
            return False
        folder = self._location.folder
        if folder is not None:
            local_folder.prepare(folder)
        older = _writers.get(self._location.identity)
        if older is not None:
            older._hand_over()
        return folder is not None and self._fsync and local_folder.set_sync_flag(folder, on=True)

    def _sync(self, written_through: bool) -> local_folder.Sync | None:
        folder = self._location.folder
        if folder is None or self._read_only or not self._fsync:
            return None
        return local_folder.Sync(folder, written_through=written_through)

    def _hand_over(self) -> None:
        if self._writer is not None and not self._log.closed:
            self._log.superseded = True
            self._writer.close()
            self._log.supersede()

    # -- writing -----------------------------------------------------------------------------------------------------

    def append(
        self,
        stream: str,
        events: Events,
        *,
        expected_version: Expected = ANY,
        metadata: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Store one or several events at the end of a stream, all or none; return when they are durable.

        Raises `InputError` for events that would not read back equal, `ConcurrencyError` where the stream is not at the
        expected version, `DuplicateIdError` for an id that another event has.
        """
        return self.append_many([Append(stream, events, expected_version, metadata)])[0]

    def append_many(self, appends: Iterable[Append]) -> list[Receipt]:
        """Store several appends as one commit, all or none; one receipt an append, in their order."""
        writer = self._writing()
        given = _checked_appends(appends)
        batches = [
            Batch(one.stream, drafts(one.stream, one.events, one.metadata), check_expected(one.expected_version))
            for one in given
        ]
        try:
            stored = writer.append(Submission(batches))
        except ConcurrencyError as conflict:
            conflict.unseen = self._unseen(conflict)
            raise
        except OutcomeUnknownError as unknown:
            unknown.events = [_as_event(draft) for draft in unknown.events]
            raise
        return [Receipt(self._log, one.stream, placed) for one, placed in zip(given, stored, strict=True)]

    def load(
        self,
        frame: pd.DataFrame,
        *,
        stream: str,
        type: str,
        recorded_at: str,
        occurred_at: str | None = None,
        id: str | None = None,
        progress: bool | None = None,
    ) -> int:
        """Store a DataFrame's rows as events, recorded at their own times; return the log's position after them.

        The arguments name columns; all others are payload, and a missing cell is left out of its event's data. Rows
        are ordered by time, equal times in the frame's order. Everything is checked first: an `InputError` names row,
        column and value, and then nothing is loaded. `progress` shows a bar; by default for long loads at a terminal or
        in a notebook, and never in a test.
        """
        from eventsourcing_kit.load import Columns, from_frame

        writer = self._writing()
        loaded = from_frame(frame, Columns(stream, type, recorded_at, occurred_at, id))
        if loaded.times and loaded.times[0] < self._log.head.last_us:
            first = datetime.fromtimestamp(0, UTC) + (datetime.resolution * loaded.times[0])
            raise InputError(
                f"the frame's first time, {first.isoformat()}, lies before the store's last event; "
                "load it into a new store, or load the older log first"
            )
        self._refuse_known_ids(loaded.drafts)
        with _bar(len(loaded.drafts), progress) as advance:
            for start in range(0, len(loaded.drafts), _ROWS_A_COMMIT):
                part = loaded.drafts[start : start + _ROWS_A_COMMIT]
                times = loaded.times[start : start + len(part)]
                writer.append(Submission([Batch(d.stream, [d]) for d in part], times))
                advance(len(part))
        return self.position

    def _refuse_known_ids(self, loaded: list[Draft]) -> None:
        if self._log.head.last == 0:
            return
        for draft in loaded:
            if draft.id is not None and self._log.position_of(draft.id) is not None:
                raise InputError(f"the id {draft.id} is in the store already; load each log once")

    def _writing(self) -> Writer:
        self._log.check_process()
        if self._writer is None:
            raise ReadOnlyError("this store was opened with read_only=True; open it without, and it becomes the writer")
        return self._writer

    def _unseen(self, conflict: ConcurrencyError) -> Read:
        expected = conflict.expected if isinstance(conflict.expected, int) else 0
        nothing = conflict.expected is STREAM_EXISTS or expected >= conflict.actual
        upto = 0 if nothing else self._log.head.last
        return Read(self._log, Selection(0, upto, stream=conflict.stream, after_version=expected))

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(
        self,
        stream: str | None = None,
        *,
        category: str | None = None,
        types: str | type[Event] | Sequence[str | type[Event]] | None = None,
        after: Moment | None = None,
        as_of: Moment | None = None,
        backwards: bool = False,
        limit: int | None = None,
    ) -> Read:
        """The events of the log, lazily: of one stream or category, of some types, after a moment, as of a moment.

        What is read is fixed now: events that are appended later don't appear.
        """
        self._log.refresh()
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise InputError(f"limit is {limit!r}; give a whole number from 0")
        selection = Selection(
            after=0 if after is None else self._log.resolve(after),
            upto=self._cut(as_of),
            stream=None if stream is None else schema.check_name(stream, "a stream"),
            category=None if category is None else schema.check_name(category, "a category"),
            types=None if types is None else frozenset(type_names(types)),
            backwards=backwards,
            limit=limit,
        )
        return Read(self._log, selection)

    def _cut(self, as_of: Moment | None) -> int:
        return self._log.head.last if as_of is None else self._log.resolve(as_of)

    def version(self, stream: str) -> int:
        """A stream's version: its number of events, 0 where there is no stream."""
        self._log.refresh()
        return self._log.version(schema.check_name(stream, "a stream"))

    @property
    def position(self) -> int:
        """The position of the last event; 0 in an empty store."""
        self._log.refresh()
        return self._log.head.last

    def streams(self) -> pd.DataFrame:
        """One row a stream, in order of appearance: stream, category, version, first_recorded_at, last_recorded_at."""
        from eventsourcing_kit import overview

        self._log.refresh()
        return overview.streams(self._log)

    def types(self) -> pd.DataFrame:
        """One row an event type, in order of appearance: type, events, schema_versions (those seen), registered."""
        from eventsourcing_kit import overview

        self._log.refresh()
        return overview.types(self._log)

    # -- time travel -------------------------------------------------------------------------------------------------

    def replay(
        self, projection: Projection, *, as_of: Moment | None = None, key: Any = EVERY, category: str | None = None
    ) -> Any:
        """Fold a projection over the log as of a moment: `{key: state}`.

        With `key`, that key's state (the initial state where there is none); with a projection that has one state over
        the whole log, the bare state.
        """
        self._log.refresh()
        selection = self._selection(projection, self._cut(as_of), key, category)
        states = fold(projection, self._log, selection, only=key)
        if key is EVERY and not projection.is_single:
            return states
        wanted = None if key is EVERY else key
        return states[wanted] if wanted in states else projection.initial()

    def history(
        self, projection: Projection, *, as_of: Moment | None = None, key: Any = EVERY, category: str | None = None
    ) -> History:
        """Every state that a replay passes through, up to a moment."""
        from eventsourcing_kit.history import History

        self._log.refresh()
        cut = self._cut(as_of)
        steps = Steps()
        fold(projection, self._log, self._selection(projection, cut, key, category), only=key, steps=steps)
        return History(projection, self._log, cut, steps)

    def _selection(self, projection: Projection, upto: int, key: Any, category: str | None) -> Selection:
        """The events that can matter; one stream's where streams are the keys and one key is asked for."""
        if not isinstance(projection, Projection):
            raise InputError(f"{projection!r} is no projection; make one with ek.Projection(name, initial=…)")
        try:
            hash(key)
        except TypeError:
            raise InputError(f"{key!r} cannot be a key; keys are hashable: text, a number, a tuple of such …") from None
        by_stream = all(handler.key is STREAM for handler in projection.every_handler)
        if category is not None:
            schema.check_name(category, "a category")
        return Selection(
            after=0,
            upto=upto,
            stream=key if by_stream and _can_name_a_stream(key) else None,
            category=category,
            types=frozenset(projection.handlers),
        )

    # -- this handle -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the store; safe to call twice. Raises `StorageError` where an append waits for a storage in vain."""
        if self._log.closed:
            return
        try:
            self._log.check_process()
        except EventSourcingError:
            return  # inherited through fork: the parent's to close
        answers, trouble = self._writer is None or self._writer.close(), ""
        if not answers and self._writer is not None:
            trouble = self._log.trouble()
            self._writer.leave()
        self._log.close(answers=answers)
        if not answers:
            raise StorageError(
                f"the storage does not answer{trouble}, so an append that waits for it may be lost; "
                "all that was acknowledged is stored"
            )

    def __enter__(self) -> EventStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "_log"):  # in the traceback of an open that failed
            return "<event store, not opened>"
        notes = [] if self._fsync or self._location.folder is None else ["fsync=False"]
        notes += ["read_only", f"lag {self._log.lag:g} s"] if self._read_only else []
        notes += ["closed"] if self._log.closed else [f"position {self._log.head.last}"]
        return f"<event store {self._location.name}: {', '.join(notes)}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def from_frame(
    frame: pd.DataFrame,
    *,
    stream: str,
    type: str,
    recorded_at: str,
    occurred_at: str | None = None,
    id: str | None = None,
    seed: int | None = None,
) -> EventStore:
    """A new store in memory with a DataFrame's rows as events: `EventStore().load(…)` in one line."""
    store = EventStore(seed=seed)
    store.load(frame, stream=stream, type=type, recorded_at=recorded_at, occurred_at=occurred_at, id=id)
    return store


def _now() -> datetime:
    return datetime.now(UTC)


def _check_reader(place: location.Location, read_only: bool, lag: float | None) -> None:
    if read_only and place.is_memory:
        raise InputError("a store in memory begins empty, so read_only would never show anything; give a folder")
    if lag is not None and not read_only:
        raise InputError(
            "lag is how far a reader may be behind; a writer never is: leave it out, or add read_only=True"
        )


def _check_seconds(name: str, value: object, least: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise InputError(f"{name} is {value!r}; give seconds, {least}")
    if value == 0 and least == "above 0":
        raise InputError(f"{name} is {value!r}; give seconds, {least}")


def _can_name_a_stream(key: object) -> bool:
    try:
        schema.check_name(key, "a stream")
    except InputError:
        return False
    return True


def _checked_appends(appends: Iterable[Append]) -> list[Append]:
    given: list[Append] = [appends] if isinstance(appends, Append) else [*appends]
    for one in given:
        if not isinstance(one, Append):
            raise InputError(f"{one!r} is no append; append_many takes ek.Append(stream, events, …)")
    if not given:
        raise InputError("an empty append_many; give at least one ek.Append(stream, events)")
    return given


def _as_event(draft: Draft) -> NewEvent:
    occurred_at = None if draft.occurred_us is None else from_us(draft.occurred_us)
    kind = schema.registered(draft.type)
    if kind is not None:
        (event,) = kind.from_rows([draft.data])
        return NewEvent(event, id=draft.id, occurred_at=occurred_at, metadata=draft.metadata)
    return NewEvent(type=draft.type, data=draft.data, id=draft.id, occurred_at=occurred_at, metadata=draft.metadata)


def _bar(total: int, progress: bool | None) -> Any:
    from eventsourcing_kit.progress import bar

    return bar(total, progress, worth_it=total >= _ROWS_WORTH_A_BAR)


@atexit.register
def _close_all() -> None:
    """An exit with a call in flight would abort the interpreter."""
    for store in list(_open):
        with contextlib.suppress(EventSourcingError):
            store.close()

"""The event store: what people type against."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from html import escape
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import (
    ConcurrencyError,
    DamagedError,
    EventSourcingError,
    InputError,
    MomentError,
    OutcomeUnknownError,
    ReadOnlyError,
    StorageError,
)
from eventsourcing_kit.events import json_values
from eventsourcing_kit.events.event import Event
from eventsourcing_kit.events.texts import time_text
from eventsourcing_kit.folding.columnar import Columns
from eventsourcing_kit.folding.projection import ByTags, Projection
from eventsourcing_kit.folding.replay import EVERY, Steps, check_key, fold
from eventsourcing_kit.folding.snapshots import Snapshots
from eventsourcing_kit.following.followers import Following, follow
from eventsourcing_kit.following.parked import SKIP, STOP, OnError
from eventsourcing_kit.following.waiting import check_timeout
from eventsourcing_kit.log.finding import Finder
from eventsourcing_kit.log.forked import Past
from eventsourcing_kit.mirroring.mirror import UNSET, Unset
from eventsourcing_kit.reading import known_types
from eventsourcing_kit.reading.query import Query
from eventsourcing_kit.reading.query import types as query_types
from eventsourcing_kit.reading.read import Read, Selection, asked, check_category, selected
from eventsourcing_kit.records import moment
from eventsourcing_kit.records.moment import from_us
from eventsourcing_kit.records.unknown import Policies, Policy
from eventsourcing_kit.storage import keys, local_folder, location
from eventsourcing_kit.storage.in_flight import in_flight
from eventsourcing_kit.writing.append import Append, Events, Expected, ExpectedVersion, Receipt, Submission
from eventsourcing_kit.writing.checks import as_event, submission
from eventsourcing_kit.writing.condition import Condition
from eventsourcing_kit.writing.decider import Decider, check_decider, check_of_streams, projection_of
from eventsourcing_kit.writing.handling import RETRIES, Handled, Handling, check_retries, state_of
from eventsourcing_kit.writing.opening import OpenOptions, clock_of, opened

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import pandas as pd

    from eventsourcing_kit.checking.report import Report
    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.folding.history import History
    from eventsourcing_kit.folding.rows import Rows
    from eventsourcing_kit.following.subscription import Subscription
    from eventsourcing_kit.loading.known import Known
    from eventsourcing_kit.log.forked import BranchPoint
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.mirroring.mirror import Mirror
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.writing.append import Stored
    from eventsourcing_kit.writing.picking import Picked
    from eventsourcing_kit.writing.redeciding import Trial
    from eventsourcing_kit.writing.writer import Writer

ANY = ExpectedVersion.ANY
NO_STREAM = ExpectedVersion.NO_STREAM
STREAM_EXISTS = ExpectedVersion.STREAM_EXISTS
_NO_COMMAND: Any = object()
_ROWS_A_COMMIT = 10_000
_ROWS_WORTH_A_BAR = 50_000

_writers: weakref.WeakValueDictionary[str, EventStore] = weakref.WeakValueDictionary()
_open: weakref.WeakSet[EventStore] = weakref.WeakSet()
_opening: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()  # one a location
_listing = threading.RLock()  # of those above; held for a moment, and one of `_opening` as long as an opening takes


class EventStore:
    """An append-only log of events: in memory (`EventStore()`), in a folder (`EventStore("some/folder")`), or in a
    bucket of an S3 object storage (`EventStore("s3://bucket/prefix")`).

    `clock` is a function that returns an aware datetime; `seed` makes ids reproducible. Opening a folder or a bucket
    makes this store its writer; an older one then reads on, but writes no more. A store does not survive a fork, nor
    can a forked child open one; start processes with `multiprocessing.get_context("spawn")`.

    An append to a folder returns only when the event and all that is needed to read it again are on the device, so a
    power cut loses nothing that was acknowledged. With `fsync=False` it returns when the operating system has them:
    faster, safe when the process dies, and a power cut may lose the newest events or leave a folder to `ek.rescue`.

    `unknown` says what reads, replays and histories do with events whose type has no class, `newer` with those of a
    newer schema version than their class: "keep" them (`data` is a dict), "skip" them (`skipped` of a read or a history
    counts them by type), or "fail" with a `SchemaError`.

    `read_only` reads beside a writer and never makes a store. A call of such a reader sees everything that was
    acknowledged `lag` seconds before it began, or earlier, and perhaps more; by default 0 for a folder, 1 for a bucket,
    where each look costs requests.

    Where the storage does not answer, a call raises an error with the reason after `patience` seconds (10) and a few
    more to find the reason; an append that is then on its way goes on by itself when the storage answers again. Only
    for a local disk that hangs in a sync an append waits as long as that takes.

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
        unknown: Policy = "keep",
        newer: Policy = "fail",
        lag: float | None = None,
        patience: float | None = None,
        base: str | os.PathLike[str] | EventStore | Past | None = None,
        base_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        policies = Policies(unknown, newer)
        self._location = location.parse(path, options)
        new = base if isinstance(base, Past) else None  # of a branch that is made
        given: Any = None if isinstance(base, Past) else getattr(base, "_log", base)
        find = Finder(_log_in_memory, given, dict(base_options or {}), patience)
        self._options = OpenOptions(read_only, clock, seed, fsync, lag, patience, new, find)
        self._options.check(self._location)
        self._branches = count()
        self._inline: list[Callable[[], object]] = []  # what runs before an append returns (see tables.follower)
        self._handling: Handling | None = None
        in_flight.check_process()  # in a forked child even the lock may be held for ever
        with _listing:
            opening = threading.Lock()
            if not self._location.is_memory:
                opening = _opening.setdefault(self._location.identity, opening)
        with opening:
            if given is not None:
                self._check_is_there()
            self._log, self._writer = self._opened()
            self._log.policies = policies
            if self._writer is not None:
                self._begin_to_write(self._writer)
            self._following = Following(self._log, self._writer, clock_of(self._log, self._options))
            self._snapshots = Snapshots(self._log, None if self._writer is None else self._writer.note)
            self._columns = Columns(self._log)
            with _listing:
                _open.add(self)

    def _check_is_there(self) -> None:
        """`base` goes with a branch that is there, and makes none."""
        if self._location.is_memory or (self._location.folder and not local_folder.is_store(self._location.folder)):
            raise InputError(
                f"there is no branch at {self._location.name}, whose base may have moved; make one with "
                "store.branch(path=…)"
            )

    def _opened(self) -> tuple[Log, Writer | None]:
        """The log, and its writer; an older one of this process hands over first, as a cell that is run again means it.

        Where the opening fails after that, its error and the older store's say so.
        """
        older = None if self._location.is_memory else _writers.get(self._location.identity)
        had_writer = older is not None and not older._log.life.is_superseded
        try:
            return opened(self._location, self._options, None if older is None else older._hand_over)
        except BaseException as error:
            if older is not None and had_writer and older._log.life.is_superseded:
                _tell_what_was_taken(error, older)
            raise

    def _begin_to_write(self, writer: Writer) -> None:
        # the log stays: reads and histories may outlive the store
        end = weakref.finalize(self, writer.end)
        end.atexit = False  # then the store is closed, and its subscriptions keep their checkpoints before
        if not self._location.is_memory:
            _writers[self._location.identity] = self

    def _hand_over(self) -> None:
        if self._writer is not None and not self._log.life.is_closed:
            self._following.stop("another writer opened the store")  # while it can keep checkpoints
            self._log.life.supersede()
            self._writer.close()
            self._log.supersede()

    def _only_read(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._options = None, replace(self._options, read_only=True)
        self._log.settle()

    # -- branches ----------------------------------------------------------------------------------------------------

    def branch(
        self,
        *,
        as_of: Moment | None = None,
        path: str | os.PathLike[str] | None = None,
        clock: Callable[[], datetime] | None = None,
        seed: int | None = None,
    ) -> EventStore:
        """A writable store over this one's past, up to a moment (by default now): for what-if. This one never changes.

        Its own events are in memory, or in a new folder, which is opened again as any other: `EventStore(path)`. It can
        do whatever a store can, goes on after this one is closed, and can be branched in turn. Without a `clock` its
        time goes on from the last event's by microseconds. With a `seed` its id and those of its events are a function
        of seed, store, moment and of how many branches this handle made before.

        Raises `MomentError` for a moment that is not in the log, `InputError` for a folder that holds something,
        `StoreClosedError` where this store is closed.

        >>> import eventsourcing_kit as ek
        >>> store = ek.EventStore()
        >>> _ = store.append("order-7", ek.NewEvent(type="Shipped"))
        >>> branch = store.branch()
        >>> _ = branch.append("order-7", ek.NewEvent(type="Returned"))
        >>> branch.position, store.position
        (2, 1)
        """
        from eventsourcing_kit.log import copying

        self._log.refresh()
        position = self._cut(as_of)
        if path is not None:
            copying.check_target(location.parse(path, {}), self._log.folder, self._log.patience)
        past = self._log.past(position)
        try:
            past.parent()  # where there is none, it says so
            past.number = next(self._branches)
            policies, patience = self._log.policies, self._options.patience
            return EventStore(
                path,
                clock=clock,
                seed=seed,
                base=past,
                patience=patience,
                unknown=policies.unknown,
                newer=policies.newer,
            )
        except BaseException:
            past.close()
            raise

    def pick(
        self,
        read: Read,
        *,
        without: Iterable[RecordedEvent | UUID | str | int] = (),
        change: Callable[[RecordedEvent], Any] | None = None,
        through: tuple[Decider, Callable[[RecordedEvent], Any]] | None = None,
    ) -> Picked:
        """Carry events over to this branch, as its base's later ones: `branch.pick(store.read(after=branch.base))`.

        Their times, ids, metadata and the borders of their commits stay. `without` leaves some out: RecordedEvents, ids
        or positions of the read. `change` is called with each event, and returns it as it is, or other data of its
        type: then the event gets a new id, and the old one as `picked_from` in its metadata. With `through`, a decider
        and a function that gives the command for which an event stands, an event is left out where the decider rejects
        that on the branch, and is listed in `refused`; where the function returns None it is picked as it is. A decider
        with a boundary is refused: its state is of no one stream.

        All is checked first, and all is stored, or nothing. Raises `InputError` for a store that is no branch, for what
        cannot be picked as asked, and for events that lie before the branch's last; `DuplicateIdError` for those that
        are there already; `ReadOnlyError` through a store that only reads.
        """
        from eventsourcing_kit.writing.picking import Picked, Picking

        writer = self._writing()
        self._log.refresh()
        if self._log.base is None:
            raise InputError("only a branch can pick events: make one with store.branch(as_of=…)")

        def state_at(decider: Decider, stream: str) -> Any:
            return state_of(decider, self._snapshots, self._log, stream, self._log.head.last)

        picking = Picking(self._log, read, without, change, through, state_at)
        submissions = picking.submissions()
        writer.append_together(submissions)
        for update in list(self._inline):
            update()
        return Picked(self.position, picking.refused_frame())

    def redecide(self, decider: Decider, *, after: Moment | None = None, on_error: OnError | str = STOP) -> Trial:
        """Decide the kept commands behind a moment anew, on a branch: what would have been under a new rule?

        The commands are those that `handle` kept under the decider's name (`log_commands=True`). Each meets the state
        that there is on the branch by then, so what is decided otherwise changes what later ones meet. Events without a
        command are picked unchanged in their place. Nothing of this store changes.

        A command that the decider cannot take (its class is gone, or refuses it) stops it with an `InputError`; with
        `on_error=ek.SKIP` it counts as unable, and its events stay. Raises `InputError` where no commands are kept, and
        for a decider with a boundary, too, and `MomentError` for what is no moment of this log.
        """
        from eventsourcing_kit.writing.redeciding import Redeciding, Trial

        self._log.refresh()
        check_of_streams(decider)
        if on_error not in (STOP, SKIP):
            raise InputError(
                f"on_error is {on_error!r}; give ek.STOP, or ek.SKIP to go on behind what cannot be decided"
            )

        def state_at(decider: Decider, stream: str, position: int) -> Any:
            return state_of(decider, self._snapshots, self._log, stream, position)

        position = 0 if after is None else self._log.resolve(after)
        trial = Redeciding(decider, self._log, position, state_at, stops=on_error == STOP)
        branch = self.branch(as_of=position, seed=self._options.seed)
        try:
            trial.run(branch._log, branch._writing())
        except BaseException:
            branch.close()
            raise
        return Trial(decider.name, branch, trial.decisions)

    @property
    def base(self) -> BranchPoint | None:
        """Where this branch parts from its base, which is a moment in both; None where the store is no branch."""
        return None if self._log.base is None else self._log.base.point()

    # -- writing -----------------------------------------------------------------------------------------------------

    def append(
        self,
        stream: str,
        events: Events,
        *,
        expected_version: Expected = ANY,
        metadata: Mapping[str, Any] | None = None,
        unless: Query | None = None,
        after: Moment | None = None,
        recorded_at: Moment | None = None,
    ) -> Receipt:
        """Store one or several events at the end of a stream, all or none; return when they are durable.

        With `unless` only if the log holds no event that this query means, of those stored after a moment `after`; that
        is checked inside the commit, so nobody comes in between.

        On a branch `recorded_at` says when: a time, or a RecordedEvent whose time is meant, but not before the branch's
        last event.

        Raises `InputError` for events that would not read back equal, `ConcurrencyError` where the stream is not at the
        expected version or the condition does not hold, `DuplicateIdError` for an id that another event has,
        `MomentError` for an `after` that is no moment of this log and a `recorded_at` that is no time, `ReadOnlyError`
        through a store that only reads, and `OutcomeUnknownError` where the storage failed or is silent, so that it may
        be stored or not.
        """
        return self._append([Append(stream, events, expected_version, metadata, unless, after)], recorded_at)[0]

    def append_many(self, appends: Iterable[Append]) -> list[Receipt]:
        """Store several appends as one commit, all or none; one receipt an append, in their order.

        An expected version sees the appends before it in the list; a condition sees what was stored before.

        Raises what `append` raises: `InputError`, `ConcurrencyError` for the first append whose stream is not at its
        expected version or whose condition does not hold, `MomentError`, `DuplicateIdError`, `ReadOnlyError`,
        `OutcomeUnknownError`.
        """
        return self._append(appends)

    def _append(self, appends: Iterable[Append], recorded_at: Moment | None = None) -> list[Receipt]:
        writer, given = self._writing(), None
        try:
            given = submission(appends, self._condition)
            if recorded_at is not None:
                given.times = [self._time_of_append(recorded_at)] * given.count
            stored = self._submit(writer, given)
            return [Receipt(self._log, batch.stream, one) for batch, one in zip(given.batches, stored, strict=True)]
        except KeyboardInterrupt as interrupt:
            if not hasattr(interrupt, "__notes__"):  # it came before the writer had it, or after
                is_stored = given is not None and given.is_stored
                interrupt.add_note("the append had been stored" if is_stored else "the append was not stored")
            raise

    def _time_of_append(self, given: Moment) -> int:
        log = self._log
        if log.base is None:
            raise InputError("recorded_at is for branches: elsewhere the store's clock gives the time; leave it out")
        parsed = moment.parse(getattr(given, "recorded_at", given))
        if not isinstance(parsed, moment.TimePoint):
            raise MomentError(f"recorded_at is {given!r}; give a time, or the RecordedEvent whose time is meant")
        if not moment.FIRST_US <= parsed <= moment.LAST_US:
            raise MomentError(f"recorded_at {given!r} {moment.OUT_OF_RANGE}")
        if parsed < log.head.last_us:
            raise InputError(
                f"recorded_at is {time_text(from_us(parsed))}, before the branch's last event, which was recorded at "
                f"{time_text(from_us(log.head.last_us))}; a log's times never go back: branch as of an earlier moment"
            )
        return int(parsed)

    def _condition(self, unless: Query, after: Moment | None) -> Condition:
        """A condition, and what can be told of it before it is the writer's turn."""
        made = Condition(unless, 0 if after is None else self._log.resolve(after))
        known_types.hint(self._log, query_types(unless), "a condition")
        made.look(self._log, self._log.head.last)
        return made

    def _submit(self, writer: Writer, submission: Submission) -> list[Stored]:
        try:
            stored = writer.append(submission)
        except ConcurrencyError as conflict:
            conflict.unseen = self._unseen(conflict)
            raise
        except OutcomeUnknownError as unknown:
            unknown.events = [as_event(draft) for draft in unknown.events]
            raise
        for update in list(self._inline):
            update()
        return stored

    def handle(
        self,
        decider: Decider,
        stream: str,
        command: Any,
        *,
        retries: int = RETRIES,
        metadata: Mapping[str, Any] | None = None,
    ) -> Handled:
        """Have a decider decide a command on a stream's state, and append what it decides at the version it saw.

        Where the stream moved on meanwhile, what came in between is read and the command is decided again, `retries`
        times; then a `ConcurrencyError` says how often. A rejected command raises the decider's own exception. Nothing
        is written then, nor where `evolve` could not take the events.

        A decider with a boundary decides on what its query finds, whatever the streams, and only events that it means
        have it decide again; `stream` says where the events go.

        Raises `InputError` where it decides what are no events, or its boundary gives no query, `ReadOnlyError` and
        `OutcomeUnknownError` as `append` does.
        """
        writer = self._writing()
        self._log.refresh()
        check_decider(decider)
        json_values.check_name(stream, "a stream")
        if self._handling is None:
            submit = partial(self._submit, writer)
            self._handling = Handling(self._log, self._snapshots, writer.version, self._condition, submit)
        return self._handling.handle(decider, stream, command, retries=check_retries(retries), metadata=metadata)

    def load(
        self,
        frame: pd.DataFrame | str | os.PathLike[str],
        *,
        stream: Hashable = None,
        type: Hashable = None,
        recorded_at: Hashable = None,
        occurred_at: Hashable = None,
        id: Hashable = None,
        data: Hashable = None,
        metadata: Hashable = None,
        tags: Hashable = None,
        unit: str | None = None,
        tz: str | tzinfo | None = None,
        dayfirst: bool | None = None,
        known: Known = "error",
        progress: bool | None = None,
    ) -> int:
        """Store the rows of a DataFrame, or of a file, as events, recorded at their own times; return the log's
        position after them.

        The first arguments name columns. All others are payload, and a missing cell is left out of its event's data;
        or `data` names one that holds it whole, as dicts or JSON. An id that is no UUID becomes one (`uuid5`), and its
        text stays in the metadata as `original_id`. `tags` names a column of lists of text; what an event's class makes
        of its fields comes first. The frames of `store.read().df()`, files that `export` wrote, and formats that define
        what is what need no names; a load of a file says in one line what it took.

        `unit` says what numbers count since 1970 ("s", "ms", "us" or "ns"), `tz` whose clocks show times that have no
        offset ("Europe/Berlin"), `dayfirst` whether 03/04/2025 is in April. Rows are ordered by their full times, equal
        times in the frame's order, and may not lie before the store's last event. Everything is checked first: an
        `InputError` names row, column and value, and then nothing is loaded.

        With `known="skip"` the same log can be loaded again: rows that are stored already are passed over. They are
        known by their ids, or, without such a column, by what they say, if they were loaded with `known="skip"` then.

        `progress` shows a bar; by default for long loads at a terminal, and never in a notebook or a test, where it
        would be saved among the results.

        Raises `ReadOnlyError` through a store that only reads.
        """
        from eventsourcing_kit.loading import files, load
        from eventsourcing_kit.loading.columns import Columns
        from eventsourcing_kit.loading.known import unknown

        writer, before = self._writing(), self.position
        columns = Columns(stream, type, recorded_at, occurred_at, id, data, metadata, tags, unit, tz, dayfirst)
        frame, columns, about = files.opened(frame, columns)
        with about():
            loaded = unknown(load.from_frame(frame, columns), self._log, known)
        if len(loaded) and loaded.times[0] < self._log.head.last_us:
            first = time_text(from_us(int(loaded.times[0])))
            raise InputError(
                f"the frame's first time, {first}, lies before the store's last event; load it into a new store, or "
                "load the older log first; known='skip' passes over rows that are in the store already and say the "
                "same, if they have an id=, or were loaded with known='skip' the first time, too"
            )
        with _bar(len(loaded), progress) as advance:
            load.store(loaded, writer, before, advance)
        for update in list(self._inline):
            update()
        return self.position

    def _writing(self) -> Writer:
        if self._writer is None:
            raise ReadOnlyError(
                "a rescued store in memory is read-only; rescue it into a folder to go on"
                if self._location.is_memory
                else "this store was opened with read_only=True; open it without, and it becomes the writer"
            )
        return self._writer

    def export(self, path: str | os.PathLike[str], *, lossy: bool = False, progress: bool | None = None) -> None:
        """Write all events to a file: `read().export(path)`, which says how, and what it raises: `InputError`."""
        self.read().export(path, lossy=lossy, progress=progress)

    def _unseen(self, conflict: ConcurrencyError) -> Read:
        expected = conflict.expected if isinstance(conflict.expected, int) else 0
        if conflict.unless is not None:
            return Read(self._log, Selection(expected, self._log.head.last, query=conflict.unless))
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
        query: Query | None = None,
        after: Moment | None = None,
        as_of: Moment | None = None,
        backwards: bool = False,
        limit: int | None = None,
    ) -> Read:
        """The events of the log, lazily: of one stream or category, of some types, with some tags, between moments.

        `types` are classes or names, one or several. A base class means the classes that derive from it, a generic
        class its instances, and "*" every type. `query` asks by types and tags. All that is given must hold. What is
        read is fixed now: events that are appended later don't appear.

        Raises `InputError` for a question that no event can answer: a name that neither a class nor an event has, an
        empty list of types, a category with a dash, a stream of another category.
        """
        self._log.refresh()
        return asked(self._log, stream, category, types, query, after, as_of, backwards=backwards, limit=limit)

    def _cut(self, as_of: Moment | None) -> int:
        return self._log.head.last if as_of is None else self._log.resolve(as_of)

    def version(self, stream: str) -> int:
        """A stream's version: its number of events, 0 where there is no stream.

        Raises `InputError` for what is no stream's name.
        """
        self._log.refresh()
        name = json_values.check_name(stream, "a stream")
        known = None if self._writer is None else self._writer.version_at(self._log.head.last, name)
        return self._log.version(name) if known is None else known

    @property
    def position(self) -> int:
        """The position of the last event; 0 in an empty store."""
        self._log.refresh()
        return self._log.head.last

    def streams(self, *, as_of: Moment | None = None) -> pd.DataFrame:
        """One row a stream, in order of appearance: stream, category, version, first_recorded_at, last_recorded_at.

        Raises `MomentError` for what is no moment of this log.
        """
        from eventsourcing_kit.reading import overview

        self._log.refresh()
        return overview.streams(self._log, self._cut(as_of))

    def types(self, *, as_of: Moment | None = None) -> pd.DataFrame:
        """One row an event type, in order of appearance: type, events, schema_versions (those seen), registered.

        Types stand under the names that they were stored with, also where they were renamed since. Raises
        `MomentError` for what is no moment of this log.
        """
        from eventsourcing_kit.reading import overview

        self._log.refresh()
        return overview.types(self._log, self._cut(as_of))

    def mirror(
        self,
        place: str | os.PathLike[str],
        *,
        buckets: int | None = None,
        key: str | ByTags | Unset | None = UNSET,
        keep: float | None = None,
        progress: bool | None = None,
        patience: float | None = None,
        **options: Any,
    ) -> Mirror:
        """Write the log as Parquet files to a folder or to `"s3://bucket/prefix"`, for other tools and other machines.

        Its keys are divided into `buckets` (64), each of which is folded by itself: keys are streams, or with `key` a
        field's values, or tags (`ek.TAGS`); an event without such counts as one with null there. Files that are needed
        no more stay for `keep` hours (24), so that who reads can end.

        A mirror that is there already is opened as it is; `mirror.update(store)` adds what is new. `options` are those
        of the bucket, and `patience` is for how many seconds it may be silent (30). `progress` is as in `load`.

        Raises `InputError` for a place that holds something else, for another number of buckets or another key than
        the mirror there has, `StorageError` for a mirror of another store, and where a storage fails.

        >>> import tempfile
        >>> import eventsourcing_kit as ek
        >>> store = ek.EventStore()
        >>> _ = store.append("order-7", ek.NewEvent(type="Shipped"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store.mirror(f"{folder}/mirror", buckets=1).replay(ek.Projection("n", fields={"n": ek.fold.count("*")}))
        {'order-7': {'n': 1}}
        """
        from eventsourcing_kit.mirroring.mirror import made

        self._log.refresh()
        return made(
            self, place, buckets=buckets, key=key, keep=keep, progress=progress, patience=patience, options=options
        )

    def check_schema(self, *, progress: bool | None = None) -> pd.DataFrame:
        """Have today's classes and upcasters read the whole log: one row a stored type and schema version.

        Columns: type and schema_version as stored; read_as and class_version, the type's name and version today; the
        number of events, and how many of them are ok as they are, upcast, left raw (dicts) or skipped by the store's
        policy, or would_fail; untagged, how many lack a tag that their class makes today; position and message of the
        first that would fail; dropped, the fields for which the class has no place, so that nobody reads them any more.
        Nothing is changed.

        `progress` shows a bar; by default for long logs at a terminal or in a notebook, and never in a test.
        """
        from eventsourcing_kit.checking import schema_frames

        self._log.refresh()
        with _bar(self._log.head.last, progress) as advance:
            return schema_frames.check(self._log, advance)

    def verify(self, *, expected: tuple[int, str] | None = None, progress: bool | None = None) -> Report:
        """Walk the whole log and check that nothing in it was changed or lost; the report names the first bad position.

        Checked are the chain of hashes, positions, versions, times, ids, every index, and payloads against the classes
        of their types. Damage is reported, not raised. A log that is whole may still have been written anew, or cut
        off at its end: note a report's `position` and `digest` elsewhere, and give both as `expected` later.
        `progress` shows a bar, as for `load`.

        >>> import eventsourcing_kit as ek
        >>> store = ek.EventStore()
        >>> _ = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
        >>> report = store.verify()
        >>> report.ok, report.first_bad, report.events
        (True, None, 1)
        >>> store.verify(expected=(report.position, report.digest)).ok
        True
        """
        from eventsourcing_kit.checking import verify

        self._log.life.check_open()
        with _bar(self._log.head.last, progress) as advance:
            return verify.verify(self._log, expected, advance)

    # -- time travel -------------------------------------------------------------------------------------------------

    def replay(
        self,
        projection: Projection | Decider,
        *,
        as_of: Moment | None = None,
        key: Any = EVERY,
        category: str | None = None,
    ) -> Any:
        """Fold a projection over the log as of a moment: `{key: state}`.

        With `key`, that key's state (the initial state where there is none); with a projection that has one state over
        the whole log, the bare state.

        Raises `InputError` for what is no projection or no key, `MomentError` for what is no moment of this log,
        `ProjectionError` where a handler fails, and `SchemaError` for an event that does not fit its class.
        """
        self._log.refresh()
        projection = projection_of(projection)
        selection = self._selection(projection, self._cut(as_of), key, category)
        if projection.declared is not None and projection.snapshots is None:
            states = self._rows(projection, selection, key).last_states()
        else:
            states = projection.all_shown(self._snapshots.fold(projection, selection, only=key).states)
        if key is EVERY and not projection.is_single:
            return states
        wanted = None if key is EVERY else key
        return states[wanted] if wanted in states else projection.first_state()

    def state(
        self, decider: Decider, stream: str | None = None, *, command: Any = _NO_COMMAND, as_of: Moment | None = None
    ) -> Any:
        """A stream's state by a decider's `evolve`, as of a moment; the initial one where there is no such stream.

        A decider with a boundary has a state for each `command`, of all events that its query finds.

        Raises `InputError` for what is no decider or no stream's name, a command where there is no boundary, and a
        boundary that gives no query; `MomentError` for what is no moment of this log; `ProjectionError` where `evolve`
        fails.
        """
        self._log.refresh()
        scope: str | Query
        if check_decider(decider).boundary is None:
            if command is not _NO_COMMAND:
                raise InputError(f"{decider!r} has no boundary: its states are of streams; give a stream, no command")
            scope = json_values.check_name(stream, "a stream")
        elif stream is not None or command is _NO_COMMAND:
            raise InputError(f"{decider!r} decides within a boundary: give command=…, and no stream")
        else:
            scope = decider.query_for(command) or ""
        return state_of(decider, self._snapshots, self._log, scope, self._cut(as_of))

    def history(
        self,
        projection: Projection | Decider,
        *,
        as_of: Moment | None = None,
        key: Any = EVERY,
        category: str | None = None,
    ) -> History:
        """Every state that a replay passes through, up to a moment: a `History`, to be asked and drawn.

        Raises what `replay` raises: `InputError`, `MomentError`, `ProjectionError` and `SchemaError`.
        """
        from eventsourcing_kit.folding.history import History

        self._log.refresh()
        projection = projection_of(projection)
        cut = self._cut(as_of)
        return History(
            projection, self._log, cut, self._rows(projection, self._selection(projection, cut, key, category), key)
        )

    def _rows(self, projection: Projection, selection: Selection, only: Any) -> Rows:
        """Every state that a fold passes through: over columns where they tell exactly, else event by event."""
        from eventsourcing_kit.folding.rows import Rows
        from eventsourcing_kit.folding.running import Inexact

        if projection.declared is not None:
            with contextlib.suppress(Inexact):
                return self._columns.rows(projection, selection, only)
        steps = Steps()
        fold(projection, self._log, selection, only=only, steps=steps)
        return Rows.of(steps)

    def take_snapshots(self, projection: Projection | Decider) -> int:
        """Fold the whole log and save states as the projection's or decider's policy says; return how many were saved.

        Where streams are the keys, the policy counts each stream's events and saves its state; else it counts all
        events and saves the states of all keys. These are saved at the end, too. Commands and replays that had to fold
        many events leave snapshots behind by themselves, so this is for logs that are there already. States that would
        not read back equal from JSON are not saved, and `snapshots()` says so.

        Raises `InputError` for what is no projection or decider or has no policy, `ReadOnlyError` through a store that
        only reads.
        """
        self._writing()
        self._log.refresh()
        return self._snapshots.take(projection_of(projection))

    def snapshots(self, *projections: Projection | Decider) -> pd.DataFrame:
        """One row a snapshot: name, key (missing: all keys), position, bytes, current, remark.

        `current` says whether replays would use it: it belongs to today's code and event classes. It is missing for
        projections that this handle has not met yet; give them, and they are. A projection whose states cannot be kept
        has a row that says why.

        Raises `InputError` for what is no projection or decider.
        """
        from eventsourcing_kit.folding import snapshot_frames

        self._log.refresh()
        return snapshot_frames.snapshots(self._log, self._snapshots, [projection_of(one) for one in projections])

    def drop_snapshots(self, *projections: Projection | Decider | str) -> int:
        """Remove snapshots that no replay uses any more, those of older code and event classes; return how many.

        Of the projections and deciders given, by default of all that this handle has met: those that `snapshots()`
        calls not current. What has the same name is taken for the same thing, whose newest code counts; so give
        deciders names. A name as text stands for code that is no more: all its snapshots go. What is wanted after all,
        `take_snapshots` takes anew.

        Raises `InputError` for what is no projection, decider or text, `ReadOnlyError` through a store that only reads.
        """
        self._writing()
        self._log.refresh()
        abandoned = [one for one in projections if isinstance(one, str)]
        given = [projection_of(one) for one in projections if not isinstance(one, str)]
        for one in given:
            self._snapshots.code(one)
        return self._snapshots.drop([one.name for one in given] if projections else self._snapshots.met, abandoned)

    def folded(self, projection: Projection | Decider, *, key: Any = EVERY) -> pd.DataFrame:
        """What snapshots save: how many events a replay as of each of up to 200 positions folds, with and without.

        Columns: position, without (events folded from the beginning), with_snapshots, snapshot (the position from which
        the replay goes on; 0 is the beginning). With `key`, of a replay of that key.

        Raises `InputError` for what is no projection or no key, `ProjectionError` where a handler fails.
        """
        from eventsourcing_kit.folding import snapshot_frames

        self._log.refresh()
        fold = projection_of(projection)
        selection = self._selection(fold, self._log.head.last, key, None)
        return snapshot_frames.folded(self._log, self._snapshots, fold, selection)

    def _selection(self, projection: Projection, upto: int, key: Any, category: str | None) -> Selection:
        """The events that can matter; one stream's where streams are the keys and one key is asked for."""
        check_key(projection, key)
        selection = Selection(
            after=0,
            upto=upto,
            stream=key if projection.is_by_stream and _can_name_a_stream(key) else None,
            category=None if category is None else check_category(category),
            types=projection.types,
        )
        if projection.is_by_tags and projection.snapshots is None and isinstance(key, str):
            with contextlib.suppress(InputError):  # what can be no tag is no key, either
                selection = replace(selection, query=Query(tags=[key]))
        selection.check()
        return selection

    # -- following ---------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        handler: Callable[[RecordedEvent], object],
        *,
        after: Moment | None = None,
        types: str | type[Event] | Sequence[str | type[Event]] | None = None,
        query: Query | None = None,
        category: str | None = None,
        stream: str | None = None,
        name: str | None = None,
        on_error: OnError | str = STOP,
    ) -> Subscription:
        """Call `handler` with each RecordedEvent after a moment, those to come included, in a thread of its own.

        In the log's order, one at a time, none left out and none twice. Without `after` it begins with the first
        event, with `after=store.position` it takes only new ones. It ends when it is unsubscribed or the store is
        closed, at latest after the event that it is at; `store.wait_until()` first, where nothing may be left.

        A subscription with a `name` keeps its checkpoint in the store, and whoever subscribes by that name again goes
        on behind it; `after` counts only the first time, so to begin anew take a new name. Delivery is then *at least
        once*: the checkpoint is stored after the handler ran, at most a second later and at the orderly end. So after
        an orderly end each event has come exactly once, and after a crash those of about the last second come again.
        A subscription of a name that is there already replaces it, as a cell that is run again means it. Without a name
        nothing is kept, and an older one goes on beside it.

        A handler that fails harms neither an append nor another subscription. `on_error` says what then:
        `ek.STOP` (the default) ends there, and the failed event comes first when it is subscribed again;
        `ek.Park(retries=3)` tries again, then sets the event aside and goes on; `ek.SKIP` sets it aside at once. Later
        events of the same stream don't wait for one that is set aside. `store.parked()` shows those and
        `retry_parked()` tries them again, `drop_parked()` gives them up. An event that doesn't fit its class counts as
        one on which the handler fails.

        The handler may append to this store; one that closes it has handled its event by that. A store that was
        superseded by another writer ends its subscriptions; one with `read_only=True` looks for new events twenty times
        a second, and takes subscriptions without a name.

        Raises `InputError` for a handler that cannot be called and a filter that can match nothing, `MomentError` for
        what is no moment of this log, `ReadOnlyError` for a name where the store only reads.
        """
        self._log.refresh()
        chosen = selected(self._log, stream, category, types, query, after)
        known_types.hint(self._log, chosen.all_types, "a subscription", look=True)
        return self._following.subscribe(handler, chosen, name=name, on_error=on_error, owner=self)

    def subscriptions(self) -> list[Subscription]:
        """The subscriptions of this store object that run or have failed."""
        return self._following.subscriptions()

    def follow(
        self,
        stream: str | None = None,
        *,
        after: Moment | None = None,
        types: str | type[Event] | Sequence[str | type[Event]] | None = None,
        query: Query | None = None,
        category: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[RecordedEvent]:
        """Iterate the events after a moment (by default from the first on), and wait for those to come.

        It ends when the store is closed, or when no event has come for `timeout` seconds; None waits for ever, and
        Ctrl-C breaks it off. With `read_only=True` it follows a writer in another process.

        Raises `InputError` for a filter that can match nothing, `MomentError` for what is no moment of this log,
        `StoreClosedError` where the store is closed.

        >>> import eventsourcing_kit as ek
        >>> store = ek.EventStore()
        >>> _ = store.append("order-7", ek.NewEvent(type="Shipped"))
        >>> [event.type for event in store.follow(timeout=0)]
        ['Shipped']
        """
        self._log.refresh()
        chosen = selected(self._log, stream, category, types, query, after)
        known_types.hint(self._log, chosen.all_types, "an iterator that follows the log", look=True)
        return follow(self._log, chosen, check_timeout(timeout), owner=self)

    def wait_until(self, position: int | RecordedEvent | Receipt | None = None, *, timeout: float | None = 10) -> None:
        """Return when this store knows a position and all its subscriptions are done with it.

        By default the position is the last one; an event or a receipt stands for its own. Raises `LaggardError`, which
        names who is behind and by how much, after `timeout` seconds (None waits for ever), and at once where a
        subscription that is behind has failed; its exception is then the error's cause. Called by a handler, it does
        not wait for that handler's own subscription.
        """
        self._log.refresh()
        self._following.wait_until(position, timeout)

    def parked(self, name: str | None = None) -> pd.DataFrame:
        """The events on which the handlers of named subscriptions failed and that were left behind, one row each.

        Columns: subscription, position, stream, type, error, attempts, policy ("park" or "skip"), parked_at.
        """
        self._log.refresh()
        return self._following.parked(name)

    # -- this handle -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the store; safe to call twice. Raises `StorageError` where an append waits for a storage in vain."""
        if self._log.life.is_inherited:
            return  # the parent's to close
        if self._writer is not None and self._writer.is_here:  # called by a finaliser, which may run in any thread
            threading.Thread(target=self.close, name="eventsourcing-kit-close", daemon=True).start()
            return
        self._following.stop("the store was closed")
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
        notes = [] if self._options.fsync or self._location.folder is None else ["fsync=False"]
        notes += [] if self._log.base is None else [f"branch of {_place(self._log.base)} at {self._log.fork}"]
        notes += ["read_only", f"lag {self._log.lag:g} s"] if self._options.read_only else []
        notes += ["closed"] if self._log.life.is_closed else [f"position {self._log.head.last}"]
        return f"<event store {self._location.name}: {', '.join(notes)}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def _tell_what_was_taken(error: BaseException, older: EventStore) -> None:
    """Have the error of an opening that failed, and the store that was open before, say that it was taken over."""
    why = str(error) or type(error).__name__
    older._log.life.supersede(
        "this store writes no more, because it was being opened again, and that failed after it had been taken over "
        f"({why}); reading still works, and EventStore(…) makes this process the writer again"
    )
    taken = "the store object that was open here before has been taken over already, and writes no more"
    if isinstance(error, EventSourcingError):
        error.args = (f"{error}; {taken}", *error.args[1:])
    else:
        error.add_note(taken)


def from_frame(frame: pd.DataFrame, *, seed: int | None = None, **columns: Any) -> EventStore:
    """A new store in memory with a DataFrame's rows as events: `EventStore().load(…)` in one line, same keywords.

    Raises `InputError` for a frame that cannot be loaded as asked.

    >>> import eventsourcing_kit as ek
    >>> import pandas as pd
    >>> frame = pd.DataFrame([("case-1", "opened", "2025-03-04T08:00:00Z")], columns=["case", "activity", "time"])
    >>> cases = ek.from_frame(frame, stream="case", type="activity", recorded_at="time")
    >>> [event.type for event in cases.read()]
    ['opened']
    """
    store = EventStore(seed=seed)
    store.load(frame, **columns)
    return store


def from_file(path: str | os.PathLike[str], *, seed: int | None = None, **columns: Any) -> EventStore:
    """A new store in memory with a file's events: `EventStore().load(path, …)` in one line, same keywords.

    What kind of file it is, its content says: CSV, TSV, Parquet, NDJSON, CloudEvents, change rows, spans, XES, OCEL,
    also compressed. Columns need names (`stream=`, `type=`, `recorded_at=`) where the format does not define them.

    Raises `InputError` for a file of no known format, of another one than its ending says, or that is cut off, and for
    events that cannot be loaded as asked.

    >>> import tempfile
    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store.export(f"{folder}/log.csv")
    ...     again = ek.from_file(f"{folder}/log.csv")
    >>> [event.type for event in again.read()]
    ['Shipped']
    """
    store = EventStore(seed=seed)
    store.load(path, **columns)
    return store


def rescue(path: str | os.PathLike[str], into: str | os.PathLike[str] | None = None) -> EventStore:
    """Every event before the damage, out of a folder that cannot be opened any more, with its position, time and id.

    Also out of a folder that was copied file by file while its store was written to: all that was acknowledged before.

    Returns a store in memory that is read-only; with `into`, a new or empty folder, a store there to go on with. Its
    `position` is the last one before the damage. The damaged folder is left as it is. Notes beside the log, such as
    checkpoints of subscriptions and snapshots, are not taken along: they are made again. Raises `StorageError` where
    not even the first commit can be read. Raises `InputError` for what is no folder's path.

    >>> import tempfile
    >>> import eventsourcing_kit as ek
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ek.EventStore(folder) as store:
    ...         _ = store.append("order-7", ek.NewEvent(type="Shipped"))
    ...     saved = ek.rescue(folder)
    >>> [event.type for event in saved.read()]
    ['Shipped']
    """
    from eventsourcing_kit.log import copying, salvage

    folder, target = location.parse(path, {}).folder, location.parse(into, {})
    if folder is None:
        raise InputError("a store in memory or in a bucket needs no rescue; give the damaged store's folder")
    rows = salvage.saved(folder)
    _, store_id = next(rows)  # where nothing can be saved, nothing is made
    if target.folder is not None:
        copying.check_target(target, folder)
        copying.fill(target, store_id, rows)
        return EventStore(target.folder)
    store = EventStore()
    copying.write(chain([(keys.META, store_id)], rows), store._log.table, flush=False)
    store._only_read()
    return store


def copy(store: EventStore, into: str | os.PathLike[str], **options: Any) -> Report:
    """Copy a store as of now into a new or empty folder, or to `"s3://bucket/prefix"`, also while it is written to.

    The copy has the same store id, events, positions, ids and times, and the checkpoints, parked events and snapshots;
    subscriptions by name go on in it where they were. It is opened and verified before this returns the `Report`, whose
    `position` and `digest` say how far it goes. `options` are those of the bucket (see `EventStore`).

    `store` may be open for writing or with `read_only=True`, in memory, a folder or a bucket. A place that holds
    something is refused. Where the copy fails, what is there of it is removed; where its process dies, what is left
    cannot be opened, and says so.

    The store passes through in parts; the memory that takes, up to some hundred megabytes, is mostly SlateDB's. No
    append waits for the copy. Two writers on a store and its copy make two stores of one id: write to the copy only
    when the first is gone.

    Raises `InputError` for what is no store and for a place that is not new or empty, `StoreClosedError` for a store
    that is closed, `StorageError` where a storage fails or is silent, `DamagedError` where the copy is not sound.

    >>> import tempfile
    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ek.copy(store, into=f"{folder}/copy").position
    1
    """
    from eventsourcing_kit.log import copying

    if not isinstance(store, EventStore):
        raise InputError(
            f"{type(store).__name__} is no store; give one that is open, as ek.EventStore(…, read_only=True)"
        )
    log, target = store._log, location.parse(into, options)
    if target.is_memory:
        raise InputError("a copy needs a place of its own; give into='a new folder' or into='s3://bucket/prefix'")
    log.life.check_open()
    if log.store_id is None:
        raise InputError("the store was never written to, so there is nothing to copy")
    copying.check_target(target, log.folder, log.patience)
    try:
        copying.fill(target, log.table.get(keys.META) or b"", copying.rows(log), log.patience)
        with EventStore(into, patience=log.patience, **options) as copied:
            report = copied.verify()
            if not report.ok:
                raise DamagedError(
                    f"the copy is not sound, and is removed: {report.findings[0].wrong}. store.verify() says "
                    "what of the store itself is damaged",
                    str(target),
                    [],
                )
    except BaseException:
        copying.remove(target)
        raise
    return report


def _log_in_memory(store_id: UUID) -> Log | None:
    """The log of a store in memory that is open in this process."""
    with _listing:
        stores = list(_open)
    found = (one._log for one in stores if one._location.is_memory and one._log.store_id == store_id)
    return next((log for log in found if not log.life.is_closed), None)


def _place(past: Past) -> str:
    return "a store in memory" if past.place is None else repr(Path(past.place).name)


def _can_name_a_stream(key: object) -> bool:
    try:
        json_values.check_name(key, "a stream")
    except InputError:
        return False
    return True


def _bar(total: int, progress: bool | None) -> Any:
    from eventsourcing_kit.reading.progress import bar

    return bar(total, progress, worth_it=total >= _ROWS_WORTH_A_BAR)


@atexit.register
def _close_all() -> None:
    """An exit with a call in flight would abort the interpreter."""
    with _listing:
        stores = list(_open)
    for store in stores:
        with contextlib.suppress(EventSourcingError):
            store.close()

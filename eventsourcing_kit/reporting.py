"""The reporting database: projections as SQL tables in DuckDB, kept by the log and apart from it."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from eventsourcing_kit.errors import EventSourcingError, InputError, LaggardError, StoreClosedError
from eventsourcing_kit.following.waiting import check_position, check_timeout
from eventsourcing_kit.reading import frames
from eventsourcing_kit.reading.progress import bar
from eventsourcing_kit.reading.table_progress import Progress
from eventsourcing_kit.store import EventStore
from eventsourcing_kit.tables import catalogue
from eventsourcing_kit.tables.catalogue import Kept
from eventsourcing_kit.tables.duck import Duck, checked_path
from eventsourcing_kit.tables.events_table import EVENTS, EventsTable
from eventsourcing_kit.tables.follower import Follower
from eventsourcing_kit.tables.state_table import StateTable
from eventsourcing_kit.tables.table import Table, named
from eventsourcing_kit.writing.append import Receipt
from eventsourcing_kit.writing.decider import projection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.writing.decider import Decider

_NAME_CHARACTERS = 120
_EVENTS_WORTH_A_BAR = 50_000
_LOOK_SECONDS = 0.5

_files: weakref.WeakValueDictionary[str, ReportingDatabase] = weakref.WeakValueDictionary()
_open: weakref.WeakSet[ReportingDatabase] = weakref.WeakSet()


class ReportingDatabase:
    """Projections as tables of a DuckDB database, in a file (`"data/bank.duckdb"`) or in memory (no path).

    `add` makes a projection a table; `update`, `follow` or `rebuild` bring it to the log's end; `sql` asks. The table
    `events` is the raw log, unless `events=False`. A table's rows and its checkpoint are written in one transaction,
    and always up to a commit's end: killed at any moment it goes on with each event counted once, and no reader sees
    half an append. The file belongs to one store, and to one process at a time. A context manager; `close()` is safe
    to call twice.

    Needs DuckDB, which the extra `reporting` brings: `pip install duckdb pytz`.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    >>> shipped = ek.Projection("shipped", initial=lambda: 0)
    >>> _ = shipped.on("Shipped")(lambda state, event: state + 1)
    >>> db = ek.ReportingDatabase()
    >>> db.add(shipped)
    >>> _ = db.update(store)
    >>> db.sql("SELECT key, state FROM shipped").values.tolist()
    [['order-7', 1]]
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, events: bool = True) -> None:
        self._path = checked_path(path)
        older = _files.get(self._path or "")
        if older is not None:
            older.close()  # a cell that is run again means this one
        self._lock = threading.RLock()
        self._moved = threading.Condition()
        self._is_writing = self._is_closed = False
        self._follower: Follower | None = None
        self._known: weakref.WeakSet[Log] = weakref.WeakSet()
        self._progress = Progress()
        self._duck = Duck(self._path)
        try:
            catalogue.prepare(self._duck)
        except BaseException:
            self._duck.close()
            raise
        self._store_id = catalogue.store_id(self._duck)
        self._tables: dict[str, Table] = {}
        if events:
            self._begin(EVENTS, lambda kept: EventsTable(kept or Kept(EVENTS, 1)))
        _open.add(self)
        if self._path is not None:
            _files[self._path] = self

    # -- tables ------------------------------------------------------------------------------------------------------

    def add(self, projection: Projection | Decider, *, table: str | None = None, temporal: bool = False) -> None:
        """Make a projection, or a decider's `evolve`, a table, named as it is or `table`: a row a key.

        A decider without a name of its own is named as its `decide` function, and a name has one table.

        The columns are `key` and the state's fields, typed by its model's annotations or by the values that come; a
        state that is no model, dataclass or dict stands in the column `state`, and so do, as JSON, the fields of a dict
        beyond the 400 that have columns. What is nested is JSON. A table that is
        there already goes on where it stood: after the database was opened, its states are folded once more from the
        log. A row appears with a key's first event and goes with `ek.GONE`.

        A `temporal` table keeps every row there ever was: `valid_from` and `valid_to` say in which time, `position` and
        `position_to` at which positions it held (from inclusive, to exclusive; NULL = still). As of a time t that is
        `WHERE valid_from <= t AND (valid_to IS NULL OR valid_to > t)`, which equals `store.replay(as_of=t)`.

        Where the projection has changed since the table was built, or how its events are read (a class, an upcaster,
        what the store skips, the version of a library), the table stays as it is, is called stale in `lag`, and waits
        for `rebuild`. Raises `InputError` for a name that is no identifier or is taken. Raises `StoreClosedError` where
        the database is closed.
        """
        projection = projection_of(projection)
        name = _checked_name(table, projection)
        with self._lock:
            self._check_open()
            self._begin(name, lambda kept: StateTable(name, projection, temporal=temporal, kept=kept))

    def _begin(self, name: str, table_of: Callable[[Kept | None], Table]) -> None:
        """Go on with a table that the database holds, or make it; `table_of` gives the one and the other."""
        kept = catalogue.tables(self._duck)
        same = next((one for one in kept if one.casefold() == name.casefold()), None)
        if same is not None and same != name:
            raise InputError(f"there is a table {same!r}, which SQL takes for {name!r}; give another name: table=…")
        known = self._tables.get(name)
        if known is not None and known.is_rebuilding:
            raise InputError(f"the table {name!r} is being rebuilt; wait for it, or give another name: table=…")
        if same is not None and kept[name].position > 0:
            self._tables[name] = table_of(kept[name])
            return
        older = None if same is None else table_of(kept[name])
        table = table_of(None) if older is None else older.new(older.kept.release + 1)
        with self._duck.transaction() as duck:
            if older is None:
                catalogue.check_free(duck, name)
            table.create(duck)
            self._put_in_place(duck, older, table)
        self._progress.add(name, frames.NO_TIME, 0, 0)
        self._tables[name] = table

    def _put_in_place(self, duck: Duck, older: Table | None, table: Table) -> None:
        """Within a transaction: from now on people see this table under its name, and the older one is gone."""
        catalogue.keep(duck, table.kept)
        table.show(duck)
        if older is not None:
            older.drop(duck)

    # -- going on ----------------------------------------------------------------------------------------------------

    def update(self, store: EventStore) -> pd.DataFrame:
        """Bring all tables to the log's end, now; returns `lag(store)`.

        Tables that had failed are tried again. Where one fails, its batch is rolled back and the others go on; then its
        error is raised, a `ProjectionError` that names table, event, handler and the state before. Stale tables stay as
        they are. Raises `InputError` for the events of another store. Raises `StoreClosedError` where the store or the
        database is closed.
        """
        log = self._log_of(store)
        for table in self._all():
            table.error = None
        self._catch_up(store, log)
        failed = [table.error for table in self._all() if table.error is not None]
        for other in failed[1:]:
            failed[0].add_note(f"and {other}")
        if failed:
            raise failed[0]
        return self.lag(store)

    def follow(self, store: EventStore, *, inline: bool = False) -> Follower:
        """Keep all tables at the store's heels until `.stop()`, or until the store or this database is closed.

        In the background: a thread looks for new events up to fifty times a second, also in a store that another
        process writes (`read_only=True`). With `inline=True`, before each append through this store object returns:
        then readers see what was written, and every append waits for the tables. A table that fails stays where it
        is, harms neither appends nor other tables, is called failed in `lag`, and is tried again by `update`. Where the
        storage does not answer, the thread keeps the error, and looks again until it does.

        The thread shares its process with the appends, and keeps up with some 50,000 events/s of them in batches of a
        hundred, on two cores; `make bench` tells the rate of a machine, `lag` and `progress` that of a log.

        Raises `InputError` for what is no store or another one's events, `StoreClosedError` where one of the two is
        closed.
        """
        log = self._log_of(store)
        self._stop()
        for table in self._all():
            table.error = None
        self._follower = Follower(store, lambda: self._catch_up(store, log), inline=inline)
        return self._follower

    def _catch_up(self, store: EventStore, log: Log) -> None:
        """Batch by batch, the tables in turn, so that they move on side by side."""
        moved = True
        while moved:
            log.refresh()
            moved = False
            for name in list(self._tables):
                moved |= self._step(name, log)

    def _step(self, name: str, log: Log) -> bool:
        with self._lock:
            if self._is_writing:
                return False  # a handler that appends to the store that it is called for
            self._check_open()
            self._check_store(log)
            self._is_writing = True
            table, head = self._tables[name], log.head  # under the lock: a rebuild puts another in its place
            try:
                if self._store_id is None and head.last:
                    self._take_on(log)
                moved = table.step(self._duck, log)
            finally:
                self._is_writing = False
            if moved:
                self._progress.add(
                    table.name, max(head.last_us, log.time_of(table.position)), table.position, head.last
                )
        if moved or table.error is not None:
            self._announce()
        return moved

    def rebuild(self, table: str, store: EventStore, *, progress: bool | None = None) -> None:
        """Build a table anew from the first event, beside the present one, which answers until both change places.

        What is appended meanwhile is included. Where it fails, the present one stays. `progress` shows a bar; by
        default for long logs at a terminal or in a notebook, and never in a test.

        Raises `InputError` for a table that is not there, is being rebuilt, or is another store's, `StoreClosedError`
        where the store or the database is closed, and `ProjectionError` where a handler fails.
        """
        log = self._log_of(store)
        found = self._tables.get(table) if isinstance(table, str) else None
        if found is None:
            raise InputError(f"there is no table {table!r} to rebuild; there are: {', '.join(self._tables) or 'none'}")
        with self._lock:
            if found.is_rebuilding:
                raise InputError(f"the table {table!r} is being rebuilt already; wait for it")
            found.is_rebuilding = True
        try:
            self._rebuild(found, log, progress)
        finally:
            found.is_rebuilding = False
            self._announce()

    def _rebuild(self, table: Table, log: Log, progress: bool | None) -> None:
        built = table.new(table.kept.release + 1)
        head = log.head.last
        try:
            with self._lock, self._duck.transaction() as duck:
                self._check_open()
                built.create(duck)
            with bar(head, progress, worth_it=head >= _EVENTS_WORTH_A_BAR) as moves:
                while built.position < head:
                    moves(self._build(built, log))
            with self._lock:  # the present one now waits, so that its successor is never behind it
                goal = max(table.position, log.head.last)
                while built.position < goal:
                    self._build(built, log)
                with self._duck.transaction() as duck:
                    self._put_in_place(duck, table, built)
                self._tables[table.name] = built
                self._progress.add(table.name, log.head.last_us, built.position, log.head.last)
        except StoreClosedError:
            raise
        except BaseException as error:
            self._give_up(built)
            if not isinstance(error, Exception):
                raise
            raise named(table.name, error) from error

    def _build(self, built: Table, log: Log) -> int:
        """One batch of a rebuild, which others see nothing of; the number of events."""
        with self._lock:
            self._check_open()
            log.refresh()
            self._check_store(log)
            if self._store_id is None:
                self._take_on(log)
            before = built.position
            built.advance(self._duck, log, visible=False)
        return built.position - before

    def _give_up(self, built: Table) -> None:
        with self._lock, contextlib.suppress(EventSourcingError):
            self._check_open()
            with self._duck.transaction() as duck:
                built.drop(duck)

    # -- asking ------------------------------------------------------------------------------------------------------

    def sql(self, query: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows of one SQL query as a DataFrame; from any thread, also while tables are written.

        `params` stand for `?` in order, or for `$name` by name. One query sees one moment of all tables. Columns have
        the kit's types: nullable numbers, text and booleans, times in UTC, Decimals, JSON as objects. Raises
        `InputError` for what is no SQL, and for statements that write: tables are written by projections alone. Raises
        `StoreClosedError` where the database is closed.

            db.sql("SELECT owner, balance FROM accounts WHERE balance > ?", [100])
        """
        self._check_open()
        if not isinstance(query, str):
            raise InputError(f"{query!r} is no SQL; give text, for example 'SELECT * FROM events'")
        if any("\ud800" <= one <= "\udfff" for one in query):
            raise InputError(f"{query!r} has a lone surrogate, which no text can hold; remove it")
        return self._duck.frame(query, params)

    def lag(self, store: EventStore) -> pd.DataFrame:
        """How far behind each table is, a row each: table, position, behind, state, error.

        `behind` counts events. `state` is current; behind; stale (the projection has changed since it was built, or
        how its events are read: call `rebuild`); failed (`error` says why: call `update` to try again); or not added,
        for a table that the file holds and that no projection goes on with.

        Raises `InputError` for what is no store or another one, `StoreClosedError` where it or the database is closed.
        """
        log = self._log_of(store)
        head = log.head.last
        found = {table.name: (table.position, *table.state(log)) for table in self._all()}
        with self._lock:
            for name, kept in catalogue.tables(self._duck).items():
                found.setdefault(name, (kept.position, "not added", "db.add(projection) goes on with it"))
        rows = [(name, at, max(head - at, 0), state, trouble) for name, (at, state, trouble) in found.items()]
        frame = pd.DataFrame(rows, columns=["table", "position", "behind", "state", "error"], dtype=object)
        texts = dict.fromkeys(("table", "state", "error"), frames.TEXT)
        return frame.astype({"position": "Int64", "behind": "Int64"}).astype(texts)

    def progress(self, store: EventStore | None = None) -> pd.DataFrame:
        """How far tables were when, for `ek.charts.lag`: table, time, written, projected.

        With `store` a row also for each of its commits, so that what was written and not projected yet shows. Times
        are those of the log: a table reached a position when the event recorded at that time was the log's last. What
        was done since this database was opened is known.

        Raises `InputError` for what is no store or another one, `StoreClosedError` where it or the database is closed.
        """
        return self._progress.frame(None if store is None else self._log_of(store))

    def wait_until(
        self, store: EventStore, position: Moment | Receipt | None = None, *, timeout: float | None = 10
    ) -> None:
        """Return when all tables are at a position, by default the log's last; something else must move them.

        A receipt stands for its last event, and any moment for its position; a position may lie ahead of the log.
        Raises `LaggardError`, which names who is behind and by how much, after `timeout` seconds (None waits for ever),
        and at once where a table that is behind has failed or is stale. Raises `InputError` for a timeout that is none
        or another store, `MomentError` for what is no moment, `StoreClosedError` where the store or the database is
        closed.
        """
        log, timeout = self._log_of(store), check_timeout(timeout)
        wanted = log.head.last if position is None else _awaited(log, position)
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._moved:
            while laggards := [table for table in self._all() if table.position < wanted]:
                self._check_open()
                left = _LOOK_SECONDS if deadline is None else min(deadline - time.monotonic(), _LOOK_SECONDS)
                in_vain = [one for one in laggards if one.state(log)[1] is not None and not one.is_rebuilding]
                if left <= 0 or in_vain:
                    raise self._waited_in_vain(log, wanted, in_vain or laggards)
                self._moved.wait(left)

    def _waited_in_vain(self, log: Log, wanted: int, tables: list[Table]) -> LaggardError:
        told = []
        for one in tables:
            trouble = one.state(log)[1]
            behind = f"{one.name!r} is at {one.position}, {wanted - one.position} behind"
            told.append(behind if trouble is None else f"{behind} ({trouble})")
        beyond = f"; the log itself is known up to {log.head.last}" if wanted > log.head.last else ""
        cure = "" if self._why_idle is None else f"; {self._why_idle}"
        found = [(one.name, one.position, wanted - one.position, one.error) for one in tables]
        error = LaggardError(f"position {wanted} is not reached: {', '.join(told)}{beyond}{cure}", wanted, found)
        error.__cause__ = next((one.error for one in tables if one.error is not None), None)
        return error

    # -- the store ---------------------------------------------------------------------------------------------------

    def _log_of(self, store: EventStore) -> Log:
        """The store's log, once it is known to be the one that the tables are of."""
        if not isinstance(store, EventStore):
            raise InputError(f"{store!r} is no event store; make one with ek.EventStore(…)")
        log = store._log
        with self._lock:
            self._check_open()
            log.refresh()
            self._check_store(log)
            if log not in self._known:
                self._check_own(log)
                self._known.add(log)
        return log

    def _check_own(self, log: Log) -> None:
        for name, one in catalogue.tables(self._duck).items():
            if one.position > log.head.last:
                raise InputError(
                    f"the table {name!r} is at position {one.position}, and the log ends at {log.head.last}: it is an "
                    "older copy of the store; open the newer one, or begin with a new file for this one"
                )
            if one.position and catalogue.mark(log.commit_of(one.position), one.position) != one.mark:
                raise InputError(
                    f"the table {name!r} is of another history: the store has the same id, but other events up to "
                    f"position {one.position}; begin with a new file"
                )
            if one.position:
                self._progress.add(name, log.time_of(one.position), one.position, one.position)

    def _take_on(self, log: Log) -> None:
        """The store whose first events come is the one that this database reports on, for good."""
        catalogue.set_store_id(self._duck, str(log.store_id))
        self._store_id = str(log.store_id)

    def _check_store(self, log: Log) -> None:
        if self._store_id not in (None, str(log.store_id)):
            raise InputError(
                f"this reporting database reports on the store {self._store_id}, and this is the store {log.store_id}; "
                "give each store a file of its own"
            )

    # -- this handle -------------------------------------------------------------------------------------------------

    def _all(self) -> list[Table]:
        return list(self._tables.values())

    @property
    def _why_idle(self) -> str | None:
        """Why nothing moves the tables; None where something does."""
        follower = self._follower
        if follower is not None and follower.error is not None:
            return f"following failed ({type(follower.error).__name__}: {follower.error})"
        if follower is None or not follower.runs:
            return "nothing moves them: call db.update(store), or db.follow(store) first"
        return None

    def _announce(self) -> None:
        with self._moved:
            self._moved.notify_all()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosedError("the reporting database is closed; open it again with ReportingDatabase(…)")

    def _stop(self) -> None:
        if self._follower is not None:
            self._follower.stop()

    def close(self) -> None:
        """Stop following, and close the file; safe to call twice."""
        self._stop()
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._duck.close()
        self._announce()

    def __enter__(self) -> ReportingDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "in memory" if self._path is None else repr(os.path.basename(self._path))
        tables = ", ".join(f"{table.name} at {table.position}" for table in self._all()) or "no tables"
        return f"<reporting database {where}: {'closed' if self._is_closed else tables}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def _awaited(log: Log, position: Moment | Receipt) -> int:
    """A position to wait for, which the log may reach later."""
    is_number = isinstance(position, int) and not isinstance(position, bool)
    return check_position(log, position) if is_number or hasattr(position, "store_id") else log.resolve(position)


def _checked_name(table: str | None, projection: Projection) -> str:
    name = projection.name if table is None else table
    if not isinstance(name, str) or not name.isidentifier() or len(name) > _NAME_CHARACTERS:
        raise InputError(
            f"{name!r} cannot name a table: letters, digits and _ make a name, and it does not begin with a digit; "
            "give one: db.add(projection, table='balances')"
        )
    if name.casefold() == EVENTS:
        raise InputError(f"the table {EVENTS!r} is the raw log; give another name: db.add(projection, table=…)")
    return name


@atexit.register
def _close_all() -> None:
    """An exit with a batch in flight would abort the interpreter."""
    for db in list(_open):
        with contextlib.suppress(Exception):
            db.close()

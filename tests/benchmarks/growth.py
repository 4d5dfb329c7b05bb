"""Print how the cost of each call grows with what a log holds: python -m tests.benchmarks.growth [words of a line]

A log grows along one axis (events, commits, streams, keys, types, fields, ids); what a call costs is measured at
doubling sizes, in seconds of the processor. The exponent says how: 1 is in proportion, 2 the square. The steps of the
same calls are counted at small sizes by `tests/test_costs.py`.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

import eventsourcing_kit as ek

Work = Callable[[], object]
GOAL = 1.15
SIZES = (500, 1000, 2000, 4000)


class Reading(ek.Event):
    """An event that a class knows."""

    value: int


class Unfit(ek.Event):
    """A class that the stored events of its type do not fit."""

    missing: int


# -- logs, each along one axis ----------------------------------------------------------------------------------------


def _commits(n: int) -> ek.EventStore:
    store = ek.EventStore()
    for i in range(n):
        store.append("a-1", Reading(value=i))
    return store


def _events(n: int) -> ek.EventStore:
    store = ek.EventStore()
    store.append("a-1", [Reading(value=i) for i in range(n)])
    return store


def _streams(n: int) -> ek.EventStore:
    store = ek.EventStore()
    store.append_many([ek.Append(f"a-{i}", Reading(value=i)) for i in range(n)])
    return store


def _keys(n: int) -> ek.EventStore:
    """Many streams of two events, and many commits over several of them."""
    store = ek.EventStore()
    for start in range(0, n, 8):
        store.append_many([ek.Append(f"a-{i % (n // 2)}", Reading(value=i)) for i in range(start, min(start + 8, n))])
    return store


def _types(n: int) -> ek.EventStore:
    store = ek.EventStore()
    store.append("a-1", [ek.NewEvent(type=f"T{i}", data={"value": i}) for i in range(n)])
    return store


def _fields(n: int) -> ek.EventStore:
    store = ek.EventStore()
    data = {f"f{i}": i for i in range(n)}
    store.append("a-1", [ek.NewEvent(type="Wide", data=data | {"value": i}) for i in range(10)])
    return store


def _ids(n: int) -> ek.EventStore:
    store = ek.EventStore()
    store.append("a-1", [ek.NewEvent(Reading(value=i), id=_id(i), metadata={"by": f"u{i}"}) for i in range(n)])
    return store


def _id(i: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, str(i))


LOGS = {
    "commits": _commits,
    "events": _events,
    "streams": _streams,
    "keys": _keys,
    "types": _types,
    "fields": _fields,
    "ids": _ids,
}


# -- what is asked of each log ----------------------------------------------------------------------------------------


def questions(store: ek.EventStore) -> Iterator[tuple[str, Work]]:
    """Each call that asks a log something, by name."""
    types = store.types()["type"].tolist()
    middle = store.position // 2
    last = store.streams()["stream"].iloc[-1]
    yield "read", lambda: list(store.read())
    yield "read backwards", lambda: list(store.read(backwards=True))
    yield "read a stream", lambda: list(store.read(last, after=middle))
    yield "read a stream backwards as of 1", lambda: list(store.read("a-1", as_of=1, backwards=True, limit=1))
    yield "read a category", lambda: list(store.read(category="a"))
    yield "read types", lambda: list(store.read(types=types))
    yield "df", lambda: store.read().df()
    yield "streams", lambda: store.streams()
    yield "types", lambda: store.types()
    yield "version", lambda: store.version(last)
    yield "check_schema", lambda: store.check_schema()
    yield "verify", lambda: store.verify()
    yield "subscribe", lambda: _subscribed(store)
    yield "follow", lambda: list(store.follow(timeout=0))
    yield from _folds(store, types, middle)
    yield from _tables(store, types)


def _folds(store: ek.EventStore, types: list[str], middle: int) -> Iterator[tuple[str, Work]]:
    count = counted(types)
    kept, single = counted(types, snapshots=100), counted(types, key=None, snapshots=100)
    keyed = counted(types, key=lambda event: str(event.position // 3), snapshots=50)
    held = held_whole(types)
    history, wide = store.history(count), store.history(held)
    key = next(iter(store.replay(held)))
    yield "replay", lambda: store.replay(count)
    yield "replay as of the middle", lambda: store.replay(count, as_of=middle)
    yield "history", lambda: store.history(count)
    yield "history.df", lambda: history.df()
    yield "history.df of fields", lambda: wide.df()
    yield "history.at", lambda: [history.at(position) for position in (0, middle, store.position)]
    yield "history.diff", lambda: wide.diff(0, store.position)
    yield "history.blame", lambda: wide.blame(key)
    yield "history.first", lambda: history.first(lambda state: state < 0)
    yield "take_snapshots", lambda: store.take_snapshots(kept)
    yield "take_snapshots of one state", lambda: store.take_snapshots(single)
    yield "take_snapshots of keys", lambda: store.take_snapshots(keyed)
    yield "replay from a snapshot", lambda: store.replay(keyed)
    yield "snapshots", lambda: store.snapshots(kept)
    yield "folded", lambda: store.folded(kept)


def _tables(store: ek.EventStore, types: list[str]) -> Iterator[tuple[str, Work]]:
    with contextlib.closing(ek.ReportingDatabase()) as db:
        db.add(held_whole(types), table="held", temporal=True)
        db.update(store)
        yield "ReportingDatabase.update", lambda: _reported(store, types)
        yield "ReportingDatabase.rebuild", lambda: db.rebuild("held", store)
        yield "ReportingDatabase.lag", lambda: db.lag(store)
        yield "ReportingDatabase.progress", lambda: db.progress(store)
        yield "ReportingDatabase.sql", lambda: db.sql("SELECT * FROM held")


def counted(types: list[str], **how: Any) -> ek.Projection:
    """How many events a key has."""
    made = ek.Projection("counted", initial=int, **how)
    made.on(*types)(lambda state, event: state + 1)
    return made


def held_whole(types: list[str]) -> ek.Projection:
    """The last event's data of each key, field by field."""
    made = ek.Projection("held", initial=dict)
    made.on(*types)(lambda state, event: event if isinstance(event, dict) else event.model_dump())
    return made


def _subscribed(store: ek.EventStore) -> None:
    with store.subscribe(lambda event: None) as subscription:
        subscription.wait_until(store.position, timeout=None)


def _reported(store: ek.EventStore, types: list[str]) -> None:
    with contextlib.closing(ek.ReportingDatabase()) as db:
        db.add(held_whole(types), table="held", temporal=True)
        db.update(store)


# -- what is done to a log, or beside one -----------------------------------------------------------------------------


def _account() -> ek.Decider:
    return ek.Decider(
        decide=lambda command, state: Reading(value=command), evolve=lambda state, event: state + 1, initial=int
    )


def _frame(n: int, **columns: Any) -> pd.DataFrame:
    at = pd.date_range("2025-01-01", periods=n, freq="s", tz="UTC")
    return pd.DataFrame({"case": [f"c-{i}" for i in range(n)], "activity": "Loaded", "at": at} | columns)


def _loaded(frame: pd.DataFrame, **roles: str) -> ek.EventStore:
    return ek.from_frame(frame, stream="case", type="activity", recorded_at="at", **roles)


def _gaps(n: int) -> pd.DataFrame:
    """Rows of 20 fields, of which each has others."""
    return _frame(n, **{f"f{j}": [i if (i * 7919 >> j) & 1 else None for i in range(n)] for j in range(20)})


def _parked(n: int) -> Work:
    store = ek.EventStore()
    store.append_many([ek.Append(f"a-{i}", ek.NewEvent(type="Unfit", data={"value": i})) for i in range(n)])

    def work() -> object:
        with store.subscribe(lambda event: None, on_error=ek.SKIP) as subscription:
            subscription.wait_until(n, timeout=None)
            return subscription.parked()

    return work


def _appends(n: int) -> list[ek.Append]:
    return [ek.Append(f"a-{i}", ek.NewEvent(Reading(value=i), id=_id(i))) for i in range(n)]


def _repeated(n: int) -> Work:
    store, appends = ek.EventStore(), _appends(n)
    store.append_many(appends)
    return lambda: [receipt.events for receipt in store.append_many(appends)]


def _handled(n: int) -> Work:
    store, account = ek.EventStore(), _account()
    return lambda: [store.handle(account, f"a-{i}", i) for i in range(n)]


def _one_by_one(ask: Callable[[ek.EventStore, str], object]) -> Callable[[int], Work]:
    def make(n: int) -> Work:
        store = _streams(n)
        return lambda: [ask(store, f"a-{i}") for i in range(n)]

    return make


def _growing_dict(n: int) -> Work:
    """A table whose state gets keys until it has as many as are columns of their own, and goes on."""
    store = ek.EventStore()
    store.append("a-1", [ek.NewEvent(type="Counted", data={"k": f"k{i % 100}"}) for i in range(n)])
    stock = ek.Projection("stock", initial=dict, key=None)
    stock.on("Counted")(lambda state, event: {**state, event["k"]: state.get(event["k"], 0) + 1})

    def work() -> None:
        with contextlib.closing(ek.ReportingDatabase()) as db:
            db.add(stock)
            db.update(store)

    return work


DONE: dict[str, Callable[[int], Work]] = {
    "append events": lambda n: lambda: _events(n),
    "append commits": lambda n: lambda: _commits(n),
    "append types": lambda n: lambda: _types(n),
    "append fields": lambda n: lambda: _fields(n),
    "append_many streams, and its receipts": lambda n: (
        lambda: [receipt.events for receipt in ek.EventStore().append_many(_appends(n))]
    ),
    "append_many repeated, and its receipts": _repeated,
    "handle streams": _handled,
    "load streams": lambda n: lambda: _loaded(_frame(n)),
    "load ids": lambda n: lambda: _loaded(_frame(n, id=[str(_id(i)) for i in range(n)]), id="id"),
    "load gaps": lambda n: lambda: _loaded(_gaps(n)),
    "subscribe to events that don't fit": _parked,
    "read each stream": _one_by_one(lambda store, stream: list(store.read(stream))),
    "version of each stream": _one_by_one(lambda store, stream: store.version(stream)),
    "state of each stream": _one_by_one(lambda store, stream: store.state(_account(), stream)),
    "ReportingDatabase.update of a growing dict": _growing_dict,
    "testing.given": lambda n: (
        lambda: ek.testing.given(_account(), *[Reading(value=i) for i in range(n)]).when(1).then(Reading(value=1))
    ),
    "charts.timeline": lambda n: _charted(_events(n)),
}


def _charted(store: ek.EventStore) -> Work:
    frame = store.read().df()
    return lambda: ek.charts.timeline(frame).to_dict()


# -- measured ---------------------------------------------------------------------------------------------------------


def along(axis: str, measure: Callable[[Work], float], sizes: Sequence[int]) -> dict[str, list[float]]:
    """What each question costs of logs of these sizes."""
    found: dict[str, list[float]] = {}
    for n in sizes:
        with LOGS[axis](n) as store:
            for name, work in questions(store):
                found.setdefault(name, []).append(measure(work))
    return found


def seconds(work: Work) -> float:
    """The least of three runs, of this process's processors: what else the machine does hardly counts."""
    taken = []
    for _ in range(3):
        since = time.process_time()
        work()
        taken.append(time.process_time() - since)
        if sum(taken) > 5:
            break
    return min(taken)


def show(name: str, taken: list[float]) -> None:
    """One line: the exponent over all sizes, and that of the last step."""
    exponent = math.log(taken[-1] / taken[0]) / math.log(SIZES[-1] / SIZES[0])
    last = math.log(taken[-1] / taken[-2]) / math.log(SIZES[-1] / SIZES[-2])
    told = " ".join(f"{1000 * one:8.1f}" for one in taken)
    mark = "" if exponent <= GOAL or taken[-1] < 0.02 else "  above the goal"
    print(f"{name:52} {exponent:5.2f} {last:5.2f}  ({told} ms){mark}", flush=True)


def main() -> None:
    wanted = " ".join(sys.argv[1:])
    print(f"exponents at {', '.join(map(str, SIZES))}: over all, and of the last step; the goal is {GOAL}")
    for axis in LOGS:
        if wanted in axis:
            for name, taken in along(axis, seconds, SIZES).items():
                show(f"{name}: {axis}", taken)
    for name, make in DONE.items():
        if wanted in name:
            show(name, [seconds(make(n)) for n in SIZES])


if __name__ == "__main__":
    main()

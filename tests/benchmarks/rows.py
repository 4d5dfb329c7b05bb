"""The rows of the benchmark that are a rate: what is done, how many of it, and the goal.

A row makes what it needs, and then hands out one piece of work after the other. Work alone is timed, so what a row
does between two of them costs nothing. Rows use only what is public, so that an earlier commit's kit runs them too.
"""

from __future__ import annotations

import itertools
import os
import platform
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import eventsourcing_kit as ek

START_US = 1_700_000_000_000_000
MILLION = 1_000_000
Works = Generator[tuple[int, Callable[[], object]]]  # how many of a row's unit there are, and the work that is timed


@dataclass(frozen=True)
class Row:
    """One row: its name, what is counted a second, the goal, and the works; they get a folder of their own."""

    name: str
    unit: str
    goal: Callable[[], float] | None
    works: Callable[[Path], Works]


ROWS: dict[str, Row] = {}


def row(
    name: str, goal: float | Callable[[], float] | None = None, unit: str = "events"
) -> Callable[[Callable[[Path], Works]], Callable[[Path], Works]]:
    def add(works: Callable[[Path], Works]) -> Callable[[Path], Works]:
        ROWS[name] = Row(name, unit, goal if goal is None or callable(goal) else lambda: goal, works)
        return works

    return add


# -- events and logs --------------------------------------------------------------------------------------------------


class PaymentTaken(ek.Event):
    """An event whose payload takes about a hundred bytes as JSON."""

    amount: int
    payer: str
    memo: str
    city: str


def event(i: int) -> PaymentTaken:
    cities = ("Oslo", "Bergen", "Trondheim", "Stavanger")
    return PaymentTaken(
        amount=i * 7919 % 10_007, payer=f"payer-{i % 997}", memo=f"invoice {i} " * 3, city=cities[i % 4]
    )


def batches(events: int, size: int) -> list[list[PaymentTaken]]:
    return [[event(i) for i in range(at, at + size)] for at in range(0, events, size)]


def frame(rows: int, streams: int) -> pd.DataFrame:
    """A foreign log: `rows` events, one a second, spread over `streams` streams."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "case": [f"case-{i}" for i in rng.integers(0, streams, rows)],
            "activity": rng.choice(["Registered", "Checked", "Decided"], rows),
            "time": pd.to_datetime(START_US + np.arange(rows) * 1_000_000, unit="us", utc=True),
            "amount": rng.integers(0, 1000, rows),
        }
    )


def fill(store: ek.EventStore, log: pd.DataFrame) -> None:
    """Load such a log into a store."""
    store.load(log, stream="case", type="activity", recorded_at="time", progress=False)


def payments(rows: int, streams: int) -> pd.DataFrame:
    """The same as events of a class."""
    log = frame(rows, streams)
    return log.assign(activity="PaymentTaken", payer=log["case"], memo="invoice", city="Oslo")


def counted() -> ek.Projection:
    made = ek.Projection("counted", initial=lambda: 0)
    made.on("Registered", "Checked", "Decided")(lambda state, _event: state + 1)
    return made


def declared() -> ek.Projection:
    total = ek.fold.total(["Registered", "Checked", "Decided"], "amount")
    return ek.Projection("declared", fields={"amount": total})


def account(snapshots: int | None = None) -> ek.Decider:
    """A decider whose state is a sum."""
    return ek.Decider(
        decide=lambda command, state: event(command + state % 7),
        evolve=lambda state, one: state + one.amount,
        initial=lambda: 0,
        snapshots=snapshots,
    )


def sync_seconds() -> float:
    """What it takes to sync what was added to one open file, once."""
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "grows"), "wb", buffering=0) as grows:
        start = time.perf_counter()
        for _ in range(300):
            grows.write(b"x" * 400)
            os.fsync(grows)
        return (time.perf_counter() - start) / 300


def machine() -> str:
    """What the figures hold for: Python, the machine, and what a sync of its disk takes."""
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
        f"a sync of the disk takes {1000 * sync_seconds():.2f} ms"
    )


# -- writing ----------------------------------------------------------------------------------------------------------


def single_appends(folder: Path, fsync: bool) -> Works:
    with ek.EventStore(folder, fsync=fsync) as store:
        while True:
            yield 1000, lambda: [store.append(f"payer-{i % 50}", event(i)) for i in range(1000)]


def batches_of_100(folder: Path, fsync: bool, events: int) -> Works:
    given = batches(events, 100)
    with ek.EventStore(folder, fsync=fsync) as store:
        while True:
            yield events, lambda: [store.append(f"payer-{i % 50}", batch) for i, batch in enumerate(given)]


def commands(folder: Path, fsync: bool) -> Works:
    with ek.EventStore(folder, fsync=fsync) as store:
        decider = account()
        while True:
            yield 1000, lambda: [store.handle(decider, f"payer-{i % 100}", i) for i in range(1000)]


def load(folder: Path, log: pd.DataFrame) -> Works:
    for number in itertools.count():
        with ek.EventStore(folder / str(number), fsync=False) as store:
            yield len(log), partial(fill, store, log)


row("append one event, flushed to the operating system", 1500)(lambda folder: single_appends(folder, False))
row("append one event, on the device (goal: half the disk's syncs)", lambda: 0.5 / sync_seconds())(
    lambda folder: single_appends(folder, True)
)
row("append batches of 100 validated events", 60_000)(lambda folder: batches_of_100(folder, False, 50_000))
row("append batches of 100 validated events, on the device")(lambda folder: batches_of_100(folder, True, 20_000))
row("handle 1,000 commands on 100 streams", 1000, "commands")(lambda folder: commands(folder, False))
row("handle 1,000 commands on 100 streams, on the device", 1000, "commands")(lambda folder: commands(folder, True))
row("load 100,000 rows, 1,000 streams interleaved", 60_000)(lambda folder: load(folder, frame(100_000, 1_000)))
row("load 100,000 rows of a class, 1,000 streams")(lambda folder: load(folder, payments(100_000, 1_000)))
row("load 100,000 rows, a stream each")(lambda folder: load(folder, frame(100_000, 100_000_000)))


# -- reading ----------------------------------------------------------------------------------------------------------


@row("store.version(stream)", unit="calls")
def version(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        for i in range(1000):
            store.append(f"payer-{i % 50}", event(i))
        while True:
            yield 1000, lambda: [store.version(f"payer-{i % 50}") for i in range(1000)]


@row("read one stream of 50 events", unit="reads")
def stream_of_50(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        for i, batch in enumerate(batches(20_000, 100)):
            store.append(f"payer-{i % 50}", batch)
        store.append("fifty", [event(i) for i in range(50)])
        while True:
            yield 100, lambda: [list(store.read("fifty")) for _ in range(100)]


@row("read the whole log into a frame (commits of 100)", 400_000)
def frame_of_batches(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        for i, batch in enumerate(batches(100_000, 100)):
            store.append(f"payer-{i % 50}", batch)
        while True:
            yield 100_000, lambda: store.read().df()


@row("read the whole log into a frame (commits of 10,000)", 400_000)
def frame_of_loaded(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        fill(store, frame(100_000, 1_000))
        while True:
            yield 100_000, lambda: store.read().df()


@row("read the whole log into a frame (commits of one event)")
def frame_of_single_commits(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        for i in range(100_000):
            store.append(f"payer-{i % 50}", event(i))
        while True:
            yield 100_000, lambda: store.read().df()


@row("open a store of 1,000,000 events, to its first answers", unit="openings")
def cold_open(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        fill(store, frame(MILLION, 100_000))

    def answers() -> object:
        with ek.EventStore(folder) as store:
            return store.version("case-5"), store.position, list(store.read("case-5"))

    while True:
        yield 1, answers


# -- folding: 1,000,000 events in 100,000 streams ---------------------------------------------------------------------


def history(store: ek.EventStore, projection: ek.Projection) -> object:
    return store.history(projection)


def half(store: ek.EventStore, projection: ek.Projection) -> object:
    return store.replay(projection, as_of=MILLION // 2)


def folds(
    folder: Path,
    ask: Callable[[ek.EventStore, ek.Projection], object],
    projection: ek.Projection,
    *,
    cold: bool = True,
) -> Works:
    """The same question again and again; cold: of a store that was just opened, else of what it has kept."""
    with ek.EventStore(folder, fsync=False) as store:
        fill(store, frame(MILLION, 100_000))
        if not cold:
            ask(store, projection)
        while not cold:
            yield MILLION, lambda: ask(store, projection)
    while True:
        with ek.EventStore(folder, fsync=False) as store:
            yield MILLION, partial(ask, store, projection)


row("history() of handlers", 200_000)(lambda folder: folds(folder, history, counted()))
row("history() of declared folds, cold", 2_000_000)(lambda folder: folds(folder, history, declared()))
row("history() of declared folds, asked again: what was kept")(
    lambda folder: folds(folder, history, declared(), cold=False)
)
row("replay() of handlers as of half the log")(lambda folder: folds(folder, half, counted()))
row("replay() of declared folds as of half the log, cold")(lambda folder: folds(folder, half, declared()))
row("replay() of declared folds as of half the log, asked again")(
    lambda folder: folds(folder, half, declared(), cold=False)
)


# -- following, and reporting -----------------------------------------------------------------------------------------


@row("a catch-up subscription counts (dicts, interleaved)", 200_000)
def subscription_to_dicts(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        fill(store, frame(200_000, 1_000))
        while True:
            yield 200_000, lambda: count_events(store)


@row("a catch-up subscription counts (event objects, commits of 1,000)", 200_000)
def subscription_to_objects(folder: Path) -> Works:
    with ek.EventStore(folder, fsync=False) as store:
        for i, batch in enumerate(batches(200_000, 1000)):
            store.append(f"payer-{i % 50}", batch)
        while True:
            yield 200_000, lambda: count_events(store)


def count_events(store: ek.EventStore) -> None:
    counts = 0

    def count(_event: ek.RecordedEvent) -> None:
        nonlocal counts
        counts += 1

    with store.subscribe(count) as subscription:
        subscription.wait_until(timeout=60)
    assert counts == store.position


def counted_payments() -> ek.Projection:
    made = ek.Projection("payments", initial=lambda: {"amount": 0, "count": 0})
    made.on(PaymentTaken)(lambda state, e: {"amount": state["amount"] + e.amount, "count": state["count"] + 1})
    return made


def on_demand(folder: Path, *, temporal: bool = False, events: bool = False) -> Works:
    with ek.EventStore(folder / "log", fsync=False) as store:
        for i, batch in enumerate(batches(200_000, 100)):
            store.append(f"payer-{i % 50}", batch)
        for number in itertools.count():
            with ek.ReportingDatabase(folder / f"{number}.duckdb", events=events) as db:
                db.add(counted_payments(), temporal=temporal)
                yield 200_000, partial(db.update, store)


row("reporting database, on demand, a table", 50_000)(lambda folder: on_demand(folder))
row("reporting database, on demand, a temporal table", 50_000)(lambda folder: on_demand(folder, temporal=True))
row("reporting database, on demand, a table and the raw log", 50_000)(lambda folder: on_demand(folder, events=True))

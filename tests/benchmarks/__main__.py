"""Print the figures that the project aims at, each measured now and compared with its goal.

Times vary with the machine and with what else it does, so nothing here is a test. Each work is done several times; the
median counts. Run it with `make bench`.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import eventsourcing_kit as ek

START_US = 1_700_000_000_000_000


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


def folder_store(*, fsync: bool) -> tuple[ek.EventStore, Path]:
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    return ek.EventStore(path, fsync=fsync), path


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(work: str, value: float, unit: str, goal: float, *, most: bool = False) -> None:
    """One line: the figure, its goal, and the ratio (above 1 is better than the goal)."""
    ratio = goal / value if most else value / goal
    print(f"{work:<68}{value:>14,.1f} {unit:<10} goal {goal:>10,g}   {ratio:>6.2f} ×")


def disk_syncs_a_second() -> tuple[float, float]:
    """How often a second the disk syncs what is added to one open file; and a new file and its folder."""
    with tempfile.TemporaryDirectory() as folder:
        handle = os.open(folder, os.O_RDONLY)
        grows = os.open(os.path.join(folder, "grows"), os.O_CREAT | os.O_WRONLY)

        def added(_: int) -> None:
            os.write(grows, b"x" * 400)
            os.fsync(grows)

        def new(i: int) -> None:
            file = os.open(os.path.join(folder, str(i)), os.O_CREAT | os.O_WRONLY)
            os.write(file, b"x" * 400)
            os.fsync(file)
            os.close(file)
            os.fsync(handle)

        rates = tuple(300 / seconds(lambda way=way: [way(i) for i in range(300)]) for way in (added, new))
        os.close(handle)
        os.close(grows)
    return rates[0], rates[1]


def bench_single_appends() -> None:
    for fsync in (False, True):
        rates = []
        for _ in range(3):
            store, _path = folder_store(fsync=fsync)
            with store:
                taken = seconds(lambda store=store: [store.append(f"payer-{i % 50}", event(i)) for i in range(1000)])
            rates.append(1000 / taken)
        rate = statistics.median(rates)
        if fsync:
            open_file, new_file = disk_syncs_a_second()
            show("append one event, on the device (goal: half the syncs of one file)", rate, "events/s", open_file / 2)
            show("… (goal: half the syncs of new files and their folder)", rate, "events/s", new_file / 2)
        else:
            show("append one event, flushed to the operating system", rate, "events/s", 1500)


def appends_by_threads(threads: int, each: int) -> tuple[float, list[float]]:
    """Events a second when so many threads append single events to one folder, and every append's milliseconds."""
    store, _path = folder_store(fsync=True)
    begin = threading.Barrier(threads + 1)

    def work(thread: int) -> list[float]:
        begin.wait()
        return [1000 * seconds(lambda i=i: store.append(f"payer-{thread}", event(i))) for i in range(each)]

    with store, ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work, thread) for thread in range(threads)]
        begin.wait()
        taken = seconds(lambda: [one.result() for one in working])
    return threads * each / taken, [ms for one in working for ms in one.result()]


def bench_threads() -> None:
    """Interleaved, since a disk's and a shared machine's speed drift; medians of five rounds."""
    found: dict[int, list[tuple[float, float]]] = {1: [], 8: [], 32: []}
    for _ in range(5):
        for threads, figures in found.items():
            rate, ms = appends_by_threads(threads, 1600 // threads)
            figures.append((rate, sorted(ms)[int(len(ms) * 0.99)]))
    rates = {threads: statistics.median(rate for rate, _ in figures) for threads, figures in found.items()}
    worst = {threads: statistics.median(p99 for _, p99 in figures) for threads, figures in found.items()}
    show("append one event, on the device, one thread", rates[1], "events/s", disk_syncs_a_second()[0] / 2)
    show("… eight threads (goal: three times one thread's)", rates[8], "events/s", 3 * rates[1])
    show("… eight threads, an append's p99 (goal: eight in turn)", worst[8], "ms", 8 * worst[1], most=True)
    show("… thirty-two threads (goal: eight threads')", rates[32], "events/s", rates[8])
    show("… thirty-two threads, an append's p99 (goal: as many in turn)", worst[32], "ms", 32 * worst[1], most=True)


def bench_batches() -> None:
    batches = [[event(i) for i in range(at, at + 100)] for at in range(0, 100_000, 100)]
    rates, reads, size = [], [], 0.0
    for _ in range(3):
        store, path = folder_store(fsync=False)
        with store:
            taken = seconds(
                lambda store=store: [store.append(f"payer-{i % 50}", batch) for i, batch in enumerate(batches)]
            )
            rates.append(100_000 / taken)
            reads.append(100_000 / seconds(lambda store=store: store.read().df()))
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 100_000
    show("append batches of 100 validated events", statistics.median(rates), "events/s", 60_000)
    show("read the whole log into a frame (commits of 100)", statistics.median(reads), "events/s", 400_000)
    show("bytes an event on disk (100-byte payloads, batches of 100)", size, "bytes", 40, most=True)


def account(snapshots: int | None = None) -> ek.Decider:
    """A decider whose state is a sum."""
    return ek.Decider(
        decide=lambda command, state: event(command + state % 7),
        evolve=lambda state, one: state + one.amount,
        initial=lambda: 0,
        snapshots=snapshots,
    )


def bench_openings() -> None:
    """Open, append and close: two folders in turn, one of which was opened 500 times before and the other ten."""
    (new, new_path), (old, old_path) = folder_store(fsync=False), folder_store(fsync=False)
    new.close()
    old.close()

    def once(path: Path) -> float:
        since = time.process_time()
        with ek.EventStore(path, fsync=False) as store:
            store.append("payer-1", event(1))
        return 1000 * (time.process_time() - since)

    for path, times in ((new_path, 9), (old_path, 499)):
        for _ in range(times):
            once(path)
    pairs = [(once(new_path), once(old_path)) for _ in range(30)]
    tenth, later = (statistics.median(some) for some in zip(*pairs, strict=True))
    show("open, append and close a folder for the 10th time and on, cpu", tenth, "ms", 50, most=True)
    show("… for the 500th time and on (goal: 1.2 times that)", later, "ms", 1.2 * tenth, most=True)


def bench_handle() -> None:
    for fsync in (False, True):
        rates = []
        for _ in range(3):
            decider = account()
            store, _path = folder_store(fsync=fsync)
            with store:
                taken = seconds(
                    lambda store=store, decider=decider: [
                        store.handle(decider, f"payer-{i % 100}", i) for i in range(1000)
                    ]
                )
            rates.append(1000 / taken)
        where = "on the device" if fsync else "flushed to the operating system"
        show(f"handle 1,000 commands on 100 streams, {where}", statistics.median(rates), "commands/s", 1000)


def bench_snapshots() -> None:
    """The state of a stream of 100,000 events, loaded by a store that was just opened."""
    store, path = folder_store(fsync=False)
    with store:
        for at in range(0, 100_000, 1000):
            store.append("payer-1", [event(i) for i in range(at, at + 1000)])
    plain, kept = account(), account(snapshots=1000)
    with ek.EventStore(path, fsync=False) as store:
        store.take_snapshots(kept)
        assert store.state(plain, "payer-1") == store.state(kept, "payer-1")
        without = statistics.median(seconds(lambda: store.state(plain, "payer-1")) for _ in range(3))
        saved = statistics.median(seconds(lambda: store.state(kept, "payer-1")) for _ in range(9))
    show("load the state of 100,000 events with a snapshot: how much faster", without / saved, "times", 50)


def bench_load() -> None:
    log = frame(100_000, 1_000)
    rates, reads = [], []
    for _ in range(3):
        store, _path = folder_store(fsync=False)
        with store:
            rates.append(
                100_000
                / seconds(lambda store=store: store.load(log, stream="case", type="activity", recorded_at="time"))
            )
            reads.append(100_000 / seconds(lambda store=store: store.read().df()))
    show("load a 100,000-row frame, 1,000 streams interleaved", statistics.median(rates), "events/s", 60_000)
    show("read it back into a frame (commits of 10,000)", statistics.median(reads), "events/s", 400_000)


def bench_history() -> None:
    count = 1_000_000
    store = ek.from_frame(frame(count, 100_000), stream="case", type="activity", recorded_at="time")
    events = ek.Projection("events", initial=lambda: 0)
    events.on("Registered", "Checked", "Decided")(lambda state, _event: state + 1)
    kept: list[ek.History] = []
    taken = seconds(lambda: kept.append(store.history(events)))
    history = kept[0]
    show("history() of 1,000,000 events in 100,000 streams", count / taken, "events/s", 200_000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    show("… peak memory of the whole process", peak, "MB", 2000, most=True)
    bench_moments(store, history, count)


def bench_moments(store: ek.EventStore, history: ek.History, count: int) -> None:
    rng = random.Random(7)
    positions = [rng.randrange(1, count) for _ in range(60)]
    kinds: dict[str, list[object]] = {
        "position": list(positions),
        "time": [dt.datetime.fromtimestamp(START_US / 1e6 + p, dt.UTC) for p in positions],
        "id": [next(iter(store.read(after=p - 1, limit=1))).id for p in positions[:20]],
    }
    for kind, moments in kinds.items():
        times = sorted(seconds(lambda m=m: history.at(m)) * 1000 for m in moments)
        show(f"history.at(a {kind}) at that size, p95", times[int(len(times) * 0.95)], "ms", 30, most=True)


def bench_subscription() -> None:
    """A subscription to a full store, from its start until it has seen everything."""
    log = frame(200_000, 1_000)
    foreign = ek.EventStore()
    foreign.load(log, stream="case", type="activity", recorded_at="time")
    own = ek.EventStore()
    for at in range(0, 200_000, 1000):
        own.append(f"payer-{at // 1000 % 50}", [event(i) for i in range(at, at + 1000)])
    for what, store in (("dicts, interleaved", foreign), ("event objects, commits of 1,000", own)):
        rates = [200_000 / seconds(lambda store=store: count_events(store)) for _ in range(5)]
        show(f"a catch-up subscription counts ({what})", statistics.median(rates), "events/s", 200_000)
        store.close()


def count_events(store: ek.EventStore) -> None:
    counted = 0

    def count(_event: ek.RecordedEvent) -> None:
        nonlocal counted
        counted += 1

    with store.subscribe(count) as subscription:
        subscription.wait_until(timeout=60)
    assert counted == store.position


def counted_payments() -> ek.Projection:
    payments = ek.Projection("payments", initial=lambda: {"amount": 0, "count": 0})
    payments.on(PaymentTaken)(lambda state, e: {"amount": state["amount"] + e.amount, "count": state["count"] + 1})
    return payments


def bench_reporting() -> None:
    batches = [[event(i) for i in range(at, at + 100)] for at in range(0, 200_000, 100)]
    for name, table, log in (("a table", {}, False), ("a temporal table", {"temporal": True}, False)):
        on_demand(f"reporting database, on demand, {name}", batches, table, log)
    on_demand("reporting database, on demand, a table and the raw log", batches, {}, True)
    in_background(batches, "", log=False)
    in_background(batches, ", with the raw log", log=True)


def on_demand(work: str, batches: list[list[PaymentTaken]], table: dict[str, bool], log: bool) -> None:
    rates = []
    for _ in range(3):
        store, path = folder_store(fsync=False)
        with store, ek.ReportingDatabase(path / "report" / "bench.duckdb", events=log) as db:
            for i, batch in enumerate(batches):
                store.append(f"payer-{i % 50}", batch)
            db.add(counted_payments(), **table)
            rates.append(store.position / seconds(lambda db=db, store=store: db.update(store)))
    show(work, statistics.median(rates), "events/s", 50_000)


def in_background(batches: list[list[PaymentTaken]], work: str, *, log: bool) -> None:
    """Appends as fast as they go, and how long after the last of them the table is there."""
    rates, appends = [], []
    for _ in range(3):
        store, path = folder_store(fsync=False)
        with store, ek.ReportingDatabase(path / "report" / "bench.duckdb", events=log) as db:
            db.add(counted_payments())
            db.follow(store)
            start = time.perf_counter()
            for i, batch in enumerate(batches):
                store.append(f"payer-{i % 50}", batch)
            appends.append(store.position / (time.perf_counter() - start))
            db.wait_until(store, timeout=None)
            rates.append(store.position / (time.perf_counter() - start))
    show(f"reporting database, in the background of appends{work}", statistics.median(rates), "events/s", 50_000)
    show("… the appends beside it", statistics.median(appends), "events/s", 50_000)


def bench_import() -> None:
    times = [seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) for _ in range(5)]
    whole = [
        seconds(lambda: subprocess.run([sys.executable, "-c", "import eventsourcing_kit"], check=True))
        for _ in range(5)
    ]
    show("import eventsourcing_kit", statistics.median(whole) - statistics.median(times), "s", 0.3, most=True)


def main() -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    pd.DataFrame({"warm": [1]}).sum()
    for bench in (
        bench_import,
        bench_single_appends,
        bench_openings,
        bench_threads,
        bench_handle,
        bench_snapshots,
        bench_batches,
        bench_load,
        bench_subscription,
        bench_history,
        bench_reporting,
    ):
        bench()


if __name__ == "__main__":
    main()

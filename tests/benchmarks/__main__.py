"""Print the figures that the project aims at, each measured now and compared with its goal.

Times vary with the machine and with what else it does, so nothing here is a test. Each work is done several times; the
median counts. Run it with `make bench`.
"""

from __future__ import annotations

import datetime as dt
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

import eventsourcing_kit as ek
from tests.benchmarks.measuring import measuring, seconds
from tests.benchmarks.rows import (
    MILLION,
    ROWS,
    START_US,
    account,
    batches,
    counted,
    counted_payments,
    event,
    frame,
    machine,
    sync_seconds,
)


def show(work: str, value: float, unit: str, goal: float | None = None, *, most: bool = False) -> None:
    """One line: the figure, its goal, and the ratio (above 1 is better than the goal)."""
    figure = f"{work:<68}{value:>14,.1f} {unit:<10}"
    if goal is None:
        print(figure, flush=True)
    else:
        print(f"{figure} goal {goal:>10,g}   {goal / value if most else value / goal:>6.2f} ×", flush=True)


def folder_store(*, fsync: bool) -> tuple[ek.EventStore, Path]:
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    return ek.EventStore(path, fsync=fsync), path


def bench_rows() -> None:
    for row in ROWS.values():
        with measuring(row) as once:
            costs = [once() for _ in range(3)]
        rate = statistics.median(cost.units / cost.wall for cost in costs)
        show(row.name, rate, f"{row.unit}/s", row.goal() if row.goal else None)


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
    show("append one event, on the device, one thread", rates[1], "events/s", 0.5 / sync_seconds())
    show("… eight threads (goal: three times one thread's)", rates[8], "events/s", 3 * rates[1])
    show("… eight threads, an append's p99 (goal: eight in turn)", worst[8], "ms", 8 * worst[1], most=True)
    show("… thirty-two threads (goal: eight threads')", rates[32], "events/s", rates[8])
    show("… thirty-two threads, an append's p99 (goal: as many in turn)", worst[32], "ms", 32 * worst[1], most=True)


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


def bench_moments() -> None:
    """Any state of 1,000,000 events in 100,000 streams, and what memory its history takes."""
    store = ek.from_frame(frame(MILLION, 100_000), stream="case", type="activity", recorded_at="time")
    history = store.history(counted())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    show("history() of 1,000,000 events: peak memory of the whole process", peak, "MB", 2000, most=True)
    rng = random.Random(7)
    positions = [rng.randrange(1, MILLION) for _ in range(60)]
    kinds: dict[str, list[object]] = {
        "position": list(positions),
        "time": [dt.datetime.fromtimestamp(START_US / 1e6 + p, dt.UTC) for p in positions],
        "id": [next(iter(store.read(after=p - 1, limit=1))).id for p in positions[:20]],
    }
    for kind, moments in kinds.items():
        times = sorted(seconds(lambda m=m: history.at(m)) * 1000 for m in moments)
        show(f"history.at(a {kind}) at that size, p95", times[int(len(times) * 0.95)], "ms", 30, most=True)


def bench_branches() -> None:
    """A branch of 1,000,000 events, its first append and its replay; and two histories of that size, compared."""
    store = ek.from_frame(frame(MILLION, 100_000), stream="case", type="activity", recorded_at="time")
    event = ek.NewEvent(type="Branched")
    made = [seconds(store.branch) * 1000 for _ in range(9)]
    show("branch in memory of 1,000,000 events, median", statistics.median(made), "ms", 5, most=True)
    first = [seconds(lambda: store.branch().append("own", event)) for _ in range(9)]
    empty = [seconds(lambda: ek.EventStore().append("own", event)) for _ in range(9)]
    times = statistics.median(first) / statistics.median(empty)
    show("branch and append: times a new store and an append", times, "times", 2, most=True)
    branch, projection = store.branch(), counted()
    branch.append("own", event)
    pairs = [[seconds(lambda one=one: one.replay(projection)) for one in (store, branch)] for _ in range(5)]
    show("replay of a branch: rate of its base's", statistics.median(a / b for a, b in pairs), "times", 0.9)
    one, other = store.history(projection), branch.history(projection)
    show(
        "compare two histories of 1,000,000 events", seconds(lambda: ek.compare(one, other).first()), "s", 1, most=True
    )


def bench_background() -> None:
    in_background("", log=False)
    in_background(", with the raw log", log=True)


def in_background(work: str, *, log: bool) -> None:
    """Appends as fast as they go, and how long after the last of them the table is there."""
    rates, appends, given = [], [], batches(200_000, 100)
    for _ in range(3):
        store, path = folder_store(fsync=False)
        with store, ek.ReportingDatabase(path / "report" / "bench.duckdb", events=log) as db:
            db.add(counted_payments())
            db.follow(store)
            start = time.perf_counter()
            for i, batch in enumerate(given):
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
    print(machine())
    pd.DataFrame({"warm": [1]}).sum()
    for bench in (
        bench_import,
        bench_rows,
        bench_openings,
        bench_threads,
        bench_snapshots,
        bench_moments,
        bench_branches,
        bench_background,
    ):
        bench()


if __name__ == "__main__":
    main()

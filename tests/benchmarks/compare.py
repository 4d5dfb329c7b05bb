"""Measure the kit beside what a Python user might pick instead: the same events, one run, interleaved; medians count.

Prints a table of rates and of the ratio to the best peer of the same durability. Run by `make bench`; with
`--ten-million` it also loads, reads and travels ten million events.
"""

from __future__ import annotations

import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pandas as pd

import eventsourcing_kit as ek
from tests.benchmarks.measuring import seconds
from tests.benchmarks.peers import Kit, Peer, PyEventSourcing, UmaDb, ndjson
from tests.benchmarks.rows import PaymentTaken, event, frame, machine

ROUNDS = 3
Rates = dict[str, list[float]]


@contextmanager
def folders(*names: str) -> Iterator[list[Path]]:
    """Empty folders that are removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="compare-"))
    try:
        made = [root / name for name in names]
        for one in made:
            one.mkdir()
        yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def durable_peers() -> Iterator[list[Peer]]:
    """The kit and its durable peers, each new and empty."""
    with folders("kit", "sqlite", "uma") as (kit, sqlite, uma):
        peers: list[Peer] = [Kit(kit), PyEventSourcing(sqlite), UmaDb(uma)]
        try:
            yield peers
        finally:
            for peer in peers:
                peer.close()


def line(work: str, rates: Rates, goal: str, *, least: bool = False) -> None:
    """One row: each one's median, and the kit's ratio to the best of the others (or to the only other)."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    others = [value for name, value in medians.items() if name != "kit"]
    best = (min if least else max)(others)
    shown = "  ".join(f"{name} {value:,.4g}" for name, value in medians.items())
    print(f"{work:<58} {medians['kit'] / best:>7.2f} ×  (goal {goal})   {shown}", flush=True)


def measure(peers: list[Peer], count: int, work: Callable[[Peer], object], rates: Rates) -> None:
    for peer in peers:
        rates.setdefault(peer.name, []).append(count / seconds(lambda peer=peer: work(peer)))


def appends() -> None:
    """Single events, batches, and the reading of what they left."""
    single: Rates = {}
    batches: Rates = {}
    reads: Rates = {}
    streams: Rates = {}
    sizes: Rates = {}
    by_hundred = [[event(i) for i in range(at, at + 100)] for at in range(0, 20_000, 100)]
    for _ in range(ROUNDS):
        with durable_peers() as peers:
            measure(peers, 300, lambda p: [p.append(f"payer-{i % 50}", [event(i)]) for i in range(300)], single)
        with durable_peers() as peers:
            measure(
                peers, 20_000, lambda p: [p.append(f"payer-{i % 50}", b) for i, b in enumerate(by_hundred)], batches
            )
            measure(peers, 20_000, lambda p: p.whole_log(), reads)
            for peer in peers:
                peer.append("fifty", [event(i) for i in range(50)])
            measure(peers, 100, lambda p: [p.stream("fifty") for _ in range(100)], streams)
            for peer in peers:
                peer.close()
                if peer.name != "UmaDB":  # its file grows by blocks of pages
                    sizes.setdefault(peer.name, []).append(peer.bytes_on_disk() / 20_050)
    line("append one event, fsync [events/s]", single, "≥ 1")
    line("append by 100, fsync, validated [events/s]", batches, "≥ 2")
    line("whole log into a frame; peers: into dicts [events/s]", reads, "≥ 2")
    line("one stream of 50 events [reads/s]", streams, "≥ 1")
    line("bytes an event on disk, payloads of 100 bytes", sizes, "≤ 0.25", least=True)


def in_memory() -> None:
    """The same without a disk."""
    single: Rates = {}
    for _ in range(ROUNDS):
        peers: list[Peer] = [Kit(None), PyEventSourcing(None)]
        measure(peers, 1000, lambda p: [p.append(f"payer-{i % 50}", [event(i)]) for i in range(1000)], single)
    line("append one event, in memory [events/s]", single, "none")


def bulk_load() -> None:
    """A foreign log of 100,000 rows; the peers take commits of 10,000."""
    log = frame(100_000, 1_000)
    rows = [
        (case, PaymentTaken(amount=amount, payer=case, memo=kind, city=""))
        for case, kind, amount in zip(log["case"], log["activity"], log["amount"].tolist(), strict=True)
    ]
    rates: Rates = {}
    for _ in range(ROUNDS):
        with durable_peers() as (kit, *others):
            assert isinstance(kit, Kit)
            store = kit.store
            taken = seconds(lambda store=store: store.load(log, stream="case", type="activity", recorded_at="time"))
            rates.setdefault("kit", []).append(100_000 / taken)
            for peer in others:
                parts = [rows[at : at + 10_000] for at in range(0, 100_000, 10_000)]
                add = peer.append_mixed  # type: ignore[attr-defined]
                taken = seconds(lambda add=add, parts=parts: [add(part) for part in parts])
                rates.setdefault(peer.name, []).append(100_000 / taken)
    line("bulk load of 100,000 rows, fsync, validated [events/s]", rates, "≥ 3")


def small_commits() -> None:
    """100,000 commits of one event each, read into a frame; DuckDB reads the same events from NDJSON."""
    import duckdb

    rates: Rates = {}
    with folders("kit", "sqlite", "json") as (kit_folder, sqlite, json_folder):
        kit, peer = Kit(kit_folder, fsync=False), PyEventSourcing(sqlite)
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda i: kit.append(f"payer-{i % 50}", [event(i)]), range(100_000)))
        for at in range(0, 100_000, 1000):
            peer.append(f"payer-{at % 50}", [event(i) for i in range(at, at + 1000)])
        path = json_folder / "events.ndjson"
        ndjson(peer.whole_log(), path)
        query = f"select * from read_json('{path}', format='newline_delimited')"
        for _ in range(ROUNDS):
            rates.setdefault("DuckDB from NDJSON", []).append(100_000 / seconds(lambda: duckdb.sql(query).df()))
            measure([kit, peer], 100_000, lambda p: p.whole_log(), rates)
        kit.close()
        peer.close()
    duck = rates.pop("DuckDB from NDJSON")
    line("scan of 100,000 commits of one event into a frame [events/s]", rates, "≥ 1")
    line("… against DuckDB reading NDJSON", {"kit": rates["kit"], "DuckDB": duck}, "none")


def travel(count: int = 1_000_000) -> None:
    """The state of all streams at random moments, against a peer that folds its log again; then a cold open."""
    log = frame(count, 100_000)
    with folders("kit", "sqlite") as (kit_folder, sqlite):
        kit, peer = Kit(kit_folder, fsync=False), PyEventSourcing(sqlite)
        kit.store.load(log, stream="case", type="activity", recorded_at="time")
        cases = log["case"].tolist()
        for at in range(0, count, 10_000):
            peer.append_mixed([(case, event(0)) for case in cases[at : at + 10_000]])
        events = ek.Projection("events", initial=lambda: 0)
        events.on("Registered", "Checked", "Decided")(lambda state, _event: state + 1)
        history = kit.store.history(events)
        rng = random.Random(7)
        moments = [rng.randrange(1, count) for _ in range(60)]
        times = sorted(seconds(lambda m=m: history.at(m)) for m in moments)
        refold = statistics.median(seconds(lambda m=m: refolded(peer, m)) for m in moments[:3])
        ratio = refold / statistics.median(times)
        p95 = times[int(len(times) * 0.95)] * 1000
        print(
            f"{'all states as of a moment, 1,000,000 events, repeated':<58} {ratio:>7.0f} ×  (goal ≥ 100)   "
            f"p95 {p95:.1f} ms (goal 16)",
            flush=True,
        )
        kit.close()
        peer.close()
        cold_open(kit_folder)


def refolded(peer: PyEventSourcing, upto: int) -> dict[str, int]:
    """How many events each stream has, counted over the peer's log."""
    states: dict[str, int] = {}
    for row in peer.whole_log(upto):
        states[row["stream"]] = states.get(row["stream"], 0) + 1
    return states


def cold_open(folder: Path) -> None:
    """A new process opens the store and asks for a version, the position and one stream."""
    code = (
        "import sys, time, eventsourcing_kit as ek; start = time.perf_counter(); store = ek.EventStore(sys.argv[1]); "
        "store.version('case-5'), store.position, list(store.read('case-5')); print(time.perf_counter() - start)"
    )
    taken = [
        float(subprocess.run([sys.executable, "-c", code, folder], capture_output=True, check=True, text=True).stdout)
        for _ in range(ROUNDS)
    ]
    print(f"{'cold open of that store, to its first answers':<58} {statistics.median(taken):>7.2f} s  (goal 0.5)")


def threads() -> None:
    """Eight threads that append single events, against one."""
    rates: Rates = {}
    for _ in range(ROUNDS):
        for count, name in ((1, "one thread"), (8, "kit")):
            with folders("kit") as (folder,):
                kit = Kit(folder)
                with ThreadPoolExecutor(count) as pool:
                    work = lambda i, kit=kit: kit.append(f"payer-{i % 50}", [event(i)])  # noqa: E731
                    taken = seconds(lambda pool=pool, work=work: list(pool.map(work, range(600))))
                kit.close()
            rates.setdefault(name, []).append(600 / taken)
    line("eight threads appending single events, fsync [events/s]", rates, "≥ 3 × one")


def ten_million() -> None:
    """Ten million events loaded, read and travelled, with the memory that takes."""
    with folders("kit") as (folder,), ek.EventStore(folder, fsync=False) as store:
        for part in range(10):
            log = frame(1_000_000, 10_000)
            log["time"] += pd.Timedelta(days=20 * part)
            start = time.perf_counter()
            store.load(log, stream="case", type="activity", recorded_at="time", progress=False)
            print(f"million {part + 1}: {1_000_000 / (time.perf_counter() - start):,.0f} events/s", flush=True)
        events = ek.Projection("events", initial=lambda: 0)
        events.on("Registered", "Checked", "Decided")(lambda state, _event: state + 1)
        for name, work in (
            ("count by iterating", lambda: sum(1 for _ in store.read(limit=1_000_000))),
            ("replay as of the middle", lambda: store.replay(events, as_of=5_000_000)),
            ("a frame of the last million", lambda: store.read(after=9_000_000).df()),
        ):
            taken = seconds(work)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name}: {taken:.1f} s, peak memory so far {peak:,.0f} MB", flush=True)


def main() -> None:
    names = ("slatedb", "eventsourcing", "umadb", "duckdb", "pandas", "pydantic")
    print(machine())
    print(", ".join(f"{name} {version(name)}" for name in names))
    pd.DataFrame({"warm": [1]}).sum()
    for work in (appends, in_memory, bulk_load, threads, small_commits, travel):
        work()
    if "--ten-million" in sys.argv:
        ten_million()


if __name__ == "__main__":
    main()

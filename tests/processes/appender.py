"""A process that appends in every way there is, and says so before and after each append, until it is killed.

Run as `python -m tests.processes.appender FOLDER SEED …`. What it says is one JSON object a line:

    {"say": "opening"}                                       the store is about to be opened
    {"say": "opened", "position": …}                         it is open
    {"say": "try", "token": …, "way": …, "facts": …}         this append begins; facts are [stream, id or null] in order
    {"say": "ack", "token": …, "position": …, "ids": …, "versions": …, "replayed": …}
    {"say": "error", "token": …, "kind": …, "stored": …}     … or it raised
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import eventsourcing_kit as ek

STREAMS = [f"shared-{i}" for i in range(6)]
WAYS = ["one", "one", "one", "expected", "batch", "many", "many", "ids", "ids", "large"]
_mouth = threading.Lock()


def say(**what: Any) -> None:
    """One line, whole: what is said before a kill was said."""
    line = (json.dumps(what, separators=(",", ":")) + "\n").encode()
    with _mouth:
        while line:
            line = line[os.write(1, line) :]


def fact(token: str, n: int, of: int, event_id: str | None = None) -> ek.NewEvent:
    return ek.NewEvent(type="Told", data={"token": token, "n": n, "of": of, "pad": "x" * (n % 40)}, id=event_id)


def appends(token: str, facts: list[tuple[str, str | None]]) -> list[ek.Append]:
    """The facts as one commit: neighbours of one stream are one append."""
    made: list[tuple[str, list[ek.NewEvent]]] = []
    for n, (stream, event_id) in enumerate(facts):
        if not made or made[-1][0] != stream:
            made.append((stream, []))
        made[-1][1].append(fact(token, n, len(facts), event_id))
    return [ek.Append(stream, events) for stream, events in made]


class Appender:
    """Appends to one store in one thread."""

    def __init__(self, name: str, seed: int, ways: list[str]) -> None:
        self.name, self.random, self.ways = name, random.Random(seed), ways
        self.count = 0

    def once(self, store: ek.EventStore) -> None:
        self.count += 1
        token, way = f"{self.name}-{self.count}", self.random.choice(self.ways)
        facts = self._facts(way)
        say(say="try", token=token, way=way, facts=facts)
        try:
            work: dict[str, Callable[..., None]] = {"load": self._load, "expected": self._expected}
            work.get(way, self._append)(store, token, facts)
        except ek.EventSourcingError as error:
            say(say="error", token=token, kind=type(error).__name__, text=str(error))
            raise

    def _facts(self, way: str) -> list[tuple[str, str | None]]:
        sizes = {"batch": self.random.randint(2, 60), "many": 12, "ids": 4, "large": 500, "load": 30}
        streams = [self.random.choice(STREAMS)]
        if way in ("many", "load", "ids"):
            streams = self.random.sample(STREAMS, 3)
        if way == "expected":
            streams = [f"own-{self.name}"]
        facts: list[tuple[str, str | None]] = []
        for n in range(sizes.get(way, 1)):
            event_id = str(uuid.UUID(int=self.random.getrandbits(128), version=4)) if way == "ids" else None
            facts.append((streams[n // 2 % len(streams)], event_id))
        return facts

    def _append(self, store: ek.EventStore, token: str, facts: list[tuple[str, str | None]]) -> None:
        receipts = store.append_many(appends(token, facts))
        ids = [str(event.id) for receipt in receipts for event in receipt.events]
        acknowledge(token, receipts[-1].position, ids, [receipt.version for receipt in receipts], receipts[0].replayed)

    def _expected(self, store: ek.EventStore, token: str, facts: list[tuple[str, str | None]]) -> None:
        stream = facts[0][0]
        receipt = store.append(stream, fact(token, 0, 1), expected_version=store.version(stream))
        acknowledge(token, receipt.position, [str(receipt.events[0].id)], [receipt.version], receipt.replayed)

    def _load(self, store: ek.EventStore, token: str, facts: list[tuple[str, str | None]]) -> None:
        import pandas as pd

        frame = pd.DataFrame([fact(token, n, len(facts)).data for n in range(len(facts))])
        frame["stream"], frame["type"] = [stream for stream, _ in facts], "Told"
        frame["at"] = pd.Timestamp.now(tz="UTC") + pd.Timedelta("1ms")
        try:
            store.load(frame, stream="stream", type="type", recorded_at="at")
        except ek.InputError:  # another thread moved time on meanwhile
            say(say="error", token=token, kind="InputError", text="")
            return
        acknowledge(token, None, None, None, False)


def acknowledge(token: str, position: int | None, ids: list[str] | None, versions: object, replayed: bool) -> None:
    say(say="ack", token=token, position=position, ids=ids, versions=versions, replayed=replayed)


def open_store(folder: str, *, fsync: bool) -> ek.EventStore:
    say(say="opening")
    store = ek.EventStore(folder, fsync=fsync)
    say(say="opened", position=store.position)
    return store


def run(options: argparse.Namespace) -> None:
    """Append until told otherwise; where another writer takes over, take over again, as often as allowed."""
    ways = [way for way in WAYS if options.ways is None or way in options.ways.split(",")] or options.ways.split(",")
    every = [
        Appender(f"{options.name}{options.seed}.{i}", options.seed * 1009 + i, ways) for i in range(options.threads)
    ]
    rng = random.Random(options.seed)

    def is_over() -> bool:
        return options.until is not None and os.path.exists(options.until)

    while True:
        try:
            store = open_store(options.folder, fsync=options.fsync)
        except ek.SupersededError as error:
            say(say="superseded at open", text=str(error))
            continue
        together(every, store, is_over)
        if is_over():
            store.close()
            return
        if not options.again:
            return
        store.close()
        time.sleep(rng.random() * options.pause)


def together(every: list[Appender], store: ek.EventStore, is_over: Callable[[], bool]) -> None:
    def work(one: Appender) -> None:
        try:
            while not is_over():
                one.once(store)
        except ek.SupersededError:
            pass
        except BaseException as error:
            say(say="failed", kind=type(error).__name__, text="".join(traceback.format_exception(error))[-1500:])
            os._exit(3)

    threads = [threading.Thread(target=work, args=[one]) for one in every[1:]]
    for thread in threads:
        thread.start()
    work(every[0])
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("seed", type=int)
    parser.add_argument("--name", default="w")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--until", help="a file: when it is there, the work is over")
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--ways")
    parser.add_argument("--fsync", action="store_true")
    parser.add_argument("--again", action="store_true", help="take over again where another writer took over")
    run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())

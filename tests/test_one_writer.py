"""One writer a folder: whoever opened it last. Nothing that either was told is lost, and the older one reads on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import eventsourcing_kit as ek
from tests.faults import durability_of, limit, once
from tests.power import ROOT
from tests.processes.campaign import Process, take_turns

pytestmark = pytest.mark.processes

SEED = int(os.environ.get("ATTACK_SEED", "1"))


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def take_over(folder: Path) -> None:
    """Another process opens the folder and appends two events to the stream `other`."""
    process = Process("tests.processes.take_over", folder)
    assert (process.wait(), process.errors) == (0, b"")


@pytest.mark.parametrize("writers", [2, 3])
def test_processes_that_take_over_from_each_other_lose_nothing(folder: Path, writers: int) -> None:
    """Each opens, appends from two threads until it is superseded, and opens again; one of three is killed."""
    ledger, figures = take_turns(folder, writers=writers, turns=2, seed=SEED, pause=0.1, kill=writers == 3)
    errors = {told.error for told in ledger.told.values() if told.error}
    assert errors <= {"SupersededError"}
    assert figures.acknowledged >= 2 * writers
    assert ledger.said["opened"] >= 2 * (writers - 1)


def test_the_older_writer_learns_it_at_its_next_append_and_reads_on(folder: Path) -> None:
    """It sees the newer one's events; a read that it had begun goes on to its own end."""
    with ek.EventStore(folder, fsync=False) as older:
        for n in range(0, 100, 2):  # of two streams each, so that reading a stream fetches the log's records
            older.append_many([ek.Append("a-1", noted(n)), ek.Append("a-0", noted(n))])
        whole, stream, back = iter(older.read()), iter(older.read("a-1")), iter(older.read(backwards=True))
        begun = [next(whole).position, next(stream).position, next(back).position]
        take_over(folder)
        with pytest.raises(ek.SupersededError, match="another writer opened the store"):
            older.append("a-1", noted(-1))
        assert begun == [1, 1, 100]
        assert [event.position for event in whole] == list(range(2, 101))
        assert [event.position for event in stream] == list(range(3, 100, 2))
        assert [event.position for event in back] == list(range(99, 0, -1))
        assert (older.position, older.version("other")) == (102, 2)
        assert [event.position for event in older.read(after=100)] == [101, 102]


def test_threads_that_read_through_the_older_writer_notice_nothing(folder: Path) -> None:
    """However many of them meet the takeover at once; what each sees only grows."""
    over = threading.Event()
    with ek.EventStore(folder, fsync=False) as older:
        older.append_many([ek.Append(f"a-{n % 5}", noted(n)) for n in range(300)])

        def read(worker: int) -> int:
            seen = rounds = 0
            while not over.is_set() or not rounds or seen < 302:
                events = list(older.read(backwards=worker % 2 == 1))[:: 1 if worker % 2 == 0 else -1]
                assert [event.position for event in events] == list(range(1, len(events) + 1))
                assert len(events) >= seen
                assert older.version("a-1") == 60
                seen, rounds = len(events), rounds + 1
                if over.is_set() and seen < 302:
                    with pytest.raises(ek.SupersededError):
                        older.append("a-1", noted())
            return seen

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read, worker) for worker in range(4)]
            try:
                take_over(folder)
            finally:
                over.set()
            assert [reader.result() for reader in readers] == [302] * 4


@pytest.mark.parametrize("journalled", [True, False])
@pytest.mark.parametrize("came_first", [True, False])
def test_an_append_in_flight_at_a_takeover_is_acknowledged_only_if_it_is_stored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, came_first: bool, journalled: bool
) -> None:
    """The storage says no more than that another writer came; the log says who came first."""
    if not journalled:
        limit(monkeypatch, journal_bytes=1)
    with ek.EventStore(folder, fsync=False) as older:
        older.append("a", noted(1))

        def overtaken(store_rows: Callable[..., Any], rows: Any, **how: Any) -> None:
            monkeypatch.undo()
            if came_first:
                store_rows(rows, **how)
            take_over(folder)
            raise ek.SupersededError("another writer opened the store")

        once(monkeypatch, durability_of(older), "store", overtaken)
        if came_first:
            assert older.append("a", noted(2)).position == 2
        else:
            with pytest.raises(ek.SupersededError):
                older.append("a", noted(2))
        assert [event.data["n"] for event in older.read("a")] == ([1, 2] if came_first else [1])
        with pytest.raises(ek.SupersededError):
            older.append("a", noted(3))


_STOPPED = """
    import os, signal, sys, time
    import eventsourcing_kit as ek
    from eventsourcing_kit.storage import device

    store = ek.EventStore(sys.argv[1], fsync=sys.argv[3] == "True")
    store.append("a", ek.NewEvent(type="Noted", data={"n": 1}))
    plain = device.write_at

    def stop():
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)  # of several threads some may run a little further

    def write_at(file, content, at):
        if len(content) > 1 and sys.argv[2] == "before":
            stop()
        plain(file, content, at)
        if len(content) > 1 and sys.argv[2] == "after":
            stop()

    device.write_at = write_at
    try:
        print("stored", store.append("a", ek.NewEvent(type="Noted", data={"n": 2})).position)
    except ek.SupersededError:
        print("superseded")
    device.write_at = plain
    try:
        store.append("a", ek.NewEvent(type="Noted", data={"n": 3}))
    except ek.SupersededError:
        print("superseded", [event.data["n"] for event in store.read("a")])
    store.close()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system stops no process")
@pytest.mark.parametrize("stopped", ["before", "after"])
@pytest.mark.parametrize("fsync", [True, False])
def test_a_writer_that_is_stopped_in_an_append_keeps_nobody_out(folder: Path, stopped: str, fsync: bool) -> None:
    """Not even where it holds the journal's lock; and when it goes on, it acknowledges only what is stored."""
    command = [sys.executable, "-c", textwrap.dedent(_STOPPED), str(folder), stopped, str(fsync)]
    older = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    os.waitid(os.P_PID, older.pid, os.WSTOPPED | os.WNOWAIT)
    with ek.EventStore(folder) as newer:
        kept = [1, 2] if stopped == "after" else [1]
        assert [event.data["n"] for event in newer.read()] == kept
        newer.append("b", noted(4))
        os.kill(older.pid, signal.SIGCONT)
        said, _ = older.communicate(timeout=60)
        told = "stored 2" if stopped == "after" else "superseded"
        assert said.splitlines() == [told, f"superseded {kept}"]
        newer.append("b", noted(5))
    with ek.EventStore(folder) as store:
        assert [event.data["n"] for event in store.read()] == [*kept, 4, 5]
        assert store.verify().ok


@pytest.mark.parametrize("threads", [8, 32])
def test_every_threads_appends_land_in_its_own_order(folder: Path, threads: int) -> None:
    """None is lost, none comes twice, and no thread is kept waiting until the others are through."""
    each = 1600 // threads  # enough that a thread which begins late has not missed half of all
    begin = threading.Barrier(threads)
    with ek.EventStore(folder, fsync=False) as store:

        def work(thread: int) -> list[int]:
            begin.wait(60)
            return [store.append(f"shared-{n % 3}", noted(thread * each + n)).position for n in range(each)]

        with ThreadPoolExecutor(threads) as pool:
            positions = list(pool.map(work, range(threads)))
        log = [event.data["n"] for event in store.read()]
    assert sorted(p for own in positions for p in own) == list(range(1, threads * each + 1))
    for thread, own in enumerate(positions):
        assert own == sorted(own)
        assert [log[p - 1] for p in own] == list(range(thread * each, (thread + 1) * each))
    firsts_end, lasts_begin = max(own[0] for own in positions), max(own[-1] for own in positions) - threads * each // 2
    assert firsts_end <= lasts_begin, "some thread's first append waited for half of all others"

"""Work in threads beside: one failure at any step of it is an error that is heard, or does no harm."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage.worker import Worker
from tests.faults import Fault, Step, device_fails, limit, no_memory

THREADS = ["journal", "sync", "writer", "subscription", "open", "check"]
STEPS_TRIED = 3
SMALL_JOURNAL = 1 << 13


@pytest.fixture(autouse=True)
def small_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, journal_bytes=SMALL_JOURNAL)


def noted(n: int) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n, "text": "x" * n})


class Session:
    """What somebody does with a store, each call as far as it goes: what was acknowledged, and what was said."""

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self.acknowledged: dict[int, int] = {}
        self.seen: set[int] = set()
        self.errors: list[Exception] = []
        with self.heard():
            store = ek.EventStore(folder, fsync=fsync)
            with contextlib.closing(store):
                self.work(store)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.errors.append(error)

    def work(self, store: ek.EventStore) -> None:
        with self.heard():
            store.subscribe(lambda event: self.seen.add(event.position), after=0, name="all")
        for n in range(60):
            with self.heard():
                self.acknowledged[store.append(f"a-{n % 3}", noted(n)).position] = n
        with self.heard():
            store.append("a-0", [noted(100 + n) for n in range(100)])
        with self.heard():
            store.wait_until(timeout=5)


def steps_of(thread: str, folder: Path) -> list[Step]:
    with Fault(thread) as none:
        calm = Session(folder)
    assert (calm.errors, len(calm.acknowledged)) == ([], 60)
    return list(none.steps)[1:]  # a thread that cannot begin is another matter


def check(folder: Path, session: Session, step: Step) -> None:
    """Everything acknowledged is there, and the store and its subscription go on."""
    seen = set(session.seen)
    with ek.EventStore(folder) as store:
        there = {event.position: event.data["n"] for event in store.read()}
        assert session.acknowledged.items() <= there.items(), step
        assert store.verify().ok, (step, store.verify())
        store.append("a-0", noted(0))
        with store.subscribe(lambda event: seen.add(event.position), after=0, name="all"):
            store.wait_until(timeout=5)
        assert seen >= there.keys(), step


@pytest.mark.parametrize("thread", THREADS)
def test_after_a_failure_at_any_step_of_a_thread_all_that_was_acknowledged_is_there(
    tmp_path: Path, thread: str
) -> None:
    """And nothing waits for ever for what failed."""
    name = f"eventsourcing-kit-{thread}"
    steps = steps_of(name, tmp_path / "calm")
    assert steps
    for i, step in enumerate(random.Random(1).sample(steps, min(STEPS_TRIED, len(steps)))):
        with Fault(name, step, no_memory if i % 2 else device_fails):
            session = Session(tmp_path / f"{i}")
        check(tmp_path / f"{i}", session, step)


def test_a_worker_lives_on_whatever_fails_and_who_waits_hears_of_it() -> None:
    """Also where it fails before the work itself begins, or after its end."""

    def outcomes(fault: Fault) -> tuple[list[object], Worker]:
        found: list[object] = []
        with fault:
            worker = Worker("one-that-is-tried")
            for work in (lambda: 1, lambda: 1 / 0, lambda: 3):
                try:
                    found.append(worker.begin(work).outcome(5))
                except Exception as error:
                    found.append(type(error))
        return found, worker

    none = Fault("one-that-is-tried")
    assert outcomes(none)[0] == [1, ZeroDivisionError, 3]
    for step in list(none.steps)[1:]:  # the first one is the thread's own beginning
        found, worker = outcomes(Fault("one-that-is-tried", step))
        assert {MemoryError, 1, ZeroDivisionError, 3} >= set(found), step
        assert worker.begin(lambda: 4).outcome(5) == 4, step

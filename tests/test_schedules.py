"""Two threads at once, by schedule: whatever step of the one the other comes in at, the store stays true."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage.journal import FULL_BYTES
from tests.schedules import Ran, schedules

OPENED, PAID = ek.NewEvent(type="Opened"), ek.NewEvent(type="Paid")
MINE = uuid.UUID(int=7)
HANDLE = ("store.py", "log/log.py", "log/opening.py", "log/writer.py", "storage/lifecycle.py")
Store = ek.EventStore


def in_memory() -> Store:
    store = Store()
    store.append("a-1", OPENED)
    return store


class Folders:
    """Makes a store in a new folder each time."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0

    def __call__(self) -> tuple[Path, Store]:
        self._count += 1
        folder = self._root / str(self._count)
        store = Store(folder, fsync=False)
        store.append("a-1", OPENED)
        return folder, store


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def types(store: Store) -> list[str]:
    return [event.type for event in store.read()]


# -- ask and append ----------------------------------------------------------------------------------------------------


def ask(store: Store) -> object:
    return [event.type for event in store.read(as_of=MINE)]


def append_mine(store: Store) -> object:
    return store.append("a-1", ek.NewEvent(type="Paid", id=MINE))


@pytest.mark.parametrize("append_is_stopped", [False, True])
def test_who_asks_for_an_id_while_it_is_appended_does_not_have_it_stored_again(append_is_stopped: bool) -> None:
    """It is the first id that is supplied at all: that there is none is remembered, and must not be too long."""
    pair = (append_mine, ask) if append_is_stopped else (ask, append_mine)
    for ran in schedules(in_memory, *pair, steps="call" if append_is_stopped else "line"):
        asked = ran.second if append_is_stopped else ran.first
        assert asked == ["Opened", "Paid"] or isinstance(asked, ek.MomentError), asked
        with ran.world as store:
            assert store.append("a-1", ek.NewEvent(type="Paid", id=MINE)).replayed
            assert ask(store) == types(store) == ["Opened", "Paid"]


def until_it_waits(thread: threading.Thread) -> None:
    while sys._current_frames()[thread.ident or 0].f_code.co_name != "wait":
        time.sleep(0.001)


def test_an_id_that_is_supplied_is_not_made_for_the_commit_behind_it() -> None:
    """Also where both are stored in one go, because they waited for the same moment."""
    may_go_on = threading.Event()
    may_go_on.set()

    def clock() -> datetime:
        may_go_on.wait()
        return datetime(2026, 1, 5, tzinfo=UTC)

    with Store(clock=clock, seed=1) as twin:
        ids = [twin.append("a-1", OPENED).events[0].id for _ in range(3)]
    with Store(clock=clock, seed=1) as store:
        may_go_on.clear()
        for event in (OPENED, ek.NewEvent(type="Paid", id=ids[2]), OPENED):
            thread = threading.Thread(target=store.append, args=("a-1", event), daemon=True)
            thread.start()
            until_it_waits(thread)
        may_go_on.set()
        store.wait_until(3)
        assert [event.id for event in store.read()][:2] == [ids[0], ids[2]]
        assert len({event.id for event in store.read()}) == 3


# -- append and close --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("append_is_stopped", [False, True])
def test_an_append_beside_a_close_is_stored_or_refused(folders: Folders, append_is_stopped: bool) -> None:
    def append(world: tuple[Path, Store]) -> object:
        return world[1].append("a-1", PAID)

    def close(world: tuple[Path, Store]) -> object:
        return world[1].close()

    for ran in schedules(folders, *((append, close) if append_is_stopped else (close, append)), within=HANDLE):
        appended, closed = (ran.first, ran.second) if append_is_stopped else (ran.second, ran.first)
        assert closed is None, closed
        assert isinstance(appended, (ek.StoreClosedError, ek.OutcomeUnknownError)) or appended.version == 2, appended
        with Store(ran.world[0], read_only=True) as store:
            there = types(store)
        if not isinstance(appended, ek.OutcomeUnknownError):
            assert there == (["Opened"] if isinstance(appended, Exception) else ["Opened", "Paid"]), appended


def test_two_who_close_both_find_it_closed(folders: Folders) -> None:
    def close(world: tuple[Path, Store]) -> object:
        world[1].close()
        return {path.name: path.stat().st_size for path in world[0].iterdir()}

    for ran in schedules(folders, close, close, within=HANDLE):
        assert 0 < ran.first["journal"] < FULL_BYTES
        assert ran.first == ran.second


# -- open and close, supersede and read --------------------------------------------------------------------------------


def open_again(world: tuple[Path, Store]) -> Any:
    return Store(world[0], fsync=False)


def gone_on(ran: Ran[tuple[Path, Store]]) -> list[str]:
    """What there is after the store that was opened again has gone on."""
    opened = ran.first if isinstance(ran.first, Store) else ran.second
    assert isinstance(opened, Store), opened
    with opened:
        opened.append("a-1", PAID)
        return types(opened)


@pytest.mark.parametrize("opening_is_stopped", [False, True])
def test_a_store_that_is_closed_while_it_is_opened_again_is_open_once(
    folders: Folders, opening_is_stopped: bool
) -> None:
    def close(world: tuple[Path, Store]) -> object:
        return world[1].close()

    for ran in schedules(folders, *((open_again, close) if opening_is_stopped else (close, open_again)), within=HANDLE):
        assert gone_on(ran) == ["Opened", "Paid"]
        assert None in (ran.first, ran.second), (ran.first, ran.second)
        with pytest.raises(ek.StoreClosedError):
            ran.world[1].append("a-1", PAID)


@pytest.mark.parametrize("reading_is_stopped", [False, True])
def test_who_reads_through_a_store_that_is_superseded_notices_nothing(
    folders: Folders, reading_is_stopped: bool
) -> None:
    def read(world: tuple[Path, Store]) -> object:
        return types(world[1]), world[1].position, world[1].version("a-1")

    for ran in schedules(folders, *((read, open_again) if reading_is_stopped else (open_again, read)), within=HANDLE):
        assert gone_on(ran) == ["Opened", "Paid"]
        assert (["Opened"], 1, 1) in (ran.first, ran.second), (ran.first, ran.second)
        with ran.world[1] as older:
            assert types(older) == ["Opened", "Paid"]


# -- follow and append -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("append_is_stopped", [False, True])
def test_who_begins_to_follow_while_another_appends_misses_nothing(append_is_stopped: bool) -> None:
    def follow(store: Store) -> object:
        seen: list[int] = []
        store.subscribe(lambda event: seen.append(event.position))
        return seen

    def append(store: Store) -> object:
        return store.append("a-1", PAID).position

    for ran in schedules(in_memory, *((append, follow) if append_is_stopped else (follow, append))):
        seen = ran.second if append_is_stopped else ran.first
        with ran.world as store:
            store.wait_until(2)
            assert seen == [1, 2]
            assert [event.position for event in store.follow(timeout=0)] == [1, 2]

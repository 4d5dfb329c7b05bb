"""Stores in folders: one writer, readers beside it, handles that are replaced, and folders that cannot be stores."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import eventsourcing_kit as ek
from tests.faults import log_of


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def run(code: str, *arguments: object) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip()


@pytest.fixture
def written(folder: Path) -> Iterator[ek.EventStore]:
    """A folder store with three events."""
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", [noted(1), noted(2)])
        store.append("b-1", noted(3))
        yield store


# made and opened again


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux lists a process's open files there")
@pytest.mark.parametrize("read_only", [False, True])
def test_a_closed_store_holds_no_file_open(folder: Path, read_only: bool) -> None:
    """Not one, or a notebook that opens a folder again and again would run out of them."""
    ek.EventStore(folder, fsync=False).close()

    def held() -> list[str]:
        links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        return [str(link.readlink()) for link in links if link.is_symlink() and str(folder) in str(link.readlink())]

    for _ in range(3):
        with ek.EventStore(folder, fsync=False, read_only=True) if read_only else ek.EventStore(folder) as store:
            assert store.position == 0
        assert held() == []


@pytest.mark.parametrize("fsync", [True, False])
def test_what_was_appended_is_there_when_the_folder_is_opened_again(folder: Path, fsync: bool) -> None:
    """Events, versions, receipts' numbers, and the store goes on from there."""
    with ek.EventStore(folder, fsync=fsync) as store:
        store.append("a-1", [noted(1), noted(2)], metadata={"by": "ada"})
        before = list(store.read())
    with ek.EventStore(str(folder), fsync=fsync) as store:
        assert list(store.read()) == before
        assert (store.position, store.version("a-1")) == (2, 2)
        assert store.append("a-1", noted(3), expected_version=2).position == 3
    with ek.EventStore(folder, read_only=True) as store:
        assert [event.data["n"] for event in store.read()] == [1, 2, 3]


@pytest.mark.processes
def test_an_append_is_there_although_the_process_dies_at_once(folder: Path) -> None:
    """No close, no exit handlers: what append returned is stored."""
    code = """
        import os, sys, eventsourcing_kit as ek
        store = ek.EventStore(sys.argv[1], fsync=False)
        for n in range(5):
            store.append("a", ek.NewEvent(type="Noted", data={"n": n}))
        print(store.position, flush=True)
        os._exit(0)
    """
    assert run(code, folder) == "5"
    with ek.EventStore(folder, fsync=False) as store:
        assert [event.data["n"] for event in store.read()] == list(range(5))


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    """With its parents; `~` and relative paths are understood."""
    deep = tmp_path / "a" / "b" / "ä 😀"
    with ek.EventStore(deep, fsync=False) as store:
        store.append("a", noted())
    with ek.EventStore(deep, read_only=True) as store:
        assert store.position == 1


def test_close_is_safe_to_call_twice_and_ends_everything(folder: Path) -> None:
    """Afterwards every call says so, and reads that were made before as well."""
    store = ek.EventStore(folder, fsync=False)
    store.append("a", noted())
    read = store.read()
    store.close()
    store.close()
    counting = ek.Projection("counting", initial=int)
    for call in (
        lambda: store.append("a", noted()),
        lambda: store.read(),
        lambda: store.position,
        lambda: store.version("a"),
        lambda: store.streams(),
        lambda: store.replay(counting),
        lambda: list(read),
        lambda: read.df(),
    ):
        with pytest.raises(ek.StoreClosedError, match="open it again with EventStore"):
            call()
    assert "closed" in repr(store)


@pytest.mark.processes
def test_a_store_that_is_never_closed_lets_the_process_end_quietly(folder: Path) -> None:
    """In memory and in a folder, also with a reader beside it and a read begun."""
    code = """
        import sys, eventsourcing_kit as ek
        stores = [ek.EventStore(), ek.EventStore(sys.argv[1], fsync=False)]
        for store in stores:
            store.append("a", [ek.NewEvent(type="Noted")] * 3)
        reader = ek.EventStore(sys.argv[1], read_only=True)
        begun = iter(reader.read())
        print(next(begun).position)
    """
    assert run(code, folder) == "1"


# reading beside a writer


def test_a_reader_beside_a_writer_sees_each_commit_and_fences_nobody(folder: Path, written: ek.EventStore) -> None:
    """Its view moves on at the start of each call."""
    with ek.EventStore(folder, read_only=True) as reader:
        for n in range(4, 12):
            written.append("a-1", noted(n))
            assert reader.position == n
            assert [event.data["n"] for event in reader.read()] == list(range(1, n + 1))
            assert reader.version("a-1") == n - 1


def test_a_readers_view_moves_on_only_at_the_start_of_a_call(folder: Path, written: ek.EventStore) -> None:
    """A read that was made before keeps its cut, even half-way through."""
    with ek.EventStore(folder, read_only=True) as reader:
        read = reader.read()
        begun = iter(reader.read())
        first = next(begun)
        written.append("a-1", [noted(4), noted(5)])
        assert [first.position, *(event.position for event in begun)] == [1, 2, 3]
        assert [event.position for event in read] == [1, 2, 3]
        assert reader.position == 5
        assert [event.position for event in read] == [1, 2, 3]


def test_a_reader_leaves_no_threads_behind(folder: Path, written: ek.EventStore) -> None:
    """However often its view moved on."""
    with ek.EventStore(folder, read_only=True) as reader:
        written.append("a", noted())
        assert reader.position == 4
        before = threading.active_count()
        for n in range(10):
            written.append("a", noted())
            assert reader.position == 5 + n
        assert threading.active_count() <= before + 1


def test_a_reader_writes_nothing(folder: Path, written: ek.EventStore) -> None:
    """Every way to write is refused, with the way out."""
    import pandas as pd

    frame = pd.DataFrame({"s": ["a"], "t": ["T"], "at": [pd.Timestamp("2026-01-05", tz="UTC")]})
    with ek.EventStore(folder, read_only=True) as reader:
        for call in (
            lambda: reader.append("a", noted()),
            lambda: reader.append_many([ek.Append("a", noted())]),
            lambda: reader.load(frame, stream="s", type="t", recorded_at="at"),
        ):
            with pytest.raises(ek.ReadOnlyError, match="open it without"):
                call()
        assert "read_only" in repr(reader)
    assert written.append("a", noted()).position == 4


def test_read_only_never_makes_a_store(tmp_path: Path) -> None:
    """Neither where there is nothing, nor in an empty folder, nor in memory."""
    (tmp_path / "empty").mkdir()
    before = files_below(tmp_path)
    for path in (tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(ek.StorageError, match="holds no event store"):
            ek.EventStore(path, read_only=True)
    with pytest.raises(ek.InputError, match="read_only"):
        ek.EventStore(read_only=True)
    assert files_below(tmp_path) == before


@pytest.mark.processes
def test_readers_of_another_process_see_the_writers_commits(folder: Path, written: ek.EventStore) -> None:
    """And the writer goes on writing."""
    code = """
        import sys, eventsourcing_kit as ek
        with ek.EventStore(sys.argv[1], read_only=True) as reader:
            print(reader.position, [event.data["n"] for event in reader.read()])
    """
    assert run(code, folder) == "3 [1, 2, 3]"
    written.append("a-1", noted(4))
    assert run(code, folder) == "4 [1, 2, 3, 4]"


# a second writer


def test_opening_again_in_the_same_process_replaces_the_old_handle_quietly(folder: Path) -> None:
    """As a cell does that is run again; the old handle still reads, and closes without a word."""
    handles = []
    for n in range(4):
        store = ek.EventStore(folder, fsync=False)
        store.append("a", noted(n))
        handles.append(store)
    for old in handles[:-1]:
        with pytest.raises(ek.SupersededError, match="another writer opened the store"):
            old.append("a", noted())
        assert [event.data["n"] for event in old.read()] == [0, 1, 2, 3]
        old.close()
    assert handles[-1].append("a", noted(4)).position == 5
    handles[-1].close()


@pytest.mark.processes
def test_a_second_writer_in_another_process_wins(folder: Path, written: ek.EventStore) -> None:
    """The older one's next append says so; it still reads, the newer one's events too, and its close is quiet."""
    code = """
        import sys, eventsourcing_kit as ek
        with ek.EventStore(sys.argv[1], fsync=False) as newer:
            newer.append("a-1", ek.NewEvent(type="Noted", data={"n": 4}))
            print(newer.position)
    """
    assert run(code, folder) == "4"
    for _ in range(2):
        with pytest.raises(ek.SupersededError, match="another writer opened the store"):
            written.append("a-1", noted(5))
    assert [event.data["n"] for event in written.read()] == [1, 2, 3, 4]
    assert written.position == 4
    written.close()
    with ek.EventStore(folder, fsync=False) as again:
        assert again.append("a-1", noted(5)).position == 5


@pytest.mark.processes
def test_two_processes_take_turns(folder: Path) -> None:
    """Each opening wins; nothing is lost and nothing stands twice."""
    code = """
        import sys, eventsourcing_kit as ek
        store = ek.EventStore(sys.argv[1], fsync=False)
        print(store.append("a", ek.NewEvent(type="Noted", data={"n": int(sys.argv[2])})).position)
    """
    for n in range(3):
        assert run(code, folder, 2 * n) == str(2 * n + 1)
        with ek.EventStore(folder, fsync=False) as store:
            store.append("a", noted(2 * n + 1))
    with ek.EventStore(folder, read_only=True) as store:
        assert [event.data["n"] for event in store.read()] == list(range(6))


# fork


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_store_used_after_fork_raises_at_once(folder: Path, on_disk: bool) -> None:
    """In the child; the parent's goes on working."""
    store = ek.EventStore(folder if on_disk else None, fsync=False)
    store.append("a", noted())
    read = store.read()
    context = multiprocessing.get_context("fork")
    answers: Any = context.Queue()

    def child() -> None:
        for call in (
            lambda: store.append("a", noted()),
            lambda: store.position,
            lambda: list(store.read()),
            lambda: list(read),
            lambda: store.version("a"),
        ):
            try:
                call()
                answers.put("no error")
            except ek.StoreClosedError as error:
                answers.put(str(error))
        store.close()
        answers.put("closed")

    process = context.Process(target=child)
    process.start()
    found = [answers.get(timeout=20) for _ in range(6)]
    process.join(20)
    assert found[5] == "closed"
    assert all("forked" in answer for answer in found[:5]), found
    assert process.exitcode == 0
    assert store.append("a", noted()).position == 2
    store.close()


# folders that cannot be stores


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """It says so within a second, and the file is as it was."""
    file = tmp_path / "file"
    file.write_text("kept")
    for path in (file, file / "below"):
        start = time.monotonic()
        for read_only in (False, True):
            with pytest.raises(ek.StorageError):
                ek.EventStore(path, read_only=read_only)
        assert time.monotonic() - start < 5
    assert file.read_text() == "kept"


def test_a_folder_that_cannot_be_written_is_an_error_within_seconds(tmp_path: Path) -> None:
    """Where the system lets anybody be kept from writing; else in a folder that no one can make."""
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    impossible = Path("/proc/eventsourcing-kit") if os.geteuid() == 0 else locked / "store"
    start = time.monotonic()
    try:
        with pytest.raises(ek.StorageError, match="cannot be a store's folder"):
            ek.EventStore(impossible)
    finally:
        locked.chmod(0o700)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("path", ["", 5, "gs://bucket/bank", b"bytes", True])
def test_what_is_no_path_is_bad_input(path: Any) -> None:
    """With what to give instead."""
    with pytest.raises(ek.InputError):
        ek.EventStore(path)


@pytest.mark.parametrize("seed", [1.0, "1", True])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    """Or absent."""
    with pytest.raises(ek.InputError, match="seed"):
        ek.EventStore(seed=seed)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_finaliser_may_close_the_store_in_the_middle_of_an_append(folder: Path, on_disk: bool) -> None:
    """The garbage collector runs it in whichever thread it likes, also in the one that stores."""
    closes = False

    def clock() -> datetime:
        if closes:
            store.close()  # as the finaliser of an object that holds the store would
        return datetime.now(UTC)

    store = ek.EventStore(folder if on_disk else None, clock=clock)
    store.append("a", noted())
    closes = True
    assert store.append("a", noted()).position == 2
    closes = False
    deadline = time.monotonic() + 30
    while not log_of(store).life.is_closed:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if on_disk:
        with ek.EventStore(folder) as again:
            assert again.position == 2

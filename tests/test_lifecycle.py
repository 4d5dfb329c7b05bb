"""The life of a store's handle: openings that fail or have to wait, and folders that go away under it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eventsourcing_kit as ek

OPENED, PAID = ek.NewEvent(type="Opened"), ek.NewEvent(type="Paid")


# -- openings ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_an_opening_that_waits_for_its_storage_keeps_no_other_store_waiting(folder: Path) -> None:
    """Neither one in memory, nor in a folder, nor in another bucket's place."""
    with silent_server() as endpoint:

        def open_bucket() -> None:
            with contextlib.suppress(ek.EventSourcingError):
                ek.EventStore("s3://b/x", endpoint=endpoint, patience=5, access_key_id="a", secret_access_key="b")

        waiting = threading.Thread(target=open_bucket, daemon=True)
        waiting.start()
        with ek.EventStore() as in_memory, ek.EventStore(folder) as on_disk:
            in_memory.append("a-1", OPENED)
            on_disk.append("a-1", OPENED)
            assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()


@contextlib.contextmanager
def few_files(left: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for file in held[:left]:
            os.close(file)
        held = held[left:]
        yield
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def attempt(act: Callable[[], object]) -> object:
    """What it returns, or the kit's error that it raises."""
    try:
        return act()
    except ek.EventSourcingError as error:
        return error


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files")
@pytest.mark.parametrize("left", [0, 1, 3, 5])
def test_an_opening_that_fails_takes_nothing_or_says_so(folder: Path, left: int) -> None:
    """Here no more files can be opened; what the message says to do then works."""
    with ek.EventStore(folder) as first:
        first.append("a-1", OPENED)
        with few_files(left):
            second = attempt(lambda: ek.EventStore(folder, patience=2))
        stored = attempt(lambda: first.append("a-1", PAID))
        if isinstance(second, ek.EventStore):
            second.append("a-1", PAID)
            second.close()
        elif isinstance(stored, ek.EventSourcingError):
            assert isinstance(stored, ek.SupersededError)
            assert "taken over already" in str(second)
            assert "another writer" not in str(stored)
            assert [event.type for event in first.read()] == ["Opened"]
            with ek.EventStore(folder) as third:
                third.append("a-1", PAID)
    with ek.EventStore(folder, read_only=True) as reader:
        assert [event.type for event in reader.read()] == ["Opened", "Paid"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files")
def test_a_reader_that_could_not_look_looks_again(folder: Path, without_journal: None) -> None:
    """That there is something new to be seen is not forgotten where seeing it failed."""
    with ek.EventStore(folder) as writer, ek.EventStore(folder, read_only=True, patience=1) as reader:
        assert reader.position == 0
        writer.append("a-1", OPENED)
        with few_files(0), contextlib.suppress(ek.EventSourcingError):
            reader.position  # noqa: B018  # which looks
        assert reader.position == 1


# -- folders -----------------------------------------------------------------------------------------------------------


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def replaced(folder: Path) -> None:
    copy = folder.with_name("copy")
    with ek.EventStore(copy) as other:
        other.append("b-1", [OPENED, PAID, PAID])
    moved(folder)
    copy.rename(folder)


def emptied_again(folder: Path) -> None:
    moved(folder)
    folder.mkdir()


GOES: list[Callable[[Path], object]] = [moved, shutil.rmtree, replaced, emptied_again]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that is in use")
@pytest.mark.parametrize("go", GOES, ids=lambda go: go.__name__)
@pytest.mark.parametrize("fsync", [True, False])
def test_a_folder_that_goes_away_under_a_writer_is_told(
    folder: Path, go: Callable[[Path], object], fsync: bool
) -> None:
    """By appends and reads; and nothing is written to where it was, also not by the closing."""
    store = ek.EventStore(folder, fsync=fsync)
    store.append("a-1", OPENED)
    go(folder)
    there, before = folder.exists(), contents(folder)
    for act in (lambda: store.append("a-1", PAID), lambda: store.position, lambda: list(store.read())) * 2:
        with pytest.raises(ek.StorageError, match="was moved, deleted or replaced"):
            act()
    store.close()
    assert (folder.exists(), contents(folder)) == (there, before)
    elsewhere = folder.with_name("elsewhere")
    if elsewhere.exists():
        with ek.EventStore(elsewhere) as again:
            assert [event.type for event in again.read()] == ["Opened"]
            assert again.verify().ok


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that is in use")
def test_a_folder_that_was_brought_back_goes_on(folder: Path) -> None:
    """As the message says."""
    with ek.EventStore(folder) as store:
        moved(folder)
        with pytest.raises(ek.StorageError, match="bring it back"):
            store.append("a-1", OPENED)
        folder.with_name("elsewhere").rename(folder)
        store.append("a-1", OPENED)
    with ek.EventStore(folder) as again:
        assert again.position == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that is in use")
def test_a_store_is_made_where_another_was_moved_away_under_its_writer(folder: Path) -> None:
    """The older handle keeps nobody from it, and leaves it alone."""
    with ek.EventStore(folder) as older:
        older.append("a-1", OPENED)
        moved(folder)
        with ek.EventStore(folder) as newer:
            newer.append("b-1", [PAID, PAID])
            with pytest.raises(ek.SupersededError):
                older.append("a-1", PAID)
            older.close()
            assert newer.append("b-1", PAID).version == 3
    with ek.EventStore(folder) as again:
        assert [event.type for event in again.read()] == ["Paid"] * 3


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder that is in use")
def test_a_reader_whose_folder_is_gone_says_so(folder: Path) -> None:
    with ek.EventStore(folder) as writer:
        writer.append("a-1", OPENED)
    with ek.EventStore(folder, read_only=True) as reader:
        assert reader.position == 1
        moved(folder)
        with pytest.raises(ek.StorageError, match="was moved, deleted or replaced"):
            reader.position  # noqa: B018  # which looks
    assert not folder.exists()

"""Copies of a store that is open: consistent, verified, and never half of one that looks whole."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from tests.faults import log_of, table_of
from tests.processes.campaign import Process


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def filled(store: ek.EventStore) -> ek.EventStore:
    """Commits of one and of several streams, small and large, and a supplied id."""
    store.append("a-1", [noted(n) for n in range(3)], metadata={"by": "ada"})
    store.append_many([ek.Append("a-1", noted(3)), ek.Append("b-1", noted(4))])
    store.append("b-1", ek.NewEvent(type="Noted", data={"n": 5, "text": "x" * 5000}, id=uuid.UUID(int=7)))
    return store


def check(copied: ek.EventStore, store: ek.EventStore, upto: int) -> None:
    """The same store, as of a position."""
    assert list(copied.read()) == list(store.read(as_of=upto))
    assert log_of(copied).store_id == log_of(store).store_id
    assert copied.verify().ok


KINDS: dict[str, Callable[[Path], ek.EventStore]] = {
    "memory": lambda folder: filled(ek.EventStore()),
    "writer": lambda folder: filled(ek.EventStore(folder, fsync=False)),
    "opened again": lambda folder: (filled(ek.EventStore(folder, fsync=False)).close(), ek.EventStore(folder))[1],
    "reader": lambda folder: (filled(ek.EventStore(folder, fsync=False)), ek.EventStore(folder, read_only=True))[1],
    "superseded": lambda folder: (filled(ek.EventStore(folder, fsync=False)), ek.EventStore(folder))[0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_all_that_the_store_has(folder: Path, tmp_path: Path, kind: str) -> None:
    """Of whatever kind the handle is; and it is a store to go on with."""
    with KINDS[kind](folder) as store:
        report = ek.copy(store, tmp_path / "copy")
        assert (report.position, report.digest) == (6, store.verify().digest)
        with ek.EventStore(tmp_path / "copy") as copied:
            check(copied, store, 6)
            assert copied.append("b-1", noted(6), expected_version=2).position == 7
        assert store.position == 6


def test_a_copy_of_a_copy_and_of_a_store_without_events(tmp_path: Path) -> None:
    """An empty store has an id already, and keeps it."""
    with ek.EventStore() as store:
        ek.copy(store, tmp_path / "one")
        with ek.EventStore(tmp_path / "one", read_only=True) as one:
            assert ek.copy(one, tmp_path / "two").position == 0
        with ek.EventStore(tmp_path / "two") as two:
            assert log_of(two).store_id == log_of(store).store_id


def test_a_copy_made_while_others_append_is_one_moment_of_the_log(folder: Path, tmp_path: Path) -> None:
    """With the journal moving on into SlateDB meanwhile; and no append waits for the copy to end."""
    over = threading.Event()
    with ek.EventStore(folder, fsync=False) as store:
        filled(store)

        def go_on() -> None:
            n = 0
            while not over.is_set():
                store.append(f"c-{n % 3}", ek.NewEvent(type="Noted", data={"n": n, "text": "y" * 9000}))
                n += 1

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            for n in range(3):
                before = store.position
                report = ek.copy(store, tmp_path / f"copy {n}")
                assert before <= report.position <= store.position
        finally:
            over.set()
            thread.join()
        for n in range(3):
            with ek.EventStore(tmp_path / f"copy {n}") as copied:
                check(copied, store, copied.position)


def test_checkpoints_and_snapshots_go_along(folder: Path, tmp_path: Path) -> None:
    """So a subscription by name goes on where it was, and is not behind events that the copy lacks."""
    total = ek.Projection("total of copies", initial=lambda: 0, snapshots=2)
    total.on("Noted")(lambda state, event: state + event["n"])
    with filled(ek.EventStore(folder, fsync=False)) as store:
        with store.subscribe(lambda event: None, name="mail") as subscription:
            subscription.wait_until(6)
        store.take_snapshots(total)
        ek.copy(store, tmp_path / "copy")
        kept = len(store.snapshots(total))
    with ek.EventStore(tmp_path / "copy") as copied:
        assert len(copied.snapshots(total)) == kept > 0
        seen: list[int] = []
        copied.append("a-1", noted(7))
        with copied.subscribe(lambda event: seen.append(event.position), name="mail") as subscription:
            subscription.wait_until(7)
        assert seen == [7]


def test_a_place_that_holds_something_is_refused(folder: Path, tmp_path: Path) -> None:
    """And left as it is; so is the store's own folder, and a place in it."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with filled(ek.EventStore(folder, fsync=False)) as store:
        ek.copy(store, tmp_path / "copy")
        for into in ("full", "file", "copy", "store", "store/within"):
            with pytest.raises(ek.InputError, match=r"new or empty folder|another folder"):
                ek.copy(store, tmp_path / into)
        with pytest.raises(ek.InputError, match="into='a new folder'"):
            ek.copy(store, None)  # type: ignore[arg-type]
        with pytest.raises(ek.InputError, match="is no store"):
            ek.copy(folder, tmp_path / "new")  # type: ignore[arg-type]
        assert store.verify().ok
    assert (tmp_path / "full" / "note").read_text() == (tmp_path / "file").read_text() == "mine"
    with pytest.raises(ek.StoreClosedError):
        ek.copy(store, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_copy_whose_process_is_killed_cannot_be_opened_and_can_be_made_again(folder: Path, tmp_path: Path) -> None:
    """After any write of it; the error says what to do, and that works."""
    into = tmp_path / "copy"
    with filled(ek.EventStore(folder, fsync=False)) as store:
        for writes in (1, 2):
            process = Process("tests.processes.copy", folder, into, writes)
            assert process.wait() == -9, process.errors
            for read_only in (True, False):
                with pytest.raises(ek.StorageError, match="not finished: remove what is there, and copy again"):
                    ek.EventStore(into, read_only=read_only)
            with pytest.raises(ek.InputError, match="new or empty"):
                ek.copy(store, into)
            for path in sorted(into.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        assert ek.copy(store, into).position == 6


def test_a_copy_of_what_is_damaged_fails_and_leaves_nothing(tmp_path: Path) -> None:
    """The error says so; the place can be used again."""
    with filled(ek.EventStore()) as store:
        table_of(store).write([(b"z" + (4).to_bytes(8, "big"), None)], flush=False)
        with pytest.raises(ek.EventSourcingError, match=r"hole at position 4|not sound"):
            ek.copy(store, tmp_path / "copy")
        assert not any((tmp_path / "copy").iterdir())
    with filled(ek.EventStore()) as store:
        assert ek.copy(store, tmp_path / "copy").ok

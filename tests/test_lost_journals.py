"""A journal that is missing, cut short, emptied or another store's is missed; and no crash looks like one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage import device, journal, journal_entries, marker
from tests.faults import Kills, after_another_boot
from tests.power import ROOT

pytestmark = pytest.mark.skipif(not device.HAS_LOCKS, reason="this system has no locks for files, and no journals")
_SESSION = """
import os, sys
import eventsourcing_kit as ek
store = ek.EventStore(sys.argv[1], fsync=sys.argv[3] == "True")
for n in range(store.position, store.position + int(sys.argv[2])):
    store.append("a-1", ek.NewEvent(type="Noted", data={"n": n}))
os._exit(0)
"""
CLOSED, KILLED = 5, 20


def killed(folder: Path, commits: int = KILLED, *, fsync: bool = True) -> None:
    """A process appends and dies without closing the store; all of it was acknowledged."""
    command = [sys.executable, "-c", _SESSION, str(folder), str(commits), str(fsync)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)


def closed(folder: Path, commits: int = CLOSED) -> None:
    with ek.EventStore(folder) as store:
        for n in range(store.position, store.position + commits):
            store.append("a-1", ek.NewEvent(type="Noted", data={"n": n}))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a writer that stored five events and closed, then twenty more and was killed; beside it, an older journal."""
    folder = tmp_path_factory.mktemp("left") / "store"
    closed(folder)
    killed(folder, KILLED - 1)
    shutil.copy(journal.path(folder), folder.with_name("older"))
    killed(folder, 1)
    killed(folder.with_name("another"), KILLED)
    return folder


@pytest.fixture
def copied(left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left, tmp_path / "store"))


def deleted(path: Path, left: Path) -> None:
    path.unlink()


def emptied(path: Path, left: Path) -> None:
    os.truncate(path, 0)


def zeroed(path: Path, left: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def used(path: Path) -> int:
    return len(path.read_bytes().rstrip(b"\0"))


def cut_in_the_middle(path: Path, left: Path) -> None:
    os.truncate(path, used(path) // 2)


def cut_behind_its_beginning(path: Path, left: Path) -> None:
    os.truncate(path, journal_entries.START.size)


def cut_by_a_byte(path: Path, left: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def without_its_last_half(path: Path, left: Path) -> None:
    """As if those commits had never been."""
    content = path.read_bytes()
    key = journal_entries.key_of(content) or b""
    ends = [entry.end for entry in journal_entries.follow(content, journal_entries.START.size, key)]
    path.write_bytes(content[: ends[len(ends) // 2]].ljust(len(content), b"\0"))


def an_older_one(path: Path, left: Path) -> None:
    shutil.copy(left.with_name("older"), path)


def that_of_another_store(path: Path, left: Path) -> None:
    shutil.copy(journal.path(left.with_name("another")), path)


WAYS = [
    deleted, emptied, zeroed, cut_in_the_middle, cut_behind_its_beginning, cut_by_a_byte, without_its_last_half,
    an_older_one, that_of_another_store,
]  # fmt: skip


def sizes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("way", WAYS)
def test_a_journal_that_is_not_as_it_was_left_is_named(
    copied: Path, left: Path, way: Callable[[Path, Path], None]
) -> None:
    """By who reads and by who would write; nothing goes away, and a rescue gives what there is."""
    way(journal.path(copied), left)
    before = sizes(copied)
    for read_only in (True, False, False):
        with pytest.raises(ek.DamagedError, match=r"journal .*ek\.rescue") as raised:
            ek.EventStore(copied, read_only=read_only)
        assert raised.value.files == ["journal"]
    assert {**sizes(copied), **before, "end": 0} == {**sizes(copied), "end": 0}
    with ek.rescue(copied) as saved:
        found = [event.data["n"] for event in saved.read()]
        assert found == list(range(len(found)))
        assert CLOSED <= len(found) <= CLOSED + KILLED


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_journal_put_into_a_closed_store_is_refused_and_the_cure_works(
    left: Path, tmp_path: Path, is_noted: bool
) -> None:
    """Whoever copies it in must not find another store's events in his own, noted or not."""
    closed(tmp_path / "store")
    if not is_noted:
        (tmp_path / "store" / marker.NAME).unlink()
    that_of_another_store(journal.path(tmp_path / "store"), left)
    for read_only in (True, False):
        with pytest.raises(ek.DamagedError, match="Move journal out of the folder"):
            ek.EventStore(tmp_path / "store", read_only=read_only)
    journal.path(tmp_path / "store").rename(tmp_path / "moved")
    with ek.EventStore(tmp_path / "store") as store:
        assert store.position == CLOSED
        assert store.verify().ok


def test_a_store_without_fsync_misses_its_journal_too(tmp_path: Path) -> None:
    """What was killed is there on the same boot, whatever was synced."""
    killed(tmp_path / "store", fsync=False)
    journal.path(tmp_path / "store").unlink()
    with pytest.raises(ek.DamagedError, match="journal is missing"):
        ek.EventStore(tmp_path / "store")


def test_a_power_cut_may_take_what_was_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which `fsync=False` asks for; so that is no damage, and the store goes on."""
    killed(tmp_path / "store", fsync=False)
    without_its_last_half(journal.path(tmp_path / "store"), tmp_path)
    after_another_boot(monkeypatch)
    with ek.EventStore(tmp_path / "store") as store:
        there = store.position
        assert 0 < there < KILLED
        store.append("a-1", ek.NewEvent(type="Noted", data={"n": there}))
        assert store.verify().ok
    with ek.EventStore(tmp_path / "store") as store:
        assert store.position == there + 1


def test_a_count_that_a_power_cut_tore_harms_nothing(copied: Path) -> None:
    """It is written over in place, and never synced."""
    path = copied / marker.NAME
    path.write_bytes(b"\0" * 9 + path.read_bytes()[9:])
    assert marker.read(copied).count == 0
    with ek.EventStore(copied) as store:
        assert store.position == CLOSED + KILLED


def test_of_what_an_older_kit_left_all_is_read(copied: Path) -> None:
    """A folder's two files of then, and a journal of which nothing was noted."""
    fields = {name: value for name, value in vars(marker.read(copied)).items() if name in _OLD}
    (copied / marker.OLD_NAME).write_text(json.dumps(fields))
    end = marker.read(copied).end
    assert end is not None
    (copied / marker.NAME).write_text(f"{end[0]} {end[1]}\n")
    with ek.EventStore(copied, read_only=True) as reader:
        assert reader.verify().ok
    with ek.EventStore(copied) as store:
        assert store.position == CLOSED + KILLED
        assert store.verify().ok
    assert not (copied / marker.OLD_NAME).exists()


_OLD = ("boot", "writer", "manifest", "written_through", "wal", "syncs", "position", "fences")


def test_killed_at_any_moment_all_that_was_acknowledged_is_there_and_nothing_is_missed(tmp_path: Path) -> None:
    """While a store is made, written, closed, opened again, and taken over from who was killed."""
    folder = tmp_path / "store"
    with Kills(folder, tmp_path / "left") as kills:
        for _ in range(2):
            with ek.EventStore(folder) as store:
                for _ in range(3):
                    kills.note = store.append("a-1", ek.NewEvent(type="Noted")).position
                    kills.copy()
    assert len(kills.left) > 20
    for copy, acknowledged in kills.left:
        with ek.EventStore(copy) as store:
            assert store.position >= acknowledged, copy
            assert store.verify().ok, copy
            store.append("a-1", ek.NewEvent(type="Noted"))


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("way", [emptied, zeroed, cut_in_the_middle, without_its_last_half])
def test_who_has_the_store_open_hears_of_it_from_verify(
    copied: Path, left: Path, way: Callable[[Path, Path], None], read_only: bool
) -> None:
    """Though this handle still knows every event."""
    with ek.EventStore(copied, read_only=read_only) as store:
        assert store.verify().ok
        way(journal.path(copied), left)
        report = store.verify()
        assert (report.ok, report.first_bad) == (False, 0)
        assert "journal" in report.findings[0].wrong

"""Damaged folders: the file is named, nothing is read over a hole, and every event before the damage can be saved."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage import marker, wal
from tests.faults import limit, table_of, without_locks, write_tables

WAYS: dict[str, Callable[[bytes], bytes] | None] = {
    "missing": None,
    "empty": lambda content: b"",
    "five bytes": lambda content: content[:5],
    "cut off": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "flipped": lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
    "flipped end": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
}


def noted(n: int) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve commits of one event: four in a table, and the rest, of two sessions, in the write-ahead log."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    with pytest.MonkeyPatch.context() as patch:
        without_locks(patch)  # no journal, so each commit has a file
        with ek.EventStore(folder, seed=1) as store:
            for n in range(9):
                store.append(f"a-{n % 2}", noted(n))
                if n == 3:
                    write_tables(store)
        with ek.EventStore(folder, seed=1) as store:
            for n in range(9, 12):
                store.append(f"a-{n % 2}", noted(n))
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "store"))


def damage(file: Path, way: str) -> None:
    change = WAYS[way]
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_rescue(folder: Path, position: int, way: str) -> None:
    """The rescue has exactly the events before the damage, and leaves the folder alone."""
    before = contents(folder)
    rescued = ek.rescue(folder)
    assert [event.data["n"] for event in rescued.read()] == list(range(position)), way
    assert contents(folder) == before
    rescued.close()


def oldest_after_the_table(folder: Path) -> int:
    """The write-ahead file of the fifth commit."""
    return next(
        number for number in sorted(wal.sizes(folder)) if wal.sizes(folder)[number] and _first(folder, number) == 5
    )


def _first(folder: Path, number: int) -> int:
    held = wal.positions(folder, number)
    return held[0] if held else 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("position", "which"), [(5, "oldest"), (7, "middle"), (12, "newest")])
def test_a_damaged_write_ahead_file_is_named_and_what_comes_before_is_saved(
    copied: Path, way: str, position: int, which: str
) -> None:
    """Neither a writer nor a reader opens such a store as if nothing were missing."""
    by_position = {_first(copied, number): number for number, size in wal.sizes(copied).items() if size}
    file = wal.path(copied, by_position[position])
    damage(file, way)
    for read_only in (True, False):
        with pytest.raises(ek.DamagedError, match="damaged") as raised:
            ek.EventStore(copied, read_only=read_only)
        lost_end = which == "newest" and way in ("missing", "empty")
        assert raised.value.files == ["log/wal" if lost_end else f"log/wal/{file.name}"]
        assert "ek.rescue(" in str(raised.value)
    check_rescue(copied, position - 1, way)


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_table_is_named(copied: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commits may still stand in the write-ahead log, and are saved from there; else nothing can be."""
    limit(monkeypatch, rescue_seconds=0.2)  # SlateDB can wait for ever there
    (table,) = (copied / "log" / "compacted").iterdir()
    damage(table, way)
    with pytest.raises(ek.DamagedError) as raised:
        ek.EventStore(copied)
    assert raised.value.files == [f"log/compacted/{table.name}"]
    check_rescue(copied, 12, way)
    for number in range(1, oldest_after_the_table(copied)):
        wal.path(copied, number).unlink()
    if way == "flipped end":  # the manifest knows what the table's end says
        check_rescue(copied, 12, way)
        return
    with pytest.raises(ek.StorageError, match="nothing to rescue"):
        ek.rescue(copied)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "missing"])
def test_a_damaged_manifest_is_named(copied: Path, way: str) -> None:
    """A rescue needs none."""
    newest = max((copied / "log" / "manifest").iterdir())
    damage(newest, way)
    with pytest.raises(ek.DamagedError) as raised:
        ek.EventStore(copied)
    assert raised.value.files == [f"log/manifest/{newest.name}"]
    check_rescue(copied, 12, way)


def test_missing_manifests_are_named(copied: Path) -> None:
    """The newest, as far as the marker knows it; and all of them."""
    manifests = sorted((copied / "log" / "manifest").iterdir())
    known = marker.read(copied).manifest or 0
    for file in manifests:
        if int(file.stem) >= known:
            file.unlink()
    with pytest.raises(ek.DamagedError, match=f"{known:020d}.manifest is missing"):
        ek.EventStore(copied)
    for file in (copied / "log" / "manifest").iterdir():
        file.unlink()
    with pytest.raises(ek.DamagedError, match="manifest"):
        ek.EventStore(copied, read_only=True)
    check_rescue(copied, 12, "missing")


def test_damaged_notes_on_compactions_cost_nothing(copied: Path) -> None:
    """The error says that the folder may be moved away, and then the store opens."""
    newest = max((copied / "log" / "compactions").iterdir())
    newest.write_bytes(b"")
    with pytest.raises(ek.DamagedError, match="move the folder log/compactions away"):
        ek.EventStore(copied)
    shutil.move(copied / "log" / "compactions", copied.with_name("away"))
    with ek.EventStore(copied) as store:
        assert store.position == 12


@pytest.mark.usefixtures("without_journal")
def test_a_table_damaged_in_the_middle_gives_the_events_before(tmp_path: Path) -> None:
    """Block by block, where SlateDB can read that far."""
    folder = tmp_path / "store"
    with ek.EventStore(folder, fsync=False) as store:
        for n in range(60):
            store.append("a", ek.NewEvent(type="Noted", data={"n": n, "text": f"{n}" * 800}))
        write_tables(store)
    for number in list(wal.sizes(folder)):
        wal.path(folder, number).unlink()
    (table,) = (folder / "log" / "compacted").iterdir()
    content = bytearray(table.read_bytes())
    at = len(content) * 3 // 4
    content[at : at + 8] = bytes(byte ^ 255 for byte in content[at : at + 8])
    table.write_bytes(content)
    rescued = ek.rescue(folder)
    found = [event.data["n"] for event in rescued.read()]
    assert 0 < len(found) < 60
    assert found == list(range(len(found)))


# empty files


def test_an_empty_file_that_was_never_seen_is_no_hole_where_nothing_is_missing(copied: Path) -> None:
    """SlateDB marks each opening with one; the marker that knows them may be lost."""
    (copied / marker.NAME).unlink()
    with ek.EventStore(copied, read_only=True) as store:
        assert store.position == 12
    for _ in range(3):
        with ek.EventStore(copied, fsync=False) as store:
            (copied / marker.NAME).unlink()
    with ek.EventStore(copied) as store:
        assert store.append("a-0", noted(12)).position == 13


def test_a_hole_is_not_read_over_although_the_marker_is_lost(copied: Path) -> None:
    """The commits beside an empty file tell."""
    (copied / marker.NAME).unlink()
    by_position = {_first(copied, number): number for number, size in wal.sizes(copied).items() if size}
    wal.path(copied, by_position[10]).write_bytes(b"")  # the first commit of the second session, behind its mark
    for read_only in (True, False):
        with pytest.raises(ek.DamagedError, match="is empty, and the log lacks position 10"):
            ek.EventStore(copied, read_only=read_only)


def test_reads_look_for_holes_themselves(whole: Path, tmp_path: Path) -> None:
    """Whatever made them, and whichever way they are read."""
    with ek.EventStore(shutil.copytree(whole, tmp_path / "store")) as store:
        from eventsourcing_kit.storage import keys

        table_of(store).write([(keys.log(7), None), (keys.stream("a-0", 4), None)], flush=True)
        for read in (store.read(), store.read(backwards=True), store.read("a-0"), store.read("a-0", backwards=True)):
            with pytest.raises(ek.StorageError, match="hole"):
                list(read)
        table_of(store).write([(keys.log(12), None)], flush=True)
        for read in (store.read(after=7), store.read(after=7, backwards=True)):
            with pytest.raises(ek.StorageError, match="damaged"):
                list(read)


# rescue


@pytest.mark.usefixtures("without_journal")
def test_a_rescue_keeps_events_as_they_were_and_goes_on_in_a_new_folder(copied: Path, tmp_path: Path) -> None:
    """Positions, versions, times, ids and metadata; supplied ids are known again."""
    given = ek.NewEvent(
        type="Noted", data={"n": 12}, id="11111111-1111-4111-8111-111111111111", metadata={"by": "ada"},
        occurred_at="2026-01-05T09:00:00Z",
    )  # fmt: skip
    with ek.EventStore(copied) as store:
        store.append_many([ek.Append("b-1", given), ek.Append("b-2", [noted(13), noted(14)])])
        before = list(store.read())
        store.append("a-0", noted(15))
    newest = wal.path(copied, max(wal.sizes(copied)))
    damage(newest, "flipped")
    with ek.rescue(copied, into=tmp_path / "new") as rescued:
        assert list(rescued.read()) == before
        assert list(rescued.read("b-2")) == before[13:15]
        assert rescued.append("b-1", given).replayed
        assert rescued.append("b-1", noted(15), expected_version=1).position == 16
    with ek.EventStore(tmp_path / "new") as again:
        assert again.position == 16
        assert again.streams()["version"].sum() == 16


def test_a_rescue_without_a_folder_is_read_only(copied: Path) -> None:
    """It is in memory, and says how to go on."""
    with ek.rescue(copied) as rescued:
        assert rescued.position == 12
        assert "read_only" in repr(rescued)
        with pytest.raises(ek.ReadOnlyError, match="rescue it into a folder"):
            rescued.append("a", noted(1))
        assert rescued.streams()["version"].sum() == 12


def test_a_rescue_needs_a_store_and_a_folder_of_its_own(copied: Path, tmp_path: Path) -> None:
    """Nothing is overwritten and nothing is made in vain."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    for into in (tmp_path / "full", copied, copied / "below"):
        with pytest.raises(ek.InputError):
            ek.rescue(copied, into=into)
    with pytest.raises(ek.StorageError, match="holds no event store"):
        ek.rescue(tmp_path / "nothing", into=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_record_cut_out_of_the_chain_ends_a_rescue(copied: Path) -> None:
    """What follows upon another commit than the one before it is not taken for the log."""
    number = oldest_after_the_table(copied)
    by_position = {_first(copied, n): n for n, size in wal.sizes(copied).items() if size}
    shutil.copyfile(wal.path(copied, by_position[6]), wal.path(copied, number))
    with pytest.raises(ek.StorageError):
        list(ek.EventStore(copied, read_only=True).read())
    check_rescue(copied, 4, "replaced")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list a process's files")
def test_a_rescue_leaves_no_thread_and_no_open_file(copied: Path) -> None:
    """Also where it went as far into a damaged table as SlateDB does, and met the damage there."""
    (table,) = (copied / "log" / "compacted").iterdir()
    damage(table, "flipped")

    def held() -> int:
        return threading.active_count() + len(list(Path("/proc/self/fd").iterdir()))

    def rescued(times: int) -> None:
        for _ in range(times):
            ek.rescue(copied).close()

    rescued(2)  # which leave what the process keeps for all
    before = held()
    rescued(6)
    until = time.monotonic() + 10
    while held() > before + 2 and time.monotonic() < until:
        time.sleep(0.01)  # a thread that has done its last task takes a moment to end
    assert held() <= before + 2  # the library lists folders at times of its own

"""A folder that is opened again and again: as many files as before, and nothing lost to those who read beside."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventsourcing_kit as ek
from tests.faults import without_sync_flag


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def opened(folder: Path, times: int, *, fsync: bool = False, appends: int = 1) -> dict[str, int]:
    """Open, append and close so many times; how many files of each kind there are then."""
    for _ in range(times):
        with ek.EventStore(folder, fsync=fsync) as store:
            for n in range(appends):
                store.append(f"a-{n}", noted(store.position + 1))
    return {part.name: len(list(part.iterdir())) for part in (folder / "log").iterdir()}


@pytest.mark.parametrize("appends", [0, 2])
def test_many_openings_leave_no_more_files_than_some(folder: Path, appends: int) -> None:
    """Also where nothing is appended, and each opening only marks that it was one."""
    some = opened(folder, 16, appends=appends)
    many = opened(folder, 24, appends=appends)
    assert all(many[kind] <= some.get(kind, 0) + 9 for kind in many), (some, many)
    with ek.EventStore(folder) as store:
        assert store.position == 40 * appends
        assert [event.data["n"] for event in store.read()] == list(range(1, store.position + 1))
        assert appends == 0 or store.verify().ok


@pytest.mark.parametrize("writes_through", [True, False])
def test_openings_that_sync_leave_no_more_files_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch, writes_through: bool
) -> None:
    """Where the filesystem does not write through, what the manifest needs that is safe on the device stays besides."""
    if not writes_through:
        without_sync_flag(monkeypatch)
    some, many = opened(folder, 16, fsync=True), opened(folder, 16, fsync=True)
    assert all(many[kind] <= some.get(kind, 0) + 9 for kind in many), (some, many)
    with ek.EventStore(folder) as store:
        assert store.position == 32
        assert store.verify().ok


def test_a_read_that_began_before_many_openings_reads_on_to_its_end(folder: Path) -> None:
    """The tables from which it reads are merged and removed meanwhile."""
    opened(folder, 12, appends=8)
    with ek.EventStore(folder, read_only=True) as reader:
        reads = iter(reader.read())
        seen = [next(reads).position]
        opened(folder, 24)
        seen += [event.position for event in reads]
        assert seen == list(range(1, 97))
        assert reader.position == 120


def test_a_store_that_was_superseded_reads_on_after_many_openings(folder: Path) -> None:
    """By the files that are there now."""
    older = ek.EventStore(folder, fsync=False)
    older.append("a-1", noted(1))
    opened(folder, 24)
    assert [event.data["n"] for event in older.read()] == list(range(1, 26))
    older.close()


def test_after_many_openings_a_rescue_finds_every_event(folder: Path) -> None:
    """What is removed is all in tables that stay."""
    opened(folder, 40)
    with ek.rescue(folder) as saved:
        assert saved.position == 40

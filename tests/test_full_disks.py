"""Disks that take no more: an error within seconds that says so, and after room is made the store goes on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage import device, journal
from tests.faults import limit, on_device, without_sync_flag
from tests.power import ROOT

pytestmark = pytest.mark.processes


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def long_note(n: int) -> ek.NewEvent:
    """One that no journal takes, so that SlateDB must write a file."""
    return ek.NewEvent(type="Noted", data={"n": n, "text": random.Random(n).randbytes(journal.FULL_BYTES).hex()})


def mounted(folder: Path, *arguments: str) -> None:
    """Mount something at the folder, or skip the test."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk, on Linux")
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted(disk, "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are told after half a second that the storage does not answer."""
    limit(monkeypatch, patience=0.5, look_seconds=0.1)


def fill(disk: Path) -> Path:
    file = disk / "fill"
    with file.open("wb", buffering=0) as content:
        for size in (1 << 16, 1):
            try:
                while content.write(bytes(size)):
                    pass
            except OSError:
                continue
    return file


def repeat_until_stored(store: ek.EventStore, events: list[ek.NewEvent]) -> ek.Receipt:
    """What the error asks for."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return store.append("a", events)
        except (ek.OutcomeUnknownError, ek.StorageError):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fsync", [True, False])
def test_a_full_disk_is_an_error_that_says_so_and_the_store_goes_on(small_disk: Path, fsync: bool) -> None:
    """The append under way may be stored or not, those behind it are not; nothing is lost and nothing doubled."""
    with ek.EventStore(small_disk / "store", fsync=fsync) as store:
        store.append("a", noted(1))
        filler = fill(small_disk)
        with pytest.raises(ek.OutcomeUnknownError, match="is full") as unknown:
            store.append("a", long_note(2))
        with pytest.raises(ek.StorageError, match="is full"):
            store.append("a", noted(3))
        assert [event.data["n"] for event in store.read()] == [1]
        filler.unlink()
        assert repeat_until_stored(store, unknown.value.events).position == 2
        assert store.append("a", noted(3)).position == 3
    with ek.EventStore(small_disk / "store", fsync=fsync) as store:
        assert [event.data["n"] for event in store.read()] == [1, 2, 3]


def test_opening_on_a_full_disk_is_an_error_at_once(small_disk: Path) -> None:
    """A new store and an old one; both open when there is room."""
    with ek.EventStore(small_disk / "old") as store:
        store.append("a", noted(1))
    filler = fill(small_disk)
    for name in ("old", "new"):
        with pytest.raises(ek.StorageError, match="is full"):
            ek.EventStore(small_disk / name)
    with ek.EventStore(small_disk / "old", read_only=True) as reader:
        assert reader.position == 1
    filler.unlink()
    for name in ("old", "new"):
        with ek.EventStore(small_disk / name) as store:
            assert store.append("a", noted(2)).position == (2 if name == "old" else 1)


def test_a_limit_on_the_size_of_files_is_like_a_full_disk(folder: Path) -> None:
    """It needs no root: writes fail, and later they don't."""
    pytest.importorskip("resource", reason="this system has no such limit")
    code = """
        import resource, sys, time
        import eventsourcing_kit as ek
        from eventsourcing_kit.log import log
        from eventsourcing_kit.writing import writer
        log.PATIENCE_SECONDS, writer._LOOK_SECONDS = 0.5, 0.1
        store = ek.EventStore(sys.argv[1])
        store.append("a", ek.NewEvent(type="Noted"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            store.append("a", ek.NewEvent(type="Noted"))
        except ek.OutcomeUnknownError as unknown:
            events = unknown.events
        try:
            ek.EventStore(sys.argv[1] + "-other")
        except ek.StorageError as error:
            print("cannot" in str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for _ in range(100):
            try:
                print(store.append("a", events).position, store.position)
                break
            except ek.EventSourcingError:
                time.sleep(0.1)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "2", "2"], done.stderr


def test_a_marker_that_finds_no_room_waits_for_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk without the flag an acknowledgement may need one."""
    without_sync_flag(monkeypatch)
    limit(monkeypatch, device_seconds=0.01)
    failures = [OSError(28, "No space left on device")] * 3
    plain = device.write

    def write(path: Path, content: bytes, *, sync: bool) -> None:
        if failures:
            raise failures.pop()
        plain(path, content, sync=sync)

    with ek.EventStore(folder) as store:
        store.append("a", noted(1))
        on_device(monkeypatch, write=write)
        manifests = folder / "log" / "manifest"
        newest = max(manifests.iterdir())
        shutil.copyfile(newest, manifests / f"{int(newest.stem) + 1:020d}.manifest")
        assert store.append("a", long_note(2)).position == 2
        assert failures == []


def test_a_disk_that_is_read_only_can_be_read(tmp_path: Path) -> None:
    """A writer is refused at once."""
    with ek.EventStore(tmp_path / "store") as store:
        store.append("a", noted(1))
    disk = tmp_path / "read-only"
    disk.mkdir()
    mounted(disk, "--bind", str(tmp_path / "store"))
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
        with pytest.raises(ek.StorageError, match="cannot be a store's folder"):
            ek.EventStore(disk)
        with ek.EventStore(disk, read_only=True) as reader:
            assert reader.position == 1
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_an_error_at_once(folder: Path) -> None:
    """A reader needs none."""
    with ek.EventStore(folder) as store:
        store.append("a", noted(1))
    folder.chmod(0o500)
    try:
        with pytest.raises(ek.StorageError, match="cannot be a store's folder"):
            ek.EventStore(folder)
        with ek.EventStore(folder, read_only=True) as reader:
            assert reader.position == 1
    finally:
        folder.chmod(0o700)

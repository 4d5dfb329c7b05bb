"""Power cuts: what is acknowledged is on the device first, and after a cut a folder opens with all of it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage import device, marker, wal
from eventsourcing_kit.storage.slate import files
from tests.faults import after_another_boot, on_device, without_sync_flag, write_tables
from tests.power import ROOT, Machine


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def numbers(store: ek.EventStore) -> list[int]:
    return [event.data["n"] for event in store.read()]


@pytest.fixture
def plain_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filesystem that knows no flag for writing through."""
    without_sync_flag(monkeypatch)


def another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was started again."""
    after_another_boot(monkeypatch)


# the order of syncs and acknowledgements

_TRACED = """
    import os, sys
    import eventsourcing_kit as ek
    from eventsourcing_kit.storage import device, journal
    if sys.argv[3] == "plain":
        device.set_sync_flag = lambda path, on: False
    journal.FULL_BYTES = int(sys.argv[4])
    store = ek.EventStore(sys.argv[1], fsync=sys.argv[2] == "True")
    os.write(1, b"acknowledged 0\\n")
    for n in range(1, 4):
        store.append("a", ek.NewEvent(type="Noted", data={"n": n}))
        os.write(1, b"acknowledged %d\\n" % n)
    os._exit(0)
"""
_CALL = re.compile(r'^(\d+) +(fsync|fdatasync|write)\((\d+)<([^>]*)>(?:, "([^"]*)")?')
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (fsync|fdatasync|write) resumed>")


def trace(folder: Path, *, fsync: bool, disk: str, journal_bytes: int = 1 << 18) -> list[tuple[str, str]]:
    """The syncs, with their paths, and the acknowledgements of a process, in the order in which they were done."""
    output = folder.with_name("trace")
    command = ["strace", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,write", "-e", "signal=none", "-o", str(output)]
    command += [sys.executable, "-c", textwrap.dedent(_TRACED), str(folder), str(fsync), disk, str(journal_bytes)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60)
    if not output.exists() or b"ptrace" in done.stderr:
        pytest.skip(f"strace cannot trace here: {done.stderr.decode()[:200]}")
    assert done.returncode == 0, done.stderr
    return list(_finished(output.read_text()))


def _finished(lines: str) -> Iterator[tuple[str, str]]:
    begun: dict[str, tuple[str, str]] = {}
    for line in lines.splitlines():
        if found := _CALL.match(line):
            process, call, _, path, text = found.groups()
            what = ("said", (text or "")[:14]) if call == "write" else ("synced", path)
            if call == "write" and not what[1].startswith("acknowledged"):
                continue
            if "<unfinished" in line:
                begun[process] = what
            else:
                yield what
        elif (found := _RESUMED.match(line)) and found[1] in begun:
            yield begun.pop(found[1])


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def between_acknowledgements(seen: list[tuple[str, str]]) -> Iterator[list[str]]:
    """What was synced for each append."""
    says = [i for i, what in enumerate(seen) if what[0] == "said"]
    assert [seen[i][1] for i in says] == [f"acknowledged {n}" for n in range(4)]
    for start, end in itertools.pairwise(says):
        yield [path for _, path in seen[start + 1 : end]]


@pytest.mark.processes
@needs_strace
@pytest.mark.parametrize("disk", ["through", "plain"])
def test_a_commit_in_the_journal_is_synced_before_the_acknowledgement(folder: Path, disk: str) -> None:
    """By a system-call trace; and the opening leaves nothing unsynced behind."""
    seen = trace(folder, fsync=True, disk=disk)
    log = folder / "log"
    opening = {path for _, path in seen[: seen.index(("said", "acknowledged 0"))]}
    assert {str(path) for path in (folder, folder.parent, log, log / "manifest", log / "wal")} <= opening
    first, *others = between_acknowledgements(seen)
    assert first == [str(folder / "journal")] * 2  # once for its full size
    assert others == [[str(folder / "journal")]] * 2


@pytest.mark.processes
@needs_strace
@pytest.mark.parametrize("disk", ["through", "plain"])
def test_a_commit_that_moves_on_into_slatedb_is_synced_before_the_acknowledgement(folder: Path, disk: str) -> None:
    """Each one's own file, and its name."""
    wal_folder = str(folder / "log" / "wal")
    files = set()
    for synced in between_acknowledgements(trace(folder, fsync=True, disk=disk, journal_bytes=1)):
        assert wal_folder in synced
        files.update(own := [path for path in synced if path.startswith(wal_folder + "/")])
        assert own, synced
    assert len(files) == 3


@pytest.mark.processes
@needs_strace
def test_without_fsync_no_append_syncs(folder: Path) -> None:
    """It is what the keyword asks for."""
    seen = trace(folder, fsync=False, disk="through")
    first = seen.index(("said", "acknowledged 0"))
    assert [what for what in seen[first:] if what[0] == "synced"] == []


def test_the_repr_says_what_an_acknowledgement_means(folder: Path) -> None:
    """Only where less is asked for than is promised."""
    with ek.EventStore(folder) as store:
        assert "fsync" not in repr(store)
    with ek.EventStore(folder, fsync=False) as store:
        assert "fsync=False" in repr(store)
    with ek.EventStore(fsync=False) as store:
        assert "fsync" not in repr(store)


# cuts


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="the machine is simulated by what Linux tells of a process")
@pytest.mark.parametrize("through", [True, False], ids=["written through", "plain disk"])
def test_after_a_power_cut_every_acknowledged_event_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: bool
) -> None:
    """At random moments, with compaction and collection as busy as they can be; and the store goes on."""
    if through and not device.set_sync_flag(tmp_path, on=True):
        pytest.skip("this filesystem knows no flag for writing through")
    another_boot(monkeypatch)
    machine = Machine(tmp_path / "store", through=through, seed=7)
    try:
        cuts = []
        for acknowledged in (1, 150, 400):
            machine.wait_for_acknowledgements(acknowledged)
            cuts.append(machine.cut())
    finally:
        machine.off()
    if not through:
        without_sync_flag(monkeypatch)
    for cut in cuts:
        with ek.EventStore(cut.folder) as store:
            position = store.position
            assert position >= cut.acknowledged, cut
            assert numbers(store) == list(range(position)), cut
            assert store.streams()["version"].sum() == position
            store.append("a-0", noted(position))
        with ek.EventStore(cut.folder) as store:
            assert store.position == position + 1


@pytest.mark.usefixtures("plain_disk")
def test_a_manifest_that_no_acknowledgement_relied_on_is_set_aside_after_a_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-written as it may be, it would keep the store from opening; its events stand in the write-ahead log."""
    with ek.EventStore(folder) as store:
        store.append("a", [noted(n) for n in range(5)])
    newest = files.newest_manifest(folder)
    assert (marker.read(folder).manifest or newest) <= newest
    half_written = folder / "log" / "manifest" / f"{newest + 1:020d}.manifest"
    half_written.write_bytes(bytes(400))
    with pytest.raises(ek.DamagedError, match=half_written.name):
        ek.EventStore(folder)
    assert half_written.exists()  # on the same boot another process may be writing it
    another_boot(monkeypatch)
    with ek.EventStore(folder) as store:
        assert numbers(store) == list(range(5))
    kept = [path.read_bytes() for path in (folder / "set-aside").rglob(half_written.name)]
    assert kept == [bytes(400)]


@pytest.mark.usefixtures("plain_disk", "without_journal")
def test_the_marker_follows_each_new_manifest_before_the_acknowledgement(folder: Path) -> None:
    """So that a cut never takes away a manifest that an acknowledged event needs."""
    with ek.EventStore(folder) as store:
        for n in range(3):
            store.append("a", noted(n))
            write_tables(store)
            store.append("a", noted(n))
            assert marker.read(folder).manifest == files.newest_manifest(folder)


@pytest.mark.usefixtures("without_journal")
@pytest.mark.parametrize("left", ["zeros", "cut off", "a sector of zeros"])
def test_a_commit_that_was_never_acknowledged_may_be_half_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """It is set aside after a cut; without a cut it is damage, and named."""
    store = ek.EventStore(folder)
    store.append("a", [noted(n) for n in range(3)])
    before = marker.read(folder)
    store.append("a", ek.NewEvent(type="Noted", data={"n": 3, "text": os.urandom(3000).hex()}))
    store.close()
    marker.write(folder, before, sync=True)  # as it was before the commit that is cut
    newest = max(wal.sizes(folder))
    content = wal.path(folder, newest).read_bytes()
    damaged = {
        "zeros": bytes(len(content)),
        "cut off": content[: len(content) // 2],
        "a sector of zeros": content[:512] + bytes(512) + content[1024:],
    }[left]
    wal.path(folder, newest).write_bytes(damaged)
    with pytest.raises(ek.DamagedError, match=wal.name(newest)):
        ek.EventStore(folder)
    another_boot(monkeypatch)
    with ek.EventStore(folder) as store:
        assert numbers(store) == [0, 1, 2]
        assert store.append("a", noted(3)).position == 4
    with ek.EventStore(folder) as store:
        assert numbers(store) == [0, 1, 2, 3]


def test_a_commit_that_was_acknowledged_is_never_set_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker of the last closing says how far the log was safe."""
    with ek.EventStore(folder) as store:
        store.append("a", noted())
    newest = wal.path(folder, max(wal.sizes(folder)))
    newest.write_bytes(bytes(newest.stat().st_size))
    another_boot(monkeypatch)
    with pytest.raises(ek.DamagedError, match=newest.name):
        ek.EventStore(folder)
    assert not (folder / "set-aside").exists()


def test_what_a_session_without_fsync_left_is_synced_by_the_next_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledged events would else follow upon events that a cut can take."""
    with ek.EventStore(folder, fsync=False) as store:
        for n in range(5):
            store.append("a", noted(n))
    synced: list[str] = []
    plain = device.fsync
    on_device(monkeypatch, fsync=lambda path: (synced.append(path.name), plain(path))[1])
    with ek.EventStore(folder) as store:
        assert {wal.name(number) for number, size in wal.sizes(folder).items() if size} <= set(synced)
        store.append("a", noted(5))
    synced.clear()
    with ek.EventStore(folder):
        files = [name for name in synced if name.endswith(".sst") and len(name) == len(wal.name(1))]
        assert len(files) <= 3  # and no more than once


@pytest.mark.processes
def test_a_superseded_writer_leaves_the_marker_alone(folder: Path) -> None:
    """Its manifest may be older than what the new writer has collected by."""
    older = ek.EventStore(folder)
    older.append("a", noted())
    code = "import sys, os, eventsourcing_kit as ek; store = ek.EventStore(sys.argv[1]); "
    code += "store.append('a', ek.NewEvent(type='T')); os._exit(0)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True, timeout=60)
    after = (folder / marker.NAME).read_bytes()
    older.close()
    assert (folder / marker.NAME).read_bytes() == after


@pytest.mark.parametrize("name", [marker.NAME, marker.OLD_NAME])
def test_a_marker_that_cannot_be_read_is_no_marker(folder: Path, name: str) -> None:
    """The store opens, and writes a new one."""
    with ek.EventStore(folder) as store:
        store.append("a", noted())
    for content in (b"", b"{", b"[]", b'{"boot": 1}', json.dumps({"fences": 5}).encode()):
        (folder / name).write_bytes(content)
        with ek.EventStore(folder) as store:
            assert store.position == 1
    assert marker.read(folder).writer

"""The journal: one trip to the device a commit, and whatever happens to it, the log is what was acknowledged."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import eventsourcing_kit as ek
from eventsourcing_kit import store as stores
from eventsourcing_kit.storage import damage, device, interrupts, journal, journal_entries, keys, marker, wal
from eventsourcing_kit.storage.slate import files, table
from eventsourcing_kit.storage.slate.table import Table
from tests.faults import as_another_process, durability_of, limit, log_of, on_device, once, table_of, writer_of
from tests.power import ROOT

SMALL = 1 << 12  # a journal that is full after a few commits


def noted(n: int, text: str = "") -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n, "text": text})


def long_text(n: int) -> str:
    """Text that a small journal doesn't take, however well it is compressed."""
    return random.Random(n).randbytes(SMALL).hex()


def numbers(store: ek.EventStore) -> list[int]:
    return [event.data["n"] for event in store.read()]


def killed(folder: Path, commits: int, *, full: int = 1 << 18, fsync: bool = True) -> None:
    """A process appends so many commits and dies without closing the store."""
    code = """
        import os, sys
        import eventsourcing_kit as ek
        from eventsourcing_kit.storage import journal
        journal.FULL_BYTES = int(sys.argv[3])
        store = ek.EventStore(sys.argv[1], fsync=sys.argv[4] == "True")
        for n in range(store.position, store.position + int(sys.argv[2])):
            store.append(f"a-{n % 3}", ek.NewEvent(type="Noted", data={"n": n, "text": ""}))
        os._exit(0)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder), str(commits), str(full), str(fsync)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, journal_bytes=SMALL)


def test_a_closed_store_needs_no_journal(folder: Path) -> None:
    """SlateDB has it all then. What stays is as short as what was written, and is not synced again without need."""
    with ek.EventStore(folder) as store:
        store.append("a", noted(0))
        assert journal.path(folder).stat().st_size == journal.FULL_BYTES
    assert journal.path(folder).stat().st_size < 1000
    for _ in range(2):
        with ek.EventStore(folder, read_only=True) as reader:
            assert numbers(reader) == [0]
        with ek.EventStore(folder) as store:
            assert numbers(store) == [0]
        assert sorted(path.name for path in folder.iterdir()) == ["end", "journal", "log"]
        journal.path(folder).unlink()


def test_small_commits_make_no_file_each(folder: Path) -> None:
    """A hundred of them are one file of SlateDB's."""
    with ek.EventStore(folder) as store:
        before = len(wal.sizes(folder))
        for n in range(100):
            store.append("a", noted(n))
        assert len(wal.sizes(folder)) == before
    assert len(wal.sizes(folder)) == before + 1


@pytest.mark.processes
@pytest.mark.parametrize("full", [1 << 18, SMALL, 1])
@pytest.mark.parametrize("fsync", [True, False])
def test_what_a_killed_process_appended_is_there(folder: Path, full: int, fsync: bool) -> None:
    """For a reader beside, for the next writer, and after the next writer was killed too."""
    killed(folder, 40, full=full, fsync=fsync)
    with ek.EventStore(folder, read_only=True) as reader:
        assert numbers(reader) == list(range(40))
        assert reader.version("a-0") == 14
        killed(folder, 5, full=full, fsync=fsync)
        assert numbers(reader) == list(range(45))
    with ek.EventStore(folder) as store:
        assert numbers(store) == list(range(45))
        assert store.verify().ok
        assert store.append("a-0", noted(45), expected_version=15).position == 46
    with ek.EventStore(folder) as store:
        assert numbers(store) == list(range(46))


def test_ids_notes_and_repeats_go_through_the_journal(folder: Path, small: None) -> None:
    """Supplied ids, checkpoints of subscriptions, and rows that are taken away again."""
    own = "11111111-1111-4111-8111-111111111111"
    given = ek.NewEvent(type="Noted", data={"n": 0}, id=own)
    store = ek.EventStore(folder)
    first = store.append("a", given)
    with store.subscribe(lambda event: None, name="all") as subscription:
        subscription.wait_until(store.position)
    log_of(store).life.check_open()
    writer_of(store).note([(keys.note("kind", "name"), b"1")])
    writer_of(store).note([(keys.note("kind", "name"), None)])
    with ek.EventStore(folder, read_only=True) as reader:
        assert reader.read(as_of=own).df()["position"].tolist() == [1]
        assert log_of(reader).note("kind", "name") is None
        assert list(log_of(reader).notes("kind")) == []
        assert next(iter(log_of(reader).notes("checkpoint")), None) is not None
    assert store.append("a", given).replayed
    store.append("a", noted(1, long_text(1)))  # moves on into SlateDB
    assert store.append("a", given).position == first.position
    assert log_of(store).note("kind", "name") is None
    store.close()


# -- in whose thread


@pytest.fixture
def clocked(folder: Path) -> Iterator[tuple[ek.EventStore, list[str]]]:
    """A store, and in which thread each of its commits asks for the time."""
    asked: list[str] = []
    ticking = ek.testing.clock("2026-01-05T09:00:00Z", step="1s")
    with ek.EventStore(folder, clock=lambda: (asked.append(threading.current_thread().name), ticking())[1]) as store:
        store.append("a", noted(0))
        asked.clear()
        yield store, asked


def test_a_lone_small_append_is_stored_in_the_callers_thread(clocked: tuple[ek.EventStore, list[str]]) -> None:
    """What may have to wait for SlateDB is left to the writer's: much at once, and ids that may be known already."""
    store, asked = clocked
    store.append("a", noted(1))
    store.append("a", [noted(n) for n in range(2, 102)])
    store.append("a", [noted(n) for n in range(102, 302)])
    store.append("a", noted(302, long_text(302) * (1 + (1 << 15) // len(long_text(302)))))
    store.append("a", ek.NewEvent(type="Noted", data={"n": 303}, id="11111111-1111-4111-8111-111111111111"))
    store.append_many([ek.Append(f"{i:x}" + "n" * 1000, noted(304 + i)) for i in range(40)])
    store.append("a", noted(344))
    here, there = threading.current_thread().name, "eventsourcing-kit-writer"
    assert asked == [here, here, there, there, there, there, here]
    assert numbers(store) == list(range(345))


def test_an_append_that_is_refused_leaves_the_way_free(clocked: tuple[ek.EventStore, list[str]]) -> None:
    store, asked = clocked
    for _ in range(2):
        with pytest.raises(ek.ConcurrencyError):
            store.append("a", noted(1), expected_version=5)
        store.append("a", noted(1))
    assert set(asked) == {threading.current_thread().name}
    with ek.EventStore(log_of(store).folder) as newer:
        assert newer.position == 3


def test_nobody_waits_in_the_callers_thread_for_a_lock(clocked: tuple[ek.EventStore, list[str]]) -> None:
    """Whoever takes the store over holds it for a moment."""
    store, asked = clocked
    assert log_of(store).folder is not None
    file = os.open(journal.path(log_of(store).folder), os.O_RDWR)
    assert device.lock(file)
    threading.Timer(0.2, os.close, (file,)).start()
    store.append("a", noted(1))
    assert asked == ["eventsourcing-kit-writer"]


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="this Python raises no signal")
def test_ctrl_c_in_the_middle_takes_effect_when_the_append_is_stored(
    clocked: tuple[ek.EventStore, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told so, and the store goes on."""
    store, _ = clocked
    plain = device.write_at

    def write_at(file: int, content: bytes, at: int) -> None:
        signal.raise_signal(signal.SIGINT)
        plain(file, content, at)

    on_device(monkeypatch, write_at=write_at)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        store.append("a", noted(1))
    monkeypatch.undo()
    assert interrupt.value.__notes__ == ["the append had been stored"]
    store.append("a", noted(2))
    assert numbers(store) == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def raising_while_it_writes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The signal comes as the next entry is written."""
    plain = device.write_at

    def write_at(file: int, content: bytes, at: int) -> None:
        if len(content) > 1:
            on_device(monkeypatch, write_at=plain)
            signal.raise_signal(number)
        plain(file, content, at)

    on_device(monkeypatch, write_at=write_at)


@pytest.fixture
def handler() -> Iterator[Callable[[int, Any], None]]:
    """Sets a signal's handler for a test."""
    before: dict[int, Any] = {}
    yield lambda number, function: before.setdefault(number, signal.signal(number, function))
    for number, function in before.items():
        signal.signal(number, function)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signal")
def test_a_handler_that_raises_does_so_when_the_append_is_stored(
    clocked: tuple[ek.EventStore, list[str]], monkeypatch: pytest.MonkeyPatch, handler: Callable[[int, Any], None]
) -> None:
    """As a server's that ends it; the exception is its own, and the store goes on."""
    store, _ = clocked
    handler(signal.SIGTERM, lambda *_: sys.exit(3))
    raising_while_it_writes(monkeypatch, signal.SIGTERM)
    with pytest.raises(SystemExit):
        store.append("a", noted(1))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    store.append("a", noted(2))
    assert numbers(store) == [0, 1, 2]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signal")
def test_a_handler_may_use_the_store(
    clocked: tuple[ek.EventStore, list[str]], monkeypatch: pytest.MonkeyPatch, handler: Callable[[int, Any], None]
) -> None:
    """It does not wait for the append that it interrupted."""
    store, _ = clocked
    handler(signal.SIGALRM, lambda *_: store.append("a", noted(2)))
    raising_while_it_writes(monkeypatch, signal.SIGALRM)
    store.append("a", noted(1))
    assert numbers(store) == [0, 1, 2]


def test_of_several_signals_each_takes_effect(handler: Callable[[int, Any], None]) -> None:
    """Also where the handler of one raises."""
    seen: list[int] = []

    def note(number: int, frame: object) -> None:
        seen.append(number)
        raise ValueError(number)

    def work() -> None:
        with interrupts.put_off():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(number)
            assert seen == []

    for number in (signal.SIGTERM, signal.SIGINT):
        handler(number, note)
    with pytest.raises(ValueError, match=str(int(signal.SIGINT))):
        work()
    assert seen == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends no process there")
@pytest.mark.parametrize("handler", ["signal.SIG_DFL", "None"])
def test_a_signal_that_python_does_not_handle_takes_effect_at_once(folder: Path, handler: str) -> None:
    """As where Ctrl-C is to end the process, or where Python is a part of a program with a handler of its own."""
    code = f"""
        import signal, sys
        from types import SimpleNamespace
        import eventsourcing_kit as ek
        from eventsourcing_kit.storage import interrupts
        from eventsourcing_kit.storage import device
        store = ek.EventStore(sys.argv[1])
        store.append("a", ek.NewEvent(type="Noted", data={{"n": 0}}))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if {handler} is None:  # as Python tells it of a handler that it does not know
            interrupts._signals = SimpleNamespace(
                getsignal=lambda number: None, signal=lambda number, handler: (signal.signal(number, handler), None)[1]
            )
        plain = device.write_at
        def write_at(*given):
            plain(*given)
            if len(given[1]) > 1:
                signal.raise_signal(signal.SIGINT)
        device.write_at = write_at
        store.append("a", ek.NewEvent(type="Noted", data={{"n": 1}}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, timeout=60)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")  # after the entry was written
    with ek.EventStore(folder, read_only=True) as reader:
        assert numbers(reader) == [0, 1]


# -- a reader beside


def test_a_reader_that_is_opened_while_the_writer_closes_misses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in the journal is in SlateDB then, and the journal is the next writer's."""
    writer = ek.EventStore(folder)
    writer.append("a", noted(0))

    def open_db(plain: Any, *given: Any) -> Any:
        opened = plain(*given)
        writer.close()
        taken_over(folder)
        return opened

    once(monkeypatch, table, "open_db", open_db)
    with ek.EventStore(folder, read_only=True) as reader:
        assert log_of(reader).head.last == 1
        assert numbers(reader) == [0]


# -- failures


def test_what_was_acknowledged_before_slatedb_failed_is_there_after_the_closing(
    folder: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SlateDB was to take it over, and did not; a later write that works does not make up for it."""
    store = ek.EventStore(folder)
    store.append("a", noted(0))

    def failing(*_: object, **__: object) -> None:
        raise ek.StorageError("the storage failed")

    once(monkeypatch, table_of(store), "write", failing)
    with pytest.raises(ek.OutcomeUnknownError):
        store.append("a", noted(1, long_text(1)))
    store.close()
    with ek.EventStore(folder) as again:
        assert numbers(again) == [0]


def test_an_entry_that_a_reader_has_seen_stays_where_its_sync_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader sees only grows, also where nobody was told that it is stored."""
    store = ek.EventStore(folder)
    store.append("a", noted(0))
    plain = device.sync

    def failing(file: int, *, names: bool = True) -> None:
        if not names:
            raise OSError(errno.EIO, "Input/output error")
        plain(file, names=names)

    on_device(monkeypatch, sync=failing)
    with pytest.raises(ek.OutcomeUnknownError):
        store.append("a", noted(1))
    monkeypatch.undo()
    with ek.EventStore(folder, read_only=True) as reader:
        assert numbers(reader) == [0, 1]
        store.close()
        assert numbers(reader) == [0, 1]
        with ek.EventStore(folder) as again:
            assert again.append("a", noted(2)).position == 3
        assert numbers(reader) == [0, 1, 2]


# -- damage


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose writer was killed after thirty commits; the last ones stand in the journal alone."""
    folder = tmp_path_factory.mktemp("left") / "store"
    killed(folder, 30, full=SMALL)
    return folder


@pytest.fixture
def copied(left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left, tmp_path / "store"))


def entries(folder: Path) -> list[tuple[int, int]]:
    """Where those of the journal's entries begin and end that SlateDB does not have."""
    content = journal.path(folder).read_bytes()
    key = journal_entries.key_of(content)
    assert key is not None
    rows = [row for number, size in wal.sizes(folder).items() if size for row in files.wal_rows(folder, number)]
    done = max(keys.number(value) for name, value in rows if name == keys.JOURNALLED)
    return [(entry.end - entry.size, entry.end) for entry in journal_entries.find(content, key, done)]


def test_a_torn_end_is_no_commit(copied: Path) -> None:
    """A power cut leaves half an entry, which nobody was told of; what the last lap left behind it stays dead."""
    tear_the_last_entry(copied)
    noted = marker.read(copied)
    marker.write(copied, replace(noted, count=noted.count - 1), sync=False)
    for read_only in (True, False):
        with ek.EventStore(copied, read_only=read_only) as store:
            assert numbers(store) == list(range(29))


def tear_the_last_entry(folder: Path) -> None:
    start, end = entries(folder)[-1]
    content = bytearray(journal.path(folder).read_bytes())
    content[(start + end) // 2 : end] = bytes(end - (start + end) // 2)
    journal.path(folder).write_bytes(content)


def test_a_damaged_entry_that_others_follow_is_named(copied: Path) -> None:
    """Nothing is read over it, and a rescue saves what comes before."""
    first = 30 - len(entries(copied))
    start, _ = entries(copied)[0]
    content = bytearray(journal.path(copied).read_bytes())
    content[start + 50] ^= 1
    journal.path(copied).write_bytes(content)
    for read_only in (True, False):
        with pytest.raises(ek.DamagedError, match=r"journal lacks commits.*ek\.rescue") as raised:
            ek.EventStore(copied, read_only=read_only)
        assert raised.value.files == ["journal"]
    assert journal.path(copied).read_bytes().rstrip(b"\0") == content.rstrip(b"\0")
    assert numbers(ek.rescue(copied)) == list(range(first))


def test_a_flipped_byte_in_the_journal_is_detected_or_harmless(copied: Path) -> None:
    """The very last commit, too: it was counted when it was acknowledged."""
    content = journal.path(copied).read_bytes()
    begin, end = entries(copied)[0][0], entries(copied)[-1][1]
    for at in (*range(32), *random.Random(1).sample(range(begin, end), 60)):
        journal.path(copied).write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        with pytest.raises(ek.DamagedError, match="journal"):
            ek.EventStore(copied, read_only=True)


def test_a_rescue_reads_what_a_takeover_had_not_copied_yet(copied: Path) -> None:
    """Whoever died in it left the older file under a name of its own."""
    journal.path(copied).rename(copied / journal.OLDER_NAME)
    assert numbers(ek.rescue(copied)) == list(range(30))


def test_a_journal_without_its_beginning_is_named(copied: Path) -> None:
    """Its key and all entries are lost, and the file is not empty."""
    content = journal.path(copied).read_bytes()
    journal.path(copied).write_bytes(bytes(32) + content[32:])
    with pytest.raises(ek.DamagedError, match="journal"):
        ek.EventStore(copied, read_only=True)
    with pytest.raises(ek.DamagedError, match="journal"):
        ek.EventStore(copied)


@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_bytes_are_a_journal_or_none(content: bytes, done: int) -> None:
    """Reading never fails in another way than by saying that entries are missing."""
    start = journal_entries.start_of(b"12345678")
    for whole in (
        content,
        start + content,
        start + journal_entries.encode(b"12345678", 1, [(b"k", content)]) + content,
    ):
        found = journal_entries.behind(whole, done)
        assert found is None or all(entry.number > done for entry in found)


# -- owners


def test_the_journal_is_not_written_through(folder: Path) -> None:
    """Also where its folder is, since an earlier opening: an append is to take one trip to the device."""
    folder.mkdir()
    if not device.set_sync_flag(folder, on=True):
        pytest.skip("this filesystem knows no flag for writing through")
    (folder / "other").touch()
    taken_over(folder)
    assert is_written_through(folder / "other")
    assert not is_written_through(journal.path(folder))


def is_written_through(path: Path) -> bool:
    import fcntl

    buffer = bytearray(8)
    with open(path, "rb") as file:
        fcntl.ioctl(file, device.GET_FLAGS, buffer)
    return bool(buffer[0] & device.SYNC_FLAG)


@pytest.mark.processes
def test_durable_entries_that_a_session_without_fsync_inherits_are_synced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was promised less for its own events, but others were promised more for theirs."""
    killed(folder, 3)
    synced: list[str] = []
    plain = device.fsync
    on_device(monkeypatch, fsync=lambda path: (synced.append(path.name), plain(path))[1])
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a", noted(3))
        synced.clear()
    assert wal.name(max(number for number, size in wal.sizes(folder).items() if size)) in synced
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a", noted(4))
        synced.clear()
    assert not [name for name in synced if name.endswith(".sst")]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long for an owner that is stopped."""
    limit(monkeypatch, lock_seconds=0.05)


def taken_over(folder: Path) -> journal.Journal:
    """A journal whose owner has its lock and keeps it, as if it were stopped."""
    folder.mkdir(exist_ok=True)
    own = journal.take_over(folder, durable=True)
    own.pending(marker.known(folder).count)
    return own


def found(folder: Path) -> list[bytes]:
    """The keys that whoever opens the folder next finds in its journal."""
    return [key for entry in journal.take_over(folder, durable=True).pending(0) for key, _ in entry.rows]


@pytest.mark.usefixtures("impatient")
def test_of_two_who_pass_a_lock_over_the_slower_one_loses_nothing_of_the_faster(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw the same file; the faster one has appended by the time at which the slower one puts its own there."""
    taken_over(folder)
    faster = threading.Thread(target=lambda: taken_over(folder).append([(b"k", b"v")]))

    def read(plain: Callable[[int], bytes], file: int) -> bytes:
        content = plain(file)
        faster.start()
        faster.join(0.5)
        return content

    once(monkeypatch, journal, "read", read)
    journal.take_over(folder, durable=True)
    faster.join()
    assert found(folder) == [b"k"]


@pytest.mark.usefixtures("impatient")
def test_who_dies_before_all_is_copied_takes_nothing_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner whose lock was passed over, because its device is slow, goes on until the name is another file's."""
    older = taken_over(folder)

    def read(plain: Callable[[int], bytes], file: int) -> bytes:
        content = plain(file)
        once(monkeypatch, journal, "read", interrupted)
        assert older.append([(b"k", b"v")])
        return content

    def interrupted(plain: object, file: int) -> bytes:
        raise KeyboardInterrupt

    once(monkeypatch, journal, "read", read)
    with pytest.raises(KeyboardInterrupt):
        journal.take_over(folder, durable=True)
    assert not older.is_owned
    assert found(folder) == [b"k"]
    assert [path.name for path in folder.iterdir()] == ["journal"]


@pytest.mark.usefixtures("impatient")
def test_who_is_slow_to_close_leaves_the_journal_of_who_took_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in it may have been acknowledged."""
    older = ek.EventStore(folder)
    newer: list[ek.EventStore] = []

    def shorten(plain: Any, self: journal.Journal) -> None:
        as_another_process(older)
        newer.append(ek.EventStore(folder))
        newer[0].append("a", noted(0))
        plain(self)

    once(monkeypatch, journal.Journal, "shorten", shorten)
    older.close()
    newer[0].append("a", noted(1))
    assert numbers(newer[0]) == [0, 1]


def test_who_opens_waits_for_another_who_does_but_not_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a one may be stopped too."""
    limit(monkeypatch, naming_seconds=0.05)
    folder.mkdir()
    with journal.naming(folder), pytest.raises(ek.StorageError, match=r"opening or closing.*let it go on"):
        ek.EventStore(folder)
    with ek.EventStore(folder):
        pass


def test_who_reads_while_the_store_is_closed_is_not_told_that_it_was_taken_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the log's end would not be noted."""
    store = ek.EventStore(folder)
    store.append("a", noted(0))
    seen = []
    for name in ("shorten", "leave"):
        once(monkeypatch, journal.Journal, name, lambda plain, own: (plain(own), seen.append(store.position)))
    store.close()
    assert seen == [1, 1]
    assert not log_of(store).life.is_superseded
    assert marker.read(folder).end is not None


@pytest.mark.processes
def test_who_reads_while_the_older_writer_becomes_a_reader_misses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in the journal may be in the tables by now, and only in those that are opened then."""
    store = ek.EventStore(folder)
    store.append("a", [noted(0), noted(1)])
    code = "import sys, eventsourcing_kit as ek; ek.EventStore(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", code, folder], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    seen, plain = [], Table.__setattr__

    def set_and_read(changed: Table, name: str, value: object) -> None:
        plain(changed, name, value)
        if changed is table_of(store) and name in ("overlay", "_db"):
            seen.append([commit.last for commit in log_of(store).commits(0, 2)])

    monkeypatch.setattr(Table, "__setattr__", set_and_read)
    with pytest.raises(ek.SupersededError):
        store.append("a", noted(2))
    assert seen == [[2], [2]]


@pytest.mark.skipif(not device.HAS_LOCKS, reason="this system has no locks for files")
def test_ctrl_c_while_a_store_is_opened_leaves_no_lock_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it comes: even as a lock is let go."""

    def unlock(plain: Callable[[int], None], file: int) -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
        plain(file)

    once(monkeypatch, device, "unlock", unlock)
    limit(monkeypatch, naming_seconds=0.05)
    with pytest.raises(KeyboardInterrupt):
        ek.EventStore(folder)
    time.sleep(0.2)
    since = time.monotonic()
    with ek.EventStore(folder) as store:
        assert time.monotonic() - since < 1
        store.append("a", noted(0))


@pytest.mark.usefixtures("impatient")
def test_who_is_slow_to_open_does_not_fence_who_has_taken_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SlateDB knows only who came last; the journal knows whose the store is."""
    with ek.EventStore(folder):
        pass
    before = wal.sizes(folder)
    once(monkeypatch, damage, "check", lambda plain, folder: (taken_over(folder), plain(folder))[1])
    with pytest.raises(ek.SupersededError):
        ek.EventStore(folder)
    assert wal.sizes(folder) == before


@pytest.mark.usefixtures("small")
def test_an_older_writer_that_moves_on_late_forgets_nothing_of_the_newer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that reads beside has made it a reader in the meantime."""
    older = ek.EventStore(folder)
    older.append("a", noted(0))
    newer: list[ek.EventStore] = []

    def again(plain: Callable[[], None]) -> None:
        plain()
        limit(monkeypatch, lock_seconds=0.05)
        as_another_process(older)
        newer.append(ek.EventStore(folder))
        newer[0].append("a", noted(2))
        assert older.position == 3

    once(monkeypatch, durability_of(older), "again", again)
    assert older.append("a", noted(1, long_text(1))).position == 2
    assert numbers(older) == numbers(newer[0]) == [0, 1, 2]


@pytest.mark.usefixtures("without_journal")
def test_without_locks_each_commit_is_flushed(folder: Path) -> None:
    """As on a system that has none."""
    with ek.EventStore(folder) as store:
        for n in range(3):
            store.append("a", noted(n))
        assert not journal.path(folder).exists()
        with ek.EventStore(folder, read_only=True) as reader:
            assert numbers(reader) == [0, 1, 2]


@pytest.mark.processes
def test_without_locks_a_journal_of_another_system_is_not_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends would take the positions of events that were acknowledged."""
    killed(folder, 3)
    with monkeypatch.context() as there:
        there.setattr(device, "HAS_LOCKS", False)
        with pytest.raises(ek.StorageError, match=r"journal in .* another system.*ek\.rescue"):
            ek.EventStore(folder)
        with ek.EventStore(folder, read_only=True) as reader:
            assert numbers(reader) == [0, 1, 2]
        assert numbers(ek.rescue(folder)) == [0, 1, 2]
    with ek.EventStore(folder) as store:
        assert numbers(store) == [0, 1, 2]


class WriterAndReader(RuleBasedStateMachine):
    """A reader beside a writer sees at once what was acknowledged, through laps, reopenings and takeovers."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        limit(self.patch, journal_bytes=SMALL)
        self.folder = Path(os.path.realpath(os.environ.get("TMPDIR", "/tmp"))) / f"journal-{os.getpid()}-{id(self)}"
        self.writer = ek.EventStore(self.folder, fsync=False)
        self.reader = ek.EventStore(self.folder, read_only=True)
        self.expected: list[int] = []

    @rule(commits=st.integers(1, 12), size=st.integers(1, 3))
    def append(self, commits: int, size: int) -> None:
        for _ in range(commits):
            more = list(range(len(self.expected), len(self.expected) + size))
            self.writer.append(f"a-{len(self.expected) % 4}", [noted(n) for n in more])
            self.expected += more

    @rule()
    def append_what_no_journal_takes(self) -> None:
        n = len(self.expected)
        self.writer.append("long", noted(n, long_text(n)))
        self.expected.append(n)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.writer = ek.EventStore(self.folder, fsync=False)

    @rule()
    def take_over(self) -> None:
        """As another process would: the older writer is not asked."""
        older = self.writer
        as_another_process(older)
        self.writer = ek.EventStore(self.folder, fsync=False)
        with pytest.raises(ek.SupersededError):
            older.append("a-0", noted(-1))
        assert older.position == len(self.expected)
        older.close()

    @rule()
    def read_anew(self) -> None:
        self.reader.close()
        self.reader = ek.EventStore(self.folder, read_only=True)

    @invariant()
    def all_see_the_same(self) -> None:
        for store in (self.writer, self.reader):
            assert store.position == len(self.expected)
            assert numbers(store) == self.expected
            assert [event.data["n"] for event in store.read(backwards=True, limit=3)] == self.expected[::-1][:3]
            assert sum(store.streams()["version"]) == len(self.expected)

    def teardown(self) -> None:
        for store in (self.writer, self.reader):
            store.close()
        with ek.EventStore(self.folder, fsync=False) as store:
            assert numbers(store) == self.expected
            assert store.verify().ok
        shutil.rmtree(self.folder)
        self.patch.undo()


TestWriterAndReader = WriterAndReader.TestCase
TestWriterAndReader.settings = settings(max_examples=12, stateful_step_count=12)


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    for store in list(stores._open):
        store.close()

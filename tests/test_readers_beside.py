"""Readers beside a writer: each read is a gap-free prefix of whole commits, and it only grows."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage import local_folder
from eventsourcing_kit.storage.slate import binding
from tests.faults import table_of
from tests.processes.campaign import Process

pytestmark = pytest.mark.processes

EVENTS = 450
SEED = int(os.environ.get("ATTACK_SEED", "1"))


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def test_a_reader_in_another_process_sees_a_growing_prefix_while_writers_come_and_go(folder: Path) -> None:
    """From before the first commit, past a writer that is killed, to the end of the one that takes its place."""
    reader = Process("tests.processes.reader", folder)
    reader.hear("waiting")
    for number in range(3):
        writer = Process("tests.processes.appender", folder, SEED * 100 + number, "--threads", 2, "--ways", "one,many")
        writer.hear("ack", 25)
        reader.hear("read", reader.output.count(b'"say":"read"') + 2)
        if number < 2:
            writer.kill()
    successor = Process("tests.processes.take_over", folder)
    assert (successor.wait(), successor.errors) == (0, b"")
    assert writer.wait() == 0, "the writer that was superseded ends by itself"
    with ek.EventStore(folder, read_only=True) as store:
        (folder / "stop").write_text(str(store.position))
    assert (reader.wait(), reader.errors) == (0, b"")
    seen = [json.loads(line) for line in reader.output.splitlines()]
    lengths = [what["events"] for what in seen if what["say"] == "read"]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 2
    assert lengths[-1] == int((folder / "stop").read_text())


def test_a_reader_opened_before_the_first_commit_sees_it(folder: Path) -> None:
    """The store is there from its opening on."""
    with ek.EventStore(folder, fsync=False) as writer, ek.EventStore(folder, read_only=True) as reader:
        assert (reader.position, list(reader.read())) == (0, [])
        writer.append("a", noted(1))
        assert [event.data["n"] for event in reader.read()] == [1]


def test_commits_within_one_tick_of_the_clock_are_seen(folder: Path) -> None:
    """The folder's times are set back to what the reader saw, as on a filesystem with coarse times."""
    with ek.EventStore(folder, fsync=False) as writer, ek.EventStore(folder, read_only=True) as reader:
        for n in range(1, 6):
            before = [(folder / "log" / part, os.stat(folder / "log" / part)) for part in ("wal", "manifest")]
            writer.append("a", noted(n))
            for part, stat in before:
                os.utime(part, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            assert reader.position == n


def test_a_new_store_in_a_readers_folder_is_seen(folder: Path) -> None:
    """Its files' numbers begin again, so it is not the numbers alone that count."""
    import shutil

    with ek.EventStore(folder, fsync=False) as writer:
        for n in range(5):
            writer.append("a", noted(n))
    with ek.EventStore(folder, read_only=True) as reader:
        assert reader.position == 5
        shutil.rmtree(folder)
        with ek.EventStore(folder, fsync=False) as writer:
            writer.append("a", noted(9))
            assert [event.data["n"] for event in reader.read()] == [9]


def test_what_is_newest_is_found_where_old_files_are_gone(tmp_path: Path) -> None:
    """The next number may have been collected while nobody looked."""
    wal = tmp_path / "log" / "wal"
    wal.mkdir(parents=True)

    def put(number: int) -> None:
        (wal / f"{number:020d}.sst").touch()

    assert local_folder.newest(tmp_path, local_folder.NOTHING_SEEN).number == 0
    put(4)
    seen = local_folder.newest(tmp_path, local_folder.NOTHING_SEEN)
    put(5)
    put(6)
    (wal / f"{7:020d}.sst#1").touch()  # on its way to its name
    assert local_folder.newest(tmp_path, seen).number == 6
    for number in (4, 5):
        (wal / f"{number:020d}.sst").unlink()
    assert local_folder.newest(tmp_path, seen).number == 6
    assert local_folder.newest(tmp_path / "nothing", seen) == local_folder.NOTHING_SEEN


@pytest.mark.parametrize("backwards", [False, True])
def test_a_slow_read_goes_on_though_its_tables_are_compacted_and_collected(folder: Path, backwards: bool) -> None:
    """A reader may take hours over an iteration; SlateDB keeps what it replaced for minutes only."""
    with ek.EventStore(folder, fsync=False) as writer:
        for at in range(0, EVENTS, 3):
            writer.append_many(three(at))
        to_table(writer)
        with ek.EventStore(folder, read_only=True) as reader:
            slow, stream = iter(reader.read(backwards=backwards)), iter(reader.read("a-1", backwards=backwards))
            found, versions = [next(slow).position], [next(stream).version]
            rewrite(folder, writer)
            versions += [event.version for event in stream]
            found += [event.position for event in slow]
            assert found == list(range(1, EVENTS + 1))[:: -1 if backwards else 1]
            assert versions == list(range(1, EVENTS // 3 + 1))[:: -1 if backwards else 1]
            assert reader.version("a-2") == EVENTS // 3


def three(at: int) -> list[ek.Append]:
    """A commit too large for the library to fetch many ahead, and that zlib makes no smaller."""
    texts = [random.Random(at + n).randbytes(12_000).hex() for n in range(3)]
    return [ek.Append(f"a-{n}", ek.NewEvent(type="Noted", data={"text": text})) for n, text in enumerate(texts)]


def to_table(store: ek.EventStore) -> None:
    """Have SlateDB write what is in memory into a table, as it does by itself after 4,096 commits."""
    db = table_of(store)._db
    options = binding.slate.FlushOptions(flush_type=binding.slate.FlushType.MEM_TABLE)
    binding.aside(lambda: binding.drive(lambda: db.flush_with_options(options)))


def rewrite(folder: Path, writer: ek.EventStore) -> None:
    """Take away every table under the reader, and give it again under other names: compaction and collection at once.

    The commits are in a copy of the store, whose tables have names of their own, and which takes the folder's place.
    """
    import shutil

    writer.close()
    copy = folder.with_name("copy")
    with ek.EventStore(copy, fsync=False) as other:
        for at in range(0, EVENTS, 3):
            other.append_many(three(at))
        to_table(other)
    shutil.rmtree(folder / "log")
    shutil.copytree(copy / "log", folder / "log")

"""Folders copied file by file beside a writer: such a copy opens with all of it, or a rescue gives that."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.storage import device, journal

pytestmark = pytest.mark.skipif(not device.HAS_LOCKS, reason="this system has no locks for files, and no journals")
SMALL = 1 << 14  # a journal that SlateDB takes over every few dozen commits


class Writer:
    """A store's writer, with what it has appended."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self.folder, self.fsync, self.said = folder, fsync, 0
        self.store = ek.EventStore(folder, fsync=fsync)

    def append(self, size: int = 0) -> None:
        text = random.Random(self.said).randbytes(size).hex()
        self.store.append(f"a-{self.said % 3}", ek.NewEvent(type="Noted", data={"n": self.said, "text": text}))
        self.said += 1

    def append_some(self) -> None:
        for _ in range(3):
            self.append(50)

    def move_on(self) -> None:
        """What no journal takes goes into SlateDB, and what the journal holds with it."""
        self.append(SMALL)

    def open_again(self) -> None:
        self.store.close()
        self.store = ek.EventStore(self.folder, fsync=self.fsync)

    def close(self) -> None:
        self.store.close()


def copying(folder: Path, into: Path, order: random.Random) -> Iterator[None]:
    """Copy a folder as `cp -r` does, each folder listed as it is come to; a step a file, in any order."""
    into.mkdir()
    paths = sorted(folder.iterdir())
    order.shuffle(paths)
    for path in paths:
        if path.is_dir():
            yield from copying(path, into / path.name, order)
        else:
            with suppress(FileNotFoundError):  # of which cp tells, and goes on
                shutil.copyfile(path, into / path.name)
            yield


def check(copy: Path, before: int) -> str:
    """Whether it opens, with all that was acknowledged before the copy began, or is refused, and a rescue gives it."""
    try:
        with ek.EventStore(copy) as store:
            assert store.verify().ok
            found = [event.data["n"] for event in store.read()]
            store.append("a-0", ek.NewEvent(type="Noted", data={"n": len(found)}))
        refusal = ""
    except ek.EventSourcingError as error:
        refusal = str(error)
        with ek.rescue(copy) as saved:
            found = [event.data["n"] for event in saved.read()]
    assert not refusal or f"ek.rescue({str(copy)!r}" in refusal
    assert found == list(range(len(found)))
    assert len(found) >= before
    return "rescued" if refusal else "opened"


@pytest.mark.parametrize("fsync", [True, False])
def test_what_was_acknowledged_before_a_file_by_file_copy_began_is_in_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool
) -> None:
    """In whatever order the files come, and whatever the writer does between any two of them."""
    monkeypatch.setattr(journal, "FULL_BYTES", SMALL)
    writer, outcomes = Writer(folder, fsync=fsync), set()
    does: list[Callable[[], None]] = [writer.append_some, writer.append, writer.move_on, writer.open_again]
    for seed in range(30):
        order = random.Random(seed)
        likely = [order.random() for _ in does]
        for _ in range(order.randrange(3)):
            order.choices(does, likely)[0]()
        before = writer.said
        for _ in copying(folder, tmp_path / str(seed), order):
            if order.random() < 0.2:
                order.choices(does, likely)[0]()
        outcomes.add(check(tmp_path / str(seed), before))
        shutil.rmtree(tmp_path / str(seed))
    writer.close()
    assert outcomes == {"opened", "rescued"}

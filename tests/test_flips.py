"""Rot: whichever byte of whichever stored file is flipped, it is detected or harmless, and nothing hangs.

`python -m tests.test_flips NUMBER` flips that many bytes of each kind of store, all over their files.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.log import log
from tests.faults import limit, write_tables

STREAMS = ("a-1", "b-0", "b-1", "b-2", "c", "d", "nothing")
Flip = tuple[str, int, int]


def make(folder: Path, *, tables: int) -> Path:
    """Ten commits; in the write-ahead log alone, or in that many tables too."""
    clock = ek.testing.clock("2026-01-05T09:00:00Z", step="1min")
    with ek.EventStore(folder, fsync=False, seed=1, clock=clock) as store:
        for n in range(3):
            store.append("a-1", ek.NewEvent(type="Noted", data={"n": n}))
            store.append(f"b-{n}", [ek.NewEvent(type="Noted", data={"n": n, "text": "x" * 50 * i}) for i in range(5)])
        if tables:
            write_tables(store)
        store.append("c", ek.NewEvent(type="Noted", data={"n": 9}, id=uuid.UUID(int=7)))
        store.append("a-1", ek.NewEvent(type="Noted", data={"n": 3}), metadata={"by": "ada"})
        if tables > 1:
            write_tables(store)
        both = [ek.Append(stream, ek.NewEvent(type="Noted", data={"n": 10})) for stream in ("a-1", "d")]
        store.append_many(both)
    return folder


def facts(store: ek.EventStore) -> Any:
    """Everything that a store says, through each of its indexes."""
    events = list(store.read())
    return (
        [repr(event) + str(event.id) + str(event.metadata) for event in events],
        {stream: [event.position for event in store.read(stream)] for stream in STREAMS},
        {stream: store.version(stream) for stream in STREAMS},
        [store.read(as_of=event.recorded_at).df()["position"].max() for event in events[::5]],
        next(iter(store.read(after=uuid.UUID(int=7)))).position,
        store.position,
    )


def files_in(folder: Path) -> dict[str, int]:
    """Every file that is not empty, and its size."""
    files = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return {name: size for name, size in sorted(files.items()) if size}


def outcome(made: Path, flip: Flip, known: Any, *, read_only: bool, place: Path) -> str:
    """What becomes of one flipped byte: "refused" at opening, "reported" by verify, or "harmless"."""
    name, at, mask = flip
    folder = Path(shutil.copytree(made, place / uuid.uuid4().hex))
    damaged = bytearray((folder / name).read_bytes())
    damaged[at] ^= mask
    (folder / name).write_bytes(damaged)
    more = {} if read_only else {"fsync": False}
    try:
        store = ek.EventStore(folder, read_only=read_only, **more)
    except ek.EventSourcingError:
        return "refused"
    try:
        with store:
            report = store.verify()
            if not report.ok:
                assert report.first_bad is not None, flip
                return "reported"
            assert facts(store) == known, flip
            if not read_only:
                assert store.append("a-1", ek.NewEvent(type="Noted")).position == known[-1] + 1, flip
    except (
        ek.StorageError,
        ek.OutcomeUnknownError,
    ):  # what is in the way of an append, not of a read, shows only there
        return "refused"
    return "harmless"


def chosen(made: Path, rng: random.Random) -> list[Flip]:
    """Each file's first or last byte and some between; many of the newest manifest, of tables and the newest log."""
    flips: list[tuple[str, int]] = []
    files = files_in(made)
    newest = {
        folder: max((name for name in files if f"/{folder}/" in name), default="") for folder in ("manifest", "wal")
    }
    for name, size in files.items():
        closely = name in newest.values() or "/compacted/" in name or name == "end"
        inside = rng.sample(range(size), min(size, 24 if closely else 1))
        ends = (0, size // 2, size - 17, size - 8, size - 1) if closely else (rng.choice((0, size - 1)),)
        flips += [(name, at) for at in {*inside, *ends} if 0 <= at < size]
    return [(name, at, 1 << rng.randrange(8)) for name, at in flips]


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["log only", "one table and the log", "two tables and the log"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "store", tables=request.param)


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """A fetch that would never end is given up sooner here; on a slow machine a sound one then counts as refused."""
    with pytest.MonkeyPatch.context() as patch:
        limit(patch, patience=2.0)
        yield


@pytest.mark.parametrize("read_only", [True, False], ids=["read only", "to write"])
def test_a_flipped_byte_is_detected_or_harmless(made: Path, quick: None, tmp_path: Path, read_only: bool) -> None:
    """At opening, or by verify; where neither says anything, every event and every index is as it was."""
    with ek.EventStore(made, read_only=True) as store:
        known = facts(store)
        assert store.verify().ok
    flips = chosen(made, random.Random(f"{made.parent.name[:4]} {read_only}"))
    outcomes = Counter(
        outcome(made, flip, known, read_only=read_only, place=tmp_path) for flip in (flips if read_only else flips[::3])
    )
    assert outcomes["harmless"] > 0
    assert outcomes["refused"] + outcomes["reported"] > 5


def test_newest_commits_that_a_flipped_bit_hides_are_missed(tmp_path: Path, quick: None) -> None:
    """A manifest says which files of the write-ahead log are in tables already, and has no checksum."""
    folder = make(tmp_path / "store", tables=1)
    name = max(name for name in files_in(folder) if "/manifest/" in name)
    sound = (folder / name).read_bytes()
    with ek.EventStore(folder, read_only=True) as store:
        last = store.position
    for at in range(80, 120):
        (folder / name).write_bytes(sound[:at] + bytes([sound[at] ^ 8]) + sound[at + 1 :])
        with contextlib.suppress(ek.StorageError), ek.EventStore(folder, read_only=True) as store:
            assert store.position == last or not store.verify().ok, at


def campaign(number: int) -> None:
    """Many flips of every kind of store, by hand; prints what became of them."""
    log.PATIENCE_SECONDS = 2.0
    for tables in (0, 1, 2):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            folder = make(Path(place) / "store", tables=tables)
            with ek.EventStore(folder, read_only=True) as store:
                known = facts(store)
            everywhere = [(name, at) for name, size in files_in(folder).items() for at in range(size)]
            for read_only in (True, False):
                rng = random.Random(number)
                picked = rng.sample(everywhere, min(number, len(everywhere)))
                counted: Counter[str] = Counter()
                for name, at in picked:
                    flip = (name, at, rng.randrange(1, 256))
                    counted[outcome(folder, flip, known, read_only=read_only, place=Path(place))] += 1
                print(f"{tables} tables, {'read only' if read_only else 'to write'}: {dict(counted)}", flush=True)


if __name__ == "__main__":
    campaign(int(sys.argv[1]))

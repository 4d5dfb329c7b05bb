"""Keys keep streams apart and in order; ids are UUIDv7s that rise with the position they carry."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.records import ids
from eventsourcing_kit.storage import keys
from tests.faults import log_of, writer_of

NAMES = st.text(st.sampled_from("a\x00\x01\xff-é😀\U0010ffff"), min_size=1, max_size=5) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20
)
VERSIONS = st.integers(0, 2**64 - 1)
TRICKY = [
    "a",
    "a\x00",
    "a\x00\x01",
    "a\x00\xff",
    "a\x00\x00",
    "\x00",
    "\x00\x01",
    "a-",
    "a-1",
    "a-10",
    "a-1\x00",
    "a–1",
]
TRICKY += ["ä", "a\u0308", "😀", "😀-1", "👩‍👩‍👧", " ", "a ", "A", "\U0010ffff", "\x7f", "\n", "𐏿"]


# keys


@given(NAMES, VERSIONS)
def test_a_streams_key_tells_its_name_and_version(name: str, version: int) -> None:
    """`stream_of` is the inverse of `stream`."""
    assert keys.stream_of(keys.stream(name, version)) == (name, version)


@given(NAMES, VERSIONS, NAMES, VERSIONS)
def test_keys_sort_by_stream_then_by_version(name: str, version: int, other: str, other_version: int) -> None:
    """Keys of one stream stand together, in the order of their versions; streams in the order of their bytes."""
    order = (name.encode(), version) < (other.encode(), other_version)
    assert (keys.stream(name, version) < keys.stream(other, other_version)) == order


@given(NAMES, NAMES, VERSIONS, NAMES, NAMES, VERSIONS)
def test_notes_sort_by_kind_name_and_number_and_never_mix(
    kind: str, name: str, at: int, kind2: str, name2: str, at2: int
) -> None:
    """`note_of` is the inverse of `note`; the range of a kind, and of a kind's name, holds its own notes only."""
    key, other = keys.note(kind, name, at), keys.note(kind2, name2, at2)
    assert keys.note_of(key) == (kind, name, at)
    assert (key < other) == ((kind.encode(), name.encode(), at) < (kind2.encode(), name2.encode(), at2))
    start, end = keys.note_range(kind)
    assert (start <= other < end) == (kind == kind2)
    start, end = keys.note_range(kind, name)
    assert (start <= other < end) == ((kind, name) == (kind2, name2))


def test_notes_are_kept_beside_the_log_and_can_be_removed(tmp_path: Path) -> None:
    with ek.EventStore(tmp_path) as store:
        writer = writer_of(store)
        writer.note([(keys.note("mark", "a", at), b"%d" % at) for at in (1, 5, 9)])
        store.append("a", ek.NewEvent(type="X"))
        writer.note([(keys.note("mark", "a", 5), None)])
    with ek.EventStore(tmp_path, read_only=True) as reader:
        assert list(log_of(reader).notes("mark")) == [("a", 1, b"1"), ("a", 9, b"9")]
        assert log_of(reader).last_note("mark", "a", 8) == (1, b"1")
        assert log_of(reader).last_note("mark", "a", 0) is None
        assert reader.position == 1


@given(NAMES, NAMES, VERSIONS, st.integers(0, 2**63))
def test_a_streams_range_holds_its_own_keys_only(name: str, other: str, version: int, after: int) -> None:
    """Neither a prefix nor a NUL lets a stream into another's range."""
    start, end = keys.stream_range(name, after)
    inside = start <= keys.stream(other, version) < end
    assert inside == (name == other and version > after)


@example("a", "\x00\x01", 1, 0)
@given(NAMES, st.text("\x00\x01a", min_size=1, max_size=4), VERSIONS, st.integers(0, 3))
def test_a_name_that_begins_with_another_lies_outside_its_range(name: str, more: str, version: int, after: int) -> None:
    """Also where it goes on with the very bytes that end a name, or with a version's zeros."""
    start, end = keys.stream_range(name, after)
    assert not start <= keys.stream(name + more, version) < end


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 2**62)), min_size=2, max_size=20))
def test_commit_keys_sort_by_time_then_by_position(places: list[tuple[int, int]]) -> None:
    """Also for times before 1970."""
    by_key = sorted(places, key=lambda place: keys.commit(*place))
    assert by_key == sorted(places)


@given(st.integers(-(2**62), 2**62), st.integers(1, 2**62), st.integers(1, 2**31), st.integers(0, 2**40), st.binary())
def test_a_commit_entry_reads_back(us: int, first: int, count: int, more_us: int, noise: bytes) -> None:
    """Time and position from the key, the rest from the value."""
    digest = noise[:32].ljust(32, b"\x00")
    given = keys.CommitEntry(first, us, first + count - 1, us + more_us, first % 99, digest)
    entry = keys.commit_entry(keys.commit(us, first), keys.commit_value(given))
    assert entry == given


def test_streams_with_tricky_names_never_mix(store: ek.EventStore) -> None:
    """NUL, prefixes, dashes, emoji, composed letters: each stream reads back exactly, and only its own events."""
    for round_ in range(3):
        for name in TRICKY:
            store.append(name, ek.NewEvent(type="Named", data={"name": name, "round": round_}), expected_version=round_)
    for name in TRICKY:
        assert [(e.stream, e.version, e.data) for e in store.read(name)] == [
            (name, i + 1, {"name": name, "round": i}) for i in range(3)
        ]
    assert store.streams()["stream"].tolist() == TRICKY


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True))
def test_any_accepted_name_reads_back_exactly(names: list[str]) -> None:
    """In one commit and in several, by stream and over the whole log."""
    with ek.EventStore() as store:
        store.append_many([ek.Append(name, ek.NewEvent(type="Named", data={"n": name})) for name in names])
        for name in names:
            store.append(name, ek.NewEvent(type="Named", data={"n": name}))
        assert [e.stream for e in store.read()] == names * 2
        for name in names:
            assert [(e.stream, e.version, e.data["n"]) for e in store.read(name)] == [(name, 1, name), (name, 2, name)]
            assert store.version(name) == 2
            assert [e.version for e in store.read(name, backwards=True)] == [2, 1]


# ids


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(1, ids.POSITION_LIMIT - 1), min_size=1, max_size=20))
def test_an_id_carries_its_position(key: int, positions: list[int]) -> None:
    """`position_in` is the inverse, whatever key and time."""
    at = np.array(positions, dtype=np.int64)
    times = np.arange(len(positions), dtype=np.int64) * 7_777
    made = list(ids.to_uuids(ids.id_bytes(key, at, times)))
    assert made == [ids.made(key, position, us) for position, us in zip(at.tolist(), times.tolist(), strict=True)]
    assert [ids.position_in(one) for one in made] == positions
    assert all(one.version == 7 and one.variant == uuid.RFC_4122 for one in made)
    assert ids.to_text(ids.id_bytes(key, at, times)) == [str(one) for one in made]


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.tuples(st.integers(1, 2**33), st.integers(0, 2_000)), min_size=2, max_size=30),
    st.integers(-5_000, 2**50),
)
def test_ids_rise_strictly_with_the_position(key: int, steps: list[tuple[int, int]], start_us: int) -> None:
    """Within a millisecond and across, also before 1970, as long as time does not decrease."""
    positions = np.cumsum([step for step, _ in steps])
    times = start_us + np.cumsum([us for _, us in steps])
    made = [row.tobytes() for row in ids.id_bytes(key, positions, times)]
    assert all(a < b for a, b in itertools.pairwise(made))


def test_an_ids_time_is_recorded_at_to_the_millisecond() -> None:
    """As UUIDv7 has it: 48 bits of milliseconds, not rounded up."""
    now = datetime(2026, 1, 5, 9, 0, 0, 123_999, tzinfo=UTC)
    with ek.EventStore(clock=lambda: now) as store:
        event = store.append("a", ek.NewEvent(type="T")).events[0]
    assert event.id.int >> 80 == int(datetime(2026, 1, 5, 9, 0, 0, 123_000, tzinfo=UTC).timestamp() * 1000)
    assert event.recorded_at == now


def test_ids_rise_across_commits_restarts_and_a_clock_set_back(folder: Path) -> None:
    """Sorted by id, events stand in the order of their positions, whatever happened in between."""
    start = datetime(2026, 1, 5, 9, tzinfo=UTC)
    times = [start, start, start - timedelta(days=1), start - timedelta(days=1), start + timedelta(days=1)] * 2
    for _ in range(4):
        with ek.EventStore(folder, clock=times.pop, fsync=False) as store:
            store.append("a", [ek.NewEvent(type="T")] * 300)
            store.append("b", [ek.NewEvent(type="T")] * 3)
    with ek.EventStore(folder, read_only=True) as store:
        found = [event.id for event in store.read()]
        assert len(found) == 1212
        assert found == sorted(found)
        assert len(set(found)) == len(found)


def test_a_fast_loop_of_appends_does_not_run_ahead_of_the_clock() -> None:
    """The trap of `uuid6.uuid7()`: its time moves on a millisecond a call."""
    with ek.EventStore() as store:
        receipt = store.append("a", [ek.NewEvent(type="T")] * 20_000)
        after_ms = datetime.now(UTC).timestamp() * 1000
        assert receipt.events[-1].id.int >> 80 <= after_ms


def test_with_a_seed_an_id_is_a_function_of_seed_store_and_position() -> None:
    """Two stores that are made alike give the same ids; another seed gives others."""

    def made(seed: int | None, batches: list[int]) -> list[str]:
        with ek.EventStore(clock=lambda: datetime(2026, 1, 5, tzinfo=UTC), seed=seed) as store:
            for count in batches:
                store.append("a", [ek.NewEvent(type="T")] * count)
            return [str(event.id) for event in store.read()]

    assert made(7, [1, 2]) == made(7, [1, 2]) == made(7, [3])
    assert not set(made(7, [3])) & set(made(8, [3]))
    assert not set(made(None, [3])) & set(made(None, [3]))


def test_a_seeded_store_keeps_its_ids_after_a_restart(folder: Path) -> None:
    """Reopened with the same seed, the store goes on as if it had never been closed."""
    clock = ek.testing.clock("2026-01-05T09:00:00Z", step="1us")
    for _ in range(2):
        with ek.EventStore(folder, clock=clock, seed=3, fsync=False) as store:
            store.append("a", ek.NewEvent(type="T"))
    with ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1us"), seed=3) as whole:
        for _ in range(2):
            whole.append("a", ek.NewEvent(type="T"))
        with ek.EventStore(folder, read_only=True) as store:
            assert [event.id for event in store.read()] == [event.id for event in whole.read()]


@pytest.mark.parametrize("supplied", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid4(), uuid.uuid1()])
def test_a_supplied_id_may_be_any_uuid(store: ek.EventStore, supplied: uuid.UUID) -> None:
    """As a UUID or as its text; it reads back and it is a moment."""
    store.append("a", ek.NewEvent(type="T"))
    store.append("a", ek.NewEvent(type="T", id=supplied))
    store.append("b", ek.NewEvent(type="T"))
    assert [event.id for event in store.read(after=1, as_of=supplied)] == [supplied]
    assert [event.position for event in store.read(as_of=str(supplied))] == [1, 2]


def test_an_id_of_another_store_is_unknown(store: ek.EventStore) -> None:
    """It carries a position that exists here too, and still names nothing here."""
    store.append("a", ek.NewEvent(type="T"))
    with ek.EventStore(seed=2) as other:
        stranger = other.append("a", ek.NewEvent(type="T")).events[0].id
    with pytest.raises(ek.EventSourcingError, match="no event of this store has the id"):
        store.read(as_of=stranger)

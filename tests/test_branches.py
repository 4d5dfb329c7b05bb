"""Branches: a writable store over another's past, which never changes; found again by its folder."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

Batch = list[tuple[str, int]]  # stream and amount of each event of a commit

TOTAL = ek.Projection("total", initial=lambda: 0)
TOTAL.on("BranchPaid")(lambda state, event: state + event["amount"])
DECLARED = ek.Projection(
    "declared",
    fields={"paid": ek.fold.total("BranchPaid", "amount"), "last": ek.fold.last("BranchRefunded", "amount")},
)
OVERALL = ek.Projection("overall", key=None, initial=lambda: ())
OVERALL.on("*")(lambda state, event: (*state, event["amount"]))
SNAPPED = ek.Projection("snapped", initial=lambda: 0, snapshots=2)
SNAPPED.on("BranchPaid")(lambda state, event: state + event["amount"])


def paid(amount: int, **more: Any) -> ek.NewEvent:
    kind = "BranchPaid" if amount >= 0 else "BranchRefunded"
    return ek.NewEvent(type=kind, data={"amount": amount}, **more)


def append(store: ek.EventStore, batch: Batch) -> None:
    tags = [None, ["about:it"]]
    store.append_many(
        [ek.Append(stream, paid(amount, metadata={"at": amount}, tags=tags[amount % 2])) for stream, amount in batch]
    )


def clock() -> Any:
    return ek.testing.clock("2026-01-05T09:00:00Z", step="1s")


def with_events(*amounts: int, path: Path | None = None) -> ek.EventStore:
    store = ek.EventStore(path, clock=clock())
    for amount in amounts:
        store.append("order-1", paid(amount))
    return store


def shows_same(one: ek.EventStore, other: ek.EventStore) -> None:
    """Every view of two stores is the same, at every moment; but for the stores' ids."""
    assert one.position == other.position
    events = list(other.read())
    assert list(one.read()) == events
    pd.testing.assert_frame_equal(one.read().df(), other.read().df())
    pd.testing.assert_frame_equal(one.streams(), other.streams())
    pd.testing.assert_frame_equal(one.types(), other.types())
    streams = dict.fromkeys(event.stream for event in events)
    for stream in streams:
        assert one.version(stream) == other.version(stream)
        assert list(one.read(stream, backwards=True)) == list(other.read(stream, backwards=True))
    moments = [0, *(event.position for event in events), *(event.recorded_at for event in events)]
    for moment in [*moments, *(event.id for event in events)]:
        assert list(one.read(as_of=moment)) == list(other.read(as_of=moment))
        assert list(one.read(after=moment, backwards=True)) == list(other.read(after=moment, backwards=True))
        for projection in (TOTAL, DECLARED, OVERALL, SNAPPED):
            assert one.replay(projection, as_of=moment) == other.replay(projection, as_of=moment)
        for stream in streams:
            assert list(one.read(stream, after=moment)) == list(other.read(stream, after=moment))
            assert list(one.read(stream, as_of=moment)) == list(other.read(stream, as_of=moment))
    for projection in (TOTAL, DECLARED, OVERALL):
        pd.testing.assert_frame_equal(one.history(projection).df(), other.history(projection).df())
    assert one.verify().ok


batches = st.lists(
    st.lists(st.tuples(st.sampled_from(("order-1", "order-2", "bill-1")), st.integers(-3, 9)), min_size=1, max_size=4),
    max_size=4,
)


@settings(max_examples=15, deadline=None)
@given(before=batches, own=batches, later=batches, data=st.data())
def test_a_branch_shows_what_a_store_shows_that_was_given_the_same_events_from_the_start(
    before: list[Batch], own: list[Batch], later: list[Batch], data: st.DataObject
) -> None:
    base = ek.EventStore(clock=clock())
    for batch in before:
        append(base, batch)
    fork = data.draw(st.integers(0, base.position))
    past = list(base.read(as_of=fork))
    branch = base.branch(as_of=fork)
    for batch in later:
        append(base, batch)
    for batch in own:
        append(branch, batch)
    assert list(branch.read(as_of=fork)) == past
    if branch.position:
        given_it_all = ek.from_frame(branch.read().df(raw=True))
        shows_same(branch, given_it_all)
        twig = branch.branch(as_of=data.draw(st.integers(0, branch.position)))
        shows_same(twig, given_it_all.branch(as_of=twig.position))
        append(twig, [("order-1", 5)])
        assert twig.verify().ok
    assert base.verify().ok


def test_a_branch_goes_on_from_the_last_event_by_microseconds_or_by_its_clock() -> None:
    store = with_events(1)
    last = store.branch().append("order-1", paid(2)).events[0].recorded_at
    assert last == datetime(2026, 1, 5, 9, 0, 0, 1, tzinfo=UTC)
    first = store.branch(as_of=0).append("order-1", paid(2)).events[0].recorded_at
    assert first == datetime(1970, 1, 1, tzinfo=UTC)
    own = store.branch(clock=ek.testing.clock("2027-01-01T00:00:00Z")).append("order-1", paid(2))
    assert own.events[0].recorded_at == datetime(2027, 1, 1, tzinfo=UTC)


def test_an_event_of_a_branch_can_be_recorded_at_a_time_that_is_not_before_its_last() -> None:
    store = with_events(1, 2)
    branch, (first, second) = store.branch(as_of=1), list(store.read())
    for when in (first, second.recorded_at, "2026-01-05T09:00:01Z", second):
        done = branch.append("order-2", [paid(3), paid(4)], recorded_at=when)
        assert {event.recorded_at for event in done.events} == {(first if when is first else second).recorded_at}
    with pytest.raises(ek.InputError, match="before the branch's last event"):
        branch.append("order-2", paid(3), recorded_at=first)
    with pytest.raises(ek.MomentError, match="give a time"):
        branch.append("order-2", paid(3), recorded_at=1)
    with pytest.raises(ek.InputError, match="for branches"):
        store.append("order-2", paid(3), recorded_at=second)
    assert branch.position == 9
    assert branch.verify().ok


def test_what_was_recorded_is_a_moment_of_the_branch_up_to_the_fork_and_not_behind() -> None:
    store = with_events(1, 2, 3)
    branch = store.branch(as_of=2)
    own = branch.append("order-1", paid(9))
    past, behind = list(store.read())[1:]
    assert branch.base is not None
    for moment in (past, branch.base):
        assert [event.position for event in branch.read(after=moment)] == [3]
        assert [event.position for event in store.read(after=moment)] == [3]
    with pytest.raises(ek.MomentError, match="behind the fork at 2"):
        branch.read(as_of=behind)
    with pytest.raises(ek.MomentError, match="another store"):
        store.read(as_of=own)
    twig = branch.branch()
    assert len(list(twig.read(as_of=own))) == len(list(twig.read(as_of=past))) + 1


def test_the_base_and_the_branch_point_say_what_they_are() -> None:
    store = with_events(1, 2)
    branch = store.branch(as_of=1)
    assert store.base is None
    assert branch.base is not None
    assert (branch.base.position, branch.base.location) == (1, None)
    assert len(branch.base.digest) == 64
    assert branch.base.recorded_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert repr(branch) == "<event store in memory: branch of a store in memory at 1, position 1>"
    root = store.branch(as_of=0).base
    assert root is not None
    assert (root.digest, root.recorded_at) == ("0" * 64, None)


def test_branches_of_one_handle_have_other_ids_and_two_handles_of_one_seed_the_same() -> None:
    frame = with_events(1, 2).read().df(raw=True)
    handles = [ek.from_frame(frame, seed=7) for _ in range(2)]
    ids = [[handle.branch(seed=1).append("order-1", paid(3)).events[0] for _ in range(3)] for handle in handles]
    assert [one.id for one in ids[0]] == [one.id for one in ids[1]]
    assert len({one.id for one in ids[0]}) == len({one.store_id for one in ids[0]}) == 3


def test_a_branch_outlives_its_base_and_is_not_seen_by_it(tmp_path: Path) -> None:
    for path in (None, tmp_path / "base"):
        store = with_events(1, 2, path=path)
        branch = store.branch(as_of=1)
        branch.append("order-1", paid(7))
        store.append("order-1", paid(3))
        assert [event.data["amount"] for event in store.read()] == [1, 2, 3]
        store.close()
        assert [event.data["amount"] for event in branch.read()] == [1, 7]
        assert branch.replay(TOTAL) == {"order-1": 8}
        branch.append("order-1", paid(8))
        assert branch.verify().ok
        branch.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_branch_changes_no_byte_of_its_base(tmp_path: Path) -> None:
    with_events(1, 2, 3, path=tmp_path / "base").close()
    before = contents(tmp_path / "base")
    with ek.EventStore(tmp_path / "base", read_only=True) as base:
        branch = base.branch(as_of=2, path=tmp_path / "branch")
        branch.append("order-1", paid(7))
        branch.take_snapshots(SNAPPED)
        assert branch.verify().ok
        branch.close()
    with ek.EventStore(tmp_path / "branch") as branch:
        branch.append("order-1", paid(8))
        assert branch.replay(TOTAL) == {"order-1": 18}
    assert contents(tmp_path / "base") == before


def test_a_folder_opens_again_and_finds_its_base_also_where_that_has_moved(tmp_path: Path) -> None:
    store = with_events(1, 2, path=tmp_path / "base")
    branch = store.branch(as_of=1, path=tmp_path / "branch")
    point = branch.base
    branch.close()
    store.append("order-1", paid(3))
    with ek.EventStore(tmp_path / "branch") as branch:  # it has no event of its own yet, and its base has a writer
        assert branch.base == point
        branch.append("order-1", paid(7), expected_version=1)
        twig = branch.branch(path=tmp_path / "twig")
        twig.append("order-1", paid(8))
        twig.close()
    store.close()
    shutil.move(tmp_path / "base", tmp_path / "moved")
    with pytest.raises(ek.StorageError, match=r"(?s)cannot be opened at .*base='its place'"):
        ek.EventStore(tmp_path / "branch")
    with ek.EventStore(tmp_path / "branch", base=tmp_path / "moved") as branch:
        assert [event.data["amount"] for event in branch.read()] == [1, 7]
        assert branch.verify().ok
    with ek.EventStore(tmp_path / "branch", read_only=True) as branch:
        assert [event.data["amount"] for event in branch.read()] == [1, 7]
    with ek.EventStore(tmp_path / "twig") as twig:
        assert [event.data["amount"] for event in twig.read()] == [1, 7, 8]


def test_a_base_that_is_another_or_not_what_it_was_is_refused(tmp_path: Path) -> None:
    with with_events(1, 2, path=tmp_path / "base") as store:
        store.branch(path=tmp_path / "branch").close()
    with_events(1, 2, path=tmp_path / "other").close()
    with pytest.raises(ek.StorageError, match="is another one"):
        ek.EventStore(tmp_path / "branch", base=tmp_path / "other")
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(ek.StorageError, match="cannot be opened"):
        ek.EventStore(tmp_path / "branch")
    memory = with_events(1)
    memory.branch(path=tmp_path / "of_memory").close()
    ek.EventStore(tmp_path / "of_memory").close()
    memory.close()
    with pytest.raises(ek.StorageError, match="was a store in memory"):
        ek.EventStore(tmp_path / "of_memory")
    with pytest.raises(ek.InputError, match="there is no branch"):
        ek.EventStore(tmp_path / "nowhere", base=tmp_path / "other")
    assert not (tmp_path / "nowhere").exists()


def test_what_cannot_be_branched_is_refused(tmp_path: Path) -> None:
    store = with_events(1, path=tmp_path / "base")
    for moment in (2, "2026-01-05"):
        with pytest.raises(ek.MomentError):
            store.branch(as_of=moment)
    store.branch(path=tmp_path / "branch").close()
    for taken in (tmp_path / "branch", tmp_path / "base"):
        with pytest.raises(ek.InputError):
            store.branch(path=taken)
    store.close()
    with pytest.raises(ek.StoreClosedError):
        store.branch()


def test_snapshots_up_to_the_fork_are_used_and_later_ones_are_not() -> None:
    store = with_events(1, 2, 3, 4)
    store.take_snapshots(SNAPPED)
    branch = store.branch(as_of=3)
    branch.append("order-1", paid(10))
    assert branch.replay(SNAPPED) == {"order-1": 16}
    folded = branch.folded(SNAPPED, key="order-1").set_index("position")["snapshot"]
    assert folded.loc[4] == 2


def test_what_follows_a_branch_gets_its_past_and_then_its_own(tmp_path: Path) -> None:
    store = with_events(1, 2, 3, path=tmp_path / "base")
    branch = store.branch(as_of=2)
    seen: list[int] = []
    with branch.subscribe(lambda event: seen.append(event.data["amount"]), name="reader") as reader:
        branch.append("order-1", paid(9))
        reader.wait_until(branch.position)
    assert seen == [1, 2, 9]
    assert [event.data["amount"] for event in branch.follow(timeout=0)] == [1, 2, 9]
    db = ek.ReportingDatabase()
    db.add(TOTAL, table="totals")
    db.update(branch)
    assert db.sql("SELECT state FROM totals").values.tolist() == [[12]]


def test_a_branch_decides_and_is_compared_with_its_base() -> None:
    store = with_events(10, 20, 30)
    branch = store.branch(as_of=2)
    decider = ek.Decider(
        decide=lambda command, state: paid(command), evolve=lambda state, event: state + event["amount"], initial=int
    )
    assert branch.handle(decider, "order-1", 5).state == 35
    comparison = ek.compare(store.history(TOTAL), branch.history(TOTAL))
    first = comparison.first()
    assert first is not None
    assert (first["one"], first["other"]) == (30, 35)
    assert comparison.at(2).empty
    with pytest.raises(ek.MomentError, match="give a time"):
        comparison.at(3)
    assert len(comparison.at(datetime(2026, 1, 5, 9, 0, 3, tzinfo=UTC))) == 1


def test_a_branch_is_copied_with_its_base_left_where_it_is(tmp_path: Path) -> None:
    store = with_events(1, 2, path=tmp_path / "base")
    branch = store.branch(as_of=1)
    branch.append("order-1", paid(7))
    assert ek.copy(branch, into=tmp_path / "copy").ok
    with ek.EventStore(tmp_path / "copy") as copied:
        assert [event.data["amount"] for event in copied.read()] == [1, 7]

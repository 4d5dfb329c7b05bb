"""Appending: receipts, expected versions, replayed batches, one commit for all or nothing, and many threads at once."""

from __future__ import annotations

import copy
import pickle
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eventsourcing_kit as ek

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
US = timedelta(microseconds=1)
ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


class PutIn(ek.Event):
    amount: int


def noted(n: int = 0, **more: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n}, **more)


# receipts


@pytest.mark.parametrize("sent", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy])
def test_a_receipt_can_be_sent_elsewhere(store: ek.EventStore, sent: Callable[[Any], Any]) -> None:
    """Pickled or copied; that of a repeat, too."""
    event = ek.NewEvent(type="Noted", data={"n": 1}, id=uuid.UUID(int=1))
    for replayed in (False, True):
        receipt = store.append("a-1", event)
        again = sent(receipt)
        assert (again.events, again.replayed) == (receipt.events, replayed)
        assert repr(again) == repr(receipt)
        assert [one.position for one in store.read(as_of=again)] == [1]


def test_a_receipt_tells_version_position_and_events(store: ek.EventStore) -> None:
    """Of this append, not of the store as it is later."""
    store.append("b", noted())
    receipt = store.append("a-1", [PutIn(amount=5), noted(7)], metadata={"by": "ada"})
    store.append("a-1", PutIn(amount=6))
    assert (receipt.stream, receipt.version, receipt.position, receipt.replayed) == ("a-1", 2, 3, False)
    first, second = receipt.events
    assert (first.stream, first.version, first.position, first.type) == ("a-1", 1, 2, "PutIn")
    assert (first.data, second.data) == (PutIn(amount=5), {"n": 7})
    assert (first.schema_version, first.occurred_at, first.metadata) == (1, None, {"by": "ada"})
    assert first.recorded_at == second.recorded_at == START + timedelta(minutes=1)
    assert receipt.events == list(store.read(after=1, as_of=3))
    assert repr(receipt) == "<receipt: 2 events to 'a-1', version 2, position 3>"


def test_one_event_needs_no_list_and_any_iterable_will_do(store: ek.EventStore) -> None:
    """A tuple and a generator too."""
    store.append("a", PutIn(amount=1))
    store.append("a", (PutIn(amount=2), PutIn(amount=3)))
    store.append("a", (PutIn(amount=n) for n in (4, 5)))
    assert [event.data.amount for event in store.read()] == [1, 2, 3, 4, 5]


def test_metadata_is_merged_and_the_events_own_wins(store: ek.EventStore) -> None:
    """Key by key, at the top."""
    events = [noted(metadata={"by": "eve", "own": 1}), noted(), PutIn(amount=1)]
    store.append("a", events, metadata={"by": "ada", "trace": {"x": 1}})
    assert [event.metadata for event in store.read()] == [
        {"by": "eve", "own": 1, "trace": {"x": 1}},
        {"by": "ada", "trace": {"x": 1}},
        {"by": "ada", "trace": {"x": 1}},
    ]


def test_occurred_at_keeps_the_moment_to_the_microsecond(store: ek.EventStore) -> None:
    """Any offset becomes UTC; finer times are floored, quietly."""
    west = timezone(timedelta(hours=-8))
    given = [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 1, 5, 1, tzinfo=west),
        pd.Timestamp("2026-01-05T09:00:00.000000999Z"),
        "2026-01-05T10:00:00+01:00",
    ]
    store.append("a", [noted(occurred_at=time) for time in given])
    assert [event.occurred_at for event in store.read()] == [given[0], START, START, START]
    assert all(event.occurred_at.utcoffset() == timedelta(0) for event in store.read())


def test_a_hundred_thousand_events_go_into_one_append(folder: Path) -> None:
    """All at one time, one version after the other."""
    with ek.EventStore(folder, fsync=False) as store:
        receipt = store.append("a", [PutIn(amount=n) for n in range(100_000)], expected_version=ek.NO_STREAM)
        assert (receipt.version, receipt.position) == (100_000, 100_000)
        store.append("a", PutIn(amount=-1), expected_version=100_000)
    with ek.EventStore(folder, read_only=True) as store:
        frame = store.read().df()
        assert frame["amount"].tolist() == [*range(100_000), -1]
        assert frame["version"].tolist() == list(range(1, 100_002))
        assert frame["recorded_at"].nunique() == 2
        assert frame["id"].is_unique


# expected versions


@pytest.mark.parametrize(
    ("expected", "before", "holds"),
    [
        (ek.ANY, 0, True), (ek.ANY, 2, True), (ek.NO_STREAM, 0, True), (ek.NO_STREAM, 2, False),
        (ek.STREAM_EXISTS, 0, False), (ek.STREAM_EXISTS, 2, True), (0, 0, True), (0, 2, False),
        (2, 2, True), (1, 2, False), (3, 2, False), (1, 0, False), (10**30, 2, False),
    ],
)  # fmt: skip
def test_an_expected_version_holds_or_is_a_conflict(
    store: ek.EventStore, expected: Any, before: int, holds: bool
) -> None:
    """Too high is a conflict as well; 0 means no stream; nothing is written by a conflict."""
    store.append("other", noted())
    for n in range(before):
        store.append("a", noted(n))
    if holds:
        assert store.append("a", noted(9), expected_version=expected).version == before + 1
        return
    with pytest.raises(ek.ConcurrencyError) as conflict:
        store.append("a", [noted(9), noted(9)], expected_version=expected)
    error = conflict.value
    assert (error.stream, error.expected, error.actual) == ("a", expected, before)
    assert f"stream 'a' is at version {before}, not at the expected {expected!r}" in str(error)
    assert (store.version("a"), store.position) == (before, before + 1)


def test_unseen_are_the_events_after_the_expected_version(store: ek.EventStore) -> None:
    """Of that stream only; it can be iterated twice, and its repr stays short."""
    for n in range(5):
        store.append_many([ek.Append("a", [noted(n), noted(-n)]), ek.Append("b", noted(n))])
    unseen = {}
    for expected in (0, ek.NO_STREAM, 3, 9, 11, ek.STREAM_EXISTS):
        stream = "nobody" if expected is ek.STREAM_EXISTS else "a"
        with pytest.raises(ek.ConcurrencyError) as conflict:
            store.append(stream, noted(), expected_version=expected)
        unseen[expected] = [event.version for event in conflict.value.unseen]
        assert [event.version for event in conflict.value.unseen] == unseen[expected]
        assert all(event.stream == "a" for event in conflict.value.unseen)
        assert len(repr(conflict.value.unseen)) < 200
        assert (".unseen" in str(conflict.value)) == bool(unseen[expected])
    every = list(range(1, 11))
    assert unseen == {0: every, ek.NO_STREAM: every, 3: every[3:], 9: [10], 11: [], ek.STREAM_EXISTS: []}


@pytest.mark.parametrize("expected", [-1, True, 1.0, "1", None, [1]])
def test_a_malformed_expected_version_is_bad_input(store: ek.EventStore, expected: Any) -> None:
    """That is no conflict: nobody could have been right."""
    with pytest.raises(ek.InputError, match="neither a version"):
        store.append("a", noted(), expected_version=expected)
    assert store.position == 0


# append_many


def test_append_many_is_one_commit_with_a_receipt_an_append(store: ek.EventStore) -> None:
    """In list order, at one time; a stream may occur twice, and its second expectation sees the first."""
    done = store.append_many(
        [
            ek.Append("a", [noted(1), noted(2)], expected_version=ek.NO_STREAM),
            ek.Append("b", noted(3), metadata={"by": "ada"}),
            ek.Append("a", noted(4), expected_version=2),
        ]
    )
    assert [(r.stream, r.version, r.position) for r in done] == [("a", 2, 2), ("b", 1, 3), ("a", 3, 4)]
    assert [[event.data["n"] for event in r.events] for r in done] == [[1, 2], [3], [4]]
    events = list(store.read())
    assert [(e.position, e.stream, e.version) for e in events] == [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 3)]
    assert {event.recorded_at for event in events} == {START}
    assert [event.metadata for event in events] == [{}, {}, {"by": "ada"}, {}]


@pytest.mark.parametrize(
    "bad",
    [
        ek.Append("b", noted(), expected_version=1),
        ek.Append("a", noted(), expected_version=ek.NO_STREAM),
        ek.Append("a", noted(), expected_version=0),
        ek.Append("b", []),
        ek.Append("", noted()),
        ek.Append("b", ek.NewEvent(type="T", data={"x": float("nan")})),
        ek.Append("b", noted(), expected_version=-1),
        ek.Append("b", noted(id=TWO)),
        ek.Append("b", noted(id=ONE)),
        ek.Append("b", noted(), metadata={"x": object()}),
        "no append",
    ],
)
def test_append_many_is_all_or_nothing(store: ek.EventStore, bad: Any) -> None:
    """Whatever is wrong with one part, no part is written."""
    store.append("c", noted(id=TWO))
    with pytest.raises(ek.EventSourcingError):
        store.append_many([ek.Append("a", noted(id=ONE)), bad, ek.Append("d", noted())])
    assert (store.position, store.version("a"), store.version("d")) == (1, 0, 0)
    assert store.append("a", noted(id=ONE)).replayed is False


# ids, and appends that are there already


def test_a_batch_that_is_there_already_gives_the_first_receipt(store: ek.EventStore) -> None:
    """Checked before the expected version, which does not hold any more."""
    batch = [noted(1, id=ONE), PutInWithId(TWO)]
    first = store.append("a", batch, expected_version=ek.NO_STREAM)
    store.append("a", noted(3))
    again = store.append("a", batch, expected_version=ek.NO_STREAM)
    assert (again.version, again.position, again.replayed) == (first.version, first.position, True)
    assert again.events == first.events
    assert store.position == 3
    assert repr(again) == "<receipt: 2 events to 'a', version 2, position 2, replayed>"


def PutInWithId(id: uuid.UUID) -> ek.NewEvent:
    return ek.NewEvent(PutIn(amount=5), id=id)


def test_a_replayed_append_many_gives_every_receipt_again(store: ek.EventStore) -> None:
    """Across streams."""
    parts = [ek.Append("a", noted(1, id=ONE)), ek.Append("b", noted(2, id=TWO))]
    first = store.append_many(parts)
    store.append("a", noted())
    again = store.append_many(parts)
    assert [(r.stream, r.version, r.position, r.replayed) for r in again] == [("a", 1, 1, True), ("b", 1, 2, True)]
    assert [r.events for r in again] == [r.events for r in first]


def test_a_batch_that_was_appended_in_two_commits_is_known_again(store: ek.EventStore) -> None:
    """Its events are those of both."""
    first, second = [noted(n, id=uuid.uuid4()) for n in (1, 2)], [noted(n, id=uuid.uuid4()) for n in (3, 4, 5)]
    events = [*store.append("a", first).events]
    store.append("b", noted(0))
    events += store.append("a", second).events
    again = store.append("a", first + second)
    assert (again.replayed, again.version, again.position) == (True, 5, 6)
    assert again.events == events


def test_a_batch_is_known_again_after_a_restart_and_by_its_own_given_ids(folder: Path) -> None:
    """The ids that the store made do as well as supplied ones, so recorded events can be sent again."""
    with ek.EventStore(folder, fsync=False) as store:
        made = store.append("a", [noted(1), noted(2)]).events
        store.append("a", noted(3, id=ONE))
    with ek.EventStore(folder, fsync=False) as store:
        again = store.append("a", [noted(event.data["n"], id=event.id) for event in made])
        assert (again.replayed, again.position, again.version) == (True, 2, 2)
        assert store.append("a", noted(3, id=str(ONE))).replayed
        assert store.position == 3


@pytest.mark.parametrize(
    ("stream", "events", "named"),
    [
        ("b", [noted(1, id=ONE), noted(2, id=TWO)], ONE),
        ("a", [noted(2, id=TWO), noted(1, id=ONE)], TWO),
        ("a", [noted(1, id=ONE), noted(3, id=TWO)], TWO),
        ("a", [noted(1, id=ONE), ek.NewEvent(type="Other", data={"n": 2}, id=TWO)], TWO),
        ("a", [noted(1, id=ONE), noted(2, id=uuid.UUID(int=3))], ONE),
        ("a", [noted(1, id=ONE), noted(2)], ONE),
        ("a", [noted(1.0, id=ONE), noted(2, id=TWO)], ONE),
        ("a", [noted(True, id=ONE), noted(2, id=TWO)], ONE),
        ("a", [ek.NewEvent(type="Noted", data={"n": 1, "x": None}, id=ONE), noted(2, id=TWO)], ONE),
    ],
)
def test_an_id_that_is_taken_is_named(store: ek.EventStore, stream: str, events: Any, named: uuid.UUID) -> None:
    """Another stream, order, type or data, or only some of the ids: an error, and nothing is written."""
    store.append("a", [noted(1, id=ONE), noted(2, id=TWO)])
    with pytest.raises(ek.DuplicateIdError, match=str(named)):
        store.append(stream, events)
    assert store.position == 2


def test_an_id_twice_in_one_append_is_named(store: ek.EventStore) -> None:
    """In one part or in two."""
    for parts in ([ek.Append("a", [noted(id=ONE), noted(id=ONE)])], [ek.Append(s, noted(id=ONE)) for s in "ab"]):
        with pytest.raises(ek.DuplicateIdError, match=f"{ONE} stands twice"):
            store.append_many(parts)
    assert store.position == 0


# time


def test_the_events_of_a_commit_share_its_time_and_commits_never_do() -> None:
    """A clock that stands still is moved on by a microsecond a commit."""
    with ek.EventStore(clock=lambda: START) as store:
        for _ in range(3):
            store.append("a", [noted(), noted()])
        times = [event.recorded_at for event in store.read()]
    assert times == [START, START, START + US, START + US, START + 2 * US, START + 2 * US]


def test_a_clock_set_back_moves_time_on_until_it_catches_up(folder: Path) -> None:
    """Also over a restart."""
    now = [START]
    with ek.EventStore(folder, clock=lambda: now[0], fsync=False) as store:
        store.append("a", noted())
        now[0] = START - timedelta(days=1)
        store.append("a", noted())
    with ek.EventStore(folder, clock=lambda: now[0], fsync=False) as store:
        store.append("a", noted())
        now[0] = START + 2 * US
        store.append("a", noted())
        now[0] = START + timedelta(seconds=1)
        store.append("a", noted())
        assert [event.recorded_at - START for event in store.read()] == [
            timedelta(0), US, 2 * US, 3 * US, timedelta(seconds=1),
        ]  # fmt: skip


def test_recorded_at_is_utc_whatever_zone_the_clock_speaks() -> None:
    """And finer clocks are floored."""
    zone = timezone(timedelta(hours=5, minutes=30))
    for clock in (lambda: START.astimezone(zone), lambda: pd.Timestamp(START).as_unit("ns") + pd.Timedelta(999, "ns")):
        with ek.EventStore(clock=clock) as store:
            event = store.append("a", noted()).events[0]
            assert (event.recorded_at, event.recorded_at.tzinfo) == (START, UTC)


@pytest.mark.parametrize("bad", [datetime(2026, 1, 5), None, 5, "2026-01-05T09:00:00Z", pd.NaT])
def test_a_clock_that_gives_no_aware_datetime_is_named(bad: Any) -> None:
    """Nothing is written, and the store works on once the clock does."""
    now = [bad]
    with ek.EventStore(clock=lambda: now[0]) as store:
        with pytest.raises(ek.InputError, match="the clock's time"):
            store.append("a", noted())
        assert store.position == 0
        now[0] = START
        assert store.append("a", noted()).position == 1


def test_a_clock_that_raises_raises_where_people_append() -> None:
    """Its own exception, and nothing is written."""

    def broken() -> datetime:
        raise RuntimeError("out of order")

    with ek.EventStore(clock=broken) as store:
        with pytest.raises(RuntimeError, match="out of order"):
            store.append("a", noted())
        assert store.position == 0


def test_time_ends_with_the_year_9999() -> None:
    """An event after that could never be read again, so it is refused."""
    with ek.EventStore(clock=lambda: datetime.max.replace(tzinfo=UTC)) as store:
        store.append("a", noted(1))
        with pytest.raises(ek.InputError, match="year 9999"):
            store.append("a", noted(2))
        assert [event.data["n"] for event in store.read()] == [1]


@pytest.mark.parametrize(
    "edge",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_a_clock_beyond_what_utc_has_is_refused(edge: datetime) -> None:
    """Such an event, too, could never be read again."""
    with ek.EventStore(clock=lambda: edge) as store:
        with pytest.raises(ek.InputError, match=r"the clock's time .* lies outside the years 1 to 9999"):
            store.append("a", noted(1))
        assert list(store.read()) == []


def test_without_a_clock_it_is_now() -> None:
    """Between the moments before and after."""
    before = datetime.now(UTC)
    with ek.EventStore() as store:
        event = store.append("a", noted()).events[0]
    assert before <= event.recorded_at <= datetime.now(UTC) + timedelta(milliseconds=1)


# many at once


@pytest.mark.parametrize("on_disk", [False, True])
def test_eight_threads_append_while_others_read(folder: Path, on_disk: bool) -> None:
    """No event is lost, positions have no gap, versions none, and every reader sees a prefix."""
    threads, each = 8, 40
    finished = threading.Event()
    with ek.EventStore(folder if on_disk else None, fsync=False) as store:

        def write(thread: int) -> list[tuple[int, int]]:
            found = []
            for n in range(each):
                own, shared = f"own-{thread}", f"shared-{n % 3}"
                parts = [ek.Append(own, [noted(n), noted(n)], expected_version=2 * n), ek.Append(shared, noted(thread))]
                found += [(r.position, len(r.events)) for r in store.append_many(parts)]
            return found

        def read(backwards: bool) -> int:
            rounds = longest = 0
            while not finished.is_set() or not rounds:
                positions = [event.position for event in store.read(backwards=backwards)]
                positions = positions[::-1] if backwards else positions
                assert positions == list(range(1, len(positions) + 1))
                assert len(positions) >= longest
                assert store.position >= len(positions)
                longest, rounds = len(positions), rounds + 1
            return rounds

        with ThreadPoolExecutor(threads + 2) as pool:
            readers = [pool.submit(read, backwards) for backwards in (False, True)]
            writers = [pool.submit(write, thread) for thread in range(threads)]
            try:
                ends = [place for writer in writers for place in writer.result()]
            finally:
                finished.set()
            assert all(reader.result() for reader in readers)
        total = threads * each * 3
        taken = sorted(p for end, count in ends for p in range(end - count + 1, end + 1))
        assert taken == list(range(1, total + 1))
        frame = store.read().df()
        assert frame["position"].tolist() == list(range(1, total + 1))
        assert frame["recorded_at"].is_monotonic_increasing
        assert frame["id"].is_monotonic_increasing
        for stream, events in frame.groupby("stream"):
            assert events["version"].tolist() == list(range(1, len(events) + 1)), stream


def test_of_threads_that_expect_the_same_version_one_wins(store: ek.EventStore) -> None:
    """Optimistic concurrency: every round has exactly one winner, and the losers read what they missed."""

    def race(version: int) -> list[int] | None:
        try:
            store.append("a", noted(), expected_version=version)
        except ek.ConcurrencyError as conflict:
            return [event.version for event in conflict.unseen]
        return None

    with ThreadPoolExecutor(6) as pool:
        for version in range(20):
            missed = list(pool.map(race, [version] * 6))
            assert sorted(missed, key=bool) == [None] + [[version + 1]] * 5


def test_of_threads_that_send_the_same_batch_one_stores_it(store: ek.EventStore) -> None:
    """The others get its receipt, replayed."""
    with ThreadPoolExecutor(6) as pool:
        for n in range(20):
            batch = [noted(n, id=uuid.UUID(int=2 * n + 1)), noted(n, id=uuid.UUID(int=2 * n + 2))]
            receipts = list(pool.map(lambda events: store.append("a", events), [batch] * 6))
            assert sorted(r.replayed for r in receipts) == [False] + [True] * 5
            assert {r.position for r in receipts} == {2 * n + 2}
    assert store.position == 40


def test_versions_from_a_frame_may_be_expected(store: ek.EventStore) -> None:
    """A frame's whole numbers are numpy's."""
    store.append("a", [noted(), noted()])
    seen = store.streams()["version"].iloc[0]
    assert isinstance(seen, np.integer)
    assert store.append("a", noted(), expected_version=seen).version == 3


def test_what_is_no_list_of_appends_and_no_direction_is_bad_input(store: ek.EventStore) -> None:
    """Refused with the value and what to give instead."""
    with pytest.raises(ek.InputError, match=r"None is no list of appends; append_many takes \[ek\.Append"):
        store.append_many(None)  # type: ignore[arg-type]
    with pytest.raises(ek.InputError, match="backwards is 'x'; give True or False"):
        store.read(backwards="x")  # type: ignore[arg-type]


def test_a_large_append_that_is_repeated_outlasts_no_patience(folder: Path) -> None:
    """Each commit is decoded once, whatever the number of ids that are looked up in it."""
    with ek.EventStore(folder, patience=2, fsync=False) as store:
        events = [ek.NewEvent(type="Noted", data={"i": i}, id=uuid.uuid4()) for i in range(10_000)]
        many = [ek.Append(f"a-{i}", ek.NewEvent(type="Noted", id=uuid.uuid4())) for i in range(2_000)]
        first, others = store.append("big", events), store.append_many(many)
        again = store.append("big", events)
        assert (again.replayed, again.position, again.version) == (True, first.position, 10_000)
        assert [one.position for one in store.append_many(many)] == [one.position for one in others]
        made = [ek.NewEvent(type=e.type, data=e.data, id=e.id) for e in store.append("made", events_of(3_000)).events]
        assert store.append("made", made).replayed


def events_of(count: int) -> list[ek.NewEvent]:
    return [ek.NewEvent(type="Noted", data={"i": i}) for i in range(count)]


def test_an_import_is_recognised_after_its_class_has_changed(store: ek.EventStore) -> None:
    """A field with a default, another name, another shape: it is the event that it was, as it reads today."""

    class Charged(ek.Event):
        amount: int

    mine = uuid.uuid4()
    store.append("b-1", ek.NewEvent(Charged(amount=10), id=mine))

    class Charged(ek.Event):  # type: ignore[no-redef]
        amount: int
        currency: str = "EUR"

    assert store.append("b-1", ek.NewEvent(Charged(amount=10), id=mine)).replayed

    class Billed(ek.Event, version=2, renamed_from="Charged"):
        cents: int

    @ek.upcast(Billed, from_version=1)
    def to_cents(data: dict[str, Any]) -> dict[str, Any]:
        return {"cents": data["amount"] * 100}

    assert store.append("b-1", ek.NewEvent(Billed(cents=1000), id=mine)).replayed
    with pytest.raises(ek.DuplicateIdError):
        store.append("b-1", ek.NewEvent(Billed(cents=1001), id=mine))
    assert store.position == 1

"""Moments: every kind of thing that names one place in the log, to the microsecond, and what is said to the others."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.records.moment import from_us, parse, to_us

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE, US = timedelta(minutes=1), timedelta(microseconds=1)
SUPPLIED = uuid.UUID("00000000-0000-4000-8000-000000000007")


def noted(n: int, **more: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n}, **more)


@pytest.fixture
def three(store: ek.EventStore) -> ek.EventStore:
    """Three commits, at 9:00, 9:01 and 9:02, of one, two and one event."""
    store.append("a-1", noted(1))
    store.append("a-1", [noted(2), noted(3, id=SUPPLIED)])
    store.append("b-1", noted(4))
    return store


@pytest.fixture
def equal_times() -> ek.EventStore:
    """Six loaded events, of which four share a time."""
    times = [START, *[START + MINUTE] * 4, START + 2 * MINUTE]
    frame = pd.DataFrame({"s": list("abcabc"), "t": "Noted", "at": times, "n": range(1, 7)})
    return ek.from_frame(frame, stream="s", type="t", recorded_at="at")


def all_views(store: ek.EventStore, moment: Any) -> int:
    """The position that a moment names, by every view, which must agree."""
    last = ek.Projection("last", initial=lambda: 0, key=None)
    last.on("Noted")(lambda state, event, recorded: recorded.position)
    seen = ek.Projection("seen", initial=lambda: 0)
    seen.on("Noted")(lambda state, event: state + 1)
    read = [event.position for event in store.read(as_of=moment)]
    answers = {
        "read": len(read),
        "after": store.position - len(list(store.read(after=moment))),
        "backwards": len(list(store.read(as_of=moment, backwards=True))),
        "frame": len(store.read(as_of=moment).df()),
        "replay": store.replay(last, as_of=moment),
        "history": store.history(last).at(moment),
        "history as of": store.history(last, as_of=moment).at(len(read)),
        "replay of streams": sum(store.replay(seen, as_of=moment).values()),
        "history of streams": sum(store.history(seen).at(moment).values()),
    }
    assert len(set(answers.values())) == 1, answers
    assert read == list(range(1, len(read) + 1))
    return len(read)


@pytest.mark.parametrize("position", [0, 1, 2, 3, 4, np.int64(2)])
def test_a_position_names_itself(three: ek.EventStore, position: Any) -> None:
    """From 0, before the first event, to the last; also in the middle of a commit."""
    assert all_views(three, position) == position


@pytest.mark.parametrize(
    ("time", "position"),
    [
        (START - US, 0),
        (START, 1),
        (START + US, 1),
        (START + MINUTE - US, 1),
        (START + MINUTE, 3),
        (START + MINUTE + US, 3),
        (START + 2 * MINUTE - US, 3),
        (START + 2 * MINUTE, 4),
        (START + timedelta(days=40_000), 4),
        (datetime(1, 1, 1, tzinfo=UTC), 0),
        (datetime.max.replace(tzinfo=UTC), 4),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), 0),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))), 4),
    ],
)
def test_a_time_is_inclusive_to_the_microsecond(three: ek.EventStore, time: datetime, position: int) -> None:
    """A commit is there from its own time on, with all of its events."""
    assert all_views(three, time) == position
    assert all_views(three, time.isoformat()) == position


@pytest.mark.parametrize(("offset", "position"), [(-US, 1), (0 * US, 5), (US, 5), (MINUTE - US, 5), (MINUTE, 6)])
def test_equal_times_stand_or_fall_together(equal_times: ek.EventStore, offset: timedelta, position: int) -> None:
    """Loaded events may share a time; a position or an id still cuts between them."""
    assert all_views(equal_times, START + MINUTE + offset) == position
    for cut in range(7):
        assert all_views(equal_times, cut) == cut
    for event in equal_times.read():
        assert all_views(equal_times, event.id) == event.position
        assert all_views(equal_times, event) == event.position


def test_equal_times_may_reach_over_commits(store: ek.EventStore) -> None:
    """A time that many loads share is one cut, after the last of them."""
    for _ in range(3):
        frame = pd.DataFrame({"s": ["a", "b"], "t": "Noted", "at": [START, START]})
        store.load(frame, stream="s", type="t", recorded_at="at")
    assert all_views(store, START - US) == 0
    assert all_views(store, START) == 6
    store.append("a", noted(7))
    assert all_views(store, START) == 6
    assert all_views(store, START + US) == 7


FAR_BACK, FAR_AHEAD = pd.Timestamp("-0100-01-01", tz="UTC"), pd.Timestamp(400_000_000_000, unit="s", tz="UTC")


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 5, 10, 1, tzinfo=timezone(timedelta(hours=1))),
        pd.Timestamp("2026-01-05T09:01:00Z"),
        pd.Timestamp("2026-01-05T09:01:00.000000999Z"),
        pd.Timestamp("2026-01-05T04:01:00", tz="America/New_York"),
        "2026-01-05T09:01:00Z",
        "2026-01-05T09:01Z",
        "2026-01-05 09:01:00+00:00",
        "2026-01-05T04:01:00-05:00",
        "20260105T090100Z",
        SUPPLIED,
        str(SUPPLIED),
        str(SUPPLIED).upper(),
        SUPPLIED.hex,
    ],
)
def test_every_other_kind_of_moment(three: ek.EventStore, moment: Any) -> None:
    """Times with any offset, pandas' own with nanoseconds floored, ISO text, ids as UUID and as text."""
    assert all_views(three, moment) == 3


def test_a_time_of_any_year_is_a_moment(three: ek.EventStore) -> None:
    """pandas' times reach further than Python's, and times near the ends lie outside them in UTC."""
    early, late = timezone(timedelta(hours=5)), timezone(timedelta(hours=-5))
    for moment in (FAR_BACK, datetime.min.replace(tzinfo=early), "0001-01-01T00:00:00+05:00"):
        assert all_views(three, moment) == 0
    for moment in (FAR_AHEAD, datetime.max.replace(tzinfo=late), "9999-12-31T23:59:59-05:00"):
        assert all_views(three, moment) == three.position
    for moment in (FAR_BACK, FAR_AHEAD):
        with pytest.raises(ek.MomentError, match="has no offset"):
            three.read(as_of=moment.tz_localize(None))


def test_an_event_is_exactly_its_own_position(three: ek.EventStore) -> None:
    """Also within a commit, whose events share their time."""
    for event in list(three.read()):
        for moment in (event, event.id, str(event.id)):
            assert all_views(three, moment) == event.position


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        (datetime(2026, 1, 5, 9), "has no offset, so it names no moment; add one: '2026-01-05T09:00:00Z' for UTC"),
        (pd.Timestamp("2026-01-05T09:00:00"), "has no offset"),
        ("2026-01-05T09:00:00", "has no offset, so it names no moment; add one: '2026-01-05T09:00:00Z' for UTC"),
        ("2026-01-05", "the bare date '2026-01-05' names no moment; write '2026-01-05T00:00:00Z'"),
        ("20260105", "the bare date '20260105' names no moment"),
        (date(2026, 1, 5), "the bare date 2026-01-05 names no moment; write '2026-01-05T00:00:00Z'"),
        (-1, "there is no position -1; the log goes from 0 (before the first event) to 4"),
        (5, "there is no position 5; the log goes from 0 (before the first event) to 4"),
        (10**30, "there is no position 1000000000000000000000000000000"),
        (True, "True names no moment; write a position (7), a time with its offset"),
        (False, "False names no moment"),
        (np.True_, "names no moment"),
        (1.0, "1.0 names no moment"),
        (np.float64(2), "names no moment"),
        (float("nan"), "nan names no moment"),
        (pd.NaT, "names no moment"),
        ("yesterday", "'yesterday' names no moment; write a position (7), a time with its offset"),
        ("", "'' names no moment"),
        ("7", "'7' names no moment"),
        (uuid.UUID(int=9), "no event of this store has the id 00000000-0000-0000-0000-000000000009"),
        ("00000000-0000-0000-0000-000000000009", "no event of this store has the id"),
        ([1], "[1] names no moment"),
        ({}, "{} names no moment"),
        (timedelta(1), "names no moment"),
    ],
)
def test_what_names_no_moment_is_told_what_to_write_instead(three: ek.EventStore, moment: Any, says: str) -> None:
    """The same error from every view."""
    counting = ek.Projection("counting", initial=int)
    counting.on("Noted")(lambda state, event: state + 1)
    history = three.history(counting)
    for view in (
        lambda: three.read(as_of=moment),
        lambda: three.read(after=moment),
        lambda: three.replay(counting, as_of=moment),
        lambda: three.history(counting, as_of=moment),
        lambda: history.at(moment),
        lambda: history.diff(0, moment),
    ):
        with pytest.raises(ek.MomentError) as error:
            view()
        if "there is no position" not in says:
            assert says in str(error.value)
    with pytest.raises(ek.MomentError) as error:
        three.read(as_of=moment)
    assert says in str(error.value)


def test_an_event_of_another_store_is_no_moment_of_this_one(three: ek.EventStore) -> None:
    """Although there is an event at its position here too."""
    counting = ek.Projection("counting", initial=int)
    counting.on("Noted")(lambda state, event: state + 1)
    history = three.history(counting)
    with ek.EventStore(seed=2) as other:
        stranger = other.append("a-1", noted(1)).events[0]
    for view in (
        lambda: three.read(as_of=stranger),
        lambda: three.replay(counting, as_of=stranger),
        lambda: history.at(stranger),
    ):
        with pytest.raises(ek.MomentError, match="no event of this store has the id"):
            view()


def test_an_empty_store_knows_the_place_before_the_first_event(store: ek.EventStore) -> None:
    """Position 0 and any time."""
    for moment in (0, START, "1970-01-01T00:00:00Z"):
        assert all_views(store, moment) == 0
    with pytest.raises(ek.MomentError, match="there is no position 1"):
        store.read(as_of=1)


def test_a_read_is_fixed_when_it_is_called(three: ek.EventStore) -> None:
    """Later events don't appear in it, and iterating it twice gives the same rows."""
    read, backwards = three.read(), three.read(as_of="2099-01-01T00:00:00Z", backwards=True)
    iteration = iter(read)
    first = next(iteration)
    three.append("a-1", [noted(5), noted(6)])
    assert [first.position, *(event.position for event in iteration)] == [1, 2, 3, 4]
    assert list(read) == list(read)
    assert len(list(read)) == 4
    assert [event.position for event in backwards] == [4, 3, 2, 1]
    assert read.df()["position"].tolist() == [1, 2, 3, 4]


def test_a_past_time_never_changes_its_answer() -> None:
    """What was asked as of a time already past is answered the same after any number of appends at that very time."""
    now = [START]
    with ek.EventStore(clock=lambda: now[0]) as store:
        answers = []
        for i in range(20):
            store.append("a", noted(i))
            past = store.read(limit=1, backwards=True)
            answers.append((next(iter(past)).recorded_at, store.position))
            now[0] += timedelta(microseconds=i % 3 - 1)
        for time, position in answers:
            assert all_views(store, time) == position


def test_occurred_at_never_affects_as_of(store: ek.EventStore) -> None:
    """It is data: an event that happened long ago is known only since it was recorded."""
    store.append("a", noted(1, occurred_at=START - timedelta(days=365)))
    store.append("a", noted(2, occurred_at=START + timedelta(days=365)))
    assert all_views(store, START - timedelta(days=1)) == 0
    assert all_views(store, START) == 1
    assert all_views(store, START + MINUTE) == 2


@given(st.datetimes(timezones=st.timezones()), st.integers(0, 999))
def test_times_are_whole_microseconds_of_utc(time: datetime, nanoseconds: int) -> None:
    """Finer times are floored, before 1970 too; the way there and back is exact."""
    assert from_us(to_us(time)) == time.astimezone(UTC) if 1 < time.year < 9999 else True
    if 1700 < time.year < 2200:
        stamp = pd.Timestamp(time).as_unit("ns").tz_convert("UTC")
        assert parse(stamp + pd.Timedelta(nanoseconds, unit="ns")) == to_us(time)

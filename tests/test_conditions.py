"""Conditions of appends: nothing is stored where an event is there that the query means, whoever appends meanwhile."""

from __future__ import annotations

import pickle
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from tests.faults import as_another_process, storing
from tests.object_storage import Server
from tests.schedules import schedules

ONE = uuid.UUID(int=1)


class Claimed(ek.Event, type="Conditions.Claimed"):
    name: ek.Tag[str]


class Released(ek.Event, type="Conditions.Released"):
    name: ek.Tag[str]


def noted(**more: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", **more)


def of(name: str) -> ek.Query:
    return ek.Query(Claimed, [f"name:{name}"])


# what holds and what doesn't


def test_an_append_is_refused_where_the_query_finds_something(store: ek.EventStore) -> None:
    """The error says what, where, and shows the events that came in between; nothing is written."""
    store.append("a", [Claimed(name="x"), Claimed(name="y"), Released(name="x"), Claimed(name="x")])
    with pytest.raises(ek.ConcurrencyError) as caught:
        store.append("b", Claimed(name="x"), unless=of("x"), after=1)
    error = caught.value
    assert (error.stream, error.expected, error.actual, error.unless) == (None, 1, 4, of("x"))
    assert [event.position for event in error.unseen] == [4]
    assert str(error) == (
        "the log holds events after position 1 that Query(types=['Conditions.Claimed'], tags=['name:x']) means, the "
        "last at position 4; read what came in between (.unseen), decide again, and append with the position you saw "
        "as after="
    )
    with pytest.raises(ek.ConcurrencyError) as caught:
        store.append("b", Claimed(name="x"), unless=of("x"))
    assert (caught.value.expected, [event.position for event in caught.value.unseen]) == (0, [1, 4])
    assert store.position == 4
    assert store.append("b", Claimed(name="x"), unless=of("x"), after=4).position == 5


def test_the_cure_of_the_error_works(store: ek.EventStore) -> None:
    """Read what is unseen, and append with its last position."""
    store.append("a", Claimed(name="x"))
    try:
        store.append("b", noted(), unless=of("x"))
    except ek.ConcurrencyError as error:
        *_, last = error.unseen
        assert store.append("b", noted(), unless=of("x"), after=last).version == 1


def test_after_is_any_moment_of_the_log(store: ek.EventStore) -> None:
    """A position, a time, an id, an event, a receipt; what was stored at that moment is known."""
    receipt = store.append("a", Claimed(name="x"))
    (event,) = receipt.events
    for moment in (1, event.recorded_at, event.id, event, receipt, event.recorded_at.isoformat()):
        store.append("b", noted(), unless=of("x"), after=moment)
    with pytest.raises(ek.ConcurrencyError):
        store.append("b", noted(), unless=of("x"), after="2026-01-01T00:00:00Z")


def test_a_condition_sees_every_event_whatever_the_stores_policies_say(folder: Path) -> None:
    """Those that reads skip, or refuse to read, are there all the same."""
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a", noted(tags=["t"]))
    with ek.EventStore(folder, fsync=False, unknown="skip") as store, pytest.raises(ek.ConcurrencyError):
        store.append("a", noted(), unless=ek.Query(tags=["t"]))
    with ek.EventStore(folder, fsync=False, unknown="fail") as store, pytest.raises(ek.ConcurrencyError):
        store.append("a", noted(), unless=ek.Query("Noted"))


def test_the_version_is_checked_first_and_both_must_hold(store: ek.EventStore) -> None:
    """The error says which did not."""
    store.append("a", Claimed(name="x"))
    with pytest.raises(ek.ConcurrencyError, match="stream 'a' is at version 1, not at the expected 0") as caught:
        store.append("a", noted(), expected_version=0, unless=of("x"))
    assert (caught.value.stream, caught.value.unless) == ("a", None)
    with pytest.raises(ek.ConcurrencyError, match="the log holds events after position 0") as caught:
        store.append("a", noted(), expected_version=1, unless=of("x"))
    assert caught.value.stream is None
    assert store.append("a", noted(), expected_version=1, unless=of("x"), after=1).version == 2


def test_ids_that_are_there_come_before_the_condition(store: ek.EventStore) -> None:
    """So an append can be repeated, also where its own events are what its query means."""
    claim = ek.NewEvent(Claimed(name="x"), id=ONE)
    first = store.append("a", claim, unless=of("x"))
    again = store.append("a", claim, unless=of("x"))
    assert (again.replayed, again.position) == (True, first.position)
    with pytest.raises(ek.ConcurrencyError):
        store.append("a", ek.NewEvent(Claimed(name="x"), id=uuid.UUID(int=2)), unless=of("x"))


def test_many_appends_with_conditions_are_stored_all_or_none(store: ek.EventStore) -> None:
    """A condition sees what was stored before, not what stands beside it."""
    claims = [ek.Append(f"{name}-1", Claimed(name=name), unless=of(name)) for name in "xyx"]
    assert [receipt.position for receipt in store.append_many(claims)] == [1, 2, 3]
    with pytest.raises(ek.ConcurrencyError) as caught:
        store.append_many([ek.Append("z-1", Claimed(name="z"), unless=of("z")), *claims])
    assert caught.value.unless == of("x")
    assert store.position == 3
    assert repr(claims[0]) == (
        "Append('x-1', 1 event, expected_version=ANY, unless=Query(types=['Conditions.Claimed'], tags=['name:x']), "
        "after=None)"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"after": 1}, "after=1 without unless=: say which events must not have come since then"),
        ({"unless": "x"}, "'x' is no query; give ek.Query"), ({"unless": [of("x")]}, "is no query"),
        ({"unless": of("y"), "after": 2}, "there is no position 2; the log goes from 0"),
        ({"unless": of("y"), "after": -1}, "there is no position -1"),
        ({"unless": of("y"), "after": True}, "True names no moment"),
        ({"unless": of("y"), "after": "2026-01-05"}, "bare date"), ({"unless": of("y"), "after": ONE}, "has the id"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_and_nothing_written(
    store: ek.EventStore, given: dict[str, Any], message: str
) -> None:
    """With what to write instead."""
    store.append("a", Claimed(name="x"))
    for call in (
        lambda: store.append("a", noted(), **given),
        lambda: store.append_many([ek.Append("a", noted(), **given)]),
    ):
        with pytest.raises(ek.InputError, match=message):
            call()
    assert store.position == 1


def test_a_condition_may_wait_for_a_type_but_hints_at_a_slip(store: ek.EventStore) -> None:
    """As subscriptions do: once."""
    store.append("a", noted(), unless=ek.Query("NeverHeardOf"))
    with pytest.warns(UserWarning, match=r"did you mean 'Conditions.Claimed'\?"):
        store.append("a", noted(), unless=ek.Query("Conditions.Claimd"))


def test_the_error_can_be_sent(store: ek.EventStore) -> None:
    """With its attributes."""
    store.append("a", Claimed(name="x"))
    with pytest.raises(ek.ConcurrencyError) as caught:
        store.append("a", noted(), unless=of("x"))
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (sent.stream, sent.expected, sent.actual, sent.unless) == (None, 0, 1, of("x"))
    assert [event.position for event in sent.unseen] == [1]


# against a model


TAGS = ["a", "b"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["X", "Y"]), st.lists(st.sampled_from(TAGS), unique=True), st.integers(1, 3),
        st.lists(st.tuples(st.none() | st.sampled_from(["X", "Y"]), st.lists(st.sampled_from(TAGS))), max_size=2),
        st.floats(0, 1),
    ),
    max_size=12,
)  # fmt: skip


@given(STEPS, st.sampled_from([0, 100]))
def test_a_condition_holds_exactly_where_a_plain_filter_finds_nothing(steps: Any, between: int) -> None:
    """Behind any position, whether the last commits are at hand or many came since."""
    with ek.EventStore() as store:
        log: list[tuple[str, list[str]]] = []
        for type_, tags, count, parts, where in steps:
            query = None
            for types, of_tags in parts:
                if types or of_tags:
                    part = ek.Query(types, of_tags or None)
                    query = part if query is None else query | part
            after = int(where * len(log))
            meant = [
                position
                for position, (stored, own) in enumerate(log, 1)
                for types, of_tags in parts
                if (types or of_tags) and position > after and types in (None, stored) and set(of_tags) <= set(own)
            ]
            condition = {} if query is None else {"unless": query, "after": after}
            events = [ek.NewEvent(type=type_, tags=tags)] * count
            if meant:
                with pytest.raises(ek.ConcurrencyError) as caught:
                    store.append("s", events, **condition)
                assert caught.value.actual == max(meant)
                assert [event.position for event in caught.value.unseen] == sorted(set(meant))
            else:
                store.append("s", events, **condition)
                log += [(type_, tags)] * count
            assert store.position == len(log)
            for _ in range(between):
                store.append("other", noted())
                log.append(("Noted", []))


# races


def claim(world: ek.EventStore) -> object:
    return world.append(f"c-{threading.get_ident()}", Claimed(name="x"), unless=of("x"))


def test_of_two_that_claim_the_same_one_has_it_whatever_the_schedule() -> None:
    """One stopped at each of its steps, while the other does all that it can."""
    for ran in schedules(lambda: ek.EventStore(seed=1), claim, claim, steps="line", within=("store.py", "writing/")):
        outcomes = [type(one).__name__ for one in (ran.first, ran.second)]
        assert sorted(outcomes) == ["ConcurrencyError", "Receipt"], outcomes
        with ran.world as store:
            assert store.position == 1


@pytest.fixture(params=["memory", "folder", "files"])
def place(request: pytest.FixtureRequest, folder: Path) -> Path | None:
    """In memory, in a folder with a journal, and in one without."""
    if request.param == "files":
        request.getfixturevalue("without_journal")
    return None if request.param == "memory" else folder


def compete(stores: list[ek.EventStore], names: int) -> Counter[str]:
    """Each store's thread claims every name; returns how often each was claimed."""
    unseen: list[tuple[str, list[str]]] = []

    def work(store: ek.EventStore, number: int) -> None:
        for n in range(names):
            try:
                store.append(f"claims-{number}", Claimed(name=f"n{n}"), unless=of(f"n{n}"))
            except ek.ConcurrencyError as error:
                unseen.append((f"n{n}", [event.data.name for event in error.unseen]))

    threads = [threading.Thread(target=work, args=(store, i)) for i, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen == [name] for name, seen in unseen)
    return Counter(event.data.name for event in stores[0].read())


def test_names_claimed_by_many_threads_are_claimed_once(place: Path | None) -> None:
    """In memory, through a journal, and through SlateDB's files; what is reopened knows them all."""
    with ek.EventStore(place, fsync=False) as store:
        claims = compete([store] * 8, 20)
        assert claims == {f"n{n}": 1 for n in range(20)}
        assert store.verify()
    if place is not None:
        with ek.EventStore(place, fsync=False) as store:
            assert compete([store] * 2, 20) == claims


def test_who_takes_over_sees_what_the_older_one_stored(folder: Path) -> None:
    """And the older one, which was not closed, stores no more, whatever its condition says."""
    older = ek.EventStore(folder, fsync=False)
    older.append("a", Claimed(name="x"))
    as_another_process(older)
    with ek.EventStore(folder, fsync=False) as newer:
        with pytest.raises(ek.ConcurrencyError):
            newer.append("b", Claimed(name="x"), unless=of("x"))
        newer.append("b", Claimed(name="y"), unless=of("y"))
        with pytest.raises(ek.SupersededError):
            older.append("a", Claimed(name="z"), unless=of("z"))
        with pytest.raises((ek.SupersededError, ek.ConcurrencyError)):
            older.append("a", Claimed(name="y"), unless=of("y"))
        assert newer.position == 2
    older.close()


def test_an_append_of_unknown_outcome_is_appended_again_with_its_condition(folder: Path) -> None:
    """It was stored: its ids are found before the condition, which its own events would not fulfil."""
    store = ek.EventStore(folder, fsync=False)

    def stored_but_silent(store_rows: Callable[[Any], Any], rows: Any) -> None:
        store_rows(rows)
        raise OSError("the line is dead")

    storing(store, stored_but_silent)
    with pytest.raises(ek.OutcomeUnknownError) as caught:
        store.append("a", ek.NewEvent(Claimed(name="x"), tags=["more"]), unless=of("x"))
    store.close()
    with ek.EventStore(folder, fsync=False) as again:
        receipt = again.append("a", caught.value.events, unless=of("x"))
        assert (receipt.replayed, again.position) == (True, 1)
        assert receipt.events[0].tags == ("name:x", "more")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("moto.server", reason="moto[server] is not installed: pip install 'eventsourcing_kit[test]'")
    started = Server("conditions")
    yield started
    started.close()


@pytest.mark.processes
def test_conditions_hold_in_a_bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several threads, and after another writer took over."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    options = {"endpoint": server.url, "region": "us-east-1", "access_key_id": "k", "secret_access_key": "s"}
    with ek.EventStore("s3://conditions/names", **options) as store:
        assert compete([store] * 4, 3) == {"n0": 1, "n1": 1, "n2": 1}
    with ek.EventStore("s3://conditions/names", **options) as store:
        with pytest.raises(ek.ConcurrencyError):
            store.append("late", Claimed(name="n1"), unless=of("n1"))
        assert store.append("late", Claimed(name="n1"), unless=of("n1"), after=3).position == 4


def test_a_condition_on_a_branch_sees_the_base_up_to_the_fork(store: ek.EventStore) -> None:
    """And the branch's own events; what the base stores later is none of them."""
    store.append("a", [Claimed(name="x"), Claimed(name="y")])
    branch = store.branch(as_of=1)
    store.append("a", Claimed(name="z"))
    with pytest.raises(ek.ConcurrencyError) as caught:
        branch.append("b", Claimed(name="x"), unless=of("x"))
    assert [event.position for event in caught.value.unseen] == [1]
    for name in "yz":
        branch.append("b", Claimed(name=name), unless=of(name), after=branch.base)
    with pytest.raises(ek.ConcurrencyError) as caught:
        branch.append("b", Claimed(name="y"), unless=of("y"))
    assert [event.position for event in caught.value.unseen] == [2]
    assert [event.position for event in branch.read(query=of("x") | of("z"))] == [1, 3]

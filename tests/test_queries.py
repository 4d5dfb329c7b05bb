"""Queries: events meant by their types and tags, with every other filter, at the cost of what they find."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.errors import RecordError, StorageError
from eventsourcing_kit.storage import keys
from tests.faults import table_of
from tests.test_costs import steps


class Enrolled(ek.Event, type="Queries.Enrolled"):
    student: ek.Tag[str]
    course: ek.Tag[str]


class LateEnrolled(Enrolled, type="Queries.LateEnrolled"):
    """Derives from the other."""


TYPES, TAGS = ["X", "Y", "Z"], ["a", "b", "c", "a:b"]
EVENTS = st.builds(
    lambda type, tags: ek.NewEvent(type=type, tags=tags),
    type=st.sampled_from(TYPES),
    tags=st.lists(st.sampled_from(TAGS), max_size=3, unique=True),
)
COMMITS = st.lists(
    st.tuples(st.sampled_from(["s-1", "s-2", "t-1"]), st.lists(EVENTS, min_size=1, max_size=4)), max_size=9
)
PARTS = st.one_of(
    st.tuples(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2), st.none()),
    st.tuples(st.none(), st.lists(st.sampled_from(TAGS), min_size=1, max_size=3)),
    st.tuples(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2), st.lists(st.sampled_from(TAGS), min_size=1)),
)
QUERIES = st.lists(PARTS, min_size=1, max_size=3)


def query_of(parts: list[tuple[Any, Any]]) -> ek.Query:
    first, *others = [ek.Query(types=types, tags=tags) for types, tags in parts]
    for one in others:
        first |= one
    return first


def means(parts: list[tuple[Any, Any]], event: ek.RecordedEvent) -> bool:
    """What a query says, said once more."""
    return any(
        (types is None or event.type in types) and (tags is None or set(tags) <= set(event.tags))
        for types, tags in parts
    )


@given(COMMITS, QUERIES, st.data())
def test_a_query_finds_what_a_plain_filter_over_the_log_finds(
    commits: list[tuple[str, list[ek.NewEvent]]], parts: list[tuple[Any, Any]], data: st.DataObject
) -> None:
    """With every other filter, backwards, between any two moments, and however long the log is."""
    padding = [ek.NewEvent(type="Padding")] * data.draw(st.sampled_from([0, 40]))
    with ek.EventStore() as store:
        for type_ in TYPES:
            store.append("types", ek.NewEvent(type=type_))
        for stream, events in commits:
            store.append(stream, [*events, *padding])
        log = list(store.read())
        after = data.draw(st.integers(0, len(log)))
        as_of = data.draw(st.integers(after, len(log)))
        asked = data.draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "stream": st.sampled_from(["s-1", "s-2"]), "category": st.just("s"),
                    "types": st.sampled_from(TYPES), "limit": st.integers(0, 3), "backwards": st.booleans(),
                },
            )
        )  # fmt: skip
        wanted = [
            event for event in log
            if after < event.position <= as_of and means(parts, event)
            and event.stream == asked.get("stream", event.stream)
            and event.stream.partition("-")[0] == asked.get("category", event.stream.partition("-")[0])
            and event.type == asked.get("types", event.type)
        ]  # fmt: skip
        wanted = wanted[::-1] if asked.get("backwards") else wanted
        read = store.read(query=query_of(parts), after=after, as_of=as_of, **asked)
        assert list(read) == wanted[: asked.get("limit")]
        assert read.df()["position"].tolist() == [event.position for event in wanted[: asked.get("limit")]]


def filled(store: ek.EventStore, count: int = 40) -> None:
    for n in range(count):
        store.append(f"e-{n}", Enrolled(student=f"s{n % 4}", course=f"c{n % 3}"))


def positions(events: Any) -> list[int]:
    return [event.position for event in events]


def test_a_query_asks_for_all_of_its_tags_and_any_of_its_types(store: ek.EventStore) -> None:
    """And `|` for either; a base class means the classes that derive from it, "*" every type."""
    filled(store, 6)
    store.append("l-1", LateEnrolled(student="s0", course="c9"))
    store.append("n-1", ek.NewEvent(type="Noted", tags=["course:c9"]))
    assert positions(store.read(query=ek.Query(tags=["student:s1", "course:c1"]))) == [2]
    assert positions(store.read(query=ek.Query(Enrolled, ["student:s0"]))) == [1, 5, 7]
    assert positions(store.read(query=ek.Query(LateEnrolled))) == [7]
    assert positions(store.read(query=ek.Query(["Noted", LateEnrolled], ["course:c9"]))) == [7, 8]
    assert positions(store.read(query=ek.Query("*", ["course:c9"]) | ek.Query(tags=["student:s3"]))) == [4, 7, 8]
    assert positions(store.read(query=ek.Query("*"))) == list(range(1, 9))
    assert positions(store.read(query=ek.Query(tags=["course:c9", "student:s1"]))) == []
    assert positions(store.read(query=ek.Query(tags=["nobody:yet"]))) == []


def test_queries_are_values(store: ek.EventStore) -> None:
    """Equal where they mean the same, in whatever order they were joined; what they mean can be read."""
    one, other = ek.Query(Enrolled, ["a", "b"]), ek.Query(tags=["c"])
    assert one | other == other | one
    assert hash(one | other) == hash(other | one)
    assert one | one == one != other
    assert one != "a query"
    assert repr(one | other) == "Query(types=['Queries.Enrolled'], tags=['a', 'b']) | Query(tags=['c'])"
    assert repr(ek.Query("*")) == "Query('*')"
    assert "query=Query(tags=['c'])" in repr(store.read(query=other))
    assert (one | other)._repr_html_().startswith("<code>Query(types=[&#x27;")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ek.Query(), "a query with nothing in it"), (lambda: ek.Query(types=[]), r"types=\[\] names no type"),
        (lambda: ek.Query(tags=[]), r"tags=\[\] names no tag"), (lambda: ek.Query(tags="a"), "give a list of text"),
        (lambda: ek.Query(tags=[""]), "is '', which is no tag"), (lambda: ek.Query(tags=["a\ud800"]), "lone surrogate"),
        (lambda: ek.Query(tags=["a" * 1001]), "of 1001 bytes"), (lambda: ek.Query(types=5), "5 is no event type"),
        (lambda: ek.Query("T") | "T", "'T' is no query; join queries with queries"),
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused(make: Callable[[], object], message: str) -> None:
    """With what to write instead."""
    with pytest.raises(ek.InputError, match=message):
        make()


def test_a_read_refuses_what_can_never_match(store: ek.EventStore) -> None:
    """A type that nobody knows, in whichever part; what is no query."""
    filled(store, 1)
    with pytest.raises(
        ek.InputError, match=r"there is no event type 'Queries.Enroled'.*did you mean 'Queries.Enrolled'"
    ):
        store.read(query=ek.Query(tags=["a"]) | ek.Query("Queries.Enroled", ["b"]))
    for call in (store.read, store.follow, lambda query: store.subscribe(print, query=query)):
        with pytest.raises(ek.InputError, match=re.escape("'a' is no query; give ek.Query(types=[…], tags=[…])")):
            call(query="a")


def test_followers_and_subscriptions_take_queries(store: ek.EventStore) -> None:
    """What is there and what comes, in order; a type may come yet."""
    filled(store)
    query = ek.Query(tags=["student:s1", "course:c1"]) | ek.Query("Coming")
    seen: list[int] = []
    with store.subscribe(lambda event: seen.append(event.position), query=query) as subscription:
        store.append("x", [Enrolled(student="s1", course="c1"), Enrolled(student="s1", course="c2")])
        receipt = store.append("x", ek.NewEvent(type="Coming"))
        subscription.wait_until(receipt)
    wanted = [*range(2, 41, 12), 41, 43]
    assert seen == wanted
    assert positions(store.follow(query=query, timeout=0)) == wanted
    assert positions(store.follow(query=query, after=14, timeout=0)) == wanted[2:]


@pytest.mark.parametrize(
    "query",
    [ek.Query(tags=["rare"]), ek.Query(tags=["common", "rare"]), ek.Query(tags=["rare"]) | ek.Query(tags=["x"])],
)
def test_a_query_costs_what_it_finds_not_what_the_log_holds(store: ek.EventStore, query: ek.Query) -> None:
    """Also where only the rarer of two tags is rare."""
    costs = []
    for _ in range(2):
        for n in range(600):
            store.append("s", ek.NewEvent(type="T", tags=["common"] if n else ["rare", "common"]))
        costs.append(steps(lambda: list(store.read(query=query, as_of=600))))
        costs.append(steps(lambda: list(store.read(query=query, limit=1))))
    few, one, few_of_more, one_of_more = costs
    assert few_of_more < 1.1 * few
    assert one_of_more < 1.1 * one


def test_a_tags_events_cost_what_a_streams_do(store: ek.EventStore) -> None:
    """As many commits of one event each."""
    for n in range(200):
        store.append(f"a-{n % 4}", ek.NewEvent(type="T", data={"n": n}, tags=[f"about:{n % 4}"]))
    by_stream = steps(lambda: list(store.read("a-1")))
    assert steps(lambda: list(store.read(query=ek.Query(tags=["about:1"])))) < 1.5 * by_stream


def test_an_index_that_names_the_wrong_event_is_an_error(store: ek.EventStore) -> None:
    """Not an event that was never asked for."""
    filled(store)
    table = table_of(store)
    table.write([(keys.tag("student:s1", 1), table.get(keys.tag("student:s0", 1)) or b"")], flush=False)
    with pytest.raises(StorageError, match=r"the index of the tag 'student:s1' names an event that has it not, at pos"):
        list(store.read(query=ek.Query(tags=["student:s1"])))
    table.write([(keys.tag("student:s2", 3), b"no record at all")], flush=False)
    with pytest.raises(RecordError):
        list(store.read(query=ek.Query(tags=["student:s2"])))

"""Projections onto several keys: an event touches each of its tags, or each member of a list or set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

MEMBERS = ["a", "b", "c"]
TAGS = ["course:1", "course:2", "student:1", "x"]


class Packed(ek.Event, type="Keys.Packed"):
    items: list[str]
    boxes: frozenset[str] = frozenset()
    place: tuple[str, int] = ("a", 1)
    weight: int = 1


EVENTS = st.builds(
    lambda items, boxes, weight, tags: ek.NewEvent(
        Packed(items=items, boxes=frozenset(boxes), weight=weight), tags=tags
    ),
    items=st.lists(st.sampled_from(MEMBERS), max_size=3),
    boxes=st.lists(st.sampled_from(MEMBERS), max_size=3),
    weight=st.integers(-5, 5),
    tags=st.lists(st.sampled_from(TAGS), max_size=3, unique=True),
)
KEYS: dict[str, tuple[Any, Any]] = {
    "tags": (ek.TAGS, lambda event: list(event.tags)),
    "courses": (ek.TAGS("course"), lambda event: [tag for tag in event.tags if tag.startswith("course:")]),
    "list": ("items", lambda event: list(dict.fromkeys(event.data.items))),
    "set": ("boxes", lambda event: sorted(event.data.boxes)),
    "tuple": ("place", lambda event: [event.data.place]),
    "function": (lambda recorded: set(recorded.data.items), lambda event: sorted(set(event.data.items))),
}


def by_handlers(key: Any, **more: Any) -> ek.Projection:
    made = ek.Projection("weight", initial=lambda: {"weight": 0, "count": 0}, key=key, **more)
    made.on(Packed)(lambda state, event: {"weight": state["weight"] + event.weight, "count": state["count"] + 1})
    return made


def declared(key: Any) -> ek.Projection:
    fields = {"weight": ek.fold.total(Packed, "weight"), "count": ek.fold.count(Packed)}
    return ek.Projection("weight", fields=fields, key=key)


@pytest.mark.parametrize("name", KEYS)
@settings(max_examples=12)
@given(events=st.lists(EVENTS, max_size=6))
def test_every_key_has_the_state_that_a_loop_over_the_log_gives_it(name: str, events: list[ek.NewEvent]) -> None:
    """At every moment, by handlers and declared, of all keys and of one; and a row of the history for each key."""
    key, keys_of = KEYS[name]
    with ek.EventStore() as store:
        for n, event in enumerate(events):
            store.append(f"s-{n % 2}", event)
        states: list[dict[Any, Any]] = [{}]
        rows = []
        for event in store.read():
            now = dict(states[-1])
            for one in keys_of(event):
                was = now.get(one, {"weight": 0, "count": 0})
                now[one] = {"weight": was["weight"] + event.data.weight, "count": was["count"] + 1}
                rows.append((one, event.position))
            states.append(now)
        for projection in (by_handlers(key), declared(key), by_handlers(key, snapshots=2)):
            history = store.history(projection)
            assert list(zip(history.df()["key"], history.df()["position"], strict=True)) == rows
            for position, wanted in enumerate(states):
                assert history.at(position) == store.replay(projection, as_of=position) == wanted
            for one in [*states[-1], "nobody"]:
                alone = store.replay(projection, key=one)
                assert alone == states[-1].get(one, {"weight": 0, "count": 0})


def test_what_an_event_changed_is_told_of_each_of_its_keys(store: ek.EventStore) -> None:
    """In diff, blame, first, tables and charts."""
    store.append("a", Packed(items=["a", "b"], weight=2))
    store.append("a", Packed(items=["b", "b", "c"], weight=3))
    projection = by_handlers("items")
    history = store.history(projection)
    diff = history.diff(1, 2)
    weights = diff[diff["field"] == "weight"]
    assert weights["key"].tolist() == ["b", "c"]
    assert weights["after"].tolist() == [5, 3]
    assert history.blame("c")["position"].unique().tolist() == [2]
    found = history.first(lambda state: state["weight"] > 4)
    assert found is not None
    assert found.position == 2
    with ek.ReportingDatabase() as db:
        db.add(projection, table="weights", temporal=True)
        db.update(store)
        now = db.sql("SELECT key, weight FROM weights WHERE valid_to IS NULL ORDER BY key").values.tolist()
    assert now == [["a", 2], ["b", 5], ["c", 3]]
    assert ek.charts.scrubber(history).to_dict()


def test_a_key_can_end_for_one_of_several(store: ek.EventStore) -> None:
    """Each key ends by itself."""
    projection = ek.Projection("open", initial=lambda: 0, key="items")
    projection.on(Packed)(lambda state, event: ek.GONE if event.weight == 0 else state + 1)
    store.append("a", [Packed(items=["a", "b"]), Packed(items=["b"], weight=0)])
    assert store.replay(projection) == {"a": 1}


def test_several_handlers_of_one_event_each_have_their_keys(store: ek.EventStore) -> None:
    """`on(…, key=ek.TAGS)` overrides the projection's."""
    projection = ek.Projection("both", initial=lambda: 0)
    projection.on(Packed)(lambda state, event: state + 1)
    projection.on(Packed, key=ek.TAGS("course"))(lambda state, event: state + 10)
    store.append("a", ek.NewEvent(Packed(items=[]), tags=["course:1", "course:2", "x"]))
    assert store.replay(projection) == {"a": 1, "course:1": 10, "course:2": 10}


@pytest.mark.parametrize("kind", ["", "course:", "a:b", 5, None])
def test_what_is_no_kind_of_tags_is_refused(kind: Any) -> None:
    """A kind with a colon could never match."""
    with pytest.raises(ek.InputError, match="is no kind of tags"):
        ek.TAGS(kind)


def test_keys_by_tags_say_what_they_are() -> None:
    """And are values."""
    assert (repr(ek.TAGS), repr(ek.TAGS("course"))) == ("TAGS", "TAGS('course')")
    assert ek.TAGS("course") == ek.TAGS("course") != ek.TAGS


def test_a_member_that_can_be_no_key_names_event_and_handler(store: ek.EventStore) -> None:
    """As a key does."""
    store.append("a", ek.NewEvent(type="Loose", data={"items": [["a"]]}))
    projection = ek.Projection("loose", initial=lambda: 0, key="items")
    projection.on("Loose")(lambda state, event: state + 1)
    with pytest.raises(ek.ProjectionError, match=r"the key 'items' of the handler .* at position 1"):
        store.replay(projection)

"""Never silently nothing: a question that cannot match, and a function that would do nothing, are errors or do it."""

from __future__ import annotations

import dataclasses
import functools
import gc
import itertools
import sys
import uuid
import warnings
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pandas as pd
import pytest
from pydantic import field_validator, model_serializer

import eventsourcing_kit as ek

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Value = TypeVar("Value")


def fact(type: str, **data: Any) -> ek.NewEvent:
    return ek.NewEvent(type=type, data=data)


def count_of(*types: Any) -> ek.Projection:
    projection = ek.Projection("count", initial=int)
    projection.on(*types)(lambda state, event: state + 1)
    return projection


class ParcelEvent(ek.Event, type="Quiet.ParcelEvent"):
    parcel: str


class ParcelSent(ParcelEvent, type="Quiet.ParcelSent"):
    pass


class Enveloped(ek.Event, Generic[Value], type="Quiet.Enveloped"):
    value: Value


@pytest.fixture
def parcels(store: ek.EventStore) -> ek.EventStore:
    """Events of one family, and one of no class."""
    store.append("parcel-1", [ParcelSent(parcel="1"), fact("Quiet.Weighed", grams=5)])
    return store


# which types are meant


def test_a_base_class_means_its_subclasses_also_those_of_later_cells(parcels: ek.EventStore) -> None:
    """In reads, projections, subscriptions and tables alike; a projection's handlers are given once."""
    asked, seen = count_of(ParcelEvent), list[ek.RecordedEvent]()
    subscription = parcels.subscribe(seen.append, types=ParcelEvent)
    subscription.wait_until()

    class ParcelLost(ParcelEvent, type="Quiet.ParcelLost"):
        pass

    parcels.append("parcel-1", ParcelLost(parcel="1"))
    subscription.wait_until()
    assert [event.type for event in parcels.read(types=ParcelEvent)] == ["Quiet.ParcelSent", "Quiet.ParcelLost"]
    assert parcels.replay(asked) == {"parcel-1": 2} == parcels.history(asked).at(3)
    assert [event.type for event in seen] == ["Quiet.ParcelSent", "Quiet.ParcelLost"]
    table = ek.ReportingDatabase()
    table.add(asked)
    table.update(parcels)
    assert table.sql("SELECT state FROM count").values.tolist() == [[2]]


def test_a_snapshot_does_not_hide_the_events_of_a_later_subclass(store: ek.EventStore) -> None:
    """They were in the log already, without a class, when the snapshot was taken."""
    store.append("p-1", [ParcelSent(parcel="1"), fact("Quiet.ParcelBurnt", parcel="1"), ParcelSent(parcel="1")])
    counted = ek.Projection("count", initial=int, snapshots=1)
    counted.on(ParcelEvent)(lambda state, event: state + 1)
    store.take_snapshots(counted)
    assert store.replay(counted) == {"p-1": 2}

    class ParcelBurnt(ParcelEvent, type="Quiet.ParcelBurnt"):
        pass

    assert store.replay(counted) == {"p-1": 3}


def test_a_bare_generic_class_means_its_instances(store: ek.EventStore) -> None:
    store.append("e-1", [Enveloped[int](value=1), Enveloped[str](value="x")])
    assert [event.data.value for event in store.read(types=Enveloped)] == [1, "x"]
    assert [event.data.value for event in store.read(types=Enveloped[str])] == ["x"]
    assert store.replay(count_of(Enveloped)) == {"e-1": 2}


def test_a_star_means_every_type(parcels: ek.EventStore) -> None:
    """Beside handlers for some types: all of an event's handlers run, in the order in which they were given."""
    both = ek.Projection("both", initial=tuple)
    both.on("*")(lambda state, event: (*state, "any"))
    both.on(ParcelEvent)(lambda state, event: (*state, "parcel"))
    assert parcels.replay(both) == {"parcel-1": ("any", "parcel", "any")}
    assert len(list(parcels.read(types="*"))) == len(list(parcels.read(types=["*", ParcelSent]))) == 2
    assert len(list(parcels.follow(types="*", timeout=0))) == 2
    assert parcels.replay(ek.testing.checked(both)) == parcels.replay(both)


def test_one_handler_for_a_class_and_its_base_runs_once_an_event(parcels: ek.EventStore) -> None:
    counted = ek.Projection("count", initial=int)

    @counted.on(ParcelEvent)
    @counted.on(ParcelSent, "*")
    def one_more(state: int, event: Any) -> int:
        return state + 1

    assert parcels.replay(counted) == {"parcel-1": 2}


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda store: store.read(types=[]), "names no type"),
        (lambda store: store.subscribe(print, types=[]), "names no type"),
        (lambda store: store.follow(types=()), "names no type"),
        (lambda store: store.read(category="parcel-1"), "category='parcel'"),
        (lambda store: store.subscribe(print, category="parcel-1"), "category='parcel'"),
        (lambda store: store.follow(category="parcel-1"), "category='parcel'"),
        (lambda store: store.replay(count_of("*"), category="parcel-1"), "category='parcel'"),
        (lambda store: store.history(count_of("*"), category="parcel-1"), "category='parcel'"),
        (lambda store: store.read("parcel-1", category="order"), "is of the category 'parcel', not 'order'"),
        (lambda store: store.read(types="Quiet.Wieghed"), "did you mean 'Quiet.Weighed'"),
        (lambda store: store.read(types=[ParcelSent, "quiet.parcelsent"]), "did you mean 'Quiet.ParcelSent'"),
        (lambda store: store.read(types=ek.Event), "'\\*' for every type"),
    ],
)
def test_a_question_that_cannot_match_says_why(
    parcels: ek.EventStore, ask: Callable[[ek.EventStore], object], says: str
) -> None:
    with pytest.raises(ek.InputError, match=says):
        ask(parcels)


def test_what_the_log_does_not_hold_yet_is_no_error(parcels: ek.EventStore) -> None:
    """A stream, a category, a key; a type that has a class, or that has had one event."""
    assert list(parcels.read("parcel-9")) == list(parcels.read(category="van")) == []
    assert list(parcels.read(types=ParcelEvent, category="van")) == []
    assert parcels.replay(count_of("*"), key="parcel-9") == 0


def test_who_may_wait_for_a_type_is_warned_once_where_a_known_one_has_nearly_its_name(parcels: ek.EventStore) -> None:
    """With the line that asks; a name unlike any other is waited for in silence."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            parcels.subscribe(print, types="Quiet.Weihged").unsubscribe()
            assert parcels.replay(count_of("Quiet.ParcelSnet")) == {}
            parcels.subscribe(print, types="Quiet.Elsewhere.Entirely").unsubscribe()
    assert ["'Quiet.Weighed'" in str(told[0].message), "'Quiet.ParcelSent'" in str(told[1].message)] == [True, True]
    assert [one.filename for one in told] == [__file__, __file__]


# functions that would do nothing


async def a_coroutine(*_: Any) -> Any:
    return 0


def a_generator(*_: Any) -> Any:
    yield 0


async def an_async_generator(*_: Any) -> Any:
    yield 0


class Called:
    async def __call__(self, *_: Any) -> Any:
        return 0

    def method(self, *_: Any) -> Any:
        yield 0


IDLE = [a_coroutine, a_generator, an_async_generator, functools.partial(a_coroutine), Called(), Called().method]
HIDDEN = [lambda *given: a_coroutine(*given), lambda *given: a_generator(*given), lambda *given: map(print, given)]
TAKERS: list[Callable[[ek.EventStore, Any], object]] = [
    lambda store, idle: store.subscribe(idle),
    lambda store, idle: ek.Projection("p", initial=int).on("*")(idle),
    lambda store, idle: ek.Projection("p", initial=idle),
    lambda store, idle: ek.Projection("p", initial=int, key=idle),
    lambda store, idle: ek.Projection("p", initial=int, snapshots=idle),
    lambda store, idle: ek.Decider(decide=lambda c, s: None, evolve=idle, initial=int),
    lambda store, idle: ek.Decider(decide=lambda c, s: None, evolve=lambda s, e: s, initial=idle),
    lambda store, idle: ek.upcast("Quiet.Weighed", from_version=1)(idle),
    lambda store, idle: store.history(count_of("*")).first(idle),
]


@pytest.mark.parametrize("idle", IDLE)
@pytest.mark.parametrize("take", TAKERS)
def test_a_function_that_is_async_or_yields_is_refused_where_it_is_given(
    parcels: ek.EventStore, take: Callable[[ek.EventStore, Any], object], idle: Any
) -> None:
    with pytest.raises(ek.InputError, match=r"async|yields"):
        take(parcels, idle)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_hidden_coroutine_or_iterator_is_found_at_the_first_event(parcels: ek.EventStore, hidden: Any) -> None:
    """Where only a call can tell, its event does not count as handled."""
    projection = ek.Projection("p", initial=int)
    projection.on("*")(hidden)
    decider = ek.Decider(decide=lambda c, s: None, evolve=hidden, initial=int)
    keyed = ek.Projection("p", initial=int, key=hidden)
    keyed.on("*")(lambda state, event: state)
    asks: list[Callable[[], object]] = [
        lambda: parcels.replay(projection),
        lambda: parcels.state(decider, "parcel-1"),
        lambda: parcels.replay(keyed),
        lambda: parcels.replay(ek.Projection("p", initial=hidden, key=None)),
        lambda: parcels.history(count_of("*")).first(hidden),
    ]
    for ask in asks:
        with pytest.raises(ek.ProjectionError) as failed:
            ask()
        assert "0x" not in str(failed.value)
    subscription = parcels.subscribe(hidden, name="idle")
    with pytest.raises(ek.LaggardError, match="nobody runs"):
        subscription.wait_until()
    assert subscription.position == 0


@pytest.mark.parametrize(
    "lazy",
    [iter([1]), itertools.chain([1]), reversed([1]), enumerate([1]), map(str, [1])],
    ids=lambda one: type(one).__name__,
)
def test_an_iterator_of_pythons_own_is_no_state(parcels: ek.EventStore, lazy: Any) -> None:
    projection = ek.Projection("p", initial=int)
    projection.on("*")(lambda state, event: lazy)
    with pytest.raises(ek.ProjectionError, match="return the new state"):
        parcels.replay(projection)


class Awaited:
    def __await__(self) -> Any:
        yield 0


def test_whatever_waits_to_be_awaited_is_found_like_a_coroutine(parcels: ek.EventStore) -> None:
    keyed = ek.Projection("p", initial=int, key=lambda recorded: Awaited())
    keyed.on("*")(lambda state, event: state)
    handled = ek.Projection("p", initial=int)
    handled.on("*")(lambda state, event: Awaited())
    asks: list[Callable[[], object]] = [
        lambda: parcels.replay(keyed),
        lambda: parcels.replay(handled),
        lambda: parcels.history(handled),
        lambda: parcels.replay(ek.Projection("p", initial=Awaited, key=None)),
        lambda: parcels.history(count_of("*")).first(lambda state: Awaited()),  # type: ignore[arg-type,return-value]
    ]
    for ask in asks:
        with pytest.raises(ek.ProjectionError, match="Awaited"):
            ask()
    subscription = parcels.subscribe(lambda event: Awaited(), name="idle")
    with pytest.raises(ek.LaggardError, match="nobody runs"):
        subscription.wait_until()
    assert subscription.position == 0


def test_decide_may_yield_its_events_and_nothing_else_may(store: ek.EventStore) -> None:
    def decide(command: Any, state: Any) -> Any:
        yield fact("Quiet.Weighed", grams=command)

    evolve: Any = lambda state, event: state + 1  # noqa: E731
    decider = ek.Decider(decide=decide, evolve=evolve, initial=int)
    assert store.handle(decider, "p-1", 5).state == 1
    with pytest.raises(ek.InputError, match="async"):
        ek.Decider(decide=a_coroutine, evolve=evolve, initial=int)
    hides = ek.Decider(decide=lambda c, s: a_coroutine(), evolve=evolve, initial=int)
    with pytest.raises(ek.InputError, match="returned <coroutine object a_coroutine>"):
        store.handle(hides, "p-1", 5)


# handlers beside each other


def test_handlers_that_one_function_made_run_side_by_side(store: ek.EventStore) -> None:
    """Closures, partials and methods of several objects; made again in the same way, they take their own places."""

    def adding(name: str) -> Callable[..., Any]:
        def handler(state: dict[str, int], event: Any) -> dict[str, int]:
            return {**state, name: state.get(name, 0) + event[name]}

        return handler

    class Adding:
        def __init__(self, name: str) -> None:
            self.name = name

        def handle(self, state: dict[str, int], event: Any) -> dict[str, int]:
            return adding(self.name)(state, event)

        __call__ = handle

    def add(name: str, state: dict[str, int], event: Any) -> dict[str, int]:
        return adding(name)(state, event)

    store.append("a-1", fact("Quiet.Paid", x=1, y=10))
    makers: list[Callable[[str], Any]] = [
        adding, Adding, lambda name: Adding(name).handle, lambda name: functools.partial(add, name),
    ]  # fmt: skip
    for make in makers:
        sums = ek.Projection("sums", initial=dict)
        for name in ("x", "y", "x", "y"):
            sums.on("Quiet.Paid")(make(name))
        assert store.replay(sums) == {"a-1": {"x": 1, "y": 10}}


def test_lambdas_run_side_by_side_in_their_order(store: ek.EventStore) -> None:
    store.append("a-1", fact("Quiet.Paid"))
    sums = ek.Projection("sums", initial=lambda: 1)
    sums.on("Quiet.Paid")(lambda state, event: state + 1)
    sums.on("Quiet.Paid")(lambda state, event: state * 10)
    sums.on("Quiet.Paid")(lambda state, event: state + 1)
    assert store.replay(sums) == {"a-1": 21}


def test_a_handler_that_may_be_an_edited_one_or_another_is_not_guessed_at(store: ek.EventStore) -> None:
    """A lambda has no name by which an edited cell could be known; a function has one."""
    sums = ek.Projection("sums", initial=int)

    def cell(number: int, source: str) -> None:
        exec(compile(source, f"<cell {number}>", "exec"), {"sums": sums})  # as a notebook does

    cell(1, "sums.on('Quiet.Paid')(lambda state, event: state + 1)")
    cell(2, "\n\nsums.on('Quiet.Paid')(lambda state, event: state + 1)")
    with pytest.raises(ek.InputError, match=r"names of their own with def"):
        cell(3, "sums.on('Quiet.Paid')(lambda state, event: state + 2)")
    cell(4, "@sums.on('Quiet.Added')\ndef add(state, event): return state + 1")
    cell(5, "@sums.on('Quiet.Added')\ndef add(state, event): return state + 2")
    store.append("a-1", [fact("Quiet.Paid"), fact("Quiet.Added")])
    assert store.replay(sums) == {"a-1": 3}


def test_a_parameter_with_a_default_keeps_it(store: ek.EventStore) -> None:
    store.append("a-1", fact("Quiet.Paid"))
    scaled = ek.Projection("scaled", initial=lambda: 1)
    for rate in (2, 3):
        scaled.on("Quiet.Paid")(lambda state, event, rate=rate: state * rate)
    assert store.replay(scaled) == {"a-1": 6}


def test_functions_of_c_that_tell_no_signature_are_taken(store: ek.EventStore) -> None:
    store.append("a-1", fact("Quiet.Paid", n=1))
    kept = ek.Projection("kept", initial=dict, key=None)
    kept.on("Quiet.Paid")(dict.__or__)
    assert store.replay(kept) == {"n": 1}


def test_a_predicate_that_fails_names_event_key_and_state(store: ek.EventStore) -> None:
    store.append("a-1", [fact("Quiet.Paid"), fact("Quiet.Added")])
    with pytest.raises(ek.ProjectionError, match=r"position 2 \(Quiet\.Added\) of the key 'a-1'.*the state was 2"):
        store.history(count_of("*")).first(lambda state: state > 1 and 1 / 0)


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, 0.0), ([1], [True]), ({"a": (1,)}, {"a": (1.0,)})])
def test_an_equal_value_of_another_type_is_a_change(store: ek.EventStore, before: Any, after: Any) -> None:
    """Blame names the event that made 1 True, and so does a difference."""
    values = ek.Projection("values", initial=dict)
    values.on("Quiet.Was")(lambda state, event: {"value": before})
    values.on("Quiet.Is")(lambda state, event: {"value": after})
    store.append("a-1", [fact("Quiet.Was"), fact("Quiet.Is"), fact("Quiet.Is")])
    history = store.history(values)
    assert history.blame("a-1")["position"].tolist() == [2]
    assert history.diff(1, 3)["position"].tolist() == [2]


# who closes the store, and whose clock tells


def test_a_handler_that_closes_the_store_has_handled_its_event(tmp_path: Path) -> None:
    """Else it would get the same event at each start, and close the store for ever."""
    rounds = []
    for turn in range(3):
        store, seen = ek.EventStore(tmp_path), list[str]()
        if turn == 0:
            store.append("d-1", [fact(name) for name in ("A", "Closing", "B", "C")])

        def handle(event: ek.RecordedEvent, seen: list[str] = seen, store: ek.EventStore = store) -> None:
            seen.append(event.type)
            if event.type == "Closing":
                store.close()

        subscription = store.subscribe(handle, name="x")
        if turn == 0:
            with pytest.raises(ek.EventSourcingError):
                subscription.wait_until()
        else:
            subscription.wait_until()
        store.close()
        rounds.append(seen)
    assert rounds == [["A", "Closing"], ["B", "C"], []]


def test_a_handler_that_fails_after_it_closed_the_store_is_heard(store: ek.EventStore) -> None:
    def handle(event: ek.RecordedEvent) -> None:
        store.close()
        raise ValueError("and then?")

    store.append("d-1", fact("Closing"))
    subscription = store.subscribe(handle, on_error=ek.SKIP)
    with pytest.raises(ek.EventSourcingError):
        subscription.wait_until()
    assert isinstance(subscription.error, ValueError)


def test_what_is_set_aside_is_so_by_the_stores_clock() -> None:
    store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
    store.append("a-1", fact("X"))
    with store.subscribe(lambda event: 1 / 0, on_error=ek.SKIP) as subscription:
        subscription.wait_until()
        assert subscription.parked()["parked_at"].tolist() == [pd.Timestamp("2026-01-05T09:01:00Z")]


def test_the_cycle_collector_is_as_people_left_it_while_their_code_runs(store: ek.EventStore) -> None:
    """In handlers, deciders, validators of classes and upcasters, and so in every other thread."""
    seen: list[bool] = []

    class Judged(ek.Event, type="Quiet.Judged"):
        n: int

        @field_validator("n")
        @classmethod
        def judged(cls, n: int) -> int:
            seen.append(gc.isenabled())
            return n

    store.append("j-1", Judged(n=1))
    watching = ek.Projection("watching", initial=int)
    watching.on("*")(lambda state, event: seen.append(gc.isenabled()) or state)
    store.replay(watching)
    store.history(watching)
    store.read().df()
    store.check_schema()
    assert seen
    assert all(seen)


# receipts and events are moments of the store that recorded them


def test_a_receipt_is_the_moment_of_its_last_event(store: ek.EventStore) -> None:
    first = store.append("a-1", [fact("X"), fact("X")])
    decider = ek.Decider(decide=lambda c, s: fact("X"), evolve=lambda s, e: s + 1, initial=int)
    handled = store.handle(decider, "a-1", None)
    store.append("a-1", fact("X"))
    assert store.replay(count_of("X"), as_of=first) == {"a-1": 2} == store.history(count_of("X")).at(first)
    assert [event.position for event in store.read(after=first, as_of=handled)] == [3]


def test_what_another_store_recorded_is_no_moment_here(store: ek.EventStore) -> None:
    """Receipts and events say by which store they were recorded; they are equal all the same."""
    other = ek.EventStore()
    store.append("a-1", [fact("X"), fact("X")])
    receipt = other.append("a-1", fact("X"))
    (event,) = receipt.events
    history = store.history(count_of("X"))
    for given in (receipt, event):
        asks: list[Callable[[Any], object]] = [
            lambda given: store.read(as_of=given), history.at, store.wait_until,
        ]  # fmt: skip
        for ask in asks:
            with pytest.raises(ek.MomentError, match="another store"):
                ask(given)
    assert event.store_id == receipt.store_id != store.append("a-1", fact("X")).store_id
    assert event == dataclasses.replace(event, store_id=None)
    store.close()
    with pytest.raises(ek.MomentError, match="another store"):
        history.at(receipt)


# classes and what they write


def test_two_classes_of_one_name_in_two_modules_are_told(store: ek.EventStore) -> None:
    """Once; a cell that is run again, which is one module, stays without a warning."""

    def module(name: str, code: str) -> Any:
        made = sys.modules[name] = ModuleType(name)
        exec(f"import eventsourcing_kit as ek\nclass QuietDraft(ek.Event):\n    {code}", made.__dict__)
        return made

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mine = module("quiet_internal", "name: str")
        module("quiet_internal", "name: str")
        assert told == []
        module("quiet_external", "partner: str")
    assert "'QuietDraft'" in str(told[0].message)
    assert "type='other.X'" in str(told[0].message)
    with pytest.raises(ek.InputError, match=r"the module quiet_external now.*type='other\.X'"):
        store.append("d-1", mine.QuietDraft(name="a"))


class Remarked(ek.Event, type="Quiet.Remarked"):
    what: Any


class Ticked(ek.Event, type="Quiet.Ticked"):
    n: int

    @model_serializer
    def as_text(self) -> str:
        return str(self.n)


def test_a_class_that_serializes_to_no_dict_is_named(store: ek.EventStore) -> None:
    with pytest.raises(ek.InputError, match=r"class Ticked serializes an event as '1'.*return a dict"):
        store.append("t-1", Ticked(n=1))


def test_a_time_in_an_untyped_field_gets_a_cure_that_helps(store: ek.EventStore) -> None:
    """Conversion to UTC changes nothing there: the field needs a type."""
    with pytest.raises(ek.InputError, match="give the field a type that keeps it"):
        store.append("n-1", Remarked(what=datetime(2026, 1, 5, tzinfo=UTC)))


@pytest.mark.parametrize(
    "event",
    [
        Remarked.model_construct(what="\ud83d"),
        Remarked.model_construct(what=["\ud83d"]),
        ek.NewEvent(type="Quiet.Loose", data={"what": "\ud83d"}),
        ek.NewEvent(type="Quiet.Weighed", data={}, metadata={"what": "\ud83d"}),
        ek.NewEvent(type="Quiet.Named", data={"what": "\ud83d"}),
    ],
)
def test_a_lone_surrogate_is_refused_in_the_same_words_everywhere(store: ek.EventStore, event: Any) -> None:
    class Named(ek.Event, type="Quiet.Named"):
        what: str

    with pytest.raises(ek.InputError, match="has a lone surrogate; remove it"):
        store.append("w-1", event)
    assert store.position == 0


def test_an_import_repeated_after_its_class_grew_a_default_is_recognised(store: ek.EventStore) -> None:
    """The event reads as what is given; where it does not, the error says what differs."""
    mine = uuid.UUID(int=1)

    class Grown(ek.Event, type="Quiet.Grown"):
        amount: int

    first = store.append("b-1", ek.NewEvent(Grown(amount=10), id=mine))

    class Grown2(ek.Event, type="Quiet.Grown"):
        amount: int
        currency: str = "EUR"

    again = store.append("b-1", ek.NewEvent(Grown2(amount=10), id=mine))
    assert (again.replayed, again.position, store.position) == (True, first.position, 1)
    with pytest.raises(ek.DuplicateIdError, match="the field 'currency' is 'EUR' there, and 'USD' was given"):
        store.append("b-1", ek.NewEvent(Grown2(amount=10, currency="USD"), id=mine))
    with pytest.raises(ek.DuplicateIdError, match=r"of 'b-1' is stored there, and Quiet\.Grown of 'b-2'"):
        store.append("b-2", ek.NewEvent(Grown2(amount=10), id=mine))

"""Schemas that change: upcasters, renamed types, and what is checked when they are defined and when events are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import field_validator

import eventsourcing_kit as ek
from eventsourcing_kit.events import renames, schema, upcasters

Data = dict[str, Any]


@pytest.fixture(autouse=True)
def no_event_types() -> None:
    """Each test starts without types: they are known to a whole process."""
    forget()


def forget() -> None:
    for registry in (schema.registry, renames.successors, upcasters.registry):
        registry.clear()


def version_of(type_: str, version: int, /, *, renamed_from: Any = (), **fields: Any) -> type[ek.Event]:
    """A class of an event type, as it was written at some time."""
    body = {"__annotations__": fields, "__module__": __name__}
    return type(ek.Event)(type_, (ek.Event,), body, type=type_, version=version, renamed_from=renamed_from)


def stored(store: ek.EventStore, cls: type[ek.Event], stream: str = "account-1", **data: Any) -> None:
    store.append(stream, cls(**data))


def deposits_in_three_versions(store: ek.EventStore) -> type[ek.Event]:
    """`amount` in crowns, then `cents`, then `cents` with a `currency`; one event of each, of 1, 2 and 3 crowns."""
    stored(store, version_of("MoneyDeposited", 1, amount=int), amount=1)
    stored(store, version_of("MoneyDeposited", 2, cents=int), cents=200)
    newest = version_of("MoneyDeposited", 3, cents=int, currency=str)
    stored(store, newest, cents=300, currency="NOK")

    @ek.upcast(newest, from_version=1)
    def to_cents(data: Data) -> Data:
        return {"cents": data["amount"] * 100}

    @ek.upcast("MoneyDeposited", from_version=2)
    def with_currency(data: Data) -> Data:
        data["currency"] = "NOK"
        return data

    return newest


def total(*types: Any) -> ek.Projection:
    projection = ek.Projection("total", initial=lambda: 0)
    projection.on(*types)(lambda state, event: state + event.cents)
    return projection


# reading


def test_every_stored_version_is_read_as_the_class_of_today(store: ek.EventStore) -> None:
    """The schema version stays the one that was stored; the data is that of the newest class."""
    newest = deposits_in_three_versions(store)
    assert [event.data for event in store.read()] == [newest(cents=100 * n, currency="NOK") for n in (1, 2, 3)]
    assert [event.schema_version for event in store.read()] == [1, 2, 3]
    assert {type(event.data) for event in store.read()} == {newest}


def test_frames_replays_and_histories_see_upcast_data(store: ek.EventStore) -> None:
    """Whichever way the log is asked, the answer is the same."""
    newest = deposits_in_three_versions(store)
    frame = store.read().df()
    assert frame["cents"].tolist() == [100, 200, 300]
    assert frame["currency"].tolist() == ["NOK"] * 3
    assert "amount" not in frame
    assert frame["schema_version"].tolist() == [1, 2, 3]
    by_class, by_name = total(newest), total("MoneyDeposited")
    for projection in (by_class, by_name):
        assert store.replay(projection) == {"account-1": 600}
        assert store.replay(projection, as_of=2) == {"account-1": 300}
        assert store.history(projection).df()["state"].tolist() == [100, 300, 600]
        assert store.history(projection).at(1) == {"account-1": 100}


def test_several_versions_in_one_commit_stand_in_their_places(store: ek.EventStore) -> None:
    """A commit may hold events of many looks."""
    old, new = version_of("T", 1, n=int), version_of("T", 2, m=int)
    ek.upcast("T", from_version=1)(lambda data: {"m": data["n"] + 10})
    store.append("a", [new(m=1), old(n=2), new(m=3), old(n=4)])
    assert [event.data.m for event in store.read()] == [1, 12, 3, 14]
    assert store.read().df()["m"].tolist() == [1, 12, 3, 14]
    assert [event.data.m for event in store.read(backwards=True, limit=2)] == [14, 3]


def test_a_fact_without_a_class_is_of_version_1_and_upcast_as_such(store: ek.EventStore) -> None:
    """So are the rows of a foreign log."""
    store.append("a", ek.NewEvent(type="Sent", data={"to": "oslo"}))
    ek.upcast("Sent", from_version=1)(lambda data: {"city": data["to"].title()})
    assert next(iter(store.read())).data == {"to": "oslo"}
    sent = version_of("Sent", 2, city=str)
    assert next(iter(store.read())).data == sent(city="Oslo")


def test_without_upcasters_older_versions_are_read_tolerantly(store: ek.EventStore) -> None:
    """New fields take their defaults, dropped ones are ignored, whatever the versions are."""
    stored(store, version_of("T", 1, n=int, old=int), n=1, old=2)

    class T(ek.Event, version=20260105):
        n: int
        new: str = "none"

    assert [event.data for event in store.read()] == [T(n=1, new="none")]
    assert store.read().df()["new"].tolist() == ["none"]


def test_the_log_stays_as_it_was_written(store: ek.EventStore) -> None:
    """Upcasters get a copy, and appends that are repeated are compared with what was stored."""
    given_id = "0198a000-0000-7000-8000-000000000001"
    store.append("a", ek.NewEvent(type="T", data={"tags": ["a"]}, id=given_id))
    version_of("T", 2, tags=list[str])

    @ek.upcast("T", from_version=1)
    def grow(data: Data) -> Data:
        data["tags"].append("b")
        return data

    for _ in range(2):
        assert next(iter(store.read())).data.tags == ["a", "b"]
        assert store.read().df()["tags"].tolist() == [["a", "b"]]
    forget()
    assert next(iter(store.read())).data == {"tags": ["a"]}
    assert store.append("a", ek.NewEvent(type="T", data={"tags": ["a"]}, id=given_id)).replayed


def test_a_link_cannot_change_what_another_link_shares(store: ek.EventStore) -> None:
    """Between links the data is copied: an upcaster may hand out a value that it keeps."""
    store.append("a", [ek.NewEvent(type="T"), ek.NewEvent(type="T")])
    version_of("T", 3, tags=list[str])
    kept: Data = {"tags": []}
    ek.upcast("T", from_version=1)(lambda data: kept)

    @ek.upcast("T", from_version=2)
    def add(data: Data) -> Data:
        data["tags"].append("x")
        return data

    assert [event.data.tags for event in store.read()] == [["x"], ["x"]]
    assert kept == {"tags": []}


def test_an_upcaster_stays_a_function_that_can_be_called() -> None:
    """So it is tried like any pure function."""
    version_of("T", 2, m=int)

    @ek.upcast("T", from_version=1)
    def doubled(data: Data) -> Data:
        return {"m": data["n"] * 2}

    assert doubled({"n": 2}) == {"m": 4}


STEPS: list[Callable[[int], Callable[[Data], Data]]] = [
    lambda k: lambda data: {**data, "n": data["n"] + k},
    lambda k: lambda data: {**data, "n": data["n"] * k},
    lambda k: lambda data: {"n": data["n"], "seen": [*data["seen"], k]},
    lambda k: lambda data: data,
]


@given(
    links=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(-5, 5)), min_size=1, max_size=6),
    upwards=st.booleans(),
    numbers=st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=8),
    as_of=st.integers(0, 8),
    together=st.booleans(),
)
def test_a_chain_is_the_composition_of_its_upcasters(
    links: list[tuple[Any, int]], upwards: bool, numbers: list[int], as_of: int, together: bool
) -> None:
    """At every version, and through every view."""
    forget()
    functions = [make(k) for make, k in links]
    newest = len(functions) + 1
    classes = [version_of("T", version, n=int, seen=list[int]) for version in range(1, newest + 1)]
    for i in range(len(functions)) if upwards else reversed(range(len(functions))):
        ek.upcast("T", from_version=i + 1)(functions[i])
    events = [classes[i % newest](n=number, seen=[i]) for i, number in enumerate(numbers)]
    expected = []
    for i, number in enumerate(numbers):
        data: Data = {"n": number, "seen": [i]}
        for function in functions[i % newest :]:
            data = function(data)
        expected.append(classes[-1](**data))
    with ek.EventStore() as store:
        for part in [events] if together else [[event] for event in events]:
            store.append("a-1", part)
        cut = min(as_of, len(events))
        assert [event.data for event in store.read()] == expected
        assert [event.data for event in store.read(as_of=cut, types="T")] == expected[:cut]
        assert [event.data for event in store.read("a-1", backwards=True)] == expected[::-1]
        frame = store.read().df()
        assert frame["n"].tolist() == [event.n for event in expected]  # type: ignore[attr-defined]
        assert frame["seen"].tolist() == [event.seen for event in expected]  # type: ignore[attr-defined]
        kept = ek.Projection("kept", initial=lambda: [])
        kept.on("T")(lambda state, event: [*state, event])
        assert store.replay(kept, as_of=cut, key="a-1") == expected[:cut]
        assert store.history(kept).at(cut).get("a-1", []) == expected[:cut]
        checked = store.check_schema()
        assert checked["would_fail"].sum() == 0
        assert checked["ok"].sum() + checked["upcast"].sum() == len(events)


# defining


def test_a_cell_that_is_run_again_replaces_the_upcaster(store: ek.EventStore, recwarn: pytest.WarningsRecorder) -> None:
    """Quietly; the newest definition counts, also for reads that were asked for before."""
    store.append("a", ek.NewEvent(type="T", data={}))
    version_of("T", 2, n=int)
    ek.upcast("T", from_version=1)(lambda data: {"n": 1})
    read = store.read()
    assert next(iter(read)).data.n == 1
    ek.upcast("T", from_version=1)(lambda data: {"n": 2})
    assert next(iter(read)).data.n == 2
    assert not recwarn.list


def test_running_the_first_cell_again_rests_the_upcasters(store: ek.EventStore) -> None:
    """A class that goes back to version 1 needs none; when it is of version 2 again, they are there."""
    stored(store, version_of("T", 1, n=int), n=1)
    version_of("T", 2, m=int)
    ek.upcast("T", from_version=1)(lambda data: {"m": data["n"]})
    version_of("T", 1, n=int)
    assert next(iter(store.read())).data.n == 1
    version_of("T", 2, m=int)
    assert next(iter(store.read())).data.m == 1


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_from_version_is_a_whole_number_from_1(version: Any) -> None:
    version_of("T", 9, n=int)
    with pytest.raises(ek.InputError, match=r"from_version is .*; give the version to start from"):
        ek.upcast("T", from_version=version)


def test_an_upcaster_that_leads_beyond_its_class_is_refused() -> None:
    """Whichever of the two comes first."""
    cls = version_of("T", 2, n=int)
    for given_type in (cls, "T"):
        with pytest.raises(
            ek.InputError, match=r"from version 2 leads to version 3, and its class has version 2; give"
        ):
            ek.upcast(given_type, from_version=2)
    ek.upcast("U", from_version=3)(lambda data: data)
    with pytest.raises(ek.InputError, match=r"of 'U' from version 3 leads to version 4, and its class has version 3"):
        version_of("U", 3, n=int)
    assert schema.registered("U") is None
    assert version_of("U", 4, n=int)


def test_a_hole_in_a_chain_is_refused_when_it_is_defined() -> None:
    """Links are added at either end; the error names the one that is missing."""
    version_of("T", 9, n=int)
    ek.upcast("T", from_version=3)(lambda data: data)
    for wrong, missing in ((5, 4), (1, 2)):
        with pytest.raises(ek.InputError, match=rf"a gap: .*none from version {missing}; define that one first"):
            ek.upcast("T", from_version=wrong)
    for right in (4, 2, 3, 1):
        ek.upcast("T", from_version=right)(lambda data: data)
    assert sorted(upcasters.of("T")) == [1, 2, 3, 4]


def test_a_chain_that_ends_too_early_is_an_error_where_an_event_needs_it(store: ek.EventStore) -> None:
    """Its next link may be in the next cell, so it is no error before."""
    old = version_of("T", 1, n=int)
    newest = version_of("T", 3, n=int)
    ek.upcast("T", from_version=1)(lambda data: data)
    store.append("a", newest(n=1))
    assert [event.data.n for event in store.read()] == [1]
    with pytest.raises(ek.InputError, match=r"T was defined again since .*no upcaster from version 2"):
        store.append("a", old(n=2))
    store.append("b", ek.NewEvent(type="Other"))
    ek.upcast("Other", from_version=1)(lambda data: data)
    version_of("Other", 3)
    for look in views(store, total("Other")):
        with pytest.raises(
            ek.SchemaError,
            match=r"position 2 has schema version 1 of 'Other', its class Other has version 3, "
            r"and there is no upcaster from version 2; write one: @ek.upcast\(Other, from_version=2\)",
        ):
            look()
    ek.upcast("Other", from_version=2)(lambda data: data)
    assert len(list(store.read())) == 2


def test_what_is_no_type_and_no_function_is_refused() -> None:
    version_of("T", 3, n=int)
    for wrong in (5, "", None, ek.Event, int):
        with pytest.raises(ek.InputError, match=r"an event type|no event type"):
            ek.upcast(wrong, from_version=1)  # type: ignore[arg-type]
    with pytest.raises(ek.InputError, match="5 is no function"):
        ek.upcast("T", from_version=1)(5)  # type: ignore[type-var]

    def two(data: Data, more: int) -> Data:
        return data

    with pytest.raises(ek.InputError, match=r"two' cannot be called with an event's data alone: missing"):
        ek.upcast("T", from_version=1)(two)  # type: ignore[type-var]
    assert upcasters.of("T") == {}


# errors on the way


def views(store: ek.EventStore, projection: ek.Projection) -> list[Callable[[], object]]:
    """Every way to look at a log."""
    return [
        lambda: list(store.read()),
        lambda: store.read().df(),
        lambda: store.replay(projection),
        lambda: store.history(projection),
        lambda: list(store.read(backwards=True, limit=1)),
    ]


JUNK = [
    (lambda data: None, r"returned None for the event at position 2; return a dict, the data of version 2"),
    (lambda data: [data], r"returned \[\{'n': 1\}\] for the event at position 2; return a dict"),
    (lambda data: {"n": float("nan")}, r"returned junk .*position 2: what it returned\.n is nan"),
    (lambda data: {"n": {1, 2}}, r"returned junk .*position 2: what it returned\.n is \{1, 2\} of type set"),
    (lambda data: {1: 2}, r"returned junk .*position 2: what it returned has the key 1"),
    (lambda data: {"n": "\ud800"}, r"returned junk .*position 2: .*lone surrogate"),
    (
        lambda data: data["amount"],
        r"failed on the event at position 2: KeyError: 'amount'; the data was \{'n': 1\}; mend",
    ),
]


@pytest.mark.parametrize(("function", "message"), JUNK)
def test_junk_names_the_upcaster_its_line_and_the_event(
    store: ek.EventStore, function: Callable[[Data], Any], message: str
) -> None:
    """Through every view; nothing that an upcaster does reaches the log."""
    store.append("a", [ek.NewEvent(type="Other"), ek.NewEvent(type="T", data={"n": 1})])
    version_of("T", 2, n=int)
    ek.upcast("T", from_version=1)(function)
    line = function.__code__.co_firstlineno
    for look in views(store, total("T")):
        with pytest.raises(ek.SchemaError, match=rf"<lambda> \(line {line}\) of 'T' from version 1 to 2 {message}"):
            look()


def test_a_circle_of_data_is_junk_as_well(store: ek.EventStore) -> None:
    store.append("a", ek.NewEvent(type="T"))
    version_of("T", 2, n=int)

    @ek.upcast("T", from_version=1)
    def round_and_round(data: Data) -> Data:
        data["self"] = data
        return data

    with pytest.raises(ek.SchemaError, match=r"returned junk .*nested deeper than"):
        list(store.read())


def test_a_result_that_does_not_fit_names_versions_field_and_upcaster(store: ek.EventStore) -> None:
    """The class validates what the last upcaster of the chain returns."""
    store.append("a", [ek.NewEvent(type="T", data={"n": "1"}), ek.NewEvent(type="T", data={"n": "many"})])
    version_of("T", 3, m=int)
    ek.upcast("T", from_version=1)(lambda data: data)

    @ek.upcast("T", from_version=2)
    def to_m(data: Data) -> Data:
        return {"m": data["n"]}

    line = to_m.__code__.co_firstlineno
    with pytest.raises(
        ek.SchemaError,
        match=r"position 2, upcast from schema version 1 to 3, does not fit the class T of its type 'T': field 'm': "
        rf"Input should be a valid integer.*\(upcast: 'many'\); mend the upcaster .*to_m \(line {line}\) of 'T' from "
        r"version 2 to 3, or give the field a default",
    ):
        list(store.read())


def test_a_misfit_without_upcasters_offers_to_write_one(store: ek.EventStore) -> None:
    stored(store, version_of("T", 1, n=int), n=1)
    version_of("T", 2, m=int)
    with pytest.raises(ek.SchemaError, match=r"field 'm': Field required; .*or write @ek.upcast\(T, from_version=1\)"):
        list(store.read())


def test_a_class_whose_own_code_fails_names_the_event(store: ek.EventStore) -> None:
    """Whatever it raises: reads, replays, subscriptions and check_schema know one error for what cannot be read."""
    store.append("a", [ek.NewEvent(type="T", data={"n": n}) for n in (1, 0, 2)])

    class Shared(ek.Event, type="T"):
        n: int

        @field_validator("n")
        @classmethod
        def shares(cls, n: int) -> int:
            return 6 // n

    told = r"position 2 does not fit the class Shared of its type 'T': the class's own code failed: ZeroDivisionError"
    with pytest.raises(ek.SchemaError, match=told) as caught:
        list(store.read())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    (row,) = store.check_schema().to_dict("records")
    assert (row["ok"], row["would_fail"], row["position"]) == (2, 1, 2)
    seen: list[int] = []
    with store.subscribe(lambda event: seen.append(event.data.n), on_error=ek.SKIP) as subscription:
        subscription.wait_until()
        assert subscription.parked()["position"].tolist() == [2]
    assert seen == [6, 3]


def test_an_event_of_an_older_class_is_appended_where_it_can_be_read(store: ek.EventStore) -> None:
    """It is stored with its own version; where its upcast would not fit, nothing is written."""
    old = version_of("T", 1, n=int)
    newest = version_of("T", 2, m=int)
    with pytest.raises(ek.InputError, match="T was defined again since this event was made"):
        store.append("a", old(n=1))
    ek.upcast("T", from_version=1)(lambda data: {"m": 10 // data["n"]})
    store.append("a", [old(n=1), newest(m=2)])
    assert [event.data.m for event in store.read()] == [10, 2]
    with pytest.raises(ek.InputError, match=r"T was defined again since .*ZeroDivisionError.*make the event anew"):
        store.append("a", old(n=0))
    version_of("T", 1, n=int)
    with pytest.raises(ek.InputError, match=r"it has version 1, the event 2\); make the event anew"):
        store.append("a", newest(m=1))
    assert store.position == 2


# renaming


def test_a_renamed_type_takes_over_the_old_events(store: ek.EventStore) -> None:
    """Reads, filters, projections and frames know them under the new name; the log keeps the old one."""
    old = version_of("MoneyDeposited", 1, amount=int)
    stored(store, old, amount=1)
    before = total("MoneyDeposited")
    asked_before = store.read(types=old)
    new = version_of("Deposited", 2, renamed_from="MoneyDeposited", cents=int)
    ek.upcast("MoneyDeposited", from_version=1)(lambda data: {"cents": data["amount"] * 100})
    stored(store, new, cents=200)
    for types in (new, "Deposited", old, "MoneyDeposited", [new, old]):
        read = store.read(types=types)
        assert [event.data for event in read] == [new(cents=100), new(cents=200)]
        assert read.df()["cents"].tolist() == [100, 200]
    assert [event.data.cents for event in asked_before] == [100]
    assert [event.type for event in store.read()] == store.read().df()["type"].tolist() == ["Deposited"] * 2
    assert [event.schema_version for event in store.read()] == [1, 2]
    assert store.types()["type"].tolist() == ["MoneyDeposited", "Deposited"]
    assert store.types()["registered"].tolist() == [True, True]
    for projection in (before, total(new), total("Deposited"), total(old)):
        assert store.replay(projection) == {"account-1": 300}
        assert store.history(projection).df()["type"].tolist() == ["Deposited", "Deposited"]


def test_a_handler_that_is_defined_again_for_the_new_name_replaces_the_old_one(store: ek.EventStore) -> None:
    """Else an event would count twice."""
    old = version_of("Old", 1, cents=int)
    stored(store, old, cents=1)
    projection = ek.Projection("total", initial=lambda: 0)

    def add(state: int, event: Any) -> int:
        return state + int(event.cents)

    projection.on(old)(add)
    new = version_of("New", 1, renamed_from=old, cents=int)
    projection.on(new)(add)
    assert store.replay(projection) == {"account-1": 1}
    assert list(projection.handlers) == ["New"]


def test_names_follow_one_another(store: ek.EventStore) -> None:
    """A type may have had several names, given one after the other or together, with upcasters to any of them."""
    store.append("a", [ek.NewEvent(type=name, data={"n": 1}) for name in ("A", "B", "Z")])
    ek.upcast("A", from_version=1)(lambda data: {"n": data["n"] + 1})
    version_of("B", 2, renamed_from="A", n=int)
    new = version_of("C", 3, renamed_from=["B", "Z"], n=int)
    ek.upcast(new, from_version=2)(lambda data: {"n": data["n"] * 10})
    assert [event.data for event in store.read(types=new)] == [new(n=20)] * 3
    assert renames.former("C") == ["A", "B", "Z"]
    ek.upcast("B", from_version=1)(lambda data: {"n": 0})
    assert [event.data.n for event in store.read()] == [0, 0, 0]


def test_renames_in_a_circle_are_refused() -> None:
    """And nothing is changed then."""
    version_of("A", 1, n=int)
    version_of("B", 2, renamed_from="A", n=int)
    version_of("C", 3, renamed_from="B", n=int)
    with pytest.raises(ek.InputError, match=r"'A' cannot be renamed from 'C': .*circle \(A → B → C → A\); leave"):
        version_of("A", 4, renamed_from="C", n=int)
    with pytest.raises(ek.InputError, match=r"circle \(D → D\)"):
        version_of("D", 1, renamed_from="D", n=int)
    with pytest.raises(ek.InputError, match="no event type"):
        version_of("D", 1, renamed_from=[5], n=int)
    assert [renames.current(name) for name in "ABCD"] == ["C", "C", "C", "D"]
    assert schema.registered("D") is None


def test_the_newest_definition_counts_for_names_too(store: ek.EventStore) -> None:
    """A class that is defined again under its old name is a type of its own again."""
    stored(store, version_of("A", 1, n=int), n=1)
    version_of("B", 1, renamed_from="A", n=int)
    assert [event.type for event in store.read()] == ["B"]
    version_of("B", 1, n=int)
    assert [event.type for event in store.read()] == ["A"]
    version_of("B", 1, renamed_from="A", n=int)
    version_of("A", 1, n=int)
    assert [event.type for event in store.read()] == ["A"]


def test_an_event_of_a_renamed_class_is_appended_where_the_new_one_reads_it(store: ek.EventStore) -> None:
    """It is stored under its own name."""
    old = version_of("Old", 1, n=int)
    version_of("New", 2, renamed_from=old, n=int)
    stored(store, old, n=1)
    assert store.types()["type"].tolist() == ["Old"]
    version_of("New", 2, renamed_from=old, m=int)
    with pytest.raises(ek.InputError, match="Old was renamed to New since this event was made"):
        stored(store, old, n=2)


# the registry


def test_the_registry_is_a_frame(store: ek.EventStore) -> None:
    """One row a type: its fields, version, upcasters, former names, class and JSON Schema."""
    newest = deposits_in_three_versions(store)
    version_of("Old", 1, n=int)
    version_of("New", 2, renamed_from="Old", n=int)
    frame = ek.schemas()
    assert frame.columns.tolist() == ["type", "version", "fields", "upcasters", "renamed_from", "class", "json_schema"]
    assert frame["type"].tolist() == ["MoneyDeposited", "New"]
    assert frame["version"].tolist() == [3, 2]
    assert frame["fields"].tolist() == [["cents", "currency"], ["n"]]
    assert frame["upcasters"].tolist() == [[1, 2], []]
    assert frame["renamed_from"].tolist() == [[], ["Old"]]
    assert frame["class"].tolist() == [f"{__name__}.MoneyDeposited", f"{__name__}.New"]
    assert frame["json_schema"][0] == newest.model_json_schema()


def test_the_frame_of_an_empty_registry_has_the_same_columns() -> None:
    empty = ek.schemas()
    version_of("T", 1, n=int)
    assert empty.columns.tolist() == ek.schemas().columns.tolist()
    assert empty.dtypes.tolist() == ek.schemas().dtypes.tolist()


def test_a_class_that_json_schema_has_no_words_for_has_none() -> None:
    class Called(ek.Event):
        back: Callable[[], int]

    assert ek.schemas()["json_schema"].tolist() == [None]

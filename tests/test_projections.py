"""Projections: what becomes a key, how a key begins and ends, and what is said of a handler that fails."""

from __future__ import annotations

from typing import Any

import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.events import schema


class Opened(ek.Event, type="Projected.Opened"):
    owner: str


class Paid(ek.Event, type="Projected.Paid"):
    amount: int


class Moved(ek.Event, type="Projected.Moved"):
    source: str
    target: str
    amount: int


def noted(**data: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data=data)


@pytest.fixture
def paid(store: ek.EventStore) -> ek.EventStore:
    """Two accounts: Ada's ends at 8, Bob's at 7."""
    store.append("account-1", [Opened(owner="Ada"), Paid(amount=5)])
    store.append("account-2", [Opened(owner="Bob"), Paid(amount=7)])
    store.append("account-1", Paid(amount=3))
    return store


def balance() -> ek.Projection:
    made = ek.Projection("balance", initial=lambda: 0)
    made.on(Opened)(lambda state, event: state)
    made.on(Paid)(lambda state, event: state + event.amount)
    return made


def every_way(store: ek.EventStore, projection: ek.Projection, **asked: Any) -> Any:
    """The answer of replay, which a history's must equal; with one key, a history has that key only."""
    replayed = store.replay(projection, **asked)
    history = store.history(projection, **asked)
    states = history.at(history.as_of)
    if "key" in asked:
        assert set(states) <= {asked["key"]}
        assert states.get(asked["key"], projection.initial()) == replayed
    else:
        assert states == replayed
    return replayed


# keys


def test_a_stream_is_a_key_by_default(paid: ek.EventStore) -> None:
    """And one key is asked for by the stream's name."""
    assert every_way(paid, balance()) == {"account-1": 8, "account-2": 7}
    assert every_way(paid, balance(), as_of=3) == {"account-1": 5, "account-2": 0}
    assert every_way(paid, balance(), key="account-1", as_of=2) == 5
    assert every_way(paid, balance(), category="account") == {"account-1": 8, "account-2": 7}
    assert every_way(paid, balance(), category="transfer") == {}


def test_a_key_exists_from_its_first_handled_event(paid: ek.EventStore) -> None:
    """Events that are not handled make no key; an unknown key has the initial state, of any kind."""
    paid.append("account-3", noted(n=1))
    assert every_way(paid, balance()) == {"account-1": 8, "account-2": 7}
    assert every_way(paid, balance(), as_of=0) == {}
    for key in ("account-3", "nobody", "", "\ud800", "x" * 5000, 7, None, ("a", 1)):
        assert every_way(paid, balance(), key=key) == 0


def test_what_is_not_hashable_is_no_key(paid: ek.EventStore) -> None:
    """With what can be one."""
    for ask in (paid.replay, paid.history):
        with pytest.raises(ek.InputError, match=r"\[1\] cannot be a key"):
            ask(balance(), key=[1])


def test_initial_runs_once_a_key(paid: ek.EventStore) -> None:
    """Every key has its own first state, so even a list may be one."""
    made: list[list[int]] = []

    def fresh() -> list[int]:
        made.append([])
        return made[-1]

    amounts = ek.Projection("amounts", initial=fresh)
    amounts.on(Opened, Paid)(lambda state, event: [*state, getattr(event, "amount", 0)])
    assert paid.replay(amounts) == {"account-1": [0, 5, 3], "account-2": [0, 7]}
    assert made == [[], []]


def test_a_key_may_be_a_field_or_a_function(store: ek.EventStore) -> None:
    """Of typed events and of dicts alike; a function gets the RecordedEvent, and may pass an event over."""
    store.append("m-1", [Moved(source="a", target="b", amount=5), Moved(source="b", target="c", amount=1)])
    store.append("m-2", ek.NewEvent(type="Loose", data={"source": "a"}))
    by_field = ek.Projection("by field", initial=int, key="source")
    by_field.on(Moved, "Loose")(lambda state, event: state + 1)
    assert every_way(store, by_field) == {"a": 2, "b": 1}
    assert every_way(store, by_field, key="a") == 2
    by_function = ek.Projection("by function", initial=int, key=lambda r: r.version if r.type != "Loose" else None)
    by_function.on(Moved, "Loose")(lambda state, event: state + 1)
    assert every_way(store, by_function) == {1: 1, 2: 1}
    assert every_way(store, by_function, key=2) == 1


def test_one_transfer_touches_two_accounts_through_two_handlers(store: ek.EventStore) -> None:
    """`on(Type, key=…)` overrides the projection's key."""
    accounts = ek.Projection("accounts", initial=lambda: 0)
    accounts.on(Paid)(lambda state, event: state + event.amount)

    @accounts.on(Moved, key="source")
    def out(state: int, event: Moved) -> int:
        return state - event.amount

    @accounts.on(Moved, key=lambda recorded: recorded.data.target)
    def into(state: int, event: Moved) -> int:
        return state + event.amount

    store.append("account-1", Paid(amount=100))
    store.append("transfer-1", Moved(source="account-1", target="account-2", amount=30))
    store.append("transfer-2", Moved(source="account-2", target="account-2", amount=5))
    assert every_way(store, accounts) == {"account-1": 70, "account-2": 30}
    for key, state in {"account-1": 70, "account-2": 30, "transfer-1": 0}.items():
        assert every_way(store, accounts, key=key) == state
    rows = store.history(accounts).df()
    assert rows[["key", "position", "state"]].values.tolist() == [
        ["account-1", 1, 100], ["account-1", 2, 70], ["account-2", 2, 30], ["account-2", 3, 30],
    ]  # fmt: skip


def test_without_a_key_there_is_one_bare_state(paid: ek.EventStore) -> None:
    """Over the whole log, and the initial one before the first event."""
    total = ek.Projection("total", initial=lambda: 0, key=None)
    total.on(Paid)(lambda state, event: state + event.amount)
    assert every_way(paid, total) == 15
    assert every_way(paid, total, as_of=0) == 0
    assert paid.history(total).at(2) == 5
    assert every_way(paid, total, category="nothing") == 0


@pytest.mark.parametrize("key", ["missing", lambda recorded: recorded.data.missing, lambda recorded: {"a": 1}])
def test_a_key_that_fails_is_named(paid: ek.EventStore, key: Any) -> None:
    """With the event and its position; a key that is not hashable too."""
    broken = ek.Projection("broken", initial=int, key=key)

    @broken.on(Paid)
    def count(state: int, event: Paid) -> int:
        return state + 1

    with pytest.raises(ek.ProjectionError, match=r"count \(line \d+\).* position 2 .*Projected.Paid of 'account-1'"):
        paid.replay(broken)


# the end of a key


def test_gone_ends_a_key_until_a_later_event_starts_it_again(store: ek.EventStore) -> None:
    """From the initial state; `at` omits it in between, and one key's state is then the initial one."""
    seen = ek.Projection("seen", initial=lambda: 10)
    seen.on(Paid)(lambda state, event: state + event.amount)
    seen.on("Noted")(lambda state, event: ek.GONE)
    store.append("a", Paid(amount=1))
    store.append("b", Paid(amount=2))
    store.append("a", noted())
    store.append("a", Paid(amount=3))
    store.append("c", noted())
    expected = {0: {}, 1: {"a": 11}, 2: {"a": 11, "b": 12}, 3: {"b": 12}, 4: {"b": 12, "a": 13}, 5: {"b": 12, "a": 13}}
    for position, states in expected.items():
        assert store.replay(seen, as_of=position) == states
        assert store.history(seen).at(position) == states
        assert store.replay(seen, as_of=position, key="a") == states.get("a", 10)
        assert store.history(seen, key="a").at(position) == {key: states[key] for key in states if key == "a"}
    whole = ek.Projection("whole", initial=lambda: 1, key=None)
    whole.on(Paid)(lambda state, event: state + 1)
    whole.on("Noted")(lambda state, event: ek.GONE)
    assert [store.replay(whole, as_of=p) for p in range(6)] == [1, 2, 3, 1, 2, 1]
    assert [store.history(whole).at(p) for p in range(6)] == [1, 2, 3, 1, 2, 1]


# handlers


def test_a_third_parameter_receives_the_recorded_event(paid: ek.EventStore) -> None:
    """Where it is declared, also with a default; the event comes typed, or as its dict."""
    last = ek.Projection("last", initial=lambda: None, key=None)
    seen: list[Any] = []

    @last.on(Paid, "Noted")
    def with_three(state: Any, event: Any, recorded: ek.RecordedEvent | None = None) -> Any:
        seen.append((event, recorded))
        return recorded.position if recorded else -1

    paid.append("x", noted(n=1))
    assert paid.replay(last) == 6
    assert [(event, recorded.data) for event, recorded in seen] == [
        (event, event) for event in (Paid(amount=5), Paid(amount=7), Paid(amount=3), {"n": 1})
    ]
    assert [recorded for _, recorded in seen] == list(paid.read(types=[Paid, "Noted"]))


def test_an_initial_that_fails_is_named(paid: ek.EventStore) -> None:
    """Wherever a first state is needed, also a decider's."""
    odd = ek.Projection("odd", initial=lambda: 1 // 0, key=None)
    odd.on(Paid)(lambda state, event: state)
    decider = ek.Decider(decide=lambda c, s: None, evolve=lambda s, e: s, initial=lambda: 1 // 0, name="odd")
    for call in (
        lambda: paid.replay(odd),
        lambda: paid.replay(odd, as_of=0),
        lambda: paid.history(odd),
        lambda: paid.handle(decider, "new", None),
        lambda: paid.state(decider, "new"),
        lambda: ek.ReportingDatabase().add(odd),
    ):
        with pytest.raises(ek.ProjectionError, match="initial of 'odd' failed: ZeroDivisionError"):
            call()


def test_none_is_an_error_that_names_handler_line_event_and_state(paid: ek.EventStore) -> None:
    """A forgotten return is the most frequent mistake."""
    forgetful = ek.Projection("forgetful", initial=lambda: {"n": 1})

    @forgetful.on(Paid)
    def forgets(state: dict[str, int], event: Paid) -> None:
        state | {"n": 2}

    line = forgets.__code__.co_firstlineno
    for ask in (paid.replay, paid.history):
        with pytest.raises(ek.ProjectionError) as error:
            ask(forgetful)
        says = str(error.value)
        assert f"forgets (line {line}) returned None at position 2" in says
        assert "Projected.Paid of 'account-1' (Paid(amount=5))" in says
        assert "return the new state" in says
        assert "the state before was {'n': 1}" in says


def test_an_exception_names_event_handler_and_state_before(paid: ek.EventStore) -> None:
    """And is the cause of the error that is raised."""
    broken = balance()

    @broken.on(Paid)
    def divides(state: int, event: Paid) -> float:
        return state / 0

    with pytest.raises(
        ek.ProjectionError, match=r"divides .*failed at position 2 on .*Paid.*the state before was 5"
    ) as e:
        paid.replay(broken)
    assert isinstance(e.value.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError: division by zero" in str(e.value)


def test_a_cell_that_is_run_again_replaces_its_handlers(paid: ek.EventStore) -> None:
    """A handler of the same name, for the same type and key, is the same handler, changed."""
    total = ek.Projection("total", initial=lambda: 0, key=None)

    def cell(factor: int) -> None:
        @total.on(Paid)
        def add(state: int, event: Paid) -> int:
            return state + factor * event.amount

    cell(1)
    assert paid.replay(total) == 15
    cell(2)
    assert paid.replay(total) == 30

    class Paid2(ek.Event, type="Projected.Paid"):
        amount: int
        note: str = ""

    try:
        assert paid.replay(total) == 30, "bound by the type's name, not by its class"
    finally:
        schema.register(Paid, "Projected.Paid", 1)


def test_on_takes_several_types_and_names(paid: ek.EventStore) -> None:
    """In any mixture, and stays usable as the function it decorates."""
    counted = ek.Projection("counted", initial=int)

    @counted.on(Opened, "Projected.Paid", "Nobody")
    def one_more(state: int, event: Any) -> int:
        return state + 1

    assert paid.replay(counted) == {"account-1": 3, "account-2": 2}
    assert one_more(1, None) == 2
    assert repr(counted) == "<projection counted: Projected.Opened, Projected.Paid, Nobody>"


def test_states_are_never_copied(paid: ek.EventStore) -> None:
    """The very object that the handler returned comes back."""
    marker = object()
    same = ek.Projection("same", initial=lambda: marker)
    same.on(Paid)(lambda state, event: state)
    assert all(state is marker for state in paid.replay(same).values())
    assert all(state is marker for state in paid.history(same).at(3).values())


async def waits(state: int, event: Paid) -> int:
    return state


def yields(state: int, event: Paid) -> Any:
    yield state


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ek.Projection("", initial=int),
        lambda: ek.Projection("p", initial=0),
        lambda: ek.Projection("p", initial=int, key=""),
        lambda: ek.Projection("p", initial=int, key=5),
        lambda: ek.Projection("p", initial=int).on(),
        lambda: ek.Projection("p", initial=int).on(5),
        lambda: ek.Projection("p", initial=int).on(""),
        lambda: ek.Projection("p", initial=int).on(ek.Event),
        lambda: ek.Projection("p", initial=int).on(Paid)(lambda state: state),
        lambda: ek.Projection("p", initial=int).on(Paid)(lambda a, b, c, d: a),
        lambda: ek.Projection("p", initial=int).on(Paid)("no function"),
        lambda: ek.Projection("p", initial=int).on(Paid)(waits),
        lambda: ek.Projection("p", initial=int).on(Paid)(yields),
        lambda: ek.EventStore().replay("p"),
        lambda: ek.EventStore().history(None),
    ],
)
def test_a_projection_that_cannot_work_is_refused_where_it_is_written(wrong: Any) -> None:
    """Not when it is replayed."""
    with pytest.raises(ek.InputError):
        wrong()


def test_a_projection_without_handlers_has_no_keys(paid: ek.EventStore) -> None:
    """Nothing is handled."""
    empty = ek.Projection("empty", initial=int)
    assert every_way(paid, empty) == {}
    assert paid.history(empty).df().columns.tolist()[:5] == ["key", "position", "type", "valid_from", "valid_to"]

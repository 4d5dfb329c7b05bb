"""Deciders: commands on streams, conflicts that are decided again, and the context that lands in metadata."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import eventsourcing_kit as ek


class Opened(ek.Event, type="Decided.Opened"):
    owner: str


class Deposited(ek.Event, type="Decided.Deposited"):
    amount: int


class Withdrawn(ek.Event, type="Decided.Withdrawn"):
    amount: int


class Withdraw(BaseModel):
    amount: int


class Deposit(BaseModel):
    amount: int


class NotEnough(Exception):
    """The domain's own exception."""


def decide(command: Any, state: int) -> Any:
    match command:
        case Deposit(amount=amount):
            return Deposited(amount=amount) if amount else None
        case Withdraw(amount=amount) if amount > state:
            raise NotEnough(f"{amount} of {state}")
        case Withdraw(amount=amount):
            return [Withdrawn(amount=amount)]
    raise TypeError(command)


def evolve(state: int, event: Any) -> int:
    match event:
        case Deposited(amount=amount):
            return state + amount
        case Withdrawn(amount=amount):
            return state - amount
    return state


def account(**changed: Any) -> ek.Decider:
    return ek.Decider(**{"decide": decide, "evolve": evolve, "initial": lambda: 0} | changed)


@pytest.fixture
def funded(store: ek.EventStore) -> ek.EventStore:
    store.append("account-1", [Opened(owner="Ada"), Deposited(amount=100)])
    return store


# what a command does


def test_a_decision_is_appended_at_the_version_it_saw(funded: ek.EventStore) -> None:
    done = funded.handle(account(), "account-1", Withdraw(amount=30))
    assert (done.stream, done.version, done.position, done.attempts, done.replayed) == ("account-1", 3, 3, 1, False)
    assert [event.data for event in done.events] == [Withdrawn(amount=30)]
    assert done.events == list(funded.read("account-1"))[2:]
    assert done.state == funded.state(account(), "account-1") == 70
    assert repr(done) == "<handled: 1 event to 'account-1', version 3, position 3>"
    sent = pickle.loads(pickle.dumps(done))
    assert (repr(sent), sent.state) == (repr(done), done.state)


def test_a_rejected_command_raises_the_domains_own_exception_and_writes_nothing(funded: ek.EventStore) -> None:
    rejected = NotEnough("never")

    def refuses(command: Any, state: int) -> Any:
        raise rejected

    with pytest.raises(NotEnough) as raised:
        funded.handle(account(decide=refuses), "account-1", Withdraw(amount=1))
    assert raised.value is rejected
    with pytest.raises(NotEnough, match="101 of 100"):
        funded.handle(account(), "account-1", Withdraw(amount=101))
    assert funded.position == 2


def test_a_generator_may_reject_after_its_first_event(funded: ek.EventStore) -> None:
    """What it yielded before is not written either."""

    def yields(command: Any, state: int) -> Iterator[ek.Event]:
        yield Withdrawn(amount=1)
        if command == "too much":
            raise NotEnough
        yield Deposited(amount=2)

    with pytest.raises(NotEnough):
        funded.handle(account(decide=yields), "account-1", "too much")
    assert funded.position == 2
    assert len(funded.handle(account(decide=yields), "account-1", "enough").events) == 2


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_where_nothing_happened_nothing_is_written(funded: ek.EventStore, nothing: Any) -> None:
    """And the result says at which version that was decided."""
    funded.append("other-1", Opened(owner="Bob"))
    done = funded.handle(account(decide=lambda command, state: nothing), "account-1", None)
    assert (done.events, done.version, done.position, done.state) == ([], 2, 3, 100)
    assert repr(done) == "<handled: nothing happened to 'account-1', version 2, position 3>"
    fresh = funded.handle(account(decide=lambda command, state: nothing), "account-9", None)
    assert (fresh.version, fresh.state) == (0, 0)
    assert funded.position == 3


def test_new_events_with_ids_make_a_command_safe_to_repeat(funded: ek.EventStore) -> None:
    """The same ids again store nothing; the receipt is the first one."""
    event = ek.NewEvent(Deposited(amount=5), id="6a0ed3b8-7f7b-4c8e-9a9f-000000000001", metadata={"own": 1})
    decider = account(decide=lambda command, state: event)
    first = funded.handle(decider, "account-1", None)
    again = funded.handle(decider, "account-1", None)
    assert (again.replayed, again.version, again.position) == (True, first.version, first.position)
    assert again.state == funded.state(decider, "account-1") == 105
    assert "replayed" in repr(again)


def test_events_without_a_class_reach_evolve_as_their_dict(store: ek.EventStore) -> None:
    seen: list[Any] = []
    decider = ek.Decider(
        decide=lambda command, state: ek.NewEvent(type="Noted", data={"n": command}),
        evolve=lambda state, event: (seen.append(event), state + event["n"])[1],
        initial=lambda: 0,
    )
    store.handle(decider, "x", 1)
    assert store.handle(decider, "x", 2).state == 3
    assert all(type(event) is dict for event in seen)


# states


def test_the_state_as_of_any_moment(funded: ek.EventStore) -> None:
    funded.handle(account(), "account-1", Withdraw(amount=30))
    states = [funded.state(account(), "account-1", as_of=position) for position in range(4)]
    assert states == [0, 0, 100, 70]
    assert funded.state(account(), "account-1", as_of="2026-01-05T09:00:30Z") == 100
    assert funded.state(account(), "nobody") == 0


def test_evolve_serves_as_a_projection(funded: ek.EventStore) -> None:
    """In replays and histories, as the decider itself or as its `projection`."""
    decider = account(name="account")
    funded.handle(decider, "account-2", Deposit(amount=7))
    for projection in (decider, decider.projection):
        assert funded.replay(projection) == {"account-1": 100, "account-2": 7}
        assert funded.replay(projection, key="account-2", as_of=2) == 0
        assert funded.history(projection).at(2) == {"account-1": 100}
    assert funded.history(decider).df()["state"].tolist() == [0, 100, 7]
    assert (repr(decider), decider.projection.name) == ("<decider account>", "account")
    with pytest.raises(ek.InputError, match="evolve takes every event"):
        decider.projection.on(Opened)


def test_a_state_that_ended_begins_again(store: ek.EventStore) -> None:
    """`GONE` from evolve, and the next event starts from the initial state."""
    decider = ek.Decider(
        decide=lambda command, state: ek.NewEvent(type=command),
        evolve=lambda state, event: ek.GONE if state == 2 else state + 1,
        initial=lambda: 0,
    )
    states = [store.handle(decider, "x", "Grew").state for _ in range(5)]
    assert states == [1, 2, 0, 1, 2]


def test_a_class_defined_again_is_met_by_the_next_command(store: ek.EventStore) -> None:
    """What was kept of the stream was folded from the older class."""
    saw: list[Any] = []

    def decides(command: Any, state: Any) -> Any:
        saw.append(state)
        return command

    decider = ek.Decider(decide=decides, evolve=lambda state, event: (*state, type(event)), initial=tuple)

    def define() -> type[ek.Event]:
        class Again(ek.Event, type="Decided.Again"):
            n: int = 0

        return Again

    older = define()
    assert store.handle(decider, "x", older()).state == (older,)
    newer = define()
    assert store.handle(decider, "x", newer()).state == (newer, newer)
    assert saw == [(), (newer,)]
    assert store.handle(decider, "x", older()).state == (newer,) * 3, "as it is read, whatever was given"
    store.handle(decider, "x", None)
    assert saw[-1] == (newer,) * 3


# conflicts


def interfering(store: ek.EventStore, times: int) -> tuple[Callable[[Any, int], Any], list[int]]:
    """A decide during which another writer is quicker, so many times; and the states that it saw."""
    saw: list[int] = []

    def slow(command: Any, state: int) -> Any:
        saw.append(state)
        if len(saw) <= times:
            store.append("account-1", Deposited(amount=1))
        return decide(command, state)

    return slow, saw


def test_on_a_conflict_it_decides_again_on_what_came_in_between(funded: ek.EventStore) -> None:
    """And says how often."""
    slow, saw = interfering(funded, 2)
    done = funded.handle(account(decide=slow), "account-1", Withdraw(amount=100))
    assert (saw, done.attempts, done.version, done.state) == ([100, 101, 102], 3, 5, 2)
    assert "after 3 attempts" in repr(done)


def test_it_gives_up_after_the_stated_number_of_retries(funded: ek.EventStore) -> None:
    """With an error that says how often it was decided, and brings what it has not seen."""
    slow, saw = interfering(funded, 100)
    with pytest.raises(ek.ConcurrencyError, match=r"decided 3 times.*version 5, not at 4.*retries=") as raised:
        funded.handle(account(decide=slow), "account-1", Withdraw(amount=1), retries=2)
    assert (saw, raised.value.attempts, raised.value.actual) == ([100, 101, 102], 3, 5)
    assert [event.version for event in raised.value.unseen] == [5]
    with pytest.raises(ek.ConcurrencyError, match="decided once"):
        funded.handle(account(decide=slow), "account-1", Withdraw(amount=1), retries=0)
    assert len(saw) == 4


def test_a_conflict_may_end_in_a_rejection(funded: ek.EventStore) -> None:
    """The other one took the money."""
    raced: list[int] = []

    def slow(command: Any, state: int) -> Any:
        if not raced:
            raced.append(1)
            funded.append("account-1", Withdrawn(amount=100))
        return decide(command, state)

    with pytest.raises(NotEnough, match="100 of 0"):
        funded.handle(account(decide=slow), "account-1", Withdraw(amount=100))
    assert funded.position == 3


def test_what_others_appended_is_seen_by_the_next_command(funded: ek.EventStore) -> None:
    """What is kept of a stream between commands is never taken for its newest state."""
    decider = account()
    with pytest.raises(NotEnough):
        funded.handle(decider, "account-1", Withdraw(amount=150))
    funded.append("account-1", Deposited(amount=50))
    done = funded.handle(decider, "account-1", Withdraw(amount=150))
    assert (done.state, done.attempts) == (0, 1)


def test_an_evolve_that_changes_its_state_in_place_is_not_folded_twice(funded: ek.EventStore) -> None:
    """It breaks the rule; its stream's state is then read anew."""
    saw: list[int] = []

    def in_place(state: dict[str, int], event: Any) -> dict[str, int]:
        state["n"] += 1
        return state

    def slow(command: Any, state: dict[str, int]) -> Any:
        saw.append(state["n"])
        if len(saw) == 1:
            funded.append("account-1", Deposited(amount=1))
        return Deposited(amount=2)

    decider = ek.Decider(decide=slow, evolve=in_place, initial=lambda: {"n": 0})
    assert funded.handle(decider, "account-1", None).state == {"n": 4}
    assert saw == [2, 3]
    assert funded.handle(decider, "account-1", None).state == {"n": 5}
    assert saw[-1] == 4


class Balance(BaseModel):
    """A state that can be changed in place."""

    n: int = 100

    @cached_property
    def half(self) -> int:
        return self.n // 2


@pytest.mark.parametrize("initial", [lambda: {"n": 100}, Balance], ids=["dict", "model"])
def test_a_decide_that_changes_its_state_in_place_harms_no_other_command(
    store: ek.EventStore, initial: Callable[[], Any]
) -> None:
    """It breaks the rule, and most of all where it rejects: the next command would decide on what it left."""

    def get(state: Any) -> int:
        return int(state["n"] if isinstance(state, dict) else state.n)

    def take(command: int, state: Any) -> Any:
        left = get(state) - command
        if isinstance(state, dict):
            state["n"] = left
        else:
            state.n = left
        if left < 0:
            raise NotEnough(command)
        return Withdrawn(amount=command)

    def after(state: Any, event: Withdrawn) -> Any:
        left = get(state) - event.amount
        return {"n": left} if isinstance(state, dict) else Balance(n=left)

    decider = ek.Decider(decide=take, evolve=after, initial=initial, snapshots=1)
    assert get(store.handle(decider, "account-1", 10).state) == 90
    with pytest.raises(NotEnough):
        store.handle(decider, "account-1", 95)
    assert get(store.handle(decider, "account-1", 90).state) == 0
    assert [get(store.state(decider, "account-1", as_of=at)) for at in range(3)] == [100, 90, 0]


def test_a_state_that_only_remembers_what_it_computed_is_kept(store: ek.EventStore) -> None:
    """A cached property is no change."""
    folded: list[int] = []

    def evolve(state: Balance, event: Withdrawn) -> Balance:
        folded.append(event.amount)
        return Balance(n=state.n - event.amount)

    decider = ek.Decider(decide=lambda command, state: Withdrawn(amount=state.half), evolve=evolve, initial=Balance)
    for _ in range(3):
        store.handle(decider, "account-1", None)
    assert folded == [50, 25, 12]


def test_many_threads_never_lose_an_update(store: ek.EventStore) -> None:
    """Each decides on what it saw; whatever conflicts, the sum is right."""
    decider = ek.Decider(
        decide=lambda command, state: Deposited(amount=state + 1), evolve=lambda state, e: e.amount, initial=lambda: 0
    )
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                store.handle(decider, "account-1", None, retries=1000)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert [event.data.amount for event in store.read()] == list(range(1, 41))


# mistakes


@pytest.mark.parametrize("wrong", ["Deposited", {"amount": 1}, 5, Deposited, ["x"], [None], [Deposited(amount=1), 3]])
def test_what_is_no_event_is_refused_with_the_name_of_decide(store: ek.EventStore, wrong: Any) -> None:
    def forgets(command: Any, state: int) -> Any:
        return wrong

    with pytest.raises(ek.InputError, match=r"forgets \(line \d+\) returned"):
        store.handle(account(decide=forgets), "account-1", None)
    assert store.position == 0


def test_a_model_that_is_no_event_is_named_whole(store: ek.EventStore) -> None:
    with pytest.raises(ek.InputError, match=r"returned Deposit\(amount=1\); return an event"):
        store.handle(account(decide=lambda command, state: Deposit(amount=1)), "account-1", None)


def test_an_evolve_that_fails_names_event_handler_and_state_before(funded: ek.EventStore) -> None:
    """Before a decided event is written; and, of a stored event, its position."""

    def broken(state: int, event: Any) -> Any:
        return state + event.amount if isinstance(event, Deposited) else None

    deposits = account(evolve=lambda state, event: broken(state, event) or state, name="deposits")
    assert funded.state(deposits, "account-1") == 100
    with pytest.raises(ek.ProjectionError, match=r"broken \(line \d+\) returned None at position 1 on Decided.Opened"):
        funded.state(account(evolve=broken), "account-1")
    with pytest.raises(
        ek.ProjectionError, match=r"broken .* returned None before anything was written, on .*Withdrawn"
    ):
        funded.handle(
            account(decide=lambda c, s: Withdrawn(amount=1), evolve=broken, initial=lambda: 0), "account-3", None
        )
    assert funded.position == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"decide": None},
        {"evolve": 5},
        {"initial": 0},
        {"decide": lambda command: None},
        {"evolve": lambda state, event, recorded: state},
        {"name": ""},
    ],
)
def test_a_decider_that_cannot_work_is_refused_where_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(ek.InputError):
        account(**wrong)


def test_an_async_decide_is_refused() -> None:
    async def later(command: Any, state: int) -> Any:
        return None

    with pytest.raises(ek.InputError, match="async"):
        account(decide=later)


def test_wrong_arguments_are_refused(store: ek.EventStore) -> None:
    for ask in (
        lambda: store.handle("account", "account-1", None),  # type: ignore[arg-type]
        lambda: store.handle(account(), "", None),
        lambda: store.handle(account(), "account-1", None, retries=-1),
        lambda: store.handle(account(), "account-1", None, retries=True),
        lambda: store.handle(account(), "account-1", Deposit(amount=1), metadata={"at": object()}),
        lambda: store.state(account().projection, "account-1"),  # type: ignore[arg-type]
        lambda: store.state(account(), ""),
    ):
        with pytest.raises(ek.InputError):
            ask()
    assert store.position == 0


def test_a_reader_and_a_closed_store_handle_nothing(folder: Path) -> None:
    with ek.EventStore(folder) as writer:
        writer.handle(account(), "account-1", Deposit(amount=1))
    with ek.EventStore(folder, read_only=True) as reader:
        assert reader.state(account(), "account-1") == 1
        with pytest.raises(ek.ReadOnlyError):
            reader.handle(account(), "account-1", Deposit(amount=1))
    with pytest.raises(ek.StoreClosedError):
        writer.handle(account(), "account-1", Deposit(amount=1))


def test_an_older_writer_decides_nothing(folder: Path) -> None:
    """Neither on what it kept: it may be out of date."""
    decider = account()
    with ek.EventStore(folder) as older:
        older.handle(decider, "account-1", Deposit(amount=1))
        with ek.EventStore(folder) as newer:
            newer.append("account-1", Deposited(amount=99))
            with pytest.raises(ek.SupersededError):
                older.handle(decider, "account-1", Withdraw(amount=100))


# handling is the fold, whatever happens


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["handle", "reject", "nothing", "append", "race"]), st.integers(1, 3), st.booleans()),
        max_size=12,
    )
)
def test_commands_decide_on_the_same_state_as_a_replay_gives(steps: list[tuple[str, int, bool]]) -> None:
    """Mixed with appends beside them, on two streams, with one decider or a new one each time."""
    with ek.EventStore() as store:
        kept: dict[str, ek.Decider] = {}
        for kind, amount, fresh in steps:
            stream = f"account-{amount}"
            raced: list[int] = []

            def checked(
                command: str, state: int, stream: str = stream, amount: int = amount, raced: list[int] = raced
            ) -> Any:
                assert state == store.replay(account(), key=stream)
                if command == "reject":
                    raise NotEnough
                if command == "race" and not raced:
                    raced.append(store.append(stream, Deposited(amount=10)).version)
                return None if command == "nothing" else Deposited(amount=amount)

            decider = account(decide=checked) if fresh else kept.setdefault(stream, account(decide=checked))
            if kind == "append":
                store.append(stream, Deposited(amount=amount))
            elif kind == "reject":
                with pytest.raises(NotEnough):
                    store.handle(decider, stream, kind)
            else:
                assert store.handle(decider, stream, kind).state == store.state(account(), stream)


# context


def metadata(store: ek.EventStore) -> list[dict[str, Any]]:
    return [event.metadata for event in store.read()]


def test_a_context_lands_in_the_metadata_of_every_event_that_follows(store: ek.EventStore) -> None:
    with ek.context(correlation_id="c-1", who="Ada"):
        store.append("a", [Opened(owner="x"), Deposited(amount=9)])
        store.append_many([ek.Append("b", Opened(owner="y"))])
        store.handle(account(), "a", Deposit(amount=1))
    store.append("a", Opened(owner="z"))
    assert metadata(store) == [{"correlation_id": "c-1", "who": "Ada"}] * 4 + [{}]


def test_what_append_and_event_say_wins_over_the_context(store: ek.EventStore) -> None:
    with ek.context(who="context", a=1):
        store.append("a", ek.NewEvent(type="T", metadata={"who": "event"}), metadata={"who": "append", "b": 2})
        store.append("a", ek.NewEvent(type="T"), metadata={"who": "append"})
        store.handle(account(), "b", Deposit(amount=1), metadata={"who": "handle"})
    assert metadata(store) == [
        {"who": "event", "a": 1, "b": 2}, {"who": "append", "a": 1}, {"who": "handle", "a": 1},
    ]  # fmt: skip


def test_an_inner_context_adds_to_the_outer_one_and_ends_with_its_block(store: ek.EventStore) -> None:
    with ek.context(who="outer", a=1):
        with contextlib.suppress(NotEnough), ek.context(who="inner", b=2):
            store.append("a", Opened(owner="x"))
            raise NotEnough
        store.append("a", Opened(owner="x"))
    assert metadata(store) == [{"who": "inner", "a": 1, "b": 2}, {"who": "outer", "a": 1}]


def test_an_answer_names_the_event_that_caused_it(store: ek.EventStore) -> None:
    """And belongs to the same story; an event without a correlation leaves that of the context."""
    with ek.context(correlation_id="c-1"):
        (cause,) = store.append("a", Opened(owner="x")).events
    (lonely,) = store.append("a", Opened(owner="x")).events
    with ek.context(caused_by=cause):
        (effect,) = store.append("b", Opened(owner="y")).events
    with ek.context(caused_by=effect):
        store.append("c", Opened(owner="y"))
    with ek.context(correlation_id="c-2"), ek.context(caused_by=lonely):
        store.append("d", Opened(owner="y"))
    with ek.context(caused_by=cause, correlation_id="c-3"):
        store.append("e", Opened(owner="y"))
    assert metadata(store)[2:] == [
        {"correlation_id": "c-1", "causation_id": str(cause.id)},
        {"correlation_id": "c-1", "causation_id": str(effect.id)},
        {"correlation_id": "c-2", "causation_id": str(lonely.id)},
        {"correlation_id": "c-3", "causation_id": str(cause.id)},
    ]


@pytest.mark.parametrize("values", [{"who": object()}, {"n": float("nan")}, {"caused_by": "an id"}, {"s": {1}}])
def test_a_context_is_checked_when_it_is_entered(values: dict[str, Any]) -> None:
    with pytest.raises(ek.InputError), ek.context(**values):
        pytest.fail("entered")


def test_each_thread_and_task_has_its_own_context(store: ek.EventStore) -> None:
    async def task(name: str) -> None:
        with ek.context(who=name):
            await asyncio.sleep(0)
            store.append(name, Opened(owner=name))
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(*(task(f"task-{i}") for i in range(3)))

    asyncio.run(both())
    with ek.context(who="main"):
        thread = threading.Thread(target=lambda: store.append("thread", Opened(owner="t")))
        thread.start()
        thread.join(30)
    assert {event.stream: event.metadata for event in store.read()} == {
        **{f"task-{i}": {"who": f"task-{i}"} for i in range(3)}, "thread": {},
    }  # fmt: skip

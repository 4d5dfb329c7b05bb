"""Picking: the base's later events carried over to a branch, as they are, or left out, or changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek


class PickDeposited(ek.Event):
    amount: int


class PickWithdrawn(ek.Event):
    amount: int


def decide(command: int, state: int) -> Any:
    if state + command < 0:
        raise ValueError(f"only {state} are there")
    return PickDeposited(amount=command) if command >= 0 else PickWithdrawn(amount=-command)


def evolve(state: int, event: Any) -> int:
    match event:
        case PickDeposited(amount=amount):
            return state + amount
        case PickWithdrawn(amount=amount):
            return state - amount
    return state


ACCOUNT = ek.Decider(decide=decide, evolve=evolve, initial=int, name="account")


def command_of(event: ek.RecordedEvent) -> int | None:
    match event.data:
        case PickDeposited(amount=amount):
            return amount
        case PickWithdrawn(amount=amount):
            return -amount
    return None


def with_account() -> ek.EventStore:
    """100 in, 30 and 60 out, a note, 5 in."""
    store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1h"))
    store.append("account-1", PickDeposited(amount=100))
    store.append_many(
        [ek.Append("account-1", PickWithdrawn(amount=30)), ek.Append("account-2", PickDeposited(amount=7))]
    )
    store.append("account-1", PickWithdrawn(amount=60), metadata={"who": "Ada"})
    store.append("account-1", ek.NewEvent(type="PickNoted", data={"text": "hello"}, tags=["a:note"]))
    store.append("account-1", PickDeposited(amount=5))
    return store


def told(store: ek.EventStore) -> list[tuple[Any, ...]]:
    return [
        (one.id, one.stream, one.type, one.recorded_at, one.data, one.metadata, one.tags, one.schema_version)
        for one in store.read()
    ]


batches = st.lists(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=1, max_size=3), min_size=1, max_size=5
)


@settings(max_examples=15, deadline=None)
@given(given_batches=batches, data=st.data())
def test_picking_everything_unchanged_gives_an_equal_history(
    given_batches: list[list[tuple[str, int]]], data: st.DataObject
) -> None:
    store = ek.EventStore()
    for batch in given_batches:
        store.append_many([ek.Append(f"account-{key}", PickDeposited(amount=amount)) for key, amount in batch])
    branch = store.branch(as_of=data.draw(st.integers(0, store.position)))
    change = data.draw(st.sampled_from((None, lambda event: event, lambda event: event.data)))
    picked = branch.pick(store.read(after=branch.base), change=change)
    assert picked.position == store.position
    assert picked.refused.empty
    assert told(branch) == told(store)
    assert ek.compare(store.history(ACCOUNT), branch.history(ACCOUNT)).first() is None
    assert branch.verify().ok


def test_an_event_can_be_left_out_by_itself_its_id_or_its_position() -> None:
    store = with_account()
    unwanted = list(store.read())[1]
    for without in ([unwanted], [unwanted.id], [str(unwanted.id)], [2], unwanted, {2}):
        branch = store.branch(as_of=1)
        branch.pick(store.read(after=branch.base), without=without)  # type: ignore[arg-type]  # one alone will do
        assert branch.state(ACCOUNT, "account-1") == 45
        assert branch.verify().ok
    commits = branch.verify().commits
    assert commits == store.verify().commits


def test_a_changed_event_gets_a_new_id_and_names_the_old_one() -> None:
    store = with_account()
    branch = store.branch(as_of=1)

    def change(event: ek.RecordedEvent) -> Any:
        match event.data:
            case PickWithdrawn(amount=60):
                return PickWithdrawn(amount=10)
            case {"text": _}:
                return {"text": "changed"}
        return event

    branch.pick(store.read(after=branch.base), change=change)
    old, new = list(store.read()), list(branch.read())
    assert [one.id == other.id for one, other in zip(old, new, strict=True)] == [True, True, True, False, False, True]
    assert new[3].data == PickWithdrawn(amount=10)
    assert new[3].metadata == {"who": "Ada", "picked_from": str(old[3].id)}
    assert (new[4].data, new[4].tags) == ({"text": "changed"}, ("a:note",))
    assert [one.recorded_at for one in new] == [one.recorded_at for one in old]


def test_an_event_that_the_rules_refuse_is_left_out_and_listed() -> None:
    store = with_account()
    branch = store.branch(as_of=1)
    branch.append("account-1", PickWithdrawn(amount=50), recorded_at=branch.base and branch.base.recorded_at)
    picked = branch.pick(store.read(after=branch.base), through=(ACCOUNT, command_of))
    assert picked.refused[["position", "type"]].values.tolist() == [[4, "PickWithdrawn"]]
    assert picked.refused["error"].tolist() == ["ValueError: only 20 are there"]
    assert branch.state(ACCOUNT, "account-1") == 25
    assert picked.position == branch.position == store.position


def test_an_event_can_be_put_in_between_and_the_pick_go_on() -> None:
    store = with_account()
    branch = store.branch(as_of=1)
    third = list(store.read())[2]
    branch.pick(store.read(after=branch.base, as_of=third))
    branch.append("account-1", PickDeposited(amount=1000), recorded_at=third)
    branch.pick(store.read(after=third))
    assert branch.state(ACCOUNT, "account-1") == 1015
    assert branch.position == store.position + 1
    assert branch.verify().ok


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"change": lambda event: None}, "returned None"),
        ({"change": lambda event: PickDeposited(amount=1)}, "of the same type"),
        ({"change": lambda event: {"amount": "many"}}, "amount"),
        ({"change": 3}, "change"),
        ({"without": [1]}, "the read has no such event"),
        ({"without": ["2026-01-05T09:00:00Z"]}, "name events"),
        ({"through": ACCOUNT}, "give .decider, command_of."),
    ],
)
def test_what_cannot_be_picked_so_is_refused_and_nothing_is_stored(ask: dict[str, Any], said: str) -> None:
    store = with_account()
    branch = store.branch(as_of=1)
    with pytest.raises(ek.InputError, match=said):
        branch.pick(store.read(after=branch.base), **ask)
    assert branch.position == 1


def test_events_that_are_there_or_lie_before_the_branch_are_refused() -> None:
    store = with_account()
    branch = store.branch(as_of=1, clock=ek.testing.clock("2027-01-01T00:00:00Z"))
    with pytest.raises(ek.DuplicateIdError, match="already"):
        branch.pick(store.read())
    branch.append("account-1", PickDeposited(amount=1))
    with pytest.raises(ek.InputError, match="or pick first"):
        branch.pick(store.read(after=branch.base))
    with pytest.raises(ek.InputError, match="only a branch"):
        store.pick(branch.read())
    with pytest.raises(ek.InputError, match="is no read"):
        branch.pick(list(store.read()))  # type: ignore[arg-type]  # that is what is wrong
    with pytest.raises(ek.InputError, match="backwards"):
        branch.pick(store.read(backwards=True))
    assert branch.position == 2

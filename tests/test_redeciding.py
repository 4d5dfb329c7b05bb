"""Commands that are kept, and decided anew under other rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import eventsourcing_kit as ek


class RedecidedMoved(ek.Event):
    amount: int


class Move(BaseModel):
    amount: int


def account(limit: int = 0, **more: Any) -> ek.Decider:
    """Nobody may withdraw below the limit."""

    def decide(command: Move, state: int) -> list[ek.Event]:
        if state + command.amount < limit:
            raise ValueError(f"only {state - limit} may be withdrawn")
        return [RedecidedMoved(amount=command.amount)] if command.amount else []

    def evolve(state: int, event: Any) -> int:
        return state + event.amount if isinstance(event, RedecidedMoved) else state

    return ek.Decider(decide=decide, evolve=evolve, initial=int, name="account", **{"log_commands": True, **more})


def handled(store: ek.EventStore, *moves: tuple[str, int]) -> None:
    for stream, amount in moves:
        try:
            store.handle(account(), stream, Move(amount=amount))
        except ValueError:
            continue


def with_commands() -> ek.EventStore:
    store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1h"), seed=3)
    handled(store, ("a-1", 100), ("a-1", -70), ("a-2", 5), ("a-1", -70), ("a-1", -20), ("a-1", 0))
    return store


def told(store: ek.EventStore) -> list[Any]:
    return [
        (one.id, one.stream, one.version, one.recorded_at, one.type, one.data, one.metadata) for one in store.read()
    ]


def test_a_command_is_kept_before_its_events_and_names_what_became_of_it() -> None:
    store = with_commands()
    kept = list(store.read("account.commands-a-1"))
    assert {one.type for one in kept} == {"account.command"}
    assert [one.data["outcome"] for one in kept] == ["accepted", "accepted", "rejected", "accepted", "accepted"]
    assert kept[2].data["error"] == "ValueError: only 30 may be withdrawn"
    assert kept[0].data["command"] == {"amount": 100}
    command, event = list(store.read(as_of=2))
    assert event.metadata["causation_id"] == str(command.id)
    assert command.recorded_at == event.recorded_at
    assert [one.id for one in with_commands().read()] == [one.id for one in store.read()]


def test_a_cause_that_was_given_otherwise_is_the_commands() -> None:
    store = ek.EventStore()
    cause = store.append("x", ek.NewEvent(type="RedecideAsked")).events[0]
    with ek.context(caused_by=cause, correlation_id="r"):
        store.handle(account(), "a-1", Move(amount=1))
    command, event = list(store.read(after=cause))
    assert command.metadata == {"causation_id": str(cause.id), "correlation_id": "r"}
    assert event.metadata == {"causation_id": str(command.id), "correlation_id": "r"}


moves = st.lists(st.tuples(st.sampled_from(("a-1", "a-2")), st.integers(-9, 9)), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None)
@given(given_moves=moves, data=st.data())
def test_redeciding_with_the_same_decider_gives_the_same_events(
    given_moves: list[tuple[str, int]], data: st.DataObject
) -> None:
    store = ek.EventStore()
    handled(store, *given_moves)
    after = data.draw(st.sampled_from([0, *(one.position for one in store.read() if one.type != "account.command")]))
    if not any(one.type == "account.command" for one in store.read(after=after)):
        return
    trial = store.redecide(account(), after=after)
    assert told(trial.branch) == told(store)
    assert not trial.df()[["differs", "follows"]].to_numpy().any()
    assert trial.branch.verify().ok


def test_another_rule_changes_decisions_and_what_later_commands_meet() -> None:
    store = with_commands()
    before = told(store)
    trial = store.redecide(account(limit=50))
    frame = trial.df()
    assert list(frame) == ["position", "stream", "command", "was", "now", "differs", "follows", "error"]
    assert frame["was"].tolist() == ["accepted", "accepted", "accepted", "rejected", "accepted", "accepted"]
    assert frame["now"].tolist() == ["accepted", "rejected", "rejected", "rejected", "accepted", "accepted"]
    assert frame["follows"].tolist() == [False, False, False, True, True, True]
    assert frame["differs"].tolist() == [False, True, True, False, False, False]
    assert frame["error"].tolist()[1] == "ValueError: only 50 may be withdrawn"
    assert frame["command"].tolist()[1] == Move(amount=-70)
    assert trial.branch.state(account(), "a-1") == 80
    assert store.state(account(), "a-1") == 10
    assert "2 of 6 commands differ" in repr(trial)
    changed = [one for one in trial.branch.read("account.commands-a-1") if "picked_from" in one.metadata]
    assert [one.data["outcome"] for one in changed] == ["rejected"]
    assert told(store) == before
    assert trial.branch.verify().ok


def test_events_without_a_command_stay_in_their_place() -> None:
    store = ek.EventStore()
    handled(store, ("a-1", 10))
    store.append("a-1", RedecidedMoved(amount=1000))
    handled(store, ("a-1", -500))
    trial = store.redecide(account(limit=600))
    assert trial.df()["now"].tolist() == ["rejected", "rejected"]
    assert trial.branch.state(account(), "a-1") == 1000


def test_a_command_that_cannot_be_taken_stops_it_or_is_counted() -> None:
    store = with_commands()

    def decide(command: Any, state: int) -> Any:
        return 3

    cannot = ek.Decider(decide=decide, evolve=lambda state, event: state, initial=int, name="account")
    with pytest.raises(ek.InputError, match="cannot take the command at position 1"):
        store.redecide(cannot)
    trial = store.redecide(cannot, on_error=ek.SKIP)
    assert set(trial.df()["now"]) == {"unable"}
    assert told(trial.branch) == told(store)


def test_redeciding_where_no_commands_were_kept_says_how_they_are() -> None:
    store = ek.EventStore()
    store.handle(account(log_commands=False), "a-1", Move(amount=1))
    with pytest.raises(ek.InputError, match="log_commands=True"):
        store.redecide(account())
    with pytest.raises(ek.InputError, match="is no decider"):
        store.redecide(lambda command, state: None)  # type: ignore[arg-type]  # that is what is wrong
    for name in (None, "my-account"):
        with pytest.raises(ek.InputError, match="without a dash"):
            ek.Decider(
                decide=lambda command, state: None, evolve=lambda s, e: s, initial=int, name=name, log_commands=True
            )
    with pytest.raises(ek.InputError):
        store.handle(account(), "a-1", object())
    assert store.position == 1

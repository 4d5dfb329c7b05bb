"""Specifications and what they say where they fail; idempotence and order-sensitivity of projections."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.testing import checked, given, sensitivity


class Opened(ek.Event, type="Specified.Opened"):
    owner: str


class Paid(ek.Event, type="Specified.Paid"):
    amount: int
    memo: str = ""


class LimitError(Exception):
    """The domain's own exception."""


def decide(command: Any, state: int) -> Any:
    if command == "crash":
        raise ZeroDivisionError("oops")
    if state + command > 10:
        raise LimitError(f"{state + command} is above 10")
    return [Paid(amount=command)] if command else None


card = ek.Decider(
    decide=decide,
    evolve=lambda state, event: state + event.amount if isinstance(event, Paid) else state,
    initial=lambda: 0,
)
total = ek.Projection("total", initial=lambda: 0)
total.on(Paid)(lambda state, event: state + event.amount)


def fails(specify: Callable[[], object]) -> str:
    """What a specification that does not hold says."""
    with pytest.raises(AssertionError) as raised:
        specify()
    return str(raised.value)


# deciders


def test_a_specification_that_holds_is_quiet() -> None:
    given(card, Opened(owner="Ada"), Paid(amount=4)).when(5).then(Paid(amount=5))
    given(card).when(0).then_nothing()
    given(card, Paid(amount=10)).when(1).then_raises(LimitError, match="11 is above")
    given(card, Paid(amount=10)).when("crash").then_raises(ZeroDivisionError)
    with pytest.raises(ek.InputError, match=r"no pattern: .+for the text itself give '\\\\\('"):
        given(card, Paid(amount=10)).when(1).then_raises(LimitError, match="(")


def test_steps_go_on_with_what_happened() -> None:
    """After events, after nothing and after a rejection alike."""
    steps = given(card).when(4).then(Paid(amount=4)).when(7).then_raises(LimitError).when(0).then_nothing()
    steps.when(6).then(Paid(amount=6)).when(1).then_raises(LimitError, match="11")
    given(card).when(4).when(6).when(1).then_raises(LimitError)
    with pytest.raises(LimitError):
        given(card).when(11).when(1)


def test_a_difference_is_told_field_by_field() -> None:
    assert fails(lambda: given(card).when(3).then(Paid(amount=2, memo="x"))) == (
        "when 3: what happened is not what was expected\n"
        "  event 1, Specified.Paid: amount: expected 2, actual 3\n"
        "  event 1, Specified.Paid: memo: expected 'x', actual ''"
    )
    says = fails(lambda: given(card).when(3).then(Opened(owner="Ada"), Paid(amount=3)))
    assert "event 1: expected Opened(owner='Ada'), actual Paid(amount=3, memo='')" in says
    assert "event 2: expected Paid(amount=3, memo=''), actual: none" in says
    says = fails(lambda: given(card).when(3).then_nothing())
    assert "event 1: not expected, actual Paid(amount=3, memo='')" in says


def test_what_was_raised_is_told_and_is_the_cause() -> None:
    with pytest.raises(AssertionError, match="expected events, actual LimitError: 11 is above 10") as raised:
        given(card).when(11).then(Paid(amount=11))
    assert isinstance(raised.value.__cause__, LimitError)
    assert "expected nothing, actual LimitError" in fails(lambda: given(card).when(11).then_nothing())
    assert "expected LimitError, actual ZeroDivisionError: oops" in fails(
        lambda: given(card).when("crash").then_raises(LimitError)
    )
    assert "with 'below' in its text, actual LimitError: 11 is above 10" in fails(
        lambda: given(card).when(11).then_raises(LimitError, match="below")
    )
    assert "it was accepted, and Paid(amount=3, memo='') happened" in fails(
        lambda: given(card).when(3).then_raises(LimitError)
    )
    assert "it was accepted, and nothing happened" in fails(lambda: given(card).when(0).then_raises(LimitError))


def test_events_without_a_class_and_what_is_said_of_metadata_count() -> None:
    decider = ek.Decider(
        decide=lambda command, state: ek.NewEvent(type="Noted", data={"n": command}, metadata={"by": "ada"}),
        evolve=lambda state, event: event,
        initial=dict,
    )
    noted = ek.NewEvent(type="Noted", data={"n": 1})
    given(decider, noted).when(1).then(noted)
    given(decider).when(1).then(ek.NewEvent(type="Noted", data={"n": 1}, metadata={"by": "ada"}))
    assert "event 1, Noted: n: expected 1, actual 2" in fails(lambda: given(decider).when(2).then(noted))
    wrong = ek.NewEvent(type="Noted", data={"n": 1}, metadata={"by": "bob"})
    assert "metadata: expected {'by': 'bob'}, actual {'by': 'ada'}" in fails(lambda: given(decider).when(1).then(wrong))


def test_functions_that_change_their_state_in_place_are_found() -> None:
    """In a decider's decide and evolve, in generators, and in a projection's handlers."""

    def evolve(state: list[int], event: Any) -> list[int]:
        state.append(event.amount)
        return state

    def decides(command: Any, state: list[int]) -> Any:
        yield Paid(amount=command)
        state.append(0)

    impure = ek.Decider(decide=lambda c, s: Paid(amount=c), evolve=evolve, initial=list)
    assert "evolve changed its state in place, from [] to [1]" in fails(
        lambda: given(impure).when(1).then(Paid(amount=1))
    )
    impure = ek.Decider(decide=decides, evolve=lambda state, event: state, initial=list)
    assert "decides changed its state in place, from [] to [0]" in fails(
        lambda: given(impure).when(1).then(Paid(amount=1))
    )
    seen = ek.Projection("seen", initial=list)
    seen.on(Paid)(evolve)
    with pytest.raises(ek.ProjectionError, match=r"evolve \(line \d+\) failed at position 1 .*changed its state in pl"):
        given(seen, Paid(amount=1)).then([1])


def test_a_checked_projection_gives_the_same_states(store: ek.EventStore) -> None:
    store.append("a", [Paid(amount=1), Paid(amount=2)])
    assert store.replay(checked(total)) == store.replay(total) == {"a": 3}
    assert store.state(checked(card), "a") == 3


# projections


def test_one_key_needs_no_name_and_several_do() -> None:
    given(total, Paid(amount=1), Paid(amount=2)).then(3)
    given(total, Paid(amount=1)).then({"stream-1": 1}).then(1)
    given(total).then(0).then({})
    several = given(total, ("a", Paid(amount=1)), ek.Append("b", [Paid(amount=2), Paid(amount=3)]))
    several.then({"a": 1, "b": 5}).then(5, key="b").then(0, key="nobody")
    given(card.projection, Paid(amount=1), stream="x").then({"x": 1})
    whole = ek.Projection("whole", initial=lambda: 0, key=None)
    whole.on(Paid)(lambda state, event: state + event.amount)
    given(whole, ("a", Paid(amount=1)), ("b", Paid(amount=2))).then(3)


def test_a_wrong_state_is_told_by_key_and_field() -> None:
    assert fails(lambda: given(total, Paid(amount=1)).then(2)) == (
        "the state of 'total' is not what was expected\n  expected 2, actual 1"
    )
    several = given(total, ("a", Paid(amount=1)), ("b", Paid(amount=2)))
    says = fails(lambda: several.then({"a": 5, "c": 0}))
    assert says.splitlines()[1:] == [
        "  'a': expected 5, actual 1", "  'c': expected 0, actual: no such key", "  'b': not expected, actual 2",
    ]  # fmt: skip
    assert "it has 2 keys; give {key: state}" in fails(lambda: several.then(3))
    fields = ek.Projection("fields", initial=dict)
    fields.on(Paid)(lambda state, event: state | event.model_dump())
    says = fails(lambda: given(fields, Paid(amount=1)).then({"amount": 2, "sum": 0}))
    assert says.splitlines()[1:] == [
        "  amount: expected 2, actual 1", "  sum: expected 0, actual: no such field", "  memo: not expected, actual ''",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: given("card"),
        lambda: given(card, "Paid"),
        lambda: given(card, ("a", Paid(amount=1))),
        lambda: given(total, ("a", "b", "c")),
        lambda: given(total).then(),
        lambda: given(card).when(3).then(),
        lambda: given(card).when(3).then([Paid(amount=3)]),
        lambda: given(card).when(3).then_raises("LimitError"),
        lambda: sensitivity(total),
        lambda: sensitivity("total", Paid(amount=1)),
        lambda: checked("total"),
    ],
)
def test_a_specification_that_says_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(ek.InputError):
        wrong()


# sensitivity


def last(key: Any = "memo") -> ek.Projection:
    made = ek.Projection("last", initial=lambda: None, key=key)
    made.on(Paid)(lambda state, event: event.amount)
    return made


def test_a_sum_is_not_idempotent_and_does_not_mind_the_order() -> None:
    report = sensitivity(total, Paid(amount=1), Opened(owner="x"), Paid(amount=2))
    assert (report.idempotent, report.order_sensitive) == (False, False)
    (found,) = report.counter_examples
    assert (found.order, found.expected, found.actual) == ((1, 1, 3), {"stream-1": 3}, {"stream-1": 4})
    assert repr(report).splitlines() == [
        "total: not idempotent; the order does not matter (2 events, 2 ways to deliver them)",
        "  one event came twice: 1, 1, 3",
        "    'stream-1': expected 3, actual 4",
    ]


def test_the_last_value_is_idempotent_and_minds_the_order() -> None:
    report = sensitivity(last(), Paid(amount=1), Paid(amount=2))
    assert (report.idempotent, report.order_sensitive) == (True, True)
    assert report.reordering is not None
    assert (report.reordering.order, report.reordering.actual) == ((2, 1), {"": 1})
    report = sensitivity(last(key=lambda recorded: recorded.position), Paid(amount=1), Paid(amount=2))
    assert (report.idempotent, report.order_sensitive, report.counter_examples) == (True, False, [])
    latest = ek.Projection("latest", initial=lambda: (0, 0))

    @latest.on(Paid)
    def newest(state: tuple[int, int], event: Paid, recorded: ek.RecordedEvent) -> tuple[int, int]:
        return max(state, (recorded.position, event.amount))

    report = sensitivity(latest, Paid(amount=2), Paid(amount=1))
    assert (report.idempotent, report.order_sensitive) == (True, False)


def test_a_handler_that_fails_in_another_order_minds_the_order() -> None:
    """The counter-example holds its error."""
    owners = ek.Projection("owners", initial=dict)
    owners.on(Opened)(lambda state, event: {"owner": event.owner, "paid": state.get("paid", 0)})
    owners.on(Paid)(lambda state, event: {"owner": state["owner"], "paid": event.amount})
    report = sensitivity(owners, Opened(owner="Ada"), Paid(amount=1))
    assert (report.idempotent, report.order_sensitive) == (True, True)
    assert "two neighbours swapped: 2, 1" in repr(report)
    assert "KeyError: 'owner'" in repr(report)
    html = report._repr_html_()
    assert "order matters" in html
    assert "&#x27;owner&#x27;" in html


def test_a_handler_that_changes_its_events_is_tried_with_fresh_ones() -> None:
    """What it did to one delivery is not seen in the next."""
    last = ek.Projection("last", initial=list)

    @last.on("Spec.Listed")
    def listed(state: list[int], event: dict[str, Any]) -> list[int]:
        event["found"].append(0)
        return [*event["found"]]

    verdict = ek.testing.sensitivity(last, ek.NewEvent(type="Spec.Listed", data={"found": [1]}))
    assert verdict.idempotent


@examples(amounts=st.lists(st.integers(-2, 2), min_size=1, max_size=5), kind=st.sampled_from(["sum", "max", "last"]))
def test_a_verdict_is_that_of_trying_by_hand(amounts: list[int], kind: str) -> None:
    step = {"sum": lambda a, b: a + b, "max": max, "last": lambda a, b: b}[kind]
    projection = ek.Projection(kind, initial=lambda: 0)
    projection.on(Paid)(lambda state, event: step(state, event.amount))

    def fold(values: Any) -> int:
        state = 0
        for value in values:
            state = step(state, value)
        return state

    report = sensitivity(projection, *[Paid(amount=amount) for amount in amounts])
    twice = [[*amounts[: i + 1], *amounts[i:]] for i in range(len(amounts))]
    assert report.idempotent == all(fold(values) == fold(amounts) for values in [*twice, amounts * 2])
    orders = itertools.permutations(amounts)
    assert report.order_sensitive == any(fold(values) != fold(amounts) for values in orders)


def test_many_events_are_shuffled() -> None:
    report = sensitivity(last(), *[Paid(amount=i // 9) for i in range(10)])
    assert report.order_sensitive
    assert report.reordering is not None
    assert sorted(report.reordering.order) == list(range(1, 11))
    assert sensitivity(card, *[Paid(amount=i) for i in range(10)]).order_sensitive is False

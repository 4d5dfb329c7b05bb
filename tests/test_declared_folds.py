"""Declared folds give the values, and their types, of the steps that define them, at every moment and in every view."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.folding.columnar import go_on
from eventsourcing_kit.folding.declared import MISSING, STEPS
from eventsourcing_kit.folding.replay import Steps, fold
from eventsourcing_kit.folding.rows import Rows
from eventsourcing_kit.folding.running import Given, Groups, Inexact, column
from eventsourcing_kit.reading.read import Selection

pytestmark = pytest.mark.filterwarnings("ignore:<projection folds")  # of types that a random log may not have
NUMBERS = {
    "small ints": st.integers(-5, 5),
    "any ints": st.integers() | st.integers(2**62, 2**64),
    "floats": st.sampled_from([-0.0, 0.1, 0.2, 0.3, 1e16, -1e16, 1.5]),
    "both": st.sampled_from([1, 0.1, True, 2, -0.0]),
    "bools": st.booleans(),
}
TEXTS = st.sampled_from(["a", "b", "ü", ""])
TYPES = ("Fold.In", "Fold.Out", "Fold.Said", "Fold.Ended", "Fold.Other")


class Paid(ek.Event, type="Fold.Paid"):
    amount: Decimal
    by: str = "cash"


class Plain(ek.Event, type="Fold.Plain"):
    amount: int | None = None
    to: str


def named(kind: str) -> ek.Projection:
    """Every fold at once, over facts without a class."""
    n, when = "n", {"on": True}
    return ek.Projection(
        f"folds of {kind}",
        fields={
            "net": ek.fold.total("Fold.In", n) - ek.fold.total("Fold.Out", n),
            "in": ek.fold.total("Fold.In", n, where=when),
            "moves": ek.fold.count("Fold.In", "Fold.Out"),
            "open": ek.fold.count("Fold.In") - ek.fold.count("Fold.Out", where=when),
            "first": ek.fold.first("Fold.Said", "text"),
            "last": ek.fold.last("Fold.Said", "text", where=when),
            "status": ek.fold.last({"Fold.In": "in", "Fold.Out": "out", "Fold.Ended": "never seen"}),
            "least": ek.fold.smallest("Fold.In", n),
            "most": ek.fold.largest(["Fold.In", "Fold.Out"], n),
            "longest": ek.fold.largest("Fold.Said", "text"),
            "mean": ek.fold.mean("Fold.In", n),
            "kinds": ek.fold.distinct("Fold.In", n),
            "said": ek.fold.collect("Fold.Said", "text"),
        },
        ends="Fold.Ended",
    )


def expected(state: dict[str, Any] | None, type_: str, data: dict[str, Any]) -> Any:  # noqa: C901  # a case a type
    """The same folds once more, written out event by event; what a mean needs beside it has a name of its own."""
    was = {"net": 0, "in": 0, "moves": 0, "open": 0, "said": (), "kinds": 0, "seen": [], "sum": 0, "count": 0}
    was |= dict.fromkeys(("first", "last", "status", "least", "most", "longest", "mean"))
    now = was | (state or {})
    if type_ == "Fold.Ended":
        return ek.GONE
    n, on, text = data.get("n"), data.get("on") == True, data.get("text")  # noqa: E712  # as `where` has it
    if type_ in ("Fold.In", "Fold.Out"):
        now["moves"] += 1
        now["status"] = "in" if type_ == "Fold.In" else "out"
        if n is not None and (now["most"] is None or n > now["most"]):
            now["most"] = n
    if type_ == "Fold.In":
        now["open"] += 1
    if type_ == "Fold.Out" and on:
        now["open"] -= 1
    if type_ == "Fold.Out" and n is not None:
        now["net"] = now["net"] - n
    if type_ == "Fold.In" and n is not None:
        now["net"] = now["net"] + n
        now["in"] = now["in"] + n if on else now["in"]
        now["least"] = n if now["least"] is None or n < now["least"] else now["least"]
        now["sum"], now["count"] = now["sum"] + n, now["count"] + 1
        now["mean"] = now["sum"] / now["count"]
        now["seen"] = now["seen"] if n in now["seen"] else [*now["seen"], n]
        now["kinds"] = len(now["seen"])
    if type_ == "Fold.Said":
        if "text" in data and "first is there" not in now:
            now["first"], now["first is there"] = text, True
        now["last"] = text if "text" in data and on else now["last"]
        if text is not None:
            now["longest"] = text if now["longest"] is None or text > now["longest"] else now["longest"]
            now["said"] = (*now["said"], text)
    return now


def shown(state: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: state[name] for name in names}


@st.composite
def logs(draw: st.DrawFn) -> tuple[str, list[tuple[str, str, dict[str, Any]]]]:
    """A kind of numbers, and events: stream, type, data in which fields may be missing or null."""
    kind = draw(st.sampled_from(sorted(NUMBERS)))
    fields = {"n": NUMBERS[kind] | st.none(), "on": st.sampled_from([True, False, 1, None]), "text": TEXTS | st.none()}
    event = st.tuples(
        st.sampled_from(["a-1", "a-2", "b"]), st.sampled_from(TYPES), st.fixed_dictionaries({}, optional=fields)
    )
    return kind, draw(st.lists(event, max_size=25))


@given(logs(), st.integers(1, 7))
@settings(deadline=None, max_examples=150)
@example(("any ints", [("b", "Fold.In", {"n": 2**63 - 1}), ("b", "Fold.In", {"n": 1})]), 2)
def test_every_view_of_a_declared_fold_is_that_of_its_steps(
    log: tuple[str, list[tuple[str, str, dict[str, Any]]]], size: int
) -> None:
    """Values and their types, at every moment: replays, histories and their frames, by handlers and by columns."""
    kind, events = log
    folds = named(kind)
    store = ek.EventStore()
    for start in range(0, len(events), size):
        batch = events[start : start + size]
        store.append_many([ek.Append(s, ek.NewEvent(type=t, data=data)) for s, t, data in batch])
    history, states = store.history(folds), dict[str, Any]()
    assert store.replay(folds, as_of=0) == {}
    for position, (stream, type_, data) in enumerate(events, 1):
        if type_ != "Fold.Other":
            after = expected(states.get(stream), type_, data)
            states = {k: v for k, v in states.items() if k != stream} if after is ek.GONE else states | {stream: after}
        wanted = {key: shown(state, folds.fields) for key, state in states.items()}
        for found in (history.at(position), store.replay(folds, as_of=position)):
            assert exact(found) == exact(wanted)
    handled = [(stream, position) for position, (stream, type_, _) in enumerate(events, 1) if type_ != "Fold.Other"]
    frame = history.df()
    assert list(zip(frame["key"], frame["position"], strict=True)) == handled


@given(logs(), st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=8))
@settings(deadline=None, max_examples=150)
def test_a_fold_goes_on_by_columns_or_by_handlers_and_is_that_from_the_start(
    log: tuple[str, list[tuple[str, str, dict[str, Any]]]], parts: list[tuple[int, bool]]
) -> None:
    """From part to part of the log, whichever way each is folded; values and their types, also on the way."""
    kind, events = log
    folds, store = named(kind), ek.EventStore()
    for s, t, data in events:
        store.append(s, ek.NewEvent(type=t, data=data))
    log_, upto = store._log, 0
    held: dict[Any, Any] = {}
    for size, by_columns in [*parts, (len(events), True)]:
        after, upto = upto, min(upto + size, len(events))
        selection, passed = Selection(after, upto, types=folds.types), dict[Any, Any]()
        steps = Steps()
        try:
            rows = go_on(folds, log_, selection, held, set()) if by_columns else None
        except Inexact:
            rows = None
        if rows is None:
            fold(folds, log_, selection, steps=steps, states=held)
            rows = Rows.of(steps)
        begun = store.replay(folds, as_of=after)
        passed |= begun
        for row, position in enumerate(rows.positions.tolist()):
            passed[rows.keys[rows.codes[row]]] = rows.state(row)
            there = {key: state for key, state in passed.items() if state is not ek.GONE}
            assert sorted(exact(there).items()) == sorted(exact(store.replay(folds, as_of=position)).items())
        assert sorted(exact(folds.all_shown(held)).items()) == sorted(exact(store.replay(folds, as_of=upto)).items())


def exact(states: dict[str, Any]) -> dict[str, str]:
    """1, 1.0 and True are told apart, and 0.0 from -0.0."""
    return {key: repr(state) for key, state in states.items()}


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[int], list[bool], list[Any]]:
    """Rows: each one's key, whether it ends that key, and its value, or `MISSING`."""
    values = draw(st.sampled_from([*NUMBERS.values(), TEXTS]))
    size = draw(st.integers(0, 30))
    given = st.lists(values | st.just(MISSING), min_size=size, max_size=size)
    keys = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    ends = draw(st.lists(st.integers(0, 5).map(lambda n: n == 0), min_size=size, max_size=size))
    return draw(keys), ends, [MISSING if end else one for end, one in zip(ends, draw(given), strict=True)]


@pytest.mark.parametrize("kind", sorted(STEPS))
@given(columns())
def test_a_fold_over_columns_is_exact_or_says_that_it_cannot_be(
    kind: str, rows: tuple[list[int], list[bool], list[Any]]
) -> None:
    """One call for all rows gives what one step after another gives, of the same types."""
    keys, ends, values = rows
    at = [row for row, value in enumerate(values) if value is not MISSING]
    halves = [[row for row in at if row % 2 == half] for half in (0, 1)]
    given = [Given(np.array(half, dtype=np.int64), [values[row] for row in half]) for half in halves]
    try:
        groups = Groups(np.array(keys, dtype=np.int64), np.array(ends, dtype=bool))
        found = column(kind, given, groups).take(np.arange(len(keys)))
    except Inexact:
        assert {type(values[row]) for row in at} - {int} or any(abs(values[row]) > 2**53 // 30 for row in at)
        return
    states: dict[int, Any] = {}
    for row, key in enumerate(keys):
        if ends[row]:
            states.pop(key, None)
            continue
        state = states[key] if key in states else STEPS[kind].initial()
        states[key] = state if values[row] is MISSING else STEPS[kind].step(state, values[row])
        assert repr(found[row]) == repr(STEPS[kind].show(states[key]))


def test_fields_of_classes_are_read_as_their_objects_have_them() -> None:
    """Defaults, upcast data and Decimals."""
    store = ek.EventStore()
    store.append("till", [Paid(amount=Decimal("1.50")), Paid(amount=Decimal("2.25"), by="card")])
    folds = ek.Projection("till", fields={"sum": ek.fold.total(Paid, "amount"), "ways": ek.fold.collect(Paid, "by")})
    assert store.replay(folds) == {"till": {"sum": Decimal("3.75"), "ways": ("cash", "card")}}
    assert store.history(folds).at(1) == {"till": {"sum": Decimal("1.50"), "ways": ("cash",)}}


@pytest.mark.parametrize("key", ["to", None, lambda event: event.data.to])
def test_keys_are_those_of_other_projections(key: Any) -> None:
    """A field, one state over the whole log, or a function of the recorded event."""
    store = ek.EventStore()
    store.append("x", [Plain(amount=1, to="a"), Plain(amount=2, to="b"), Plain(amount=4, to="a")])
    folds = ek.Projection("by key", key=key, fields={"sum": ek.fold.total(Plain, "amount")})
    written = ek.Projection("written", key=key, initial=lambda: {"sum": 0})
    written.on(Plain)(lambda state, event: {"sum": state["sum"] + event.amount})
    for moment in range(4):
        assert store.replay(folds, as_of=moment) == store.replay(written, as_of=moment)
        assert store.history(folds).at(moment) == store.history(written).at(moment)
    only = None if key is None else "a"
    assert store.replay(folds, key=only) == store.replay(written, key=only)
    assert store.replay(folds, key="nobody" if key else None) == store.replay(written, key="nobody" if key else None)
    assert store.history(folds).diff(1, 3).to_dict() == store.history(written).diff(1, 3).to_dict()
    assert store.history(folds).blame(only).to_dict() == store.history(written).blame(only).to_dict()
    found = store.history(folds).first(lambda state: state["sum"] > 3)
    assert found is not None
    assert found.position == 3


def test_answers_are_the_same_with_snapshots() -> None:
    """Also of folds whose steps need more than what they show."""
    fields = {"mean": ek.fold.mean(Plain, "amount"), "kinds": ek.fold.distinct(Plain, "amount")}
    plain = ek.Projection("plain", fields=fields)
    kept = ek.Projection("kept", fields=fields, snapshots=2)
    store = ek.EventStore()
    for amount in (1, 2, 2, 5, 7):
        store.append("x", Plain(amount=amount, to="a"))
        store.take_snapshots(kept)
        assert store.replay(kept) == store.replay(plain)
    assert [store.replay(kept, as_of=p) for p in range(6)] == [store.replay(plain, as_of=p) for p in range(6)]


def test_a_longer_log_is_folded_on() -> None:
    """What was folded before is not asked for again, and the answer is that of a fold from the start."""
    store = ek.EventStore()
    folds = ek.Projection("on", fields={"sum": ek.fold.total(Plain, "amount"), "last": ek.fold.last(Plain, "to")})
    for n in range(5):
        store.append(f"x-{n % 2}", [Plain(amount=n, to=str(n))])
        fresh = ek.Projection("fresh", fields=folds.fields)
        for moment in range(n + 2):
            assert store.replay(folds, as_of=moment) == store.replay(fresh, as_of=moment)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a field that no class has": (lambda: ek.fold.total(Plain, "amont"), r"Plain has no field 'amont'"),
    "a field of where that no class has": (lambda: ek.fold.count(Plain, where={"tо": 1}), r"Plain has no field"),
    "a count less a text": (lambda: ek.fold.count(Plain) - ek.fold.last(Plain, "to"), r"only totals and counts"),
    "a count less a number": (lambda: ek.fold.count(Plain) - 1, r"only totals and counts"),  # type: ignore[operator]
    "no type": (lambda: ek.fold.count(), r"takes the event types"),
    "no field": (lambda: ek.fold.total(Plain, ""), r"the name of the field"),
    "fields and a first state": (
        lambda: ek.Projection("p", initial=int, fields={"n": ek.fold.count(Plain)}),
        r"initial",
    ),
    "no fields": (lambda: ek.Projection("p", fields={}), r"at least one field"),
    "fields that are no folds": (lambda: ek.Projection("p", fields={"n": 0}), r"'n' is 0"),  # type: ignore[dict-item]
    "a handler beside": (
        lambda: ek.Projection("p", fields={"n": ek.fold.count(Plain)}).on(Plain),
        r"declared",
    ),
    "an end without fields": (lambda: ek.Projection("p", initial=int, ends=Plain), r"ends"),
    "neither": (lambda: ek.Projection("p"), r"initial"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_refused_where_it_is_declared(name: str) -> None:
    """With what was given, and what to do."""
    make, message = WRONG[name]
    with pytest.raises(ek.InputError, match=message):
        make()


@pytest.mark.parametrize("view", [lambda s, p: s.replay(p), lambda s, p: s.history(p)])
def test_a_text_where_a_number_is_needed_is_named_with_its_event(view: Callable[..., object]) -> None:
    """Type, field and position."""
    store = ek.EventStore()
    store.append("a", [ek.NewEvent(type="Fold.In", data={"n": 1}), ek.NewEvent(type="Fold.In", data={"n": "one"})])
    folds = ek.Projection("sum", fields={"sum": ek.fold.total("Fold.In", "n")})
    with pytest.raises(ek.ProjectionError, match=r"(?s)position 2 on Fold.In.*'n'.*'sum'.*'one' is no number"):
        view(store, folds)

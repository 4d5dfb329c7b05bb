"""Snapshots: with and without, at every moment, all answers are equal; and they are used only while they may be."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import eventsourcing_kit as ek
from eventsourcing_kit.events import schema


class Paid(ek.Event, type="Snap.Paid"):
    amount: int
    payer: str = "x"


class Closed(ek.Event, type="Snap.Closed"):
    pass


def as_number(event: Any) -> int:
    return event["n"] if isinstance(event, dict) else 100 * event.n + getattr(event, "more", 0)


def balance(factor: int = 1, **options: Any) -> ek.Projection:
    """One state a stream, which Closed ends; `factor` is what the handler closes over."""
    made = ek.Projection("balance", initial=lambda: 0, **options)
    made.on(Paid)(lambda state, event: state + factor * event.amount)
    made.on(Closed)(lambda state, event: ek.GONE)
    made.on("Snap.Late")(lambda state, event: state + as_number(event))
    return made


def by_payer(factor: int = 1, **options: Any) -> ek.Projection:
    made = ek.Projection("by payer", initial=lambda: {"n": 0, "last": None}, key="payer", **options)

    @made.on(Paid)
    def paid(state: Any, event: Paid, recorded: ek.RecordedEvent) -> Any:
        return {"n": state["n"] + factor * event.amount, "last": recorded.position}

    made.on(Closed, key=lambda recorded: recorded.stream)(lambda state, event: ek.GONE)
    return made


def whole(factor: int = 1, **options: Any) -> ek.Projection:
    made = ek.Projection("whole", initial=list, key=None, **options)
    made.on(Paid, "Snap.Late")(
        lambda state, event: [*state[-3:], factor, type(event).__name__, getattr(event, "more", 0)]
    )
    return made


def account(factor: int = 1, **options: Any) -> ek.Decider:
    def evolve(state: int, event: Any) -> Any:
        if isinstance(event, Closed):
            return ek.GONE
        return state + factor * getattr(event, "amount", 3)

    return ek.Decider(decide=lambda command, state: command, evolve=evolve, initial=lambda: 0, name="acc", **options)


FOLDS: list[Callable[..., Any]] = [balance, by_payer, whole, account]


def late(more: bool) -> None:
    """A class for a type whose events were stored without one; then one by which they read differently."""
    if more:

        class Late(ek.Event, type="Snap.Late", version=2):
            n: int
            more: int = 5
    else:

        class Late(ek.Event, type="Snap.Late"):  # type: ignore[no-redef]
            n: int


@pytest.fixture(autouse=True)
def without_the_late_class() -> Any:
    yield
    schema.registry.pop("Snap.Late", None)


@pytest.fixture
def paid(store: ek.EventStore) -> ek.EventStore:
    """Forty events in two streams; account-1 has 30 of them, in commits of ten."""
    for i in range(3):
        store.append("account-1", [Paid(amount=i)] * 10)
    store.append("account-2", [Paid(amount=5)] * 10)
    return store


def rows(store: ek.EventStore, *projections: Any) -> list[tuple[Any, ...]]:
    frame = store.snapshots(*projections)
    return list(frame[["name", "key", "position", "current"]].astype(object).where(frame.notna(), None).itertuples(
        index=False, name=None
    ))  # fmt: skip


def folds(store: ek.EventStore, projection: Any, **asked: Any) -> int:
    """How many events the newest replay folds."""
    return int(store.folded(projection, **asked)["with_snapshots"].iloc[-1])


# with and without, all answers are equal

STREAMS = ["account-1", "account-2", "x"]
EVENTS = st.one_of(
    st.builds(Paid, amount=st.integers(-3, 3), payer=st.sampled_from("xyz")),
    st.builds(Closed),
    st.builds(lambda n: ek.NewEvent(type="Snap.Late", data={"n": n}), st.integers(0, 3)),
)
STEPS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(STREAMS), st.lists(EVENTS, min_size=1, max_size=4)),
    st.tuples(st.just("handle"), st.sampled_from(STREAMS), st.lists(EVENTS, max_size=3)),
    st.tuples(st.just("take"), st.sampled_from(range(len(FOLDS))), st.just(None)),
    st.tuples(st.just("ask"), st.integers(0, 10), st.just(None)),
    st.tuples(st.just("define"), st.booleans(), st.just(None)),
    st.tuples(st.just("change"), st.integers(1, 2), st.just(None)),
)
POLICIES = st.sampled_from([1, 2, 3, 7, lambda state, event: isinstance(event, Paid) and event.amount > 1])


@settings(max_examples=30)
@given(steps=st.lists(STEPS, min_size=3, max_size=10), policy=POLICIES)
def test_with_and_without_snapshots_all_answers_are_equal(steps: list[tuple[str, Any, Any]], policy: Any) -> None:
    """At every position, for every key, whatever was saved before: by commands, replays, by taking them; also in the
    midst of commits, after the code has changed and changed back, and after a class was defined late."""
    schema.registry.pop("Snap.Late", None)
    factor = 1
    with ek.EventStore() as store:
        for kind, a, b in steps:
            if kind == "append":
                store.append(a, b)
            elif kind == "handle":
                kept = account(factor, snapshots=policy)
                assert store.handle(kept, a, b).state == store.state(account(factor), a)
            elif kind == "take":
                store.take_snapshots(FOLDS[a](factor, snapshots=policy))
            elif kind == "ask":
                same_answers(store, factor, policy, [min(a, store.position)])
            elif kind == "define":
                late(more=a)
            else:
                factor = a
        same_answers(store, factor, policy, range(store.position + 1))


def same_answers(store: ek.EventStore, factor: int, policy: Any, moments: Sequence[int]) -> None:
    for turn, fold in enumerate(FOLDS):
        plain, kept = fold(factor), fold(factor, snapshots=policy)
        history = store.history(plain)
        for moment in moments:
            expected = history.at(moment)
            found = store.replay(kept, as_of=moment)
            assert found == expected
            if fold is not whole:
                assert list(found) == list(store.replay(plain, as_of=moment)), "in the same order"
                key = [*STREAMS, "y"][(moment + turn) % 4]
                state = expected.get(key, history.projection.initial())
                assert store.replay(kept, as_of=moment, key=key) == state
            if fold is account:
                assert store.state(kept, key, as_of=moment) == state
        asked = {"as_of": moments[-1], "category": "account"}
        assert store.replay(kept, **asked) == store.replay(plain, **asked)


# when they are taken, and used


def test_a_command_leaves_a_snapshot_every_so_many_events(store: ek.EventStore) -> None:
    kept = account(snapshots=10)
    for _ in range(25):
        store.handle(kept, "account-1", Paid(amount=1))
    assert rows(store) == [("acc", "account-1", 10, True), ("acc", "account-1", 20, True)]
    assert folds(store, kept, key="account-1") == 5
    assert store.state(kept, "account-1") == 25


def test_a_command_leaves_one_where_the_predicate_holds(store: ek.EventStore) -> None:
    kept = account(snapshots=lambda state, event: isinstance(event, Closed))
    for event in (Paid(amount=1), Closed(), Paid(amount=2)):
        store.handle(kept, "account-1", event)
    assert [row[2] for row in rows(store)] == [2]


def test_a_predicate_that_fails_harms_no_command(store: ek.EventStore) -> None:
    """The frame says so."""
    kept = account(snapshots=lambda state, event: event.missing)
    assert store.handle(kept, "account-1", Paid(amount=1)).version == 1
    assert "its policy failed: AttributeError" in store.snapshots()["remark"].iloc[0]


def test_a_predicate_that_fails_where_snapshots_are_asked_for_is_named(paid: ek.EventStore) -> None:
    told = r"says when 'acc' has snapshots failed at position 1 on Paid\(.*AttributeError: .*missing.*; the state was 0"
    with pytest.raises(ek.ProjectionError, match=told):
        paid.take_snapshots(account(snapshots=lambda state, event: event.missing))


def test_a_long_replay_leaves_a_snapshot_from_which_the_next_goes_on(paid: ek.EventStore) -> None:
    """Of the stream where one is asked for, else of all keys; also as of the past."""
    kept = balance(snapshots=15)
    assert paid.replay(kept, key="account-1", as_of=20) == 10
    assert paid.replay(kept) == {"account-1": 30, "account-2": 50}
    assert rows(paid) == [("balance", None, 40, True), ("balance", "account-1", 20, True)]
    assert (folds(paid, kept), folds(paid, kept, key="account-1")) == (0, 10)
    assert paid.replay(kept, key="account-1") == 30
    assert len(rows(paid)) == 2, "ten events are not worth another"


def test_a_short_replay_leaves_none(paid: ek.EventStore) -> None:
    paid.replay(balance(snapshots=41))
    paid.replay(balance())
    assert rows(paid) == []


def test_taking_them_follows_the_policy_through_the_log(paid: ek.EventStore) -> None:
    """Each stream's own events count where streams are the keys, else all."""
    assert paid.take_snapshots(balance(snapshots=10)) == 5
    assert [row[1:3] for row in rows(paid)] == [
        (None, 40), ("account-1", 10), ("account-1", 20), ("account-1", 30), ("account-2", 40),
    ]  # fmt: skip
    assert paid.take_snapshots(by_payer(snapshots=15)) == 3
    assert [row[2] for row in rows(paid) if row[0] == "by payer"] == [15, 30, 40]
    with pytest.raises(ek.InputError, match="no policy"):
        paid.take_snapshots(balance())


def test_those_of_many_keys_are_as_many_states_as_there_are_events_at_most(store: ek.EventStore) -> None:
    """Every key's state every five events would be the square of a log that gets new keys all the time."""
    store.append("a-1", [ek.NewEvent(type="Met", data={"k": i // 2}) for i in range(200)])
    met = ek.Projection("met", initial=int, key="k", snapshots=5)
    met.on("Met")(lambda state, event: state + 1)
    store.take_snapshots(met)
    positions = store.snapshots()["position"].tolist()
    assert positions[:2] == [5, 10]
    assert sum(-(-position // 2) for position in positions[:-1]) <= 200
    plain = ek.Projection("plain", initial=int, key="k")
    plain.on("Met")(lambda state, event: state + 1)
    assert all(store.replay(met, as_of=p) == store.replay(plain, as_of=p) for p in range(0, 201, 7))


def test_a_reader_uses_them_and_never_writes_any(folder: Path) -> None:
    kept = balance(snapshots=5)
    with ek.EventStore(folder) as writer:
        writer.append("account-1", [Paid(amount=1)] * 12)
        writer.take_snapshots(kept)
    with ek.EventStore(folder, read_only=True) as reader:
        assert folds(reader, kept, key="account-1") == 2
        assert reader.replay(kept, key="account-1") == 12
        before = rows(reader)
        reader.replay(by_payer(snapshots=1))
        assert rows(reader) == before
        with pytest.raises(ek.ReadOnlyError):
            reader.take_snapshots(kept)


def test_a_stricter_store_takes_none_over_events_at_which_it_fails(folder: Path) -> None:
    """A snapshot would hide what `unknown="fail"` is to tell; the other way round none fails."""
    loose = ek.Projection("loose", initial=lambda: 0, snapshots=2)
    loose.on("Snap.Loose")(lambda state, event: state + 1)
    with ek.EventStore(folder) as store:
        store.append("a", [ek.NewEvent(type="Snap.Loose")] * 5)
        assert store.replay(loose) == {"a": 5}
        assert folds(store, loose) == 0
    with ek.EventStore(folder, unknown="fail") as store:
        with pytest.raises(ek.SchemaError, match=r"position 1 .*unknown='fail'"):
            store.replay(loose)
        store.append("b", [Paid(amount=1)] * 3)
        store.replay(balance(snapshots=2), key="b")
    with ek.EventStore(folder) as store:
        assert folds(store, loose) == 0
        assert folds(store, balance(snapshots=2), key="b") == 0


@pytest.mark.processes
def test_they_survive_the_process_that_took_them(folder: Path) -> None:
    with ek.EventStore(folder) as store:
        store.append("account-1", [Paid(amount=1)] * 12)
        store.take_snapshots(account(snapshots=5))
    with ek.EventStore(folder) as store:
        assert folds(store, account(snapshots=5), key="account-1") == 2
        assert store.handle(account(snapshots=5), "account-1", Paid(amount=1)).state == 13


# a changed fold never meets a stale state


def taken(store: ek.EventStore, projection: Any) -> bool:
    """Whether a snapshot would be used."""
    return folds(store, projection) == 0


RATE = 1


def rate() -> int:
    return RATE


def rated(**options: Any) -> ek.Projection:
    made = ek.Projection("rated", initial=lambda: 0, snapshots=5, **options)
    made.on(Paid)(lambda state, event: state + rate() * event.amount)
    return made


def test_the_same_code_defined_again_goes_on_from_them(paid: ek.EventStore) -> None:
    """As a cell does that is run again."""
    paid.take_snapshots(balance(snapshots=5))
    assert taken(paid, balance(snapshots=7))
    assert not taken(paid, balance(2, snapshots=5)), "what the handler closes over is another"


def test_a_function_or_value_far_away_counts(paid: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What handlers call, and what that reads."""
    paid.take_snapshots(rated())
    assert taken(paid, rated())
    monkeypatch.setitem(globals(), "RATE", 2)
    assert not taken(paid, rated())
    assert paid.replay(rated()) == {"account-1": 60, "account-2": 100}


def test_what_commands_keep_follows_the_code_too(paid: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is defined again is met by the next command, also where its decider is not."""
    decider = ek.Decider(
        decide=lambda command, state: Paid(amount=1),
        evolve=lambda state, event: state + rate() * event.amount,
        initial=lambda: 0,
    )
    saw = [paid.handle(decider, "account-1", None).state]
    monkeypatch.setitem(globals(), "rate", lambda: 10)
    kept: list[int] = []
    monkeypatch.setattr(decider, "decide", lambda command, state: kept.append(state))
    paid.handle(decider, "account-1", None)
    assert (saw, kept) == ([31], [310])


def test_what_commands_keep_follows_code_behind_a_lock(paid: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no fingerprint hides nothing that is reached after it."""
    lock = threading.Lock()

    def evolve(state: int, event: Paid) -> int:
        with lock:
            return state + rate() * event.amount

    decider = ek.Decider(decide=lambda command, state: Paid(amount=1), evolve=evolve, initial=lambda: 0)
    paid.handle(decider, "account-1", None)
    monkeypatch.setitem(globals(), "rate", lambda: 10)
    kept: list[int] = []
    monkeypatch.setattr(decider, "decide", lambda command, state: kept.append(state))
    paid.handle(decider, "account-1", None)
    assert kept == [310]


def test_another_initial_key_or_set_of_handlers_is_another_fold(paid: ek.EventStore) -> None:
    paid.take_snapshots(balance(snapshots=5))
    more = balance(snapshots=5)
    more.on("Other")(lambda state, event: state)
    other_key = balance(snapshots=5, key="payer")
    other_start = ek.Projection("balance", initial=lambda: 1, snapshots=5)
    other_start._handlers = balance()._handlers
    for changed in (more, other_key, other_start):
        assert not taken(paid, changed)


def test_a_class_of_an_event_that_was_folded_counts_and_no_other(paid: ek.EventStore) -> None:
    """Defining it late, or anew, makes the snapshot stale; a class that is the same does not."""
    late(more=False)
    paid.append("account-1", ek.NewEvent(type="Snap.Late", data={"n": 1}))
    paid.take_snapshots(balance(snapshots=5))
    late(more=False)

    class Unrelated(ek.Event, type="Snap.Unrelated"):
        n: int

    assert taken(paid, balance(snapshots=5))
    late(more=True)
    assert not taken(paid, balance(snapshots=5))
    assert rows(paid)[0] == ("balance", None, 41, False)
    assert folds(paid, balance(snapshots=5), key="account-1") == 1, "the one before it is still good"


def test_those_of_older_code_can_be_removed(folder: Path) -> None:
    """By default of what was met; by its name also what no code is there for any more."""
    with ek.EventStore(folder) as store:
        store.append("account-1", [Paid(amount=1)] * 6)
        store.append("account-2", [Paid(amount=1)] * 6)
        for one in (account(1, snapshots=3), account(2, snapshots=3), whole(snapshots=3)):
            store.take_snapshots(one)
        before = len(rows(store))
    with ek.EventStore(folder) as store:
        assert store.drop_snapshots() == 0
        assert store.drop_snapshots(account(2, snapshots=3)) == 5
        assert store.drop_snapshots(account(2, snapshots=3)) == 0
        assert {row[3] for row in rows(store) if row[0] == "acc"} == {True}
        assert taken(store, account(2, snapshots=3))
        with pytest.raises(ek.InputError, match=r"no snapshot named 'hole'; there are those of: \['acc', 'whole'\]"):
            store.drop_snapshots("hole", account(1))
        assert store.drop_snapshots("whole") == before - 10
        assert {row[0] for row in rows(store)} == {"acc"}
        store.replay(account(3, snapshots=100))
        assert store.drop_snapshots() == 5
        assert rows(store) == []
    with ek.EventStore(folder, read_only=True) as reader, pytest.raises(ek.ReadOnlyError):
        reader.drop_snapshots()


def test_code_without_a_fingerprint_uses_none(paid: ek.EventStore) -> None:
    """And the frame says so once."""
    lock = __import__("threading").Lock()
    opaque = ek.Projection("opaque", initial=lambda: 0, snapshots=1)
    opaque.on(Paid)(lambda state, event: state + (event.amount if lock else 0))
    for _ in range(2):
        assert paid.replay(opaque) == {"account-1": 30, "account-2": 50}
    assert paid.take_snapshots(opaque) == 0
    assert rows(paid) == [("opaque", None, None, False)]
    assert "no fingerprint" in paid.snapshots()["remark"].iloc[0]


# states


class Money(BaseModel):
    amount: int = 0
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Purse:
    amount: int = 0
    money: Money = dataclasses.field(default_factory=Money)


class Mood(enum.IntEnum):
    CALM = 1


@dataclasses.dataclass(frozen=True)
class Seen:
    at: dt.datetime
    times: tuple[dt.time, ...]


@dataclasses.dataclass
class Half:
    there: int = 1
    not_yet: int = dataclasses.field(init=False)


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (lambda n: n, True),
        (lambda n: {"n": [n, None, 1.5, "é", 2**70, True]}, True),
        (lambda n: Money(amount=n), True),
        (lambda n: Money(amount=n, notes=("a",)), True),
        (lambda n: Purse(n, Money(amount=n)), True),
        (lambda n: (n, 1), False),
        (lambda n: {n: 1}, False),
        (lambda n: {"n": (1,)}, False),
        (lambda n: {"n": Money(amount=n)}, False),
        (lambda n: float("nan"), True),
        (lambda n: Mood.CALM, True),
        (lambda n: dt.datetime(2020, 1, 1, tzinfo=dt.UTC), True),
        (lambda n: dt.datetime(2020, 1, 1, fold=1), False),
        (lambda n: dt.time(9, tzinfo=dt.UTC), True),
        (lambda n: Seen(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), (dt.time(9, tzinfo=dt.UTC),)), True),
        (lambda n: dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), False),
        (lambda n: Half(), False),
        (lambda n: {"n": Mood.CALM}, False),
        (lambda n: "\ud800", False),
        (lambda n: {n}, False),
        (lambda n: object(), False),
    ],
)
def test_a_state_is_kept_only_if_it_reads_back_the_same(paid: ek.EventStore, make: Any, kept: bool) -> None:
    """With its types; what would not is said in the frame, and no error."""
    made = ek.Projection("made", initial=lambda: None, key=None, snapshots=5)
    made.on(Paid)(lambda state, event: make(event.amount))
    assert (paid.take_snapshots(made) > 0) is kept
    assert taken(paid, made) is kept
    if kept:
        plain = ek.Projection("made", initial=lambda: None, key=None)
        plain.on(Paid)(lambda state, event: make(event.amount))
        assert repr(paid.replay(made)) == repr(paid.replay(plain))
        assert paid.snapshots()["remark"].isna().all()
    else:
        assert paid.snapshots()["remark"].str.startswith("not kept: a state of type").tolist() == [True]


def test_keys_that_json_does_not_keep_are_not_saved(paid: ek.EventStore) -> None:
    odd = ek.Projection("odd", initial=lambda: 0, key=lambda recorded: (recorded.stream, 1), snapshots=5)
    odd.on(Paid)(lambda state, event: state + 1)
    assert paid.take_snapshots(odd) == 0
    assert "a key of type tuple" in paid.snapshots()["remark"].iloc[0]
    assert paid.replay(odd) == {("account-1", 1): 30, ("account-2", 1): 10}


def test_a_state_s_class_is_part_of_the_fold(paid: ek.EventStore) -> None:
    """Its fields and its methods."""

    def define(step: int) -> ek.Projection:
        class Total(BaseModel):
            amount: int = 0

            def plus(self, n: int) -> Any:
                return Total(amount=self.amount + step * n)

        made = ek.Projection("total", initial=Total, snapshots=5)
        made.on(Paid)(lambda state, event: state.plus(event.amount))
        return made

    paid.take_snapshots(define(1))
    assert taken(paid, define(1))
    assert not taken(paid, define(2))
    assert {key: state.amount for key, state in paid.replay(define(2)).items()} == {"account-1": 60, "account-2": 100}


# what they save


def test_what_they_save_is_told_in_events(paid: ek.EventStore) -> None:
    """As a frame and as a chart."""
    kept = balance(snapshots=10)
    paid.take_snapshots(kept)
    frame = paid.folded(kept, key="account-1")
    assert frame.columns.tolist() == ["position", "without", "with_snapshots", "snapshot"]
    at = frame.set_index("position").loc[[0, 9, 10, 25, 30, 40]]
    assert at.to_numpy().tolist() == [[0, 0, 0], [9, 9, 0], [10, 0, 10], [25, 5, 20], [30, 0, 30], [30, 0, 30]]
    described = ek.charts.snapshots(frame).to_dict()
    assert described["description"] == "snapshots: 41 positions"
    with pytest.raises(ek.InputError, match="with_snapshots"):
        ek.charts.snapshots(pd.DataFrame({"position": [1], "without": [1]}))
    assert paid.folded(balance(), key="account-1")["with_snapshots"].max() == 30


def test_the_frame_of_none_has_the_same_columns(store: ek.EventStore) -> None:
    frame = store.snapshots()
    assert frame.dtypes.astype(str).to_dict() == {
        "name": "string", "key": "string", "position": "Int64", "bytes": "Int64", "current": "boolean",
        "remark": "string",
    }  # fmt: skip
    assert store.folded(balance(snapshots=3))["without"].tolist() == [0]


def test_what_was_not_met_yet_is_neither_current_nor_stale(folder: Path) -> None:
    with ek.EventStore(folder) as store:
        store.append("account-1", [Paid(amount=1)] * 12)
        store.take_snapshots(balance(snapshots=10))
    with ek.EventStore(folder) as store:
        assert {row[3] for row in rows(store)} == {None}
        assert {row[3] for row in rows(store, balance(snapshots=10))} == {True}
        assert {row[3] for row in rows(store, balance(3, snapshots=10))} == {False}


@pytest.mark.parametrize("wrong", [0, -1, True, 2.5, "often"])
def test_a_policy_that_says_nothing_is_refused(wrong: Any) -> None:
    for make in (balance, account):
        with pytest.raises(ek.InputError, match="snapshots is"):
            make(snapshots=wrong)

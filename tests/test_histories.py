"""Histories: every state there was, each with its interval, and the questions that can be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE, US = timedelta(minutes=1), timedelta(microseconds=1)


def event(kind: str, **data: Any) -> ek.NewEvent:
    return ek.NewEvent(type=kind, data=data)


def balance() -> ek.Projection:
    made = ek.Projection("balance", initial=lambda: 0)
    made.on("In")(lambda state, event: state + event["n"])
    made.on("Out")(lambda state, event: state - event["n"])
    made.on("Seen")(lambda state, event: state)
    made.on("Ended")(lambda state, event: ek.GONE)
    return made


def person() -> ek.Projection:
    made = ek.Projection("person", initial=lambda: {"name": None, "city": None})
    made.on("Named")(lambda state, event: state | {"name": event["name"]})
    made.on("Moved")(lambda state, event: state | {"city": event["city"]})
    made.on("Died")(lambda state, event: ek.GONE)
    return made


@pytest.fixture
def people(store: ek.EventStore) -> ek.EventStore:
    store.append("p-1", event("Named", name="Ada"))
    store.append("p-2", [event("Named", name="Bob"), event("Moved", city="Rome")])
    store.append("p-1", event("Moved", city="Oslo"))
    store.append("p-1", event("Moved", city="Oslo"))
    store.append("p-2", event("Died"))
    return store


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c-1"]),
        st.sampled_from(["In", "In", "Out", "Seen", "Ended", "Unhandled"]),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(STEPS, st.integers(0, 2**32))
def test_at_equals_replay_at_every_moment(steps: list[tuple[str, str, int, int]], pick: int) -> None:
    """At every position, id and record, and at, before and after every time, of loaded events with equal times."""
    seconds = pd.Series([gap for *_, gap in steps], dtype="int64").cumsum()
    frame = pd.DataFrame(
        {
            "s": [s for s, *_ in steps],
            "t": [t for _, t, *_ in steps],
            "n": [n for *_, n, _ in steps],
            "at": pd.to_datetime(START) + pd.to_timedelta(seconds, unit="s"),
        }
    )
    with ek.EventStore() as store:
        if steps:
            store.load(frame, stream="s", type="t", recorded_at="at")
        history = store.history(balance())
        records = list(store.read())
        moments: list[Any] = list(range(len(records) + 1)) + [r.id for r in records] + records
        moments += [r.recorded_at + by for r in records for by in (-US, 0 * US, US)]
        moments += [START - timedelta(days=1), START + timedelta(days=1)]
        for moment in moments:
            assert history.at(moment) == store.replay(balance(), as_of=moment)
        cut = pick % (len(records) + 1)
        shorter = store.history(balance(), as_of=cut)
        for position in range(cut + 1):
            assert shorter.at(position) == history.at(position)
        self_consistent(history, store)


def self_consistent(history: ek.History, store: ek.EventStore) -> None:
    """The frame's intervals say the same as `at`."""
    frame = history.df()
    assert len(frame) == len(history)
    for key, rows in frame.groupby("key"):
        closed = rows["valid_to"].iloc[:-1].tolist()
        assert closed[: len(rows)] == [
            end if kind != "Ended" else start
            for end, start, kind in zip(rows["valid_from"].iloc[1:], rows["valid_from"], rows["type"], strict=False)
        ], key
        assert pd.isna(rows["valid_to"].iloc[-1]) == (rows["type"].iloc[-1] != "Ended")
    for record in store.read():
        now = pd.Timestamp(record.recorded_at)
        holds = frame[(frame["valid_from"] <= now) & (frame["valid_to"].isna() | (now < frame["valid_to"]))]
        holds = holds[holds["type"] != "Ended"]
        assert dict(zip(holds["key"], holds["state"], strict=True)) == history.at(record.recorded_at)


def test_a_row_for_each_handled_event_also_where_nothing_changed(people: ek.EventStore) -> None:
    """Key, position, type, the interval, and a column a field; NaT is still valid."""
    frame = people.history(person()).df()
    assert frame.columns.tolist() == ["key", "position", "type", "valid_from", "valid_to", "name", "city"]
    assert frame["key"].tolist() == ["p-1", "p-2", "p-2", "p-1", "p-1", "p-2"]
    assert frame["position"].tolist() == [1, 2, 3, 4, 5, 6]
    assert frame["type"].tolist() == ["Named", "Named", "Moved", "Moved", "Moved", "Died"]
    at = [pd.Timestamp(START + n * MINUTE) for n in range(5)]
    assert frame["valid_from"].tolist() == [at[0], at[1], at[1], at[2], at[3], at[4]]
    assert frame["valid_to"].tolist()[:4] == [at[2], at[1], at[4], at[3]]
    assert pd.isna(frame["valid_to"].iloc[4])
    assert frame["city"].tolist()[:5] == [pd.NA, pd.NA, "Rome", "Oslo", "Oslo"]
    assert frame[["name", "city"]].iloc[5].isna().all()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "key": "string",
        "position": "Int64",
        "type": "string",
        "valid_from": "datetime64[us, UTC]",
        "valid_to": "datetime64[us, UTC]",
        "name": "string",
        "city": "string",
    }


def test_rows_of_no_length_are_kept() -> None:
    """Equal times: three states at one time, of which the last goes on."""
    frame = pd.DataFrame({"s": "a", "t": "In", "n": [1, 2, 3], "at": [START] * 3})
    with ek.from_frame(frame, stream="s", type="t", recorded_at="at") as store:
        rows = store.history(balance()).df()
    assert rows["state"].tolist() == [1, 3, 6]
    assert rows["valid_to"].iloc[:2].tolist() == rows["valid_from"].iloc[:2].tolist()
    assert pd.isna(rows["valid_to"].iloc[2])


class Model(pydantic.BaseModel):
    x: int
    y: str | None = None


@dataclass(frozen=True)
class Data:
    x: int
    y: str | None = None


class Named(NamedTuple):
    x: int
    y: str | None = None


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (lambda n: Model(x=n), ["x", "y"]),
        (lambda n: Data(x=n), ["x", "y"]),
        (lambda n: Named(x=n), ["x", "y"]),
        (lambda n: {"x": n, "y": None}, ["x", "y"]),
        (lambda n: {"a": n} if n == 1 else {"b": n}, ["state"]),
        (lambda n: n, ["state"]),
        (lambda n: [n], ["state"]),
        (lambda n: {n: n}, ["state"]),
        (lambda n: {"key": n, "type": n, "a.b": n, "a:b": n}, ["data_key", "data_type", "a_b", "a_b_"]),
    ],
)
def test_a_states_fields_become_columns(store: ek.EventStore, make: Any, columns: list[str]) -> None:
    """Of a model, a dataclass, a named tuple or a like-keyed dict; all else is one column `state`."""
    shown = ek.Projection("shown", initial=lambda: make(0))
    shown.on("In")(lambda state, event: make(event["n"]))
    store.append("a", [event("In", n=1), event("In", n=2)])
    frame = store.history(shown).df()
    assert frame.columns.tolist()[5:] == columns
    if columns[0] in ("x", "data_key"):
        assert frame[columns[0]].tolist() == [1, 2]
        assert str(frame[columns[0]].dtype) == "Int64"


def test_an_empty_history_has_the_same_columns(store: ek.EventStore) -> None:
    """And answers before there is anything."""
    history = store.history(balance())
    empty = history.df()
    store.append("a", event("In", n=1))
    full = store.history(balance()).df()
    assert empty.columns.tolist() == full.columns.tolist()
    names = ["position", "type", "valid_from", "valid_to"]
    assert empty[names].dtypes.tolist() == full[names].dtypes.tolist()
    assert (len(history), history.at(0), history.first(lambda state: True)) == (0, {}, None)
    assert history.diff(0, 0).columns.tolist() == [
        "key", "field", "before", "after", "position", "type", "recorded_at",
    ]  # fmt: skip


def test_diff_says_what_changed_and_which_event_did_it(people: ek.EventStore) -> None:
    """The last event that set the field, not the last one that was handled."""
    history = people.history(person())
    rows = history.diff(1, 5)
    assert rows.columns.tolist() == ["key", "field", "before", "after", "position", "type", "recorded_at"]
    found = [[None if pd.isna(v) else v for v in row] for row in rows.drop(columns="recorded_at").values.tolist()]
    assert found == [
        ["p-1", "city", None, "Oslo", 4, "Moved"],
        ["p-2", "name", None, "Bob", 2, "Named"],
        ["p-2", "city", None, "Rome", 3, "Moved"],
    ]
    assert rows["recorded_at"].tolist() == [pd.Timestamp(START + n * MINUTE) for n in (2, 1, 1)]
    assert str(rows["recorded_at"].dtype) == "datetime64[us, UTC]"
    assert history.diff(START, START + 3 * MINUTE).equals(rows)
    assert history.diff(4, 5).empty
    ended = history.diff(5, 6)
    assert ended[["key", "field", "before", "position", "type"]].values.tolist() == [
        ["p-2", "name", "Bob", 6, "Died"],
        ["p-2", "city", "Rome", 6, "Died"],
    ]
    assert ended["after"].isna().all()


def test_diff_of_one_state_and_backwards(store: ek.EventStore) -> None:
    """One state over the whole log is there from the start; backwards, before and after change places."""
    total = ek.Projection("total", initial=lambda: 0, key=None)
    total.on("In")(lambda state, event: state + event["n"])
    store.append("a", [event("In", n=2), event("In", n=3)])
    history = store.history(total)
    forth, back = history.diff(0, 2), history.diff(2, 0)
    assert forth[["field", "before", "after", "position"]].values.tolist() == [["state", 0, 5, 2]]
    assert back[["field", "before", "after"]].values.tolist() == [["state", 5, 0]]


def test_blame_names_the_event_that_set_each_field(people: ek.EventStore) -> None:
    """Not a later one that set it to the same."""
    history = people.history(person())
    rows = history.blame("p-1")
    assert rows.columns.tolist()[:2] == ["field", "value"]
    assert rows[["field", "value", "position", "type"]].values.tolist() == [
        ["name", "Ada", 1, "Named"],
        ["city", "Oslo", 4, "Moved"],
    ]
    assert history.blame("p-2", as_of=3)[["field", "value", "position"]].values.tolist() == [
        ["name", "Bob", 2],
        ["city", "Rome", 3],
    ]
    for gone_or_unknown in ("p-2", "nobody", None, ["p-1"], {}):
        with pytest.raises(ek.InputError, match=r"has no key .* it has 'p-1'"):
            history.blame(gone_or_unknown)


def test_a_key_of_another_kind_is_told_what_keys_are_here(store: ek.EventStore) -> None:
    """Streams are text, also where their names are digits."""
    store.append("1", ek.NewEvent(type="T"))
    counted = ek.Projection("counted", initial=lambda: 0)
    counted.on("T")(lambda state, event: state + 1)
    with pytest.raises(ek.InputError, match=r"no key 1 as of position 1; it has '1'; keys are text here: '1'"):
        store.history(counted).blame(1)


def test_first_finds_the_event_after_which_it_first_held(store: ek.EventStore) -> None:
    """As a RecordedEvent, which is a moment; None where it never did."""
    store.append("a", [event("In", n=5), event("Out", n=6), event("Out", n=1)])
    store.append("b", event("Out", n=1))
    history = store.history(balance())
    first = history.first(lambda state: state < 0)
    assert first is not None
    assert (first.position, first.stream, first.type, first.data) == (2, "a", "Out", {"n": 6})
    assert history.at(first) == {"a": -1}
    assert history.first(lambda state: state > 5) is None
    with pytest.raises(ek.InputError, match="-1 is no predicate; give a function of a state"):
        history.first(-1)  # type: ignore[arg-type]


def test_beyond_the_cut_is_an_error(people: ek.EventStore) -> None:
    """A history knows nothing of what came after it; a time within its last state is fine."""
    short = people.history(person(), as_of=3)
    now = people.history(person())
    assert short.at(3) == people.replay(person(), as_of=3)
    assert short.at(START + MINUTE) == short.at(3)
    assert short.at(START + 2 * MINUTE - US) == short.at(3)
    people.append("p-3", event("Named", name="Eve"))
    later = next(iter(people.read(backwards=True, limit=1)))
    for history, beyond in ((short, 4), (short, START + 2 * MINUTE), (now, 7), (now, later), (now, later.id)):
        with pytest.raises(ek.MomentError, match=r"beyond position \d+, up to which this history goes"):
            history.at(beyond)
        with pytest.raises(ek.MomentError, match=r"beyond position \d+, up to which this history goes"):
            history.diff(0, beyond)
    assert now.at(6) == people.replay(person(), as_of=6)


def test_a_history_stays_as_it_is_when_the_store_moves_on_and_closes(people: ek.EventStore) -> None:
    """Its answers are in memory."""
    history = people.history(person())
    before = (history.at(5), history.df(), history.diff(0, 5), history.blame("p-1"))
    people.append("p-1", event("Moved", city="Bonn"))
    people.close()
    after = (history.at(5), history.df(), history.diff(0, 5), history.blame("p-1"))
    assert before[0] == after[0]
    assert all(a.equals(b) for a, b in zip(before[1:], after[1:], strict=True))


def test_a_history_of_one_key_or_category_has_only_that(people: ek.EventStore) -> None:
    """And equals the replay of the same."""
    people.append("q-1", event("Named", name="Max"))
    one = people.history(person(), key="p-1")
    assert set(one.df()["key"]) == {"p-1"}
    assert one.at(4) == {"p-1": people.replay(person(), key="p-1", as_of=4)} == {"p-1": {"name": "Ada", "city": "Oslo"}}
    assert one.at(0) == {}
    some = people.history(person(), category="q")
    assert some.at(7) == people.replay(person(), category="q") == {"q-1": {"name": "Max", "city": None}}


def test_keys_of_any_kind(store: ek.EventStore) -> None:
    """Whatever is hashable; 1, '1' and (1,) are three."""
    keys: list[Any] = [1, "1", (1,), None, True]
    by = ek.Projection("by", initial=lambda: 0, key=lambda recorded: keys[recorded.data["n"]])
    by.on("In")(lambda state, event: state + 1)
    store.append("a", [event("In", n=n) for n in range(4)])
    history = store.history(by)
    assert history.at(4) == {1: 1, "1": 1, (1,): 1}
    assert history.df()["key"].tolist() == [1, "1", (1,)]
    assert history.blame((1,))["value"].tolist() == [1]

"""Edges that somebody fell over once: each was a wrong answer before it was a test."""

from __future__ import annotations

import datetime as dt
import operator
import os
import sys
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

import eventsourcing_kit as ek
from tests.faults import storing


class Moved(ek.Event):
    source: str
    target: str
    amount: int


class Tagged(ek.Event):
    tags: list[set[int]]


class Aliased(ek.Event):
    model_config = ConfigDict(strict=True)
    name: str = Field(alias="Name")
    on: dt.date


class Noted(ek.Event):
    text: str
    _note: int = PrivateAttr(default=0)


class Order(BaseModel):
    state: str


class Parcel(BaseModel, extra="allow"):
    state: str


def test_two_lambda_keys_touch_two_keys(store: ek.EventStore) -> None:
    """All lambdas have one name; their code tells them apart."""
    moved = ek.Projection("moved", initial=lambda: 0)

    @moved.on(Moved, key=lambda record: record.data.source)
    def touch(state: int, event: Moved) -> int:
        return state - event.amount

    @moved.on(Moved, key=lambda record: record.data.target)
    def touch(state: int, event: Moved) -> int:  # noqa: F811 - the same name, as people write it in notebooks
        return state + event.amount

    store.append("transfer-1", Moved(source="a", target="b", amount=5))
    assert store.replay(moved) == {"a": -5, "b": 5}


def test_keys_of_one_factory_touch_two_keys_and_are_replaced_when_run_again(store: ek.EventStore) -> None:
    """What a key closes over tells it apart; a callable without code is known by its text."""
    moved = ek.Projection("moved", initial=lambda: 0)

    def by(field: str) -> Callable[[ek.RecordedEvent], str]:
        return lambda record: getattr(record.data, field)

    for _ in range(2):

        @moved.on(Moved, key=by("source"))
        def touch(state: int, event: Moved) -> int:
            return state - event.amount

        @moved.on(Moved, key=by("target"))
        def touch(state: int, event: Moved) -> int:  # noqa: F811 - as above
            return state + event.amount

        @moved.on(Moved, key=operator.attrgetter("data.source"))
        def fee(state: int, event: Moved) -> int:
            return state - 1

    store.append("transfer-1", Moved(source="a", target="b", amount=5))
    assert store.replay(moved) == {"a": -6, "b": 5}


@pytest.mark.parametrize("types", [5, [Moved, 5], ek.Event, None])
def test_what_is_no_event_type_is_named(store: ek.EventStore, types: object) -> None:
    with pytest.raises(ek.InputError, match="is no event type; give a class"):
        ek.Projection("any", initial=int).on(*types if isinstance(types, list) else [types])
    if types is not None:
        with pytest.raises(ek.InputError, match="is no event type; give a class"):
            store.read(types=types)  # type: ignore[arg-type]


def test_a_huge_state_or_payload_is_cut_in_an_error(store: ek.EventStore) -> None:
    """An error that fills the notebook hides what it says."""
    moved = ek.Projection("moved", initial=lambda: "s" * 100_000)
    moved.on(Moved)(lambda state, event: state.nothing)
    store.append("transfer-1", Moved(source="a" * 100_000, target="b", amount=5))
    with pytest.raises(ek.ProjectionError, match=r"the state before was 'sss.*…$") as error:
        store.replay(moved)
    assert len(str(error.value)) < 1_000


def test_a_field_that_stays_nan_has_not_changed(store: ek.EventStore) -> None:
    """NaN differs from itself, but nobody set it anew."""
    ratio = ek.Projection("ratio", initial=dict)
    ratio.on(Moved)(lambda state, event: {"ratio": float("nan"), "to": event.target})
    store.append("t-1", [Moved(source="a", target=target, amount=5) for target in "bcd"])
    history = store.history(ratio)
    assert history.diff(1, 3)["field"].tolist() == ["to"]
    assert dict(zip(history.blame("t-1")["field"], history.blame("t-1")["position"], strict=True)) == {
        "ratio": 1,
        "to": 3,
    }


def test_a_dict_that_is_filled_or_emptied_differs_in_its_fields_alone(store: ek.EventStore) -> None:
    """An empty dict is no value of its own beside one with fields."""
    seen = ek.Projection("seen", initial=dict, key=None)
    seen.on(Moved)(lambda state, event: {} if event.source == "-" else state | {event.source: event.amount})
    store.append("t-1", [Moved(source=source, target="x", amount=5) for source in "a-"])
    history = store.history(seen)
    for before, after, told in ((0, 1, [None, 5]), (1, 2, [5, None])):
        changed = history.diff(before, after)
        assert changed["field"].tolist() == ["a"]
        assert [None if pd.isna(one) else one for one in changed[["before", "after"]].iloc[0]] == told
        assert changed["position"].tolist() == [after]
    assert history.diff(0, 2).empty


def test_streams_as_keys_are_text_also_in_empty_frames(store: ek.EventStore) -> None:
    """So that frames of an empty and of a full history go together."""
    moved = ek.Projection("moved", initial=lambda: 0)
    moved.on(Moved)(lambda state, event: state + event.amount)
    empty = store.history(moved)
    store.append("t-1", Moved(source="a", target="b", amount=5))
    full = store.history(moved)
    for frame in (empty.df(), full.df(), empty.diff(0, 0), full.diff(0, 1)):
        assert frame["key"].dtype == "string"


@pytest.mark.parametrize("names", [["\ud800"], [0, "0"]])
def test_a_frame_whose_columns_cannot_be_fields_loads_nothing(store: ek.EventStore, names: list[object]) -> None:
    """Also where the bad column is empty in the first ten thousand rows."""
    rows = 10_001
    frame = pd.DataFrame({"s": ["a"] * rows, "t": "T", "at": pd.to_datetime(range(rows), unit="s", utc=True)})
    frame.columns = frame.columns.astype(object)  # as pandas has them where pyarrow is not installed
    for name in names:
        frame[name] = pd.Series([None] * (rows - 1) + ["x"], dtype=object)
    with pytest.raises(ek.InputError):
        store.load(frame, stream="s", type="t", recorded_at="at")
    assert store.position == 0


def test_missing_and_timely_cells_of_an_object_column_load_as_plain_values(store: ek.EventStore) -> None:
    """NaT and NaN of every kind are missing cells; numpy's times are ISO text."""
    cells = [
        np.datetime64("NaT"),
        np.timedelta64("NaT"),
        np.float32("nan"),
        np.datetime64("2020-01-01T00:00:00.5", "ns"),
    ]
    at = pd.to_datetime(range(4), unit="s", utc=True)
    frame = pd.DataFrame({"s": "a", "t": "T", "at": at, "v": pd.Series(cells, dtype=object)})
    store.load(frame, stream="s", type="t", recorded_at="at")
    assert [event.data for event in store.read()] == [{}, {}, {}, {"v": "2020-01-01T00:00:00.500000"}]


def test_an_object_column_of_times_in_a_doubled_hour_loads(store: ek.EventStore) -> None:
    """Floored in UTC, where no hour is doubled."""
    time = pd.Timestamp("2023-10-29T00:30Z").tz_convert("Europe/Berlin")
    other = pd.Timestamp("2023-10-29T05:00Z")
    frame = pd.DataFrame({"s": "a", "t": "T", "at": pd.Series([time, other], dtype=object)})
    store.load(frame, stream="s", type="t", recorded_at="at")
    assert next(iter(store.read())).recorded_at == time.tz_convert("UTC")


def test_nested_sets_are_the_same_data_in_any_order(store: ek.EventStore) -> None:
    """So a repeated append is recognised, and a seeded store is the same to the byte."""
    own = uuid.uuid4()
    store.append("a", ek.NewEvent(Tagged(tags=[{0, 8}]), id=own))
    assert store.append("a", ek.NewEvent(Tagged(tags=[{8, 0}]), id=own)).replayed


def test_an_instance_of_a_class_that_was_defined_again_is_refused_where_it_does_not_fit(store: ek.EventStore) -> None:
    """Otherwise nobody could read it."""

    class Redefined(ek.Event):
        x: int

    old = Redefined(x=1)

    class Redefined(ek.Event):
        y: int

    with pytest.raises(ek.InputError, match=r"defined again .*\(field 'y': Field required\); make"):
        store.append("a", old)
    assert store.position == 0


def test_an_unknown_outcome_of_a_strict_class_with_aliases_can_be_repeated(store: ek.EventStore) -> None:
    """The error's events are event objects again."""

    def lost(store_rows: object, rows: object) -> None:
        raise OSError("lost")

    storing(store, lost)
    with pytest.raises(ek.OutcomeUnknownError) as unknown:
        store.append("a", Aliased(Name="x", on=dt.date(2020, 1, 1)))
    other = ek.EventStore()
    assert other.append("a", unknown.value.events).events[0].data == Aliased(Name="x", on=dt.date(2020, 1, 1))


def test_a_private_attribute_that_would_be_lost_is_refused(store: ek.EventStore) -> None:
    """It is part of equality, and it is not stored."""
    event = Noted(text="x")
    event._note = 5
    with pytest.raises(ek.InputError, match=r"Noted\._note is 5, which would read back as 0"):
        store.append("a", event)


def test_a_state_whose_only_field_is_called_state_is_taken_apart(store: ek.EventStore) -> None:
    """The column holds the field's value, not the model; dicts with the same keys in another order are alike."""
    orders = ek.Projection("orders", initial=lambda: Order(state="new"))
    orders.on("Shipped")(lambda state, event: Order(state="shipped"))
    parcels = ek.Projection("parcels", initial=lambda: Parcel(state="new", to="Oslo"))
    parcels.on("Shipped")(lambda state, event: state.model_copy(update={"state": "sent"}))
    pairs = ek.Projection("pairs", initial=dict)
    pairs.on("Shipped")(lambda state, event: {"a": 1, "b": 2} if not state else {"b": 3, "a": 4})
    store.append("order-1", [ek.NewEvent(type="Shipped"), ek.NewEvent(type="Shipped")])
    assert store.history(orders).df()["state"].tolist() == ["shipped", "shipped"]
    assert store.history(parcels).df()[["state", "to"]].values.tolist() == [["sent", "Oslo"]] * 2
    assert store.history(pairs).df()[["a", "b"]].values.tolist() == [[1, 2], [4, 3]]


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_history_used_after_fork_raises_at_once(store: ek.EventStore) -> None:
    """By itself the storage would hang for ever in the child."""
    store.append("a", ek.NewEvent(type="T"))
    counted = ek.Projection("counted", initial=lambda: 0)
    counted.on("T")(lambda state, event: state + 1)
    history = store.history(counted)
    child = os.fork()
    if child == 0:
        try:
            history.first(bool)
        except ek.StoreClosedError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_of_a_thing_is_not_told_as_several(store: ek.EventStore) -> None:
    """Learners meet these texts with one event in one stream; many are told with commas."""
    store.append("a", ek.NewEvent(type="Paid"))
    paid = ek.Projection("paid", initial=int)
    paid.on("Paid")(lambda state, event: state + 1)
    assert repr(store.history(paid)) == "<history of paid: 1 event, 1 key, as of 1>"
    assert "1 commit, 1 event, 1 stream, ends at 1" in repr(store.verify())
    assert repr(ek.testing.given(paid, ek.NewEvent(type="Paid"))) == "<given 1 event to <projection paid: Paid>>"
    many = store.append("a", [ek.NewEvent(type="Paid")] * 2_000)
    assert repr(many) == "<receipt: 2,000 events to 'a', version 2001, position 2001>"


@pytest.mark.parametrize("backwards", [False, True])
def test_a_read_decodes_each_commit_once(backwards: bool) -> None:
    """The one that it begins with, too; what is done to its events doesn't reach the next read."""

    def decoded(commits: int) -> int:
        store, calls = ek.EventStore(), 0
        for n in range(commits):
            store.append("a", [ek.NewEvent(type="T", data={"n": [n]}), ek.NewEvent(type="T", data={"n": [n]})])

        def look(_frame: Any, event: str, function: Any) -> None:
            nonlocal calls
            calls += event == "c_call" and getattr(function, "__name__", "") == "from_json"

        sys.setprofile(look)
        try:
            events = list(store.read(backwards=backwards))
        finally:
            sys.setprofile(None)
        for event in events:
            event.data["n"].append("changed")
        assert [event.data["n"] for event in store.read()] == [[n] for n in range(commits) for _ in range(2)]
        return calls

    assert decoded(5) == 5 * decoded(1) > 0


@pytest.mark.parametrize("data", [3, "text", b"bytes", [1], pd.NaT])
def test_a_fact_whose_data_is_no_dict_shows_it_and_is_refused(store: ek.EventStore, data: Any) -> None:
    fact = ek.NewEvent(type="Noted", data=data)
    assert repr(fact) == f"NewEvent(type='Noted', data={data!r})"
    with pytest.raises(ek.InputError, match="give a dict of fields"):
        store.append("a-1", fact)

"""Two histories, compared: what differs, where they part, and which events set that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import eventsourcing_kit as ek

_START = datetime(2025, 1, 1, tzinfo=UTC)
_COLUMNS = [
    *("key", "field", "one", "other", "one_position", "one_type", "one_recorded_at"),
    *("other_position", "other_type", "other_recorded_at"),
]
Facts = list[tuple[str, int, int]]  # key, amount (negative: it ends), seconds since the one before


class Held(BaseModel):
    paid: int = 0
    last: int | None = None


def handled(first: Any, more: Any) -> ek.Projection:
    made = ek.Projection("handled", initial=lambda: first)
    made.on("ComparedPaid")(more)
    made.on("ComparedEnded")(lambda state, event: ek.GONE)
    return made


OF_DICTS = handled({"paid": 0}, lambda state, event: {"paid": state["paid"] + event["amount"], "last": event["amount"]})
OF_MODELS = handled(Held(), lambda state, event: Held(paid=state.paid + event["amount"], last=event["amount"]))
DECLARED = ek.Projection(
    "declared",
    fields={"paid": ek.fold.total("ComparedPaid", "amount"), "last": ek.fold.last("ComparedPaid", "amount")},
    ends="ComparedEnded",
)


def logged(facts: Facts) -> ek.EventStore:
    rows, seconds = [], 0
    for key, amount, later in facts:
        seconds += later
        kind = "ComparedPaid" if amount >= 0 else "ComparedEnded"
        rows.append((f"order-{key}", kind, _START + timedelta(seconds=seconds), amount))
    if not rows:
        return ek.EventStore()
    frame = pd.DataFrame(rows, columns=["stream", "type", "time", "amount"])
    return ek.from_frame(frame, stream="stream", type="type", recorded_at="time")


def by_hand(one: dict[Any, Any], other: dict[Any, Any]) -> dict[tuple[Any, str], tuple[Any, Any]]:
    """What differs between two sets of states, looked at one by one."""
    found = {}
    for key in [*one, *(key for key in other if key not in one)]:
        a, b = (dict(side.get(key, {})) for side in (one, other))
        for field in dict.fromkeys([*a, *b]):
            if a.get(field) != b.get(field) or (key in one) != (key in other):
                found[key, field] = a.get(field), b.get(field)
    return found


def told(frame: pd.DataFrame) -> dict[tuple[Any, str], tuple[Any, Any]]:
    values = frame[["one", "other"]].astype(object).where(frame[["one", "other"]].notna(), None)
    return {
        (key, field): (one, other)
        for key, field, one, other in zip(frame["key"], frame["field"], values["one"], values["other"], strict=True)
    }


facts = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 2), st.sampled_from((0, 0, 1))), max_size=7)


@settings(max_examples=40, deadline=None)
@given(common=facts, one=facts, other=facts, projection=st.sampled_from((OF_DICTS, OF_MODELS, DECLARED)))
def test_a_comparison_tells_at_every_time_what_a_look_at_all_states_tells(
    common: Facts, one: Facts, other: Facts, projection: ek.Projection
) -> None:
    histories = [logged(common + facts).history(projection) for facts in (one, other)]
    ends = [set(history.df()["key"]) for history in histories]
    if all(ends) and not ends[0] & ends[1]:
        with pytest.raises(ek.InputError, match="no key in common"):
            ek.compare(*histories)
        return
    comparison, parted = ek.compare(*histories), None
    for time in sorted({time for history in histories for time in history.df()["valid_from"]}):
        states = [{key: dict(state) for key, state in one.at(time).items()} for one in histories]
        expected, frame = by_hand(*states), comparison.at(time)
        assert told(frame) == expected
        if expected and parted is None:
            parted = time, expected
        for row in frame.itertuples():
            for history, position in zip(histories, (row.one_position, row.other_position), strict=True):
                if row.key in history.at(time):
                    blamed = history.blame(row.key, as_of=time).set_index("field")["position"]
                    assert blamed[row.field] == position
    first = comparison.first()
    assert (first is None) == (parted is None)
    if parted is not None and first is not None:
        assert (first["key"], first["field"]) in parted[1]
        assert (
            max(time for time in (first["one_recorded_at"], first["other_recorded_at"]) if time is not pd.NaT)
            == (parted[0])
        )


def test_two_projections_over_one_log_are_compared_at_positions_too() -> None:
    store = logged([("a", 5, 1), ("a", 2, 0), ("b", 1, 0)])
    total, most = (ek.Projection("paid", fields={"state": fold("ComparedPaid", "amount")})
                   for fold in (ek.fold.total, ek.fold.largest))  # fmt: skip
    comparison = ek.compare(store.history(total), store.history(most))
    assert list(comparison.df()) == _COLUMNS
    assert comparison.at(1).empty
    assert told(comparison.at(2)) == told(comparison.df()) == {("order-a", "state"): (7, 5)}
    assert comparison.df()[["one_position", "other_position"]].values.tolist() == [[2, 1]]


def test_histories_that_agree_again_have_parted_all_the_same() -> None:
    one, other = logged([("a", 1, 1), ("a", 2, 1)]), logged([("a", 2, 1), ("a", 1, 1)])
    total = ek.Projection("total", fields={"state": ek.fold.total("ComparedPaid", "amount")})
    comparison = ek.compare(one.history(total), other.history(total))
    first = comparison.first()
    assert first is not None
    assert comparison.df().empty
    assert (first["one"], first["other"]) == (1, 2)
    assert "part at 2025-01-01T00:00:01Z" in repr(comparison)


def test_one_and_true_are_not_the_same_and_equal_states_are() -> None:
    store = logged([("a", 1, 1)])
    as_int, as_bool, again = (handled(0, lambda state, event, made=made: made) for made in (1, True, 1))  # type: ignore[misc]
    assert ek.compare(store.history(as_int), store.history(again)).first() is None
    assert len(ek.compare(store.history(as_int), store.history(as_bool)).df()) == 1


def test_one_state_over_the_whole_log_is_there_from_the_start() -> None:
    store = logged([("a", 1, 1)])
    nought, five = (ek.Projection("one", key=None, initial=lambda at=at: at) for at in (0, 5))
    first = ek.compare(store.history(nought), store.history(five)).first()
    assert first is not None
    assert (first["one"], first["other"], first["one_position"]) == (0, 5, pd.NA) or first["one_position"] is pd.NA


def test_a_comparison_says_what_a_person_wants_to_know() -> None:
    one, other = logged([("a", 1, 1), ("b", 1, 1)]), logged([("a", 1, 1), ("b", 3, 1)])
    comparison = ek.compare(one.history(OF_DICTS), other.history(OF_DICTS))
    text, page = repr(comparison), comparison._repr_html_()
    for said in (text, page):
        assert "1 of 2 keys differs" in said
        assert "order-b" in said
    assert "paid 1 | 3" in text
    assert "<table>" in page
    same = ek.compare(one.history(OF_DICTS), one.history(OF_DICTS))
    assert "no difference" in repr(same)
    assert "<table>" not in same._repr_html_()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda store: store, "is no history"),
        (lambda store: store.history(ek.Projection("n", key=None, initial=int)), "same key"),
        (lambda store: logged([("z", 1, 1)]).history(DECLARED), "no key in common"),
        (lambda store: store.history(handled({"sum": 0}, lambda state, event: {"sum": 1})), "no field in common"),
    ],
)
def test_histories_that_have_nothing_in_common_are_refused(other: Any, said: str) -> None:
    store = logged([("a", 1, 1)])
    with pytest.raises(ek.InputError, match=said):
        ek.compare(store.history(DECLARED), other(store))


def test_a_position_that_means_two_events_is_no_moment_and_a_time_is() -> None:
    one, other = logged([("a", 1, 1)]), logged([("a", 2, 1)])
    comparison = ek.compare(one.history(DECLARED), other.history(DECLARED))
    with pytest.raises(ek.MomentError, match="give a time"):
        comparison.at(1)
    assert len(comparison.at(_START + timedelta(seconds=1))) == 2


def test_the_chart_draws_lines_that_part_and_the_difference_below() -> None:
    one = logged([("a", 1, 1), ("b", 1, 1), ("a", 5, 1)])
    other = logged([("a", 1, 1), ("b", 1, 1), ("a", 2, 1)])
    comparison = ek.compare(one.history(DECLARED), other.history(DECLARED))
    chart = ek.charts.comparison(comparison)
    assert chart.description == "comparison of paid: 1 key"
    spec = chart.to_dict()
    assert len(spec["vconcat"]) == 2
    rows = [row for data in spec["datasets"].values() for row in data]
    assert {(row["one"], row["other"], row["difference"]) for row in rows if "one" in row} == {(1, 1, 0), (6, 3, -3)}
    assert any(row.get("when") == "2025-01-01 00:00:03 UTC" for row in rows)
    with pytest.raises(ek.InputError, match="neither history has a key"):
        ek.charts.comparison(comparison, keys=["order-z"])
    with pytest.raises(ek.InputError, match="compare"):
        ek.charts.comparison(one.history(DECLARED))  # type: ignore[arg-type]  # that is what is wrong
    assert ek.charts.comparison(ek.compare(one.history(DECLARED), one.history(DECLARED))).description

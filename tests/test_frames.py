"""Frames: which columns a read has, of which types, and in which order."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.reading.frames import field_names

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
ATTRIBUTES = ["id", "stream", "version", "position", "type", "schema_version", "recorded_at", "occurred_at", "metadata"]
TYPES = [
    "string",
    "string",
    "Int64",
    "Int64",
    "string",
    "Int64",
    "datetime64[us, UTC]",
    "datetime64[us, UTC]",
    "object",
]


class Framed(ek.Event, type="Framed.One"):
    whole: int
    number: float = 0.5
    flag: bool = True
    text: str = "a"
    at: datetime = START
    price: Decimal = Decimal("1.10")
    many: tuple[int, ...] = (1, 2)
    maybe: int | None = None


def event(**data: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Loose", data=data)


def test_attributes_come_first_then_the_payloads_fields(store: ek.EventStore) -> None:
    """One row an event; in order of appearance, whatever is asked for."""
    store.append("a-1", [event(b=1), event(c=2, a=3)], metadata={"by": "ada"})
    store.append("b-1", ek.NewEvent(type="Loose", data={"a": 4}, occurred_at=START))
    frame = store.read().df()
    assert frame.columns.tolist() == [*ATTRIBUTES, "b", "c", "a"]
    assert [str(dtype) for dtype in frame.dtypes] == [*TYPES, "Int64", "Int64", "Int64"]
    assert frame["id"].tolist() == [str(e.id) for e in store.read()]
    assert frame["stream"].tolist() == ["a-1", "a-1", "b-1"]
    assert frame["version"].tolist() == [1, 2, 1]
    assert frame["recorded_at"].tolist() == [e.recorded_at for e in store.read()]
    assert frame["occurred_at"].isna().tolist() == [True, True, False]
    assert frame["metadata"].tolist() == [{"by": "ada"}, {"by": "ada"}, {}]
    assert frame["a"].tolist() == [pd.NA, 3, 4]
    backwards = store.read(backwards=True).df()
    assert backwards["position"].tolist() == [3, 2, 1]
    assert sorted(backwards.columns) == sorted(frame.columns)


def test_an_empty_frame_has_the_same_attributes_and_types(store: ek.EventStore) -> None:
    """Of an empty store, and of a read that finds nothing."""
    empty = store.read().df()
    store.append("a", event(x=1))
    for frame in (empty, store.read("nobody").df(), store.read(types=Framed).df(), store.read(limit=0).df()):
        assert frame.columns.tolist() == ATTRIBUTES
        assert [str(dtype) for dtype in frame.dtypes] == TYPES
        assert len(frame) == 0


def test_typed_fields_have_the_nullable_types(store: ek.EventStore) -> None:
    """Int64, Float64, boolean, string, times; all else is kept as objects."""
    store.append("a", [Framed(whole=1), Framed(whole=2, maybe=3)])
    store.append("a", event(other="x"))
    frame = store.read().df()
    assert {name: str(frame[name].dtype) for name in frame.columns[9:]} == {
        "whole": "Int64",
        "number": "Float64",
        "flag": "boolean",
        "text": "string",
        "at": "datetime64[us, UTC]",
        "price": "object",
        "many": "object",
        "maybe": "Int64",
        "other": "string",
    }
    assert frame["whole"].tolist() == [1, 2, pd.NA]
    assert frame["many"].tolist() == [(1, 2), (1, 2), None]
    assert frame["price"].tolist() == [Decimal("1.10"), Decimal("1.10"), None]
    assert frame["maybe"].tolist() == [pd.NA, 3, pd.NA]
    assert frame["at"].tolist()[:2] == [START, START]


def test_whole_numbers_are_exact_or_objects(store: ek.EventStore) -> None:
    """Never rounded."""
    store.append("a", [event(x=2**53 + 1, y=2**70, z=2**53 + 1), event(x=-(2**63), y=1, z=0.5)])
    frame = store.read().df()
    assert frame["x"].tolist() == [2**53 + 1, -(2**63)]
    assert frame["y"].tolist() == [2**70, 1]
    assert frame["z"].tolist() == [2**53 + 1, 0.5]
    assert [str(frame[name].dtype) for name in "xyz"] == ["Int64", "object", "object"]


def test_mixed_and_nested_values_are_objects(store: ek.EventStore) -> None:
    """As they are."""
    values = [1, "a", None, [1, [2]], {"b": {"c": 1}}, True, 1.5]
    store.append("a", [event(x=value) for value in values])
    frame = store.read().df()
    assert frame["x"].tolist() == values
    assert frame["x"].dtype == object


def test_a_field_that_is_named_like_an_attribute_gets_a_prefix(store: ek.EventStore) -> None:
    """`data_`; and no column stands twice."""
    store.append("a", event(**{"stream": 1, "id": 2, "data_stream": 3, "type": 4, "metadata": 5}))
    frame = store.read().df()
    assert frame.columns.is_unique
    assert frame.iloc[0][["data_stream", "data_id", "data_type", "data_metadata"]].tolist() == [1, 2, 4, 5]
    assert frame["stream"].tolist() == ["a"]
    assert 3 in frame.iloc[0].tolist()


def test_other_characters_become_underscores(store: ek.EventStore) -> None:
    """Altair reads dots and colons."""
    store.append("a", event(**{"org:resource": 1, "a.b": 2, "a:b": 3, "x y": 4, "größe": 5, "": 6, "[0]": 7}))
    frame = store.read().df()
    assert frame.columns.tolist()[9:] == ["org_resource", "a_b", "a_b_", "x_y", "größe", "_", "_0_"]
    assert frame.iloc[0].tolist()[9:] == [1, 2, 3, 4, 5, 6, 7]


class Open(ek.Event, type="Frames.Open", extra="allow"):
    a: int


def test_fields_beyond_an_open_class_are_columns_too(store: ek.EventStore) -> None:
    """A class that allows extra fields keeps them, so its frame shows them."""
    store.append("a", [Open(a=1, z=[1], id=4), Open(a=2, y=0.5)])
    frame = store.read().df()
    assert frame.columns.tolist()[9:] == ["a", "z", "data_id", "y"]
    assert frame["z"].tolist() == [[1], None]
    assert frame["y"].tolist() == [pd.NA, 0.5]
    with pytest.raises(ek.InputError, match=r"Frames\.Open\.z is \(1,\), which would read back as \[1\]"):
        store.append("a", Open(a=1, z=(1,)))


def test_a_field_whose_name_can_be_a_columns_keeps_it(store: ek.EventStore) -> None:
    """Whatever came before it in the log, so that `frame["a_b"]` is always the field `a_b`."""
    store.append("a", [event(**{"a.b": 1, "data_id": 2}), event(**{"a_b": 3, "id": 4})])
    frame = store.read().df()
    assert frame.columns.tolist()[9:] == ["a_b_", "data_id_", "a_b", "data_id"]
    assert frame[["a_b", "data_id"]].iloc[1].tolist() == [3, 4]
    assert frame[["a_b_", "data_id_"]].iloc[0].tolist() == [1, 2]


@given(st.lists(st.text(max_size=6), unique=True, max_size=8))
def test_column_names_are_plain_and_unique(fields: list[str]) -> None:
    """Whatever the fields are called."""
    names = field_names(fields, ATTRIBUTES)
    assert list(names) == fields
    assert len(set(names.values()) | set(ATTRIBUTES)) == len(fields) + len(ATTRIBUTES)
    assert all(re.fullmatch(r"\w+", name) for name in names.values())


def test_the_frame_holds_what_the_events_hold(store: ek.EventStore) -> None:
    """Typed and loose events interleaved over commits and streams."""
    for n in range(5):
        store.append_many([ek.Append("a", [Framed(whole=n), event(n=n)]), ek.Append("b", Framed(whole=-n, maybe=n))])
    frame = store.read(types=[Framed], after=2).df()
    events = list(store.read(types=[Framed], after=2))
    assert frame["whole"].tolist() == [e.data.whole for e in events]
    assert frame["stream"].tolist() == [e.stream for e in events]
    assert frame["maybe"].isna().tolist() == [e.data.maybe is None for e in events]
    assert "n" not in frame.columns


def test_streams_and_types_are_frames(store: ek.EventStore) -> None:
    """In order of appearance; empty ones have the same columns."""
    empty_streams, empty_types = store.streams(), store.types()
    store.append("b-1-x", event())
    store.append_many([ek.Append("a", [Framed(whole=1), event()]), ek.Append("b-1-x", event())])
    streams, types = store.streams(), store.types()
    assert streams.columns.tolist() == ["stream", "category", "version", "first_recorded_at", "last_recorded_at"]
    assert streams.drop(columns=["first_recorded_at", "last_recorded_at"]).values.tolist() == [
        ["b-1-x", "b", 2],
        ["a", "a", 2],
    ]
    later = START + pd.Timedelta("1min")
    assert streams["first_recorded_at"].tolist() == [START, later]
    assert streams["last_recorded_at"].tolist() == [later, later]
    assert types.columns.tolist() == ["type", "events", "schema_versions", "registered"]
    assert types.values.tolist() == [["Loose", 3, [1], False], ["Framed.One", 1, [1], True]]
    assert empty_streams.dtypes.tolist() == streams.dtypes.tolist()
    assert empty_types.dtypes.tolist() == types.dtypes.tolist()


def test_types_tell_every_schema_version_that_was_seen(store: ek.EventStore) -> None:
    """The log is never rewritten."""

    class Grown1(ek.Event, type="Grown"):
        a: int

    store.append("a", Grown1(a=1))

    class Grown2(ek.Event, type="Grown", version=2):
        a: int
        b: int = 0

    store.append("a", Grown2(a=2))
    assert store.types()["schema_versions"].tolist() == [[1, 2]]
    assert [e.data for e in store.read()] == [Grown2(a=1), Grown2(a=2)]
    assert [e.schema_version for e in store.read()] == [1, 2]


@pytest.mark.parametrize("changed", ["metadata", "many"])
def test_what_is_done_to_a_frame_does_not_reach_the_log(store: ek.EventStore, changed: str) -> None:
    """Every frame has its own objects."""
    store.append("a", [ek.NewEvent(type="Loose", data={"many": [1]}, metadata={"x": [1]}) for _ in range(2)])
    before = store.read().df()[changed].tolist()
    frame = store.read().df()
    first = frame[changed].iloc[0]
    first.update(y=2) if changed == "metadata" else first.append(2)
    assert store.read().df()[changed].tolist() == before
    assert frame[changed].iloc[1] == before[1]


@pytest.mark.parametrize("raw", [False, True])
def test_events_of_many_shapes_are_one_frame(store: ek.EventStore, raw: bool) -> None:
    """Hundreds of patterns of fields in a commit, those of a class among them; also when only some are asked for."""
    rows: list[Any] = [{f"f{i}": n for i in range(8) if n >> i & 1} for n in range(256)]
    store.append("a", [event(z=1)])
    store.append("a", [event(**row) if n % 50 else Framed(whole=n) for n, row in enumerate(rows)])
    for read in (store.read(), store.read(after=100), store.read(types="Loose", backwards=True)):
        events, frame = list(read), read.df(raw=raw)
        assert frame["position"].tolist() == [one.position for one in events]
        for one, row in zip(events, frame.to_dict("records"), strict=True):
            data = one.data if isinstance(one.data, dict) else {"whole": one.data.whole}
            found = row["data"] if raw else row
            assert all(found[name] == value for name, value in data.items())
            assert raw or all(
                pd.isna(row[name]) for name in frame.columns if name[0] == "f" and name not in (*data, "flag")
            )


def test_columns_are_the_same_whatever_else_is_installed(store: ek.EventStore) -> None:
    """With pyarrow, what pandas counts of its own text is of another type."""
    store.append("a-1", [event(n=1), event(n=2)])
    assert store.read().df()["stream"].value_counts().dtype == "Int64"
    assert store.streams()["category"].value_counts().dtype == "Int64"


APPENDS = st.lists(
    st.tuples(
        st.sampled_from(["a-1", "a-2", "b-1"]),
        st.sampled_from(["Loose", "Other"]),
        st.lists(st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=2), min_size=1, max_size=3),
        st.booleans(),
    ),
    max_size=12,
)


@given(APPENDS, st.integers(0, 8), st.integers(0, 4))
@settings(deadline=None)
def test_a_frame_of_small_commits_is_that_of_their_events(
    appends: list[tuple[str, str, list[dict[str, int]], bool]], after: int, cut: int
) -> None:
    """Small commits are put together before they become columns, whatever lies between them."""
    with ek.EventStore() as store:
        for stream, type_, data, has_metadata in appends:
            metadata = {"by": "ada"} if has_metadata else None
            store.append(stream, [ek.NewEvent(type=type_, data=one) for one in data], metadata=metadata)
        last = store.position
        asked = {"after": min(after, last), "as_of": max(last - cut, 0)}
        for more in ({}, {"category": "a"}, {"types": ["Loose"]}, {"backwards": True}, {"limit": 3}):
            if more.get("types") and "Loose" not in [type_ for _, type_, _, _ in appends]:
                continue
            frame, events = store.read(**asked, **more).df(raw=True), list(store.read(**asked, **more))
            for name in ("stream", "version", "position", "type", "recorded_at", "metadata", "data"):
                assert frame[name].tolist() == [getattr(event, name) for event in events], (name, more)
            assert frame["id"].tolist() == [str(event.id) for event in events]
        versions = {stream: store.version(stream) for stream in {stream for stream, *_ in appends}}
        assert dict(zip(store.streams()["stream"], store.streams()["version"], strict=True)) == versions

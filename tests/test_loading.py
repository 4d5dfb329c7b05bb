"""Loading a foreign log: what a row needs, what becomes of its cells, and when it was recorded."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eventsourcing_kit as ek

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COLUMNS = {"stream": "case", "type": "activity", "recorded_at": "time"}


class Priced(ek.Event, type="Loaded.Priced"):
    price: Decimal
    tags: tuple[str, ...] = ()
    note: str | None = None


def frame_of(n: int = 3, /, **columns: Any) -> pd.DataFrame:
    """Rows of three columns, a minute apart, and whatever else is given."""
    cases, times = [f"case-{i % 2}" for i in range(n)], [START + i * MINUTE for i in range(n)]
    return pd.DataFrame({"case": cases, "activity": "Done", "time": times} | columns)


def times_of(day: str) -> pd.Series[Any]:
    """Three times in UTC, of a range that only whole seconds reach."""
    return pd.Series(np.array([day] * 3, dtype="datetime64[s]")).dt.tz_localize("UTC")


def data_of(store: ek.EventStore) -> list[Any]:
    return [event.data for event in store.read()]


# rows become events


def test_rows_become_events_at_their_own_times(store: ek.EventStore) -> None:
    """`load` returns the position after them."""
    assert store.load(frame_of(3, who=["a", "b", "c"]), **COLUMNS) == 3
    events = list(store.read())
    assert [(e.stream, e.version, e.position) for e in events] == [("case-0", 1, 1), ("case-1", 1, 2), ("case-0", 2, 3)]
    assert [e.recorded_at for e in events] == [START, START + MINUTE, START + 2 * MINUTE]
    assert [(e.type, e.schema_version, e.occurred_at, e.metadata) for e in events] == [("Done", 1, None, {})] * 3
    assert data_of(store) == [{"who": "a"}, {"who": "b"}, {"who": "c"}]
    assert [e.id.int >> 80 for e in events] == [int(e.recorded_at.timestamp() * 1000) for e in events]


def test_from_frame_is_the_same_in_one_line() -> None:
    """In memory, with ids that a seed repeats."""
    with ek.from_frame(frame_of(), **COLUMNS, seed=1) as a, ek.from_frame(frame_of(), **COLUMNS, seed=1) as b:
        assert list(a.read()) == list(b.read())
        assert a.position == 3


def test_rows_are_ordered_by_time_and_equal_times_as_in_the_frame(store: ek.EventStore) -> None:
    """Whatever the frame's index says."""
    times = [START + MINUTE, START, START + MINUTE, START, START + 2 * MINUTE]
    store.load(
        pd.DataFrame({"case": "c", "activity": "A", "time": times, "n": range(5)}, index=[9, 8, 7, 7, 5]), **COLUMNS
    )
    assert [data["n"] for data in data_of(store)] == [1, 3, 0, 2, 4]
    assert [event.recorded_at for event in store.read()] == sorted(times)
    assert [event.version for event in store.read()] == [1, 2, 3, 4, 5]


def test_a_missing_cell_is_left_out_of_that_event(store: ek.EventStore) -> None:
    """None, NaN, NA and NaT; in a column of objects too."""
    store.load(
        frame_of(
            number=[1.5, np.nan, 2.5],
            whole=pd.array([1, None, 3], dtype="Int64"),
            flag=pd.array([True, None, False], dtype="boolean"),
            when=pd.to_datetime(["2026-01-05T09:00Z", None, "2026-01-06T09:00Z"], utc=True),
            mixed=[None, pd.NA, float("nan")],
            text=["a", None, ""],
        ),
        **COLUMNS,
    )
    assert data_of(store) == [
        {"number": 1.5, "whole": 1, "flag": True, "when": "2026-01-05T09:00:00+00:00", "text": "a"},
        {},
        {"number": 2.5, "whole": 3, "flag": False, "when": "2026-01-06T09:00:00+00:00", "text": ""},
    ]


def test_numpy_and_pandas_values_become_plain(store: ek.EventStore) -> None:
    """Also where they are nested, or in a column of objects."""
    values: list[Any] = [
        np.int64(2**62), np.float32(0.5), np.bool_(True), np.array([1, 2]), [np.int8(1), (2.5,)], {"a": np.str_("b")},
        pd.Timestamp("2026-01-05", tz="UTC"), date(2026, 1, 5), uuid.UUID(int=1), Decimal("1.10"),
        np.datetime64("2026-01-05"), 10**30, pd.Timedelta("1min"), "ä😀", True,
        timedelta(days=1, seconds=2), np.timedelta64(5, "s"), [timedelta(minutes=1)],
    ]  # fmt: skip
    n = len(values)
    store.load(
        frame_of(
            n,
            value=pd.Series(values, dtype=object),
            kind=pd.Categorical(["x", "y", "x"] * (n // 3)),
            u8=np.arange(n, dtype=np.uint8),
            f4=np.full(n, 0.25, dtype=np.float32),
        ),
        **COLUMNS,
    )
    found = data_of(store)
    assert [row["value"] for row in found] == [
        2**62, 0.5, True, [1, 2], [1, [2.5]], {"a": "b"},
        "2026-01-05T00:00:00+00:00", "2026-01-05", str(uuid.UUID(int=1)), "1.10", found[10]["value"],
        10**30, "P0DT0H1M0S", "ä😀", True,
        "P1DT0H0M2S", "P0DT0H0M5S", ["P0DT0H1M0S"],
    ]  # fmt: skip
    assert found[10]["value"].startswith("2026-01-05")
    assert [type(row["u8"]) for row in found] == [int] * n
    assert [(row["kind"], row["u8"], row["f4"]) for row in found[:2]] == [("x", 0, 0.25), ("y", 1, 0.25)]


@pytest.mark.parametrize(
    "times",
    [
        [START.isoformat(), "2026-01-05T10:01:00+01:00", "2026-01-05 09:02:00Z"],
        pd.Series(pd.to_datetime(["2026-01-05T09:00Z", "2026-01-05T09:01Z", "2026-01-05T09:02Z"], utc=True)),
        pd.Series(pd.date_range(START, periods=3, freq="1min").tz_convert("Asia/Tokyo").as_unit("ns")),
        pd.Series([START, START + MINUTE, (START + 2 * MINUTE).astimezone(timezone(MINUTE * 330))], dtype=object),
        pd.Series([pd.Timestamp(START) + i * MINUTE for i in range(3)], dtype=object),
    ],
)
def test_times_come_in_every_shape(store: ek.EventStore, times: Any) -> None:
    """ISO text with mixed offsets, any unit and zone, objects."""
    store.load(frame_of().assign(time=times), **COLUMNS)
    assert [event.recorded_at for event in store.read()] == [START, START + MINUTE, START + 2 * MINUTE]


def test_finer_times_are_floored_quietly(store: ek.EventStore) -> None:
    """Before 1970 as well."""
    stamps = [pd.Timestamp("1969-12-31T23:59:59.999999999Z"), pd.Timestamp("2026-01-05T09:00:00.000000999Z")]
    for times in (stamps, pd.Series(stamps, dtype=object)):
        with ek.from_frame(frame_of(2).assign(time=times), **COLUMNS) as made:
            assert [event.recorded_at for event in made.read()] == [
                datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), START,
            ]  # fmt: skip


def test_occurred_at_and_id_are_taken_from_named_columns(store: ek.EventStore) -> None:
    """And are no payload then."""
    ids = [uuid.UUID(int=n) for n in (3, 1, 2)]
    occurred = [START - timedelta(days=n) for n in range(3)]
    frame = frame_of(happened=occurred, key=[ids[0], str(ids[1]), ids[2].hex], n=[1, 2, 3])
    store.load(frame, **COLUMNS, occurred_at="happened", id="key")
    assert [(e.id, e.occurred_at, e.data) for e in store.read()] == [
        (one, time, {"n": n}) for one, time, n in zip(ids, occurred, (1, 2, 3), strict=True)
    ]


def test_rows_of_a_registered_type_become_its_class(store: ek.EventStore) -> None:
    """Cells are held to the class; what it cannot take is an error that names row, field and value."""
    frame = frame_of(2, activity="Loaded.Priced", price=["1.10", "2"], tags=[["a"], []])
    store.load(frame, **COLUMNS)
    assert data_of(store) == [Priced(price=Decimal("1.10"), tags=("a",)), Priced(price=Decimal(2))]
    for bad, says in ((frame.assign(price=["1", "dear"]), "dear"), (frame.assign(colour="red"), "colour")):
        with ek.EventStore() as other:
            with pytest.raises(ek.InputError, match=rf"row .*{says}.*class Priced"):
                other.load(bad, **COLUMNS)
            assert other.position == 0


def test_streams_may_be_whole_numbers_or_categories(store: ek.EventStore) -> None:
    """As many logs have them; they are written as text."""
    store.load(frame_of(2, case=[1, 20]), **COLUMNS)
    store.load(frame_of(2, case=pd.Categorical(["x", "y"]), time=[START + timedelta(days=1)] * 2), **COLUMNS)
    assert [event.stream for event in store.read()] == ["1", "20", "x", "y"]


def test_column_names_of_any_kind_become_fields(store: ek.EventStore) -> None:
    """Dots, colons, and numbers, which become text."""
    frame = frame_of(1, **{"org:resource": ["Ada"], "a.b": [1]})
    frame[7] = [2]
    store.load(frame, **COLUMNS)
    assert data_of(store) == [{"org:resource": "Ada", "a.b": 1, "7": 2}]


def test_an_empty_frame_loads_nothing(store: ek.EventStore) -> None:
    """Whatever types its columns have."""
    for empty in (frame_of().iloc[:0], pd.DataFrame(columns=["case", "activity", "time"]), frame_of(0)):
        assert store.load(empty, **COLUMNS) == 0
    naive = pd.DataFrame({"case": [], "activity": [], "time": pd.to_datetime([])})
    assert store.load(naive, **COLUMNS) == 0


def test_the_frame_itself_is_left_as_it_was(store: ek.EventStore) -> None:
    """Not sorted, not converted."""
    frame = frame_of(3, x=[{"a": 1}, None, [1]]).iloc[::-1]
    copy = frame.copy(deep=True)
    store.load(frame, **COLUMNS)
    pd.testing.assert_frame_equal(frame, copy)


def test_many_rows_become_commits_of_many_rows(folder: Path) -> None:
    """25,000 rows in 500 streams read back in order, from few commits, and appends go on after them."""
    n = 25_000
    frame = frame_of(n, case=[f"case-{i * 7 % 500}" for i in range(n)], n=np.arange(n))
    with ek.EventStore(folder, fsync=False) as store:
        assert store.load(frame, **COLUMNS, progress=False) == n
    with ek.EventStore(folder, fsync=False) as store:
        back = store.read().df()
        assert back["n"].tolist() == list(range(n))
        assert back["stream"].tolist() == frame["case"].tolist()
        assert back["version"].tolist() == (frame.groupby("case").cumcount() + 1).tolist()
        assert store.version("case-7") == n // 500
        assert store.append("case-7", ek.NewEvent(type="T"), expected_version=n // 500).position == n + 1


# rows that cannot become events


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"case": ["a", None, "c"]}, ["row 1", "'case'", "missing", "frame.dropna(subset=['case'])"]),
        ({"case": ["a", np.nan, "c"]}, ["row 1", "'case'", "missing"]),
        ({"case": ["a", "", "c"]}, ["row 1", "'case'", "''"]),
        ({"case": ["a", "x" * 1025, "c"]}, ["row 1", "'case'", "1025 bytes"]),
        ({"case": ["a", "\ud800", "c"]}, ["row 1", "'case'", "surrogate"]),
        ({"case": [1.5, 2.5, 3.5]}, ["row 0", "'case'", "1.5"]),
        ({"activity": ["A", pd.NA, "C"]}, ["row 1", "'activity'", "missing"]),
        ({"activity": ["A", "", "C"]}, ["row 1", "'activity'", "''"]),
        ({"time": [START, pd.NaT, START]}, ["row 1", "'time'", "missing", "frame.dropna(subset=['time'])"]),
        ({"time": [START.isoformat(), "noon", START.isoformat()]}, ["row 1", "'time'", "'noon'", "pd.to_datetime"]),
        ({"time": pd.date_range("2026-01-05", periods=3)}, ["row 0", "'time'", "2026-01-05", "tz_localize"]),
        ({"time": ["2026-01-05T09:00:00"] * 3}, ["row 0", "'time'", "2026-01-05T09:00:00", "utc=True"]),
        ({"time": [1, 2, 3]}, ["row 0", "'time'", "1", "pd.to_datetime"]),
        ({"x": [1.0, np.inf, np.nan]}, ["row 1", "'x'", "inf"]),
        ({"x": pd.Series(["a", -np.inf, None], dtype=object)}, ["row 1", "'x'", "-inf"]),
        ({"x": ["a", "\ud83d", None]}, ["row 1", "'x'", "surrogate"]),
        ({"x": [None, {"deep": [float("nan")]}, 1]}, ["row 1", "'x'", "nan"]),
        ({"x": ["a", object(), "b"]}, ["row 1", "'x'", "object"]),
        ({"x": ["a", b"raw", "b"]}, ["row 1", "'x'", "raw"]),
        ({"x": ["a", {1: 2}, "b"]}, ["row 1", "'x'", "{1: 2}"]),
        ({"x": ["a", {"deep": pd.NaT}, "b"]}, ["row 1", "'x'", "NaT"]),
        ({"x": ["a", {"deep": np.datetime64("NaT")}, "b"]}, ["row 1", "'x'", "NaT"]),
        ({"x": ["a", 10**4300, "b"]}, ["row 1", "'x'", "4300 digits"]),
        ({"x": [1 + 2j, 1j, 2j]}, ["row 0", "'x'", "(1+2j)"]),
        ({"time": ["0001-01-01T00:00:00+05:00"] * 3}, ["row 0", "'time'", "0001-01-01", "years 1 to 9999"]),
        ({"time": times_of("-0100-01-01")}, ["row 0", "'time'", "-100-01-01", "years 1 to 9999"]),
        ({"time": times_of("12000-01-01")}, ["row 0", "'time'", "12000-01-01", "years 1 to 9999"]),
        ({"time": times_of("3000000000-01-01")}, ["row 0", "'time'", "3000000000-01-01", "years 1 to 9999"]),
        ({"time": times_of("12000-01-01").astype(object)}, ["row 0", "'time'", "12000-01-01", "years 1 to 9999"]),
    ],
)
def test_one_error_names_row_column_and_value(store: ek.EventStore, columns: dict[str, Any], says: list[str]) -> None:
    """Everything is checked first; nothing is loaded."""
    with pytest.raises(ek.InputError) as error:
        store.load(frame_of(**columns), **COLUMNS)
    assert all(part in str(error.value) for part in says), str(error.value)
    assert store.position == 0


@pytest.mark.parametrize("given", ["orders.csv", [{"case": "a"}], None])
def test_what_is_no_frame_is_told_how_to_become_one(store: ek.EventStore, given: Any) -> None:
    with pytest.raises(ek.InputError, match=r"takes a pandas DataFrame, not \w+; make one: pd\.read_csv"):
        store.load(given, **COLUMNS)


def test_a_row_is_named_as_people_label_it(store: ek.EventStore) -> None:
    """Also where the rows come in another order than their times, and numpy's numbers label them."""
    frame = frame_of(case=["a", "b", None])[::-1]
    with pytest.raises(ek.InputError, match=r"^row 2, column 'case' is missing"):
        store.load(frame, **COLUMNS)
    typed = frame_of(activity="Loaded.Priced", price=["1", "2", None])[::-1]
    with pytest.raises(ek.InputError, match=r"^row 2, field 'price' is missing, which does not fit"):
        store.load(typed, **COLUMNS)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"happened": [START, pd.NaT, START]}, ["row 1", "'happened'", "missing"]),
        ({"happened": ["2026-01-05T09:00:00"] * 3}, ["row 0", "'happened'", "offset"]),
        ({"key": ["x"] * 3}, ["row 0", "'key'", "'x'", "no UUID"]),
        ({"key": [uuid.UUID(int=1)] * 3}, ["row 1", "'key'", "earlier row"]),
        ({"key": [uuid.UUID(int=1), None, uuid.UUID(int=2)]}, ["row 1", "'key'", "missing"]),
    ],
)
def test_named_columns_are_needed_in_every_row(store: ek.EventStore, columns: dict[str, Any], says: list[str]) -> None:
    """A named occurred_at or id column too."""
    named = {"occurred_at": "happened"} if "happened" in columns else {"id": "key"}
    with pytest.raises(ek.InputError) as error:
        store.load(frame_of(**columns), **COLUMNS, **named)
    assert all(part in str(error.value) for part in says), str(error.value)
    assert store.position == 0


@pytest.mark.parametrize(
    ("frame", "columns", "says"),
    [
        (frame_of(), COLUMNS | {"stream": "nope"}, ["stream='nope'", "no such column", "'case'"]),
        (frame_of(), COLUMNS | {"id": "nope"}, ["id='nope'", "no such column"]),
        ([{"case": 1}], COLUMNS, ["DataFrame", "list"]),
        (pd.concat([frame_of(), frame_of()[["case"]]], axis=1), COLUMNS, ["'case' twice"]),
        (frame_of().set_index("time"), COLUMNS, ["'time'", "in the index", "reset_index()"]),
        (pd.concat({"log": frame_of()}, axis=1), COLUMNS, ["2 levels", "('log', 'case')", "flatten"]),
    ],
)
def test_a_frame_without_the_columns_is_refused(
    store: ek.EventStore, frame: Any, columns: Any, says: list[str]
) -> None:
    """The error names what is there."""
    with pytest.raises(ek.InputError) as error:
        store.load(frame, **columns)
    assert all(part in str(error.value) for part in says), str(error.value)


def test_rows_may_not_lie_before_the_stores_last_event(store: ek.EventStore) -> None:
    """At the same time they may."""
    store.append("a", ek.NewEvent(type="T"))
    with pytest.raises(ek.InputError, match=r"first time, 2026-01-05T08:59:59\.999999.*before the store's last event"):
        store.load(frame_of().assign(time=[START, START + MINUTE, START - timedelta(microseconds=1)]), **COLUMNS)
    assert store.position == 1
    assert store.load(frame_of(), **COLUMNS) == 4


def test_appends_after_a_load_come_later_than_its_last_row() -> None:
    """Even where the log's last time is in the future."""
    with ek.EventStore(clock=lambda: START) as store:
        store.load(frame_of(3), **COLUMNS)
        event = store.append("a", ek.NewEvent(type="T")).events[0]
        assert event.recorded_at == START + 2 * MINUTE + timedelta(microseconds=1)


def test_an_id_that_the_store_has_is_refused(store: ek.EventStore) -> None:
    """Loading the same log again loads nothing."""
    frame = frame_of(key=[str(uuid.UUID(int=n)) for n in range(1, 4)])
    store.load(frame, **COLUMNS, id="key")
    later = frame.assign(time=frame["time"] + timedelta(days=1))
    with pytest.raises(ek.InputError, match="00000000-0000-0000-0000-000000000001 is in the store already"):
        store.load(later, **COLUMNS, id="key")
    assert store.position == 3


def test_a_progress_bar_shows_only_where_it_is_asked_for(
    store: ek.EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays out of test output."""
    store.load(frame_of(), **COLUMNS)
    assert capsys.readouterr() == ("", "")
    store.load(frame_of().assign(time=START + timedelta(days=1)), **COLUMNS, progress=True)
    assert "/3 [" in capsys.readouterr().err

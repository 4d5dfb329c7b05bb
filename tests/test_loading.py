"""Loading a log: what a row needs, what becomes of its cells, when it was recorded, and what is there already."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator

import eventsourcing_kit as ek
from eventsourcing_kit.reading import progress
from tests.faults import storing, writer_of

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
        ({"case": pd.Series(["a", "\ud800", "c"], dtype=object)}, ["row 1", "'case'", "surrogate"]),
        ({"case": [1.5, 2.5, 3.5]}, ["row 0", "'case'", "1.5"]),
        ({"activity": ["A", pd.NA, "C"]}, ["row 1", "'activity'", "missing"]),
        ({"activity": ["A", "", "C"]}, ["row 1", "'activity'", "''"]),
        ({"time": [START, pd.NaT, START]}, ["row 1", "'time'", "missing", "frame.dropna(subset=['time'])"]),
        ({"time": [START.isoformat(), "noon", START.isoformat()]}, ["row 1", "'time'", "'noon'", "pd.to_datetime"]),
        ({"time": pd.date_range("2026-01-05", periods=3)}, ["row 0", "'time'", "2026-01-05", "tz='UTC'"]),
        ({"time": ["2026-01-05T09:00:00"] * 3}, ["row 0", "'time'", "2026-01-05T09:00:00", "tz='UTC'"]),
        ({"time": [1, 2, 3]}, ["row 0", "'time'", "1", "unit='s'"]),
        ({"x": [1.0, np.inf, np.nan]}, ["row 1", "'x'", "inf"]),
        ({"x": pd.Series(["a", -np.inf, None], dtype=object)}, ["row 1", "'x'", "-inf"]),
        ({"x": pd.Series(["a", "\ud83d", None], dtype=object)}, ["row 1", "'x'", "surrogate"]),
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


@pytest.mark.parametrize("given", [b"orders.csv", [{"case": "a"}], None])
def test_what_is_no_frame_is_told_how_to_become_one(store: ek.EventStore, given: Any) -> None:
    with pytest.raises(
        ek.InputError, match=r"takes a pandas DataFrame or the path of a file, not \w+; make one: pd\.read_csv"
    ):
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
        ({"key": ["x"] * 3}, ["row 1", "'key'", "'x'", "earlier row", "frame.drop_duplicates('key')"]),
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


def test_a_progress_bar_shows_only_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """It stays out of test output, and can be had and turned off in every call that shows one."""
    ek.from_frame(frame_of(), **COLUMNS, progress=False)
    with ek.from_frame(frame_of(), **COLUMNS) as store:
        store.verify()
        assert capsys.readouterr() == ("", "")
        store.load(frame_of().assign(time=START + timedelta(days=1)), **COLUMNS, progress=True)
        assert "/3 [" in capsys.readouterr().err


def test_a_long_load_leaves_no_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cell shows is saved with it; a terminal forgets."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    for is_terminal in (False, True):
        shown = StringIO()
        monkeypatch.setattr(shown, "isatty", lambda is_terminal=is_terminal: is_terminal)
        monkeypatch.setattr("sys.stderr", shown)
        with progress.bar(9, None, worth_it=True) as advance:
            advance(9)
        assert bool(shown.getvalue()) == is_terminal


# times that may mean several


@pytest.mark.parametrize(
    ("times", "how", "wanted"),
    [
        ([1_440_509_729], {"unit": "s"}, ["2015-08-25T13:35:29"]),
        ([1_440_509_729.25], {"unit": "s"}, ["2015-08-25T13:35:29.250000"]),
        (["1440509729123"], {"unit": "ms"}, ["2015-08-25T13:35:29.123000"]),
        ([1_440_509_729_123_456_789], {"unit": "ns"}, ["2015-08-25T13:35:29.123456"]),
        ([-1], {"unit": "us"}, ["1969-12-31T23:59:59.999999"]),
        (["03/04/2025 8:00Z"], {"dayfirst": True}, ["2025-04-03T08:00:00"]),
        (["03.04.2025 08:00+02:00"], {"dayfirst": False}, ["2025-03-04T06:00:00"]),
        (["31-12-2025"], {"dayfirst": True, "tz": "UTC"}, ["2025-12-31T00:00:00"]),
        (["2025-06-01 10:00:00"], {"tz": "Europe/Berlin"}, ["2025-06-01T08:00:00"]),
        (["2025-06-01"], {"tz": "Europe/Berlin"}, ["2025-05-31T22:00:00"]),
        ([date(2025, 6, 1)], {"tz": "Asia/Tokyo"}, ["2025-05-31T15:00:00"]),
        (pd.to_datetime(["2025-01-01 10:00"]), {"tz": "Europe/Berlin"}, ["2025-01-01T09:00:00"]),
        (["2025-06-01T10:00Z"], {"tz": "Europe/Berlin"}, ["2025-06-01T10:00:00"]),
        (["2025-01-01T24:00:00Z"], {}, ["2025-01-02T00:00:00"]),
        (["2025-12-31T24:00"], {"tz": "Europe/Berlin"}, ["2025-12-31T23:00:00"]),
    ],
)
def test_how_times_are_written_can_be_said(times: Any, how: dict[str, Any], wanted: list[str]) -> None:
    """Units of numbers, zones of times without one, days before months; 24:00 is the next day's first moment."""
    with ek.from_frame(frame_of(len(times)).assign(time=times), **COLUMNS, **how) as store:
        assert [event.recorded_at for event in store.read()] == [
            datetime.fromisoformat(f"{one}+00:00") for one in wanted
        ]


@pytest.mark.parametrize(
    ("time", "says", "cure", "wanted"),
    [
        (1_440_509_729, "unit='s' takes it for 2015-08-25T13:35:29Z", {"unit": "s"}, "2015-08-25T13:35:29"),
        ("1511011200000", "unit='ms' takes it for 2017-11-18T13:20:00Z", {"unit": "ms"}, "2017-11-18T13:20:00"),
        ("03/04/2025 08:00Z", "dayfirst=True takes it for 2025-04-03", {"dayfirst": True}, "2025-04-03T08:00:00"),
        ("2025-06-01 10:00", "tz='UTC'", {"tz": "UTC"}, "2025-06-01T10:00:00"),
        (
            "25/04/2025 08:00Z",
            "first: dayfirst=True takes it",
            {"dayfirst": True},
            "2025-04-25T08:00:00",
        ),
        (
            "04/25/2025 08:00Z",
            "first: dayfirst=False takes it",
            {"dayfirst": False},
            "2025-04-25T08:00:00",
        ),
    ],
)
def test_a_time_that_may_mean_several_is_refused_and_the_cure_works(
    time: Any, says: str, cure: dict[str, Any], wanted: str
) -> None:
    frame = frame_of(1, time=[time])
    with pytest.raises(ek.InputError, match="row 0, column 'time'") as error:
        ek.from_frame(frame, **COLUMNS)
    assert says in str(error.value)
    with ek.from_frame(frame, **COLUMNS, **cure) as store:
        assert [event.recorded_at.isoformat() for event in store.read()] == [f"{wanted}+00:00"]


@pytest.mark.parametrize(
    ("time", "how", "says", "wanted"),
    [
        ("2025-10-26 02:30", {"tz": "Europe/Berlin"}, "exists twice in Europe/Berlin", "2025-10-26T00:30:00"),
        ("2025-03-30 02:30", {"tz": "Europe/Berlin"}, "does not exist in Europe/Berlin", "2025-03-30T01:00:00"),
        ("30/03/2025 02:30", {"tz": "Europe/Berlin", "dayfirst": True}, "does not exist", "2025-03-30T01:00:00"),
        ("05/10/2025 02:30", {"tz": "Australia/Sydney", "dayfirst": True}, "does not exist", "2025-10-04T16:00:00"),
        ("2016-12-31T23:59:60Z", {}, "a leap second", "2016-12-31T23:59:59.999999"),
        ("1 Jun 2025 10:00", {"tz": "UTC"}, "no ISO time", "2025-06-01T10:00:00"),
    ],
)
def test_a_time_that_no_clock_shows_is_refused_and_the_cure_in_the_error_works(
    time: str, how: dict[str, Any], says: str, wanted: str
) -> None:
    """The statement in the message is run as it stands."""
    frame = frame_of(2, time=["2016-12-30T10:00:00", time])
    with pytest.raises(ek.InputError, match=f"row 1, column 'time' is '{time}'.*{says}") as error:
        ek.from_frame(frame.iloc[1:], **COLUMNS, **how)
    found = re.search(r"frame\['time'\] = (.+?'\)|.+?=True\))(?=,? |$)", str(error.value))
    assert found is not None
    frame = frame.iloc[1:].copy()
    exec(found[0], {"frame": frame, "pd": pd})
    with ek.from_frame(frame, **COLUMNS, **how) as store:
        assert [event.recorded_at.isoformat() for event in store.read()] == [f"{wanted}+00:00"]


@pytest.mark.parametrize("time", ["2025-03-30 02:30", datetime(2025, 3, 30, 2, 30), pd.Timestamp("2025-10-26 02:30")])
def test_such_a_time_among_times_with_an_offset_gets_its_own(time: Any) -> None:
    """No call of pandas' converts both kinds at once."""
    frame = frame_of(2, time=[time, "2025-11-30T10:00:00Z"])
    with pytest.raises(ek.InputError, match="write it with its offset") as error:
        ek.from_frame(frame, **COLUMNS, tz="Europe/Berlin")
    found = re.search(r"frame\.loc\[.+\] = '[^']+'", str(error.value))
    assert found is not None
    exec(found[0], {"frame": frame, "pd": pd})
    with ek.from_frame(frame, **COLUMNS, tz="Europe/Berlin") as store:
        wanted = "2025-10-26T00:30:00+00:00" if "10-26" in str(time) else "2025-03-30T01:00:00+00:00"
        assert store.read(limit=1).df()["recorded_at"][0].isoformat() == wanted


@pytest.mark.parametrize(
    ("how", "says"),
    [({"unit": "sec"}, "'s', 'ms'"), ({"tz": "Berlin"}, "no time zone"), ({"dayfirst": "yes"}, "dayfirst is 'yes'")],
)
def test_how_times_are_written_is_checked(how: dict[str, Any], says: str) -> None:
    with pytest.raises(ek.InputError, match=says):
        ek.from_frame(frame_of(1), **COLUMNS, **how)


@pytest.mark.parametrize("as_text", [False, True])
def test_times_that_differ_below_a_microsecond_order_the_rows(as_text: bool) -> None:
    """Though they are recorded as equal."""
    times = [f"2026-01-05T09:00:00.000000{n:03}Z" for n in (300, 100, 200)]
    frame = frame_of(3, n=[3, 1, 2], time=times if as_text else pd.to_datetime(times, utc=True))
    with ek.from_frame(frame, **COLUMNS) as store:
        assert data_of(store) == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert {event.recorded_at for event in store.read()} == {START}


# streams, ids and data


def test_whole_numbers_that_a_missing_cell_made_floats_name_streams(store: ek.EventStore) -> None:
    """Others don't: they were rounded, and several may have become one."""
    store.load(frame_of(3, case=[1.0, np.nan, 20.0]).dropna(), **COLUMNS)
    assert [event.stream for event in store.read()] == ["1", "20"]
    with pytest.raises(ek.InputError, match=r"row 0, column 'case' is 1e\+18, .*dtype=\{'case': str\}"):
        store.load(frame_of(1, case=[1e18]), **COLUMNS)


def test_several_columns_as_the_stream_are_refused_and_the_cure_works(store: ek.EventStore) -> None:
    frame = frame_of(2, region=["n", "s"])
    with pytest.raises(ek.InputError, match="several columns") as error:
        store.load(frame, **COLUMNS | {"stream": ["case", "region"]})
    exec(str(error.value).partition("make one of them: ")[2], {"frame": frame})
    store.load(frame, **COLUMNS | {"stream": "stream"})
    assert [event.stream for event in store.read()] == ["case-0-n", "case-1-s"]


def test_columns_may_be_labelled_by_anything(store: ek.EventStore) -> None:
    """Numbers, times and tuples; roles, too."""
    frame = frame_of(1).rename(columns={"case": 0, "activity": ("a", 1), "time": START})
    store.load(frame.assign(x=1), stream=0, type=("a", 1), recorded_at=START)
    assert [(event.stream, event.type, event.data) for event in store.read()] == [("case-0", "Done", {"x": 1})]


def test_ids_that_are_no_uuids_become_some(store: ek.EventStore) -> None:
    """Their text stays in the metadata, beside what a column of it says."""
    frame = frame_of(2, key=["evt_1", 7], meta=[{"by": "ada"}, '{"by": "bob"}'])
    store.load(frame, **COLUMNS, id="key", metadata="meta")
    assert [(event.id, event.metadata) for event in store.read()] == [
        (uuid.uuid5(uuid.NAMESPACE_URL, "evt_1"), {"by": "ada", "original_id": "evt_1"}),
        (uuid.uuid5(uuid.NAMESPACE_URL, "7"), {"by": "bob", "original_id": "7"}),
    ]


def test_a_column_may_hold_all_that_events_say(store: ek.EventStore) -> None:
    """As dicts or JSON; a class is held to it as to cells."""
    payload = [{"a": None, "b": [1]}, '{"a": 1.5}', None]
    store.load(frame_of(3, payload=payload), **COLUMNS, data="payload")
    assert data_of(store) == [{"a": None, "b": [1]}, {"a": 1.5}, {}]
    typed = frame_of(1, activity="Loaded.Priced", payload=[{"price": "2"}], time=[START + timedelta(days=1)])
    store.load(typed, **COLUMNS, data="payload")
    assert data_of(store)[-1] == Priced(price=Decimal(2))
    for bad, says in ((frame_of(1, payload=["[1]"]), "give a dict"), (frame_of(1, payload=[{}], x=1), "more columns")):
        with pytest.raises(ek.InputError, match=says):
            store.load(bad, **COLUMNS, data="payload")


class Counted(ek.Event, type="Loaded.Counted"):
    n: int
    note: str = "none"
    maybe: int | None = None


def test_cells_become_a_classs_values_with_its_defaults(store: ek.EventStore) -> None:
    """A column that is empty for a type is none of its fields; each type of a frame has its own."""
    frame = frame_of(3, activity=["Loaded.Counted", "Other", "Loaded.Counted"], n=[1, 2, 3], note=["a", None, None])
    store.load(frame.assign(other=[None, "x", None]), **COLUMNS)
    assert data_of(store) == [Counted(n=1, note="a"), {"n": 2, "other": "x"}, Counted(n=3)]
    assert store.read().df(raw=True)["data"].tolist()[2] == {"n": 3, "note": "none", "maybe": None}


@given(st.lists(st.dictionaries(st.sampled_from("abcde"), st.integers(-99, 99), max_size=5), min_size=1, max_size=30))
def test_a_frame_with_holes_loads_cell_by_cell(rows: list[dict[str, int]]) -> None:
    """Whatever pattern they make: rows are grouped by it, and come back each as it is."""
    cells = {name: pd.array([row.get(name) for row in rows], dtype="Int64") for name in "abcde"}
    activity = [f"T{len(row) % 2}" for row in rows]
    with ek.from_frame(frame_of(len(rows), activity=activity, **cells), **COLUMNS) as store:
        assert data_of(store) == rows
        assert [event.type for event in store.read()] == activity
        frame = store.read().df()
        for name in [name for name in "abcde" if any(name in row for row in rows)]:
            assert frame[name].tolist() == [row.get(name, pd.NA) for row in rows]


# the kit's own frames


def facts(store: ek.EventStore) -> list[tuple[Any, ...]]:
    """All that makes events equal."""
    return [
        (
            e.position,
            e.stream,
            e.version,
            e.id,
            e.recorded_at,
            e.occurred_at,
            e.type,
            e.schema_version,
            e.data,
            e.metadata,
        )
        for e in store.read()
    ]


def varied_store() -> ek.EventStore:
    store = ek.EventStore(clock=ek.testing.clock(START, step="1min"))
    store.append("a-1", [Counted(n=1), Counted(n=2, maybe=3)], metadata={"by": "ada"})
    store.append(
        "b", ek.NewEvent(type="Loose", data={"x": None, "id": [1], "org:unit": {"deep": 1}}, occurred_at=START)
    )
    store.append("b", ek.NewEvent(type="Loose", id=uuid.UUID(int=5)))
    return store


def test_the_kits_own_raw_frame_needs_no_names_and_comes_back_equal() -> None:
    """Null and absent, supplied ids and made ones, fields of any name; also when its rows stand in another order."""
    with varied_store() as store:
        raw = store.read().df(raw=True)
        assert raw["data"].tolist()[2] == {"x": None, "id": [1], "org:unit": {"deep": 1}}
        for frame in (raw, raw.iloc[::-1], pd.concat([raw.iloc[2:], raw.iloc[:2]])):
            with ek.from_frame(frame) as again:
                assert facts(again) == facts(store)
                assert again.load(frame, known="skip") == 4
        unmarked = raw.copy()
        unmarked.attrs.clear()
        with pytest.raises(ek.InputError, match="data='data'"):
            ek.from_frame(unmarked)
        with ek.from_frame(unmarked, data="data") as again:
            assert facts(again) == facts(store)


def test_the_kits_own_plain_frame_comes_back_as_todays_classes_see_it() -> None:
    """Null and absent are one there."""
    with varied_store() as store, ek.from_frame(store.read().df()) as again:
        whole, found = facts(store), facts(again)
        assert found[2][8] == {"id": [1], "org:unit": {"deep": 1}}
        assert [one[:8] for one in found] == [one[:8] for one in whole]
        assert [one[8] for one in found[:2]] == [Counted(n=1), Counted(n=2, maybe=3)]
        named = store.read().df().drop(columns="occurred_at")
        with ek.from_frame(named, stream="stream", type="type", recorded_at="recorded_at", id="id") as third:
            assert [one[8] for one in facts(third)] == [one[8] for one in found]


def test_a_raw_frame_keeps_what_was_stored_by_older_classes() -> None:
    """Type, schema version and data; the plain one shows what today's class makes of it."""

    class Old(ek.Event, type="Loaded.Old"):
        a: int

    with ek.EventStore() as store:
        store.append("s", Old(a=1))

        class New(ek.Event, type="Loaded.New", version=2, renamed_from="Loaded.Old"):
            b: int

        ek.upcast(New, from_version=1)(lambda data: {"b": data["a"]})
        raw = store.read().df(raw=True)
        assert raw[["type", "schema_version", "data"]].values.tolist() == [["Loaded.Old", 1, {"a": 1}]]
        with ek.from_frame(raw) as again, ek.from_frame(store.read().df()) as today:
            assert facts(again) == facts(store)
            assert [(e.schema_version, e.data) for e in today.read()] == [(2, New(b=1))]


# loading again


class Stamped(ek.Event, type="Loaded.Stamped"):
    n: int
    token: str = Field(default_factory=lambda: uuid.uuid4().hex)


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("type_", ["Done", "Loaded.Stamped"])
def test_the_same_log_can_be_loaded_again_and_only_what_is_new_is_stored(key: str | None, type_: str) -> None:
    """With ids and without; equal rows count, and what a class makes up itself does not."""
    frame = frame_of(6, activity=type_, n=[1, 2, 2, 3, 4, 5], time=[START] * 3 + [START + MINUTE] * 3)
    frame = frame.assign(case="c", key=[f"e{i}" for i in range(6)])
    how = COLUMNS | {"known": "skip"} | ({"id": key} if key else {})
    frame = frame if key else frame.drop(columns="key")
    with ek.EventStore() as store:
        assert store.load(frame.iloc[:4], **how) == 4
        before = facts(store)
        assert store.load(frame, **how) == 6
        assert store.load(frame, **how) == 6
        assert facts(store)[:4] == before
        get = (lambda data: data["n"]) if type_ == "Done" else (lambda data: data.n)
        assert [get(data) for data in data_of(store)] == [1, 2, 2, 3, 4, 5]
        assert store.verify().ok


def test_ids_of_rows_without_are_made_of_what_they_say(store: ek.EventStore) -> None:
    """So that another program can make them, too."""
    store.load(frame_of(2, case="c", time=[START] * 2, x="ä"), **COLUMNS, known="skip")
    assert [event.id for event in store.read()] == [
        uuid.uuid5(uuid.NAMESPACE_URL, f'["c","Done","2026-01-05T09:00:00Z",null,{{"x":"ä"}},{n}]') for n in (1, 2)
    ]


@pytest.mark.parametrize(
    "change", [{"n": [9, 2]}, {"case": "other"}, {"activity": "Other"}, {"time": [START + MINUTE] * 2}, {"m": 1}]
)
def test_a_known_id_with_other_content_is_refused(store: ek.EventStore, change: dict[str, Any]) -> None:
    """Stream, type, times and data."""
    frame = frame_of(2, case="c", n=[1, 2], key=["a", "b"], time=[START] * 2)
    store.load(frame, **COLUMNS, id="key")
    with pytest.raises(ek.InputError, match=r"known='skip' passes over the rows that are \(2 rows of 2\)"):
        store.load(frame, **COLUMNS, id="key")
    with pytest.raises(ek.InputError, match=r"is that of the event at position 1, which is another"):
        store.load(frame.assign(**change), **COLUMNS, id="key", known="skip")
    with pytest.raises(ek.InputError, match="known is 'maybe'"):
        store.load(frame, **COLUMNS, known="maybe")  # type: ignore[arg-type]
    assert store.position == 2


def test_a_plain_frame_knows_its_own_rows_though_it_tells_no_null_from_nothing(store: ek.EventStore) -> None:
    store.append("b-1", ek.NewEvent(type="S", data={"to": None, "x": 1}))
    assert store.load(store.read().df(), known="skip") == 1
    assert ek.from_frame(store.read().df()).read().df()["x"].tolist() == [1]
    raw = store.read().df(raw=True).assign(data=[{"x": 1}])
    with pytest.raises(ek.InputError, match="which is another"):
        store.load(raw, known="skip")


def test_what_is_left_of_a_known_log_may_not_lie_before_the_stores_last_event(store: ek.EventStore) -> None:
    frame = frame_of(3, key=["a", "b", "c"])
    store.load(frame.iloc[[0, 2]], **COLUMNS, id="key")
    with pytest.raises(ek.InputError, match="lies before the store's last event"):
        store.load(frame, **COLUMNS, id="key", known="skip")
    assert store.load(frame.iloc[[0, 2]], **COLUMNS, id="key", known="skip") == 2


def test_what_was_loaded_without_skip_is_told_why_it_is_not_known(store: ek.EventStore) -> None:
    """Without ids, rows are known by what they say only where they were loaded with `known="skip"`."""
    frame = frame_of(3)
    store.load(frame, **COLUMNS)
    for known in ("error", "skip"):
        with pytest.raises(ek.InputError, match="if they have an id=, or were loaded with known='skip' the first time"):
            store.load(frame, **COLUMNS, known=known)
    assert store.position == 3


def test_ids_are_looked_up_together(store: ek.EventStore) -> None:
    """In one walk over the index where many are asked for, one by one where few are; made ids are found as well."""
    made = [event.id for event in store.append("a", [ek.NewEvent(type="T")] * 3).events]
    own = [uuid.UUID(int=n) for n in range(1, 3_001)]
    store.append("b", [ek.NewEvent(type="T", id=one) for one in own])
    for wanted in (own, own[::7], [own[-1], *made], [own[0], uuid.uuid4()], made, []):
        frame = frame_of(len(wanted), key=pd.Series(wanted, dtype=object)).assign(time=START + timedelta(days=1))
        known = [one for one in wanted if one in {*own, *made}]
        if not wanted:
            assert store.load(frame, **COLUMNS, id="key") == 3_003
            continue
        with pytest.raises(ek.InputError, match=rf"\({len(known):,} rows? of {len(wanted):,}\)"):
            store.load(frame, **COLUMNS, id="key")


def test_an_id_that_another_append_stores_meanwhile_is_refused(
    store: ek.EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two commits of a load."""
    n, last = 10_001, uuid.UUID(int=10_001)
    store.append("first", ek.NewEvent(type="T", id=uuid.UUID(int=1 << 64)))
    frame = frame_of(n, key=[uuid.UUID(int=i + 1) for i in range(n)], time=[START + timedelta(days=1)] * n)

    @contextmanager
    def between(*_: Any, **__: Any) -> Iterator[Any]:
        yield lambda done: done == 10_000 and store.append("x", ek.NewEvent(type="T", id=last))

    monkeypatch.setattr(progress, "bar", between)
    with pytest.raises(
        ek.DuplicateIdError, match=r"another append .* position 10002; 10,000 of 10,001 rows are stored"
    ):
        store.load(frame, **COLUMNS, id="key")
    monkeypatch.undo()
    assert store.position == 10_002
    assert store.verify().ok


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("has_ids", [True, False])
def test_a_load_of_unknown_outcome_says_what_is_stored_and_how_to_go_on(
    folder: Path, is_stored: bool, has_ids: bool
) -> None:
    """In a store that holds events already, and with rows that stand in another order than their times."""
    frame = frame_of(20_005, case="c", n=range(20_005)).iloc[::-1]
    frame = frame.assign(key=[f"e{n}" for n in frame["n"]]) if has_ids else frame
    how = COLUMNS | ({"id": "key"} if has_ids else {})
    with ek.EventStore(folder, fsync=False, clock=lambda: START - MINUTE) as store:
        store.append("before", [ek.NewEvent(type="T")] * 3)

        def lost(store_rows: Callable[[Any], Any], rows: Any) -> None:
            if store.position > 3:
                if is_stored:
                    store_rows(rows)
                raise OSError("the connection was lost")
            return store_rows(rows)

        storing(store, lost)
        with pytest.raises(
            ek.OutcomeUnknownError, match=r"of 20,005 rows 10,000 are stored, and the next 10,000"
        ) as told:
            store.load(frame, **how)
        assert [event.data["n"] for event in told.value.events] == list(range(10_000, 20_000))
    with ek.EventStore(folder, fsync=False) as store:
        assert store.position == (20_003 if is_stored else 10_003)
        cure = re.search(
            r"open the store again and (load the same frame again with known='skip'|.+…\))", str(told.value)
        )
        assert cure is not None
        if has_ids:
            store.load(frame, **how, known="skip")
        else:
            exec(cure[1].replace("…", "**how"), {"store": store, "frame": frame, "error": told.value, "how": how})
        assert [event.data["n"] for event in store.read("c")] == list(range(20_005))


def test_a_load_that_fails_on_its_way_says_how_many_rows_are_stored(store: ek.EventStore) -> None:
    """Another writer's takeover, say, or a storage that is known not to have stored the rest."""
    append = writer_of(store).append

    def fails(submission: Any) -> Any:
        if store.position:
            raise ek.SupersededError()
        return append(submission)

    writer_of(store).append = fails  # type: ignore[method-assign]
    with pytest.raises(ek.SupersededError, match=r"; 10,000 of 10,001 rows are stored"):
        store.load(frame_of(10_001), **COLUMNS)


class Picky(ek.Event, type="Loaded.Picky"):
    n: int

    @field_validator("n")
    @classmethod
    def _share(cls, n: int) -> int:
        return n if 6 // n else 0


def test_a_class_whose_own_code_raises_is_named_with_the_row(store: ek.EventStore) -> None:
    with pytest.raises(ek.InputError, match=r"row 1, \{'n': 0\}: Picky raised ZeroDivisionError") as error:
        store.load(frame_of(2, activity="Loaded.Picky", n=[1, 0]), **COLUMNS)
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    assert store.position == 0

"""The lag chart: what it holds, without a browser."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
import vl_convert

from eventsourcing_kit import charts
from eventsourcing_kit.errors import InputError

START = pd.Timestamp("2026-01-05T09:00:00Z")


def progress(rows: int = 12, tables: int = 1, every: int = 4) -> pd.DataFrame:
    """As `db.progress(store)` gives it: an event a minute, projected every few minutes."""
    frame = pd.DataFrame(
        {
            "table": pd.Series([f"t{table}" for table in range(tables) for _ in range(rows)], dtype="string"),
            "time": [START + pd.Timedelta(minutes=row) for _ in range(tables) for row in range(rows)],
            "written": pd.Series([row + 1 for _ in range(tables) for row in range(rows)], dtype="Int64"),
            "projected": pd.Series([row // every * every for _ in range(tables) for row in range(rows)], dtype="Int64"),
        }
    )
    return frame.astype({"time": "datetime64[us, UTC]"})


def datasets(chart: Any) -> list[list[dict[str, Any]]]:
    return list(chart.to_dict()["datasets"].values())


def lines(chart: Any) -> list[dict[str, Any]]:
    return next(rows for rows in datasets(chart) if rows and "series" in rows[0])


def compile_everywhere(chart: Any) -> None:
    spec = chart.to_dict()
    json.dumps(spec, allow_nan=False)
    for version in ("5.8", "6.1", "6.4"):
        vl_convert.vegalite_to_vega(spec, vl_version=version)


@pytest.mark.parametrize("rows", [0, 1, 12])
@pytest.mark.parametrize("tables", [1, 3])
def test_it_compiles_at_both_majors_of_vega_lite(rows: int, tables: int) -> None:
    for stale in (None, {START: "told 1"}):
        compile_everywhere(charts.lag(progress(rows, tables), stale=stale))
    if rows == 0:
        assert charts.lag(progress(0)).to_dict()["title"]["subtitle"] == ["no events"]


def test_it_holds_both_positions_over_time() -> None:
    found = lines(charts.lag(progress()))
    written = [row["position"] for row in found if row["series"] == "written"]
    projected = [row["position"] for row in found if row["series"] == "t0"]
    assert written == list(range(1, 13))
    assert projected == [0] * 4 + [4] * 4 + [8] * 4
    assert found[0]["when"] == "2026-01-05 09:00:00 UTC"


def test_the_lag_is_an_area_where_one_table_is_drawn() -> None:
    assert charts.lag(progress()).to_dict()["layer"][0]["mark"]["type"] == "area"
    assert charts.lag(progress(tables=2)).to_dict()["layer"][0]["mark"]["type"] == "line"
    one = charts.lag(progress(tables=2), table="t1").to_dict()
    assert one["layer"][0]["mark"]["type"] == "area"
    assert {row["series"] for row in lines(charts.lag(progress(tables=2), table="t1"))} == {"written", "t1"}


def test_a_stale_reading_stands_at_what_the_reader_saw() -> None:
    chart = charts.lag(progress(), stale={"2026-01-05T12:06:30+03:00": "Ada was told 4", START: "Bob was told 0"})
    seen = next(rows for rows in datasets(chart) if rows and "told" in rows[0])
    assert [(row["told"], row["projected"], row["written"], row["behind"]) for row in seen] == [
        ("Ada was told 4", 4, 7, 3),
        ("Bob was told 0", 0, 1, 1),
    ]
    assert [row["when"] for row in seen] == ["2026-01-05 09:06:30 UTC", "2026-01-05 09:00:00 UTC"]
    assert chart.to_dict()["description"] == "lag: 1 table, 2 stale readings"
    before = charts.lag(progress(), stale={"2026-01-05T08:00:00Z": "nothing yet"})
    compile_everywhere(before)


def test_a_long_log_keeps_its_greatest_lags() -> None:
    frame = progress(20_000, every=1)
    frame.loc[7_003, "projected"] = 5
    chart = charts.lag(frame)
    projected = [row for row in lines(chart) if row["series"] == "t0"]
    assert len(projected) <= 2_000
    assert max(row["behind"] for row in projected) == 6_999
    assert "2,000 of 20,000 steps, the greatest lags among them" in chart.to_dict()["title"]["subtitle"][0]
    assert "8 of 11 tables" in charts.lag(progress(tables=11)).to_dict()["title"]["subtitle"][0]


def test_a_table_may_be_named_as_a_line_is() -> None:
    frame = progress().assign(table="written")
    assert {row["series"] for row in lines(charts.lag(frame))} == {"written", "written (table)"}


def test_it_is_the_same_in_every_run_and_in_utc_for_every_viewer() -> None:
    first, second = (charts.lag(progress(), stale={START: "told"}) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert '"type": "utc"' in first.to_json()
    assert "(UTC)" in first.to_json()


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda: charts.lag(progress().drop(columns="written")), "no column 'written'"),
        (lambda: charts.lag("frame"), "DataFrame, not str"),
        (lambda: charts.lag(progress(), table="other"), "no table 'other'; the frame's tables are: t0"),
        (lambda: charts.lag(progress(), stale={"noon": "x"}), "not 'noon'"),
        (lambda: charts.lag(progress(), stale={"2026-01-05T09:00:00": "x"}), "has no zone"),
        (lambda: charts.lag(progress(), max_marks=0), "max_marks is 0"),
        (lambda: charts.lag(progress(), stale={pd.NaT: "x"}), "stale"),
        (
            lambda: charts.lag(progress().assign(time=progress()["time"].dt.tz_localize(None))),
            "not times with a zone",
        ),
    ],
)
def test_bad_input_is_named_with_its_cure(draw: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        draw()


def test_the_chart_spans_the_positions_that_it_shows() -> None:
    """The lag of a log at position 1,000,000 is seen as well as that of a log at 10."""
    frame = progress()
    frame[["written", "projected"]] += 1_000_000
    chart = charts.lag(frame, stale={START: "told 1"})
    compile_everywhere(chart)
    axes = [layer["encoding"]["y"] for layer in chart.to_dict()["layer"]]
    (domain,) = {tuple(axis["scale"]["domain"]) for axis in axes}
    assert 999_990 < domain[0] < 1_000_000
    assert 1_000_012 < domain[1] < 1_000_020
    assert all(axis["axis"]["tickCount"] == 8 for axis in axes)
    assert charts.lag(progress(2)).to_dict()["layer"][0]["encoding"]["y"]["axis"]["tickCount"] == 2  # no half positions
    assert charts.lag(progress()).to_dict()["layer"][0]["encoding"]["y"]["scale"]["domain"][0] == 0

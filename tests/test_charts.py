"""What the three charts hold, without a browser: data, notes, errors, and that they compile."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from eventsourcing_kit import charts
from eventsourcing_kit.drawing import axes, renderer
from eventsourcing_kit.errors import InputError

START = pd.Timestamp("2026-01-05T09:00:00Z")


def log(rows: int = 12, streams: int = 3) -> pd.DataFrame:
    """A log as `store.read().df()` gives it: one deposit a minute, in turn to each account."""
    frame = pd.DataFrame(
        {
            "id": pd.Series([str(n) for n in range(rows)], dtype="string"),
            "stream": pd.Series([f"account-{n % streams + 1}" for n in range(rows)], dtype="string"),
            "version": pd.Series([n // streams + 1 for n in range(rows)], dtype="Int64"),
            "position": pd.Series(range(1, rows + 1), dtype="Int64"),
            "type": pd.Series(["Opened" if n < streams else "Deposited" for n in range(rows)], dtype="string"),
            "schema_version": pd.Series([1] * rows, dtype="Int64"),
            "recorded_at": [START + pd.Timedelta(minutes=n) for n in range(rows)],
            "occurred_at": pd.Series([None] * rows, dtype="datetime64[us, UTC]"),
            "metadata": pd.Series([{} for _ in range(rows)], dtype=object),
            "amount": pd.Series([pd.NA if n < streams else n for n in range(rows)], dtype="Int64"),
        }
    )
    return frame.astype({"recorded_at": "datetime64[us, UTC]"})


def history(rows: int = 12, keys: int = 3, gone: int | None = None) -> pd.DataFrame:
    """A history as `history.df()` gives it; the event at position `gone` ends its key."""
    frame = log(rows, keys)[["stream", "position", "type", "recorded_at"]]
    frame.columns = pd.Index(["key", "position", "type", "valid_from"])
    following = frame.groupby("key")["valid_from"].shift(-1)
    state = pd.Series(range(rows), dtype="Int64") * 10
    ended = frame["position"] == gone
    frame["valid_to"] = following.where(~ended, frame["valid_from"])
    frame["state"] = state.mask(ended)
    return frame


def datasets(chart: Any) -> list[list[dict[str, Any]]]:
    return list(chart.to_dict()["datasets"].values())


def rows_of(chart: Any) -> list[dict[str, Any]]:
    """The one dataset of a chart."""
    (rows,) = datasets(chart)
    return rows


def compile_everywhere(chart: Any) -> None:
    spec = chart.to_dict()
    json.dumps(spec, allow_nan=False)
    for version in ("5.8", "6.1", "6.4"):
        vl_convert.vegalite_to_vega(spec, vl_version=version)


def all_three(rows: int = 12, keys: int = 3) -> list[Any]:
    past = history(rows, keys)
    return [charts.timeline(log(rows, keys)), charts.evolution(past, "state"), charts.scrubber(past)]


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_they_compile_at_both_majors_of_vega_lite(rows: int) -> None:
    """Empty, with one event, and with some."""
    for chart in all_three(rows):
        compile_everywhere(chart)


def test_they_draw_in_every_size_without_an_error() -> None:
    """Many events and many lanes leave few marks, a note, and room for further changes."""
    timeline, evolution, scrubber = all_three(rows=30_000, keys=1_500)
    for chart in (timeline.properties(width=900), evolution.properties(width=900), scrubber):
        compile_everywhere(chart)
        assert all(len(rows) <= 2_100 for rows in datasets(chart))
    assert timeline.to_dict()["title"]["subtitle"][0] == "30 of 1,500 streams, those with the most events"
    assert "10 of 1,500 keys" in evolution.to_dict()["title"]["subtitle"][0]
    assert "20 of 1,500 keys" in scrubber.to_dict()["title"]["subtitle"][0]


def test_of_a_long_log_every_event_counts() -> None:
    """Bars in the lanes say how many events there are; none is left out."""
    chart = charts.timeline(log(10_000))
    assert chart.to_dict()["title"]["subtitle"] == ["10,000 events; each bar counts those of 3 h"]
    counts = pd.DataFrame(rows_of(chart)).groupby(["lane", "color"])["count"].sum()
    assert counts.to_dict() == log(10_000).groupby(["stream", "type"]).size().to_dict()


def test_an_evolution_thinned_out_keeps_its_peaks() -> None:
    past = history(10_000, keys=1)
    past.loc[5_003, "state"] = 10**6
    chart = charts.evolution(past)
    assert len(rows_of(chart)) <= 2_010
    assert 10**6 in [row["value"] for row in rows_of(chart)]


def test_an_evolution_thinned_out_ends_with_the_states_that_are_valid_still() -> None:
    """Each key's last event is drawn: from it on its state is carried to the chart's end."""
    past = history(10_010, keys=1)
    past["state"] = (past["position"] % 2 * 1_000).mask(past["position"] == 10_010, 500)  # neither a peak nor a dip
    last = [[row["value"], row["event"]] for row in rows_of(charts.evolution(past))[-2:]]
    assert last == [[500, True], [500, False]]


def test_a_slider_over_a_long_history_is_exact_at_each_stop() -> None:
    """Each stop shows each key's last state at or before it, though most rows are left out."""
    past = history(10_000, keys=7)
    chart = charts.scrubber(past)
    bind = chart.to_dict()["params"][0]["bind"]
    states = pd.DataFrame(next(rows for rows in datasets(chart) if "value" in rows[0]))
    assert bind["max"] == 10_000
    assert bind["min"] + bind["step"] * ((bind["max"] - bind["min"]) // bind["step"]) == 10_000
    assert bind["step"] > 1
    for stop in range(bind["min"], bind["max"] + 1, 40 * bind["step"]):
        shown = states[states["position"] <= stop].groupby("key")["value"].last().to_dict()
        assert shown == past[past["position"] <= stop].groupby("key")["state"].last().to_dict()


def test_a_slider_over_a_short_history_stops_at_every_position() -> None:
    (asof,) = charts.scrubber(history()).to_dict()["params"]
    assert asof["value"] == 12
    assert (asof["bind"]["min"], asof["bind"]["max"], asof["bind"]["step"]) == (0, 12, 1)


def test_the_moments_of_a_slider_name_position_time_and_event() -> None:
    told = next(rows for rows in datasets(charts.scrubber(history())) if "told" in rows[0])
    assert told[0]["told"] == "before the first event"
    assert (told[4]["position"], told[4]["told"]) == (4, "2026-01-05 09:03:00 UTC · Deposited · account-1")


def test_a_line_ends_where_its_key_ended_and_starts_anew() -> None:
    """Position 7 ends account-1, position 10 starts it again: between them no line is drawn."""
    corners = rows_of(charts.evolution(history(12, gone=7)))
    mine = [row for row in corners if row["key"] == "account-1"]
    assert [(row["segment"], row["time"][11:16], row["value"], row["event"]) for row in mine] == [
        (0, "09:00", 0, True),
        (0, "09:03", 30, True),
        (0, "09:06", 30, False),  # the end of its validity, not an event
        (1, "09:09", 90, True),
        (1, "09:11", 90, False),
    ]


def test_an_ended_key_has_no_bar() -> None:
    states = next(rows for rows in datasets(charts.scrubber(history(12, gone=7))) if "value" in rows[0])
    assert next(row["value"] for row in states if row["position"] == 7) is None
    assert "isValid(datum.value)" in charts.scrubber(history()).to_json()


def test_specs_are_the_same_in_every_run_and_name_all_parameters() -> None:
    for first, second in zip(all_three(), all_three(), strict=True):
        assert first.to_json() == second.to_json()
        assert all(not param["name"].startswith("param_") for param in first.to_dict().get("params", []))


def test_times_are_utc_for_every_viewer() -> None:
    """UTC scales, titles that say so, and nothing but text on hover."""
    for chart in all_three():
        text = chart.to_json(indent=None)
        assert '"type": "utc"' in text
        assert "(UTC)" in text
        assert '"type": "temporal"' not in text.split('"tooltip"', 1)[1].split("]", 1)[0]
    assert rows_of(charts.timeline(log()))[0]["when"] == "2026-01-05 09:00:00 UTC"


def test_hovering_tells_what_happened() -> None:
    assert rows_of(charts.timeline(log()))[5]["happened"] == "amount: 5"
    assert rows_of(charts.timeline(log()))[0]["happened"] == ""


def test_events_of_one_lane_and_time_lie_side_by_side() -> None:
    frame = log(4, streams=1)
    frame["recorded_at"] = frame["recorded_at"].iloc[0]
    assert len({row["place"] for row in rows_of(charts.timeline(frame))}) == 4


def test_occurred_at_where_there_is_one() -> None:
    frame = log(2)
    frame.loc[0, "occurred_at"] = START - pd.Timedelta(days=1)
    whens = [row["when"] for row in rows_of(charts.timeline(frame, time="occurred_at"))]
    assert whens == ["2026-01-04 09:00:00 UTC", "2026-01-05 09:01:00 UTC"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x01\xff", "01ff"),
        ({"to": "Oslo", "via": ["Bergen", 2]}, "{to: Oslo, via: [Bergen, 2]}"),
        ("Oslo, to: Bergen", '"Oslo, to: Bergen"'),
        ("30", '"30"'),
        (["x" * 50] * 100_000, ("[" + ", ".join(["x" * 50] * 4))[:152] + "…"),
        (frozenset({"b", "a"}), "{a, b}"),
        (pd.Timedelta(minutes=1), "0 days 00:01:00"),
        (object(), "object"),
    ],
)
def test_values_that_altair_refuses_become_text(value: object, text: str) -> None:
    frame = log(2).assign(extra=pd.Series([value, None], dtype=object))
    chart = charts.timeline(frame)
    assert rows_of(chart)[0]["happened"] == f"extra: {text}"
    compile_everywhere(chart)
    past = history(3).assign(state=pd.Series([value, None, value], dtype=object))
    for chart in (charts.evolution(past), charts.scrubber(past)):
        compile_everywhere(chart)


def test_decimals_and_huge_ints_are_numbers() -> None:
    past = history(3).assign(state=pd.Series([Decimal("1.5"), 10**400, 2], dtype=object))
    values = [row["value"] for row in rows_of(charts.evolution(past)) if row["event"]]
    assert values == [1.5, 2.0]  # 10**400 is beyond every float: no mark


@pytest.mark.parametrize(
    ("states", "texts"),
    [
        (pd.array([0.5, 2.0, 1e-9], dtype="Float64"), ["0.5", "2", "1e-09"]),
        ([0.5, 2.0, -3.25], ["0.5", "2", "-3.25"]),
        (pd.array([1, 2, 3], dtype="Int64"), ["1", "2", "3"]),
        (pd.array([True, False, True], dtype="boolean"), ["true", "false", "true"]),
        (pd.Series([np.float64(0.5), np.int64(2), np.float32(0.25)], dtype=object), ["0.5", "2", "0.25"]),
    ],
)
def test_numbers_read_as_numbers_whatever_the_columns_type(states: Any, texts: list[str]) -> None:
    """0.5, not np.float64(0.5)."""
    past = history(3).assign(state=states)
    assert [row["text"] for row in rows_of(charts.evolution(past)) if row.get("event", True)] == texts
    assert [row["text"] for row in datasets(charts.scrubber(past))[1]] == texts


def test_characters_that_svg_cannot_hold_are_shown_as_pictures() -> None:
    """Whoever makes a picture of the chart would end, and the kernel with it."""
    chart = charts.timeline(log(2).assign(stream=["a\x00b", "c\ufffe"], type="x\x1by", extra="\x07"))
    assert {row["lane"] for row in rows_of(chart)} == {"a\u2400b", "c\ufffd"}
    assert vl_convert.vegalite_to_svg(chart.to_dict(), vl_version="5.8")
    assert vl_convert.vegalite_to_png(chart.to_dict(), vl_version="5.8")


@pytest.mark.parametrize("rows", [1, 4])
def test_one_moment_has_one_tick(rows: int) -> None:
    """Its own; those beside it would tell fractions of seconds at which nothing happened."""
    frame = log(rows)
    frame["recorded_at"] = START
    chart = charts.timeline(frame)
    assert chart.to_dict()["encoding"]["x"]["axis"]["values"] == [int(START.timestamp() * 1000)]
    compile_everywhere(chart)
    assert "values" not in charts.timeline(log(2)).to_dict()["encoding"]["x"]["axis"]


def test_a_chart_may_go_without_a_title() -> None:
    compile_everywhere(charts.timeline(log(), title=None))  # type: ignore[arg-type]


def test_states_that_are_text_or_truth_are_drawn_too() -> None:
    for states in (["open", "shut", "open"], [True, False, True]):
        past = history(3).assign(state=states)
        for chart in (charts.evolution(past), charts.scrubber(past)):
            compile_everywhere(chart)


def test_a_state_that_is_text_is_told_on_hover() -> None:
    """It may be longer than its panel is wide."""
    panel = charts.scrubber(history(3).assign(state=["open", "shut", "open"])).to_dict()["vconcat"][1]["hconcat"][1]
    told = [(one["field"], one["title"]) for one in panel["layer"][0]["encoding"]["tooltip"][1:]]
    assert told == [("text", "state")]


def test_one_state_over_the_whole_log() -> None:
    past = history(3).assign(key=None)
    assert {row["key"] for row in rows_of(charts.evolution(past))} == {"the whole log"}
    compile_everywhere(charts.scrubber(past))
    assert charts.evolution(past).to_dict()["description"] == "evolution of state: 3 events, 1 key"


def test_a_field_is_chosen_where_none_is_named() -> None:
    past = history(3).rename(columns={"state": "balance"}).assign(owner="Ada")
    assert charts.evolution(past).to_dict()["description"] == "evolution of balance: 3 events, 3 keys"


def test_a_history_is_taken_as_it_is() -> None:
    class Projection:
        name = "balance"

    class History:
        projection = Projection()

        def df(self) -> pd.DataFrame:
            return history()

    assert charts.scrubber(History()).to_dict()["title"]["text"] == "balance, as of any moment"  # type: ignore


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (
            lambda: charts.timeline(log().drop(columns="stream")),
            "no column 'stream'; the frame's columns are: id",
        ),
        (lambda: charts.timeline(history()), r"no column 'stream'; .*; pass store\.read\(\)\.df\(\)$"),
        (lambda: charts.scrubber(log()), r"no column 'key'; .*; pass store\.history\(projection\)$"),
        (lambda: charts.scrubber("balance"), r"DataFrame, not str: pass store\.history\(projection\)$"),
        (lambda: charts.timeline(log(), color="colour"), "no column 'colour'.*amount$"),
        (lambda: charts.evolution(history(), "balance"), "no state column 'balance'; .* are: state"),
        (lambda: charts.evolution(log(), "amount"), "no column 'key'"),
        (lambda: charts.scrubber(history(), "type"), "no state column 'type'"),
        (lambda: charts.timeline("log"), "DataFrame, not str: pass"),
        (lambda: charts.timeline(log(), max_marks=0), "max_marks is 0; it must be at least 1"),
        (lambda: charts.timeline(log(), max_marks=2.5), "max_marks is 2.5; give a whole number"),
        (lambda: charts.evolution(history(), max_keys="all"), "max_keys is 'all'; give a whole number"),
        (lambda: charts.timeline(pd.concat([log(), log()[["type"]]], axis=1)), "the column 'type' twice"),
        (lambda: charts.scrubber(pd.concat([history(), history()[["state"]]], axis=1)), "the column 'state' twice"),
        (
            lambda: charts.timeline(log().assign(recorded_at=log()["recorded_at"].dt.tz_localize(None))),
            r"'recorded_at' holds datetime64.*pd.to_datetime\(frame\['recorded_at'\], utc=True\)",
        ),
    ],
)
def test_bad_input_is_named_with_its_cure(draw: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        draw()


def test_charts_can_be_put_together_and_changed() -> None:
    timeline, evolution, scrubber = all_three()
    compile_everywhere(timeline & evolution)
    compile_everywhere(timeline & timeline)
    compile_everywhere(evolution | evolution)
    compile_everywhere(alt.vconcat(scrubber, evolution))
    compile_everywhere(timeline.encode(color=alt.value("black")).interactive(name="zoom"))
    compile_everywhere((timeline & evolution).configure_axis(grid=False))


def test_display_is_what_jupyterlab_draws_offline() -> None:
    bundle, metadata = charts.timeline(log())._repr_mimebundle_()
    assert set(bundle) == {renderer.MEDIA_TYPE, "text/plain", "image/png"}
    assert len(bundle["image/png"]) < 20_000
    assert 600 < metadata["image/png"]["width"] < 900
    assert bundle["text/plain"] == "<timeline: 12 events, 3 streams>"
    assert bundle[renderer.MEDIA_TYPE]["$schema"].endswith("/v5.json")


@pytest.mark.processes
def test_a_renderer_chosen_before_stays() -> None:
    code = "import altair as alt; alt.renderers.enable('svg'); import eventsourcing_kit.charts as _"
    subprocess.run([sys.executable, "-c", f"{code}; assert alt.renderers.active == 'svg'"], check=True)


def test_a_state_that_is_still_valid_is_drawn_beyond_the_last_event() -> None:
    """Else its last step would be a dot on the chart's edge."""
    spec = charts.evolution(history(12, keys=2)).to_dict()
    (rows,) = spec["datasets"].values()
    ends = [pd.Timestamp(row["time"]) for row in rows if not row["event"]]
    last = max(pd.Timestamp(row["time"]) for row in rows if row["event"])
    assert len(ends) == 2
    assert all(end > last for end in ends)
    domain = spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert domain[1] == max(ends).timestamp() * 1000


def test_marks_at_the_extremes_keep_a_distance_from_the_frame() -> None:
    """And zero is drawn as a line of its own where some values lie below it."""
    past = history(12, keys=2)
    y = charts.evolution(past).to_dict()["layer"][0]["encoding"]["y"]
    assert y["scale"]["domain"][0] == 0
    assert y["scale"]["domain"][1] > past["state"].max()
    assert y["axis"]["gridColor"] == axes.GRID.to_dict()
    past["state"] -= 50
    y = charts.evolution(past).to_dict()["layer"][0]["encoding"]["y"]
    assert y["scale"]["domain"][0] < past["state"].min()
    assert y["axis"]["gridColor"]["expr"].startswith("datum.value === 0")


@pytest.mark.parametrize("values", [[1e308, -1e308], [0, 0], [10**400, 1]])
def test_any_numbers_have_an_axis(values: list[float]) -> None:
    past = history(2, keys=1).assign(state=pd.Series(values, dtype=object))
    compile_everywhere(charts.evolution(past))
    compile_everywhere(charts.scrubber(past))


def test_lanes_that_name_the_colours_need_no_legend() -> None:
    encoding = charts.timeline(log(), lane="type").to_dict()["encoding"]
    assert encoding["color"]["legend"] is None
    assert charts.timeline(log()).to_dict()["encoding"]["color"]["legend"]["title"] == "type"


@pytest.mark.parametrize(
    ("step", "title"),
    [("1min", "recorded at, 2026-01-05 (UTC)"), ("2D", "recorded at, 2026 (UTC)"), ("90D", "recorded at (UTC)")],
)
def test_the_axis_of_times_names_the_day_or_the_year(step: str, title: str) -> None:
    frame = log()
    frame["recorded_at"] = frame["recorded_at"].iloc[0] + pd.Timedelta(step) * frame.index
    axis = charts.timeline(frame).to_dict()["encoding"]["x"]["axis"]
    assert axis["title"] == title
    assert ("%Y" in axis["labelExpr"]) == (step == "90D")


def test_the_axis_of_times_names_both_years_at_a_turn_of_the_year() -> None:
    """Ticks of weeks wouldn't: Dec 28, Jan 04."""
    frame = log()
    frame["recorded_at"] = pd.Timestamp("2025-12-20T09:00:00Z") + pd.Timedelta("4D") * frame.index
    assert charts.timeline(frame).to_dict()["encoding"]["x"]["axis"]["title"] == "recorded at, 2025–2026 (UTC)"


def test_long_names_that_begin_alike_are_cut_within() -> None:
    """Cut at their end, all lanes and colours would have the same name."""
    frame = log().replace({"stream": r"^account-(\d)$"}, {"stream": r"account-at-a-branch-of-the-bank-\1"}, regex=True)
    encoding = charts.timeline(frame, color="stream", lane="stream").to_dict()["encoding"]
    assert "slice(datum.label, 0, 26) + '…' + slice(datum.label, -4)" in encoding["y"]["axis"]["labelExpr"]
    past = history().assign(key=frame["stream"], state="owned-by-somebody-whose-name-ends-with-" + frame["stream"])
    for chart in (charts.evolution(past), charts.scrubber(past), charts.timeline(frame, color="stream", lane="type")):
        assert "slice(datum.label" in chart.to_json()
        compile_everywhere(chart)


@pytest.mark.parametrize("name", ["short-{}", "{} is what this long name begins with, so it may end anyhow"])
def test_other_names_are_left_as_they_are(name: str) -> None:
    frame = log()
    frame["stream"] = [name.format(stream) for stream in frame["stream"]]
    assert "labelExpr" not in charts.timeline(frame).to_dict()["encoding"]["y"]["axis"]


def test_without_snapshots_one_line_is_drawn() -> None:
    """Two equal ones would hide each other."""
    frame = pd.DataFrame({"position": [1, 2], "without": [1, 2], "with_snapshots": [1, 2], "snapshot": [0, 0]})
    assert {row["replay"] for row in rows_of(charts.snapshots(frame))} == {"from the beginning"}
    assert charts.snapshots(frame).to_dict()["layer"][0]["encoding"]["color"]["legend"] is None
    frame.loc[1, "with_snapshots"] = 0
    assert len({row["replay"] for row in rows_of(charts.snapshots(frame))}) == 2

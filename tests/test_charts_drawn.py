"""The charts as they are drawn: read from their SVG, as a person reads the picture."""

from __future__ import annotations

import base64
import io
import math
import re
import struct
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import altair as alt
import nbformat
import numpy as np
import pandas as pd
import pytest
import vl_convert
from nbconvert import HTMLExporter, MarkdownExporter

import eventsourcing_kit as ek
from eventsourcing_kit.drawing import picture, renderer

START = pd.Timestamp("2025-01-01T00:00:00Z")


def log(times: Any = 3, cases: tuple[str, ...] = ("a",), types: tuple[str, ...] = ("x",)) -> pd.DataFrame:
    """Events at these times (or so many, an hour apart), of the cases and the types in turn."""
    if isinstance(times, int):
        times = pd.date_range(START, periods=times, freq="h")
    rows = [(cases[i % len(cases)], types[i % len(types)], time) for i, time in enumerate(times)]
    frame = pd.DataFrame(rows, columns=["stream", "type", "recorded_at"]).astype({"recorded_at": "datetime64[us, UTC]"})
    return frame.assign(position=range(1, len(frame) + 1))


def history(values: list[Any], cases: tuple[str, ...] = ("a",)) -> pd.DataFrame:
    """A state an hour, of the cases in turn."""
    frame = log(len(values), cases).rename(columns={"stream": "key", "recorded_at": "valid_from"})
    frame["valid_to"] = frame.groupby("key")["valid_from"].shift(-1)
    return frame.assign(state=pd.Series(values, dtype=object) if isinstance(values, list) else values)


def svg(chart: Any) -> str:
    file = io.StringIO()
    chart.save(file, format="svg")
    return file.getvalue()


def marks(drawn: str, kind: str) -> list[dict[str, str]]:
    found = re.findall(rf'<(?:path|text)\b[^>]*aria-roledescription="{kind}"[^>]*>', drawn)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', one)) for one in found]


def texts(drawn: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", drawn)


def heights(drawn: str) -> list[float]:
    places = [re.search(r"translate\([^,]*,([^)]*)\)", one["transform"]) for one in marks(drawn, "circle")]
    return [float(place[1]) for place in places if place]


def params(chart: Any) -> list[dict[str, Any]]:
    return [param for param in chart.to_dict()["params"] if "bind" in param]


def test_charts_put_together_keep_their_colours_and_legends() -> None:
    lines = ek.charts.evolution(history([1, 2, 3, 4], ("a", "b", "c", "d")))
    drawn = svg(ek.charts.timeline(log(4, types=("Paid",))) & lines)
    assert len({one["stroke"] for one in marks(drawn, "line mark")}) == 4
    assert {"Paid", "a", "b", "c", "d"} <= set(texts(drawn))


@pytest.mark.processes
def test_a_name_has_one_colour_in_every_chart() -> None:
    """Whichever names it stands beside, and however often."""
    code = """
import eventsourcing_kit as ek
from tests.test_charts_drawn import log
first = ek.charts.timeline(log(6, types=("One", "Two"))).to_dict()["encoding"]["color"]["scale"]
second = ek.charts.timeline(log(9, types=("Three", "Two", "Zero"))).to_dict()["encoding"]["color"]["scale"]
colors = [dict(zip(one["domain"], one["range"])) for one in (first, second)]
assert colors[0]["Two"] == colors[1]["Two"]
assert len({*colors[0].values(), *colors[1].values()}) == 4
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_names_of_one_chart_never_share_a_colour() -> None:
    for start in range(0, 60, 7):
        names = tuple(f"kind-{number}" for number in range(start, start + 10))
        scale = ek.charts.timeline(log(10, types=names)).to_dict()["encoding"]["color"]["scale"]
        assert len(set(scale["range"])) == 10


def test_scrubbers_of_two_logs_have_a_slider_each_and_those_of_one_share_it() -> None:
    one, other = history([1, 2]), history([1, 2, 3])
    assert len(params(ek.charts.scrubber(one) | ek.charts.scrubber(other))) == 2
    assert len(params(ek.charts.scrubber(one) & ek.charts.scrubber(one.assign(n=3), "n"))) == 1
    assert len(marks(svg(ek.charts.scrubber(one) | ek.charts.scrubber(other)), "bar")) == 2


def test_an_interactive_scrubber_keeps_its_bars() -> None:
    chart = ek.charts.scrubber(history([1, 2], ("a", "b")))
    still, moving = (marks(svg(one), "bar") for one in (chart, chart.interactive()))
    assert [bar["d"] for bar in still] == [bar["d"] for bar in moving]


def test_a_busy_lane_shows_more_than_a_quiet_one() -> None:
    chance = np.random.default_rng(1)
    busy = log(START + pd.to_timedelta(np.sort(chance.random(1_000)), unit="D"), cases=("busy",))
    quiet = log(24, cases=("quiet",))
    blocks = pd.DataFrame(next(iter(ek.charts.timeline(pd.concat([busy, quiet])).to_dict()["datasets"].values())))
    area = blocks.groupby("lane")["size"].sum()
    assert area["busy"] > 3 * area["quiet"]
    assert blocks["size"].min() >= 3  # a single event is seen, too


def test_many_events_at_one_moment_count() -> None:
    frame = log([START] * 50 + [START + pd.Timedelta(hours=1)])
    rows = next(iter(ek.charts.timeline(frame).to_dict()["datasets"].values()))
    assert [row["count"] for row in rows] == [50, 1]
    assert rows[0]["size"] > 3 * rows[1]["size"]


def test_events_within_microseconds_are_told_apart() -> None:
    frame = log([START + pd.Timedelta(microseconds=number) for number in range(6)])
    drawn = svg(ek.charts.timeline(frame))
    assert len({one["transform"] for one in marks(drawn, "circle")}) == 6
    assert "µs after 2025-01-01 00:00:00 UTC" in texts(drawn)
    states = history([1, 2, 3])
    states["valid_from"] = START + pd.to_timedelta([0, 1, 2], unit="us")
    svg(ek.charts.evolution(states) & ek.charts.scrubber(states))


@pytest.mark.parametrize(("first", "last"), [("2010-03-01", "2013-11-01"), ("2025-01-01", "2025-01-03")])
def test_ticks_of_times_lie_apart(first: str, last: str) -> None:
    drawn = svg(ek.charts.timeline(log(pd.date_range(first, last, periods=9, tz="UTC"))))
    ticks = [text for text in texts(drawn) if re.fullmatch(r"\w{3} \d\d(\d\d)?|\d{4}|\d\d:\d\d", text)]
    assert 3 <= len(ticks) <= 13
    assert "Jan" not in ticks


def test_whole_numbers_have_whole_ticks() -> None:
    for chart in (ek.charts.evolution(history([0, 1, 2])), ek.charts.scrubber(history([0, 1, 2]))):
        assert not [text for text in texts(svg(chart)) if re.fullmatch(r"\d+\.\d*[1-9]", text)]


def test_not_a_number_is_a_gap_as_nothing_is() -> None:
    nan, none = (svg(ek.charts.evolution(history([1.0, gap, 3.0]))) for gap in (math.nan, None))
    assert [one["d"] for one in marks(nan, "line mark")] == [one["d"] for one in marks(none, "line mark")]


@pytest.mark.parametrize("kind", [lambda *day: datetime(*day, tzinfo=UTC), date, datetime])
def test_times_as_states_lie_in_the_order_of_time(kind: Any) -> None:
    states = [kind(2025, 6, 1), kind(2025, 1, 1), kind(2026, 1, 1)]
    june, january, later = heights(svg(ek.charts.evolution(history(states))))
    assert later < june < january


def test_categories_are_intervals_for_each_key() -> None:
    """One for each run of equal values; nothing where there is no value."""
    chart = ek.charts.evolution(history(["open", "open", "shut", None, "open"]))
    rows = next(iter(chart.to_dict()["datasets"].values()))
    assert [(row["text"], row["time"][11:13], row["until"][11:13]) for row in rows] == [
        ("open", "00", "02"),
        ("shut", "02", "03"),
        ("open", "04", "04"),
    ]
    assert len(marks(svg(chart), "rect mark")) == 3


def test_events_with_an_end_are_bars_that_do_not_cover_each_other() -> None:
    """What has no end lasts until now."""
    frame = log(3).assign(ended=[START + pd.Timedelta(hours=2), pd.NaT, pd.NaT])
    rows = next(iter(ek.charts.timeline(frame, end="ended").to_dict()["datasets"].values()))
    assert [row["until"][11:13] for row in rows] == ["02", "02", "02"]
    assert len({row["place"] for row in rows}) >= 2
    assert rows[1]["when"].endswith(" – now")
    assert len(marks(svg(ek.charts.timeline(frame, end="ended")), "rect mark")) == 3


def test_dots_on_a_line_are_for_few_events() -> None:
    few, many = (marks(svg(ek.charts.evolution(history([*range(n)]))), "circle") for n in (10, 400))
    assert few[0]["opacity"] == "1"
    assert many[0]["opacity"] == "0"


def test_long_names_make_a_picture_no_wider() -> None:
    long = history([1], ("https://example.org/" + "path/" * 150,)).assign(type="com.example." + "very." * 50)
    width = re.search(r'width="([\d.]+)', svg(ek.charts.scrubber(long, title="A title " * 50)))
    assert width is not None
    assert float(width[1]) < 1_000


def test_names_that_only_their_ends_tell_apart_are_two_lanes() -> None:
    lanes = ek.charts.timeline(log(4, cases=("x" * 500 + "1", "x" * 500 + "2"))).to_dict()["encoding"]["y"]
    assert len(lanes["scale"]["domain"]) == 2


@pytest.mark.parametrize("theme", ["dark", "default"])
def test_text_can_be_read_under_a_dark_and_a_light_theme(theme: str) -> None:
    """Whether the theme is there before the chart or comes after it."""
    chart = ek.charts.timeline(log()) & ek.charts.evolution(history([-1, 2]))
    with alt.theme.enable(theme):
        drawn = svg(chart)
    fills = set(re.findall(r'<text[^>]*fill="(#[0-9a-f]{6})"', drawn))
    assert fills
    assert all((sum(bytes.fromhex(fill[1:])) > 400) == (theme == "dark") for fill in fills)


def test_the_headline_tells_the_position_of_the_slider_and_ends_with_the_log() -> None:
    """Also where the last events are of no concern to the projection."""
    store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z"))
    store.append("a-1", [ek.NewEvent(type="X"), ek.NewEvent(type="Other"), ek.NewEvent(type="Other")])
    seen: ek.Projection[int] = ek.Projection("seen", initial=lambda: 0)
    seen.on("X")(lambda state, event: state + 1)
    chart = ek.charts.scrubber(store.history(seen)).to_dict()
    assert chart["params"][0]["value"] == chart["params"][0]["bind"]["max"] == 3
    chart["params"][0]["value"] = 2
    said = [text for text in texts(svg(alt.Chart.from_dict(chart))) if text.startswith("position")]
    assert said == ["position 2 · 2026-01-05 09:00:00 UTC · X · a-1"]


def test_a_wide_event_costs_what_is_drawn_of_it() -> None:
    """Columns beyond the text on hover are not looked at."""

    class Untold:
        def __str__(self) -> str:
            raise AssertionError("nobody reads this far")

    wide = log(5).assign(**{f"field_{number}": "a value" for number in range(30)})
    wide["last"] = pd.Series([Untold() for _ in range(5)], dtype=object)
    ek.charts.timeline(wide)


def test_a_slider_obeys_keys_and_is_as_wide_as_the_chart() -> None:
    bundle, _ = ek.charts.scrubber(history([1, 2]))._repr_mimebundle_()
    bind = bundle[renderer.MEDIA_TYPE]["params"][0]["bind"]
    assert bind["type"] == "range"
    assert "width: 100%" in bind["style"]
    assert "data-lm-suppress-shortcuts" in bind
    vl_convert.vegalite_to_vega(bundle[renderer.MEDIA_TYPE], vl_version="5.8")


def shown(chart: Any) -> nbformat.NotebookNode:
    """A notebook that shows a chart."""
    data, metadata = chart._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("chart", outputs=[output], execution_count=1)
    return nbformat.v4.new_notebook(cells=[cell])


def test_exports_show_a_picture() -> None:
    notebook = shown(ek.charts.timeline(log()))
    assert 'src="data:image/png;base64' in HTMLExporter().from_notebook_node(notebook)[0]
    assert "![png](" in MarkdownExporter().from_notebook_node(notebook)[0]


def test_a_chart_that_cannot_be_pictured_is_shown_without_one() -> None:
    """Its data lies elsewhere; or its texts hold what would end the process."""
    elsewhere = alt.Chart("https://example.org/data.csv").mark_point().encode(x="x:Q")
    assert "image/png" not in elsewhere._repr_mimebundle_()
    control = alt.Chart(pd.DataFrame({"x": ["a\x00b", "\x1f"]})).mark_point().encode(x="x:N")
    assert "image/png" in control._repr_mimebundle_()[0]
    with alt.renderers.enable(renderer.NAME, pictures=False):
        assert "image/png" not in ek.charts.timeline(log())._repr_mimebundle_()


@pytest.mark.processes
def test_without_the_extra_charts_are_shown_without_pictures() -> None:
    code = """
import sys
sys.modules["vl_convert"] = None
import eventsourcing_kit as ek
from eventsourcing_kit.drawing.renderer import render
assert sorted(render({"mark": "bar"})) == ["application/vnd.vegalite.v5+json", "text/plain"]
"""
    subprocess.run([sys.executable, "-c", f"{code}"], check=True, timeout=120)


def test_a_picture_is_small_and_the_same_every_time() -> None:
    spec = ek.charts.timeline(log()).to_dict() | {"background": "white"}
    first, again = picture.png(spec), picture.png(spec)
    assert first == again
    assert first is not None
    large = vl_convert.vegalite_to_png(spec, vl_version="5.8", scale=picture.SCALE)
    assert len(first[0]) < len(large) / 3
    assert struct.unpack(">II", first[0][16:24]) == struct.unpack(">II", large[16:24])
    assert picture.smaller(first[0]) == first[0]  # one of another kind is left as it is
    base64.b64encode(first[0])


def test_a_saved_page_needs_no_network(tmp_path: Any) -> None:
    ek.charts.scrubber(history([1, 2])).save(tmp_path / "past.html", inline=True)
    assert "//cdn" not in (tmp_path / "past.html").read_text(encoding="utf-8").split("vegaEmbed", 1)[0]

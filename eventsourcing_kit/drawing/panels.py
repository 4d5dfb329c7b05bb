"""What charts are put together from: the scrubber's strip and panel, the lag's area and its marks."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from eventsourcing_kit.drawing import chart_data as data
from eventsourcing_kit.drawing.axes import (
    FRAME,
    FUTURE,
    HALO,
    INK,
    PALE_INK,
    WRONG,
    colors,
    event_tooltip,
    lane_axis,
    lane_offset,
    lanes,
    lanes_height,
    legend,
    quiet_axis,
    state_tooltip,
    ticks,
    time_axis,
    value_axis,
)
from eventsourcing_kit.drawing.palette import PALETTE

PANEL_WIDTH = 220


def lag_area(rows: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    """Draw what is written and not projected yet."""
    area = alt.Chart(rows).mark_area(interpolate="step-after", opacity=0.16, color=PALETTE[0])
    drawn: alt.Chart = area.encode(x=x, y=y, y2="written:Q")
    return drawn


def stale_marks(seen: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Draw where readers were told something old: what they saw, how far it lay behind, and what it was."""
    marks = alt.Chart(seen)
    tooltip = [alt.Tooltip(name) for name in ("told:N", "table:N", "behind:Q", "when:N")]
    place: dict[str, Any] = {
        "align": alt.expr("datum.late ? 'right' : 'left'"),
        "dx": alt.expr("datum.late ? -9 : 9"),
        "dy": alt.expr("datum.low ? -13 : 14"),
        "fontSize": 12,
        "fontWeight": "bold",
    }
    halo = marks.mark_text(color=HALO, stroke=HALO, strokeWidth=4, **place)  # lines may pass below the text
    return [
        marks.mark_rule(color=WRONG, strokeDash=[4, 3], strokeWidth=1.5).encode(x=x, y=y, y2="written:Q"),
        marks.mark_point(color=WRONG, filled=True, size=80, opacity=1).encode(x=x, y=y, tooltip=tooltip),
        halo.encode(x=x, y=y, text="told:N"),
        marks.mark_text(color=WRONG, **place).encode(x=x, y=y, text="told:N"),
    ]


def comparison_panels(
    rows: pd.DataFrame, lines: pd.DataFrame, parts: pd.DataFrame, x: alt.X, scale: alt.Scale, name: str
) -> tuple[alt.LayerChart, alt.LayerChart]:
    """Draw two lines a key with what lies between them shaded, and the difference alone."""
    y = value_axis(pd.concat([rows["one"], rows["other"]]), name).stack(None)
    rule = alt.Chart(parts).mark_rule(color=PALE_INK, strokeDash=[2, 3])
    color = alt.Color("key:N", scale=scale, legend=legend("key", names=rows["key"]))
    quiet = alt.Color("key:N", scale=scale, legend=None)
    between = alt.Chart(rows.assign(value=rows["one"])).mark_area(interpolate="step-after", opacity=0.22)
    dashes = alt.Scale(domain=["one", "other"], range=[[5, 3], [1, 0]])
    tooltip = [alt.Tooltip(one) for one in ("key:N", "series:N", "value:Q", "difference:Q", "when:N")]
    steps = alt.Chart(lines).mark_line(interpolate="step-after", strokeWidth=2)
    above = layered(
        between.encode(x=x, y=y, y2="other:Q", color=quiet),
        steps.encode(
            x=x,
            y=y,
            color=color,
            strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=legend("")),
            tooltip=tooltip,
        ),
        rule.encode(x=x, tooltip=[alt.Tooltip("when:N", title="they part")]),
    )
    apart = rows.assign(value=rows["difference"])
    y = value_axis(apart["value"], "other less one").stack(None)
    area = alt.Chart(apart).encode(x=x, y=y, color=quiet)
    below = layered(
        area.mark_area(interpolate="step-after", opacity=0.22),
        area.mark_line(interpolate="step-after", strokeWidth=1.5).encode(
            tooltip=[alt.Tooltip(one) for one in ("key:N", "difference:Q", "when:N")]
        ),
        rule.encode(x=x),
    )
    return above, below


def blocks(marks: pd.DataFrame) -> alt.Chart:
    """Draw marks that last, as blocks in their lanes."""
    drawn: alt.Chart = (
        alt.Chart(marks).mark_rect(height=alt.expr("datum.size")).encode(x2="until", yOffset=lane_offset())
    )
    return drawn


def dots(marks: pd.DataFrame) -> alt.Chart:
    """Draw marks that have a moment, as dots in their lanes."""
    drawn: alt.Chart = alt.Chart(marks).mark_circle(size=70, opacity=0.85).encode(yOffset=lane_offset())
    return drawn


def moment_label(told: pd.DataFrame, asof: str, width: int) -> alt.Chart:
    """Draw the line of text that tells where the slider stands."""
    text = alt.Chart(told).mark_text(align="left", x=0, fontSize=13, fontWeight="bold", color=INK, limit=width)
    return (
        at_moment(text, asof)
        .encode(text="told:N")
        .properties(width=width, height=18, view=alt.ViewBackground(stroke=None))
    )


def state_strip(marks: pd.DataFrame, states: pd.DataFrame, told: pd.DataFrame, asof: str, width: int) -> alt.LayerChart:
    """Draw the events in lanes by key, the future in grey, and a line where the slider stands."""
    time, (marks, told) = time_axis("time", marks, told, width=width)
    past = alt.Color("color:N", scale=colors(marks["color"]), legend=legend("type", "bottom", marks["color"]))
    dense = "count" in marks
    drawn = (blocks if dense else dots)(marks).encode(
        x=time,
        y=lane_axis(states["key"]),
        color=alt.condition(f"datum.position <= {asof}", past, alt.value(FUTURE)),
        tooltip=event_tooltip("key", "type", marks) if dense else state_tooltip("state after"),
    )
    rule = at_moment(alt.Chart(told).mark_rule(color=PALE_INK, strokeDash=[3, 3]), asof)
    return layered(rule.encode(x=time), drawn).properties(width=width, height=lanes_height(states["key"]))


def state_panel(states: pd.DataFrame, name: str, asof: str) -> alt.LayerChart:
    """Draw each key's state where the slider stands, in the lanes of the strip beside it."""
    current = (
        alt.Chart(states)
        .transform_filter(f"datum.position <= {asof}")
        .transform_aggregate(last="argmax(position)", groupby=["key"])
        .transform_calculate(value="datum.last.value", text="datum.last.text")
        .transform_filter("isValid(datum.value)")
        .encode(y=alt.Y("key:N", scale=lanes(states["key"]), axis=None))
    )
    above = alt.TitleParams(name, anchor="start", fontSize=12, fontWeight="normal", color=PALE_INK, limit=PANEL_WIDTH)
    tooltip = [alt.Tooltip("key:N"), alt.Tooltip("text:N", title=name)]
    is_number = data.is_number(states["value"])
    panel = number_bars(current, states["value"], tooltip) if is_number else state_texts(current, tooltip)
    return panel.properties(width=PANEL_WIDTH, height=lanes_height(states["key"]), title=above)


def number_bars(current: alt.Chart, values: pd.Series, tooltip: list[alt.Tooltip]) -> alt.LayerChart:
    """Draw numbers as bars, each with its number; the domain is fixed, so that nothing jumps."""
    low, high = data.reach(values)
    axis = quiet_axis(title=None, tickCount=ticks(low, high, most=4, whole=data.are_whole(values)))
    x = alt.X("value:Q", scale=alt.Scale(domain=[low, high], nice=False), axis=axis, stack=None)
    align, dx = alt.expr("datum.value < 0 ? 'right' : 'left'"), alt.expr("datum.value < 0 ? -5 : 5")
    bars = current.mark_bar(color=PALETTE[0], size=14, cornerRadius=2)
    labels = current.mark_text(color=INK, align=align, dx=dx, limit=100)
    return layered(bars.encode(x=x, tooltip=tooltip), labels.encode(x=x, text="text:N"))


def state_texts(current: alt.Chart, tooltip: list[alt.Tooltip]) -> alt.LayerChart:
    """Draw states that are no numbers as text; on hover more of it is told than there is room for."""
    texts = current.mark_text(align="left", x=0, dx=6, color=INK, limit=PANEL_WIDTH - 10)
    return layered(texts.encode(text="text:N", tooltip=tooltip))


def layered(*charts: alt.Chart, **encoding: Any) -> alt.LayerChart:
    """Lay charts over each other, whose colours remain their own where they are put together with other charts.

    Of several that have colours only one can have a legend, or it would be there twice.
    """
    outer = alt.LayerChart(layer=list(charts), encoding=alt.FacetedEncoding(**encoding) if encoding else alt.Undefined)
    own: alt.LayerChart = outer.resolve_scale(color="independent").properties(view=alt.ViewBackground(stroke=FRAME))
    return own


def at_moment(chart: alt.Chart, asof: str) -> alt.Chart:
    """Keep of the moments only the last at or before the slider's position: its time and what it tells."""
    time = "isString(datum.last.time) ? toDate(datum.last.time) : datum.last.time"
    return (
        chart.transform_filter(f"datum.position <= {asof}")
        .transform_aggregate(last="argmax(position)")
        .transform_filter("isValid(datum.last)")
        .transform_calculate(time=time, told=f"'position ' + format({asof}, ',') + ' · ' + datum.last.told")
    )

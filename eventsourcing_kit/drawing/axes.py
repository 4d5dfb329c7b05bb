"""How charts look: colours, axes in UTC that stay as they are, lanes, legends and tooltips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from eventsourcing_kit.drawing import chart_data as data

if TYPE_CHECKING:
    import pandas as pd

PALETTE = [
    *("#3b6ea5", "#e08e45", "#4f9d78", "#b8566f", "#8a78b4"),
    *("#c9ab3f", "#45a3ab", "#94705a", "#d68fb4", "#6b7f99"),
]
OTHERS = "#aab4be"
FUTURE = "#d6dde3"
WRONG = "#c0392b"
INK, PALE_INK, GRID, ZERO = "#2f3b46", "#6b7885", "#edf0f3", "#a9b4be"
LANE_HEIGHT = 28
LONG_NAME = 30  # letters that fit beside a lane
# The shortest text that names a tick, on a clock of 24 hours; Vega's own says "09 AM".
TICK = """utcFormat(datum.value, utcmilliseconds(datum.value) ? '%S.%Ls'
 : utcseconds(datum.value) ? '%H:%M:%S'
 : utchours(datum.value) + utcminutes(datum.value) ? '%H:%M' : utcdate(datum.value) > 1 ? '%b %d'
 : utcmonth(datum.value) ? '%b %Y' : '%Y')""".replace("\n", "")
TICK_OF_ONE_YEAR = TICK.replace("utcmonth(datum.value) ? '%b %Y' : '%Y'", "'%b'")  # the axis title says the year


def position_axis(field: str, reach: tuple[float, float]) -> alt.Y:
    """Return an axis of whole positions (few ticks do that; Vega-Lite drops `tickMinStep`), the same for all layers."""
    axis = quiet_axis(title="position", tickCount=min(8, max(1, int(reach[1] - reach[0]))))
    return alt.Y(field, scale=alt.Scale(domain=[*reach], nice=False, zero=False), axis=axis)


def heading(text: str | None, notes: list[str]) -> alt.TitleParams:
    """Return a title with notes below it."""
    style: dict[str, Any] = {"anchor": "start", "fontSize": 16, "offset": 12, "color": INK}
    if notes:
        style |= {"subtitle": notes, "subtitleColor": PALE_INK, "subtitlePadding": 4}
    return alt.TitleParams(data.harmless(text or ""), **style)


def quiet_axis(**options: Any) -> alt.Axis:
    """Return an axis that stays behind the marks: a pale grid, no ticks, no line."""
    quiet = {"domain": False, "ticks": False, "gridColor": GRID, "labelColor": PALE_INK, "labelPadding": 6}
    return alt.Axis(**{**quiet, "titleColor": PALE_INK, "titleFontWeight": "normal", **options})


def time_axis(title: str, times: pd.Series, named_by: pd.Series | None = None) -> alt.X:
    """Return an axis over these times that stays as it is and reads the same in every viewer's zone.

    Where all of `named_by` (or else the times) lie in one day, one year or two years, its title says which.
    """
    named = times if named_by is None else named_by
    tick = TICK
    if len(named) and named.max().year - named.min().year <= 1:
        first, last = named.min().date(), named.max().date()
        if first.year < last.year:
            title += f", {first.year}–{last.year}"  # ticks of days and weeks don't name it
        else:
            title += f", {first if first == last else first.year}"
            tick = TICK_OF_ONE_YEAR
    domain = data.span(times) or alt.Undefined
    axis = quiet_axis(title=f"{title} (UTC)", labelExpr=tick, labelOverlap=True, tickCount=8)
    only = data.only_moment(named)
    if only is not None:
        axis.values = [only]  # ticks beside it would tell fractions of seconds at which nothing happened
    return alt.X("time:T", scale=alt.Scale(type="utc", domain=domain, padding=10), axis=axis)


def value_axis(values: pd.Series, name: str) -> alt.Y:
    """Return an axis of numbers, or of texts in the order in which they first occur."""
    if data.is_number(values) or values.empty:
        low, high = data.reach(values, room=0.06)
        color = {"condition": {"test": "datum.value === 0", "value": ZERO}, "value": GRID} if low < 0 else GRID
        return alt.Y(
            "value:Q", scale=alt.Scale(domain=[low, high], nice=False), axis=quiet_axis(title=name, gridColor=color)
        )
    axis = quiet_axis(title=name, grid=True, labelLimit=160, labelOverlap=True, **shortened(values))
    return alt.Y("value:N", sort=list(values.unique()), axis=axis)


def lane_axis(names: pd.Series) -> alt.Y:
    """Return an axis with a lane a name."""
    axis = quiet_axis(title=None, grid=True, labelLimit=180, labelColor=INK, **shortened(names))
    return alt.Y("lane:N", scale=lanes(names), axis=axis)


def shortened(names: pd.Series) -> dict[str, Any]:
    """Return what makes an axis or a legend cut long names within, where cut at their end some would look alike.

    Of the places to cut at, that is taken which tells the most names apart.
    """
    long = [name for name in names.dropna().unique() if len(name) > LONG_NAME]
    if len({name[:LONG_NAME] for name in long}) == len(long):
        return {}  # Vega's own way, at the end, will do
    head = max(range(LONG_NAME - 4, 3, -1), key=lambda head: len({cut_within(name, head) for name in long}))
    cut = f"slice(datum.label, 0, {head}) + '…' + slice(datum.label, {head - LONG_NAME})"
    return {"labelExpr": f"length(datum.label) > {LONG_NAME} ? {cut} : datum.label"}


def cut_within(name: str, head: int) -> str:
    """Return the first `head` letters of a long name, and of its last ones as many as there is room for."""
    return f"{name[:head]}…{name[head - LONG_NAME :]}"


def lanes(names: pd.Series) -> alt.Scale:
    """Return a scale with a lane a name, the same in every chart, so that charts side by side line up."""
    return alt.Scale(type="band", domain=list(names.unique()), paddingInner=0, paddingOuter=0)


def lanes_height(names: pd.Series) -> int:
    """Return the height of a chart with a lane a name."""
    return LANE_HEIGHT * max(names.nunique(), 1)


def lane_offset() -> alt.YOffset:
    """Return where in its lane a mark lies."""
    return alt.YOffset("place:Q", scale=alt.Scale(domain=[-0.7, 0.7]))


def colors(names: pd.Series) -> alt.Scale:
    """Return a scale with a colour of its own for each of the most frequent names, grey for all others."""
    own = data.most_frequent(names, len(PALETTE))
    others = [name for name in names.unique() if name not in own]
    return alt.Scale(domain=[*own, *others], range=[*PALETTE[: len(own)], *[OTHERS] * len(others)])


def legend(title: str, orient: Any = "right", names: pd.Series | None = None) -> alt.Legend:
    """Return a legend of the colours; below a chart it is laid out in rows."""
    style: dict[str, Any] = {"titleColor": PALE_INK, "titleFontWeight": "normal", "labelColor": INK}
    if names is not None:
        style |= shortened(names)
    if orient == "bottom":
        style |= {"columns": 4}
    return alt.Legend(title=title, orient=orient, symbolLimit=len(PALETTE) + 1, labelLimit=200, **style)


def event_tooltip(lane: str, color: str) -> list[alt.Tooltip]:
    """Name what is told on hover; all of it text, because a time would be told in the viewer's own zone."""
    own_color = [alt.Tooltip("color:N", title=color)] if color != "type" else []
    return [
        alt.Tooltip("type:N", title="what"),
        alt.Tooltip("happened:N", title="with"),
        *own_color,
        alt.Tooltip("lane:N", title=lane),
        alt.Tooltip("when:N", title="when"),
        alt.Tooltip("position:Q", title="position"),
    ]


def state_tooltip(name: str) -> list[alt.Tooltip]:
    """Name what is told of a state on hover."""
    return [
        alt.Tooltip("key:N", title="key"),
        alt.Tooltip("text:N", title=name),
        alt.Tooltip("type:N", title="after"),
        alt.Tooltip("when:N", title="when"),
        alt.Tooltip("position:Q", title="position"),
    ]

"""How charts look: colours, axes in UTC that stay as they are, lanes, legends and tooltips."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from eventsourcing_kit.drawing import chart_data as data
from eventsourcing_kit.drawing.palette import PALETTE, colors_of


def on_ground(light: str, dark: str) -> alt.ExprRef:
    """Return a colour that goes by the background behind it, whatever theme that comes from."""
    return alt.ExprRef(f"luminance(background || 'white') > 0.3 ? '{light}' : '{dark}'")


OTHERS, FUTURE = on_ground("#aab4be", "#8b96a1"), on_ground("#d6dde3", "#56616b")
WRONG, HALO = on_ground("#c0392b", "#ff7b6b"), on_ground("white", "#333")
INK, PALE_INK = on_ground("#2f3b46", "#e6ebf0"), on_ground("#6b7885", "#b4bec8")
FRAME = on_ground("#dddddd", "#59626a")
GRID, ZERO = on_ground("#edf0f3", "#464e55"), on_ground("#a9b4be", "#7d8892")
LANE_HEIGHT = 28
LONG_NAME = 30  # letters that fit beside a lane
NAME_WIDTH = 180  # pixels
# The shortest text that names a tick, on a clock of 24 hours; Vega's own says "09 AM".
TICK = """utcFormat(datum.value, utcmilliseconds(datum.value) ? '%S.%Ls'
 : utcseconds(datum.value) ? '%H:%M:%S'
 : utchours(datum.value) + utcminutes(datum.value) ? '%H:%M' : utcdate(datum.value) > 1 ? '%b %d'
 : utcmonth(datum.value) ? '%b %Y' : '%Y')""".replace("\n", "")
TICK_OF_ONE_YEAR = TICK.replace("utcmonth(datum.value) ? '%b %Y' : '%Y'", "'%b'")  # the axis title says the year
TICK_OF_DAYS = TICK.replace("utcdate(datum.value) > 1 ? '%b %d' : utcmonth(datum.value) ? '%b %Y' : '%Y'", "'%b %d'")
MONTHS = pd.Timedelta(days=110)  # from here on, ticks lie months apart
FINE = pd.Timedelta(milliseconds=5)  # up to here, an axis of times could not tell them apart: it knows milliseconds


def position_axis(field: str, reach: tuple[float, float]) -> alt.Y:
    """Return an axis of positions, the same for all layers."""
    axis = quiet_axis(title="position", tickCount=ticks(*reach, most=8, whole=True))
    return alt.Y(field, scale=alt.Scale(domain=[*reach], nice=False, zero=False), axis=axis)


def ticks(low: float, high: float, *, most: int, whole: bool) -> int:
    """Return how many ticks to ask for: of whole numbers no more than there are."""
    return max(1, int(min(most, high - low))) if whole else most


def heading(text: str | None, notes: list[str], width: int) -> alt.TitleParams:
    """Return a title with notes below it, cut where it is wider than the chart."""
    style: dict[str, Any] = {"anchor": "start", "fontSize": 16, "offset": 12, "color": INK, "limit": width}
    if notes:
        style |= {"subtitle": notes, "subtitleColor": PALE_INK, "subtitlePadding": 4}
    return alt.TitleParams(data.harmless(text or ""), **style)


def quiet_axis(**options: Any) -> alt.Axis:
    """Return an axis that stays behind the marks: a pale grid, no ticks, no line."""
    quiet = {"domain": False, "ticks": False, "zindex": 0, "gridColor": GRID, "labelColor": PALE_INK, "labelPadding": 6}
    return alt.Axis(**{**quiet, "titleColor": PALE_INK, "titleFontWeight": "normal", "titleLimit": 280, **options})


def time_axis(
    title: str, *frames: pd.DataFrame, width: int, named_by: pd.Series | None = None
) -> tuple[alt.X, list[pd.DataFrame]]:
    """Return an axis over the frames' times that stays as it is and reads the same in every zone, and the frames.

    Where all of `named_by` (or else the times) lie in one day, one year or two years, its title says which. Times
    within some milliseconds are drawn as microseconds from their start, and the frames have those in their place.
    """
    columns = [frame[name] for frame in frames for name in ("time", "until") if name in frame and len(frame)]
    times = pd.concat(columns or [frames[0]["time"]], ignore_index=True)
    named = times if named_by is None else named_by
    if len(times) and 0 < (times.max() - times.min()) / FINE <= 1:
        return fine_axis(times, frames, width)
    tick = TICK
    if len(named) and named.max().year - named.min().year <= 1:
        first, last = named.min().date(), named.max().date()
        tick = TICK if first.year < last.year else TICK_OF_ONE_YEAR
        tick = TICK_OF_DAYS if named.max() - named.min() < MONTHS else tick
        years = f"{first.year}–{last.year}" if first.year < last.year else first.year  # which ticks don't name
        title += f", {first if first == last else years}"
    domain = data.span(times) or alt.Undefined
    axis = quiet_axis(
        title=f"{title} (UTC)", labelExpr=tick, labelOverlap=True, labelSeparation=10, tickCount=max(2, width // 100)
    )
    only = data.only_moment(named)
    if only is not None:
        axis.values = [only]  # ticks beside it would tell fractions of seconds at which nothing happened
    return alt.X("time:T", scale=alt.Scale(type="utc", domain=domain, padding=10), axis=axis), [*frames]


def fine_axis(times: pd.Series, frames: tuple[pd.DataFrame, ...], width: int) -> tuple[alt.X, list[pd.DataFrame]]:
    """Return an axis of microseconds, and the frames with such in place of times."""
    start = times.min().floor("s") if times.max() - times.min().floor("s") <= FINE else times.min()
    micros = pd.Timedelta("1us")
    drawn = [
        frame.assign(**{name: (frame[name] - start) / micros for name in ("time", "until") if name in frame})
        for frame in frames
    ]
    domain = [(times.min() - start) / micros, (times.max() - start) / micros]
    title = f"µs after {data.utc_text(pd.Series([start]))[0]}"
    axis = quiet_axis(
        title=title,
        tickCount=ticks(*domain, most=max(2, width // 100), whole=True),
        labelOverlap=True,
        labelSeparation=10,
    )
    return alt.X("time:Q", scale=alt.Scale(domain=domain, nice=False, zero=False, padding=10), axis=axis), drawn


def value_axis(values: pd.Series, name: str) -> alt.Y:
    """Return an axis of numbers or of times."""
    if data.is_time(values):
        scale = alt.Scale(type="utc", domain=data.span(values.dropna()) or alt.Undefined, padding=12)
        axis = quiet_axis(title=f"{name} (UTC)", labelExpr=TICK, labelOverlap=True)
        return alt.Y("value:T", scale=scale, axis=axis)
    low, high = data.reach(values, room=0.06)
    color = axis_color("datum.value === 0", ZERO, GRID) if low < 0 else GRID
    axis = quiet_axis(title=name, gridColor=color, tickCount=ticks(low, high, most=8, whole=data.are_whole(values)))
    return alt.Y("value:Q", scale=alt.Scale(domain=[low, high], nice=False), axis=axis)


def axis_color(test: str, color: alt.ExprRef, otherwise: alt.ExprRef) -> alt.ExprRef:
    """Return one colour where a test of `datum` holds, another otherwise."""
    return alt.ExprRef(f"{test} ? ({color.expr}) : ({otherwise.expr})")


def lane_axis(names: pd.Series, field: str = "lane") -> alt.Y:
    """Return an axis with a lane a name."""
    axis = quiet_axis(title=None, grid=True, labelLimit=NAME_WIDTH, labelColor=INK, **shortened(names))
    return alt.Y(f"{field}:N", scale=lanes(names), axis=axis)


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
    """Return a scale with a colour of its own for each of the most frequent names, grey for all others.

    A name keeps its colour in every chart (see `palette`).
    """
    own = data.most_frequent(names, len(PALETTE))
    others = [name for name in names.unique() if name not in own]
    palette: list[Any] = [*colors_of(own).values()]
    return alt.Scale(domain=[*own, *others], range=[*palette, *[OTHERS] * len(others)])


def legend(title: str, orient: Any = "right", names: pd.Series | None = None) -> alt.Legend:
    """Return a legend of the colours; below a chart it is laid out in rows."""
    style: dict[str, Any] = {"titleColor": PALE_INK, "titleFontWeight": "normal", "labelColor": INK}
    if names is not None:
        style |= shortened(names)
    if orient == "bottom":
        style |= {"columns": 3}
    return alt.Legend(title=title, orient=orient, symbolLimit=len(PALETTE) + 1, labelLimit=NAME_WIDTH, **style)


def event_tooltip(lane: str, color: str, marks: pd.DataFrame) -> list[alt.Tooltip]:
    """Name what is told on hover; all of it text, because a time would be told in the viewer's own zone."""
    told = {"type": "what", "happened": "with", "tags": "tags", "color": color, "count": "events"}
    told |= {"lane": lane, "when": "when", "position": "position", "last": "to position"}
    if "count" not in marks:
        told = {name: title for name, title in told.items() if name != "last" and (name, title) != ("color", "type")}
    return [alt.Tooltip(f"{name}:N", title=title) for name, title in told.items() if name in marks]


def state_tooltip(name: str) -> list[alt.Tooltip]:
    """Name what is told of a state on hover."""
    return [
        alt.Tooltip("key:N", title="key"),
        alt.Tooltip("text:N", title=name),
        alt.Tooltip("type:N", title="after"),
        alt.Tooltip("when:N", title="when"),
        alt.Tooltip("position:Q", title="position"),
    ]

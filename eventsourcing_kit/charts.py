"""Charts of a log and of the states that it passed through: `timeline`, `evolution`, `scrubber`; `snapshots`, `lag`.

Each takes a frame (or anything with `.df()`) and returns an Altair chart to customise further. Times are
UTC for every viewer. A log of any length draws: beyond `max_marks` it is sampled, beyond `max_lanes` or
`max_keys` the rest is left out, and a note under the title says so. Importing this module enables the kit's
renderer (see `drawing.renderer`).
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import altair as alt

from eventsourcing_kit.drawing import chart_data as data
from eventsourcing_kit.drawing import lag_data, renderer
from eventsourcing_kit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from eventsourcing_kit.folding.history import History

__all__ = ["evolution", "lag", "scrubber", "snapshots", "timeline"]

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

renderer.enable()


def __dir__() -> list[str]:
    return sorted(__all__)  # what Tab offers in a notebook


def timeline(
    frame: pd.DataFrame,
    *,
    lane: str = "stream",
    color: str = "type",
    time: str = "recorded_at",
    max_marks: int = 2_000,
    max_lanes: int = 30,
    width: int = 600,
    title: str = "What happened",
) -> alt.Chart:
    """Draw each event as a mark: a lane a stream, a colour a type, and on hover what happened and when.

    `frame` is that of `store.read().df()`; it needs the columns stream, position, type and recorded_at, and
    those named by `lane`, `color` and `time`. `time="occurred_at"` draws events when they happened in the
    domain; events without that time are drawn at their recorded_at. Other columns are told on hover. Of more than
    `max_lanes` lanes those with the most events are drawn, and more than `max_marks` events are sampled evenly.

    Raises `InputError` where a column is missing, or a column of times has no zone.

        ek.charts.timeline(store.read(category="account").df()).properties(width=900)
    """
    check_limits(max_marks=max_marks, max_lanes=max_lanes)
    table = data.as_frame(frame, ["stream", "position", "type", "recorded_at", lane, color, time], "timeline")
    marks, notes = data.event_marks(table, lane=lane, color=color, time=time, max_lanes=max_lanes, max_marks=max_marks)
    chart = alt.Chart(
        marks,
        mark=alt.MarkDef("circle", size=85, opacity=0.95, stroke="white", strokeWidth=1),
        encoding=alt.FacetedEncoding(
            x=time_axis(time.replace("_", " "), marks["time"]),
            y=lane_axis(marks["lane"]),
            yOffset=lane_offset(),
            color=alt.Color(
                "color:N",
                scale=colors(marks["color"]),
                legend=None if color == lane else legend(color, names=marks["color"]),  # the lanes name the colours
            ),
            tooltip=event_tooltip(lane, color),
        ),
    )
    return chart.properties(
        width=width,
        height=lanes_height(marks["lane"]),
        title=heading(title, notes or empty_note(marks)),
        description=f"timeline: {counted(len(table), 'event')}, {counted_values(table, lane)}",
    )


def evolution(
    frame: pd.DataFrame | History,
    field: str | None = None,
    *,
    max_marks: int = 2_000,
    max_keys: int = 10,
    width: int = 600,
    height: int = 280,
    title: str | None = None,
) -> alt.LayerChart:
    """Draw how one field of the state evolved: steps over time, a line a key, ending where the key ended.

    What is still valid is drawn a little beyond the last event, so that the last step is seen, too.
    `frame` is that of `history.df()`: key, position, type, valid_from, valid_to and the state's columns.
    `field` names the state column to draw, by default `state`, else the first column of numbers. Text is
    drawn as a step a value. The `max_keys` keys with the most events are drawn, and beyond `max_marks` every peak and
    dip, but not every event.

    Raises `InputError` where a column is missing, or a column of times has no zone.

        ek.charts.evolution(history.df(), "state")
    """
    check_limits(max_marks=max_marks, max_keys=max_keys)
    table = data.as_frame(frame, data.HISTORY_COLUMNS, "evolution")
    name = state_field(table, field, "evolution")
    rows, key_notes = data.history_rows(table, name, max_keys)
    corners, mark_notes = data.steps(rows, max_marks)
    lines = alt.Chart(corners).encode(
        x=time_axis("time", corners["time"], named_by=rows["time"]),
        y=value_axis(corners["value"], name),
        color=alt.Color("key:N", scale=colors(corners["key"]), legend=legend("key", names=corners["key"])),
        order=alt.Order("place:Q"),
    )
    path = lines.mark_line(interpolate="step-after", strokeWidth=2).encode(detail=["key:N", "segment:Q"])
    dots = lines.mark_circle(size=45, opacity=1).transform_filter("datum.event")
    return layered(path, dots.encode(tooltip=state_tooltip(name))).properties(
        width=width,
        height=height,
        title=heading(
            title or f"How {'the state' if name == 'state' else name} evolved",
            key_notes + mark_notes or empty_note(corners),
        ),
        description=f"evolution of {name}: {counted(len(table), 'event')}, {counted_values(table, 'key')}",
    )


def scrubber(
    history: History | pd.DataFrame,
    field: str | None = None,
    *,
    max_marks: int = 2_000,
    max_keys: int = 20,
    width: int = 440,
    title: str | None = None,
) -> alt.VConcatChart:
    """Draw a slider over positions: the future turns grey, and the states become those as of that position.

    All of it happens in the browser, without a kernel. `history` is a `History` or its frame; `field` names
    the state column to show, by default `state`, else the first column of numbers. Numbers are drawn as
    bars, other values as text. The `max_keys` keys with the most events are drawn. So that no more than
    `max_marks` states are, the slider of a long history moves many positions at a time; what it shows at each stop
    is exact.

    Raises `InputError` where a column is missing, or a column of times has no zone.

        ek.charts.scrubber(store.history(balance))
    """
    check_limits(max_marks=max_marks, max_keys=max_keys)
    table = data.as_frame(history, data.HISTORY_COLUMNS, "scrubber")
    name = state_field(table, field, "scrubber")
    rows, notes = data.history_rows(table, name, max_keys)
    first, last, step = data.stops(table["position"], rows, max_marks)
    states = data.told_on_hover(data.last_at_stops(rows, first, step))
    told = data.moments(table, first, step)
    if step > 1:
        notes.append(f"the slider moves {step:,} positions at a time; the states at each stop are exact")
    slider = alt.binding_range(min=first, max=last, step=step, name="as of position ")
    strip = state_strip(states, told).properties(width=width)
    panels = alt.hconcat(strip, state_panel(states, name), spacing=24)
    return (
        alt.vconcat(moment_label(told, width), panels, spacing=6)
        .add_params(alt.param(name="asof", value=last, bind=slider))
        .properties(
            title=heading(title or scrubber_title(history, name), notes or empty_note(states)),
            description=f"scrubber of {name}: {counted(len(table), 'event')}, {counted_values(table, 'key')}",
        )
    )


def snapshots(
    frame: pd.DataFrame, *, width: int = 600, height: int = 240, title: str = "Events folded to know the state"
) -> alt.LayerChart:
    """Draw how many events a replay folds as of each position, from the beginning and from the nearest snapshot.

    `frame` is that of `store.folded(projection)`.

    Raises `InputError` where a column is missing.

        ek.charts.snapshots(store.folded(balance))
    """
    table = data.as_frame(frame, ["position", "without", "with_snapshots", "snapshot"], "snapshots")
    ways = {"from the beginning": "without", "from the nearest snapshot": "with_snapshots"}
    if not (table["without"] != table["with_snapshots"]).any():
        ways.popitem()  # without a snapshot, one line would hide the other
    rows = [
        {"position": int(at), "folded": int(count), "replay": way, "snapshot": int(start) if "snap" in way else 0}
        for way, column in ways.items()
        for at, count, start in zip(table["position"], table[column], table["snapshot"], strict=True)
    ]
    lines = alt.Chart(type(table)(rows)).encode(
        x=alt.X("position:Q", title="as of position", axis=quiet_axis(grid=False)),
        y=alt.Y("folded:Q", title="events folded", axis=quiet_axis()),
        color=alt.Color(
            "replay:N",
            scale=alt.Scale(domain=[*ways], range=[OTHERS, PALETTE[0]][: len(ways)]),
            legend=legend("", "bottom") if len(ways) > 1 else None,
        ),
        tooltip=["replay:N", "position:Q", "folded:Q", "snapshot:Q"],
    )
    path = lines.mark_line(interpolate="step-after", strokeWidth=2)
    return layered(path, lines.mark_circle(size=30, opacity=0)).properties(
        width=width,
        height=height,
        title=heading(title, []),
        description=f"snapshots: {counted(len(table), 'position')}",
    )


def lag(
    frame: pd.DataFrame,
    *,
    stale: Mapping[Any, str] | None = None,
    table: str | None = None,
    max_marks: int = 2_000,
    max_tables: int = 8,
    width: int = 600,
    height: int = 280,
    title: str = "Written and projected",
) -> alt.LayerChart:
    """Draw how far the log was written and how far tables had projected it, over time; between them lies the lag.

    `frame` is that of `db.progress(store)`: table, time, written and projected. `table` draws one of several, with
    the lag as an area. `stale` marks moments at which a reader was told something old: a text a time, drawn at the
    position that the reader saw, with a line up to what had been written by then.

    Raises `InputError` where a column is missing, a time has no zone, or there is no such table.

        ek.charts.lag(db.progress(store), stale={"2026-01-05T09:03:30Z": "the page said 100"}, table="balance")
    """
    check_limits(max_marks=max_marks, max_tables=max_tables)
    drawn = data.as_frame(frame, lag_data.LAG_COLUMNS, "lag")
    rows, notes = lag_data.lag_rows(drawn, table, max_tables=max_tables, max_marks=max_marks)
    seen = lag_data.stale_rows(drawn, stale or {}, table)
    times = lag_data.joined(rows["time"], seen["time"])
    x, reach = time_axis("time", times), lag_data.reach(rows)
    names = lag_data.series_names(rows)
    scale = alt.Scale(domain=names, range=[INK, *PALETTE[: len(names) - 1]])
    tooltip = [alt.Tooltip(name) for name in ("series:N", "position:Q", "behind:Q", "when:N")]
    lines = alt.Chart(lag_data.lag_lines(rows)).mark_line(interpolate="step-after", strokeWidth=2)
    layers = [
        lines.encode(
            x=x,
            y=position_axis("position:Q", reach),
            color=alt.Color("series:N", scale=scale, legend=legend("position")),
            tooltip=tooltip,
        )
    ]
    if rows["table"].nunique() == 1:
        layers.insert(0, lag_area(rows, x, position_axis("projected:Q", reach)))
    if len(seen):
        layers.extend(stale_marks(seen, x, position_axis("projected:Q", reach)))
    return layered(*layers).properties(
        width=width,
        height=height,
        title=heading(title, notes or empty_note(rows)),
        description=f"lag: {counted_values(drawn, 'table')}, {counted(len(seen), 'stale reading')}",
    )


def position_axis(field: str, reach: tuple[float, float]) -> alt.Y:
    """Return an axis of whole positions (few ticks do that; Vega-Lite drops `tickMinStep`), the same for all layers."""
    axis = quiet_axis(title="position", tickCount=min(8, max(1, int(reach[1] - reach[0]))))
    return alt.Y(field, scale=alt.Scale(domain=[*reach], nice=False, zero=False), axis=axis)


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
    halo = marks.mark_text(color="white", stroke="white", strokeWidth=4, **place)  # lines may pass below the text
    return [
        marks.mark_rule(color=WRONG, strokeDash=[4, 3], strokeWidth=1.5).encode(x=x, y=y, y2="written:Q"),
        marks.mark_point(color=WRONG, filled=True, size=80, opacity=1).encode(x=x, y=y, tooltip=tooltip),
        halo.encode(x=x, y=y, text="told:N"),
        marks.mark_text(color=WRONG, **place).encode(x=x, y=y, text="told:N"),
    ]


def moment_label(told: pd.DataFrame, width: int) -> alt.Chart:
    """Draw the line of text that tells where the slider stands."""
    text = alt.Chart(told).mark_text(align="left", x=0, fontSize=13, fontWeight="bold", color=INK)
    return (
        at_moment(text).encode(text="told:N").properties(width=width, height=18, view=alt.ViewBackground(stroke=None))
    )


def state_strip(states: pd.DataFrame, told: pd.DataFrame) -> alt.LayerChart:
    """Draw the events in lanes by key, the future in grey, and a line where the slider stands."""
    time = time_axis("time", told["time"])
    past = alt.Color("color:N", scale=colors(states["type"]), legend=legend("type", "bottom", states["type"]))
    marks = states.assign(lane=states["key"], color=states["type"])
    marks = marks.assign(place=data.spread(marks))
    dots = (
        alt.Chart(marks)
        .mark_circle(size=85, opacity=1, stroke="white", strokeWidth=1)
        .encode(
            x=time,
            y=lane_axis(marks["lane"]),
            yOffset=lane_offset(),
            color=alt.condition("datum.position <= asof", past, alt.value(FUTURE)),
            tooltip=state_tooltip("state after"),
        )
    )
    rule = at_moment(alt.Chart(told).mark_rule(color=PALE_INK, strokeDash=[3, 3]))
    return layered(rule.encode(x=time), dots).properties(height=lanes_height(states["key"]))


def state_panel(states: pd.DataFrame, name: str) -> alt.LayerChart:
    """Draw each key's state where the slider stands, in the lanes of the strip beside it."""
    current = (
        alt.Chart(states)
        .transform_filter("datum.position <= asof")
        .transform_aggregate(last="argmax(position)", groupby=["key"])
        .transform_calculate(value="datum.last.value", text="datum.last.text")
        .transform_filter("isValid(datum.value)")
        .encode(y=alt.Y("key:N", scale=lanes(states["key"]), axis=None))
    )
    above = alt.TitleParams(name, anchor="start", fontSize=12, fontWeight="normal", color=PALE_INK)
    tooltip = [alt.Tooltip("key:N"), alt.Tooltip("text:N", title=name)]
    is_number = data.is_number(states["value"])
    panel = number_bars(current, states["value"], tooltip) if is_number else state_texts(current, tooltip)
    return panel.properties(width=220, height=lanes_height(states["key"]), title=above)


def number_bars(current: alt.Chart, values: pd.Series, tooltip: list[alt.Tooltip]) -> alt.LayerChart:
    """Draw numbers as bars, each with its number; the domain is fixed, so that nothing jumps."""
    domain = alt.Scale(domain=data.reach(values), nice=False)
    x = alt.X("value:Q", scale=domain, axis=quiet_axis(title=None, tickCount=4))
    align, dx = alt.expr("datum.value < 0 ? 'right' : 'left'"), alt.expr("datum.value < 0 ? -5 : 5")
    bars = current.mark_bar(color=PALETTE[0], size=14, cornerRadius=2)
    labels = current.mark_text(color=INK, align=align, dx=dx)
    return layered(bars.encode(x=x, tooltip=tooltip), labels.encode(x=x, text="text:N"))


def state_texts(current: alt.Chart, tooltip: list[alt.Tooltip]) -> alt.LayerChart:
    """Draw states that are no numbers as text; on hover more of it is told than there is room for."""
    texts = current.mark_text(align="left", x=0, dx=6, color=INK, limit=210)
    return layered(texts.encode(text="text:N", tooltip=tooltip))


def layered(*charts: alt.Chart) -> alt.LayerChart:
    """Lay charts over each other."""
    return alt.LayerChart(layer=list(charts))


def at_moment(chart: alt.Chart) -> alt.Chart:
    """Keep of the moments only the last at or before the slider's position: its time and what it tells."""
    return (
        chart.transform_filter("datum.position <= asof")
        .transform_aggregate(last="argmax(position)")
        .transform_calculate(time="toDate(datum.last.time)", told="datum.last.told")
        .transform_filter("isValid(datum.last)")
    )


def state_field(table: pd.DataFrame, field: str | None, chart: str) -> str:
    """Return the state column to draw: the one asked for, else `state`, else the first column of numbers."""
    fields = [column for column in table.columns if column not in data.HISTORY_COLUMNS]
    if field is None:
        numbers = (column for column in fields if data.is_number(table[column]))
        field = "state" if "state" in fields else next(numbers, fields[0] if fields else "state")
    if field not in fields:
        has = ", ".join(map(str, fields)) or "none"
        raise InputError(f"{chart} found no state column {field!r}; the columns of the state are: {has}")
    return field


def check_limits(**limits: int) -> None:
    """Refuse limits that leave nothing to draw."""
    for name, limit in limits.items():
        if isinstance(limit, bool) or not isinstance(limit, Integral):
            raise InputError(f"{name} is {limit!r}; give a whole number from 1")
        if limit < 1:
            raise InputError(f"{name} is {limit}; it must be at least 1")


def counted(number: int, thing: str) -> str:
    """Return `1 event`, `2 events`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def counted_values(table: pd.DataFrame, column: str) -> str:
    """Return how many different values a column has: `4 streams`."""
    return counted(table[column].astype(str).nunique(dropna=False), column)  # a missing key is the whole log


def scrubber_title(history: object, name: str) -> str:
    """Return a title that names the projection, where it is known."""
    projection = getattr(getattr(history, "projection", None), "name", name)
    return f"{projection}, as of any moment"


def empty_note(marks: pd.DataFrame) -> list[str]:
    """Return a note where there is nothing to draw."""
    return ["no events"] if marks.empty else []


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

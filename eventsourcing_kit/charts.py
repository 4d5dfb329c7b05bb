"""Charts of a log and of the states that it passed through: `timeline`, `evolution`, `scrubber`; `comparison` of two
histories; `snapshots`, `lag`.

Each takes a frame (or anything with `.df()`) and returns an Altair chart to customise further, or to put together with
others (`&`, `|`, `+`). Times are UTC for every viewer. A log of any length draws: what there is too much of is counted
or left out, and a note under the title says so. A name (a type, a stream, a key) has the same colour in every chart of
a notebook. Text goes by the background, so that themes may be dark (`alt.theme.enable("dark")`).

Importing this module enables the kit's renderer (see `drawing.renderer`). `chart.save("past.html", inline=True)` writes
a page that works offline; without `inline` it loads Vega from the network when it is opened.
"""

from __future__ import annotations

import zlib
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import altair as alt

from eventsourcing_kit.drawing import chart_data as data
from eventsourcing_kit.drawing import comparison_data, lag_data, renderer
from eventsourcing_kit.drawing.axes import (
    INK,
    OTHERS,
    colors,
    event_tooltip,
    heading,
    lane_axis,
    lanes_height,
    legend,
    position_axis,
    quiet_axis,
    state_tooltip,
    ticks,
    time_axis,
    value_axis,
)
from eventsourcing_kit.drawing.palette import PALETTE
from eventsourcing_kit.drawing.panels import (
    PANEL_WIDTH,
    blocks,
    comparison_panels,
    dots,
    lag_area,
    layered,
    moment_label,
    stale_marks,
    state_panel,
    state_strip,
)
from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from eventsourcing_kit.folding.comparison import Comparison
    from eventsourcing_kit.folding.history import History

__all__ = ["comparison", "evolution", "lag", "scrubber", "snapshots", "timeline"]


renderer.enable()


def __dir__() -> list[str]:
    return sorted(__all__)  # what Tab offers in a notebook


def timeline(
    frame: pd.DataFrame,
    *,
    lane: str = "stream",
    color: str = "type",
    time: str = "recorded_at",
    end: str | None = None,
    max_marks: int = 2_000,
    max_lanes: int = 30,
    width: int = 600,
    title: str | None = "What happened",
) -> alt.LayerChart:
    """Draw each event as a mark: a lane a stream, a colour a type, and on hover what happened and when.

    `frame` is that of `store.read().df()`; it needs the columns stream, position, type and recorded_at, and
    those named by `lane`, `color` and `time`. `time="occurred_at"` draws events when they happened in the
    domain; events without that time are drawn at their recorded_at. `end` names a column of times at which they ended:
    events are bars then, up to now where they have no end. Other columns are told on hover. Of more than
    `max_lanes` lanes those with the most events are drawn. Events that are too many to tell them apart (some hundreds,
    or several at once) are drawn as how many there are: the taller a bar in its lane, the more.

    Raises `InputError` where a column is missing, or a column of times has no zone.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("account-1", [ek.NewEvent(type="ChartDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> ek.charts.timeline(store.read().df()).properties(width=900).description
    'timeline: 2 events, 1 stream'
    """
    check_limits(max_marks=max_marks, max_lanes=max_lanes)
    needed = ["stream", "position", "type", "recorded_at", lane, color, time, *([end] if end else [])]
    table = data.as_frame(frame, needed, "timeline")
    marks, notes = data.event_marks(
        table, lane=lane, color=color, time=time, end=end, max_lanes=max_lanes, max_marks=max_marks
    )
    x, (drawn,) = time_axis(time.replace("_", " "), marks, width=width)
    chart = layered(
        (blocks if "until" in marks else dots)(drawn),
        x=x,
        y=lane_axis(marks["lane"]),
        color=alt.Color(
            "color:N",
            scale=colors(marks["color"]),
            legend=None if color == lane else legend(color, names=marks["color"]),  # the lanes name the colours
        ),
        tooltip=event_tooltip(lane, color, marks),
    )
    return chart.properties(
        width=width,
        height=lanes_height(marks["lane"]),
        title=heading(title, notes or empty_note(marks), width),
        description=f"timeline: {counted(len(table), 'event')}, {counted_values(table, lane)}",
    )


def evolution(
    frame: pd.DataFrame | History,
    field: str | None = None,
    *,
    max_marks: int = 2_000,
    max_keys: int = 10,
    width: int = 600,
    height: int | None = None,
    title: str | None = None,
) -> alt.LayerChart:
    """Draw how one field of the state evolved: steps over time, a line a key, ending where the key ended.

    What is still valid is drawn a little beyond the last event, so that the last step is seen, too.
    `frame` is that of `history.df()`: key, position, type, valid_from, valid_to and the state's columns.
    `field` names the state column to draw, by default `state`, else the first column of numbers. Numbers and times are
    drawn as lines; of anything else it is drawn how long each key had which value: a lane a key, a colour a value.
    The `max_keys` keys with the most events are drawn, and beyond `max_marks` every peak and dip (or the longest
    intervals), but not every event.

    Raises `InputError` where a column is missing, or a column of times has no zone.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("account-1", [ek.NewEvent(type="ChartDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> balance = ek.Projection("balance", fields={"state": ek.fold.total("ChartDoc.Paid", "amount")})
    >>> ek.charts.evolution(store.history(balance).df(), "state").description
    'evolution of state: 2 events, 1 key'
    """
    check_limits(max_marks=max_marks, max_keys=max_keys)
    table = data.as_frame(frame, data.HISTORY_COLUMNS, "evolution")
    name = state_field(table, field, "evolution")
    rows, notes = data.history_rows(table, name, max_keys)
    draw = step_lines if rows.empty or data.is_number(rows["value"]) or data.is_time(rows["value"]) else value_spans
    chart, more = draw(rows, name, max_marks, width)
    return chart.properties(
        width=width,
        height=height or (280 if draw is step_lines else lanes_height(rows["key"])),
        title=heading(
            title or f"How {'the state' if name == 'state' else name} evolved", notes + more or empty_note(rows), width
        ),
        description=f"evolution of {name}: {counted(len(table), 'event')}, {counted_values(table, 'key')}",
    )


def step_lines(rows: pd.DataFrame, name: str, max_marks: int, width: int) -> tuple[alt.LayerChart, list[str]]:
    """Draw a line a key; with few events a dot each, and on hover what happened."""
    corners, notes = data.steps(rows, max_marks)
    x, (corners,) = time_axis("time", corners, width=width, named_by=rows["time"])
    color = partial(alt.Color, "key:N", scale=colors(corners["key"]))
    lines = alt.Chart(corners).encode(
        x=x,
        y=value_axis(corners["value"], name),
        color=color(legend=legend("key", names=corners["key"])),
        order=alt.Order("place:Q"),
    )
    path = lines.mark_line(interpolate="step-after", strokeWidth=2).encode(detail=["key:N", "segment:Q"])
    few = len(corners) <= data.MANY
    dots = lines.mark_circle(size=45 if few else 25, opacity=float(few)).transform_filter("datum.event")
    return layered(path, dots.encode(color=color(legend=None), tooltip=state_tooltip(name))), notes


def value_spans(rows: pd.DataFrame, name: str, max_marks: int, width: int) -> tuple[alt.LayerChart, list[str]]:
    """Draw how long each key had which value."""
    spans, notes = data.intervals(rows, max_marks)
    x, (drawn,) = time_axis("time", spans, width=width, named_by=rows["time"])
    color = alt.Color("text:N", scale=colors(spans["text"]), legend=legend(name, names=spans["text"]))
    return layered(blocks(drawn), x=x, y=lane_axis(rows["key"], "key"), color=color, tooltip=state_tooltip(name)), notes


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
    is exact. Scrubbers of one log that are put together (`&`, `|`) share their slider.

    Raises `InputError` where a column is missing, or a column of times has no zone.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("account-1", [ek.NewEvent(type="ChartDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> balance = ek.Projection("balance", fields={"state": ek.fold.total("ChartDoc.Paid", "amount")})
    >>> ek.charts.scrubber(store.history(balance)).description
    'scrubber of state: 2 events, 1 key'
    """
    check_limits(max_marks=max_marks, max_keys=max_keys)
    table = data.as_frame(history, data.HISTORY_COLUMNS, "scrubber")
    name = state_field(table, field, "scrubber")
    rows, notes = data.history_rows(table, name, max_keys)
    first = int(table["position"].min()) - 1 if len(table) else 0
    last = getattr(history, "as_of", int(table["position"].max()) if len(table) else 1)
    first, step = data.stops(first, last, rows, max_marks)
    states = data.told_on_hover(data.last_at_stops(rows, last, step))
    told = data.moments(table, last, step)
    few = states if len(states) == len(rows) else rows
    marks, note = data.placed(few.assign(lane=few["key"], color=few["type"]), max_marks)
    notes += [note] if note else []
    if step > 1:
        notes.append(f"the slider moves {step:,} positions at a time; the states at each stop are exact")
    asof = f"asof_{zlib.crc32(repr((first, last, step, told.values.tolist())).encode()):08x}"
    slider = alt.binding_range(min=first, max=last, step=step, name="as of position ")
    strip, panel = state_strip(marks, states, told, asof, width), state_panel(states, name, asof)
    whole = width + PANEL_WIDTH + 24
    return (
        alt.vconcat(moment_label(told, asof, whole), alt.hconcat(strip, panel, spacing=24), spacing=6)
        .add_params(alt.param(name=asof, value=last, bind=slider))
        .properties(
            title=heading(title or scrubber_title(history, name), notes or empty_note(states), whole),
            description=f"scrubber of {name}: {counted(len(table), 'event')}, {counted_values(table, 'key')}",
        )
    )


def comparison(
    compared: Comparison,
    field: str | None = None,
    *,
    keys: Sequence[Any] | None = None,
    max_marks: int = 2_000,
    max_keys: int = 3,
    width: int = 600,
    height: int = 260,
    title: str | None = None,
) -> alt.VConcatChart:
    """Draw two histories over time: lines that part, what lies between them shaded, and the difference alone below.

    `compared` is what `ek.compare` returns. `field` names what is drawn of the states, by default the first number that
    differs. Of the `keys` that differ, or of those that are given, `max_keys` are drawn: those that differ most at the
    end. A dashed line is the first history, a line drawn through the other.

    Raises `InputError` for what is no comparison, a key that neither history has, and a field that is no number.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("account-1", [ek.NewEvent(type="ChartDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> total = ek.Projection("total", fields={"state": ek.fold.total("ChartDoc.Paid", "amount")})
    >>> least = ek.Projection("least", fields={"state": ek.fold.smallest("ChartDoc.Paid", "amount")})
    >>> ek.charts.comparison(ek.compare(store.history(total), store.history(least))).description
    'comparison of state: 1 key'
    """
    check_limits(max_marks=max_marks, max_keys=max_keys)
    if not hasattr(compared, "over_time"):
        raise InputError(f"comparison draws what ek.compare(history, other) returns, not {type(compared).__name__}")
    name = comparison_data.drawn_field(compared.df(), field)
    rows, notes = comparison_data.steps(compared, name, keys, max_keys=max_keys, max_marks=max_marks)
    lines = comparison_data.lines(rows)
    parts = rows[rows["time"] == compared.parts_at].head(1)[["time", "when"]]
    x, (rows, lines, parts) = time_axis("time", rows, lines, parts, width=width)
    scale = colors(rows["key"])
    shade, apart = comparison_panels(rows, lines, parts, x, scale, name)
    return alt.vconcat(
        shade.properties(width=width, height=height), apart.properties(width=width, height=height // 2), spacing=12
    ).properties(
        title=heading(
            title or f"Where {'the state' if name == 'state' else name} parts", notes or empty_note(rows), width
        ),
        description=f"comparison of {name}: {counted_values(rows, 'key')}",
    )


def snapshots(
    frame: pd.DataFrame, *, width: int = 600, height: int = 240, title: str = "Events folded to know the state"
) -> alt.LayerChart:
    """Draw how many events a replay folds as of each position, from the beginning and from the nearest snapshot.

    `frame` is that of `store.folded(projection)`.

    Raises `InputError` where a column is missing.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("account-1", [ek.NewEvent(type="ChartDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> balance = ek.Projection("balance", fields={"state": ek.fold.total("ChartDoc.Paid", "amount")})
    >>> ek.charts.snapshots(store.folded(balance)).description
    'snapshots: 3 positions'
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
    reach = [table["position"].max() - table["position"].min(), table["without"].max()] if rows else [1, 1]
    scale = alt.Scale(domain=[*ways], range=list[Any]((OTHERS, PALETTE[0]))[: len(ways)])
    across, up = (ticks(0, one, most=8, whole=True) for one in reach)
    lines = alt.Chart(type(table)(rows)).encode(
        x=alt.X("position:Q", title="as of position", axis=quiet_axis(grid=False, tickCount=across)),
        y=alt.Y("folded:Q", title="events folded", axis=quiet_axis(tickCount=up)),
        color=alt.Color("replay:N", scale=scale, legend=legend("", "bottom") if len(ways) > 1 else None),
        tooltip=["replay:N", "position:Q", "folded:Q", "snapshot:Q"],
    )
    path = lines.mark_line(interpolate="step-after", strokeWidth=2)
    dots = lines.mark_circle(size=30, opacity=0).encode(color=alt.Color("replay:N", scale=scale, legend=None))
    return layered(path, dots).properties(
        width=width,
        height=height,
        title=heading(title, [], width),
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

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("account-1", [ek.NewEvent(type="ChartDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> balance = ek.Projection("balance", fields={"state": ek.fold.total("ChartDoc.Paid", "amount")})
    >>> db = ek.ReportingDatabase(events=False)
    >>> db.add(balance)
    >>> _ = db.update(store)
    >>> ek.charts.lag(db.progress(store), table="balance").description
    'lag: 1 table, 0 stale readings'
    """
    check_limits(max_marks=max_marks, max_tables=max_tables)
    drawn = data.as_frame(frame, lag_data.LAG_COLUMNS, "lag")
    rows, notes = lag_data.lag_rows(drawn, table, max_tables=max_tables, max_marks=max_marks)
    seen = lag_data.stale_rows(drawn, stale or {}, table)
    x, (rows, seen) = time_axis("time", rows, seen, width=width)
    reach = lag_data.reach(rows)
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
        title=heading(title, notes or empty_note(rows), width),
        description=f"lag: {counted_values(drawn, 'table')}, {counted(len(seen), 'stale reading')}",
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

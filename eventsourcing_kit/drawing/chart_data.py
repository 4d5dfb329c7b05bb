"""What charts are drawn from: frames made plain (text, numbers, UTC times) and small (sampled).

Altair refuses a Decimal, a UUID or 5,000 rows, and only when a chart is displayed. So everything becomes
plain here, and little; what was left out is told in notes that the chart shows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.reading.event_frame import TAGGED, TAGS

TEXT_LIMIT = 160
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}
# Texts that can be told from what stands around them in a nested value, and from numbers, without quotation marks.
_BARE = re.compile(r'(?!-?\d+(\.\d+)?(e[+-]?\d+)?$|(true|false|null)$|\s)([^,:{}\[\]"\n]|[,:](?=\S))+(?<!\s)')
WHOLE_LOG = "the whole log"
SOURCES = {
    "timeline": "store.read().df()",
    "evolution": "store.history(projection)",
    "scrubber": "store.history(projection)",
    "snapshots": "store.folded(projection)",
    "lag": "db.progress(store)",
}
OWN_COLORS = 10  # names of a chart that have a colour of their own
MANY = 300  # events beyond which lanes show how many there are, and not each
CROWD = 5  # events of about one time that can be told apart in a lane
COLUMNS = 100  # places of an event's width beside each other in a lane
ROOM, PLACE = 20, 20  # the pixels of a lane that blocks take, and those of one unit of `place`
STRETCHES = {
    **{f"{number}us": f"{number} µs" for number in (1, 10, 100)},
    **{f"{number}ms": f"{number} ms" for number in (1, 10, 100)},
    **{f"{number}s": f"{number} s" for number in (1, 5, 15)},
    **{f"{number}min": f"{number} min" for number in (1, 5, 15)},
    **{f"{number}h": f"{number} h" for number in (1, 3, 6, 12)},
    **{"1D": "a day", "7D": "a week", "28D": "28 days", "91D": "91 days", "364D": "364 days", "3640D": "3,640 days"},
}
HISTORY_COLUMNS = ("key", "position", "type", "valid_from", "valid_to")
RECORD_COLUMNS = (
    *("id", "stream", "version", "position", "type"),
    *("schema_version", "recorded_at", "occurred_at", "metadata"),
)


def as_frame(source: object, columns: Iterable[str], chart: str) -> pd.DataFrame:
    """Return `source` (a frame, or anything with `.df()`) once it is known to have these columns."""
    make_frame = getattr(source, "df", None)
    frame = make_frame() if callable(make_frame) else source
    if not isinstance(frame, pd.DataFrame):
        given = type(source).__name__
        raise InputError(f"{chart} draws a DataFrame, not {given}: pass {SOURCES[chart]}")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{chart} found the column {twice!r} twice; rename or drop one of them")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        has = ", ".join(map(str, frame.columns)) or "none"
        cure = f"; pass {SOURCES[chart]}" if missing[0] in (*RECORD_COLUMNS, *HISTORY_COLUMNS) else ""
        raise InputError(f"{chart} found no column {missing[0]!r}; the frame's columns are: {has}{cure}")
    return frame


def utc(column: pd.Series) -> pd.Series:
    """Return a column of aware times in UTC with microseconds."""
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        if not len(column):
            return pd.Series([], index=column.index, dtype="datetime64[us, UTC]")
        raise InputError(
            f"column {column.name!r} holds {column.dtype}, not times with a zone; "
            f"make it one: pd.to_datetime(frame[{column.name!r}], utc=True)"
        )
    times: pd.Series = column.dt.tz_convert("UTC").dt.as_unit("us")
    return times


def utc_text(times: pd.Series) -> pd.Series:
    """Return times as text, `2026-01-05 09:00:00 UTC`: text is what every viewer's zone leaves alone."""
    text: pd.Series = times.dt.strftime("%Y-%m-%d %H:%M:%S.%f")
    return text.str.replace(r"\.?0+$", "", regex=True) + " UTC"


def is_missing(value: object) -> bool:
    """Tell whether a value is None or one of pandas' words for it."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def as_text(value: object) -> str:
    """Return any value as short text that is the same in every run: sets sorted, no memory addresses.

    Of a large value only as much is made text as is shown.
    """
    if is_missing(value):
        return ""
    text = _nested(value, TEXT_LIMIT + 1) if not isinstance(value, str) else value[: TEXT_LIMIT + 1]
    text = harmless(text[1:-1] if isinstance(value, Mapping) else text)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def harmless(text: str) -> str:
    """Return text that no renderer stumbles over.

    Altair's own `to_html` and `save` put the data into a script, which `</script>` in a payload would end: an invisible
    character (U+2060, which joins words) keeps that apart, and everything reads as it did. Control characters are shown
    as their pictures (␀), because SVG cannot hold them, and its makers end the whole process over one.
    """
    text = text.translate(_PICTURES)
    return text.replace("</", "<\u2060/").replace("<!--", "<\u2060!--") if "<" in text else text


def _nested(value: Any, room: int) -> str:
    """Return the text of a value within others, so that it can be told where it ends; about so many letters of it."""
    if is_missing(value):
        return "null"
    match value:
        case str():
            return value[:room] if _BARE.fullmatch(value[:room]) else json.dumps(value[:room], ensure_ascii=False)
        case Mapping():
            return "{" + _joined(((f"{_nested(name, room)}: ", item) for name, item in value.items()), room) + "}"
        case set() | frozenset():
            return "{" + ", ".join(sorted(_nested(item, room) for item in value)) + "}"
        case list() | tuple():
            return "[" + _joined((("", item) for item in value), room) + "]"
    return _single(value, room)


def _single(value: Any, room: int) -> str:
    if isinstance(value, (np.number, np.bool_)):
        value = value.item()  # its own text would be np.float64(1.5)
    match value:
        case bool():
            return str(value).lower()
        case float():
            return number_text(value)
        case Decimal() if len(str(value)) > 20:
            return number_text(float(value))
        case bytes():
            return value[:room].hex()
        case datetime():
            return value.isoformat(sep=" ")
    kind: Any = type(value)
    if kind.__repr__ is object.__repr__ and kind.__str__ is object.__str__:
        return str(kind.__name__)  # its repr would be a memory address
    return str(value)


def _joined(items: Iterable[tuple[str, Any]], room: int) -> str:
    parts: list[str] = []
    for name, item in items:
        if room <= 0:
            break
        parts.append(name + _nested(item, room))
        room -= len(parts[-1]) + 2
    return ", ".join(parts)


def number_text(value: float) -> str:
    """Return a float as people write it: 0.3, not 0.30000000000000004."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e15
    return repr(round(value, 6)).removesuffix(".0") if plain else f"{value:.6g}"


def text_column(column: pd.Series, missing: str = "") -> pd.Series:
    """Return a column as text, missing values as `missing`; names that only their ends tell apart stay whole."""
    if column.dtype == object:  # whose values may be equal and yet read differently: 1 and True
        text = column.map(as_text).astype(object)
    else:
        places, values = pd.factorize(column, use_na_sentinel=False)
        texts = [as_text(value) for value in values]
        if len(set(texts)) < len(texts):
            texts = [harmless(str(value)) for value in values]
        text = pd.Series(texts, dtype=object).take(places).set_axis(column.index)
    return text.where(text != "", missing)


def payload_text(frame: pd.DataFrame) -> list[str]:
    """Return one line a row, `amount: 30, to: Oslo`, of the columns of its payload that have a value there.

    Once every line is full, the columns that are left are not looked at.
    """
    told: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    room = [TEXT_LIMIT] * len(told)
    for place, name in enumerate(frame.columns):
        if name in RECORD_COLUMNS:
            continue
        for row, value in enumerate(frame.iloc[:, place].tolist() if max(room, default=0) > 0 else ()):
            if room[row] > 0 and not is_missing(value):
                told[row][name] = value
                room[row] -= len(name) + 3
    return [as_text(fields) for fields in told]


def is_number(column: pd.Series) -> bool:
    """Tell whether a column is drawn on an axis of numbers."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    return _holds(column, (Real, Decimal)) and not any(isinstance(value, bool) for value in column)


def is_time(column: pd.Series) -> bool:
    """Tell whether a column is drawn on an axis of times."""
    return pd.api.types.is_datetime64_any_dtype(column.dtype) or _holds(column, (date,))


def _holds(column: pd.Series, kinds: tuple[type, ...]) -> bool:
    present = [value for value in column if not is_missing(value)] if column.dtype == object else []
    return bool(present) and all(isinstance(value, kinds) for value in present)


def plain_values(column: pd.Series) -> pd.Series:
    """Return a column as floats or as times, or as text where it holds anything else; infinities become missing."""
    if is_number(column):
        floats = column.map(_as_float, na_action="ignore") if column.dtype == object else column
        numbers = pd.Series(floats.to_numpy(dtype=float, na_value=math.nan), index=column.index)
        return numbers.where(numbers.abs() != math.inf)
    if is_time(column):
        return pd.to_datetime(column, utc=True, format="mixed").dt.as_unit("us")
    return column.astype(object).map(lambda value: None if is_missing(value) else as_text(value))


def are_whole(values: pd.Series) -> bool:
    """Tell whether numbers are whole ones, which are told without a fraction on an axis, too."""
    return bool((values.dropna() % 1 == 0).all())


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond every float
        return math.inf


def most_frequent(column: pd.Series, limit: int) -> list[Any]:
    """Return the values that occur most, at most `limit` of them, in the order in which they first occur."""
    counts = column.value_counts(sort=False)  # unsorted = in the order of first occurrence
    chosen = set(counts.nlargest(limit).index)
    return [value for value in counts.index if value in chosen]


def event_marks(
    frame: pd.DataFrame, *, lane: str, color: str, time: str, end: str | None, max_lanes: int, max_marks: int
) -> tuple[pd.DataFrame, list[str]]:
    """Return events as marks (lane, color, time, place, texts to hover), and notes on what is left out.

    With `end`, or where events are too many to tell them apart, marks are blocks: see `blocks` and `density`.
    """
    lanes, recorded = text_column(frame[lane], missing="(none)"), utc(frame["recorded_at"])
    marks = pd.DataFrame(
        {
            "lane": lanes.to_numpy(),
            "color": text_column(frame[color], missing="(none)").to_numpy(),
            "time": (recorded if time == "recorded_at" else utc(frame[time]).fillna(recorded)).array,
            "position": frame["position"].to_numpy(),
            "type": text_column(frame["type"]).to_numpy(),
        }
    )
    if end:
        marks["until"] = utc(frame[end]).array
    shown, there = most_frequent(marks["lane"], max_lanes), marks["lane"].nunique()
    marks = marks[marks["lane"].isin(shown)]
    if end:
        marks, note = longest(marks.sort_values("time", kind="stable"), "events", max_marks)
        marks = tracks(marks)
    else:
        marks, note = placed(marks, max_marks)
    if "count" not in marks:
        ends = " – " + utc_text(marks["last"]).where(marks["last"].notna(), "now") if end else ""
        rows = frame.iloc[marks.index]
        if frame.attrs.get(TAGGED):
            marks = marks.assign(tags=[", ".join(own) for own in rows[TAGS]])
            rows = rows.drop(columns=TAGS)
        marks = marks.assign(when=utc_text(marks["time"]) + ends, happened=payload_text(rows))
    notes = [left_out(len(shown), there, f"{lane}s", "those with the most events"), note]
    return marks.reset_index(drop=True), [one for one in notes if one]


def placed(marks: pd.DataFrame, limit: int) -> tuple[pd.DataFrame, str]:
    """Return marks with their place in their lane, -0.5 to 0.5: those of about one time lie side by side; and a note.

    Where they are too many to tell them apart, it is `density` instead.
    """
    since = (marks["time"] - marks["time"].min()) / pd.Timedelta("1us")
    groups = marks.groupby([marks["lane"], since // max(since.max() / COLUMNS, 1)], sort=False)
    rank, last = groups.cumcount(), groups["lane"].transform("size") - 1
    if len(marks) > min(MANY, limit) or last.max() >= CROWD:
        return density(marks, limit)
    return marks.assign(place=(rank - last / 2) / last.clip(lower=2)), ""


def density(marks: pd.DataFrame, limit: int) -> tuple[pd.DataFrame, str]:
    """Return how many events there are of each lane and colour in each stretch of time, as blocks, and a note.

    The stretches are as short as leaves at most `limit` blocks; what lies in one stretch of a lane is stacked.
    """
    own = most_frequent(marks["color"], OWN_COLORS)
    marks = marks.assign(color=marks["color"].where(marks["color"].isin(own), "(others)"))
    span = marks["time"].max() - marks["time"].min()
    steps = [step for step in STRETCHES if span / pd.Timedelta(step) <= COLUMNS * 1.5] or [*STRETCHES][-1:]
    while len(counted := _counts(marks, steps[0])) > limit and len(steps) > 1:
        del steps[0]
    stretches = counted.groupby(["lane", "time"])["count"]
    total = stretches.transform("sum")
    height = (ROOM * (total / total.max()) ** 0.5).clip(lower=3) / total  # of one event, in pixels
    upto = stretches.cumsum() - counted["count"] / 2 - total / 2
    until = counted["time"] + pd.Timedelta(steps[0])
    counted = counted.assign(until=until, size=height * counted["count"], place=upto * height / PLACE)
    counted["when"] = utc_text(counted["time"]) + " – " + utc_text(until)
    return counted, f"{len(marks):,} events; each bar counts those of {STRETCHES[steps[0]]}"


def _counts(marks: pd.DataFrame, step: str) -> pd.DataFrame:
    keys = [marks["lane"], marks["time"].dt.floor(step), marks["color"]]
    counts = marks.groupby(keys)["position"].agg(["size", "min", "max"]).reset_index()
    return counts.set_axis(["lane", "time", "color", "count", "position", "last"], axis=1)


def longest(rows: pd.DataFrame, things: str, limit: int) -> tuple[pd.DataFrame, str]:
    """Return rows that have a time and `until` (now, where there is none), the longest where there are too many."""
    now = a_little_after(pd.concat([rows["time"], rows["until"].dropna()]))
    least = rows["time"] + (now - rows["time"].min()) / (2 * COLUMNS)  # so that it is seen
    rows = rows.assign(last=rows["until"], until=rows["until"].fillna(now).where(lambda until: until > least, least))
    shown = rows.loc[(rows["until"] - rows["time"]).nlargest(limit).index.sort_values()] if len(rows) > limit else rows
    return shown, left_out(len(shown), len(rows), things, "the longest")


def tracks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return blocks, in the order of their starts, with place and size in their lanes: none covers another."""
    ends: dict[str, list[Any]] = {}
    chosen = []
    for lane, start, end in zip(rows["lane"], rows["time"], rows["until"], strict=True):
        taken = ends.setdefault(lane, [])
        track = next((number for number, last in enumerate(taken) if last <= start), len(taken))
        taken[track : track + 1] = [end]
        chosen.append(track)
    height = ROOM / rows["lane"].map({lane: len(taken) for lane, taken in ends.items()}).astype(float)
    return rows.assign(place=((pd.Series(chosen, rows.index) + 0.5) * height - ROOM / 2) / PLACE, size=height - 1)


def left_out(shown: int, there: int, things: str, which: str) -> str:
    """Return a note, `30 of 1,434 streams, those with the most events`, or "" if nothing is left out."""
    return f"{shown:,} of {there:,} {things}, {which}" if shown < there else ""


def history_rows(frame: pd.DataFrame, field: str, max_keys: int) -> tuple[pd.DataFrame, list[str]]:
    """Return a history's rows of the keys with most events, in log order and as plain columns, and notes.

    Columns: key, position, type, time, until, value (a number or text, missing where the key ended), and given,
    the value as it was.
    """
    keys = text_column(frame["key"], missing=WHOLE_LOG)
    shown = most_frequent(keys, max_keys)
    chosen = frame.assign(key=keys)[keys.isin(shown)].sort_values("position", kind="stable")
    rows = pd.DataFrame(
        {
            "key": chosen["key"],
            "position": chosen["position"],
            "type": text_column(chosen["type"]),
            "time": utc(chosen["valid_from"]),
            "until": utc(chosen["valid_to"]),
            "value": plain_values(chosen[field]),
            "given": chosen[field],
        }
    ).reset_index(drop=True)
    note = left_out(len(shown), keys.nunique(), "keys", "those with the most events")
    return rows, [note] if note else []


def told_on_hover(rows: pd.DataFrame) -> pd.DataFrame:
    """Return history rows with the texts to hover: `when`, and `text`, the value as text."""
    texts = rows.assign(when=utc_text(rows["time"]), text=text_column(rows["given"]))
    return texts.drop(columns=["until", "given"])


def steps(rows: pd.DataFrame, max_marks: int) -> tuple[pd.DataFrame, list[str]]:
    """Return the corners of the step lines of history rows, and notes.

    A line's `segment` ends where its key has no value (it ended, or the field is empty), so that no line is
    drawn there. Each segment has one row more, with `event` false: where its last value stops being valid, or a
    little after the last event of all where it is valid still.
    """
    rows = rows.assign(segment=rows["value"].isna().groupby(rows["key"]).cumsum(), event=True)
    present = rows[rows["value"].notna()]
    now = a_little_after(rows["time"])
    ends = present.groupby(["key", "segment"], sort=False).tail(1)
    ends = ends.assign(time=ends["until"].fillna(now), event=False)
    corners = pd.concat([present, ends]).sort_index(kind="stable").reset_index(drop=True)
    drawn = extremes(corners, max_marks)
    note = left_out(int(drawn["event"].sum()), len(present), "events", "every peak and dip among them")
    return told_on_hover(drawn).assign(place=range(len(drawn))), [note] if note else []


def intervals(rows: pd.DataFrame, max_marks: int) -> tuple[pd.DataFrame, list[str]]:
    """Return how long each key had which value, as blocks in lanes by key, and notes. Missing values are gaps."""
    changes = (rows["value"] != rows.groupby("key")["value"].shift()).groupby(rows["key"]).cumsum()
    run = rows.groupby(["key", changes]).ngroup()
    ends = rows["until"].set_axis(run)[~run.duplicated(keep="last").to_numpy()]
    runs = rows.assign(until=ends.loc[run].array)
    firsts = runs[~run.duplicated() & rows["value"].notna()]
    drawn, note = longest(firsts, "intervals", max_marks)
    ends = utc_text(drawn["last"]).where(drawn["last"].notna(), "now")
    drawn = told_on_hover(drawn).assign(until=drawn["until"], size=ROOM, place=0.0).drop(columns="last")
    return drawn.assign(when=drawn["when"] + " – " + ends), [note] if note else []


def a_little_after(times: pd.Series) -> Any:
    """Return a time a little after the last of these, so that what began with it can be seen to last."""
    first, last = times.min(), times.max()
    return last if times.empty else last + ((last - first) * 0.03).floor("us")


def extremes(corners: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return about `limit` rows: of each run of a key's rows the first, last, lowest and highest.

    Of each key the last two are kept: what is valid still runs from the last event on, not from one before it.
    """
    if len(corners) <= limit:
        return corners
    width = math.ceil(4 * len(corners) / limit)
    keys = corners.groupby("key", sort=False)
    runs = corners.groupby([corners["key"], keys.cumcount() // width], sort=False)
    kept = {*runs.head(1).index, *runs.tail(1).index, *keys.tail(2).index}
    if is_number(corners["value"]):
        kept |= {*runs["value"].idxmin(), *runs["value"].idxmax()}
    return corners.loc[sorted(kept)]


def stops(first: int, last: int, rows: pd.DataFrame, limit: int) -> tuple[int, int]:
    """Return first position and step of a slider that ends at `last` and is exact at each stop with `limit` rows."""
    step = max(1, math.ceil((last - first) / limit))
    while step < last - first and len(last_at_stops(rows, last, step)) > limit:
        step *= 2
    return first + (last - first) % step, step


def last_at_stops(rows: pd.DataFrame, last: int, step: int) -> pd.DataFrame:
    """Return, of rows in log order, each key's last at each stop of a slider: `last`, `last - step`, …"""
    stop = (last - rows["position"].astype("int64")) // step
    return rows[~pd.DataFrame({"stop": stop, "key": rows["key"]}).duplicated(keep="last")]


def moments(frame: pd.DataFrame, last: int, step: int) -> pd.DataFrame:
    """Return the log's last event at each stop of a slider: position, time, and `told`, a line of text."""
    whole = frame.sort_values("position", kind="stable").assign(whose=frame["key"], key=WHOLE_LOG)
    seen = last_at_stops(whole[["position", "valid_from", "type", "whose", "key"]], last, step)
    times, whose = utc(seen["valid_from"]), text_column(seen["whose"], missing=WHOLE_LOG)
    parts = zip(utc_text(times), text_column(seen["type"]), whose, strict=True)
    told = [f"{when} · {what} · {who}" for when, what, who in parts]
    named = pd.DataFrame({"position": seen["position"].astype("int64"), "time": times, "told": told})
    before = named.head(1).assign(position=0, told="before the first event")
    return pd.concat([before, named], ignore_index=True)


def span(times: pd.Series) -> list[int] | None:
    """Return the first and last time as milliseconds, a fixed domain for an axis; None without a time."""
    if times.empty:
        return None
    first, last = _ends(times)
    return [first, last] if first < last else [first - 1000, last + 1000]


def only_moment(times: pd.Series) -> int | None:
    """Return the millisecond in which all times lie; None where they lie in several, or there is none."""
    first, last = (0, 1) if times.empty else _ends(times)
    return first if first == last else None


def _ends(times: pd.Series) -> tuple[int, int]:
    return int(times.min().timestamp() * 1000), int(times.max().timestamp() * 1000)


def reach(values: pd.Series, room: float = 0.25) -> list[float]:
    """Return a fixed domain: from 0 to the extremes, with room beyond them (for a label where a bar ends)."""
    present = [float(value) for value in values.dropna()]
    low, high = min([0.0, *present]), max([0.0, *present])
    beyond = (high - low) * room or 1.0
    beyond = beyond if math.isfinite(high + beyond) and math.isfinite(low - beyond) else 0.0
    return [low - beyond if low < 0 else 0.0, high + beyond if high > 0 or low == 0 else 0.0]

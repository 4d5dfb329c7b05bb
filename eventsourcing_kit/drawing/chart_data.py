"""What charts are drawn from: frames made plain (text, numbers, UTC times) and small (sampled).

Altair refuses a Decimal, a UUID or 5,000 rows, and only when a chart is displayed. So everything becomes
plain here, and little; what was left out is told in notes that the chart shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from eventsourcing_kit.errors import InputError

TEXT_LIMIT = 160
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}
LANE = "_lane"  # a working column; no frame of the kit has a name that starts so
WHOLE_LOG = "the whole log"
SOURCES = {
    "timeline": "store.read().df()",
    "evolution": "store.history(projection)",
    "scrubber": "store.history(projection)",
    "snapshots": "store.folded(projection)",
    "lag": "db.progress(store)",
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
    """Return any value as short text that is the same in every run: sets sorted, no memory addresses."""
    text = harmless(_text(value))
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def harmless(text: str) -> str:
    """Return text that no renderer stumbles over.

    Altair's own `to_html` and `save` put the data into a script, which `</script>` in a payload would end: an invisible
    character (U+2060, which joins words) keeps that apart, and everything reads as it did. Control characters are shown
    as their pictures (␀), because SVG cannot hold them, and its makers end the whole process over one.
    """
    text = text.translate(_PICTURES)
    return text.replace("</", "<\u2060/").replace("<!--", "<\u2060!--") if "<" in text else text


def _text(value: object) -> str:
    if is_missing(value):
        return ""
    if isinstance(value, (np.number, np.bool_)):
        return _plain_text(value.item())  # its own text would be np.float64(1.5)
    return _plain_text(value)


def _plain_text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return repr(round(value, 6) or value).removesuffix(".0")
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat(sep=" ")
        case Mapping():
            return ", ".join(f"{_text(name)}: {_text(item)}" for name, item in value.items())
        case set() | frozenset():
            return "{" + ", ".join(sorted(map(_text, value))) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_text, value)) + "]"
    if type(value).__repr__ is object.__repr__ and type(value).__str__ is object.__str__:
        return type(value).__name__  # its repr would be a memory address
    return str(value)


def text_column(column: pd.Series, missing: str = "") -> pd.Series:
    """Return a column as text, missing values as `missing`."""
    if column.dtype == object:  # whose values may be equal and yet read differently: 1 and True
        text = column.map(as_text).astype(object)
    else:
        places, values = pd.factorize(column, use_na_sentinel=False)
        names = pd.Series([as_text(value) for value in values], dtype=object)
        text = names.take(places).set_axis(column.index)
    return text.where(text != "", missing)


def payload_text(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return one line a row, `amount: 30, to: Oslo`, of the columns that have a value there."""
    return [
        as_text({name: value for name, value in zip(columns, row, strict=True) if not is_missing(value)})
        for row in frame[columns].astype(object).itertuples(index=False, name=None)
    ]


def is_number(column: pd.Series) -> bool:
    """Tell whether a column is drawn on an axis of numbers; else its values are drawn as text."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    present = [value for value in column if not is_missing(value)]
    return bool(present) and all(isinstance(v, (Real, Decimal)) and not isinstance(v, bool) for v in present)


def plain_values(column: pd.Series) -> pd.Series:
    """Return a column as floats, or as text where it holds more than numbers; infinities become missing."""
    if is_number(column):
        floats = column.map(_as_float, na_action="ignore") if column.dtype == object else column
        numbers = floats.astype("Float64")
        return numbers.where(numbers.abs() != math.inf)
    return column.astype(object).map(lambda value: None if is_missing(value) else as_text(value))


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


def sample(frame: pd.DataFrame, by: str, limit: int) -> pd.DataFrame:
    """Return at most `limit` rows, spread evenly over the rows and over the values of column `by`."""
    if len(frame) <= limit:
        return frame
    by_value = frame.reset_index(drop=True).sort_values(by, kind="stable").index
    chosen = [place * (len(frame) - 1) // max(limit - 1, 1) for place in range(limit)]
    return frame.iloc[sorted(by_value[chosen])]


def spread(frame: pd.DataFrame) -> pd.Series:
    """Return each row's place in its lane, -0.5 to 0.5: events of one lane and time lie side by side."""
    groups = frame.groupby(["lane", "time"], sort=False)
    rank, last = groups.cumcount(), groups["lane"].transform("size") - 1
    return (rank - last / 2) / last.clip(lower=2)


def event_marks(
    frame: pd.DataFrame, *, lane: str, color: str, time: str, max_lanes: int, max_marks: int
) -> tuple[pd.DataFrame, list[str]]:
    """Return events as marks (lane, color, time, place, texts to hover), and notes on what is left out."""
    lanes = text_column(frame[lane], missing="(none)")
    shown = most_frequent(lanes, max_lanes)
    chosen = frame.assign(**{LANE: lanes})[lanes.isin(shown)]
    marks = sample(chosen, LANE, max_marks)
    notes = [
        left_out(len(shown), lanes.nunique(), f"{lane}s", "those with the most events"),
        left_out(len(marks), len(chosen), "events", "evenly sampled"),
    ]
    return describe_marks(marks, color=color, time=time), [note for note in notes if note]


def describe_marks(marks: pd.DataFrame, *, color: str, time: str) -> pd.DataFrame:
    """Return the marks with plain columns only: what the chart draws, and what it tells on hover."""
    recorded = utc(marks["recorded_at"])
    times = recorded if time == "recorded_at" else utc(marks[time]).fillna(recorded)
    payload = [name for name in marks.columns if name not in RECORD_COLUMNS and name != LANE]
    plain = pd.DataFrame(
        {
            "lane": marks[LANE],
            "color": text_column(marks[color], missing="(none)"),
            "time": times,
            "when": utc_text(times),
            "position": marks["position"],
            "type": text_column(marks["type"]),
            "happened": payload_text(marks, payload),
        }
    )
    return plain.assign(place=spread(plain))


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


def a_little_after(times: pd.Series) -> Any:
    """Return a time a little after the last of these, so that what began with it can be seen to last."""
    first, last = times.min(), times.max()
    return last if times.empty else last + ((last - first) * 0.03).floor("ms")


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


def stops(positions: pd.Series, rows: pd.DataFrame, limit: int) -> tuple[int, int, int]:
    """Return first, last and step of a slider over positions that is exact at each stop with `limit` rows."""
    if positions.empty:
        return 0, 1, 1
    first, last = int(positions.min()) - 1, int(positions.max())
    step = max(1, math.ceil((last - first) / limit))
    while step < last - first and len(last_at_stops(rows, first, step)) > limit:
        step *= 2
    return first, first + step * math.ceil((last - first) / step), step


def last_at_stops(rows: pd.DataFrame, first: int, step: int) -> pd.DataFrame:
    """Return, of rows in log order, each key's last at each stop of a slider: `first`, `first + step`, …"""
    stop = (rows["position"].astype("int64") - first + step - 1) // step
    return rows[~pd.DataFrame({"stop": stop, "key": rows["key"]}).duplicated(keep="last")]


def moments(frame: pd.DataFrame, first: int, step: int) -> pd.DataFrame:
    """Return the log's last event at each stop of a slider: position, time, and `told`, a line of text."""
    whole = frame.sort_values("position", kind="stable").assign(whose=frame["key"], key=WHOLE_LOG)
    last = last_at_stops(whole, first, step)
    times, whose = utc(last["valid_from"]), text_column(last["whose"], missing=WHOLE_LOG)
    parts = zip(last["position"], utc_text(times), text_column(last["type"]), whose, strict=True)
    told = [f"position {position:,} · {when} · {what} · {who}" for position, when, what, who in parts]
    named = pd.DataFrame({"position": last["position"].astype("int64"), "time": times, "told": told})
    before = named.head(1).assign(position=first, told="before the first event")
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

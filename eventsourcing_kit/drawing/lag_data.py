"""What the lag chart is drawn from: positions written and projected over time, and the moments of stale readings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from eventsourcing_kit.drawing.chart_data import as_text, left_out, text_column, utc, utc_text
from eventsourcing_kit.errors import InputError

LAG_COLUMNS = ("table", "time", "written", "projected")
WRITTEN = "written"


def lag_rows(
    frame: pd.DataFrame, table: str | None, *, max_tables: int, max_marks: int
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of some tables, in the order of time and as plain columns, and notes.

    Columns: table, time, written, projected, behind. Of a long run of rows the last and the one with most lag stay.
    """
    chosen = _tables(frame, table)
    names = list(dict.fromkeys(chosen["table"].astype(str)))
    shown = chosen[chosen["table"].astype(str).isin(names[:max_tables])]
    rows = pd.DataFrame(
        {
            "table": text_column(shown["table"]),
            "time": utc(shown["time"]),
            "written": shown["written"].astype("int64"),
            "projected": shown["projected"].astype("int64"),
        }
    )
    rows = rows.assign(behind=rows["written"] - rows["projected"])
    rows = rows.sort_values("time", kind="stable").reset_index(drop=True)
    notes = [left_out(min(len(names), max_tables), len(names), "tables", "those first added")]
    if len(rows) > max_marks:
        width = math.ceil(2 * len(rows) / max_marks)
        runs = rows.groupby([rows["table"], rows.groupby("table").cumcount() // width], sort=False)
        kept = sorted({*runs["behind"].idxmax(), *runs.tail(1).index})
        notes.append(left_out(len(kept), len(rows), "steps", "the greatest lags among them"))
        rows = rows.loc[kept].reset_index(drop=True)
    return rows.assign(when=utc_text(rows["time"])), [note for note in notes if note]


def _tables(frame: pd.DataFrame, table: str | None) -> pd.DataFrame:
    if table is None:
        return frame
    found = frame[frame["table"].astype(str) == table]
    if found.empty:
        has = ", ".join(dict.fromkeys(map(str, frame["table"]))) or "none"
        raise InputError(f"lag found no table {table!r}; the frame's tables are: {has}")
    return found


def lag_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return lag rows as lines: series (`written`, or a table), time, position, behind and when."""
    written = rows.drop_duplicates(["time", "written"]).assign(series=WRITTEN, position=lambda one: one["written"])
    names = dict(zip(dict.fromkeys(rows["table"]), series_names(rows)[1:], strict=True))
    projected = rows.assign(series=rows["table"].map(names), position=rows["projected"])
    both = pd.concat([written.assign(behind=0), projected], ignore_index=True)
    return both[["series", "time", "position", "behind", "when"]]


def series_names(rows: pd.DataFrame) -> list[str]:
    """Return the names of the lines: `written`, then the tables."""
    return [WRITTEN, *(f"{name} (table)" if name == WRITTEN else name for name in dict.fromkeys(rows["table"]))]


def stale_rows(frame: pd.DataFrame, stale: Mapping[Any, str], table: str | None) -> pd.DataFrame:
    """Return the moments at which a reader was told something old: told, table, time, written, projected, behind.

    Without a `table` it is the first one that was behind then, else the first.
    """
    rows, _ = lag_rows(frame, table, max_tables=len(frame) + 1, max_marks=len(frame) + 1)
    found = [_stale_row(rows, moment, text) for moment, text in stale.items()]
    columns = ["told", "table", "time", "written", "projected", "behind"]
    seen = pd.DataFrame(found, columns=columns).astype({"time": "datetime64[us, UTC]"})
    middle = rows["time"].min() + (rows["time"].max() - rows["time"].min()) / 2
    bottom, top = reach(rows)
    low = seen["projected"].astype("int64") <= bottom + (top - bottom) / 10
    return seen.assign(late=seen["time"] > middle, low=low, when=utc_text(seen["time"]))


def _stale_row(rows: pd.DataFrame, moment: Any, text: str) -> tuple[Any, ...]:
    try:
        time = pd.Timestamp(moment)
    except (ValueError, TypeError):
        raise InputError(f"stale names times with their zone, such as '2026-01-05T12:00:00Z', not {moment!r}") from None
    if time.tzinfo is None:
        raise InputError(f"the time {moment!r} of stale has no zone; write '2026-01-05T12:00:00Z'")
    time = time.tz_convert("UTC").as_unit("us")
    before = rows[rows["time"] <= time].groupby("table", sort=False).tail(1)
    behind = before[before["behind"] > 0]
    row = behind.iloc[0] if len(behind) else before.iloc[0] if len(before) else None
    if row is None:
        return as_text(text), "", time, 0, 0, 0
    return as_text(text), row["table"], time, int(row["written"]), int(row["projected"]), int(row["behind"])


def reach(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the positions that the chart spans: those of its rows and a little room, and never below 0."""
    if rows.empty:
        return 0.0, 1.0
    low, high = float(rows["projected"].min()), float(rows["written"].max())
    room = max((high - low) * 0.15, 1.0)
    return max(low - room, 0.0), high + room / 3

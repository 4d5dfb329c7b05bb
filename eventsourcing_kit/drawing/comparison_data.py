"""What the comparison chart is drawn from: one field of some keys in two histories, over time, and the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from eventsourcing_kit.drawing.chart_data import (
    WHOLE_LOG,
    a_little_after,
    extremes,
    is_number,
    left_out,
    plain_values,
    text_column,
    utc_text,
)
from eventsourcing_kit.errors import InputError

if TYPE_CHECKING:
    from eventsourcing_kit.folding.comparison import Comparison

ONE, OTHER = "one", "other"


def drawn_field(frame: pd.DataFrame, field: str | None) -> str:
    """Return the field to draw: the one asked for, else the first of numbers that differs."""
    if field is not None or frame.empty:
        return field or "state"
    names = frame["field"].unique()
    for name in names:
        values = pd.concat([frame.loc[frame["field"] == name, end].astype(object) for end in (ONE, OTHER)])
        if is_number(values):
            return str(name)
    raise InputError(f"comparison draws numbers, and {', '.join(names)} holds none; comparison.df() tells what differs")


def steps(
    comparison: Comparison, field: str, keys: Sequence[Any] | None, *, max_keys: int, max_marks: int
) -> tuple[pd.DataFrame, list[str]]:
    """Return what both histories had of a field at each time, of the keys given or those that differ most, and notes.

    Columns: key, time, one, other, difference, when. Each key has one row more, a little after the last event of all.
    """
    chosen = comparison.differing(field) if keys is None else list(keys)
    rows = comparison.over_time(chosen[:max_keys], field)
    rows = rows.assign(key=text_column(rows["key"], missing=WHOLE_LOG))
    for name in (ONE, OTHER):
        if rows[name].notna().any() and not is_number(rows[name]):
            raise InputError(f"comparison draws numbers, and {field!r} holds others; comparison.df() tells them")
        rows[name] = plain_values(rows[name]).astype(float)
    rows["difference"] = rows[OTHER].fillna(0) - rows[ONE].fillna(0)
    ends = rows.groupby("key", sort=False).tail(1).assign(time=lambda end: a_little_after(rows["time"]))
    rows = pd.concat([rows, ends]).sort_index(kind="stable") if len(rows) else rows
    rows = rows.assign(value=rows["difference"]).reset_index(drop=True)
    kept = extremes(rows, max_marks).drop(columns="value").reset_index(drop=True)
    notes = [
        left_out(min(len(chosen), max_keys), len(chosen), "keys", "those that differ most"),
        left_out(len(kept), len(rows), "steps", "every peak and dip of the difference among them"),
    ]
    return kept.assign(when=utc_text(kept["time"])), [note for note in notes if note]


def lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the steps as lines: key, time, series (`one` or `other`), value, text and when."""
    every = [rows.assign(series=name, value=rows[name]) for name in (ONE, OTHER)]
    return pd.concat(every, ignore_index=True)[["key", "time", "series", "value", "difference", "when"]]

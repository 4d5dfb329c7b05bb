"""Answers in a terminal: lines and tables for people, JSON for programs."""

from __future__ import annotations

import math
import shutil
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import to_json

from eventsourcing_kit.events.texts import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from eventsourcing_kit.events.event import RecordedEvent

Row = dict[str, Any]


def event_row(event: RecordedEvent) -> Row:
    """An event by the names of a raw frame's columns."""
    names = ["id", "stream", "version", "position", "type", "schema_version", "recorded_at", "occurred_at", "metadata"]
    names += ["tags", "data"] if event.tags else ["data"]
    return {name: getattr(event, name) for name in names}


def frame_rows(frame: pd.DataFrame) -> list[Row]:
    """A frame's rows, None where a cell is missing."""
    columns = {name: [_plain(cell) for cell in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(cell: Any) -> Any:
    """Missing cells of every kind as None; a float that JSON cannot hold, too."""
    is_missing = type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and not math.isfinite(cell))
    return None if is_missing else cell


def json_of(value: Any) -> str:
    """A value as JSON: times as ISO text in UTC, what JSON has nothing for as text."""
    if isinstance(value, dict):
        inner = (f"{to_json(str(name)).decode()}:{json_of(one)}" for name, one in value.items())
        return "{" + ",".join(inner) + "}"
    if isinstance(value, datetime):
        return f'"{time_text(value)}"'
    return to_json(value, fallback=str).decode()


def print_json(rows: Iterable[Row]) -> None:
    """The rows as one array, a row a line."""
    before = "["
    for row in rows:
        click.echo(f"{before}{json_of(row)}", nl=False)
        before = ",\n"
    click.echo("[]" if before == "[" else "]")


def print_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Columns side by side, numbers to the right; cut at the terminal's width."""
    cells = [[text_of(row[name]) for name in columns] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(columns)]
    are_numbers = [all(isinstance(row[name], (int, float, type(None))) for row in rows) for name in columns]

    def line(texts: Sequence[str]) -> str:
        pairs = zip(texts, widths, are_numbers, strict=True)
        return "  ".join(text.rjust(w) if right else text.ljust(w) for text, w, right in pairs).rstrip()

    click.secho(fitted(line(columns)), dim=True)
    for texts in cells:
        click.echo(fitted(line(texts)))


def text_of(value: Any) -> str:
    """A value in a cell: text as it is, if it can be printed; times in UTC; all else as JSON."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, str):
        return value if value.isprintable() else json_of(value)[1:-1]
    return json_of(value)


def event_line(event: RecordedEvent, width: int = 7) -> str:
    """An event on one line: position, time, stream, type, data."""
    at = click.style(f"{event.position:>{width}}", dim=True)
    stream, type_ = click.style(text_of(event.stream), fg="cyan"), click.style(text_of(event.type), bold=True)
    start = f"{at}  {time_text(event.recorded_at)}  {stream}  {type_}  "
    return start + fitted(json_of(event.data), taken=len(click.unstyle(start)))


def fitted(text: str, taken: int = 0) -> str:
    """As much of it as the line of a terminal has room for; all of it where a program reads."""
    if not sys.stdout.isatty():
        return text
    room = max(shutil.get_terminal_size().columns - taken, 10)
    return text if len(text) <= room else text[: room - 1] + "…"


def tree_lines(children: Mapping[Any, Sequence[Any]], node: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """Each node below one, with the branches that lead to it."""
    below = children.get(node, ())
    for i, child in enumerate(below):
        is_last = i == len(below) - 1
        yield f"{start}{'└─ ' if is_last else '├─ '}", child
        yield from tree_lines(children, child, start + ("   " if is_last else "│  "))

"""What a format is: a module with `read`, where the kit writes it too with `write`, and `fits` where a file's beginning
does not tell it from others.

    fits(file: File) -> bool                                  is the file of this format?
    read(file: File, given: Mapping[str, Any]) -> ForeignLog  the whole file; `given` are the roles that people named
    write(events: Events, target: Target, losses: Losses)     events, written in one go
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

RAW = "raw"  # what a frame notes of itself in its `attrs`: that `data` is all that the events say, as it was stored
OWN = {"id", "stream", "version", "position", "type", "schema_version", "recorded_at", "metadata"}  # the kit's columns
COMPRESSIONS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_SHOWN = 10
_MOST_COLUMNS = 16_384  # as of spreadsheets


def check_width(columns: int, what: str) -> None:
    """Raise `InputError` where a table is so wide that its columns can hardly be fields of events."""
    if columns > _MOST_COLUMNS:
        raise InputError(
            f"{what} has {columns:,} columns, and {_MOST_COLUMNS:,} is the most; it may have its events side by side "
            "or another separator; else keep the columns that matter"
        )


def time_texts(times: pd.Series[Any]) -> list[str | None]:
    """A frame's times as ISO text with microseconds, None where there is none."""
    utc = times.dt.tz_localize(None).to_numpy()
    texts = np.strings.add(np.datetime_as_string(utc, unit="us"), "Z")
    return [None if gone else text for text, gone in zip(texts.tolist(), np.isnat(utc).tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class ForeignLog:
    """A file's events as a frame, one row an event.

    `columns` says which column is what: keywords of `store.load` that name columns, and beside them "position" (where
    rows of one time stand among each other) and "schema_version". Only what the format itself defines is among them,
    and what was given by hand goes before that. Where the format says so, cells of `occurred_at` may be empty. All
    other columns are the events' fields.

    `took` says in a few words what was taken for what; it is told to whoever loads the file. `code` makes the frame,
    for those who have to mend it first.
    """

    frame: pd.DataFrame
    columns: Mapping[str, Any]
    took: str = ""
    code: str = ""


class Events(Protocol):
    """What is exported."""

    @property
    def store_id(self) -> uuid.UUID | None:
        """The store that holds the events."""

    def frames(self) -> Iterator[pd.DataFrame]:
        """The events in order, some thousands a frame, each as `read().df(raw=True)` gives them; again when asked."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where a format writes: at `path`, which gets the `name` that was asked for when it is whole."""

    path: Path
    name: str
    compression: str = ""

    def open(self) -> IO[bytes]:
        """The file, to be written from its beginning; compressed where its name says so."""
        if not self.compression:
            return self.path.open("wb")
        opened: IO[bytes] = COMPRESSIONS[self.compression](self.path, "wb")
        return opened


@dataclass(slots=True)
class Losses:
    """What a format has no place for, as it is met: each kind with the number of events, and the first of them."""

    _met: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, what: str, position: int, count: int = 1) -> None:
        """`what` of `count` events would be lost, of which the first is at `position`."""
        before, first = self._met.get(what, (0, position))
        self._met[what] = before + count, first

    def check(self, name: str) -> None:
        """Raise `InputError` with the list, where there is one."""
        if not self._met:
            return
        told = [f"{what} ({counted(n)}, first at position {first})" for what, (n, first) in self._met.items()]
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise InputError(
            f"{name} would lose: {'; '.join(told[:_SHOWN])}{more}. Nothing was written; export "
            "to .csv, .parquet or .ndjson, which keep all, or say lossy=True"
        )

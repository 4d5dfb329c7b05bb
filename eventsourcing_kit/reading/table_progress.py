"""How far tables were when: the frame from which `ek.charts.lag` draws."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from eventsourcing_kit.reading import frames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.log.log import Log

_MOST = 100_000


class Mark(NamedTuple):
    """A table came to a position when the log's last event was the one at `written`, recorded at `us`."""

    us: int
    position: int
    written: int


class Progress:
    """The last marks of each table."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[Mark]] = {}

    def add(self, name: str, us: int, position: int, written: int) -> None:
        """A table has come to a position."""
        self._marks.setdefault(name, deque(maxlen=_MOST)).append(Mark(us, position, written))

    def frame(self, log: Log | None) -> pd.DataFrame:
        """One row whenever a table or the log moved on: table, time, written, projected."""
        written = _written(log) if log is not None else None
        parts = [_of_table(name, list(marks), written) for name, marks in list(self._marks.items())]
        empty = _rows("", np.array([], np.int64), np.array([], np.int64), np.array([], np.int64))
        return pd.concat([part for part in parts if len(part)] or [empty], ignore_index=True)


def _written(log: Log) -> tuple[np.ndarray, np.ndarray]:
    entries = log.entries()
    return _array(entry.last_us for entry in entries), _array(entry.last for entry in entries)


def _of_table(name: str, marks: list[Mark], written: tuple[np.ndarray, np.ndarray] | None) -> pd.DataFrame:
    """The log's commits and the table's marks, one after another; at one time the commit comes first."""
    us, positions = _array(mark.us for mark in marks), _array(mark.position for mark in marks)
    log_us, log_positions = (us, _array(mark.written for mark in marks)) if written is None else written
    since = us[0] if positions[0] else frames.NO_TIME
    others = log_us[log_us > since] if written is not None else us[:0]
    times = np.concatenate([others, us[us > frames.NO_TIME]])
    is_mark = np.arange(len(times)) >= len(others)
    order = np.lexsort((is_mark, times))
    times, is_mark = times[order], is_mark[order]
    seen = np.searchsorted(log_us, times, side="right")
    at_written = np.where(seen > 0, log_positions[np.maximum(seen - 1, 0)] if len(log_positions) else 0, 0)
    # A mark counts from its own row on; a commit's row of the same time stands before it.
    own = np.cumsum(is_mark)
    offset = len(us) - int(is_mark.sum())
    at_projected = np.where(own + offset > 0, positions[np.maximum(own + offset - 1, 0)], 0)
    return _rows(name, times, at_written, at_projected)


def _rows(name: str, us: np.ndarray, written: np.ndarray, projected: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "table": frames.strings(frames.objects([name] * len(us))),
            "time": frames.times(us),
            "written": frames.integers(written),
            "projected": frames.integers(projected),
        }
    )


def _array(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=np.int64)

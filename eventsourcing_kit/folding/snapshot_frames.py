"""Snapshots as frames: which there are, and how many events they save from being folded."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic_core import from_json

from eventsourcing_kit.folding.snapshots import KIND, WHOLE, name_of, reading_of
from eventsourcing_kit.reading import frames

if TYPE_CHECKING:
    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.snapshots import Snapshots
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.read import Selection

_MOMENTS = 200


def snapshots(log: Log, kept: Snapshots, projections: list[Projection]) -> pd.DataFrame:
    """One row a snapshot, and one a projection whose states cannot be kept."""
    for one in projections:
        kept.code(one)
    rows: list[tuple[Any, ...]] = []
    reading = cache(reading_of)
    for note, position, value in log.notes(KIND):
        text, scope = name_of(note)
        body = from_json(value)
        name = body["name"]
        current = kept.is_current(name, text, body, reading)
        rows.append((name, None if scope == WHOLE else scope, position, len(value), current, None))
    rows.sort(key=lambda row: (row[0], row[1] is not None, row[1] or "", row[2]))
    rows += [(name, None, None, None, False, f"not kept: {why}") for name, why in sorted(kept.refused.items())]
    names, keys, positions, sizes, currents, remarks = zip(*rows, strict=True) if rows else ((),) * 6
    return pd.DataFrame(
        {
            "name": _text(names),
            "key": _text(keys),
            "position": frames.nullable(positions),
            "bytes": frames.nullable(sizes),
            "current": pd.array(list(currents), dtype="boolean"),
            "remark": _text(remarks),
        }
    )


def folded(log: Log, kept: Snapshots, projection: Projection, selection: Selection) -> pd.DataFrame:
    """One row a position: the events folded without snapshots, with them, and the snapshot that is used."""
    events = [commit.positions[rows] for commit, rows in selection.chunks(log)]
    handled = np.concatenate(events) if events else np.empty(0, dtype=np.int64)
    moments = np.unique(np.linspace(0, selection.upto, min(_MOMENTS, selection.upto) + 1).astype(np.int64))
    starts = np.array(kept.starts(projection, selection, moments.tolist()), dtype=np.int64)
    without = np.searchsorted(handled, moments, side="right")
    return pd.DataFrame(
        {
            "position": frames.integers(moments),
            "without": frames.integers(without),
            "with_snapshots": frames.integers(without - np.searchsorted(handled, starts, side="right")),
            "snapshot": frames.integers(starts),
        }
    )


def _text(values: Any) -> Any:
    return frames.strings(frames.objects([pd.NA if one is None else one for one in values]))

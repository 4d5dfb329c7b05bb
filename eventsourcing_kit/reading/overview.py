"""What a store holds: its streams and its event types, as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from eventsourcing_kit.events import renames, schema
from eventsourcing_kit.reading import frames
from eventsourcing_kit.reading.read import Selection, category

if TYPE_CHECKING:
    from eventsourcing_kit.log.log import Log


def streams(log: Log, upto: int) -> pd.DataFrame:
    """One row a stream up to a position: stream, category, version, first_recorded_at, last_recorded_at."""
    found: dict[str, list[int]] = {}
    for commit, rows in Selection(0, upto).chunks(log, as_columns=True):
        codes, times, versions = commit.stream_codes[rows], commit.times[rows], commit.versions[rows]
        present, first = np.unique(codes, return_index=True)
        last = len(codes) - 1 - np.unique(codes[::-1], return_index=True)[1]
        for code, i, j in sorted(
            zip(present.tolist(), first.tolist(), last.tolist(), strict=True), key=lambda at: at[1]
        ):
            row = found.setdefault(commit.streams[code], [0, int(times[i]), 0])
            row[0], row[2] = int(versions[j]), int(times[j])
    columns = np.array(list(found.values()), dtype=np.int64).reshape(-1, 3)
    return pd.DataFrame(
        {
            "stream": frames.strings(frames.objects(list(found))),
            "category": frames.strings(frames.objects([category(name) for name in found])),
            "version": frames.integers(columns[:, 0]),
            "first_recorded_at": frames.times(columns[:, 1].copy()),
            "last_recorded_at": frames.times(columns[:, 2].copy()),
        }
    )


def types(log: Log, upto: int) -> pd.DataFrame:
    """One row an event type, by the name it was stored with: type, events, schema_versions, registered."""
    counts: dict[str, int] = {}
    versions: dict[str, set[int]] = {}
    for commit, rows in Selection(0, upto).chunks(log, as_columns=True):
        sizes = np.bincount(commit.shape_codes[rows], minlength=len(commit.shapes)).tolist()
        for shape, size in zip(commit.shapes, sizes, strict=True):
            if size:
                counts[shape.type] = counts.get(shape.type, 0) + size
                versions.setdefault(shape.type, set()).add(shape.schema_version)
    return pd.DataFrame(
        {
            "type": frames.strings(frames.objects(list(counts))),
            "events": frames.integers(np.array(list(counts.values()), dtype=np.int64)),
            "schema_versions": frames.objects([sorted(versions[name]) for name in counts]),
            "registered": pd.array([_is_registered(name) for name in counts], dtype="boolean"),
        }
    )


def _is_registered(name: str) -> bool:
    return schema.registered(renames.current(name)) is not None

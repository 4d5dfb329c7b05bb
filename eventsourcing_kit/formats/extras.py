"""What an event has and a process-mining format has no place for: attributes whose names begin with `ek:`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventsourcing_kit.formats.format import RAW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PREFIX = "ek:"
POSITION, VERSION, ID, SCHEMA_VERSION = "ek:position", "ek:version", "ek:id", "ek:schema_version"
RECORDED_AT, METADATA, TAGS = "ek:recorded_at", "ek:metadata", "ek:tags"
STREAM = "ek:stream"  # where a format has no streams
DATA = "ek:data"  # the fields whose values the format cannot hold, or not exactly, as JSON
KEPT = (POSITION, VERSION, SCHEMA_VERSION, RECORDED_AT, METADATA, TAGS, DATA)
NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")
_INT64 = 1 << 63

to_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode  # nothing in it that XML cannot hold


def fits_int64(value: int) -> bool:
    """Whether other tools can hold a whole number."""
    return -_INT64 <= value < _INT64


def times(texts: Sequence[Any]) -> Any:
    """Times in UTC, where all texts are written plainly and with an offset; else the texts as they are."""
    if all(type(text) is str for text in texts) and all(map(ISO_TIME.fullmatch, texts)):
        try:
            return pd.to_datetime(list(texts), format="ISO8601", utc=True).as_unit("us").array
        except ValueError:  # a day or an hour that there isn't: which one, will be said
            pass
    return array(texts)


def array(values: Sequence[Any]) -> Any:
    """A column of the values, None for missing ones, typed where all are alike."""
    kinds = set(map(type, values))
    is_whole = type(None) not in kinds
    kinds.discard(type(None))
    if kinds == {int} and all(map(fits_int64, filter(None, values))):
        return np.array(values, dtype=np.int64) if is_whole else pd.array(list(values), dtype="Int64")
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values) if is_whole else pd.array(list(values), dtype="boolean")
    return np.fromiter(values, dtype=object, count=len(values))


def frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A frame of columns; text stays as it is, for it is not computed with."""
    index = pd.RangeIndex(len(next(iter(columns.values()))))
    kept = {name: values.dtype if values.dtype.kind == "O" else None for name, values in columns.items()}
    return pd.DataFrame(
        {name: pd.Series(values, index, dtype=kept[name]) for name, values in columns.items()}, index, copy=False
    )


def own_frame(
    ids: Sequence[Any], streams: Any, types: Sequence[Any], times_: Sequence[Any],
    kept: Mapping[str, Sequence[Any]], data: Sequence[dict[str, Any]],
) -> pd.DataFrame:  # fmt: skip
    """The kit's own frame, out of what a format has a place for and columns of the rest, by the names in `KEPT`."""
    recorded = kept[RECORDED_AT]
    found = {
        "id": array(ids),
        "stream": streams,
        "version": array(kept[VERSION]),
        "position": array(kept[POSITION]),
        "type": array(types),
        "schema_version": array(kept[SCHEMA_VERSION]),
        "recorded_at": times([own or time for own, time in zip(recorded, times_, strict=True)]),
        "occurred_at": array([own and time for own, time in zip(recorded, times_, strict=True)]),
        "metadata": array(kept[METADATA]),
        "data": array(data),
    }
    if any(text not in (None, "[]") for text in kept[TAGS]):
        found["tags"] = array([text or "[]" for text in kept[TAGS]])
    made = frame(found)
    made.attrs[RAW] = True
    return made


def rows(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Of a frame of events: id, stream, version, position, type, schema version, the time recorded and, where it
    differs, the time it happened as ISO text, metadata, tags and data.
    """
    count = len(frame)
    occurred = _iso(frame["occurred_at"]) if "occurred_at" in frame else [None] * count
    tags = frame["tags"].tolist() if "tags" in frame else [()] * count
    names = "id", "stream", "version", "position", "type", "schema_version"
    plain = [frame[name].tolist() for name in names]
    return zip(
        *plain, _iso(frame["recorded_at"]), occurred, frame["metadata"].tolist(), tags, frame["data"].tolist(),
        strict=True,
    )  # fmt: skip


def _iso(times: pd.Series[Any]) -> list[Any]:
    utc = times.dt.tz_localize(None).to_numpy()
    texts = np.strings.add(np.datetime_as_string(utc, unit="us"), "+00:00").tolist()
    return [None if gone else text for text, gone in zip(texts, np.isnat(utc).tolist(), strict=True)]


def of_event(
    version: int, position: int, schema_version: int, recorded: str, occurred: str | None,
    metadata: dict[str, Any], tags: Iterable[str] | None, data: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The attributes that carry the rest of an event; `tags` and `data` only what the format has no place for."""
    found: dict[str, Any] = {POSITION: position, VERSION: version, SCHEMA_VERSION: schema_version}
    if occurred is not None:
        found[RECORDED_AT] = recorded
    if metadata:
        found[METADATA] = to_json(metadata)
    if tags is not None:
        found[TAGS] = to_json(list(tags))
    if data:
        found[DATA] = to_json(data)
    return found

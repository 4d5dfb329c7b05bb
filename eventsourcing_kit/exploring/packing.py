"""One or two histories, and the log under them, packed for the page.

The page counts *moments*: 0 is before the first entry, m is after the m-th. With one history, or two of one store,
entries are the log's events. With two histories of different logs they are the events of both: those that are the same
once, the rest in the order of their times. Rows are handled events (see `folding.rows`), each at its entry; rows at
entry -1 are the states with which a span begins that does not go back to the first event.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.drawing.palette import PALETTE, colors_of
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.exploring import entries as log_entries
from eventsourcing_kit.exploring.columns import Blob
from eventsourcing_kit.exploring.values import ABSENT, key_text
from eventsourcing_kit.folding.history import fields_of, has_fields
from eventsourcing_kit.folding.projection import GONE
from eventsourcing_kit.records import ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from eventsourcing_kit.exploring.entries import Entries
    from eventsourcing_kit.exploring.values import House
    from eventsourcing_kit.folding.history import History
    from eventsourcing_kit.folding.rows import Rows

    Ints = npt.NDArray[np.int64]

FORMAT = 1
_MOST_FIELDS = 100  # of a state; beyond, states are told as one value


@dataclass(frozen=True)
class Limits:
    """How much is packed: of a longer log the last `entries` are, and data and metadata of `sampled` events where there
    are more than `in_full`."""

    entries: int = 2_000_000
    in_full: int = 100_000
    sampled: int = 10_000


LIMITS = Limits()


def pack(histories: Sequence[History], house: House, *, compressed: bool = True, limits: Limits = LIMITS) -> bytes:
    """All that the page shows of one history, or of two; raises `InputError` for a field to show that is nowhere."""
    return pack_with_keys(histories, house, compressed=compressed, limits=limits)[0]


def pack_with_keys(
    histories: Sequence[History], house: House, *, compressed: bool, limits: Limits = LIMITS
) -> tuple[bytes, list[Any]]:
    """As `pack`, with the keys, by the numbers that they have there."""
    logs = [_log_of(history, house, limits, len(histories)) for history in histories]
    same = len(logs) == 2 and histories[0].log.store_id == histories[1].log.store_id
    merged = _merged(logs, same)
    states = [_states(history, log.start) for history, log in zip(histories, logs, strict=True)]
    names = [name for log in logs for name in log.fields] + [name for one in states for name in one.fields]
    house.check(names)
    blob = Blob(int(merged.us[0]) if len(merged.us) else 0)
    header = _header(histories, logs, merged, house) | _log_columns(blob, merged, logs, house)
    keys, tracks = _tracks(blob, histories, states, merged, house)
    return blob.packed(header | tracks, compressed=compressed), keys


# -- the log -----------------------------------------------------------------------------------------------------------


def _log_of(history: History, house: House, limits: Limits, count: int) -> Entries:
    end = history.as_of
    start = max(0, end - limits.entries // count)
    size = (end - start) * count
    every: int | None = 1
    if house.fields is not None:
        every = None
    elif size > limits.in_full:
        every = -(-size // limits.sampled)
    return log_entries.read(history.log, start, end, house, every=every)


@dataclass
class _Merged:
    """The entries of one log, or of two; `places` says which entries each log's rows are."""

    places: list[Ints]
    streams: list[str]
    types: list[tuple[str, int]]
    stream: Ints
    type: Ints
    us: Ints

    def __len__(self) -> int:
        return len(self.us)


def _merged(logs: Sequence[Entries], same: bool) -> _Merged:
    if len(logs) == 1:
        (log,) = logs
        return _Merged([np.arange(len(log))], log.streams, log.types, log.stream, log.type, log.us)
    one, other = logs
    shared = _shared(one, other, same)
    us = np.concatenate([one.us, other.us[shared:]])
    order = np.argsort(us, kind="stable")  # both rise, and of equal times the first log's come first
    place = np.empty(len(us), dtype=np.int64)
    place[order] = np.arange(len(us))
    streams, stream = _joined(one.streams, other.streams, one.stream, other.stream[shared:])
    types, type_ = _joined(one.types, other.types, one.type, other.type[shared:])
    places = [place[: len(one)], np.concatenate([place[:shared], place[len(one) :]])]
    return _Merged(places, streams, types, stream[order], type_[order], us[order])


def _joined(names: list[Any], others: list[Any], codes: Ints, other_codes: Ints) -> tuple[list[Any], Ints]:
    numbers = {name: code for code, name in enumerate(names)}
    meant = np.array([numbers.setdefault(name, len(numbers)) for name in others], dtype=np.int64)
    return list(numbers), np.concatenate([codes, meant[other_codes] if len(other_codes) else other_codes])


def _shared(one: Entries, other: Entries, same: bool) -> int:
    """With how many of the same events two logs begin."""
    if one.start != other.start:
        return 0
    count = min(len(one), len(other))
    if same:
        return count
    differs = (_ids(one)[:count] != _ids(other)[:count]).any(axis=1)
    return int(differs.argmax()) if differs.any() else count


def _ids(log: Entries) -> npt.NDArray[np.uint8]:
    keys = np.zeros(len(log), dtype=np.uint64)
    for row, key in log.id_keys:
        keys[row:] = key
    made = ids.id_bytes(keys, np.arange(log.start + 1, log.end + 1), log.us)
    for row, raw in log.supplied.items():
        made[row] = np.frombuffer(raw, dtype=np.uint8)
    return made


def _header(histories: Sequence[History], logs: Sequence[Entries], merged: _Merged, house: House) -> dict[str, Any]:
    counts = np.bincount(merged.type, minlength=len(merged.types))
    often = [merged.types[code][0] for code in np.argsort(-counts, kind="stable").tolist()]
    return {
        "format": FORMAT,
        "entries": len(merged),
        "stores": [
            {
                "id": str(history.log.store_id),
                "position": log.end,
                "start": log.start,
                "digest": log.digest,
                "ids": [[row, str(key)] for row, key in log.id_keys],
            }
            for history, log in zip(histories, logs, strict=True)
        ],
        "types": merged.types,
        "colors": colors_of(list(dict.fromkeys(often))[: len(PALETTE)]),
        "notes": _notes(logs, house),
    }


def _notes(logs: Sequence[Entries], house: House) -> list[str]:
    log = logs[0]
    notes = []
    if log.start:
        notes.append(
            f"the last {counted(len(log))} of {log.end:,}: what was before is known by the states it led to, "
            "from which this span begins"
        )
    shown = sum(len(one.detail) for one in logs)
    if house.fields is None and shown < sum(map(len, logs)):
        every = -(-sum(map(len, logs)) // max(shown, 1))
        notes.append(f"data and metadata are here of one event in {every:,}; fields=[…] takes those fields of all")
    if house.fields is not None:
        named = ", ".join(sorted(house.fields)) or "none"
        notes.append(f"of data, metadata and states, these fields are here: {named}")
    if house.redact is not None:
        notes.append("values were redacted before they were put here")
    if any(one.has_stored_data for one in logs):
        notes.append("some data does not fit its class, and is shown as it was stored")
    return notes


def _log_columns(blob: Blob, merged: _Merged, logs: Sequence[Entries], house: House) -> dict[str, Any]:
    names = [str(house.seen("stream", name)) for name in merged.streams]
    header: dict[str, Any] = {
        "epoch": str(blob.epoch_us),
        "time": blob.ints(merged.us - blob.epoch_us, delta=True),
        "stream": blob.ints(merged.stream),
        "type": blob.ints(merged.type),
        "streams": blob.texts(names),
    }
    if len(logs) > 1 and not _is_one_log(logs, merged):
        header["places"] = [blob.ints(places, delta=True) for places in merged.places]
    owner = _owners(merged, logs)
    for name, packed in (("supplied", _supplied), ("occurred", _occurred), ("tags", _tags)):
        rows = [getattr(log, name) for log in logs]
        found = [packed(blob, merged, *_own(*one)) for one in zip(rows, owner, merged.places, strict=True)]
        if any(found):
            header[name] = found
    return header | _details(blob, merged, logs, owner, house)


def _is_one_log(logs: Sequence[Entries], merged: _Merged) -> bool:
    """Whether positions alone say where the entries of both logs stand."""
    return len({log.start for log in logs}) == 1 and all(
        (places == np.arange(len(places))).all() for places in merged.places
    )


def _owners(merged: _Merged, logs: Sequence[Entries]) -> list[npt.NDArray[np.bool_]]:
    """For each log, which of its rows no log before it tells already."""
    taken = np.zeros(len(merged), dtype=bool)
    found = []
    for places in merged.places:
        found.append(~taken[places])
        taken[places] = True
    return found


def _own(rows: dict[int, Any], own: npt.NDArray[np.bool_], places: Ints) -> tuple[Ints, list[Any]]:
    """The entries of some rows that are a log's own, rising, and what stands there."""
    kept = [(int(places[row]), value) for row, value in rows.items() if own[row]]
    kept.sort(key=lambda pair: pair[0])
    return np.array([place for place, _ in kept], dtype=np.int64), [value for _, value in kept]


def _supplied(blob: Blob, merged: _Merged, places: Ints, raw: list[bytes]) -> dict[str, Any] | None:
    return {"entry": blob.ints(places, delta=True), "ids": blob.add(b"".join(raw))} if raw else None


def _occurred(blob: Blob, merged: _Merged, places: Ints, us: list[int]) -> dict[str, Any] | None:
    if not us:
        return None
    beside = np.array(us, dtype=np.int64) - merged.us[places]  # within 2**53 for 285 years
    return {"entry": blob.ints(places, delta=True), "us": blob.ints(beside, delta=True)}


def _tags(blob: Blob, merged: _Merged, places: Ints, tags: list[tuple[str, ...]]) -> dict[str, Any] | None:
    return {"entry": blob.ints(places, delta=True), "tags": blob.values([list(one) for one in tags])} if tags else None


def _details(
    blob: Blob, merged: _Merged, logs: Sequence[Entries], owner: list[npt.NDArray[np.bool_]], house: House
) -> dict[str, Any]:
    """Data by type, a column a field; metadata as one group."""
    kept: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
    for log, places, own in zip(logs, merged.places, owner, strict=True):
        rows = zip(log.detail.tolist(), log.data, log.metadata, strict=True)
        kept += [(int(places[row]), data, more) for row, data, more in rows if own[row]]
    if len(logs) > 1:
        kept.sort(key=lambda one: one[0])
    entries = np.array([entry for entry, _, _ in kept], dtype=np.int64)
    groups: dict[int, list[dict[str, Any]]] = {}
    for code, (_, data, _) in zip(merged.type[entries].tolist() if kept else (), kept, strict=True):
        groups.setdefault(code, []).append(data)
    found: dict[str, Any] = {
        "detail": blob.ints(entries, delta=True),
        "data": [{"type": code, "fields": _fields(blob, rows, house)} for code, rows in groups.items()],
    }
    if any(more for _, _, more in kept):
        found["metadata"] = _fields(blob, [more for _, _, more in kept], house)
    return found


def _fields(blob: Blob, rows: list[dict[str, Any]], house: House) -> list[list[Any]]:
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    if house.redact is None:
        return [[name, blob.values([row.get(name, ABSENT) for row in rows])] for name in names]
    return [[name, blob.values([house.seen(name, row.get(name, ABSENT)) for row in rows])] for name in names]


# -- states ------------------------------------------------------------------------------------------------------------


@dataclass
class _States:
    """A history's rows from a position on, after the last row before that of each key.

    Where there is one state over the whole log, it `begins` with that before the first event.
    """

    keys: list[Any]
    positions: Ints
    codes: Ints
    gone: npt.NDArray[np.bool_]
    fields: dict[str, Sequence[Any]]
    skipped: int
    begins: bool


def _states(history: History, start: int) -> _States:
    rows = history.rows
    first = int(np.searchsorted(rows.positions, start, side="right"))
    taken = np.arange(first, len(rows))
    if first:
        before = np.full(len(rows.keys), -1, dtype=np.int64)
        before[rows.codes[:first]] = np.arange(first)  # of several rows of a key the last one stays
        before = np.sort(before[before >= 0])
        taken = np.concatenate([before[~rows.gone[before]], taken])
    begins = history.projection.is_single and bool(not len(taken) or rows.positions[taken[0]] > start)
    fields = _state_fields(rows, taken, [history.projection.first_state()] if begins else [])
    columns = (rows.positions[taken], rows.codes[taken], rows.gone[taken])
    if begins:
        positions, codes, gone = (np.concatenate([one[:0], [0], one]) for one in columns)
        columns = positions, codes, gone.astype(bool)
    return _States(rows.keys or [None] * begins, *columns, fields, sum(rows.skipped.values()), begins)


def _state_fields(rows: Rows, taken: Ints, before: list[Any]) -> dict[str, Sequence[Any]]:
    """The states after some rows, field by field, those of `before` first."""
    found = rows.states.columns(taken)
    if found is not None:
        return {name: [*(one[name] for one in before), *values] if before else values for name, values in found.items()}
    states = [None if state is GONE else state for state in [*before, *rows.states.take(taken)]]
    kinds = set(map(type, states))
    if kinds <= {int, float, str, bool, type(None)}:
        return {"state": states}
    held = [state for state in states if state is not None]
    if all(has_fields(state) or state == {} for state in held):
        names: dict[str, None] = {}
        named = [fields_of(state) if state else {} for state in states]
        for one in named:
            names.update(dict.fromkeys(one))
            if len(names) > _MOST_FIELDS:
                return {"state": states}
        return {name: [one.get(name, ABSENT) for one in named] for name in names}
    return {"state": states}


def _tracks(
    blob: Blob, histories: Sequence[History], states: list[_States], merged: _Merged, house: House
) -> tuple[list[Any], dict[str, Any]]:
    """One list of keys, and the histories over it. It is that of the streams where every row's key is its stream."""
    entry = [
        _entry_of(one, history.as_of - len(places), places)
        for one, history, places in zip(states, histories, merged.places, strict=True)
    ]
    streams = {name: code for code, name in enumerate(merged.streams)}
    by_stream = all(_is_by_stream(one, at, streams, merged.stream) for one, at in zip(states, entry, strict=True))
    numbers: dict[Any, int] = dict(streams) if by_stream else {}
    tracks = []
    for history, one, at in zip(histories, states, entry, strict=True):
        meant = np.array([numbers.setdefault(key, len(numbers)) for key in one.keys], dtype=np.int64)
        codes = meant[one.codes] if len(meant) else one.codes
        follows = _follows(codes)
        track: dict[str, Any] = {"name": history.projection.name, "rows": len(at)}
        if len(at) != len(merged) or not (at == np.arange(len(merged))).all():
            track["entry"] = blob.ints(at, delta=True)
        if not by_stream:
            track["key"] = blob.ints(codes)
        if one.gone.any():
            track["gone"] = blob.ints(np.flatnonzero(one.gone), delta=True)
        track["fields"] = [
            [name, blob.values(_seen(house, name, values), follows)]
            for name, values in one.fields.items()
            if house.shows(name)
        ]
        if one.begins:
            track["begins"] = True
        if one.skipped:
            track["skipped"] = one.skipped
        tracks.append(track)
    described: dict[str, Any] = {"tracks": tracks, "categories": _category_colors(states, house)}
    if not by_stream or house.redact is not None:
        described["keys"] = blob.texts([str(house.seen("key", key_text(key))) for key in numbers])
    return list(numbers), described


def _entry_of(states: _States, start: int, places: Ints) -> Ints:
    at = states.positions - start - 1
    return np.where(at < 0, -1, places[np.maximum(at, 0)]) if len(places) else np.full(len(at), -1)


def _is_by_stream(states: _States, entry: Ints, streams: dict[str, int], stream: Ints) -> bool:
    if (entry < 0).any() or not len(entry):
        return not len(entry)
    codes = [streams.get(key, -1) if isinstance(key, str) else -1 for key in states.keys]
    return bool((np.array(codes, dtype=np.int64)[states.codes] == stream[entry]).all())


def _follows(codes: Ints) -> Ints:
    """For each row the one before it of the same key, or -1."""
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    found = np.full(len(codes), -1, dtype=np.int64)
    found[order[1:][same]] = order[:-1][same]
    return found


def _seen(house: House, name: str, values: Sequence[Any]) -> Sequence[Any]:
    return values if house.redact is None else [house.seen(name, value) for value in values]


def _category_colors(states: list[_States], house: House) -> dict[str, str]:
    """A colour for each of the most frequent texts of a state's fields."""
    often: Counter[str] = Counter()
    if house.redact is None:
        for one in states:
            for name, values in one.fields.items():
                if house.shows(name) and len(values) and not isinstance(values, np.ndarray):
                    often.update(value for value in values if type(value) is str)
    return colors_of([name for name, _ in often.most_common(len(PALETTE))])

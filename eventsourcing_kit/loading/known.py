"""Rows that are in the store already: a log can be loaded again, and only what is new in it is stored."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import replace
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import renames, schema
from eventsourcing_kit.events.texts import counted, time_text
from eventsourcing_kit.loading.payload import Cells
from eventsourcing_kit.reading.frames import objects
from eventsourcing_kit.records.moment import from_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventsourcing_kit.loading.load import Loaded
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.records.rows import Draft

Known = Literal["error", "skip"]
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def identified(loaded: Loaded) -> Loaded:
    """The rows with an id each that says what they say: the same log gives the same ids."""
    seen: Counter[bytes] = Counter()
    made = []
    for start, stop in loaded.commits():
        times = loaded.times[start:stop].tolist()
        for us, draft in zip(times, loaded.rows(start, stop, loaded.given).drafts(), strict=True):
            occurred = None if draft.occurred_us is None else time_text(from_us(draft.occurred_us))
            text = _canonical([draft.stream, draft.type, time_text(from_us(us)), occurred, draft.data])[:-1]
            digest = sha1(text.encode()).digest()
            seen[digest] += 1
            made.append(uuid.uuid5(uuid.NAMESPACE_URL, f"{text},{seen[digest]}]"))
    return replace(loaded, ids=objects(made))


def unknown(loaded: Loaded, log: Log, known: Known) -> Loaded:
    """The rows that are not in the store; with "error", raises where one is, with "skip" where it is another event."""
    if known not in get_args(Known):
        raise InputError(f"known is {known!r}; give 'error', or 'skip' to pass over rows that are in the store already")
    if known == "skip" and loaded.ids is None:
        loaded = identified(loaded)
    ids = [] if loaded.ids is None else loaded.ids.tolist()
    found = log.positions_of(ids)
    if not found:
        return loaded
    at = np.array([i for i, one in enumerate(ids) if one in found])
    if known == "error":
        raise InputError(
            f"the id {ids[at[0]]} is in the store already; known='skip' passes over the rows that are "
            f"({counted(len(at), 'row')} of {len(ids):,})"
        )
    _check_same(loaded, at, [found[ids[i]] for i in at.tolist()], log)
    return loaded.only(np.delete(np.arange(len(loaded)), at))


def _check_same(loaded: Loaded, at: np.ndarray, positions: list[int], log: Log) -> None:
    """Raise where a row is not the event at its position."""
    order = np.argsort(positions, kind="stable")
    sorted_rows = loaded.only(at)
    drafts = [*_drafts(sorted_rows, sorted_rows.parts)], [*_drafts(sorted_rows, sorted_rows.given)]
    commit, stored, in_cells = None, [], any(isinstance(part.payload, Cells) for part in loaded.given)
    for i in order.tolist():
        draft, given, position = drafts[0][i], drafts[1][i].data, positions[i]
        if commit is None or position > commit.last:
            commit = log.commit_of(position)
            stored = _stored(commit)
        *there, data = stored[position - commit.first]
        if in_cells:  # which leave out what is null
            data = {name: value for name, value in data.items() if value is not None or name in given}
        tags = set(commit.tags.get(position - commit.first, ()))
        us = int(sorted_rows.times[i])
        is_same = there == [draft.stream, renames.current(draft.type), us, draft.occurred_us]
        is_same &= not loaded.says_tags or tags == set(draft.tags)
        if not is_same or not _says_the_same(draft, given, data):
            raise InputError(
                f"the id {draft.id} is that of the event at position {position}, which is another: its stream, type, "
                "times, tags or data are not the row's; give the row a new id, or leave it out"
            )


def _drafts(loaded: Loaded, parts: list[Any]) -> Iterator[Draft]:
    for start, stop in loaded.commits():
        yield from loaded.rows(start, stop, parts).drafts()


def _stored(commit: Commit) -> list[tuple[Any, ...]]:
    """Stream, type, times and data of a commit's events, as stored."""
    found: list[Any] = [None] * commit.count
    streams, times, occurred = commit.streams, commit.times.tolist(), commit.occurred_us
    stream_codes = commit.stream_codes.tolist()
    for shape, rows in zip(commit.shapes, commit.rows_of_shapes, strict=True):
        type_, values = renames.current(shape.type), zip(*shape.columns, strict=True)
        for row in rows.tolist():
            data = dict(zip(shape.fields, next(values, ()), strict=True))
            found[row] = streams[stream_codes[row]], type_, times[row], occurred.get(row), data
    return found


def _says_the_same(draft: Draft, given: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether data is the same but for what its class made of itself, since or anew for each event."""
    made = {name for name in draft.data if name not in given and (name not in stored or _is_made(draft.type, name))}
    return _canonical(_without(draft.data, made)) == _canonical(_without(stored, made))


def _is_made(type_: str, name: str) -> bool:
    """Whether a class makes a field's value anew for each event that comes without."""
    kind = schema.registered(type_)
    info = None if kind is None else kind.cls.model_fields.get(name)
    return info is not None and info.default_factory is not None


def _without(data: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}

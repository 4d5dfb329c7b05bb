"""Appends that are there already: repeating one with the same ids stores nothing and gives the first receipts."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import DuplicateIdError, SchemaError
from eventsourcing_kit.events import renames, stored_data
from eventsourcing_kit.records.batch import Batch, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.batch import Submission
    from eventsourcing_kit.records.record import Commit, StoredShape
    from eventsourcing_kit.records.rows import Draft, Rows


def first_receipts(log: Log, submission: Submission, answered: Callable[[], None]) -> list[Stored] | None:
    """What the same append returned, if all its events are there already; None if none is; else an error.

    `answered` is called whenever the storage has answered: many ids take many questions.
    """
    if submission.new_upto is not None:
        _check_new(log, submission.rows, submission.new_upto)
        return None
    drafts = submission.rows.drafts()
    found = []
    for draft in drafts:
        found.append(log.position_of(draft.id) if draft.id else None)
        answered()
    if all(position is None for position in found):
        return None
    stored = _Recorded(log)
    same = [p is not None and stored.is_same(d, p) for d, p in zip(drafts, found, strict=True)]
    answered()
    in_order = all(a is not None and b is not None and a < b for a, b in pairwise(found))
    if all(same) and in_order:
        return _receipts(log, submission.batches, [p for p in found if p is not None])
    at = next((i for i, ok in enumerate(same) if not ok and found[i] is not None), None)
    at = next(i for i, p in enumerate(found) if p is not None) if at is None else at
    raise DuplicateIdError(
        f"the id {drafts[at].id} is at position {found[at]} already, and this batch is not the one that was "
        "appended then (the same stream, order, types and data); give new events new ids, or leave the ids out"
    )


def _check_new(log: Log, rows: Rows, upto: int) -> None:
    """Raise where another append has stored one of the ids since the log ended at `upto`."""
    own = set(rows.ids.values())
    for commit in log.commits(upto, log.head.last):
        for row, one in commit.supplied_ids.items():
            if one in own:
                raise DuplicateIdError(
                    f"another append has stored the id {one} meanwhile, at position {commit.first + row}"
                )


class _Recorded:
    """The events at positions, for comparison; their commit is kept from one to the next."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._commit: Commit | None = None

    def is_same(self, draft: Draft, position: int) -> bool:
        commit = self._commit
        if commit is None or not commit.first <= position <= commit.last:
            commit = self._commit = self._log.commit_of(position)
        row = position - commit.first
        code = int(commit.shape_codes[row])
        shape, at = commit.shapes[code], int(commit.places_in_shapes[row])
        data = {name: column[at] for name, column in zip(shape.fields, shape.columns, strict=True)}
        stream = commit.streams[int(commit.stream_codes[row])]
        if (stream, renames.current(shape.type)) != (draft.stream, draft.type):
            return False
        return _canonical(data) == _canonical(draft.data) or _reads_as(shape, data, position) == _canonical(draft.data)


def _receipts(log: Log, batches: Sequence[Batch], positions: list[int]) -> list[Stored]:
    receipts, at = [], 0
    for batch in batches:
        own = positions[at : at + len(batch.drafts)]
        at += len(own)
        commit = log.commit_of(own[-1])
        receipts.append(Stored(own, int(commit.versions[own[-1] - commit.first]), None))
    return receipts


def _reads_as(shape: StoredShape, data: dict[str, Any], position: int) -> str | None:
    """A stored event's data as its class has it today, with the defaults of newer fields; None where it has none."""
    kind = stored_data.reader(shape.type, shape.schema_version)
    if kind is None:
        return None
    columns = [[value] for value in data.values()]
    try:
        events = stored_data.from_columns(shape.type, shape.schema_version, list(data), columns, [position])
        return _canonical(kind.to_rows(events)[0])
    except (SchemaError, ValueError):
        return None


def _canonical(data: Any) -> str:
    """JSON in which 1, 1.0 and true differ, and the order of keys does not matter."""
    return json.dumps(data, sort_keys=True)

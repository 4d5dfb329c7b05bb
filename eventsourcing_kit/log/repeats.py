"""Appends that are there already: repeating one with the same ids stores nothing and gives the first receipts."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import DuplicateIdError
from eventsourcing_kit.records.batch import Batch, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.batch import Submission
    from eventsourcing_kit.records.rows import Draft


def first_receipts(log: Log, submission: Submission) -> list[Stored] | None:
    """What the same append returned, if all its events are there already; None if none is; else an error."""
    drafts = submission.rows.drafts()
    found = [log.position_of(draft.id) if draft.id else None for draft in drafts]
    if all(position is None for position in found):
        return None
    same = [p is not None and _is_same(log, d, p) for d, p in zip(drafts, found, strict=True)]
    in_order = all(a is not None and b is not None and a < b for a, b in pairwise(found))
    if all(same) and in_order:
        return _receipts(log, submission.batches, [p for p in found if p is not None])
    at = next((i for i, ok in enumerate(same) if not ok and found[i] is not None), None)
    at = next(i for i, p in enumerate(found) if p is not None) if at is None else at
    raise DuplicateIdError(
        f"the id {drafts[at].id} is at position {found[at]} already, and this batch is not the one that was "
        "appended then (the same stream, order, types and data); give new events new ids, or leave the ids out"
    )


def _is_same(log: Log, draft: Draft, position: int) -> bool:
    commit = log.commit_of(position)
    row = position - commit.first
    shape = commit.shapes[int(commit.shape_codes[row])]
    at = int((shape.rows == row).nonzero()[0][0])
    data = {name: column[at] for name, column in zip(shape.fields, shape.columns, strict=True)}
    stream = commit.streams[int(commit.stream_codes[row])]
    return (stream, shape.type) == (draft.stream, draft.type) and _canonical(data) == _canonical(draft.data)


def _receipts(log: Log, batches: Sequence[Batch], positions: list[int]) -> list[Stored]:
    receipts, at = [], 0
    for batch in batches:
        own = positions[at : at + len(batch.drafts)]
        at += len(own)
        commit = log.commit_of(own[-1])
        receipts.append(Stored(own, int(commit.versions[own[-1] - commit.first]), None))
    return receipts


def _canonical(data: Any) -> str:
    """JSON in which 1, 1.0 and true differ, and the order of keys does not matter."""
    return json.dumps(data, sort_keys=True)

"""Appends that are there already: repeating one with the same ids stores nothing and gives the first receipts."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import DuplicateIdError
from eventsourcing_kit.events import renames, stored_data
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.writing.append import Batch, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.records.rows import Draft, Rows
    from eventsourcing_kit.writing.append import Submission


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
    differ = ["" if p is None else stored.differs(d, p) for d, p in zip(drafts, found, strict=True)]
    answered()
    in_order = all(a is not None and b is not None and a < b for a, b in pairwise(found))
    if not any(differ) and in_order:
        return _receipts(log, submission.batches, [p for p in found if p is not None])
    at = next((i for i, text in enumerate(differ) if text), next(i for i, p in enumerate(found) if p is not None))
    what = differ[at] or ("their order was another" if None not in found else "some of its events were not among them")
    raise DuplicateIdError(
        f"the id {drafts[at].id} is at position {found[at]} already, and this batch is not the one that was "
        f"appended then (the same stream, order, types, tags and data): {what}; give new events new ids, or leave "
        "the ids out"
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

    def differs(self, draft: Draft, position: int) -> str:
        """What tells the stored event from a draft, also where today's class reads it; empty where nothing does."""
        commit = self._commit
        if commit is None or not commit.first <= position <= commit.last:
            commit = self._commit = self._log.commit_of(position)
        row = position - commit.first
        code = int(commit.shape_codes[row])
        shape, at = commit.shapes[code], int(commit.places_in_shapes[row])
        stream, type_ = commit.streams[int(commit.stream_codes[row])], renames.current(shape.type)
        if (stream, type_) != (draft.stream, renames.current(draft.type)):
            return f"{type_} of {stream!r} is stored there, and {draft.type} of {draft.stream!r} was given"
        there = commit.tags.get(row, ())
        if set(there) != set(draft.tags):
            return f"its tags are {list(there)} there, and {list(draft.tags)} were given"
        data = {name: column[at] for name, column in zip(shape.fields, shape.columns, strict=True)}
        if _canonical(data) == _canonical(draft.data):
            return ""
        data = stored_data.as_today(shape.type, shape.schema_version, data, position)
        names = [*data, *(name for name in draft.data if name not in data)]
        return ", ".join(_told(name, data, draft.data) for name in names if _told(name, data, draft.data))


def _told(name: str, stored: dict[str, Any], given: dict[str, Any]) -> str:
    """How a field differs; empty where it does not."""
    before, now = ("missing" if name not in one else shown(one[name]) for one in (stored, given))
    same = name in stored and name in given and _canonical(stored[name]) == _canonical(given[name])
    return "" if same else f"the field {name!r} is {before} there, and {now} was given"


def _receipts(log: Log, batches: Sequence[Batch], positions: list[int]) -> list[Stored]:
    receipts, at = [], 0
    for batch in batches:
        own = positions[at : at + batch.count]
        at += len(own)
        commit = log.commit_of(own[-1])
        receipts.append(Stored(own, int(commit.versions[own[-1] - commit.first]), None))
    return receipts


def _canonical(data: Any) -> str:
    """JSON in which 1, 1.0 and true differ, and the order of keys does not matter."""
    return json.dumps(data, sort_keys=True)

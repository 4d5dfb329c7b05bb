"""The index of tags, read: the events that have one tag, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventsourcing_kit.storage.slate.table import Table

    Row = tuple[str, int, bytes]  # a tag, the position of an event that has it, and what stands there

_ROWS_A_FETCH = 64
_STEPS = 64  # of a walk that cost no more than to begin it elsewhere


def with_all(table: Table, tags: Sequence[str], after: int, upto: int, *, backwards: bool) -> Iterator[Row]:
    """One row an event above `after` up to `upto` that has all of the tags, in order.

    The walks along the tags take turns to catch up with the one that is furthest, so a rare tag among common ones saves
    most of their rows.
    """
    if len(tags) == 1:
        yield from _rows(table, tags[0], after, upto, backwards=backwards)
        return
    walks = [_Walk(table, tag, after, upto, backwards=backwards) for tag in tags]
    goal = upto if backwards else after + 1
    while True:
        rows = []
        for walk in walks:
            row = walk.come_to(goal)
            if row is None:
                return
            rows.append(row)
            goal = row[1]
        if all(position == goal for _, position, _ in rows):
            yield rows[0]
            goal += -1 if backwards else 1


def _rows(table: Table, tag: str, after: int, upto: int, *, backwards: bool) -> Iterator[Row]:
    bounds = keys.tag(tag, after + 1), keys.tag(tag, upto + 1)
    for key, value in table.scan(*bounds, descending=backwards, rows=_ROWS_A_FETCH, ahead=1 << 14):
        yield tag, keys.number(key[-8:]), value


class _Walk:
    """Along the events of one tag, in order, from goal to goal."""

    def __init__(self, table: Table, tag: str, after: int, upto: int, *, backwards: bool) -> None:
        self._table, self._tag, self._after, self._upto, self._backwards = table, tag, after, upto, backwards
        self._rows: Iterator[Row] = iter(())
        self._row: Row | None = None
        self._has_begun = False

    def come_to(self, goal: int) -> Row | None:
        """The first row at the goal or beyond it; None where there is none."""
        if not self._has_begun:
            self._begin_at(goal)
        steps = 0
        while self._row is not None and self._is_before(self._row[1], goal):
            if steps == _STEPS:
                self._begin_at(goal)
            else:
                self._row = next(self._rows, None)
                steps += 1
        return self._row

    def _is_before(self, position: int, goal: int) -> bool:
        return position > goal if self._backwards else position < goal

    def _begin_at(self, goal: int) -> None:
        after, upto = (self._after, goal) if self._backwards else (goal - 1, self._upto)
        self._rows = _rows(self._table, self._tag, after, upto, backwards=self._backwards)
        self._row, self._has_begun = next(self._rows, None), True

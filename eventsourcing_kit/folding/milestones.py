"""The states of all keys after any number of rows, found from the nearest of some points that are kept.

To build a dict of 100,000 keys takes ten times as long as to copy one, so a moment near another is found quickly.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.folding.projection import GONE

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 64  # points; with more, keeping them would cost more than the way between two


class Milestones:
    """Rows in the log's order, each with the key and the state it gave to that key (`GONE` ends it).

    The points kept, made when they are first needed, take about a hundred bytes a row.
    """

    def __init__(self, row_keys: Sequence[Any], states: Sequence[Any], keys: int) -> None:
        self._row_keys, self._states = row_keys, states
        self._gone = np.fromiter((state is GONE for state in states), dtype=bool, count=len(states))
        points = min(_MOST, 2 * len(states) // max(keys, 1))
        self._every = max(1, len(states) // max(points, 1))

    @cached_property
    def _kept(self) -> list[dict[Any, Any]]:
        """Each key's state at every point."""
        kept: list[dict[Any, Any]] = [{}]
        for start in range(0, len(self._states), self._every):
            kept.append(self._moved(kept[-1], start, start + self._every))
        return kept

    def _moved(self, before: dict[Any, Any], start: int, stop: int) -> dict[Any, Any]:
        """A copy of the states after `start` rows, taken on to `stop`."""
        found = before.copy()
        found.update(zip(self._row_keys[start:stop], self._states[start:stop], strict=True))
        for row in np.flatnonzero(self._gone[start:stop]).tolist():
            if found.get(self._row_keys[start + row]) is GONE:
                del found[self._row_keys[start + row]]
        return found

    def states(self, handled: int) -> dict[Any, Any]:
        """Each key's state after the first `handled` rows, in a dict of one's own."""
        point = handled // self._every
        return self._moved(self._kept[point], point * self._every, handled)

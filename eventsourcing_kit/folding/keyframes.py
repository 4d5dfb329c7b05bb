"""The states of all keys after any number of rows, found from the nearest of some points that are kept.

To build a dict of 100,000 keys takes ten times as long as to copy one, so a moment near another is found quickly.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.folding.projection import GONE

if TYPE_CHECKING:
    from eventsourcing_kit.folding.rows import Rows

_MOST = 64  # points; with more, keeping them would cost more than the way between two


class Keyframes:
    """The points kept, made when they are first needed, take about a hundred bytes a row; none is kept of states that
    would have to be made for it.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        points = min(_MOST, 2 * len(rows) // max(len(rows.keys), 1)) if rows.states.worth_keeping else 1
        self._every = max(1, -(-len(rows) // max(points, 1)))

    @cached_property
    def _kept(self) -> list[dict[Any, Any]]:
        """Each key's state at every point."""
        kept: list[dict[Any, Any]] = [{}]
        for start in range(0, len(self._rows) - self._every + 1, self._every):
            kept.append(self._moved(kept[-1], start, start + self._every))
        return kept

    def _moved(self, before: dict[Any, Any], start: int, stop: int) -> dict[Any, Any]:
        """A copy of the states after `start` rows, taken on to `stop`."""
        found = before.copy()
        codes = self._rows.codes[start:stop]
        own = np.arange(len(codes), dtype=np.int32)
        latest = np.empty(len(self._rows.keys), dtype=np.int32)
        latest[codes] = own  # of several rows of a key the last one stays
        rows = np.flatnonzero(latest[codes] == own)
        keys = self._rows.keys
        changed = [keys[code] for code in codes[rows].tolist()]
        found.update(zip(changed, self._rows.states.take(rows + start), strict=True))
        for row in np.flatnonzero(self._rows.gone[start:stop]).tolist():
            if found.get(keys[codes[row]]) is GONE:
                del found[keys[codes[row]]]
        return found

    def states(self, handled: int) -> dict[Any, Any]:
        """Each key's state after the first `handled` rows, in a dict of one's own."""
        point = min(handled // self._every, len(self._kept) - 1)
        return self._moved(self._kept[point], point * self._every, handled)

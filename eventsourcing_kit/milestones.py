"""The states of all keys after any number of rows, found from the nearest of some points that are kept.

To build a dict of 100,000 keys takes ten times as long as to copy one, so a moment near another is found quickly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.projection import GONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_MOST = 64  # points; with more, keeping them would cost more than the way between two
_DICTS = 32


class Milestones:
    """Rows in the log's order, each with the key and the state it gave to that key (`GONE` ends it).

    `codes` number the keys in their order of appearance. The points kept take at most 16 bytes a row; dicts are kept of
    those that were asked for last.
    """

    def __init__(self, row_keys: Sequence[Any], codes: Ints, keys: Sequence[Any], states: Sequence[Any]) -> None:
        self._row_keys, self._keys, self._states = row_keys, keys, states
        self._gone = np.fromiter((state is GONE for state in states), dtype=bool, count=len(codes))
        points = min(_MOST, 4 * len(codes) // max(len(keys), 1))
        self._every = max(1, len(codes) // max(points, 1))
        row_of = np.full(len(keys), -1, dtype=np.int32)
        self._rows = [row_of.copy()]
        for start in range(0, len(codes), self._every):
            part = codes[start : start + self._every]
            row_of[part] = np.arange(start, start + len(part), dtype=np.int32)  # of a key's rows the last one stays
            self._rows.append(row_of.copy())
        self._dict = lru_cache(_DICTS)(self._made)

    def _made(self, point: int) -> dict[Any, Any]:
        """Each key's state at a point that is kept."""
        rows = zip(self._keys, self._rows[point].tolist(), strict=True)
        return {key: self._states[row] for key, row in rows if row >= 0 and self._states[row] is not GONE}

    def states(self, handled: int) -> dict[Any, Any]:
        """Each key's state after the first `handled` rows, in a dict of one's own."""
        point = handled // self._every
        start = point * self._every
        found = self._dict(point).copy()
        found.update(zip(self._row_keys[start:handled], self._states[start:handled], strict=True))
        ended = {self._row_keys[start + row] for row in np.flatnonzero(self._gone[start:handled]).tolist()}
        for key in ended:
            if found[key] is GONE:
                del found[key]
        return found

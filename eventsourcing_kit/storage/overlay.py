"""The newest rows of a store: in its journal, and not yet in SlateDB's tables; reads see both as one."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Row = tuple[bytes, bytes | None]
    Stored = Iterable[tuple[bytes, bytes]]


class Overlay:
    """Rows by key; None as a value removes a row that the tables hold.

    One thread adds and clears, others read meanwhile: each read takes what is there in one step.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._state: tuple[list[bytes], dict[bytes, bytes | None]] = ([], {})
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Rows that were stored after those that are here."""
        keys, values = self._state
        for key, value in rows:
            is_new = key not in values
            values[key] = value
            if is_new:
                insort(keys, key)

    def clear(self) -> None:
        """The tables hold them all now."""
        self._state = ([], {})

    def rows(self) -> list[Row]:
        """All of them."""
        return list(self._state[1].items())

    def get(self, key: bytes) -> tuple[bool, bytes | None]:
        """Whether it is known what a key's value is, and the value."""
        values = self._state[1]
        return (True, values[key]) if key in values else (False, None)

    def between(self, start: bytes, end: bytes) -> list[Row]:
        """The rows from a key up to but excluding another, in order."""
        keys, values = self._state
        if not keys:
            return []
        keys = keys.copy()
        return [(key, values[key]) for key in keys[bisect_left(keys, start) : bisect_left(keys, end)]]


def merged(recent: list[Row], stored: Stored, *, descending: bool) -> Iterator[tuple[bytes, bytes]]:
    """Overlay rows and stored ones in the order of their keys; of two with one key the recent one."""
    newest = recent if descending else recent[::-1]  # the next one last
    for row in stored:
        while newest and (newest[-1][0] >= row[0] if descending else newest[-1][0] <= row[0]):
            key, value = newest.pop()
            if value is not None:
                yield key, value
            if key == row[0]:
                break
        else:
            yield row
    while newest:
        key, value = newest.pop()
        if value is not None:
            yield key, value

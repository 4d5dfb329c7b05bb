"""Pieces of a file that belong together, though they come apart: kept in a temporary file meanwhile."""

from __future__ import annotations

import tempfile
from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType


class Grouped:
    """Takes pieces with the number of their group, and gives them back group by group, each in the order they came."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self._groups, self._starts = array("q"), array("q", [0])

    def __enter__(self) -> Grouped:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, group: int, piece: bytes) -> None:
        """One piece, the last of its group so far."""
        self._groups.append(group)
        self._starts.append(self._starts[-1] + len(piece))
        self._file.write(piece)

    def groups(self, count: int) -> Iterator[list[bytes]]:
        """The pieces of each of `count` groups."""
        codes = np.array(self._groups, dtype=np.int64)
        ends = np.cumsum(np.bincount(codes, minlength=count)).tolist()
        order, begin = np.argsort(codes, kind="stable"), 0
        for end in ends:
            yield [self._piece(row) for row in order[begin:end].tolist()]
            begin = end

    def _piece(self, row: int) -> bytes:
        start, end = self._starts[row], self._starts[row + 1]
        self._file.seek(start)
        return self._file.read(end - start)

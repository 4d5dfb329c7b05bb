"""Payload fields as columns: typed where all values are exactly of one type, the stored JSON otherwise; and back.

A value that an event has no field for and a null are both null here; which of the two it is, the event's shape tells.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json, to_json

from eventsourcing_kit.mirroring.arrow import pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BOOL, INT, FLOAT, TEXT, JSON, NULL = "bool", "int", "float", "text", "json", "null"
_KINDS: dict[type, str] = {bool: BOOL, int: INT, float: FLOAT, str: TEXT}
_TYPES = {BOOL: pa.bool_(), INT: pa.int64(), FLOAT: pa.float64(), TEXT: pa.string(), JSON: pa.json_(), NULL: pa.null()}
_PYTHON = {INT: int, FLOAT: float, BOOL: bool, TEXT: str}


def kind_of(values: Sequence[Any]) -> str:
    """The kind of column that holds values exactly."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return NULL
    found = _KINDS.get(kinds.pop(), JSON)
    if kinds or (found == INT and not _fits(values)):
        return JSON
    return found


def _fits(values: Sequence[Any]) -> bool:
    """Whether whole numbers take 64 bits at most."""
    try:
        pa.array(values, type=pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return False
    return True


def joined(one: str, other: str) -> str:
    """The kind that holds the values of two."""
    if one == other or other == NULL:
        return one
    return other if one == NULL else JSON


def array(values: Sequence[Any], kind: str) -> Any:
    """Values, None for null, as an Arrow array of a kind that holds them."""
    if kind != JSON:
        return pa.array(values, type=_TYPES[kind])
    texts = [None if value is None else to_json(value).decode() for value in values]
    return pa.ExtensionArray.from_storage(_TYPES[JSON], pa.array(texts, type=pa.string()))


def nothing(count: int, kind: str) -> Any:
    """So many nulls."""
    return array([None] * count, kind)


def kind_in(column: Any) -> str:
    """The kind of an Arrow array that `array` made, also where it was stored since."""
    return next(kind for kind, type_ in _TYPES.items() if type_ == column.type)


def cast(column: Any, kind: str) -> Any:
    """A column as one of a kind that holds its values, too."""
    return column if kind_in(column) == kind else array(values(column), kind)


def values(column: Any) -> list[Any]:
    """The values of an Arrow array; None for null."""
    if kind_in(column) != JSON:
        found: list[Any] = column.to_pylist()
        return found
    texts = column.storage.to_pylist()
    return [None if text is None else from_json(text) for text in texts]


class Stored:
    """The values of a column that are made Python's when they are asked for, or never: a list for who reads it.

    `kinds` are the types of its values, and `array` has them as numbers, where both are known without a look at each.
    """

    __slots__ = ("_column", "_values", "array", "kinds")

    def __init__(self, column: Any) -> None:
        self._column = column
        self._values: list[Any] | None = None
        kind, whole = kind_in(column), column.null_count == 0
        self.kinds: frozenset[type] | None = frozenset((_PYTHON[kind],)) if whole and kind in _PYTHON else None
        self.array = np.asarray(column) if whole and kind in (INT, FLOAT) else None

    def _made(self) -> list[Any]:
        if self._values is None:
            self._values = values(self._column)
        return self._values

    def __len__(self) -> int:
        return len(self._column)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._made())

    def __getitem__(self, at: Any) -> Any:
        return self._made()[at]

    def __contains__(self, value: object) -> bool:
        return value in self._made() if self.kinds is None or type(value) in self.kinds else False

    def tolist(self) -> list[Any]:
        """All of them."""
        return self._made()


def filled(count: int, parts: Iterable[tuple[Any, Sequence[Any]]]) -> list[Any]:
    """One value a row, of parts that each have rows and their values; None for the rows between."""
    parts = list(parts)
    if len(parts) == 1 and len(parts[0][0]) == count and bool((np.diff(parts[0][0]) > 0).all()):
        return list(parts[0][1])
    found = np.full(count, None, dtype=object)
    rows = np.concatenate([at for at, _ in parts])
    found[rows] = np.fromiter(chain.from_iterable(own for _, own in parts), dtype=object, count=len(rows))
    return found.tolist()

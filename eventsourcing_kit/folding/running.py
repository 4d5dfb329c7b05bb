"""Declared folds over columns: the state after each of many rows at once, exactly as one step after another gives it.

Rows are handled events in the log's order. What cannot be had exactly this way raises `Inexact`, and is then folded
event by event.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from eventsourcing_kit.folding.declared import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]
    Values = list[Any] | npt.NDArray[Any]

_EXACT_INT = float(1 << 62)
_EXACT_FLOAT = float(1 << 53)
_LONG = 64  # values of one key: from there on a call of numpy a key is cheaper than one a place


class Inexact(Exception):
    """Columns would not give what the steps give; says why."""


@dataclass(frozen=True, slots=True)
class Given:
    """The values that one term of a fold was given, and the rows of the events that gave them."""

    rows: Ints
    values: Values
    sign: int = 1
    counts: Ints | int = 1  # how many values each stands for: a mean goes on from a sum


class Groups:
    """Rows by key (one code a row), and within a key by what ended it: `gone` rows end a key, and a group with it."""

    def __init__(self, codes: Ints, gone: Bools) -> None:
        self.size = size = len(codes)
        bits = max(size, 1).bit_length()
        sorted_pairs = np.sort((codes << bits) | np.arange(size))  # several times quicker than a stable argsort
        self.order = sorted_pairs & ((1 << bits) - 1)
        begins = np.ones(size, dtype=bool)
        sorted_codes = sorted_pairs >> bits
        begins[1:] = (sorted_codes[1:] != sorted_codes[:-1]) | gone[self.order[:-1]]
        self.begins = begins

    @cached_property
    def starts(self) -> Ints:
        """For each row in sorted order, where its group begins in that order."""
        found: Ints = np.maximum.accumulate(np.where(self.begins, np.arange(self.size), 0))
        return found

    @cached_property
    def numbers(self) -> Ints:
        """For each row in sorted order, the number of its group."""
        return np.cumsum(self.begins) - 1

    def restored(self, in_order: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A column in sorted order, brought into the log's."""
        found = np.empty_like(in_order)
        found[self.order] = in_order
        return found

    def sums(self, column: Ints) -> Ints:
        """The running sum of each group, in sorted order."""
        taken = column[self.order]
        sums: Ints = np.cumsum(taken)
        found: Ints = sums - (sums - taken)[self.starts]
        return found

    def latest(self, here: Bools) -> Ints:
        """For each row in sorted order, the last one so far of its group that is `here`; -1 where there is none."""
        found = np.maximum.accumulate(np.where(here, np.arange(self.size), -1))
        return np.where(found >= self.starts, found, -1)


class Column(Protocol):
    """A field's state after each row."""

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows, as Python values."""
        ...

    def held(self, rows: Ints) -> list[Any]:
        """What the steps hold after some rows (see `declared.Steps`)."""
        ...


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers or floats; where not `known`, `other`."""

    values: npt.NDArray[Any]
    known: Bools | None = None
    other: Any = None

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        found: list[Any] = self.values[rows].tolist()
        if self.known is None:
            return found
        return [one if known else self.other for one, known in zip(found, self.known[rows].tolist(), strict=True)]

    held = take

    def differs(self, rows: Ints, beside: Numbers, others: Ints) -> Bools:
        """For each pair of rows, one of each column, whether the states differ; 1 and 1.0 do, two NaNs don't."""
        if self.known is not None or beside.known is not None:
            pairs = zip(self.take(rows), beside.take(others), strict=True)
            return np.array([type(a) is not type(b) or (a != b and a == a) for a, b in pairs], dtype=bool)
        a, b = self.values[rows], beside.values[others]
        if a.dtype != b.dtype:
            return np.ones(len(rows), dtype=bool)
        found: Bools = (a != b) & ((a == a) | (b == b))
        return found


@dataclass(frozen=True, slots=True)
class Means:
    """Sums by their numbers of values; None where there is none."""

    sums: npt.NDArray[Any]
    counts: Ints

    def held(self, rows: Ints) -> list[Any]:
        """Sum and number after some rows."""
        pairs = zip(self.sums[rows].tolist(), self.counts[rows].tolist(), strict=True)
        return [[total, count] if count else [0, 0] for total, count in pairs]

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        return [total / count if count else None for total, count in self.held(rows)]


@dataclass(frozen=True, slots=True)
class Picked:
    """One of some values a row; None where the index is -1."""

    values: Sequence[Any]
    index: Ints

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        values = self.values
        return [None if at < 0 else values[at] for at in self.index[rows].tolist()]

    def held(self, rows: Ints) -> list[Any]:
        """The value in a list, which is empty where there is none."""
        return [[] if at < 0 else [self.values[at]] for at in self.index[rows].tolist()]


@dataclass(frozen=True, slots=True)
class Collected:
    """The values from one place to another a row."""

    values: Sequence[Any]
    start: Ints
    stop: Ints

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        return list(map(tuple, self.held(rows)))

    def held(self, rows: Ints) -> list[Any]:
        """The values in a list."""
        places = zip(self.start[rows].tolist(), self.stop[rows].tolist(), strict=True)
        return [list(self.values[start:stop]) for start, stop in places]


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values there are among those collected."""

    counts: Ints
    collected: Collected

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        found: list[Any] = self.counts[rows].tolist()
        return found

    def held(self, rows: Ints) -> list[Any]:
        """The different values in a set."""
        return list(map(set, self.collected.held(rows)))


def column(kind: str, given: Sequence[Given], groups: Groups) -> Column:
    """A fold of a kind over what its terms were given; raises `Inexact`."""
    given = [one for one in given if len(one.rows)]
    return _FOLDS[kind](given, groups)


def given_before(kind: str, held: Any) -> list[Any]:
    """Values that lead a fold of a kind to what it holds; a mean's is its sum. Raises `Inexact`."""
    if kind == "total":
        return [] if type(held) is int and held == 0 else [held]
    if kind == "mean":
        return [held[0]] if held[1] else []
    if kind == "distinct" and any(isinstance(one, (tuple, frozenset)) for one in held):
        raise Inexact("different values that are no plain ones")
    return list(held)


# -- numbers ----------------------------------------------------------------------------------------------------------


def _array(values: Values) -> npt.NDArray[Any]:
    """Whole numbers as int64 (a bool counts as 0 or 1) or floats as float64; raises `Inexact` for anything else."""
    if isinstance(values, np.ndarray):
        return values
    kinds = set(map(type, values))
    try:
        if kinds <= {int, bool}:
            return np.array(values, dtype=np.int64)
    except OverflowError:
        raise Inexact("a number beyond 64 bits") from None
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    raise Inexact(f"values of the types {sorted(kind.__name__ for kind in kinds)}")


def _total(given: Sequence[Given], groups: Groups) -> Column:
    arrays = [_array(one.values) for one in given]
    kinds = {array.dtype.kind for array in arrays}
    if kinds <= {"i"}:
        return Numbers(groups.restored(groups.sums(_summed(given, arrays, groups.size, _EXACT_INT))))
    if kinds == {"f"}:
        return Numbers(_float_sums(given, arrays, groups), _counts(given, groups) > 0, 0)
    raise Inexact("whole numbers and floats in one total")


def _summed(given: Sequence[Given], arrays: Sequence[npt.NDArray[Any]], size: int, limit: float) -> Ints:
    """What each row adds."""
    if sum(float(np.abs(array.astype(np.float64)).sum()) for array in arrays) >= limit:
        raise Inexact("a sum that may leave the range of exact arithmetic")
    added = np.zeros(size, dtype=np.int64)
    for one, array in zip(given, arrays, strict=True):
        added[one.rows] += array if one.sign > 0 else -array
    return added


def _counts(given: Sequence[Given], groups: Groups) -> Ints:
    """How many values there were after each row."""
    here = np.zeros(groups.size, dtype=np.int64)
    for one in given:
        here[one.rows] += one.counts
    return groups.restored(groups.sums(here))


def _float_sums(given: Sequence[Given], arrays: Sequence[Floats], groups: Groups) -> Floats:
    """The sum after each row, added one after another: a cumulated sum less an offset would be another number."""
    here, source = _sources(given, groups)
    values = np.concatenate([array if one.sign > 0 else -array for one, array in zip(given, arrays, strict=True)])
    at = np.flatnonzero(here)
    taken = values[source[at]]
    sums = np.empty(len(taken))
    numbers = groups.numbers[at]
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    lengths = np.diff(np.append(first, len(taken)))
    for start, length in zip(first[lengths > _LONG].tolist(), lengths[lengths > _LONG].tolist(), strict=True):
        sums[start : start + length] = np.add.accumulate(np.append(0.0, taken[start : start + length]))[1:]
    short, sizes = first[lengths <= _LONG], lengths[lengths <= _LONG]
    running = np.zeros(len(short))
    for place in range(int(sizes.max(initial=0))):
        going_on = sizes > place
        short, sizes, running = short[going_on], sizes[going_on], running[going_on]
        running = running + taken[short + place]
        sums[short + place] = running
    spread = np.zeros(groups.size)
    spread[at] = sums
    latest = groups.latest(here)
    return groups.restored(np.where(latest >= 0, spread[latest], 0.0))


def _mean(given: Sequence[Given], groups: Groups) -> Column:
    arrays = [_array(one.values) for one in given]
    kinds = {array.dtype.kind for array in arrays}
    if kinds == {"f"}:
        return Means(_float_sums(given, arrays, groups), _counts(given, groups))
    if kinds <= {"i"}:
        sums = groups.sums(_summed(given, arrays, groups.size, _EXACT_FLOAT))
        return Means(groups.restored(sums), _counts(given, groups))
    raise Inexact("whole numbers and floats in one mean")


# -- values -----------------------------------------------------------------------------------------------------------


def _sources(given: Sequence[Given], groups: Groups) -> tuple[Bools, Ints]:
    """In sorted order: which rows were given a value, and its index among all values."""
    source = np.full(groups.size, -1, dtype=np.int64)
    offset = 0
    for one in given:
        if (source[one.rows] >= 0).any():
            raise Inexact("two values of one event")
        source[one.rows] = np.arange(offset, offset + len(one.rows))
        offset += len(one.rows)
    source = source[groups.order]
    return source >= 0, source


def _values(given: Sequence[Given]) -> list[Any]:
    found: list[Any] = []
    for one in given:
        found += one.values.tolist() if isinstance(one.values, np.ndarray) else one.values
    return found


def _picked(values: list[Any], chosen: Bools, source: Ints, groups: Groups) -> Column:
    """After each row the value of the last of the `chosen` ones."""
    latest = groups.latest(chosen)
    return Picked(values, groups.restored(np.where(latest >= 0, source[latest], -1)))


def _last(given: Sequence[Given], groups: Groups) -> Column:
    here, source = _sources(given, groups)
    return _picked(_values(given), here, source, groups)


def _first(given: Sequence[Given], groups: Groups) -> Column:
    here, source = _sources(given, groups)
    earlier: Ints = np.cumsum(here) - here
    is_first = here & (earlier == earlier[groups.starts])
    return _picked(_values(given), is_first, source, groups)


def _extreme(given: Sequence[Given], groups: Groups, *, largest: bool) -> Column:
    here, source = _sources(given, groups)
    values = _values(given)
    ranks, most = _ranks(values)
    if not largest:
        ranks = most + 1 - ranks
    rank = np.where(here, ranks[source], 0) if len(ranks) else np.zeros(groups.size, dtype=np.int64)
    reached = np.maximum.accumulate(groups.numbers * (most + 1) + rank)
    before = np.where(groups.begins, groups.numbers * (most + 1), np.append(-1, reached[:-1]))
    return _picked(values, here & (reached > before), source, groups)


def _ranks(values: list[Any]) -> tuple[Ints, int]:
    """For each value its rank from 1 among the different ones, and the greatest rank."""
    if not values:
        return np.array([], dtype=np.int64), 0
    try:
        array = _array(values)
    except Inexact:
        if len(set(map(type, values))) != 1:
            raise
        try:
            in_order = sorted(set(values))
        except TypeError:
            raise Inexact("values that have no order") from None
        of = {value: rank for rank, value in enumerate(in_order, 1)}
        return np.array([of[value] for value in values], dtype=np.int64), len(in_order)
    if np.isnan(array).any():
        raise Inexact("NaN has no place in the order")
    different, at = np.unique(array, return_inverse=True)
    return at + 1, len(different)


def _distinct(given: Sequence[Given], groups: Groups) -> Column:
    here, source = _sources(given, groups)
    codes: dict[Any, int] = {}
    values = list(map(frozen, _values(given)))
    coded = np.array([codes.setdefault(value, len(codes)) for value in values], dtype=np.int64)
    at = np.flatnonzero(here)
    _, first = np.unique(groups.numbers[at] * (len(codes) + 1) + coded[source[at]], return_index=True)
    is_new = np.zeros(groups.size, dtype=np.int64)
    is_new[groups.order[at[first]]] = 1
    return Distinct(groups.restored(groups.sums(is_new)), _collected(values, here, source, groups))


def _collect(given: Sequence[Given], groups: Groups) -> Column:
    return _collected(_values(given), *_sources(given, groups), groups)


def _collected(values: list[Any], here: Bools, source: Ints, groups: Groups) -> Collected:
    upto = np.cumsum(here)
    start: Ints = (upto - here)[groups.starts]
    return Collected([values[at] for at in source[here].tolist()], groups.restored(start), groups.restored(upto))


def constants(value: Any, count: int) -> Values:
    """One constant so many times."""
    return np.ones(count, dtype=np.int64) if type(value) is int and value == 1 else list(repeat(value, count))


_FOLDS = {
    "total": _total,
    "mean": _mean,
    "first": _first,
    "last": _last,
    "smallest": lambda given, groups: _extreme(given, groups, largest=False),
    "largest": lambda given, groups: _extreme(given, groups, largest=True),
    "distinct": _distinct,
    "collect": _collect,
}

"""Declared folds over a log: from the columns of its commits to the states that they lead to, without an event object.

Where columns cannot tell exactly (a key that is a function, numbers beyond 64 bits, a class with code of its own that
fails), `Inexact` is raised, and the fold goes event by event, which also names what is wrong.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import SchemaError
from eventsourcing_kit.events import renames, schema, stored_data
from eventsourcing_kit.folding.replay import EVERY, stream_numbers
from eventsourcing_kit.folding.rows import OfFields, Rows
from eventsourcing_kit.folding.running import Given, Groups, Inexact, column, constants, given_before
from eventsourcing_kit.reading import known_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from eventsourcing_kit.folding.declared import Fields, Term
    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.running import Column, Ints, Values
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.read import Selection
    from eventsourcing_kit.records.record import Commit, StoredShape


_KEPT_BYTES = 256 << 20
_KEPT_PROJECTIONS = 2


class Columns:
    """What declared folds have read of a store's log, and the states, kept for the next question.

    Of the two projections last asked about, as long as they take less than 256 MiB together; a longer log is read from
    where it was left.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._reading = threading.Lock()
        self._kept: dict[tuple[Any, ...], tuple[_Reading, Rows]] = {}

    def rows(self, projection: Projection, selection: Selection, only: Any) -> Rows:
        """Every state that a declared fold passes through; raises `Inexact`."""
        found = self._rows(projection, selection, only)
        known_types.hint(self._log, projection.types, repr(projection))
        return found

    def _rows(self, projection: Projection, selection: Selection, only: Any) -> Rows:
        log = self._log
        if only is not EVERY or selection.category is not None or selection.stream is not None:
            return _read(_Reading(projection, only), log, selection)
        key = (id(projection.declared), projection.key, log.policies, log.store_id, schema.generation())
        with self._reading:
            kept = self._kept.pop(key, None)
            if kept is None or kept[0].upto < selection.upto:
                reading = _Reading(projection, only) if kept is None else kept[0]
                kept = reading, _read(reading, log, selection)
            self._kept[key] = kept
            while self._kept and (
                len(self._kept) > _KEPT_PROJECTIONS or sum(one.size for one, _ in self._kept.values()) > _KEPT_BYTES
            ):
                del self._kept[next(iter(self._kept))]
            return kept[1].upto(selection.upto)


def go_on(projection: Projection, log: Log, selection: Selection, states: dict[Any, Any], types: set[str]) -> Rows:
    """As `replay.fold` of a declared projection, from `states` on, which it changes: every state on the way, as rows.

    Adds the types of the events that were read to `types`. Raises `Inexact`, and then has changed nothing.
    """
    reading = _Reading(projection, EVERY)
    reading.upto = selection.after
    rows = _read(reading, log, selection, states)
    assert isinstance(rows.states, OfFields)
    last = rows.last()
    for key, gone, held in zip(rows.keys, rows.gone[last].tolist(), rows.states.held(last), strict=True):
        if gone:
            states.pop(key, None)
        else:
            states[key] = held
    known_types.hint(log, projection.types, repr(projection))
    types |= reading.met
    return rows


def _read(reading: _Reading, log: Log, selection: Selection, states: Mapping[Any, list[Any]] | None = None) -> Rows:
    if reading.needs_record:
        raise Inexact("a key that is a function")
    try:
        for commit, rows in replace(selection, after=reading.upto).chunks(log, reading.skipped, as_columns=True):
            reading.add(commit, rows)
        reading.upto = selection.upto
        return reading.rows(states or {})
    except (SchemaError, AttributeError, TypeError, ValueError) as error:
        raise Inexact(str(error)) from error


class _Reading:
    """What the commits give, column by column."""

    def __init__(self, projection: Projection, only: Any) -> None:
        assert projection.declared is not None
        self._fields, self._key, self._only = projection.declared, projection.key, only
        self._terms = self._fields.terms
        self.upto, self.skipped, self.met = 0, Counter[str](), set[str]()
        self._given: list[list[tuple[Ints, Values]]] = [[] for _ in self._terms]
        self._keys: dict[Any, int] = {}
        self._types: dict[str, int] = {}
        self._plans: dict[str, list[int]] = {}
        self._parts: list[tuple[Ints, ...]] = []  # codes, positions, times, types
        self._count = 0

    def add(self, commit: Commit, rows: Ints) -> None:
        """The events at some rows of a commit, rising."""
        types = np.array([self._type(renames.current(shape.type)) for shape in commit.shapes], dtype=np.int64)
        place = np.full(commit.count, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        keys: list[Any] = [None] * len(rows)
        found: list[tuple[int, Ints, Values]] = []
        for shape, own in zip(commit.shapes, commit.rows_of_shapes, strict=True):
            at = place[own]
            if (at >= 0).any():
                self._add_shape(commit, shape, own, at, keys, found)
        codes = self._codes(commit, rows, keys)
        kept = np.flatnonzero(codes >= 0)
        place = np.full(len(rows), -1, dtype=np.int64)
        place[kept] = np.arange(self._count, self._count + len(kept))
        for number, at, values in found:
            self._give(number, place[at], values)
        rows, codes = rows[kept], codes[kept]
        self._parts.append((codes, commit.positions[rows], commit.times[rows], types[commit.shape_codes[rows]]))
        self._count += len(kept)

    def _give(self, number: int, at: Ints, values: Values) -> None:
        inside = at >= 0
        self._given[number].append((at, values) if inside.all() else (at[inside], _kept(values, inside)))

    def _type(self, name: str) -> int:
        if name not in self._plans:
            self._plans[name] = self._fields.covered(name)
        return self._types.setdefault(name, len(self._types))

    def _codes(self, commit: Commit, rows: Ints, keys: list[Any]) -> Ints:
        """The number of each row's key, in order of appearance; -1 where it is passed over."""
        if isinstance(self._key, str):
            return np.array([-1 if key is None else self._code(key) for key in keys], dtype=np.int64)
        if self._key is None:
            return np.full(len(rows), self._code(None), dtype=np.int64)
        if self._only is EVERY:
            return stream_numbers(commit, rows, self._keys)
        streams = commit.streams
        return np.array([self._code(streams[code]) for code in commit.stream_codes[rows].tolist()], dtype=np.int64)

    def _code(self, key: Any) -> int:
        if self._only is not EVERY and key != self._only:
            return -1
        return self._keys.setdefault(key, len(self._keys))

    def _add_shape(
        self,
        commit: Commit,
        shape: StoredShape,
        own: Ints,
        at: Ints,
        keys: list[Any],
        found: list[tuple[int, Ints, Values]],
    ) -> None:
        """The events of one shape, which stand at the rows `own`, and those asked for `at` a place among these."""
        inside = at >= 0
        columns = shape.columns
        if not inside.all():
            picked = np.flatnonzero(inside).tolist()
            columns, own, at = [[values[i] for i in picked] for values in columns], own[inside], at[inside]
        key, name = self._key, renames.current(shape.type)
        self.met.add(name)
        plan = self._plans[name]
        wanted = {name: None for number in plan for name in self._terms[number][1].fields}
        if isinstance(key, str):
            wanted[key] = None
        values = stored_data.values_of(
            shape.type, shape.schema_version, shape.fields, columns, commit.positions[own].tolist(), list(wanted)
        )
        if isinstance(key, str):
            if key not in values:
                raise Inexact(f"an event without the field {key!r}, which is the key")
            if not {list, set, frozenset}.isdisjoint(map(type, values[key])):
                raise Inexact(f"a field {key!r} that holds several keys")
            for place, value in zip(at.tolist(), values[key], strict=True):
                keys[place] = value
        for number in plan:
            fold, term = self._terms[number]
            found += [(number, *one) for one in [_taken(term, values, at, fold.steps.takes_null)] if one is not None]

    @property
    def needs_record(self) -> bool:
        """Whether the keys are told by more than columns."""
        return callable(self._key)

    @property
    def size(self) -> int:
        """About how many bytes it takes, with the states."""
        held = sum(_bytes(values) for given in self._given for _, values in given)
        return held + self._count * (64 + 8 * len(self._terms) + 8 * len(self._fields.folds))

    def rows(self, states: Mapping[Any, list[Any]]) -> Rows:
        """All of it, and the folds over it, which go on from what `states` hold."""
        empty = np.array([], dtype=np.int64)
        joined = tuple(np.concatenate(part) for part in zip(*(self._parts or [(empty,) * 4]), strict=True))
        codes, positions, us, types = joined
        self._parts = [joined]
        ends = np.array([self._fields.ends_with(name) for name in self._types], dtype=np.bool_)
        gone = ends[types] if len(ends) else np.zeros(len(codes), dtype=np.bool_)
        before = _Before(self._fields, self._keys, states)
        count = len(before.codes)
        groups = Groups(np.append(before.codes, codes), np.append(np.zeros(count, dtype=np.bool_), gone))
        joined_given = [_joined(parts, term.sign) for parts, (_, term) in zip(self._given, self._terms, strict=True)]
        self._given = [[(one.rows, one.values)] for one in joined_given]
        given = iter([replace(one, rows=one.rows + count) for one in joined_given])
        fields: dict[str, Column] = {}
        for (name, fold), first in zip(self._fields.folds.items(), before.given, strict=True):
            found = column(fold.kind, [first, *(next(given) for _ in fold.terms)], groups)
            fields[name] = _Behind(found, count) if count else found
        keys, names = list(self._keys), list(self._types)
        return Rows(keys, codes, positions, us, names, types, gone, OfFields(fields, gone), Counter(self.skipped))


class _Before:
    """What states hold that a fold goes on from, as rows before its first: their keys' `codes`, and what each field's
    fold was given there.
    """

    def __init__(self, fields: Fields, keys: Mapping[Any, int], states: Mapping[Any, list[Any]]) -> None:
        folds = list(fields.folds.values())
        codes: list[int] = []
        rows: list[list[int]] = [[] for _ in folds]
        values: list[list[Any]] = [[] for _ in folds]
        counts: list[list[int]] = [[] for _ in folds]
        for key, code in keys.items() if states else ():
            held = states.get(key, ())
            most = 0
            for number, own in enumerate(held):
                kind = folds[number].kind
                found = given_before(kind, own)
                rows[number] += range(len(codes), len(codes) + len(found))
                values[number] += found
                counts[number] += [own[1] if kind == "mean" else 1] * len(found)
                most = max(most, len(found))
            codes += [code] * most
        self.codes = np.array(codes, dtype=np.int64)
        columns = zip(rows, values, counts, strict=True)
        self.given = [
            Given(np.array(at, dtype=np.int64), given, counts=np.array(numbers, dtype=np.int64))
            for at, given, numbers in columns
        ]


@dataclass(frozen=True, slots=True)
class _Behind:
    """A column without its first rows."""

    column: Column
    count: int

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        return self.column.take(rows + self.count)

    def held(self, rows: Ints) -> list[Any]:
        """What the steps hold after some rows."""
        return self.column.held(rows + self.count)


def _bytes(values: Values) -> int:
    return values.nbytes if isinstance(values, np.ndarray) else 64 * len(values)


def _joined(parts: list[tuple[Ints, Values]], sign: int) -> Given:
    rows = np.concatenate([at for at, _ in parts]) if parts else np.array([], dtype=np.int64)
    if parts and all(isinstance(values, np.ndarray) for _, values in parts):
        return Given(rows, np.concatenate([np.asarray(values) for _, values in parts]), sign)
    return Given(rows, [value for _, values in parts for value in values], sign)


def _taken(term: Term, values: dict[str, list[Any]], at: Ints, takes_null: bool) -> tuple[Ints, Values] | None:
    """The events that give a term a value, and the values; None where none of the shape does."""
    if not values.keys() >= set(term.fields):
        return None
    taken = constants(term.constant, len(at)) if term.field is None else _as_numbers(values[term.field])
    keep = np.ones(len(at), dtype=bool)
    for name, wanted in term.where:
        keep &= np.array([bool(value == wanted) for value in values[name]], dtype=bool)
    if not takes_null and not isinstance(taken, np.ndarray) and None in taken:
        keep &= np.array([value is not None for value in taken], dtype=bool)
    return (at, taken) if keep.all() else (at[keep], _kept(taken, keep))


def _as_numbers(values: Values) -> Values:
    """As an array, where it was stored as one."""
    found = getattr(values, "array", None)
    return values if found is None else found


def _kept(values: Values, keep: npt.NDArray[np.bool_]) -> Values:
    if isinstance(values, np.ndarray):
        return values[keep]
    return [value for value, stays in zip(values, keep.tolist(), strict=True) if stays]

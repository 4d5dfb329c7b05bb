"""What the rows of a foreign frame say, as shapes of events: column by column, or row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from pydantic import ValidationError

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import dumping, json_values, schema
from eventsourcing_kit.loading.cells import label
from eventsourcing_kit.reading.frames import objects
from eventsourcing_kit.records.rows import Shape, by_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Fields = Mapping[str, tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]]  # cells, and which of them are there

Kind = tuple[str, int]  # an event type and its schema version
_MASKS_AT_ONCE = 30


class Payload(Protocol):
    """The types and data of rows."""

    def shapes(self, rows: Ints) -> tuple[list[Shape], Sequence[int]]:
        """The shapes of some of them, in order of appearance, and the index of each row's among them."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """What rows say, held to the class of their type, and the tags that it makes of each; None where it makes none."""

    payload: Payload
    tags: list[tuple[str, ...]] | None


class Cells:
    """A cell a field; one that is empty is left out of its row's data."""

    def __init__(self, kinds: Sequence[Kind], kind_codes: Ints, fields: Fields) -> None:
        self._kinds, self._kind_codes = kinds, kind_codes
        self._names, self._cells = list(fields), [cells for cells, _ in fields.values()]
        self._present = np.array([there for _, there in fields.values()], dtype=bool).reshape(
            len(fields), len(kind_codes)
        )
        codes, masks = kind_codes, self._present[~self._present.all(axis=1)]
        for at in range(0, len(masks), _MASKS_AT_ONCE):  # rows look alike where their type and their holes are the same
            part = masks[at : at + _MASKS_AT_ONCE]
            bits = (part.astype(np.int64) << np.arange(len(part))[:, None]).sum(axis=0)
            codes = pd.factorize(codes << _MASKS_AT_ONCE | bits)[0]
        self._codes = codes

    def shapes(self, rows: Ints) -> tuple[list[Shape], Sequence[int]]:
        """The rows that look alike stand side by side once they are sorted, and each shape takes its slices."""
        with json_values.plain_objects_only():  # of rows with holes at random, each is a shape
            return self._shapes(rows)

    def _shapes(self, rows: Ints) -> tuple[list[Shape], Sequence[int]]:
        codes, distinct = pd.factorize(self._codes[rows])
        rows = rows[np.argsort(codes, kind="stable")]
        ends = np.cumsum(np.bincount(codes, minlength=len(distinct)))
        starts = ends - np.diff(ends, prepend=0)
        columns = [cells[rows].tolist() for cells in self._cells]
        found = []
        there = self._present[:, rows[starts]].T.tolist()
        kinds = self._kind_codes[rows[starts]].tolist()
        for start, end, inside, kind in zip(starts.tolist(), ends.tolist(), there, kinds, strict=True):
            values = [column[start:end] for column in compress(columns, inside)]
            type_, version = self._kinds[kind]
            found.append(Shape(type_, version, tuple(compress(self._names, inside)), values))
        return found, codes.tolist()


class Objects:
    """An object of plain JSON a row."""

    def __init__(self, kinds: Sequence[Kind], data: Sequence[dict[str, Any]]) -> None:
        self._kinds, self._data = kinds, data

    def shapes(self, rows: Ints) -> tuple[list[Shape], Sequence[int]]:
        """Row by row."""
        at = rows.tolist()
        return by_shape([self._kinds[i] for i in at], [self._data[i] for i in at])


def held_to(kind: schema.Schema, fields: Fields, labels: pd.Index[Any], *, nulls: bool) -> Held:
    """Rows of a type that has a class, held to it; raises `InputError` naming the row, field and value that don't fit.

    With `nulls`, an empty cell of a field that the class needs is null.
    """
    count = len(labels)
    everywhere = np.ones(count, dtype=bool)
    if nulls:
        fields = {name: (cells, there | (name in kind.required)) for name, (cells, there) in fields.items()}
    fields = {name: (cells, there) for name, (cells, there) in fields.items() if there.any()}
    columns = kind.completed(fields, count)
    if columns is not None:
        filled = {name: (objects(values), everywhere) for name, values in columns.items()}
        own = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        payload = Cells([(kind.name, kind.version)], np.zeros(count, dtype=np.int64), filled)
        return Held(payload, _tags(kind, own, labels))
    found, codes = Cells([(kind.name, 1)], np.zeros(count, dtype=np.int64), fields).shapes(np.arange(count))
    values = [iter(zip(*shape.columns, strict=True)) for shape in found]
    data = [dict(zip(found[code].fields, next(values[code], ()), strict=True)) for code in codes]
    return checked(kind, data, labels)


def checked(kind: schema.Schema, data: list[dict[str, Any]], labels: pd.Index[Any]) -> Held:
    """The same rows as the class stores them."""
    try:
        made = kind.from_rows(data, strict_fields=True)
    except ValidationError as error:
        first = error.errors()[0]
        at, *path = first["loc"]
        value = "is missing" if first["type"] == "missing" else f"is {json_values.shown(first['input'])}"
        raise InputError(
            f"row {label(labels, int(at))!r}, field {'.'.join(map(str, path))!r} {value}, "
            f"which does not fit the class {kind.cls.__name__} of its type {kind.name!r}: {first['msg']}"
        ) from None
    except Exception as error:  # a class's own validators may raise anything
        raise _own_code_failed(kind, data, labels, error) from error
    payload = Objects([(kind.name, kind.version)] * len(made), dumping.dump_all(kind, made))
    return Held(payload, _tags(kind, (one.__dict__ for one in made), labels))


def _tags(
    kind: schema.Schema, rows: Iterable[Mapping[str, Any]], labels: pd.Index[Any]
) -> list[tuple[str, ...]] | None:
    if not kind.tag_fields:
        return None
    found: list[tuple[str, ...]] = []
    for row in rows:
        try:
            found.append(kind.tags_of(row))
        except InputError as error:
            raise InputError(f"row {label(labels, len(found))!r}: {error}") from None
    return found


def _own_code_failed(
    kind: schema.Schema, data: list[dict[str, Any]], labels: pd.Index[Any], error: Exception
) -> InputError:
    """The error that names the first row on which a class's own code raised."""
    for i, row in enumerate(data):
        try:
            kind.from_rows([row], strict_fields=True)
        except Exception as one:
            told = f"{type(one).__name__}: {one}"
            return InputError(f"row {label(labels, i)!r}, {json_values.shown(row)}: {kind.cls.__name__} raised {told}")
    return InputError(f"{kind.cls.__name__} raised {type(error).__name__} on its rows together: {error}")

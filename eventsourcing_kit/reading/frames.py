"""Columns of pandas DataFrames: plain values to nullable types, microseconds to times, fields to names."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic_core import to_json

from eventsourcing_kit.records.moment import plain_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

TIME = "datetime64[us, UTC]"
# Else whether pyarrow is installed decides it, and with it the types of what is counted: see
# findings/pandas_counts_text_in_another_type_once_pyarrow_is_there.sh
TEXT = pd.StringDtype("python")
_NOTHING = {type(None), type(pd.NA)}
_EXACT_FLOAT = 1 << 53
NO_TIME = np.iinfo(np.int64).min


class JsonObject(dict[str, Any]):
    """A dict that is JSON wherever a table has only text for it: in CSV, and in SQLite's tables."""

    __slots__ = ()

    def __str__(self) -> str:
        return to_json(self).decode()

    def __conform__(self, _: object) -> str:  # by which SQLite asks what to store
        return str(self)


def column(values: Sequence[Any]) -> Any:
    """A pandas array of plain values, None for missing: Int64, Float64, boolean, string or times, else objects."""
    kinds = set(map(type, values))
    whole = kinds.isdisjoint(_NOTHING)
    kinds -= _NOTHING
    if kinds == {bool}:
        return pd.array(list(values), dtype="boolean")
    if kinds == {int} or kinds == {int, float} or kinds == {float}:
        return _numbers(values, kinds, whole)
    if kinds == {str}:
        return strings(objects(values if whole else [pd.NA if v is None else v for v in values]))
    if kinds and all(issubclass(kind, datetime) for kind in kinds):
        return _datetimes(values)
    return objects(values)


def objects(values: Sequence[Any]) -> Any:
    """A numpy array of the values as they are."""
    return np.fromiter(values, dtype=object, count=len(values))  # assignment would unpack lists


def _numbers(values: Sequence[Any], kinds: set[type], whole: bool) -> Any:
    missing, full = np.zeros(len(values), dtype=bool), list(values)
    if not whole:
        missing = np.fromiter((v is None or v is pd.NA for v in values), dtype=bool, count=len(values))
        full = [0 if gone else v for v, gone in zip(values, missing, strict=True)]
    if kinds == {int}:
        try:
            return pd.arrays.IntegerArray(np.array(full, dtype=np.int64), missing)
        except OverflowError:
            return objects(values)
    if int in kinds and any(type(v) is int and abs(v) > _EXACT_FLOAT for v in full):
        return objects(values)
    return pd.arrays.FloatingArray(np.array(full, dtype=np.float64), missing)


def _datetimes(values: Sequence[Any]) -> Any:
    if any(v is not None and v.utcoffset() is None for v in values):
        return objects(values)
    return times(np.array([NO_TIME if v is None else plain_us(v) for v in values], dtype=np.int64))


def times(us: Ints) -> Any:
    """Microseconds since 1970 UTC as `datetime64[us, UTC]`."""
    return pd.DatetimeIndex(us.view("datetime64[us]")).tz_localize("UTC").array


def strings(values: npt.NDArray[np.object_]) -> Any:
    """An object array of text (and NA) as pandas' nullable string."""
    return pd.array(values, dtype=TEXT)


def integers(values: Ints) -> Any:
    """Whole numbers as pandas' nullable Int64."""
    return pd.arrays.IntegerArray(np.ascontiguousarray(values, dtype=np.int64), np.zeros(len(values), dtype=bool))


def nullable(values: Sequence[int | None]) -> Any:
    """Whole numbers, None for missing, as pandas' nullable Int64."""
    return pd.array(list(values), dtype="Int64")


def field_names(fields: Iterable[Any], taken: Iterable[str], same: Callable[[str], str] = str) -> dict[Any, str]:
    """A column name a field: letters, digits and `_` only (Altair reads dots and colons), and none of `taken`.

    Those of `taken` get their prefix first, then each field that can keeps its own name: `a_b` is no other's column.
    Names count as one where `same` makes them equal, as `str.casefold` does for SQL.
    """
    plain = {one: re.sub(r"\W", "_", str(one)) or "_" for one in fields}
    reserved, names = set(map(same, taken)), {}
    used = set(reserved)
    for one in sorted(plain, key=lambda field: (same(str(field)) not in reserved, plain[field] != str(field))):
        name = f"data_{plain[one]}" if same(plain[one]) in reserved else plain[one]
        while same(name) in used:
            name += "_"
        used.add(same(name))
        names[one] = name
    return {one: names[one] for one in plain}

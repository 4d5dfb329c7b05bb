"""Cells of a foreign frame as plain JSON: numpy's and pandas' values as plain ones, times as ISO text."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values
from eventsourcing_kit.reading.frames import objects

if TYPE_CHECKING:
    import numpy.typing as npt


def where(values: pd.Series[Any], i: int) -> str:
    """Row and column of a cell, for an error."""
    return f"row {label(values.index, i)!r}, column {values.name!r}"


def label(index: pd.Index[Any], i: int) -> Any:
    """A row's label as people write it: 3, not np.int64(3)."""
    found = index[i]
    return found.item() if isinstance(found, np.generic) else found


def plain_column(values: pd.Series[Any]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """The column's cells as plain JSON, and which of them are there; raises `InputError` naming the cell."""
    if isinstance(values.dtype, pd.SparseDtype):
        values = values.astype(values.dtype.subtype)
    present = values.notna().to_numpy()
    dtype, plain = values.dtype, values.tolist()
    if pd.api.types.is_float_dtype(dtype) and np.isinf(values[present].to_numpy(dtype=float)).any():
        i = next(i for i, ok in enumerate(present) if ok and math.isinf(plain[i]))
        raise InputError(f"{where(values, i)} is {plain[i]!r}, which JSON cannot hold; replace or drop it")
    cells = objects(plain)
    if (dtype.kind != "c" and pd.api.types.is_numeric_dtype(dtype)) or _is_text(cells[present]):  # bool is a number
        return cells, present
    if pd.api.types.is_object_dtype(dtype):
        present = np.array([not missing(value) for value in plain], dtype=bool)
    for i in np.flatnonzero(present).tolist():
        cells[i] = _cell(values, i, plain[i])
    return cells, present


def _is_text(cells: npt.NDArray[np.object_]) -> bool:
    """Whether all cells are text that can be stored."""
    texts = cells.tolist()
    try:
        return set(map(type, texts)) == {str} and bool("".join(texts).encode() or True)
    except UnicodeEncodeError:  # a lone surrogate, in which of them will be found
        return False


def missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, NaT or NA."""
    return value is None or (type(value) is not str and pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _cell(values: pd.Series[Any], i: int, value: Any) -> Any:
    """A cell as plain JSON: numpy's and pandas' values as plain ones, times as ISO text."""
    if type(value) is str and value.isascii():
        return value
    try:
        return json_values.plain_json(_plain(value), "the value")
    except InputError as error:
        raise InputError(f"{where(values, i)} is {json_values.shown(value)}: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return _plain(pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value))
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (dt.date, dt.time)) and value is not pd.NaT:  # which calls itself one, and would become text
        return value.isoformat()
    if isinstance(value, dt.timedelta):  # pandas' is one
        return pd.Timedelta(value).isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal, pd.Interval, pd.Period)):
        return str(value)
    return value

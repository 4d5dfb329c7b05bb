"""A foreign log: a DataFrame's rows become drafts, recorded at their own times. Everything is checked first."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from eventsourcing_kit import schema
from eventsourcing_kit.errors import InputError
from eventsourcing_kit.moment import to_us
from eventsourcing_kit.record import Draft

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A frame's events in the order of their times, each with the time at which it was recorded."""

    drafts: list[Draft]
    times: list[int]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which of the frame's columns is what; every other column is payload."""

    stream: str
    type: str
    recorded_at: str
    occurred_at: str | None = None
    id: str | None = None

    def check(self, frame: object) -> None:
        """Raise `InputError` where the frame lacks one of the columns."""
        if not isinstance(frame, pd.DataFrame):
            raise InputError(f"load takes a pandas DataFrame, not {type(frame).__name__}")
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise InputError(f"the frame has the column {twice!r} twice; rename one of them")
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"two of the frame's columns would become the field {twice!r}; rename one of them")
        for name in names:
            schema.plain_json({name: None}, "the frame")
        for role in ("stream", "type", "recorded_at", "occurred_at", "id"):
            name = getattr(self, role)
            if name is not None and name not in frame.columns:
                raise InputError(f"{role}={name!r}: the frame has no such column; it has {list(frame.columns)}")

    @property
    def taken(self) -> set[str]:
        """The columns that are no payload."""
        return {self.stream, self.type, self.recorded_at} | {n for n in (self.occurred_at, self.id) if n is not None}


def from_frame(frame: pd.DataFrame, columns: Columns) -> Loaded:
    """Check every row and make its draft; raises `InputError` naming row, column and value."""
    columns.check(frame)
    labels = frame.index
    us = _times(frame[columns.recorded_at], labels)
    order = np.argsort(us, kind="stable")
    frame = frame.iloc[order]
    streams = _names(frame[columns.stream], "a stream")
    types = _names(frame[columns.type], "an event type")
    occurred = [None] * len(frame) if columns.occurred_at is None else _times(frame[columns.occurred_at]).tolist()
    own_ids = [None] * len(frame) if columns.id is None else _ids(frame[columns.id])
    data = _typed(types, _payload(frame, columns), frame.index)
    drafts = [
        Draft(stream, type_, version, row, own_id, occurred_us, None)
        for stream, type_, (version, row), own_id, occurred_us in zip(
            streams, types, data, own_ids, occurred, strict=True
        )
    ]
    return Loaded(drafts, us[order].tolist())


def _where(values: pd.Series[Any], i: int) -> str:
    return f"row {values.index[i]!r}, column {values.name!r}"


# -- the columns that every row needs ---------------------------------------------------------------------------------


def _names(values: pd.Series[Any], what: str) -> list[str]:
    """Stream or type names as text; whole numbers and categories are written as text."""
    plain = values.astype(object).tolist()
    checked: dict[Any, str] = {}
    for i, value in enumerate(plain):
        if type(value) is str and value in checked:
            continue
        text = str(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else value
        if _missing(text):
            raise InputError(f"{_where(values, i)} is missing; every row needs {what}")
        try:
            checked[value] = schema.check_name(text, what)
        except InputError as error:
            raise InputError(f"{_where(values, i)}: {error}") from None
    return [checked[value] for value in plain]


def _times(values: pd.Series[Any], labels: object = None) -> Ints:
    """Aware times as microseconds since 1970 UTC, finer ones floored."""
    missing = values.isna().to_numpy()
    if missing.any():
        raise InputError(f"{_where(values, int(missing.argmax()))} is missing; every row needs a time there")
    dtype = values.dtype
    if values.empty:
        return np.array([], dtype=np.int64)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _floored(pd.DatetimeIndex(values))
    if pd.api.types.is_datetime64_dtype(dtype):
        raise InputError(
            f"{_where(values, 0)} is {values.iloc[0]}, a time without a time zone; "
            f"say which it is: frame[{values.name!r}].dt.tz_localize('UTC')"
        )
    return np.array([_time(values, i, value) for i, value in enumerate(values.tolist())], dtype=np.int64)


def _floored(index: pd.DatetimeIndex) -> Ints:
    us: Ints = index.tz_convert("UTC").tz_localize(None).floor("us").as_unit("us").to_numpy().view(np.int64)
    return us


def _time(values: pd.Series[Any], i: int, value: Any) -> int:
    given = value
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise InputError(f"{_where(values, i)} is {given!r}, which is no ISO time") from None
    if isinstance(value, pd.Timestamp):
        value = (value if value.tzinfo is None else value.tz_convert("UTC")).floor("us").to_pydatetime(warn=False)
    if not isinstance(value, dt.datetime):
        raise InputError(f"{_where(values, i)} is {given!r}, which is no time; convert it: pd.to_datetime(…, utc=True)")
    if value.utcoffset() is None:
        raise InputError(
            f"{_where(values, i)} is {str(given)!r}, a time without an offset; convert it: pd.to_datetime(…, utc=True)"
        )
    return to_us(value)


def _ids(values: pd.Series[Any]) -> list[uuid.UUID]:
    found: dict[uuid.UUID, int] = {}
    for i, value in enumerate(values.tolist()):
        try:
            one = value if isinstance(value, uuid.UUID) else uuid.UUID(value)
        except (ValueError, AttributeError, TypeError):
            raise InputError(f"{_where(values, i)} is {value!r}, which is no UUID") from None
        if one in found:
            raise InputError(f"{_where(values, i)} is {str(one)!r}, which an earlier row has too; ids are unique")
        found[one] = i
    return list(found)


# -- payload ----------------------------------------------------------------------------------------------------------


def _payload(frame: pd.DataFrame, columns: Columns) -> list[dict[str, Any]]:
    """One dict a row; a missing cell is left out."""
    rows: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    for name in frame.columns:
        if name not in columns.taken:
            _fill(rows, frame[name])
    return rows


def _fill(rows: list[dict[str, Any]], values: pd.Series[Any]) -> None:
    field = str(values.name)
    if isinstance(values.dtype, pd.SparseDtype):
        values = values.astype(values.dtype.subtype)
    present = values.notna().to_numpy()
    plain = values.tolist()
    is_object = values.dtype == object
    if pd.api.types.is_float_dtype(values.dtype) and np.isinf(values[present].to_numpy(dtype=float)).any():
        i = next(i for i, ok in enumerate(present) if ok and math.isinf(plain[i]))
        raise InputError(f"{_where(values, i)} is {plain[i]!r}, which JSON cannot hold; replace or drop it")
    simple = not is_object and (pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype))
    for i in np.flatnonzero(present).tolist() if not is_object else range(len(plain)):
        value = plain[i]
        if simple or not _missing(value):
            rows[i][field] = value if simple else _cell(values, i, value)


def _missing(value: Any) -> bool:
    return value is None or (type(value) is not str and pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _cell(values: pd.Series[Any], i: int, value: Any) -> Any:
    """A cell as plain JSON: numpy's and pandas' values as plain ones, times as ISO text."""
    if type(value) is str and value.isascii():
        return value
    try:
        return schema.plain_json(_plain(value), "the value")
    except InputError as error:
        raise InputError(f"{_where(values, i)} is {value!r}: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value).isoformat()
    if isinstance(value, np.timedelta64):
        return str(pd.Timedelta(value))
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (dt.datetime, dt.date, dt.time, pd.Period)):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if isinstance(value, pd.Timedelta):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal, dt.timedelta, pd.Interval)):
        return str(value)
    return value


def _typed(types: list[str], rows: list[dict[str, Any]], labels: pd.Index[Any]) -> list[tuple[int, dict[str, Any]]]:
    """Schema version and data of each row; the rows of a registered type are held to its class."""
    found: list[tuple[int, dict[str, Any]]] = [(1, row) for row in rows]
    for name in dict.fromkeys(types):
        kind = schema.registered(name)
        if kind is not None:
            at = [i for i, type_ in enumerate(types) if type_ == name]
            for i, row in zip(at, _held_to(kind, [rows[i] for i in at], [labels[i] for i in at]), strict=True):
                found[i] = (kind.version, row)
    return found


def _held_to(kind: schema.Schema, rows: list[dict[str, Any]], labels: list[Any]) -> list[dict[str, Any]]:
    try:
        objects = kind.from_rows(rows, strict_fields=True)
    except ValidationError as error:
        first = error.errors()[0]
        at, *path = first["loc"]
        raise InputError(
            f"row {labels[int(at)]!r}, field {'.'.join(map(str, path))!r} is {first['input']!r}, "
            f"which does not fit the class {kind.cls.__name__} of its type {kind.name!r}: {first['msg']}"
        ) from None
    return schema.dump_all(kind, objects)

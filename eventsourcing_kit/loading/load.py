"""A foreign log: a DataFrame's rows become events, recorded at their own times. Everything is checked first."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import dumping, json_values, schema
from eventsourcing_kit.loading.cells import label, missing, plain_column, where
from eventsourcing_kit.records.moment import FIRST_US, LAST_US, OUT_OF_RANGE, plain_us
from eventsourcing_kit.records.rows import Rows, Shape, coded

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_TOO_EARLY, _TOO_LATE = np.datetime64("0000-12-31", "s"), np.datetime64("10000-01-01", "s")
_CURE = "convert the column: pd.to_datetime(…, utc=True)"


@dataclass(frozen=True, slots=True)
class _Group:
    """The frame's events of one shape, and where they stand."""

    shape: Shape
    at: Ints


@dataclass(frozen=True, slots=True)
class Loaded:
    """A frame's events as columns, in the order of their times, each with the time at which it was recorded."""

    times: list[int]
    streams: list[str]
    stream_codes: Ints
    groups: list[_Group]
    group_codes: Ints
    ids: list[uuid.UUID]
    occurred_us: list[int]

    def __len__(self) -> int:
        return len(self.times)

    def rows(self, start: int, stop: int) -> Rows:
        """The events from `start` up to but excluding `stop`."""
        stream_codes, streams = pd.factorize(self.stream_codes[start:stop])
        shape_codes, groups = pd.factorize(self.group_codes[start:stop])
        return Rows(
            [self.streams[code] for code in streams.tolist()],
            stream_codes.tolist(),
            [_part(self.groups[code], start, stop) for code in groups.tolist()],
            shape_codes.tolist(),
            dict(enumerate(self.ids[start:stop])),
            dict(enumerate(self.occurred_us[start:stop])),
        )


def _part(group: _Group, start: int, stop: int) -> Shape:
    low, high = np.searchsorted(group.at, (start, stop)).tolist()
    shape = group.shape
    return Shape(shape.type, shape.schema_version, shape.fields, [values[low:high] for values in shape.columns])


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
            raise InputError(
                f"load takes a pandas DataFrame, not {type(frame).__name__}; "
                "make one: pd.read_csv(path), or pd.DataFrame(rows)"
            )
        if frame.columns.nlevels > 1:
            raise InputError(
                f"the frame's columns have {frame.columns.nlevels} levels, as in {frame.columns[:1].tolist()}; "
                "flatten them: frame.columns = ['_'.join(map(str, names)) for names in frame.columns]"
            )
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise InputError(f"the frame has the column {twice!r} twice; rename one of them")
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"two of the frame's columns would become the field {twice!r}; rename one of them")
        for name in names:
            json_values.plain_json({name: None}, "the frame")
        for role in ("stream", "type", "recorded_at", "occurred_at", "id"):
            name = getattr(self, role)
            if name is not None and name not in frame.columns:
                cure = "; it is in the index: frame.reset_index()" if name in frame.index.names else ""
                raise InputError(f"{role}={name!r}: the frame has no such column; it has {list(frame.columns)}{cure}")

    @property
    def taken(self) -> set[str]:
        """The columns that are no payload."""
        return {self.stream, self.type, self.recorded_at} | {n for n in (self.occurred_at, self.id) if n is not None}


def from_frame(frame: pd.DataFrame, columns: Columns) -> Loaded:
    """Check every row; raises `InputError` naming row, column and value."""
    columns.check(frame)
    us = _times(frame[columns.recorded_at])
    order = np.argsort(us, kind="stable")
    frame = frame.iloc[order]
    streams, stream_codes = coded(_names(frame[columns.stream], "a stream"))
    types, type_codes = coded(_names(frame[columns.type], "an event type"))
    occurred = [] if columns.occurred_at is None else _times(frame[columns.occurred_at]).tolist()
    own_ids = [] if columns.id is None else _ids(frame[columns.id])
    groups = _groups(frame, columns, types, np.array(type_codes, dtype=np.int64))
    group_codes = np.empty(len(frame), dtype=np.int64)
    for code, group in enumerate(groups):
        group_codes[group.at] = code
    return Loaded(us[order].tolist(), streams, np.array(stream_codes), groups, group_codes, own_ids, occurred)


# -- the columns that every row needs ---------------------------------------------------------------------------------


def _names(values: pd.Series[Any], what: str) -> list[str]:
    """Stream or type names as text; whole numbers and categories are written as text."""
    plain = values.astype(object).tolist()
    checked: dict[Any, str] = {}
    for i, value in enumerate(plain):
        if type(value) is str and value in checked:
            continue
        text = str(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else value
        if missing(text):
            raise InputError(f"{where(values, i)} is missing; every row needs {what}; {_left_out(values)}")
        try:
            checked[value] = json_values.check_name(text, what)
        except InputError as error:
            raise InputError(f"{where(values, i)}: {error}") from None
    return [checked[value] for value in plain]


def _left_out(values: pd.Series[Any]) -> str:
    """How rows without a value there are left out."""
    return f"to load the others: frame.dropna(subset=[{values.name!r}])"


def _times(values: pd.Series[Any]) -> Ints:
    """Aware times as microseconds since 1970 UTC, finer ones floored."""
    us = _microseconds(values)
    out = (us < FIRST_US) | (us > LAST_US)
    if out.any():
        i = int(out.argmax())
        raise InputError(f"{where(values, i)} is {str(values.iloc[i])!r}, which {OUT_OF_RANGE}")
    return us


def _microseconds(values: pd.Series[Any]) -> Ints:
    missing = values.isna().to_numpy()
    if missing.any():
        at = where(values, int(missing.argmax()))
        raise InputError(f"{at} is missing; every row needs a time there; {_left_out(values)}")
    dtype = values.dtype
    if values.empty:
        return np.array([], dtype=np.int64)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _floored(pd.DatetimeIndex(values))
    if pd.api.types.is_datetime64_dtype(dtype):
        raise InputError(
            f"{where(values, 0)} is {values.iloc[0]}, a time without a time zone; "
            f"say which it is: frame[{values.name!r}].dt.tz_localize('UTC')"
        )
    return np.array([_time(values, i, value) for i, value in enumerate(values.tolist())], dtype=np.int64)


def _floored(index: pd.DatetimeIndex) -> Ints:
    times = index.tz_convert("UTC").tz_localize(None).floor("us")
    if times.unit in ("s", "ms"):  # whose range is wider than that of microseconds
        times = pd.DatetimeIndex(np.clip(times.to_numpy(), _TOO_EARLY, _TOO_LATE))
    us: Ints = times.as_unit("us").to_numpy().view(np.int64)
    return us


def _time(values: pd.Series[Any], i: int, value: Any) -> int:
    given = value
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise InputError(f"{where(values, i)} is {given!r}, which is no ISO time; {_CURE}") from None
    if not isinstance(value, dt.datetime):
        raise InputError(f"{where(values, i)} is {given!r}, which is no time; {_CURE}")
    if value.utcoffset() is None:
        raise InputError(f"{where(values, i)} is {str(given)!r}, a time without an offset; {_CURE}")
    return plain_us(value)


def _ids(values: pd.Series[Any]) -> list[uuid.UUID]:
    found: dict[uuid.UUID, int] = {}
    for i, value in enumerate(values.tolist()):
        if missing(value):
            raise InputError(f"{where(values, i)} is missing; every row needs an id there")
        try:
            one = value if isinstance(value, uuid.UUID) else uuid.UUID(value)
        except (ValueError, AttributeError, TypeError):
            raise InputError(f"{where(values, i)} is {value!r}, which is no UUID") from None
        if one in found:
            raise InputError(f"{where(values, i)} is {str(one)!r}, which an earlier row has too; ids are unique")
        found[one] = i
    return list(found)


# -- payload ----------------------------------------------------------------------------------------------------------


def _groups(frame: pd.DataFrame, columns: Columns, types: list[str], type_codes: Ints) -> list[_Group]:
    """The rows by their shapes: type and the payload's cells that are there; a missing cell is left out."""
    payload = {str(name): plain_column(frame[name]) for name in frame.columns if name not in columns.taken}
    codes = type_codes
    for _, present in payload.values():
        if not present.all():
            codes = np.unique(codes * 2 + present, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []
    groups = []
    for at in parts:
        fields = tuple(name for name, (_, present) in payload.items() if present[at[0]])
        shape = Shape(types[type_codes[at[0]]], 1, fields, [payload[name][0][at] for name in fields])
        groups += _typed(_Group(shape, at), frame.index)
    return [_Group(_listed(group.shape), group.at) for group in groups]


def _listed(shape: Shape) -> Shape:
    return Shape(shape.type, shape.schema_version, shape.fields, [_list(values) for values in shape.columns])


def _list(values: Any) -> list[Any]:
    found: list[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    return found


def _typed(group: _Group, labels: pd.Index[Any]) -> list[_Group]:
    """The group, held to its type's class where one is registered."""
    shape = group.shape
    kind = schema.registered(shape.type)
    if kind is None:
        return [group]
    rows = [dict(zip(shape.fields, values, strict=True)) for values in zip(*shape.columns, strict=True)]
    rows = _held_to(kind, rows or [{} for _ in group.at], [label(labels, i) for i in group.at.tolist()])
    shapes, codes = coded([tuple(row) for row in rows])
    found = []
    for code, fields in enumerate(shapes):
        inside = [i for i, own in enumerate(codes) if own == code]
        values = [[rows[i][name] for i in inside] for name in fields]
        found.append(_Group(Shape(shape.type, kind.version, fields, values), group.at[inside]))
    return found


def _held_to(kind: schema.Schema, rows: list[dict[str, Any]], labels: list[Any]) -> list[dict[str, Any]]:
    try:
        objects = kind.from_rows(rows, strict_fields=True)
    except ValidationError as error:
        first = error.errors()[0]
        at, *path = first["loc"]
        value = "is missing" if first["type"] == "missing" else f"is {first['input']!r}"
        raise InputError(
            f"row {labels[int(at)]!r}, field {'.'.join(map(str, path))!r} {value}, "
            f"which does not fit the class {kind.cls.__name__} of its type {kind.name!r}: {first['msg']}"
        ) from None
    return dumping.dump_all(kind, objects)

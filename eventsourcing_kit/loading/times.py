"""A foreign frame's column of times as microseconds of UTC. What may mean several times is refused, not guessed."""

from __future__ import annotations

import datetime as dt
import math
import numbers
import re
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import time_text
from eventsourcing_kit.loading.cells import where
from eventsourcing_kit.records.moment import FIRST_US, LAST_US, OUT_OF_RANGE, from_us, plain_us

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # of a unit; "ns" is finer
_NANOSECONDS = 1_000  # of a microsecond
_INT64 = np.iinfo(np.int64).max
_DAY_US = 86_400_000_000
_DAY_AND_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[T ]+(\d{1,2})(:.*))?")
_NUMBER = re.compile(r"(?!\d{8}$)[+-]?\d+(\.\d+)?")  # eight digits are a date
_END_OF_DAY = re.compile(r"(.+[T ])24(:?00(?::?00(?:[.,]0+)?)?(?:[Z+-].*)?)")
_LEAP_SECOND = re.compile(r".+:\d\d:60(?:[.,]\d+)?(?=$|[Z+-])")
_FINER = re.compile(r"[.,]\d{6}(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Times:
    """How a frame writes times: the `unit` of numbers since 1970 ("s", "ms", "us" or "ns"), the time zone `tz` of those
    without an offset, and whether the day comes first, as in 31/12/2025 (`dayfirst`).
    """

    unit: str | None = None
    tz: str | dt.tzinfo | None = None
    dayfirst: bool | None = None

    def __post_init__(self) -> None:
        if self.unit not in (None, "ns", *_MICROSECONDS):
            raise InputError(f"unit is {self.unit!r}; give 's', 'ms', 'us' or 'ns', whatever the numbers count")
        if self.dayfirst not in (None, True, False):
            raise InputError(f"dayfirst is {self.dayfirst!r}; give True for 31/12/2025, False for 12/31/2025")
        if isinstance(self.tz, str):
            try:
                zoneinfo.ZoneInfo(self.tz)
            except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
                raise InputError(f"tz is {self.tz!r}, which is no time zone; give 'UTC' or 'Europe/Berlin'") from None
        elif not (self.tz is None or isinstance(self.tz, dt.tzinfo)):
            raise InputError(f"tz is {self.tz!r}; give a time zone: 'UTC' or 'Europe/Berlin'")

    def read(self, values: pd.Series[Any]) -> tuple[Ints, Ints]:
        """Microseconds since 1970 UTC, and the nanoseconds beyond; raises `InputError` naming row, column and value."""
        gone = values.isna().to_numpy()
        if gone.any():
            at = where(values, int(gone.argmax()))
            raise InputError(f"{at} is missing; every row needs a time there; {left_out(values)}")
        us, finer = self._read(values)
        out = (us < FIRST_US) | (us > LAST_US)
        if out.any():
            i = int(out.argmax())
            raise InputError(f"{where(values, i)} is {str(values.iloc[i])!r}, which {OUT_OF_RANGE}")
        return us, finer

    def _read(self, values: pd.Series[Any]) -> tuple[Ints, Ints]:
        dtype = values.dtype
        if isinstance(dtype, pd.DatetimeTZDtype):
            return _stamps(pd.DatetimeIndex(values))
        if pd.api.types.is_datetime64_dtype(dtype):
            us, finer = _stamps(pd.DatetimeIndex(values))
            return self._in_zone(values, us, np.arange(len(us))), finer
        if pd.api.types.is_numeric_dtype(dtype) and dtype.kind in "iuf":
            is_whole = dtype.kind != "f" and (values <= _INT64).all()
            return self._numbers(values, values.to_numpy(dtype=np.int64 if is_whole else np.float64))
        return self._one_by_one(values)

    def _numbers(self, values: pd.Series[Any], given: Any) -> tuple[Ints, Ints]:
        if self.unit is None and len(given):
            raise _wants_unit(values, 0, given[0].item())
        if self.unit == "ns":
            us = given // _NANOSECONDS
            return np.clip(us, FIRST_US - 1, LAST_US + 1).astype(np.int64), (given - us * _NANOSECONDS).astype(np.int64)
        a_unit = _MICROSECONDS[self.unit or "us"]
        whole = np.clip(
            np.floor(given) if given.dtype.kind == "f" else given, FIRST_US // a_unit - 1, LAST_US // a_unit + 1
        )
        parts = np.rint(np.clip(given - whole, 0, 1) * a_unit)  # of floats, whose last digits are none
        return whole.astype(np.int64) * a_unit + parts.astype(np.int64), np.zeros(len(given), dtype=np.int64)

    def _one_by_one(self, values: pd.Series[Any]) -> tuple[Ints, Ints]:
        found = [self._one(values, i, value) for i, value in enumerate(values.tolist())]
        us, finer, local = np.array(found, dtype=np.int64).reshape(-1, 3).T.copy()
        at = np.flatnonzero(local)
        us[at] = self._in_zone(values, us[at], at)
        return us, finer

    def _one(self, values: pd.Series[Any], i: int, value: Any) -> tuple[int, int, bool]:
        """Microseconds, nanoseconds beyond them, and whether they are of a clock whose time zone isn't said."""
        later = finer = 0
        if isinstance(value, str):
            if value[4:5] != "-" and _NUMBER.fullmatch(value):
                value = float(value) if "." in value else int(value)
            else:
                value, later, finer = self._text(values, i, value)
        elif isinstance(value, np.datetime64):
            value = pd.Timestamp(value)
        if isinstance(value, dt.datetime):
            is_local = value.utcoffset() is None
            us = plain_us(value.replace(tzinfo=dt.UTC) if is_local else value)
            return us + later, getattr(value, "nanosecond", finer), is_local
        if isinstance(value, dt.date):
            return plain_us(dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)), 0, True
        if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)) or not math.isfinite(value):
            raise InputError(f"{where(values, i)} is {shown(value)}, which is no time; {_convert(values)}")
        if self.unit is None:
            raise _wants_unit(values, i, value)
        number = np.array([int(value) if isinstance(value, numbers.Integral) else float(value)])
        (us,), (finer,) = self._numbers(values, number if number.dtype.kind in "if" else number.astype(float))
        return int(us), int(finer), False

    def _text(self, values: pd.Series[Any], i: int, text: str) -> tuple[dt.datetime, int, int]:
        """The time, microseconds to be added to it, and nanoseconds."""
        later = 0
        try:
            time = dt.datetime.fromisoformat(text)
        except ValueError:
            written = self._iso(values, i, text)
            end_of_day = _END_OF_DAY.fullmatch(written)
            if end_of_day:
                written, later = f"{end_of_day[1]}00{end_of_day[2]}", _DAY_US
            try:
                time = dt.datetime.fromisoformat(written)
            except ValueError:
                raise InputError(f"{where(values, i)} is {text!r}, which is no ISO time; {_convert(values)}") from None
        finer = _FINER.search(text) if len(text) > 26 else None
        return time, later, int(finer[1].ljust(3, "0")) if finer else 0

    def _iso(self, values: pd.Series[Any], i: int, text: str) -> str:
        """A day and a month in either order as ISO text; raises where that says nothing, or too much."""
        at = where(values, i)
        if _LEAP_SECOND.match(text):
            column = f"frame[{values.name!r}]"
            raise InputError(
                f"{at} is {text!r}, a leap second, which no clock here has; take the moment before: {column} = "
                f"{column}.str.replace(r':60([.,]\\d+)?(?=$|[Z+-])', ':59.999999', regex=True)"
            )
        found = _DAY_AND_MONTH.fullmatch(text.strip())
        if found is None:
            return text
        a, _, b, year, hour, rest = found.groups()
        if self.dayfirst is None:
            orders = {"True": (b, a), "False": (a, b)}
            would_be = [
                f"dayfirst={order} takes it for {year}-{month:0>2}-{day:0>2}"
                for order, (month, day) in orders.items()
                if int(month) <= 12
            ]
            raise InputError(
                f"{at} is {text!r}, whose day and month stand in either order; say which comes first: "
                + (", ".join(would_be) or "it has no month")
            )
        day, month = (a, b) if self.dayfirst else (b, a)
        if int(month) > 12:
            raise InputError(
                f"{at} is {text!r}, which has no month {month} with dayfirst={self.dayfirst}; set it right"
            )
        return f"{year}-{month:0>2}-{day:0>2}" + ("" if hour is None else f"T{hour:0>2}{rest}")

    def _in_zone(self, values: pd.Series[Any], us: Ints, at: Ints) -> Ints:
        """Microseconds on the zone's clocks as those of UTC; `at` says in which rows they stand."""
        if not len(us):
            return us
        if self.tz is None:
            value = str(values.iloc[at[0]])
            raise InputError(
                f"{where(values, int(at[0]))} is {value!r}, a time without a time zone or offset; say which zone it is "
                "of: tz='UTC', or tz='Europe/Berlin'"
            )
        naive = pd.DatetimeIndex(np.clip(us, FIRST_US, LAST_US).view("datetime64[us]"))
        aware = naive.tz_localize(self.tz, ambiguous="NaT", nonexistent="NaT")
        if aware.isna().any():
            i = int(aware.isna().argmax())
            raise self._off_the_clock(values, int(at[i]), naive[i : i + 1], len(at) < values.notna().sum())
        return np.where((us < FIRST_US) | (us > LAST_US), us, aware.tz_convert("UTC").asi8)

    def _off_the_clock(self, values: pd.Series[Any], i: int, naive: pd.DatetimeIndex, is_mixed: bool) -> InputError:
        """`is_mixed`: some rows say their offset, and no call of pandas' converts both kinds."""
        twice = naive.tz_localize(self.tz, ambiguous="NaT", nonexistent="shift_forward").isna()[0]
        name, zone, value = repr(values.name), str(self.tz), values.iloc[i]
        if is_mixed:
            taken = naive.tz_localize(self.tz, ambiguous=np.array([True]), nonexistent="shift_forward")[0].isoformat()
            found = repr(value) if isinstance(value, str) else f"pd.Timestamp({str(value)!r})"
            cure = f"write it with its offset: frame.loc[frame[{name}] == {found}, {name}] = {taken!r}"
        else:
            written = "" if values.dtype.kind == "M" else ", format='mixed'"
            written += ", dayfirst=True" if self.dayfirst else ""
            cure = (
                f"set it right, or decide for all such rows: frame[{name}] = pd.to_datetime(frame[{name}]{written})"
                f".dt.tz_localize({zone!r}, ambiguous=True, nonexistent='shift_forward')"
            )
        return InputError(
            f"{where(values, i)} is {str(value)!r}, which {'exists twice' if twice else 'does not exist'} in {zone}, "
            f"where clocks were set {'back' if twice else 'forward'} then; {cure} takes "
            f"{'the earlier of the two' if twice else 'the next time that there is'}"
        )


def left_out(values: pd.Series[Any]) -> str:
    """How rows without a value there are left out."""
    return f"to load the others: frame.dropna(subset=[{values.name!r}])"


def _stamps(index: pd.DatetimeIndex) -> tuple[Ints, Ints]:
    """A column of times as whole microseconds and the nanoseconds beyond; zones aside, of UTC."""
    counted = index.asi8
    if index.unit == "ns":
        return counted // _NANOSECONDS, counted % _NANOSECONDS
    a_unit = _MICROSECONDS[index.unit]  # of s and ms, whose range is wider than that of microseconds
    return np.clip(counted, FIRST_US // a_unit - 1, LAST_US // a_unit + 1) * a_unit, np.zeros_like(counted)


def _wants_unit(values: pd.Series[Any], i: int, value: Any) -> InputError:
    would_be = []
    for unit, a_unit in (*_MICROSECONDS.items(), ("ns", 1 / _NANOSECONDS)):
        us = value * a_unit
        if FIRST_US <= us <= LAST_US:
            would_be.append(f"unit={unit!r} takes it for {time_text(from_us(int(us)))}")
    return InputError(
        f"{where(values, i)} is {value!r}, a number; say what it counts since 1970: {', '.join(would_be) or 'unit=…'}"
    )


def _convert(values: pd.Series[Any]) -> str:
    name = repr(values.name)
    return (
        f"convert the column by its format: frame[{name}] = pd.to_datetime(frame[{name}], format='%d %b %Y %H:%M'), "
        "and say its zone with tz='UTC', or another"
    )

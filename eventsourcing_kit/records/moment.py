"""Moments: whatever names one place in the log, and times as whole microseconds of UTC."""

from __future__ import annotations

import numbers
import operator
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, MomentError

if TYPE_CHECKING:
    from typing import Protocol, TypeAlias

    from eventsourcing_kit.events.event import RecordedEvent

    class Recorded(Protocol):
        """What an append or a command left behind: a receipt."""

        store_id: uuid.UUID | None

        @property
        def position(self) -> int:
            """The last position that it left behind."""
            ...

    Moment: TypeAlias = "int | datetime | str | uuid.UUID | RecordedEvent | Recorded"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FIRST_US = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
LAST_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_CURE = "write a position (7), a time with its offset ('2026-01-05T12:00:00Z'), or an event's id"
OUT_OF_RANGE = "lies outside the years 1 to 9999 of UTC; no such time can be stored"


class TimePoint(int):
    """A time in microseconds since 1970 UTC; a plain int beside it is a position."""


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 UTC; finer times (a pandas Timestamp's nanoseconds) are floored."""
    return (moment - EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """The inverse of `to_us`: an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=us)


def aware_us(value: object, what: str) -> int:
    """Microseconds of an aware datetime; `what` names the value in the error."""
    if type(value) is datetime and value.tzinfo is UTC:
        return (value - EPOCH) // _MICROSECOND
    if not isinstance(value, datetime) or value != value:  # NaT calls itself a datetime, and differs from itself
        raise InputError(f"{what} must be an aware datetime, not {value!r}")
    if value.utcoffset() is None:
        raise InputError(f"{what} {value.isoformat()!r} has no time zone; add one, for example tzinfo=UTC")
    us = plain_us(value)
    if not FIRST_US <= us <= LAST_US:
        raise InputError(f"{what} {value.isoformat()!r} {OUT_OF_RANGE}")
    return us


def parse(moment: object) -> int | TimePoint | uuid.UUID:
    """Sort a moment into a position (int), a `TimePoint` or an id; raises `MomentError` with what to write instead."""
    if hasattr(moment, "store_id"):  # an event, a receipt: what was recorded stands at a position
        return operator.index(moment.position)  # type: ignore[attr-defined]  # they all have one
    if isinstance(moment, uuid.UUID):
        return moment
    if isinstance(moment, str):
        return _parse_text(moment)
    if isinstance(moment, datetime):
        return _parse_time(moment, repr(str(moment)))
    if isinstance(moment, date):
        raise MomentError(f"the bare date {moment} names no moment; write '{moment}T00:00:00Z' or another time of it")
    if isinstance(moment, numbers.Integral) and not isinstance(moment, bool):
        return int(moment)
    raise MomentError(f"{moment!r} names no moment; {_CURE}")


def _parse_text(text: str) -> TimePoint | uuid.UUID:
    if _UUID_TEXT.fullmatch(text):
        return uuid.UUID(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError(f"{text!r} names no moment; {_CURE}") from None
    if len(text) <= 10 and ":" not in text and "T" not in text.upper():
        raise MomentError(f"the bare date {text!r} names no moment; write '{text}T00:00:00Z' or another time of it")
    return _parse_time(time, repr(text))


def _parse_time(time: datetime, shown: str) -> TimePoint:
    if time != time:
        raise MomentError(f"{time!r} (no time at all) names no moment; {_CURE}")
    if time.utcoffset() is None:
        raise MomentError(
            f"the time {shown} has no offset, so it names no moment; add one: '{time.isoformat()}Z' for UTC"
        )
    return TimePoint(plain_us(time))


def plain_us(time: datetime) -> int:
    """Microseconds of an aware datetime or pandas Timestamp; `FIRST_US - 1` and `LAST_US + 1` stand for all beyond."""
    if type(time) is datetime:
        return to_us(time)
    if not 1 <= time.year <= 9999:  # a Timestamp's years go further
        return FIRST_US - 1 if time.year < 1 else LAST_US + 1
    # as datetime: subtraction would bring pandas' own timedelta, with its own range
    return to_us(
        datetime(
            time.year, time.month, time.day, time.hour, time.minute, time.second, time.microsecond,
            tzinfo=time.tzinfo, fold=time.fold,
        )
    )  # fmt: skip

"""Waiting until a store, and those who follow it, have come to a position."""

from __future__ import annotations

import numbers
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from eventsourcing_kit.errors import InputError, LaggardError
from eventsourcing_kit.following.parked import error_text
from eventsourcing_kit.following.subscriber import POLL_SECONDS
from eventsourcing_kit.log.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventsourcing_kit.following.subscriber import Subscriber
    from eventsourcing_kit.log.log import Log


class Laggard(NamedTuple):
    """Who has not come far enough: its name, its position, how many events it is behind, and its error, if any."""

    name: str
    position: int
    behind: int
    error: BaseException | None


def check_timeout(timeout: object) -> float | None:
    """`timeout`, if it is a number of seconds, or None for ever."""
    if timeout is None:
        return None
    if isinstance(timeout, numbers.Real) and not isinstance(timeout, bool) and float(timeout) >= 0:
        return float(timeout)
    raise InputError(f"timeout is {timeout!r}; give a number of seconds, or None to wait for ever")


def check_position(log: Log, position: object) -> int:
    """The number of a position, or of the position that an event or a receipt of this log has."""
    log.check_store(position)
    position = getattr(position, "position", position)
    if isinstance(position, numbers.Integral) and not isinstance(position, bool) and int(position) >= 0:
        return int(position)
    raise InputError(f"{position!r} is no position to wait for; give a whole number, an event or a receipt")


def wait_until(log: Log, subscribers: Sequence[Subscriber], position: int, timeout: float | None) -> None:
    """Return when the log is known up to `position` and every subscriber has handled it.

    Raises `LaggardError` after `timeout` seconds, or as soon as a laggard has ended and so will never come.
    """
    others = [one for one in subscribers if not one.is_own_thread]
    until = None if timeout is None else monotonic() + timeout
    wakeup = Wakeup()
    log.wakeups.add(wakeup)
    for one in others:
        one.delivery.wake_when(position, wakeup)
    try:
        while True:
            log.refresh()
            behind = [one for one in others if one.delivery.position < position]
            if not behind and log.head.last >= position:
                return
            hopeless = any(one.ended.is_set() for one in behind)
            left = float("inf") if until is None else until - monotonic()
            if hopeless or left <= 0:
                raise _laggards(log, behind, position, None if hopeless else timeout)
            poll = POLL_SECONDS if log.read_only else float("inf")
            pause = min(left, poll)
            wakeup.wait(None if pause == float("inf") else pause)
    finally:
        log.wakeups.remove(wakeup)
        for one in others:
            one.delivery.wake_no_more(wakeup)


def _laggards(log: Log, behind: list[Subscriber], position: int, timeout: float | None) -> LaggardError:
    found = [Laggard(one.label, at, position - at, one.error) for one in behind for at in (one.delivery.position,)]
    told = [_told(one, laggard) for one, laggard in zip(behind, found, strict=True)]
    if log.head.last < position:
        found.append(Laggard("the store", log.head.last, position - log.head.last, None))
        told.append(f"the store itself is known up to position {log.head.last}, {position - log.head.last} behind")
    when = "will not be reached" if timeout is None else f"was not reached within {timeout:g} s"
    error = LaggardError(f"position {position} {when}: {'; '.join(told)}", position, found)
    error.__cause__ = next((one.error for one in found if one.error is not None), None)
    return error


def _told(one: Subscriber, laggard: Laggard) -> str:
    told = f"{laggard.name} stands at position {laggard.position}, {laggard.behind} behind"
    if one.error is not None:
        at = "" if one.failed_at is None else f" at position {one.failed_at}"
        return f"{told}, because it failed{at} ({error_text(one.error)})"
    return f"{told}, because it is stopped ({one.reason})" if one.ended.is_set() else told

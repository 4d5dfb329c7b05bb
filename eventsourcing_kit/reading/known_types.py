"""Event types that are asked for by name: an unknown one is refused, or, where it may come yet, hinted at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import hints, renames, schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.log.log import Log

_LIKE = 0.85  # how much alike names are of which one is probably a slip
_ever: set[str] = set()  # the types of events that were read in this process, of any log


def check(log: Log, asked: Iterable[str] | None) -> None:
    """Refuse a name that no class has and no event of the log."""
    for name in _unknown(log, asked or (), look=True):
        near = [repr(one) for one in hints.nearest(name, _known(log))]
        meant = f"did you mean {' or '.join(near)}?" if near else "store.types() lists the types that are stored"
        raise InputError(f"there is no event type {name!r}: no class has that name, and no event of this log; {meant}")


def hint(log: Log, asked: Iterable[str] | None, who: str, *, look: bool = False) -> None:
    """Warn, once, where a name is unknown and nearly a known one's; `look` through the log for those it holds."""
    for name in _unknown(log, asked or (), look=look):
        near = [] if name in _ever else hints.nearest(name, _known(log), _LIKE)
        if near:
            hints.warn_once(
                f"{who} waits for events of type {name!r}, which no class has and no event that was read; "
                f"did you mean {near[0]!r}?"
            )


def saw(log: Log, types: Iterable[str]) -> None:
    """Remember the types of events that were read, by the names that they are stored under."""
    seen = set(types)
    if not log.types_seen.issuperset(seen):
        log.types_seen |= seen
        _ever.update(seen)


def _known(log: Log) -> set[str]:
    return {one.name for one in schema.every()} | {renames.current(name) for name in log.types_seen}


def _unknown(log: Log, asked: Iterable[str], *, look: bool) -> list[str]:
    """The names that neither a class has nor an event, as far as that is known, or as a `look` tells."""
    names = [name for name in asked if schema.registered(renames.current(name)) is None]
    unseen = _unseen(log, names)
    if look and unseen and log.types_seen_upto < log.head.last:
        for commit in log.commits(log.types_seen_upto, log.head.last):
            saw(log, (shape.type for shape in commit.shapes))
            log.types_seen_upto = commit.last
            if not (unseen := _unseen(log, names)):
                break
    return unseen


def _unseen(log: Log, names: list[str]) -> list[str]:
    seen = {renames.current(name) for name in log.types_seen} if names else set()
    return [name for name in names if renames.current(name) not in seen]

"""Event types that are asked for by name: an unknown one is refused, or, where it may come yet, hinted at."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError, SchemaError
from eventsourcing_kit.events import hints, renames, schema, stored_data, wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.records.record import Commit, StoredShape

_LIKE = 0.85  # how much alike names are of which one is probably a slip
_MOST_LOOKED_AT = 100_000  # events, for the first of a type
_looked_at: set[tuple[Any, str, int]] = set()  # stores, types and versions of classes whose first event was looked at
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


def hint_untagged(log: Log, query: Query) -> None:
    """Warn, once, where the first event of a type that is asked for by tags lacks some that its class makes today.

    Those that were stored before the class made tags are found by no query.
    """
    asked = wanted.meant(frozenset().union(*(part.types or () for part in query.parts if part.tags)))
    kinds = {name: kind for name in asked if (kind := schema.registered(name)) is not None and kind.tag_fields}
    waiting = {name: kind for name, kind in kinds.items() if (log.store_id, name, kind.version) not in _looked_at}
    for commit in log.commits(0, min(log.head.last, _MOST_LOOKED_AT)) if waiting else ():
        for shape, rows in zip(commit.shapes, commit.rows_of_shapes, strict=True):
            kind = waiting.pop(renames.current(shape.type), None)
            if kind is not None:
                _looked_at.add((log.store_id, kind.name, kind.version))
                _hint_untagged(commit, shape, int(rows[0]))
        if not waiting:
            break


def _hint_untagged(commit: Commit, shape: StoredShape, row: int) -> None:
    columns = [column[:1] for column in shape.columns]
    kind = stored_data.reader(shape.type, shape.schema_version)
    with suppress(SchemaError, InputError):  # which others tell
        what = (shape.type, shape.schema_version, shape.fields, columns, [commit.first + row])
        made = () if kind is None else kind.tags_of(stored_data.from_columns(*what)[0].__dict__)
        lacking = [tag for tag in made if tag not in commit.tags.get(row, ())]
        if lacking:
            hints.warn_once(
                f"the event of type {renames.current(shape.type)!r} at position {commit.first + row} lacks the tags "
                f"{lacking}, which its class makes today, so no query finds it by them; store.check_schema() counts "
                "such events, and a query for the type without tags finds them all"
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

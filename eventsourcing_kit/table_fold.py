"""A projection's fold as a table goes on with it: the states so far, the numbers of their keys, the code's fingerprint.

The states are kept in memory. Where there are none yet (the database was opened again, or a batch failed) they are
folded anew from the log up to the table's position, so that they are exactly those that the next event meets.
"""

from __future__ import annotations

import hashlib
import inspect
import types
from itertools import chain
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.read import Selection
from eventsourcing_kit.replay import Steps, fold
from eventsourcing_kit.snapshots import reading_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.log import Log
    from eventsourcing_kit.projection import Projection

EVENTS_A_BATCH = 10_000
_DEPTH = 8


def batch_end(log: Log, after: int) -> tuple[int, str]:
    """Where a batch of events behind a position ends, always at a commit's end, and the mark of that place."""
    commit = log.commit_of(min(after + EVENTS_A_BATCH, log.head.last))
    return commit.last, commit.previous.hex() + commit.id_bytes[-1].tobytes().hex()


def mark_of(log: Log, position: int) -> str:
    """What only this history has at a position: its last event's id, and the hash of all that came before."""
    commit = log.commit_of(position)
    mark: str = commit.previous.hex() + commit.id_bytes[position - commit.first].tobytes().hex()
    return mark


class Fold:
    """The states of one projection as of `position`."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.position = 0
        self._states: dict[Any, Any] = {}
        self._numbers: dict[Any, int] = {}

    def advance(self, log: Log, upto: int) -> tuple[Steps, list[int]]:
        """Fold up to a position; the states passed through, and their keys' numbers in order of appearance."""
        steps = Steps()
        selection = Selection(self.position, upto, types=self.projection.types)
        fold(self.projection, log, selection, steps=steps, states=self._states)
        self.position = upto
        known = self._numbers
        return steps, [known.setdefault(key, len(known)) for key in steps.keys]

    def catch_up(self, log: Log, position: int) -> None:
        """Fold up to a position that the table has already."""
        while self.position < position:
            self.advance(log, min(batch_end(log, self.position)[0], position))


# -- the code ---------------------------------------------------------------------------------------------------------


def code_of(projection: Projection) -> str:
    """A fingerprint of what a projection does: its handlers, keys and first state, the functions that they call, and
    how the events it handles are read today (classes, renames, upcasters)."""
    found = hashlib.sha256()
    readings = (f"{name} {reading_of(name)}" for name in sorted(projection.handlers))
    for part in chain(_of_projection(projection), readings):
        found.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()[:32]


def _of_projection(projection: Projection) -> Iterator[str]:
    seen: set[int] = set()
    yield from _of(projection.initial, seen, 0)
    for name in sorted(projection.handlers):
        yield name
        for handler in projection.handlers[name]:
            yield from _of((handler.function, handler.key), seen, 0)


def _of(value: Any, seen: set[int], depth: int) -> Iterable[str]:
    if isinstance(value, types.FunctionType):
        return _of_function(value, seen, depth)
    if isinstance(value, types.CodeType):
        return _of_code(value, seen, depth)
    if isinstance(value, (tuple, list)):
        return [part for one in value for part in _of(one, seen, depth)]
    if isinstance(value, frozenset):
        return sorted(repr(one) for one in value)
    if isinstance(value, type):
        return _of_class(value, seen, depth)
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return [type(value).__name__, repr(value)]
    return [type(value).__qualname__, str(getattr(value, "__qualname__", ""))]


def _of_function(function: types.FunctionType, seen: set[int], depth: int) -> Iterator[str]:
    yield function.__qualname__
    if id(function) in seen or depth > _DEPTH:
        return
    seen.add(id(function))
    yield from _of(function.__code__, seen, depth + 1)
    yield from _of((function.__defaults__, *sorted((function.__kwdefaults__ or {}).items())), seen, depth + 1)
    for cell in function.__closure__ or ():
        yield from _of(_content(cell), seen, depth + 1)
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield from _of(function.__globals__[name], seen, depth + 1)


def _of_code(code: types.CodeType, seen: set[int], depth: int) -> Iterator[str]:
    yield code.co_code.hex()
    yield from code.co_names
    yield from _of(code.co_consts, seen, depth)


def _of_class(cls: type, seen: set[int], depth: int) -> Iterator[str]:
    yield cls.__qualname__
    if id(cls) in seen or depth > _DEPTH or not hasattr(cls, "__annotations__"):
        return
    seen.add(id(cls))
    for name, annotation in inspect.get_annotations(cls).items():
        yield f"{name}: {annotation}"
    for value in list(vars(cls).values()):
        if isinstance(value, types.FunctionType) and value.__module__ == cls.__module__:
            yield from _of(value, seen, depth + 1)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None

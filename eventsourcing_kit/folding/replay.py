"""Folding a projection over the log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit.errors import ProjectionError
from eventsourcing_kit.events import renames
from eventsourcing_kit.events.callables import is_lazy
from eventsourcing_kit.events.json_values import paused_gc, shown
from eventsourcing_kit.folding.projection import GONE, STREAM
from eventsourcing_kit.reading import known_types
from eventsourcing_kit.reading.read import data_of, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.folding.projection import Handler, Projection
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.read import Selection
    from eventsourcing_kit.records.record import Commit


class Every:
    """The key filter that lets every key pass; None is a key like any other."""

    def __repr__(self) -> str:
        return "every key"


EVERY = Every()


class Fact(NamedTuple):
    """One event on its way through a fold; `record` is None where no handler asks for it."""

    position: int
    us: int
    type: str
    stream: str
    data: Any
    record: Any


class Tally:
    """How many events a fold read, of which types, and by type how many the store's policy left out."""

    def __init__(self) -> None:
        self.events = 0
        self.types: set[str] = set()
        self.skipped: Counter[str] = Counter()

    def add(self, read: Sequence[Fact]) -> None:
        """Count some."""
        self.events += len(read)
        self.types.update(fact.type for fact in read)


class Steps:
    """The states that a fold passed through, as columns: one entry a handled event and key."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.positions: list[int] = []
        self.us: list[int] = []
        self.types: list[str] = []
        self.states: list[Any] = []
        self.tally = Tally()

    def add(self, fact: Fact, key: Any, state: Any) -> None:
        """One more entry."""
        self.keys.append(key)
        self.positions.append(fact.position)
        self.us.append(fact.us)
        self.types.append(fact.type)
        self.states.append(state)


def facts(projection: Projection, log: Log, selection: Selection, tally: Tally | None = None) -> Iterator[Fact]:
    """The selected events, with no more objects built than the projection's handlers need."""
    needs_record = any(handler.needs_record for handler in projection.every_handler)
    for commit, rows in selection.chunks(log, None if tally is None else tally.skipped):
        read = _facts(commit, rows, needs_record)
        if tally is not None:
            read = list(read)
            tally.add(read)
        yield from read


def versioned_facts(projection: Projection, log: Log, selection: Selection) -> Iterator[tuple[Fact, int]]:
    """The selected events, each with its version."""
    needs_record = any(handler.needs_record for handler in projection.every_handler)
    for commit, rows in selection.chunks(log):
        yield from zip(_facts(commit, rows, needs_record), commit.versions[rows].tolist(), strict=True)


def _facts(commit: Commit, rows: npt.NDArray[Any], needs_record: bool) -> Iterable[Fact]:
    types = [renames.current(shape.type) for shape in commit.shapes]
    streams = commit.streams
    records: list[Any] = list(recorded(commit, rows)) if needs_record else [None] * len(rows)
    data = [record.data for record in records] if needs_record else data_of(commit, rows)
    return map(
        Fact._make,
        zip(
            commit.positions[rows].tolist(),
            commit.times[rows].tolist(),
            [types[code] for code in commit.shape_codes[rows].tolist()],
            [streams[code] for code in commit.stream_codes[rows].tolist()],
            data,
            records,
            strict=True,
        ),
    )


def fold(
    projection: Projection,
    log: Log,
    selection: Selection,
    *,
    only: Any = EVERY,
    steps: Steps | None = None,
    states: dict[Any, Any] | None = None,
    tally: Tally | None = None,
) -> dict[Any, Any]:
    """The state of each key, from `states` on; every state on the way goes into `steps`."""
    with paused_gc():
        read = facts(projection, log, selection, tally if steps is None else steps.tally)
        found = fold_facts(projection, read, only=only, steps=steps, states={} if states is None else states)
    known_types.hint(log, projection.types, repr(projection))
    return found


def fold_facts(
    projection: Projection,
    read: Iterable[Fact],
    *,
    only: Any = EVERY,
    steps: Steps | None = None,
    states: dict[Any, Any],
) -> dict[Any, Any]:
    """As `fold`, of facts that have been read."""
    handlers, first_state = projection.handlers, projection.first_state
    for fact in read:
        taken: list[Any] = []
        for handler in handlers[fact.type]:
            key = _key(handler, fact)
            if (key is None and handler.key is not None) or (only is not EVERY and key != only):
                continue
            before = states[key] if key in states else first_state()
            after = apply(handler, fact, before)
            if after is GONE:
                states.pop(key, None)
            else:
                states[key] = after
            if steps is not None:
                _step(steps, fact, key, after, taken)
    return states


def _step(steps: Steps, fact: Fact, key: Any, state: Any, taken: list[Any]) -> None:
    """One entry an event and key, also where two handlers of one event touch the same key."""
    if key in taken:
        steps.states[taken.index(key) - len(taken)] = state
    else:
        taken.append(key)
        steps.add(fact, key, state)


def apply(handler: Handler, fact: Fact, state: Any) -> Any:
    """The state after an event; a position of 0 stands for an event that is not stored yet."""
    try:
        if handler.takes_record:
            after = handler.function(state, fact.data, fact.record)
        else:
            after = handler.function(state, fact.data)
    except Exception as error:
        raise ProjectionError(
            f"the handler {handler.where} failed {_place(fact)} on {_shown(fact)}: "
            f"{type(error).__name__}: {error}; the state before was {shown(state)}"
        ) from error
    if after is None or is_lazy(after):
        raise ProjectionError(
            f"the handler {handler.where} returned {shown(after)} {_place(fact)} on {_shown(fact)}; "
            f"return the new state (or ek.GONE to end the key); the state before was {shown(state)}"
        )
    return after


def _key(handler: Handler, fact: Fact) -> Any:
    key = handler.key
    if key is STREAM:
        return fact.stream
    if key is None:
        return None
    try:
        if not isinstance(key, str):
            found = key(fact.record)
        elif isinstance(fact.data, dict):
            found = fact.data[key]
        else:
            found = getattr(fact.data, key)
        hash(found)
        if is_lazy(found):
            raise TypeError(f"it returned {found!r}, which is no key")
    except Exception as error:
        raise ProjectionError(
            f"the key {shown(key)} of the handler {handler.where} failed {_place(fact)} on {_shown(fact)}: "
            f"{type(error).__name__}: {error}; a function of the RecordedEvent may return None to pass an event over"
        ) from error
    return found


def _place(fact: Fact) -> str:
    return f"at position {fact.position}" if fact.position else "before anything was written,"


def _shown(fact: Fact) -> str:
    return f"{fact.type} of {fact.stream!r} ({shown(fact.data)})"

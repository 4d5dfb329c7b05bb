"""Folding a projection over the log."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from eventsourcing_kit.errors import InputError, ProjectionError
from eventsourcing_kit.events import callables, renames
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.folding.projection import GONE, STREAM, ByTags
from eventsourcing_kit.reading import known_types
from eventsourcing_kit.reading.read import data_of, each_of, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.folding.projection import Handler, Projection
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.read import Selection
    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]


class Every:
    """The key filter that lets every key pass; None is a key like any other."""

    def __repr__(self) -> str:
        return "every key"

    def __reduce__(self) -> str:
        return "EVERY"  # there is one, in other processes, too


EVERY = Every()


def check_key(projection: Projection, key: Any) -> None:
    """Refuse what cannot be a key of a projection; `EVERY` stands for all."""
    try:
        hash(key)
    except TypeError:
        raise InputError(f"{key!r} cannot be a key; keys are hashable: text, a number, a tuple of such …") from None
    if projection.is_single and key is not EVERY and key is not None:
        raise InputError(f"{projection.name!r} has one state over the whole log, so no key {key!r}; leave key out")


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

    def add(self, events: int, types: Iterable[str]) -> None:
        """Count some, of these types."""
        self.events += events
        self.types.update(types)


class Steps:
    """The states that a fold passed through, as columns: one entry a handled event and key.

    `codes` number the keys in order of appearance, `types` the event types.
    """

    def __init__(self) -> None:
        self.key_numbers: dict[Any, int] = {}
        self.type_numbers: dict[str, int] = {}
        self.codes, self.types, self.positions, self.us = array("q"), array("q"), array("q"), array("q")
        self.states: list[Any] = []
        self.tally = Tally()

    @property
    def keys(self) -> list[Any]:
        """The key of each entry."""
        keys = list(self.key_numbers)
        return [keys[code] for code in self.codes]

    def add(self, fact: Fact, key: Any, state: Any) -> None:
        """One more entry."""
        self.codes.append(self.key_numbers.setdefault(key, len(self.key_numbers)))
        self.types.append(self.type_numbers.setdefault(fact.type, len(self.type_numbers)))
        self.positions.append(fact.position)
        self.us.append(fact.us)
        self.states.append(state)

    def extend(self, commit: Commit, rows: Ints, codes: Ints, states: list[Any]) -> None:
        """One more entry for each of some rows of a commit, whose keys have these numbers."""
        numbers = self.type_numbers
        names = [numbers.setdefault(renames.current(shape.type), len(numbers)) for shape in commit.shapes]
        types = np.array(names, dtype=np.int64)[commit.shape_codes[rows]]
        columns = (self.codes, codes), (self.types, types), (self.positions, commit.positions[rows])
        for column, values in (*columns, (self.us, commit.times[rows])):
            column.frombytes(values.tobytes())
        self.states += states


def stream_numbers(commit: Commit, rows: Ints, numbers: dict[Any, int]) -> Ints:
    """For each row of a commit the number of its stream; new ones are numbered in order of appearance."""
    codes, streams = commit.stream_codes[rows], commit.streams
    first = np.full(len(streams), len(codes), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several rows of a stream the first one stays
    in_order = np.argsort(first, kind="stable")[: int((first < len(codes)).sum())]
    found = np.empty(len(streams), dtype=np.int64)
    found[in_order] = [numbers.setdefault(streams[code], len(numbers)) for code in in_order.tolist()]
    return found[codes]


def versioned_facts(projection: Projection, log: Log, selection: Selection) -> Iterator[tuple[Fact, int]]:
    """The selected events, each with its version."""
    needs_record = any(handler.needs_record for handler in projection.every_handler)
    for commit, rows in selection.chunks(log):
        yield from zip(_facts(commit, rows, needs_record), commit.versions[rows].tolist(), strict=True)


def _facts(commit: Commit, rows: Ints, needs_record: bool) -> Iterable[Fact]:
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
    states = {} if states is None else states
    counted = steps.tally if steps is not None else Tally() if tally is None else tally
    quick = _Quick(projection, states, steps) if _is_simple(projection, selection, only) else None
    needs_record = any(handler.needs_record for handler in projection.every_handler)
    for commit, rows in selection.chunks(log, counted.skipped, as_columns=True):
        codes = np.unique(commit.shape_codes[rows]).tolist()
        counted.add(len(rows), (renames.current(commit.shapes[code].type) for code in codes))
        if quick is not None:
            quick.add(commit, rows)
        else:
            fold_facts(projection, _facts(commit, rows, needs_record), only=only, steps=steps, states=states)
    known_types.hint(log, projection.types, repr(projection))
    return states if quick is None else quick.states()


def _is_simple(projection: Projection, selection: Selection, only: Any) -> bool:
    """Whether each event touches the state of its stream, or the only one, and handlers need nothing but its data."""
    handlers = projection.every_handler
    one_key = all(one.key is STREAM for one in handlers) or all(one.key is None for one in handlers)
    asked = only is EVERY or ((only is None) == projection.is_single and only == selection.stream)
    return one_key and asked and projection.declared is None and not any(one.needs_record for one in handlers)


_ABSENT: Any = object()
_SEVERAL = (list, set, frozenset)


class _Quick:
    """As `fold_facts`, where keys are streams, or there is one: states stand in a list, and no more is done an event
    than to call its handlers.
    """

    def __init__(self, projection: Projection, states: dict[Any, Any], steps: Steps | None) -> None:
        self._projection, self._steps, self._given = projection, steps, states
        self._is_single = projection.is_single
        self._numbers: dict[Any, int] = {} if steps is None else steps.key_numbers
        self._held: list[Any] = [states.get(key, _ABSENT) for key in self._numbers]
        self._fine: set[type] = set()  # types of states that were looked at

    def add(self, commit: Commit, rows: Ints) -> None:
        """The selected events of one commit."""
        handlers = [self._projection.handlers[renames.current(shape.type)] for shape in commit.shapes]
        if not all(handlers):
            rows = rows[np.array([bool(own) for own in handlers])[commit.shape_codes[rows]]]
        codes, held, begun = self._codes(commit, rows), self._held, self._projection.begun
        shapes = commit.shape_codes[rows].tolist()
        functions = [tuple(one.function for one in own) for own in handlers]
        made: list[Any] = []
        fine = self._fine
        for code, shape, event in zip(codes.tolist(), shapes, each_of(commit, rows), strict=True):
            state = held[code]
            for function in functions[shape]:
                before = begun() if state is _ABSENT or state is GONE else state
                try:
                    state = function(before, event)
                except Exception as error:
                    self._raise(handlers[shape], function, commit, int(rows[len(made)]), event, before, error)
                if type(state) not in fine:
                    if is_no_state(state):
                        self._raise(handlers[shape], function, commit, int(rows[len(made)]), event, before, state)
                    fine.add(type(state))
            held[code] = state
            made.append(state)
        if self._steps is not None:
            self._steps.extend(commit, rows, codes, made)

    def _codes(self, commit: Commit, rows: Ints) -> Ints:
        """The number of each event's key, in order of appearance."""
        if self._is_single:
            found = np.full(len(rows), self._numbers.setdefault(None, 0), dtype=np.int64)
        else:
            found = stream_numbers(commit, rows, self._numbers)
        new = islice(self._numbers, len(self._held), None)
        self._held += [self._given.get(key, _ABSENT) for key in new]
        return found

    def _raise(
        self, handlers: list[Handler], function: Any, commit: Commit, row: int, event: Any, before: Any, after: Any
    ) -> NoReturn:
        handler = next(one for one in handlers if one.function is function)
        (fact,) = _facts(commit, np.array([row]), False)
        fact = fact._replace(data=event)
        if isinstance(after, Exception):
            raise _failed(handler, fact, before, after) from after
        raise _no_state(handler, fact, before, after)

    def states(self) -> dict[Any, Any]:
        """The state of each key, those included that were there before."""
        for key, state in zip(self._numbers, self._held, strict=True):
            if state is GONE or state is _ABSENT:
                self._given.pop(key, None)
            else:
                self._given[key] = state
        return self._given


def fold_facts(
    projection: Projection,
    read: Iterable[Fact],
    *,
    only: Any = EVERY,
    steps: Steps | None = None,
    states: dict[Any, Any],
    handlers: dict[str, list[Handler]] | None = None,
) -> dict[Any, Any]:
    """As `fold`, of facts that have been read; who calls it often finds the projection's `handlers` once."""
    handlers, begun = handlers or projection.handlers, projection.begun
    for fact in read:
        taken: list[Any] = []
        for handler in handlers[fact.type]:
            for key in _keys(handler, fact):
                if (key is None and handler.key is not None) or (only is not EVERY and key != only):
                    continue
                before = states[key] if key in states else begun()
                after = apply(handler, fact, before)
                if after is GONE:
                    states.pop(key, None)
                else:
                    states[key] = after
                if steps is not None:
                    _step(steps, fact, key, projection.shown(after), taken)
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
        raise _failed(handler, fact, state, error) from error
    if is_no_state(after):
        raise _no_state(handler, fact, state, after)
    return after


def is_no_state(result: Any) -> bool:
    """Whether what a handler returned can be no state: None, or what somebody would have to await or to iterate."""
    return result is None or callables.is_lazy(result)


def _failed(handler: Handler, fact: Fact, state: Any, error: Exception) -> ProjectionError:
    return ProjectionError(
        f"the handler {handler.where} failed {_place(fact)} on {_shown(fact)}: "
        f"{type(error).__name__}: {error}; the state before was {shown(state)}"
    )


def _no_state(handler: Handler, fact: Fact, state: Any, after: Any) -> ProjectionError:
    return ProjectionError(
        f"the handler {handler.where} returned {shown(after)} {_place(fact)} on {_shown(fact)}; "
        f"return the new state (or ek.GONE to end the key); the state before was {shown(state)}"
    )


def _keys(handler: Handler, fact: Fact) -> Sequence[Any]:
    """The keys that an event touches, each once: several where the key is a list or a set, in an order of its own."""
    key = handler.key
    if key is STREAM:
        return (fact.stream,)
    if key is None:
        return (None,)
    if isinstance(key, ByTags):
        return key.of(fact.record)
    try:
        if not isinstance(key, str):
            found = key(fact.record)
        elif isinstance(fact.data, dict):
            found = fact.data[key]
        else:
            found = getattr(fact.data, key)
        if isinstance(found, _SEVERAL):
            return _members(found)
        hash(found)
        if callables.is_lazy(found):
            raise TypeError(f"it returned {found!r}, which is no key")
    except Exception as error:
        raise ProjectionError(
            f"the key {shown(key)} of the handler {handler.where} failed {_place(fact)} on {_shown(fact)}: "
            f"{type(error).__name__}: {error}; a function of the RecordedEvent may return None to pass an event over"
        ) from error
    return (found,)


def _members(found: list[Any] | set[Any] | frozenset[Any]) -> list[Any]:
    """Each member once, those of a set in an order that is the same in every process."""
    if isinstance(found, list):
        return list(dict.fromkeys(found))
    try:
        return sorted(found)
    except TypeError:  # they are of several types
        return sorted(found, key=lambda one: (type(one).__name__, repr(one)))


def _place(fact: Fact) -> str:
    return f"at position {fact.position}" if fact.position else "before anything was written,"


def _shown(fact: Fact) -> str:
    return f"{fact.type} of {fact.stream!r} ({shown(fact.data)})"

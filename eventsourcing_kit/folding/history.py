"""Histories: every state that a replay passed through, each with its interval of validity."""

from __future__ import annotations

import dataclasses
import uuid
from functools import cached_property
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from eventsourcing_kit.errors import InputError, MomentError, ProjectionError
from eventsourcing_kit.events import callables
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.folding.keyframes import Keyframes
from eventsourcing_kit.folding.projection import GONE
from eventsourcing_kit.reading import frames
from eventsourcing_kit.reading.read import event_at
from eventsourcing_kit.records import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.rows import Rows
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.moment import Moment

    Ints = npt.NDArray[np.int64]

COLUMNS = ("key", "position", "type", "valid_from", "valid_to")
MISSING = object()


def fields_of(state: Any) -> dict[str, Any]:
    """A state's fields: those of a model, a dataclass or a dict with text keys, else one field `state`."""
    if isinstance(state, BaseModel):
        return {name: getattr(state, name) for name in type(state).model_fields} | (state.model_extra or {})
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        return {one.name: getattr(state, one.name) for one in dataclasses.fields(state)}
    if isinstance(state, tuple) and (as_dict := getattr(state, "_asdict", None)):
        return dict(as_dict())
    if isinstance(state, dict) and state and all(isinstance(name, str) for name in state):
        return state
    return {"state": state}


def has_fields(state: Any) -> bool:
    """Whether `fields_of` takes a state apart."""
    return fields_of(state).get("state", MISSING) is not state


class History:
    """All states there were, up to `as_of`; made by `store.history(projection)`.

    `skipped` counts by type the events that the store's policy left out (see `EventStore`).

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="Paid", data={"amount": amount}) for amount in (5, 20)])
    >>> paid = ek.Projection("paid", initial=lambda: 0)
    >>> @paid.on("Paid")
    ... def pay(state, event):
    ...     return state + event["amount"]
    >>> history = store.history(paid)
    >>> history
    <history of paid: 2 events, 1 key, as of 2>
    >>> history.at(1), history.at(2)
    ({'order-7': 5}, {'order-7': 25})
    >>> history.first(lambda state: state > 10).position
    2
    """

    def __init__(self, projection: Projection, log: Log, as_of: int, rows: Rows) -> None:
        self.projection, self.as_of = projection, as_of
        self._log, self._rows = log, rows
        self.skipped = dict(rows.skipped)
        self._keyframes = Keyframes(rows)

    @property
    def rows(self) -> Rows:
        """Its rows as columns, for what draws and packs them."""
        return self._rows

    @property
    def log(self) -> Log:
        """The log that it is of, for what reads the events beside the states."""
        return self._log

    @cached_property
    def _cut_us(self) -> int:
        return self._log.time_of(self.as_of)

    @cached_property
    def _by_key(self) -> tuple[dict[Any, int], Ints, Ints]:
        """The number of each key, the rows in the order of these numbers, and where each key's end among them."""
        numbers = {key: code for code, key in enumerate(self._rows.keys)}
        order = np.argsort(self._rows.codes, kind="stable")
        return numbers, order, np.cumsum(np.bincount(self._rows.codes, minlength=len(numbers)))

    def __len__(self) -> int:
        return len(self._rows)

    # -- states ------------------------------------------------------------------------------------------------------

    def at(self, as_of: Moment) -> Any:
        """The state of each key as of a moment, equal to `replay(as_of=…)`; the bare state where there is one.

        Raises `MomentError` for a moment beyond the history's own.
        """
        states = self._at(self.position_of(as_of))
        if self.projection.is_single:
            return states[None] if None in states else self.projection.first_state()
        return states

    def _at(self, position: int) -> dict[Any, Any]:
        return self._keyframes.states(int(np.searchsorted(self._rows.positions, position, side="right")))

    def _states_at(self, position: int) -> dict[Any, Any]:
        """As `_at`; one state over the whole log is there from the start."""
        start = {None: self.projection.first_state()} if self.projection.is_single else {}
        return start | self._at(position)

    def position_of(self, given: object) -> int:
        """The position that a moment of this history names; raises `MomentError`."""
        parsed = moment.parse(given)
        self._log.check_store(given)
        if isinstance(parsed, moment.TimePoint):
            return self._position_at(parsed, given)
        if isinstance(parsed, uuid.UUID):
            parsed = self._log.resolve(parsed)
        if not parsed >= 0:
            raise MomentError(f"there is no position {parsed}; write 0 (before the first event) to {self.as_of}")
        if parsed > self.as_of:
            raise self._beyond(given)
        return parsed if self._log.life.is_closed else self._log.resolve(given)

    def _position_at(self, us: int, given: object) -> int:
        if us >= self._cut_us:
            if not self._log.life.is_closed and self._log.position_at(us) > self.as_of:
                raise self._beyond(given)
            return self.as_of
        handled = int(np.searchsorted(self._rows.us, us, side="right"))
        return int(self._rows.positions[handled - 1]) if handled else 0

    def _beyond(self, given: object) -> MomentError:
        return MomentError(
            f"{given!r} lies beyond position {self.as_of}, up to which this history goes; "
            "take a new one: store.history(…)"
        )

    # -- frames ------------------------------------------------------------------------------------------------------

    def df(self) -> pd.DataFrame:
        """One row a handled event: key, position, type, valid_from, valid_to (NaT = still valid), then the state.

        The state has a column a field where it is a model or a like-keyed dict, else one column `state`. The event that
        ended a key has a row of no length and no state.
        """
        import pandas as pd

        rows = self._rows
        columns: dict[str, Any] = {
            "key": self._key_column([rows.keys[code] for code in rows.codes.tolist()]),
            "position": frames.integers(rows.positions),
            "type": frames.strings(frames.objects(rows.type_names)[rows.types]),
            "valid_from": frames.times(rows.us),
            "valid_to": frames.times(self._valid_to()),
        }
        fields = self._state_columns()
        names = frames.field_names(fields, COLUMNS)
        columns |= {names[name]: frames.column(values) for name, values in fields.items()}
        return pd.DataFrame(columns)

    def _key_column(self, keys: list[Any]) -> Any:
        """The keys; names of streams are text also where there are none."""
        return frames.column(keys) if keys or not self.projection.is_by_stream else frames.strings(frames.objects(keys))

    def _valid_to(self) -> Ints:
        """The time of the same key's next row; of a row that ends its key, its own."""
        rows, order = self._rows, self._by_key[1]
        valid_to = np.full(len(self), frames.NO_TIME, dtype=np.int64)
        same = rows.codes[order][1:] == rows.codes[order][:-1]
        valid_to[order[:-1][same]] = rows.us[order[1:][same]]
        valid_to[rows.gone] = rows.us[rows.gone]
        return valid_to

    def _state_columns(self) -> Mapping[str, Sequence[Any]]:
        every = np.arange(len(self))
        found = self._rows.states.columns(every)
        if found is not None:
            return found
        states = self._rows.states.take(every)
        held = [state for state in states if state is not GONE]
        names = dict.fromkeys(fields_of(held[0])) if held and has_fields(held[0]) else {}
        if not names or not all(has_fields(state) and fields_of(state).keys() == names.keys() for state in held):
            return {"state": [None if state is GONE else state for state in states]}
        rows = [{} if state is GONE else fields_of(state) for state in states]
        return {name: [row.get(name) for row in rows] for name in names}

    # -- questions ---------------------------------------------------------------------------------------------------

    def diff(self, before: Moment, after: Moment) -> pd.DataFrame:
        """What differs between two moments: key, field, before, after, and the event that set what holds after.

        The event's columns are position, type and recorded_at; they are missing where no event set it (a key that had
        not begun at `after`). The event that ended a key stands for all its fields.

        Raises `MomentError` for a moment that is not in this history.
        """
        start, end = self.position_of(before), self.position_of(after)
        old, new = self._states_at(start), self._states_at(end)
        rows = []
        for key in self._rows.keys or old:
            changed = list(changes(old.get(key, MISSING), new.get(key, MISSING)))
            setters = self._setters(key, [name for name, _, _ in changed], end)
            rows += [(key, *change, setter) for change, setter in zip(changed, setters, strict=True)]
        return self._answers(rows, ("key", "field", "before", "after"))

    def blame(self, key: Any = None, *, as_of: Moment | None = None) -> pd.DataFrame:
        """A key's state, field by field, and the event that set each: field, value, position, type, recorded_at.

        Raises `InputError` for a key that the history does not have, `MomentError` for a moment that is not in it.
        """
        end = self.as_of if as_of is None else self.position_of(as_of)
        states = self._at(end)
        if not _has(states, key):
            meant = f"; keys are text here: {str(key)!r}" if str(key) in states else ""
            raise InputError(
                f"{self.projection.name!r} has no key {key!r} as of position {end}; it has {few(states)}{meant}"
            )
        fields = fields_of(states[key])
        rows = [*zip(fields, fields.values(), self._setters(key, list(fields), end), strict=True)]
        return self._answers(rows, ("field", "value"))

    def first(self, predicate: Callable[[Any], bool]) -> RecordedEvent | None:
        """The first event after which some state satisfied the predicate, or None.

        A predicate that fails is a `ProjectionError`, which names event, key and state.

        Raises `InputError` for a predicate that cannot be called.
        """
        if not callable(predicate):
            raise InputError(f"{predicate!r} is no predicate; give a function of a state: lambda state: state < 0")
        callables.check(predicate, "the predicate", "a state")
        for row, state in self._rows.each():
            if self._holds(predicate, row, state):
                return event_at(self._log, int(self._rows.positions[row]))
        return None

    def _holds(self, predicate: Callable[[Any], bool], row: int, state: Any) -> bool:
        try:
            answer = predicate(state)
            if callables.is_lazy(answer):
                raise TypeError(f"it returned {answer!r}; return True or False")
            return bool(answer)
        except Exception as error:
            rows = self._rows
            raise ProjectionError(
                f"the predicate {callables.where(predicate)} failed on the state after the event at position "
                f"{rows.positions[row]} ({rows.type_of(row)}) of the key {rows.keys[rows.codes[row]]!r}: "
                f"{type(error).__name__}: {error}; the state was {shown(state)}"
            ) from error

    def _rows_of(self, key: Any, upto: int) -> Ints:
        """The rows of a key up to a position, in the log's order."""
        numbers, order, ends = self._by_key
        code = numbers[key]
        rows: Ints = order[ends[code - 1] if code else 0 : ends[code]]
        return rows[: int(np.searchsorted(self._rows.positions[rows], upto, side="right"))]

    def _setters(self, key: Any, names: list[str], upto: int) -> list[int | None]:
        """For each field of a key, the row of the last event that gave it its value."""
        rows: list[int] = self._rows_of(key, upto).tolist() if names else []
        if not rows or self._rows.gone[rows[-1]]:
            return [rows[-1] if rows else None] * len(names)
        found: dict[str, int] = {}
        sought, state = dict.fromkeys(names), self._rows.state(rows[-1])
        for row, earlier in zip(reversed(rows), [*reversed(rows[:-1]), None], strict=True):
            before = GONE if earlier is None else self._rows.state(earlier)
            if before is not state:
                now, was = fields_of(state), {} if before is GONE else fields_of(before)
                set_here = [
                    name for name in sought if before is GONE
                    or not same(now.get(name, MISSING), was.get(name, MISSING))
                ]  # fmt: skip
                found |= dict.fromkeys(set_here, row)
                for name in set_here:
                    del sought[name]
            if not sought:
                break
            state = before
        return [found[name] for name in names]

    def _answers(self, rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> pd.DataFrame:
        import pandas as pd

        setters = [row[-1] for row in rows]
        columns = {name: frames.column([row[i] for row in rows]) for i, name in enumerate(names)}
        if "key" in columns:
            columns["key"] = self._key_column([row[0] for row in rows])
        if "field" in columns:
            columns["field"] = frames.strings(frames.objects([row[names.index("field")] for row in rows]))
        columns["position"] = frames.nullable([None if s is None else int(self._rows.positions[s]) for s in setters])
        types = [pd.NA if s is None else self._rows.type_of(s) for s in setters]
        columns["type"] = frames.strings(frames.objects(types))
        us = [frames.NO_TIME if s is None else int(self._rows.us[s]) for s in setters]
        columns["recorded_at"] = frames.times(np.array(us, dtype=np.int64))
        return pd.DataFrame(columns)

    # -- looks -------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        size = f"{counted(len(self))}, {counted(len(self._rows.keys), 'key')}"
        return f"<history of {self.projection.name}: {size}, as of {self.as_of}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def changes(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of each field in which two states differ; `MISSING` stands for no state."""
    if old is new:
        return
    was, now = _fields_beside(old, new), _fields_beside(new, old)
    for name in [*was, *(name for name in now if name not in was)]:
        if not same(was.get(name, MISSING), now.get(name, MISSING)):
            yield name, was.get(name), now.get(name)


def _fields_beside(state: Any, other: Any) -> dict[str, Any]:
    """A state's fields; a dict that is empty yet, or again, has none where the other one's are told apart."""
    if state is MISSING or (isinstance(state, dict) and not state and has_fields(other)):
        return {}
    return fields_of(state)


def same(a: Any, b: Any) -> bool:
    """Whether a field was left as it is: 1, 1.0 and True are equal, and not the same, also within lists and dicts."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    try:
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same(one, b[name]) for name, one in a.items())
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(map(same, a, b))
        return bool(a == b) or (a != a and b != b)  # NaN differs even from itself
    except Exception:  # values without a plain equality (arrays) count as changed
        return False


def _has(states: Mapping[Any, Any], key: Any) -> bool:
    try:
        return key in states
    except TypeError:  # a list, or a frame
        return False


def few(states: Iterable[Any]) -> str:
    """Some keys, for an error."""
    keys = [repr(key) for key in islice(states, 6)]
    return ", ".join([*keys[:5], *(["…"] if len(keys) > 5 else [])]) or "none"

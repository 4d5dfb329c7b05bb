"""Two histories, compared: which keys and fields differ as of a time, where they part, and which events set that.

States are compared column by column and some thousands of rows at a time, so that two histories of a million events
take little more memory than they have.
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from eventsourcing_kit.errors import InputError, MomentError
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import counted, time_text
from eventsourcing_kit.folding.history import MISSING, History, changes, few, fields_of, same
from eventsourcing_kit.folding.projection import GONE
from eventsourcing_kit.folding.rows import OfFields
from eventsourcing_kit.folding.running import Numbers
from eventsourcing_kit.reading import frames
from eventsourcing_kit.records import moment
from eventsourcing_kit.records.moment import from_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd

    from eventsourcing_kit.folding.rows import Rows, States
    from eventsourcing_kit.records.moment import Moment

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_AT_ONCE = 1 << 15  # rows: more at a time take more memory, and no less time
_BLOCK = 256  # values that are compared as one
_SHOWN = 5
_PLAIN = frozenset((int, str, float, bool, bytes, type(None)))


def compare(history: History, other: History) -> Comparison:
    """Compare two histories: a branch with its base, another projection, or other rules.

    By key, field and time: equal states that came about differently are equal.

    Raises `InputError` for what are no histories, and for two that have no keys or no fields in common.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1h"))
    >>> for amount in (5, 20, 30):
    ...     _ = store.append("order-7", ek.NewEvent(type="CompareDoc.Paid", data={"amount": amount}))
    >>> paid = ek.Projection("paid", fields={"paid": ek.fold.total("CompareDoc.Paid", "amount")})
    >>> large = ek.Projection("paid", fields={"paid": ek.fold.largest("CompareDoc.Paid", "amount")})
    >>> ek.compare(store.history(paid), store.history(large))
    <comparison of paid with paid: 1 of 1 key differs, and they part at 2026-01-05T10:00:00Z
      order-7: paid 55 | 30>
    """
    for one in (history, other):
        if not isinstance(one, History):
            raise InputError(f"{shown(one)} is no history; compare two of them: ek.compare(store.history(…), …)")
    comparison = Comparison(history, other)
    comparison.check()
    return comparison


class _Side(NamedTuple):
    """One history, with the number that each of its keys has among those of both."""

    history: History
    rows: Rows
    numbers: Ints | None  # None: the same

    def codes(self, start: int, stop: int) -> Ints:
        """The numbers of some rows' keys."""
        own = self.rows.codes[start:stop]
        return own if self.numbers is None else self.numbers[own]

    def last(self, stop: int, count: int) -> Ints:
        """Of the first rows the last one of each of `count` keys; -1 where there is none."""
        found = np.full(count, -1, dtype=np.int32)
        for start in range(0, stop, _AT_ONCE):
            end = min(start + _AT_ONCE, stop)
            found[self.codes(start, end)] = np.arange(start, end, dtype=np.int32)  # of several the last one stays
        return found  # type: ignore[return-value]  # whole numbers, in half the room

    def stop(self, position: int) -> int:
        """How many rows there are up to a position."""
        return int(np.searchsorted(self.rows.positions, position, side="right"))

    def is_there(self, rows: Ints) -> Bools:
        """Whether a key with such a last row has a state."""
        found = rows >= 0
        found[found] = ~self.rows.gone[rows[found]]
        return found

    def state(self, row: int) -> Any:
        """The state after a row; what is there before the first one, or after the last."""
        if row >= 0 and not self.rows.gone[row]:
            return self.rows.state(row)
        return self.history.projection.first_state() if self.history.projection.is_single else MISSING


class Comparison:
    """What differs between two histories, `one` and `other`; made by `ek.compare`.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="CompareDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> paid = ek.Projection("paid", fields={"paid": ek.fold.total("CompareDoc.Paid", "amount")})
    >>> large = ek.Projection("paid", fields={"paid": ek.fold.largest("CompareDoc.Paid", "amount")})
    >>> comparison = ek.compare(store.history(paid), store.history(large))
    >>> comparison.df()[["key", "field", "one", "other"]].values.tolist()
    [['order-7', 'paid', 25, 20]]
    >>> comparison.at(1).empty
    True
    >>> comparison.first()["one_type"]
    'CompareDoc.Paid'
    """

    def __init__(self, one: History, other: History) -> None:
        self.one, self.other = one, other
        self._keys, numbers = _joined(one._rows.keys, other._rows.keys)
        self._a, self._b = _Side(one, one._rows, None), _Side(other, other._rows, numbers)

    def check(self) -> None:
        """Raise `InputError` where keys or fields do not meet, so that everything would differ."""
        one, other = self.one, self.other
        if one.projection.is_single != other.projection.is_single:
            raise InputError(
                f"one of the histories has a state for each key, the other has one over the whole log: compare those "
                f"of projections with the same key (they are {one.projection.name!r} and {other.projection.name!r})"
            )
        sizes = [len(side.rows.keys) for side in (self._a, self._b)]
        if all(sizes) and len(self._keys) == sum(sizes) and not self._share_events:
            raise InputError(
                f"the histories have no key in common: {few(self._a.rows.keys)} in one, {few(self._b.rows.keys)} in "
                "the other; compare histories of one projection, or of projections with the same key"
            )
        fields, others = self._fields(self._a), self._fields(self._b)
        if fields and others and not fields & others:
            raise InputError(
                f"the states have no field in common: {', '.join(sorted(fields))} in one, {', '.join(sorted(others))} "
                "in the other; compare projections whose states have the same fields"
            )

    @property
    def _share_events(self) -> bool:
        return self.one.projection.key == self.other.projection.key and self._shared_upto > 0

    @cached_property
    def _shared_upto(self) -> float:
        """Up to which position both histories' stores have the same events; without end where it is one store."""
        one, other = self.one._log, self.other._log
        if one.store_id == other.store_id:
            return float("inf")
        return max((min(upto, other.lineage[store]) for store, upto in one.lineage.items() if store in other.lineage),
                   default=0)  # fmt: skip

    def _fields(self, side: _Side) -> set[str]:
        """The names of the fields at the end, told from the first state that is there."""
        rows = np.flatnonzero(~side.rows.gone[-_AT_ONCE:])
        state = side.rows.state(len(side.rows) - min(_AT_ONCE, len(side.rows)) + int(rows[-1])) if len(rows) else {}
        return set(fields_of(state)) if len(rows) and not (isinstance(state, dict) and not state) else set()

    # -- answers -----------------------------------------------------------------------------------------------------

    def df(self) -> pd.DataFrame:
        """One row a key and field that differ at the histories' ends, with the events that set what is there.

        Columns: key, field, one, other, one_position, one_type, one_recorded_at, other_position, other_type,
        other_recorded_at. What one of them does not have is missing.
        """
        return self._frame(len(self._a.rows), len(self._b.rows))

    def at(self, as_of: Moment) -> pd.DataFrame:
        """What `df()` would be as of a moment.

        A time is good everywhere. A position is where it means the same in both: where both histories are of one store,
        or up to the fork of a branch. Raises `MomentError` elsewhere, and beyond a history's own cut.
        """
        a, b = self._stops(as_of)
        return self._frame(a, b)

    def _stops(self, as_of: Moment) -> tuple[int, int]:
        """How many rows of each there are as of a moment."""
        parsed = moment.parse(as_of)
        if not isinstance(parsed, moment.TimePoint) and self._shared_upto != float("inf"):
            position = self.one._log.resolve(as_of)
            if position > self._shared_upto:
                raise MomentError(
                    f"position {position} lies behind {int(self._shared_upto)}, up to which the two histories share "
                    "their events: give a time, such as the event's recorded_at"
                )
            return self._a.stop(position), self._b.stop(position)
        return self._a.stop(self.one.position_of(as_of)), self._b.stop(self.other.position_of(as_of))

    def first(self) -> pd.Series[Any] | None:
        """Where they part: a row as those of `df()`, as of the earliest time at which any state differs, or None.

        Also where they agree again later.
        """
        if self._parting is None:
            return None
        us, keys = self._parting
        a, b = (int(np.searchsorted(side.rows.us, us, side="right")) for side in (self._a, self._b))
        frame = self._frame(a, b, keys)
        times = frame[["one_position", "other_position"]].min(axis=1)
        row = frame.iloc[int(times.fillna(0).argmin())]
        return row.map(lambda value: value.item() if isinstance(value, np.generic) else value)

    @cached_property
    def _parting(self) -> tuple[int, Ints] | None:
        """The earliest time at which any state differs, and the numbers of the keys that do then."""
        a, b = self._a, self._b
        if self._first_states_differ:
            return moment.FIRST_US - 1, np.array([0])
        begin = self._begin_alike()
        now = a.last(begin, len(self._keys)), b.last(begin, len(self._keys))
        at = begin, begin
        while at != (len(a.rows), len(b.rows)):
            upto = self._window(*at)
            times, keys, ia, ib = _met(a, b, at, upto, now)
            differs = self._differ(ia, ib)
            if differs.any():
                first = int(times[differs].min())
                return first, keys[differs & (times == first)]
            at = upto
        return None

    @property
    def _first_states_differ(self) -> bool:
        one, other = self.one.projection, self.other.projection
        return one.is_single and not same(one.first_state(), other.first_state())

    def _begin_alike(self) -> int:
        """How many rows they begin with that are the same but for their positions."""
        a, b = self._a, self._b
        least = min(len(a.rows), len(b.rows))
        for start in range(0, least, _AT_ONCE):
            stop = min(start + _AT_ONCE, least)
            rows = np.arange(start, stop)
            alike = (a.codes(start, stop) == b.codes(start, stop)) & (a.rows.us[start:stop] == b.rows.us[start:stop])
            alike &= a.rows.gone[start:stop] == b.rows.gone[start:stop]
            alike &= ~_differing(a.rows.states, rows, b.rows.states, rows)
            if not alike.all():
                least = start + int(np.argmin(alike))
                break
        # events of one time belong together
        us = [side.rows.us[least] for side in (a, b) if least < len(side.rows)]
        return int(np.searchsorted(a.rows.us[:least], min(us))) if us else least

    def _window(self, i: int, j: int) -> tuple[int, int]:
        """Where the next rows of both end; those of one time stay together."""
        ends = [side.rows.us[min(at + _AT_ONCE, len(side.rows)) - 1] for side, at in ((self._a, i), (self._b, j))
                if at < len(side.rows)]  # fmt: skip
        i, j = (int(np.searchsorted(side.rows.us, min(ends), side="right")) for side in (self._a, self._b))
        return i, j

    def _differ(self, ia: Ints, ib: Ints) -> Bools:
        """Whether keys differ that have these last rows."""
        a, b = self._a.is_there(ia), self._b.is_there(ib)
        found: Bools = a != b
        both = np.flatnonzero(a & b)
        for start in range(0, len(both), _AT_ONCE):
            part = both[start : start + _AT_ONCE]
            found[part] = _differing(self._a.rows.states, ia[part], self._b.rows.states, ib[part])
        if self.one.projection.is_single:
            for place in np.flatnonzero(a != b).tolist():
                found[place] = not same(self._a.state(int(ia[place])), self._b.state(int(ib[place])))
        return found

    # -- frames ------------------------------------------------------------------------------------------------------

    def _frame(self, a: int, b: int, keys: Ints | None = None) -> pd.DataFrame:
        """What differs after the first rows of each, of all keys or of some."""
        count = len(self._keys) or int(self.one.projection.is_single)
        last = self._a.last(a, count), self._b.last(b, count)
        numbers = np.arange(count) if keys is None else keys
        if self.one.projection.is_single:  # whose state is there from the start
            rows = [(0, *change) for change in self._changes(0, *last)]
        else:
            numbers = numbers[self._differ(last[0][numbers], last[1][numbers])]
            rows = [(number, *change) for number in numbers.tolist() for change in self._changes(number, *last)]
        return self._table(rows, a, b, last)

    def _changes(self, number: int, a: Ints, b: Ints) -> Iterator[tuple[str, Any, Any]]:
        return changes(self._a.state(int(a[number])), self._b.state(int(b[number])))

    def _table(self, rows: list[tuple[Any, ...]], a: int, b: int, last: tuple[Ints, Ints]) -> pd.DataFrame:
        import pandas as pd

        keys = [self._keys[row[0]] if self._keys else None for row in rows]
        columns: dict[str, Any] = {
            "key": self.one._key_column(keys),
            "field": frames.strings(frames.objects([row[1] for row in rows])),
            "one": frames.column([row[2] for row in rows]),
            "other": frames.column([row[3] for row in rows]),
        }
        asked = [(row[0], row[1]) for row in rows]
        for name, side, stop, ends in (("one", self._a, a, last[0]), ("other", self._b, b, last[1])):
            setters = _setters(side, stop, ends, asked)
            there = np.flatnonzero(setters >= 0)
            at = setters[there]
            positions, us = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), frames.NO_TIME, dtype=np.int64)
            positions[there], us[there] = side.rows.positions[at], side.rows.us[at]
            types = np.full(len(rows), pd.NA, dtype=object)
            if len(at):
                types[there] = frames.objects(side.rows.type_names)[side.rows.types[at]]
            columns[f"{name}_position"] = pd.arrays.IntegerArray(positions, setters < 0)
            columns[f"{name}_type"] = frames.strings(types)
            columns[f"{name}_recorded_at"] = frames.times(us)
        return pd.DataFrame(columns)

    # -- charts ------------------------------------------------------------------------------------------------------

    def differing(self, field: str) -> list[Any]:
        """The keys that differ in a field of numbers, those that differ most at the end first; else where they part."""
        frame = self._ends[self._ends["field"] == field]
        if frame.empty and self._parting is not None:
            return [self._keys[number] if self._keys else None for number in self._parting[1].tolist()]
        ends = [frame[end].astype(object).where(frame[end].notna(), 0) for end in ("one", "other")]
        apart = [-abs(float(b) - float(a)) for a, b in zip(*ends, strict=True)]
        return [frame["key"].iloc[place] for place in np.argsort(apart, kind="stable").tolist()]

    def over_time(self, keys: Sequence[Any], field: str) -> pd.DataFrame:
        """What both had of a field of some keys after each time at which an event touched it: key, time, one, other.

        Raises `InputError` for a key that neither has.
        """
        import pandas as pd

        parts = []
        for key in keys:
            sides = [_steps(side, key, field) for side in (self._a, self._b)]
            us = np.unique(np.concatenate([times for times, _ in sides]))
            if not len(us) and not self.one.projection.is_single:
                raise InputError(f"neither history has a key {key!r}; they have {few(self._keys)}")
            columns: dict[str, Any] = {"key": frames.objects([key] * len(us)), "time": frames.times(us)}
            for name, (times, values) in zip(("one", "other"), sides, strict=True):
                at = np.searchsorted(times, us, side="right") - 1
                columns[name] = frames.column([values[place] if place >= 0 else None for place in at.tolist()])
            parts.append(pd.DataFrame(columns))
        empty = {"key": frames.objects([]), "time": frames.times(np.array([], dtype=np.int64)), "one": [], "other": []}
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(empty)

    @property
    def parts_at(self) -> pd.Timestamp | None:
        """The earliest time at which any state differs; None where none does, or they do from the start."""
        import pandas as pd

        us = moment.FIRST_US - 1 if self._parting is None else self._parting[0]
        return None if us < moment.FIRST_US else pd.Timestamp(from_us(us)).as_unit("us")

    # -- looks -------------------------------------------------------------------------------------------------------

    @property
    def _title(self) -> str:
        frame = self._ends
        differ, there = frame["key"].astype(object).nunique(dropna=False), max(len(self._keys), 1)
        text = f"comparison of {self.one.projection.name} with {self.other.projection.name}: "
        if self._parting is None:
            return f"{text}no difference, at no time"
        text += f"{differ} of {counted(there, 'key')} differ{'s' if differ == 1 else ''}"
        us = self._parting[0]
        when = "from the start" if us < moment.FIRST_US else f"at {time_text(from_us(us))}"
        return f"{text}{'' if differ else ' at the end'}, and they part {when}"

    @cached_property
    def _ends(self) -> pd.DataFrame:
        return self.df()

    def __repr__(self) -> str:
        rows = self._ends.head(_SHOWN)[["key", "field", "one", "other"]].itertuples(index=False)
        lines = [
            f"  {'the whole log' if key is None else str(key)}: {field} {_told(one)} | {_told(other)}"
            for key, field, one, other in rows
        ]
        more = len(self._ends) - len(lines)
        return "\n".join([f"<{self._title}", *lines, *([f"  … and {more} more"] if more else [])]) + ">"

    def _repr_html_(self) -> str:
        frame = self._ends
        heads = "".join(f"<th>{name}</th>" for name in frame)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(_told(value))}</td>" for value in row) + "</tr>"
            for row in frame.head(2 * _SHOWN).itertuples(index=False)
        )
        more = f"<p>… and {len(frame) - 2 * _SHOWN} more</p>" if len(frame) > 2 * _SHOWN else ""
        table = f"<table><tr>{heads}</tr>{rows}</table>{more}" if len(frame) else ""
        return f"<p><code>&lt;{escape(self._title)}&gt;</code></p>{table}"


def _joined(keys: list[Any], others: list[Any]) -> tuple[list[Any], Ints | None]:
    """The keys of both, and the number among them of each of the others; None where they are numbered alike."""
    least = min(len(keys), len(others))
    if keys[:least] == others[:least]:
        return (keys if len(keys) > least else others), None
    numbers = {key: number for number, key in enumerate(keys)}
    found = np.fromiter((numbers.setdefault(key, len(numbers)) for key in others), dtype=np.int64, count=len(others))
    return list(numbers), found


def _met(
    a: _Side, b: _Side, start: tuple[int, int], stop: tuple[int, int], last: tuple[Ints, Ints]
) -> tuple[Ints, Ints, Ints, Ints]:
    """For each time in a window and each key that an event touched then: both, and the key's last row on each side.

    `last` has the last row of each key before the window, and is taken on to the window's end.
    """
    spans = [np.arange(start[0], stop[0]), np.arange(start[1], stop[1])]
    codes = np.concatenate([a.codes(start[0], stop[0]), b.codes(start[1], stop[1])])
    us = np.concatenate([a.rows.us[start[0] : stop[0]], b.rows.us[start[1] : stop[1]]])
    order = np.lexsort((us, codes))  # a stable one: rows of one side stay in their order
    codes, us = codes[order], us[order]
    begins = np.append(True, codes[1:] != codes[:-1])[: len(codes)]
    ends = np.append(begins[1:] | (us[1:] != us[:-1]), True)[: len(codes)]
    found = []
    for side, rows in enumerate(spans):
        own = np.full(len(codes), -1, dtype=np.int64)
        own[slice(None, len(spans[0])) if side == 0 else slice(len(spans[0]), None)] = rows
        own = own[order]
        own = np.where(begins & (own < 0), last[side][codes], own)
        known = np.maximum.accumulate(np.where(begins | (own >= 0), np.arange(len(codes)), 0))
        found.append(own[known][ends])
    keys = codes[ends]
    for side in (0, 1):
        last[side][keys] = found[side]  # of several times of a key the last one stays
    return us[ends], keys, found[0], found[1]


def _differing(one: States, a: Ints, other: States, b: Ints) -> Bools:
    """For each pair of rows, one a side, whether the states differ; where a key ended, they are not looked at."""
    if isinstance(one, OfFields) and isinstance(other, OfFields) and one.fields.keys() == other.fields.keys():
        found = np.zeros(len(a), dtype=bool)
        for name, column in one.fields.items():
            beside = other.fields[name]
            if isinstance(column, Numbers) and isinstance(beside, Numbers):
                found |= column.differs(a, beside, b)
            else:
                found |= _unlike(column.take(a), beside.take(b))
        return found
    return _unlike(one.take(a), other.take(b))


def _unlike(ones: list[Any], others: list[Any]) -> Bools:
    """Which of the states, or values of a field, in two lists differ."""
    found = np.zeros(len(ones), dtype=bool)
    for start in range(0, len(ones), _BLOCK):
        a, b = ones[start : start + _BLOCK], others[start : start + _BLOCK]
        if not _surely_same(a, b):
            found[start : start + len(a)] = [next(changes(x, y), None) is not None for x, y in zip(a, b, strict=True)]
    return found


def _surely_same(ones: list[Any], others: list[Any]) -> bool:
    """Whether all are the same, told quickly; False also where only a closer look tells."""
    kinds = set(map(type, ones))
    if kinds <= _PLAIN:
        return ones == others and list(map(type, ones)) == list(map(type, others))
    if kinds != set(map(type, others)) or len(kinds) > 1:
        return False
    (kind,) = kinds
    if issubclass(kind, BaseModel) and kind.model_config.get("extra") != "allow":
        return _surely_same(list(map(vars, ones)), list(map(vars, others)))
    if kind is not dict or list(map(len, ones)) != list(map(len, others)):
        return False
    if list(chain.from_iterable(ones)) != list(chain.from_iterable(others)):
        return False
    return _surely_same(*(list(chain.from_iterable(map(dict.values, several))) for several in (ones, others)))


def _setters(side: _Side, stop: int, last: Ints, asked: list[tuple[int, str]]) -> Ints:
    """For each key and field, of the first rows the one that gave the field its value; -1 where there is none.

    The event that ended a key stands for all its fields.
    """
    found = last[[number for number, _ in asked]].astype(np.int64) if asked else np.array([], dtype=np.int64)
    before = _rows_before(side, stop, {number for number, _ in asked}, len(last))
    left = [place for place, row in enumerate(found.tolist()) if row >= 0 and not side.rows.gone[row]]
    while left:
        at = found[left]
        earlier = before[at]
        there = earlier >= 0
        there[there] = ~side.rows.gone[earlier[there]]
        left = [place for place, is_there in zip(left, there.tolist(), strict=True) if is_there]
        at, earlier = at[there], earlier[there]
        pairs = zip(left, side.rows.states.take(at), side.rows.states.take(earlier), earlier.tolist(), strict=True)
        going_on = []
        for place, now, was, row in pairs:
            name = asked[place][1]
            if now is was or same(fields_of(now).get(name, MISSING), fields_of(was).get(name, MISSING)):
                found[place] = row
                going_on.append(place)
        left = going_on
    return found


def _rows_before(side: _Side, stop: int, numbers: set[int], count: int) -> Ints:
    """For each of the first rows, where its key is asked for, the row of the key before it; -1 where there is none."""
    wanted = np.zeros(count, dtype=bool)
    wanted[list(numbers)] = True
    rows = np.flatnonzero(wanted[side.codes(0, stop)])
    before = np.full(stop, -1, dtype=np.int32)
    rows = rows[np.argsort(side.codes(0, stop)[rows], kind="stable")]
    codes = side.codes(0, stop)[rows]
    alike = codes[1:] == codes[:-1]
    before[rows[1:][alike]] = rows[:-1][alike]
    return before  # type: ignore[return-value]  # whole numbers, in half the room


def _steps(side: _Side, key: Any, field: str) -> tuple[Ints, list[Any]]:
    """The times of a key's rows, and what a field was after each; None where the key ended."""
    if key not in side.rows.keys:
        return np.array([], dtype=np.int64), []
    rows = np.flatnonzero(side.rows.codes == side.rows.keys.index(key))
    states = side.rows.states.take(rows)
    return side.rows.us[rows], [None if state is GONE else fields_of(state).get(field) for state in states]


def _told(value: Any) -> str:
    if value is None or value is MISSING or type(value).__name__ == "NAType" or value != value:
        return "—"
    return shown(value.item() if isinstance(value, np.generic) else value) if not isinstance(value, str) else value

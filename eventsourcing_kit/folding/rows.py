"""Handled events in the log's order, as columns: whose key each touched, where, when, of which type, and the states."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from eventsourcing_kit.folding.projection import GONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.folding.replay import Steps
    from eventsourcing_kit.folding.running import Column

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_AT_ONCE = 4096


class States(Protocol):
    """The state after each row; `GONE` where a key ended."""

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        ...

    def columns(self, rows: Ints) -> Mapping[str, Sequence[Any]] | None:
        """The fields of the states after some rows, None where a key ended; None where states must be looked at."""

    def upto(self, stop: int) -> States:
        """Those of the first rows."""
        ...

    @property
    def worth_keeping(self) -> bool:
        """Whether states are objects that are there anyway, so that to keep them in a dict costs little."""
        ...


class Listed:
    """States that handlers made."""

    worth_keeping = True

    def __init__(self, states: list[Any]) -> None:
        self._states = states

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        states = self._states
        return [states[row] for row in rows.tolist()]

    def columns(self, rows: Ints) -> None:  # as the others take them
        """They must be looked at one by one."""

    def upto(self, stop: int) -> Listed:
        """Those of the first rows."""
        return Listed(self._states[:stop])


class OfFields:
    """States that are dicts with a field a column."""

    worth_keeping = False

    def __init__(self, fields: dict[str, Column], gone: Bools) -> None:
        self.fields, self._gone = fields, gone

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        names = tuple(self.fields)
        columns = [one.take(rows) for one in self.fields.values()]
        found: list[Any] = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        for at in np.flatnonzero(self._gone[rows]).tolist():
            found[at] = GONE
        return found

    def columns(self, rows: Ints) -> dict[str, list[Any]]:
        """The fields after some rows."""
        ended = np.flatnonzero(self._gone[rows]).tolist()
        found = {name: column.take(rows) for name, column in self.fields.items()}
        for values in found.values():
            for at in ended:
                values[at] = None
        return found

    def held(self, rows: Ints) -> list[list[Any]]:
        """What the folds hold after some rows, each state a list."""
        return list(map(list, zip(*(column.held(rows) for column in self.fields.values()), strict=True)))

    def upto(self, stop: int) -> OfFields:
        """Those of the first rows."""
        return OfFields(self.fields, self._gone[:stop])


class Chosen:
    """Some of other states."""

    def __init__(self, states: States, chosen: Ints) -> None:
        self._states, self._chosen = states, chosen

    @property
    def worth_keeping(self) -> bool:
        """As those are."""
        return self._states.worth_keeping

    def take(self, rows: Ints) -> list[Any]:
        """The states after some rows."""
        return self._states.take(self._chosen[rows])

    def columns(self, rows: Ints) -> Mapping[str, Sequence[Any]] | None:
        """The fields after some rows."""
        return self._states.columns(self._chosen[rows])

    def upto(self, stop: int) -> States:
        """Those of the first rows."""
        return Chosen(self._states, self._chosen[:stop])


class Rows:
    """One row a handled event and key. `codes` number the `keys` in order of appearance, `types` the `type_names`."""

    def __init__(
        self,
        keys: list[Any],
        codes: Ints,
        positions: Ints,
        us: Ints,
        type_names: list[str],
        types: Ints,
        gone: Bools,
        states: States,
        skipped: Counter[str],
    ) -> None:
        self.keys, self.codes, self.positions, self.us = keys, codes, positions, us
        self.type_names, self.types, self.gone, self.skipped = type_names, types, gone, skipped
        self.states = states

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, steps: Steps) -> Rows:
        """What a fold with handlers passed through."""
        columns = (np.array(column, dtype=np.int64) for column in (steps.codes, steps.positions, steps.us, steps.types))
        codes, positions, us, types = columns
        gone = np.fromiter((state is GONE for state in steps.states), dtype=bool, count=len(steps.states))
        keys, names = list(steps.key_numbers), list(steps.type_numbers)
        return cls(keys, codes, positions, us, names, types, gone, Listed(steps.states), steps.tally.skipped)

    def last(self) -> Ints:
        """The last row of each key."""
        found = np.empty(len(self.keys), dtype=np.int64)
        found[self.codes] = np.arange(len(self))  # of several rows of a key the last one stays
        return found

    def last_states(self) -> dict[Any, Any]:
        """Each key's state after all rows."""
        states = zip(self.keys, self.states.take(self.last()), strict=True)
        return {key: state for key, state in states if state is not GONE}

    def upto(self, position: int) -> Rows:
        """The rows up to a position."""
        stop = int(np.searchsorted(self.positions, position, side="right"))
        if stop == len(self):
            return self
        codes, types, gone = self.codes[:stop], self.types[:stop], self.gone[:stop]
        keys = self.keys[: int(codes.max(initial=-1)) + 1]
        times = self.positions[:stop], self.us[:stop]
        return Rows(keys, codes, *times, self.type_names, types, gone, self.states.upto(stop), self.skipped)

    def chosen(self, rows: Ints) -> Rows:
        """Some of the rows, rising; their keys are numbered anew."""
        kept, codes = np.unique(self.codes[rows], return_inverse=True)
        keys = [self.keys[code] for code in kept.tolist()]
        columns = self.positions[rows], self.us[rows], self.type_names, self.types[rows], self.gone[rows]
        return Rows(keys, codes, *columns, Chosen(self.states, rows), self.skipped)

    def state(self, row: int) -> Any:
        """The state after one row."""
        return self.states.take(np.array([row]))[0]

    def each(self) -> Iterator[tuple[int, Any]]:
        """All rows with their states, in order, but those that ended a key."""
        for start in range(0, len(self), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(self)))
            for row, state in zip(rows.tolist(), self.states.take(rows), strict=True):
                if state is not GONE:
                    yield row, state

    def type_of(self, row: int) -> str:
        """The type of one row's event."""
        return self.type_names[int(self.types[row])]

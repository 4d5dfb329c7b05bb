"""A projection's states as rows: the table as it is now, and in a temporal one every row there ever was.

In the database stand two SQL tables, or one: the rows that hold now, and for a temporal table those that did. People
see one view of them, named as they named the table. A key is found by its number, which no type can blur.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eventsourcing_kit.folding.snapshots import FoldFingerprint
from eventsourcing_kit.reading.frames import integers
from eventsourcing_kit.tables import sql_values
from eventsourcing_kit.tables.catalogue import Kept
from eventsourcing_kit.tables.columns import Columns
from eventsourcing_kit.tables.duck import quoted
from eventsourcing_kit.tables.state_fold import Fold, Made
from eventsourcing_kit.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.rows import Ints, Rows
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.unknown import Policies
    from eventsourcing_kit.tables.duck import Duck
    from eventsourcing_kit.tables.sql_values import Kind

_TIME = "TIMESTAMP WITH TIME ZONE"
_READ_TIME = "make_timestamptz({})"
# The tables' own columns: no field's column has such a name (see columns).
_NUMBER, _FROM, _AT, _TO, _UNTIL = "#number", "#from", "#at", "#to", "#until"
_SINCE = {_NUMBER: "BIGINT", _FROM: _TIME, _AT: "BIGINT"}
_ENDED = {_TO: _TIME, _UNTIL: "BIGINT"}
_CELLS_A_STEP = 400_000  # values of states: a batch of wide states has fewer events


class StateTable(Table):
    """The table of one projection's states; `kept` is what the database holds of it, if it holds any."""

    def __init__(
        self, name: str, projection: Projection, *, temporal: bool, release: int = 1, kept: Kept | None = None
    ) -> None:
        if kept is None:
            columns = Columns.first(projection.first_state(), temporal=temporal).to_text()
            kept = Kept(name, release, temporal=temporal, columns=columns)
        super().__init__(kept)
        self._projection, self._temporal = projection, temporal  # as a rebuild makes it; `kept` says what it is
        self._basis: FoldFingerprint | None = None
        self.undo()

    def new(self, release: int) -> StateTable:
        """One that holds nothing yet; its columns are judged by the initial state until there are rows."""
        return StateTable(self.name, self._projection, temporal=self._temporal, release=release)

    def undo(self) -> None:
        """Go back to what was committed; states are folded anew when they are next needed."""
        self._columns = Columns.from_text(self.kept.columns, temporal=self.kept.temporal)
        self._made = Made.from_text(self.kept.code)
        self._fold = Fold(self._projection)

    @property
    def events_a_step(self) -> int:
        """How many events a batch has, about."""
        return max(min(super().events_a_step, _CELLS_A_STEP // max(len(self._columns.fields), 1)), 1)

    # -- by what its rows were made ----------------------------------------------------------------------------------

    def _today(self, policies: Policies, types: Iterable[str]) -> Made:
        """What today's code would make of these types; the code is looked at anew where it may have changed."""
        if self._basis is None or not self._basis.still_holds():
            self._basis = FoldFingerprint(self._projection)
        return Made.today(self._basis.text + (" temporal" if self._temporal else ""), policies, types, self._basis)

    def is_as_today(self, policies: Policies) -> bool:
        """Whether today's code would make the same rows of the same events."""
        return self._made == self._today(policies, self._made.readings.keys())

    # -- the SQL tables ----------------------------------------------------------------------------------------------

    def relations(self) -> dict[str, dict[str, str]]:
        """The rows that hold now; in a temporal table also those that did."""
        states = {name: kind.sql for name, kind in self._columns.every().items()}
        now = {self.relation(): states | _SINCE}
        return now | {self.relation(" past"): states | _SINCE | _ENDED} if self.kept.temporal else now

    def view(self) -> str:
        """The columns of the states, and in a temporal table from when to when they held."""
        columns = ", ".join(map(quoted, self._columns.every()))
        if not self.kept.temporal:
            return f"SELECT {columns} FROM {self.relation()}"
        at = f"{quoted(_FROM)} AS valid_from, {{}} AS valid_to, {quoted(_AT)} AS position, {{}} AS position_to"
        still = at.format(f"CAST(NULL AS {_TIME})", "CAST(NULL AS BIGINT)")
        once = at.format(quoted(_TO), quoted(_UNTIL))
        past = f"SELECT {columns}, {once} FROM {self.relation(' past')}"
        return f"{past} UNION ALL SELECT {columns}, {still} FROM {self.relation()}"

    def _reshape(self, duck: Duck, wanted: Columns, *, visible: bool) -> None:
        """Make the SQL tables, and the view where it is `visible`, have these columns."""
        was, self._columns = self._columns, wanted
        old, new = was.every(), wanted.every()
        has_changed = list(old.items()) != list(new.items())  # their order counts, which dicts do not compare
        if was.is_guess:
            self.create(duck)
        elif has_changed:
            self._widen(duck, old, new)
        if visible and (was.is_guess or has_changed):
            self.show(duck)

    def _widen(self, duck: Duck, old: dict[str, Kind], new: dict[str, Kind]) -> None:
        """Columns keep their order: new ones come last, and an old one may have another name and a wider type."""
        moved = [(f"# {was}", was, name) for was, name in zip(old, new, strict=False) if was != name]
        old = dict(zip(new, old.values(), strict=False))
        for table in self.relations():
            for between, was, _ in moved:
                duck.run(f"ALTER TABLE {table} RENAME COLUMN {quoted(was)} TO {quoted(between)}")
            for between, _, name in moved:
                duck.run(f"ALTER TABLE {table} RENAME COLUMN {quoted(between)} TO {quoted(name)}")
            for name, kind in new.items():
                if name not in old:
                    duck.run(f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {kind.sql}")
                elif old[name].sql != kind.sql:
                    values = sql_values.widening(quoted(name), old[name], kind)
                    duck.run(f"ALTER TABLE {table} ALTER COLUMN {quoted(name)} TYPE {kind.sql} USING {values}")

    # -- the rows ----------------------------------------------------------------------------------------------------

    def write(self, duck: Duck, log: Log, upto: int, *, visible: bool) -> Kept:
        """Write the states that changed."""
        today = self._today(log.policies, set())
        made = self._made if self._made.fold else today
        self._fold.catch_up(log, self.position, self.events_a_step)
        rows, numbers = self._fold.advance(log, upto)
        self._made = made.and_of(self._today(log.policies, self._fold.types))
        if len(rows):
            self._write(duck, rows, numbers, visible=visible)
        return replace(self.kept, code=self._made.to_text(), columns=self._columns.to_text())

    def _write(self, duck: Duck, rows: Rows, numbers: Ints, *, visible: bool) -> None:
        """Write the states that a fold passed through, `numbers` those of their keys.

        With the first row the columns are found anew: until then they were judged by the initial state.
        """
        followed = _next(rows.codes)
        is_wanted = ~rows.gone if self.kept.temporal else ~rows.gone & (followed < 0)
        wanted = np.flatnonzero(is_wanted)
        if self._columns.is_guess and not len(wanted):
            return
        columns = Columns(temporal=self.kept.temporal) if self._columns.is_guess else self._columns.copy()
        values = columns.fit(rows, wanted)
        self._reshape(duck, columns, visible=visible)
        if self.kept.temporal:
            self._close(duck, rows, numbers)
        with duck.given({"number": integers(np.unique(numbers))}):
            duck.run(f"DELETE FROM {self.relation()} WHERE {quoted(_NUMBER)} IN (SELECT number FROM given)")
        ends = followed[wanted]
        arrays = {
            name: (sql_values.array(values[name], kind), sql_values.reading(kind))
            for name, kind in columns.every().items()
        } | {
            _NUMBER: (integers(numbers[wanted]), "{}"),
            _FROM: (integers(rows.us[wanted]), _READ_TIME),
            _AT: (integers(rows.positions[wanted]), "{}"),
        }
        ended = {_TO: (integers(rows.us[ends]), _READ_TIME), _UNTIL: (integers(rows.positions[ends]), "{}")}
        for relation, picked, own in (
            (self.relation(), ends < 0, arrays),
            (self.relation(" past"), ends >= 0, arrays | ended),
        ):
            if picked.any():
                self.insert(duck, relation, {name: (array[picked], read) for name, (array, read) in own.items()})

    def _close(self, duck: Duck, rows: Rows, numbers: Ints) -> None:
        """Rows that held before these end with the first one of their key."""
        _, first = np.unique(rows.codes, return_index=True)
        ends = {"number": numbers[first], "time_us": rows.us[first], "place": rows.positions[first]}
        with duck.given({name: integers(column) for name, column in ends.items()}):
            duck.run(
                f"INSERT INTO {self.relation(' past')} BY NAME "
                f"SELECT n.*, make_timestamptz(g.time_us) AS {quoted(_TO)}, g.place AS {quoted(_UNTIL)} "
                f"FROM {self.relation()} n JOIN given g ON n.{quoted(_NUMBER)} = g.number"
            )


def _next(codes: Ints) -> Ints:
    """For each row the next one of its key; -1 for the last."""
    order = np.argsort(codes, kind="stable")
    found = np.full(len(codes), -1, dtype=np.int64)
    same = codes[order][1:] == codes[order][:-1]
    found[order[:-1][same]] = order[1:][same]
    return found

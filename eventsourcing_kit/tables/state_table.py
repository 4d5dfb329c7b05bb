"""A projection's states as rows: the table as it is now, and in a temporal one every row there ever was.

In the database stand two tables, or one: the rows that hold now, and for a temporal table those that did. People see
one view of them, named as they named the table. A key is found by its number, which no type can blur.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing_kit.folding.projection import GONE
from eventsourcing_kit.reading.frames import integers, nullable
from eventsourcing_kit.tables import sql_values
from eventsourcing_kit.tables.duck import quoted
from eventsourcing_kit.tables.table_columns import Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from eventsourcing_kit.folding.replay import Steps
    from eventsourcing_kit.tables.duck import Duck
    from eventsourcing_kit.tables.sql_values import Kind

    Ints = npt.NDArray[np.int64]

SCHEMA = "eventsourcing_kit"
_TIME = "TIMESTAMP WITH TIME ZONE"
# The tables' own columns: no field's column has such a name (see table_columns).
_NUMBER, _FROM, _AT, _TO, _UNTIL = '"#number"', '"#from"', '"#at"', '"#to"', '"#until"'


class StateTable:
    """Where the states of one projection are written; `release` tells one rebuild from the next."""

    def __init__(self, name: str, release: int, *, temporal: bool, columns: Columns) -> None:
        self.name, self.release, self.temporal, self.columns = name, release, temporal, columns
        self._now = f"{SCHEMA}.{quoted(f'{name} {release}')}"
        self._past = f"{SCHEMA}.{quoted(f'{name} {release} past')}"

    # -- the tables --------------------------------------------------------------------------------------------------

    def create(self, duck: Duck) -> None:
        """Make the tables, empty; within a transaction, as all of these."""
        columns = "".join(f", {quoted(name)} {kind.sql}" for name, kind in self.columns.every().items())
        since = f", {_NUMBER} BIGINT, {_FROM} {_TIME}, {_AT} BIGINT"
        duck.run(f"CREATE OR REPLACE TABLE {self._now} ({columns[2:]}{since})")
        if self.temporal:
            duck.run(f"CREATE OR REPLACE TABLE {self._past} ({columns[2:]}{since}, {_TO} {_TIME}, {_UNTIL} BIGINT)")

    def drop(self, duck: Duck) -> None:
        """Remove the tables, not the view."""
        duck.run(f"DROP TABLE IF EXISTS {self._now}")
        duck.run(f"DROP TABLE IF EXISTS {self._past}")

    def show(self, duck: Duck) -> None:
        """Let the view be of these tables, as their columns are."""
        columns = ", ".join(map(quoted, self.columns.every()))
        view = f"SELECT {columns} FROM {self._now}"
        if self.temporal:
            at = f"{_FROM} AS valid_from, {{}} AS valid_to, {_AT} AS position, {{}} AS position_to"
            still = at.format(f"CAST(NULL AS {_TIME})", "CAST(NULL AS BIGINT)")
            once = at.format(_TO, _UNTIL)
            view = f"SELECT {columns}, {once} FROM {self._past} UNION ALL SELECT {columns}, {still} FROM {self._now}"
        duck.run(f"CREATE OR REPLACE VIEW main.{quoted(self.name)} AS {view}")

    def _reshape(self, duck: Duck, wanted: Columns, *, visible: bool) -> None:
        """Make the tables, and the view where it is `visible`, have these columns."""
        old, new = self.columns.every(), wanted.every()
        shaped = StateTable(self.name, self.release, temporal=self.temporal, columns=wanted)
        has_changed = list(old.items()) != list(new.items())  # their order counts, which dicts do not compare
        if self.columns.is_guess:
            shaped.create(duck)
        elif has_changed:
            self._widen(duck, old, new)
        if visible and (self.columns.is_guess or has_changed):
            shaped.show(duck)

    def _widen(self, duck: Duck, old: dict[str, Kind], new: dict[str, Kind]) -> None:
        """Columns keep their order: new ones come last, and an old one may have another name and a wider type."""
        moved = [(f"# {was}", was, name) for was, name in zip(old, new, strict=False) if was != name]
        old = dict(zip(new, old.values(), strict=False))
        for table in (self._now, self._past) if self.temporal else (self._now,):
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

    def write(self, duck: Duck, steps: Steps, numbers: Sequence[int], *, visible: bool) -> Columns:
        """Write the states that a fold passed through, `numbers` those of their keys; returns the columns now.

        With the first row the columns are found anew: until then they were judged by the initial state.
        """
        last = dict(zip(numbers, range(len(numbers)), strict=True))
        ends = _ends(numbers) if self.temporal else {}
        wanted = [i for i in sorted({*ends, *last.values()}) if steps.states[i] is not GONE]
        if self.columns.is_guess and not wanted:
            return self.columns
        columns = Columns(temporal=self.temporal) if self.columns.is_guess else self.columns.copy()
        columns.meet([state for state in steps.states if state is not GONE])
        every = steps.keys
        keys = columns.fit_keys([every[i] for i in wanted])
        values = columns.fit([steps.states[i] for i in wanted])
        self._reshape(duck, columns, visible=visible)
        if self.temporal:
            self._close(duck, steps, numbers)
        self._replace(duck, list(last))
        self._insert(duck, columns, {"key": keys} | values, steps, numbers, wanted, ends)
        return columns

    def _close(self, duck: Duck, steps: Steps, numbers: Sequence[int]) -> None:
        """Rows that were open before these steps end with the first step of their key."""
        starts: dict[int, int] = {}
        for i, number in enumerate(numbers):
            starts.setdefault(number, i)
        rows = list(starts.values())
        given = {
            "number": _whole(list(starts)),
            "time_us": _whole([steps.us[i] for i in rows]),
            "place": _whole([steps.positions[i] for i in rows]),
        }
        with duck.given(given):
            duck.run(
                f"INSERT INTO {self._past} BY NAME "
                f"SELECT n.*, make_timestamptz(g.time_us) AS {_TO}, g.place AS {_UNTIL} "
                f"FROM {self._now} n JOIN given g ON n.{_NUMBER} = g.number"
            )

    def _replace(self, duck: Duck, numbers: list[int]) -> None:
        with duck.given({"number": _whole(numbers)}):
            duck.run(f"DELETE FROM {self._now} WHERE {_NUMBER} IN (SELECT number FROM given)")

    def _insert(
        self,
        duck: Duck,
        columns: Columns,
        values: dict[str, list[Any]],
        steps: Steps,
        numbers: Sequence[int],
        rows: list[int],
        ends: dict[int, int],
    ) -> None:
        kinds = columns.every()
        given = {f"c{i}": sql_values.array(values[name], kinds[name]) for i, name in enumerate(kinds)}
        followed = [ends.get(i) for i in rows]
        given |= {
            "number": _whole([numbers[i] for i in rows]),
            "time_us": _whole([steps.us[i] for i in rows]),
            "place": _whole([steps.positions[i] for i in rows]),
            "end_us": nullable([None if i is None else steps.us[i] for i in followed]),
            "end_place": nullable([None if i is None else steps.positions[i] for i in followed]),
        }
        into = ", ".join(map(quoted, kinds)) + f", {_NUMBER}, {_FROM}, {_AT}"
        taken = ", ".join(sql_values.from_array(f"c{i}", kind) for i, kind in enumerate(kinds.values()))
        taken += ", number, make_timestamptz(time_us), place"
        with duck.given(given):
            duck.run(f"INSERT INTO {self._now} ({into}) SELECT {taken} FROM given WHERE end_place IS NULL")
            if self.temporal:
                duck.run(
                    f"INSERT INTO {self._past} ({into}, {_TO}, {_UNTIL}) "
                    f"SELECT {taken}, make_timestamptz(end_us), end_place FROM given WHERE end_place IS NOT NULL"
                )


def _ends(numbers: Sequence[int]) -> dict[int, int]:
    """For each step that is followed by another of its key, that one."""
    ends: dict[int, int] = {}
    latest: dict[int, int] = {}
    for i, number in enumerate(numbers):
        if number in latest:
            ends[latest[number]] = i
        latest[number] = i
    return ends


def _whole(values: list[int]) -> Any:
    import numpy as np

    return integers(np.array(values, dtype=np.int64))

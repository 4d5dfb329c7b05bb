"""Which columns a projection's table has: one a field of its states, found as the states come."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from eventsourcing_kit.folding.history import fields_of
from eventsourcing_kit.reading import frames
from eventsourcing_kit.tables.sql_values import NOTHING, Kind, kind_of, kind_of_type, plain, wider

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventsourcing_kit.folding.rows import Ints, Rows

MOST_FIELDS = 400  # a dict that grows by a key an event is no row; what comes beyond this shares the column `state`
KEY = "key"
OF_TIME = ("valid_from", "valid_to", "position", "position_to")
_ABSENT = object()


class Whole:
    """Stands for the field of a state that is not taken apart (a number, a text, a list), or of what has no column."""

    def __str__(self) -> str:
        return "state"


WHOLE = Whole()
Field = str | Whole


class Column(NamedTuple):
    """A column's name, and what it holds."""

    name: str
    kind: Kind


_NEW = Column("", NOTHING)


class Columns:
    """The columns of one table, by the fields that they hold; `reserved` names are the table's own."""

    def __init__(self, *, temporal: bool) -> None:
        self.reserved = (KEY, *OF_TIME) if temporal else (KEY,)
        self.key = Column(KEY, NOTHING)
        self.fields: dict[Field, Column] = {}
        self.is_guess = False  # whether they were judged by the initial state, because no row has been written yet
        self._seen: set[type] = set()

    def copy(self) -> Columns:
        """The same columns, to be changed on their own."""
        made = Columns(temporal=len(self.reserved) > 1)
        made.key, made.fields, made._seen = self.key, dict(self.fields), set(self._seen)
        made.is_guess = self.is_guess
        return made

    def every(self) -> dict[str, Kind]:
        """All columns in their order, the key first."""
        return {column.name: column.kind for column in (self.key, *self.fields.values())}

    # -- states ------------------------------------------------------------------------------------------------------

    def meet(self, states: list[Any]) -> None:
        """Add columns for the fields of states, in the order in which they come."""
        known = len(self.fields)
        for state in states:
            self._meet(state)
        if len(self.fields) > known:
            names = frames.field_names(self.fields, self.reserved, str.casefold)
            self.fields = {field: Column(names[field], column.kind) for field, column in self.fields.items()}

    def _meet(self, state: Any) -> None:
        cls = type(state)
        if cls is dict and state.keys() <= self.fields.keys():
            return  # the usual case, the empty dict among them
        if cls in self._seen and not isinstance(state, dict) and not getattr(state, "model_extra", None):
            return
        if cls not in self._seen:
            self._seen.add(cls)
            for field, annotation in _annotations(cls).items():
                column = self.fields.get(field, _NEW)
                self.fields[field] = column._replace(kind=wider(column.kind, kind_of_type(annotation)))
        fields = fields_of(state)
        new: list[Field] = (
            [WHOLE] if fields.get("state", _ABSENT) is state else [one for one in fields if one not in self.fields]
        )
        room = max(MOST_FIELDS - len(self.fields), 0)
        for one in new if len(new) <= room else [*new[:room], WHOLE]:
            self.fields.setdefault(one, _NEW)

    def fit(self, rows: Rows, wanted: Ints) -> dict[str, list[Any]]:
        """The keys and states of the rows in question, as values by column; columns are widened until they hold them.

        Of all rows the fields have columns, in the order in which they come.
        """
        columns: dict[Field, Sequence[Any]]
        found = rows.states.columns(wanted)
        if found is None or len(found) > MOST_FIELDS:
            self.meet([state for _, state in rows.each()])
            columns = self._taken_apart(rows.states.take(wanted))
        else:
            self.meet([dict.fromkeys(found)])
            columns = {name: values for name, values in found.items()}
        keys = [rows.keys[code] for code in rows.codes[wanted].tolist()]
        self.key, fitted = self._fitted(self.key, keys)
        values = {KEY: fitted}
        for field, column in self.fields.items():
            self.fields[field], values[column.name] = self._fitted(column, columns.get(field, [None] * len(wanted)))
        return values

    @staticmethod
    def _fitted(column: Column, values: Sequence[Any]) -> tuple[Column, list[Any]]:
        """A column that is wide enough, and what goes into it."""
        found = plain(list(values))
        return column._replace(kind=wider(column.kind, kind_of(found))), found

    def _taken_apart(self, states: list[Any]) -> dict[Field, Sequence[Any]]:
        rows = [self._row(state) for state in states]
        return {field: [row.get(field) for row in rows] for field in self.fields}

    def _row(self, state: Any) -> dict[Any, Any]:
        if type(state) is dict and state.keys() <= self.fields.keys():
            return state
        fields = fields_of(state)
        if fields.get("state", _ABSENT) is state:
            return {WHOLE: state}
        beyond = {name: value for name, value in fields.items() if name not in self.fields}
        return {**fields, WHOLE: beyond} if beyond else fields

    # -- kept --------------------------------------------------------------------------------------------------------

    @classmethod
    def first(cls, state: Any, *, temporal: bool) -> Columns:
        """The columns that a table has before the first event, judged by the initial state."""
        made = cls(temporal=temporal)
        if state is not None:
            made.meet([state])
            for field, values in made._taken_apart([state]).items():
                made.fields[field], _ = made._fitted(made.fields[field], values)
        made.is_guess = True
        return made

    def to_text(self) -> str:
        """As JSON, for the next time that the database is opened."""
        fields = [
            [None if isinstance(field, Whole) else field, column.name, column.kind]
            for field, column in self.fields.items()
        ]
        return to_json([self.is_guess, self.key.kind, fields]).decode()

    @classmethod
    def from_text(cls, text: str, *, temporal: bool) -> Columns:
        """The inverse of `to_text`."""
        made = cls(temporal=temporal)
        made.is_guess, key, fields = from_json(text)
        made.key = Column(KEY, Kind(*key))
        made.fields = {WHOLE if field is None else field: Column(name, Kind(*kind)) for field, name, kind in fields}
        return made


def _annotations(cls: type) -> dict[str, Any]:
    if issubclass(cls, BaseModel):
        return {name: info.annotation for name, info in cls.model_fields.items()}
    names: Iterable[str] = getattr(cls, "_fields", ()) if issubclass(cls, tuple) else ()
    if dataclasses.is_dataclass(cls):
        names = [one.name for one in dataclasses.fields(cls)]
    try:
        hints = get_type_hints(cls) if names else {}
    except Exception:  # names that only a type checker knows: then the values tell
        hints = {}
    return {name: hints.get(name, Any) for name in names}

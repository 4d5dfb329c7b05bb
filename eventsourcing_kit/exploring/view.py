"""`explore`: what people call, and the view that they get."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.exploring import page
from eventsourcing_kit.exploring.packing import pack
from eventsourcing_kit.exploring.values import House
from eventsourcing_kit.folding.history import History
from eventsourcing_kit.folding.projection import Projection
from eventsourcing_kit.store import EventStore
from eventsourcing_kit.writing.decider import Decider

if TYPE_CHECKING:
    from eventsourcing_kit.exploring.values import Redact
    from eventsourcing_kit.records.moment import Moment

_LEFT = "left as they are"


class View:
    """What `explore` returns: shown by a notebook, saved as a page, pointed at by a person or by code."""

    def __init__(self, histories: list[History], house: House) -> None:
        self._histories, self._house = histories, house
        self._position = histories[0].as_of
        self._chosen: Any = _LEFT

    @property
    def moment(self) -> int:
        """The position that the person points at; it takes any moment of the history.

        Raises `MomentError` for a moment that is not in it.
        """
        return self._position

    @moment.setter
    def moment(self, moment: Moment) -> None:
        self._position = self._histories[0].position_of(moment)

    @property
    def key(self) -> Any:
        """The key that the person points at: the one chosen, else the one that the event at `moment` changed.

        None takes back the choice. Raises `InputError` for a key that the history does not have.
        """
        if self._chosen is not _LEFT:
            return self._chosen
        rows = self._histories[0].rows
        row = int(np.searchsorted(rows.positions, self._position, side="right")) - 1
        return rows.keys[rows.codes[row]] if row >= 0 else None

    @key.setter
    def key(self, key: Any) -> None:
        if key is None:
            self._chosen = _LEFT
            return
        keys = self._histories[0].rows.keys
        if key not in keys:
            raise InputError(f"the history has no key {key!r}; it has {', '.join(map(repr, keys[:5]))}, …")
        self._chosen = key

    def save(
        self,
        path: str | os.PathLike[str],
        fields: Iterable[str] | None = None,
        redact: Redact | None = None,
    ) -> None:
        """Write the view as one HTML file that needs no kernel and no network.

        `fields` and `redact` say what it may hold, as in `explore`, in whose place they come here. A link to
        `incident.html#position=1234` opens it there.

        Raises `InputError` for a field that there is not, and where `redact` fails.
        """
        given = self._house
        fields = given.fields if fields is None else fields
        house = House.of(fields, given.redact if redact is None else redact)
        title = f"{self._histories[0].projection.name}, as of {self._histories[0].as_of:,}"
        Path(path).write_text(page.page(title, pack(self._histories, house)), encoding="utf-8")

    def __repr__(self) -> str:
        first = self._histories[0]
        size = f"{counted(first.as_of)}, {counted(len(first.rows.keys), 'key')}"
        names = " and ".join(dict.fromkeys(history.projection.name for history in self._histories))
        return f"<explorer of {names}: {size}, at {self._position}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def explore(
    what: EventStore | History,
    other: Projection | Decider | History | None = None,
    *,
    fields: Iterable[str] | None = None,
    redact: Callable[[str, Any], Any] | None = None,
) -> View:
    """Travel through a log and its states by hand: `explore(store, projection)`, `explore(history)`, or two histories.

    In a notebook the view is alive (with the extra `explore`); `view.save("incident.html")` makes one file of it that
    works offline. `view.moment` and `view.key` are what the person points at. Of two histories both are shown, and
    where they part.

    `fields` names the fields of data, metadata and states that it may hold (None: all); `redact` is called with the
    name and value of each of those, of what is nested in them, and of each `key` and `stream`, and returns what is
    shown instead. In logs of more than 100,000 events, data and metadata are there of a sample, unless `fields` are
    named; of more than 2,000,000 the last ones are. The view says so.

    Raises `InputError` for what is neither, for a field that there is not, and where `redact` fails.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="Paid", data={"amount": amount}) for amount in (5, 20)])
    >>> paid = ek.Projection("paid", fields={"paid": ek.fold.total("Paid", "amount")})
    >>> view = ek.explore(store, paid)
    >>> view
    <explorer of paid: 2 events, 1 key, at 2>
    >>> view.moment = 1
    >>> view.moment, view.key
    (1, 'order-7')
    """
    house = House.of(fields, redact)
    if isinstance(what, History) and (other is None or isinstance(other, History)):
        return View([what] if other is None else [what, other], house)
    if isinstance(what, EventStore) and isinstance(other, (Projection, Decider)):
        return View([what.history(other)], house)
    raise InputError(
        f"{what!r} and {other!r} are nothing to explore; give a store and a projection, a history, or two histories"
    )

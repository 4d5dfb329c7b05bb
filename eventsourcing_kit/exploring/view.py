"""`explore`: what people call, and the view that they get."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.exploring import page, picture, widget
from eventsourcing_kit.exploring.packing import pack, pack_with_keys
from eventsourcing_kit.exploring.values import House
from eventsourcing_kit.folding.history import History, few
from eventsourcing_kit.folding.projection import Projection
from eventsourcing_kit.store import EventStore
from eventsourcing_kit.writing.decider import Decider

if TYPE_CHECKING:
    from eventsourcing_kit.exploring.values import Redact
    from eventsourcing_kit.records.moment import Moment


_NO_WIDGET = """to travel here, pip install 'eventsourcing_kit[explore]'; or view.save("page.html"), and open that"""


class _Free:
    """The choice of who chose no key."""


_FREE = _Free()


class View:
    """What `explore` returns: shown by a notebook, saved as a page, pointed at by a person or by code."""

    def __init__(self, histories: list[History], house: House, grown: Callable[[], History] | None = None) -> None:
        self._histories, self._house, self._grown = histories, house, grown
        self._position = histories[0].as_of
        self._chosen: Any = _FREE
        self._keys: list[Any] = []  # by the numbers that they have in what is packed
        self._widget: Any = None

    @property
    def moment(self) -> int:
        """The position that the person points at; it takes any moment of the history.

        Raises `MomentError` for a moment that is not in it.
        """
        return self._position

    @moment.setter
    def moment(self, moment: Moment) -> None:
        self._position = self._histories[0].position_of(moment)
        if self._widget is not None:
            self._widget._position = self._position

    @property
    def key(self) -> Any:
        """The key that the person points at: the one chosen, else the one that the event at `moment` changed.

        None takes back the choice. Raises `InputError` for a key that the history does not have.
        """
        if self._chosen is not _FREE:
            return self._chosen
        rows = self._histories[0].rows
        row = int(np.searchsorted(rows.positions, self._position, side="right")) - 1
        return rows.keys[rows.codes[row]] if row >= 0 else None

    @key.setter
    def key(self, key: Any) -> None:
        keys = [one for history in self._histories for one in history.rows.keys]
        if key is not None and key not in keys:
            raise InputError(f"the history has no key {key!r}; it has {few(keys)}")
        self._chosen = _FREE if key is None else key
        if self._widget is not None:
            self._widget._key = self._number()

    def _number(self) -> int:
        return self._keys.index(self._chosen) if self._chosen in self._keys else -1

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
        house = House.of(given.fields if fields is None else fields, given.redact if redact is None else redact)
        title = f"{self._histories[0].projection.name}, as of position {self._histories[0].as_of:,}"
        Path(path).write_text(page.page(title, pack(self._histories, house)), encoding="utf-8")

    # -- in a notebook -----------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **_options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, a picture for where nothing runs, and one line."""
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        metadata: dict[str, Any] = {}
        shot = picture.png(self._histories[0], self._position, self._house)
        if shot is not None:
            bundle["image/png"], metadata["image/png"] = shot
        kind = widget.widget_class()
        if kind is None:
            bundle["text/plain"] += (
                "\nto travel here, pip install 'eventsourcing_kit[explore]'; or view.save(\"page.html\")"
            )
            return bundle, metadata
        if self._widget is None:
            packed, self._keys = pack_with_keys(self._histories, self._house, compressed=False)
            self._widget = kind(_packed=packed, _position=self._position, _key=self._number())
            self._widget.observe(self._pointed, ["_position", "_key"])
            if self._grown is not None:
                widget.follow(self._histories[0].log, self, self._take_in)
        shown = self._widget._repr_mimebundle_()
        own = shown[0] if isinstance(shown, tuple) else shown
        return {widget.VIEW: own[widget.VIEW], **bundle}, metadata

    def _pointed(self, change: Any) -> None:
        """The person went somewhere."""
        if change["name"] == "_position":
            self._position = change["new"]
        else:
            self._chosen = self._keys[change["new"]] if 0 <= change["new"] < len(self._keys) else _FREE

    def _take_in(self) -> None:
        """The store has grown: show what is new; who stood at the end goes along."""
        assert self._grown is not None
        history = self._grown()
        at_end = self._position == self._histories[0].as_of
        self._histories = [history]
        packed, self._keys = pack_with_keys(self._histories, self._house, compressed=False)
        with self._widget.hold_sync():
            self._widget._packed = packed
            if at_end:
                self._widget._position = self._position = history.as_of

    def __repr__(self) -> str:
        first = self._histories[0]
        size = f"{counted(first.as_of)}, {counted(len(first.rows.keys), 'key')}"
        names = " and ".join(dict.fromkeys(history.projection.name for history in self._histories))
        return f"<explorer of {names}: {size}, at {self._position}>"


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
        return View([what.history(other)], house, partial(what.history, other))
    raise InputError(
        f"{what!r} and {other!r} are nothing to explore; give a store and a projection, a history, or two histories"
    )

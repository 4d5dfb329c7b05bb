"""Folds that are declared: what a projection's fields are made of, without handlers.

    account = ek.Projection("account", fields={
        "balance": ek.fold.total(MoneyDeposited, "amount") - ek.fold.total(MoneyWithdrawn, "amount"),
        "moves": ek.fold.count(MoneyDeposited, MoneyWithdrawn),
    })

They give the answers that handlers give, at the speed of columns. In all of them `types` is an event class, a type's
name, or several in a list, and `where` a dict of fields and the values that these must have (as `==` has it): other
events give no value. An event that lacks the field is passed over, and a null one too, but for `first` and `last`.
`eventsourcing_kit.folding.declared` has the definition of each. They raise `InputError` for a class without the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventsourcing_kit.events.event import Event, Types
from eventsourcing_kit.folding.declared import Declared, constant_term, terms

__all__ = ["collect", "count", "distinct", "first", "largest", "last", "mean", "smallest", "total"]


def __dir__() -> list[str]:
    return __all__


Where = Mapping[str, Any] | None


def total(types: Types, field: str, *, where: Where = None) -> Declared:
    """The sum of a field's numbers, from 0, added in the log's order; totals and counts can be added and subtracted.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> paid = [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (5, 20)]
    >>> _ = store.append("order-7", [*paid, ek.NewEvent(type="FoldDoc.Refunded", data={"amount": 2})])
    >>> net = ek.fold.total("FoldDoc.Paid", "amount") - ek.fold.total("FoldDoc.Refunded", "amount")
    >>> store.replay(ek.Projection("orders", fields={"net": net}))
    {'order-7': {'net': 23}}
    """
    return Declared("total", terms(types, field, where))


def count(*types: str | type[Event], where: Where = None) -> Declared:
    """The number of events; `count(Opened) - count(Closed)` is how many are open.

    Raises `InputError` for what is no event type.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.count("FoldDoc.Paid")}))
    {'order-7': {'found': 2}}
    """
    return Declared("total", constant_term(types, 1, where))


def first(types: Types | Mapping[Any, Any], field: str | None = None, *, where: Where = None) -> Declared:
    """The value of the first event; with a dict from types to values, the value of the first event's type.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.first("FoldDoc.Paid", "amount")}))
    {'order-7': {'found': 5}}
    """
    return Declared("first", terms(types, field, where))


def last(types: Types | Mapping[Any, Any], field: str | None = None, *, where: Where = None) -> Declared:
    """The value of the last event; with a dict from types to values, the value of the last event's type.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> status = ek.fold.last({"FoldDoc.Opened": "open", "FoldDoc.Closed": "closed"})
    >>> store = ek.EventStore()
    >>> _ = store.append("door-1", [ek.NewEvent(type="FoldDoc.Opened"), ek.NewEvent(type="FoldDoc.Closed")])
    >>> store.replay(ek.Projection("doors", fields={"status": status}), as_of=1)
    {'door-1': {'status': 'open'}}
    """
    return Declared("last", terms(types, field, where))


def smallest(types: Types, field: str, *, where: Where = None) -> Declared:
    """The smallest value; None before the first.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (20, 5)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.smallest("FoldDoc.Paid", "amount")}))
    {'order-7': {'found': 5}}
    """
    return Declared("smallest", terms(types, field, where))


def largest(types: Types, field: str, *, where: Where = None) -> Declared:
    """The largest value; None before the first.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (20, 5)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.largest("FoldDoc.Paid", "amount")}))
    {'order-7': {'found': 20}}
    """
    return Declared("largest", terms(types, field, where))


def mean(types: Types, field: str, *, where: Where = None) -> Declared:
    """The sum of a field's numbers divided by how many there are; None before the first.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.mean("FoldDoc.Paid", "amount")}))
    {'order-7': {'found': 12.5}}
    """
    return Declared("mean", terms(types, field, where))


def distinct(types: Types, field: str, *, where: Where = None) -> Declared:
    """The number of different values, from 0.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (5, 20, 5)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.distinct("FoldDoc.Paid", "amount")}))
    {'order-7': {'found': 2}}
    """
    return Declared("distinct", terms(types, field, where))


def collect(types: Types, field: str, *, where: Where = None) -> Declared:
    """All values, in the log's order, as a tuple; `()` before the first.

    Raises `InputError` for what is no event type, and for a field that its class lacks.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", [ek.NewEvent(type="FoldDoc.Paid", data={"amount": n}) for n in (5, 20)])
    >>> store.replay(ek.Projection("orders", fields={"found": ek.fold.collect("FoldDoc.Paid", "amount")}))
    {'order-7': {'found': (5, 20)}}
    """
    return Declared("collect", terms(types, field, where))

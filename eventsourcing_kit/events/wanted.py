"""Which event types are meant: by a class or a name, by a base class or a bare generic, or by "*" for every type."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values, renames, schema

EVERY_TYPE = "*"


def names(types: object) -> list[str]:
    """The names by which classes store their events, and names as they are; `types` is one or several."""
    several = list(types) if isinstance(types, Iterable) and not isinstance(types, (str, type)) else [types]
    return [name(one) for one in several]


def name(given: object) -> str:
    """The name by which a class stores its events, or the name itself."""
    if isinstance(given, str):
        return json_values.check_name(given, "an event type")
    kind = getattr(given, "__event_schema__", None) if isinstance(given, type) else None
    if isinstance(kind, schema.Schema):
        return kind.name
    raise InputError(
        f"{given!r} is no event type; give a class X(ek.Event), the type's name as text, or '*' for every type"
    )


def asked(types: object) -> frozenset[str] | None:
    """The names that a question is about; None for every type. Raises `InputError` where no type is given."""
    if types is None:
        return None
    found = frozenset(names(types))
    if not found:
        raise InputError(f"types={types!r} names no type, so no event would match; leave it out to ask for every type")
    return None if EVERY_TYPE in found else found


def meant(asked: frozenset[str]) -> frozenset[str]:
    """These types and those whose classes derive from theirs, as far as they are defined, by their names of today."""
    return _meant(asked, schema.generation())


@lru_cache(maxsize=128)
def _meant(asked: frozenset[str], _generation: int) -> frozenset[str]:
    today = frozenset(map(renames.current, asked))
    defined = {renames.current(one.name) for one in schema.every()}
    return today.union(name for name in defined if not today.isdisjoint(lineage(name)))


def lineage(type_: str) -> set[str]:
    """A type, and those of the classes from which its class derives, by their names of today."""
    kind = schema.registered(type_)
    classes = () if kind is None else kind.cls.__mro__
    return {type_, *(renames.current(own.name) for cls in classes if (own := vars(cls).get("__event_schema__")))}

"""Event types on their way to another process: a class takes its type's name, version, renames and upcasters along.

A class that cloudpickle sends by value, as those of notebooks, is made anew where it arrives, without the words that
stood in its class statement. What it is registered as travels with its `Schema`, which every event class holds.

Where a class is new to the process that it arrives in, it is registered there. One that is known already is left as it
is registered now; `install` has it as it was where it was sent from.
"""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, NamedTuple

from eventsourcing_kit.events import callables, renames, schema, upcasters
from eventsourcing_kit.events.schema import Schema
from eventsourcing_kit.events.upcasters import Upcaster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

    Links = dict[str, dict[int, Upcaster]]

_arrived: dict[str, Schema] = {}  # those registered here because they arrived, not because they were defined here
_MAKES_CLASSES = ("eventsourcing_kit", "pydantic", "types", "abc", "typing")


class Definition(NamedTuple):
    """All by which a type's events are read: its class, the names it took over, and upcasters by type and version."""

    kind: Schema
    successors: dict[str, str]
    links: Links


def is_being_made_anew() -> bool:
    """Whether the class that is being defined is one that arrives: it has no fields yet, and its `Schema` follows."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _MAKES_CLASSES:
        frame = frame.f_back
    return "cloudpickle" in frame.f_globals.get("__name__", "")


def definitions(types: Iterable[str] | None) -> list[Definition]:
    """Those of some types, by their names of today; of all types that are registered where None is given."""
    found = schema.every() if types is None else [schema.registered(name) for name in sorted(types)]
    return [Definition(one, *_beside(one.name)) for one in found if one is not None]


def _beside(name: str) -> tuple[dict[str, str], Links]:
    today = renames.current(name)
    successors = {one: to for one, to in renames.successors.items() if renames.current(one) == today}
    links = {one: dict(own) for one, own in upcasters.registry.items() if own and renames.current(one) == today}
    return successors, links


def install(sent: Iterable[Definition], *, at_any_rate: bool = False) -> None:
    """Have types read as where they were sent from.

    What was defined here counts, unless what was sent is of a newer version; or the other way round `at_any_rate`.
    """
    for one in sent:
        here = schema.registered(one.kind.name)
        if here is None or here.cls is not one.kind.cls:
            is_own = here is not None and here is not _arrived.get(one.kind.name)
            if here is not None and is_own and one.kind.version <= here.version and not at_any_rate:
                continue
            _register(one.kind.cls, one.kind.name, one.kind.version)
        _join(one.successors, one.links)


def _register(cls: type[BaseModel], name: str, version: int) -> Schema:
    _arrived[name] = made = schema.register(cls, name, version)
    return made


def _join(successors: dict[str, str], links: Links) -> None:
    """Renames and upcasters as they were sent, where they are not so already."""
    for former, name in successors.items():
        if renames.successors.get(former) != name:
            renames.check(name, [former])
            renames.successors[former] = name
            schema.changed()
    for type_, own in links.items():
        here = upcasters.registry.setdefault(type_, {})
        if {n: _made_of(one) for n, one in here.items()} != {n: _made_of(one) for n, one in own.items()}:
            here.clear()
            here.update(own)
            schema.changed()


def _made_of(link: Upcaster) -> object:
    return callables.makeup(link.function)


def _taken_along(kind: Schema) -> tuple[object, tuple[object, ...]]:
    return _arrive, (kind.cls, kind.name, kind.version, *_beside(kind.name))


def _arrive(cls: type[BaseModel], name: str, version: int, successors: dict[str, str], links: Links) -> Schema:
    known: Schema | None = vars(cls).get("__event_schema__")
    if known is not None:
        return known
    made = _register(cls, name, version)
    _join(successors, links)
    return made


copyreg.pickle(Schema, _taken_along)  # type: ignore[arg-type]  # it may return what `__reduce__` may

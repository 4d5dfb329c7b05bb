"""Renamed event types: which name stands for a type today, whatever it was called when its events were stored.

`class Deposited(ek.Event, version=2, renamed_from="MoneyDeposited")` takes over the events of that name. They are read,
filtered and projected under the new name; the log keeps the old one. Schema versions go on counting across a rename.
"""

from __future__ import annotations

from eventsourcing_kit.errors import InputError

successors: dict[str, str] = {}


def current(name: str) -> str:
    """A type's name today: the last of the names that followed this one."""
    while name in successors:
        name = successors[name]
    return name


def former(name: str) -> list[str]:
    """The names that a type had before, in the order in which they were given up."""
    return [one for one in list(successors) if current(one) == current(name)]


def check(name: str, former_names: list[str]) -> None:
    """Refuse renames that would lead back to the name they start from."""
    way = [name]
    while way[-1] in successors:
        way.append(successors[way[-1]])
    for one in former_names:
        if one in way:
            circle = " → ".join([*way[: way.index(one) + 1], name])
            raise InputError(
                f"{name!r} cannot be renamed from {one!r}: the renames would go in a circle ({circle}); "
                f"leave renamed_from out of the class that {one!r} names, define that class again, then this one"
            )


def define(name: str, former_names: list[str]) -> None:
    """The type `name` is defined, and took over these names; the newest definition counts."""
    successors.pop(name, None)
    successors.update(dict.fromkeys(former_names, name))
    for one in [one for one, successor in list(successors.items()) if successor == name and one not in former_names]:
        del successors[one]

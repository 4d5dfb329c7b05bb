"""Upcasters: pure functions that turn the stored data of one schema version into that of the next, on every read.

A chain leads from the version that an event was stored with to that of the type's class, one version a link, so it
cannot go in circles. An upcaster that leads beyond its class, or that leaves a hole in the chain, is refused when it is
defined; a chain that ends before its class (whose next link may be in the next cell) when an event needs it. A type
without any upcaster is read as tolerantly as ever: new fields take their defaults, dropped ones are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError, SchemaError
from eventsourcing_kit.events import callables, json_values, renames, schema, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

Data = dict[str, Any]
Function = TypeVar("Function", bound=Callable[[Data], Data])


@dataclass(frozen=True, slots=True)
class Upcaster:
    """One link of a chain: from `from_version` to the next."""

    type: str
    from_version: int
    function: Callable[[Data], Data]

    def __str__(self) -> str:
        where, version = callables.where(self.function), self.from_version
        return f"the upcaster {where} of {self.type!r} from version {version} to {version + 1}"


registry: dict[str, dict[int, Upcaster]] = {}


def upcast(type: str | type[BaseModel], *, from_version: int) -> Callable[[Function], Function]:
    """Decorate a pure function that turns an event's stored data of version n into that of version n + 1.

    It takes and returns a plain dict (it gets a copy); what the last of a chain returns is validated by the class.
    `type` is the class, or its name, before or after the class is defined. A later definition replaces an earlier one.
    Where a type has an upcaster, every older version that is read needs one; return the data unchanged where nothing
    changed. The log is never rewritten.

    Raises `InputError` for a version that is not older than the class's, or that leaves a hole in the chain.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> class MoneyMoved(ek.Event):
    ...     amount: int
    >>> _ = store.append("account-1", MoneyMoved(amount=5))
    >>> class MoneyMoved(ek.Event, version=2):
    ...     cents: int
    >>> @ek.upcast(MoneyMoved, from_version=1)
    ... def to_cents(data):
    ...     return {"cents": data["amount"] * 100}
    >>> [event.data for event in store.read()]
    [MoneyMoved(cents=500)]
    """
    name = wanted.name(type)
    if isinstance(from_version, bool) or not isinstance(from_version, int) or from_version < 1:
        raise InputError(f"from_version is {from_version!r}; give the version to start from, a whole number from 1")
    _check_leads_to_class(name, from_version)
    _check_no_hole(name, from_version)

    def register(function: Function) -> Function:
        _check_function(function)
        schema.changed()
        registry.setdefault(name, {})[from_version] = Upcaster(name, from_version, function)
        for type_, found in _named_like(name):
            if type_ != name:
                found.pop(from_version, None)
        return function

    return register


def _check_leads_to_class(name: str, from_version: int) -> None:
    kind = schema.registered(renames.current(name))
    if kind is not None and from_version >= kind.version:
        raise InputError(_leads_beyond(name, from_version, kind.version))


def _leads_beyond(name: str, from_version: int, version: int) -> str:
    return (
        f"an upcaster of {name!r} from version {from_version} leads to version {from_version + 1}, and its class has "
        f"version {version}; give the class version={from_version + 1}, or the upcaster a smaller from_version"
    )


def _check_no_hole(name: str, from_version: int) -> None:
    there = of(renames.current(name)).keys() | {from_version}
    below = [n for n in there if n < from_version]
    above = [n for n in there if n > from_version]
    hole = None
    if below and max(below) + 1 < from_version:
        hole = max(below) + 1
    elif not below and above and min(above) > from_version + 1:
        hole = from_version + 1
    if hole is not None:
        raise InputError(
            f"the upcasters of {name!r} would have a gap: there are those from {sorted(there)}, and none from version "
            f"{hole}; define that one first (@ek.upcast({name!r}, from_version={hole}))"
        )


def _check_function(function: object) -> None:
    callables.check(function, "the upcaster", "an event's data, which returns the newer")
    if trouble := callables.misfit(function, 1):
        name = getattr(function, "__qualname__", callables.where(function))
        raise InputError(f"the upcaster {name!r} cannot be called with an event's data alone: {trouble}")


def check_class(name: str, version: int) -> None:
    """Refuse a class that upcasters, defined before it by the type's name, lead beyond.

    A class that is defined again with a lower version (a notebook's first cell) leaves later upcasters unused.
    """
    beyond = [n for n in of(name) if n >= version]
    if beyond and schema.registered(name) is None:
        raise InputError(_leads_beyond(name, max(beyond), version))


def of(name: str) -> dict[int, Upcaster]:
    """A type's upcasters by the version that each starts from, also those given to its former names."""
    if not renames.former(name):
        return registry.get(name, {})
    return {n: one for _, found in _named_like(name) for n, one in found.items()}


def _named_like(name: str) -> list[tuple[str, dict[int, Upcaster]]]:
    """The upcasters given to any of a type's names."""
    today = renames.current(name)
    return [(type_, found) for type_, found in list(registry.items()) if renames.current(type_) == today]


def chain(name: str, stored: int, wanted: int) -> list[Upcaster | None]:
    """The upcasters from one version to another, in turn; None stands last for one that is missing.

    Empty where none is needed: equal versions, or a type without upcasters.
    """
    if stored >= wanted:
        return []
    found, links = of(name), list[Upcaster | None]()
    while found and stored + len(links) < wanted:
        links.append(found.get(stored + len(links)))
        if links[-1] is None:
            break
    return links


def apply(links: Sequence[Upcaster], rows: list[Data], positions: Sequence[int]) -> list[Data]:
    """Rows of stored data through a chain; raises `SchemaError` naming position, upcaster and data."""
    rows = from_json(to_json(rows))
    for link in links:
        rows = _checked(link, _called(link, rows, positions), positions)
    return rows


def _called(link: Upcaster, rows: list[Data], positions: Sequence[int]) -> list[Any]:
    results: list[Any] = []
    try:
        for row in rows:
            results.append(link.function(row))
    except Exception as error:
        at = len(results)
        raise SchemaError(
            f"{link} failed on the event at position {positions[at]}: {type(error).__name__}: {error}; "
            f"the data was {json_values.shown(rows[at])}; mend the function, and define it again"
        ) from error
    return results


def _checked(link: Upcaster, results: list[Any], positions: Sequence[int]) -> list[Data]:
    """Copies of the results, once they are known to be dicts of plain JSON: the next link may change its own."""
    try:
        copies: list[Data] = from_json(to_json(results), allow_inf_nan=False)
        if copies == results and all(isinstance(one, dict) for one in results):
            return copies
    except (ValueError, RecursionError):  # what is no JSON is named below
        pass
    return [_plain(link, one, position) for one, position in zip(results, positions, strict=True)]


def _plain(link: Upcaster, result: Any, position: int) -> Data:
    if not isinstance(result, dict):
        raise SchemaError(
            f"{link} returned {json_values.shown(result)} for the event at position {position}; "
            f"return a dict, the data of version {link.from_version + 1}"
        )
    try:
        plain: Data = json_values.plain_json(result, "what it returned")
    except InputError as error:
        raise SchemaError(f"{link} returned junk for the event at position {position}: {error}") from error
    return plain

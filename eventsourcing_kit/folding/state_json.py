"""States as JSON, where they read back the same: equal, and of the same types all the way down."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_UTC = "UTC"
_PLAIN = (type(None), bool, int, float, str, list, dict)


class NotKeptError(Exception):
    """A state that would not read back the same; says why."""


@lru_cache(maxsize=256)
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def dump(state: Any, classes: Mapping[str, type]) -> list[Any]:
    """A state as JSON, with the name of its class among `classes`; raises `NotKeptError` where it is not kept."""
    kind: Any = type(state)
    name = None if kind in _PLAIN else kind.__qualname__.rpartition("<locals>.")[2]
    if name is not None and not (classes.get(name) is kind or _TYPES.get(name) is kind):
        raise NotKeptError(f"a state of type {name} that the fold's code does not name, so a change of it goes unseen")
    try:
        plain = state if name is None else _adapter(kind).dump_python(
            state, mode="json", exclude_unset=True, warnings=False
        )  # fmt: skip
        text = to_json(plain)
        for written in ([name, plain], [name, plain, _UTC]):
            if identical(state, load([name, from_json(text), *written[2:]], classes)):
                return written
    except Exception as error:  # a class may raise anything while it is written, read or compared
        raise NotKeptError(f"a state of type {kind.__name__} cannot be written as JSON: {error}") from None
    raise NotKeptError(f"a state of type {kind.__name__} does not read back equal from JSON")


def load(written: list[Any], classes: Mapping[str, type]) -> Any:
    """The inverse of `dump`."""
    name, plain, *zone = written
    if name is None:
        return plain
    kind = classes[name] if name in classes else _TYPES[name]
    state = _adapter(kind).validate_json(to_json(plain))
    return _in_utc(state) if zone else state


def _in_utc(value: Any) -> Any:
    """A state as pydantic made it, its times in Python's own UTC, which prints as it did when it was folded."""
    if isinstance(value, (datetime, time)):
        return value if value.tzinfo is None else value.replace(tzinfo=UTC)
    if isinstance(value, dict):
        return type(value)({key: _in_utc(one) for key, one in value.items()})
    if isinstance(value, (list, set, frozenset)):
        return type(value)(map(_in_utc, value))
    if isinstance(value, tuple):
        return getattr(value, "_make", tuple)(map(_in_utc, value))
    if isinstance(value, BaseModel):
        vars(value).update(_in_utc(vars(value)))
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            object.__setattr__(value, one.name, _in_utc(getattr(value, one.name)))
    return value


def identical(a: Any, b: Any) -> bool:
    """Whether two states cannot be told apart by what they hold."""
    if type(a) is not type(b):
        return False
    if isinstance(a, BaseModel):
        beside = (a.__pydantic_extra__, a.__pydantic_private__) == (b.__pydantic_extra__, b.__pydantic_private__)
        return beside and a.model_fields_set == b.model_fields_set and identical(a.__dict__, b.__dict__)
    if dataclasses.is_dataclass(a):
        names = [one.name for one in dataclasses.fields(a)]
        return all(identical(getattr(a, name), getattr(b, name)) for name in names) and _beside(a) == _beside(b)
    if isinstance(a, dict):
        return identical(list(a), list(b)) and identical(list(a.values()), list(b.values()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, (set, frozenset)):
        return bool(a == b) and sorted(map(_with_type, a)) == sorted(map(_with_type, b))
    if isinstance(a, float):
        return bool(a.hex() == b.hex())
    return bool(a == b) and repr(a) == repr(b)  # equal times may be of zones that print differently


def _beside(instance: Any) -> set[str]:
    """The names of attributes that are no fields."""
    attributes: dict[str, Any] = getattr(instance, "__dict__", {})
    return set(attributes) - {one.name for one in dataclasses.fields(instance)}


def _with_type(value: Any) -> str:
    return f"{type(value).__qualname__} {value!r}"


def _simple_types() -> dict[str, type]:
    """Types of the standard library that a state may be, and that JSON keeps by their name."""
    from datetime import date, timedelta
    from decimal import Decimal
    from uuid import UUID

    return {one.__qualname__: one for one in (datetime, date, time, timedelta, Decimal, UUID)}


_TYPES = _simple_types()

"""Plain JSON: what of it is taken, how it is copied, and how values are shown in errors."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError, without_addresses

NAME_BYTES = 1024
DIGITS = 4300  # of a whole number: the most that JSON is read back with
DEPTH = 128
SURROGATE = "has a lone surrogate; remove it"
PLAIN_TYPES = {int, str, float, bool, type(None)}
_SHOWN_CHARACTERS = 200
_TOO_LARGE, _TOO_SMALL = 10**DIGITS, -(10**DIGITS)


def check_name(name: object, what: str) -> str:
    """`name`, if it can name a stream or a type; `what` says which in the error."""
    if not isinstance(name, str) or not name:
        raise InputError(f"{what} is named by text that is not empty, not by {name!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InputError(f"{what}'s name {name!r} has a lone surrogate, which no text can hold; remove it") from None
    if size > NAME_BYTES:
        raise InputError(f"{what}'s name {name[:40]!r}… takes {size} bytes; {NAME_BYTES} is the most, so shorten it")
    return name


def plain_json(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of `value`, if it is plain JSON and reads back equal; `where` names the place in the error."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value, where)
    if isinstance(value, int):
        if not _TOO_SMALL < value < _TOO_LARGE:
            raise InputError(f"{where} is a number of more than {DIGITS} digits, which is too long; store it as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where} is {value!r}, which JSON cannot hold; leave the field out, or use None")
        return float(value)
    if depth > DEPTH:
        raise InputError(f"{where} is nested deeper than {DEPTH} levels; store it flatter, or as text")
    if isinstance(value, list):
        return [plain_json(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {_plain_key(k, where): plain_json(item, f"{where}.{k}", depth + 1) for k, item in value.items()}
    raise InputError(
        f"{where} is {shown(value)} of type {type(value).__name__}, which would not read back equal from plain JSON; "
        "convert it, or give the event a class (class X(ek.Event)) with a typed field"
    )


def _plain_text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where} is {shown(value)}, which {SURROGATE}") from None
    return str(value)


def _plain_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise InputError(f"{where} has the key {key!r}; the keys of plain JSON are text, so write {str(key)!r}")
    return _plain_text(key, f"a key of {where}")


@contextmanager
def plain_objects_only() -> Iterator[None]:
    """Plain objects are made in great number: the cycle collector, which would walk all of them, has nothing to find.

    Nobody else's code may run meanwhile: it is to find the collector as people left it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def shown(value: object) -> str:
    """A value in an error: what was given may be huge, or nested too deep even for its repr."""
    try:
        text = without_addresses(repr(value))
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deep to show"
    except Exception:  # a repr of its own may raise anything, and Python writes out no number of over 4300 digits
        return f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def in_order(value: Any, dumped: Any) -> Any:
    """Sets iterate in another order in every process; sorted, the same event gives the same bytes."""
    if isinstance(value, (set, frozenset)):
        return sorted(dumped, key=to_json)
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        return {name: in_order(getattr(value, name, None), inner) for name, inner in dumped.items()}
    if isinstance(value, dict) and isinstance(dumped, dict) and len(value) == len(dumped):
        return {k: in_order(one, inner) for one, (k, inner) in zip(value.values(), dumped.items(), strict=True)}
    if isinstance(value, (list, tuple)) and isinstance(dumped, list) and len(value) == len(dumped):
        return [in_order(one, inner) for one, inner in zip(value, dumped, strict=True)]
    return dumped


def copy_json(value: Any) -> Any:
    """A deep copy of plain JSON."""
    if type(value) is dict and PLAIN_TYPES.issuperset(map(type, value.values())):
        return value.copy()
    return from_json(to_json(value))

"""Fingerprints of code: equal as long as the code does the same to the same stored events, in every process.

What a fold saved (a snapshot) is used only while the fingerprints of its event types and of its functions are those
that it was saved with. They see the code of functions, the functions within, their defaults and plain values from
around them, not what a function calls by a global name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from types import CodeType
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from eventsourcing_kit import renames, schema, upcasters

_PLAIN = (str, bytes, int, float, bool, type(None))


def of_type(name: str) -> str:
    """A text that changes with what the stored events of a type are read as.

    It covers the class's fields, version, former names and own functions (validators among them), and the type's
    upcasters. A type without a class has a fingerprint too.
    """
    name = renames.current(name)
    kind = schema.registered(name)
    links = [(n, of_code(link.function)) for n, link in sorted(upcasters.of(name).items())]
    described = None if kind is None else [kind.version, _fields(kind.cls), _functions(kind.cls)]
    return _digest([name, sorted(renames.former(name)), described, links])


def of_code(function: Callable[..., Any]) -> str:
    """A text that changes with a function's code; of what has no Python code, its name."""
    return _digest(_described(function))


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _fields(cls: type[BaseModel]) -> Any:
    try:
        return cls.model_json_schema()
    except PydanticUserError:  # fields of types that JSON Schema has no words for
        return [[name, str(info.annotation), info.is_required()] for name, info in cls.model_fields.items()]


def _functions(cls: type[BaseModel]) -> list[Any]:
    """The functions that a class and those it derives from bring along, down to the kit's own."""
    found = []
    for one in cls.__mro__:
        if one.__module__.partition(".")[0] in ("eventsourcing_kit", "pydantic", "builtins", "abc"):
            continue
        for name, value in sorted(vars(one).items()):
            function = getattr(value, "wrapped", value)  # how pydantic keeps a decorated function
            function = getattr(function, "__func__", getattr(function, "fget", function))
            if hasattr(function, "__code__"):
                found.append([name, _described(function)])
    return found


def _described(function: Any) -> Any:
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return [getattr(function, "__module__", ""), getattr(function, "__qualname__", type(function).__qualname__)]
    around = [_plain(cell) for cell in _cells(function)]
    defaults = [_plain(value) for value in function.__defaults__ or ()]
    named = {name: _plain(value) for name, value in (function.__kwdefaults__ or {}).items()}
    return [_code(code), around, defaults, named]


def _cells(function: Any) -> list[Any]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not set yet
            found.append(None)
    return found


def _code(code: CodeType) -> Any:
    """What a code does, without where it stands."""
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), [_plain(one) for one in code.co_consts]]


def _plain(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, (frozenset, set)):  # in another order in every process
        return sorted(json.dumps(_plain(one)) for one in value)
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__

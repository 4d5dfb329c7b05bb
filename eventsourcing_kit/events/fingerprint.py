"""Fingerprints of code: two folds with the same one do the same, so the one may go on from the other's states.

A fingerprint follows a function to everything that it can reach: its bytecode and constants, defaults, what it closes
over, and the functions, classes and values among its globals. It knows nothing of names, files, lines or addresses, so
a cell that is run again has the fingerprint it had. Libraries stand in it with their versions. Where something has no
meaning that could be written down (an open file, a lock), there is no fingerprint; or, where that is asked for, one in
which such a thing's type stands for it.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import dis
import enum
import fractions
import functools
import hashlib
import inspect
import operator
import pathlib
import re
import sys
import types
import typing
import uuid
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
_BY_REPR = (
    datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, uuid.UUID,
    pathlib.PurePath, re.Pattern, range, typing.TypeVar, typing.ForwardRef,
)  # fmt: skip
_NAMED = (
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.GetSetDescriptorType,
)
_GETTERS = (operator.attrgetter, operator.itemgetter, operator.methodcaller)
_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | (inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR)
)  # what a function does; the others say where it stands (CO_NESTED)
_PARTS = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount", "co_kwonlyargcount")
_MISSING = object()


class UnknowableError(Exception):
    """Something is reached that has no fingerprint."""


class Walk:
    """What a fold can reach, hashed; `classes` are those met, `watched` the globals by which it was reached."""

    def __init__(self, *, strict: bool = True) -> None:
        self._strict = strict
        self._hash = hashlib.sha256()
        self._met: dict[int, tuple[int, Any]] = {}
        self.classes: dict[str, type] = {}
        self.watched: list[tuple[dict[str, Any], str, Any]] = []

    def text(self) -> str:
        """The fingerprint."""
        return self._hash.hexdigest()[:32]

    def still_holds(self) -> bool:
        """Whether the globals that were met are still the same objects."""
        return all(names.get(name, _MISSING) is value for names, name, value in self.watched)

    def add(self, value: Any) -> None:
        """Follow a value; raises `UnknowableError`."""
        if type(value) in _PLAIN:
            self._say(type(value).__name__, repr(value))
            return
        met = self._met.get(id(value))
        if met is not None:
            self._say("again", str(met[0]))
            return
        self._met[id(value)] = len(self._met), value  # kept, so that no other object gets its id
        try:
            self._follow(value)
        except (UnknowableError, RecursionError):
            raise
        except Exception:  # whatever an object raises that is looked at: a proxy without its object, say
            self._opaque(value)

    def _say(self, *words: str) -> None:
        for word in words:
            part = word.encode("utf-8", "surrogatepass")
            self._hash.update(len(part).to_bytes(8, "big") + part)

    def _all(self, kind: str, values: Any) -> None:
        several = list(values)
        self._say(kind, str(len(several)))
        for one in several:
            self.add(one)

    def _follow(self, value: Any) -> None:  # noqa: C901  # one case a kind of value, each a line or two
        if isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type) and not isinstance(value, types.GenericAlias):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._say("module", value.__name__, *_release(value.__name__))
        elif isinstance(value, enum.Enum):
            self._all("member", (type(value), value.name))
        elif type(value) in (tuple, list):
            self._all(type(value).__name__, value)
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            self._all("named tuple", (type(value), *value))
        elif isinstance(value, (set, frozenset)) and type(value) in (set, frozenset):
            self._say(type(value).__name__, *sorted(map(self._of_member, value)))
        elif type(value) is dict or isinstance(value, types.MappingProxyType):
            self._all("dict", [part for item in value.items() for part in item])
        elif isinstance(value, (dict, list, tuple)):
            content = value.items() if isinstance(value, dict) else value
            held = getattr(value, "default_factory", None), getattr(value, "__dict__", None)
            self._all("collection", (type(value), *held, *content))
        elif isinstance(value, types.MethodType):
            self._all("method", (value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._all("partial", (value.func, value.args, value.keywords))
        elif isinstance(value, (staticmethod, classmethod)):
            self._all(type(value).__name__, (value.__func__,))
        elif isinstance(value, property):
            self._all("property", (value.fget, value.fset, value.fdel))
        elif isinstance(value, functools.cached_property):
            self._all("property", (value.func,))
        elif type(value) in _GETTERS:
            self._all("getter", value.__reduce__())
        else:
            self._instance(value)

    def _instance(self, value: Any) -> None:
        if isinstance(value, _BY_REPR) and _is_library(type(value).__module__):
            self._say(type(value).__qualname__, repr(value))
        elif isinstance(value, _NAMED):
            owner = getattr(value, "__self__", None)
            if not isinstance(owner, (types.ModuleType, type, type(None))):
                self.add(owner)
            self._say("named", str(getattr(value, "__module__", "")), value.__qualname__)
        elif typing.get_origin(value) is not None:
            self._all("generic", (typing.get_origin(value), *typing.get_args(value)))
        elif value is PydanticUndefined or value is dataclasses.MISSING:
            self._say("missing")
        elif isinstance(value, FieldInfo):
            self._all("field", (value.annotation, value.default, value.default_factory, value.metadata, value.alias))
            self._say(repr(value.exclude), repr(value.frozen), repr(value.init_var))
        elif isinstance(value, BaseModel):
            hidden = [one for one in (value.__pydantic_extra__, value.__pydantic_private__) if one]
            self._all("model", (type(value), dict(value.__dict__), *hidden))
        elif dataclasses.is_dataclass(value):
            fields = {f.name: _held(value, f.name) for f in dataclasses.fields(value)}
            beside = {name: one for name, one in getattr(value, "__dict__", {}).items() if name not in fields}
            self._all("instance", (type(value), fields, *([beside] if beside else [])))
        elif _is_library(type(value).__module__) and type(value).__module__ == "typing":
            self._say("typing", repr(value))
        else:
            self._opaque(value)

    def _opaque(self, value: Any) -> None:
        if self._strict:
            raise UnknowableError(f"an object of type {type(value).__qualname__}")
        self._say("some", type(value).__qualname__)

    def _of_member(self, value: Any) -> str:
        """A set's member, in words or as a fingerprint: sets have no order in which they could be followed."""
        if type(value) in _PLAIN:
            return f"{type(value).__name__} {value!r}"
        walk = Walk(strict=self._strict)
        walk.add(value)
        self.classes |= walk.classes
        self.watched += walk.watched
        return walk.text()

    def _code(self, code: types.CodeType) -> None:
        for part in _PARTS:
            self._say(part, repr(getattr(code, part)))
        flags = code.co_flags & _FLAGS | inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS
        self._say("flags", str(flags), code.co_exceptiontable.hex())
        self._all("constants", code.co_consts)

    def _function(self, function: types.FunctionType) -> None:
        if _is_library(function.__module__) and _is_library(function.__globals__.get("__name__")):
            self._say("function", str(function.__module__), function.__qualname__, *_release(function.__module__))
            if "<locals>" in function.__qualname__:  # a library made it of something, perhaps of people's own functions
                self._all("closed over", [_content(cell) for cell in function.__closure__ or ()])
            return
        self._all("function", (function.__code__, function.__defaults__, function.__kwdefaults__))
        self._all("closed over", [_content(cell) for cell in function.__closure__ or ()])
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.add(wrapped)
        for name, attributes in _global_names(function.__code__).items():
            if name in function.__globals__:
                self._global(function.__globals__, name, attributes)
            else:  # one of Python's own, until a global of its name is defined
                self.watched.append((function.__globals__, name, _MISSING))

    def _global(self, names: dict[str, Any], name: str, attributes: frozenset[str]) -> None:
        value = names[name]
        self.watched.append((names, name, value))
        self._say("global", name)
        self.add(value)
        if isinstance(value, types.ModuleType) and not _is_library(value.__name__):
            for attribute in sorted(attributes & vars(value).keys()):
                self._global(vars(value), attribute, attributes)

    def _class(self, cls: type) -> None:
        name = cls.__qualname__.rpartition("<locals>.")[2]  # the same, wherever a function makes it
        self._say("class", cls.__module__ if _is_library(cls.__module__) else "", name)
        if _is_library(cls.__module__):
            self._say(*_release(cls.__module__))
            return
        self.classes[name] = cls
        self._all("bases", cls.__bases__)
        if issubclass(cls, BaseModel):
            self._all("fields", [part for item in cls.model_fields.items() for part in item])
            self.add(dict(cls.model_config))
        else:
            self.add(_annotations(cls))
        if dataclasses.is_dataclass(cls):
            self._all("fields", [(f.name, f.default, f.default_factory) for f in dataclasses.fields(cls)])
        for name, value in sorted(vars(cls).items()):
            if _is_own(name, value):
                self._say(name)
                self.add(value)


def of(*values: Any, strict: bool = True) -> tuple[str | None, Walk]:
    """The fingerprint of what can be reached from some values, or None; and the walk that made it.

    Where it is not `strict`, what has no fingerprint counts by its type, and the rest as ever.
    """
    walk = Walk(strict=strict)
    walk.add(sys.version_info[:2])
    try:
        for value in values:
            walk.add(value)
    except (UnknowableError, RecursionError):
        return None, walk
    return walk.text(), walk


def _held(instance: Any, name: str) -> Any:
    """What a field holds; `MISSING` where nothing was set yet, or a property that raises stands for it."""
    try:
        return getattr(instance, name)
    except Exception:
        return dataclasses.MISSING


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return ()


def _global_names(code: types.CodeType) -> dict[str, frozenset[str]]:
    """The globals that code and the code inside it ask for, and all the attributes that it asks for."""
    names: dict[str, None] = {}
    attributes: set[str] = set()
    for one in _nested(code):
        attributes.update(one.co_names)
        for step in dis.get_instructions(one):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                names[step.argval] = None
    return dict.fromkeys(names, frozenset(attributes))


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _annotations(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:  # names that only a type checker knows
        return {name: str(value) for name, value in vars(cls).get("__annotations__", {}).items()}


def _is_own(name: str, value: Any) -> bool:
    """Whether people wrote it in the class, and it can matter."""
    if name.startswith("__") and name.endswith("__"):
        return isinstance(value, types.FunctionType) and not value.__code__.co_filename.startswith("<string>")
    machinery = (types.MemberDescriptorType, types.GetSetDescriptorType)
    return not (name.startswith(("_abc_", "__pydantic")) or isinstance(value, machinery) or name == "model_config")


@functools.cache
def _is_library(module: str | None) -> bool:
    root = (module or "").partition(".")[0]
    if root == "__main__":  # a notebook's own: its file is the kernel's
        return False
    if root in sys.stdlib_module_names or root in ("builtins", "eventsourcing_kit"):
        return True
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return bool({"site-packages", "dist-packages"} & set(pathlib.PurePath(file).parts))


def _release(module: str | None) -> tuple[str, ...]:
    """The version of a library, where it tells one."""
    root = (module or "").partition(".")[0]
    return (str(getattr(sys.modules.get(root), "__version__", "")),) if _is_library(module) else ()

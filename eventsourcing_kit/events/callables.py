"""Functions that people give: whether calling them does anything, how they are found, and which is which."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

from eventsourcing_kit.errors import InputError, without_addresses


def check(function: object, what: str, takes: str, *, may_yield: bool = False) -> None:
    """Refuse what is no function, or is one whose call alone would do nothing: it is async, or yields.

    Looked at is what a partial, a method or a callable object calls in the end. What only a call can tell (a lambda
    that hands on a coroutine), `is_lazy` tells of its result.
    """
    if not callable(function):
        raise InputError(f"{function!r} is no function; {what} is to be a function of {takes}")
    inner = _innermost(function)
    if not inspect.isroutine(inner) and not isinstance(inner, type):
        return check(type(inner).__call__, what, takes, may_yield=may_yield) if _has_code(inner) else None
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise InputError(f"{what}, {where(function)}, is async, and nothing would await it; {_cure(takes)}")
    if inspect.isgeneratorfunction(inner) and not may_yield:
        raise InputError(f"{what}, {where(function)}, yields, so a call of it would do nothing; {_cure(takes)}")
    return None


def _innermost(function: Any) -> Any:
    """What a partial or a method calls in the end."""
    while isinstance(function, (functools.partial, types.MethodType)):
        function = function.__func__ if isinstance(function, types.MethodType) else function.func
    return function


def _has_code(instance: object) -> bool:
    return isinstance(getattr(type(instance), "__call__", None), types.FunctionType)  # noqa: B004  # its code, not whether


def _cure(takes: str) -> str:
    return f"write a plain function of {takes}"


def is_lazy(result: object) -> bool:
    """Whether a call did nothing yet: its result waits to be awaited, or is an iterator that nobody goes through."""
    kind: Any = type(result)
    if not _is_lazy_kind(kind):
        return False
    if isinstance(result, types.CoroutineType):
        result.close()  # else Python warns that it was never awaited
    return True


@functools.lru_cache(1024)  # asked after every event
def _is_lazy_kind(kind: type) -> bool:
    """Python's own iterators do nothing until somebody goes through them; people's may be more than that."""
    own = kind.__module__ in ("builtins", "itertools") and issubclass(kind, Iterator)
    return own or issubclass(kind, (Awaitable, AsyncIterator))


def misfit(function: Any, count: int) -> str:
    """Why it cannot be called with so many arguments; empty where it can, or is of C and does not tell."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError as error:
        return str(error)
    except ValueError:
        pass
    return ""


def default(function: Any, at: int) -> object:
    """The default of a parameter that may be given by its place; what is no default where there is none."""
    with contextlib.suppress(ValueError, IndexError):
        one = list(inspect.signature(function).parameters.values())[at]
        return one.default if one.kind is one.POSITIONAL_OR_KEYWORD else inspect.Parameter.empty
    return inspect.Parameter.empty


def where(function: Any) -> str:
    """A function's name and line, as people look for it."""
    inner = _innermost(function)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    code = getattr(inspect.unwrap(inner), "__code__", None)
    return f"{name} (line {code.co_firstlineno})" if code else str(name)


# -- the same function, defined again ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where a function was handed over, and what tells it from others.

    `name` is what an edit leaves as it is; `makeup` is what else makes the function: what it closes over, its defaults,
    the object of a method, a lambda's code. `file`, `line` (of a lambda) and `cell` say where it was handed over, and
    `run` counts the runs of a notebook's cells.
    """

    name: tuple[object, ...]
    makeup: object
    file: str
    line: int
    cell: str | None
    run: int | None

    @classmethod
    def of(cls, function: Any, *beside: object) -> Origin:
        """Of a function that the caller's caller hands over; `beside` is what is handed over with it."""
        scope = sys._getframe(2).f_code
        inner = _innermost(function)
        code = getattr(inner, "__code__", None)
        name = (getattr(inner, "__module__", None), getattr(inner, "__qualname__", type(inner).__qualname__), *beside)
        line = code.co_firstlineno if code is not None and code.co_name == "<lambda>" else 0
        made = makeup(function, named=True, closure=code not in scope.co_consts)  # else it is what the cell holds
        return cls(name, made, scope.co_filename, line, *_cell())

    def is_again(self, other: Origin) -> bool:
        """Whether this is the other function, defined again: a notebook's cell was run a second time."""
        same_cell = self.file == other.file if None in (self.cell, other.cell) else self.cell == other.cell
        if self.name != other.name or (same_cell and self.run != other.run):
            return self.name == other.name
        return self.makeup == other.makeup and (self.file != other.file or self.line == other.line)

    def may_be(self, other: Origin) -> bool:
        """Whether that cannot be told: the other's cell may have been edited, or this is another cell."""
        return self.name == other.name and self.file != other.file and None in (self.cell, other.cell)


def _cell() -> tuple[str | None, int | None]:
    """In a notebook, the id of the cell that runs (where the front end tells it), and how many have run."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return None, None
    parent = getattr(shell, "parent_header", None) or {}
    return parent.get("metadata", {}).get("cellId"), shell.execution_count


def makeup(value: Any, within: tuple[int, ...] = (), *, named: bool = False, closure: bool = True) -> object:
    """What a value is made of, so that what is made again in the same way is equal.

    A `named` function is known by its name, whatever its code; a lambda by its code.
    """
    if id(value) in within:
        return type(value).__qualname__
    way = (*within, id(value))
    if isinstance(value, functools.partial):
        return ["partial", *(makeup(one, way, named=named) for one in (value.func, value.args, value.keywords))]
    if isinstance(value, types.MethodType):
        return [makeup(value.__func__, way, named=named), makeup(value.__self__, way)]
    if isinstance(value, types.FunctionType):
        return _function(value, way, named=named and value.__name__ != "<lambda>", closure=closure)
    if isinstance(value, (list, tuple)):
        return [makeup(one, way) for one in value]
    if isinstance(value, dict):
        return [(makeup(key, way), makeup(one, way)) for key, one in value.items()]
    held = None if isinstance(value, (type, types.ModuleType)) else getattr(value, "__dict__", None)
    return [type(value).__qualname__, makeup(dict(held), way)] if held else without_addresses(repr(value))


def _function(function: types.FunctionType, way: tuple[int, ...], *, named: bool, closure: bool) -> object:
    code = function.__code__
    text: object = (code.co_code, code.co_names, without_addresses(repr(code.co_consts)))
    cells = function.__closure__ or () if closure else ()
    held = [makeup(_content(cell), way, named=True) for cell in cells]
    return [
        function.__module__,
        function.__qualname__,
        None if named else text,
        held,
        makeup([function.__defaults__, function.__kwdefaults__], way),
    ]


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None

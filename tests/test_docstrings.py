"""Every public name says what it does, which of the kit's errors it raises, and shows itself in an example that runs.

That the examples run, and give what they say, is the doctests' matter.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest

import eventsourcing_kit as ek

PACKAGE = ek.__name__
DEPTH = 2  # the function, what it calls, and what that calls


def named_in(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """A module's public classes and functions, by the names that people write."""
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, (type, FunctionType)):
            yield f"{module.__name__.replace(PACKAGE, 'ek')}.{name}", value


def members(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    """A class's public methods and properties, as far as they are the kit's own."""
    kinds = (FunctionType, property, functools.cached_property, classmethod, staticmethod)
    for base in kind.__mro__:
        if base.__module__.startswith(PACKAGE):
            for member, value in vars(base).items():
                if not member.startswith("_") and isinstance(value, kinds):
                    yield f"{name}.{member}", value


NAMES = {name: value for module in (ek, ek.charts, ek.fold, ek.testing) for name, value in named_in(module)}
MEMBERS = dict(member for name, kind in NAMES.items() if isinstance(kind, type) for member in members(name, kind))
CALLED = {name: value for name, value in NAMES.items() if isinstance(value, FunctionType)} | MEMBERS


def function_of(value: Any) -> Any:
    for name in ("fget", "func", "__func__"):
        value = getattr(value, name, None) or value
    return inspect.unwrap(value)


def meant(node: ast.expr, function: Any) -> Any:
    """What a name, or a name with a dot, stands for in a function."""
    if isinstance(node, ast.Name):
        return function.__globals__.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = node.value.id
        name = function.__qualname__.partition(".")[0] if name in ("self", "cls") else name
        found = function.__globals__.get(name)
        if isinstance(found, (ModuleType, type)):
            return inspect.getattr_static(found, node.attr, None)
    return None


@functools.cache
def raised(function: Any, depth: int = DEPTH) -> frozenset[str]:
    """The kit's errors that a function makes, and those that the package's functions do which it calls by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        called = meant(node.func, function) if isinstance(node, ast.Call) else None
        called = getattr(called, "__func__", called)
        if isinstance(called, type) and issubclass(called, ek.EventSourcingError):
            found.add(called.__name__)
        elif depth and isinstance(called, FunctionType) and called.__module__.startswith(PACKAGE):
            found |= raised(called, depth - 1)
    return frozenset(found)


@pytest.mark.parametrize("name", [*NAMES, *MEMBERS])
def test_every_public_name_says_what_it_is(name: str) -> None:
    text = inspect.getdoc({**NAMES, **MEMBERS}[name]) or ""
    first = text.partition("\n\n")[0]
    assert len(first.split()) > 2
    assert first.rstrip().endswith((".", ":", "…", "?", "`", "!")), "the first paragraph is a sentence"


@pytest.mark.parametrize("name", CALLED)
def test_what_raises_the_kits_errors_names_them(name: str) -> None:
    text = inspect.getdoc(CALLED[name]) or ""
    assert {error for error in raised(function_of(CALLED[name])) if f"`{error}`" not in text} == set()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ek.EventStore.append", "ReadOnlyError"),
        ("ek.EventStore.close", "StorageError"),
        ("ek.ReportingDatabase.sql", "StoreClosedError"),
        ("ek.fold.total", "InputError"),
        ("ek.testing.check_notebook", "NotebookError"),
    ],
)
def test_an_error_is_found_where_it_is_made(name: str, error: str) -> None:
    """Else the test above would find nothing to ask for."""
    assert error in raised(function_of(CALLED[name]))


ERRORS = {name for name, kind in NAMES.items() if isinstance(kind, type) and issubclass(kind, Exception)}


@pytest.mark.parametrize("name", sorted(NAMES.keys() - (ERRORS - {"ek.EventSourcingError"})))
def test_every_class_and_function_has_an_example(name: str) -> None:
    """The errors have one together, at their root."""
    assert ">>> " in (inspect.getdoc(NAMES[name]) or "")

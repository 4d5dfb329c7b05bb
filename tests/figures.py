"""How much there is to read: `python -m tests.figures` prints what calls pass through, lines, and reach-ins of tests.

A call is walked when it is made for the second time, in every thread that works for it. Functions are those of the
package's code; a comprehension belongs to the function it stands in.
"""

from __future__ import annotations

import ast
import io
import sys
import tempfile
import threading
import tokenize
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import eventsourcing_kit as ek

PACKAGE = Path(ek.__file__).parent
TESTS = Path(__file__).parent

_INLINE = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<module>"}
_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_OF_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
_OWN = {"self", "cls"}
_PATCHERS = {"monkeypatch", "mock", "patch"}
_PATCHES = {"setattr", "delattr", "setitem", "delitem", "object", "patch"}


class Walk(NamedTuple):
    """The functions and the files of the package that a call passed through, each once, in order."""

    functions: tuple[str, ...]
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.functions)} functions, {len(self.files)} files"


class Walks:
    """A context manager that sees what the threads begun inside, and its own, pass through while `of` is running."""

    def __init__(self) -> None:
        self._seen: dict[CodeType, None] | None = None

    def _look(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and self._seen is not None and frame.f_code.co_filename.startswith(str(PACKAGE)):
            self._seen[frame.f_code] = None

    def of(self, call: Callable[[], object], before: Callable[[], object] = lambda: None) -> Walk:
        """What the second of two calls passes through; `before` each of them, something else is called."""
        before()
        call()
        before()
        seen: dict[CodeType, None] = {}
        self._seen = seen
        call()
        self._seen = None
        found = [code for code in tuple(seen) if code.co_name not in _INLINE]
        files = [str(Path(code.co_filename).relative_to(PACKAGE)) for code in found]
        functions = [f"{file}:{code.co_firstlineno} {code.co_name}" for file, code in zip(files, found, strict=True)]
        return Walk(tuple(functions), tuple(dict.fromkeys(files)))

    def __enter__(self) -> Walks:
        threading.setprofile(self._look)
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # which it takes


class Deposited(ek.Event):
    """What the calls below write and read."""

    amount: int


balance = ek.Projection("balance", initial=lambda: 0)


@balance.on(Deposited)
def deposited(state: int, event: Deposited) -> int:
    """The balance after a deposit."""
    return state + event.amount


def walks() -> dict[str, Walk]:
    """Those of the five calls that most people make."""
    with tempfile.TemporaryDirectory() as folder, Walks() as walk, ExitStack() as open_:
        store = open_.enter_context(ek.EventStore(folder + "/store"))

        def append() -> None:
            store.append("account-1", Deposited(amount=1))

        found = {
            "append of one event to a folder": walk.of(append),
            "replay(as_of=…)": walk.of(lambda: store.replay(balance, as_of=1)),
            "read().df()": walk.of(lambda: store.read().df()),
        }
        with store.subscribe(lambda event: None, after=store.position) as subscription:

            def append_and_hear() -> None:
                append()
                subscription.wait_until(store.position)

            found["append and its subscription's event"] = walk.of(append_and_hear)
        with ek.ReportingDatabase() as db:
            db.add(balance, table="balances")
            found["db.update"] = walk.of(lambda: db.update(store), before=append)
    return found


def source_lines(file: Path) -> int:
    """Lines of code: without blank ones, comments and docstrings."""
    source = file.read_text()
    docstrings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        if ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - docstrings)


class Place(NamedTuple):
    """Where a test reaches into what is the package's own."""

    file: str
    line: int
    text: str


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_") and name not in _OF_TUPLES


def _names(tree: ast.AST) -> Iterator[str]:
    """What a module names: functions, classes, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_named(node.value, _OWN):
            yield node.attr


def _is_named(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _root(node: ast.AST) -> ast.AST:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


class _Module:
    """One of the tests, and what it imports."""

    def __init__(self, file: Path, privates: set[str]) -> None:
        self._source = file.read_text()
        self._file, self._tree = file, ast.parse(self._source)
        self._privates = privates - set(_names(self._tree))
        self._faults: set[str] = set()  # by which tests reach into the package, too
        self._others, self._internals = self._imported()

    def _imported(self) -> tuple[set[str], set[str]]:
        """The names of other libraries, and those of the package's inner modules and what is in them."""
        others, internals = {"globals"}, set()
        for node in ast.walk(self._tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            names = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            home = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
            if home == "tests.faults":
                self._faults |= names
            elif not home.startswith("eventsourcing_kit"):
                others |= names
            elif isinstance(node, ast.ImportFrom):
                internals |= names
        return others, internals

    def _places(self, nodes: set[ast.expr | ast.alias]) -> list[Place]:
        lines = self._source.splitlines()
        name = str(self._file.relative_to(TESTS))
        return [Place(name, line, lines[line - 1].strip()) for line in sorted({node.lineno for node in nodes})]

    def reach_ins(self) -> list[Place]:
        """The lines that name a private name of the package, with a dot, in an import or in a string."""
        found: set[ast.expr | ast.alias] = set()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Attribute) and node.attr in self._privates:
                if not _is_named(_root(node), self._others):
                    found.add(node)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eventsourcing_kit"):
                found.update(alias for alias in node.names if _is_private(alias.name))
            elif isinstance(node, ast.Constant) and str(node.value).rpartition(".")[2] in self._privates:
                found.add(node)
        return self._places(found)

    def _is_patched(self, target: ast.expr) -> bool:
        if isinstance(target, ast.Constant):
            return str(target.value).startswith("eventsourcing_kit")
        return not _is_named(_root(target), self._others)

    def patches(self) -> list[Place]:
        """The lines that put something else in the place of what the package's own code calls."""
        found: set[ast.expr | ast.alias] = set()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PATCHES:
                if _is_named(_root(node.func), _PATCHERS) and self._is_patched(node.args[0]):
                    found.add(node)
            elif isinstance(node, ast.Call) and _is_named(node.func, self._faults & {"once"}):
                found.add(node)
            elif isinstance(node, ast.Assign):
                found.update(target for target in node.targets if self._is_set_inside(target))
        return self._places(found)

    def _is_set_inside(self, target: ast.expr) -> bool:
        return isinstance(target, ast.Attribute) and _is_named(_root(target), self._internals)


def reach_ins() -> tuple[list[Place], list[Place]]:
    """The lines of the tests that name what is private in the package, and those that replace its inner parts."""
    privates = {
        name for file in PACKAGE.rglob("*.py") for name in _names(ast.parse(file.read_text())) if _is_private(name)
    }
    modules = [_Module(file, privates) for file in sorted(TESTS.rglob("*.py"))]
    return [at for module in modules for at in module.reach_ins()], [
        at for module in modules for at in module.patches()
    ]


def main() -> None:
    """Prints the table; with `-v`, what each number counts."""
    found, (private, patched) = walks(), reach_ins()
    rows = {name: str(walk) for name, walk in found.items()}
    rows["source lines of the package"] = f"{sum(map(source_lines, PACKAGE.rglob('*.py'))):,}"
    rows["lines of tests that reach into private members"] = str(len(private))
    rows["lines of tests that patch inner parts"] = str(len(patched))
    width = max(map(len, rows))
    print("\n".join(f"{name:{width}}  {value}" for name, value in rows.items()))
    if "-v" in sys.argv:
        for name, walk in found.items():
            print("", name, *walk.functions, sep="\n")
        for name, places in (("private members", private), ("patches", patched)):
            print("", name, *(f"{at.file}:{at.line}: {at.text}" for at in places), sep="\n")


if __name__ == "__main__":
    main()

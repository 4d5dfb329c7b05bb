"""What in the code of a notebook nbval cannot compare, read from the source alone: nothing is run.

Names are followed through imports, assignments, loops and functions, cell by cell: what differs from run to run
matters only where it gets to an output.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections import ChainMap
from collections.abc import Iterable, Iterator

# What differs from run to run, by what it is: what an output must hold to show it, and what to do.
_DATE_OR_NUMBER = r"\d\d:\d\d|\d{4}-\d\d-\d\d|\d\.\d|\d{6,}"
KINDS = {
    "clock": (_DATE_OR_NUMBER, "the time of the run; take it from a fixed clock, or don't show it"),
    "random": (r"\w", "random values; seed them"),
    "id": (r"[0-9a-f]{4}-[0-9a-f]{4}|[0-9a-f]{8,}", "a random id; make it of a fixed one: uuid.UUID('…')"),
    "machine": (r"\w", "what differs by process or machine; don't show it"),
    "order": (r"[^\W\d]", "a set of texts, whose order differs by process; show sorted(…) of it"),
    "store": (
        r"[0-9a-f]{4}-7[0-9a-f]{3}-|\d\d:\d\d:\d\d\.\d",
        "ids or times of a store that has no fixed ones; make it with clock=ek.testing.clock('2026-01-05T09:00:00Z') "
        "and seed=1",
    ),
}
_SET = "set"  # a set of texts: an order only once it is printed or gone through, since IPython shows sets sorted

_SOURCES = {
    "clock": r"time\.(?:time|monotonic|perf_counter|process_time|ctime|localtime|gmtime)(?:_ns)?"
    r"|datetime\.(?:datetime\.(?:now|utcnow|today)|date\.today)|pandas\.Timestamp\.(?:now|utcnow|today)"
    r"|timeit\.\w+|shell command",
    "id": r"uuid6?\.uuid[14678]",
    "machine": r"id|hash|os\.(?:getpid|getppid|uname|getlogin|times|getenv)|os\.environ(?:\.get)?|platform\.\w+"
    r"|socket\.gethostname|uuid\.getnode|getpass\.getuser|threading\.get_(?:ident|native_id)",
    "random": r"(?:numpy\.)?random\.\w+|secrets\.\w+|os\.urandom|.*\.sample",
    "store": r"eventsourcing_kit\.EventStore",
}
_TAKES_A_SEED = re.compile(r"(?:numpy\.)?random\.(?:seed|Random|default_rng|RandomState|Generator|SeedSequence|PCG64)")
_MADE_OF_TEXT = {"pandas.Timestamp", "pandas.to_datetime", "numpy.datetime64"}
_ALWAYS_THE_SAME = {"len", "type", "isinstance", "bool", "callable", "hasattr"}
_ORDERLESS = {"sorted", "set", "frozenset", "sum", "min", "max", "any", "all", "Counter", "collections.Counter"}
_ORDERED = {"list", "tuple", "str", "repr", "format", "join", "enumerate", "iter", "next", "pop", "fromkeys"}
_SET_METHODS = {"union", "intersection", "difference", "symmetric_difference", "copy"}
_PRINTS = {"print", "pprint.pprint", "sys.stdout.write"}
_SHOWS = {*_PRINTS, "display", "IPython.display.display"}
_CHANGES = ("append", "add", "extend", "insert", "update", "load", "set", "put", "write")

_FINAL = "show the final output once"
_NOT_COMPARED = [
    (r"(?:.*\.)?(?:clear_output|update_display|DisplayHandle)", f"{{}}() cannot be compared; {_FINAL}"),
    (r"ipywidgets\.(?:.*\.)?(?:Output|interact\w*)", "nbval cannot compare what {}() shows; print it in a cell"),
    (
        r"tqdm\.(?!pandas).+|(?:.*\.)?(?:progress_(?:apply|map)|progress_bar)|(?:rich\.progress|alive_progress)\..+",
        "{}() is a progress bar, which shows times; turn it off (tqdm: disable=True)",
    ),
]


def cells_problems(sources: Iterable[str], outputs: Iterable[str]) -> Iterator[list[str]]:
    """For each code cell, given with the text of its outputs: what nbval cannot compare, each with what to do."""
    reader, written = _Reader(), ""
    for source, output in zip(sources, outputs, strict=True):
        written += source
        try:
            tree = ast.parse(_plain(source))
        except SyntaxError:  # which may be the lesson
            yield []
            continue
        reader.begin()
        reader.read(tree)
        shown = [kind for kind in KINDS if kind in reader.shown and _is_in(output, kind, written)]
        found = [f"shows {KINDS[kind][1]}" for kind in shown]
        if _is_silenced(tree, source):
            found.append("ends in `;`, which does not silence it under nbval: assign to _ instead")
        yield [*(f"cannot be a test: {problem}" for problem in dict.fromkeys(reader.problems)), *found]


def _is_in(output: str, kind: str, written: str) -> bool:
    """Does the output hold such a thing, other than what somebody wrote down?"""
    words = [word for word in output.split() if re.search(KINDS[kind][0], word)]
    return any(kind in ("order", "random") or word not in written for word in words)


def _plain(source: str) -> str:
    """The cell as Python: shell commands print what nobody knows, magics and questions are left out."""
    source = re.sub(r"^%%(?:bash|sh)\b.*", "print(__shell__())", source, flags=re.DOTALL)
    source = re.sub(r"^([ \t]*)!.*", r"\1print(__shell__())", source, flags=re.MULTILINE)
    return textwrap.dedent(re.sub(r"^([ \t]*)(?:[%?].*|.*\?[ \t]*)$", r"\1pass", source, flags=re.MULTILINE))


def _is_silenced(tree: ast.Module, source: str) -> bool:
    if not tree.body or not isinstance(last := tree.body[-1], ast.Expr) or last.end_lineno is None:
        return False
    prints = isinstance(last.value, ast.Call) and ast.unparse(last.value.func) in _SHOWS
    rest = _plain(source).encode().split(b"\n")[last.end_lineno - 1 :]
    return not prints and rest[0][last.end_col_offset :].lstrip().startswith(b";")


class _Reader:
    """Goes through statements and keeps, by name, what it stands for and in which ways it differs from run to run."""

    def __init__(self) -> None:
        self.origins: ChainMap[str, str] = ChainMap(
            {"__shell__": "shell command"}
        )  # of what is imported, or another name of it
        self.kinds: ChainMap[str, set[str]] = ChainMap()  # of what was assigned
        self.printed: dict[str, set[str]] = {}  # by functions, when they are called
        self.seeded: set[str] = set()
        self.begin()

    def begin(self) -> None:
        self.shown: set[str] = set()
        self.problems: list[str] = []

    def read(self, tree: ast.Module) -> None:
        """Read a cell, whose last expression is shown."""
        for statement in tree.body:
            found = self.statement(statement)
            if statement is tree.body[-1] and isinstance(statement, ast.Expr):
                self.shown |= found

    def statement(self, node: ast.AST) -> set[str]:
        match node:
            case ast.Import() | ast.ImportFrom():
                self.imported(node)
            case ast.Assign():
                return self.assign(node.targets, node.value)
            case ast.NamedExpr() | ast.AnnAssign():
                return self.assign([node.target], node.value) if node.value else set()
            case ast.AugAssign():
                self.change(node.target, self.of(node.value) - {"order"})
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                self.bind(node.target, _gone_through(self.of(node.iter)))
                return self.children(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                return self.define(node)
            case ast.withitem():
                found = self.of(node.context_expr)
                if node.optional_vars:
                    self.bind(node.optional_vars, found)
            case _:
                return self.of(node) if isinstance(node, ast.expr) else self.children(node)
        return set()

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for each in node.names:
            name = each.asname or (each.name if module else each.name.partition(".")[0])
            self.origins[name] = f"{module}{each.name}" if each.asname or module else name

    def children(self, node: ast.AST) -> set[str]:
        # a comprehension's loops stand behind what they are for, and come first
        parts = sorted(ast.iter_child_nodes(node), key=lambda part: not isinstance(part, ast.comprehension))
        return set().union(*[self.statement(part) for part in parts])

    def assign(self, targets: list[ast.expr], value: ast.expr) -> set[str]:
        origin, found = self.origin(value), self.of(value)
        for target in targets:
            self.bind(target, found)
            if isinstance(target, ast.Name) and origin and isinstance(value, ast.Name | ast.Attribute):
                self.origins[target.id] = origin
        return found

    def bind(self, target: ast.expr, found: set[str]) -> None:
        if isinstance(target, ast.Name):
            self.kinds[target.id], self.origins[target.id] = found, ""
            self.printed.pop(target.id, None)
        elif isinstance(target, ast.Tuple | ast.List | ast.Starred):
            for part in ast.iter_child_nodes(target):
                if isinstance(part, ast.expr):
                    self.bind(part, found)
        else:
            self.change(target, found)

    def change(self, target: ast.expr, found: set[str]) -> None:
        """What a name stands for holds this now, too."""
        while isinstance(target, ast.Attribute | ast.Subscript | ast.Call):
            target = target.func if isinstance(target, ast.Call) else target.value
        if isinstance(target, ast.Name) and not self.origins.get(target.id):
            self.kinds[target.id] = self.kinds.get(target.id, set()) | found - {_SET}

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef) -> set[str]:
        """A function or class differs where anything in it does; what it prints is shown when it is called."""
        decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
        shown, origins, kinds = self.shown, self.origins, self.kinds
        self.shown, self.origins, self.kinds = set(), origins.new_child(), kinds.new_child()
        if not isinstance(node, ast.ClassDef):
            for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
                self.bind(ast.Name(argument.arg), set())
        body = [node.body] if isinstance(node.body, ast.expr) else node.body
        found = set().union(*[self.statement(part) for part in body]) - {_SET}
        printed, self.shown, self.origins, self.kinds = self.shown, shown, origins, kinds
        for decorator in decorators:
            self.of(decorator)
            self.look_at(decorator)
            self.change(decorator, found)
        if isinstance(node, ast.Lambda):
            return found | printed
        self.bind(ast.Name(node.name), found)
        self.printed[node.name] = printed
        return set()

    def origin(self, node: ast.AST) -> str:
        """The full name of what an expression names: where it was imported from, or as it stands."""
        match node:
            case ast.Name():
                return self.origins.get(node.id, node.id)
            case ast.Attribute():
                before = self.origin(node.value)
                return f"{before}.{node.attr}" if before else ""
        return ""

    def of(self, node: ast.AST) -> set[str]:
        """In which ways an expression's value differs from run to run."""
        match node:
            case ast.Compare():
                self.children(node)
                return set()
            case ast.Call():
                return self.call(node)
            case ast.Name() | ast.Attribute():
                kinds = self.kinds.get(node.id, set()) if isinstance(node, ast.Name) else self.of(node.value)
                return kinds | self.source(node)
            case ast.Set():
                texts = [part for part in node.elts if not _is_number(part)]
                return self.children(node) | ({_SET} if texts and len(node.elts) > 1 else set())
            case ast.SetComp():
                return self.children(node) - {"order"} | {_SET}
            case ast.FormattedValue():
                return _gone_through(self.children(node))
        return self.children(node) if not isinstance(node, ast.expr_context | ast.operator) else set()

    def call(self, node: ast.Call) -> set[str]:
        self.look_at(node)
        name = self.origin(node.func)
        arguments = [*node.args, *(pair.value for pair in node.keywords)]
        given = set().union(*[self.statement(part) for part in arguments])
        if name.endswith("random.seed") and arguments:
            self.seeded.add(name.removesuffix(".seed"))
        if isinstance(node.func, ast.Name):
            given |= self.kinds.get(node.func.id, set())
            self.shown |= self.printed.get(node.func.id, set())
        if name in _SHOWS:
            self.shown |= _gone_through(given) if name in _PRINTS else given
        if name in _ALWAYS_THE_SAME:
            return set()
        if name in _ORDERLESS:
            texts = name in ("set", "frozenset") and not all(map(_is_of_numbers, node.args))
            return given - {"order", _SET} | ({_SET} if texts else set())
        given |= self.source(node.func, node)
        for changed in _changed_by(node):
            self.change(changed, given)
        if not isinstance(node.func, ast.Attribute):
            return (_gone_through(given) if name in _ORDERED else given) - {_SET}
        given |= self.of(node.func.value)
        if node.func.attr in _ORDERED:
            return _gone_through(given)
        return given - (set() if node.func.attr in _SET_METHODS else {_SET})

    def source(self, function: ast.expr, call: ast.Call | None = None) -> set[str]:
        """In which ways differs what this function returns, called so, or by whoever it is handed to?"""
        name = self.origin(function) or (f".{function.attr}" if isinstance(function, ast.Attribute) else "")
        kinds = {kind for kind, names in _SOURCES.items() if re.fullmatch(names, name)}
        if call is None:
            return kinds - {"store"}
        given = {pair.arg for pair in call.keywords}
        if given >= {"clock", "seed"} or given & {None, "read_only"}:
            kinds.discard("store")
        seeded = given & {"seed", "random_state"} or (call.args and _TAKES_A_SEED.fullmatch(name))
        if seeded or (name.rpartition(".")[0] or "numpy.random") in self.seeded:
            kinds.discard("random")
        first = call.args[0] if call.args else None
        if name in ("time.ctime", "time.gmtime", "time.localtime") and first:
            kinds.discard("clock")
        if name in ("id", "hash") and first and _is_number(first):
            kinds.discard("machine")
        if name in _MADE_OF_TEXT and isinstance(first, ast.Constant) and first.value in ("now", "today"):
            kinds.add("clock")
        return kinds

    def look_at(self, call: ast.expr) -> None:
        """Is it a call of what nbval cannot compare?"""
        keywords = {pair.arg: ast.unparse(pair.value) for pair in call.keywords} if isinstance(call, ast.Call) else {}
        name = self.origin(call.func if isinstance(call, ast.Call) else call)
        if keywords.get("display_id", "None") not in ("None", "False"):
            self.problems.append(f"display_id= cannot be compared; {_FINAL}")
        if keywords.get("progress") == "True":
            self.problems.append("progress=True shows a progress bar; turn it off: progress=False")
        if keywords.get("disable") != "True":
            found = (cure for names, cure in _NOT_COMPARED if re.fullmatch(names, name))
            self.problems += [cure.format(name.rpartition(".")[2]) for cure in found]


def _gone_through(kinds: set[str]) -> set[str]:
    """What a set's texts are once somebody goes through them."""
    return kinds - {_SET} | ({"order"} if _SET in kinds else set())


def _changed_by(call: ast.Call) -> list[ast.expr]:
    """What a call puts its arguments, or their order, into."""
    name = ast.unparse(call.func).rpartition(".")[2]
    if name == "shuffle":
        return call.args[:1]
    return [call.func.value] if isinstance(call.func, ast.Attribute) and name.startswith(_CHANGES) else []


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _is_of_numbers(node: ast.expr) -> bool:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(map(_is_number, node.elts))
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "range"

"""Fingerprints: the same for the same code, wherever and whenever it is written down; another for any other."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import operator
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from eventsourcing_kit.events import fingerprint

FOLD = """
import enum, math
from decimal import Decimal
from pydantic import BaseModel, Field, field_validator
import eventsourcing_kit as ek

class Mood(enum.Enum):
    GOOD = 1

class Line(BaseModel):
    price: Decimal = Field(default=Decimal("1.5"), ge=0)

class Basket(BaseModel):
    lines: list[Line] = []
    mood: Mood | None = None
    @field_validator("lines")
    @classmethod
    def few(cls, lines):
        return lines[:LIMIT]
    def plus(self, line):
        return Basket(lines=[*self.lines, line], mood=Mood.GOOD)

LIMIT = 10
KNOWN = {"a", "b", "c", "d"}

class Added(ek.Event, type="Print.Added"):
    what: str

def helper(event):
    return math.floor(2.5) if event.what in {"x", "y", "z"} or event.what in KNOWN else 0

def evolve(state, event):
    match event:
        case Added(what=what):
            return state.plus(Line(price=helper(event)))
    return [(lambda: one)() for one in [state]][0]
"""


def text(source: str) -> str:
    """The fingerprint of a fold in some source, as a notebook's cell would define it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec", dont_inherit=True), names)
    found, _ = fingerprint.of(names["evolve"], names["Basket"])
    assert found is not None
    return found


@pytest.mark.processes
def test_it_is_the_same_in_every_process() -> None:
    """Hashes are seeded anew in each, and sets come in another order."""
    code = (
        "import sys; names = {'__name__': '__main__'}; exec(sys.stdin.read(), names); "
        "from eventsourcing_kit.events import fingerprint; print(fingerprint.of(names['evolve'], names['Basket'])[0])"
    )
    found = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", code], input=FOLD, text=True, capture_output=True, env=environment, check=True,
            timeout=60,
        )  # fmt: skip
        found.add(done.stdout.strip())
    assert found == {text(FOLD)}


def test_lines_comments_and_names_of_others_do_not_matter() -> None:
    moved = "\n\n# a comment\nUNUSED = object()\n" + FOLD.replace(
        "return state.plus", "\n            return state.plus"
    )
    assert text(moved) == text(FOLD)


def test_calling_it_does_not_change_it() -> None:
    """Python rewrites the bytecode of what runs often."""

    def often(state: int, event: int) -> int:
        return state + event

    before, _ = fingerprint.of(often)
    for i in range(5000):
        often(i, 1)
    assert fingerprint.of(often)[0] == before


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("LIMIT = 10", "LIMIT = 11"),
        ('KNOWN = {"a",', 'KNOWN = {"e",'),
        ('{"x", "y", "z"}', '{"x", "y"}'),
        ("math.floor(2.5)", "math.ceil(2.5)"),
        ('Decimal("1.5")', 'Decimal("1.50")'),
        ("ge=0", "ge=1"),
        ("GOOD = 1", "GOOD = 2"),
        ("what: str", "what: str = 'x'"),
        ("mood: Mood | None = None", "mood: Mood | int | None = None"),
        ("lines=[*self.lines, line]", "lines=[line, *self.lines]"),
        ("return lines[:LIMIT]", "return lines"),
        ("(lambda: one)()", "(lambda: 1)()"),
    ],
)
def test_any_change_of_what_is_reached_is_another_fingerprint(was: str, becomes: str) -> None:
    assert was in FOLD
    assert text(FOLD.replace(was, becomes)) != text(FOLD)


def test_defaults_and_what_is_closed_over_count() -> None:
    def make(closed: Any, default: Any) -> Any:
        return lambda state, event, d=default: (closed, d)

    made = [make(*given) for given in [(1, 2), (2, 2), (1, 1), (1, "2"), (True, 2), ([1], 2), ((1,), 2)]]
    assert len({fingerprint.of(one)[0] for one in made}) == len(made)
    assert fingerprint.of(make({"a": [1.5]}, None))[0] == fingerprint.of(make({"a": [1.5]}, None))[0]


def test_what_refers_to_itself_ends() -> None:
    def recursive(n: int) -> int:
        return recursive(n - 1) if n else 0

    ring: list[Any] = []
    ring.append(ring)
    assert fingerprint.of(recursive)[0]
    assert fingerprint.of(ring)[0]


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: list[int] = dataclasses.field(default_factory=list)


def test_values_are_told_apart_by_type_and_content() -> None:
    values = [
        0,
        0.0,
        False,
        "0",
        None,
        (),
        [],
        {},
        set(),
        Point(1),
        Point(2),
        Point,
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
    ]
    assert len({fingerprint.of(one)[0] for one in values}) == len(values)


@pytest.mark.parametrize("opaque", [threading.Lock(), object(), sys.stdout, iter([])])
def test_what_has_no_meaning_to_write_down_has_none(opaque: Any) -> None:
    assert fingerprint.of(opaque)[0] is None
    assert fingerprint.of(lambda: opaque)[0] is None


@pytest.mark.parametrize("opaque", [threading.Lock(), sys.stdout, [threading.Lock()].append, {object()}])
def test_where_it_is_not_strict_a_type_stands_for_what_has_no_meaning(opaque: Any) -> None:
    """What is reached beside it counts as ever."""
    found = [fingerprint.of(lambda one=opaque, n=n: n, strict=False)[0] for n in (1, 1, 2)]
    assert found[0] is not None
    assert found[0] == found[1] != found[2]


def test_a_walk_notices_when_a_global_is_another_object() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("rate = 2\ndef fold(state, event): return state * rate", names)
    _, walk = fingerprint.of(names["fold"])
    assert walk.still_holds()
    names["rate"] = 3
    assert not walk.still_holds()


def test_a_walk_notices_when_a_global_hides_one_of_pythons_own() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def fold(state, event): return max(state, event)", names)
    _, walk = fingerprint.of(names["fold"])
    assert walk.still_holds()
    names["max"] = min
    assert not walk.still_holds()


# kinds of objects that are closed over


@dataclasses.dataclass
class Unset:
    fee: int = 2
    cache: dict[str, int] = dataclasses.field(init=False)


class Untouchable:
    """As a proxy whose object is not there yet: whatever is asked of it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("nothing is here yet")

    def __repr__(self) -> str:
        raise RuntimeError("not to be printed")


class Zone(dt.tzinfo):
    """A zone whose repr tells an address."""


def test_a_field_that_is_not_set_yet_counts_as_that() -> None:
    unset, filled = Unset(), Unset()
    filled.cache = {}
    assert fingerprint.of(unset)[0] == fingerprint.of(Unset())[0]
    assert len({fingerprint.of(one)[0] for one in (unset, filled, Unset(3))}) == 3


@pytest.mark.parametrize("make", [Untouchable, Zone, lambda: weakref.ref(Point), lambda: np.arange(3)])
def test_an_object_that_cannot_be_looked_at_has_none_and_harms_nothing(make: Any) -> None:
    one = make()
    assert fingerprint.of(lambda: one)[0] is None
    assert fingerprint.of(one, strict=False)[0] is not None


class Rates(dict[str, int]):
    def fee(self) -> int:
        return self["fee"]


class OtherRates(dict[str, int]):
    def fee(self) -> int:
        return -self["fee"]


class Settings(BaseModel):
    _rate: int = 1


def with_rate(rate: int) -> Settings:
    made = Settings()
    made._rate = rate
    return made


def test_what_stands_beside_the_content_counts() -> None:
    values = [
        {"fee": 1},
        defaultdict(lambda: 1, {"fee": 1}),
        defaultdict(lambda: 2, {"fee": 1}),
        Rates(fee=1),
        OtherRates(fee=1),
        with_rate(1),
        with_rate(2),
        operator.itemgetter("fee"),
        operator.itemgetter("rate"),
        {"fee": 1}.get,
        {"fee": 2}.get,
        functools.partial(Rates, fee=1),
        functools.partial(Rates, fee=2),
        frozenset({Point.__name__, (1, 2)}),
        frozenset({Point.__name__, (2, 1)}),
    ]
    found = [fingerprint.of(one)[0] for one in values]
    assert None not in found
    assert len(set(found)) == len(found)


def test_a_set_has_no_order() -> None:
    assert fingerprint.of({(1, 2), (3, 4)})[0] == fingerprint.of({(3, 4), (1, 2)})[0]


def test_code_of_ones_own_under_a_librarys_name_counts() -> None:
    """`functools.wraps` gives a wrapper the module of what it wraps."""

    def doubled(by: int) -> Any:
        @functools.wraps(textwrap.dedent)
        def wrapper(text: str) -> str:
            return text * by

        return wrapper

    assert fingerprint.of(doubled(2))[0] != fingerprint.of(doubled(3))[0]


def test_where_a_function_stands_does_not_matter() -> None:
    module: dict[str, Any] = {"__name__": "lesson"}
    function: dict[str, Any] = {"__name__": "lesson"}
    simple = "def counted(state, event):\n    return {'n': state['n'] + 1}\n"
    exec(simple, module)
    exec("def made():\n" + textwrap.indent(simple, "    ") + "    return counted\n", function)
    assert fingerprint.of(module["counted"])[0] == fingerprint.of(function["made"]())[0]

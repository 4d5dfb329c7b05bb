"""Projections and event classes on their way to another process: what is typed in a notebook arrives as what it was."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import eventsourcing_kit as ek

cloudpickle = pytest.importorskip("cloudpickle", reason="pip install 'eventsourcing_kit[distributed]'")

NOTEBOOK = """
import sys, cloudpickle
import eventsourcing_kit as ek

class Money(ek.Event):
    cents: int

class Deposited(Money, type="bank.Deposited", version=3, renamed_from=["MoneyDeposited", "Paid"]):
    note: str | None = None

    @property
    def euros(self):
        return self.cents / 100

class Withdrawn(Money, type="bank.Withdrawn"):
    pass

@ek.upcast("MoneyDeposited", from_version=1)
def to_cents(data):
    return {"cents": data["amount"] * FACTOR}

@ek.upcast(Deposited, from_version=2)
def to_note(data):
    return {**data, "note": "old"}

FACTOR = 100
balance = ek.Projection("balance", initial=lambda: 0)

@balance.on(Deposited)
def deposited(state, event):
    return state + (round(event.euros * 100) if isinstance(event, Deposited) else 10**9)

@balance.on(Withdrawn)
def withdrawn(state, event: Withdrawn):
    return state - event.cents

moved = ek.Projection("moved", initial=lambda: 0)

@moved.on(Money)
def move(state, event):
    return state + event.cents

declared = ek.Projection("declared", fields={
    "balance": ek.fold.total(Deposited, "cents") - ek.fold.total(Withdrawn, "cents"),
    "note": ek.fold.last(Deposited, "note"),
})
every = ek.Projection("every", initial=lambda: ())
every.on("*")(lambda state, event: (*state, type(event).__name__))
sent = {one.name: cloudpickle.dumps(one) for one in (balance, moved, declared, every)}
sent["event"] = cloudpickle.dumps([Withdrawn(cents=5), Deposited(cents=7)])
"""
# The log that both see, stored before any of the classes was there, and by their types' names of then.
LOG = """
def log():
    store = ek.EventStore(seed=1)
    store.append("a", ek.NewEvent(type="MoneyDeposited", data={"amount": 3}))
    store.append("a", ek.NewEvent(type="Paid", data={"amount": 4}))
    store.append("b", ek.NewEvent(type="bank.Withdrawn", data={"cents": 5}))
    return store
"""


def run(folder: Path, code: str) -> str:
    """What a Python of its own prints."""
    file = folder / "cell.py"
    file.write_text(textwrap.dedent(code), encoding="utf-8")
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.processes
def test_a_notebooks_projection_folds_elsewhere_what_it_folds_here(tmp_path: Path) -> None:
    """With its classes' type names, versions, upcasters, renames, base classes and methods; and nothing else there."""
    here = run(
        tmp_path,
        NOTEBOOK
        + LOG
        + f"""
import pathlib
for name, sent in sent.items():
    pathlib.Path({str(tmp_path)!r}, name).write_bytes(sent)
for one in (balance, moved, declared, every):
    print(one.name, log().replay(one))
print([event.data for event in log().read()])
""",
    )
    there = run(
        tmp_path,
        f"""
import pathlib, pickle
import eventsourcing_kit as ek
{LOG}
for name in ("balance", "moved", "declared", "every"):
    print(name, log().replay(pickle.loads(pathlib.Path({str(tmp_path)!r}, name).read_bytes())))
print([event.data for event in log().read()])
""",
    )
    assert "balance {'a': 700, 'b': -5}" in here
    assert there == here


@pytest.mark.processes
def test_each_projection_alone_brings_what_it_needs(tmp_path: Path) -> None:
    """And an event alone its class."""
    run(
        tmp_path,
        NOTEBOOK + f"import pathlib\n[pathlib.Path({str(tmp_path)!r}, n).write_bytes(s) for n, s in sent.items()]",
    )
    read = f"import pathlib, pickle\nimport eventsourcing_kit as ek\n{LOG}\n" + (
        "def load(name):\n    return pickle.loads(pathlib.Path(" + repr(str(tmp_path)) + ", name).read_bytes())\n"
    )
    assert run(tmp_path, read + "print(log().replay(load('declared')))") == (
        "{'a': {'balance': 700, 'note': 'old'}, 'b': {'balance': -5, 'note': None}}\n"
    )
    assert run(tmp_path, read + "print(log().replay(load('moved')))") == "{'a': 700, 'b': 5}\n"
    events = run(tmp_path, read + "print(load('event'), ek.schemas()['type'].tolist())")
    assert events == (
        "[Withdrawn(cents=5), Deposited(cents=7, note=None)] ['Money', 'bank.Withdrawn', 'bank.Deposited']\n"
    )


@pytest.mark.processes
def test_a_class_that_is_there_already_stays_unless_a_newer_one_comes(tmp_path: Path) -> None:
    """What a process has defined itself counts for it; what came from elsewhere gives way to what comes after."""
    first = "import cloudpickle\nimport eventsourcing_kit as ek\n" + textwrap.dedent("""
    def made(version, name):
        class Paid(ek.Event, version=version):
            amount: int
            def told(self):
                return name
        one = ek.Projection("paid", initial=lambda: None or "")
        one.on(Paid)(lambda state, event: state + event.told())
        return cloudpickle.dumps(one)
    """)
    out = run(
        tmp_path,
        first
        + f"import pathlib\n[pathlib.Path({str(tmp_path)!r}, n).write_bytes(made(v, n))"
        + " for v, n in ((1, 'one'), (1, 'other'), (2, 'two'))]",
    )
    assert out == ""
    out = run(
        tmp_path,
        f"""
import pathlib, pickle
import eventsourcing_kit as ek
store = ek.EventStore()
store.append("a", ek.NewEvent(type="Paid", data={{"amount": 1}}))
def told(name):
    return store.replay(pickle.loads(pathlib.Path({str(tmp_path)!r}, name).read_bytes()))["a"]
print(told("one"), told("other"), told("one"), told("two"))
class Paid(ek.Event, version=2):
    amount: int
    def told(self):
        return "own"
print(told("two"), told("one"))
""",
    )
    assert out == "one other one two\nown own\n"


class Sent(ek.Event):
    n: int


def add(state: int, event: Sent) -> int:
    return state + event.n


def test_what_can_be_imported_is_pickled_without_cloudpickle() -> None:
    """Its functions and classes by their names."""
    store = ek.EventStore()
    store.append("a", [Sent(n=1), Sent(n=2)])
    projection = ek.Projection("sum", initial=int, key=None)
    projection.on(Sent)(add)
    assert store.replay(pickle.loads(pickle.dumps(projection))) == 3
    fields = ek.Projection("fields", fields={"sum": ek.fold.total(Sent, "n")}, key="n", snapshots=10)
    again = pickle.loads(pickle.dumps(fields))
    assert store.replay(again) == store.replay(fields) == {1: {"sum": 1}, 2: {"sum": 2}}
    assert (again.key, again.snapshots, again.name) == ("n", 10, "fields")


def test_a_copy_takes_handlers_of_its_own() -> None:
    """And leaves the first as it was."""
    store = ek.EventStore()
    store.append("a", Sent(n=1))
    projection = ek.Projection("sum", initial=int)
    projection.on(Sent)(add)
    for copied in (copy.copy(projection), copy.deepcopy(projection)):
        copied.on(Sent)(lambda state, event: state + 10)
        assert store.replay(copied) == {"a": 11}
        assert store.replay(projection) == {"a": 1}

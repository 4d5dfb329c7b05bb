"""The package's face: what `import eventsourcing_kit` brings, and what it does not bring yet."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from types import ModuleType

import pytest

import eventsourcing_kit as ek

PUBLIC = [
    "ANY", "Append", "BranchPoint", "Comparison", "ConcurrencyError", "DamagedError", "Decider", "DuplicateIdError",
    "Event", "EventSourcingError", "EventStore", "GONE", "Handled", "History", "InputError", "LaggardError", "Mirror",
    "MomentError", "NO_STREAM", "NewEvent", "NotebookError", "OutcomeUnknownError", "Park", "Projection",
    "ProjectionError", "Query", "Read", "ReadOnlyError", "Receipt", "RecordError", "RecordedEvent", "Report",
    "ReportingDatabase", "SKIP", "STOP", "STREAM_EXISTS", "SchemaError", "StorageError", "StoreClosedError",
    "Subscription", "SupersededError", "TAGS", "Tag", "charts", "compare", "context", "copy", "explore", "fold",
    "from_file", "from_frame", "rescue", "schemas", "testing", "upcast",
]  # fmt: skip


def modules_after(code: str) -> set[str]:
    """The top-level modules that a Python of its own has loaded after some code."""
    code += "; import sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.processes
def test_the_import_loads_none_of_the_large_libraries() -> None:
    """They are loaded when first used."""
    loaded = modules_after("import eventsourcing_kit as ek; ek.Event; ek.NewEvent(type='T'); ek.InputError")
    assert "pydantic" in loaded
    assert not loaded & {"pandas", "altair", "slatedb", "numpy", "nbformat", "tqdm", "IPython", "duckdb"}


@pytest.mark.processes
def test_a_store_needs_no_frames_and_no_charts() -> None:
    """Appending, reading and replaying are done without pandas and altair."""
    loaded = modules_after(
        "import eventsourcing_kit as ek; s = ek.EventStore(); s.append('a', ek.NewEvent(type='T')); list(s.read()); "
        "p = ek.Projection('p', initial=int); p.on('T')(lambda s, e: s + 1); assert s.replay(p) == {'a': 1}; s.close()"
    )
    assert "slatedb" in loaded
    assert not loaded & {"pandas", "altair"}


def test_the_public_names_are_these() -> None:
    """People, notebooks and checks rely on them; adding or removing one is done here as well."""
    assert sorted(ek.__all__) == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(ek))
    assert all(getattr(ek, name) is not None for name in PUBLIC)


@pytest.mark.parametrize("module", [ek, ek.charts, ek.fold, ek.testing])
def test_tab_offers_the_public_names(module: ModuleType) -> None:
    """And nothing that a module has imported, or keeps to itself."""
    assert dir(module) == sorted(module.__all__)


def test_a_star_import_gives_the_public_names() -> None:
    """All of them, and only them."""
    names: dict[str, object] = {}
    exec("from eventsourcing_kit import *", names)
    assert sorted(set(names) - {"__builtins__"}) == sorted(PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'Aggregate'"):
        ek.Aggregate  # noqa: B018
    assert not hasattr(ek, "utils")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_says_what_it_is(name: str) -> None:
    """A docstring for each, and for each of its public methods and properties; constants have a readable repr."""
    thing = getattr(ek, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing)):
        assert repr(thing) == name
        return
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        own = [(n, m) for n, m in vars(thing).items() if not n.startswith("_")]
        methods = [(n, m) for n, m in own if inspect.isfunction(m) or isinstance(m, (property, classmethod))]
        assert [n for n, m in methods if not inspect.getdoc(m)] == []


def test_every_error_has_the_one_root_and_is_in_the_tree() -> None:
    """The tree that the module `errors` draws is complete."""
    from eventsourcing_kit import errors

    kinds = [thing for thing in vars(errors).values() if inspect.isclass(thing) and issubclass(thing, Exception)]

    for kind in kinds:
        assert issubclass(kind, ek.EventSourcingError)
        assert kind.__name__ in ek.__all__
        assert kind.__name__ in (errors.__doc__ or "")
    assert issubclass(ek.InputError, ValueError)

"""What the tests share: hypothesis' profiles, and stores that are closed again."""

from __future__ import annotations

import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import eventsourcing_kit as ek
from eventsourcing_kit.events import renames, schema, upcasters
from tests.faults import without_locks

collect_ignore = ["conformance"]  # it holds no examples, and can be imported only where the other project is

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]
# The same examples every time; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile(
    "fixed", deadline=None, max_examples=60, derandomize=True, database=None, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """`make check` starts no process: a test that does, and isn't marked so, fails there.

    And Ctrl-C means what it does: a shell that starts the tests in the background has it ignored, and so would be the
    processes that tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    runs_tests = hasattr(config, "workerinput") or not config.getoption("numprocesses", None)
    if runs_tests and config.option.markexpr == "not processes":
        platform.platform()  # it starts a process where nobody asked before; pytest's workers ask, and it is kept
        sys.addaudithook(_refuse_processes)


def _refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"):
        raise RuntimeError(f"a test that starts a process has the mark `processes`: {event}{arguments[:1]}")


@pytest.fixture(scope="module", autouse=True)
def own_event_types(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test module sees the event types that it defines or imports, not those that happen to share its process."""
    modules, imported = {request.node.obj.__name__, "tests.golden.make"}, list(vars(request.node.obj).values())
    own = {
        name: kind
        for name, kind in schema.registry.items()
        if kind.cls.__module__ in modules or any(kind.cls is one for one in imported)
    }
    registries: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
        (schema.registry, own),
        (renames.successors, {old: new for old, new in renames.successors.items() if new in own}),
        (upcasters.registry, {name: dict(found) for name, found in upcasters.registry.items() if name in own}),
    ]
    others = [dict(registry) for registry, _ in registries]
    for registry, kept in registries:
        registry.clear()
        registry.update(kept)
    yield
    for (registry, _), kept in zip(registries, others, strict=True):
        registry.clear()
        registry.update(kept)


@pytest.fixture
def store() -> Iterator[ek.EventStore]:
    """An empty store in memory whose clock goes on by a minute a commit, from 2026-01-05 09:00 UTC."""
    with ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"), seed=1) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store on disk can be made."""
    return tmp_path / "store"


@pytest.fixture
def without_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has no locks for files: each commit to a folder becomes a file of SlateDB's."""
    without_locks(monkeypatch)

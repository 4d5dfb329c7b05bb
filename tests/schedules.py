"""Two threads, one of which is stopped at each of its steps in turn, while the other does all that it can."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

import eventsourcing_kit as ek

PACKAGE = str(Path(ek.__file__).parent)
# Where threads can meet: the rest works on what is a thread's own, or is a step of these.
SHARED = (
    *("store.py", "log/", "following/"),
    *("storage/lifecycle.py", "storage/journal.py", "storage/slate/table.py"),
)
_MOVES_SECONDS = 0.05  # a thread that stays where it is for so long waits for the one that is stopped
_ENDS_SECONDS = 30.0

World = TypeVar("World")


@dataclass
class Ran(Generic[World]):
    """One schedule: the world in which it took place, and what the two returned or raised."""

    world: World
    first: Any = None
    second: Any = None


def schedules(
    make: Callable[[], World],
    first: Callable[[World], object],
    second: Callable[[World], object],
    *,
    steps: str = "call",
    within: tuple[str, ...] = SHARED,
) -> Iterator[Ran[World]]:
    """In a world of its own each: `first` runs up to one of its steps, then all of `second`, then the rest of `first`.

    Every step is tried, and at last `first` before all of `second`. A step is a "line" of the kit's modules `within`,
    or a "call" of one of their functions, in whatever thread of the kit `first` has it done. Where `second` has to wait
    for what is stopped, it goes on with it.
    """
    step, stopped = 0, True
    while stopped:
        stop = _Stop(step, steps, within)
        threading.settrace(stop.trace)  # for the threads that are made from here on, the world's own among them
        try:
            ran = Ran(make())
        finally:
            threading.settrace(None)  # type: ignore[arg-type]  # which takes it
        one = threading.Thread(target=stop.run, args=(_outcome, ran, "first", first), daemon=True)
        other = stop.other = threading.Thread(target=_outcome, args=(ran, "second", second), daemon=True)
        one.start()
        one.join(_ENDS_SECONDS)
        stopped = stop.was_reached
        if not stopped:
            stop.begin_other()
        stop.has_begun.wait(_ENDS_SECONDS)
        other.join(_ENDS_SECONDS)
        assert not one.is_alive(), f"{step}: the first thread waits for ever; the second: {_where(other)}"
        assert not other.is_alive(), f"{step}: the second thread waits for ever at {_where(other)}"
        yield ran
        step += 1
    assert step > 3, "a schedule of so few steps tries nothing"


def _outcome(ran: Ran[Any], name: str, work: Callable[[Any], object]) -> None:
    try:
        setattr(ran, name, work(ran.world))
    except Exception as error:
        setattr(ran, name, error)


def _where(thread: threading.Thread) -> tuple[str, int] | None:
    frame = sys._current_frames().get(thread.ident or 0)
    return None if frame is None else (frame.f_code.co_name, frame.f_lineno)


class _Stop:
    """Counts steps, and at one of them lets the other thread go first."""

    def __init__(self, step: int, steps: str, within: tuple[str, ...]) -> None:
        self.other: threading.Thread
        self.was_reached, self.has_begun = False, threading.Event()
        self._left, self._steps, self._is_counting = step, steps, False
        self._within = tuple(f"{PACKAGE}/{name}" for name in within)
        self._lock = threading.Lock()

    def run(self, work: Callable[..., None], *arguments: object) -> None:
        sys.settrace(self.trace)
        self._is_counting = True
        try:
            work(*arguments)
        finally:
            self._is_counting = False
            sys.settrace(None)

    def begin_other(self) -> None:
        self.other.start()
        self.has_begun.set()

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(self._within) or self.was_reached:
            return None
        self._count(event)
        return self.trace

    def _count(self, event: str) -> None:
        if event != self._steps or not self._is_counting:
            return
        with self._lock:
            if self.was_reached:
                return
            self._left -= 1
            if self._left >= 0:
                return
            self.was_reached = True
        self.begin_other()
        before: object = ()
        while self.other.is_alive() and (now := _where(self.other)) != before:
            before = now
            self.other.join(_MOVES_SECONDS)

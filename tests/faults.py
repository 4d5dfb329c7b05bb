"""Faults by name and by schedule: what goes wrong, in which thread, and at which of its steps.

A step is a place in the package's code at which a thread calls something, or has just called it. A first run without a
fault notes which there are; then one run each has its error there, once.
"""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import eventsourcing_kit as ek

PACKAGE = str(Path(ek.__file__).parent)


def no_memory() -> Exception:
    """As where a list or a buffer cannot grow."""
    return MemoryError("once, here")


def device_fails() -> Exception:
    """As of a disk that cannot be read or written."""
    return OSError(errno.EIO, "Input/output error")


class Step(NamedTuple):
    """A place in the code, and what happens there: "call", "c_call" or "c_return"."""

    file: str
    line: int
    event: str


class Fault:
    """A context manager: the threads of a name that are begun inside fail once, at a step; without one, never.

    With the name of the thread that makes it, that one too. `steps` are those that were passed, each once.
    """

    def __init__(self, thread: str, step: Step | None = None, error: Callable[[], Exception] = no_memory) -> None:
        self._thread, self._step, self._error = thread, step, error
        self.steps: dict[Step, None] = {}
        self.is_done = False

    def _look(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_call", "c_return") or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        if threading.current_thread().name != self._thread:
            return
        step = Step(frame.f_code.co_filename[len(PACKAGE) + 1 :], frame.f_lineno, event)
        self.steps[step] = None
        if step == self._step and not self.is_done:
            self.is_done = True
            raise self._error()

    def __enter__(self) -> Fault:
        threading.setprofile(self._look)
        if threading.current_thread().name == self._thread:
            sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # which it takes

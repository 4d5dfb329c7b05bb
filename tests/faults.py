"""Faults by name and by schedule: what goes wrong, in which thread, and at which of its steps.

A step is a place in the package's code at which a thread calls something, or has just called it. A first run without a
fault notes which there are; then one run each has its error there, once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
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


class Kills:
    """A context manager: what `kill -9` would leave of a folder before each change of a name or a size in it.

    `left` are copies of the folder, each with what `note` held at that moment.
    """

    _changes = ("os.rename", "os.remove", "os.link", "os.truncate", "open")
    _active: Kills | None = None
    _is_hooked = False

    def __init__(self, folder: Path, into: Path) -> None:
        self._folder, self._into = folder, into
        self.left: list[tuple[Path, int]] = []
        self.note = 0
        self._lock = threading.RLock()
        self._is_copying = False

    def copy(self) -> None:
        """One at this moment."""
        with self._lock:
            self._is_copying = True
            copy = self._into / f"{len(self.left)}"
            shutil.copytree(self._folder, copy, copy_function=_copied)
            self.left.append((copy, self.note))
            self._is_copying = False

    @classmethod
    def _look(cls, event: str, given: tuple[Any, ...]) -> None:
        kills = cls._active
        if kills is None or event not in cls._changes or kills._is_copying or not kills._folder.exists():
            return
        reads = event == "open" and not (given[2] & (os.O_CREAT | os.O_TRUNC))
        if not reads and isinstance(given[0], (str, Path)) and str(given[0]).startswith(str(kills._folder)):
            kills.copy()

    def __enter__(self) -> Kills:
        if not Kills._is_hooked:
            sys.addaudithook(Kills._look)  # which stays for good, and then does nothing
            Kills._is_hooked = True
        Kills._active = self
        return self

    def __exit__(self, *_: object) -> None:
        Kills._active = None


def _copied(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # SlateDB's own threads go on meanwhile
        shutil.copy2(source, target)

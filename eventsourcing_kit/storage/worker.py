"""A thread that does tasks in turn, so that its owner can wait for them, with a limit, or go on meanwhile."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Latch:
    """Opened once by one thread, waited for by another.

    `threading.Event` has a lock that both need for a moment; Ctrl-C at that moment leaves it locked, and the thread
    that opens it waits for ever. Here the waiting thread holds nothing that the other one needs.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._closed = threading.Lock()
        self._closed.acquire()

    def open(self) -> None:
        """Let the waiting thread go on; safe to call twice, by one thread."""
        if not self.is_open:
            self.is_open = True
            self._closed.release()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it was opened in time."""
        if not self.is_open and self._closed.acquire(timeout=-1 if seconds is None else seconds):
            self._closed.release()
        return self.is_open


_LOOK_SECONDS = 0.5
_NOT_DONE = RuntimeError("a thread ended before its work was done")


class Task:
    """One piece of work for another thread, and its outcome."""

    def __init__(self, work: Callable[[], Any], by: threading.Thread | None = None) -> None:
        self._work, self._by = work, by
        self._done = Latch()
        self._result: Any = None
        self._error: BaseException | None = _NOT_DONE

    def run(self) -> None:
        """Do it, once, however often this is called: by the thread whose task it is."""
        if self._error is _NOT_DONE:
            try:
                self._result = self._work()
                self._error = None
            except BaseException as error:
                self._error = error
        self._done.open()

    def outcome(self, seconds: float | None = None) -> Any:
        """What the work returned or raised; raises `TimeoutError` where that takes longer."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        while not self._done.wait(min(_LOOK_SECONDS, max(end - time.monotonic(), 0))):
            if time.monotonic() >= end:
                raise TimeoutError
            if self._by is not None and not self._by.is_alive() and not self._done.is_open:
                break  # it failed before it had begun
        if self._error is not None:
            raise self._error
        return self._result


class Worker:
    """A daemon thread for tasks."""

    def __init__(self, name: str) -> None:
        self._tasks: deque[Task | None] = deque()
        self._more: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        """An task is taken away when it is done: what fails besides the work itself is done again, and no loss."""
        while True:
            with contextlib.suppress(Exception):
                while self._tasks:
                    task = self._tasks[0]
                    if task is None:
                        return
                    task.run()
                    del task  # nothing is held while nothing is to be done
                    self._tasks.popleft()
                self._more.get()

    def begin(self, work: Callable[[], Any]) -> Task:
        """Have it done after what was begun before."""
        task = Task(work, self._thread)
        self._add(task)
        return task

    def last(self, work: Callable[[], Any]) -> Task:
        """Have it done, and end."""
        task = self.begin(work)
        self.end()
        return task

    def end(self) -> None:
        """End after what was begun."""
        self._add(None)

    def _add(self, task: Task | None) -> None:
        self._tasks.append(task)
        self._more.put(None)

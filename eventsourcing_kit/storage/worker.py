"""A thread that does errands in turn, so that its owner can wait for them, with a limit, or go on meanwhile."""

from __future__ import annotations

import threading
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
        """Let the waiting thread go on."""
        self.is_open = True
        self._closed.release()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it was opened in time."""
        if not self.is_open and self._closed.acquire(timeout=-1 if seconds is None else seconds):
            self._closed.release()
        return self.is_open


class Errand:
    """One piece of work for another thread, and its outcome."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._done = Latch()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it; called once, by the thread whose errand it is."""
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.open()

    def outcome(self, seconds: float | None = None) -> Any:
        """What the work returned or raised; raises `TimeoutError` where that takes longer."""
        if not self._done.wait(seconds):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._result


class Worker:
    """A daemon thread for errands."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[Errand | None] = SimpleQueue()
        threading.Thread(target=self._loop, name=name, daemon=True).start()

    def _loop(self) -> None:
        while (errand := self._queue.get()) is not None:
            errand.run()

    def begin(self, work: Callable[[], Any]) -> Errand:
        """Have it done after what was begun before."""
        errand = Errand(work)
        self._queue.put(errand)
        return errand

    def last(self, work: Callable[[], Any]) -> Errand:
        """Have it done, and end."""
        errand = self.begin(work)
        self.end()
        return errand

    def end(self) -> None:
        """End after what was begun."""
        self._queue.put(None)

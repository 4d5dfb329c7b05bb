"""Waking threads that wait: for the log to move on, or for a subscription to have handled an event."""

from __future__ import annotations

import threading


class Wakeup:
    """Wakes the thread that waits for it; woken twice before it looks is as good as once.

    It is a bare lock and nothing more, so that anybody may wake it, a callback of the garbage collector included.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def wake(self) -> None:
        """Wake who waits, or who waits next."""
        try:
            self._silent.release()
        except RuntimeError:
            return  # it was woken already

    def wait(self, seconds: float | None = None) -> None:
        """Return when it is woken, or after so many seconds."""
        self._silent.acquire(timeout=-1 if seconds is None else min(max(seconds, 0), threading.TIMEOUT_MAX))


class Wakeups(dict[Wakeup, None]):
    """All that one event wakes. Each step is one step of a dict, so that it needs no lock."""

    def add(self, wakeup: Wakeup) -> None:
        """Have it woken from now on."""
        self[wakeup] = None

    def remove(self, wakeup: Wakeup) -> None:
        """Have it woken no more."""
        self.pop(wakeup, None)

    def wake(self) -> None:
        """Wake them all."""
        for wakeup in list(self):
            wakeup.wake()

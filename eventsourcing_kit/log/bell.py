"""Waking threads that wait: for the log to move on, or for a subscription to have handled an event."""

from __future__ import annotations

import threading


class Bell:
    """Wakes the thread that waits for it; rung twice before that looks is as good as once.

    It is a bare lock and nothing more, so that anybody may ring it, a callback of the garbage collector included.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        try:
            self._silent.release()
        except RuntimeError:
            return  # it has been rung already

    def wait(self, seconds: float | None = None) -> None:
        """Return when it is rung, or after so many seconds."""
        self._silent.acquire(timeout=-1 if seconds is None else min(max(seconds, 0), threading.TIMEOUT_MAX))


class Bells(dict[Bell, None]):
    """All the bells that one event rings. Each step is one step of a dict, so that it needs no lock."""

    def add(self, bell: Bell) -> None:
        """Have it rung from now on."""
        self[bell] = None

    def remove(self, bell: Bell) -> None:
        """Have it rung no more."""
        self.pop(bell, None)

    def ring(self) -> None:
        """Ring them all."""
        for bell in list(self):
            bell.ring()

"""Ctrl-C put off, while a thread is in the middle of what must not be left half-done."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Let a Ctrl-C that comes meanwhile take effect at the end; for what takes no longer than a trip to the device.

    Only the main thread is ever interrupted. Where Python does not handle the signal, there is nothing to put off.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[Any] = []
    handler = signal.signal(signal.SIGINT, lambda *given: came.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came and callable(handler):
            handler(*came[0])

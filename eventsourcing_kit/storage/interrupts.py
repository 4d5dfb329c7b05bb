"""Signals put off, while a thread is in the middle of what must not be left half-done."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Handlers = dict[int, Callable[..., object]]

# Those whose handlers are known to raise, or to do more than to note that the signal came.
_NAMES = ["INT", "TERM", "HUP", "QUIT", "BREAK", "ALRM", "VTALRM", "USR1", "USR2", "CHLD"]
_SIGNALS = [int(getattr(signal, f"SIG{name}")) for name in _NAMES if hasattr(signal, f"SIG{name}")]
# What `signal` is made of, where there is such a module: `signal` itself looks every number and handler up in an
# enumeration, which takes three times as long, and this is done at each append.
_signals: Any = sys.modules.get("_signal", signal)


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Let a signal that comes meanwhile take effect at the end; for what takes no longer than a trip to the device.

    Python runs handlers in the main thread, wherever it is. One may raise, as that of Ctrl-C does, or use the store
    itself, and then wait for what this thread holds. What Python does not handle takes effect at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: Handlers = {}
    came: dict[int, Any] = {}
    try:
        for number in _SIGNALS:
            handler = _signals.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                _signals.signal(number, came.setdefault)
        yield
    finally:
        try:
            _give_back(handlers)
        finally:
            if came:
                _take_effect(handlers, came)


def _take_effect(handlers: Handlers, came: dict[int, Any]) -> None:
    with contextlib.ExitStack() as stack:  # each does, also where the one before raises
        for number, frame in reversed(came.items()):
            stack.callback(handlers[number], number, frame)


def _give_back(handlers: Handlers) -> None:
    try:
        for number, handler in handlers.items():
            _signals.signal(number, handler)
    except BaseException:  # one that is given back already raised
        _give_back(handlers)
        raise

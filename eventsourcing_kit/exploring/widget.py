"""The view in a notebook: an anywidget on the page's own module, and a thread that follows a store which grows."""

from __future__ import annotations

import threading
import time
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import EventSourcingError
from eventsourcing_kit.exploring import page
from eventsourcing_kit.log.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.log.log import Log

VIEW = "application/vnd.jupyter.widget-view+json"
_POLL_SECONDS = 0.2  # between two looks at a log that another process writes, and whether there is still somebody
_REST = 4  # times as long as an update took nothing is done after it


@cache
def widget_class() -> Any:
    """The widget's class; None where anywidget is not installed."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None

    class Explorer(anywidget.AnyWidget):
        """What the page shows, the position that is pointed at, and the number of the key that is chosen (-1: none)."""

        _esm = page.script()
        _css = page.style()
        _packed = traitlets.Bytes().tag(sync=True)
        _position = traitlets.Int().tag(sync=True)
        _key = traitlets.Int(-1).tag(sync=True)

    return Explorer


def follow(log: Log, owner: object, grown: Callable[[], object]) -> None:
    """Call `grown`, a method of `owner`, whenever the log has moved on, for as long as there are both.

    In a thread of its own, which keeps neither alive. Where much is written, it is called now and then.
    """
    method = weakref.WeakMethod(grown)
    wakeup = Wakeup()
    log.wakeups.add(wakeup)

    def run() -> None:
        try:
            seen = log.head.last
            while method() is not None and not log.life.is_closed:
                wakeup.wait(_POLL_SECONDS)
                try:
                    log.refresh()
                    if log.head.last != seen:
                        seen, began = log.head.last, time.monotonic()
                        call = method()
                        if call is not None:
                            call()
                        del call
                        time.sleep(_REST * (time.monotonic() - began))
                except EventSourcingError:
                    return  # the store is closed or cannot be read; what is shown stays
        finally:
            log.wakeups.remove(wakeup)

    threading.Thread(target=run, name="eventsourcing-kit-explorer", daemon=True).start()

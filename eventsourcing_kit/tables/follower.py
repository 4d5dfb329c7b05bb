"""Keeping a reporting database at the heels of a store: after each append, or in a thread beside it."""

from __future__ import annotations

import contextlib
import threading
import time
from html import escape
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import StorageError, StoreClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.store import EventStore

_LOOK_SECONDS, _MOST_SECONDS = 0.02, 0.2


class Follower:
    """Goes on with the tables until it is stopped, or the store or the database is closed. A context manager.

    `catch_up` brings all tables to the log's end. Inline, it is called after every append through this store object;
    else by a thread that looks for new events up to fifty times a second. `error` is what keeps the thread from it: a
    storage that does not answer for now, or what ended it.
    """

    def __init__(self, store: EventStore, catch_up: Callable[[], object], *, inline: bool) -> None:
        self._store, self._catch_up, self.inline = store, catch_up, inline
        self.error: Exception | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        if inline:
            store._inline.append(self._after_append)
            self._after_append()
        else:
            self._thread = threading.Thread(target=self._work, name="eventsourcing-kit-reporting", daemon=True)
            self._thread.start()

    @property
    def runs(self) -> bool:
        """Whether it still follows."""
        return not self._stopping.is_set()

    def _after_append(self) -> None:
        """What fails says so here and in `lag`: it must not make the append look as if it had failed."""
        try:
            self._catch_up()
            self.error = None
        except Exception as error:
            self.error = error

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                start = time.monotonic()
                self._look()
                taken = time.monotonic() - start if self.error is None else _MOST_SECONDS
                self._stopping.wait(min(max(taken, _LOOK_SECONDS), _MOST_SECONDS))  # under load in larger batches
        except Exception as error:  # between two looks
            self.error = error
            self._stopping.set()

    def _look(self) -> None:
        try:
            self._catch_up()
        except StoreClosedError:  # the store or the database
            self._stopping.set()
        except StorageError as error:  # it may answer again
            self.error = error
        except Exception as error:
            self.error = error
            self._stopping.set()
        else:
            self.error = None

    def stop(self) -> None:
        """Follow no longer; returns when the batch that is being written is done. Safe to call twice."""
        self._stopping.set()
        with contextlib.suppress(ValueError):
            self._store._inline.remove(self._after_append)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        how = "after each append" if self.inline else "in the background"
        trouble = "" if self.error is None else f" ({type(self.error).__name__}: {self.error})"
        return f"<follower of {self._store!r} {how}{'' if self.runs else ', stopped'}{trouble}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"

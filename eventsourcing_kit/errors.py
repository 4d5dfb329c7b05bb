"""Every error that the kit raises, drawn as a tree.

EventSourcingError
├── InputError (also a ValueError)        a bad argument, event or frame; nothing was written
│   └── MomentError                       something that names no place in the log
├── ConcurrencyError                      the stream or the log is not as the writer expected
├── DuplicateIdError                      an id that the store already holds for another event
├── OutcomeUnknownError                   an append that may or may not have been stored
├── StoreClosedError                      the store is closed, or was inherited through fork
│   └── SupersededError                   another writer opened the store
├── LaggardError (also a TimeoutError)    a position was not reached in time, or never will be
├── ReadOnlyError                         a write through a read-only store
├── StorageError                          the storage underneath failed or cannot be opened
│   ├── DamagedError                      a store's folder with damaged files
│   └── RecordError                       bytes in the log that are no record this version can read
├── SchemaError                           a stored event does not fit its registered class
├── ProjectionError                       a projection's handler failed or returned nothing
└── NotebookError                         a notebook that is not fit to be a strict test
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy
from html import escape
from pickle import dumps
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}\b")


def without_addresses(text: str) -> str:
    """A text without the places in memory that reprs tell: they differ in every run, and help nobody."""
    return _ADDRESS.sub("", text)


class EventSourcingError(Exception):
    """The root of all the kit's errors. All of them can be copied and pickled, with their attributes, notes and cause.

    What an attribute holds and cannot be pickled is sent as what can: a lazy read as a list, anything else as text.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> try:
    ...     store.append("order-7", ek.NewEvent(type="Shipped"), expected_version=3)
    ... except ek.EventSourcingError as error:
    ...     print(type(error).__name__, error.actual)
    ConcurrencyError 0
    """

    def __str__(self) -> str:
        return without_addresses(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        return _bare, (type(self), self.args), {name: _sendable(value) for name, value in self._state().items()}

    def __copy__(self) -> EventSourcingError:
        copied = _bare(type(self), self.args)
        copied.__setstate__(self._state())
        return copied

    def _state(self) -> dict[str, Any]:
        return vars(self) if self.__cause__ is None else {**vars(self), "__cause__": self.__cause__}

    def _repr_html_(self) -> str:
        return f"<pre>{escape(type(self).__name__)}: {escape(str(self))}</pre>"


class InputError(EventSourcingError, ValueError):
    """A bad argument, event or frame. Nothing was written."""


class MomentError(InputError):
    """Something that names no place in the log."""


class ConcurrencyError(EventSourcingError):
    """The log is not as the writer expected: a stream's version, or a condition (`unless`). Nothing was written.

    Attributes: `stream`; `expected` (an int or one of `ANY`, `NO_STREAM`, `STREAM_EXISTS`); `actual`, the stream's
    version; `unseen`, a lazy read of the events after the expected version; `attempts`, how often `store.handle`
    decided a command in vain (1 for an append).

    Of a condition: `unless`, its query (else None); `stream`, None; `expected`, the position of its `after`, or 0;
    `actual`, that of the last event that the query means; `unseen`, those that it means after `after`.
    """

    attempts = 1

    def __init__(
        self, stream: str | None, expected: object, actual: int, unseen: Iterable[Any] = (), *, unless: Any = None
    ) -> None:
        self.stream, self.expected, self.actual, self.unseen = stream, expected, actual, unseen
        self.unless = unless
        if unless is not None:
            super().__init__(
                f"the log holds events after position {expected} that {unless!r} means, the last at position {actual}; "
                "read what came in between (.unseen), decide again, and append with the position you saw as after="
            )
            return
        has_moved_on = actual > (expected if isinstance(expected, int) else 0)
        cure = "read what came in between (.unseen), decide again," if has_moved_on else "look at it, decide again,"
        super().__init__(
            f"stream {stream!r} is at version {actual}, not at the expected {expected!r}; {cure} and append with the "
            "version you saw"
        )

    def give_up(self, attempts: int) -> None:
        """Say how often the command was decided, each time to find that the stream had moved on."""
        self.attempts = attempts
        times = "once" if attempts == 1 else f"{attempts} times"
        moved = f"stream {self.stream!r} had moved on meanwhile: it is at version {self.actual}, not at"
        if self.unless is not None:
            moved = (
                f"events that {self.unless!r} means had come meanwhile: the last is at position {self.actual}, not at"
            )
        self.args = (
            f"the command was decided {times}, and each time {moved} {self.expected!r} as decided; nothing was "
            "written. Handle the command again, or allow more with retries=…",
        )


class DuplicateIdError(EventSourcingError):
    """An id that the store already holds for another event. Nothing was written."""


class OutcomeUnknownError(EventSourcingError):
    """An append that may or may not have been stored.

    `events` holds the same events with their ids: append them again, and the store either finds them there
    (`replayed=True`) or stores them, but never twice. After a load, `left` says which rows of its frame are not known
    to be stored, for `frame.iloc`, in the order of their times.
    """

    def __init__(self, message: str, events: list[Any]) -> None:
        self.events = events
        self.left: list[int] = []
        super().__init__(message)


class StoreClosedError(EventSourcingError):
    """The store is closed: open it again. Or the process was forked from one with an open store: spawn it instead."""


class SupersededError(StoreClosedError):
    """Another writer opened the store. Reading still works; to write, open the store again."""

    def __init__(
        self,
        message: str = "another writer opened the store, so this one writes no more; reading still works, "
        "and EventStore(…) makes this process the writer again",
    ) -> None:
        super().__init__(message)


class LaggardError(EventSourcingError, TimeoutError):
    """A position was waited for in vain.

    Attributes: `position`; `laggards`, one (name, position, behind, error) for each that has not come so far. The cause
    is the exception of the first that has failed.
    """

    def __init__(self, message: str, position: int, laggards: list[Any]) -> None:
        self.position, self.laggards = position, laggards
        super().__init__(message)


class ReadOnlyError(EventSourcingError):
    """A write through a store that was opened with `read_only=True`."""


class StorageError(EventSourcingError):
    """The storage underneath failed, or holds something that is no event store."""


class DamagedError(StorageError):
    """A store's folder with damaged files; `files` are their paths within the folder, `folder` is the folder.

    `ek.rescue(folder)` saves every event before the damage.
    """

    def __init__(self, message: str, folder: str, files: list[str]) -> None:
        self.folder, self.files = folder, files
        super().__init__(message)


class RecordError(StorageError):
    """Bytes in the log that are no record which this version of the kit can read."""


class SchemaError(EventSourcingError):
    """A stored event does not fit its registered class; the message names position, type, field and cure."""


class ProjectionError(EventSourcingError):
    """A projection's handler (or `initial`) failed or returned None; the message names it, event and state before."""


class NotebookError(EventSourcingError):
    """A notebook that is not fit to be a strict test; the message lists what to mend."""


def _bare(kind: type[EventSourcingError], args: tuple[object, ...]) -> EventSourcingError:
    """An error as it was made, without its attributes: what its class is called with is another matter."""
    error = kind.__new__(kind)
    error.args = args
    return error


def _sendable(value: Any) -> Any:
    """A value, where another process can be sent it and make it anew; else what is most like it and can be sent."""
    try:
        dumps(value)
        deepcopy(value)  # makes it anew, which many an exception's class does not allow
    except Exception:
        return _in_parts(value)
    return value


def _in_parts(value: Any) -> Any:
    if isinstance(value, BaseException):
        return EventSourcingError(f"{type(value).__name__}: {value}")
    if isinstance(value, tuple):
        parts = [_sendable(one) for one in value]
        return getattr(value, "_make", tuple)(parts)
    if not isinstance(value, Iterable):
        return repr(value)
    try:
        return [_sendable(one) for one in value]
    except Exception:  # a lazy read of a store that is closed
        return []

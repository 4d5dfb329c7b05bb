"""A time-travel lab for event-sourced systems, in a notebook.

>>> import eventsourcing_kit as ek
>>> store = ek.EventStore()
>>> store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
<receipt: 1 event to 'order-7', version 1, position 1>
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import (
    ConcurrencyError,
    DuplicateIdError,
    EventSourcingError,
    InputError,
    LaggardError,
    MomentError,
    NotebookError,
    OutcomeUnknownError,
    ProjectionError,
    ReadOnlyError,
    RecordError,
    SchemaError,
    StorageError,
    StoreClosedError,
    SupersededError,
)
from eventsourcing_kit.event import Event, NewEvent, RecordedEvent

if TYPE_CHECKING:
    from eventsourcing_kit import charts, testing
    from eventsourcing_kit.append import Append, Receipt
    from eventsourcing_kit.history import History
    from eventsourcing_kit.projection import GONE, Projection
    from eventsourcing_kit.read import Read
    from eventsourcing_kit.reporting import ReportingDatabase
    from eventsourcing_kit.store import ANY, NO_STREAM, STREAM_EXISTS, EventStore, from_frame

# Loaded when first used: a store brings slatedb's library, a frame pandas, a chart altair.
_LATER = {
    "ANY": "store",
    "Append": "append",
    "EventStore": "store",
    "GONE": "projection",
    "History": "history",
    "NO_STREAM": "store",
    "Projection": "projection",
    "Read": "read",
    "Receipt": "append",
    "ReportingDatabase": "reporting",
    "STREAM_EXISTS": "store",
    "charts": "",
    "from_frame": "store",
    "testing": "",
}

__version__ = "0.1.0"
__all__ = [
    "ANY",
    "GONE",
    "NO_STREAM",
    "STREAM_EXISTS",
    "Append",
    "ConcurrencyError",
    "DuplicateIdError",
    "Event",
    "EventSourcingError",
    "EventStore",
    "History",
    "InputError",
    "LaggardError",
    "MomentError",
    "NewEvent",
    "NotebookError",
    "OutcomeUnknownError",
    "Projection",
    "ProjectionError",
    "Read",
    "ReadOnlyError",
    "Receipt",
    "RecordError",
    "RecordedEvent",
    "ReportingDatabase",
    "SchemaError",
    "StorageError",
    "StoreClosedError",
    "SupersededError",
    "charts",
    "from_frame",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _LATER[name]
    value = getattr(import_module(f"{__name__}.{home}"), name) if home else import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

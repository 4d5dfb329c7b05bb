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
    DamagedError,
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
from eventsourcing_kit.events.event import Event, NewEvent, RecordedEvent
from eventsourcing_kit.events.tags import Tag
from eventsourcing_kit.events.upcasters import upcast

if TYPE_CHECKING:
    from eventsourcing_kit import charts, fold, testing
    from eventsourcing_kit.checking.report import Report
    from eventsourcing_kit.checking.schema_frames import schemas
    from eventsourcing_kit.events.command_context import context
    from eventsourcing_kit.exploring.view import explore
    from eventsourcing_kit.folding.comparison import Comparison, compare
    from eventsourcing_kit.folding.history import History
    from eventsourcing_kit.folding.projection import GONE, TAGS, Projection
    from eventsourcing_kit.following.parked import SKIP, STOP, Park
    from eventsourcing_kit.following.subscription import Subscription
    from eventsourcing_kit.log.forked import BranchPoint
    from eventsourcing_kit.mirroring.mirror import Mirror
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.reading.read import Read
    from eventsourcing_kit.reporting import ReportingDatabase
    from eventsourcing_kit.store import ANY, NO_STREAM, STREAM_EXISTS, EventStore, copy, from_file, from_frame, rescue
    from eventsourcing_kit.writing.append import Append, Receipt
    from eventsourcing_kit.writing.decider import Decider
    from eventsourcing_kit.writing.handling import Handled

# Loaded when first used: a store brings slatedb's library, a frame pandas, a chart altair.
_LATER = {
    "ANY": "store",
    "Append": "writing.append",
    "BranchPoint": "log.forked",
    "Comparison": "folding.comparison",
    "compare": "folding.comparison",
    "Decider": "writing.decider",
    "EventStore": "store",
    "GONE": "folding.projection",
    "Handled": "writing.handling",
    "History": "folding.history",
    "Mirror": "mirroring.mirror",
    "NO_STREAM": "store",
    "Park": "following.parked",
    "Projection": "folding.projection",
    "Query": "reading.query",
    "Read": "reading.read",
    "Receipt": "writing.append",
    "Report": "checking.report",
    "ReportingDatabase": "reporting",
    "SKIP": "following.parked",
    "STOP": "following.parked",
    "STREAM_EXISTS": "store",
    "TAGS": "folding.projection",
    "Subscription": "following.subscription",
    "charts": "",
    "fold": "",
    "context": "events.command_context",
    "explore": "exploring.view",
    "from_file": "store",
    "from_frame": "store",
    "copy": "store",
    "rescue": "store",
    "schemas": "checking.schema_frames",
    "testing": "",
}

__version__ = "0.1.0"
__all__ = [
    "ANY",
    "GONE",
    "NO_STREAM",
    "SKIP",
    "STOP",
    "STREAM_EXISTS",
    "TAGS",
    "Append",
    "BranchPoint",
    "Comparison",
    "ConcurrencyError",
    "DamagedError",
    "Decider",
    "DuplicateIdError",
    "Event",
    "EventSourcingError",
    "EventStore",
    "Handled",
    "History",
    "InputError",
    "LaggardError",
    "Mirror",
    "MomentError",
    "NewEvent",
    "NotebookError",
    "OutcomeUnknownError",
    "Park",
    "Projection",
    "ProjectionError",
    "Query",
    "Read",
    "ReadOnlyError",
    "Receipt",
    "RecordError",
    "RecordedEvent",
    "Report",
    "ReportingDatabase",
    "SchemaError",
    "StorageError",
    "StoreClosedError",
    "Subscription",
    "SupersededError",
    "Tag",
    "charts",
    "compare",
    "context",
    "copy",
    "explore",
    "fold",
    "from_file",
    "from_frame",
    "rescue",
    "schemas",
    "testing",
    "upcast",
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

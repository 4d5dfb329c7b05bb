"""A branch's base, found again where the branch says that it lies, or where somebody says that it lies now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import StorageError
from eventsourcing_kit.log.log import Log
from eventsourcing_kit.storage import location

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from eventsourcing_kit.log.forked import Past
    from eventsourcing_kit.records.record import Parent


@dataclass(frozen=True)
class Finder:
    """Finds bases: `given` is where the base lies now, or its log; `options` are a bucket's; `in_memory` gives the log
    of a store in memory by its id, where this process has it.
    """

    in_memory: Callable[[uuid.UUID], Log | None]
    given: Any = None
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    patience: float | None = None

    def __call__(self, parent: Parent, place: str | None) -> Past:
        """The base up to the fork; raises `StorageError` where it is not there, or is not what was branched."""
        log = self.given if isinstance(self.given, Log) else self._opened(parent, place)
        is_borrowed = log is self.given or log.location.is_memory
        try:
            return self._checked(log, parent, is_borrowed)
        except BaseException:
            if not is_borrowed:
                log.close()
            raise

    def _opened(self, parent: Parent, place: str | None) -> Log:
        where = place if self.given is None else self.given
        if where is None:
            found = self.in_memory(parent.store)
            if found is None:
                raise StorageError(
                    f"this branch's base, {parent.store}, was a store in memory, and is gone; a branch can be opened "
                    "again as long as its base is there: in a folder, a bucket, or this process"
                )
            return found
        at = location.parse(where, dict(self.options))
        try:
            return Log(at, read_only=True, patience=self.patience, find=Finder(self.in_memory))
        except StorageError as error:
            error.args = (
                f"this branch's base cannot be opened at {str(at)!r}: {error}; if it lies elsewhere now, say where: "
                "EventStore(path, base='its place'), with base_options={…} for a bucket",
                *error.args[1:],
            )
            raise

    def _checked(self, log: Log, parent: Parent, is_borrowed: bool) -> Past:
        where = "the store in memory" if log.place is None else f"the store at {log.place!r}"
        cure = "bring it back, or say where it is now: EventStore(path, base='its place')"
        if log.store_id != parent.store:
            raise StorageError(f"{where} is another one, {log.store_id}; this branch's base is {parent.store}: {cure}")
        if log.head.last < parent.position:
            raise StorageError(
                f"{where} ends at position {log.head.last}, and this branch parts from it at {parent.position}: {cure}"
            )
        past = log.past(parent.position)
        past.opened = None if is_borrowed else log
        if past.head.digest != parent.digest:
            raise StorageError(
                f"{where} is not what this branch parted from: at position {parent.position} its digest is "
                f"{past.head.digest.hex()}, and was {parent.digest.hex()}: {cure}"
            )
        return past

"""Do stored payloads fit the classes that are registered for their types today?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from eventsourcing_kit.errors import SchemaError
from eventsourcing_kit.events import stored_data

if TYPE_CHECKING:
    from eventsourcing_kit.checking.report import Findings
    from eventsourcing_kit.records.record import Commit, StoredShape

_CURE = "mend the class, not the log: the event is as it was written"


def check_payloads(commit: Commit, found: Findings) -> None:
    """Note every event of a commit that does not fit the class of its type."""
    for shape, rows in zip(commit.shapes, commit.rows_of_shapes, strict=True):
        kind = stored_data.reader(shape.type, shape.schema_version)
        if kind is None or found.is_full("schema"):
            continue
        stored = dict(zip(shape.fields, shape.columns, strict=True))
        if not stored_data.is_upcast(kind, shape.schema_version) and kind.is_plain(stored):
            continue
        positions = (rows + commit.first).tolist()
        try:
            stored_data.from_columns(shape.type, shape.schema_version, shape.fields, shape.columns, positions)
        except SchemaError as error:
            _note(shape, positions, error, found)


def _note(shape: StoredShape, positions: list[int], error: SchemaError, found: Findings) -> None:
    """The first misfit of each event."""
    if not isinstance(error.__cause__, ValidationError):
        found.misfit(positions[0], str(error), _CURE)
        return
    seen = set()
    for one in error.__cause__.errors(include_url=False):
        row, *path = one["loc"]
        if row not in seen:
            seen.add(row)
            field = ".".join(map(str, path)) or "?"
            found.misfit(positions[int(row)], f"{shape.type!r}: field {field!r}: {one['msg']}", _CURE)

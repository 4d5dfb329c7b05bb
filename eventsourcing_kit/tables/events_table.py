"""The raw log as a table: each event as it is stored, its metadata and data as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from eventsourcing_kit.reading import frames
from eventsourcing_kit.records import ids
from eventsourcing_kit.tables.catalogue import Kept
from eventsourcing_kit.tables.table import Table

if TYPE_CHECKING:
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.tables.duck import Duck

EVENTS = "events"
_TIME = "TIMESTAMP WITH TIME ZONE"
_COLUMNS = {
    "position": "BIGINT", "stream": "VARCHAR", "version": "BIGINT", "type": "VARCHAR", "schema_version": "BIGINT",
    "recorded_at": _TIME, "occurred_at": _TIME, "id": "VARCHAR", "metadata": "JSON", "data": "JSON",
}  # fmt: skip


class EventsTable(Table):
    """The table `events`, a row an event. No code of people's makes its rows, so it is never stale."""

    def new(self, release: int) -> EventsTable:
        """One that holds nothing yet."""
        return EventsTable(Kept(EVENTS, release))

    def relations(self) -> dict[str, dict[str, str]]:
        """One SQL table."""
        return {self.relation(): _COLUMNS}

    def view(self) -> str:
        """All of it."""
        return f"SELECT * FROM {self.relation()}"

    def write(self, duck: Duck, log: Log, upto: int, *, visible: bool) -> Kept:
        """Add the events up to a position."""
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for commit in log.commits(self.position, upto):
            for name, values in _columns(commit).items():
                columns[name] += values
        self.insert(duck, self.relation(), {name: _given(_COLUMNS[name], values) for name, values in columns.items()})
        return self.kept


def _given(kind: str, values: list[Any]) -> tuple[Any, str]:
    if kind in ("BIGINT", _TIME):
        return frames.nullable(values), "make_timestamptz({})" if kind == _TIME else "{}"
    return frames.strings(frames.objects(values)), f"CAST({{}} AS {kind})"


def _columns(commit: Commit) -> dict[str, list[Any]]:
    """A commit's events, by column."""
    rows, shapes, streams = range(commit.count), commit.shapes, commit.streams
    codes, occurred, metadata = commit.shape_codes.tolist(), commit.occurred_us, commit.metadata
    data = ["{}"] * commit.count
    for shape, own in zip(shapes, commit.rows_of_shapes, strict=True):
        for row, *values in zip(own.tolist(), *shape.columns, strict=True):
            data[row] = _json(dict(zip(shape.fields, values, strict=True)))
    return {
        "position": commit.positions.tolist(),
        "stream": [streams[code] for code in commit.stream_codes.tolist()],
        "version": commit.versions.tolist(),
        "type": [shapes[code].type for code in codes],
        "schema_version": [shapes[code].schema_version for code in codes],
        "recorded_at": commit.times.tolist(),
        "occurred_at": [occurred.get(row) for row in rows],
        "id": ids.to_text(commit.id_bytes),
        "metadata": [_json(metadata[row]) if row in metadata else "{}" for row in rows],
        "data": data,
    }


def _json(value: Any) -> str:
    return to_json(value).decode()

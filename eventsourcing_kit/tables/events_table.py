"""The raw log as a table: each event as it is stored, its metadata and data as JSON, and its tags as a list of text.

The column of tags is there from the first event on that has any.
"""

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
_TAGS, _NO_TAGS = {"tags": "VARCHAR[]"}, "[]"


class EventsTable(Table):
    """The table `events`, a row an event. No code of people's makes its rows, so it is never stale."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        self._is_tagged = False  # whether the column is known to be there

    def undo(self) -> None:
        """The column may not be there after all."""
        self._is_tagged = False

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
        kinds = _COLUMNS | _TAGS
        columns: dict[str, list[Any]] = {name: [] for name in kinds}
        for commit in log.commits(self.position, upto):
            for name, values in _columns(commit).items():
                columns[name] += values
        if set(columns["tags"]) <= {_NO_TAGS}:
            del columns["tags"]
        elif not self._is_tagged:
            self._is_tagged = True
            duck.run(f"ALTER TABLE {self.relation()} ADD COLUMN IF NOT EXISTS tags {_TAGS['tags']} DEFAULT []")
            if visible:
                self.show(duck)
        self.insert(duck, self.relation(), {name: _given(kinds[name], values) for name, values in columns.items()})
        return self.kept


def _given(kind: str, values: list[Any]) -> tuple[Any, str]:
    if kind in ("BIGINT", _TIME):
        return frames.nullable(values), "make_timestamptz({})" if kind == _TIME else "{}"
    as_json = "CAST({} AS JSON)" if kind == _TAGS["tags"] else "{}"
    return frames.strings(frames.objects(values)), f"CAST({as_json} AS {kind})"


def _columns(commit: Commit) -> dict[str, list[Any]]:
    """A commit's events, by column."""
    rows, shapes, streams = range(commit.count), commit.shapes, commit.streams
    codes, occurred, metadata, tags = commit.shape_codes.tolist(), commit.occurred_us, commit.metadata, commit.tags
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
        "tags": [_json(tags[row]) if row in tags else _NO_TAGS for row in rows],
    }


def _json(value: Any) -> str:
    return to_json(value).decode()

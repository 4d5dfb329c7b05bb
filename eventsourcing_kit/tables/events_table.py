"""The raw log as a table: each event as it is stored, its metadata and data as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from eventsourcing_kit.reading import frames
from eventsourcing_kit.records import ids
from eventsourcing_kit.tables.duck import quoted
from eventsourcing_kit.tables.state_table import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.tables.duck import Duck

EVENTS = "events"
_TIME = "TIMESTAMP WITH TIME ZONE"
_COLUMNS = {
    "position": "BIGINT", "stream": "VARCHAR", "version": "BIGINT", "type": "VARCHAR", "schema_version": "BIGINT",
    "recorded_at": _TIME, "occurred_at": _TIME, "id": "VARCHAR", "metadata": "JSON", "data": "JSON",
}  # fmt: skip


class EventsTable:
    """Where the events are written; `release` tells one rebuild from the next."""

    def __init__(self, release: int) -> None:
        self.release = release
        self._rows = f"{SCHEMA}.{quoted(f'{EVENTS} {release}')}"

    def create(self, duck: Duck) -> None:
        """Make the table, empty."""
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        duck.run(f"CREATE OR REPLACE TABLE {self._rows} ({columns})")

    def drop(self, duck: Duck) -> None:
        """Remove the table, not the view."""
        duck.run(f"DROP TABLE IF EXISTS {self._rows}")

    def show(self, duck: Duck) -> None:
        """Let the view be of this table."""
        duck.run(f"CREATE OR REPLACE VIEW main.{EVENTS} AS SELECT * FROM {self._rows}")

    def write(self, duck: Duck, log: Log, after: int, upto: int) -> None:
        """Add the events above `after` up to `upto`, where a commit ends."""
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for commit in log.commits(after, upto):
            for name, values in _columns(commit):
                columns[name] += values
        taken = [
            f"make_timestamptz({name})" if kind == _TIME else f"CAST({name} AS {kind})"
            for name, kind in _COLUMNS.items()
        ]
        given = {name: _array(_COLUMNS[name], values) for name, values in columns.items()}
        with duck.given(given):
            duck.run(f"INSERT INTO {self._rows} SELECT {', '.join(taken)} FROM given")


def _array(kind: str, values: list[Any]) -> Any:
    if kind in ("BIGINT", _TIME):
        return frames.nullable(values)
    return frames.strings(frames.objects(values))


def _columns(commit: Commit) -> Iterator[tuple[str, list[Any]]]:
    shapes, streams = commit.shapes, commit.streams
    codes = commit.shape_codes.tolist()
    occurred, metadata = commit.occurred_us, commit.metadata
    yield "position", commit.positions.tolist()
    yield "stream", [streams[code] for code in commit.stream_codes.tolist()]
    yield "version", commit.versions.tolist()
    yield "type", [shapes[code].type for code in codes]
    yield "schema_version", [shapes[code].schema_version for code in codes]
    yield "recorded_at", commit.times.tolist()
    yield "occurred_at", [occurred.get(row) for row in range(commit.count)]
    yield "id", ids.to_text(commit.id_bytes)
    yield "metadata", [_json(metadata[row]) if row in metadata else "{}" for row in range(commit.count)]
    yield "data", _data(commit)


def _data(commit: Commit) -> list[str]:
    found = ["{}"] * commit.count
    for shape, rows in zip(commit.shapes, commit.rows_of_shapes, strict=True):
        for row, *values in zip(rows.tolist(), *shape.columns, strict=True):
            found[row] = _json(dict(zip(shape.fields, values, strict=True)))
    return found


def _json(value: Any) -> str:
    return to_json(value).decode()

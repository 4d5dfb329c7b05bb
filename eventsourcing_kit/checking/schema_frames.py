"""The registry of event types, and how well it reads a stored log, as frames."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic.errors import PydanticUserError

from eventsourcing_kit.errors import InputError, SchemaError
from eventsourcing_kit.events import renames, schema, stored_data, upcasters
from eventsourcing_kit.reading import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit, Ints, StoredShape


def schemas() -> pd.DataFrame:
    """The registered event types, one row each, in the order in which they were first defined.

    Columns: type, version, fields (names), upcasters (the versions that they start from), renamed_from (former names),
    class (module and name), json_schema (a dict; None for a class that JSON Schema has no words for).

    >>> import eventsourcing_kit as ek
    >>> class SeatReserved(ek.Event, version=2):
    ...     row: int
    ...     seat: str
    >>> ek.schemas().set_index("type").loc[["SeatReserved"], ["version", "fields", "upcasters"]]
                  version       fields upcasters
    type
    SeatReserved        2  [row, seat]        []
    """
    kinds = [kind for kind in schema.every() if renames.current(kind.name) == kind.name]
    return pd.DataFrame(
        {
            "type": _texts([kind.name for kind in kinds]),
            "version": frames.nullable([kind.version for kind in kinds]),
            "fields": frames.objects([kind.fields for kind in kinds]),
            "upcasters": frames.objects([sorted(upcasters.of(kind.name)) for kind in kinds]),
            "renamed_from": frames.objects([renames.former(kind.name) for kind in kinds]),
            "class": _texts([f"{kind.cls.__module__}.{kind.cls.__qualname__}" for kind in kinds]),
            "json_schema": frames.objects([_json_schema(kind) for kind in kinds]),
        }
    )


def _json_schema(kind: schema.Schema) -> dict[str, Any] | None:
    try:
        return kind.cls.model_json_schema()
    except PydanticUserError:
        return None


@dataclass(slots=True)
class _Counts:
    """What became of the events of one stored type and version, what was dropped of them, and the first that failed."""

    ok: int = 0
    upcast: int = 0
    raw: int = 0
    skipped: int = 0
    would_fail: int = 0
    untagged: int = 0
    position: int | None = None
    message: str | None = None
    dropped: set[str] = field(default_factory=set)

    @property
    def events(self) -> int:
        return self.ok + self.upcast + self.raw + self.skipped + self.would_fail

    def failed(self, count: int, position: int, message: str) -> None:
        self.would_fail += count
        if self.position is None:
            self.position, self.message = position, message


def check(log: Log, advance: Callable[[int], object]) -> pd.DataFrame:
    """One row a stored type and schema version; a commit at a time is in memory."""
    found: dict[tuple[str, int], _Counts] = {}
    for commit in log.commits(0, log.head.last):
        for shape, rows in zip(commit.shapes, commit.rows_of_shapes, strict=True):
            counts = found.setdefault((shape.type, shape.schema_version), _Counts())
            _count(counts, log, commit, shape, rows)
            counts.untagged += _untagged(commit, shape, rows)
        advance(commit.count)
    kinds = [schema.registered(renames.current(type_)) for type_, _ in found]
    counted = list(found.values())
    return pd.DataFrame(
        {
            "type": _texts([type_ for type_, _ in found]),
            "schema_version": frames.nullable([version for _, version in found]),
            "read_as": _texts([None if kind is None else kind.name for kind in kinds]),
            "class_version": frames.nullable([None if kind is None else kind.version for kind in kinds]),
            **{
                name: frames.nullable([getattr(one, name) for one in counted])
                for name in ("events", "ok", "upcast", "raw", "skipped", "would_fail", "untagged", "position")
            },
            "message": _texts([one.message for one in counted]),
            "dropped": frames.objects([sorted(one.dropped) for one in counted]),
        }
    )


def _count(counts: _Counts, log: Log, commit: Commit, shape: StoredShape, rows: Ints) -> None:
    size, first = len(rows), int(rows[0])
    policy = log.policies.of(shape.type, shape.schema_version)
    if policy == "keep":
        counts.raw += size
    elif policy == "skip":
        counts.skipped += size
    elif policy == "fail":
        counts.failed(size, commit.first + first, str(log.policies.refusal(commit, first)))
    else:
        _try(counts, shape, (rows + commit.first).tolist())


def _try(counts: _Counts, shape: StoredShape, positions: list[int]) -> None:
    """Have the class read the events, as a read would."""
    what = (shape.type, shape.schema_version, shape.fields)
    failing = stored_data.misfits(*what, shape.columns, positions)
    kind = stored_data.reader(shape.type, shape.schema_version)
    if kind is not None and stored_data.is_upcast(kind, shape.schema_version):
        counts.upcast += len(positions) - len(failing)
    else:
        counts.ok += len(positions) - len(failing)
    bad = set(failing)
    read = [i for i in range(len(positions)) if i not in bad]
    counts.dropped |= stored_data.dropped(
        *what, [[column[i] for i in read] for column in shape.columns], [positions[i] for i in read]
    )
    if failing:
        at = failing[0]
        try:
            stored_data.from_columns(*what, [[column[at]] for column in shape.columns], [positions[at]])
        except SchemaError as error:
            counts.failed(len(failing), positions[at], str(error))


def _untagged(commit: Commit, shape: StoredShape, rows: Ints) -> int:
    """How many of the events lack a tag that their class makes today."""
    kind = stored_data.reader(shape.type, shape.schema_version)
    if kind is None or not kind.tag_fields:
        return 0
    lacking, what, positions = 0, (shape.type, shape.schema_version, shape.fields), (rows + commit.first).tolist()
    bad = set(stored_data.misfits(*what, shape.columns, positions))
    read = [i for i in range(len(rows)) if i not in bad]
    columns = [[column[i] for i in read] for column in shape.columns]
    events = stored_data.from_columns(*what, columns, [positions[i] for i in read])
    for row, event in zip(rows[read].tolist(), events, strict=True):
        with suppress(InputError):  # where no tag can be made of it
            lacking += not set(kind.tags_of(event.__dict__)).issubset(commit.tags.get(row, ()))
    return lacking


def _texts(values: list[str | None] | list[str]) -> Any:
    return frames.strings(frames.objects([pd.NA if value is None else value for value in values]))

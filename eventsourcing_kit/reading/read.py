"""Reads: which events of the log are asked for, and the events themselves."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values, renames, schema, stored_data, wanted
from eventsourcing_kit.events.event import quick_recorded
from eventsourcing_kit.events.texts import time_text
from eventsourcing_kit.reading import known_types, query
from eventsourcing_kit.records import ids
from eventsourcing_kit.records.moment import EPOCH, from_us
from eventsourcing_kit.records.record import joined

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]

_SHOWN = 10
_FEW, _SHORT = 16, 256  # events of the log, of a stream, of which an index of tags saves nothing
_ROWS_WORTH_A_BAR = 50_000


def check_category(name: object) -> str:
    """`name`, if streams can be of a category of that name."""
    checked = json_values.check_name(name, "a category")
    before, dash, _ = checked.partition("-")
    if dash:
        raise InputError(
            f"no stream is of a category {checked!r}: a category is what stands before the first '-' of a stream's "
            f"name; streams that begin with {checked + '-'!r} are of category={before!r}, among others"
        )
    return checked


def category(stream: str) -> str:
    """What stands before the first `-` of a stream's name; the whole name where there is none."""
    return stream.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: positions above `after` up to `upto`, and of those the ones that pass every filter given."""

    after: int
    upto: int
    stream: str | None = None
    category: str | None = None
    types: frozenset[str] | None = None
    after_version: int = 0
    backwards: bool = False
    limit: int | None = None
    query: Query | None = None

    @property
    def all_types(self) -> frozenset[str]:
        """Every type that is named."""
        return (self.types or frozenset()) | (frozenset() if self.query is None else query.types(self.query))

    def check(self) -> None:
        """Refuse a stream that is of another category than asked for."""
        if None not in (self.stream, self.category) and category(str(self.stream)) != self.category:
            raise InputError(
                f"the stream {self.stream!r} is of the category {category(str(self.stream))!r}, not {self.category!r}; "
                "ask for one of them"
            )

    def chunks(
        self, log: Log, skipped: Counter[str] | None = None, *, as_columns: bool = False
    ) -> Iterator[tuple[Commit, Ints]]:
        """The commits with the rows in question, in reading order; what the store's policy skips is counted.

        `as_columns`: small commits are put together, for who reads them all at once.
        """
        left, commits = self.limit, self._commits(log)
        for commit in joined(commits) if as_columns and left is None and not self.backwards else commits:
            known_types.saw(log, (shape.type for shape in commit.shapes))
            rows = self._rows(commit)
            if len(rows):
                rows = log.policies.apply(commit, rows, left, skipped)
            if left is not None:
                left -= len(rows)
            if len(rows):
                yield commit, rows
            if left == 0:
                return

    def last_position(self, log: Log) -> int | None:
        """The position of the last event in question, whatever the store's policies say of it."""
        few = self.upto - self.after <= _FEW  # which may be at hand, from the first on
        found = None
        for commit in replace(self, backwards=not few)._commits(log):
            rows = self._rows(commit)
            if len(rows):
                found = commit.first + int(rows[-1])
                if not few:
                    break
        return found

    def _commits(self, log: Log) -> Iterator[Commit]:
        if self.limit == 0 or self.after >= self.upto:
            return iter(())
        tags = None if self.query is None else query.alternatives(self.query)
        if tags and self.upto - self.after > _FEW and (self.stream is None or log.last_version(self.stream) > _SHORT):
            return log.tagged_commits(tags, self.after, self.upto, backwards=self.backwards)
        if self.stream is not None:
            after = self.after_version or (log.version(self.stream, self.after) if self.after else 0)
            return log.stream_commits(self.stream, self.upto, after=after, backwards=self.backwards)
        return log.commits(self.after, self.upto, backwards=self.backwards)

    def _rows(self, commit: Commit) -> Ints:
        start, stop = commit.between(self.after, self.upto)
        if start == 0 and stop == commit.count and not self._is_filtered:
            rows = np.arange(commit.count, dtype=np.int64)
            return rows[::-1] if self.backwards else rows
        rows = np.arange(commit.count, dtype=np.int64)
        if self.stream is not None:
            rows = commit.rows_of_streams.get(self.stream, rows[:0])
        rows = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        if self.query is not None:
            rows = np.intersect1d(rows, query.rows(self.query, commit), assume_unique=True)
        for passes, codes in self._filters(commit):
            if not all(passes):
                rows = rows[np.array(passes, dtype=bool)[codes[rows]]]
        if self.after_version:
            rows = rows[commit.versions[rows] > self.after_version]
        return rows[::-1] if self.backwards else rows

    @property
    def _is_filtered(self) -> bool:
        return bool(self.stream or self.category or self.types is not None or self.after_version or self.query)

    def _filters(self, commit: Commit) -> Iterator[tuple[list[bool], Ints]]:
        """For each filter: which of the commit's distinct names pass, and each event's code among them."""
        if self.category is not None:
            yield [category(name) == self.category for name in commit.streams], commit.stream_codes
        if self.types is not None:
            meant = wanted.meant(self.types)
            types = [renames.current(shape.type) for shape in commit.shapes]
            yield [name in meant for name in types], commit.shape_codes


def selected(
    log: Log,
    stream: str | None,
    category: str | None,
    types: object,
    asked_for: Query | None,
    after: Moment | None,
    as_of: Moment | None = None,
) -> Selection:
    """Which events are asked for in these words; raises `InputError` and `MomentError`."""
    found = Selection(
        after=0 if after is None else log.resolve(after),
        upto=log.head.last if as_of is None else log.resolve(as_of),
        stream=None if stream is None else json_values.check_name(stream, "a stream"),
        category=None if category is None else check_category(category),
        types=wanted.asked(types),
        query=None if asked_for is None else query.check(asked_for),
    )
    found.check()
    return found


def asked(log: Log, *words: Any, backwards: bool, limit: int | None) -> Read:
    """A read of the events that are `selected` by these words."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InputError(f"limit is {limit!r}; give a whole number from 0")
    if not isinstance(backwards, bool):
        raise InputError(f"backwards is {backwards!r}; give True or False")
    selection = selected(log, *words)
    known_types.check(log, selection.all_types)
    return Read(log, replace(selection, backwards=backwards, limit=limit))


def data_of(commit: Commit, rows: Ints) -> list[Any]:
    """The data of the events at `rows`, in that order: event objects where a class knows them, else dicts."""
    order = np.argsort(rows, kind="stable")
    data: list[Any] = [None] * len(rows)
    for i, one in zip(order.tolist(), each_of(commit, rows[order]), strict=True):
        data[i] = one
    return data


def each_of(commit: Commit, rows: Ints) -> Iterator[Any]:
    """The data of the events at rising `rows`, one by one; raises `SchemaError` before the first."""
    codes = commit.shape_codes[rows]
    order = np.argsort(codes, kind="stable")
    found: dict[int, Iterator[Any]] = {}
    for picked in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(rows) else ():
        code, at = int(codes[picked[0]]), rows[picked]
        shape, columns = commit.shapes[code], commit.shapes[code].columns
        if len(at) < len(commit.rows_of_shapes[code]):
            inside = commit.places_in_shapes[at].tolist()
            columns = [[column[i] for i in inside] for column in columns]
        positions = commit.positions[at].tolist()
        found[code] = stored_data.each(shape.type, shape.schema_version, shape.fields, columns, positions)
    return found.popitem()[1] if len(found) == 1 else map(next, map(found.__getitem__, codes.tolist()))


def recorded(commit: Commit, rows: Ints) -> Iterator[RecordedEvent]:
    """The events at `rows`, in that order. Raises `SchemaError` before the first, where one doesn't fit its class."""
    if commit.count == 1 and len(rows) == 1:
        yield _only(commit)
        return
    data = data_of(commit, rows)
    shapes, streams = commit.shapes, commit.streams
    extras = commit.has_extras
    occurred, metadata, tags = (commit.occurred_us, commit.metadata, commit.tags) if extras else ({}, {}, {})
    columns = (commit.stream_codes, commit.versions, commit.shape_codes, commit.times, commit.positions)
    plain = [column[rows].tolist() for column in columns]
    names = {code: renames.current(shapes[code].type) for code in set(plain[2])}
    time_us, time = None, EPOCH
    for row, one, event_id, stream, version, code, us, position in zip(
        rows.tolist(), data, ids.to_uuids(commit.id_bytes[rows]), *plain, strict=True
    ):
        if us != time_us:
            time_us, time = us, from_us(us)
        yield quick_recorded(
            event_id,
            streams[stream],
            version,
            position,
            names[code],
            shapes[code].schema_version,
            time,
            from_us(occurred[row]) if row in occurred else None,
            json_values.copy_json(metadata[row]) if row in metadata else {},
            one,
            tags.get(row, ()),
            commit.store,
        )


def _only(commit: Commit) -> RecordedEvent:
    """The event of a commit that has one. Single events are common, and arrays of one value slow."""
    position, us = commit.first, commit.first_us
    (stream,), (version,) = commit.streams, commit.first_versions
    ((type_, schema_version, fields, columns),) = commit.shapes
    occurred, metadata = commit.occurred_us.get(0), commit.metadata.get(0)
    (data,) = stored_data.from_columns(type_, schema_version, fields, columns, [position])
    return quick_recorded(  # type: ignore[no-any-return]  # it is one, made quickly
        commit.supplied_ids.get(0) or ids.made(commit.key, position, us),
        stream,
        version,
        position,
        renames.current(type_),
        schema_version,
        from_us(us),
        None if occurred is None else from_us(occurred),
        {} if metadata is None else json_values.copy_json(metadata),
        data,
        commit.tags.get(0, ()),
        commit.store,
    )


def event_at(log: Log, position: int) -> RecordedEvent:
    """The event at a position."""
    return next(events_at(log, [position]))


def events_at(log: Log, positions: Sequence[int]) -> Iterator[RecordedEvent]:
    """The events at positions that go up; a commit that holds many of them is decoded once."""
    start = 0
    while start < len(positions):
        commit = log.commit_of(positions[start])
        stop = bisect_right(positions, commit.last, start)
        yield from recorded(commit, np.array(positions[start:stop]) - commit.first)
        start = stop


class Read:
    """A lazy read of the log. Iterate it for `RecordedEvent`s, or take `df()`; it gives the same events every time.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    >>> [event.type for event in store.read("order-7")]
    ['Shipped']
    """

    def __init__(self, log: Log, selection: Selection) -> None:
        self._log, self._selection = log, selection
        self._counted: tuple[int, dict[str, int]] | None = None  # what was skipped, by which classes

    @property
    def log(self) -> Log:
        """The log that is read."""
        return self._log

    @property
    def selection(self) -> Selection:
        """What is asked for."""
        return self._selection

    def __iter__(self) -> Iterator[RecordedEvent]:
        self._log.refresh()
        for commit, rows in self._chunks():
            yield from recorded(commit, rows)

    def _chunks(self, *, as_columns: bool = False) -> Iterator[tuple[Commit, Ints]]:
        """What is asked for; once all of it was read, what was skipped is known."""
        generation, skipped = schema.generation(), Counter[str]()
        yield from self._selection.chunks(self._log, skipped, as_columns=as_columns)
        self._counted = generation, dict(skipped)

    def df(self, *, raw: bool = False) -> pd.DataFrame:
        """The same as a DataFrame: one row an event; the record's attributes, then the payload's fields.

        A column `tags` is among the attributes where any event of the store has some.

        With `raw`, types, schema versions and data are as they were stored, the data in one column of dicts: from such
        a frame `ek.from_frame(frame)` makes equal events. From a plain one it makes those that today's classes see.

        What a policy "skip" left out is counted by type in `df().attrs["skipped"]`. Raises `InputError` where `raw` is
        neither True nor False.
        """
        if not isinstance(raw, bool):
            raise InputError(f"raw is True or False, not {type(raw).__name__}; filter in read(…)")
        from eventsourcing_kit.reading import event_frame  # pandas is loaded when the first frame is made

        self._log.refresh()
        frame = event_frame.of_events(self._chunks(as_columns=True), raw=raw, tagged=self._log.has_tags)
        if self._log.policies.skips:
            frame.attrs["skipped"] = self.skipped
        return frame

    def export(self, path: str | os.PathLike[str], *, lossy: bool = False, progress: bool | None = None) -> None:
        """Write the events to a file, whose format is the one that its ending names; it appears when it is whole.

        `.parquet`, `.csv`, `.tsv` and `.ndjson` (CloudEvents) keep all that an event is, so that `ek.from_file(path)`
        makes equal ones; `.csv.gz` and the like are compressed. Of what a format has no place for the export is
        refused, with the list of it, unless `lossy=True`. Events pass through in parts; `progress` shows a bar, by
        default for long exports at a terminal, and never in a notebook or a test.

        Raises `InputError` for an ending that names no format, and for what would be lost.
        """
        from eventsourcing_kit.formats import registry
        from eventsourcing_kit.reading.exported import Exported
        from eventsourcing_kit.reading.progress import bar

        self._log.refresh()
        most = self._selection.upto - self._selection.after
        with bar(most, progress, worth_it=most >= _ROWS_WORTH_A_BAR) as advance:
            chunks = partial(self._chunks, as_columns=True)
            events = Exported(self._log.store_id, chunks, advance, tagged=self._log.has_tags)
            registry.export(path, events, lossy=lossy)

    @property
    def skipped(self) -> dict[str, int]:
        """How many of the events asked for are left out, by type, where the store was opened with a policy "skip".

        After a whole iteration or `df()` it is known; else the log is looked through for it.
        """
        self._log.refresh()
        if not self._log.policies.skips:
            return {}
        if self._counted is None or self._counted[0] != schema.generation():
            for _ in self._chunks():
                pass
        return {} if self._counted is None else dict(self._counted[1])

    def __repr__(self) -> str:
        asked = self._selection
        parts = [] if asked.stream is None else [repr(asked.stream)]
        parts += [] if asked.category is None else [f"category={asked.category!r}"]
        parts += [] if asked.types is None else [f"types={sorted(asked.types)}"]
        parts += [] if asked.query is None else [f"query={asked.query!r}"]
        parts += [f"after={asked.after}"] if asked.after else []
        parts += [f"as_of={asked.upto}"]
        parts += ["backwards=True"] if asked.backwards else []
        parts += [] if asked.limit is None else [f"limit={asked.limit}"]
        return f"<read({', '.join(parts)})>"

    def _repr_html_(self) -> str:
        head = list(islice(self, _SHOWN + 1))
        names = ["position", "stream", "version", "recorded_at", "type", "data"]
        names += ["tags"] if any(event.tags for event in head) else []
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(_cell(getattr(event, name)))}</td>" for name in names) + "</tr>"
            for event in head[:_SHOWN]
        )
        more = "<p>… and more</p>" if len(head) > _SHOWN else ""
        heads = "".join(f"<th>{name}</th>" for name in names)
        return f"<p><code>{escape(repr(self))}</code></p><table><tr>{heads}</tr>{rows}</table>{more}"


def _cell(value: object) -> str:
    """A payload may be huge."""
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return value if isinstance(value, str) else json_values.shown(value)

"""One commit as bytes: the record formats 1 and 2. This docstring is their definition.

A record is a head of 52 bytes and a body.

    2   b"EK"
    1   format version: 1 or 2
    1   flags: 1 = the body is compressed (zlib)
    16  the store's id (a UUID)
    32  SHA-256 of the previous commit's record; zeros in a store's first commit

The body is JSON with one list a column, because columns compress and decode several times better than rows:

    position   the first event's position; the events of a commit stand at consecutive ones
    count      the number of events
    key        the key of the commit's ids (see `ids`)
    time       recorded_at in microseconds since 1970 UTC, where all events share it
    times      else one time an event: the first, then the differences
    streams    [[stream, version of its first event here], …]; versions within a commit are consecutive
    stream     one index into `streams` an event; absent where there is one stream
    shapes     [[type, schema version, [field, …], [[value, …] a field]], …]: events that look alike, in order
    shape      one index into `shapes` an event; absent where there is one shape
    ids        optional: [[index, …], [hex, …]], ids that were supplied
    occurred   optional: [[index, …], [microseconds, …]]
    metadata   optional: [[index, …], [index into the third, …], [object, …]]

Format 2 has these two as well, and at least one of them; a commit with neither is of format 1, to the byte:

    tags       [[index, …], [[index into the third, …], …], [tag, …]], for the events that have tags, in their order
    parent     [id of the store that was branched, in hexadecimal; position of the fork; digest there, as 64 hexadecimal
               digits; recorded_at there in microseconds], in a branch's first commit, which begins behind that position
               and has that digest as its previous one; at position 0 zeros, and null as recorded_at

Other keys are refused. A shape is an event type, its schema version and its exact field names, so an absent field
and a null one stay apart.

Both are JSON. Typed columns were measured: where a commit touches thousands of streams, reading it is at best 1.6 times
quicker, and elsewhere less; so little is not worth a second way to say everything.

A commit has at most 4,194,304 events. A body takes at most 256 MiB, and one of more than 16 MiB is stored compressed
only where that saves less than 99 %: neither a wrong count nor a body that unpacks without end takes all memory.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError, RecordError
from eventsourcing_kit.events.json_values import plain_objects_only
from eventsourcing_kit.records import ids
from eventsourcing_kit.records.record_check import (
    EXTRAS,
    MOST_EVENTS,
    NEW_IN_2,
    check_body,
    check_codes,
    check_extras,
    check_parent,
    check_times,
)
from eventsourcing_kit.records.rows import shared_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.records.rows import Rows

    Ints = npt.NDArray[np.int64]

FORMATS = (1, 2)
NO_PREVIOUS = bytes(32)
_HEAD = struct.Struct(">2sBB16s32s")
_COMPRESSED = 1
_COMPRESS_FROM_BYTES = 256
_MANY_BYTES = 4096
BODY_BYTES = 1 << 28
_SMALL_BODY_BYTES = 1 << 24
_MOST_TIMES_SMALLER = 100
_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError),
    zlib.error,
)


class Parent(NamedTuple):
    """Where a branch's log goes on from another's: that store, a position, and the digest and time there."""

    store: uuid.UUID
    position: int
    digest: bytes
    us: int | None  # None at position 0


@dataclass(slots=True)
class Place:
    """What the log assigns to a commit: its place in the log and in time."""

    store: uuid.UUID
    previous: bytes
    key: int
    first: int
    times: int | list[int]
    versions: dict[str, int]  # each stream's version before the commit
    parent: Parent | None = None  # of a branch's first commit


def encode(place: Place, rows: Rows) -> bytes:
    """The record of one commit; raises `InputError` where it is too large for one."""
    count = len(rows.stream_codes)
    if count > MOST_EVENTS:
        raise InputError(f"{count} events in one append; {MOST_EVENTS} is the most, so split them over several")
    body: dict[str, Any] = {"position": place.first, "count": count, "key": place.key}
    if isinstance(place.times, int):
        body["time"] = place.times
    else:
        body["times"] = [place.times[0], *np.diff(np.array(place.times, dtype=np.int64)).tolist()]
    body["streams"] = [[stream, place.versions.get(stream, 0) + 1] for stream in rows.streams]
    if len(rows.streams) > 1:
        body["stream"] = rows.stream_codes
    body["shapes"] = rows.shapes
    if len(rows.shapes) > 1:
        body["shape"] = rows.shape_codes
    if rows.ids or rows.occurred_us or rows.metadata or rows.tags:
        body.update(_extras(rows))
    if place.parent is not None:
        store, position, previous, us = place.parent
        body["parent"] = [store.hex, position, previous.hex(), us]
    version = FORMATS[0] if NEW_IN_2.isdisjoint(body) else FORMATS[1]
    text = to_json(body)
    if len(text) > BODY_BYTES:
        raise InputError(f"one append of {len(text)} bytes; {BODY_BYTES} is the most, so split it over several")
    flags = 0
    if len(text) >= _COMPRESS_FROM_BYTES:
        packed = zlib.compress(text, 1)
        if len(text) <= _most_unpacked(len(packed)):
            text, flags = packed, _COMPRESSED
    return _HEAD.pack(b"EK", version, flags, place.store.bytes, place.previous) + text


def _extras(rows: Rows) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rows.ids:
        found["ids"] = [list(rows.ids), [one.hex for one in rows.ids.values()]]
    if rows.occurred_us:
        found["occurred"] = [list(rows.occurred_us), list(rows.occurred_us.values())]
    if rows.metadata:
        objects, codes = shared_objects(list(rows.metadata.values()))
        found["metadata"] = [list(rows.metadata), codes, objects]
    if rows.tags:
        tags = {tag: None for one in rows.tags.values() for tag in one}
        code = {tag: i for i, tag in enumerate(tags)}
        found["tags"] = [list(rows.tags), [[code[tag] for tag in one] for one in rows.tags.values()], list(tags)]
    return found


class StoredShape(NamedTuple):
    """Events of one commit that look alike: their type, schema version and fields, and one list of values a field."""

    type: str
    schema_version: int
    fields: list[str]
    columns: list[list[Any]]


class Commit:
    """One decoded record. Rows are counted from 0 within the commit; positions within the log.

    Its body is known here alone: what it says is asked for by the properties.
    """

    def __init__(self, store: uuid.UUID, previous: bytes, body: dict[str, Any]) -> None:
        self.store, self.previous, self._body = store, previous, body
        self.first: int = body["position"]
        self.count: int = body["count"]
        self.last = self.first + self.count - 1
        self.key: int = body["key"]
        self.shapes = [StoredShape._make(shape) for shape in body["shapes"]]

    @property
    def has_supplied_ids(self) -> bool:
        """Whether some ids were supplied and not made from the key."""
        return "ids" in self._body

    @property
    def is_uniform(self) -> bool:
        """Whether all events share their stream, their shape and their time."""
        body = self._body
        return "time" in body and "stream" not in body and "shape" not in body

    @property
    def is_small(self) -> bool:
        """Whether it has few events, all of one stream, one shape and one time, and with nothing that most have not."""
        return self.count <= _SMALL_COUNT and self._body.keys() == _SINGLE

    @property
    def named_streams(self) -> list[list[Any]]:
        """Each stream, and the version of its first event here."""
        found: list[list[Any]] = self._body["streams"]
        return found

    @property
    def has_extras(self) -> bool:
        """Whether some events have what most do not: a supplied id, a time of occurrence, metadata, tags."""
        return not self._body.keys().isdisjoint(EXTRAS)

    @cached_property
    def streams(self) -> list[str]:
        """The streams it touches, in order of appearance."""
        return [stream for stream, _ in self._body["streams"]]

    @property
    def first_versions(self) -> list[int]:
        """The version of each stream's first event here, one a stream."""
        return [version for _, version in self._body["streams"]]

    @property
    def first_us(self) -> int:
        """recorded_at of the first event, in microseconds."""
        us: int = self._body["time"] if "time" in self._body else self._body["times"][0]
        return us

    @property
    def last_us(self) -> int:
        """recorded_at of the last event, in microseconds."""
        return self.first_us if "time" in self._body else int(self.times[-1])

    def upto(self, position: int) -> Commit:
        """The commit without the events behind a position, one of its own."""
        if position >= self.last:
            return self
        count, body = position - self.first + 1, dict(self._body)
        body["count"] = count
        if "times" in body:
            body["times"] = body["times"][:count]
        sizes = np.bincount(self.stream_codes[:count], minlength=len(self.streams))
        _keep(body, "streams", "stream", self.stream_codes[:count], sizes, body["streams"])
        sizes = np.bincount(self.shape_codes[:count], minlength=len(self.shapes))
        shapes = [
            [*shape[:3], [column[:size] for column in shape[3]]]
            for shape, size in zip(body["shapes"], sizes.tolist(), strict=True)
        ]
        _keep(body, "shapes", "shape", self.shape_codes[:count], sizes, shapes)
        for name in EXTRAS & body.keys():
            at, own, *shared = body.pop(name)
            kept = bisect_left(at, count)
            if kept:
                body[name] = [at[:kept], own[:kept], *shared]
        return Commit(self.store, self.previous, body)

    @cached_property
    def is_flat(self) -> bool:
        """Whether no value holds others, so that who reads an event cannot change what the next reader gets."""
        columns = [column for shape in self.shapes for column in shape.columns]
        return all({list, dict}.isdisjoint(map(type, column)) for column in columns)

    def between(self, after: int, upto: int) -> tuple[int, int]:
        """The first of its rows above a position, and the one behind its last up to another."""
        return max(after + 1 - self.first, 0), min(upto - self.first + 1, self.count)

    @cached_property
    def positions(self) -> Ints:
        """One position an event."""
        return np.arange(self.first, self.first + self.count, dtype=np.int64)

    @cached_property
    def times(self) -> Ints:
        """recorded_at in microseconds, one an event."""
        if "time" in self._body:
            return np.full(self.count, self._body["time"], dtype=np.int64)
        return np.cumsum(np.array(self._body["times"], dtype=np.int64))

    @cached_property
    def stream_codes(self) -> Ints:
        """One index into `streams` an event."""
        return self._codes("stream")

    @cached_property
    def shape_codes(self) -> Ints:
        """One index into `shapes` an event."""
        return self._codes("shape")

    def _codes(self, name: str) -> Ints:
        codes = self._body.get(name)
        return np.zeros(self.count, dtype=np.int64) if codes is None else np.array(codes)

    @cached_property
    def versions(self) -> Ints:
        """One version an event."""
        firsts = np.array(self.first_versions, dtype=np.int64)
        if len(firsts) == 1:
            return np.arange(firsts[0], firsts[0] + self.count, dtype=np.int64)
        order = np.argsort(self.stream_codes, kind="stable")
        sizes = np.bincount(self.stream_codes, minlength=len(firsts))
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        versions = np.empty(self.count, dtype=np.int64)
        versions[order] = np.arange(self.count) - starts
        versions += firsts[self.stream_codes]
        return versions

    @cached_property
    def last_versions(self) -> dict[str, int]:
        """Each stream's version after the commit."""
        streams = self._body["streams"]
        sizes = np.bincount(self.stream_codes, minlength=len(streams)).tolist()
        return {stream: version + n - 1 for (stream, version), n in zip(streams, sizes, strict=True)}

    @cached_property
    def rows_of_shapes(self) -> list[Ints]:
        """For each of `shapes`, the rows of its events, rising."""
        if "shape" not in self._body:
            return [np.arange(self.count, dtype=np.int64)]
        order = np.argsort(self.shape_codes, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.shape_codes, minlength=len(self.shapes)))[:-1])

    @cached_property
    def rows_of_streams(self) -> dict[str, Ints]:
        """The rows of each stream's events, rising."""
        if len(self.streams) == 1:
            return {self.streams[0]: np.arange(self.count, dtype=np.int64)}
        order = np.argsort(self.stream_codes, kind="stable")
        ends = np.cumsum(np.bincount(self.stream_codes, minlength=len(self.streams)))
        return dict(zip(self.streams, np.split(order, ends[:-1]), strict=True))

    @cached_property
    def places_in_shapes(self) -> Ints:
        """Each event's place among those of its shape."""
        places = np.empty(self.count, dtype=np.int64)
        for rows in self.rows_of_shapes:
            places[rows] = np.arange(len(rows))
        return places

    @cached_property
    def id_bytes(self) -> npt.NDArray[np.uint8]:
        """One row of 16 bytes an event."""
        rows = ids.id_bytes(self.key, self.positions, self.times)
        if "ids" in self._body:
            at, texts = self._body["ids"]
            rows[at] = np.frombuffer(bytes.fromhex("".join(texts)), dtype=np.uint8).reshape(-1, 16)
        return rows

    @property
    def supplied_ids(self) -> dict[int, uuid.UUID]:
        """The ids that were supplied, by row."""
        at, texts = self._body.get("ids", ([], []))
        return {row: ids.from_hex(text) for row, text in zip(at, texts, strict=True)}

    @cached_property
    def occurred_us(self) -> dict[int, int]:
        """occurred_at by row, where it was given."""
        return dict(zip(*self._body.get("occurred", ([], [])), strict=True))

    @cached_property
    def metadata(self) -> dict[int, dict[str, Any]]:
        """Metadata by row, where there is any; rows with equal metadata share one object."""
        at, codes, objects = self._body.get("metadata", ([], [], []))
        return {i: objects[code] for i, code in zip(at, codes, strict=True)}

    @cached_property
    def tags(self) -> dict[int, tuple[str, ...]]:
        """Tags by row, where there are any."""
        at, codes, texts = self._body.get("tags", ([], [], []))
        return {row: tuple([texts[code] for code in own]) for row, own in zip(at, codes, strict=True)}

    def rows_with(self, tags: Sequence[str]) -> list[int]:
        """The rows of the events that have all of these tags, rising."""
        at, codes, texts = self._body.get("tags", ([], [], []))
        if not set(tags).issubset(texts):
            return []
        wanted = {texts.index(tag) for tag in tags}
        return [row for row, own in zip(at, codes, strict=True) if wanted.issubset(own)]

    @property
    def parent(self) -> Parent | None:
        """Where a branch's log goes on from another's; None but in its first commit."""
        if "parent" not in self._body:
            return None
        store, position, digest, us = self._body["parent"]
        return Parent(ids.from_hex(store), position, bytes.fromhex(digest), us)


def _keep(body: dict[str, Any], many: str, one: str, codes: Ints, sizes: Ints, values: list[Any]) -> None:
    """Of streams or shapes those that have events, and the events' indices into these."""
    kept = np.flatnonzero(sizes)
    body[many] = [values[place] for place in kept.tolist()]
    body.pop(one, None)
    if len(kept) > 1:
        body[one] = (np.cumsum(sizes > 0) - 1)[codes].tolist()


def decode(record: bytes) -> Commit:
    """Read a record; raises `RecordError` for bytes that are none, or of a newer format."""
    flags = check_format(record)
    _, _, _, store, previous = _HEAD.unpack_from(record)
    try:
        if flags or len(record) >= _MANY_BYTES:
            with plain_objects_only():
                body = from_json(_decompressed(record[_HEAD.size :]) if flags else record[_HEAD.size :])
                check_body(body, record[2])
        else:
            body = from_json(record[_HEAD.size :])
            check_body(body, record[2])
        commit = Commit(_store_id(store), previous, body)
        if not body.keys() <= _SINGLE:
            _check_columns(commit, body)
        if "parent" in body:
            check_parent(body["parent"], commit.first, previous.hex())
    except _DAMAGE as error:
        raise RecordError(f"a damaged commit: {type(error).__name__}: {error}") from None
    return commit


def check_format(record: bytes) -> int:
    """The flags of a record; raises `RecordError` for bytes that are none, or of a newer format."""
    if len(record) < _HEAD.size or record[:2] != b"EK":
        raise RecordError(f"{len(record)} bytes that begin with {record[:8]!r} are no commit of an event store")
    version, flags = record[2], record[3]
    if version not in FORMATS:
        known = " and ".join(map(str, FORMATS))
        raise RecordError(
            f"a commit in record format {version}, and this version of the kit reads {known}; update the kit"
        )
    if flags > _COMPRESSED:
        raise RecordError(f"a damaged commit: its flags are {flags}, and record format {version} has none of these")
    return flags


_SINGLE = frozenset(("position", "count", "key", "time", "streams", "shapes"))  # whose columns check_body has seen
_store_id = lru_cache(maxsize=16)(lambda raw: uuid.UUID(bytes=raw))  # all commits of a store have the same


def _decompressed(text: bytes) -> bytes:
    """The body, as long as it is no longer than a body may be."""
    unpacking = zlib.decompressobj()
    body = unpacking.decompress(text, _most_unpacked(len(text)))
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("its compressed body is cut off, too long, or followed by other bytes")
    return body


def _most_unpacked(size: int) -> int:
    """How many bytes a compressed body of this size may unpack to."""
    return min(BODY_BYTES, max(_SMALL_BODY_BYTES, _MOST_TIMES_SMALLER * size))


def _check_columns(commit: Commit, body: dict[str, Any]) -> None:
    count = commit.count
    if "times" in body:
        check_times(commit.times)
    if "stream" in body:
        check_codes(commit.stream_codes, count, len(body["streams"]))
    if "shape" in body:
        check_codes(commit.shape_codes, count, len(body["shapes"]))
        for shape, rows in zip(commit.shapes, commit.rows_of_shapes, strict=True):
            if any(len(column) != len(rows) for column in shape.columns):
                raise ValueError("its shapes differ in length")
    if commit.has_extras:
        check_extras(body, count)


def digest(record: bytes) -> bytes:
    """The hash by which the next commit names this one."""
    return sha256(record).digest()


# -- many small commits, read as one ---------------------------------------------------------------------------------

_SMALL_COUNT, _JOINED_COUNT = 64, 4096


def joined(commits: Iterable[Commit]) -> Iterator[Commit]:
    """The same events as fewer commits, for who reads columns: neighbours of one stream, shape and time become one.

    What is made this way is stored nowhere, so its `previous` says nothing of it.
    """
    run: _Run | None = None
    for commit in commits:
        if run is not None and run.takes(commit):
            continue
        if run is not None:
            yield run.commit()
        run = _Run(commit) if commit.is_small else None
        if run is None:
            yield commit
    if run is not None:
        yield run.commit()


class _Run:
    """Small commits that follow one another, all of one store and with ids made of one key."""

    def __init__(self, first: Commit) -> None:
        self._first, self._next, self._us = first, first.first, first.first_us
        self._deltas: list[int] = []
        self._streams: dict[str, int] = {}
        self._firsts: list[list[Any]] = []
        self._nexts: list[int] = []  # by stream the version that comes next
        self._stream_codes: list[int] = []
        self._shapes: dict[tuple[Any, ...], int] = {}
        self._columns: list[list[list[Any]]] = []
        self._shape_codes: list[int] = []
        self.takes(first)

    def takes(self, commit: Commit) -> bool:
        """Add a commit; False where it is not the next one, or of another kind."""
        first, count = self._first, commit.count
        if commit.first != self._next or not commit.is_small or len(self._deltas) + count > _JOINED_COUNT:
            return False
        ((stream, version),) = commit.named_streams
        code = self._streams.setdefault(stream, len(self._nexts))
        if commit.key != first.key or commit.store != first.store:
            return False
        if code == len(self._nexts):
            self._firsts.append([stream, version])
            self._nexts.append(version)
        elif self._nexts[code] != version:
            return False
        self._nexts[code] += count
        self._add(commit, code, count)
        return True

    def _add(self, commit: Commit, stream: int, count: int) -> None:
        ((type_, schema_version, fields, columns),) = commit.shapes
        shape = self._shapes.setdefault((type_, schema_version, *fields), len(self._columns))
        if shape == len(self._columns):
            self._columns.append([list(values) for values in columns])
        else:
            for own, values in zip(self._columns[shape], columns, strict=True):
                own += values
        us = commit.first_us
        self._deltas.append(us - self._us if self._deltas else us)
        self._us, self._next = us, commit.last + 1
        self._stream_codes.append(stream)
        self._shape_codes.append(shape)
        if count > 1:
            self._deltas += [0] * (count - 1)
            self._stream_codes += [stream] * (count - 1)
            self._shape_codes += [shape] * (count - 1)

    def commit(self) -> Commit:
        """All of them as one."""
        first = self._first
        if self._next == first.last + 1:
            return first
        shapes = [[*key[:2], list(key[2:]), own] for key, own in zip(self._shapes, self._columns, strict=True)]
        body = {
            "position": first.first,
            "count": len(self._deltas),
            "key": first.key,
            "times": self._deltas,
            "streams": self._firsts,
            "shapes": shapes,
            "stream": self._stream_codes,
            "shape": self._shape_codes,
        }
        return Commit(first.store, first.previous, body)

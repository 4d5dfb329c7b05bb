"""Is a decoded body a commit's? The checks that every reader relies on, so that bad bytes become one clear error.

They are made for each commit that is read, so the common one (a single stream, a single shape, a single time) takes
little more than a microsecond. The numbers are bounded before anything is made of them: a wrong count of 10^12 would
otherwise take all memory.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.events.tags import MOST_BYTES, MOST_TAGS
from eventsourcing_kit.records.ids import POSITION_LIMIT
from eventsourcing_kit.records.moment import FIRST_US, LAST_US

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

MOST_EVENTS = 1 << 22
EXTRAS = frozenset(("ids", "occurred", "metadata", "tags"))
NEW_IN_2 = frozenset(("tags", "parent"))
_KNOWN_IN_2 = EXTRAS | NEW_IN_2 | {"position", "count", "key", "time", "times", "streams", "stream", "shapes", "shape"}
_KNOWN = {1: _KNOWN_IN_2 - NEW_IN_2, 2: _KNOWN_IN_2}  # by the record's format
_VERSIONS = 1 << 62
_KEYS = 1 << 64


def check_body(body: dict[str, Any], version: int) -> None:
    """Numbers in their ranges, names that are text, columns as long as the commit; else an error of some kind."""
    if not body.keys() <= _KNOWN[version]:
        raise ValueError(f"its body has the unknown keys {sorted(body.keys() - _KNOWN[version])}")
    if version > 1 and NEW_IN_2.isdisjoint(body):
        raise ValueError(f"nothing in it is of record format {version}")
    first, count, key = body["position"], body["count"], body["key"]
    if not type(first) is type(count) is type(key) is int:
        raise ValueError("its position, count or key is no whole number")
    if not (1 <= count <= MOST_EVENTS and 1 <= first <= POSITION_LIMIT - count and 0 <= key < _KEYS):
        raise ValueError(f"position {first}, count {count} or key {key} is out of range")
    if "time" in body:
        _check_time(body["time"])
    elif len(body["times"]) != count:
        raise ValueError("its times differ in number from its events")
    _check_streams(body["streams"], body.get("stream"), count)
    _check_shapes(body["shapes"], body.get("shape"), count)


def _check_time(us: object) -> None:
    if type(us) is not int or not FIRST_US <= us <= LAST_US:
        raise ValueError("a time is no whole number of microseconds between the years 1 and 9999")


def _check_streams(streams: list[Any], codes: list[Any] | None, count: int) -> None:
    if codes is None:
        ((name, version),) = streams
        _check_name(name, version)
        return
    if len(codes) != count:
        raise ValueError("its streams differ in number from its events")
    names, versions = zip(*streams, strict=True)
    if set(map(type, names)) != {str} or set(map(type, versions)) != {int} or "" in names:
        raise ValueError("a stream has no name or no version")
    if min(versions) < 1 or max(versions) >= _VERSIONS:
        raise ValueError("a stream's version is out of range")


def _check_name(name: object, version: object) -> None:
    if type(name) is not str or not name:
        raise ValueError("a stream or type has no name")
    if type(version) is not int or not 1 <= version < _VERSIONS:
        raise ValueError(f"the version of {name!r} is out of range")


def _check_shapes(shapes: list[Any], codes: list[Any] | None, count: int) -> None:
    if codes is None:
        ((name, version, fields, columns),) = shapes
        _check_shape(name, version, fields, columns, count)
        return
    if len(codes) != count:
        raise ValueError("its shapes differ in number from its events")
    for name, version, fields, columns in shapes:
        _check_shape(name, version, fields, columns, None)


def _check_shape(name: object, version: object, fields: list[Any], columns: list[Any], count: int | None) -> None:
    _check_name(name, version)
    if type(fields) is not list or type(columns) is not list or len(fields) != len(columns):
        raise ValueError("a shape's fields and columns differ in number")
    for field in fields:
        if type(field) is not str:
            raise ValueError("a field's name is no text")
    for column in columns:
        if type(column) is not list or (count is not None and len(column) != count):
            raise ValueError("its columns differ in length from its events")


def check_times(times: Ints) -> None:
    """Every time in the range that a datetime has."""
    if not FIRST_US <= int(times.min()) <= int(times.max()) <= LAST_US:
        raise ValueError("a time lies outside the years 1 to 9999")


def check_codes(codes: Ints, count: int, size: int) -> None:
    """One index an event, each of them into a list of `size`."""
    if codes.dtype.kind != "i" or codes.shape != (count,):
        raise ValueError("its columns differ in length or hold no whole numbers")
    if int(codes.min()) < 0 or int(codes.max()) >= size:
        raise ValueError("a column points at what is not there")


def check_extras(body: dict[str, Any], count: int) -> None:
    """What only some events have: supplied ids, times of occurrence, metadata, tags."""
    at, texts = body.get("ids", ([], []))
    _check_rows(at, texts, count)
    if texts and (set(map(len, texts)) != {32} or len(bytes.fromhex("".join(texts))) != 16 * len(texts)):
        raise ValueError("an id is no UUID in hexadecimal")
    at, times = body.get("occurred", ([], []))
    _check_rows(at, times, count)
    for us in times:
        _check_time(us)
    at, codes, objects = body.get("metadata", ([], [], []))
    _check_rows(at, codes, count)
    _check_rows(codes, codes, len(objects))
    if not set(map(type, objects)) <= {dict}:
        raise ValueError("metadata is no object")
    if "tags" in body:
        _check_tags(body["tags"], count)


def _check_tags(body_tags: list[Any], count: int) -> None:
    at, codes, tags = body_tags
    _check_rows(at, codes, count)
    if not at or any(later <= row for row, later in pairwise(at)):
        raise ValueError("the events that have tags are none, or not in order")
    if set(map(type, tags)) != {str} or not 1 <= min(map(_size, tags)) <= max(map(_size, tags)) <= MOST_BYTES:
        raise ValueError("a tag is no text, empty or too long")
    if len(set(tags)) < len(tags):
        raise ValueError("a tag stands twice")
    for own in codes:
        _check_rows(own, own, len(tags))
        if not 1 <= len(own) <= MOST_TAGS or len(set(own)) < len(own):
            raise ValueError("an event has no tags, too many, or one of them twice")


def _size(tag: str) -> int:
    return len(tag.encode())


def check_parent(parent: list[Any], first: int, previous: str) -> None:
    """Where a branch's log goes on from: it must be where its first commit begins, and what that follows."""
    store, position, digest, us = parent
    if type(store) is not str or len(store) != 32 or len(bytes.fromhex(store)) != 16:
        raise ValueError("the store that was branched has no UUID in hexadecimal")
    if type(position) is not int or position != first - 1 or digest != previous:
        raise ValueError("it does not follow the commit at which its store was branched")
    if position == 0:
        if us is not None or set(previous) != {"0"}:
            raise ValueError("before the first event there is neither a digest nor a time")
    else:
        _check_time(us)


def _check_rows(at: list[Any], values: list[Any], count: int) -> None:
    if not len(at) == len(values) or not set(map(type, at)) <= {int}:
        raise ValueError("an index is no whole number, or has no value")
    if at and not 0 <= min(at) <= max(at) < count:
        raise ValueError("an index points at an event that is not there")

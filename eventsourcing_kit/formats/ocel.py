"""Object-centric logs: an event once, its objects as tags; what becomes of an object as events of that object."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.formats import extras
from eventsourcing_kit.formats.format import ForeignLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

STREAM = "ocel"  # of events that are about no object, or about several
QUALIFIERS = "ocel:qualifiers"  # the field that says how an event, or an object, is related to objects, by their tags
INITIAL = "1970-01-01T00:00:00.000000+00:00"  # by convention the time of values that an object had from the first
CHANGED = "Changed"
_INITIAL = re.compile(r"1970-01-01[T ]00:00:00(?:\.0+)?(?:Z|[+-]00:?(?:00)?)?")
_SPECIAL = re.compile("[-:%]")
_ENCODED = re.compile("%(2D|3A|25)")
_LABELS = {
    "stream": "ocel:stream", "type": "ocel:type", "recorded_at": "ocel:time", "id": "ocel:id", "tags": "ocel:objects",
    "data": "ocel:data",
}  # fmt: skip
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}

Relations = list[tuple[str, str]]  # ids of objects, and how one is related to them
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def encoded(type_: str) -> str:
    """A type of objects as it stands in streams and tags, where `-` and `:` end it."""
    return _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", type_)


def decoded(text: str) -> str | None:
    """The type of objects that stands there; None for what is none, as it would be encoded otherwise."""
    type_ = _ENCODED.sub(lambda found: chr(int(found[1], 16)), text)
    return type_ if encoded(type_) == text else None


def typed(value: Any, declared: str | None) -> Any:
    """A value that may stand there as text, by the type that the log declares for it; None where there is none.

    Raises ValueError where it is not of that type.
    """
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError
        return None if math.isnan(value) else value
    if not isinstance(value, str):
        return value
    kind = (declared or "").lower()
    if kind in ("", "string", "text", "time", "date", "timestamp"):
        return value
    if value.strip().lower() in ("", "null", "nan"):
        return None
    if kind.startswith(("int", "bigint", "smallint", "long")):
        return int(value)
    if kind in ("float", "double", "real", "number"):
        return typed(float(value), None)
    if "bool" in kind:
        try:
            return _TRUTHS[value.strip().lower()]
        except KeyError:
            raise ValueError from None
    return value


@dataclass(slots=True)
class Object:
    """An object: what it is, the values it had from when on (None: from the first), and what it is related to."""

    id: str
    type: str
    values: list[tuple[str, Any, Any]] = field(default_factory=list)  # name, time, value
    relations: Relations = field(default_factory=list)

    @property
    def tag(self) -> str:
        """As it stands among the tags of events."""
        return f"{encoded(self.type)}:{self.id}"

    @property
    def stream(self) -> str:
        """Where its own changes are recorded."""
        return f"{encoded(self.type)}-{self.id}"

    def changes(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """The values that were set together, and when; None for the first ones."""
        found: dict[Any, list[dict[str, Any]]] = {}
        for name, time, value in self.values:
            is_first = time is None or time == 0 or (isinstance(time, str) and _INITIAL.fullmatch(time))
            sets = found.setdefault(None if is_first else time, [{}])
            if name in sets[-1]:
                sets.append({})
            sets[-1][name] = value
        return ((time, values) for time, sets in found.items() for values in sets)


@dataclass(slots=True)
class Row:
    """An event, as it is to be recorded."""

    id: Any
    stream: str
    type: str
    time: Any
    tags: list[str]
    data: dict[str, Any]


class ObjectLog:
    """Events and objects, as the readers of files find them. Raises `InputError` for what cannot be."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.objects: dict[str, Object] = {}
        self._events: list[tuple[str, str, Any, dict[str, Any], Relations]] = []
        self._ids: set[str] = set()

    @property
    def reached(self) -> str:
        """What was read last."""
        if self._events:
            return f"the event {self._events[-1][0]!r}"
        return f"the object {next(reversed(self.objects))!r}" if self.objects else "its beginning"

    def bad(self, what: str) -> InputError:
        """An error about the file."""
        return InputError(f"{self._name}: {what}; set it right in the file, or get it again")

    def value(self, value: Any, declared: str | None, name: str, where: str) -> Any:
        """A value as it is declared; raises with its place."""
        try:
            return typed(value, declared)
        except ValueError:
            raise self.bad(
                f"the attribute {name!r} of {where} is {value!r}, which is no {declared or 'value'}"
            ) from None

    def add_object(self, id_: Any, type_: Any) -> Object:
        """An object that has nothing yet."""
        number = len(self.objects) + 1
        self._check(id_, type_, f"object number {number:,}")
        if id_ in self.objects:
            raise self.bad(f"object number {number:,}, {id_!r}, is there already; ids of objects are unique")
        found = self.objects[id_] = Object(id_, type_)
        return found

    def add_event(self, id_: Any, type_: Any, time: Any, data: dict[str, Any], relations: Relations) -> None:
        """An event that is about objects."""
        number = len(self._events) + 1
        self._check(id_, type_, f"event number {number:,}")
        if id_ in self._ids:
            raise self.bad(f"event number {number:,}, {id_!r}, is there already; ids of events are unique")
        if time is None or time == "":
            raise self.bad(f"the event {id_!r} has no time")
        self._ids.add(id_)
        self._events.append((id_, type_, time, data, relations))

    def _check(self, id_: Any, type_: Any, what: str) -> None:
        for value, part in ((id_, "id"), (type_, "type")):
            if not isinstance(value, str) or not value:
                raise self.bad(f"{what} has the {part} {value!r}, which is no text")

    def read(self, given: Mapping[str, Any]) -> ForeignLog:
        """As a frame; `given["stream"]` may name a type of objects, whose events then are in the object's stream."""
        others = sorted(given.keys() - {"stream"})
        if others:
            raise InputError(
                f"{self._name}: an object-centric log says itself what is what, so leave out {others[0]}=; only "
                "stream= can be given: a type of objects whose events stand in the stream of their object"
            )
        types = {one.type for one in self.objects.values()}
        wanted = given.get("stream")
        if wanted is not None and wanted not in types:
            raise InputError(f"{self._name}: no object is of the type {wanted!r}; the log has {sorted(types)}")
        rows = [*self._of_objects(), *self._of_events(wanted)]
        own = self._own(rows, wanted)
        if own is not None:
            return own
        _put_first(rows)
        _identify(rows)
        columns = {
            "ocel:id": [row.id for row in rows], "ocel:stream": [row.stream for row in rows],
            "ocel:type": [row.type for row in rows], "ocel:time": [row.time for row in rows],
            "ocel:objects": [row.tags for row in rows], "ocel:data": [row.data for row in rows],
        }  # fmt: skip
        frame = extras.frame({name: extras.array(values) for name, values in columns.items()})
        return ForeignLog(frame, _LABELS, self._told(len(rows), wanted))

    def _told(self, count: int, wanted: str | None) -> str:
        changes = count - len(self._events)
        return (
            f"{counted(len(self._events))} with {counted(len(self.objects), 'object')} as tags, "
            f"{counted(changes, 'change')} of objects as events of theirs; "
            + (f"in the streams of {wanted!r}" if wanted else f"in the stream {STREAM!r}")
        )

    # -- rows --------------------------------------------------------------------------------------------------------

    def _of_events(self, wanted: str | None) -> Iterator[Row]:
        for id_, type_, time, data, relations in self._events:
            where = f"the event {id_!r}"
            related = [self.object(other, where) for other, _ in relations]
            qualifiers = self._qualifiers(relations, where, all_of_them=False)
            if qualifiers:
                data = data | {QUALIFIERS: qualifiers}
            yield Row(
                id_,
                self._stream(related, wanted, where),
                type_,
                time,
                list(dict.fromkeys(one.tag for one in related)),
                data,
            )

    def _of_objects(self) -> list[Row]:
        """What became of the objects; those that no event is about are at least named."""
        met = {other for *_, relations in self._events for other, _ in relations}
        found = []
        for one in self.objects.values():
            changes = list(one.changes())
            related = self._qualifiers(one.relations, f"the object {one.id!r}", all_of_them=True)
            if (related or one.id not in met) and not any(time is None for time, _ in changes):
                changes.insert(0, (None, {}))
            for number, (time, values) in enumerate(changes):
                data = values | {QUALIFIERS: related} if related and number == 0 else values
                found.append(Row(None, one.stream, one.type + CHANGED, time, [one.tag], data))
        return found

    def object(self, id_: str, where: str) -> Object:
        """One that is there; raises where it is not."""
        found = self.objects.get(id_)
        if found is None:
            raise self.bad(f"{where} is related to the object {id_!r}, which is not among the objects")
        return found

    def _qualifiers(self, relations: Relations, where: str, *, all_of_them: bool) -> dict[str, Any]:
        """By tags how objects are related; a list where one is in several ways."""
        found: dict[str, list[str]] = {}
        for other, qualifier in relations:
            found.setdefault(self.object(other, where).tag, []).append(qualifier)
        single = {tag: ways[0] if len(ways) == 1 else ways for tag, ways in found.items()}
        return {tag: ways for tag, ways in single.items() if all_of_them or ways}

    def _stream(self, related: Sequence[Object], wanted: str | None, where: str) -> str:
        streams = dict.fromkeys(one.stream for one in related if one.type == wanted)
        if len(streams) > 1:
            raise InputError(
                f"{self._name}: {where} is about {len(streams)} objects of the type {wanted!r}, so it is in no one's "
                "stream; load without stream=, and ask by tags, or name a type of which each event has one object"
            )
        return next(iter(streams), STREAM)

    # -- what the kit wrote ------------------------------------------------------------------------------------------

    def _own(self, rows: list[Row], wanted: str | None) -> ForeignLog | None:
        """The kit's own frame, where all of the log's events and changes say where they stood."""
        changes = len(rows) - len(self._events)
        rows = [row for row in rows[:changes] if row.data.keys() - {QUALIFIERS}] + rows[changes:]
        needed = (extras.POSITION, extras.VERSION, extras.SCHEMA_VERSION)
        if not all(type(row.data.get(name)) is int for row in rows for name in needed):
            return None
        kept: dict[str, list[Any]] = {name: [row.data.pop(name, None) for row in rows] for name in extras.KEPT}
        ids = [row.data.pop(extras.ID, row.id) for row in rows]
        for i, row in enumerate(rows):
            stream = row.data.pop(extras.STREAM, row.stream)
            row.stream = row.stream if wanted and row.stream != STREAM else stream
            row.data.update(json.loads(kept[extras.DATA][i] or "{}"))
            kept[extras.TAGS][i] = kept[extras.TAGS][i] or json.dumps(row.tags)
            if row.time is None:
                row.time, kept[extras.RECORDED_AT][i] = kept[extras.RECORDED_AT][i], None
        frame = extras.own_frame(
            ids, extras.array([row.stream for row in rows]), [row.type for row in rows], [row.time for row in rows],
            kept, [row.data for row in rows],
        )  # fmt: skip
        return ForeignLog(frame, {})


def _put_first(rows: Sequence[Row]) -> None:
    """Values that were there from the first get the log's first moment."""
    times = {row.time for row in rows if isinstance(row.time, str)}
    known = [(at, text) for text in times if (at := _moment(text)) is not None]
    first = min(known)[1] if known else next((row.time for row in rows if row.time is not None), INITIAL)
    for row in rows:
        if row.time is None:
            row.time = first


def _moment(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _identify(rows: Iterable[Row]) -> None:
    """Changes have no id in the file, and get one that says what they say."""
    seen: Counter[str] = Counter()
    for row in rows:
        if row.id is None:
            at = _moment(row.time) if isinstance(row.time, str) else None
            time = row.time if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
            text = _canonical([row.stream, row.type, time, None, row.data])[:-1]
            seen[text] += 1
            row.id = uuid.uuid5(uuid.NAMESPACE_URL, f"{text},{seen[text]}]")

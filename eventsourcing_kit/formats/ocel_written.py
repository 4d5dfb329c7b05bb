"""Events as an object-centric log: what stands in one, whichever way it is encoded.

Tags `TYPE:ID` are objects, and so is what a stream `TYPE-ID` is about. Events `TYPEChanged` of an object are the values
that its attributes had from then on. Events are gone through twice: the types of attributes, which files begin with,
are known at the end only.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.formats import extras, ocel
from eventsourcing_kit.formats.grouped import Grouped
from eventsourcing_kit.formats.ocel import QUALIFIERS, decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from eventsourcing_kit.formats.format import Events, Losses

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "float"}
_EXACT = 1 << 53
_OF_TABLES = "ocel_id", "ocel_time", "ocel_changed_field"
Row = tuple[Any, ...]


@dataclass(slots=True)
class Entry:
    """An event, or an object (without a time; its attributes have one)."""

    id: str
    type: str
    time: str | None
    attributes: list[tuple[str, str | None, Any]]  # name, time, value
    relations: list[tuple[str, str]]


class Written:
    """What a file is to hold."""

    def __init__(self, events: Events, folder: Path, losses: Losses, *, as_xml: bool = False, most: int = 0) -> None:
        self._events, self._losses, self._as_xml = events, losses, as_xml
        self._most_columns = most  # where attributes are columns, whose names are the same in upper and lower case
        self._changes = Grouped(folder)
        self._ids: dict[tuple[str, str], str] = {}  # of objects, by type and id; one is renamed where two share an id
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._types: dict[str, dict[str, set[str]]] = {}  # by types of events, attributes and kinds of their values
        self._object_types: dict[str, dict[str, set[str]]] = {}
        self._changing: set[str] = set()  # types of objects of which some changed
        self._first: str | None = None

    def __enter__(self) -> Written:
        for frame in self._events.frames():
            for row in extras.rows(frame):
                self._survey(row)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._changes.__exit__(kind, error, at)

    # -- what there is ------------------------------------------------------------------------------------------------

    def _survey(self, row: Row) -> None:
        """Note an event's objects, and the kinds of its values; put by what is a change of an object."""
        _, stream, _, position, type_, _, recorded, _, _, tags, data = row
        if self._as_xml:
            self._check(position, {"a type": type_, "a stream's name": stream, "tags": "".join(tags)})
        self._first = self._first or recorded
        for tag in tags:
            self._object(*_named(tag, ":"))
        about = _named(stream, "-")
        number = self._object(*about)
        is_change = number is not None and self._is_change(row)
        kinds = self._object_types[about[0] or ""] if is_change else self._types.setdefault(type_, {})
        for name, value in data.items():
            kind = _kind(value)
            if kind is not None and not _is_reserved(name):
                kinds.setdefault(name, set()).add(kind)
        if is_change and number is not None:
            self._changing.add(about[0] or "")
            related = [_named(tag, ":") for tag in data.get(QUALIFIERS, {})] if self._names_objects(data) else []
            for other in related:
                self._object(*other)
            self._changes.add(number, to_json(row).encode() + b"\n")

    def _check(self, position: int, texts: Mapping[str, str]) -> None:
        for what, text in texts.items():
            if extras.NO_XML.search(text):
                self._losses.add(f"characters in {what} that XML cannot hold", position)

    def _object(self, type_: str | None, id_: str) -> int | None:
        """The number of an object; None where it is none."""
        if not type_ or not id_:
            return None
        written = self._ids.get((type_, id_))
        if written is None:
            written = id_
            while written in self._taken:
                written = f"{type_}:{written}"
            self._taken.add(written)
            self._ids[type_, id_] = written
            self._numbers[written] = len(self._numbers)
            self._object_types.setdefault(type_, {})
        return self._numbers[written]

    def _is_change(self, row: Row) -> bool:
        """Whether an event says only what became of the object that it is about."""
        _, stream, _, _, type_, _, _, occurred, _, tags, _ = row
        of, id_ = _named(stream, "-")
        return (
            of is not None and type_ == of + ocel.CHANGED and self._ids.get((of, id_)) == id_
            and list(tags) == [f"{encoded(of)}:{id_}"] and occurred is None
        )  # fmt: skip

    @staticmethod
    def _names_objects(data: Mapping[str, Any]) -> bool:
        """Whether the field for relations holds some."""
        found = data.get(QUALIFIERS)
        return (
            isinstance(found, dict)
            and bool(found)
            and all(all(_named(tag, ":")) and _is_qualifier(ways) for tag, ways in found.items())
        )

    def event_types(self) -> dict[str, dict[str, str]]:
        """By types of events, in order of appearance, the attributes and their types."""
        return {type_: kinds | _OWN for type_, kinds in self._declared(self._types).items()}

    def object_types(self) -> dict[str, dict[str, str]]:
        """The same for objects."""
        changing = self._changing
        found = self._declared(self._object_types)
        return {type_: kinds | (_OWN if type_ in changing else {}) for type_, kinds in found.items()}

    def _declared(self, types: Mapping[str, Mapping[str, set[str]]]) -> dict[str, dict[str, str]]:
        return {type_: _declared(kinds, self._most_columns) for type_, kinds in types.items()}

    # -- entry by entry ----------------------------------------------------------------------------------------------

    def objects(self) -> Iterator[Entry]:
        """The objects in order of appearance, with all values that they had."""
        declared = self._declared(self._object_types)
        pieces = self._changes.groups(len(self._numbers))
        for ((type_, _), written), changes in zip(self._ids.items(), pieces, strict=True):
            entry = Entry(written, type_, None, [], [])
            for number, change in enumerate(changes):
                self._put(entry, json.loads(change), declared[type_], is_first=number == 0)
            yield entry

    def _put(self, entry: Entry, row: Row, declared: Mapping[str, str], *, is_first: bool) -> None:
        id_, _, version, position, _, schema_version, recorded, _, metadata, _, data = row
        is_initial = is_first and recorded == self._first
        if is_initial and self._names_objects(data):
            data = dict(data)
            entry.relations = self._related(data.pop(QUALIFIERS))
        native, rest = _native(data, declared)
        own = extras.of_event(
            version, position, schema_version, recorded, recorded if is_initial else None, metadata, None, rest
        )
        time = ocel.INITIAL if is_initial else recorded
        entry.attributes += [(name, time, value) for name, value in ({extras.ID: id_} | own | native).items()]

    def _related(self, qualifiers: Mapping[str, Any]) -> list[tuple[str, str]]:
        found = []
        for tag, ways in qualifiers.items():
            type_, id_ = _named(tag, ":")
            written = self._ids[type_ or "", id_]
            found += [(written, way) for way in (ways if isinstance(ways, list) else [ways])]
        return found

    def events(self) -> Iterator[Entry]:
        """The events in their order, changes of objects left out."""
        declared = self._declared(self._types)
        for frame in self._events.frames():
            for row in extras.rows(frame):
                if not self._is_change(row):
                    yield self._event(row, declared[row[4]])

    def _event(self, row: Row, declared: Mapping[str, str]) -> Entry:
        id_, stream, version, position, type_, schema_version, recorded, occurred, metadata, tags, data = row
        data, metadata = dict(data), dict(metadata)
        qualifiers = self._own_qualifiers(data, tags)
        objects = [(tag, written) for tag in tags if (written := self._ids.get(_pair(tag, ":"))) is not None]
        relations = [(written, way) for tag, written in objects for way in qualifiers.get(tag, [""])]
        derived = [f"{encoded(_pair(tag, ':')[0])}:{written}" for tag, written in objects]
        about = self._ids.get(_pair(stream, "-"))
        if about is not None and about not in {written for _, written in objects}:
            relations.append((about, ""))
            derived.append(f"{encoded(_pair(stream, '-')[0])}:{about}")
        native, rest = _native(data, declared)
        own_id = _original(id_, metadata)
        own = extras.of_event(
            version,
            position,
            schema_version,
            recorded,
            occurred,
            metadata,
            None if derived == list(tags) else tags,
            rest,
        )
        if stream != ocel.STREAM:
            own[extras.STREAM] = stream
        attributes: list[tuple[str, str | None, Any]] = [(name, None, value) for name, value in (own | native).items()]
        return Entry(own_id, type_, occurred or recorded, attributes, relations)

    def _is_object(self, tag: str) -> bool:
        return _pair(tag, ":") in self._ids

    def _own_qualifiers(self, data: dict[str, Any], tags: Any) -> dict[str, list[str]]:
        """Taken out of the data, where it says of the event's own objects how they are related."""
        found = data.get(QUALIFIERS)
        if not isinstance(found, dict) or not found:
            return {}
        fits = all(
            tag in tags and _pair(tag, ":") in self._ids and ways and _is_qualifier(ways) for tag, ways in found.items()
        )
        if not fits:
            return {}
        del data[QUALIFIERS]
        return {tag: ways if isinstance(ways, list) else [ways] for tag, ways in found.items()}


_OWN = {
    extras.POSITION: "integer", extras.VERSION: "integer", extras.SCHEMA_VERSION: "integer", extras.ID: "string",
    extras.RECORDED_AT: "time", extras.METADATA: "string", extras.TAGS: "string", extras.STREAM: "string",
    extras.DATA: "string",
}  # fmt: skip


def _named(text: str, divider: str) -> tuple[str | None, str]:
    """The type and the id of the object that a tag or a stream names; no type where it names none."""
    type_, found, id_ = text.partition(divider)
    return (decoded(type_) or None) if found else None, id_


def _pair(text: str, divider: str) -> tuple[str, str]:
    type_, id_ = _named(text, divider)
    return type_ or "", id_


def _is_reserved(name: str) -> bool:
    return name in ("", QUALIFIERS) or name.startswith(extras.PREFIX) or bool(extras.NO_XML.search(name))


def _is_qualifier(ways: Any) -> bool:
    texts = ways if isinstance(ways, list) and len(ways) > 1 else [ways]
    return all(isinstance(one, str) and not extras.NO_XML.search(one) for one in texts)


def _kind(value: Any) -> str | None:
    """What type an attribute of this value is of; None where there is none for it."""
    kind = _KINDS.get(type(value))
    if kind == "integer" and not extras.fits_int64(value):
        return None
    if kind == "string" and extras.NO_XML.search(value):
        return None
    return "time" if kind == "string" and extras.ISO_TIME.fullmatch(value) else kind


def _declared(kinds: Mapping[str, set[str]], most: int) -> dict[str, str]:
    """One type for each attribute: a number where all are numbers, text where they differ."""
    found: dict[str, str] = {}
    taken: set[str] = set(_OF_TABLES)
    for name, own in kinds.items():
        if most and (name.lower() in taken or len(found) == most):
            continue
        taken.add(name.lower())
        found[name] = next(iter(own)) if len(own) == 1 else "float" if own == {"integer", "float"} else "string"
    return found


def _native(data: Mapping[str, Any], declared: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that stand as attributes, and those that these don't hold, or not exactly."""
    native: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in data.items():
        kind, wanted = _kind(value), declared.get(name)
        if kind is not None and not _is_reserved(name) and (kind == wanted or (kind, wanted) == ("time", "string")):
            native[name] = value
            continue
        rest[name] = value
        if (kind, wanted) == ("integer", "float") and abs(value) <= _EXACT:
            native[name] = float(value)  # for other tools; the whole number stands in the rest
    return native, rest


def _original(id_: str, metadata: dict[str, Any]) -> str:
    """The id that an event had in the log it came from, which is taken out of its metadata; else its own."""
    text = metadata.get("original_id")
    if not isinstance(text, str) or not text or str(uuid.uuid5(uuid.NAMESPACE_URL, text)) != id_:
        return id_
    with contextlib.suppress(ValueError):
        uuid.UUID(text)  # which would be taken for the id itself
        return id_
    del metadata["original_id"]
    return text

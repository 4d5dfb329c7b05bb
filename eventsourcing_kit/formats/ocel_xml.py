"""OCEL 2.0 and 1.0 as XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from eventsourcing_kit.formats import extras, safe_xml
from eventsourcing_kit.formats.ocel import ObjectLog
from eventsourcing_kit.formats.ocel_written import Written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventsourcing_kit.formats.file import File
    from eventsourcing_kit.formats.format import Events, ForeignLog, Losses, Target
    from eventsourcing_kit.formats.ocel_written import Entry

_NEWLINES = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_ONE_TYPES = {"int": "integer", "float": "float", "boolean": "boolean", "date": "time"}


def fits(file: File) -> bool:
    """Whether an XML file is an object-centric log."""
    found = safe_xml.children(file.head)
    scopes = {attributes.get("scope") for _, attributes in found[1:]}
    below = {tag.rpartition(":")[2] for tag, _ in found[1:]}
    return bool(below & {"object-types", "event-types", "objects", "events"}) or bool(scopes & {"log", "object"})


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """Either version; in 1.0 objects don't change, so what they are is so from the first."""
    root = _Node("", {})
    log = ObjectLog(file.name)
    reader = _Reader(log, root)
    safe_xml.Parser(file).run(reader.start, reader.end, reader.text)
    reader.check()
    return log.read(given)


class _Node:
    """An element of which the rest is not read yet."""

    __slots__ = ("attributes", "below", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.below: list[_Node] = []
        self.text = ""

    def all(self, *tags: str) -> Iterable[_Node]:
        """The elements that are reached by way of these tags."""
        found = [self]
        for tag in tags:
            found = [node for one in found for node in one.below if node.tag == tag]
        return found


class _Reader:
    """Keeps one object or event at a time."""

    def __init__(self, log: ObjectLog, root: _Node) -> None:
        self._log, self._open = log, [root]
        self._declared: dict[str, dict[str, dict[str, str]]] = {"object-type": {}, "event-type": {}}
        self._waiting: list[_Node] = []  # events that stand before the objects

    def start(self, tag: str, attributes: list[str]) -> None:
        """An element within the one that is open."""
        node = _Node(tag.rpartition(":")[2], dict(zip(attributes[::2], attributes[1::2], strict=True)))
        self._open[-1].below.append(node)
        self._open.append(node)

    def end(self, _: str) -> None:
        """An object, an event or a type that is whole is taken, and no longer kept."""
        node = self._open.pop()
        around = self._open[-1].tag
        if len(self._open) == 3 and (node.tag, around) in _WHOLE:
            self._open[-1].below.pop()
            _WHOLE[node.tag, around](self, node)

    def text(self, data: str) -> None:
        """The value of an attribute."""
        self._open[-1].text += data

    def check(self) -> None:
        """Nothing was found in what is no such log."""
        (root,) = self._open[0].below
        if root.tag != "log":
            raise self._log.bad(f"it begins with <{root.tag}>, not with <log>")

    def _type(self, node: _Node) -> None:
        kinds = {
            one.attributes["name"]: one.attributes.get("type", "string") for one in node.all("attributes", "attribute")
        }
        self._declared[node.tag][node.attributes.get("name", "")] = kinds

    def _object(self, node: _Node) -> None:
        if "id" not in node.attributes:
            self._object_of_one(node)
            return
        made = self._log.add_object(node.attributes.get("id"), node.attributes.get("type"))
        kinds, where = self._declared["object-type"].get(made.type, {}), f"the object {made.id!r}"
        for one in node.all("attributes", "attribute"):
            name, time = one.attributes.get("name", ""), one.attributes.get("time")
            made.values.append((name, time, self._log.value(one.text, kinds.get(name), name, where)))
        made.relations = _related(node)

    def _event(self, node: _Node) -> None:
        told = node.attributes
        if "id" not in told:
            self._event_of_one(node)
            return
        kinds, where = self._declared["event-type"].get(told.get("type", ""), {}), f"the event {told.get('id')!r}"
        data = {}
        for one in node.all("attributes", "attribute"):
            name = one.attributes.get("name", "")
            data[name] = self._log.value(one.text, kinds.get(name), name, where)
        self._log.add_event(told.get("id"), told.get("type"), told.get("time"), data, _related(node))

    # -- version 1.0: `<string key="id" value="…"/>` -------------------------------------------------------------------

    def _object_of_one(self, node: _Node) -> None:
        told = self._named(node, "an object")
        made = self._log.add_object(told.get("id"), told.get("type"))
        made.values = [
            (name, None, value) for name, value in self._within(node, "ovmap", f"the object {made.id!r}").items()
        ]

    def _event_of_one(self, node: _Node) -> None:
        told = self._named(node, "an event")
        where = f"the event {told.get('id')!r}"
        lists = [one for one in node.below if one.tag == "list" and one.attributes.get("key") == "omap"]
        related = [(each.attributes.get("value", ""), "") for one in lists for each in one.below]
        data = self._within(node, "vmap", where)
        self._log.add_event(told.get("id"), told.get("activity"), told.get("timestamp"), data, related)

    def _named(self, node: _Node, where: str) -> dict[str, Any]:
        return {
            one.attributes.get("key", ""): self._log.value(
                one.attributes.get("value"), _ONE_TYPES.get(one.tag), one.attributes.get("key", ""), where
            )
            for one in node.below
            if one.tag != "list"
        }

    def _within(self, node: _Node, key: str, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in node.below:
            if one.tag == "list" and one.attributes.get("key") == key:
                found |= self._named(one, where)
        return found


_WHOLE = {
    ("object-type", "object-types"): _Reader._type,
    ("event-type", "event-types"): _Reader._type,
    ("object", "objects"): _Reader._object,
    ("event", "events"): _Reader._event,
}


def _related(node: _Node) -> list[tuple[str, str]]:
    return [
        (one.attributes.get("object-id", ""), one.attributes.get("qualifier", ""))
        for inside in node.all("objects")
        for one in inside.below
    ]


def write(events: Events, target: Target, losses: Losses) -> None:
    """OCEL 2.0: types, then objects, then the events in their order."""
    with Written(events, target.path.parent, losses, as_xml=True) as log, target.open() as file:
        file.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<log>\n')
        for name, types in (("object-type", log.object_types()), ("event-type", log.event_types())):
            file.write(f"<{name}s>\n".encode())
            for type_, kinds in types.items():
                inside = "".join(
                    f"<attribute name={_quoted(one)} type={_quoted(kind)}/>" for one, kind in kinds.items()
                )
                file.write(f"<{name} name={_quoted(type_)}><attributes>{inside}</attributes></{name}>\n".encode())
            file.write(f"</{name}s>\n".encode())
        for name, each in (("object", log.objects()), ("event", log.events())):
            file.write(f"<{name}s>\n".encode())
            for one in each:
                file.write(_entry(name, one).encode())
            file.write(f"</{name}s>\n".encode())
        file.write(b"</log>\n")


def _entry(name: str, one: Entry) -> str:
    told = f"id={_quoted(one.id)} type={_quoted(one.type)}" + ("" if one.time is None else f" time={_quoted(one.time)}")
    attributes = "".join(
        f"<attribute name={_quoted(key)}{'' if time is None else f' time={_quoted(time)}'}>{_text(value)}</attribute>"
        for key, time, value in one.attributes
    )
    related = "".join(
        f"<relationship object-id={_quoted(other)} qualifier={_quoted(how)}/>" for other, how in one.relations
    )
    return f"<{name} {told}><attributes>{attributes}</attributes><objects>{related}</objects></{name}>\n"


def _quoted(text: str) -> str:
    return quoteattr(extras.NO_XML.sub("\ufffd", text), _NEWLINES)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = extras.NO_XML.sub("\ufffd", value) if isinstance(value, str) else repr(value)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")

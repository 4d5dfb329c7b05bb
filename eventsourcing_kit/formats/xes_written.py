"""Events as XES: a stream is a trace, and what all of a stream's events say in fields `case_…` stands there.

Traces hold their events together, and the log has them in its own order. So events are written to a temporary file
first, and from there trace by trace.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.formats import extras
from eventsourcing_kit.formats.grouped import Grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.formats.format import Events, Losses, Target

NAME, TIME, ID, CASE, TRANSITION = "concept:name", "time:timestamp", "identity:id", "case_", "lifecycle:transition"
_EXTENSIONS = {
    "concept": "Concept", "time": "Time", "identity": "Identity", "lifecycle": "Lifecycle", "org": "Organizational",
    "cost": "Cost", "semantic": "Semantic",
}  # fmt: skip
_SPECIAL = re.compile('[&<>"\t\n\r]')
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_CONSTANT, _MIXED = b"", None
_DIVIDER = b"\0"  # which neither XML nor JSON holds


def write(events: Events, target: Target, losses: Losses) -> None:
    """One trace a stream, in the order in which the streams begin; the rest of each event as attributes `ek:…`."""
    with Grouped(target.path.parent) as pieces, target.open() as file:
        log = _Log(pieces, losses)
        for frame in events.frames():
            for row in extras.rows(frame):
                log.add(*row)
        file.write(log.head().encode())
        for part in log.traces():
            file.write(part)
        file.write(b"</log>\n")


class _Log:
    """Events as XML, by their streams."""

    def __init__(self, pieces: Grouped, losses: Losses) -> None:
        self._pieces, self._losses = pieces, losses
        self._streams: dict[str, int] = {}
        self._cases: list[bytes | None] = []  # by stream the case's fields, None where its events differ
        self._prefixes = {"concept", "time", "identity"}
        self._always_transits = True

    def add(
        self, id_: str, stream: str, version: int, position: int, type_: str, schema_version: int, recorded: str,
        occurred: str | None, metadata: dict[str, Any], tags: Sequence[str], data: dict[str, Any],
    ) -> None:  # fmt: skip
        """One event, which stands behind those before it."""
        parts = [
            attribute(NAME, self._clean(type_, "a type", position)),
            f'<date key="{TIME}" value="{occurred or recorded}"/>',
            f'<id key="{ID}" value="{id_}"/>',
        ]
        case: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for field, value in data.items():
            written = None if _is_reserved(field) else attribute(field, value)
            if written is None:
                rest[field] = value
            elif field.startswith(CASE) and field[len(CASE) :] not in ("", NAME):
                case[field] = value
            else:
                parts.append(written)
                self._prefixes.add(field.partition(":")[0])
        self._always_transits &= TRANSITION in data
        own = extras.of_event(version, position, schema_version, recorded, occurred, metadata, tags or None, rest)
        parts += [attribute(key, value) for key, value in own.items()]
        if stream not in self._streams:
            self._clean(stream, "a stream's name", position)
        code = self._streams.setdefault(stream, len(self._streams))
        of_case = json.dumps(case).encode() if case else _CONSTANT
        if code == len(self._cases):
            self._cases.append(of_case)
        elif self._cases[code] != of_case:
            self._cases[code] = _MIXED
        self._pieces.add(code, _lines("\t\t\t", parts) + _DIVIDER + of_case)

    def _clean(self, text: str, what: str, position: int) -> str:
        cleaned = extras.NO_XML.sub("\ufffd", text)
        if cleaned != text:
            self._losses.add(f"characters in {what} that XML cannot hold", position)
        return cleaned

    def head(self) -> str:
        """The beginning of the log: the extensions, and what all traces and events have."""
        known = [
            f'\t<extension name="{name}" prefix="{prefix}" uri="http://www.xes-standard.org/{prefix}.xesext"/>\n'
            for prefix, name in _EXTENSIONS.items()
            if prefix in self._prefixes
        ]
        transition = bool(self._streams) and self._always_transits
        also = f'\t\t<string key="{TRANSITION}" value="complete"/>\n' if transition else ""
        both = f'\t<classifier name="Activity and transition" keys="{NAME} {TRANSITION}"/>\n' if transition else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<log xes.version="1849-2016" xes.features="nested-attributes" xmlns="http://www.xes-standard.org/">\n'
            f"{''.join(known)}"
            '\t<extension name="eventsourcing_kit" prefix="ek" uri="urn:eventsourcing-kit:ek.xesext"/>\n'
            f'\t<global scope="trace">\n\t\t<string key="{NAME}" value="unknown"/>\n\t</global>\n'
            f'\t<global scope="event">\n\t\t<string key="{NAME}" value="unknown"/>\n'
            f'\t\t<date key="{TIME}" value="1970-01-01T00:00:00.000000+00:00"/>\n{also}\t</global>\n'
            f'\t<classifier name="Activity" keys="{NAME}"/>\n{both}'
        )

    def traces(self) -> Iterator[bytes]:
        """Piece by piece what stands in the file."""
        groups = self._pieces.groups(len(self._streams))
        for stream, shared, pieces in zip(self._streams, self._cases, groups, strict=True):
            yield b"\t<trace>\n"
            yield _lines("\t\t", [attribute(NAME, extras.NO_XML.sub("\ufffd", stream)), *_of_case(shared, len(CASE))])
            for piece in pieces:
                event, _, case = piece.partition(_DIVIDER)
                own = _lines("\t\t\t", _of_case(case, 0)) if shared is _MIXED else b""
                yield b"\t\t<event>\n" + event + own + b"\t\t</event>\n"
            yield b"\t</trace>\n"


def _of_case(fields: bytes | None, cut: int) -> list[str | None]:
    """The fields as attributes, without the first characters of their names."""
    return [attribute(name[cut:], value) for name, value in json.loads(fields).items()] if fields else []


def _lines(indent: str, parts: Iterable[str | None]) -> bytes:
    return "".join(f"{indent}{part}\n" for part in parts).encode()


def _is_reserved(field: str) -> bool:
    return field in (NAME, TIME, ID, "") or field.startswith(extras.PREFIX)


def attribute(key: str, value: Any) -> str | None:
    """A value as an attribute; None where XES cannot hold it."""
    if extras.NO_XML.search(key):
        return None
    kind = type(value)
    if kind is str:
        if extras.NO_XML.search(value):
            return None
        tag = "date" if extras.ISO_TIME.fullmatch(value) else "string"
        return f'<{tag} key="{_escaped(key)}" value="{_escaped(value)}"/>'
    if kind is bool:
        return f'<boolean key="{_escaped(key)}" value="{"true" if value else "false"}"/>'
    if kind is int and extras.fits_int64(value):
        return f'<int key="{_escaped(key)}" value="{value}"/>'
    if kind is float:
        return f'<float key="{_escaped(key)}" value="{value!r}"/>'
    if kind is dict and value.keys() == {"value", "children"} and type(value["children"]) is dict:
        return _nested(key, **value)
    if kind is dict:
        return _around("container", key, [attribute(name, one) for name, one in value.items()])
    if kind is list and not any(isinstance(one, (list, dict)) for one in value):  # at which other tools' readers fail
        inside = _around("values", None, [attribute("item", one) for one in value])
        return _around("list", key, [inside])
    return None


def _nested(key: str, value: Any, children: dict[str, Any]) -> str | None:
    """An attribute of a value that has attributes itself."""
    outer = attribute(key, value)
    if not children or outer is None or not outer.endswith("/>") or outer.count("<") > 1:
        return _around("container", key, [attribute("value", value), attribute("children", children)])
    inside = [attribute(name, one) for name, one in children.items()]
    if None in inside:
        return None
    return f"{outer[:-2]}>{''.join(filter(None, inside))}</{outer[1:].partition(' ')[0]}>"


def _around(tag: str, key: str | None, inside: list[str | None]) -> str | None:
    if None in inside:
        return None
    opened = tag if key is None else f'{tag} key="{_escaped(key)}"'
    return f"<{opened}>{''.join(filter(None, inside))}</{tag}>"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], text) if _SPECIAL.search(text) else text

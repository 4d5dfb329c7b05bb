"""XES: a trace becomes a stream, and its attributes the fields `case_…` of its events."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.formats import extras, safe_xml
from eventsourcing_kit.formats.conventions import XES
from eventsourcing_kit.formats.format import ForeignLog
from eventsourcing_kit.formats.xes_written import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from eventsourcing_kit.formats.file import File

__all__ = ["fits", "read", "write"]

NAME, TIME, ID, CASE = "concept:name", "time:timestamp", "identity:id", "case_"
_TEXTS = {"string", "date", "id"}
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}
_NESTING = {"list", "container", "values"}
_EVENTS_AT_ONCE = 8192
_SCALARS = _TEXTS | {"int", "float", "boolean"}
_ATTRIBUTES = _SCALARS | _NESTING
_MOST_ATTRIBUTES = 16_384


def fits(file: File) -> bool:
    """Whether an XML file is a log with traces, and not an object-centric one."""
    found = safe_xml.children(file.head)
    if not found or _local(found[0][0]) != "log":
        return False
    below = {_local(tag) for tag, _ in found[1:]}
    scopes = {attributes.get("scope") for _, attributes in found[1:]}
    return below.isdisjoint({"object-types", "event-types", "objects", "events"}) and scopes <= {None, "trace", "event"}


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """The events in the file's order. The standard says which attributes are name and time of a trace and an event;
    `given["type"]` may name a classifier of the log, whose values are joined by `+`.
    """
    log = _Log(file)
    log.listen()
    if not given and log.is_own:
        return ForeignLog(log.own_frame(), {})
    frame, columns = log.frame(given)
    return ForeignLog(frame, columns, log.told(columns))


class _Log:
    """Hears of tags, and collects traces and events, and what the log says about itself."""

    def __init__(self, file: File) -> None:
        self._file, self._name, self._parser = file, file.name, safe_xml.Parser(file)
        self.columns: dict[str, list[Any]] = {}  # event attributes; None where an event has none
        self.traces: list[dict[str, Any]] = []
        self.sizes: list[int] = []  # of the traces
        self._lines: list[int] = []  # in which they begin
        self.classifiers: dict[str, list[str]] = {}
        self._own_attributes: dict[str, Any] = {}
        self._path: list[str | _Node] = []  # elements that are open, and attributes with others within them
        self._events: list[dict[str, Any]] = []  # those that are not in the columns yet
        self._gathered = self._before = 0  # of the events: those in columns, those before the trace
        self._trace: dict[str, Any] = {}
        self._at: dict[str, Any] = self._own_attributes  # the element whose attributes are read

    # -- tags --------------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Read the file.

        A call for each tag is what takes the time, so what closes is only counted, by `list.append`, and settled when
        the next tag opens; and the way of most tags, an attribute of one value, is short.
        """
        at, ready = self._at, -1  # where attributes belong, and how many elements are open around them
        opened, closed = 0, list[str]()
        name = key = ""

        def start(tag: str, attributes: list[str]) -> None:
            nonlocal at, ready, opened, name, key
            depth = opened - len(closed)
            if depth == ready and tag in _SCALARS and len(attributes) == 4 and attributes[0] == "key":
                opened += 1
                name, key = tag, attributes[1]
                if key in at:
                    raise self._twice(key)
                at[key] = attributes[3] if tag in _TEXTS else self._value(tag, key, attributes[3])
                return
            closed.clear()
            opened = depth + 1
            self._settle(depth, name, key)
            if tag == "event" and self._path:
                if self._path[-1] != "trace":
                    self._lines.append(self._parser.line)
                self._path.append(tag)
                self._at = at = {}
                ready = len(self._path)
                return
            self._open(_local(tag), dict(zip(attributes[::2], attributes[1::2], strict=True)))
            at, ready = self._at, (-1 if isinstance(self._path[-1], _Node) else len(self._path))

        self._parser.run(start, closed.append)
        self._settle(0, name, key)
        self.gather()

    def _settle(self, depth: int, name: str, key: str) -> None:
        """Close what is open beyond `depth`; where less is, the last attribute turns out to have others within it."""
        while len(self._path) > depth:
            self._close()
        if len(self._path) < depth:
            self._path.append(_Node(name, key, self._at.pop(key)))

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        if name in _ATTRIBUTES:
            key = attributes.get("key", "")
            value = None if name in _NESTING else self._value(name, key, attributes.get("value"))
            self._path.append(_Node(name, key, value))
            return
        if self._path and isinstance(self._path[-1], _Node):
            raise self._bad(f"<{name}> stands within an attribute")
        if not self._path and name != "log":
            raise InputError(f"{self._name} begins with <{name}>, not with <log>, so it is no XES; get the file again")
        self._path.append(name)
        if name == "trace":
            self._trace, self._before = {}, self._count
            self._lines.append(self._parser.line)
        elif name == "classifier":
            self.classifiers[attributes.get("name", "")] = _keys(attributes.get("keys", ""))
        self._at = {"trace": self._trace, "log": self._own_attributes}.get(name, {})

    def _close(self) -> None:
        closed = self._path.pop()
        if isinstance(closed, _Node):
            self._close_attribute(closed)
            return
        is_within = bool(self._path) and self._path[-1] == "trace"
        if closed == "event":
            self._events.append(self._at)
            if not is_within:
                self.traces.append({})
                self.sizes.append(1)
            if len(self._events) == _EVENTS_AT_ONCE:
                self.gather()
        elif closed == "trace":
            self.traces.append(self._trace)
            self.sizes.append(self._count - self._before)
        self._at = self._trace if is_within else self._own_attributes

    def _close_attribute(self, node: _Node) -> None:
        around = self._path[-1]
        if node.name == "values" and isinstance(around, _Node):
            around.children += node.children
            return
        try:
            value = node.built()
        except KeyError as error:
            raise self._twice(error.args[0]) from None
        if isinstance(around, _Node):
            around.children.append((node.key, value))
        elif node.key in self._at:
            raise self._twice(node.key)
        else:
            self._at[node.key] = value

    def _value(self, name: str, key: str, text: str | None) -> Any:
        try:
            return _READ[name]("" if text is None else text)
        except (ValueError, KeyError):
            raise self._bad(f"the attribute {key!r} is {text!r}, which is no {name}") from None

    @property
    def _count(self) -> int:
        return self._gathered + len(self._events)

    def _bad(self, what: str) -> InputError:
        return InputError(f"{self._name}, line {self._parser.line}: {what}; set it right in the file")

    def _twice(self, key: str) -> InputError:
        return self._bad(f"the attribute {key!r} is there twice in one element")

    # -- columns -----------------------------------------------------------------------------------------------------

    def gather(self) -> None:
        """Put the events that were read into columns."""
        events, before = self._events, self._gathered
        if not events:
            return
        for key in dict.fromkeys(key for event in events for key in event):
            column = self.columns.setdefault(key, [])
            column += [None] * (before - len(column))
            column += [event.get(key) for event in events]
        if len(self.columns) > _MOST_ATTRIBUTES:
            raise self._bad(f"more than {_MOST_ATTRIBUTES:,} different attributes of events")
        self._gathered += len(events)
        self._events = []

    @property
    def is_own(self) -> bool:
        """Whether the kit wrote the log: all of its events say where they stood."""
        needed = (NAME, TIME, ID, extras.POSITION, extras.SCHEMA_VERSION)
        return all(None not in self._column(key) for key in needed)

    def _column(self, key: str) -> list[Any]:
        column = self.columns.get(key, [])
        return column + [None] * (self._gathered - len(column))

    def _codes(self) -> npt.NDArray[np.int64]:
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def frame(self, given: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The frame of a log that others wrote, and which column is what."""
        codes, fields = self._codes(), dict.fromkeys(key for trace in self.traces for key in trace if key != NAME)
        columns = {key: self._column(key) for key in self.columns}
        of_traces = {}
        for key in fields:
            name = f"{CASE}{key}"
            if name in columns:
                raise InputError(
                    f"{self._name}: the attribute {key!r} of traces and {name!r} of events would be one field; "
                    "rename one of them in the file"
                )
            of_traces[name] = _taken([trace.get(key) for trace in self.traces], codes)
        stream = XES["stream"]
        while stream in columns:
            stream += "'"
        named = {"stream": stream, "type": NAME, "recorded_at": TIME}
        roles = {role: label for role, label in named.items() if role not in given}
        if "stream" in roles:
            of_traces = {stream: _taken(self._names(), codes)} | of_traces
        given_type = given.get("type")
        if given_type in self.classifiers and given_type not in columns:
            columns[given_type] = self._classified(columns, self.classifiers[given_type])
        for role in ("type", "recorded_at"):
            if role in roles:
                self._check(roles[role], columns.get(roles[role]) or [None])
        arrays = {key: extras.times(values) if key == TIME else extras.array(values) for key, values in columns.items()}
        if "id" not in given and ID in columns and None not in columns[ID]:
            roles["id"] = ID
        return extras.frame({**of_traces, **arrays}), roles

    def _names(self) -> list[Any]:
        """The traces' names, which are unique."""
        seen: dict[Any, int] = {}
        for number, trace in enumerate(self.traces):
            name = trace.get(NAME)
            if name is None:
                raise InputError(
                    f"{self._name}, line {self._lines[number]}: no {NAME!r} says which trace this is; name "
                    f"another attribute of it: stream='{CASE}…', or stream= one of the events' {list(self.columns)}"
                )
            if name in seen:
                raise InputError(
                    f"{self._name}, line {self._lines[number]}: the trace {name!r} is there already, in line "
                    f"{self._lines[seen[name]]}; rename one of them in the file, or name another attribute of "
                    f"it: stream='{CASE}…'"
                )
            seen[name] = number
        return list(seen)

    def _classified(self, columns: Mapping[str, list[Any]], keys: Sequence[str]) -> list[Any]:
        parts = []
        for key in keys:
            values = columns.get(key, [None])
            self._check(key, values)
            parts.append(map(str, values))
        return ["+".join(one) for one in zip(*parts, strict=True)]

    def _check(self, key: str, values: list[Any]) -> None:
        if self._gathered and None in values:
            line = safe_xml.line(self._file, "event", values.index(None))
            ways = [f"a classifier: type={name!r}" for name, keys in self.classifiers.items() if key not in keys]
            raise InputError(
                f"{self._name}, line {line}: this event has no {key!r}; add it in the file, or name "
                f"{' or '.join([f'another attribute of the events, of {list(self.columns)}', *ways])}"
            )

    def own_frame(self) -> pd.DataFrame:
        """The kit's own frame, with data as it was stored."""
        kept = {key: self._column(key) for key in (ID, NAME, TIME, *extras.KEPT)}
        self.columns = {key: column for key, column in self.columns.items() if key not in kept}
        names = _taken(self._names(), self._codes())
        return extras.own_frame(kept[ID], names, kept[NAME], kept[TIME], kept, self._data(kept[extras.DATA]))

    def _data(self, rest: list[str | None]) -> list[dict[str, Any]]:
        """Event by event its fields: the attributes, those of its trace, and those that XES cannot hold."""
        of_traces = [{f"{CASE}{key}": value for key, value in trace.items() if key != NAME} for trace in self.traces]
        keys, columns = list(self.columns), [self._column(key) for key in self.columns]
        values = zip(*columns, strict=True) if columns else iter([()] * self._gathered)
        found = []
        for code, row, text in zip(self._codes().tolist(), values, rest, strict=True):
            data = {key: value for key, value in zip(keys, row, strict=True) if value is not None}
            data.update(of_traces[code])
            if text is not None:
                data.update(json.loads(text))
            found.append(data)
        return found

    def told(self, roles: Mapping[str, Any]) -> str:
        """What was taken for what, and what was left out."""
        parts = [f"each of {counted(len(self.traces), 'trace')} is a stream"] if "stream" in roles else []
        parts.append(", ".join(f"{role}={label!r}" for role, label in roles.items()))
        left = [counted(len(self._own_attributes), "attribute") + " of the log"] if self._own_attributes else []
        left += [counted(self.sizes.count(0), "trace") + " without events"] if 0 in self.sizes else []
        return "; ".join(filter(None, [*parts, f"left out: {' and '.join(left)}" if left else ""]))


class _Node:
    """An attribute with others within it."""

    def __init__(self, name: str, key: str, value: Any) -> None:
        self.name, self.key, self.value = name, key, value
        self.children: list[tuple[str, Any]] = []

    def built(self) -> Any:
        """A list's values (with their keys, where these differ), a container's fields; what has a value of its own and
        attributes of that value becomes `{"value": …, "children": {…}}`.
        """
        children = [(key, value) for key, value in self.children if value is not None]
        if self.name == "list":
            alike = len({key for key, _ in children}) <= 1
            return [value if alike else {key: value} for key, value in children]
        found: dict[str, Any] = {}
        for key, value in children:
            if key in found:
                raise KeyError(key)
            found[key] = value
        if self.name == "container":
            return found
        return {"value": self.value, "children": found} if found else self.value


def _float(text: str) -> float | None:
    """A number; none where it is NaN, by which tools write that there is none."""
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return None if math.isnan(value) else value


def _truth(text: str) -> bool:
    return _TRUTHS[text.strip().lower()]


_READ: dict[str, Callable[[str], Any]] = {
    "string": str, "date": str, "id": str, "int": int, "float": _float, "boolean": _truth,
}  # fmt: skip


def _local(tag: str) -> str:
    """A tag's name without the prefix of a namespace."""
    return tag.rpartition(":")[2]


def _keys(text: str) -> list[str]:
    """A classifier's keys, which stand in quotes where they hold blanks."""
    return [part for part in text.split("'") if part.strip()] if "'" in text else text.split()


def _taken(values: list[Any], codes: npt.NDArray[np.int64]) -> Any:
    """Of each event the value of its trace."""
    return extras.array(values)[codes]

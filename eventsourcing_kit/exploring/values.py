"""Values as JSON that a page can show and tell apart, and what of them leaves the house."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import callables
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import time_text
from eventsourcing_kit.folding.history import fields_of, has_fields

SAFE_INT = (1 << 53) - 1  # the largest whole number that JavaScript tells from its neighbours
TAG = "$"
_DEPTH = 32

Redact = Callable[[str, Any], Any]


class Absent:
    """A field that is not there, which is not the same as one that is empty."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def tagged(kind: str, value: Any) -> dict[str, Any]:
    """What plain JSON cannot say, as an object that names its kind."""
    return {TAG: kind, "v": value}


def tree(value: Any, depth: int = 0) -> Any:
    """A value as JSON: what JavaScript has no word for comes as `{"$": kind, "v": …}`, and 1 and 1.0 stay apart."""
    if value is None or value is True or value is False or type(value) is str:
        return value
    if depth > _DEPTH:
        return tagged("text", "…")
    if isinstance(value, Enum):
        return tree(value.value, depth)
    if isinstance(value, (int, float, Decimal)):
        return _number(value)
    if isinstance(value, (str, UUID)):
        return str(value)
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return tagged("time", time_text(value.astimezone(UTC)))
    if isinstance(value, (date, time)):
        return tagged("text", value.isoformat())
    if isinstance(value, (bytes, bytearray)):
        return tagged("bytes", bytes(value).hex())
    return _nested(value, depth)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) > SAFE_INT):
        return tagged("number", str(value))
    if isinstance(value, float) and (not math.isfinite(value) or value.is_integer()):
        return tagged("number", repr(float(value)))
    return value if isinstance(value, float) else int(value)


def _nested(value: Any, depth: int) -> Any:
    if isinstance(value, (set, frozenset)):
        return tagged("set", sorted((tree(one, depth + 1) for one in value), key=text_of))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [tree(one, depth + 1) for one in value]
    if isinstance(value, Mapping):
        if all(isinstance(name, str) for name in value) and TAG not in value:
            return {name: tree(one, depth + 1) for name, one in value.items()}
        return tagged("map", [[tree(name, depth + 1), tree(one, depth + 1)] for name, one in value.items()])
    if has_fields(value):
        return {name: tree(one, depth + 1) for name, one in fields_of(value).items()}
    return tagged("text", shown(value))


def text_of(made: Any) -> str:
    """A tree as one text, the same for the same tree."""
    return json.dumps(made, ensure_ascii=True, separators=(",", ":"))


def key_text(key: Any) -> str:
    """A key as people read it."""
    return key if isinstance(key, str) else "the whole log" if key is None else shown(key)


@dataclass(frozen=True)
class House:
    """What may leave it: the `fields` by name (None: all), and what `redact` makes of the values of those."""

    fields: frozenset[str] | None = None
    redact: Redact | None = None

    @classmethod
    def of(cls, fields: Iterable[str] | None, redact: Redact | None) -> House:
        """As people say it; raises `InputError`."""
        if isinstance(fields, str) or (fields is not None and not isinstance(fields, Iterable)):
            raise InputError(f"fields is {fields!r}; give a list of names, such as fields=['amount'], or None for all")
        names = None if fields is None else list(fields)
        if names is not None and not all(isinstance(name, str) for name in names):
            raise InputError(f"fields is {names!r}; fields have text as names")
        if redact is not None:
            callables.check(redact, "redact", "a name and a value that returns the value to show")
        return cls(None if names is None else frozenset(names), redact)

    def check(self, known: Iterable[str]) -> None:
        """Raise `InputError` for a field that is nowhere."""
        there = list(dict.fromkeys(known))
        for name in sorted((self.fields or frozenset()) - set(there)):
            near = difflib.get_close_matches(name, there, n=3) or there[:8]
            has = f"there are {', '.join(map(repr, near))}" if near else "there is none at all"
            raise InputError(f"fields names {name!r}, and no event and no state has such a field; {has}")

    def shows(self, name: str) -> bool:
        """Whether a field may leave the house."""
        return self.fields is None or name in self.fields

    def seen(self, name: str, value: Any) -> Any:
        """What is shown of a field's value, and of what is nested in it."""
        if self.redact is None or value is ABSENT:
            return value
        try:
            return self._nested(self.redact(name, value))
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"redact {callables.where(self.redact)} failed on the field {name!r}: {type(error).__name__}: {error}; "
                "it takes a name and a value, and returns what to show in its place"
            ) from error

    def _nested(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, set, frozenset)) and not hasattr(value, "_asdict"):
            return [self._nested(one) for one in value]
        if isinstance(value, dict) or (has_fields(value) and not isinstance(value, (str, int, float))):
            named = value if isinstance(value, dict) else fields_of(value)
            return {
                name: self.seen(name, one) if isinstance(name, str) else self._nested(one)
                for name, one in named.items()
            }
        return value

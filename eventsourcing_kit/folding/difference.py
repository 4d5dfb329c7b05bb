"""What differs between what was expected and what came, field by field, for people to read."""

from __future__ import annotations

from typing import Any

from eventsourcing_kit.folding.history import fields_of

_SHOWN = 300


def same(expected: Any, actual: Any) -> bool:
    """Whether two values are equal; values without a plain equality are not."""
    try:
        return expected is actual or bool(expected == actual)
    except Exception:  # arrays have no one answer
        return False


def of_values(expected: Any, actual: Any) -> list[str]:
    """Lines that say where two states or events differ."""
    was, now = fields_of(expected), fields_of(actual)
    alike = type(expected) is type(actual) or (isinstance(expected, dict) and isinstance(actual, dict))
    if not alike or not _taken_apart(expected) or not _taken_apart(actual):
        kinds = "" if type(expected) is type(actual) else f" ({type(expected).__name__}, {type(actual).__name__})"
        return [f"expected {shown(expected)}, actual {shown(actual)}{kinds}"]
    lines = []
    for name in [*was, *(name for name in now if name not in was)]:
        if name not in now:
            lines.append(f"{name}: expected {shown(was[name])}, actual: no such field")
        elif name not in was:
            lines.append(f"{name}: not expected, actual {shown(now[name])}")
        elif not same(was[name], now[name]):
            lines.append(f"{name}: expected {shown(was[name])}, actual {shown(now[name])}")
    return lines or [f"expected {shown(expected)}, actual {shown(actual)}"]


def of_keyed(expected: dict[Any, Any], actual: dict[Any, Any]) -> list[str]:
    """The same of states by key."""
    lines = []
    for key in [*expected, *(key for key in actual if key not in expected)]:
        if key not in actual:
            lines.append(f"{key!r}: expected {shown(expected[key])}, actual: no such key")
        elif key not in expected:
            lines.append(f"{key!r}: not expected, actual {shown(actual[key])}")
        elif not same(expected[key], actual[key]):
            lines += [f"{key!r}: {line}" for line in of_values(expected[key], actual[key])]
    return lines


def of_events(expected: list[tuple[str, Any]], actual: list[tuple[str, Any]]) -> list[str]:
    """The same of events, given as type and data; one line and more for each that differs."""
    lines = []
    for i in range(max(len(expected), len(actual))):
        if i >= len(actual):
            lines.append(f"event {i + 1}: expected {named(*expected[i])}, actual: none")
        elif i >= len(expected):
            lines.append(f"event {i + 1}: not expected, actual {named(*actual[i])}")
        elif expected[i][0] != actual[i][0]:
            lines.append(f"event {i + 1}: expected {named(*expected[i])}, actual {named(*actual[i])}")
        elif not same(expected[i][1], actual[i][1]):
            lines += [f"event {i + 1}, {expected[i][0]}: {line}" for line in of_values(expected[i][1], actual[i][1])]
    return lines


def named(type_name: str, data: Any) -> str:
    """An event as people know it: its class, or its type with the dict."""
    return shown(data) if not isinstance(data, dict) else f"{type_name}({shown(data)})"


def shown(value: Any) -> str:
    """A value's repr, cut where it is very long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _taken_apart(value: Any) -> bool:
    fields = fields_of(value)
    return fields.get("state") is not value or isinstance(value, dict)

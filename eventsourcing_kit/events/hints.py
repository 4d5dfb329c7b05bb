"""Hints: what was probably meant by a name, and warnings that point at people's own line."""

from __future__ import annotations

import sys
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOT_PEOPLES = ("eventsourcing_kit", "pydantic", "abc")
_given: set[str] = set()


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> list[str]:
    """Up to three known names that look most like this one; upper and lower case are alike."""
    by_lower = {one.lower(): one for one in known}
    return [by_lower[one] for one in get_close_matches(name.lower(), by_lower, 3, likeness)]


def warn_once(message: str) -> None:
    """Warn, once a process, with the line of people's code that led here."""
    if message in _given:
        return
    _given.add(message)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_PEOPLES:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)

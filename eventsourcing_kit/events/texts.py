"""How counts and times are written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def counted(count: int, thing: str = "event") -> str:
    """A number of events, or of other things: `1 event`, `2,000 events`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def time_text(time: datetime) -> str:
    """A time in UTC, as it can be typed again: `2026-01-05T09:00:00Z`."""
    return time.isoformat().replace("+00:00", "Z")

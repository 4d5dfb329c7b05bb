"""Events on which a handler failed: what a subscription does then, and what it keeps of them beside the log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError, without_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from eventsourcing_kit.log.log import Log

KIND = "parked"
_ERROR_CHARACTERS = 2000


class Policy(Enum):
    """What a subscription does with an event on which its handler fails, besides `Park`."""

    STOP = "stop"
    SKIP = "skip"

    def __repr__(self) -> str:
        return self.name


STOP, SKIP = Policy.STOP, Policy.SKIP


@dataclass(frozen=True)
class Park:
    """Try an event again so many times, `pause` seconds apart; then set it aside and go on with the next.

    >>> import eventsourcing_kit as ek
    >>> ek.Park(retries=5, pause=1)
    Park(retries=5, pause=1)
    """

    retries: int = 3
    pause: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise InputError(f"retries is {self.retries!r}; give a whole number from 0")
        if isinstance(self.pause, bool) or not isinstance(self.pause, (int, float)) or not 0 <= self.pause < 1e6:
            raise InputError(f"pause is {self.pause!r}; give a number of seconds from 0")


OnError = Policy | Park


def check_policy(given: object) -> OnError:
    """`given`, if it says what to do when a handler fails."""
    if isinstance(given, (Policy, Park)):
        return given
    if isinstance(given, str) and given in (policy.value for policy in Policy):
        return Policy(given)
    raise InputError(f"on_error is {given!r}; give ek.STOP, ek.SKIP or ek.Park(retries=3)")


@dataclass(frozen=True, slots=True)
class Parked:
    """One event that was set aside."""

    position: int
    stream: str
    type: str
    error: str
    attempts: int
    policy: str
    parked_us: int

    def to_note(self) -> bytes:
        """Its note beside the log; the note's number is the position."""
        return to_json([self.stream, self.type, self.error, self.attempts, self.policy, self.parked_us])


def parked(event: Any, error: BaseException, attempts: int, policy: OnError, now_us: int) -> Parked:
    """What is kept of an event, or of whatever else has its position, stream and type."""
    word = "park" if isinstance(policy, Park) else policy.value
    return Parked(event.position, event.stream, event.type, error_text(error), attempts, word, now_us)


def error_text(error: BaseException) -> str:
    """An error in one piece of text that can be stored."""
    text = without_addresses(f"{type(error).__name__}: {error}")[:_ERROR_CHARACTERS]
    return text.encode(errors="backslashreplace").decode()


def stored(log: Log, name: str | None = None) -> Iterator[tuple[str, Parked]]:
    """The events that were set aside as the log has them, with the names of their subscriptions."""
    for owner, position, note in log.notes(KIND, name):
        yield owner, Parked(position, *from_json(note))


def frame(parked: Iterable[tuple[str | None, Parked]]) -> pd.DataFrame:
    """One row an event: subscription, position, stream, type, error, attempts, policy, parked_at."""
    import numpy as np
    import pandas as pd

    from eventsourcing_kit.reading import frames

    rows = list(parked)

    def texts(name: str) -> Any:
        return frames.strings(frames.objects([getattr(one, name) for _, one in rows]))

    def numbers(name: str) -> Any:
        return np.array([getattr(one, name) for _, one in rows], dtype=np.int64)

    return pd.DataFrame(
        {
            "subscription": frames.strings(frames.objects([pd.NA if name is None else name for name, _ in rows])),
            "position": frames.integers(numbers("position")),
            "stream": texts("stream"),
            "type": texts("type"),
            "error": texts("error"),
            "attempts": frames.integers(numbers("attempts")),
            "policy": texts("policy"),
            "parked_at": frames.times(numbers("parked_us")),
        }
    )

"""Event ids: UUIDv7 (RFC 9562) that carry their position, so that an id needs no index to be found again.

Layout of the 128 bits, most significant first:

    48  recorded_at in milliseconds since 1970 (0 for earlier times)
     4  version 7
    42  position: strictly increasing, whatever the clock does (12 bits, then 2 bits of variant, then 30 bits)
    32  a mix of the record's id key and the position

RFC 9562, section 6.2, method 1 allows a counter of up to 42 bits there. The id is a pure function of time, key and
position, so the record stores only the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import SafeUUID

import numpy as np
from uuid6 import UUID

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    UInts = npt.NDArray[np.uint64]
    Bytes = npt.NDArray[np.uint8]

POSITION_LIMIT = 1 << 42
_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), dtype=np.uint16)
_new: Any = object.__new__
_slots: Any = UUID  # whose attributes are slots, which a UUID sets once and then refuses to set again
_set_int, _set_safe, _UNKNOWN = _slots.int.__set__, _slots.is_safe.__set__, SafeUUID.unknown
_U64, _30_BITS = (1 << 64) - 1, (1 << 30) - 1
_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))  # of hexadecimal digits, with a dash between two


def id_bytes(key: int | UInts, positions: Ints, times_us: Ints) -> Bytes:
    """The ids of the events at `positions`, one row of 16 bytes each; one key for all, or one an event."""
    ms = np.clip(times_us // 1000, 0, (1 << 48) - 1).astype(np.uint64)
    position = positions.astype(np.uint64)
    high = (ms << np.uint64(16)) | np.uint64(0x7000) | (position >> np.uint64(30))
    low = np.uint64(1 << 63) | ((position & np.uint64((1 << 30) - 1)) << np.uint64(32)) | _mix(key, position)
    out = np.empty((len(positions), 2), dtype=">u8")
    out[:, 0], out[:, 1] = high, low
    return out.view(np.uint8).reshape(-1, 16)


def _mix(key: int | UInts, position: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """32 well-stirred bits of key and position (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    x: UInts = np.asarray(key, dtype=np.uint64) + position * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x >> np.uint64(32)


def made(key: int, position: int, us: int) -> UUID:
    """One id as `id_bytes` makes it, without arrays."""
    ms = min(max(us // 1000, 0), (1 << 48) - 1)
    x = (key + position * 0x9E3779B97F4A7C15) & _U64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _U64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _U64
    return _joined(ms << 16 | 0x7000 | position >> 30, 1 << 63 | (position & _30_BITS) << 32 | x >> 32)


def position_in(event_id: uuid.UUID) -> int:
    """The position that an id made here carries; for any other id a number that means nothing."""
    bits = event_id.int
    return ((bits >> 64) & 0xFFF) << 30 | (bits >> 32) & ((1 << 30) - 1)


def ms_in(event_id: uuid.UUID) -> int:
    """The milliseconds since 1970 that an id made here carries."""
    return event_id.int >> 80


def from_hex(text: str) -> UUID:
    """One id as an object, of its 32 digits."""
    return UUID(hex=text)


def to_uuids(rows: Bytes) -> Iterator[UUID]:
    """Ids as objects, six times quicker than one by one: the class itself takes a UUID apart to check it."""
    halves = np.ascontiguousarray(rows).view(">u8")
    return map(_joined, halves[:, 0].tolist(), halves[:, 1].tolist())


def _joined(high: int, low: int) -> UUID:
    made: UUID = _new(UUID)
    _set_int(made, high << 64 | low)
    _set_safe(made, _UNKNOWN)
    return made


def to_text(rows: Bytes) -> list[str]:
    """Ids as text in the usual 8-4-4-4-12 form."""
    if not len(rows):
        return []
    digits = _HEX[rows].view(np.uint8)
    text = np.full((len(rows), 37), ord("-"), dtype=np.uint8)
    for dashes, (start, end) in enumerate(_GROUPS):
        text[:, start + dashes : end + dashes] = digits[:, start:end]
    text[:, 36] = ord("\n")
    return text.tobytes()[:-1].decode("ascii").split("\n")

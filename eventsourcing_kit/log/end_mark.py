"""Where a folder's log ended when it was last closed, noted beside it: the last position, and its commit's SHA-256.

SlateDB's manifests carry no checksum, and one flipped bit in them can hide the newest commits without a trace. The mark
is the trace. Who tampers can change it too; against that only a digest that is noted elsewhere helps.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from eventsourcing_kit.errors import RecordError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "end"
_DIGITS = set("0123456789abcdef")


class Mark(NamedTuple):
    """The end of a log: its last position, and the digest of its last commit in hexadecimal."""

    position: int
    digest: str


def read(folder: Path) -> Mark | None:
    """The mark, or None where there is none; raises `RecordError` where it is damaged."""
    try:
        text = (folder / _NAME).read_bytes()
    except OSError:
        return None
    with contextlib.suppress(ValueError):  # a UnicodeDecodeError is one
        position, digest = text.decode("ascii").split()
        mark = Mark(int(position), digest)
        if text == _text(mark) and len(digest) == 64 and _DIGITS.issuperset(digest):
            return mark
    raise RecordError(f"the file {_NAME!r} in the store's folder, which tells where its log ended, is damaged")


def write(folder: Path, mark: Mark) -> None:
    """Note the end, unless a later one is noted. Quiet where the folder cannot be written: it is only a safeguard."""
    with contextlib.suppress(RecordError):
        older = read(folder)
        if older is not None and older.position >= mark.position:
            return
    new = folder / f"{_NAME}.new"
    with contextlib.suppress(OSError):
        with open(new, "wb") as file:
            file.write(_text(mark))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, folder / _NAME)


def _text(mark: Mark) -> bytes:
    return f"{mark.position} {mark.digest}\n".encode()

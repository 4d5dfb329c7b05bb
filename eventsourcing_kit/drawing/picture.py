"""A small picture of a chart, for where nothing can draw it: exports, code hosts, mails.

vl-convert draws offline, with the very library that browsers use. Its PNGs are a few times larger than need be, so they
are written anew with the colours that the picture has.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

SCALE = 1.5  # pixels of the picture for one of the chart, so that it is sharp
COLORS = 64


def png(spec: dict[str, Any]) -> tuple[bytes, dict[str, float]] | None:
    """Return a chart's picture and the size at which it is to be shown; None where there is nothing to draw it with."""
    try:
        import vl_convert
    except ImportError:
        return None
    # Control characters would end the whole process in there; nothing is loaded from anywhere.
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\u(?:00[01][0-9a-f]|fff[ef])", r"\1\\ufffd", json.dumps(spec))
    try:
        picture = vl_convert.vegalite_to_png(text, vl_version="5.8", scale=SCALE, allowed_base_urls=[])
    except ValueError:  # it cannot be drawn, or not without the network; whoever draws the chart itself says why
        return None
    width, height = struct.unpack(">II", picture[16:24])
    return smaller(picture), {"width": round(width / SCALE), "height": round(height / SCALE)}


def smaller(picture: bytes) -> bytes:
    """Return a PNG with at most `COLORS` colours, all others being the nearest of them.

    A PNG that is not written as vl-convert does (eight bits of red, green, blue and alpha; rows as differences between
    neighbours) comes back as it is.
    """
    parts = list(_parts(picture))
    width, height, *kind = struct.unpack(">IIBB", parts[0][1][:10])
    packed = b"".join(content for name, content in parts if name == b"IDAT")
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    if kind != [8, 6] or (rows[:, 0] != 1).any():
        return picture
    pixels = np.cumsum(rows[:, 1:].reshape(height, width, 4), axis=1, dtype=np.uint8)
    colors, places, counts = np.unique(pixels.view(np.uint32), return_inverse=True, return_counts=True)
    kept = colors[np.argsort(-counts, kind="stable")[:COLORS]]
    every, few = (one.view(np.uint8).reshape(-1, 4).astype(int) for one in (colors, kept))
    nearest = ((every[:, None] - few) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    drawn = np.pad(nearest[places.reshape(height, width)], ((0, 0), (1, 0)))  # 0: a row as it is
    written = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": few[:, :3].astype(np.uint8).tobytes(),
        b"tRNS": few[:, 3].astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(drawn.tobytes(), 9),
        b"IEND": b"",
    }
    chunks = (
        struct.pack(">I", len(one)) + name + one + struct.pack(">I", zlib.crc32(name + one))
        for name, one in written.items()
    )
    return picture[:8] + b"".join(chunks)


def _parts(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a PNG, each with its name."""
    place = 8
    while place < len(picture):
        size = int.from_bytes(picture[place : place + 4], "big")
        yield picture[place + 4 : place + 8], picture[place + 8 : place + 8 + size]
        place += size + 12

"""Columns as bytes that compress well, and that JavaScript turns into typed arrays in one pass.

Whole numbers are stored as what they are above the least of them, or above the one before, in as few bytes as that
needs, all first bytes before all second ones. `pack` is what the page undoes as `unpack`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.exploring.values import ABSENT, SAFE_INT, text_of, tree
from eventsourcing_kit.records.moment import plain_us

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_MISSING = {type(None): 0, type(ABSENT): 1}
_UNITS = (1_000_000, 1000)
_DECIMALS = (1, 10, 100, 1000, 10_000)
_EXACT = float(1 << 50)


class Blob:
    """Bytes that columns are written into, one after the other; each is described by where it stands, and how."""

    def __init__(self, epoch_us: int) -> None:
        self.epoch_us = epoch_us  # times are counted from here: JavaScript's numbers end at 2**53
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, raw: bytes) -> dict[str, Any]:
        """Some bytes."""
        described = {"at": self._size, "size": len(raw)}
        self._parts.append(raw)
        self._size += len(raw)
        return described

    def ints(self, values: Ints, *, follows: Ints | None = None, delta: bool = False) -> dict[str, Any]:
        """Whole numbers that lie within 2**53 of each other.

        With `delta` each as what it is above the one before; with `follows` above the one at that place (-1: above 0).
        What is smaller is taken.
        """
        values = np.asarray(values, dtype=np.int64)
        found = _planes(values)
        way: dict[str, Any] = {}
        if delta and len(values):
            steps = np.diff(values, prepend=np.int64(0))
            first, steps[0] = int(values[0]), 0
            found, way = min((found, way), (_planes(steps), {"delta": first}), key=_bits)
        if follows is not None and len(values):
            steps = np.where(follows < 0, values, values - values[follows])
            found, way = min((found, way), (_planes(steps), {"follows": True}), key=_bits)
        described, planes = found
        return {"n": len(values), **described, **way, **self.add(planes)}

    def json(self, value: Any) -> dict[str, Any]:
        """Anything that JSON holds."""
        return self.add(text_of(value).encode())

    def texts(self, texts: Sequence[str]) -> dict[str, Any]:
        """Texts; each as how many letters it begins with that the one before has, and the rest."""
        shared, rests, before = [], [], ""
        for text in texts:
            same = 0
            for a, b in zip(text, before, strict=False):
                if a != b or a > "\uffff":
                    break
                same += 1
            shared.append(same)
            rests.append(text[same:])
            before = text
        return {"shared": self.ints(np.array(shared, dtype=np.int64)), "rests": self.json(rests)}

    def values(self, values: Sequence[Any], follows: Ints | None = None) -> dict[str, Any]:
        """Values of any kind: numbers and times as such, others as codes of those that differ.

        `holes` are the places of what is empty or absent.
        """
        if isinstance(values, np.ndarray):
            values = values.tolist()
        kinds = set(map(type, values))
        described: dict[str, Any] = {}
        if not kinds.isdisjoint(_MISSING):
            places = np.array([i for i, one in enumerate(values) if type(one) in _MISSING], dtype=np.int64)
            how = np.array([_MISSING[type(values[i])] for i in places.tolist()], dtype=np.int64)
            described["holes"] = {"place": self.ints(places, delta=True), "absent": self.ints(how)}
            kinds -= _MISSING.keys()
        if kinds == {int}:
            whole = _filled(values, 0)
            if min(whole) >= -SAFE_INT and max(whole) <= SAFE_INT:
                return described | {"kind": "int", **self.ints(np.array(whole), follows=follows)}
        if kinds == {float}:
            return described | self._floats(np.array(_filled(values, 0.0)), follows)
        if kinds and all(issubclass(kind, datetime) for kind in kinds):
            found = self._times(values, follows)
            if found:
                return described | found
        return described | self._coded(values)

    def _floats(self, values: npt.NDArray[np.float64], follows: Ints | None) -> dict[str, Any]:
        if len(values) and np.isfinite(values).all() and not (np.signbit(values) & (values == 0)).any():
            for by in _DECIMALS:  # 12.34 is 1234 / 100, to the last bit
                whole = np.round(values * by)
                if (np.abs(whole) < _EXACT).all() and (whole / by == values).all():
                    return {"kind": "float", "by": by, **self.ints(whole.astype(np.int64), follows=follows)}
        planes = values.astype("<f8").view(np.uint8).reshape(-1, 8).T.tobytes()
        return {"kind": "float", "n": len(values), **self.add(planes)}

    def _times(self, values: Sequence[Any], follows: Ints | None) -> dict[str, Any] | None:
        present = [one for one in values if type(one) not in _MISSING]
        if any(one.utcoffset() is None for one in present):
            return None
        us = [0 if type(one) in _MISSING else plain_us(one) - self.epoch_us for one in values]
        if not -SAFE_INT <= min(us) <= max(us) <= SAFE_INT:
            return None
        return {"kind": "time", **self.ints(np.array(us), follows=follows)}

    def _coded(self, values: Sequence[Any]) -> dict[str, Any]:
        codes: dict[str, int] = {}
        known: dict[Any, int] = {}
        found = []
        for value in values:
            kind = type(value)
            if kind is str or kind is bool:
                code = known.get((kind, value))
                if code is None:
                    code = known[kind, value] = codes.setdefault(text_of(value), len(codes))
            else:
                code = 0 if kind in _MISSING else codes.setdefault(text_of(tree(value)), len(codes))
            found.append(code)
        told = self.add(("[" + ",".join(codes) + "]").encode())
        return {"kind": "coded", "values": told, "count": len(codes), **self.ints(np.array(found, dtype=np.int64))}

    def packed(self, header: dict[str, Any], *, compressed: bool) -> bytes:
        """The header and all columns; what two runs give is equal."""
        head = text_of(header).encode()
        whole = b"".join([len(head).to_bytes(4, "little"), head, *self._parts])
        return gzip.compress(whole, 6, mtime=0) if compressed else whole


def unpacked_header(packed: bytes) -> dict[str, Any]:
    """The header of what `Blob.packed` gave."""
    whole = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    size = int.from_bytes(whole[:4], "little")
    header: dict[str, Any] = json.loads(whole[4 : 4 + size])
    return header


def _planes(values: Ints) -> tuple[dict[str, Any], bytes]:
    """How whole numbers are written in the fewest bytes each, and the bytes."""
    if not len(values):
        return {"width": 0, "base": 0, "unit": 1}, b""
    base = int(values.min())
    above = values - base
    unit = next((unit for unit in _UNITS if not (above % unit).any()), 1) if above.any() else 1
    above //= unit
    width = (int(above.max()).bit_length() + 7) // 8
    planes = above.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].T.tobytes()
    return {"width": width, "base": base, "unit": unit}, planes


def _bits(found: tuple[tuple[dict[str, Any], bytes], dict[str, Any]]) -> float:
    """How many bits a value takes about, once it is compressed."""
    (described, planes), _ = found
    bits = 0.0
    for plane in np.array_split(np.frombuffer(planes, dtype=np.uint8), described["width"] or 1) if planes else ():
        parts = np.bincount(plane) / len(plane)
        parts = parts[parts > 0]
        bits -= float((parts * np.log2(parts)).sum())
    return bits


def _filled(values: Sequence[Any], filler: Any) -> list[Any]:
    return [filler if type(value) in _MISSING else value for value in values]

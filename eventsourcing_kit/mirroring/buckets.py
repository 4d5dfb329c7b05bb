"""In which bucket a key is: a number that depends on the key alone, so that whoever has a key finds it."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_PLAIN = (str, int, float, bool, type(None))


def bucket(key: Any, buckets: int) -> int:
    """The first 8 bytes of SHA-256 of the key as JSON, as a big-endian number, modulo the number of buckets.

    A key that is not plain JSON goes in as a snapshot stores it. Raises `InputError` for one that has no form as JSON.
    """
    text = _encoded(_as_json(key))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") % buckets


of_stream = lru_cache(maxsize=1 << 18)(bucket)  # a log names its streams again and again


def _as_json(key: Any) -> Any:
    if type(key) in _PLAIN:
        return key
    try:
        return to_jsonable_python(key)
    except (ValueError, PydanticSerializationError) as error:
        raise InputError(
            f"the key {shown(key)} cannot be a mirror's: {error}; take a field of text, numbers or ids as the key"
        ) from None


def several(key: Any) -> Iterable[Any]:
    """The keys that a field's value stands for: each member of a list or set, else the value itself."""
    return dict.fromkeys(key) if isinstance(key, (list, set, frozenset)) else (key,)

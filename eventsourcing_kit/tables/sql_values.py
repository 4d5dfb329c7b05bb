"""Values on their way into a table: the SQL type that fits each, the type that fits two of them, arrays to hand over.

A column begins with the narrowest type that holds what is there and is widened when a value comes that it does not
hold: to the next type that keeps every value exactly, in the end to JSON, which keeps any.
"""

from __future__ import annotations

import math
import types
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import numpy as np
import pandas as pd
from pydantic_core import to_json

from eventsourcing_kit.reading import frames
from eventsourcing_kit.records.moment import to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT_FLOAT, _BIGINT, _HUGEINT = 1 << 53, 1 << 63, 1 << 127
_DIGITS = 38


class Kind(NamedTuple):
    """What a column holds; of decimals also how many digits stand before and behind the point."""

    name: str
    whole: int = 0
    scale: int = 0

    @property
    def sql(self) -> str:
        """The column's type in the table."""
        if self.name == "DECIMAL":
            return f"DECIMAL({_DIGITS},{self.scale})"
        return {"NULL": "VARCHAR", "INTEGER": "BIGINT"}.get(self.name, self.name)


NOTHING = Kind("NULL")  # nothing but missing values so far
INTEGER = Kind("INTEGER")  # whole numbers that a float holds exactly
BIGINT = Kind("BIGINT")
HUGEINT = Kind("HUGEINT")
DOUBLE = Kind("DOUBLE")
JSON = Kind("JSON")
TIME = Kind("TIMESTAMP WITH TIME ZONE")
_DECIMAL = Kind("DECIMAL", 1, 2)
_KINDS = {
    bool: Kind("BOOLEAN"), float: DOUBLE, str: Kind("VARCHAR"), date: Kind("DATE"), UUID: Kind("UUID"),
    bytes: Kind("BLOB"), type(None): NOTHING,
}  # fmt: skip
_NARROWER = {INTEGER: (BIGINT, HUGEINT, DOUBLE), BIGINT: (HUGEINT,)}
_AS_DECIMAL = {INTEGER: Kind("DECIMAL", 16), BIGINT: Kind("DECIMAL", 19)}


def wider(a: Kind, b: Kind) -> Kind:
    """The narrowest type that keeps the values of both."""
    if a == b or b is NOTHING or b.name == "NULL":
        return a
    if a.name == "NULL":
        return b
    for one, other in ((a, b), (b, a)):
        if other in _NARROWER.get(one, ()):
            return other
    a, b = _AS_DECIMAL.get(a, a), _AS_DECIMAL.get(b, b)
    if a.name == b.name == "DECIMAL":
        whole, scale = max(a.whole, b.whole), max(a.scale, b.scale)
        return Kind("DECIMAL", whole, scale) if whole + scale <= _DIGITS else JSON
    return JSON


# -- types ------------------------------------------------------------------------------------------------------------


def kind_of_type(annotation: Any) -> Kind:
    """The type for an annotated field; `NOTHING` where only the values will tell."""
    if get_origin(annotation) in (Union, types.UnionType):
        several = {kind_of_type(one) for one in get_args(annotation)} - {NOTHING}
        return several.pop() if len(several) == 1 else NOTHING
    if not isinstance(annotation, type):
        return JSON if get_origin(annotation) in (list, tuple, set, frozenset, dict) else NOTHING
    if issubclass(annotation, Enum) or annotation is object:
        return NOTHING
    if annotation is int:
        return INTEGER
    if issubclass(annotation, Decimal):
        return _DECIMAL
    if issubclass(annotation, datetime):
        return NOTHING  # with a zone or without one
    return _KINDS.get(annotation, JSON)


def kind_of(values: Sequence[Any]) -> Kind:
    """The type for some plain values; None counts for nothing."""
    found = set(map(type, values)) - {type(None)}
    if found == {int}:
        whole = [value for value in values if value is not None]
        return wider(_kind_of_int(min(whole)), _kind_of_int(max(whole)))
    if len(found) == 1 and (single := found.pop()) in _KINDS:
        return _KINDS[single]
    return reduce(wider, sorted({_kind(value) for value in values}), NOTHING)


def _kind(value: Any) -> Kind:
    found = _KINDS.get(type(value))
    if found is not None:
        return found
    if isinstance(value, int):
        return _kind_of_int(value)
    if isinstance(value, Decimal):
        return _kind_of_decimal(value)
    if isinstance(value, datetime):
        return Kind("TIMESTAMP") if value.tzinfo is None else TIME
    return next((kind for cls, kind in _KINDS.items() if isinstance(value, cls)), JSON)


def _kind_of_int(value: int) -> Kind:
    if -_EXACT_FLOAT <= value <= _EXACT_FLOAT:
        return INTEGER
    if -_BIGINT <= value < _BIGINT:
        return BIGINT
    return HUGEINT if -_HUGEINT < value < _HUGEINT else JSON


def _kind_of_decimal(value: Decimal) -> Kind:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        return JSON  # Decimal("NaN") and its like
    kind = Kind("DECIMAL", max(value.adjusted() + 1, 1), max(-exponent, _DECIMAL.scale))
    return kind if kind.whole + kind.scale <= _DIGITS else JSON


# -- values -----------------------------------------------------------------------------------------------------------


def plain(values: list[Any]) -> list[Any]:
    """The values with enums as what they stand for and numpy's numbers as Python's."""
    if all(kind in _KINDS or kind is int for kind in set(map(type, values))):
        return values
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return value.item()
    return None if value is pd.NA or value is pd.NaT else value


def array(values: list[Any], kind: Kind) -> Any:
    """Plain values of a kind as an array that DuckDB takes; `reading` says how SQL reads it."""
    if kind in (INTEGER, BIGINT):
        return frames.nullable(values)
    if kind == TIME:
        return frames.nullable([None if value is None else to_us(value) for value in values])
    if kind.name == "BOOLEAN":
        return pd.array(values, dtype="boolean")
    texts = [pd.NA if value is None else _text(value, kind) for value in values]
    return pd.arrays.StringArray(frames.objects(texts)) if kind != DOUBLE else _floats(values)


def _floats(values: list[Any]) -> Any:
    """DuckDB takes a NaN in an array for a missing value, so such columns are handed over as text."""
    if any(isinstance(value, float) and math.isnan(value) for value in values):
        return frames.strings(frames.objects([pd.NA if value is None else repr(float(value)) for value in values]))
    missing = np.array([value is None for value in values], dtype=bool)
    return pd.arrays.FloatingArray(np.array([0 if value is None else value for value in values], dtype=float), missing)


def reading(kind: Kind) -> str:
    """The SQL expression that reads an array made by `array`; `{}` stands for its name."""
    if kind == TIME:
        return "make_timestamptz({})"
    return "unhex({})" if kind.name == "BLOB" else f"CAST({{}} AS {kind.sql})"


def _text(value: Any, kind: Kind) -> str:
    if kind == JSON:
        return json_text(value)
    if kind.name == "BLOB":
        return bytes(value).hex()
    return str(value) if kind.name != "DECIMAL" else format(Decimal(value), "f")


def json_text(value: Any) -> str:
    """Any value as JSON text: sets in an order of their own, what JSON has no word for as its text."""
    return to_json(
        _ordered(value), inf_nan_mode="strings", bytes_mode="base64", serialize_unknown=True, fallback=str
    ).decode()


def _ordered(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(map(_ordered, value), key=json_text)
    if isinstance(value, dict):
        return {_key_text(key): _ordered(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return [_ordered(one) for one in value]
    return value


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else json_text(key).strip('"')


def widening(column: str, old: Kind, new: Kind) -> str:
    """The SQL expression for a column's values after it was widened."""
    if old.name == "NULL":
        return f"CAST(NULL AS {new.sql})"
    if new != JSON:
        return f"CAST({column} AS {new.sql})"
    if old == DOUBLE:
        odd = f"CASE WHEN isnan({column}) THEN 'NaN' WHEN {column} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        return f"CASE WHEN isfinite({column}) THEN to_json({column}) ELSE to_json({odd}) END"
    if old.name == "BLOB":
        return f"to_json(base64({column}))"
    native = old in (INTEGER, BIGINT) or old.name in ("VARCHAR", "BOOLEAN")
    if old == HUGEINT:
        return f"CAST(CAST({column} AS VARCHAR) AS JSON)"
    return f"to_json({column})" if native else f"to_json(CAST({column} AS VARCHAR))"

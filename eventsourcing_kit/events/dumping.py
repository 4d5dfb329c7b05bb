"""Events on their way to plain JSON: what would read back different is refused, naming event, field and value."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import SURROGATE, shown

if TYPE_CHECKING:
    from eventsourcing_kit.events.schema import Schema

_BYTES_CURE = (
    "; bytes that are no text need model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64') "
    "in the class that holds them"
)


def dump_all(schema: Schema, events: list[Any]) -> list[dict[str, Any]]:
    """The plain JSON of events of one class; refuses, naming event, field and value, what would read back different."""
    columns = schema.plain_columns(events)
    if columns is not None:
        return [dict(zip(schema.plain_names, row, strict=True)) for row in zip(*columns, strict=True)]
    try:
        rows = schema.to_rows(events)
        to_json(rows)
    except InputError:
        raise
    except ValueError:  # pydantic's serialisation errors, lone surrogates and circular references among them
        rows = [_dump(schema, event) for event in events]
    try:
        back = _read_back(schema, rows)
    except Exception:  # pydantic's ValidationError, and whatever a class's own validators may raise
        back = [None] * len(rows)
    for event, row, copy in zip(events, rows, back, strict=True):
        if copy is None or not _same(copy.__dict__, event.__dict__) or not _same_beside(copy, event):
            _refuse(schema, event, row)
    return rows


def _read_back(schema: Schema, rows: list[dict[str, Any]]) -> list[Any]:
    """The events as a reader would get them."""
    if schema.may_be_deep:  # in a record values are nested somewhat deeper than here, and JSON is read to a limit
        from_json(b"[[[[" + to_json(rows) + b"]]]]")
    return schema.from_rows(rows)


def _same(a: object, b: object) -> bool:
    try:
        return bool(a == b)
    except Exception:  # values without a plain equality (arrays) cannot be told to be the same
        return False


def _same_beside(copy: BaseModel, event: BaseModel) -> bool:
    """Whether what stands beside the fields is the same: extra fields and private attributes."""
    private = copy.__pydantic_private__ == event.__pydantic_private__
    return private and copy.__pydantic_extra__ == event.__pydantic_extra__


def _dump(schema: Schema, event: BaseModel) -> dict[str, Any]:
    """One event's row, or an error that names the field."""
    try:
        row = schema.to_rows([event])[0]
        to_json(row)
    except InputError:
        raise
    except ValueError as error:
        field = next((f for f in type(event).model_fields if not _can_dump(event, f)), "?")
        is_bytes = isinstance(error, UnicodeDecodeError) or "invalid utf-8" in str(error)
        why = f"cannot be stored: {error}" + (_BYTES_CURE if is_bytes else "")
        why = SURROGATE if "surrogates not allowed" in str(error) else why
        raise InputError(
            f"{type(event).__name__}.{field} is {shown(getattr(event, field, None))}, which {why}"
        ) from None
    return row


def _can_dump(event: BaseModel, field: str) -> bool:
    try:
        to_json(event.model_dump(mode="json", include={field}, warnings=False))
    except ValueError:
        return False
    return True


def _refuse(schema: Schema, event: BaseModel, row: dict[str, Any]) -> None:
    copy = None
    try:
        copy = _read_back(schema, [row])[0]
        given = event.__dict__ | (event.__pydantic_extra__ or {}) | (event.__pydantic_private__ or {})
        wrong = next((f for f, v in given.items() if not _same(getattr(copy, f, None), v)), "?")
        instead = f"would read back as {shown(getattr(copy, wrong, None))}"
    except ValidationError as error:
        first = error.errors()[0]
        wrong = str(first["loc"][1]) if len(first["loc"]) > 1 else _unreadable(row)
        instead = f"would not read back ({first['msg']})"
    except Exception as error:  # a class's own validators may raise anything
        wrong, instead = _unreadable(row), f"would not read back ({type(error).__name__}: {error})"
    raise InputError(
        f"{schema.name}.{wrong} is {shown(getattr(event, wrong, None))}, which {instead}; "
        + _cure(getattr(event, wrong, None), getattr(copy, wrong, None))
    )


def _unreadable(row: dict[str, Any]) -> str:
    """The first field whose value no JSON reader takes, or else the only one; "?" where that is not known."""
    for name, value in row.items():
        try:
            from_json(b"[[[[[[" + to_json(value) + b"]]]]]]")
        except ValueError:
            return name
    return next(iter(row)) if len(row) == 1 else "?"


def _cure(value: object, copy: object) -> str:
    if isinstance(value, datetime) and isinstance(copy, datetime) and value.tzinfo is not None:
        return "convert it to UTC first: .astimezone(datetime.UTC)"
    return "give the field a type that keeps it (NaN and infinities are never kept)"

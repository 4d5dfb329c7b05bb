"""Event types: the process-wide registry, and data on its way to plain JSON and back.

Strict to write, tolerant to read: what would read back different is refused at the append; when read, new fields take
their defaults and fields that the class no longer has are ignored. What needs more than that, `upcasters` do. The log
is never rewritten.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import re
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo

NAME_BYTES = 1024
DIGITS = 4300  # of a whole number: the most that JSON is read back with
DEPTH = 128
_SHOWN_CHARACTERS = 200
_TOO_LARGE, _TOO_SMALL = 10**DIGITS, -(10**DIGITS)
_BYTES_CURE = (
    "; bytes that are no text need model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64') "
    "in the class that holds them"
)
_KIND = re.compile(r"'type': '([a-z-]+)'")
_PLAIN = {int, str, float, bool, type(None)}
_PLAIN_CONFIG = {"frozen", "extra", "ser_json_bytes", "val_json_bytes", "title"}


class Schema:
    """One registered event type: its name, schema version and class."""

    def __init__(self, cls: type[BaseModel], name: str, version: int) -> None:
        self.cls, self.name, self.version = cls, name, version

    @cached_property
    def _adapter(self) -> TypeAdapter[list[Any]]:
        return TypeAdapter(list[self.cls])  # type: ignore[name-defined]  # a class known only when it runs

    @cached_property
    def _kinds(self) -> frozenset[str]:
        """The kinds of values that its fields admit, by pydantic's names."""
        return frozenset(_KIND.findall(str(self.cls.__pydantic_core_schema__)))

    @cached_property
    def _may_hold_sets(self) -> bool:
        return not self._kinds.isdisjoint(("set", "frozenset", "any", "is-instance"))

    @cached_property
    def may_be_deep(self) -> bool:
        """Whether its values may be nested without end: where it admits any value, or itself within itself."""
        return not self._kinds.isdisjoint(("any", "is-instance", "definition-ref", "json", "function-plain"))

    def to_rows(self, events: list[Any]) -> list[dict[str, Any]]:
        """Plain JSON rows of event objects; raises a ValueError where there is no such row."""
        rows: list[dict[str, Any]] = self._adapter.dump_python(events, mode="json", exclude_computed_fields=True)
        if self._may_hold_sets:
            return [_in_order(event, row) for event, row in zip(events, rows, strict=True)]
        return rows

    @property
    def fields(self) -> list[str]:
        """The class's field names, in their order."""
        return list(self.cls.model_fields)

    @cached_property
    def taken(self) -> frozenset[str] | None:
        """The names under which the class takes a stored field; None where it takes any."""
        if self.cls.model_config.get("extra") == "allow":
            return None
        return frozenset(name for field, info in self.cls.model_fields.items() for name in _names_of(field, info))

    def from_rows(self, rows: Sequence[dict[str, Any]], *, strict_fields: bool = False) -> list[Any]:
        """Event objects of plain JSON rows; raises pydantic's ValidationError, whose first `loc` is the row.

        Unknown fields are ignored, unless `strict_fields` leaves them to the class.
        """
        lenient = not strict_fields and self.cls.model_config.get("extra") != "allow"
        extra: Literal["ignore"] | None = "ignore" if lenient else None
        with paused_gc():
            return self._adapter.validate_json(
                to_json(rows, inf_nan_mode="null"), extra=extra, by_name=True, by_alias=True
            )

    def misfits(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """Which of the rows, counted from 0, are none of the class's events."""
        try:
            self.from_rows(rows)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            return list(dict.fromkeys(int(one["loc"][0]) for one in details))
        return []

    @cached_property
    def _plain_fields(self) -> dict[str, frozenset[type]] | None:
        """The types of each field, where the values of objects and stored values are the same: plain types and unions
        of them, in a class without code or settings of its own. None for any other class."""
        infos = self.cls.model_fields.values()
        own_settings = not _PLAIN_CONFIG.issuperset(self.cls.model_config) or self.cls.model_config["extra"] == "allow"
        if own_settings or self._has_code or any(info.metadata or info.exclude for info in infos):
            return None
        found = {name: _plain_types(info.annotation) for name, info in self.cls.model_fields.items()}
        return found if all(found.values()) else None

    @property
    def _has_code(self) -> bool:
        decorators = self.cls.__pydantic_decorators__
        decorated = [getattr(decorators, kind.name) for kind in dataclasses.fields(decorators)]
        own = ("__init__", "model_post_init", "__iter__", "__eq__", "__getattribute__")
        custom = any(getattr(self.cls, name) is not getattr(BaseModel, name) for name in own)
        hooks = ("__get_pydantic_core_schema__", "model_construct")
        custom |= any(getattr(self.cls, name).__func__ is not getattr(BaseModel, name).__func__ for name in hooks)
        return custom or any(decorated) or bool(self.cls.__private_attributes__)

    def is_plain(self, stored: dict[str, list[Any]]) -> bool:
        """Whether columns of stored values are, without a look at the class's code, the values of its objects."""
        allowed = self._plain_fields
        if allowed is None or not stored.keys() >= allowed.keys():
            return False
        return all(kinds.issuperset(map(type, stored[name])) for name, kinds in allowed.items())

    def plain_objects(self, stored: dict[str, list[Any]]) -> list[Any] | None:
        """Event objects of columns of stored values that need no look by pydantic; None where they do."""
        if not self._plain_fields or not self.is_plain(stored):
            return None
        names = tuple(self._plain_fields)
        rows = zip(*(stored[name] for name in names), strict=True)
        with paused_gc():
            return [_unchecked(self.cls, dict(zip(names, row))) for row in rows]  # noqa: B905  # "strict" takes time

    def plain_rows(self, events: list[Any]) -> list[dict[str, Any]] | None:
        """The rows of objects whose values read back equal as they are; None where that takes a closer look."""
        if not self._plain_fields:
            return None
        rows = [dict(event.__dict__) for event in events]
        names = tuple(self._plain_fields)
        if any(tuple(row) != names for row in rows):
            return None
        columns = zip(names, zip(*(row.values() for row in rows), strict=True), strict=True)
        if not self.is_plain({name: list(values) for name, values in columns}):
            return None
        try:
            return rows if from_json(to_json(rows), allow_inf_nan=False) == rows else None
        except ValueError:
            return None


_slots = vars(BaseModel)
_set_values = _slots["__dict__"].__set__
_set_fields_set = _slots["__pydantic_fields_set__"].__set__
_set_extra, _set_private = _slots["__pydantic_extra__"].__set__, _slots["__pydantic_private__"].__set__


def _unchecked(cls: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """`cls.model_construct(**values)` with all fields given, in a quarter of its time."""
    made = cls.__new__(cls)
    _set_values(made, values)
    _set_fields_set(made, set(values))
    _set_extra(made, None)
    _set_private(made, None)
    return made


def _names_of(field: str, info: FieldInfo) -> Iterator[str]:
    yield field
    alias = info.validation_alias
    for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        first = one.path[0] if isinstance(one, AliasPath) else one
        if isinstance(first, str):
            yield first


def _plain_types(annotation: Any) -> frozenset[type]:
    """The plain types that an annotation admits; none where it admits any other."""
    is_union = get_origin(annotation) in (Union, UnionType)
    kinds = frozenset(get_args(annotation) if is_union else (annotation,))
    return kinds if kinds <= _PLAIN else frozenset()


_registry: dict[str, Schema] = {}
_generation = 0


def register(cls: type[BaseModel], name: str, version: int) -> Schema:
    """Make `cls` the class of the event type `name`; the newest definition counts, so cells can be run again."""
    check_version(name, version)
    _registry[name] = schema = Schema(cls, name, version)
    changed()
    return schema


def check_version(name: object, version: object) -> None:
    """Refuse what cannot be a type's name and its schema version."""
    check_name(name, "an event type")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(f"the schema version of {name!r} must be a whole number from 1, not {version!r}")


def every() -> list[Schema]:
    """All registered types, in the order in which they were first defined."""
    return list(_registry.values())


def changed() -> None:
    """Something was defined by which stored events may read differently from now on."""
    global _generation
    _generation += 1


def generation() -> int:
    """A number that grows with each such definition: states that were folded before it may be out of date."""
    return _generation


def registered(name: str) -> Schema | None:
    """The schema of an event type, or None where no class is registered for it."""
    return _registry.get(name)


def check_name(name: object, what: str) -> str:
    """`name`, if it can name a stream or a type; `what` says which in the error."""
    if not isinstance(name, str) or not name:
        raise InputError(f"{what} is named by text that is not empty, not by {name!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InputError(f"{what}'s name {name!r} has a lone surrogate, which no text can hold; remove it") from None
    if size > NAME_BYTES:
        raise InputError(f"{what}'s name {name[:40]!r}… takes {size} bytes; {NAME_BYTES} is the most, so shorten it")
    return name


def plain_json(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of `value`, if it is plain JSON and reads back equal; `where` names the place in the error."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value, where)
    if isinstance(value, int):
        if not _TOO_SMALL < value < _TOO_LARGE:
            raise InputError(f"{where} is a number of more than {DIGITS} digits, which is too long; store it as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where} is {value!r}, which JSON cannot hold; leave the field out, or use None")
        return float(value)
    if depth > DEPTH:
        raise InputError(f"{where} is nested deeper than {DEPTH} levels; store it flatter, or as text")
    if isinstance(value, list):
        return [plain_json(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {_plain_key(k, where): plain_json(item, f"{where}.{k}", depth + 1) for k, item in value.items()}
    raise InputError(
        f"{where} is {shown(value)} of type {type(value).__name__}, which would not read back equal from plain JSON; "
        "convert it, or give the event a class (class X(ek.Event)) with a typed field"
    )


def _plain_text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where} is {shown(value)}, which has a lone surrogate; remove it") from None
    return str(value)


def _plain_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise InputError(f"{where} has the key {key!r}; the keys of plain JSON are text, so write {str(key)!r}")
    return _plain_text(key, f"a key of {where}")


def shown(value: object) -> str:
    """A value in an error: what was given may be huge, or nested too deep even for its repr."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deep to show"
    except Exception:  # a repr of its own may raise anything, and Python writes out no number of over 4300 digits
        return f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def dump_all(schema: Schema, events: list[Any]) -> list[dict[str, Any]]:
    """The plain JSON of events of one class; refuses, naming event, field and value, what would read back different."""
    plain = schema.plain_rows(events)
    if plain is not None:
        return plain
    try:
        rows = schema.to_rows(events)
        to_json(rows)
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
    except ValueError as error:
        field = next((f for f in type(event).model_fields if not _can_dump(event, f)), "?")
        is_bytes = isinstance(error, UnicodeDecodeError) or "invalid utf-8" in str(error)
        raise InputError(
            f"{type(event).__name__}.{field} is {shown(getattr(event, field, None))}, which cannot be stored: {error}"
            + (_BYTES_CURE if is_bytes else "")
        ) from None
    return row


def _can_dump(event: BaseModel, field: str) -> bool:
    try:
        to_json(event.model_dump(mode="json", include={field}))
    except ValueError:
        return False
    return True


def _in_order(value: Any, dumped: Any) -> Any:
    """Sets iterate in another order in every process; sorted, the same event gives the same bytes."""
    if isinstance(value, (set, frozenset)):
        return sorted(dumped, key=to_json)
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        return {name: _in_order(getattr(value, name, None), inner) for name, inner in dumped.items()}
    if isinstance(value, dict) and isinstance(dumped, dict) and len(value) == len(dumped):
        return {k: _in_order(one, inner) for one, (k, inner) in zip(value.values(), dumped.items(), strict=True)}
    if isinstance(value, (list, tuple)) and isinstance(dumped, list) and len(value) == len(dumped):
        return [_in_order(one, inner) for one, inner in zip(value, dumped, strict=True)]
    return dumped


def _refuse(schema: Schema, event: BaseModel, row: dict[str, Any]) -> None:
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
        + _cure(getattr(event, wrong, None))
    )


def _unreadable(row: dict[str, Any]) -> str:
    """The first field whose value no JSON reader takes, or else the only one; "?" where that is not known."""
    for name, value in row.items():
        try:
            from_json(b"[[[[[[" + to_json(value) + b"]]]]]]")
        except ValueError:
            return name
    return next(iter(row)) if len(row) == 1 else "?"


def _cure(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return "convert it to UTC first: .astimezone(datetime.UTC)"
    return "give the field a type that keeps it (NaN and infinities are never kept)"


def copy_json(value: Any) -> Any:
    """A deep copy of plain JSON."""
    if type(value) is dict and _PLAIN.issuperset(map(type, value.values())):
        return value.copy()
    return from_json(to_json(value))


@contextmanager
def paused_gc() -> Iterator[None]:
    """Bulk work makes many objects and no cycles: walks over them would take longer than the work."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

"""Event types: the process-wide registry, and data on its way to plain JSON and back.

Strict to write, tolerant to read: what would read back different is refused at the append; when read, new fields take
their defaults and fields that the class no longer has are ignored. What needs more than that, `upcasters` do. The log
is never rewritten.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from functools import cached_property
from operator import attrgetter
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import hints, tags
from eventsourcing_kit.events.json_values import (
    PLAIN_TYPES,
    check_name,
    in_order,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

_KIND = re.compile(r"'type': '([a-z-]+)'")
_PLAIN_CONFIG = {"frozen", "extra", "ser_json_bytes", "val_json_bytes", "title"}


class Schema:
    """One registered event type: its name, schema version and class."""

    def __init__(self, cls: type[BaseModel], name: str, version: int) -> None:
        self.cls, self.name, self.version = cls, name, version
        self.newest_as_of = -1  # the generation as of which it was known to be its type's newest

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
        rows: list[dict[str, Any]] = self._adapter.dump_python(
            events, mode="json", exclude_computed_fields=True, warnings=False
        )
        if wrong := [row for row in rows if not isinstance(row, dict)]:
            raise InputError(
                f"the class {self.cls.__name__} serializes an event as {shown(wrong[0])}, which is no dict of fields; "
                "have its model_serializer return a dict, or leave it out"
            )
        if self._may_hold_sets:
            return [in_order(event, row) for event, row in zip(events, rows, strict=True)]
        return rows

    @property
    def fields(self) -> list[str]:
        """The class's field names, in their order."""
        return list(self.cls.model_fields)

    @cached_property
    def tag_fields(self) -> tuple[str, ...]:
        """The fields that make tags."""
        return tags.fields_of(self.cls)

    def tags_of(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """The tags that the values of an event's fields make, as its object has them or as they are stored."""
        return tags.of(self.name, self.tag_fields, values) if self.tag_fields else ()

    @property
    def required(self) -> frozenset[str]:
        """The fields that have no default."""
        return frozenset(name for name, info in self.cls.model_fields.items() if info.is_required())

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
        return self._adapter.validate_json(to_json(rows, inf_nan_mode="null"), extra=extra, by_name=True, by_alias=True)

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
        config = self.cls.model_config
        own_settings = not _PLAIN_CONFIG.issuperset(config) or config.get("extra") == "allow"
        marked: tuple[list[Any], ...] = ([], [tags.MARK])
        if own_settings or self._has_code or any(info.metadata not in marked or info.exclude for info in infos):
            return None
        found = {name: _plain_types(info.annotation) for name, info in self.cls.model_fields.items()}
        return found if all(found.values()) else None

    @cached_property
    def plain_names(self) -> tuple[str, ...]:
        """The names of a plain class's fields."""
        return tuple(self._plain_fields or ())

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
        return all(kinds.issuperset(_kinds_of(stored[name])) for name, kinds in allowed.items())

    def completed(self, given: Mapping[str, tuple[Any, Any]], count: int) -> dict[str, list[Any]] | None:
        """Columns of cells, and which of them are there, as columns of the class's values, defaults filled in.

        None where that takes a look by pydantic.
        """
        allowed = self._plain_fields
        if allowed is None or not given.keys() <= allowed.keys():
            return None
        columns: dict[str, list[Any]] = {}
        for name, info in self.cls.model_fields.items():
            cells, there = given.get(name, (None, None))
            if cells is not None and there.all():
                columns[name] = cells.tolist()
            elif info.is_required() or info.default_factory is not None:
                return None
            elif cells is None:
                columns[name] = [info.default] * count
            else:
                columns[name] = [
                    v if ok else info.default for v, ok in zip(cells.tolist(), there.tolist(), strict=True)
                ]
        return columns if self.is_plain(columns) else None

    def plain_objects(self, stored: dict[str, list[Any]]) -> Iterator[Any] | None:
        """Event objects of columns of stored values that need no look by pydantic; None where they do.

        Each is made when it is asked for, so that one that is done with is gone before the next is there.
        """
        if not self._plain_fields or not self.is_plain(stored):
            return None
        return map(self._unchecked, zip(*(stored[name] for name in self._plain_fields), strict=True))

    @cached_property
    def _unchecked(self) -> Callable[[tuple[Any, ...]], BaseModel]:
        """`cls.model_construct(…)` with the values of all fields, in a fifth of its time."""
        cls, names = self.cls, self.plain_names
        every = set(names)

        def made(values: tuple[Any, ...]) -> BaseModel:
            one = cls.__new__(cls)
            _set_values(one, dict(zip(names, values)))  # noqa: B905  # "strict" takes time
            _set_fields_set(one, every.copy())
            _set_extra(one, None)
            _set_private(one, None)
            return one

        return made

    def plain_columns(self, events: list[Any]) -> list[list[Any]] | None:
        """The values of objects that read back equal as they are, one list a field of `plain_names`.

        None where that takes a closer look.
        """
        allowed = self._plain_fields
        if not allowed:
            return None
        values = list(map(_values, events))
        if set(map(tuple, values)) != {self.plain_names}:
            return None
        columns = list(map(list, zip(*map(dict.values, values), strict=True)))
        for kinds, column in zip(allowed.values(), columns, strict=True):
            if not kinds.issuperset(map(type, column)):
                return None
        try:
            return columns if from_json(to_json(columns), allow_inf_nan=False) == columns else None
        except ValueError:
            return None


_slots = vars(BaseModel)
_values = attrgetter("__dict__")
_set_values = _slots["__dict__"].__set__
_set_fields_set = _slots["__pydantic_fields_set__"].__set__
_set_extra, _set_private = _slots["__pydantic_extra__"].__set__, _slots["__pydantic_private__"].__set__


def _kinds_of(values: Any) -> Iterable[type]:
    """The types of values; columns that were stored with theirs (see `mirroring.columns`) know them without a look."""
    known: frozenset[type] | None = getattr(values, "kinds", None)
    return map(type, values) if known is None else known


def _names_of(field: str, info: FieldInfo) -> Iterator[str]:
    yield field
    alias = info.validation_alias
    for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        first = one.path[0] if isinstance(one, AliasPath) else one
        if isinstance(first, str):
            yield first


def _unmarked(annotation: Any) -> Any:
    """The type that an `ek.Tag` is of."""
    return get_args(annotation)[0] if getattr(annotation, "__metadata__", ()) == (tags.MARK,) else annotation


def _plain_types(annotation: Any) -> frozenset[type]:
    """The plain types that an annotation admits; none where it admits any other."""
    is_union = get_origin(annotation) in (Union, UnionType)
    kinds = frozenset(map(_unmarked, get_args(annotation) if is_union else (annotation,)))
    return kinds if kinds <= PLAIN_TYPES else frozenset()


OWN_NAME_CURE = "where they are two things, give one a type of its own: class X(ek.Event, type='other.X')"
registry: dict[str, Schema] = {}
_generation = 0


def register(cls: type[BaseModel], name: str, version: int) -> Schema:
    """Make `cls` the class of the event type `name`; the newest definition counts, so cells can be run again."""
    check_version(name, version)
    older = registry.get(name)
    if older is not None and home(older.cls) != home(cls):
        hints.warn_once(
            f"the event type {name!r} named the class of the module {older.cls.__module__}, and from now on names that "
            f"of {cls.__module__}, which reads the events of both; {OWN_NAME_CURE}"
        )
    registry[name] = schema = Schema(cls, name, version)
    changed()
    return schema


def home(cls: type) -> str:
    """Where a class is defined: its module's file, or the module where that has none, as a notebook's."""
    return str(getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__)


def check_version(name: object, version: object) -> None:
    """Refuse what cannot be a type's name and its schema version."""
    if check_name(name, "an event type") == "*":
        raise InputError("'*' stands for every event type where types are asked for; give this one a name of its own")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(f"the schema version of {name!r} must be a whole number from 1, not {version!r}")


def every() -> list[Schema]:
    """All registered types, in the order in which they were first defined."""
    return list(registry.values())


def changed() -> None:
    """Something was defined by which stored events may read differently from now on."""
    global _generation
    _generation += 1


def generation() -> int:
    """A number that grows with each such definition: states that were folded before it may be out of date."""
    return _generation


def registered(name: str) -> Schema | None:
    """The schema of an event type, or None where no class is registered for it."""
    return registry.get(name)

"""What an event is about besides its stream: tags, as fields of its class give them and as people do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import chain
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TAGS, MOST_BYTES = 10_000, 1000  # of an event, of a tag
_TAKEN = (str, int, UUID)  # bool is an int
_SEVERAL = (list, tuple, set, frozenset)
T = TypeVar("T")


class _Mark:
    """Marks a type whose values make tags."""

    def __repr__(self) -> str:
        return "ek.Tag"


MARK = _Mark()

if TYPE_CHECKING:
    Tag = Annotated[T, MARK]
else:

    class Tag:
        """The type of a field that makes a tag: `course: ek.Tag[str]` of "c1" makes "course:c1".

        Of text, whole numbers, UUIDs and bools; None makes none, and a list, tuple, set or frozenset of them several.
        Raises `InputError` at the class where no tag could be made of a field.

        >>> import eventsourcing_kit as ek
        >>> class SeatTaken(ek.Event):
        ...     student: ek.Tag[str]
        ...     courses: list[ek.Tag[int]]
        >>> store = ek.EventStore()
        >>> store.append("seat-1", SeatTaken(student="s1", courses=[7, 8])).events[0].tags
        ('student:s1', 'courses:7', 'courses:8')
        """

        def __class_getitem__(cls, item):
            return Annotated[item, MARK]

        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler):
            raise InputError("ek.Tag alone says not of what; write ek.Tag[str], or ek.Tag[int], ek.Tag[uuid.UUID], …")


def kind(tag: str) -> str:
    """What precedes the first `:` of a tag; the whole tag where there is none."""
    return tag.partition(":")[0]


def check(tag: object, where: str) -> str:
    """`tag`, if it is one; `where` says whose it is in the error."""
    if not isinstance(tag, str) or not tag:
        raise InputError(f"{where} is {tag!r}, which is no tag; tags are text that is not empty, as 'course:c1'")
    try:
        size = len(tag.encode())
    except UnicodeEncodeError:
        raise InputError(f"{where} is {tag!r}, which has a lone surrogate; remove it") from None
    if size > MOST_BYTES:
        raise InputError(f"{where} is {tag[:40]!r}…, of {size} bytes; a tag takes {MOST_BYTES} at most, so shorten it")
    return tag


def given(tags: object, where: str) -> tuple[str, ...]:
    """Several tags as people give them, each once; `where` says whose they are in the error."""
    if tags is None:
        return ()
    if isinstance(tags, (str, bytes, Mapping)) or not isinstance(tags, Iterable):
        raise InputError(f"{where} are {tags!r}; give a list of text, as ['course:c1']")
    found = [check(one, f"one of {where}") for one in tags]
    return joined(sorted(found) if isinstance(tags, (set, frozenset)) else found, (), where)


def joined(own: Sequence[str], more: Sequence[str], where: str) -> tuple[str, ...]:
    """All of both, each at its first place."""
    found = tuple(dict.fromkeys((*own, *more)))
    if len(found) > MOST_TAGS:
        raise InputError(f"{where} are {len(found)}; an event has {MOST_TAGS} at most, so split it into several")
    return found


# -- the tags that a class gives --------------------------------------------------------------------------------------


def fields_of(cls: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a class that make tags; raises `InputError` where one stands where none would be made of it."""
    return tuple(
        name
        for name, info in cls.model_fields.items()
        if _makes_tags(info.annotation, MARK in info.metadata, f"{cls.__name__}.{name}")
    )


def of(type_: str, fields: Sequence[str], values: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags that these fields of an event make, in their order; `type_` names the event in an error."""
    found: list[str] = []
    for field in fields:
        value, where = values.get(field), f"{type_}.{field}"
        made = (value,) if type(value) is str else _texts(value, where)
        found += [check(f"{field}:{text}", f"the tag of {where}") for text in made]
    return joined(found, (), f"the tags of {type_}") if len(found) > 1 else tuple(found)


def _texts(value: Any, where: str) -> Iterable[str]:
    """A value as the texts that stand behind the field's name; none for None, several for several."""
    if value is None:
        return ()
    if isinstance(value, _SEVERAL):
        texts = chain.from_iterable(_texts(one, where) for one in value)
        return sorted(texts) if isinstance(value, (set, frozenset)) else texts
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, int) and abs(value) < 10**MOST_BYTES:
        return (int.__str__(value),)
    if isinstance(value, UUID):
        return (str(value),)
    if isinstance(value, str):
        return (str.__str__(value),)
    raise InputError(
        f"{where} is {shown(value)}, of which no tag can be made; ek.Tag[…] takes text, whole numbers of up to "
        f"{MOST_BYTES} digits, UUIDs and bools"
    )


def _makes_tags(annotation: Any, is_marked: bool, where: str) -> bool:
    """Whether a field's values make tags."""
    annotation, is_marked = _bare(annotation, is_marked)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        made = {_makes_tags(one, is_marked, where) for one in inner if one is not NoneType}
        if len(made) > 1:
            raise InputError(f"{where} makes a tag of some of its types and none of others; mark all of them, or none")
        return made == {True}
    if origin in _SEVERAL and not is_marked:
        made = {_makes_tags(one, False, where) for one in inner if one is not Ellipsis}
        return True in made
    if is_marked:
        values = inner if origin is Literal else ()
        if all(isinstance(one, (*_TAKEN, NoneType)) for one in values) if values else _can_be_taken(annotation):
            return True
        cure = f"; for several write {origin.__name__}[ek.Tag[…]]" if origin in _SEVERAL else ""
        raise InputError(
            f"{where} is an ek.Tag of {annotation!r}; tags are made of text (str), int, uuid.UUID and bool{cure}"
        )
    if _hides_a_mark(annotation, set()):
        raise InputError(
            f"{where} has an ek.Tag[…] of which no tag would be made: it stands within {shown_type(annotation)}; mark "
            "the event's own field, or the members of its list, tuple, set or frozenset, or give NewEvent its tags="
        )
    return False


def _bare(annotation: Any, is_marked: bool) -> tuple[Any, bool]:
    """An annotation without what is said about it, and whether that marks it."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *said = get_args(annotation)
            is_marked |= MARK in said
        elif hasattr(annotation, "__supertype__"):  # a NewType
            annotation = annotation.__supertype__
        else:
            return annotation, is_marked


def _can_be_taken(annotation: Any) -> bool:
    """Whether a marked type may make tags; where it is not known yet, the values tell."""
    if not isinstance(annotation, type):
        return isinstance(annotation, TypeVar)
    return issubclass(annotation, (*_TAKEN, NoneType))


def _hides_a_mark(annotation: Any, seen: set[Any]) -> bool:
    """Whether a mark stands anywhere within a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in seen:
            return False
        seen.add(annotation)
        fields = annotation.model_fields.values()
        return any(MARK in info.metadata or _hides_a_mark(info.annotation, seen) for info in fields)
    annotation, is_marked = _bare(annotation, False)
    return is_marked or any(_hides_a_mark(one, seen) for one in get_args(annotation))


def shown_type(annotation: Any) -> str:
    """A type as people write it."""
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else repr(annotation)

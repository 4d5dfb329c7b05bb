"""Declared folds: fields of a state that are named, not written as handlers. This module is their definition.

    fold            initial   step, with a value v of an event          shown as
    total, count    0         s + v (count: s + 1; what a difference subtracts: s - v)
    first           nothing   s, or v where nothing was there yet       None for nothing
    last            nothing   v                                         None for nothing
    smallest        nothing   v where it is less than s, else s         None for nothing
    largest         nothing   v where it is greater than s, else s      None for nothing
    mean            (0, 0)    (s[0] + v, s[1] + 1)                      s[0] / s[1]; None for nothing
    distinct        no value  s with v, where no equal value is there   the number of values
    collect         no value  s, and v behind                           a tuple

An event that lacks the field is passed over, and so is a null one, except by `first` and `last`, which take a null that
is there. Numbers are int, float and Decimal, added in the log's order as Python adds them: a bool counts as 0 or 1, an
int and a float give a float, and a float and a Decimal are an error. Values are equal where Python's `==` says so (1,
1.0 and True are one value); of equal ones the first stays.

Handlers made from these steps are the reference: folds over columns give the same values, of the same types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import renames, wanted
from eventsourcing_kit.events.event import Event, Types
from eventsourcing_kit.events.json_values import shown

MISSING = object()


@dataclass(frozen=True, slots=True)
class Term:
    """Which events give a fold a value, and which value: that of a field, or a constant where `field` is None."""

    types: tuple[str, ...]
    field: str | None
    constant: Any = None
    where: tuple[tuple[str, Any], ...] = ()
    sign: int = 1

    def value(self, data: Any) -> Any:
        """An event's value; `MISSING` where it has none."""
        for name, needed in self.where:
            found = of_field(data, name)
            if found is MISSING or not bool(found == needed):
                return MISSING
        return self.constant if self.field is None else of_field(data, self.field)

    @property
    def fields(self) -> list[str]:
        """The fields of an event that it looks at."""
        return [name for name, _ in self.where] + ([] if self.field is None else [self.field])


def of_field(data: Any, name: str) -> Any:
    """A field of an event's data; `MISSING` where a fact without a class lacks it."""
    if isinstance(data, dict):
        return data.get(name, MISSING)
    try:
        return getattr(data, name)
    except AttributeError:
        raise AttributeError(f"{type(data).__name__} has no field {name!r}") from None


class Steps(NamedTuple):
    """What a kind of fold does. A state may be changed in place by `step`; what `show` gives is not."""

    initial: Callable[[], Any]
    step: Callable[[Any, Any], Any]
    show: Callable[[Any], Any]
    takes_null: bool = False


def _number(value: Any) -> Any:
    if isinstance(value, (int, float, Decimal)):
        return value
    raise TypeError(f"{shown(value)} is no number")


def _subtract(state: Any, value: Any) -> Any:
    return state - _number(value)


def _mean(state: list[Any], value: Any) -> list[Any]:
    return [state[0] + _number(value), state[1] + 1]


def _distinct(state: set[Any], value: Any) -> set[Any]:
    state.add(frozen(value))
    return state


def _collect(state: list[Any], value: Any) -> list[Any]:
    state.append(value)
    return state


def frozen(value: Any) -> Any:
    """Something hashable that is equal for equal values."""
    if isinstance(value, Mapping):
        return "a dict", frozenset((name, frozen(one)) for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(frozen, value))
    return frozenset(value) if isinstance(value, set) else value


def _held(state: list[Any]) -> Any:
    return state[0] if state else None


STEPS: dict[str, Steps] = {
    "total": Steps(int, lambda state, value: state + _number(value), lambda state: state),
    "first": Steps(list, lambda state, value: state or [value], _held, takes_null=True),
    "last": Steps(list, lambda _, value: [value], _held, takes_null=True),
    "smallest": Steps(list, lambda state, value: state if state and not value < state[0] else [value], _held),
    "largest": Steps(list, lambda state, value: state if state and not value > state[0] else [value], _held),
    "mean": Steps(lambda: [0, 0], _mean, lambda state: state[0] / state[1] if state[1] else None),
    "distinct": Steps(set, _distinct, len),
    "collect": Steps(list, _collect, tuple),
}


@dataclass(frozen=True, slots=True)
class Declared:
    """One field's fold, as the functions of `ek.fold` make it; totals and counts can be added and subtracted."""

    kind: str
    terms: tuple[Term, ...]

    def __add__(self, other: Declared) -> Declared:
        return self._with(other, 1, "+")

    def __sub__(self, other: Declared) -> Declared:
        return self._with(other, -1, "-")

    def _with(self, other: object, sign: int, sign_text: str) -> Declared:
        if self.kind != "total" or not isinstance(other, Declared) or other.kind != "total":
            met = other.kind if isinstance(other, Declared) else shown(other)
            raise InputError(
                f"{self.kind} {sign_text} {met} is no fold: only totals and counts can be added and subtracted"
            )
        return Declared("total", self.terms + tuple(replace(term, sign=sign * term.sign) for term in other.terms))

    @property
    def steps(self) -> Steps:
        """What it does with a value."""
        return STEPS[self.kind]


def terms(types: Types | Mapping[Any, Any], field: str | None, where: Mapping[str, Any] | None) -> tuple[Term, ...]:
    """One term for types and their field; of a mapping from types to constants one each, without a field."""
    conditions = _conditions(where)
    if isinstance(types, Mapping):
        if field is not None or not types:
            raise InputError("a mapping from event types to values needs a type at least, and takes no field beside it")
        return tuple(_term(one, None, value, conditions) for one, value in types.items())
    if not isinstance(field, str) or not field:
        raise InputError(f"the field is {field!r}; give the name of the field whose value is taken")
    return (_term(types, field, None, conditions),)


def _conditions(where: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    if where is not None and (not isinstance(where, Mapping) or not all(isinstance(name, str) for name in where)):
        raise InputError(f"where is {where!r}; give a dict of fields and the values that they must have")
    return tuple((where or {}).items())


def constant_term(types: Types, value: Any, where: Mapping[str, Any] | None) -> tuple[Term, ...]:
    """One term that gives a constant for each event of some types."""
    return (_term(types, None, value, _conditions(where)),)


def _term(types: Any, field: str | None, constant: Any, where: tuple[tuple[str, Any], ...]) -> Term:
    names = wanted.names(types)
    if not names:
        raise InputError("a fold takes the event types whose events it folds, one or several")
    term = Term(tuple(names), field, constant, where)
    several = types if isinstance(types, (list, tuple, set, frozenset)) else [types]
    for cls in several:
        if isinstance(cls, type) and issubclass(cls, Event):
            _check_fields(cls, term.fields)
    return term


def _check_fields(cls: type[Event], fields: list[str]) -> None:
    if cls.model_config.get("extra") == "allow":
        return
    for name in fields:
        if not hasattr(cls, name) and name not in cls.model_fields and name not in cls.model_computed_fields:
            raise InputError(f"{cls.__name__} has no field {name!r}; it has {sorted(cls.model_fields)}")


class Fields:
    """The declared folds of a projection, by the fields of its state, and the types that end a key.

    While it is folded, a state is a list with what each fold's steps hold; `show` makes the dict that people see.
    """

    def __init__(self, fields: object, ends: Types | None) -> None:
        if not isinstance(fields, Mapping) or not fields:
            raise InputError(f"fields is {fields!r}; give a dict with at least one field, made by ek.fold")
        for name, fold in fields.items():
            if not isinstance(name, str) or not name or not isinstance(fold, Declared):
                raise InputError(
                    f"the field {name!r} is {fold!r}; a field has a name and a fold: ek.fold.total(MoneyDeposited, "
                    "'amount')"
                )
        self.folds: dict[str, Declared] = dict(fields)
        self.ends = [] if ends is None else wanted.names(ends)
        self.terms = [(fold, term) for fold in self.folds.values() for term in fold.terms]

    @property
    def names(self) -> list[str]:
        """The types that are named, as they were given."""
        return list(dict.fromkeys([*(name for _, term in self.terms for name in term.types), *self.ends]))

    @property
    def parts(self) -> list[Any]:
        """What makes them, for a fingerprint."""
        every = [
            (name, fold.kind, [(one.types, one.field, one.constant, one.where, one.sign) for one in fold.terms])
            for name, fold in self.folds.items()
        ]
        return [*every, self.ends]

    def initial(self) -> list[Any]:
        """What the steps begin with."""
        return [fold.steps.initial() for fold in self.folds.values()]

    def show(self, state: list[Any]) -> dict[str, Any]:
        """A state as people see it."""
        return {name: fold.steps.show(own) for (name, fold), own in zip(self.folds.items(), state, strict=True)}

    def ends_with(self, type_: str) -> bool:
        """Whether an event of a type ends its key."""
        return _covers(self.ends, type_)

    def covered(self, type_: str) -> list[int]:
        """Which of `terms` an event of a type may give a value."""
        return [number for number, (_, term) in enumerate(self.terms) if _covers(term.types, type_)]

    def handler(self, type_: str) -> Callable[[list[Any], Any], list[Any]]:
        """The steps as the handler of a type's events; it changes the list that it is given."""
        covered = [self.terms[number][1] for number in self.covered(type_)]
        actions = [
            (slot, name, _subtract if term.sign < 0 else fold.steps.step, fold.steps.takes_null, term)
            for slot, (name, fold) in enumerate(self.folds.items())
            for term in fold.terms
            if any(term is one for one in covered)
        ]

        def declared_fields(state: list[Any], data: Any) -> list[Any]:
            for slot, name, step, takes_null, term in actions:
                value = term.value(data)
                if value is MISSING or (value is None and not takes_null):
                    continue
                try:
                    state[slot] = step(state[slot], value)
                except (TypeError, ArithmeticError) as error:
                    of = "a constant" if term.field is None else f"field {term.field!r}"
                    raise TypeError(f"{of} cannot go into {name!r}: {error}") from error
            return state

        return declared_fields


def _covers(names: Iterable[str], type_: str) -> bool:
    meant = {wanted.EVERY_TYPE, *wanted.lineage(type_)}
    return any(name in meant or renames.current(name) in meant for name in names)

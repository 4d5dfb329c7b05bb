"""Is a projection idempotent, does it depend on the order? Tried with duplicates and permutations of events."""

from __future__ import annotations

import copy
import itertools
import random
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError, ProjectionError
from eventsourcing_kit.folding import difference
from eventsourcing_kit.folding.replay import Fact, fold_facts
from eventsourcing_kit.lessons.specification import store_of
from eventsourcing_kit.records.moment import to_us
from eventsourcing_kit.writing.decider import Decider, projection_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.lessons.specification import Given

_ALL_ORDERS_UP_TO = 6
_RANDOM_ORDERS = 500


@dataclass(frozen=True)
class CounterExample:
    """One way to deliver the events that gave another state: `what` was done, the `order`, and the two states.

    `order` names the events by their number, from 1, as they were delivered. `actual` is an error where a handler
    failed.
    """

    what: str
    order: tuple[int, ...]
    expected: Any
    actual: Any

    def __str__(self) -> str:
        lines = _difference(self.expected, self.actual)
        return "\n    ".join([f"{self.what}: {', '.join(map(str, self.order))}", *lines])


@dataclass(frozen=True, repr=False)
class Sensitivity:
    """What `sensitivity` found, with a counter-example each; None where all that was tried gave the same states.

    >>> import eventsourcing_kit as ek
    >>> seen = ek.Projection("seen", fields={"last": ek.fold.last("SensitivityDoc.Seen", "n")})
    >>> found = ek.testing.sensitivity(seen, ek.NewEvent(type="SensitivityDoc.Seen", data={"n": 1}))
    >>> found.idempotent
    True
    """

    name: str
    events: int
    tried: int
    duplicate: CounterExample | None
    reordering: CounterExample | None

    @property
    def idempotent(self) -> bool:
        """Whether events that came twice changed nothing."""
        return self.duplicate is None

    @property
    def order_sensitive(self) -> bool:
        """Whether the order of the events mattered."""
        return self.reordering is not None

    @property
    def counter_examples(self) -> list[CounterExample]:
        """Those that were found."""
        return [one for one in (self.duplicate, self.reordering) if one is not None]

    def _head(self) -> str:
        twice = "idempotent" if self.idempotent else "not idempotent"
        order = "the order matters" if self.order_sensitive else "the order does not matter"
        return f"{self.name}: {twice}; {order} ({self.events} events, {self.tried} ways to deliver them)"

    def __repr__(self) -> str:
        return "\n  ".join([self._head(), *map(str, self.counter_examples)])

    def _repr_html_(self) -> str:
        items = "".join(f"<li><pre>{escape(str(one))}</pre></li>" for one in self.counter_examples)
        return f"<p><b>{escape(self._head())}</b></p>" + (f"<ul>{items}</ul>" if items else "")


def sensitivity(projection: Projection | Decider, *events: Given, stream: str = "stream-1") -> Sensitivity:
    """Deliver the events twice and in other orders, and report whether that changes the projection's states.

    Each event is delivered twice in a row, and all of them again; up to six events are tried in every order, more of
    them with each pair of neighbours swapped, backwards, and shuffled. A duplicate is the same event, with its id and
    position. Events are given as to `given`.

    Raises `InputError` for what is no projection or are no events, `ProjectionError` where a handler fails.

    >>> import eventsourcing_kit as ek
    >>> total = ek.Projection("total", initial=lambda: 0)
    >>> @total.on("SensitivityDoc.Paid")
    ... def paid(state, event):
    ...     return state + event["amount"]
    >>> ek.testing.sensitivity(total, *[ek.NewEvent(type="SensitivityDoc.Paid", data={"amount": n}) for n in (1, 2)])
    total: not idempotent; the order does not matter (2 events, 2 ways to deliver them)
      one event came twice: 1, 1, 2
        'stream-1': expected 3, actual 4
    """
    fold = projection_of(projection)
    if not events:
        raise InputError("sensitivity() takes events to deliver, at least one")
    with store_of(events, stream) as store:
        facts = [
            Fact(one.position, to_us(one.recorded_at), one.type, one.stream, one.data, one)
            for one in store.read()
            if fold.types is None or one.type in fold.types
        ]
    expected = _states(fold, _delivered(facts, range(len(facts))))
    tries = _Tries(fold, facts, expected)
    duplicate = tries.first(_duplicates(len(facts)))
    reordering = tries.first(_orders(len(facts)))
    return Sensitivity(fold.name, len(facts), tries.count, duplicate, reordering)


def _states(projection: Projection, facts: Iterable[Fact]) -> dict[Any, Any]:
    return projection.all_shown(fold_facts(projection, facts, states={}))


class _Tries:
    """Deliveries of the same facts, counted."""

    def __init__(self, projection: Projection, facts: list[Fact], expected: dict[Any, Any]) -> None:
        self._projection, self._facts, self._expected = projection, facts, expected
        self.count = 0

    def first(self, deliveries: Iterator[tuple[str, Sequence[int]]]) -> CounterExample | None:
        """The first delivery that gives other states."""
        for way, order in deliveries:
            self.count += 1
            actual = self._states(order)
            if not difference.same(self._expected, actual):
                numbers = tuple(self._facts[i].position for i in order)
                return CounterExample(way, numbers, self._expected, actual)
        return None

    def _states(self, order: Sequence[int]) -> Any:
        try:
            return _states(self._projection, _delivered(self._facts, order))
        except ProjectionError as error:
            return error


def _delivered(facts: list[Fact], order: Sequence[int]) -> list[Fact]:
    """Facts in an order, each delivery as a store would read it: a handler that changes an event changes no other."""
    return [copy.deepcopy(facts[i]) for i in order]


def _duplicates(count: int) -> Iterator[tuple[str, Sequence[int]]]:
    for i in range(count):
        yield "one event came twice", [*range(i + 1), *range(i, count)]
    if count > 1:
        yield "all came twice", [*range(count), *range(count)]


def _orders(count: int) -> Iterator[tuple[str, Sequence[int]]]:
    """Small changes first: they make the counter-examples that are easiest to read."""
    for i in range(count - 1):
        yield "two neighbours swapped", [*range(i), i + 1, i, *range(i + 2, count)]
    if count <= _ALL_ORDERS_UP_TO:
        for order in itertools.permutations(range(count)):
            moved = [i for i, at in enumerate(order) if i != at]
            if moved and not (len(moved) == 2 and moved[1] - moved[0] == 1):
                yield "in another order", order
        return
    yield "backwards", [*reversed(range(count))]
    shuffle = random.Random(count)
    for _ in range(_RANDOM_ORDERS):
        yield "in another order", shuffle.sample(range(count), count)


def _difference(expected: Any, actual: Any) -> list[str]:
    if isinstance(actual, Exception):
        return [f"expected {difference.shown(expected)}, actual {type(actual).__name__}: {actual}"]
    return difference.of_keyed(expected, actual)

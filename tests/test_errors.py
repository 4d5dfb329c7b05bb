"""Errors survive being sent elsewhere: pickled, copied, and out of a process of a pool."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import eventsourcing_kit as ek


class BrokenError(Exception):
    """An exception of somebody's own that cannot be pickled: its class wants two arguments, and passes one on."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(f"{what} {how}")


Make = Callable[[], ek.EventSourcingError]
CARRYING: dict[type[ek.EventSourcingError], Make] = {
    ek.ConcurrencyError: lambda: ek.ConcurrencyError("a-1", ek.NO_STREAM, 2, ["unseen"]),
    ek.OutcomeUnknownError: lambda: ek.OutcomeUnknownError("unknown", [ek.NewEvent(type="X", id=uuid.UUID(int=1))]),
    ek.LaggardError: lambda: ek.LaggardError("too late", 3, [("mailer", 1, 2, None)]),
    ek.DamagedError: lambda: ek.DamagedError("damaged", "some/folder", ["a.sst"]),
}


def kinds(root: type[ek.EventSourcingError] = ek.EventSourcingError) -> list[type[ek.EventSourcingError]]:
    return [root, *(kind for one in root.__subclasses__() for kind in kinds(one))]


def made(kind: type[ek.EventSourcingError]) -> ek.EventSourcingError:
    error = CARRYING.get(kind, lambda: kind("said so"))()
    error.add_note("noted")
    try:
        raise error from ek.InputError("what led to it")
    except ek.EventSourcingError:
        return error


def raise_it(name: str) -> None:
    """What a process of a pool is given to do."""
    raise made(getattr(ek, name))


WAYS = {"pickled": lambda one: pickle.loads(pickle.dumps(one)), "copied": copy.copy, "copied deeply": copy.deepcopy}


def _shown(error: BaseException) -> dict[str, str]:
    return {name: repr(value) for name, value in vars(error).items()}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_survives_with_all_that_it_carries(kind: type, way: Callable[[Any], Any]) -> None:
    """Message, attributes, notes and cause."""
    error = made(kind)
    again = way(error)
    assert type(again) is kind
    assert again is not error
    assert (str(again), _shown(again)) == (str(error), _shown(error))
    assert again.__notes__ == ["noted"]
    assert str(again.__cause__) == "what led to it"


@pytest.mark.processes
def test_every_error_leaves_a_process_of_a_pool() -> None:
    names = [kind.__name__ for kind in kinds()]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for name, future in [(name, pool.submit(raise_it, name)) for name in names]:
            error = future.exception(timeout=60)
            assert type(error).__name__ == name
            assert str(error) == str(made(getattr(ek, name)))


def test_the_unseen_events_of_a_conflict_are_sent_along(store: ek.EventStore) -> None:
    """The error itself reads them lazily; and once its store is closed, it can still be sent."""
    store.append("a-1", [ek.NewEvent(type="Opened"), ek.NewEvent(type="Paid")])
    with pytest.raises(ek.ConcurrencyError) as conflict:
        store.append("a-1", ek.NewEvent(type="Closed"), expected_version=1)
    again = pickle.loads(pickle.dumps(conflict.value))
    assert [event.type for event in again.unseen] == ["Paid"]
    assert again.actual == 2
    assert copy.copy(conflict.value).unseen is conflict.value.unseen
    store.close()
    assert pickle.loads(pickle.dumps(conflict.value)).stream == "a-1"


def test_what_cannot_be_pickled_is_sent_as_text(store: ek.EventStore) -> None:
    """Such as the exception of a handler, or an event whose class is known to this process only."""

    class Local(ek.Event):
        pass

    def fail(event: object) -> None:
        raise BrokenError("it", "broke")

    store.append("a-1", ek.NewEvent(type="Opened"))
    subscription = store.subscribe(fail)
    with pytest.raises(ek.LaggardError) as late:
        subscription.wait_until(1)
    again = pickle.loads(pickle.dumps(late.value))
    assert (again.laggards[0].name, again.laggards[0].position) == (late.value.laggards[0].name, 0)
    # Where Dask is loaded, another way: findings/distributed_pickles_exceptions_its_own_way_in_the_whole_process.sh
    assert "it broke" in str(again.__cause__)
    assert str(again.__cause__) == str(again.laggards[0].error)
    unknown = pickle.loads(pickle.dumps(ek.OutcomeUnknownError("unknown", [ek.NewEvent(Local()), 1])))
    assert "Local" in unknown.events[0]
    assert unknown.events[1] == 1

"""All buckets of a mirror: here one after another, in bounded memory, or as tasks on a Dask cluster."""

from __future__ import annotations

import contextlib
import uuid
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from eventsourcing_kit.errors import EventSourcingError, InputError, StorageError, without_addresses

T = TypeVar("T")
Result = TypeVar("Result")


def each(
    work: Callable[..., Result], parts: Sequence[T], given: tuple[Any, ...], on: Any, label: str
) -> Iterator[tuple[T, Result]]:
    """What `work(part, *given)` returns for each part, and the part: in order here, as they are done on a client.

    Raises the work's own errors, `InputError` for what is no client and for what cannot be sent to workers,
    `StorageError` where workers were lost again and again.
    """
    if on is None:
        for part in parts:
            yield part, work(part, *given)
        return
    futures = submitted(work, parts, given, on, label)
    try:
        yield from zip(parts, gathered(futures, on), strict=True)
    finally:
        with contextlib.suppress(Exception):  # what is not done is not needed any more, and a client may be gone
            on.cancel([one for one in futures if not one.done()])


def submitted(work: Callable[..., Any], parts: Sequence[Any], given: tuple[Any, ...], on: Any, label: str) -> list[Any]:
    """The parts as tasks of a client, each run again where its worker is lost."""
    _check_client(on)
    name = f"{label}-{uuid.uuid4().hex[:8]}"
    try:
        found: list[Any] = on.map(
            work, parts, *([one] * len(parts) for one in given), key=[f"{name}-{i}" for i in range(len(parts))],
            pure=False, retries=0,
        )  # fmt: skip
    except (TypeError, ValueError, AttributeError, OSError, RecursionError) as error:
        raise _not_sent(error) from error
    return found


def _not_sent(error: BaseException) -> InputError:
    inner = error.__cause__ or error
    return InputError(
        f"what was asked cannot be sent to workers: {without_addresses(str(inner))}; handlers may make what they need "
        "where they run, but not hold what is open here (a file, a lock, a store)"
    )


def _check_client(on: Any) -> None:
    if not all(callable(getattr(on, name, None)) for name in ("map", "gather", "cancel")):
        raise InputError(
            f"on={on!r} is no client of a cluster; give one of dask.distributed: Client('tcp://scheduler:8786'), or "
            "leave it out to run here"
        )


def gathered(futures: list[Any], on: Any) -> list[Any]:
    """The tasks' results; raises what one raised, or an error of the kit where Dask itself gave up."""
    from distributed import KilledWorker

    try:
        found: list[Any] = on.gather(futures)
    except EventSourcingError:
        raise
    except KilledWorker as error:
        raise StorageError(
            f"workers were lost while they were at one bucket, again and again ({error}); mostly they have too little "
            "memory: a mirror with more buckets needs less a task"
        ) from error
    except (CancelledError, OSError) as error:
        raise StorageError(f"the cluster has lost the tasks, or cannot be reached ({error}); ask again") from error
    return found


def merged(states: Iterable[tuple[Any, dict[Any, Any]]]) -> dict[Any, Any]:
    """The states of all buckets' keys; raises `InputError` where a key has states in two of them."""
    found: dict[Any, Any] = {}
    for _, own in states:
        twice = own.keys() & found.keys()
        if twice:
            key = next(iter(twice))
            raise InputError(
                f"the key {key!r} is in two buckets, because equal keys were stored differently (as 1 and 1.0); a "
                "mirror with buckets=1 has all in one"
            )
        found.update(own)
    return found

"""The thread behind a subscription: it delivers what is there, waits for more, and keeps the checkpoint."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import EventSourcingError, InputError, StoreClosedError
from eventsourcing_kit.following.delivery import HandlerFailedError, StoppedError
from eventsourcing_kit.log.wakeup import Wakeup
from eventsourcing_kit.storage.worker import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventsourcing_kit.following.checkpoint import Checkpoint
    from eventsourcing_kit.following.delivery import Delivery
    from eventsourcing_kit.log.log import Log

POLL_SECONDS = 0.05  # how often a reader looks for what a writer beside it has appended
SAVE_SECONDS = 1.0  # how far a checkpoint lags behind at most: what a crash delivers again
_SAVE_AT_ONCE = 1000  # events set aside
_LOOK_SECONDS = 0.5


class Subscriber:
    """Runs a delivery in a daemon thread until it fails or is asked to stop.

    `label` names it in messages. `owner` is the store, which lives as long as somebody holds the subscription. The
    thread itself, while it waits, holds neither: a store that nobody uses any more is collected, subscribed or not.
    """

    def __init__(
        self, log: Log, delivery: Delivery, checkpoint: Checkpoint | None, *, label: str, owner: object
    ) -> None:
        self.label, self.delivery, self._owner = label, delivery, owner
        self._log, self._checkpoint = log, checkpoint
        self.reason = ""  # why it was asked to stop
        self.error: BaseException | None = None
        self.failed_at: int | None = None
        self.caught_up = False
        self.ended = threading.Event()
        self._unsaved_since: float | None = None
        self._tasks: deque[Task] = deque()
        self._retrying = threading.Lock()
        self._wakeup = wakeup = Wakeup()
        log.wakeups.add(wakeup)
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(self, lambda _: wakeup.wake()), log, wakeup),
            name="eventsourcing-kit-subscription", daemon=True,
        )  # fmt: skip
        self._thread.start()

    # -- from other threads ------------------------------------------------------------------------------------------

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether nobody wants it any more."""
        return self.delivery.stop.is_set()

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the handler, or what it calls."""
        return threading.current_thread() is self._thread

    def ask_to_stop(self, reason: str, *, for_good: bool = False) -> None:
        """Have it end after the event that it is at; `for_good` where no checkpoint can be kept afterwards.

        Where the handler itself closes the store, that event counts as handled: it would close each store anew.
        """
        self.reason = self.reason or reason
        self.delivery.stop.set()
        self._wakeup.wake()
        if self.is_own_thread:  # the store may be closed before the handler returns
            self.delivery.is_last = for_good
            with contextlib.suppress(EventSourcingError):
                self._save(self.delivery.underway if for_good else self.delivery.position)

    def settle(self, work: Callable[[Sequence[int]], int], positions: Sequence[int]) -> int:
        """Do something about what was set aside, in the thread that delivers while there is one."""
        if self.is_own_thread:
            raise InputError(
                "a handler cannot retry or drop the events on which it failed; call retry_parked() from outside"
            )
        task = Task(lambda: self._settle(work, positions))
        self._tasks.append(task)
        self._wakeup.wake()
        while True:
            with contextlib.suppress(TimeoutError):
                settled: int = task.outcome(0 if self.ended.is_set() else _LOOK_SECONDS)
                return settled
            if self.ended.is_set():
                with self._retrying:
                    self._do_errands()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def turn(self) -> float | None:
        """Do what there is to do; return for how long to wait then (infinity: for the wakeup), or None at the end."""
        try:
            self._log.refresh()
            self._do_errands()
            self.caught_up |= (at_end := self.delivery.run(SAVE_SECONDS))
            wait = self._save_when_due()
            if not self.is_asked_to_stop and not self._log.life.is_superseded:
                return wait if at_end else 0.0
        except StoppedError:
            pass
        except HandlerFailedError as failed:
            self.error, self.failed_at = failed.__cause__, failed.position
        except BaseException as error:
            if not (isinstance(error, StoreClosedError) and self._is_over):
                self.error = error
        self._end()
        return None

    @property
    def _is_over(self) -> bool:
        return self._log.life.is_over

    def _do_errands(self) -> None:
        while self._tasks:
            self._tasks[0].run()
            self._tasks.popleft()  # only now: who waits for it does it himself where this thread has ended

    def _settle(self, work: Callable[[Sequence[int]], int], positions: Sequence[int]) -> int:
        try:
            return work(positions)
        finally:
            self._save()

    def _save_when_due(self) -> float:
        """Store the checkpoint once there is something to store for a while; return how long that may wait yet."""
        if self._checkpoint is None or not self._is_unsaved:
            return float("inf")
        self._unsaved_since = self._unsaved_since or monotonic()
        left = self._unsaved_since + SAVE_SECONDS - monotonic()
        if left > 0 and len(self.delivery.changed) < _SAVE_AT_ONCE:
            return left
        self._save()
        return float("inf")

    @property
    def _is_unsaved(self) -> bool:
        assert self._checkpoint is not None
        return bool(self.delivery.changed) or self.delivery.position != self._checkpoint.position

    def _save(self, position: int | None = None) -> None:
        if self._checkpoint is not None and (position is not None or self._is_unsaved):
            self._checkpoint.save(position or self.delivery.position, self.delivery.changed)
            self.delivery.changed = {}
        self._unsaved_since = None

    def _end(self) -> None:
        if self._is_over and self.error is None:
            self.reason = self.reason or (
                "the store was closed" if self._log.life.is_closed else "another writer opened the store"
            )
            self.delivery.stop.set()
        try:
            self._save()
        except StoreClosedError:
            pass  # its last events are delivered again
        except BaseException as error:
            self.error = self.error or error
        self.settle_end()

    def settle_end(self, error: BaseException | None = None) -> None:
        """Nothing more comes, for this reason where it is not known yet; who waits is told."""
        self.error = self.error or error
        self.ended.set()
        self.delivery.ring_all()


def _run(ref: weakref.ref[Subscriber], log: Log, wakeup: Wakeup) -> None:
    try:
        while (subscriber := ref()) is not None:
            wait = subscriber.turn()
            if wait is None:
                return
            if wait == float("inf"):
                del subscriber  # nothing is left to do, so nothing is held
                wakeup.wait(POLL_SECONDS if log.read_only else None)
            else:
                wakeup.wait(wait)
    except BaseException as error:  # between two turns, or at the very end of one
        if (subscriber := ref()) is not None:
            subscriber.settle_end(error)
    finally:
        log.wakeups.remove(wakeup)

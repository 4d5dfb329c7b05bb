"""The log, written: one thread at a time places, encodes and stores commits.

It is the writer's own, in which appends that wait at the same moment share one trip to the device; or the caller's,
where it appends alone.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import OutcomeUnknownError, StorageError, StoreClosedError, SupersededError
from eventsourcing_kit.records.record import decode, digest, encode
from eventsourcing_kit.storage import interrupts, keys
from eventsourcing_kit.storage.lifecycle import CLOSED
from eventsourcing_kit.storage.worker import Latch
from eventsourcing_kit.writing import repeats
from eventsourcing_kit.writing.placement import Placement, Tip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.rows import Draft
    from eventsourcing_kit.writing.append import Stored, Submission
    from eventsourcing_kit.writing.durability import Durability, Row, Rows
    from eventsourcing_kit.writing.placement import Placed

_INTERRUPT_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_FEW, _SMALL_BYTES = 128, 1 << 15  # events and bytes that are stored in no more time than the trip takes


@dataclass(slots=True)
class _Request:
    """One append, or rows beside the log, on its way."""

    submission: Submission | None
    rows: Rows = ()
    placed: list[Placed] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    error: BaseException | None = None
    started: bool = False
    cancelled: bool = False
    is_done: bool = False
    more: Sequence[Submission] = ()  # commits that are stored with the first, all or none
    done: Latch | None = None  # opened then, where somebody waits for another thread to do it

    @property
    def again(self) -> str:
        """How it is repeated where its outcome is unknown; what lies beside the log just is."""
        return "repeat it" if self.submission is None else self.submission.again

    def identified(self) -> list[Draft]:
        """The drafts with the ids under which they may have been stored."""
        if self.submission is None:
            return []
        found = []
        for place, one in enumerate((self.submission, *self.more)):
            drafts = one.rows.drafts()
            if place < len(self.placed):
                made = decode(encode(self.placed[place].place, one.rows)).id_bytes
                drafts = [replace(a, id=uuid.UUID(bytes=row.tobytes())) for a, row in zip(drafts, made, strict=True)]
            found += drafts
        return found


class Writer:
    """Appends to a log. `clock` gives the time of each commit, `durability` brings it to where it is durable."""

    def __init__(self, log: Log, durability: Durability, *, clock: Callable[[], datetime], seed: int | None) -> None:
        self._log, self._durability, self._life = log, durability, log.life
        self.patience = log.patience
        self._placement = Placement(log, durability.begin, clock=clock, seed=seed)
        self._queue: SimpleQueue[_Request | None] = SimpleQueue()
        self._held: _Request | None = None
        self._silent_since: float | None = None  # when the storage last answered what this thread waits for
        self._turn = threading.Lock()  # held by the one thread that places and stores …
        self._stores_in: int | None = None  # … which is this one
        self._crowd = 1  # how many appended at the same time lately
        self._thread = threading.Thread(target=self._work, name="eventsourcing-kit-writer", daemon=True)
        self._thread.start()

    # -- the callers' side -------------------------------------------------------------------------------------------

    def append(self, submission: Submission) -> list[Stored]:
        """Store all batches as one commit, or none; returns when they are durable."""
        return self._stored(_Request(submission))

    def append_together(self, submissions: Sequence[Submission]) -> None:
        """Store several commits, all or none; returns when they are durable."""
        if submissions:
            self._stored(_Request(submissions[0], more=submissions[1:]))

    def version(self, stream: str) -> int | None:
        """A stream's version as the last commit left it, where it is known without a look at the log."""
        self._life.check_writing()
        return self._placement.known_version(stream)

    def version_at(self, upto: int, stream: str) -> int | None:
        """A stream's version as of the log's end `upto`, where it is known without a look at the log."""
        tip = self._placement.tip
        known = self._placement.known_version(stream)
        return known if tip.last == upto else None  # looked at last: both move on together, the position first

    def note(self, rows: Rows) -> None:
        """Store rows beside the log (None removes one), all or none; returns when they are durable."""
        self._stored(_Request(None, rows))

    def _stored(self, request: _Request) -> list[Stored]:
        """Where it was stored, here or by the writer's thread; raises what went wrong."""
        self._life.check_writing()
        try:
            if not self._store_here(request):
                self._wait_for(request)
        except KeyboardInterrupt as interrupt:
            self._after_interrupt(request, interrupt)
            raise
        if request.error is not None:
            raise request.error
        return request.stored

    def _store_here(self, request: _Request) -> bool:
        """Store it in the caller's thread, where nobody else appends and nothing can keep it waiting.

        To wake the writer's thread and to be woken by it takes as long as all the rest but the trip to the device.
        """
        submission = request.submission
        if submission is None or request.more or self._crowd > 1 or submission.has_ids or submission.count > _FEW:
            return False
        size = submission.size()
        if size > _SMALL_BYTES:
            return False
        with interrupts.put_off():
            if not self._turn.acquire(blocking=False):
                return False
            try:
                if not self._queue.empty() or not self._durability.lock(size):
                    return False
                try:
                    return self._run([request], at_once=True)
                finally:
                    self._durability.unlock()
            finally:
                self._turn.release()

    def _wait_for(self, request: _Request) -> None:
        """Have it stored by the writer's thread."""
        request.done = Latch()
        self._queue.put(request)
        while not request.done.wait(min(_LOOK_SECONDS, self.patience)):
            self._look_after(request)

    def _look_after(self, request: _Request) -> None:
        """Raise where waiting on is vain."""
        if not self._thread.is_alive() and not request.is_done:
            self._life.check_writing()
            raise StoreClosedError(CLOSED)
        if self._is_stuck:
            self._give_up(request, f"the storage has not answered for {self.patience:g} s{self._log.trouble()}")

    @property
    def _is_stuck(self) -> bool:
        since = self._silent_since
        return since is not None and time.monotonic() - since > self.patience

    def _give_up(self, request: _Request, why: str) -> None:
        request.cancelled = True
        if not request.started:
            raise StorageError(f"{why}; this append was not stored: repeat it when the storage works again")
        if request.is_done:
            return
        raise OutcomeUnknownError(
            f"{why}: the append may be stored or not; when the storage works again, {request.again}",
            request.identified(),
        )

    def _after_interrupt(self, request: _Request, interrupt: KeyboardInterrupt) -> None:
        """Ctrl-C stops the waiting, not the commit: say how it ended, as far as that is known."""
        with contextlib.suppress(KeyboardInterrupt):  # whoever presses it twice doesn't want to wait
            if request.done is not None:
                request.done.wait(_INTERRUPT_SECONDS)
        request.cancelled = not request.is_done
        if request.cancelled and not request.started:
            interrupt.add_note("the append was not stored")
            return
        if not request.is_done:
            raise OutcomeUnknownError(
                f"interrupted before the append was acknowledged: it may be stored or not; {request.again}",
                request.identified(),
            ) from interrupt
        interrupt.add_note("the append was refused" if request.error else "the append had been stored")

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is in the middle of storing: what it runs meanwhile cannot wait for that."""
        return threading.current_thread() is self._thread or threading.get_ident() == self._stores_in

    def end(self) -> None:
        """Let the thread end after what is queued."""
        self._queue.put(None)

    def close(self) -> bool:
        """Finish what is queued and end the thread; False where the storage does not answer."""
        self.end()
        while self._thread.is_alive():
            self._thread.join(min(_LOOK_SECONDS, self.patience))
            if self._is_stuck:
                return False
        return True

    def leave(self) -> None:
        """End without what waits for a storage that does not answer."""
        self._life.give_up()
        self._thread.join(_INTERRUPT_SECONDS)

    # -- the writer's thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # between two groups: what was queued is not stored
            self._life.fail(_failure(error))
        self._silent_since = time.monotonic()
        with self._turn, contextlib.suppress(Exception):  # what was acknowledged is durable as it is
            self._durability.close(in_place=self._log.is_in_place)

    def _serve(self) -> None:
        ends = False
        while not ends:
            first = self._held or self._queue.get()
            self._held = None
            if first is None:
                break
            group, ends = self._group(first)
            with self._turn:
                self._run(group)

    def _group(self, first: _Request) -> tuple[list[_Request], bool]:
        """The requests that wait now, and those that are about to: who has just been served often comes back at once.

        One with ids is a group of its own: its ids may stand in the one before, or be made in the one behind.
        """
        group, until = [first], time.monotonic() + self._durability.worth_waiting
        if first.submission is not None and first.submission.has_ids:
            return group, False
        with contextlib.suppress(Empty):
            while True:
                left = until - time.monotonic() if len(group) < self._crowd else 0.0
                request = self._queue.get(timeout=max(left, 0.0))
                if request is None:
                    return group, True
                if request.submission is not None and request.submission.has_ids:
                    self._held = request
                    return group, False
                group.append(request)
        return group, False

    # -- in the one thread that stores -------------------------------------------------------------------------------

    def _run(self, group: list[_Request], *, at_once: bool = False) -> bool:
        """Do some requests, with one trip to the device; False, and nothing is done, where that can't be `at_once`."""
        self._stores_in, is_done = threading.get_ident(), True
        try:
            is_done = self._store(group, at_once)
        except BaseException as error:
            self._fail(group, error)
        finally:
            self._stores_in = self._silent_since = None
            if is_done:
                for request in group:
                    request.is_done = True
                    if request.submission is not None:
                        request.submission.is_stored = request.error is None
                    if request.done is not None:
                        request.done.open()
        return is_done

    def _store(self, group: list[_Request], at_once: bool) -> bool:
        end = self._placement.tip
        tip = Tip(end.last, end.us, end.digest)
        placed: list[Placed] = []
        rows: list[Row] = []
        self._answered()
        for request in group:
            try:
                self._place(request, tip, at_once)
                self._answered()
            except BaseException as error:
                request.error = error
                continue
            rows += request.rows
            placed += request.placed
        if rows:
            self._log.unsure_from = placed[0].entry.first if placed else None
            if not self._bring_in(rows, placed, at_once):
                self._log.unsure_from, group[0].placed, group[0].started = None, [], False
                return False
            self._placement.advance(tip)
            self._log.advance(placed)
            self._log.unsure_from = None
        self._crowd = len(group) + self._queue.qsize()
        return True

    def _place(self, request: _Request, tip: Tip, at_once: bool) -> None:
        self._life.check_writing()
        if not at_once:  # then the journal, which is locked, is in its place
            self._log.check_place()
        request.started = True
        if request.cancelled:
            raise StoreClosedError("interrupted before it was stored")
        submission = request.submission
        if submission is None:
            return
        repeated = repeats.first_receipts(self._log, submission, self._answered) if submission.has_ids else None
        if repeated is not None:
            request.stored = repeated
            return
        trial = replace(tip, versions=dict(tip.versions)) if request.more else tip
        request.placed = [self._placement.place(submission, trial)]
        for one in request.more:
            repeats.first_receipts(self._log, one, self._answered)
            request.placed.append(self._placement.place(one, trial))
        if request.more:
            tip.last, tip.us, tip.digest, tip.versions = trial.last, trial.us, trial.digest, trial.versions
        request.rows = [row for placed in request.placed for row in placed.rows]
        request.stored = request.placed[0].stored

    def _answered(self) -> None:
        self._silent_since = time.monotonic()

    def _bring_in(self, rows: Rows, placed: list[Placed], at_once: bool) -> bool:
        """Store it. Where another writer takes over meanwhile, the log tells whether this came in before."""
        try:
            return self._durability.store(rows, at_once=at_once)
        except SupersededError:
            self._log.check_place()
            if not self._came_before(placed):
                raise
        return True

    def _came_before(self, placed: list[Placed]) -> bool:
        """Whether the log holds what was placed: all of a group or nothing, so one commit stands for all."""
        self._log.supersede()
        if not placed:
            return False
        stored = self._log.table.get(keys.log(placed[0].entry.first))
        if stored is None or digest(stored) != placed[0].entry.digest:
            return False
        self._durability.again()
        return True

    def _fail(self, group: list[_Request], error: BaseException) -> None:
        known = isinstance(error, SupersededError)
        if known:
            self._life.supersede()
            self._log.wakeups.wake()
        else:
            self._life.fail(_failure(error))
        for request in group:
            if request.error is None:
                request.error = error  # else, where there is no room to say more, it would look as if it were stored
                request.error = error if known else OutcomeUnknownError(
                    f"{_told(error)}; the append may be stored or not: open the store again and {request.again}",
                    request.identified(),
                )  # fmt: skip


def _failure(error: BaseException) -> str:
    return f"an earlier append failed in the storage ({_told(error)})"


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__

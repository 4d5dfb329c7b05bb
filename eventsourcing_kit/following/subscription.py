"""A subscription, as people hold it."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.following import parked
from eventsourcing_kit.following.waiting import check_position, check_timeout, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.following.subscriber import Subscriber
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.writing.append import Receipt

STOP_SECONDS = 5.0  # how long a handler may take to come to an end


class Subscription:
    """A handler that is called, in a thread of its own, with each event of a store; made by `store.subscribe(…)`.

    A context manager, which unsubscribes at its end.

    >>> import eventsourcing_kit as ek
    >>> store, seen = ek.EventStore(), []
    >>> subscription = store.subscribe(lambda event: seen.append(event.data["to"]), name="shipping")
    >>> receipt = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    >>> subscription.wait_until(receipt)
    >>> seen
    ['Oslo']
    >>> subscription
    <subscription 'shipping': live, position 1, lag 0>
    """

    def __init__(self, log: Log, subscriber: Subscriber, name: str | None) -> None:
        self._log, self._subscriber = log, subscriber
        self._pid = os.getpid()
        self.name = name

    # -- how it stands -----------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The last position that it is done with: handled, set aside, or not asked for."""
        return self._subscriber.delivery.position

    @property
    def lag(self) -> int:
        """By how many positions it is behind the log, as far as the store knows that."""
        return max(self._log.head.last - self.position, 0)

    @property
    def state(self) -> str:
        """One of "catching up", "live", "stopping" (a handler is at its last event), "stopped" and "failed"."""
        one = self._subscriber
        if one.error is not None:
            return "failed"
        if one.ended.is_set():
            return "stopped"
        if one.is_asked_to_stop:
            return "stopping"
        return "live" if one.caught_up or self.lag == 0 else "catching up"

    @property
    def error(self) -> BaseException | None:
        """What made it fail, with its traceback; None where nothing did."""
        return self._subscriber.error

    def __repr__(self) -> str:
        return f"<{self._subscriber.label}: {self._told()}, position {self.position}, lag {self.lag}{self._aside()}>"

    def _told(self) -> str:
        one, state = self._subscriber, self.state
        if one.error is None:
            return f"{state} ({one.reason})" if one.reason else state
        at = "" if one.failed_at is None else f" at position {one.failed_at}"
        return f"{state}{at} ({parked.error_text(one.error)})"

    def _aside(self) -> str:
        count = len(self._subscriber.delivery.parked)
        return f", {count} parked" if count else ""

    def _repr_html_(self) -> str:
        rows = {
            "name": self.name or self._subscriber.label,
            "state": self._told(),
            "position": self.position,
            "lag": self.lag,
            "parked": len(self._subscriber.delivery.parked),
        }
        cells = (f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
        return f"<table>{''.join(cells)}</table>"

    # -- what can be done with it ------------------------------------------------------------------------------------

    def wait_until(self, position: int | RecordedEvent | Receipt | None = None, *, timeout: float | None = 10) -> None:
        """Return when it is done with a position (by default the log's last); an event or a receipt stands for its own.

        Raises `LaggardError` after `timeout` seconds (None waits for ever), and at once where it has failed or stopped.
        Raises `InputError` for what is no position or no timeout.
        """
        self._log.refresh()
        if self._subscriber.is_own_thread:
            raise InputError("a handler cannot wait for its own subscription, which goes on when the handler returns")
        wanted = self._log.head.last if position is None else check_position(self._log, position)
        wait_until(self._log, [self._subscriber], wanted, check_timeout(timeout))

    def parked(self) -> pd.DataFrame:
        """The events on which the handler failed and that were left behind, one row each.

        Columns: subscription, position, stream, type, error, attempts, policy ("park" or "skip"), parked_at.
        """
        aside = sorted(self._subscriber.delivery.parked.copy().items())
        return parked.frame((self.name, one) for _, one in aside)

    def retry_parked(self, *positions: int | RecordedEvent) -> int:
        """Call the handler once more with each parked or skipped event, in their order; return how many are handled.

        With `positions`, only with those. Events that fail again stay, with one more attempt counted. Where the
        subscription runs, this happens in its thread between two other events; where it has failed, in the caller's.

        Raises `InputError` for what are no positions.
        """
        return self._settle(self._subscriber.delivery.retry, positions)

    def drop_parked(self, *positions: int | RecordedEvent) -> int:
        """Give up parked or skipped events, all or those at `positions`; return how many.

        The log keeps them, as ever; the handler is not called with them any more, and `parked()` leaves them out.

        Raises `InputError` for what are no positions.
        """
        return self._settle(self._subscriber.delivery.drop, positions)

    def _settle(self, work: Callable[[Sequence[int]], int], positions: Sequence[int | RecordedEvent]) -> int:
        chosen = [check_position(self._log, one) for one in positions]
        self._log.refresh()
        if self._subscriber.is_asked_to_stop:
            raise InputError(f"{self._subscriber.label} is stopped ({self._subscriber.reason}); subscribe again")
        return self._subscriber.settle(work, chosen)

    def unsubscribe(self) -> None:
        """End it after the event that its handler is at, and store the checkpoint; safe to call twice.

        Waits up to five seconds for the handler; one that takes longer ends it when it returns.
        """
        if os.getpid() != self._pid:
            return  # inherited through fork: the parent's
        self._subscriber.ask_to_stop("unsubscribed")
        if not self._subscriber.is_own_thread:
            self._subscriber.ended.wait(STOP_SECONDS)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()

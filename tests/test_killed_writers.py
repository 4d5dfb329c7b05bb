"""Acknowledged means stored: writers are killed at random moments, and what is left is looked at.

Other moments: `ATTACK_SEED=5 pytest tests/test_killed_writers.py`. Longer: `python -m tests.processes --rounds 200`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import eventsourcing_kit as ek
from tests.processes.appender import appends
from tests.processes.campaign import kill_rounds
from tests.processes.ledger import Ledger, check

pytestmark = pytest.mark.processes

SEED = int(os.environ.get("ATTACK_SEED", "1"))
ROUNDS = int(os.environ.get("ATTACK_ROUNDS", "7"))


def test_a_writer_killed_at_any_moment_has_stored_what_was_acknowledged(folder: Path) -> None:
    """Every acknowledged event is there and equal, the rest as whole commits or not at all, and the store goes on."""
    figures = kill_rounds(folder, rounds=ROUNDS, seed=SEED)
    assert figures.rounds == ROUNDS
    assert figures.said.get("ack", 0) > 0


FACTS: list[tuple[str, str | None]] = [("a", None), ("a", None), ("b", None)]


def told(ledger: Ledger, token: str, position: int | None = None, ids: list[str] | None = None) -> None:
    """As if a process had said it."""
    lines = f'{{"say":"try","token":"{token}","way":"many","facts":[["a",null],["a",null],["b",null]]}}\n'
    if position is not None:
        text = str(ids).replace("'", '"')
        lines += (
            f'{{"say":"ack","token":"{token}","position":{position},"ids":{text},"versions":[2,1],"replayed":false}}\n'
        )
    ledger.hear(lines.encode())


def test_the_check_passes_a_store_that_kept_its_promises(store: ek.EventStore) -> None:
    """Acknowledged appends, and one that was never stored; a line that was cut off counts for nothing."""
    ledger = Ledger()
    receipts = store.append_many(appends("t-1", FACTS))
    told(ledger, "t-1", 3, [str(event.id) for receipt in receipts for event in receipt.events])
    told(ledger, "t-2")
    ledger.hear(b'{"say":"ack","token":"t-2","posi')
    assert len(check(store, ledger)) == 3


def test_the_check_sees_what_is_lost_halved_or_not_announced(store: ek.EventStore) -> None:
    """So a round of killing could fail."""
    lost, halved = Ledger(), Ledger()
    told(lost, "t-1", 3, [])
    with pytest.raises(AssertionError, match="is lost"):
        check(store, lost)
    told(halved, "t-1")
    store.append_many(appends("t-1", FACTS)[:1])
    with pytest.raises(AssertionError, match="not there as a whole"):
        check(store, halved)
    with pytest.raises(AssertionError, match="never announced"):
        check(store, Ledger())

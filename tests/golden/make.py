"""Writes the golden store of format 1: `python -m tests.golden.make FOLDER`.

The one beside this file was written by version 0.1.0 and is never written again: every later version must read it. A
new format gets a golden store of its own.
"""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

import eventsourcing_kit as ek


class Opened(ek.Event, type="Golden.Opened"):
    owner: str
    limit: Decimal | None = None


class Deposited(ek.Event, type="Golden.Deposited", version=2):
    amount: int
    tags: tuple[str, ...] = ()
    on: date | None = None
    receipt: bytes = b""


def noted(data: dict[str, Any], **more: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Golden.Noted", data=data, **more)


def make(folder: Path) -> None:
    """Single events and batches, two streams in one commit, supplied ids, a load with equal times, a reopened store."""
    clock = ek.testing.clock("2026-01-05T09:00:00Z", step="1min")
    with ek.EventStore(folder, clock=clock, seed=1) as store:
        store.append("account-1", Opened(owner="Ada", limit=Decimal("12.50")), expected_version=ek.NO_STREAM)
        store.append(
            "account-1", [Deposited(amount=10**20, tags=("a", "ä😀")), Deposited(amount=5, receipt=b"\x00\xff")]
        )
        store.append_many(
            [
                ek.Append("account-1", Deposited(amount=-30, on=date(2026, 1, 5)), expected_version=3),
                ek.Append("account\x00", [noted({"x": None}), noted({}, id=uuid.UUID(int=7))]),
            ]
        )
        store.append(
            "notes-1",
            noted(
                {"deep": [{"a": 1.5, "b": True}], "": "–"}, occurred_at=datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=UTC)
            ),
            metadata={"by": "ada", "n": [1]},
        )
    with ek.EventStore(folder, clock=clock, seed=1) as store:
        time = pd.Timestamp("2026-01-06T00:00:00Z")
        frame = pd.DataFrame({"case": ["c-1", "c-2"] * 20, "what": "Golden.Step", "at": time, "n": range(40)})
        frame.loc[30:, "at"] = time + pd.Timedelta("1us")
        store.load(frame, stream="case", type="what", recorded_at="at")
        store.append("account-1", Deposited(amount=1), expected_version=4)


if __name__ == "__main__":
    make(Path(sys.argv[1]))

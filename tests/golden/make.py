"""Writes the golden stores of formats 1 and 2: `python -m tests.golden.make FOLDER [2]`.

Those beside this file were written once and are never written again: every later version must read them. A new format
gets a golden store of its own.
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


class Enrolled(ek.Event, type="Golden.Enrolled"):
    student: ek.Tag[str]
    course: ek.Tag[int] | None = None
    with_others: frozenset[ek.Tag[str]] = frozenset()


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


def make_tagged(folder: Path) -> None:
    """Tags of classes and given ones, alone and in batches, many and strange ones, a load; some events have none."""
    clock = ek.testing.clock("2026-01-05T09:00:00Z", step="1min")
    with ek.EventStore(folder, clock=clock, seed=2) as store:
        store.append("enrolment-1", Enrolled(student="s1", course=7), expected_version=ek.NO_STREAM)
        store.append("enrolment-1", noted({"tags": ["none"]}))
        store.append(
            "enrolment-2",
            [
                Enrolled(student="s2", with_others=frozenset({"s3", "s1"})),
                noted({}),
                ek.NewEvent(Enrolled(student="s3", course=7), id=uuid.UUID(int=7), tags=["vip", "course:7"]),
            ],
        )
        store.append("notes-1", noted({"n": 1}, tags=["a", "a\x00", "ä😀", ":", "course:" + "9" * 990]))
        store.append_many([ek.Append(f"many-{n}", noted({"n": n}, tags=["many", f"n:{n}"])) for n in range(6)])
    with ek.EventStore(folder, clock=clock, seed=2) as store:
        time = pd.Timestamp("2026-01-06T00:00:00Z")
        frame = pd.DataFrame({"case": ["c-1", "c-2"] * 10, "what": "Golden.Step", "at": time})
        frame["about"] = [[f"order:{n % 3}"] if n % 5 else [] for n in range(20)]
        store.load(frame, stream="case", type="what", recorded_at="at", tags="about")


if __name__ == "__main__":
    (make_tagged if sys.argv[2:] == ["2"] else make)(Path(sys.argv[1]))

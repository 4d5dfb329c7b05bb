"""The notebooks' domain, a small bank, and the log that it left behind: `python -m tests.notebooks.generate_data`.

Two kinds of streams meet. Accounts are opened, and money is paid in and taken out over the counter; transfers are
requested, then completed or refused, and move money between two accounts. One day the booking machine repeated itself
(`REPEATED`), which an explorer of the log can find out.

The same bytes every time, on every machine and Python: of `random` only `random()` is used, whose numbers are fixed
for a seed, and times are counted from a fixed start.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

FILE = Path(__file__).parents[2] / "data" / "bank.csv"
COLUMNS = ("case", "activity", "time", "owner", "amount", "sender", "receiver", "reason")
OWNERS = ("Ada", "Bo", "Cleo", "Dan", "Eve")
START = datetime(2026, 1, 5, 9)  # a Monday, in UTC
DAYS = 12  # Monday to Friday of the week after
REPEATED, HEALED = "transfer-25", timedelta(days=2, hours=3)

Row = dict[str, Any]


def rows() -> list[Row]:
    """Every row, ordered by time."""
    bank = Bank(Random(20260241))
    return sorted(bank.run(), key=lambda row: row["time"])


class Bank:
    """Two weeks of a bank with five customers. It knows the balances only to refuse what cannot be paid."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.balances: dict[str, int] = {}
        self.transfers = 0

    def run(self) -> Iterator[Row]:
        """What happens, day by day."""
        for number, owner in enumerate(OWNERS, start=1):
            at = START + timedelta(minutes=7 * number)
            account = f"account-{number}"
            yield event(account, "AccountOpened", at, owner=owner)
            yield self.paid_in(account, at + timedelta(minutes=2), 10 * self.number(5, 14))
        for day in range(DAYS):
            morning = START + timedelta(days=day)
            if morning.weekday() < 5:
                yield from self.day(morning)

    def day(self, morning: datetime) -> Iterator[Row]:
        """Some visits to the counter, some transfers, one after the other."""
        at = morning + timedelta(hours=1)
        for _ in range(self.number(6, 9)):
            at += timedelta(minutes=self.number(11, 70), seconds=self.number(0, 59))
            account, other = self.two_accounts()
            amount = 5 * self.number(3, 18)
            if self.random.random() < 0.5:
                yield from self.transfer(account, other, amount, at)
            elif self.random.random() < 0.45:
                yield self.paid_in(account, at, amount)
            elif amount <= self.balances[account]:
                self.balances[account] -= amount
                yield event(account, "MoneyWithdrawn", at, amount=amount)

    def paid_in(self, account: str, at: datetime, amount: int) -> Row:
        """Money paid in over the counter."""
        self.balances[account] = self.balances.get(account, 0) + amount
        return event(account, "MoneyDeposited", at, amount=amount)

    def transfer(self, sender: str, receiver: str, amount: int, at: datetime) -> Iterator[Row]:
        """A transfer, requested and then completed or refused; one of them is completed twice, and put right later."""
        self.transfers += 1
        name = f"transfer-{self.transfers}"
        parties = {"sender": sender, "receiver": receiver, "amount": amount}
        yield event(name, "TransferRequested", at, **parties)
        answered = at + timedelta(seconds=self.number(20, 240))
        if amount > self.balances[sender]:
            yield event(name, "TransferRefused", answered, reason="not enough money")
            return
        self.balances[sender] -= amount
        self.balances[receiver] += amount
        yield event(name, "TransferCompleted", answered, **parties)
        if name == REPEATED:
            yield event(name, "TransferCompleted", answered + timedelta(seconds=30), **parties)
            yield event(name, "TransferReversed", answered + HEALED, **parties, reason="was completed twice")

    def two_accounts(self) -> tuple[str, str]:
        """Two different accounts."""
        one = self.number(1, len(OWNERS))
        other = (one + self.number(1, len(OWNERS) - 1) - 1) % len(OWNERS) + 1
        return f"account-{one}", f"account-{other}"

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.random.random() * (high - low + 1))


def event(case: str, activity: str, time: datetime, **data: Any) -> Row:
    """One row."""
    return {"case": case, "activity": activity, "time": f"{time.isoformat()}Z", **data}


def text() -> str:
    """The file's text."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows())
    return out.getvalue()


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(text().encode())
    print(f"{FILE.name}: {len(rows())} events")

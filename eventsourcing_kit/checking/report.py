"""What a verification finds: `Findings` while it goes on, a `Report` at its end."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from eventsourcing_kit.events.texts import counted

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10
MOST_OF_A_CHECK = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: where, what is wrong, and what to do.

    `kind` is "damage", or "schema" where a sound event does not fit the class that is registered for its type.
    """

    position: int
    kind: str
    wrong: str
    cure: str


@dataclass(frozen=True)
class Report:
    """What `store.verify()` found. It is true where the log is sound: `if store.verify(): …`

    `position` and `digest` are the log's end: note them elsewhere, and a later `verify(expected=(position, digest))`
    sees whether the log up to there is still the same. `commits`, `events` and `streams` count what was read;
    `is_complete` is False where damage kept some of it from being checked, or more was found than is listed.
    `damage` and `misfits` are findings: damage first, then events that do not fit the class of their type, which
    is a matter of the classes and leaves the log sound.

    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped"))
    >>> report = store.verify()
    >>> report.ok, report.events, report.damage
    (True, 1, ())
    """

    position: int
    digest: str
    commits: int
    events: int
    streams: int
    damage: tuple[Finding, ...] = ()
    misfits: tuple[Finding, ...] = ()
    is_complete: bool = True

    @property
    def ok(self) -> bool:
        """Whether no damage was found."""
        return not self.damage

    def __bool__(self) -> bool:
        return self.ok

    @property
    def first_bad(self) -> int | None:
        """The first position that cannot be relied on, 0 for the store as a whole; None where there is none."""
        return min((finding.position for finding in self.damage), default=None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was found: damage first, each by position."""
        return self.damage + self.misfits

    def df(self) -> pd.DataFrame:
        """One row a finding: position, kind, wrong, cure."""
        import numpy as np
        import pandas as pd

        from eventsourcing_kit.reading import frames

        found = self.findings
        columns = {name: frames.objects([getattr(one, name) for one in found]) for name in ("kind", "wrong", "cure")}
        positions = frames.integers(np.array([one.position for one in found], dtype=np.int64))
        return pd.DataFrame({"position": positions} | {name: frames.strings(texts) for name, texts in columns.items()})

    def __repr__(self) -> str:
        more = len(self.findings) - _SHOWN
        lines = [f"{one.position}: {one.wrong}; {one.cure}" for one in self.findings[:_SHOWN]]
        return "\n  ".join([f"<{self._summary}>", *lines, *([f"… and {more} more in .df()"] if more > 0 else [])])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{one.position}</td><td>{escape(one.wrong)}</td><td>{escape(one.cure)}</td></tr>"
            for one in self.findings[:_SHOWN]
        )
        more = f"<p>… and {len(self.findings) - _SHOWN} more in .df()</p>" if len(self.findings) > _SHOWN else ""
        heads = "<tr><th>position</th><th>what is wrong</th><th>what to do</th></tr>"
        table = f"<table>{heads}{rows}</table>{more}" if rows else ""
        return f"<p><code>{escape(f'<{self._summary}>')}</code></p>{table}"

    @property
    def _summary(self) -> str:
        numbers = {"commit": self.commits, "event": self.events, "stream": self.streams}
        counts = ", ".join(counted(number, thing) for thing, number in numbers.items())
        verdict = "sound" if self.ok else f"DAMAGED from position {self.first_bad} on"
        is_one = len(self.misfits) == 1
        unfit = "that does not fit its class" if is_one else "that do not fit their class"
        misfits = f", {counted(len(self.misfits))} {unfit}" if self.misfits else ""
        partly = "" if self.is_complete else ", not all of it checked"
        end = f", ends at {self.position} with {self.digest[:12]}…" if self.ok else ""
        return f"verified: {verdict}{misfits}{partly}; {counts}{end}"


class Findings:
    """Collects findings, no more than some hundreds of each check, however much is damaged."""

    def __init__(self) -> None:
        self.is_complete = True
        self._found: dict[str, list[Finding]] = {}

    def is_full(self, check: str) -> bool:
        """Whether a check has found all that is listed of it; it then may stop."""
        if len(self._found.get(check, ())) < MOST_OF_A_CHECK:
            return False
        self.is_complete = False
        return True

    def damage(self, check: str, position: int, wrong: str, cure: str) -> None:
        """Something that is not as it was written."""
        self._add(check, Finding(position, "damage", wrong, cure))

    def misfit(self, position: int, wrong: str, cure: str) -> None:
        """A sound event that does not fit the class of its type."""
        self._add("schema", Finding(position, "schema", wrong, cure))

    def _add(self, check: str, finding: Finding) -> None:
        if not self.is_full(check):
            self._found.setdefault(check, []).append(finding)

    def report(self, position: int, digest: str, *, commits: int, events: int, streams: int) -> Report:
        """All of it, each kind in order of positions."""
        misfits = self._found.pop("schema", [])
        damage = sorted((one for found in self._found.values() for one in found), key=lambda one: one.position)
        return Report(
            position, digest, commits, events, streams, tuple(damage), tuple(misfits), self.is_complete
        )  # fmt: skip

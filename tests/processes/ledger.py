"""What appending processes said, held against what the store holds."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import eventsourcing_kit as ek
from tests.processes.appender import appends, fact


@dataclass
class Told:
    """One append as its process announced it, and what it heard of it."""

    token: str
    way: str
    facts: list[tuple[str, str | None]]
    ack: dict[str, Any] | None = None
    error: str | None = None
    text: str = ""


@dataclass
class Ledger:
    """Everything that was said, over many processes."""

    told: dict[str, Told] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failures: list[str] = field(default_factory=list)

    def hear(self, output: bytes) -> None:
        """Take down whole lines; a line that a kill cut off was not said."""
        for line in output.split(b"\n")[:-1]:
            what = json.loads(line)
            kind = what.pop("say")
            self.said[kind] += 1
            if kind == "try":
                self.told[what["token"]] = Told(**{**what, "facts": [tuple(one) for one in what["facts"]]})
            elif kind == "ack":
                self.told[what["token"]].ack = what
            elif kind == "error":
                self.told[what["token"]].error, self.told[what["token"]].text = what["kind"], what["text"]
            elif kind == "failed":
                self.failures.append(f"{what['kind']}: {what['text']}")

    @property
    def acknowledged(self) -> int:
        """How many appends were acknowledged."""
        return sum(told.ack is not None for told in self.told.values())


def check(store: ek.EventStore, ledger: Ledger) -> list[ek.RecordedEvent]:
    """Raise where the store breaks a promise that somebody was given; the whole log."""
    assert not ledger.failures, ledger.failures[0]
    log = list(store.read())
    check_order(log)
    check_streams(store, log)
    check_commits(log, ledger)
    return log


def check_order(log: list[ek.RecordedEvent]) -> None:
    """Positions run 1, 2, 3 …; time never goes back; no id stands twice."""
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    times = [event.recorded_at for event in log]
    assert times == sorted(times)
    assert len({event.id for event in log}) == len(log)


def check_streams(store: ek.EventStore, log: list[ek.RecordedEvent]) -> None:
    """Every stream's own read is the log's, its versions run 1, 2, 3 …, and ids lead to their positions."""
    streams: dict[str, list[ek.RecordedEvent]] = defaultdict(list)
    for event in log:
        streams[event.stream].append(event)
    for stream, events in streams.items():
        assert [event.version for event in events] == list(range(1, len(events) + 1)), stream
        assert list(store.read(stream)) == events, stream
        assert store.version(stream) == len(events), stream
        for event in (events[0], events[-1]):
            assert next(iter(store.read(as_of=event.id, backwards=True))).position == event.position
    if log:
        assert store.streams().set_index("stream")["version"].to_dict() == {s: len(e) for s, e in streams.items()}


def check_commits(log: list[ek.RecordedEvent], ledger: Ledger) -> None:
    """Each append is there whole and as it was announced, or not at all; there, where it was acknowledged."""
    stored: dict[str, list[ek.RecordedEvent]] = defaultdict(list)
    for event in log:
        stored[event.data["token"]].append(event)
    for token, events in stored.items():
        told = ledger.told.get(token)
        if told is None:
            assert token.startswith("next-"), f"{token} was never announced"
            continue
        assert [(e.stream, e.data["n"], e.data["of"]) for e in events] == [
            (stream, n, len(told.facts)) for n, (stream, _) in enumerate(told.facts)
        ], f"{token} is not there as a whole"
        assert [e.position for e in events] == list(range(events[0].position, events[0].position + len(events))), token
        assert all(given in (None, str(e.id)) for e, (_, given) in zip(events, told.facts, strict=True)), token
        assert told.way == "load" or len({e.recorded_at for e in events}) == 1, token
    for token, told in ledger.told.items():
        if told.ack is None:
            continue
        assert token in stored, f"{token} ({told.way}) was acknowledged at {told.ack['position']}, and is lost"
        events = stored[token]
        if told.ack["position"] is not None:
            assert events[-1].position == told.ack["position"], token
            assert [str(event.id) for event in events] == told.ack["ids"], token
            assert events[-1].version == told.ack["versions"][-1], token


def check_next(store: ek.EventStore, ledger: Ledger, name: str) -> int:
    """The next append works, and what was cut off can be repeated under its ids; how much of that was there already."""
    position = store.position
    assert store.append("next", fact(f"next-{name}", 0, 1)).position == position + 1
    replayed = 0
    for told in list(ledger.told.values()):
        if told.way == "ids" and told.ack is None and told.error != "InputError":
            receipts = store.append_many(appends(told.token, told.facts))
            replayed += receipts[0].replayed
            ids = [str(event.id) for receipt in receipts for event in receipt.events]
            told.ack = {"position": receipts[-1].position, "ids": ids, "versions": [receipts[-1].version]}
    return replayed

"""The store against a plain list: whatever is appended, in whatever order, both give the same answers."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import eventsourcing_kit as ek

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
US = timedelta(microseconds=1)
STREAMS = ["account-1", "account-10", "account", "transfer-1", "account-1\x00", "x"]
TYPES = ["ModelAdded", "ModelNoted", "ModelClosed"]


class ModelAdded(ek.Event):
    amount: int
    note: str | None = None


@dataclass
class Known:
    """One event as the plain list holds it."""

    stream: str
    version: int
    position: int
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    occurred_at: datetime | None
    metadata: dict[str, Any]
    id: uuid.UUID


@dataclass
class Given:
    """An event on its way in, for the store and for the list."""

    type: str
    amount: int
    note: str | None = None
    id: uuid.UUID | None = None
    occurred_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        if self.type == "ModelAdded":
            return {"amount": self.amount, "note": self.note}
        return {"amount": self.amount} if self.note is None else {"amount": self.amount, "note": self.note}

    def new(self) -> ek.NewEvent:
        more = {"id": self.id, "occurred_at": self.occurred_at, "metadata": self.metadata or None}
        if self.type == "ModelAdded":
            return ek.NewEvent(ModelAdded(amount=self.amount, note=self.note), **more)
        return ek.NewEvent(type=self.type, data=self.data, **more)


EVENTS = st.builds(
    Given,
    type=st.sampled_from(TYPES),
    amount=st.integers(-3, 3),
    note=st.none() | st.sampled_from(["", "n", "😀"]),
    id=st.none() | st.none() | st.uuids(),
    occurred_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    metadata=st.sampled_from([{}, {}, {"by": "ada"}, {"by": None, "n": [1]}]),
)
BATCHES = st.lists(EVENTS, min_size=1, max_size=4)
EXPECTED = st.sampled_from(["any", "right", "none", "exists", "too low", "too high", "zero"])


def total() -> ek.Projection:
    """One state a stream, which ModelClosed ends."""
    made = ek.Projection("total", initial=lambda: 0)
    made.on("ModelAdded")(lambda state, event: state + event.amount)
    made.on("ModelClosed")(lambda state, event: ek.GONE)
    return made


def by_amount() -> ek.Projection:
    """One state an amount: how often it was met, and where last."""
    made = ek.Projection("by amount", initial=lambda: {"count": 0, "last": 0}, key=lambda r: _amount(r.data))

    @made.on("ModelAdded", "ModelNoted")
    def counted(state: Any, event: Any, recorded: Any) -> Any:
        return {"count": state["count"] + 1, "last": recorded.position}

    return made


def everything() -> ek.Projection:
    """One state over the whole log."""
    made = ek.Projection("everything", initial=tuple, key=None)
    made.on("ModelAdded", "ModelNoted")(lambda state, event: (*state[-2:], _amount(event)))
    return made


def _amount(data: Any) -> int:
    return data["amount"] if isinstance(data, dict) else data.amount


def plain_total(log: list[Known]) -> dict[str, int]:
    states: dict[str, int] = {}
    for event in log:
        if event.type == "ModelAdded":
            states[event.stream] = states.get(event.stream, 0) + event.data["amount"]
        elif event.type == "ModelClosed":
            states.pop(event.stream, None)
    return states


def plain_by_amount(log: list[Known]) -> dict[int, dict[str, int]]:
    states: dict[int, dict[str, int]] = {}
    for event in log:
        if event.type != "ModelClosed":
            before = states.get(event.data["amount"], {"count": 0})
            states[event.data["amount"]] = {"count": before["count"] + 1, "last": event.position}
    return states


def plain_everything(log: list[Known]) -> tuple[int, ...]:
    return tuple(event.data["amount"] for event in log if event.type != "ModelClosed")[-3:]


PLAIN: list[tuple[Callable[[], ek.Projection], Callable[[list[Known]], Any]]] = [
    (total, plain_total),
    (by_amount, plain_by_amount),
    (everything, plain_everything),
]


class StoreMachine(RuleBasedStateMachine):
    """Drives a store in memory; `FolderMachine` the same with a folder, and reopens it."""

    on_disk = False

    @initialize(seed=st.none() | st.integers(0, 3))
    def open_it(self, seed: int | None) -> None:
        self.log: list[Known] = []
        self.now = START
        self.seed = seed
        self.batches: list[tuple[str, list[Given], tuple[int, int]]] = []
        self.histories: list[tuple[ek.History, Callable[[list[Known]], Any], list[Known]]] = []
        self.reads: list[tuple[ek.Read, list[int]]] = []
        self.temporary = tempfile.TemporaryDirectory() if self.on_disk else None
        self.folder = Path(self.temporary.name) / "store" if self.temporary else None
        self.store = self.opened()

    def opened(self) -> ek.EventStore:
        return ek.EventStore(self.folder, clock=lambda: self.now, seed=self.seed, fsync=False)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            if self.temporary:
                self.temporary.cleanup()

    # -- the list ----------------------------------------------------------------------------------------------------

    def version(self, stream: str) -> int:
        return sum(event.stream == stream for event in self.log)

    def last_time(self) -> datetime | None:
        return self.log[-1].recorded_at if self.log else None

    def time_of_next(self) -> datetime:
        last = self.last_time()
        return self.now if last is None else max(self.now, last + US)

    def expected(self, kind: str, version: int) -> tuple[Any, bool]:
        return {
            "any": (ek.ANY, True),
            "right": (version, True),
            "none": (ek.NO_STREAM, version == 0),
            "exists": (ek.STREAM_EXISTS, version > 0),
            "too low": (max(version - 1, 0), version == 0),
            "too high": (version + 1, False),
            "zero": (0, version == 0),
        }[kind]

    def add(self, stream: str, events: list[Given], when: datetime) -> None:
        for event in events:
            self.log.append(
                Known(
                    stream, self.version(stream) + 1, len(self.log) + 1, event.type, event.data, when,
                    event.occurred_at, event.metadata, event.id or uuid.UUID(int=0),
                )
            )  # fmt: skip

    def learn_ids(self, recorded: list[Any]) -> None:
        """An id that was not supplied is taken over from the store, which `ids_rise` then checks."""
        for event in recorded:
            known = self.log[event.position - 1]
            if known.id.int == 0:
                known.id = event.id

    def fresh(self, events: list[Given]) -> list[Given]:
        """The same without ids that are taken: those are met by `append_again` and `take_an_id_again`."""
        taken = {event.id for event in self.log}
        for event in events:
            if event.id in taken or (event.id is not None and event.id.int == 0):
                event.id = None
            taken.add(event.id)
        return events

    # -- writing -----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 0.000001, 0.0005, 1, 3600, -1, -86400]))
    def time_goes_on_or_back(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(stream=st.sampled_from(STREAMS), events=BATCHES, kind=EXPECTED)
    def append(self, stream: str, events: list[Given], kind: str) -> None:
        events = self.fresh(events)
        before = self.version(stream)
        expected, holds = self.expected(kind, before)
        if not holds:
            with pytest.raises(ek.ConcurrencyError) as conflict:
                self.store.append(stream, [event.new() for event in events], expected_version=expected)
            error = conflict.value
            assert (error.stream, error.expected, error.actual) == (stream, expected, before)
            seen = expected if isinstance(expected, int) else 0
            unseen = [e.position for e in self.log if e.stream == stream and e.version > seen]
            assert [event.position for event in error.unseen] == unseen
            return
        when, first = self.time_of_next(), len(self.log) + 1
        receipt = self.store.append(stream, [event.new() for event in events], expected_version=expected)
        self.add(stream, events, when)
        assert (receipt.version, receipt.position, receipt.replayed) == (self.version(stream), len(self.log), False)
        self.learn_ids(receipt.events)
        assert [e.position for e in receipt.events] == list(range(first, first + len(events)))
        if all(event.id for event in events):
            self.batches.append((stream, events, (receipt.version, receipt.position)))

    @rule(
        parts=st.lists(st.tuples(st.sampled_from(STREAMS), BATCHES, EXPECTED), min_size=1, max_size=4),
    )
    def append_many(self, parts: list[tuple[str, list[Given], str]]) -> None:
        """A stream may occur twice; the second expectation sees the first."""
        self.fresh([event for _, events, _ in parts for event in events])
        versions = {stream: self.version(stream) for stream, _, _ in parts}
        appends, receipts, conflict = [], [], None
        for stream, events, kind in parts:
            expected, holds = self.expected(kind, versions[stream])
            appends.append(ek.Append(stream, [event.new() for event in events], expected_version=expected))
            if not holds and conflict is None:
                conflict = (stream, expected, versions[stream])
            versions[stream] += len(events)
            receipts.append(versions[stream])
        if conflict is not None:
            with pytest.raises(ek.ConcurrencyError) as raised:
                self.store.append_many(appends)
            assert (raised.value.stream, raised.value.expected, raised.value.actual) == conflict
            return
        when = self.time_of_next()
        done = self.store.append_many(appends)
        for stream, events, _ in parts:
            self.add(stream, events, when)
        assert [(receipt.stream, receipt.version) for receipt in done] == [
            (stream, version) for (stream, _, _), version in zip(parts, receipts, strict=True)
        ]
        for receipt in done:
            self.learn_ids(receipt.events)
        assert done[-1].position == len(self.log)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), kind=EXPECTED)
    def append_again(self, data: st.DataObject, kind: str) -> None:
        """The same batch with its ids: the first receipt, whatever version is expected."""
        stream, events, (version, position) = data.draw(st.sampled_from(self.batches))
        expected, _ = self.expected(kind, self.version(stream))
        receipt = self.store.append(stream, [event.new() for event in events], expected_version=expected)
        assert (receipt.version, receipt.position, receipt.replayed) == (version, position, True)
        assert [event.id for event in receipt.events] == [event.id for event in events]

    @precondition(lambda self: self.log)
    @rule(data=st.data(), event=EVENTS, stream=st.sampled_from(STREAMS))
    def take_an_id_again(self, data: st.DataObject, event: Given, stream: str) -> None:
        """An id that is there already, on anything else, is an error that names it."""
        known = data.draw(st.sampled_from(self.log))
        event.id = known.id
        if (stream, event.type, event.data) == (known.stream, known.type, known.data):
            event.amount += 10
        with pytest.raises(ek.DuplicateIdError, match=str(known.id)):
            self.store.append_many([ek.Append(STREAMS[0], ek.NewEvent(type="T")), ek.Append(stream, event.new())])

    @rule(
        rows=st.lists(
            st.tuples(st.sampled_from(STREAMS), st.integers(0, 2), st.integers(-3, 3)), min_size=1, max_size=6
        )
    )
    def load(self, rows: list[tuple[str, int, int]]) -> None:
        """Rows of a frame at their own times, which may be equal, from the store's last time on."""
        last = self.last_time() or START
        frame = pd.DataFrame(rows, columns=["thing", "seconds", "amount"])
        frame["time"] = pd.to_datetime([last + timedelta(seconds=s) for s in frame["seconds"]], utc=True)
        frame["what"] = "ModelNoted"
        columns = {"stream": "thing", "type": "what", "recorded_at": "time"}
        assert self.store.load(frame[["thing", "amount", "time", "what"]], **columns) == len(self.log) + len(rows)
        for stream, seconds, amount in sorted(rows, key=lambda row: row[1]):
            self.add(stream, [Given("ModelNoted", amount)], last + timedelta(seconds=seconds))
        self.learn_ids(list(self.store.read(after=len(self.log) - len(rows))))

    # -- moments -----------------------------------------------------------------------------------------------------

    def moment(self, data: st.DataObject) -> tuple[Any, int]:
        """A moment of any kind, and the position that it names by the list."""
        kinds = ["position", "time"] + (["id", "id text", "record", "event's time"] if self.log else [])
        kind = data.draw(st.sampled_from(kinds))
        if kind == "position":
            position = data.draw(st.integers(0, len(self.log)))
            return position, position
        if kind == "time":
            time = START + timedelta(seconds=data.draw(st.integers(-100_000, 100_000)))
            return time, self.position_at(time)
        event = data.draw(st.sampled_from(self.log))
        if kind == "event's time":
            time = event.recorded_at + data.draw(st.sampled_from([-US, 0 * US, US]))
            shown: Any = data.draw(st.sampled_from([time, time.isoformat(), pd.Timestamp(time)]))
            return shown, self.position_at(time)
        if kind == "record":
            return next(iter(self.store.read(after=event.position - 1, limit=1))), event.position
        return (event.id if kind == "id" else str(event.id)), event.position

    def position_at(self, time: datetime) -> int:
        return sum(event.recorded_at <= time for event in self.log)

    # -- reading -----------------------------------------------------------------------------------------------------

    @rule(data=st.data(), backwards=st.booleans(), limit=st.none() | st.integers(0, 5))
    def read_with_every_filter(self, data: st.DataObject, backwards: bool, limit: int | None) -> None:
        asked: dict[str, Any] = {}
        wanted = list(self.log)
        if data.draw(st.booleans()):
            asked["stream"] = data.draw(st.sampled_from([*STREAMS, "nobody"]))
            wanted = [e for e in wanted if e.stream == asked["stream"]]
        if "stream" not in asked and data.draw(st.booleans()):  # of another category is an error
            asked["category"] = data.draw(st.sampled_from(["account", "transfer", "x", "nothing"]))
            wanted = [e for e in wanted if e.stream.split("-")[0] == asked["category"]]
        if data.draw(st.booleans()):
            stored = {e.type for e in self.log}
            known = [ModelAdded, *(name for name in TYPES if name in stored)]  # any other is an error
            types: list[Any] = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
            asked["types"] = types
            wanted = [e for e in wanted if e.type in [t if isinstance(t, str) else t.__name__ for t in types]]
        if data.draw(st.booleans()):
            asked["after"], position = self.moment(data)
            wanted = [e for e in wanted if e.position > position]
        if data.draw(st.booleans()):
            asked["as_of"], position = self.moment(data)
            wanted = [e for e in wanted if e.position <= position]
        wanted = (wanted[::-1] if backwards else wanted)[: len(wanted) if limit is None else limit]
        read = self.store.read(**asked, backwards=backwards, limit=limit)
        self.compare(list(read), wanted)
        frame = read.df()
        assert frame["position"].tolist() == [e.position for e in wanted]
        assert frame["stream"].tolist() == [e.stream for e in wanted]
        assert frame["id"].tolist() == [str(e.id) for e in wanted]
        if len(self.reads) < 5:
            self.reads.append((read, [e.position for e in wanted]))

    def compare(self, found: list[ek.RecordedEvent], wanted: list[Known]) -> None:
        assert len(found) == len(wanted)
        for event, known in zip(found, wanted, strict=True):
            data = event.data.model_dump() if event.type == "ModelAdded" else event.data
            assert isinstance(event.data, ModelAdded) == (event.type == "ModelAdded")
            assert (event.stream, event.version, event.position) == (known.stream, known.version, known.position)
            assert (event.type, data, event.id) == (known.type, known.data, known.id)
            assert (event.recorded_at, event.occurred_at) == (known.recorded_at, known.occurred_at)
            assert event.metadata == known.metadata

    @rule(data=st.data(), which=st.sampled_from(PLAIN))
    def replay_and_history_agree(
        self, data: st.DataObject, which: tuple[Callable[[], ek.Projection], Callable[[list[Known]], Any]]
    ) -> None:
        make, plain = which
        moment, position = self.moment(data)
        assert self.store.replay(make(), as_of=moment) == plain(self.log[:position])
        history = self.store.history(make())
        assert history.at(moment) == plain(self.log[:position])
        frame = history.df()
        assert frame["position"].is_monotonic_increasing
        if len(self.histories) < 5:
            self.histories.append((history, plain, list(self.log)))

    @rule(data=st.data(), stream=st.sampled_from([*STREAMS, "nobody"]))
    def replay_one_key(self, data: st.DataObject, stream: str) -> None:
        moment, position = self.moment(data)
        states = plain_total(self.log[:position])
        assert self.store.replay(total(), key=stream, as_of=moment) == states.get(stream, 0)
        wanted = {stream: states[stream]} if stream in states else {}
        assert self.store.history(total(), key=stream).at(moment) == wanted

    @rule(data=st.data(), category=st.sampled_from(["account", "transfer", "nothing"]))
    def replay_one_category(self, data: st.DataObject, category: str) -> None:
        moment, position = self.moment(data)
        wanted = {
            key: state
            for key, state in plain_total(self.log[:position]).items()
            if key.split("-")[0] == category
        }  # fmt: skip
        assert self.store.replay(total(), category=category, as_of=moment) == wanted
        assert self.store.history(total(), category=category).at(moment) == wanted

    @rule()
    def older_reads_and_histories_still_hold(self) -> None:
        """A cut is fixed when it is made; the past does not change."""
        for read, positions in self.reads:
            assert [event.position for event in read] == positions
        for history, plain, log in self.histories:
            for position in {0, len(log) // 2, len(log)}:
                assert history.at(position) == plain(log[:position])

    @rule()
    def the_overview_counts(self) -> None:
        streams = self.store.streams()
        assert streams["stream"].tolist() == list(dict.fromkeys(e.stream for e in self.log))
        assert streams["version"].tolist() == [self.version(s) for s in streams["stream"]]
        for row in streams.itertuples():
            own = [e.recorded_at for e in self.log if e.stream == row.stream]
            assert (row.first_recorded_at, row.last_recorded_at) == (own[0], own[-1])
        types = self.store.types()
        assert types["type"].tolist() == list(dict.fromkeys(e.type for e in self.log))
        assert types["events"].tolist() == [sum(e.type == t for e in self.log) for t in types["type"]]

    @invariant()
    def position_and_versions_agree(self) -> None:
        if hasattr(self, "store"):
            assert self.store.position == len(self.log)
            for stream in STREAMS[:3]:
                assert self.store.version(stream) == self.version(stream)


class FolderMachine(StoreMachine):
    """The same over files; the store is closed and opened again, or opened beside the old handle."""

    on_disk = True

    @rule()
    def close_and_open_again(self) -> None:
        self.reads.clear()
        self.histories.clear()
        self.store.close()
        self.store = self.opened()

    @rule()
    def open_beside_the_old_handle(self) -> None:
        """As a cell does that is run again: the old handle still reads, its reads and histories too."""
        old, self.store = self.store, self.opened()
        assert old.position == len(self.log)
        with pytest.raises(ek.SupersededError):
            old.append("x", ek.NewEvent(type="T"))

    @rule()
    def read_only_sees_the_same(self) -> None:
        with ek.EventStore(self.folder, read_only=True) as beside:
            self.compare(list(beside.read()), self.log)


TestStoreInMemory = StoreMachine.TestCase
TestStoreInMemory.settings = settings(max_examples=40, stateful_step_count=30)
TestStoreInAFolder = FolderMachine.TestCase
TestStoreInAFolder.settings = settings(max_examples=12, stateful_step_count=25)

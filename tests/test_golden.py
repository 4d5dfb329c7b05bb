"""The golden stores: every version of the kit reads them, through every view, with these answers."""

from __future__ import annotations

import shutil
import uuid
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.events import schema
from eventsourcing_kit.records import record
from eventsourcing_kit.storage import keys
from eventsourcing_kit.storage.location import Location
from eventsourcing_kit.storage.slate.table import Table
from tests.golden.make import Deposited, Enrolled, Opened, make, make_tagged

GOLDEN = Path(__file__).parent / "golden" / "format_1"
STORE_ID = uuid.UUID("8c96bce4-3359-4f1e-80ec-045ffee1b99a")
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
LOADED = datetime(2026, 1, 6, tzinfo=UTC)
US = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def types() -> None:
    """The classes of `make`, whichever module was imported or cleared the registry before."""
    schema.register(Opened, "Golden.Opened", 1)
    schema.register(Deposited, "Golden.Deposited", 2)
    schema.register(Enrolled, "Golden.Enrolled", 1)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


@pytest.fixture
def golden(copied: Path) -> Iterator[ek.EventStore]:
    with ek.EventStore(copied, read_only=True) as store:
        yield store


def records_in(folder: Path) -> list[bytes]:
    table = Table(Location(folder), read_only=True)
    try:
        return [value for _, value in table.scan(*keys.LOG)]
    finally:
        table.close()


def total() -> ek.Projection:
    made = ek.Projection("total", initial=lambda: 0)
    made.on(Deposited)(lambda state, event: state + event.amount)
    made.on("Golden.Step")(lambda state, event: state + event["n"])
    return made


def test_its_first_events_read_back_with_every_attribute(golden: ek.EventStore) -> None:
    """Typed and loose ones, supplied and made ids, occurred_at and metadata."""
    minute = [START + timedelta(minutes=n) for n in range(4)]
    moon = datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=UTC)
    deep = {"deep": [{"a": 1.5, "b": True}], "": "–"}
    wanted: list[tuple[Any, ...]] = [
        (
            "019b8d62-7a80-7000-8000-0001a5b0da61",
            "account-1",
            1,
            Opened(owner="Ada", limit=Decimal("12.50")),
            minute[0],
        ),
        (
            "019b8d63-64e0-7000-8000-0002fcf70c16",
            "account-1",
            2,
            Deposited(amount=10**20, tags=("a", "ä😀")),
            minute[1],
        ),
        ("019b8d63-64e0-7000-8000-0003d6015503", "account-1", 3, Deposited(amount=5, receipt=b"\x00\xff"), minute[1]),
        ("019b8d64-4f40-7000-8000-0004da440ee4", "account-1", 4, Deposited(amount=-30, on=date(2026, 1, 5)), minute[2]),
        ("019b8d64-4f40-7000-8000-0005f84c8fbe", "account\x00", 1, {"x": None}, minute[2]),
        ("00000000-0000-0000-0000-000000000007", "account\x00", 2, {}, minute[2]),
        ("019b8d65-39a0-7000-8000-00075441cf13", "notes-1", 1, deep, minute[3]),
        ("019b909a-7400-7000-8000-0008e369aa25", "c-1", 1, {"n": 0}, LOADED),
    ]
    events = list(golden.read(as_of=8))
    assert [(str(e.id), e.stream, e.version, e.data, e.recorded_at) for e in events] == wanted
    assert [e.position for e in events] == list(range(1, 9))
    assert [e.schema_version for e in events] == [1, 2, 2, 2, 1, 1, 1, 1]
    assert [e.occurred_at for e in events] == [None] * 6 + [moon, None]
    assert [e.metadata for e in events] == [{}] * 6 + [{"by": "ada", "n": [1]}, {}]


def test_the_whole_of_it_is_there(golden: ek.EventStore) -> None:
    """48 events in five streams, of four types."""
    assert (golden.position, golden.version("account-1"), golden.version("c-2")) == (48, 5, 20)
    assert golden.streams()[["stream", "category", "version"]].values.tolist() == [
        ["account-1", "account", 5], ["account\x00", "account\x00", 2], ["notes-1", "notes", 1],
        ["c-1", "c", 20], ["c-2", "c", 20],
    ]  # fmt: skip
    assert golden.types()[["type", "events", "schema_versions"]].values.tolist() == [
        ["Golden.Opened", 1, [1]], ["Golden.Deposited", 4, [2]], ["Golden.Noted", 3, [1]], ["Golden.Step", 40, [1]],
    ]  # fmt: skip
    frame = golden.read().df()
    assert frame["position"].tolist() == list(range(1, 49))
    assert frame["n"].dropna().tolist() == list(range(40))
    assert frame["id"].iloc[-1] == "019b909a-7400-7000-8000-00305c8cf6bc"
    assert frame["recorded_at"].iloc[-1] == pd.Timestamp(LOADED + 2 * US)


def test_its_filters_and_moments_work(golden: ek.EventStore) -> None:
    """Streams through their index, times through theirs, supplied and made ids."""
    assert [e.position for e in golden.read("account-1")] == [1, 2, 3, 4, 48]
    assert [e.position for e in golden.read("account-1", backwards=True, limit=2)] == [48, 4]
    assert [e.position for e in golden.read("c-1", after=44)] == [46]
    assert [e.position for e in golden.read(category="account", types=[Deposited])] == [2, 3, 4, 48]
    for moment, position in {
        START - US: 0, START: 1, START + US: 1, START + timedelta(minutes=2): 6, LOADED - US: 7, LOADED: 37,
        LOADED + US: 47, LOADED + 2 * US: 48, uuid.UUID(int=7): 6, "019b8d64-4f40-7000-8000-0005f84c8fbe": 5,
    }.items():  # fmt: skip
        assert len(list(golden.read(as_of=moment))) == position, moment


def test_its_replays_and_histories_agree(golden: ek.EventStore) -> None:
    """At every position."""
    history = golden.history(total())
    for position in range(49):
        assert history.at(position) == golden.replay(total(), as_of=position)
    assert history.at(48) == {"account-1": 10**20 - 24, "c-1": 380, "c-2": 400}
    assert history.at(4) == {"account-1": 10**20 - 25}
    assert len(history.df()) == 44


def test_its_commits_form_one_chain(copied: Path) -> None:
    """Format, store id, the previous commit's hash."""
    previous = record.NO_PREVIOUS
    commits = []
    for raw in records_in(copied):
        commit = record.decode(raw)
        assert (raw[2], commit.store, commit.previous) == (1, STORE_ID, previous)
        previous = record.digest(raw)
        commits.append((commit.first, commit.count))
    assert commits == [(1, 1), (2, 2), (4, 3), (7, 1), (8, 40), (48, 1)]


def test_it_can_be_written_on(copied: Path) -> None:
    """Ids rise, time goes on, its ids are known, and it is still the same store."""
    with ek.EventStore(copied, clock=lambda: START, fsync=False) as store:
        assert store.append("x", ek.NewEvent(type="Golden.Noted", id=uuid.UUID(int=8))).position == 49
        again = store.append("account\x00", ek.NewEvent(type="Golden.Noted", id=uuid.UUID(int=7)))
        assert (again.replayed, again.position) == (True, 6)
        with pytest.raises(ek.ConcurrencyError):
            store.append("account-1", Deposited(amount=1), expected_version=4)
        event = store.append("account-1", Deposited(amount=1), expected_version=5).events[0]
        assert event.recorded_at == LOADED + 4 * US
        assert str(event.id) > "019b909a-7400-7000-8000-00305c8cf6bc"
        assert store.position == 50


def test_what_made_it_makes_the_same_today(copied: Path, tmp_path: Path) -> None:
    """With the same clock and seed: the bodies of all commits, compression aside."""
    make(tmp_path / "today")
    today, then = ([body(raw) for raw in records_in(folder)] for folder in (tmp_path / "today", copied))
    assert today == then


def body(raw: bytes) -> bytes:
    return zlib.decompress(raw[52:]) if raw[3] else raw[52:]


# format 2

TAGGED = GOLDEN.parent / "format_2"
LONG = "course:" + "9" * 990


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TAGGED, tmp_path / "tagged"))


def test_the_tags_of_format_2_read_back(tagged: Path) -> None:
    """Of classes and given ones, of batches and loads; and everything beside them."""
    with ek.EventStore(tagged, read_only=True) as store:
        events = list(store.read())
        assert [event.tags for event in events[:6]] == [
            ("student:s1", "course:7"), (), ("student:s2", "with_others:s1", "with_others:s3"), (),
            ("student:s3", "course:7", "vip"), ("a", "a\x00", "ä😀", ":", LONG),
        ]  # fmt: skip
        assert [event.tags for event in events[6:12]] == [("many", f"n:{n}") for n in range(6)]
        assert [event.tags for event in events[12:]] == [(f"order:{n % 3}",) if n % 5 else () for n in range(20)]
        assert events[0].data == Enrolled(student="s1", course=7)
        assert (events[1].data, events[4].id, events[5].recorded_at) == (
            {"tags": ["none"]}, uuid.UUID(int=7), START + timedelta(minutes=3)
        )  # fmt: skip
        assert [str(events[n].id) for n in (0, 31)] == [
            "019b8d62-7a80-7000-8000-0001a3e13431", "019b909a-7400-7000-8000-0020b06850a4"
        ]  # fmt: skip
        frame = store.read().df()
        assert frame["tags"].tolist() == [event.tags for event in events]
        assert frame["data_tags"].dropna().tolist() == [["none"]]
        assert store.verify()


def test_the_commits_of_format_2_form_one_chain_with_those_of_format_1(tagged: Path) -> None:
    """A commit without tags is of format 1."""
    previous = record.NO_PREVIOUS
    found = []
    for raw in records_in(tagged):
        commit = record.decode(raw)
        assert commit.previous == previous
        previous = record.digest(raw)
        found.append((commit.first, commit.count, raw[2]))
    assert found == [(1, 1, 2), (2, 1, 1), (3, 3, 2), (6, 1, 2), (7, 6, 2), (13, 20, 2)]


def test_a_store_of_format_1_goes_on_with_tags(copied: Path) -> None:
    """Only what has tags is of format 2; the rest stays as it was."""
    then = records_in(copied)
    with ek.EventStore(copied, clock=lambda: START, fsync=False) as store:
        assert "tags" not in store.read("account-1", as_of=1).df().columns
        store.append("x", Enrolled(student="s1"))
        store.append("x", ek.NewEvent(type="Golden.Noted"))
        assert store.read(after=47).df()["tags"].tolist() == [(), ("student:s1",), ()]
        assert store.read().df().columns.tolist()[8:10] == ["metadata", "tags"]
        assert store.verify()
    now = records_in(copied)
    assert now[: len(then)] == then
    assert [raw[2] for raw in now[len(then) :]] == [2, 1]


def test_what_made_format_2_makes_the_same_today(tagged: Path, tmp_path: Path) -> None:
    """With the same clock and seed: the bodies of all commits, compression aside."""
    make_tagged(tmp_path / "today")
    today, then = ([body(raw) for raw in records_in(folder)] for folder in (tmp_path / "today", tagged))
    assert today == then

"""What the explorer's page knows is what histories answer: its functions, run under node, against Python's answers."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest

import eventsourcing_kit as ek
from eventsourcing_kit.exploring import values
from eventsourcing_kit.exploring.packing import LIMITS, Limits, pack

HERE = Path(__file__).parent
MODULE = HERE.parent / "eventsourcing_kit" / "exploring" / "explorer.mjs"
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not shutil.which("node"), reason="needs node, which runs the page's functions"),
]


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """Asks the page's functions about one history, or two."""

    def answers(histories: list[ek.History], *questions: Any, **house: Any) -> list[Any]:
        packed = pack(
            histories, values.House.of(house.get("fields"), house.get("redact")), limits=house.get("limits", LIMITS)
        )
        (tmp_path / "packed").write_bytes(packed)
        asked = [one if isinstance(one, tuple) else (one, None) for one in questions]
        (tmp_path / "questions").write_text(json.dumps(asked))
        command = ["node", str(HERE / "explorer_answers.mjs"), str(MODULE)]
        run = subprocess.run(
            [*command, str(tmp_path / "packed"), str(tmp_path / "questions")],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        found: list[Any] = json.loads(run.stdout)
        return found

    return answers


def random_store(seed: int, events: int = 120) -> ek.EventStore:
    """Some accounts with deposits, withdrawals, and now and then an end; several events at a time, metadata, ids."""
    draw = random.Random(seed)
    store = ek.EventStore(seed=seed, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="7min"))
    while store.position < events:
        batch = []
        for _ in range(draw.randint(1, 5)):
            kind = draw.choice(["In", "In", "Out", "Note", "Ended"] if draw.random() < 0.2 else ["In", "Out", "Note"])
            data: dict[str, Any] = {} if kind == "Ended" else {"amount": draw.randint(1, 99)}
            if draw.random() < 0.3:
                data["by"] = draw.choice(["Ada", "Bo", None, "</script><b>"])
            more = {"metadata": {"run": draw.randint(1, 3)}} if draw.random() < 0.3 else {}
            if draw.random() < 0.2:
                more["id"] = UUID(int=draw.getrandbits(128))
            if draw.random() < 0.2:
                more["occurred_at"] = datetime(2026, 1, 4, draw.randint(0, 23), tzinfo=UTC)
            batch.append(ek.NewEvent(type=kind, data=data, **more))
        store.append(f"account-{draw.randint(1, 6)}", batch)
    return store


def account() -> ek.Projection:
    """States with fields that come, change kind and go; keys that end and begin again; events without handler."""
    made = ek.Projection("account", initial=lambda: {"balance": 0})

    @made.on("In", "Out")
    def moved(state: dict[str, Any], event: dict[str, Any], recorded: ek.RecordedEvent) -> dict[str, Any]:
        sign = 1 if recorded.type == "In" else -1
        found = {**state, "balance": state["balance"] + sign * event["amount"], "last": recorded.recorded_at}
        if "by" in event:
            found["by"] = event["by"]
        if found["balance"] % 7 == 0:
            found["odd"] = [found["balance"], {"deep": (1, 1.0, True)}]
        return found

    @made.on("Ended")
    def ended(_state: Any, _event: Any) -> Any:
        return ek.GONE

    return made


def as_trees(states: dict[Any, Any]) -> dict[str, Any]:
    """States by key as the page tells them."""
    from eventsourcing_kit.folding.history import fields_of

    return {
        values.key_text(key): {name: values.tree(one) for name, one in fields_of(state).items()}
        for key, state in states.items()
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_states_are_those_of_the_history_at_every_position(ask: Any, seed: int) -> None:
    store = random_store(seed)
    history = store.history(account())
    found = ask([history], *[("at", position) for position in range(store.position + 1)])
    assert found == [as_trees(history.at(position)) for position in range(store.position + 1)]


@pytest.mark.parametrize("seed", [1, 2])
def test_wandering_through_moments_ends_where_going_there_at_once_does(ask: Any, seed: int) -> None:
    """Backwards and forwards, over ends and new beginnings of keys."""
    history = random_store(seed).history(account())
    ways = [random.Random(seed).randint(0, history.as_of) for _ in range(60)]
    wandered, fresh = ask([history], ("wander", ways), ("fresh", ways))
    assert wandered == fresh


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_differences_are_those_of_diff_with_the_events_that_set_them(ask: Any, seed: int) -> None:
    history = random_store(seed).history(account())
    draw = random.Random(seed)
    pairs = [sorted(draw.sample(range(history.as_of + 1), 2)) for _ in range(12)]
    for (before, after), found in zip(pairs, ask([history], *[("diff", pair) for pair in pairs]), strict=True):
        expected = history.diff(before, after)
        rows = expected[["key", "field", "position"]].astype(object).where(expected["position"].notna(), None)
        assert sorted(map(tuple, found["rows"]), key=str) == sorted(rows.itertuples(index=False, name=None), key=str)
        assert found["keys"] == expected["key"].nunique()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_why_names_the_events_that_blame_names(ask: Any, seed: int) -> None:
    history = random_store(seed).history(account())
    asked = [(key, at) for at in range(0, history.as_of + 1, 9) for key in history.at(at)]
    for (key, at), found in zip(asked, ask([history], *[("blame", one) for one in asked]), strict=True):
        assert sorted(found) == sorted(history.blame(key, as_of=at)[["field", "position"]].values.tolist())


def test_events_are_told_as_they_are_read(ask: Any) -> None:
    """Id (made or supplied), version, times, data and metadata."""
    store = random_store(4)
    events = list(store.read())
    for event, found in zip(
        events, ask([store.history(account())], *[("event", one.position) for one in events]), strict=True
    ):
        assert found["id"] == str(event.id)
        assert found["position"] == event.position
        assert (found["type"], found["stream"], found["version"]) == (event.type, event.stream, event.version)
        assert found["time"] == event.recorded_at.isoformat().replace("+00:00", "Z")
        assert found.get("occurredUs") == (
            (event.occurred_at - events[0].recorded_at) // timedelta(microseconds=1) if event.occurred_at else None
        )
        assert found["data"] == {name: values.tree(one) for name, one in event.data.items()}
        assert found["metadata"] == event.metadata


def every_kind() -> list[Any]:
    """Values of every kind that a state may have."""
    half = timezone(timedelta(hours=5, minutes=30))
    return [
        *(0, 1, -1, 255, 256, 2**31, -(2**31), 2**53 - 1, 2**53, 10**40, True, False),
        *(0.0, -0.0, 0.1, 12.34, 1e-300, 1e22, 123456789.0, float("nan"), float("inf"), -float("inf"), 1e16, 2.5e17),
        *("", "text", "</script><script>alert(1)</script>", "ü🙂", "true", "1", "\x00\x1f"),
        *(Decimal("12.50"), Decimal("-1E+3"), b"\x00\xff", date(2026, 1, 5), timedelta(hours=1)),
        *(datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2026, 1, 5, 9, 0, 0, 1, tzinfo=half), datetime(2026, 1, 5, 9)),
        *([1, [2.0, None]], (1, 2), {1, 2}, {"$": "number"}, {1: "a"}, {"a": {"b": [Decimal(1)]}}, {}, []),
        *(UUID(int=7), datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    ]


def kept_states(states: list[Any], name: str = "value") -> ek.History:
    """A history with these states of one key."""
    store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1s"))
    store.append("a", [ek.NewEvent(type="ExploredValue", data={"at": at}) for at in range(len(states))])
    made = ek.Projection("value", initial=lambda: None)

    @made.on("ExploredValue")
    def value(_state: Any, event: dict[str, Any]) -> Any:
        return {name: states[event["at"]]}

    return store.history(made)


def test_values_of_every_kind_come_through(ask: Any) -> None:
    """Beside each other, and each kind alone, which is packed in its own way."""
    mixed = every_kind()
    kinds: dict[type, list[Any]] = {}
    for value in mixed:
        kinds.setdefault(type(value), []).append(value)
    for states in [mixed, *kinds.values(), *([*kind, None] for kind in kinds.values())]:
        history = kept_states(states)
        found = ask([history], *[("at", position) for position in range(1, len(states) + 1)])
        assert [one["a"]["value"] for one in found] == [values.tree(value) for value in states]


def test_columns_are_recognised_by_their_values(ask: Any) -> None:
    store = ek.EventStore()
    store.append("a", ek.NewEvent(type="ExploredLook", data={}))
    made = ek.Projection("look", initial=lambda: None)
    nested = {"deep": [1]}
    state = {"n": 1, "f": 1.5, "d": Decimal(1), "b": True, "t": "x", "when": datetime(2026, 1, 5, tzinfo=UTC)}

    @made.on("ExploredLook")
    def look(_state: Any, _event: Any) -> Any:
        return {**state, "nested": nested, "none": None}

    (looks,) = ask([store.history(made)], "looks")
    assert looks == {
        **{"n": "number", "f": "number", "d": "number", "b": "flag", "t": "category", "when": "time"},
        **{"nested": "nested", "none": "category"},
    }


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("balance < 0", lambda state: state["balance"] < 0),
        ("BALANCE >= 50 and by = Ada", lambda state: state["balance"] >= 50 and state.get("by") == "Ada"),
        ('balance > 90 or by = "Bo"', lambda state: state["balance"] > 90 or state.get("by") == "Bo"),
        ("by = null", lambda state: "by" in state and state["by"] is None),
        ("by ~ script", lambda state: "script" in (state.get("by") or "")),
        ("last >= 2026-01-05T12:00:00Z", lambda state: state["last"] >= datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("balance != 7", lambda state: state["balance"] != 7),
    ],
)
def test_a_search_finds_the_states_that_first_finds(ask: Any, condition: str, holds: Any) -> None:
    """All of them; the first is the event that `history.first` names."""
    history = random_store(5).history(account())
    (found,) = ask([history], ("search", condition))
    rows = [int(history.rows.positions[row]) for row, state in history.rows.each() if "last" in state and holds(state)]
    assert found == rows
    first = history.first(lambda state: "last" in state and holds(state))
    assert found[:1] == ([first.position] if first else [])


def test_a_search_looks_at_events_too(ask: Any) -> None:
    store = random_store(6)
    events = list(store.read())
    notes, text, amount, key, where = ask(
        [store.history(account())],
        *(("search", one) for one in ("type = Note", "note", "data.amount > 90", "key ~ T-3", "position <= 5")),
    )
    assert notes == text == [one.position for one in events if one.type == "Note"]
    assert amount == [one.position for one in events if one.data.get("amount", 0) > 90]
    assert key == [one.position for one in events if one.stream == "account-3" and one.type != "Note"]
    assert where == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("text", ["balance <", "< 3", "balnce < 3", "a and b < 3"])
def test_a_search_that_cannot_be_says_what_to_write(ask: Any, text: str) -> None:
    (found,) = ask([random_store(7, 10).history(account())], ("search", text))
    assert "there are balance" in found or "write for example" in found


def test_times_are_told_to_the_microsecond_also_before_1970(ask: Any) -> None:
    times = ["1815-12-10T12:00:00.000001Z", "1969-12-31T23:59:59.999999Z", "2026-03-29T01:30:00Z"]
    frame = pd.DataFrame({"s": "a", "t": "x", "time": [datetime.fromisoformat(one) for one in times]})
    store = ek.from_frame(frame, stream="s", type="t", recorded_at="time")
    count = ek.Projection("count", fields={"n": ek.fold.count("x")})
    found, said = ask([store.history(count)], "times", "said")
    assert found == times
    assert said[1] == "Wed 31 Dec 1969 23:59:59.999999"


def test_ticks_stand_at_round_times(ask: Any) -> None:
    history = random_store(8).history(account())
    day = 86_400_000_000
    hours, days, years = ask(
        [history], ("ticks", [0, day, 8]), ("ticks", [0, 20 * day, 6]), ("ticks", [0, 3000 * day, 5])
    )
    assert [text for _, text in hours][:3] == ["09:00", "12:00", "15:00"]
    assert all(at.endswith("T00:00:00Z") for at, _ in days)
    assert [text for _, text in years][:2] == ["2028", "2030"]
    assert max(len(hours), len(days), len(years)) <= 9


def test_every_event_is_in_the_density_strip(ask: Any) -> None:
    """By type, however wide the strip is."""
    store = random_store(9)
    for width in (1, 37, 400, 5000):
        (found,) = ask([store.history(account())], ("density", [width, 3]))
        assert found["types"] == store.types()["events"].tolist()
        assert sum(found["whole"]) == store.position


def test_two_histories_of_one_store_part_where_a_rule_first_differs(ask: Any) -> None:
    store = random_store(10)
    other = account()

    @other.on("Note")
    def noted(state: dict[str, Any], _event: Any) -> dict[str, Any]:
        return {**state, "balance": state["balance"] - 1}

    one, two = store.history(account()), store.history(other)
    (part, *states) = ask([one, two], "parting", *[("other", at) for at in range(store.position + 1)])
    first = ek.compare(one, two).first()
    assert part == store.read(as_of=first["one_recorded_at"] or first["other_recorded_at"]).df()["position"].max()
    assert states == [as_trees(two.at(at)) for at in range(store.position + 1)]


def test_two_logs_that_begin_alike_share_what_is_alike(ask: Any) -> None:
    """Here a log and an older one of it to which other things happened: what is shared stands once."""
    frame = random_store(11, 60).read().df(raw=True)
    base = ek.from_frame(frame)
    longer = ek.from_frame(frame)
    for store, amount in ((base, 5), (longer, 6)):
        store.append("account-1", ek.NewEvent(type="In", data={"amount": amount}))
    one, two = base.history(account()), longer.history(account())
    header, part, last, other = ask([one, two], "header", "parting", ("one", 10**6), ("other", 10**6))
    assert header["entries"] == base.position + 1
    assert part > base.position - 1
    assert (last, other) == (as_trees(one.at(one.as_of)), as_trees(two.at(two.as_of)))


def test_one_state_over_the_whole_log_is_there_from_the_start(ask: Any) -> None:
    store = random_store(12, 30)
    total = ek.Projection("total", initial=lambda: {"moved": 0, "last": None}, key=None)

    @total.on("In", "Out")
    def moved(state: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        return {"moved": state["moved"] + event["amount"], "last": event.get("by")}

    history = store.history(total)
    found = ask([history], *[("at", position) for position in range(store.position + 1)])
    assert found == [as_trees({None: history.at(position)}) for position in range(store.position + 1)]
    (blamed,) = ask([history], ("blame", ["the whole log", store.position]))
    assert sorted(blamed) == sorted(history.blame(as_of=store.position)[["field", "position"]].values.tolist())


def test_of_a_long_log_the_end_is_packed_with_the_states_it_begins_with(ask: Any) -> None:
    """What is left out is said; states, differences and ids within are exact."""
    store = random_store(13)
    history = store.history(account())
    start = store.position - 50
    header, *found = ask(
        [history], "header", *[("at", at) for at in range(start, store.position + 1)], limits=Limits(entries=50)
    )
    assert header["entries"] == 50
    assert found == [as_trees(history.at(position)) for position in range(start, store.position + 1)]
    assert any(f"the last 50 events of {store.position}" in note for note in header["notes"])
    (event,) = ask([history], ("event", 50), limits=Limits(entries=50))
    assert event["id"] == str(list(store.read())[-1].id)


def test_of_a_long_log_data_is_packed_of_a_sample_and_said(ask: Any) -> None:
    store = random_store(14)
    history = store.history(account())
    limits = Limits(in_full=100, sampled=10)
    header, *found = ask([history], "header", *[("event", at + 1) for at in range(store.position)], limits=limits)
    every = -(-store.position // 10)
    assert [one["position"] for one in found if "data" in one] == [
        at for at in range(1, store.position + 1) if (store.position - at) % every == 0
    ]
    assert any(f"of one event in {every}" in note for note in header["notes"])
    (named,) = ask([history], ("event", 2), limits=limits, fields=["amount", "balance"])
    assert set(named.get("data", {})) <= {"amount"}


def test_an_empty_log_is_packed_as_well(ask: Any) -> None:
    (header,) = ask([ek.EventStore().history(account())], "header")
    assert header["entries"] == 0


@pytest.fixture
def secrets() -> ek.EventStore:
    """A log with a secret in each place where one can be."""
    store = ek.EventStore()
    person = {"name": "Ada", "address": {"city": "secret-city", "mail": ["secret-mail"]}, "amount": 5}
    store.append("secret-stream", ek.NewEvent(type="Joined", data=person, metadata={"ip": "secret-ip"}))
    return store


def members() -> ek.Projection:
    """What is known of people."""
    made = ek.Projection("members", initial=lambda: None)

    @made.on("Joined")
    def joined(_state: Any, event: dict[str, Any]) -> Any:
        return {"city": event["address"]["city"], "amount": event["amount"]}

    return made


def test_only_the_fields_that_are_named_leave_the_house(tmp_path: Path, secrets: ek.EventStore) -> None:
    whole = unpacked(pack([secrets.history(members())], values.House.of(None, None)))
    some = unpacked(pack([secrets.history(members())], values.House.of(["amount"], None)))
    none = unpacked(pack([secrets.history(members())], values.House.of([], None)))
    assert all(secret in whole for secret in (b"secret-city", b"secret-mail", b"secret-ip", b"secret-stream"))
    assert not any(secret in some + none for secret in (b"secret-city", b"secret-mail", b"secret-ip"))


def test_what_redact_returns_is_all_that_leaves_the_house(secrets: ek.EventStore) -> None:
    """Of nested values too, and of keys and streams."""
    seen = []

    def redact(name: str, value: Any) -> Any:
        seen.append(name)
        return "***" if name in ("city", "mail", "ip", "key", "stream") else value

    packed = unpacked(pack([secrets.history(members())], values.House.of(None, redact)))
    assert b"secret" not in packed
    assert {"key", "stream", "address", "city", "mail", "ip", "amount"} <= set(seen)


def unpacked(packed: bytes) -> bytes:
    import gzip

    return gzip.decompress(packed)


@pytest.mark.parametrize(
    ("fields", "said"),
    [("amount", "give a list"), (["amuont"], "there are 'amount'"), ([1], "text as names"), (5, "give a list")],
)
def test_fields_that_are_none_are_refused(tmp_path: Path, secrets: ek.EventStore, fields: Any, said: str) -> None:
    with pytest.raises(ek.EventSourcingError, match=said):
        ek.explore(secrets, members(), fields=fields).save(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_redact_that_fails_names_the_field(tmp_path: Path, secrets: ek.EventStore) -> None:
    with pytest.raises(ek.EventSourcingError, match=r"redact .* failed on the field 'stream': ZeroDivisionError"):
        ek.explore(secrets, members(), redact=lambda name, value: 1 / 0).save(tmp_path / "page.html")

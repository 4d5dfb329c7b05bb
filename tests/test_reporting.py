"""The reporting database: tables that agree with the log, whatever happens to them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import eventsourcing_kit as ek
from tests.faults import log_of

WAIT = 60


class Opened(ek.Event):
    owner: str


class Deposited(ek.Event):
    amount: int


class Closed(ek.Event):
    pass


def balances(name: str = "balance") -> ek.Projection:
    made = ek.Projection(name, initial=lambda: 0)
    made.on(Deposited)(lambda state, event: state + event.amount)
    made.on(Closed)(lambda state, event: ek.GONE)
    return made


def counting(name: str = "counted", **options: Any) -> ek.Projection:
    made = ek.Projection(name, initial=lambda: 0, **options)
    made.on(Opened, Deposited, Closed)(lambda state, event: state + 1)
    return made


def one_of(rows: list[Any]) -> Any:
    """A handler whose state is the one that the event points at."""
    return lambda state, event: rows[event["at"]]


def states(db: ek.ReportingDatabase, table: str = "balance") -> dict[Any, Any]:
    rows = db.sql(f"SELECT key, state FROM {table}")
    return {key: None if pd.isna(state) else state for key, state in rows.itertuples(index=False, name=None)}


def as_of(db: ek.ReportingDatabase, table: str, position: int) -> dict[Any, Any]:
    rows = db.sql(
        f"SELECT key, state FROM {table} WHERE position <= $at AND (position_to IS NULL OR position_to > $at)",
        {"at": position},
    )
    return dict(rows.itertuples(index=False, name=None))


def lag_of(db: ek.ReportingDatabase, store: ek.EventStore, table: str) -> dict[str, Any]:
    return dict(db.lag(store).set_index("table").loc[table])


@pytest.fixture
def db() -> Iterator[ek.ReportingDatabase]:
    with ek.ReportingDatabase() as made:
        yield made


@pytest.fixture
def bank(store: ek.EventStore) -> ek.EventStore:
    store.append("account-1", [Opened(owner="Ada"), Deposited(amount=100)])
    store.append("account-2", [Opened(owner="Bob"), Deposited(amount=7)])
    store.append("account-1", Deposited(amount=-30))
    return store


# a projection as a table


def test_a_table_has_a_row_a_key(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    assert db.sql("SELECT * FROM balance").empty
    lag = db.update(bank)
    assert states(db) == {"account-1": 70, "account-2": 7} == bank.replay(balances())
    assert lag["table"].tolist() == ["events", "balance"]
    assert lag["behind"].tolist() == [0, 0]
    assert lag["state"].tolist() == ["current", "current"]


def test_a_row_goes_with_its_key_and_comes_back(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    db.update(bank)
    bank.append("account-1", Closed())
    db.update(bank)
    assert states(db) == {"account-2": 7}
    bank.append("account-1", Deposited(amount=1))
    db.update(bank)
    assert states(db) == {"account-1": 1, "account-2": 7}


def test_keys_may_be_streams_fields_functions_or_one_for_all(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    keys: dict[str, Any] = {
        "by_stream": counting("by_stream"),
        "by_version": counting("by_version", key=lambda event: event.version),
        "by_tuple": counting("by_tuple", key=lambda event: (event.stream, event.version % 2 == 0)),
        "of_all": counting("of_all", key=None),
    }
    amounts = ek.Projection("by_amount", initial=lambda: 0, key="amount")
    amounts.on(Deposited)(lambda state, event: state + 1)
    for projection in [*keys.values(), amounts]:
        db.add(projection)
    db.update(bank)
    assert states(db, "by_stream") == bank.replay(keys["by_stream"])
    assert states(db, "by_version") == {1: 2, 2: 2, 3: 1}
    assert states(db, "by_amount") == {100: 1, 7: 1, -30: 1}
    rows = db.sql("SELECT key, state FROM by_tuple ORDER BY CAST(key AS VARCHAR)").values.tolist()
    assert rows == [
        [["account-1", False], 2],
        [["account-1", True], 1],
        [["account-2", False], 1],
        [["account-2", True], 1],
    ]
    assert states(db, "of_all") == {None: 5} or db.sql("SELECT state FROM of_all")["state"].tolist() == [5]


def test_keys_that_sql_could_confuse_stay_apart(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    """The number 1 and the text "1" are two keys, and so are two texts that differ only in capitals."""
    seen = ek.Projection("seen", initial=lambda: 0, key="who")
    seen.on("Seen")(lambda state, event: state + 1)
    db.add(seen)
    for who in (1, "1", 1.5, "a", "A", "", "'; DROP TABLE seen; --", "\0"):
        store.append("s", ek.NewEvent(type="Seen", data={"who": who}))
        db.update(store)
    rows = db.sql("SELECT key, state FROM seen")
    assert sorted(map(repr, rows["key"])) == sorted(map(repr, store.replay(seen)))
    assert rows["state"].tolist() == [1] * 8


class Colour(Enum):
    RED = "red"


class Address(BaseModel):
    city: str


class Account(BaseModel):
    owner: str
    balance: int = 0
    rate: float = 0.5
    open: bool = True
    since: dt.datetime | None = None
    limit: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED
    address: Address | None = None
    tags: list[str] = []
    number: uuid.UUID | None = None
    day: dt.date | None = None


@dataclasses.dataclass
class Basket:
    items: int
    note: str | None = None


class Point(NamedTuple):
    x: int
    y: float


def holding(states_: list[Any], db: ek.ReportingDatabase, store: ek.EventStore, initial: Any = lambda: None) -> Any:
    """A table whose states are these, one a key, each in a batch of its own."""
    held = ek.Projection("held", initial=initial)
    held.on("Set")(one_of(states_))
    db.add(held)
    for at in range(len(states_)):
        store.append(f"s-{at}", ek.NewEvent(type="Set", data={"at": at}))
        db.update(store)
    return db.sql("SELECT * EXCLUDE (key) FROM held")


def types_of(db: ek.ReportingDatabase, table: str = "held") -> dict[str, str]:
    rows = db.sql(f"DESCRIBE {table}")
    return dict(zip(rows["column_name"], rows["column_type"], strict=True))


def test_a_model_has_typed_columns_before_the_first_event(db: ek.ReportingDatabase) -> None:
    db.add(ek.Projection("held", initial=lambda: Account(owner="?")))
    assert types_of(db) == {
        "key": "VARCHAR", "owner": "VARCHAR", "balance": "BIGINT", "rate": "DOUBLE", "open": "BOOLEAN",
        "since": "VARCHAR", "limit": "DECIMAL(38,2)", "colour": "VARCHAR", "address": "JSON", "tags": "JSON",
        "number": "UUID", "day": "DATE",
    }  # fmt: skip


def test_a_models_fields_come_back_as_they_are(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    since = dt.datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=dt.UTC)
    number = uuid.UUID(int=7)
    full = Account(
        owner="Ada", since=since, address=Address(city="Oslo"), tags=["a"], number=number, day=dt.date(2026, 1, 5)
    )
    frame = holding([Account(owner="Bob"), full], db, store)
    assert types_of(db)["since"] == "TIMESTAMP WITH TIME ZONE"
    row = frame[frame["owner"] == "Ada"].iloc[0]
    assert (row["balance"], row["rate"], row["open"], row["colour"]) == (0, 0.5, True, "red")
    assert row["limit"] == Decimal("1.50")
    assert row["since"] == since
    assert row["address"] == {"city": "Oslo"}
    assert row["tags"] == ["a"]
    assert row["number"] == number
    assert str(row["day"])[:10] == "2026-01-05"
    assert pd.isna(frame[frame["owner"] == "Bob"].iloc[0]["since"])


def test_dataclasses_and_named_tuples_have_columns_too(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    frame = holding([Basket(1), Point(2, 0.5)], db, store)
    assert frame.columns.tolist() == ["items", "note", "x", "y"]
    assert frame.astype(object).where(frame.notna(), None).values.tolist() == [
        [1, None, None, None],
        [None, None, 2, 0.5],
    ]


def test_new_fields_of_dicts_add_columns(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    frame = holding([{"a": 1}, {"a": None, "b": "x"}, {}, {"b": None}], db, store)
    assert frame.columns.tolist() == ["a", "b"]
    assert frame.astype(object).where(frame.notna(), None).values.tolist() == [
        [1, None],
        [None, "x"],
        [None, None],
        [None, None],
    ]


def test_states_with_fields_and_without_share_a_table(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    frame = holding([5, {"a": 1, "state": "own"}, "x"], db, store)
    assert frame.columns.tolist() == ["state", "a", "state_"]
    assert frame["state"].tolist() == [5, None, "x"]
    assert frame["state_"].tolist()[1] == "own"


def test_what_has_no_column_of_its_own_stands_in_one(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    """A table of thousands of columns helps nobody."""
    frame = holding([{f"k{n}": n for n in range(1_000)}], db, store)
    assert frame.columns.tolist() == [*(f"k{n}" for n in range(400)), "state"]
    assert frame["state"][0] == {f"k{n}": n for n in range(400, 1_000)}


def test_columns_keep_their_values_while_a_dict_grows_and_a_rebuild_makes_the_same(
    db: ek.ReportingDatabase, store: ek.EventStore
) -> None:
    stock = ek.Projection("stock", initial=dict, key=None)
    stock.on("Counted")(lambda state, event: {**state, event["sku"]: len(state)})
    db.add(stock)
    for names in (range(0, 399), range(399, 400), range(400, 403)):
        store.append("w-1", [ek.NewEvent(type="Counted", data={"sku": f"sku{i}"}) for i in names])
        db.update(store)
        assert db.sql("SELECT sku0, sku7 FROM stock").values.tolist() == [[0, 7]]
    grown = db.sql("SELECT * FROM stock")
    assert grown["state"][0] == {"sku400": 400, "sku401": 401, "sku402": 402}
    db.rebuild("stock", store)
    pd.testing.assert_frame_equal(db.sql("SELECT * FROM stock"), grown)


@pytest.mark.parametrize("temporal", [False, True])
def test_columns_stand_in_the_order_in_which_fields_came(
    db: ek.ReportingDatabase, store: ek.EventStore, temporal: bool
) -> None:
    """Also where a rebuild meets several states of a key at once, and the last of them first."""
    held = ek.Projection("held", initial=dict)
    held.on("Set")(lambda state, event: {**state, **event})
    db.add(held, temporal=temporal)
    for stream, field in (("s-1", "a"), ("s-2", "c"), ("s-1", "b")):
        store.append(stream, ek.NewEvent(type="Set", data={field: 1}))
        db.update(store)
    assert db.sql("SELECT * FROM held").columns.tolist()[:4] == ["key", "a", "c", "b"]
    db.rebuild("held", store)
    assert db.sql("SELECT * FROM held").columns.tolist()[:4] == ["key", "a", "c", "b"]


@pytest.mark.parametrize("temporal", [False, True])
def test_a_field_that_is_a_good_name_has_it_whenever_it_comes(
    db: ek.ReportingDatabase, store: ek.EventStore, temporal: bool
) -> None:
    """As in frames: the column that stood under that name until then gets another."""
    odd = ek.Projection("odd", initial=dict)
    odd.on("Set")(lambda state, event: {**state, **event})
    db.add(odd, temporal=temporal)
    for data in ({"a.b": "dot"}, {"a-b": "dash"}, {"a_b": "plain"}, {"a_b_": "longer"}, {"A_B": "loud"}):
        store.append("s-1", ek.NewEvent(type="Set", data=data))
        db.update(store)
    names = ["a_b", "a_b_"]
    table, frame = db.sql("SELECT * FROM odd WHERE a_b IS NOT NULL ORDER BY ALL DESC"), store.read().df()
    assert [table[name].dropna().iloc[0] for name in names] == ["plain", "longer"]
    assert [frame[name].dropna().iloc[0] for name in names] == ["plain", "longer"]
    before = db.sql("SELECT * FROM odd ORDER BY ALL")
    db.rebuild("odd", store)
    pd.testing.assert_frame_equal(db.sql("SELECT * FROM odd ORDER BY ALL"), before)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5], "DOUBLE"),
        ([2**53 + 1, 2.5], "JSON"),
        ([1, 2**53 + 1, 2**63 - 1, -(2**63)], "BIGINT"),
        ([1, 2**63], "HUGEINT"),
        ([2**70, 2**200], "JSON"),
        ([1, "x", [1], {"b": 2}["b"]], "JSON"),
        ([True, 1], "JSON"),
        ([Decimal("1.5"), Decimal("2.12345"), 7], "DECIMAL(38,5)"),
        ([Decimal("1E+40"), Decimal("1.5")], "JSON"),
        ([float("inf"), float("nan"), 1.0, None, -0.5], "DOUBLE"),
        ([float("inf"), "x"], "JSON"),
        (["a\0b", "ä😀", "", None], "VARCHAR"),
        ([b"\x00\xff", b""], "BLOB"),
        ([dt.date(2026, 1, 5)], "DATE"),
        ([dt.datetime(2026, 1, 5, 9)], "TIMESTAMP"),
        ([dt.datetime(2026, 1, 5, 9, tzinfo=dt.timezone(dt.timedelta(hours=2)))], "TIMESTAMP WITH TIME ZONE"),
        ([dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)], "TIMESTAMP WITH TIME ZONE"),
        ([None, None], "VARCHAR"),
        ([None, [1, (2, {3})]], "JSON"),
        ([[], {"x": [float("nan")]}["x"]], "JSON"),
    ],
)
def test_a_column_is_widened_until_it_holds_what_comes(values: list[Any], kind: str) -> None:
    """One value a batch, and all in one batch: the table is the same."""
    found = []
    for batches in (True, False):
        with ek.ReportingDatabase() as db, ek.EventStore() as store:
            rows = [{"v": value} for value in values]
            held = ek.Projection("held", initial=dict)
            held.on("Set")(one_of(rows))
            db.add(held, temporal=True)
            for at in range(len(values)):
                store.append(f"s-{at}", ek.NewEvent(type="Set", data={"at": at}))
                if batches:
                    db.update(store)
            db.update(store)
            assert types_of(db)["v"] == kind
            found.append(db.sql("SELECT v FROM held ORDER BY position")["v"].tolist())
    for column in found:
        for value, got in zip(values, column, strict=True):
            assert _same(value, got, kind), (value, got)


def _same(value: Any, got: Any, kind: str) -> bool:
    if value is None:
        return bool(pd.isna(got))
    if kind == "JSON":
        return isinstance(value, (float, list, Decimal)) or got == value
    if isinstance(value, float) and value != value:
        return bool(got != got) and got is not pd.NA
    if kind == "DATE":
        return str(got)[:10] == value.isoformat()
    return bool(got == value)


def test_what_no_table_can_hold_fails_with_the_tables_name(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    with pytest.raises(ek.EventSourcingError, match=r"table 'held'.*surrogate"):
        holding(["\ud800"], db, store)
    assert lag_of(db, store, "held")["state"] == "failed"
    assert lag_of(db, store, "events")["state"] == "current"


# names


HOSTILE = [
    '"; DROP TABLE held; --',
    "select",
    "key",
    "Key",
    "a b",
    "a.b",
    "ä",
    "",
    "position",
    "x",
    "X",
    "'",
    "state",
    "#number",
    "#at",
]


def test_hostile_field_names_are_columns_like_others(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    state = {name: at for at, name in enumerate(HOSTILE)}
    held = ek.Projection("held", initial=dict)
    held.on("Set")(lambda _, event: state)
    db.add(held, temporal=True)
    store.append("s", ek.NewEvent(type="Set"))
    db.update(store)
    frame = db.sql("SELECT * FROM held")
    columns = [
        name for name in frame.columns if name not in ("key", "valid_from", "valid_to", "position", "position_to")
    ]
    assert frame[columns].iloc[0].tolist() == list(range(len(HOSTILE)))
    assert len({name.casefold() for name in frame.columns}) == len(frame.columns)
    assert {"select", "data_key", "data_position", "ä", "state"} <= set(columns)


@pytest.mark.parametrize("name", ["my table", "1st", "", 'x"; DROP TABLE events; --', "a-b", 5, "x" * 200, "\ud800"])
def test_a_table_name_that_is_no_identifier_is_refused(db: ek.ReportingDatabase, name: Any) -> None:
    with pytest.raises(ek.InputError, match=r"cannot name a table.*table='balances'"):
        db.add(balances(), table=name)


@pytest.mark.parametrize("name", ["select", "order", "über", "Balance"])
def test_a_keyword_can_name_a_table(db: ek.ReportingDatabase, bank: ek.EventStore, name: str) -> None:
    db.add(balances(), table=name)
    db.update(bank)
    assert len(db.sql(f'SELECT * FROM "{name}"')) == 2


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    with ek.ReportingDatabase(tmp_path / "x.duckdb") as db:
        with pytest.raises(ek.InputError, match="is the raw log"):
            db.add(balances(), table="Events")
        db.add(balances())
        with pytest.raises(ek.InputError, match="SQL takes for 'BALANCE'"):
            db.add(balances(), table="BALANCE")
        with pytest.raises(ek.InputError, match="no projection"):
            db.add(5)  # type: ignore[arg-type]
    import duckdb

    with duckdb.connect(str(tmp_path / "x.duckdb")) as other:
        other.execute("CREATE TABLE mine (a INT)")
    with (
        ek.ReportingDatabase(tmp_path / "x.duckdb") as db,
        pytest.raises(ek.InputError, match="another table named 'mine'"),
    ):
        db.add(balances(), table="mine")


# temporal


def test_a_temporal_table_answers_as_of_questions(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances(), temporal=True)
    db.update(bank)
    bank.append("account-2", Closed())
    db.update(bank)
    rows = db.sql("SELECT key, state, position, position_to FROM balance ORDER BY position")
    assert rows.astype(object).where(rows.notna(), None).values.tolist() == [
        ["account-1", 100, 2, 5],
        ["account-2", 7, 4, 6],
        ["account-1", 70, 5, None],
    ]
    for time in pd.date_range("2026-01-05T08:59:30Z", periods=9, freq="30s"):
        found = db.sql(
            "SELECT key, state FROM balance WHERE valid_from <= $t AND (valid_to IS NULL OR valid_to > $t)",
            {"t": time.to_pydatetime()},
        )
        assert dict(found.itertuples(index=False, name=None)) == bank.replay(balances(), as_of=time)
    still = db.sql("SELECT valid_from, valid_to FROM balance WHERE valid_to IS NULL")
    assert str(still["valid_from"].dtype) == str(still["valid_to"].dtype) == "datetime64[us, UTC]"


COMMANDS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["a-1", "a-2", "a-3"]),
            st.lists(st.one_of(st.integers(-5, 5), st.just("close")), min_size=1, max_size=4),
        ),
        st.just("update"),
        st.just("reopen"),
        st.just("rebuild"),
    ),
    max_size=14,
)


@settings(max_examples=15)
@given(commands=COMMANDS)
def test_tables_equal_replays_at_every_position(tmp_path_factory: pytest.TempPathFactory, commands: list[Any]) -> None:
    """After any appends, updates, reopenings and rebuilds; what is temporal also as of every position and time."""
    path = tmp_path_factory.mktemp("db") / "x.duckdb"
    clock = ek.testing.clock("2026-01-05T09:00:00Z", step="1min")
    with ek.EventStore(clock=clock) as store:

        def opened() -> ek.ReportingDatabase:
            db = ek.ReportingDatabase(path)
            db.add(balances())
            db.add(balances(), table="past", temporal=True)
            db.add(counting("n", key=None))
            return db

        db = opened()
        for command in [*commands, "update"]:
            if command == "update":
                db.update(store)
                assert states(db) == store.replay(balances())
            elif command == "reopen":
                db.close()
                db = opened()
            elif command == "rebuild":
                db.rebuild("past", store)
            else:
                stream, amounts = command
                store.append(stream, [Closed() if one == "close" else Deposited(amount=one) for one in amounts])
        for position in range(store.position + 1):
            assert as_of(db, "past", position) == store.replay(balances(), as_of=position)
        assert db.sql("SELECT state FROM n")["state"].tolist() == ([store.position] if store.position else [])
        assert db.sql("SELECT count(*) AS n, max(position) AS last FROM events").iloc[0]["n"] == store.position
        db.close()


class Sold(ek.Event):
    amount: int
    price: float
    tag: str | None = None


def sales(**options: Any) -> ek.Projection:
    """One of each kind of declared fold."""
    return ek.Projection(
        "sales",
        **options,
        fields={
            "sum": ek.fold.total(Sold, "amount") - ek.fold.count(Opened),
            "paid": ek.fold.total(Sold, "price"),
            "first": ek.fold.first(Opened, "owner"),
            "last": ek.fold.last(Sold, "tag"),
            "least": ek.fold.smallest(Sold, "price"),
            "most": ek.fold.largest(Sold, "amount"),
            "mean": ek.fold.mean(Sold, "amount"),
            "mean_paid": ek.fold.mean(Sold, "price"),
            "tags": ek.fold.distinct(Sold, "tag"),
            "every": ek.fold.collect(Sold, "amount"),
        },
        ends=Closed,
    )


def sold(number: int) -> ek.Append:
    chance = random.Random(number)
    stream = f"till-{chance.randrange(7)}"
    if chance.random() < 0.05:
        return ek.Append(stream, Closed())
    if chance.random() < 0.1:
        return ek.Append(stream, Opened(owner=f"o{number}"))
    price = chance.choice([0.1, 0.2, 1e16, -0.5])
    return ek.Append(stream, Sold(amount=chance.randrange(-3, 9), price=price, tag=chance.choice(["a", "b", None])))


def sales_as_of(db: ek.ReportingDatabase, position: int) -> dict[Any, dict[str, Any]]:
    at = f"position <= {position} AND ifnull(position_to, 1e9) > {position}"
    found = db.sql(f"SELECT * EXCLUDE (valid_from, valid_to, position, position_to) FROM past WHERE {at}")
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    return {row.pop("key"): row | {"every": tuple(row["every"])} for row in rows}


def test_a_declared_projections_table_equals_its_replay_at_every_position(tmp_path: Path) -> None:
    """In large batches and in small ones, after a rebuild and after the database was opened again."""
    path, sizes = tmp_path / "x.duckdb", [1, 130, 2, 3, 240, 1, 1, 150, 5]

    def opened() -> ek.ReportingDatabase:
        db = ek.ReportingDatabase(path)
        db.add(sales())
        db.add(sales(), table="past", temporal=True)
        one_by_one = sales(key=lambda event: event.stream)  # what such a key names, columns do not tell
        db.add(one_by_one, table="one_by_one")
        db.add(one_by_one, table="past_one_by_one", temporal=True)
        return db

    with ek.EventStore() as store:
        for at, size in enumerate(sizes):
            with opened() as db:
                first = sum(sizes[:at])
                store.append_many([sold(first + n) for n in range(size)])
                db.update(store)
                store.append_many([sold(10_000 + at)])
                db.update(store)
                if at % 3 == 2:
                    db.rebuild("past", store)
                    db.rebuild("sales", store)
                assert_equal_but_for_order(db.sql("FROM sales"), db.sql("FROM one_by_one"))
                assert_equal_but_for_order(db.sql("FROM past"), db.sql("FROM past_one_by_one"))
                assert sales_as_of(db, store.position) == store.replay(sales())
        with opened() as db:
            for position in range(1, store.position + 1, 3):
                assert sales_as_of(db, position) == store.replay(sales(), as_of=position)


def assert_equal_but_for_order(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Also in the columns' types."""
    by = ["key", "position"] if "position" in one else ["key"]
    one, other = (frame.sort_values(by, ignore_index=True) for frame in (one, other))
    pd.testing.assert_frame_equal(one, other)


# the raw log


def test_the_raw_log_is_a_table(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    store.append("a-1", ek.NewEvent(Deposited(amount=5), metadata={"by": "ada"}, occurred_at=at))
    store.append("a-1", [ek.NewEvent(type="Odd", data={"x": None, "y": [1, {"z": 2.5}]}), Closed()])
    db.update(store)
    frame = db.sql("SELECT * FROM events ORDER BY position")
    for (_, row), event in zip(frame.iterrows(), store.read(), strict=True):
        for name in ("position", "stream", "version", "type", "schema_version", "recorded_at", "metadata"):
            assert row[name] == getattr(event, name)
        assert row["id"] == str(event.id)
        assert row["data"] == (event.data if isinstance(event.data, dict) else event.data.model_dump())
    assert frame["occurred_at"][0] == at
    assert pd.isna(frame["occurred_at"][1])
    assert db.sql("SELECT data->>'amount' AS amount FROM events WHERE type = ?", ["Deposited"])["amount"].tolist() == [
        "5"
    ]


def test_the_raw_log_can_be_left_out(store: ek.EventStore) -> None:
    with ek.ReportingDatabase(events=False) as db:
        assert db.update(store).empty
        with pytest.raises(ek.InputError, match="events does not exist"):
            db.sql("SELECT * FROM events")


# asking


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("DELETE FROM balance", "is DELETE: tables are written by their projections alone"),
        ("INSERT INTO events VALUES (1)", "is INSERT"),
        ("DROP VIEW balance", "is DROP"),
        ("CREATE TABLE x (i INT)", "is CREATE"),
        ("ATTACH 'x.db'", "is ATTACH"),
        ("COMMIT", "is TRANSACTION"),
        ("SELECT 1; SELECT 2", "one statement, not 2"),
        ("", "one statement, not 0"),
        ("SELEC", "refused the query"),
        ("SELECT * FROM nothing", "nothing does not exist"),
        ("SELECT ?", "refused the query"),
        (5, "is no SQL"),
        ("SELECT '\ud800'", "lone surrogate"),
    ],
)
def test_what_is_no_question_is_refused(db: ek.ReportingDatabase, query: Any, told: str) -> None:
    db.add(balances())
    with pytest.raises(ek.InputError, match=told):
        db.sql(query)


def test_no_python_variable_is_taken_for_a_table(db: ek.ReportingDatabase) -> None:
    frame = pd.DataFrame({"a": [1]})
    assert len(frame) == 1
    with pytest.raises(ek.InputError, match="frame does not exist"):
        db.sql("SELECT * FROM frame")


def test_frames_have_the_kits_types(db: ek.ReportingDatabase) -> None:
    query = (
        "SELECT 1 AS n, 1.5::DOUBLE AS d, true AS b, 'x' AS v, now() AS t, NULL AS nothing, 2 AS n "
        "UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL"
    )
    frame = db.sql(query)
    assert frame.columns.tolist() == ["n", "d", "b", "v", "t", "nothing", "n"]
    assert [str(kind) for kind in frame.dtypes] == [
        "Int64", "Float64", "boolean", "string", "datetime64[us, UTC]", "object", "Int64",
    ]  # fmt: skip
    exact = db.sql(f"SELECT * FROM (SELECT *, 1.25::DECIMAL(9, 2) AS m FROM ({query.replace('2 AS n', '2 AS k')}))")
    assert exact["m"].tolist() == [Decimal("1.25")] * 2
    assert [str(kind) for kind in exact.dtypes][:5] == ["Int64", "Float64", "boolean", "string", "datetime64[us, UTC]"]
    assert db.sql("SELECT position, metadata FROM events").dtypes["position"] == "Int64"


# checkpoints


def test_it_goes_on_where_it_stood(bank: ek.EventStore, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bank.duckdb"
    with ek.ReportingDatabase(path) as db:
        db.add(balances())
        db.update(bank)
    bank.append("account-2", Deposited(amount=3))
    with ek.ReportingDatabase(str(path)) as db:
        assert states(db) == {"account-1": 70, "account-2": 7}
        assert lag_of(db, bank, "balance")["state"] == "not added"
        db.add(balances())
        assert lag_of(db, bank, "balance")["behind"] == 1
        db.update(bank)
        assert states(db) == {"account-1": 70, "account-2": 10}


def test_a_cell_that_is_run_again_replaces_the_database(bank: ek.EventStore, tmp_path: Path) -> None:
    older = ek.ReportingDatabase(tmp_path / "x.duckdb")
    older.add(balances())
    older.follow(bank)
    with ek.ReportingDatabase(tmp_path / "x.duckdb") as db:
        db.add(balances())
        db.add(balances())
        db.update(bank)
        assert len(states(db)) == 2
    with pytest.raises(ek.StoreClosedError, match="open it again with ReportingDatabase"):
        older.sql("SELECT 1")


def test_a_file_is_the_same_by_whatever_path(bank: ek.EventStore, tmp_path: Path) -> None:
    """Two that write one file would drop each other's tables."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    older = ek.ReportingDatabase(tmp_path / "data" / "x.duckdb")
    with ek.ReportingDatabase(tmp_path / "link" / "x.duckdb") as db:
        db.update(bank)
        assert "closed" in repr(older)


def test_another_stores_events_are_refused(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    with ek.EventStore() as other:
        db.lag(other)  # nothing has been taken in yet
        other.append("account-9", Deposited(amount=1))
        db.update(bank)
        for call in (db.update, db.lag, db.follow, db.wait_until, lambda store: db.rebuild("balance", store)):
            with pytest.raises(ek.InputError, match=r"reports on the store .* give each store a file of its own"):
                call(other)
    assert states(db) == {"account-1": 70, "account-2": 7}
    with pytest.raises(ek.InputError, match="no event store"):
        db.update("bank")  # type: ignore[arg-type]


def test_a_checkpoint_ahead_of_the_log_and_another_history_are_refused(tmp_path: Path) -> None:
    """Two stores with one seed have one id; a store that was restored from an older copy has, too."""

    def seeded(*amounts: int) -> ek.EventStore:
        store = ek.EventStore(seed=7, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
        for amount in amounts:
            store.append("a-1", Deposited(amount=amount))
        return store

    path = tmp_path / "x.duckdb"
    with ek.ReportingDatabase(path) as db:
        db.add(balances())
        db.update(seeded(1, 2, 3))
    for store, told in (
        (seeded(1, 2), "is at position 3, and the log ends at 2"),
        (seeded(1, 9, 3), "another history"),
    ):
        with ek.ReportingDatabase(path) as db:
            db.add(balances())
            with pytest.raises(ek.InputError, match=told):
                db.update(store)
    with ek.ReportingDatabase(path) as db:
        db.add(balances())
        db.update(seeded(1, 2, 3, 4))
        assert states(db) == {"a-1": 10}


def test_files_that_are_no_database_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("not a database " * 1000)
    with pytest.raises(ek.StorageError, match="cannot be opened as a reporting database"):
        ek.ReportingDatabase(tmp_path / "x.txt")
    with pytest.raises(ek.StorageError, match=r"the folder of .* cannot be made"):
        ek.ReportingDatabase(tmp_path / "x.txt" / "y.duckdb")
    with pytest.raises(ek.InputError, match="is a folder"):
        ek.ReportingDatabase(tmp_path)
    with pytest.raises(ek.InputError, match="is no file"):
        ek.ReportingDatabase("")


def test_without_duckdb_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ek.InputError, match="pip install duckdb pytz"):
        ek.ReportingDatabase()


# failures


def fragile() -> ek.Projection:
    made = ek.Projection("fragile", initial=lambda: 0)

    @made.on(Deposited)
    def deposited(state: int, event: Deposited) -> int:
        if event.amount == 13:
            raise RuntimeError("unlucky")
        return state + event.amount

    return made


def test_a_failing_projection_stops_its_own_table_only(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(fragile())
    db.add(balances())
    db.update(bank)
    bank.append("account-1", [Deposited(amount=1), Deposited(amount=13)])
    told = (
        r"table 'fragile': the handler .*deposited \(line \d+\) failed at position 7 .*unlucky; the state before was 71"
    )
    with pytest.raises(ek.ProjectionError, match=told):
        db.update(bank)
    assert states(db) == {"account-1": 84, "account-2": 7}
    assert states(db, "fragile") == {"account-1": 70, "account-2": 7}  # the batch was rolled back
    row = lag_of(db, bank, "fragile")
    assert (row["position"], row["behind"], row["state"]) == (5, 2, "failed")
    assert "unlucky" in row["error"]
    with pytest.raises(ek.ProjectionError):
        db.update(bank)  # tried again, from the same state


def test_an_initial_that_fails_is_named(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    calls = iter([0])
    made = ek.Projection("odd", initial=lambda: next(calls))
    made.on(Deposited)(lambda state, event: state)
    db.add(made)
    with pytest.raises(ek.ProjectionError, match="table 'odd': initial of 'odd' failed: StopIteration"):
        db.update(bank)


def test_a_failing_projection_never_breaks_an_append(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(fragile())
    with db.follow(bank, inline=True):
        assert bank.append("account-1", Deposited(amount=13)).position == 6
        assert lag_of(db, bank, "fragile")["state"] == "failed"
        assert lag_of(db, bank, "events")["behind"] == 0


def test_a_changed_projection_is_stale_until_it_is_rebuilt(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    db.update(bank)
    changed = ek.Projection("balance", initial=lambda: 0)
    changed.on(Deposited)(lambda state, event: state + 2 * event.amount)
    db.add(changed)
    bank.append("account-2", Deposited(amount=3))
    assert db.update(bank).set_index("table").loc["balance", "state"] == "stale"
    row = lag_of(db, bank, "balance")
    assert (row["state"], row["behind"]) == ("stale", 1)
    assert "db.rebuild('balance', store)" in row["error"]
    assert states(db) == {"account-1": 70, "account-2": 7}
    with pytest.raises(ek.LaggardError, match=r"'balance' is at 5, 1 behind \(its projection has changed"):
        db.wait_until(bank, timeout=WAIT)
    db.rebuild("balance", bank)
    assert states(db) == {"account-1": 140, "account-2": 20} == bank.replay(changed)
    assert lag_of(db, bank, "balance")["state"] == "current"


def test_an_upcaster_that_changes_makes_a_projection_stale(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    """The same handlers count something else then."""

    def paid(version: int) -> None:
        type(ek.Event)("Reported.Paid", (ek.Event,), {"__annotations__": {"cents": int}}, version=version)

    paid(1)
    store.append("a", ek.NewEvent(type="Reported.Paid", data={"cents": 5}))
    total = ek.Projection("total", initial=lambda: 0)
    total.on("Reported.Paid")(lambda state, event: state + event.cents)
    db.add(total)
    db.update(store)
    assert lag_of(db, store, "total")["state"] == "current"
    paid(2)
    ek.upcast("Reported.Paid", from_version=1)(lambda data: {"cents": data["cents"] * 100})
    db.add(total)
    assert lag_of(db, store, "total")["state"] == "stale"
    db.rebuild("total", store)
    assert db.sql("SELECT state FROM total")["state"].tolist() == [500]


def test_a_helper_that_changes_makes_a_projection_stale(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    def with_factor(factor: int) -> ek.Projection:
        made = ek.Projection("balance", initial=lambda: 0)
        made.on(Deposited)(lambda state, event: state + factor * event.amount)
        return made

    db.add(with_factor(1))
    db.update(bank)
    db.add(with_factor(1))
    assert lag_of(db, bank, "balance")["state"] == "current"
    db.add(with_factor(2))
    assert lag_of(db, bank, "balance")["state"] == "stale"


def test_a_deciders_evolve_is_a_table(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    """It goes on, is stale where its code or an event's reading changes, and not where a type it never met does."""

    def account(factor: int) -> ek.Decider:
        def evolve(state: int, event: Any) -> int:
            return state + factor * getattr(event, "amount", 0)

        return ek.Decider(decide=lambda command, state: Deposited(amount=command), evolve=evolve, initial=lambda: 0)

    db.add(account(1), table="account")
    db.update(bank)
    assert states(db, "account") == {"account-1": 70, "account-2": 7} == bank.replay(account(1))
    bank.handle(account(1), "account-2", 5)
    db.add(account(1), table="account")
    type(ek.Event)("Reported.NeverMet", (ek.Event,), {"__annotations__": {}})
    assert db.update(bank).set_index("table").loc["account", "state"] == "current"
    assert states(db, "account") == {"account-1": 70, "account-2": 12}
    db.add(account(2), table="account")
    assert lag_of(db, bank, "account")["state"] == "stale"
    db.rebuild("account", bank)
    assert states(db, "account") == {"account-1": 140, "account-2": 24}


def test_an_upcaster_of_an_event_that_was_met_makes_a_deciders_table_stale(
    db: ek.ReportingDatabase, store: ek.EventStore
) -> None:
    store.append("a", ek.NewEvent(type="Reported.Fee", data={"cents": 5}))
    total = ek.Decider(decide=lambda c, s: None, evolve=lambda s, e: s + e["cents"], initial=lambda: 0, name="total")
    db.add(total)
    db.update(store)
    type(ek.Event)("Reported.Fee", (ek.Event,), {"__annotations__": {"cents": int}}, version=2)
    ek.upcast("Reported.Fee", from_version=1)(lambda data: data)
    assert lag_of(db, store, "total")["state"] == "stale"


def test_a_store_that_skips_other_events_makes_a_table_stale(folder: Path, tmp_path: Path) -> None:
    """Rows are found by the order in which their keys came, so with other events they would be others' rows."""
    with ek.EventStore(folder, unknown="skip") as store, ek.ReportingDatabase(tmp_path / "bank.duckdb") as db:
        store.append("first", ek.NewEvent(type="Reported.Unknown"))
        store.append("account-1", Deposited(amount=1))
        db.add(with_unknown())
        db.update(store)
        assert states(db, "counted") == {"account-1": 1}
    with ek.EventStore(folder) as store, ek.ReportingDatabase(tmp_path / "bank.duckdb") as db:
        db.add(with_unknown())
        store.append("first", ek.NewEvent(type="Reported.Unknown"))
        assert db.update(store).set_index("table").loc["counted", "state"] == "stale"
        assert states(db, "counted") == {"account-1": 1}
        db.rebuild("counted", store)
        assert states(db, "counted") == {"first": 2, "account-1": 1} == store.replay(with_unknown())


def with_unknown() -> ek.Projection:
    made = ek.Projection("counted", initial=lambda: 0)
    made.on(Deposited, "Reported.Unknown")(lambda state, event: state + 1)
    return made


def test_a_handler_that_reaches_what_has_no_fingerprint_is_watched_all_the_same(
    db: ek.ReportingDatabase, bank: ek.EventStore
) -> None:
    """A lock, a logger or a list of what was seen is no reason to be stale, nor to miss a change elsewhere."""
    seen: list[int] = []

    def guarded(factor: int) -> ek.Projection:
        lock, made = threading.Lock(), ek.Projection("balance", initial=lambda: 0)

        @made.on(Deposited)
        def deposited(state: int, event: Deposited) -> int:
            with lock:
                seen.append(event.amount)
            return state + factor * event.amount

        return made

    db.add(guarded(1))
    db.update(bank)
    bank.append("account-2", Deposited(amount=3))
    assert db.update(bank).set_index("table").loc["balance", "state"] == "current"
    assert seen == [100, 7, -30, 3]
    seen.clear()
    db.add(guarded(1))
    assert lag_of(db, bank, "balance")["state"] == "current"
    db.add(guarded(2))
    assert lag_of(db, bank, "balance")["state"] == "stale"


def test_a_table_becomes_temporal_by_a_rebuild(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    db.update(bank)
    db.add(balances(), temporal=True)
    assert lag_of(db, bank, "balance")["state"] == "stale"
    db.rebuild("balance", bank)
    assert as_of(db, "balance", 4) == {"account-1": 100, "account-2": 7}


def test_a_rebuild_that_fails_leaves_the_table_as_it_was(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances(), table="fragile")
    db.update(bank)
    bank.append("account-1", Deposited(amount=13))
    db.add(fragile())
    with pytest.raises(ek.ProjectionError, match=r"table 'fragile'.*unlucky"):
        db.rebuild("fragile", bank)
    assert states(db, "fragile") == {"account-1": 70, "account-2": 7}
    left = db.sql("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'fragile%'")
    assert left["table_name"].tolist() == ["fragile 1"]
    with pytest.raises(ek.InputError, match=r"no table 'other' to rebuild; there are: events, fragile"):
        db.rebuild("other", bank)


def test_the_raw_log_can_be_rebuilt(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.update(bank)
    db.rebuild("events", bank, progress=True)
    assert db.sql("SELECT position FROM events ORDER BY position")["position"].tolist() == [1, 2, 3, 4, 5]


# following


def test_inline_a_reader_sees_what_was_written(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    follower = db.follow(bank, inline=True)
    assert states(db) == {"account-1": 70, "account-2": 7}
    bank.append("account-2", Deposited(amount=1))
    assert states(db)["account-2"] == 8
    rows = pd.DataFrame({"s": ["x"], "t": ["Noted"], "at": [pd.Timestamp("2027-01-01T00:00:00Z")]})
    bank.load(rows, stream="s", type="t", recorded_at="at")
    assert lag_of(db, bank, "balance")["behind"] == 0
    assert "after each append" in repr(follower)
    follower.stop()
    follower.stop()
    bank.append("account-2", Deposited(amount=1))
    assert lag_of(db, bank, "balance")["behind"] == 1
    assert not follower.runs


def test_a_handler_that_appends_does_not_confuse_its_table(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    """It should not; where it does, each event is counted once all the same."""
    made = ek.Projection("balance", initial=lambda: 0, key=None)

    @made.on("Asked")
    def asked(state: int, event: dict[str, Any]) -> int:
        if event["n"] > 0:
            bank.append("x", ek.NewEvent(type="Asked", data={"n": event["n"] - 1}))
        return state + 1

    db.add(made)
    with db.follow(bank, inline=True):
        bank.append("x", ek.NewEvent(type="Asked", data={"n": 3}))
        assert db.sql("SELECT state FROM balance")["state"].tolist() == [4]


def test_in_the_background_tables_follow_by_themselves(tmp_path: Path, bank: ek.EventStore) -> None:
    with ek.ReportingDatabase(tmp_path / "x.duckdb") as db:
        db.add(balances())
        with db.follow(bank) as follower:
            for _ in range(50):
                bank.append("account-1", Deposited(amount=1))
            db.wait_until(bank, timeout=WAIT)
            assert states(db)["account-1"] == 120
            db.add(counting())  # a table that comes later follows too
            db.wait_until(bank, timeout=WAIT)
            assert sum(states(db, "counted").values()) == bank.position
        assert not follower.runs
        assert "stopped" in repr(follower)


def test_readers_ask_while_tables_are_written(tmp_path: Path, bank: ek.EventStore) -> None:
    """Transfers keep the sum; no query ever sees half of one, from whatever thread."""
    moved = ek.Projection("moved", initial=lambda: 0)
    moved.on("Moved")(lambda state, event: state + event["by"])
    with ek.ReportingDatabase(tmp_path / "x.duckdb") as db:
        db.add(moved)
        db.follow(bank)
        sums, done = [], threading.Event()

        def ask() -> None:
            while not done.is_set():
                sums.extend(db.sql("SELECT coalesce(sum(state), 0)::BIGINT AS s FROM moved")["s"].tolist())

        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        for n in range(60):
            bank.append_many(
                [
                    ek.Append(f"m-{n % 3}", ek.NewEvent(type="Moved", data={"by": n})),
                    ek.Append(f"m-{n % 3 + 1}", ek.NewEvent(type="Moved", data={"by": -n})),
                ]
            )
        db.wait_until(bank, timeout=WAIT)
        done.set()
        for thread in asking:
            thread.join()
        assert set(sums) == {0}
        assert states(db, "moved") == bank.replay(moved)


def test_a_rebuild_goes_on_beside_appends_and_the_old_table_answers(tmp_path: Path, bank: ek.EventStore) -> None:
    with ek.ReportingDatabase(tmp_path / "x.duckdb") as db:
        db.add(balances(), temporal=True)
        db.update(bank)
        seen, done = [], threading.Event()

        def append() -> None:
            for _ in range(60):  # so many that the first rebuild does not see them all, on any machine
                bank.append("account-1", [Deposited(amount=1)] * 10)

        def ask() -> None:
            while not done.is_set():
                seen.append(len(db.sql("SELECT key FROM balance WHERE valid_to IS NULL")))

        with db.follow(bank):
            threads = [threading.Thread(target=append), threading.Thread(target=ask)]
            for thread in threads:
                thread.start()
            for _ in range(3):
                db.rebuild("balance", bank)
            done.set()
            for thread in threads:
                thread.join()
            db.wait_until(bank, timeout=WAIT)
        assert set(seen) == {2}
        assert as_of(db, "balance", bank.position) == bank.replay(balances())
        assert as_of(db, "balance", 5) == bank.replay(balances(), as_of=5)


def test_a_reader_of_a_folder_can_be_followed(folder: Path, db: ek.ReportingDatabase) -> None:
    with ek.EventStore(folder, fsync=False) as writer, ek.EventStore(folder, read_only=True) as reader:
        db.add(balances())
        db.follow(reader)
        position = writer.append("a-1", Deposited(amount=5)).position
        with pytest.raises(ek.LaggardError):
            db.wait_until(reader, position + 5, timeout=0)
        db.wait_until(reader, timeout=WAIT)
        assert states(db) in ({}, {"a-1": 5})
        db.wait_until(reader, position, timeout=WAIT)  # the reader itself may not have seen it yet
        assert states(db) == {"a-1": 5}


def test_waiting_names_the_laggard(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    with pytest.raises(ek.LaggardError, match=r"'balance' is at 0, 5 behind.*nothing moves them") as caught:
        db.wait_until(bank, timeout=0)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.position == 5
    assert ("balance", 0, 5, None) in caught.value.laggards
    db.update(bank)
    db.wait_until(bank, timeout=0)
    db.wait_until(bank, 3, timeout=0)
    db.add(fragile())
    bank.append("account-1", Deposited(amount=13))
    db.follow(bank)
    with pytest.raises(ek.LaggardError, match=r"'fragile' is at 0, 6 behind .*unlucky") as caught:
        db.wait_until(bank, timeout=WAIT)
    assert isinstance(caught.value.__cause__, ek.ProjectionError)


def test_a_receipt_or_a_position_ahead_of_the_log_is_waited_for(db: ek.ReportingDatabase, bank: ek.EventStore) -> None:
    db.add(balances())
    receipt = bank.append("account-1", Deposited(amount=1))
    with pytest.raises(ek.LaggardError, match=r"'balance' is at 0, 9 behind; the log itself is known up to 6; nothing"):
        db.wait_until(bank, 9, timeout=0)
    with db.follow(bank):
        db.wait_until(bank, receipt, timeout=WAIT)
        assert states(db)["account-1"] == 71
        later = threading.Timer(0.1, lambda: bank.append("account-1", Deposited(amount=1)))
        later.start()
        db.wait_until(bank, 7, timeout=WAIT)
        later.join()
        assert states(db)["account-1"] == 72
    for wrong, told in (({"timeout": "soon"}, "timeout is 'soon'"), ({"position": -1}, "-1 is no position")):
        with pytest.raises(ek.InputError, match=told):
            db.wait_until(bank, **wrong)


def test_a_follower_outlasts_a_storage_that_does_not_answer(
    db: ek.ReportingDatabase, bank: ek.EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.add(balances())
    with db.follow(bank) as follower:
        db.wait_until(bank, timeout=WAIT)
        with monkeypatch.context() as silent:
            answer = log_of(bank).refresh

            def refresh() -> None:
                if threading.current_thread().name == "eventsourcing-kit-reporting":
                    raise ek.StorageError("the storage does not answer")
                answer()

            silent.setattr(log_of(bank), "refresh", refresh)
            while follower.error is None:
                sleep(0.01)
            bank.append("account-1", Deposited(amount=1))
            with pytest.raises(ek.LaggardError, match=r"following failed \(StorageError: the storage does not answer"):
                db.wait_until(bank, timeout=0.5)
            assert "does not answer" in repr(follower)
        db.wait_until(bank, timeout=WAIT)
        while follower.error is not None:
            sleep(0.01)
        monkeypatch.setattr(log_of(bank), "refresh", lambda: 1 / 0)
        while follower.runs:
            sleep(0.01)
        assert "stopped (ZeroDivisionError" in repr(follower)
        monkeypatch.undo()


def test_following_ends_with_the_store_and_with_the_database(bank: ek.EventStore, tmp_path: Path) -> None:
    db = ek.ReportingDatabase(tmp_path / "x.duckdb")
    first = db.follow(bank)
    second = db.follow(bank, inline=True)
    assert (first.runs, second.runs) == (False, True)
    db.close()
    db.close()
    assert not second.runs
    bank.append("account-1", Deposited(amount=1))
    assert "closed" in repr(db)
    for call in (lambda: db.sql("SELECT 1"), lambda: db.update(bank), lambda: db.lag(bank), lambda: db.add(balances())):
        with pytest.raises(ek.StoreClosedError, match="the reporting database is closed"):
            call()
    with ek.ReportingDatabase() as db:
        follower = db.follow(bank)
        bank.close()
        while follower.runs:
            sleep(0.01)


def test_it_shows_what_it_holds(db: ek.ReportingDatabase, bank: ek.EventStore, tmp_path: Path) -> None:
    db.add(balances())
    db.update(bank)
    assert repr(db) == "<reporting database in memory: events at 5, balance at 5>"
    assert db._repr_html_() == "<code>&lt;reporting database in memory: events at 5, balance at 5&gt;</code>"
    with ek.ReportingDatabase(tmp_path / "<b>.duckdb", events=False) as other:
        assert repr(other) == "<reporting database '<b>.duckdb': no tables>"
        assert "<b>" not in other._repr_html_()


# how far it was when


def test_progress_tells_what_was_written_and_projected_when(db: ek.ReportingDatabase, store: ek.EventStore) -> None:
    db.add(balances())
    for n in range(6):
        store.append("a-1", Deposited(amount=1))
        if n in (1, 4):
            db.update(store)
    frame = db.progress(store)
    mine = frame[frame["table"] == "balance"]
    assert mine["time"].dt.strftime("%M").tolist() == ["00", "01", "01", "02", "03", "04", "04", "05"]
    assert mine["written"].tolist() == [1, 2, 2, 3, 4, 5, 5, 6]
    assert mine["projected"].tolist() == [0, 0, 2, 2, 2, 2, 5, 5]
    alone = db.progress()
    assert alone[["written", "projected"]].values.tolist() == [[2, 2], [5, 5]] * 2
    assert ek.charts.lag(frame, table="balance").to_dict()["description"] == "lag: 2 tables, 0 stale readings"


def test_progress_goes_on_from_the_checkpoint(store: ek.EventStore, tmp_path: Path) -> None:
    for _ in range(2):
        store.append("a-1", [Deposited(amount=1)] * 2)
        with ek.ReportingDatabase(tmp_path / "x.duckdb", events=False) as db:
            db.add(balances())
            db.update(store)
            found = db.progress(store)[["written", "projected"]].values.tolist()
    assert found == [[2, 2], [4, 2], [4, 4]]


def test_progress_of_nothing_has_the_same_columns(store: ek.EventStore) -> None:
    with ek.ReportingDatabase(events=False) as db:
        frame = db.progress(store)
        assert frame.columns.tolist() == ["table", "time", "written", "projected"]
        assert frame.empty
        assert str(frame["time"].dtype) == "datetime64[us, UTC]"

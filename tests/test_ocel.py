"""Object-centric logs, in three encodings and two versions: events once, objects as tags, changes as events."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

ENDINGS = [".ocel.json", ".ocel.xml", ".ocel.sqlite"]
LOG: dict[str, Any] = {
    "objectTypes": [
        {"name": "order", "attributes": [{"name": "price", "type": "float"}, {"name": "lines", "type": "integer"}]},
        {"name": "line-item", "attributes": []},
    ],
    "eventTypes": [{"name": "placed", "attributes": [{"name": "rush", "type": "boolean"}]}, {"name": "lunch"}],
    "objects": [
        {
            "id": "o1", "type": "order", "relationships": [{"objectId": "i1", "qualifier": "contains"}],
            "attributes": [
                {"name": "price", "time": "1970-01-01T00:00:00Z", "value": 10.0},
                {"name": "lines", "time": "1970-01-01T00:00:00Z", "value": "1"},
                {"name": "price", "time": "2025-03-01T00:00:00Z", "value": 12.5},
            ],
        },
        {"id": "i1", "type": "line-item"},
        {"id": "i2", "type": "line-item"},
    ],
    "events": [
        {
            "id": "e1", "type": "placed", "time": "2025-02-01T09:00:00+01:00",
            "attributes": [{"name": "rush", "value": "true"}],
            "relationships": [{"objectId": "o1", "qualifier": "places"}, {"objectId": "i1", "qualifier": ""}],
        },
        {"id": "e2", "type": "lunch", "time": "2025-02-01T12:00:00Z"},
    ],
}  # fmt: skip
XML = """<?xml version="1.0" encoding="UTF-8"?>
<log>
<object-types><object-type name="order"><attributes><attribute name="price" type="float"/>
<attribute name="lines" type="integer"/></attributes></object-type><object-type name="line-item"/></object-types>
<event-types><event-type name="placed"><attributes><attribute name="rush" type="boolean"/></attributes></event-type>
<event-type name="lunch"/></event-types>
<objects><object id="o1" type="order"><attributes>
<attribute name="price" time="1970-01-01T00:00:00Z">10.0</attribute>
<attribute name="lines" time="1970-01-01T00:00:00Z">1</attribute>
<attribute name="price" time="2025-03-01T00:00:00Z">12.5</attribute>
</attributes><objects><relationship object-id="i1" qualifier="contains"/></objects></object>
<object id="i1" type="line-item"/><object id="i2" type="line-item"/></objects>
<events><event id="e1" type="placed" time="2025-02-01T09:00:00+01:00">
<attributes><attribute name="rush">true</attribute></attributes>
<objects><relationship object-id="o1" qualifier="places"/><relationship object-id="i1" qualifier=""/></objects></event>
<event id="e2" type="lunch" time="2025-02-01T12:00:00Z"/></events>
</log>
"""
SQL = """
CREATE TABLE event (ocel_id TEXT, ocel_type TEXT); CREATE TABLE object (ocel_id TEXT, ocel_type TEXT);
CREATE TABLE event_map_type (ocel_type TEXT, ocel_type_map TEXT);
CREATE TABLE object_map_type (ocel_type TEXT, ocel_type_map TEXT);
CREATE TABLE event_object (ocel_event_id TEXT, ocel_object_id TEXT, ocel_qualifier TEXT);
CREATE TABLE object_object (ocel_source_id TEXT, ocel_target_id TEXT, ocel_qualifier TEXT);
CREATE TABLE event_placed (ocel_id TEXT, ocel_time TIMESTAMP, rush BOOLEAN);
CREATE TABLE event_lunch (ocel_id TEXT, ocel_time TIMESTAMP);
CREATE TABLE object_order (ocel_id TEXT, ocel_time TIMESTAMP, ocel_changed_field TEXT, price REAL, lines INTEGER);
CREATE TABLE object_item (ocel_id TEXT);
INSERT INTO event VALUES ('e1', 'placed'), ('e2', 'lunch');
INSERT INTO object VALUES ('o1', 'order'), ('i1', 'line-item'), ('i2', 'line-item');
INSERT INTO event_map_type VALUES ('placed', 'placed'), ('lunch', 'lunch');
INSERT INTO object_map_type VALUES ('order', 'order'), ('line-item', 'item');
INSERT INTO event_object VALUES ('e1', 'o1', 'places'), ('e1', 'i1', '');
INSERT INTO object_object VALUES ('o1', 'i1', 'contains');
INSERT INTO event_placed VALUES ('e1', '2025-02-01 09:00:00+01:00', 1);
INSERT INTO event_lunch VALUES ('e2', '2025-02-01T12:00:00Z');
INSERT INTO object_order VALUES ('o1', '1970-01-01 00:00:00', NULL, 10.0, 1);
INSERT INTO object_order VALUES ('o1', '2025-03-01T00:00:00Z', 'price', 12.5, NULL);
INSERT INTO object_item VALUES ('i1'), ('i2');
"""
TOLD = [
    ("order-o1", "orderChanged", ("order:o1",), {
        "price": 10.0, "lines": 1, "ocel:qualifiers": {"line%2Ditem:i1": "contains"},
    }),
    ("line%2Ditem-i2", "line-itemChanged", ("line%2Ditem:i2",), {}),
    ("ocel", "placed", ("order:o1", "line%2Ditem:i1"), {"rush": True, "ocel:qualifiers": {"order:o1": "places"}}),
    ("ocel", "lunch", (), {}),
    ("order-o1", "orderChanged", ("order:o1",), {"price": 12.5}),
]  # fmt: skip


def as_json(folder: Path, log: Any, name: str = "log.ocel.json") -> Path:
    path = folder / name
    path.write_text(log if isinstance(log, str) else json.dumps(log))
    return path


def as_sqlite(folder: Path, *statements: str, name: str = "log.ocel.sqlite") -> Path:
    path = folder / name
    database = sqlite3.connect(path)
    for statement in statements:
        database.executescript(statement)
    database.close()
    return path


def file_of(folder: Path, ending: str) -> Path:
    if ending == ".ocel.sqlite":
        return as_sqlite(folder, SQL)
    return as_json(folder, LOG if ending == ".ocel.json" else XML, f"log{ending}")


def told(store: ek.EventStore) -> list[tuple[Any, ...]]:
    return [(e.stream, e.type, e.tags, e.data) for e in store.read()]


def equal(one: ek.EventStore, other: ek.EventStore) -> bool:
    return list(one.read()) == list(other.read()) and [e.tags for e in one.read()] == [e.tags for e in other.read()]


# in


@pytest.mark.parametrize("ending", ENDINGS)
def test_events_have_objects_as_tags_and_objects_have_events_of_their_own(tmp_path: Path, ending: str) -> None:
    """What an object was from the first is recorded at the log's first moment; relations keep their qualifiers."""
    store = ek.from_file(file_of(tmp_path, ending))
    assert told(store) == TOLD
    events = list(store.read())
    assert [e.recorded_at.isoformat() for e in events[:3]] == ["2025-02-01T08:00:00+00:00"] * 3
    assert [e.metadata for e in events[2:4]] == [{"original_id": "e1"}, {"original_id": "e2"}]


@pytest.mark.parametrize("ending", ENDINGS)
def test_events_can_stand_in_the_streams_of_one_type_of_object(tmp_path: Path, ending: str) -> None:
    store = ek.from_file(file_of(tmp_path, ending), stream="order")
    assert [e.type for e in store.read("order-o1")] == ["orderChanged", "placed", "orderChanged"]
    assert [e.type for e in store.read("ocel")] == ["lunch"]
    item = ek.from_file(file_of(tmp_path / ".", ".ocel.json"), stream="line-item")
    assert [e.type for e in item.read("line%2Ditem-i1")] == ["placed"]


def test_the_state_of_an_object_at_any_time_is_a_replay(tmp_path: Path) -> None:
    store = ek.from_file(file_of(tmp_path, ".ocel.json"))
    price = ek.Projection("price", fields={"price": ek.fold.last("orderChanged", "price")})
    assert store.replay(price, as_of="2025-02-15T00:00:00Z") == {"order-o1": {"price": 10.0}}
    assert store.replay(price) == {"order-o1": {"price": 12.5}}


def test_an_event_of_two_objects_of_the_type_is_in_no_one_s_stream(tmp_path: Path) -> None:
    log = json.loads(json.dumps(LOG))
    log["events"][0]["relationships"].append({"objectId": "i2", "qualifier": ""})
    with pytest.raises(ek.InputError, match="event 'e1' is about 2 objects of the type 'line-item'"):
        ek.from_file(as_json(tmp_path, log), stream="line-item")
    with pytest.raises(ek.InputError, match=r"no object is of the type 'item'; the log has \['line-item', 'order'\]"):
        ek.from_file(as_json(tmp_path, log), stream="item")


def test_several_qualifiers_of_one_object_are_all_kept(tmp_path: Path) -> None:
    log = json.loads(json.dumps(LOG))
    log["events"][0]["relationships"].append({"objectId": "o1", "qualifier": "pays"})
    store = ek.from_file(as_json(tmp_path, log))
    assert next(e for e in store.read(types=["placed"])).data["ocel:qualifiers"] == {"order:o1": ["places", "pays"]}
    store.export(tmp_path / "again.ocel.json")
    again = json.loads((tmp_path / "again.ocel.json").read_text())
    assert again["events"][0]["relationships"] == [
        {"objectId": "o1", "qualifier": "places"}, {"objectId": "o1", "qualifier": "pays"},
        {"objectId": "i1", "qualifier": ""},
    ]  # fmt: skip


ONE = {
    "ocel:global-log": {"ocel:version": "1.0"},
    "ocel:events": {
        "e1": {
            "ocel:activity": "placed", "ocel:timestamp": "2025-02-01T08:00:00Z", "ocel:omap": ["o1"],
            "ocel:vmap": {"n": 1},
        },
    },
    "ocel:objects": {"o1": {"ocel:type": "order", "ocel:ovmap": {"price": 2.5}}},
}  # fmt: skip
ONE_XML = """<log><global scope="log"><list key="attribute-names"/></global><events><event><string key="id" value="e1"/>
<string key="activity" value="placed"/><date key="timestamp" value="2025-02-01T08:00:00Z"/>
<list key="omap"><string key="object-id" value="o1"/></list>
<list key="vmap"><int key="n" value="1"/></list>
</event></events><objects><object><string key="id" value="o1"/><string key="type" value="order"/>
<list key="ovmap"><float key="price" value="2.5"/></list></object></objects></log>"""
ONE_SQL = """CREATE TABLE EVENTS ("ocel:eid" TEXT, "ocel:activity" TEXT, "ocel:timestamp" TIMESTAMP, n INTEGER);
CREATE TABLE OBJECTS ("ocel:oid" TEXT, "ocel:type" TEXT, price REAL);
CREATE TABLE RELATIONS ("ocel:eid" TEXT, "ocel:activity" TEXT, "ocel:timestamp" TIMESTAMP, "ocel:oid" TEXT);
INSERT INTO EVENTS VALUES ('e1', 'placed', '2025-02-01T08:00:00Z', 1); INSERT INTO OBJECTS VALUES ('o1', 'order', 2.5);
INSERT INTO RELATIONS VALUES ('e1', 'placed', '2025-02-01T08:00:00Z', 'o1');"""


def test_version_1_is_read_too(tmp_path: Path) -> None:
    paths = [
        as_json(tmp_path, ONE, "log.jsonocel"), as_json(tmp_path, ONE_XML, "log.xmlocel"),
        as_sqlite(tmp_path, ONE_SQL, name="log.sqlite"),
    ]  # fmt: skip
    for path in paths:
        assert told(ek.from_file(path)) == [
            ("order-o1", "orderChanged", ("order:o1",), {"price": 2.5}),
            ("ocel", "placed", ("order:o1",), {"n": 1}),
        ]


def test_a_log_that_has_grown_adds_what_is_new(tmp_path: Path) -> None:
    store = ek.EventStore()
    store.load(file_of(tmp_path, ".ocel.json"))
    log = json.loads(json.dumps(LOG))
    log["events"].append({"id": "e3", "type": "paid", "time": "2025-04-01T00:00:00Z"})
    assert store.load(as_json(tmp_path, log), known="skip") == len(TOLD) + 1


def test_a_time_without_a_zone_is_asked_for(tmp_path: Path) -> None:
    log = json.loads(json.dumps(LOG).replace("2025-02-01T09:00:00+01:00", "2025-02-01T09:00:00"))
    with pytest.raises(ek.InputError, match="time zone"):
        ek.from_file(as_json(tmp_path, log))
    store = ek.from_file(as_json(tmp_path, log), tz="Europe/Berlin")
    assert next(iter(store.read(types=["placed"]))).recorded_at.hour == 8


# out


@pytest.mark.parametrize("ending", [*ENDINGS, ".ocel.json.gz"])
@pytest.mark.parametrize("stream", [None, "order"])
def test_a_log_comes_back_equal(tmp_path: Path, ending: str, stream: str | None) -> None:
    store = ek.from_file(file_of(tmp_path, ".ocel.json"), **({"stream": stream} if stream else {}))
    store.export(tmp_path / f"again{ending}")
    assert equal(ek.from_file(tmp_path / f"again{ending}"), store)


@pytest.mark.parametrize("ending", ENDINGS)
def test_all_that_events_are_comes_back(tmp_path: Path, ending: str) -> None:
    """Also where tags are no objects, ids are shared by types, and values are of several types."""
    store = ek.EventStore(seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
    when = ek.testing.clock("2020-01-01T00:00:00.123456Z")()
    data: dict[str, Any] = {
        "text": 'a "b",;\t\r\n<&>', "none": None, "many": [1, 2.5, {"x": None}], "big": 10**30, "no": False,
        "nul": "\x00", "at": "2026-01-05T09:00:00Z", "": 5, "a\x01": 2, "mix": 1, "number": 1, "ocel_id": 4,
        "Price": "x", "price": 1.5, "ek:id": 3, "ocel:qualifiers": {"s:9": "not mine"},
    }  # fmt: skip
    tags = ["s:1", "t:1", "plain", "50%:y", "a%2Db:1"]
    store.append("a-1", [
        ek.NewEvent(type="Opened", data=data, tags=tags),
        ek.NewEvent(type="Opened", data={"mix": "a", "number": 2.5, "ocel:qualifiers": {"s:1": "q"}}, tags=["s:1"]),
    ])  # fmt: skip
    changed = [
        ek.NewEvent(type="orderChanged", data={"p": 1, "q": None}, tags=["order:1"]),
        ek.NewEvent(type="orderChanged", data={"p": 2.5}, tags=["order:1"], metadata={"by": "ada"}),
        ek.NewEvent(type="orderChanged", data={"p": 2.5}),
        ek.NewEvent(type="orderChanged", data={}, tags=["order:1"], occurred_at=when),
    ]
    store.append("order-1", changed)
    store.append("ocel", ek.NewEvent(type="Moved", data={}, occurred_at=when, metadata={"by": {"who": "ada"}}))
    store.export(tmp_path / f"log{ending}")
    assert equal(ek.from_file(tmp_path / f"log{ending}"), store)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
_NAMES = st.sampled_from(["a", "A", "b", "ek:data", "ocel:qualifiers", "ocel_time"]) | st.text(max_size=3)
_EVENTS = st.tuples(
    st.sampled_from(["order-1", "item-1", "a%2Db-1", "ocel", "x"]),
    st.sampled_from(["orderChanged", "itemChanged", "a-bChanged", "Placed"]),
    st.dictionaries(_NAMES, _JSON, max_size=4),
    st.lists(st.sampled_from(["order:1", "item:1", "item:order:1", "a%2Db:1", "vip", ":x"]), max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_EVENTS, min_size=1, max_size=5))
def test_whatever_events_say_comes_back(tmp_path_factory: Any, events: list[Any]) -> None:
    store = ek.EventStore(seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
    for stream, type_, data, tags in events:
        store.append(stream, ek.NewEvent(type=type_, data=data, tags=tags))
    folder = tmp_path_factory.mktemp("ocel")
    for ending in ENDINGS:
        store.export(folder / f"log{ending}")
        assert equal(ek.from_file(folder / f"log{ending}"), store)


def test_streams_and_tags_are_objects_for_other_tools(tmp_path: Path) -> None:
    """A type's special characters are decoded again, and initial values have the time of convention."""
    store = ek.from_file(file_of(tmp_path, ".ocel.json"))
    store.append("account-7", ek.NewEvent(type="Opened", data={"owner": "Ada"}))
    store.export(tmp_path / "log.ocel.json")
    log = json.loads((tmp_path / "log.ocel.json").read_text())
    assert {(one["id"], one["type"]) for one in log["objects"]} == {
        ("o1", "order"), ("i1", "line-item"), ("i2", "line-item"), ("7", "account"),
    }  # fmt: skip
    order = next(one for one in log["objects"] if one["id"] == "o1")
    prices = [(one["time"][:10], one["value"]) for one in order["attributes"] if one["name"] == "price"]
    assert prices == [("1970-01-01", 10.0), ("2025-03-01", 12.5)]
    assert order["relationships"] == [{"objectId": "i1", "qualifier": "contains"}]
    assert [(one["id"], one["type"]) for one in log["events"]][:2] == [("e1", "placed"), ("e2", "lunch")]
    assert log["events"][2]["relationships"] == [{"objectId": "7", "qualifier": ""}]


def test_what_xml_cannot_hold_is_refused_with_the_list_or_replaced(tmp_path: Path) -> None:
    store = ek.EventStore()
    store.append("a\x01", ek.NewEvent(type="\x02", tags=["t:\x03"]))
    with pytest.raises(ek.InputError, match=r"would lose: .*a type.*a stream's name.*tags.*lossy=True"):
        store.export(tmp_path / "log.ocel.xml")
    assert list(tmp_path.iterdir()) == []
    store.export(tmp_path / "log.ocel.xml", lossy=True)
    assert [e.type for e in ek.from_file(tmp_path / "log.ocel.xml").read()] == ["\ufffd"]
    store.export(tmp_path / "log.ocel.json")
    assert equal(ek.from_file(tmp_path / "log.ocel.json"), store)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_log_comes_back_empty(tmp_path: Path, ending: str) -> None:
    ek.EventStore().export(tmp_path / f"log{ending}")
    assert ek.from_file(tmp_path / f"log{ending}").position == 0


# what is no log


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    log = json.loads(json.dumps(LOG))
    at = log
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return log


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (json.dumps(LOG)[:-30], "cut off"),
        (changed(["events", 1, "id"], "e1"), "event number 2, 'e1', is there already"),
        (changed(["objects", 2, "id"], "i1"), "object number 3, 'i1', is there already"),
        (changed(["events", 0, "relationships", 0, "objectId"], "o9"), "event 'e1' is related to the object 'o9'"),
        (changed(["objects", 0, "relationships", 0, "objectId"], "o9"), "object 'o1' is related to the object 'o9'"),
        (changed(["objects", 0, "attributes", 1, "value"], "two"), "'lines' of the object 'o1' is 'two', .* integer"),
        (changed(["events", 1, "time"], None), "the event 'e2' has no time"),
        (changed(["events", 1, "time"], "soon"), "'soon'"),
        (changed(["events", 1], {"id": "e2"}), "lacks 'type', after the event 'e1'"),
        (changed(["events", 1], 7), "is not built as one: .*after the event 'e1'"),
        (changed(["events", 1, "id"], 2), "event number 2 has the id 2, which is no text"),
    ],
)
def test_a_bad_log_is_named_with_the_place_and_nothing_is_loaded(tmp_path: Path, log: Any, message: str) -> None:
    store = ek.EventStore()
    with pytest.raises(ek.InputError, match=f"(?s)^log.ocel.json.*{message}"):
        store.load(as_json(tmp_path, log))
    assert store.position == 0


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE event_object", "no object-centric log: it has the tables"),
        ("DROP TABLE event_placed", "no such table: event_placed"),
        ("INSERT INTO event VALUES ('e1', 'lunch')", "event number 3, 'e1', is there already|'e1' has no time"),
        ("INSERT INTO event_object VALUES ('e9', 'o1', '')", "event 'e9' of event_object is not in the table event"),
        ("INSERT INTO event_object VALUES ('e1', 'o9', '')", "related to the object 'o9'"),
        ("INSERT INTO event_lunch VALUES ('e9', '2025-02-01T12:00:00Z')", "event 'e9' of the tables of event types"),
        ("INSERT INTO object_item VALUES ('i9')", "'i9', which is not among the objects|i9"),
    ],
)
def test_a_bad_database_is_named_with_the_place(tmp_path: Path, statement: str, message: str) -> None:
    with pytest.raises(ek.InputError, match=f"(?s)^log.ocel.sqlite.*{message}"):
        ek.from_file(as_sqlite(tmp_path, SQL, statement))


def test_files_that_are_cut_off_or_something_else_say_so(tmp_path: Path) -> None:
    whole = as_sqlite(tmp_path, SQL).read_bytes()
    entities = XML.replace("<log>", '<!DOCTYPE log [<!ENTITY a "b">]>\n<log>')
    for name, content, message in [
        ("a.ocel.sqlite", whole[: len(whole) // 2], "malformed|damaged|cut off"),
        ("a.ocel.xml", XML[:-30].encode(), "is no XML"),
        ("a.ocel.xml", entities.encode(), "which can do harm"),
        ("a.ocel.json", XML.encode(), "ends with .ocel.json, and is XML"),
        ("a.ocel.json.gz", gzip.compress(json.dumps(LOG).encode(), mtime=0)[:-9], "cut off"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ek.InputError, match=message):
            ek.from_file(tmp_path / name)


def test_names_of_columns_are_not_asked_of_a_log_that_says_them(tmp_path: Path) -> None:
    with pytest.raises(ek.InputError, match="leave out recorded_at="):
        ek.from_file(file_of(tmp_path, ".ocel.json"), recorded_at="time")

"""Formats that others define: Parquet, JSON rows, CloudEvents, change rows, spans."""

from __future__ import annotations

import json
import sqlite3
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import eventsourcing_kit as ek

COLUMNS: dict[str, Any] = {"stream": "case", "type": "activity", "recorded_at": "time"}
TIME = "2025-03-04T08:00:00Z"


def as_json(folder: Path, name: str, content: Any, *, lines: bool = False) -> Path:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content), encoding="utf-8")
    return path


def told(store: ek.EventStore) -> list[Any]:
    return [(event.stream, event.type, event.data) for event in store.read()]


# the kit's own frame, by way of others


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("metadata", [{"by": "ada"}, {"by": "ada", "deep": {"x": [1]}}])
def test_a_frame_that_pandas_wrote_as_parquet_comes_back_equal(
    tmp_path: Path, raw: bool, metadata: dict[str, Any]
) -> None:
    store = ek.EventStore()
    store.append(
        "a-1", [ek.NewEvent(type="X", data={"a-b": 1, "many": [1, 2]}), ek.NewEvent(type="Y", data={"d": "e"})]
    )
    store.append("a-1", ek.NewEvent(type="X", data={"in": {"x": 1}}), metadata=metadata)
    store.read().df(raw=raw).to_parquet(tmp_path / "log.parquet")
    again = ek.from_file(tmp_path / "log.parquet")
    assert list(again.read()) == list(store.read())


def test_a_raw_frame_is_json_where_a_table_has_only_text(tmp_path: Path) -> None:
    """In CSV and in SQLite, with nothing done to it before."""
    store = ek.EventStore()
    store.append("a-1", ek.NewEvent(type="X", data={"a": [1, None], "b": "x"}), metadata={"by": "ada"})
    frame = store.read().df(raw=True)
    frame.to_csv(tmp_path / "log.csv")
    assert list(ek.from_file(tmp_path / "log.csv").read()) == list(store.read())
    with sqlite3.connect(":memory:") as database:
        frame.to_sql("events", database)
        (found,) = database.execute("SELECT data ->> 'b', metadata ->> 'by' FROM events")
    assert found == ("x", "ada")


def test_what_is_exported_as_parquet_is_typed_and_its_data_is_json(tmp_path: Path) -> None:
    """Also where no event has metadata, for which Parquet has no struct."""
    store = ek.EventStore()
    store.append("a-1", ek.NewEvent(type="X", data={"amount": 7}))
    store.export(tmp_path / "log.parquet")
    schema = pq.read_schema(tmp_path / "log.parquet")
    assert schema.field("recorded_at").type == pa.timestamp("us", "UTC")
    assert schema.field("position").type == pa.int64()
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(f"SELECT CAST(data ->> 'amount' AS INT) FROM '{tmp_path}/log.parquet'").fetchall()
    assert found == [(7,)]


def test_an_export_that_another_tool_wrote_again_comes_back_equal(tmp_path: Path) -> None:
    """As Polars does, with texts of Arrow's other types and nothing of what pandas notes."""
    store = ek.EventStore()
    store.append("a-1", ek.NewEvent(type="X", data={"tags": None}, tags=["t:1"]), metadata={"by": "ada"})
    store.export(tmp_path / "log.parquet")
    table = pq.read_table(tmp_path / "log.parquet")
    json_columns = ("metadata", "data")
    for name in json_columns:
        place, texts = table.column_names.index(name), pa.array(table[name].to_pylist(), pa.large_string())
        table = table.set_column(place, name, pa.ExtensionArray.from_storage(pa.json_(pa.large_string()), texts))
    pq.write_table(table, tmp_path / "again.parquet")
    assert list(ek.from_file(tmp_path / "again.parquet").read()) == list(store.read())
    for name in json_columns:
        texts = table[name].combine_chunks().storage
        table = table.set_column(table.column_names.index(name), name, texts)
    pq.write_table(table, tmp_path / "again.parquet")
    assert list(ek.from_file(tmp_path / "again.parquet").read()) == list(store.read())


# Parquet of others


def test_nested_columns_of_parquet_become_plain_values(tmp_path: Path) -> None:
    moment = datetime(2025, 3, 4, 8, tzinfo=UTC)
    table = pa.table(
        {
            "case": pa.array(["a", "a"]).dictionary_encode(),
            "activity": ["Opened", "Closed"],
            "time": pa.array([moment, moment], pa.timestamp("ns", "Europe/Berlin")),
            "many": [[1, None], []],
            "inner": [{"x": 1, "y": "z"}, None],
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "big": pa.array([2**62, None], pa.int64()),
            "price": pa.array([Decimal("1.50"), None]),
            "kind": pa.array(["x", None]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    assert [data for *_, data in told(ek.from_file(tmp_path / "log.parquet", **COLUMNS))] == [
        {
            "many": [1, None],
            "inner": {"x": 1, "y": "z"},
            "map": {"k": 1},
            "big": 2**62,
            "price": "1.50",
            "kind": "x",
        },
        {"many": []},
    ]


def test_parquet_is_asked_about_its_times_like_every_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"case": ["a"], "activity": ["x"], "time": pd.to_datetime(["2025-03-04 08:00"])})
    frame.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ek.InputError, match=r"log\.parquet: row 0, column 'time' is .* say which zone"):
        ek.from_file(tmp_path / "log.parquet", **COLUMNS)
    assert ek.from_file(tmp_path / "log.parquet", **COLUMNS, tz="Europe/Berlin").position == 1


def test_parquet_that_is_cut_off_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pd.DataFrame({"case": ["a"]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ek.InputError, match=r"log\.parquet is cut off or damaged"):
        ek.from_file(path)


# JSON rows

ROW = {"case": "a", "activity": "Opened", "time": TIME, "amount": 1, "note": None}


@pytest.mark.parametrize("name", ["log.ndjson", "log.jsonl", "log.json", "log"])
def test_rows_of_json_keep_null_and_absent_apart(tmp_path: Path, name: str) -> None:
    rows = [ROW, {"case": "a", "activity": "Closed", "time": TIME}]
    path = as_json(tmp_path, name, rows, lines="json" in name[-5:] and not name.endswith(".json"))
    assert told(ek.from_file(path, **COLUMNS)) == [("a", "Opened", {"amount": 1, "note": None}), ("a", "Closed", {})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"case": "a"}\n{"case": "b', "line 2 is no JSON.*cut off"),
        ('{"case": ', "no JSON, or cut off"),
        ("[1, 2]", "row 0 is 1; each is a JSON object"),
        ('{"case": NaN}', "no JSON"),
        ('{"events": [{"case": "a"}]}', "stream='case': no object has that; there are .'events'"),
        ("<log/>", "ends with .ndjson, and is XML"),
    ],
)
def test_json_that_is_none_is_named_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "log.ndjson").write_text(content)
    with pytest.raises(ek.InputError, match=rf"(?s)log\.ndjson.*{message}"):
        ek.from_file(tmp_path / "log.ndjson", **COLUMNS)


# CloudEvents

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "17",
    "source": "/shop",
    "type": "com.example.Paid",
    "subject": "order-1",
    "time": TIME,
    "data": {"amount": 7},
    "traceparent": "00-ab",
}


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [("one.json", EVENT, False), ("batch.json", [EVENT], False), ("lines.ndjson", [EVENT], True)],
)
def test_cloud_events_come_in_alone_in_batches_and_by_lines(
    tmp_path: Path, name: str, content: Any, lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ek.from_file(as_json(tmp_path, name, content, lines=lines))
    (event,) = store.read()
    assert (event.stream, event.type, event.data) == ("order-1", "com.example.Paid", {"amount": 7})
    assert event.recorded_at == datetime(2025, 3, 4, 8, tzinfo=UTC)
    assert event.id == uuid.uuid5(uuid.NAMESPACE_URL, "/shop 17")
    assert event.metadata == {"source": "/shop", "traceparent": "00-ab", "original_id": "/shop 17"}
    assert "stream='subject'" in capsys.readouterr().err


def test_cloud_events_may_be_all_that_the_standard_allows(tmp_path: Path) -> None:
    known = str(uuid.UUID(int=7))
    events = [
        {**EVENT, "id": known, "data": [1, 2]},
        {name: value for name, value in EVENT.items() if name not in ("subject", "data")} | {"data_base64": "AQ=="},
        {name: value for name, value in EVENT.items() if name != "data"} | {"id": "18"},
    ]
    store = ek.from_file(as_json(tmp_path, "log.json", events))
    assert told(store) == [
        ("order-1", EVENT["type"], {"data": [1, 2]}),
        ("/shop", EVENT["type"], {"data_base64": "AQ=="}),
        ("order-1", EVENT["type"], {}),
    ]
    assert str(next(iter(store.read())).id) == known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": None}, "event 0 has no time; .*recorded_at=…"),
        ({"specversion": "0.3"}, "specversion '0.3'"),
        ({"source": ""}, "event 0: source is ''"),
        ({"time": "2025-03-04T08:00:00"}, "row 0.*say which zone"),
    ],
)
def test_cloud_events_that_lack_something_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ek.InputError, match=rf"log\.json.*{message}"):
        ek.from_file(as_json(tmp_path, "log.json", [EVENT | change]))


def test_a_time_that_cloud_events_lack_may_be_a_field(tmp_path: Path) -> None:
    event = {**EVENT, "time": None, "data": {"paid_at": 1_741_075_200}}
    store = ek.from_file(as_json(tmp_path, "log.json", event), recorded_at="paid_at", unit="s")
    assert next(iter(store.read())).recorded_at == datetime(2025, 3, 4, 8, tzinfo=UTC)


def test_events_go_out_as_cloud_events(tmp_path: Path) -> None:
    """What only the kit has is text in attributes whose names are a-z and 0-9."""
    store = ek.EventStore(clock=ek.testing.clock(TIME, step="1min"))
    earlier = datetime(2025, 1, 1, tzinfo=UTC)
    store.append("order-1", ek.NewEvent(type="Paid", data={"amount": 7}))
    store.append("order-1", ek.NewEvent(type="Paid", data={}, occurred_at=earlier, metadata={"by": "ada"}))
    store.export(tmp_path / "log.ndjson")
    first, second = map(json.loads, (tmp_path / "log.ndjson").read_text().splitlines())
    (event, _) = store.read()
    source = first.pop("source")
    assert source.startswith("urn:uuid:")
    assert first == {
        "specversion": "1.0",
        "id": str(event.id),
        "type": "Paid",
        "subject": "order-1",
        "time": "2025-03-04T08:00:00.000000Z",
        "datacontenttype": "application/json",
        "ekposition": "1",
        "ekversion": "1",
        "ekschemaversion": "1",
        "data": {"amount": 7},
    }
    assert second["time"] == "2025-01-01T00:00:00.000000Z"
    assert second["ekrecordedat"] == "2025-03-04T08:01:00.000000Z"
    assert second["ekmetadata"] == '{"by":"ada"}'


# changes of rows


def change(op: str, before: Any, after: Any, ms: int, **source: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "op": op, "ts_ms": ms, "source": {"table": "customers", **source}}


CHANGES = [
    {"schema": {"type": "struct"}, "payload": change("c", None, {"id": 1, "name": "Ada"}, 1_741_075_200_000)},
    change("u", {"id": 1, "name": "Ada"}, {"id": 1, "name": "Eve"}, 1_741_075_201_000, ts_ms=1_741_075_200_500),
    change("d", {"id": 1, "name": "Eve"}, None, 1_741_075_202_000),
    None,
]


def test_debezium_s_changes_become_events_of_their_rows(tmp_path: Path) -> None:
    store = ek.from_file(as_json(tmp_path, "log.ndjson", CHANGES, lines=True), stream="id")
    assert told(store) == [
        ("customers-1", "customersCreated", {"id": 1, "name": "Ada"}),
        ("customers-1", "customersChanged", {"id": 1, "name": "Eve"}),
        ("customers-1", "customersDeleted", {"id": 1, "name": "Eve"}),
    ]
    second = list(store.read())[1]
    assert second.recorded_at == datetime(2025, 3, 4, 8, 0, 1, tzinfo=UTC)
    assert second.occurred_at == datetime(2025, 3, 4, 8, 0, 0, 500_000, tzinfo=UTC)


def test_the_key_of_a_message_is_its_stream(tmp_path: Path) -> None:
    messages = [{"key": {"payload": {"a": 1, "b": "x"}}, "value": CHANGES[0]}]
    assert told(ek.from_file(as_json(tmp_path, "log.json", messages)))[0][0] == "customers-1-x"


def test_change_rows_may_be_a_frame_or_csv(tmp_path: Path) -> None:
    rows = [("t", TIME, None, {"id": 1}, "insert"), ("t", TIME, {"id": 1}, {"id": 1, "x": 2}, "update")]
    frame = pd.DataFrame(rows, columns=["table", "when", "before", "after", "op"])
    named = {"stream": "id", "type": "table", "recorded_at": "when"}
    wanted = [("t-1", "tCreated", {"id": 1}), ("t-1", "tChanged", {"id": 1, "x": 2})]
    assert told(ek.from_frame(frame, **named)) == wanted
    for name in ("before", "after"):
        frame[name] = [None if value is None else json.dumps(value) for value in frame[name]]
    frame.to_csv(tmp_path / "log.csv", index=False)
    assert told(ek.from_file(tmp_path / "log.csv", **named)) == wanted


@pytest.mark.parametrize(
    ("rows", "named", "message"),
    [
        (CHANGES, {}, r"row 0 does not say its key; .*stream=…, of \['id', 'name'\]"),
        (CHANGES, {"stream": "nope"}, "row 0, nope is missing"),
        ([change("t", None, None, 1)], {"stream": "id"}, "row 0, op is 't'"),
        ([{"before": None, "after": {"id": 1}, "op": "c"}], {"stream": "id"}, "does not say its table.*type=…"),
        ([{"before": None, "after": {"id": 1}, "op": "c", "t": "x"}], {"stream": "id", "type": "t"}, "recorded_at=…"),
        ([change("c", None, [1], 1)], {"stream": "id"}, r"row 0, after is \[1\]"),
    ],
)
def test_a_change_that_lacks_something_is_named(tmp_path: Path, rows: Any, named: Any, message: str) -> None:
    with pytest.raises(ek.InputError, match=rf"^log\.json: .*{message}"):
        ek.from_file(as_json(tmp_path, "log.json", rows), **named)


# OpenTelemetry's spans


def span(trace: str, id: str, parent: str, name: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    return {
        "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name,
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(end), **more,
    }  # fmt: skip


START = 1_741_075_200_000_000_000
SPANS = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "http"},
                    "spans": [
                        span("AB" * 16, "a" * 16, "", "GET /", START, START + 9_000_000, kind=2),
                        span(
                            "ab" * 16, "b" * 16, "a" * 16, "SELECT", START + 1000, START + 5_000_001,
                            attributes=[
                                {"key": "rows", "value": {"intValue": "3"}},
                                {"key": "tags", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
                            ],
                        ),
                    ],
                }
            ],
        }
    ]
}  # fmt: skip


@pytest.mark.parametrize("lines", [False, True])
def test_spans_become_a_log_by_trace(tmp_path: Path, lines: bool) -> None:
    path = as_json(tmp_path, "spans.json", [SPANS] if lines else SPANS, lines=lines)
    first, second = ek.from_file(path).read()
    assert [first.stream, second.stream] == ["trace-" + "ab" * 16] * 2
    assert (first.type, second.type) == ("SELECT", "GET /")
    assert first.recorded_at == datetime(2025, 3, 4, 8, 0, 0, 5_000, tzinfo=UTC)
    assert first.occurred_at == datetime(2025, 3, 4, 8, 0, 0, 1, tzinfo=UTC)
    assert first.data["attributes"] == {"rows": 3, "tags": [True]}
    assert second.data["kind"] == "SERVER"
    assert second.data["resource"] == {"service.name": "shop"}
    assert first.metadata["causation_id"] == str(second.id)


def test_spans_that_were_exported_twice_are_loaded_once(tmp_path: Path) -> None:
    store = ek.EventStore()
    path = as_json(tmp_path, "spans.json", SPANS)
    assert store.load(path) == store.load(path, known="skip") == 2


def test_a_span_that_has_not_ended_is_named(tmp_path: Path) -> None:
    bad = {"resourceSpans": [{"scopeSpans": [{"spans": [span("a", "b", "", "x", 1, 0) | {"endTimeUnixNano": 0}]}]}]}
    with pytest.raises(ek.InputError, match=r"spans\.json, span 0 has no endTimeUnixNano"):
        ek.from_file(as_json(tmp_path, "spans.json", bad))


def test_a_frame_of_many_types_of_cells_still_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"case": ["a"] * 2, "activity": ["x"] * 2, "time": [TIME] * 2, "n": [1, np.nan]})
    frame.to_parquet(tmp_path / "log.parquet")
    assert told(ek.from_file(tmp_path / "log.parquet", **COLUMNS))[0][2] == {"n": 1.0}

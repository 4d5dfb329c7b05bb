"""XES: what other tools write comes in, what the kit writes comes back equal, and nothing is read half or unsafely."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1849-2016" xmlns="http://www.xes-standard.org/">\n'
NAME = '<string key="concept:name" value='
TIME = "2025-03-04T08:00:00.000+01:00"


def event(name: str = "Opened", time: str = TIME, more: str = "") -> str:
    return (
        f'<event>\n<string key="concept:name" value="{name}"/>\n<date key="time:timestamp" value="{time}"/>\n{more}\n'
        "</event>\n"
    )


def trace(name: str, *events: str, more: str = "") -> str:
    return f'<trace>\n<string key="concept:name" value="{name}"/>{more}\n{"".join(events)}</trace>\n'


def written(folder: Path, body: str, name: str = "log.xes", head: str = HEAD) -> Path:
    path = folder / name
    text = f"{head}{body}</log>\n".encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def loaded(folder: Path, body: str, **keywords: Any) -> list[ek.RecordedEvent]:
    return list(ek.from_file(written(folder, body), **keywords).read())


def back(store: ek.EventStore, folder: Path, ending: str = ".xes") -> ek.EventStore:
    store.export(folder / f"back{ending}")
    return ek.from_file(folder / f"back{ending}")


# in


def test_a_trace_is_a_stream_and_its_attributes_are_fields_of_its_events(tmp_path: Path) -> None:
    body = trace("c1", event("Opened"), event("Closed", "2025-03-05T08:00:00Z"), more='<int key="amount" value="7"/>')
    found = loaded(tmp_path, body)
    assert [(e.stream, e.type, e.data) for e in found] == [
        ("c1", "Opened", {"case_amount": 7}),
        ("c1", "Closed", {"case_amount": 7}),
    ]
    assert found[0].recorded_at.isoformat() == "2025-03-04T07:00:00+00:00"


def test_events_are_in_the_order_of_their_times_over_all_traces(tmp_path: Path) -> None:
    body = trace("c1", event("Late", "2025-03-05T08:00:00Z")) + trace("c2", event("Early", "2025-03-04T08:00:00Z"))
    assert [e.type for e in loaded(tmp_path, body)] == ["Early", "Late"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('<string key="x" value="a &amp; b&#10;c"/>', "a & b\nc"),
        ('<string key="x" value=""/>', ""),
        ('<string key="x" value="a"></string>', "a"),
        ("<string value='a' key='x'/>", "a"),
        ('<date key="x" value="2011-12-06T13:41:31.788+01:00"/>', "2011-12-06T13:41:31.788+01:00"),
        ('<int key="x" value="-9223372036854775808"/>', -(2**63)),
        ('<float key="x" value="2.50"/>', 2.5),
        ('<boolean key="x" value="true"/>', True),
        ('<boolean key="x" value="False"/>', False),
        ('<id key="x" value="00000000-0000-0000-0000-000000000001"/>', "00000000-0000-0000-0000-000000000001"),
        ('<list key="x"><values><int key="n" value="1"/><string key="n" value="b"/></values></list>', [1, "b"]),
        ('<list key="x"><int key="a" value="1"/><int key="b" value="2"/></list>', [{"a": 1}, {"b": 2}]),
        ('<list key="x"/>', []),
        ('<container key="x"><int key="a" value="1"/><list key="b"/></container>', {"a": 1, "b": []}),
        ('<string key="x" value="A7"><int key="h" value="2"/></string>', {"value": "A7", "children": {"h": 2}}),
        (
            '<int key="x" value="1"><string key="a" value="b"><boolean key="c" value="true"/></string></int>',
            {"value": 1, "children": {"a": {"value": "b", "children": {"c": True}}}},
        ),
    ],
)
def test_values_keep_their_types_and_what_is_within_them(tmp_path: Path, written: str, value: object) -> None:
    (found,) = loaded(tmp_path, trace("c1", event(more=written)))
    assert found.data == {"x": value}
    assert type(found.data["x"]) is type(value)


def test_a_number_that_is_none_is_left_out(tmp_path: Path) -> None:
    """Tools write missing cells so."""
    (found,) = loaded(tmp_path, trace("c1", event(more='<float key="x" value="nan"/>')))
    assert found.data == {}


def test_comments_prefixes_and_other_encodings_are_read(tmp_path: Path) -> None:
    text = f"<!-- a -->\n<xes:log xmlns:xes='x'>{trace('Zoë', event('Geöffnet'), more='<!-- </trace> -->')}</xes:log>"
    for tag in ("trace", "event", "string", "date"):
        text = text.replace(f"<{tag}", f"<xes:{tag}").replace(f"</{tag}", f"</xes:{tag}")
    path = tmp_path / "log.xes"
    for encoding in ("latin-1", "utf-16", "utf-8-sig"):
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>{text}'.encode(encoding))
        assert [(e.stream, e.type) for e in ek.from_file(path).read()] == [("Zoë", "Geöffnet")]


def test_a_classifier_can_be_the_type(tmp_path: Path) -> None:
    body = (
        '<classifier name="both" keys="concept:name lifecycle:transition"/>\n'
        + "<classifier name='quoted' keys=\"'concept:name' 'a b'\"/>"
        + trace("c1", event(more='<string key="lifecycle:transition" value="start"/><int key="a b" value="1"/>'))
    )
    assert [e.type for e in loaded(tmp_path, body)] == ["Opened"]
    assert [e.type for e in loaded(tmp_path, body, type="both")] == ["Opened+start"]
    assert [e.type for e in loaded(tmp_path, body, type="quoted")] == ["Opened+1"]


def test_globals_fill_nothing_in(tmp_path: Path) -> None:
    """They say what all events have; their values are for new ones."""
    body = '<global scope="event"><string key="org:resource" value="unknown"/></global>' + trace("c1", event())
    assert loaded(tmp_path, body)[0].data == {}


def test_ids_of_events_are_kept(tmp_path: Path) -> None:
    one = "0190f0a0-0000-7000-8000-000000000001"
    body = trace("c1", event(more=f'<id key="identity:id" value="{one}"/>'))
    assert loaded(tmp_path, body)[0].id == UUID(one)
    found = loaded(tmp_path, trace("c1", event(more='<string key="identity:id" value="e-1"/>')))
    assert found[0].metadata == {"original_id": "e-1"}


def test_an_event_without_a_trace_needs_a_stream_by_name(tmp_path: Path) -> None:
    body = event(more='<string key="about" value="door-1"/>')
    with pytest.raises(ek.InputError, match="line 3: no 'concept:name'"):
        loaded(tmp_path, body)
    assert loaded(tmp_path, body, stream="about")[0].stream == "door-1"


def test_another_attribute_can_be_the_stream(tmp_path: Path) -> None:
    body = trace("c1", event(more='<string key="org:resource" value="Ada"/>'), more='<string key="shop" value="s1"/>')
    (found,) = loaded(tmp_path, body, stream="case_shop")
    assert (found.stream, found.data) == ("s1", {"org:resource": "Ada"})


def test_one_line_says_what_was_taken_and_what_was_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(tmp_path, '<string key="creator" value="x"/>' + trace("c1", event()) + trace("c2"))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "each of 2 traces is a stream; stream='case:concept:name', type='concept:name'" in said
    assert "left out: 1 attribute of the log and 1 trace without events" in said
    assert "type='concept:name', recorded_at='time:timestamp'" in said


def test_an_overlapping_export_adds_what_is_new(tmp_path: Path) -> None:
    store = ek.EventStore()
    store.load(written(tmp_path, trace("c1", event())), known="skip")
    more = trace("c1", event(), event("Closed", "2025-03-05T08:00:00Z"))
    assert store.load(written(tmp_path, more), known="skip") == 2


# out


def test_all_that_an_event_is_comes_back(tmp_path: Path) -> None:
    store = ek.EventStore(seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
    data: dict[str, Any] = {
        "text": 'a "b"\t\r\n<&>', "nothing": None, "many": [1, 2.5, {"x": [None]}, []], "big": 10**30, "no": False,
        "at": "2026-01-05T09:00:00Z", "within": {"a": {"b": [{"c": 1}]}, "d": {}}, "nul": "\x00", "": 1, "-": -0.0,
        "concept:name": "x", "time:timestamp": 1, "ek:id": 2, "nested": {"value": 1, "children": {"a": 2}},
        "odd": {"value": None, "children": {"a": 2}}, "case_": 1, "case_concept:name": 2, "case_kept": [1],
    }  # fmt: skip
    store.append("a-1", [ek.NewEvent(type="Opened", data=data), ek.NewEvent(type="", data={"case_kept": [1]})][:1])
    store.append("b<1>", ek.NewEvent(type='"&', data={"case_x": 1, "lifecycle:transition": "start"}, tags=["a:1"]))
    when = ek.testing.clock("2020-01-01T00:00:00.123456Z")()
    store.append("a-1", ek.NewEvent(type="Moved", data={}, occurred_at=when, metadata={"by": {"who": "ada"}}))
    for ending in (".xes", ".xes.gz"):
        again = back(store, tmp_path, ending)
        assert list(again.read()) == list(store.read())
        assert [e.tags for e in again.read()] == [e.tags for e in store.read()]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(["a", "case_a", "case_b", "value", "concept:name"]) | st.text(max_size=4)
_XML = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), _XML.filter(bool), st.dictionaries(_FIELDS, _JSON)), min_size=1))
def test_whatever_events_say_comes_back(tmp_path_factory: Any, events: list[tuple[str, str, dict[str, Any]]]) -> None:
    store = ek.EventStore(seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
    for stream, type_, data in events:
        store.append(stream, ek.NewEvent(type=type_, data=data))
    assert list(back(store, tmp_path_factory.mktemp("xes")).read()) == list(store.read())


def test_events_of_one_time_keep_their_order_over_all_streams(tmp_path: Path) -> None:
    store = ek.EventStore()
    append = [ek.Append(f"s-{i % 3}", ek.NewEvent(type=f"E{i}")) for i in range(9)]
    store.append_many(append)
    assert [e.type for e in back(store, tmp_path).read()] == [e.type for e in store.read()]


def test_what_all_events_of_a_stream_say_of_their_case_stands_at_the_trace(tmp_path: Path) -> None:
    store = ek.EventStore()
    store.append("c1", [ek.NewEvent(type=name, data={"case_owner": "Ada"}) for name in ("Opened", "Closed")])
    store.append("c2", [ek.NewEvent(type="Opened", data={"case_owner": name}) for name in ("Ada", "Bob")])
    store.export(tmp_path / "log.xes")
    text = (tmp_path / "log.xes").read_text()
    assert text.count('key="owner"') == 1
    assert text.count('key="case_owner"') == 2


def test_a_log_of_other_tools_comes_back_through_the_kit(tmp_path: Path) -> None:
    body = trace("c1", event(more='<date key="due" value="2025-04-01T00:00:00Z"/>'), more='<int key="n" value="1"/>')
    store = ek.from_file(written(tmp_path, body))
    store.export(tmp_path / "again.xes")
    text = (tmp_path / "again.xes").read_text()
    assert '<date key="due" value="2025-04-01T00:00:00Z"/>' in text
    assert '<date key="time:timestamp" value="2025-03-04T07:00:00.000000+00:00"/>' in text
    assert list(ek.from_file(tmp_path / "again.xes").read()) == list(store.read())


def test_what_xml_cannot_hold_is_refused_with_the_list_or_replaced(tmp_path: Path) -> None:
    store = ek.EventStore()
    store.append("a", ek.NewEvent(type="Fine"))
    store.append("a\x01", ek.NewEvent(type="\x02"))
    with pytest.raises(ek.InputError, match=r"would lose: .*type.*at position 2.*stream.*lossy=True"):
        store.export(tmp_path / "log.xes")
    assert list(tmp_path.iterdir()) == []
    store.export(tmp_path / "log.xes", lossy=True)
    assert [(e.stream, e.type) for e in ek.from_file(tmp_path / "log.xes").read()][1] == ("a\ufffd", "\ufffd")


def test_an_empty_log_comes_back_empty(tmp_path: Path) -> None:
    assert back(ek.EventStore(), tmp_path).position == 0


# what is no log

_FINE = trace("c1", event())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_FINE[:-20], "line 7 is no XML.*cut off"),
        (
            _FINE.replace('<string key="concept:name" value="Opened"/>\n', ""),
            "line 5: this event has no 'concept:name'",
        ),
        (trace("c1", event(time="soon")), "column 'time:timestamp' is 'soon'"),
        (trace("c1", event(time="2025-03-04T08:00:00")), "time zone"),
        (trace("c1", event(time="2025-13-04T08:00:00Z")), "'2025-13-04T08:00:00Z'"),
        (_FINE + _FINE, "line 11: the trace 'c1' is there already, in line 3"),
        (f"<trace>{event()}</trace>", "line 3: no 'concept:name' says which trace this is.*stream="),
        (trace("c1", event(more='<int key="x" value="two"/>')), "line 8: the attribute 'x' is 'two', which is no int"),
        (trace("c1", event(more='<float key="x" value="INF"/>')), "line 8.*no float"),
        (trace("c1", event(more='<boolean key="x" value="si"/>')), "line 8.*no boolean"),
        (trace("c1", event(more='<int key="x" value="1"/>' * 2)), "line 8: the attribute 'x' is there twice"),
        (
            trace("c1", event(more='<int key="case_x" value="1"/>'), more='<int key="x" value="1"/>'),
            "'x' of traces and 'case_x' of events would be one field",
        ),
        (
            trace("c1", *[event(more='<id key="identity:id" value="00000000-0000-0000-0000-000000000001"/>')] * 2),
            "an earlier row has too",
        ),
    ],
)
def test_a_bad_log_is_named_with_the_place_and_nothing_is_loaded(tmp_path: Path, body: str, message: str) -> None:
    store = ek.EventStore()
    with pytest.raises(ek.InputError, match=f"(?s)^log.xes.*{message}"):
        store.load(written(tmp_path, body))
    assert store.position == 0


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE log [<!ENTITY file SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE log SYSTEM "http://127.0.0.1:1/log.dtd">',
        '<!DOCTYPE log [<!ATTLIST event secret CDATA "x">]>',
    ],
)
def test_a_document_type_that_declares_or_fetches_is_refused(tmp_path: Path, doctype: str) -> None:
    path = written(tmp_path, _FINE.replace("Opened", "&b;"), head=f'<?xml version="1.0"?>{doctype}\n<log>')
    with pytest.raises(ek.InputError, match=r"line 1 has .*which can do harm; it is not expanded"):
        ek.from_file(path)


def test_a_file_that_is_something_else_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.xes"
    for content, message in [
        (b"<html></html>", "begins with <html>, not with <log>"),
        (b"a,b\n1,2\n", "ends with .xes, and is text"),
        (gzip.compress(f"{HEAD}{_FINE}</log>".encode(), mtime=0)[:-20], "cut off or damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ek.InputError, match=message):
            ek.from_file(path)

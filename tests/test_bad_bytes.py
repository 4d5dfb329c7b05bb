"""Bad bytes don't run: events are data, whatever stands in them, and whatever stands where events should be."""

from __future__ import annotations

import ast
import json
import struct
import time
import tracemalloc
import uuid
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.reading import event_frame
from eventsourcing_kit.reading.read import recorded
from eventsourcing_kit.records import record
from eventsourcing_kit.records.rows import Draft, Rows
from eventsourcing_kit.storage import keys, marker
from tests.faults import limit, table_of
from tests.test_record import commits

PACKAGE = Path(ek.__file__).parent
HEAD = struct.Struct(">2sBB16s32s")
MARKUP = "</script><script>alert('ran')</script><img src=x onerror=alert(1)>&amp;<!-- \"'"

# nothing in the package runs data

RUNNERS = {"eval", "exec", "compile", "__import__", "execfile", "getattr_static"}
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "code",
    "yaml",
}
METHODS = {"read_pickle", "to_pickle", "eval", "loads_unsafe", "system", "popen", "fromstring_unsafe"}


def risky(tree: ast.AST) -> list[str]:
    """Calls and imports by which data could come to run."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in RUNNERS:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in METHODS | {"allow_pickle"}:
            found.append(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "query":
            found.append("query")  # a frame's, which evaluates text
        elif isinstance(node, ast.keyword) and node.arg in {"allow_pickle", "shell"}:
            found.append(node.arg)
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            writes = node.module == "pickle" and {name.name for name in node.names} == {"dumps"}
            found += [] if writes else [node.module or ""]
    return found


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_unpickles_or_evaluates(module: Path) -> None:
    """Nor imports anything that would; modules are imported by name only where the package names them itself."""
    assert risky(ast.parse(module.read_text())) == []


def test_the_scan_finds_what_it_looks_for() -> None:
    """A scan that finds nothing anywhere would prove nothing."""
    bad = "import pickle; from marshal import loads; eval('1'); df.query('x'); np.load(f, allow_pickle=True)"
    assert sorted(risky(ast.parse(bad))) == ["allow_pickle", "eval", "marshal", "pickle", "query"]


# markup is text


class Tags(HTMLParser):
    """Collects the tags of a piece of HTML, as a browser reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def tags(html: str) -> set[str]:
    parser = Tags()
    parser.feed(html)
    parser.close()
    return parser.found


@pytest.fixture
def marked(store: ek.EventStore) -> ek.EventStore:
    """A store with markup wherever text can stand."""
    event = ek.NewEvent(type=MARKUP, data={MARKUP: MARKUP, "n": 1}, metadata={MARKUP: MARKUP})
    store.append(MARKUP, [event, event])
    return store


def projection() -> ek.Projection:
    made = ek.Projection(MARKUP, initial=lambda: {"text": "", "n": 0})
    made.on(MARKUP)(lambda state, event: {"text": MARKUP, "n": state["n"] + 1})
    return made


def an_error(store: ek.EventStore) -> ek.EventSourcingError:
    with pytest.raises(ek.ConcurrencyError) as caught:
        store.append(MARKUP, ek.NewEvent(type=MARKUP), expected_version=7)
    return caught.value


def a_report(store: ek.EventStore) -> ek.Report:
    table_of(store).write([(keys.stream(MARKUP, 9), keys.u64(1))], flush=False)
    return store.verify()


class Marked(ek.Event):
    text: str


SHOWN: dict[str, Callable[[ek.EventStore], Any]] = {
    "event": lambda store: Marked(text=MARKUP),
    "new event": lambda store: ek.NewEvent(type=MARKUP, data={"x": MARKUP}),
    "recorded event": lambda store: next(iter(store.read())),
    "read": lambda store: store.read(MARKUP),
    "receipt": lambda store: store.append(MARKUP, ek.NewEvent(type=MARKUP)),
    "append": lambda store: ek.Append(MARKUP, ek.NewEvent(type=MARKUP)),
    "error": an_error,
    "history": lambda store: store.history(projection()),
    "report": a_report,
    "frame of events": lambda store: store.read().df(),
    "frame of streams": lambda store: store.streams(),
    "frame of types": lambda store: store.types(),
    "frame of a history": lambda store: store.history(projection()).df(),
    "store": lambda store: store,
}


@pytest.mark.parametrize("name", SHOWN)
def test_markup_in_a_payload_shows_as_text(marked: ek.EventStore, name: str) -> None:
    """In every HTML that a notebook shows of ours: the tags are the kit's own."""
    html = SHOWN[name](marked)._repr_html_()
    allowed = {"table", "thead", "tbody", "tr", "th", "td", "p", "code", "pre", "div", "style"}
    assert tags(html) <= allowed
    assert "alert(" not in html or "&lt;script&gt;" in html


CHARTS: dict[str, Callable[[ek.EventStore], Any]] = {
    "timeline": lambda store: ek.charts.timeline(store.read().df()),
    "evolution": lambda store: ek.charts.evolution(store.history(projection()), "text"),
    "evolution of numbers": lambda store: ek.charts.evolution(store.history(projection()), "n"),
    "scrubber": lambda store: ek.charts.scrubber(store.history(projection()), "text"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_markup_in_a_payload_shows_as_text_in_charts(marked: ek.EventStore, name: str, tmp_path: Path) -> None:
    """A notebook's bundle has no HTML at all, and in Altair's own page the data stays inside its script."""
    chart = CHARTS[name](marked)
    bundle, _ = chart._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.vegalite.v5+json", "text/plain", "image/png"}
    chart.save(tmp_path / "chart.html")
    for html in (chart.to_html(), (tmp_path / "chart.html").read_text()):
        assert "alert('ran')" in html  # it is there, as text
        assert html.count("</script>") == 4
        assert "<!-- " not in html
        assert "img" not in tags(html)


# bytes that are no records


def kit_error_only(work: Callable[[], Any]) -> bool:
    """Whether some work succeeds; any failure must be a `RecordError`."""
    try:
        work()
    except ek.RecordError:
        return False
    return True


def looked_at(raw: bytes) -> None:
    """Everything that reading, framing and verifying do with a record."""
    commit = record.decode(raw)
    rows = commit.positions - commit.first
    list(recorded(commit, rows))
    event_frame.of_events([(commit, rows)])
    assert len(commit.id_bytes) == len(commit.versions) == len(commit.times) == commit.count
    assert commit.last_versions
    assert commit.streams


def packed(body: Any, *, compressed: bool = False) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HEAD.pack(b"EK", 1, compressed, bytes(16), bytes(32)) + (zlib.compress(text) if compressed else text)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([0, 1, -1, 2**63, 2**64, 10**12]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


@given(commits(), st.data())
def test_a_body_with_something_else_anywhere_is_an_error_or_a_whole_commit(
    given_commit: Any, data: st.DataObject
) -> None:
    """Any value in it replaced, removed or doubled: a `RecordError`, or a commit of which every view works."""
    raw = record.encode(given_commit[0], Rows.of(given_commit[1]))
    body = json.loads(zlib.decompress(raw[52:]) if raw[3] else raw[52:])
    *path, last = data.draw(st.sampled_from([place for place in places(body) if place]))
    inner = body
    for step in path:
        inner = inner[step]
    how = data.draw(st.sampled_from(["replace", "replace", "remove", "double"]))
    if how == "replace":
        inner[last] = data.draw(JUNK)
    elif how == "remove":
        del inner[last]
    elif isinstance(inner, list):
        inner.append(inner[last])
    kit_error_only(lambda: looked_at(packed(body)))


@given(commits(), st.data())
def test_a_record_with_other_bytes_is_an_error_or_a_whole_commit(given_commit: Any, data: st.DataObject) -> None:
    """Flipped, cut, lengthened, with another part in the middle."""
    raw = bytearray(record.encode(given_commit[0], Rows.of(given_commit[1])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    kit_error_only(lambda: looked_at(bytes(raw)))


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_keys_and_values_that_are_none_raise_only_record_errors(key: bytes, value: bytes) -> None:
    """Whatever stands in the index."""
    for work in (
        lambda: keys.number(value),
        lambda: keys.store_id(value),
        lambda: keys.commit_entry(key, value),
        lambda: keys.stream_of(key),
        lambda: keys.note_of(key),
        lambda: keys.commit_entry(b"c" + bytes(16), value),
        lambda: keys.stream_of(b"s" + key + b"\x00\x01" + bytes(8)),
        lambda: keys.note_of(b"n" + key + b"\x00\x01" + value + b"\x00\x01" + bytes(8)),
    ):
        kit_error_only(work)


@given(st.binary(max_size=100))
def test_a_note_of_the_end_that_is_none_is_a_record_error(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    """Whatever stands in its file."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "end").write_bytes(text)
    kit_error_only(lambda: marker.read(folder))


ONE = {"position": 1, "count": 1, "key": 1, "time": 0, "streams": [["a", 1]], "shapes": [["T", 1, ["x"], [[1]]]]}
BARE = {**ONE, "shapes": [["T", 1, [], []]]}
TIMES = {name: value for name, value in ONE.items() if name != "time"}
GREEDY = {
    "a count of 10^12": packed({**ONE, "count": 10**12}),
    "a count of 10^12 without fields": packed({**BARE, "count": 10**12}),
    "a position at the end": packed({**ONE, "position": 2**63}),
    "a version at the end": packed({**ONE, "streams": [["a", 2**63]]}),
    "a time after 9999": packed({**ONE, "time": 10**18}),
    "a huge time": packed({**TIMES, "times": [10**30]}),
    "times that overflow": packed({**BARE, **TIMES, "count": 3, "times": [2**62, 2**62, 2**62]}),
    "a code of 10^15": packed({**BARE, "stream": [10**15], "streams": [["a", 1], ["b", 1]]}),
    "a number of a million digits": packed(json.dumps(ONE).encode().replace(b"[[1]]", b"[[" + b"9" * 10**6 + b"]]")),
    "deep JSON": packed(b"[" * 10**6),
    "deep JSON, compressed": packed(b"[" * 10**7, compressed=True),
    "an endless body": packed(b" " * (1 << 25), compressed=True),
    "a body of lists": packed(b'{"x":[' + b"[]," * (6 << 20) + b"1]}", compressed=True),
    "two bodies": packed(b"", compressed=True) + packed(ONE),
    "other flags": packed(ONE)[:3] + b"\x80" + packed(ONE)[4:],
}


@pytest.mark.parametrize("name", GREEDY)
def test_bytes_that_ask_for_too_much_are_refused_with_little_time_and_memory(name: str) -> None:
    """A few kilobytes must not take gigabytes, nor minutes."""
    tracemalloc.start()
    started = time.process_time()
    try:
        assert not kit_error_only(lambda: record.decode(GREEDY[name]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    assert time.process_time() - started < 20


def test_the_good_one_among_the_greedy_is_read() -> None:
    """So it is not for another reason that the others are refused."""
    for body in (ONE, BARE, {**TIMES, "times": [5]}):
        assert record.decode(packed(body)).count == 1
    assert record.decode(packed(ONE, compressed=True)).shapes == record.decode(packed(ONE)).shapes


def test_what_compresses_beyond_measure_is_stored_as_it_is() -> None:
    """So that a reader may refuse what unpacks more than a hundredfold."""
    draft = Draft("a", "T", 1, {"x": "x" * (20 << 20)})
    raw = record.encode(record.Place(uuid.UUID(int=1), bytes(32), 1, 1, 0, {}), Rows.of([draft]))
    assert raw[3] == 0
    assert record.decode(raw).shapes[0].columns[0][0] == draft.data["x"]


def test_a_commit_that_is_too_large_for_one_is_refused(store: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is written, with what to do; the limits are made small here."""
    limit(monkeypatch, record_bytes=10_000)
    with pytest.raises(ek.InputError, match="split"):
        store.append("a", ek.NewEvent(type="T", data={"x": "x" * 10_000}))
    limit(monkeypatch, record_events=3)
    with pytest.raises(ek.InputError, match="split"):
        store.append("a", [ek.NewEvent(type="T")] * 4)
    assert store.append("a", [ek.NewEvent(type="T")] * 3).position == 3


# a newer format


def test_a_record_of_a_newer_format_is_refused_wherever_it_is_met(store: ek.EventStore) -> None:
    """Reading, framing, replaying, and verifying say that the kit is too old."""
    for n in range(3):
        store.append("a", ek.NewEvent(type="T", data={"n": n}))
    table = table_of(store)
    raw = table.get(keys.log(2)) or b""
    newer = raw[:2] + b"\x03" + raw[3:]
    table.write([(keys.log(2), newer), (keys.stream("a", 2), newer)], flush=False)
    counting = ek.Projection("counting", initial=int)
    counting.on("T")(lambda state, event: state + 1)
    for call in (
        lambda: list(store.read()),
        lambda: list(store.read("a")),
        lambda: store.read().df(),
        lambda: store.replay(counting),
        lambda: store.streams(),
    ):
        with pytest.raises(ek.RecordError, match=r"record format 3.*update the kit"):
            call()
    report = store.verify()
    assert report.first_bad == 2
    assert "record format 3, and this version of the kit reads 1 and 2; update the kit" in report.findings[0].wrong


# large and deep payloads


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [100, 120])
def test_a_hundred_nested_levels_work(store: ek.EventStore, levels: int) -> None:
    """In every view."""
    data = {"x": nested(levels)}
    store.append("a", ek.NewEvent(type="T", data=data, metadata=data))
    (event,) = store.read()
    assert event.data == data == event.metadata
    assert store.read().df()["x"][0] == data["x"]
    assert store.verify().ok
    ek.charts.timeline(store.read().df()).to_json()
    assert event._repr_html_()


@pytest.mark.parametrize("levels", [200, 1_000, 100_000])
def test_more_nested_levels_than_are_kept_are_refused(store: ek.EventStore, levels: int) -> None:
    """Before anything is written."""
    with pytest.raises(ek.InputError, match="nested"):
        store.append("a", ek.NewEvent(type="T", data={"x": nested(levels)}))
    assert store.position == 0


@pytest.mark.parametrize("megabytes", [1, 50])
def test_large_payloads_work(folder: Path, megabytes: int) -> None:
    """Written to a folder, read back after opening again, verified, and short in every repr."""
    text = "".join(f"{n:07x} " for n in range(megabytes << 17))
    with ek.EventStore(folder, fsync=False) as store:
        receipt = store.append("a", [ek.NewEvent(type="T", data={"x": text}), ek.NewEvent(type="T", data={"x": 1})])
        assert receipt.position == 2
    with ek.EventStore(folder, read_only=True) as store:
        assert next(iter(store.read())).data["x"] == text
        assert store.verify().ok


def test_a_huge_payload_does_not_fill_the_page(store: ek.EventStore) -> None:
    """A read shows its first events, times as people type them, and of each payload the beginning."""
    store.append("a", ek.NewEvent(type="Noted", data={"text": "x" * 100_000}))
    html = store.read()._repr_html_()
    assert len(html) < 2_000
    assert "2026-01-05T09:00:00Z" in html

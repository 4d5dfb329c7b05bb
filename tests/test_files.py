"""Logs as files: read by what they hold, written so that equal events come back, and never half."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

COLUMNS = {"stream": "case", "type": "activity", "recorded_at": "time"}
ROWS = "case,activity,time,amount\na-1,Opened,2025-03-04T08:00:00Z,1\na-1,Closed,2025-03-05T08:00:00Z,\n"


@pytest.fixture
def rich() -> ek.EventStore:
    """A store with all that an event can be."""
    store = ek.EventStore(seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"))
    data: dict[str, Any] = {
        "text": 'a "b",;\t\r\n',
        "none": None,
        "many": [1, 2.5, {"x": None}],
        "big": 10**30,
        "no": False,
    }
    store.append("a-1", [ek.NewEvent(type="Opened", data=data), ek.NewEvent(type="007", data={})])
    when = ek.testing.clock("2020-01-01T00:00:00.123456Z")()
    store.append(
        "007", ek.NewEvent(type="Moved", data={"to": "007"}, occurred_at=when, metadata={"by": {"who": "ada"}})
    )
    return store


@pytest.fixture
def tagged(rich: ek.EventStore) -> ek.EventStore:
    rich.append("a-1", ek.NewEvent(type="Tagged", data={"tags": 1}, tags=["course:c1", "student:s,1"]))
    return rich


def equal(one: ek.EventStore, other: ek.EventStore) -> bool:
    return list(one.read()) == list(other.read())


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# there and back

KEEP_ALL = [".csv", ".tsv", ".csv.gz", ".csv.bz2", ".csv.xz", ".parquet", ".ndjson", ".jsonl.gz"]


@pytest.mark.parametrize("ending", KEEP_ALL)
def test_what_is_exported_comes_back_equal(rich: ek.EventStore, tmp_path: Path, ending: str) -> None:
    rich.export(tmp_path / f"log{ending}")
    assert equal(ek.from_file(tmp_path / f"log{ending}"), rich)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=4)
moments = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
events = st.builds(
    ek.NewEvent, type=names, data=objects, metadata=objects, occurred_at=moments, tags=st.lists(names, max_size=2)
)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".ndjson"])
@settings(max_examples=25, deadline=None)
@given(appended=st.lists(st.tuples(names, events), min_size=1, max_size=5))
def test_whatever_an_event_says_comes_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, appended: list[tuple[str, ek.NewEvent]]
) -> None:
    path = tmp_path_factory.mktemp("log") / f"log{ending}"
    with ek.EventStore() as store:
        for stream, event in appended:
            store.append(stream, event)
        store.export(path)
        with ek.from_file(path) as again:
            assert equal(again, store)


@pytest.mark.parametrize("ending", KEEP_ALL)
def test_tags_come_back(tagged: ek.EventStore, tmp_path: Path, ending: str) -> None:
    tagged.export(tmp_path / f"log{ending}")
    assert equal(ek.from_file(tmp_path / f"log{ending}"), tagged)


@pytest.mark.parametrize("ending", KEEP_ALL)
def test_an_empty_log_comes_back_empty(tmp_path: Path, ending: str) -> None:
    ek.EventStore().export(tmp_path / f"log{ending}")
    assert ek.from_file(tmp_path / f"log{ending}").position == 0


def test_a_read_exports_what_it_reads(rich: ek.EventStore, tmp_path: Path) -> None:
    rich.read(types="Moved").export(tmp_path / "moved.csv")
    assert [event.type for event in ek.from_file(tmp_path / "moved.csv").read()] == ["Moved"]


def test_an_export_shows_how_far_it_is_where_that_is_asked_for(
    rich: ek.EventStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rich.export(tmp_path / "log.csv")
    assert capsys.readouterr().err == ""
    rich.export(tmp_path / "log.csv", progress=True)
    assert "/3 [" in capsys.readouterr().err


def test_an_export_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ek.Event):
        x: int

    store = ek.EventStore(unknown="fail")
    store.append("a", Broken(x=1))
    store.export(tmp_path / "log.csv")
    before = (tmp_path / "log.csv").read_bytes()
    store.append("a", ek.NewEvent(type="NobodyKnows"))
    with pytest.raises(ek.SchemaError):
        store.export(tmp_path / "log.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
    assert (tmp_path / "log.csv").read_bytes() == before


@pytest.mark.processes
def test_a_killed_export_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    """Its process is killed as soon as it has begun to write."""
    code = (
        "import eventsourcing_kit as ek, sys; store = ek.EventStore(); "
        "store.append('a', [ek.NewEvent(type='T', data={'x': 'y' * 100})] * 100_000); store.export(sys.argv[1])"
    )
    path = tmp_path / "log.ndjson"
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as process:
        while not (parts := list(tmp_path.glob("*.part"))) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    assert parts, "it was done before it could be killed"
    assert not path.exists()
    for part in tmp_path.iterdir():
        with pytest.raises(ek.InputError, match="broken off"):
            ek.from_file(part)


def test_what_a_killed_export_leaves_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = written(tmp_path, "log.csv.1234.part", ROWS)
    with pytest.raises(ek.InputError, match="broken off"):
        ek.from_file(path, **COLUMNS)


@pytest.mark.parametrize(
    ("name", "message"),
    [("log.doc", r"no format .* \.csv"), ("nowhere/log.csv", "no folder"), (".", "is a folder"), ("log", "no format")],
)
def test_an_export_to_where_nothing_can_be_written_says_why(
    rich: ek.EventStore, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ek.InputError, match=message):
        rich.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# what people have


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_are_found(tmp_path: Path, separator: str, encoding: str) -> None:
    text = ROWS.replace("Opened", "Geöffnet").replace(",", separator)
    store = ek.from_file(written(tmp_path, "log.csv", text.encode(encoding)), **COLUMNS)
    assert [(event.type, event.data) for event in store.read()] == [("Geöffnet", {"amount": 1}), ("Closed", {})]


def test_a_file_may_be_compressed_whatever_its_name_says(tmp_path: Path) -> None:
    packed = written(tmp_path, "log.csv", gzip.compress(ROWS.encode()))
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as zipped:
        zipped.writestr("inside.csv", ROWS)
    for path in (packed, tmp_path / "log.zip"):
        assert ek.from_file(path, **COLUMNS).position == 2


def test_numbers_are_numbers_only_where_all_of_a_column_is_written_so(tmp_path: Path) -> None:
    """007 is a name, and so is what Python alone takes for a number."""
    text = (
        "case,activity,time,whole,half,bond,mixed,yes,under,big\n"
        "7,1,2025-03-04T08:00:00Z,-3,2.50,007,1,true,1_000,123456789012345678901234567890\n"
        "7,1,2025-03-04T09:00:00Z,4,1e3,8,x,False,2,1\n"
    )
    first = next(iter(ek.from_file(written(tmp_path, "log.csv", text), **COLUMNS).read()))
    assert (first.stream, first.type) == ("7", "1")
    big = 123456789012345678901234567890
    assert first.data == {
        "whole": -3, "half": 2.5, "bond": "007", "mixed": "1", "yes": True, "under": "1_000", "big": big,
    }  # fmt: skip


def test_what_programs_write_for_no_number_is_none_among_numbers_and_text_among_text(tmp_path: Path) -> None:
    text = "case,activity,time,n,note\n" + "".join(
        f"a,A,2025-03-04T08:00:00Z,{n},{note}\n" for n, note in (("1.5", "NA"), ("NaN", "x"), ("", "None"))
    )
    events = ek.from_file(written(tmp_path, "log.csv", text), **COLUMNS).read()
    assert [event.data for event in events] == [{"n": 1.5, "note": "NA"}, {"note": "x"}, {"note": "None"}]


def test_in_a_notebook_what_was_taken_is_output_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr it would make the notebook unfit to be a test."""
    text = "case:concept:name,concept:name,time:timestamp\nc1,Opened,2025-03-04 08:00:00+01:00\n"
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(execution_count=1)))
    ek.from_file(written(tmp_path, "log.csv", text)).close()
    said = capsys.readouterr()
    assert said.out.startswith("log.csv: 1 row; ")
    assert said.err == ""


def test_the_columns_of_process_mining_tools_need_no_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was taken for what is said in a line; a column of row numbers, as pandas writes it, is left out."""
    text = ",case:concept:name,concept:name,time:timestamp,case:owner\n0,c1,Opened,2025-03-04 08:00:00+01:00,Ada\n"
    store = ek.from_file(written(tmp_path, "log.csv", text))
    assert [(e.stream, e.type, e.data) for e in store.read()] == [("c1", "Opened", {"case_owner": "Ada"})]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "stream='case:concept:name', type='concept:name', recorded_at='time:timestamp'" in said


def test_nothing_is_taken_that_was_not_defined(tmp_path: Path) -> None:
    with pytest.raises(ek.InputError, match=r"log\.csv: stream= is missing.*'case', 'activity', 'time', 'amount'"):
        ek.from_file(written(tmp_path, "log.csv", ROWS))


def test_a_file_that_overlaps_with_what_is_loaded_adds_what_is_new(tmp_path: Path) -> None:
    store = ek.EventStore()
    store.load(written(tmp_path, "log.csv", ROWS), **COLUMNS, known="skip")
    more = ROWS + "a-2,Opened,2025-03-06T08:00:00Z,3\n"
    assert store.load(written(tmp_path, "log.csv", more), **COLUMNS, known="skip") == 3


# what is no log


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", b"", "empty"),
        ("log.csv", ROWS[:-20], r"line 3 has \d cells and the first line 4"),
        ("log.csv", ROWS + '"a-1,Closed', "line 4.*cut off"),
        ("log.csv.gz", gzip.compress(ROWS.encode(), mtime=0)[:-12], "cut off or damaged"),
        ("log.csv", "<log/>", "ends with .csv, and is XML"),
        ("log.csv", b"PAR1" + bytes(20), "ends with .csv, and is a Parquet file"),
        ("log.csv", "Geöffnet,b\n".encode("latin-1") * 3, "no utf-8 text.*encoding='cp1252'"),
        ("log.csv", "a,b,a\n1,2,3\n", "'a' is there twice"),
        ("log.csv", ",".join(map(str, range(20_000))) + "\n", "20,000 columns"),
        ("log.csv", ROWS.replace("2025-03-05T08:00:00Z", "03/04/2025"), "row 1, column 'time' is '03/04/2025'"),
        ("log.csv", ROWS.replace("2025-03-05T08:00:00Z", "2025-03-05T08:00"), "row 1.*time zone"),
        ("log.csv", ROWS.replace("2025-03-05T08:00:00Z", "1741161600"), "row 1.*unit='s'"),
        ("log", bytes(range(1, 9)) + bytes(99), "neither text nor a format"),
    ],
)
def test_a_bad_file_is_named_with_the_place_and_nothing_is_loaded(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    store = ek.EventStore()
    with pytest.raises(ek.InputError, match=f"(?s)^{name}.*{message}"):
        store.load(written(tmp_path, name, content), **COLUMNS)
    assert store.position == 0


def test_the_cure_for_an_encoding_works(tmp_path: Path) -> None:
    import pandas as pd

    path = written(tmp_path, "log.csv", ROWS.replace("Opened", "Geöffnet").encode("cp1252"))
    with pytest.raises(ek.InputError) as caught:
        ek.from_file(path, **COLUMNS)
    code = str(caught.value).partition("which encoding it is: ")[2].replace("log.csv", str(path))
    frame = eval(code, {"pd": pd})
    assert next(iter(ek.from_frame(frame, **COLUMNS).read())).type == "Geöffnet"


@pytest.mark.parametrize(("path", "message"), [("missing.csv", "there is no file"), (".", "is a folder.*EventStore")])
def test_what_is_no_file_is_said(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(ek.InputError, match=message):
        ek.from_file(tmp_path / path)

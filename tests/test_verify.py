"""Verification: each way to tamper with a store is seen, and the report names the first bad position."""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.events import schema
from eventsourcing_kit.records import record
from eventsourcing_kit.storage import keys, marker, wal
from eventsourcing_kit.storage.location import Location
from eventsourcing_kit.storage.slate.table import Table
from tests.faults import table_of

HEAD = 52
Rows = dict[bytes, bytes]
Altered = dict[bytes, bytes | None]
# The commits of `written`: a-1 and b-1 in turn, then ids, then one commit of three streams.
FIRSTS = (1, 2, 4, 5, 7, 8, 10)
LAST = 12


def noted(n: int, **more: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n}, **more)


def fill(store: ek.EventStore) -> None:
    store.append("a-1", noted(1))
    store.append("b-1", [noted(2), noted(3)])
    store.append("a-1", noted(4))
    store.append("b-1", [noted(5), noted(6)])
    store.append("a-1", noted(7))
    store.append("ids", [noted(8, id=uuid.UUID(int=8)), noted(9, id=uuid.UUID(int=9))])
    store.append_many([ek.Append("a-1", noted(10)), ek.Append("c-1", noted(11)), ek.Append("b-1", noted(12))])


@pytest.fixture
def written(folder: Path) -> Path:
    """A closed store of seven commits."""
    with ek.EventStore(folder, fsync=False, seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", "1min")) as store:
        fill(store)
    return folder


def rows_in(folder: Path) -> Rows:
    table = Table(Location(folder), read_only=True)
    try:
        return dict(table.scan(b"", b"\xff"))
    finally:
        table.close()


def tamper(folder: Path, altered: Altered) -> None:
    """Write rows past the kit (None removes one)."""
    table = Table(Location(folder))
    table.write(list(altered.items()), flush=True)
    table.close()
    mark = marker.read(folder)  # a forger knows of the mark that the folder's openings leave there, too
    marker.write(folder, replace(mark, fences=wal.fences(wal.sizes(folder))), sync=False)


def forget_end(folder: Path) -> None:
    """As if no closing had noted where the log ended."""
    marker.write(folder, replace(marker.read(folder), end=None), sync=False)


def report_of(folder: Path, **asked: Any) -> ek.Report:
    with ek.EventStore(folder, read_only=True) as store:
        return store.verify(**asked)


def rewritten(raw: bytes, change: Callable[[dict[str, Any]], Any], head: bytes | None = None) -> bytes:
    """A record with another body, and perhaps another head."""
    body = json.loads(zlib.decompress(raw[HEAD:]) if raw[3] else raw[HEAD:])
    change(body)
    head = raw[:HEAD] if head is None else head
    return head[:3] + b"\x00" + head[4:HEAD] + json.dumps(body).encode()


def rows_for(raw: bytes) -> Rows:
    """All rows that a record asks for, as a careful forger would write them."""
    from eventsourcing_kit.checking.index_check import _wanted

    return {keys.log(record.decode(raw).first): raw, **dict(_wanted(raw))}


def forged(rows: Rows, first: int, change: Callable[[dict[str, Any]], Any], head: bytes | None = None) -> Altered:
    """The commit at `first` changed, and its index rows with it; only what follows is still chained to the old one."""
    old = rows[keys.log(first)]
    return {**dict.fromkeys(rows_for(old)), **rows_for(rewritten(old, change, head))}


def set_payload(body: dict[str, Any]) -> None:
    body["shapes"][0][3][0][0] = 1_000_000


# sound stores


def test_a_store_as_it_was_written_is_sound(written: Path) -> None:
    """The report is true, counts what was read, and gives the end's position and digest."""
    report = report_of(written)
    assert report
    assert (report.ok, report.first_bad, report.findings, report.is_complete) == (True, None, (), True)
    assert (report.commits, report.events, report.streams, report.position) == (7, LAST, 4, LAST)
    assert report.digest == record.digest(rows_in(written)[keys.log(FIRSTS[-1])]).hex()
    assert report.df().to_dict("list") == {"position": [], "kind": [], "wrong": [], "cure": []}
    assert "sound" in repr(report)


def test_an_empty_store_is_sound(store: ek.EventStore) -> None:
    """There is nothing to find, and its end can be noted too."""
    report = store.verify()
    assert (report.ok, report.events, report.position, report.digest) == (True, 0, 0, "00" * 32)
    store.append("a", noted(1))
    assert store.verify(expected=(report.position, report.digest)).ok


def test_every_kind_of_store_is_sound(store: ek.EventStore) -> None:
    """Loaded rows of equal times, copies of another store's events with their ids, repeated appends, odd names."""
    import pandas as pd

    fill(store)
    frame = pd.DataFrame(
        {"case": ["x-1", "x\x00", "ü"] * 50, "what": ["In", "Out"] * 75, "at": pd.Timestamp("2027-01-01", tz="UTC")}
    )
    store.load(frame.assign(n=range(150)), stream="case", type="what", recorded_at="at")
    again = [ek.NewEvent(type=e.type, data=e.data, id=e.id) for e in store.read(limit=5)]
    with ek.EventStore() as copy:
        copy.append("copied", again)
        assert copy.append("copied", again).replayed
        assert copy.verify().ok
    report = store.verify()
    assert (report.ok, report.events) == (True, LAST + 150)


def test_a_store_is_verified_while_it_is_written(store: ek.EventStore) -> None:
    """What is appended meanwhile is not taken for a stale row."""
    import threading

    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            store.append(f"w-{n % 3}", noted(n, id=uuid.uuid4()))
            n += 1

    fill(store)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        reports = [store.verify() for _ in range(10)]
    finally:
        stop.set()
        thread.join()
    assert [report.findings for report in reports] == [()] * 10


def test_a_closed_store_cannot_be_verified(folder: Path) -> None:
    """That is no damage."""
    store = ek.EventStore(folder, fsync=False)
    store.close()
    with pytest.raises(ek.StoreClosedError):
        store.verify()


# tampered stores: what is changed, and the first bad position


def payload(rows: Rows) -> Altered:
    return {keys.log(4): rewritten(rows[keys.log(4)], set_payload)}


def payload_and_index(rows: Rows) -> Altered:
    return forged(rows, 4, set_payload)


def payload_of_a_commit_that_is_indexed_by_pointers(rows: Rows) -> Altered:
    return {keys.log(10): rewritten(rows[keys.log(10)], set_payload)}


def removed_record(rows: Rows) -> Altered:
    return {keys.log(5): None}


def removed_commit(rows: Rows) -> Altered:
    return dict.fromkeys(rows_for(rows[keys.log(5)]))


def removed_first_commit(rows: Rows) -> Altered:
    return dict.fromkeys(rows_for(rows[keys.log(1)]))


def swapped_records(rows: Rows) -> Altered:
    return {keys.log(2): rows[keys.log(5)], keys.log(5): rows[keys.log(2)]}


def swapped_commits(rows: Rows) -> Altered:
    """With positions, versions and times of their new places: only the chain tells."""
    swapped: Altered = {}
    for here, there in ((2, 5), (5, 2)):
        own = json.loads(rewritten(rows[keys.log(here)], lambda _: None)[HEAD:])
        place = {name: own[name] for name in ("position", "time", "streams")}
        head = rows[keys.log(here)][:HEAD]
        new = rewritten(rows[keys.log(there)], lambda body, place=place: body.update(place), head)
        swapped |= dict.fromkeys(rows_for(rows[keys.log(here)])) | rows_for(new)
    return swapped


def removed_index_row(rows: Rows) -> Altered:
    return {next(key for key in rows if key[:1] == b"c" and key[9:] == keys.u64(5)): None}


def stale_index_row_beyond_the_end(rows: Rows) -> Altered:
    entry = keys.CommitEntry(40, 2**52, 41, 2**52, 1, bytes(32))
    return {keys.commit(entry.first_us, entry.first): keys.commit_value(entry)}


def stale_index_row_within(rows: Rows) -> Altered:
    entry = keys.CommitEntry(5, 2**50, 6, 2**50, 1, bytes(32))
    return {keys.commit(entry.first_us, entry.first): keys.commit_value(entry)}


def index_row_with_another_key(rows: Rows) -> Altered:
    key = next(key for key in rows if key[:1] == b"c" and key[9:] == keys.u64(5))
    return {key: keys.commit_value(keys.commit_entry(key, rows[key])._replace(id_key=7))}


def wrong_stream_row(rows: Rows) -> Altered:
    return {keys.stream("b-1", 4): keys.u64(2)}


def removed_stream_row(rows: Rows) -> Altered:
    return {keys.stream("b-1", 4): None}


def stale_stream_row(rows: Rows) -> Altered:
    return {keys.stream("nobody", 1): keys.u64(7)}


def stale_version_of_a_stream(rows: Rows) -> Altered:
    return {keys.stream("b-1", 9): keys.u64(5)}


def altered_copy_under_the_stream(rows: Rows) -> Altered:
    key = keys.stream("a-1", 2)
    return {key: rewritten(rows[key], set_payload)}


def removed_id(rows: Rows) -> Altered:
    return {keys.event_id(uuid.UUID(int=9)): None}


def wrong_id(rows: Rows) -> Altered:
    return {keys.event_id(uuid.UUID(int=9)): keys.u64(3)}


def duplicate_supplied_id(rows: Rows) -> Altered:
    return forged(rows, 10, lambda body: body.update(ids=[[1], [uuid.UUID(int=8).hex]]))


def duplicate_supplied_id_without_a_row(rows: Rows) -> Altered:
    return {**duplicate_supplied_id(rows), keys.event_id(uuid.UUID(int=8)): rows[keys.event_id(uuid.UUID(int=8))]}


def id_of_another_event(rows: Rows) -> Altered:
    made = record.decode(rows[keys.log(2)]).id_bytes[1].tobytes()
    return forged(rows, 10, lambda body: body.update(ids=[[1], [made.hex()]]))


def altered_time(rows: Rows) -> Altered:
    return forged(rows, 10, lambda body: body.update(time=1_000))


def falling_times_within(rows: Rows) -> Altered:
    def fall(body: dict[str, Any]) -> None:
        body["times"] = [body.pop("time"), 5, -3]

    return forged(rows, 10, fall)


def version_gap(rows: Rows) -> Altered:
    return forged(rows, 10, lambda body: body["streams"][1].__setitem__(1, 3))


def another_store(rows: Rows) -> Altered:
    raw = rows[keys.log(10)]
    return forged(rows, 10, lambda _: None, raw[:4] + bytes(16) + raw[20:HEAD])


def another_store_id(rows: Rows) -> Altered:
    return {keys.META: bytes(16)}


def missing_store_id(rows: Rows) -> Altered:
    return {keys.META: None}


def altered_hash_of_the_previous(rows: Rows) -> Altered:
    raw = rows[keys.log(5)]
    return {keys.log(5): raw[:20] + bytes(32) + raw[HEAD:]}


def first_commit_names_another(rows: Rows) -> Altered:
    raw = rows[keys.log(1)]
    return forged(rows, 1, lambda _: None, raw[:20] + b"\x01" * 32)


def noise(rows: Rows) -> Altered:
    return {keys.log(5): b"noise"}


def newer_format(rows: Rows) -> Altered:
    raw = rows[keys.log(5)]
    return {keys.log(5): raw[:2] + b"\x02" + raw[3:]}


def a_commit_too_many(rows: Rows) -> Altered:
    return {keys.log(6): rows[keys.log(5)]}


def a_row_that_is_no_record(rows: Rows) -> Altered:
    return {b"z": b"noise"}


def a_record_behind_the_end(rows: Rows) -> Altered:
    return {keys.log(LAST + 1): rewritten(rows[keys.log(10)], lambda body: body.update(position=LAST + 1))}


def truncated_record(rows: Rows) -> Altered:
    return {keys.log(10): None}


TAMPERED = {
    payload: 4, payload_and_index: 4, payload_of_a_commit_that_is_indexed_by_pointers: 10, removed_record: 5,
    removed_commit: 5, removed_first_commit: 1, swapped_records: 2, swapped_commits: 2, removed_index_row: 5,
    stale_index_row_beyond_the_end: 40, stale_index_row_within: 5, index_row_with_another_key: 5, wrong_stream_row: 5,
    removed_stream_row: 5, stale_stream_row: 7, stale_version_of_a_stream: 5, altered_copy_under_the_stream: 4,
    removed_id: 9, wrong_id: 9, duplicate_supplied_id: 11, duplicate_supplied_id_without_a_row: 11,
    id_of_another_event: 11, altered_time: 10,
    falling_times_within: 12, version_gap: 11, another_store: 10, another_store_id: 0, missing_store_id: 0,
    altered_hash_of_the_previous: 5, first_commit_names_another: 1, noise: 5, newer_format: 5, a_commit_too_many: 6,
    a_row_that_is_no_record: 1, a_record_behind_the_end: LAST + 1, truncated_record: 10,
}  # fmt: skip


@pytest.mark.parametrize(("how", "first_bad"), TAMPERED.items(), ids=lambda x: getattr(x, "__name__", None))
def test_tampering_is_seen_from_its_first_position_on(
    written: Path, how: Callable[[Rows], Altered], first_bad: int
) -> None:
    """Whatever is altered past the kit, in the log or in an index; the log itself shows it, not the note of its end."""
    tamper(written, how(rows_in(written)))
    forget_end(written)
    report = report_of(written)
    assert not report
    assert report.first_bad == first_bad, report
    assert set(report.df()["kind"]) == {"damage"}
    assert all(finding.wrong and finding.cure for finding in report.findings)


# what only a digest that was noted elsewhere tells


def cut_off(rows: Rows) -> Altered:
    """The last commit and all its rows."""
    return dict.fromkeys(rows_for(rows[keys.log(10)]))


def last_written_anew(rows: Rows) -> Altered:
    return forged(rows, 10, set_payload)


def end_written_anew(rows: Rows) -> Altered:
    """From position 4 on, each commit chained to the one before it."""
    altered: Altered = {}
    previous = record.digest(rows[keys.log(2)])
    for first in FIRSTS[2:]:
        raw = rows[keys.log(first)]
        altered |= forged(rows, first, set_payload, raw[:20] + previous)
        previous = record.digest(altered[keys.log(first)] or b"")
    return altered


@pytest.mark.parametrize(
    ("how", "first_bad", "wrong"),
    [
        (cut_off, 10, "the log ends at position 9, and at 12"),
        (last_written_anew, 1, "up to position 12 the log is not what it was when its digest was noted"),
        (end_written_anew, 1, "up to position 12 the log is not what it was when its digest was noted"),
    ],
)
def test_an_end_that_was_written_anew_is_told_only_by_a_digest_noted_before(
    written: Path, how: Callable[[Rows], Altered], first_bad: int, wrong: str
) -> None:
    """The log alone looks sound: a chain proves nothing against who can write all of it."""
    before = report_of(written)
    tamper(written, how(rows_in(written)))
    forget_end(written)  # which shows it too, to begin with: see below
    assert report_of(written).ok
    for expected in ((before.position, before.digest), [before.position, bytes.fromhex(before.digest)]):
        report = report_of(written, expected=expected)
        assert (report.ok, report.first_bad) == (False, first_bad)
        assert wrong in report.findings[0].wrong


def test_a_digest_noted_earlier_holds_while_the_log_grows(store: ek.EventStore) -> None:
    """It is compared with the commit that ended there; in between it fits nothing."""
    notes = [(0, "00" * 32)]
    for n in range(4):
        store.append("a", [noted(n), noted(n)])
        report = store.verify(expected=notes[-1])
        assert report.ok
        notes.append((report.position, report.digest))
    assert all(store.verify(expected=note).ok for note in notes)
    assert not store.verify(expected=(3, notes[1][1])).ok
    assert not store.verify(expected=(2, notes[2][1])).ok
    assert not store.verify(expected=(9, notes[2][1])).ok


@pytest.mark.parametrize("expected", [5, "abc", (1,), (1, "xyz"), (-1, "00" * 32), (True, "00" * 32), ("1", "00" * 32)])
def test_what_is_no_note_is_bad_input(store: ek.EventStore, expected: Any) -> None:
    """With what to give."""
    with pytest.raises(ek.InputError, match=r"report\.position, report\.digest"):
        store.verify(expected=expected)


# any row at all


@pytest.fixture(scope="module")
def small() -> Iterator[ek.EventStore]:
    """A store in memory, for many small changes that are undone again."""
    with ek.EventStore(seed=1) as store:
        fill(store)
        yield store


@given(st.data())
def test_whatever_single_row_is_changed_is_seen(small: ek.EventStore, data: st.DataObject) -> None:
    """Removed, a bit flipped, cut, replaced by another row's value, or moved to another key."""
    table = table_of(small)
    rows = dict(table.scan(b"", b"\xff"))
    key = data.draw(st.sampled_from(sorted(rows)))
    value = bytearray(rows[key])
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    other = data.draw(st.sampled_from([v for v in rows.values() if v != rows[key]]))
    moved = bytearray(key + b"\x00")[: len(key) + data.draw(st.integers(0, 1))]
    moved[data.draw(st.integers(1, max(len(key) - 1, 1))) % len(moved)] ^= 1 << data.draw(st.integers(0, 7))
    altered: Altered = data.draw(
        st.sampled_from(
            [
                {key: None},
                {key: bytes(value)},
                {key: rows[key][:-1]},
                {key: other},
                {key: None, bytes(moved): rows[key]},
            ]
        )
    )
    is_pointer = key[:1] == b"s" and altered.get(key) == keys.u64(
        record.decode(rows[key]).first if len(rows[key]) > 8 else 0
    )
    table.write(list(altered.items()), flush=False)
    try:
        report = small.verify()
        if not is_pointer:  # which is as good as the copy
            assert not report.ok
            assert report.first_bad is not None
    finally:
        table.write([(name, None) for name in altered] + [(key, rows[key])], flush=False)
    assert small.verify().ok


# schemas


def test_events_that_do_not_fit_their_class_are_reported_beside_the_damage(store: ek.EventStore) -> None:
    """The log is sound; the class is what to mend."""
    store.append("a", [ek.NewEvent(type="Paid", data={"amount": n}) for n in (1, "many", 3, None)])
    store.append("a", ek.NewEvent(type="Paid", data={}))

    class Paid(ek.Event):
        amount: int

    try:
        report = store.verify()
        assert report.ok
        assert [finding.position for finding in report.misfits] == [2, 4, 5]
        assert report.df()["kind"].tolist() == ["schema"] * 3
        assert "'Paid': field 'amount'" in report.misfits[0].wrong
        assert "do not fit their class" in repr(report)
    finally:
        del schema.registry["Paid"]
    assert store.verify().misfits == ()


def test_a_class_whose_code_fails_is_reported_too(store: ek.EventStore) -> None:
    """Whatever it raises."""
    from pydantic import field_validator

    store.append("a", ek.NewEvent(type="Fragile", data={"x": 0}))

    class Fragile(ek.Event):
        x: int

        @field_validator("x")
        @classmethod
        def check(cls, x: int) -> int:
            return 1 // x

    report = store.verify()
    assert report.ok
    assert "ZeroDivisionError" in report.misfits[0].wrong


# the report


def test_a_report_shows_the_worst_and_has_all_of_it_as_a_frame(written: Path) -> None:
    """As text, as HTML and as a frame."""
    tamper(written, {keys.log(first): None for first in FIRSTS} | {keys.stream("<script>", 1): keys.u64(3)})
    report = report_of(written)
    frame = report.df()
    assert len(frame) == len(report.findings) > 10
    assert list(frame.columns) == ["position", "kind", "wrong", "cure"]
    assert f"… and {len(frame) - 10} more in .df()" in repr(report)
    assert "DAMAGED from position 1 on" in repr(report)
    html = report._repr_html_()
    assert "<script>" not in html
    assert html.count("<tr>") == 11


def test_findings_are_listed_up_to_a_limit(store: ek.EventStore) -> None:
    """However much is damaged, the report stays small and says that it is not complete."""
    store.append("a", noted(1))
    table_of(store).write([(keys.stream(f"x-{n}", 1), keys.u64(1)) for n in range(500)], flush=False)
    report = store.verify()
    assert len(report.findings) == 200
    assert not report.is_complete
    assert "not all of it checked" in repr(report)


def test_progress_is_shown_where_it_is_asked_for(store: ek.EventStore, capsys: pytest.CaptureFixture[str]) -> None:
    """And by default stays out of a test's output."""
    fill(store)
    store.verify()
    assert capsys.readouterr().err == ""
    store.verify(progress=True)
    assert "0/12" in capsys.readouterr().err


# an end that is damaged is not written on


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (truncated_record, "damaged at its end"),
        (payload_of_a_commit_that_is_indexed_by_pointers, "damaged at its end"),
        (stale_index_row_beyond_the_end, "damaged at its end"),
        (a_record_behind_the_end, "damaged at its end"),
        (missing_store_id, "damaged at its end"),
        (lambda rows: {keys.log(10): rows[keys.log(10)][:2] + b"\x03" + rows[keys.log(10)][3:]}, "record format 3"),
    ],
)
def test_a_damaged_end_is_not_written_on(written: Path, how: Callable[[Rows], Altered], says: str) -> None:
    """Opening it to write is refused, with the way to what is left; reading beside is possible."""
    tamper(written, how(rows_in(written)))
    before = rows_in(written)
    with pytest.raises(ek.StorageError, match=says):
        ek.EventStore(written, fsync=False)
    assert rows_in(written) == before
    with ek.EventStore(written, read_only=True) as store:
        assert [event.data["n"] for event in store.read(as_of=9)] == list(range(1, 10))


def test_an_end_that_is_gone_is_known_from_when_the_store_was_closed(written: Path) -> None:
    """A folder notes where its log ended; a digest noted elsewhere is out of reach, this one is not."""
    tamper(written, cut_off(rows_in(written)))
    report = report_of(written)
    assert report.first_bad == 10
    assert "and at 12 when the store was last closed" in report.findings[0].wrong
    with pytest.raises(ek.StorageError, match="damaged at its end"):
        ek.EventStore(written, fsync=False)


def test_a_last_commit_that_was_written_anew_is_known_from_there_too(written: Path) -> None:
    """Unless the note was written anew as well."""
    tamper(written, last_written_anew(rows_in(written)))
    report = report_of(written)
    assert (report.first_bad, len(report.findings)) == (10, 1)


@pytest.mark.parametrize("text", [b"", b"12\n", b"12 xyz\n", b"\xff\xff", b"0" * 70, b"12 " + b"a" * 64])
def test_a_damaged_note_of_the_end_is_reported(written: Path, text: bytes) -> None:
    """The log beside it is checked all the same."""
    (written / "end").write_bytes(text)
    report = report_of(written)
    assert (report.first_bad, report.events, len(report.findings)) == (0, LAST, 1)
    assert "is damaged" in report.findings[0].wrong


def test_the_note_of_the_end_goes_on_with_the_log(written: Path) -> None:
    """At each closing of a writer, and at the opening after a crash."""
    first = (written / "end").read_bytes()
    with ek.EventStore(written, read_only=True):
        pass
    assert (written / "end").read_bytes() == first
    with ek.EventStore(written, fsync=False) as store:
        store.append("a-1", noted(13))
        assert noted_end(written) == LAST
    assert noted_end(written) == 13
    (written / "end").write_bytes(first)
    with ek.EventStore(written, fsync=False):
        assert noted_end(written) == 13


def noted_end(folder: Path) -> int:
    end = marker.read(folder).end
    assert end is not None
    return end[0]


def test_a_commit_whose_outcome_is_unknown_is_not_counted(
    store: ek.EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may never be stored, and a digest that counts it would raise a false alarm later."""
    store.append("a", noted(1))
    before = store.verify()
    plain = Table.write

    def write(*given: Any, **asked: Any) -> None:
        plain(*given, **asked)
        raise ek.StorageError("the storage does not answer")

    monkeypatch.setattr(Table, "write", write)
    with pytest.raises(ek.OutcomeUnknownError):
        store.append("a", noted(2))
    after = store.verify()
    assert after.ok
    assert (after.position, after.digest, after.events) == (1, before.digest, 1)

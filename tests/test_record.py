"""The record format: what goes into a commit's bytes comes out of them, and nothing else is taken for a commit."""

from __future__ import annotations

import contextlib
import json
import re
import struct
import uuid
import zlib
from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit.errors import RecordError
from eventsourcing_kit.records.record import FORMAT, NO_PREVIOUS, Commit, Place, decode, digest, encode
from eventsourcing_kit.records.rows import Draft, Rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = TEXT.filter(bool)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
US = st.integers(-(2**55), 2**55)
DRAFTS = st.builds(
    Draft,
    stream=st.sampled_from(["a", "a-1", "a\x00", "ü😀"]) | NAMES,
    type=st.sampled_from(["Opened", "Closed"]) | NAMES,
    schema_version=st.integers(1, 3),
    data=st.dictionaries(TEXT, JSON, max_size=3),
    id=st.none() | st.uuids(),
    occurred_us=st.none() | US,
    metadata=st.none() | st.dictionaries(NAMES, JSON, min_size=1, max_size=2),
)
STORE = uuid.UUID("7f0bd2a1-5f1c-4d5e-9c38-4a5d1d5e7a11")
HEAD = struct.Struct(">2sBB16s32s")


@st.composite
def commits(draw: st.DrawFn) -> tuple[Place, list[Draft]]:
    drafts = draw(st.lists(DRAFTS, min_size=1, max_size=8))
    one_time = draw(st.booleans())
    times = draw(US) if one_time else sorted(draw(st.lists(US, min_size=len(drafts), max_size=len(drafts))))
    versions = {draft.stream: draw(st.integers(0, 2**40)) for draft in drafts}
    previous = draw(st.binary(min_size=32, max_size=32))
    return Place(STORE, previous, draw(st.integers(0, 2**63 - 1)), draw(st.integers(1, 2**41)), times, versions), drafts


def rows_of(commit: Commit) -> list[tuple[object, ...]]:
    """Every event of a commit, looked at one by one."""
    found = []
    for row in range(commit.count):
        shape = commit.shapes[commit.shape_codes[row]]
        at = commit.rows_of_shapes[commit.shape_codes[row]].tolist().index(row)
        data = {name: column[at] for name, column in zip(shape.fields, shape.columns, strict=True)}
        found.append(
            (
                commit.streams[commit.stream_codes[row]],
                int(commit.versions[row]),
                int(commit.positions[row]),
                int(commit.times[row]),
                shape.type,
                shape.schema_version,
                json.dumps(data, sort_keys=True),
                commit.occurred_us.get(row),
                json.dumps(commit.metadata.get(row), sort_keys=True),
            )
        )
    return found


def encoded(place: Place, drafts: list[Draft]) -> bytes:
    return encode(place, Rows.of(drafts))


@given(commits())
def test_drafts_become_columns_and_drafts_again(given_commit: tuple[Place, list[Draft]]) -> None:
    """`Rows.drafts` is the inverse of `Rows.of`, but for empty metadata."""
    drafts = [replace(draft, metadata=draft.metadata or None) for draft in given_commit[1]]
    rows = Rows.of(drafts)
    assert rows.drafts() == drafts
    assert rows.stream_sizes() == Counter(draft.stream for draft in drafts)


@given(commits())
def test_a_record_reads_back_as_it_was_written(given_commit: tuple[Place, list[Draft]]) -> None:
    """Streams, versions, positions, times, types, data, occurred_at, metadata and supplied ids, event by event."""
    place, drafts = given_commit
    commit = decode(encode(place, Rows.of(drafts)))
    versions = dict(place.versions)
    expected = []
    for i, draft in enumerate(drafts):
        versions[draft.stream] += 1
        time = place.times if isinstance(place.times, int) else place.times[i]
        data, metadata = json.dumps(draft.data, sort_keys=True), json.dumps(draft.metadata, sort_keys=True)
        expected.append(
            (
                *(draft.stream, versions[draft.stream], place.first + i, time),
                *(draft.type, draft.schema_version, data, draft.occurred_us, metadata),
            )
        )
    assert rows_of(commit) == expected
    assert (commit.store, commit.previous, commit.last) == (STORE, place.previous, place.first + len(drafts) - 1)
    assert commit.last_versions == versions
    for i, draft in enumerate(drafts):
        if draft.id is not None:
            assert commit.id_bytes[i].tobytes() == draft.id.bytes


@given(commits())
def test_the_same_commit_gives_the_same_bytes(given_commit: tuple[Place, list[Draft]]) -> None:
    """Encoding is a function of its arguments, and every byte counts in the hash."""
    record = encoded(*given_commit)
    assert encoded(*given_commit) == record
    assert digest(record) == sha256(record).digest()


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_raise_only_a_record_error(noise: bytes) -> None:
    """Whatever stands in the log, a reader gets the kit's own error."""
    with pytest.raises(RecordError):
        decode(noise)


@given(st.binary(max_size=100), st.booleans())
def test_noise_behind_a_good_head_raises_only_a_record_error(noise: bytes, compressed: bool) -> None:
    """Also where the head promises a body."""
    body = zlib.compress(noise) if compressed else noise
    with pytest.raises(RecordError):
        decode(HEAD.pack(b"EK", FORMAT, compressed, STORE.bytes, NO_PREVIOUS) + body)


@given(JSON | st.dictionaries(st.sampled_from(["position", "count", "time", "streams", "shapes", "key"]), JSON))
def test_json_that_is_no_commit_raises_only_a_record_error(body: object) -> None:
    """A body may be well-formed JSON and still no commit."""
    with pytest.raises(RecordError):
        decode(HEAD.pack(b"EK", FORMAT, 0, STORE.bytes, NO_PREVIOUS) + json.dumps(body).encode())


@given(commits(), st.data())
def test_a_cut_or_flipped_record_is_an_error_or_a_commit_but_never_a_crash(
    given_commit: tuple[Place, list[Draft]], data: st.DataObject
) -> None:
    """Damage raises a `RecordError`, where it can be seen at all."""
    record = bytearray(encoded(*given_commit))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(at, len(record)))
    with contextlib.suppress(RecordError):
        rows_of(decode(bytes(record[: cut + 1])))


def test_a_wrong_count_is_seen_before_it_takes_all_memory() -> None:
    """Whatever else the body says."""
    body = {
        "position": 1,
        "count": 2**40,
        "key": 1,
        "time": 0,
        "streams": [["a", 1]],
        "shapes": [["T", 1, ["x"], [[1]]]],
    }
    with pytest.raises(RecordError, match=r"count 1099511627776 .* out of range"):
        decode(HEAD.pack(b"EK", FORMAT, 0, STORE.bytes, NO_PREVIOUS) + json.dumps(body).encode())


@pytest.mark.parametrize("key", ["tags", "parent", "Time", ""])
def test_a_body_that_says_more_than_the_format_knows_is_refused(key: str) -> None:
    """What a reader passed over in silence might change what the rest means."""
    body = {"position": 1, "count": 1, "key": 1, "time": 0, "streams": [["a", 1]], "shapes": [["T", 1, ["x"], [[1]]]]}
    record = HEAD.pack(b"EK", FORMAT, 0, STORE.bytes, NO_PREVIOUS)
    assert decode(record + json.dumps(body).encode()).last == 1
    with pytest.raises(RecordError, match=re.escape(f"its body has the unknown keys ['{key}']")):
        decode(record + json.dumps(body | {key: None}).encode())


def test_a_newer_format_is_named_with_the_cure() -> None:
    """A record of format 2 says which formats are read, and what to do."""
    record = HEAD.pack(b"EK", 2, 0, STORE.bytes, NO_PREVIOUS) + b"{}"
    with pytest.raises(RecordError, match=r"record format 2, and this version of the kit reads 1; update the kit"):
        decode(record)


def test_a_record_of_format_1_is_these_bytes() -> None:
    """The format is written down here once more; a change of it must be a new format."""
    drafts = [
        Draft("a-1", "Opened", 1, {"owner": "Ada"}),
        Draft("b-2", "Paid", 2, {"amount": 5}, id=uuid.UUID(int=7), occurred_us=-1, metadata={"by": "x"}),
    ]
    record = encoded(Place(STORE, bytes(range(32)), 42, 8, [1000, 1500], {"b-2": 3}), drafts)
    head, body = record[:52], record[52:]
    assert head == b"EK\x01\x01" + STORE.bytes + bytes(range(32))
    assert json.loads(zlib.decompress(body)) == {
        "position": 8,
        "count": 2,
        "key": 42,
        "times": [1000, 500],
        "streams": [["a-1", 1], ["b-2", 4]],
        "stream": [0, 1],
        "shapes": [["Opened", 1, ["owner"], [["Ada"]]], ["Paid", 2, ["amount"], [[5]]]],
        "shape": [0, 1],
        "ids": [[1], ["00000000000000000000000000000007"]],
        "occurred": [[1], [-1]],
        "metadata": [[1], [0], [{"by": "x"}]],
    }

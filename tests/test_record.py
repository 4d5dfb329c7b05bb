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
from eventsourcing_kit.records.record import NO_PREVIOUS, Commit, Parent, Place, decode, digest, encode
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
    tags=st.lists(st.sampled_from(["course:c1", "student:s1", "\x00"]) | NAMES, max_size=3, unique=True).map(tuple),
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
                commit.tags.get(row, ()),
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
    """Streams, versions, positions, times, types, data, occurred_at, metadata, tags and ids, event by event."""
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
                *(draft.type, draft.schema_version, data, draft.occurred_us, metadata, draft.tags),
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
        decode(HEAD.pack(b"EK", 1, compressed, STORE.bytes, NO_PREVIOUS) + body)


@given(JSON | st.dictionaries(st.sampled_from(["position", "count", "time", "streams", "shapes", "key"]), JSON))
def test_json_that_is_no_commit_raises_only_a_record_error(body: object) -> None:
    """A body may be well-formed JSON and still no commit."""
    with pytest.raises(RecordError):
        decode(HEAD.pack(b"EK", 1, 0, STORE.bytes, NO_PREVIOUS) + json.dumps(body).encode())


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
        decode(HEAD.pack(b"EK", 1, 0, STORE.bytes, NO_PREVIOUS) + json.dumps(body).encode())


BODY = {"position": 1, "count": 1, "key": 1, "time": 0, "streams": [["a", 1]], "shapes": [["T", 1, ["x"], [[1]]]]}
TAGS = [[0], [[0, 1]], ["course:c1", "student:s1"]]
OTHER = uuid.UUID(int=9).hex


def raw(version: int, previous: bytes = NO_PREVIOUS, **body: object) -> bytes:
    """A record of this body, be it sound or not."""
    return HEAD.pack(b"EK", version, 0, STORE.bytes, previous) + json.dumps(BODY | body).encode()


@pytest.mark.parametrize(("version", "key"), [(1, "tags"), (1, "parent"), (1, "Time"), (2, "Time"), (2, "")])
def test_a_body_that_says_more_than_the_format_knows_is_refused(version: int, key: str) -> None:
    """What a reader passed over in silence might change what the rest means."""
    assert decode(raw(1)).last == decode(raw(2, tags=TAGS)).last == 1
    with pytest.raises(RecordError, match=re.escape(f"its body has the unknown keys ['{key}']")):
        decode(raw(version, **{key: None}))


def test_a_newer_format_is_named_with_the_cure() -> None:
    """A record of format 3 says which formats are read, and what to do."""
    message = r"record format 3, and this version of the kit reads 1 and 2; update the kit"
    with pytest.raises(RecordError, match=message):
        decode(raw(3))


@given(commits())
def test_a_record_is_of_format_2_only_where_it_says_what_format_1_cannot(
    given_commit: tuple[Place, list[Draft]],
) -> None:
    """So what uses neither tags nor branches can be read by every kit."""
    place, drafts = given_commit
    assert encoded(place, drafts)[2] == (2 if any(draft.tags for draft in drafts) else 1)
    plain = [replace(draft, tags=()) for draft in drafts]
    parent = Parent(uuid.UUID(int=9), place.first - 1, place.previous, 5)
    assert encoded(place, plain)[2] == 1
    assert encoded(replace(place, parent=parent), plain)[2] == 2
    with pytest.raises(RecordError, match="nothing in it is of record format 2"):
        decode(b"EK\x02" + encoded(place, plain)[3:])


@pytest.mark.parametrize(
    "tags",
    [
        [[], [], []], [[0], [[]], ["a"]], [[0], [[0, 0]], ["a"]], [[0], [[1]], ["a"]], [[0], [[-1]], ["a"]],
        [[1], [[0]], ["a"]], [[0, 0], [[0], [0]], ["a"]], [[0], [[0]], [""]], [[0], [[0]], [5]],
        [[0], [[0]], ["ü" * 501]], [[0], [[0, 1]], ["a", "a"]], [[0], [[0.0]], ["a"]], [[0], [[0]]], {"a": 1}, None,
        [[0], [list(range(10_001))], list(map(str, range(10_001)))], [[0], [0], ["a"]],
    ],
)  # fmt: skip
def test_tags_that_are_none_are_damage(tags: object) -> None:
    """Empty, too long, too many, twice, or of events that are not there."""
    with pytest.raises(RecordError, match="a damaged commit"):
        decode(raw(2, tags=tags))


FORK, ZEROS = bytes(range(32)), "0" * 64


@pytest.mark.parametrize(
    ("first", "previous", "parent"),
    [
        (8, FORK, ["7", 7, FORK.hex(), 5]), (8, FORK, [OTHER, 6, FORK.hex(), 5]), (8, FORK, [OTHER, 7, ZEROS, 5]),
        (8, FORK, [OTHER, 7, FORK.hex(), None]), (8, FORK, [OTHER, 7, FORK.hex(), 1 << 62]),
        (8, FORK, [OTHER, 7, FORK.hex()]), (8, FORK, [OTHER, True, FORK.hex(), 5]), (8, FORK, None),
        (1, NO_PREVIOUS, [OTHER, 0, ZEROS, 5]), (1, FORK, [OTHER, 0, FORK.hex(), None]),
    ],
)  # fmt: skip
def test_a_parent_that_is_none_is_damage(first: int, previous: bytes, parent: object) -> None:
    """It names the store, the position before the commit's, and the digest and time there."""
    assert decode(raw(2, FORK, position=8, parent=[OTHER, 7, FORK.hex(), 5])).parent == Parent(
        uuid.UUID(int=9), 7, FORK, 5
    )
    assert decode(raw(2, parent=[OTHER, 0, ZEROS, None])).parent == Parent(uuid.UUID(int=9), 0, NO_PREVIOUS, None)
    with pytest.raises(RecordError, match="a damaged commit"):
        decode(raw(2, previous, position=first, parent=parent))


def test_a_record_of_format_2_is_these_bytes() -> None:
    """The format is written down here once more; a change of it must be a new format."""
    drafts = [Draft("a", "T", 1, {}), Draft("a", "T", 1, {}, tags=("x", "y")), Draft("a", "T", 1, {}, tags=("y", "ü"))]
    parent = Parent(uuid.UUID(int=9), 7, FORK, -5)
    record = encoded(Place(STORE, FORK, 42, 8, 1000, {}, parent), drafts)
    head, body = record[:52], record[52:]
    assert head == b"EK\x02\x00" + STORE.bytes + FORK
    assert json.loads(body) == {
        "position": 8,
        "count": 3,
        "key": 42,
        "time": 1000,
        "streams": [["a", 1]],
        "shapes": [["T", 1, [], []]],
        "tags": [[1, 2], [[0, 1], [1, 2]], ["x", "y", "ü"]],
        "parent": ["00000000000000000000000000000009", 7, FORK.hex(), -5],
    }


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

"""Mirrors in Parquet: the same answers as the store gives, files that others read, and nothing half-written ever."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek
from tests.faults import Kills

pytest.importorskip("pyarrow", reason="pip install 'eventsourcing_kit[distributed]'")


class Put(ek.Event, type="mirror.Put"):
    amount: int


class Paid(ek.Event, type="mirror.Paid"):
    price: Decimal
    by: UUID | None = None


def logged(rows: list[tuple[str, Any]]) -> ek.EventStore:
    """A store with an event a row, a few of them in each commit."""
    store = ek.EventStore(seed=1, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1s"))
    for at in range(0, len(rows), 3):
        store.append_many([ek.Append(stream, event) for stream, event in rows[at : at + 3]])
    return store


def mixed(count: int, streams: int = 5) -> list[tuple[str, Any]]:
    """Events with classes and without, whose fields change their kind on the way."""
    values: list[Any] = [1, "text", None, 2.5, True, [1, {"a": None}], 10**30, -(2**63), {"x": "ü"}]
    kinds: list[Callable[[int], Any]] = [
        lambda i: Put(amount=i),
        lambda i: Paid(price=Decimal(i) / 4, by=UUID(int=i) if i % 2 else None),
        lambda i: ek.NewEvent(type="Noted", data={"n": values[i % len(values)]}, metadata={"i": i} if i % 3 else None),
        lambda i: ek.NewEvent(type="Noted", data={"a.b": i, "a_b": str(i), "position": i}, id=UUID(int=1000 + i)),
        lambda i: ek.NewEvent(type="Told", data={}, tags=[f"of:{i % 4}", "ü"]),
        lambda i: ek.NewEvent(type="Bare", occurred_at="2025-01-01T00:00:00Z"),
    ]
    return [(f"{'xyz'[i % 3]}-{i % streams}", kinds[i % len(kinds)](i)) for i in range(count)]


def balance() -> ek.Projection:
    found = ek.Projection("balance", initial=lambda: Decimal(0))
    found.on(Put)(lambda state, event: state + event.amount)
    found.on(Paid)(lambda state, event: state - event.price)
    found.on("Bare")(lambda state, event: ek.GONE)
    return found


def declared() -> ek.Projection:
    return ek.Projection(
        "declared",
        fields={
            "put": ek.fold.total(Put, "amount") - ek.fold.count("Bare"),
            "price": ek.fold.largest(Paid, "price"),
            "last": ek.fold.last("Noted", "n"),
            "notes": ek.fold.count("Noted"),
        },
        ends="Bare",
    )


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("position", kind="stable").reset_index(drop=True)


def assert_same(mirror: ek.Mirror, store: ek.EventStore) -> None:
    """Every question has the store's answer."""
    assert list(mirror.read()) == list(store.read())
    pd.testing.assert_frame_equal(mirror.read().df(), store.read().df())
    for projection in (balance(), declared()):
        for position in {0, 1, store.position // 2, store.position}:
            assert mirror.replay(projection, as_of=position) == store.replay(projection, as_of=position)


# -- the same answers


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a-1", "a-2", "b-1", "ü"]),
            st.one_of(
                st.integers(-(2**65), 2**65).map(lambda n: Put(amount=n)),
                st.decimals(allow_nan=False, allow_infinity=False, places=2).map(lambda n: Paid(price=n)),
                st.one_of(st.none(), st.booleans(), st.integers(), st.floats(-1e9, 1e9), st.text(max_size=3)).map(
                    lambda value: ek.NewEvent(type="Noted", data={"n": value})
                ),
                st.just(ek.NewEvent(type="Bare")),
            ),
        ),
        max_size=30,
    ),
    st.integers(1, 5),
    st.integers(0, 30),
)
def test_a_mirror_gives_the_stores_answers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, Any]], buckets: int, cut: int
) -> None:
    """Whatever the log holds, mirrored in two steps, at every moment."""
    store = logged(rows[:cut])
    mirror = store.mirror(tmp_path_factory.mktemp("mirror") / "m", buckets=buckets)
    for stream, event in rows[cut:]:
        store.append(stream, event)
    mirror.update(store)
    assert mirror.position == store.position
    assert list(mirror.read()) == list(store.read())
    for projection in (balance(), declared()):
        for position in range(store.position + 1):
            assert mirror.replay(projection, as_of=position) == store.replay(projection, as_of=position)


def test_reads_histories_and_frames_are_the_stores(tmp_path: Path) -> None:
    """Of a log with everything in it; frames are Dask's, with the same columns and types."""
    store = logged(mixed(200))
    mirror = store.mirror(tmp_path / "mirror", buckets=4)
    assert_same(mirror, store)
    assert list(mirror.read("x-0")) == list(store.read("x-0"))
    assert list(mirror.read(category="y", types=[Put], after=20, as_of=150)) == list(
        store.read(category="y", types=[Put], after=20, as_of=150)
    )
    query = ek.Query(types=["Told"], tags=["of:1"]) | ek.Query(tags=["of:2", "ü"])
    assert list(mirror.read(query=query)) == list(store.read(query=query))
    assert list(mirror.read("x-0", backwards=True, limit=3)) == list(store.read("x-0", backwards=True, limit=3))
    pd.testing.assert_frame_equal(in_order(mirror.df().compute()), store.read().df())
    pd.testing.assert_frame_equal(in_order(mirror.df(as_of=77).compute()), store.read(as_of=77).df())
    for projection in (balance(), declared()):
        found = mirror.history(projection, as_of=150).compute()
        pd.testing.assert_frame_equal(in_order(found), store.history(projection, as_of=150).df())


def test_states_that_differ_in_shape_stand_in_one_column(tmp_path: Path) -> None:
    """As in the store's history, though each bucket's alone have fields."""
    store = logged([(f"s-{i}", Put(amount=i)) for i in range(6)])
    projection = ek.Projection("odd", initial=dict)
    projection.on(Put)(lambda state, event: {"even" if event.amount % 2 else "odd": event.amount})
    found = store.mirror(tmp_path / "m", buckets=64).history(projection).compute()
    pd.testing.assert_frame_equal(in_order(found), store.history(projection).df())


def test_a_mirror_takes_the_stores_moments(tmp_path: Path) -> None:
    """Positions, times, ids and events; a moment behind its end is refused, a time there means all of it."""
    store = logged(mixed(60))
    mirror = store.mirror(tmp_path / "m", buckets=3)
    for event in list(store.read())[::7]:
        for moment in (event, event.id, str(event.id), event.recorded_at, event.position):
            assert mirror.replay(balance(), as_of=moment) == store.replay(balance(), as_of=moment)
    assert mirror.replay(balance(), as_of="2030-01-01T00:00:00Z") == store.replay(balance())
    assert mirror.replay(balance(), as_of="2020-01-01T00:00:00Z") == {}
    with pytest.raises(ek.MomentError, match=r"goes to position 60, and 61 was asked for; mirror.update\(store\)"):
        mirror.replay(balance(), as_of=61)
    store.append("x-0", Put(amount=1))
    mirror.update(store)
    assert mirror.replay(balance(), as_of=61) == store.replay(balance())
    with pytest.raises(ek.MomentError, match="no event of this store"):
        mirror.replay(balance(), as_of=UUID(int=5))


def test_one_keys_state_is_looked_for_in_one_bucket(tmp_path: Path) -> None:
    """And an unknown key has the first state."""
    store = logged(mixed(60))
    mirror = store.mirror(tmp_path / "m", buckets=8)
    bucket = mirror.files().set_index("path")["bucket"]
    for path in bucket[bucket != number_of("x-0", 8)].index:
        Path(path).unlink()
    assert mirror.replay(balance(), key="x-0") == store.replay(balance(), key="x-0")
    assert store.mirror(tmp_path / "n", buckets=8).replay(balance(), key="nobody") == 0


# -- files that others read


def number_of(key: Any, buckets: int) -> int:
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") % buckets


def test_a_key_is_in_the_bucket_that_its_hash_says(tmp_path: Path) -> None:
    """So that whoever has a key finds its files."""
    store = logged([(stream, Put(amount=1)) for stream in ("a-1", 'say "x"', "ü", "日本", "a/b\\c", "x" * 300)])
    files = store.mirror(tmp_path / "m", buckets=16).files()
    for path, bucket in zip(files["path"], files["bucket"], strict=True):
        assert {number_of(stream, 16) for stream in pd.read_parquet(path)["stream"]} == {bucket}


def test_the_manifest_says_all_that_others_need(tmp_path: Path) -> None:
    """Its names are a promise."""
    store = logged(mixed(30))
    mirror = store.mirror(tmp_path / "m", buckets=4)
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    report = store.verify()
    assert (manifest["format"], manifest["position"], manifest["digest"]) == (1, report.position, report.digest)
    assert (manifest["buckets"], manifest["key"]) == (4, None)
    assert UUID(manifest["store"]) == next(iter(store.read())).store_id
    assert sum(file["rows"] for file in manifest["files"]) == 30
    for file in manifest["files"]:
        positions = pd.read_parquet(tmp_path / "m" / file["path"])["position"].tolist()
        assert positions == sorted(positions)
        assert (positions[0], positions[-1], len(positions)) == (file["first"], file["last"], file["rows"])
        assert f"{file['bucket']:04d}" in file["path"]
    assert (mirror.position, mirror.digest) == (report.position, report.digest)


def test_duckdb_and_pandas_read_the_files_without_the_kit(tmp_path: Path) -> None:
    """Typed columns where all values are of one type, JSON elsewhere."""
    duckdb = pytest.importorskip("duckdb")
    fields = {"n": lambda i: i, "f": lambda i: i / 2, "ok": lambda i: i % 2 == 0, "t": str, "l": lambda i: [i]}
    fields["m"] = lambda i: i if i % 3 else "x"
    sold = [{name: make(i) for name, make in fields.items()} for i in range(50)]
    store = logged([(f"s-{i % 5}", ek.NewEvent(type="Sold", data=data)) for i, data in enumerate(sold)])
    store.mirror(tmp_path / "m", buckets=4)
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    paths = [str(tmp_path / "m" / file["path"]) for file in manifest["files"]]
    frame = pd.concat([pd.read_parquet(path) for path in paths]).sort_values("position")
    assert frame["n"].tolist() == list(range(50))
    assert frame["n"].dtype == "int64"
    assert frame["f"].dtype == "float64"
    assert [json.loads(text) for text in frame["m"]] == [i if i % 3 else "x" for i in range(50)]
    assert frame["id"].astype(str).tolist() == [str(event.id) for event in store.read()]
    table = duckdb.read_parquet(paths)
    types = dict(zip(table.columns, map(str, table.types), strict=True))
    assert [types[name] for name in ("n", "f", "ok", "t", "id")] == ["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "UUID"]
    assert types["recorded_at"] == "TIMESTAMP WITH TIME ZONE"
    sums = table.aggregate("stream, sum(n)", "stream").fetchall()
    assert dict(sums) == {f"s-{i}": sum(range(i, 50, 5)) for i in range(5)}
    assert table.aggregate("sum((l ->> 0)::int)").fetchall() == [(sum(range(50)),)]


# -- kept current


def test_an_update_adds_what_is_new_and_small_files_are_merged(tmp_path: Path) -> None:
    """However often it is updated, few files are left; none that is needed no more once `keep` is over."""
    store = logged(mixed(30))
    mirror = store.mirror(tmp_path / "m", buckets=2, keep=0)
    for i in range(60):
        store.append(f"x-{i % 7}", Put(amount=i))
        mirror.update(store)
    assert_same(mirror, store)
    assert len(mirror.files()) < 30
    there = {path.as_posix() for path in (tmp_path / "m").rglob("*.parquet")}
    assert there == set(mirror.files()["path"])
    assert mirror.verify(store)
    before = (tmp_path / "m" / "manifest.json").read_bytes()
    assert mirror.update(store) == store.position
    assert (tmp_path / "m" / "manifest.json").read_bytes() == before


def test_files_that_are_needed_no_more_stay_for_a_while(tmp_path: Path) -> None:
    """Whoever opened the mirror before goes on reading what it was then."""
    store = logged(mixed(30))
    mirror = store.mirror(tmp_path / "m", buckets=1)
    read = mirror.read()
    for i in range(20):
        store.append("x-1", Put(amount=i))
        mirror.update(store)
    assert len(list((tmp_path / "m").rglob("*.parquet"))) > len(mirror.files())
    assert len(list(read)) == 30


def test_an_updates_work_is_that_of_what_is_new(tmp_path: Path) -> None:
    """It decodes no commit that was mirrored before, and rewrites no large file."""
    store = logged(mixed(300, streams=50))
    mirror = store.mirror(tmp_path / "m", buckets=4)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "m").rglob("*.parquet")}
    store.append("x-1", Put(amount=1))
    mirror.update(store)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "m").rglob("*.parquet")}
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 1


def test_a_mirror_follows_its_store(tmp_path: Path) -> None:
    """By a named subscription, which goes on where it was; through a reader, without a name."""
    store = ek.EventStore(tmp_path / "store", fsync=False)
    store.append("a", Put(amount=0))
    mirror = store.mirror(tmp_path / "m", buckets=2)
    with mirror.follow(store) as subscription:
        assert str(tmp_path / "m") in str(subscription.name)
        for i in range(20):
            store.append(f"a-{i}", Put(amount=i))
        subscription.wait_until(store.position)
        assert mirror.position == 21
    store.append("a", Put(amount=0))
    with mirror.follow(store):
        assert mirror.position == 22
    with ek.EventStore(tmp_path / "store", read_only=True) as reader, mirror.follow(reader) as following:
        assert following.name is None
        store.append("a", Put(amount=0))
        following.wait_until(23)
        assert_same(ek.Mirror(tmp_path / "m"), store)
    store.close()


def test_a_second_mirror_call_opens_what_is_there(tmp_path: Path) -> None:
    """Other buckets or another key are refused; nothing is written."""
    store = logged(mixed(30))
    store.mirror(tmp_path / "m", buckets=4)
    before = (tmp_path / "m" / "manifest.json").read_bytes()
    assert store.mirror(tmp_path / "m").buckets == 4
    assert store.mirror(tmp_path / "m", buckets=4, key=None).position == 30
    with pytest.raises(ek.InputError, match="with 4 buckets, not 8"):
        store.mirror(tmp_path / "m", buckets=8)
    with pytest.raises(ek.InputError, match="key=None, not 'n'"):
        store.mirror(tmp_path / "m", key="n")
    assert (tmp_path / "m" / "manifest.json").read_bytes() == before
    assert repr(ek.Mirror(tmp_path / "m")).startswith("<mirror 'm': position 30, 4 buckets by stream, the largest of ")


def test_a_branch_has_a_mirror_of_its_own(tmp_path: Path) -> None:
    """Of its base's events and its own."""
    store = logged(mixed(30))
    branch = store.branch(as_of=17)
    mirror = branch.mirror(tmp_path / "m", buckets=2)
    assert mirror.verify(branch)
    branch.append("x-0", Put(amount=3))
    mirror.update(branch)
    assert_same(mirror, branch)
    with pytest.raises(ek.StorageError, match="is of another store"):
        mirror.update(store)


def test_an_empty_log_has_a_mirror(tmp_path: Path) -> None:
    """Which goes on like any other."""
    store = ek.EventStore()
    mirror = store.mirror(tmp_path / "m", buckets=2)
    assert (mirror.position, mirror.digest, mirror.replay(balance())) == (0, None, {})
    assert list(mirror.read()) == []
    pd.testing.assert_frame_equal(mirror.df().compute(), store.read().df())
    store.append("a", Put(amount=1))
    mirror.update(store)
    assert mirror.replay(balance()) == {"a": 1}


# -- killed anywhere


def test_a_killed_update_leaves_no_half_and_repeats_nothing(tmp_path: Path) -> None:
    """What would be left of it before each of its steps is a whole mirror, which goes on."""
    store = logged(mixed(30))
    mirror = store.mirror(tmp_path / "m", buckets=2, keep=0)
    for i in range(6):
        store.append("x-1", [Put(amount=i), Put(amount=i)])
        mirror.update(store)
    positions = []
    with Kills(tmp_path / "m", tmp_path / "killed") as kills:
        for i in range(5):
            store.append_many([ek.Append(f"x-{n}", Put(amount=i)) for n in range(4)])
            positions.append(mirror.update(store))
    assert len(kills.left) > 10  # files are written by several threads, of which one is stopped at a time
    seen = Counter[int]()
    for left, _ in kills.left:
        found = ek.Mirror(left)
        seen[found.position] += 1
        assert list(found.read()) == list(store.read(as_of=found.position))
        assert found.update(store) == store.position
        assert_same(found, store)
        assert found.verify(store)
    assert min(seen) == positions[0] - 4
    assert len(seen) > 2


def test_a_killed_first_write_leaves_no_mirror(tmp_path: Path) -> None:
    """And its place can be used again."""
    store = logged(mixed(30))
    (tmp_path / "m").mkdir()
    with Kills(tmp_path / "m", tmp_path / "killed") as kills:
        store.mirror(tmp_path / "m", buckets=2)
    for left, _ in kills.left:
        with pytest.raises(ek.StorageError, match=r"there is no mirror at .*; make one with store.mirror"):
            ek.Mirror(left)
        assert_same(store.mirror(left, buckets=3), store)


# -- keys that are fields


def test_a_field_can_be_the_key(tmp_path: Path) -> None:
    """A projection by that field is folded bucket by bucket; events without the field are there, too."""
    sold = [("s", ek.NewEvent(type="Sold", data={"by": f"p-{i % 7}", "n": i})) for i in range(50)]
    store = logged([*sold, ("t", ek.NewEvent(type="Bare")), ("t", Put(amount=1))])
    mirror = store.mirror(tmp_path / "m", buckets=4, key="by")
    per_seller = ek.Projection("per seller", fields={"n": ek.fold.total("Sold", "n")}, key="by")
    written = ek.Projection("written", initial=int, key="by")
    written.on("Sold")(lambda state, event: state + event["n"])
    for projection in (per_seller, written):
        assert mirror.replay(projection, as_of=40) == store.replay(projection, as_of=40)
        assert mirror.replay(projection, key="p-3") == store.replay(projection, key="p-3")
    assert list(mirror.read()) == list(store.read())
    assert list(mirror.read("t")) == list(store.read("t"))
    pd.testing.assert_frame_equal(in_order(mirror.df().compute()), store.read().df())
    assert mirror.verify(store)


class Bought(ek.Event, type="mirror.Bought"):
    buyer: UUID
    items: list[str]


def test_an_event_of_several_keys_stands_in_each_of_their_buckets(tmp_path: Path) -> None:
    """And counts once in reads and frames."""
    store = logged([("s", Bought(buyer=UUID(int=i), items=[f"i-{i % 5}", f"i-{i % 3}"])) for i in range(30)])
    mirror = store.mirror(tmp_path / "m", buckets=4, key="items")
    assert mirror.files()["rows"].sum() > 30
    assert list(mirror.read()) == list(store.read())
    pd.testing.assert_frame_equal(in_order(mirror.df().compute()), store.read().df())
    by_buyer = store.mirror(tmp_path / "n", buckets=4, key="buyer")
    counted = ek.Projection("counted", fields={"n": ek.fold.count(Bought)}, key="buyer")
    assert by_buyer.replay(counted) == store.replay(counted)
    for path, bucket in zip(by_buyer.files()["path"], by_buyer.files()["bucket"], strict=True):
        assert {number_of(json.loads(text), 4) if text[:1] == '"' else number_of(text, 4)
                for text in pd.read_parquet(path)["buyer"]} == {bucket}  # fmt: skip


def test_tags_can_be_the_keys(tmp_path: Path) -> None:
    """All of them, or those of a kind; an event stands in the bucket of each."""
    told = [ek.NewEvent(type="Told", data={"n": i}, tags=[f"of:{i % 7}", f"by:{i % 5}"]) for i in range(60)]
    store = logged([*(("s", one) for one in told), ("s", Put(amount=1))])
    for at, key in enumerate((ek.TAGS, ek.TAGS("of"))):
        mirror = store.mirror(tmp_path / f"{at}", buckets=4, key=key)
        assert (mirror.key, ek.Mirror(tmp_path / f"{at}").key) == (key, key)
        fields = ek.Projection("fields", fields={"n": ek.fold.total("Told", "n")}, key=key)
        written = ek.Projection("written", initial=int, key=key)
        written.on("Told")(lambda state, event: state + event["n"])
        for projection in (fields, written):
            assert mirror.replay(projection, as_of=41) == store.replay(projection, as_of=41)
            assert mirror.replay(projection, key="of:3") == store.replay(projection, key="of:3")
        assert list(mirror.read()) == list(store.read())
        assert mirror.verify(store)
    with pytest.raises(ek.InputError, match=r"has key=ek\.TAGS\('by'\)"):
        mirror.replay(ek.Projection("by", fields={"n": ek.fold.count("Told")}, key=ek.TAGS("by")))


def test_a_projection_by_another_key_is_told_which_mirror_it_needs(tmp_path: Path) -> None:
    """And gets its answer there."""
    store = logged([("s", ek.NewEvent(type="Sold", data={"by": f"p-{i % 7}", "n": i})) for i in range(50)])
    mirror = store.mirror(tmp_path / "m", buckets=4)
    by_seller = ek.Projection("by seller", fields={"n": ek.fold.total("Sold", "n")}, key="by")
    whole = ek.Projection("whole", fields={"n": ek.fold.total("Sold", "n")}, key=None)
    with pytest.raises(ek.InputError, match=r"the mirror is by stream in 4 buckets.*needs a mirror that has key='by'"):
        mirror.replay(by_seller)
    assert store.mirror(tmp_path / "by", buckets=4, key="by").replay(by_seller) == store.replay(by_seller)
    with pytest.raises(ek.InputError, match=r"is by stream \(key=None\)"):
        ek.Mirror(tmp_path / "by").replay(ek.Projection("p", fields={"n": ek.fold.count("Sold")}))
    with pytest.raises(ek.InputError, match="has one bucket"):
        mirror.history(whole)
    single = store.mirror(tmp_path / "one", buckets=1)
    assert single.replay(whole) == store.replay(whole)
    assert single.replay(by_seller) == store.replay(by_seller)


def test_keys_that_are_read_otherwise_than_when_they_were_mirrored_are_named(tmp_path: Path) -> None:
    """Their events would be in several buckets."""

    class Moved(ek.Event, type="mirror.Moved"):
        who: str

    store = logged([("s", Moved(who=f"p-{i % 9}")) for i in range(30)])
    mirror = store.mirror(tmp_path / "m", buckets=4, key="who")

    class Newer(ek.Event, type="mirror.Moved", version=2):
        who: str

    ek.upcast(Newer, from_version=1)(lambda data: {"who": data["who"].upper()})
    projection = ek.Projection("moved", fields={"n": ek.fold.count(Newer)}, key="who")
    with pytest.raises(ek.InputError, match=r"was another one when the mirror .* was written"):
        mirror.replay(projection)
    again = store.mirror(tmp_path / "n", buckets=4, key="who")
    assert again.replay(projection) == store.replay(projection)


# -- bad input


@pytest.mark.parametrize("buckets", [0, -1, True, 2.5, "4", 10**6])
def test_buckets_that_make_no_sense_are_refused(tmp_path: Path, buckets: Any) -> None:
    """Before anything is written."""
    with pytest.raises(ek.InputError, match="give a whole number from 1 to 4096"):
        logged(mixed(3)).mirror(tmp_path / "m", buckets=buckets)
    assert not (tmp_path / "m").exists()


def test_other_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    store = logged(mixed(3))
    for wrong, told in (
        ({"keep": -1}, "give a number of hours"),
        ({"keep": "24"}, "give a number of hours"),
        ({"key": ""}, "give a field's name"),
        ({"key": 5}, "give a field's name"),
        ({"region": "x"}, "is for a store at 's3://"),
    ):
        with pytest.raises(ek.InputError, match=told):
            store.mirror(tmp_path / "m", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "m").exists()
    with pytest.raises(ek.InputError, match="a mirror needs a place"):
        store.mirror(None)  # type: ignore[arg-type]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(ek.InputError, match="holds other files"):
        store.mirror(tmp_path / "full")
    own = ek.EventStore(tmp_path / "store", fsync=False)
    with own, pytest.raises(ek.InputError, match="holds an event store"):
        own.mirror(tmp_path / "store")
    mirror = store.mirror(tmp_path / "m", buckets=1)
    for wrong_store in (None, "store", tmp_path):
        with pytest.raises(ek.InputError, match="is no store; give one that is open"):
            mirror.update(wrong_store)  # type: ignore[arg-type]
    for client in (5, "tcp://x", object()):
        with pytest.raises(ek.InputError, match=r"is no client of a cluster; give one of dask\.distributed"):
            mirror.replay(balance(), on=client)


def test_a_mirror_of_another_store_is_refused(tmp_path: Path) -> None:
    """By update, follow and mirror; verify says so."""
    store, other = logged(mixed(30)), ek.EventStore(seed=2)
    other.append("a", [Put(amount=i) for i in range(40)])
    mirror = store.mirror(tmp_path / "m", buckets=2)
    for call in (mirror.update, mirror.follow, lambda one: one.mirror(tmp_path / "m")):
        with pytest.raises(ek.StorageError, match=r"is of another store .*make this store's mirror at another place"):
            call(other)
    report = mirror.verify(other)
    assert not report
    assert "is of another store" in report.damage[0].wrong
    assert_same(mirror, store)


def test_a_store_that_has_lost_events_is_found_out(tmp_path: Path) -> None:
    """One that was put back to an older copy, and one that then went on otherwise."""
    store = ek.EventStore(tmp_path / "store", fsync=False)
    store.append("a", [Put(amount=i) for i in range(5)])
    ek.copy(store, into=tmp_path / "older")
    store.append("a", Put(amount=5))
    mirror = store.mirror(tmp_path / "m", buckets=2)
    store.close()
    with ek.EventStore(tmp_path / "older", fsync=False) as older:
        with pytest.raises(ek.StorageError, match="goes to position 6, and the store to 5: it has lost events"):
            mirror.update(older)
        older.append("a", [Put(amount=9), Put(amount=10)])
        with pytest.raises(ek.StorageError, match="differ at position 6"):
            mirror.update(older)
        assert not mirror.verify(older)
    assert mirror.position == 6


def spoilt(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "garbage"])
def test_a_file_that_is_not_as_it_was_written_is_named(tmp_path: Path, how: str) -> None:
    """By reads, folds, frames and updates that need it, and by verify; the cure works."""
    store = logged([(f"s-{i % 9}", Put(amount=i)) for i in range(300)])
    mirror = store.mirror(tmp_path / "m", buckets=2)
    file = Path(mirror.files()["path"][0])
    spoilt(file, how)
    for call in (lambda: mirror.replay(balance()), lambda: list(mirror.read()), mirror.df):
        with pytest.raises(ek.DamagedError, match=f"{file.name}.*made anew from its store") as caught:
            call()
        assert caught.value.files == [f"{file.parent.name}/{file.name}"]
    report = mirror.verify(store)
    assert not report.ok
    assert file.name in report.damage[0].wrong
    shutil.rmtree(tmp_path / "m")
    assert_same(store.mirror(tmp_path / "m", buckets=2), store)


def test_a_flipped_byte_is_detected(tmp_path: Path) -> None:
    """Wherever it is in a file."""
    store = logged([(f"s-{i % 9}", Put(amount=i)) for i in range(300)])
    mirror = store.mirror(tmp_path / "m", buckets=1)
    file, expected, detected = Path(mirror.files()["path"][0]), list(store.read()), 0
    content = file.read_bytes()
    for at in range(0, len(content), 37):
        file.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        try:
            assert list(mirror.read()) == expected
        except ek.DamagedError:
            detected += 1
    assert detected == len(range(0, len(content), 37))


def test_a_file_of_another_mirror_is_named(tmp_path: Path) -> None:
    """Though it has the same name and size."""
    rows = [(f"s-{i % 9}", Put(amount=i)) for i in range(30)]
    one, other = logged(rows), ek.EventStore(seed=77, clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1s"))
    for stream, event in rows:
        other.append(stream, event)
    mirror, foreign = one.mirror(tmp_path / "m", buckets=1), other.mirror(tmp_path / "n", buckets=1)
    content = Path(foreign.files()["path"][0]).read_bytes()
    target = Path(mirror.files()["path"][0])
    target.write_bytes(content)
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    manifest["files"][0].update(bytes=len(content), crc32=zlib.crc32(content))
    (tmp_path / "m" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ek.DamagedError, match="is of another mirror"):
        mirror.replay(balance())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no manifest"),
        ("[]", "is no manifest"),
        ("{}", "is no manifest"),
        ('{"format": 1}', "is no manifest"),
        ('{"format": 2}', "is of format 2, and this version of the kit reads 1; update the kit"),
        ("\x00\xff", "is no manifest"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """With what to do."""
    store = logged(mixed(3))
    store.mirror(tmp_path / "m", buckets=1)
    (tmp_path / "m" / "manifest.json").write_text(text)
    for call in (lambda: ek.Mirror(tmp_path / "m"), lambda: store.mirror(tmp_path / "m")):
        with pytest.raises(ek.StorageError, match=told):
            call()
    with pytest.raises(ek.StorageError, match="there is no mirror at"):
        ek.Mirror(tmp_path / "nowhere")


def test_handlers_that_fail_are_named_as_ever(tmp_path: Path) -> None:
    """With event, handler and state."""
    store = logged(mixed(30))
    projection = ek.Projection("fails", initial=int)
    projection.on(Put)(lambda state, event: state // 0)
    with pytest.raises(ek.ProjectionError, match=r"failed at position \d+ on mirror.Put"):
        store.mirror(tmp_path / "m", buckets=2).replay(projection)

"""Events that no class knows, and how well today's classes read a stored log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, Field

import eventsourcing_kit as ek
from eventsourcing_kit.events import renames, schema, upcasters
from eventsourcing_kit.folding.snapshots import reading_of
from tests.faults import log_of

ROOT = Path(__file__).parents[1]
COLUMNS = [
    *("type", "schema_version", "read_as", "class_version", "events"),
    *("ok", "upcast", "raw", "skipped", "would_fail", "untagged", "position", "message", "dropped"),
]


@pytest.fixture(autouse=True)
def no_event_types() -> None:
    """Each test starts without types: they are known to a whole process."""
    forget()


def forget() -> None:
    for registry in (schema.registry, renames.successors, upcasters.registry):
        registry.clear()


def version_of(type_: str, version: int, /, **fields: Any) -> type[ek.Event]:
    body = {"__annotations__": fields, "__module__": __name__}
    return type(ek.Event)(type_, (ek.Event,), body, type=type_, version=version)


def mixed(**policies: Any) -> ek.EventStore:
    """Known, Unclassed, Known, Newer (version 2 of class version 1), Known: in one commit and one more."""
    store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"), **policies)
    known, newer = version_of("Known", 1, n=int), version_of("Newer", 2, m=int)
    store.append("a-1", [known(n=1), ek.NewEvent(type="Unclassed", data={"x": 1}), known(n=2), newer(m=1), known(n=3)])
    store.append("b-1", known(n=4))
    version_of("Newer", 1, n=int)
    return store


def data(read: ek.Read) -> list[Any]:
    return [event.data if isinstance(event.data, dict) else event.data.n for event in read]


# policies


def test_by_default_a_type_without_a_class_is_kept_and_a_newer_version_fails() -> None:
    """A fact needs no class; data of a newer version means what this code has not learned."""
    store = mixed()
    projection = ek.Projection("p", initial=lambda: 0)
    projection.on("Known", "Newer")(lambda state, event: state + event.n)
    looks = [
        lambda: list(store.read()),
        lambda: store.read().df(),
        lambda: store.replay(projection),
        lambda: store.history(projection),
    ]
    for look in looks:
        with pytest.raises(
            ek.SchemaError,
            match=r"position 4 has schema version 2 of 'Newer', and the class Newer has version 1; define the newer "
            r"class, or open the store with newer='keep'",
        ):
            look()
    assert data(store.read(as_of=3)) == [1, {"x": 1}, 2]
    assert data(store.read(types="Known")) == [1, 2, 3, 4]
    assert data(store.read(limit=3)) == [1, {"x": 1}, 2]
    assert store.read(as_of=3).df().attrs == {}


def test_keep_gives_what_was_stored() -> None:
    """Iteration and frame alike."""
    store = mixed(newer="keep")
    assert data(store.read()) == [1, {"x": 1}, 2, {"m": 1}, 3, 4]
    frame = store.read().df()
    assert frame["m"].tolist()[3] == 1
    assert frame["n"].dropna().tolist() == [1, 2, 3, 4]
    assert store.read().skipped == {}


def test_skip_leaves_them_out_and_counts_them() -> None:
    """In a read, its frame and a history; a limit counts what is given."""
    store = mixed(unknown="skip", newer="skip")
    assert data(store.read()) == [1, 2, 3, 4]
    assert store.read().skipped == store.read().df().attrs["skipped"] == {"Unclassed": 1, "Newer": 1}
    assert store.read().df()["position"].tolist() == [1, 3, 5, 6]
    assert data(store.read(limit=2)) == [1, 2]
    assert store.read(limit=2).skipped == {"Unclassed": 1}
    assert store.read(limit=1).skipped == {}
    assert data(store.read(limit=2, backwards=True)) == [4, 3]
    assert store.read(types="Known").skipped == {}
    assert store.read("b-1").skipped == {}
    projection = ek.Projection("p", initial=lambda: 0)
    projection.on("Known", "Newer")(lambda state, event: state + event.n)
    assert store.replay(projection) == {"a-1": 6, "b-1": 4}
    history = store.history(projection)
    assert (history.at(6), history.skipped) == ({"a-1": 6, "b-1": 4}, {"Newer": 1})


def test_what_was_skipped_is_known_after_a_whole_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second pass, unless a class was defined since, which skips others."""
    store = mixed(unknown="skip", newer="skip")
    passes: list[int] = []
    commits = log_of(store).commits
    monkeypatch.setattr(log_of(store), "commits", lambda *given, **how: passes.append(1) or commits(*given, **how))
    read = store.read()
    next(iter(read))
    assert (read.skipped, len(passes)) == ({"Unclassed": 1, "Newer": 1}, 2)
    assert (read.skipped, len(passes)) == ({"Unclassed": 1, "Newer": 1}, 2)
    whole = store.read()
    assert (len(list(whole)), whole.skipped, len(passes)) == (4, {"Unclassed": 1, "Newer": 1}, 3)
    assert (store.read().df().attrs["skipped"], len(passes)) == ({"Unclassed": 1, "Newer": 1}, 4)
    version_of("Newer", 2, m=int)
    assert (whole.skipped, len(passes)) == ({"Unclassed": 1}, 5)


def test_fail_names_the_event_and_the_cure() -> None:
    """Only where such an event is asked for."""
    store = mixed(unknown="fail")
    with pytest.raises(
        ek.SchemaError,
        match=r"position 2 is of type 'Unclassed', which has no class, and this store was opened with unknown='fail'; "
        r"define the class, or open the store with unknown='keep'",
    ):
        store.read().df()
    assert data(store.read(limit=1)) == [1]
    assert data(store.read("b-1")) == [4]
    version_of("Unclassed", 1, x=int)
    assert store.read(as_of=3).df()["position"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("policies", [{"unknown": "drop"}, {"newer": None}, {"newer": True}, {"unknown": ["keep"]}])
def test_a_policy_that_is_none_is_refused(policies: Any) -> None:
    with pytest.raises(ek.InputError, match=r"give 'keep' .*'skip' .*or 'fail'"):
        ek.EventStore(**policies)


def test_a_store_in_a_folder_is_opened_with_the_policy_of_the_moment(folder: Path) -> None:
    """It belongs to the handle, also one that reads only; nothing of it is stored."""
    with ek.EventStore(folder, unknown="fail") as store:
        store.append("a", ek.NewEvent(type="T", data={"n": 1}))
        with pytest.raises(ek.SchemaError):
            list(store.read())
    with ek.EventStore(folder, read_only=True, unknown="skip") as store:
        assert (list(store.read()), store.read().skipped) == ([], {"T": 1})
    with ek.EventStore(folder) as store:
        assert [event.data for event in store.read()] == [{"n": 1}]


def test_an_upcast_version_is_no_unknown_one() -> None:
    store = ek.EventStore(unknown="fail", newer="fail")
    store.append("a", version_of("T", 1, n=int)(n=1))
    version_of("T", 2, m=int)
    ek.upcast("T", from_version=1)(lambda row: {"m": row["n"]})
    assert store.read().df()["m"].tolist() == [1]


KINDS = ("Known", "Unclassed", "Newer")


@given(
    log=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), max_size=5),
    policy=st.sampled_from(("keep", "skip")),
    limit=st.none() | st.integers(0, 6),
    backwards=st.booleans(),
    after=st.integers(0, 4),
)
def test_skipping_is_keeping_without_what_no_class_knows(
    log: list[list[str]], policy: Any, limit: int | None, backwards: bool, after: int
) -> None:
    """Whatever is asked for; what is left out up to the last event given is what is counted."""
    forget()
    classes = {"Known": version_of("Known", 1, n=int), "Newer": version_of("Newer", 3, n=int)}
    with ek.EventStore(unknown=policy, newer=policy) as store:
        for kinds in log:
            store.append("a", [ek.NewEvent(type=k) if k == "Unclassed" else classes[k](n=1) for k in kinds])
        version_of("Newer", 2, n=int)
        every = list(enumerate((kind for kinds in log for kind in kinds), 1))
        after = min(after, len(every))
        asked = [one for one in every if one[0] > after][:: -1 if backwards else 1]
        given_out = [at for at, kind in asked if policy == "keep" or kind == "Known"][:limit]
        read = store.read(after=after, limit=limit, backwards=backwards)
        assert [event.position for event in read] == given_out
        assert read.df()["position"].tolist() == given_out
        if limit is not None and limit <= len(given_out):
            asked = asked[: asked.index((given_out[-1], every[given_out[-1] - 1][1])) + 1] if given_out else []
        left_out = [kind for at, kind in asked if at not in given_out]
        if limit != 0 and (limit is None or len(given_out) < limit or policy == "keep"):
            assert read.skipped == {kind: left_out.count(kind) for kind in dict.fromkeys(left_out)}


# check_schema


def test_check_schema_says_what_todays_classes_would_do() -> None:
    """One row a stored type and version, with the first failure of each; nothing is changed."""
    store = ek.EventStore()
    paid_1, paid_2 = version_of("Paid", 1, n=int), version_of("Paid", 2, m=int)
    store.append("a", [paid_2(m=n) for n in range(5)])
    store.append("a", [ek.NewEvent(type="Loose"), ek.NewEvent(type="Old", data={"n": 1})])
    store.append("b", [version_of("Ahead", 7, n=int)(n=1)])
    version_of("Ahead", 6, n=int)
    version_of("Paid", 1, n=int)
    store.append("a", [paid_1(n=0), paid_1(n=1), paid_1(n=0), paid_1(n=2)])
    store.append("b", [ek.NewEvent(type="Sent", data={"to": to}) for to in ("Oslo", 5, "Rome", 6)])
    version_of("Sent", 1, to=str)
    version_of("Paid", 2, m=int)
    ek.upcast("Paid", from_version=1)(lambda row: {"m": 10 // row["n"]})
    type(ek.Event)("New", (ek.Event,), {"__annotations__": {"n": int}}, version=4, renamed_from="Old")
    before = [event.position for event in store.read(types=["Loose"])]
    frame = store.check_schema()
    assert frame.columns.tolist() == COLUMNS
    numbers = frame[["type", "schema_version", "class_version", "events", "ok", "upcast", "raw", "would_fail"]]
    assert [tuple(row) for row in numbers.fillna(-1).itertuples(index=False)] == [
        ("Paid", 2, 2, 5, 5, 0, 0, 0),
        ("Loose", 1, -1, 1, 0, 0, 1, 0),
        ("Old", 1, 4, 1, 1, 0, 0, 0),
        ("Ahead", 7, 6, 1, 0, 0, 0, 1),
        ("Paid", 1, 2, 4, 0, 2, 0, 2),
        ("Sent", 1, 1, 4, 2, 0, 0, 2),
    ]
    assert frame["read_as"].tolist()[2] == "New"
    assert frame["position"].fillna(0).tolist() == [0, 0, 0, 8, 9, 14]
    for at, position in ((3, 8), (4, 9), (5, 14)):
        with pytest.raises(ek.SchemaError) as failure:
            list(store.read(after=position - 1, limit=1))
        assert frame["message"][at] == str(failure.value)
    assert [event.position for event in store.read(types=["Loose"])] == before


def test_check_schema_names_what_the_class_has_no_place_for() -> None:
    """Reads are tolerant and ignore it; whoever took out a field, or misspelt one, sees it here."""
    store = ek.EventStore()
    store.append("a", ek.NewEvent(type="T", data={"n": 1, "gone": 2, "short": 3}))
    store.append("a", ek.NewEvent(type="T", data={"n": 1, "lost": 4}))
    store.append("a", ek.NewEvent(type="Loose", data={"n": 1}))

    class Aliased(ek.Event, type="T"):
        n: int
        long: int = Field(default=0, validation_alias=AliasChoices("short", AliasPath("nested", 0)))

    assert store.check_schema()["dropped"].tolist() == [["gone", "lost"], []]
    assert store.check_schema()["ok"].tolist() == [2, 0]
    version_of("T", 2, m=int)

    @ek.upcast("T", from_version=1)
    def to_m(data: dict[str, Any]) -> dict[str, Any]:
        if "lost" in data:
            raise ValueError("lost")
        return {"m": data["n"], "o": data["gone"]}

    (row, _) = store.check_schema().to_dict("records")
    assert (row["upcast"], row["would_fail"], row["dropped"]) == (1, 1, ["o"])
    type(ek.Event)("T", (ek.Event,), {"__annotations__": {"n": int}, "model_config": {"extra": "allow"}})
    assert store.check_schema()["dropped"].tolist() == [[], []]


def test_check_schema_follows_the_stores_policies() -> None:
    store = ek.EventStore(unknown="skip", newer="keep")
    store.append("a", [ek.NewEvent(type="Loose"), version_of("Ahead", 2)()])
    version_of("Ahead", 1)
    assert store.check_schema()[["raw", "skipped", "would_fail"]].values.tolist() == [[0, 1, 0], [1, 0, 0]]
    strict = ek.EventStore(unknown="fail")
    strict.append("a", [ek.NewEvent(type="Loose"), ek.NewEvent(type="Loose")])
    (row,) = strict.check_schema().to_dict("records")
    assert (row["would_fail"], row["position"]) == (2, 1)
    assert "opened with unknown='fail'" in row["message"]


def test_check_schema_names_a_gap_for_all_its_events() -> None:
    store = ek.EventStore()
    store.append("a", [ek.NewEvent(type="T"), ek.NewEvent(type="T")])
    version_of("T", 3)
    ek.upcast("T", from_version=2)(lambda row: row)
    (row,) = store.check_schema().to_dict("records")
    assert (row["upcast"], row["would_fail"], row["position"]) == (0, 2, 1)
    assert "there is no upcaster from version 1" in row["message"]


def test_check_schema_of_an_empty_store_has_the_same_columns() -> None:
    empty = ek.EventStore().check_schema()
    store = ek.EventStore()
    store.append("a", ek.NewEvent(type="T"))
    assert empty.columns.tolist() == COLUMNS
    assert empty.dtypes.tolist() == store.check_schema().dtypes.tolist()


def test_check_schema_shows_its_progress_where_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    """On the error stream; by default never in a test."""
    store = ek.EventStore()
    store.append("a", [ek.NewEvent(type="T")] * 7)
    store.check_schema()
    assert capsys.readouterr().err == ""
    store.check_schema(progress=True)
    assert "7" in capsys.readouterr().err


@given(
    st.lists(st.tuples(st.sampled_from((1, 2)), st.one_of(st.integers(-2, 2), st.just("x"))), min_size=1, max_size=8),
    st.booleans(),
)
def test_check_schema_counts_what_reads_one_by_one_do(rows: list[tuple[int, Any]], together: bool) -> None:
    """Each event that it counts as failing does fail, and the others read."""
    forget()
    classes = {version: version_of("T", version, n=int | str) for version in (1, 2)}
    with ek.EventStore() as store:
        events = [classes[version](n=n) for version, n in rows]
        for part in [events] if together else [[event] for event in events]:
            store.append("a", part)
        version_of("T", 2, n=int)
        ek.upcast("T", from_version=1)(lambda row: {"n": 1 // row["n"]})
        fails = {}
        for position in range(1, len(rows) + 1):
            try:
                list(store.read(after=position - 1, limit=1))
            except ek.SchemaError as error:
                fails[position] = str(error)
        frame = store.check_schema()
        assert frame["events"].sum() == len(rows)
        assert frame["would_fail"].sum() == len(fails)
        first = {version: next((p for p in fails if rows[p - 1][0] == version), 0) for version, _ in rows}
        assert frame["position"].fillna(0).tolist() == list(first.values())
        assert frame["message"].fillna("").tolist() == [fails.get(position, "") for position in first.values()]


# fingerprints


def test_a_fingerprint_changes_with_what_its_events_are_read_as() -> None:
    """Fields, versions, former names, validators, upcasters and what they know from around them."""
    found: list[str | None] = [reading_of("T")]

    def note() -> None:
        assert reading_of("T") == reading_of("T")
        assert reading_of("T") not in found
        found.append(reading_of("T"))

    version_of("T", 1, n=int)
    note()
    version_of("T", 1, n=float)
    note()
    version_of("T", 2, n=float)
    note()
    ek.upcast("T", from_version=1)(lambda row: row)
    note()
    ek.upcast("T", from_version=1)(lambda row: {**row, "n": 1})
    note()
    for rate in (2, 3):
        ek.upcast("T", from_version=1)(lambda row, rate=rate: {"n": row["n"] * rate})
        note()
    type(ek.Event)("T", (ek.Event,), {"__annotations__": {"n": float}}, version=2, renamed_from="S")
    note()
    assert reading_of("S") == reading_of("T")


@pytest.mark.processes
def test_the_same_code_has_the_same_fingerprint_in_every_process() -> None:
    """Wherever it stands, and in whatever order sets iterate there."""
    code = """
import eventsourcing_kit as ek
from eventsourcing_kit.folding.snapshots import reading_of
import pydantic
class T(ek.Event, version=2):
    n: int
    @pydantic.field_validator("n")
    @classmethod
    def known(cls, n):
        return n if n in {1, 2, 3} else 0
@ek.upcast(T, from_version=1)
def up(data):
    return data if data.get("kind") in {"apple", "pear", "plum"} else {"n": 1}
print(reading_of("T"))
"""

    def run(text: str, seed: str) -> str:
        environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True, env=environment
        )
        return done.stdout

    same = run(code, "1")
    assert run(f"\n\n\n{code}", "2") == same
    assert run(code.replace("else 0", "else 9"), "1") != same
    assert run(code.replace('"n": 1', '"n": 2'), "1") != same

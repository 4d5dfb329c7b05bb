"""Tags: what an event is about beside its stream, given by its class's fields or by hand, and fixed at its append."""

from __future__ import annotations

import enum
import json
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import eventsourcing_kit as ek
from eventsourcing_kit.events import schema
from eventsourcing_kit.records import record
from eventsourcing_kit.storage import keys
from eventsourcing_kit.storage.location import Location
from eventsourcing_kit.storage.slate.table import Table
from tests.faults import table_of

ONE = uuid.UUID("ABCDEF01-0000-4000-8000-000000000001")
StudentId = NewType("StudentId", str)


class Level(enum.StrEnum):
    EASY = "easy"


class Enrolled(ek.Event, type="Tags.Enrolled"):
    student: ek.Tag[str]
    course: ek.Tag[str] | None = None
    note: str = ""


class Untagged(ek.Event, type="Tags.Untagged"):
    student: ek.Tag[str] | None


class Everything(ek.Event, type="Tags.Everything"):
    id: ek.Tag[uuid.UUID]
    number: ek.Tag[int]
    flag: ek.Tag[bool]
    maybe: ek.Tag[str | None]
    level: ek.Tag[Level]
    one_of: ek.Tag[Literal["x", 2]]
    short: Annotated[ek.Tag[str], Field(max_length=5)]
    named: ek.Tag[StudentId]
    several: list[ek.Tag[int]]
    fixed: tuple[ek.Tag[str], ...]
    loose: set[ek.Tag[str]]
    frozen: frozenset[ek.Tag[int]] | None = None


def everything(**changed: Any) -> Everything:
    values = dict(
        id=ONE, number=10**20, flag=True, maybe=None, level=Level.EASY, one_of="x", short="ab", named=StudentId("s"),
        several=[3, 1, 3], fixed=("b", "a"), loose={"d", "c"},
    )  # fmt: skip
    return Everything(**(values | changed))


def loose(**more: Any) -> ek.NewEvent:
    return ek.NewEvent(type="Loose", data={"n": 1}, **more)


def rows_of(store: ek.EventStore, bounds: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return list(table_of(store).scan(*bounds))


# which tags


def test_a_classs_fields_make_tags_in_their_order(store: ek.EventStore) -> None:
    """Of text, ints, UUIDs and bools; None makes none, lists and sets several; each stands once, at its first place."""
    (event,) = store.append("a", everything()).events
    assert event.tags == (
        *("id:abcdef01-0000-4000-8000-000000000001", f"number:{10**20}", "flag:true", "level:easy", "one_of:x"),
        *("short:ab", "named:s", "several:3", "several:1", "fixed:b", "fixed:a", "loose:c", "loose:d"),
    )
    (event,) = store.append("a", everything(flag=False, number=-1, one_of=2, frozen=frozenset({10, 9}))).events
    assert {"flag:false", "number:-1", "one_of:2"} <= set(event.tags)
    assert event.tags[-2:] == ("frozen:10", "frozen:9")
    assert [one.tags for one in store.read()][1] == event.tags


def test_given_tags_stand_behind_those_of_the_class(store: ek.EventStore) -> None:
    """Each once; a fact without a class has those that are given; sets are sorted."""
    enrolled = Enrolled(student="s1", course="c1")
    appended = store.append(
        "a",
        [
            ek.NewEvent(enrolled, tags=["x", "student:s1", "x"]),
            enrolled,
            Enrolled(student="s2"),
            ek.NewEvent(type="Tags.Enrolled", data={"student": "s3"}, tags=("y",)),
            loose(tags={"b", "a"}),
            loose(tags=[]),
            loose(),
        ],
    )
    found = [
        ("student:s1", "course:c1", "x"), ("student:s1", "course:c1"), ("student:s2",), ("student:s3", "y"),
        ("a", "b"), (), (),
    ]  # fmt: skip
    assert [event.tags for event in appended.events] == found
    assert [event.tags for event in store.read()] == found
    assert store.verify()


def test_subclasses_and_generics_tag_as_their_fields_say(store: ek.EventStore) -> None:
    """A field that is inherited counts, and one that is overridden without a mark doesn't."""

    class Waiting(Enrolled, type="Tags.Waiting"):
        course: str
        place: ek.Tag[int]

    assert store.append("a", Waiting(student="s1", course="c1", place=2)).events[0].tags == ("student:s1", "place:2")


def test_the_name_is_the_fields_also_where_it_has_an_alias(store: ek.EventStore) -> None:
    """What people read in the class is what they ask for."""

    class Aliased(ek.Event, type="Tags.Aliased"):
        student: ek.Tag[str] = Field(alias="studentId")

    assert store.append("a", Aliased(studentId="s1")).events[0].tags == ("student:s1",)


# bad input


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([""], "is '', which is no tag"), (["x" * 1001], "is 'x+'…, of 1001 bytes; a tag takes 1000"),
        ([1], "is 1, which"), (["ü" * 501], "is 'ü+'…, of 1002 bytes"), (["a\ud800"], "is .*lone surrogate"),
        ([None], "is None, which is no tag"), (list(map(str, range(10_001))), "are 10001; an event has 10000 at most"),
        (5, r"are 5; give a list of text"), ({"a": 1}, "are .*give a list of text"),
        ("course:c1", r"are 'course:c1'; give a list of text, as \['course:c1'\]"),
    ],
)  # fmt: skip
def test_what_is_no_tag_is_refused_and_nothing_written(store: ek.EventStore, tags: Any, message: str) -> None:
    """The error names the event, and says what to write."""
    with pytest.raises(ek.InputError, match=rf"tags of Loose {message}"):
        store.append("a", [loose(), loose(tags=tags)])
    assert store.position == 0


def test_the_most_that_is_allowed_is_taken(store: ek.EventStore) -> None:
    """10,000 tags of an event, and 1,000 bytes of a tag."""
    many = [f"{i:01000d}" for i in range(10_000)]
    assert store.append("a", loose(tags=many)).events[0].tags == tuple(many)
    assert len(rows_of(store, keys.TAGS)) == 10_000


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (everything(number=10**1000), "Tags.Everything.number is 1000.*whole numbers of up to 1000 digits"),
        (Enrolled(student="s" * 993), "the tag of Tags.Enrolled.student is 'student:sss.*of 1001 bytes"),
        (everything(several=list(range(10_000))), "the tags of Tags.Everything are 100..; an event has 10000"),
        (Enrolled.model_construct(student=1.5, course=None, note=""), "Tags.Enrolled.student"),
    ],
)  # fmt: skip
def test_a_field_of_which_no_tag_can_be_made_is_refused(store: ek.EventStore, event: ek.Event, message: str) -> None:
    """The error names event, field and value."""
    with pytest.raises(ek.InputError, match=message):
        store.append("a", event)
    assert store.position == 0


class Item(BaseModel):
    sku: ek.Tag[str]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (ek.Tag[float], "Bad.x is an ek.Tag of <class 'float'>; tags are made of text"),
        (ek.Tag[list[str]], r"for several write list\[ek.Tag\[…\]\]"),
        (ek.Tag[str | float], "tags are made of text"), (ek.Tag[Literal[1.5]], "tags are made of text"),
        (dict[str, ek.Tag[str]], "of which no tag would be made: it stands within dict"),
        (Item, "stands within Item"), (list[Item], "stands within Item"), (Item | None, "stands within Item"),
        (ek.Tag, r"write ek.Tag\[str\]"), (ek.Tag[str] | int, "makes a tag of some of its types and none of others"),
    ],
)  # fmt: skip
def test_a_mark_that_would_do_nothing_is_refused_at_the_class(annotation: Any, message: str) -> None:
    """Also where it stands within another type; the class is not registered then."""
    with pytest.raises(ek.InputError, match=message):
        type("Bad", (ek.Event,), {"__annotations__": {"x": annotation}, "__module__": __name__})
    assert schema.registered("Bad") is None


# where they are kept


def test_tags_are_there_again_in_every_kind_of_store(folder: Path, tmp_path: Path) -> None:
    """Reopened, copied, rescued; one by one and in a batch of so many that the index points at it."""
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a", Enrolled(student="s1", course="c1"))
        store.append("a", [Enrolled(student=f"s{i}", course="c1") for i in range(20)])
        store.append("b", loose(tags=["a\x00b", "a"]))
        wanted = [event.tags for event in store.read()]
    with ek.EventStore(folder) as store:
        assert [event.tags for event in store.read()] == wanted
        assert ek.copy(store, tmp_path / "copy")
        index = rows_of(store, keys.TAGS)
    saved = ek.rescue(folder, tmp_path / "rescued")
    for other in (ek.EventStore(tmp_path / "copy"), saved):
        with other:
            assert [event.tags for event in other.read()] == wanted
            assert rows_of(other, keys.TAGS) == index
            assert other.verify()


def test_a_commit_without_tags_is_of_format_1(store: ek.EventStore) -> None:
    """Whatever else the store holds: kits of before read it."""
    store.append("a", [loose(), loose(tags=[])])
    store.append("a", [loose(tags=["x"]), loose()])
    store.append("b", Untagged(student=None))
    assert [raw[2] for _, raw in rows_of(store, keys.LOG)] == [1, 2, 1]
    assert [keys.tag_of(key) for key, _ in rows_of(store, keys.TAGS)] == [("x", 3)]


def altered(store: ek.EventStore, *rows: tuple[bytes, bytes | None]) -> tuple[int | None, str]:
    """What `verify` says first after rows were written past the kit."""
    table_of(store).write(list(rows), flush=False)
    report = store.verify()
    return report.first_bad, "; ".join(one.wrong for one in report.findings)


def test_an_index_of_tags_that_does_not_fit_the_log_is_seen(store: ek.EventStore) -> None:
    """A row that is missing, that points elsewhere, that names an event without the tag, or one that is not there."""
    for n in range(3):
        store.append(f"a-{n}", [loose(tags=["x"]), loose(tags=["y", "z"])])
    sound = dict(rows_of(store, keys.TAGS))
    key = keys.tag("y", 4)
    lacking = (4, "the index of tags lacks tag 'y' of the event at position 4")
    assert altered(store, (key, None)) == lacking
    assert altered(store, (key, sound[keys.tag("y", 6)]))[0] == 4
    assert altered(store, (key, sound[key]), (keys.tag("w", 4), keys.u64(3))) == (
        3, "the index of tags has tag 'w' of the event at position 4 at position 3, and the log has not"
    )  # fmt: skip
    assert altered(store, (keys.tag("w", 4), None), (keys.tag("x", 99), keys.u64(99)))[0] == 99


# repeats and outcomes


def test_repeated_ids_must_have_the_same_tags(store: ek.EventStore) -> None:
    """In whatever order they are given; others are told."""
    one = loose(id=ONE, tags=["a", "b"])
    first = store.append("a", one)
    assert store.append("a", loose(id=ONE, tags=["b", "a", "b"])).replayed
    assert first.events[0].tags == store.append("a", one).events[0].tags
    with pytest.raises(ek.DuplicateIdError, match=r"its tags are \['a', 'b'\] there, and \['a'\] were given"):
        store.append("a", loose(id=ONE, tags=["a"]))
    with pytest.raises(ek.DuplicateIdError, match=r"\['a', 'b'\] there, and \[\] were given"):
        store.append("a", loose(id=ONE))
    assert store.position == 1


# frames


def test_a_frame_has_a_column_of_tags_only_where_the_store_has_any(store: ek.EventStore) -> None:
    """Then each read has it, between metadata and payload; a field of that name moves aside."""
    store.append("a", ek.NewEvent(type="T", data={"tags": 5}))
    assert store.read().df().columns.tolist()[-2:] == ["metadata", "tags"]
    assert store.read().df()["tags"].tolist() == [5]
    store.append("b", loose(tags=["x", "y"]))
    frame = store.read().df()
    assert frame.columns.tolist()[8:] == ["metadata", "tags", "data_tags", "n"]
    assert frame["tags"].tolist() == [(), ("x", "y")]
    assert frame["data_tags"].tolist()[0] == 5
    assert store.read("a").df()["tags"].tolist() == [()]
    assert store.read("nobody").df()["tags"].tolist() == []
    assert store.read().df(raw=True).columns.tolist()[8:] == ["metadata", "tags", "data"]


def said(store: ek.EventStore) -> list[Any]:
    return [(e.id, e.stream, e.type, e.schema_version, e.recorded_at, e.metadata, e.data, e.tags) for e in store.read()]


@pytest.mark.parametrize("raw", [False, True])
def test_a_frame_with_tags_comes_back_equal(store: ek.EventStore, raw: bool) -> None:
    """The tags are those that were stored, not those that today's class would make."""
    store.append("a", [Enrolled(student="s1", course="c1"), ek.NewEvent(type="T", data={"tags": ["k"]}), loose()])
    store.append("b", loose(tags=["x", "y"]))
    frame = store.read().df(raw=raw)
    frame.at[0, "tags"] = ("only:this",)
    back = ek.from_frame(frame)
    expected = said(store)
    expected[0] = (*expected[0][:-1], ("only:this",))
    assert said(back) == expected


def test_a_column_called_tags_of_the_kits_own_frame_is_what_the_frame_says_it_is(store: ek.EventStore) -> None:
    """Where the note of it was lost, the error says how to put it right, and both ways work."""
    store.append("a", ek.NewEvent(type="T", data={"tags": ["k"]}))
    frame = store.read().df()
    assert said(ek.from_frame(frame)) == said(store)
    frame.attrs.clear()
    with pytest.raises(ek.InputError, match=r"say tags='tags' for the first, or frame.attrs\['tagged'\] = False"):
        ek.from_frame(frame)
    assert [e.tags for e in ek.from_frame(frame, tags="tags").read()] == [("k",)]
    frame.attrs["tagged"] = False
    assert said(ek.from_frame(frame)) == said(store)


# loading


def foreign(*cells: Any, type: str = "Step") -> pd.DataFrame:
    times = pd.date_range("2026-01-05", periods=len(cells), tz="UTC")
    return pd.DataFrame({"case": "c-1", "what": type, "at": times, "about": pd.Series(list(cells), dtype=object)})


NAMES = {"stream": "case", "type": "what", "recorded_at": "at", "tags": "about"}


def test_load_takes_a_column_of_tags() -> None:
    """Lists, tuples, sets and arrays of text, or their JSON; an empty cell means none."""
    cells = (
        ["b", "a"],
        ("x",),
        {"d", "c"},
        '["j", "k"]',
        None,
        [],
        float("nan"),
        pd.array(["p"], dtype=object).to_numpy(),
    )
    store = ek.from_frame(foreign(*cells), **NAMES)
    assert [e.tags for e in store.read()] == [("b", "a"), ("x",), ("c", "d"), ("j", "k"), (), (), (), ("p",)]
    assert [e.data for e in store.read()] == [{}] * 8
    assert store.verify()


@pytest.mark.parametrize(
    "cell", ["x", 5, [""], [1], {"a": 1}, ["\ud800"], ["x" * 1001], '{"a": 1}', list(map(str, range(10_001)))]
)
def test_load_names_row_and_column_of_what_are_no_tags(store: ek.EventStore, cell: Any) -> None:
    """And loads nothing."""
    with pytest.raises(ek.InputError, match=r"row 1, column 'about': (one of )?its tags"):
        store.load(foreign(["a"], cell), **NAMES)
    assert store.position == 0


def test_a_loaded_class_makes_its_tags_before_the_columns() -> None:
    """Be its fields plain or not; without a column it makes them all the same."""
    frame = foreign(["x"], ["student:s2", "y"], type="Tags.Enrolled").assign(student=["s1", "s2"], course=[None, "c1"])
    wanted = [("student:s1", "x"), ("student:s2", "course:c1", "y")]
    assert [e.tags for e in ek.from_frame(frame, **NAMES).read()] == wanted
    plain = frame.drop(columns="about")
    names = {name: column for name, column in NAMES.items() if name != "tags"}
    assert [e.tags for e in ek.from_frame(plain, **names).read()] == [("student:s1",), ("student:s2", "course:c1")]
    rows = foreign(None, type="Tags.Everything").assign(data=[everything().model_dump(mode="json")])
    assert [e.tags for e in ek.from_frame(rows, **NAMES, data="data").read()] == [
        ek.EventStore().append("a", everything()).events[0].tags
    ]


def test_a_loaded_class_names_the_row_of_which_it_can_make_no_tag() -> None:
    """With the field."""
    frame = foreign(None, None, type="Tags.Enrolled").assign(student=["s1", "s" * 1000])
    with pytest.raises(ek.InputError, match=r"row 1: the tag of Tags[.]Enrolled[.]student is"):
        ek.from_frame(frame, **NAMES)


def test_a_load_that_is_repeated_must_say_the_same_tags(store: ek.EventStore) -> None:
    """Where it says any: other tags are another event."""
    frame = foreign(["a"], ["b", "c"])
    store.load(frame, **NAMES, known="skip")
    assert store.load(frame, **NAMES, known="skip") == 2
    assert store.load(frame.drop(columns="about"), stream="case", type="what", recorded_at="at", known="skip") == 2
    with pytest.raises(ek.InputError, match="its stream, type, times, tags or data are not the row's"):
        store.load(foreign(["a"], ["b"]), **NAMES, known="skip")


# what a class makes today


def test_check_schema_counts_events_that_lack_tags_of_their_class(store: ek.EventStore) -> None:
    """Tags are fixed at the append: a mark that comes later tags nothing that is there."""

    class Moved(ek.Event, type="Tags.Moved"):
        item: str
        place: str

    store.append("a", [Moved(item="i1", place="p1"), ek.NewEvent(Moved(item="i2", place="p1"), tags=["item:i2"])])

    class Again(ek.Event, type="Tags.Moved"):
        item: ek.Tag[str]
        place: str

    store.append("a", [Again(item="i3", place="p1"), loose()])
    assert [event.tags for event in store.read()] == [(), ("item:i2",), ("item:i3",), ()]
    found = store.check_schema().set_index("type")
    assert found["untagged"].to_dict() == {"Tags.Moved": 1, "Loose": 0}
    assert found.loc["Tags.Moved", "ok"] == 3


# how they are shown


def test_an_event_shows_its_tags(store: ek.EventStore) -> None:
    """In tables and charts, where it has any."""
    (plain,) = store.append("a", loose()).events
    (event,) = store.append("a", ek.NewEvent(type="T", tags=["course:c1", "<b>"])).events
    assert "tags" not in plain._repr_html_()
    assert "<th>tags</th><td>course:c1, &lt;b&gt;</td>" in event._repr_html_()
    assert "<th>tags</th>" in store.read()._repr_html_()
    assert "tags" not in store.read(limit=1)._repr_html_()
    assert repr(loose(tags=["x"])) == "NewEvent(type='Loose', data={'n': 1}, tags=['x'])"
    told = ek.charts.timeline(store.read().df()).to_dict()
    assert [one["tags"] for rows in told["datasets"].values() for one in rows if "tags" in one] == [
        "",
        "course:c1, <b>",
    ]
    assert '"field": "tags"' in json.dumps(told)
    plain_chart = ek.charts.timeline(ek.from_frame(store.read(limit=1).df()).read().df()).to_dict()
    assert "tags" not in json.dumps(plain_chart)


def test_the_table_of_events_lists_tags_from_the_first_one_on(store: ek.EventStore) -> None:
    """As a list of text that SQL can search; events without any have an empty one."""
    store.append("a", loose())
    with ek.ReportingDatabase() as db:
        db.update(store)
        assert "tags" not in db.sql("SELECT * FROM events").columns
        store.append("a", [loose(tags=["x", 'a,"b'])])
        store.append("a", loose())
        db.update(store)
        assert [list(own) for own in db.sql("SELECT tags FROM events ORDER BY position")["tags"]] == [
            [], ["x", 'a,"b'], []
        ]  # fmt: skip
        assert db.sql("SELECT position FROM events WHERE list_contains(tags, 'x')")["position"].tolist() == [2]
        db.rebuild("events", store)
        store.append("a", loose(tags=["x"]))
        db.update(store)
        assert db.sql("SELECT len(tags) AS n FROM events ORDER BY position")["n"].tolist() == [0, 2, 0, 1]


def test_a_specification_looks_at_the_tags_that_it_names() -> None:
    """An expected event says tags where it names some."""
    decider = ek.Decider(
        decide=lambda command, state: ek.NewEvent(type="T", tags=["a", "b"]), evolve=lambda state, event: state,
        initial=lambda: 0,
    )  # fmt: skip
    case = ek.testing.given(decider).when("go")
    case.then(ek.NewEvent(type="T"))
    case.then(ek.NewEvent(type="T", tags=["b"]))
    with pytest.raises(AssertionError, match=r"event 1, tags: expected \['c'\], actual \['a', 'b'\]"):
        case.then(ek.NewEvent(type="T", tags=["c"]))


# the index


TAG = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(TAG, st.integers(1, 2**40)), unique=True))
def test_keys_of_tags_read_back_and_stand_in_the_order_of_positions(rows: list[tuple[str, int]]) -> None:
    """Each tag's events side by side, none of another tag among them."""
    made = {keys.tag(*one): one for one in rows}
    assert [keys.tag_of(key) for key in made] == list(made.values())
    ordered = [made[key] for key in sorted(made)]
    for tag in {tag for tag, _ in rows}:
        at = [i for i, one in enumerate(ordered) if one[0] == tag]
        assert at == list(range(at[0], at[0] + len(at)))
        assert [ordered[i][1] for i in at] == sorted(ordered[i][1] for i in at)


def test_small_commits_stand_under_their_tags(folder: Path) -> None:
    """So that a tag's events are read in one go; larger ones, or with many tags, are pointed at."""
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a", loose(tags=["x", "y"]))
        store.append("a", [loose(tags=["x", str(n)]) for n in range(5)])
    table = Table(Location(folder), read_only=True)
    try:
        values = {keys.tag_of(key): value for key, value in table.scan(*keys.TAGS)}
    finally:
        table.close()
    assert record.decode(values["x", 1]).tags == record.decode(values["y", 1]).tags == {0: ("x", "y")}
    assert values["x", 6] == values["4", 6] == keys.u64(2)

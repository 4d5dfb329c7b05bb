"""Payloads: what is stored reads back equal, and what would not is refused before anything is written."""

from __future__ import annotations

import math
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
AWARE = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=45))))
FINITE = st.floats(allow_nan=False, allow_infinity=False)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Line(pydantic.BaseModel):
    sku: str
    price: Decimal
    tags: tuple[str, ...] = ()
    inner: Line | None = None


class EveryKind(ek.Event, type="Every.Kind"):
    whole: int
    number: float
    yes: bool
    text: str
    raw: bytes
    price: Decimal
    at: datetime
    day: date
    clock: time
    took: timedelta
    who: UUID
    color: Color
    choice: Literal["a", 1]
    pair: tuple[int, str]
    many: tuple[Decimal, ...]
    ids: set[UUID]
    frozen: frozenset[int]
    by_day: dict[date, int]
    by_number: dict[int, list[bytes]]
    lines: list[Line]
    maybe: int | None
    union: int | str | None
    anything: Any


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
LINES = st.builds(
    Line,
    sku=TEXT,
    price=st.decimals(allow_nan=False, allow_infinity=False),
    tags=st.lists(TEXT, max_size=2).map(tuple),
    inner=st.none() | st.builds(Line, sku=TEXT, price=st.just(Decimal("1.10"))),
)
KINDS = st.builds(
    EveryKind,
    whole=st.integers() | st.sampled_from([2**53 + 1, -(2**63), 2**64, 10**80]),
    number=FINITE,
    yes=st.booleans(),
    text=TEXT | st.sampled_from(["\x00", "\x7f", "\u2028", "😀", "\ufeff", "</script>"]),
    raw=st.binary(max_size=20),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    at=AWARE | st.datetimes(),
    day=st.dates(),
    clock=st.times(),
    took=st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
    who=st.uuids(),
    color=st.sampled_from(Color),
    choice=st.sampled_from(["a", 1]),
    pair=st.tuples(st.integers(), TEXT),
    many=st.lists(st.decimals(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
    ids=st.sets(st.uuids(), max_size=3),
    frozen=st.frozensets(st.integers(), max_size=3),
    by_day=st.dictionaries(st.dates(), st.integers(), max_size=2),
    by_number=st.dictionaries(st.integers(), st.lists(st.binary(max_size=4), max_size=2), max_size=2),
    lines=st.lists(LINES, max_size=2),
    maybe=st.none() | st.integers(),
    union=st.none() | st.integers() | TEXT,
    anything=JSON,
)


def exact(value: Any) -> Any:
    """A form in which 1, 1.0 and True, and Decimal('1.0') and Decimal('1.00'), differ."""
    if isinstance(value, pydantic.BaseModel):
        return (type(value), {name: exact(getattr(value, name)) for name in type(value).model_fields})
    if isinstance(value, dict):
        return [dict, {exact(k): exact(v) for k, v in value.items()}]
    if isinstance(value, (list, tuple)):
        return (type(value), *map(exact, value)) if isinstance(value, tuple) else [list, *map(exact, value)]
    if isinstance(value, (set, frozenset)):
        return (type(value), frozenset(map(exact, value)))
    if isinstance(value, datetime):
        return (datetime, value.replace(tzinfo=None, fold=0), value.utcoffset())
    if isinstance(value, time):
        value = value.replace(fold=0)  # which no ISO text holds, and no comparison sees
    return (type(value), repr(value))


@settings(max_examples=40)
@given(st.lists(KINDS, min_size=1, max_size=3))
def test_every_supported_type_reads_back_equal(events: list[EveryKind]) -> None:
    """Field by field, with its type: by reading, from the receipt, and in the frame."""
    with ek.EventStore() as store:
        receipt = store.append("kinds-1", events)
        wanted = [exact(event) for event in events]
        assert [exact(event.data) for event in store.read()] == wanted
        assert [exact(event.data) for event in receipt.events] == wanted
        frame = store.read().df()
        assert [exact(value) for value in frame["lines"].tolist()] == [exact(event.lines) for event in events]
        assert frame["who"].tolist() == [event.who for event in events]


@given(st.lists(st.dictionaries(TEXT, JSON, max_size=4), min_size=1, max_size=4))
def test_plain_json_reads_back_equal(rows: list[dict[str, Any]]) -> None:
    """An event without a class holds plain JSON: 1, 1.0 and true differ, null and absent too."""
    with ek.EventStore() as store:
        store.append("rows-1", [ek.NewEvent(type="Untyped.Row", data=row, metadata={"copy": row}) for row in rows])
        found = list(store.read())
        assert [exact(event.data) for event in found] == [exact(row) for row in rows]
        assert [exact(event.metadata["copy"]) for event in found] == [exact(row) for row in rows]


@given(st.lists(st.tuples(st.sampled_from(["set", "null", "absent"]), st.integers()), min_size=1, max_size=12))
def test_absent_and_null_differ(kinds: list[tuple[str, int]]) -> None:
    """Also where both stand in one batch."""
    x = {"set": lambda n: {"x": n}, "null": lambda n: {"x": None}, "absent": lambda n: {}}
    rows = [{"row": i, **x[kind](n)} for i, (kind, n) in enumerate(kinds)]
    with ek.EventStore() as store:
        store.append("rows-1", [ek.NewEvent(type="Untyped.Row", data=row) for row in rows])
        assert [event.data for event in store.read()] == rows


def test_a_deep_structure_reads_back_or_is_refused(store: ek.EventStore) -> None:
    """A hundred levels are fine; far more are an error before anything is written, not a crash when reading."""

    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    store.append("a", ek.NewEvent(type="Deep", data={"x": nested(100)}))
    assert next(iter(store.read())).data == {"x": nested(100)}
    for levels in (1_000, 100_000):
        with pytest.raises(ek.InputError, match="nested deeper"):
            store.append("a", ek.NewEvent(type="Deep", data={"x": nested(levels)}))
    with pytest.raises(ek.InputError, match=r"Loosely\.x"):
        store.append("a", Loosely(x=nested(1_000)))
    assert store.position == 1


def test_big_payloads_read_back(store: ek.EventStore) -> None:
    """A megabyte of text in one event, and a number of a thousand digits."""
    text, number = "ä😀" * 200_000, 10**1000 + 7
    store.append("a", ek.NewEvent(type="Big", data={"text": text, "number": number}))
    assert next(iter(store.read())).data == {"text": text, "number": number}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("digits", [4_300, 4_301])
def test_a_number_of_any_size_reads_back_or_is_refused(store: ek.EventStore, digits: int, sign: int) -> None:
    """JSON is read with 4,300 digits at most, so a longer number would end the log."""
    number = sign * (10**digits - 1)
    ways = [
        lambda: store.append("a", ek.NewEvent(type="Big", data={"deep": [number]})),
        lambda: store.append("a", ek.NewEvent(type="Big"), metadata={"deep": [number]}),
        lambda: store.append("a", Loosely(x=[number])),
    ]
    for way in ways:
        if digits > 4_300:
            with pytest.raises(ek.InputError, match=r"deep|Loosely\.x"):
                way()
        else:
            way()
    assert len(list(store.read())) == (0 if digits > 4_300 else 3)


@pytest.mark.parametrize("levels", [190, 194, 195, 196, 197, 198, 199, 200])
def test_what_is_nested_too_deep_for_a_record_is_refused(store: ek.EventStore, levels: int) -> None:
    """A record nests its values deeper than they are, and JSON is read to a depth of 200."""
    loose: Any = 1
    line = Line(sku="a", price=Decimal(1))
    for _ in range(levels):
        loose, line = [loose], Line(sku="a", price=Decimal(1), inner=line)
    for event in (Loosely(x=loose), Chained(line=line)):
        with suppress(ek.InputError):
            store.append("a", event)
    assert len(list(store.read())) == store.position


# refusals


class Loosely(ek.Event):
    x: Any = None


class Chained(ek.Event):
    line: Line


class Packed(pydantic.BaseModel):
    raw: bytes


class Timed(ek.Event):
    at: datetime


class Posted(ek.Event):
    packed: Packed


class Halved(ek.Event):
    x: int

    @pydantic.field_validator("x", mode="before")
    @classmethod
    def half(cls, given: Any) -> int:
        return given.real // 2 if isinstance(given, complex) else given.no_such_attribute


class Stubborn:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no plain equality")

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __hash__ = None  # type: ignore[assignment]


class Measured(ek.Event):
    celsius: float | None = None
    many: list[float] = pydantic.Field(default_factory=list)
    price: Decimal = Decimal(0)
    by: dict[str, Any] = pydantic.Field(default_factory=dict)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (lambda: Measured(celsius=math.nan), ["Measured.celsius", "nan"]),
        (lambda: Measured(celsius=math.inf), ["Measured.celsius", "inf"]),
        (lambda: Measured(celsius=-math.inf), ["Measured.celsius", "-inf"]),
        (lambda: Measured(many=[1.0, math.inf]), ["Measured.many", "inf"]),
        (lambda: Measured(by={"deep": {"x": math.nan}}), ["Measured.by", "nan"]),
        (lambda: Measured(by={"x": (1, 2)}), ["Measured.by", "(1, 2)"]),
        (lambda: Measured(by={"x": {1, 2}}), ["Measured.by", "{1, 2}"]),
        (lambda: Measured(by={"x": datetime(2026, 1, 5, tzinfo=UTC)}), ["Measured.by", "2026"]),
        (lambda: Measured(by={"x": Decimal("1.5")}), ["Measured.by", "1.5"]),
        (lambda: Measured(by={"x": b"raw"}), ["Measured.by", "raw"]),
        (lambda: Loosely(x="\ud800"), ["Loosely.x", "\\ud800"]),
        (lambda: Loosely(x={"k\udfff": 1}), ["Loosely.x", "\\udfff"]),
        (lambda: Loosely(x={1: "a"}), ["Loosely.x", "{1: 'a'}"]),
        (lambda: Loosely(x=object()), ["Loosely.x", "object object"]),
        (lambda: Loosely(x=UUID(int=1)), ["Loosely.x", "UUID"]),
        (lambda: Loosely(x=np.array([1, 2])), ["Loosely.x", "array([1, 2])"]),
        (lambda: Loosely(x=Stubborn()), ["Loosely.x", "Stubborn"]),
        (lambda: Halved(x=8 + 0j), ["Halved.x", "4", "no_such_attribute"]),
        (lambda: Posted(packed=Packed(raw=b"\xff")), ["Posted.packed", "ser_json_bytes='base64'"]),
        (
            lambda: Timed(at=datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
            ["Timed.at", "2025, 10, 26, 2, 30", ".astimezone(datetime.UTC)"],
        ),
        (lambda: ek.NewEvent(type="Un", data={"x": math.nan}), ["Un.x", "nan", "JSON cannot hold"]),
        (lambda: ek.NewEvent(type="Un", data={"x": [1, {"y": math.inf}]}), ["Un.x[1].y", "inf"]),
        (lambda: ek.NewEvent(type="Un", data={"x": (1, 2)}), ["Un.x", "(1, 2)", "tuple", "class"]),
        (lambda: ek.NewEvent(type="Un", data={"x": {1, 2}}), ["Un.x", "set"]),
        (lambda: ek.NewEvent(type="Un", data={"x": b"a"}), ["Un.x", "b'a'", "bytes"]),
        (lambda: ek.NewEvent(type="Un", data={"x": Decimal(1)}), ["Un.x", "Decimal"]),
        (lambda: ek.NewEvent(type="Un", data={"x": datetime(2026, 1, 5, tzinfo=UTC)}), ["Un.x", "datetime"]),
        (lambda: ek.NewEvent(type="Un", data={"x": UUID(int=1)}), ["Un.x", "UUID"]),
        (lambda: ek.NewEvent(type="Un", data={"x": np.int64(1)}), ["Un.x", "int64"]),
        (lambda: ek.NewEvent(type="Un", data={"x": np.array([1])}), ["Un.x", "ndarray"]),
        (lambda: ek.NewEvent(type="Un", data={"x": "\ud83d"}), ["Un.x", "\\ud83d", "surrogate"]),
        (lambda: ek.NewEvent(type="Un", data={"\ud83d": 1}), ["Un", "\\ud83d", "surrogate"]),
        (lambda: ek.NewEvent(type="Un", data={1: 2}), ["Un", "1", "'1'"]),
        (lambda: ek.NewEvent(type="Un", data={"x": {None: 2}}), ["Un.x", "None"]),
        (lambda: ek.NewEvent(type="Un", data=[1]), ["Un", "[1]", "dict"]),
        (lambda: ek.NewEvent(type="Un", data="text"), ["Un", "'text'", "dict"]),
        (lambda: ek.NewEvent(type="Un", metadata={"x": math.nan}), ["metadata of Un", "nan"]),
        (lambda: ek.NewEvent(type="Un", metadata={"x": (1,)}), ["metadata of Un", "(1,)"]),
        (lambda: ek.NewEvent(type="Un", metadata=[1]), ["metadata of Un", "[1]"]),
        (lambda: ek.NewEvent(type="Measured", data={"celsius": "warm"}), ["Measured.celsius", "'warm'"]),
        (lambda: ek.NewEvent(type="Measured", data={"kelvin": 3}), ["Measured.kelvin", "3"]),
        (lambda: ek.NewEvent(type=""), ["event type", "''"]),
        (lambda: ek.NewEvent(type="\ud800"), ["event type", "surrogate"]),
        (lambda: ek.NewEvent(type="x" * 1025), ["event type", "1025 bytes"]),
        (lambda: ek.NewEvent(type=7), ["event type", "7"]),
        (lambda: ek.NewEvent(type="Un", id="no uuid"), ["'no uuid'", "UUID"]),
        (lambda: ek.NewEvent(type="Un", occurred_at=datetime(2026, 1, 5)), ["occurred_at of Un", "time zone"]),
        (lambda: ek.NewEvent(type="Un", occurred_at="noon"), ["occurred_at of Un", "'noon'"]),
        (lambda: ek.NewEvent(type="Un", occurred_at=5), ["occurred_at of Un", "5"]),
        (
            lambda: ek.NewEvent(type="Un", occurred_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))),
            ["occurred_at of Un", "9999-12-31T23:59:59.999999-05:00", "years 1 to 9999"],
        ),
        (lambda: ek.NewEvent(type="Un", occurred_at="0001-01-01T00:00:00+05:00"), ["occurred_at of Un", "0001-01-01"]),
        (lambda: ek.NewEvent(type="Measured", data={"celsius": None, "many": 1}), ["Measured.many", "1"]),
        (lambda: ek.NewEvent(type="Timed", data={}), ["Timed.at is missing"]),
        (lambda: ek.Event(), ["Event()", "class X(ek.Event)"]),
        (lambda: "Un", ["'Un'", "no event"]),
        (lambda: {"type": "Un"}, ["no event"]),
        (lambda: Measured, ["Measured is no event but a class", "Measured(…)"]),
        (lambda: None, ["None", "no event"]),
    ],
)
def test_what_would_read_back_different_is_refused(store: ek.EventStore, event: Any, says: list[str]) -> None:
    """The error names event, field and value; the good event beside it is not written either."""
    bad = event()
    for batch in (bad, [ek.NewEvent(type="Good"), bad]):
        if isinstance(batch, list) and batch[1] is None:
            continue
        with pytest.raises(ek.InputError) as error:
            store.append("a-1", batch)
        assert all(part in str(error.value) for part in says), str(error.value)
    assert store.position == 0
    assert store.version("a-1") == 0


@pytest.mark.parametrize("stream", ["", "\ud800", "x" * 1025, "ä" * 513, None, 7, b"a"])
def test_a_bad_stream_name_is_refused(store: ek.EventStore, stream: Any) -> None:
    """Empty, oversized, of another type, or with a lone surrogate."""
    for call in (
        lambda: store.append(stream, ek.NewEvent(type="T")),
        lambda: store.append_many([ek.Append("good", ek.NewEvent(type="T")), ek.Append(stream, ek.NewEvent(type="T"))]),
        lambda: store.version(stream),
    ):
        with pytest.raises(ek.InputError, match="a stream"):
            call()
    assert store.position == 0


def test_the_longest_names_are_kept(store: ek.EventStore) -> None:
    """1,024 bytes of UTF-8, for streams and for types."""
    for name in ("x" * 1024, "ä" * 512, "😀" * 256):
        store.append(name, ek.NewEvent(type=name))
        assert [(event.stream, event.type) for event in store.read(name)] == [(name, name)]


def test_an_empty_batch_is_refused(store: ek.EventStore) -> None:
    """By append and by append_many, which also wants at least one part."""
    for call in (
        lambda: store.append("a", []),
        lambda: store.append_many([ek.Append("a", [])]),
        lambda: store.append_many([]),
    ):
        with pytest.raises(ek.InputError, match="empty"):
            call()
    assert store.position == 0


def test_the_root_of_all_events_is_no_event() -> None:
    with pytest.raises(ek.InputError, match=r"Event\(\) is no event"):
        ek.NewEvent(ek.Event())


def test_unknown_fields_are_refused_where_an_event_is_made() -> None:
    """With pydantic's error, the only other one that people see."""
    with pytest.raises(pydantic.ValidationError, match="kelvin"):
        Measured(kelvin=3)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Measured(celsius=3).celsius = 4


def test_an_event_that_its_class_made_unlike_its_input_reads_back_as_made(store: ek.EventStore) -> None:
    """Validators that run again on their own output must not change it; else the append is refused."""

    class Trimmed(ek.Event):
        name: str

        @pydantic.field_validator("name")
        @classmethod
        def trim(cls, name: str) -> str:
            return name.strip().lower()

    class Growing(ek.Event):
        name: str

        @pydantic.field_validator("name")
        @classmethod
        def grow(cls, name: str) -> str:
            return name + "!"

    store.append("a", Trimmed(name=" Ada "))
    assert next(iter(store.read())).data == Trimmed(name="ada")
    assert store.read().df()["name"].tolist() == ["ada"]
    with pytest.raises(ek.InputError, match=r"Growing\.name is 'Ada!', which would read back as 'Ada!!'"):
        store.append("a", Growing(name="Ada"))
    assert store.position == 1


def test_aliases_and_computed_fields_do_not_disturb(store: ek.EventStore) -> None:
    """A field is stored by its name."""

    class Aliased(ek.Event):
        model_config = pydantic.ConfigDict(populate_by_name=True)
        from_: str = pydantic.Field(alias="from")

        @pydantic.computed_field
        @property
        def shout(self) -> str:
            return self.from_.upper()

    store.append("a", Aliased(**{"from": "ada"}))
    found = next(iter(store.read())).data
    assert (found, found.shout) == (Aliased(from_="ada"), "ADA")
    assert store.read().df()["from_"].tolist() == ["ada"]


class Simple(ek.Event):
    whole: int
    number: float
    text: str
    maybe: int | str | None = None


ANYTHING = st.integers() | st.floats() | TEXT | st.booleans() | st.none() | st.just([1])


@given(st.lists(st.tuples(ANYTHING, ANYTHING, ANYTHING, ANYTHING), min_size=1, max_size=4))
def test_the_quick_way_of_simple_classes_gives_what_the_thorough_way_gives(values: list[tuple[Any, ...]]) -> None:
    """Objects made by `model_construct` hold anything; what the quick way takes must read back equal, type by type."""
    events = [Simple.model_construct(None, **dict(zip(Simple.model_fields, row, strict=True))) for row in values]
    kind = Simple.__event_schema__
    columns = kind.plain_columns(events)
    quick = columns and [dict(zip(kind.plain_names, row, strict=True)) for row in zip(*columns, strict=True)]
    fitting = all(
        type(w) is int
        and type(n) is float
        and math.isfinite(n)
        and type(t) is str
        and type(m) in (int, str, type(None))
        for w, n, t, m in values
    )
    assert (quick is not None) == fitting
    if quick is None:
        return
    assert quick == kind.to_rows(events)
    assert [event.__dict__ for event in kind.from_rows(quick)] == [event.__dict__ for event in events]


def decorated() -> list[type[ek.Event]]:
    class Excluding(ek.Event):
        secret: int = pydantic.Field(exclude=True, default=1)

    class Serialising(ek.Event):
        n: int

        @pydantic.field_serializer("n")
        def half(self, n: int) -> int:
            return n // 2

    class Validating(ek.Event):
        n: int

        @pydantic.field_validator("n")
        @classmethod
        def double(cls, n: int) -> int:
            return n * 2

    class Constrained(ek.Event):
        n: int = pydantic.Field(gt=0)

    class Remembering(ek.Event):
        n: int
        _note: str = ""

    class Stripping(ek.Event):
        model_config = pydantic.ConfigDict(str_strip_whitespace=True)
        n: str

    class Timed(ek.Event):
        at: datetime

    return [Excluding, Serialising, Validating, Constrained, Remembering, Stripping, Timed]


@pytest.mark.parametrize("at", range(7))
def test_a_class_with_code_or_settings_of_its_own_takes_the_thorough_way(at: int) -> None:
    cls = decorated()[at]
    event = cls.model_construct(None, **dict.fromkeys(cls.model_fields, 1))
    assert cls.__event_schema__.plain_columns([event]) is None


def test_what_people_change_after_appending_does_not_reach_the_log(store: ek.EventStore) -> None:
    """Data and metadata are copied on the way in, and every read gives its own."""
    data, metadata = OrderedDict(x=[1]), {"by": ["ada"]}
    store.append("a", [ek.NewEvent(type="T", data=data, metadata=metadata), ek.NewEvent(type="T", metadata=metadata)])
    data["x"].append(2)
    metadata["by"].append("eve")
    first, second = store.read()
    assert (first.data, first.metadata, second.metadata) == ({"x": [1]}, {"by": ["ada"]}, {"by": ["ada"]})
    first.data["x"].append(3)
    first.metadata["by"].append("bob")
    assert second.metadata == {"by": ["ada"]}
    assert next(iter(store.read())).data == {"x": [1]}
    assert next(iter(store.read())).metadata == {"by": ["ada"]}


# classes and schemas


def test_a_cell_that_is_run_again_replaces_the_class(store: ek.EventStore, recwarn: pytest.WarningsRecorder) -> None:
    """The newest definition counts, without a warning; new fields take their defaults, dropped ones are ignored."""

    class Moved(ek.Event):
        to: str
        old: int = 0

    store.append("a", Moved(to="Oslo"))

    class Moved(ek.Event):  # type: ignore[no-redef]
        to: str
        note: str = "none"

    assert next(iter(store.read())).data == Moved(to="Oslo", note="none")
    assert type(next(iter(store.read())).data) is Moved
    assert not recwarn.list


def test_a_missing_required_field_names_position_type_field_and_cure(store: ek.EventStore) -> None:
    """Reading is tolerant, and this cannot be tolerated."""
    store.append("a", [ek.NewEvent(type="Sent", data={"to": "Oslo"}), ek.NewEvent(type="Sent", data={"to": "Rome"})])

    class Sent(ek.Event):
        to: str
        weight: int

    try:
        for look in (lambda: list(store.read(after=1)), lambda: store.read(after=1).df()):
            with pytest.raises(
                ek.SchemaError, match=r"position 2 .*'Sent': field 'weight': .*give the field a default"
            ):
                look()
    finally:

        class Sent(ek.Event):  # type: ignore[no-redef]
            to: str

    assert [event.data.to for event in store.read()] == ["Oslo", "Rome"]


def test_type_and_version_are_named_in_the_class_statement(store: ek.EventStore) -> None:
    """`class X(ek.Event, type=…, version=…)`; both are recorded with the event."""

    class Renamed(ek.Event, type="thing.renamed", version=3):
        to: str

    event = store.append("a", Renamed(to="x")).events[0]
    assert (event.type, event.schema_version, event.data) == ("thing.renamed", 3, Renamed(to="x"))
    assert [e.position for e in store.read(types=[Renamed])] == [e.position for e in store.read(types="thing.renamed")]
    for wrong in ({"type": ""}, {"version": 0}, {"version": True}, {"version": 1.0}):
        with pytest.raises(ek.InputError):
            type(ek.Event)("Wrong", (ek.Event,), {}, **wrong)


def test_a_class_registered_later_types_the_older_events(store: ek.EventStore) -> None:
    """And events of a type without a class are dicts."""
    store.append("a", ek.NewEvent(type="LaterTyped", data={"n": 1}))
    assert next(iter(store.read())).data == {"n": 1}

    class LaterTyped(ek.Event):
        n: int

    assert next(iter(store.read())).data == LaterTyped(n=1)

"""Deciding within a boundary: on the state of what a query finds, and only as long as that is all there is."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from tests.faults import once, writer_of

SEATS, COURSES = 2, 3


class CourseOpened(ek.Event, type="Boundaries.CourseOpened"):
    course: ek.Tag[str]
    seats: int = SEATS


class Enrolled(ek.Event, type="Boundaries.Enrolled"):
    student: ek.Tag[str]
    course: ek.Tag[str]


@dataclass(frozen=True)
class Enrol:
    student: str
    course: str


class Refused(Exception):
    """The domain's own."""


def boundary(command: Enrol) -> ek.Query:
    return ek.Query([CourseOpened, Enrolled], [f"course:{command.course}"]) | ek.Query(
        Enrolled, [f"student:{command.student}"]
    )


def decide(command: Enrol, state: dict[str, Any]) -> Enrolled:
    if len(state["in_course"].get(command.course, ())) >= state["seats"].get(command.course, 0):
        raise Refused(f"{command.course} is full")
    if len(state["of_student"].get(command.student, ())) >= COURSES:
        raise Refused(f"{command.student} takes enough")
    return Enrolled(student=command.student, course=command.course)


def evolve(state: dict[str, Any], event: Any) -> dict[str, Any]:
    if isinstance(event, CourseOpened):
        return {**state, "seats": {**state["seats"], event.course: event.seats}}
    in_course, of_student = state["in_course"], state["of_student"]
    return {
        **state,
        "in_course": {**in_course, event.course: (*in_course.get(event.course, ()), event.student)},
        "of_student": {**of_student, event.student: (*of_student.get(event.student, ()), event.course)},
    }


def initial() -> dict[str, Any]:
    return {"seats": {}, "in_course": {}, "of_student": {}}


def enrolment(**more: Any) -> ek.Decider:
    return ek.Decider(**{"decide": decide, "evolve": evolve, "initial": initial, "boundary": boundary, **more})


def opened(store: ek.EventStore, *courses: str) -> None:
    for course in courses:
        store.append(f"course-{course}", CourseOpened(course=course))


def test_the_state_is_made_of_what_the_query_finds_in_whatever_streams(store: ek.EventStore) -> None:
    """As of any moment; and what is decided goes into the stream that is said."""
    opened(store, "c1", "c2")
    decider = enrolment()
    first = store.handle(decider, "enrolment-1", Enrol("s1", "c1"))
    assert (first.stream, first.version, first.position, first.attempts) == ("enrolment-1", 1, 3, 1)
    assert first.events[0].tags == ("student:s1", "course:c1")
    assert first.state["in_course"] == {"c1": ("s1",)}
    store.handle(decider, "enrolment-2", Enrol("s2", "c1"))
    store.handle(decider, "enrolment-2", Enrol("s2", "c2"))
    with pytest.raises(Refused, match="c1 is full"):
        store.handle(decider, "enrolment-3", Enrol("s3", "c1"))
    assert store.position == 5
    seen = store.state(decider, command=Enrol("s2", "c1"))
    assert (seen["in_course"], seen["seats"]) == ({"c1": ("s1", "s2"), "c2": ("s2",)}, {"c1": SEATS})
    assert store.state(decider, command=Enrol("s2", "c1"), as_of=3)["in_course"] == {"c1": ("s1",)}
    assert store.state(decider, command=Enrol("s9", "c9")) == initial()


def test_nothing_that_happens_outside_of_the_boundary_has_it_decide_again(
    store: ek.EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even in the same stream; what happens within does, and `unseen` is what made it."""
    opened(store, "c1", "c2", "c3")
    decider, writer = enrolment(), writer_of(store)

    def meanwhile(event: ek.Event, stream: str) -> None:
        once(monkeypatch, writer, "append", lambda plain, given: [store.append(stream, event), plain(given)][1])

    meanwhile(Enrolled(student="s9", course="c2"), "enrolment-1")
    handled = store.handle(decider, "enrolment-1", Enrol("s1", "c1"))
    assert (handled.attempts, handled.version) == (1, 2)
    meanwhile(Enrolled(student="s9", course="c1"), "elsewhere")
    with pytest.raises(Refused, match="c1 is full"):
        store.handle(decider, "enrolment-2", Enrol("s2", "c1"))
    meanwhile(Enrolled(student="s3", course="c2"), "elsewhere")
    with pytest.raises(ek.ConcurrencyError, match=r"the command was decided once.*had come meanwhile") as caught:
        store.handle(decider, "enrolment-3", Enrol("s3", "c3"), retries=0)
    assert [event.data for event in caught.value.unseen] == [Enrolled(student="s3", course="c2")]


@given(st.lists(st.tuples(st.sampled_from(["s1", "s2"]), st.sampled_from(["c1", "c2", "c3"])), max_size=8))
def test_states_that_are_kept_are_those_that_the_log_gives(commands: list[tuple[str, str]]) -> None:
    """Through the same store, through others, and folded by hand from a plain filter."""
    with ek.EventStore() as store:
        opened(store, "c1", "c2")
        decider = enrolment()
        for n, (student, course) in enumerate(commands):
            command = Enrol(student, course)
            if n % 3 == 2:
                store.append("others", Enrolled(student=student, course="c9"))
            try:
                handled = store.handle(decider, "e", command)
                kept = handled.state
            except Refused:
                kept = store.state(decider, command=command)
            by_hand = initial()
            for event in store.read():
                if f"course:{course}" in event.tags or f"student:{student}" in event.tags:
                    by_hand = evolve(by_hand, event.data)
            assert kept == store.state(decider, command=command) == by_hand


def test_many_threads_never_overbook() -> None:
    """Neither a course nor a student, in whatever order they come."""
    with ek.EventStore() as store:
        opened(store, *(f"c{n}" for n in range(4)))
        decider = enrolment()

        def enrol(student: str) -> None:
            for n in range(4):
                with contextlib.suppress(Refused):
                    store.handle(decider, f"enrolment-{student}", Enrol(student, f"c{n}"), retries=50)

        threads = [threading.Thread(target=enrol, args=(f"s{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        enrolled = [event.data for event in store.read(types=Enrolled)]
        assert Counter(one.course for one in enrolled) == {f"c{n}": SEATS for n in range(4)}
        assert max(Counter(one.student for one in enrolled).values()) <= COURSES


def test_where_nothing_happens_the_streams_version_is_told(store: ek.EventStore) -> None:
    """With the state that was seen."""
    opened(store, "c1")
    decider = enrolment(decide=lambda command, state: None)
    handled = store.handle(decider, "course-c1", Enrol("s1", "c1"))
    assert (handled.events, handled.version, handled.position) == ([], 1, 1)
    assert handled.state["seats"] == {"c1": SEATS}


def test_a_state_that_is_changed_in_place_is_not_kept(store: ek.EventStore) -> None:
    """A decider that is not pure spoils no later command."""
    opened(store, "c1")

    def spoiling(command: Enrol, state: dict[str, Any]) -> None:
        state["seats"] = {}
        raise Refused("no")

    spoiler = enrolment(decide=spoiling)
    for _ in range(2):
        with pytest.raises(Refused):
            store.handle(spoiler, "e", Enrol("s1", "c1"))
    assert store.state(spoiler, command=Enrol("s1", "c1"))["seats"] == {"c1": SEATS}


def raises(command: object) -> ek.Query:
    raise KeyError("student")


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        (lambda command: None, "returned None for Enrol.*return an ek.Query"),
        (lambda command: "all", "returned 'all' for"),
        (raises, "the boundary raises.* failed on Enrol.*KeyError: 'student'; it takes the command, and returns"),
        (lambda command: ek.Query(), "failed on .*a query with nothing in it"),
    ],
)  # fmt: skip
def test_a_boundary_that_gives_no_query_is_an_error_and_nothing_is_written(
    store: ek.EventStore, boundary: Any, message: str
) -> None:
    """Of a command and of a state alike."""
    decider = enrolment(boundary=boundary)
    for call in (
        lambda: store.handle(decider, "e", Enrol("s1", "c1")),
        lambda: store.state(decider, command=Enrol("s1", "c1")),
    ):
        with pytest.raises(ek.InputError, match=message):
            call()
    assert store.position == 0


async def later(command: object) -> ek.Query:
    return ek.Query("*")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"boundary": "course"}, "'course' is no function; boundary is to be a function of the command"),
        ({"boundary": later}, "is async, and nothing would await it"),
        ({"boundary": lambda: ek.Query("*")}, "boundary does not take one argument"),
        ({"snapshots": 5}, "snapshots go with streams"),
    ],
)  # fmt: skip
def test_what_can_be_no_boundary_is_refused_at_the_decider(more: dict[str, Any], message: str) -> None:
    """Before any command comes."""
    with pytest.raises(ek.InputError, match=message):
        enrolment(**more)


def test_streams_and_commands_are_not_mixed_up(store: ek.EventStore) -> None:
    """Each error says what to give."""
    within, plain = enrolment(), enrolment(boundary=None)
    for call, message in (
        (lambda: store.state(within, "e"), r"decides within a boundary: give command=…, and no stream"),
        (lambda: store.state(within), r"give command=…, and no stream"),
        (lambda: store.state(plain, "e", command=1), "has no boundary: its states are of streams; give a stream"),
        (lambda: store.state(plain), "a stream is named by text"),
        (lambda: store.replay(within), r"has a state a command: store.state\(decider, command=…\)"),
        (lambda: store.history(within), "has a state a command"),
        (lambda: store.take_snapshots(within), "has a state a command"),
    ):
        with pytest.raises(ek.InputError, match=message):
            call()


def test_a_pick_through_takes_deciders_of_streams_only(store: ek.EventStore) -> None:
    """Until it knows of boundaries, it says so."""
    opened(store, "c1")
    branch = store.branch(as_of=0)
    with pytest.raises(ek.InputError, match="through takes a decider of streams"):
        branch.pick(store.read(), through=(enrolment(), lambda event: None))


def test_a_specification_gives_events_of_several_streams() -> None:
    """And finds functions that change their state in place."""
    decider = enrolment()
    case = ek.testing.given(
        decider, CourseOpened(course="c1"), ("enrolment-7", Enrolled(student="s7", course="c1")), stream="course-c1"
    )
    case.when(Enrol("s1", "c1")).then(Enrolled(student="s1", course="c1"))
    case = ek.testing.given(decider, CourseOpened(course="c1", seats=1), Enrolled(student="s7", course="c1"))
    case.when(Enrol("s1", "c1")).then_raises(Refused, match="full")


def test_a_boundary_over_events_that_lack_tags_of_their_class_warns(store: ek.EventStore) -> None:
    """Marks that came later tagged nothing that was there; once."""

    class Moved(ek.Event, type="Boundaries.Moved"):
        item: str

    store.append("a", Moved(item="i1"))

    class Again(ek.Event, type="Boundaries.Moved"):
        item: ek.Tag[str]

    decider = enrolment(boundary=lambda command: ek.Query(Again, ["item:i1"]), decide=lambda command, state: None)
    with pytest.warns(UserWarning, match=r"at position 1 lacks the tags \['item:i1'\], which its class makes today"):
        store.handle(decider, "b", "go")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.handle(decider, "b", "go")
    assert [event.position for event in store.read(query=ek.Query(Again))] == [1]

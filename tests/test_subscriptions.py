"""Subscriptions: each event once and in order, at the seam too; checkpoints, failures, waiting, coming to an end."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.log.commits import Tail, longer
from eventsourcing_kit.storage import keys
from eventsourcing_kit.storage.keys import CommitEntry
from tests.faults import limit, log_of, writer_of

ROOT = Path(__file__).parents[1]
PATIENCE = 30.0


class Counted(ek.Event):
    i: int


def fact(i: int, type: str = "Noted") -> ek.NewEvent:
    return ek.NewEvent(type=type, data={"i": i})


def wait_for(holds: Callable[[], object]) -> None:
    """Return when something holds that nothing tells."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.002)


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-u", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, **options)


class Failing:
    """A handler that fails on some positions so many times."""

    def __init__(self, **times: int) -> None:
        self.left = {int(position[1:]): n for position, n in times.items()}
        self.seen: list[int] = []

    def __call__(self, event: ek.RecordedEvent) -> None:
        if self.left.get(event.position, 0):
            self.left[event.position] -= 1
            raise ValueError(f"not {event.position}")
        self.seen.append(event.position)


# in order, once, from any moment

FILTERS: list[dict[str, Any]] = [
    {}, {"types": "B"}, {"category": "y"}, {"stream": "x-1"}, {"stream": "y-0", "types": ["A"]},
]  # fmt: skip
COMMITS = st.lists(
    st.lists(st.tuples(st.sampled_from(["x-0", "x-1", "y-0"]), st.sampled_from("AB")), min_size=1, max_size=4),
    max_size=8,
)


@settings(max_examples=25)
@given(st.lists(COMMITS, min_size=1, max_size=3), st.lists(st.tuples(st.sampled_from(FILTERS), st.booleans())))
def test_whoever_joins_while_others_append_sees_what_is_asked_for_in_order_once(
    writers: list[list[Any]], joiners: list[tuple[dict[str, Any], bool]]
) -> None:
    """From its moment on: nothing is missed and nothing comes twice where the past ends and the present begins."""
    with ek.EventStore() as store:
        store.append("first", [fact(0, "A"), fact(0, "B")])  # whoever reads asks for types that are there

        def write(commits: list[Any]) -> None:
            for commit in commits:
                store.append_many([ek.Append(stream, fact(0, type)) for stream, type in commit])

        threads = [threading.Thread(target=write, args=(commits,)) for commits in writers]
        for thread in threads:
            thread.start()
        joined = []
        for asked, from_now in joiners:
            after, seen = store.position if from_now else None, list[ek.RecordedEvent]()
            store.subscribe(seen.append, after=after, **asked)
            joined.append((asked, after, seen))
        for thread in threads:
            thread.join()
        store.wait_until(timeout=PATIENCE)
        for asked, after, seen in joined:
            assert seen == list(store.read(after=after, **asked))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5), max_size=40))
def test_what_is_at_hand_for_followers_is_what_is_stored(sizes: list[int]) -> None:
    """Commits of so many events; 0: the subscription ends, or the next one begins. Reads begin and end anywhere."""
    with ek.EventStore() as store:
        following = store.subscribe(lambda event: None)
        for size in sizes:
            if size:
                store.append("a-1", [fact(0)] * size)
            elif following.state == "stopped":
                following = store.subscribe(lambda event: None, after=store.position)
            else:
                following.unsubscribe()
        last = store.position
        for after in range(max(last - 9, 0), last + 1):
            for upto in range(after, last + 1):
                read = [event.position for event in store.read(after=after, as_of=upto)]
                assert read == list(range(after + 1, upto + 1))


def test_records_at_hand_are_few() -> None:
    """Large ones fewer than small ones; what is not at hand is read back."""

    def kept(sizes: list[int]) -> list[int]:
        tail: Tail = ()
        for position, size in enumerate(sizes, start=1):
            tail = longer(tail, CommitEntry(position, position, position, position, 0, b""), b"x" * size)
        return [first for first, _, _ in tail]

    assert kept([1] * 100) == list(range(85, 101))
    assert kept([1, 5 << 20]) == []
    assert kept([3 << 20, 3 << 20, 1]) == [2, 3]


@pytest.mark.parametrize("moment", ["position", "time", "id", "event"])
def test_it_begins_after_any_moment(store: ek.EventStore, moment: str) -> None:
    events = store.append("a-1", [fact(i) for i in range(2)]).events
    store.append("a-1", fact(2))
    second = events[1]
    after = {"position": 2, "time": second.recorded_at, "id": second.id, "event": second}[moment]
    seen = list[int]()
    store.subscribe(lambda event: seen.append(event.data["i"]), after=after).wait_until(timeout=PATIENCE)
    assert seen == [2]


def test_the_handler_gets_recorded_events_with_their_objects(store: ek.EventStore) -> None:
    """Equal to those that a read gives, single or many in a commit, with metadata and times."""
    seen = list[ek.RecordedEvent]()
    store.subscribe(seen.append)
    store.append("a-1", Counted(i=1), metadata={"by": "ada", "tags": ["x"]})
    store.append("a-1", [ek.NewEvent(Counted(i=2), occurred_at="2026-01-01T00:00:00Z"), fact(3)])
    store.wait_until(timeout=PATIENCE)
    assert seen == list(store.read())
    assert seen[0].data == Counted(i=1)
    assert seen[0].metadata == {"by": "ada", "tags": ["x"]}
    assert seen[0].id.version == 7
    assert store.read(after=seen[0].id).selection.after == 1


def test_a_handler_may_append_and_what_it_appends_comes_to_it_too(store: ek.EventStore) -> None:
    """A process manager: it waits for other subscriptions, and not for itself."""
    seen, others = list[int](), list[int]()

    def ship(event: ek.RecordedEvent) -> None:
        seen.append(event.position)
        if event.type == "Ordered":
            done = store.append("shipments", fact(event.position, "Shipped"))
            store.wait_until(done, timeout=PATIENCE)
            assert others[-1] >= done.position

    store.subscribe(lambda event: others.append(event.position))
    store.subscribe(ship, name="ship")
    for i in range(3):
        store.append("orders", fact(i, "Ordered"))
    wait_for(lambda: store.position == 6)
    store.wait_until(timeout=PATIENCE)
    assert seen == others == [1, 2, 3, 4, 5, 6]


# checkpoints


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=8))
def test_after_orderly_ends_a_named_one_has_seen_everything_exactly_once(runs: list[tuple[int, bool]]) -> None:
    """Whether it was unsubscribed or replaced, and whatever was appended in between."""
    seen, i = list[int](), 0
    with ek.EventStore() as store:
        for appended, ends in runs:
            current = store.subscribe(lambda event: seen.append(event.position), name="all")
            for _ in range(appended):
                store.append("a-1", fact(i := i + 1))
            if ends:
                current.unsubscribe()
        store.subscribe(lambda event: seen.append(event.position), name="all").wait_until(timeout=PATIENCE)
    assert seen == list(range(1, i + 1))


def test_it_resumes_when_the_folder_is_opened_again(folder: Path) -> None:
    """Closed, or taken over by a cell that is run again: each event comes once."""
    seen = list[int]()
    for round_ in range(4):
        store = ek.EventStore(folder, fsync=False)  # the second takes over from the first, which is not closed
        store.append("a-1", [fact(0), fact(1)])
        store.subscribe(lambda event: seen.append(event.position), name="all", after=1).wait_until(timeout=PATIENCE)
        if round_ % 2:
            store.close()
    assert seen == list(range(2, 9))


def test_a_new_name_keeps_the_moment_at_which_it_began(folder: Path) -> None:
    """What was appended while nobody subscribed comes, although the second time `after` is another moment."""
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", fact(0))
        store.subscribe(print, name="new", after=store.position).unsubscribe()
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", fact(1))
        seen = list[int]()
        store.subscribe(lambda e: seen.append(e.position), name="new", after=store.position).wait_until()
        assert seen == [2]


@pytest.mark.processes
def test_a_killed_process_loses_none(folder: Path) -> None:
    """At least once: what comes again is the end of what had come, in order."""
    code = """if True:
        import sys, eventsourcing_kit as ek
        from eventsourcing_kit.following import subscriber
        subscriber.SAVE_SECONDS = 0.05
        store = ek.EventStore(sys.argv[1], fsync=False)
        store.subscribe(lambda event: print(event.position), name="all", after=0)
        for i in range(10_000):
            store.append("a-1", ek.NewEvent(type="Noted"))
    """
    runs = []
    for kill_after in (20, 150, 200):
        process = python(code, folder)
        assert process.stdout is not None
        head = [int(process.stdout.readline()) for _ in range(kill_after)]
        process.kill()
        runs.append(head + [int(line) for line in process.stdout.read().splitlines(keepends=True) if line[-1] == "\n"])
        process.wait(PATIENCE)
    with ek.EventStore(folder, fsync=False) as store:
        seen = list[int]()
        store.subscribe(lambda event: seen.append(event.position), name="all").wait_until(timeout=PATIENCE)
        runs.append(seen)
        last = store.position
    came = list[int]()
    for run in runs:
        assert run == list(range(run[0], run[-1] + 1))
        assert run[0] <= len(came) + 1
        came = list(range(1, max(len(came), run[-1]) + 1))
    assert len(came) == last


def test_the_checkpoint_is_stored_soon_and_not_with_each_event(
    store: ek.EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, checkpoint_seconds=0.2)
    notes, write = [], writer_of(store).note
    monkeypatch.setattr(writer_of(store), "note", lambda rows: (notes.append(rows), write(rows)))
    store.subscribe(lambda event: None, name="all")
    for i in range(50):
        store.append("a-1", fact(i))
    wait_for(lambda: b"50" in (log_of(store).note("checkpoint", "all") or b""))
    assert len(notes) < 25


def test_a_name_has_one_subscription_and_the_newer_counts(store: ek.EventStore) -> None:
    older = store.subscribe(print, name="same", after=0)
    newer = store.subscribe(lambda event: None, name="same")
    store.append("a-1", fact(1))
    newer.wait_until(timeout=PATIENCE)
    assert (older.state, older.position) == ("stopped", 0)
    assert "replaced by a newer one" in repr(older)
    assert store.subscriptions() == [newer]
    with pytest.raises(ek.InputError, match="subscribe again"):
        older.retry_parked()


def test_a_name_whose_handler_is_stuck_is_not_given_away(store: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, stop_seconds=0.1)
    begun, go_on = threading.Event(), threading.Event()
    older = store.subscribe(lambda event: (begun.set(), go_on.wait(PATIENCE)), name="same")
    store.append("a-1", fact(1))
    assert begun.wait(PATIENCE)
    with pytest.raises(ek.InputError, match="at position 0 and its handler has not returned"):
        store.subscribe(print, name="same")
    assert older.state == "stopping"
    go_on.set()
    wait_for(lambda: older.state == "stopped")
    assert store.subscribe(print, name="same").position == 1


def test_a_checkpoint_ahead_of_the_log_is_refused(store: ek.EventStore) -> None:
    writer_of(store).note([(keys.note("checkpoint", "ahead"), b'{"position":9}')])
    with pytest.raises(ek.StorageError, match="'ahead' stands at position 9, behind the log's end at 0"):
        store.subscribe(print, name="ahead")


# handlers that fail


@pytest.mark.parametrize("policy", [ek.STOP, "stop"])
def test_stop_ends_before_the_failed_event_and_it_comes_first_the_next_time(store: ek.EventStore, policy: Any) -> None:
    """Neither the append nor a neighbour is touched."""
    handler, neighbour = Failing(p2=1), list[int]()
    store.subscribe(lambda event: neighbour.append(event.position))
    failing = store.subscribe(handler, name="mail", on_error=policy)
    store.append("a-1", [fact(i) for i in range(4)])
    with pytest.raises(ek.LaggardError, match="'mail' stands at position 1, 3 behind, because it failed at position 2"):
        store.wait_until(timeout=PATIENCE)
    wait_for(lambda: neighbour == [1, 2, 3, 4])
    assert (failing.state, failing.position, failing.lag) == ("failed", 1, 3)
    assert isinstance(failing.error, ValueError)
    assert "failed at position 2 (ValueError: not 2)" in repr(failing)
    store.subscribe(handler, name="mail")
    store.wait_until(timeout=PATIENCE)
    assert handler.seen == [1, 2, 3, 4]


def test_park_tries_again_then_goes_on_and_keeps_the_event(folder: Path) -> None:
    """Over a restart too; what is retried with success is parked no more."""
    handler = Failing(p2=2, p3=9, p5=4)
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", [fact(i) for i in range(5)])
        mail = store.subscribe(handler, name="mail", on_error=ek.Park(retries=3, pause=0))
        mail.wait_until(timeout=PATIENCE)
        assert handler.seen == [1, 2, 4]
        assert "lag 0, 2 parked" in repr(mail)
    with ek.EventStore(folder, fsync=False) as store:
        parked = store.parked("mail")
        assert parked["position"].tolist() == [3, 5]
        assert parked["attempts"].tolist() == [4, 4]
        assert set(parked["error"]) == {"ValueError: not 3", "ValueError: not 5"}
        assert set(parked["policy"]) == {"park"}
        mail = store.subscribe(handler, name="mail", on_error=ek.Park(retries=3, pause=0))
        mail.wait_until(timeout=PATIENCE)
        assert mail.retry_parked() == 1
        assert handler.seen == [1, 2, 4, 5]
        assert mail.parked()["attempts"].tolist() == [5]
        handler.left = {}
    with ek.EventStore(folder, fsync=False) as store:
        assert store.parked()[["subscription", "position", "attempts"]].values.tolist() == [["mail", 3, 5]]
        assert store.subscribe(handler, name="mail").retry_parked() == 1
    with ek.EventStore(folder, read_only=True) as reader:
        assert reader.parked("mail").empty
    assert handler.seen == [1, 2, 4, 5, 3]


def test_skip_goes_on_at_once_and_records_it(store: ek.EventStore) -> None:
    """Without a name it is known as long as the subscription is."""
    handler = Failing(p1=1, p3=1)
    store.append("a-1", [fact(i) for i in range(3)])
    with store.subscribe(handler, on_error=ek.SKIP) as skipping:
        skipping.wait_until(timeout=PATIENCE)
        assert handler.seen == [2]
        aside = skipping.parked()
        assert aside[["position", "stream", "type", "attempts", "policy"]].values.tolist() == [
            [1, "a-1", "Noted", 1, "skip"], [3, "a-1", "Noted", 1, "skip"],
        ]  # fmt: skip
        assert aside["subscription"].isna().all()
        assert skipping.retry_parked() == 2
        assert skipping.parked().empty
    assert handler.seen == [2, 1, 3]
    assert list(store.parked().columns) == list(aside.columns)


def test_parked_events_can_be_chosen_and_given_up(folder: Path) -> None:
    """For good: what was dropped is not parked after a restart either, and the log still has it."""
    handler = Failing(p1=9, p2=1, p3=9, p4=9)
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", [fact(i) for i in range(4)])
        mail = store.subscribe(handler, name="mail", on_error=ek.SKIP)
        mail.wait_until(timeout=PATIENCE)
        assert mail.retry_parked(2) == 1
        assert handler.seen == [2]
        assert mail.drop_parked(3, *store.read(limit=1)) == 2
        assert mail.parked()["position"].tolist() == [4]
        for wrong, told in (((1, 4), "no event is parked at position 1; those that are: 4"), (("x",), "'x' is no")):
            with pytest.raises(ek.InputError, match=told):
                mail.drop_parked(*wrong)
        assert mail.parked()["position"].tolist() == [4]
    with ek.EventStore(folder, fsync=False) as store:
        assert store.parked("mail")["position"].tolist() == [4]
        mail = store.subscribe(handler, name="mail")
        assert (mail.drop_parked(), mail.drop_parked(), mail.retry_parked()) == (1, 0, 0)
    with ek.EventStore(folder, read_only=True) as reader:
        assert reader.parked("mail").empty
        assert reader.position == 4


def test_a_failed_one_can_retry_what_it_parked_before(store: ek.EventStore) -> None:
    """In the caller's thread, as it has none."""
    handler = Failing(p1=1)
    store.append("a-1", fact(0))
    with store.subscribe(handler, name="mail", on_error=ek.SKIP) as skipping:
        skipping.wait_until(timeout=PATIENCE)
    handler.left = {2: 1}
    store.append("a-1", fact(1))
    failing = store.subscribe(handler, name="mail", on_error=ek.STOP)
    with pytest.raises(ek.LaggardError):
        failing.wait_until(timeout=PATIENCE)
    assert failing.retry_parked() == 1
    assert handler.seen == [1]
    assert store.parked("mail").empty


def test_a_pause_between_attempts_ends_when_the_subscription_is_to_end(store: ek.EventStore) -> None:
    """The event is neither handled nor parked: it comes again."""
    handler = Failing(p1=1)
    failing = store.subscribe(handler, name="mail", on_error=ek.Park(retries=1, pause=3600))
    store.append("a-1", fact(0))
    wait_for(lambda: not handler.left[1])
    failing.unsubscribe()
    assert (failing.state, failing.position) == ("stopped", 0)
    store.subscribe(handler, name="mail").wait_until(timeout=PATIENCE)
    assert handler.seen == [1]
    assert store.parked("mail").empty


def test_an_event_that_does_not_fit_its_class_is_a_failure_at_its_place(store: ek.EventStore) -> None:
    """Those before and behind it in the same commit are delivered."""
    store.append("a-1", [ek.NewEvent(type="Later", data={"i": i}) for i in (1, "two", 3)])

    class Later(ek.Event):
        i: int

    seen = list[Any]()
    stopping = store.subscribe(lambda event: seen.append(event.data), on_error=ek.STOP)
    with pytest.raises(ek.LaggardError) as behind:
        stopping.wait_until(timeout=PATIENCE)
    assert isinstance(behind.value.__cause__, ek.SchemaError)
    assert seen == [Later(i=1)]
    parking = store.subscribe(lambda event: seen.append(event.data), on_error=ek.Park(retries=1, pause=0))
    parking.wait_until(timeout=PATIENCE)
    assert seen == [Later(i=1), Later(i=1), Later(i=3)]
    assert parking.parked()["position"].tolist() == [2]
    assert parking.retry_parked() == 0


def test_an_error_with_markup_shows_as_text(store: ek.EventStore) -> None:
    def fail(event: ek.RecordedEvent) -> None:
        raise ValueError("<b>\ud800")

    failing = store.subscribe(fail, name="<i>", on_error=ek.SKIP)
    store.append("a-1", fact(0))
    failing.wait_until(timeout=PATIENCE)
    failing.unsubscribe()
    assert store.parked("<i>")["error"].tolist() == ["ValueError: <b>\\ud800"]
    html = store.subscribe(fail, after=0, name="<u>")
    wait_for(lambda: html.state == "failed")
    assert "<b>" not in html._repr_html_()
    assert "&lt;b&gt;" in html._repr_html_()


# waiting


def test_waiting_names_the_laggard(store: ek.EventStore) -> None:
    """Its name, its position, and by how much it is behind."""
    go_on = threading.Event()
    store.subscribe(lambda event: None, name="quick")
    slow = store.subscribe(lambda event: event.position < 2 or go_on.wait(PATIENCE), name="slow")
    done = store.append("a-1", [fact(i) for i in range(3)])
    slow.wait_until(1, timeout=PATIENCE)
    with pytest.raises(
        TimeoutError, match=r"position 3 was not reached within 0.05 s: .*'slow' stands at position 1, 2"
    ):
        store.wait_until(done, timeout=0.05)
    with pytest.raises(ek.LaggardError) as late:
        slow.wait_until(timeout=0)
    assert [(one.name, one.position, one.behind) for one in late.value.laggards] == [("subscription 'slow'", 1, 2)]
    go_on.set()
    store.wait_until(done, timeout=PATIENCE)
    with pytest.raises(ek.LaggardError, match="the store itself is known up to position 3, 4 behind"):
        store.wait_until(7, timeout=0)


def test_waiting_for_a_stopped_one_is_told_at_once(store: ek.EventStore) -> None:
    stopped = store.subscribe(print, name="mail")
    stopped.unsubscribe()
    store.append("a-1", fact(0))
    with pytest.raises(ek.LaggardError, match=r"will not be reached: .* because it is stopped \(unsubscribed\)"):
        stopped.wait_until(timeout=None)
    store.wait_until(timeout=PATIENCE)


def test_a_handler_cannot_wait_for_itself(store: ek.EventStore) -> None:
    made = list[ek.Subscription]()
    ready = threading.Event()

    def wait(event: ek.RecordedEvent) -> None:
        ready.wait(PATIENCE)
        made[0].wait_until()

    made.append(store.subscribe(wait))
    ready.set()
    store.append("a-1", fact(0))
    with pytest.raises(ek.LaggardError, match="a handler cannot wait for its own subscription"):
        store.wait_until(timeout=PATIENCE)


def test_a_position_appended_by_another_thread_is_waited_for(store: ek.EventStore) -> None:
    threading.Timer(0.05, store.append, ("a-1", fact(0))).start()
    store.wait_until(1, timeout=PATIENCE)
    assert store.position == 1


# the iterator, and readers in other processes

FOLLOW = """if True:
    import sys, eventsourcing_kit as ek
    with ek.EventStore(sys.argv[1], read_only=True) as store:
        for event in store.follow(types="Noted", timeout=60):
            print(event.position, flush=True)
            if event.data["i"] == 99:
                break
        store.wait_until(event, timeout=60)
"""


@pytest.mark.processes
def test_a_reader_process_follows_the_writer(folder: Path) -> None:
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", [fact(0), fact(1, "Other"), fact(2)])
        reader = python(FOLLOW, folder)
        assert reader.stdout is not None
        assert [reader.stdout.readline() for _ in range(2)] == ["1\n", "3\n"]
        store.append("a-1", fact(3, "Other"))
        store.append("a-1", fact(99))
        assert reader.communicate(timeout=PATIENCE)[0] == "5\n"
        assert reader.returncode == 0


@pytest.mark.processes
def test_ctrl_c_breaks_off_following(folder: Path) -> None:
    with ek.EventStore(folder, fsync=False) as store:
        store.append("a-1", fact(0))
        for code in (FOLLOW, FOLLOW.replace(", read_only=True", ", fsync=False")):
            follower = python(code, folder, stderr=subprocess.PIPE)
            assert follower.stdout is not None
            assert follower.stdout.readline() == "1\n"
            time.sleep(0.1)  # so that it waits
            follower.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in follower.communicate(timeout=PATIENCE)[1]


def test_following_ends_with_the_store_and_after_silence(store: ek.EventStore) -> None:
    store.append("a-1", [fact(0), fact(1)])
    assert [event.data["i"] for event in store.follow("a-1", after=1, timeout=0.01)] == [1]
    waiting = store.follow(after=1)
    assert next(waiting).position == 2
    threading.Timer(0.05, store.close).start()
    assert list(waiting) == []
    with pytest.raises(ek.StoreClosedError):
        store.follow()


def test_following_meets_live_events_each_once(store: ek.EventStore) -> None:
    thread = threading.Thread(target=lambda: [store.append("a-1", [fact(i), fact(i)]) for i in range(100)])
    thread.start()
    positions = []
    for event in store.follow():
        positions.append(event.position)
        if event.position == 200:
            break
    thread.join()
    assert positions == list(range(1, 201))
    assert not log_of(store).wakeups  # nothing is left behind


def test_a_superseded_store_ends_its_subscriptions_and_follows_on(folder: Path) -> None:
    """Another process takes over: a checkpoint could not be stored any more, an iterator needs none."""
    older = ek.EventStore(folder, fsync=False)
    named = older.subscribe(lambda event: None, name="mail")
    older.append("a-1", fact(0))
    followed = older.follow(timeout=PATIENCE)
    assert next(followed).position == 1
    code = "import sys, eventsourcing_kit as ek; ek.EventStore(sys.argv[1]).append('a-1', ek.NewEvent(type='New'))"
    assert python(code, folder).wait(PATIENCE) == 0
    with pytest.raises(ek.SupersededError):
        older.append("a-1", fact(1))
    wait_for(lambda: named.state == "stopped")
    assert "another writer opened the store" in repr(named)
    assert next(followed).type == "New"
    with pytest.raises(ek.SupersededError):
        older.subscribe(print)
    older.close()


def test_a_reader_takes_subscriptions_without_a_name(folder: Path) -> None:
    with ek.EventStore(folder, fsync=False) as store, ek.EventStore(folder, read_only=True) as reader:
        seen = list[int]()
        reader.subscribe(lambda event: seen.append(event.position))
        for i in range(3):
            reader.wait_until(store.append("a-1", fact(i)), timeout=PATIENCE)
            assert seen == list(range(1, i + 2))
        with pytest.raises(ek.ReadOnlyError, match="leave the name out"):
            reader.subscribe(print, name="mail")


# coming to an end


def test_close_ends_deliveries_after_the_event_they_are_at(store: ek.EventStore) -> None:
    begun, go_on, seen = threading.Event(), threading.Event(), list[int]()

    def slow(event: ek.RecordedEvent) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        seen.append(event.position)

    store.append("a-1", [fact(i) for i in range(1000)])
    slowly = store.subscribe(slow)
    assert begun.wait(PATIENCE)
    threading.Timer(0.05, go_on.set).start()
    store.close()
    assert (seen, slowly.state, slowly.position) == ([1], "stopped", 1)
    assert "the store was closed" in repr(slowly)
    slowly.unsubscribe()
    with pytest.raises(ek.StoreClosedError):
        store.subscribe(print)
    with pytest.raises(ek.StoreClosedError):
        slowly.wait_until()


def test_close_does_not_wait_for_ever_for_a_handler_that_is_stuck(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does with the store afterwards fails, and its event comes again."""
    limit(monkeypatch, stop_seconds=0.1)
    begun, go_on = threading.Event(), threading.Event()
    store = ek.EventStore(folder, fsync=False)

    def stuck(event: ek.RecordedEvent) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        store.append("a-1", fact(1))

    sticking = store.subscribe(stuck, name="stuck", on_error=ek.SKIP)
    store.append("a-1", fact(0))
    assert begun.wait(PATIENCE)
    store.close()
    assert sticking.state == "stopping"
    go_on.set()
    wait_for(lambda: sticking.state == "stopped")
    with ek.EventStore(folder, fsync=False) as store:
        seen = list[int]()
        store.subscribe(lambda event: seen.append(event.position), name="stuck").wait_until(timeout=PATIENCE)
        assert seen == [1]
        assert store.parked("stuck").empty


@pytest.mark.parametrize("ending", ["unsubscribe", "close"])
def test_a_handler_may_end_its_own_subscription_and_even_close_the_store(folder: Path, ending: str) -> None:
    store = ek.EventStore(folder, fsync=False)
    store.append("a-1", [fact(i) for i in range(5)])
    made, ready, seen = list[ek.Subscription](), threading.Event(), list[int]()

    def end(event: ek.RecordedEvent) -> None:
        ready.wait(PATIENCE)
        seen.append(event.position)
        if event.position == 2:
            made[0].unsubscribe() if ending == "unsubscribe" else store.close()

    made.append(store.subscribe(end, name="some"))
    ready.set()
    wait_for(lambda: made[0].state == "stopped")
    assert seen == [1, 2]
    store.close()
    with ek.EventStore(folder, fsync=False) as store:
        store.subscribe(lambda event: seen.append(event.position), name="some").wait_until(timeout=PATIENCE)
    assert seen == [1, 2, 3, 4, 5] if ending == "unsubscribe" else [1, 2, 2, 3, 4, 5]


@pytest.mark.processes
def test_a_process_that_forgets_its_subscriptions_ends_well_and_keeps_their_checkpoints(folder: Path) -> None:
    """Also one whose handler is stuck."""
    code = """if True:
        import sys, threading, eventsourcing_kit as ek
        from eventsourcing_kit.following import subscription
        subscription.STOP_SECONDS = 0.5
        store = ek.EventStore(sys.argv[1], fsync=False)
        store.append("a-1", [ek.NewEvent(type="Noted")] * 5)
        store.subscribe(lambda event: None, name="quick").wait_until()
        begun = threading.Event()
        store.subscribe(lambda event: (begun.set(), threading.Event().wait()), name="stuck")
        begun.wait()
    """
    process = python(code, folder, stderr=subprocess.PIPE)
    assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0
    with ek.EventStore(folder, fsync=False) as store:
        assert store.subscribe(print, name="quick").position == 5
        stuck = store.subscribe(lambda event: None, name="stuck")
        stuck.wait_until(timeout=PATIENCE)
        assert stuck.position == 5


def test_a_store_that_nobody_holds_is_collected_with_its_subscriptions() -> None:
    """Although the handler holds the store: the thread that waits holds neither."""
    before = threading.active_count()

    def make() -> weakref.ref[ek.EventStore]:
        store = ek.EventStore()
        store.subscribe(lambda event: store.position, name="own")
        store.append("a-1", fact(0))
        store.wait_until(timeout=PATIENCE)
        return weakref.ref(store)

    gone = make()
    wait_for(lambda: gc.collect() is not None and gone() is None)
    wait_for(lambda: threading.active_count() <= before + 1)  # the shared reading thread may have begun here


def test_a_subscription_that_is_held_keeps_its_store() -> None:
    seen = list[int]()
    stores = [ek.EventStore()]
    held = stores[0].subscribe(lambda event: seen.append(event.position))
    appending = stores[0].append
    stores.clear()
    gc.collect()
    appending("a-1", fact(0))
    held.wait_until(timeout=PATIENCE)
    assert seen == [1]


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_in_a_forked_child_a_subscription_says_so_and_ends_quietly(folder: Path) -> None:
    code = """if True:
        import os, sys, eventsourcing_kit as ek
        store = ek.EventStore(sys.argv[1], fsync=False)
        held = store.subscribe(lambda event: None, name="all")
        store.append("a-1", ek.NewEvent(type="Noted"))
        held.wait_until()
        child = os.fork()
        if not child:
            for call in (held.wait_until, store.wait_until, held.retry_parked, lambda: store.subscribe(print),
                         lambda: list(store.follow()), store.parked):
                try:
                    call()
                except ek.StoreClosedError:
                    continue
                os._exit(9)
            held.unsubscribe()
            repr(held)
            store.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        store.append("a-1", ek.NewEvent(type="Noted"))
        held.wait_until()
        print(held)
    """
    process = python(code, folder)
    assert process.communicate(timeout=PATIENCE)[0] == "<subscription 'all': live, position 2, lag 0>\n"


# bad input


async def a_coroutine(event: ek.RecordedEvent) -> None: ...


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda store: store.subscribe(None), "None is no handler"),
        (lambda store: store.subscribe(a_coroutine), "is async"),
        (lambda store: store.subscribe(print, name=""), "a subscription is named by text"),
        (lambda store: store.subscribe(print, after=5), "no position 5"),
        (lambda store: store.subscribe(print, types=[int]), "is no event type"),
        (lambda store: store.subscribe(print, types=5), "5 is no event type"),
        (lambda store: store.subscribe(print, on_error="retry"), "on_error is 'retry'"),
        (lambda store: ek.Park(retries=-1), "retries is -1"),
        (lambda store: ek.Park(pause=float("nan")), "pause is nan"),
        (lambda store: store.parked("mial"), r"no subscription was ever named 'mial' here; known names: \['mail'\]"),
        (lambda store: store.wait_until("soon"), "'soon' is no position"),
        (lambda store: store.wait_until(1, timeout=-1), "timeout is -1"),
        (lambda store: store.follow(timeout=float("nan")), "timeout is nan"),
    ],
)
def test_bad_input_is_refused_with_what_to_write_instead(
    store: ek.EventStore, call: Callable[[ek.EventStore], object], said: str
) -> None:
    store.subscribe(print, name="mail")
    with pytest.raises(ek.InputError, match=said):
        call(store)
    assert len(store.subscriptions()) == 1


def test_the_constants_read_as_they_are_written() -> None:
    assert repr([ek.STOP, ek.SKIP, ek.Park(5)]) == "[STOP, SKIP, Park(retries=5, pause=0.1)]"


@pytest.fixture(autouse=True)
def no_thread_dies_unseen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An exception that left a subscription's thread would be lost."""
    lost = list[Any]()
    monkeypatch.setattr(threading, "excepthook", lost.append)
    yield
    assert lost == []

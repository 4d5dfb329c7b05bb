"""Processes that end, fork, or are interrupted, with a store open and calls under way."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import eventsourcing_kit as ek

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
HEAD = """
    import os, random, signal, sys, threading, time
    import eventsourcing_kit as ek

    def noted(n=0):
        return ek.NewEvent(type="Noted", data={"n": n})

    def for_ever(work):
        def run():
            begun.release()
            while True:
                try:
                    work()
                except ek.EventSourcingError as error:
                    assert "process is ending" in str(error) or "closed" in str(error), error
                    return
        begun = threading.Semaphore(0)
        threading.Thread(target=run, daemon=True).start()
        begun.acquire()

    path = sys.argv[1]
"""


def run(code: str, *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of a Python of its own; a hang is a failure."""
    text = textwrap.dedent(HEAD) + textwrap.dedent(code)
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", text, *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": path})
    return done.returncode, done.stdout.strip(), done.stderr.strip()


IN_FLIGHT = {
    "appends": """
        store = ek.EventStore(path, fsync=False)
        for _ in range(3):
            for_ever(lambda: store.append("a", noted()))
    """,
    "reads": """
        store = ek.EventStore(path, fsync=False)
        store.append("a", [noted(n) for n in range(50)])
        for _ in range(3):
            for_ever(lambda: (list(store.read("a")), store.version("a"), store.version("b")))
    """,
    "reads in memory": """
        store = ek.EventStore()
        store.append("a", [noted(n) for n in range(50)])
        for _ in range(3):
            for_ever(lambda: (list(store.read("a")), store.version("b")))
    """,
    "a reader beside a writer": """
        store = ek.EventStore(path, fsync=False)
        store.append("a", noted())
        reader = ek.EventStore(path, read_only=True)
        for_ever(lambda: store.append("a", noted()))
        for _ in range(2):
            for_ever(lambda: (list(reader.read("a")), reader.version("b")))
    """,
    "openings": """
        store = ek.EventStore(path, fsync=False)
        store.append("a", noted())
        for _ in range(2):
            for_ever(lambda: ek.EventStore(path, read_only=True))
    """,
}


@pytest.mark.parametrize("what", IN_FLIGHT)
def test_an_exit_with_calls_under_way_neither_aborts_nor_hangs(tmp_path: Path, what: str) -> None:
    """From daemon threads, at the end of the program or by sys.exit, without close(); the store is fine afterwards."""
    for round_ in range(3):
        code = textwrap.dedent(IN_FLIGHT[what]) + f"\ntime.sleep(random.Random({round_}).random() * 0.1)\nsys.exit(7)"
        assert run(code, tmp_path) == (7, "", "")
    if "memory" not in what:
        with ek.EventStore(tmp_path, fsync=False) as store:
            positions = [event.position for event in store.read()]
            assert positions == list(range(1, len(positions) + 1))
            assert store.append("a", ek.NewEvent(type="Noted")).position == len(positions) + 1


def test_an_exception_in_a_with_block_passes_through_and_loses_nothing(tmp_path: Path) -> None:
    """The traceback is the program's own, and what was appended is there."""
    code = """
        with ek.EventStore(path) as store:
            for n in range(5):
                store.append("a", noted(n))
            raise LookupError("my own mistake")
    """
    exit_code, _, errors = run(code, tmp_path)
    assert exit_code == 1
    assert errors.endswith("LookupError: my own mistake")
    assert "During handling" not in errors
    with ek.EventStore(tmp_path, read_only=True) as store:
        assert store.position == 5


def test_every_ctrl_c_is_told_how_the_append_ended_and_repeating_is_safe(tmp_path: Path) -> None:
    """What is told as stored is there, what is told as not stored is not, and repeating it stores it once."""
    code = """
        import collections, json, uuid

        again, told, n = [], {}, 0
        store = ek.EventStore(path, fsync=False)
        rng, go, over = random.Random(int(sys.argv[2])), threading.Event(), False

        def interrupt():
            while True:
                go.wait()
                go.clear()
                if over:
                    return
                time.sleep(rng.random() * 0.003)
                os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        for round in range(300):
            event = None
            go.set()
            try:
                while True:
                    n, event = n + 1, None
                    made = ek.NewEvent(type="Noted", data={"n": n}, id=uuid.uuid4())
                    event = made
                    store.append("a", event)
                    told[n] = "the append had been stored"
            except KeyboardInterrupt as error:
                if event is not None and n not in told:
                    told[n] = getattr(error, "__notes__", ["unknown"])[0]
                    again.append((n, event))
            except ek.OutcomeUnknownError as error:
                told[n] = "unknown"
                again.append((n, error.events[0]))
        over = True
        go.set()
        thread.join()
        before = collections.Counter(event.data["n"] for event in store.read())
        replayed = {n: store.append("a", event).replayed for n, event in again}
        after = collections.Counter(event.data["n"] for event in store.read())
        for n, how in told.items():
            if how == "the append had been stored":
                assert before[n] == 1 and replayed.get(n, True), (n, how)
            elif how == "the append was not stored":
                assert before[n] == 0 and not replayed[n], (n, how)
            else:
                assert how == "unknown", how
            assert after[n] == 1, (n, how)
        store.close()
        print(sum(how != "unknown" for how in told.values()), len(told))
    """
    exit_code, output, errors = run(code, tmp_path, os.environ.get("ATTACK_SEED", "1"))
    assert exit_code == 0, errors
    known, every = map(int, output.split())
    assert known > 0.9 * every > 0


def test_ctrl_c_while_a_store_opens_leaves_the_next_one_the_writer(tmp_path: Path) -> None:
    """An opening that was given up must not fence the store that is opened in its place."""
    code = """
        rng, appended = random.Random(int(sys.argv[2])), 0
        ek.EventStore().close()  # loads numpy, which cannot be loaded again where Ctrl-C breaks that off
        for round in range(25):
            timer = threading.Timer(rng.random() * 0.03, os.kill, [os.getpid(), signal.SIGINT])
            try:
                timer.start()
                store = ek.EventStore(path, fsync=False)
                time.sleep(5)
            except KeyboardInterrupt:
                pass
            timer.join()
            store = ek.EventStore(path, fsync=False)
            for n in range(3):
                appended += 1
                assert store.append("a", noted(appended)).position == appended
        print(appended)
    """
    code_of_exit, printed, errors = run(code, tmp_path, os.environ.get("ATTACK_SEED", "1"))
    assert (code_of_exit, printed) == (0, "75"), errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_forked_child_can_neither_use_nor_open_a_store(tmp_path: Path, on_disk: bool) -> None:
    """It is told so at once, also while other threads of the parent were using the store, and what to do instead."""
    code = """
        place = path if sys.argv[2] == "True" else None
        store = ek.EventStore(place, fsync=False)
        store.append("a", noted())
        begun = iter(store.read())
        for_ever(lambda: store.append("a", noted()))
        for_ever(lambda: list(store.read("b")))
        for _ in range(5):
            child = os.fork()
            if child == 0:
                calls = [lambda: store.append("a", noted()), lambda: store.version("a"), lambda: list(store.read()),
                         lambda: next(begun), lambda: ek.EventStore(place), lambda: ek.EventStore(path + "-other"),
                         lambda: ek.EventStore()]
                wrong = 0
                for call in calls:
                    try:
                        call()
                        wrong += 1
                    except ek.StoreClosedError as error:
                        wrong += "spawn" not in str(error)
                store.close()
                sys.exit(wrong)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        position = store.position
        assert store.append("a", noted()).position > position
    """
    assert run(code, tmp_path / "store", on_disk) == (0, "", "")


def work_in_a_child(path: str) -> int:
    """What a spawned child does."""
    with ek.EventStore(path, fsync=False) as store:
        return store.append("a", ek.NewEvent(type="Noted", data={"n": 2})).position


def test_a_spawned_child_opens_the_store_as_any_process(tmp_path: Path) -> None:
    """It is the newer writer then."""
    code = """
        import multiprocessing
        from tests.test_exits import work_in_a_child

        if __name__ == "__main__":
            store = ek.EventStore(path, fsync=False)
            store.append("a", noted(1))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.apply(work_in_a_child, [path]))
            try:
                store.append("a", noted(3))
            except ek.SupersededError:
                print(store.position)
    """
    assert run(code, tmp_path) == (0, "2\n2", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_that_only_imported_the_kit_may_fork(tmp_path: Path) -> None:
    """Only an open store keeps a child from opening one."""
    code = """
        ek.EventStore
        child = os.fork()
        if child == 0:
            sys.exit(ek.EventStore(path, fsync=False).append("a", noted()).position)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(code, tmp_path) == (0, "1", "")

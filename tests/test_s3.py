"""Stores in a bucket, on an S3 server on loopback: promises kept, and every failure bounded, told and secretless."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventsourcing_kit as ek
from tests.faults import log_of, table_of, writer_of
from tests.object_storage import Server, Wire

pytestmark = pytest.mark.processes

pytest.importorskip("moto.server", reason="moto[server] is not installed: pip install 'eventsourcing_kit[test]'")

SECRETS = {
    "access_key_id": "AKIDNEVERSHOWN",
    "secret_access_key": "wJal/NEVER+SHOWN=",
    "session_token": "TOKENEVERSHOWN",
}
FAST = 0.5  # seconds of patience where a test waits for it to run out
BOUND = 20.0  # far more than any wait may take, far less than for ever


def noted(n: int = 0) -> ek.NewEvent:
    return ek.NewEvent(type="Noted", data={"n": n})


def numbers(store: ek.EventStore) -> list[int]:
    return [event.data["n"] for event in store.read()]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server("bank", "other")
    yield started
    started.close()


@pytest.fixture(autouse=True)
def no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """No variable of the machine has a say, and whatever a test prints or logs is searched for secrets."""
    import os

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with caplog.at_level(logging.DEBUG):
        yield
    out, err = capfd.readouterr()
    assert_secretless(out + err + caplog.text)


def assert_secretless(text: str) -> None:
    assert not [name for name, secret in SECRETS.items() if secret in text]


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"s3://bank/{request.node.name}"


@pytest.fixture
def stores() -> Iterator[Callable[..., ek.EventStore]]:
    """Opens stores with the secrets, and closes them again."""
    opened = []

    def opening(path: str, url: str, **options: Any) -> ek.EventStore:
        store = ek.EventStore(path, endpoint=url, region="us-east-1", **SECRETS, **options)
        opened.append(store)
        return store

    yield opening
    for store in reversed(opened):
        with contextlib.suppress(ek.EventSourcingError):
            store.close()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    made = Wire(server.port)
    yield made
    made.close()


def patient(store: ek.EventStore, seconds: float) -> None:
    """From now on: a test opens in peace, and then doesn't wait long for what cannot come."""
    log_of(store).patience = table_of(store).patience = seconds
    if store._writer is not None:
        writer_of(store).patience = seconds


@contextlib.contextmanager
def fails(kind: type[BaseException], match: str) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """It raises, within a bounded time, and nothing of the error shows a secret."""
    start = time.monotonic()
    with pytest.raises(kind, match=match) as raised:
        yield raised
    assert time.monotonic() - start < BOUND
    error: BaseException | None = raised.value
    while error is not None:
        assert_secretless(f"{error!s} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}")
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)  # as a debugger would
        assert_secretless("".join(str(at.locals) for at in shown.stack if "/eventsourcing_kit/" in at.filename))
        error = error.__cause__ or error.__context__


class Aside(threading.Thread):
    """A call in another thread; `outcome()` is what it returned or raised."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call, self._outcome = call, None
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._call()
        except BaseException as error:
            self._outcome = error

    def outcome(self) -> Any:
        self.join(BOUND)
        assert not self.is_alive(), "it never came back"
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python of its own, in which `opened(path, url, **options)` opens a store."""
    start = f"""
        import sys, eventsourcing_kit as ek
        from tests.faults import log_of, writer_of
        def opened(path, url, **options):
            return ek.EventStore(path, endpoint=url, region="us-east-1", **{SECRETS!r}, **options)
        def noted(n):
            return ek.NewEvent(type="Noted", data={{"n": n}})
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(code), *map(str, arguments)],
        cwd=Path(__file__).parents[1], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str], given: str | None = None) -> str:
    out, err = process.communicate(given, timeout=60)
    assert_secretless(out + err)
    assert (process.returncode, err) == (0, "")
    return out.strip()


# the same store as elsewhere


def test_what_was_appended_is_there_when_the_bucket_is_opened_again(server: Server, prefix: str, stores: Any) -> None:
    """Events, versions and times, and the store goes on from there."""
    store = stores(prefix, server.url)
    store.append("a-1", [noted(1), noted(2)], metadata={"by": "ada"})
    before = list(store.read())
    store.close()
    again = stores(prefix, server.url)
    assert list(again.read()) == before
    assert again.append("a-1", noted(3), expected_version=2).position == 3
    assert numbers(stores(prefix, server.url, read_only=True)) == [1, 2, 3]


def test_a_copy_goes_into_a_bucket_and_out_of_it(server: Server, prefix: str, stores: Any, folder: Path) -> None:
    """A prefix that holds a store is refused, and the store there writes on."""
    store = stores(prefix, server.url)
    store.append("a-1", [noted(1), noted(2)])
    access = {"endpoint": server.url, "region": "us-east-1", **SECRETS}
    assert ek.copy(store, f"{prefix}-copy", **access).position == 2
    with stores(f"{prefix}-copy", server.url) as copied:
        assert numbers(copied) == [1, 2]
        assert ek.copy(copied, folder).digest == store.verify().digest
        for taken in (prefix, f"{prefix}-copy"):
            with fails(ek.InputError, "holds a store already; give another prefix"):
                ek.copy(copied, taken, **access)
        assert copied.append("a-1", noted(3)).position == store.append("a-1", noted(3)).position == 3
    with ek.EventStore(folder) as back:
        assert numbers(back) == [1, 2]


def test_loading_travelling_and_charting_work_as_elsewhere(server: Server, prefix: str, stores: Any) -> None:
    """They go through the log, wherever it lies: the answers equal those of a store in memory."""
    rows = [
        (f"case-{n % 3}", "Noted", pd.Timestamp("2026-01-05", tz="UTC") + pd.Timedelta(n, "h"), n) for n in range(30)
    ]
    frame = pd.DataFrame(rows, columns=["case", "activity", "time", "n"])
    total = ek.Projection("total", initial=int)
    total.on("Noted")(lambda state, event: state + event["n"])
    answers = []
    for store in (stores(prefix, server.url, seed=1), ek.EventStore(seed=1)):
        assert store.load(frame, stream="case", type="activity", recorded_at="time") == 30
        history = store.history(total)
        picture = ek.charts.timeline(store.read().df()).to_dict()
        answers.append((history.at(10), store.replay(total, as_of="2026-01-05T12:00:00Z"), store.streams(), picture))
    assert answers[0][:2] == answers[1][:2]
    assert answers[0][2].equals(answers[1][2])
    assert answers[0][3] == answers[1][3]


def test_many_threads_append_without_losing_anything(server: Server, prefix: str, stores: Any) -> None:
    """Those that wait at the same moment share a request."""
    store = stores(prefix, server.url)
    threads = [Aside(lambda t=t: [store.append(f"s-{t}", noted(n)) for n in range(5)]) for t in range(4)]
    for thread in threads:
        thread.outcome()
    assert [event.position for event in store.read()] == list(range(1, 21))
    assert all(
        numbers_of == list(range(5)) for numbers_of in ([e.data["n"] for e in store.read(f"s-{t}")] for t in range(4))
    )


# many stores in one bucket


@pytest.mark.parametrize("odd", ["", "a/b", "with space", "é 😀", "50%#?&+=;:'\"<>|", "a%20b", "x" * 200])
def test_a_prefix_may_have_odd_characters(server: Server, odd: str, stores: Any) -> None:
    """Also none: then the store lies at the bucket's root."""
    path = f"s3://other/{odd}"
    stores(path, server.url).append("a", noted(len(odd)))
    beside = stores(path, server.url, read_only=True)
    assert numbers(beside) == [len(odd)]
    assert repr(path.rstrip("/")) in repr(beside)


def test_stores_under_different_prefixes_never_mix(server: Server, prefix: str, stores: Any) -> None:
    """Not even where one prefix begins with the other, or lies below it."""
    paths = [
        prefix,
        prefix + "2",
        prefix + "/2",
        prefix + " x",
        prefix + "%20x",
        prefix.upper().replace("S3://BANK", "s3://bank"),
    ]
    opened = [stores(path, server.url) for path in paths]
    for n, store in enumerate(opened):
        store.append("a", noted(n), expected_version=ek.NO_STREAM)
    for n, path in enumerate(paths):
        assert numbers(stores(path, server.url, read_only=True)) == [n]


# readers


def test_a_reader_in_another_process_sees_a_prefix_that_grows(server: Server, prefix: str, stores: Any) -> None:
    """With lag=0 a call sees everything that was acknowledged before it began."""
    store = stores(prefix, server.url)
    store.append("a", noted(0))
    reader = python(
        """
        reader = opened(sys.argv[1], sys.argv[2], read_only=True, lag=0)
        print("ready", flush=True)
        for line in sys.stdin:
            print([event.data["n"] for event in reader.read()], flush=True)
        """,
        prefix, server.url,
    )  # fmt: skip
    assert reader.stdin is not None
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for n in range(1, 4):
        store.append("a", noted(n))
        reader.stdin.write("now\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == f"{list(range(n + 1))}\n"
    assert ended(reader) == ""
    assert store.append("a", noted(4)).position == 5


def test_a_readers_lag_is_what_was_set(server: Server, prefix: str, stores: Any) -> None:
    """It asks the bucket no more often, and what is older than the lag is there."""
    store = stores(prefix, server.url)
    store.append("a", noted(0))
    behind, close = (
        stores(prefix, server.url, read_only=True, lag=3600),
        stores(prefix, server.url, read_only=True, lag=0.3),
    )
    begun = close.read()
    store.append("a", noted(1))
    time.sleep(0.3)
    assert numbers(close) == [0, 1]
    assert [event.data["n"] for event in begun] == [0]
    assert numbers(behind) == [0]
    assert "read_only, lag 0.3 s" in repr(close)
    assert "lag 1 s" in repr(stores(prefix, server.url, read_only=True))


def test_read_only_never_makes_a_store(server: Server, prefix: str, stores: Any) -> None:
    """It says so at once, and nothing is left in the bucket."""
    with fails(ek.StorageError, "holds no event store"):
        stores(prefix, server.url, read_only=True)
    assert (
        "test_read_only_never"
        not in server.ask("/bank?list-type=2&prefix=test_read_only_never")[200:].partition("Contents")[2]
    )


# one writer


def test_the_newer_of_two_writing_processes_wins(server: Server, prefix: str, stores: Any) -> None:
    """The older one's next append says so, it reads on, and nothing that either was told is lost."""
    older = python(
        """
        store = opened(sys.argv[1], sys.argv[2])
        for n in range(3):
            store.append("a", noted(n))
        print("ready", flush=True)
        sys.stdin.readline()
        for attempt in range(2):
            try:
                store.append("a", noted(99))
            except ek.SupersededError as error:
                print("another writer opened the store" in str(error))
        print([event.data["n"] for event in store.read()])
        store.close()
        """,
        prefix, server.url,
    )  # fmt: skip
    assert older.stdout is not None
    assert older.stdout.readline() == "ready\n"
    newer = stores(prefix, server.url)
    assert newer.append("a", noted(3), expected_version=3).position == 4
    assert ended(older, "now\n").split("\n") == ["True", "True", "[0, 1, 2, 3]"]
    assert newer.append("a", noted(4)).position == 5
    assert numbers(stores(prefix, server.url, read_only=True)) == [0, 1, 2, 3, 4]


def test_opening_again_in_the_same_process_replaces_the_old_handle(server: Server, prefix: str, stores: Any) -> None:
    """As a cell does that is run again."""
    first = stores(prefix, server.url)
    first.append("a", noted(0))
    second = stores(prefix + "/", server.url)
    with pytest.raises(ek.SupersededError):
        first.append("a", noted(99))
    assert second.append("a", noted(1)).position == 2
    assert numbers(first)[:1] == [0]
    assert numbers(second) == [0, 1]


# opening in vain


def xml(code: str) -> str:
    return (
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told {SECRETS['access_key_id']}</Message>"
        f"<CanonicalRequest>{SECRETS['session_token']} {SECRETS['secret_access_key']}</CanonicalRequest></Error>"
    )


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("403 Forbidden", xml("InvalidAccessKeyId"), "refuses the credentials; it says 403 InvalidAccessKeyId: told …"),
        ("403 Forbidden", xml("SignatureDoesNotMatch"), "refuses the credentials.*SignatureDoesNotMatch"),
        ("403 Forbidden", "", "refuses the credentials"),
        ("404 Not Found", xml("NoSuchBucket"), "there is no bucket 'bank'"),
        ("301 Moved Permanently", xml("PermanentRedirect"), "not in the region 'us-east-1': give region="),
        ("400 Bad Request", xml("AuthorizationHeaderMalformed"), "not in the region 'us-east-1': give region="),
        ("400 Bad Request", xml("InvalidRequest"), "answers 400 InvalidRequest"),
        ("200 OK", "a web page", "is no S3 server"),
    ],
)  # fmt: skip
def test_an_open_that_is_refused_says_why(
    wire: Wire, prefix: str, stores: Any, status: str, body: str, reason: str
) -> None:
    """SlateDB would try again for ever."""
    wire.set("answer", status, body)
    with fails(ek.StorageError, reason):
        stores(prefix, wire.url, patience=FAST)


def test_a_reader_that_is_refused_says_why(wire: Wire, prefix: str, stores: Any) -> None:
    """As a writer does."""
    wire.set("answer", "403 Forbidden", xml("AccessDenied"))
    with fails(ek.StorageError, "refuses the credentials; it says 403 AccessDenied"):
        stores(prefix, wire.url, patience=FAST, read_only=True)


def test_a_bucket_that_is_not_there_is_named(server: Server, stores: Any) -> None:
    """As the server itself says it."""
    with fails(ek.StorageError, "there is no bucket 'none' at http://127.0.0.1:.*make it"):
        stores("s3://none/bank", server.url, patience=FAST)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("cut", "no server answers at http://127.0.0.1:.*refused"), ("silent", "takes connections, but doesn't answer")],
)
def test_an_open_without_a_server_ends(wire: Wire, prefix: str, stores: Any, mode: str, reason: str) -> None:
    """Whether nobody listens, or nobody answers."""
    wire.set(mode)
    with fails(ek.StorageError, f"did not answer within 0.5 s.*{reason}"):
        stores(prefix, wire.url, patience=FAST)
    wire.set("through")
    assert stores(prefix, wire.url, timeout=0.4).append("a", noted()).position == 1


@pytest.mark.parametrize(
    ("kind", "most"), [("new", 30), ("closed", 30), ("killed", 36), ("read", 12), ("read of killed", 20)]
)
def test_the_requests_that_an_open_makes_one_after_another(
    server: Server, wire: Wire, prefix: str, stores: Any, kind: str, most: int
) -> None:
    """All but three or four are SlateDB's own: of a writer some fifteen to start its compactor, and for each of its
    manifests, which it loads four times, another to see that it was not collected meanwhile. What is counted includes
    what it asks beside, in threads of its own.
    """
    if kind != "new":
        code = "store = opened(*sys.argv[1:3])\nfor n in range(6): store.append('a', noted(n))\n" + (
            "import os; os._exit(0)" if "killed" in kind else "store.close()"
        )
        ended(python(code, prefix, server.url))
    wire.delay = 0.1
    stores(prefix, wire.url, read_only=kind.startswith("read"))
    assert wire.in_sequence <= most


def test_patience_begins_anew_with_each_answer(wire: Wire, prefix: str, stores: Any) -> None:
    """While a store is opened and while it is closed, as with 0.8 s a request where it is left as it is: each takes
    longer than that together. Closed means closed: nothing is under way any more.
    """
    stores(prefix, wire.url).close()
    wire.delay = 0.16
    store = stores(prefix, wire.url, patience=2)
    assert store.append("a-1", noted(1)).position == 1
    patient(store, 1.0)
    store.close()
    assert all(answered is not None for _, answered in wire.asked)
    wire.delay = 0.0
    with stores(prefix, wire.url, read_only=True) as reader:
        assert numbers(reader) == [1]


def test_an_open_waits_for_a_server_that_comes_back(wire: Wire, prefix: str, stores: Any) -> None:
    """Within its patience."""
    wire.set("silent")
    opening = Aside(lambda: stores(prefix, wire.url, patience=BOUND, timeout=0.4))
    assert wire.caught.wait(BOUND)
    wire.set("through")
    assert opening.outcome().append("a", noted()).position == 1


def test_missing_credentials_are_called_so(wire: Wire, prefix: str) -> None:
    """Without any, the client asks the machine it runs on: here nobody knows."""
    wire.set("answer", "403 Forbidden")
    with fails(ek.StorageError, "there are no credentials; give access_key_id="):
        ek.EventStore(prefix, endpoint=wire.url, metadata_endpoint=wire.url, patience=FAST)


# outages


@pytest.mark.parametrize("mode", ["cut", "silent", "lose"])
def test_an_append_waits_for_a_server_that_comes_back(wire: Wire, prefix: str, stores: Any, mode: str) -> None:
    """Refused, silent, or its reply lost: it is stored once, and the store goes on."""
    store = stores(prefix, wire.url, patience=BOUND, timeout=0.4)
    store.append("a", noted(0))
    wire.set(mode)
    appending = Aside(lambda: store.append("a", noted(1)))
    if mode == "cut":
        appending.join(0.3)
    else:
        assert wire.caught.wait(BOUND)
    assert appending.is_alive()
    wire.set("through")
    assert appending.outcome().position == 2
    assert store.append("a", noted(2), expected_version=2).position == 3
    assert numbers(stores(prefix, wire.url, read_only=True)) == [0, 1, 2]


@pytest.mark.parametrize("mode", ["cut", "silent", "lose"])
def test_an_append_that_outlasts_patience_can_be_repeated_safely(
    wire: Wire, prefix: str, stores: Any, mode: str
) -> None:
    """Its outcome is unknown; what was queued behind it is known not to be stored; the events stand there once."""
    store = stores(prefix, wire.url, timeout=0.4)
    store.append("a", noted(0))
    patient(store, FAST)
    wire.set(mode)
    with fails(ek.OutcomeUnknownError, "has not answered for 0.5 s .*may be stored or not") as unknown:
        store.append("a", [noted(1), noted(2)])
    with fails(ek.StorageError, "this append was not stored"):
        store.append("a", noted(99))
    wire.set("through")
    repeated = Aside(lambda: until_it_answers(lambda: store.append("a", unknown.value.events)))  # type: ignore[attr-defined]
    assert repeated.outcome().position == 3
    patient(store, BOUND)
    assert store.append("a", unknown.value.events).replayed  # type: ignore[attr-defined]
    assert store.append("a", noted(3)).position == 4
    store.close()
    assert numbers(stores(prefix, wire.url)) == [0, 1, 2, 3]


def until_it_answers(call: Callable[[], Any]) -> Any:
    """Try again as the errors tell: while the storage is silent."""
    for _ in range(20):
        with contextlib.suppress(ek.StorageError, ek.OutcomeUnknownError):
            return call()
    return call()


def test_an_outcome_that_is_unknown_can_be_settled_by_another_process(
    wire: Wire, server: Server, prefix: str, stores: Any
) -> None:
    """The reply was lost, the writer never heard; whoever opens the bucket next finds the events, once."""
    store = stores(prefix, wire.url, timeout=0.4)
    store.append("a", noted(0))
    patient(store, FAST)
    wire.set("lose")
    with fails(ek.OutcomeUnknownError, "may be stored or not") as unknown:
        store.append("a", noted(1))
    with fails(ek.StorageError, "the storage does not answer"):
        store.close()
    newer = stores(prefix, server.url)
    newer.append("a", unknown.value.events)  # type: ignore[attr-defined]
    assert numbers(newer) == [0, 1]


@pytest.mark.parametrize("mode", ["cut", "silent"])
def test_reading_without_a_server_ends_in_an_error_and_goes_on_later(
    wire: Wire, server: Server, prefix: str, stores: Any, mode: str
) -> None:
    """A reader that cannot keep its lag says so instead of showing less."""
    writer = stores(prefix, server.url)
    writer.append("a", noted(0))
    reader = stores(prefix, wire.url, read_only=True, lag=0, timeout=0.4)
    patient(reader, FAST)
    wire.set(mode)
    with fails(ek.StorageError, "did not answer within|has not answered for"):
        reader.read()
    wire.set("through")
    patient(reader, BOUND)
    writer.append("a", noted(1))
    assert numbers(reader) == [0, 1]


def test_a_process_ends_cleanly_while_the_server_is_away(wire: Wire, prefix: str) -> None:
    """With an append in flight, and without close()."""
    process = python(
        """
        store = opened(sys.argv[1], sys.argv[2], timeout=0.4)
        writer_of(store).patience = log_of(store).patience = 0.5
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            store.append("a", noted(0))
        except ek.OutcomeUnknownError as error:
            print("unknown")
        """,
        prefix, wire.url,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    wire.set("silent")
    assert ended(process, "now\n") == "unknown"

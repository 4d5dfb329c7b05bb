"""Mirrors on other machines: a scheduler and two workers as processes of their own, and a bucket on an S3 server."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

import eventsourcing_kit as ek
from tests.object_storage import Server
from tests.test_mirror import Paid, Put, assert_same, balance, declared, in_order, logged, mixed

pytestmark = pytest.mark.processes
distributed = pytest.importorskip("distributed", reason="pip install 'eventsourcing_kit[distributed]'")
pytest.importorskip("moto.server", reason="pip install 'eventsourcing_kit[test]'")

KEYS = {"access_key_id": "AKIDNEVERSHOWN", "secret_access_key": "wJal/NEVER+SHOWN="}


class Cluster:
    """A scheduler and workers, each a process, that find one another by a file as on machines with a shared disk."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._file = folder / "scheduler.json"
        self._processes = [self._start("dask_scheduler", "--port", "0", "--no-dashboard")]
        self.workers = [self.worker() for _ in range(workers)]

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{name}", "--scheduler-file", str(self._file), *options]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "20"}
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    def worker(self) -> subprocess.Popen[bytes]:
        """One more."""
        made = self._start("dask_worker", "--nthreads", "1", "--no-dashboard", "--no-nanny", "--death-timeout", "120")
        self._processes.append(made)
        return made

    def client(self) -> Any:
        """A client, once all workers are there."""
        found = distributed.Client(scheduler_file=str(self._file), timeout=120, set_as_default=False)
        found.wait_for_workers(len(self.workers), timeout=120)
        return found

    def close(self) -> None:
        """End all of it."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"), 2)
    yield started
    started.close()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[Any]:
    with cluster.client() as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server("bank")
    yield started
    started.close()


@pytest.fixture
def options(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return {"endpoint": server.url, **KEYS}


def test_a_bucket_holds_a_mirror_as_a_folder_does(options: dict[str, str]) -> None:
    """It is updated, merged, read and verified; what it is told shows no secret."""
    store = logged(mixed(60))
    mirror = store.mirror("s3://bank/m", buckets=2, keep=0, **options)
    for i in range(9):
        store.append("x-1", Put(amount=i))
        mirror.update(store)
    other = ek.Mirror("s3://bank/m", **options)
    assert_same(other, store)
    assert other.verify(store)
    assert all(path.startswith("s3://bank/m/bucket-") for path in other.files()["path"])
    assert not any(secret in f"{other!r}{vars(other)}" for secret in KEYS.values())
    with pytest.raises(ek.InputError, match="no option 'acces_key'"):
        ek.Mirror("s3://bank/m", acces_key="x")
    with pytest.raises(ek.StorageError, match="there is no mirror at 's3://bank/other'"):
        ek.Mirror("s3://bank/other", **options)


def test_a_bucket_that_does_not_answer_is_an_error(options: dict[str, str], server: Server) -> None:
    """In bounded time, and a bucket that is not there, too."""
    silent = socket.create_server(("127.0.0.1", 0))
    given: dict[str, Any] = {**options, "endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "patience": 1.5}
    with contextlib.closing(silent), pytest.raises(ek.StorageError, match="try again when that is mended"):
        ek.Mirror("s3://bank/m", **given)
    with pytest.raises(ek.StorageError, match="failed: "):
        logged(mixed(3)).mirror("s3://nowhere/m", **options)


def test_workers_fold_what_is_folded_here(client: Any, options: dict[str, str]) -> None:
    """Of a mirror in a bucket: handlers and declared folds, with classes and functions that are typed here."""
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cloudpickle.register_pickle_by_value(sys.modules["tests.test_mirror"])
    try:
        store = logged(mixed(200))
        mirror = store.mirror("s3://bank/spread", buckets=8, **options)
        for projection in (balance(), declared()):
            for position in (0, 77, 200):
                found = mirror.replay(projection, as_of=position, on=client)
                assert found == store.replay(projection, as_of=position)
            history = mirror.history(projection, as_of=150, on=client)
            found = history.compute(scheduler=client)
            pd.testing.assert_frame_equal(in_order(found), store.history(projection, as_of=150).df())
            per_type = history.groupby("type").size().compute(scheduler=client)
            assert per_type.sum() == len(found)
        frame = mirror.df(as_of=120, on=client).compute(scheduler=client)
        pd.testing.assert_frame_equal(in_order(frame), store.read(as_of=120).df())
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        cloudpickle.unregister_pickle_by_value(sys.modules["tests.test_mirror"])


def test_workers_read_by_the_newest_classes(client: Any, tmp_path: Path) -> None:
    """A cell that is run again counts there, too: with another class, another upcaster, and the former ones again."""
    store = ek.EventStore()
    store.append("a", [ek.NewEvent(type="spread.Moved", data={"amount": i}) for i in range(5)])
    mirror = store.mirror(tmp_path / "m", buckets=2)

    def cell(factor: int, version: int) -> ek.Projection:
        class Moved(ek.Event, type="spread.Moved", version=version):
            amount: int

            def worth(self) -> int:
                return self.amount * factor

        if version > 1:
            ek.upcast(Moved, from_version=1)(lambda data: {"amount": data["amount"] + factor})
        found = ek.Projection("worth", initial=lambda: 0)
        found.on(Moved)(lambda state, event: state + event.worth())
        return found

    for factor, version in ((2, 1), (3, 2), (5, 2), (2, 2)):
        projection = cell(factor, version)
        assert mirror.replay(projection, on=client) == store.replay(projection)


def test_what_fails_on_a_worker_is_told_as_here(client: Any, tmp_path: Path) -> None:
    """A handler's error with event and state; damage; and what cannot be sent at all."""
    mirror = logged(mixed(60)).mirror(tmp_path / "m", buckets=4)
    fails = ek.Projection("fails", initial=lambda: 0)
    fails.on(Put)(lambda state, event: state // 0)
    with pytest.raises(ek.ProjectionError, match=r"failed at position \d+ on mirror.Put"):
        mirror.replay(fails, on=client)
    lock = threading.Lock()
    held = ek.Projection("held", initial=lambda: 0)
    held.on(Put)(lambda state, event: state + lock.locked())
    with pytest.raises(ek.InputError, match=r"cannot be sent to workers: .*lock.*not hold what is open here"):
        mirror.replay(held, on=client)
    Path(mirror.files()["path"][0]).unlink()
    with pytest.raises(ek.DamagedError, match="is missing"):
        mirror.replay(declared(), on=client)


def test_a_worker_that_dies_changes_no_answer(tmp_path: Path) -> None:
    """Others do its tasks, again where they were under way."""
    store = logged([(f"s-{i % 40}", Put(amount=i)) for i in range(400)])
    mirror = store.mirror(tmp_path / "m", buckets=16)
    slow = ek.Projection("slow", initial=lambda: Decimal(0))

    @slow.on(Put)
    def add(state: Decimal, event: Put) -> Decimal:
        import time

        time.sleep(0.01)
        return state + event.amount

    started = Cluster(tmp_path, 2)
    try:
        with started.client() as client:
            dies = threading.Timer(0.5, lambda: started.workers[0].send_signal(signal.SIGKILL))
            dies.start()
            assert mirror.replay(slow, on=client) == store.replay(slow)
            dies.join()
            assert started.workers[0].wait(10) is not None
            assert mirror.replay(declared(), on=client) == store.replay(declared())
    finally:
        started.close()


_ = Paid  # sent by value with its module


class Counted:
    """A port that leads to a server and counts the requests by their methods; writes are refused, as without rights."""

    def __init__(self, url: str) -> None:
        self.methods = Counter[str]()
        counted, netloc = self, urlsplit(url).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                counted.methods[self.command] += 1
                if self.command not in ("GET", "HEAD"):
                    self.send_response(403)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                connection = http.client.HTTPConnection(netloc)
                connection.request(self.command, self.path, headers=dict(self.headers))
                answer = connection.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(body if self.command != "HEAD" else b"")
                connection.close()

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def during(self, work: Callable[[], object]) -> int:
        """How many requests some work takes."""
        before = self.methods.total()
        work()
        return self.methods.total() - before

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_many_readers_need_rights_to_read_only_and_few_requests(options: dict[str, str], server: Server) -> None:
    """Of a store's bucket and of a mirror's; what each costs is what README says."""
    with ek.EventStore(
        "s3://bank/store", clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1s"), **options
    ) as store:
        for i in range(20):
            store.append(f"s-{i % 3}", Put(amount=i))
        mirror = store.mirror("s3://bank/readers", buckets=2, **options)
        counted = Counted(server.url)
        given: dict[str, Any] = {**options, "endpoint": counted.url}
        readers: list[ek.EventStore] = []
        try:
            opening = counted.during(lambda: readers.append(ek.EventStore("s3://bank/store", read_only=True, **given)))
            readers += [ek.EventStore("s3://bank/store", read_only=True, lag=0, **given) for _ in range(5)]
            assert {one.replay(declared())["s-0"]["put"] for one in readers} == {63}
            looks = [counted.during(lambda one=one: one.position) for one in readers[1:]]
            others = [ek.Mirror("s3://bank/readers", **given) for _ in range(5)]
            assert [counted.during(lambda one=one: one.position) for one in others] == [
                2
            ] * 5  # to find it, and to read it
            files = len(mirror.files())
            assert counted.during(lambda: others[0].replay(declared())) == 2 * (1 + files)
            assert set(counted.methods) <= {"GET", "HEAD"}
            assert opening <= 80  # some three a commit that is in no table yet, and twenty
            assert max(looks) <= 25
        finally:
            for one in readers:
                one.close()
            counted.close()

"""What a Python user might pick instead, each behind the same few calls, with its durability stated.

The kit validates events and returns objects or a frame; the peers' recorders take and return bytes, so their side here
dumps the same pydantic objects to JSON and parses it again: what an application on top of them does at least.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import eventsourcing_kit as ek

Rows = list[dict[str, Any]]


class Peer(Protocol):
    """One event store under measurement."""

    name: str
    durability: str

    def append(self, stream: str, events: Sequence[ek.Event]) -> None:
        """One commit."""

    def whole_log(self, upto: int | None = None) -> object:
        """Every event, as the peer's users work with them: a frame or a list of dicts."""

    def stream(self, name: str) -> list[Any]:
        """One stream's events."""

    def bytes_on_disk(self) -> int:
        """What it takes on disk after it is closed."""

    def close(self) -> None:
        """End it."""


def folder_bytes(path: Path) -> int:
    """All files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class Kit:
    """This project."""

    def __init__(self, folder: Path | None, *, fsync: bool = True) -> None:
        self.name = "kit"
        self.durability = "memory" if folder is None else "fsync" if fsync else "OS"
        self.folder = folder
        self.store = ek.EventStore() if folder is None else ek.EventStore(folder, fsync=fsync)

    def append(self, stream: str, events: Sequence[ek.Event]) -> None:
        self.store.append(stream, list(events))

    def whole_log(self, upto: int | None = None) -> object:
        return self.store.read(as_of=upto).df()

    def stream(self, name: str) -> list[Any]:
        return list(self.store.read(name))

    def bytes_on_disk(self) -> int:
        return 0 if self.folder is None else folder_bytes(self.folder)

    def close(self) -> None:
        self.store.close()


class PyEventSourcing:
    """The `eventsourcing` library's recorder over SQLite (its default: write-ahead log, full sync), or in memory."""

    def __init__(self, folder: Path | None) -> None:
        self.name = "eventsourcing"
        self.folder = folder
        self._versions: Counter[str] = Counter()
        if folder is None:
            from eventsourcing.popo import POPOApplicationRecorder

            self.durability = "memory"
            self._recorder: Any = POPOApplicationRecorder()
            return
        from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

        self.durability = "fsync"
        self._datastore = SQLiteDatastore(str(folder / "events.sqlite"), originator_id_type="text")
        self._recorder = SQLiteApplicationRecorder(self._datastore)
        self._recorder.create_table()

    def append(self, stream: str, events: Sequence[ek.Event]) -> None:
        from eventsourcing.persistence import StoredEvent

        first = self._versions[stream] + 1
        self._recorder.insert_events(
            [
                StoredEvent(stream, version, type(event).__name__, event.model_dump_json().encode())
                for version, event in enumerate(events, first)
            ]
        )
        self._versions[stream] += len(events)

    def append_mixed(self, rows: Sequence[tuple[str, ek.Event]]) -> None:
        """One commit over several streams."""
        from eventsourcing.persistence import StoredEvent

        stored = []
        for stream, event in rows:
            self._versions[stream] += 1
            data = event.model_dump_json().encode()
            stored.append(StoredEvent(stream, self._versions[stream], type(event).__name__, data))
        self._recorder.insert_events(stored)

    def whole_log(self, upto: int | None = None) -> Rows:
        found: Rows = []
        start: int | None = None
        while page := self._recorder.select_notifications(
            start=start, limit=10_000, stop=upto, inclusive_of_start=False
        ):
            found.extend(
                {"position": n.id, "stream": n.originator_id, "type": n.topic, **json.loads(n.state)} for n in page
            )
            start = page[-1].id
        return found

    def stream(self, name: str) -> Rows:
        return [json.loads(event.state) for event in self._recorder.select_events(name)]

    def bytes_on_disk(self) -> int:
        return 0 if self.folder is None else folder_bytes(self.folder)

    def close(self) -> None:
        if self.folder is not None:
            self._datastore.close()


class UmaDb:
    """The `umadb` server on loopback; it syncs each commit."""

    def __init__(self, folder: Path) -> None:
        import umadb

        self.name, self.durability = "UmaDB", "fsync"
        self.folder, self._umadb = folder, umadb
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = str(Path(sys.executable).with_name("umadb"))
        self._process = subprocess.Popen(
            [server, "--listen", f"127.0.0.1:{port}", "--db-path", str(folder / "uma.db")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(100):
            try:
                self._client = umadb.Client(f"http://127.0.0.1:{port}")
                self._client.head()
                break
            except Exception:  # whatever a client says whose server is not up yet
                time.sleep(0.1)

    def append(self, stream: str, events: Sequence[ek.Event]) -> None:
        self._append([(stream, event) for event in events])

    def append_mixed(self, rows: Sequence[tuple[str, ek.Event]]) -> None:
        """One commit over several streams."""
        self._append(rows)

    def _append(self, rows: Sequence[tuple[str, ek.Event]]) -> None:
        make = self._umadb.Event
        self._client.append(
            [
                make(event_type=type(event).__name__, data=event.model_dump_json().encode(), tags=[stream])
                for stream, event in rows
            ]
        )

    def whole_log(self, upto: int | None = None) -> Rows:
        return [
            {"position": e.position, "stream": e.event.tags[0], "type": e.event.event_type, **json.loads(e.event.data)}
            for e in self._client.read(limit=upto)
        ]

    def stream(self, name: str) -> Rows:
        query = self._umadb.Query([self._umadb.QueryItem(tags=[name])])
        return [json.loads(e.event.data) for e in self._client.read(query)]

    def bytes_on_disk(self) -> int:
        return folder_bytes(self.folder)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def ndjson(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """The same events as lines of JSON, for DuckDB to read into a frame."""
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert os.path.getsize(path) > 0

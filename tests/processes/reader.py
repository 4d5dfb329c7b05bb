"""Read a folder over and over beside whoever writes it, until a file `stop` names the position to be reached.

Run as `python -m tests.processes.reader FOLDER`. It fails where a read is no gap-free prefix of whole commits, or is
shorter than one before.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import eventsourcing_kit as ek
from tests.processes.appender import say


def waited_for(folder: Path) -> ek.EventStore:
    """The store, as soon as somebody has made it."""
    say(say="waiting")
    while True:
        try:
            return ek.EventStore(folder, read_only=True)
        except ek.StorageError as error:
            if "holds no event store" not in str(error):
                raise
            time.sleep(0.01)


def main() -> None:
    folder = Path(sys.argv[1])
    store, length = waited_for(folder), 0
    while True:
        events = list(store.read())
        check(events)
        assert len(events) >= length
        stream = [event.version for event in store.read("shared-1")]
        assert stream == list(range(1, len(stream) + 1))
        assert store.position >= len(events)
        length = len(events)
        say(say="read", events=length)
        if (folder / "stop").exists() and (text := (folder / "stop").read_text()) and length >= int(text):
            return


def check(events: list[ek.RecordedEvent]) -> None:
    """No gap, and every commit as a whole."""
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    found = Counter(event.data["token"] for event in events if "token" in event.data)
    announced = {event.data["token"]: event.data["of"] for event in events if "token" in event.data}
    assert found == announced, "half a commit"


if __name__ == "__main__":
    main()

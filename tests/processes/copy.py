"""Copy a folder's store, and be killed after so many writes: `python -m tests.processes.copy FOLDER INTO WRITES`."""

import os
import signal
import sys
from typing import Any

import eventsourcing_kit as ek
from eventsourcing_kit.storage.slate.table import Table


def main() -> None:
    plain, left = Table.write, int(sys.argv[3])

    def write(self: Table, *given: Any, **options: Any) -> None:
        nonlocal left
        plain(self, *given, **options)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    Table.write = write  # type: ignore[method-assign]  # a process of its own, which ends here
    ek.copy(ek.EventStore(sys.argv[1], read_only=True), sys.argv[2])


if __name__ == "__main__":
    main()

"""Measuring the benchmark's rows, one piece of work at a time, in this process or in one of its own.

As a process it reads the names of rows, a line each, does one work of that row, and answers with a line of JSON: what
it took, or why it cannot be done. It keeps what a row has made until another row is named.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.rows import ROWS, Row


class Cost(NamedTuple):
    """What one work took: how many of the row's unit were done, seconds, and seconds of the processor."""

    units: int
    wall: float
    cpu: float


@contextlib.contextmanager
def measuring(row: Row) -> Iterator[Callable[[], Cost]]:
    """What does the row's next work, and says what it took."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.closing(row.works(Path(folder))) as works:

        def once() -> Cost:
            units, work = next(works)
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            return Cost(units, time.perf_counter() - wall, time.process_time() - cpu)

        yield once


def seconds(work: Callable[[], object]) -> float:
    """What a work takes that is no row's."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr  # what the kit says is no answer
    made, last, once = contextlib.ExitStack(), "", None
    for line in sys.stdin:
        name = line.rstrip("\n")
        try:
            if name != last or once is None:
                made.close()
                once = None
                last, once = name, made.enter_context(measuring(ROWS[name]))
            print(json.dumps(once()), file=answers)
        except Exception as error:  # an earlier kit may fail in any way
            print(json.dumps(f"{type(error).__name__}: {error}"), file=answers)
    made.close()


if __name__ == "__main__":
    main()

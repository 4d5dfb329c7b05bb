"""A progress bar for long work at a terminal that someone looks at; it stays out of notebooks and test output."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def bar(total: int, wanted: bool | None, *, worth_it: bool) -> Iterator[Callable[[int], object]]:
    """Yields a function that moves the bar on. `wanted=None` shows it for long work that someone watches."""
    shown = wanted if wanted is not None else worth_it and _watched()
    if not shown:
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=" events", file=sys.stderr, leave=False) as drawn:
        yield drawn.update


def _watched() -> bool:
    """A terminal. In a notebook it would be saved with the cell's results, and nobody looks at a test's."""
    return sys.stderr.isatty() and "PYTEST_CURRENT_TEST" not in os.environ

"""Files as frames to be loaded, and errors that say which file they are about."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.formats import changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.formats.format import ForeignLog
    from eventsourcing_kit.loading.columns import Columns


About = Callable[[], AbstractContextManager[None]]


def opened(given: Any, columns: Columns) -> tuple[pd.DataFrame, Columns, About]:
    """A frame as it is, or a file's with what its format says of columns; and a context in which errors name the file.

    Raises `InputError` for a file that no format fits.
    """
    named = {role: label for role, label in columns.given.items() if label is not None}
    if not isinstance(given, (str, os.PathLike)):
        if not isinstance(given, pd.DataFrame) or not changes.are_in(given):
            return given, columns, nullcontext
        log = changes.of(given.to_dict("records"), named)
        return log.frame, replace(columns, **log.columns), nullcontext
    from eventsourcing_kit.formats import registry

    name = os.path.basename(given)
    with _about(name, ""):
        log = registry.read(given, named)
        if changes.are_in(log.frame):
            log = changes.of(log.frame.to_dict("records"), named)
    about = partial(_about, name, f" (frame = {log.code})" if log.code else "")
    with about():
        found = replace(columns, **log.columns).of(log.frame)
    if log.took or (found.given != columns.given and not found.is_own):
        _say(name, log, found)
    return log.frame, found, about


@contextmanager
def _about(name: str, code: str) -> Iterator[None]:
    """Errors name the file, and how its frame is made where they speak of one."""
    try:
        yield
    except InputError as error:
        text = str(error)
        named = text if text.startswith(name) else f"{name}: {text}"
        error.args = (f"{named}{code if 'frame' in text else ''}", *error.args[1:])
        raise


def _say(name: str, log: ForeignLog, columns: Columns) -> None:
    """What was taken for what, in one line, to whoever loads the file.

    In a notebook it is output like any other; elsewhere what a program prints may be read by the next one.
    """
    told = [log.took] if log.took else []
    if log.code:  # else the columns are the format's own, and nobody has seen their names
        told.append(", ".join(f"{role}={label!r}" for role, label in columns.given.items() if label is not None))
    in_notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)() is not None
    line = f"{name}: {'; '.join([counted(len(log.frame), 'row'), *filter(None, told)])}"
    print(line, file=sys.stdout if in_notebook else sys.stderr)

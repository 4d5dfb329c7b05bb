"""Files as frames to be loaded, and errors that say which file they are about."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.texts import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from eventsourcing_kit.loading.columns import Columns


About = Callable[[], AbstractContextManager[None]]


def opened(given: Any, columns: Columns) -> tuple[pd.DataFrame, Columns, About]:
    """A frame as it is, or a file's with what its format says of columns; and a context in which errors name the file.

    Raises `InputError` for a file that no format fits.
    """
    if not isinstance(given, (str, os.PathLike)):
        return given, columns, nullcontext
    from eventsourcing_kit.formats import registry

    name = os.path.basename(given)
    log = registry.read(given, {role: label for role, label in columns.given.items() if label is not None})
    about = partial(_about, name, f" (frame = {log.code})" if log.code else "")
    with about():
        found = replace(columns, **log.columns).of(log.frame)
    if log.took or (found.given != columns.given and not found.is_own):
        _say(name, log.frame, found, log.took)
    return log.frame, found, about


@contextmanager
def _about(name: str, code: str) -> Iterator[None]:
    """Errors name the file, and how its frame is made where they speak of one."""
    try:
        yield
    except InputError as error:
        text = str(error)
        error.args = (f"{name}: {text}{code if 'frame' in text else ''}", *error.args[1:])
        raise


def _say(name: str, frame: pd.DataFrame, columns: Columns, took: str) -> None:
    """What was taken for what, in one line, to whoever loads the file."""
    roles = {role: label for role, label in columns.given.items() if label is not None}
    named = ", ".join(f"{role}={label!r}" for role, label in roles.items())
    print(f"{name}: {counted(len(frame), 'row')}; {'; '.join(filter(None, (took, named)))}", file=sys.stderr)

"""What people type: moments, projections by `module:name`, keys, and conditions on states."""

from __future__ import annotations

import json
import operator
import os
import re
import sys
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONDITION = re.compile(r"\s*(?P<field>[\w.]+)\s*(?P<how><=|>=|==|!=|=|<|>)\s*(?P<value>.+?)\s*", re.DOTALL)
_HOW: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "=": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt,
}  # fmt: skip


def moment(text: str) -> int | str:
    """A position where it is a number, else a time or an event's id."""
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def optional_moment(text: str | None) -> int | str | None:
    """The same, where a moment was given."""
    return None if text is None else moment(text)


def named(text: str) -> Any:
    """What `module:name`, or `path/to/file.py:name`, stands for; modules are sought in the current folder first.

    Raises `InputError` where there is no such thing.
    """
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name:
        raise InputError(f"{text!r} names nothing; write module:name, as in bank:balance, or bank.py:balance")
    found: Any = _module(where)
    for part in name.split("."):
        if not hasattr(found, part):
            names = [one for one in vars(found) if not one.startswith("_")] if hasattr(found, "__dict__") else []
            raise InputError(f"{where!r} has no {part!r}; it has {', '.join(names[:20])}")
        found = getattr(found, part)
    return found


def _module(where: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _from_file(Path(where)) if where.endswith(".py") else import_module(where)
    except Exception as error:  # its code may raise anything
        told = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{where!r} cannot be imported: {told}; call ek in the folder where it is, or put that into PYTHONPATH"
        ) from error


def _from_file(path: Path) -> Any:
    spec = util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module can be made of {str(path)!r}")
    module = util.module_from_spec(spec)
    sys.modules[path.stem] = module  # by which its classes are found again
    spec.loader.exec_module(module)
    return module


def key(text: str, states: Mapping[Any, Any]) -> Any:
    """The key that is meant: the text itself, or what it is as JSON. Raises `InputError` where there is none."""
    candidates: list[Any] = [text]
    try:
        parsed = json.loads(text)
        candidates.append(tuple(parsed) if isinstance(parsed, list) else parsed)
    except ValueError:
        pass
    for one in candidates:
        if not isinstance(one, dict) and one in states:
            return one
    few = ", ".join(str(one) for one in list(states)[:5])
    raise InputError(f"there is no key {text!r}; there are {len(states):,}{f': {few}' if few else ''}")


class Condition:
    """`state < 0`, `owner = Ada`: whether a state's field compares so. Values that cannot be compared do not."""

    def __init__(self, text: str, fields_of: Callable[[Any], dict[str, Any]]) -> None:
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise InputError(
                f"{text!r} is no condition; write FIELD < VALUE (or <= > >= = !=), as in 'state < 0' or 'owner = Ada', "
                "or module:name of a function of a state"
            )
        self._path, self._how, self._fields_of = found["field"].split("."), _HOW[found["how"]], fields_of
        try:
            self._value = json.loads(found["value"])
        except ValueError:
            self._value = found["value"]
        self._fields: dict[str, None] = {}
        self._was_there = False

    def __call__(self, state: Any) -> bool:
        """Whether it holds for a state."""
        value = state
        for name in self._path:
            fields = self._fields_of(value)
            self._fields |= dict.fromkeys(fields)
            if name not in fields:
                return False
            value = fields[name]
        self._was_there = True
        try:
            return bool(self._how(value, self._value))
        except TypeError:
            return False

    def check(self) -> None:
        """Raise `InputError` where no state had the field, so that nothing could have been found."""
        if self._fields and not self._was_there:
            raise InputError(f"no state has {'.'.join(self._path)!r}; there are {', '.join(self._fields)}")

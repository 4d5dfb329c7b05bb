"""Frames of all buckets as one Dask DataFrame, with a bucket a partition and the same columns in all.

What type a column has, its values tell, so each bucket is looked at once before: by workers, which keep the frames that
they make, or here, one after another, and then again when the frame is computed.
"""

from __future__ import annotations

from functools import partial
from sys import maxsize
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.folding.history import COLUMNS
from eventsourcing_kit.mirroring import spread
from eventsourcing_kit.mirroring.tasks import APPEARED
from eventsourcing_kit.reading import frames
from eventsourcing_kit.reading.event_frame import ATTRIBUTES, TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NOTHING = "nothing"  # the type of a column that has no value
_FIXED = {*ATTRIBUTES, TAGS}
_NOWHERE = maxsize
_NUMBERS = {"Int64", "Float64"}


class Seen(NamedTuple):
    """A column of buckets' frames: of which type, at which position it begins, and whether all buckets have it."""

    type: str
    first: int
    in_all: bool = True


def collected(
    work: Callable[..., pd.DataFrame],
    parts: Sequence[Any],
    given: tuple[Any, ...],
    on: Any,
    label: str,
    arranged: Callable[[dict[str, Seen]], dict[str, Seen]] = dict,
) -> tuple[Any, dict[str, Seen]]:
    """The frames that `work(part, *given)` makes, as one Dask DataFrame, and its columns.

    Raises `InputError` where Dask is not installed.
    """
    dd = _library()
    if on is None:
        seen = arranged(joined(columns_of(work(part, *given)) for part in parts))
        made = partial(_made, work, given, seen)
        with _objects_stay():
            return dd.from_map(made, list(parts), meta=_empty(seen), label=label, enforce_metadata=False), seen
    futures = spread.submitted(work, parts, given, on, label)
    looks = on.map(columns_of, futures, pure=False)
    seen = arranged(joined(spread.gathered(looks, on)))
    even = on.map(conformed, futures, [seen] * len(futures), pure=False)
    with _objects_stay():
        return dd.from_delayed(even, meta=_empty(seen), verify_meta=False, prefix=label), seen


def _objects_stay() -> Any:
    """Dask would make texts of all objects: of dicts, lists and Decimals, too."""
    from dask import config

    return config.set({"dataframe.convert-string": False})


def events(work: Callable[..., pd.DataFrame], parts: Sequence[Any], given: tuple[Any, ...], on: Any) -> Any:
    """The events of all buckets; the payload's fields in order of appearance."""

    def arranged(seen: dict[str, Seen]) -> dict[str, Seen]:
        fields = sorted((name for name in seen if name not in _FIXED), key=lambda name: seen[name].first)
        return {name: seen[name] for name in (*(one for one in seen if one in _FIXED), *fields)}

    return collected(work, parts, given, on, "events", arranged)[0]


def history(work: Callable[..., pd.DataFrame], parts: Sequence[Any], asked: Any, on: Any, label: str) -> Any:
    """The histories of all buckets; states stand in one column where they are not made of the same fields in all."""
    found, seen = collected(work, parts, (asked,), on, label)
    fields = [name for name in seen if name not in COLUMNS]
    alike = all(own.in_all for name, own in seen.items())
    return found if alike or fields == ["state"] else collected(work, parts, (asked, True), on, label)[0]


def _library() -> Any:
    try:
        from dask import dataframe
    except ImportError as error:
        raise InputError(
            "a frame of all buckets needs Dask, which is not installed: pip install 'eventsourcing_kit[distributed]'"
        ) from error
    return dataframe


def _made(work: Callable[..., pd.DataFrame], given: tuple[Any, ...], seen: dict[str, Seen], part: Any) -> pd.DataFrame:
    return conformed(work(part, *given), seen)


def columns_of(frame: pd.DataFrame) -> dict[str, Seen]:
    """The columns of a bucket's frame."""
    found = {}
    if not len(frame):
        return {str(name): Seen(str(frame[name].dtype), _NOWHERE) for name in frame.columns}
    appeared = frame.attrs.get(APPEARED, {})
    for name in frame.columns:
        is_nothing = str(frame[name].dtype) == "object" and not frame[name].notna().any()
        type_ = _NOTHING if is_nothing else str(frame[name].dtype)
        found[str(name)] = Seen(type_, appeared.get(name, 0))
    return found


def joined(all_seen: Iterable[dict[str, Seen]]) -> dict[str, Seen]:
    """The columns that hold what those of all buckets hold, in order of appearance."""
    given = list(all_seen)
    with_rows = [seen for seen in given if any(own.first != _NOWHERE for own in seen.values())]
    found: dict[str, Seen] = {}
    order: dict[str, int] = {}
    for seen in with_rows or given[:1]:
        is_first = not found
        found = {name: own if name in seen else own._replace(in_all=False) for name, own in found.items()}
        for at, (name, own) in enumerate(seen.items()):
            other = found.get(name, own._replace(in_all=is_first))
            found[name] = Seen(_type(own.type, other.type), min(own.first, other.first), other.in_all)
            order[name] = min(order.get(name, at), at)
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))


def _type(one: str, other: str) -> str:
    if one == other or other == _NOTHING:
        return one
    if one == _NOTHING:
        return other
    return "Float64" if {one, other} == _NUMBERS else "object"


def _empty(seen: dict[str, Seen]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([], dtype=_dtype(own.type)) for name, own in seen.items()})


def _dtype(type_: str) -> Any:
    if type_ == "string":
        return frames.strings(frames.objects([])).dtype  # text is kept in more ways than one
    return "object" if type_ == _NOTHING else type_


def conformed(frame: pd.DataFrame, seen: dict[str, Seen]) -> pd.DataFrame:
    """A bucket's frame with the columns of all."""
    columns: dict[str, Any] = {}
    for name, own in seen.items():
        type_ = _dtype(own.type)
        if name not in frame:
            columns[name] = pd.array([pd.NA] * len(frame), dtype=type_) if type_ != "object" else _nothing(len(frame))
        elif str(frame[name].dtype) == str(type_):
            columns[name] = frame[name].array
        elif type_ == "object":
            columns[name] = frames.objects([None if one is pd.NA else one for one in frame[name].tolist()])
        else:
            columns[name] = frame[name].astype(type_).array
    return pd.DataFrame(columns, index=frame.index)


def _nothing(count: int) -> Any:
    return frames.objects([None] * count)

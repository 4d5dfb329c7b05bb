"""One bucket, folded or made a frame: what a worker does, which has only file names from whoever asks."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values, sending
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.folding.columnar import Columns
from eventsourcing_kit.folding.replay import EVERY, Steps, fold
from eventsourcing_kit.folding.rows import Rows
from eventsourcing_kit.folding.running import Inexact
from eventsourcing_kit.mirroring.buckets import bucket
from eventsourcing_kit.mirroring.view import View
from eventsourcing_kit.reading.read import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.mirroring.manifest import File, Manifest
    from eventsourcing_kit.mirroring.places import Place
    from eventsourcing_kit.records.unknown import Policies


APPEARED = "appeared"  # what a frame notes of itself: at which position each field first stood


class Part(NamedTuple):
    """A bucket's events up to a position; `manifest` names the files of that bucket only."""

    place: Place
    manifest: Manifest
    policies: Policies
    bucket: int
    upto: int

    def view(self, *, copies: bool) -> View:
        """To be read."""
        return View(self.place, self.manifest, self.policies, bucket=self.bucket, copies=copies)


class Asked(NamedTuple):
    """A projection, with all by which the process that asks reads its events; `only` one key, or every."""

    projection: Projection
    definitions: list[sending.Definition]
    only: Any


def parts(view: View, upto: int, key: Any = EVERY) -> list[Part]:
    """What each bucket with events is to do; or the one that a key is in."""
    buckets: dict[int, list[File]] = {}
    for one in view.manifest.files:
        if one.first <= upto:
            buckets.setdefault(one.bucket, []).append(one)
    if key is EVERY and not buckets:
        buckets = {0: []}
    if key is not EVERY and view.manifest.buckets > 1:
        own = bucket(key, view.manifest.buckets)
        buckets = {own: buckets[own]} if own in buckets else {}
    return [
        Part(view.home, replace(view.manifest, files=tuple(files), dropped=()), view.policies, number, upto)
        for number, files in sorted(buckets.items())
    ]


def replayed(part: Part, asked: Asked) -> dict[Any, Any]:
    """The states of a bucket's keys."""
    sending.install(asked.definitions, at_any_rate=True)
    projection, view = asked.projection, part.view(copies=True)
    selection = Selection(0, part.upto, types=projection.types)
    if projection.declared is not None:
        with contextlib.suppress(Inexact):
            return _own(part, Columns(view).rows(projection, selection, asked.only).last_states())
    return _own(part, projection.all_shown(fold(projection, view, selection, only=asked.only)))


def rows_of(part: Part, asked: Asked) -> Rows:
    """Every state that a bucket's keys passed through."""
    sending.install(asked.definitions, at_any_rate=True)
    projection, view = asked.projection, part.view(copies=True)
    selection = Selection(0, part.upto, types=projection.types)
    if projection.declared is not None:
        with contextlib.suppress(Inexact):
            return _own_rows(part, Columns(view).rows(projection, selection, asked.only))
    steps = Steps()
    fold(projection, view, selection, only=asked.only, steps=steps)
    return _own_rows(part, Rows.of(steps))


def history(part: Part, asked: Asked, as_state: bool = False) -> pd.DataFrame:
    """A bucket's history as a frame; with `as_state`, states stand in one column whatever they are made of."""
    from eventsourcing_kit.folding.history import COLUMNS, History
    from eventsourcing_kit.folding.projection import GONE
    from eventsourcing_kit.reading import frames

    rows = rows_of(part, asked)
    found = History(asked.projection, part.view(copies=True), part.upto, rows).df()
    if not as_state:
        return found
    states = rows.states.take(np.arange(len(rows)))
    return found[list(COLUMNS)].assign(state=frames.column([None if one is GONE else one for one in states]))


def events(part: Part, definitions: list[sending.Definition]) -> pd.DataFrame:
    """A bucket's events as a frame, without those that count in another bucket."""
    from eventsourcing_kit.reading import event_frame

    sending.install(definitions, at_any_rate=True)
    found = event_frame.Columns(raw=False, tagged=part.manifest.tagged)
    for commit, rows in Selection(0, part.upto).chunks(part.view(copies=False)):
        with json_values.plain_objects_only():
            found.add(commit, rows)
    frame = found.frame()
    frame.attrs = {APPEARED: found.appeared}
    return frame


def _own(part: Part, states: dict[Any, Any]) -> dict[Any, Any]:
    """The states of the keys that are in a bucket."""
    return {key: states[key] for key, is_own in zip(states, _are_own(part, states), strict=True) if is_own}


def _own_rows(part: Part, rows: Rows) -> Rows:
    """The rows of the keys that are in a bucket."""
    are_own = _are_own(part, rows.keys)
    return rows if all(are_own) else rows.chosen(np.flatnonzero(np.array(are_own, dtype=bool)[rows.codes]))


def _are_own(part: Part, keys: Iterable[Any]) -> list[bool]:
    """Which of some keys are in a bucket: those of an event with several keys may be in others, too.

    Raises `InputError` where none can be: then a key is read otherwise than when the mirror was written.
    """
    buckets = part.manifest.buckets
    if part.manifest.key is None or buckets == 1:
        return [True for _ in keys]
    found = []
    for key in keys:
        found.append(bucket(key, buckets) == part.bucket)
        if not found[-1] and not part.manifest.several:
            raise InputError(
                f"the key {shown(key)} was another one when the mirror at {str(part.place)!r} was written (a class or "
                "an upcaster has changed since), so its events are in several buckets; make the mirror anew"
            )
    return found

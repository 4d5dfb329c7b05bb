"""Which of a foreign frame's columns is what, and how it writes times; the kit's own frames say so themselves."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import json_values
from eventsourcing_kit.formats import conventions
from eventsourcing_kit.formats.format import OWN, RAW, check_width
from eventsourcing_kit.loading.times import Times
from eventsourcing_kit.reading.event_frame import ATTRIBUTES, FIELDS, TAGGED, TAGS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

_NAMED = ("stream", "type", "recorded_at")
ROLES = (*_NAMED, "occurred_at", "id", "data", "metadata", "tags")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns' labels; every other column is payload, unless `data` names the one that holds it whole."""

    stream: Hashable = None
    type: Hashable = None
    recorded_at: Hashable = None
    occurred_at: Hashable = None
    id: Hashable = None
    data: Hashable = None
    metadata: Hashable = None
    tags: Hashable = None
    unit: str | None = None
    tz: str | dt.tzinfo | None = None
    dayfirst: bool | None = None
    position: Hashable = None  # where rows of one time stand among each other
    schema_version: Hashable = None
    is_own: bool = False  # a frame that `store.read().df()` made …
    is_raw: bool = False  # … with data as it was stored
    is_sparse: bool = False  # not every row has an `occurred_at`
    is_conventional: bool = False  # its columns are named as usual tools name them

    def of(self, frame: object) -> Columns:
        """The same for a frame, checked; the kit's own needs no names. Raises `InputError` where it lacks a column."""
        if not isinstance(frame, pd.DataFrame):
            raise InputError(
                f"load takes a pandas DataFrame or the path of a file, not {type(frame).__name__}; "
                "make one: pd.read_csv(path), or pd.DataFrame(rows)"
            )
        check_width(len(frame.columns), "the frame")
        _check_labels(frame.columns)
        given = self.given
        for role, label in given.items():
            _check_role(frame, role, label)
        if set(frame.columns) >= OWN and all(label in (None, role) for role, label in given.items()):
            return self._own(frame)
        missing = [role for role in _NAMED if given[role] is None]
        usual = conventions.roles(frame.columns, set(ROLES) - set(missing)) if missing else {}
        if usual:
            return replace(self, **cast("dict[str, Any]", usual), is_conventional=True)
        for role in missing:
            raise InputError(
                f"{role}= is missing: name the columns that say what an event is about (stream=), what happened "
                f"(type=) and when (recorded_at=); the frame has {list(frame.columns)}"
            )
        return self

    def _own(self, frame: pd.DataFrame) -> Columns:
        has_time = "occurred_at" in frame.columns
        noted = frame.attrs.get(RAW)
        is_raw = "data" in frame.columns and bool(self.data is not None or noted)
        tagged = self.tags is not None or frame.attrs.get(TAGGED, is_raw or None)
        if TAGS in frame.columns and tagged is None:
            raise InputError(
                "the column 'tags' may be the events' tags, or their field of that name; say tags='tags' for the "
                "first, or frame.attrs['tagged'] = False for the second"
            )
        if noted is None and not is_raw and set(frame.columns) - {*ATTRIBUTES, TAGS} == {"data"}:
            raise InputError(
                "the column 'data' may be all that the events say, or their one field of that name; say data='data' "
                "for the first, or name the fields: frame.attrs['raw'] = False"
            )
        named: dict[str, Any] = {role: role for role in (*_NAMED, "id", "metadata")}
        return replace(
            self, **named, occurred_at="occurred_at" if has_time else None, data="data" if is_raw else None,
            position="position", schema_version="schema_version", is_own=True, is_raw=is_raw, is_sparse=True,
            tags=TAGS if tagged and TAGS in frame.columns else None,
        )  # fmt: skip

    @property
    def given(self) -> dict[str, Any]:
        """Which column is what, as far as it is said."""
        return {role: getattr(self, role) for role in ROLES}

    @property
    def times(self) -> Times:
        """How times are written."""
        return Times(self.unit, self.tz, self.dayfirst)

    def payload(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The columns that are fields of the events, by their names there."""
        taken = {*self.given.values(), self.position, self.schema_version}
        others = [label for label in frame.columns if label not in (taken | set(ATTRIBUTES) if self.is_own else taken)]
        if self.data is not None and others:
            raise InputError(
                f"data={self.data!r} holds the events' data, and the frame has more columns: {others}; "
                f"drop them: frame.drop(columns={others!r})"
            )
        fields: Mapping[Any, str] = {}
        if self.is_own:
            fields = frame.attrs.get(FIELDS, {})
        elif self.is_conventional:
            fields = conventions.fields(frame.columns)
        return {fields.get(label, str(label)): frame[label] for label in others}


def _check_labels(labels: pd.Index[Any]) -> None:
    if labels.nlevels > 1:
        raise InputError(
            f"the frame's columns have {labels.nlevels} levels, as in {labels[:1].tolist()}; "
            "flatten them: frame.columns = ['_'.join(map(str, names)) for names in frame.columns]"
        )
    if not labels.is_unique:
        raise InputError(f"the frame has the column {labels[labels.duplicated()][0]!r} twice; rename one of them")
    names = [str(label) for label in labels]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two of the frame's columns would become the field {twice!r}; rename one of them")
    for name in names:
        json_values.plain_json({name: None}, "the frame")


def _check_role(frame: pd.DataFrame, role: str, label: Hashable) -> None:
    if label is None:
        return
    if isinstance(label, (list, pd.Index, pd.Series)):
        joined = f"frame[{list(label)!r}].astype(str).agg('-'.join, axis=1)"
        raise InputError(f"{role}={list(label)!r} are several columns; make one of them: frame[{role!r}] = {joined}")
    if not isinstance(label, Hashable) or label not in frame.columns:
        cure = "; it is in the index: frame.reset_index()" if label in frame.index.names else ""
        raise InputError(f"{role}={label!r}: the frame has no such column; it has {list(frame.columns)}{cure}")

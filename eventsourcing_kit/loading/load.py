"""A foreign log: a DataFrame's rows become events, recorded at their own times. Everything is checked first."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic_core import from_json

from eventsourcing_kit.errors import EventSourcingError, InputError, OutcomeUnknownError
from eventsourcing_kit.events import json_values, schema, tags
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.loading.cells import label, missing, plain_column, where
from eventsourcing_kit.loading.payload import Cells, Objects, checked, held_to
from eventsourcing_kit.loading.times import left_out
from eventsourcing_kit.reading.frames import NO_TIME, objects
from eventsourcing_kit.records.rows import Rows
from eventsourcing_kit.writing.append import Submission
from eventsourcing_kit.writing.checks import as_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from eventsourcing_kit.loading.columns import Columns
    from eventsourcing_kit.loading.payload import Kind, Payload
    from eventsourcing_kit.records.rows import Shape
    from eventsourcing_kit.writing.writer import Writer

    Ints = npt.NDArray[np.int64]

ROWS_A_COMMIT = 10_000
_EXACT_FLOAT = 1 << 53


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the events: where they stand, and in which rows of a payload their types and data are."""

    at: Ints
    rows: Ints
    payload: Payload


@dataclass(frozen=True, slots=True)
class Loaded:
    """A frame's events as columns, in the order of their times, each with the time at which it was recorded.

    `order` says which of the frame's rows they are; `given` is what the frame itself says of types and data, before
    classes add their defaults.
    """

    times: Ints
    streams: list[str]
    stream_codes: Ints
    parts: list[Part]
    ids: npt.NDArray[np.object_] | None
    occurred_us: Ints
    metadata: npt.NDArray[np.object_]
    tags: npt.NDArray[np.object_]
    order: Ints
    given: list[Part]
    says_tags: bool  # whether a column was named that says which tags the events have

    def __len__(self) -> int:
        return len(self.times)

    def rows(self, start: int, stop: int, parts: list[Part] | None = None) -> Rows:
        """The events from `start` up to but excluding `stop`."""
        stream_codes, streams = pd.factorize(self.stream_codes[start:stop])
        shapes: list[Shape] = []
        codes = np.zeros(stop - start, dtype=np.int64)
        for part in self.parts if parts is None else parts:
            low, high = np.searchsorted(part.at, (start, stop)).tolist()
            if low < high:
                found, own = part.payload.shapes(part.rows[low:high])
                codes[part.at[low:high] - start] = np.array(own, dtype=np.int64) + len(shapes)
                shapes += found
        codes, appearing = pd.factorize(codes)
        occurred = self.occurred_us[start:stop].tolist()
        return Rows(
            [self.streams[code] for code in streams.tolist()],
            stream_codes.tolist(),
            [shapes[code] for code in appearing.tolist()],
            codes.tolist(),
            {} if self.ids is None else dict(enumerate(self.ids[start:stop].tolist())),
            {i: us for i, us in enumerate(occurred) if us != NO_TIME},
            {i: one for i, one in enumerate(self.metadata[start:stop].tolist()) if one},
            {i: one for i, one in enumerate(self.tags[start:stop].tolist()) if one},
        )

    def commits(self) -> Iterator[tuple[int, int]]:
        """Where the commits begin and end."""
        for start in range(0, len(self), ROWS_A_COMMIT):
            yield start, min(start + ROWS_A_COMMIT, len(self))

    def only(self, keep: Ints) -> Loaded:
        """Some of the events, in their order."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[keep] = np.arange(len(keep))

        def left(part: Part) -> Part:
            at = place[part.at]
            return Part(at[at >= 0], part.rows[at >= 0], part.payload)

        return replace(
            self,
            parts=[left(part) for part in self.parts],
            given=[left(part) for part in self.given],
            ids=None if self.ids is None else self.ids[keep],
            **{
                name: getattr(self, name)[keep]
                for name in ("times", "stream_codes", "occurred_us", "metadata", "tags", "order")
            },
        )


def from_frame(frame: pd.DataFrame, columns: Columns) -> Loaded:
    """Check every row; raises `InputError` naming row, column and value."""
    columns = columns.of(frame)
    us, finer = columns.times.read(frame[columns.recorded_at])
    order = _order(us, finer, None if columns.position is None else frame[columns.position])
    frame = frame.iloc[order]
    streams, stream_codes = _names(frame[columns.stream], "a stream")
    kinds, kind_codes = _kinds(frame, columns)
    metadata = _objects(frame, columns.metadata)
    ids = None if columns.id is None else objects(_ids(frame[columns.id], metadata))
    own_tags = _tags(frame, columns)
    parts, given = _parts(frame, columns, kinds, kind_codes, own_tags)
    occurred = _occurred(frame, columns)
    return Loaded(
        us[order], streams, stream_codes, parts, ids, occurred, metadata, own_tags, order, given,
        columns.tags is not None,
    )  # fmt: skip


def _order(us: Ints, finer: Ints, positions: pd.Series[Any] | None) -> Ints:
    """The rows by their full times; those of one time by their positions, else as they stand."""
    if positions is not None:
        return np.lexsort((pd.to_numeric(positions, errors="coerce").fillna(0).to_numpy(dtype=float), finer, us))
    step, finer_step = np.diff(us), np.diff(finer)
    if ((step > 0) | ((step == 0) & (finer_step >= 0))).all():
        return np.arange(len(us))
    return np.lexsort((finer, us))


def store(loaded: Loaded, writer: Writer, position: int, advance: Callable[[int], object]) -> None:
    """Store the events in commits of many rows. Up to `position` the log holds none of their ids."""
    for start, stop in loaded.commits():
        again = _again(loaded, start, stop, position)
        times = loaded.times[start:stop].tolist()
        try:
            (stored,) = writer.append(Submission(loaded.rows(start, stop), times=times, new_upto=position, again=again))
        except OutcomeUnknownError as unknown:
            unknown.events = [as_event(draft) for draft in unknown.events]
            unknown.left = loaded.order[start:].tolist()
            raise
        except EventSourcingError as error:
            error.args = (f"{error}; {start:,} of {counted(len(loaded), 'row')} are stored",)
            raise
        position = stored.positions[-1]
        advance(stop - start)


def _again(loaded: Loaded, start: int, stop: int, position: int) -> str:
    """How a load is taken up again where nobody knows whether the rows from `start` to `stop` were stored."""
    done = f"of {counted(len(loaded), 'row')} {start:,} are stored, and the next {stop - start:,} may be"
    if loaded.ids is not None:
        return f"load the same frame again with known='skip', which passes over what is stored ({done})"
    return f"store.load(frame.iloc[error.left[store.position - {position}:]], …) with the rest as before ({done})"


# -- the columns that every row needs ---------------------------------------------------------------------------------


def _names(values: pd.Series[Any], what: str) -> tuple[list[str], Ints]:
    """The distinct names of streams or types, and each row's index among them; numbers are written as text."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if values.dtype == object and set(map(type, values.tolist())) != {str}:
        texts = [None if missing(one) else _name(values, i, one, what) for i, one in enumerate(values.tolist())]
        codes, found = pd.factorize(objects(texts))
    else:
        codes, found = pd.factorize(values)
    gone = np.flatnonzero(codes < 0)
    if len(gone):
        at = where(values, int(gone[0]))
        raise InputError(f"{at} is missing; every row needs {what}; {left_out(values)}")
    firsts = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))  # where each stands first
    return [_name(values, i, one, what) for i, one in zip(firsts.tolist(), found.tolist(), strict=True)], codes


def _name(values: pd.Series[Any], i: int, value: Any, what: str) -> str:
    if isinstance(value, (float, np.floating)) and value.is_integer():  # which a missing cell made of whole numbers
        if not -_EXACT_FLOAT <= float(value) <= _EXACT_FLOAT:
            raise InputError(
                f"{where(values, i)} is {value!r}, a number that was rounded; read the column as text: "
                f"pd.read_csv(path, dtype={{{values.name!r}: str}})"
            )
        value = int(value)
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    try:
        return json_values.check_name(str(value) if is_whole else value, what)
    except InputError as error:
        raise InputError(f"{where(values, i)}: {error}") from None


def _ids(values: pd.Series[Any], metadata: npt.NDArray[np.object_]) -> list[uuid.UUID]:
    """Ids as they are; of a text that is no UUID one is made, and the text goes into the row's metadata."""
    found: dict[uuid.UUID, None] = {}
    for i, value in enumerate(values.tolist()):
        if missing(value):
            raise InputError(f"{where(values, i)} is missing; every row needs an id there; {left_out(values)}")
        one = value if isinstance(value, uuid.UUID) else _uuid(value)
        if one is None:
            text = _name(values, i, value, "an event")
            one, metadata[i] = uuid.uuid5(uuid.NAMESPACE_URL, text), metadata[i] | {"original_id": text}
        if one in found:
            raise InputError(
                f"{where(values, i)} is {str(value)!r}, which an earlier row has too; ids are unique; "
                f"where such rows are one event: frame.drop_duplicates({values.name!r})"
            )
        found[one] = None
    return list(found)


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        return None


def _occurred(frame: pd.DataFrame, columns: Columns) -> Ints:
    us = np.full(len(frame), NO_TIME, dtype=np.int64)
    if columns.occurred_at is not None:
        values = frame[columns.occurred_at]
        there = values.notna().to_numpy() if columns.is_sparse else np.ones(len(frame), dtype=bool)
        us[there] = columns.times.read(values[there])[0]
    return us


def _objects(frame: pd.DataFrame, label: Any) -> Any:
    """A column of objects, or of their JSON, as dicts; an empty one where the cell is empty."""
    if label is None:
        return objects([{}] * len(frame))
    values = frame[label]
    cells, there = plain_column(values)
    found = [_object(values, i, one) if ok else {} for i, (one, ok) in enumerate(zip(cells, there, strict=True))]
    return objects(found)


def _object(values: pd.Series[Any], i: int, cell: Any) -> dict[str, Any]:
    try:
        found = from_json(cell, allow_inf_nan=False) if isinstance(cell, str) else cell
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{where(values, i)} is {json_values.shown(cell)}; give a dict, or an object as JSON")
    return found


def _tags(frame: pd.DataFrame, columns: Columns) -> Any:
    """A column of lists of text, or of their JSON, as tags; none where the cell is empty."""
    found = objects([()] * len(frame))
    if columns.tags is None:
        return found
    values = frame[columns.tags]
    for i, cell in enumerate(values.tolist()):
        if missing(cell):
            continue
        with suppress(ValueError):  # which is told below
            cell = from_json(cell) if isinstance(cell, str) else cell
        try:
            found[i] = tags.given(cell.tolist() if isinstance(cell, np.ndarray) else cell, "its tags")
        except InputError as error:
            raise InputError(f"{where(values, i)}: {error}") from None
    return found


# -- types and data ---------------------------------------------------------------------------------------------------


def _kinds(frame: pd.DataFrame, columns: Columns) -> tuple[list[Kind], Ints]:
    """The distinct types and schema versions, and each row's index among them."""
    names, codes = _names(frame[columns.type], "an event type")
    if columns.schema_version is None:
        return [(name, 1) for name in names], codes
    versions: list[Any] = frame[columns.schema_version].tolist()
    for i, version in enumerate(versions):
        if type(version) is not int or version < 1:
            raise InputError(f"{where(frame[columns.schema_version], i)} is {version!r}, which is no schema version")
    both, found = pd.factorize(objects(list(zip(codes.tolist(), versions, strict=True))))
    return [(names[code], version) for code, version in found], both


def _parts(
    frame: pd.DataFrame, columns: Columns, kinds: list[Kind], codes: Ints, given_tags: Any
) -> tuple[list[Part], list[Part]]:
    """The rows as their classes store them, where there are some; and as the frame has them.

    What classes make of them as tags stands before the `given_tags`; but the kit's own frames say which they had.
    """
    fields = {name: plain_column(values) for name, values in columns.payload(frame).items()}
    data = None if columns.data is None else _objects(frame, columns.data).tolist()
    given: Payload = (
        Cells(kinds, codes, fields) if data is None else Objects([kinds[code] for code in codes.tolist()], data)
    )
    everything, loose, parts = np.arange(len(frame)), np.ones(len(frame), dtype=bool), []
    for code, (name, version) in enumerate(kinds):
        kind = schema.registered(name)
        if kind is None or columns.is_raw or (columns.schema_version is not None and version > kind.version):
            continue
        at = np.flatnonzero(codes == code)
        loose[at] = False
        if data is None:
            own = {field: (cells[at], there[at]) for field, (cells, there) in fields.items()}
            held = held_to(kind, own, frame.index[at], nulls=columns.is_own)
        else:
            held = checked(kind, [data[i] for i in at.tolist()], frame.index[at])
        parts.append(Part(at, np.arange(len(at)), held.payload))
        if held.tags is not None and not columns.is_own:
            for i, made in zip(at.tolist(), held.tags, strict=True):
                given_tags[i] = tags.joined(made, given_tags[i], f"the tags of row {label(frame.index, i)!r}")
    if loose.any():
        parts.insert(0, Part(everything[loose], everything[loose], given))
    return parts, [Part(everything, everything, given)]

"""Parquet: columns with types; what is nested in them (lists, structs, maps, dictionaries) becomes plain values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import plain_objects_only
from eventsourcing_kit.formats.format import OWN, ForeignLog, check_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventsourcing_kit.formats.file import File
    from eventsourcing_kit.formats.format import Events, Losses, Target

_INDEX = "__index_level_0__"  # pandas' name for an index that has none
_JSON = pa.json_(pa.string())
_SCHEMA = {
    "id": pa.string(), "stream": pa.string(), "version": pa.int64(), "position": pa.int64(), "type": pa.string(),
    "schema_version": pa.int64(), "recorded_at": pa.timestamp("us", "UTC"), "occurred_at": pa.timestamp("us", "UTC"),
    "metadata": _JSON, "data": _JSON, "tags": pa.list_(pa.string()),
}  # fmt: skip


# -- read -------------------------------------------------------------------------------------------------------------


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """The table's columns; times stay times, all else becomes what plain JSON has for it."""
    with file.open() as opened:
        try:
            stored = pq.ParquetFile(opened)
            check_width(len(stored.schema_arrow), file.name)
            table = stored.read()
        except (pa.ArrowException, OSError) as error:
            first = str(error).partition("\n")[0]
            raise InputError(f"{file.name} is cut off or damaged: {first}; get the file again") from None
    is_own = set(table.column_names) >= OWN
    took = ""
    if _INDEX in table.column_names:
        table, took = table.drop_columns([_INDEX]), "the index without a name is left out"
    with plain_objects_only():
        columns = {
            name: _values(column, is_own=is_own) for name, column in zip(table.column_names, table.columns, strict=True)
        }
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs.update(_noted(table.schema.metadata or {}))
    if is_own and _is_text(_stored(table.schema, "data")):
        frame.attrs["raw"] = True
    return ForeignLog(frame, given, took, f"pd.read_parquet({file.name!r})")


def _noted(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What a frame of the kit noted of itself when pandas wrote it."""
    noted: dict[str, Any] = json.loads(metadata.get(b"pandas", b"{}")).get("attributes", {})
    return {name: value for name, value in noted.items() if name in ("raw", "fields", "tagged")}


def _stored(schema: pa.Schema, name: str) -> pa.DataType:
    """How a column is stored; null where there is none."""
    kind = schema.field(name).type if name in schema.names else pa.null()
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _values(column: pa.ChunkedArray, *, is_own: bool) -> Any:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.to_pandas()
    if column.null_count == 0 and (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    ):
        return column.to_numpy()
    values: Any = column.to_pylist(maps_as_pydicts="lossy")
    if isinstance(kind, pa.JsonType) and not is_own:
        values = [None if value is None else from_json(value) for value in values]
    if is_own and pa.types.is_struct(kind):  # of objects that lack a member, too, which is then null in them
        values = [None if one is None else {k: v for k, v in one.items() if v is not None} for one in values]
    return np.fromiter(values, dtype=object, count=len(values))


# -- written ----------------------------------------------------------------------------------------------------------


def write(events: Events, target: Target, losses: Losses) -> None:
    """The kit's own columns; data and metadata as JSON, which Parquet knows as a type. Nothing is lost."""
    frames = events.frames()
    first = next(frames)
    schema = pa.schema([(name, _SCHEMA[name]) for name in first.columns])
    with pq.ParquetWriter(target.path, schema, compression="zstd") as file:
        for frame in _all(first, frames):
            file.write_table(pa.table([_array(frame[name], schema.field(name).type) for name in schema.names], schema))


def _all(first: pd.DataFrame, others: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    yield first
    yield from others


def _array(values: pd.Series[Any], kind: pa.DataType) -> Any:
    if kind != _JSON:
        return pa.array(values, type=kind, from_pandas=True)
    texts = pa.array([to_json(value).decode() for value in values.tolist()], type=pa.string())
    return pa.ExtensionArray.from_storage(_JSON, texts)

"""A mirror's files: written by bucket and range of positions, opened and checked, and merged."""

from __future__ import annotations

import json
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.mirroring import columns
from eventsourcing_kit.mirroring.arrow import pa, pq
from eventsourcing_kit.mirroring.blocks import Block, Rows, concatenated
from eventsourcing_kit.mirroring.manifest import File
from eventsourcing_kit.mirroring.tables import ATTRIBUTES, Shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.mirroring.manifest import Manifest
    from eventsourcing_kit.mirroring.places import Place

_RISING = ("position", "version", "recorded_at", "occurred_at")
_PLAIN = (*_RISING, "id", "is_copy")
_ROWS_A_GROUP = 1 << 16  # when files are merged


def name(bucket: int, first: int, last: int) -> str:
    """A file's name within the mirror."""
    return f"bucket-{bucket:04d}/{first:015d}-{last:015d}.parquet"


def is_ours(path: str) -> bool:
    """Whether a name is one that a mirror gives its files."""
    return path.startswith("bucket-") and path.endswith((".parquet", ".new"))


class Draft:
    """A file on its way: encoded part by part in memory, then written as one."""

    def __init__(self, schema: Any) -> None:
        self._sink = pa.BufferOutputStream()
        named = set(schema.names)
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            use_dictionary=[one for one in schema.names if one not in _PLAIN],
            column_encoding={one: "DELTA_BINARY_PACKED" for one in _RISING if one in named},
            write_statistics=True,
            store_schema=True,
        )
        self.first, self.last, self.rows = 0, 0, 0

    def add(self, table: Any) -> None:
        """More rows, in the log's order."""
        positions = table.column("position")
        self.first, self.last = self.first or positions[0].as_py(), positions[-1].as_py()
        self.rows += len(table)
        self._writer.write_table(table)

    @property
    def size(self) -> int:
        """The bytes that it takes by now."""
        found: int = self._sink.tell()
        return found

    def save(self, place: Place, bucket: int, manifest: Manifest, described: dict[str, Any]) -> File:
        """Write it; returns its entry."""
        own = {"store": str(manifest.store), "bucket": bucket, "buckets": manifest.buckets, "key": manifest.plain_key}
        self._writer.add_key_value_metadata({"ek": json.dumps({**own, **described}, ensure_ascii=False)})
        self._writer.close()
        content = self._sink.getvalue()
        path = name(bucket, self.first, self.last)
        place.write(path, content)
        return File(path, bucket, self.first, self.last, self.rows, content.size, zlib.crc32(content))


class Opened:
    """A file of a mirror, whole in memory as it is stored; raises `DamagedError` where it is not what it should be."""

    def __init__(self, place: Place, manifest: Manifest, file: File) -> None:
        self.file = file
        buffer = place.buffer(file.path, file.bytes)
        if zlib.crc32(buffer) != file.crc32:
            raise place.damaged(file.path, "holds other bytes than were written")
        try:
            self._parquet = pq.ParquetFile(pa.BufferReader(buffer), read_dictionary=["stream", "type"])
            meta = self._parquet.metadata
            own = json.loads(meta.metadata[b"ek"])
            self._shapes, self._fields = own["shapes"], own["fields"]
            found = uuid.UUID(own["store"]), own["bucket"], own["buckets"], own["key"], meta.num_rows
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise place.damaged(file.path, f"cannot be read ({error})") from None
        if found != (manifest.store, file.bucket, manifest.buckets, manifest.plain_key, file.rows):
            raise place.damaged(file.path, "is of another mirror")
        self._place = place

    def groups(self, after: int, upto: int) -> Iterator[Rows]:
        """Its rows in parts, those of which may lie above a position and up to another."""
        for number in range(self._parquet.num_row_groups):
            known = self._parquet.metadata.row_group(number).column(0).statistics
            if known is None or not known.has_min_max or (known.max > after and known.min <= upto):
                yield self._rows(lambda number=number: self._parquet.read_row_group(number, use_threads=False))

    def last_at(self, us: int) -> int:
        """The position of its last event that was recorded at or before a time; 0 where there is none."""
        for number in reversed(range(self._parquet.num_row_groups)):
            table = self._parquet.read_row_group(number, columns=["position", "recorded_at"], use_threads=False)
            times = np.asarray(_one_chunk(table.column("recorded_at")).view("int64"))
            behind = int(np.searchsorted(times, us, side="right"))
            if behind:
                return int(table.column("position")[behind - 1].as_py())
        return 0

    def rows(self) -> Rows:
        """All of them."""
        return self._rows(lambda: self._parquet.read(use_threads=False))

    def _rows(self, read: Any) -> Rows:
        try:
            table = read()
        except (OSError, pa.ArrowException) as error:
            raise self._place.damaged(self.file.path, f"cannot be read ({error})") from None
        attributes = {one: _one_chunk(table.column(one)) for one in ATTRIBUTES}
        fields = {one: _one_chunk(table.column(column)) for one, column in self._fields.items()}
        return Rows(attributes, fields, self._shapes)


def _one_chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def blocks(place: Place, manifest: Manifest, bucket: int, after: int, upto: int) -> Iterator[Block]:
    """A bucket's events above a position and up to another, in the log's order."""
    for file in manifest.of_bucket(bucket):
        if file.last > after and file.first <= upto:
            for rows in Opened(place, manifest, file).groups(after, upto):
                cut = between(rows, after, upto)
                if len(cut):
                    yield Block(manifest.store, cut)


def between(rows: Rows, after: int, upto: int) -> Rows:
    """Those above a position and up to another."""
    start, stop = np.searchsorted(np.asarray(rows.attributes["position"]), [after + 1, upto + 1]).tolist()
    return rows.take(slice(start, stop))


def merged(place: Place, manifest: Manifest, given: list[File]) -> File:
    """One file in place of several of a bucket that follow each other."""
    rows = concatenated([Opened(place, manifest, file).rows() for file in given])
    shapes = Shapes({one: columns.kind_in(column) for one, column in rows.fields.items()})
    for type_, version, names in rows.shapes:
        shapes.number(type_, version, names)
    named = shapes.names
    table = pa.table({**rows.attributes, **{named[one]: column for one, column in rows.fields.items()}})
    draft = Draft(table.schema)
    for start in range(0, len(table), _ROWS_A_GROUP):
        draft.add(table.slice(start, _ROWS_A_GROUP))
    return draft.save(place, given[0].bucket, manifest, shapes.described())

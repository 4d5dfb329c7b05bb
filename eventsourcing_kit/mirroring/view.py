"""A mirror, or one of its buckets, read as a log is read: by reads, folds and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eventsourcing_kit.errors import MomentError
from eventsourcing_kit.log.log import Log
from eventsourcing_kit.mirroring import files
from eventsourcing_kit.mirroring.arrow import pa
from eventsourcing_kit.mirroring.blocks import Block, concatenated
from eventsourcing_kit.mirroring.buckets import bucket
from eventsourcing_kit.mirroring.files import Opened
from eventsourcing_kit.records import ids, moment
from eventsourcing_kit.storage.keys import CommitEntry
from eventsourcing_kit.storage.lifecycle import Lifecycle

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.mirroring.manifest import File, Manifest
    from eventsourcing_kit.mirroring.places import Place
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.records.unknown import Policies

_POSITIONS_AT_ONCE = 1 << 18  # of the whole mirror: what is sorted together
_ROWS_A_BLOCK = 1 << 13


class View(Log):
    """What a mirror holds up to its position. `bucket` of it, or, with None, all of it in the log's order.

    Without `copies`, an event that stands in several buckets is there once.
    """

    def __init__(
        self, place: Place, manifest: Manifest, policies: Policies, *, bucket: int | None = None, copies: bool = True
    ) -> None:
        self.home, self.manifest, self.bucket, self.policies = place, manifest, bucket, policies
        self._copies = copies and bucket is not None
        self.head = CommitEntry(1, manifest.time, manifest.position, manifest.time, 0, b"")
        self.store_id = manifest.store
        self.life = Lifecycle()
        self.tail = ()
        self.types_seen = set(manifest.types)
        self.types_seen_upto = manifest.position

    def refresh(self) -> None:
        """It stays as it is."""

    @property
    def has_tags(self) -> bool:
        """Whether some events have tags."""
        return self.manifest.tagged

    # -- commits -----------------------------------------------------------------------------------------------------

    def commits(self, after: int, upto: int, *, backwards: bool = False) -> Iterator[Commit]:
        """Blocks of events above a position and up to another; perhaps with some before and behind."""
        if self.bucket is None or backwards:
            yield from self._in_order(after, upto, self._files(), backwards)
            return
        for block in files.blocks(self.home, self.manifest, self.bucket, after, upto):
            yield from self._once(block)

    def _files(self) -> list[File]:
        return list(self.manifest.files) if self.bucket is None else self.manifest.of_bucket(self.bucket)

    def _once(self, block: Block) -> Iterator[Block]:
        if self._copies or not block.is_copy.any():
            yield block
        elif not block.is_copy.all():
            yield block.taken(np.flatnonzero(~block.is_copy))

    def _in_order(self, after: int, upto: int, given: list[File], backwards: bool) -> Iterator[Block]:
        """Of many files, a range of positions at a time."""
        opened: dict[str, Opened] = {}
        starts = range(after, upto, _POSITIONS_AT_ONCE)
        for start in reversed(starts) if backwards else starts:
            stop = min(start + _POSITIONS_AT_ONCE, upto)
            needed = [one for one in given if one.last > start and one.first <= stop]
            opened = {one.path: opened.get(one.path) or Opened(self.home, self.manifest, one) for one in needed}
            parts = [files.between(rows, start, stop) for one in opened.values() for rows in one.groups(start, stop)]
            parts = [part for part in parts if len(part)]
            if not parts:
                continue
            joined = concatenated(parts)
            positions = np.asarray(joined.attributes["position"])
            keep = np.argsort(positions, kind="stable")
            if not self._copies:
                keep = keep[~np.asarray(joined.attributes["is_copy"].to_numpy(zero_copy_only=False))[keep]]
            ordered = joined.take(pa.array(keep))
            places = range(0, len(ordered), _ROWS_A_BLOCK)
            for at in reversed(places) if backwards else places:
                yield Block(self.manifest.store, ordered.take(slice(at, at + _ROWS_A_BLOCK)))

    def stream_commits(self, stream: str, upto: int, *, after: int = 0, backwards: bool = False) -> Iterator[Commit]:
        """Blocks up to a position that hold versions of a stream above `after`."""
        given = self._files()
        if self.manifest.key is None and self.bucket is None:
            given = self.manifest.of_bucket(bucket(stream, self.manifest.buckets))
        for block in self._in_order(0, upto, given, backwards):
            if stream in block.rows_of_streams and int(block.versions[block.rows_of_streams[stream][-1]]) > after:
                yield block

    def tagged_commits(
        self, alternatives: Iterable[Sequence[str]], after: int, upto: int, *, backwards: bool = False
    ) -> Iterator[Commit]:
        """All blocks, among which those with the tags are."""
        return self.commits(after, upto, backwards=backwards)

    def last_version(self, stream: str) -> int:
        """A stream's version."""
        return self.version(stream)

    def commit_of(self, position: int) -> Commit:
        """A block that holds a position."""
        for block in self._in_order(position - 1, position, self._files(), False):
            return block
        raise self.home.damaged("manifest.json", f"names no file that holds position {position}")

    def version(self, stream: str, upto: int | None = None) -> int:
        """A stream's version as of a position."""
        upto = self.head.last if upto is None else upto
        for block in self.stream_commits(stream, upto, backwards=True):
            rows = block.rows_of_streams[stream]
            count = int(np.searchsorted(block.positions[rows], upto, side="right"))
            if count:
                return int(block.versions[rows[count - 1]])
        return 0

    # -- moments -----------------------------------------------------------------------------------------------------

    def resolve(self, given: object) -> int:
        """The position that a moment names; raises `MomentError`, for one behind the mirror's end too."""
        parsed = moment.parse(given)
        self.check_store(given)
        if type(parsed) is int and not 0 <= parsed <= self.head.last:
            raise MomentError(
                f"the mirror goes to position {self.head.last}, and {parsed} was asked for; mirror.update(store) adds "
                "what the log has got since"
            )
        return super().resolve(given)

    def position_at(self, us: int) -> int:
        """The last position recorded at or before a time; 0 before the first."""
        if us >= self.manifest.time:
            return self.head.last
        found = 0
        for one in sorted(self._files(), key=lambda file: -file.last):
            if one.last > found:
                found = max(found, Opened(self.home, self.manifest, one).last_at(us))
        return found

    def time_of(self, position: int) -> int:
        """When the event at a position was recorded."""
        if position in (0, self.head.last):
            return super().time_of(position)
        block = self.commit_of(position)
        return int(block.times[np.searchsorted(block.positions, position)])

    def position_of(self, event_id: uuid.UUID) -> int | None:
        """The position of the event with this id, or None."""
        wanted = np.frombuffer(event_id.bytes, dtype=np.uint8)
        position = ids.position_in(event_id)
        likely = [position] if event_id.version == 7 and 1 <= position <= self.head.last else []
        for start, stop in [*((one - 1, one) for one in likely), (0, self.head.last)]:
            for block in self._in_order(start, stop, self._files(), False):
                found = np.flatnonzero((block.id_bytes == wanted).all(axis=1))
                if len(found):
                    return int(block.positions[found[0]])
        return None

"""The newest records, still at hand for those who follow the log: they need not be read back."""

from __future__ import annotations

_RECORDS = 16
_BYTES = 4 << 20


class Tail:
    """Some consecutive records at the log's end. A reader takes the tuple as it is; only the writer puts a new one."""

    def __init__(self) -> None:
        self._records: tuple[tuple[int, int, bytes], ...] = ()

    def add(self, first: int, last: int, record: bytes) -> None:
        """The next record, with its first and last position."""
        records = (*self._records, (first, last, record))[-_RECORDS:]
        while sum(len(kept) for _, _, kept in records) > _BYTES:
            records = records[1:]
        self._records = records

    def clear(self) -> None:
        """Forget them, because the next one is not kept."""
        self._records = ()

    def between(self, after: int, upto: int) -> list[bytes] | None:
        """The records that begin right after a position and hold those up to another; None where some are not here."""
        records = self._records
        if not records or records[-1][1] < upto or all(first != after + 1 for first, _, _ in records):
            return None
        return [record for first, _, record in records if after < first <= upto]

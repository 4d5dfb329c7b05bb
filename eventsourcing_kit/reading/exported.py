"""A read as formats take it: frames of some thousands of events, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.reading import event_frame

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]

_ROWS_A_FRAME = 10_000


class Exported:
    """The events of a read, as often as they are asked for; `advance` hears how many have passed.

    Where the store is `tagged`, each frame has a column of tags.
    """

    def __init__(
        self,
        store_id: uuid.UUID | None,
        chunks: Callable[[], Iterable[tuple[Commit, Ints]]],
        advance: Callable[[int], object],
        *,
        tagged: bool,
    ) -> None:
        self.store_id, self._chunks, self._advance, self._tagged = store_id, chunks, advance, tagged

    def frames(self) -> Iterator[pd.DataFrame]:
        """At least one, which is empty where there are no events."""
        nothing = True
        for chunks in self._in_parts():
            frame = event_frame.of_events(chunks, raw=True, tagged=self._tagged)
            nothing = False
            yield frame
            self._advance(len(frame))
        self._advance = lambda _: None  # a format that goes over the events again is not further on
        if nothing:
            yield event_frame.of_events([], raw=True, tagged=self._tagged)

    def _in_parts(self) -> Iterator[list[tuple[Commit, Ints]]]:
        part: list[tuple[Commit, Ints]] = []
        count = 0
        for commit, rows in self._chunks():
            for start in range(0, len(rows), _ROWS_A_FRAME):
                few = rows[start : start + _ROWS_A_FRAME]
                part.append((commit, few))
                count += len(few)
                if count >= _ROWS_A_FRAME:
                    yield part
                    part, count = [], 0
        if part:
            yield part

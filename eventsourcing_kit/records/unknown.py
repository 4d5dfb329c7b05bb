"""Events that no class knows: what a store does with types without a class, and with newer versions than the class's.

`EventStore(…, unknown="keep", newer="fail")` are the defaults: a fact needs no class, so its data stays a dict; but
data of a newer version than the class's means something that the code at hand has not learned yet.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from eventsourcing_kit.errors import InputError, SchemaError
from eventsourcing_kit.events import renames, schema

if TYPE_CHECKING:
    import numpy.typing as npt

    from eventsourcing_kit.records.record import Commit

    Ints = npt.NDArray[np.int64]

Policy = Literal["keep", "skip", "fail"]


@dataclass(frozen=True, slots=True)
class Policies:
    """What is done with events of an `unknown` type, and with those `newer` than their class: keep, skip or fail."""

    unknown: Policy = "keep"
    newer: Policy = "fail"

    def __post_init__(self) -> None:
        for name, policy in (("unknown", self.unknown), ("newer", self.newer)):
            if policy not in get_args(Policy):
                raise InputError(
                    f"{name} is {policy!r}; give 'keep' (their data stays a dict), 'skip' (they are left out, and "
                    "counted), or 'fail' (reading one raises)"
                )

    @property
    def skips(self) -> bool:
        """Whether some events may be left out."""
        return "skip" in (self.unknown, self.newer)

    def of(self, type_: str, version: int) -> Policy | None:
        """The policy that holds for a stored type and version; None where a class knows them."""
        kind = schema.registered(renames.current(type_))
        if kind is None:
            return self.unknown
        return self.newer if version > kind.version else None

    def apply(self, commit: Commit, rows: Ints, limit: int | None, skipped: Counter[str] | None) -> Ints:
        """`rows` without those to skip, and no more than `limit`; raises where one of them is to fail."""
        found = [self.of(shape.type, shape.schema_version) for shape in commit.shapes]
        if "skip" in found:
            rows = _without_skipped(commit, rows, found, limit, skipped)
        rows = rows[:limit]
        if "fail" in found:
            failing = np.array([policy == "fail" for policy in found])[commit.shape_codes[rows]]
            if failing.any():
                raise self.refusal(commit, int(rows[failing.argmax()]))
        return rows

    def refusal(self, commit: Commit, row: int) -> SchemaError:
        """The error that names an event which no class knows."""
        type_, version, *_ = commit.shapes[int(commit.shape_codes[row])]
        name = renames.current(type_)
        kind = schema.registered(name)
        where = f"the event at position {commit.positions[row]}"
        if kind is None:
            return SchemaError(
                f"{where} is of type {name!r}, which has no class, and this store was opened with unknown='fail'; "
                "define the class, or open the store with unknown='keep' (their data stays a dict) or 'skip'"
            )
        return SchemaError(
            f"{where} has schema version {version} of {name!r}, and the class {kind.cls.__name__} has version "
            f"{kind.version}; define the newer class, or open the store with newer='keep' (their data stays a dict) or "
            "'skip'"
        )


def _without_skipped(
    commit: Commit, rows: Ints, found: list[Any], limit: int | None, skipped: Counter[str] | None
) -> Ints:
    codes = commit.shape_codes[rows]
    left_out = np.array([policy == "skip" for policy in found])[codes]
    kept = np.flatnonzero(~left_out)
    if skipped is not None:
        seen = len(rows) if limit is None or len(kept) < limit else int(kept[limit - 1]) + 1
        for code in codes[:seen][left_out[:seen]].tolist():
            skipped[renames.current(commit.shapes[code].type)] += 1
    return rows[kept]

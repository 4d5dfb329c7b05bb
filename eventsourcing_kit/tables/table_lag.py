"""How far behind tables are: as a frame, and as the error of who waited for them in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from eventsourcing_kit.errors import LaggardError
from eventsourcing_kit.reading import frames

if TYPE_CHECKING:
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.tables.reported_table import ReportedTable


def frame(rows: list[tuple[str, int, int, str, str | None]]) -> pd.DataFrame:
    """One row a table: table, position, behind, state, error."""
    return pd.DataFrame(
        {
            "table": _texts([row[0] for row in rows]),
            "position": frames.nullable([row[1] for row in rows]),
            "behind": frames.nullable([row[2] for row in rows]),
            "state": _texts([row[3] for row in rows]),
            "error": _texts([row[4] for row in rows]),
        }
    )


def _texts(values: list[Any]) -> Any:
    return frames.strings(frames.objects([pd.NA if one is None else one for one in values]))


def waited_in_vain(log: Log, wanted: int, tables: list[ReportedTable], why_idle: str | None) -> LaggardError:
    """The error that names the tables which have not come to a position; `why_idle` where nothing moves them."""
    told = ", ".join(_told(one, log, wanted) for one in tables)
    if wanted > log.head.last:
        told += f"; the log itself is known up to {log.head.last}"
    cure = "" if why_idle is None else f"; {why_idle}"
    found = [(one.name, one.position, wanted - one.position, one.error) for one in tables]
    error = LaggardError(f"position {wanted} is not reached: {told}{cure}", wanted, found)
    error.__cause__ = next((one.error for one in tables if one.error is not None), None)
    return error


def _told(table: ReportedTable, log: Log, wanted: int) -> str:
    trouble = table.trouble(log)
    return f"{table.name!r} is at {table.position}, {wanted - table.position} behind" + (
        f" ({trouble})" if trouble else ""
    )

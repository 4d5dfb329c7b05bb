"""Names of columns by which usual tools say what is what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# The process-mining tools' names for the parts of XES, in frames and in CSV.
XES = {"stream": "case:concept:name", "type": "concept:name", "recorded_at": "time:timestamp"}
_OF_A_CASE = "case:"


def roles(labels: Iterable[Any], given: Iterable[str] = ()) -> dict[str, str]:
    """Which column is what, by a convention that says all that was not given."""
    there = set(labels)
    missing = {role: label for role, label in XES.items() if role not in set(given)}
    return missing if there.issuperset(missing.values()) else {}


def fields(labels: Iterable[Any]) -> dict[Any, str]:
    """Fields that are named otherwise than their columns: a case's attributes are `case_…`, as those of XES."""
    names = {label: str(label) for label in labels}
    found = {
        label: f"case_{name.removeprefix(_OF_A_CASE)}" for label, name in names.items() if name.startswith(_OF_A_CASE)
    }
    return {label: name for label, name in found.items() if name not in names.values()}

"""What a reporting database keeps of itself: which store it reports on, and each table's release and checkpoint."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, StorageError
from eventsourcing_kit.tables.duck import quoted

if TYPE_CHECKING:
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.tables.duck import Duck

SCHEMA = "eventsourcing_kit"
FORMAT = "1"
_ABOUT, _TABLES = f"{SCHEMA}.about", f"{SCHEMA}.tables"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a table: its checkpoint (`position`, `mark`), by what code it was made, and its columns."""

    name: str
    release: int
    position: int = 0
    mark: str = ""
    code: str = ""
    temporal: bool = False
    columns: str = ""


def mark(commit: Commit, position: int) -> str:
    """What only this history has at a position: its event's id, and the hash of all commits before that one."""
    event_id: bytes = commit.id_bytes[position - commit.first].tobytes()
    return commit.previous.hex() + event_id.hex()


def prepare(duck: Duck) -> None:
    """Make the catalogue, or read that it is one of this format; remove what a rebuild left that was broken off.

    Raises `StorageError` for a format that this version does not know.
    """
    with duck.transaction():
        duck.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        duck.run(f"CREATE TABLE IF NOT EXISTS {_ABOUT} (what VARCHAR, is_it VARCHAR)")
        duck.run(
            f"CREATE TABLE IF NOT EXISTS {_TABLES} (name VARCHAR, release BIGINT, position BIGINT, mark VARCHAR, "
            "code VARCHAR, temporal BOOLEAN, columns VARCHAR)"
        )
        found = _about(duck, "format")
        if found is None:
            _set_about(duck, "format", FORMAT)
        elif found != FORMAT:
            raise StorageError(
                f"a reporting database of format {found}, and this version of the kit writes format {FORMAT}; "
                "update the kit, or give another file: a reporting database can always be built again from the log"
            )
        wanted = {f"{one.name} {one.release}{end}" for one in tables(duck).values() for end in ("", " past")}
        for (name,) in duck.run("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", SCHEMA):
            if name not in wanted and name not in ("about", "tables"):
                duck.run(f"DROP TABLE {SCHEMA}.{quoted(name)}")


def _about(duck: Duck, what: str) -> str | None:
    rows = duck.run(f"SELECT is_it FROM {_ABOUT} WHERE what = ?", what)
    return str(rows[0][0]) if rows else None


def _set_about(duck: Duck, what: str, is_it: str) -> None:
    duck.run(f"DELETE FROM {_ABOUT} WHERE what = ?", what)
    duck.run(f"INSERT INTO {_ABOUT} VALUES (?, ?)", what, is_it)


def store_id(duck: Duck) -> str | None:
    """The id of the store that this database reports on; None while no table holds an event."""
    return _about(duck, "store") if any(one.position for one in tables(duck).values()) else None


def set_store_id(duck: Duck, text: str) -> None:
    """Remember the store."""
    with duck.transaction():
        _set_about(duck, "store", text)


def tables(duck: Duck) -> dict[str, Kept]:
    """What is kept of each table, by name."""
    rows = duck.run(f"SELECT name, release, position, mark, code, temporal, columns FROM {_TABLES} ORDER BY rowid")
    return {row[0]: Kept(*row) for row in rows}


def keep(duck: Duck, kept: Kept) -> None:
    """Remember a table's release and checkpoint, in the transaction that wrote its rows."""
    duck.run(f"DELETE FROM {_TABLES} WHERE name = ?", kept.name)
    duck.run(f"INSERT INTO {_TABLES} VALUES (?, ?, ?, ?, ?, ?, ?)", *astuple(kept))


def check_free(duck: Duck, name: str) -> None:
    """Raise `InputError` for a table's name that something else in the database has."""
    taken = duck.run(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'main' AND lower(table_name) = lower(?)", name
    )
    if taken:
        raise InputError(f"the database has another table named {name!r} already; give another name: table=…")

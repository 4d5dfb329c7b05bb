"""What a reporting database keeps of itself: which store it reports on, and each table's release and checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.errors import InputError, StorageError
from eventsourcing_kit.tables.duck import quoted
from eventsourcing_kit.tables.state_table import SCHEMA
from eventsourcing_kit.tables.table_release import Kept

if TYPE_CHECKING:
    from eventsourcing_kit.tables.duck import Duck

FORMAT = "1"
_ABOUT, _TABLES = f"{SCHEMA}.about", f"{SCHEMA}.tables"


def prepare(duck: Duck) -> None:
    """Make the catalogue, or read that it is one of this format; remove what a rebuild left that was broken off."""
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
        _sweep(duck)


def _sweep(duck: Duck) -> None:
    kept = {f"{name} {one.release}{end}" for name, one in tables(duck).items() for end in ("", " past")}
    there = duck.run("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", SCHEMA)
    for (name,) in there:
        if name not in kept and name not in ("about", "tables"):
            duck.run(f"DROP TABLE {SCHEMA}.{quoted(name)}")


def _about(duck: Duck, what: str) -> str | None:
    rows = duck.run(f"SELECT is_it FROM {_ABOUT} WHERE what = ?", what)
    return str(rows[0][0]) if rows else None


def _set_about(duck: Duck, what: str, is_it: str) -> None:
    duck.run(f"INSERT INTO {_ABOUT} VALUES (?, ?)", what, is_it)


def store_id(duck: Duck) -> str | None:
    """The id of the store that this database reports on; None while no table holds an event."""
    return _about(duck, "store") if any(one.position for one in tables(duck).values()) else None


def set_store_id(duck: Duck, text: str) -> None:
    """Remember the store."""
    duck.run(f"DELETE FROM {_ABOUT} WHERE what = 'store'")
    _set_about(duck, "store", text)


def tables(duck: Duck) -> dict[str, Kept]:
    """Each table's release, by name."""
    rows = duck.run(f"SELECT name, release, position, mark, code, temporal, columns FROM {_TABLES} ORDER BY rowid")
    return {name: Kept(*kept) for name, *kept in rows}


def keep(duck: Duck, name: str, kept: Kept) -> None:
    """Remember a table's release and checkpoint, in the transaction that wrote its rows."""
    duck.run(f"DELETE FROM {_TABLES} WHERE name = ?", name)
    values = (name, kept.release, kept.position, kept.mark, kept.code, kept.temporal, kept.columns)
    duck.run(f"INSERT INTO {_TABLES} VALUES (?, ?, ?, ?, ?, ?, ?)", *values)


def check_free(duck: Duck, name: str) -> None:
    """Refuse a table's name that something else in the database has."""
    taken = duck.run(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'main' AND lower(table_name) = lower(?)", name
    )
    if taken:
        raise InputError(f"the database has another table named {name!r} already; give another name: table=…")

"""OCEL 2.0 and 1.0 as SQLite databases."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.formats import ocel
from eventsourcing_kit.formats.ocel import ObjectLog
from eventsourcing_kit.formats.ocel_written import Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventsourcing_kit.formats.file import File
    from eventsourcing_kit.formats.format import Events, ForeignLog, Losses, Target

_OWN = {"ocel_id", "ocel_time", "ocel_type", "ocel_changed_field"}
_TYPES = {"string": "TEXT", "time": "TIMESTAMP", "integer": "INTEGER", "float": "REAL", "boolean": "BOOLEAN"}
_MOST_COLUMNS = 1_000
_ROWS_AT_ONCE = 10_000
_TABLES = """
CREATE TABLE event (ocel_id TEXT PRIMARY KEY, ocel_type TEXT);
CREATE TABLE object (ocel_id TEXT PRIMARY KEY, ocel_type TEXT);
CREATE TABLE event_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE object_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE event_object (ocel_event_id TEXT, ocel_object_id TEXT, ocel_qualifier TEXT);
CREATE TABLE object_object (ocel_source_id TEXT, ocel_target_id TEXT, ocel_qualifier TEXT);
"""


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """Either version; in 1.0 objects don't change, so what they are is so from the first."""
    log = ObjectLog(file.name)
    with _opened(file) as database:
        tables = {name.lower(): name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        try:
            if {"event", "object", "event_map_type", "object_map_type", "event_object"} <= tables.keys():
                _two(log, database, "object_object" in tables)
            elif {"events", "objects", "relations"} <= tables.keys():
                _one(log, database)
            else:
                raise InputError(
                    f"{file.name} is an SQLite database, and no object-centric log: it has the tables "
                    f"{sorted(tables.values())[:10]}; load a frame: "
                    f"pd.read_sql('SELECT …', sqlite3.connect({file.name!r}))"
                )
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise log.bad(f"{error}, after {log.reached}") from None
    return log.read(given)


@contextlib.contextmanager
def _opened(file: File) -> Iterator[sqlite3.Connection]:
    """The database, only to be read; one that is compressed is unpacked for that."""
    with tempfile.TemporaryDirectory() as folder, file.whole():
        path = file.path
        if file.compression or file.is_zip:
            path = Path(folder) / "log.sqlite"
            with file.open() as packed, path.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as database:
            try:
                database.execute("SELECT count(*) FROM sqlite_master")
                yield database
            except sqlite3.DatabaseError as error:
                raise InputError(f"{file.name} is cut off or damaged: {error}; get the file again") from None


def _rows(database: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """A table's rows, in the order in which they were put there."""
    try:
        found = database.execute(f"SELECT * FROM {_quoted(table)} ORDER BY rowid")
    except sqlite3.OperationalError:  # it has none
        found = database.execute(f"SELECT * FROM {_quoted(table)}")
    names = [column[0] for column in found.description]
    return (dict(zip(names, row, strict=True)) for row in found)


def _declared(database: sqlite3.Connection, table: str) -> dict[str, str]:
    """The columns with the types that are declared for them."""
    return {name: kind.lower() for _, name, kind, *_ in database.execute(f"PRAGMA table_info({_quoted(table)})")}


def _two(log: ObjectLog, database: sqlite3.Connection, has_relations: bool) -> None:
    for row in _rows(database, "object"):
        log.add_object(_text(row["ocel_id"]), _text(row["ocel_type"]))
    for values in _of_types(log, database, "object"):
        _add_values(log, values)
    for row in _rows(database, "object_object") if has_relations else ():
        one = log.object(_text(row["ocel_source_id"]), "a row of object_object")
        one.relations.append((_text(row["ocel_target_id"]), row["ocel_qualifier"] or ""))
    _events(log, database)


def _events(log: ObjectLog, database: sqlite3.Connection) -> None:
    related: dict[str, list[tuple[str, str]]] = {}
    for row in _rows(database, "event_object"):
        pair = _text(row["ocel_object_id"]), row["ocel_qualifier"] or ""
        related.setdefault(_text(row["ocel_event_id"]), []).append(pair)
    told: dict[str, dict[str, Any]] = {}
    for values in _of_types(log, database, "event"):
        if values["ocel_id"] in told:
            raise log.bad(f"the event {values['ocel_id']!r} is there twice; ids of events are unique")
        told[values["ocel_id"]] = values
    for row in _rows(database, "event"):
        id_ = _text(row["ocel_id"])
        values = told.pop(id_, {})
        data = {name: value for name, value in values.items() if name not in _OWN and value is not None}
        log.add_event(id_, _text(row["ocel_type"]), values.get("ocel_time"), data, related.pop(id_, []))
    for left, where in ((told, "the tables of event types"), (related, "event_object")):
        if left:
            raise log.bad(f"the event {next(iter(left))!r} of {where} is not in the table event")


def _add_values(log: ObjectLog, row: Mapping[str, Any]) -> None:
    changed, time = row.get("ocel_changed_field"), row.get("ocel_time")
    one = log.object(row["ocel_id"], "a row of values")
    if changed is not None:
        one.values.append((changed, time, row.get(changed)))
        return
    one.values += [(name, time, value) for name, value in row.items() if name not in _OWN and value is not None]


def _of_types(log: ObjectLog, database: sqlite3.Connection, part: str) -> Iterator[dict[str, Any]]:
    """The rows of the tables of all types, with values as their columns declare them."""
    for (mapped,) in database.execute(f"SELECT ocel_type_map FROM {part}_map_type").fetchall():
        table = f"{part}_{mapped}"
        kinds = _declared(database, table)
        for row in _rows(database, table):
            row["ocel_id"] = _text(row["ocel_id"])
            where = f"the {part} {row['ocel_id']!r}"
            yield {
                name: value if name in _OWN else log.value(_plain(value, kinds[name]), kinds[name], name, where)
                for name, value in row.items()
                if not name.startswith("ocel:")  # what a tool writes beside, of its own
            }


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return bool(value) if "bool" in kind and value in (0, 1) else value


def _text(value: Any) -> Any:
    """Ids that are numbers are text elsewhere."""
    return str(value) if isinstance(value, int) else value


def _one(log: ObjectLog, database: sqlite3.Connection) -> None:
    for row in _rows(database, "OBJECTS"):
        made = log.add_object(_text(row.pop("ocel:oid")), row.pop("ocel:type"))
        made.values = [(name, None, value) for name, value in row.items() if value is not None]
    related: dict[str, list[tuple[str, str]]] = {}
    for row in _rows(database, "RELATIONS"):
        related.setdefault(_text(row["ocel:eid"]), []).append((_text(row["ocel:oid"]), row.get("ocel:qualifier") or ""))
    for row in _rows(database, "EVENTS"):
        id_, type_, time = _text(row.pop("ocel:eid")), row.pop("ocel:activity"), row.pop("ocel:timestamp")
        data = {name: value for name, value in row.items() if value is not None}
        log.add_event(id_, type_, time, data, related.pop(id_, []))
    if related:
        raise log.bad(f"the event {next(iter(related))!r} of RELATIONS is not among the EVENTS")


# -- written ----------------------------------------------------------------------------------------------------------


def write(events: Events, target: Target, losses: Losses) -> None:
    """OCEL 2.0: a table for each type."""
    with (
        Written(events, target.path.parent, losses, most=_MOST_COLUMNS) as log,
        contextlib.closing(sqlite3.connect(target.path)) as database,
    ):
        database.executescript(_TABLES)
        events_in = _made(database, "event", log.event_types(), ["ocel_id TEXT", "ocel_time TIMESTAMP"])
        objects_in = _made(
            database, "object", log.object_types(), ["ocel_id TEXT", "ocel_time TIMESTAMP", "ocel_changed_field TEXT"]
        )
        for one in log.objects():
            database.execute("INSERT INTO object VALUES (?, ?)", (one.id, one.type))
            related = [(one.id, other, how) for other, how in one.relations]
            database.executemany("INSERT INTO object_object VALUES (?, ?, ?)", related)
            _put_values(database, objects_in[one.type], one.id, one.attributes)
        for one in log.events():
            database.execute("INSERT INTO event VALUES (?, ?)", (one.id, one.type))
            related = [(one.id, other, how) for other, how in one.relations]
            database.executemany("INSERT INTO event_object VALUES (?, ?, ?)", related)
            told = {"ocel_id": one.id, "ocel_time": one.time} | {name: value for name, _, value in one.attributes}
            _insert(database, events_in[one.type], told)
        database.commit()


def _made(
    database: sqlite3.Connection, part: str, types: Mapping[str, Mapping[str, str]], own: list[str]
) -> dict[str, str]:
    """A table for each type; returns their names."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for type_, kinds in types.items():
        name = base = re.sub(r"\W", "", type_, flags=re.ASCII) or "type"
        while name.lower() in taken:
            name = f"{base}_{len(taken)}"
        taken.add(name.lower())
        found[type_] = f"{part}_{name}"
        columns = ", ".join([*own, *(f"{_quoted(one)} {_TYPES[kind]}" for one, kind in kinds.items())])
        database.execute(f"CREATE TABLE {_quoted(found[type_])} ({columns})")
        database.execute(f"INSERT INTO {part}_map_type VALUES (?, ?)", (type_, name))
    return found


def _put_values(database: sqlite3.Connection, table: str, id_: str, attributes: list[tuple[str, Any, Any]]) -> None:
    """The first values in one row, each later one in a row of its own."""
    first = {name: value for name, time, value in attributes if time == ocel.INITIAL}
    _insert(database, table, {"ocel_id": id_, "ocel_time": ocel.INITIAL} | first)
    for name, time, value in attributes:
        if time != ocel.INITIAL:
            told = {"ocel_id": id_, "ocel_time": time, "ocel_changed_field": name, name: value}
            _insert(database, table, told)


def _insert(database: sqlite3.Connection, table: str, told: Mapping[str, Any]) -> None:
    names, marks = ", ".join(map(_quoted, told)), ", ".join("?" * len(told))
    database.execute(f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})", list(told.values()))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""Stored data as today's classes have it: upcast where there are upcasters, then validated by the class.

An event is read by the class of its type's name today. Where there is none, or one of an older schema version than the
event's, the data stays the plain dict that was stored (unless the store's policy, see `unknown`, says otherwise).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from eventsourcing_kit.errors import InputError, SchemaError
from eventsourcing_kit.events import renames, schema, upcasters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventsourcing_kit.events.schema import Schema
    from eventsourcing_kit.events.upcasters import Upcaster

    Row = dict[str, Any]


def reader(type_: str, version: int) -> Schema | None:
    """The class's schema that reads a stored type and version; None where no class knows it."""
    kind = schema.registered(renames.current(type_))
    return kind if kind is not None and version <= kind.version else None


def is_upcast(kind: Schema, version: int) -> bool:
    """Whether data of a stored version passes upcasters on its way to the class."""
    return version < kind.version and bool(upcasters.of(kind.name))


def each(
    type_: str, version: int, fields: list[str], columns: list[list[Any]], positions: Sequence[int]
) -> Iterator[Any]:
    """The data of stored events of one shape, one by one: event objects where a class knows them, else dicts.

    Raises `SchemaError` before the first where one of them doesn't fit its class.
    """
    kind = reader(type_, version)
    plain = None if kind is None or is_upcast(kind, version) else kind.plain_objects(_named(fields, columns))
    if plain is not None:
        return plain
    if kind is not None:
        return iter(_objects(kind, version, _rows(fields, columns, len(positions)), positions))
    if not columns:
        return ({} for _ in positions)
    return (dict(zip(fields, row)) for row in zip(*columns, strict=True))  # noqa: B905  # "strict" takes time


def from_columns(
    type_: str, version: int, fields: list[str], columns: list[list[Any]], positions: Sequence[int]
) -> list[Any]:
    """As `each`, in a list."""
    return list(each(type_, version, fields, columns, positions))


def values_of(
    type_: str, version: int, fields: list[str], columns: list[list[Any]], positions: Sequence[int], wanted: list[str]
) -> dict[str, list[Any]]:
    """Some fields of stored events of one shape, as their data has them; one that facts without a class lack is absent.

    Raises `AttributeError` for a field that the class lacks.
    """
    kind, stored = reader(type_, version), _named(fields, columns)
    if kind is None or (set(kind.fields).issuperset(wanted) and not is_upcast(kind, version) and kind.is_plain(stored)):
        return {name: stored[name] for name in wanted if name in stored}
    objects = from_columns(type_, version, fields, columns, positions)
    return {name: [getattr(one, name) for one in objects] for name in wanted}


def as_today(type_: str, version: int, row: Row, position: int) -> Row:
    """The data of a stored event as its class would store it today; as they are where it can't read them."""
    kind = reader(type_, version)
    try:
        return row if kind is None else kind.to_rows(_objects(kind, version, [row], [position]))[0]
    except (SchemaError, ValueError):
        return row


def _named(fields: list[str], columns: list[list[Any]]) -> dict[str, list[Any]]:
    return dict(zip(fields, columns, strict=True))


def _rows(fields: list[str], columns: list[list[Any]], count: int) -> list[Row]:
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*columns, strict=True)]
    return rows or [{} for _ in range(count)]


def _objects(kind: Schema, version: int, rows: list[Row], positions: Sequence[int]) -> list[Any]:
    links = _links(kind, version, positions[0]) if version < kind.version else []
    if links:
        rows = upcasters.apply(links, rows, positions)
    try:
        return kind.from_rows(rows)
    except ValidationError as error:
        raise _misfit(kind, version, links, error, positions) from error
    except Exception as error:
        raise _own_code_failed(kind, rows, positions) from error


def _links(kind: Schema, version: int, position: int) -> list[Upcaster]:
    """The whole chain, or the error that names its gap."""
    links: list[Upcaster] = []
    for link in upcasters.chain(kind.name, version, kind.version):
        if link is None:
            missing = version + len(links)
            raise SchemaError(
                f"the event at position {position} has schema version {version} of {kind.name!r}, its class "
                f"{kind.cls.__name__} has version {kind.version}, and there is no upcaster from version {missing}; "
                f"write one: @ek.upcast({kind.cls.__name__}, from_version={missing}); it may return the data unchanged"
            )
        links.append(link)
    return links


def _misfit(
    kind: Schema, version: int, links: list[Upcaster], error: ValidationError, positions: Sequence[int]
) -> SchemaError:
    first = error.errors()[0]
    at, *path = first["loc"]
    field = ".".join(map(str, path)) or "?"
    name, position = kind.cls.__name__, positions[int(at)]
    if links:
        value = "" if first["type"] == "missing" else f" (upcast: {first['input']!r})"
        return SchemaError(
            f"the event at position {position}, upcast from schema version {version} to {kind.version}, does not fit "
            f"the class {name} of its type {kind.name!r}: field {field!r}: {first['msg']}{value}; "
            f"mend {links[-1]}, or give the field a default or a type that fits in the class"
        )
    value = "" if first["type"] == "missing" else f" (stored: {first['input']!r})"
    chained = f", or write @ek.upcast({name}, from_version={version})" if version < kind.version else ""
    return SchemaError(
        f"the event at position {position} does not fit the class {name} "
        f"of its type {kind.name!r}: field {field!r}: {first['msg']}{value}; "
        f"give the field a default or a type that fits in the class{chained}"
    )


def _own_code_failed(kind: Schema, rows: list[Row], positions: Sequence[int]) -> SchemaError:
    """The error that names the first event on which a class's own code (a validator, say) raised."""
    at, told = 0, "on these events together, and on none alone"
    for i, row in enumerate(rows):
        try:
            kind.from_rows([row])
        except Exception as error:  # it may be any
            at, told = i, f"{type(error).__name__}: {error} (stored: {row!r})"
            break
    return SchemaError(
        f"the event at position {positions[at]} does not fit the class {kind.cls.__name__} of its type {kind.name!r}: "
        f"the class's own code failed: {told}; mend it there (a validator is to raise ValueError)"
    )


def misfits(
    type_: str, version: int, fields: list[str], columns: list[list[Any]], positions: Sequence[int]
) -> list[int]:
    """Which of the stored events of one shape (counted from 0) their class could not read."""
    kind = reader(type_, version)
    if kind is None:
        return []
    rows = _rows(fields, columns, len(positions))
    try:
        links = _links(kind, version, positions[0]) if version < kind.version else []
    except SchemaError:
        return list(range(len(rows)))
    try:
        return kind.misfits(upcasters.apply(links, rows, positions) if links else rows)
    except Exception:  # an upcaster, or the class's own code, fails: on some events or on all
        return [i for i, row in enumerate(rows) if not _is_readable(kind, version, row)]


def dropped(
    type_: str, version: int, fields: list[str], columns: list[list[Any]], positions: Sequence[int]
) -> set[str]:
    """The fields of stored events, all of them readable, that their class has no place for."""
    kind = reader(type_, version)
    if kind is None or kind.taken is None or not positions:
        return set()
    if not is_upcast(kind, version):
        return set(fields) - kind.taken
    rows = upcasters.apply(_links(kind, version, positions[0]), _rows(fields, columns, len(positions)), positions)
    return {name for row in rows for name in row} - kind.taken


def _is_readable(kind: Schema, version: int, row: Row) -> bool:
    try:
        _objects(kind, version, [row], [0])
    except SchemaError:
        return False
    return True


def _said(error: Exception) -> str:
    """What an error says; of pydantic's many lines the first field and what is wrong with it."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"field {'.'.join(map(str, first['loc'][1:]))!r}: {first['msg']}"


def is_newest(kind: Schema) -> bool:
    """Whether no class was defined since that reads the events of this one; it is then so until the next definition."""
    now = schema.generation()
    is_so = schema.registered(renames.current(kind.name)) is kind
    kind.newest_as_of = now if is_so else -1
    return is_so


def check_newest(kind: Schema, rows: list[Row]) -> None:
    """Refuse events of a class that was defined again (or renamed) since, where the newer one could not read them."""
    newest = schema.registered(renames.current(kind.name))
    if newest is None or newest is kind:
        return
    try:
        if newest.version < kind.version:
            raise ValueError(f"it has version {newest.version}, the event {kind.version}")
        if is_upcast(newest, kind.version):
            _objects(newest, kind.version, rows, [0] * len(rows))
        else:
            newest.from_rows(rows, strict_fields=True)
    except (ValueError, SchemaError) as error:
        why = _said(error).replace("the event at position 0", "the event")  # it has none yet
        if newest.name == kind.name and schema.home(newest.cls) != schema.home(kind.cls):
            raise InputError(
                f"{kind.name} names the class of the module {newest.cls.__module__} now, and this event is of that of "
                f"{kind.cls.__module__}, which does not fit it ({why}); {schema.OWN_NAME_CURE}"
            ) from None
        since = f"renamed to {newest.name}" if newest.name != kind.name else "defined again"
        raise InputError(
            f"{kind.name} was {since} since this event was made, and the newer class does not fit it "
            f"({why}); make the event anew"
        ) from None

"""OCEL 2.0 and 1.0 as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing_kit.formats.ocel import ObjectLog
from eventsourcing_kit.formats.ocel_written import Written, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.formats.file import File
    from eventsourcing_kit.formats.format import Events, ForeignLog, Losses, Target

_TWO, _ONE = {"events", "objects", "eventTypes", "objectTypes"}, {"ocel:events", "ocel:objects"}


def fits(file: File) -> bool:
    """Whether a JSON file is an object-centric log."""
    found = file.json
    return isinstance(found, dict) and (
        len(_TWO & found.keys()) >= 2 or bool(_ONE & found.keys()) or file.endings.endswith((".ocel.json", ".jsonocel"))
    )


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """Either version; in 1.0 objects don't change, so what they are is so from the first."""
    log, found = ObjectLog(file.name), file.json
    try:
        if _ONE & found.keys():
            _one(log, found)
        else:
            _two(log, found)
    except (KeyError, TypeError, AttributeError) as error:
        missing = f"lacks {error}" if isinstance(error, KeyError) else f"is not built as one: {error}"
        raise log.bad(f"the object-centric log {missing}, after {log.reached}") from None
    return log.read(given)


def _two(log: ObjectLog, found: Mapping[str, Any]) -> None:
    objects, events = _declared(found, "objectTypes"), _declared(found, "eventTypes")
    for one in found.get("objects") or ():
        made = log.add_object(one["id"], one["type"])
        types, where = objects.get(made.type, {}), f"the object {made.id!r}"
        made.values = [
            (each["name"], each.get("time"), log.value(each["value"], types.get(each["name"]), each["name"], where))
            for each in one.get("attributes") or ()
        ]
        made.relations = _related(one)
    for one in found["events"]:
        types, where = events.get(one["type"], {}), f"the event {one['id']!r}"
        data = {
            each["name"]: log.value(each["value"], types.get(each["name"]), each["name"], where)
            for each in one.get("attributes") or ()
        }
        log.add_event(one["id"], one["type"], one.get("time"), data, _related(one))


def _declared(found: Mapping[str, Any], part: str) -> dict[str, dict[str, str]]:
    return {
        kind["name"]: {one["name"]: one.get("type") for one in kind.get("attributes") or ()}
        for kind in found.get(part) or ()
    }


def _related(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(each["objectId"], each.get("qualifier") or "") for each in one.get("relationships") or ()]


def _one(log: ObjectLog, found: Mapping[str, Any]) -> None:
    for id_, one in (found.get("ocel:objects") or {}).items():
        made = log.add_object(id_, one["ocel:type"])
        made.values = [(name, None, value) for name, value in (one.get("ocel:ovmap") or {}).items()]
        made.relations = [(each["ocel:oid"], each.get("ocel:qualifier") or "") for each in one.get("ocel:o2o") or ()]
    for change in found.get("ocel:objectChanges") or ():
        name = change["ocel:field"]
        log.objects[change["ocel:oid"]].values.append((name, change["ocel:timestamp"], change.get(name)))
    for id_, one in found["ocel:events"].items():
        related = [(each["ocel:oid"], each.get("ocel:qualifier") or "") for each in one.get("ocel:typedOmap") or ()]
        related = related or [(other, "") for other in one.get("ocel:omap") or ()]
        data = dict(one.get("ocel:vmap") or {})
        log.add_event(id_, one["ocel:activity"], one.get("ocel:timestamp"), data, related)


def write(events: Events, target: Target, losses: Losses) -> None:
    """OCEL 2.0: objects first, then the events in their order."""
    with Written(events, target.path.parent, losses) as log, target.open() as file:
        for name, types in (("objectTypes", log.object_types()), ("eventTypes", log.event_types())):
            kinds = [
                {"name": type_, "attributes": [{"name": one, "type": kind} for one, kind in attributes.items()]}
                for type_, attributes in types.items()
            ]
            file.write(f'{"{" if name == "objectTypes" else ","}"{name}":{to_json(kinds)}\n'.encode())
        for name, each in (("objects", log.objects()), ("events", log.events())):
            file.write(f',"{name}":['.encode())
            for number, one in enumerate(each):
                related = [{"objectId": other, "qualifier": qualifier} for other, qualifier in one.relations]
                attributes = [
                    {"name": attribute, "value": value} | ({} if time is None else {"time": time})
                    for attribute, time, value in one.attributes
                ]
                told = {"id": one.id, "type": one.type} | ({} if one.time is None else {"time": one.time})
                text = to_json(told | {"attributes": attributes, "relationships": related})
                file.write(f"{',' * bool(number)}\n{text}".encode())
            file.write(b"]\n")
        file.write(b"}\n")

"""A small shop's object-centric log, OCEL 2.0 as JSON: `python -m tests.notebooks.generate_shop`.

Orders have items, and parcels carry items of one order or of two. One parcel was packed with an address that its
orders no longer had when it was sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "data" / "shop.ocel.json"
INITIAL = "1970-01-01T00:00:00Z"
ORDERS = {  # customer, address, price, items
    "o1": ("Ada", "Elm Street 1", 30, ["i1", "i2"]),
    "o2": ("Eve", "Oak Street 4", 18, ["i3"]),
    "o3": ("Eve", "Oak Street 4", 55, ["i4", "i5"]),
    "o4": ("Bo", "Fir Street 9", 12, ["i6"]),
}
CHANGES = [
    ("o1", "price", "2026-02-02T13:00:00Z", 25),
    ("o2", "address", "2026-02-03T15:00:00Z", "Ash Street 2"),
    ("o3", "address", "2026-02-03T15:00:00Z", "Ash Street 2"),
]
PARCELS = {  # when it was packed, its label, its items, its orders, when it was sent
    "p1": ("2026-02-03T09:00:00Z", "Elm Street 1", ["i1", "i2"], ["o1"], "2026-02-03T16:00:00Z"),
    "p2": ("2026-02-03T10:00:00Z", "Oak Street 4", ["i3", "i4"], ["o2", "o3"], "2026-02-04T09:00:00Z"),
    "p3": ("2026-02-04T09:30:00Z", "Ash Street 2", ["i5"], ["o3"], "2026-02-05T09:00:00Z"),
    "p4": ("2026-02-04T10:00:00Z", "Fir Street 9", ["i6"], ["o4"], "2026-02-05T09:05:00Z"),
}
PLACED = {"o1": "09:00", "o2": "09:30", "o3": "10:10", "o4": "11:00"}
PAID = {
    "o1": "2026-02-02T14:00:00Z",
    "o4": "2026-02-02T14:20:00Z",
    "o2": "2026-02-03T08:00:00Z",
    "o3": "2026-02-03T08:05:00Z",
}


def log() -> dict[str, Any]:
    """The log as OCEL has it."""
    return {
        "objectTypes": [
            _type("order", customer="string", address="string", price="integer"),
            _type("item"),
            _type("parcel", label="string"),
        ],
        "eventTypes": [
            _type(name) for name in ("order placed", "order paid", "parcel packed", "parcel sent", "parcel returned")
        ],
        "objects": _objects(),
        "events": _events(),
    }


def _type(name: str, **attributes: str) -> dict[str, Any]:
    return {"name": name, "attributes": [{"name": one, "type": kind} for one, kind in attributes.items()]}


def _value(name: str, time: str, value: Any) -> dict[str, Any]:
    return {"name": name, "time": time, "value": value}


def _objects() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for id_, (customer, address, price, items) in ORDERS.items():
        first = {"customer": customer, "address": address, "price": price}
        values = [_value(name, INITIAL, value) for name, value in first.items()]
        values += [_value(name, time, value) for order, name, time, value in CHANGES if order == id_]
        related = [{"objectId": item, "qualifier": "contains"} for item in items]
        found.append({"id": id_, "type": "order", "attributes": values, "relationships": related})
    items = [item for *_, items in ORDERS.values() for item in items]
    found += [{"id": item, "type": "item"} for item in items]
    for id_, (packed, label, *_) in PARCELS.items():
        found.append({"id": id_, "type": "parcel", "attributes": [_value("label", packed, label)]})
    return found


def _events() -> list[dict[str, Any]]:
    found: list[tuple[str, str, list[str]]] = []
    for id_, (*_, items) in ORDERS.items():
        found.append((f"2026-02-02T{PLACED[id_]}:00Z", "order placed", [id_, *items]))
    found += [(time, "order paid", [id_]) for id_, time in PAID.items()]
    for id_, (packed, _, items, orders, sent) in PARCELS.items():
        found.append((packed, "parcel packed", [id_, *orders, *items]))
        found.append((sent, "parcel sent", [id_, *orders, *items]))
    found.append(("2026-02-05T11:00:00Z", "parcel returned", ["p2", "o2", "o3"]))
    return [
        {
            "id": f"e{number}", "type": type_, "time": time,
            "relationships": [{"objectId": other, "qualifier": ""} for other in objects],
        }
        for number, (time, type_, objects) in enumerate(sorted(found), 1)
    ]  # fmt: skip


def text() -> str:
    """The file's text: an object and an event a line."""
    parts = [
        f'"{name}": [\n' + ",\n".join(json.dumps(one, ensure_ascii=False) for one in each) + "\n]"
        for name, each in log().items()
    ]
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    FILE.write_bytes(text().encode())
    print(f"{FILE.name}: {len(_events())} events")

#!/usr/bin/env bash
# An OCEL 2.0 file that r4pm reads and writes says that objects had their first values in 1970.
#
# Package: r4pm 0.6.2, polars 2.1.0
# Good guess: Each value of an object's attribute has its time in OCEL 2.0, and reading and writing keeps them.
# What happens: The first value of an attribute becomes a column of the objects, without its time, and is written with
#   1970-01-01T00:00:00Z. Later values keep their times.
# Whom it matters to: As-of questions over object-centric logs: the price that was set in February is there since
#   1970.
# Output seen:
#   1970-01-01T00:00:00Z 10.0
#   2025-03-01T00:00:00Z 12.0

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check r4pm==0.6.2 polars==2.1.0

cat >program.py <<'PROGRAM'
import json

import r4pm

log = {
    "objectTypes": [{"name": "order", "attributes": [{"name": "price", "type": "float"}]}],
    "eventTypes": [{"name": "placed", "attributes": []}],
    "objects": [
        {
            "id": "order-1",
            "type": "order",
            "relationships": [],
            "attributes": [
                {"name": "price", "time": "2025-02-01T00:00:00Z", "value": 10.0},
                {"name": "price", "time": "2025-03-01T00:00:00Z", "value": 12.0},
            ],
        }
    ],
    "events": [
        {
            "id": "e1",
            "type": "placed",
            "time": "2025-02-01T00:00:00Z",
            "attributes": [],
            "relationships": [{"objectId": "order-1", "qualifier": "places"}],
        }
    ],
}
with open("log.ocel.json", "w") as file:
    json.dump(log, file)
r4pm.df.export_ocel(r4pm.df.import_ocel("log.ocel.json"), "again.ocel.json")
with open("again.ocel.json") as file:
    (order,) = json.load(file)["objects"]
for value in order["attributes"]:
    print(value["time"], value["value"])
PROGRAM

cat >expected <<'EXPECTED'
1970-01-01T00:00:00Z 10.0
2025-03-01T00:00:00Z 12.0
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "r4pm 0.6.2 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

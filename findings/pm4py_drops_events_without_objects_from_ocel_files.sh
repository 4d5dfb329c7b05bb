#!/usr/bin/env bash
# pm4py's OCEL writers drop events that touch no object.
#
# Package: pm4py 2.7.23, pandas 3.1.1
# Good guess: An event without objects is an event: OCEL 2.0 requires no relation, and write_ocel2 writes each row of
#   the events table.
# What happens: Such events are missing in all three encodings, without a word; the log in memory has them.
# Whom it matters to: Whoever counts events before and after an export, and logs with events about the system itself
#   (started, stopped).
# Output seen:
#   in memory: ['placed', 'shop closed']
#   json ['placed']
#   xml ['placed']
#   sqlite ['placed']

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pm4py==2.7.23 pandas==3.1.1

cat >program.py <<'PROGRAM'
import contextlib
import io

import pandas as pd

with contextlib.redirect_stdout(io.StringIO()):  # the package greets
    import pm4py
    from pm4py.objects.ocel.obj import OCEL

noon = pd.Timestamp("2025-01-01T12:00:00.123456Z")

events = pd.DataFrame(
    {"ocel:eid": ["e1", "e2"], "ocel:activity": ["placed", "shop closed"], "ocel:timestamp": [noon, noon]}
)
objects = pd.DataFrame({"ocel:oid": ["order-1"], "ocel:type": ["order"]})
log = OCEL(events=events, objects=objects, relations=events.head(1).merge(objects, how="cross"))
print("in memory:", log.events["ocel:activity"].tolist())
for kind in ("json", "xml", "sqlite"):
    file = f"log.{kind}"
    getattr(pm4py, f"write_ocel2_{kind}")(log, file)
    print(kind, getattr(pm4py, f"read_ocel2_{kind}")(file).events["ocel:activity"].tolist())
PROGRAM

cat >expected <<'EXPECTED'
in memory: ['placed', 'shop closed']
json ['placed']
xml ['placed']
sqlite ['placed']
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "pm4py 2.7.23 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

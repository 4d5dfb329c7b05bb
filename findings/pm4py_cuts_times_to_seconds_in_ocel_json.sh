#!/usr/bin/env bash
# pm4py cuts times to whole seconds in OCEL JSON, and not in XML and SQLite.
#
# Package: pm4py 2.7.23, pandas 3.1.1
# Good guess: The three encodings of OCEL 2.0 hold the same log: what one of pm4py's writers keeps, the others keep.
# What happens: write_ocel2_json drops the fractions of a second, XML and SQLite keep microseconds. Events of one
#   second lose their order.
# Whom it matters to: Whoever exchanges object-centric logs as JSON, the most common of the three: times no longer
#   match, and ties appear.
# Output seen:
#   json 2025-01-01T12:00:00+00:00
#   xml 2025-01-01T12:00:00.123456+00:00
#   sqlite 2025-01-01T12:00:00.123456+00:00

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

events = pd.DataFrame({"ocel:eid": ["e1"], "ocel:activity": ["placed"], "ocel:timestamp": [noon]})
objects = pd.DataFrame({"ocel:oid": ["order-1"], "ocel:type": ["order"]})
log = OCEL(events=events, objects=objects, relations=events.merge(objects, how="cross"))
for kind in ("json", "xml", "sqlite"):
    file = f"log.{kind}"
    getattr(pm4py, f"write_ocel2_{kind}")(log, file)
    again = getattr(pm4py, f"read_ocel2_{kind}")(file)
    print(kind, again.events["ocel:timestamp"].iloc[0].isoformat())
PROGRAM

cat >expected <<'EXPECTED'
json 2025-01-01T12:00:00+00:00
xml 2025-01-01T12:00:00.123456+00:00
sqlite 2025-01-01T12:00:00.123456+00:00
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "pm4py 2.7.23 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

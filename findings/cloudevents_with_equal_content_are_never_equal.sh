#!/usr/bin/env bash
# Two CloudEvents of one content are not equal in the SDK's version 2, as they were in version 1.
#
# Package: cloudevents 2.2.0
# Good guess: Events are values: two with the same attributes and data are equal, as those of cloudevents.v1 are, so a
#   round trip can be checked with ==.
# What happens: The core's events have no __eq__: an event equals itself only, and `in`, sets and assertEqual say that
#   a faithful copy differs. The old class, shipped beside it, compares by value.
# Whom it matters to: Tests of producers and consumers, and deduplication: compare get_attributes() and get_data().
# Output seen:
#   same attributes: True
#   same data: True
#   equal: False
#   equal in v1: True

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0

cat >program.py <<'PROGRAM'
import datetime as dt

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OldEvent

attributes = {"specversion": "1.0", "id": "1", "source": "/bank", "type": "Deposited"}
now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
event = CloudEvent(attributes | {"time": now}, {"amount": 5})
again = JSONFormat().read(CloudEvent, JSONFormat().write(event))
print("same attributes:", event.get_attributes() == again.get_attributes())
print("same data:", event.get_data() == again.get_data())
print("equal:", event == again)
old = attributes | {"time": now.isoformat()}
print("equal in v1:", OldEvent(old, {"amount": 5}) == OldEvent(old, {"amount": 5}))
PROGRAM

cat >expected <<'EXPECTED'
same attributes: True
same data: True
equal: False
equal in v1: True
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "cloudevents 2.2.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

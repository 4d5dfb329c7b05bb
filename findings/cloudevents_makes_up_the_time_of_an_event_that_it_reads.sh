#!/usr/bin/env bash
# The CloudEvents SDK gives an event that says no time the time at which it is read.
#
# Package: cloudevents 2.2.0
# Good guess: time is optional in CloudEvents 1.0: an event without it has no time after it was read, and is written
#   without it again.
# What happens: Reading makes a time up, the reader's now. Reading the same bytes twice gives two times, and written
#   again the event states one that its producer never did.
# Whom it matters to: Whoever replays stored events, or dedupes, orders or signs by content: the made-up time can't be
#   told from a real one.
# Output seen:
#   has a time: True
#   the same at both readings: False
#   written with a time: True

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0

cat >program.py <<'PROGRAM'
import time

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

stored = b'{"specversion": "1.0", "id": "1", "source": "/bank", "type": "Deposited", "data": {"amount": 5}}'
first = JSONFormat().read(CloudEvent, stored)
time.sleep(0.01)
second = JSONFormat().read(CloudEvent, stored)
print("has a time:", first.get_time() is not None)
print("the same at both readings:", first.get_time() == second.get_time())
print("written with a time:", b'"time"' in JSONFormat().write(first))
PROGRAM

cat >expected <<'EXPECTED'
has a time: True
the same at both readings: False
written with a time: True
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "cloudevents 2.2.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

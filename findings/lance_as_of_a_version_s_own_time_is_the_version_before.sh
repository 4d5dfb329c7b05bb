#!/usr/bin/env bash
# A Lance dataset as of the time of a version is the version before it.
#
# Package: pylance 14.0.2, pyarrow 26.0.1
# Good guess: versions() tells each version's timestamp, and asof means up to and including: asof=that timestamp gives
#   that version.
# What happens: The comparison is exclusive: it gives the version before, and for the first version an error that its
#   own time is earlier than the dataset. Besides, timestamps are local times without a zone, and an aware one raises
#   a TypeError.
# Whom it matters to: Whoever stores a version's timestamp to come back to it: store the number instead.
# Output seen:
#   as of version 2's own time: version 1
#   as of version 1's own time: earlier than the first version of this dataset
#   the timestamps' zone: None
#   an aware time: can't compare offset-naive and offset-aware datetimes

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pylance==14.0.2 pyarrow==26.0.1

cat >program.py <<'PROGRAM'
import datetime as dt

import lance
import pyarrow as pa

lance.write_dataset(pa.table({"amount": [1]}), "table.lance")
lance.write_dataset(pa.table({"amount": [2]}), "table.lance", mode="append")
first, second = lance.dataset("table.lance").versions()
print("as of version 2's own time: version", lance.dataset("table.lance", asof=second["timestamp"]).version)
try:
    lance.dataset("table.lance", asof=first["timestamp"])
except ValueError as error:
    print("as of version 1's own time:", str(error).split(" is ")[1])
print("the timestamps' zone:", first["timestamp"].tzinfo)
try:
    lance.dataset("table.lance", asof=dt.datetime.now(dt.UTC))
except TypeError as error:
    print("an aware time:", error)
PROGRAM

cat >expected <<'EXPECTED'
as of version 2's own time: version 1
as of version 1's own time: earlier than the first version of this dataset
the timestamps' zone: None
an aware time: can't compare offset-naive and offset-aware datetimes
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "pylance 14.0.2 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

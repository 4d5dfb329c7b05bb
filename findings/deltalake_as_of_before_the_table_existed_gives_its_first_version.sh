#!/usr/bin/env bash
# A Delta table as of a time before it existed is its first version.
#
# Package: deltalake 1.6.6, pyarrow 26.0.1
# Good guess: As of a time before the first commit there is no table: an error, as Lance and Icechunk raise one.
# What happens: load_as_version takes the time without a word and loads version 0, rows and all.
# Whom it matters to: Whoever asks what was known at a time: for a table that did not exist yet the answer holds rows
#   from its future.
# Output seen:
#   as of 1999: version 0 [100]

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1

cat >program.py <<'PROGRAM'
import datetime as dt

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

write_deltalake("table", pa.table({"amount": [100]}))
table = DeltaTable("table")
table.load_as_version(dt.datetime(1999, 12, 31, tzinfo=dt.UTC))
print("as of 1999: version", table.version(), table.to_pyarrow_table()["amount"].to_pylist())
PROGRAM

cat >expected <<'EXPECTED'
as of 1999: version 0 [100]
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "deltalake 1.6.6 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# PyIceberg's overwrite leaves a moment in the table's past at which it was empty.
#
# Package: pyiceberg[sql-sqlite,pyarrow] 0.12.0, pyarrow 26.0.1
# Good guess: An overwrite replaces the rows in one commit and one snapshot: as of any time there are the old rows or
#   the new ones.
# What happens: It makes two snapshots, a deletion and an addition, each with its time. Readers of the newest state
#   never see the first, but whoever asks as of a time between them gets an empty table.
# Whom it matters to: Audits and as-of joins over Iceberg tables that are refreshed by overwriting.
# Output seen:
#   append [100]
#   delete []
#   append [120]

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyiceberg[sql-sqlite,pyarrow]==0.12.0 pyarrow==26.0.1

cat >program.py <<'PROGRAM'
import pathlib

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

here = pathlib.Path().absolute()
catalog = SqlCatalog("local", uri=f"sqlite:///{here}/catalog.db", warehouse=f"file://{here}")
catalog.create_namespace("bank")
table = catalog.create_table("bank.balances", schema=pa.schema([("balance", pa.int64())]))
table.append(pa.table({"balance": [100]}))
table.overwrite(pa.table({"balance": [120]}))
for snapshot in table.snapshots():
    known = table.snapshot_as_of_timestamp(snapshot.timestamp_ms)
    rows = table.scan(snapshot_id=known.snapshot_id).to_arrow()["balance"].to_pylist()
    print(snapshot.summary.operation.value, rows)
PROGRAM

cat >expected <<'EXPECTED'
append [100]
delete []
append [120]
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "pyiceberg[sql-sqlite,pyarrow] 0.12.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

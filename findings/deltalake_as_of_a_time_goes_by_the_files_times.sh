#!/usr/bin/env bash
# A copied Delta table has another past: as of a time goes by the log files' modification times.
#
# Package: deltalake 1.6.6, pyarrow 26.0.1
# Good guess: Each commit holds its time, and history() shows it, so load_as_version of a time answers the same for a
#   copy of the table.
# What happens: The answer comes from the modification times of the files in _delta_log. After a copy that does not
#   keep them (a checkout, an upload, a sync) the same question gets the first version, while history() still tells
#   the old times.
# Whom it matters to: Whoever audits or reproduces results with a time on a copied or restored table: use versions, or
#   keep the files' times.
# Output seen:
#   as of an hour after both commits: 1
#   the same question to a copy of a day later: 0
#   the copy's history says that both were there: True

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1

cat >program.py <<'PROGRAM'
import datetime as dt
import os
import pathlib
import shutil

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake


def set_times(table, *times):
    """Gives the log's files times, as a copy at that time would."""
    for file, time in zip(sorted(pathlib.Path(table, "_delta_log").glob("*.json")), times, strict=True):
        os.utime(file, (time.timestamp(), time.timestamp()))


def version_at(path, time):
    table = DeltaTable(path)
    table.load_as_version(time)
    return table.version()


write_deltalake("table", pa.table({"amount": [1]}))
write_deltalake("table", pa.table({"amount": [2]}), mode="append")
written = dt.datetime.now(dt.UTC)
asked = written + dt.timedelta(hours=1)
print("as of an hour after both commits:", version_at("table", asked))
shutil.copytree("table", "copy")
copied = written + dt.timedelta(days=1)
set_times("copy", copied, copied)
print("the same question to a copy of a day later:", version_at("copy", asked))
newest = max(commit["timestamp"] for commit in DeltaTable("copy").history())
print("the copy's history says that both were there:", newest <= asked.timestamp() * 1000)
PROGRAM

cat >expected <<'EXPECTED'
as of an hour after both commits: 1
the same question to a copy of a day later: 0
the copy's history says that both were there: True
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "deltalake 1.6.6 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# A log whose metadata are all empty can't be written as Parquet; one entry in one row is enough.
#
# Package: pandas 3.1.1, pyarrow 26.0.1
# Good guess: A column of dicts can be written, so a column of empty dicts can: {} is a value like any other.
# What happens: The dicts become an Arrow struct with a field a key; without any key there is no field, and Parquet
#   refuses the column. With one key in one row all can be written, and every {} comes back as {key: None}.
# Whom it matters to: Exports of event logs, whose metadata column is empty in most of them: the export works until a
#   log without any comes.
# Output seen:
#   one with an entry: [{'user': 'ada'}, {'user': None}]
#   all empty: Cannot write struct type 'metadata' with no child field to Parquet

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1

cat >program.py <<'PROGRAM'
import pandas as pd
import pyarrow as pa

some = pd.DataFrame({"position": [1, 2], "metadata": [{"user": "ada"}, {}]})
some.to_parquet("some.parquet")
print("one with an entry:", pd.read_parquet("some.parquet")["metadata"].tolist())
none = pd.DataFrame({"position": [1, 2], "metadata": [{}, {}]})
try:
    none.to_parquet("none.parquet")
except pa.ArrowNotImplementedError as error:
    print("all empty:", str(error).split(".")[0])
PROGRAM

cat >expected <<'EXPECTED'
one with an entry: [{'user': 'ada'}, {'user': None}]
all empty: Cannot write struct type 'metadata' with no child field to Parquet
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "pandas 3.1.1 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

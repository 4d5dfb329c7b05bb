#!/usr/bin/env bash
# The ids of uuid_utils equal no uuid.UUID, and pydantic and DuckDB refuse them.
#
# Package: uuid_utils 1.2.0, pydantic 2.14.3, duckdb 2.0.0
# Good guess: A drop-in replacement makes UUIDs: they equal those that were read back, are found in a dict by them,
#   and go where a UUID goes.
# What happens: uuid_utils.UUID is a class of its own. It hashes as the standard one does, and is never equal to it;
#   sorting a mixture raises; pydantic and DuckDB take neither. The module uuid_utils.compat, which is slower, makes
#   standard ones.
# Whom it matters to: Event stores that make ids with it and look them up by what they read back: nothing is found,
#   and nothing raises.
# Output seen:
#   same hash: True | equal: False | found: None
#   pydantic: uuid_type
#   DuckDB: NotImplementedException
#   compat makes <class 'uuid.UUID'>

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uuid_utils==1.2.0 pydantic==2.14.3 duckdb==2.0.0

cat >program.py <<'PROGRAM'
import uuid

import duckdb
import pydantic
import uuid_utils
import uuid_utils.compat

made = uuid_utils.uuid7()
read = uuid.UUID(str(made))
print("same hash:", hash(made) == hash(read), "| equal:", made == read, "| found:", {made: "event"}.get(read))
try:
    pydantic.TypeAdapter(uuid.UUID).validate_python(made)
except pydantic.ValidationError as error:
    print("pydantic:", error.errors()[0]["type"])
try:
    duckdb.execute("SELECT ?", [made])
except duckdb.Error as error:
    print("DuckDB:", type(error).__name__)
print("compat makes", type(uuid_utils.compat.uuid7()))
PROGRAM

cat >expected <<'EXPECTED'
same hash: True | equal: False | found: None
pydantic: uuid_type
DuckDB: NotImplementedException
compat makes <class 'uuid.UUID'>
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "uuid_utils 1.2.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

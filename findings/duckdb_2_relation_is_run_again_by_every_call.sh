#!/usr/bin/env bash
# A relation of DuckDB 2.0 keeps no result: every call on it asks anew.
#
# Package: duckdb 2.0.0
# Good guess: sql() gives a result: it can be counted, printed and fetched, and all of that speaks of the same rows.
# What happens: Every call runs the query again. Rows that were added in between appear, ids that were made up are
#   others each time, and fetchone is gone.
# Whom it matters to: Notebooks that keep `result = sql(...)` of a growing event table and show it twice, and code
#   written for 1.x; materialise it once with to_arrow_table() or df().
# Output seen:
#   [(1,)]
#   [(1,), (2,)] 2
#   the same id twice: False
#   fetchone: AttributeError

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0

cat >program.py <<'PROGRAM'
import duckdb

connection = duckdb.connect()
connection.execute("CREATE TABLE events (position INTEGER)")
connection.execute("INSERT INTO events VALUES (1)")
log = connection.sql("SELECT position FROM events")
print(log.fetchall())
connection.execute("INSERT INTO events VALUES (2)")
print(log.fetchall(), len(log))
ids = connection.sql("SELECT uuidv7() AS id")
print("the same id twice:", ids.fetchall() == ids.fetchall())
try:
    log.fetchone()
except AttributeError as error:
    print("fetchone:", type(error).__name__)
PROGRAM

cat >expected <<'EXPECTED'
[(1,)]
[(1,), (2,)] 2
the same id twice: False
fetchone: AttributeError
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "duckdb 2.0.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# DuckDB takes neither `at` nor `asof` as the name of a column, though it takes `timestamp`, `position` and `as_of`.
#
# Package: duckdb 2.0.0
# Good guess: `at` is the obvious name of an event's time and no keyword of common SQL dialects; if anything is
#   reserved, it is `timestamp`, `key` or `position`.
# What happens: `at` and `asof` have to be quoted wherever they stand, as columns of a new table and as aliases
#   without AS; the error names only the next character. The others are fine.
# Whom it matters to: Whoever creates tables from the fields of event classes by name: quote every identifier.
# Output seen:
#   at is a syntax error
#   asof is a syntax error
#   as_of is taken
#   timestamp is taken
#   position is taken
#   version is taken
#   key is taken
#   type is taken
#   "at" is taken

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0

cat >program.py <<'PROGRAM'
import duckdb

connection = duckdb.connect()
for name in ("at", "asof", "as_of", "timestamp", "position", "version", "key", "type", '"at"'):
    try:
        connection.execute(f"CREATE OR REPLACE TABLE events (id INTEGER, {name} TEXT)")
        print(name, "is taken")
    except duckdb.ParserException:
        print(name, "is a syntax error")
PROGRAM

cat >expected <<'EXPECTED'
at is a syntax error
asof is a syntax error
as_of is taken
timestamp is taken
position is taken
version is taken
key is taken
type is taken
"at" is taken
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "duckdb 2.0.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

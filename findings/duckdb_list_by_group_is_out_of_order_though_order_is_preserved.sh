#!/usr/bin/env bash
# DuckDB's list() of a group is not in the table's order, although preserve_insertion_order is on.
#
# Package: duckdb 2.0.0
# Good guess: preserve_insertion_order is on by default, and the table was filled in order, so list(position) GROUP BY
#   account holds each account's positions in order.
# What happens: With more than one thread each has a part of the table, and the parts of a group are joined as they
#   come. One thread, or ORDER BY inside list(), keeps the order.
# Whom it matters to: Whoever folds events a key in DuckDB with list(), or with first() and last(): write list(x ORDER
#   BY position).
# Output seen:
#   preserve_insertion_order: True
#   one thread, in order: True
#   four threads, in order each time: False
#   four threads, ordered: True

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0

cat >program.py <<'PROGRAM'
import duckdb

connection = duckdb.connect()
connection.execute("CREATE TABLE events AS SELECT range AS position, range % 1000 AS account FROM range(2000000)")


def in_order(what):
    rows = connection.execute(f"SELECT list({what}) FROM events GROUP BY account").fetchall()
    return all(positions == sorted(positions) for (positions,) in rows)


print("preserve_insertion_order:", connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall()[0][0])
connection.execute("SET threads = 1")
print("one thread, in order:", in_order("position"))
connection.execute("SET threads = 4")
# threads may by chance take their parts in order, so it is tried until once they don't
print("four threads, in order each time:", all(in_order("position") for _ in range(10)))
print("four threads, ordered:", in_order("position ORDER BY position"))
PROGRAM

cat >expected <<'EXPECTED'
preserve_insertion_order: True
one thread, in order: True
four threads, in order each time: False
four threads, ordered: True
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "duckdb 2.0.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# DuckDB's ASOF JOIN takes the first of several events at one time; Polars' and pandas' take the last.
#
# Package: duckdb 2.0.0, polars 2.1.0, pandas 3.1.1
# Good guess: As of a time means: the newest row at or before it, and of several rows with that time the last, as in
#   pandas.merge_asof and polars join_asof, which DuckDB's join is modelled on.
# What happens: Where several events of a key share a time, DuckDB joins the first of them, so the state as of that
#   time lacks the later ones; arg_max does the same. The other two take the last.
# Whom it matters to: Whoever reads states as of a time out of an event table with SQL: the join has to go by
#   position, or the ties must be broken before.
# Output seen:
#   DuckDB: 10
#   DuckDB, arg_max: 10
#   Polars: 30
#   pandas: 30

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0 polars==2.1.0 pandas==3.1.1

cat >program.py <<'PROGRAM'
import datetime as dt

import duckdb
import pandas as pd
import polars as pl

noon = dt.datetime(2025, 1, 1, 12)
events = {"account": ["a"] * 3, "at_time": [noon] * 3, "balance": [10, 20, 30]}
asked = {"account": ["a"], "at_time": [noon + dt.timedelta(hours=1)]}

connection = duckdb.connect()
connection.execute("CREATE TABLE events (account TEXT, at_time TIMESTAMP, balance INTEGER)")
connection.executemany("INSERT INTO events VALUES (?, ?, ?)", list(zip(*events.values())))
connection.execute("CREATE TABLE asked (account TEXT, at_time TIMESTAMP)")
connection.executemany("INSERT INTO asked VALUES (?, ?)", list(zip(*asked.values())))
joined = """
    SELECT balance FROM asked ASOF JOIN events
    ON asked.account = events.account AND asked.at_time >= events.at_time
"""
print("DuckDB:", connection.execute(joined).fetchall()[0][0])
print("DuckDB, arg_max:", connection.execute("SELECT arg_max(balance, at_time) FROM events").fetchall()[0][0])
print("Polars:", pl.DataFrame(asked).join_asof(pl.DataFrame(events), on="at_time", by="account")["balance"][0])
print("pandas:", pd.merge_asof(pd.DataFrame(asked), pd.DataFrame(events), on="at_time", by="account")["balance"][0])
PROGRAM

cat >expected <<'EXPECTED'
DuckDB: 10
DuckDB, arg_max: 10
Polars: 30
pandas: 30
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "duckdb 2.0.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

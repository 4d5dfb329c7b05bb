#!/usr/bin/env bash
# r4pm hands out and writes what it has no type for as the debug text of its own structures.
#
# Package: r4pm 0.6.2, polars 2.1.0
# Good guess: A list in an XES file arrives as a list or not at all, its children likewise, and a date or a duration
#   is written as text that a reader can parse, or refused.
# What happens: A list arrives as the Rust text of its parts, the children of a plain attribute are gone, and dates,
#   durations and lists are written into valid XES string attributes as Rust text: Date(20089). Nothing says so.
# Whom it matters to: Whoever converts logs with r4pm (or rustxes, where it is the same) and trusts a run without an
#   error.
# Output seen:
#   read: [Attribute { key: "item", value: String("pen"), own_attributes: None }]
#   read: A7
#   written: <string key="due" value="Date(20089)"/>
#   written: <string key="took" value="Duration(3600000000, Microseconds)"/>

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check r4pm==0.6.2 polars==2.1.0

cat >program.py <<'PROGRAM'
import datetime as dt
import re

import polars as pl
import r4pm

XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xes.features="nested-attributes" xmlns="http://www.xes-standard.org/">
<trace><string key="concept:name" value="order-1"/><event>
<string key="concept:name" value="packed"/><date key="time:timestamp" value="2025-01-01T10:00:00.000Z"/>
<string key="shelf" value="A7"><int key="height" value="2"/></string>
<list key="items"><string key="item" value="pen"/></list>
</event></trace></log>
"""
open("log.xes", "w").write(XES)
log, _ = r4pm.df.import_xes("log.xes")
print("read:", log["items"][0])
print("read:", log["shelf"][0])
log = log.select("case:concept:name", "concept:name", "time:timestamp").with_columns(
    due=pl.lit(dt.date(2025, 1, 1)), took=pl.lit(dt.timedelta(hours=1))
)
r4pm.df.export_xes(log, "again.xes")
for line in sorted(re.findall('<string key="(?:due|took)"[^>]*>', open("again.xes").read())):
    print("written:", line)
PROGRAM

cat >expected <<'EXPECTED'
read: [Attribute { key: "item", value: String("pen"), own_attributes: None }]
read: A7
written: <string key="due" value="Date(20089)"/>
written: <string key="took" value="Duration(3600000000, Microseconds)"/>
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "r4pm 0.6.2 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

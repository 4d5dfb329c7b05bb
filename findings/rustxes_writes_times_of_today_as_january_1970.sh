#!/usr/bin/env bash
# rustxes writes times in micro- or milliseconds as times of January 1970.
#
# Package: rustxes 0.2.11, polars 2.1.0
# Good guess: A column of times has its unit in its type, so the XES file says 2025 whichever unit that is; Polars'
#   and pandas' own default is microseconds.
# What happens: export_xes takes the numbers for nanoseconds whatever the unit, and writes valid dates a thousand or a
#   million times too close to 1970, without an error. pm4py 2.7.23 takes rustxes for its writer as soon as it is
#   installed, so that all its times move.
# Whom it matters to: Everybody who writes XES with rustxes, or with pm4py in an environment that has it: cast the
#   times to nanoseconds first.
# Output seen:
#   ns 2025-01-01T10:00:00.123+00:00
#   us 1970-01-21T02:08:45.600123+00:00
#   ms 1970-01-01T00:28:55.725600+00:00

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rustxes==0.2.11 polars==2.1.0

cat >program.py <<'PROGRAM'
import datetime as dt
import re

import polars as pl
import rustxes

log = pl.DataFrame(
    {
        "case:concept:name": ["order-1"],
        "concept:name": ["paid"],
        "time:timestamp": [dt.datetime(2025, 1, 1, 10, 0, 0, 123000)],
    }
)
for unit in ("ns", "us", "ms"):
    rustxes.export_xes(log.with_columns(pl.col("time:timestamp").cast(pl.Datetime(unit))), "log.xes")
    print(unit, re.search('key="time:timestamp" value="([^"]+)"', open("log.xes").read())[1])
PROGRAM

cat >expected <<'EXPECTED'
ns 2025-01-01T10:00:00.123+00:00
us 1970-01-21T02:08:45.600123+00:00
ms 1970-01-01T00:28:55.725600+00:00
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "rustxes 0.2.11 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

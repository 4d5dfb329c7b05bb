#!/usr/bin/env bash
# A Dask frame made of pandas frames turns Decimals and dicts into text, though its meta says that they are objects.
#
# Package: dask 2026.8.0 (dask[dataframe])
# Good guess: `meta` says what the parts look like; a column that is `object` there and in every part arrives as it is.
# What happens: By default every object column becomes a column of text: a Decimal is its digits, a dict its repr. No
#   dtype in `meta` prevents it; what counts is the configuration when the frame is made (dataframe.convert-string).
# Whom it matters to: Logs with amounts or nested values, spread over workers: sums of such a column join texts.
# Output seen:
#   by default: '1.5', "{'a': 1}"
#   without convert-string: Decimal('1.5'), {'a': 1}

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'dask[dataframe]==2026.8.0' pandas==3.1.1 pyarrow==26.0.1

cat >program.py <<'PROGRAM'
from decimal import Decimal

import dask
import dask.dataframe as dd
import pandas as pd


def part(_):
    return pd.DataFrame({"x": [Decimal("1.5"), {"a": 1}]}, dtype=object)


def shown():
    found = dd.from_map(part, [1], meta=part(0)).compute(scheduler="synchronous")
    return ", ".join(map(repr, found["x"].tolist()))


print("by default:", shown())
with dask.config.set({"dataframe.convert-string": False}):
    print("without convert-string:", shown())
PROGRAM

cat >expected <<'EXPECTED'
by default: '1.5', "{'a': 1}"
without convert-string: Decimal('1.5'), {'a': 1}
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "dask 2026.8.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# What pandas counts of a text column is of another type as soon as pyarrow is installed, also where nobody uses it.
#
# Package: pandas 3.1.1, pyarrow 26.0.1
# Good guess: A column made with dtype="string" is the same on every machine; pyarrow only makes it quicker, and a
#   notebook whose outputs are compared strictly does not care whether something else has brought it along.
# What happens: The column says "string" in both cases. Its value_counts() is Int64 without pyarrow and int64[pyarrow]
#   with it, and so is every output that shows the type, and whatever is computed of it. Only a column made with
#   StringDtype("python") is the same in both.
# Whom it matters to: Notebooks that run as tests, and libraries that hand out frames: an unrelated package in the
#   environment changes what a lesson shows.
# Output seen:
#   without pyarrow: string counts as Int64, string[python] as Int64
#   with pyarrow: string counts as int64[pyarrow], string[python] as Int64

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv

cat >program.py <<'PROGRAM'
import sys

import pandas as pd

categories = ["transfer", "account", "transfer"]
plain = pd.Series(categories, dtype="string")
own = pd.Series(categories, dtype=pd.StringDtype("python"))
print(
    f"{sys.argv[1]} pyarrow: {plain.dtype} counts as {plain.value_counts().dtype},",
    f"string[python] as {own.value_counts().dtype}",
)
PROGRAM

cat >expected <<'EXPECTED'
without pyarrow: string counts as Int64, string[python] as Int64
with pyarrow: string counts as int64[pyarrow], string[python] as Int64
EXPECTED

venv/bin/pip install --quiet --disable-pip-version-check pandas==3.1.1
venv/bin/python -W ignore program.py without >seen
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1
venv/bin/python -W ignore program.py with >>seen
if ! diff -u expected seen; then
  echo "pandas 3.1.1 with pyarrow 26.0.1 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# A time that pydantic restores from JSON is equal to the one dumped, and prints differently.
#
# Package: pydantic 2.14.3
# Good guess: A datetime in datetime.UTC that is dumped (as ...Z) and validated again is the datetime it was: == says
#   so.
# What happens: It comes back in a time zone class of pydantic_core's. It is equal and hashes the same; repr, `tzinfo
#   is UTC` and a pickle differ. The fold of a naive time is lost, which == does not see either.
# Whom it matters to: Snapshots of states in event stores, and notebooks and doctests that compare printed results: a
#   restored state prints otherwise than a computed one.
# Output seen:
#   equal: True
#   datetime.datetime(2025, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
#   datetime.datetime(2025, 1, 1, 0, 0, tzinfo=TzInfo(0))
#   fold: 1 then 0

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.3

cat >program.py <<'PROGRAM'
import datetime as dt

from pydantic import TypeAdapter

times = TypeAdapter(dt.datetime)
computed = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
restored = times.validate_json(times.dump_json(computed))
print("equal:", computed == restored)
print(repr(computed))
print(repr(restored))
folded = dt.datetime(2025, 10, 26, 2, 30, fold=1)
print("fold:", folded.fold, "then", times.validate_json(times.dump_json(folded)).fold)
PROGRAM

cat >expected <<'EXPECTED'
equal: True
datetime.datetime(2025, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
datetime.datetime(2025, 1, 1, 0, 0, tzinfo=TzInfo(0))
fold: 1 then 0
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "pydantic 2.14.3 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# dask's groupby.apply hands out the rows of a key in another order than the frame's.
#
# Package: dask[dataframe] 2026.8.0, pandas 3.1.1
# Good guess: The frame is in the log's order, and pandas' groupby keeps the order of rows within a group, so dask's
#   does.
# What happens: By default the rows go through a shuffle on disk that mixes a key's parts: every key's rows are out of
#   order. The shuffle 'tasks' keeps them.
# Whom it matters to: Whoever folds events a key with dask: sort by position inside the function, whatever the engine.
# Output seen:
#   pandas: 50 of 50 keys in order
#   dask, by default, all 50 in order each time: False
#   dask, tasks: 50 of 50 keys in order

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check dask[dataframe]==2026.8.0 pandas==3.1.1

cat >program.py <<'PROGRAM'
import dask
import dask.dataframe as dd
import pandas as pd

log = pd.DataFrame({"account": [n % 50 for n in range(20_000)], "position": range(20_000)})
frame = dd.from_pandas(log, npartitions=8, sort=True)


def in_order(rows):
    return rows["position"].is_monotonic_increasing


def keys_in_order():
    return int(frame.groupby("account").apply(in_order, meta=(None, "bool")).compute().sum())


def main():
    # with the threads of one process a shuffle may by chance be in order, so it is tried up to ten times
    print("pandas:", int(log.groupby("account")[["position"]].apply(in_order).sum()), "of 50 keys in order")
    print("dask, by default, all 50 in order each time:", all(keys_in_order() == 50 for _ in range(10)))
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        print("dask, tasks:", keys_in_order(), "of 50 keys in order")


if __name__ == "__main__":
    main()
PROGRAM

cat >expected <<'EXPECTED'
pandas: 50 of 50 keys in order
dask, by default, all 50 in order each time: False
dask, tasks: 50 of 50 keys in order
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "dask[dataframe] 2026.8.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

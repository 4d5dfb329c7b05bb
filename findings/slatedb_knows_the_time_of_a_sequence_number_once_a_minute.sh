#!/usr/bin/env bash
# SlateDB can tell which write was the last at a time, but only to a minute.
#
# Package: slatedb 0.17.0
# Good guess: Every row has a sequence number and a creation time in milliseconds, so get_sequence_for_timestamp finds
#   the last write at or before a time, and get_timestamp_for_sequence is its inverse.
# What happens: Both go by a table that takes one sample a minute, and by whole seconds. Of five writes within a
#   second and a half the last one's time leads to the first one's number, and the time of the fifth is said to be the
#   first one's.
# Whom it matters to: Whoever would build as-of reads, branches at a moment or change feeds on these two calls: a time
#   of one's own in the row is needed.
# Output seen:
#   written 1 to 5; the last one's time, rounded up to a second, leads to 1
#   the time of 5 is that of 1: True

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check slatedb==0.17.0

cat >program.py <<'PROGRAM'
import asyncio
import pathlib
import tempfile

import slatedb.uniffi as slate


def folder_store(root):
    builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.LOCAL)
    builder.with_config("local_path", str(root))
    return builder.build()


async def main():
    root = pathlib.Path(tempfile.mkdtemp(dir="."))
    db = await slate.DbBuilder("log", folder_store(root)).build()
    written = []
    for number in range(5):
        put = await db.put(b"event-%d" % number, b"x")
        written.append((put.seqnum(), put.create_ts()))
        await asyncio.sleep(0.3)
    await db.flush_with_options(slate.FlushOptions(flush_type=slate.FlushType.MEM_TABLE))
    admin = slate.AdminBuilder("log", folder_store(root)).build()
    (first, first_time), (last, last_time) = written[0], written[-1]
    found = await admin.get_sequence_for_timestamp(last_time // 1000 + 1, False)
    print(f"written {first} to {last}; the last one's time, rounded up to a second, leads to", found)
    told = await admin.get_timestamp_for_sequence(last, False)
    print(f"the time of {last} is that of {first}:", told == first_time // 1000)
    await db.shutdown()


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
written 1 to 5; the last one's time, rounded up to a second, leads to 1
the time of 5 is that of 1: True
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

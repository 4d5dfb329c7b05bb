#!/usr/bin/env bash
# SlateDB hands out rows long after their time to live is over.
#
# Package: slatedb 0.17.0
# Good guess: A row that was put with a time to live of ten milliseconds is gone for every get and scan a moment
#   later.
# What happens: get and scan return it as ever. Rows are dropped when memtables are flushed and tables compacted, and
#   only then: when a row vanishes depends on the store's housekeeping.
# Whom it matters to: Whoever keeps leases, locks, sessions or personal data in SlateDB with a time to live: the
#   reader has to look at expire_ts itself.
# Output seen:
#   lives for 10 ms; a second later: b'held' [(b'lease', b'held')]

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


async def rows(db):
    everything = slate.KeyRange(start=None, start_inclusive=False, end=None, end_inclusive=False)
    found, scan = [], await db.scan(everything)
    while (row := await scan.next()) is not None:
        found.append((row.key, row.value))
    return found


async def main():
    root = pathlib.Path(tempfile.mkdtemp(dir="."))
    db = await slate.DbBuilder("leases", folder_store(root)).build()
    brief = slate.PutOptions(ttl=slate.Ttl.EXPIRE_AFTER_MILLIS(10))
    put = await db.put_with_options(b"lease", b"held", brief, slate.WriteOptions())
    await put.await_durable()
    await asyncio.sleep(1)
    row = await db.get_key_value(b"lease")
    print("lives for", row.expire_ts - row.create_ts, "ms; a second later:", await db.get(b"lease"), await rows(db))
    await db.shutdown()


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
lives for 10 ms; a second later: b'held' [(b'lease', b'held')]
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

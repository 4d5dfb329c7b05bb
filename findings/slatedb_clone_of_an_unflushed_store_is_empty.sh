#!/usr/bin/env bash
# A SlateDB clone misses what was durable but not yet out of the write-ahead log.
#
# Package: slatedb 0.17.0
# Good guess: A checkpoint holds every write that is durable, so a clone made from it has every row whose flush has
#   returned.
# What happens: Checkpoint and clone succeed, and the clone is empty: what is in the write-ahead log only is in no
#   checkpoint. Only after a flush of the memtable does a clone hold the rows.
# Whom it matters to: Anybody who branches a log or a store by cloning: flush with FlushType.MEM_TABLE first, or the
#   branch silently has no past.
# Output seen:
#   durable, in the write-ahead log: None
#   memtable flushed: b'opened'

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


async def clone(root, name):
    """The value of the row in a clone that is made now."""
    store = folder_store(root)
    admin = slate.AdminBuilder("log", store).build()
    checkpoint = await admin.create_detached_checkpoint(slate.CheckpointOptions(lifetime_ms=None, source=None, name=None))
    source = slate.CloneSourceSpec(path="log", checkpoint=checkpoint.id, projection_range=None)
    await slate.AdminBuilder(name, store).build().create_clone_builder_from_source(source).build()
    copy = await slate.DbBuilder(name, store).build()
    value = await copy.get(b"event-1")
    await copy.shutdown()
    return value


async def main():
    root = pathlib.Path(tempfile.mkdtemp(dir="."))
    db = await slate.DbBuilder("log", folder_store(root)).build()
    await (await db.put(b"event-1", b"opened")).await_durable()
    await db.flush()
    print("durable, in the write-ahead log:", await clone(root, "clone-1"))
    await db.flush_with_options(slate.FlushOptions(flush_type=slate.FlushType.MEM_TABLE))
    print("memtable flushed:", await clone(root, "clone-2"))
    await db.shutdown()


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
durable, in the write-ahead log: None
memtable flushed: b'opened'
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

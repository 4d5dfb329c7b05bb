#!/usr/bin/env bash
# A SlateDB whose folder was moved away goes on at the old path, without an error.
#
# Package: slatedb 0.17.0
# Good guess: Once the root of a local object store is renamed, shutdown fails: the root is gone.
# What happens: shutdown returns without an error. The folders are made again at the old path, and what was not yet in
#   a table goes there: a fragment with a newer manifest and no write-ahead log, which looks like a database of its
#   own.
# Whom it matters to: Whoever embeds SlateDB in folders that people move, sync or clean up: notebooks, desktop
#   programs, tests whose temporary folder goes before the handle.
# Output seen:
#   shutdown: no error
#   here ['log/compacted', 'log/manifest']
#   there ['log/compactions', 'log/manifest', 'log/wal']

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
    here, there = root / "here", root / "there"
    here.mkdir()
    db = await slate.DbBuilder("log", folder_store(here)).build()
    await db.put(b"event-1", b"opened")
    await db.flush()
    here.rename(there)
    try:
        await db.shutdown()
        print("shutdown: no error")
    except slate.Error as error:
        print("shutdown:", error)
    for name in ("here", "there"):
        print(name, sorted(str(path.relative_to(root / name)) for path in (root / name).glob("log/*") if any(path.iterdir())))


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
shutdown: no error
here ['log/compacted', 'log/manifest']
there ['log/compactions', 'log/manifest', 'log/wal']
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# Deleting a SlateDB deletes the databases whose paths begin with its own and a slash.
#
# Package: slatedb 0.17.0
# Good guess: delete_db of the database at path a removes that database: its manifests, tables and log. The one at a/b
#   is another database and stays.
# What happens: Everything below the path goes, the other database included, without a word about it. One at ab stays.
# Whom it matters to: Whoever nests stores by path: tenant and tenant/archive, a log and its branches.
# Output seen:
#   a is gone
#   a/b is gone
#   ab is there

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
    for path in ("a", "a/b", "ab"):
        db = await slate.DbBuilder(path, folder_store(root)).build()
        await db.put(b"k", path.encode())
        await db.shutdown()
    await slate.AdminBuilder("a", folder_store(root)).build().delete_db(True)
    for path in ("a", "a/b", "ab"):
        print(path, "is there" if any((root / path).glob("manifest/*.manifest")) else "is gone")


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
a is gone
a/b is gone
ab is there
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

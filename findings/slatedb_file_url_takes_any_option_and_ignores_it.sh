#!/usr/bin/env bash
# SlateDB takes options for local folders in a URL, any of them, and ignores them.
#
# Package: slatedb 0.17.0
# Good guess: An option that a local folder does not know is refused, as with_config refuses it: ?fsync=true in a
#   file: URL would either work or be an error.
# What happens: Every option in the URL is taken, one that exists nowhere included, and none has an effect or leaves a
#   trace.
# Whom it matters to: Whoever turns durability on by configuration and believes it is on because the store opens.
# Output seen:
#   from_url: fsync=true opens
#   from_url: no_such_option=1 opens
#   with_config: invalid Local object store config key: fsync
#   with_config: invalid Local object store config key: no_such_option

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
    root = pathlib.Path(tempfile.mkdtemp(dir=".")).absolute()
    for option in ("fsync=true", "no_such_option=1"):
        store = slate.ObjectStoreBuilder.from_url(f"file://{root}?{option}").build()
        db = await slate.DbBuilder("log", store).build()
        await db.shutdown()
        print("from_url:", option, "opens")
    for option in ("fsync", "no_such_option"):
        builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.LOCAL)
        try:
            builder.with_config(option, "true")
            print("with_config:", option, "is taken")
        except slate.Error.Invalid as error:
            print("with_config:", error.message)


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
from_url: fsync=true opens
from_url: no_such_option=1 opens
with_config: invalid Local object store config key: fsync
with_config: invalid Local object store config key: no_such_option
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

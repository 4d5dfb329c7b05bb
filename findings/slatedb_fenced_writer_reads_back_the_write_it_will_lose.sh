#!/usr/bin/env bash
# A fenced SlateDB writer still takes writes and reads them back.
#
# Package: slatedb 0.17.0
# Good guess: Once a second writer has opened the database the first one is fenced: its put raises, and its get shows
#   the second one's row or raises.
# What happens: Until it flushes, the fenced writer knows nothing: put returns, get returns the value just put, and
#   never the newer writer's. Flush raises FENCED, and from then on reads raise, too.
# Whom it matters to: Whoever checks a lock or an expected version by reading through the writer's own handle: only a
#   durable write shows that the handle is still the writer.
# Output seen:
#   get by the old writer -> b'1'
#   put by the old writer -> taken
#   get by the old writer -> b'lost'
#   flush by the old writer -> FENCED
#   get by the old writer -> FENCED
#   get by the new writer -> b'2'

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


async def attempt(what, coroutine):
    try:
        value = await coroutine
        print(what, "->", value if value is None or isinstance(value, bytes) else "taken")
    except slate.Error.Closed as error:
        print(what, "->", error.reason.name)


async def main():
    root = pathlib.Path(tempfile.mkdtemp(dir="."))
    # nothing is flushed in the background, so that each step stands for itself
    settings = slate.Settings.default()
    settings.set("flush_interval", "null")
    builder = slate.DbBuilder("log", folder_store(root))
    builder.with_settings(settings)
    old = await builder.build()
    await old.put(b"version", b"1")
    await old.flush()
    new = await slate.DbBuilder("log", folder_store(root)).build()
    await new.put(b"version", b"2")
    await new.flush()
    await attempt("get by the old writer", old.get(b"version"))
    await attempt("put by the old writer", old.put(b"version", b"lost"))
    await attempt("get by the old writer", old.get(b"version"))
    await attempt("flush by the old writer", old.flush())
    await attempt("get by the old writer", old.get(b"version"))
    await attempt("get by the new writer", new.get(b"version"))
    await new.shutdown()


asyncio.run(main())
PROGRAM

cat >expected <<'EXPECTED'
get by the old writer -> b'1'
put by the old writer -> taken
get by the old writer -> b'lost'
flush by the old writer -> FENCED
get by the old writer -> FENCED
get by the new writer -> b'2'
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "slatedb 0.17.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# Once distributed is imported, exceptions are pickled in its way, in the whole process, whatever their classes say.
#
# Package: distributed 2026.8.0
# Good guess: Importing a scheduler's client changes nothing about how other code's exceptions are pickled: a class that
#   says by __reduce__ how it is sent elsewhere is sent so.
# What happens: The import registers a pickler for every exception class that there is, with tblib. What __reduce__
#   says is wrapped, and has to give an exception: a class that is sent as text cannot be loaded any more, and one that
#   could not be loaded can. Classes that are defined later are pickled as they say.
# Whom it matters to: Errors that leave out what cannot be sent, or send it as text: beside Dask something else arrives.
#   A test of that passes alone, and fails after another one that has imported distributed.
# Output seen:
#   before: text arrives; of the one with two arguments TypeError
#   after: of text AttributeError; Wants arrives
#   defined later: text arrives

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check distributed==2026.8.0

cat >program.py <<'PROGRAM'
import pickle


class AsText(Exception):
    def __reduce__(self):
        return str, ("text",)


class Wants(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def arrives(error):
    try:
        found = pickle.loads(pickle.dumps(error))
    except Exception as failure:
        return type(failure).__name__
    return found if isinstance(found, str) else type(found).__name__


print(f"before: {arrives(AsText())} arrives; of the one with two arguments {arrives(Wants(1, 2))}")

import distributed  # noqa: E402, F401


class Later(Exception):
    def __reduce__(self):
        return str, ("text",)


print(f"after: of text {arrives(AsText())}; {arrives(Wants(1, 2))} arrives")
print(f"defined later: {arrives(Later())} arrives")
PROGRAM

cat >expected <<'EXPECTED'
before: text arrives; of the one with two arguments TypeError
after: of text AttributeError; Wants arrives
defined later: text arrives
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "distributed 2026.8.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# In eventsourcing, an event method that calls another makes an aggregate that can't be saved.
#
# Package: eventsourcing 9.5.6
# Good guess: Two methods with @event can call each other: two events, one version after the other; or else the call
#   raises.
# What happens: The call works and the state in memory is right, but both events have the same version, the inner one
#   stands first, and the aggregate's own version is one too low. Only save raises, and whatever else was pending is
#   lost with it.
# Whom it matters to: Who composes commands of smaller ones: put the calls into a plain method, and only the leaves
#   under @event.
# Output seen:
#   in memory: ['closed', 'notified'] version 2
#   pending: [('Created', 1), ('Notified', 2), ('Closed', 2)]
#   save: Stored events are not unique

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check eventsourcing==9.5.6

cat >program.py <<'PROGRAM'
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError


class Account(Aggregate):
    def __init__(self):
        self.done = []

    @event("Closed")
    def close(self):
        self.done.append("closed")
        self.notify()

    @event("Notified")
    def notify(self):
        self.done.append("notified")


account = Account()
account.close()
print("in memory:", account.done, "version", account.version)
print("pending:", [(type(one).__name__, one.originator_version) for one in account.pending_events])
try:
    Application().save(account)
    print("saved")
except IntegrityError as error:
    print("save:", str(error).split(":")[0])
PROGRAM

cat >expected <<'EXPECTED'
in memory: ['closed', 'notified'] version 2
pending: [('Created', 1), ('Notified', 2), ('Closed', 2)]
save: Stored events are not unique
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "eventsourcing 9.5.6 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

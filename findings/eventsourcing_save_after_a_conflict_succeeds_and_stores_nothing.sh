#!/usr/bin/env bash
# In eventsourcing, saving once more after a conflict succeeds, and stores nothing.
#
# Package: eventsourcing 9.5.6
# Good guess: After an IntegrityError the aggregate still has its pending events: saving it again raises again, until
#   it is loaded anew.
# What happens: The failed save has taken the pending events away. The second save has nothing to do, returns without
#   an error, and the decision is lost, while the aggregate in memory shows it.
# Whom it matters to: Retry decorators around save: they turn a conflict into a silent loss. The whole command has to
#   be repeated, from the loading on.
# Output seen:
#   first save: conflict
#   second save: no error
#   in memory: 5 stored: 7

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
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount):
        self.balance += amount


bank = Application()
mine = Account()
bank.save(mine)
theirs = bank.repository.get(mine.id)
theirs.deposit(7)
bank.save(theirs)
mine.deposit(5)
for attempt in ("first", "second"):
    try:
        bank.save(mine)
        print(attempt, "save: no error")
    except IntegrityError:
        print(attempt, "save: conflict")
print("in memory:", mine.balance, "stored:", bank.repository.get(mine.id).balance)
PROGRAM

cat >expected <<'EXPECTED'
first save: conflict
second save: no error
in memory: 5 stored: 7
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "eventsourcing 9.5.6 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

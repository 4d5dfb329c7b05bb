#!/usr/bin/env bash
# eventsourcing gives the newest state for a version that does not exist yet.
#
# Package: eventsourcing 9.5.6
# Good guess: repository.get(id, version=100) of an aggregate with three events raises AggregateNotFoundError, as
#   version=0 does.
# What happens: It returns version 3. Only the returned aggregate's own version tells.
# Whom it matters to: Read-your-writes by version (wait until version 100 is there): the question is answered at once,
#   from the past.
# Output seen:
#   asked for 0 not found
#   asked for 2 got 2
#   asked for 100 got 3

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check eventsourcing==9.5.6

cat >program.py <<'PROGRAM'
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event


class Account(Aggregate):
    def __init__(self):
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount):
        self.balance += amount


bank = Application()
account = Account()
account.deposit(1)
account.deposit(2)
bank.save(account)
for version in (0, 2, 100):
    try:
        print("asked for", version, "got", bank.repository.get(account.id, version=version).version)
    except AggregateNotFoundError:
        print("asked for", version, "not found")
PROGRAM

cat >expected <<'EXPECTED'
asked for 0 not found
asked for 2 got 2
asked for 100 got 3
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "eventsourcing 9.5.6 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

"""A reporting database whose process is killed at any moment goes on with every event counted once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import eventsourcing_kit as ek

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
WRITER = """
import sys, eventsourcing_kit as ek
from tests.test_reporting_killed import opened

store = ek.EventStore(sys.argv[1] + "/store", fsync=False)
db = opened(sys.argv[1])
how = sys.argv[2]
if how != "on demand":
    db.follow(store, inline=how == "inline")
n = store.position
while True:
    to = n if n % 7 else n + 0.5 if n % 2 else {"odd": n}  # the column is widened again and again in a new table
    store.append(f"s-{n % 5}", [ek.NewEvent(type="Counted", data={"to": to, f"f{n % 40}": n})] * (1 + n % 3))
    if how == "on demand":
        db.update(store)
    if n % 20 == 0:
        db.rebuild("past", store)
        print(n, flush=True)
    n += 1
"""


def counted() -> ek.Projection:
    made = ek.Projection("counted", initial=lambda: {"n": 0})
    made.on("Counted")(lambda state, event: {**state, **event, "n": state["n"] + 1})
    return made


def opened(folder: str) -> ek.ReportingDatabase:
    db = ek.ReportingDatabase(f"{folder}/x.duckdb")
    db.add(counted())
    db.add(counted(), table="past", temporal=True)
    return db


def kill_it(folder: Path, how: str, chance: random.Random) -> None:
    """Let a process write for a while, and kill it without warning."""
    command = [sys.executable, "-c", WRITER, str(folder), how]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 4)):
            assert process.stdout.readline(), "the writer failed"
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("how", ["on demand", "inline", "in the background"])
def test_killed_at_any_moment_every_event_is_counted_once(tmp_path: Path, how: str) -> None:
    """Before it goes on, each table is exactly the log up to its checkpoint; then it is the whole log."""
    chance = random.Random(how)
    for _ in range(2):
        kill_it(tmp_path, how, chance)
        with ek.EventStore(tmp_path / "store", fsync=False) as store, opened(str(tmp_path)) as db:
            for is_updated in (False, True):
                if is_updated:
                    db.update(store)
                at = db.lag(store).set_index("table")["position"]
                found = db.sql("SELECT key, n FROM counted")
                expected = {key: state["n"] for key, state in store.replay(counted(), as_of=at["counted"]).items()}
                assert dict(found.itertuples(index=False, name=None)) == expected
                still = db.sql("SELECT key, n FROM past WHERE position_to IS NULL")
                expected = {key: state["n"] for key, state in store.replay(counted(), as_of=at["past"]).items()}
                assert dict(still.itertuples(index=False, name=None)) == expected
                rows = db.sql("SELECT count(*) AS n, count(DISTINCT position) AS d, max(position) AS last FROM events")
                assert rows.values.tolist() == [[at["events"]] * 3]
                assert len(db.sql("SELECT 1 FROM past")) == at["past"]
            assert set(at) == {store.position}
            left = db.sql("SELECT count(*) AS n FROM duckdb_tables() WHERE table_name NOT IN ('about', 'tables')")
            assert left["n"].tolist() == [4]  # nothing is left of rebuilds that were broken off

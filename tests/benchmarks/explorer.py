"""The explorer's page of a long log in Chromium: `python -m tests.benchmarks.explorer [EVENTS [KEYS]]`.

Prints the page's size, when it can be dragged, how long jumps to random moments take (states, drawing and layout), the
heap, and how long it took to pack. By default of 1,000,000 events, 100,000 keys and one number as state, no payloads.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import eventsourcing_kit as ek
from tests import browsers

JUMPS = """
const times = [];
let seed = 7;
for (let i = 0; i < 300; i++) {
  seed = (seed * 16807) % 2147483647;
  const start = performance.now();
  ek.moment = Math.floor((seed / 2147483647) * ek.view.past.entries);
  document.body.offsetHeight;
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
return [times[150], times[285]];
"""


def history(events: int, keys: int) -> ek.History:
    """Accounts with deposits and withdrawals at random times."""
    draw = np.random.default_rng(1)
    names = np.array([f"account-{number}" for number in range(keys)], dtype=object)
    gaps = draw.exponential(60e6, events).astype(np.int64)
    frame = pd.DataFrame(
        {
            "stream": names[draw.integers(0, keys, events)],
            "type": draw.choice(["Deposited", "Withdrawn"], events),
            "time": pd.Timestamp("2026-01-05T09:00:00Z") + pd.to_timedelta(np.cumsum(gaps), unit="us"),
            "amount": draw.integers(1, 500, events),
        }
    )
    store = ek.from_frame(frame, stream="stream", type="type", recorded_at="time", seed=1)
    balance = ek.fold.total("Deposited", "amount") - ek.fold.total("Withdrawn", "amount")
    return store.history(ek.Projection("balance", fields={"balance": balance}))


def main(events: int = 1_000_000, keys: int = 100_000) -> None:
    """Print the figures."""
    explored = history(events, keys)
    with TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        start = time.process_time()
        ek.explore(explored, fields=["balance"]).save(path)
        print(f"{events:,} events, {keys:,} keys: packed in {time.process_time() - start:.2f} s cpu")
        print(f"page: {path.stat().st_size / 1e6:.2f} MB")
        del explored
        with browsers.chromium(Path(folder, "profile"), "1280,860") as browser:
            browser.set_script_timeout(120)
            for _ in range(2):
                browser.get(path.as_uri())
                while not browser.execute_script("return performance.getEntriesByName('ek-ready').length"):
                    time.sleep(0.05)
                ready = browser.execute_script("return performance.getEntriesByName('ek-ready')[0].startTime")
                print(f"ready: {ready:,.0f} ms after navigation")
            browser.execute_script(JUMPS)
            median, p95 = browser.execute_script(JUMPS)
            print(f"jump: median {median:.1f} ms, p95 {p95:.1f} ms")
            browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
            heap = browser.execute_cdp_cmd("Runtime.getHeapUsage", {})
            print(f"heap: {(heap['usedSize'] + heap.get('backingStorageSize', 0)) / 1e6:.0f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))

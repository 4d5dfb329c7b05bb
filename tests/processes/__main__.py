"""Attack the store for longer than a test may: `python -m tests.processes --rounds 200 --seed 7`.

Each campaign prints what it did. It raises at the first promise that does not hold, and keeps the folder.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

from tests.processes.campaign import kill_rounds, take_turns

ROUNDS_A_FOLDER = 20  # each round checks the whole log, so a folder's rounds take longer and longer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.processes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how often a writer is killed")
    parser.add_argument("--turns", type=int, default=10, help="how often several writers take over from each other")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    for block in range(0, options.rounds, ROUNDS_A_FOLDER):
        folder, start = Path(tempfile.mkdtemp(prefix="killed-")), time.monotonic()
        print(f"killing writers of {folder}", flush=True)
        rounds = min(ROUNDS_A_FOLDER, options.rounds - block)
        figures = kill_rounds(folder, rounds=rounds, seed=options.seed + block)
        print(figures, f"{time.monotonic() - start:.0f} s", flush=True)
        shutil.rmtree(folder)
    for turn in range(options.turns):
        folder = Path(tempfile.mkdtemp(prefix="turns-")) / "store"
        print(f"taking turns in {folder}", flush=True)
        _, figures = take_turns(folder, writers=2 + turn % 3, turns=10, seed=options.seed + turn, kill=turn % 2 == 1)
        print(figures, flush=True)
        shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()

"""Measure today's kit beside that of an earlier commit: python -m tests.benchmarks.against COMMIT [words of a row]

Both run today's rows (`rows.py`) with today's libraries, each in a process of its own, taking turns; medians count. A
ratio above 1 says that today's kit is quicker. That of the processor's seconds means something on a busy machine, too.
Run it with `make bench AGAINST=COMMIT`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from tests.benchmarks.measuring import Cost
from tests.benchmarks.rows import ROWS, Row, machine

ROOT = Path(__file__).parents[2]
ROUNDS = 5


class CannotCompareError(Exception):
    """Says in words why there is nothing to compare with."""


class Kit:
    """A process that measures the kit that lies in a folder."""

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[str], said: IO[str]) -> None:
        self.name, self.folder = name, folder
        self._process, self._said = process, said

    def measure(self, row: Row) -> Cost | str:
        """What one work of the row takes, or why this kit cannot do it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it ended, and what it said last is why
            print(row.name, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            self._said.seek(0)
            last = (self._said.read().strip() or "it said nothing").splitlines()[-1]
            raise CannotCompareError(f"the kit of {self.name} ended before it had measured {row.name!r}: {last}")
        found = json.loads(answer)
        return found if isinstance(found, str) else Cost(*found)


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[Kit]:
    """The kit in a folder, in a process of its own."""
    command = [sys.executable, "-P", "-m", "tests.benchmarks.measuring"]  # -P: not the kit of the current folder
    path = os.pathsep.join([str(folder), str(ROOT)])
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield Kit(name, folder, process, said)
        finally:
            process.communicate()


def unpack(commit: str, folder: Path, repository: Path) -> str:
    """Put a commit's kit into a folder; returns the commit's short name. Raises `CannotCompareError`."""
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--short", "--end-of-options", f"{commit}^{{commit}}")
    if found.returncode:
        raise CannotCompareError(
            f"there is no commit {commit!r} here; `git log --oneline` lists them (and `git fetch --unshallow` brings "
            "those that a shallow clone has left out)"
        )
    name = found.stdout.decode().strip()
    archive = _git(repository, "archive", name, "eventsourcing_kit")
    if archive.returncode:
        raise CannotCompareError(f"the commit {name} holds no folder eventsourcing_kit; name a later one")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return name


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", repository, *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise CannotCompareError("to look up a commit, git is needed; install it") from None


def compare(before: Kit, now: Kit, row: Row) -> str:
    """One line of the table: today's figure, and the ratios to the earlier kit's."""
    costs: dict[Kit, list[Cost]] = {now: [], before: []}
    reasons: dict[Kit, str] = {}
    for number in range(ROUNDS):
        for kit in list(costs)[:: -1 if number % 2 else 1]:
            if kit not in reasons:
                cost = kit.measure(row)
                if isinstance(cost, Cost):
                    costs[kit].append(cost)
                else:
                    reasons[kit] = f"the kit of {kit.name} cannot run it: {cost}"
    if now in reasons:
        return f"{row.name:<64}{reasons[now]}"
    wall, cpu = _each(costs[now], "wall"), _each(costs[now], "cpu")
    figure = f"{row.name:<64}{1 / wall:>12,.0f} {row.unit + '/s':<11}{1e6 * cpu:>12,.2f} µs cpu"
    if before in reasons:
        return f"{figure}   {reasons[before]}"
    ratios = _each(costs[before], "cpu") / cpu, _each(costs[before], "wall") / wall
    return f"{figure} {ratios[0]:>8.2f} × cpu {ratios[1]:>8.2f} × wall"


def _each(costs: list[Cost], of: Literal["wall", "cpu"]) -> float:
    """The median of what one of the row's unit takes."""
    return statistics.median((cost.wall if of == "wall" else cost.cpu) / cost.units for cost in costs)


def table(commit: str, words: str = "", repository: Path = ROOT) -> Iterator[str]:
    """The lines of the table, each when it is measured. Raises `CannotCompareError`."""
    rows = [row for row in ROWS.values() if words in row.name]
    if not rows:
        raise CannotCompareError("\n  ".join([f"no row has {words!r} in its name; there are", *ROWS]))
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        name = unpack(commit, Path(folder), repository)
        yield f"{machine()}; today's kit, and how many times as quick as that of {name}"
        with running(name, Path(folder)) as before, running("today", ROOT) as now:
            for row in rows:
                yield compare(before, now, row)


def main(arguments: list[str]) -> str | None:
    if not arguments:
        return "name a commit to compare with: python -m tests.benchmarks.against COMMIT [words of a row]"
    try:
        for line in table(arguments[0], " ".join(arguments[1:])):
            print(line, flush=True)
    except CannotCompareError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

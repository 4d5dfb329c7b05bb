"""Many rounds of processes that append to one folder and are killed, or take over from each other."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import eventsourcing_kit as ek
from tests.processes.ledger import Ledger, check, check_next

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


class Process:
    """A Python of its own that runs a module of the tests; what it prints is kept."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", module, *map(str, arguments)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.output = b""
        self.errors = b""
        self._heard = threading.Condition()
        self._silent = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._listen_to_errors)]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while piece := self._process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            with self._heard:
                self.output += piece
                self._heard.notify_all()
        with self._heard:
            self._silent = True
            self._heard.notify_all()

    def _listen_to_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors = self._process.stderr.read()

    def hear(self, word: str, times: int = 1) -> None:
        """Return when it has said it so often, or ended."""
        sought = f'"say":"{word}"'.encode()
        with self._heard:
            assert self._heard.wait_for(lambda: self._silent or self.output.count(sought) >= times, PATIENCE_SECONDS), (
                f"it said {self.output[-500:]!r}, and nothing more"
            )

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Its exit code, when it has ended and all that it said was heard."""
        code = self._process.wait(PATIENCE_SECONDS)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        return code


@dataclass
class Figures:
    """What a campaign did."""

    rounds: int = 0
    events: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    unanswered_stored: int = 0
    replayed: int = 0
    said: dict[str, int] = field(default_factory=dict)


def kill_rounds(folder: Path, *, rounds: int, seed: int) -> Figures:
    """Kill a writer at a random moment, look at what is left, and go on with the next.

    One in four is killed while it opens the store; the others after some acknowledgements and a random wait, since the
    machine may be slow.
    """
    rng, ledger, figures = random.Random(seed), Ledger(), Figures()
    for number in range(rounds):
        options = ["--threads", rng.choice([1, 1, 4, 8]), *rng.choice([["--fsync"], []])]
        options += ["--ways", "one,load,batch"] if number % 5 == 4 else []
        process = Process("tests.processes.appender", folder, seed * 10_000 + number, *options)
        process.hear("opening")
        if rng.random() < 0.75:
            process.hear("ack", rng.randint(1, 60))
        time.sleep(rng.random() * rng.choice([0.003, 0.03, 0.2]))
        process.kill()
        ledger.hear(process.output)
        assert not process.errors, process.errors.decode()
        look(folder, ledger, figures, f"{seed}-{number}", fsync=rng.random() < 0.5)
    return figures


def take_turns(
    folder: Path, *, writers: int, turns: int, seed: int, pause: float = 0.05, threads: int = 2, kill: bool = False
) -> tuple[Ledger, Figures]:
    """Several processes that take over from each other, each so many times; with `kill`, one of them is killed."""
    ledger, figures = Ledger(), Figures()
    over = folder.with_name("over")
    options = ["--again", "--threads", threads, "--until", over, "--pause", pause]
    options += ["--ways", "one,expected,batch,many,ids"]
    processes = [
        Process(
            "tests.processes.appender", folder, seed * 100 + i, "--name", "abcdefgh"[i], *options, *["--fsync"][i % 2 :]
        )
        for i in range(writers)
    ]
    if kill:
        processes[0].hear("ack", turns)
        processes[0].kill()
    for process in processes[kill:]:
        process.hear("opened", turns)
        process.hear("ack", turns)
    over.touch()
    codes = [process.wait() for process in processes]
    for process in processes:
        ledger.hear(process.output)
    assert not any(process.errors for process in processes), b"".join(p.errors for p in processes).decode()
    assert not ledger.failures, ledger.failures
    assert codes == [-signal.SIGKILL if kill else 0, *[0] * (writers - 1)]
    look(folder, ledger, figures, f"turns-{seed}", fsync=False)
    return ledger, figures


def look(folder: Path, ledger: Ledger, figures: Figures, name: str, *, fsync: bool) -> None:
    """Open what is left, check it, write to it, and check it once more."""
    with ek.EventStore(folder, fsync=fsync) as store:
        log = check(store, ledger)
        tokens = {event.data["token"] for event in log}
        unanswered = [told for told in ledger.told.values() if told.ack is None]
        figures.acknowledged = ledger.acknowledged
        figures.replayed += check_next(store, ledger, name)
        if any(told.ack for told in unanswered):  # by now: they were repeated
            log = check(store, ledger)
    figures.rounds += 1
    figures.events = len(log)
    figures.unanswered = len(unanswered)
    figures.unanswered_stored = sum(told.token in tokens for told in unanswered)
    figures.said = dict(ledger.said)

"""A power cut, simulated: what had not reached the device is zeroed, emptied, cut off or missing.

The writer runs in a process of its own, which notes each sync and each acknowledgement in the order in which they
happen. It is stopped at a moment of its own choosing, or at a random one; the folder is copied as it stands, and in the
copy every file is damaged that was not synced before, and of the journal what was written since it was synced. It is a
model: a file's content is safe when the file was synced after its last change, or was made where the filesystem writes
through; its name is safe when its folder was synced.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_WRITER = """
    import json, os, sys, threading, time
    import eventsourcing_kit as ek
    from eventsourcing_kit.storage import device, journal, local_folder
    from eventsourcing_kit.storage.slate import opening

    folder, notes, through = sys.argv[1], open(sys.argv[2], "ab", buffering=0), sys.argv[3] == "through"
    if not through:
        device.set_sync_flag = lambda path, on: False

    # small tables, compaction and collection as busy as they can be
    made = opening.settings
    def busy(*given):
        settings = made(*given)
        collects = given[0]
        for key, value in {
            "l0_sst_size_bytes": "4096", "max_unflushed_bytes": "65536", "manifest_poll_interval": '"50ms"',
            "compactor_options.poll_interval": '"50ms"', "compactor_options.worker.compactions_poll_interval": '"50ms"',
            "compactor_options.commit_compacted_interval": '"50ms"',
        }.items():
            settings.set(key, value)
        for part in ("manifest", "wal", "compacted", "compactions") if collects else ():
            settings.set(f"garbage_collector_options.{part}_options.interval", '"200ms"')
            settings.set(f"garbage_collector_options.{part}_options.min_age", '"0s"')
        return settings
    opening.settings = busy
    local_folder._SWEEP_SECONDS = 0.2
    journal.FULL_BYTES = 1 << 13  # full every few commits

    lock = threading.Lock()
    def note(*what):
        with lock:
            notes.write(json.dumps([time.time_ns(), *what]).encode() + b"\\n")

    def noting(plain):
        def sync(file):
            path = os.readlink(f"/proc/self/fd/{file}")
            names = os.listdir(path) if os.path.isdir(path) else None
            state = os.fstat(file)
            plain(file)
            note("sync", path, names, state.st_ino)
        return sync
    os.fsync, os.fdatasync = noting(os.fsync), noting(os.fdatasync)

    plain_write = os.pwrite
    def pwrite(file, content, at):
        note("write", at, len(content), os.fstat(file).st_ino)
        return plain_write(file, content, at)
    os.pwrite = pwrite

    store = ek.EventStore(folder)
    note("open", store.position)
    n, end = store.position, time.monotonic() + 60
    while time.monotonic() < end:
        size = 1 + n % 7
        rows = [{"n": n + i, "text": "x" * 200} for i in range(size)]
        store.append(f"a-{n % 5}", [ek.NewEvent(type="Noted", data=row) for row in rows])
        n += size
        note("ack", n)
"""


@dataclass
class Cut:
    """A copy of the folder as a power cut may have left it, and how much had been acknowledged."""

    folder: Path
    acknowledged: int
    damaged: list[str]


class Machine:
    """A machine with a writer, which can be cut off several times; each cut is a copy, and the writer goes on."""

    def __init__(self, folder: Path, *, through: bool, seed: int) -> None:
        self.folder, self.through = folder, through
        self._random = random.Random(seed)
        self._notes = folder.with_name(folder.name + ".notes")
        self._cuts = 0
        command = [
            sys.executable,
            "-c",
            textwrap.dedent(_WRITER),
            folder,
            self._notes,
            "through" if through else "plain",
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen([*map(str, command)], env=environment, stderr=subprocess.PIPE)

    def wait_for_acknowledgements(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self._acknowledged() < count:
            assert self._process.poll() is None, (self._process.stderr or sys.stderr).read()
            assert time.monotonic() < deadline, "the writer does not get on"
            time.sleep(0.005)

    def cut(self) -> Cut:
        """What the device holds if the power fails now."""
        time.sleep(self._random.random() * 0.05)
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            notes = [json.loads(line) for line in self._notes.read_bytes().splitlines()]
            self._cuts += 1
            copy = self.folder.with_name(f"{self.folder.name}-{self._cuts}")
            shutil.copytree(self.folder, copy)
            inodes = {str(path.relative_to(self.folder)): path.stat().st_ino for path in self.folder.rglob("*")}
        finally:
            os.kill(self._process.pid, signal.SIGCONT)
        acknowledged = max((note[2] for note in notes if note[1] == "ack"), default=0)
        return Cut(copy, acknowledged, self._lose(copy, notes, inodes))

    def off(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def _acknowledged(self) -> int:
        if not self._notes.exists():
            return 0
        lines = self._notes.read_bytes().splitlines()
        return max((note[2] for note in map(json.loads, lines) if note[1] == "ack"), default=0)

    def _lose(self, copy: Path, notes: list[list[object]], inodes: dict[str, int]) -> list[str]:
        contents = {(str(note[2]), note[4]) for note in notes if note[1] == "sync" and note[3] is None}
        inodes_synced = {inode for _, inode in contents}
        names = {str(note[2]): set(note[3]) for note in notes if note[1] == "sync" and isinstance(note[3], list)}
        damaged = []
        for path in sorted(copy.rglob("*")):
            if path.is_dir():
                continue
            own = str(path.relative_to(copy))
            wal = path.parent.name == "wal"
            written_through = self.through and not wal and path.parent != copy
            if not written_through and inodes[own] not in inodes_synced and path.stat().st_size:
                damaged.append(
                    f"{own}: {self._damage(path, names.get(str(self.folder / own.rpartition('/')[0]), set()))}"
                )
        return damaged + self._tear(copy / "journal", notes, inodes.get("journal"))

    def _tear(self, journal: Path, notes: list[list[object]], inode: int | None) -> list[str]:
        """What was written into the journal since its last sync reached the device by the sector, or didn't."""
        unsynced: list[tuple[int, int]] = []
        for note in notes:
            if note[1] == "sync" and note[4] == inode:
                unsynced = []
            elif note[1] == "write" and note[4] == inode:
                unsynced.append((int(str(note[2])), int(str(note[3]))))
        content = bytearray(journal.read_bytes()) if journal.exists() else bytearray()
        for at, size in unsynced:
            for sector in range(at // 512, (at + size - 1) // 512 + 1):
                start, end = max(at, sector * 512), min(at + size, (sector + 1) * 512)
                if self._random.random() < 0.5:
                    content[start:end] = self._random.choice([bytes(end - start), self._random.randbytes(end - start)])
        if unsynced:
            journal.write_bytes(content)
        return [f"journal: torn at {at}" for at, _ in unsynced]

    def _damage(self, path: Path, safe_names: set[str]) -> str:
        content = path.read_bytes()
        ways = ["zeros", "empty", "cut off", "half zeros", "whole"] + ([] if path.name in safe_names else ["missing"])
        way = self._random.choice(ways)
        half = len(content) // 2
        if way == "missing":
            path.unlink()
        elif way != "whole":
            left = {"zeros": bytes(len(content)), "empty": b"", "cut off": content[:half]}
            path.write_bytes(left.get(way, content[:half] + bytes(len(content) - half)))
        return way

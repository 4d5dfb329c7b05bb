"""A store in a Jupyter kernel that is interrupted and restarted while it appends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

import eventsourcing_kit as ek

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 60

OPEN = """
import eventsourcing_kit as ek
store = ek.EventStore({path!r}, fsync={fsync})
"""
APPEND = """
acknowledged = 0
with open({report!r}, "w", buffering=1) as report:
    while True:
        acknowledged = store.append("a", ek.NewEvent(type="Noted", data={{"n": 1}})).position
        report.write(f"{{acknowledged}}\\n")
"""


class Kernel:
    """A real kernel, as JupyterLab runs it."""

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(ROOT), extra_arguments=["--log-level=CRITICAL"])
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE_SECONDS)
        self._report = folder / "report"

    def begin(self, code: str) -> str:
        """Begin a cell."""
        return str(self._client.execute(code, stop_on_error=False))

    def outcome(self, cell: str) -> tuple[str, str]:
        """How a cell ended: its error's name or "ok", and what it printed or raised."""
        how, text = "ok", ""
        while True:
            message: dict[str, Any] = self._client.get_iopub_msg(timeout=PATIENCE_SECONDS)
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                text += content["text"]
            elif kind == "error":
                how, text = content["ename"], "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                return how, text

    def run(self, code: str) -> str:
        """What a cell prints that ends well."""
        how, text = self.outcome(self.begin(code))
        assert how == "ok", text
        return text.strip()

    def begin_appending(self) -> str:
        """Begin a cell that appends for ever, and return when it does."""
        self._report.unlink(missing_ok=True)
        cell = self.begin(APPEND.format(report=str(self._report)))
        ends = time.monotonic() + PATIENCE_SECONDS
        while not self.acknowledged():
            assert time.monotonic() < ends
            time.sleep(0.01)
        return cell

    def acknowledged(self) -> int:
        """The last position that the appending cell was told."""
        lines = self._report.read_text().split("\n")[:-1] if self._report.exists() else []
        return int(lines[-1]) if lines else 0

    def interrupt(self) -> None:
        """What the ■ button does."""
        self._manager.interrupt_kernel()

    def restart(self, *, now: bool) -> None:
        """What the ⟳ button does; `now` as after a kernel that does not answer."""
        self._manager.restart_kernel(now=now)
        self._client.wait_for_ready(timeout=PATIENCE_SECONDS)

    def end(self) -> None:
        """Shut it down."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A running kernel."""
    made = Kernel(tmp_path)
    yield made
    made.end()


def test_a_kernel_that_is_interrupted_and_restarted_leaves_the_store_fine(kernel: Kernel, folder: Path) -> None:
    """Interrupted cells say how their append ended, the next cell goes on, and a new kernel opens the store again."""
    for round_ in range(2):
        kernel.run(OPEN.format(path=str(folder), fsync=round_ == 0))  # again, as a cell that is run again
        for _ in range(2):
            cell = kernel.begin_appending()
            kernel.interrupt()
            how, text = kernel.outcome(cell)
            assert how == "KeyboardInterrupt", text
            position, told = map(int, kernel.run("print(store.position, acknowledged)").split())
            assert told <= position <= told + 1
            assert kernel.acknowledged() in (told, told - 1)
            assert int(kernel.run("print(store.append('a', ek.NewEvent(type='Noted')).position)")) == position + 1
        kernel.begin_appending()
        kernel.restart(now=round_ == 1)
        told = kernel.acknowledged()
        with ek.EventStore(folder, read_only=True) as store:
            positions = [event.position for event in store.read("a")]
            assert positions == list(range(1, len(positions) + 1))
            assert told <= len(positions) <= told + 1
    kernel.run(OPEN.format(path=str(folder), fsync=True))
    position = int(kernel.run("print(store.position)"))
    assert int(kernel.run("print(store.append('a', ek.NewEvent(type='Noted')).version)")) == position + 1

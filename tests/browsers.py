"""A browser without a network, and JupyterLab apart from this user's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver

BROWSER, DRIVER = "chromium", "chromedriver"
PACKAGES = ["chromium", "chromium-driver"]  # Debian's
NO_KERNEL = ["--KernelSpecManager.allowed_kernelspecs={'none'}", "--KernelSpecManager.ensure_native_kernel=False"]


@contextmanager
def chromium(profile: Path, size: str = "1300,1800") -> Iterator[webdriver.Chrome]:
    """A headless browser that reaches this machine and nothing else."""
    install_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(BROWSER) or BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in [
        *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "disable-dev-shm-usage", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        *("host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", f"window-size={size}", f"user-data-dir={profile}"),
    ]:
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def install_browser() -> None:
    """Install Debian's Chromium where that is possible, else skip the tests with the reason."""
    if shutil.which(BROWSER) and shutil.which(DRIVER):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        pytest.skip(f"needs {BROWSER} and {DRIVER}: apt-get install {' '.join(PACKAGES)}")
    done = subprocess.run(["apt-get", "install", "-y", *PACKAGES], capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"could not install {BROWSER}: {done.stderr.strip()[-200:]}")


@contextmanager
def jupyterlab(folder: Path, *flags: str) -> Iterator[str]:
    """The address of a JupyterLab server on the folder, its settings apart from this user's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER{name}": str(folder / f".{name}") for name in ["_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR"]}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / ".s"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".w")}
    own |= {"PYTHONPATH": str(Path(__file__).parents[1])}
    usual = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root", f"--notebook-dir={folder}"]
    usual += ["--IdentityProvider.token=", "--ServerApp.port_retries=0", "--LabApp.news_url="]
    usual += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command = [sys.executable, "-m", "jupyterlab", *usual, *flags]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env={**os.environ, **own}, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers; fail with its log where it doesn't."""
    for _ in range(1200):  # a busy machine takes its time
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")

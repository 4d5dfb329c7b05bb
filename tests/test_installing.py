"""What an installation brings: the wheel alone does what README says first, and needs little for it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.test_readme import BLOCK, README, ROOT

PACKAGE = ROOT / "eventsourcing_kit"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BY_EXTRA = {
    "anywidget": "explore",
    "click": "cli",
    "dask": "distributed",
    "distributed": "distributed",
    "duckdb": "reporting",
    "nbformat": "lab",
    "traitlets": "explore",
    "pyarrow": "files",
    "vl_convert": "pictures",
}
NAMED_OTHERWISE = {"vl_convert_python": "vl_convert"}

# Run where only the wheel is installed; prints how many packages are there, and the bytes of those that came
# although neither pandas, Altair, pydantic nor SlateDB asks for them.
WEIGHED = """
import re
from importlib import metadata
from packaging.requirements import Requirement

there = {re.sub("[-_.]+", "-", one.metadata["Name"]).lower(): one for one in metadata.distributions()}
asked, left = set(), ["pandas", "altair", "pydantic", "slatedb"]
while left:
    name = re.sub("[-_.]+", "-", left.pop()).lower()
    if name not in asked and name in there:
        asked.add(name)
        needs = [Requirement(one) for one in there[name].requires or []]
        left += [one.name for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
rest = [one for name, one in there.items() if name not in asked]
files = [file.locate() for one in rest for file in one.files or []]
print(len(there), sum(file.stat().st_size for file in files if file.exists()))
"""
# The kit's other sides that need no extra, and what those that do say where it is not there.
TRIED = """
import pathlib, tempfile
import eventsourcing_kit as ek
assert "site-packages" in ek.__file__
with tempfile.TemporaryDirectory() as folder, ek.EventStore(pathlib.Path(folder, "store")) as kept:
    kept.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    ek.charts.timeline(kept.read().df()).to_dict()
    kept.verify()
for call, named in ((ek.ReportingDatabase, "duckdb"), (lambda: ek.testing.check_notebook("lesson.ipynb"), "nbformat")):
    try:
        call()
    except ek.EventSourcingError as error:
        assert f"pip install {named}" in str(error)
    else:
        raise AssertionError(named)
"""


def imported() -> set[str]:
    """The top-level modules that the package imports anywhere, without Python's own."""
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names) - {PACKAGE.name}


def required(requirements: list[str]) -> set[str]:
    """The modules of the packages that are asked for."""
    names = {re.split(r"[^\w-]", one)[0].replace("-", "_") for one in requirements}
    return {NAMED_OTHERWISE.get(name, name) for name in names}


def test_what_is_imported_is_declared() -> None:
    """And nothing else is a requirement; what only some need is an extra's."""
    assert imported() - set(BY_EXTRA) == required(SETTINGS["dependencies"])
    for module, extra in BY_EXTRA.items():
        assert module in required(SETTINGS["optional-dependencies"][extra])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds nothing but the package's wheel and what that requires.

    What it requires is linked from where the tests run, which pip filled from the same lists.
    """
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    with_pip = sys.executable if find_spec("pip") else sys._base_executable  # type: ignore[attr-defined]
    pip = [with_pip, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    run([*pip, "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)])
    packages = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    for name in closure(SETTINGS["dependencies"]):
        link(metadata.distribution(name), packages)
    return python


def closure(requirements: list[str]) -> set[str]:
    """The names of all packages that are needed where these are."""
    found: set[str] = set()
    left = [Requirement(one) for one in requirements]
    while left:
        one = left.pop()
        if one.name not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(one.name)
            left += map(Requirement, metadata.requires(one.name) or [])
    return found


def link(package: metadata.Distribution, packages: Path) -> None:
    """Let an installed package be found among others, too."""
    for top in {file.parts[0] for file in package.files or [] if file.parts[0] not in ("..", "__pycache__")}:
        there = Path(str(package.locate_file(top)))
        if not (packages / top).exists():
            (packages / top).symlink_to(there, target_is_directory=there.is_dir())


def run(command: list[str], folder: Path | None = None) -> str:
    """What it printed; a failure shows what it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.processes
def test_the_wheel_alone_brings_few_packages_and_little_weight(alone: Path) -> None:
    packages, surplus = map(int, run([str(alone), "-I", "-c", WEIGHED]).split())
    assert packages <= 25
    assert surplus <= 10_000_000


@pytest.mark.processes
def test_the_wheel_alone_runs_readmes_first_code(alone: Path, tmp_path: Path) -> None:
    """And says what to install for the rest."""
    first = re.sub(r"^(.+?)  # → (.+)$", r"assert repr(\1) == repr(\2)", BLOCK.findall(README)[0], flags=re.MULTILINE)
    assert first.count("assert repr(") == 2
    run([str(alone), "-I", "-c", first], tmp_path)
    run([str(alone), "-I", "-c", TRIED], tmp_path)

"""`make bench AGAINST=COMMIT`: two kits are measured in turn, and what cannot be compared is said in words."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks import against

pytestmark = pytest.mark.processes
ROW = "store.version(stream)"


def committed(folder: Path) -> Path:
    """The folder as a repository of one commit."""
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "--no-gpg-sign", "-m", "All of it"],
    ):
        subprocess.run(["git", "-C", folder, *command], check=True)
    return folder


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with a copy of the kit, for an earlier one."""
    shutil.copytree(
        against.ROOT / "eventsourcing_kit", tmp_path / "eventsourcing_kit", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def test_a_row_is_told_with_todays_figure_and_its_ratios(earlier: Path) -> None:
    """The first line says what the figures hold for, and how long the disk's sync is."""
    head, line = against.table("HEAD", ROW, committed(earlier))
    assert re.search(r"a sync of the disk takes \d+\.\d\d ms; .* as quick as that of [0-9a-f]{7}", head)
    assert re.fullmatch(rf"{re.escape(ROW)} +[\d,]+ calls/s +[\d,.]+ µs cpu +[\d.]+ × cpu +[\d.]+ × wall", line)


def test_each_kit_is_its_own(earlier: Path) -> None:
    """The earlier kit can do less, and says so; today's figure is there all the same."""
    with (earlier / "eventsourcing_kit" / "__init__.py").open("a") as file:
        file.write("\ndel _LATER['EventStore']\n")
    _, line = against.table("HEAD", ROW, committed(earlier))
    assert re.search(
        r"[\d,]+ calls/s .* the kit of [0-9a-f]{7} cannot run it: AttributeError: .*no attribute 'EventStore'", line
    )


def test_a_kit_that_cannot_be_imported_is_said_in_words(earlier: Path) -> None:
    (earlier / "eventsourcing_kit" / "__init__.py").write_text("raise ImportError('it needs an older library')\n")
    with pytest.raises(
        against.CannotCompareError, match=r"the kit of [0-9a-f]{7} ended .*ImportError: it needs an older library"
    ):
        list(against.table("HEAD", ROW, committed(earlier)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a commit"),
        (["no-such-commit"], "there is no commit 'no-such-commit' here"),
        (["--all"], "there is no commit '--all' here"),
        (["HEAD", "no", "such", "row"], "no row has 'no such row' in its name"),
    ],
)
def test_what_is_not_there_is_said_in_words(arguments: list[str], said: str) -> None:
    assert said in (against.main(arguments) or "")


def test_a_commit_without_the_kit_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing else yet")
    with pytest.raises(against.CannotCompareError, match="holds no folder eventsourcing_kit"):
        list(against.table("HEAD", ROW, committed(tmp_path)))

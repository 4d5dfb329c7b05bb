"""README tells what is true: its code runs and gives what it says, its tables and links match what is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pytest

import eventsourcing_kit as ek
from tests.notebooks import draw_time_travel

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "eventsourcing_kit"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"# → (.*)$")
LINK = re.compile(r"\]\(([^)#:]+)\)")


Result = TypeVar("Result")


def alone(function: Callable[[], Result]) -> Result:
    """Call it in a process of its own: classes of events are known to a whole process, and README defines some."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function).result()


def run(code: str, names: dict[str, Any]) -> list[tuple[str, str]]:
    """Run a block; of each expression with a comment `# → value` return what was said and what came out."""
    lines, found = code.splitlines(), []
    for node in ast.parse(code).body:
        source = ast.get_source_segment(code, node) or ""
        decorators = [f"@{ast.unparse(each)}" for each in getattr(node, "decorator_list", [])]
        shown = SHOWN.search(lines[(node.end_lineno or 0) - 1])
        if isinstance(node, ast.Expr) and shown:
            found.append((shown[1], repr(eval(source, names))))
        else:
            exec("\n".join([*decorators, source]), names)
    return found


def answers() -> list[tuple[str, str]]:
    """What README says of its code, and what came out, block after block in one namespace."""
    names: dict[str, Any] = {"__name__": "readme"}
    return [answer for block in BLOCK.findall(README) for answer in run(block, names)]


@pytest.mark.processes
def test_the_code_runs_in_order_and_gives_what_it_says() -> None:
    found = alone(answers)
    assert [came_out for _, came_out in found] == [said for said, _ in found]
    assert len(found) == README.count("# → ")
    assert len(BLOCK.findall(README)) == README.count("```python")


def test_the_first_code_stands_within_25_lines() -> None:
    lines = README.splitlines()
    assert lines.index("```python") < 25


def parts() -> dict[str, list[str]]:
    """The parts of the package as README lists them, each with its modules."""
    rows = re.findall(r"^\| `(\w+)` \| .+? \| (.*)\|$", README.partition("## The source")[2], re.MULTILINE)
    return {part: re.findall(r"`(\w+)`", modules) for part, modules in rows}


def contracts() -> dict[str, list[str]]:
    """The layers of each contract, from the bottom up, by the package that they are of."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layered = [one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    return {one["containers"][0]: one["layers"][::-1] for one in layered}


def modules_in(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("[!_]*") if file.suffix in ("", ".py"))


def test_the_table_of_parts_is_the_folder_in_the_order_of_the_pipeline() -> None:
    """The order is that of the import contracts, from the bottom up."""
    held = contracts()
    assert list(parts()) == held["eventsourcing_kit"]
    assert sorted(parts()) == modules_in(PACKAGE)
    for part, modules in parts().items():
        assert modules == held.get(f"eventsourcing_kit.{part}", [])
        if modules:
            assert sorted(modules) == modules_in(PACKAGE / part)


@pytest.mark.parametrize("container", sorted(set(contracts()) - {"eventsourcing_kit"}))
def test_each_part_says_what_its_modules_do(container: str) -> None:
    """In their order, at the top of the part."""
    folder = ROOT.joinpath(*container.split("."))
    assert sorted(contracts()[container]) == modules_in(folder)
    listed = re.findall(r"^    (\w+)  ", (folder / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == contracts()[container]


def test_every_public_name_is_in_the_table_of_names() -> None:
    table = README.partition("## The names")[2].partition("## The source")[0]
    mentioned = re.findall(r"`(\w+)`", table)
    assert sorted(name for name in mentioned if name != "ek") == sorted(ek.__all__)


def test_links_lead_somewhere() -> None:
    linked = LINK.findall(README)
    assert [link for link in linked if not (ROOT / link).exists()] == []
    assert {link for link in linked if link.endswith(".ipynb")} == {
        f"notebooks/{file.name}" for file in (ROOT / "notebooks").glob("*.ipynb")
    }


def test_the_commands_are_those_of_the_makefile() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)", README, re.MULTILINE)) == {"lab", "test"}
    assert {"lab", "test"} <= set(targets)


@pytest.mark.processes
def test_the_picture_can_be_drawn_again() -> None:
    """By `python -m tests.notebooks.draw_time_travel`; its exact bytes depend on the version of the drawing library."""
    png = b"\x89PNG"
    assert draw_time_travel.PICTURE.relative_to(ROOT).as_posix() in README
    assert draw_time_travel.PICTURE.read_bytes()[:4] == alone(draw_time_travel.picture)[:4] == png


def test_every_promise_names_a_test_that_exists() -> None:
    """The last thing of each promise is a link to its test."""
    promises = README.partition("## What the store promises")[2].partition("\n## ")[0].split("\n- ")[1:]
    assert len(promises) > 10
    for promise in promises:
        found = re.search(r"\[`(\w+)`\]\((tests/\w+\.py)\)$", promise.strip())
        assert found, promise
        name, file = found.groups()
        assert re.search(rf"^(def {name}\(|{name} = |class {name}\b)", (ROOT / file).read_text(), re.MULTILINE), promise

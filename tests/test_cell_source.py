"""What in the code of a notebook nbval cannot compare is found, and nothing else is: against nbval itself."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from eventsourcing_kit.errors import NotebookError
from eventsourcing_kit.testing import check_notebook
from tests.notebooks import execution

CLOCK = "the time of the run; take it from a fixed clock"
RANDOM = "random values; seed them"
ID = "a random id; make it of a fixed one: uuid.UUID('…')"
MACHINE = "what differs by process or machine"
ORDER = "a set of texts, whose order differs by process; show sorted(…) of it"
STORE = "ids or times of a store that has no fixed ones; make it with clock="
BAR = "is a progress bar, which shows times; turn it off"
ONCE = "cannot be compared; show the final output once"

# Cells that nbval fails, each with what is said of it. Names go on from cell to cell.
UNFIT = [
    ("import IPython.display as d\nh = d.display('a', display_id=True)\nh.update('b')", "display_id= " + ONCE),
    ("from IPython.display import DisplayHandle\nh = DisplayHandle()\nh.display('a')\nh.update('b')", ONCE),
    ("wipe = d.clear_output\nprint(1)\nwipe(wait=True)\nprint(2)", f"clear_output() {ONCE}"),
    ("from tqdm import trange\nimport sys\nfor _ in trange(99, file=sys.stdout): pass", "trange() " + BAR),
    ("import tqdm as t\nwith t.tqdm(total=3, file=sys.stdout) as bar:\n    bar.update(3)", "tqdm() " + BAR),
    ("names = {'ada', 'bob', 'cy', 'dan', 'eve', 'flo'}\nprint(names)", ORDER),
    ("f'{names | {\"gus\"}}'", ORDER),
    ("list(frozenset(names))", ORDER),
    ("for name in set('ada bob cy dan eve flo'.split()): print(name)", ORDER),
    ("', '.join(n.upper() for n in names)", ORDER),
    ("{n: len(n) for n in names}", ORDER),
    ("from datetime import datetime as dt\nnow = dt.now\nstamp = now()\nstamp.isoformat()", CLOCK),
    ("print(f'at {stamp}')", CLOCK),
    ("import time\ndef report():\n    print('at', time.time())\nreport()", CLOCK),
    ("start = time.perf_counter()\ntook = time.perf_counter() - start\ntook", CLOCK),
    ("import pandas as pd\nstamps = []\nstamps.append(pd.Timestamp('now'))\nstamps", CLOCK),
    ("!date +%T.%N", CLOCK),
    ("import random\nfrom random import shuffle\nshuffled = list(range(20))\nshuffle(shuffled)\nshuffled", RANDOM),
    ("random.Random().random()", RANDOM),
    ("import numpy as np\nrng = np.random.default_rng()\npd.DataFrame({'x': rng.normal(size=3)})", RANDOM),
    ("import secrets\nsecrets.token_hex(8)", RANDOM),
    ("pd.DataFrame({'x': range(1000)}).sample(3)", RANDOM),
    ("import uuid\nstr(uuid.uuid1())", ID),
    ("from uuid import uuid4 as new\nprint(f'order-{new().hex[:12]}')", ID),
    ("import pydantic\nclass A(pydantic.BaseModel): x: object = pydantic.Field(default_factory=new)\nA().x.hex", ID),
    ("hash('a') % 1000003", MACHINE),
    ("id([])", MACHINE),
    ("import os\nprint(f'in {os.getpid()}')", MACHINE),
    ("import eventsourcing_kit as ek\nopen_store = ek.EventStore()\n_ = open_store.append('a', ek.NewEvent(type='T'))\n"
     "open_store.read().df()", STORE),
    ("half = ek.EventStore(clock=ek.testing.clock('2026-01-05T09:00:00Z'))\n"
     "print(half.append('a', ek.NewEvent(type='T')).events[0].id)", STORE),
    ("[1]\nnames;  # quiet", "ends in `;`, which does not silence it under nbval: assign to _ instead"),
]  # fmt: skip
# Cells that nbval passes, and of which nothing is said.
FIT = [
    "for _ in t.tqdm(range(3), disable=True): pass",
    "names, {'a': {'x', 'y', 'z'}}",  # IPython shows sets sorted
    "print(sorted(names), len(names), 'ada' in names)",
    "', '.join(sorted(n for n in names))",
    "total = 0\nfor n in names:\n    total += len(n)\ntotal",
    "print({1, 2, 3}, set(range(4)))",
    "start = time.time()\nx = sum(range(10))\nx",
    "time.time() - start < 600, 3",
    "print(dt.now() > dt(2020, 1, 1), time.gmtime(0).tm_year)",
    "random.seed(3)\nrandom.random(), random.choice('abc')",
    "rng = random.Random(7)\nrng.random()",
    "np.random.default_rng(seed=3).integers(5), np.random.default_rng(3).normal(size=2)",
    "pd.DataFrame({'x': range(100)}).sample(3, random_state=1)",
    "uuid.uuid5(uuid.NAMESPACE_DNS, 'x')",
    "import hashlib\nhashlib.md5(b'a').hexdigest()",
    "hash(3), type(id(3))",
    "s = ek.EventStore(clock=ek.testing.clock('2026-01-05T09:00:00Z'), seed=1)\n"
    "_ = s.append('a', ek.NewEvent(type='T'))\ns.read().df()",
    "print([e.type for e in s.read(types={'T'})], open_store.position)",
    "open_store.read().df()[['stream', 'position', 'type']]",
    "def id(x): return x\nid('ab')",
    "y = 1;",
    "print(1);",
]
# What this machine may lack a package for, or what fails only tomorrow: read, not run.
ONLY_READ = [
    ("import ipywidgets as w\nout = w.Output()\nwith out:\n    print('a')", "nbval cannot compare what Output() shows"),
    ("from ipywidgets import interact\n@interact(x=3)\ndef f(x): x", "nbval cannot compare what interact() shows"),
    ("from IPython.display import update_display\nupdate_display('b', display_id='x')", f"update_display() {ONCE}"),
    ("from rich.progress import track\nfor _ in track(range(3)): pass", BAR),
    ("df.progress_apply(str)", BAR),
    ("store.verify(progress=True)", "progress=True shows a progress bar; turn it off: progress=False"),
]  # fmt: skip
TODAY = nbformat.v4.new_output("stream", name="stdout", text="2026-11-27\n")


def _write(path: Path, cells: list[nbformat.NotebookNode]) -> Path:
    for number, cell in enumerate(cells, start=1):
        cell.execution_count, cell.id = number, f"c{number - 1}"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def _said(path: Path) -> dict[int, str]:
    """By code cell, counted from 0: what `check_notebook` says of it."""
    try:
        check_notebook(path)
    except NotebookError as error:
        found: dict[int, str] = {}
        for line in str(error).split("\n- ")[1:]:
            number = int(line.split()[2]) - 1
            found[number] = found.get(number, "") + line
        return found
    return {}


@pytest.mark.processes
def test_what_nbval_fails_is_found_and_what_it_passes_is_not(tmp_path: Path) -> None:
    """One notebook of all cells, run and saved, then run again by nbval, in a process of another hash seed."""
    path = tmp_path / "lesson.ipynb"
    notebook = nbformat.read(_write(path, [nbformat.v4.new_code_cell(code) for code in [*dict(UNFIT), *FIT]]), 4)
    nbformat.write(execution.execute(notebook, tmp_path, {"PYTHONHASHSEED": "1"}), path)
    said = _said(path)
    for number, (code, problem) in enumerate(UNFIT):
        assert problem in said.get(number, ""), code
    assert {FIT[number - len(UNFIT)]: said[number] for number in said if number >= len(UNFIT)} == {}
    assert execution.cells_that_fail(path, {"PYTHONHASHSEED": "2"}) == list(range(len(UNFIT)))


@pytest.mark.parametrize(("code", "problem"), ONLY_READ)
def test_what_cannot_be_compared_is_found_without_running_it(tmp_path: Path, code: str, problem: str) -> None:
    (said,) = _said(_write(tmp_path / "lesson.ipynb", [nbformat.v4.new_code_cell(code)])).values()
    assert problem in said


def test_a_date_that_is_the_same_until_tomorrow_is_found(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("import datetime\nprint(datetime.date.today())", outputs=[TODAY])
    assert CLOCK in _said(_write(tmp_path / "lesson.ipynb", [cell]))[0]


@pytest.mark.parametrize("code", ["x = = 1", "%matplotlib inline\nint?\n!ls", "%%bash\nif true; then", "  x", "#"])
def test_what_is_not_plain_python_is_no_problem(tmp_path: Path, code: str) -> None:
    path = _write(tmp_path / "lesson.ipynb", [nbformat.v4.new_code_cell(code)])
    assert _said(path) == {}

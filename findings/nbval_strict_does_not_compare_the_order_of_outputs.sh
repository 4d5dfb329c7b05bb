#!/usr/bin/env bash
# Strict nbval does not compare in which order a cell's outputs of different kinds come.
#
# Package: nbval 0.11.0, ipykernel 7.4.0, nbformat 5.11.1, pytest 9.2.0
# Good guess: A strict comparison sees when a table that stood above the printed line now stands below it.
# What happens: Outputs are compared kind by kind (streams, text, HTML ...). Only outputs of one kind have an order;
#   how the kinds follow each other is not looked at.
# Whom it matters to: Lessons in which text and pictures alternate: what the reader sees may be the other way round,
#   and the test is green.
# Output seen:
#   as_saved: passes
#   turned_round: passes

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nbval==0.11.0 ipykernel==7.4.0 nbformat==5.11.1 pytest==9.2.0

cat >program.py <<'PROGRAM'
import subprocess
import sys

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output


def verdicts(**cells):
    """Prints what strict nbval says of notebooks of one cell each."""
    for name, cell in cells.items():
        nbformat.write(new_notebook(cells=[cell]), f"{name}.ipynb")
    files = [f"{name}.ipynb" for name in cells]
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "-rA", *files]
    told = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    for name in cells:
        passed = any(line.startswith(f"PASSED {name}.ipynb") for line in told)
        failed = any(line.startswith(f"FAILED {name}.ipynb") for line in told)
        print(f"{name}:", {(True, False): "passes", (False, True): "fails"}.get((passed, failed), "no verdict"))


SHOW = "from IPython.display import display\n"
text = new_output("display_data", data={"text/plain": "'shown'"})
line = new_output("stream", name="stdout", text="printed\n")
same = [text, line]
verdicts(
    as_saved=new_code_cell(SHOW + "display('shown'); print('printed')", execution_count=1, outputs=same),
    turned_round=new_code_cell(SHOW + "print('printed'); display('shown')", execution_count=1, outputs=same),
)
PROGRAM

cat >expected <<'EXPECTED'
as_saved: passes
turned_round: passes
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "nbval 0.11.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

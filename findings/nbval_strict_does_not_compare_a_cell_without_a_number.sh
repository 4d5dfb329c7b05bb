#!/usr/bin/env bash
# Strict nbval does not compare the output of a cell that was saved without a number.
#
# Package: nbval 0.11.0, ipykernel 7.4.0, nbformat 5.11.1, pytest 9.2.0
# Good guess: --nbval fails where a cell's output is not what is saved; where nothing is saved and the cell prints, it
#   fails.
# What happens: It does, if the cell has an execution_count. Without one, as tools leave it that strip outputs before
#   a commit, nothing is compared: the cell may print anything.
# Whom it matters to: Repositories that strip notebooks on commit and run nbval in CI: the tests pass, and test
#   nothing but that no cell raises.
# Output seen:
#   run_and_saved_without_its_output: fails
#   stripped: passes

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


verdicts(
    run_and_saved_without_its_output=new_code_cell("print(6 * 7)", execution_count=1),
    stripped=new_code_cell("print(6 * 7)", execution_count=None),
)
PROGRAM

cat >expected <<'EXPECTED'
run_and_saved_without_its_output: fails
stripped: passes
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "nbval 0.11.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

#!/usr/bin/env bash
# Strict nbval passes a cell whose saved picture is another one, or is not there.
#
# Package: nbval 0.11.0, ipykernel 7.4.0, nbformat 5.11.1, pytest 9.2.0
# Good guess: --nbval compares every output: a picture that differs fails, and a cell that now draws where nothing is
#   saved surely does.
# What happens: PNG and JPEG are left out of the comparison unless nbdime is asked for, on both sides: a saved picture
#   may be any, or missing altogether. The same cell with SVG fails.
# Whom it matters to: Notebooks with Matplotlib charts or saved Altair PNGs as tests: the chart is what is not tested.
# Output seen:
#   another_picture_saved: passes
#   no_picture_saved: passes
#   no_svg_saved: fails

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


def drawing(kind, data):
    return f"from IPython.display import display\ndisplay({{{kind!r}: {data!r}}}, raw=True)"


PNG, OTHER = "iVBORw0KGgo=", "iVBORw0KGgp4"
saved = [new_output("display_data", data={"image/png": OTHER})]
verdicts(
    another_picture_saved=new_code_cell(drawing("image/png", PNG), execution_count=1, outputs=saved),
    no_picture_saved=new_code_cell(drawing("image/png", PNG), execution_count=1),
    no_svg_saved=new_code_cell(drawing("image/svg+xml", "<svg/>"), execution_count=1),
)
PROGRAM

cat >expected <<'EXPECTED'
another_picture_saved: passes
no_picture_saved: passes
no_svg_saved: fails
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "nbval 0.11.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

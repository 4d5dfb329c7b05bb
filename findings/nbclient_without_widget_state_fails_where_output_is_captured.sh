#!/usr/bin/env bash
# nbclient's store_widget_state=False ends notebooks in which a widget captures output.
#
# Package: nbclient 0.11.0, ipykernel 7.4.0, ipywidgets 8.1.8
# Good guess: The option leaves the widgets' state out of the saved notebook, and changes nothing about the run.
# What happens: A cell that captures output in ipywidgets.Output (interact does, too) ends the run with a KeyError of
#   a model's id. With the default the same notebook runs; other widgets run either way.
# Whom it matters to: Whoever saves notebooks by script and wants small files that are the same each time.
# Output seen:
#   slider store_widget_state: True runs
#   slider store_widget_state: False runs
#   output store_widget_state: True runs
#   output store_widget_state: False KeyError

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nbclient==0.11.0 ipykernel==7.4.0 ipywidgets==8.1.8

cat >program.py <<'PROGRAM'
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

cells = {
    "slider": "import ipywidgets\nipywidgets.IntSlider()",
    "output": "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('captured')",
}
for name, source in cells.items():
    for stored in (True, False):
        notebook = new_notebook(cells=[new_code_cell(source)])
        try:
            NotebookClient(notebook, kernel_name="python3", store_widget_state=stored).execute()
            print(name, "store_widget_state:", stored, "runs")
        except KeyError:
            print(name, "store_widget_state:", stored, "KeyError")
PROGRAM

cat >expected <<'EXPECTED'
slider store_widget_state: True runs
slider store_widget_state: False runs
output store_widget_state: True runs
output store_widget_state: False KeyError
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "nbclient 0.11.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

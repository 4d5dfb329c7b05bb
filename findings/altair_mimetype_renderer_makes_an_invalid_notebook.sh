#!/usr/bin/env bash
# Altair's renderer for JupyterLab makes notebooks that the notebook format calls invalid.
#
# Package: altair 6.3.0, nbclient 0.11.0, ipykernel 7.4.0
# Good guess: The renderer "mimetype", which is there for JupyterLab and nbconvert, puts a chart into a notebook that
#   other tools can run, check and save.
# What happens: Its type is application/vnd.vegalite.v6.json. The notebook format takes objects only under types that
#   end in +json, so nbclient (and nbconvert --execute) run the cell, and then stop with a validation error.
# Whom it matters to: Notebooks with charts that run in CI: a renderer that says application/vnd.vegalite.v6+json, or
#   another renderer, is needed.
# Output seen:
#   application/vnd.vegalite.v6.json text/plain
#   NotebookValidationError of data/application/vnd.vegalite.v6.json

set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check altair==6.3.0 nbclient==0.11.0 ipykernel==7.4.0

cat >program.py <<'PROGRAM'
import altair
import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

source = """import altair as alt
_ = alt.renderers.enable("mimetype")
alt.Chart(alt.Data(values=[{"amount": 1}])).mark_bar().encode(x="amount:Q")"""
altair.renderers.enable("mimetype")
chart = altair.Chart(altair.Data(values=[{"amount": 1}])).mark_bar().encode(x="amount:Q")
bundle, _ = chart._repr_mimebundle_()
print(*bundle)
try:
    NotebookClient(new_notebook(cells=[new_code_cell(source)]), kernel_name="python3").execute()
    print("valid")
except nbformat.ValidationError as error:
    print(type(error).__name__, "of", "/".join(str(step) for step in list(error.relative_path)[-2:]))
PROGRAM

cat >expected <<'EXPECTED'
application/vnd.vegalite.v6.json text/plain
NotebookValidationError of data/application/vnd.vegalite.v6.json
EXPECTED

venv/bin/python -W ignore program.py >seen
if ! diff -u expected seen; then
  echo "altair 6.3.0 does something else now: this finding holds no longer" >&2
  exit 1
fi
echo "seen, as described"

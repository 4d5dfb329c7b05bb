"""The notebooks as pages that work offline: `make pages`, or `python -m tests.notebooks.pages [NOTEBOOK …]`.

A page shows what its notebook shows, its charts alive, with no kernel and no network. The script that draws them is
large, so the pages share it: `charts.js` beside them. `--whole` puts it into each page instead: one file, to be sent.
"""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path
from typing import Any

import vl_convert
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from eventsourcing_kit.drawing.renderer import MEDIA_TYPE
from tests.notebooks import execution, explored

SCRIPT = "charts.js"
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #24292f; --pale: #f5f7f9; --line: #dce1e6 }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif }
pre, code { font: 13px/1.5 ui-monospace, monospace }
.highlight, .output_text pre { padding: .6rem .8rem; border-radius: 6px; overflow-x: auto; background: var(--pale) }
.highlight pre { margin: 0 } .prompt, .anchor-link { display: none }
.output_area { margin: .6rem 0; overflow-x: auto }
table { border-collapse: collapse; font-size: 13px }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line) }
.chart { min-height: 6rem } .ansi-red-fg { color: #c0392b }
@media (prefers-color-scheme: dark) {
  :root { --ground: #1e2328; --ink: #e6ebf0; --pale: #2a3037; --line: #3c444c }
}
"""
# A chart's colours go by the background that it is given.
DRAW = """
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
for (const place of document.querySelectorAll('.chart')) {
  const spec = JSON.parse(place.nextElementSibling.textContent);
  if (spec.background === 'white' && dark) spec.background = '#1e2328';
  vegaEmbed(place, spec, {actions: false});
}
"""


def page(notebook: NotebookNode, script: str) -> str:
    """A notebook as a page; `script` is the element that brings what draws charts."""
    titles = [line[2:] for cell in notebook.cells for line in cell.source.splitlines() if line.startswith("# ")]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if MEDIA_TYPE in output.get("data", {}):
                output["data"] = NotebookNode({"text/html": chart(output["data"][MEDIA_TYPE])})
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    code = {name: HtmlFormatter(style=style).get_style_defs(".highlight") for name, style in CODE_STYLES.items()}
    style = f"{code['light']}\n@media (prefers-color-scheme: dark) {{\n{code['dark']}\n}}{STYLE}"
    title = html.escape((titles or ["A notebook"])[0])
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return f"<!doctype html>\n{head}\n<style>{style}</style>\n{body}\n{script}\n<script>{DRAW}</script>\n"


CODE_STYLES = {"light": "default", "dark": "github-dark"}


def chart(spec: dict[str, Any]) -> str:
    """The place of a chart, and what is drawn there as data that no markup in it can end."""
    data = json.dumps(spec, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<div class="chart"></div><script type="application/json">{data}</script>'


def main(arguments: list[str]) -> int:
    """Write the pages of the notebooks named, or of all."""
    whole = "--whole" in arguments
    paths = [Path(argument) for argument in arguments if argument != "--whole"] or execution.all_notebooks()
    bundle = vl_convert.javascript_bundle(vl_version="5.8")
    script = f"<script>{bundle}</script>" if whole else f'<script src="{SCRIPT}"></script>'
    for path in paths:
        written = path.parent / "pages" / f"{path.stem}.html"
        written.parent.mkdir(exist_ok=True)
        written.write_text(page(execution.read(path), script), encoding="utf-8")
        if not whole:
            (written.parent / SCRIPT).write_text(bundle, encoding="utf-8")
        print(f"{written.name}: {written.stat().st_size:,} bytes")
    if any(path.parent == execution.NOTEBOOKS for path in paths):
        explored.write_page()
        print(f"{explored.PAGE.name}: {explored.PAGE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

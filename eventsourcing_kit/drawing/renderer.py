"""The kit's own Altair renderer: charts that JupyterLab draws offline, and that compare under strict nbval.

Altair's own renderers load Vega from the network, write random element ids, or use a media type that the
notebook format refuses. This one emits the media type that JupyterLab, VS Code and PyCharm draw by
themselves, and a picture for where nothing draws it: nbconvert, code hosts, mails. nbval compares the chart, and passes
over the picture, whose bytes depend on a machine's fonts.
"""

from __future__ import annotations

import base64
from typing import Any

import altair as alt

from eventsourcing_kit.drawing import picture

NAME = "eventsourcing_kit"
MEDIA_TYPE = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
# What Vega makes of a slider is 129 pixels wide, and JupyterLab takes its keys. Of an input that it does not know, Vega
# hands every property on to the page as an attribute: so this one is as wide as the chart, and keeps its keys.
SLIDER = {
    "input": "slider",
    "type": "range",
    "style": "display: block; width: 100%; box-sizing: border-box; margin: 4px 0",
    "data-lm-suppress-shortcuts": "true",
}


def render(spec: dict[str, Any], *, pictures: bool = True, **_options: Any) -> Any:
    """Return the media bundle of one chart, and its metadata.

    The bundle is the Vega-Lite 5 spec, one line of plain text (the chart's `description`, such as
    `<timeline: 12 events, 3 streams>`, else `<chart>`) and, with the extra `pictures`, a PNG. There is no `text/html`:
    in a trusted notebook it would win over the chart. `alt.renderers.enable("eventsourcing_kit", pictures=False)`
    leaves the PNG out.
    """
    # White, because the text of a chart is dark and JupyterLab's dark theme would shine through.
    ground = {} if "background" in spec.get("config", {}) else {"background": "white"}
    drawn = {**ground, **spec, "$schema": SCHEMA}
    if "params" in spec:
        drawn["params"] = [with_slider(param) for param in spec["params"]]
    bundle = {MEDIA_TYPE: drawn, "text/plain": f"<{spec.get('description', 'chart')}>"}
    shot = picture.png(drawn) if pictures else None
    if shot is None:
        return bundle
    return bundle | {"image/png": base64.b64encode(shot[0]).decode()}, {"image/png": shot[1]}


def with_slider(param: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter of a chart; a slider that is bound to it is as wide as the chart and obeys keys."""
    bind = param.get("bind")
    return param | {"bind": bind | SLIDER} if isinstance(bind, dict) and bind.get("input") == "range" else param


def enable() -> None:
    """Make this Altair's renderer, unless the notebook has chosen another than Altair's default."""
    alt.renderers.register(NAME, render)
    if alt.renderers.active == "default":
        alt.renderers.enable(NAME)

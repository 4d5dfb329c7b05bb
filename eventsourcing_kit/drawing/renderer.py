"""The kit's own Altair renderer: charts that JupyterLab draws offline, and that compare under strict nbval.

Altair's own renderers load Vega from the network, write random element ids, or use a media type that the
notebook format refuses. This one emits the media type that JupyterLab, VS Code and PyCharm draw by
themselves.
"""

from __future__ import annotations

from typing import Any

import altair as alt

NAME = "eventsourcing_kit"
MEDIA_TYPE = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


def render(spec: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Return the media bundle of one chart: the Vega-Lite 5 spec and one line of plain text.

    The text is the chart's `description`, such as `<timeline: 12 events, 3 streams>`, else `<chart>`. There
    is no `text/html`: in a trusted notebook it would win over the chart.
    """
    # White, because the text of a chart is dark and JupyterLab's dark theme would shine through.
    drawn = {"background": "white", **spec, "$schema": SCHEMA}
    return {MEDIA_TYPE: drawn, "text/plain": f"<{spec.get('description', 'chart')}>"}


def enable() -> None:
    """Make this Altair's renderer, unless the notebook has chosen another than Altair's default."""
    alt.renderers.register(NAME, render)
    if alt.renderers.active == "default":
        alt.renderers.enable(NAME)

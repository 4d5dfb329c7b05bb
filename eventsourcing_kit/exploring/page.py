"""One HTML file that holds the explorer and all that it shows: it loads nothing, and nothing can be loaded into it."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from importlib import resources

LIFE = "This page needs a browser of 2023 or later, with JavaScript."


@cache
def script() -> str:
    """The explorer's module."""
    return resources.files("eventsourcing_kit.exploring").joinpath("explorer.mjs").read_text(encoding="utf-8")


@cache
def style() -> str:
    """The explorer's styles."""
    return resources.files("eventsourcing_kit.exploring").joinpath("explorer.css").read_text(encoding="utf-8")


def page(title: str, packed: bytes) -> str:
    """The page of what was packed; base64 holds no `<`, so no data can end its element."""
    styles = "\n".join([":root{color-scheme:light dark}body{margin:0}.ek{--ek-height:100vh}", style()])
    policy = f"default-src 'none'; script-src {_hash(script())}; style-src {_hash(styles)}; base-uri 'none'"
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{styles}</style>",
    ]
    body = [
        f"<noscript>{LIFE}</noscript>",
        f'<script type="text/plain" id="ek-packed">{base64.b64encode(packed).decode("ascii")}</script>',
        f'<script type="module">{script()}</script>',
    ]
    return "\n".join(["<!doctype html>", '<html lang="en">', *head, "<body>", *body, "</body>", "</html>", ""])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
